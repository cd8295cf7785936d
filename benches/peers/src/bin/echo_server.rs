//! One echo server per peer on a tokio current_thread runtime, as a user would write it.
//! `echo_server PEER PORT`; listens on 127.0.0.1 only, TCP_NODELAY set.

use futures_util::{SinkExt, StreamExt};
use std::io::IoSlice;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::compat::TokioAsyncReadCompatExt;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut a = std::env::args().skip(1);
    let peer = a.next().expect("peer");
    let port: u16 = a.next().expect("port").parse().unwrap();
    let l = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    println!("listening");
    let local = tokio::task::LocalSet::new();
    local
        .run_until(async move {
            loop {
                let (s, _) = l.accept().await.unwrap();
                s.set_nodelay(true).unwrap();
                match peer.as_str() {
                    "tungstenite" => drop(tokio::spawn(tungstenite(s))),
                    "tungstenite-4k" => drop(tokio::spawn(tungstenite_4k(s))),
                    "tungstenite-batch" => drop(tokio::spawn(tungstenite_batch(s))),
                    "fastwebsockets" => drop(tokio::task::spawn_local(fastwebsockets(s))),
                    "tokio-websockets" => drop(tokio::spawn(tokio_websockets(s))),
                    "sockudo-ws" => drop(tokio::spawn(sockudo(s))),
                    "yawc" => drop(tokio::task::spawn_local(yawc_(s))),
                    "soketto" => drop(tokio::task::spawn_local(soketto_(s))),
                    "wtx" => drop(tokio::task::spawn_local(wtx_(s))),
                    "web-socket" => drop(tokio::task::spawn_local(web_socket_(s))),
                    "raw" => drop(tokio::spawn(raw(s))),
                    "ours" => drop(tokio::spawn(ours(s))),
                    "ours (tokio)" => drop(tokio::spawn(ours_tokio(s))),
                    other => panic!("no server for {other}"),
                }
            }
        })
        .await
}

/// tokio-tungstenite. One message, one send; `send` flushes.
async fn tungstenite(s: TcpStream) {
    let Ok(mut ws) = tokio_tungstenite::accept_async(s).await else { return };
    while let Some(Ok(m)) = ws.next().await {
        if (m.is_text() || m.is_binary()) && ws.send(m).await.is_err() {
            return;
        }
    }
}

/// The same with the read buffer its documentation names for many connections.
async fn tungstenite_4k(s: TcpStream) {
    let c = tungstenite::protocol::WebSocketConfig::default().read_buffer_size(4096);
    let Ok(mut ws) = tokio_tungstenite::accept_async_with_config(s, Some(c)).await else { return };
    while let Some(Ok(m)) = ws.next().await {
        if (m.is_text() || m.is_binary()) && ws.send(m).await.is_err() {
            return;
        }
    }
}

/// Not what its examples do: `feed` while messages are at hand, then one flush.
async fn tungstenite_batch(s: TcpStream) {
    use futures_util::FutureExt;
    let Ok(mut ws) = tokio_tungstenite::accept_async(s).await else { return };
    let mut next = ws.next().await;
    while let Some(Ok(m)) = next {
        if (m.is_text() || m.is_binary()) && ws.feed(m).await.is_err() {
            return;
        }
        next = match ws.next().now_or_never() {
            Some(n) => n,
            None => {
                if ws.flush().await.is_err() {
                    return;
                }
                ws.next().await
            }
        };
    }
}

async fn tokio_websockets(s: TcpStream) {
    let Ok((_, mut ws)) = tokio_websockets::ServerBuilder::new().accept(s).await else { return };
    while let Some(Ok(m)) = ws.next().await {
        if (m.is_text() || m.is_binary()) && ws.send(m).await.is_err() {
            return;
        }
    }
}

async fn sockudo(mut s: TcpStream) {
    use sockudo_ws::{Config, Message, Role, WebSocketStream};
    let Ok(r) = sockudo_ws::handshake::server_handshake(&mut s).await else { return };
    let mut ws = WebSocketStream::from_raw_with_leftover(s, Role::Server, Config::default(), r.leftover);
    while let Some(Ok(m)) = ws.next().await {
        // As its documentation advises: `feed`; the read path flushes before it waits.
        if matches!(m, Message::Text(_) | Message::Binary(_)) && ws.feed(m).await.is_err() {
            return;
        }
    }
}

async fn fastwebsockets(s: TcpStream) {
    use fastwebsockets::{FragmentCollector, OpCode};
    let service = hyper::service::service_fn(|mut req: hyper::Request<hyper::body::Incoming>| async move {
        let (res, fut) = fastwebsockets::upgrade::upgrade(&mut req)?;
        tokio::task::spawn_local(async move {
            let Ok(ws) = fut.await else { return };
            let mut ws = FragmentCollector::new(ws);
            loop {
                let Ok(f) = ws.read_frame().await else { return };
                match f.opcode {
                    OpCode::Close => return,
                    OpCode::Text | OpCode::Binary => {
                        if ws.write_frame(f).await.is_err() {
                            return;
                        }
                    }
                    _ => {}
                }
            }
        });
        Ok::<_, fastwebsockets::WebSocketError>(res)
    });
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(hyper_util::rt::TokioIo::new(s), service)
        .with_upgrades()
        .await;
}

async fn yawc_(s: TcpStream) {
    use yawc::{Frame, OpCode, Options, WebSocket};
    let service = hyper::service::service_fn(|mut req: hyper::Request<hyper::body::Incoming>| async move {
        let (res, fut) = WebSocket::upgrade_with_options(&mut req, Options::default().with_utf8())?;
        tokio::task::spawn_local(async move {
            let Ok(mut ws) = fut.await else { return };
            while let Some(f) = ws.next().await {
                let (op, _, p) = f.into_parts();
                let f = match op {
                    OpCode::Text => Frame::text(p),
                    OpCode::Binary => Frame::binary(p),
                    _ => continue,
                };
                if ws.send(f).await.is_err() {
                    return;
                }
            }
        });
        Ok::<_, yawc::WebSocketError>(res)
    });
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(hyper_util::rt::TokioIo::new(s), service)
        .with_upgrades()
        .await;
}

async fn soketto_(s: TcpStream) {
    use futures::io::{BufReader, BufWriter};
    use soketto::{Data, handshake};
    let s = BufReader::new(BufWriter::new(s.compat()));
    let mut server = handshake::Server::new(s);
    let key = match server.receive_request().await {
        Ok(r) => r.key(),
        Err(_) => return,
    };
    let accept = handshake::server::Response::Accept { key, protocol: None };
    if server.send_response(&accept).await.is_err() {
        return;
    }
    let (mut tx, mut rx) = server.into_builder().finish();
    let mut m = Vec::new();
    loop {
        m.clear();
        let ok = match rx.receive_data(&mut m).await {
            Ok(Data::Binary(_)) => tx.send_binary_mut(&mut m).await.is_ok(),
            Ok(Data::Text(_)) => match std::str::from_utf8(&m) {
                Ok(t) => tx.send_text(t).await.is_ok(),
                Err(_) => false,
            },
            Err(_) => false,
        };
        if !ok || tx.flush().await.is_err() {
            return;
        }
    }
}

async fn wtx_(s: TcpStream) {
    use wtx::{
        collection::Vector,
        web_socket::{OpCode, WebSocketAcceptor, WebSocketPayloadOrigin},
    };
    let ws: Result<_, wtx::Error> = WebSocketAcceptor::default().no_masking(false).accept(s).await;
    let Ok(mut ws) = ws else { return };
    let mut buf = Vector::new();
    let (mut c, mut r, mut w) = ws.split_mut();
    loop {
        let Ok(mut f) = r.read_frame(&mut buf, &mut c, WebSocketPayloadOrigin::Adaptive).await else { return };
        match f.op_code() {
            OpCode::Close => return,
            OpCode::Text | OpCode::Binary => {
                if w.write_frame(&mut c, &mut f).await.is_err() {
                    return;
                }
            }
            _ => {}
        }
    }
}

/// It has no handshake: ours by hand, then its own reader and writer.
async fn web_socket_(mut s: TcpStream) {
    use web_socket::{DataType, Event, MessageType, WebSocket};
    if !shake(&mut s).await {
        return;
    }
    let mut ws = WebSocket::server(tokio::io::BufReader::new(s));
    loop {
        match ws.recv_event().await {
            Ok(Event::Data { ty: DataType::Complete(MessageType::Text), data }) => {
                let Ok(t) = std::str::from_utf8(&data) else { return };
                if ws.send(t).await.is_err() {
                    return;
                }
            }
            Ok(Event::Data { data, .. }) => {
                if ws.send(&data[..]).await.is_err() {
                    return;
                }
            }
            Ok(Event::Ping(p)) => drop(ws.send_pong(p).await),
            Ok(Event::Pong(_)) => {}
            _ => return,
        }
    }
}

async fn shake(s: &mut TcpStream) -> bool {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut b = Vec::with_capacity(2048);
    while !b.ends_with(b"\r\n\r\n") {
        if s.read_buf(&mut b).await.unwrap_or(0) == 0 {
            return false;
        }
    }
    let Some(i) = b.windows(19).position(|w| w.eq_ignore_ascii_case(b"sec-websocket-key: ")) else { return false };
    let a = harness::memio::accept_of(&b[i + 19..i + 43]);
    let r = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {a}\r\n\r\n"
    );
    s.write_all(r.as_bytes()).await.is_ok()
}

/// Our tokio adapter, in the loop that its documentation begins with.
async fn ours_tokio(s: TcpStream) {
    let config = harness::peers::ours::config().delivery(sansock::Delivery::Messages);
    let Ok(mut websocket) = sansock::adapter::tokio::accept(s, &config).await else { return };
    while let Ok(Some(message)) = websocket.recv().await {
        if websocket.feed(message).await.is_err() {
            return;
        }
    }
}

/// Our core under a plain tokio socket: one read, all messages, one write.
async fn ours(mut s: TcpStream) {
    use bytes::BytesMut;
    use harness::peers::ours::{Ours, accept, config};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut b = Vec::with_capacity(2048);
    while !b.ends_with(b"\r\n\r\n") {
        if s.read_buf(&mut b).await.unwrap_or(0) == 0 {
            return;
        }
    }
    let mut answer = BytesMut::new();
    let mut c = Ours::over(accept(&config(), &mut b, &mut answer));
    if s.write_all(&answer).await.is_err() {
        return;
    }
    let mut out: Vec<u8> = Vec::new();
    loop {
        match s.read(c.room()).await {
            Ok(0) | Err(_) => return,
            Ok(n) => c.filled(n),
        }
        // What the socket does not take at once waits in `out`, and everything behind it.
        let mut write = |parts: &[&[u8]]| {
            let mut taken = 0;
            if out.is_empty() {
                let mut slices = [IoSlice::new(&[]); 3];
                let n = slices.iter_mut().zip(parts).map(|(s, p)| *s = IoSlice::new(p)).count();
                taken = s.try_write_vectored(&slices[..n]).unwrap_or(0);
            }
            for p in parts {
                let skip = taken.min(p.len());
                taken -= skip;
                out.extend_from_slice(&p[skip..]);
            }
        };
        c.echo(&mut write);
        let rest = c.output();
        if !rest.is_empty() {
            write(&[rest]);
            rest.clear();
        }
        if !out.is_empty() {
            if s.write_all(&out).await.is_err() {
                return;
            }
            out.clear();
        }
    }
}

/// The limit: the same sockets and runtime, hardly any protocol.
async fn raw(mut s: TcpStream) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    if !shake(&mut s).await {
        return;
    }
    let mut raw = harness::raw::Raw::new();
    loop {
        match s.read(raw.room()).await {
            Ok(0) | Err(_) => return,
            Ok(n) => {
                if !raw.filled(n) {
                    return;
                }
            }
        }
        if !raw.out.is_empty() {
            if s.write_all(&raw.out).await.is_err() {
                return;
            }
            raw.out.clear();
        }
    }
}
