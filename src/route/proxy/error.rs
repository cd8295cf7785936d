//! What can go wrong with a proxy.

use alloc::boxed::Box;
use core::fmt;

use crate::{
    client::Response,
    handshake::{HeadError, UriError},
};

/// Why a text is no proxy's URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProxyUriError {
    /// It does not begin with `http://`, `socks5://` or `socks5h://`.
    Scheme,
    /// Its host or port is malformed.
    Authority(UriError),
    /// It has a path, a query or a fragment, which mean nothing there.
    Path,
    /// Its userinfo is malformed; for SOCKS also when user and password are not 1 to 255 bytes each (RFC 1929).
    Credentials,
}

/// Why there is no tunnel through a proxy. Terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProxyError {
    /// The proxy's answer is not a head of HTTP/1, or exceeds a limit of the [`Config`](crate::Config).
    Head(HeadError),
    /// The proxy answered CONNECT with another status than 2xx: 407 when it wants credentials, 502 when the server
    /// cannot be reached. The answer is here without its body.
    Rejected(Box<Response>),
    /// What came is not SOCKS5, or breaks its rules (RFC 1928).
    Malformed,
    /// The SOCKS proxy takes none of the ways to authenticate that were offered: it wants credentials, or others.
    NoMethod,
    /// The SOCKS proxy did not take user and password (RFC 1929).
    Credentials,
    /// The SOCKS proxy's reply is a failure (RFC 1928 §6).
    Reply(SocksReply),
    /// Bytes behind the proxy's answer, before anything was sent through it: they are not the server's.
    Surplus,
    /// It took longer than [`handshake_timeout`](crate::Config::handshake_timeout).
    Timeout,
    /// The proxy ended the connection before its answer.
    ConnectionLost,
}

/// What a SOCKS5 proxy failed by (RFC 1928 §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SocksReply {
    /// 1: a general failure.
    General,
    /// 2: its rules do not allow the connection.
    NotAllowed,
    /// 3: the network is unreachable.
    NetworkUnreachable,
    /// 4: the host is unreachable.
    HostUnreachable,
    /// 5: the server refused the connection.
    ConnectionRefused,
    /// 6: the time to live expired.
    TtlExpired,
    /// 7: it does not know the command.
    Command,
    /// 8: it does not know the kind of address.
    AddressType,
    /// One that RFC 1928 does not know.
    Other(u8),
}

impl ProxyError {
    /// Whether another attempt may succeed: the transport ended, nothing came in time, the status is 500, 502, 503 or
    /// 504, or the proxy cannot reach the server now.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Timeout | Self::ConnectionLost => true,
            Self::Rejected(response) => response.is_transient(),
            Self::Reply(reply) => matches!(
                reply,
                SocksReply::General
                    | SocksReply::NetworkUnreachable
                    | SocksReply::HostUnreachable
                    | SocksReply::ConnectionRefused
                    | SocksReply::TtlExpired
            ),
            _ => false,
        }
    }
}

impl SocksReply {
    pub(super) const fn new(code: u8) -> Self {
        match code {
            1 => Self::General,
            2 => Self::NotAllowed,
            3 => Self::NetworkUnreachable,
            4 => Self::HostUnreachable,
            5 => Self::ConnectionRefused,
            6 => Self::TtlExpired,
            7 => Self::Command,
            8 => Self::AddressType,
            _ => Self::Other(code),
        }
    }
}

impl fmt::Display for ProxyUriError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Authority(error) => return write!(f, "the proxy's host or port is missing or malformed: {error}"),
            Self::Scheme => "the proxy's URI does not begin with http://, socks5:// or socks5h://",
            Self::Path => "a proxy's URI has no path, query or fragment",
            Self::Credentials => "the proxy's user or password is missing, too long or malformed",
        })
    }
}

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Head(error) => return write!(f, "the proxy's answer: {error}"),
            Self::Rejected(response) => return write!(f, "the proxy answered with status {}", response.status()),
            Self::Reply(reply) => return reply.fmt(f),
            Self::Malformed => "the proxy's answer is not SOCKS5",
            Self::NoMethod => "the proxy accepts no way to authenticate that was offered",
            Self::Credentials => "the proxy did not accept user and password",
            Self::Surplus => "the proxy sent more than its answer",
            Self::Timeout => "the proxy did not answer in time",
            Self::ConnectionLost => "the proxy ended the connection before its answer",
        })
    }
}

impl fmt::Display for SocksReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::General => "the proxy failed",
            Self::NotAllowed => "the proxy does not allow the connection",
            Self::NetworkUnreachable => "the proxy finds the network unreachable",
            Self::HostUnreachable => "the proxy finds the host unreachable",
            Self::ConnectionRefused => "the server refused the proxy's connection",
            Self::TtlExpired => "the proxy's time to live expired",
            Self::Command => "the proxy does not know CONNECT",
            Self::AddressType => "the proxy does not know this kind of address",
            Self::Other(code) => return write!(f, "the proxy failed with the unknown reply {code}"),
        })
    }
}

impl core::error::Error for ProxyUriError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        if let Self::Authority(error) = self { Some(error) } else { None }
    }
}

impl core::error::Error for ProxyError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Head(error) => Some(error),
            // `Reply` is shown as the reply in it.
            _ => None,
        }
    }
}
