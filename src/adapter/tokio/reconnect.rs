//! A client that comes back: [`Reconnect`].

use core::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use std::{boxed::Box, future::poll_fn};

use ::tokio::time::{Instant, Sleep, sleep_until};
use futures_core::Stream;

use super::Error;
use crate::Backoff;

/// Connections, one after the other, as long as what ends them passes.
///
/// There is a wait before each attempt but the first, as a [`Backoff`] has it; also when a connection came about,
/// because a server that accepts and then fails is not helped by clients that are back at once (RFC 6455 §7.2.3). The
/// waits begin anew after a connection that held as long as the longest of them.
///
/// ```no_run
/// use sansock::{Backoff, Config, adapter::tokio};
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let config = Config::default();
/// let mut connections = tokio::Reconnect::new(Backoff::new(sansock::seed()?), || {
///     tokio::connect("ws://127.0.0.1:9001/feed", &config)
/// });
/// loop {
///     let mut websocket = connections.next().await?;
///     while let Ok(Some(message)) = websocket.recv().await {
///         println!("{message:?}");
///     }
///     if websocket.close_info().is_some_and(|info| info.clean) {
///         return Ok(()); // the server had no more to say
///     }
/// }
/// # }
/// ```
///
/// It is also a `Stream` of what [`next`](Self::next) returns, which never ends. Poll it again only when the connection
/// before is done with: each item is another connection.
pub struct Reconnect<C, F> {
    connect: C,
    backoff: Backoff,
    /// When the next attempt is due, and what waits for that.
    until: Option<Instant>,
    wait: Option<Pin<Box<Sleep>>>,
    attempt: Option<Pin<Box<F>>>,
    /// Since when there is a connection.
    opened: Option<Instant>,
}

impl<C, F, T> Reconnect<C, F>
where
    C: FnMut() -> F,
    F: Future<Output = Result<T, Error>>,
{
    /// Connects by `connect`: `connect`, `tls::connect`, or whatever else makes a connection within some time; an
    /// attempt has no limit but its own.
    pub fn new(backoff: Backoff, connect: C) -> Self {
        Self { connect, backoff, until: None, wait: None, attempt: None, opened: None }
    }

    /// Waits for the next connection. What [is transient](Error::is_transient) is tried again, without end.
    ///
    /// # Errors
    ///
    /// What another attempt would most likely end by, too. Whoever calls again tries again, after a wait.
    ///
    /// # Cancel safety
    ///
    /// The next call goes on with the wait, or with the attempt, which is kept meanwhile with all that it holds.
    pub async fn next(&mut self) -> Result<T, Error> {
        poll_fn(|cx| self.poll_connection(cx)).await
    }

    fn poll_connection(&mut self, cx: &mut Context<'_>) -> Poll<Result<T, Error>> {
        if let Some(opened) = self.opened.take() {
            if opened.elapsed() >= self.backoff.most() {
                self.backoff.reset();
            }
            self.rest();
        }
        loop {
            if let Some(until) = self.until {
                let wait = self.wait.get_or_insert_with(|| Box::pin(sleep_until(until)));
                ready!(wait.as_mut().poll(cx));
                (self.until, self.wait) = (None, None);
            }
            // Out of its place while it is polled: one that panics is not polled again.
            let mut attempt = self.attempt.take().unwrap_or_else(|| Box::pin((self.connect)()));
            let Poll::Ready(result) = attempt.as_mut().poll(cx) else {
                self.attempt = Some(attempt);
                return Poll::Pending;
            };
            match result {
                Ok(_) => self.opened = Some(Instant::now()),
                Err(_) => self.rest(),
            }
            if !matches!(&result, Err(error) if error.is_transient()) {
                return Poll::Ready(result);
            }
        }
    }

    /// Waits before the next attempt, from now on.
    fn rest(&mut self) {
        /// A wait that no clock can express is a long one.
        const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
        let wait = self.backoff.next().unwrap_or_default();
        self.until = Some(Instant::now() + wait.min(YEAR));
    }
}

/// Nothing in it is pinned but what is boxed.
impl<C, F> Unpin for Reconnect<C, F> {}

impl<C, F, T> Stream for Reconnect<C, F>
where
    C: FnMut() -> F,
    F: Future<Output = Result<T, Error>>,
{
    type Item = Result<T, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_connection(cx).map(Some)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (usize::MAX, None)
    }
}

impl<C, F> fmt::Debug for Reconnect<C, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reconnect").field("backoff", &self.backoff).finish_non_exhaustive()
    }
}
