//! Log lines, and spans for an OpenTelemetry collector where one is set.

use std::fmt;
use std::time::Duration;

use actix_web::web::Bytes;
use async_trait::async_trait;
use chokepoint::config::{Config, LogFormat};
use opentelemetry::trace::TracerProvider;
use opentelemetry_http::{HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use super::Failure;

/// Longest that a batch of spans may take to be sent.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);

/// Sends what is left when it is dropped.
pub struct Telemetry(Option<SdkTracerProvider>);

impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Some(provider) = self.0.take()
            && let Err(error) = provider.shutdown_with_timeout(SEND_TIMEOUT)
        {
            tracing::warn!(%error, "the last spans could not be sent");
        }
    }
}

/// The HTTP client of the exporter: the one that the project has anyway.
struct Sender(ureq::Agent);

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sender")
    }
}

#[async_trait]
impl HttpClient for Sender {
    // The exporter calls this on a thread of its own, which may wait.
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (head, body) = request.into_parts();
        let mut call = self.0.post(head.uri.to_string());
        for (name, value) in &head.headers {
            call = call.header(name.as_str(), value.as_bytes());
        }
        let mut answer = call.send(&body[..])?;
        let status = answer.status().as_u16();
        let text = answer.body_mut().read_to_vec()?;
        Ok(Response::builder().status(status).body(Bytes::from(text))?)
    }
}

fn provider(endpoint: &str) -> Result<SdkTracerProvider, Failure> {
    let agent: ureq::Agent =
        ureq::Agent::config_builder().timeout_global(Some(SEND_TIMEOUT)).build().into();
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(Sender(agent))
        .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
        .build()
        .map_err(|error| {
            Failure::Config(chokepoint::config::ConfigError {
                origin: "otlp_endpoint".into(),
                problem: error.to_string(),
            })
        })?;
    Ok(SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(Resource::builder().with_service_name("chokepoint").build())
        .build())
}

/// Log lines to stderr, so that answers on stdout can be piped; spans to the collector.
///
/// # Errors
/// A collector address that cannot be used.
pub fn start(config: &Config, quiet: bool) -> Result<Telemetry, Failure> {
    let filter = || EnvFilter::new(if quiet { "warn" } else { &config.log_filter });
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines = match config.log {
        LogFormat::Json => lines.json().with_filter(filter()).boxed(),
        LogFormat::Pretty => lines.with_filter(filter()).boxed(),
    };
    let provider = match &*config.otlp_endpoint {
        "" => None,
        endpoint => Some(provider(endpoint)?),
    };
    let spans = provider.as_ref().map(|provider| {
        // Its own crates stay out, or sending spans would make spans.
        let only = EnvFilter::new("warn,chokepoint=info,tracing_actix_web=info");
        tracing_opentelemetry::layer().with_tracer(provider.tracer("chokepoint")).with_filter(only)
    });
    tracing_subscriber::registry().with(lines).with(spans).init();
    Ok(Telemetry(provider))
}
