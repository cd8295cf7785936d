//! What the feature `tracing` reports about a connection: that it opened, the header of each frame, and how it ended.
//!
//! It looks at the bytes on their way between the socket and the machine, so it is the same for all adapters, and the
//! machine knows nothing of it. Without the feature, and for a connection that nobody asked about, there is nothing.

use crate::{Connection, Outbox};

/// What is told of one connection.
#[derive(Default)]
pub(crate) struct Trace(#[cfg(feature = "tracing")] Option<alloc::boxed::Box<told::Told>>);

#[cfg(not(feature = "tracing"))]
#[allow(clippy::unused_self, reason = "the other half needs it")]
impl Trace {
    pub(super) fn sent(&mut self, _: &Outbox, _: usize) {}

    pub(super) fn ended(&mut self, _: &Connection) {}
}

#[cfg(feature = "tracing")]
impl Trace {
    /// From now on tells of `connection`, under this id.
    pub(crate) fn new(id: u64, connection: &Connection) -> Self {
        Self(Some(told::Told::opened(id, connection).into()))
    }

    /// The machine took these bytes.
    pub(super) fn received(&mut self, bytes: &[u8]) {
        if let Some(told) = &mut self.0 {
            told.received(bytes);
        }
    }

    /// The socket took so many bytes of `out`, which still has them.
    pub(super) fn sent(&mut self, out: &Outbox, count: usize) {
        if let Some(told) = &mut self.0 {
            told.sent(out, count);
        }
    }

    /// The connection is over, perhaps.
    pub(super) fn ended(&mut self, connection: &Connection) {
        if let (Some(told), Some(info)) = (&mut self.0, connection.close_info()) {
            told.ended(connection.state(), info);
        }
    }
}

#[cfg(feature = "tracing")]
mod told {
    use bytes::Buf;
    use tracing::{debug, trace, warn};

    use crate::{
        CloseInfo, Connection, Error, Outbox, State,
        frame::{Header, MAX_HEADER_LEN},
    };

    /// A connection under the eyes of its program.
    pub(super) struct Told {
        id: u64,
        incoming: Headers,
        outgoing: Headers,
        is_over: bool,
    }

    impl Told {
        pub(super) fn opened(id: u64, connection: &Connection) -> Self {
            #[cfg(feature = "deflate")]
            let deflate = connection.deflate().is_some();
            #[cfg(not(feature = "deflate"))]
            let deflate = false;
            debug!(target: "sansock", id, state = ?connection.state(), deflate, "opened");
            Self { id, incoming: Headers::default(), outgoing: Headers::default(), is_over: false }
        }

        pub(super) fn received(&mut self, bytes: &[u8]) {
            let id = self.id;
            self.incoming.look(bytes, |Header { opcode, fin, rsv, len, .. }| {
                trace!(target: "sansock", id, ?opcode, fin, rsv, len, "received");
            });
        }

        pub(super) fn sent(&mut self, out: &Outbox, mut count: usize) {
            let id = self.id;
            for part in out.slices() {
                let taken = count.min(part.len());
                self.outgoing.look(&part[..taken], |Header { opcode, fin, rsv, len, .. }| {
                    trace!(target: "sansock", id, ?opcode, fin, rsv, len, "sent");
                });
                count -= taken;
            }
        }

        pub(super) fn ended(&mut self, state: State, info: &CloseInfo) {
            if self.is_over || state != State::Closed {
                return;
            }
            self.is_over = true;
            let id = self.id;
            if let Some(cause) = info.cause {
                match cause {
                    Error::ConnectionLost | Error::KeepaliveTimeout | Error::IdleTimeout | Error::CloseTimeout => {
                        debug!(target: "sansock", id, %cause, "lost");
                    }
                    _ => warn!(target: "sansock", id, %cause, "failed"),
                }
            }
            let (code, reason, by) = (info.code(), info.reason(), info.initiator);
            debug!(target: "sansock", id, code, ?reason, ?by, clean = info.clean, "closed");
        }
    }

    impl Drop for Told {
        fn drop(&mut self) {
            if !self.is_over {
                debug!(target: "sansock", id = self.id, "dropped");
            }
        }
    }

    /// Finds the headers among the bytes of one direction.
    #[derive(Default)]
    struct Headers {
        /// A header of which a part is here.
        head: [u8; MAX_HEADER_LEN],
        head_len: usize,
        /// What is to come of a payload.
        payload: u64,
        /// No frames any more, since one that cannot be.
        is_lost: bool,
    }

    impl Headers {
        fn look(&mut self, mut bytes: &[u8], mut tell: impl FnMut(Header)) {
            while !bytes.is_empty() && !self.is_lost {
                let skipped = bytes.len().min(usize::try_from(self.payload).unwrap_or(usize::MAX));
                self.payload -= skipped as u64;
                bytes.advance(skipped);

                let more = bytes.len().min(MAX_HEADER_LEN - self.head_len);
                self.head[self.head_len..][..more].copy_from_slice(&bytes[..more]);
                match Header::decode(&self.head[..self.head_len + more]) {
                    Ok(Some((header, len))) => {
                        bytes.advance(len - self.head_len);
                        (self.head_len, self.payload) = (0, header.len);
                        tell(header);
                    }
                    Ok(None) => {
                        bytes.advance(more);
                        self.head_len += more;
                    }
                    Err(_) => self.is_lost = true,
                }
            }
        }
    }
}
