//! Exports: a graph at a version as a file, streamed.

use std::ops::Deref;
use std::sync::Arc;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, ETAG};
use actix_web::{HttpResponse, get, web};
use bytes::Bytes;
use futures_util::stream;

use super::App;
use super::extract::Params;
use super::lists::AtQuery;
use super::problem::{Code, Problem};
use super::reply::{Holds, cache_control, etag};
use crate::dataset::formats::{Exporter, Format, Kind, ParquetExporter};
use crate::graph::Snapshot;
use crate::model::Network;
use crate::service::ServiceError;

/// Extensions that a graph can be had in.
const EXTENSIONS: &[&str] = &["ndjson", "graphml", "json", "csv.zip", "neo4j.zip"];

/// The network of a snapshot that is kept alive while its export runs.
pub struct Exported(Arc<Snapshot>);

impl Deref for Exported {
    type Target = Network;

    fn deref(&self) -> &Network {
        self.0.network()
    }
}

/// Exports a graph at a version. Importing the file gives the same graph.
///
/// Extensions: `ndjson`, `graphml`, `json` (node-link), `csv.zip`, `neo4j.zip`.
#[utoipa::path(tag = "Data",
    params(("g" = String, Path, description = "Name of the graph", example = "critical-minerals"),
           ("extension" = String, Path, description = "`ndjson`, `graphml`, `json`, `csv.zip` or `neo4j.zip`", example = "ndjson"),
           AtQuery),
    responses((status = 200, description = "The file", content(
        (String = "application/x-ndjson"), (String = "application/graphml+xml"),
        (Object = "application/json"), (Vec<u8> = "application/zip")))))]
#[get("/v1/graphs/{g}/export.{extension}")]
pub async fn export_graph(
    service: App,
    path: web::Path<(String, String)>,
    query: Params<AtQuery>,
) -> Result<HttpResponse, Problem> {
    let (graph, extension) = path.into_inner();
    let format = Some(extension.as_str())
        .filter(|extension| EXTENSIONS.contains(extension))
        .and_then(Format::from_extension)
        .ok_or_else(|| {
            Problem::new(Code::NotFound, format!("graphs are not exported as .{extension}"))
                .hint(format!("use one of {}", EXTENSIONS.join(", ")))
        })?;
    let snapshot = service.snapshot(&graph, query.0.at).await?;
    let version = snapshot.info().version;
    let title = snapshot.info().settings.title.clone();
    let mut exporter = Exporter::new(format, Exported(snapshot), title.as_deref());
    let name = format!("{graph}-{version}.{extension}");
    let holds = Holds::at(query.0.at, version);
    Ok(streamed(&service, format.content_type(), &name, version, holds, move || {
        Ok(exporter.next_chunk())
    }))
}

/// Streams a file: one chunk at a time on the pool, so that a slow reader holds nothing but its
/// chunk.
fn streamed(
    service: &App,
    content_type: &'static str,
    name: &str,
    version: u64,
    holds: Holds,
    next: impl FnMut() -> Result<Option<Vec<u8>>, ServiceError> + Send + 'static,
) -> HttpResponse {
    let chunks = stream::unfold(Some((next, service.pool.clone())), |state| async move {
        let (mut next, pool) = state?;
        let made = pool
            .run(move || {
                let chunk = next()?;
                Ok((chunk, next))
            })
            .await;
        match made {
            Ok((chunk, next)) => Some((Ok(Bytes::from(chunk?)), Some((next, pool)))),
            // The transfer breaks off: half a file must not look whole.
            Err(error) => Some((Err(error), None)),
        }
    });
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, content_type))
        .insert_header((CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")))
        .insert_header((ETAG, etag(version)))
        .insert_header((CACHE_CONTROL, cache_control(holds)))
        .streaming(chunks)
}

/// Exports one table of a graph as Parquet, for data tools.
///
/// Tables: `nodes`, `flows`, `requirements`. Columns are those of the CSV tables, with products
/// spelled out.
#[utoipa::path(tag = "Data",
    params(("g" = String, Path, description = "Name of the graph", example = "critical-minerals"),
           ("table" = String, Path, description = "`nodes`, `flows` or `requirements`", example = "flows"),
           AtQuery),
    responses((status = 200, description = "The file", body = Vec<u8>, content_type = "application/vnd.apache.parquet")))]
#[get("/v1/graphs/{g}/export/{table}.parquet")]
pub async fn export_table(
    service: App,
    path: web::Path<(String, String)>,
    query: Params<AtQuery>,
) -> Result<HttpResponse, Problem> {
    let (graph, table) = path.into_inner();
    let kind = Kind::ALL.into_iter().find(|kind| table == format!("{}s", kind.as_str()));
    let kind = kind.ok_or_else(|| {
        Problem::new(Code::NotFound, format!("there is no table \"{table}\""))
            .hint("use nodes, flows or requirements")
    })?;
    let snapshot = service.snapshot(&graph, query.0.at).await?;
    parquet(&service, &graph, kind, snapshot, query.0.at)
}

fn parquet(
    service: &App,
    graph: &str,
    kind: Kind,
    snapshot: Arc<Snapshot>,
    at: Option<u64>,
) -> Result<HttpResponse, Problem> {
    let internal = |error: &dyn std::fmt::Display| {
        tracing::error!(%error, "parquet");
        ServiceError::Internal
    };
    let version = snapshot.info().version;
    let mut exporter =
        ParquetExporter::new(kind, Exported(snapshot)).map_err(|error| internal(&error))?;
    let name = format!("{graph}-{version}-{}s.parquet", kind.as_str());
    let content_type = "application/vnd.apache.parquet";
    Ok(streamed(service, content_type, &name, version, Holds::at(at, version), move || {
        exporter.next_chunk().map_err(|error| internal(&error))
    }))
}
