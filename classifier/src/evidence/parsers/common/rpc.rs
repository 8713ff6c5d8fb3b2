//! ONC remote procedure calls (RFC 5531), and which programs are called: NFS and its company.

use super::super::super::{Datagram, FrameFacts, Outcome, Talk, TalkFacts};
use super::wire;
use crate::Field;

const CALL: u32 = 0;
const REPLY: u32 = 1;
const RPC_VERSION: u32 = 2;
/// Over TCP the top bit of the mark before a record ends it.
const LAST_FRAGMENT: u32 = 1 << 31;
const FRAGMENT_MAX: u32 = 1 << 24;
/// Programs by number, as IANA lists them.
const PROGRAMS: [(u32, &str); 6] = [
    (100_000, "portmapper"),
    (100_003, "nfs"),
    (100_005, "mount"),
    (100_021, "nlockmgr"),
    (100_024, "rpc-status"),
    (100_227, "nfs-acl"),
];

pub(super) fn parse(datagram: &Datagram<'_>, facts: &mut FrameFacts<'_>) -> bool {
    if let Some(program) = call(datagram.payload) {
        if let Some(name) = name(program) {
            facts.sender(Field::Client, name);
        }
        return true;
    }
    is_reply(datagram.payload).unwrap_or(false)
}

pub(super) fn parse_talk(talk: &Talk<'_>, facts: &mut TalkFacts<'_>) -> Outcome {
    let mut client = talk.client;
    let Some(mark) = wire::u32(&mut client) else {
        return Outcome::More;
    };
    if mark & LAST_FRAGMENT == 0 || mark & !LAST_FRAGMENT > FRAGMENT_MAX {
        return Outcome::NotMine;
    }
    let Some(program) = call(client) else {
        return match client.len() < 24 && may_be_call(client) {
            true => Outcome::More,
            false => Outcome::NotMine,
        };
    };
    let Some(reply) = talk.server.get(4..) else {
        return Outcome::More;
    };
    match is_reply(reply) {
        Some(true) => {
            if let Some(name) = name(program) {
                facts.client(Field::Client, name);
                facts.server(Field::Server, name);
            }
            Outcome::Done
        }
        Some(false) => Outcome::NotMine,
        None => Outcome::More,
    }
}

fn name(program: u32) -> Option<&'static str> {
    let found = PROGRAMS.iter().find(|(number, _)| *number == program);
    found.map(|(_, name)| *name)
}

/// The program a call is for.
fn call(mut message: &[u8]) -> Option<u32> {
    let _transaction = wire::u32(&mut message)?;
    let kind = wire::u32(&mut message)?;
    let version = wire::u32(&mut message)?;
    let program = wire::u32(&mut message)?;
    let program_version = wire::u32(&mut message)?;
    let procedure = wire::u32(&mut message)?;
    // Numbers of programs begin at 100000; up to 0x20000000 they are assigned, beyond free.
    let plausible =
        (100_000..0x6000_0000).contains(&program) && program_version < 256 && procedure < 1_024;
    (kind == CALL && version == RPC_VERSION && plausible).then_some(program)
}

fn may_be_call(message: &[u8]) -> bool {
    let mut wanted = [0; 8];
    wanted[7] = 2;
    let there = message.get(4..message.len().min(12)).unwrap_or_default();
    wanted.starts_with(there)
}

/// An answer that was accepted with a known way of proving who sends, or refused.
fn is_reply(mut message: &[u8]) -> Option<bool> {
    let _transaction = wire::u32(&mut message)?;
    let kind = wire::u32(&mut message)?;
    let accepted = wire::u32(&mut message)? == 0;
    let proof = wire::u32(&mut message)?;
    let len = wire::u32(&mut message)?;
    let known = match accepted {
        true => matches!(proof, 0 | 1 | 2 | 6) && len <= 400,
        false => proof <= 1 && len <= 14,
    };
    Some(kind == REPLY && known)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::parsers::common::testing::*;

    fn numbers(numbers: &[u32]) -> Vec<u8> {
        numbers
            .iter()
            .flat_map(|number| number.to_be_bytes())
            .collect()
    }

    #[test]
    fn a_call_tells_the_program() {
        let call = numbers(&[7, CALL, 2, 100_003, 3, 1, 0, 0, 0, 0]);
        let whole = datagram(&call, 800, 2049);
        let said = hear_datagram(parse, &whole).unwrap();
        assert_eq!(said, [sender(Field::Client, "nfs")]);
        datagram_withstands(parse, &whole);
        let reply = numbers(&[7, REPLY, 0, 0, 0, 0]);
        assert_eq!(
            hear_datagram(parse, &datagram(&reply, 2049, 800)),
            Some(vec![])
        );
        let other = numbers(&[7, CALL, 3, 100_003, 3, 1]);
        assert_eq!(hear_datagram(parse, &datagram(&other, 800, 2049)), None);
    }

    #[test]
    fn over_tcp_an_answer_makes_it_sure() {
        let client = numbers(&[LAST_FRAGMENT | 40, 7, CALL, 2, 100_003, 4, 0, 0, 0, 0, 0]);
        let server = numbers(&[LAST_FRAGMENT | 24, 7, REPLY, 0, 0, 0, 0]);
        assert_eq!(
            hear_talk(parse_talk, &client, &server, 2049),
            (
                Outcome::Done,
                vec![sender(Field::Client, "nfs"), receiver(Field::Server, "nfs")]
            )
        );
        talk_withstands(parse_talk, &client, &server, 2049);
        for len in 0..client.len() {
            let (outcome, _) = hear_talk(parse_talk, &client[..len], b"", 2049);
            assert_eq!(outcome, Outcome::More);
        }
    }
}
