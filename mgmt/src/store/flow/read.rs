//! Reading records and edges: pages, newest first.
//!
//! A filter is asked of the edges first. When it leaves few of them, the records of each are read
//! in order and merged; when it leaves more, records are dense enough to go through them by time
//! and see whether the edge of each is on the list, or, when that would be long, to look at the
//! edge. What takes too long all the same is cut off.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use futures::TryStreamExt as _;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection};

use super::{Sums, bucket, initiator};
use crate::store::{Database, StoreError};

/// Edges that are few: their records are merged.
const FEW: i64 = 500;
/// Edges that are not too many to be listed before records are gone through.
const LISTED: i64 = 20_000;
/// Edges whose records are read at a time. SQLite takes 500 parts of a compound statement.
const BATCH: usize = 100;
/// How long a page may take that somebody waits for.
pub const PAGE_PATIENCE: Duration = Duration::from_secs(2);
/// How long a portion of a file may take.
pub const FILE_PATIENCE: Duration = Duration::from_secs(30);
/// Steps of SQLite's machine between two looks at the clock.
const STEPS: i32 = 10_000;

/// Which records.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FlowFilter {
    /// Of this device.
    pub device: Option<String>,
    /// With this peer.
    pub peer: Option<String>,
    /// Begun by the device, or by the peer.
    pub by_device: Option<bool>,
    /// With this IP protocol.
    pub protocol: Option<u8>,
    /// With this service port.
    pub port: Option<u16>,
    /// With this action.
    pub action: Option<String>,
    /// For this reason.
    pub reason: Option<String>,
    /// Not before, in seconds since the epoch.
    pub since_s: Option<i64>,
    /// Before, in seconds since the epoch.
    pub until_s: Option<i64>,
}

/// Where a page of records ended: five minutes, edge.
pub type FlowPlace = [i64; 2];

/// Who talks to whom, over what, and what was decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge {
    /// Its number.
    pub id: i64,
    /// The device.
    pub device: String,
    /// The other end.
    pub peer: String,
    /// Whether the device began.
    pub by_device: bool,
    /// IP protocol number.
    pub protocol: u8,
    /// Service port.
    pub port: u16,
    /// `forward`, `would-drop` or `drop`.
    pub action: String,
    /// Why.
    pub reason: String,
}

/// A record as it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlowRow {
    /// What it is about.
    pub edge: Edge,
    /// Begin of its five minutes, in seconds since the epoch.
    pub bucket_s: i64,
    /// What was carried.
    pub sums: Sums,
}

impl FlowRow {
    /// Where it stands in the list.
    pub fn place(&self) -> FlowPlace {
        [self.bucket_s, self.edge.id]
    }
}

/// An edge with what it carried since it was seen first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EdgeRow {
    /// What it is about.
    pub edge: Edge,
    /// What was carried; frames are not kept of edges.
    pub sums: Sums,
    /// First and last five minutes, in seconds since the epoch.
    pub span_s: [i64; 2],
}

const EDGE: &str = "e.id, d.key, p.address, s.initiator, s.protocol, s.port, v.action, v.reason";
const NAMES: &str = " JOIN device d ON d.id = e.device JOIN peer p ON p.id = e.peer \
                     JOIN service s ON s.id = e.service JOIN verdict v ON v.id = e.verdict";

/// At most `limit` records behind a place, newest first.
///
/// # Errors
/// When the database fails, or it takes too long.
#[tracing::instrument(name = "store list flow", skip_all)]
pub async fn history(
    db: &Database,
    filter: &FlowFilter,
    after: Option<&FlowPlace>,
    limit: u32,
    patience: Duration,
) -> Result<Vec<FlowRow>, StoreError> {
    hurry(db, patience, async |db| {
        let window = Window::of(filter, after, limit);
        if filter.is_about_edges() {
            let few = few_edges(&mut *db, filter).await?;
            if let Some(edges) = few {
                return merge(db, edges, &window).await;
            }
        }
        let listed = filter.is_about_edges() && are_listed(&mut *db, filter).await?;
        scan(db, filter, &window, listed).await
    })
    .await
}

/// At most `limit` edges of the map behind one.
///
/// # Errors
/// When the database fails, or it takes too long.
#[tracing::instrument(name = "store list edge", skip_all)]
pub async fn edges(
    db: &Database,
    filter: &FlowFilter,
    after: Option<i64>,
    limit: u32,
) -> Result<Vec<EdgeRow>, StoreError> {
    hurry(db, PAGE_PATIENCE, async |db| {
        let few = match filter.is_about_edges() {
            true => few_edges(&mut *db, filter).await?,
            false => None,
        };
        let mut query = QueryBuilder::<Sqlite>::new("SELECT ");
        // In the order of the table there is nothing to sort, and enough to be found.
        query.push(EDGE).push(
            ", e.conversations, 0 AS frames_sent, e.bytes_sent, 0 AS frames_got, e.bytes_got, \
             e.first_s, e.last_s FROM edge e NOT INDEXED",
        );
        query.push(NAMES).push(" WHERE ");
        match few {
            Some(edges) => {
                let mut numbers: Vec<i64> = edges.into_iter().map(|(id, _)| id).collect();
                numbers.retain(|id| after.is_none_or(|after| *id > after));
                numbers.sort_unstable();
                numbers.truncate(limit as usize);
                numbered(&mut query, &numbers);
            }
            None => {
                query.push("1");
                restrict(&mut query, filter);
                if let Some(since) = filter.since_s {
                    query.push(" AND e.last_s >= ").push_bind(bucket(since));
                }
                if let Some(until) = filter.until_s {
                    query.push(" AND e.first_s < ").push_bind(until);
                }
                query
                    .push(" AND e.id > ")
                    .push_bind(after.unwrap_or(i64::MIN));
            }
        }
        query
            .push(" ORDER BY e.id LIMIT ")
            .push_bind(i64::from(limit));
        let rows = query.build().fetch_all(db).await?;
        Ok(rows.iter().map(edge_row).collect::<Result<_, _>>()?)
    })
    .await
}

/// That an edge is one of these.
fn numbered(query: &mut QueryBuilder<Sqlite>, numbers: &[i64]) {
    query.push("e.id IN (");
    let mut list = query.separated(", ");
    for number in numbers {
        list.push_bind(*number);
    }
    query.push(")");
}

/// What the map by role is made of: numbers only, since there are many.
#[derive(Debug, Clone, Copy)]
pub struct Carried {
    /// The device.
    pub device: i64,
    /// The other end.
    pub peer: i64,
    /// Who began, over what.
    pub service: i64,
    /// What was decided.
    pub verdict: i64,
    /// Conversations.
    pub conversations: i64,
    /// Bytes both ways.
    pub bytes: i64,
}

/// Shows every edge to somebody, one after the other.
///
/// # Errors
/// When the database fails.
pub async fn every_edge(db: &Database, mut to: impl FnMut(Carried)) -> Result<(), StoreError> {
    let mut edges = sqlx::query_as::<_, (i64, i64, i64, i64, i64, i64)>(
        "SELECT device, peer, service, verdict, conversations, bytes_sent + bytes_got FROM edge",
    )
    .fetch(db.read());
    while let Some(edge) = edges.try_next().await? {
        let (device, peer, service, verdict, conversations, bytes) = edge;
        to(Carried {
            device,
            peer,
            service,
            verdict,
            conversations,
            bytes,
        });
    }
    Ok(())
}

/// The devices that edges are about, by number.
///
/// # Errors
/// When the database fails.
pub async fn devices(db: &Database) -> Result<Vec<(i64, String)>, StoreError> {
    let devices = sqlx::query_as("SELECT id, key FROM device");
    Ok(devices.fetch_all(db.read()).await?)
}

/// Addresses of the other ends, by number.
///
/// # Errors
/// When the database fails.
pub async fn peers(db: &Database) -> Result<Vec<(i64, String)>, StoreError> {
    let peers = sqlx::query_as("SELECT id, address FROM peer");
    Ok(peers.fetch_all(db.read()).await?)
}

/// Protocol and port of the services, by number.
///
/// # Errors
/// When the database fails.
pub async fn services(db: &Database) -> Result<HashMap<i64, (u8, u16)>, StoreError> {
    let services = sqlx::query_as("SELECT id, protocol, port FROM service");
    let services: Vec<(i64, u8, u16)> = services.fetch_all(db.read()).await?;
    let services = services.into_iter();
    Ok(services
        .map(|(id, protocol, port)| (id, (protocol, port)))
        .collect())
}

/// Actions of the verdicts, by number.
///
/// # Errors
/// When the database fails.
pub async fn verdicts(db: &Database) -> Result<HashMap<i64, String>, StoreError> {
    let verdicts: Vec<(i64, String)> = sqlx::query_as("SELECT id, action FROM verdict")
        .fetch_all(db.read())
        .await?;
    Ok(verdicts.into_iter().collect())
}

/// Lends a connection whose statements are cut off when they take too long.
async fn hurry<T>(
    db: &Database,
    patience: Duration,
    work: impl AsyncFnOnce(&mut SqliteConnection) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let mut connection = db.read().acquire().await?;
    let end = Instant::now() + patience;
    let go_on = move || Instant::now() < end;
    connection
        .lock_handle()
        .await?
        .set_progress_handler(STEPS, go_on);
    let done = work(&mut connection).await;
    connection.lock_handle().await?.remove_progress_handler();
    done
}

/// Which records of an edge are wanted: of what time, and how many.
struct Window {
    from_s: i64,
    until: FlowPlace,
    limit: usize,
}

impl Window {
    fn of(filter: &FlowFilter, after: Option<&FlowPlace>, limit: u32) -> Self {
        let end = [filter.until_s.unwrap_or(i64::MAX), i64::MIN];
        Self {
            from_s: filter.since_s.map_or(i64::MIN, bucket),
            until: after.map_or(end, |after| end.min(*after)),
            limit: limit as usize,
        }
    }
}

impl FlowFilter {
    /// The index that leaves the fewest edges. SQLite knows how many a verdict has on average, and
    /// would rather go through the table than look for a rare one.
    fn index(&self) -> &'static str {
        let service = self.by_device.is_some() || self.protocol.is_some() || self.port.is_some();
        match self {
            Self {
                device: Some(_), ..
            } => "INDEXED BY sqlite_autoindex_edge_1",
            Self { peer: Some(_), .. } => "INDEXED BY edge_by_peer",
            _ if service => "INDEXED BY edge_by_service",
            _ => "INDEXED BY edge_by_verdict",
        }
    }

    /// Whether it asks for anything but a time.
    fn is_about_edges(&self) -> bool {
        let Self {
            device,
            peer,
            by_device,
            protocol,
            port,
            action,
            reason,
            since_s: _,
            until_s: _,
        } = self;
        device.is_some()
            || peer.is_some()
            || by_device.is_some()
            || protocol.is_some()
            || port.is_some()
            || action.is_some()
            || reason.is_some()
    }
}

/// Number and last five minutes of the edges that fit, those seen last first; nothing when they
/// are many.
async fn few_edges(
    db: &mut SqliteConnection,
    filter: &FlowFilter,
) -> Result<Option<Vec<(i64, i64)>>, StoreError> {
    let mut query = QueryBuilder::<Sqlite>::new("SELECT e.id, e.last_s FROM edge e ");
    query.push(filter.index()).push(" WHERE 1");
    restrict(&mut query, filter);
    if let Some(since) = filter.since_s {
        query.push(" AND e.last_s >= ").push_bind(bucket(since));
    }
    if let Some(until) = filter.until_s {
        query.push(" AND e.first_s < ").push_bind(until);
    }
    query.push(" LIMIT ").push_bind(FEW + 1);
    let mut edges: Vec<(i64, i64)> = query.build_query_as().fetch_all(db).await?;
    if edges.len() as i64 > FEW {
        return Ok(None);
    }
    edges.sort_by_key(|(id, last_s)| std::cmp::Reverse((*last_s, *id)));
    Ok(Some(edges))
}

/// Whether the edges that fit are not too many to be listed.
async fn are_listed(db: &mut SqliteConnection, filter: &FlowFilter) -> Result<bool, StoreError> {
    let mut query = QueryBuilder::<Sqlite>::new("SELECT count(*) FROM (SELECT 1 FROM edge e ");
    query.push(filter.index()).push(" WHERE 1");
    restrict(&mut query, filter);
    query.push(" LIMIT ").push_bind(LISTED + 1).push(")");
    let (count,): (i64,) = query.build_query_as().fetch_one(db).await?;
    Ok(count <= LISTED)
}

/// The newest records of these edges. Those that were last seen before everything that is already
/// on the page need not be read.
async fn merge(
    db: &mut SqliteConnection,
    edges: Vec<(i64, i64)>,
    window: &Window,
) -> Result<Vec<FlowRow>, StoreError> {
    let mut newest: BTreeMap<FlowPlace, Sums> = BTreeMap::new();
    for batch in edges.chunks(BATCH) {
        let full = newest.len() >= window.limit;
        let least = newest.keys().next().copied().filter(|_| full);
        if let (Some([oldest_s, _]), Some((_, last_s))) = (least, batch.first())
            && *last_s < oldest_s
        {
            break;
        }
        let from_s = least.map_or(window.from_s, |[oldest_s, _]| oldest_s);
        for (place, sums) in newest_of(&mut *db, batch, from_s, window).await? {
            newest.insert(place, sums);
            if newest.len() > window.limit {
                newest.pop_first();
            }
        }
    }
    let mut names = BTreeMap::new();
    let mut numbers: Vec<i64> = newest.keys().map(|[_, edge]| *edge).collect();
    numbers.sort_unstable();
    numbers.dedup();
    for batch in numbers.chunks(BATCH) {
        let mut query = QueryBuilder::<Sqlite>::new("SELECT ");
        query.push(EDGE).push(" FROM edge e").push(NAMES);
        query.push(" WHERE ");
        numbered(&mut query, batch);
        for row in query.build().fetch_all(&mut *db).await? {
            let edge = edge(&row)?;
            names.insert(edge.id, edge);
        }
    }
    let rows = newest
        .into_iter()
        .rev()
        .filter_map(|([bucket_s, id], sums)| {
            // An edge may have gone between the two statements.
            let edge = names.get(&id)?.clone();
            Some(FlowRow {
                edge,
                bucket_s,
                sums,
            })
        });
    Ok(rows.collect())
}

async fn newest_of(
    db: &mut SqliteConnection,
    edges: &[(i64, i64)],
    from_s: i64,
    window: &Window,
) -> Result<Vec<(FlowPlace, Sums)>, StoreError> {
    let mut query = QueryBuilder::<Sqlite>::new("SELECT * FROM (");
    let [until_s, below] = window.until;
    for (number, (edge, _)) in edges.iter().enumerate() {
        // Within the five minutes at which the page before ended, edges with a lower number are left.
        let until_s = until_s.saturating_add(i64::from(*edge < below));
        query.push(if number > 0 { " UNION ALL " } else { "" });
        query.push("SELECT * FROM (SELECT edge, ").push(COUNTS);
        query.push(" FROM flow f WHERE edge = ").push(*edge);
        query.push(" AND bucket_s >= ").push(from_s);
        query.push(" AND bucket_s < ").push(until_s);
        query
            .push(" ORDER BY bucket_s DESC LIMIT ")
            .push(window.limit);
        query.push(")");
    }
    query.push(") ORDER BY bucket_s DESC, edge DESC LIMIT ");
    query.push(window.limit);
    // The numbers are ours; the text is another one each time.
    let rows = query.build().persistent(false).fetch_all(db).await?;
    let read = |row: &SqliteRow| -> Result<(FlowPlace, Sums), sqlx::Error> {
        let place = [row.try_get("bucket_s")?, row.try_get("edge")?];
        Ok((place, sums(row)?))
    };
    Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
}

const COUNTS: &str =
    "f.bucket_s, f.conversations, f.frames_sent, f.bytes_sent, f.frames_got, f.bytes_got";

/// Records by time, newest first, those whose edge fits.
async fn scan(
    db: &mut SqliteConnection,
    filter: &FlowFilter,
    window: &Window,
    listed: bool,
) -> Result<Vec<FlowRow>, StoreError> {
    let mut query = QueryBuilder::<Sqlite>::new("SELECT ");
    // A cross join is carried out in the order it is written in. What is left out is looked up in
    // the index by time and among the edges only.
    query.push(EDGE).push(", ").push(COUNTS);
    query.push(" FROM (SELECT f.bucket_s, f.edge FROM flow f INDEXED BY flow_by_time");
    if !listed {
        query.push(" CROSS JOIN edge e ON e.id = f.edge");
    }
    query.push(" WHERE f.bucket_s >= ");
    query.push_bind(window.from_s);
    query.push(" AND (f.bucket_s, f.edge) < (");
    query.push_bind(window.until[0]).push(", ");
    query.push_bind(window.until[1]).push(")");
    if listed {
        // The sign keeps SQLite from looking for each edge in each five minutes.
        query.push(" AND +f.edge IN (SELECT e.id FROM edge e ");
        query.push(filter.index()).push(" WHERE 1");
        restrict(&mut query, filter);
        query.push(")");
    } else {
        restrict(&mut query, filter);
    }
    query.push(" ORDER BY f.bucket_s DESC, f.edge DESC LIMIT ");
    query.push_bind(window.limit as i64);
    query.push(
        ") found CROSS JOIN flow f ON f.edge = found.edge AND f.bucket_s = found.bucket_s \
         CROSS JOIN edge e ON e.id = f.edge",
    );
    query.push(NAMES.replace(" JOIN", " CROSS JOIN"));
    query.push(" ORDER BY f.bucket_s DESC, f.edge DESC");
    let rows = query.build().fetch_all(db).await?;
    let read = |row: &SqliteRow| -> Result<FlowRow, sqlx::Error> {
        Ok(FlowRow {
            edge: edge(row)?,
            bucket_s: row.try_get("bucket_s")?,
            sums: sums(row)?,
        })
    };
    Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
}

/// Conditions on edges. Names become numbers first, so that an index by number is used.
fn restrict(query: &mut QueryBuilder<Sqlite>, filter: &FlowFilter) {
    if let Some(device) = &filter.device {
        query.push(" AND e.device = (SELECT id FROM device WHERE key = ");
        query.push_bind(device.clone()).push(")");
    }
    if let Some(peer) = &filter.peer {
        query.push(" AND e.peer = (SELECT id FROM peer WHERE address = ");
        query.push_bind(peer.clone()).push(")");
    }
    if filter.by_device.is_some() || filter.protocol.is_some() || filter.port.is_some() {
        query.push(" AND e.service IN (SELECT id FROM service WHERE 1");
        if let Some(by_device) = filter.by_device {
            query
                .push(" AND initiator = ")
                .push_bind(initiator(by_device));
        }
        if let Some(protocol) = filter.protocol {
            query
                .push(" AND protocol = ")
                .push_bind(i64::from(protocol));
        }
        if let Some(port) = filter.port {
            query.push(" AND port = ").push_bind(i64::from(port));
        }
        query.push(")");
    }
    if filter.action.is_some() || filter.reason.is_some() {
        query.push(" AND e.verdict IN (SELECT id FROM verdict WHERE 1");
        for (column, value) in [("action", &filter.action), ("reason", &filter.reason)] {
            if let Some(value) = value {
                query
                    .push(" AND ")
                    .push(column)
                    .push(" = ")
                    .push_bind(value.clone());
            }
        }
        query.push(")");
    }
}

fn edge(row: &SqliteRow) -> Result<Edge, sqlx::Error> {
    Ok(Edge {
        id: row.try_get("id")?,
        device: row.try_get("key")?,
        peer: row.try_get("address")?,
        by_device: row.try_get::<&str, _>("initiator")? == "device",
        protocol: row.try_get("protocol")?,
        port: row.try_get("port")?,
        action: row.try_get("action")?,
        reason: row.try_get("reason")?,
    })
}

fn edge_row(row: &SqliteRow) -> Result<EdgeRow, sqlx::Error> {
    Ok(EdgeRow {
        edge: edge(row)?,
        sums: sums(row)?,
        span_s: [row.try_get("first_s")?, row.try_get("last_s")?],
    })
}

fn sums(row: &SqliteRow) -> Result<Sums, sqlx::Error> {
    let count = |column: &str| {
        row.try_get::<i64, _>(column)
            .map(|n| u64::try_from(n).unwrap_or(0))
    };
    Ok(Sums {
        conversations: count("conversations")?,
        frames_sent: count("frames_sent")?,
        bytes_sent: count("bytes_sent")?,
        frames_got: count("frames_got")?,
        bytes_got: count("bytes_got")?,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::super::{BUCKET_S, Service, Subject, Verdict, add};
    use super::*;
    use crate::store::Store;

    const DEVICES: [&str; 3] = [
        "00-09-fb-00-00-01",
        "00-09-fb-00-00-02",
        "00-09-fb-00-00-03.7",
    ];
    const PEERS: [&str; 3] = ["10.0.0.1", "10.0.0.2", ""];
    const VERDICTS: [(&str, &str); 3] = [
        ("forward", "allowed"),
        ("drop", "no-rule"),
        ("drop", "revoked"),
    ];

    fn any<T: Copy>(random: &mut fastrand::Rng, of: &[T]) -> Option<T> {
        random.bool().then(|| of[random.usize(..of.len())])
    }

    fn any_filter(random: &mut fastrand::Rng) -> FlowFilter {
        FlowFilter {
            device: any(random, &DEVICES).map(str::to_owned),
            peer: any(random, &PEERS).map(str::to_owned),
            by_device: any(random, &[true, false]),
            protocol: any(random, &[6, 17]),
            port: any(random, &[104, 2_575]),
            action: any(random, &["forward", "drop"]).map(str::to_owned),
            reason: any(random, &["no-rule", "revoked"]).map(str::to_owned),
            since_s: any(random, &[0, 3, 7]).map(|number| number * BUCKET_S),
            until_s: any(random, &[5, 9, 12]).map(|number| number * BUCKET_S),
        }
    }

    fn fits(row: &FlowRow, filter: &FlowFilter) -> bool {
        let edge = &row.edge;
        let is = |wish: &Option<String>, text: &str| wish.as_deref().is_none_or(|w| w == text);
        is(&filter.device, &edge.device)
            && is(&filter.peer, &edge.peer)
            && is(&filter.action, &edge.action)
            && is(&filter.reason, &edge.reason)
            && filter.by_device.is_none_or(|wish| wish == edge.by_device)
            && filter.protocol.is_none_or(|wish| wish == edge.protocol)
            && filter.port.is_none_or(|wish| wish == edge.port)
            && filter
                .since_s
                .is_none_or(|since| row.bucket_s >= bucket(since))
            && filter.until_s.is_none_or(|until| row.bucket_s < until)
    }

    /// Every page of a question, put together.
    async fn pages(db: &Database, filter: &FlowFilter, limit: u32) -> Vec<FlowRow> {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let page = history(db, filter, after.as_ref(), limit, PAGE_PATIENCE)
                .await
                .expect("a page");
            let Some(last) = page.last() else { return all };
            after = Some(last.place());
            all.extend(page);
        }
    }

    /// Whoever goes away leaves no deadline behind for the next.
    #[tokio::test]
    async fn a_deadline_goes_with_whoever_had_it() {
        let dir = tempfile::tempdir().expect("a folder");
        let store = Store::open(dir.path()).await.expect("a store");
        let db = &store.history;
        {
            let mut connection = db.read().acquire().await.expect("a connection");
            let mut handle = connection.lock_handle().await.expect("the handle");
            handle.set_progress_handler(1, || false);
        }
        // As many as there are connections, so that the one from before is among them.
        let mut all = Vec::new();
        for _ in 0..4 {
            let mut connection = db.read().acquire().await.expect("a connection");
            let counted = sqlx::query("SELECT count(*) FROM sqlite_schema");
            counted
                .fetch_one(&mut *connection)
                .await
                .expect("not cut off");
            all.push(connection);
        }
        drop(all);
        store.close().await;
    }

    /// And whoever takes too long is told so, and nobody after.
    #[tokio::test]
    async fn what_takes_too_long_is_cut_off() {
        let dir = tempfile::tempdir().expect("a folder");
        let store = Store::open(dir.path()).await.expect("a store");
        let db = &store.history;
        let observed = (0..2_000).map(|port| {
            let subject = Subject {
                device: DEVICES[0].to_owned(),
                peer: PEERS[0].to_owned(),
                service: Service {
                    by_device: true,
                    protocol: 6,
                    port,
                },
                verdict: Verdict {
                    action: "drop",
                    reason: "no-rule",
                },
            };
            (subject, Sums::default())
        });
        add(db, 0, &observed.collect(), 0).await.expect("added");
        let dropped = FlowFilter {
            action: Some("drop".to_owned()),
            ..FlowFilter::default()
        };
        let read = async |patience| history(db, &dropped, None, 1_000, patience).await;
        assert!(matches!(
            read(Duration::ZERO).await,
            Err(StoreError::TooLong)
        ));
        let page = read(PAGE_PATIENCE).await.expect("a page");
        assert_eq!(page.len(), 1_000);
        store.close().await;
    }

    /// Whether the edges are merged or all is gone through, a page holds what a look at each
    /// record would put there, in that order.
    #[tokio::test]
    async fn both_ways_find_what_a_look_at_each_record_finds() {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let mut random = fastrand::Rng::with_seed(seed);
        let dir = tempfile::tempdir().expect("a folder");
        let store = Store::open(dir.path()).await.expect("a store");
        let db = &store.history;
        for number in 0..12 {
            let subjects = (0..random.usize(1..30)).map(|_| {
                let (action, reason) = VERDICTS[random.usize(..3)];
                let subject = Subject {
                    device: DEVICES[random.usize(..3)].to_owned(),
                    peer: PEERS[random.usize(..3)].to_owned(),
                    service: Service {
                        by_device: random.bool(),
                        protocol: if random.bool() { 6 } else { 17 },
                        port: if random.bool() { 104 } else { 2_575 },
                    },
                    verdict: Verdict { action, reason },
                };
                let sums = Sums {
                    conversations: random.u64(1..9),
                    ..Sums::default()
                };
                (subject, sums)
            });
            let subjects: HashMap<_, _> = subjects.collect();
            add(db, number * BUCKET_S, &subjects, 0)
                .await
                .expect("added");
        }
        let everything = pages(db, &FlowFilter::default(), 1_000).await;
        assert!(
            everything
                .windows(2)
                .all(|two| two[0].place() > two[1].place())
        );
        for _ in 0..200 {
            let filter = any_filter(&mut random);
            let limit = random.u32(1..20);
            let fitting = everything.iter().filter(|row| fits(row, &filter));
            let expected: Vec<_> = fitting.cloned().collect();
            assert_eq!(
                pages(db, &filter, limit).await,
                expected,
                "seed {seed}: {filter:?}"
            );
            // The same by the ways that are taken when many edges fit.
            let window = Window::of(&filter, None, 1_000);
            let mut connection = db.read().acquire().await.expect("a connection");
            for listed in [false, filter.is_about_edges()] {
                let scanned = scan(&mut connection, &filter, &window, listed).await;
                let scanned = scanned.expect("scanned");
                assert_eq!(scanned, expected, "seed {seed}: {filter:?}");
            }
        }
        store.close().await;
    }
}
