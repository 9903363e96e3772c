//! Bundled scenarios by name: `/v1/impacts/china-refining-stops/timeline` leads to the timeline of
//! that scenario's answer on the newest version of the bundled graph.
//!
//! A redirection, never an answer of its own: what an address with an id shows never changes, what
//! a name stands for does with every version of the graph.

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{CACHE_CONTROL, LOCATION};
use actix_web::middleware::Next;
use actix_web::{HttpRequest, HttpResponse, ResponseError};

use super::App;
use super::guard::may_read;
use super::problem::Problem;
use super::run::promised;
use crate::analysis::Progress;
use crate::dataset::CRITICAL_MINERALS;
use crate::model::scenario::ScenarioBody;

const ANSWERS: &str = "/v1/impacts/";

/// Leads a name to the answer's own address; lets everything else pass.
///
/// # Errors
/// None of its own.
pub async fn by_name(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let rest = request.path().strip_prefix(ANSWERS).unwrap_or_default();
    let end = rest.find('/').unwrap_or(rest.len());
    let (name, part) = (rest[..end].to_owned(), rest[end..].to_owned());
    let service = request.app_data::<App>().cloned();
    let Some(service) = service.filter(|s| s.reference.presets.contains_key(&name)) else {
        return Ok(next.call(request).await?.map_into_boxed_body());
    };
    let response = match answered(&service, request.request(), name).await {
        Ok(id) => {
            let query = request.query_string();
            let mark = if query.is_empty() { "" } else { "?" };
            HttpResponse::TemporaryRedirect()
                .insert_header((LOCATION, format!("{ANSWERS}{id}{part}{mark}{query}")))
                .insert_header((CACHE_CONTROL, "no-cache"))
                .finish()
        }
        Err(problem) => problem.error_response(),
    };
    Ok(request.into_response(response))
}

/// Id of a bundled scenario's answer. It is evaluated, so that its address is known from here on.
async fn answered(service: &App, request: &HttpRequest, name: String) -> Result<String, Problem> {
    may_read(request, CRITICAL_MINERALS)?;
    let snapshot = service.snapshot(CRITICAL_MINERALS, None).await?;
    let body = ScenarioBody { scenario: Some(name), ..ScenarioBody::default() };
    let question = service.question(snapshot, body)?;
    let id = question.id.clone();
    let shared = service.clone();
    let answer = service.pool.run(move || shared.impact(&question, &Progress::silent())).await?;
    promised(service, &answer).await;
    Ok(id)
}
