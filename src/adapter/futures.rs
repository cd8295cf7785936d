//! smol and others: a [`WebSocket`] over anything that is `futures_io`'s `AsyncRead + AsyncWrite`, with a timer that
//! you bring.
//!
// Tested by `integration`, which has smol.
#![cfg_attr(not(doctest), doc = include_str!("futures.md"))]
//!
//! The methods are those of [`poll::WebSocket`]; each says what happens when it is cancelled.
//!
//! **A stream has to end its outgoing half** in `poll_close`: that is how a server tells a client that it may go. With
//! smol take `smol::net::TcpStream`, as above. `smol::Async<TcpStream>`, which is `async_io::Async<TcpStream>`, only
//! flushes there: both sides then wait for each other after their Closes, until
//! [`close_timeout`](crate::Config::close_timeout) has passed.

use core::{
    pin::Pin,
    task::{Context, Poll, ready},
};
use std::{io, time::Instant, vec::Vec};

use bytes::BytesMut;
use futures_io::{AsyncRead, AsyncWrite};

use super::poll;
pub use super::{
    Error,
    poll::{Sleep, Timer},
};
use crate::{
    Config, Connection, Inbox, Outbox,
    handshake::{Refused, server},
    route::proxy::Proxy,
};

/// A connection over a stream of `futures_io`.
pub type WebSocket<S, T> = poll::WebSocket<Io<S, T>>;
/// The half of it that receives.
pub type Receiver<S, T> = poll::Receiver<Io<S, T>>;
/// The half of it that sends.
pub type Sender<S, T> = poll::Sender<Io<S, T>>;
/// A request that waits for its answer.
pub type Upgrade<S, T> = poll::Upgrade<Io<S, T>>;

/// Waits for a request to upgrade, and accepts it, without a subprotocol: [`poll::accept`].
pub async fn accept<S: AsyncRead + AsyncWrite + Unpin, T: Timer>(
    stream: S,
    timer: T,
    config: &Config,
) -> Result<WebSocket<S, T>, Error> {
    poll::accept(Io::new(stream, timer), config).await
}

/// Waits for a request, and lets `answer` answer it: [`poll::accept_with`].
pub async fn accept_with<S: AsyncRead + AsyncWrite + Unpin, T: Timer>(
    stream: S,
    timer: T,
    config: &Config,
    answer: impl FnOnce(&server::Request, &mut BytesMut) -> Result<Option<Connection>, Refused>,
) -> Result<Option<WebSocket<S, T>>, Error> {
    poll::accept_with(Io::new(stream, timer), config, answer).await
}

/// Waits for a request, which is answered when the program knows how: [`poll::receive_request`].
pub async fn receive_request<S: AsyncRead + AsyncWrite + Unpin, T: Timer>(
    stream: S,
    timer: T,
    config: &Config,
) -> Result<Upgrade<S, T>, Error> {
    poll::receive_request(Io::new(stream, timer), config).await
}

/// Opens a WebSocket over a stream that is connected already: [`poll::client`].
#[cfg(feature = "getrandom")]
pub async fn client<S: AsyncRead + AsyncWrite + Unpin, T: Timer>(
    stream: S,
    timer: T,
    request: &crate::client::Request<'_>,
    config: &Config,
) -> Result<(WebSocket<S, T>, crate::client::Response), Error> {
    poll::client(Io::new(stream, timer), request, config).await
}

/// Lets a proxy open a tunnel to a server, over a stream that is connected to the proxy: [`poll::tunnel`].
pub async fn tunnel<S: AsyncRead + AsyncWrite + Unpin, T: Timer>(
    stream: S,
    timer: T,
    proxy: &Proxy,
    host: &str,
    port: u16,
    config: &Config,
) -> Result<S, Error> {
    Ok(poll::tunnel(Io::new(stream, timer), proxy, host, port, config).await?.stream)
}

/// Goes on with a connection whose opening handshake was done elsewhere, and of which `received` bytes were read behind
/// it.
pub fn from_connection<S: AsyncRead + AsyncWrite + Unpin, T: Timer>(
    stream: S,
    timer: T,
    connection: Connection,
    received: Vec<u8>,
) -> WebSocket<S, T> {
    WebSocket::new(Io::new(stream, timer), connection, received)
}

/// A stream of `futures_io`, and a timer.
#[derive(Debug)]
pub struct Io<S, T> {
    stream: S,
    timer: T,
}

impl<S, T> Io<S, T> {
    /// The two together.
    pub fn new(stream: S, timer: T) -> Self {
        Self { stream, timer }
    }

    /// The stream, to look at.
    pub fn get_ref(&self) -> &S {
        &self.stream
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin, T: Timer> poll::Io for Io<S, T> {
    fn poll_read(&mut self, cx: &mut Context<'_>, inbox: &mut Inbox, missing: u64) -> Poll<io::Result<usize>> {
        let count = ready!(Pin::new(&mut self.stream).poll_read(cx, inbox.room(missing)))?;
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
        Pin::new(&mut self.stream).poll_close(cx)
    }

    fn poll_until(&mut self, cx: &mut Context<'_>, at: Instant) -> Poll<()> {
        self.timer.poll_until(cx, at)
    }
}
