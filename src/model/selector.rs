//! Selectors: which nodes a shock, target, unit or class speaks of.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One string or a list of strings.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = Vec<String>)]
pub struct OneOrMany(pub Vec<String>);

impl OneOrMany {
    /// True if nothing was given: no restriction.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The strings.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl<const N: usize> From<[&str; N]> for OneOrMany {
    fn from(items: [&str; N]) -> Self {
        Self(items.iter().map(|&s| s.to_owned()).collect())
    }
}

impl<'de> Deserialize<'de> for OneOrMany {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Strings;
        impl<'de> serde::de::Visitor<'de> for Strings {
            type Value = OneOrMany;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a string or a list of strings")
            }

            fn visit_str<E: serde::de::Error>(self, one: &str) -> Result<OneOrMany, E> {
                Ok(OneOrMany(vec![one.to_owned()]))
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(
                self,
                mut seq: A,
            ) -> Result<OneOrMany, A::Error> {
                let mut many = Vec::new();
                while let Some(item) = seq.next_element()? {
                    many.push(item);
                }
                if many.is_empty() {
                    return Err(serde::de::Error::custom(
                        "an empty list selects nothing; leave the key out to select all",
                    ));
                }
                Ok(OneOrMany(many))
            }
        }
        deserializer.deserialize_any(Strings)
    }
}

/// A predicate on nodes: AND between keys, OR within a list. `{}` selects every node.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(example = json!({"country": "CHN", "stage": "refine"}))]
pub struct Selector {
    /// Country codes (alpha-3; alpha-2 and English names are understood).
    #[serde(skip_serializing_if = "OneOrMany::is_empty")]
    pub country: OneOrMany,
    /// Blocs: `EU`, `NATO`, `G7`, `BRICS`, `MSP`, `QUAD`.
    #[serde(skip_serializing_if = "OneOrMany::is_empty")]
    pub bloc: OneOrMany,
    /// Stages.
    #[serde(skip_serializing_if = "OneOrMany::is_empty")]
    pub stage: OneOrMany,
    /// Products.
    #[serde(skip_serializing_if = "OneOrMany::is_empty")]
    pub product: OneOrMany,
    /// Node ids; `*` stands for any run of characters.
    #[serde(skip_serializing_if = "OneOrMany::is_empty")]
    pub node: OneOrMany,
    /// Attributes of the node: name to accepted values.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, OneOrMany>,
    /// Nodes that this selects are left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(no_recursion)]
    pub not: Option<Box<Selector>>,
    /// Nodes that at least one of these selects.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(no_recursion)]
    pub any: Vec<Selector>,
    /// Without it, a selector that matches no node is refused.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub allow_empty: bool,
}

impl Selector {
    /// Selects nodes by id or id pattern.
    pub fn node(pattern: &str) -> Self {
        Self { node: OneOrMany(vec![pattern.to_owned()]), ..Self::default() }
    }

    /// Selects one stage of one product.
    pub fn product_stage(product: &str, stage: &str) -> Self {
        Self { product: [product].into(), stage: [stage].into(), ..Self::default() }
    }

    /// Calls `f` on this selector and on every one nested in it.
    pub fn walk<'a>(&'a self, f: &mut impl FnMut(&'a Selector)) {
        f(self);
        if let Some(not) = &self.not {
            not.walk(f);
        }
        for any in &self.any {
            any.walk(f);
        }
    }
}

/// True if `text` matches `pattern`, where `*` stands for any run of characters.
pub fn wildcard_match(pattern: &str, text: &str) -> bool {
    let (p, t) = (pattern.as_bytes(), text.as_bytes());
    let (mut i, mut j) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while j < t.len() {
        if i < p.len() && p[i] == b'*' {
            star = Some((i, j));
            i += 1;
        } else if i < p.len() && p[i] == t[j] {
            i += 1;
            j += 1;
        } else if let Some((si, sj)) = star {
            i = si + 1;
            j = sj + 1;
            star = Some((si, sj + 1));
        } else {
            return false;
        }
    }
    p[i..].iter().all(|&c| c == b'*')
}

/// The known word nearest to what was written, if any is near enough to be meant.
pub fn suggest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = written.to_lowercase();
    known
        .into_iter()
        .map(|word| (strsim::jaro_winkler(&lower, &word.to_lowercase()), word))
        .filter(|(score, _)| *score >= 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(a.1)))
        .map(|(_, word)| word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_match_runs_of_characters() {
        assert!(wildcard_match("*.refine.CHN", "gallium.refine.CHN"));
        assert!(wildcard_match("gallium.*", "gallium.refine.CHN"));
        assert!(wildcard_match("*a*b*", "xxaxxbxx"));
        assert!(wildcard_match("*", ""));
        assert!(!wildcard_match("*.refine.CHN", "gallium.refine.CHN2"));
        assert!(!wildcard_match("a*b", "acbd"));
    }

    #[test]
    fn one_string_equals_a_list_of_one() {
        let one: Selector = serde_json::from_str(r#"{"country":"CHN"}"#).unwrap();
        let many: Selector = serde_json::from_str(r#"{"country":["CHN"]}"#).unwrap();
        assert_eq!(one, many);
        assert!(serde_json::from_str::<Selector>(r#"{"contry":"CHN"}"#).is_err());
        assert!(serde_json::from_str::<Selector>(r#"{"country":[]}"#).is_err());
    }

    #[test]
    fn the_nearest_word_is_suggested() {
        assert_eq!(suggest("galium", ["germanium", "gallium"]), Some("gallium"));
        assert_eq!(suggest("xyzzy", ["germanium", "gallium"]), None);
    }
}
