//! The log lines of DPDK, libxdp and libbpf: passed on to `tracing`, and the latest warnings kept
//! for the error that follows from them.

use std::collections::VecDeque;
use std::ffi::c_char;
use std::sync::Mutex;

const KEPT: usize = 4;

static RECENT: Mutex<VecDeque<String>> = Mutex::new(VecDeque::new());

/// Takes the log lines over from the standard error stream.
pub(crate) fn capture() {
    // SAFETY: `line` has the expected signature and may be called from any thread.
    if unsafe { dpdk_sys::shim_set_log_sink(Some(line)) } != 0 {
        tracing::warn!("the log lines of DPDK go to the standard error stream");
    }
}

/// Forgets the warnings so far, so that [`recent`] holds those of the next call only.
pub(crate) fn forget() {
    if let Ok(mut recent) = RECENT.lock() {
        recent.clear();
    }
}

/// The latest warnings, as the end of an error message.
pub(crate) fn recent() -> String {
    let lines = match RECENT.lock() {
        Ok(mut recent) => std::mem::take(&mut *recent),
        Err(_) => VecDeque::new(),
    };
    match lines.len() {
        0 => String::new(),
        _ => format!(
            " (said: {})",
            lines.into_iter().collect::<Vec<_>>().join("; ")
        ),
    }
}

unsafe extern "C" fn line(level: u32, text: *const c_char, len: usize) {
    // SAFETY: the shim passes `len` readable bytes that stay valid during the call.
    let bytes = unsafe { std::slice::from_raw_parts(text.cast::<u8>(), len) };
    let text = String::from_utf8_lossy(bytes);
    for text in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if level > dpdk_sys::RTE_LOG_WARNING {
            tracing::debug!(target: "dpdk", "{text}");
            continue;
        }
        // What matters of it comes back in the error of the call that failed.
        tracing::info!(target: "dpdk", "{text}");
        if let Ok(mut recent) = RECENT.lock() {
            if recent.len() == KEPT {
                recent.pop_front();
            }
            recent.push_back(text.to_owned());
        }
    }
}
