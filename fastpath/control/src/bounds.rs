//! The largest argument and the largest answer of every call.

/// Bytes of a policy document. Ten thousand devices with a hundred rules each take 85 MiB of JSON or
/// 113 MiB of TOML.
pub const POLICY_BYTES: usize = 128 * 1024 * 1024;

/// Bytes of one message on the socket; a policy document in JSON quotes, with room.
pub const MESSAGE_BYTES: usize = 2 * POLICY_BYTES + 1024 * 1024;

/// Bytes of a name (of a client, of a policy, of a person).
pub const NAME_BYTES: usize = 256;

/// Bytes of a reason that a person gives.
pub const REASON_BYTES: usize = 1_024;

/// Bytes of a path.
pub const PATH_BYTES: usize = 4_096;

/// Entries of one page of devices, flows or events. Larger wishes get this many.
pub const PAGE: u32 = 1_000;

/// Diagnostics in one answer; the rest is cut off after a closing remark.
pub const DIAGNOSTICS: usize = 200;

/// Milliseconds that [`Control::events`](crate::Control::events) waits for something to happen.
pub const EVENT_WAIT_MS: u32 = 30_000;

/// Seconds within which an unconfirmed policy is rolled back, at most.
pub const CONFIRM_WITHIN_S: u32 = 24 * 3_600;

/// Entries of context held at once.
pub const CONTEXT_ENTRIES: usize = 32_768;

/// Bytes of an attribute in an entry of context.
pub const CONTEXT_TEXT_BYTES: usize = 128;

/// Seconds from now within which an entry of context expires.
pub const CONTEXT_LIFETIME_S: u64 = 7 * 24 * 3_600;

/// Clients connected at once.
pub const CLIENTS: usize = 32;

/// Requests of one client in progress at once.
pub const REQUESTS_PER_CLIENT: usize = 8;
