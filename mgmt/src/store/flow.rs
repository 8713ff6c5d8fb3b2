//! Flow history.
