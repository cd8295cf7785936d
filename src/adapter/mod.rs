//! Adapters: the sockets and the clock of one runtime, around a [`Driver`](crate::Driver).
//!
//! An adapter consists of system calls. All decisions, of the protocol and of the loop, are the driver's. [`blocking`] is the
//! one to read first; `poll` is shared by all asynchronous adapters, and `tokio`, `futures` and `compio` add their sockets and
//! timers. For another runtime implement `poll::Io`, or use `poll::Completion` if its operations own their buffers.
//! [`callbacks`] calls you instead of being called. `http`, `hyper` and `axum` are for requests that an HTTP library
//! has parsed.

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
#[cfg(all(feature = "std", feature = "route"))]
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
#[cfg(any(feature = "blocking", feature = "tokio", feature = "futures-io", feature = "compio"))]
pub mod tcp;
#[cfg(feature = "tokio")]
pub mod tokio;

#[cfg(all(feature = "std", feature = "route"))]
pub use error::Error;
