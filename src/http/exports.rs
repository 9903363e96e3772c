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
use crate::dataset::formats::{Exporter, Format};
use crate::graph::Snapshot;
use crate::model::Network;

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
    let exporter = Exporter::new(format, Exported(snapshot), title.as_deref());
    let pool = service.pool.clone();
    // One chunk at a time on the pool: a slow reader holds nothing but its chunk.
    let chunks = stream::unfold(Some((exporter, pool)), |state| async move {
        let (mut exporter, pool) = state?;
        let made = pool
            .run(move || {
                let chunk = exporter.next_chunk();
                Ok((chunk, exporter))
            })
            .await;
        match made {
            Ok((chunk, exporter)) => Some((Ok(Bytes::from(chunk?)), Some((exporter, pool)))),
            // The transfer breaks off: half a file must not look whole.
            Err(error) => Some((Err(error), None)),
        }
    });
    let holds = Holds::at(query.0.at, version);
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, format.content_type()))
        .insert_header((
            CONTENT_DISPOSITION,
            format!("attachment; filename=\"{graph}-{version}.{extension}\""),
        ))
        .insert_header((ETAG, etag(version)))
        .insert_header((CACHE_CONTROL, cache_control(holds)))
        .streaming(chunks))
}
