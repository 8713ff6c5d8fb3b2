//! Reads what is left of a body that nobody wanted. A client that still sends while it is refused
//! would find its connection reset, and never learn why.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes, HttpBody as _};
use axum::extract::Request;
use axum::http::header::EXPECT;
use axum::middleware::Next;
use axum::response::Response;
use futures::{Stream, StreamExt as _};

use super::request::BODY_BYTES;

/// How long a client may take to send what is thrown away.
const PATIENCE: Duration = Duration::from_secs(5);

/// The layer: once there is an answer, what is left of the body is read, within bounds.
pub(super) async fn drain(request: Request, next: Next) -> Response {
    // A client that waits for `100 Continue` has sent nothing yet.
    if request.body().is_end_stream() || request.headers().contains_key(EXPECT) {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let shared = Shared(Arc::new(Mutex::new(body.into_data_stream())));
    let body = Body::from_stream(shared.clone());
    let response = next.run(Request::from_parts(parts, body)).await;
    // Whoever sends more, or more slowly, is cut off after all.
    let _ = tokio::time::timeout(PATIENCE, rest(shared)).await;
    response
}

async fn rest(mut body: Shared) {
    let mut bytes = 0;
    while let Some(Ok(chunk)) = body.next().await {
        bytes += chunk.len();
        if bytes > BODY_BYTES {
            return;
        }
    }
}

/// A body that can still be read after the handler has dropped it.
#[derive(Clone)]
struct Shared(Arc<Mutex<BodyDataStream>>);

impl Stream for Shared {
    type Item = Result<Bytes, axum::Error>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut body = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        body.poll_next_unpin(context)
    }
}
