//! The range of an answer, and which figures drive it.

use actix_web::{HttpRequest, HttpResponse, get, web};
use serde::Deserialize;
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use super::App;
use super::extract::Params;
use super::graphs::Nothing;
use super::impacts::{again, keep_target, parsed, shown};
use super::run::{Unanswered, permanent};
use crate::model::scenario::Include;
use crate::service::impacts::answer::ImpactAnswer;
use crate::service::impacts::ranges::RangeBasis;
use crate::service::impacts::sensitivity::{CheckFirst, TargetSensitivity};

/// Gets an answer with its range: each loss with the 5th and 95th percentile over draws of the
/// uncertain figures.
#[utoipa::path(tag = "Explain",
    params(("id" = String, Path, description = "Id of the answer", example = "imp_…")),
    responses((status = 200, description = "The answer with ranges", body = ImpactAnswer),
              (status = 202, description = "A job (with `Prefer: respond-async`, or if it takes long)")))]
#[get("/v1/impacts/{id}/range")]
pub async fn get_range(
    service: App,
    request: HttpRequest,
    path: web::Path<String>,
    _query: Params<Nothing>,
) -> Result<HttpResponse, Unanswered> {
    Ok(permanent(again(&service, &request, &path, &[Include::Range]).await?))
}

/// Which target to look at.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SensitivityQuery {
    /// Name of one target (default: all).
    target: Option<String>,
}

/// Which figures drive the range of an answer.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the object that the handler answers with")]
pub struct SensitivityAnswer {
    /// Id of the answer that holds it.
    id: String,
    /// Graph.
    graph: String,
    /// Version.
    version: u64,
    /// Engine and its version.
    engine: String,
    /// The answer in one sentence.
    headline: String,
    /// What the ranges were made of.
    range: RangeBasis,
    /// How influence was measured.
    method: String,
    /// Figures that were drawn.
    figures: usize,
    /// What drives each target.
    targets: Vec<TargetSensitivity>,
    /// Figures to check first.
    check_first: Vec<CheckFirst>,
    /// Time that the answer took at the server.
    elapsed_ms: f64,
}

/// Says which figures drive the range of an answer, and which to check first.
///
/// For each target: the figures whose draws correlate most with the loss, the part of the spread
/// that each brings, a tornado (the loss with one figure at its low or high), and what stays
/// unexplained. `check_first` ranks figures by influence times the uncertainty of their class.
#[utoipa::path(tag = "Explain",
    params(("id" = String, Path, description = "Id of the answer", example = "imp_…"), SensitivityQuery),
    responses((status = 200, description = "What drives the range", body = SensitivityAnswer),
              (status = 202, description = "A job (with `Prefer: respond-async`, or if it takes long)")))]
#[get("/v1/impacts/{id}/sensitivity")]
pub async fn get_sensitivity(
    service: App,
    request: HttpRequest,
    path: web::Path<String>,
    query: Params<SensitivityQuery>,
) -> Result<HttpResponse, Unanswered> {
    let answer = again(&service, &request, &path, &[Include::Sensitivity]).await?;
    let mut body = parsed(&answer)?;
    let mut found = body["sensitivity"].take();
    keep_target(&mut found["targets"], query.0.target.as_deref())?;
    let answered = json!({"id": answer.id.as_ref(), "graph": body["graph"], "version": body["version"],
        "engine": body["engine"], "headline": body["headline"], "range": body["range"],
        "method": found["method"], "figures": found["figures"], "targets": found["targets"],
        "check_first": found["check_first"], "elapsed_ms": body["elapsed_ms"]});
    Ok(shown(answer, &answered)?)
}
