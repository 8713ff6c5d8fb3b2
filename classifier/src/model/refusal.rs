//! Why a model is not used.

use super::graph::GraphFault;

/// Why a model is refused; the one before stays in use.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// A file cannot be read.
    #[error("{file} of the model cannot be read: {error}")]
    Unreadable {
        /// Its name.
        file: String,
        /// What the system says.
        error: std::io::Error,
    },
    /// A file is longer than any of its kind may be.
    #[error("{file} of the model is longer than {limit} bytes")]
    Oversized {
        /// Its name.
        file: &'static str,
        /// What is allowed.
        limit: u64,
    },
    /// Not signed, or by a key that is not trusted, or changed since.
    #[error("no trusted key has signed the model's manifest as it is")]
    Unsigned,
    /// A file has other bytes than those that were signed.
    #[error("{file} of the model is not the file that was signed")]
    Changed {
        /// Its name.
        file: &'static str,
    },
    /// A file does not hold what it should.
    #[error("{file} of the model makes no sense: {why}")]
    Nonsense {
        /// Its name.
        file: &'static str,
        /// What is wrong.
        why: String,
    },
    /// Made for another version of this program.
    #[error("the model has format {format}, this program reads format {FORMAT}", FORMAT = super::manifest::FORMAT)]
    Format {
        /// Of the model.
        format: u32,
    },
    /// Older than the one in use.
    #[error(
        "the model is version {offered}; version {current} is in use, and versions do not go back"
    )]
    Older {
        /// Of the model that was offered.
        offered: u64,
        /// Of the one in use.
        current: u64,
    },
    /// Trained on other numbers than those this program makes.
    #[error("the model was trained on other features than this program computes")]
    Schema,
    /// The graph has what no model of ours has.
    #[error("the model's graph is refused: {0}")]
    Graph(#[from] GraphFault),
    /// tract cannot run it.
    #[error("the model's graph cannot be run: {0}")]
    Plan(String),
    /// It does not answer as it did when it was made.
    #[error("the model answers golden vector {vector} wrongly, by {difference}")]
    Golden {
        /// Number of the vector.
        vector: usize,
        /// The largest difference.
        difference: f32,
    },
}

impl Refusal {
    pub(super) fn nonsense(file: &'static str, why: impl std::fmt::Display) -> Self {
        let why = why.to_string();
        Self::Nonsense { file, why }
    }
}
