//! Exposure: how much of a target's supply comes from a set of nodes.

use actix_web::{HttpRequest, HttpResponse, get, post, web};

use super::App;
use super::extract::{Body, Params};
use super::graphs::Nothing;
use super::run::{Unanswered, analysed, analysed_again, answered};
use crate::service::analyses::Framed;
use crate::service::exposure::{ExposureAnswer, ExposureBody};

/// Tells how much of a target's supply comes from a set of nodes, directly and through the chain.
///
/// Shares of supply say what touches the set; `loss_without` says what stops without it. `on` may
/// name countries, blocs, owners (`attributes`), stages, products or nodes.
#[utoipa::path(tag = "Explore",
    params(("g" = String, Path, description = "Name of the graph", example = "critical-minerals")),
    request_body(content = ExposureBody, examples(
        ("A destroyer" = (summary = "What of a DDG-51's inputs is Chinese?",
            value = json!({"target": {"product": "ddg51"}, "on": {"country": "CHN"}}))))),
    responses((status = 200, description = "The exposure", body = Framed<ExposureAnswer>),
              (status = 202, description = "A job (with `Prefer: respond-async`, or if it takes long)")))]
#[post("/v1/graphs/{g}/exposure")]
pub async fn post_exposure(
    service: App,
    path: web::Path<String>,
    request: HttpRequest,
    _query: Params<Nothing>,
    body: Body<ExposureBody>,
) -> Result<HttpResponse, Unanswered> {
    let snapshot = service.snapshot(&path, body.0.at).await?;
    let mut question = body.0;
    question.at = Some(snapshot.info().version);
    Ok(answered(analysed(&service, &request, snapshot, question).await?))
}

/// Gets an exposure again by its id: the same bytes.
#[utoipa::path(tag = "Explore",
    params(("id" = String, Path, description = "Id of the answer", example = "exp_…")),
    responses((status = 200, description = "The exposure", body = Framed<ExposureAnswer>),
              (status = 202, description = "A job, if it has to be made again and takes long")))]
#[get("/v1/exposures/{id}")]
pub async fn get_exposure(
    service: App,
    path: web::Path<String>,
    request: HttpRequest,
    _query: Params<Nothing>,
) -> Result<HttpResponse, Unanswered> {
    analysed_again::<ExposureBody>(&service, &request, &path).await
}
