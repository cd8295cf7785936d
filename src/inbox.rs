//! [`Inbox`]: a read buffer in which a frame that is not whole stays where it is.

use alloc::{boxed::Box, vec, vec::Vec};
use core::{mem, ops::Range};

/// What one read takes behind a long frame: likely the header of the next one, whose payload is then read to its place.
const SHORT_READ: usize = 4 << 10;

/// From so many bytes of payload on a frame is long.
const LONG: u64 = 32 << 10;

/// Below so many bytes of payload a frame costs less to move than another read does.
const SMALL: u64 = 8 << 10;

/// What is left of a read, and no longer than this, is copied: a peer shall not hold much more than it has sent.
const COPIED: usize = 16 << 10;

/// The longest buffer that goes to the next borrower.
const RETAINED: usize = 1 << 20;

/// Bytes that were read, and not yet received.
///
/// Most programs need no more than an array that they read into. With [`Delivery::InPlace`](crate::Delivery::InPlace)
/// what is left of the input has to stay in front of what is read next; that is kept here, in a buffer that grows with
/// what has come, and never by more than that and one read, [`read_len`](Self::read_len). A long frame is read exactly
/// to its end, so that nothing has to be moved.
///
/// ```
/// use bytes::BytesMut;
/// use sansock::{Config, Connection, Delivery, Event, Inbox};
///
/// let mut connection = Connection::client(&Config::default().delivery(Delivery::InPlace), [7; 32]);
/// let (mut inbox, mut out) = (Inbox::new(), BytesMut::new());
/// let mut messages = 0;
/// for read in [&b"\x82\x05He"[..], b"l", b"lo", b"\x82\x00"] {
///     let room = inbox.room(connection.missing());
///     room[..read.len()].copy_from_slice(read); // `socket.read(room)`
///     inbox.filled(read.len());
///
///     let mut input = inbox.input();
///     while let Some(event) = connection.receive(&mut input, &mut out)? {
///         assert!(matches!(event, Event::Binary(data) if data.is_empty() || &*data == b"Hello"));
///         messages += 1;
///     }
///     let left = input.len();
///     inbox.keep(left);
/// }
/// assert_eq!(messages, 2);
/// # Ok::<(), sansock::Error>(())
/// ```
///
/// A program with many connections lends its buffer to the one that it reads from:
/// [`borrow_buffer`](Self::borrow_buffer) before, [`return_buffer`](Self::return_buffer) after. An inbox between two
/// messages then holds nothing. Without that it keeps its buffer, as long as the longest message was.
#[derive(Debug)]
pub struct Inbox {
    /// As long as it ever was: only the bytes of `unread` mean something.
    buffer: Box<[u8]>,
    unread: Range<usize>,
    /// The last frame that was unfinished is a long one.
    is_long: bool,
    /// The room was given for the first bytes of a frame.
    is_first: bool,
    read_len: u32,
}

impl Inbox {
    /// An empty inbox. It allocates when there is something to read.
    #[must_use]
    pub fn new() -> Self {
        Self::from(Vec::new())
    }

    /// How much one read takes, where no frame is unfinished: 64 KiB, if this does not say otherwise; at least 1 byte.
    ///
    /// With fewer bytes there are more reads, with more they no longer stay in the cache while they are received.
    #[must_use]
    pub fn read_len(mut self, read_len: usize) -> Self {
        self.set_read_len(u32::try_from(read_len).unwrap_or(u32::MAX));
        self
    }

    #[inline]
    pub(crate) fn set_read_len(&mut self, read_len: u32) {
        self.read_len = read_len.max(1);
    }

    /// Where the next bytes go that are read, behind those that are kept; never empty.
    ///
    /// `missing` is what [`Connection::missing`](crate::Connection::missing) says: of a payload of 8 KiB and more no
    /// more is read than that.
    pub fn room(&mut self, missing: u64) -> &mut [u8] {
        let (kept, read_len) = (self.unread.len(), self.read_len as usize);
        let payload_len = missing.saturating_add(kept as u64);
        let mut len = if missing == 0 {
            if self.is_long { SHORT_READ.min(read_len) } else { read_len }
        } else if payload_len < SMALL {
            read_len.saturating_sub(kept).max(1)
        } else {
            self.is_long = payload_len >= LONG;
            usize::try_from(missing).unwrap_or(usize::MAX).min(kept.max(read_len))
        };
        self.is_first = missing == 0;
        if kept == 0 {
            self.unread = 0..0;
        }
        let left = self.buffer.len() - self.unread.end;
        if len > left {
            if kept + len <= self.buffer.len() && (kept <= self.unread.start || payload_len < SMALL) {
                self.buffer.copy_within(self.unread.clone(), 0);
                self.unread = 0..kept;
            } else if missing > 0 && left > 0 {
                // It grows when it is full, to twice as much or all: so that takes linear time, however short the
                // reads.
                len = left;
            } else {
                // Room for the header too that stands in front of the next frame of this length.
                let mut grown = vec![0; self.unread.end + len].into_boxed_slice();
                grown[..kept].copy_from_slice(&self.buffer[self.unread.clone()]);
                self.buffer = grown;
                self.unread = 0..kept;
            }
        }
        let start = self.unread.end;
        &mut self.buffer[start..start + len]
    }

    /// `count` bytes were read into the front of [`room`](Self::room).
    ///
    /// # Panics
    ///
    /// There was not so much room.
    #[inline]
    pub fn filled(&mut self, count: usize) {
        assert!(count <= self.buffer.len() - self.unread.end, "more was read than there was room for");
        self.unread.end += count;
        self.is_long &= !self.is_first;
    }

    /// The first `count` bytes of `buffer` were read, elsewhere; `missing` is what [`room`](Self::room) would have been
    /// told.
    ///
    /// Where nothing is kept, the two buffers are exchanged and nothing is copied. For whoever has to own what it reads
    /// into, as completion I/O does.
    ///
    /// # Panics
    ///
    /// The buffer is not so long.
    pub fn give(&mut self, buffer: &mut Box<[u8]>, count: usize, missing: u64) {
        assert!(count <= buffer.len(), "more was read than there was room for");
        if self.is_empty() {
            mem::swap(&mut self.buffer, buffer);
            self.unread = 0..count;
            return;
        }
        let (mut given, mut missing) = (&buffer[..count], missing);
        while !given.is_empty() {
            let room = self.room(missing);
            let taken = room.len().min(given.len());
            room[..taken].copy_from_slice(&given[..taken]);
            self.filled(taken);
            given = &given[taken..];
            missing = missing.saturating_sub(taken as u64);
        }
    }

    /// What is to be received.
    #[inline]
    pub fn input(&mut self) -> &mut [u8] {
        &mut self.buffer[self.unread.clone()]
    }

    /// The last `left` bytes of [`input`](Self::input) are kept: what was not received yet.
    ///
    /// # Panics
    ///
    /// There were not so many.
    #[inline]
    pub fn keep(&mut self, left: usize) {
        assert!(left <= self.unread.len(), "more is kept than there was");
        self.unread.start = self.unread.end - left;
    }

    /// The bytes that it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.unread.len()
    }

    /// Whether nothing is left to receive.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.unread.is_empty()
    }

    /// It is empty, and serves another connection. What the last frame was like says nothing of the next one; and where
    /// it ended may lie beyond the end of a shorter buffer that takes the place of this one.
    pub(crate) fn forget(&mut self) {
        (self.unread, self.is_long, self.is_first) = (0..0, false, false);
    }

    /// How long its buffer is.
    #[inline]
    pub(crate) fn capacity(&self) -> usize {
        self.buffer.len()
    }

    /// Its buffer, for another inbox that borrows it: nothing is in it.
    pub(crate) fn buffer(&mut self) -> &mut Box<[u8]> {
        debug_assert!(self.is_empty(), "a buffer with input is not shared");
        &mut self.buffer
    }

    /// Takes `buffer` to read into, whatever is in it, unless there is a long one of its own.
    pub fn borrow_buffer(&mut self, buffer: &mut Box<[u8]>) {
        if self.buffer.len() <= COPIED && self.buffer.len() < buffer.len() {
            let kept = self.unread.len();
            buffer[..kept].copy_from_slice(self.input());
            self.unread = 0..kept;
            self.buffer = mem::take(buffer);
        }
    }

    /// Gives a buffer to the next borrower, and keeps the last few bytes in a small one of its own; not while a larger
    /// part of a frame lies in it, unless the buffer is longer than twice that and one read. One of more than 1 MiB is
    /// freed.
    pub fn return_buffer(&mut self, buffer: &mut Box<[u8]>) {
        let kept = self.unread.len();
        let may_stay = self.buffer.len() <= kept.saturating_mul(2).saturating_add(self.read_len as usize);
        if kept > COPIED && may_stay || kept > 0 && self.buffer.len() <= COPIED {
            return;
        }
        let own = self.input().into();
        let used = mem::replace(&mut self.buffer, own);
        self.unread = 0..kept;
        if buffer.len() < used.len() && used.len() <= RETAINED {
            *buffer = used;
        }
    }
}

impl Default for Inbox {
    fn default() -> Self {
        Self::new()
    }
}

/// Bytes that were read already, for instance behind the head of a request.
impl From<Vec<u8>> for Inbox {
    fn from(read: Vec<u8>) -> Self {
        Self { unread: 0..read.len(), buffer: read.into(), is_long: false, is_first: false, read_len: 64 << 10 }
    }
}
