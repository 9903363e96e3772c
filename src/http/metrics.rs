//! Prometheus metrics: requests by route, latency, jobs, graphs, answers, memory.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::{HttpResponse, get};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use super::App;
use super::problem::Problem;
use crate::service::ServiceError;
use crate::service::memory::resident_bytes;

/// Bounds of the latency histograms, in seconds.
const SECONDS: &[f64] = &[
    0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
    30.0, 60.0,
];
/// How often samples are put into their buckets.
const UPKEEP: Duration = Duration::from_secs(5);

static RECORDER: OnceLock<Option<PrometheusHandle>> = OnceLock::new();

fn handle() -> Option<&'static PrometheusHandle> {
    RECORDER
        .get_or_init(|| {
            let builder = PrometheusBuilder::new()
                .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), SECONDS)
                .map_err(|error| tracing::error!(%error, "metrics are off"))
                .ok()?;
            let recorder = builder.build_recorder();
            let handle = recorder.handle();
            metrics::set_global_recorder(recorder)
                .map_err(|error| tracing::error!(%error, "metrics are off"))
                .ok()?;
            describe();
            Some(handle)
        })
        .as_ref()
}

fn describe() {
    use metrics::{describe_counter, describe_gauge, describe_histogram};
    describe_counter!("chokepoint_http_requests_total", "Requests by method, route and status");
    describe_histogram!(
        "chokepoint_http_request_seconds",
        "Time from the first byte of a request to the head of its answer, by route"
    );
    describe_histogram!(
        "chokepoint_store_commit_seconds",
        "Time of one group commit, with its flush"
    );
    describe_gauge!("chokepoint_jobs_active", "Jobs that wait or run");
    describe_gauge!("chokepoint_graphs", "Graphs in the catalogue");
    describe_gauge!("chokepoint_snapshot_nodes", "Nodes of the newest version, by graph");
    describe_gauge!("chokepoint_snapshot_flows", "Flows of the newest version, by graph");
    describe_gauge!("chokepoint_answer_cache_bytes", "Bytes of finished answers in memory");
    describe_gauge!("chokepoint_resident_bytes", "Resident memory of the process");
    describe_gauge!("chokepoint_up", "1 if the service can serve");
}

/// Starts the recorder and its upkeep; call once, inside the server's runtime.
pub fn start() {
    if let Some(handle) = handle() {
        actix_web::rt::spawn(async move {
            loop {
                actix_web::rt::time::sleep(UPKEEP).await;
                handle.run_upkeep();
            }
        });
    }
}

/// A route and status whose counters are at hand.
pub struct Route {
    requests: metrics::Counter,
    seconds: metrics::Histogram,
}

impl Route {
    /// Counts under the same names as [`observe`].
    pub fn new(method: &'static str, route: &'static str, status: u16) -> Self {
        Self {
            requests: metrics::counter!("chokepoint_http_requests_total",
                "method" => method, "route" => route, "status" => status.to_string()),
            seconds: metrics::histogram!("chokepoint_http_request_seconds", "route" => route),
        }
    }

    /// Counts a request and its time.
    pub fn count(&self, took: Duration) {
        self.requests.increment(1);
        self.seconds.record(took.as_secs_f64());
    }
}

/// Counts a request and its time under its route, so that ids do not multiply the series.
///
/// # Errors
/// None of its own.
pub async fn observe(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let start = Instant::now();
    let method = request.method().clone();
    let response = next.call(request).await;
    let (route, status) = match &response {
        Ok(response) => (response.request().match_pattern(), response.status()),
        Err(error) => (None, error.as_response_error().status_code()),
    };
    let route = route.unwrap_or_else(|| "none".to_owned());
    let method = match method.as_str() {
        known @ ("GET" | "HEAD" | "POST" | "PUT" | "DELETE" | "OPTIONS" | "PATCH") => {
            known.to_owned()
        }
        _ => "OTHER".to_owned(),
    };
    metrics::histogram!("chokepoint_http_request_seconds", "route" => route.clone())
        .record(start.elapsed().as_secs_f64());
    metrics::counter!("chokepoint_http_requests_total",
        "method" => method, "route" => route, "status" => status.as_u16().to_string())
    .increment(1);
    response.map(ServiceResponse::map_into_boxed_body)
}

/// Gives the metrics in the Prometheus text format.
#[utoipa::path(tag = "Operations",
    responses((status = 200, description = "Metrics", content_type = "text/plain", body = String)))]
#[get("/metrics")]
pub async fn get_metrics(service: App) -> Result<HttpResponse, Problem> {
    let handle = handle().ok_or(ServiceError::Internal)?;
    let heads = service.catalogue.heads();
    metrics::gauge!("chokepoint_graphs").set(heads.len() as f64);
    for head in heads.iter().take(1000) {
        let graph = head.name.clone();
        metrics::gauge!("chokepoint_snapshot_nodes", "graph" => graph.clone())
            .set(head.counts.nodes as f64);
        metrics::gauge!("chokepoint_snapshot_flows", "graph" => graph)
            .set(head.counts.flows as f64);
    }
    metrics::gauge!("chokepoint_jobs_active").set(service.jobs.active() as f64);
    metrics::gauge!("chokepoint_answer_cache_bytes").set(service.answers.bytes() as f64);
    metrics::gauge!("chokepoint_resident_bytes").set(resident_bytes().unwrap_or(0) as f64);
    metrics::gauge!("chokepoint_up").set(f64::from(u8::from(service.not_ready().is_none())));
    Ok(HttpResponse::Ok()
        .insert_header(("content-type", "text/plain; version=0.0.4; charset=utf-8"))
        .insert_header(("cache-control", "no-store"))
        .body(handle.render()))
}
