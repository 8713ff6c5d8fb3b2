//! A small clinical ward in network namespaces, with genuine protocol stacks on both sides of the
//! gateway, and the exchanges that must work across it.
//!
//! [`Ward::up`] lays cables, starts the hospital's servers and the devices; [`exchange::perform`]
//! runs the clinical exchanges; [`Ward::down`] leaves nothing behind.

pub mod attacks;
pub mod certs;
pub mod control;
pub mod demo;
pub mod exchange;
mod exchanges;
pub mod gateway;
pub mod layout;
pub mod loss;
pub mod mgmt;
pub mod netns;
pub mod policy;
pub mod process;
pub mod record;
pub mod resilience;
pub mod rules;
pub mod services;
pub mod ward;

pub use exchange::{Exchange, Outcome};
pub use ward::{Options, Ward};
