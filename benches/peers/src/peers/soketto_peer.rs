//! soketto 0.8.

use super::*;
use crate::memio::drive;
use futures::io::{BufReader, BufWriter};
#[cfg(feature = "soketto-deflate")]
use soketto::extension::{Extension, Param, deflate::Deflate};
use soketto::{
    Data,
    connection::{Builder, Mode, Receiver, Sender},
    handshake,
};

pub const PEER: Peer = Peer {
    name: "soketto",
    notes: "0.8.1; BufReader(BufWriter(io)) as in its examples, 64 KiB each (8/16 KiB for the memory figures); receive_data into a reused Vec, send + flush per burst; does NOT validate UTF-8 (the application does, std::str::from_utf8); byte loop mask; deflate (feature soketto-deflate of this harness, which puts C zlib under every peer) only with no_context_takeover, Compression::fast",
    make,
    idle: Some(idle),
};

type Io = BufReader<BufWriter<MemIo>>;
type Ws = (Sender<Io>, Receiver<Io>);

fn open(io: MemIo, mode: Mode, deflate: bool) -> Ws {
    let io = BufReader::with_capacity(65536, BufWriter::with_capacity(65536, io));
    let mut b = Builder::new(io, mode);
    b.set_max_message_size(BIG);
    b.set_max_frame_size(BIG);
    assert!(cfg!(feature = "soketto-deflate") || !deflate);
    #[cfg(feature = "soketto-deflate")]
    if deflate {
        let mut d = Deflate::new(mode);
        d.configure(&[Param::new("server_no_context_takeover"), Param::new("client_no_context_takeover")]).unwrap();
        assert!(d.is_enabled());
        b.add_extensions([Box::new(d) as Box<dyn Extension + Send>]);
    }
    b.finish()
}

async fn recv(rx: &mut Receiver<Io>, buf: &mut Vec<u8>, app: &mut App, n: usize) {
    let end = app.n + n;
    while app.n < end {
        buf.clear();
        match rx.receive_data(buf).await.unwrap() {
            Data::Text(_) => app.deliver(std::str::from_utf8(buf).unwrap().as_bytes(), true),
            Data::Binary(_) => app.deliver(buf, false),
        }
    }
}

async fn send(tx: &mut Sender<Io>, w: &Work) {
    let text = w.text();
    for burst in w.payloads.chunks(w.burst) {
        for p in burst {
            if text {
                // SAFETY: made by us.
                tx.send_text(unsafe { std::str::from_utf8_unchecked(p) }).await.unwrap();
            } else {
                tx.send_binary(&p[..]).await.unwrap();
            }
        }
        tx.flush().await.unwrap();
    }
}

fn make(w: &Arc<Work>) -> Option<Box<dyn Case>> {
    if matches!(w.op, Op::DeflateRecv | Op::DeflateSend) && !cfg!(feature = "soketto-deflate") {
        return None;
    }
    let mut mem = mem_for(w);
    let io = mem.io();
    let mode = match w.op {
        Op::RecvClient | Op::SendClient => Mode::Client,
        _ => Mode::Server,
    };
    match w.op {
        Op::RecvServer | Op::RecvClient | Op::DeflateRecv => {
            if w.op == Op::DeflateRecv {
                // It cannot do context takeover; the same payloads compressed without.
                let mut mem = mem_without_takeover(w);
                let io = mem.io();
                let s = (open(io, mode, true), Vec::new());
                return case(w, mem, s, |((_tx, rx), buf), app, w| drive(recv(rx, buf, app, w.n)));
            }
            let s = (open(io, mode, false), Vec::new());
            case(w, mem, s, |((_tx, rx), buf), app, w| drive(recv(rx, buf, app, w.n)))
        }
        Op::SendServer | Op::SendClient | Op::DeflateSend => {
            case(w, mem, open(io, mode, w.op == Op::DeflateSend), |(tx, _), _, w| drive(send(tx, w)))
        }
        Op::EchoServer => {
            let s = (open(io, mode, false), Vec::new());
            case(w, mem, s, |((tx, rx), buf), app, w| {
                drive(async {
                    for i in 1..=w.n {
                        buf.clear();
                        match rx.receive_data(buf).await.unwrap() {
                            Data::Text(_) => tx.send_text(std::str::from_utf8(buf).unwrap()).await.unwrap(),
                            Data::Binary(_) => tx.send_binary_mut(&mut *buf).await.unwrap(),
                        }
                        app.n += 1;
                        if i % w.burst == 0 || i == w.n {
                            tx.flush().await.unwrap();
                        }
                    }
                })
            })
        }
        Op::HandshakeServer => case(w, mem, io, |io, _, _| {
            rewind(io);
            let ws = drive(accept(BufReader::new(BufWriter::new(io.dup())), false));
            std::hint::black_box(&ws);
        }),
        Op::HandshakeClient => case(w, mem, io, |io, _, _| {
            rewind(io);
            let ws = drive(async {
                let s = BufReader::new(BufWriter::new(io.dup()));
                let mut c = handshake::Client::new(s, "app.example.com", "/chat/socket?room=42&v=2");
                match c.handshake().await.unwrap() {
                    handshake::ServerResponse::Accepted { .. } => {}
                    _ => panic!(),
                }
                c.into_builder().finish()
            });
            std::hint::black_box(&ws);
        }),
    }
}

async fn accept(s: Io, deflate: bool) -> Ws {
    let mut server = handshake::Server::new(s);
    assert!(cfg!(feature = "soketto-deflate") || !deflate);
    #[cfg(feature = "soketto-deflate")]
    if deflate {
        server.add_extension(Box::new(Deflate::new(Mode::Server)));
    }
    let key = server.receive_request().await.unwrap().key();
    let accept = handshake::server::Response::Accept { key, protocol: None };
    server.send_response(&accept).await.unwrap();
    server.into_builder().finish()
}

fn idle(io: MemIo, deflate: bool) -> Option<Idle> {
    if deflate && !cfg!(feature = "soketto-deflate") {
        return None;
    }
    Some(Idle::Fut(Box::pin(async move {
        let s = BufReader::with_capacity(8 * 1024, BufWriter::with_capacity(16 * 1024, io));
        let (mut tx, mut rx) = accept(s, deflate).await;
        let mut buf = Vec::new();
        loop {
            buf.clear();
            rx.receive_data(&mut buf).await.unwrap();
            tx.send_text(std::str::from_utf8(&buf).unwrap()).await.unwrap();
            tx.flush().await.unwrap();
        }
    })))
}
