//! What happens to every request: request id, panics, extensions, problems, 404 and 405.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{Response, ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{ACCEPT, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{HttpMessage, HttpRequest, HttpResponse, web};
use futures_util::FutureExt;
use tracing_actix_web::RequestId;

use super::App;
use super::problem::{Code, Problem};
use crate::service::pool::panic_message;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Lists that can be had with the extension `.csv`.
const CSV_LISTS: &[&str] = &[
    "graphs",
    "versions",
    "nodes",
    "flows",
    "requirements",
    "scenarios",
    "products",
    "countries",
    "stages",
    "policies",
    "projects",
    "stockpiles",
    "sources",
];

/// Gives every answer its request id, turns panics and bare errors into problems, holds requests
/// back while graphs are loaded, and reads `list.csv` as `list` with `Accept: text/csv`.
///
/// # Errors
/// None of its own.
pub async fn edge(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let id = request.extensions().get::<RequestId>().map(ToString::to_string).unwrap_or_default();
    if let Some(problem) = loading(&request) {
        let response = finish(problem.into_response(), &id);
        return Ok(request.into_response(response));
    }
    csv_extension(&mut request);
    // Nothing may hold on to the request here: routing needs it for itself. So what fails without
    // a response goes up as an error, with its request id.
    let outcome = AssertUnwindSafe(next.call(request)).catch_unwind().await;
    match outcome {
        Ok(Ok(response)) => {
            let (request, response) = response.into_parts();
            let response = finish(response.map_into_boxed_body(), &id);
            Ok(ServiceResponse::new(request, response))
        }
        Ok(Err(error)) => {
            let mut problem = of_status(error.as_response_error().status_code());
            problem.request_id = Some(id);
            Err(problem.into())
        }
        Err(panic) => {
            tracing::error!(message = panic_message(&*panic), "a handler panicked");
            let mut problem = Problem::new(Code::Internal, "internal error")
                .hint("the log has the details under this request_id");
            problem.request_id = Some(id);
            Err(problem.into())
        }
    }
}

/// Renders problems with the request id and sets the header.
pub(super) fn finish(response: HttpResponse, id: &str) -> HttpResponse {
    // The response says all: what it was made of would be logged as an error, a job included.
    let mut response = HttpResponse::from(Response::from(response));
    let problem = response.extensions_mut().remove::<Problem>();
    let bare = response.status().is_client_error() || response.status().is_server_error();
    let is_problem = response
        .headers()
        .get("content-type")
        .is_some_and(|v| v.as_bytes().starts_with(b"application/problem+json"));
    if let Some(mut problem) = problem {
        problem.request_id = Some(id.to_owned());
        response = problem.into_response();
    } else if bare && !is_problem {
        let mut problem = of_status(response.status());
        problem.request_id = Some(id.to_owned());
        response = problem.into_response();
    }
    if let Ok(value) = HeaderValue::from_str(id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    secure(&mut response);
    response
}

/// What a page may load: only from here, and no script of its own text. Swagger UI sets styles.
const PAGE_POLICY: &str = "default-src 'self'; img-src 'self' data:; \
    style-src 'self' 'unsafe-inline'; script-src 'self'; object-src 'none'; base-uri 'none'; \
    form-action 'self'; frame-ancestors 'none'";
/// What an answer that is no page may load: nothing.
const DATA_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; sandbox; \
    frame-ancestors 'none'";

/// Sets the headers that keep browsers careful, unless the handler has set its own.
fn secure(response: &mut HttpResponse) {
    let page = response
        .headers()
        .get("content-type")
        .is_some_and(|v| v.as_bytes().starts_with(b"text/html"));
    let policy = if page { PAGE_POLICY } else { DATA_POLICY };
    for (name, value) in [
        ("content-security-policy", policy),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-resource-policy", "same-origin"),
    ] {
        let name = HeaderName::from_static(name);
        if !response.headers().contains_key(&name) {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
    }
}

/// The problem behind an error that the framework answered itself.
fn of_status(status: StatusCode) -> Problem {
    let code = match status {
        StatusCode::NOT_FOUND => Code::NoSuchPath,
        StatusCode::METHOD_NOT_ALLOWED => Code::MethodNotAllowed,
        StatusCode::PAYLOAD_TOO_LARGE => Code::TooLarge,
        StatusCode::UNSUPPORTED_MEDIA_TYPE => Code::UnsupportedFormat,
        status if status.is_client_error() => Code::MalformedRequest,
        _ => Code::Internal,
    };
    Problem::new(code, code.title())
}

fn loading(request: &ServiceRequest) -> Option<Problem> {
    let service = request.app_data::<App>()?;
    let held = request.path().starts_with("/v1/graphs") && !service.is_loaded();
    held.then(|| Problem::new(Code::Loading, "graphs are being loaded").hint("try again soon"))
}

fn csv_extension(request: &mut ServiceRequest) {
    let Some(bare) = request.path().strip_suffix(".csv") else { return };
    let last = bare.rsplit('/').next().unwrap_or_default();
    // A node may be called `nodes.csv`: lists come right after a graph or `/v1`.
    let depth = bare.matches('/').count();
    if !CSV_LISTS.contains(&last) || !bare.starts_with("/v1/") || !matches!(depth, 2 | 4) {
        return;
    }
    let query = request.query_string();
    let target = if query.is_empty() { bare.to_owned() } else { format!("{bare}?{query}") };
    let Ok(uri) = target.parse::<actix_web::http::Uri>() else { return };
    request.match_info_mut().get_mut().update(&uri);
    let head = request.head_mut();
    head.uri = uri;
    head.headers_mut().insert(ACCEPT, HeaderValue::from_static("text/csv"));
}

/// Paths of the API with their methods, read from the OpenAPI document.
#[derive(Debug, Clone, Default)]
pub struct KnownPaths(pub Arc<Vec<(Vec<String>, Vec<String>)>>);

impl KnownPaths {
    /// The paths of a document.
    pub fn of(document: &serde_json::Value) -> Self {
        let paths = document.get("paths").and_then(|p| p.as_object());
        let known = paths.into_iter().flatten().map(|(path, operations)| {
            let segments = path.trim_start_matches('/').split('/').map(str::to_owned).collect();
            let methods = operations.as_object().into_iter().flatten();
            (segments, methods.map(|(method, _)| method.to_uppercase()).collect())
        });
        Self(Arc::new(known.collect()))
    }

    /// Methods of every path that fits.
    fn methods(&self, path: &str) -> Vec<&str> {
        let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        let fits = |template: &[String]| {
            template.len() == segments.len()
                && template
                    .iter()
                    .zip(&segments)
                    .all(|(t, s)| t == s || (t.starts_with('{') && !s.is_empty()))
        };
        let mut methods: Vec<&str> = self
            .0
            .iter()
            .filter(|(template, _)| fits(template))
            .flat_map(|(_, methods)| methods.iter().map(String::as_str))
            .collect();
        methods.sort_unstable();
        methods.dedup();
        methods
    }
}

/// The answer where no route fits: 405 if the path exists with other methods, else 404.
///
/// # Errors
/// Always a problem.
pub async fn no_route(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let known = request.app_data::<web::Data<KnownPaths>>();
    let methods = known.map(|known| known.methods(request.path())).unwrap_or_default();
    if methods.is_empty() {
        return Err(Problem::new(
            Code::NoSuchPath,
            format!("there is nothing at {}", request.path()),
        )
        .hint("see /docs for all paths"));
    }
    let allow = methods.join(", ");
    if request.method() == actix_web::http::Method::OPTIONS {
        return Ok(HttpResponse::NoContent().insert_header(("allow", allow)).finish());
    }
    let mut problem = Problem::new(
        Code::MethodNotAllowed,
        format!("{} does not take {}", request.path(), request.method()),
    )
    .hint(format!("it takes {allow}"));
    problem.allow = Some(allow);
    Err(problem)
}
