//! The Linux bridge, alone or with the allowlist in nftables.

use std::path::Path;

use anyhow::{Context, Result, bail};

use super::lane::{Reset, System};
use super::plan::ruleset;
use super::space::Namespace;

/// How the bridge enforces the allowlist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Filter {
    /// Not at all.
    None,
    /// In the bridge family, with its own connection tracking.
    Bridge,
    /// In the IP families, which see the bridge's frames through `br_netfilter`: for kernels without
    /// connection tracking in the bridge family.
    Inet,
}

/// A bridge with two ports.
#[derive(Debug)]
pub struct Bridge {
    filter: Filter,
    space: String,
}

/// Who does the forwarding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Core {
    /// The core every system gets: frames are handed to it as a NIC's interrupt would.
    Own(usize),
    /// The sender's.
    Senders,
}

impl Bridge {
    /// Forwards everything.
    ///
    /// # Errors
    /// What cannot be made.
    pub fn plain(space: &Namespace, cpu: usize) -> Result<Self> {
        Self::make(space, Filter::None, Core::Own(cpu))
    }

    /// Enforces the allowlist.
    ///
    /// # Errors
    /// What cannot be made.
    pub fn filtering(space: &Namespace, cpu: usize) -> Result<Self> {
        Self::make(space, best_filter(space)?, Core::Own(cpu))
    }

    /// The same on the sender's core.
    ///
    /// # Errors
    /// What cannot be made.
    pub fn filtering_inline(space: &Namespace) -> Result<Self> {
        Self::make(space, best_filter(space)?, Core::Senders)
    }

    fn make(space: &Namespace, filter: Filter, core: Core) -> Result<Self> {
        space.shell(
            "ip link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0\n\
             for port in ward0 core0; do ip link set $port master br0; done\n\
             ip link set br0 addrgenmode none up",
        )?;
        if let Core::Own(cpu) = core {
            space
                .shell(&format!(
                    "for port in ward0 core0; do \
                     echo {:x} > /sys/class/net/$port/queues/rx-0/rps_cpus; done",
                    1_u64 << cpu
                ))
                .context("this kernel does not hand frames to another core (CONFIG_RPS)")?;
        }
        let hooked = u8::from(filter == Filter::Inet);
        space.shell(&format!(
            "set -- /proc/sys/net/bridge/bridge-nf-call-iptables\n\
             if [ -e $1 ]; then echo {hooked} > $1; fi"
        ))?;
        match filter {
            Filter::None => {}
            Filter::Bridge => load(space, "bridge")?,
            Filter::Inet => load(space, "inet")?,
        }
        Ok(Self {
            filter,
            space: space.name().to_owned(),
        })
    }
}

impl System for Bridge {
    fn established(&mut self) -> Result<Option<u64>> {
        if self.filter == Filter::None {
            return Ok(None);
        }
        let mut list = std::process::Command::new("ip");
        list.args(["netns", "exec", &self.space, "nft", "list", "ruleset"]);
        let text = crate::process::output(&mut list)?;
        accepted(&text)
            .map(Some)
            .with_context(|| format!("no counter in the ruleset: {text}"))
    }

    fn resets(&self) -> &'static [Reset] {
        &[Reset::Bridge]
    }

    fn reset(&mut self, _how: Reset, space: &Namespace) -> Result<()> {
        space
            .shell("ip link set br0 down; ip link set br0 up")
            .map(drop)
    }
}

/// Why connection tracking in the bridge family cannot be had here; none if it can.
///
/// # Errors
/// No namespace can be made to try it.
pub fn without_bridge_tracking() -> Result<Option<String>> {
    let space = Namespace::add("probe")?;
    Ok(load(&space, "bridge").err().map(|error| {
        let said = format!("{error:#}");
        // nftables names the place in the ruleset first, and quotes it afterwards.
        let why = said.split_once("Error: ").map_or(&*said, |(_, why)| why);
        why.lines().next().unwrap_or_default().to_owned()
    }))
}

fn best_filter(space: &Namespace) -> Result<Filter> {
    if load(space, "bridge").is_ok() {
        space.shell("nft flush ruleset")?;
        return Ok(Filter::Bridge);
    }
    if !Path::new("/proc/sys/net/bridge/bridge-nf-call-iptables").exists() {
        bail!(
            "this kernel tracks no connections on bridges: neither CONFIG_NF_CONNTRACK_BRIDGE nor \
             br_netfilter"
        );
    }
    Ok(Filter::Inet)
}

fn load(space: &Namespace, family: &str) -> Result<()> {
    let script = format!("nft -f - <<'END'\n{}END\n", ruleset(family));
    space.shell(&script).map(drop)
}

/// Packets of the rule for known conversations.
fn accepted(ruleset: &str) -> Option<u64> {
    let rule = ruleset.lines().find(|line| line.contains("ct state"))?;
    let mut words = rule.split_whitespace();
    words.find(|word| *word == "packets")?;
    words.next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counter_of_the_rule_for_known_conversations_is_read() {
        let text = "table inet bench {\n\tchain forward {\n\t\ttype filter hook forward priority \
                    filter; policy drop;\n\t\tct state established,related counter packets 42 \
                    bytes 4200 accept\n\t\tudp dport 7000 counter packets 1 bytes 1 accept\n";
        assert_eq!(accepted(text), Some(42));
        assert_eq!(accepted("table inet bench {}"), None);
    }
}
