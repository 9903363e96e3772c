//! A figure: a number with its range, unit, year, source and class.

use std::fmt;

use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

/// How a number is known. The order is from best to worst.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum FigureClass {
    /// Read in the named publication or statistic.
    Measured,
    /// A published number that was not re-checked against the publication.
    Recalled,
    /// Judgement.
    Estimate,
    /// Computed from other figures.
    Derived,
}

impl FigureClass {
    /// Every class, best first.
    pub const ALL: [Self; 4] = [Self::Measured, Self::Recalled, Self::Estimate, Self::Derived];

    /// The word used in files and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Measured => "measured",
            Self::Recalled => "recalled",
            Self::Estimate => "estimate",
            Self::Derived => "derived",
        }
    }

    /// Half-width of the default range, as a fraction of the value, for a figure whose row states
    /// no range of its own. `Derived` figures take theirs from their parts; alone they get the
    /// width of an estimate.
    pub fn default_relative_range(self) -> f64 {
        match self {
            Self::Measured => 0.05,
            Self::Recalled => 0.15,
            Self::Estimate | Self::Derived => 0.30,
        }
    }
}

impl std::str::FromStr for FigureClass {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|c| c.as_str() == s).ok_or_else(|| {
            format!("unknown class \"{s}\"; use measured, recalled, estimate or derived")
        })
    }
}

/// A number with its range, unit, year, source and class. In JSON a bare number is a figure too.
#[derive(Debug, Clone, PartialEq, Default, Serialize, ToSchema)]
pub struct Figure {
    /// The central value, in `unit`.
    pub value: f64,
    /// Lower end of the stated range.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub low: Option<f64>,
    /// Upper end of the stated range.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub high: Option<f64>,
    /// Unit, for example `t/a`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// Year that the number describes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub year: Option<i32>,
    /// How the number is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<FigureClass>,
    /// Publication, statistic or person behind the number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

impl Figure {
    /// A bare number: no range, unit or source.
    pub fn bare(value: f64) -> Self {
        Self { value, ..Self::default() }
    }

    /// Checks that the numbers are finite, not negative, and `low <= value <= high`.
    ///
    /// # Errors
    /// A sentence that names the offending number.
    pub fn check(&self) -> Result<(), String> {
        for (name, number) in [("value", Some(self.value)), ("low", self.low), ("high", self.high)]
        {
            let Some(number) = number else { continue };
            if !number.is_finite() {
                return Err(format!("{name} must be a finite number"));
            }
            if number < 0.0 {
                return Err(format!("{name} must not be negative, got {number}"));
            }
        }
        if self.low.is_some_and(|low| low > self.value) {
            return Err(format!("low is above the value {}", self.value));
        }
        if self.high.is_some_and(|high| high < self.value) {
            return Err(format!("high is below the value {}", self.value));
        }
        Ok(())
    }

    /// The range to draw from: the stated ends, else the class default around the value.
    pub fn range(&self) -> (f64, f64) {
        let half = self.class.map_or(0.0, FigureClass::default_relative_range) * self.value.abs();
        (self.low.unwrap_or(self.value - half), self.high.unwrap_or(self.value + half))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FigureObject {
    value: f64,
    low: Option<f64>,
    high: Option<f64>,
    unit: Option<String>,
    year: Option<i32>,
    class: Option<FigureClass>,
    source: Option<String>,
}

impl<'de> Deserialize<'de> for Figure {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FigureVisitor;
        impl<'de> Visitor<'de> for FigureVisitor {
            type Value = Figure;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number or a figure object with `value`")
            }

            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Figure, E> {
                Ok(Figure::bare(value))
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Figure, E> {
                Ok(Figure::bare(value as f64))
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Figure, E> {
                Ok(Figure::bare(value as f64))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Figure, A::Error> {
                let o = FigureObject::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(Figure {
                    value: o.value,
                    low: o.low,
                    high: o.high,
                    unit: o.unit,
                    year: o.year,
                    class: o.class,
                    source: o.source,
                })
            }
        }
        deserializer.deserialize_any(FigureVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_number_and_an_object_are_both_figures() {
        let bare: Figure = serde_json::from_str("12.5").unwrap();
        assert_eq!(bare, Figure::bare(12.5));
        let full: Figure =
            serde_json::from_str(r#"{"value":900,"unit":"t/a","class":"measured"}"#).unwrap();
        assert_eq!(full.class, Some(FigureClass::Measured));
        let (low, high) = full.range();
        assert!((low - 855.0).abs() < 1e-9 && (high - 945.0).abs() < 1e-9);
        assert!(serde_json::from_str::<Figure>(r#"{"value":1,"units":"t"}"#).is_err());
    }

    #[test]
    fn a_range_that_does_not_hold_its_value_is_refused() {
        let figure = Figure { low: Some(2.0), ..Figure::bare(1.0) };
        assert!(figure.check().unwrap_err().contains("low"));
        assert!(Figure::bare(f64::NAN).check().is_err());
        assert!(Figure::bare(-1.0).check().unwrap_err().contains("negative"));
    }
}
