//! Clients: from a URI to a [`WebSocket`].

use std::{
    io::{self, ErrorKind},
    time::Duration,
};

use ::tokio::{
    net::{TcpStream, lookup_host},
    time::timeout,
};

use super::{Error, WebSocket, client, tunnel};
use crate::{
    Config,
    client::{Request, Response},
    handshake::Route,
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
/// The URI is malformed, or `wss://`, also after a redirect, which is for `tls::connect`. Nobody listens. The server refused:
/// [`Rejected`](crate::HandshakeError::Rejected) has its answer.
///
/// ```no_run
/// use sansock::{CloseCode, Config, adapter::tokio};
///
/// # async fn run() -> Result<(), tokio::Error> {
/// let mut websocket = tokio::connect("ws://127.0.0.1:9001/chat", &Config::default()).await?;
/// websocket.send("hello").await?;
/// println!("{:?}", websocket.recv().await?);
/// websocket.close(CloseCode::NORMAL, "").await?;
/// # Ok(()) }
/// ```
pub async fn connect(uri: &str, config: &Config) -> Result<WebSocket<TcpStream>, Error> {
    Ok(connect_with(uri, config, |request| request).await?.0)
}

/// The same with more in its request: `ask` adds subprotocols, header fields, an origin, proxies, or another number of
/// redirects. Returns the server's answer too.
///
/// # Errors
///
/// As [`connect`]; also when the request is malformed, the proxy refuses, or a redirect is none that is followed.
///
/// ```no_run
/// # use sansock::{Config, adapter::tokio};
/// # async fn run(token: &[u8]) -> Result<(), tokio::Error> {
/// let (config, fields) = (Config::default(), [("Authorization", token)]);
/// let (mut websocket, response) = tokio::connect_with("ws://localhost/", &config, |request| {
///     request.subprotocols(&["chat.v2", "chat"]).headers(&fields)
/// })
/// .await?;
/// println!("{:?}", response.subprotocol());
/// # Ok(()) }
/// ```
pub async fn connect_with<'a>(
    uri: &'a str,
    config: &Config,
    ask: impl FnOnce(Request<'a>) -> Request<'a>,
) -> Result<(WebSocket<TcpStream>, Response), Error> {
    let mut route = Route::new(uri, ask)?;
    loop {
        if route.uri().is_secure() {
            return Err(io::Error::new(ErrorKind::Unsupported, "wss needs a TLS stream: use tls::connect").into());
        }
        let stream = dial(&route, config).await?;
        match client(stream, route.request(), config).await {
            Err(Error::Handshake(refusal)) if route.follow(&refusal)? => {}
            result => return result,
        }
    }
}

/// A stream to the server of a route, perhaps through a proxy.
pub(super) async fn dial(route: &Route<'_>, config: &Config) -> Result<TcpStream, Error> {
    let stream = connect_tcp(route.next_hop(), config.handshake_timeout).await?;
    match route.proxy() {
        Some(proxy) => tunnel(stream, proxy, route.uri().host(), route.uri().port(), config).await,
        None => Ok(stream),
    }
}

async fn connect_tcp(host: (&str, u16), limit: Option<Duration>) -> io::Result<TcpStream> {
    let mut failure = io::Error::new(ErrorKind::NotFound, "the host has no address");
    for address in within(limit, lookup_host(host)).await? {
        match within(limit, TcpStream::connect(address)).await {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

pub(super) async fn within<T>(limit: Option<Duration>, attempt: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    match limit {
        Some(limit) => timeout(limit, attempt).await.map_err(|_| ErrorKind::TimedOut)?,
        None => attempt.await,
    }
}
