//! What can be done beside serving, by whoever may read the state directory.

pub mod audit;
pub mod token;

use std::future::Future;

use anyhow::Result;

/// Waits for something in a program that does one thing after the other.
fn wait<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(future)
}
