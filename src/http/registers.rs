//! Registers: the reference tables that come with the program.

use actix_web::{HttpRequest, HttpResponse, get, web};
use serde_json::Value;

use super::App;
use super::extract::Params;
use super::graphs::Nothing;
use super::lists::{ObjectsQuery, absent, plain};
use super::problem::Problem;
use super::reply::json;
use crate::model::selector::suggest;
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

/// Lists the sources behind the reference figures, with licence and class.
#[utoipa::path(tag = "Explain", params(ObjectsQuery),
    responses((status = 200, description = "One page", body = Page<Value>)))]
#[get("/v1/sources")]
pub async fn list_sources(
    service: App,
    request: HttpRequest,
    query: Params<ObjectsQuery>,
) -> Result<HttpResponse, Problem> {
    register(&service, &request, "sources", query.0)
}

/// Shows a reference figure: its value, source and class, and who says otherwise.
#[utoipa::path(tag = "Explain",
    params(("id" = String, Path, description = "Id of the figure", example = "production.gallium.refine.CHN")),
    responses((status = 200, description = "The figure", body = Value)))]
#[get("/v1/figures/{id}")]
pub async fn get_figure(
    service: App,
    path: web::Path<String>,
    _query: Params<Nothing>,
) -> Result<HttpResponse, Problem> {
    let figures = &service.reference.figures;
    match figures.get(&*path) {
        Some(figure) => json(figure),
        None => absent(
            "figure",
            &path,
            suggest(&path, figures.keys().map(String::as_str))
                .map(|near| format!("did you mean {near}?")),
        ),
    }
}
