//! Devices: as the fast path sees them, and as people wrote them down.

use std::collections::HashMap;

use serde::Deserialize;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection};
use wardline_control::{DeviceView, Identity};
use wardline_policy::{DeviceKey, VlanKey};

use super::group::{BELONGS_END, belongs_to};
use super::{Database, StoreError};
use crate::inventory::plan::Traits;
use crate::time::Time;

/// A row of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceRow {
    /// Number in the database.
    pub id: i64,
    /// MAC address and VLAN, see [`key_text`].
    pub key: String,
    /// Name in the policy.
    pub name: String,
    /// Role in the policy.
    pub policy_role: Option<String>,
    /// What the classifier takes it for; absent while unknown.
    pub role: Option<String>,
    /// How probable that is.
    pub probability_percent: u8,
    /// Whether a person confirmed it.
    pub confirmed: bool,
    /// Step of the ladder.
    pub mode: String,
    /// Highest care class among its rules.
    pub care: String,
    /// Maker.
    pub vendor: Option<String>,
    /// Model.
    pub model: Option<String>,
    /// First frame.
    pub first_seen: Time,
    /// Last frame.
    pub last_seen: Time,
    /// The fast path's view, JSON.
    pub seen: String,
    /// What people wrote down.
    pub notes: Notes,
    /// Rises with each change by people.
    pub revision: i64,
}

/// What people write down of a device.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Notes {
    /// What its loss would mean.
    pub criticality: Option<String>,
    /// Where it stands.
    pub location: Option<String>,
    /// The ward it belongs to.
    pub ward: Option<String>,
    /// The bed it belongs to.
    pub bed: Option<String>,
    /// The person or department that answers for it.
    pub owner: Option<String>,
    /// Anything else.
    pub notes: String,
}

/// Which devices, and in which order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeviceFilter {
    /// Taken for this role; `unknown` for those without one.
    pub role: Option<String>,
    /// Columns that have these values.
    pub equal: Vec<(&'static str, String)>,
    /// Whether a person confirmed the role.
    pub confirmed: Option<bool>,
    /// Of the group with this name.
    pub group: Option<String>,
    /// Seen since.
    pub seen_since: Option<Time>,
    /// Seen last before.
    pub seen_before: Option<Time>,
    /// Every one of these words occurs somewhere.
    pub words: Vec<String>,
}

/// What devices can be sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceSort {
    /// Key: MAC address, then VLAN.
    Key,
    /// Name.
    Name,
    /// Role.
    Role,
    /// When it was seen last.
    LastSeen,
    /// When it was seen first.
    FirstSeen,
    /// Maker.
    Vendor,
    /// Mode.
    Mode,
    /// Criticality.
    Criticality,
    /// Ward, then bed.
    Ward,
}

impl DeviceSort {
    /// An expression that is never null.
    const fn column(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Name => "name",
            Self::Role => "coalesce(role, '')",
            Self::LastSeen => "last_seen_us",
            Self::FirstSeen => "first_seen_us",
            Self::Vendor => "coalesce(vendor, '')",
            Self::Mode => "mode",
            // The gravest first.
            Self::Criticality => {
                "CASE criticality WHEN 'life-critical' THEN '1' WHEN 'high' THEN '2' \
                 WHEN 'medium' THEN '3' WHEN 'low' THEN '4' ELSE '5' END"
            }
            Self::Ward => "(coalesce(ward, '') || char(31) || coalesce(bed, ''))",
        }
    }
}

/// Where a page ended: the value it was sorted by, and the id.
pub type DevicePlace = (String, i64);

/// MAC address and VLAN as they stand in a URL: `00-09-fb-12-34-56`, with `.10` or `.10.20` for
/// VLANs.
pub fn key_text(key: &DeviceKey) -> String {
    let mac = key.mac.to_string().replace(':', "-");
    match key.vlan {
        VlanKey { outer: 0, .. } => mac,
        VlanKey { outer, inner: 0 } => format!("{mac}.{outer}"),
        VlanKey { outer, inner } => format!("{mac}.{outer}.{inner}"),
    }
}

/// The name of a device; empty when it has none.
///
/// # Errors
/// When the database fails.
pub async fn name(db: &Database, key: &str) -> Result<String, StoreError> {
    let name: Option<String> = sqlx::query_scalar("SELECT name FROM device WHERE key = ?1")
        .bind(key)
        .fetch_optional(db.read())
        .await?;
    Ok(name.unwrap_or_default())
}

/// The device that a text of [`key_text`] names.
pub fn parse_key(text: &str) -> Option<DeviceKey> {
    let mut parts = text.split('.');
    let mac = parts.next()?.parse().ok()?;
    let mut tag = || match parts.next() {
        None => Some(0),
        Some(text) => text.parse().ok().filter(|tag| (1..=4_094).contains(tag)),
    };
    let vlan = VlanKey {
        outer: tag()?,
        inner: tag()?,
    };
    let key = DeviceKey { mac, vlan };
    // One text for one device.
    (key_text(&key) == text).then_some(key)
}

const COLUMNS: &str = "id, key, name, policy_role, role, probability_percent, confirmed, mode, \
    care, vendor, model, first_seen_us, last_seen_us, seen, criticality, location, ward, bed, \
    owner, notes, revision";

fn row(row: &SqliteRow) -> Result<DeviceRow, sqlx::Error> {
    Ok(DeviceRow {
        id: row.try_get("id")?,
        key: row.try_get("key")?,
        name: row.try_get("name")?,
        policy_role: row.try_get("policy_role")?,
        role: row.try_get("role")?,
        probability_percent: row.try_get("probability_percent")?,
        confirmed: row.try_get("confirmed")?,
        mode: row.try_get("mode")?,
        care: row.try_get("care")?,
        vendor: row.try_get("vendor")?,
        model: row.try_get("model")?,
        first_seen: Time::from_us(row.try_get("first_seen_us")?),
        last_seen: Time::from_us(row.try_get("last_seen_us")?),
        seen: row.try_get("seen")?,
        notes: Notes {
            criticality: row.try_get("criticality")?,
            location: row.try_get("location")?,
            ward: row.try_get("ward")?,
            bed: row.try_get("bed")?,
            owner: row.try_get("owner")?,
            notes: row.try_get("notes")?,
        },
        revision: row.try_get("revision")?,
    })
}

/// At most `limit` devices behind a place.
///
/// # Errors
/// When the database fails.
#[tracing::instrument(name = "store list device", skip_all)]
pub async fn list(
    db: &Database,
    filter: &DeviceFilter,
    (sort, descending): (DeviceSort, bool),
    after: Option<&DevicePlace>,
    limit: u32,
) -> Result<Vec<(DeviceRow, DevicePlace)>, StoreError> {
    let column = sort.column();
    let mut query = QueryBuilder::<Sqlite>::new("SELECT ");
    query.push(COLUMNS).push(", ").push(column);
    query.push(" AS place FROM device WHERE 1");
    for (column, value) in &filter.equal {
        query.push(" AND ").push(*column).push(" = ");
        query.push_bind(value.clone());
    }
    if let Some(confirmed) = filter.confirmed {
        query.push(" AND confirmed = ").push_bind(confirmed);
    }
    match filter.role.as_deref() {
        Some("unknown") => drop(query.push(" AND role IS NULL")),
        Some(role) => drop(query.push(" AND role = ").push_bind(role.to_owned())),
        None => {}
    }
    if let Some(group) = &filter.group {
        query.push(belongs_to()).push_bind(group.clone());
        query.push(BELONGS_END);
    }
    if let Some(since) = filter.seen_since {
        query.push(" AND last_seen_us >= ").push_bind(since.us());
    }
    if let Some(before) = filter.seen_before {
        query.push(" AND last_seen_us < ").push_bind(before.us());
    }
    for word in &filter.words {
        let word = word.to_lowercase();
        query.push(" AND (instr(search, ").push_bind(word.clone());
        query.push(") > 0 OR key IN (SELECT device FROM asset_link JOIN asset ON asset.id = asset");
        query
            .push(" WHERE until_us IS NULL AND instr(lower(tag), ")
            .push_bind(word)
            .push(") > 0))");
    }
    let (less, order) = if descending {
        ("<", "DESC")
    } else {
        (">", "ASC")
    };
    if let Some((value, id)) = after {
        query
            .push(" AND (")
            .push(column)
            .push(", id) ")
            .push(less)
            .push(" (");
        match sort {
            DeviceSort::LastSeen | DeviceSort::FirstSeen => {
                query.push_bind(value.parse::<i64>().unwrap_or_default())
            }
            _ => query.push_bind(value.clone()),
        };
        query.push(", ").push_bind(*id).push(")");
    }
    query.push(" ORDER BY ").push(column).push(" ").push(order);
    query
        .push(", id ")
        .push(order)
        .push(" LIMIT ")
        .push_bind(i64::from(limit));
    let rows = query.build().fetch_all(db.read()).await?;
    let place = |found: &SqliteRow| match sort {
        DeviceSort::LastSeen | DeviceSort::FirstSeen => found
            .try_get::<i64, _>("place")
            .map(|value| value.to_string()),
        _ => found.try_get("place"),
    };
    let mut devices = Vec::with_capacity(rows.len());
    for found in &rows {
        let device = row(found)?;
        let at = (place(found)?, device.id);
        devices.push((device, at));
    }
    Ok(devices)
}

/// The role of each device that has one, by key.
///
/// # Errors
/// When the database fails.
pub async fn roles(db: &Database) -> Result<HashMap<String, String>, StoreError> {
    let roles: Vec<(String, String)> =
        sqlx::query_as("SELECT key, role FROM device WHERE role IS NOT NULL")
            .fetch_all(db.read())
            .await?;
    Ok(roles.into_iter().collect())
}

/// One device.
///
/// # Errors
/// When the database fails.
pub async fn find(db: &mut SqliteConnection, key: &str) -> Result<Option<DeviceRow>, StoreError> {
    let found = sqlx::query(super::sql(format!(
        "SELECT {COLUMNS} FROM device WHERE key = ?1"
    )))
    .bind(key)
    .fetch_optional(db)
    .await?;
    Ok(found.as_ref().map(row).transpose()?)
}

/// Keeps what people wrote down; the revision rises.
///
/// # Errors
/// When the database fails.
pub async fn write_notes(
    db: &mut SqliteConnection,
    device: &DeviceRow,
    notes: &Notes,
) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE device SET criticality = ?2, location = ?3, ward = ?4, bed = ?5, notes = ?6, \
         search = ?7, owner = ?8, revision = revision + 1 WHERE id = ?1",
    )
    .bind(device.id)
    .bind(&notes.criticality)
    .bind(&notes.location)
    .bind(&notes.ward)
    .bind(&notes.bed)
    .bind(&notes.notes)
    .bind(search_text(&device.seen, &device.key, notes))
    .bind(&notes.owner)
    .execute(db)
    .await?;
    Ok(())
}

/// Keeps what the fast path sees of a device; what people wrote down stays.
///
/// # Errors
/// When the database fails.
pub async fn write_seen(db: &mut SqliteConnection, view: &DeviceView) -> Result<(), StoreError> {
    let key = key_text(&view.key);
    let before = find(&mut *db, &key).await?;
    let mut view = view.clone();
    if let Some(recalled) = before.as_ref().and_then(|row| recalled(row, &view)) {
        view.identity = Some(recalled);
    }
    let seen = serde_json::to_string(&view)
        .map_err(|e| StoreError::Other(sqlx::Error::Encode(Box::new(e))))?;
    let identity = view.identity.clone().unwrap_or_default();
    let notes = before.map(|row| row.notes).unwrap_or_default();
    sqlx::query(
        "INSERT INTO device (key, name, policy_role, role, probability_percent, confirmed, mode, \
           care, vendor, model, first_seen_us, last_seen_us, seen, search) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14) \
         ON CONFLICT (key) DO UPDATE SET name = ?2, policy_role = ?3, role = ?4, \
           probability_percent = ?5, confirmed = ?6, mode = ?7, care = ?8, vendor = ?9, \
           model = ?10, first_seen_us = min(first_seen_us, ?11), last_seen_us = ?12, seen = ?13, \
           search = ?14",
    )
    .bind(&key)
    .bind(&view.name)
    .bind(&view.role)
    .bind(&identity.role)
    .bind(i64::from(identity.probability_percent))
    .bind(identity.confirmed)
    .bind(word(&view.mode))
    .bind(word(&view.care))
    .bind(identity.vendor.as_ref().or(view.vendor.as_ref()))
    .bind(&identity.model)
    .bind(Time::from_contract(view.first_seen_us).us())
    .bind(Time::from_contract(view.last_seen_us).us())
    .bind(&seen)
    .bind(search_text(&seen, &key, &notes))
    .execute(db)
    .await?;
    Ok(())
}

/// What was known of a device before the fast path was started anew, while it cannot say it again:
/// connections that last for days tell who they belong to at their beginning only.
///
/// It is shown and searched for; that it was proven or confirmed then says nothing now.
fn recalled(before: &DeviceRow, view: &DeviceView) -> Option<Identity> {
    let then = serde_json::from_str::<DeviceView>(&before.seen).ok()?;
    let started_anew = view.first_seen_us > then.first_seen_us;
    let (known, now) = (then.identity?, view.identity.clone().unwrap_or_default());
    let says_less = now.role.is_none()
        && now.conflict.is_none()
        && now.evidence.len() < known.evidence.len().max(1);
    let may_recall = started_anew || known.recalled_us.is_some();
    (may_recall && known.role.is_some() && says_less).then(|| Identity {
        may_enforce: false,
        confirmed: false,
        drift: None,
        recalled_us: known.recalled_us.or(Some(then.last_seen_us)),
        ..known
    })
}

/// What is known of every device that tells which asset it is.
///
/// # Errors
/// When the database fails.
pub async fn traits(db: &mut SqliteConnection) -> Result<Vec<Traits>, StoreError> {
    let rows = sqlx::query("SELECT key, seen, ward, bed FROM device");
    let rows = rows.fetch_all(db).await?;
    Ok(rows.iter().map(traits_of).collect::<Result<_, _>>()?)
}

fn traits_of(row: &SqliteRow) -> Result<Traits, sqlx::Error> {
    #[derive(Deserialize)]
    struct Dhcp {
        hostname: String,
    }
    /// The part of what was seen that is wanted here.
    #[derive(Default, Deserialize)]
    struct Said {
        dhcp: Option<Dhcp>,
        #[serde(default)]
        identity: Option<Identity>,
    }
    let said: Said = serde_json::from_str(row.try_get("seen")?).unwrap_or_default();
    let identity = said.identity.unwrap_or_default();
    let key: String = row.try_get("key")?;
    Ok(Traits {
        mac: parse_key(&key).map_or_else(String::new, |key| key.mac.to_string()),
        key,
        serial: identity.serial,
        hostname: said.dhcp.map(|dhcp| dhcp.hostname),
        asset_tags: identity.asset_tags,
        ward: row.try_get("ward")?,
        bed: row.try_get("bed")?,
    })
}

/// The name that a word of the contract has in JSON.
pub fn word(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(text)) => text,
        _ => String::new(),
    }
}

/// Everything that can be searched for, in lower case: what a person may have in hand.
fn search_text(seen: &str, key: &str, notes: &Notes) -> String {
    let mut words = vec![key.to_owned(), key.replace('-', ":")];
    if let Ok(view) = serde_json::from_str::<DeviceView>(seen) {
        words.extend([view.name]);
        words.extend(view.addresses.iter().map(ToString::to_string));
        words.extend(view.role.into_iter().chain(view.vendor));
        words.extend(view.dhcp.map(|dhcp| dhcp.hostname));
        if let Some(identity) = view.identity {
            words.push(identity.words);
            words.extend(identity.vendor.into_iter().chain(identity.model));
            words.extend(identity.serial.into_iter().chain(identity.kind));
            words.extend(identity.asset_tags);
        }
    }
    let written = [&notes.location, &notes.ward, &notes.bed, &notes.owner];
    words.extend(written.into_iter().flatten().cloned());
    words.push(notes.notes.clone());
    words.join("\n").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;

    const SECOND_US: u64 = 1_000_000;

    /// A device as a fast path shows it that was started at `began_us`.
    fn view(began_us: u64, identity: &serde_json::Value) -> DeviceView {
        let view = serde_json::json!({
            "key": { "mac": "00:09:fb:00:00:01", "vlan": { "outer": 10, "inner": 0 } },
            "name": "", "role": null, "mode": "observe", "care": "therapy", "addresses": [],
            "first_seen_us": began_us, "last_seen_us": began_us + SECOND_US,
            "sent": { "frames": 1, "bytes": 64 }, "got": { "frames": 0, "bytes": 0 },
            "by_reason": {}, "would_drop": {}, "flows": 0, "wrong_side": 0,
            "identity": identity,
        });
        serde_json::from_value(view).expect("a view")
    }

    #[tokio::test]
    async fn what_was_known_is_recalled_until_it_is_said_again() {
        let evidence = serde_json::json!({ "sentence": "it says so", "source": "dicom",
            "field": "dicom.calling-ae", "strength": "strong", "time_us": 1 });
        let pump = serde_json::json!({ "role": "infusion-pump", "serial": "S1",
            "probability_percent": 97, "may_enforce": true, "evidence": [evidence] });
        let vague = serde_json::json!({ "words": "unknown" });
        let dir = tempfile::tempdir().expect("a folder");
        let store = Store::open(dir.path()).await.expect("a store");
        let kept = async |view: DeviceView| {
            let mut change = store.main.begin().await.expect("begun");
            write_seen(&mut change, &view).await.expect("written");
            change.commit().await.expect("kept");
            let mut db = store.main.read().acquire().await.expect("a connection");
            let row = find(&mut db, &key_text(&view.key)).await.expect("read");
            let row = row.expect("there");
            let seen: DeviceView = serde_json::from_str(&row.seen).expect("a view");
            (row.role, seen.identity.expect("an identity"))
        };
        let first = 100 * SECOND_US;
        kept(view(first, &pump)).await;
        // The same fast path changes its mind: that is news.
        assert_eq!(kept(view(first, &vague)).await.0, None);
        kept(view(first, &pump)).await;
        // Another one knows nothing yet, as often as it says so.
        for _ in 0..2 {
            let (role, identity) = kept(view(200 * SECOND_US, &vague)).await;
            assert_eq!(role.as_deref(), Some("infusion-pump"));
            assert_eq!(identity.serial.as_deref(), Some("S1"));
            assert_eq!(identity.recalled_us, Some(first + SECOND_US));
            assert!(!identity.may_enforce, "nothing proves it now");
        }
        let (role, identity) = kept(view(200 * SECOND_US, &pump)).await;
        assert_eq!(role.as_deref(), Some("infusion-pump"));
        assert_eq!(identity.recalled_us, None);
        // What it said itself, it may take back.
        assert_eq!(kept(view(200 * SECOND_US, &vague)).await.0, None);
        store.close().await;
    }

    #[test]
    fn a_key_reads_as_it_is_written() {
        for text in [
            "00-09-fb-12-34-56",
            "00-09-fb-12-34-56.10",
            "00-09-fb-12-34-56.10.20",
        ] {
            assert_eq!(key_text(&parse_key(text).expect(text)), text);
        }
        for text in [
            "",
            "00:09:fb:12:34:56",
            "00-09-FB-12-34-56",
            "00-09-fb-12-34-56.0",
            "a.b",
        ] {
            assert_eq!(parse_key(text), None, "{text}");
        }
    }
}
