//! The pure packet engine of Wardline: bursts of frames and a timestamp in, verdicts and events
//! out. No DPDK, no clock, no I/O, no threads, and after [`Engine::new`] no allocation.

mod answer;
mod binding;
mod bounded;
pub mod capture;
mod clock;
pub mod config;
mod device;
pub mod engine;
pub mod event;
pub mod feature;
mod flow;
mod fragment;
pub mod meta;
mod names;
pub mod parse;
pub mod refuse;
pub mod sample;
pub mod snoop;
mod talk;
mod vendor;
pub mod verdict;
pub mod view;

pub use config::Limits;
pub use engine::{BURST, Engine};
pub use event::{Event, EventKind, FlowFacts};
pub use meta::{Fragment, L3, L4, PacketMeta};
pub use sample::Sample;
pub use vendor::vendor;
pub use verdict::{Action, Counters, Verdict};
pub use view::{DeviceView, DhcpFacts, FlowView, IPV6_FLOW_BYTES, TableBytes, Traffic};
