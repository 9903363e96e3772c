//! Structural questions: a handler each, a file per noun. All of them answer in the same way: from
//! the cache, at once on the pool, or as a job; every answer can be read again by its id.

pub mod attack;
pub mod centrality;
pub mod chains;
pub mod choke_points;
pub mod components;
pub mod cuts;
pub mod cycles;
pub mod paths;
pub mod reachability;
pub mod similar;
pub mod table;

use actix_web::{HttpRequest, HttpResponse, get, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::App;
use super::extract::Params;
use super::graphs::Nothing;
use super::reply::json;
use super::run::{Unanswered, answered, attend, permanent, respond};
use crate::analysis::Progress;
use crate::service::answers::Answer;
use crate::service::jobs::Estimate;
use crate::service::structure::{Asked, Question};

/// What every structural question takes in its query.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AskQuery {
    /// `true`: say what the answer would take, without computing it.
    #[serde(default)]
    #[param(default = false)]
    pub estimate: bool,
}

/// What an answer would take.
#[derive(Debug, Serialize, ToSchema)]
pub struct EstimateAnswer {
    /// Graph.
    pub graph: String,
    /// Version.
    pub version: u64,
    /// Id of the answer.
    pub id: String,
    /// Time and memory, roughly.
    pub estimate: Estimate,
    /// True if the answer is there already.
    pub known: bool,
}

/// Answers a structural question about a graph.
async fn ask(
    service: App,
    graph: &str,
    request: &HttpRequest,
    query: &AskQuery,
    question: impl Into<Question>,
) -> Result<HttpResponse, Unanswered> {
    let mut question = question.into();
    let snapshot = service.snapshot(graph, *question.at()).await?;
    let threads = service.pool.threads();
    let prepare = move || {
        let asked = Asked::new(snapshot, question);
        asked.check()?;
        let estimate = asked.estimate(threads);
        Ok((asked, estimate))
    };
    // The first id of a version hashes the whole graph; estimates may evaluate selectors.
    let (asked, estimate) = service.pool.run(prepare).await?;
    let known = service.answers.get(&asked.id);
    if query.estimate {
        let info = asked.snapshot.info();
        return Ok(json(&EstimateAnswer {
            graph: info.graph.to_string(),
            version: info.version,
            id: asked.id.clone(),
            estimate,
            known: known.is_some(),
        })?);
    }
    if let Some(answer) = known {
        return Ok(answered(answer));
    }
    let shared = service.clone();
    let kind = asked.name();
    respond(&service, request, kind, estimate, move |p| shared.structure(&asked, p)).await
}

/// Gets a structural answer again by its id: the same bytes, also after a restart.
#[utoipa::path(tag = "Explore",
    params(("id" = String, Path, description = "Id of the answer", example = "cen_…")),
    responses((status = 200, description = "The answer, in the shape of its question", body = Object),
              (status = 202, description = "A job, if it is no longer kept and takes long to compute again")))]
#[get("/v1/structure/{id}")]
pub async fn get_structure(
    service: App,
    path: web::Path<String>,
    request: HttpRequest,
    _query: Params<Nothing>,
) -> Result<HttpResponse, Unanswered> {
    Ok(permanent(again(&service, &request, &path).await?))
}

/// The answer of an id, kept or computed again.
async fn again(service: &App, request: &HttpRequest, id: &str) -> Result<Answer, Unanswered> {
    if let Some(answer) = service.answers.at("structure", id) {
        return Ok(answer);
    }
    let (shared, id) = (service.clone(), id.to_owned());
    let asked = service.blocking(move || shared.structure_of(&id)).await?;
    let estimate = asked.estimate(service.pool.threads());
    let (shared, kind) = (service.clone(), asked.name());
    let work = move |progress: &Progress| shared.structure(&asked, progress);
    attend(service, request, kind, estimate, work).await
}
