//! Registers: the reference tables that come with the program.

use actix_web::{HttpRequest, HttpResponse, get};
use serde_json::Value;

use super::App;
use super::extract::Params;
use super::lists::{ObjectsQuery, plain};
use super::problem::Problem;
use crate::service::rows::Page;

fn register(
    service: &App,
    request: &HttpRequest,
    name: &'static str,
    query: ObjectsQuery,
) -> Result<HttpResponse, Problem> {
    let rows = service.reference.registers.get(name).map_or(&[][..], Vec::as_slice);
    plain(request, name, rows, query)
}

/// Lists the products: names, codes, units, prices.
#[utoipa::path(tag = "Explore", params(ObjectsQuery),
    responses((status = 200, description = "One page", body = Page<Value>)))]
#[get("/v1/products")]
pub async fn list_products(
    service: App,
    request: HttpRequest,
    query: Params<ObjectsQuery>,
) -> Result<HttpResponse, Problem> {
    register(&service, &request, "products", query.0)
}

/// Lists the countries: names, blocs, governance.
#[utoipa::path(tag = "Explore", params(ObjectsQuery),
    responses((status = 200, description = "One page", body = Page<Value>)))]
#[get("/v1/countries")]
pub async fn list_countries(
    service: App,
    request: HttpRequest,
    query: Params<ObjectsQuery>,
) -> Result<HttpResponse, Problem> {
    register(&service, &request, "countries", query.0)
}

/// Lists the stages, from mine to consumption.
#[utoipa::path(tag = "Explore", params(ObjectsQuery),
    responses((status = 200, description = "One page", body = Page<Value>)))]
#[get("/v1/stages")]
pub async fn list_stages(
    service: App,
    request: HttpRequest,
    query: Params<ObjectsQuery>,
) -> Result<HttpResponse, Problem> {
    register(&service, &request, "stages", query.0)
}

/// Lists the policy measures: export bans, licences, quotas.
#[utoipa::path(tag = "Explore", params(ObjectsQuery),
    responses((status = 200, description = "One page", body = Page<Value>)))]
#[get("/v1/policies")]
pub async fn list_policies(
    service: App,
    request: HttpRequest,
    query: Params<ObjectsQuery>,
) -> Result<HttpResponse, Problem> {
    register(&service, &request, "policies", query.0)
}

/// Lists the projects that bring new capacity.
#[utoipa::path(tag = "Explore", params(ObjectsQuery),
    responses((status = 200, description = "One page", body = Page<Value>)))]
#[get("/v1/projects")]
pub async fn list_projects(
    service: App,
    request: HttpRequest,
    query: Params<ObjectsQuery>,
) -> Result<HttpResponse, Problem> {
    register(&service, &request, "projects", query.0)
}

/// Lists the stockpiles.
#[utoipa::path(tag = "Explore", params(ObjectsQuery),
    responses((status = 200, description = "One page", body = Page<Value>)))]
#[get("/v1/stockpiles")]
pub async fn list_stockpiles(
    service: App,
    request: HttpRequest,
    query: Params<ObjectsQuery>,
) -> Result<HttpResponse, Problem> {
    register(&service, &request, "stockpiles", query.0)
}
