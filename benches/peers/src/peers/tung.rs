//! tungstenite 0.30: synchronous, over `Read + Write`.

use super::*;
use tungstenite::{
    Message, WebSocket,
    protocol::{Role, WebSocketConfig},
};

pub const PEER: Peer = Peer {
    name: "tungstenite",
    notes: "0.30.0, sync API over Read+Write, default 128 KiB buffers, limits off; write() per message, flush() per burst; validates UTF-8 with std; scalar u32 mask (autovectorised SSE2); no deflate",
    make,
    idle: Some(idle),
};

fn cfg() -> Option<WebSocketConfig> {
    Some(WebSocketConfig::default().max_message_size(None).max_frame_size(None))
}

fn messages(w: &Work) -> Vec<Message> {
    w.payloads
        .iter()
        .map(|p| if w.text() { Message::Text(p.clone().try_into().unwrap()) } else { Message::Binary(p.clone()) })
        .collect()
}

fn make(w: &Arc<Work>) -> Option<Box<dyn Case>> {
    let mut mem = mem_for(w);
    let io = mem.io();
    match w.op {
        Op::RecvServer | Op::RecvClient => {
            let role = if w.op == Op::RecvServer { Role::Server } else { Role::Client };
            let ws = WebSocket::from_raw_socket(io, role, cfg());
            case(w, mem, ws, |ws, app, w| {
                let end = app.n + w.n;
                while app.n < end {
                    match ws.read().unwrap() {
                        Message::Text(t) => app.deliver(t.as_bytes(), true),
                        Message::Binary(b) => app.deliver(&b, false),
                        _ => {}
                    }
                }
            })
        }
        Op::SendServer | Op::SendClient => {
            let role = if w.op == Op::SendServer { Role::Server } else { Role::Client };
            let ws = WebSocket::from_raw_socket(io, role, cfg());
            case(w, mem, (ws, messages(w)), |(ws, ms), _, w| {
                for burst in ms.chunks(w.burst) {
                    for m in burst {
                        ws.write(m.clone()).unwrap();
                    }
                    ws.flush().unwrap();
                }
            })
        }
        Op::EchoServer => {
            let ws = WebSocket::from_raw_socket(io, Role::Server, cfg());
            case(w, mem, ws, |ws, app, w| {
                let mut done = 0;
                while done < w.n {
                    match ws.read().unwrap() {
                        m @ (Message::Text(_) | Message::Binary(_)) => {
                            ws.write(m).unwrap();
                            app.n += 1;
                            done += 1;
                            if done % w.burst == 0 || done == w.n {
                                ws.flush().unwrap();
                            }
                        }
                        _ => {}
                    }
                }
            })
        }
        Op::HandshakeServer => case(w, mem, io, |io, _, _| {
            rewind(io);
            let ws = tungstenite::accept(io.dup()).unwrap();
            std::hint::black_box(&ws);
        }),
        Op::HandshakeClient => case(w, mem, io, |io, _, _| {
            rewind(io);
            let r = tungstenite::client("ws://app.example.com/chat/socket?room=42&v=2", io.dup()).unwrap();
            std::hint::black_box(&r);
        }),
        _ => None,
    }
}

fn idle(io: MemIo, deflate: bool) -> Option<Idle> {
    if deflate {
        return None;
    }
    let mut ws = tungstenite::accept(io).ok()?;
    let m = ws.read().ok()?;
    ws.send(m).ok()?;
    Some(Idle::Obj(Box::new(ws)))
}
