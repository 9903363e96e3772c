//! Centrality of nodes and links.

use actix_web::{HttpRequest, HttpResponse, post, web};

use super::{AskQuery, ask};
use crate::http::App;
use crate::http::extract::{Body, Params};
use crate::http::run::Unanswered;
use crate::service::structure::Structural;
use crate::service::structure::centrality::{CentralityAnswer, CentralityBody};

/// Scores every node (or link): how much of the network hangs on it.
///
/// `measure` says how; formula, normalisation and the meaning of `direction` and `weight` are in
/// the answer. Measures of shortest paths read weights as lengths, others as strengths. Without
/// `top` all nodes are listed by id. Betweenness with `approximate` is within epsilon of the exact
/// value for every node at once, with probability 1 - delta, also on directed graphs.
#[utoipa::path(tag = "Explore",
    params(("g" = String, Path, description = "Name of the graph", example = "critical-minerals"), AskQuery),
    request_body(content = CentralityBody, examples(
        ("Brokers" = (summary = "Ten nodes through which most shortest paths pass",
            value = json!({"measure": "betweenness", "normalized": true, "top": 10}))),
        ("Estimate" = (summary = "The same within 0.01, with probability 0.9",
            value = json!({"measure": "betweenness", "normalized": true, "approximate": {"epsilon": 0.01, "delta": 0.1, "seed": 1}, "top": 10}))),
        ("PageRank" = (summary = "Weighted by quantity",
            value = json!({"measure": "pagerank", "weight": "quantity", "top": 10}))),
        ("Personalised" = (summary = "What gallium refiners lead to",
            value = json!({"measure": "personalized_pagerank", "weight": "quantity", "parameters": {"sources": {"product": "gallium", "stage": "refine"}}, "top": 10}))),
        ("Dominance" = (summary = "Nodes whose joint loss hurts (DomiRank)",
            value = json!({"measure": "dominance", "weight": "quantity", "top": 10}))),
        ("Group" = (summary = "All Chinese refiners taken together",
            value = json!({"measure": "group_betweenness", "normalized": true, "parameters": {"group": {"country": "CHN", "stage": "refine"}}}))))),
    responses((status = 200, description = "Scores", body = Structural<CentralityAnswer>),
              (status = 202, description = "A job (with `Prefer: respond-async`, or if it takes long)")))]
#[post("/v1/graphs/{g}/centrality")]
pub async fn post_centrality(
    service: App,
    path: web::Path<String>,
    request: HttpRequest,
    query: Params<AskQuery>,
    body: Body<CentralityBody>,
) -> Result<HttpResponse, Unanswered> {
    ask(service, &path, &request, &query.0, body.0).await
}
