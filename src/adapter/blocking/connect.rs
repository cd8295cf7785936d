//! Clients: from a URI or a socket to a [`WebSocket`].

use std::{
    io::{self, ErrorKind},
    net::{TcpStream, ToSocketAddrs},
    time::Duration,
    vec::Vec,
};

use super::{Error, Socket, WebSocket, wire::Wire};
use crate::{
    Config,
    handshake::{Uri, client},
};

/// Connects to a `ws://` URI over TCP, without Nagle's delay, and opens a WebSocket there.
///
/// Of the addresses that the host's name has, the first that answers is taken; each may take
/// [`handshake_timeout`](Config::handshake_timeout), and so may the opening handshake after it.
///
/// # Errors
///
/// The URI is malformed, or `wss://`: then bring the TLS stream, and [`connect_with`] goes on from there. Nobody
/// listens. The server refused: [`Rejected`](crate::HandshakeError::Rejected) has its answer.
///
/// ```no_run
/// use sansock::{CloseCode, Config, adapter::blocking};
///
/// let mut websocket = blocking::connect("ws://127.0.0.1:9001/chat", &Config::default())?;
/// websocket.send("hello")?;
/// println!("{:?}", websocket.read()?);
/// websocket.close(CloseCode::NORMAL, "")?;
/// # Ok::<(), blocking::Error>(())
/// ```
pub fn connect(uri: &str, config: &Config) -> Result<WebSocket<TcpStream>, Error> {
    let uri = Uri::parse(uri)?;
    if uri.is_secure() {
        return Err(io::Error::new(ErrorKind::Unsupported, "wss needs a TLS stream: use connect_with").into());
    }
    let stream = dial(&uri, config.handshake_timeout)?;
    stream.set_nodelay(true)?;
    Ok(connect_with(stream, &client::Request::from_uri(&uri), config)?.0)
}

/// Opens a WebSocket over a socket that is connected already, with what `request` asks for. Returns the server's answer
/// too: its subprotocol is there.
///
/// # Errors
///
/// As [`connect`]; also when `request` is malformed.
pub fn connect_with<S: Socket>(
    socket: S,
    request: &client::Request<'_>,
    config: &Config,
) -> Result<(WebSocket<S>, client::Response), Error> {
    let mut wire = Wire::new(socket, Vec::new());
    let seed = crate::seed().map_err(io::Error::other)?;
    let mut handshake = client::connect(request, config, seed, wire.out.tail())?;
    let (connection, response) = wire.handshake(&mut handshake, |handshake, input, _| handshake.receive(input))?;
    Ok((WebSocket { wire, connection }, response))
}

fn dial(uri: &Uri<'_>, timeout: Option<Duration>) -> io::Result<TcpStream> {
    let mut failure = io::Error::new(ErrorKind::NotFound, "the host has no address");
    for address in (uri.host(), uri.port()).to_socket_addrs()? {
        let attempt = match timeout {
            Some(timeout) => TcpStream::connect_timeout(&address, timeout.max(Duration::from_millis(1))),
            None => TcpStream::connect(address),
        };
        match attempt {
            Ok(stream) => return Ok(stream),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}
