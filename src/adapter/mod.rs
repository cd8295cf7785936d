//! Adapters: the sockets and the clock of one runtime, around a [`Driver`](crate::Driver).
//!
//! An adapter consists of system calls. All decisions, of the protocol and of the loop, are the driver's. [`blocking`]
//! is the one to read first; `poll` is shared by all asynchronous adapters, and `tokio` and `futures` add their sockets
//! and timers. [`callbacks`] calls you instead of being called. `http` and `hyper` are for requests that an HTTP
//! library has parsed.
//!
//! Adapters for axum and compio are crates of their own, `sansock-axum` and `sansock-compio`. An adapter for another
//! runtime or HTTP library needs nothing that is private here:
//!
//! - A runtime whose sockets report readiness implements `poll::Io`.
//! - A runtime whose operations own their buffers implements `poll::OwnedRead` and `poll::OwnedWrite` for
//!   `poll::Completion`. `sansock-compio` is an example.
//! - An HTTP library that uses the types of the crate `http` calls `http::request` and `http::accept`. One that has
//!   hyper's `OnUpgrade` calls `hyper::Upgrade::from_parts`, as `sansock-axum` does. Any other passes its header fields
//!   to [`server::Request::from_parts`](crate::server::Request::from_parts) or
//!   [`from_fields`](crate::server::Request::from_fields).

#[cfg(feature = "blocking")]
pub mod blocking;
#[cfg(any(feature = "blocking", feature = "poll"))]
mod buffers;
#[cfg(any(feature = "blocking", feature = "poll"))]
pub mod callbacks;
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
#[cfg(any(feature = "blocking", feature = "poll"))]
mod join;
#[cfg(feature = "poll")]
pub mod poll;
#[cfg(feature = "tcp")]
pub mod tcp;
#[cfg(feature = "tokio")]
pub mod tokio;

#[cfg(all(feature = "std", feature = "route"))]
pub use error::Error;
