//! A client that comes back: [`Reconnect`].

use core::time::Duration;

use ::tokio::time::{Instant, sleep_until};

use super::Error;
use crate::backoff::Backoff;

/// Connections, one after the other, as long as what ends them passes.
///
/// There is a wait before each attempt but the first, as a [`Backoff`] has it; also when a connection came about, because
/// a server that accepts and then fails is not helped by clients that are back at once (RFC 6455 §7.2.3). The waits begin
/// anew after a connection that held as long as the longest of them.
///
/// ```no_run
/// use sansock::{Config, adapter::tokio, backoff::Backoff};
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
#[derive(Debug)]
pub struct Reconnect<C> {
    connect: C,
    backoff: Backoff,
    /// The wait before the next attempt, and when it ends.
    wait: Duration,
    until: Option<Instant>,
    /// Since when there is a connection.
    opened: Option<Instant>,
}

impl<C, F, T> Reconnect<C>
where
    C: FnMut() -> F,
    F: Future<Output = Result<T, Error>>,
{
    /// Connects by `connect`: `connect`, `tls::connect`, or whatever else makes a connection.
    pub fn new(backoff: Backoff, connect: C) -> Self {
        Self { connect, backoff, wait: Duration::ZERO, until: None, opened: None }
    }

    /// Waits for the next connection. What [is transient](Error::is_transient) is tried again, without end.
    ///
    /// # Errors
    ///
    /// What another attempt would most likely end by, too. Whoever calls again tries again, after a wait.
    ///
    /// # Cancel safety
    ///
    /// The next call goes on with the wait; an attempt is given up, and counts as one that failed.
    pub async fn next(&mut self) -> Result<T, Error> {
        if let Some(opened) = self.opened.take() {
            if opened.elapsed() >= self.backoff.most() {
                self.backoff.reset();
                self.draw();
            }
            self.until = Some(after(self.wait));
        }
        loop {
            if let Some(until) = self.until {
                sleep_until(until).await;
            }
            self.draw();
            self.until = Some(after(self.wait));
            match (self.connect)().await {
                Ok(connection) => {
                    self.opened = Some(Instant::now());
                    return Ok(connection);
                }
                Err(error) => {
                    self.until = Some(after(self.wait));
                    if !error.is_transient() {
                        return Err(error);
                    }
                }
            }
        }
    }

    fn draw(&mut self) {
        self.wait = self.backoff.next().unwrap_or_default();
    }
}

/// When this wait ends; one that no clock can express is a long one.
fn after(wait: Duration) -> Instant {
    const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
    Instant::now() + wait.min(YEAR)
}
