//! Nodes of a graph.

use actix_web::{HttpRequest, HttpResponse, delete, get, put, web};
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::IntoParams;

use super::App;
use super::changes::{delete_row, put_row};
use super::extract::{Body, Params};
use super::lists::{AtQuery, RowsQuery, rows};
use super::problem::{Code, Problem};
use super::reply::{Holds, versioned};
use super::rows::row_record;
use crate::model::NodeRecord;
use crate::model::change::RecordKey;
use crate::service::explore::node_index;
use crate::service::rows::{Page, Table};

/// How a node is deleted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DeleteQuery {
    /// Delete its flows too; without it a node with flows is refused.
    #[serde(default)]
    #[param(required = false)]
    pub detach: bool,
}

/// Lists the nodes of a graph.
#[utoipa::path(tag = "Explore",
    params(("g" = String, Path, description = "Name of the graph", example = "critical-minerals"),
           RowsQuery),
    responses((status = 200, description = "One page (or all rows as CSV)", body = Page<NodeRecord>)))]
#[get("/v1/graphs/{g}/nodes")]
pub async fn list_nodes(
    service: App,
    path: web::Path<String>,
    request: HttpRequest,
    query: Params<RowsQuery>,
) -> Result<HttpResponse, Problem> {
    rows(&service, &request, &path, Table::Nodes, query.0).await
}

/// Gets a node.
#[utoipa::path(tag = "Explore",
    params(("g" = String, Path, description = "Name of the graph", example = "critical-minerals"),
           ("id" = String, Path, description = "Id of the node", example = "gallium.refine.CHN"), AtQuery),
    responses((status = 200, description = "The node", body = NodeRecord)))]
#[get("/v1/graphs/{g}/nodes/{id}")]
pub async fn get_node(
    service: App,
    path: web::Path<(String, String)>,
    request: HttpRequest,
    query: Params<AtQuery>,
) -> Result<HttpResponse, Problem> {
    let snapshot = service.snapshot(&path.0, query.0.at).await?;
    let row = node_index(&snapshot, &path.1)?;
    let holds = Holds::at(query.0.at, snapshot.info().version);
    versioned(&request, holds, &Table::Nodes.record(&snapshot, row as usize))
}

/// Writes a node: adds it or replaces the one of this id.
#[utoipa::path(tag = "Data",
    params(("g" = String, Path, description = "Name of the graph", example = "what-if"),
           ("id" = String, Path, description = "Id of the node", example = "gallium.refine.CHN")),
    request_body = NodeRecord,
    responses((status = 201, description = "The new node", body = NodeRecord),
              (status = 200, description = "The changed node", body = NodeRecord)))]
#[put("/v1/graphs/{g}/nodes/{id}")]
pub async fn put_node(
    service: App,
    path: web::Path<(String, String)>,
    request: HttpRequest,
    body: Body<Map<String, Value>>,
) -> Result<HttpResponse, Problem> {
    let record = row_record(body.0, "node", &[("id", &path.1)])?;
    put_row(&service, &request, &path.0, record).await
}

/// Deletes a node.
#[utoipa::path(tag = "Data",
    params(("g" = String, Path, description = "Name of the graph", example = "what-if"),
           ("id" = String, Path, description = "Id of the node"), DeleteQuery),
    responses((status = 200, description = "The new version", body = super::changes::Applied)))]
#[delete("/v1/graphs/{g}/nodes/{id}")]
pub async fn delete_node(
    service: App,
    path: web::Path<(String, String)>,
    request: HttpRequest,
    query: Params<DeleteQuery>,
) -> Result<HttpResponse, Problem> {
    let key = RecordKey::Node { id: path.1.clone(), detach: query.0.detach };
    delete_row(&service, &request, &path.0, key).await.map_err(|p| {
        let has_flows = p.code == Code::InvalidChange && !query.0.detach;
        if has_flows { p.hint("detach=true deletes its flows too") } else { p }
    })
}
