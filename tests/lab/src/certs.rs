//! Test certificates: one authority for each start of the ward, one certificate for each host that
//! speaks TLS. Nothing of it outlives the ward.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::layout::{DOMAIN, host};
use crate::netns::run;

/// Hosts that show a certificate to somebody.
const HOLDERS: [&str; 5] = ["pumpsrv", "central", "mon1", "mon2", "vent"];

/// Makes `ca.pem` and, for each holder, `HOST.pem` and `HOST.key` in `dir`.
///
/// # Errors
/// When `openssl` is missing or refuses.
pub fn make(dir: &Path) -> Result<()> {
    fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    let openssl = |arguments: &str| {
        run(Command::new("openssl")
            .current_dir(dir)
            .args(arguments.split_whitespace()))
        .map(drop)
    };
    openssl(
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
         -subj /CN=ward-test-authority -keyout ca.key -out ca.pem",
    )?;
    for name in HOLDERS {
        let ip = host(name)
            .with_context(|| format!("no host named {name}"))?
            .ip;
        let extensions = format!(
            "subjectAltName=IP:{ip},DNS:{name}.{DOMAIN}\nextendedKeyUsage=serverAuth,clientAuth\n"
        );
        fs::write(dir.join("extensions"), extensions).context("cannot write extensions")?;
        openssl(&format!(
            "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
             -subj /CN={name}.{DOMAIN} -keyout {name}.key -out {name}.csr"
        ))?;
        openssl(&format!(
            "x509 -req -days 2 -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial \
             -extfile extensions -out {name}.pem"
        ))?;
    }
    Ok(())
}
