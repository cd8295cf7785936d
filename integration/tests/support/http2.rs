//! A client of HTTP/2: hyper, and a WebSocket on each of its streams.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Empty;
use hyper::{body::Incoming, client::conn::http2::SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use sansock::{
    Config,
    adapter::hyper::{Error, WebSocket, extended_connect},
    client,
};
use tokio::time::sleep;

pub(crate) type Sender = SendRequest<Empty<Bytes>>;

/// Connects, and waits until the server has said that it understands extended CONNECT.
pub(crate) async fn connect(address: SocketAddr) -> Sender {
    let stream = TokioIo::new(tokio::net::TcpStream::connect(address).await.unwrap());
    let (sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    while !connection.is_extended_connect_protocol_enabled() {
        sleep(Duration::from_millis(1)).await;
    }
    tokio::spawn(connection);
    sender
}

/// Opens a WebSocket on a stream of its own.
pub(crate) async fn open(
    sender: &mut Sender,
    ask: &client::Request<'_>,
    config: &Config,
) -> Result<(WebSocket, client::Response), Error> {
    let (connecting, request) = extended_connect(ask, config)?;
    connecting.receive(&mut send(sender, request).await).await
}

pub(crate) async fn send(sender: &mut Sender, request: Request<()>) -> Response<Incoming> {
    sender.send_request(request.map(|()| Empty::new())).await.unwrap()
}
