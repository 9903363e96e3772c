//! Components and communities.

use actix_web::{HttpRequest, HttpResponse, post, web};

use super::{AskQuery, ask};
use crate::http::App;
use crate::http::extract::{Body, Params};
use crate::http::run::Unanswered;
use crate::service::structure::Structural;
use crate::service::structure::components::{
    CommunitiesAnswer, CommunitiesBody, ComponentsAnswer, ComponentsBody,
};

/// Splits the graph into strongly, weakly or biconnected components.
#[utoipa::path(tag = "Explore",
    params(("g" = String, Path, description = "Name of the graph", example = "critical-minerals"), AskQuery),
    request_body(content = ComponentsBody, examples(
        ("Loops" = (summary = "Strongly connected components of at least two nodes",
            value = json!({"kind": "strong", "min_size": 2}))),
        ("Islands" = (summary = "Weakly connected components",
            value = json!({"kind": "weak"}))),
        ("Blocks" = (summary = "Biconnected components of the undirected projection",
            value = json!({"kind": "biconnected", "limit": 10}))))),
    responses((status = 200, description = "Components, largest first", body = Structural<ComponentsAnswer>),
              (status = 202, description = "A job (with `Prefer: respond-async`, or if it takes long)")))]
#[post("/v1/graphs/{g}/components")]
pub async fn post_components(
    service: App,
    path: web::Path<String>,
    request: HttpRequest,
    query: Params<AskQuery>,
    body: Body<ComponentsBody>,
) -> Result<HttpResponse, Unanswered> {
    ask(service, &path, &request, &query.0, body.0).await
}

/// Finds communities (Leiden): groups that trade more among each other than with others.
#[utoipa::path(tag = "Explore",
    params(("g" = String, Path, description = "Name of the graph", example = "critical-minerals"), AskQuery),
    request_body(content = CommunitiesBody, examples(
        ("By quantity" = (summary = "Modularity, weighted",
            value = json!({"weight": "quantity"}))),
        ("Finer" = (summary = "Resolution 2",
            value = json!({"weight": "quantity", "resolution": 2.0}))))),
    responses((status = 200, description = "Communities, largest first", body = Structural<CommunitiesAnswer>),
              (status = 202, description = "A job (with `Prefer: respond-async`, or if it takes long)")))]
#[post("/v1/graphs/{g}/communities")]
pub async fn post_communities(
    service: App,
    path: web::Path<String>,
    request: HttpRequest,
    query: Params<AskQuery>,
    body: Body<CommunitiesBody>,
) -> Result<HttpResponse, Unanswered> {
    ask(service, &path, &request, &query.0, body.0).await
}
