//! Attacks on the ward, each judged at its target.
//!
//! An attack is real: a tool or hand-made frames, from the namespace of the host that is taken to
//! be compromised. Whether it got through is counted by a [`witness`](Witness) at the target, so
//! no counter of the gateway has a say. With the kernel bridge in the gateway's place the same
//! attacks do arrive; that is the control which gives a zero its meaning.

mod catalogue;
mod witness;

use std::fmt;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::Value;

pub use self::catalogue::ALL;
pub use self::witness::{Seen, Witness};
use crate::exchange;
use crate::layout::host;
use crate::netns::{Namespace, run};
use crate::ward::{Ward, source_dir, venv};

/// No attack may take longer than this, in seconds.
const PATIENCE_S: &str = "30";

/// One attack: who does what to whom, and how its arrival is recognised.
#[derive(Debug, Clone, Copy)]
pub struct Attack {
    /// Its name, as results show it.
    pub name: &'static str,
    /// What happens, in a sentence.
    pub what: &'static str,
    /// The compromised host.
    pub from: &'static str,
    /// Whom it is aimed at.
    pub target: Target,
    /// Who is impersonated.
    pub other: Option<&'static str>,
    /// With what it is done.
    pub tool: Tool,
    /// The frames that must not arrive, in `pcap-filter` words. `{from}`, `{target}` and `{other}`
    /// stand for network addresses, `{from.mac}` and so on for hardware addresses.
    pub arrival: &'static str,
    /// How much of it may arrive.
    pub permitted: Permitted,
    /// An exchange that goes on meanwhile, again and again, and must succeed each time.
    pub meanwhile: Option<&'static str>,
}

/// Whom an attack is aimed at.
#[derive(Debug, Clone, Copy)]
pub enum Target {
    /// A host of the ward or the hospital, by its name.
    Host(&'static str),
    /// An address on the internet, by way of the router.
    Outside(Ipv4Addr),
}

/// With what an attack is done.
#[derive(Debug, Clone, Copy)]
pub enum Tool {
    /// An attack of `attacks/attack.py`, by its name there.
    Script(&'static str),
    /// A program that attackers use; `{target}` stands for the target's address.
    Program(&'static [&'static str]),
}

/// How much of an attack may arrive at its target.
#[derive(Debug, Clone, Copy)]
pub enum Permitted {
    /// Not one frame.
    Nothing,
    /// What the device's storm guard lets pass.
    Rate {
        /// Frames per second.
        per_second: u64,
        /// Frames at once beside that.
        burst: u64,
    },
}

/// How an attack went.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// The attack.
    pub name: &'static str,
    /// What happened.
    pub what: &'static str,
    /// The compromised host.
    pub from: &'static str,
    /// Whom it was aimed at.
    pub target: String,
    /// Frames or attempts sent, where the tool says.
    pub sent: Option<u64>,
    /// Frames that arrived at the target beyond what is permitted.
    pub reached: u64,
    /// Frames that arrived in all.
    pub arrived: u64,
    /// Exchanges meanwhile: how many succeeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub meanwhile: Option<Meanwhile>,
}

/// What became of the exchange that went on during an attack.
#[derive(Debug, Clone, Serialize)]
pub struct Meanwhile {
    /// The exchange.
    pub exchange: &'static str,
    /// How often it succeeded.
    pub succeeded: u64,
    /// What went wrong, each time it did.
    pub failures: Vec<String>,
}

impl Outcome {
    /// Nothing arrived that must not, and care went on.
    pub fn stopped(&self) -> bool {
        let care_went_on = self
            .meanwhile
            .as_ref()
            .is_none_or(|meanwhile| meanwhile.failures.is_empty() && meanwhile.succeeded > 0);
        self.reached == 0 && care_went_on
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            from,
            target,
            arrived,
            reached,
            ..
        } = self;
        write!(f, "{name:<24} {from} to {target}: ")?;
        if let Some(sent) = self.sent {
            write!(f, "{sent} sent, ")?;
        }
        write!(f, "{arrived} arrived, {reached} more than permitted")?;
        if let Some(Meanwhile {
            exchange,
            succeeded,
            failures,
        }) = &self.meanwhile
        {
            write!(
                f,
                "; {exchange} meanwhile: {succeeded} succeeded, {} failed",
                failures.len()
            )?;
        }
        Ok(())
    }
}

/// The attacks of these names, or all of them.
///
/// # Errors
/// The name of which there is no attack.
pub fn choose(names: &[String]) -> Result<Vec<Attack>> {
    if names.is_empty() {
        return Ok(ALL.to_vec());
    }
    let named = |name: &String| {
        let found = ALL.iter().find(|attack| attack.name == name).copied();
        found.with_context(|| {
            let known: Vec<_> = ALL.iter().map(|attack| attack.name).collect();
            format!(
                "no attack is named `{name}`; there are {}",
                known.join(", ")
            )
        })
    };
    names.iter().map(named).collect()
}

/// Performs attacks, one after the other.
///
/// # Errors
/// When an attack could not be carried out or counted, which is a failure of the lab.
pub fn perform(ward: &Ward, attacks: &[Attack]) -> Result<Vec<Outcome>> {
    attacks.iter().map(|attack| attack.perform(ward)).collect()
}

impl Attack {
    /// Performs the attack once and counts at the target.
    ///
    /// # Errors
    /// When it could not be carried out or counted.
    pub fn perform(&self, ward: &Ward) -> Result<Outcome> {
        let (sent, seen, meanwhile) = self
            .observed(ward)
            .with_context(|| format!("attack {}", self.name))?;
        let target = match self.target {
            Target::Host(name) => name.to_owned(),
            Target::Outside(address) => address.to_string(),
        };
        Ok(Outcome {
            name: self.name,
            what: self.what,
            from: self.from,
            target,
            sent,
            reached: seen
                .frames
                .saturating_sub(self.permitted.during(seen.during)),
            arrived: seen.frames,
            meanwhile,
        })
    }

    fn observed(&self, ward: &Ward) -> Result<(Option<u64>, Seen, Option<Meanwhile>)> {
        let parties = Parties::of(self)?;
        let witness = Witness::begin(&self.viewpoint(ward), &parties.fill(self.arrival))?;
        let over = AtomicBool::new(false);
        let (sent, meanwhile) = thread::scope(|scope| {
            let care = scope.spawn(|| self.meanwhile.map(|name| care_goes_on(ward, name, &over)));
            let sent = self.strike(ward, &parties);
            over.store(true, Ordering::Relaxed);
            (sent, care.join())
        });
        let meanwhile = meanwhile
            .ok()
            .context("the exchange meanwhile panicked")?
            .transpose()?;
        Ok((sent?, witness.end()?, meanwhile))
    }

    fn viewpoint(&self, ward: &Ward) -> Namespace {
        match self.target {
            Target::Host(name) => ward.ns(name),
            Target::Outside(_) => ward.ns("inet"),
        }
    }

    /// Runs the tool, and returns how many frames it says it sent.
    fn strike(&self, ward: &Ward, parties: &Parties) -> Result<Option<u64>> {
        let mut command = ward.command(self.from, "timeout");
        command.args(["--kill-after=1", PATIENCE_S]);
        match self.tool {
            Tool::Program(words) => {
                command.args(words.iter().map(|word| parties.fill(word)));
                // Such tools fail when nobody answers, which is what we are after.
                command
                    .output()
                    .with_context(|| format!("starting {}", words[0]))?;
                Ok(None)
            }
            Tool::Script(name) => {
                command.arg(venv().join("bin/python"));
                command
                    .arg(source_dir().join("attacks/attack.py"))
                    .arg(name);
                command.args(parties.arguments());
                let said = run(&mut command)?;
                let last = said.lines().last().unwrap_or_default();
                let last: Value = serde_json::from_str(last)
                    .with_context(|| format!("the attack's last line is `{last}`"))?;
                let sent = last["sent"]
                    .as_u64()
                    .context("the attack does not say `sent`")?;
                Ok(Some(sent))
            }
        }
    }
}

/// Repeats an exchange until the attack is over, at least once.
fn care_goes_on(ward: &Ward, name: &'static str, over: &AtomicBool) -> Result<Meanwhile> {
    let exchange = exchange::named(name).with_context(|| format!("no exchange named {name}"))?;
    let mut meanwhile = Meanwhile {
        exchange: name,
        succeeded: 0,
        failures: Vec::new(),
    };
    loop {
        let outcome = exchange.perform(ward);
        if outcome.success {
            meanwhile.succeeded += 1;
        } else {
            meanwhile.failures.push(outcome.detail);
        }
        if over.load(Ordering::Relaxed) {
            return Ok(meanwhile);
        }
    }
}

impl Permitted {
    /// How many frames may have arrived after this time.
    fn during(self, time: Duration) -> u64 {
        match self {
            Self::Nothing => 0,
            Self::Rate { per_second, burst } => per_second * (time.as_secs() + 1) + burst,
        }
    }
}

/// The addresses of those who take part.
#[derive(Debug)]
struct Parties {
    from: Station,
    target: Station,
    other: Option<Station>,
}

#[derive(Debug)]
struct Station {
    mac: &'static str,
    ip: Ipv4Addr,
}

impl Parties {
    fn of(attack: &Attack) -> Result<Self> {
        let target = match attack.target {
            Target::Host(name) => Station::of(name)?,
            Target::Outside(ip) => Station {
                ip,
                ..Station::of("router")?
            },
        };
        let other = attack.other.map(Station::of).transpose()?;
        Ok(Self {
            from: Station::of(attack.from)?,
            target,
            other,
        })
    }

    fn named(&self) -> impl Iterator<Item = (&'static str, &Station)> {
        let other = self.other.as_ref().map(|station| ("other", station));
        [("from", &self.from), ("target", &self.target)]
            .into_iter()
            .chain(other)
    }

    fn fill(&self, text: &str) -> String {
        self.named().fold(text.to_owned(), |text, (name, station)| {
            text.replace(&format!("{{{name}}}"), &station.ip.to_string())
                .replace(&format!("{{{name}.mac}}"), station.mac)
        })
    }

    fn arguments(&self) -> Vec<String> {
        let flag = |name: &str| if name == "from" { "attacker" } else { name }.to_owned();
        let pairs = self.named().map(|(name, station)| {
            [
                format!("--{}", flag(name)),
                format!("{},{}", station.mac, station.ip),
            ]
        });
        pairs.flatten().collect()
    }
}

impl Station {
    fn of(name: &str) -> Result<Self> {
        let host = host(name).with_context(|| format!("no host named {name}"))?;
        Ok(Self {
            mac: host.mac,
            ip: host.ip,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_unique_and_everybody_exists() {
        let names: HashSet<_> = ALL.iter().map(|attack| attack.name).collect();
        assert_eq!(names.len(), ALL.len());
        for attack in ALL {
            let parties = Parties::of(attack).unwrap();
            let filter = parties.fill(attack.arrival);
            assert!(!filter.contains(['{', '}']), "{}: {filter}", attack.name);
        }
    }

    #[test]
    fn what_a_storm_may_do_is_what_the_policy_says() {
        let policy = crate::policy::load().unwrap();
        let guard = policy
            .devices
            .iter()
            .find(|device| device.name == "vent")
            .unwrap()
            .storm;
        let guard = guard.unwrap();
        let limits = [
            ("storm", guard.packets_per_s),
            ("broadcast-storm", guard.broadcasts_per_s),
        ];
        for (name, limit) in limits {
            let [attack] = choose(&[name.to_owned()]).unwrap()[..] else {
                panic!("{name}")
            };
            let Permitted::Rate { per_second, burst } = attack.permitted else {
                panic!("{name}")
            };
            assert_eq!(
                (per_second, burst),
                (u64::from(limit), u64::from(limit)),
                "{name}"
            );
        }
    }

    #[test]
    fn a_storm_reaches_only_with_what_is_beyond_the_guard() {
        let guard = Permitted::Rate {
            per_second: 100,
            burst: 50,
        };
        assert_eq!(guard.during(Duration::from_millis(2_500)), 350);
        assert_eq!(Permitted::Nothing.during(Duration::from_secs(9)), 0);
    }

    #[test]
    fn an_attack_that_stops_care_is_not_stopped() {
        let mut outcome = Outcome {
            name: "flood",
            what: "",
            from: "pump1",
            target: "pacs".into(),
            sent: Some(10),
            reached: 0,
            arrived: 0,
            meanwhile: Some(Meanwhile {
                exchange: "dicom-store",
                succeeded: 3,
                failures: Vec::new(),
            }),
        };
        assert!(outcome.stopped());
        outcome
            .meanwhile
            .as_mut()
            .unwrap()
            .failures
            .push("association refused".into());
        assert!(!outcome.stopped());
    }
}
