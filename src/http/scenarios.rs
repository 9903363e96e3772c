//! Scenarios: presets and stored ones.

use actix_web::{HttpRequest, HttpResponse, delete, get, post, put, web};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::App;
use super::extract::{Body, Params, RawJson, parse_body, parse_json};
use super::graphs::Nothing;
use super::lists::{ObjectsQuery, plain};
use super::once::once;
use super::problem::{Code, Problem};
use super::reply::{bytes, json};
use crate::model::scenario::ScenarioBody;
use crate::service::rows::Page;

/// A scenario with its id.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the flat object that handlers answer with")]
pub struct Scenario {
    /// Id: what `scenario` in an impact question takes.
    id: String,
    /// True for those that come with the program; they are read-only.
    preset: bool,
    /// When it was stored (ISO 8601).
    updated: Option<String>,
    #[schema(inline)]
    #[serde(flatten)]
    body: ScenarioBody,
}

/// Takes out of a body what only answers carry. Returns the id it gives.
fn split(mut body: Map<String, Value>) -> Result<(Option<String>, ScenarioBody), Problem> {
    body.remove("preset");
    body.remove("updated");
    let id = match body.remove("id") {
        None | Some(Value::Null) => None,
        Some(Value::String(id)) => Some(id),
        Some(_) => {
            return Err(Problem::new(Code::InvalidBody, "id must be text").param("id"));
        }
    };
    let text = serde_json::to_vec(&body).unwrap_or_default();
    let body = parse_json(&text).map_err(|mut problem: Problem| {
        (problem.line, problem.column) = (None, None);
        problem
    })?;
    Ok((id, body))
}

/// Lists the scenarios: presets first.
#[utoipa::path(tag = "Scenarios", params(ObjectsQuery),
    responses((status = 200, description = "One page", body = Page<Scenario>)))]
#[get("/v1/scenarios")]
pub async fn list_scenarios(
    service: App,
    request: HttpRequest,
    query: Params<ObjectsQuery>,
) -> Result<HttpResponse, Problem> {
    let all: Vec<_> = service.scenarios()?.iter().map(|s| s.flat()).collect();
    plain(&request, "scenarios", &all, query.0)
}

/// Stores a scenario under a new id.
#[utoipa::path(tag = "Scenarios", request_body = ScenarioBody,
    responses((status = 201, description = "The stored scenario", body = Scenario)))]
#[post("/v1/scenarios")]
pub async fn post_scenario(
    service: App,
    request: HttpRequest,
    body: RawJson,
) -> Result<HttpResponse, Problem> {
    once(&service, &request, &body.0, async {
        let (id, scenario) = split(parse_body(&request, body.0.clone()).await?)?;
        let shared = service.clone();
        let stored = service.blocking(move || shared.post_scenario(id, scenario)).await?;
        Ok(HttpResponse::Created()
            .insert_header(("location", format!("/v1/scenarios/{}", stored.id)))
            .insert_header(("content-type", "application/json"))
            .body(bytes(&stored.flat())?))
    })
    .await
}

/// Gets a scenario.
#[utoipa::path(tag = "Scenarios",
    params(("id" = String, Path, description = "Id of the scenario", example = "china-refining-stops")),
    responses((status = 200, description = "The scenario", body = Scenario)))]
#[get("/v1/scenarios/{id}")]
pub async fn get_scenario(
    service: App,
    path: web::Path<String>,
    _query: Params<Nothing>,
) -> Result<HttpResponse, Problem> {
    json(&service.scenario(&path)?.flat())
}

/// Stores a scenario under an id of your own.
#[utoipa::path(tag = "Scenarios",
    params(("id" = String, Path, description = "Id of the scenario", example = "my-scenario")),
    request_body = ScenarioBody,
    responses((status = 201, description = "The new scenario", body = Scenario),
              (status = 200, description = "The changed scenario", body = Scenario)))]
#[put("/v1/scenarios/{id}")]
pub async fn put_scenario(
    service: App,
    path: web::Path<String>,
    body: Body<Map<String, Value>>,
) -> Result<HttpResponse, Problem> {
    let id = path.into_inner();
    let (named, scenario) = split(body.0)?;
    if named.as_ref().is_some_and(|named| *named != id) {
        return Err(Problem::new(Code::InvalidBody, "the id differs from the one in the path")
            .param("id")
            .hint("leave it out of the body"));
    }
    let shared = service.clone();
    let (stored, new) = service.blocking(move || shared.put_scenario(&id, scenario)).await?;
    let mut response = if new { HttpResponse::Created() } else { HttpResponse::Ok() };
    if new {
        response.insert_header(("location", format!("/v1/scenarios/{}", stored.id)));
    }
    Ok(response.insert_header(("content-type", "application/json")).body(bytes(&stored.flat())?))
}

/// Deletes a stored scenario.
#[utoipa::path(tag = "Scenarios",
    params(("id" = String, Path, description = "Id of the scenario")),
    responses((status = 204, description = "It is gone")))]
#[delete("/v1/scenarios/{id}")]
pub async fn delete_scenario(
    service: App,
    path: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let (shared, id) = (service.clone(), path.into_inner());
    service.blocking(move || shared.delete_scenario(&id)).await?;
    Ok(HttpResponse::NoContent().finish())
}
