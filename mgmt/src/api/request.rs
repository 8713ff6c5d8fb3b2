//! Reading requests strictly: what is not expected is refused, with its place.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::header::{CONTENT_TYPE, IF_MATCH};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use serde::de::DeserializeOwned;
use utoipa::IntoParams;

use super::problem::{Code, FieldError, Problem};

/// Bytes of an ordinary JSON body.
pub const BODY_BYTES: usize = 1024 * 1024;
/// How long a body may take to come.
const BODY_TIME: Duration = Duration::from_secs(60);

/// What can say of itself what is wrong with it, beyond its types.
pub trait Checked {
    /// Every field that cannot be so.
    fn check(&self) -> Vec<FieldError>;
}

/// A JSON body of at most so many bytes that was checked.
#[derive(Debug)]
pub struct Body<T, const BYTES: usize = BODY_BYTES>(pub T);

impl<S, T, const BYTES: usize> FromRequest<S> for Body<T, BYTES>
where
    S: Send + Sync,
    T: DeserializeOwned + Checked,
{
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        let json = request.headers().get(CONTENT_TYPE).is_some_and(is_json);
        if !json {
            let detail = "The body must be JSON, with `Content-Type: application/json`.";
            return Err(Problem::new(Code::UnsupportedMediaType, detail));
        }
        let bytes = whole(request.into_body(), BYTES).await?;
        let mut reader = serde_json::Deserializer::from_slice(&bytes);
        let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
            let message = error.inner().to_string();
            let field = field_of(&error.path().to_string(), &message);
            Problem::new(
                Code::InvalidBody,
                "The body is not what was expected; see `errors`.",
            )
            .with(vec![FieldError::new(field, message)])
        })?;
        reader.end().map_err(|error| {
            Problem::new(
                Code::InvalidBody,
                format!("Something follows the JSON: {error}."),
            )
        })?;
        checked(value).map(Self)
    }
}

/// A body, unless it is too large or its sender leaves off in the middle.
///
/// # Errors
/// The problem to answer with.
pub async fn whole(body: axum::body::Body, most: usize) -> Result<Bytes, Problem> {
    let read = tokio::time::timeout(BODY_TIME, axum::body::to_bytes(body, most));
    match read.await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(_)) => Err(Problem::new(
            Code::TooLarge,
            format!("At most {most} bytes are taken."),
        )),
        Err(_) => Err(Problem::new(
            Code::BadRequest,
            format!("The body did not come within {} s.", BODY_TIME.as_secs()),
        )),
    }
}

fn checked<T: Checked>(value: T) -> Result<T, Problem> {
    let errors = value.check();
    if errors.is_empty() {
        return Ok(value);
    }
    Err(Problem::new(Code::InvalidBody, "Some fields cannot be so; see `errors`.").with(errors))
}

/// The field that a message of serde is about: a missing one has the path of what it is missing from.
fn field_of(path: &str, message: &str) -> String {
    let name = |mark: &str| message.strip_prefix(mark)?.split('`').next();
    let parent = if path == "." { "" } else { path };
    match name("missing field `") {
        Some(name) if parent.is_empty() => name.to_owned(),
        Some(name) => format!("{parent}.{name}"),
        None => path.to_owned(),
    }
}

fn is_json(value: &HeaderValue) -> bool {
    value
        .to_str()
        .is_ok_and(|text| text.split(';').next().unwrap_or_default().trim() == "application/json")
}

/// Query parameters; unknown ones are refused.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        read(parts.uri.query().unwrap_or_default()).map(Self)
    }
}

fn read<T: DeserializeOwned>(query: &str) -> Result<T, Problem> {
    let reader = serde_urlencoded::Deserializer::new(form_urlencoded::parse(query.as_bytes()));
    serde_path_to_error::deserialize(reader).map_err(|error| {
        let message = error.inner().to_string();
        let field = field_of(&error.path().to_string(), &message);
        Problem::query(&field, message)
    })
}

/// Query parameters of two sorts, such as which devices, and which page of them: the first takes those
/// it knows, the second the others. Unknown ones are refused.
#[derive(Debug)]
pub struct Queries<A, B>(pub A, pub B);

impl<S, A, B> FromRequestParts<S> for Queries<A, B>
where
    S: Send + Sync,
    A: DeserializeOwned + IntoParams,
    B: DeserializeOwned,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let known = A::into_params(|| None);
        let [mut first, mut second] =
            [(); 2].map(|()| form_urlencoded::Serializer::new(String::new()));
        for (name, value) in
            form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes())
        {
            let is_known = known.iter().any(|parameter| parameter.name == name);
            let part = if is_known { &mut first } else { &mut second };
            part.append_pair(&name, &value);
        }
        Ok(Self(read(&first.finish())?, read(&second.finish())?))
    }
}

/// Path parameters.
#[derive(Debug)]
pub struct Path<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        axum::extract::Path::from_request_parts(parts, state)
            .await
            .map(|path| Self(path.0))
            .map_err(|_| Problem::new(Code::NotFound, "There is nothing at this path."))
    }
}

/// `If-Match`: the revision that the caller read, without which nothing is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoParams)]
#[into_params(names("If-Match"), parameter_in = Header)]
pub struct IfMatch(
    /// The `ETag` that the thing had when it was read, such as `"7"`
    #[param(value_type = String, required = true)]
    pub i64,
);

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let Some(value) = parts.headers.get(IF_MATCH) else {
            let detail = "Send `If-Match` with the `ETag` you read, so that nobody's change is \
                          lost.";
            return Err(Problem::new(Code::PreconditionRequired, detail));
        };
        let text = value.to_str().ok().map(str::trim);
        text.and_then(|text| text.strip_prefix('"')?.strip_suffix('"')?.parse().ok())
            .map(Self)
            .ok_or_else(stale)
    }
}

impl IfMatch {
    /// Whether it is still the revision that was read.
    ///
    /// # Errors
    /// When it is not.
    pub fn require(self, revision: i64) -> Result<(), Problem> {
        if self.0 == revision {
            Ok(())
        } else {
            Err(stale())
        }
    }
}

fn stale() -> Problem {
    let detail = "It was changed since you read it. Read it again and decide anew.";
    Problem::new(Code::PreconditionFailed, detail)
}

/// The `ETag` header of a revision.
pub fn etag(revision: i64) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_str(&format!("\"{revision}\"")) {
        headers.insert(header::ETAG, value);
    }
    headers
}

/// Complains of texts that are longer than `max` bytes or hold control characters.
pub fn text(field: &str, value: Option<&str>, max: usize, errors: &mut Vec<FieldError>) {
    let Some(value) = value else { return };
    if value.len() > max {
        errors.push(FieldError::new(field, format!("at most {max} bytes")));
    }
    if value
        .chars()
        .any(|c| c.is_control() && c != '\n' && c != '\t')
    {
        errors.push(FieldError::new(field, "no control characters"));
    }
}

/// As [`text`], of one that must not be empty.
pub fn said(field: &str, value: &str, max: usize, errors: &mut Vec<FieldError>) {
    if value.is_empty() {
        errors.push(FieldError::new(field, "must not be empty"));
    }
    text(field, Some(value), max, errors);
}
