//! Flows of a graph.

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
use crate::model::{FlowRecord, Record};
use crate::service::graphs::{flow_key, flow_keys};
use crate::service::rows::{Page, Table};

/// Lists the flows of a graph.
#[utoipa::path(tag = "Explore",
    params(("g" = String, Path, description = "Name of the graph", example = "critical-minerals"),
           RowsQuery),
    responses((status = 200, description = "One page (or all rows as CSV)", body = Page<FlowRecord>)))]
#[get("/v1/graphs/{g}/flows")]
pub async fn list_flows(
    service: App,
    path: web::Path<String>,
    request: HttpRequest,
    query: Params<RowsQuery>,
) -> Result<HttpResponse, Problem> {
    rows(&service, &request, &path, Table::Flows, query.0).await
}

/// Gets a flow.
#[utoipa::path(tag = "Explore",
    params(("g" = String, Path, description = "Name of the graph", example = "critical-minerals"),
           ("id" = String, Path, description = "Id of the flow: `from..to`, with `..product` where it is not the supplier's own", example = "gallium.refine.CHN..gallium_high_purity.refine.CHN"), AtQuery),
    responses((status = 200, description = "The flow", body = FlowRecord)))]
#[get("/v1/graphs/{g}/flows/{id}")]
pub async fn get_flow(
    service: App,
    path: web::Path<(String, String)>,
    request: HttpRequest,
    query: Params<AtQuery>,
) -> Result<HttpResponse, Problem> {
    let snapshot = service.snapshot(&path.0, query.0.at).await?;
    let row = service.flow_index(&snapshot, &path.1)?;
    let holds = Holds::at(query.0.at, snapshot.info().version);
    versioned(&request, holds, &Table::Flows.record(&snapshot, row as usize))
}

/// Writes a flow: adds it or replaces the one of this id.
#[utoipa::path(tag = "Data",
    params(("g" = String, Path, description = "Name of the graph", example = "what-if"),
           ("id" = String, Path, description = "Id of the flow: `from..to`, with `..product` where it is not the supplier's own", example = "gallium.refine.CHN..gallium_high_purity.refine.CHN")),
    request_body = FlowRecord,
    responses((status = 201, description = "The new flow", body = FlowRecord),
              (status = 200, description = "The changed flow", body = FlowRecord)))]
#[put("/v1/graphs/{g}/flows/{id}")]
pub async fn put_flow(
    service: App,
    path: web::Path<(String, String)>,
    request: HttpRequest,
    body: Body<Map<String, Value>>,
) -> Result<HttpResponse, Problem> {
    let (graph, id) = path.into_inner();
    let before = service.snapshot(&graph, None).await?;
    // The id as ends that exist; a body may say it all.
    let ends = flow_keys(&id)
        .find(|(from, to, _)| [from, to].into_iter().all(|end| before.index(end).is_some()));
    let Some((from, to, product)) = ends.or_else(|| flow_keys(&id).next()) else {
        return Err(Problem::new(Code::InvalidParameter, format!("\"{id}\" is no id of a flow"))
            .param("id")
            .hint("write from..to, or from..to..product"));
    };
    let mut fields = vec![("from", from), ("to", to)];
    fields.extend(product.map(|p| ("product", p)));
    let record = row_record(body.0, "flow", &fields)?;
    // A version that a reader holds is copied by the writer, not changed in place.
    drop(before);
    put_row(&service, &request, &graph, record).await
}

/// Deletes a flow.
#[utoipa::path(tag = "Data",
    params(("g" = String, Path, description = "Name of the graph", example = "what-if"),
           ("id" = String, Path, description = "Id of the flow: `from..to`, with `..product` where it is not the supplier's own")),
    responses((status = 200, description = "The new version", body = super::changes::Applied)))]
#[delete("/v1/graphs/{g}/flows/{id}")]
pub async fn delete_flow(
    service: App,
    path: web::Path<(String, String)>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let snapshot = service.snapshot(&path.0, None).await?;
    let flow = service.flow_index(&snapshot, &path.1)?;
    let Record::Flow(flow) = Table::Flows.record(&snapshot, flow) else {
        return Err(Problem::new(Code::Internal, "internal error"));
    };
    drop(snapshot);
    delete_row(&service, &request, &path.0, flow_key(&flow)).await
}
