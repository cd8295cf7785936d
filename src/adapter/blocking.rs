//! A thread for each connection, over `std::io`: the README's loop with a socket in it.
//!
//! [`accept`] and [`connect`] make a [`WebSocket`], which reads and sends whole messages. Each call waits until it is
//! done, or until a deadline of the [`Config`] ends the connection: a peer that says nothing, or takes nothing, cannot
//! hold a thread for ever.
//!
//! **Time.** The clock of a connection runs while a call waits for the socket, so the peer is not timed out while the
//! program is busy. Each byte that the socket accepts while more output waits is a sign of life, so a slow peer is not
//! timed out either.
//!
//! **Memory.** In addition to the [`Connection`]: output that is not written yet, and 16 KiB for each thread to read
//! into.

mod closer;
#[cfg(feature = "getrandom")]
mod connect;
mod socket;
mod wire;

use std::{convert::Infallible, fmt, vec::Vec};

use bytes::BytesMut;

#[cfg(feature = "getrandom")]
pub use self::connect::{client, connect, connect_with};
use self::wire::Wire;
pub use self::{
    closer::Closer,
    socket::{Interest, NoDeadlines, Ready, Socket},
};
pub use super::Error;
use crate::{
    CloseCode, CloseFrame, CloseInfo, Config, Connection, Driver, Event, Message, Outbox, PreparedMessage, SendError,
    Transport,
    adapter::join::join,
    handshake::{Refused, server},
    route::proxy::{Proxy, ProxyError},
};

/// Waits for a request to upgrade, and accepts it, without a subprotocol.
///
/// # Errors
///
/// The request was no valid one, or did not come in [`handshake_timeout`](Config::handshake_timeout), or the socket
/// failed. The client has its answer by then, where there is one, and the socket is closed.
///
/// ```no_run
/// use sansock::{Config, adapter::blocking};
///
/// let listener = std::net::TcpListener::bind("127.0.0.1:9001")?;
/// for stream in listener.incoming() {
///     let stream = stream?;
///     std::thread::spawn(move || -> Result<(), blocking::Error> {
///         let mut websocket = blocking::accept(stream, &Config::default())?;
///         while let Some(message) = websocket.read()? {
///             websocket.send(message)?;
///         }
///         Ok(())
///     });
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
#[allow(clippy::missing_panics_doc, reason = "it does not panic")]
pub fn accept<S: Socket>(socket: S, config: &Config) -> Result<WebSocket<S>, Error> {
    let accepted = accept_with(socket, config, |request, out| request.accept(&server::Response::new(), out).map(Some));
    Ok(accepted?.expect("the request was accepted"))
}

/// Waits for a request, whatever it asks for, and lets `answer` answer it: accept it, with a subprotocol and fields of
/// its own, or reject it, for instance with a page. `None` when it was rejected; then the socket is closed.
///
/// # Errors
///
/// As [`accept`]; also when `answer` returns one.
pub fn accept_with<S: Socket>(
    socket: S,
    config: &Config,
    answer: impl FnOnce(&server::Request, &mut BytesMut) -> Result<Option<Connection>, Refused>,
) -> Result<Option<WebSocket<S>>, Error> {
    let mut socket = socket;
    socket.prepare();
    let mut wire = Wire::new(socket, Driver::new(server::Handshake::new(config)));
    let request = wire.handshake(|request| request)?;
    match answer(&request, wire.driver.parts().1.tail()) {
        Ok(Some(connection)) => {
            let mut wire = wire.replace(connection);
            wire.flush(|_, _, _| {})?;
            Ok(Some(WebSocket { wire }))
        }
        refused => {
            // Until the client has seen the answer, if there is one; what it sends meanwhile is discarded.
            if wire.driver.machine().transport() != Transport::KeepOpen {
                let _ = wire.handshake(|_| ());
            }
            Ok(refused.map(|_| None)?)
        }
    }
}

/// Lets a proxy open a tunnel to `host`, a name or an address without brackets, and port, over a socket that is
/// connected to the proxy. What comes back leads to the server: TLS, and the opening handshake, go through it.
///
/// # Errors
///
/// No tunnel leads to such a host. The socket failed, or the proxy refused, or did not answer in
/// [`handshake_timeout`](Config::handshake_timeout).
pub fn tunnel<S: Socket>(socket: S, proxy: &Proxy, host: &str, port: u16, config: &Config) -> Result<S, Error> {
    let mut out = Outbox::new();
    let tunnel = proxy.connect(host, port, config, out.tail())?;
    let mut wire = Wire::new(socket, Driver::from_parts(tunnel, Vec::new(), out));
    wire.handshake(|()| ())?;
    Ok(wire.into_socket().ok_or(ProxyError::Surplus)?)
}

/// A connection and its socket: messages in and out, the rest is done meanwhile.
///
/// Pings are answered and deadlines are kept while [`read`](Self::read) waits, so a program reads even if it expects
/// nothing. To end the connection properly, [`close`](Self::close) it, or read until `None`; to just cut it, drop it.
pub struct WebSocket<S> {
    wire: Wire<S, Connection>,
}

impl<S: Socket> WebSocket<S> {
    /// Goes on with a connection whose opening handshake was done elsewhere, and of which `received` bytes were read
    /// behind it.
    pub fn new(mut socket: S, connection: Connection, received: Vec<u8>) -> Self {
        socket.prepare();
        Self { wire: Wire::new(socket, Driver::from_parts(connection, received, Outbox::new())) }
    }

    /// Waits for the next message. `None` when the connection was closed properly, by either side: both Closes were
    /// exchanged, and the transport is closed. [`close_info`](Self::close_info) tells what the peer said.
    ///
    /// What is not written yet, such as Pongs, is written before anything is waited for.
    ///
    /// # Errors
    ///
    /// The connection failed. The peer was told, where that was possible, before this returns; that takes at most
    /// [`close_timeout`](Config::close_timeout).
    pub fn read(&mut self) -> Result<Option<Message>, Error> {
        let mut pieces = None;
        self.read_with(|event, _, _| match event {
            Event::Text(text) => Some(Message::Text(text.into_owned())),
            Event::Binary(bytes) => Some(Message::Binary(bytes.into_owned())),
            Event::Chunk(chunk) => join(&mut pieces, chunk),
            _ => None,
        })
    }

    /// Waits for events, and hands each to `handler`, until that returns `Some`; `None` and errors are as in
    /// [`read`](Self::read).
    ///
    /// Events borrow the read buffer, so nothing is copied; here are also Pings, Pongs, the peer's Close, and the
    /// pieces that [`Delivery::Chunks`](crate::Delivery) gives. `handler` answers by the commands of the connection,
    /// with the buffer that it is given. What it appends is written in one go when no further event is here already, or
    /// by the next call after this one returned; while there is more than 128 KiB of it, nothing is read.
    ///
    /// ```no_run
    /// # use sansock::{Config, Event, adapter::blocking::{self, WebSocket}};
    /// # fn echo(mut websocket: WebSocket<std::net::TcpStream>) -> Result<(), Box<dyn std::error::Error>> {
    /// let refused = websocket.read_with(|event, connection, out| match event {
    ///     Event::Text(text) => connection.send_text(&text, out).err(),
    ///     Event::Binary(data) => connection.send_binary(&data, out).err(),
    ///     _ => None,
    /// })?;
    /// # Ok(()) }
    /// ```
    pub fn read_with<T>(
        &mut self,
        handler: impl FnMut(Event<'_>, &mut Connection, &mut BytesMut) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        let found = self.wire.receive(handler, Closer::apply)?;
        // The driver says once why the connection failed; `close_info` knows it ever after.
        match self.close_info().and_then(|info| info.cause) {
            Some(cause) if found.is_none() => Err(cause.into()),
            _ => Ok(found),
        }
    }

    /// Sends a message, and waits until the socket has taken it all.
    ///
    /// Nothing is read meanwhile: two peers that both send more than their sockets take wait for each other, until a
    /// deadline ends it.
    ///
    /// # Errors
    ///
    /// [`Error::Send`]: nothing was sent; after the end of the connection [`read`](Self::read) tells more. Otherwise
    /// the socket failed, or took nothing until a deadline passed: drop the connection.
    pub fn send(&mut self, message: impl Into<Message>) -> Result<(), Error> {
        self.wire.command(|connection, out| connection.send_message(message.into(), out))?;
        self.flush()
    }

    /// Sends a text message, as [`send`](Self::send) does.
    pub fn send_text(&mut self, text: &str) -> Result<(), Error> {
        self.write_with(|connection, out| connection.send_text(text, out))
    }

    /// Sends a binary message, as [`send`](Self::send) does.
    pub fn send_binary(&mut self, data: &[u8]) -> Result<(), Error> {
        self.write_with(|connection, out| connection.send_binary(data, out))
    }

    /// Sends a message that was encoded once for many connections, without a copy; for servers.
    pub fn send_prepared(&mut self, message: &PreparedMessage) -> Result<(), Error> {
        self.wire.command(|connection, out| connection.send_prepared(message).map(|frame| out.push(frame)))?;
        self.flush()
    }

    /// Sends a Ping of at most 125 bytes. Its Pong is an event of [`read_with`](Self::read_with); to just keep the
    /// connection alive there is [`keepalive`](Config::keepalive).
    pub fn ping(&mut self, payload: &[u8]) -> Result<(), Error> {
        self.write_with(|connection, out| connection.ping(payload, out))
    }

    /// Gives any commands to the connection, such as
    /// [`send_chunk`](Connection::send_chunk) or [`fail`](Connection::fail), and waits, as [`send`](Self::send) does,
    /// until what they appended is written.
    pub fn write_with<T>(
        &mut self,
        commands: impl FnOnce(&mut Connection, &mut BytesMut) -> Result<T, SendError>,
    ) -> Result<T, Error> {
        let result = self.wire.command(|connection, out| commands(connection, out.tail()));
        self.flush()?;
        Ok(result?)
    }

    /// Closes the connection: sends a Close, and waits for the peer's and for the end of the transport, as
    /// [`read`](Self::read) does. Messages that still arrive are thrown away; whoever wants them sends the Close by
    /// [`write_with`](Self::write_with) and reads until `None`.
    ///
    /// When either side has closed already, only the rest is waited for.
    ///
    /// # Errors
    ///
    /// [`SendError::ReasonTooLong`] for a reason over 123 bytes; otherwise as [`read`](Self::read).
    pub fn close(&mut self, code: CloseCode, reason: &str) -> Result<(), Error> {
        let close = CloseFrame::new(code, reason);
        match self.wire.command(|connection, out| connection.close(Some(close), out.tail())) {
            Ok(()) | Err(SendError::Closed) => {}
            Err(error) => return Err(error.into()),
        }
        self.read_with(|_, _, _| None::<Infallible>).map(|_| ())
    }

    /// Tells of this connection by `tracing` under this id, from here on: that it opened, the header of each frame, and
    /// how it ended, with the target `sansock`. A frame is a `TRACE`, a peer that broke a rule a `WARN`, all else a
    /// `DEBUG`; of payloads only the length is told.
    ///
    /// To be called right after the handshake: frames that went by before are not told, and one that is half received
    /// confuses.
    #[cfg(feature = "tracing")]
    #[must_use]
    pub fn trace(mut self, id: u64) -> Self {
        self.wire.driver.trace(id);
        self
    }

    /// The same WebSocket, which `closer` closes from another thread, even while a call waits.
    ///
    /// Only sockets that [`POLLS`](Socket::POLLS) notice it while they wait.
    #[must_use]
    pub fn closed_by(mut self, closer: &Closer) -> Self {
        self.wire.closer = Some(closer.clone());
        self
    }

    /// How the connection ended, or is ending; `None` while it is open.
    pub fn close_info(&self) -> Option<&CloseInfo> {
        self.connection().close_info()
    }

    /// The machine, to look at.
    pub fn connection(&self) -> &Connection {
        self.wire.driver.machine()
    }

    /// The socket, to look at. Its timeouts belong to the adapter.
    pub fn socket(&self) -> &S {
        &self.wire.socket
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.wire.flush(Closer::apply)
    }
}

impl<S: Socket> fmt::Debug for WebSocket<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocket").field("connection", self.wire.driver.machine()).finish_non_exhaustive()
    }
}
