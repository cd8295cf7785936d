//! [`Machine`]: what a [`Driver`](super::Driver) drives, and the machines of this crate.

use core::time::Duration;

use bytes::BytesMut;

#[cfg(feature = "handshake")]
use crate::handshake::{HandshakeError, client, server};
#[cfg(feature = "route")]
use crate::route::proxy::{ProxyError, Tunnel};
use crate::{
    connection::{Connection, Transport},
    error::Error,
    message::Event,
    time::Timestamp,
};

/// A protocol without I/O and without a clock: bytes in, events and bytes out, deadlines, and the end of the transport.
///
/// It is implemented for [`Connection`], for both handshakes, for the tunnel through a proxy, and for
/// [`Session`](super::Session), which is a handshake first and then a connection. Implement it for an enum of your own
/// if your event loop needs more phases.
pub trait Machine {
    /// What input becomes. It may borrow the input, never the machine.
    type Event<'a>;
    /// Why the machine failed.
    type Error;

    /// Takes bytes from the front of `input` until an event is complete, and appends answers to `out`. `None`: the rest
    /// of `input`, if any, is kept and passed again in front of what is read next.
    fn receive<'a>(
        &mut self,
        input: &mut &'a mut [u8],
        out: &mut BytesMut,
    ) -> Result<Option<Self::Event<'a>>, Self::Error>;

    /// Reports the end of the input. Called once, and never followed by `receive`.
    fn receive_eof(&mut self) -> Result<(), Self::Error>;

    /// When [`handle_timeout`](Self::handle_timeout) is due; [`Timestamp::ZERO`] means at once.
    fn poll_timeout(&self) -> Option<Timestamp>;

    /// Advances the clock to `now`, and does what is due.
    fn handle_timeout(&mut self, now: Timestamp, out: &mut BytesMut) -> Result<(), Self::Error>;

    /// What to do with the transport.
    fn transport(&self) -> Transport;

    /// How long output may wait while the transport accepts none of it. `None`: its other deadlines run meanwhile, too.
    fn stall_timeout(&self) -> Option<Duration> {
        None
    }

    /// Output has waited for [`stall_timeout`](Self::stall_timeout): fails, so that
    /// [`transport`](Self::transport) is [`Transport::Abort`].
    fn stalled(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }

    /// How many bytes the payload lacks whose first part is kept in the input; 0 when none is.
    fn missing(&self) -> u64 {
        0
    }

    /// Whether nothing but control frames follows what is in the output: the last word was appended.
    fn is_closing(&self) -> bool {
        self.transport() != Transport::KeepOpen
    }

    /// The transport accepted output.
    fn progress(&mut self, progress: Progress) {
        let _ = progress;
    }

    /// The end: `bytes` of output were never written. An error where that makes an end unclean.
    fn abandon(&mut self, bytes: u64) -> Result<(), Self::Error> {
        let _ = bytes;
        Ok(())
    }

    /// The connection, if it is open or was.
    fn connection(&self) -> Option<&Connection> {
        None
    }
}

/// What the transport accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// A part of the output, and more of it waits: the peer takes what it is sent, so it is alive.
    Backlog,
    /// The last byte of what [`Machine::handle_timeout`] appended, a keepalive Ping: the time for its answer begins. It
    /// is not a sign of life.
    Ping,
}

impl Machine for Connection {
    type Event<'a> = Event<'a>;
    type Error = Error;

    #[inline]
    fn receive<'a>(&mut self, input: &mut &'a mut [u8], out: &mut BytesMut) -> Result<Option<Event<'a>>, Error> {
        self.receive(input, out)
    }

    fn receive_eof(&mut self) -> Result<(), Error> {
        self.receive_eof()
    }

    #[inline]
    fn poll_timeout(&self) -> Option<Timestamp> {
        self.poll_timeout()
    }

    fn handle_timeout(&mut self, now: Timestamp, out: &mut BytesMut) -> Result<(), Error> {
        self.handle_timeout(now, out)
    }

    #[inline]
    fn transport(&self) -> Transport {
        self.transport()
    }

    fn stall_timeout(&self) -> Option<Duration> {
        self.stall_timeout()
    }

    fn stalled(&mut self) -> Result<(), Error> {
        self.stalled()
    }

    #[inline]
    fn missing(&self) -> u64 {
        self.missing()
    }

    #[inline]
    fn is_closing(&self) -> bool {
        self.is_closing()
    }

    fn progress(&mut self, progress: Progress) {
        self.progress(progress == Progress::Ping);
    }

    fn abandon(&mut self, bytes: u64) -> Result<(), Error> {
        self.abandon(bytes)
    }

    #[inline]
    fn connection(&self) -> Option<&Connection> {
        Some(self)
    }
}

/// The handshakes: their events. Those of a client have one deadline for everything.
#[cfg(feature = "handshake")]
macro_rules! handshakes {
    ($($machine:ty, $error:ty, $event:ty, |$this:ident, $input:ident, $out:ident| $receive:expr $(, $more:item)*;)*) => {$(
        impl Machine for $machine {
            type Event<'a> = $event;
            type Error = $error;

            fn receive<'a>(
                &mut self,
                $input: &mut &'a mut [u8],
                $out: &mut BytesMut,
            ) -> Result<Option<Self::Event<'a>>, Self::Error> {
                let $this = self;
                $receive
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

            $($more)*
        }
    )*};
}

#[cfg(feature = "handshake")]
handshakes! {
    server::Handshake, HandshakeError, server::Request, |this, input, out| this.receive(input, out),
        fn stall_timeout(&self) -> Option<Duration> {
            self.stall_timeout()
        },
        fn stalled(&mut self) -> Result<(), HandshakeError> {
            self.stalled()
        };
    client::Handshake, HandshakeError, (Connection, client::Response), |this, input, _out| this.receive(input);
}

#[cfg(feature = "route")]
handshakes! {
    Tunnel, ProxyError, (), |this, input, out| {
        let was_open = this.is_open();
        this.receive(input, out).map(|is_open| (is_open && !was_open).then_some(()))
    };
}
