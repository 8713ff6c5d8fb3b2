//! Test certificates: one authority for each start of the ward, one certificate for each host that
//! speaks TLS. Nothing of it outlives the ward.

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::layout::{DOMAIN, Guest, host};
use crate::netns::run;

/// Hosts that show a certificate to somebody.
const HOLDERS: [&str; 5] = ["pumpsrv", "central", "mon1", "mon2", "vent"];

/// Makes `ca.pem` and, for each holder, `HOST.pem` and `HOST.key` in `dir`.
///
/// # Errors
/// When `openssl` is missing or refuses.
pub fn make(dir: &Path, guests: &[Guest]) -> Result<()> {
    fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    openssl(
        dir,
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
         -subj /CN=ward-test-authority -keyout ca.key -out ca.pem",
        &[],
    )?;
    for name in HOLDERS {
        let ip = host(name)
            .with_context(|| format!("no host named {name}"))?
            .ip;
        issue(dir, name, ip, &format!("/CN={name}.{DOMAIN}"))?;
    }
    for guest in guests {
        if let Some(subject) = &guest.subject {
            issue(dir, &guest.name, guest.ip, subject)?;
        }
    }
    Ok(())
}

fn issue(dir: &Path, name: &str, ip: Ipv4Addr, subject: &str) -> Result<()> {
    let extensions = format!(
        "subjectAltName=IP:{ip},DNS:{name}.{DOMAIN}\nextendedKeyUsage=serverAuth,clientAuth\n"
    );
    fs::write(dir.join("extensions"), extensions).context("cannot write extensions")?;
    openssl(
        dir,
        &format!(
            "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
             -keyout {name}.key -out {name}.csr"
        ),
        &["-subj", subject],
    )?;
    openssl(
        dir,
        &format!(
            "x509 -req -days 2 -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial \
             -extfile extensions -out {name}.pem"
        ),
        &[],
    )
}

/// Runs `openssl` with arguments split at spaces, then `more` as they are.
fn openssl(dir: &Path, arguments: &str, more: &[&str]) -> Result<()> {
    run(Command::new("openssl")
        .current_dir(dir)
        .args(arguments.split_whitespace())
        .args(more))
    .map(drop)
}
