//! Health, readiness, version, the table of problem codes, backups.

use std::io::Write;

use actix_web::{HttpResponse, get, post};
use bytes::Bytes;
use futures_util::stream;
use serde::Serialize;
use utoipa::ToSchema;

use super::App;
use super::problem::{Code, Problem};
use super::reply::json;
use crate::service::rows::{Meta, Page};

/// One word.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = HealthStatus)]
pub struct Status {
    /// `ok`, or `ready`.
    pub status: &'static str,
}

/// Tells whether the process lives.
#[utoipa::path(tag = "Operations",
    responses((status = 200, description = "It does", body = Status)))]
#[get("/healthz")]
pub async fn get_health() -> Result<HttpResponse, Problem> {
    json(&Status { status: "ok" })
}

/// Tells whether the server should get traffic.
#[utoipa::path(tag = "Operations",
    responses((status = 200, description = "It should", body = Status),
              (status = 503, description = "Graphs are being loaded, or the store has failed", body = Problem)))]
#[get("/readyz")]
pub async fn get_readiness(service: App) -> Result<HttpResponse, Problem> {
    match service.not_ready() {
        None => json(&Status { status: "ready" }),
        Some(reason) if service.is_loaded() => Err(Problem::new(Code::StoreFailed, reason)),
        Some(reason) => Err(Problem::new(Code::Loading, reason)),
    }
}

/// What runs here.
#[derive(Debug, Serialize, ToSchema)]
pub struct Version {
    /// Name of the program.
    pub name: &'static str,
    /// Version of the program.
    pub version: &'static str,
    /// Version of the engine: part of every answer's id.
    pub engine: &'static str,
}

/// Tells which version runs.
#[utoipa::path(tag = "Operations",
    responses((status = 200, description = "Program and engine", body = Version)))]
#[get("/v1/version")]
pub async fn get_version() -> Result<HttpResponse, Problem> {
    let version = env!("CARGO_PKG_VERSION");
    json(&Version {
        name: env!("CARGO_PKG_NAME"),
        version,
        engine: concat!("chokepoint/", env!("CARGO_PKG_VERSION")),
    })
}

/// A code of the table.
#[derive(Debug, Serialize, ToSchema)]
pub struct CodeView {
    /// What programs match on.
    pub code: &'static str,
    /// HTTP status.
    pub status: u16,
    /// One line for people.
    pub title: &'static str,
}

/// Lists every problem code.
#[utoipa::path(tag = "Operations",
    responses((status = 200, description = "The table", body = Page<CodeView>)))]
#[get("/v1/problems")]
pub async fn list_problems() -> Result<HttpResponse, Problem> {
    let results: Vec<CodeView> = Code::ALL
        .iter()
        .map(|code| CodeView {
            code: code.as_str(),
            status: code.status().as_u16(),
            title: code.title(),
        })
        .collect();
    json(&Page { meta: Meta { count: results.len(), next_cursor: None }, results })
}

/// Bytes of a backup that are handed on at a time.
const BACKUP_CHUNK: usize = 256 << 10;

/// What the store writes a backup into: chunks for the response, in bounded memory.
struct Chunks {
    buffer: Vec<u8>,
    to: tokio::sync::mpsc::Sender<std::io::Result<Bytes>>,
}

impl Write for Chunks {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= BACKUP_CHUNK {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        let chunk = std::mem::take(&mut self.buffer);
        if chunk.is_empty() {
            return Ok(());
        }
        self.to
            .blocking_send(Ok(Bytes::from(chunk)))
            .map_err(|_| std::io::Error::from(std::io::ErrorKind::BrokenPipe))
    }
}

/// Backs up everything, as of one moment, while reads and writes go on.
///
/// The answer is the backup file; `chokepoint restore` makes a store of it.
#[utoipa::path(tag = "Operations",
    responses((status = 200, description = "The backup", body = Vec<u8>, content_type = "application/octet-stream")))]
#[post("/v1/admin/backup")]
pub async fn back_up(service: App) -> Result<HttpResponse, Problem> {
    let (to, from) = tokio::sync::mpsc::channel(4);
    let store = service.store.clone();
    tokio::task::spawn_blocking(move || {
        let mut chunks = Chunks { buffer: Vec::new(), to: to.clone() };
        let done = store.backup(&mut chunks).map_err(std::io::Error::other);
        match done.and_then(|info| chunks.flush().map(|()| info)) {
            Ok(info) => tracing::info!(?info, "backed up"),
            Err(error) => {
                tracing::error!(%error, "the backup broke off");
                // The transfer breaks off too: half a backup must not look whole.
                let _ = to.blocking_send(Err(error));
            }
        }
    });
    let chunks = stream::unfold(from, |mut from| async move { Some((from.recv().await?, from)) });
    Ok(HttpResponse::Ok()
        .insert_header(("content-type", "application/octet-stream"))
        .insert_header(("content-disposition", "attachment; filename=\"chokepoint.backup\""))
        .insert_header(("content-encoding", "identity"))
        .streaming(chunks))
}
