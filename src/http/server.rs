//! The server: one actix app on a bound address.

use std::net::TcpListener;
use std::time::Duration;

use actix_cors::Cors;
use actix_web::body::MessageBody;
use actix_web::dev::{Server, ServiceRequest, ServiceResponse};
use actix_web::middleware::{Compress, Condition, from_fn};
use actix_web::{App as ActixApp, HttpResponse, HttpServer, web};
use tracing_actix_web::{DefaultRootSpanBuilder, RootSpanBuilder, TracingLogger};
use utoipa::OpenApi;
use utoipa_actix_web::AppExt;
use utoipa_swagger_ui::{Config, SwaggerUi};

use super::App;
use super::by_name::by_name;
use super::edge::{KnownPaths, edge, no_route};
use super::extract::BodyLimits;
use super::front::{Front, front};
use super::guard::{Limits, guard, holds_key};
use super::metrics;
use super::openapi::{ApiDoc, document_json};
use super::openapi_30::document_json_30;
use super::router::routes;

/// How to serve.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// Threads that serve requests; 0: one for each core.
    pub workers: usize,
    /// How large bodies may be.
    pub limits: BodyLimits,
    /// Seconds that running requests get when the server stops.
    pub shutdown_seconds: u64,
    /// Time that a client has for the head of its request.
    pub request_timeout: Duration,
    /// Certificate and key, if the server speaks TLS.
    pub tls: Option<rustls::ServerConfig>,
    /// Origins that may call from a browser.
    pub cors_origins: Vec<String>,
    /// Requests a second of each principal (0: no limit).
    pub rate_limit: u32,
    /// Requests that a principal may send at once.
    pub rate_burst: u32,
    /// Spans go to a collector: every request needs one.
    pub traced: bool,
}

fn server(
    service: App,
    listener: TcpListener,
    options: &ServerOptions,
) -> std::io::Result<(Server, App)> {
    let document = document_json();
    let known = web::Data::new(KnownPaths::of(&document));
    let documents = [
        ("/openapi.json", web::Bytes::from(serde_json::to_vec(&document)?)),
        ("/openapi-3.0.json", web::Bytes::from(serde_json::to_vec(&document_json_30())?)),
    ];
    let limits = web::Data::new(options.limits);
    let rates = web::Data::new(Limits::new(options.rate_limit, options.rate_burst));
    let origins = options.cors_origins.clone();
    let quick = !options.traced;
    let stopping = service.clone();
    metrics::start();
    let server = HttpServer::new(move || {
        let documents = documents.clone();
        let (app, _) = ActixApp::new()
            .into_utoipa_app()
            .openapi(ApiDoc::openapi())
            .app_data(service.clone())
            .app_data(known.clone())
            .app_data(limits.clone())
            .app_data(rates.clone())
            .app_data(Front::new())
            .configure(routes)
            .split_for_parts();
        app.route("/", web::get().to(to_docs))
            .route("/docs", web::get().to(to_docs))
            .configure(move |config| {
                for (path, text) in documents {
                    let answer = move || {
                        let text = text.clone();
                        async move { HttpResponse::Ok().content_type("application/json").body(text) }
                    };
                    config.route(path, web::get().to(answer));
                }
            })
            .configure(super::page::pages)
            .service(SwaggerUi::new("/docs/{_:.*}").config(swagger_config()))
            .default_service(web::to(no_route))
            .wrap(from_fn(by_name))
            .wrap(from_fn(guard))
            .wrap(from_fn(metrics::observe))
            .wrap(Condition::new(!origins.is_empty(), cors(&origins)))
            .wrap(from_fn(edge))
            .wrap(Compress::default())
            .wrap(TracingLogger::<RequestSpan>::new())
            .wrap(Condition::new(quick, from_fn(front)))
    })
    .shutdown_timeout(options.shutdown_seconds)
    .client_request_timeout(options.request_timeout)
    // Who closes the connection does not want the answer any more: its work is dropped.
    .h1_allow_half_closed(false);
    let server = if options.workers > 0 { server.workers(options.workers) } else { server };
    let running = match options.tls.clone() {
        Some(tls) => server.listen_rustls_0_23(listener, tls)?.run(),
        None => server.listen(listener)?.run(),
    };
    Ok((running, stopping))
}

/// Serves until SIGTERM or SIGINT; then no new connections are taken, running requests are
/// finished and jobs are cancelled, within the bound.
///
/// # Errors
/// If the listener cannot be used.
pub async fn serve(
    service: App,
    listener: TcpListener,
    options: &ServerOptions,
) -> std::io::Result<()> {
    let (running, service) = server(service, listener, options)?;
    running.await?;
    if !service.jobs.stop(Duration::from_secs(options.shutdown_seconds)).await {
        tracing::warn!("some jobs did not stop in time; they are marked as interrupted");
    }
    Ok(())
}

/// What pages of other origins may do: nothing unless their origin is named.
fn cors(origins: &[String]) -> Cors {
    let cors = Cors::default()
        .allowed_methods(["GET", "POST", "PUT", "DELETE"])
        .allowed_headers([
            "authorization",
            "x-api-key",
            "content-type",
            "accept",
            "if-match",
            "idempotency-key",
            "prefer",
        ])
        .expose_headers(["etag", "location", "x-request-id", "retry-after"])
        .max_age(3600);
    origins.iter().fold(cors, |cors, origin| cors.allowed_origin(origin))
}

/// The span of a request. Addresses that hold a key are not written down.
pub struct RequestSpan;

impl RootSpanBuilder for RequestSpan {
    fn on_request_start(request: &ServiceRequest) -> tracing::Span {
        if holds_key(request.uri()) {
            return tracing::info_span!("HTTP request", http.target = request.path());
        }
        DefaultRootSpanBuilder::on_request_start(request)
    }

    fn on_request_end<B: MessageBody>(
        span: tracing::Span,
        outcome: &Result<ServiceResponse<B>, actix_web::Error>,
    ) {
        DefaultRootSpanBuilder::on_request_end(span, outcome);
    }
}

async fn to_docs() -> HttpResponse {
    HttpResponse::TemporaryRedirect().insert_header(("location", "/docs/")).finish()
}

fn swagger_config() -> Config<'static> {
    Config::from("/openapi.json")
        .try_it_out_enabled(true)
        .display_request_duration(true)
        .display_operation_id(false)
        .filter(true)
        .deep_linking(true)
        .persist_authorization(true)
        .doc_expansion("list")
        .default_models_expand_depth(0)
}
