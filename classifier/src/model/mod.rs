//! What was learnt from labelled captures.

pub mod token;
