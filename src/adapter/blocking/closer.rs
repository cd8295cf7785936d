//! [`Closer`]: closes a WebSocket from another thread.

use std::{
    fmt,
    io::{self, Write},
    string::String,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{CloseCode, CloseFrame, Connection, Outbox};

/// One end of it wakes the thread that waits at the other.
#[cfg(unix)]
pub(super) type Bell = std::os::unix::net::UnixStream;
#[cfg(not(unix))]
pub(super) type Bell = std::net::TcpStream;

/// Closes a [`WebSocket`](super::WebSocket) from another thread, even while a call waits: for a graceful shutdown.
///
/// The call that waits, or the next one, sends the Close. Then reading goes on until the peer's Close, as usual.
#[derive(Clone)]
pub struct Closer(Arc<Request>);

struct Request {
    close: Mutex<Option<(CloseCode, String)>>,
    bell: Bell,
}

/// What a waiting thread looks at.
pub(super) struct Wake {
    request: Arc<Request>,
    pub(super) bell: Bell,
}

impl Closer {
    pub(super) fn new() -> io::Result<(Self, Wake)> {
        let (bell, other) = bells()?;
        let request = Arc::new(Request { close: Mutex::new(None), bell });
        Ok((Self(request.clone()), Wake { request, bell: other }))
    }

    /// Closes it with this code and reason; without effect after the first call, and once it is closed. The reason is cut to
    /// 123 bytes, between characters.
    pub fn close(&self, code: CloseCode, reason: &str) {
        let mut close = self.0.close.lock().unwrap_or_else(PoisonError::into_inner);
        if close.is_none() {
            let mut end = reason.len().min(crate::close::MAX_REASON_LEN);
            while !reason.is_char_boundary(end) {
                end -= 1;
            }
            *close = Some((code, reason[..end].into()));
            // It fails only when the WebSocket is gone.
            let _ = (&self.0.bell).write(&[0]);
        }
    }
}

impl Wake {
    /// The same, for the next [`Closer`] of the same WebSocket.
    pub(super) fn closer(&self) -> Closer {
        Closer(self.request.clone())
    }

    /// Does what the other thread wants.
    pub(super) fn answer(self, connection: &mut Connection, out: &mut Outbox) {
        let close = self.request.close.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((code, reason)) = close {
            // Refused only where a Close was sent before.
            let _ = connection.close(Some(CloseFrame::new(code, reason)), out.tail());
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
    let (other, address) = listener.accept()?;
    // Nobody else came first.
    if address != bell.local_addr()? {
        return Err(io::ErrorKind::ConnectionAborted.into());
    }
    Ok((bell, other))
}

impl fmt::Debug for Closer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Closer").finish_non_exhaustive()
    }
}
