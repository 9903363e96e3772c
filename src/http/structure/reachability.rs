//! Knock-out reachability.

use actix_web::{HttpRequest, HttpResponse, post, web};

use super::{AskQuery, ask};
use crate::http::App;
use crate::http::extract::{Body, Params};
use crate::http::run::Unanswered;
use crate::service::structure::Structural;
use crate::service::structure::reachability::{ReachabilityAnswer, ReachabilityBody};

/// Says for every node what its loss alone cuts off, in near linear time.
///
/// One dominator tree answers for all nodes. `dominator` is the nearest node that every path of a
/// node passes.
#[utoipa::path(tag = "Explore",
    params(("g" = String, Path, description = "Name of the graph", example = "critical-minerals"), AskQuery),
    request_body(content = ReachabilityBody, examples(
        ("Semiconductors" = (summary = "Which node cuts most semiconductor makers off from raw materials?",
            value = json!({"to": {"product": "semiconductors", "stage": "industry"}, "top": 20}))),
        ("Upstream" = (summary = "Whose loss leaves most producers without a way to defence?",
            value = json!({"direction": "upstream", "to": {"product": "defence", "stage": "industry"}, "top": 20}))))),
    responses((status = 200, description = "Nodes, by id or worst first", body = Structural<ReachabilityAnswer>),
              (status = 202, description = "A job (with `Prefer: respond-async`, or if it takes long)")))]
#[post("/v1/graphs/{g}/reachability")]
pub async fn post_reachability(
    service: App,
    path: web::Path<String>,
    request: HttpRequest,
    query: Params<AskQuery>,
    body: Body<ReachabilityBody>,
) -> Result<HttpResponse, Unanswered> {
    ask(service, &path, &request, &query.0, body.0).await
}
