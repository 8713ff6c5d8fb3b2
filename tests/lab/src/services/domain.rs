//! The domain controller: a real Samba Active Directory with one person, one share.
//!
//! Making a domain takes some seconds of pure set-up, so it is done once and kept in
//! `target/lab/samba`; each ward starts from a copy.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::{data_dir, write_config};
use crate::netns::run;
use crate::process::Tracked;
use crate::ward::{Ward, address_of, cache_dir};

/// Kerberos realm.
pub const REALM: &str = "WARD.TEST";
/// Who may join computers. The domain lives in the test only, so does the password.
pub const ADMINISTRATOR: (&str, &str) = ("Administrator", "Ward-Test-1");
/// Who logs on at the workstation.
pub const PHYSICIAN: (&str, &str) = ("physician", "Ward-Test-2");
/// Ports for remote procedure calls, kept together so that a policy could name them.
const RPC_PORTS: &str = "49152-49159";

/// Starts the domain controller.
pub(super) fn start(ward: &Ward) -> Result<Tracked> {
    let made = cache_dir().join("samba");
    if !made.join("complete").exists() {
        make_domain(&made).context("cannot make the domain")?;
    }
    let data = data_dir(ward, "samba")?;
    run(Command::new("cp")
        .arg("-a")
        .arg(format!("{}/.", made.display()))
        .arg(&data))?;
    let share = data.join("share");
    fs::create_dir_all(&share).context("cannot create the file share")?;
    run(Command::new("chmod").arg("0777").arg(&share))?;
    fs::write(share.join("guideline.txt"), "wash your hands\n").context("cannot fill the share")?;
    let config = write_config(
        ward,
        "dc.conf",
        &configuration(&data, Some(&address_of("dc")?)),
    )?;
    // Samba's parts find winbindd at a path fixed in the library. A mount of our own puts the
    // ward's directory there, for the programs on this host only.
    let mut command = ward.command("dc", "sh");
    command.args([
        "-ec",
        "mkdir -p /run/samba; mount --bind \"$0\" /run/samba; exec samba \"$@\"",
    ]);
    command.arg(data_dir(ward, "samba/run")?);
    command.args(["--foreground", "--no-process-group", "--debug-stdout"]);
    command.arg(format!("--configfile={}", config.display()));
    ward.start("dc", "samba", command)
}

/// Waits until directory, Kerberos and files answer.
pub(super) fn wait(ward: &Ward, dc: &Tracked) -> Result<()> {
    [88, 389, 445, 53]
        .into_iter()
        .try_for_each(|port| ward.wait_for_port(dc, port))
}

/// What a domain member needs to find its domain: configuration files for Samba's and Kerberos'
/// client programs, returned in that order.
///
/// # Errors
/// When they cannot be written.
pub fn member_configuration(ward: &Ward, host: &str) -> Result<(PathBuf, PathBuf)> {
    let data = data_dir(ward, &format!("member-{host}"))?;
    for dir in ["private", "state", "cache", "lock", "run"] {
        data_dir(ward, &format!("member-{host}/{dir}"))?;
    }
    let samba = format!(
        "[global]\nnetbios name = {}\nworkgroup = WARD\nrealm = {REALM}\nsecurity = ads\n\
         kerberos method = secrets only\nserver role = member server\ndisable netbios = yes\n{}",
        host.to_uppercase(),
        directories(&data)
    );
    let kerberos = format!(
        "[libdefaults]\ndefault_realm = {REALM}\ndns_lookup_kdc = true\ndns_lookup_realm = false\n\
         rdns = false\ndefault_ccache_name = FILE:{}/ccache\n",
        data.display()
    );
    Ok((
        write_config(ward, &format!("{host}-smb.conf"), &samba)?,
        write_config(ward, &format!("{host}-krb5.conf"), &kerberos)?,
    ))
}

fn make_domain(made: &Path) -> Result<()> {
    let fresh = made.with_extension(std::process::id().to_string());
    fs::create_dir_all(&fresh).with_context(|| format!("cannot create {}", fresh.display()))?;
    run(Command::new("samba-tool")
        .args([
            "domain",
            "provision",
            "--server-role=dc",
            "--dns-backend=SAMBA_INTERNAL",
        ])
        .args(["--domain=WARD", "--host-name=dc"])
        .arg(format!("--realm={REALM}"))
        .arg(format!("--host-ip={}", address_of("dc")?))
        .arg(format!("--adminpass={}", ADMINISTRATOR.1))
        .arg(format!("--targetdir={}", fresh.display()))
        .arg("--option=vfs objects=dfs_samba4 acl_xattr xattr_tdb"))?;
    let config = fresh.join("provision.conf");
    fs::write(&config, configuration(&fresh, None)).context("cannot write a configuration")?;
    run(Command::new("samba-tool")
        .args(["user", "create", PHYSICIAN.0, PHYSICIAN.1])
        .arg(format!("--configfile={}", config.display())))?;
    // Samba registers its own service names only with its DNS update service, which we do not run.
    for service in [
        "ldap/dc.ward.test",
        "ldap/dc.ward.test/ward.test",
        "ldap/dc",
    ] {
        run(Command::new("samba-tool")
            .args(["spn", "add", service, "dc$"])
            .arg(format!("--configfile={}", config.display())))?;
    }
    fs::write(fresh.join("complete"), "").context("cannot finish the domain")?;
    match fs::rename(&fresh, made) {
        // Another ward was faster: its domain is as good.
        Err(_) if made.join("complete").exists() => fs::remove_dir_all(&fresh).map_err(Into::into),
        other => other.context("cannot keep the domain for the next run"),
    }
}

/// The domain controller's configuration. Extended attributes go to a database, so that the file
/// system need not have them. It serves one address and not all of the interface: Samba ends when an
/// IPv6 address, which comes by announcement while it starts, cannot be bound yet.
fn configuration(data: &Path, address: Option<&str>) -> String {
    let interfaces = address.map_or_else(String::new, |address| {
        format!("interfaces = lo {address}/22\nbind interfaces only = yes\n")
    });
    let data_path = data.display();
    format!(
        "[global]\nnetbios name = DC\nworkgroup = WARD\nrealm = {REALM}\n\
         server role = active directory domain controller\n\
         server services = s3fs, rpc, ldap, cldap, kdc, winbindd, dns\n\
         rpc server dynamic port range = {RPC_PORTS}\n\
         disable netbios = yes\nldap server require strong auth = no\n\
         vfs objects = dfs_samba4 acl_xattr xattr_tdb\nload printers = no\n\
         {interfaces}{}\
         [sysvol]\npath = {data_path}/state/sysvol\nread only = no\n\
         [netlogon]\npath = {data_path}/state/sysvol/ward.test/scripts\nread only = no\n\
         [clinical]\npath = {data_path}/share\nread only = no\n",
        directories(data)
    )
}

/// Keeps every file of a Samba program inside `data`.
fn directories(data: &Path) -> String {
    let data = data.display();
    format!(
        "private dir = {data}/private\nstate directory = {data}/state\n\
         cache directory = {data}/cache\nlock directory = {data}/lock\npid directory = {data}/run\n\
         ncalrpc dir = {data}/ncalrpc\n\
         ntp signd socket directory = {data}/ntp\nbinddns dir = {data}/bind-dns\n\
         usershare path =\nlog file = {data}/log.%m\nlogging = file\n"
    )
}
