//! wtx 0.46 (the last one for rustc 1.95).

use super::*;
use crate::memio::drive;
use wtx::{
    collection::Vector,
    rng::{Xorshift64, simple_seed},
    web_socket::{
        Compression, DeflateConfig, Frame, OpCode, WebSocket, WebSocketAcceptor, WebSocketBuffer, WebSocketConnector,
        WebSocketPayloadOrigin,
        compression::{Flate2, NegotiatedFlate2, WindowBits},
    },
};

pub const PEER: Peer = Peer {
    name: "wtx",
    notes: "0.46.1 features web-socket-handshake,optimization,flate2,tokio,crypto-ring; read_frame with PayloadOrigin::Adaptive (payload borrowed from its own buffer), write_frame per message, vectored, no batching; validates UTF-8 with simdutf8; mask loop autovectorised for the compile-time target (its authors count on target-cpu=native); a client masks the caller's own bytes in place, so a copy is made first; deflate: never any context takeover, windows set to 15 (its default is 12)",
    make,
    idle: Some(idle),
};

type Ws<const C: bool> = WebSocket<(), Xorshift64, MemIo, WebSocketBuffer, C>;
type Wz = WebSocket<Option<NegotiatedFlate2>, Xorshift64, MemIo, WebSocketBuffer, false>;

fn open<const C: bool>(io: MemIo) -> Ws<C> {
    let mut ws = WebSocket::new(
        (),
        false,
        Xorshift64::from(simple_seed()),
        io,
        WebSocketBuffer::with_capacity(65536, 0, 0).unwrap(),
    );
    ws.set_max_payload_len(BIG);
    ws
}

fn deflate_config() -> Flate2 {
    Flate2::from(DeflateConfig {
        client_max_window_bits: WindowBits::Fifteen,
        server_max_window_bits: WindowBits::Fifteen,
        ..Default::default()
    })
}

fn open_deflate(io: MemIo) -> Wz {
    let h =
        [httparse::Header { name: "Sec-WebSocket-Extensions", value: b"permessage-deflate; client_max_window_bits" }];
    let nc = <Flate2 as Compression<false>>::negotiate(deflate_config(), h.iter()).unwrap();
    assert!(nc.is_some());
    let mut ws = WebSocket::new(
        nc,
        false,
        Xorshift64::from(simple_seed()),
        io,
        WebSocketBuffer::with_capacity(65536, 0, 0).unwrap(),
    );
    ws.set_max_payload_len(BIG);
    ws
}

macro_rules! recv {
    ($ws:expr, $buf:expr, $app:expr, $n:expr) => {{
        let end = $app.n + $n;
        drive(async {
            while $app.n < end {
                let f = $ws.read_frame($buf, WebSocketPayloadOrigin::Adaptive).await.unwrap();
                match f.op_code() {
                    OpCode::Text => $app.deliver(f.payload(), true),
                    OpCode::Binary => $app.deliver(f.payload(), false),
                    _ => {}
                }
            }
        })
    }};
}

macro_rules! send {
    ($ws:expr, $own:expr, $w:expr) => {{
        let op = if $w.text() { OpCode::Text } else { OpCode::Binary };
        drive(async {
            for p in $own.iter_mut() {
                $ws.write_frame(&mut Frame::new_fin(op, &mut p[..])).await.unwrap();
            }
        })
    }};
}

fn owned(w: &Work) -> Vec<Vec<u8>> {
    w.payloads.iter().map(|p| p.to_vec()).collect()
}

fn make(w: &Arc<Work>) -> Option<Box<dyn Case>> {
    let mut mem = mem_for(w);
    let io = mem.io();
    match w.op {
        Op::RecvServer => {
            case(w, mem, (open::<false>(io), Vector::new()), |(ws, buf), app, w| recv!(ws, buf, app, w.n))
        }
        Op::RecvClient => case(w, mem, (open::<true>(io), Vector::new()), |(ws, buf), app, w| recv!(ws, buf, app, w.n)),
        Op::DeflateRecv => {
            // It never takes the context over, in either direction.
            let mut mem = mem_without_takeover(w);
            let io = mem.io();
            case(w, mem, (open_deflate(io), Vector::new()), |(ws, buf), app, w| recv!(ws, buf, app, w.n))
        }
        Op::SendServer => case(w, mem, (open::<false>(io), owned(w)), |(ws, own), _, w| send!(ws, own, w)),
        Op::DeflateSend => case(w, mem, (open_deflate(io), owned(w)), |(ws, own), _, w| send!(ws, own, w)),
        Op::SendClient => case(w, mem, (open::<true>(io), vec![0u8; w.size]), |(ws, scratch), _, w| {
            let op = if w.text() { OpCode::Text } else { OpCode::Binary };
            drive(async {
                for p in &w.payloads {
                    scratch.copy_from_slice(p);
                    ws.write_frame(&mut Frame::new_fin(op, &mut scratch[..])).await.unwrap();
                }
            })
        }),
        Op::EchoServer => case(w, mem, (open::<false>(io), Vector::new()), |(ws, buf), app, w| {
            let end = app.n + w.n;
            drive(async {
                while app.n < end {
                    // As in its own examples: the parts, then read, then write.
                    let (mut common, mut reader, mut writer) = ws.split_mut();
                    let mut f = reader.read_frame(buf, &mut common, WebSocketPayloadOrigin::Adaptive).await.unwrap();
                    if matches!(f.op_code(), OpCode::Text | OpCode::Binary) {
                        writer.write_frame(&mut common, &mut f).await.unwrap();
                        app.n += 1;
                    }
                }
            })
        }),
        Op::HandshakeServer => case(w, mem, io, |io, _, _| {
            rewind(io);
            let ws = drive(WebSocketAcceptor::default().accept::<MemIo>(io.dup()));
            let ws: Result<_, wtx::Error> = ws;
            std::hint::black_box(&ws.unwrap());
        }),
        Op::HandshakeClient => case(w, mem, io, |io, _, _| {
            rewind(io);
            let uri = wtx::misc::Uri::new("ws://app.example.com/chat/socket?room=42&v=2");
            let ws: Result<_, wtx::Error> =
                drive(WebSocketConnector::default().no_masking(false).connect(io.dup(), &uri.to_ref()));
            std::hint::black_box(&ws.unwrap());
        }),
    }
}

fn idle(io: MemIo, deflate: bool) -> Option<Idle> {
    macro_rules! serve {
        ($a:expr) => {{
            let ws: Result<_, wtx::Error> = $a.accept(io).await;
            let mut ws = ws.unwrap();
            let mut buf = Vector::new();
            loop {
                let (mut common, mut reader, mut writer) = ws.split_mut();
                let mut f = reader.read_frame(&mut buf, &mut common, WebSocketPayloadOrigin::Adaptive).await.unwrap();
                writer.write_frame(&mut common, &mut f).await.unwrap();
            }
        }};
    }
    Some(if deflate {
        Idle::Fut(Box::pin(async move {
            serve!(WebSocketAcceptor::default().no_masking(false).compression(deflate_config()))
        }))
    } else {
        Idle::Fut(Box::pin(async move { serve!(WebSocketAcceptor::default().no_masking(false)) }))
    })
}
