//! Named sets of devices, and the networks of the hospital.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::StoreError;
use crate::time::Time;

/// A named set of devices.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GroupRow {
    /// Its number, never used again.
    pub id: i64,
    /// Unique name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Keys of devices that belong to it whatever they are.
    pub members: Vec<String>,
    /// What other devices that belong to it have in common.
    pub filter: GroupFilter,
    /// Devices that were seen and belong to it.
    pub devices: i64,
    /// When it was made.
    pub created: Time,
    /// Rises with each change.
    pub revision: i64,
}

/// What devices have in common. All that is said must hold; where nothing is said, none do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GroupFilter {
    /// Taken for this role.
    pub role: Option<String>,
    /// Of this ward.
    pub ward: Option<String>,
    /// At this location.
    pub location: Option<String>,
    /// Of this criticality.
    pub criticality: Option<String>,
}

/// Whether a device is named as a member of a group, as a condition on their rows.
macro_rules! is_member {
    () => {
        "EXISTS (SELECT 1 FROM device_group_member WHERE device_group = device_group.id \
           AND device_group_member.device = device.key)"
    };
}

/// Whether a device has what the members of a group have in common, as a condition on their rows.
macro_rules! fits {
    () => {
        "coalesce(by_role, by_ward, by_location, by_criticality) IS NOT NULL \
           AND (by_role IS NULL OR by_role = device.role) \
           AND (by_ward IS NULL OR by_ward = device.ward) \
           AND (by_location IS NULL OR by_location = device.location) \
           AND (by_criticality IS NULL OR by_criticality = device.criticality)"
    };
}

/// Whether a device belongs to a group, as a condition on their rows.
const BELONGS: &str = concat!("(", is_member!(), " OR (", fits!(), "))");

/// How many devices belong to a group. Whatever has no filter is not looked for among all devices.
const DEVICES: &str = concat!(
    "(SELECT count(*) FROM device_group_member JOIN device ON device.key = \
       device_group_member.device WHERE device_group = device_group.id) \
     + (SELECT count(*) FROM device WHERE ",
    fits!(),
    " AND NOT ",
    is_member!(),
    ")"
);

/// A condition on a device's row: that it belongs to the group whose name follows. Ends with what
/// [`BELONGS_END`] closes.
pub(super) fn belongs_to() -> String {
    format!(" AND EXISTS (SELECT 1 FROM device_group WHERE {BELONGS} AND device_group.name = ")
}

/// Closes [`belongs_to`].
pub(super) const BELONGS_END: &str = ")";

fn columns() -> String {
    format!(
        "id, name, description, by_role, by_ward, by_location, by_criticality, created_us, \
         revision, {DEVICES} AS devices, \
         (SELECT json_group_array(device) FROM (SELECT device FROM device_group_member \
           WHERE device_group = device_group.id ORDER BY device)) AS members"
    )
}

fn group(row: &SqliteRow) -> Result<GroupRow, sqlx::Error> {
    let members: String = row.try_get("members")?;
    Ok(GroupRow {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        description: row.try_get("description")?,
        members: serde_json::from_str(&members).unwrap_or_default(),
        filter: GroupFilter {
            role: row.try_get("by_role")?,
            ward: row.try_get("by_ward")?,
            location: row.try_get("by_location")?,
            criticality: row.try_get("by_criticality")?,
        },
        devices: row.try_get("devices")?,
        created: Time::from_us(row.try_get("created_us")?),
        revision: row.try_get("revision")?,
    })
}

/// At most `limit` groups behind a name.
///
/// # Errors
/// When the database fails.
pub async fn list(
    db: &mut SqliteConnection,
    after: &str,
    limit: u32,
) -> Result<Vec<GroupRow>, StoreError> {
    let text = format!(
        "SELECT {} FROM device_group WHERE name > ?1 ORDER BY name LIMIT ?2",
        columns()
    );
    let rows = sqlx::query(super::sql(text)).bind(after.to_owned());
    let rows = rows.bind(i64::from(limit)).fetch_all(db).await?;
    Ok(rows.iter().map(group).collect::<Result<_, _>>()?)
}

/// One group.
///
/// # Errors
/// When the database fails.
pub async fn find(db: &mut SqliteConnection, id: i64) -> Result<Option<GroupRow>, StoreError> {
    let text = format!("SELECT {} FROM device_group WHERE id = ?1", columns());
    let row = sqlx::query(super::sql(text)).bind(id);
    let row = row.fetch_optional(db).await?;
    Ok(row.as_ref().map(group).transpose()?)
}

/// How many there are.
///
/// # Errors
/// When the database fails.
pub async fn count(db: &mut SqliteConnection) -> Result<i64, StoreError> {
    let count = sqlx::query_scalar("SELECT count(*) FROM device_group");
    Ok(count.fetch_one(db).await?)
}

/// The names of the groups that a device belongs to.
///
/// # Errors
/// When the database fails.
pub async fn of_device(db: &mut SqliteConnection, key: &str) -> Result<Vec<String>, StoreError> {
    let text = format!(
        "SELECT device_group.name FROM device_group, device WHERE device.key = ?1 AND {BELONGS} \
         ORDER BY device_group.name"
    );
    let names = sqlx::query_scalar(super::sql(text)).bind(key.to_owned());
    Ok(names.fetch_all(db).await?)
}

/// Makes one; its number.
///
/// # Errors
/// [`StoreError::Taken`] when another has its name; when the database fails.
pub async fn insert(db: &mut SqliteConnection, new: &GroupRow) -> Result<i64, StoreError> {
    let done = sqlx::query(
        "INSERT INTO device_group (name, description, by_role, by_ward, by_location, \
         by_criticality, created_us) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    );
    let done = done.bind(&new.name).bind(&new.description);
    let done = done.bind(&new.filter.role).bind(&new.filter.ward);
    let done = done
        .bind(&new.filter.location)
        .bind(&new.filter.criticality);
    let done = done.bind(Time::now().us()).execute(&mut *db).await?;
    let id = done.last_insert_rowid();
    write_members(db, id, &new.members).await?;
    Ok(id)
}

/// Replaces everything that one is; its revision rises.
///
/// # Errors
/// As [`insert`].
pub async fn write(db: &mut SqliteConnection, id: i64, new: &GroupRow) -> Result<(), StoreError> {
    let done = sqlx::query(
        "UPDATE device_group SET name = ?2, description = ?3, by_role = ?4, by_ward = ?5, \
         by_location = ?6, by_criticality = ?7, revision = revision + 1 WHERE id = ?1",
    );
    let done = done.bind(id).bind(&new.name).bind(&new.description);
    let done = done.bind(&new.filter.role).bind(&new.filter.ward);
    let done = done
        .bind(&new.filter.location)
        .bind(&new.filter.criticality);
    done.execute(&mut *db).await?;
    write_members(db, id, &new.members).await
}

async fn write_members(
    db: &mut SqliteConnection,
    id: i64,
    members: &[String],
) -> Result<(), StoreError> {
    let delete = sqlx::query("DELETE FROM device_group_member WHERE device_group = ?1");
    delete.bind(id).execute(&mut *db).await?;
    let keys = serde_json::to_string(members).unwrap_or_default();
    let insert = sqlx::query(
        "INSERT INTO device_group_member (device_group, device) \
         SELECT DISTINCT ?1, value FROM json_each(?2)",
    );
    insert.bind(id).bind(keys).execute(db).await?;
    Ok(())
}

/// Removes one.
///
/// # Errors
/// When the database fails.
pub async fn delete(db: &mut SqliteConnection, id: i64) -> Result<(), StoreError> {
    let delete = sqlx::query("DELETE FROM device_group WHERE id = ?1");
    delete.bind(id).execute(db).await?;
    Ok(())
}
