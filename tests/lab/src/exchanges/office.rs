//! The physician's workstation and the medication cabinet in the hospital's domain.

use anyhow::{Result, ensure};

use crate::exchange::{Exchange, on, token};
use crate::services::domain::{ADMINISTRATOR, PHYSICIAN, REALM, member_configuration};
use crate::ward::Ward;

pub(super) const ALL: &[Exchange] = &[
    Exchange {
        name: "workstation-logon",
        device: "pc",
        rules: &["domain-kerberos", "domain-ldap"],
        run: logon,
    },
    Exchange {
        name: "workstation-files",
        device: "pc",
        rules: &["domain-kerberos", "domain-smb"],
        run: files,
    },
    Exchange {
        name: "cabinet-domain",
        device: "cabinet",
        // Its tickets come over UDP or TCP, whichever is open: neither rule is needed alone.
        rules: &["domain-ldap", "domain-smb"],
        run: cabinet,
    },
];

/// The physician logs on (Kerberos) and is looked up in the directory (LDAP, with that ticket).
fn logon(ward: &Ward) -> Result<String> {
    let script = format!(
        "{} && ldapsearch -LLL -Q -N -Y GSSAPI -H ldap://dc.ward.test -b dc=ward,dc=test \
         '(sAMAccountName={user})' distinguishedName",
        kinit(ward, "logon", PHYSICIAN)?,
        user = PHYSICIAN.0
    );
    let text = on(ward, "pc", "sh", &["-ec", &script])?;
    ensure!(
        text.contains("CN=physician,CN=Users"),
        "the directory answered {}",
        text.trim()
    );
    Ok("ticket for the physician, entry read from the directory with it".to_owned())
}

/// The physician leaves a note on the file share; it must be there on the server.
fn files(ward: &Ward) -> Result<String> {
    let note = token("note");
    let (samba, _) = member_configuration(ward, "pc")?;
    let script = format!(
        "{} && cd {dir} && echo {note} > {note} && smbclient -s {samba} --use-kerberos=required \
         --use-krb5-ccache=$KRB5CCNAME //dc.ward.test/clinical -c 'get guideline.txt {note}.got; put {note}' && cat {note}.got",
        kinit(ward, "files", PHYSICIAN)?,
        dir = ward.dir().join("data/member-pc").display(),
        samba = samba.display(),
    );
    let text = on(ward, "pc", "sh", &["-ec", &script])?;
    ensure!(
        text.contains("wash your hands"),
        "the share answered {}",
        text.trim()
    );
    let there = ward.dir().join("data/samba/share").join(&note).exists();
    ensure!(there, "the note {note} did not arrive on the server");
    Ok(format!(
        "guideline read from the share, {note} found on the server"
    ))
}

/// The cabinet joins the domain afresh and proves its account.
fn cabinet(ward: &Ward) -> Result<String> {
    let (samba, kerberos) = member_configuration(ward, "cabinet")?;
    let script = format!(
        "export KRB5_CONFIG={}; net ads join -s {samba} -U '{}%{}' --use-kerberos=required \
         --no-dns-updates && \
         net ads testjoin -s {samba}",
        kerberos.display(),
        ADMINISTRATOR.0,
        ADMINISTRATOR.1,
        samba = samba.display(),
    );
    let text = on(ward, "cabinet", "sh", &["-ec", &script])?;
    ensure!(
        text.contains("Join is OK"),
        "the domain answered {}",
        text.trim()
    );
    let listed = on(
        ward,
        "dc",
        "samba-tool",
        &[
            "computer",
            "list",
            "-s",
            &ward.dir().join("etc/dc.conf").display().to_string(),
        ],
    )?;
    ensure!(
        listed.contains("CABINET$"),
        "the domain does not list the cabinet: {listed}"
    );
    Ok("joined, account proved, listed by the domain controller".to_owned())
}

/// A shell command that gets a ticket into a cache of its own.
fn kinit(ward: &Ward, cache: &str, (user, password): (&str, &str)) -> Result<String> {
    let (_, kerberos) = member_configuration(ward, "pc")?;
    let cache = ward
        .dir()
        .join("data/member-pc")
        .join(format!("ccache-{cache}"));
    Ok(format!(
        "export KRB5_CONFIG={} KRB5CCNAME=FILE:{}; echo '{password}' | kinit {user}@{REALM} >/dev/null",
        kerberos.display(),
        cache.display()
    ))
}
