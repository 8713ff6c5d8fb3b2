//! Who plays in a recording: drawn by a seed from the table of parts in `cast.toml`.
//!
//! The same seed draws the same cast. How the table is read is said at its top.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use anyhow::{Context, Result, bail, ensure};
use fastrand::Rng;
use serde::Deserialize;
use toml::{Table, Value};
use wardline_classifier::Role;

use crate::layout::{Addressing, Guest, Side, host};

/// The table of parts.
const PARTS: &str = include_str!("../../cast.toml");
/// First number of the guests' addresses on either side, above those of the layout.
const FIRST: u8 = 100;

/// How likely a device is to do each of the extras.
const EXTRA: f64 = 0.15;

/// A guest and what it plays.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Player {
    pub guest: Guest,
    /// What whoever looks at its traffic should find; `None` where no role names it.
    pub role: Option<Role>,
    /// Which programs and libraries play it.
    pub stack: String,
    /// Which of its makers, firmwares or habits was drawn.
    pub variant: String,
    pub network: Network,
    /// What it does all the time, as `play.py` reads it.
    pub does: Value,
}

/// How a device sits on the network.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Network {
    /// Whether ISC `dhclient` asks for its address, not `udhcpc`.
    pub dhclient: bool,
    /// What it calls itself then.
    pub hostname: String,
    /// Its DHCP vendor class; none when empty.
    pub vendor_class: String,
    /// Options it asks for, in the notation of the client; the client's own list when empty.
    pub request: String,
    /// Frames lost on its cable, of a thousand in each direction.
    pub loss: u32,
    /// What its interface can send, in kbit/s; 0 is no limit.
    pub rate_kbit: u32,
    /// Time to live of its packets.
    pub ttl: u8,
    /// Whether its TCP sends timestamps.
    pub timestamps: bool,
    /// Whether it speaks IPv6 at all.
    pub ipv6: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parts {
    network: Table,
    /// Named changes to it.
    profiles: HashMap<String, Table>,
    /// What some devices do whatever they are for.
    extras: Vec<Value>,
    part: Vec<Part>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Part {
    id: String,
    #[serde(default)]
    role: Option<Role>,
    stack: String,
    side: Side,
    copies: Value,
    #[serde(default)]
    address: Address,
    profile: Value,
    #[serde(default)]
    does: Vec<Value>,
    variant: Vec<Table>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Address {
    /// By DHCP on the ward's side, by hand on the hospital's.
    #[default]
    Usual,
    /// By hand.
    Static,
    /// By hand, in the range of the broadcast monitors.
    Unity,
}

/// Draws who plays.
///
/// # Errors
/// What the table has wrong.
pub(super) fn draw(seed: u64) -> Result<Vec<Player>> {
    let parts: Parts = toml::from_str(PARTS).context("cannot read the table of parts")?;
    let rng = &mut Rng::with_seed(seed);
    let mut guests = Vec::new();
    for part in &parts.part {
        let variants = choose_variants(part, rng)?;
        for (number, variant) in variants.into_iter().enumerate() {
            let values = values_of(part, number + 1, variant, rng)
                .with_context(|| format!("a variant of {}", part.id))?;
            guests.push((part, guest(part, &values, &guests, rng)?, values));
        }
    }
    let addresses = addresses(&guests);
    guests
        .into_iter()
        .map(|(part, guest, values)| {
            let mut pen = Pen {
                rng,
                values: &values,
                addresses: &addresses,
            };
            let id = guest.name.clone();
            pen.player(part, guest, &parts)
                .with_context(|| format!("the part of {id}"))
        })
        .collect()
}

/// As many variants as there are to be copies; none twice while others are left.
fn choose_variants<'a>(part: &'a Part, rng: &mut Rng) -> Result<Vec<&'a Table>> {
    let copies = pick(&part.copies, rng)
        .as_integer()
        .with_context(|| format!("{}: copies are numbers", part.id))?;
    ensure!(!part.variant.is_empty(), "{} has no variant", part.id);
    let mut order: Vec<&Table> = part.variant.iter().collect();
    rng.shuffle(&mut order);
    Ok(order
        .into_iter()
        .cycle()
        .take(usize::try_from(copies)?)
        .collect())
}

/// What `{…}` stands for in the texts of a player; these values may speak of each other once.
fn values_of(part: &Part, number: usize, variant: &Table, rng: &mut Rng) -> Result<Table> {
    let mut picked = Table::new();
    picked.insert("id".into(), format!("{}{number}", part.id).into());
    let serial = rng.u32(100_000..1_000_000);
    picked.insert("serial".into(), serial.to_string().into());
    for (name, value) in variant {
        picked.insert(name.clone(), pick(value, rng));
    }
    let pen = Pen {
        rng,
        values: &picked,
        addresses: &HashMap::new(),
    };
    let values = picked.iter().map(|(name, value)| {
        let value = match value {
            Value::String(text) => Value::String(pen.text(text)?),
            other => other.clone(),
        };
        Ok((name.clone(), value))
    });
    values.collect()
}

type Drafts<'a> = Vec<(&'a Part, Guest, Table)>;

fn guest(part: &Part, values: &Table, others: &Drafts<'_>, rng: &mut Rng) -> Result<Guest> {
    let text = |name: &str| values.get(name).and_then(Value::as_str);
    let name = text("id").unwrap_or_default().to_owned();
    ensure!(name.len() <= 15, "`{name}` is too long for an interface");
    let maker = text("mac").with_context(|| format!("{name} has no maker's prefix"))?;
    let [a, b, c] = [(); 3].map(|()| rng.u8(..));
    let taken = others
        .iter()
        .filter(|(other, ..)| other.side == part.side)
        .count();
    let last = u8::try_from(taken).ok().and_then(|n| n.checked_add(FIRST));
    let last = last.context("more guests than addresses")?;
    let (ip, addressing) = match (part.side, part.address) {
        (Side::Core, Address::Unity) => ([126, 33, 0, last], Addressing::Static(8)),
        (Side::Ward, Address::Unity) => ([126, 33, 1, last], Addressing::Static(8)),
        (Side::Core, _) => ([10, 20, 0, last], Addressing::Static(22)),
        (Side::Ward, Address::Static) => ([10, 20, 1, last], Addressing::Static(22)),
        // Which client asks is drawn later, with the rest of the network.
        (Side::Ward, Address::Usual) => ([10, 20, 1, last], Addressing::Udhcpc),
    };
    Ok(Guest {
        name,
        side: part.side,
        mac: format!("{maker}:{a:02x}:{b:02x}:{c:02x}"),
        ip: Ipv4Addr::from(ip),
        addressing,
        subject: text("subject").map(str::to_owned),
    })
}

/// The addresses of all copies of each part.
fn addresses(guests: &Drafts<'_>) -> HashMap<String, Vec<Ipv4Addr>> {
    let mut addresses: HashMap<String, Vec<Ipv4Addr>> = HashMap::new();
    for (part, guest, _) in guests {
        let id = part.id.clone();
        addresses.entry(id).or_default().push(guest.ip);
    }
    addresses
}

/// Draws choices and fills in names for one player.
struct Pen<'a> {
    rng: &'a mut Rng,
    values: &'a Table,
    addresses: &'a HashMap<String, Vec<Ipv4Addr>>,
}

impl Pen<'_> {
    fn player(&mut self, part: &Part, mut guest: Guest, parts: &Parts) -> Result<Player> {
        let profile = pick(&part.profile, self.rng);
        let profile = profile.as_str().and_then(|name| parts.profiles.get(name));
        let mut network = parts.network.clone();
        network.extend(profile.context("it has no known profile")?.clone());
        if let Some(Value::Table(own)) = self.values.get("network") {
            network.extend(own.clone());
        }
        let network: Network = self.draw(&Value::Table(network))?.try_into()?;
        if guest.addressing == Addressing::Udhcpc && network.dhclient {
            guest.addressing = Addressing::Dhclient;
        }
        let joined = part.side == Side::Ward && part.address != Address::Unity;
        let extras = parts.extras.iter().filter(|_| joined);
        let extras: Vec<&Value> = extras.filter(|_| self.rng.f64() < EXTRA).collect();
        let does = part.does.iter().chain(extras).map(|one| self.draw(one));
        let does = does.collect::<Result<_>>()?;
        Ok(Player {
            role: part.role,
            stack: part.stack.clone(),
            variant: self.text("{name}")?,
            network,
            does: Value::Array(does),
            guest,
        })
    }

    fn draw(&mut self, value: &Value) -> Result<Value> {
        Ok(match pick(value, self.rng) {
            Value::String(text) => match text.strip_prefix('@') {
                Some(peer) => self.address(peer)?,
                None => self.fill(&text)?,
            },
            Value::Table(table) => match table.get("all") {
                Some(Value::Array(every)) => Value::Array(
                    every
                        .iter()
                        .map(|one| self.draw(one))
                        .collect::<Result<_>>()?,
                ),
                _ => {
                    let entries = table.iter().map(|(name, value)| {
                        let drawn = self.draw(value).with_context(|| format!("at `{name}`"))?;
                        Ok((name.clone(), drawn))
                    });
                    Value::Table(entries.collect::<Result<_>>()?)
                }
            },
            other => other,
        })
    }

    /// A text that is one name becomes that value, be it a number or an address to be drawn.
    fn fill(&mut self, text: &str) -> Result<Value> {
        let name = text
            .strip_prefix('{')
            .and_then(|rest| rest.strip_suffix('}'));
        match name.and_then(|name| self.values.get(name)) {
            Some(Value::String(value)) => match value.strip_prefix('@') {
                Some(peer) => self.address(peer),
                None => Ok(Value::String(value.clone())),
            },
            Some(value) => Ok(value.clone()),
            None => self.text(text).map(Value::String),
        }
    }

    fn text(&self, text: &str) -> Result<String> {
        let mut full = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after
                .split_once('}')
                .with_context(|| format!("`{text}` has a brace without an end"))?;
            full += before;
            full += &match self.values.get(name) {
                Some(Value::String(value)) => value.clone(),
                Some(value) => value.to_string(),
                None => bail!("`{text}` speaks of {name}, which the variant does not have"),
            };
            rest = after;
        }
        Ok(full + rest)
    }

    /// `@ID`: one host; `@every ID`: all copies of a part.
    fn address(&mut self, peer: &str) -> Result<Value> {
        if let Some(id) = peer.strip_prefix("every ") {
            let all = self.addresses.get(id).map_or(&[][..], Vec::as_slice);
            return Ok(Value::Array(
                all.iter().map(|ip| Value::String(ip.to_string())).collect(),
            ));
        }
        let ip = match self.addresses.get(peer) {
            Some(copies) => self.rng.choice(copies).copied(),
            None => host(peer).map(|host| host.ip),
        };
        let ip = ip.with_context(|| format!("nobody is called {peer}"))?;
        Ok(Value::String(ip.to_string()))
    }
}

/// One of a list, one within a range; anything else is itself.
fn pick(value: &Value, rng: &mut Rng) -> Value {
    match value {
        Value::Array(choices) if !choices.is_empty() => {
            pick(&choices[rng.usize(..choices.len())], rng)
        }
        Value::Table(table) if table.len() == 2 => match (table.get("from"), table.get("to")) {
            (Some(Value::Integer(from)), Some(Value::Integer(to))) => {
                Value::Integer(rng.i64(*from..=*to))
            }
            (Some(Value::Float(from)), Some(Value::Float(to))) => {
                Value::Float(from + rng.f64() * (to - from))
            }
            _ => value.clone(),
        },
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_seed_draws_a_whole_cast_without_doubles() {
        for seed in 0..200 {
            let cast = draw(seed).unwrap();
            let unique =
                |key: fn(&Player) -> String| cast.iter().map(key).collect::<HashSet<_>>().len();
            assert_eq!(unique(|player| player.guest.mac.clone()), cast.len());
            assert_eq!(unique(|player| player.guest.ip.to_string()), cast.len());
            assert_eq!(unique(|player| player.guest.name.clone()), cast.len());
        }
    }

    #[test]
    fn a_seed_draws_the_same_again_and_another_seed_something_else() {
        assert_eq!(draw(7).unwrap(), draw(7).unwrap());
        assert_ne!(draw(7).unwrap(), draw(8).unwrap());
    }

    #[test]
    fn every_hardware_address_is_unicast_and_global() {
        for player in draw(1).unwrap() {
            let first = u8::from_str_radix(&player.guest.mac[..2], 16).unwrap();
            assert_eq!(first & 0b11, 0, "{}", player.guest.name);
        }
    }

    #[test]
    fn choices_ranges_names_and_addresses_are_filled_in() {
        let values = toml::from_str("model = \"A1\"").unwrap();
        let addresses = HashMap::from([("srv".to_owned(), vec![Ipv4Addr::new(10, 20, 0, 100)])]);
        let mut pen = Pen {
            rng: &mut Rng::with_seed(1),
            values: &values,
            addresses: &addresses,
        };
        let value: Value = toml::from_str(
            "a = [\"{model}-x\"]\nb = { from = 3, to = 3 }\nc = \"@srv\"\nd = \"@every srv\"\n\
             e = { all = [1, 2] }\nf = \"@pacs\"",
        )
        .map(Value::Table)
        .unwrap();
        let drawn = pen.draw(&value).unwrap().to_string();
        assert_eq!(
            drawn,
            "{ a = \"A1-x\", b = 3, c = \"10.20.0.100\", d = [\"10.20.0.100\"], e = [1, 2], \
             f = \"10.20.0.10\" }"
        );
        assert!(pen.draw(&Value::String("{maker}".into())).is_err());
        assert!(pen.draw(&Value::String("@nobody".into())).is_err());
    }
}
