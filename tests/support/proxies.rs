//! Servers that say hi, and an HTTP proxy on the way to them.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    thread::{self, JoinHandle},
};

use crate::support::{CLOSED, raw_answer, read_bytes, read_head};

pub(crate) fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// A server that answers a hello; the request.
pub(crate) fn greeting() -> (SocketAddr, JoinHandle<String>) {
    let (listener, address) = listen();
    (address, thread::spawn(move || greet(&mut listener.accept().unwrap().0)))
}

pub(crate) fn greet(stream: &mut (impl Read + Write)) -> String {
    let request = read_head(stream);
    stream.write_all(raw_answer(&request).as_bytes()).unwrap();
    assert_eq!(read_bytes::<11>(stream)[..2], *b"\x81\x85");
    stream.write_all(b"\x81\x02hi").unwrap();
    assert_eq!(read_bytes::<8>(stream)[..2], *b"\x88\x82");
    stream.write_all(CLOSED).unwrap();
    stream.flush().unwrap();
    request
}

/// Passes on what comes, until both sides have ended.
pub(crate) fn relay(client: &TcpStream, server: &TcpStream) {
    let copy = |from: &TcpStream, to: &TcpStream| {
        let _ = io::copy(&mut &*from, &mut &*to);
        let _ = to.shutdown(Shutdown::Write);
    };
    thread::scope(|scope| {
        scope.spawn(|| copy(client, server));
        copy(server, client);
    });
}

/// An HTTP proxy for so many connections, for which all names mean this server; what was asked of it.
pub(crate) fn http_proxy(server: SocketAddr, connections: usize) -> (SocketAddr, JoinHandle<Vec<String>>) {
    let (listener, address) = listen();
    let serve = move |_| {
        let (mut client, _) = listener.accept().unwrap();
        let request = read_head(&mut client);
        let server = TcpStream::connect(server).unwrap();
        client.write_all(b"HTTP/1.0 200 Connection established\r\nProxy-Agent: test\r\n\r\n").unwrap();
        relay(&client, &server);
        request
    };
    (address, thread::spawn(move || (0..connections).map(serve).collect()))
}
