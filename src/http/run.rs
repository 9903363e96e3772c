//! How an analysis is answered: from the cache, at once on the pool, or as a job.

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG};
use actix_web::{HttpRequest, HttpResponse, ResponseError};

use super::App;
use super::extract::header;
use super::guard::who;
use super::jobs::accepted;
use super::problem::Problem;
use crate::analysis::Progress;
use crate::graph::Snapshot;
use crate::service::analyses::Analysis;
use crate::service::answers::Answer;
use crate::service::jobs::{Attended, Estimate, JobView};
use crate::service::{Service, ServiceError};

/// What a caller prefers (RFC 7240). What cannot be understood is ignored, as the RFC says.
#[derive(Debug, Default, PartialEq)]
struct Preference {
    /// `respond-async`.
    job: bool,
    /// `wait`, with its seconds.
    wait: Option<Option<Duration>>,
}

impl Preference {
    fn of(text: &str) -> Self {
        let mut wishes = Self::default();
        for part in text.split([',', ';']) {
            let (name, value) = match part.split_once('=') {
                Some((name, value)) => (name, Some(value.trim().trim_matches('"'))),
                None => (part, None),
            };
            match (name.trim().to_ascii_lowercase().as_str(), value) {
                ("respond-async", _) => wishes.job = true,
                ("wait", None) => wishes.wait = Some(None),
                ("wait", Some(seconds)) => {
                    if let Ok(seconds) = seconds.parse::<u32>() {
                        wishes.wait = Some(Some(Duration::from_secs(seconds.into())));
                    }
                }
                _ => {}
            }
        }
        wishes
    }

    /// How long to wait for an answer before it becomes a job (`None`: as long as it takes), for
    /// work that is estimated to take `seconds`.
    fn patience(&self, seconds: f64, usual: Duration) -> Option<Duration> {
        match self.wait {
            Some(Some(wait)) => Some(wait),
            _ if self.job => Some(Duration::ZERO),
            Some(None) => None,
            None if seconds > usual.as_secs_f64() => Some(Duration::ZERO),
            None => Some(usual),
        }
    }
}

fn preference(request: &HttpRequest) -> Result<Preference, Problem> {
    Ok(Preference::of(header(request.headers(), "prefer")?.unwrap_or_default()))
}

/// True if the caller wants a job rather than an answer.
///
/// # Errors
/// A `Prefer` that is no text.
pub fn wants_job(request: &HttpRequest) -> Result<bool, Problem> {
    let wishes = preference(request)?;
    Ok(wishes.patience(0.0, Duration::MAX) == Some(Duration::ZERO))
}

/// Why a handler has no answer: something is wrong, or a job is making it.
#[derive(Debug)]
pub enum Unanswered {
    /// What is wrong.
    Problem(Box<Problem>),
    /// The job; the response names it.
    Job(Box<JobView>),
}

impl<E: Into<Problem>> From<E> for Unanswered {
    fn from(error: E) -> Self {
        Self::Problem(Box::new(error.into()))
    }
}

impl std::fmt::Display for Unanswered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Problem(problem) => problem.fmt(f),
            Self::Job(job) => write!(f, "goes on as {}", job.id),
        }
    }
}

impl ResponseError for Unanswered {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::Problem(problem) => problem.status_code(),
            Self::Job(_) => StatusCode::ACCEPTED,
        }
    }

    fn error_response(&self) -> HttpResponse {
        match self {
            Self::Problem(problem) => problem.error_response(),
            Self::Job(job) => accepted((**job).clone()).unwrap_or_else(|p| p.error_response()),
        }
    }
}

/// Answers an analysis, as [`attend`] does.
///
/// # Errors
/// What `work` returns; the job that it became.
pub async fn respond<F>(
    service: &App,
    request: &HttpRequest,
    kind: &'static str,
    estimate: Estimate,
    work: F,
) -> Result<HttpResponse, Unanswered>
where
    F: FnOnce(&Progress) -> Result<Answer, ServiceError> + Send + 'static,
{
    Ok(answered(attend(service, request, kind, estimate, work).await?))
}

/// Works an answer out. `work` runs on the pool; its answer is kept and can be read again at its
/// location. With `Prefer: respond-async`, or if it is estimated to take long, it becomes a job;
/// if it only turns out to take long, it goes on as a job.
///
/// # Errors
/// What `work` returns; the job that it became.
pub async fn attend<F>(
    service: &App,
    request: &HttpRequest,
    kind: &'static str,
    estimate: Estimate,
    work: F,
) -> Result<Answer, Unanswered>
where
    F: FnOnce(&Progress) -> Result<Answer, ServiceError> + Send + 'static,
{
    service.memory.admit(estimate.bytes)?;
    let owner = who(request).name;
    let answers = service.answers.clone();
    let kept = move |progress: &Progress| {
        let answer = work(progress)?;
        answers.put(answer.clone());
        Ok(answer)
    };
    let permalinks = service.permalinks.clone();
    let address = move |answer: Answer| {
        let _ = permalinks.stored(&answer.id).blocking_recv();
        answer.location
    };
    let patience = preference(request)?.patience(estimate.seconds, service.jobs.patience());
    let job = if patience == Some(Duration::ZERO) {
        let work = move |progress: &Progress| kept(progress).map(address);
        service.jobs.start(&owner, kind, estimate, work)?
    } else {
        let asked = (&owner, kind, estimate);
        match service.jobs.attend(&service.pool, asked, patience, kept, address).await? {
            Attended::Job(job) => job,
            Attended::Done(answer) => {
                promised(service, &answer).await;
                return Ok(answer);
            }
        }
    };
    Err(Unanswered::Job(Box::new(job.view())))
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

/// The answer to an analysis of a snapshot: kept, or worked out as [`attend`] does.
///
/// # Errors
/// What the analysis returns; the job that it became.
pub async fn analysed<Q: Analysis + Send + 'static>(
    service: &App,
    request: &HttpRequest,
    snapshot: Arc<Snapshot>,
    question: Q,
) -> Result<Answer, Unanswered> {
    if let Some(answer) = service.answers.get(&Service::analysis_id(&snapshot, &question)) {
        return Ok(answer);
    }
    let (shared, estimate) = (service.clone(), question.estimate(&snapshot));
    let work = move |progress: &Progress| shared.analyse(&snapshot, &question, progress);
    attend(service, request, Q::NAME, estimate, work).await
}

/// The answer of an analysis by its id: the same bytes, also after a restart.
///
/// # Errors
/// An unknown id; what the analysis returns; the job that it became.
pub async fn analysed_again<Q: Analysis + Send + 'static>(
    service: &App,
    request: &HttpRequest,
    id: &str,
) -> Result<HttpResponse, Unanswered> {
    if id.starts_with(Q::PREFIX)
        && let Some(answer) = service.answers.get(id)
    {
        return Ok(permanent(answer));
    }
    let (shared, name) = (service.clone(), id.to_owned());
    let (snapshot, question) = service.blocking(move || shared.analysis_of::<Q>(&name)).await?;
    Ok(permanent(analysed(service, request, snapshot, question).await?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn preferences_are_read_as_rfc_7240_says() {
        let (usual, second) = (Duration::from_secs(30), Duration::from_secs(1));
        for (text, seconds, patience) in [
            ("", 1.0, Some(usual)),
            ("", 31.0, Some(Duration::ZERO)),
            ("wait", 1000.0, None),
            ("Wait=1", 1000.0, Some(second)),
            ("wait=\"1\"; foo=\"bar\"", 0.0, Some(second)),
            ("respond-async", 0.0, Some(Duration::ZERO)),
            ("respond-async, wait=1", 0.0, Some(second)),
            ("handling=lenient, wait = 1", 0.0, Some(second)),
            ("wait=0", 0.0, Some(Duration::ZERO)),
            // What cannot be understood is as if it were not there.
            ("wait=soon", 1.0, Some(usual)),
            ("wait=-1", 31.0, Some(Duration::ZERO)),
            ("respond_async", 1.0, Some(usual)),
        ] {
            assert_eq!(Preference::of(text).patience(seconds, usual), patience, "{text}");
        }
    }
}
