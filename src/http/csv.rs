//! Lists as CSV, safe to open in a spreadsheet.

use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, ETAG};
use serde_json::{Map, Value};

use super::problem::{Code, Problem};
use super::reply::{Holds, cache_control, etag};

/// Columns that come first, where a list has them.
const LEADING: &[&str] =
    &["type", "id", "name", "from", "to", "output", "input", "stage", "product", "country"];

/// A text cell that a spreadsheet would take for a formula gets a quote in front.
pub fn safe(text: &str) -> std::borrow::Cow<'_, str> {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        format!("'{text}").into()
    } else {
        text.into()
    }
}

/// Columns of nested figures, spread as `output`, `output_low`, ...
fn spread(row: &Map<String, Value>) -> Vec<(String, String)> {
    let mut cells = Vec::with_capacity(row.len());
    for (key, value) in row {
        match value {
            Value::Object(figure) if figure.contains_key("value") => {
                for (part, value) in figure {
                    let name = if part == "value" { key.clone() } else { format!("{key}_{part}") };
                    cells.push((name, cell(value)));
                }
            }
            other => cells.push((key.clone(), cell(other))),
        }
    }
    cells
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => safe(text).into_owned(),
        Value::Array(list) if list.iter().all(|v| !v.is_object() && !v.is_array()) => {
            let texts: Vec<String> = list
                .iter()
                .map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned))
                .collect();
            safe(&texts.join(";")).into_owned()
        }
        Value::Object(map) if map.is_empty() => String::new(),
        other => other.to_string(),
    }
}

/// Rows as CSV text with a header of all columns, in the order of first use.
///
/// # Errors
/// [`Code::Internal`] if the text cannot be made.
pub fn table<'a>(rows: impl Iterator<Item = &'a Map<String, Value>>) -> Result<Vec<u8>, Problem> {
    let rows: Vec<Vec<(String, String)>> = rows.map(spread).collect();
    let mut columns: Vec<&str> = Vec::new();
    let mut known = rustc_hash::FxHashSet::default();
    for (name, _) in rows.iter().flatten() {
        if known.insert(name.as_str()) {
            columns.push(name);
        }
    }
    // What names a row comes first, what is free comes last; the rest in the order of first use.
    columns.sort_by_key(|column| {
        let first = LEADING.iter().position(|lead| lead == column);
        (*column == "attributes", first.unwrap_or(LEADING.len()))
    });
    let failed = |error: &dyn std::fmt::Display| {
        tracing::error!(%error, "a list cannot be written as CSV");
        Problem::new(Code::Internal, "internal error")
    };
    let mut writer = csv::Writer::from_writer(Vec::new());
    if !columns.is_empty() {
        writer
            .write_record(columns.iter().map(|c| safe(c).into_owned()))
            .map_err(|e| failed(&e))?;
    }
    let mut by_name: rustc_hash::FxHashMap<&str, &str> = Default::default();
    for row in &rows {
        by_name.clear();
        by_name.extend(row.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let cells = columns.iter().map(|column| by_name.get(column).copied().unwrap_or_default());
        writer.write_record(cells).map_err(|e| failed(&e))?;
    }
    writer.into_inner().map_err(|e| failed(&e))
}

/// A CSV file to download.
pub fn response(name: &str, holds: Option<Holds>, body: Vec<u8>) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    response
        .insert_header((CONTENT_TYPE, "text/csv; charset=utf-8"))
        .insert_header((CONTENT_DISPOSITION, format!("attachment; filename=\"{name}.csv\"")));
    if let Some(holds) = holds {
        let (Holds::Now(version) | Holds::Forever(version)) = holds;
        response.insert_header((ETAG, etag(version)));
        response.insert_header((CACHE_CONTROL, cache_control(holds)));
    }
    response.body(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_are_disarmed_and_numbers_are_left_alone() {
        let row = serde_json::json!({
            "id": "=HYPERLINK(\"x\")", "n": -3, "output": {"value": 2.5, "unit": "t/a"},
            "owners": ["@a", "b"]
        });
        let text = table([row.as_object().unwrap()].into_iter()).unwrap();
        let text = String::from_utf8(text).unwrap();
        assert!(text.contains("'=HYPERLINK"), "{text}");
        assert!(text.contains(",-3,") || text.contains("-3"), "{text}");
        assert!(text.contains("output_unit") && text.contains("'@a;b"), "{text}");
    }
}
