//! Jobs: state, cancel, progress as server-sent events.

use std::time::Duration;

use actix_web::{HttpResponse, delete, get, web};
use bytes::Bytes;
use futures_util::stream;
use serde::Serialize;
use utoipa::ToSchema;

use super::App;
use super::extract::Params;
use super::graphs::Nothing;
use super::problem::{Code, Problem};
use super::reply::{bytes, json};
use crate::service::jobs::{Estimate, JobError, JobState, JobView};
use crate::service::time::iso;

/// A job as it stands.
#[derive(Debug, Serialize, ToSchema)]
pub struct JobAnswer {
    /// Id.
    pub id: String,
    /// What it does.
    pub kind: String,
    /// Where it stands.
    pub state: JobState,
    /// Finished share, 0-1.
    pub progress: f64,
    /// What it will probably take.
    pub estimate: Estimate,
    /// When it was asked for (ISO 8601).
    pub created: String,
    /// Who asked for it.
    pub owner: String,
    /// Where the result can be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Problem>,
}

impl From<JobView> for JobAnswer {
    fn from(view: JobView) -> Self {
        Self {
            id: view.id,
            kind: view.kind,
            state: view.state,
            progress: view.progress,
            estimate: view.estimate,
            created: iso(view.created_ms),
            owner: view.owner,
            result: view.result,
            error: view.error.map(|error| match error {
                JobError::Failed(error) => Problem::from(&*error),
                JobError::Earlier(text) => Problem::new(Code::Internal, text),
            }),
        }
    }
}

/// 202 with the job and where to ask for it.
///
/// # Errors
/// [`Code::Internal`].
pub fn accepted(view: JobView) -> Result<HttpResponse, Problem> {
    let location = format!("/v1/jobs/{}", view.id);
    Ok(HttpResponse::Accepted()
        .insert_header(("location", location))
        .insert_header(("retry-after", "1"))
        .insert_header(("preference-applied", "respond-async"))
        .insert_header(("content-type", "application/json"))
        .body(bytes(&JobAnswer::from(view))?))
}

/// Gets a job: state, progress, result.
#[utoipa::path(tag = "Operations",
    params(("id" = String, Path, description = "Id of the job")),
    responses((status = 200, description = "The job", body = JobAnswer)))]
#[get("/v1/jobs/{id}")]
pub async fn get_job(
    service: App,
    path: web::Path<String>,
    _query: Params<Nothing>,
) -> Result<HttpResponse, Problem> {
    json(&JobAnswer::from(service.jobs.view(&path)?))
}

/// Cancels a job.
#[utoipa::path(tag = "Operations",
    params(("id" = String, Path, description = "Id of the job")),
    responses((status = 200, description = "The job; it stops soon", body = JobAnswer)))]
#[delete("/v1/jobs/{id}")]
pub async fn cancel_job(service: App, path: web::Path<String>) -> Result<HttpResponse, Problem> {
    json(&JobAnswer::from(service.jobs.cancel(&path)?))
}

/// One server-sent event of a job.
#[derive(Serialize, ToSchema)]
pub struct JobEvent {
    /// State of the job.
    pub event: JobState,
    /// The job as JSON: what `GET /v1/jobs/{id}` answers.
    #[schema(content_media_type = "application/json")]
    pub data: String,
}

/// Streams the progress of a job as server-sent events.
///
/// Each event is named after the state and carries the job as JSON; the stream ends with the job.
#[utoipa::path(tag = "Operations",
    params(("id" = String, Path, description = "Id of the job")),
    responses((status = 200, description = "A stream of events, each as the schema says", body = JobEvent,
        content_type = "text/event-stream")))]
#[get("/v1/jobs/{id}/events")]
pub async fn watch_job(service: App, path: web::Path<String>) -> Result<HttpResponse, Problem> {
    let id = path.into_inner();
    service.jobs.view(&id)?;
    let events = stream::unfold(Some((service, id, true)), |state| async move {
        let (service, id, first) = state?;
        if !first && let Some(job) = service.jobs.get(&id) {
            // At each change of state, and twice a second for the progress.
            let mut changed = job.watch();
            let _ = tokio::time::timeout(Duration::from_millis(500), changed.changed()).await;
        }
        let answer = JobAnswer::from(service.jobs.view(&id).ok()?);
        let sent = JobEvent { event: answer.state, data: serde_json::to_string(&answer).ok()? };
        let name = serde_json::to_value(sent.event).ok()?;
        let (name, data) = (name.as_str()?, sent.data);
        let text = format!("event: {name}\ndata: {data}\n\n");
        let next = (!answer.state.is_final()).then_some((service, id, false));
        Some((Ok::<_, std::convert::Infallible>(Bytes::from(text)), next))
    });
    Ok(HttpResponse::Ok()
        .insert_header(("content-type", "text/event-stream"))
        .insert_header(("cache-control", "no-store"))
        // Compression would hold events back.
        .insert_header(("content-encoding", "identity"))
        .streaming(events))
}
