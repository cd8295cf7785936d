//! Callbacks over real sockets: in which order they come, and what peers and callbacks can do to each other.
#![cfg(all(feature = "blocking", feature = "getrandom"))]

#[path = "support/runtimes.rs"]
#[allow(dead_code, reason = "half of it is for the suite of all adapters")]
mod support;

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    thread::{self, JoinHandle},
};

use sansock::{
    CloseCode, CloseInfo, Config, Delivery, Error as Failure, Initiator, Message, SendError,
    adapter::{
        Error, blocking,
        callbacks::{Callbacks, Peer},
    },
};
use support::{CLOSE, CLOSED, client_frame, impatient, patient, raw_client, read_bytes, read_rest, watchdog};

/// An adapter that serves one connection by callbacks.
trait Runner {
    fn run(stream: TcpStream, config: &Config, callbacks: &mut impl Callbacks) -> Result<(), Error>;
}

struct Blocking;

impl Runner for Blocking {
    fn run(stream: TcpStream, config: &Config, callbacks: &mut impl Callbacks) -> Result<(), Error> {
        blocking::accept(stream, config)?.run(callbacks)
    }
}

#[cfg(feature = "tokio")]
struct Tokio;

#[cfg(feature = "tokio")]
impl Runner for Tokio {
    fn run(stream: TcpStream, config: &Config, callbacks: &mut impl Callbacks) -> Result<(), Error> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let stream = support::Tokio::stream(stream);
            sansock::adapter::tokio::accept(stream, config).await?.run(callbacks).await
        })
    }
}

macro_rules! suite {
    ($($scenario:ident)*) => {
        mod blocking_adapter {
            $(#[test] fn $scenario() { let _watchdog = $crate::support::watchdog(); super::$scenario::<super::Blocking>(); })*
        }
        #[cfg(feature = "tokio")]
        mod tokio_adapter {
            $(#[test] fn $scenario() { let _watchdog = $crate::support::watchdog(); super::$scenario::<super::Tokio>(); })*
        }
    };
}

suite! {
    everything_is_called_in_its_order
    what_is_not_written_does_nothing
    pieces_are_one_message
    an_error_comes_before_the_end
    an_abrupt_end_is_an_error_and_an_end
    a_callback_may_close_and_send_no_more
    a_callback_that_panics_ends_its_connection
    a_peer_that_never_reads_is_given_up
}

/// Writes down what it is called for, and answers messages.
#[derive(Default)]
struct Log(Vec<String>);

impl Log {
    fn note(&mut self, line: impl Into<String>) {
        self.0.push(line.into());
    }
}

impl Callbacks for Log {
    fn on_open(&mut self, peer: &mut Peer<'_>) {
        peer.send("welcome").unwrap();
        self.note("open");
    }

    fn on_message(&mut self, message: Message, peer: &mut Peer<'_>) {
        self.note(format!("{message:?}"));
        match &message {
            Message::Text(text) if text == "close" => {
                peer.close(CloseCode::GOING_AWAY, "bye").unwrap();
                assert_eq!(peer.send("late"), Err(SendError::Closed));
                assert_eq!(peer.ping(b""), Err(SendError::Closed));
            }
            Message::Text(text) if text == "panic" => panic!("on purpose"),
            Message::Text(text) if text == "ping" => peer.ping(b"?").unwrap(),
            _ if peer.send(message.clone()).is_err() => self.note("not sent"),
            _ => {}
        }
    }

    fn on_ping(&mut self, payload: &[u8], _: &mut Peer<'_>) {
        self.note(format!("ping {}", payload.escape_ascii()));
    }

    fn on_pong(&mut self, payload: &[u8], _: &mut Peer<'_>) {
        self.note(format!("pong {}", payload.escape_ascii()));
    }

    fn on_error(&mut self, error: &Error) {
        self.note(format!("error: {error}"));
    }

    fn on_close(&mut self, info: &CloseInfo) {
        self.note(format!("close {} {:?} clean={}", info.code(), info.reason(), info.clean));
    }
}

/// What was called, and the result.
type Outcome = (Vec<String>, Result<(), Error>);

/// A server of one connection, and a client of it that does what it likes.
fn serve<R: Runner>(config: Config) -> (TcpStream, JoinHandle<Outcome>) {
    serve_with::<R, _>(config, Log::default(), |log| log.0)
}

fn serve_with<R: Runner, C: Callbacks + Send + 'static>(
    config: Config,
    mut callbacks: C,
    end: impl FnOnce(C) -> Vec<String> + Send + 'static,
) -> (TcpStream, JoinHandle<Outcome>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let result = catch_unwind(AssertUnwindSafe(|| R::run(stream, &config, &mut callbacks)));
        (end(callbacks), result.unwrap_or_else(|panic| resume_unwind(panic)))
    });
    (raw_client(address), server)
}

fn everything_is_called_in_its_order<R: Runner>() {
    let (mut client, server) = serve::<R>(patient());
    assert_eq!(read_bytes(&mut client), *b"\x81\x07welcome");
    let frames = [
        client_frame(0x89, b"1"),
        client_frame(0x81, b"ping"),
        client_frame(0x8a, b"2"),
        client_frame(0x82, &[0, 255]),
    ];
    client.write_all(&frames.concat()).unwrap();
    assert_eq!(read_bytes(&mut client), *b"\x8a\x011\x89\x01?\x82\x02\x00\xff");
    client.write_all(CLOSE).unwrap();
    assert_eq!(read_rest(&mut client), CLOSED);
    drop(client);
    let (log, result) = server.join().unwrap();
    result.unwrap();
    let expected = ["open", "ping 1", "Text(\"ping\")", "pong 2", "Binary([0, 255])", "close 1000 \"\" clean=true"];
    assert_eq!(log, expected);
}

fn what_is_not_written_does_nothing<R: Runner>() {
    struct Nothing;
    impl Callbacks for Nothing {}
    let (mut client, server) = serve_with::<R, _>(patient(), Nothing, |_| Vec::new());
    let frames = [client_frame(0x81, b"x"), client_frame(0x89, b"1"), client_frame(0x8a, b"2"), CLOSE.to_vec()];
    client.write_all(&frames.concat()).unwrap();
    assert_eq!(read_rest(&mut client), [b"\x8a\x011", CLOSED].concat());
    drop(client);
    server.join().unwrap().1.unwrap();
}

fn pieces_are_one_message<R: Runner>() {
    for delivery in [Delivery::Messages, Delivery::Chunks] {
        let (mut client, server) = serve::<R>(patient().delivery(delivery));
        for frame in [client_frame(0x01, "gr\u{fc}".as_bytes()), client_frame(0x00, b""), client_frame(0x80, b"n")] {
            for byte in frame {
                client.write_all(&[byte]).unwrap();
            }
        }
        client.write_all(CLOSE).unwrap();
        assert_eq!(read_rest(&mut client), [b"\x81\x07welcome\x81\x05gr\xc3\xbcn", CLOSED].concat());
        drop(client);
        assert_eq!(server.join().unwrap().0[1], "Text(\"gr\u{fc}n\")");
    }
}

fn an_error_comes_before_the_end<R: Runner>() {
    let (mut client, server) = serve::<R>(patient());
    client.write_all(&[client_frame(0x81, b"x"), b"\x81\x00".to_vec(), client_frame(0x81, b"y")].concat()).unwrap();
    let heard = read_rest(&mut client);
    assert!(heard.starts_with(b"\x81\x07welcome\x81\x01x\x88"), "{heard:?}");
    drop(client);
    let (log, result) = server.join().unwrap();
    assert!(matches!(result, Err(Error::Connection(Failure::Protocol(_)))), "{result:?}");
    let expected = ["open", "Text(\"x\")", "error: client frame not masked", "close 1006 \"\" clean=false"];
    assert_eq!(log, expected);
}

fn an_abrupt_end_is_an_error_and_an_end<R: Runner>() {
    let (mut client, server) = serve::<R>(patient());
    assert_eq!(read_bytes(&mut client), *b"\x81\x07welcome");
    drop(client);
    let (log, result) = server.join().unwrap();
    assert!(matches!(result, Err(Error::Connection(Failure::ConnectionLost))), "{result:?}");
    let expected = ["open", "error: connection lost without a Close", "close 1006 \"\" clean=false"];
    assert_eq!(log, expected);
}

fn a_callback_may_close_and_send_no_more<R: Runner>() {
    let (mut client, server) = serve::<R>(patient());
    // What crosses the Close is still delivered; nothing can answer it.
    client.write_all(&[client_frame(0x81, b"close"), client_frame(0x81, b"crossed")].concat()).unwrap();
    assert_eq!(read_bytes(&mut client), *b"\x81\x07welcome\x88\x05\x03\xe9bye");
    client.write_all(&client_frame(0x88, b"\x03\xe9")).unwrap();
    assert_eq!(read_rest(&mut client), b"");
    drop(client);
    let (log, result) = server.join().unwrap();
    result.unwrap();
    let expected = ["open", "Text(\"close\")", "Text(\"crossed\")", "not sent", "close 1001 \"\" clean=true"];
    assert_eq!(log, expected);
}

fn a_callback_that_panics_ends_its_connection<R: Runner>() {
    let (mut client, server) = serve::<R>(patient());
    client
        .write_all(&[client_frame(0x81, b"x"), client_frame(0x81, b"panic"), client_frame(0x81, b"y")].concat())
        .unwrap();
    // There is no Close, and nothing is said after it: perhaps not even what was answered before.
    let mut heard = Vec::new();
    let _ = client.read_to_end(&mut heard);
    assert!(b"\x81\x07welcome\x81\x01x".starts_with(&heard), "{heard:?}");
    let panic = server.join().unwrap_err();
    assert_eq!(panic.downcast_ref(), Some(&"on purpose"));
    // The thread that was hit serves on.
    let (mut client, server) = serve::<R>(patient());
    client.write_all(CLOSE).unwrap();
    assert_eq!(read_rest(&mut client), [b"\x81\x07welcome", CLOSED].concat());
    drop(client);
    server.join().unwrap().1.unwrap();
}

fn a_peer_that_never_reads_is_given_up<R: Runner>() {
    struct Echo;
    impl Callbacks for Echo {
        fn on_message(&mut self, message: Message, peer: &mut Peer<'_>) {
            let _ = peer.send(message);
        }
    }
    let (mut client, server) = serve_with::<R, _>(impatient(), Echo, |_| Vec::new());
    let messages = client_frame(0x82, &[7; 1000]).repeat(100);
    while client.write_all(&messages).is_ok() {}
    let result = server.join().unwrap().1;
    assert!(matches!(result, Err(Error::Connection(Failure::KeepaliveTimeout))), "{result:?}");
}

#[test]
fn a_client_runs_the_same_callbacks() {
    let _watchdog = watchdog();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let uri = format!("ws://{}/", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        let mut websocket = blocking::accept(listener.accept().unwrap().0, &patient()).unwrap();
        assert_eq!(websocket.read().unwrap(), Some("welcome".into()));
        websocket.close(CloseCode::NORMAL, "that is all").unwrap();
        websocket.close_info().unwrap().initiator
    });
    let mut log = Log::default();
    blocking::connect(&uri, &patient()).unwrap().run(&mut log).unwrap();
    assert_eq!(log.0, ["open", "close 1000 \"that is all\" clean=true"]);
    assert_eq!(server.join().unwrap(), Some(Initiator::Local));
}
