//! One face for the adapters, so that what they all do is written once.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    thread::{self, JoinHandle},
    time::Duration,
};

use bytes::BytesMut;
use sansock::{
    CloseCode, CloseInfo, Config, Connection, Event, Keepalive, Message, Refused,
    adapter::{Error, blocking},
    client, server,
};

#[path = "frames.rs"]
mod frames;
#[path = "watchdog.rs"]
mod watchdog;

#[allow(unused_imports, reason = "each test binary uses its part")]
pub(crate) use frames::*;
pub(crate) use watchdog::*;

/// Runs each scenario, which is generic over an [`Adapter`], with each of them.
#[allow(unused_macros, reason = "some tests are for one adapter")]
macro_rules! suite {
    ($($scenario:ident)*) => {
        mod blocking {
            $(#[test] fn $scenario() { let _watchdog = $crate::support::watchdog(); super::$scenario::<super::Blocking>(); })*
        }
        #[cfg(feature = "tokio")]
        mod tokio {
            $(#[test] fn $scenario() { let _watchdog = $crate::support::watchdog(); super::$scenario::<super::Tokio>(); })*
        }
        #[cfg(feature = "futures-io")]
        mod smol {
            $(#[test] fn $scenario() { let _watchdog = $crate::support::watchdog(); super::$scenario::<super::Smol>(); })*
        }
        #[cfg(feature = "compio")]
        mod compio {
            $(#[test] fn $scenario() { let _watchdog = $crate::support::watchdog(); super::$scenario::<super::Compio>(); })*
        }
    };
}

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

pub(crate) struct Blocking;

impl WebSocket for blocking::WebSocket<TcpStream> {
    async fn recv(&mut self) -> Result<Option<Message>, Error> {
        self.read()
    }

    async fn recv_with<T>(
        &mut self,
        handler: impl FnMut(Event<'_>, &mut Connection, &mut BytesMut) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        self.read_with(handler)
    }

    async fn send(&mut self, message: Message) -> Result<(), Error> {
        self.send(message)
    }

    async fn ping(&mut self, payload: &[u8]) -> Result<(), Error> {
        self.ping(payload)
    }

    async fn close(&mut self, code: CloseCode, reason: &str) -> Result<(), Error> {
        self.close(code, reason)
    }

    fn close_info(&self) -> Option<&CloseInfo> {
        self.close_info()
    }
}

impl Adapter for Blocking {
    type WebSocket = blocking::WebSocket<TcpStream>;

    fn run<T: Send + 'static>(program: impl AsyncFnOnce() -> T + Send + 'static) -> JoinHandle<T> {
        thread::spawn(move || smol::future::block_on(program()))
    }

    async fn accept_with(
        stream: TcpStream,
        config: &Config,
        answer: impl Answer,
    ) -> Result<Option<Self::WebSocket>, Error> {
        blocking::accept_with(stream, config, answer)
    }

    async fn client(
        stream: TcpStream,
        request: &client::Request<'_>,
        config: &Config,
    ) -> Result<(Self::WebSocket, client::Response), Error> {
        blocking::client(stream, request, config)
    }

    async fn sleep(time: Duration) {
        thread::sleep(time);
    }

    fn serve_all(streams: Vec<TcpStream>) -> usize {
        let serve = |stream| Self::run(async || echo(Self::accept(stream, &patient()).await).await);
        let servers: Vec<_> = streams.into_iter().map(serve).collect();
        servers.into_iter().map(|server| usize::from(server.join().unwrap().unwrap().clean)).sum()
    }
}

#[cfg(any(feature = "tokio", feature = "futures-io", feature = "compio"))]
impl<I: sansock::adapter::poll::Io> WebSocket for sansock::adapter::poll::WebSocket<I> {
    async fn recv(&mut self) -> Result<Option<Message>, Error> {
        self.recv().await
    }

    async fn recv_with<T>(
        &mut self,
        handler: impl FnMut(Event<'_>, &mut Connection, &mut BytesMut) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        self.recv_with(handler).await
    }

    async fn send(&mut self, message: Message) -> Result<(), Error> {
        self.send(message).await
    }

    async fn ping(&mut self, payload: &[u8]) -> Result<(), Error> {
        self.ping(payload).await
    }

    async fn close(&mut self, code: CloseCode, reason: &str) -> Result<(), Error> {
        self.close(code, reason).await
    }

    fn close_info(&self) -> Option<&CloseInfo> {
        self.close_info()
    }
}

#[cfg(feature = "tokio")]
pub(crate) struct Tokio;

#[cfg(feature = "tokio")]
impl Tokio {
    pub(crate) fn stream(stream: TcpStream) -> tokio::net::TcpStream {
        stream.set_nonblocking(true).unwrap();
        tokio::net::TcpStream::from_std(stream).unwrap()
    }
}

#[cfg(feature = "tokio")]
impl Adapter for Tokio {
    type WebSocket = sansock::adapter::tokio::WebSocket<tokio::net::TcpStream>;

    fn run<T: Send + 'static>(program: impl AsyncFnOnce() -> T + Send + 'static) -> JoinHandle<T> {
        thread::spawn(move || {
            tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(program())
        })
    }

    async fn accept_with(
        stream: TcpStream,
        config: &Config,
        answer: impl Answer,
    ) -> Result<Option<Self::WebSocket>, Error> {
        sansock::adapter::tokio::accept_with(Self::stream(stream), config, answer).await
    }

    async fn client(
        stream: TcpStream,
        request: &client::Request<'_>,
        config: &Config,
    ) -> Result<(Self::WebSocket, client::Response), Error> {
        sansock::adapter::tokio::client(Self::stream(stream), request, config).await
    }

    async fn sleep(time: Duration) {
        tokio::time::sleep(time).await;
    }

    fn serve_all(streams: Vec<TcpStream>) -> usize {
        let program = async move || {
            let servers: Vec<_> = streams
                .into_iter()
                .map(|stream| {
                    tokio::spawn(async {
                        let mut websocket = sansock::adapter::tokio::accept(Self::stream(stream), &patient()).await?;
                        while let Some(message) = websocket.recv().await? {
                            websocket.feed(message).await?;
                        }
                        Ok::<_, Error>(websocket.close_info().unwrap().clean)
                    })
                })
                .collect();
            let mut clean = 0;
            for server in servers {
                clean += usize::from(server.await.unwrap().unwrap());
            }
            clean
        };
        Self::run(program).join().unwrap()
    }
}

#[cfg(feature = "futures-io")]
pub(crate) struct Smol;

/// What `smol::Timer::at` makes.
#[cfg(feature = "futures-io")]
type SmolTimer = sansock::adapter::futures::Sleep<fn(std::time::Instant) -> smol::Timer, smol::Timer>;

#[cfg(feature = "futures-io")]
impl Smol {
    pub(crate) fn stream(stream: TcpStream) -> smol::net::TcpStream {
        smol::net::TcpStream::from(smol::Async::new(stream).unwrap())
    }

    pub(crate) fn timer() -> SmolTimer {
        sansock::adapter::futures::Sleep::new(smol::Timer::at)
    }
}

#[cfg(feature = "futures-io")]
impl Adapter for Smol {
    type WebSocket = sansock::adapter::futures::WebSocket<smol::net::TcpStream, SmolTimer>;

    fn run<T: Send + 'static>(program: impl AsyncFnOnce() -> T + Send + 'static) -> JoinHandle<T> {
        thread::spawn(move || smol::block_on(program()))
    }

    async fn accept_with(
        stream: TcpStream,
        config: &Config,
        answer: impl Answer,
    ) -> Result<Option<Self::WebSocket>, Error> {
        sansock::adapter::futures::accept_with(Self::stream(stream), Self::timer(), config, answer).await
    }

    async fn client(
        stream: TcpStream,
        request: &client::Request<'_>,
        config: &Config,
    ) -> Result<(Self::WebSocket, client::Response), Error> {
        sansock::adapter::futures::client(Self::stream(stream), Self::timer(), request, config).await
    }

    async fn sleep(time: Duration) {
        smol::Timer::after(time).await;
    }

    fn serve_all(streams: Vec<TcpStream>) -> usize {
        let executor = smol::Executor::new();
        let spawn = |stream| {
            executor.spawn(async {
                let (stream, timer) = (Self::stream(stream), Self::timer());
                let mut websocket = sansock::adapter::futures::accept(stream, timer, &patient()).await?;
                while let Some(message) = websocket.recv().await? {
                    websocket.feed(message).await?;
                }
                Ok::<_, Error>(websocket.close_info().unwrap().clean)
            })
        };
        let servers: Vec<_> = streams.into_iter().map(spawn).collect();
        smol::block_on(executor.run(async {
            let mut clean = 0;
            for server in servers {
                clean += usize::from(server.await.unwrap());
            }
            clean
        }))
    }
}

#[cfg(feature = "compio")]
pub(crate) struct Compio;

#[cfg(feature = "compio")]
impl Compio {
    pub(crate) fn stream(stream: TcpStream) -> compio::net::TcpStream {
        // What is polled must not block, and what is not polled must not refuse.
        let driver = compio::runtime::Runtime::with_current(compio::runtime::Runtime::driver_type);
        stream.set_nonblocking(driver == compio::driver::DriverType::Poll).unwrap();
        compio::net::TcpStream::from_std(stream).unwrap()
    }
}

#[cfg(feature = "compio")]
impl Adapter for Compio {
    type WebSocket = sansock::adapter::compio::WebSocket<compio::net::TcpStream>;

    fn run<T: Send + 'static>(program: impl AsyncFnOnce() -> T + Send + 'static) -> JoinHandle<T> {
        thread::spawn(move || {
            let runtime = compio::runtime::Runtime::new().unwrap();
            let result = runtime.block_on(program());
            // What was cancelled keeps its socket until the runtime has heard of its end.
            runtime.poll_with(Some(millis(10)));
            result
        })
    }

    async fn accept_with(
        stream: TcpStream,
        config: &Config,
        answer: impl Answer,
    ) -> Result<Option<Self::WebSocket>, Error> {
        sansock::adapter::compio::accept_with(Self::stream(stream), config, answer).await
    }

    async fn client(
        stream: TcpStream,
        request: &client::Request<'_>,
        config: &Config,
    ) -> Result<(Self::WebSocket, client::Response), Error> {
        sansock::adapter::compio::client(Self::stream(stream), request, config).await
    }

    async fn sleep(time: Duration) {
        compio::time::sleep(time).await;
    }

    fn serve_all(streams: Vec<TcpStream>) -> usize {
        let program = async move || {
            let serve = |stream| {
                compio::runtime::spawn(async {
                    let mut websocket = sansock::adapter::compio::accept(Self::stream(stream), &patient()).await?;
                    while let Some(message) = websocket.recv().await? {
                        websocket.feed(message).await?;
                    }
                    Ok::<_, Error>(websocket.close_info().unwrap().clean)
                })
            };
            let servers: Vec<_> = streams.into_iter().map(serve).collect();
            let mut clean = 0;
            for server in servers {
                clean += usize::from(server.await.unwrap().unwrap());
            }
            clean
        };
        Self::run(program).join().unwrap()
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

/// The same by events, with the answers to one read in one write. Watches that no more than the high-water mark, and the
/// answers to the message that crossed it, waits to be written.
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
