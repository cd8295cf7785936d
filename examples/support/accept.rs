//! What a server does when `accept` fails: it reports that and accepts again. It never stops.

#![allow(dead_code, reason = "no example uses all of it")]

use std::{
    io::{self, ErrorKind},
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::Duration,
};

/// How long to wait before the next `accept`.
///
/// A connection that ended before it was accepted (ECONNABORTED) says nothing about the next one. Everything else is a
/// lack of resources, such as descriptors (EMFILE, ENFILE), and passes when a connection has ended. The clients wait in
/// the backlog until then.
pub(crate) fn pause_after(error: &io::Error) -> Duration {
    match error.kind() {
        ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::Interrupted => Duration::ZERO,
        _ => Duration::from_millis(100),
    }
}

/// Accepts until the listener would block. `accept` accepts one connection and begins to serve it. Returns how long to
/// wait before the next try, unless the listener becomes ready: a moment after a failure, otherwise forever. Reports
/// the first failure only: the next ones have the same reason.
pub(crate) fn accept_all(mut accept: impl FnMut() -> io::Result<()>) -> Duration {
    static REPORTED: AtomicBool = AtomicBool::new(false);
    loop {
        match accept() {
            Ok(()) => REPORTED.store(false, Relaxed),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Duration::MAX,
            Err(error) => {
                if !REPORTED.swap(true, Relaxed) {
                    eprintln!("cannot accept a connection: {error}");
                }
                let pause = pause_after(&error);
                if !pause.is_zero() {
                    return pause;
                }
            }
        }
    }
}

/// Accepts a connection, with the `accept` and the `sleep` of a runtime. Reports the first failure only: the next ones
/// have the same reason.
pub(crate) async fn accept<A, S, T>(accept: impl Fn() -> A, sleep: impl Fn(Duration) -> S) -> T
where
    A: Future<Output = io::Result<T>>,
    S: Future,
{
    let mut reported = false;
    loop {
        match accept().await {
            Ok(accepted) => return accepted,
            Err(error) => {
                if !reported {
                    eprintln!("cannot accept a connection: {error}");
                    reported = true;
                }
                sleep(pause_after(&error)).await;
            }
        }
    }
}
