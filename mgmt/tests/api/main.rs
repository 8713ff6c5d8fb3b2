//! The management plane as a process, over TLS, beside a fast path that plays its part over the
//! real control contract. The real one takes its place in the laboratory (`wardline-lab`).

mod audit;
mod bundle;
mod contract;
mod devices;
mod events;
mod faults;
mod flows;
mod played;
mod support;
