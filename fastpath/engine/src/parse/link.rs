//! Ethernet, VLAN tags and the LLC/SNAP envelope.

use etherparse::{Ethernet2Header, Ethernet2HeaderSlice, SingleVlanHeader, SingleVlanHeaderSlice};
use wardline_policy::{MacAddr, Reason, VlanKey};

use super::position;
use crate::meta::PacketMeta;

/// IEEE 802.3 annex 31: MAC control (PAUSE, priority flow control).
const MAC_CONTROL: u16 = 0x8808;
/// The group address of PAUSE frames, never forwarded by a bridge.
const PAUSE_GROUP: [u8; 6] = [0x01, 0x80, 0xc2, 0x00, 0x00, 0x01];
/// Values up to this one are lengths, not EtherTypes.
const MAX_LLC_LENGTH: u16 = 1500;
/// Tags anybody may carry; whether two are welcome is decided by the policy.
const MAX_TAGS: u8 = 2;
/// Reserved by IEEE 802.1Q.
const VID_RESERVED: u16 = 0xfff;
/// LLC header (AA AA 03) and the two organisation codes under which SNAP carries EtherTypes:
/// RFC 1042 and the bridge tunnel of IEEE 802.1H.
const SNAP: [[u8; 6]; 2] = [[0xaa, 0xaa, 3, 0, 0, 0], [0xaa, 0xaa, 3, 0, 0, 0xf8]];
const SNAP_LEN: usize = 8;

/// Fills addresses, tags, EtherType and network offset; `end` becomes the end of an LLC frame.
/// The frame holds a whole Ethernet header.
pub(super) fn read(frame: &[u8], meta: &mut PacketMeta) -> Result<(), Reason> {
    let ethernet = Ethernet2HeaderSlice::from_slice(frame).map_err(|_| Reason::Runt)?;
    meta.destination_mac = MacAddr(ethernet.destination());
    meta.source_mac = MacAddr(ethernet.source());
    meta.ethertype = ethernet.ether_type().0;
    meta.l3_offset = position(Ethernet2Header::LEN)?;
    if meta.ethertype == MAC_CONTROL || ethernet.destination() == PAUSE_GROUP {
        return Err(Reason::PauseFrame);
    }
    if meta.source_mac.is_group() {
        return Err(Reason::BadHeader);
    }
    let offset = read_tags(frame, meta)?;
    if meta.ethertype <= MAX_LLC_LENGTH {
        read_llc(frame, meta, offset)?;
    }
    Ok(())
}

/// Returns the offset behind the last tag.
fn read_tags(frame: &[u8], meta: &mut PacketMeta) -> Result<usize, Reason> {
    let mut offset = Ethernet2Header::LEN;
    while is_tag(meta.ethertype) {
        if meta.tags == MAX_TAGS {
            return Err(Reason::VlanStack);
        }
        let tag =
            SingleVlanHeaderSlice::from_slice(&frame[offset..]).map_err(|_| Reason::Truncated)?;
        let vid = tag.vlan_identifier().value();
        if vid == VID_RESERVED {
            return Err(Reason::BadHeader);
        }
        add_vid(&mut meta.vlan, vid);
        meta.tags += 1;
        meta.ethertype = tag.ether_type().0;
        offset += SingleVlanHeader::LEN;
        meta.l3_offset = position(offset)?;
    }
    Ok(offset)
}

/// 802.1Q, 802.1ad, and the type used for stacking before 802.1ad.
const fn is_tag(ethertype: u16) -> bool {
    matches!(ethertype, 0x8100 | 0x88a8 | 0x9100)
}

/// A priority tag (VID 0) names no VLAN, wherever it stands, and so takes no place in the key.
fn add_vid(vlan: &mut VlanKey, vid: u16) {
    if vlan.outer == 0 {
        vlan.outer = vid;
    } else {
        vlan.inner = vid;
    }
}

/// An LLC frame is only as long as it says. In a SNAP envelope that carries an EtherType the
/// frame is what it carries: a host that opens the envelope must not be reached around policy.
fn read_llc(frame: &[u8], meta: &mut PacketMeta, offset: usize) -> Result<(), Reason> {
    let end = offset + usize::from(meta.ethertype);
    let llc = frame.get(offset..end).ok_or(Reason::Truncated)?;
    meta.end = position(end)?;
    meta.payload_offset = meta.end;
    let Some((envelope, _)) = llc.split_first_chunk::<SNAP_LEN>() else {
        return Ok(());
    };
    let [head @ .., high, low] = *envelope;
    if SNAP.contains(&head) {
        let ethertype = u16::from_be_bytes([high, low]);
        if is_tag(ethertype) {
            return Err(Reason::VlanStack);
        }
        // Below 1536 it is no EtherType, and the frame stays an LLC frame.
        if ethertype > MAX_LLC_LENGTH {
            meta.ethertype = ethertype;
            meta.l3_offset = position(offset + SNAP_LEN)?;
        }
    }
    Ok(())
}
