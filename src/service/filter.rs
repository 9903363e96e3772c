//! The filter, sort and cursor of every list.
//!
//! `filter=country:CHN|RUS,stage:refine,product:!gallium`: `,` is and, `|` is or, `!` before the
//! values is not; `\` takes the meaning from the next character.

use super::error::ServiceError;

/// What a list is asked for.
#[derive(Debug, Clone, Default)]
pub struct ListQuery {
    /// Most rows of a page.
    pub limit: Option<usize>,
    /// Where the last page ended.
    pub cursor: Option<String>,
    /// Key to sort by, with a leading `-` for descending.
    pub sort: Option<String>,
    /// Which rows.
    pub filter: Option<String>,
}

/// Rows of a page unless stated.
pub const DEFAULT_LIMIT: usize = 100;
/// Most rows of a page.
pub const MAX_LIMIT: usize = 1000;

impl ListQuery {
    /// The limit in force.
    ///
    /// # Errors
    /// A limit of 0 or above [`MAX_LIMIT`].
    pub fn page_limit(&self) -> Result<usize, ServiceError> {
        match self.limit {
            None => Ok(DEFAULT_LIMIT),
            Some(limit) if (1..=MAX_LIMIT).contains(&limit) => Ok(limit),
            Some(limit) => Err(ServiceError::malformed(
                "limit",
                format!("limit must be between 1 and {MAX_LIMIT}, got {limit}"),
            )),
        }
    }

    /// The parsed filter.
    ///
    /// # Errors
    /// A filter that breaks the syntax.
    pub fn clauses(&self) -> Result<Vec<Clause>, ServiceError> {
        self.filter.as_deref().map_or(Ok(Vec::new()), parse)
    }

    /// Sort key and whether it descends.
    pub fn sort_key(&self) -> Option<(&str, bool)> {
        let sort = self.sort.as_deref()?;
        Some(sort.strip_prefix('-').map_or((sort, false), |key| (key, true)))
    }

    /// Fingerprint of everything that a cursor depends on beside its position.
    pub fn fingerprint(&self, list: &str) -> u64 {
        let text = format!(
            "{list}\0{}\0{}",
            self.sort.as_deref().unwrap_or(""),
            self.filter.as_deref().unwrap_or("")
        );
        xxhash_rust::xxh3::xxh3_64(text.as_bytes())
    }
}

/// One `key:values` of a filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clause {
    /// What is compared.
    pub key: String,
    /// Accepted values (refused ones if `negated`).
    pub values: Vec<String>,
    /// True for `key:!values`.
    pub negated: bool,
}

impl Clause {
    /// True if a row with this value passes.
    pub fn accepts(&self, value: &str) -> bool {
        self.values.iter().any(|v| crate::model::selector::wildcard_match(v, value)) != self.negated
    }
}

fn bad(problem: impl Into<String>) -> ServiceError {
    ServiceError::malformed_hint(
        "filter",
        problem,
        "write key:value|value,key:!value, for example country:CHN|RUS,stage:refine",
    )
}

/// Parses a filter.
///
/// # Errors
/// A clause without `key:`, without values, or a key given twice.
pub fn parse(text: &str) -> Result<Vec<Clause>, ServiceError> {
    let mut clauses: Vec<Clause> = Vec::new();
    for part in split(text, ',') {
        let Some((key, values)) = part.split_once(':') else {
            return Err(bad(format!("\"{part}\" has no key")));
        };
        let key = key.trim();
        if key.is_empty() {
            return Err(bad(format!("\"{part}\" has no key")));
        }
        let (values, negated) = values.strip_prefix('!').map_or((values, false), |v| (v, true));
        let values: Vec<String> = split(values, '|').into_iter().map(|v| unescape(&v)).collect();
        if values.iter().any(String::is_empty) {
            return Err(bad(format!("{key} has an empty value")));
        }
        if clauses.iter().any(|c| c.key == key && c.negated == negated) {
            return Err(bad(format!("{key} is given twice; join the values with |")));
        }
        clauses.push(Clause { key: key.to_owned(), values, negated });
    }
    Ok(clauses)
}

/// Splits at a separator that no `\` precedes; keeps the `\`.
fn split(text: &str, separator: char) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut escaped = false;
    for c in text.chars() {
        if c == separator && !escaped {
            parts.push(String::new());
            continue;
        }
        escaped = c == '\\' && !escaped;
        if let Some(part) = parts.last_mut() {
            part.push(c);
        }
    }
    parts
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut escaped = false;
    for c in text.chars() {
        if c == '\\' && !escaped {
            escaped = true;
        } else {
            out.push(c);
            escaped = false;
        }
    }
    out
}

/// Where a page ended: the version that is paged through and the next position in it. Opaque to
/// users; it holds for one list, filter and sort order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// Version of the graph (0 for lists that have none).
    pub version: u64,
    /// Next position.
    pub position: u64,
}

impl Cursor {
    /// The cursor as text.
    pub fn encode(self, fingerprint: u64) -> String {
        format!("c{:x}-{:x}-{fingerprint:x}", self.version, self.position)
    }

    /// Reads a cursor.
    ///
    /// # Errors
    /// A cursor that is no cursor, or one of another list, filter or sort order.
    pub fn decode(text: &str, fingerprint: u64) -> Result<Self, ServiceError> {
        let parts: Option<Vec<u64>> = text
            .strip_prefix('c')
            .map(|t| t.split('-').map(|part| u64::from_str_radix(part, 16).ok()).collect())
            .unwrap_or_default();
        match parts.as_deref() {
            Some(&[version, position, of]) if of == fingerprint => Ok(Self { version, position }),
            Some(&[_, _, _]) => Err(ServiceError::malformed_hint(
                "cursor",
                "the cursor belongs to another list, filter or sort order",
                "keep filter and sort as they were, or start again without cursor",
            )),
            _ => Err(ServiceError::malformed_hint(
                "cursor",
                "this is not a cursor",
                "take next_cursor of the page before, or start again without cursor",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_filter_parses() {
        let clauses = parse("country:CHN|RUS,stage:refine,product:!gallium").unwrap();
        assert_eq!(clauses.len(), 3);
        assert_eq!(clauses[0].values, ["CHN", "RUS"]);
        assert!(clauses[2].negated && !clauses[2].accepts("gallium") && clauses[2].accepts("tin"));
    }

    #[test]
    fn separators_can_be_escaped() {
        let clauses = parse(r"product:a\,b|c\|d").unwrap();
        assert_eq!(clauses[0].values, ["a,b", "c|d"]);
    }

    #[test]
    fn bad_filters_are_refused() {
        for text in ["", "x", ":a", "a:", "a:b||c", "a:b,a:c"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_cursor_comes_back_and_only_for_its_own_list() {
        let cursor = Cursor { version: 7, position: 300 };
        assert_eq!(Cursor::decode(&cursor.encode(9), 9).unwrap(), cursor);
        assert!(Cursor::decode(&cursor.encode(9), 8).is_err());
        assert!(Cursor::decode("nonsense", 9).is_err());
    }
}
