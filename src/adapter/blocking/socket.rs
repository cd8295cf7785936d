//! What sockets have in common: [`Socket`].

use std::{
    io::{self, ErrorKind, IoSlice, Read, Write},
    net::{Shutdown, TcpStream},
    time::Duration,
};

/// What the adapter needs of a socket.
///
/// It is implemented for [`TcpStream`] and `UnixStream`; [`NoDeadlines`] makes one of everything else that reads and
/// writes.
pub trait Socket: Read + Write {
    /// From now on a read waits at most so long, never zero, and then fails with `WouldBlock` or `TimedOut`; `None` is
    /// for ever.
    fn set_read_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()>;

    /// The same for a write that can take nothing.
    fn set_write_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()>;

    /// Ends the outgoing half, so that the peer reads EOF, and leaves the incoming one open. Where that is impossible it
    /// fails, and the peer's EOF is not waited for.
    fn shutdown_write(&mut self) -> io::Result<()>;
}

macro_rules! sockets {
    ($($(#[$attribute:meta])* $socket:ty;)*) => {$(
        $(#[$attribute])*
        impl Socket for $socket {
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
    TcpStream;
    #[cfg(unix)]
    std::os::unix::net::UnixStream;
}

/// Anything that reads and writes, as a [`Socket`] without timeouts and without half-close.
///
/// No deadline of the [`Config`](crate::Config) is kept while the peer is silent: a call may wait for ever. A server does not wait for
/// the client to close the transport after it.
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
