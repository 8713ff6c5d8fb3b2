//! What can be done beside serving, by whoever may read the state directory.

pub mod audit;
pub mod restore;
pub mod support;
pub mod token;

use std::path::{Path, PathBuf};

use wardline_mgmt::config::Config;

/// How a command ends that does not end well.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Wrong usage or configuration.
    #[error("{0}")]
    Usage(String),
    /// It was tried and did not work.
    #[error("{}", chain(.0))]
    Failed(#[from] anyhow::Error),
}

/// The state directory: as typed, else as the configuration says.
///
/// # Errors
/// When it is needed and the configuration cannot be read.
fn state_dir(typed: Option<&Path>, config: &Path) -> Result<PathBuf, Failure> {
    match typed {
        Some(dir) => Ok(dir.to_owned()),
        None => load(config).map(|config| config.state.dir),
    }
}

/// Reads the configuration.
///
/// # Errors
/// What is wrong with it.
pub fn load(config: &Path) -> Result<Config, Failure> {
    Config::load(config).map_err(|error| Failure::Usage(error.to_string()))
}

/// The error and its causes, each said once.
fn chain(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}
