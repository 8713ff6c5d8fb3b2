//! Ctrl-C and its kin: remembered, and everything that runs on the hosts is ended so that nobody
//! waits for it.

use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

use crate::layout::HOSTS;
use crate::netns::Namespace;
use crate::process;

/// Whether the play was interrupted.
#[derive(Debug, Clone, Default)]
pub struct Interrupt {
    inner: Arc<(Mutex<bool>, Condvar)>,
}

impl Interrupt {
    /// Listens for SIGINT, SIGTERM and SIGHUP from now on.
    ///
    /// # Errors
    /// When the system refuses a signal handler.
    pub fn install(ward: &str) -> Result<Self> {
        let interrupt = Self::default();
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .context("no runtime")?;
        let kinds = [
            SignalKind::interrupt(),
            SignalKind::terminate(),
            SignalKind::hangup(),
        ];
        let guard = runtime.enter();
        let [int, term, hup] = kinds.map(|kind| signal(kind).context("cannot listen for Ctrl-C"));
        drop(guard);
        let (mut int, mut term, mut hup) = (int?, term?, hup?);
        let (remembered, ward) = (interrupt.clone(), ward.to_owned());
        thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! { _ = int.recv() => {} _ = term.recv() => {} _ = hup.recv() => {} }
            });
            remembered.remember();
            end_everything(&ward);
        });
        Ok(interrupt)
    }

    /// Whether a signal came.
    pub fn came(&self) -> bool {
        *self.inner.0.lock().unwrap_or_else(|held| held.into_inner())
    }

    /// Waits for the time given, or for a signal if one comes earlier.
    pub fn wait(&self, time: Duration) {
        let came = self.inner.0.lock().unwrap_or_else(|held| held.into_inner());
        // Whether it was the time or the signal: the caller asks `came`.
        let _ = self.inner.1.wait_timeout_while(came, time, |came| !*came);
    }

    fn remember(&self) {
        *self.inner.0.lock().unwrap_or_else(|held| held.into_inner()) = true;
        self.inner.1.notify_all();
    }
}

/// Ends whatever runs on the hosts of the ward. The namespaces are removed later, in order.
fn end_everything(ward: &str) {
    for host in HOSTS {
        let namespace = Namespace::new(format!("{ward}-{}", host.name));
        if let Ok(pids) = namespace.processes() {
            process::kill(&pids);
        }
    }
}
