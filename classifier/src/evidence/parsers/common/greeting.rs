//! Servers that speak first: SSH (RFC 4253), FTP (RFC 959), SMTP (RFC 5321), POP3 (RFC 1939), IMAP
//! (RFC 3501), Telnet (RFC 854) and VNC (RFC 6143). Only their first line is read, and of what a
//! client says only the verb: names, passwords and mail follow.

use super::super::super::{Outcome, Talk, TalkFacts};
use super::head::{line, may_begin};
use super::private;
use crate::Field;

pub(super) fn parse_ssh(talk: &Talk<'_>, facts: &mut TalkFacts<'_>) -> Outcome {
    const MARK: &[u8] = b"SSH-";
    if !may_begin(talk.client, MARK) || !may_begin(talk.server, MARK) {
        return Outcome::NotMine;
    }
    let [client, server] = [talk.client, talk.server].map(version_of_ssh);
    if let Some(version) = client {
        facts.client(Field::SshVersion, &private::without_addresses(version));
    }
    if let Some(version) = server {
        facts.server(Field::SshVersion, &private::without_addresses(version));
    }
    match (client, server) {
        (Some(_), Some(_)) => Outcome::Done,
        (None, None) => Outcome::More,
        _ => Outcome::Known,
    }
}

/// The line of the version, at most 255 bytes long.
fn version_of_ssh(mut bytes: &[u8]) -> Option<&[u8]> {
    line(&mut bytes).filter(|line| line.len() <= 255)
}

/// What servers of one protocol begin with, and by what a client of it is known.
struct Manner {
    /// The greeting's first bytes.
    mark: &'static [u8],
    /// Words in the greeting that decide, in capitals.
    words: &'static [&'static str],
    /// Words in the greeting that are another protocol's.
    not_words: &'static [&'static str],
    /// Verbs only its clients use first, in capitals.
    verbs: &'static [&'static [u8]],
}

const FTP: Manner = Manner {
    mark: b"220",
    words: &["FTP"],
    not_words: &["SMTP"],
    verbs: &[
        b"USER", b"AUTH", b"FEAT", b"SYST", b"OPTS", b"HOST", b"PBSZ",
    ],
};
const SMTP: Manner = Manner {
    mark: b"220",
    words: &["SMTP"],
    not_words: &["FTP"],
    verbs: &[b"EHLO", b"HELO"],
};
const POP3: Manner = Manner {
    mark: b"+OK",
    words: &["POP"],
    not_words: &[],
    verbs: &[b"USER", b"CAPA", b"AUTH", b"APOP", b"STLS"],
};
const IMAP: Manner = Manner {
    mark: b"* OK",
    words: &["IMAP"],
    not_words: &[],
    verbs: &[],
};

pub(super) fn parse_ftp(talk: &Talk<'_>, facts: &mut TalkFacts<'_>) -> Outcome {
    parse_greeting(&FTP, talk, facts)
}

pub(super) fn parse_smtp(talk: &Talk<'_>, facts: &mut TalkFacts<'_>) -> Outcome {
    parse_greeting(&SMTP, talk, facts)
}

pub(super) fn parse_pop3(talk: &Talk<'_>, facts: &mut TalkFacts<'_>) -> Outcome {
    parse_greeting(&POP3, talk, facts)
}

pub(super) fn parse_imap(talk: &Talk<'_>, facts: &mut TalkFacts<'_>) -> Outcome {
    parse_greeting(&IMAP, talk, facts)
}

fn parse_greeting(manner: &Manner, talk: &Talk<'_>, facts: &mut TalkFacts<'_>) -> Outcome {
    if !may_begin(talk.server, manner.mark) {
        return Outcome::NotMine;
    }
    let verb = talk.client.get(..4).map(<[u8]>::to_ascii_uppercase);
    let known = verb.as_deref().map(|verb| manner.verbs.contains(&verb));
    let Some(greeting) = line(&mut &*talk.server) else {
        return Outcome::More;
    };
    let loud = String::from_utf8_lossy(greeting).to_uppercase();
    let says = |words: &[&str]| words.iter().any(|word| loud.contains(word));
    let mine = says(manner.words) || (known == Some(true) && !says(manner.not_words));
    match (mine, known) {
        (true, _) => {
            let text = greeting[manner.mark.len()..].trim_ascii();
            let text = text.strip_prefix(b"-").unwrap_or(text);
            facts.server(
                Field::Banner,
                &private::without_addresses(without_stamp(text)),
            );
            Outcome::Done
        }
        (false, None) => Outcome::More,
        (false, Some(_)) => Outcome::NotMine,
    }
}

/// POP3 ends its greeting in a stamp that is new each time: `<1896.697170952@host>`.
fn without_stamp(text: &[u8]) -> &[u8] {
    match text.iter().rposition(|&byte| byte == b'<') {
        Some(at) if text.ends_with(b">") => &text[..at],
        _ => text,
    }
}

/// Telnet's mark of a command, and the four that negotiate an option.
const COMMAND: u8 = 255;
const NEGOTIATION: core::ops::RangeInclusive<u8> = 251..=254;
const SUBNEGOTIATION: u8 = 250;
const SUBNEGOTIATION_END: u8 = 240;

/// Known by the negotiation of an option, which whoever speaks first begins with.
pub(super) fn parse_telnet(talk: &Talk<'_>, facts: &mut TalkFacts<'_>) -> Outcome {
    let first = if talk.server.is_empty() {
        talk.client
    } else {
        talk.server
    };
    match *first {
        [] | [COMMAND] => return Outcome::More,
        [COMMAND, verb] if NEGOTIATION.contains(&verb) => return Outcome::More,
        [COMMAND, verb, option, ..] if NEGOTIATION.contains(&verb) && option < 64 => {}
        _ => return Outcome::NotMine,
    }
    let text = without_commands(talk.server);
    let mut rest = text.as_slice();
    while let Some(line) = line(&mut rest) {
        let said = private::without_addresses(line);
        if is_prompt(&said) {
            return Outcome::Done;
        }
        if !said.is_empty() {
            facts.server(Field::Banner, &said);
            return Outcome::Done;
        }
    }
    Outcome::Known
}

/// Whether the line asks for a name or a word, and so repeats what somebody typed.
fn is_prompt(line: &str) -> bool {
    let line = line.to_lowercase();
    ["login", "user", "password", "account"]
        .iter()
        .any(|word| line.contains(word))
}

fn without_commands(mut bytes: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    loop {
        bytes = match *bytes {
            [COMMAND, SUBNEGOTIATION, ..] => {
                let end = [COMMAND, SUBNEGOTIATION_END];
                match bytes.windows(2).position(|pair| pair == end) {
                    Some(at) => &bytes[at + 2..],
                    None => return text,
                }
            }
            [COMMAND, verb, _, ref rest @ ..] if NEGOTIATION.contains(&verb) => rest,
            [COMMAND, _, ref rest @ ..] => rest,
            [byte, ref rest @ ..] if byte != COMMAND => {
                text.push(byte);
                rest
            }
            _ => return text,
        };
    }
}

/// Known by the version both sides state: `RFB 003.008`, on a Mac `RFB 003.889`.
pub(super) fn parse_vnc(talk: &Talk<'_>, facts: &mut TalkFacts<'_>) -> Outcome {
    const MARK: &[u8] = b"RFB 00";
    let digit = |byte: &u8| byte.is_ascii_digit();
    if !may_begin(talk.server, MARK) || !may_begin(talk.client, MARK) {
        return Outcome::NotMine;
    }
    match talk.server.first_chunk::<12>() {
        Some([_, _, _, _, _, _, major, b'.', minor @ .., b'\n'])
            if digit(major) && minor.iter().all(digit) =>
        {
            facts.server_bytes(Field::Banner, talk.server[..12].trim_ascii());
            Outcome::Done
        }
        Some(_) => Outcome::NotMine,
        None => Outcome::More,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::parsers::common::testing::*;

    #[test]
    fn both_sides_of_ssh_state_their_software() {
        let (client, server) = (
            b"SSH-2.0-PuTTY_Release_0.60\r\n\0\0",
            b"SSH-2.0-dropbear_2019.78\r\n",
        );
        assert_eq!(
            hear_talk(parse_ssh, client, server, 2222),
            (
                Outcome::Done,
                vec![
                    sender(Field::SshVersion, "SSH-2.0-PuTTY_Release_0.60"),
                    receiver(Field::SshVersion, "SSH-2.0-dropbear_2019.78"),
                ]
            )
        );
        talk_withstands(parse_ssh, client, server, 22);
        assert_eq!(
            hear_talk(parse_ssh, b"GET /", server, 22).0,
            Outcome::NotMine
        );
    }

    #[test]
    fn a_greeting_with_the_same_code_is_told_apart() {
        let vsftpd = b"220 (vsFTPd 3.0.3)\r\n331 Please specify\r\n";
        assert_eq!(
            hear_talk(parse_ftp, b"USER anna\r\n", vsftpd, 21),
            (
                Outcome::Done,
                vec![receiver(Field::Banner, "(vsFTPd 3.0.3)")]
            )
        );
        assert_eq!(hear_talk(parse_smtp, b"", vsftpd, 21).0, Outcome::More);
        assert_eq!(
            hear_talk(parse_smtp, b"USER", vsftpd, 21).0,
            Outcome::NotMine
        );
        let postfix = b"220 mail.example ESMTP Postfix\r\n";
        let told = vec![receiver(Field::Banner, "mail.example ESMTP Postfix")];
        assert_eq!(
            hear_talk(parse_smtp, b"", postfix, 25),
            (Outcome::Done, told)
        );
        assert_eq!(
            hear_talk(parse_ftp, b"EHLO me", postfix, 25).0,
            Outcome::NotMine
        );
        // A greeting that names nothing waits for the client.
        let plain = b"220-Monitor 7 ready, ask jo@ward.example\r\n220 \r\n";
        assert_eq!(
            hear_talk(parse_ftp, b"", plain, 21),
            (Outcome::More, vec![])
        );
        assert_eq!(
            hear_talk(parse_ftp, b"USER anna\r\n", plain, 21).1,
            [receiver(Field::Banner, "Monitor 7 ready, ask")]
        );
        talk_withstands(parse_ftp, b"USER anna\r\nPASS x\r\n", vsftpd, 21);
        talk_withstands(parse_smtp, b"EHLO me\r\n", postfix, 25);
    }

    #[test]
    fn mail_servers_greet_without_their_stamp() {
        let pop = b"+OK Dovecot ready. <1896.697170952@dbc.example>\r\n";
        assert_eq!(
            hear_talk(parse_pop3, b"USER anna\r\n", pop, 110),
            (
                Outcome::Done,
                vec![receiver(Field::Banner, "Dovecot ready.")]
            )
        );
        talk_withstands(parse_pop3, b"USER anna\r\n", pop, 110);
        let imap = b"* OK [CAPABILITY IMAP4rev1] Courier\r\n";
        assert_eq!(hear_talk(parse_imap, b"", imap, 143).0, Outcome::Done);
    }

    #[test]
    fn telnet_is_known_by_negotiation_and_tells_one_line() {
        let server = b"\xff\xfd\x18\xff\xfa\x18\x01\xff\xf0\xff\xfb\x01\r\n\r\nSwitch 2960 Version 1\r\nlogin: anna\r\n";
        let client = b"\xff\xfb\x18anna\r\nsecret\r\n";
        assert_eq!(
            hear_talk(parse_telnet, client, server, 23),
            (
                Outcome::Done,
                vec![receiver(Field::Banner, "Switch 2960 Version 1")]
            )
        );
        talk_withstands(parse_telnet, client, server, 23);
        let prompt = b"\xff\xfd\x18\r\nlogin: anna\r\nPassword: \r\nBusyBox\r\n";
        assert_eq!(
            hear_talk(parse_telnet, client, prompt, 23),
            (Outcome::Done, vec![])
        );
        assert_eq!(hear_talk(parse_telnet, b"GET", b"", 23).0, Outcome::NotMine);
    }

    #[test]
    fn vnc_states_its_version() {
        let told = hear_talk(
            parse_vnc,
            b"RFB 003.008\n\x01",
            b"RFB 003.008\n\x01\x02",
            5900,
        );
        assert_eq!(
            told,
            (Outcome::Done, vec![receiver(Field::Banner, "RFB 003.008")])
        );
        talk_withstands(parse_vnc, b"RFB 003.008\n", b"RFB 003.008\n\x01\x02", 5900);
    }
}
