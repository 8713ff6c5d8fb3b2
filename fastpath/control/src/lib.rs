//! Typed contract between `wardline fastpath` and its clients.
