//! What happens, while it happens: server-sent events.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Sse;
use axum::response::sse::{Event as Sent, KeepAlive};
use futures::stream::{self, Stream, StreamExt as _};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::problem::Problem;
use super::request::Query;
use crate::Shared;
use crate::live::{Heard, Topic};

/// Events taken from the ring at a time.
const PORTION: usize = 64;
/// How long a stream lasts. Whoever may no longer listen is found out when it comes back.
const LONGEST: Duration = Duration::from_secs(300);
/// How often a silent stream says that it is alive.
const ALIVE: Duration = Duration::from_secs(15);

pub(super) fn operations() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(stream_events))
}

/// Which events.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct EventQuery {
    /// Topics, separated by commas; left out: all
    #[param(example = "device,alert")]
    pub topics: Option<String>,
}

/// What happens, as server-sent events
///
/// Each event has its topic as `event`, JSON as `data`, and an `id` to come back with as
/// `Last-Event-ID`. A client that reads too slowly, or comes back too late, gets an event `lost`
/// with the number of events it missed, after which the stream ends: read the lists again, then
/// come back with the `id` of `lost`. After five minutes a stream ends by itself; come back with the last `id`.
#[utoipa::path(get, path = "/events", tag = "events",
    params(EventQuery, ("Last-Event-ID" = Option<String>, Header, description = "Go on behind it")),
    responses((status = 200, description = "The stream", body = String,
        content_type = "text/event-stream")))]
async fn stream_events(
    State(app): State<Shared>,
    headers: HeaderMap,
    Query(query): Query<EventQuery>,
) -> Result<Sse<impl Stream<Item = Result<Sent, Infallible>>>, Problem> {
    let topics = topics(query.topics.as_deref())?;
    let last = headers
        .get("last-event-id")
        .and_then(|value| value.to_str().ok());
    let from = match last {
        None | Some("") => Place::At(app.live.next()),
        Some(id) => app.live.after(id).map_or(Place::Unknown, Place::At),
    };
    let listening = app.live.listening();
    let lost = move |app: &Shared, count: Option<u64>| {
        let count = count.map_or_else(|| "null".to_owned(), |count| count.to_string());
        // Browsers come back with the last id they got: behind what is lost, or it is lost again.
        let newest = app.live.next().saturating_sub(1);
        let sent = Sent::default().id(app.live.id(newest)).event("lost");
        sent.data(format!("{{\"lost\":{count}}}"))
    };
    let batches = stream::unfold((app, from), move |(app, place)| {
        // Held as long as the stream.
        let _ = &listening;
        let topics = topics.clone();
        async move {
            let from = match place {
                Place::At(from) => from,
                Place::Unknown => return Some((vec![lost(&app, None)], (app, Place::Over))),
                Place::Over => return None,
            };
            let (events, next) = match app.live.listen(from, PORTION).await {
                Heard::Lost(count) => (vec![lost(&app, Some(count))], Place::Over),
                Heard::Events(events) => {
                    let next = from + events.len() as u64;
                    let wanted = events
                        .iter()
                        .filter(|event| topics.is_empty() || topics.contains(&event.topic));
                    let sent = wanted.filter_map(|event| {
                        let sent = Sent::default().id(app.live.id(event.seq));
                        sent.event(event.topic.name()).json_data(&**event).ok()
                    });
                    (sent.collect(), Place::At(next))
                }
            };
            Some((events, (app, next)))
        }
    });
    let events = batches.flat_map(|batch| stream::iter(batch.into_iter().map(Ok)));
    let events = events.take_until(tokio::time::sleep(LONGEST));
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(ALIVE)))
}

enum Place {
    At(u64),
    /// The client heard an event last that this process did not tell.
    Unknown,
    Over,
}

fn topics(text: Option<&str>) -> Result<Vec<Topic>, Problem> {
    let names = text
        .unwrap_or_default()
        .split(',')
        .filter(|name| !name.is_empty());
    names
        .map(|name| {
            serde_json::from_value(name.into()).map_err(|_| {
                Problem::query("topics", "of device, alert, verdict, job, policy, system")
            })
        })
        .collect()
}
