//! Asks, listens and writes at the same time, and takes the time of each answer.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use fastrand::Rng;
use reqwest::{Client, Method, RequestBuilder};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use wardline_mgmt::store::flow::{self, Service, Subject, Sums, Verdict};
use wardline_mgmt::store::{Store, device};
use wardline_mgmt::time::Time;

use super::fill::view;
use super::{Plan, Server, Size};

/// How often a note is written, which every listener hears of.
const NOTE_EVERY: Duration = Duration::from_millis(200);
/// How often the history grows, and by how many conversations.
const GROW_EVERY: Duration = Duration::from_secs(10);
const GROWN: u32 = 2_000;
/// What is asked: a name, and a path with `{device}`, `{number}`, `{peer}` and `{cursor}` in it.
/// The cursor is that of the page that this question got last.
const QUESTIONS: &[(&str, &str)] = &[
    ("devices, first page", "/devices?limit=100"),
    ("devices, page after page", "/devices?limit=100{cursor}"),
    (
        "devices, by last seen",
        "/devices?sort=last-seen&order=descending{cursor}",
    ),
    ("devices, by name", "/devices?sort=name{cursor}"),
    (
        "devices, of a role",
        "/devices?role=printer&sort=name{cursor}",
    ),
    ("devices, in a mode", "/devices?mode=observe&limit=1000"),
    ("search, one device", "/devices?q=s{number}"),
    ("search, many", "/devices?q=maker+1+monitor"),
    ("search, nothing", "/devices?q=nothing+is+called+so"),
    ("one device", "/devices/{device}"),
    ("devices, of a group", "/devices?group=Group+001{cursor}"),
    ("assets, page after page", "/assets?limit=100{cursor}"),
    ("assets, by ward", "/assets?sort=ward{cursor}"),
    ("search, assets", "/assets?q=maker+1+department+3"),
    ("groups", "/groups?limit=100"),
    (
        "reconciliation, seen",
        "/reconciliation?kind=seen-not-listed{cursor}",
    ),
    (
        "reconciliation, listed",
        "/reconciliation?kind=listed-not-seen{cursor}",
    ),
    (
        "reconciliation, tags",
        "/reconciliation?kind=tag-twice{cursor}",
    ),
    (
        "reconciliation, places",
        "/reconciliation?kind=location-differs{cursor}",
    ),
    ("flows, newest", "/flows?limit=100"),
    ("flows, page after page", "/flows?limit=100{cursor}"),
    ("flows, 1,000", "/flows?limit=1000{cursor}"),
    ("flows, of a device", "/flows?device={device}{cursor}"),
    ("flows, with a peer", "/flows?peer={peer}{cursor}"),
    ("flows, dropped", "/flows?action=drop{cursor}"),
    ("flows, for a rare reason", "/flows?reason=revoked{cursor}"),
    ("flows, over a port", "/flows?port=470&protocol=6{cursor}"),
    (
        "flows, device and dropped",
        "/flows?device={device}&action=drop",
    ),
    ("flows, peer and port", "/flows?peer={peer}&port=137"),
    (
        "flows, of a day",
        "/flows?since={then}&until={later}{cursor}",
    ),
    (
        "flows, dropped, of a day",
        "/flows?action=drop&since={then}&until={later}{cursor}",
    ),
    ("map, by role", "/map"),
    ("map, edges", "/map/edges?limit=100{cursor}"),
    ("map, edges of a device", "/map/edges?device={device}"),
    ("map, edges with a peer", "/map/edges?peer={peer}"),
    ("map, edges dropped", "/map/edges?action=drop{cursor}"),
    ("audit", "/audit?limit=100{cursor}"),
    ("alerts", "/alerts?limit=100"),
];

/// What came of one size.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// How much there was.
    pub size: Size,
    /// Of each question.
    pub figures: Vec<Figure>,
    /// Answers a second, all questions together.
    pub answers_per_s: f64,
    /// The most memory that was resident, in MiB.
    pub resident_mib: f64,
    /// Events that the listeners heard, all together.
    pub heard: u64,
    /// Notes that were written meanwhile.
    pub notes: u64,
}

/// How long answers took, in milliseconds.
#[derive(Debug, Clone, Serialize)]
pub struct Figure {
    /// The question.
    pub name: &'static str,
    /// Answers.
    pub answers: usize,
    /// Half of them took no longer.
    pub p50_ms: f64,
    /// Nor 99 of 100.
    pub p99_ms: f64,
    /// Nor any.
    pub max_ms: f64,
}

struct Asker {
    client: Client,
    base: String,
    token: String,
}

impl Asker {
    /// With a connection of its own.
    fn new(server: &Server) -> Result<Self> {
        let client = Client::builder()
            .tls_certs_only([reqwest::Certificate::from_pem(&server.certificate)?])
            .build()?;
        Ok(Self {
            client,
            base: server.address.clone(),
            token: server.token.clone(),
        })
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}/api/v1{path}", self.base);
        self.client.request(method, url).bearer_auth(&self.token)
    }

    async fn read(&self, path: &str) -> Result<Value> {
        let answer = self.request(Method::GET, path).send().await?;
        let status = answer.status();
        let body = answer.bytes().await?;
        ensure!(
            status.is_success(),
            "{path}: {status} {}",
            String::from_utf8_lossy(&body)
        );
        serde_json::from_slice(&body).with_context(|| format!("{path}: no JSON"))
    }
}

/// Asks everything often enough beside listeners and writers.
///
/// # Errors
/// When an answer is not as it should be, or a listener is cut off.
pub(super) async fn load(plan: &Plan, size: Size, server: &Server) -> Result<Outcome> {
    until_the_map_is_drawn(&Asker::new(server)?).await?;
    let heard = Arc::new(AtomicU64::new(0));
    let mut listeners = JoinSet::new();
    for _ in 0..plan.listeners {
        listeners.spawn(listen(Asker::new(server)?, Arc::clone(&heard)));
    }
    let over = Arc::new(AtomicBool::new(false));
    let notes = tokio::spawn(write_notes(Asker::new(server)?, Arc::clone(&over), size));
    let growth = tokio::spawn(grow(server.state.clone(), Arc::clone(&over), size));
    let begin = Instant::now();
    let mut workers = JoinSet::new();
    for number in 0..plan.connections {
        let random = Rng::with_seed(plan.seed.wrapping_add(number as u64));
        let share = plan.requests.div_ceil(plan.connections as u32);
        workers.spawn(ask(Asker::new(server)?, random, size, share));
    }
    let mut times: BTreeMap<usize, Vec<Duration>> = BTreeMap::new();
    while let Some(done) = workers.join_next().await {
        for (question, took) in done?? {
            times.entry(question).or_default().push(took);
        }
    }
    let took = begin.elapsed();
    over.store(true, Ordering::Relaxed);
    let notes = notes.await??;
    growth.await??;
    ensure!(
        listeners.try_join_next().is_none(),
        "a listener was cut off"
    );
    let answers: usize = times.values().map(Vec::len).sum();
    Ok(Outcome {
        size,
        figures: times
            .into_iter()
            .map(|(question, times)| figure(QUESTIONS[question].0, times))
            .collect(),
        answers_per_s: answers as f64 / took.as_secs_f64(),
        resident_mib: server.process.most_memory_mib()?,
        heard: heard.load(Ordering::Relaxed),
        notes,
    })
}

async fn until_the_map_is_drawn(asker: &Asker) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let map = asker.read("/map").await?;
        if map["edges"]
            .as_array()
            .is_some_and(|edges| !edges.is_empty())
        {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "the map stays empty");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Every question in turn, so that all meet the same circumstances.
async fn ask(
    asker: Asker,
    mut random: Rng,
    size: Size,
    rounds: u32,
) -> Result<Vec<(usize, Duration)>> {
    let mut cursors: HashMap<usize, String> = HashMap::new();
    let mut times = Vec::new();
    for _ in 0..rounds {
        for (number, (_, path)) in QUESTIONS.iter().enumerate() {
            let cursor = cursors.remove(&number);
            // A cursor belongs to the question it came with.
            let (path, cursor) = match cursor {
                Some(cursor) => cursor.split_once(' ').map_or_else(
                    || (String::new(), String::new()),
                    |(path, cursor)| (path.to_owned(), format!("&cursor={cursor}")),
                ),
                None => (filled_in(path, &mut random, size)?, String::new()),
            };
            let begin = Instant::now();
            let answer = asker.read(&path.replace("{cursor}", &cursor)).await?;
            times.push((number, begin.elapsed()));
            if let (true, Some(next)) = (path.contains("{cursor}"), answer["next_cursor"].as_str())
            {
                cursors.insert(number, format!("{path} {next}"));
            }
        }
    }
    Ok(times)
}

fn filled_in(path: &str, random: &mut Rng, size: Size) -> Result<String> {
    let number = random.u32(1..=size.devices);
    let peer = random.u32(0..5_000);
    let day = random.i64(1..29);
    let then = Time::now().plus_s(-86_400 * day);
    let later = then.plus_s(86_400);
    Ok(path
        .replace("{device}", &device::key_text(&view(number)?.key))
        .replace("{number}", &format!("{number:06}"))
        .replace("{peer}", &format!("10.200.{}.{}", peer / 250, peer % 250))
        .replace("{then}", &then.to_string())
        .replace("{later}", &later.to_string()))
}

async fn listen(asker: Asker, heard: Arc<AtomicU64>) -> Result<()> {
    let mut stream = asker.request(Method::GET, "/events").send().await?;
    ensure!(
        stream.status().is_success(),
        "no events: {}",
        stream.status()
    );
    while let Some(piece) = stream.chunk().await? {
        let events = piece.windows(5).filter(|part| part == b"data:").count();
        heard.fetch_add(events as u64, Ordering::Relaxed);
    }
    Ok(())
}

async fn write_notes(asker: Asker, over: Arc<AtomicBool>, size: Size) -> Result<u64> {
    let mut notes = 0;
    while !over.load(Ordering::Relaxed) {
        let number = 1 + u32::try_from(notes)? % size.devices;
        let path = format!("/devices/{}", device::key_text(&view(number)?.key));
        let now = asker.request(Method::GET, &path).send().await?;
        let etag = now.headers().get("etag").cloned().context("no ETag")?;
        let note = json!({ "notes": format!("note {notes}") });
        let request = asker.request(Method::PATCH, &path).header("if-match", etag);
        let answer = request.json(&note).send().await?;
        ensure!(answer.status().is_success(), "a note: {}", answer.status());
        notes += 1;
        tokio::time::sleep(NOTE_EVERY).await;
    }
    Ok(notes)
}

/// Adds to the history what a fast path would tell of.
async fn grow(state: std::path::PathBuf, over: Arc<AtomicBool>, size: Size) -> Result<()> {
    let store = Store::open(&state).await?;
    let keys: Vec<String> = (1..=GROWN)
        .map(|number| view(1 + number % size.devices).map(|view| device::key_text(&view.key)))
        .collect::<Result<_>>()?;
    let mut last: Option<Instant> = None;
    while !over.load(Ordering::Relaxed) {
        if last.is_none_or(|last| last.elapsed() > GROW_EVERY) {
            last = Some(Instant::now());
            let subjects = keys.iter().enumerate().map(|(number, key)| {
                let subject = Subject {
                    device: key.clone(),
                    peer: format!("10.200.{}.{}", number / 250, number % 250),
                    service: Service {
                        by_device: true,
                        protocol: 6,
                        port: 104,
                    },
                    verdict: Verdict {
                        action: "forward",
                        reason: "allowed",
                    },
                };
                let sums = Sums {
                    conversations: 1,
                    ..Sums::default()
                };
                (subject, sums)
            });
            let bucket = flow::bucket(Time::now().seconds());
            flow::add(&store.history, bucket, &subjects.collect(), 0).await?;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    store.close().await;
    Ok(())
}

fn figure(name: &'static str, mut times: Vec<Duration>) -> Figure {
    times.sort_unstable();
    let at = |share: f64| {
        let place = ((times.len() as f64 * share).ceil() as usize).clamp(1, times.len());
        times[place - 1].as_secs_f64() * 1_000.0
    };
    Figure {
        name,
        answers: times.len(),
        p50_ms: at(0.5),
        p99_ms: at(0.99),
        max_ms: at(1.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_counted_from_below() {
        let times = (1..=200).map(Duration::from_millis).collect();
        let figure = figure("x", times);
        assert_eq!(
            (figure.p50_ms, figure.p99_ms, figure.max_ms),
            (100.0, 198.0, 200.0)
        );
    }
}
