//! [`Completion`]: an [`Io`] for runtimes whose operations own their buffers, such as `io_uring` and IOCP.

use core::{
    fmt, mem,
    pin::Pin,
    task::{Context, Poll, ready},
};
use std::{boxed::Box, io, time::Instant, vec, vec::Vec};

use bytes::Bytes;

use super::{Io, Timer};
use crate::{Inbox, Outbox};

/// What the first read takes, and each one after a read that left room.
const FIRST_READ: usize = 4 << 10;

/// What a read takes after one that left none.
const NEXT_READ: usize = 64 << 10;

/// The most parts of one write.
const MAX_PARTS: usize = 64;

/// The half of a stream that reads, into buffers that the operation owns.
pub trait OwnedRead: Sized {
    /// An operation that is under way. It gives back the half and the buffer, also when it fails. Usually a
    /// `Pin<Box<dyn Future>>`; one that is `Send` makes a WebSocket that is `Send`.
    type Read: Future<Output = (Self, io::Result<usize>, Box<[u8]>)> + Unpin;

    /// Reads once into `buffer`, which is not empty. 0 bytes mean the end of the stream.
    fn read(self, buffer: Box<[u8]>) -> Self::Read;
}

/// The half of a stream that writes, from buffers that the operation owns.
pub trait OwnedWrite: Sized {
    /// A write that is under way. It gives back the half, also when it fails.
    type Write: Future<Output = (Self, io::Result<usize>)> + Unpin;
    /// The end of this half, under way.
    type Shutdown: Future<Output = (Self, io::Result<()>)> + Unpin;

    /// Writes once from `parts`, in order, and passes on what the stream holds back, such as a TLS record. There are at
    /// most 64 parts; none is empty.
    fn write(self, parts: Vec<Bytes>) -> Self::Write;

    /// Ends this half, so that the peer reads EOF, and leaves the other half open.
    fn shutdown(self) -> Self::Shutdown;
}

/// An [`Io`] over the halves of a stream whose operations own their buffers, and a [`Timer`].
///
/// An operation that is under way belongs to this value, not to the future that waits for it. So a future of the
/// WebSocket can be dropped at any time: no byte is lost, and the next call resumes the operation. Only dropping the
/// WebSocket drops its operations, and with that cancels them, if your runtime does so.
///
/// A read takes 4 KiB, or 64 KiB after a read that filled its buffer. A connection that waits for bytes has lent this
/// buffer to the operating system. Messages are parsed in it, and output is written from where it was encoded.
///
/// The runtime below has one thread and completes each operation when it is asked a second time:
///
/// ```
/// use std::{cell::RefCell, collections::VecDeque, future::Future, io, pin::Pin, rc::Rc, task::{Context, Poll, Waker}};
/// use bytes::Bytes;
/// use sansock::{Config, Connection, adapter::poll::{Completion, OwnedRead, OwnedWrite, Sleep, WebSocket}};
///
/// /// One direction of a stream in memory.
/// #[derive(Clone, Default)]
/// struct Pipe(Rc<RefCell<VecDeque<u8>>>);
///
/// /// What a runtime has of its own: a future that is ready when the operating system reports the completion.
/// async fn completion() {
///     let mut is_complete = false;
///     std::future::poll_fn(|cx| {
///         cx.waker().wake_by_ref();
///         if std::mem::replace(&mut is_complete, true) { Poll::Ready(()) } else { Poll::Pending }
///     })
///     .await
/// }
///
/// type Operation<T> = Pin<Box<dyn Future<Output = T>>>;
///
/// impl OwnedRead for Pipe {
///     type Read = Operation<(Self, io::Result<usize>, Box<[u8]>)>;
///
///     fn read(self, mut buffer: Box<[u8]>) -> Self::Read {
///         Box::pin(async move {
///             completion().await;
///             let count = io::Read::read(&mut *self.0.borrow_mut(), &mut buffer);
///             (self, count, buffer)
///         })
///     }
/// }
///
/// impl OwnedWrite for Pipe {
///     type Write = Operation<(Self, io::Result<usize>)>;
///     type Shutdown = Operation<(Self, io::Result<()>)>;
///
///     fn write(self, parts: Vec<Bytes>) -> Self::Write {
///         Box::pin(async move {
///             completion().await;
///             self.0.borrow_mut().extend(&parts[0]);
///             (self, Ok(parts[0].len()))
///         })
///     }
///
///     fn shutdown(self) -> Self::Shutdown {
///         Box::pin(async move { (self, Ok(())) })
///     }
/// }
///
/// let (input, output) = (Pipe::default(), Pipe::default());
/// input.0.borrow_mut().extend(b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58");
///
/// let timer = Sleep::new(|_| std::future::pending::<()>()); // a real one ends at its instant
/// let io = Completion::new(input, output.clone(), timer);
/// let mut websocket = WebSocket::new(io, Connection::server(&Config::default()), Vec::new());
/// let mut echo = Box::pin(async move {
///     while let Some(message) = websocket.recv().await? {
///         websocket.send(message).await?;
///     }
///     Ok::<_, sansock::adapter::Error>(())
/// });
/// let result = loop {
///     if let Poll::Ready(result) = echo.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
///         break result;
///     }
/// };
/// assert!(result.is_err(), "the stream ended without a Close");
/// assert!(output.0.borrow_mut().make_contiguous().starts_with(b"\x81\x05Hello"));
/// ```
pub struct Completion<R: OwnedRead, W: OwnedWrite, T> {
    reader: Reader<R>,
    writer: Writer<W>,
    timer: T,
    /// What the next read takes.
    wanted: usize,
    /// The buffer of the last read, or the one that was exchanged for it.
    buffer: Box<[u8]>,
}

/// `Gone` remains when an operation panics.
enum Reader<R: OwnedRead> {
    Idle(R),
    Reading(R::Read),
    Gone,
}

enum Writer<W: OwnedWrite> {
    Idle(W),
    Writing(W::Write),
    Ending(W::Shutdown),
    Gone,
}

impl<R: OwnedRead, W: OwnedWrite, T> Completion<R, W, T> {
    /// Starts no operation yet.
    pub fn new(reader: R, writer: W, timer: T) -> Self {
        let (reader, writer) = (Reader::Idle(reader), Writer::Idle(writer));
        Self { reader, writer, timer, wanted: FIRST_READ, buffer: Box::default() }
    }

    /// The halves; `None` while an operation is under way.
    pub fn into_halves(self) -> Option<(R, W)> {
        match (self.reader, self.writer) {
            (Reader::Idle(reader), Writer::Idle(writer)) => Some((reader, writer)),
            _ => None,
        }
    }
}

impl<R, W, T> Io for Completion<R, W, T>
where
    R: OwnedRead + Unpin,
    W: OwnedWrite + Unpin,
    T: Timer,
{
    fn poll_read(&mut self, cx: &mut Context<'_>, inbox: &mut Inbox, missing: u64) -> Poll<io::Result<usize>> {
        let mut operation = match mem::replace(&mut self.reader, Reader::Gone) {
            Reader::Reading(operation) => operation,
            Reader::Idle(reader) => {
                let mut buffer = mem::take(&mut self.buffer);
                if buffer.len() != self.wanted {
                    buffer = vec![0; self.wanted].into();
                }
                reader.read(buffer)
            }
            Reader::Gone => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        };
        let Poll::Ready((reader, result, buffer)) = Pin::new(&mut operation).poll(cx) else {
            self.reader = Reader::Reading(operation);
            return Poll::Pending;
        };
        (self.reader, self.buffer) = (Reader::Idle(reader), buffer);
        let count = result?;
        self.wanted = if count == self.buffer.len() { NEXT_READ } else { FIRST_READ };
        inbox.give(&mut self.buffer, count, missing);
        Poll::Ready(Ok(count))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, out: &mut Outbox) -> Poll<io::Result<usize>> {
        let mut operation = match mem::replace(&mut self.writer, Writer::Gone) {
            Writer::Writing(operation) => operation,
            Writer::Idle(writer) => writer.write(out.parts().take(MAX_PARTS).collect()),
            Writer::Ending(_) | Writer::Gone => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        };
        let Poll::Ready((writer, result)) = Pin::new(&mut operation).poll(cx) else {
            self.writer = Writer::Writing(operation);
            return Poll::Pending;
        };
        self.writer = Writer::Idle(writer);
        Poll::Ready(result)
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // `OwnedWrite::write` did.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Writer::Writing(operation) = &mut self.writer {
            // Its output was given up, but the half has to come back.
            let (writer, _) = ready!(Pin::new(operation).poll(cx));
            self.writer = Writer::Idle(writer);
        }
        let mut operation = match mem::replace(&mut self.writer, Writer::Gone) {
            Writer::Idle(writer) => writer.shutdown(),
            Writer::Ending(operation) => operation,
            Writer::Writing(_) | Writer::Gone => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        };
        let Poll::Ready((writer, result)) = Pin::new(&mut operation).poll(cx) else {
            self.writer = Writer::Ending(operation);
            return Poll::Pending;
        };
        self.writer = Writer::Idle(writer);
        Poll::Ready(result)
    }

    fn poll_until(&mut self, cx: &mut Context<'_>, at: Instant) -> Poll<()> {
        self.timer.poll_until(cx, at)
    }
}

impl<R: OwnedRead, W: OwnedWrite, T> fmt::Debug for Completion<R, W, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Completion").finish_non_exhaustive()
    }
}
