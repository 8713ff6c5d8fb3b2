//! A guest comes to the ward: its cable gets its faults, its kernel its habits, it asks for an
//! address and starts what it plays.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::json;

use super::cast::{Network, Player};
use crate::layout::{Addressing, Side};
use crate::services::{lease_environment, unconfined};
use crate::ward::{Ward, source_dir};

/// Plugs the guest in and starts its programs, which wait for the address themselves.
///
/// # Errors
/// What could not be set or started.
pub(super) fn join(ward: &Ward, player: &Player, seed: u64) -> Result<()> {
    set_habits(ward, player)?;
    ward.plug_in(&player.guest)?;
    start_dhcp_client(ward, player)?;
    let name = &player.guest.name;
    let part = json!({
        "name": name,
        "address": player.guest.ip,
        "mac": player.guest.mac,
        "hostname": player.network.hostname,
        "seed": format!("{seed}/{name}"),
        "certs": ward.dir().join("certs"),
        "dir": ward.dir().join("data"),
        "does": player.does,
    });
    let mut command = ward.actor(name, "play");
    command.arg(part.to_string());
    ward.start(name, "play", command).map(drop)
}

/// Loss on the cable, both ways: what is lost from the guest never reaches the box, what is lost
/// towards it was seen there. A slow interface sends in its own time.
fn set_habits(ward: &Ward, player: &Player) -> Result<()> {
    let (name, network) = (&player.guest.name, &player.network);
    let net = "/proc/sys/net";
    let mut script = format!(
        "echo {} > {net}/ipv4/ip_default_ttl\necho {} > {net}/ipv4/tcp_timestamps\n",
        network.ttl,
        u8::from(network.timestamps)
    );
    if !network.ipv6 {
        script += &format!("echo 1 > {net}/ipv6/conf/eth0/disable_ipv6\n");
    }
    if network.rate_kbit > 0 {
        script += &format!(
            "tc qdisc add dev eth0 root tbf rate {}kbit burst 6000 latency 400ms\n",
            network.rate_kbit
        );
    }
    ward.ns(name).shell(&script)?;
    if network.loss == 0 {
        return Ok(());
    }
    let switch = match player.guest.side {
        Side::Ward => "wsw",
        Side::Core => "csw",
    };
    let rules = ["ingress", "egress"].map(|hook| {
        format!(
            "add table netdev {name}\nadd chain netdev {name} {hook} {{ type filter hook {hook} \
             device {name} priority 0; }}\nadd rule netdev {name} {hook} \
             numgen random mod 1000 < {} drop\n",
            network.loss
        )
    });
    ward.ns(switch)
        .shell(&format!("nft -f - <<'END'\n{}END\n", rules.concat()))
        .with_context(|| format!("cannot make the cable of {name} lossy"))
}

fn start_dhcp_client(ward: &Ward, player: &Player) -> Result<()> {
    let (guest, network) = (&player.guest, &player.network);
    let mut command = match guest.addressing {
        Addressing::Static(_) => return Ok(()),
        Addressing::Udhcpc => udhcpc(ward, &guest.name, network),
        Addressing::Dhclient => dhclient(ward, &guest.name, network)?,
    };
    command.envs(lease_environment(ward, &guest.name));
    ward.start(&guest.name, "dhcp", command).map(drop)
}

fn udhcpc(ward: &Ward, name: &str, network: &Network) -> Command {
    let mut command = ward.command(name, "udhcpc");
    command.args(["-f", "-i", "eth0", "-t", "30", "-T", "2"]);
    if !network.hostname.is_empty() {
        command
            .arg("-x")
            .arg(format!("hostname:{}", network.hostname));
    }
    command
        .arg("-s")
        .arg(source_dir().join("actors/dhcp-lease.sh"));
    // The client sends "udhcp" and its version unless told otherwise.
    command.arg("-V").arg(&network.vendor_class);
    if !network.request.is_empty() {
        command.arg("-o");
    }
    for option in network.request.split_whitespace() {
        command.arg("-O").arg(option);
    }
    command
}

fn dhclient(ward: &Ward, name: &str, network: &Network) -> Result<Command> {
    let file = |kind: &str| ward.dir().join(format!("dhclient-{name}.{kind}"));
    let mut config = String::from(
        "option rfc3442-classless-static-routes code 121 = array of unsigned integer 8;\n\
         option ms-routes code 249 = array of unsigned integer 8;\n\
         option wpad code 252 = text;\ninitial-interval 2;\n",
    );
    if !network.hostname.is_empty() {
        config += &format!("send host-name \"{}\";\n", network.hostname);
    }
    if !network.vendor_class.is_empty() {
        config += &format!(
            "send vendor-class-identifier \"{}\";\n",
            network.vendor_class
        );
    }
    if !network.request.is_empty() {
        let options: Vec<&str> = network.request.split_whitespace().collect();
        config += &format!("request {};\n", options.join(", "));
    }
    fs::write(file("conf"), config).context("cannot write the dhclient configuration")?;
    let mut command = ward.ns(name).command(unconfined("dhclient")?);
    command
        .args(["-d", "-sf"])
        .arg(source_dir().join("actors/dhcp-lease.sh"));
    command.arg("-cf").arg(file("conf"));
    command.arg("-lf").arg(file("leases"));
    command.arg("-pf").arg(file("pid")).arg("eth0");
    for (name, value) in lease_environment(ward, name) {
        command.arg("-e").arg(format!("{name}={}", value.display()));
    }
    Ok(command)
}
