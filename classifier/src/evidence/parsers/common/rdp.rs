//! Remote desktop ([MS-RDPBCGR]): the negotiation, and the name of a client that goes on in the
//! clear. The cookie holds a user's name and is never told.

use super::super::super::{Outcome, Talk, TalkFacts};
use super::{ntlm, wire};
use crate::Field;

const TPKT: u8 = 3;
const CONNECTION_REQUEST: u8 = 0xe0;
const CONNECTION_CONFIRM: u8 = 0xd0;
const COOKIE: &[u8] = b"Cookie: mstshash=";
const ROUTING: &[u8] = b"Cookie: msts=";
/// The negotiation request: kind 1, flags, length 8.
const NEGOTIATION_LEN: usize = 8;
/// MCS Connect Initial in a data unit of X.224.
const CONNECT_INITIAL: &[u8] = b"\x02\xf0\x80\x7f\x65";
/// Key of the user data of a client.
const USER_DATA: &[u8] = b"Duca";
const CORE: u16 = 0xc001;
/// Where the name stands in the core data, behind version, sizes, colours, layout and build.
const NAME_AT: usize = 20;
const NAME_LEN: usize = 32;

pub(super) fn parse(talk: &Talk<'_>, facts: &mut TalkFacts<'_>) -> Outcome {
    let (mut client, mut server) = (talk.client, talk.server);
    if !may_begin(client, CONNECTION_REQUEST) || !may_begin(server, CONNECTION_CONFIRM) {
        return Outcome::NotMine;
    }
    let Some(request) = packet(&mut client) else {
        return Outcome::More;
    };
    if is_other_request(request) {
        return Outcome::NotMine;
    }
    let negotiates = request.len() > 7;
    let initial = match packet(&mut client) {
        Some(initial) => initial.starts_with(CONNECT_INITIAL).then_some(initial),
        // Behind the confirmation comes TLS, or the next packet.
        None if negotiates && packet(&mut server).is_some() && client.first() == Some(&22) => None,
        None => return Outcome::More,
    };
    match initial {
        Some(initial) => {
            if let Some(name) = client_name(initial) {
                facts.client(Field::RdpClient, &name);
            }
            Outcome::Done
        }
        None if negotiates => Outcome::Done,
        None => Outcome::NotMine,
    }
}

/// Whether a packet of X.224 of this kind may begin like this.
fn may_begin(bytes: &[u8], kind: u8) -> bool {
    let byte = |at: usize, value: u8| bytes.get(at).is_none_or(|&byte| byte == value);
    byte(0, TPKT) && byte(1, 0) && byte(2, 0) && byte(5, kind)
}

/// The next packet behind its header of four bytes, if it has come whole.
fn packet<'a>(stream: &mut &'a [u8]) -> Option<&'a [u8]> {
    let mut ahead = *stream;
    let [TPKT, 0] = wire::array(&mut ahead)? else {
        return None;
    };
    let len = usize::from(wire::u16(&mut ahead)?).checked_sub(4)?;
    let packet = wire::take(&mut ahead, len)?;
    *stream = ahead;
    Some(packet)
}

/// Whether something else is asked for over X.224, as controllers of plants do.
fn is_other_request(request: &[u8]) -> bool {
    let Some(rest) = request.get(7..) else {
        return true;
    };
    let negotiation = rest
        .len()
        .checked_sub(NEGOTIATION_LEN)
        .map(|at| &rest[at..]);
    let negotiates = negotiation.is_some_and(|n| matches!(n, [1, _, 8, 0, ..]));
    !(rest.is_empty() || rest.starts_with(COOKIE) || rest.starts_with(ROUTING) || negotiates)
}

/// The name in the core data of the user data of a Connect Initial.
fn client_name(initial: &[u8]) -> Option<String> {
    let at = initial
        .windows(USER_DATA.len())
        .position(|part| part == USER_DATA)?;
    let mut blocks = &initial[at + USER_DATA.len()..];
    // The length has one byte or two.
    if wire::u8(&mut blocks)? & 0x80 != 0 {
        wire::u8(&mut blocks)?;
    }
    let kind = wire::u16_le(&mut blocks)?;
    let len = usize::from(wire::u16_le(&mut blocks)?).checked_sub(4)?;
    let core = wire::take(&mut blocks, len)?;
    let name = core.get(NAME_AT..NAME_AT + NAME_LEN)?;
    let name = ntlm::text(name, true);
    (kind == CORE).then(|| name.split('\0').next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::parsers::common::testing::*;

    fn packet_of(body: &[u8]) -> Vec<u8> {
        let len = u16::try_from(body.len() + 4).unwrap().to_be_bytes();
        [&[TPKT, 0], &len[..], body].concat()
    }

    fn request(tail: &[u8]) -> Vec<u8> {
        let len = u8::try_from(tail.len() + 6).unwrap();
        packet_of(&[&[len, CONNECTION_REQUEST, 0, 0, 0, 0, 0], tail].concat())
    }

    const CONFIRM: &[u8] = b"\x03\0\0\x0b\x06\xd0\0\0\x12\x34\0";

    #[test]
    fn a_client_in_the_clear_tells_its_name_and_the_cookie_is_kept() {
        let name: Vec<u8> = "CT-CONSOLE"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        let core = [
            &[1, 0xc0, 0xd8, 0],
            &[4; NAME_AT][..],
            &name,
            &[0; 212 - NAME_AT - 20],
        ]
        .concat();
        let initial = [CONNECT_INITIAL, &[0; 30], USER_DATA, &[0x81, 0x30], &core].concat();
        let client = [request(b"Cookie: mstshash=anna\r\n"), packet_of(&initial)].concat();
        let told = hear_talk(parse, &client, CONFIRM, 3389);
        assert_eq!(
            told,
            (Outcome::Done, vec![sender(Field::RdpClient, "CT-CONSOLE")])
        );
        talk_withstands(parse, &client, CONFIRM, 3389);
    }

    #[test]
    fn a_negotiation_is_known_once_tls_begins() {
        let client = request(b"\x01\0\x08\0\x03\0\0\0");
        assert_eq!(hear_talk(parse, &client, b"", 3389).0, Outcome::More);
        let client = [client, vec![22, 3, 1]].concat();
        assert_eq!(
            hear_talk(parse, &client, CONFIRM, 3389),
            (Outcome::Done, vec![])
        );
    }

    #[test]
    fn a_controller_of_a_plant_is_not_taken_for_it() {
        let client = request(b"\xc1\x02\x01\0\xc2\x02\x01\x02\xc0\x01\x0a");
        assert_eq!(hear_talk(parse, &client, b"", 102).0, Outcome::NotMine);
    }
}
