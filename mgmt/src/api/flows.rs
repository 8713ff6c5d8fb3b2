//! Who talked to whom, over what, and what was decided.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use wardline_control::{FlowView, bounds};
use wardline_policy::Reason;

use super::page::{self, Page, PageQuery};
use super::problem::Problem;
use super::request::{Queries, Query};
use crate::Shared;
use crate::store::device;
use crate::store::flow::{self, EdgeRow, FlowFilter, FlowPlace, FlowRow};
use crate::time::Time;

pub(super) fn operations() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(list_flows))
        .routes(routes!(list_live_flows))
        .routes(routes!(list_edges))
        .routes(routes!(read_role_map))
}

/// Conversations of a device with a peer, over a service, of five minutes.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Flow {
    /// Begin of the five minutes.
    pub begin: Time,
    /// The device, as in `/devices/{key}`.
    pub device: String,
    /// Address of the other end; empty where the frames carry none.
    pub peer: String,
    /// Who began.
    pub initiator: By,
    /// IP protocol number; 0 if not IP.
    pub protocol: u8,
    /// Port of whoever did not begin; `type << 8 | code` of ICMP; EtherType if not IP.
    pub port: u16,
    /// What was done.
    pub action: Action,
    /// Why.
    pub reason: String,
    /// Conversations begun, or refused.
    pub conversations: u64,
    /// Frames from the device.
    pub frames_sent: u64,
    /// Bytes from the device.
    pub bytes_sent: u64,
    /// Frames to the device.
    pub frames_got: u64,
    /// Bytes to the device.
    pub bytes_got: u64,
}

/// A line of the map: a device and a peer, over a service, since it was seen first.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Edge {
    /// The device, as in `/devices/{key}`.
    pub device: String,
    /// Address of the other end.
    pub peer: String,
    /// Who began.
    pub initiator: By,
    /// IP protocol number; 0 if not IP.
    pub protocol: u8,
    /// Port of whoever did not begin.
    pub port: u16,
    /// What was done.
    pub action: Action,
    /// Why.
    pub reason: String,
    /// Conversations begun, or refused.
    pub conversations: u64,
    /// Bytes from the device.
    pub bytes_sent: u64,
    /// Bytes to the device.
    pub bytes_got: u64,
    /// Begin of the first five minutes.
    pub first: Time,
    /// Begin of the last five minutes.
    pub last: Time,
}

/// A line of the map by role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct RoleEdge {
    /// Role of the devices; `unknown` for those without one.
    pub role: String,
    /// Class of the peers.
    pub peers: PeerClass,
    /// IP protocol number.
    pub protocol: u8,
    /// Port of whoever did not begin.
    pub port: u16,
    /// What was done.
    pub action: Action,
    /// Devices.
    pub devices: u64,
    /// Lines of the map by device.
    pub edges: u64,
    /// Conversations.
    pub conversations: u64,
    /// Bytes both ways.
    pub bytes: u64,
}

/// The map by role.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub struct RoleMap {
    /// When it was made; it is made anew every minute.
    pub made: Time,
    /// Its lines, most conversations first; at most 1,000.
    pub edges: Vec<RoleEdge>,
}

/// Who began a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum By {
    /// The device.
    Device,
    /// Its peer.
    Peer,
}

/// What was done with frames.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// They were let through.
    Forward,
    /// They were let through because the device does not enforce.
    WouldDrop,
    /// They were dropped.
    Drop,
}

/// Classes of peers.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum PeerClass {
    /// A private or link-local address.
    Inside,
    /// Any other unicast address.
    Outside,
    /// A broadcast or multicast address.
    Group,
    /// No address.
    None,
}

/// Which records, or which lines of the map that have such records.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct FlowQuery {
    /// Of this device
    pub device: Option<String>,
    /// With this address
    pub peer: Option<String>,
    /// Begun by
    #[param(inline)]
    pub initiator: Option<By>,
    /// With this IP protocol number
    pub protocol: Option<u8>,
    /// With this service port
    pub port: Option<u16>,
    /// With this action
    #[param(inline)]
    pub action: Option<Action>,
    /// For this reason, such as `no-rule`
    pub reason: Option<String>,
    /// Not before
    #[param(value_type = Option<String>, format = DateTime)]
    pub since: Option<Time>,
    /// Before
    #[param(value_type = Option<String>, format = DateTime)]
    pub until: Option<Time>,
}

impl FlowQuery {
    /// What it asks of the history.
    ///
    /// # Errors
    /// When a text in it is not what it should be.
    pub(super) fn filter(self) -> Result<FlowFilter, Problem> {
        Ok(FlowFilter {
            device: known_device(self.device)?,
            peer: known_peer("peer", self.peer)?,
            by_device: self.initiator.map(|by| by == By::Device),
            protocol: self.protocol,
            port: self.port,
            action: self.action.map(|action| device::word(&action)),
            reason: self.reason,
            since_s: self.since.map(Time::seconds),
            until_s: self.until.map(Time::seconds),
        })
    }
}

/// Which lines of the map by role.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RoleQuery {
    /// Of devices with this role; `unknown` for those without one
    pub role: Option<String>,
    /// With peers of this class
    #[param(inline)]
    pub peers: Option<PeerClass>,
    /// With this IP protocol number
    pub protocol: Option<u8>,
    /// With this service port
    pub port: Option<u16>,
    /// With this action
    #[param(inline)]
    pub action: Option<Action>,
}

impl RoleQuery {
    fn fits(&self, edge: &RoleEdge) -> bool {
        let Self {
            role,
            peers,
            protocol,
            port,
            action,
        } = self;
        role.as_ref().is_none_or(|role| *role == edge.role)
            && peers.is_none_or(|peers| peers == edge.peers)
            && protocol.is_none_or(|protocol| protocol == edge.protocol)
            && port.is_none_or(|port| port == edge.port)
            && action.is_none_or(|action| action == edge.action)
    }
}

/// Which conversations in progress.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct LiveQuery {
    /// Of the devices with the MAC address of this one
    pub device: Option<String>,
    /// With this address at either end
    pub address: Option<String>,
    /// With this port at either end
    pub port: Option<u16>,
    /// With this IP protocol number
    pub protocol: Option<u8>,
    /// Forwarded for this reason, such as `allowed`
    pub reason: Option<String>,
    /// Entries of a page; a page may be empty and yet have a next one
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<u32>,
    /// `next_cursor` of the page before, with the same parameters
    pub cursor: Option<String>,
}

/// The flow history, newest first
#[utoipa::path(get, path = "/flows", tag = "flows", params(FlowQuery, PageQuery),
    responses((status = 200, description = "A page of records", body = Page<Flow>)))]
async fn list_flows(
    State(app): State<Shared>,
    Queries(query, pages): Queries<FlowQuery, PageQuery>,
) -> Result<Json<Page<Flow>>, Problem> {
    let limit = page::limit(pages.limit)?;
    let after: Option<FlowPlace> = page::decode(pages.cursor.as_deref())?;
    let filter = query.filter()?;
    let (history, patience) = (&app.store.history, flow::PAGE_PATIENCE);
    let rows = flow::history(history, &filter, after.as_ref(), limit + 1, patience).await?;
    Ok(Json(Page::new(rows, limit, FlowRow::place).map(record)))
}

/// Conversations in progress, as the fast path has them
#[utoipa::path(get, path = "/flows/live", tag = "flows", params(LiveQuery),
    responses((status = 200, description = "A page of conversations",
        body = Page<serde_json::Value>)))]
async fn list_live_flows(
    State(app): State<Shared>,
    Query(query): Query<LiveQuery>,
) -> Result<Json<Page<FlowView>>, Problem> {
    let limit = page::limit(query.limit)?;
    let cursor: Option<u64> = page::decode(query.cursor.as_deref())?;
    let key = known_device(query.device)?.and_then(|text| device::parse_key(&text));
    let address = known_peer("address", query.address)?;
    let filter = wardline_control::FlowFilter {
        mac: key.map(|key| key.mac),
        address: address.and_then(|text| text.parse().ok()),
        port: query.port,
        protocol: query.protocol,
        reason: known_reason(query.reason)?,
    };
    let client = app.fastpath.client()?;
    let limit = limit.min(bounds::PAGE);
    let found = client.flows(filter, cursor.unwrap_or(0), limit).await?;
    Ok(Json(Page {
        items: found.flows,
        next_cursor: found.next.as_ref().map(page::encode),
    }))
}

/// The map of transaction flows, by device
#[utoipa::path(get, path = "/map/edges", tag = "map", params(FlowQuery, PageQuery),
    responses((status = 200, description = "A page of the map", body = Page<Edge>)))]
async fn list_edges(
    State(app): State<Shared>,
    Queries(query, pages): Queries<FlowQuery, PageQuery>,
) -> Result<Json<Page<Edge>>, Problem> {
    let limit = page::limit(pages.limit)?;
    let after: Option<i64> = page::decode(pages.cursor.as_deref())?;
    let filter = query.filter()?;
    let rows = flow::edges(&app.store.history, &filter, after, limit + 1).await?;
    Ok(Json(Page::new(rows, limit, |row| row.edge.id).map(edge)))
}

/// The map of transaction flows, by role of the devices
#[utoipa::path(get, path = "/map", tag = "map", params(RoleQuery),
    responses((status = 200, description = "The map", body = RoleMap)))]
async fn read_role_map(
    State(app): State<Shared>,
    Query(query): Query<RoleQuery>,
) -> Result<Json<RoleMap>, Problem> {
    let map = app.role_map.borrow().clone();
    let edges = map.edges.iter().filter(|edge| query.fits(edge));
    Ok(Json(RoleMap {
        made: map.made,
        edges: edges.take(ROLE_EDGES).cloned().collect(),
    }))
}

fn known_device(text: Option<String>) -> Result<Option<String>, Problem> {
    match text {
        Some(text) if device::parse_key(&text).is_none() => Err(Problem::query(
            "device",
            "a key such as 00-09-fb-12-34-56 or 00-09-fb-12-34-56.10",
        )),
        text => Ok(text),
    }
}

fn known_peer(field: &str, text: Option<String>) -> Result<Option<String>, Problem> {
    let Some(text) = text else { return Ok(None) };
    match text.parse::<IpAddr>() {
        Ok(address) => Ok(Some(address.to_canonical().to_string())),
        Err(_) => Err(Problem::query(field, "an IPv4 or IPv6 address")),
    }
}

fn known_reason(text: Option<String>) -> Result<Option<Reason>, Problem> {
    let Some(text) = text else { return Ok(None) };
    let reason = serde_json::from_value(text.into());
    reason
        .map(Some)
        .map_err(|_| Problem::query("reason", "a reason of the fast path, such as `allowed`"))
}

fn by(by_device: bool) -> By {
    if by_device { By::Device } else { By::Peer }
}

fn action(name: &str) -> Action {
    match name {
        "drop" => Action::Drop,
        "would-drop" => Action::WouldDrop,
        _ => Action::Forward,
    }
}

fn time(seconds: i64) -> Time {
    Time::from_us(0).plus_s(seconds)
}

pub(super) fn record(row: FlowRow) -> Flow {
    let (edge, sums) = (row.edge, row.sums);
    Flow {
        begin: time(row.bucket_s),
        device: edge.device,
        peer: edge.peer,
        initiator: by(edge.by_device),
        protocol: edge.protocol,
        port: edge.port,
        action: action(&edge.action),
        reason: edge.reason,
        conversations: sums.conversations,
        frames_sent: sums.frames_sent,
        bytes_sent: sums.bytes_sent,
        frames_got: sums.frames_got,
        bytes_got: sums.bytes_got,
    }
}

fn edge(row: EdgeRow) -> Edge {
    let (edge, sums) = (row.edge, row.sums);
    Edge {
        device: edge.device,
        peer: edge.peer,
        initiator: by(edge.by_device),
        protocol: edge.protocol,
        port: edge.port,
        action: action(&edge.action),
        reason: edge.reason,
        conversations: sums.conversations,
        bytes_sent: sums.bytes_sent,
        bytes_got: sums.bytes_got,
        first: time(row.span_s[0]),
        last: time(row.span_s[1]),
    }
}

/// The role of devices without one.
const UNKNOWN: &str = "unknown";
/// Lines of the map by role that are answered, at most.
const ROLE_EDGES: usize = 1_000;
/// Lines of it that are kept to be asked for, at most.
const ROLE_EDGES_KEPT: usize = 10_000;

/// Makes the map by role; reads all edges.
///
/// # Errors
/// When the database fails.
pub async fn make_role_map(app: &Shared) -> Result<RoleMap, crate::store::StoreError> {
    #[derive(Default)]
    struct Sum {
        devices: HashSet<i64>,
        edges: u64,
        conversations: u64,
        bytes: u64,
    }
    let history = &app.store.history;
    let roles = device::roles(&app.store.main).await?;
    let roles: HashMap<i64, &str> = flow::devices(history)
        .await?
        .into_iter()
        .map(|(id, key)| (id, roles.get(&key).map_or(UNKNOWN, String::as_str)))
        .collect();
    let peers = flow::peers(history).await?.into_iter();
    let peers: HashMap<i64, PeerClass> = peers.map(|(id, address)| (id, class(&address))).collect();
    let mut sums: HashMap<(&str, PeerClass, i64, i64), Sum> = HashMap::new();
    flow::every_edge(history, |edge| {
        let role = roles.get(&edge.device).copied().unwrap_or(UNKNOWN);
        let peers = peers.get(&edge.peer).copied().unwrap_or(PeerClass::None);
        let sum = sums.entry((role, peers, edge.service, edge.verdict));
        let sum = sum.or_default();
        sum.devices.insert(edge.device);
        sum.edges += 1;
        sum.conversations += u64::try_from(edge.conversations).unwrap_or(0);
        sum.bytes += u64::try_from(edge.bytes).unwrap_or(0);
    })
    .await?;
    let (services, verdicts) = (
        flow::services(history).await?,
        flow::verdicts(history).await?,
    );
    // Services differ by who began and verdicts by the reason, which this map does not tell apart.
    let mut lines: BTreeMap<(&str, PeerClass, u8, u16, Action), Sum> = BTreeMap::new();
    for ((role, peers, service, verdict), sum) in sums {
        // What came after the edges were read is there next time.
        let (Some((protocol, port)), Some(name)) = (services.get(&service), verdicts.get(&verdict))
        else {
            continue;
        };
        let line = (role, peers, *protocol, *port, action(name));
        let line = lines.entry(line).or_default();
        line.devices.extend(sum.devices);
        line.edges += sum.edges;
        line.conversations += sum.conversations;
        line.bytes += sum.bytes;
    }
    let edges = lines
        .into_iter()
        .map(|((role, peers, protocol, port, action), sum)| RoleEdge {
            role: role.to_owned(),
            peers,
            protocol,
            port,
            action,
            devices: sum.devices.len() as u64,
            edges: sum.edges,
            conversations: sum.conversations,
            bytes: sum.bytes,
        });
    let mut edges: Vec<_> = edges.collect();
    edges.sort_by_key(|edge| std::cmp::Reverse(edge.conversations));
    edges.truncate(ROLE_EDGES_KEPT);
    Ok(RoleMap {
        made: Time::now(),
        edges,
    })
}

fn class(peer: &str) -> PeerClass {
    match peer.parse::<IpAddr>() {
        Err(_) => PeerClass::None,
        Ok(address) if address.is_multicast() => PeerClass::Group,
        Ok(IpAddr::V4(v4)) if v4.is_broadcast() => PeerClass::Group,
        Ok(IpAddr::V4(v4)) if v4.is_private() || v4.is_link_local() => PeerClass::Inside,
        Ok(IpAddr::V6(v6)) if v6.is_unique_local() || v6.is_unicast_link_local() => {
            PeerClass::Inside
        }
        Ok(_) => PeerClass::Outside,
    }
}
