//! What the single rows of all three tables share.

use serde_json::{Map, Value};

use super::problem::{Code, Problem};
use crate::model::Record;

/// The record of a row: the body with the type and the key fields of the path filled in.
///
/// # Errors
/// A body that names another row than the path, or is no record.
pub fn row_record(
    mut body: Map<String, Value>,
    kind: &str,
    key: &[(&str, &str)],
) -> Result<Record, Problem> {
    for (field, value) in [("type", kind)].iter().chain(key) {
        match body.get(*field) {
            None => {
                body.insert((*field).to_owned(), (*value).into());
            }
            Some(Value::String(written)) if written == value => {}
            Some(written) => {
                return Err(Problem::new(
                    Code::InvalidBody,
                    format!("{field} is {written} in the body but \"{value}\" in the path"),
                )
                .param(*field)
                .hint("leave it out of the body, or correct one of them"));
            }
        }
    }
    let text = serde_json::to_vec(&body).unwrap_or_default();
    super::extract::parse_json::<Record>(&text).map_err(|mut problem| {
        // The place is in the rewritten body, which the user never saw.
        (problem.line, problem.column) = (None, None);
        problem
    })
}
