//! WebSocket (RFC 6455, and permessage-deflate, RFC 7692) as a sans-IO state machine: bytes in, events and bytes out.
//!
//! ```text
//!                  ┌──────────────────────────────────────────────┐
//!   socket.read ──▶│ receive(&mut input, &mut out) ─▶ Event<'input>│──▶ your program
//!                  │                 Connection                   │
//!  socket.write ◀──│ out ◀─ send_text / send_binary / ping / close │◀── your program
//!                  └──────────────────────────────────────────────┘
//!          timer ──▶ poll_timeout / handle_timeout(now, &mut out)     transport() ──▶ shut down, close
//! ```
//!
//! A [`Connection`] is a value. It owns no socket, no clock, no task, no randomness and no buffer; whoever has a socket
//! drives it: a thread, an async runtime, an `io_uring` loop, a microcontroller, a fuzzer, a simulator. The thin
//! modules in `adapter` do that for the common cases. What it is not: an HTTP server, a TLS stack, a runtime.
//!
//! # The loop
//!
//! Every adapter is a version of this:
//!
//! ```
//! use bytes::BytesMut;
//! use sansock::{Connection, Event};
//!
//! fn echo(connection: &mut Connection, mut input: &mut [u8], out: &mut BytesMut) -> Result<(), Box<dyn std::error::Error>> {
//!     while let Some(event) = connection.receive(&mut input, out)? {
//!         match event {
//!             Event::Text(text) => connection.send_text(&text, out)?,
//!             Event::Binary(data) => connection.send_binary(&data, out)?,
//!             _ => {}
//!         }
//!     }
//!     Ok(())
//! }
//! ```
//!
//! # The contract
//!
//! - Call [`receive`](Connection::receive) until it returns `None`. Then the input is used up; with
//!   [`Delivery::InPlace`] keep what is left of it, which an [`Inbox`] does.
//! - After any call, and before acting on its error, write `out`. Then do what
//!   [`transport`](Connection::transport) says.
//! - Call [`handle_timeout`](Connection::handle_timeout) once at the start, after each batch of `receive`s and
//!   commands, and when [`poll_timeout`](Connection::poll_timeout) is due. The end of the input does not end time: a
//!   deadline remains until you drop the connection.
//! - Back-pressure is to stop reading while `out` is longer than you like.
//!
//! A [`Driver`] obeys this contract for you: your event loop asks it for the next system call. The module [`driver`]
//! has the loop around it, and the rules that it follows.
//!
//! What the peer did wrong is an [`Error`], its Close frame already in `out`; what the caller did wrong is a
//! [`SendError`], and nothing was sent or changed. However the input is cut, the events, the output and the error are
//! the same.
//!
//! # What it costs
//!
//! Measured on 2026-11-21 on an AMD EPYC at rustc 1.95, with the feature `simd-mask`, by `benches/peers/run.sh`; what
//! else was measured, and how, is in `docs/performance.md`. Time includes the copy that a kernel would make.
//!
//! | a message | received by a server | sent by a server | sent by a client |
//! |---|---|---|---|
//! | binary, 16 bytes | 5 ns | 4 ns | 8 ns |
//! | binary, 125 bytes | 10 ns | 6 ns | 14 ns |
//! | text, 125 bytes | 19 ns | as binary | as binary |
//! | binary, 1 KiB | 29 ns | 28 ns | 35 ns |
//! | binary, 1 MiB, in place | 23 µs, 46 GB/s | 13 µs, by reference | 21 µs, piece by piece |
//!
//! | a connection holds | bytes |
//! |---|---|
//! | `Connection` itself | 256 |
//! | on the heap, idle | 0; a client that has sent something 320, for its masking keys |
//! | permessage-deflate agreed on, no message yet | 48 more |
//! | after a message each way, default settings | 444 thousand more: 56 to receive, 388 to send |
//! | after a message each way, `Deflate::low_memory()` | 48 more; while one is compressed 173 thousand |
//!
//! The memory is what `cargo test --release --test deflate_memory -- --nocapture memory_of_a_connection` prints. A
//! message that arrives whole is lent from the caller's buffer without an allocation; one that arrives in pieces is
//! stored in one block, at first as long as the last such message, that grows with what has arrived, or stays in the
//! caller's buffer ([`Delivery::InPlace`]).
//!
//! # Where things are
//!
//! Each module depends only on rows below its own; `tests/map.rs` checks it.
//!
//! | files | hold | RFC 6455 |
//! |---|---|---|
//! | `adapter/` | one file per runtime, nothing of the protocol | |
//! | `driver.rs`, `driver/` | the I/O loop without I/O: the next system call, the deadlines, the end | §5.5, §7 |
//! | `route.rs`, `route/` | how a client gets to a server: redirects, proxies, delays between attempts | §7.2.3 |
//! | `handshake.rs`, `handshake/` | the opening handshake of both roles; HTTP/1.1 without WebSocket in `http` | §4, RFC 8441 |
//! | `connection.rs`, `connection/` | the machine: `receive`, `send`, `close`, and its deadlines in `timer` | §5 to §7 |
//! | `config.rs` | every limit and its reason | |
//! | `deflate.rs`, `deflate/` | permessage-deflate | RFC 7692 |
//! | `message.rs`, `message/` | events and pieces of messages; putting them together in `assembly`; text in `utf8` | §5.4, §5.6, §8.1 |
//! | `close.rs` | what a Close frame says, and how a connection ended | §5.5.1, §7 |
//! | `frame.rs`, `frame/` | opcodes, and the rules of a `header`; `decode` and `encode`; masking in `mask` and `keys` | §5.2, §5.3 |
//! | `error.rs` | whose fault it was | §7.1.7 |
//! | `close_code.rs` | the codes that a Close frame may have | §7.4 |
//! | `origin.rs` | which web pages may connect | §10.2 |
//! | `grammar.rs` | tokens, lists and numbers, as HTTP and URIs write them | |
//! | `inbox.rs`, `outbox.rs` | the buffers of a driver: incomplete input; output in order, large parts by reference | |
//! | `time.rs` | a moment, as an argument | |
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

/// The code in the README, as a test.
#[cfg(all(doctest, feature = "std", feature = "handshake", feature = "getrandom"))]
#[doc = include_str!("../README.md")]
struct Readme;

pub mod adapter;
pub mod close;
mod close_code;
pub mod config;
pub mod connection;
#[cfg(feature = "deflate")]
pub mod deflate;
#[cfg(not(feature = "deflate"))]
mod deflate {
    #[path = "absent.rs"]
    pub(crate) mod codec;
}
pub mod driver;
pub mod error;
pub mod frame;
#[cfg(feature = "handshake")]
mod grammar;
#[cfg(feature = "handshake")]
pub mod handshake;
mod inbox;
pub mod message;
#[cfg(feature = "handshake")]
mod origin;
mod outbox;
#[cfg(feature = "route")]
pub mod route;
pub mod time;

#[cfg(feature = "getrandom")]
pub use frame::{NoEntropy, seed};
#[cfg(feature = "route")]
pub use route::Backoff;
#[cfg(feature = "std")]
pub use time::Clock;
pub use {
    close::{CloseCode, CloseFrame, CloseInfo, CloseStatus, Initiator},
    config::{Config, Keepalive, Limit},
    connection::{Connection, State, Transport},
    driver::{Buffers, Driver, Step},
    error::{Error, SendError, Violation},
    frame::{Kind, Masker},
    inbox::Inbox,
    message::{Chunk, Data, Delivery, Event, Message, PreparedMessage},
    outbox::Outbox,
    time::Timestamp,
};
#[cfg(feature = "handshake")]
pub use {
    handshake::{HandshakeError, HeadError, Malformed, Refused, UpgradeError, client, server},
    origin::OriginPolicy,
};
