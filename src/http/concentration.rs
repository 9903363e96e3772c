//! Concentration and published criticality scores.

use actix_web::{HttpRequest, HttpResponse, get, post, web};

use super::App;
use super::extract::{Body, Params};
use super::graphs::Nothing;
use super::run::{Unanswered, analysed, analysed_again, answered};
use crate::service::analyses::Framed;
use crate::service::concentration::{ConcentrationAnswer, ConcentrationBody};

/// Tells how concentrated each group of nodes is: by country, bloc and owner, with and without a
/// scenario.
///
/// The index among survivors always stands beside the share that is lost. What is not known widens
/// the range instead of counting as nothing. `scores` adds published criticality scores.
#[utoipa::path(tag = "Explore",
    params(("g" = String, Path, description = "Name of the graph", example = "critical-minerals")),
    request_body(content = ConcentrationBody, examples(
        ("Refining without China" = (summary = "Refining of every material, with and without China",
            value = json!({"group_by": ["product"], "select": {"stage": "refine"}, "top": 20,
                "scenario": {"shocks": [{"select": {"country": "CHN", "stage": "refine"}}]}}))),
        ("EU supply risk" = (summary = "The EU's supply risk of gallium and germanium, part by part",
            value = json!({"select": {"product": ["gallium", "germanium"]}, "scores": ["eu_2023"]}))))),
    responses((status = 200, description = "Groups, most concentrated first", body = Framed<ConcentrationAnswer>),
              (status = 202, description = "A job (with `Prefer: respond-async`, or if it takes long)")))]
#[post("/v1/graphs/{g}/concentration")]
pub async fn post_concentration(
    service: App,
    path: web::Path<String>,
    request: HttpRequest,
    _query: Params<Nothing>,
    body: Body<ConcentrationBody>,
) -> Result<HttpResponse, Unanswered> {
    let snapshot = service.snapshot(&path, body.0.at).await?;
    let mut question = body.0;
    question.at = Some(snapshot.info().version);
    if let Some(scenario) = question.scenario.take() {
        question.scenario = Some(service.resolve_scenario(&snapshot, scenario)?);
    }
    Ok(answered(analysed(&service, &request, snapshot, question).await?))
}

/// Gets a concentration again by its id: the same bytes.
#[utoipa::path(tag = "Explore",
    params(("id" = String, Path, description = "Id of the answer", example = "con_…")),
    responses((status = 200, description = "Groups, most concentrated first", body = Framed<ConcentrationAnswer>),
              (status = 202, description = "A job, if it has to be made again and takes long")))]
#[get("/v1/concentrations/{id}")]
pub async fn get_concentration(
    service: App,
    path: web::Path<String>,
    request: HttpRequest,
    _query: Params<Nothing>,
) -> Result<HttpResponse, Unanswered> {
    analysed_again::<ConcentrationBody>(&service, &request, &path).await
}
