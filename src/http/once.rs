//! `Idempotency-Key`: a repeated POST gives the first answer.

use std::future::Future;

use actix_web::body::MessageBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, ETAG, LOCATION};
use actix_web::{HttpRequest, HttpResponse};

use super::App;
use super::extract::header;
use super::problem::{Code, Problem};
use crate::service::ServiceError;
use crate::service::idempotency::{Claim, FirstAnswer, Turn, hash};

/// Longest key, in bytes.
const MAX_KEY: usize = 255;
/// Says that an answer is a repeated one.
const REPLAYED: &str = "idempotency-replayed";

/// Claims the key of a request, if it carries one.
///
/// # Errors
/// A bad key; a first request that still runs.
pub fn claim(service: &App, request: &HttpRequest) -> Result<Option<Claim>, Problem> {
    let Some(key) = header(request.headers(), "idempotency-key")? else { return Ok(None) };
    if key.is_empty() || key.len() > MAX_KEY {
        return Err(Problem::new(
            Code::InvalidHeader,
            format!("an Idempotency-Key has 1 to {MAX_KEY} characters"),
        )
        .param("Idempotency-Key"));
    }
    let target = format!("{} {}", request.method(), request.uri());
    Ok(Some(service.idempotency.claim(&target, key)?))
}

/// The first answer again, if the body is the same.
///
/// # Errors
/// [`ServiceError::KeyReused`].
pub fn replay(first: FirstAnswer, body_hash: &str) -> Result<HttpResponse, Problem> {
    if !first.answers(body_hash) {
        return Err(ServiceError::KeyReused.into());
    }
    let status = StatusCode::from_u16(first.status).unwrap_or(StatusCode::OK);
    let mut response = HttpResponse::build(status);
    for (name, value) in first.headers {
        response.insert_header((name, value));
    }
    Ok(response.insert_header((REPLAYED, "true")).body(first.body))
}

/// Remembers a good answer under its key; a refused request may be sent again with the same key.
///
/// # Errors
/// A store that cannot keep it.
pub async fn remember(
    service: &App,
    turn: Turn,
    body_hash: String,
    response: HttpResponse,
) -> Result<HttpResponse, Problem> {
    if !response.status().is_success() {
        return Ok(response);
    }
    let (head, body) = response.into_parts();
    let bytes = body.try_into_bytes().map_err(|_| {
        tracing::error!("a streamed answer cannot be remembered");
        Problem::new(Code::Internal, "internal error")
    })?;
    let headers = [CONTENT_TYPE, ETAG, LOCATION]
        .iter()
        .filter_map(|name| {
            let value = head.headers().get(name)?.to_str().ok()?;
            Some((name.as_str().to_owned(), value.to_owned()))
        })
        .collect();
    let (status, text) = (head.status().as_u16(), String::from_utf8_lossy(&bytes).into_owned());
    let kept = service.blocking(move || turn.finish(body_hash, status, headers, text)).await;
    if let Err(error) = kept {
        // The write itself is durable: say so rather than report a failure.
        tracing::error!(%error, "an idempotency key could not be remembered");
    }
    Ok(head.set_body(bytes).map_into_boxed_body())
}

/// Runs a POST once for each key.
///
/// # Errors
/// What `work` returns; a key that was used with another body.
pub async fn once(
    service: &App,
    request: &HttpRequest,
    body: &[u8],
    work: impl Future<Output = Result<HttpResponse, Problem>>,
) -> Result<HttpResponse, Problem> {
    match claim(service, request)? {
        None => work.await,
        Some(Claim::Again(first)) => replay(first, &hash([body])),
        Some(Claim::First(turn)) => {
            let body_hash = hash([body]);
            let response = work.await?;
            remember(service, turn, body_hash, response).await
        }
    }
}
