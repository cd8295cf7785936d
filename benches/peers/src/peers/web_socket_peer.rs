//! web-socket 0.7.

use super::*;
use crate::memio::drive;
use tokio::io::BufReader;
use web_socket::{DataType, Event, MessageType, Stream, WebSocket};

pub const PEER: Peer = Peer {
    name: "web-socket",
    notes: "0.7.0 over tokio BufReader(64 KiB) as its docs advise; does NOT validate UTF-8 (the application does, std::str::from_utf8), does not assemble fragments nor answer pings (the application does); byte loop mask; no handshake code; no deflate",
    make,
    idle: None,
};

type Ws = WebSocket<BufReader<MemIo>>;

fn open(io: MemIo, server: bool) -> Ws {
    let io = BufReader::with_capacity(65536, io);
    let mut ws = if server { WebSocket::server(io) } else { WebSocket::client(io) };
    ws.max_payload_len = BIG;
    ws
}

/// The next whole message, valid when text.
#[inline]
async fn next(ws: &mut Ws) -> (Box<[u8]>, bool) {
    let mut parts: Vec<u8> = Vec::new();
    loop {
        let (data, ty) = match ws.recv_event().await.unwrap() {
            Event::Data { ty: DataType::Complete(ty), data } => (data, ty),
            Event::Data { ty: DataType::Stream(s), data } => {
                parts.extend_from_slice(&data);
                match s {
                    Stream::End(ty) => (std::mem::take(&mut parts).into_boxed_slice(), ty),
                    _ => continue,
                }
            }
            Event::Ping(p) => {
                ws.send_pong(p).await.unwrap();
                continue;
            }
            _ => panic!(),
        };
        let text = ty == MessageType::Text;
        if text {
            std::str::from_utf8(&data).unwrap();
        }
        return (data, text);
    }
}

#[inline]
async fn send(ws: &mut Ws, p: &[u8], text: bool) {
    if text {
        // SAFETY: checked by `next`, or made by us.
        ws.send(unsafe { std::str::from_utf8_unchecked(p) }).await.unwrap()
    } else {
        ws.send(p).await.unwrap()
    }
}

fn make(w: &Arc<Work>) -> Option<Box<dyn Case>> {
    let mut mem = mem_for(w);
    let io = mem.io();
    match w.op {
        Op::RecvServer | Op::RecvClient => case(w, mem, open(io, w.op == Op::RecvServer), |ws, app, w| {
            let end = app.n + w.n;
            drive(async {
                while app.n < end {
                    let (p, text) = next(ws).await;
                    app.deliver(&p, text);
                }
            })
        }),
        Op::SendServer | Op::SendClient => case(w, mem, open(io, w.op == Op::SendServer), |ws, _, w| {
            let text = w.text();
            drive(async {
                for p in &w.payloads {
                    send(ws, p, text).await;
                }
            })
        }),
        Op::EchoServer => case(w, mem, open(io, true), |ws, app, w| {
            let end = app.n + w.n;
            drive(async {
                while app.n < end {
                    let (p, text) = next(ws).await;
                    send(ws, &p, text).await;
                    app.n += 1;
                }
            })
        }),
        _ => None,
    }
}
