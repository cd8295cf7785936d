//! Transports that hold back what is written until they are flushed, as TLS sessions and buffered writers do.
#![cfg(all(feature = "tokio", feature = "blocking"))]

mod support;
#[path = "support/watchdog.rs"]
mod watchdog;

use std::{
    io::{self, Read, Write},
    time::Duration,
};

use sansock::{
    CloseCode, Config, Connection, Message,
    adapter::{
        blocking::{self, Socket},
        poll::{Io, WebSocket},
        tokio as adapter,
    },
};
use support::masked;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, BufStream, DuplexStream, duplex},
    time::timeout,
};
use watchdog::watchdog;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

fn config() -> Config {
    Config::default().keepalive(None)
}

/// These bytes come out of the transport, while nothing else is written.
async fn comes(peer: &mut DuplexStream, expected: &[u8]) {
    let mut bytes = vec![0; expected.len()];
    // The clock is paused: the time passes at once when nothing else can happen.
    timeout(Duration::from_secs(60), peer.read_exact(&mut bytes)).await.expect("it was not flushed").unwrap();
    assert_eq!(bytes, expected);
}

/// A server over a transport that buffers, and its peer.
async fn dialogue<I: Io>(mut websocket: WebSocket<I>, mut peer: DuplexStream) {
    websocket.send("one").await.unwrap();
    comes(&mut peer, b"\x81\x03one").await;
    // What is queued is passed on before anything is waited for, and so is an answer.
    websocket.feed("two").await.unwrap();
    let exchange = async {
        comes(&mut peer, b"\x81\x03two").await;
        peer.write_all(&masked(b"\x89\x01?")).await.unwrap();
        comes(&mut peer, b"\x8a\x01?").await;
        peer.write_all(&masked(b"\x81\x05three")).await.unwrap();
    };
    let (message, ()) = tokio::join!(websocket.recv(), exchange);
    assert_eq!(message.unwrap(), Some(Message::from("three")));
    let answer = async {
        comes(&mut peer, b"\x88\x02\x03\xe8").await;
        peer.write_all(&masked(b"\x88\x02\x03\xe8")).await.unwrap();
        peer.shutdown().await.unwrap();
    };
    let (closed, ()) = tokio::join!(websocket.close(CloseCode::NORMAL, ""), answer);
    closed.unwrap();
}

#[tokio::test(start_paused = true)]
async fn tokio_flushes_what_is_written_before_it_waits() {
    let _watchdog = watchdog();
    let (ours, peer) = duplex(1000);
    let stream = BufStream::new(ours);
    dialogue(adapter::from_connection(stream, Connection::server(&config()), Vec::new()), peer).await;
}

#[tokio::test(start_paused = true)]
async fn tokio_flushes_the_answer_to_a_request() {
    let _watchdog = watchdog();
    let (ours, mut peer) = duplex(1000);
    peer.write_all(REQUEST).await.unwrap();
    let websocket = adapter::accept(BufStream::new(ours), &config()).await.unwrap();
    comes(&mut peer, b"HTTP/1.1 101 ").await;
    drop(websocket);
}

#[cfg(feature = "futures-io")]
mod futures {
    use std::{
        pin::Pin,
        task::{Context, Poll, ready},
    };

    use sansock::adapter::{futures, poll::Sleep};
    use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};

    use super::*;

    /// The same stream as one of `futures_io`.
    struct Compat(BufStream<DuplexStream>);

    impl futures_io::AsyncRead for Compat {
        fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, room: &mut [u8]) -> Poll<io::Result<usize>> {
            let mut room = ReadBuf::new(room);
            ready!(Pin::new(&mut self.0).poll_read(cx, &mut room))?;
            Poll::Ready(Ok(room.filled().len()))
        }
    }

    impl futures_io::AsyncWrite for Compat {
        fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            Pin::new(&mut self.0).poll_write(cx, bytes)
        }

        fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_flush(cx)
        }

        fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_shutdown(cx)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn futures_flushes_what_is_written_before_it_waits() {
        let _watchdog = watchdog();
        let (ours, peer) = duplex(1000);
        let timer = Sleep::new(|at: std::time::Instant| tokio::time::sleep_until(at.into()));
        let stream = Compat(BufStream::new(ours));
        dialogue(futures::from_connection(stream, timer, Connection::server(&config()), Vec::new()), peer).await;
    }
}

/// A peer that sends its part in one go, for each read, and hears what was flushed.
struct Held {
    script: Vec<(&'static [u8], Vec<u8>)>,
    written: Vec<u8>,
    flushed: Vec<u8>,
}

impl Read for Held {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        if self.script.is_empty() {
            return Ok(0);
        }
        let (expected, answer) = self.script.remove(0);
        assert_eq!(self.flushed, expected, "what a peer has heard before it answers");
        room[..answer.len()].copy_from_slice(&answer);
        Ok(answer.len())
    }
}

impl Write for Held {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.written.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.flushed.append(&mut self.written);
        Ok(())
    }
}

impl Socket for Held {
    fn set_read_timeout(&mut self, _: Option<Duration>) -> io::Result<()> {
        Ok(())
    }

    fn set_write_timeout(&mut self, _: Option<Duration>) -> io::Result<()> {
        Ok(())
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        self.flush()
    }
}

#[test]
fn blocking_flushes_what_is_written_before_it_waits() {
    let _watchdog = watchdog();
    let script: Vec<(&[u8], Vec<u8>)> = vec![
        (b"\x81\x03one", masked(b"\x89\x01?")),
        (b"\x81\x03one\x8a\x01?", masked(b"\x81\x05three")),
        (b"\x81\x03one\x8a\x01?\x88\x02\x03\xe8", masked(b"\x88\x02\x03\xe8")),
    ];
    let socket = Held { script, written: Vec::new(), flushed: Vec::new() };
    let mut websocket = blocking::WebSocket::new(socket, Connection::server(&config()), Vec::new());
    websocket.send("one").unwrap();
    assert_eq!(websocket.socket().flushed, b"\x81\x03one");
    assert_eq!(websocket.read().unwrap(), Some("three".into()));
    websocket.close(CloseCode::NORMAL, "").unwrap();
    assert!(websocket.socket().written.is_empty());
}
