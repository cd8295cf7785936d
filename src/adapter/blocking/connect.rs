//! Clients: from a URI or a socket to a [`WebSocket`].

use std::{
    io::{self, ErrorKind},
    net::{TcpStream, ToSocketAddrs},
    time::Duration,
    vec::Vec,
};

use super::{Error, Socket, WebSocket, tunnel, wire::Wire};
use crate::{
    Config, Driver, Outbox,
    handshake::{Route, client},
};

/// Connects to a `ws://` URI over TCP, without Nagle's delay, and opens a WebSocket there. Follows up to 10 redirects, and
/// sends the URI's userinfo as Basic authentication.
///
/// Of the addresses that the host's name has, the first that answers is taken; each may take
/// [`handshake_timeout`](Config::handshake_timeout), and so may a proxy and the opening handshake after it, and all of it
/// again after a redirect.
///
/// # Errors
///
/// The URI is malformed, or `wss://`, also after a redirect: then bring the TLS stream, and [`client()`] goes on from
/// there. Nobody listens. The server refused: [`Rejected`](crate::HandshakeError::Rejected) has its answer.
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
    Ok(connect_with(uri, config, |request| request)?.0)
}

/// The same with more in its request: `ask` adds subprotocols, header fields, proxies, or another number of redirects.
/// Returns the server's answer too.
///
/// # Errors
///
/// As [`connect`]; also when the request is malformed, the proxy refuses, or a redirect is none that is followed.
///
/// ```no_run
/// use sansock::{Config, adapter::blocking, handshake::proxy::{Proxies, Proxy}};
///
/// let proxies = Proxies::all(Proxy::parse("socks5h://127.0.0.1:9050")?);
/// let (mut websocket, response) = blocking::connect_with("ws://server.example/", &Config::default(), |request| {
///     request.subprotocols(&["chat"]).proxies(&proxies).max_redirects(0)
/// })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn connect_with<'a>(
    uri: &'a str,
    config: &Config,
    ask: impl FnOnce(client::Request<'a>) -> client::Request<'a>,
) -> Result<(WebSocket<TcpStream>, client::Response), Error> {
    let mut route = Route::new(uri, ask)?;
    loop {
        if route.uri().is_secure() {
            return Err(io::Error::new(ErrorKind::Unsupported, "wss needs a TLS stream: use `client`").into());
        }
        match client(dial(&route, config)?, route.request(), config) {
            Err(Error::Handshake(refusal)) if route.follow(&refusal)? => {}
            result => return result,
        }
    }
}

/// Opens a WebSocket over a socket that is connected already, with what `request` asks for. Returns the server's answer
/// too: its subprotocol is there.
///
/// # Errors
///
/// As [`connect`]; also when `request` is malformed.
pub fn client<S: Socket>(
    mut socket: S,
    request: &client::Request<'_>,
    config: &Config,
) -> Result<(WebSocket<S>, client::Response), Error> {
    socket.prepare();
    let seed = crate::seed().map_err(io::Error::other)?;
    let mut out = Outbox::new();
    let handshake = client::connect(request, config, seed, out.tail())?;
    let mut wire = Wire::new(socket, Driver::from_parts(handshake, Vec::new(), out));
    let (connection, response) = wire.handshake(|opened| opened)?;
    Ok((WebSocket { wire: wire.replace(connection) }, response))
}

/// A stream to the server of a route, perhaps through a proxy.
fn dial(route: &Route<'_>, config: &Config) -> Result<TcpStream, Error> {
    let stream = connect_tcp(route.next_hop(), config.handshake_timeout)?;
    stream.set_nodelay(true)?;
    match route.proxy() {
        Some(proxy) => tunnel(stream, proxy, route.uri().host(), route.uri().port(), config),
        None => Ok(stream),
    }
}

fn connect_tcp(host: (&str, u16), timeout: Option<Duration>) -> io::Result<TcpStream> {
    let mut failure = io::Error::new(ErrorKind::NotFound, "the host has no address");
    for address in host.to_socket_addrs()? {
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
