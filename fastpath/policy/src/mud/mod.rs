//! Manufacturer usage descriptions (RFC 8520, over the access lists of RFC 8519): import of a
//! MUD file into rules, and export of a device's rules as a MUD file.
//!
//! MUD describes packets, one access list for each direction; a rule describes who begins a
//! conversation, and its return traffic goes without saying. The import therefore folds both
//! halves of a conversation into one rule, and the export writes both halves out.

mod export;
mod import;

pub use export::{Exported, export};
pub use import::{Imported, import};

use serde::Serialize;

/// The group that stands for MUD's `local-networks`. The site defines what is local.
pub const LOCAL_NETWORKS: &str = "local-networks";

/// Something that does not survive the way into or out of MUD.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Note {
    /// JSON path in the MUD file on import, `rule NAME` on export.
    pub path: String,
    /// What about it.
    pub message: String,
}
