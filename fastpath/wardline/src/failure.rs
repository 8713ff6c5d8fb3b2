//! How a command ends when it does not end well.

use std::io;
use std::process::ExitCode;

use wardline_control::{ClientError, RefusedKind};

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Wrong usage or bad input: exit code 2.
    Input(String),
    /// It failed: exit code 1.
    Failed(String),
    /// Whoever read our output went away, which is their right.
    OutputClosed,
}

impl Failure {
    pub(crate) fn input(message: impl Into<String>) -> Self {
        Self::Input(message.into())
    }

    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::Failed(message.into())
    }

    /// The sentence a person reads.
    pub(crate) fn message(self) -> String {
        match self {
            Self::Input(message) | Self::Failed(message) => message,
            Self::OutputClosed => "the output was closed".to_owned(),
        }
    }

    /// Says it on standard error and gives the exit code.
    pub(crate) fn report(self) -> ExitCode {
        match self {
            Self::Input(message) => {
                eprintln!("wardline: {message}");
                ExitCode::from(2)
            }
            Self::Failed(message) => {
                eprintln!("wardline: {message}");
                ExitCode::FAILURE
            }
            Self::OutputClosed => ExitCode::SUCCESS,
        }
    }
}

/// Errors of the output. Errors of inputs name their file and are made where they occur.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::OutputClosed,
            _ => Self::Failed(format!("cannot write the output: {error}")),
        }
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        io::Error::from(error).into()
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        match &error {
            ClientError::Refused(refused)
                if matches!(refused.kind, RefusedKind::Argument | RefusedKind::Policy) =>
            {
                Self::Input(refused.message.clone())
            }
            _ => Self::Failed(error.to_string()),
        }
    }
}
