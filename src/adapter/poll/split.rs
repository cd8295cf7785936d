//! Two owned halves of one connection, for two tasks.
//!
//! Both need the whole: the receiving half writes Pongs, and what the sending half waits for may be the other's
//! deadline. So they share it under a lock that is held for one poll, never while waiting. A transport keeps one waker
//! for each direction, and either half may be waiting for either; what is registered there wakes both.

use core::{
    fmt,
    future::poll_fn,
    mem,
    pin::Pin,
    task::{Context, Poll, Waker},
};
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Wake,
};

use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use futures_sink::Sink;

use super::{Io, WebSocket, watch::Side};
use crate::{
    CloseCode, CloseFrame, CloseInfo, Connection, Event, Message, PreparedMessage, SendError, adapter::Error,
    driver::HIGH_WATER,
};

pub(super) fn split<I>(websocket: WebSocket<I>) -> (Receiver<I>, Sender<I>) {
    let tasks = Arc::new(Tasks::default());
    let whole = Arc::new(Whole { websocket: Mutex::new(websocket), waker: tasks.clone().into(), tasks });
    (Receiver { whole: whole.clone() }, Sender { whole })
}

struct Whole<I> {
    websocket: Mutex<WebSocket<I>>,
    tasks: Arc<Tasks>,
    /// Wakes both tasks.
    waker: Waker,
}

/// The tasks that wait, by their side.
#[derive(Default)]
struct Tasks([Mutex<Option<Waker>>; 2]);

impl Tasks {
    fn slot(&self, side: Side) -> MutexGuard<'_, Option<Waker>> {
        self.0[side as usize].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake_side(&self, side: Side) {
        let waker = mem::take(&mut *self.slot(side));
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Wake for Tasks {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.wake_side(Side::Receiver);
        self.wake_side(Side::Sender);
    }
}

impl<I: Io> Whole<I> {
    /// A handler that panicked leaves the driver as it was: the other half goes on.
    fn lock(&self) -> MutexGuard<'_, WebSocket<I>> {
        self.websocket.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits by polling. When that is dropped, the clock of its side stops.
    async fn wait<T>(&self, side: Side, mut poll: impl FnMut(&mut WebSocket<I>, &mut Context<'_>) -> Poll<T>) -> T {
        let mut waiting = Waiting { whole: self, side, is_pending: false };
        poll_fn(|cx| {
            let result = self.poll(side, cx, &mut poll);
            waiting.is_pending = result.is_pending();
            result
        })
        .await
    }

    /// Polls with a waker that wakes both tasks. The own one is registered first, so that no wake is lost.
    fn poll<T>(
        &self,
        side: Side,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut WebSocket<I>, &mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        let mut websocket = self.lock();
        self.tasks.slot(side).get_or_insert_with(|| cx.waker().clone()).clone_from(cx.waker());
        let result = poll(&mut websocket, &mut Context::from_waker(&self.waker));
        if result.is_ready() {
            *self.tasks.slot(side) = None;
        }
        result
    }

    fn poll_drain(&self, cx: &mut Context<'_>, most: usize) -> Poll<Result<(), Error>> {
        self.poll(Side::Sender, cx, |websocket, cx| websocket.wire.poll_drain(cx, most))
    }

    async fn drain(&self, most: usize) -> Result<(), Error> {
        self.wait(Side::Sender, |websocket, cx| websocket.wire.poll_drain(cx, most)).await
    }

    /// Gives commands to the connection. The receiving half learns of new deadlines, and that it may read again: how
    /// many answers may wait grows with what is sent.
    fn command<T>(&self, commands: impl FnOnce(&mut WebSocket<I>) -> Result<T, SendError>) -> Result<T, SendError> {
        let mut websocket = self.lock();
        let wanted_read = websocket.wire.driver.wants_read();
        let result = commands(&mut websocket);
        if websocket.wire.is_news() || websocket.wire.driver.wants_read() != wanted_read {
            self.tasks.wake_side(Side::Receiver);
        }
        result
    }
}

/// A future of one half.
struct Waiting<'a, I: Io> {
    whole: &'a Whole<I>,
    side: Side,
    is_pending: bool,
}

impl<I: Io> Drop for Waiting<'_, I> {
    fn drop(&mut self) {
        if self.is_pending {
            *self.whole.tasks.slot(self.side) = None;
            self.whole.lock().wire.stop(self.side);
        }
    }
}

/// The half that receives, and that keeps the deadlines while it waits. It is a `Stream`, too.
pub struct Receiver<I> {
    whole: Arc<Whole<I>>,
}

impl<I: Io> Receiver<I> {
    /// Waits for the next message, as [`WebSocket::recv`].
    ///
    /// # Cancel safety
    ///
    /// A message is either returned or still there for the next call.
    pub async fn recv(&mut self) -> Result<Option<Message>, Error> {
        self.whole.wait(Side::Receiver, WebSocket::poll_message).await
    }

    /// Waits for events, as [`WebSocket::recv_with`]. The other half waits while `handler` runs, which must not wait
    /// for it in turn.
    ///
    /// # Cancel safety
    ///
    /// Each event is handed out once; answers are written by the next call of either half.
    pub async fn recv_with<T>(
        &mut self,
        mut handler: impl FnMut(Event<'_>, &mut Connection, &mut BytesMut) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        self.whole.wait(Side::Receiver, |websocket, cx| websocket.poll_event(cx, &mut handler)).await
    }

    /// How the connection ended, or is ending; `None` while it is open.
    #[must_use]
    pub fn close_info(&self) -> Option<CloseInfo> {
        self.whole.lock().close_info().cloned()
    }

    /// The whole again, if `sender` is the other half; otherwise both come back.
    #[allow(clippy::missing_panics_doc, reason = "it does not panic")]
    pub fn unite(self, sender: Sender<I>) -> Result<WebSocket<I>, (Self, Sender<I>)> {
        if !Arc::ptr_eq(&self.whole, &sender.whole) {
            return Err((self, sender));
        }
        drop(sender);
        let whole = Arc::into_inner(self.whole).expect("there are two halves");
        Ok(whole.websocket.into_inner().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<I: Io> Stream for Receiver<I> {
    type Item = Result<Message, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.whole.poll(Side::Receiver, cx, |websocket, cx| Pin::new(websocket).poll_next(cx))
    }
}

/// The half that sends. It is a `Sink`, too.
///
/// Dropping it closes nothing: the other half goes on.
pub struct Sender<I> {
    whole: Arc<Whole<I>>,
}

impl<I: Io> Sender<I> {
    /// Sends a message, as [`WebSocket::send`].
    ///
    /// # Cancel safety
    ///
    /// From the first poll on the message is queued whole, and will be written by the next call of either half.
    pub async fn send(&mut self, message: impl Into<Message>) -> Result<(), Error> {
        self.whole.command(|whole| whole.queue(message.into()))?;
        self.flush().await
    }

    /// Sends shared bytes as a binary message, as [`WebSocket::send_bytes`].
    ///
    /// # Cancel safety
    ///
    /// As [`send`](Self::send).
    pub async fn send_bytes(&mut self, data: Bytes) -> Result<(), Error> {
        self.whole.command(|whole| whole.wire.command(|connection, out| connection.send_bytes(data, out)))?;
        self.flush().await
    }

    /// Sends a message that was encoded once for many connections, as [`WebSocket::send_prepared`].
    ///
    /// # Cancel safety
    ///
    /// As [`send`](Self::send).
    pub async fn send_prepared(&mut self, message: &PreparedMessage) -> Result<(), Error> {
        self.whole.command(|whole| whole.queue_prepared(message))?;
        self.flush().await
    }

    /// Queues a message for the next [`flush`](Self::flush), or whatever is written next. Waits only while more than
    /// 128 KiB are queued.
    ///
    /// # Cancel safety
    ///
    /// Until it is done the message is not queued.
    pub async fn feed(&mut self, message: impl Into<Message>) -> Result<(), Error> {
        self.whole.drain(HIGH_WATER).await?;
        Ok(self.whole.command(|whole| whole.queue(message.into()))?)
    }

    /// Waits until the transport has taken all there is to write.
    ///
    /// # Cancel safety
    ///
    /// The next call of either half goes on with it.
    pub async fn flush(&mut self) -> Result<(), Error> {
        self.whole.drain(0).await
    }

    /// Gives any commands to the connection, as [`WebSocket::write_with`].
    ///
    /// # Cancel safety
    ///
    /// As [`send`](Self::send): the commands are given at the first poll.
    pub async fn write_with<T>(
        &mut self,
        commands: impl FnOnce(&mut Connection, &mut BytesMut) -> Result<T, SendError>,
    ) -> Result<T, Error> {
        let result = self.whole.command(|whole| whole.wire.command(|connection, out| commands(connection, out.tail())));
        self.flush().await?;
        Ok(result?)
    }

    /// Sends a Close, unless there was one. The other half receives what still comes, and then `None`.
    ///
    /// # Cancel safety
    ///
    /// As [`send`](Self::send).
    pub async fn close(&mut self, code: CloseCode, reason: &str) -> Result<(), Error> {
        self.whole.command(|whole| whole.queue_close(Some(CloseFrame::new(code, reason))))?;
        self.flush().await
    }
}

impl<I: Io> Sink<Message> for Sender<I> {
    type Error = Error;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.whole.poll_drain(cx, HIGH_WATER)
    }

    fn start_send(self: Pin<&mut Self>, message: Message) -> Result<(), Error> {
        Ok(self.whole.command(|whole| whole.queue(message))?)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.whole.poll_drain(cx, 0)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.whole.command(|whole| whole.queue_close(Some(CloseFrame::new(CloseCode::NORMAL, ""))))?;
        self.whole.poll_drain(cx, 0)
    }
}

impl<I> fmt::Debug for Receiver<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").finish_non_exhaustive()
    }
}

impl<I> fmt::Debug for Sender<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}
