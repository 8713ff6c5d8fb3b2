//! What a device is: evidence first, a model beside it, and an honest "unknown".
//!
//! The way of knowledge: frames are read for what devices say of themselves (`evidence`), each
//! [`Fact`] is weighed by what is known of roles (`knowledge`), windows of numbers go through a
//! model (`model`), and `decide` fuses both into an [`Answer`](decide::Answer). `behaviour`
//! watches whether a device stays what it is, `learn` keeps what people said.
//!
//! No clock: times come with the frames. No I/O but reading model files and the journal of `learn`.

pub mod behaviour;
pub mod decide;
pub mod device;
pub mod evidence;
pub mod fact;
pub mod features;
pub mod identify;
pub mod knowledge;
pub mod learn;
pub mod model;
pub mod observer;
pub mod role;

pub use fact::{About, Fact, Field, Observed, Strength};
pub use observer::Observer;
pub use role::Role;
