//! NTLMSSP ([MS-NLMP]) wherever it stands: the computer's name and the version of its system.
//! Never the user, the domain of the user, or any response.

use super::wire;
use crate::Field;

const SIGNATURE: &[u8] = b"NTLMSSP\0";
const NEGOTIATE: u32 = 1;
const CHALLENGE: u32 = 2;
const AUTHENTICATE: u32 = 3;
const FLAG_UNICODE: u32 = 1;
const FLAG_WORKSTATION: u32 = 1 << 13;
const FLAG_VERSION: u32 = 1 << 25;
/// In the list of a challenge: end, and the computer's NetBIOS name.
const LIST_END: u16 = 0;
const COMPUTER: u16 = 1;

/// Tells of whoever sent the first such message in `bytes`.
pub(super) fn tell(bytes: &[u8], tell: &mut dyn FnMut(Field, &str)) {
    let found = bytes
        .windows(SIGNATURE.len())
        .position(|part| part == SIGNATURE);
    let Some(message) = found.map(|at| Message(&bytes[at..])) else {
        return;
    };
    if let Some(name) = message.computer().filter(|name| !name.is_empty()) {
        tell(Field::SmbName, &name);
    }
    if let Some([major, minor, build]) = message.version() {
        tell(
            Field::SmbSystem,
            &format!("Windows {major}.{minor}.{build}"),
        );
    }
}

struct Message<'a>(&'a [u8]);

impl<'a> Message<'a> {
    fn number(&self, at: usize) -> Option<u32> {
        wire::u32_le(&mut self.0.get(at..)?)
    }

    /// Length, room and place of a field stand at `at`.
    fn field(&self, at: usize) -> Option<&'a [u8]> {
        let mut header = self.0.get(at..)?;
        let len = wire::u16_le(&mut header)?;
        let _room = wire::u16_le(&mut header)?;
        let start = usize::try_from(wire::u32_le(&mut header)?).ok()?;
        self.0.get(start..start.checked_add(len.into())?)
    }

    fn flags(&self) -> Option<u32> {
        self.number(match self.number(8)? {
            NEGOTIATE => 12,
            CHALLENGE => 20,
            AUTHENTICATE => 60,
            _ => return None,
        })
    }

    fn computer(&self) -> Option<String> {
        let flags = self.flags()?;
        match self.number(8)? {
            // Always in the code page of the client.
            NEGOTIATE if flags & FLAG_WORKSTATION != 0 => Some(text(self.field(24)?, false)),
            CHALLENGE => Some(text(self.listed(COMPUTER)?, true)),
            AUTHENTICATE => Some(text(self.field(44)?, flags & FLAG_UNICODE != 0)),
            _ => None,
        }
    }

    /// A value of the target information of a challenge.
    fn listed(&self, wanted: u16) -> Option<&'a [u8]> {
        let mut list = self.field(40)?;
        loop {
            let kind = wire::u16_le(&mut list)?;
            let len = wire::u16_le(&mut list)?;
            let value = wire::take(&mut list, len.into())?;
            match kind {
                LIST_END => return None,
                _ if kind == wanted => return Some(value),
                _ => {}
            }
        }
    }

    /// Major, minor and build. Who is not Windows states no build.
    fn version(&self) -> Option<[u16; 3]> {
        if self.flags()? & FLAG_VERSION == 0 {
            return None;
        }
        let at = match self.number(8)? {
            NEGOTIATE => 32,
            CHALLENGE => 48,
            _ => 64,
        };
        let mut version = self.0.get(at..)?;
        let [major, minor] = wire::array(&mut version)?;
        let build = wire::u16_le(&mut version)?;
        // The revision of NTLMSSP ends it, and is 15 since 2003.
        let whole = version.get(..4)?[3] == 15;
        (whole && build != 0).then_some([major.into(), minor.into(), build])
    }
}

/// Text in UTF-16 or bytes.
pub(super) fn text(bytes: &[u8], wide: bool) -> String {
    if !wide {
        return bytes.iter().map(|&byte| char::from(byte)).collect();
    }
    let (units, _) = bytes.as_chunks();
    let units: Vec<u16> = units.iter().map(|unit| u16::from_le_bytes(*unit)).collect();
    String::from_utf16_lossy(&units)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn wide(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }

    /// AUTHENTICATE of user `anna` at `WARD-PC3`, Windows 10 build 19041.
    pub(in super::super) fn authenticate() -> Vec<u8> {
        let (user, host) = (wide("anna"), wide("WARD-PC3"));
        let field = |len: usize, at: usize| {
            let [a, b] = u16::try_from(len).unwrap().to_le_bytes();
            [a, b, a, b, u8::try_from(at).unwrap(), 0, 0, 0]
        };
        let flags = (FLAG_UNICODE | FLAG_VERSION).to_le_bytes();
        [
            SIGNATURE,
            &[3, 0, 0, 0],
            &[field(0, 72); 3].concat(),
            &field(user.len(), 72),
            &field(host.len(), 80),
            &field(0, 72),
            &flags,
            &[10, 0, 0x61, 0x4a, 0, 0, 0, 15],
            &user,
            &host,
        ]
        .concat()
    }

    /// CHALLENGE of the server `FILES`, without a version.
    pub(in super::super) fn challenge() -> Vec<u8> {
        let domain = wide("WARD");
        let computer = wide("FILES");
        let list = [
            &[2, 0, 8, 0],
            &domain[..],
            &[1, 0, 10, 0],
            &computer,
            &[0; 4],
        ]
        .concat();
        let len = u8::try_from(list.len()).unwrap();
        let mut message = [SIGNATURE, &[2, 0, 0, 0], &[0; 8], &[1, 0, 0, 0], &[0; 16]].concat();
        message.extend([len, 0, len, 0, 56, 0, 0, 0]);
        message.extend([0; 8]);
        message.extend(list);
        message
    }

    fn told(bytes: &[u8]) -> Vec<(Field, String)> {
        let mut told = Vec::new();
        tell(bytes, &mut |field, text| {
            told.push((field, text.to_owned()))
        });
        told
    }

    #[test]
    fn a_client_names_its_computer_and_system_and_the_user_is_kept() {
        let bytes = [&b"before"[..], &authenticate()].concat();
        assert_eq!(
            told(&bytes),
            [
                (Field::SmbName, "WARD-PC3".to_owned()),
                (Field::SmbSystem, "Windows 10.0.19041".to_owned()),
            ]
        );
    }

    #[test]
    fn a_server_names_its_computer() {
        assert_eq!(told(&challenge()), [(Field::SmbName, "FILES".to_owned())]);
    }
}
