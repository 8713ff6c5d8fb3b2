//! Devices and a flow history that look like a hospital's: few peers for each device, a month of
//! records, some edges busy all day and most of them not.

use std::path::Path;

use anyhow::{Context, Result};
use sqlx::SqliteConnection;
use wardline_control::DeviceView;
use wardline_mgmt::inventory::{Facts, Place};
use wardline_mgmt::store::group::{GroupFilter, GroupRow};
use wardline_mgmt::store::{Store, asset, device, flow, group};
use wardline_mgmt::time::Time;

use super::Size;

/// Peers that devices share.
const PEERS: u32 = 5_000;
/// Services there are.
const SERVICES: u32 = 64;
/// Edges of a device.
const EDGES: u32 = 30;
/// Records of a busy edge for each 1,000 records of its device; the other edges share the rest.
const BUSY_SHARE: u64 = 600;
/// Five minutes in a month: what an edge has records of at most.
const BUCKETS: u64 = 8_640;
/// Wards that devices are in.
const WARDS: u32 = 60;
/// Groups, each with 100 members, half of them with a ward besides.
const GROUPS: u32 = 60;
/// What devices are, in turn.
const ROLES: [&str; 5] = [
    "infusion-pump",
    "patient-monitor",
    "imaging-modality",
    "workstation",
    "printer",
];

/// Makes the databases unless they are there.
///
/// # Errors
/// When they cannot be written.
pub(super) async fn fill(state: &Path, size: Size) -> Result<()> {
    let done = state.with_extension("filled");
    if done.exists() {
        return Ok(());
    }
    let store = Store::open(state).await?;
    eprintln!("writing {} devices", size.devices);
    let mut change = store.main.begin().await?;
    for number in 1..=size.devices {
        device::write_seen(&mut change, &view(number)?).await?;
    }
    write_inventory(&mut change, size).await?;
    change.commit().await?;
    eprintln!("writing about {} records", size.records);
    write_history(&store, size).await?;
    store.close().await;
    std::fs::write(&done, "").context("saying that it is done")
}

/// One device of the many.
pub(super) fn view(number: u32) -> Result<DeviceView> {
    let [_, a, b, c] = number.to_be_bytes();
    let role = ROLES[number as usize % ROLES.len()];
    let now = Time::now().us() - i64::from(number) * 1_000_000;
    let view = serde_json::json!({
        "key": { "mac": format!("00:09:fb:{a:02x}:{b:02x}:{c:02x}"),
            "vlan": { "outer": 10 + number % 40, "inner": 0 } },
        "name": format!("device-{number}"), "role": role, "mode": "observe", "care": "therapy",
        "addresses": [format!("10.{a}.{b}.{c}")],
        "first_seen_us": now - 86_400_000_000_i64, "last_seen_us": now,
        "sent": { "frames": 1, "bytes": 64 }, "got": { "frames": 0, "bytes": 0 },
        "by_reason": {}, "would_drop": {}, "flows": 0, "wrong_side": 0,
        "identity": { "role": role, "words": role.replace('-', " "), "probability_percent": 97,
            "vendor": format!("Maker {}", number % 17), "model": format!("M{}", number % 101),
            "serial": format!("S{number:06}"),
            // Stickers are copied with the settings of a device, now and then.
            "asset_tags": [asset_tag(if number % 500 == 3 { number - 1 } else { number })] },
    });
    serde_json::from_value(view).context("a device")
}

/// The hospital's list, which knows nine of ten devices and some that were never seen, and groups.
async fn write_inventory(db: &mut SqliteConnection, size: Size) -> Result<()> {
    for number in 1..=size.devices {
        let text = |text: String| Some(text);
        let facts = Facts {
            tag: asset_tag(number),
            serial: text(format!("S{number:06}")),
            maker: text(format!("Maker {}", number % 17)),
            model: text(format!("M{}", number % 101)),
            department: text(format!("Department {}", number % 12)),
            location: Place {
                ward: text(format!("Ward {}", number % WARDS)),
                bed: text(format!("{}", number % 30)),
                ..Place::default()
            },
            ..Facts::default()
        };
        let id = asset::insert(db, &facts).await?;
        if number % 10 != 0 {
            asset::link(db, id, &device::key_text(&view(number)?.key)).await?;
        }
    }
    // One device in fifty is where the list does not expect it.
    let moved = format!(
        "UPDATE device SET bed = '' || (id % 30), \
           ward = 'Ward ' || ((id + (id % 50 = 7)) % {WARDS})"
    );
    sqlx::query(sqlx::AssertSqlSafe(moved))
        .execute(&mut *db)
        .await?;
    for number in 0..GROUPS {
        let members = (1..=100).map(|member| view(1 + (number * 97 + member) % size.devices));
        let members = members.map(|view| Ok(device::key_text(&view?.key)));
        let group = GroupRow {
            name: format!("Group {number:03}"),
            members: members.collect::<Result<_>>()?,
            filter: GroupFilter {
                ward: (number % 2 == 0).then(|| format!("Ward {}", number % WARDS)),
                ..GroupFilter::default()
            },
            ..GroupRow::default()
        };
        group::insert(db, &group).await?;
    }
    Ok(())
}

/// The sticker of a device.
pub(super) fn asset_tag(number: u32) -> String {
    format!("BIO-{number:06}")
}

/// Numbers come from numbers by multiplication, so that the same size is the same history.
async fn write_history(store: &Store, size: Size) -> Result<()> {
    let bucket = flow::bucket(Time::now().seconds());
    let mut db = store.history.begin().await?;
    let per_device = size.records / u64::from(size.devices);
    // Every 15th edge is busy: two of each device.
    let busy = (per_device * BUSY_SHARE / 1_000 / 2).clamp(1, BUCKETS);
    let idle = (per_device * (1_000 - BUSY_SHARE) / 1_000 / u64::from(EDGES - 2)).clamp(1, BUCKETS);
    let keys: Vec<String> = (1..=size.devices)
        .map(|number| view(number).map(|view| device::key_text(&view.key)))
        .collect::<Result<_>>()?;
    for key in keys {
        let insert = sqlx::query("INSERT INTO device (key) VALUES (?1)").bind(key);
        insert.execute(&mut *db).await?;
    }
    let numbers = |count: u64| {
        format!(
            "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {count}) "
        )
    };
    let steps = [
        // An index that is made at the end is made in order.
        "DROP INDEX flow_by_time".to_owned(),
        format!(
            "{} INSERT INTO peer (address) SELECT '10.200.' || (i / 250) || '.' || (i % 250) FROM n",
            numbers(u64::from(PEERS))
        ),
        format!(
            "{} INSERT INTO service (initiator, protocol, port) SELECT \
               iif(i % 4 = 0, 'peer', 'device'), iif(i % 3 = 0, 17, 6), 100 + i * 37 FROM n",
            numbers(u64::from(SERVICES))
        ),
        "INSERT INTO verdict (action, reason) VALUES ('forward', 'allowed'), \
           ('drop', 'no-rule'), ('would-drop', 'no-rule'), ('drop', 'revoked')"
            .to_owned(),
        format!(
            "{} INSERT OR IGNORE INTO edge (device, peer, service, verdict, conversations, \
               bytes_sent, bytes_got, first_s, last_s) \
             SELECT 1 + i / {EDGES}, 1 + (i * 2654435761 >> 7) % {PEERS}, \
               1 + (i * 40503 >> 3) % {SERVICES}, \
               CASE WHEN i % 40 = 7 THEN 2 WHEN i % 50 = 3 THEN 3 WHEN i % 9000 = 11 THEN 4 \
                 ELSE 1 END, 1 + i % 977, i % 99991, i % 7919, 0, 0 FROM n",
            numbers(u64::from(size.devices) * u64::from(EDGES))
        ),
        // As far apart as makes a month of them.
        format!(
            "{} INSERT INTO flow SELECT e.id, \
               {bucket} - 300 * (i * ({BUCKETS} / iif(e.id % 15 = 0, {busy}, {idle})) \
                 + e.id % max(1, {BUCKETS} / iif(e.id % 15 = 0, {busy}, {idle}))), \
               1 + i % 7, 10 + i, 1000 + i * 13, 8 + i, 900 + i * 11 \
             FROM edge e JOIN n ON n.i < iif(e.id % 15 = 0, {busy}, {idle})",
            numbers(busy.max(idle))
        ),
        "UPDATE edge SET first_s = (SELECT min(bucket_s) FROM flow WHERE edge = edge.id), \
           last_s = (SELECT max(bucket_s) FROM flow WHERE edge = edge.id)"
            .to_owned(),
        "CREATE INDEX flow_by_time ON flow (bucket_s, edge)".to_owned(),
        "ANALYZE".to_owned(),
    ];
    for step in steps {
        let begun = step
            .split_whitespace()
            .take(4)
            .collect::<Vec<_>>()
            .join(" ");
        sqlx::query(sqlx::AssertSqlSafe(step))
            .execute(&mut *db)
            .await
            .with_context(|| format!("filling the history: {begun} …"))?;
    }
    db.commit().await?;
    Ok(())
}
