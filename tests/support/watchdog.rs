//! A watchdog: a test that waits for a socket, a thread, a task or a process fails instead of hanging.

use std::{
    env, format,
    io::{self, Write},
    process,
    string::String,
    sync::mpsc,
    thread,
    time::Duration,
};

/// How many seconds a test may take. None needs a tenth of it.
const PATIENCE: u64 = 60;

/// The same for tests that are ignored because they take minutes.
const MUCH_PATIENCE: u64 = 900;

/// Watches a test until it is dropped.
#[must_use = "it watches as long as it lives: `let _watchdog = watchdog();`"]
pub(crate) struct Watchdog {
    _is_alive: mpsc::Sender<()>,
}

/// The first line of a test that waits for something. If the test takes more than 60 seconds, its process fails and
/// names it. Under `--ignored` it is 15 minutes.
///
/// It ends the process because a thread that hangs, in a system call or in a loop, can be ended by nothing less.
pub(crate) fn watchdog() -> Watchdog {
    let test = thread::current().name().map_or_else(|| "a test".into(), String::from);
    let patience = if env::args().any(|argument| argument == "--ignored") { MUCH_PATIENCE } else { PATIENCE };
    let (is_alive, ended) = mpsc::channel::<()>();
    thread::spawn(move || {
        if ended.recv_timeout(Duration::from_secs(patience)) == Err(mpsc::RecvTimeoutError::Timeout) {
            // Not by `eprintln!`, which the test harness would keep to itself.
            _ = io::stderr().write_all(format!("{test} still runs after {patience} s\n").as_bytes());
            process::exit(101);
        }
    });
    Watchdog { _is_alive: is_alive }
}
