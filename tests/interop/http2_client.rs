//! Our client on streams of one connection of HTTP/2, by hyper, against the server of another implementation:
//! `http2_client HOST:PORT`.
//!
//! `http2_server.py` says what the server does on each path. Prints an `ok` line for each thing that holds, and panics
//! at the first that does not.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Empty;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use sansock::{
    Chunk, CloseCode, Config, Data, HandshakeError, Message,
    adapter::hyper::{Error, WebSocket, extended_connect},
    client::{Request, Response},
    deflate::Deflate,
};
use tokio::net::TcpStream;

const MIB: usize = 1 << 20;

/// One connection, and whom it goes to.
struct Server {
    authority: String,
    sender: SendRequest<Empty<Bytes>>,
}

impl Server {
    async fn connect(authority: String) -> Self {
        let stream = TcpStream::connect(&authority).await.expect("a server");
        let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("HTTP/2");
        let settings = async {
            while !connection.is_extended_connect_protocol_enabled() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), settings).await.expect("extended CONNECT");
        tokio::spawn(connection);
        Self { authority, sender }
    }

    async fn ask(&mut self, path: &str, config: &Config) -> Result<(WebSocket, Response), Error> {
        let ask = Request::new(&self.authority, path).secure(false).subprotocols(&["mqtt", "superchat"]);
        let (connecting, request) = extended_connect(&ask, config)?;
        let mut answer = self.sender.send_request(request.map(|()| Empty::new())).await.expect("an answer");
        connecting.receive(&mut answer).await
    }

    async fn open(&mut self, path: &str) -> WebSocket {
        self.ask(path, &Config::default()).await.unwrap_or_else(|error| panic!("{path}: {error}")).0
    }
}

fn ok(name: &str) {
    println!("ok  {name}");
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let authority = std::env::args().nth(1).expect("usage: http2_client HOST:PORT");
    let mut server = Server::connect(authority.clone()).await;

    messages(&mut server.open("/echo").await, "echoed").await;
    let config = Config::default().deflate(Deflate::default());
    let (mut websocket, _) = server.ask("/echo", &config).await.expect("a connection");
    assert!(websocket.connection().deflate().is_some(), "compression should be agreed on");
    messages(&mut websocket, "compressed and echoed").await;

    // Two at once.
    let (mut one, mut other) = (server.open("/echo").await, server.open("/echo").await);
    one.send("one").await.expect("sent");
    other.send("other").await.expect("sent");
    assert_eq!(other.recv().await.expect("an echo"), Some("other".into()));
    assert_eq!(one.recv().await.expect("an echo"), Some("one".into()));
    ok("two streams of one connection");

    for (text, fin) in [("frag", false), ("", false), ("mén", false), ("ted", true)] {
        let chunk = Chunk { data: Data::Text(text.into()), fin };
        one.write_with(|connection, out| connection.send_chunk(&chunk, out)).await.expect("sent");
    }
    assert_eq!(one.recv().await.expect("an echo"), Some("fragménted".into()));
    ok("a fragmented message");

    match server.ask("/refuse", &Config::default()).await {
        Err(Error::Handshake(HandshakeError::Rejected(response))) => assert_eq!(response.status(), 403),
        other => panic!("it should be refused, not {other:?}"),
    }
    ok("a refusal tells its status");
    one.send("still there").await.expect("sent");
    assert_eq!(one.recv().await.expect("an echo"), Some("still there".into()));
    ok("and the connection lives on");

    // Each on a connection of its own: this server gives up the whole of it when a stream ends that it has ended
    // itself.
    let mut server = Server::connect(authority.clone()).await;
    let (mut websocket, response) = server.ask("/protocol", &Config::default()).await.expect("a connection");
    assert_eq!((response.status(), response.subprotocol()), (200, Some("superchat")));
    ok("the subprotocol");
    websocket.close(CloseCode::new(4001).expect("a code"), "bye").await.expect("a clean close");
    assert_eq!(websocket.close_info().expect("it is closed").code(), 4001);
    ok("our Close is understood and answered");

    let mut server = Server::connect(authority).await;
    let mut websocket = server.open("/close/4999/why").await;
    assert_eq!(websocket.recv().await.expect("a clean close"), None);
    let info = websocket.close_info().expect("it is closed");
    assert_eq!((info.code(), info.reason(), info.clean), (4999, "why", true));
    ok("their Close is understood and answered");
}

async fn messages(websocket: &mut WebSocket, how: &str) {
    let binary = |len: usize| (0..len).map(|i| ((i * i) >> 3) as u8).collect::<Vec<_>>();
    let messages: [(&str, Message); 6] = [
        ("text", "Größe: 😀".into()),
        ("empty text", "".into()),
        ("binary", binary(300).into()),
        ("empty binary", binary(0).into()),
        ("1 MiB of binary", binary(MIB).into()),
        ("1 MiB of text", "x".repeat(MIB).into()),
    ];
    for (name, message) in messages {
        websocket.send(message.clone()).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(websocket.recv().await.expect("an echo"), Some(message), "{name}");
        ok(&format!("{name} {how}"));
    }
}
