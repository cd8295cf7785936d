//! How a connection ends (RFC 6455 §7): which codes exist, what a Close frame says, and who said it first.

use alloc::{borrow::Cow, string::String};

pub use crate::close_code::CloseCode;
use crate::error::{Error, Violation};

/// The most bytes that the reason of a Close frame may have: a control frame's 125 less the code's 2 (§5.5).
// R77, §5.5: "All control frames MUST have a payload length of 125 bytes or less"
pub const MAX_REASON_LEN: usize = 123;

/// The body of a Close frame (§5.5.1). A Close may also have none: that is `Option<CloseFrame>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseFrame<'a> {
    /// Why.
    pub code: CloseCode,
    /// For logs, not for people: at most [`MAX_REASON_LEN`] bytes.
    pub reason: Cow<'a, str>,
}

impl<'a> CloseFrame<'a> {
    /// A body of this code and reason.
    pub fn new(code: CloseCode, reason: impl Into<Cow<'a, str>>) -> Self {
        Self { code, reason: reason.into() }
    }

    /// The same, without the borrow.
    #[must_use]
    pub fn into_owned(self) -> CloseFrame<'static> {
        CloseFrame { code: self.code, reason: Cow::Owned(self.reason.into_owned()) }
    }

    /// Reads the unmasked payload of a Close frame: none, or a code and a reason in UTF-8 (§5.5.1).
    pub(crate) fn decode(payload: Cow<'a, [u8]>) -> Result<Option<Self>, Error> {
        let code = match *payload {
            [] => return Ok(None),
            // R73, §5.5.1: "If there is a body, the first two bytes of the body MUST be a 2-byte unsigned integer (in
            // network byte order) representing a status code"
            [_] => return Err(Violation::CloseBody.into()),
            [high, low, ..] => CloseCode::new(u16::from_be_bytes([high, low])).ok_or(Violation::CloseCode)?,
        };
        // R76, §5.5.1: "Following the 2-byte integer, the body MAY contain UTF-8-encoded data with value /reason/"
        let reason = match payload {
            Cow::Borrowed(bytes) => core::str::from_utf8(&bytes[2..]).map(Cow::Borrowed).ok(),
            Cow::Owned(mut bytes) => String::from_utf8(bytes.split_off(2)).map(Cow::Owned).ok(),
        };
        Ok(Some(Self { code, reason: reason.ok_or(Error::InvalidUtf8)? }))
    }
}

/// A Close frame that was sent or received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseStatus {
    /// Its code; 1005 when it had no body (§7.1.5).
    pub code: u16,
    /// Its reason; empty when it had none.
    pub reason: String,
}

impl CloseStatus {
    pub(crate) fn of(frame: Option<&CloseFrame<'_>>) -> Self {
        match frame {
            Some(frame) => Self { code: frame.code.get(), reason: frame.reason.as_ref().into() },
            None => Self { code: 1005, reason: String::new() },
        }
    }
}

/// Which side's Close came first, seen from here. When both crossed on the wire, each side says `Local`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Initiator {
    /// This side sent its Close before it received one.
    Local,
    /// The peer's Close was received first.
    Peer,
}

/// How a connection ended, or is ending: all that is known of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CloseInfo {
    /// The Close that this side sent.
    pub sent: Option<CloseStatus>,
    /// The Close that the peer sent.
    pub received: Option<CloseStatus>,
    /// Whose Close came first; `None` when there was none.
    pub initiator: Option<Initiator>,
    /// Whether both sides exchanged their Close frames and nothing failed (§7.1.4).
    pub clean: bool,
    /// Whether the peer closed in the middle of a fragmented message.
    pub incomplete_message: bool,
    /// Bytes of output that the transport never accepted, as far as a [`Driver`](crate::Driver) knows: 0 after a clean
    /// end.
    pub unwritten: u64,
    /// What failed. `None` for a clean end, and while the end is still open.
    pub cause: Option<Error>,
}

impl CloseInfo {
    /// The connection's close code (§7.1.5): the peer's, 1005 when its Close had none, 1006 when no Close came.
    #[must_use]
    pub fn code(&self) -> u16 {
        // R81, §7.1.5: "the status code (Section 7.4) contained in the first Close control frame received … If this
        // Close control frame contains no status code, _The WebSocket Connection Close Code_ is considered to be 1005.
        // If _The WebSocket Connection is Closed_ and no Close control frame was received by the endpoint … 1006."
        self.received.as_ref().map_or(1006, |close| close.code)
    }

    /// The connection's close reason (§7.1.6): the peer's, or nothing.
    #[must_use]
    pub fn reason(&self) -> &str {
        self.received.as_ref().map_or("", |close| &close.reason)
    }

    /// Whether the connection ended by a transient failure: its [`cause`](CloseInfo::cause) is transient, or the peer
    /// sent 1001 (going away), 1011 (internal error), 1012 (restart), 1013 (overload) or 1014 (bad gateway). A normal
    /// end is not transient, nor are the codes from 3000 on, whose meaning the application defines.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match (&self.cause, &self.received) {
            (Some(cause), _) => cause.is_transient(),
            (None, Some(close)) => matches!(close.code, 1001 | 1011..=1014),
            (None, None) => false,
        }
    }
}
