//! A structural answer as a table for a spreadsheet.

use actix_web::{HttpRequest, HttpResponse, get, web};
use serde_json::{Map, Value};

use super::again;
use crate::http::App;
use crate::http::csv;
use crate::http::extract::Params;
use crate::http::graphs::Nothing;
use crate::http::problem::{Code, Problem};
use crate::http::run::Unanswered;
use crate::service::ServiceError;

/// The longest list of rows in an answer: the scores of a centrality, the components, the paths.
fn longest_list(answer: &Map<String, Value>) -> Option<Vec<&Map<String, Value>>> {
    let lists = answer.values().filter_map(|value| {
        let rows: Option<Vec<_>> = value.as_array()?.iter().map(Value::as_object).collect();
        rows.filter(|rows| !rows.is_empty())
    });
    // The first of equally long ones: `max_by_key` alone would take the last.
    lists.reduce(|best, next| if next.len() > best.len() { next } else { best })
}

/// The list in a structural answer (scores, components, paths, ...) as CSV, one row for each entry.
///
/// An answer with several lists gives its longest.
#[utoipa::path(tag = "Explore",
    params(("id" = String, Path, description = "Id of the answer", example = "cen_…")),
    responses((status = 200, description = "The rows; columns are the fields of an entry",
                content_type = "text/csv", body = String),
              (status = 202, description = "A job, if it has to be made again and takes long")))]
#[get("/v1/structure/{id}/table.csv")]
pub async fn get_structure_table(
    service: App,
    path: web::Path<String>,
    request: HttpRequest,
    _query: Params<Nothing>,
) -> Result<HttpResponse, Unanswered> {
    let answer = again(&service, &request, &path).await?;
    let work = move || {
        let body: Map<String, Value> =
            serde_json::from_slice(&answer.body).map_err(|_| ServiceError::Internal)?;
        let Some(rows) = longest_list(&body) else {
            return Err(Problem::new(
                Code::NotFound,
                "the answer holds no list to write as a table",
            )
            .hint(format!("read it at /v1/structure/{}", answer.id)));
        };
        Ok((csv::table(rows.into_iter())?, answer.id))
    };
    let (table, id) = service.blocking(move || Ok(work())).await??;
    Ok(csv::response(&id, None, table))
}
