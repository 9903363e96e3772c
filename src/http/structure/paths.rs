//! The k shortest and the k widest paths.

use actix_web::{HttpRequest, HttpResponse, get, post, web};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{AskQuery, ask};
use crate::http::App;
use crate::http::extract::{Body, Params};
use crate::http::problem::{Code, Problem};
use crate::http::run::Unanswered;
use crate::model::selector::Selector;
use crate::service::explore::node_index;
use crate::service::structure::Structural;
use crate::service::structure::paths::{Kind, PathsAnswer, PathsBody, default_k};

/// Between which nodes.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PathsQuery {
    /// Id of the node where paths start.
    #[param(example = "gallium.refine.CHN")]
    pub from: String,
    /// Id of the node where they end.
    #[param(example = "defence.industry.USA")]
    pub to: String,
    /// How many (default 5, most 10 000).
    #[serde(default = "default_k")]
    #[param(default = 5, minimum = 1, maximum = 10000)]
    pub k: usize,
    /// Shortest (default) or widest.
    #[serde(default)]
    #[param(inline)]
    pub kind: Kind,
    /// Shortest: `none` (default), `distance` or `attribute:NAME`; widest: `quantity` (default) or
    /// `attribute:NAME`.
    pub weight: Option<String>,
    /// Version of the graph (default: the newest).
    pub at: Option<u64>,
}

/// Finds the best paths between two nodes: the k shortest, or the k widest.
#[utoipa::path(tag = "Explore",
    params(("g" = String, Path, description = "Name of the graph", example = "critical-minerals"), PathsQuery),
    responses((status = 200, description = "Paths, best first", body = Structural<PathsAnswer>)))]
#[get("/v1/graphs/{g}/paths")]
pub async fn get_paths(
    service: App,
    path: web::Path<String>,
    request: HttpRequest,
    query: Params<PathsQuery>,
) -> Result<HttpResponse, Unanswered> {
    let PathsQuery { from, to, k, kind, weight, at } = query.0;
    if !(1..=10_000).contains(&k) {
        let text = format!("k must be between 1 and 10000, got {k}");
        return Err(Problem::new(Code::InvalidParameter, text).param("k").into());
    }
    let snapshot = service.snapshot(&path, at).await?;
    node_index(&snapshot, &from)?;
    node_index(&snapshot, &to)?;
    let (from, to) = (Selector::node(&from), Selector::node(&to));
    let body = PathsBody { from, to, k, kind, weight, at: Some(snapshot.info().version) };
    ask(service, &path, &request, &AskQuery::default(), body).await
}

/// Finds the best paths between two selections: the k shortest, or the k widest.
#[utoipa::path(tag = "Explore",
    params(("g" = String, Path, description = "Name of the graph", example = "critical-minerals"), AskQuery),
    request_body(content = PathsBody, examples(
        ("Shortest" = (summary = "From Chinese gallium to US defence",
            value = json!({"from": {"product": "gallium", "stage": "refine", "country": "CHN"}, "to": {"product": "defence", "stage": "industry", "country": "USA"}, "k": 3}))),
        ("Widest" = (summary = "The three routes that carry most",
            value = json!({"from": {"country": "CHN", "stage": "refine"}, "to": {"product": "semiconductors", "stage": "industry"}, "k": 3, "kind": "widest"}))))),
    responses((status = 200, description = "Paths, best first", body = Structural<PathsAnswer>),
              (status = 202, description = "A job (with `Prefer: respond-async`, or if it takes long)")))]
#[post("/v1/graphs/{g}/paths")]
pub async fn post_paths(
    service: App,
    path: web::Path<String>,
    request: HttpRequest,
    query: Params<AskQuery>,
    body: Body<PathsBody>,
) -> Result<HttpResponse, Unanswered> {
    ask(service, &path, &request, &query.0, body.0).await
}
