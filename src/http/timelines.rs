//! The path of an answer in time.

use actix_web::{HttpRequest, HttpResponse, get, web};
use serde::Deserialize;
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use super::App;
use super::extract::Params;
use super::impacts::{again, keep_target, parsed, shown};
use super::run::Unanswered;
use crate::model::scenario::Include;
use crate::service::impacts::timeline::TimelineView;

/// Which target to show.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct TimelineQuery {
    /// Name of one target (default: all).
    target: Option<String>,
}

/// The path of an answer in time.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the object that the handler answers with")]
pub struct TimelineAnswer {
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
    /// Paths, totals, what stocks and responses buy.
    timeline: TimelineView,
    /// Time that the answer took at the server.
    elapsed_ms: f64,
}

/// Tells what each target of an answer loses when: first shortage, days to 5, 20 and 50 %, peak,
/// recovery, days in store, what binds, and what each stock and response buys.
///
/// An answer of `mode: steady` is run in time with default options: weeks, one year, frozen orders,
/// the graph's stocks.
#[utoipa::path(tag = "Explain",
    params(("id" = String, Path, description = "Id of the answer", example = "imp_…"), TimelineQuery),
    responses((status = 200, description = "The path", body = TimelineAnswer),
              (status = 202, description = "A job (with `Prefer: respond-async`, or if it takes long)")))]
#[get("/v1/impacts/{id}/timeline")]
pub async fn get_timeline(
    service: App,
    request: HttpRequest,
    path: web::Path<String>,
    query: Params<TimelineQuery>,
) -> Result<HttpResponse, Unanswered> {
    let answer = again(&service, &request, &path, &[Include::Timeline]).await?;
    let mut body = parsed(&answer)?;
    let mut timeline = body["timeline"].take();
    let name = query.0.target.as_deref();
    keep_target(&mut timeline["targets"], name)?;
    for bought in timeline["bought"].as_array_mut().into_iter().flatten() {
        if let (Some(name), Some(list)) = (name, bought["targets"].as_array_mut()) {
            list.retain(|target| target["target"] == name);
        }
    }
    let answered = json!({"id": answer.id.as_ref(), "graph": body["graph"], "version": body["version"],
        "engine": body["engine"], "headline": body["headline"], "timeline": timeline,
        "elapsed_ms": body["elapsed_ms"]});
    Ok(shown(answer, &answered)?)
}
