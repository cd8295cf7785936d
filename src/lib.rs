//! WebSocket (RFC 6455) as a sans-IO state machine: bytes in, events and bytes out.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

pub mod close;
pub mod config;
pub mod connection;
pub mod error;
pub mod message;
pub mod timer;

#[cfg(feature = "std")]
pub use timer::Clock;
pub use {
    close::{CloseCode, CloseFrame, CloseInfo, CloseStatus, Initiator},
    config::{Config, Keepalive, Limit},
    connection::{Connection, State, Transport},
    error::{Error, SendError, Violation},
    message::{Chunk, Data, Delivery, Event, Kind, Message},
    timer::Timestamp,
};
