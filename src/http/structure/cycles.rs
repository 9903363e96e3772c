//! Cycles.

use actix_web::{HttpRequest, HttpResponse, post, web};

use super::{AskQuery, ask};
use crate::http::App;
use crate::http::extract::{Body, Params};
use crate::http::run::Unanswered;
use crate::service::structure::Structural;
use crate::service::structure::cycles::{CyclesAnswer, CyclesBody};

/// Lists recycling and mutual supply: elementary cycles, up to a length and a number.
#[utoipa::path(tag = "Explore",
    params(("g" = String, Path, description = "Name of the graph", example = "critical-minerals"), AskQuery),
    request_body(content = CyclesBody, examples(
        ("Short" = (summary = "Cycles of at most four flows",
            value = json!({"max_length": 4, "limit": 100}))))),
    responses((status = 200, description = "Cycles", body = Structural<CyclesAnswer>),
              (status = 202, description = "A job (with `Prefer: respond-async`, or if it takes long)")))]
#[post("/v1/graphs/{g}/cycles")]
pub async fn post_cycles(
    service: App,
    path: web::Path<String>,
    request: HttpRequest,
    query: Params<AskQuery>,
    body: Body<CyclesBody>,
) -> Result<HttpResponse, Unanswered> {
    ask(service, &path, &request, &query.0, body.0).await
}
