//! Countries: ISO 3166-1 codes, the pseudo codes, blocs and governance scores.

use std::collections::BTreeMap;

use super::selector::suggest;

/// One country or pseudo country of the register.
#[derive(Debug, Clone, PartialEq)]
pub struct Country {
    /// ISO 3166-1 alpha-3, or `OTH`, `WLD`, `EUU`.
    pub code: String,
    /// English name.
    pub name: String,
    /// World region, `pseudo` for pseudo codes.
    pub region: String,
    /// Blocs it belongs to (`EU`, `NATO`, `G7`, ...).
    pub blocs: Vec<String>,
    /// Mean of the six World Bank governance indicators, rescaled to 0-1 (1 = best governed).
    pub governance: Option<f64>,
    /// Where the score comes from.
    pub source: String,
}

/// The register of countries, by code.
#[derive(Debug, Clone, Default)]
pub struct Countries {
    by_code: BTreeMap<String, Country>,
}

impl FromIterator<Country> for Countries {
    fn from_iter<I: IntoIterator<Item = Country>>(countries: I) -> Self {
        Self { by_code: countries.into_iter().map(|c| (c.code.clone(), c)).collect() }
    }
}

impl Countries {
    /// A country of the register.
    pub fn get(&self, code: &str) -> Option<&Country> {
        self.by_code.get(code)
    }

    /// All countries of the register, by code.
    pub fn iter(&self) -> impl Iterator<Item = &Country> {
        self.by_code.values()
    }

    /// True if `code` belongs to `bloc`. The pseudo country `EUU` belongs to `EU`.
    pub fn in_bloc(&self, code: &str, bloc: &str) -> bool {
        (code == "EUU" && bloc == "EU")
            || self.get(code).is_some_and(|c| c.blocs.iter().any(|b| b == bloc))
    }

    /// Every bloc named in the register, sorted.
    pub fn blocs(&self) -> Vec<&str> {
        let mut blocs: Vec<&str> =
            self.iter().flat_map(|c| c.blocs.iter().map(String::as_str)).collect();
        blocs.sort_unstable();
        blocs.dedup();
        blocs
    }

    /// The canonical alpha-3 code of what a user wrote: an alpha-3 or alpha-2 code or an English
    /// name, in any case.
    ///
    /// # Errors
    /// A sentence with the nearest known code.
    pub fn canonical(&self, written: &str) -> Result<String, String> {
        if self.by_code.contains_key(written) {
            return Ok(written.to_owned());
        }
        let upper = written.trim().to_uppercase();
        if self.by_code.contains_key(&upper) {
            return Ok(upper);
        }
        let iso = rust_iso3166::from_alpha3(&upper).or_else(|| rust_iso3166::from_alpha2(&upper));
        if let Some(iso) = iso {
            return Ok(iso.alpha3.to_owned());
        }
        let same_name = |name: &str| name.eq_ignore_ascii_case(written.trim());
        if let Some(country) = self.iter().find(|c| same_name(&c.name)) {
            return Ok(country.code.clone());
        }
        if let Some(iso) = rust_iso3166::ALL.iter().find(|c| same_name(c.name)) {
            return Ok(iso.alpha3.to_owned());
        }
        let known = self.iter().flat_map(|c| [c.code.as_str(), c.name.as_str()]);
        Err(format!(
            "unknown country \"{written}\"; use an ISO 3166-1 alpha-3 code, OTH, WLD or EUU{}",
            suggest(written, known).map(|s| format!("; did you mean {s}?")).unwrap_or_default()
        ))
    }
}
