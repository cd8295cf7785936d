//! Graceful shutdown, on any runtime: SIGINT or SIGTERM ask for it, and a second one ends the process at once.
//!
//! A server that is asked stops accepting, closes its connections with [`CloseCode::GOING_AWAY`], waits for them until
//! [`DEADLINE`], and exits with 0. Each task runs inside [`Shutdown::track`] and receives like this:
//!
//! ```ignore
//! while let Some(received) = shutdown.or(websocket.recv()).await {
//!     let Some(message) = received? else { return Ok(()) };
//!     websocket.feed(message).await?;
//! }
//! websocket.close(CloseCode::GOING_AWAY, shutdown::REASON).await
//! ```
//!
//! [`CloseCode::GOING_AWAY`]: sansock::CloseCode::GOING_AWAY

#![allow(dead_code, reason = "no example uses all of it")]

use std::{
    process,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio_util::{
    sync::CancellationToken,
    task::{TaskTracker, task_tracker::TaskTrackerToken},
};

/// How long connections have to answer the Close.
pub(crate) const DEADLINE: Duration = Duration::from_secs(10);

/// What the Close says.
pub(crate) const REASON: &str = "the server is shutting down";

/// Whether a shutdown was requested, and the connections that it waits for. Clones share both. Neither
/// `CancellationToken` nor `TaskTracker` needs tokio's runtime.
#[derive(Clone, Default)]
pub(crate) struct Shutdown {
    requested: CancellationToken,
    connections: TaskTracker,
    callbacks: Arc<Mutex<Vec<Callback>>>,
}

type Callback = Box<dyn FnOnce() + Send>;

impl Shutdown {
    /// A shutdown that SIGINT and SIGTERM request. Call it once, before anything else runs.
    pub(crate) fn on_signal() -> Self {
        let shutdown = Self::default();
        let signalled = shutdown.clone();
        // `ctrlc` calls this from a thread of its own, so it may do what a signal handler must not.
        let handler = move || {
            if signalled.is_requested() {
                process::exit(130);
            }
            eprintln!("shutting down; a second signal ends the process at once");
            signalled.request();
        };
        ctrlc::set_handler(handler).expect("the only handler of this process");
        shutdown
    }

    fn request(&self) {
        let mut callbacks = self.callbacks.lock().unwrap_or_else(PoisonError::into_inner);
        self.requested.cancel();
        callbacks.drain(..).for_each(|callback| callback());
    }

    pub(crate) fn is_requested(&self) -> bool {
        self.requested.is_cancelled()
    }

    /// Waits until a shutdown is requested.
    pub(crate) fn requested(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        self.requested.clone().cancelled_owned()
    }

    /// Waits for `future`, or until a shutdown is requested: then it is dropped, and this is `None`. So it should be
    /// safe to cancel, as `recv` is.
    pub(crate) async fn or<F: Future>(&self, future: F) -> Option<F::Output> {
        self.requested.run_until_cancelled(future).await
    }

    /// Calls `callback` when a shutdown is requested, from another thread; at once if it was already. For servers that
    /// do not await: it wakes them, and must return soon.
    pub(crate) fn on_request(&self, callback: impl FnOnce() + Send + 'static) {
        let mut callbacks = self.callbacks.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_requested() {
            drop(callbacks);
            callback();
        } else {
            callbacks.push(Box::new(callback));
        }
    }

    /// Runs a connection that [`finished`](Self::finished) waits for.
    pub(crate) fn track<F: Future>(&self, connection: F) -> impl Future<Output = F::Output> + use<F> {
        self.connections.track_future(connection)
    }

    /// A connection that [`finished`](Self::finished) waits for until this is dropped.
    pub(crate) fn guard(&self) -> TaskTrackerToken {
        self.connections.token()
    }

    /// Waits until all connections have ended. Limit the time to [`DEADLINE`].
    pub(crate) async fn finished(&self) {
        self.connections.close();
        self.connections.wait().await;
    }
}
