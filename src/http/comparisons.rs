//! Comparisons: several scenarios on the same draws.

use actix_web::{HttpRequest, HttpResponse, get, post, web};

use super::App;
use super::extract::{Body, Params};
use super::graphs::Nothing;
use super::run::{Unanswered, answered, attend, permanent, respond};
use crate::analysis::Progress;
use crate::service::comparisons::{ComparisonAnswer, ComparisonBody};

/// Compares several scenarios on the same draws: which is worse, by how much, how surely.
///
/// For each target a table of losses with ranges, and for each pair of scenarios the difference
/// with its range and the share of the draws in which the one is worse than the other. What the
/// scenarios have in common cancels out, so a difference is often known better than either loss.
#[utoipa::path(tag = "Answer",
    params(("g" = String, Path, description = "Name of the graph", example = "critical-minerals")),
    request_body(content = ComparisonBody, examples(
        ("Two presets" = (summary = "Chinese refining, with critical uses first or everyone alike",
            value = json!({"scenarios": [
                {"id": "critical first", "scenario": "china-refining-stops"},
                {"id": "alike", "scenario": "china-refining-stops", "model": {"rationing": {"rule": "proportional"}}}],
                "draws": 200}))))),
    responses((status = 200, description = "The comparison", body = ComparisonAnswer),
              (status = 202, description = "A job (with `Prefer: respond-async`, or if it takes long)")))]
#[post("/v1/graphs/{g}/comparisons")]
pub async fn post_comparison(
    service: App,
    path: web::Path<String>,
    request: HttpRequest,
    _query: Params<Nothing>,
    body: Body<ComparisonBody>,
) -> Result<HttpResponse, Unanswered> {
    let snapshot = service.snapshot(&path, body.0.at).await?;
    let comparison = service.comparison(snapshot, body.0)?;
    if let Some(answer) = service.answers.get(&comparison.id) {
        return Ok(answered(answer));
    }
    let (shared, estimate) = (service.clone(), comparison.estimate());
    let work = move |progress: &Progress| shared.compare(&comparison, progress);
    respond(&service, &request, "comparison", estimate, work).await
}

/// Gets a comparison again by its id: the same bytes, also after a restart.
#[utoipa::path(tag = "Answer",
    params(("id" = String, Path, description = "Id of the comparison", example = "cmp_…")),
    responses((status = 200, description = "The comparison", body = ComparisonAnswer),
              (status = 202, description = "A job, if it has to be made again and takes long")))]
#[get("/v1/comparisons/{id}")]
pub async fn get_comparison(
    service: App,
    request: HttpRequest,
    path: web::Path<String>,
    _query: Params<Nothing>,
) -> Result<HttpResponse, Unanswered> {
    if let Some(answer) = service.answers.at("comparisons", &path) {
        return Ok(permanent(answer));
    }
    let (shared, id) = (service.clone(), path.into_inner());
    let comparison = service.blocking(move || shared.comparison_of(&id)).await?;
    let (shared, estimate) = (service.clone(), comparison.estimate());
    let work = move |progress: &Progress| shared.compare(&comparison, progress);
    Ok(permanent(attend(&service, &request, "comparison", estimate, work).await?))
}
