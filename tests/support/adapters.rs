//! One face for the adapters, so that what they all do is written once; and what their tests share.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    thread::JoinHandle,
    time::Duration,
};

use bytes::BytesMut;
use sansock::{
    CloseCode, CloseInfo, Config, Connection, Event, Keepalive, Message, Refused, adapter::Error, client, server,
};

#[path = "frames.rs"]
mod frames;
#[path = "watchdog.rs"]
mod watchdog;

#[allow(unused_imports, reason = "each test binary uses its part")]
pub(crate) use self::{frames::*, watchdog::*};

/// How an adapter answers a request.
pub(crate) trait Answer: FnOnce(&server::Request, &mut BytesMut) -> Result<Option<Connection>, Refused> {}
impl<F: FnOnce(&server::Request, &mut BytesMut) -> Result<Option<Connection>, Refused>> Answer for F {}

/// A connection of any adapter.
pub(crate) trait WebSocket: Sized {
    async fn recv(&mut self) -> Result<Option<Message>, Error>;
    async fn recv_with<T>(
        &mut self,
        handler: impl FnMut(Event<'_>, &mut Connection, &mut BytesMut) -> Option<T>,
    ) -> Result<Option<T>, Error>;
    async fn send(&mut self, message: Message) -> Result<(), Error>;
    async fn ping(&mut self, payload: &[u8]) -> Result<(), Error>;
    async fn close(&mut self, code: CloseCode, reason: &str) -> Result<(), Error>;
    fn close_info(&self) -> Option<&CloseInfo>;
}

/// An adapter, over TCP. A "program" runs to its end on a thread of its own.
pub(crate) trait Adapter: 'static {
    type WebSocket: WebSocket;

    fn run<T: Send + 'static>(program: impl AsyncFnOnce() -> T + Send + 'static) -> JoinHandle<T>;
    async fn accept_with(
        stream: TcpStream,
        config: &Config,
        answer: impl Answer,
    ) -> Result<Option<Self::WebSocket>, Error>;
    async fn client(
        stream: TcpStream,
        request: &client::Request<'_>,
        config: &Config,
    ) -> Result<(Self::WebSocket, client::Response), Error>;
    async fn sleep(time: Duration);
    /// Echoes on all of these at once. The number that ended cleanly.
    fn serve_all(streams: Vec<TcpStream>) -> usize;

    async fn accept(stream: TcpStream, config: &Config) -> Result<Self::WebSocket, Error> {
        let answer =
            |request: &server::Request, out: &mut BytesMut| request.accept(&server::Response::new(), out).map(Some);
        Ok(Self::accept_with(stream, config, answer).await?.expect("it was accepted"))
    }
}

pub(crate) const REQUEST: &str = "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// A client's Close with 1000, and the server's.
pub(crate) const CLOSE: &[u8] = b"\x88\x82\x37\xfa\x21\x3d\x34\x12";
pub(crate) const CLOSED: &[u8] = b"\x88\x02\x03\xe8";

pub(crate) fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// No deadline is meant to pass, but a test that hangs ends.
pub(crate) fn patient() -> Config {
    let long = Duration::from_secs(30);
    Config::default().handshake_timeout(long).close_timeout(long).keepalive(Keepalive::new(long, long))
}

/// Silence is noticed after 100 ms.
pub(crate) fn impatient() -> Config {
    patient().keepalive(Keepalive::new(millis(50), millis(50)))
}

/// A server for one connection.
pub(crate) fn serve<A: Adapter, T: Send + 'static>(
    config: Config,
    program: impl AsyncFnOnce(Result<A::WebSocket, Error>) -> T + Send + 'static,
) -> (SocketAddr, JoinHandle<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = A::run(async move || {
        let (stream, _) = listener.accept().unwrap();
        program(A::accept(stream, &config).await).await
    });
    (address, server)
}

pub(crate) async fn connect<A: Adapter>(address: SocketAddr, config: &Config) -> A::WebSocket {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    A::client(stream, &client::Request::new("localhost", "/"), config).await.unwrap().0
}

/// Echoes until the connection ends, and returns what is left of it.
pub(crate) async fn echo<W: WebSocket>(accepted: Result<W, Error>) -> Result<CloseInfo, Error> {
    let mut websocket = accepted?;
    while let Some(message) = websocket.recv().await? {
        websocket.send(message).await?;
    }
    Ok(websocket.close_info().cloned().unwrap())
}

/// The same by events, with the answers to one read in one write. Watches that no more than the high-water mark, and
/// the answers to the message that crossed it, waits to be written.
pub(crate) async fn echo_events<W: WebSocket>(accepted: Result<W, Error>) -> Result<CloseInfo, Error> {
    let mut websocket = accepted?;
    let refused = websocket.recv_with(|event, connection, out| {
        assert!(out.len() <= (128 << 10) + 200, "{} bytes wait", out.len());
        match event {
            Event::Text(text) => connection.send_text(&text, out).err(),
            Event::Binary(data) => connection.send_binary(&data, out).err(),
            _ => None,
        }
    });
    assert_eq!(refused.await?, None);
    Ok(websocket.close_info().cloned().unwrap())
}

/// A client that does what it likes after its handshake.
pub(crate) fn raw_client(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(REQUEST.as_bytes()).unwrap();
    assert!(read_head(&mut stream).starts_with("HTTP/1.1 101 "));
    stream
}

/// The 101 of a server that does what it likes after it.
pub(crate) fn raw_answer(request: &str) -> String {
    let key = request.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap();
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\n\r\n",
        sansock::handshake::accept_key(key)
    )
}

pub(crate) fn read_head(stream: &mut impl Read) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.extend(read_bytes::<1>(stream));
    }
    String::from_utf8(head).unwrap()
}

pub(crate) fn read_bytes<const N: usize>(stream: &mut impl Read) -> [u8; N] {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes).unwrap();
    bytes
}

/// Reads until EOF; a reset is a failure.
pub(crate) fn read_rest(stream: &mut impl Read) -> Vec<u8> {
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    rest
}
