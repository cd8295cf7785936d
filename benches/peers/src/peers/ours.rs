//! sansock: the crate this harness belongs to, driven as the loop on its front page.

use super::*;
use bytes::BytesMut;
use sansock::{
    Clock, Config, Connection, Delivery, Event, Inbox, Kind, Limit, client,
    deflate::{Agreement, Deflate, Params},
    server,
};
use std::sync::OnceLock;

pub const PEER: Peer = Peer {
    name: "ours",
    notes: "sansock, all features (simd-mask too); `receive` until `None` on an Inbox with reads of 64 KiB (`--read`), `Delivery::InPlace`, events borrowed from it; what is sent is appended to one reused BytesMut and written once per read or burst; a server's payloads from 4 KiB on are written from where they lie, `send_header` and a vectored write at once; a client's from 16 KiB on are masked (`Masker::append`) and written in pieces of that length; limits and keepalive off, so that `poll_timeout` asks for no clock; validates UTF-8 with simdutf8; mask loop compiled for each kind of vectors and chosen at run time from 512 B on; deflate: zlib-rs level 6, windows 15, context takeover both ways; handshake: server::Handshake and Request::accept, client::connect with a seed of the application's generator",
    make,
    idle: Some(idle),
};

/// From so many bytes on a server's payload is written from where it lies.
const BY_REFERENCE: usize = 4096;

/// From so many bytes on a client's payload is masked and written in pieces of so many bytes, which stay in the cache.
pub const PIECE: usize = 16 << 10;

/// Bytes per read of ours and of the floor: 64 KiB, or what `--read` says.
pub fn read_size() -> usize {
    *READ_SIZE.get_or_init(|| 64 << 10)
}
static READ_SIZE: OnceLock<usize> = OnceLock::new();

/// Sets [`read_size`], before anything has asked for it.
pub fn set_read_size(bytes: usize) {
    READ_SIZE.set(bytes).expect("the read size is set once, first");
}

/// A connection and its driver's buffers.
pub struct Ours {
    connection: Connection,
    clock: Clock,
    inbox: Inbox,
    out: BytesMut,
    /// From so many bytes on `send` writes the payload itself.
    long_from: usize,
}

impl Ours {
    /// An open connection (after the handshake) without extensions; limits off.
    pub fn open(server: bool) -> Self {
        let long_from = if server { BY_REFERENCE } else { PIECE };
        Self { long_from, ..Self::over(connection(server)) }
    }

    /// Over a connection whose handshake is done.
    pub fn over(connection: Connection) -> Self {
        Self {
            connection,
            clock: Clock::start(),
            inbox: Inbox::new().read_len(read_size()),
            out: BytesMut::new(),
            long_from: usize::MAX,
        }
    }

    /// The same with permessage-deflate negotiated: context takeover both ways, windows 15, level 6 as the others.
    pub fn open_deflate(server: bool) -> Self {
        let settings = deflate();
        Self::over(connection(server).with_deflate(agreement(&settings), &settings))
    }

    /// Where the next bytes from the peer go.
    #[inline]
    pub fn room(&mut self) -> &mut [u8] {
        self.inbox.room(self.connection.missing())
    }

    /// `n` bytes were put at the front of [`Self::room`].
    #[inline]
    pub fn filled(&mut self, n: usize) {
        self.inbox.filled(n);
    }

    /// All messages of the last read: `see(payload, is_text)`.
    #[inline]
    pub fn messages(&mut self, mut see: impl FnMut(&[u8], bool)) {
        let mut input = self.inbox.input();
        while let Some(event) = self.connection.receive(&mut input, &mut self.out).expect("a valid stream") {
            match event {
                Event::Text(text) => see(text.as_bytes(), true),
                Event::Binary(data) => see(&data, false),
                _ => {}
            }
        }
        let left = input.len();
        self.inbox.keep(left);
        self.tell_time();
    }

    /// All messages of the last read sent straight back; how many. See [`echo`].
    #[inline]
    pub fn echo(&mut self, write: impl FnMut(&[&[u8]])) -> usize {
        let mut input = self.inbox.input();
        let echoed = echo(&mut self.connection, &mut input, &mut self.out, write);
        let left = input.len();
        self.inbox.keep(left);
        self.tell_time();
        echoed
    }

    #[inline]
    fn tell_time(&mut self) {
        if self.connection.poll_timeout().is_some() {
            self.connection.handle_timeout(self.clock.now(), &mut self.out).expect("nothing is due");
        }
    }

    /// Sends a message: a small one is appended to the output, a large one goes to `write`, with what waits.
    #[inline]
    pub fn send(&mut self, payload: &[u8], text: bool, mut write: impl FnMut(&[&[u8]])) {
        let Self { connection, out, long_from, .. } = self;
        if payload.len() >= *long_from {
            let kind = if text { Kind::Text } else { Kind::Binary };
            send_long(connection, out, kind, payload, &mut write);
        } else if text {
            connection.send_text(std::str::from_utf8(payload).expect("text"), out).expect("open");
        } else {
            connection.send_binary(payload, out).expect("open");
        }
    }

    /// What waits to be written. Clear what was.
    #[inline]
    pub fn output(&mut self) -> &mut BytesMut {
        &mut self.out
    }
}

/// A server's echo of all that `input` completes; how many messages. Small ones are appended to `out`, large ones go to
/// `write` from where they lie, behind what waits in `out`. `write` takes all that it is given.
#[inline]
pub fn echo(
    connection: &mut Connection,
    input: &mut &mut [u8],
    out: &mut BytesMut,
    mut write: impl FnMut(&[&[u8]]),
) -> usize {
    let mut echoed = 0;
    while let Some(event) = connection.receive(input, out).expect("a valid stream") {
        match &event {
            Event::Text(text) if text.len() < BY_REFERENCE => connection.send_text(text, out).expect("open"),
            Event::Text(text) => send_long(connection, out, Kind::Text, text.as_bytes(), &mut write),
            Event::Binary(data) if data.len() < BY_REFERENCE => connection.send_binary(data, out).expect("open"),
            Event::Binary(data) => send_long(connection, out, Kind::Binary, data, &mut write),
            _ => continue,
        }
        echoed += 1;
    }
    echoed
}

/// A long message. A server's payload is not copied: what waits in `out`, the header, the payload in one write. A client's
/// is masked piece by piece on its way.
#[inline]
fn send_long(
    connection: &mut Connection,
    out: &mut BytesMut,
    kind: Kind,
    payload: &[u8],
    write: &mut impl FnMut(&[&[u8]]),
) {
    let (head, mut masker) = connection.send_header(kind, payload.len() as u64, true).expect("open");
    if masker.is_identity() {
        write(&[out, &head, payload]);
        return out.clear();
    }
    out.extend_from_slice(&head);
    for piece in payload.chunks(PIECE) {
        masker.append(piece, out);
        write(&[out]);
        out.clear();
    }
}

pub fn config() -> Config {
    Config::default()
        .max_message_len(Limit::Unlimited)
        .max_fragments(Limit::Unlimited)
        .keepalive(None)
        .delivery(Delivery::InPlace)
}

fn connection(server: bool) -> Connection {
    if server {
        Connection::server(&config())
    } else {
        Connection::client(&config(), sansock::seed().expect("entropy"))
    }
}

fn deflate() -> Deflate {
    Deflate::default().level(6).expect("in range")
}

/// What both sides agree on when nobody asks for anything.
fn agreement(settings: &Deflate) -> Agreement {
    settings.answer(&Params::default()).expect("a plain offer").1
}

/// A server's opening handshake: `request` is the whole of it, the 101 goes to `out`.
pub fn accept(config: &Config, mut request: &mut [u8], out: &mut BytesMut) -> Connection {
    let mut handshake = server::Handshake::new(config);
    let request = handshake.receive(&mut request, out).expect("valid").expect("whole");
    request.accept(&server::Response::new(), out).expect("an upgrade")
}

/// Handshake, echo of the one message, then what a program keeps while idle: the connection. The buffers to read into
/// and to write from belong to the loop, which lends them, as an event loop does.
fn idle(mut io: MemIo, compressed: bool) -> Option<Idle> {
    let config = if compressed { config().deflate(deflate()) } else { config() };
    let mut read = vec![0; 4096];
    let n = io.get(&mut read)?;
    let mut out = BytesMut::new();
    let mut connection = accept(&config, &mut read[..n], &mut out);
    io.put(&out);
    out.clear();
    let n = io.get(&mut read)?;
    echo(&mut connection, &mut &mut read[..n], &mut out, |_| {});
    io.put(&out);
    Some(Idle::Obj(Box::new(connection)))
}

#[inline]
fn fill(io: &mut MemIo, core: &mut Ours) {
    let n = io.get(core.room()).expect("the transport is always ready");
    core.filled(n);
}

#[inline]
fn flush(io: &mut MemIo, core: &mut Ours) {
    let out = core.output();
    if !out.is_empty() {
        io.put(out);
        out.clear();
    }
}

fn make(w: &Arc<Work>) -> Option<Box<dyn Case>> {
    let mut mem = mem_for(w);
    let io = mem.io();
    let server = !matches!(w.op, Op::RecvClient | Op::SendClient);
    let core =
        if matches!(w.op, Op::DeflateRecv | Op::DeflateSend) { Ours::open_deflate(server) } else { Ours::open(server) };
    match w.op {
        Op::RecvServer | Op::RecvClient | Op::DeflateRecv => case(w, mem, (io, core), |(io, core), app, w| {
            let end = app.n + w.n;
            while app.n < end {
                fill(io, core);
                core.messages(|payload, text| app.deliver(payload, text));
                flush(io, core);
            }
        }),
        Op::EchoServer => case(w, mem, (io, core), |(io, core), app, w| {
            let end = app.n + w.n;
            while app.n < end {
                fill(io, core);
                app.n += core.echo(|parts| {
                    io.put_vectored(parts.iter().copied());
                });
                flush(io, core);
            }
        }),
        Op::SendServer | Op::SendClient | Op::DeflateSend => case(w, mem, (io, core), |(io, core), _, w| {
            let text = w.text();
            for burst in w.payloads.chunks(w.burst) {
                for payload in burst {
                    core.send(payload, text, |parts| {
                        io.put_vectored(parts.iter().copied());
                    });
                }
                flush(io, core);
            }
        }),
        Op::HandshakeServer => {
            let s = (io, vec![0; 4096], BytesMut::new(), config());
            case(w, mem, s, |(io, read, out, config), _, _| {
                rewind(io);
                let n = io.get(read).expect("the request");
                std::hint::black_box(accept(config, &mut read[..n], out));
                io.put(out);
                out.clear();
            })
        }
        Op::HandshakeClient => {
            let s = (io, vec![0; 1024], BytesMut::new(), config(), 7_u64);
            case(w, mem, s, |(io, read, out, config, seed), _, _| {
                rewind(io);
                let mut random = [0; 32];
                for bytes in random.as_chunks_mut::<8>().0 {
                    *seed = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(12345);
                    *bytes = seed.to_le_bytes();
                }
                let request = client::Request::new("app.example.com", "/chat/socket?room=42&v=2");
                let mut handshake = client::connect(&request, config, random, out).expect("a valid request");
                io.put(out);
                out.clear();
                let n = io.get(read).expect("the answer");
                let connected = handshake.receive(&mut &mut read[..n]).expect("a 101");
                assert!(std::hint::black_box(connected).is_some());
            })
        }
    }
}
