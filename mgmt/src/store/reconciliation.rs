//! Where the list of assets and what is seen do not agree.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::StoreError;
use crate::time::Time;

/// A device or an asset that is seen in only one of the two, or differs between them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FindingRow {
    /// Where it stands in its list.
    pub place: String,
    /// Key of the device.
    pub device: Option<String>,
    /// Number and tag of the asset.
    pub asset: Option<(i64, String)>,
    /// When the device, or the last of the asset's devices, was seen last.
    pub last_seen: Option<Time>,
    /// Of a tag that is stated twice, the tag and the devices that state it.
    pub tag: Option<(String, Vec<String>)>,
    /// What people wrote down of the device: ward and bed.
    pub there: (Option<String>, Option<String>),
    /// What the list says: ward and bed.
    pub here: (Option<String>, Option<String>),
}

/// Devices that were seen and belong to no asset.
const NOT_LISTED: &str = "SELECT key AS place, key AS device, last_seen_us FROM device \
    WHERE key > ?1 AND ?3 = ?3 AND NOT EXISTS (SELECT 1 FROM asset_link \
      WHERE asset_link.device = device.key AND until_us IS NULL) ORDER BY key LIMIT ?2";

/// Assets of which no device was seen since a time.
const NOT_SEEN: &str = "SELECT tag AS place, id AS asset, tag, (SELECT max(last_seen_us) FROM \
      asset_link JOIN device ON device.key = asset_link.device \
      WHERE asset = asset.id AND until_us IS NULL) AS last_seen_us FROM asset \
    WHERE tag > ?1 AND NOT EXISTS (SELECT 1 FROM asset_link JOIN device \
      ON device.key = asset_link.device WHERE asset = asset.id AND until_us IS NULL \
      AND last_seen_us >= ?3) ORDER BY tag LIMIT ?2";

/// Tags that several devices state, whichever VLANs they are in.
const TAG_TWICE: &str = "SELECT lower(value) AS place, value AS stated, \
      json_group_array(DISTINCT device.key) AS devices FROM device, \
      json_each(device.seen, '$.identity.asset_tags') \
    WHERE lower(value) > ?1 AND value <> '' AND ?3 = ?3 GROUP BY lower(value) \
    HAVING count(DISTINCT substr(device.key, 1, 17)) > 1 ORDER BY 1 LIMIT ?2";

/// Assets whose device is of another ward or bed.
const LOCATION_DIFFERS: &str = "SELECT printf('%020d', asset_link.id) AS place, asset.id AS asset, \
      tag, device.key AS device, last_seen_us, device.ward AS ward_there, \
      device.bed AS bed_there, asset.ward AS ward_here, asset.bed AS bed_here \
    FROM asset_link JOIN asset ON asset.id = asset_link.asset \
      JOIN device ON device.key = asset_link.device \
    WHERE printf('%020d', asset_link.id) > ?1 AND until_us IS NULL AND ?3 = ?3 \
      AND ((device.ward <> '' AND asset.ward <> '' AND lower(device.ward) <> lower(asset.ward)) \
        OR (device.bed <> '' AND asset.bed <> '' AND lower(device.bed) <> lower(asset.bed))) \
    ORDER BY asset_link.id LIMIT ?2";

/// What does not agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disagreement {
    /// A device that belongs to no asset.
    NotListed,
    /// An asset none of whose devices was seen since a time.
    NotSeen,
    /// Several devices state one tag.
    TagTwice,
    /// A device is of another ward or bed than its asset.
    LocationDiffers,
}

/// At most `limit` disagreements of one sort behind a place.
///
/// # Errors
/// When the database fails.
pub async fn list(
    db: &mut SqliteConnection,
    what: Disagreement,
    seen_since: Time,
    after: &str,
    limit: u32,
) -> Result<Vec<FindingRow>, StoreError> {
    let query = match what {
        Disagreement::NotListed => sqlx::query(NOT_LISTED),
        Disagreement::NotSeen => sqlx::query(NOT_SEEN),
        Disagreement::TagTwice => sqlx::query(TAG_TWICE),
        Disagreement::LocationDiffers => sqlx::query(LOCATION_DIFFERS),
    };
    let query = query.bind(after.to_owned()).bind(i64::from(limit));
    let rows = query.bind(seen_since.us()).fetch_all(db).await?;
    let finding = |row: &SqliteRow| finding(row, what);
    Ok(rows.iter().map(finding).collect::<Result<_, _>>()?)
}

fn finding(row: &SqliteRow, what: Disagreement) -> Result<FindingRow, sqlx::Error> {
    let mut found = FindingRow {
        place: row.try_get("place")?,
        ..FindingRow::default()
    };
    if what == Disagreement::TagTwice {
        let devices: String = row.try_get("devices")?;
        let devices = serde_json::from_str(&devices).unwrap_or_default();
        found.tag = Some((row.try_get("stated")?, devices));
        return Ok(found);
    }
    let last_seen: Option<i64> = row.try_get("last_seen_us")?;
    found.last_seen = last_seen.map(Time::from_us);
    if what != Disagreement::NotSeen {
        found.device = Some(row.try_get("device")?);
    }
    if what != Disagreement::NotListed {
        found.asset = Some((row.try_get("asset")?, row.try_get("tag")?));
    }
    if what == Disagreement::LocationDiffers {
        found.there = (row.try_get("ward_there")?, row.try_get("bed_there")?);
        found.here = (row.try_get("ward_here")?, row.try_get("bed_here")?);
    }
    Ok(found)
}
