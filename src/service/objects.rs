//! Lists of plain JSON objects: graphs, versions, scenarios and the registers.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::{Map, Value};

use super::error::ServiceError;
use super::filter::{Clause, Cursor, ListQuery};
use super::rows::{Meta, Page};
use crate::model::selector::suggest;

/// Rows of a list as JSON objects.
///
/// # Errors
/// [`ServiceError::Internal`] if a row is no JSON object.
pub fn objects<T: Serialize>(rows: &[T]) -> Result<Vec<Map<String, Value>>, ServiceError> {
    rows.iter()
        .map(|row| match serde_json::to_value(row) {
            Ok(Value::Object(map)) => Ok(map),
            other => {
                tracing::error!(?other, "a list row is no JSON object");
                Err(ServiceError::Internal)
            }
        })
        .collect()
}

/// One page of a list of objects: filtered and sorted by any of their plain fields.
///
/// # Errors
/// An unknown filter or sort key, a bad limit or cursor.
pub fn page(
    list: &str,
    mut rows: Vec<Map<String, Value>>,
    query: &ListQuery,
) -> Result<Page<Map<String, Value>>, ServiceError> {
    let limit = query.page_limit()?;
    let fingerprint = query.fingerprint(list);
    let start = match &query.cursor {
        Some(text) => Cursor::decode(text, fingerprint)?.position as usize,
        None => 0,
    };
    let known: BTreeSet<String> = rows.iter().flat_map(|row| row.keys().cloned()).collect();
    let check = |param: &str, key: &str| {
        if known.is_empty() || known.contains(key) {
            return Ok(());
        }
        let hint = suggest(key, known.iter().map(String::as_str)).map_or_else(
            || format!("keys are {}", known.iter().cloned().collect::<Vec<_>>().join(", ")),
            |near| format!("did you mean {near}?"),
        );
        Err(ServiceError::malformed_hint(
            param,
            format!("{list} have no {param} key \"{key}\""),
            hint,
        ))
    };
    let clauses = query.clauses()?;
    for clause in &clauses {
        check("filter", &clause.key)?;
    }
    rows.retain(|row| clauses.iter().all(|clause| passes(clause, row.get(&clause.key))));
    if let Some((key, descending)) = query.sort_key() {
        check("sort", key)?;
        rows.sort_by(|a, b| {
            let order = compare(a.get(key), b.get(key));
            if descending { order.reverse() } else { order }
        });
    }
    let count = rows.len();
    let results: Vec<_> = rows.into_iter().skip(start).take(limit).collect();
    let next = start.saturating_add(results.len());
    let next_cursor =
        (next < count).then(|| Cursor { version: 0, position: next as u64 }.encode(fingerprint));
    Ok(Page { meta: Meta { count, next_cursor }, results })
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn passes(clause: &Clause, value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => clause.negated,
        Some(Value::Array(list)) => {
            let any = list.iter().any(|v| clause.accepts(&text(v)) != clause.negated);
            any != clause.negated
        }
        Some(value) => clause.accepts(&text(value)),
    }
}

fn compare(a: Option<&Value>, b: Option<&Value>) -> Ordering {
    match (a, b) {
        (Some(Value::Number(a)), Some(Value::Number(b))) => {
            a.as_f64().unwrap_or(f64::NAN).total_cmp(&b.as_f64().unwrap_or(f64::NAN))
        }
        (Some(a), Some(b)) => text(a).cmp(&text(b)),
        (a, b) => a.is_some().cmp(&b.is_some()),
    }
}
