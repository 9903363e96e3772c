//! What administrators do: API keys and the audit log. Backups are in `operations`.

use actix_web::{HttpResponse, delete, get, post, web};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::App;
use super::extract::{Body, Params};
use super::graphs::Nothing;
use super::problem::{Code, Problem};
use super::reply::{bytes, json};
use crate::service::access::audit::AuditEntry;
use crate::service::access::keys::{KeyView, MadeKey, NewKey};
use crate::service::rows::{Meta, Page};

/// Makes an API key. Its secret is shown this once.
#[utoipa::path(tag = "Operations", request_body = NewKey,
    responses((status = 201, description = "The key", body = MadeKey)))]
#[post("/v1/admin/keys")]
pub async fn post_key(service: App, body: Body<NewKey>) -> Result<HttpResponse, Problem> {
    let shared = service.clone();
    let made = service.blocking(move || shared.access.keys.create(body.0)).await?;
    Ok(HttpResponse::Created()
        .insert_header(("location", format!("/v1/admin/keys/{}", made.view.id)))
        .insert_header(("cache-control", "no-store"))
        .insert_header(("content-type", "application/json"))
        .body(bytes(&made)?))
}

/// Lists the API keys, without their secrets.
#[utoipa::path(tag = "Operations",
    responses((status = 200, description = "All keys, oldest first", body = Page<KeyView>)))]
#[get("/v1/admin/keys")]
pub async fn list_keys(service: App, _query: Params<Nothing>) -> Result<HttpResponse, Problem> {
    let results = service.access.keys.list();
    json(&Page { meta: Meta { count: results.len(), next_cursor: None }, results })
}

/// Revokes an API key: from now on it is refused.
#[utoipa::path(tag = "Operations",
    params(("id" = String, Path, description = "The part of the key between the underscores")),
    responses((status = 200, description = "The revoked key", body = KeyView)))]
#[delete("/v1/admin/keys/{id}")]
pub async fn revoke_key(service: App, path: web::Path<String>) -> Result<HttpResponse, Problem> {
    let shared = service.clone();
    let id = path.into_inner();
    json(&service.blocking(move || shared.access.keys.revoke(&id)).await?)
}

/// Which entries to list.
#[derive(Debug, Deserialize, IntoParams, ToSchema)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AuditQuery {
    /// From this time on (ISO 8601).
    #[param(format = DateTime)]
    from: Option<String>,
    /// Before this time (ISO 8601).
    #[param(format = DateTime)]
    to: Option<String>,
    /// Only acts of this principal.
    who: Option<String>,
    /// Only writes to this graph.
    graph: Option<String>,
    /// Most entries (default 100, at most 1000).
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
}

fn time(name: &str, text: Option<&str>, default: i64) -> Result<i64, Problem> {
    let Some(text) = text else { return Ok(default) };
    chrono::DateTime::parse_from_rfc3339(text).map(|t| t.timestamp_millis()).map_err(|error| {
        Problem::new(Code::InvalidParameter, format!("\"{text}\" is not a time: {error}"))
            .param(name)
            .hint("write it like 2026-01-31T12:00:00Z")
    })
}

/// Lists who wrote what, and every act of an administrator: newest first.
#[utoipa::path(tag = "Operations", params(AuditQuery),
    responses((status = 200, description = "Entries", body = Page<AuditEntry>)))]
#[get("/v1/admin/audit")]
pub async fn list_audit(service: App, query: Params<AuditQuery>) -> Result<HttpResponse, Problem> {
    let AuditQuery { from, to, who, graph, limit } = query.0;
    let limit = limit.unwrap_or(100);
    if !(1..=1000).contains(&limit) {
        return Err(
            Problem::new(Code::InvalidParameter, "limit must be from 1 to 1000").param("limit")
        );
    }
    let from = time("from", from.as_deref(), 0)?;
    let to = time("to", to.as_deref(), i64::MAX)?;
    let shared = service.clone();
    let results = service
        .blocking(move || {
            shared.audit.entries(from, to, limit, |entry| {
                who.as_ref().is_none_or(|who| *who == entry.who)
                    && (graph.is_none() || graph == entry.graph)
            })
        })
        .await?;
    json(&Page { meta: Meta { count: results.len(), next_cursor: None }, results })
}
