//! What sockets have in common: [`Socket`].

use std::{
    io::{self, ErrorKind, IoSlice, Read, Write},
    net::{Shutdown, TcpStream},
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec},
    fd::AsFd,
};

use super::closer::Closer;
use crate::adapter::tcp;

/// What a socket is waited for.
#[derive(Clone, Copy)]
#[allow(missing_debug_implementations, reason = "it is passed on and not kept")]
pub struct Interest<'a> {
    /// Until it can be read.
    pub read: bool,
    /// Until it can be written.
    pub write: bool,
    /// Until another thread closes the connection.
    pub(super) closer: Option<&'a Closer>,
}

/// What a socket is ready for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ready {
    /// It can be read, or its end or failure is there to be read.
    pub read: bool,
    /// It can be written, or has failed.
    pub write: bool,
    pub(super) closer: bool,
}

/// What the adapter needs of a socket.
///
/// It is implemented for [`TcpStream`] and `UnixStream`; [`NoDeadlines`] makes one of everything else that reads and
/// writes.
pub trait Socket: Read + Write {
    /// Whether it has [`poll`](Self::poll) and a [`write_now`](Self::write_now) that does not wait. Without, both
    /// directions get turns of 10 ms while the peer is slow to take what is sent.
    const POLLS: bool = false;

    /// Writes what the socket takes without waiting; `WouldBlock` when that is nothing. Without [`POLLS`](Self::POLLS)
    /// it waits as long as [`set_write_timeout`](Self::set_write_timeout) allows.
    fn write_now(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.write_vectored(slices)
    }

    /// Waits for the first of `interest`, at most this long; `None` is for ever.
    fn poll(&mut self, interest: &Interest<'_>, timeout: Option<Duration>) -> io::Result<Ready> {
        let _ = (interest, timeout);
        Err(ErrorKind::Unsupported.into())
    }

    /// Prepares a new socket; a failure does not matter.
    fn prepare(&mut self) {}

    /// From now on a read waits at most so long, never zero, and then fails with `WouldBlock` or `TimedOut`; `None` is
    /// for ever.
    fn set_read_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()>;

    /// The same for a write that can take nothing.
    fn set_write_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()>;

    /// Ends the outgoing half, so that the peer reads EOF, and leaves the incoming one open. Where that is impossible
    /// it fails, and the peer's EOF is not waited for.
    fn shutdown_write(&mut self) -> io::Result<()>;
}

macro_rules! sockets {
    ($($(#[$attribute:meta])* $socket:ty, $prepare:expr;)*) => {$(
        $(#[$attribute])*
        impl Socket for $socket {
            const POLLS: bool = true;

            #[cfg(not(windows))]
            fn write_now(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
                let flags = rustix::net::SendFlags::DONTWAIT;
                // Apple's sockets have an option for that, which the standard library sets.
                #[cfg(not(target_vendor = "apple"))]
                let flags = flags | rustix::net::SendFlags::NOSIGNAL;
                Ok(rustix::net::sendmsg(self, slices, &mut rustix::net::SendAncillaryBuffer::default(), flags)?)
            }

            #[cfg(windows)]
            fn write_now(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
                self.set_nonblocking(true)?;
                let result = self.write_vectored(slices);
                self.set_nonblocking(false)?;
                result
            }

            fn poll(&mut self, interest: &Interest<'_>, timeout: Option<Duration>) -> io::Result<Ready> {
                poll(self, interest, timeout)
            }

            fn prepare(&mut self) {
                $prepare(self);
            }

            fn set_read_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
                <$socket>::set_read_timeout(self, timeout)
            }

            fn set_write_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
                <$socket>::set_write_timeout(self, timeout)
            }

            fn shutdown_write(&mut self) -> io::Result<()> {
                self.shutdown(Shutdown::Write)
            }
        }
    )*};
}

sockets! {
    TcpStream, |socket: &mut TcpStream| _ = tcp::tune(socket);
    #[cfg(unix)]
    std::os::unix::net::UnixStream, |_| {};
}

fn poll(socket: &impl AsFd, interest: &Interest<'_>, timeout: Option<Duration>) -> io::Result<Ready> {
    let mut flags = PollFlags::empty();
    flags.set(PollFlags::IN, interest.read);
    flags.set(PollFlags::OUT, interest.write);
    let mut fds = [PollFd::new(socket, flags), PollFd::new(socket, PollFlags::empty())];
    let fds = match interest.closer {
        Some(closer) => {
            fds[1] = PollFd::new(closer.ear(), PollFlags::IN);
            &mut fds[..]
        }
        None => &mut fds[..1],
    };
    let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
    rustix::event::poll(fds, timeout.as_ref())?;
    let socket = fds[0].revents();
    // A failure is found by whichever call comes next.
    let failed = socket.intersects(PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL);
    Ok(Ready {
        read: interest.read && (failed || socket.contains(PollFlags::IN)),
        write: interest.write && (failed || socket.contains(PollFlags::OUT)),
        closer: fds.get(1).is_some_and(|bell| !bell.revents().is_empty()),
    })
}

/// Anything that reads and writes, as a [`Socket`] without timeouts and without half-close.
///
/// No deadline of the [`Config`](crate::Config) is kept while the peer is silent: a call may wait for ever. A server
/// does not wait for the client to close the transport after it.
#[derive(Debug)]
pub struct NoDeadlines<S>(pub S);

impl<S: Read> Read for NoDeadlines<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl<S: Write> Write for NoDeadlines<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl<S: Read + Write> Socket for NoDeadlines<S> {
    fn set_read_timeout(&mut self, _: Option<Duration>) -> io::Result<()> {
        Ok(())
    }

    fn set_write_timeout(&mut self, _: Option<Duration>) -> io::Result<()> {
        Ok(())
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        Err(ErrorKind::Unsupported.into())
    }
}
