//! The answer of a server to an opening handshake (RFC 6455 §4.1), or of a proxy to CONNECT.

use alloc::{string::String, vec::Vec};
use core::fmt;

use super::http::head::{Fields, Head, Span};

/// A server's answer. It owns its head, and its body if it opens no WebSocket.
#[derive(Clone, PartialEq, Eq)]
pub struct Response {
    pub(crate) head: Head,
    pub(crate) status: u16,
    pub(crate) reason: Span,
    pub(crate) subprotocol: Option<Span>,
    pub(crate) body: Vec<u8>,
    pub(crate) whole: bool,
}

impl Response {
    /// An answer that an HTTP library has read, without its body.
    pub(crate) fn from_parts<'a>(status: u16, fields: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Self {
        let (head, []) = Head::from_parts([], fields);
        Self { head, status, reason: Span::default(), subprotocol: None, body: Vec::new(), whole: false }
    }

    /// The status. Beside a connection it is 101, or 200 or another 2xx after an extended CONNECT.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The reason phrase; empty when there is none, or none in ASCII.
    #[must_use]
    pub fn reason(&self) -> &str {
        self.head.str(self.reason)
    }

    /// The subprotocol that the server chose of those offered, if it chose one.
    #[must_use]
    pub fn subprotocol(&self) -> Option<&str> {
        self.subprotocol.map(|span| self.head.str(span))
    }

    /// All header fields, in order.
    #[must_use]
    pub fn headers(&self) -> Fields<'_> {
        self.head.fields()
    }

    /// The value of the first header field of this name, whatever its case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.head.first(name).map(|span| self.head.bytes(span))
    }

    /// The body, without its transfer coding; as much of it as came in time and within the limit.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Whether [`body`](Self::body) is all of it.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.whole
    }

    /// Whether a server or a gateway may soon answer differently: the status is 500, 502, 503 or 504.
    pub(crate) fn is_transient(&self) -> bool {
        matches!(self.status, 500 | 502..=504)
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status)
            .field("headers", &self.head)
            .field("body", &String::from_utf8_lossy(&self.body))
            .finish_non_exhaustive()
    }
}
