//! Answers at once what other services ask all day: a node by its id, and an impact question that
//! was asked before in the same words.
//!
//! The full way (span, routes by regular expression, handler) costs a multiple of what these
//! answers need. What is in memory and in order is answered here, with the same checks, headers and
//! counts; all else, and all that fails, goes the full way, which says why.
//! `tests/http/front.rs` compares the two.

use std::cell::RefCell;
use std::hash::BuildHasher;
use std::rc::Rc;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::error::PayloadError;
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap, HeaderName};
use actix_web::middleware::Next;
use actix_web::{HttpMessage, HttpResponse, web};
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, stream};
use rand::{RngCore, SeedableRng};
use rand_pcg::Pcg64Mcg;
use rustc_hash::FxBuildHasher;
use uuid::Uuid;

use super::App;
use super::edge::finish;
use super::extract::limits;
use super::guard::{Limits, need, passes};
use super::metrics::Route;
use super::reply::{Holds, bytes, versioned_bytes};
use super::run::answered;
use crate::graph::Snapshot;
use crate::service::access::Principal;
use crate::service::answers::Asked;
use crate::service::rows::Table;

/// Longer questions are not remembered by their words.
const MOST_WORDS: usize = 16 << 10;
/// Answers up to this size fit one packet: packing them costs more than it saves.
const NOT_PACKED: usize = 1200;
/// Nodes that each thread keeps ready to send. A power of two.
const READY: usize = 4096;
/// Longest node that is kept ready.
const MOST_READY: usize = 2 << 10;
const CONTENT_LOCATION: HeaderName = HeaderName::from_static("content-location");

/// A node as it was sent. The weak link keeps its snapshot's address from being used again, not the
/// snapshot.
struct Ready {
    snapshot: Weak<Snapshot>,
    row: u32,
    body: Bytes,
}

/// What each thread that serves requests keeps for this.
pub struct Front {
    /// Makes request ids: they need to differ, not to be secret.
    ids: RefCell<Pcg64Mcg>,
    /// Nodes as they were last sent, each at the place that its name hashes to.
    ready: RefCell<Vec<Option<Ready>>>,
    node: Route,
    impact: Route,
}

impl Front {
    /// For one thread; after the metrics have been started.
    pub fn new() -> Rc<Self> {
        Rc::new(Self {
            ids: RefCell::new(Pcg64Mcg::from_os_rng()),
            ready: RefCell::new((0..READY).map(|_| None).collect()),
            node: Route::new("GET", "/v1/graphs/{g}/nodes/{id}", 200),
            impact: Route::new("POST", "/v1/graphs/{g}/impacts", 200),
        })
    }

    /// A random UUID, as the full way gives.
    fn id(&self) -> Uuid {
        let mut bytes = [0; 16];
        self.ids.borrow_mut().fill_bytes(&mut bytes);
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }

    /// The JSON of a node: as it was sent before, if it is the same snapshot's.
    fn row(&self, snapshot: &Arc<Snapshot>, row: u32, id: &str) -> Option<Bytes> {
        let place = FxBuildHasher.hash_one(id) as usize % READY;
        let mut ready = self.ready.borrow_mut();
        if let Some(kept) = &ready[place]
            && kept.row == row
            && kept.snapshot.as_ptr() == Arc::as_ptr(snapshot)
        {
            return Some(kept.body.clone());
        }
        let body = Bytes::from(bytes(&Table::Nodes.record(snapshot, row as usize)).ok()?);
        if body.len() <= MOST_READY {
            let snapshot = Arc::downgrade(snapshot);
            ready[place] = Some(Ready { snapshot, row, body: body.clone() });
        }
        Some(body)
    }

    fn finish(&self, response: HttpResponse, route: &Route, start: Instant) -> HttpResponse {
        route.count(start.elapsed());
        let mut text = Uuid::encode_buffer();
        finish(response, self.id().hyphenated().encode_lower(&mut text))
    }
}

/// What is answered here.
#[derive(Debug, PartialEq, Eq)]
enum Asks<'a> {
    Node { graph: &'a str, id: &'a str },
    Impact { graph: &'a str },
}

/// What a request asks for, if it is plain: no query, nothing encoded in the path.
fn asks<'a>(method: &Method, path: &'a str, query: Option<&str>) -> Option<Asks<'a>> {
    let rest = path.strip_prefix("/v1/graphs/")?;
    if query.is_some() || rest.contains('%') {
        return None;
    }
    let (graph, rest) = rest.split_once('/')?;
    match rest.split_once('/') {
        Some(("nodes", id)) if *method == Method::GET && !id.is_empty() && !id.contains('/') => {
            Some(Asks::Node { graph, id })
        }
        None if *method == Method::POST && rest == "impacts" => Some(Asks::Impact { graph }),
        _ => None,
    }
}

/// Answers at once, or lets the request go the full way.
///
/// # Errors
/// None of its own.
pub async fn front(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let start = Instant::now();
    let seen = match (request.app_data::<Rc<Front>>(), request.app_data::<App>()) {
        (Some(front), Some(service)) => Some((front.clone(), service.clone())),
        _ => None,
    };
    let mut asked = None;
    if let Some((front, service)) = seen
        && let Some(asks) = asks(request.method(), request.path(), request.uri().query())
        && service.is_loaded()
        && let Some(caller) = caller(&service, &request)
    {
        match asks {
            Asks::Node { graph, id } => {
                if let Some(response) = node(&front, &service, &request, &caller, graph, id) {
                    let response = front.finish(response, &front.node, start);
                    return Ok(request.into_response(response));
                }
            }
            Asks::Impact { graph } => {
                let snapshot = service.catalogue.in_memory(graph, None).ok().flatten();
                if let (Some(snapshot), Some(length)) = (snapshot, words(request.headers())) {
                    let scenarios = service.scenarios_changed();
                    if let Some(body) = body(&mut request, length).await {
                        let question = Asked::new(&snapshot, scenarios, &body);
                        if let Some(answer) = service.answers.to(&question)
                            && within_rate(&request, &caller)
                        {
                            let response = front.finish(answered(answer), &front.impact, start);
                            return Ok(request.into_response(response));
                        }
                        give_back(&mut request, stream::iter([Ok(body)]));
                        asked = Some((service, question));
                    }
                }
            }
        }
    }
    let response = next.call(request).await?.map_into_boxed_body();
    if let Some((service, question)) = asked
        && response.status() == 200
        && let Some(id) = answer_to(&question, response.headers())
    {
        service.answers.remember(question, id);
    }
    Ok(response)
}

fn node(
    front: &Front,
    service: &App,
    request: &ServiceRequest,
    caller: &Principal,
    graph: &str,
    id: &str,
) -> Option<HttpResponse> {
    let headers = request.headers();
    if headers.contains_key(header::IF_NONE_MATCH) {
        return None;
    }
    let snapshot = service.catalogue.in_memory(graph, None).ok().flatten()?;
    let body = front.row(&snapshot, snapshot.index(id)?, id)?;
    let packed = headers.get(header::ACCEPT_ENCODING);
    // Small bodies go as they are to all but those who refuse them so.
    let fits = packed.is_none_or(|accepted| {
        body.len() <= NOT_PACKED && !accepted.to_str().is_ok_and(|a| a.contains("q=0"))
    });
    let answered = || versioned_bytes(Holds::Now(snapshot.info().version), body);
    (fits && within_rate(request, caller)).then(answered)
}

/// Who asks, if that may ask this, as far as can be told without waiting.
fn caller(service: &App, request: &ServiceRequest) -> Option<Principal> {
    // Pages of other origins are answered with further headers.
    if request.headers().contains_key(header::ORIGIN) {
        return None;
    }
    passes(service, request, &need(request.method(), request.path()))
}

/// Counts the request against the caller's rate. A refused one costs nothing, so that the full way
/// may ask again to refuse it.
fn within_rate(request: &ServiceRequest, caller: &Principal) -> bool {
    let Some(limits) = request.app_data::<web::Data<Limits>>() else { return true };
    limits.check(caller, request.peer_addr().map(|a| a.ip())).is_ok()
}

/// Length of the body of a question that only its words decide; none if headers have a say.
fn words(headers: &HeaderMap) -> Option<usize> {
    let telling = [
        "accept-encoding",
        "prefer",
        "idempotency-key",
        "content-encoding",
        "transfer-encoding",
        "expect",
    ];
    if telling.iter().any(|name| headers.contains_key(*name)) {
        return None;
    }
    let json = headers.get(header::CONTENT_TYPE).is_none_or(|t| t == "application/json");
    let length = headers.get(header::CONTENT_LENGTH).filter(|_| json)?;
    length.to_str().ok()?.parse().ok().filter(|length| (1..=MOST_WORDS).contains(length))
}

/// The whole body, if it comes in one piece; what came of another is given back.
async fn body(request: &mut ServiceRequest, length: usize) -> Option<Bytes> {
    let idle = limits(request.request()).idle;
    let mut payload = request.take_payload();
    let first = piece(&mut payload, idle).await;
    let Some(Ok(chunk)) = first else {
        give_back(request, stream::iter(first).chain(payload));
        return None;
    };
    let end = if chunk.len() == length { payload.next().now_or_never() } else { None };
    match end {
        Some(None) => Some(chunk),
        end => {
            let rest = stream::iter(end.flatten()).chain(payload);
            give_back(request, stream::iter([Ok(chunk)]).chain(rest));
            None
        }
    }
}

/// The next piece of a body; none at its end or if nothing comes, which the full way finds again.
async fn piece(payload: &mut Payload, idle: Duration) -> Option<Result<Bytes, PayloadError>> {
    match payload.next().now_or_never() {
        Some(piece) => piece,
        None => actix_web::rt::time::timeout(idle, payload.next()).await.ok().flatten(),
    }
}

fn give_back(
    request: &mut ServiceRequest,
    body: impl stream::Stream<Item = Result<Bytes, PayloadError>> + 'static,
) {
    let body: actix_web::dev::Payload = Payload::Stream { payload: Box::pin(body) };
    request.set_payload(body);
}

/// Id of the answer in a response, if it speaks of the version that was asked.
fn answer_to(question: &Asked, headers: &HeaderMap) -> Option<String> {
    let location = headers.get(&CONTENT_LOCATION)?.to_str().ok()?;
    let version = headers.get(header::ETAG)?.to_str().ok()?.trim_matches('"').parse().ok();
    (version == Some(question.version)).then_some(())?;
    Some(location.strip_prefix("/v1/impacts/")?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_requests_are_answered_here() {
        let node = Asks::Node { graph: "g", id: "a.b.CHN" };
        assert_eq!(asks(&Method::GET, "/v1/graphs/g/nodes/a.b.CHN", None), Some(node));
        let impact = Asks::Impact { graph: "g" };
        assert_eq!(asks(&Method::POST, "/v1/graphs/g/impacts", None), Some(impact));
        for (method, path, query) in [
            (Method::GET, "/v1/graphs/g/nodes/a", Some("at=1")),
            (Method::GET, "/v1/graphs/g/nodes/a%2Eb", None),
            (Method::GET, "/v1/graphs/g/nodes/a/upstream", None),
            (Method::GET, "/v1/graphs/g/nodes/", None),
            (Method::GET, "/v1/graphs/g/nodes", None),
            (Method::PUT, "/v1/graphs/g/nodes/a", None),
            (Method::GET, "/v1/graphs/g/impacts", None),
            (Method::POST, "/v1/graphs/g/impacts/batch", None),
            (Method::POST, "//v1/graphs/g/impacts", None),
        ] {
            assert_eq!(asks(&method, path, query), None, "{method} {path}");
        }
    }

    #[test]
    fn headers_that_change_an_answer_are_seen() {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_LENGTH, header::HeaderValue::from_static("20"));
        assert_eq!(words(&headers), Some(20));
        headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("text/csv"));
        assert_eq!(words(&headers), None);
        headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
        assert_eq!(words(&headers), Some(20));
        headers.insert(
            HeaderName::from_static("prefer"),
            header::HeaderValue::from_static("respond-async"),
        );
        assert_eq!(words(&headers), None);
    }
}
