//! What handlers answer with: JSON or CSV, with the version as ETag.

use actix_web::http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderValue, IF_NONE_MATCH, LOCATION,
};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;

use super::problem::{Code, Problem};

/// How long an answer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// Until the graph changes: ask again, the ETag tells.
    Now(u64),
    /// For ever: it is bound to a version.
    Forever(u64),
}

impl Holds {
    /// For ever if the caller named the version, else until the graph changes.
    pub fn at(at: Option<u64>, version: u64) -> Self {
        if at.is_some() { Self::Forever(version) } else { Self::Now(version) }
    }

    fn version(self) -> u64 {
        match self {
            Self::Now(version) | Self::Forever(version) => version,
        }
    }
}

/// The ETag of a version.
pub fn etag(version: u64) -> String {
    format!("\"{version}\"")
}

/// JSON without a version.
///
/// # Errors
/// [`Code::Internal`] if it cannot be written as JSON.
pub fn json<T: Serialize>(body: &T) -> Result<HttpResponse, Problem> {
    Ok(HttpResponse::Ok().insert_header((CONTENT_TYPE, "application/json")).body(bytes(body)?))
}

/// The JSON of a body.
///
/// # Errors
/// [`Code::Internal`] if it cannot be written as JSON.
pub fn bytes<T: Serialize>(body: &T) -> Result<Vec<u8>, Problem> {
    serde_json::to_vec(body).map_err(|error| {
        tracing::error!(%error, "an answer cannot be written as JSON");
        Problem::new(Code::Internal, "internal error")
    })
}

/// JSON that speaks of a version; 304 if the caller has it already.
///
/// # Errors
/// As [`json`].
pub fn versioned<T: Serialize>(
    request: &HttpRequest,
    holds: Holds,
    body: &T,
) -> Result<HttpResponse, Problem> {
    if unchanged(request, holds.version()) {
        return Ok(HttpResponse::NotModified()
            .insert_header((ETAG, etag(holds.version())))
            .insert_header((CACHE_CONTROL, cache_control(holds)))
            .finish());
    }
    Ok(versioned_bytes(holds, bytes(body)?))
}

/// A JSON body that speaks of a version.
pub fn versioned_bytes(holds: Holds, body: impl Into<web::Bytes>) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, HeaderValue::from_static("application/json")))
        .insert_header((ETAG, etag(holds.version())))
        .insert_header((CACHE_CONTROL, HeaderValue::from_static(cache_control(holds))))
        .body(body.into())
}

/// `Cache-Control` of an answer.
pub fn cache_control(holds: Holds) -> &'static str {
    match holds {
        Holds::Now(_) => "no-cache",
        Holds::Forever(_) => "public, max-age=31536000, immutable",
    }
}

fn unchanged(request: &HttpRequest, version: u64) -> bool {
    let Some(tags) = request.headers().get(IF_NONE_MATCH).and_then(|v| v.to_str().ok()) else {
        return false;
    };
    let tag = etag(version);
    tags.split(',').any(|t| t.trim().trim_start_matches("W/") == tag)
}

/// 200 or 201 with the new version as ETag.
///
/// # Errors
/// As [`json`].
pub fn written<T: Serialize>(
    body: &T,
    version: u64,
    created_at: Option<String>,
) -> Result<HttpResponse, Problem> {
    let mut response =
        if created_at.is_some() { HttpResponse::Created() } else { HttpResponse::Ok() };
    if let Some(location) = created_at.and_then(|l| HeaderValue::from_str(&l).ok()) {
        response.insert_header((LOCATION, location));
    }
    response.insert_header((ETAG, etag(version)));
    Ok(response.insert_header((CONTENT_TYPE, "application/json")).body(bytes(body)?))
}

/// Media types that a list can be had in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListFormat {
    /// A page as JSON.
    Json,
    /// The rows as CSV.
    Csv,
}

/// The format that `Accept` asks for: the first known one by weight; JSON where anything goes.
///
/// # Errors
/// [`Code::NotAcceptable`].
pub fn list_format(request: &HttpRequest) -> Result<ListFormat, Problem> {
    let accept = request.headers().get(ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or("*/*");
    let mut best: Option<(f32, ListFormat)> = None;
    for part in accept.split(',') {
        let mut pieces = part.split(';').map(str::trim);
        let format = match pieces.next().unwrap_or_default().to_ascii_lowercase().as_str() {
            "*/*" | "application/*" | "application/json" | "" => ListFormat::Json,
            "text/csv" | "text/*" => ListFormat::Csv,
            // Browsers ask for HTML first and take anything.
            _ => continue,
        };
        let weight = pieces
            .find_map(|p| p.strip_prefix("q="))
            .and_then(|q| q.parse::<f32>().ok())
            .unwrap_or(1.0);
        if weight > 0.0 && best.is_none_or(|(most, _)| weight > most) {
            best = Some((weight, format));
        }
    }
    best.map(|(_, format)| format).ok_or_else(|| {
        Problem::new(Code::NotAcceptable, format!("there is no \"{accept}\" here"))
            .param("Accept")
            .hint("ask for application/json or text/csv")
    })
}
