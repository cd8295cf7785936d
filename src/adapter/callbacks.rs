//! For those who would rather be called than wait: `run` hands a connection to [`Callbacks`], on a thread or in a task.
//!
//! A callback sends by the [`Peer`] that it is given. Who also sends from elsewhere takes the two halves of an
//! asynchronous adapter instead, and who comes back after an end runs each connection in a loop.
//!
//! ```no_run
//! use sansock::{Config, Message, adapter::{blocking, callbacks::{Callbacks, Peer}}};
//!
//! struct Echo;
//!
//! impl Callbacks for Echo {
//!     fn on_open(&mut self, peer: &mut Peer<'_>) {
//!         let _ = peer.send("hello");
//!     }
//!
//!     fn on_message(&mut self, message: Message, peer: &mut Peer<'_>) {
//!         let _ = peer.send(message); // refused only after a Close, and then `on_close` follows
//!     }
//! }
//!
//! blocking::connect("ws://127.0.0.1:9001/", &Config::default())?.run(&mut Echo)?;
//! # Ok::<(), blocking::Error>(())
//! ```

use core::convert::Infallible;

use bytes::BytesMut;

#[cfg(feature = "blocking")]
use super::blocking;
#[cfg(feature = "poll")]
use super::poll;
use super::{Error, join::join};
use crate::{CloseCode, CloseFrame, CloseInfo, Connection, Event, Message, SendError};

/// What is called when something happens. Each does nothing unless it is written.
///
/// They are called one at a time. While one of them works, nothing is read: a slow one slows the peer down. One that
/// panics ends its connection without a Close, and the panic goes on to whoever called `run`.
pub trait Callbacks {
    /// The connection is open: called once, before everything else.
    fn on_open(&mut self, peer: &mut Peer<'_>) {
        let _ = peer;
    }

    /// A whole message came, in whatever pieces.
    fn on_message(&mut self, message: Message, peer: &mut Peer<'_>) {
        let _ = (message, peer);
    }

    /// A Ping came, and was answered.
    fn on_ping(&mut self, payload: &[u8], peer: &mut Peer<'_>) {
        let _ = (payload, peer);
    }

    /// A Pong came.
    fn on_pong(&mut self, payload: &[u8], peer: &mut Peer<'_>) {
        let _ = (payload, peer);
    }

    /// The connection failed. [`on_close`](Self::on_close) follows.
    fn on_error(&mut self, error: &Error) {
        let _ = error;
    }

    /// The connection is over, by whatever end: called once, after everything else.
    fn on_close(&mut self, info: &CloseInfo) {
        let _ = info;
    }
}

/// The other side of a connection, as a callback sees it. What is sent is written when the callbacks for all that came
/// have returned; while more than 128 KiB wait, nothing is read.
#[derive(Debug)]
pub struct Peer<'a> {
    connection: &'a mut Connection,
    out: &'a mut BytesMut,
}

impl Peer<'_> {
    /// Sends a message.
    pub fn send(&mut self, message: impl Into<Message>) -> Result<(), SendError> {
        match message.into() {
            Message::Text(text) => self.connection.send_text(&text, self.out),
            Message::Binary(data) => self.connection.send_binary(&data, self.out),
        }
    }

    /// Sends a Ping of at most 125 bytes.
    pub fn ping(&mut self, payload: &[u8]) -> Result<(), SendError> {
        self.connection.ping(payload, self.out)
    }

    /// Begins to close the connection; messages may still come until the peer closes, too.
    pub fn close(&mut self, code: CloseCode, reason: &str) -> Result<(), SendError> {
        self.connection.close(Some(CloseFrame::new(code, reason)), self.out)
    }
}

#[cfg(feature = "blocking")]
impl<S: blocking::Socket> blocking::WebSocket<S> {
    /// Calls back until the connection is over.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read); it was shown to [`on_error`](Callbacks::on_error) before.
    pub fn run(mut self, callbacks: &mut impl Callbacks) -> Result<(), Error> {
        let mut pieces = None;
        let opened = self.write_with(|connection, out| {
            callbacks.on_open(&mut Peer { connection, out });
            Ok(())
        });
        let result = opened.and_then(|()| {
            self.read_with(|event, connection, out| call(callbacks, &mut pieces, event, connection, out))
        });
        end(callbacks, result, self.close_info())
    }
}

#[cfg(feature = "poll")]
impl<I: poll::Io> poll::WebSocket<I> {
    /// Calls back until the connection is over.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv); it was shown to [`on_error`](Callbacks::on_error) before.
    ///
    /// # Cancel safety
    ///
    /// The connection is dropped, and no callback is told.
    pub async fn run(mut self, callbacks: &mut impl Callbacks) -> Result<(), Error> {
        let mut pieces = None;
        let opened = self.write_with(|connection, out| {
            callbacks.on_open(&mut Peer { connection, out });
            Ok(())
        });
        let result = match opened.await {
            Ok(()) => {
                self.recv_with(|event, connection, out| call(callbacks, &mut pieces, event, connection, out)).await
            }
            Err(error) => Err(error),
        };
        end(callbacks, result, self.close_info())
    }
}

fn call(
    callbacks: &mut impl Callbacks,
    pieces: &mut Option<Message>,
    event: Event<'_>,
    connection: &mut Connection,
    out: &mut BytesMut,
) -> Option<Infallible> {
    let peer = &mut Peer { connection, out };
    match event {
        Event::Text(text) => callbacks.on_message(Message::Text(text.into_owned()), peer),
        Event::Binary(data) => callbacks.on_message(Message::Binary(data.into_owned()), peer),
        Event::Chunk(chunk) => {
            if let Some(message) = join(pieces, chunk) {
                callbacks.on_message(message, peer);
            }
        }
        Event::Ping(payload) => callbacks.on_ping(&payload, peer),
        Event::Pong(payload) => callbacks.on_pong(&payload, peer),
        Event::Close(_) => {}
    }
    None
}

fn end(
    callbacks: &mut impl Callbacks,
    result: Result<Option<Infallible>, Error>,
    info: Option<&CloseInfo>,
) -> Result<(), Error> {
    if let Err(error) = &result {
        callbacks.on_error(error);
    }
    // When only the socket failed, nobody told the machine: nothing was received, 1006.
    callbacks.on_close(info.unwrap_or(&CloseInfo::default()));
    result.map(|_| ())
}
