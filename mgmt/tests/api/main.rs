//! The management plane as a process, over TLS, beside a fast path that plays its part over the
//! real control contract. The real one takes its place in the laboratory (`wardline-lab`).

mod access;
mod alerts;
mod assets;
mod audit;
mod bulk;
mod bundle;
mod captures;
mod context;
mod contract;
mod devices;
mod events;
mod faults;
mod flows;
mod groups;
mod idempotency;
mod jobs;
mod metrics;
mod models;
mod played;
mod policies;
mod receivers;
mod support;
mod traces;
