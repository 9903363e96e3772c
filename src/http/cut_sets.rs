//! Minimal cut sets, the worst case and the cheapest cut; their answers, pages and fault trees.

use std::convert::Infallible;

use actix_web::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE};
use actix_web::{HttpRequest, HttpResponse, get, post, web};
use bytes::Bytes;
use futures_util::stream;
use serde::Deserialize;
use utoipa::IntoParams;

use super::App;
use super::extract::{Body, Params};
use super::graphs::Nothing;
use super::problem::Problem;
use super::reply::bytes;
use super::run::{Unanswered, answered, attend, permanent, respond};
use crate::analysis::Progress;
use crate::model::selector::Selector;
use crate::service::ServiceError;
use crate::service::cut_sets::answer::CutSetAnswer;
use crate::service::cut_sets::ask::{
    CheapestCutBody, CutAsk, CutSetBody, CutUnitKind, CutUnits, WorstCaseBody,
};
use crate::service::cut_sets::explain::SetView;
use crate::service::cut_sets::extremes::{CheapestCutAnswer, WorstCaseAnswer};
use crate::service::cut_sets::{CutQuestion, CutSetPage, MOST_SETS};
use crate::service::impacts::answer::ImpactAnswer;
use crate::service::jobs::Estimate;

/// Sets written to a stream at a time.
const CHUNK: usize = 2_000;
/// Work of the default limits, in seconds of one thread.
const MOST_SECONDS: f64 = 20.0;

/// What a question about cuts will take: at most what its limits allow.
fn estimate(question: &CutQuestion) -> Estimate {
    let limits = question.ask.common().limits;
    let budget = limits.budget();
    let flows = question.snapshot.flow_count().max(1) as f64;
    let seconds = match limits.evaluations {
        Some(evaluations) => evaluations as f64 * flows * 40.0 / 1e9,
        None => MOST_SECONDS,
    };
    let seconds = limits.seconds.map_or(seconds, |most| seconds.min(most));
    Estimate { seconds, bytes: budget.diagram_nodes.min(12_000_000) as u64 * 40 }
}

/// Answers a question about cuts, at once or as a job.
///
/// # Errors
/// What the service refuses.
pub async fn ask(
    service: &App,
    graph: &str,
    request: &HttpRequest,
    kind: &'static str,
    ask: CutAsk,
) -> Result<HttpResponse, Unanswered> {
    let snapshot = service.snapshot(graph, ask.at()).await?;
    let question = service.cut_question(snapshot, ask)?;
    if let Some(answer) = service.answers.get(&question.id) {
        return Ok(answered(answer));
    }
    let shared = service.clone();
    let estimate = estimate(&question);
    respond(service, request, kind, estimate, move |p| shared.cut_answer(&question, p)).await
}

/// The answer behind an id, evaluated again if it is no longer kept.
///
/// # Errors
/// An id that was never answered.
pub async fn again(
    service: &App,
    request: &HttpRequest,
    collection: &'static str,
    id: &str,
) -> Result<HttpResponse, Unanswered> {
    if let Some(answer) = service.answers.at(collection, id) {
        return Ok(permanent(answer));
    }
    let question = question(service, collection, id).await?;
    let estimate = estimate(&question);
    let shared = service.clone();
    let work = move |progress: &Progress| shared.cut_answer(&question, progress);
    Ok(permanent(attend(service, request, collection, estimate, work).await?))
}

async fn question(
    service: &App,
    collection: &'static str,
    id: &str,
) -> Result<CutQuestion, Problem> {
    let (shared, id) = (service.clone(), id.to_owned());
    Ok(service.blocking(move || shared.cut_question_of(collection, &id)).await?)
}

/// Finds the smallest sets of units whose loss costs a target at least a share of its output.
///
/// Counts are exact whole numbers of any length; `status` says how complete the answer is. Each set
/// has a sentence, and a link that runs it as an impact; the first ones have their failing chains
/// and the scenario. `GET /v1/cut-sets/{id}.ndjson` streams all of them in order.
#[utoipa::path(tag = "Answer",
    params(("g" = String, Path, description = "Name of the graph", example = "critical-minerals")),
    request_body(content = CutSetBody, examples(
        ("Semiconductors" = (summary = "Which one or two country stages stop half of all semiconductors?",
            value = json!({"target": {"product": "semiconductors", "stage": "industry"}, "loss_at_least": 0.5,
                "units": {"group_by": ["country", "stage"]}, "select": {"stage": ["mine", "refine", "component"]},
                "max_size": 2, "limit": 20}))),
        ("Likely cuts of defence" = (summary = "Cut sets of defence, most probable first, each unit lost with 5 %",
            value = json!({"target": {"product": "defence", "stage": "industry"}, "loss_at_least": 0.2,
                "units": {"group_by": ["country", "stage"]}, "select": {"stage": ["mine", "refine", "component"]},
                "max_size": 2, "order": "probability", "default_probability": 0.05,
                "probabilities": {"CHN x refine": 0.15}, "limit": 10}))),
        ("Countries" = (summary = "Which countries stop a fifth of electric vehicles?",
            value = json!({"target": {"product": "electric_vehicles", "stage": "industry"}, "loss_at_least": 0.2,
                "units": {"group_by": ["country"]}, "select": {"stage": ["mine", "refine", "component"]}, "max_size": 2}))))),
    responses((status = 200, description = "The first sets, counts, probability and importance", body = CutSetAnswer),
              (status = 202, description = "A job (with `Prefer: respond-async`, or if it takes long)")))]
#[post("/v1/graphs/{g}/cut-sets")]
pub async fn post_cut_sets(
    service: App,
    path: web::Path<String>,
    request: HttpRequest,
    _query: Params<Nothing>,
    body: Body<CutSetBody>,
) -> Result<HttpResponse, Unanswered> {
    ask(&service, &path, &request, "cut-sets", CutAsk::CutSets(body.0)).await
}

/// Which sets of an answer.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SetsQuery {
    /// `next_cursor` of the answer or page before.
    pub cursor: Option<String>,
    /// Most sets (default 1000 with a cursor, all in `.ndjson`).
    pub limit: Option<usize>,
}

/// Streams the sets of an answer in order, one a line: however many there are, never all at once.
#[utoipa::path(tag = "Answer",
    params(("id" = String, Path, description = "Id of the answer", example = "cut_…"), SetsQuery),
    responses((status = 200, description = "One set a line", content_type = "application/x-ndjson", body = SetView)))]
#[get("/v1/cut-sets/{id}.ndjson")]
pub async fn stream_cut_sets(
    service: App,
    path: web::Path<String>,
    query: Params<SetsQuery>,
) -> Result<HttpResponse, Problem> {
    stream_sets(&service, &path, query.0).await
}

async fn stream_sets(service: &App, id: &str, query: SetsQuery) -> Result<HttpResponse, Problem> {
    let position = service.cut_position(id, query.cursor.as_deref())?;
    let asked = question(service, "cut-sets", id).await?;
    let shared = service.clone();
    let (solved, sets) = service
        .pool
        .run_while_awaited(move |progress| {
            let solved = shared.solve_cut(&asked, progress)?;
            let sets = solved.stream(position)?;
            Ok((solved, sets))
        })
        .await?;
    let left = query.limit.map_or(u64::MAX, |limit| limit as u64);
    let pool = service.pool.clone();
    let lines = stream::unfold(Some((solved, sets, position, left, pool)), |state| async move {
        let (solved, mut sets, position, left, pool) = state?;
        if left == 0 {
            return None;
        }
        let made = pool
            .run_while_awaited(move |progress| {
                let most = usize::try_from(left).unwrap_or(usize::MAX).min(CHUNK);
                let broken = |error| {
                    tracing::warn!(%error, "a listing of cut sets ended early");
                    ServiceError::Internal
                };
                let chunk: Vec<Vec<u32>> =
                    sets.by_ref().take(most).collect::<Result<_, _>>().map_err(broken)?;
                let views = solved.views(&chunk, position + 1, 0, progress)?;
                let mut text = Vec::with_capacity(views.len() * 200);
                for view in &views {
                    serde_json::to_writer(&mut text, view).map_err(|_| ServiceError::Internal)?;
                    text.push(b'\n');
                }
                Ok((text, solved, sets, chunk.len() as u64))
            })
            .await;
        match made {
            Ok((_, _, _, 0)) => None,
            Ok((text, solved, sets, count)) => {
                let next = Some((solved, sets, position + count, left - count, pool));
                Some((Ok(Bytes::from(text)), next))
            }
            // The transfer breaks off: half a list must not look whole.
            Err(error) => Some((Err(error), None)),
        }
    });
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "application/x-ndjson"))
        .insert_header((CACHE_CONTROL, "no-cache"))
        .streaming(lines))
}

/// Gets an answer again by its id, or a further page of its sets.
///
/// Without parameters: the answer, the same bytes also after a restart. With `cursor` or `limit`:
/// the sets from there on. With `Accept: application/x-ndjson`: all sets as a stream.
#[utoipa::path(tag = "Answer",
    params(("id" = String, Path, description = "Id of the answer", example = "cut_…"), SetsQuery),
    responses((status = 200, description = "The answer, or a page of sets", body = CutSetAnswer),
              (status = 202, description = "A job, if it has to be made again and takes long")))]
#[get("/v1/cut-sets/{id}")]
pub async fn get_cut_sets(
    service: App,
    path: web::Path<String>,
    request: HttpRequest,
    query: Params<SetsQuery>,
) -> Result<HttpResponse, Unanswered> {
    let accept = request.headers().get(ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if accept.contains("ndjson") {
        return Ok(stream_sets(&service, &path, query.0).await?);
    }
    if query.0.cursor.is_none() && query.0.limit.is_none() {
        return again(&service, &request, "cut-sets", &path).await;
    }
    let limit = query.0.limit.unwrap_or(1000);
    if !(1..=MOST_SETS).contains(&limit) {
        let problem = format!("limit is {limit}; give a number from 1 to {MOST_SETS}");
        return Err(ServiceError::malformed("limit", problem).into());
    }
    let question = question(&service, "cut-sets", &path).await?;
    let shared = service.clone();
    let cursor = query.0.cursor;
    let page: CutSetPage =
        service.pool.run(move || shared.cut_page(&question, cursor.as_deref(), limit)).await?;
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "application/json"))
        .insert_header((CACHE_CONTROL, "public, max-age=31536000, immutable"))
        .body(bytes(&page)?))
}

/// Gets one set of an answer by its rank, with its failing chains and the scenario that runs it.
#[utoipa::path(tag = "Explain",
    params(("id" = String, Path, description = "Id of the answer", example = "cut_…"),
           ("rank" = u64, Path, description = "Position in the order of the answer, from 1", example = 1)),
    responses((status = 200, description = "The set", body = SetView)))]
#[get("/v1/cut-sets/{id}/sets/{rank}")]
pub async fn get_cut_set(
    service: App,
    path: web::Path<(String, u64)>,
    _query: Params<Nothing>,
) -> Result<HttpResponse, Problem> {
    let (id, rank) = path.into_inner();
    let question = question(&service, "cut-sets", &id).await?;
    let shared = service.clone();
    let view = service.pool.run(move || shared.cut_set(&question, rank)).await?;
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "application/json"))
        .insert_header((CACHE_CONTROL, "public, max-age=31536000, immutable"))
        .body(bytes(&view)?))
}

/// Runs one set of an answer as an impact: the same answer as POSTing its scenario.
#[utoipa::path(tag = "Explain",
    params(("id" = String, Path, description = "Id of the answer", example = "cut_…"),
           ("rank" = u64, Path, description = "Position in the order of the answer, from 1", example = 1)),
    responses((status = 200, description = "The impact answer", body = ImpactAnswer),
              (status = 202, description = "A job, if it has to be made again and takes long")))]
#[get("/v1/cut-sets/{id}/sets/{rank}/impact")]
pub async fn get_cut_set_impact(
    service: App,
    path: web::Path<(String, u64)>,
    request: HttpRequest,
    _query: Params<Nothing>,
) -> Result<HttpResponse, Unanswered> {
    let (id, rank) = path.into_inner();
    let question = question(&service, "cut-sets", &id).await?;
    let (shared, estimate) = (service.clone(), estimate(&question));
    let work = move |progress: &Progress| {
        let impact = shared.cut_impact(&question, rank)?;
        shared.impact(&impact, progress)
    };
    respond(&service, &request, "impact", estimate, work).await
}

/// Finds the most damaging units for a budget, with proof of optimality or a gap.
///
/// `budget` counts units; with `costs` it is what they may cost together. `upper_bound` holds for
/// every set within the budget; `greedy_loss` shows what always taking the next worst unit reaches.
#[utoipa::path(tag = "Answer",
    params(("g" = String, Path, description = "Name of the graph", example = "critical-minerals")),
    request_body(content = WorstCaseBody, examples(
        ("Two country stages" = (summary = "Which two country stages cost defence most?",
            value = json!({"target": {"product": "defence", "stage": "industry"}, "budget": 2, "curve": true,
                "units": {"group_by": ["country", "stage"]}, "select": {"stage": ["mine", "refine", "component"]}}))))),
    responses((status = 200, description = "The worst case", body = WorstCaseAnswer),
              (status = 202, description = "A job (with `Prefer: respond-async`, or if it takes long)")))]
#[post("/v1/graphs/{g}/worst-case")]
pub async fn post_worst_case(
    service: App,
    path: web::Path<String>,
    request: HttpRequest,
    _query: Params<Nothing>,
    body: Body<WorstCaseBody>,
) -> Result<HttpResponse, Unanswered> {
    ask(&service, &path, &request, "worst-case", CutAsk::WorstCase(body.0)).await
}

/// Gets a worst case again by its id.
#[utoipa::path(tag = "Answer",
    params(("id" = String, Path, description = "Id of the answer", example = "wor_…")),
    responses((status = 200, description = "The worst case", body = WorstCaseAnswer),
              (status = 202, description = "A job, if it has to be made again and takes long")))]
#[get("/v1/worst-cases/{id}")]
pub async fn get_worst_case(
    service: App,
    request: HttpRequest,
    path: web::Path<String>,
    _query: Params<Nothing>,
) -> Result<HttpResponse, Unanswered> {
    again(&service, &request, "worst-cases", &path).await
}

/// Finds the cheapest set of units that costs a target a share of its output, with proof or bounds.
#[utoipa::path(tag = "Answer",
    params(("g" = String, Path, description = "Name of the graph", example = "critical-minerals")),
    request_body(content = CheapestCutBody, examples(
        ("Three cheapest" = (summary = "The fewest country stages that cost EVs a fifth",
            value = json!({"target": {"product": "electric_vehicles", "stage": "industry"}, "loss_at_least": 0.2,
                "units": {"group_by": ["country", "stage"]}, "select": {"stage": ["mine", "refine", "component"]}, "limit": 3}))))),
    responses((status = 200, description = "The cheapest cuts", body = CheapestCutAnswer),
              (status = 202, description = "A job (with `Prefer: respond-async`, or if it takes long)")))]
#[post("/v1/graphs/{g}/cheapest-cut")]
pub async fn post_cheapest_cut(
    service: App,
    path: web::Path<String>,
    request: HttpRequest,
    _query: Params<Nothing>,
    body: Body<CheapestCutBody>,
) -> Result<HttpResponse, Unanswered> {
    ask(&service, &path, &request, "cheapest-cut", CutAsk::CheapestCut(body.0)).await
}

/// Gets a cheapest cut again by its id.
#[utoipa::path(tag = "Answer",
    params(("id" = String, Path, description = "Id of the answer", example = "che_…")),
    responses((status = 200, description = "The cheapest cuts", body = CheapestCutAnswer),
              (status = 202, description = "A job, if it has to be made again and takes long")))]
#[get("/v1/cheapest-cuts/{id}")]
pub async fn get_cheapest_cut(
    service: App,
    request: HttpRequest,
    path: web::Path<String>,
    _query: Params<Nothing>,
) -> Result<HttpResponse, Unanswered> {
    again(&service, &request, "cheapest-cuts", &path).await
}

/// Which part of a graph becomes a fault tree.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct FaultTreeQuery {
    /// Node whose loss is the top event (id or pattern).
    pub target: String,
    /// Stage of the nodes that can be lost (default: nodes without suppliers).
    pub stage: Option<String>,
    /// Loss that counts, above 0 and at most 1 (default 1).
    pub loss_at_least: Option<f64>,
    /// Version of the graph (default: the newest).
    pub at: Option<u64>,
}

fn xml(text: String, name: &str) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "application/xml"))
        .insert_header((CONTENT_DISPOSITION, format!("attachment; filename=\"{name}.xml\"")))
        .streaming(stream::iter([Ok::<_, Infallible>(Bytes::from(text))]))
}

/// Exports what stops a node as a fault tree in the Open-PSA exchange format, for other tools.
///
/// Parts must run or stop (threshold rules, or suppliers that each suffice alone) and supply must
/// not run in loops. Basic events are the nodes that can be lost. For other units, ask `cut-sets`
/// and take `/v1/cut-sets/{id}/fault-tree.xml`.
#[utoipa::path(tag = "Data",
    params(("g" = String, Path, description = "Name of the graph", example = "plant"), FaultTreeQuery),
    responses((status = 200, description = "Open-PSA MEF", content_type = "application/xml", body = String)))]
#[get("/v1/graphs/{g}/fault-tree.xml")]
pub async fn get_fault_tree(
    service: App,
    path: web::Path<String>,
    query: Params<FaultTreeQuery>,
) -> Result<HttpResponse, Problem> {
    let query = query.0;
    let snapshot = service.snapshot(&path, query.at).await?;
    let select = match &query.stage {
        Some(stage) => Selector { stage: [stage.as_str()].into(), ..Selector::default() },
        None => {
            let raw = snapshot.nodes().filter(|&v| snapshot.arrivals(v).is_empty());
            let ids: Vec<&str> = raw.map(|v| snapshot.id(v)).collect();
            let node = crate::model::selector::OneOrMany(ids.iter().map(|s| (*s).into()).collect());
            Selector { node, ..Selector::default() }
        }
    };
    let ask = CutAsk::CutSets(CutSetBody {
        target: Selector::node(&query.target),
        name: Some(query.target.clone()),
        loss_at_least: Some(query.loss_at_least.unwrap_or(1.0)),
        units: CutUnits { each: Some(CutUnitKind::Node), ..CutUnits::default() },
        select: Some(select),
        ..CutSetBody::default()
    });
    let question = service.cut_question(snapshot, ask)?;
    let shared = service.clone();
    let text = service.pool.run(move || shared.cut_tree(&question)).await?;
    Ok(xml(text, "fault-tree"))
}

/// Exports the question behind an answer as a fault tree: basic events are its units.
#[utoipa::path(tag = "Data",
    params(("id" = String, Path, description = "Id of the answer", example = "cut_…")),
    responses((status = 200, description = "Open-PSA MEF", content_type = "application/xml", body = String)))]
#[get("/v1/cut-sets/{id}/fault-tree.xml")]
pub async fn get_cut_set_tree(
    service: App,
    path: web::Path<String>,
    _query: Params<Nothing>,
) -> Result<HttpResponse, Problem> {
    let question = question(&service, "cut-sets", &path).await?;
    let name = question.id.clone();
    let shared = service.clone();
    let text = service.pool.run(move || shared.cut_tree(&question)).await?;
    Ok(xml(text, &name))
}
