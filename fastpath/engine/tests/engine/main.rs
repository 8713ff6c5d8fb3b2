//! The engine against frames.
//!
//! Where the corner cases of an inline layer-2 stateful firewall are tested, by their names.
//! Rules about a single frame are tested in `parse_rows.rs` as well.
//!
//! | case | test |
//! |---|---|
//! | 802.1Q tag | `link::row_8021q_tag` |
//! | priority tag | `link::row_priority_tag` |
//! | QinQ | `link::row_qinq` |
//! | partial checksums | `tcp::row_partial_checksums` |
//! | padding, trailers | `link::row_padding_and_trailers` |
//! | runts | `link::row_runts` |
//! | LLC/SNAP | `link::row_llc_snap` |
//! | unknown EtherType | `link::row_unknown_ethertype` |
//! | IPv4 options | `link::row_ipv4_options` |
//! | first fragment too small | `fragments::row_first_fragment_too_small` |
//! | non-first fragments | `fragments::row_non_first_fragments` |
//! | overlap | `fragments::row_overlap` |
//! | IPv6 atomic fragment | `fragments::row_ipv6_atomic_fragment` |
//! | IPv6 first fragment without full header chain | `fragments::row_ipv6_first_fragment_without_header_chain` |
//! | extension headers | `link::row_extension_headers` |
//! | minimal L4 | `flows::row_minimal_l4` |
//! | tunnels | `flows::row_tunnels` |
//! | ARP | `identity::row_arp` |
//! | ND, DAD | `identity::row_nd_dad` |
//! | MLD from `::` | `identity::row_mld_from_unspecified` |
//! | RA, redirect from ward | `identity::row_ra_and_redirect_from_ward` |
//! | DHCP, DHCPv6 | `identity::row_dhcp_dhcpv6` |
//! | multicast-initiated replies | `flows::row_multicast_initiated_replies` |
//! | IGMP/MLD | `identity::row_igmp_mld` |
//! | mid-stream pickup | `tcp::row_midstream_pickup` |
//! | simultaneous open | `tcp::row_simultaneous_open` |
//! | RST | `tcp::row_rst` |
//! | SYN in established | `tcp::row_syn_in_established` |
//! | out of window | `tcp::row_out_of_window` |
//! | Fast Open | `tcp::row_fast_open` |
//! | absurd flags | `tcp::row_absurd_flags` |
//! | ICMP error | `flows::row_icmp_error` |
//! | SCTP | `flows::row_sctp` |
//! | STP, LACP, EAPOL, LLDP, PTP, PAUSE | `link::row_link_local_control` |
//! | MAC on the wrong side | `identity::row_mac_on_the_wrong_side` |
//!
//! Not the engine's: VLAN stripping, offloads, MTU, heartbeat and multi-segment buffers belong
//! to the ports; dynamic ports to the compiler; devices among themselves are invisible.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod lab;

mod captures;
mod flows;
mod fragments;
mod identity;
mod link;
mod modes;
mod random;
mod samples;
mod tcp;
