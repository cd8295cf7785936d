//! compio, and with it `io_uring`: a [`WebSocket`] over a stream of `compio::io` whose halves read and write at once, with
//! compio's timer.
//!
//! ```no_run
//! use sansock::{Config, adapter::compio::{self, Error}};
//!
//! async fn serve(stream: ::compio::net::TcpStream) -> Result<(), Error> {
//!     let mut websocket = compio::accept(stream, &Config::default()).await?;
//!     while let Some(message) = websocket.recv().await? {
//!         websocket.feed(message).await?; // written by `recv`, before it waits
//!     }
//!     Ok(())
//! }
//! ```
//!
//! The methods are those of [`poll::WebSocket`], and as safe to cancel: an operation that is under way belongs to the
//! WebSocket, not to the future that waits for it, so no bytes are lost with one. Only dropping the WebSocket cancels it.
//!
//! **Memory.** With completion I/O a connection that waits for bytes has lent a buffer to the operating system: 4 KiB, or
//! 64 KiB after a read that filled it. Messages are parsed in that buffer, and written from where they were encoded. Only
//! behind a part of a message that [`Delivery::InPlace`](crate::Delivery::InPlace) keeps is what was read copied.

use core::{
    pin::Pin,
    task::{Context, Poll, ready},
};
use std::{boxed::Box, fmt, io, time::Instant, vec, vec::Vec};

use ::compio::{
    BufResult,
    io::{AsyncRead, AsyncWrite, util::Splittable},
    time,
};
use bytes::{Bytes, BytesMut};

pub use super::Error;
use super::poll::{self, Sleep, Timer};
use crate::{
    Config, Connection, Inbox, Outbox,
    handshake::{Refused, proxy::Proxy, server},
};

/// What the first read takes, and each after one that left room.
const FIRST_READ: usize = 4 << 10;

/// What a read takes after one that left none.
const NEXT_READ: usize = 64 << 10;

/// The most parts of one write.
const MAX_PARTS: usize = 64;

/// A connection over a stream of compio.
pub type WebSocket<S> = poll::WebSocket<Io<S>>;
/// The half of it that receives.
pub type Receiver<S> = poll::Receiver<Io<S>>;
/// The half of it that sends.
pub type Sender<S> = poll::Sender<Io<S>>;
/// A request that waits for its answer.
pub type Upgrade<S> = poll::Upgrade<Io<S>>;

/// A stream that can be read and written at the same time: a `TcpStream`, a `UnixStream`, or a pair of a reader and a
/// writer.
///
/// `compio::io::util::Split` makes one of anything, but under a lock: nothing is written there while a read is under way,
/// which between messages is always.
pub trait Stream: Splittable<ReadHalf: AsyncRead + Unpin + 'static, WriteHalf: AsyncWrite + Unpin + 'static> {}

impl<S> Stream for S where S: Splittable<ReadHalf: AsyncRead + Unpin + 'static, WriteHalf: AsyncWrite + Unpin + 'static> {}

/// Waits for a request to upgrade, and accepts it, without a subprotocol: [`poll::accept`].
pub async fn accept<S: Stream>(stream: S, config: &Config) -> Result<WebSocket<S>, Error> {
    poll::accept(Io::new(stream), config).await
}

/// Waits for a request, and lets `answer` answer it: [`poll::accept_with`].
pub async fn accept_with<S: Stream>(
    stream: S,
    config: &Config,
    answer: impl FnOnce(&server::Request, &mut BytesMut) -> Result<Option<Connection>, Refused>,
) -> Result<Option<WebSocket<S>>, Error> {
    poll::accept_with(Io::new(stream), config, answer).await
}

/// Waits for a request, which is answered when the program knows how: [`poll::receive_request`].
pub async fn receive_request<S: Stream>(stream: S, config: &Config) -> Result<Upgrade<S>, Error> {
    poll::receive_request(Io::new(stream), config).await
}

/// Opens a WebSocket over a stream that is connected already: [`poll::client`].
#[cfg(feature = "getrandom")]
pub async fn client<S: Stream>(
    stream: S,
    request: &crate::client::Request<'_>,
    config: &Config,
) -> Result<(WebSocket<S>, crate::client::Response), Error> {
    poll::client(Io::new(stream), request, config).await
}

/// Lets a proxy open a tunnel to a server, over a stream that is connected to the proxy: [`poll::tunnel`]. What comes back
/// are the halves of the stream, which are a [`Stream`] again.
pub async fn tunnel<S: Stream>(
    stream: S,
    proxy: &Proxy,
    host: &str,
    port: u16,
    config: &Config,
) -> Result<(S::ReadHalf, S::WriteHalf), Error> {
    let io = poll::tunnel(Io::new(stream), proxy, host, port, config).await?;
    // No operation is under way: the last one brought the answer.
    let halves = io.reader.idle.map(|reader| reader.stream).zip(io.writer.idle);
    halves.ok_or_else(|| io::Error::from(io::ErrorKind::BrokenPipe).into())
}

/// Goes on with a connection whose opening handshake was done elsewhere, and of which `received` bytes were read behind
/// it.
pub fn from_connection<S: Stream>(stream: S, connection: Connection, received: Vec<u8>) -> WebSocket<S> {
    WebSocket::new(Io::new(stream), connection, received)
}

/// A stream of compio and compio's timer.
pub struct Io<S: Splittable> {
    reader: Half<Reader<S::ReadHalf>>,
    writer: Half<S::WriteHalf>,
    timer: Sleep<fn(Instant) -> Alarm, Alarm>,
}

type Alarm = Pin<Box<dyn Future<Output = ()>>>;

impl<S: Stream> Io<S> {
    /// Needs compio's runtime as soon as it is used.
    pub fn new(stream: S) -> Self {
        let (reader, writer) = stream.split();
        let reader = Reader { stream: reader, buffer: Box::default(), wanted: FIRST_READ };
        Self {
            reader: Half::new(reader),
            writer: Half::new(writer),
            timer: Sleep::new(|at| Box::pin(time::sleep_until(at))),
        }
    }
}

impl<S: Stream> poll::Io for Io<S> {
    fn poll_read(&mut self, cx: &mut Context<'_>, inbox: &mut Inbox, missing: u64) -> Poll<io::Result<usize>> {
        let (count, reader) = ready!(self.reader.poll(cx, Reader::read))?;
        inbox.give(&mut reader.buffer, count, missing);
        Poll::Ready(Ok(count))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, out: &mut Outbox) -> Poll<io::Result<usize>> {
        self.writer.poll(cx, |writer| write(writer, out.parts().take(MAX_PARTS).collect())).map_ok(|(count, _)| count)
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // `write` did.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shutdown = async |mut writer: S::WriteHalf| {
            let result = writer.shutdown().await;
            (writer, result.map(|()| 0))
        };
        self.writer.poll(cx, shutdown).map_ok(|_| ())
    }

    fn poll_until(&mut self, cx: &mut Context<'_>, at: Instant) -> Poll<()> {
        self.timer.poll_until(cx, at)
    }
}

/// Half of a stream: at hand, or owned by an operation until that is complete.
struct Half<T> {
    idle: Option<T>,
    busy: Option<Operation<T>>,
}

type Operation<T> = Pin<Box<dyn Future<Output = (T, io::Result<usize>)>>>;

impl<T> Half<T> {
    fn new(half: T) -> Self {
        Self { idle: Some(half), busy: None }
    }

    /// Goes on with the operation that is under way, or starts this one. What it returns, and the half that it used.
    fn poll<F>(&mut self, cx: &mut Context<'_>, start: impl FnOnce(T) -> F) -> Poll<io::Result<(usize, &mut T)>>
    where
        F: Future<Output = (T, io::Result<usize>)> + 'static,
    {
        if let Some(half) = self.idle.take() {
            self.busy = Some(Box::pin(start(half)));
        }
        // Neither is there only when `start` or the stream panicked.
        let Some(operation) = &mut self.busy else { return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())) };
        let (half, result) = ready!(operation.as_mut().poll(cx));
        self.busy = None;
        let half = self.idle.insert(half);
        Poll::Ready(result.map(|count| (count, half)))
    }
}

struct Reader<R> {
    stream: R,
    buffer: Box<[u8]>,
    /// What the next read takes.
    wanted: usize,
}

impl<R: AsyncRead> Reader<R> {
    async fn read(mut self) -> (Self, io::Result<usize>) {
        if self.buffer.len() != self.wanted {
            self.buffer = vec![0; self.wanted].into();
        }
        let BufResult(result, buffer) = self.stream.read(self.buffer).await;
        self.buffer = buffer;
        let is_full = result.as_ref().is_ok_and(|count| *count == self.wanted);
        self.wanted = if is_full { NEXT_READ } else { FIRST_READ };
        (self, result)
    }
}

async fn write<W: AsyncWrite>(mut writer: W, parts: Vec<Bytes>) -> (W, io::Result<usize>) {
    let BufResult(mut result, _) = writer.write_vectored(parts).await;
    if let Err(error) = writer.flush().await {
        result = result.and(Err(error));
    }
    (writer, result)
}

impl<S: Splittable> fmt::Debug for Io<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Io").finish_non_exhaustive()
    }
}
