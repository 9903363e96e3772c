//! Batches of changes, and the writes of single rows.

use actix_web::{HttpRequest, HttpResponse, post, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::App;
use super::extract::{RawJson, parse_body, write_context};
use super::once::{claim, replay};
use super::problem::{Code, Problem};
use super::reply::{bytes, etag, written};
use crate::model::Change;
use crate::service::idempotency::{Claim, hash};
use crate::service::writer::Write;

/// One atomic batch.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"message": "a second mine", "changes": [
    {"op": "put", "type": "node", "id": "tin.mine.PER", "stage": "mine", "product": "tin", "country": "PER"},
    {"op": "put", "type": "flow", "from": "tin.mine.PER", "to": "tin.refine.CHN", "quantity": 120.0}
]}))]
pub struct ChangesBody {
    /// Why, for the log.
    #[serde(default)]
    pub message: Option<String>,
    /// Puts and deletes of records, applied in order, all or none.
    #[schema(value_type = Vec<Object>)]
    pub changes: Vec<Change>,
}

/// What a write did.
#[derive(Debug, Serialize, ToSchema)]
pub struct Applied {
    /// Version that the write made.
    pub version: u64,
    /// Number of changes.
    pub applied: usize,
}

/// Changes a graph: one atomic batch.
///
/// All changes or none are written, as one new version. `If-Match` refuses the batch if the graph
/// has changed since; `Idempotency-Key` makes a repeated request safe.
#[utoipa::path(tag = "Data",
    params(("g" = String, Path, description = "Name of the graph", example = "what-if")),
    request_body = ChangesBody,
    responses((status = 200, description = "The new version", body = Applied)))]
#[post("/v1/graphs/{g}/changes")]
pub async fn post_changes(
    service: App,
    path: web::Path<String>,
    request: HttpRequest,
    body: RawJson,
) -> Result<HttpResponse, Problem> {
    let turn = match claim(&service, &request)? {
        Some(Claim::Again(first)) => return replay(first, &hash([&body.0[..]])),
        Some(Claim::First(turn)) => Some((turn, hash([&body.0[..]]))),
        None => None,
    };
    let ChangesBody { message, changes } = parse_body(&request, body.0).await?;
    if changes.is_empty() {
        return Err(Problem::new(Code::Impossible, "there are no changes").param("changes"));
    }
    let applied = changes.len();
    let context = write_context(&request, message)?;
    // The answer to repeat becomes durable with the batch: after a crash, both are there or none.
    let attached = turn.iter().map(|(turn, body_hash)| {
        turn.attached(body_hash.clone(), move |version| {
            let body = bytes(&Applied { version, applied }).unwrap_or_default();
            let headers = vec![
                ("content-type".to_owned(), "application/json".to_owned()),
                ("etag".to_owned(), etag(version)),
            ];
            (200, headers, String::from_utf8_lossy(&body).into_owned())
        })
    });
    let attached = attached.collect();
    let done = service.write_with(&path, context, Write::Changes(changes), attached).await?;
    written(&Applied { version: done.head.version, applied }, version_of(&done), None)
}

/// Version that a write made.
pub fn version_of(done: &crate::service::writer::Written) -> u64 {
    done.version.as_ref().map_or(done.head.version, |v| v.version)
}

/// Writes one change of a single row. A missing row to delete is 404 here.
///
/// # Errors
/// Why the change was refused.
pub async fn single(
    service: &App,
    request: &HttpRequest,
    graph: &str,
    change: Change,
) -> Result<u64, Problem> {
    let deletes = matches!(change, Change::Delete(_));
    let context = write_context(request, None)?;
    let done = service.write(graph, context, Write::Changes(vec![change])).await;
    match done {
        Ok(done) => Ok(version_of(&done)),
        Err(crate::service::ServiceError::Change(error)) if deletes && error.absent => {
            Err(Problem::new(Code::NotFound, error.problem))
        }
        Err(error) => {
            let mut problem = Problem::from(error);
            // A single row has no place in a batch.
            problem.param = problem
                .param
                .and_then(|p| p.strip_prefix("changes[0].").map(str::to_owned))
                .or(None);
            Err(problem)
        }
    }
}

/// The answer to a deleted row.
///
/// # Errors
/// [`Code::Internal`].
pub fn deleted(version: u64) -> Result<HttpResponse, Problem> {
    Ok(HttpResponse::Ok()
        .insert_header(("etag", etag(version)))
        .insert_header(("content-type", "application/json"))
        .body(bytes(&Applied { version, applied: 1 })?))
}
