//! Answers to what cannot be done: RFC 9457, with a code that does not change.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use wardline_control::{ClientError, RefusedKind};

use crate::store::StoreError;

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Problem {
    /// `urn:wardline:problem:` and the code.
    #[serde(rename = "type")]
    pub kind: String,
    /// The sort of problem, in a few words.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// The sort of problem, for programs; see the list in the documentation.
    pub code: Code,
    /// What is wrong here and what to do about it.
    pub detail: String,
    /// Each wrong field.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// When to try again, in seconds; also in `Retry-After`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_s: Option<u32>,
}

/// A field that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// Path of the field, such as `assets[2].tag`; the name of a query parameter.
    pub field: String,
    /// What was expected.
    pub message: String,
    /// Line in a document, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// Column in that line, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
    /// What to do about it, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

impl FieldError {
    /// Of a field.
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            message: message.into(),
            line: None,
            column: None,
            fix: None,
        }
    }
}

/// Sorts of problems. They are part of the API: a code never changes its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// The request cannot be read.
    BadRequest,
    /// A query parameter is wrong.
    InvalidQuery,
    /// The body is not what was expected.
    InvalidBody,
    /// No credentials, or they do not hold.
    Unauthenticated,
    /// The credentials hold but do not suffice.
    Forbidden,
    /// There is no such thing.
    NotFound,
    /// The thing is there, but not this method.
    MethodNotAllowed,
    /// It does not fit with how things are.
    Conflict,
    /// The `Idempotency-Key` came with another request before.
    IdempotencyKeyReused,
    /// The request with this `Idempotency-Key` is under way.
    InProgress,
    /// Nobody knows what became of the request with this `Idempotency-Key`.
    OutcomeUnknown,
    /// It was changed since it was read.
    PreconditionFailed,
    /// `If-Match` is missing.
    PreconditionRequired,
    /// The body is too large.
    TooLarge,
    /// The body is in another format.
    UnsupportedMediaType,
    /// Too many requests, or too many failures.
    TooManyRequests,
    /// The fast path refused.
    Refused,
    /// The fast path cannot be reached.
    FastpathAway,
    /// The disk is full.
    StorageFull,
    /// The database is damaged.
    StorageDamaged,
    /// The question takes too long to answer.
    TooBroad,
    /// Busy, starting or stopping.
    Unavailable,
    /// A fault of this program.
    Internal,
}

impl Code {
    fn facts(self) -> (StatusCode, &'static str, &'static str) {
        use StatusCode as S;
        match self {
            Self::BadRequest => (S::BAD_REQUEST, "bad-request", "The request cannot be read"),
            Self::InvalidQuery => (S::BAD_REQUEST, "invalid-query", "A parameter is wrong"),
            Self::InvalidBody => (S::UNPROCESSABLE_ENTITY, "invalid-body", "The body is wrong"),
            Self::Unauthenticated => (S::UNAUTHORIZED, "unauthenticated", "Who are you?"),
            Self::Forbidden => (S::FORBIDDEN, "forbidden", "Not allowed"),
            Self::NotFound => (S::NOT_FOUND, "not-found", "There is no such thing"),
            Self::MethodNotAllowed => (
                S::METHOD_NOT_ALLOWED,
                "method-not-allowed",
                "Not with this method",
            ),
            Self::Conflict => (S::CONFLICT, "conflict", "It does not fit"),
            Self::IdempotencyKeyReused => (
                S::UNPROCESSABLE_ENTITY,
                "idempotency-key-reused",
                "The key came with another request",
            ),
            Self::InProgress => (S::CONFLICT, "in-progress", "It is under way"),
            Self::OutcomeUnknown => (
                S::CONFLICT,
                "outcome-unknown",
                "Nobody knows what became of it",
            ),
            Self::PreconditionFailed => (
                S::PRECONDITION_FAILED,
                "precondition-failed",
                "It was changed meanwhile",
            ),
            Self::PreconditionRequired => (
                S::PRECONDITION_REQUIRED,
                "precondition-required",
                "If-Match is missing",
            ),
            Self::TooLarge => (S::PAYLOAD_TOO_LARGE, "too-large", "The body is too large"),
            Self::UnsupportedMediaType => (
                S::UNSUPPORTED_MEDIA_TYPE,
                "unsupported-media-type",
                "Another format is expected",
            ),
            Self::TooManyRequests => (
                S::TOO_MANY_REQUESTS,
                "too-many-requests",
                "Too many requests",
            ),
            Self::Refused => (S::CONFLICT, "refused", "The fast path refused"),
            Self::FastpathAway => (
                S::SERVICE_UNAVAILABLE,
                "fastpath-away",
                "The fast path cannot be reached",
            ),
            Self::StorageFull => (S::INSUFFICIENT_STORAGE, "storage-full", "The disk is full"),
            Self::StorageDamaged => (
                S::SERVICE_UNAVAILABLE,
                "storage-damaged",
                "The database is damaged",
            ),
            Self::TooBroad => (
                S::SERVICE_UNAVAILABLE,
                "too-broad",
                "The question takes too long to answer",
            ),
            Self::Unavailable => (S::SERVICE_UNAVAILABLE, "unavailable", "Not now"),
            Self::Internal => (
                S::INTERNAL_SERVER_ERROR,
                "internal",
                "A fault of this program",
            ),
        }
    }
}

impl Problem {
    /// A problem of a sort, with what is wrong here.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        let (status, name, title) = code.facts();
        Self {
            kind: format!("urn:wardline:problem:{name}"),
            title: title.to_owned(),
            status: status.as_u16(),
            code,
            detail: detail.into(),
            errors: Vec::new(),
            retry_after_s: None,
        }
    }

    /// With the fields that are wrong.
    #[must_use]
    pub fn with(mut self, errors: Vec<FieldError>) -> Self {
        self.errors = errors;
        self
    }

    /// With when to try again.
    #[must_use]
    pub fn retry_after_s(mut self, seconds: u32) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// There is no such thing.
    pub fn not_found(what: &str, id: &str) -> Self {
        Self::new(Code::NotFound, format!("There is no {what} `{id}`."))
    }

    /// One query parameter or path segment is wrong.
    pub fn query(field: &str, message: impl Into<String>) -> Self {
        Self::new(Code::InvalidQuery, "See `errors`.").with(vec![FieldError::new(field, message)])
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let retry = self.retry_after_s.map(HeaderValue::from);
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(retry) = retry {
            headers.insert(header::RETRY_AFTER, retry);
        }
        response
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let code = match &error {
            StoreError::Full => Code::StorageFull,
            StoreError::Damaged(_) => Code::StorageDamaged,
            StoreError::TooLong => Code::TooBroad,
            StoreError::Taken(_) => Code::Conflict,
            StoreError::Newer(_) | StoreError::File { .. } => Code::Internal,
            StoreError::Other(sqlx::Error::PoolTimedOut) => Code::Unavailable,
            StoreError::Other(_) => Code::Internal,
        };
        tracing::warn!(%error, "a request could not be answered");
        // What the database says of itself is for the log.
        match code {
            Code::Internal => Self::new(code, "The log of the appliance says more."),
            _ => Self::new(code, error.to_string()),
        }
    }
}

impl From<sqlx::Error> for Problem {
    fn from(error: sqlx::Error) -> Self {
        StoreError::from(error).into()
    }
}

impl From<ClientError> for Problem {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Refused(refused) => match refused.kind {
                RefusedKind::Argument => Self::new(Code::InvalidBody, refused.message),
                RefusedKind::Policy => {
                    let place = |at: u32| Some(at).filter(|at| *at > 0);
                    let errors = refused.diagnostics.into_iter().map(|found| FieldError {
                        line: place(found.line),
                        column: place(found.column),
                        fix: found.fix,
                        ..FieldError::new(found.path, found.message)
                    });
                    Self::new(Code::InvalidBody, refused.message).with(errors.collect())
                }
                RefusedKind::Conflict => Self::new(Code::Refused, refused.message),
                RefusedKind::Unavailable => {
                    Self::new(Code::Unavailable, refused.message).retry_after_s(1)
                }
                RefusedKind::Internal => Self::new(Code::Internal, refused.message),
            },
            error => Self::new(Code::FastpathAway, error.to_string()).retry_after_s(2),
        }
    }
}
