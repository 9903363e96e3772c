//! Choke points.

use actix_web::{HttpRequest, HttpResponse, post, web};

use super::{AskQuery, ask};
use crate::http::App;
use crate::http::extract::{Body, Params};
use crate::http::run::Unanswered;
use crate::service::structure::Structural;
use crate::service::structure::choke_points::{ChokePointsAnswer, ChokePointsBody};

/// Finds single nodes and links whose loss separates parts of the network.
///
/// Articulation points and bridges split the undirected projection; dominators lie on every path
/// from the sources; post-dominators on every path to the targets; strong articulation points and
/// bridges break loops. Each says what it separates and how much flow depends on it. Single points
/// of failure are tested under the production rules by the engine of impacts; if they are asked
/// for, that loss stands beside every other choke point too.
#[utoipa::path(tag = "Explore",
    params(("g" = String, Path, description = "Name of the graph", example = "critical-minerals"), AskQuery),
    request_body(content = ChokePointsBody, examples(
        ("Semiconductors" = (summary = "What do all semiconductors hang on?",
            value = json!({"to": {"product": "semiconductors", "stage": "industry"}, "limit": 10}))),
        ("From ore to defence" = (summary = "Dominators between gallium refiners and defence",
            value = json!({"from": {"product": "gallium", "stage": "refine"}, "to": {"product": "defence", "stage": "industry"}, "kinds": ["dominator", "dominator_link", "post_dominator"]}))),
        ("Single points of failure" = (summary = "Nodes whose loss alone takes half of electric vehicles",
            value = json!({"to": {"product": "electric_vehicles", "stage": "industry"}, "kinds": ["single_point_of_failure"], "loss_at_least": 0.5}))))),
    responses((status = 200, description = "Choke points, the worst of each kind first", body = Structural<ChokePointsAnswer>),
              (status = 202, description = "A job (with `Prefer: respond-async`, or if it takes long)")))]
#[post("/v1/graphs/{g}/choke-points")]
pub async fn post_choke_points(
    service: App,
    path: web::Path<String>,
    request: HttpRequest,
    query: Params<AskQuery>,
    body: Body<ChokePointsBody>,
) -> Result<HttpResponse, Unanswered> {
    ask(service, &path, &request, &query.0, body.0).await
}
