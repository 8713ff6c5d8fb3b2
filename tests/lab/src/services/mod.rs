//! What runs on the hosts: the hospital's servers and the devices' own programs.

pub(crate) mod devices;
pub(crate) mod domain;
pub(crate) mod hospital;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::layout::{Addressing, Guest, HOSTS, Host, PREFIX_V6, Side};
use crate::netns::run;
use crate::process::Tracked;
use crate::ward::{Ward, address_of, cache_dir, source_dir};

pub use devices::start_swarm;

/// The device that works over IPv6 too.
const IPV6_DEVICE: &str = "badge";
/// How long a device may take to get its address.
const LEASE_LIMIT: Duration = Duration::from_secs(20);

/// Starts every server of the hospital, which knows the guests too, and waits until each answers.
///
/// # Errors
/// The service that did not come up, with the end of its log.
pub fn start_hospital(ward: &Ward, guests: &[Guest]) -> Result<()> {
    hospital::start(ward, guests)
}

/// Gives every device its address, then starts what the device itself serves.
///
/// # Errors
/// The device that got no address, or the program that did not come up.
pub fn start_devices(ward: &Ward) -> Result<()> {
    let mut clients = Vec::new();
    for host in HOSTS.iter().filter(|host| host.side == Side::Ward) {
        if let Some(client) = start_dhcp_client(ward, host)? {
            clients.push(client);
        }
    }
    for client in &clients {
        let lease = lease_file(ward, &client.host);
        ward.wait_for(
            client,
            &format!("{} has an address", client.host),
            LEASE_LIMIT,
            || lease.exists(),
        )?;
    }
    devices::start(ward)?;
    wait_for_ipv6(ward, IPV6_DEVICE)
}

/// Waits until a device has made itself an address from the announced prefix and may use it.
fn wait_for_ipv6(ward: &Ward, host: &str) -> Result<()> {
    let deadline = Instant::now() + LEASE_LIMIT;
    loop {
        let mut list = Command::new("ip");
        list.args([
            "-n",
            ward.ns(host).name(),
            "-6",
            "-o",
            "addr",
            "show",
            "dev",
            "eth0",
        ]);
        let text = run(list.args(["scope", "global", "-tentative"]))?;
        if text.contains(PREFIX_V6.trim_end_matches(':')) {
            return Ok(());
        }
        ensure!(
            Instant::now() < deadline,
            "{host} has made itself no IPv6 address"
        );
        thread::sleep(Duration::from_millis(50));
    }
}

/// Where a device's DHCP client notes the leases it got.
pub fn lease_file(ward: &Ward, host: &str) -> PathBuf {
    ward.dir().join(format!("lease-{host}"))
}

/// What `dhcp-lease.sh` needs to know.
pub(crate) fn lease_environment(ward: &Ward, host: &str) -> [(&'static str, PathBuf); 2] {
    let resolver = Path::new("/etc/netns")
        .join(ward.ns(host).name())
        .join("resolv.conf");
    [
        ("LEASE_FILE", lease_file(ward, host)),
        ("RESOLVER_FILE", resolver),
    ]
}

fn start_dhcp_client(ward: &Ward, host: &Host) -> Result<Option<Tracked>> {
    let script = source_dir().join("actors/dhcp-lease.sh");
    let mut command = match host.addressing {
        Addressing::Static(_) => return Ok(None),
        Addressing::Udhcpc => {
            let mut command = ward.command(host.name, "udhcpc");
            command.args(["-f", "-i", "eth0", "-t", "8", "-T", "1", "-x"]);
            command
                .arg(format!("hostname:{}", host.name))
                .arg("-s")
                .arg(script);
            command
        }
        Addressing::Dhclient => {
            let mut command = ward.ns(host.name).command(unconfined("dhclient")?);
            let file = |kind: &str| ward.dir().join(format!("dhclient-{}.{kind}", host.name));
            fs::write(file("conf"), format!("send host-name \"{}\";\n", host.name))
                .context("cannot write the dhclient configuration")?;
            command
                .args(["-d", "-sf"])
                .arg(script)
                .arg("-cf")
                .arg(file("conf"));
            command
                .arg("-lf")
                .arg(file("leases"))
                .arg("-pf")
                .arg(file("pid"))
                .arg("eth0");
            // dhclient hands its script a clean environment, save for what `-e` names.
            for (name, value) in lease_environment(ward, host.name) {
                command.arg("-e").arg(format!("{name}={}", value.display()));
            }
            command
        }
    };
    command.envs(lease_environment(ward, host.name));
    ward.start(host.name, "dhcp", command).map(Some)
}

/// A copy of a system program. Debian confines some daemons by their path to their usual
/// directories (AppArmor); the ward's own directories are not among those.
pub(crate) fn unconfined(program: &str) -> Result<PathBuf> {
    let dir = cache_dir().join("bin");
    fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    let copy = dir.join(program);
    let found = run(Command::new("sh").args(["-c", &format!("command -v {program}")]))
        .with_context(|| format!("`{program}` is missing: install what packages.txt lists"))?;
    let source = PathBuf::from(found.trim());
    let stale = fs::metadata(&copy).and_then(|copy| copy.modified()).ok()
        < fs::metadata(&source)
            .and_then(|source| source.modified())
            .ok();
    if stale {
        // Renamed into place, since the old copy may be running in another ward.
        let fresh = dir.join(format!("{program}.{}", std::process::id()));
        fs::copy(&source, &fresh).with_context(|| format!("cannot copy {}", source.display()))?;
        fs::rename(&fresh, &copy).with_context(|| format!("cannot write {}", copy.display()))?;
    }
    Ok(copy)
}

/// Writes a configuration file of a host and returns its path.
pub(crate) fn write_config(ward: &Ward, file: &str, content: &str) -> Result<PathBuf> {
    let dir = ward.dir().join("etc");
    fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    let path = dir.join(file);
    fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

/// A directory for a service's data.
pub(crate) fn data_dir(ward: &Ward, name: &str) -> Result<PathBuf> {
    let dir = ward.dir().join("data").join(name);
    fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    Ok(dir)
}

/// Waits for several ports at once, so that slow starters overlap.
pub(crate) fn wait_for_ports(ward: &Ward, programs: &[(Tracked, u16)]) -> Result<()> {
    thread::scope(|scope| {
        let waits: Vec<_> = programs
            .iter()
            .map(|(program, port)| scope.spawn(move || ward.wait_for_port(program, *port)))
            .collect();
        waits.into_iter().try_for_each(|wait| {
            wait.join()
                .map_err(|_| anyhow::anyhow!("a wait panicked"))?
        })
    })
}

/// A node of the broadcast monitoring network.
pub(crate) fn unity_node(ward: &Ward, name: &str, options: &[&str]) -> Result<Command> {
    let mut command = ward.actor(name, "unity");
    command
        .args(["node", name, &address_of(name)?])
        .args(options);
    Ok(command)
}
