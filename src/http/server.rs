//! The server: one actix app on a bound address.

use std::net::TcpListener;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::middleware::{Compress, from_fn};
use actix_web::{App as ActixApp, HttpResponse, HttpServer, web};
use tracing_actix_web::TracingLogger;
use utoipa::OpenApi;
use utoipa_actix_web::AppExt;
use utoipa_swagger_ui::{Config, SwaggerUi};

use super::App;
use super::edge::{KnownPaths, edge, no_route};
use super::extract::BodyLimits;
use super::openapi::{ApiDoc, document_json};
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
}

/// A server that runs when awaited, until SIGTERM or SIGINT.
///
/// # Errors
/// If the listener cannot be used.
pub fn server(
    service: App,
    listener: TcpListener,
    options: &ServerOptions,
) -> std::io::Result<Server> {
    let document = document_json();
    let known = web::Data::new(KnownPaths::of(&document));
    let text = web::Bytes::from(serde_json::to_vec(&document)?);
    let limits = web::Data::new(options.limits);
    let server = HttpServer::new(move || {
        let text = text.clone();
        let (app, _) = ActixApp::new()
            .into_utoipa_app()
            .openapi(ApiDoc::openapi())
            .app_data(service.clone())
            .app_data(known.clone())
            .app_data(limits.clone())
            .configure(routes)
            .split_for_parts();
        app.route("/", web::get().to(to_docs))
            .route("/docs", web::get().to(to_docs))
            .route(
                "/openapi.json",
                web::get().to(move || {
                    let text = text.clone();
                    async move { HttpResponse::Ok().content_type("application/json").body(text) }
                }),
            )
            .service(SwaggerUi::new("/docs/{_:.*}").config(swagger_config()))
            .default_service(web::to(no_route))
            .wrap(from_fn(edge))
            .wrap(Compress::default())
            .wrap(TracingLogger::default())
    })
    .shutdown_timeout(options.shutdown_seconds)
    .client_request_timeout(Duration::from_secs(30));
    let server = if options.workers > 0 { server.workers(options.workers) } else { server };
    Ok(server.listen(listener)?.run())
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
