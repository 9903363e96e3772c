//! Errors as RFC 9457 `application/problem+json`, and the one table of their codes.
//!
//! Handlers return `Result<HttpResponse, Problem>` ([`Unanswered`](super::run::Unanswered) where a
//! job may make the answer). Use [`Problem::new`] for what only HTTP knows;
//! everything else comes from a [`ServiceError`] by `?`.

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;
use utoipa::ToSchema;

use crate::dataset::formats::ImportError;
use crate::service::ServiceError;
use crate::service::imports::ImportFailure;

macro_rules! codes {
    ($($variant:ident $code:tt $status:ident $title:literal;)*) => {
        /// What can go wrong: the code that programs match on.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
        pub enum Code {
            $(#[doc = $title] #[serde(rename = $code)] $variant,)*
        }

        impl Code {
            /// Every code, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The code as text.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// HTTP status.
            pub fn status(self) -> StatusCode {
                match self { $(Self::$variant => StatusCode::$status,)* }
            }

            /// One line for people.
            pub fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* }
            }
        }
    };
}

codes! {
    MalformedJson     "malformed_json"         BAD_REQUEST            "The body is not valid JSON";
    JsonTooDeep       "json_too_deep"          BAD_REQUEST            "The body is nested too deeply";
    InvalidBody       "invalid_body"           BAD_REQUEST            "A field of the body is unknown or has the wrong type";
    InvalidParameter  "invalid_parameter"      BAD_REQUEST            "A parameter is unknown or malformed";
    InvalidHeader     "invalid_header"         BAD_REQUEST            "A header is malformed";
    MalformedRequest  "malformed_request"      BAD_REQUEST            "The request is malformed";
    Unauthorized      "unauthorized"           UNAUTHORIZED           "A valid key or token is needed";
    Forbidden         "forbidden"              FORBIDDEN              "The key or token may not do this";
    NoSuchPath        "no_such_path"           NOT_FOUND              "There is nothing at this path";
    NotFound          "not_found"              NOT_FOUND              "The named thing does not exist";
    VersionGone       "version_gone"           GONE                   "The version is no longer kept";
    MethodNotAllowed  "method_not_allowed"     METHOD_NOT_ALLOWED     "The path does not take this method";
    NotAcceptable     "not_acceptable"         NOT_ACCEPTABLE         "The answer has no such format";
    SlowClient        "slow_client"            REQUEST_TIMEOUT        "The body came too slowly";
    NameTaken         "name_taken"             CONFLICT               "The name is in use";
    MergeConflict     "merge_conflict"         CONFLICT               "Both sides of a merge changed the same things";
    RequestRunning    "request_running"        CONFLICT               "The first request with this key is still running";
    StaleVersion      "stale_version"          PRECONDITION_FAILED    "The graph has changed since";
    TooLarge          "too_large"              PAYLOAD_TOO_LARGE      "The body is too large";
    UnsupportedFormat "unsupported_media_type" UNSUPPORTED_MEDIA_TYPE "The body is in a format that is not read here";
    Impossible        "impossible"             UNPROCESSABLE_ENTITY   "Well-formed, but impossible on this graph";
    InvalidChange     "invalid_change"         UNPROCESSABLE_ENTITY   "A change cannot be applied; nothing was written";
    BadRows           "bad_rows"               UNPROCESSABLE_ENTITY   "The file has bad rows; nothing was written";
    UnreadableFile    "unreadable_file"        UNPROCESSABLE_ENTITY   "The file cannot be read; nothing was written";
    KeyReused         "key_reused"             UNPROCESSABLE_ENTITY   "The Idempotency-Key came with another body before";
    Cancelled         "cancelled"              CONFLICT               "The work was cancelled";
    TooMany           "too_many_requests"      TOO_MANY_REQUESTS      "Too much is waiting";
    RateLimited       "rate_limited"           TOO_MANY_REQUESTS      "Too many requests";
    Internal          "internal"               INTERNAL_SERVER_ERROR  "A defect of the server";
    Loading           "loading"                SERVICE_UNAVAILABLE    "The server is loading its graphs";
    StoreFailed       "store_failed"           SERVICE_UNAVAILABLE    "The store cannot take writes";
    OverBudget        "over_budget"            SERVICE_UNAVAILABLE    "The work does not fit into memory";
    Unavailable       "unavailable"            SERVICE_UNAVAILABLE    "Something outside cannot be reached";
    EngineUnavailable "engine_unavailable"     UNPROCESSABLE_ENTITY   "The engine is not available";
    EngineFailed      "engine_failed"          BAD_GATEWAY            "The run on an engine failed";
    Deadline          "deadline"               SERVICE_UNAVAILABLE    "The work took too long";
}

/// An error answer.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(example = json!({
    "type": "/v1/problems#not_found", "title": "The named thing does not exist", "status": 404,
    "detail": "there is no node \"galium.refine.CHN\"", "code": "not_found",
    "hint": "did you mean gallium.refine.CHN?", "request_id": "0b1f6a52-6d0c-4d6e-9a37-7a0f6f1f1c55"
}))]
pub struct Problem {
    /// Address of the code's description.
    #[serde(rename = "type")]
    pub kind: String,
    /// One line for people, the same for each code.
    pub title: &'static str,
    /// HTTP status.
    pub status: u16,
    /// What is wrong with this request.
    pub detail: String,
    /// What programs match on.
    pub code: Code,
    /// Parameter, header or path into the body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub param: Option<String>,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Line of the body, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// Column of the body, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<usize>,
    /// Methods that the path takes (405).
    #[serde(skip)]
    pub allow: Option<String>,
    /// Seconds to wait (429, 503; default 1).
    #[serde(skip)]
    pub retry_after: Option<u32>,
    /// Report of a refused import; the end of the log of a failed run.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub report: Option<serde_json::Value>,
    /// What both sides of a merge changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub conflicts: Option<serde_json::Value>,
    /// The request, as in the header `x-request-id` and in the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

impl Problem {
    /// A problem of this code.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("/v1/problems#{}", code.as_str()),
            title: code.title(),
            status: code.status().as_u16(),
            detail: detail.into(),
            code,
            param: None,
            hint: None,
            line: None,
            column: None,
            allow: None,
            retry_after: None,
            report: None,
            conflicts: None,
            request_id: None,
        }
    }

    /// Names the parameter, header or path into the body.
    pub fn param(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into());
        self
    }

    /// Says what to do.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The response with its body. The middleware calls it, once the request id is known.
    pub fn into_response(self) -> HttpResponse {
        let status = self.code.status();
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = HttpResponse::build(status);
        response.insert_header((CONTENT_TYPE, "application/problem+json"));
        if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            response.insert_header((RETRY_AFTER, self.retry_after.unwrap_or(1).max(1)));
        }
        if status == StatusCode::UNAUTHORIZED {
            response.insert_header((WWW_AUTHENTICATE, "Bearer realm=\"chokepoint\""));
        }
        if let Some(id) = &self.request_id {
            response.insert_header(("x-request-id", id.as_str()));
        }
        if let Some(allow) = self.allow.and_then(|allow| HeaderValue::from_str(&allow).ok()) {
            response.insert_header((ALLOW, allow));
        }
        response.body(body)
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.detail)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.code.status()
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = self.clone().into_response();
        // The middleware renders it again with the request id.
        response.extensions_mut().insert(self.clone());
        response
    }
}

impl From<ServiceError> for Problem {
    fn from(error: ServiceError) -> Self {
        Self::from(&error)
    }
}

impl From<&ServiceError> for Problem {
    fn from(error: &ServiceError) -> Self {
        let detail = error.to_string();
        let with = |code, param: Option<&String>, hint: Option<&String>| Self {
            param: param.cloned(),
            hint: hint.cloned(),
            ..Self::new(code, detail.clone())
        };
        match error {
            ServiceError::Absent { hint, .. } => with(Code::NotFound, None, hint.as_ref()),
            ServiceError::Gone { graph, newest, .. } => Self::new(Code::VersionGone, detail)
                .param("at")
                .hint(format!(
                    "the newest version is {newest}; GET /v1/graphs/{graph}/versions lists those \
                     that are kept"
                )),
            ServiceError::Conflicts(conflicts) => Self {
                conflicts: serde_json::to_value(&**conflicts).ok(),
                ..Self::new(Code::MergeConflict, detail)
            }
            .param("on_conflict")
            .hint("change one side, or decide with on_conflict: ours keeps this graph's, theirs takes the other's"),
            ServiceError::Taken { what: "preset", .. } => Self::new(Code::NameTaken, detail)
                .hint("presets are read-only; store yours under another id"),
            ServiceError::Taken { .. } => Self::new(Code::NameTaken, detail),
            ServiceError::Stale { .. } => Self::new(Code::StaleVersion, detail)
                .param("If-Match")
                .hint("read the graph again, then repeat the write with its ETag"),
            ServiceError::Malformed { param, hint, .. } => {
                with(Code::InvalidParameter, Some(param), hint.as_ref())
            }
            ServiceError::Impossible { param, hint, .. } => {
                with(Code::Impossible, param.as_ref(), hint.as_ref())
            }
            ServiceError::Change(change) => Self::new(Code::InvalidChange, &change.problem)
                .param(format!("changes[{}]", change.index)),
            ServiceError::KeyReused => Self::new(Code::KeyReused, detail)
                .param("Idempotency-Key")
                .hint("use a new key for a new request"),
            ServiceError::KeyBusy => {
                Self::new(Code::RequestRunning, detail).param("Idempotency-Key")
            }
            ServiceError::Busy { .. } => {
                Self::new(Code::TooMany, detail).hint("try again after Retry-After seconds")
            }
            ServiceError::OverBudget { .. } => Self::new(Code::OverBudget, detail)
                .hint("ask a smaller question, try again later, or raise memory_budget_mib"),
            ServiceError::Cancelled(_) => Self::new(Code::Cancelled, detail),
            ServiceError::Deadline { .. } => {
                Self::new(Code::Deadline, detail).hint("ask a smaller question")
            }
            ServiceError::EngineUnavailable { .. } => Self::new(Code::EngineUnavailable, detail)
                .param("engine")
                .hint("use engine local; GET /v1/engines says what there is and how to set it up"),
            ServiceError::EngineFailed { log, .. } => Self {
                report: Some(serde_json::json!({ "log": log })),
                ..Self::new(Code::EngineFailed, detail)
            }
            .hint("report.log has the end of the run's log"),
            ServiceError::Exchange { .. } => Self::new(Code::EngineFailed, detail)
                .hint("look at the folder in exchange_dir: space, rights, and who else writes there"),
            ServiceError::Store(error) => {
                tracing::error!(%error, "store");
                Self::new(Code::StoreFailed, detail)
                    .hint("reads go on; see the log, then restart the server")
            }
            ServiceError::Internal => Self::new(Code::Internal, detail)
                .hint("the log has the details under this request_id"),
        }
    }
}

impl From<ImportError> for Problem {
    fn from(error: ImportError) -> Self {
        let detail = error.to_string();
        match error {
            ImportError::TooLarge(_) => Self::new(Code::TooLarge, detail),
            ImportError::Spool(_) => Self::new(Code::StoreFailed, detail),
            ImportError::Document(row) => Self {
                hint: row.hint.clone(),
                line: (row.line > 0).then_some(row.line as usize),
                column: row.position.map(|p| p as usize),
                ..Self::new(Code::UnreadableFile, detail)
            },
        }
    }
}

impl From<ImportFailure> for Problem {
    fn from(failure: ImportFailure) -> Self {
        match failure {
            ImportFailure::File(error) => error.into(),
            ImportFailure::Service(error) => error.into(),
            ImportFailure::BadRows(imported) => {
                let first = imported.report.problems.first().map(ToString::to_string);
                let more = imported.report.problem_count.saturating_sub(1);
                let first = first.unwrap_or_default();
                let detail =
                    if more == 0 { first } else { format!("{first} (and {more} more bad rows)") };
                Self {
                    report: serde_json::to_value(&*imported).ok(),
                    ..Self::new(Code::BadRows, detail)
                }
                .hint("correct the rows in `report`, or leave them out with on_error=skip")
            }
        }
    }
}
