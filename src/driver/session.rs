//! [`Session`]: a handshake that becomes a connection, as one machine.

use alloc::boxed::Box;
use core::{fmt, time::Duration};

use bytes::BytesMut;

use super::{Machine, Progress};
use crate::{
    connection::{Connection, Transport},
    error::Error,
    message::Event,
    time::Timestamp,
};

/// The opening handshake, and then the connection: for an event loop that has one driver for the whole life of a
/// socket.
///
/// The handler of the event that ends the handshake puts the connection in its place: `*session = connection.into()`.
/// Input that follows the handshake is received by the connection.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "most of its life it is a connection")]
pub enum Session<H> {
    /// The handshake.
    Handshake(Box<H>),
    /// The connection.
    Connection(Connection),
}

/// What comes of a [`Session`].
#[derive(Debug)]
pub enum SessionEvent<'a, H> {
    /// Of the handshake: a server's [`Request`](crate::server::Request); a client's connection, and the answer.
    Handshake(H),
    /// Of the connection.
    Event(Event<'a>),
}

/// Why a [`Session`] failed.
#[derive(Debug, PartialEq, Eq)]
pub enum SessionError<E> {
    /// In its handshake.
    Handshake(E),
    /// As a connection.
    Connection(Error),
}

impl<H> Session<H> {
    /// A session that begins with this handshake.
    pub fn new(handshake: H) -> Self {
        Self::Handshake(Box::new(handshake))
    }

    /// The connection, to send on; `None` before there is one.
    pub fn connection_mut(&mut self) -> Option<&mut Connection> {
        match self {
            Self::Handshake(_) => None,
            Self::Connection(connection) => Some(connection),
        }
    }
}

impl<H> From<Connection> for Session<H> {
    fn from(connection: Connection) -> Self {
        Self::Connection(connection)
    }
}

impl<H: Machine> Machine for Session<H> {
    type Event<'a> = SessionEvent<'a, H::Event<'a>>;
    type Error = SessionError<H::Error>;

    #[inline]
    fn receive<'a>(
        &mut self,
        input: &mut &'a mut [u8],
        out: &mut BytesMut,
    ) -> Result<Option<Self::Event<'a>>, Self::Error> {
        match self {
            Self::Connection(machine) => match machine.receive(input, out) {
                Ok(event) => Ok(event.map(SessionEvent::Event)),
                Err(error) => Err(error.into()),
            },
            Self::Handshake(machine) => match machine.receive(input, out) {
                Ok(event) => Ok(event.map(SessionEvent::Handshake)),
                Err(error) => Err(SessionError::Handshake(error)),
            },
        }
    }

    fn receive_eof(&mut self) -> Result<(), Self::Error> {
        match self {
            Self::Handshake(machine) => machine.receive_eof().map_err(SessionError::Handshake),
            Self::Connection(machine) => Ok(machine.receive_eof()?),
        }
    }

    fn poll_timeout(&self) -> Option<Timestamp> {
        match self {
            Self::Handshake(machine) => machine.poll_timeout(),
            Self::Connection(machine) => machine.poll_timeout(),
        }
    }

    fn handle_timeout(&mut self, now: Timestamp, out: &mut BytesMut) -> Result<(), Self::Error> {
        match self {
            Self::Handshake(machine) => machine.handle_timeout(now, out).map_err(SessionError::Handshake),
            Self::Connection(machine) => Ok(machine.handle_timeout(now, out)?),
        }
    }

    #[inline]
    fn transport(&self) -> Transport {
        match self {
            Self::Handshake(machine) => machine.transport(),
            Self::Connection(machine) => machine.transport(),
        }
    }

    fn stall_timeout(&self) -> Option<Duration> {
        match self {
            Self::Handshake(machine) => machine.stall_timeout(),
            Self::Connection(machine) => machine.stall_timeout(),
        }
    }

    fn stalled(&mut self) -> Result<(), Self::Error> {
        match self {
            Self::Handshake(machine) => machine.stalled().map_err(SessionError::Handshake),
            Self::Connection(machine) => Ok(machine.stalled()?),
        }
    }

    #[inline]
    fn missing(&self) -> u64 {
        match self {
            Self::Handshake(machine) => machine.missing(),
            Self::Connection(machine) => machine.missing(),
        }
    }

    #[inline]
    fn is_closing(&self) -> bool {
        match self {
            Self::Handshake(machine) => machine.is_closing(),
            Self::Connection(machine) => machine.is_closing(),
        }
    }

    fn progress(&mut self, progress: Progress) {
        match self {
            Self::Handshake(machine) => machine.progress(progress),
            Self::Connection(machine) => Machine::progress(machine, progress),
        }
    }

    fn abandon(&mut self, bytes: u64) -> Result<(), Self::Error> {
        match self {
            Self::Handshake(machine) => machine.abandon(bytes).map_err(SessionError::Handshake),
            Self::Connection(machine) => Ok(machine.abandon(bytes)?),
        }
    }

    fn connection(&self) -> Option<&Connection> {
        match self {
            Self::Handshake(_) => None,
            Self::Connection(connection) => Some(connection),
        }
    }
}

impl<E> From<Error> for SessionError<E> {
    fn from(error: Error) -> Self {
        Self::Connection(error)
    }
}

impl<E: fmt::Display> fmt::Display for SessionError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Handshake(error) => error.fmt(f),
            Self::Connection(error) => error.fmt(f),
        }
    }
}

impl<E: core::error::Error + 'static> core::error::Error for SessionError<E> {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Handshake(error) => error.source(),
            Self::Connection(_) => None,
        }
    }
}
