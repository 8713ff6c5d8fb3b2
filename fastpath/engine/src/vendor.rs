//! Who a MAC address was assigned to, by the public registries of the IEEE (MA-L, MA-M, MA-S).
//!
//! A weak fact: many devices carry the network module of another maker.

use wardline_policy::MacAddr;

/// The second bit of the first byte: an address that nobody assigned.
const LOCALLY_ADMINISTERED: u8 = 2;

/// The organisation the address is registered to; none for group and locally administered
/// addresses and for blocks the registries do not list. Allocates: not for the packet path.
pub fn vendor(mac: MacAddr) -> Option<&'static str> {
    if mac.is_group() || mac.0[0] & LOCALLY_ADMINISTERED != 0 {
        return None;
    }
    oui_data::lookup(&mac.to_string()).map(|record| record.organization())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(mac: &str) -> Option<&'static str> {
        vendor(mac.parse().unwrap())
    }

    #[test]
    fn registered_blocks_have_a_name() {
        assert!(of("00:09:fb:12:34:56").unwrap().contains("Philips"));
    }

    #[test]
    fn addresses_nobody_assigned_have_none() {
        assert_eq!(of("02:09:fb:12:34:56"), None, "locally administered");
        assert_eq!(of("01:00:5e:00:00:01"), None, "a group");
    }
}
