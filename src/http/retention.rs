//! Retention: which versions of a graph stay readable, and their names.

use actix_web::{HttpRequest, HttpResponse, delete, get, put, web};
use serde::Deserialize;
use utoipa::ToSchema;

use super::App;
use super::extract::{Body, Params, write_context};
use super::graphs::Nothing;
use super::problem::{Code, Problem};
use super::reply::written;
use crate::service::graphs::VersionView;
use crate::service::retention::RetentionView;

/// Which old versions stay readable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeepParam {
    /// All of them.
    All,
    /// The newest ones and those with a name.
    Last,
    /// The newest one and those with a name.
    Tagged,
}

/// Which old versions stay readable.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"keep": "last", "last": 10}))]
pub struct RetentionBody {
    /// `all`, `last` (with `last`) or `tagged`.
    pub keep: KeepParam,
    /// How many of the newest versions, with `keep: last`.
    #[serde(default)]
    pub last: Option<u64>,
}

/// A name for a version.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"tag": "release-1"}))]
pub struct TagBody {
    /// The name. If another version has it, it moves.
    pub tag: String,
}

/// Gets which versions of a graph stay readable.
#[utoipa::path(tag = "Data",
    params(("g" = String, Path, description = "Name of the graph", example = "critical-minerals")),
    responses((status = 200, description = "The retention", body = RetentionView)))]
#[get("/v1/graphs/{g}/retention")]
pub async fn get_retention(
    service: App,
    path: web::Path<String>,
    _: Params<Nothing>,
) -> Result<HttpResponse, Problem> {
    let view = service.retention(&path)?;
    written(&view, view.version, None)
}

/// Sets which versions of a graph stay readable.
///
/// Versions that are given up answer 410 from then on; the disk space that only they took comes
/// back in the background. The newest version and those with a name always stay.
#[utoipa::path(tag = "Data",
    params(("g" = String, Path, description = "Name of the graph", example = "what-if")),
    request_body = RetentionBody,
    responses((status = 200, description = "The retention", body = RetentionView)))]
#[put("/v1/graphs/{g}/retention")]
pub async fn put_retention(
    service: App,
    path: web::Path<String>,
    request: HttpRequest,
    body: Body<RetentionBody>,
) -> Result<HttpResponse, Problem> {
    let last = match (body.0.keep, body.0.last) {
        (KeepParam::All, None) => None,
        (KeepParam::Tagged, None) => Some(1),
        (KeepParam::Last, Some(last)) if last > 0 => Some(last),
        (KeepParam::Last, _) => {
            return Err(Problem::new(Code::InvalidBody, "how many versions?")
                .param("last")
                .hint("with keep: last, give last: 1 or more"));
        }
        (_, Some(_)) => {
            return Err(
                Problem::new(Code::InvalidBody, "last only goes with keep: last").param("last")
            );
        }
    };
    let context = write_context(&request, None)?;
    let view = service.set_retention(&path, last, context).await?;
    written(&view, view.version, None)
}

/// Names a version, so that it is kept whatever its age.
#[utoipa::path(tag = "Data",
    params(("g" = String, Path, description = "Name of the graph", example = "what-if"),
           ("v" = u64, Path, description = "Version", example = 1)),
    request_body = TagBody,
    responses((status = 200, description = "The version", body = VersionView),
              (status = 410, description = "The version is no longer kept", body = Problem)))]
#[put("/v1/graphs/{g}/versions/{v}/tag")]
pub async fn put_tag(
    service: App,
    path: web::Path<(String, u64)>,
    request: HttpRequest,
    body: Body<TagBody>,
) -> Result<HttpResponse, Problem> {
    let (graph, version) = path.into_inner();
    let context = write_context(&request, None)?;
    let view = service.tag(&graph, version, body.0.tag, context).await?;
    written(&view, view.version, None)
}

/// Takes the names of a version away.
#[utoipa::path(tag = "Data",
    params(("g" = String, Path, description = "Name of the graph", example = "what-if"),
           ("v" = u64, Path, description = "Version", example = 1)),
    responses((status = 204, description = "It has no name now")))]
#[delete("/v1/graphs/{g}/versions/{v}/tag")]
pub async fn delete_tag(
    service: App,
    path: web::Path<(String, u64)>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let (graph, version) = path.into_inner();
    service.untag(&graph, version, write_context(&request, None)?).await?;
    Ok(HttpResponse::NoContent().finish())
}
