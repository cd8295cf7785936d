//! The hot paths, to be counted under callgrind by `benches/instructions.sh`.
//!
//! `instructions` lists them; `instructions PATH N` goes over one for N messages. What N and 2N messages take differs
//! by N times the path, whatever the start of the program takes.

use std::{env, hint::black_box};

use bytes::{Buf, BytesMut};
use sansock::{
    Buffers, Config, Connection, Driver, Event, Inbox, Kind, Limit, Outbox, Step, Timestamp, client,
    deflate::{Deflate, Params},
    frame::{Header, Opcode, mask},
    server,
};

/// Unmasked twice, ASCII is the same again: the same bytes can be received for ever.
const KEY: [u8; 4] = [0x37, 0x7A, 0x21, 0x3D];

/// What is received at once, where a path is not about one message alone.
const BATCH: usize = 16;

/// Goes over the path once; how many messages that were.
type Run = Box<dyn FnMut() -> usize>;
type Path = (&'static str, fn() -> Run);

const PATHS: &[Path] = &[
    ("receive-server/binary/16B", || receive(true, Kind::Binary, 16)),
    ("receive-server/binary/16B-alone", || receive_batch(1, true, Kind::Binary, &payload(16))),
    ("receive-server/binary/125B", || receive(true, Kind::Binary, 125)),
    ("receive-server/binary/1KiB", || receive(true, Kind::Binary, 1 << 10)),
    ("receive-server/binary/16KiB", || receive(true, Kind::Binary, 16 << 10)),
    ("receive-server/text/16B", || receive(true, Kind::Text, 16)),
    ("receive-server/text/125B", || receive(true, Kind::Text, 125)),
    ("receive-server/text/1KiB", || receive(true, Kind::Text, 1 << 10)),
    ("receive-server/text/16KiB", || receive(true, Kind::Text, 16 << 10)),
    ("receive-client/binary/16B", || receive(false, Kind::Binary, 16)),
    ("receive-client/binary/1KiB", || receive(false, Kind::Binary, 1 << 10)),
    ("receive-client/text/16B", || receive(false, Kind::Text, 16)),
    ("receive-client/text/1KiB", || receive(false, Kind::Text, 1 << 10)),
    ("receive-client/utf8/1KiB", || receive_batch(BATCH, false, Kind::Text, ("é€😀a".repeat(102) + "four").as_bytes())),
    ("receive-server/two-reads/16KiB", || receive_cut(16 << 10, 2)),
    ("receive-server/fragments/16x1KiB+ping", fragments),
    ("send-server/binary/16B", || send(true, 16)),
    ("send-server/binary/125B", || send(true, 125)),
    ("send-server/binary/1KiB", || send(true, 1 << 10)),
    ("send-server/header/16KiB", send_header),
    ("send-client/binary/16B", || send(false, 16)),
    ("send-client/binary/125B", || send(false, 125)),
    ("send-client/binary/1KiB", || send(false, 1 << 10)),
    ("send-client/binary/16KiB", || send(false, 16 << 10)),
    ("echo-server/binary/16B", || echo(Kind::Binary, 16)),
    ("echo-server/text/125B", || echo(Kind::Text, 125)),
    ("echo-server/text/1KiB", || echo(Kind::Text, 1 << 10)),
    ("loop-by-hand/echo/16B", || by_hand(16)),
    ("loop-by-hand/echo/1KiB", || by_hand(1 << 10)),
    ("driver/echo/16B", || by_driver(16, false)),
    ("driver/echo/1KiB", || by_driver(1 << 10, false)),
    ("driver-with-buffers/echo/16B", || by_driver(16, true)),
    ("mask/16B", || masking(16)),
    ("mask/1KiB", || masking(1 << 10)),
    ("mask/16KiB", || masking(16 << 10)),
    ("deflate-send/text/1KiB", deflate_send),
    ("deflate-receive/text/1KiB", deflate_receive),
    ("handshake-server", handshake_server),
    ("handshake-client", handshake_client),
];

fn main() {
    let mut args = env::args().skip(1);
    let Some(name) = args.next() else {
        for (name, _) in PATHS {
            println!("{name}");
        }
        return;
    };
    let messages: usize = args.next().and_then(|n| n.parse().ok()).expect("how many messages");
    let (_, make) = PATHS.iter().find(|(path, _)| *path == name).expect("a path of the list");
    let mut run = make();
    let mut done = 0;
    while done < messages {
        done += run();
    }
}

fn connection(server: bool) -> Connection {
    let config = Config::default().max_message_len(Limit::Unlimited);
    if server { Connection::server(&config) } else { Connection::client(&config, [7; 32]) }
}

/// ASCII that no compressor finds too simple.
fn payload(len: usize) -> Vec<u8> {
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let mut words = (0..).flat_map(|i| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        format!("{{\"id\":{},\"price\":{},\"ok\":{}}},", i, state % 1000, state & 1 == 0).into_bytes()
    });
    words.by_ref().take(len).collect()
}

fn append(wire: &mut Vec<u8>, fin: bool, rsv: u8, opcode: Opcode, masked: bool, payload: &[u8]) {
    let mask = masked.then_some(KEY);
    wire.extend_from_slice(&Header { fin, rsv, opcode, mask, len: payload.len() as u64 }.encode());
    let start = wire.len();
    wire.extend_from_slice(payload);
    if masked {
        mask::apply(KEY, 0, &mut wire[start..]);
    }
}

/// Receives all of `input`; how many messages.
fn drain(connection: &mut Connection, mut input: &mut [u8], out: &mut BytesMut) -> usize {
    let mut messages = 0;
    while let Some(event) = connection.receive(&mut input, out).expect("valid") {
        match black_box(event) {
            Event::Text(_) | Event::Binary(_) => messages += 1,
            _ => {}
        }
    }
    messages
}

fn receive(server: bool, kind: Kind, len: usize) -> Run {
    receive_batch(BATCH, server, kind, &payload(len))
}

fn receive_batch(batch: usize, server: bool, kind: Kind, payload: &[u8]) -> Run {
    let (mut connection, mut wire, mut out) = (connection(server), Vec::new(), BytesMut::new());
    for _ in 0..batch {
        append(&mut wire, true, 0, Opcode::of(kind), server, payload);
    }
    Box::new(move || drain(&mut connection, &mut wire, &mut out))
}

/// One message in so many reads.
fn receive_cut(len: usize, reads: usize) -> Run {
    let (mut connection, mut wire, mut out) = (connection(true), Vec::new(), BytesMut::new());
    append(&mut wire, true, 0, Opcode::Binary, true, &payload(len));
    let read = wire.len().div_ceil(reads);
    Box::new(move || wire.chunks_mut(read).map(|read| drain(&mut connection, read, &mut out)).sum())
}

fn fragments() -> Run {
    let (mut connection, mut wire, mut out) = (connection(true), Vec::new(), BytesMut::new());
    for i in 0..16 {
        let opcode = if i == 0 { Opcode::Binary } else { Opcode::Continuation };
        append(&mut wire, i == 15, 0, opcode, true, &payload(1 << 10));
        if i == 7 {
            append(&mut wire, true, 0, Opcode::Ping, true, b"ping");
        }
    }
    Box::new(move || {
        out.clear();
        drain(&mut connection, &mut wire, &mut out)
    })
}

fn send(server: bool, len: usize) -> Run {
    let (mut connection, payload, mut out) = (connection(server), payload(len), BytesMut::new());
    Box::new(move || {
        connection.send_binary(&payload, &mut out).expect("open");
        black_box(&mut out).clear();
        1
    })
}

fn send_header() -> Run {
    let mut connection = connection(true);
    Box::new(move || {
        drop(black_box(connection.send_header(Kind::Binary, 16 << 10, true).expect("open")));
        1
    })
}

fn echo(kind: Kind, len: usize) -> Run {
    let (mut connection, mut wire, mut out) = (connection(true), Vec::new(), BytesMut::new());
    for _ in 0..BATCH {
        append(&mut wire, true, 0, Opcode::of(kind), true, &payload(len));
    }
    Box::new(move || {
        let (mut input, mut echoed) = (&mut wire[..], 0);
        while let Some(event) = connection.receive(&mut input, &mut out).expect("valid") {
            match event {
                Event::Text(text) => connection.send_text(&text, &mut out).expect("open"),
                Event::Binary(data) => connection.send_binary(&data, &mut out).expect("open"),
                _ => {}
            }
            echoed += 1;
        }
        black_box(&mut out).clear();
        echoed
    })
}

fn answer(event: &Event<'_>, connection: &mut Connection, out: &mut BytesMut) {
    if let Event::Binary(data) = event {
        connection.send_binary(data, out).expect("open");
    }
}

/// The loop that a program would write without a driver: one message in each read.
fn by_hand(len: usize) -> Run {
    let (mut connection, mut inbox, mut out) = (connection(true), Inbox::new().read_len(128 << 10), Outbox::new());
    let mut wire = Vec::new();
    append(&mut wire, true, 0, Opcode::Binary, true, &payload(len));
    Box::new(move || {
        inbox.room(connection.missing())[..wire.len()].copy_from_slice(&wire);
        inbox.filled(wire.len());
        let mut input = inbox.input();
        while let Some(event) = connection.receive(&mut input, out.tail()).expect("valid") {
            answer(&event, &mut connection, out.tail());
        }
        let rest = input.len();
        inbox.keep(rest);
        while connection.poll_timeout().is_some_and(|deadline| deadline <= Timestamp::ZERO) {
            connection.handle_timeout(Timestamp::ZERO, out.tail()).expect("in time");
        }
        let len = black_box(out.chunk()).len();
        out.advance(len);
        black_box(connection.transport());
        1
    })
}

fn by_driver(len: usize, shared: bool) -> Run {
    let mut driver = Driver::new(connection(true)).read_len(128 << 10).unbuffered();
    let (mut wire, mut buffers) = (Vec::new(), Buffers::new());
    append(&mut wire, true, 0, Opcode::Binary, true, &payload(len));
    Box::new(move || {
        if shared {
            driver.attach(&mut buffers);
        }
        driver.readable(false);
        loop {
            match driver.step(|| Timestamp::ZERO) {
                Step::Deliver => {
                    driver.deliver(|event, connection, out| {
                        answer(&event, connection, out);
                        None::<()>
                    });
                }
                Step::Read => {
                    driver.room()[..wire.len()].copy_from_slice(&wire);
                    driver.received(wire.len());
                }
                Step::Write => {
                    let len = black_box(driver.output().chunk()).len();
                    driver.written(len);
                }
                Step::Flush => driver.flushed(),
                Step::Shutdown => driver.shut_down(),
                Step::Wait(_) | Step::Yield | Step::Done => break,
            }
        }
        if shared {
            driver.detach(&mut buffers);
        }
        1
    })
}

fn masking(len: usize) -> Run {
    let mut data = payload(len);
    Box::new(move || {
        mask::apply(KEY, 0, black_box(&mut data));
        1
    })
}

fn compressing(server: bool) -> Connection {
    let settings = Deflate::default();
    let (_, agreement) = settings.answer(&Params::default()).expect("a plain offer");
    connection(server).with_deflate(agreement, &settings)
}

fn deflate_send() -> Run {
    let (mut connection, payload, mut out) = (compressing(true), payload(1 << 10), BytesMut::new());
    let text = String::from_utf8(payload).expect("ASCII");
    Box::new(move || {
        connection.send_text(&text, &mut out).expect("open");
        black_box(&mut out).clear();
        1
    })
}

/// A message that needs no window but its own can come again and again.
fn deflate_receive() -> Run {
    let text = String::from_utf8(payload(1 << 10)).expect("ASCII");
    let mut wire = BytesMut::new();
    compressing(true).send_text(&text, &mut wire).expect("open");
    let (mut connection, mut out) = (compressing(false), BytesMut::new());
    Box::new(move || drain(&mut connection, &mut wire, &mut out))
}

const REQUEST: &[u8] = b"GET /chat HTTP/1.1\r\nHost: app.example.com\r\nConnection: Upgrade\r\nPragma: no-cache\r\n\
    Cache-Control: no-cache\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) Chrome/131.0.0.0 Safari/537.36\r\n\
    Upgrade: websocket\r\nOrigin: https://app.example.com\r\nSec-WebSocket-Version: 13\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-GB,en-US;q=0.9,en;q=0.8\r\n\
    Cookie: session=6f1d0a2be34c4d4f9c4f8a1b2c3d4e5f; theme=dark\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n";

fn handshake_server() -> Run {
    let (config, mut read, mut out) = (Config::default(), REQUEST.to_vec(), BytesMut::new());
    Box::new(move || {
        let mut handshake = server::Handshake::new(&config);
        let request = handshake.receive(&mut &mut read[..], &mut out).expect("valid").expect("whole");
        black_box(request.accept(&server::Response::new(), &mut out).expect("an upgrade"));
        black_box(&mut out).clear();
        1
    })
}

fn handshake_client() -> Run {
    let (config, mut out) = (Config::default(), BytesMut::new());
    let request = client::Request::new("app.example.com", "/chat");
    // The same seed, hence the same key and the same answer.
    let key = client::connect(&request, &config, [7; 32], &mut out).expect("valid").key().to_owned();
    out.clear();
    let mut answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nServer: nginx\r\n\
         Sec-WebSocket-Accept: {}\r\n\r\n",
        sansock::handshake::accept_key(&key)
    )
    .into_bytes();
    Box::new(move || {
        let mut handshake = client::connect(&request, &config, [7; 32], &mut out).expect("valid");
        black_box(handshake.receive(&mut &mut answer[..]).expect("a 101").expect("whole"));
        black_box(&mut out).clear();
        1
    })
}
