//! Attack curves.

use actix_web::{HttpRequest, HttpResponse, post, web};

use super::{AskQuery, ask};
use crate::http::App;
use crate::http::extract::{Body, Params};
use crate::http::run::Unanswered;
use crate::service::structure::Structural;
use crate::service::structure::attack::{AttackCurveAnswer, AttackCurveBody};

/// Follows what is left of the network while nodes are lost one after another.
#[utoipa::path(tag = "Explore",
    params(("g" = String, Path, description = "Name of the graph", example = "critical-minerals"), AskQuery),
    request_body(content = AttackCurveBody, examples(
        ("Hubs first" = (summary = "Always the node with most links left",
            value = json!({"order": "remaining_degree", "points": 50}))),
        ("Brokers first" = (summary = "By betweenness, with the largest loop at ten points",
            value = json!({"order": "centrality", "centrality": {"measure": "betweenness"}, "points": 50, "strong_points": 10}))),
        ("At random" = (summary = "Random failures",
            value = json!({"order": "random", "seed": 7, "points": 50}))))),
    responses((status = 200, description = "The curve", body = Structural<AttackCurveAnswer>),
              (status = 202, description = "A job (with `Prefer: respond-async`, or if it takes long)")))]
#[post("/v1/graphs/{g}/attack-curve")]
pub async fn post_attack_curve(
    service: App,
    path: web::Path<String>,
    request: HttpRequest,
    query: Params<AskQuery>,
    body: Body<AttackCurveBody>,
) -> Result<HttpResponse, Unanswered> {
    ask(service, &path, &request, &query.0, body.0).await
}
