//! The longest chain, and tiers.

use actix_web::{HttpRequest, HttpResponse, post, web};

use super::{AskQuery, ask};
use crate::http::App;
use crate::http::extract::{Body, Params};
use crate::http::run::Unanswered;
use crate::service::structure::Structural;
use crate::service::structure::chains::{
    LongestChainAnswer, LongestChainBody, TiersAnswer, TiersBody,
};

/// Finds the longest chain of suppliers, cycles taken as one link.
#[utoipa::path(tag = "Explore",
    params(("g" = String, Path, description = "Name of the graph", example = "critical-minerals"), AskQuery),
    request_body(content = LongestChainBody, examples(
        ("Steps" = (summary = "Most flows",
            value = json!({}))),
        ("Quantity" = (summary = "Largest sum of quantities; `attribute:lead_days` gives the longest lead time where flows have it",
            value = json!({"weight": "quantity"}))))),
    responses((status = 200, description = "The chain", body = Structural<LongestChainAnswer>),
              (status = 202, description = "A job (with `Prefer: respond-async`, or if it takes long)")))]
#[post("/v1/graphs/{g}/longest-chain")]
pub async fn post_longest_chain(
    service: App,
    path: web::Path<String>,
    request: HttpRequest,
    query: Params<AskQuery>,
    body: Body<LongestChainBody>,
) -> Result<HttpResponse, Unanswered> {
    ask(service, &path, &request, &query.0, body.0).await
}

/// Puts every node in its tier: how many steps of the supply chain lie before and behind it.
#[utoipa::path(tag = "Explore",
    params(("g" = String, Path, description = "Name of the graph", example = "critical-minerals"), AskQuery),
    request_body(content = TiersBody, examples(
        ("All" = (summary = "All nodes",
            value = json!({}))),
        ("Refiners" = (summary = "Refiners only",
            value = json!({"select": {"stage": "refine"}}))))),
    responses((status = 200, description = "Tiers, nodes by id", body = Structural<TiersAnswer>),
              (status = 202, description = "A job (with `Prefer: respond-async`, or if it takes long)")))]
#[post("/v1/graphs/{g}/tiers")]
pub async fn post_tiers(
    service: App,
    path: web::Path<String>,
    request: HttpRequest,
    query: Params<AskQuery>,
    body: Body<TiersBody>,
) -> Result<HttpResponse, Unanswered> {
    ask(service, &path, &request, &query.0, body.0).await
}
