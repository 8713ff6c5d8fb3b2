//! The management plane as a process, over TLS, beside a fast path that plays its part over the
//! real control contract. The real one takes its place in the laboratory (`wardline-lab`).

mod access;
mod devices;
mod events;
mod played;
mod support;
