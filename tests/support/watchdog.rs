//! A watchdog: a test that waits for a socket, a thread, a task or a process fails instead of hanging.

use std::{
    format,
    io::{self, Write},
    process,
    string::String,
    sync::mpsc,
    thread,
    time::Duration,
};

/// How long a test may take. None needs a tenth of it.
#[allow(clippy::duration_suboptimal_units, reason = "the minimum Rust version of `sansock` has no minutes")]
const PATIENCE: Duration = Duration::from_secs(60);

/// Watches a test until it is dropped.
#[must_use = "it watches as long as it lives: `let _watchdog = watchdog();`"]
pub(crate) struct Watchdog {
    _is_alive: mpsc::Sender<()>,
}

/// The first line of a test that waits for something. If the test takes more than 60 seconds, its process fails and
/// names it.
///
/// It ends the process because a thread that hangs, in a system call or in a loop, can be ended by nothing less.
pub(crate) fn watchdog() -> Watchdog {
    let test = thread::current().name().map_or_else(|| "a test".into(), String::from);
    let (is_alive, ended) = mpsc::channel::<()>();
    thread::spawn(move || {
        if ended.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout) {
            // Not by `eprintln!`, which the test harness would keep to itself.
            _ = io::stderr().write_all(format!("{test} still runs after {PATIENCE:?}\n").as_bytes());
            process::exit(101);
        }
    });
    Watchdog { _is_alive: is_alive }
}
