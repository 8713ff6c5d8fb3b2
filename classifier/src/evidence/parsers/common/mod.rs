//! Protocols that every network has.

mod ber;
mod certificate;
mod description;
mod dhcp;
mod dhcpv6;
mod directory;
mod dns;
mod domain;
mod greeting;
mod head;
mod hello;
mod http;
mod llmnr;
mod mdns;
mod neighbour;
mod netbios;
mod ntlm;
mod ntp;
mod printing;
mod private;
mod quic;
mod rdp;
mod rpc;
mod smb;
mod snmp;
mod ssdp;
mod stun;
mod syslog;
mod tds;
#[cfg(test)]
mod testing;
mod tftp;
mod tls;
mod wire;

use super::super::{DatagramParser, FrameParser, TalkParser};
use super::Entry;

pub(super) const TALKS: &[Entry<TalkParser>] = &[
    entry("tls", &[443, 8443], tls::parse),
    entry("ipp", &[631], printing::parse_ipp),
    entry("http", &[80, 8080, 631], http::parse),
    entry("ssh", &[22], greeting::parse_ssh),
    entry("smb", &[445, 139], smb::parse),
    entry("rdp", &[3389], rdp::parse),
    entry("vnc", &[5900], greeting::parse_vnc),
    entry("kerberos", &[88], directory::parse_kerberos_talk),
    entry("ldap", &[389], directory::parse_ldap_talk),
    entry("tds", &[1433], tds::parse),
    entry("pjl", &[9100], printing::parse_pjl),
    entry("dns", &[53], dns::parse_talk),
    entry("onc-rpc", &[111, 2049], rpc::parse_talk),
    entry("stun", &[3478, 5349], stun::parse_talk),
    entry("telnet", &[23], greeting::parse_telnet),
    entry("ftp", &[21], greeting::parse_ftp),
    entry("smtp", &[25, 587], greeting::parse_smtp),
    entry("pop3", &[110], greeting::parse_pop3),
    entry("imap", &[143], greeting::parse_imap),
];

pub(super) const DATAGRAMS: &[Entry<DatagramParser>] = &[
    entry("dhcp", &[67, 68], dhcp::parse),
    entry("dhcpv6", &[546, 547], dhcpv6::parse),
    entry("mdns", &[mdns::PORT], mdns::parse),
    entry("llmnr", &[llmnr::PORT], llmnr::parse),
    entry("netbios-ns", &[137], netbios::parse_names),
    entry("netbios-dgm", &[138], netbios::parse_datagrams),
    entry("dns", &[53], dns::parse),
    entry("ssdp", &[1900], ssdp::parse),
    entry("snmp", &[161, 162], snmp::parse),
    entry("kerberos", &[88], directory::parse_kerberos),
    entry("ldap", &[389], directory::parse_ldap),
    entry("stun", &[3478, 5349], stun::parse),
    entry("quic", &[443], quic::parse),
    entry("tftp", &[69], tftp::parse),
    entry("ntp", &[123], ntp::parse),
    entry("syslog", &[514], syslog::parse),
    entry("onc-rpc", &[111, 2049], rpc::parse),
];

pub(super) const FRAMES: &[Entry<FrameParser>] = &[
    entry("lldp", &[], neighbour::parse_lldp),
    entry("cdp", &[], neighbour::parse_cdp),
];

const fn entry<P>(name: &'static str, ports: &'static [u16], parse: P) -> Entry<P> {
    Entry { name, ports, parse }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::testing::*;
    use super::*;
    use crate::evidence::Datagram;
    use crate::fact::VALUE_MAX;

    fn all_bounded(said: &[Said]) -> Result<(), TestCaseError> {
        for (_, field, value) in said {
            prop_assert!(value.len() <= VALUE_MAX, "{field}: {value}");
            prop_assert!(!value.contains(char::is_control), "{field}: {value:?}");
        }
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn any_bytes_are_a_conversation_or_none(
            client in vec(any::<u8>(), 0..600),
            server in vec(any::<u8>(), 0..600),
            port in any::<u16>(),
        ) {
            for entry in TALKS {
                all_bounded(&hear_talk(entry.parse, &client, &server, port).1)?;
            }
        }

        #[test]
        fn any_bytes_are_a_datagram_or_none(
            payload in vec(any::<u8>(), 0..600),
            free_port in any::<u16>(),
            to_group in any::<bool>(),
        ) {
            for entry in DATAGRAMS {
                for &destination_port in entry.ports {
                    let datagram = Datagram {
                        payload: &payload,
                        source_port: free_port,
                        destination_port,
                        to_group,
                    };
                    all_bounded(&hear_datagram(entry.parse, &datagram).unwrap_or_default())?;
                }
            }
        }

        #[test]
        fn any_bytes_are_a_frame_or_none(
            ethertype in prop_oneof![Just(0x88cc), 0_u16..1_500, any::<u16>()],
            frame in vec(any::<u8>(), 0..600),
        ) {
            for entry in FRAMES {
                all_bounded(&hear_frame(entry.parse, ethertype, &frame).unwrap_or_default())?;
            }
        }
    }

    #[test]
    fn no_protocol_is_listed_twice() {
        let names = [
            TALKS.iter().map(|entry| entry.name).collect::<Vec<_>>(),
            DATAGRAMS.iter().map(|entry| entry.name).collect(),
            FRAMES.iter().map(|entry| entry.name).collect(),
        ];
        for mut names in names {
            let all = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), all);
        }
    }
}
