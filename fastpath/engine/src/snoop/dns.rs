//! DNS over UDP (RFC 1035): which name was asked for and which addresses it has.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use arrayvec::{ArrayString, ArrayVec};
use wardline_policy::Reason;

use crate::meta::{L4, PacketMeta};

const PORT: u16 = 53;
const HEADER_LEN: usize = 12;
const CLASS_INTERNET: u16 = 1;
const TYPE_A: u16 = 1;
const TYPE_CNAME: u16 = 5;
const TYPE_AAAA: u16 = 28;
/// Records read of one answer section. Reading is the cost an attacker chooses.
const MAX_RECORDS: usize = 32;
/// Aliases followed from the name asked for.
const MAX_ALIASES: usize = 8;
/// Longest name on the wire, and so the longest in text.
pub const MAX_NAME_LEN: usize = 255;
/// Addresses kept of one answer.
pub const MAX_ANSWERS: usize = 16;

/// A domain name: lower case, labels joined by dots, no final dot; the root is empty.
pub type Name = ArrayString<MAX_NAME_LEN>;

/// One question with what the message answers to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsMessage {
    /// Chosen by the client, repeated by the server.
    pub id: u16,
    /// Whether it is an answer.
    pub response: bool,
    /// Response code; 0 is success.
    pub response_code: u8,
    /// The name asked for.
    pub name: Name,
    /// The record type asked for.
    pub query_type: u16,
    /// Addresses of that name, aliases followed; empty in a question.
    pub answers: ArrayVec<DnsAnswer, MAX_ANSWERS>,
}

/// One address of the name asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DnsAnswer {
    /// The address.
    pub address: IpAddr,
    /// How long it holds, in seconds: the least of its record and the aliases that lead to it.
    pub ttl_s: u32,
}

/// Whether the frame goes to or from a DNS server.
pub fn is_dns(meta: &PacketMeta) -> bool {
    matches!(meta.l4, L4::Udp { source, destination } if source == PORT || destination == PORT)
}

/// Reads the UDP payload of a DNS message.
///
/// # Errors
/// `Truncated` if the message ends early; `BadHeader` if it is no standard query, does not hold
/// exactly one question (RFC 9619) or holds a malformed name. Names with unprintable bytes or
/// dots inside a label count as malformed: written as text they could pass for other names.
pub fn parse(message: &[u8]) -> Result<DnsMessage, Reason> {
    let (header, _) = message
        .split_first_chunk::<HEADER_LEN>()
        .ok_or(Reason::Truncated)?;
    let [id1, id0, flags1, flags0, qd1, qd0, an1, an0, ..] = *header;
    let opcode = flags1 >> 3 & 0xf;
    if opcode != 0 || u16::from_be_bytes([qd1, qd0]) != 1 {
        return Err(Reason::BadHeader);
    }
    let (name, at) = read_name(message, HEADER_LEN)?;
    let query_type = number(message, at)?;
    let query_class = number(message, at + 2)?;
    let mut parsed = DnsMessage {
        id: u16::from_be_bytes([id1, id0]),
        response: flags1 & 0x80 != 0,
        response_code: flags0 & 0xf,
        name,
        query_type,
        answers: ArrayVec::new(),
    };
    if parsed.response && query_class == CLASS_INTERNET {
        let section = Section {
            message,
            start: at + 4,
            count: u16::from_be_bytes([an1, an0]),
        };
        resolve(section, name, &mut parsed.answers)?;
    }
    Ok(parsed)
}

/// Follows the chain of aliases from `name` to its addresses. Most servers put the chain in
/// order, so one pass finds it; those who shuffle cost one pass for each alias.
fn resolve(
    section: Section<'_>,
    mut name: Name,
    answers: &mut ArrayVec<DnsAnswer, MAX_ANSWERS>,
) -> Result<(), Reason> {
    let mut ttl_s = u32::MAX;
    for _ in 0..=MAX_ALIASES {
        let mut alias = None;
        for record in section.records() {
            let record = record?;
            if record.name != name {
                continue;
            }
            match record.data {
                Data::Address(address) => {
                    let _ = answers.try_push(DnsAnswer {
                        address,
                        ttl_s: ttl_s.min(record.ttl_s),
                    });
                }
                Data::Alias(target) => alias = alias.or(Some((target, record.ttl_s))),
                Data::Other => {}
            }
        }
        let Some((target, alias_ttl_s)) = alias else {
            break;
        };
        name = read_name(section.message, target)?.0;
        ttl_s = ttl_s.min(alias_ttl_s);
    }
    Ok(())
}

/// The answer section.
#[derive(Clone, Copy)]
struct Section<'a> {
    message: &'a [u8],
    start: usize,
    count: u16,
}

struct Record {
    name: Name,
    ttl_s: u32,
    data: Data,
}

enum Data {
    Address(IpAddr),
    /// Position of the name it stands for.
    Alias(usize),
    Other,
}

impl<'a> Section<'a> {
    fn records(self) -> impl Iterator<Item = Result<Record, Reason>> + 'a {
        let mut at = self.start;
        let count = usize::from(self.count).min(MAX_RECORDS);
        (0..count).map(move |_| {
            let (record, next) = read_record(self.message, at)?;
            at = next;
            Ok(record)
        })
    }
}

/// The record at a position, and the position behind it.
fn read_record(message: &[u8], at: usize) -> Result<(Record, usize), Reason> {
    let (name, at) = read_name(message, at)?;
    let kind = number(message, at)?;
    let class = number(message, at + 2)?;
    let ttl_s = u32::from(number(message, at + 4)?) << 16 | u32::from(number(message, at + 6)?);
    let len = usize::from(number(message, at + 8)?);
    let start = at + 10;
    let data = message.get(start..start + len).ok_or(Reason::Truncated)?;
    let data = match (class, kind) {
        (CLASS_INTERNET, TYPE_A) => {
            let octets: [u8; 4] = data.try_into().map_err(|_| Reason::BadHeader)?;
            Data::Address(Ipv4Addr::from(octets).into())
        }
        (CLASS_INTERNET, TYPE_AAAA) => {
            let octets: [u8; 16] = data.try_into().map_err(|_| Reason::BadHeader)?;
            Data::Address(Ipv6Addr::from(octets).into())
        }
        (CLASS_INTERNET, TYPE_CNAME) => Data::Alias(start),
        _ => Data::Other,
    };
    Ok((
        Record {
            name,
            ttl_s: lifetime(ttl_s),
            data,
        },
        start + len,
    ))
}

/// RFC 2181 §8: a lifetime with the top bit set is none.
const fn lifetime(ttl_s: u32) -> u32 {
    if ttl_s > i32::MAX as u32 { 0 } else { ttl_s }
}

fn number(message: &[u8], at: usize) -> Result<u16, Reason> {
    match message.get(at..at + 2) {
        Some(&[high, low]) => Ok(u16::from_be_bytes([high, low])),
        _ => Err(Reason::Truncated),
    }
}

/// The name at a position, and the position behind it. A pointer must lead further towards the
/// start of the message than any before it, so no message can send the reader in circles.
fn read_name(message: &[u8], start: usize) -> Result<(Name, usize), Reason> {
    let mut name = Name::new();
    let mut at = start;
    let mut limit = start;
    let mut behind = None;
    loop {
        let length = *message.get(at).ok_or(Reason::Truncated)?;
        match length >> 6 {
            0 if length == 0 => return Ok((name, behind.unwrap_or(at + 1))),
            0 => {
                let end = at + 1 + usize::from(length);
                let label = message.get(at + 1..end).ok_or(Reason::Truncated)?;
                push_label(&mut name, label)?;
                at = end;
            }
            3 => {
                let target = usize::from(number(message, at)? & 0x3fff);
                if target >= limit {
                    return Err(Reason::BadHeader);
                }
                behind = behind.or(Some(at + 2));
                (at, limit) = (target, target);
            }
            _ => return Err(Reason::BadHeader),
        }
    }
}

fn push_label(name: &mut Name, label: &[u8]) -> Result<(), Reason> {
    // On the wire each label takes one more byte for its length, and the root one at the end.
    let wire_len = if name.is_empty() { 0 } else { name.len() + 1 } + label.len() + 2;
    if wire_len > MAX_NAME_LEN {
        return Err(Reason::BadHeader);
    }
    if !name.is_empty() {
        name.push('.');
    }
    for &byte in label {
        if !byte.is_ascii_graphic() || byte == b'.' {
            return Err(Reason::BadHeader);
        }
        name.push(char::from(byte.to_ascii_lowercase()));
    }
    Ok(())
}
