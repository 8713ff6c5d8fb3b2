//! Programs that come with a client certificate: its common name stands for them.

use std::net::IpAddr;

use sqlx::SqliteConnection;

use super::{Principal, Role};
use crate::store::{Database, Store, StoreError};
use crate::time::Time;

/// A row of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateRow {
    /// Common name.
    pub name: String,
    /// What the program may do.
    pub role: Role,
    /// Who listed it.
    pub created_by: String,
    /// When.
    pub created: Time,
    /// Rises with each change.
    pub revision: i64,
}

type Found = (String, String, String, i64, i64);

fn row((name, role, created_by, created, revision): Found) -> Result<CertificateRow, sqlx::Error> {
    let known = Role::from_name(&role);
    Ok(CertificateRow {
        role: known.ok_or_else(|| sqlx::Error::Decode(format!("no role `{role}`").into()))?,
        name,
        created_by,
        created: Time::from_us(created),
        revision,
    })
}

/// What keeps a text from being a common name that can be listed, if anything does.
pub fn unfit_name(name: &str) -> Option<&'static str> {
    let fits = (1..=64).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || " ._@:-".contains(c));
    (!fits).then_some(
        "1 to 64 of the letters A to Z and a to z, digits, spaces, `.`, `_`, `@`, `:` and `-`; a \
         letter or a digit first",
    )
}

/// Who comes with a certificate, if its common name is listed. TLS has checked by then who signed
/// it and whether it still holds.
///
/// # Errors
/// When the store cannot be read.
pub async fn find(
    store: &Store,
    der: &[u8],
    address: Option<IpAddr>,
) -> Result<Option<Principal>, StoreError> {
    let Some(name) = common_name(der) else {
        return Ok(None);
    };
    let found: Option<(String,)> = sqlx::query_as("SELECT role FROM certificate WHERE name = ?1")
        .bind(&name)
        .fetch_optional(store.main.read())
        .await?;
    let role = found.and_then(|(role,)| Role::from_name(&role));
    Ok(role.map(|role| Principal {
        who: format!("certificate:{name}"),
        role,
        scopes: None,
        session: None,
        address,
    }))
}

/// At most `limit` programs whose names come after `after`, by name.
///
/// # Errors
/// When the database fails.
pub async fn list(
    db: &Database,
    after: &str,
    limit: u32,
) -> Result<Vec<CertificateRow>, StoreError> {
    let found: Vec<Found> = sqlx::query_as(
        "SELECT name, role, created_by, created_us, revision FROM certificate \
         WHERE name > ?1 ORDER BY name LIMIT ?2",
    )
    .bind(after)
    .bind(limit)
    .fetch_all(db.read())
    .await?;
    Ok(found.into_iter().map(row).collect::<Result<_, _>>()?)
}

/// The program of a common name.
///
/// # Errors
/// When the database fails.
pub async fn find_row(
    db: &mut SqliteConnection,
    name: &str,
) -> Result<Option<CertificateRow>, StoreError> {
    let found: Option<Found> = sqlx::query_as(
        "SELECT name, role, created_by, created_us, revision FROM certificate WHERE name = ?1",
    )
    .bind(name)
    .fetch_optional(db)
    .await?;
    Ok(found.map(row).transpose()?)
}

/// Lists a program.
///
/// # Errors
/// When the name is taken, or the database fails.
pub async fn create(
    db: &mut SqliteConnection,
    name: &str,
    role: Role,
    by: &str,
) -> Result<CertificateRow, StoreError> {
    let created = Time::now();
    sqlx::query(
        "INSERT INTO certificate (name, role, created_by, created_us) VALUES (?1, ?2, ?3, ?4)",
    )
    .bind(name)
    .bind(role.name())
    .bind(by)
    .bind(created.us())
    .execute(db)
    .await?;
    Ok(CertificateRow {
        name: name.to_owned(),
        role,
        created_by: by.to_owned(),
        created,
        revision: 1,
    })
}

/// Keeps what a program may do; the revision rises.
///
/// # Errors
/// When the database fails.
pub async fn write_role(
    db: &mut SqliteConnection,
    name: &str,
    role: Role,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE certificate SET role = ?2, revision = revision + 1 WHERE name = ?1")
        .bind(name)
        .bind(role.name())
        .execute(db)
        .await?;
    Ok(())
}

/// Removes a program.
///
/// # Errors
/// When the database fails.
pub async fn delete(db: &mut SqliteConnection, name: &str) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM certificate WHERE name = ?1")
        .bind(name)
        .execute(db)
        .await?;
    Ok(())
}

/// The one common name of a certificate's subject; none if there are two to choose from.
pub fn common_name(der: &[u8]) -> Option<String> {
    let (_, certificate) = x509_parser::parse_x509_certificate(der).ok()?;
    let mut names = certificate.subject().iter_common_name();
    let name = names.next()?.as_str().ok()?.to_owned();
    names.next().is_none().then_some(name)
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, DnValue, KeyPair};

    use super::*;

    #[test]
    fn the_common_name_is_read() {
        let key = KeyPair::generate().expect("a key");
        let named = |names: &[(DnType, &str)]| {
            let mut params = CertificateParams::default();
            params.distinguished_name = rcgen::DistinguishedName::new();
            for (kind, name) in names {
                let value = DnValue::Utf8String((*name).to_owned());
                params.distinguished_name.push(kind.clone(), value);
            }
            common_name(params.self_signed(&key).expect("a certificate").der())
        };
        let backup = (DnType::CommonName, "Backup 1");
        let somebody = (DnType::OrganizationName, "Somebody");
        assert_eq!(
            named(&[somebody.clone(), backup]).as_deref(),
            Some("Backup 1")
        );
        assert_eq!(named(&[somebody]), None);
        assert_eq!(common_name(b"nonsense"), None);
    }
}
