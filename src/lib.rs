//! WebSocket (RFC 6455) as a sans-IO state machine: bytes in, events and bytes out.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

pub mod close;
pub mod config;
pub mod connection;
mod decode;
#[cfg(feature = "deflate")]
pub mod deflate;
#[cfg(not(feature = "deflate"))]
mod deflate {
    #[path = "absent.rs"]
    pub(crate) mod codec;
}
pub mod encode;
pub mod error;
pub mod frame;
pub mod mask;
pub mod message;
pub mod timer;
mod utf8;

#[cfg(feature = "getrandom")]
pub use encode::{NoEntropy, seed};
#[cfg(feature = "std")]
pub use timer::Clock;
pub use {
    close::{CloseCode, CloseFrame, CloseInfo, CloseStatus, Initiator},
    config::{Config, Keepalive, Limit},
    connection::{Connection, State, Transport},
    encode::{Masker, PreparedMessage},
    error::{Error, SendError, Violation},
    message::{Chunk, Data, Delivery, Event, Kind, Message},
    timer::Timestamp,
};
