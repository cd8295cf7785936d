//! WebSocket for compio, and with it `io_uring` and IOCP, by [`sansock`]: a [`WebSocket`] over a stream of `compio::io`
//! whose halves read and write at once, with compio's timer.
//!
//! ```no_run
//! use sansock_compio::{Error, accept, sansock::Config};
//!
//! async fn serve(stream: compio::net::TcpStream) -> Result<(), Error> {
//!     let mut websocket = accept(stream, &Config::default()).await?;
//!     while let Some(message) = websocket.recv().await? {
//!         websocket.feed(message).await?; // written by `recv`, before it waits
//!     }
//!     Ok(())
//! }
//! ```
//!
//! The methods are those of [`poll::WebSocket`], and as safe to cancel: an operation that is under way belongs to the
//! WebSocket, not to the future that waits for it, so no bytes are lost with one. Only dropping the WebSocket cancels
//! it.
//!
//! **Memory.** With completion I/O a connection that waits for bytes has lent a buffer to the operating system: 4 KiB,
//! or 64 KiB after a read that filled it. Messages are parsed in that buffer, and output is written from where it was
//! encoded. What is read is copied only after a part of a message that
//! [`Delivery::InPlace`](sansock::Delivery::InPlace) keeps.
#![forbid(unsafe_code)]

use std::{io, marker::PhantomData, pin::Pin, time::Instant};

use bytes::{Bytes, BytesMut};
use compio::{
    BufResult,
    io::{AsyncRead, AsyncWrite, util::Splittable},
    time,
};
pub use sansock;
pub use sansock::adapter::Error;
use sansock::{
    Config, Connection,
    adapter::poll::{self, Completion, OwnedRead, OwnedWrite, Sleep},
    handshake::{Refused, server},
    route::proxy::Proxy,
};

/// The code in the README, as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

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
/// `compio::io::util::Split` makes one of anything, but under a lock: nothing is written there while a read is under
/// way, which between messages is always.
pub trait Stream:
    Splittable<ReadHalf: AsyncRead + Unpin + 'static, WriteHalf: AsyncWrite + Unpin + 'static> + 'static
{
}

impl<S> Stream for S where
    S: Splittable<ReadHalf: AsyncRead + Unpin + 'static, WriteHalf: AsyncWrite + Unpin + 'static> + 'static
{
}

/// Waits for a request to upgrade, and accepts it, without a subprotocol: [`poll::accept`].
pub async fn accept<S: Stream>(stream: S, config: &Config) -> Result<WebSocket<S>, Error> {
    poll::accept(io(stream), config).await
}

/// Waits for a request, and lets `answer` answer it: [`poll::accept_with`].
pub async fn accept_with<S: Stream>(
    stream: S,
    config: &Config,
    answer: impl FnOnce(&server::Request, &mut BytesMut) -> Result<Option<Connection>, Refused>,
) -> Result<Option<WebSocket<S>>, Error> {
    poll::accept_with(io(stream), config, answer).await
}

/// Waits for a request, which is answered when the program knows how: [`poll::receive_request`].
pub async fn receive_request<S: Stream>(stream: S, config: &Config) -> Result<Upgrade<S>, Error> {
    poll::receive_request(io(stream), config).await
}

/// Opens a WebSocket over a stream that is connected already: [`poll::client`].
#[cfg(feature = "getrandom")]
pub async fn client<S: Stream>(
    stream: S,
    request: &sansock::client::Request<'_>,
    config: &Config,
) -> Result<(WebSocket<S>, sansock::client::Response), Error> {
    poll::client(io(stream), request, config).await
}

/// Lets a proxy open a tunnel to a server, over a stream that is connected to the proxy: [`poll::tunnel`]. What comes
/// back are the halves of the stream, which are a [`Stream`] again.
pub async fn tunnel<S: Stream>(
    stream: S,
    proxy: &Proxy,
    host: &str,
    port: u16,
    config: &Config,
) -> Result<(S::ReadHalf, S::WriteHalf), Error> {
    let tunnel = poll::tunnel(io(stream), proxy, host, port, config).await?;
    // No operation is under way: the last one brought the answer.
    let (reader, writer) = tunnel.into_halves().ok_or(io::ErrorKind::BrokenPipe).map_err(io::Error::from)?;
    Ok((reader.0, writer.0))
}

/// Goes on with a connection whose opening handshake was done elsewhere, and of which `received` bytes were read behind
/// it.
pub fn from_connection<S: Stream>(stream: S, connection: Connection, received: Vec<u8>) -> WebSocket<S> {
    WebSocket::new(io(stream), connection, received)
}

/// A stream of compio and compio's timer.
pub type Io<S> = Completion<
    Half<S, <S as Splittable>::ReadHalf>,
    Half<S, <S as Splittable>::WriteHalf>,
    Sleep<fn(Instant) -> Operation<()>, Operation<()>>,
>;

/// Waits for the operating system. It belongs to a thread.
type Operation<T> = Pin<Box<dyn Future<Output = T>>>;

/// Needs compio's runtime as soon as it is used.
pub fn io<S: Stream>(stream: S) -> Io<S> {
    let (reader, writer) = stream.split();
    Completion::new(
        Half(reader, PhantomData),
        Half(writer, PhantomData),
        Sleep::new(|at| Box::pin(time::sleep_until(at))),
    )
}

/// A half of the stream `S`.
#[derive(Debug)]
pub struct Half<S, H>(H, PhantomData<fn(S)>);

impl<S: 'static, R: AsyncRead + 'static> OwnedRead for Half<S, R> {
    type Read = Operation<(Self, io::Result<usize>, Box<[u8]>)>;

    fn read(mut self, buffer: Box<[u8]>) -> Self::Read {
        Box::pin(async move {
            let BufResult(result, buffer) = self.0.read(buffer).await;
            (self, result, buffer)
        })
    }
}

impl<S: 'static, W: AsyncWrite + 'static> OwnedWrite for Half<S, W> {
    type Write = Operation<(Self, io::Result<usize>)>;
    type Shutdown = Operation<(Self, io::Result<()>)>;

    fn write(mut self, parts: Vec<Bytes>) -> Self::Write {
        Box::pin(async move {
            let BufResult(result, _) = self.0.write_vectored(parts).await;
            let flushed = self.0.flush().await;
            (self, result.and_then(|count| flushed.map(|()| count)))
        })
    }

    fn shutdown(mut self) -> Self::Shutdown {
        Box::pin(async move {
            let result = self.0.shutdown().await;
            (self, result)
        })
    }
}
