//! What to protect or build against cuts.

use actix_web::{HttpRequest, HttpResponse, get, post, web};

use super::App;
use super::cut_sets::{again, ask};
use super::extract::{Body, Params};
use super::graphs::Nothing;
use super::run::Unanswered;
use crate::service::cut_sets::ask::{CutAsk, ProtectionBody};
use crate::service::cut_sets::protect::ProtectionAnswer;

/// Finds the cheapest units to protect, or things to build, so that no small cut is left.
///
/// Without `options`: the units whose protection leaves no cut of up to `max_size` units. With
/// `options` (links, stocks, projects, substitutes): the cheapest choice of them after which no loss
/// of up to `max_size` units reaches the threshold, with the loss curve before and after.
#[utoipa::path(tag = "Answer",
    params(("g" = String, Path, description = "Name of the graph", example = "critical-minerals")),
    request_body(content = ProtectionBody, examples(
        ("Single points of failure" = (summary = "What to protect so that no single country stage costs defence half its output",
            value = json!({"target": {"product": "defence", "stage": "industry"}, "loss_at_least": 0.5, "max_size": 1,
                "units": {"group_by": ["country", "stage"]}, "select": {"stage": ["mine", "refine", "component"]}}))),
        ("Projects" = (summary = "Which projects keep a single country's refining from costing semiconductors a fifth?",
            value = json!({"target": {"product": "semiconductors", "stage": "industry"}, "loss_at_least": 0.2, "max_size": 1,
                "units": {"list": [{"name": "gallium from China", "select": {"country": "CHN", "product": "gallium", "stage": "refine"}}]},
                "options": [{"name": "gallium plant", "cost": 3, "response": {"kind": "project", "product": "gallium", "country": "DEU", "capacity": 800}}]}))))),
    responses((status = 200, description = "What to protect or build", body = ProtectionAnswer),
              (status = 202, description = "A job (with `Prefer: respond-async`, or if it takes long)")))]
#[post("/v1/graphs/{g}/protection")]
pub async fn post_protection(
    service: App,
    path: web::Path<String>,
    request: HttpRequest,
    _query: Params<Nothing>,
    body: Body<ProtectionBody>,
) -> Result<HttpResponse, Unanswered> {
    ask(&service, &path, &request, "protection", CutAsk::Protection(body.0)).await
}

/// Gets a protection answer again by its id.
#[utoipa::path(tag = "Answer",
    params(("id" = String, Path, description = "Id of the answer", example = "pro_…")),
    responses((status = 200, description = "What to protect or build", body = ProtectionAnswer),
              (status = 202, description = "A job, if it has to be made again and takes long")))]
#[get("/v1/protections/{id}")]
pub async fn get_protection(
    service: App,
    request: HttpRequest,
    path: web::Path<String>,
    _query: Params<Nothing>,
) -> Result<HttpResponse, Unanswered> {
    again(&service, &request, "protections", &path).await
}
