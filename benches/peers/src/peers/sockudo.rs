//! sockudo-ws 3.1: its sans-IO core (`protocol::Protocol`) and its Tokio stream.

use super::*;
use crate::memio::drive;
use bytes::{BufMut, BytesMut};
use futures_util::{SinkExt, StreamExt};
use sockudo_ws::{
    Config, DeflateConfig, Message, Role, WebSocketStream,
    protocol::{CompressedProtocol, Protocol},
};

pub const CORE: Peer = Peer {
    name: "sockudo-ws core",
    notes: "3.1.0 default features; Protocol::process_into on a BytesMut filled 64 KiB at a time, encode_message into a BytesMut written once per burst; validates UTF-8 with simdutf8; mask AVX512/AVX2/SSE2 by runtime detection; deflate: CompressedProtocol, zlib-rs level 6; handshake: handshake::{parse_request, generate_accept_key, build_response}; pings answered by the caller with encode_pong",
    make: make_core,
    idle: Some(idle_core),
};
pub const STREAM: Peer = Peer {
    name: "sockudo-ws stream",
    notes: "3.1.0 WebSocketStream over AsyncRead+AsyncWrite: next, feed, flush per burst; default Config but 256 MiB limits",
    make: make_stream,
    idle: Some(idle_stream),
};

/// As its own stream does: room for 64 KiB, then one read.
#[inline]
fn fill(io: &mut MemIo, buf: &mut BytesMut) {
    if buf.capacity() - buf.len() < 4096 {
        buf.reserve(65536);
    }
    // SAFETY: get_raw writes what it reports.
    unsafe {
        let room = buf.chunk_mut();
        let n = io.get_raw(room.as_mut_ptr(), room.len()).unwrap();
        buf.advance_mut(n);
    }
}

fn msg(p: &bytes::Bytes, text: bool) -> Message {
    if text { Message::Text(p.clone()) } else { Message::Binary(p.clone()) }
}

fn make_core(w: &Arc<Work>) -> Option<Box<dyn Case>> {
    let mut mem = mem_for(w);
    let io = mem.io();
    let role = match w.op {
        Op::RecvClient | Op::SendClient | Op::HandshakeClient => Role::Client,
        _ => Role::Server,
    };
    match w.op {
        Op::RecvServer | Op::RecvClient => {
            let s = (io, Protocol::new(role, BIG, BIG), BytesMut::with_capacity(65536), Vec::new(), BytesMut::new());
            case(w, mem, s, |(io, p, buf, ms, out), app, w| {
                let end = app.n + w.n;
                while app.n < end {
                    fill(io, buf);
                    p.process_into(buf, ms).unwrap();
                    for m in ms.drain(..) {
                        match m {
                            Message::Text(b) => app.deliver(&b, true),
                            Message::Binary(b) => app.deliver(&b, false),
                            Message::Ping(b) => {
                                p.encode_pong(&b, out);
                            }
                            _ => {}
                        }
                    }
                    if !out.is_empty() {
                        io.put(out);
                        out.clear();
                    }
                }
            })
        }
        Op::SendServer | Op::SendClient => {
            case(w, mem, (io, Protocol::new(role, BIG, BIG), BytesMut::new()), |(io, p, out), _, w| {
                let text = w.text();
                for burst in w.payloads.chunks(w.burst) {
                    for b in burst {
                        p.encode_message(&msg(b, text), out).unwrap();
                    }
                    io.put(out);
                    out.clear();
                }
            })
        }
        Op::EchoServer => {
            let s = (io, Protocol::new(role, BIG, BIG), BytesMut::with_capacity(65536), Vec::new(), BytesMut::new());
            case(w, mem, s, |(io, p, buf, ms, out), app, w| {
                let end = app.n + w.n;
                while app.n < end {
                    fill(io, buf);
                    p.process_into(buf, ms).unwrap();
                    for m in ms.drain(..) {
                        match &m {
                            Message::Text(_) | Message::Binary(_) => {
                                app.n += 1;
                                p.encode_message(&m, out).unwrap();
                            }
                            Message::Ping(b) => p.encode_pong(b, out),
                            _ => {}
                        }
                    }
                    if !out.is_empty() {
                        io.put(out);
                        out.clear();
                    }
                }
            })
        }
        Op::DeflateRecv => {
            let p = CompressedProtocol::server(BIG, BIG, DeflateConfig::default());
            let s = (io, p, BytesMut::with_capacity(65536), Vec::new());
            case(w, mem, s, |(io, p, buf, ms), app, w| {
                let end = app.n + w.n;
                while app.n < end {
                    fill(io, buf);
                    p.process_into(buf, ms).unwrap();
                    for m in ms.drain(..) {
                        match m {
                            Message::Text(b) => app.deliver(&b, true),
                            Message::Binary(b) => app.deliver(&b, false),
                            _ => {}
                        }
                    }
                }
            })
        }
        Op::DeflateSend => {
            let p = CompressedProtocol::server(BIG, BIG, DeflateConfig::default());
            case(w, mem, (io, p, BytesMut::new()), |(io, p, out), _, w| {
                let text = w.text();
                for burst in w.payloads.chunks(w.burst) {
                    for b in burst {
                        p.encode_message(&msg(b, text), out).unwrap();
                    }
                    io.put(out);
                    out.clear();
                }
            })
        }
        Op::HandshakeServer => case(w, mem, (io, vec![0u8; 4096]), |(io, buf), _, _| {
            use sockudo_ws::handshake as h;
            rewind(io);
            let n = io.get(buf).unwrap();
            let (req, _) = h::parse_request(&buf[..n]).unwrap().unwrap();
            let res = h::build_response(&h::generate_accept_key(req.key), req.protocol, None);
            io.put(&res);
            std::hint::black_box(&Protocol::new(Role::Server, BIG, BIG));
        }),
        Op::HandshakeClient => case(w, mem, io, |io, _, _| {
            use sockudo_ws::handshake as h;
            rewind(io);
            let key = h::generate_key();
            let req = h::build_request("app.example.com", "/chat/socket?room=42&v=2", &key, None, None);
            io.put(&req);
            let mut buf = [0; 4096];
            let n = io.get(&mut buf).unwrap();
            let (res, _) = h::parse_response(&buf[..n]).unwrap().unwrap();
            assert!(h::validate_accept_key(&key, res.accept.unwrap()));
            std::hint::black_box(&Protocol::new(Role::Client, BIG, BIG));
        }),
    }
}

fn config() -> Config {
    Config::builder().max_payload_length(BIG).build()
}

fn make_stream(w: &Arc<Work>) -> Option<Box<dyn Case>> {
    let mut mem = mem_for(w);
    let io = mem.io();
    match w.op {
        Op::RecvServer | Op::RecvClient => {
            let ws = if w.op == Op::RecvServer {
                WebSocketStream::server(io, config())
            } else {
                WebSocketStream::client(io, config())
            };
            case(w, mem, ws, |ws, app, w| {
                let end = app.n + w.n;
                drive(async {
                    while app.n < end {
                        match ws.next().await.unwrap().unwrap() {
                            Message::Text(b) => app.deliver(&b, true),
                            Message::Binary(b) => app.deliver(&b, false),
                            _ => {}
                        }
                    }
                })
            })
        }
        Op::SendServer | Op::SendClient => {
            let ws = if w.op == Op::SendServer {
                WebSocketStream::server(io, config())
            } else {
                WebSocketStream::client(io, config())
            };
            case(w, mem, ws, |ws, _, w| {
                let text = w.text();
                drive(async {
                    for burst in w.payloads.chunks(w.burst) {
                        for b in burst {
                            ws.feed(msg(b, text)).await.unwrap();
                        }
                        ws.flush().await.unwrap();
                    }
                })
            })
        }
        Op::EchoServer => case(w, mem, WebSocketStream::server(io, config()), |ws, app, w| {
            drive(async {
                let mut done = 0;
                while done < w.n {
                    match ws.next().await.unwrap().unwrap() {
                        m @ (Message::Text(_) | Message::Binary(_)) => {
                            ws.feed(m).await.unwrap();
                            app.n += 1;
                            done += 1;
                            if done % w.burst == 0 || done == w.n {
                                ws.flush().await.unwrap();
                            }
                        }
                        _ => {}
                    }
                }
            })
        }),
        Op::HandshakeServer => case(w, mem, io, |io, _, _| {
            rewind(io);
            let mut s = io.dup();
            let r = drive(sockudo_ws::handshake::server_handshake(&mut s)).unwrap();
            let ws = WebSocketStream::server(s, config());
            std::hint::black_box((&r, &ws));
        }),
        Op::HandshakeClient => case(w, mem, io, |io, _, _| {
            rewind(io);
            let mut s = io.dup();
            let r = drive(sockudo_ws::handshake::client_handshake(
                &mut s,
                "app.example.com",
                "/chat/socket?room=42&v=2",
                None,
            ))
            .unwrap();
            let ws = WebSocketStream::client(s, config());
            std::hint::black_box((&r, &ws));
        }),
        Op::DeflateRecv => {
            let ws = sockudo_ws::CompressedWebSocketStream::server(io, config(), DeflateConfig::default());
            case(w, mem, ws, |ws, app, w| {
                let end = app.n + w.n;
                drive(async {
                    while app.n < end {
                        match ws.next().await.unwrap().unwrap() {
                            Message::Text(b) => app.deliver(&b, true),
                            Message::Binary(b) => app.deliver(&b, false),
                            _ => {}
                        }
                    }
                })
            })
        }
        Op::DeflateSend => {
            let ws = sockudo_ws::CompressedWebSocketStream::server(io, config(), DeflateConfig::default());
            case(w, mem, ws, |ws, _, w| {
                let text = w.text();
                drive(async {
                    for burst in w.payloads.chunks(w.burst) {
                        for b in burst {
                            ws.feed(msg(b, text)).await.unwrap();
                        }
                        ws.flush().await.unwrap();
                    }
                })
            })
        }
    }
}

fn idle_core(mut io: MemIo, deflate: bool) -> Option<Idle> {
    use sockudo_ws::handshake as h;
    let mut buf = BytesMut::new();
    fill(&mut io, &mut buf);
    let n = {
        let (req, n) = h::parse_request(&buf).ok()??;
        io.put(&h::build_response(&h::generate_accept_key(req.key), None, None));
        n
    };
    bytes::Buf::advance(&mut buf, n);
    fill(&mut io, &mut buf);
    let mut out = BytesMut::new();
    let mut ms = Vec::new();
    // A thrifty caller gives its read buffer back when nothing is left in it.
    if deflate {
        let mut p = CompressedProtocol::server(BIG, BIG, DeflateConfig::default());
        p.process_into(&mut buf, &mut ms).ok()?;
        p.encode_message(&ms[0], &mut out).ok()?;
        io.put(&out);
        Some(Idle::Obj(Box::new((p, BytesMut::new()))))
    } else {
        let mut p = Protocol::new(Role::Server, BIG, BIG);
        p.process_into(&mut buf, &mut ms).ok()?;
        p.encode_message(&ms[0], &mut out).ok()?;
        io.put(&out);
        Some(Idle::Obj(Box::new((p, BytesMut::new()))))
    }
}

fn idle_stream(mut io: MemIo, deflate: bool) -> Option<Idle> {
    Some(Idle::Fut(Box::pin(async move {
        let r = sockudo_ws::handshake::server_handshake(&mut io).await.unwrap();
        if deflate {
            let mut ws = sockudo_ws::CompressedWebSocketStream::server_with_leftover(
                io,
                Config::default(),
                DeflateConfig::default(),
                r.leftover,
            );
            while let Some(Ok(m)) = ws.next().await {
                ws.send(m).await.unwrap();
            }
        } else {
            let mut ws = WebSocketStream::from_raw_with_leftover(io, Role::Server, Config::default(), r.leftover);
            while let Some(Ok(m)) = ws.next().await {
                ws.send(m).await.unwrap();
            }
        }
    })))
}
