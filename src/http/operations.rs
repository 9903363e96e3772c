//! Health, readiness, version, the table of problem codes.

use actix_web::{HttpResponse, get};
use serde::Serialize;
use utoipa::ToSchema;

use super::App;
use super::problem::{Code, Problem};
use super::reply::json;
use crate::service::rows::{Meta, Page};

/// One word.
#[derive(Debug, Serialize, ToSchema)]
pub struct Status {
    /// `ok`, or `ready`.
    pub status: &'static str,
}

/// Tells whether the process lives.
#[utoipa::path(tag = "Operations",
    responses((status = 200, description = "It does", body = Status)))]
#[get("/healthz")]
pub async fn get_health() -> Result<HttpResponse, Problem> {
    json(&Status { status: "ok" })
}

/// Tells whether the server should get traffic.
#[utoipa::path(tag = "Operations",
    responses((status = 200, description = "It should", body = Status),
              (status = 503, description = "Graphs are being loaded, or the store has failed", body = Problem)))]
#[get("/readyz")]
pub async fn get_readiness(service: App) -> Result<HttpResponse, Problem> {
    match service.not_ready() {
        None => json(&Status { status: "ready" }),
        Some(reason) if service.is_loaded() => Err(Problem::new(Code::StoreFailed, reason)),
        Some(reason) => Err(Problem::new(Code::Loading, reason)),
    }
}

/// What runs here.
#[derive(Debug, Serialize, ToSchema)]
pub struct Version {
    /// Name of the program.
    pub name: &'static str,
    /// Version of the program.
    pub version: &'static str,
    /// Version of the engine: part of every answer's id.
    pub engine: &'static str,
}

/// Tells which version runs.
#[utoipa::path(tag = "Operations",
    responses((status = 200, description = "Program and engine", body = Version)))]
#[get("/v1/version")]
pub async fn get_version() -> Result<HttpResponse, Problem> {
    let version = env!("CARGO_PKG_VERSION");
    json(&Version {
        name: env!("CARGO_PKG_NAME"),
        version,
        engine: concat!("chokepoint/", env!("CARGO_PKG_VERSION")),
    })
}

/// A code of the table.
#[derive(Debug, Serialize, ToSchema)]
pub struct CodeView {
    /// What programs match on.
    pub code: &'static str,
    /// HTTP status.
    pub status: u16,
    /// One line for people.
    pub title: &'static str,
}

/// Lists every problem code.
#[utoipa::path(tag = "Operations",
    responses((status = 200, description = "The table", body = Page<CodeView>)))]
#[get("/v1/problems")]
pub async fn list_problems() -> Result<HttpResponse, Problem> {
    let results: Vec<CodeView> = Code::ALL
        .iter()
        .map(|code| CodeView {
            code: code.as_str(),
            status: code.status().as_u16(),
            title: code.title(),
        })
        .collect();
    json(&Page { meta: Meta { count: results.len(), next_cursor: None }, results })
}
