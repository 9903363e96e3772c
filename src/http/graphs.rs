//! Graphs: the catalogue, versions, differences.

use actix_web::{HttpRequest, HttpResponse, delete, get, put, web};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::App;
use super::extract::{Body, Params, write_context};
use super::guard::{may_read, who};
use super::lists::{ObjectsQuery, plain};
use super::problem::Problem;
use super::reply::{Holds, etag, versioned, written};
use crate::model::scenario::Rationing;
use crate::model::{GraphSettings, Retention};
use crate::service::diff::{Diff, diff};
use crate::service::graphs::{ForkFrom, GraphView, VersionView};
use crate::service::rows::Page;
use crate::service::writer::Write;

/// A graph to make, fork or change.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = GraphBody, example = json!({"title": "What if", "forked_from": {"graph": "critical-minerals"}}))]
pub struct GraphBody {
    /// One line for people.
    pub title: Option<String>,
    /// What it stands for and what its quantities are.
    pub description: Option<String>,
    /// Start from a version of another graph. Only for a new name.
    pub forked_from: Option<ForkBody>,
    /// Rationing of questions that state none (default proportional).
    pub rationing: Option<Rationing>,
    /// Stock of each input in days of use, for nodes that state none.
    pub stock_days: Option<f64>,
    /// Which old versions stay readable (default: all).
    pub retention: Option<Retention>,
}

/// Where a fork starts.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ForkBody {
    /// The other graph.
    pub graph: String,
    /// Its version (default: the newest).
    #[serde(default)]
    pub version: Option<u64>,
}

/// Lists the graphs.
#[utoipa::path(tag = "Data", params(ObjectsQuery),
    responses((status = 200, description = "One page", body = Page<GraphView>)))]
#[get("/v1/graphs")]
pub async fn list_graphs(
    service: App,
    request: HttpRequest,
    query: Params<ObjectsQuery>,
) -> Result<HttpResponse, Problem> {
    let heads = service.catalogue.heads();
    let principal = who(&request);
    let visible = heads.iter().filter(|head| principal.role_on(&head.name).is_some());
    let rows: Vec<GraphView> = visible.map(|head| GraphView::from(&**head)).collect();
    plain(&request, "graphs", &rows, query.0)
}

/// Gets a graph: title, version, counts.
#[utoipa::path(tag = "Data",
    params(("g" = String, Path, description = "Name of the graph", example = "critical-minerals")),
    responses((status = 200, description = "The graph", body = GraphView)))]
#[get("/v1/graphs/{g}")]
pub async fn get_graph(
    service: App,
    path: web::Path<String>,
    _query: Params<Nothing>,
) -> Result<HttpResponse, Problem> {
    let head = service.catalogue.entry(&path)?.head();
    written(&GraphView::from(&*head), head.version, None)
}

/// Makes, forks or changes a graph.
///
/// A new name makes an empty graph, or one that starts from a version of another. An existing
/// name gets a new title and new defaults; its content stays.
#[utoipa::path(tag = "Data",
    params(("g" = String, Path, description = "Name of the graph", example = "what-if")),
    request_body = GraphBody,
    responses((status = 201, description = "The new graph", body = GraphView),
              (status = 200, description = "The changed graph", body = GraphView)))]
#[put("/v1/graphs/{g}")]
pub async fn put_graph(
    service: App,
    path: web::Path<String>,
    request: HttpRequest,
    body: Body<GraphBody>,
) -> Result<HttpResponse, Problem> {
    let GraphBody { title, description, forked_from, rationing, stock_days, retention } = body.0;
    let settings = GraphSettings {
        title,
        description,
        rationing: rationing.unwrap_or_default(),
        stock_days,
        // Not mentioned: as it was.
        retention: match (retention, service.catalogue.entry(&path)) {
            (Some(retention), _) => retention,
            (None, Ok(entry)) => entry.head().settings.retention.clone(),
            (None, Err(_)) => Retention::default(),
        },
    };
    if let Some(from) = &forked_from {
        may_read(&request, &from.graph)?;
    }
    let fork = forked_from.map(|f| ForkFrom { graph: f.graph, version: f.version });
    let context = write_context(&request, None)?;
    let (view, new) = service.put_graph(&path, settings, fork, context).await?;
    let location = new.then(|| format!("/v1/graphs/{}", view.name));
    written(&view, view.version, location)
}

/// Deletes a graph with all its versions.
#[utoipa::path(tag = "Data",
    params(("g" = String, Path, description = "Name of the graph")),
    responses((status = 204, description = "It is gone")))]
#[delete("/v1/graphs/{g}")]
pub async fn delete_graph(
    service: App,
    path: web::Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let context = write_context(&request, None)?;
    service.write(&path, context, Write::Delete).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Lists the versions of a graph: the commit log.
#[utoipa::path(tag = "Data",
    params(("g" = String, Path, description = "Name of the graph", example = "critical-minerals"),
           ObjectsQuery),
    responses((status = 200, description = "One page, oldest first", body = Page<VersionView>)))]
#[get("/v1/graphs/{g}/versions")]
pub async fn list_versions(
    service: App,
    path: web::Path<String>,
    request: HttpRequest,
    query: Params<ObjectsQuery>,
) -> Result<HttpResponse, Problem> {
    let version = service.catalogue.entry(&path)?.head().version;
    let rows = service.versions(&path).await?;
    let mut response = plain(&request, "versions", &rows, query.0)?;
    if let Ok(tag) = etag(version).parse() {
        response.headers_mut().insert(actix_web::http::header::ETAG, tag);
    }
    Ok(response)
}

/// Which versions are compared.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DiffQuery {
    /// Earlier version.
    #[param(example = 0)]
    pub from: u64,
    /// Later version (default: the newest).
    pub to: Option<u64>,
}

/// Shows what changed between two versions.
#[utoipa::path(tag = "Data",
    params(("g" = String, Path, description = "Name of the graph", example = "critical-minerals"),
           DiffQuery),
    responses((status = 200, description = "Rows added, removed and changed", body = Diff)))]
#[get("/v1/graphs/{g}/diff")]
pub async fn get_diff(
    service: App,
    path: web::Path<String>,
    request: HttpRequest,
    query: Params<DiffQuery>,
) -> Result<HttpResponse, Problem> {
    let from = service.snapshot(&path, Some(query.0.from)).await?;
    let to = service.snapshot(&path, query.0.to).await?;
    let version = to.info().version;
    let answer = service.pool.run(move || Ok(diff(&from, &to))).await?;
    versioned(&request, Holds::at(query.0.to, version), &answer)
}

/// No query parameters.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}
