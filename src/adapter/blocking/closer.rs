//! [`Closer`]: closes connections from another thread.

use std::{
    fmt,
    io::{self, Write},
    string::String,
    sync::{Arc, OnceLock},
};

use crate::{CloseCode, CloseFrame, Connection, Outbox, close::MAX_REASON_LEN};

/// One end of it wakes the threads that wait at the other.
#[cfg(unix)]
type Bell = std::os::unix::net::UnixStream;
#[cfg(not(unix))]
type Bell = std::net::TcpStream;

/// Closes any number of [`WebSocket`](super::WebSocket)s from another thread, even while their calls wait: for a
/// graceful shutdown.
///
/// Give it to each of them by [`closed_by`](super::WebSocket::closed_by). The call that waits, or the next one, sends
/// the Close; then reading goes on until the peer's Close, as usual. Clones are the same closer. It needs two
/// descriptors.
///
/// ```no_run
/// use sansock::{CloseCode, Config, adapter::blocking::{self, Closer}};
///
/// let closer = Closer::new()?;
/// let listener = std::net::TcpListener::bind("127.0.0.1:9001")?;
/// let (stream, _) = listener.accept()?;
/// let mut websocket = blocking::accept(stream, &Config::default())?.closed_by(&closer);
/// let serving = std::thread::spawn(move || {
///     while let Ok(Some(message)) = websocket.read() {
///         println!("{message:?}");
///     }
/// });
/// closer.close(CloseCode::GOING_AWAY, "the server is shutting down");
/// serving.join().unwrap();
/// # Ok::<(), blocking::Error>(())
/// ```
#[derive(Clone)]
pub struct Closer(Arc<Shared>);

struct Shared {
    close: OnceLock<(CloseCode, String)>,
    bell: Bell,
    /// It is readable once the bell rang, and nobody takes that out.
    ear: Bell,
}

impl Closer {
    /// A closer of nothing yet.
    ///
    /// # Errors
    ///
    /// The operating system has no more descriptors.
    pub fn new() -> io::Result<Self> {
        let (bell, ear) = bells()?;
        Ok(Self(Arc::new(Shared { close: OnceLock::new(), bell, ear })))
    }

    /// Closes all of them with this code and reason, also those that are added later. Only the first call counts. The
    /// reason is cut to 123 bytes, between characters.
    pub fn close(&self, code: CloseCode, reason: &str) {
        let mut end = reason.len().min(MAX_REASON_LEN);
        while !reason.is_char_boundary(end) {
            end -= 1;
        }
        if self.0.close.set((code, reason[..end].into())).is_ok() {
            // One byte fits.
            let _ = (&self.0.bell).write(&[0]);
        }
    }

    /// What becomes readable when it closes.
    pub(super) fn ear(&self) -> &Bell {
        &self.0.ear
    }

    /// Sends the Close on this connection.
    pub(super) fn apply(self, connection: &mut Connection, out: &mut Outbox) {
        if let Some((code, reason)) = self.0.close.get() {
            // Refused only where a Close was sent before.
            let _ = connection.close(Some(CloseFrame::new(*code, reason)), out.tail());
        }
    }
}

#[cfg(unix)]
fn bells() -> io::Result<(Bell, Bell)> {
    Bell::pair()
}

#[cfg(not(unix))]
fn bells() -> io::Result<(Bell, Bell)> {
    let listener = std::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0))?;
    let bell = Bell::connect(listener.local_addr()?)?;
    let (ear, address) = listener.accept()?;
    // Nobody else came first.
    if address != bell.local_addr()? {
        return Err(io::ErrorKind::ConnectionAborted.into());
    }
    Ok((bell, ear))
}

impl fmt::Debug for Closer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Closer").field("close", &self.0.close.get()).finish_non_exhaustive()
    }
}
