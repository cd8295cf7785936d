//! What the feature `tracing` tells of a connection, event by event; the same by all adapters.

use std::{
    fmt::{self, Write as _},
    io::Write,
    sync::{Arc, Mutex},
    thread::JoinHandle,
};

use sansock::{
    CloseCode, Message,
    adapter::{Error, poll},
};
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

use crate::support::*;

/// Keeps each event as a line: its level, its message, its fields.
#[derive(Clone, Default)]
struct Capture(Arc<Mutex<Vec<String>>>);

impl Capture {
    fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl Subscriber for Capture {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "sansock"
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(event.metadata().level().to_string());
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => write!(self.0, " {value:?}:").unwrap(),
            name => write!(self.0, " {name}={value:?}").unwrap(),
        }
    }
}

/// A connection that can be asked for.
pub(crate) trait Traced: WebSocket {
    fn trace(self, id: u64) -> Self;
}

impl<I: poll::Io> Traced for poll::WebSocket<I> {
    fn trace(self, id: u64) -> Self {
        self.trace(id)
    }
}

suite! {
    frames_are_told_by_their_headers
    headers_are_found_however_the_bytes_are_cut
    what_the_peer_did_wrong_is_a_warning
    a_lost_connection_is_none
    a_sender_that_gives_up_tells_why
    a_connection_that_is_dropped_is_told
    nothing_is_told_of_whom_nobody_asks
}

/// A server that echoes under an id, and tells.
fn echoing<A: Adapter<WebSocket: Traced>>(
    config: sansock::Config,
) -> (Capture, std::net::TcpStream, JoinHandle<Result<sansock::CloseInfo, Error>>) {
    let capture = Capture::default();
    let subscriber = capture.clone();
    let (address, server) = serve::<A, _>(config, async move |accepted| {
        let _told = tracing::subscriber::set_default(subscriber);
        echo(accepted.map(|websocket: A::WebSocket| websocket.trace(7))).await
    });
    (capture, raw_client(address), server)
}

const OPENED: &str = "DEBUG opened: id=7 state=Open deflate=false";

fn frames_are_told_by_their_headers<A: Adapter<WebSocket: Traced>>() {
    let (capture, mut stream, server) = echoing::<A>(patient());
    // Each answer is waited for, so that the order is known.
    stream.write_all(&client_frame(0x81, b"secret")).unwrap();
    assert_eq!(read_bytes(&mut stream), *b"\x81\x06secret");
    stream.write_all(&client_frame(0x89, b"there?")).unwrap();
    assert_eq!(read_bytes(&mut stream), *b"\x8a\x06there?");
    stream.write_all(&client_frame(0x82, &vec![0x81; 70_000])).unwrap();
    read_bytes::<70_010>(&mut stream);
    stream.write_all(CLOSE).unwrap();
    assert_eq!(read_rest(&mut stream), CLOSED);
    drop(stream);
    assert!(server.join().unwrap().unwrap().clean);
    assert_eq!(
        capture.lines(),
        [
            OPENED,
            "TRACE received: id=7 opcode=Text fin=true rsv=0 len=6",
            "TRACE sent: id=7 opcode=Text fin=true rsv=0 len=6",
            "TRACE received: id=7 opcode=Ping fin=true rsv=0 len=6",
            "TRACE sent: id=7 opcode=Pong fin=true rsv=0 len=6",
            "TRACE received: id=7 opcode=Binary fin=true rsv=0 len=70000",
            "TRACE sent: id=7 opcode=Binary fin=true rsv=0 len=70000",
            "TRACE received: id=7 opcode=Close fin=true rsv=0 len=2",
            "TRACE sent: id=7 opcode=Close fin=true rsv=0 len=2",
            r#"DEBUG closed: id=7 code=1000 reason="" by=Some(Peer) clean=true"#,
        ]
    );
}

fn headers_are_found_however_the_bytes_are_cut<A: Adapter<WebSocket: Traced>>() {
    let (capture, mut stream, server) = echoing::<A>(patient());
    let frames =
        [client_frame(0x01, b""), client_frame(0x00, &[b'x'; 300]), client_frame(0x80, b"!"), CLOSE.to_vec()].concat();
    stream.set_nodelay(true).unwrap();
    for piece in frames.chunks(3) {
        stream.write_all(piece).unwrap();
        std::thread::sleep(millis(1));
    }
    read_rest(&mut stream);
    drop(stream);
    assert!(server.join().unwrap().unwrap().clean);
    let received: Vec<_> = capture.lines().into_iter().filter(|line| line.contains("received")).collect();
    assert_eq!(
        received,
        [
            "TRACE received: id=7 opcode=Text fin=false rsv=0 len=0",
            "TRACE received: id=7 opcode=Continuation fin=false rsv=0 len=300",
            "TRACE received: id=7 opcode=Continuation fin=true rsv=0 len=1",
            "TRACE received: id=7 opcode=Close fin=true rsv=0 len=2",
        ]
    );
}

fn what_the_peer_did_wrong_is_a_warning<A: Adapter<WebSocket: Traced>>() {
    let (capture, mut stream, server) = echoing::<A>(patient());
    // A reserved opcode: from there on nothing is a frame.
    stream.write_all(&[client_frame(0x83, b""), client_frame(0x81, b"never")].concat()).unwrap();
    read_rest(&mut stream);
    drop(stream);
    server.join().unwrap().unwrap_err();
    let lines = capture.lines();
    assert_eq!(lines[0], OPENED);
    assert!(lines[1].starts_with("TRACE sent: id=7 opcode=Close fin=true rsv=0 len="), "{lines:?}");
    assert_eq!(
        lines[2..],
        [
            "WARN failed: id=7 cause=reserved opcode",
            r#"DEBUG closed: id=7 code=1006 reason="" by=Some(Local) clean=false"#,
        ]
    );
}

fn a_lost_connection_is_none<A: Adapter<WebSocket: Traced>>() {
    let (capture, stream, server) = echoing::<A>(impatient());
    server.join().unwrap().unwrap_err();
    drop(stream);
    assert_eq!(
        capture.lines(),
        [
            OPENED,
            "TRACE sent: id=7 opcode=Ping fin=true rsv=0 len=4",
            "TRACE sent: id=7 opcode=Close fin=true rsv=0 len=19",
            "DEBUG lost: id=7 cause=keepalive timeout",
            r#"DEBUG closed: id=7 code=1006 reason="" by=Some(Local) clean=false"#,
        ]
    );
}

fn a_sender_that_gives_up_tells_why<A: Adapter<WebSocket: Traced>>() {
    let capture = Capture::default();
    let subscriber = capture.clone();
    let (address, server) = serve::<A, _>(impatient(), async move |accepted: Result<A::WebSocket, Error>| {
        let _told = tracing::subscriber::set_default(subscriber);
        accepted.unwrap().trace(7).send(vec![7; 64 << 20].into()).await.unwrap_err();
    });
    let stream = raw_client(address);
    server.join().unwrap();
    drop(stream);
    let lines = capture.lines();
    assert_eq!(lines[..2], [OPENED, "TRACE sent: id=7 opcode=Binary fin=true rsv=0 len=67108864"]);
    assert_eq!(lines[2], "DEBUG lost: id=7 cause=keepalive timeout");
    assert!(lines.len() == 4 && lines[3].starts_with("DEBUG closed: "), "{lines:?}");
}

fn a_connection_that_is_dropped_is_told<A: Adapter<WebSocket: Traced>>() {
    let capture = Capture::default();
    let subscriber = capture.clone();
    let (address, server) = serve::<A, _>(patient(), async move |accepted: Result<A::WebSocket, Error>| {
        let _told = tracing::subscriber::set_default(subscriber);
        drop(accepted.unwrap().trace(7));
    });
    drop(raw_client(address));
    server.join().unwrap();
    assert_eq!(capture.lines(), [OPENED, "DEBUG dropped: id=7"]);
}

fn nothing_is_told_of_whom_nobody_asks<A: Adapter<WebSocket: Traced>>() {
    let capture = Capture::default();
    let subscriber = capture.clone();
    let (address, server) = serve::<A, _>(patient(), async move |accepted: Result<A::WebSocket, Error>| {
        let _told = tracing::subscriber::set_default(subscriber);
        echo(accepted).await
    });
    let client = A::run(async move || {
        let mut client = connect::<A>(address, &patient()).await;
        client.send(Message::from("hello")).await.unwrap();
        client.recv().await.unwrap();
        client.close(CloseCode::NORMAL, "").await.unwrap();
    });
    client.join().unwrap();
    server.join().unwrap().unwrap();
    assert!(capture.lines().is_empty(), "{:?}", capture.lines());
}
