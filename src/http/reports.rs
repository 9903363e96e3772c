//! Answers as pictures, as one printable page, and as tables.

use actix_web::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, get, web};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::App;
use super::extract::Params;
use super::graphs::Nothing;
use super::impacts::{again, estimate_question};
use super::overview::hits;
use super::problem::{Code, Problem};
use super::run::{Unanswered, analysed, permanent};
use crate::model::scenario::Include;
use crate::report::svg::{Picture, Theme};
use crate::report::{self, ReportError, page, tables, world};
use crate::service::ServiceError;
use crate::service::analyses::Analysis;
use crate::service::answers::Answer;
use crate::service::mitigations::Wish;
use crate::service::overview::by_country;

impl From<ReportError> for Problem {
    fn from(error: ReportError) -> Self {
        let detail = error.to_string();
        match error {
            ReportError::Missing { part, hint } => {
                Self::new(Code::Impossible, detail).param(part).hint(hint)
            }
            ReportError::NoTarget { known, .. } => Self::new(Code::NotFound, detail)
                .param("target")
                .hint(format!("it has {}", known.join(", "))),
            ReportError::Unreadable(_) | ReportError::Table(_) => {
                tracing::error!(error = detail, "report");
                ServiceError::Internal.into()
            }
        }
    }
}

/// Colours of a picture.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Colours {
    /// As the reader's system says.
    #[default]
    Auto,
    /// Dark on light.
    Light,
    /// Light on dark.
    Dark,
}

/// What to draw of an answer.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PictureQuery {
    /// Name of one target (default: the main ones).
    #[param(example = "semiconductors")]
    target: Option<String>,
    /// Colours: `auto` (as the reader's system says), `light` or `dark`.
    theme: Option<Colours>,
}

/// Colours of a picture that shows all targets.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ThemeQuery {
    /// Colours: `auto` (as the reader's system says), `light` or `dark`.
    theme: Option<Colours>,
}

fn theme(colours: Option<Colours>) -> Theme {
    match colours.unwrap_or_default() {
        Colours::Auto => Theme::Auto,
        Colours::Light => Theme::Light,
        Colours::Dark => Theme::Dark,
    }
}

/// The answer behind an id with further parts, as reports read it, under the id that was asked for.
async fn read(
    service: &App,
    request: &HttpRequest,
    id: &str,
    parts: &[Include],
) -> Result<(report::Answer, Answer), Unanswered> {
    let answer = again(service, request, id, parts).await?;
    let mut read = report::Answer::read(&answer.body)?;
    read.id = id.to_owned();
    Ok((read, Answer { id: id.into(), ..answer }))
}

/// A document that never changes, and that a browser may only show.
fn document(answer: Answer, media: &'static str, body: Vec<u8>) -> HttpResponse {
    let mut response = permanent(Answer { body: body.into(), ..answer });
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media));
    guard(headers);
    response
}

/// Headers of every page and picture that is shown without script.
pub fn guard(headers: &mut actix_web::http::header::HeaderMap) {
    if let Ok(policy) = HeaderValue::from_str(&page::content_security_policy()) {
        headers.insert(HeaderName::from_static("content-security-policy"), policy);
    }
    let nosniff = HeaderValue::from_static("nosniff");
    headers.insert(HeaderName::from_static("x-content-type-options"), nosniff);
}

fn picture(answer: Answer, picture: Picture, colours: Option<Colours>) -> HttpResponse {
    document(answer, "image/svg+xml", picture.document(theme(colours)).into_bytes())
}

/// Draws where the losses come from: ribbons of the binding chains, "other" included.
#[utoipa::path(tag = "Explain",
    params(("id" = String, Path, description = "Id of the answer", example = "imp_…"), PictureQuery),
    responses((status = 200, description = "The picture", content_type = "image/svg+xml", body = String),
              (status = 202, description = "A job: the answer behind it has to be made and takes long; ask again when it has ended")))]
#[get("/v1/impacts/{id}/sankey.svg")]
pub async fn get_sankey(
    service: App,
    request: HttpRequest,
    path: web::Path<String>,
    query: Params<PictureQuery>,
) -> Result<HttpResponse, Unanswered> {
    let (report, answer) = read(&service, &request, &path, &[Include::Explanation]).await?;
    let drawn = report::sankey::sankey(&report, query.0.target.as_deref())?;
    Ok(picture(answer, drawn, query.0.theme))
}

/// Draws the targets as a ranking, with error bars and the two ends of rationing.
#[utoipa::path(tag = "Explain",
    params(("id" = String, Path, description = "Id of the answer", example = "imp_…"), ThemeQuery),
    responses((status = 200, description = "The picture", content_type = "image/svg+xml", body = String),
              (status = 202, description = "A job: the answer behind it has to be made and takes long; ask again when it has ended")))]
#[get("/v1/impacts/{id}/ranking.svg")]
pub async fn get_ranking(
    service: App,
    request: HttpRequest,
    path: web::Path<String>,
    query: Params<ThemeQuery>,
) -> Result<HttpResponse, Unanswered> {
    let (report, answer) = read(&service, &request, &path, &[]).await?;
    Ok(picture(answer, report::ranking::ranking(&report, false)?, query.0.theme))
}

/// Draws the loss of each target over time.
#[utoipa::path(tag = "Explain",
    params(("id" = String, Path, description = "Id of the answer", example = "imp_…"), PictureQuery),
    responses((status = 200, description = "The picture", content_type = "image/svg+xml", body = String),
              (status = 202, description = "A job: the answer behind it has to be made and takes long; ask again when it has ended")))]
#[get("/v1/impacts/{id}/timeline.svg")]
pub async fn get_timeline_picture(
    service: App,
    request: HttpRequest,
    path: web::Path<String>,
    query: Params<PictureQuery>,
) -> Result<HttpResponse, Unanswered> {
    let (report, answer) = read(&service, &request, &path, &[Include::Timeline]).await?;
    let drawn = report::timeline::timeline(&report, query.0.target.as_deref())?;
    Ok(picture(answer, drawn, query.0.theme))
}

/// Draws which figures drive the range of an answer.
#[utoipa::path(tag = "Explain",
    params(("id" = String, Path, description = "Id of the answer", example = "imp_…"), PictureQuery),
    responses((status = 200, description = "The picture", content_type = "image/svg+xml", body = String),
              (status = 202, description = "A job: the answer behind it has to be made and takes long; ask again when it has ended")))]
#[get("/v1/impacts/{id}/tornado.svg")]
pub async fn get_tornado(
    service: App,
    request: HttpRequest,
    path: web::Path<String>,
    query: Params<PictureQuery>,
) -> Result<HttpResponse, Unanswered> {
    let (report, answer) = read(&service, &request, &path, &[Include::Sensitivity]).await?;
    let drawn = report::tornado::tornado(&report, query.0.target.as_deref())?;
    Ok(picture(answer, drawn, query.0.theme))
}

/// Losses by country, as the world table shows them.
async fn countries(
    service: &App,
    report: &report::Answer,
) -> Result<(Vec<String>, Vec<world::Row>), Problem> {
    let snapshot = service.snapshot(&report.graph, Some(report.version)).await?;
    let hits = hits(&snapshot, report);
    let (stages, rows) = service.pool.run(move || Ok(by_country(&snapshot, &hits))).await?;
    let rows = rows.into_iter().map(|row| world::Row {
        country: row.country,
        name: row.name,
        nodes: row.nodes,
        hit: row.hit,
        stages: row
            .stages
            .into_iter()
            .map(|(stage, loss, nodes, direct)| (stage, world::Cell { loss, nodes, direct }))
            .collect(),
    });
    Ok((stages, rows.collect()))
}

/// Draws the losses by country and stage as a table of coloured cells.
#[utoipa::path(tag = "Explain",
    params(("id" = String, Path, description = "Id of the answer", example = "imp_…"), ThemeQuery),
    responses((status = 200, description = "The picture", content_type = "image/svg+xml", body = String),
              (status = 202, description = "A job: the answer behind it has to be made and takes long; ask again when it has ended")))]
#[get("/v1/impacts/{id}/world.svg")]
pub async fn get_world(
    service: App,
    request: HttpRequest,
    path: web::Path<String>,
    query: Params<ThemeQuery>,
) -> Result<HttpResponse, Unanswered> {
    let (report, answer) = read(&service, &request, &path, &[Include::Nodes]).await?;
    let (stages, rows) = countries(&service, &report).await?;
    Ok(picture(answer, world::world(&report, &stages, &rows), query.0.theme))
}

/// Seconds that a brief may take for its ranges.
const PATIENCE: f64 = 10.0;

/// What a brief needs: chains, the clock, and ranges unless they would take too long to wait for.
async fn brief_parts(service: &App, id: &str) -> Result<Vec<Include>, Problem> {
    let (shared, id) = (service.clone(), id.to_owned());
    let estimated = move || {
        let question = shared.question_of(&id)?;
        Ok(estimate_question(&shared.question_with(question, &[Include::Range])?).seconds)
    };
    let seconds = service.blocking(estimated).await?;
    let mut parts = vec![Include::Explanation, Include::Timeline];
    if seconds <= PATIENCE {
        parts.push(Include::Range);
    }
    Ok(parts)
}

/// Measures that a brief lists.
const MEASURES: usize = 6;

/// What would help against an answer, unless it has no targets or that would take too long to wait
/// for.
async fn helpful(
    service: &App,
    request: &HttpRequest,
    id: &str,
) -> Result<Option<report::answer::Help>, Unanswered> {
    let (shared, name) = (service.clone(), id.to_owned());
    let wish = Wish { top: Some(MEASURES), ..Wish::default() };
    let asked = service.blocking(move || match shared.mitigation_question(&name, wish) {
        Err(ServiceError::Impossible { .. }) => Ok(None),
        other => other.map(Some),
    });
    let Some((snapshot, question)) = asked.await? else { return Ok(None) };
    if question.estimate(&snapshot).seconds > PATIENCE {
        return Ok(None);
    }
    let answer = analysed(service, request, snapshot, question).await?;
    Ok(Some(report::answer::Help::read(&answer.body)?))
}

/// Gives the answer as one printable page: numbers, pictures, reasons, sources, caveats.
#[utoipa::path(tag = "Explain",
    params(("id" = String, Path, description = "Id of the answer", example = "imp_…")),
    responses((status = 200, description = "The page", content_type = "text/html", body = String),
              (status = 202, description = "A job: the answer behind it has to be made and takes long; ask again when it has ended")))]
#[get("/v1/impacts/{id}/brief.html")]
pub async fn get_brief(
    service: App,
    request: HttpRequest,
    path: web::Path<String>,
    _query: Params<Nothing>,
) -> Result<HttpResponse, Unanswered> {
    let (report, answer) =
        read(&service, &request, &path, &brief_parts(&service, &path).await?).await?;
    let help = helpful(&service, &request, &path).await?;
    let html = report::brief::brief(&report, help.as_ref(), &path);
    Ok(document(answer, "text/html; charset=utf-8", html.into_bytes()))
}

async fn all_tables(
    service: &App,
    request: &HttpRequest,
    id: &str,
) -> Result<(Vec<tables::Table>, String, Answer), Unanswered> {
    let parts = [Include::Nodes, Include::Explanation, Include::Timeline];
    let (report, answer) = read(service, request, id, &parts).await?;
    let (_, rows) = countries(service, &report).await?;
    Ok((tables::tables(&report, &rows), report.title().to_owned(), answer))
}

/// Gives every table of an answer as one Excel workbook, a sheet each.
#[utoipa::path(tag = "Explain",
    params(("id" = String, Path, description = "Id of the answer", example = "imp_…")),
    responses((status = 200, description = "The workbook",
        content_type = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", body = Vec<u8>),
              (status = 202, description = "A job: the answer behind it has to be made and takes long; ask again when it has ended")))]
#[get("/v1/impacts/{id}/table.xlsx")]
pub async fn get_workbook(
    service: App,
    request: HttpRequest,
    path: web::Path<String>,
    _query: Params<Nothing>,
) -> Result<HttpResponse, Unanswered> {
    let (tables, title, answer) = all_tables(&service, &request, &path).await?;
    let write = move || {
        tables::workbook(&tables, &title).map_err(|error| {
            tracing::error!(%error, "workbook");
            ServiceError::Internal
        })
    };
    let bytes = service.pool.run(write).await?;
    let media = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
    Ok(download(document(answer, media, bytes), &format!("{}.xlsx", *path)))
}

fn download(mut response: HttpResponse, file: &str) -> HttpResponse {
    if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{file}\"")) {
        response.headers_mut().insert(CONTENT_DISPOSITION, value);
    }
    response
}

/// Gives one table of an answer as CSV.
///
/// Tables: `targets`, `chains`, `origins`, `countries`, `losses`, `timeline`, `sensitivity`,
/// `sources`, `about`.
#[utoipa::path(tag = "Explain",
    params(("id" = String, Path, description = "Id of the answer", example = "imp_…"),
           ("table" = String, Path, description = "Name of the table", example = "chains")),
    responses((status = 200, description = "The table", content_type = "text/csv", body = String),
              (status = 202, description = "A job: the answer behind it has to be made and takes long; ask again when it has ended")))]
#[get("/v1/impacts/{id}/tables/{table}.csv")]
pub async fn get_table(
    service: App,
    request: HttpRequest,
    path: web::Path<(String, String)>,
    _query: Params<Nothing>,
) -> Result<HttpResponse, Unanswered> {
    let (id, name) = path.into_inner();
    if !tables::NAMES.contains(&name.as_str()) {
        return Err(Problem::new(Code::NotFound, format!("an answer has no table {name}"))
            .hint(format!("it has {}", tables::NAMES.join(", ")))
            .into());
    }
    let (tables, _, answer) = all_tables(&service, &request, &id).await?;
    let table = tables.into_iter().find(|table| table.name == name).ok_or_else(|| {
        Problem::new(Code::NotFound, format!("the table {name} of {id} is empty"))
            .hint("the answer has no such part; ask with `include`")
    })?;
    let csv = tables::csv(&table)?;
    Ok(download(document(answer, "text/csv; charset=utf-8", csv), &format!("{id}-{name}.csv")))
}
