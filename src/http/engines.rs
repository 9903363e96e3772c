//! Engines, and analyses that run on one of them as jobs.

use actix_web::{HttpRequest, HttpResponse, delete, get, post, web};
use serde::Deserialize;
use utoipa::IntoParams;

use super::App;
use super::extract::{Body, Params};
use super::graphs::Nothing;
use super::guard::who;
use super::jobs::{JobAnswer, accepted};
use super::problem::Problem;
use super::reply::json as answer;
use crate::service::engines::{AnalysisAnswer, AnalysisBody, EnginesAnswer};
use crate::service::filter::ListQuery;

/// Lists engines: what runs where, with versions and limits.
///
/// `local` is always there. `spark` is looked for at start with the setting `spark_python`. Analyses
/// that only `local` does are listed with the size up to which it does them.
#[utoipa::path(tag = "Operations",
    responses((status = 200, description = "Engines", body = EnginesAnswer)))]
#[get("/v1/engines")]
pub async fn list_engines(service: App, _query: Params<Nothing>) -> Result<HttpResponse, Problem> {
    let shared = service.clone();
    answer(&service.blocking(move || Ok(shared.engines.view())).await?)
}

/// Runs an analysis on an engine, as a job.
///
/// The same question has the same rows on every engine: losses within 1e-9, PageRank within 1e-6,
/// components equal. What an engine does not do it refuses (422), as is an engine that is not set
/// up here. A question that was answered before is answered at once (200).
#[utoipa::path(tag = "Structure",
    params(("g" = String, Path, description = "Name of the graph", example = "critical-minerals")),
    request_body(content = AnalysisBody, examples(
        ("PageRank" = (summary = "PageRank on Spark",
            value = json!({"engine": "spark", "analysis": {"name": "pagerank", "weight": "quantity"}}))),
        ("Impacts" = (summary = "Two scenarios in this process",
            value = json!({"engine": "local", "analysis": {"name": "impacts", "scenarios": [
                {"id": "gallium", "shocks": [{"select": {"country": "CHN", "product": "gallium"}}]},
                {"id": "germanium", "shocks": [{"select": {"country": "CHN", "product": "germanium"}}]}],
                "model": {"rationing": {"rule": "proportional"}}}}))))),
    responses((status = 202, description = "The job; its result is an analysis", body = JobAnswer),
              (status = 200, description = "The answer, if it was asked before", body = AnalysisAnswer)))]
#[post("/v1/graphs/{g}/analyses")]
pub async fn post_analysis(
    service: App,
    path: web::Path<String>,
    request: HttpRequest,
    _query: Params<Nothing>,
    body: Body<AnalysisBody>,
) -> Result<HttpResponse, Problem> {
    let snapshot = service.snapshot(&path, body.0.at).await?;
    let (shared, asked, of) = (service.clone(), body.0.clone(), snapshot.clone());
    if let Some(bytes) = service.blocking(move || shared.analysis_kept(&of, &asked)).await? {
        return Ok(HttpResponse::Ok().content_type("application/json").body(bytes));
    }
    let (shared, owner) = (service.clone().into_inner(), who(&request).name);
    let job = service.blocking(move || shared.analysis_job(&owner, snapshot, body.0)).await?;
    accepted(job.view())
}

/// Gets an analysis that an engine ran: engine, versions, parameters, summary.
#[utoipa::path(tag = "Structure",
    params(("id" = String, Path, description = "Id of the analysis", example = "ana_…")),
    responses((status = 200, description = "The answer", body = AnalysisAnswer)))]
#[get("/v1/analyses/{id}")]
pub async fn get_analysis(
    service: App,
    path: web::Path<String>,
    _query: Params<Nothing>,
) -> Result<HttpResponse, Problem> {
    let shared = service.clone();
    let bytes = service.blocking(move || shared.analysis_answer(&path)).await?;
    Ok(HttpResponse::Ok().content_type("application/json").body(bytes))
}

/// Which rows of a result.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// Most rows of a page (default 100, most 1000).
    limit: Option<usize>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Lists the rows of an analysis: losses by scenario and node, scores, components.
#[utoipa::path(tag = "Structure",
    params(("id" = String, Path, description = "Id of the analysis", example = "ana_…"), PageQuery),
    responses((status = 200, description = "Rows", body = Object)))]
#[get("/v1/analyses/{id}/rows")]
pub async fn list_analysis_rows(
    service: App,
    path: web::Path<String>,
    query: Params<PageQuery>,
) -> Result<HttpResponse, Problem> {
    let shared = service.clone();
    let PageQuery { limit, cursor } = query.0;
    let query = ListQuery { limit, cursor, ..ListQuery::default() };
    answer(&service.blocking(move || shared.analysis_rows(&path, &query)).await?)
}

/// Forgets an analysis: its files are removed.
#[utoipa::path(tag = "Structure",
    params(("id" = String, Path, description = "Id of the analysis", example = "ana_…")),
    responses((status = 204, description = "Done")))]
#[delete("/v1/analyses/{id}")]
pub async fn delete_analysis(
    service: App,
    path: web::Path<String>,
    _query: Params<Nothing>,
) -> Result<HttpResponse, Problem> {
    let shared = service.clone();
    service.blocking(move || shared.forget_analysis(&path)).await?;
    Ok(HttpResponse::NoContent().finish())
}
