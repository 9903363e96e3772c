//! Who may pass: credential, role and grants, rate limit, and the audit entry of every write.
//!
//! One table, [`need`], says what each path and method needs. Handlers ask [`who`] for the
//! principal.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{AUTHORIZATION, ETAG, HeaderMap};
use actix_web::middleware::Next;
use actix_web::{HttpMessage, HttpRequest, ResponseError, web};
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use tracing_actix_web::RequestId;

use super::App;
use super::problem::{Code, Problem};
use crate::service::access::audit::AuditEntry;
use crate::service::access::{Denied, Principal, Role};

/// Requests after which idle entries of the rate limiter are dropped.
const TIDY: u64 = 10_000;

/// What a path and method need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Need<'a> {
    /// Least role; none: open to all.
    pub role: Option<Role>,
    /// Graph that the role is needed on.
    pub graph: Option<&'a str>,
    /// The request goes into the audit log.
    pub audited: bool,
}

/// What a request needs. `path` is decoded nowhere: a graph's name has no reserved characters.
pub fn need<'a>(method: &Method, path: &'a str) -> Need<'a> {
    let reads = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    let mut parts = path.trim_start_matches('/').split('/');
    let open = Need { role: None, graph: None, audited: false };
    let with = |role, graph, audited| Need { role: Some(role), graph, audited };
    match (parts.next(), parts.next()) {
        (Some("metrics"), None) => with(Role::Reader, None, false),
        (Some("v1"), Some("version" | "problems")) if reads => open,
        (Some("v1"), Some("admin")) => with(Role::Admin, None, true),
        (Some("v1"), Some("graphs")) => {
            let graph = parts.next().filter(|g| !g.is_empty());
            let noun = parts.next();
            match (reads, graph, noun) {
                (true, _, _) => with(Role::Reader, graph, false),
                (false, Some(_), Some(noun))
                    if *method == Method::POST
                        && !matches!(noun, "changes" | "imports" | "merges") =>
                {
                    with(Role::Analyst, graph, false)
                }
                _ => with(Role::Editor, graph, true),
            }
        }
        (Some("v1"), Some(noun)) if !reads => with(Role::Analyst, None, noun == "scenarios"),
        (Some("v1"), _) => with(Role::Reader, None, false),
        _ => open,
    }
}

/// Who asks, as the guard found.
pub fn who(request: &HttpRequest) -> Principal {
    request.extensions().get::<Principal>().cloned().unwrap_or_else(Principal::anyone)
}

/// Checks that the principal may read a graph that the path does not name.
///
/// # Errors
/// [`Code::Forbidden`].
pub fn may_read(request: &HttpRequest, graph: &str) -> Result<(), Problem> {
    allowed(&who(request), Some(graph), Role::Reader)
}

/// How often each principal may ask.
pub struct Limits {
    limiter: Option<DefaultKeyedRateLimiter<Arc<str>>>,
    clock: DefaultClock,
    seen: AtomicU64,
    per_second: u32,
}

impl Limits {
    /// At most `per_second` requests a second of each principal (0: no limit), `burst` at once.
    pub fn new(per_second: u32, burst: u32) -> Self {
        let limiter = NonZeroU32::new(per_second).map(|rate| {
            let burst = NonZeroU32::new(burst).unwrap_or(rate);
            RateLimiter::keyed(Quota::per_second(rate).allow_burst(burst))
        });
        Self { limiter, clock: DefaultClock::default(), seen: AtomicU64::new(0), per_second }
    }

    /// Counts a request; if it is one too many, how long to wait.
    pub(super) fn check(
        &self,
        principal: &Principal,
        peer: Option<IpAddr>,
    ) -> Result<(), Duration> {
        let Some(limiter) = &self.limiter else { return Ok(()) };
        if self.seen.fetch_add(1, Ordering::Relaxed) % TIDY == TIDY - 1 {
            limiter.retain_recent();
        }
        let key: Arc<str> = match peer {
            Some(ip) if principal.is_anyone() => ip.to_string().into(),
            _ => principal.name.clone(),
        };
        limiter.check_key(&key).map_err(|until| until.wait_time_from(self.clock.now()))
    }
}

/// The credential of a request: `Authorization: Bearer …` or `X-API-Key`.
fn credential(headers: &HeaderMap) -> Result<Option<&str>, Denied> {
    let mut bearers = headers.get_all(AUTHORIZATION);
    if let Some(value) = bearers.next() {
        if bearers.next().is_some() {
            return Err(Denied::Invalid);
        }
        let text = value.to_str().map_err(|_| Denied::Invalid)?;
        let (scheme, token) = text.split_once(' ').ok_or(Denied::Invalid)?;
        return if scheme.eq_ignore_ascii_case("bearer") {
            Ok(Some(token.trim()))
        } else {
            Err(Denied::Invalid)
        };
    }
    headers.get("x-api-key").map(|v| v.to_str().map_err(|_| Denied::Invalid)).transpose()
}

/// The credential again, for a thread that may wait.
fn owned_credential(request: &ServiceRequest) -> Result<Option<String>, Denied> {
    credential(request.headers()).map(|c| c.map(str::to_owned))
}

async fn principal(service: &App, request: &ServiceRequest) -> Result<Principal, Denied> {
    if service.access.is_open() {
        return Ok(Principal::anyone());
    }
    let shown = owned_credential(request)?;
    if service.access.may_block(shown.as_deref()) {
        let shared = service.clone();
        let check = move || Ok(shared.access.principal(shown.as_deref()));
        return service.blocking(check).await.unwrap_or(Err(Denied::Unavailable));
    }
    service.access.principal(shown.as_deref())
}

/// The principal, if who asks can be told without waiting and may do this.
pub(super) fn passes(
    service: &App,
    request: &ServiceRequest,
    need: &Need<'_>,
) -> Option<Principal> {
    if service.access.is_open() {
        return Some(Principal::anyone());
    }
    let shown = credential(request.headers()).ok()?;
    if service.access.may_block(shown) {
        return None;
    }
    let principal = service.access.principal(shown).ok()?;
    allowed(&principal, need.graph, need.role?).ok()?;
    Some(principal)
}

fn refused(denied: Denied) -> Problem {
    let hint = match denied {
        Denied::Missing => {
            "send Authorization: Bearer KEY; an administrator makes keys with `chokepoint keys \
             create` or POST /v1/admin/keys"
        }
        Denied::Invalid => "check the key or token, its issuer and its audience",
        Denied::Expired => "ask for a new one",
        Denied::Revoked => "ask an administrator for a new one",
        Denied::Unavailable => "try again soon",
    };
    let code = if denied == Denied::Unavailable { Code::Unavailable } else { Code::Unauthorized };
    Problem::new(code, denied.to_string()).param("Authorization").hint(hint)
}

fn allowed(principal: &Principal, graph: Option<&str>, least: Role) -> Result<(), Problem> {
    let role = match graph {
        Some(graph) => principal.role_on(graph),
        None => Some(principal.role),
    };
    if role.is_some_and(|role| role >= least) {
        return Ok(());
    }
    let on = graph.map(|g| format!(" on graph \"{g}\"")).unwrap_or_default();
    let has = role.map_or("none", Role::as_str);
    Err(Problem::new(
        Code::Forbidden,
        format!("this needs the role {}{on}; yours is {has}", least.as_str()),
    )
    .hint("ask an administrator for a grant"))
}

/// Answers and jobs have addresses without a graph: whose are they?
fn owned(service: &App, principal: &Principal, path: &str) -> Result<(), Problem> {
    let mut parts = path.trim_start_matches('/').split('/').skip(1);
    let (Some(noun), Some(id)) = (parts.next(), parts.next()) else { return Ok(()) };
    let absent = |what| Problem::new(Code::NotFound, format!("there is no {what} \"{id}\""));
    if noun == "jobs" {
        let own = service.jobs.view(id).is_ok_and(|job| job.owner == *principal.name);
        return if own || principal.role == Role::Admin { Ok(()) } else { Err(absent("job")) };
    }
    let is_answer = id
        .rsplit_once('_')
        .is_some_and(|(_, hash)| hash.len() == 24 && hash.bytes().all(|b| b.is_ascii_hexdigit()));
    if principal.is_restricted() && is_answer && noun != "graphs" {
        let graph = service.graph_of_answer(id)?.ok_or_else(|| absent("answer"))?;
        allowed(principal, Some(&graph), Role::Reader)?;
    }
    Ok(())
}

/// Lets a request pass, or answers why not.
///
/// # Errors
/// None of its own.
pub async fn guard(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let (Some(service), Some(limits)) =
        (request.app_data::<App>().cloned(), request.app_data::<web::Data<Limits>>().cloned())
    else {
        return Ok(next.call(request).await?.map_into_boxed_body());
    };
    let (method, path) = (request.method().clone(), request.path().to_owned());
    let need = need(&method, &path);
    let found = principal(&service, &request).await;
    let checked = match (&found, need.role) {
        _ if holds_key(request.uri()) => Err(Problem::new(
            Code::InvalidParameter,
            "a key in an address ends up in logs and histories",
        )
        .hint("send it as Authorization: Bearer KEY, and revoke this one")),
        (_, None) => Ok(()),
        (Err(denied), Some(_)) => Err(refused(*denied)),
        (Ok(principal), Some(least)) => limits
            .check(principal, request.peer_addr().map(|a| a.ip()))
            .map_err(|wait| {
                let mut problem = Problem::new(
                    Code::RateLimited,
                    format!("more than {} requests a second", limits.per_second),
                )
                .hint("wait for Retry-After seconds");
                problem.retry_after = Some(wait.as_secs_f64().ceil() as u32);
                problem
            })
            .and_then(|()| allowed(principal, need.graph, least))
            .and_then(|()| {
                if service.access.is_open() { Ok(()) } else { owned(&service, principal, &path) }
            }),
    };
    let name = found.as_ref().map_or("nobody", |p| &p.name).to_owned();
    if let Ok(principal) = found {
        request.extensions_mut().insert(principal);
    }
    let id = request.extensions().get::<RequestId>().map(ToString::to_string).unwrap_or_default();
    let act = need.audited.then(|| {
        service.audit.begin(AuditEntry {
            time: String::new(),
            who: name,
            method: method.to_string(),
            path: path.clone(),
            graph: need.graph.map(str::to_owned),
            version: None,
            status: 0,
            request_id: id,
        })
    });
    if let Some(act) = &act {
        request.extensions_mut().insert(act.clone());
    }
    // From here on the act is logged, also if the client goes away and this future is dropped.
    let ending = act.map(|act| service.audit.ending(act));
    let response = match checked {
        Ok(()) => next.call(request).await.map(ServiceResponse::map_into_boxed_body),
        // As a response, so that the problem reaches the edge whole.
        Err(problem) => Ok(request.into_response(problem.error_response())),
    };
    if let Some(ending) = ending {
        let (status, version) = match &response {
            Ok(response) => (
                response.status().as_u16(),
                response.headers().get(ETAG).and_then(|v| v.to_str().ok()),
            ),
            Err(error) => (error.as_response_error().status_code().as_u16(), None),
        };
        ending.with(status, version.map(|v| v.trim_matches('"').to_owned()));
    }
    response
}

/// True if an address holds an API key or a token.
pub fn holds_key(uri: &actix_web::http::Uri) -> bool {
    let Some(query) = uri.query() else { return false };
    query.split('&').any(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let named = ["api_key", "apikey", "access_token", "token", "key"]
            .iter()
            .any(|n| name.eq_ignore_ascii_case(n));
        value.contains(crate::service::access::keys::PREFIX) || (named && !value.is_empty())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_needs_its_role() {
        let role = |method: Method, path| need(&method, path).role;
        assert_eq!(role(Method::GET, "/healthz"), None);
        assert_eq!(role(Method::GET, "/docs/index.html"), None);
        assert_eq!(role(Method::GET, "/v1/graphs"), Some(Role::Reader));
        assert_eq!(role(Method::POST, "/v1/graphs/g/impacts"), Some(Role::Analyst));
        assert_eq!(role(Method::POST, "/v1/graphs/g/impacts/batch"), Some(Role::Analyst));
        assert_eq!(role(Method::POST, "/v1/graphs/g/changes"), Some(Role::Editor));
        assert_eq!(role(Method::POST, "/v1/graphs/g/imports"), Some(Role::Editor));
        assert_eq!(role(Method::PUT, "/v1/graphs/g"), Some(Role::Editor));
        assert_eq!(role(Method::DELETE, "/v1/graphs/g/nodes/n"), Some(Role::Editor));
        assert_eq!(role(Method::POST, "/v1/scenarios"), Some(Role::Analyst));
        assert_eq!(role(Method::GET, "/v1/admin/audit"), Some(Role::Admin));
        assert_eq!(role(Method::POST, "/v1/admin/backup"), Some(Role::Admin));
        assert_eq!(need(&Method::PUT, "/v1/graphs/g/nodes/n").graph, Some("g"));
        // A trick with slashes does not lower the need.
        assert_eq!(role(Method::POST, "//v1/graphs/g/changes"), Some(Role::Editor));
    }

    #[test]
    fn keys_in_addresses_are_seen() {
        for uri in ["/v1/graphs?api_key=x", "/v1/graphs?a=1&Access_Token=y", "/x?q=cpk_1_2"] {
            assert!(holds_key(&uri.parse().unwrap()), "{uri}");
        }
        assert!(!holds_key(&"/v1/graphs?filter=product:key".parse().unwrap()));
    }
}
