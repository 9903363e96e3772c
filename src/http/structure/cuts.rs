//! Cuts, separators, cut trees.

use actix_web::{HttpRequest, HttpResponse, post, web};

use super::{AskQuery, ask};
use crate::http::App;
use crate::http::extract::{Body, Params};
use crate::http::run::Unanswered;
use crate::service::structure::Structural;
use crate::service::structure::cuts::{
    CutTreeAnswer, CutTreeBody, CutsAnswer, CutsBody, SeparatorsBody,
};

/// Finds what must be removed so that no path leads from one selection to another.
///
/// Minimum cuts are maximum flows: `value` is both. Capacities are counted in whole numbers
/// (decimals scaled, and said), so weights are exact. Adjacent, overlapping and already
/// disconnected selections are said in `state`. What stops production is another question: see
/// cut-sets.
#[utoipa::path(tag = "Explore",
    params(("g" = String, Path, description = "Name of the graph", example = "critical-minerals"), AskQuery),
    request_body(content = CutsBody, examples(
        ("Throughput" = (summary = "The bottleneck between Chinese refiners and defence",
            value = json!({"from": {"country": "CHN", "stage": "refine"}, "to": {"product": "defence", "stage": "industry"}}))),
        ("Fewest nodes" = (summary = "All smallest sets of nodes between gallium and semiconductors",
            value = json!({"from": {"product": "gallium", "stage": "refine"}, "to": {"product": "semiconductors", "stage": "industry"}, "kind": "vertex", "capacity": "one", "list": "all_minimum"}))),
        ("Cheapest" = (summary = "The ten cheapest minimal cuts",
            value = json!({"from": {"product": "gallium", "stage": "refine"}, "to": {"product": "semiconductors", "stage": "industry"}, "list": "cheapest", "limit": 10}))),
        ("Global" = (summary = "The lightest cut of the undirected projection",
            value = json!({"kind": "global"}))))),
    responses((status = 200, description = "Cuts, lightest first", body = Structural<CutsAnswer>),
              (status = 202, description = "A job (with `Prefer: respond-async`, or if it takes long)")))]
#[post("/v1/graphs/{g}/cuts")]
pub async fn post_cuts(
    service: App,
    path: web::Path<String>,
    request: HttpRequest,
    query: Params<AskQuery>,
    body: Body<CutsBody>,
) -> Result<HttpResponse, Unanswered> {
    ask(service, &path, &request, &query.0, body.0).await
}

/// Lists every minimal set of at most `max_size` nodes (or flows) that separates two selections.
#[utoipa::path(tag = "Explore",
    params(("g" = String, Path, description = "Name of the graph", example = "critical-minerals"), AskQuery),
    request_body(content = SeparatorsBody, examples(
        ("Pairs" = (summary = "All pairs of nodes between gallium refiners and US semiconductors",
            value = json!({"from": {"product": "gallium", "stage": "refine"}, "to": {"product": "semiconductors", "stage": "industry", "country": "USA"}, "max_size": 2}))))),
    responses((status = 200, description = "Separators, smallest first", body = Structural<CutsAnswer>),
              (status = 202, description = "A job (with `Prefer: respond-async`, or if it takes long)")))]
#[post("/v1/graphs/{g}/separators")]
pub async fn post_separators(
    service: App,
    path: web::Path<String>,
    request: HttpRequest,
    query: Params<AskQuery>,
    body: Body<SeparatorsBody>,
) -> Result<HttpResponse, Unanswered> {
    ask(service, &path, &request, &query.0, body.0).await
}

/// Builds a Gomory-Hu tree: the minimum cuts between all pairs of nodes of the undirected projection.
#[utoipa::path(tag = "Explore",
    params(("g" = String, Path, description = "Name of the graph", example = "critical-minerals"), AskQuery),
    request_body(content = CutTreeBody, examples(
        ("Tree" = (summary = "With the cut between two nodes read off",
            value = json!({"between": ["gallium.refine.CHN", "semiconductors.industry.USA"]}))))),
    responses((status = 200, description = "The tree", body = Structural<CutTreeAnswer>),
              (status = 202, description = "A job (with `Prefer: respond-async`, or if it takes long)")))]
#[post("/v1/graphs/{g}/cut-tree")]
pub async fn post_cut_tree(
    service: App,
    path: web::Path<String>,
    request: HttpRequest,
    query: Params<AskQuery>,
    body: Body<CutTreeBody>,
) -> Result<HttpResponse, Unanswered> {
    ask(service, &path, &request, &query.0, body.0).await
}
