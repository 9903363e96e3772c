//! Imports: the body streams into the importer, never held whole.

use actix_web::{HttpMessage, HttpRequest, HttpResponse, get, post, web};
use bytes::{Bytes, BytesMut};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use utoipa::{IntoParams, ToSchema};

use super::App;
use super::extract::{
    BodyLimits, Params, declared_length, limits, next_chunk, too_large, unpacked, write_context,
};
use super::graphs::Nothing;
use super::guard::who;
use super::jobs::accepted;
use super::once::{claim, remember, replay};
use super::problem::{Code, Problem};
use super::reply::written;
use super::run::wants_job;
use crate::dataset::formats::Format;
use crate::service::idempotency::{Claim, hex};
use crate::service::imports::{Import, ImportMode, ImportRequest, Imported};

/// Bytes that are handed to the importer at a time.
const FEED: usize = 1 << 20;

/// What happens to what is there.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ModeParam {
    /// The file becomes the whole content.
    #[default]
    Replace,
    /// Records of the file are added or replace those of the same key.
    Merge,
}

/// What happens to bad rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnError {
    /// One bad row and nothing is written.
    #[default]
    Reject,
    /// Bad rows are left out and reported.
    Skip,
}

/// How to import.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ImportQuery {
    /// Check and report, write nothing.
    #[serde(default)]
    #[param(required = false)]
    pub dry_run: bool,
    /// What happens to what is there (default `replace`).
    #[serde(default)]
    #[param(required = false, inline)]
    pub mode: ModeParam,
    /// What happens to bad rows (default `reject`).
    #[serde(default)]
    #[param(required = false, inline)]
    pub on_error: OnError,
    /// Why, for the log.
    pub message: Option<String>,
}

/// Imports a file into a graph, as one new version.
///
/// The format is told by `Content-Type`: `application/x-ndjson` (one record a line), `text/csv`
/// (one table), `application/zip` (a zip of tables), `application/graphml+xml`, `application/json`
/// (node-link), or `application/xml` (GraphML, or a fault tree in the Open-PSA format, whose gates
/// become nodes with threshold rules; `target` is its top). Every bad row is reported with line, column and problem.
#[utoipa::path(tag = "Data",
    params(("g" = String, Path, description = "Name of the graph", example = "what-if"),
           ImportQuery),
    request_body(content(
        (String = "application/x-ndjson", example = json!("{\"type\":\"node\",\"id\":\"tin.mine.PER\"}\n")),
        (String = "text/csv"), (Vec<u8> = "application/zip"),
        (String = "application/graphml+xml"), (String = "application/xml"), (Object = "application/json"))),
    responses((status = 200, description = "Counts, and every bad row", body = Imported),
              (status = 202, description = "With `Prefer: respond-async`: a job; its result is the report"),
              (status = 422, description = "Bad rows; nothing was written. `report` lists them.", body = Problem)))]
#[post("/v1/graphs/{g}/imports")]
pub async fn import_graph(
    service: App,
    path: web::Path<String>,
    request: HttpRequest,
    query: Params<ImportQuery>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let format = format_of(&request)?;
    let BodyLimits { import: limit, idle, .. } = limits(&request);
    declared_length(&request, limit)?;
    let query = query.0;
    let asked = ImportRequest {
        graph: path.into_inner(),
        dry_run: query.dry_run,
        mode: match query.mode {
            ModeParam::Replace => ImportMode::Replace,
            ModeParam::Merge => ImportMode::Merge,
        },
        skip_bad_rows: query.on_error == OnError::Skip,
        context: write_context(&request, query.message)?,
    };
    let claimed = claim(&service, &request)?;
    let mut sha = claimed.is_some().then(Sha256::new);
    let mut import = match &claimed {
        Some(Claim::Again(_)) => None,
        _ => Some(service.import(asked, format)?),
    };

    let mut payload = unpacked(&request, &mut payload.into_inner())?;
    let mut read = 0u64;
    let mut buffer = BytesMut::with_capacity(FEED);
    while let Some(chunk) = next_chunk(&mut payload, idle).await? {
        read += chunk.len() as u64;
        if read > limit {
            return Err(too_large(limit));
        }
        if let Some(sha) = &mut sha {
            sha.update(&chunk);
        }
        buffer.extend_from_slice(&chunk);
        if buffer.len() >= FEED {
            import = feed(&service, import, buffer.split().freeze()).await?;
        }
    }
    import = feed(&service, import, buffer.freeze()).await?;
    let body_hash = sha.map(|sha| hex(&sha.finalize())).unwrap_or_default();

    let turn = match claimed {
        Some(Claim::Again(first)) => return replay(first, &body_hash),
        Some(Claim::First(turn)) => Some(turn),
        None => None,
    };
    let import = import.ok_or(crate::service::ServiceError::Internal)?;
    if wants_job(&request)? {
        let job = service.clone().into_inner().import_job(&who(&request).name, import)?;
        let response = accepted(job.view())?;
        return match turn {
            Some(turn) => remember(&service, turn, body_hash, response).await,
            None => Ok(response),
        };
    }
    let done: Imported = service.finish_import(import).await?;
    let response = written(&done, done.version, None)?;
    match turn {
        Some(turn) => remember(&service, turn, body_hash, response).await,
        None => Ok(response),
    }
}

/// Gets the report of an import that ran as a job.
#[utoipa::path(tag = "Data",
    params(("id" = String, Path, description = "Id of the import, from its job")),
    responses((status = 200, description = "Counts, and every bad row", body = Imported)))]
#[get("/v1/imports/{id}")]
pub async fn get_import(
    service: App,
    path: web::Path<String>,
    _query: Params<Nothing>,
) -> Result<HttpResponse, Problem> {
    let report = service.import_report(&path)?;
    Ok(HttpResponse::Ok().insert_header(("content-type", "application/json")).body(report))
}

/// Feeds a chunk on the pool; the upload waits meanwhile, so memory stays bounded.
async fn feed(
    service: &App,
    import: Option<Import>,
    chunk: Bytes,
) -> Result<Option<Import>, Problem> {
    let Some(mut import) = import else { return Ok(None) };
    let (fed, import) = service
        .bulk
        .run(move || {
            let fed = import.feed(&chunk);
            Ok((fed, import))
        })
        .await?;
    fed?;
    Ok(Some(import))
}

fn format_of(request: &HttpRequest) -> Result<Format, Problem> {
    let content_type = request.content_type();
    Format::from_content_type(content_type).ok_or_else(|| {
        let said = if content_type.is_empty() {
            "the request has no Content-Type".to_owned()
        } else {
            format!("\"{content_type}\" is not read here")
        };
        Problem::new(Code::UnsupportedFormat, said).param("Content-Type").hint(
            "send application/x-ndjson, text/csv, application/zip, application/graphml+xml or \
             application/json (node-link)",
        )
    })
}
