//! The model that names devices.

use serde::{Deserialize, Serialize};

/// The model in use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelStatus {
    /// What it is called.
    pub name: String,
    /// Its version: grows with every model, never goes back.
    pub number: u64,
    /// Which key signed it: the first 16 hexadecimal digits of the SHA-256 of its public half.
    pub key_id: String,
    /// Where it came from.
    pub origin: ModelOrigin,
    /// When it was put in use here, be it before a restart.
    pub activated_us: u64,
}

/// Where a model came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ModelOrigin {
    /// The program was built with it.
    BuiltIn,
    /// A folder that the configuration or a client named.
    Folder,
}
