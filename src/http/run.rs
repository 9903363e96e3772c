//! How an analysis is answered: from the cache, at once on the pool, or as a job.

use std::sync::Arc;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG};
use actix_web::{HttpRequest, HttpResponse};

use super::App;
use super::extract::header;
use super::guard::who;
use super::jobs::accepted;
use super::problem::Problem;
use crate::analysis::Progress;
use crate::graph::Snapshot;
use crate::service::analyses::Analysis;
use crate::service::answers::Answer;
use crate::service::jobs::Estimate;
use crate::service::{Service, ServiceError};

/// Work estimated above this becomes a job unless `Prefer: wait` is sent, in seconds.
const SYNC_SECONDS: f64 = 30.0;

/// True if the caller wants a job.
///
/// # Errors
/// A `Prefer` that is no text.
pub fn wants_job(request: &HttpRequest, estimate: Estimate) -> Result<bool, Problem> {
    let prefer = header(request.headers(), "prefer")?.unwrap_or_default();
    let has = |wish: &str| {
        prefer.split([',', ';']).any(|part| {
            part.trim().split('=').next().is_some_and(|name| name.eq_ignore_ascii_case(wish))
        })
    };
    Ok(has("respond-async") || (estimate.seconds > SYNC_SECONDS && !has("wait")))
}

/// Answers an analysis. `work` runs on the pool; its answer is kept and can be read again at its
/// location. With `Prefer: respond-async`, or if it is estimated to take long, it becomes a job.
///
/// # Errors
/// What `work` returns.
pub async fn respond<F>(
    service: &App,
    request: &HttpRequest,
    kind: &'static str,
    estimate: Estimate,
    work: F,
) -> Result<HttpResponse, Problem>
where
    F: FnOnce(&Progress) -> Result<Answer, ServiceError> + Send + 'static,
{
    service.memory.admit(estimate.bytes)?;
    let (answers, permalinks) = (service.answers.clone(), service.permalinks.clone());
    if wants_job(request, estimate)? {
        let job = service.jobs.start(&who(request).name, kind, estimate, move |progress| {
            let answer = work(progress)?;
            let (id, location) = (answer.id.clone(), answer.location.clone());
            answers.put(answer);
            let _ = permalinks.stored(&id).blocking_recv();
            Ok(location)
        })?;
        return accepted(job.view());
    }
    let work = move |progress: &Progress| {
        let answer = work(progress)?;
        answers.put(answer.clone());
        Ok(answer)
    };
    Ok(answered(awaited(service, work).await?))
}

/// Works an answer out as long as its caller waits, and until its address outlives this process.
///
/// # Errors
/// What `work` returns.
pub async fn awaited<F>(service: &App, work: F) -> Result<Answer, ServiceError>
where
    F: FnOnce(&Progress) -> Result<Answer, ServiceError> + Send + 'static,
{
    let answer = service.pool.run_while_awaited(work).await?;
    promised(service, &answer).await;
    Ok(answer)
}

/// Waits until the address of an answer outlives this process.
pub async fn promised(service: &App, answer: &Answer) {
    let _ = service.permalinks.stored(&answer.id).await;
}

/// An answer to a POST: bound to its version, but not for caches.
pub fn answered(answer: Answer) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "application/json"))
        .insert_header((ETAG, format!("\"{}\"", answer.version)))
        .insert_header(("content-location", answer.location))
        .body(answer.body)
}

/// An answer read by its id: it never changes.
pub fn permanent(answer: Answer) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "application/json"))
        .insert_header((ETAG, format!("\"{}\"", answer.id)))
        .insert_header((CACHE_CONTROL, "public, max-age=31536000, immutable"))
        .body(answer.body)
}

/// Answers an analysis of a snapshot: kept, at once, or as a job.
///
/// # Errors
/// What the analysis returns.
pub async fn analysed<Q: Analysis + Send + 'static>(
    service: &App,
    request: &HttpRequest,
    kind: &'static str,
    estimate: Estimate,
    snapshot: Arc<Snapshot>,
    question: Q,
) -> Result<HttpResponse, Problem> {
    if let Some(answer) = service.answers.get(&Service::analysis_id(&snapshot, &question)) {
        return Ok(answered(answer));
    }
    let shared = service.clone();
    respond(service, request, kind, estimate, move |progress| {
        shared.analyse(&snapshot, &question, progress)
    })
    .await
}

/// The answer of an analysis by its id: the same bytes, also after a restart.
///
/// # Errors
/// An unknown id; what the analysis returns.
pub async fn analysed_again<Q: Analysis + Send + 'static>(
    service: &App,
    id: &str,
) -> Result<HttpResponse, Problem> {
    if id.starts_with(Q::PREFIX)
        && let Some(answer) = service.answers.get(id)
    {
        return Ok(permanent(answer));
    }
    let (shared, name) = (service.clone(), id.to_owned());
    let (snapshot, question) = service.blocking(move || shared.analysis_of::<Q>(&name)).await?;
    let shared = service.clone();
    let work = move |progress: &Progress| shared.analyse(&snapshot, &question, progress);
    Ok(permanent(awaited(service, work).await?))
}
