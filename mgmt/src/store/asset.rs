//! Assets, and which devices each has and had.

use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection};

use super::{Database, StoreError};
use crate::inventory::{Column, Facts};
use crate::time::Time;

/// A row of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssetRow {
    /// Its number, never used again.
    pub id: i64,
    /// What is written down of it.
    pub facts: Facts,
    /// Keys of the devices it has now.
    pub devices: Vec<String>,
    /// When it was written down first.
    pub created: Time,
    /// Rises with each change.
    pub revision: i64,
}

/// That an asset has a device, or had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkRow {
    /// The asset.
    pub asset: i64,
    /// Its tag.
    pub tag: String,
    /// Key of the device.
    pub device: String,
    /// Since when.
    pub since: Time,
    /// Until when; absent: still.
    pub until: Option<Time>,
}

/// Which assets.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AssetFilter {
    /// With this tag.
    pub tag: Option<String>,
    /// Of this department.
    pub department: Option<String>,
    /// Of this ward.
    pub ward: Option<String>,
    /// By this maker.
    pub maker: Option<String>,
    /// That have this device now.
    pub device: Option<String>,
    /// With a device now, or without.
    pub linked: Option<bool>,
    /// Every one of these words occurs somewhere.
    pub words: Vec<String>,
}

/// Where a page ended: the value it was sorted by, and the id.
pub type AssetPlace = (String, i64);

/// Links of one asset or device that are shown, the newest.
const LINKS: i64 = 200;

fn columns() -> String {
    let names: Vec<_> = Column::ALL.iter().map(|column| column.name()).collect();
    format!(
        "id, {}, created_us, revision, (SELECT json_group_array(device) FROM (SELECT device FROM \
         asset_link WHERE asset = asset.id AND until_us IS NULL ORDER BY device)) AS devices",
        names.join(", ")
    )
}

fn row(row: &SqliteRow) -> Result<AssetRow, sqlx::Error> {
    let mut facts = Facts::default();
    for column in Column::ALL {
        facts.set(column, row.try_get(column.name())?);
    }
    let devices: String = row.try_get("devices")?;
    Ok(AssetRow {
        id: row.try_get("id")?,
        facts,
        devices: serde_json::from_str(&devices).unwrap_or_default(),
        created: Time::from_us(row.try_get("created_us")?),
        revision: row.try_get("revision")?,
    })
}

/// At most `limit` assets behind a place, by `sort`.
///
/// # Errors
/// When the database fails.
pub async fn list(
    db: &Database,
    filter: &AssetFilter,
    (sort, descending): (Column, bool),
    after: Option<&AssetPlace>,
    limit: u32,
) -> Result<Vec<AssetRow>, StoreError> {
    let mut query = QueryBuilder::<Sqlite>::new("SELECT ");
    query.push(columns()).push(" FROM asset WHERE 1");
    let equal = [
        ("tag", &filter.tag),
        ("department", &filter.department),
        ("ward", &filter.ward),
        ("maker", &filter.maker),
    ];
    for (column, value) in equal {
        if let Some(value) = value {
            query.push(" AND ").push(column).push(" = ");
            query.push_bind(value.clone());
        }
    }
    let now = "(SELECT asset FROM asset_link WHERE until_us IS NULL";
    if let Some(device) = &filter.device {
        query.push(" AND id IN ").push(now).push(" AND device = ");
        query.push_bind(device.clone()).push(")");
    }
    match filter.linked {
        Some(true) => drop(query.push(" AND id IN ").push(now).push(")")),
        Some(false) => drop(query.push(" AND id NOT IN ").push(now).push(")")),
        None => {}
    }
    for word in &filter.words {
        query.push(" AND instr(search, ");
        query.push_bind(word.to_lowercase()).push(") > 0");
    }
    let column = sort.name();
    let (less, order) = if descending {
        ("<", "DESC")
    } else {
        (">", "ASC")
    };
    if let Some((value, id)) = after {
        query.push(" AND (").push(column).push(", id) ").push(less);
        query.push(" (").push_bind(value.clone()).push(", ");
        query.push_bind(*id).push(")");
    }
    query.push(" ORDER BY ").push(column).push(" ").push(order);
    query.push(", id ").push(order).push(" LIMIT ");
    query.push_bind(i64::from(limit));
    let rows = query.build().fetch_all(db.read()).await?;
    Ok(rows.iter().map(row).collect::<Result<_, _>>()?)
}

/// All assets.
///
/// # Errors
/// When the database fails.
pub async fn all(db: &mut SqliteConnection) -> Result<Vec<AssetRow>, StoreError> {
    let text = format!("SELECT {} FROM asset ORDER BY id", columns());
    let rows = sqlx::query(super::sql(text)).fetch_all(db).await?;
    Ok(rows.iter().map(row).collect::<Result<_, _>>()?)
}

/// How many there are.
///
/// # Errors
/// When the database fails.
pub async fn count(db: &mut SqliteConnection) -> Result<i64, StoreError> {
    let count = sqlx::query_scalar("SELECT count(*) FROM asset");
    Ok(count.fetch_one(db).await?)
}

/// One asset.
///
/// # Errors
/// When the database fails.
pub async fn find(db: &mut SqliteConnection, id: i64) -> Result<Option<AssetRow>, StoreError> {
    let text = format!("SELECT {} FROM asset WHERE id = ?1", columns());
    let found = sqlx::query(super::sql(text)).bind(id);
    let found = found.fetch_optional(db).await?;
    Ok(found.as_ref().map(row).transpose()?)
}

/// Makes one; its number.
///
/// # Errors
/// [`StoreError::Taken`] when another has its tag; when the database fails.
pub async fn insert(db: &mut SqliteConnection, facts: &Facts) -> Result<i64, StoreError> {
    let mut query = QueryBuilder::<Sqlite>::new("INSERT INTO asset (");
    for column in Column::ALL {
        query.push(column.name()).push(", ");
    }
    query.push("search, created_us) VALUES (");
    for column in Column::ALL {
        query.push_bind(facts.get(column)).push(", ");
    }
    query.push_bind(search_text(facts)).push(", ");
    query.push_bind(Time::now().us()).push(")");
    Ok(query.build().execute(db).await?.last_insert_rowid())
}

/// Replaces what is written down of one; its revision rises.
///
/// # Errors
/// As [`insert`].
pub async fn write(db: &mut SqliteConnection, id: i64, facts: &Facts) -> Result<(), StoreError> {
    let mut query = QueryBuilder::<Sqlite>::new("UPDATE asset SET revision = revision + 1");
    for column in Column::ALL {
        query.push(", ").push(column.name()).push(" = ");
        query.push_bind(facts.get(column));
    }
    query.push(", search = ").push_bind(search_text(facts));
    query.push(" WHERE id = ").push_bind(id);
    query.build().execute(db).await?;
    Ok(())
}

/// Removes one with its links.
///
/// # Errors
/// When the database fails.
pub async fn delete(db: &mut SqliteConnection, id: i64) -> Result<(), StoreError> {
    let delete = sqlx::query("DELETE FROM asset WHERE id = ?1").bind(id);
    delete.execute(db).await?;
    Ok(())
}

/// Says that an asset has a device from now on. Whether it had not before.
///
/// # Errors
/// When the database fails.
pub async fn link(db: &mut SqliteConnection, id: i64, device: &str) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "INSERT INTO asset_link (asset, device, since_us) VALUES (?1, ?2, ?3) \
         ON CONFLICT DO NOTHING",
    );
    let done = done.bind(id).bind(device).bind(Time::now().us());
    let news = done.execute(&mut *db).await?.rows_affected() > 0;
    if news {
        touch(db, id).await?;
    }
    Ok(news)
}

/// Says that an asset has a device no longer. Whether it had until now.
///
/// # Errors
/// When the database fails.
pub async fn unlink(db: &mut SqliteConnection, id: i64, device: &str) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "UPDATE asset_link SET until_us = ?3 WHERE asset = ?1 AND device = ?2 \
         AND until_us IS NULL",
    );
    let done = done.bind(id).bind(device).bind(Time::now().us());
    let news = done.execute(&mut *db).await?.rows_affected() > 0;
    if news {
        touch(db, id).await?;
    }
    Ok(news)
}

async fn touch(db: &mut SqliteConnection, id: i64) -> Result<(), StoreError> {
    let raise = sqlx::query("UPDATE asset SET revision = revision + 1 WHERE id = ?1");
    raise.bind(id).execute(db).await?;
    Ok(())
}

/// Whose links.
#[derive(Debug, Clone, Copy)]
pub enum Of<'a> {
    /// Those of an asset.
    Asset(i64),
    /// Those of a device.
    Device(&'a str),
}

/// The newest links of an asset or a device, the newest first.
///
/// # Errors
/// When the database fails.
pub async fn links(db: &mut SqliteConnection, of: Of<'_>) -> Result<Vec<LinkRow>, StoreError> {
    let mut query = QueryBuilder::<Sqlite>::new(
        "SELECT asset, tag, device, since_us, until_us FROM asset_link JOIN asset \
         ON asset.id = asset_link.asset WHERE ",
    );
    match of {
        Of::Asset(id) => query.push("asset = ").push_bind(id),
        Of::Device(key) => query.push("device = ").push_bind(key.to_owned()),
    };
    query.push(" ORDER BY asset_link.id DESC LIMIT ");
    query.push_bind(LINKS);
    let rows = query.build().fetch_all(db).await?;
    let link = |row: &SqliteRow| {
        Ok(LinkRow {
            asset: row.try_get("asset")?,
            tag: row.try_get("tag")?,
            device: row.try_get("device")?,
            since: Time::from_us(row.try_get("since_us")?),
            until: row
                .try_get::<Option<i64>, _>("until_us")?
                .map(Time::from_us),
        })
    };
    Ok(rows.iter().map(link).collect::<Result<_, sqlx::Error>>()?)
}

/// Everything that can be searched for, in lower case.
fn search_text(facts: &Facts) -> String {
    let words: Vec<_> = Column::ALL
        .iter()
        .map(|column| facts.get(*column))
        .collect();
    words.join("\n").to_lowercase()
}
