//! Impact questions: one scenario, many side by side, every unit alone; and answers by id.

use actix_web::http::header::{CONTENT_TYPE, ETAG};
use actix_web::{HttpRequest, HttpResponse, get, post, web};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

use super::App;
use super::csv::safe;
use super::extract::{Body, Params};
use super::graphs::Nothing;
use super::problem::{Code, Problem};
use super::reply::etag;
use super::run::{Unanswered, answered, attend, permanent, respond};
use crate::analysis::Progress;
use crate::analysis::attribution::evaluations;
use crate::model::scenario::{Include, ScenarioBody};
use crate::service::ServiceError;
use crate::service::answers::Answer;
use crate::service::impacts::answer::{ImpactAnswer, TargetExplanation};
use crate::service::impacts::many::{
    BatchBody, BatchLine, KnockOutAnswer, KnockOutBody, batch, knock_out_answer, knock_outs,
};
use crate::service::impacts::{Question, answer_id, ranges, timeline};
use crate::service::jobs::Estimate;

/// Scenarios of one batch from which on it is estimated to take long, by flows of the graph.
const FLOWS_PER_SECOND: f64 = 2e8;
/// Sweeps that an estimate counts with.
const SWEEPS: f64 = 20.0;

fn estimate(flows: usize, scenarios: usize) -> Estimate {
    let seconds = flows as f64 * scenarios as f64 * SWEEPS / FLOWS_PER_SECOND / 8.0;
    Estimate { seconds, bytes: flows as u64 * 48 + scenarios as u64 * 256 }
}

/// What a question will probably take.
pub(super) fn estimate_question(question: &Question) -> Estimate {
    let attributed = question.body.include.contains(&Include::Explanation);
    let coalitions = if attributed { evaluations(question.body.shocks.len()) } else { 0 };
    let plain = estimate(question.snapshot.flow_count(), 8 + coalitions);
    let range = ranges::estimate(&question.snapshot, &question.body);
    let time = timeline::estimate(question);
    Estimate {
        seconds: plain.seconds + range.seconds + time.seconds,
        bytes: plain.bytes + range.bytes + time.bytes,
    }
}

/// Asks what is lost when part of a graph is removed, restricted or cut.
///
/// The answer has a headline, and for each target its loss as a share of the baseline, the bracket
/// between the two ends of rationing, the inputs that bind and the reason of a zero. `include` adds
/// node losses, binding chains, ranges over draws of the uncertain figures and what drives them. The same question on the same version has the same id.
///
/// `model.mode: timeline` answers in steps of days or weeks: the loss is then the mean over the
/// horizon (the share of the period's output that is lost), with the peak, the first shortage, the
/// days to 5, 20 and 50 % and the recovery beside it (`path`), and the steady end (`steady`).
/// `include: ["timeline"]` adds the path of each target, what is in store, what binds when, and what
/// each stock, stockpile, project and substitute buys. Stocks come from `stock_days` of the nodes
/// (or their attribute `stock_days.<input>`), else from `model.timeline.stock_days`, else from the
/// graph. Orders are `frozen` (the limit is the steady state) or `adaptive`.
///
/// `model.compat: inoue_todo` (with `mode: timeline`) reproduces the daily inventory model of Inoue
/// and Todo 2019: final demand per node from `model.timeline.final_demand`, else from the attribute
/// `final_demand`, else what a node's `output` exceeds its flows by; days of cover from `stock_days`
/// (default 15), tau from `refill_days` (default 6); `horizon_days` is the number of days; capacity
/// losses are shocks with `loss` and `from_day`; a recovery over R days after H days is `days`: H and
/// `recovery`: `{"shape": "linear", "days": R}`; rationing `proportional`, or `priority` for final
/// demand last. `timeline.totals` holds production, value added and final consumption of every day,
/// `timeline.targets[].production` that of each target.
#[utoipa::path(tag = "Answer",
    params(("g" = String, Path, description = "Name of the graph", example = "critical-minerals")),
    request_body(content = ScenarioBody, examples(
        ("Proportional" = (summary = "The flagship with everyone served alike",
            value = json!({"scenario": "china-refining-stops", "model": {"rationing": {"rule": "proportional"}}}))),
        ("With its range" = (summary = "The flagship with the 5th to 95th percentile of 200 draws, and what drives it",
            value = json!({"scenario": "china-refining-stops", "draws": 200, "include": ["range", "sensitivity"]}))),
        ("Licences over time" = (summary = "When do stocks run out, and what does the new plant buy?",
            value = json!({"scenario": "gallium-squeeze-us-japan", "include": ["timeline"]}))),
        ("Nothing" = (summary = "Removing nothing loses nothing, and says why",
            value = json!({"scenario": "no-op"}))))),
    responses((status = 200, description = "The answer", body = ImpactAnswer),
              (status = 202, description = "A job (with `Prefer: respond-async`, or if it takes long)")))]
#[post("/v1/graphs/{g}/impacts")]
pub async fn post_impact(
    service: App,
    path: web::Path<String>,
    request: HttpRequest,
    _query: Params<Nothing>,
    body: Body<ScenarioBody>,
) -> Result<HttpResponse, Unanswered> {
    let snapshot = service.snapshot(&path, body.0.at).await?;
    let question = service.question(snapshot, body.0)?;
    let estimate = estimate_question(&question);
    if let Some(answer) = service.answers.get(&question.id) {
        return Ok(answered(answer));
    }
    let shared = service.clone();
    respond(&service, &request, "impact", estimate, move |p| shared.impact(&question, p)).await
}

/// Gets an answer again by its id: the same bytes, also after a restart.
#[utoipa::path(tag = "Answer",
    params(("id" = String, Path, description = "Id of the answer", example = "imp_…")),
    responses((status = 200, description = "The answer", body = ImpactAnswer),
              (status = 202, description = "A job, if it has to be made again and takes long")))]
#[get("/v1/impacts/{id}")]
pub async fn get_impact(
    service: App,
    request: HttpRequest,
    path: web::Path<String>,
    _query: Params<Nothing>,
) -> Result<HttpResponse, Unanswered> {
    Ok(permanent(again(&service, &request, &path, &[]).await?))
}

/// The answer behind an id, with further parts: kept, or made as [`attend`] does.
pub(super) async fn again(
    service: &App,
    request: &HttpRequest,
    id: &str,
    parts: &[Include],
) -> Result<Answer, Unanswered> {
    if parts.is_empty()
        && let Some(answer) = service.answers.at("impacts", id)
    {
        return Ok(answer);
    }
    let (shared, id, parts) = (service.clone(), id.to_owned(), parts.to_vec());
    let recalled = move || {
        let question = shared.question_of(&id)?;
        if parts.is_empty() { Ok(question) } else { shared.question_with(question, &parts) }
    };
    let question = service.blocking(recalled).await?;
    if let Some(answer) = service.answers.get(&question.id) {
        return Ok(answer);
    }
    let estimate = estimate_question(&question);
    let shared = service.clone();
    let work = move |progress: &Progress| shared.impact(&question, progress);
    attend(service, request, "impact", estimate, work).await
}

/// Which target to explain.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ExplanationQuery {
    /// Name of one target (default: all).
    target: Option<String>,
}

/// Why the targets of an answer lose.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the object that the handler answers with")]
pub struct Explanation {
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
    /// Chains and origins of each target.
    explanation: Vec<TargetExplanation>,
}

/// The body of an answer, to show parts of it.
pub(super) fn parsed(answer: &Answer) -> Result<Value, Problem> {
    serde_json::from_slice(&answer.body).map_err(|_| ServiceError::Internal.into())
}

/// Keeps of a list by target what is said of one, if one is asked for.
///
/// # Errors
/// A target that the list does not have.
pub(super) fn keep_target(list: &mut Value, name: Option<&str>) -> Result<(), Problem> {
    let (Some(name), Some(list)) = (name, list.as_array_mut()) else { return Ok(()) };
    let of = |item: &Value| item["target"].as_str().map(str::to_owned);
    let names: Vec<String> = list.iter().filter_map(of).collect();
    if !names.iter().any(|known| known == name) {
        return Err(Problem::new(Code::NotFound, format!("the answer has no target {name}"))
            .param("target")
            .hint(format!("it has {}", names.join(", "))));
    }
    list.retain(|item| item["target"] == name);
    Ok(())
}

/// A part of an answer under the answer's id: it never changes either.
pub(super) fn shown(answer: Answer, part: &Value) -> Result<HttpResponse, Problem> {
    let body = serde_json::to_vec(part).map_err(|_| ServiceError::Internal)?.into();
    Ok(permanent(Answer { body, ..answer }))
}

/// Explains an answer: binding chains that add up to each loss, and where they start.
#[utoipa::path(tag = "Explain",
    params(("id" = String, Path, description = "Id of the answer", example = "imp_…"), ExplanationQuery),
    responses((status = 200, description = "The explanation", body = Explanation),
              (status = 202, description = "A job, if it has to be made again and takes long")))]
#[get("/v1/impacts/{id}/explanation")]
pub async fn get_explanation(
    service: App,
    request: HttpRequest,
    path: web::Path<String>,
    query: Params<ExplanationQuery>,
) -> Result<HttpResponse, Unanswered> {
    let answer = again(&service, &request, &path, &[Include::Explanation]).await?;
    let mut body = parsed(&answer)?;
    let mut targets = body["explanation"].take();
    keep_target(&mut targets, query.0.target.as_deref())?;
    let explained = json!({"id": answer.id.as_ref(), "graph": body["graph"], "version": body["version"],
        "engine": body["engine"], "headline": body["headline"], "explanation": targets});
    Ok(shown(answer, &explained)?)
}

/// The results of an answer as CSV, one row for each target.
#[utoipa::path(tag = "Explain",
    params(("id" = String, Path, description = "Id of the answer", example = "imp_…")),
    responses((status = 200, description = "target, loss, low, high, direct, indirect, critical_first, proportional, binding, zero_reason, baseline, unit, graph, version",
        content_type = "text/csv", body = String),
              (status = 202, description = "A job, if it has to be made again and takes long")))]
#[get("/v1/impacts/{id}/table.csv")]
pub async fn get_impact_table(
    service: App,
    request: HttpRequest,
    path: web::Path<String>,
    _query: Params<Nothing>,
) -> Result<HttpResponse, Unanswered> {
    let answer = again(&service, &request, &path, &[]).await?;
    let body = parsed(&answer)?;
    let mut csv = csv::Writer::from_writer(Vec::new());
    let broken = |_| Problem::from(ServiceError::Internal);
    csv.write_record([
        "target",
        "loss",
        "low",
        "high",
        "direct",
        "indirect",
        "critical_first",
        "proportional",
        "binding",
        "zero_reason",
        "baseline",
        "unit",
        "graph",
        "version",
    ])
    .map_err(broken)?;
    for result in body["results"].as_array().into_iter().flatten() {
        let cell = |pointer: &str| match result.pointer(pointer) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => safe(text).into_owned(),
            Some(other) => other.to_string(),
        };
        let binding: Vec<&str> = result["binding"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|b| b["input"].as_str())
            .collect();
        csv.write_record([
            cell("/target"),
            cell("/loss/value"),
            cell("/loss/low"),
            cell("/loss/high"),
            cell("/direct"),
            cell("/indirect"),
            cell("/bracket/critical_first"),
            cell("/bracket/proportional"),
            safe(&binding.join("; ")).into_owned(),
            cell("/zero_reason"),
            cell("/baseline/value"),
            cell("/baseline/unit"),
            body["graph"].as_str().map(|g| safe(g).into_owned()).unwrap_or_default(),
            body["version"].to_string(),
        ])
        .map_err(broken)?;
    }
    let bytes = csv.into_inner().map_err(|_| Problem::from(ServiceError::Internal))?;
    let mut response = permanent(Answer { body: bytes.into(), ..answer });
    response.headers_mut().insert(
        CONTENT_TYPE,
        actix_web::http::header::HeaderValue::from_static("text/csv; charset=utf-8"),
    );
    Ok(response)
}

/// Evaluates many scenarios side by side: one line of NDJSON for each, in the order asked.
#[utoipa::path(tag = "Answer",
    params(("g" = String, Path, description = "Name of the graph", example = "critical-minerals")),
    request_body(content = BatchBody, examples(
        ("Three materials" = (summary = "Gallium, germanium and antimony from China, one by one",
            value = json!({"scenarios": [
                {"id": "gallium", "shocks": [{"select": {"country": "CHN", "product": "gallium"}}]},
                {"id": "germanium", "shocks": [{"select": {"country": "CHN", "product": "germanium"}}]},
                {"id": "antimony", "shocks": [{"select": {"country": "CHN", "product": "antimony"}}]}],
                "targets": [{"name": "defence", "select": {"product": "defence", "stage": "industry"}}]}))))),
    responses((status = 200, description = "One answer a line", content_type = "application/x-ndjson", body = BatchLine),
              (status = 202, description = "A job", body = super::jobs::JobAnswer)))]
#[post("/v1/graphs/{g}/impacts/batch")]
pub async fn post_impact_batch(
    service: App,
    path: web::Path<String>,
    request: HttpRequest,
    _query: Params<Nothing>,
    body: Body<BatchBody>,
) -> Result<HttpResponse, Unanswered> {
    let snapshot = service.snapshot(&path, body.0.at).await?;
    let version = snapshot.info().version;
    let estimate = estimate(snapshot.flow_count(), body.0.scenarios.len());
    let shared = service.clone();
    let body = body.0;
    let mut response = respond(&service, &request, "batch", estimate, move |progress| {
        let id = answer_id("bat", &snapshot, &body);
        let lines = batch(&shared.models, &snapshot, &body, progress)?;
        let mut text = Vec::with_capacity(lines.len() * 160);
        for line in &lines {
            serde_json::to_writer(&mut text, line).map_err(|_| ServiceError::Internal)?;
            text.push(b'\n');
        }
        Ok(Answer {
            location: format!("/v1/batches/{id}"),
            id: id.as_str().into(),
            version,
            body: text.into(),
        })
    })
    .await?;
    if response.status() == 200 {
        let ndjson = actix_web::http::header::HeaderValue::from_static("application/x-ndjson");
        response.headers_mut().insert(CONTENT_TYPE, ndjson);
    }
    Ok(response)
}

/// Gets the lines of a batch that ran as a job.
#[utoipa::path(tag = "Answer",
    params(("id" = String, Path, description = "Id of the batch", example = "bat_…")),
    responses((status = 200, description = "One answer a line", content_type = "application/x-ndjson", body = BatchLine)))]
#[get("/v1/batches/{id}")]
pub async fn get_batch(
    service: App,
    path: web::Path<String>,
    _query: Params<Nothing>,
) -> Result<HttpResponse, Problem> {
    let answer = kept(&service, "batches", &path, "batch")?;
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "application/x-ndjson"))
        .insert_header((ETAG, etag(answer.version)))
        .body(answer.body))
}

fn kept(service: &App, collection: &str, id: &str, what: &'static str) -> Result<Answer, Problem> {
    service.answers.at(collection, id).ok_or_else(|| {
        ServiceError::Absent {
            what,
            name: id.to_owned(),
            hint: Some("it is no longer kept; ask again".into()),
        }
        .into()
    })
}

/// Removes every unit alone and ranks them by what the targets lose.
#[utoipa::path(tag = "Answer",
    params(("g" = String, Path, description = "Name of the graph", example = "critical-minerals")),
    request_body(content = KnockOutBody, examples(
        ("Which country hurts most" = (summary = "Every country x stage, ranked by the loss of semiconductors",
            value = json!({"units": {"group_by": ["country", "stage"]},
                "targets": [{"name": "semiconductors", "select": {"product": "semiconductors", "stage": "industry"}}], "top": 20}))))),
    responses((status = 200, description = "Units, worst first", body = KnockOutAnswer),
              (status = 202, description = "A job", body = super::jobs::JobAnswer)))]
#[post("/v1/graphs/{g}/knock-outs")]
pub async fn post_knock_outs(
    service: App,
    path: web::Path<String>,
    request: HttpRequest,
    _query: Params<Nothing>,
    body: Body<KnockOutBody>,
) -> Result<HttpResponse, Unanswered> {
    let snapshot = service.snapshot(&path, body.0.at).await?;
    let id = answer_id("kno", &snapshot, &body.0);
    if let Some(answer) = service.answers.get(&id) {
        return Ok(answered(answer));
    }
    let estimate = estimate(snapshot.flow_count(), snapshot.node_count());
    let shared = service.clone();
    let body = body.0;
    respond(&service, &request, "knock-outs", estimate, move |progress| {
        let start = std::time::Instant::now();
        let (evaluated, results) = knock_outs(&shared.models, &snapshot, &body, progress)?;
        let took = (start.elapsed().as_secs_f64() * 1e6).round() / 1e3;
        let version = snapshot.info().version;
        let answer = knock_out_answer(id.clone(), &snapshot, evaluated, results, took);
        Ok(Answer {
            location: format!("/v1/knock-outs/{id}"),
            id: id.as_str().into(),
            version,
            body: serde_json::to_vec(&answer).map_err(|_| ServiceError::Internal)?.into(),
        })
    })
    .await
}

/// Gets a ranking again while it is kept.
#[utoipa::path(tag = "Answer",
    params(("id" = String, Path, description = "Id of the ranking", example = "kno_…")),
    responses((status = 200, description = "Units, worst first", body = KnockOutAnswer)))]
#[get("/v1/knock-outs/{id}")]
pub async fn get_knock_outs(
    service: App,
    path: web::Path<String>,
    _query: Params<Nothing>,
) -> Result<HttpResponse, Problem> {
    Ok(permanent(kept(&service, "knock-outs", &path, "ranking")?))
}
