//! HTTP/1.1 without a connection (RFC 9110, RFC 9112): heads and bodies from bytes, and heads to bytes. It knows
//! nothing of WebSocket.

pub(crate) mod body;
pub(crate) mod error;
pub(crate) mod head;
pub(crate) mod scan;
pub(crate) mod write;
