//! What `connect` of the adapters does to a socket: it tunes it, and without TLS it says nothing to a server that needs
//! TLS.
#![cfg(all(feature = "blocking", feature = "getrandom"))]

#[path = "support/watchdog.rs"]
mod watchdog;

use std::{
    io::ErrorKind,
    net::{SocketAddr, TcpListener, TcpStream},
    thread::{self, JoinHandle},
};

use sansock::{
    Config,
    adapter::{Error, blocking, tcp},
};
use socket2::SockRef;
use watchdog::watchdog;

fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// A server that accepts one WebSocket, and waits for its end.
fn accept_one() -> (SocketAddr, JoinHandle<()>) {
    let (listener, address) = listen();
    let server = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        _ = blocking::accept(stream, &Config::default()).unwrap().read();
    });
    (address, server)
}

#[track_caller]
fn is_tuned(stream: &SockRef<'_>) {
    assert!(stream.tcp_nodelay().unwrap(), "small messages leave at once");
    #[cfg(target_os = "linux")]
    assert_eq!(stream.tcp_notsent_lowat().unwrap(), 128 << 10, "how much the kernel takes before it has sent it");
}

#[test]
fn a_tuned_socket_sends_small_messages_at_once() {
    let (listener, address) = listen();
    let stream = TcpStream::connect(address).unwrap();
    assert!(!stream.nodelay().unwrap(), "the operating system's default");
    tcp::tune(&stream).unwrap();
    is_tuned(&SockRef::from(&stream));
    drop(listener);
}

#[test]
fn the_blocking_connect_tunes_its_socket() {
    let _watchdog = watchdog();
    let (address, server) = accept_one();
    let websocket = blocking::connect(&format!("ws://{address}/"), &Config::default()).unwrap();
    is_tuned(&SockRef::from(websocket.socket()));
    drop(websocket);
    server.join().unwrap();
}

#[cfg(feature = "tokio-net")]
#[tokio::test]
async fn the_connect_of_tokio_tunes_its_socket() {
    let _watchdog = watchdog();
    let (address, server) = accept_one();
    let uri = format!("ws://{address}/");
    let websocket = sansock::adapter::tokio::connect(&uri, &Config::default()).await.unwrap();
    is_tuned(&SockRef::from(websocket.io().get_ref()));
    drop(websocket);
    server.join().unwrap();
}

#[cfg(feature = "tls")]
#[tokio::test]
async fn the_connect_over_tls_tunes_its_socket_when_it_is_plain() {
    use sansock::adapter::tokio::tls::{self, MaybeTls};

    let _watchdog = watchdog();
    let (address, server) = accept_one();
    let websocket = tls::connect(&format!("ws://{address}/"), &Config::default()).await.unwrap();
    let MaybeTls::Plain(stream) = websocket.io().get_ref() else { panic!("it is plain") };
    is_tuned(&SockRef::from(stream));
    drop(websocket);
    server.join().unwrap();
}

/// A listener of `wss`, which a client must not even connect to.
struct Secure(TcpListener);

impl Secure {
    fn new() -> (Self, String) {
        let (listener, address) = listen();
        listener.set_nonblocking(true).unwrap();
        (Self(listener), format!("wss://{address}/"))
    }

    #[track_caller]
    fn was_refused<T>(&self, result: Result<T, Error>) {
        match result.err() {
            Some(Error::Io(error)) => assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}"),
            other => panic!("{other:?}"),
        }
        assert_eq!(self.0.accept().unwrap_err().kind(), ErrorKind::WouldBlock, "nobody has connected");
    }
}

#[test]
fn the_blocking_connect_never_speaks_plainly_to_a_server_that_needs_tls() {
    let _watchdog = watchdog();
    let (secure, uri) = Secure::new();
    secure.was_refused(blocking::connect(&uri, &Config::default()));
}

#[cfg(feature = "tokio-net")]
#[tokio::test]
async fn the_connect_of_tokio_never_speaks_plainly_to_a_server_that_needs_tls() {
    let _watchdog = watchdog();
    let (secure, uri) = Secure::new();
    secure.was_refused(sansock::adapter::tokio::connect(&uri, &Config::default()).await);
    // Nor after a redirect.
    let (listener, address) = listen();
    let server = thread::spawn(move || {
        use std::io::{Read, Write};

        let (mut stream, _) = listener.accept().unwrap();
        let (mut request, mut byte) = (Vec::new(), [0]);
        while !request.ends_with(b"\r\n\r\n") {
            stream.read_exact(&mut byte).unwrap();
            request.push(byte[0]);
        }
        write!(stream, "HTTP/1.1 302 There\r\nLocation: {uri}\r\nContent-Length: 0\r\n\r\n").unwrap();
    });
    secure.was_refused(sansock::adapter::tokio::connect(&format!("ws://{address}/"), &Config::default()).await);
    server.join().unwrap();
}
