//! Why a call of an adapter failed: one type for all of them, so that a program may change its runtime and keep its
//! `?`.

use std::{
    fmt,
    io::{self, ErrorKind},
};

use crate::{
    SendError,
    handshake::{HandshakeError, Refused, RequestError, UriError},
    route::{proxy::ProxyError, redirect::RedirectError},
};

/// Why a call failed, and whose fault it was.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The socket failed, or the operating system.
    Io(io::Error),
    /// The connection failed: the peer broke a rule, vanished, or was too late.
    Connection(crate::Error),
    /// The opening handshake failed: the peer's message was invalid, or a refusal.
    Handshake(HandshakeError),
    /// A valid request that was not accepted, and whose fault that was.
    Refused(Refused),
    /// The caller's fault: nothing was sent, and the connection is as it was.
    Send(SendError),
    /// The caller's fault: the request of a client is malformed. Nothing was sent.
    Request(RequestError),
    /// The caller's fault: the URI is not a WebSocket URI.
    Uri(UriError),
    /// The proxy on the way to the server failed, or did not let us through.
    Proxy(ProxyError),
    /// The server's redirect was not followed.
    Redirect(RedirectError),
}

impl Error {
    /// Whether another attempt may do better; of what the operating system says, all but that something is not
    /// supported, not allowed or not valid. What a [`Backoff`](crate::Backoff) is for.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Io(error) => !matches!(
                error.kind(),
                // A certificate that is not trusted is `InvalidData`; `Other` is what an adapter could not prepare.
                ErrorKind::Unsupported
                    | ErrorKind::InvalidInput
                    | ErrorKind::InvalidData
                    | ErrorKind::PermissionDenied
                    | ErrorKind::Other
            ),
            Self::Connection(error) => error.is_transient(),
            Self::Handshake(error) => error.is_transient(),
            Self::Proxy(error) => error.is_transient(),
            Self::Refused(_) | Self::Send(_) | Self::Request(_) | Self::Uri(_) | Self::Redirect(_) => false,
        }
    }
}

macro_rules! errors {
    ($($variant:ident($source:ty);)*) => {
        impl fmt::Display for Error {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self { $(Self::$variant(error) => error.fmt(f),)* }
            }
        }

        impl std::error::Error for Error {
            fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
                match self { $(Self::$variant(error) => error.source(),)* }
            }
        }

        $(impl From<$source> for Error {
            fn from(error: $source) -> Self {
                Self::$variant(error)
            }
        })*
    };
}

errors! {
    Io(io::Error);
    Connection(crate::Error);
    Handshake(HandshakeError);
    Refused(Refused);
    Send(SendError);
    Request(RequestError);
    Uri(UriError);
    Proxy(ProxyError);
    Redirect(RedirectError);
}
