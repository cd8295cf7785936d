//! [`CloseCode`]: the status codes of Close frames (RFC 6455 §7.4).

use core::{fmt, num::NonZeroU16};

/// A status code that may be on the wire (§7.4): 1000 to 1003, 1007 to 1014, 3000 to 4999.
///
/// 1004, 1005, 1006, 1015 and the reserved ranges have no `CloseCode`: they cannot be sent, and a peer that sends one
/// fails the connection with 1002.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CloseCode(NonZeroU16);

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal;)*) => {
        impl CloseCode { $($(#[$doc])* pub const $name: Self = Self(NonZeroU16::new($code).expect("not zero"));)* }

        impl fmt::Debug for CloseCode {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self.get() {
                    $($code => f.write_str(concat!(stringify!($code), " ", stringify!($name))),)*
                    code => write!(f, "{code}"),
                }
            }
        }
    };
}

codes! {
    /// The purpose of the connection is fulfilled.
    NORMAL = 1000;
    /// A server goes down, or a browser leaves the page.
    GOING_AWAY = 1001;
    /// The peer broke the protocol.
    PROTOCOL_ERROR = 1002;
    /// A kind of data that the endpoint cannot accept.
    UNSUPPORTED_DATA = 1003;
    /// Data that is not what its kind demands, such as text that is not UTF-8.
    INVALID_PAYLOAD = 1007;
    /// A message that breaks a policy: the code when no other fits.
    POLICY_VIOLATION = 1008;
    /// A message too big to process.
    MESSAGE_TOO_BIG = 1009;
    /// A client expected an extension that the server did not negotiate.
    MANDATORY_EXTENSION = 1010;
    /// Something unexpected kept the endpoint from fulfilling the request.
    INTERNAL_ERROR = 1011;
    /// The service restarts: reconnect after a while.
    SERVICE_RESTART = 1012;
    /// The service is overloaded: connect elsewhere, or later.
    TRY_AGAIN_LATER = 1013;
    /// A gateway got an invalid answer from the server behind it.
    BAD_GATEWAY = 1014;
}

impl CloseCode {
    /// The code, if it may be on the wire (§7.4.1, §7.4.2, and the IANA registry for 1012 to 1014).
    #[must_use]
    pub const fn new(code: u16) -> Option<Self> {
        // R74, §7.4.2: "Status codes in the range 0-999 are not used. … 1000-2999 are reserved for definition by this
        // protocol"
        // R75, §7.4.1: "1005 is a reserved value and MUST NOT be set as a status code in a Close control frame by an
        // endpoint." The same is said of 1006 and 1015.
        match code {
            1000..=1003 | 1007..=1014 | 3000..=4999 => match NonZeroU16::new(code) {
                Some(code) => Some(Self(code)),
                None => None,
            },
            _ => None,
        }
    }

    /// The number on the wire.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0.get()
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
