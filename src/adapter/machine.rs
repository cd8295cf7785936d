//! What all adapters share: the machines that they drive, and when they stop reading for them.

use core::ops::ControlFlow::{self, Continue};

use bytes::BytesMut;

use super::trace::Trace;
use crate::{
    Chunk, Connection, Data, Error, Inbox, Message, Outbox, Timestamp, Transport,
    handshake::{
        HandshakeError, client,
        proxy::{ProxyError, Tunnel},
        server,
    },
};

/// With more than this to write, nothing is read: a peer that does not take its answers gets no further ones.
pub(super) const HIGH_WATER: usize = 128 << 10;

/// What is driven: it says what to write, how long to wait, and what to do with the transport.
pub(super) trait Machine {
    type Error: Into<super::Error>;
    /// What a payload lacks that is kept in the input.
    fn missing(&self) -> u64;
    fn receive_eof(&mut self) -> Result<(), Self::Error>;
    fn poll_timeout(&self) -> Option<Timestamp>;
    fn handle_timeout(&mut self, now: Timestamp, out: &mut BytesMut) -> Result<(), Self::Error>;
    fn transport(&self) -> Transport;
}

macro_rules! machines {
    ($($machine:ty, $error:ty, $missing:expr;)*) => {$(
        impl Machine for $machine {
            type Error = $error;

            fn missing(&self) -> u64 {
                $missing(self)
            }

            fn receive_eof(&mut self) -> Result<(), $error> {
                self.receive_eof()
            }

            fn poll_timeout(&self) -> Option<Timestamp> {
                self.poll_timeout()
            }

            fn handle_timeout(&mut self, now: Timestamp, out: &mut BytesMut) -> Result<(), $error> {
                self.handle_timeout(now, out)
            }

            fn transport(&self) -> Transport {
                self.transport()
            }
        }
    )*};
}

machines! {
    server::Handshake, HandshakeError, |_| 0;
    client::Handshake, HandshakeError, |_| 0;
    Tunnel, ProxyError, |_| 0;
    Connection, Error, Connection::missing;
}

/// Whether to write before anything more is received. At the end it is received anyhow, to be discarded.
pub(super) fn is_backed_up(machine: &impl Machine, out: &Outbox) -> bool {
    out.len() > HIGH_WATER && machine.transport() == Transport::KeepOpen
}

/// Whether to tell the machine of the end of the stream. A peer that has closed properly, and its half of the transport too,
/// gets its answers first.
pub(super) fn may_end(machine: &impl Machine, written: bool) -> bool {
    written || machine.transport() == Transport::KeepOpen
}

/// Lends what came to `receive` until that finds something or wants more, as long as there is room for the answers.
pub(super) fn lend<M: Machine, T>(
    machine: &mut M,
    inbox: &mut Inbox,
    out: &mut Outbox,
    trace: &mut Trace,
    receive: &mut impl FnMut(&mut M, &mut &mut [u8], &mut BytesMut) -> ControlFlow<Option<T>>,
) -> Option<T> {
    let mut input = inbox.input();
    let mut lent = Continue(());
    while lent.is_continue() && !is_backed_up(machine, out) {
        lent = receive(machine, &mut input, out.tail());
    }
    let rest = input.len();
    // Payloads were unmasked; headers are as they came.
    let input = inbox.input();
    trace.received(&input[..input.len() - rest]);
    inbox.keep(rest);
    lent.break_value().flatten()
}

/// Makes a whole message of pieces.
pub(super) fn join(open: &mut Option<Message>, chunk: Chunk<'_>) -> Option<Message> {
    match (&mut *open, chunk.data) {
        (Some(Message::Text(text)), Data::Text(piece)) => text.push_str(&piece),
        (Some(Message::Binary(bytes)), Data::Binary(piece)) => bytes.extend_from_slice(&piece),
        (_, Data::Text(piece)) => *open = Some(Message::Text(piece.into_owned())),
        (_, Data::Binary(piece)) => *open = Some(Message::Binary(piece.into_owned())),
    }
    if chunk.fin { open.take() } else { None }
}
