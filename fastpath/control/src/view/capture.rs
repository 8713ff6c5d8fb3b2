//! Frames of a device, for whoever looks into a fault.

use core::fmt;

use data_encoding::BASE64;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use wardline_policy::{DeviceKey, Reason, Side};

/// What to capture. Ends by itself at the first of its limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaptureOrder {
    /// Whose frames: those it sends, and those addressed to it.
    pub device: DeviceKey,
    /// Frames, 1 to `CAPTURE_PACKETS`.
    pub packets_max: u32,
    /// Bytes of all copies together, 1 to `CAPTURE_BYTES`.
    pub bytes_max: u32,
    /// Bytes of one frame, 14 to `CAPTURE_SNAPLEN`; the rest is cut off.
    pub snaplen: u32,
    /// Time, 1 to `CAPTURE_SECONDS`.
    pub seconds: u32,
}

/// What was captured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapturePage {
    /// The frames in the order they came.
    pub frames: Vec<CapturedFrame>,
    /// `from` for the next call.
    pub next: u64,
    /// Whether more may come.
    pub state: CaptureState,
    /// Frames that found no room on their way and are not in the capture.
    pub lost: u64,
}

/// Where a capture stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CaptureState {
    /// It goes on.
    Running,
    /// A limit of the order is reached.
    Done,
    /// Somebody stopped it.
    Stopped,
}

/// One frame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapturedFrame {
    /// When it came.
    pub time_us: u64,
    /// Where it came from.
    pub side: Side,
    /// What became of it.
    pub verdict: CaptureVerdict,
    /// Why; of one that would have been dropped, why it would.
    pub reason: Reason,
    /// The frame from its destination address on, or its beginning.
    pub bytes: FrameBytes,
    /// Length of the whole frame in bytes, without its checksum.
    pub original_len: u32,
}

/// What became of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CaptureVerdict {
    /// It was forwarded.
    Forward,
    /// It was dropped.
    Drop,
    /// It was forwarded only because the device does not enforce.
    WouldDrop,
}

/// Bytes of a frame: base64 in JSON, and no more than their number in a log.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct FrameBytes(pub Vec<u8>);

impl fmt::Debug for FrameBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FrameBytes({} bytes)", self.0.len())
    }
}

impl Serialize for FrameBytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&BASE64.encode_display(&self.0))
    }
}

impl<'de> Deserialize<'de> for FrameBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = BASE64.decode(text.as_bytes());
        bytes.map(Self).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_base64_and_not_shown_in_a_log() {
        let bytes = FrameBytes(vec![0xff, 0, 7, 1]);
        let text = serde_json::to_string(&bytes).expect("JSON");
        assert_eq!(text, "\"/wAHAQ==\"");
        let back: FrameBytes = serde_json::from_str(&text).expect("bytes");
        assert_eq!(back, bytes);
        assert!(serde_json::from_str::<FrameBytes>("\"%\"").is_err());
        assert_eq!(format!("{bytes:?}"), "FrameBytes(4 bytes)");
    }
}
