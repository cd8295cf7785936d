//! Thin drivers: a socket of one runtime, its clock, and the loop that joins them to the machine.
//!
//! Nothing of the protocol is decided here: an adapter writes what is in `out`, does what
//! [`transport`](crate::Connection::transport) says, and keeps the deadlines. [`blocking`] is the one to read first;
//! `poll` is the loop of all asynchronous ones, and `tokio`, `futures` and `compio` lend it their sockets and timers. For
//! another runtime implement `poll::Io`, or use `poll::Completion` if its operations own their buffers.
//! [`callbacks`] turns them around, for those who would rather be called. `http`, `hyper` and `axum` are for requests that an
//! HTTP library has parsed.

#[cfg(feature = "axum")]
pub mod axum;
#[cfg(feature = "blocking")]
pub mod blocking;
#[cfg(any(feature = "blocking", feature = "tokio", feature = "futures-io", feature = "compio"))]
mod buffers;
#[cfg(any(feature = "blocking", feature = "tokio", feature = "futures-io", feature = "compio"))]
pub mod callbacks;
#[cfg(feature = "compio")]
pub mod compio;
#[cfg(any(all(feature = "blocking", feature = "getrandom"), feature = "tokio-net"))]
mod dial;
#[cfg(all(feature = "std", feature = "handshake"))]
mod error;
#[cfg(feature = "futures-io")]
pub mod futures;
#[cfg(feature = "http")]
pub mod http;
#[cfg(feature = "hyper")]
pub mod hyper;
#[cfg(any(feature = "blocking", feature = "tokio", feature = "futures-io", feature = "compio"))]
mod join;
#[cfg(any(feature = "tokio", feature = "futures-io", feature = "compio"))]
pub mod poll;
#[cfg(any(feature = "blocking", feature = "tokio-net"))]
pub mod tcp;
#[cfg(feature = "tokio")]
pub mod tokio;

#[cfg(all(feature = "std", feature = "handshake"))]
pub use error::Error;
