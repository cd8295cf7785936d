//! tokio: a [`WebSocket`] over anything that is `AsyncRead + AsyncWrite`, with tokio's timer.
//!
//! A server, as fast as it gets: what came in one read is answered in one write.
//!
//! ```no_run
//! use sansock::{Config, adapter::tokio};
//!
//! async fn serve(listener: ::tokio::net::TcpListener) -> std::io::Result<()> {
//!     loop {
//!         let (stream, _) = listener.accept().await?;
//!         ::tokio::spawn(async move {
//!             let mut websocket = tokio::accept(stream, &Config::default()).await?;
//!             while let Some(message) = websocket.recv().await? {
//!                 websocket.feed(message).await?; // written by `recv`, before it waits
//!             }
//!             Ok::<_, tokio::Error>(())
//!         });
//!     }
//! }
//! ```
//!
//! The methods are those of [`poll::WebSocket`]; each says what happens when it is cancelled. Two tasks use the halves
//! of [`split`](poll::WebSocket::split):
//!
//! ```no_run
//! # use sansock::adapter::tokio::{Error, WebSocket};
//! # async fn relay(websocket: WebSocket<tokio::net::TcpStream>) -> Result<(), Error> {
//! let (mut receiver, mut sender) = websocket.split();
//! tokio::spawn(async move {
//!     while let Some(message) = receiver.recv().await? {
//!         println!("{message:?}");
//!     }
//!     Ok::<_, Error>(())
//! });
//! sender.send("hello").await?;
//! # Ok(()) }
//! ```

#[cfg(feature = "tokio-net")]
mod net;
mod reconnect;
#[cfg(feature = "tls")]
pub mod tls;

use core::{
    pin::Pin,
    task::{Context, Poll, ready},
};
use std::{boxed::Box, io, time::Instant, vec::Vec};

use ::tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{self, Sleep},
};
use bytes::BytesMut;

#[cfg(feature = "tokio-net")]
pub use self::net::{connect, connect_with};
pub use self::reconnect::Reconnect;
pub use super::Error;
use super::poll;
use crate::{
    Config, Connection, Inbox, Outbox,
    handshake::{Refused, server},
    route::proxy::Proxy,
};

/// A connection over a stream of tokio.
pub type WebSocket<S> = poll::WebSocket<Io<S>>;
/// The half of it that receives.
pub type Receiver<S> = poll::Receiver<Io<S>>;
/// The half of it that sends.
pub type Sender<S> = poll::Sender<Io<S>>;
/// A request that waits for its answer.
pub type Upgrade<S> = poll::Upgrade<Io<S>>;

/// Waits for a request to upgrade, and accepts it, without a subprotocol: [`poll::accept`].
pub async fn accept<S: AsyncRead + AsyncWrite + Unpin>(stream: S, config: &Config) -> Result<WebSocket<S>, Error> {
    poll::accept(Io::new(stream), config).await
}

/// Waits for a request, and lets `answer` answer it: [`poll::accept_with`].
///
/// ```no_run
/// # use sansock::{Config, adapter::tokio::{self, Error}, server::Response};
/// # async fn serve(stream: ::tokio::net::TcpStream) -> Result<(), Error> {
/// let config = Config::default();
/// let accepted = tokio::accept_with(stream, &config, |request, out| match request.target() {
///     "/chat" => request.accept(&Response::new().subprotocol(request.preferred(&["chat"])), out).map(Some),
///     _ => Ok(request.reject(404, &[], b"not here", out).map(|()| None)?),
/// });
/// let Some(mut websocket) = accepted.await? else { return Ok(()) };
/// # Ok(()) }
/// ```
pub async fn accept_with<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    config: &Config,
    answer: impl FnOnce(&server::Request, &mut BytesMut) -> Result<Option<Connection>, Refused>,
) -> Result<Option<WebSocket<S>>, Error> {
    poll::accept_with(Io::new(stream), config, answer).await
}

/// Waits for a request, which is answered when the program knows how: [`poll::receive_request`].
///
/// ```no_run
/// # use sansock::{Config, adapter::tokio::{self, Error}, server::Response};
/// # async fn is_member(_: Option<&[u8]>) -> bool { true }
/// # async fn serve(stream: ::tokio::net::TcpStream) -> Result<(), Error> {
/// let upgrade = tokio::receive_request(stream, &Config::default()).await?;
/// if !is_member(upgrade.request().header("cookie")).await {
///     return upgrade.reject(401, &[], b"who are you?").await;
/// }
/// let mut websocket = upgrade.accept(&Response::new()).await?;
/// # Ok(()) }
/// ```
pub async fn receive_request<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    config: &Config,
) -> Result<Upgrade<S>, Error> {
    poll::receive_request(Io::new(stream), config).await
}

/// Opens a WebSocket over a stream that is connected already, such as a Unix socket: [`poll::client`].
#[cfg(feature = "getrandom")]
pub async fn client<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    request: &crate::client::Request<'_>,
    config: &Config,
) -> Result<(WebSocket<S>, crate::client::Response), Error> {
    poll::client(Io::new(stream), request, config).await
}

/// Lets a proxy open a tunnel to a server, over a stream that is connected to the proxy: [`poll::tunnel`].
pub async fn tunnel<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    proxy: &Proxy,
    host: &str,
    port: u16,
    config: &Config,
) -> Result<S, Error> {
    Ok(poll::tunnel(Io::new(stream), proxy, host, port, config).await?.stream)
}

/// Goes on with a connection whose opening handshake was done elsewhere, and of which `received` bytes were read behind
/// it.
pub fn from_connection<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    connection: Connection,
    received: Vec<u8>,
) -> WebSocket<S> {
    WebSocket::new(Io::new(stream), connection, received)
}

/// A stream of tokio and tokio's timer. Deadlines follow a clock that is paused, too.
#[derive(Debug)]
pub struct Io<S> {
    stream: S,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl<S> Io<S> {
    /// Needs a runtime with its timer only when there are deadlines.
    pub fn new(stream: S) -> Self {
        Self { stream, sleep: None }
    }

    /// The stream, to look at.
    pub fn get_ref(&self) -> &S {
        &self.stream
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> poll::Io for Io<S> {
    fn poll_read(&mut self, cx: &mut Context<'_>, inbox: &mut Inbox, missing: u64) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(inbox.room(missing));
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))?;
        let count = buffer.filled().len();
        inbox.filled(count);
        Poll::Ready(Ok(count))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, out: &mut Outbox) -> Poll<io::Result<usize>> {
        let stream = Pin::new(&mut self.stream);
        out.with_slices(|slices| match slices {
            [slice] => stream.poll_write(cx, slice),
            slices => stream.poll_write_vectored(cx, slices),
        })
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_until(&mut self, cx: &mut Context<'_>, at: Instant) -> Poll<()> {
        let at = time::Instant::from_std(at);
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(time::sleep_until(at)));
        if sleep.deadline() != at {
            sleep.as_mut().reset(at);
        }
        sleep.as_mut().poll(cx)
    }

    fn now(&self) -> Instant {
        time::Instant::now().into_std()
    }
}
