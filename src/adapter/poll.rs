//! What all asynchronous adapters are: a [`WebSocket`] over anything that polls, an [`Io`].
//!
//! `adapter::tokio`, `adapter::futures` and the crate `sansock-compio` make an `Io` of the sockets and the timers of
//! their runtimes, and give the types here shorter names. For another runtime whose sockets report readiness, implement
//! [`Io`]. If its operations own their buffers, as with `io_uring` or IOCP, implement [`OwnedRead`] and [`OwnedWrite`],
//! and use [`Completion`].
//!
//! **Cancellation.** Nothing of a connection lives in a future. Each may be dropped at any time, as `select!` and
//! timeouts do, and what it had begun is gone on with by the next call; each method says what that means.
//!
//! **Time.** The clock of a connection runs while a call waits for the transport. It stops when the call returns or its
//! future is dropped, so the peer is not timed out while the program is busy. Each byte of output that the transport
//! accepts while more waits is a sign of life, so a slow peer is not timed out either. Deadlines are kept, and Pings
//! answered, while a call waits for the next message: receive even if you expect nothing. A `Stream` has no future to
//! drop: time counts until its timer rings, and not if the program comes back more than a second later.
//!
//! **Memory.** In addition to the [`Connection`]: output that is not written yet, and what one read brought beyond the
//! message that was asked for, at most 128 KiB. Read buffers belong to the thread, so an idle connection has none.
//! Reading pauses while more than 128 KiB of answers plus the length of the queued messages wait; see
//! [`driver`](crate::driver).

mod completion;
mod handshake;
mod split;
mod timer;
mod watch;
mod wire;

use core::{
    convert::Infallible,
    fmt,
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
};
use std::{io, time::Instant, vec::Vec};

use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use futures_sink::Sink;

#[cfg(feature = "getrandom")]
pub use self::handshake::client;
pub use self::{
    completion::{Completion, OwnedRead, OwnedWrite},
    handshake::{Upgrade, accept, accept_with, receive_request, tunnel},
    split::{Receiver, Sender},
    timer::{Sleep, Timer},
};
use self::{watch::Side, wire::Wire};
use super::{Error, join::join};
use crate::{
    CloseCode, CloseFrame, CloseInfo, Connection, Driver, Event, Inbox, Message, Outbox, PreparedMessage, SendError,
    driver::HIGH_WATER,
};

/// A transport that polls, and the timer of its runtime.
///
/// What returns `Pending` wakes the task of the latest `cx` when it is worth another try, as everywhere.
pub trait Io: Unpin {
    /// Reads once into `inbox`, where [`room`](Inbox::room) takes `missing`, and says how much it was: 0 bytes at the
    /// end of the stream. A transport that has to own what it reads into [`give`](Inbox::give)s that.
    fn poll_read(&mut self, cx: &mut Context<'_>, inbox: &mut Inbox, missing: u64) -> Poll<io::Result<usize>>;

    /// Writes from `out`, which is not empty, as much as it takes, and says how much that was; it is removed from `out`
    /// then. As slices `out` is a [`Buf`](bytes::Buf); a transport that has to own what it writes takes
    /// [`parts`](Outbox::parts).
    fn poll_write(&mut self, cx: &mut Context<'_>, out: &mut Outbox) -> Poll<io::Result<usize>>;

    /// Passes on what was written, if it is held back: in a TLS session, for instance.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Ends the outgoing half, so that the peer reads EOF, and leaves the incoming one open.
    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Ready at `at`, or soon after it. The same `at` is polled again and again; another one takes its place.
    fn poll_until(&mut self, cx: &mut Context<'_>, at: Instant) -> Poll<()>;

    /// What time it is, by the clock of [`poll_until`](Self::poll_until).
    fn now(&self) -> Instant {
        Instant::now()
    }
}

/// A connection and its transport: messages in and out, the rest is done meanwhile.
///
/// One task receives and sends; for two at once there is [`split`](Self::split). To end the connection properly,
/// [`close`](Self::close) it, or receive until `None`; to just cut it, drop it.
///
/// It is also a `Stream` of messages, which ends after an error, and a `Sink` of them, whose `poll_close` sends a Close
/// and does not wait for the peer's.
pub struct WebSocket<I> {
    wire: Wire<I, Connection>,
    /// The pieces so far, when [`recv`](Self::recv) has to join them.
    pieces: Option<Message>,
    /// The stream of messages gave its last item.
    is_over: bool,
}

impl<I: Io> WebSocket<I> {
    /// Goes on with a connection whose opening handshake was done elsewhere, and of which `received` bytes were read
    /// behind it.
    pub fn new(io: I, connection: Connection, received: Vec<u8>) -> Self {
        Self::over(Wire::new(io, Driver::from_parts(connection, received, Outbox::new())))
    }

    fn over(wire: Wire<I, Connection>) -> Self {
        Self { wire, pieces: None, is_over: false }
    }

    /// Waits for the next message. `None` when the connection was closed properly, by either side: both Closes were
    /// exchanged, and the transport is closed. [`close_info`](Self::close_info) tells what the peer said.
    ///
    /// Messages that are here already are returned at once; before anything is waited for, all there is is written:
    /// Pongs, and what was given to [`feed`](Self::feed).
    ///
    /// # Errors
    ///
    /// The connection failed. The peer was told, where that was possible, before this returns; that takes at most
    /// [`close_timeout`](crate::Config::close_timeout).
    ///
    /// # Cancel safety
    ///
    /// A message is either returned or still there for the next call; what arrived of one in part is kept.
    pub async fn recv(&mut self) -> Result<Option<Message>, Error> {
        self.wait(Side::Receiver, WebSocket::poll_message).await
    }

    /// Waits for events, and hands each to `handler`, until that returns `Some`; `None` and errors are as in
    /// [`recv`](Self::recv).
    ///
    /// Events borrow the read buffer, so nothing is copied; here are also Pings, Pongs, the peer's Close, and the
    /// pieces that [`Delivery::Chunks`](crate::Delivery) gives. `handler` answers by the commands of the connection,
    /// with the buffer that it is given. What it appends is written in one go when no further event is here already, or
    /// by the next call after this one returned; above 128 KiB of it plus what is queued by [`feed`](Self::feed),
    /// nothing is read.
    ///
    /// # Cancel safety
    ///
    /// Each event is handed out once, whether this or another call waits for it; answers are written by the next call.
    pub async fn recv_with<T>(
        &mut self,
        mut handler: impl FnMut(Event<'_>, &mut Connection, &mut BytesMut) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        self.wait(Side::Receiver, |websocket, cx| websocket.poll_event(cx, &mut handler)).await
    }

    /// Sends a message, and waits until the transport has taken it all. From 16 KiB on it is not copied.
    ///
    /// Nothing is received meanwhile: two peers that both send more than their transports take, and receive nothing,
    /// wait for each other until a deadline ends it. For answers there is [`feed`](Self::feed), and for streams in both
    /// directions [`split`](Self::split).
    ///
    /// # Errors
    ///
    /// [`Error::Send`]: nothing was sent; after the end of the connection [`recv`](Self::recv) tells more. Otherwise
    /// the transport failed, or took nothing until a deadline passed: drop the connection.
    ///
    /// # Cancel safety
    ///
    /// From the first poll on the message is queued whole, and will be written by the next call of any method. So do
    /// not send it again; a program that gives up sends still has to look how much it queued.
    pub async fn send(&mut self, message: impl Into<Message>) -> Result<(), Error> {
        self.queue(message.into())?;
        self.flush().await
    }

    /// Sends shared bytes as a binary message, as [`send`](Self::send) does. A server does not copy them.
    ///
    /// # Cancel safety
    ///
    /// As [`send`](Self::send).
    pub async fn send_bytes(&mut self, data: Bytes) -> Result<(), Error> {
        self.wire.command(|connection, out| connection.send_bytes(data, out))?;
        self.flush().await
    }

    /// Sends a message that was encoded once for many connections, without a copy; for servers.
    ///
    /// # Cancel safety
    ///
    /// As [`send`](Self::send).
    pub async fn send_prepared(&mut self, message: &PreparedMessage) -> Result<(), Error> {
        self.queue_prepared(message)?;
        self.flush().await
    }

    /// Queues a message. It is written together with what else is queued, by [`flush`](Self::flush), or by
    /// [`recv`](Self::recv) when all that came was handed out: many answers, one write.
    ///
    /// Waits only while more than 128 KiB are queued.
    ///
    /// # Cancel safety
    ///
    /// Until it is done the message is not queued.
    pub async fn feed(&mut self, message: impl Into<Message>) -> Result<(), Error> {
        self.wait(Side::Sender, |websocket, cx| websocket.wire.poll_drain(cx, HIGH_WATER)).await?;
        Ok(self.queue(message.into())?)
    }

    /// Waits until the transport has taken all there is to write.
    ///
    /// # Cancel safety
    ///
    /// The next call of any method goes on with it.
    pub async fn flush(&mut self) -> Result<(), Error> {
        self.wait(Side::Sender, |websocket, cx| websocket.wire.poll_drain(cx, 0)).await
    }

    /// Sends a Ping of at most 125 bytes. Its Pong is an event of [`recv_with`](Self::recv_with); to just keep the
    /// connection alive there is [`keepalive`](crate::Config::keepalive).
    ///
    /// # Cancel safety
    ///
    /// As [`send`](Self::send).
    pub async fn ping(&mut self, payload: &[u8]) -> Result<(), Error> {
        self.write_with(|connection, out| connection.ping(payload, out)).await
    }

    /// Gives any commands to the connection, such as [`send_chunk`](Connection::send_chunk) or
    /// [`fail`](Connection::fail), and waits, as [`send`](Self::send) does, until what they appended is written.
    ///
    /// # Cancel safety
    ///
    /// As [`send`](Self::send): the commands are given at the first poll.
    pub async fn write_with<T>(
        &mut self,
        commands: impl FnOnce(&mut Connection, &mut BytesMut) -> Result<T, SendError>,
    ) -> Result<T, Error> {
        let result = self.wire.command(|connection, out| commands(connection, out.tail()));
        self.flush().await?;
        Ok(result?)
    }

    /// Closes the connection: sends a Close, and waits for the peer's and for the end of the transport, as
    /// [`recv`](Self::recv) does. Messages that still arrive are thrown away; whoever wants them sends the Close by
    /// [`write_with`](Self::write_with) and receives until `None`.
    ///
    /// When either side has closed already, only the rest is waited for.
    ///
    /// # Errors
    ///
    /// [`SendError::ReasonTooLong`] for a reason over 123 bytes; otherwise as [`recv`](Self::recv).
    ///
    /// # Cancel safety
    ///
    /// The Close is queued at the first poll. Call it again, or receive, to wait for the rest.
    pub async fn close(&mut self, code: CloseCode, reason: &str) -> Result<(), Error> {
        self.queue_close(Some(CloseFrame::new(code, reason)))?;
        self.recv_with(|_, _, _| None::<Infallible>).await.map(|_| ())
    }

    /// Tells of this connection by `tracing` under this id, from here on: that it opened, the header of each frame, and
    /// how it ended, with the target `sansock`. A frame is a `TRACE`, a peer that broke a rule a `WARN`, all else a
    /// `DEBUG`; of payloads only the length is told.
    ///
    /// To be called right after the handshake: frames that went by before are not told, and one that is half received
    /// confuses.
    #[cfg(feature = "tracing")]
    #[must_use]
    pub fn trace(mut self, id: u64) -> Self {
        self.wire.driver.trace(id);
        self
    }

    /// Two owned halves, for two tasks at once: one receives, the other sends.
    pub fn split(self) -> (Receiver<I>, Sender<I>) {
        split::split(self)
    }

    /// How the connection ended, or is ending; `None` while it is open.
    pub fn close_info(&self) -> Option<&CloseInfo> {
        self.connection().close_info()
    }

    /// How many bytes wait to be written.
    pub fn queued(&self) -> usize {
        self.wire.driver.queued()
    }

    /// The machine, to look at.
    pub fn connection(&self) -> &Connection {
        self.wire.driver.machine()
    }

    /// The transport, to look at.
    pub fn io(&self) -> &I {
        &self.wire.io
    }

    fn poll_event<T>(
        &mut self,
        cx: &mut Context<'_>,
        handler: &mut impl FnMut(Event<'_>, &mut Connection, &mut BytesMut) -> Option<T>,
    ) -> Poll<Result<Option<T>, Error>> {
        let found = ready!(self.wire.poll_receive(cx, handler))?;
        // The driver says once why the connection failed; `close_info` knows it ever after.
        Poll::Ready(match self.close_info().and_then(|info| info.cause) {
            Some(cause) if found.is_none() => Err(cause.into()),
            _ => Ok(found),
        })
    }

    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Message>, Error>> {
        let mut pieces = self.pieces.take();
        let message = self.poll_event(cx, &mut |event, _, _| match event {
            Event::Text(text) => Some(Message::Text(text.into_owned())),
            Event::Binary(bytes) => Some(Message::Binary(bytes.into_owned())),
            Event::Chunk(chunk) => join(&mut pieces, chunk),
            _ => None,
        });
        self.pieces = pieces;
        message
    }

    /// Waits by polling. When that is dropped, the clock of its side stops.
    async fn wait<T>(&mut self, side: Side, mut poll: impl FnMut(&mut Self, &mut Context<'_>) -> Poll<T>) -> T {
        struct Waiting<'a, I: Io>(&'a mut WebSocket<I>, Side);

        impl<I: Io> Drop for Waiting<'_, I> {
            fn drop(&mut self) {
                self.0.wire.stop(self.1);
            }
        }

        let waiting = Waiting(self, side);
        poll_fn(|cx| poll(waiting.0, cx)).await
    }

    fn queue(&mut self, message: Message) -> Result<(), SendError> {
        self.wire.command(|connection, out| connection.send_message(message, out))
    }

    fn queue_prepared(&mut self, message: &PreparedMessage) -> Result<(), SendError> {
        self.wire.command(|connection, out| {
            out.push(connection.send_prepared(message)?);
            Ok(())
        })
    }

    /// The Close, unless there was one.
    fn queue_close(&mut self, frame: Option<CloseFrame<'_>>) -> Result<(), SendError> {
        match self.wire.command(|connection, out| connection.close(frame, out.tail())) {
            Err(SendError::Closed) => Ok(()),
            result => result,
        }
    }
}

impl<I: Io> Stream for WebSocket<I> {
    type Item = Result<Message, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        let item = ready!(self.poll_message(cx)).transpose();
        self.is_over = !matches!(item, Some(Ok(_)));
        Poll::Ready(item)
    }
}

impl<I: Io> Sink<Message> for WebSocket<I> {
    type Error = Error;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.wire.poll_drain(cx, HIGH_WATER)
    }

    fn start_send(mut self: Pin<&mut Self>, message: Message) -> Result<(), Error> {
        Ok(self.queue(message)?)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.wire.poll_drain(cx, 0)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.queue_close(Some(CloseFrame::new(CloseCode::NORMAL, "")))?;
        self.wire.poll_drain(cx, 0)
    }
}

impl<I> fmt::Debug for WebSocket<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocket").field("connection", self.wire.driver.machine()).finish_non_exhaustive()
    }
}
