//! Clients: from a URI to a [`WebSocket`].

use std::{
    io::{self, ErrorKind},
    time::Duration,
};

use ::tokio::{
    net::{TcpStream, lookup_host},
    time::timeout,
};

use super::{Error, WebSocket, client};
use crate::{
    Config,
    client::{Request, Response},
    handshake::Uri,
};

/// Connects to a `ws://` URI over TCP, without Nagle's delay, and opens a WebSocket there.
///
/// Of the addresses that the host's name has, the first that answers is taken; each may take
/// [`handshake_timeout`](Config::handshake_timeout), and so may the opening handshake after it.
///
/// # Errors
///
/// The URI is malformed, or `wss://`, which is for `tls::connect`. Nobody listens. The server refused:
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

/// The same with more in its request: `ask` adds subprotocols, header fields or an origin. Returns the server's answer
/// too.
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
    let uri = Uri::parse(uri)?;
    if uri.is_secure() {
        return Err(io::Error::new(ErrorKind::Unsupported, "wss needs a TLS stream: use tls::connect").into());
    }
    let stream = dial(&uri, config.handshake_timeout).await?;
    client(stream, &ask(Request::from_uri(&uri)), config).await
}

pub(super) async fn dial(uri: &Uri<'_>, limit: Option<Duration>) -> io::Result<TcpStream> {
    let mut failure = io::Error::new(ErrorKind::NotFound, "the host has no address");
    for address in within(limit, lookup_host((uri.host(), uri.port()))).await? {
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
