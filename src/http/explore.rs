//! Exploring a graph: upstream, downstream, search.

use actix_web::{HttpRequest, HttpResponse, get, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::App;
use super::extract::Params;
use super::problem::{Code, Problem};
use super::reply::{Holds, versioned};
use crate::service::explore::{Neighbourhood, Way, walk};
use crate::service::rows::Meta;
use crate::service::search::{Hit, search};

/// How far to walk, along what.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct WalkQuery {
    /// Most steps (default 3).
    #[param(minimum = 1, maximum = 1000)]
    pub depth: Option<u32>,
    /// Walk only along flows of these products; `|` between several.
    pub product: Option<String>,
    /// Version of the graph (default: the newest).
    pub at: Option<u64>,
}

async fn walked(
    service: App,
    (graph, node): (String, String),
    request: HttpRequest,
    query: WalkQuery,
    way: Way,
) -> Result<HttpResponse, Problem> {
    let snapshot = service.snapshot(&graph, query.at).await?;
    let holds = Holds::at(query.at, snapshot.info().version);
    let products: Vec<String> =
        query.product.iter().flat_map(|p| p.split('|')).map(str::to_owned).collect();
    let work = move || walk(&snapshot, &node, way, query.depth, &products);
    let answer = service.pool.run(work).await?;
    versioned(&request, holds, &answer)
}

/// Shows what a node needs, directly and through its suppliers.
#[utoipa::path(tag = "Explore",
    params(("g" = String, Path, description = "Name of the graph", example = "critical-minerals"),
           ("id" = String, Path, description = "Id of the node", example = "gallium.refine.CHN"),
           WalkQuery),
    responses((status = 200, description = "Nodes and flows, nearest first", body = Neighbourhood)))]
#[get("/v1/graphs/{g}/nodes/{id}/upstream")]
pub async fn get_upstream(
    service: App,
    path: web::Path<(String, String)>,
    request: HttpRequest,
    query: Params<WalkQuery>,
) -> Result<HttpResponse, Problem> {
    walked(service, path.into_inner(), request, query.0, Way::Upstream).await
}

/// Shows whom a node serves, directly and through its customers.
#[utoipa::path(tag = "Explore",
    params(("g" = String, Path, description = "Name of the graph", example = "critical-minerals"),
           ("id" = String, Path, description = "Id of the node", example = "gallium.refine.CHN"),
           WalkQuery),
    responses((status = 200, description = "Nodes and flows, nearest first", body = Neighbourhood)))]
#[get("/v1/graphs/{g}/nodes/{id}/downstream")]
pub async fn get_downstream(
    service: App,
    path: web::Path<(String, String)>,
    request: HttpRequest,
    query: Params<WalkQuery>,
) -> Result<HttpResponse, Problem> {
    walked(service, path.into_inner(), request, query.0, Way::Downstream).await
}

/// What to look for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SearchQuery {
    /// Words that must all occur in an id or name.
    #[param(example = "gallium", min_length = 1)]
    pub q: String,
    /// Most results (default 20, most 1000).
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<usize>,
    /// Version of the graph (default: the newest).
    pub at: Option<u64>,
}

/// What was found.
#[derive(Debug, Serialize, ToSchema)]
pub struct SearchAnswer {
    /// How many were found; there are no further pages.
    pub meta: Meta,
    /// Best first.
    pub results: Vec<Hit>,
    /// Nearest known words, if nothing was found.
    pub suggestions: Vec<String>,
}

/// Finds nodes, products, stages and countries by name.
#[utoipa::path(tag = "Explore",
    params(("g" = String, Path, description = "Name of the graph", example = "critical-minerals"),
           SearchQuery),
    responses((status = 200, description = "Best first", body = SearchAnswer)))]
#[get("/v1/graphs/{g}/search")]
pub async fn search_graph(
    service: App,
    path: web::Path<String>,
    request: HttpRequest,
    query: Params<SearchQuery>,
) -> Result<HttpResponse, Problem> {
    let SearchQuery { q, limit, at } = query.0;
    if q.trim().is_empty() {
        return Err(Problem::new(Code::InvalidParameter, "q is empty").param("q"));
    }
    let limit = limit.unwrap_or(20);
    if !(1..=1000).contains(&limit) {
        return Err(Problem::new(
            Code::InvalidParameter,
            format!("limit must be between 1 and 1000, got {limit}"),
        )
        .param("limit"));
    }
    let snapshot = service.snapshot(&path, at).await?;
    let holds = Holds::at(at, snapshot.info().version);
    let found = service.pool.run(move || Ok(search(&snapshot, &q, limit))).await?;
    let answer = SearchAnswer {
        meta: Meta { count: found.count, next_cursor: None },
        results: found.results,
        suggestions: found.suggestions,
    };
    versioned(&request, holds, &answer)
}
