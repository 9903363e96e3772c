//! What handlers take from a request: [`Params`] (query string), [`Body`] (JSON) and headers.
//! Everything unknown or malformed is a problem that names it.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use actix_web::dev::{Decompress, Payload};
use actix_web::error::PayloadError;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, IF_MATCH};
use actix_web::{FromRequest, HttpMessage, HttpRequest, web};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::App;
use super::guard::who;
use super::objects::Objects;
use super::problem::{Code, Problem};
use crate::model::selector::suggest;
use crate::service::ServiceError;
use crate::service::access::audit::Act;
use crate::service::graphs::WriteContext;

/// Bodies above this are parsed on the pool.
const PARSE_ON_POOL: usize = 256 << 10;

/// How large bodies may be, and how slow.
#[derive(Debug, Clone, Copy)]
pub struct BodyLimits {
    /// JSON bodies, in bytes.
    pub json: usize,
    /// Imported files, in bytes.
    pub import: u64,
    /// How long a client may be silent in the middle of a body.
    pub idle: Duration,
}

/// The query string as `T`; unknown parameters are refused.
pub struct Params<T>(pub T);

impl<T: DeserializeOwned> FromRequest for Params<T> {
    type Error = Problem;
    type Future = std::future::Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        std::future::ready(parse_query(request.query_string()).map(Self))
    }
}

/// Parses a query string.
///
/// # Errors
/// An unknown, repeated or malformed parameter.
pub fn parse_query<T: DeserializeOwned>(query: &str) -> Result<T, Problem> {
    let pairs = serde_urlencoded::Deserializer::new(form_urlencoded::parse(query.as_bytes()));
    serde_path_to_error::deserialize(pairs).map_err(|error| {
        let path = error.path().to_string();
        let text = error.into_inner().to_string();
        let (named, hint) = unknown_field(&text);
        let param = named.clone().or_else(|| (path != "." && path != "?").then_some(path));
        let mut problem = Problem::new(
            Code::InvalidParameter,
            match (&named, &param) {
                (Some(name), _) if text.starts_with("unknown field") => {
                    format!("there is no parameter {name} here")
                }
                (None, Some(name)) => format!("{name}: {text}"),
                _ => text,
            },
        );
        problem.param = param;
        problem.hint = hint;
        problem
    })
}

/// The name and a hint of serde's "unknown field `x`, expected one of `a`, `b`".
fn unknown_field(text: &str) -> (Option<String>, Option<String>) {
    let mut quoted = text.split('`').skip(1).step_by(2);
    let Some(name) = quoted.next() else { return (None, None) };
    if !text.starts_with("unknown") {
        return (Some(name.to_owned()), None);
    }
    let known: Vec<&str> = quoted.collect();
    let hint = match suggest(name, known.iter().copied()) {
        Some(near) => Some(format!("did you mean {near}?")),
        None if known.is_empty() => Some("none are known here".to_owned()),
        None => Some(format!("known: {}", known.join(", "))),
    };
    (Some(name.to_owned()), hint)
}

/// A JSON body as `T`; unknown fields are refused where `T` says so.
pub struct Body<T>(pub T);

impl<T: DeserializeOwned + Send + 'static> FromRequest for Body<T> {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, mut payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let bytes = read_json(&request, &mut payload).await?;
            parse_body(&request, bytes).await.map(Self)
        })
    }
}

/// A JSON body as it was sent, for handlers that need its bytes before its meaning.
pub struct RawJson(pub Bytes);

impl FromRequest for RawJson {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, mut payload) = (request.clone(), payload.take());
        Box::pin(async move { read_json(&request, &mut payload).await.map(Self) })
    }
}

/// Reads a JSON body whole, up to the limit.
///
/// # Errors
/// Another media type, a body over the limit, a broken transfer.
pub async fn read_json(request: &HttpRequest, payload: &mut Payload) -> Result<Bytes, Problem> {
    let content_type = request.content_type();
    if !(content_type.is_empty()
        || content_type == "application/json"
        || content_type.ends_with("+json"))
    {
        return Err(Problem::new(
            Code::UnsupportedFormat,
            format!("the body is {content_type}, but JSON is read here"),
        )
        .param(CONTENT_TYPE.as_str())
        .hint("send Content-Type: application/json"));
    }
    let BodyLimits { json: limit, idle, .. } = limits(request);
    declared_length(request, limit as u64)?;
    let mut payload = unpacked(request, payload)?;
    let mut body = BytesMut::new();
    while let Some(chunk) = next_chunk(&mut payload, idle).await? {
        if body.len() + chunk.len() > limit {
            return Err(too_large(limit as u64));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// The next piece of a body. A client that stops sending is let go.
///
/// # Errors
/// A transfer that broke off, is malformed or stands still.
pub async fn next_chunk<S>(payload: &mut S, idle: Duration) -> Result<Option<Bytes>, Problem>
where
    S: futures_util::Stream<Item = Result<Bytes, PayloadError>> + Unpin,
{
    match tokio::time::timeout(idle, payload.next()).await {
        Ok(chunk) => chunk.transpose().map_err(broken),
        Err(_) => Err(Problem::new(
            Code::SlowClient,
            format!("nothing of the body came for {} s", idle.as_secs()),
        )),
    }
}

/// The body unpacked as its `Content-Encoding` says. Limits count what comes out of it, so that a
/// small bomb is stopped like a large body.
///
/// # Errors
/// An encoding that is not read here.
pub fn unpacked(
    request: &HttpRequest,
    payload: &mut Payload,
) -> Result<Decompress<Payload>, Problem> {
    let encoding = header(request.headers(), CONTENT_ENCODING.as_str())?.unwrap_or("identity");
    if !["identity", "gzip", "x-gzip", "deflate", "br", "zstd"]
        .iter()
        .any(|known| encoding.eq_ignore_ascii_case(known))
    {
        return Err(Problem::new(
            Code::UnsupportedFormat,
            format!("the body is packed as \"{encoding}\""),
        )
        .param(CONTENT_ENCODING.as_str())
        .hint("use gzip, br, zstd or no Content-Encoding"));
    }
    Ok(Decompress::from_headers(payload.take(), request.headers()))
}

/// Parses a JSON body, a large one on the pool.
///
/// # Errors
/// Syntax, depth, unknown fields and wrong types, with line and column or the path.
pub async fn parse_body<T: DeserializeOwned + Send + 'static>(
    request: &HttpRequest,
    bytes: Bytes,
) -> Result<T, Problem> {
    if bytes.len() < PARSE_ON_POOL {
        return parse_json(&bytes);
    }
    let service = request.app_data::<App>().ok_or(ServiceError::Internal)?;
    service.pool.run(move || Ok(parse_json(&bytes))).await?
}

/// Parses JSON. A number such as `3.0` is taken for an integer where one is asked for, as JSON
/// Schema has it.
///
/// # Errors
/// Syntax, depth, unknown fields and wrong types, with line and column or the path.
pub fn parse_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    // Nothing is read from a list; said in fewer words than the type of the body has.
    if bytes.trim_ascii_start().first() == Some(&b'[') {
        return Err(Problem::new(Code::InvalidBody, "the body is a list")
            .hint("send a JSON object: {\"name\": value}"));
    }
    let problem = match parse_strictly(bytes) {
        Ok(parsed) => return Ok(parsed),
        Err(problem) => problem,
    };
    let asked_for_integer = problem.detail.starts_with("invalid type: floating point");
    if asked_for_integer && let Ok(mut value) = serde_json::from_slice(bytes) {
        whole_numbers(&mut value);
        if let Ok(parsed) = T::deserialize(Objects(value)) {
            return Ok(parsed);
        }
    }
    Err(problem)
}

/// Makes integers of numbers without a fraction.
fn whole_numbers(value: &mut Value) {
    match value {
        // Beyond 2^53 a float does not say which integer is meant.
        Value::Number(number) => {
            let whole =
                number.as_f64().filter(|f| f.fract() == 0.0 && f.abs() <= 9_007_199_254_740_992.0);
            if let Some(whole) = whole.filter(|_| number.is_f64()) {
                *number = (whole as i64).into();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(whole_numbers),
        Value::Object(fields) => fields.values_mut().for_each(whole_numbers),
        _ => {}
    }
}

fn parse_strictly<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    use serde_json::error::Category;
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let parsed = serde_path_to_error::deserialize(Objects(&mut reader));
    let error = match parsed {
        Ok(value) => match reader.end() {
            Ok(()) => return Ok(value),
            Err(error) => {
                return Err(at(Problem::new(Code::MalformedJson, said(&error)), &error));
            }
        },
        Err(error) => error,
    };
    let path = error.path().to_string();
    let error = error.into_inner();
    let text = said(&error);
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(Problem::new(Code::MalformedJson, "the body is empty")
            .hint("send a JSON object; {} at least"));
    }
    if text.starts_with("recursion limit") {
        return Err(at(Problem::new(Code::JsonTooDeep, "nested deeper than 128 levels"), &error));
    }
    // An object where a name is expected is reported as bad syntax, though it is none.
    let is_json = || serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_ok();
    if error.classify() != Category::Data && !is_json() {
        let mut problem = Problem::new(Code::MalformedJson, text);
        let nan = ["NaN", "Infinity", "nan", "inf"]
            .iter()
            .any(|word| bytes.windows(word.len()).any(|w| w == word.as_bytes()));
        if nan {
            problem = problem.hint("JSON has no NaN or Infinity; leave unknown numbers out");
        }
        return Err(at(problem, &error));
    }
    let (name, hint) = unknown_field(&text);
    let is_unknown = text.starts_with("unknown field");
    let is_missing = text.starts_with("missing field");
    let param = match name {
        Some(name) if is_missing && path == "." => name,
        Some(name) if is_missing => format!("{path}.{name}"),
        Some(name) if is_unknown && (path == "." || path.ends_with(&name)) => {
            if path == "." {
                name
            } else {
                path
            }
        }
        Some(name) if is_unknown => format!("{path}.{name}"),
        _ => path,
    };
    let mut problem = Problem::new(Code::InvalidBody, text);
    problem.hint = hint.filter(|_| is_unknown || problem.detail.starts_with("unknown variant"));
    if param != "." {
        problem.param = Some(param);
    }
    Err(at(problem, &error))
}

fn at(mut problem: Problem, error: &serde_json::Error) -> Problem {
    if error.line() > 0 {
        problem.line = Some(error.line());
        problem.column = Some(error.column());
    }
    problem
}

/// The message without its place, which has fields of its own.
fn said(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rfind(" at line ").map_or(text.clone(), |end| text[..end].to_owned())
}

/// Refuses a body whose declared length is over the limit, before reading any of it.
///
/// # Errors
/// [`Code::TooLarge`].
pub fn declared_length(request: &HttpRequest, limit: u64) -> Result<(), Problem> {
    let declared = request.headers().get("content-length");
    let declared = declared.and_then(|v| v.to_str().ok()).and_then(|v| v.parse::<u64>().ok());
    if declared.is_some_and(|length| length > limit) { Err(too_large(limit)) } else { Ok(()) }
}

/// The problem of a body over the limit.
pub fn too_large(limit: u64) -> Problem {
    Problem::new(Code::TooLarge, format!("the body is larger than {limit} bytes")).hint(
        "send less, use imports for whole graphs, or raise the limit in the server's configuration",
    )
}

/// The problem of a transfer that broke off or was malformed.
pub fn broken(error: PayloadError) -> Problem {
    Problem::new(Code::MalformedRequest, format!("the body could not be read: {error}"))
}

/// Limits in force.
pub fn limits(request: &HttpRequest) -> BodyLimits {
    let default = BodyLimits { json: 8 << 20, import: 1 << 30, idle: Duration::from_secs(30) };
    request.app_data::<web::Data<BodyLimits>>().map_or(default, |limits| ***limits)
}

/// A header as text.
///
/// # Errors
/// A header that is no text.
pub fn header<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Problem> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    value.to_str().map(|text| Some(text.trim())).map_err(|_| {
        Problem::new(Code::InvalidHeader, format!("the header {name} is not plain text"))
            .param(name)
    })
}

/// `If-Match`, the author and a message: what every write carries. The author is the principal;
/// where access is open, whoever `X-Author` names.
///
/// # Errors
/// An `If-Match` that is no version.
pub fn write_context(
    request: &HttpRequest,
    message: Option<String>,
) -> Result<WriteContext, Problem> {
    let headers = request.headers();
    let if_match = match header(headers, IF_MATCH.as_str())? {
        None | Some("*") => None,
        Some(tag) => {
            let tag = tag.trim_start_matches("W/").trim_matches('"');
            Some(tag.parse::<u64>().map_err(|_| {
                Problem::new(Code::InvalidHeader, format!("\"{tag}\" is not a version"))
                    .param("If-Match")
                    .hint("send the ETag of the graph, for example If-Match: \"3\"")
            })?)
        }
    };
    let principal = who(request);
    let author = if principal.is_anyone() {
        header(headers, "x-author")?.map(str::to_owned)
    } else {
        Some(principal.name.to_string())
    };
    let act = request.extensions().get::<Act>().cloned();
    Ok(WriteContext { if_match, author, message, act })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Selector;
    use crate::model::scenario::ScenarioBody;

    #[test]
    fn bad_json_is_told_with_its_place() {
        let problem = parse_json::<Selector>(b"{\"country\":\n  CHN}").unwrap_err();
        assert_eq!((problem.code, problem.line), (Code::MalformedJson, Some(2)));
        let problem = parse_json::<Selector>(b"{\"contry\":\"CHN\"}").unwrap_err();
        assert_eq!(problem.code, Code::InvalidBody);
        assert_eq!(problem.param.as_deref(), Some("contry"));
        assert_eq!(problem.hint.as_deref(), Some("did you mean country?"));
        let problem = parse_json::<Selector>(b"{\"country\":3}").unwrap_err();
        assert_eq!(problem.param.as_deref(), Some("country"));
        let problem =
            parse_json::<ScenarioBody>(br#"{"shocks":[{"select":{"country":NaN}}]}"#).unwrap_err();
        assert!(problem.hint.unwrap().contains("NaN"));
        let problem = parse_json::<ScenarioBody>(br#"{"shocks":[{"loss":"all"}]}"#).unwrap_err();
        assert_eq!(problem.param.as_deref(), Some("shocks[0].loss"));
        let problem = parse_json::<ScenarioBody>(br#"{"shocks":[{"los":1}]}"#).unwrap_err();
        assert_eq!(problem.param.as_deref(), Some("shocks[0].los"));
    }

    #[test]
    fn what_is_json_but_does_not_fit_is_told_so() {
        // A name is asked for, an object came.
        let problem = parse_json::<ScenarioBody>(br#"{"model":{"mode":{}}}"#).unwrap_err();
        assert_eq!(problem.code, Code::InvalidBody);
        assert_eq!(problem.param.as_deref(), Some("model.mode"));
        let problem = parse_json::<ScenarioBody>(b" []").unwrap_err();
        assert_eq!(problem.code, Code::InvalidBody);
        // One kind of number.
        assert_eq!(parse_json::<ScenarioBody>(br#"{"draws":712.0}"#).unwrap().draws, Some(712));
        let problem = parse_json::<ScenarioBody>(br#"{"draws":712.5}"#).unwrap_err();
        assert_eq!((problem.code, problem.param.as_deref()), (Code::InvalidBody, Some("draws")));
    }

    #[test]
    fn deep_nesting_is_refused() {
        let deep = format!("{}{}", "{\"not\":".repeat(10_000), "}".repeat(10_000));
        let problem = parse_json::<Selector>(deep.as_bytes()).unwrap_err();
        assert_eq!(problem.code, Code::JsonTooDeep);
    }
}
