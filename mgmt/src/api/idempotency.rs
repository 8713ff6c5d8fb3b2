//! `Idempotency-Key`: what is asked twice because an answer was lost is done once.
//!
//! The key is written down before the handler runs and its answer after it did, so a process that
//! died in between leaves a key without an answer: what became of it is not known, and said so.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};

use super::problem::{Code, FieldError, Problem};
use crate::auth::Principal;
use crate::store::idempotency::{self, Answer, Known};
use crate::{App, Shared};

/// The header.
pub const HEADER: &str = "Idempotency-Key";
/// What it looks like, for the API's description.
pub const PATTERN: &str = "^[!-~]{1,128}$";
/// Says that an answer was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// Bytes of a body: more than any handler takes.
const BODY_BYTES: usize = 17 * 1024 * 1024;
/// Bytes of an answer that is kept.
const ANSWER_BYTES: usize = 4 * 1024 * 1024;
/// Headers of an answer that are kept.
const HEADERS: [HeaderName; 3] = [header::CONTENT_TYPE, header::ETAG, header::LOCATION];
/// Resources whose requests or answers hold secrets, which are not kept.
const SECRET: [&str; 8] = [
    "certificates",
    "login",
    "me",
    "receivers",
    "sessions",
    "setup",
    "tokens",
    "users",
];

/// Whether requests for operations of this tag may carry a key.
pub(super) fn is_for(tag: &str) -> bool {
    !SECRET.contains(&tag)
}

/// Requests that are under way in this process, by who sent them and by key.
#[derive(Debug, Default)]
pub struct UnderWay(Mutex<HashSet<Name>>);

/// Who sent a request, and its key.
type Name = (String, String);

impl UnderWay {
    fn names(&self) -> MutexGuard<'_, HashSet<Name>> {
        // A set is whole after any panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps a request in the set for as long as it lives.
struct Entry {
    app: Shared,
    name: Name,
}

impl Entry {
    fn of(app: &Shared, name: Name) -> Option<Self> {
        let app = app.clone();
        let news = app.under_way.names().insert(name.clone());
        news.then_some(Self { app, name })
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.app.under_way.names().remove(&self.name);
    }
}

/// The middleware: behind the gate, before the handlers.
///
/// # Errors
/// When the key cannot be one, was used for something else, or is in use.
pub async fn once(
    State(app): State<Shared>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let Some(key) = request.headers().get(HEADER).cloned() else {
        return Ok(next.run(request).await);
    };
    let principal = request.extensions().get::<Principal>().cloned();
    let operation = app.gate.operation(request.method(), request.extensions());
    let kept = request.method() == Method::POST && operation.is_some_and(|o| is_for(&o.tag));
    let Some(principal) = principal.filter(|_| kept) else {
        return Ok(next.run(request).await);
    };
    let name = (principal.who, text(&key)?);
    let (parts, body) = request.into_parts();
    let body = super::request::whole(body, BODY_BYTES).await?;
    let target = parts
        .uri
        .path_and_query()
        .map_or("", |target| target.as_str());
    let digest = digest(target, &body);
    let request = Request::from_parts(parts, Body::from(body));
    // A client that hangs up does not leave it half-done.
    let done = tokio::spawn(async move { run(&app, name, &digest, request, next).await });
    super::finished(done.await)
}

fn text(key: &HeaderValue) -> Result<String, Problem> {
    let text = key.to_str().ok().filter(|text| {
        (1..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
    });
    text.map(str::to_owned).ok_or_else(|| {
        let error = FieldError::new(HEADER, "1 to 128 printable ASCII characters, no spaces");
        Problem::new(Code::BadRequest, "See `errors`.").with(vec![error])
    })
}

fn digest(target: &str, body: &Bytes) -> String {
    let mut hash = Sha256::new();
    hash.update(target.as_bytes());
    hash.update([0]);
    hash.update(body);
    HEXLOWER.encode(&hash.finalize())
}

async fn run(
    app: &Shared,
    name: Name,
    digest: &str,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let at = (name.0.as_str(), name.1.as_str());
    let entry = Entry::of(app, name.clone());
    if entry.is_none() {
        let mut db = app.store.main.read().acquire().await?;
        let known = idempotency::find(&mut db, at).await?;
        require_same(known.as_ref(), digest)?;
        let detail = "The request with this key is under way.";
        return Err(Problem::new(Code::InProgress, detail).retry_after_s(1));
    }
    let mut transaction = app.store.main.begin().await?;
    let known = idempotency::begin(&mut transaction, at, digest).await?;
    transaction.commit().await?;
    require_same(known.as_ref(), digest)?;
    match known {
        None => keep(app, at, next.run(request).await).await,
        Some(Known { answer: None, .. }) => {
            let detail = "This process or one before it ended while the request was under way. \
                          Look whether it was done, and use another key.";
            Err(Problem::new(Code::OutcomeUnknown, detail))
        }
        Some(Known {
            answer: Some(answer),
            ..
        }) => Ok(again(answer)),
    }
}

fn require_same(known: Option<&Known>, digest: &str) -> Result<(), Problem> {
    if known.is_none_or(|known| known.request == digest) {
        return Ok(());
    }
    let detail = "This key came with another request; use a new key for a new request.";
    Err(Problem::new(Code::IdempotencyKeyReused, detail))
}

/// Keeps the answer of what was done; what did nothing may be asked again.
async fn keep(app: &App, at: (&str, &str), response: Response) -> Result<Response, Problem> {
    let status = response.status();
    // Whatever failed inside, or on the way to the fast path, may have been done or not: it stays
    // without an answer.
    if status.is_server_error() {
        return Ok(response);
    }
    let mut transaction = app.store.main.begin().await?;
    if !status.is_success() {
        idempotency::forget(&mut transaction, at).await?;
        transaction.commit().await?;
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    let body = axum::body::to_bytes(body, ANSWER_BYTES).await;
    let body = body.map_err(|error| {
        tracing::error!(%error, "an answer is too large to be kept");
        Problem::new(Code::Internal, "The log of the appliance says more.")
    })?;
    let answer = Answer {
        status: status.as_u16(),
        headers: serde_json::to_string(&kept(&parts.headers)).unwrap_or_default(),
        body: body.to_vec(),
    };
    idempotency::finish(&mut transaction, at, &answer).await?;
    transaction.commit().await?;
    Ok(Response::from_parts(parts, Body::from(body)))
}

fn kept(headers: &HeaderMap) -> BTreeMap<String, String> {
    let pair = |name: &HeaderName| {
        let value = headers.get(name)?.to_str().ok()?;
        Some((name.to_string(), value.to_owned()))
    };
    HEADERS.iter().filter_map(pair).collect()
}

/// The answer that was given before.
fn again(answer: Answer) -> Response {
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    let kept: BTreeMap<String, String> = serde_json::from_str(&answer.headers).unwrap_or_default();
    for (name, value) in kept {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse()) {
            response.headers_mut().insert(name, value);
        }
    }
    response
        .headers_mut()
        .insert(REPLAYED, HeaderValue::from_static("true"));
    response
}
