//! Which station has which address.
//!
//! An address belongs to whom it was fixed for by the document, else to whom a DHCP server gave
//! it, else to who used it first and did not stop using it. A binding nobody used for
//! [`SILENT_S`] is free for the next one, so that a replaced device works after two minutes; a
//! binding by DHCP holds as long as the lease, and the server's next word overrules it.

use wardline_policy::{MacAddr, VlanKey};

use crate::bounded::Bounded;
use crate::clock::{NEVER, Tick, seconds};

/// How long an address stays bound after its last use, in seconds.
pub(crate) const SILENT_S: u32 = 120;
/// Longest lease believed, in seconds: a week.
const LONGEST_LEASE_S: u32 = 7 * 86_400;
/// Stations of the core side may take this part of the table, in quarters, so that the devices
/// always find room.
const CORE_QUARTERS: usize = 2;

/// Whose an address is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    /// The device with this slot.
    Device(u32),
    /// A station of the core side.
    Core(MacAddr),
}

/// How an address was learnt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Evidence {
    /// A DHCP server gave it for so many seconds.
    Lease(u32),
    /// ARP, neighbour discovery or traffic.
    Use,
}

/// How often each slot of the device table changed hands. What is kept about a device says which
/// of them it means, so that a device is forgotten without a search for what it had.
#[derive(Debug)]
pub(crate) struct Tenancies(Vec<u32>);

impl Tenancies {
    pub(crate) fn new(devices: u32) -> Self {
        Self(vec![0; devices as usize])
    }

    /// The tenancy of a slot.
    pub(crate) fn of(&self, device: u32) -> u32 {
        self.0.get(device as usize).copied().unwrap_or(0)
    }

    /// The slot is given to another device.
    pub(crate) fn end(&mut self, device: u32) {
        if let Some(tenancy) = self.0.get_mut(device as usize) {
            *tenancy = tenancy.wrapping_add(1);
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Binding {
    owner: Owner,
    /// Which tenancy of the owner's slot.
    tenancy: u32,
    /// Whether a DHCP server gave it.
    leased: bool,
}

/// An address in a VLAN; IPv4 mapped.
type Place = ([u8; 16], VlanKey);

/// What a claim came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claim {
    /// The claimant had it already, or the table has no room to remember it.
    Held,
    /// It is the claimant's from now on.
    Bound,
    /// It is somebody else's.
    Taken,
}

/// The bindings of all VLANs.
#[derive(Debug)]
pub(crate) struct Bindings {
    table: Bounded<Place, Binding>,
    tenancies: Tenancies,
    /// Next slot looked at for bindings of devices that are forgotten.
    hand: u32,
    core: usize,
    /// Changes with every binding: what was decided by an address may be decided anew.
    pub(crate) version: u32,
}

impl Bindings {
    pub(crate) fn new(capacity: u32, devices: u32, seed: u64) -> Self {
        Self {
            table: Bounded::new(capacity, seed),
            tenancies: Tenancies::new(devices),
            hand: 0,
            core: 0,
            version: 0,
        }
    }

    /// Whose the address is now.
    pub(crate) fn owner(&self, address: [u8; 16], vlan: VlanKey, now: Tick) -> Option<Owner> {
        let (_, binding) = self.find(&(address, vlan), now)?;
        Some(binding.owner)
    }

    /// Whether `claimant` may use the address: it is free or its own.
    pub(crate) fn is_free_for(
        &self,
        claimant: Owner,
        address: [u8; 16],
        vlan: VlanKey,
        now: Tick,
    ) -> bool {
        self.owner(address, vlan, now)
            .is_none_or(|owner| owner == claimant)
    }

    /// Binds the address unless it is somebody else's. The document's fixed addresses are
    /// checked by the caller.
    pub(crate) fn claim(
        &mut self,
        claimant: Owner,
        address: [u8; 16],
        vlan: VlanKey,
        evidence: Evidence,
        now: Tick,
    ) -> Claim {
        let place = (address, vlan);
        match self.find(&place, now) {
            Some((slot, binding)) if binding.owner == claimant => {
                self.renew(slot, binding, evidence, now);
                Claim::Held
            }
            Some(_) if evidence == Evidence::Use => Claim::Taken,
            _ => self.bind(claimant, place, evidence, now),
        }
    }

    /// The address was used by its owner.
    pub(crate) fn touch(&mut self, address: [u8; 16], vlan: VlanKey, now: Tick) {
        if let Some((slot, binding)) = self.find(&(address, vlan), now)
            && !binding.leased
        {
            self.table
                .set_expires(slot, now.saturating_add(seconds(SILENT_S)));
        }
    }

    /// The device gave the address back.
    pub(crate) fn release(&mut self, device: u32, address: [u8; 16], vlan: VlanKey, now: Tick) {
        if let Some((slot, binding)) = self.find(&(address, vlan), now)
            && binding.owner == Owner::Device(device)
        {
            self.table.remove(slot);
            self.version = self.version.wrapping_add(1);
        }
    }

    /// Forgets whatever belongs to a device whose slot is given to another; the sweep makes the
    /// room free.
    pub(crate) fn forget(&mut self, device: u32) {
        self.tenancies.end(device);
        self.version = self.version.wrapping_add(1);
    }

    pub(crate) fn sweep(&mut self, now: Tick, budget: usize) {
        self.table.sweep(now, budget);
        for _ in 0..budget {
            let binding = self.table.get(self.hand).copied();
            if binding.is_some_and(|b| !self.holds(&b)) {
                self.table.remove(self.hand);
            }
            self.hand = (self.hand + 1) % self.table.capacity() as u32;
        }
        let share = self.table.capacity() * CORE_QUARTERS / 4;
        if self.core >= share {
            let is_core = |b: &Binding| matches!(b.owner, Owner::Core(_));
            self.core = self.table.iter().filter(|(_, _, b)| is_core(b)).count();
        }
    }

    /// Addresses of devices, by slot.
    pub(crate) fn of_devices(&self) -> impl Iterator<Item = (u32, [u8; 16])> + '_ {
        let holding = self.table.iter().filter(|(_, _, b)| self.holds(b));
        holding.filter_map(|(_, (address, _), binding)| match binding.owner {
            Owner::Device(slot) => Some((slot, *address)),
            Owner::Core(_) => None,
        })
    }

    /// The binding of an address, if it holds.
    fn find(&self, place: &Place, now: Tick) -> Option<(u32, Binding)> {
        let slot = self.table.find(place, now)?;
        let binding = *self.table.get(slot)?;
        self.holds(&binding).then_some((slot, binding))
    }

    /// Whether its owner is not forgotten.
    fn holds(&self, binding: &Binding) -> bool {
        self.tenancy(binding.owner) == binding.tenancy
    }

    fn tenancy(&self, owner: Owner) -> u32 {
        match owner {
            Owner::Device(slot) => self.tenancies.of(slot),
            Owner::Core(_) => 0,
        }
    }

    fn renew(&mut self, slot: u32, binding: Binding, evidence: Evidence, now: Tick) {
        match evidence {
            Evidence::Lease(_) => {
                if let Some(b) = self.table.get_mut(slot) {
                    b.leased = true;
                }
                self.table.set_expires(slot, expires(evidence, now));
            }
            Evidence::Use if !binding.leased => {
                self.table.set_expires(slot, expires(evidence, now));
            }
            Evidence::Use => {}
        }
    }

    fn bind(&mut self, owner: Owner, place: Place, evidence: Evidence, now: Tick) -> Claim {
        let is_core = matches!(owner, Owner::Core(_));
        if is_core && self.core >= self.table.capacity() * CORE_QUARTERS / 4 {
            return Claim::Held;
        }
        let binding = Binding {
            owner,
            tenancy: self.tenancy(owner),
            leased: matches!(evidence, Evidence::Lease(_)),
        };
        if self
            .table
            .insert(place, binding, expires(evidence, now), now)
            .is_none()
        {
            return Claim::Held;
        }
        self.core += usize::from(is_core);
        self.version = self.version.wrapping_add(1);
        Claim::Bound
    }
}

fn expires(evidence: Evidence, now: Tick) -> Tick {
    let s = match evidence {
        Evidence::Lease(s) => s.clamp(SILENT_S, LONGEST_LEASE_S),
        Evidence::Use => SILENT_S,
    };
    now.saturating_add(seconds(s)).min(NEVER - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const VLAN: VlanKey = VlanKey { outer: 0, inner: 0 };
    const ADDRESS: [u8; 16] = [9; 16];
    const A: Owner = Owner::Device(1);
    const B: Owner = Owner::Device(2);

    #[test]
    fn an_address_in_use_is_not_given_to_another() {
        let mut bindings = Bindings::new(16, 4, 1);
        assert_eq!(
            bindings.claim(A, ADDRESS, VLAN, Evidence::Use, 0),
            Claim::Bound
        );
        assert_eq!(
            bindings.claim(A, ADDRESS, VLAN, Evidence::Use, 1),
            Claim::Held
        );
        assert_eq!(
            bindings.claim(B, ADDRESS, VLAN, Evidence::Use, 2),
            Claim::Taken
        );
        assert!(!bindings.is_free_for(B, ADDRESS, VLAN, 2));
    }

    #[test]
    fn silence_frees_an_address_and_use_keeps_it() {
        let mut bindings = Bindings::new(16, 4, 1);
        bindings.claim(A, ADDRESS, VLAN, Evidence::Use, 0);
        bindings.touch(ADDRESS, VLAN, seconds(100));
        assert!(!bindings.is_free_for(B, ADDRESS, VLAN, seconds(200)));
        assert!(bindings.is_free_for(B, ADDRESS, VLAN, seconds(222)));
    }

    #[test]
    fn the_server_overrules_use_and_its_lease_outlives_silence() {
        let mut bindings = Bindings::new(16, 4, 1);
        bindings.claim(A, ADDRESS, VLAN, Evidence::Use, 0);
        assert_eq!(
            bindings.claim(B, ADDRESS, VLAN, Evidence::Lease(3600), 1),
            Claim::Bound
        );
        assert_eq!(bindings.owner(ADDRESS, VLAN, seconds(3000)), Some(B));
        bindings.release(2, ADDRESS, VLAN, seconds(3000));
        assert_eq!(bindings.owner(ADDRESS, VLAN, seconds(3000)), None);
    }

    #[test]
    fn core_stations_leave_room_for_devices() {
        let mut bindings = Bindings::new(4, 4, 1);
        for n in 0..4 {
            bindings.claim(
                Owner::Core(MacAddr([n; 6])),
                [n; 16],
                VLAN,
                Evidence::Use,
                0,
            );
        }
        assert_eq!(
            bindings.claim(A, [77; 16], VLAN, Evidence::Use, 0),
            Claim::Bound
        );
        assert_eq!(bindings.owner([77; 16], VLAN, 1), Some(A));
    }

    #[test]
    fn a_forgotten_device_has_no_address_and_its_successor_inherits_none() {
        let mut bindings = Bindings::new(4, 4, 1);
        for n in 0..4 {
            bindings.claim(A, [n; 16], VLAN, Evidence::Lease(86_400), 0);
        }
        assert_eq!(
            bindings.claim(B, [7; 16], VLAN, Evidence::Use, 1),
            Claim::Held
        );
        assert_eq!(bindings.owner([7; 16], VLAN, 1), None, "there was no room");
        bindings.forget(1);
        assert_eq!(bindings.owner([0; 16], VLAN, 1), None);
        assert_eq!(bindings.of_devices().count(), 0);
        assert!(bindings.is_free_for(B, [0; 16], VLAN, 1));
        // The slot's next device is another one, and the old leases make room.
        assert_eq!(
            bindings.claim(A, [0; 16], VLAN, Evidence::Use, 1),
            Claim::Bound
        );
        bindings.sweep(1, 4);
        assert_eq!(bindings.owner([0; 16], VLAN, 1), Some(A));
        assert_eq!(
            bindings.claim(B, [7; 16], VLAN, Evidence::Use, 1),
            Claim::Bound
        );
    }
}
