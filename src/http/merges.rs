//! Merges: the changes of one graph since a common base, as one batch on another.

use actix_web::{HttpRequest, HttpResponse, post, web};
use serde::Deserialize;
use utoipa::ToSchema;

use super::App;
use super::extract::{RawJson, parse_body, write_context};
use super::graphs::ForkBody;
use super::guard::may_read;
use super::once::once;
use super::problem::Problem;
use super::reply::written;
use crate::service::merges::{MergeRequest, Merged, OnConflict};

/// What happens where both sides changed the same field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnConflictParam {
    /// Nothing is written; the answer names the conflicts.
    #[default]
    Refuse,
    /// What this graph says stays.
    Ours,
    /// What the other graph says is taken.
    Theirs,
}

/// A merge.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"from": {"graph": "what-if"}, "message": "the second mine is real"}))]
pub struct MergeBody {
    /// The graph whose changes are taken, and up to which version (default: its newest).
    pub from: ForkBody,
    /// Why, for the log.
    #[serde(default)]
    pub message: Option<String>,
    /// What happens where both sides changed the same field (default `refuse`).
    #[serde(default)]
    #[schema(inline)]
    pub on_conflict: OnConflictParam,
}

/// Merges another graph's changes into this one, as one atomic batch.
///
/// Both are compared with the newest version that they have in common: where one was forked from
/// the other, where both were forked from a third, or where they were merged last. What only one
/// side changed is taken field by field; what both changed differently is a conflict.
#[utoipa::path(tag = "Data",
    params(("g" = String, Path, description = "Name of the graph that is changed", example = "critical-minerals")),
    request_body = MergeBody,
    responses((status = 200, description = "The new version", body = Merged),
              (status = 409, description = "Conflicts; nothing was written. `conflicts` names records and fields.", body = Problem)))]
#[post("/v1/graphs/{g}/merges")]
pub async fn post_merge(
    service: App,
    path: web::Path<String>,
    request: HttpRequest,
    body: RawJson,
) -> Result<HttpResponse, Problem> {
    once(&service, &request, &body.0, async {
        let MergeBody { from, message, on_conflict } = parse_body(&request, body.0.clone()).await?;
        may_read(&request, &from.graph)?;
        let merge = MergeRequest {
            into: path.into_inner(),
            from: from.graph,
            version: from.version,
            on_conflict: match on_conflict {
                OnConflictParam::Refuse => OnConflict::Refuse,
                OnConflictParam::Ours => OnConflict::Ours,
                OnConflictParam::Theirs => OnConflict::Theirs,
            },
            context: write_context(&request, message)?,
        };
        let merged = service.merge(merge).await?;
        written(&merged, merged.version, None)
    })
    .await
}
