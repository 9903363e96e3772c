//! Batches of changes, and the writes of single rows.

use actix_web::{HttpRequest, HttpResponse, post, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::App;
use super::extract::{RawJson, parse_body, write_context};
use super::once::{claim, replay};
use super::problem::{Code, Problem};
use super::reply::{bytes, etag, written};
use crate::model::change::RecordKey;
use crate::model::{Change, Record};
use crate::service::ServiceError;
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

/// Writes one row: adds it or replaces the one of its key. 201 with its place if it is new.
///
/// # Errors
/// Why the record was refused.
pub async fn put_row(
    service: &App,
    request: &HttpRequest,
    graph: &str,
    record: Record,
) -> Result<HttpResponse, Problem> {
    let context = write_context(request, None)?;
    let done = service.write(graph, context, Write::Changes(vec![Change::Put(record)])).await;
    let done = done.map_err(alone)?;
    let version = version_of(&done);
    let Some(put) = done.put else { return Err(Problem::new(Code::Internal, "internal error")) };
    written(&put.record, version, put.created.then(|| request.path().to_owned()))
}

/// Deletes one row. A missing one is 404.
///
/// # Errors
/// Why it was refused.
pub async fn delete_row(
    service: &App,
    request: &HttpRequest,
    graph: &str,
    key: RecordKey,
) -> Result<HttpResponse, Problem> {
    let context = write_context(request, None)?;
    let done = service.write(graph, context, Write::Changes(vec![Change::Delete(key)])).await;
    let done = done.map_err(|error| match error {
        ServiceError::Change(error) if error.absent => Problem::new(Code::NotFound, error.problem),
        error => alone(error),
    })?;
    let version = version_of(&done);
    written(&Applied { version, applied: 1 }, version, None)
}

/// The problem of a batch of one: a single row has no place in it.
fn alone(error: ServiceError) -> Problem {
    let mut problem = Problem::from(error);
    problem.param = problem.param.and_then(|p| p.strip_prefix("changes[0].").map(str::to_owned));
    problem
}
