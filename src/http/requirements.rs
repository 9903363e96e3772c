//! Requirements of a graph.

use actix_web::{HttpRequest, HttpResponse, delete, get, put, web};
use serde_json::{Map, Value};

use super::App;
use super::changes::{delete_row, put_row};
use super::extract::{Body, Params};
use super::lists::{AtQuery, RowsQuery, rows};
use super::problem::Code;
use super::problem::Problem;
use super::reply::{Holds, versioned};
use super::rows::row_record;
use crate::graph::Snapshot;
use crate::model::RequirementRecord;
use crate::model::change::RecordKey;
use crate::service::ServiceError;
use crate::service::graphs::flow_keys;
use crate::service::rows::{Page, Table};

/// Lists the requirements of a graph.
#[utoipa::path(tag = "Explore",
    params(("g" = String, Path, description = "Name of the graph", example = "critical-minerals"),
           RowsQuery),
    responses((status = 200, description = "One page (or all rows as CSV)", body = Page<RequirementRecord>)))]
#[get("/v1/graphs/{g}/requirements")]
pub async fn list_requirements(
    service: App,
    path: web::Path<String>,
    request: HttpRequest,
    query: Params<RowsQuery>,
) -> Result<HttpResponse, Problem> {
    rows(&service, &request, &path, Table::Requirements, query.0).await
}

/// Gets a requirement.
#[utoipa::path(tag = "Explore",
    params(("g" = String, Path, description = "Name of the graph", example = "critical-minerals"),
           ("id" = String, Path, description = "Id of the requirement: `output..input`", example = "gallium_high_purity..gallium"), AtQuery),
    responses((status = 200, description = "The requirement", body = RequirementRecord)))]
#[get("/v1/graphs/{g}/requirements/{id}")]
pub async fn get_requirement(
    service: App,
    path: web::Path<(String, String)>,
    request: HttpRequest,
    query: Params<AtQuery>,
) -> Result<HttpResponse, Problem> {
    let snapshot = service.snapshot(&path.0, query.0.at).await?;
    let row = requirement_index(&snapshot, &path.1)?;
    let holds = Holds::at(query.0.at, snapshot.info().version);
    versioned(&request, holds, &Table::Requirements.record(&snapshot, row as usize))
}

/// Writes a requirement: adds it or replaces the one of this id.
#[utoipa::path(tag = "Data",
    params(("g" = String, Path, description = "Name of the graph", example = "what-if"),
           ("id" = String, Path, description = "Id of the requirement: `output..input`", example = "gallium_high_purity..gallium")),
    request_body = RequirementRecord,
    responses((status = 201, description = "The new requirement", body = RequirementRecord),
              (status = 200, description = "The changed requirement", body = RequirementRecord)))]
#[put("/v1/graphs/{g}/requirements/{id}")]
pub async fn put_requirement(
    service: App,
    path: web::Path<(String, String)>,
    request: HttpRequest,
    body: Body<Map<String, Value>>,
) -> Result<HttpResponse, Problem> {
    let (graph, id) = path.into_inner();
    let Some((output, input, _)) = flow_keys(&id).next() else {
        return Err(Problem::new(
            Code::InvalidParameter,
            format!("\"{id}\" is no id of a requirement"),
        )
        .param("id")
        .hint("write output..input"));
    };
    let record = row_record(body.0, "requirement", &[("output", output), ("input", input)])?;
    put_row(&service, &request, &graph, record).await
}

/// Deletes a requirement.
#[utoipa::path(tag = "Data",
    params(("g" = String, Path, description = "Name of the graph", example = "what-if"),
           ("id" = String, Path, description = "Id of the requirement: `output..input`")),
    responses((status = 200, description = "The new version", body = super::changes::Applied)))]
#[delete("/v1/graphs/{g}/requirements/{id}")]
pub async fn delete_requirement(
    service: App,
    path: web::Path<(String, String)>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let snapshot = service.snapshot(&path.0, None).await?;
    let row = requirement_index(&snapshot, &path.1)?;
    let requirement = snapshot.network().requirement_record(row);
    let key = RecordKey::Requirement { output: requirement.output, input: requirement.input };
    drop(snapshot);
    delete_row(&service, &request, &path.0, key).await
}

/// The row of an id `output..input`.
fn requirement_index(snapshot: &Snapshot, id: &str) -> Result<usize, ServiceError> {
    let network = snapshot.network();
    let name = |symbol| network.symbols.name(symbol);
    flow_keys(id)
        .filter(|(_, _, third)| third.is_none())
        .find_map(|(output, input, _)| {
            network
                .requirements
                .binary_search_by(|r| (name(r.output), name(r.input)).cmp(&(output, input)))
                .ok()
        })
        .ok_or_else(|| ServiceError::Absent {
            what: "requirement",
            name: id.to_owned(),
            hint: Some("the id is output..input; a pair with a flow but no requirement is limiting with dependence 1".into()),
        })
}
