//! Who could replace a supplier.

use actix_web::{HttpRequest, HttpResponse, get, web};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{AskQuery, ask};
use crate::http::App;
use crate::http::extract::Params;
use crate::http::problem::{Code, Problem};
use crate::http::run::Unanswered;
use crate::service::structure::Structural;
use crate::service::structure::similar::{SimilarAnswer, SimilarBody};

/// Which node is to be replaced.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SimilarQuery {
    /// Id of the node.
    #[param(example = "gallium.refine.CHN")]
    pub node: String,
    /// Only nodes that make the same product.
    #[serde(default)]
    #[param(default = false)]
    pub same_product: bool,
    /// Most candidates (default 20, most 10 000).
    #[serde(default = "default_limit")]
    #[param(default = 20, minimum = 1, maximum = 10000)]
    pub limit: usize,
    /// Version of the graph (default: the newest).
    pub at: Option<u64>,
}

fn default_limit() -> usize {
    20
}

/// Ranks the nodes that could replace a supplier: same consumers, same volumes, same inputs, same
/// product.
#[utoipa::path(tag = "Explore",
    params(("g" = String, Path, description = "Name of the graph", example = "critical-minerals"), SimilarQuery),
    responses((status = 200, description = "Candidates, best first", body = Structural<SimilarAnswer>)))]
#[get("/v1/graphs/{g}/similar")]
pub async fn get_similar(
    service: App,
    path: web::Path<String>,
    request: HttpRequest,
    query: Params<SimilarQuery>,
) -> Result<HttpResponse, Unanswered> {
    let SimilarQuery { node, same_product, limit, at } = query.0;
    if !(1..=10_000).contains(&limit) {
        let text = format!("limit must be between 1 and 10000, got {limit}");
        return Err(Problem::new(Code::InvalidParameter, text).param("limit").into());
    }
    let body = SimilarBody { node, same_product, limit, at };
    ask(service, &path, &request, &AskQuery::default(), body).await
}
