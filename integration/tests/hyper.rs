//! What stands behind a request that hyper parsed or sent: over HTTP/1.1 and, as RFC 8441 says, over HTTP/2.

#[path = "../../tests/support/adapters.rs"]
#[allow(dead_code, reason = "most of it is for the suite of all adapters")]
mod adapters;
#[path = "support/http2.rs"]
mod http2;

use std::{
    convert::Infallible,
    io::Write,
    net::{Shutdown, SocketAddr, TcpStream},
    sync::mpsc,
    time::Duration,
};

use adapters::{CLOSE, CLOSED, REQUEST, client_frame, impatient, millis, patient, read_bytes, read_head, read_rest};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use sansock::{
    CloseCode, CloseInfo, Config, Error as Failure, HandshakeError, Message, OriginPolicy,
    adapter::{
        http::refusal,
        hyper::{Error, Upgrade, connect},
        tokio as adapter,
    },
    client, server,
};
use tokio::net::TcpListener;

/// What became of a connection on the server.
type Outcome = Result<CloseInfo, Error>;

/// How a server serves.
#[derive(Clone, Copy, PartialEq)]
enum Serving {
    /// HTTP/1.1 and HTTP/2.
    Both,
    /// HTTP/1.1, but not `with_upgrades()`.
    WithoutUpgrades,
    /// Both, but HTTP/2 without extended CONNECT.
    WithoutConnect,
}

fn config() -> Config {
    patient().origin(OriginPolicy::list(["https://page.example"])).max_message_len(4 << 20)
}

/// Echoes; a page is at `/page`, and at `/impatient` a server that waits for nobody.
fn respond(mut request: Request<Incoming>, outcomes: &mpsc::Sender<Outcome>) -> Response<Full<Bytes>> {
    if request.uri().path() == "/page" {
        return Response::new("a page".into());
    }
    let config = match request.uri().path() {
        "/impatient" => impatient().close_timeout(millis(50)),
        _ => config(),
    };
    let answered = Upgrade::new(&mut request, &config).map_err(Into::into).and_then(|upgrade| {
        let chosen = upgrade.request().preferred(&["echo"]);
        upgrade.accept(&server::Response::new().subprotocol(chosen).headers(&[("X-Served-By", b"hyper")]))
    });
    let (answer, websocket) = match answered {
        Ok(accepted) => accepted,
        Err(refused) => return refusal(refused).map(Into::into),
    };
    let outcomes = outcomes.clone();
    tokio::spawn(async move {
        let echo = async {
            let mut websocket = websocket.await?;
            while let Some(message) = websocket.recv().await? {
                websocket.feed(message).await?;
            }
            Ok(websocket.close_info().unwrap().clone())
        };
        outcomes.send(echo.await)
    });
    answer.map(|()| Full::default())
}

async fn serve(serving: Serving) -> (SocketAddr, mpsc::Receiver<Outcome>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, outcomes) = mpsc::channel();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let sender = sender.clone();
            let service = service_fn(move |request| {
                let response = respond(request, &sender);
                async { Ok::<_, Infallible>(response) }
            });
            let stream = TokioIo::new(stream);
            if serving == Serving::WithoutUpgrades {
                tokio::spawn(async { drop(http1::Builder::new().serve_connection(stream, service).await) });
                continue;
            }
            tokio::spawn(async move {
                let mut builder = auto::Builder::new(TokioExecutor::new());
                if serving == Serving::Both {
                    builder.http2().enable_connect_protocol();
                }
                drop(builder.serve_connection_with_upgrades(stream, service).await);
            });
        }
    });
    (address, outcomes)
}

/// A server, and a client that talks with it by plain bytes; then `check` looks at what became of it on the server.
fn talk(
    serving: Serving,
    client: impl FnOnce(TcpStream) + Send + 'static,
    check: impl FnOnce(&mpsc::Receiver<Outcome>),
) {
    run(async {
        let (address, outcomes) = serve(serving).await;
        let talk = move || client(TcpStream::connect(address).unwrap());
        tokio::task::spawn_blocking(talk).await.unwrap();
        check(&outcomes);
    });
}

fn run<T>(program: impl Future<Output = T>) -> T {
    let _watchdog = adapters::watchdog();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(program)
}

#[track_caller]
fn is_clean(outcomes: &mpsc::Receiver<Outcome>) {
    let outcome = outcomes.recv_timeout(Duration::from_secs(30)).unwrap();
    assert!(outcome.as_ref().is_ok_and(|info| info.clean), "{outcome:?}");
}

#[track_caller]
fn is_lost(outcomes: &mpsc::Receiver<Outcome>) {
    let outcome = outcomes.recv_timeout(Duration::from_secs(30)).unwrap();
    assert!(matches!(outcome, Err(Error::Connection(Failure::ConnectionLost) | Error::Io(_))), "{outcome:?}");
}

#[test]
fn a_client_talks_over_http_1() {
    run(async {
        let (address, outcomes) = serve(Serving::Both).await;
        let (mut websocket, response) = adapter::connect_with(&format!("ws://{address}/"), &config(), |request| {
            request.subprotocols(&["other", "echo"]).origin("https://page.example")
        })
        .await
        .unwrap();
        assert_eq!(response.subprotocol(), Some("echo"));
        assert_eq!(response.header("x-served-by"), Some(&b"hyper"[..]));
        for len in [0, 125, 126, 65_536, 3 << 20] {
            websocket.send(vec![7; len]).await.unwrap();
            assert_eq!(websocket.recv().await.unwrap(), Some(Message::Binary(vec![7; len])));
        }
        websocket.close(CloseCode::NORMAL, "").await.unwrap();
        is_clean(&outcomes);
    });
}

/// hyper reads on behind the blank line: what it has of the first frames is not lost, however it is cut.
#[test]
fn frames_right_behind_the_request_are_answered() {
    let frames =
        [client_frame(0x81, b"first"), client_frame(0x01, b"se"), client_frame(0x80, b"cond"), CLOSE.to_vec()].concat();
    let answers = [&b"\x81\x05first\x81\x06second"[..], CLOSED].concat();
    for cut in [0, 1, 2, 5, 6, 10, 11, 12, frames.len()] {
        let (frames, answers) = (frames.clone(), answers.clone());
        let client = move |mut stream: TcpStream| {
            stream.set_nodelay(true).unwrap();
            stream.write_all(&[REQUEST.as_bytes(), &frames[..cut]].concat()).unwrap();
            assert!(read_head(&mut stream).starts_with("HTTP/1.1 101 "));
            stream.write_all(&frames[cut..]).unwrap();
            assert_eq!(read_rest(&mut stream), answers, "cut at {cut}");
        };
        talk(Serving::Both, client, is_clean);
    }
}

#[test]
fn a_client_that_vanishes_is_lost() {
    let client = |mut stream: TcpStream| {
        stream.write_all(&[REQUEST.as_bytes(), &client_frame(0x01, b"unfinished")].concat()).unwrap();
        read_head(&mut stream);
        stream.shutdown(Shutdown::Both).unwrap();
    };
    talk(Serving::Both, client, is_lost);
}

/// A request that is refused costs no connection: the next one opens a WebSocket.
#[test]
fn a_refused_request_is_answered_and_the_next_one_served() {
    let client = |mut stream: TcpStream| {
        let mut ask = |request: &str| {
            stream.write_all(request.as_bytes()).unwrap();
            let head = read_head(&mut stream).to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            for _ in 0..length.map_or(0, |length| length.parse().unwrap()) {
                read_bytes::<1>(&mut stream);
            }
            head
        };
        let changed = |from, to: &str| REQUEST.replace(from, to);
        let heads = [
            ask("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
            ask(&changed("Version: 13", "Version: 8")),
            ask(&changed("GET", "PUT")),
            ask(&changed("Upgrade: websocket", "Upgrade: websocket\r\nOrigin: https://evil.example")),
            ask(&changed("/ HTTP", "/\u{e9} HTTP")),
            ask(&changed("\r\n\r\n", "\r\nSec-WebSocket-Protocol: a b\r\n\r\n")),
            ask(REQUEST),
        ];
        stream.write_all(CLOSE).unwrap();
        assert_eq!(read_rest(&mut stream), CLOSED);
        let statuses = heads.each_ref().map(|head| head.split(' ').nth(1).unwrap());
        assert_eq!(statuses, ["426", "426", "405", "403", "400", "400", "101"]);
        assert!(heads[1].contains("\r\nsec-websocket-version: 13\r\n"), "{}", heads[1]);
        assert!(heads[2].contains("\r\nallow: get\r\n"), "{}", heads[2]);
    };
    talk(Serving::Both, client, is_clean);
}

#[test]
fn http_1_0_is_refused() {
    let client = |mut stream: TcpStream| {
        stream.write_all(REQUEST.replace("HTTP/1.1", "HTTP/1.0").as_bytes()).unwrap();
        let head = read_head(&mut stream);
        assert!(head.starts_with("HTTP/1.0 505 "), "{head}");
    };
    talk(Serving::Both, client, |outcomes| assert!(outcomes.try_recv().is_err()));
}

/// Whoever forgot `with_upgrades()` gets an error rather than a task that waits for ever.
#[test]
fn a_connection_that_is_not_served_with_upgrades_is_an_error() {
    let client = |mut stream: TcpStream| {
        stream.write_all(REQUEST.as_bytes()).unwrap();
        read_rest(&mut stream);
    };
    talk(Serving::WithoutUpgrades, client, |outcomes| {
        let outcome = outcomes.recv_timeout(Duration::from_secs(30)).unwrap();
        assert!(matches!(outcome, Err(Error::Io(_))), "{outcome:?}");
    });
}

/// The client's half: hyper's connection of HTTP/1.1 to the server of another adapter, which greets at once.
#[test]
fn a_client_of_hyper_talks_over_http_1() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let config = patient();
            let accepted = adapter::accept_with(stream, &config, |request, out| {
                let connection = request.accept(&server::Response::new().subprotocol("echo"), out)?;
                out.extend_from_slice(b"\x81\x07welcome");
                Ok(Some(connection))
            });
            let mut websocket = accepted.await.unwrap().unwrap();
            while let Some(message) = websocket.recv().await.unwrap() {
                websocket.feed(message).await.unwrap();
            }
        });
        let stream = TokioIo::new(tokio::net::TcpStream::connect(address).await.unwrap());
        let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
        tokio::spawn(connection.with_upgrades());
        let (connecting, request) =
            connect(&client::Request::new("localhost", "/").subprotocols(&["echo"]), &patient()).unwrap();
        let mut answer = sender.send_request(request.map(|()| Empty::<Bytes>::new())).await.unwrap();
        let (mut websocket, response) = connecting.receive(&mut answer).await.unwrap();
        assert_eq!((response.status(), response.subprotocol()), (101, Some("echo")));
        assert_eq!(websocket.recv().await.unwrap(), Some("welcome".into()));
        websocket.send("hello").await.unwrap();
        assert_eq!(websocket.recv().await.unwrap(), Some("hello".into()));
        websocket.close(CloseCode::NORMAL, "").await.unwrap();
        server.await.unwrap();
    });
}

#[test]
fn a_client_of_hyper_may_read_why_it_was_refused() {
    run(async {
        let (address, _) = serve(Serving::Both).await;
        let stream = TokioIo::new(tokio::net::TcpStream::connect(address).await.unwrap());
        let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
        tokio::spawn(connection.with_upgrades());
        let ask = client::Request::new("localhost", "/").origin("https://evil.example");
        let (connecting, request) = connect(&ask, &patient()).unwrap();
        let mut answer = sender.send_request(request.map(|()| Empty::<Bytes>::new())).await.unwrap();
        let Err(Error::Handshake(HandshakeError::Rejected(rejected))) = connecting.receive(&mut answer).await else {
            panic!()
        };
        assert_eq!(rejected.status(), 403);
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, "this origin is not allowed");
    });
}

/// R119: two of them on one connection, and a page beside them.
#[test]
fn r119_websockets_are_streams_of_one_connection() {
    run(async {
        let (address, outcomes) = serve(Serving::Both).await;
        let mut sender = http2::connect(address).await;
        let ask = client::Request::new("localhost", "/").secure(false).subprotocols(&["echo"]);
        let (mut one, response) = http2::open(&mut sender, &ask, &config()).await.unwrap();
        assert_eq!((response.status(), response.subprotocol()), (200, Some("echo")));
        assert_eq!(response.header("x-served-by"), Some(&b"hyper"[..]));
        let (mut other, _) = http2::open(&mut sender, &ask, &config()).await.unwrap();
        for len in [0, 125, 126, 65_536, 3 << 20] {
            for websocket in [&mut one, &mut other] {
                websocket.send(vec![7; len]).await.unwrap();
                assert_eq!(websocket.recv().await.unwrap(), Some(Message::Binary(vec![7; len])));
            }
        }
        let page = Request::get("http://localhost/page").body(()).unwrap();
        let page = http2::send(&mut sender, page).await.into_body().collect().await.unwrap();
        assert_eq!(page.to_bytes(), "a page");

        // The end of both halves of the stream, and of nothing else.
        one.close(CloseCode::NORMAL, "").await.unwrap();
        is_clean(&outcomes);
        other.send("still there").await.unwrap();
        assert_eq!(other.recv().await.unwrap(), Some("still there".into()));
        other.close(CloseCode::NORMAL, "").await.unwrap();
        is_clean(&outcomes);
    });
}

/// R119: a stream that ends, or is reset, without a Close is a lost connection.
#[test]
fn r119_a_stream_that_ends_without_a_close_is_lost() {
    run(async {
        let (address, outcomes) = serve(Serving::Both).await;
        let mut sender = http2::connect(address).await;
        let ask = client::Request::new("localhost", "/").secure(false);
        let (mut websocket, _) = http2::open(&mut sender, &ask, &config()).await.unwrap();
        websocket.send("hello").await.unwrap();
        assert_eq!(websocket.recv().await.unwrap(), Some("hello".into()));
        drop(websocket);
        is_lost(&outcomes);
    });
}

/// R119: a client that leaves the window of its stream shut is given up; the streams beside it go on.
#[test]
fn r119_a_client_that_never_reads_is_given_up() {
    run(async {
        let (address, outcomes) = serve(Serving::Both).await;
        let mut sender = http2::connect(address).await;
        let ask = |path| client::Request::new("localhost", path).secure(false);
        let (mut websocket, _) = http2::open(&mut sender, &ask("/impatient"), &patient()).await.unwrap();
        let (mut beside, _) = http2::open(&mut sender, &ask("/"), &patient()).await.unwrap();
        // It sends until the server does not read any more, and never receives.
        let client = tokio::spawn(async move { while websocket.send(vec![0; 1 << 18]).await.is_ok() {} });
        let outcome = outcomes.recv_timeout(Duration::from_secs(30)).unwrap();
        assert!(matches!(outcome, Err(Error::Connection(Failure::KeepaliveTimeout) | Error::Io(_))), "{outcome:?}");
        client.abort();
        beside.send("hello").await.unwrap();
        assert_eq!(beside.recv().await.unwrap(), Some("hello".into()));
    });
}

/// How many bytes of a message of 4 MiB hyper accepts for a client that never reads, whose window is so large at first.
async fn accepted_by_hyper(window: u32) -> usize {
    const SEND_BUFFER: usize = 32 << 10;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, mut accepted) = tokio::sync::mpsc::channel(1);
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let service = service_fn(move |mut request: Request<Incoming>| {
            let upgrade = Upgrade::new(&mut request, &config()).unwrap();
            let (answer, websocket) = upgrade.accept(&server::Response::new()).unwrap();
            let sender = sender.clone();
            tokio::spawn(async move {
                let mut websocket = websocket.await.unwrap();
                let message = vec![0; 4 << 20];
                let len = message.len() + 10;
                let sent = tokio::time::timeout(Duration::from_millis(300), websocket.send(message)).await;
                assert!(sent.is_err(), "nobody reads");
                sender.send(len - websocket.queued()).await.unwrap();
            });
            async { Ok::<_, Infallible>(answer.map(|()| Empty::<Bytes>::new())) }
        });
        let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        builder.enable_connect_protocol().max_send_buf_size(SEND_BUFFER);
        drop(builder.serve_connection(TokioIo::new(stream), service).await);
    });
    let stream = TokioIo::new(tokio::net::TcpStream::connect(address).await.unwrap());
    let mut builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    let (mut sender, connection) = builder.initial_stream_window_size(window).handshake(stream).await.unwrap();
    tokio::spawn(connection);
    tokio::time::sleep(Duration::from_millis(50)).await;
    let ask = client::Request::new("localhost", "/").secure(false);
    let (websocket, _) = http2::open(&mut sender, &ask, &config()).await.unwrap();
    let accepted = accepted.recv().await.unwrap();
    drop(websocket);
    assert!(accepted <= window as usize + SEND_BUFFER + (64 << 10), "{accepted} bytes with a window of {window}");
    accepted
}

/// What hyper holds for a stream whose window stays shut does not depend on the length of the message.
#[test]
fn a_window_that_stays_shut_holds_no_more_than_the_documented_bound() {
    run(async {
        assert!(accepted_by_hyper(0).await <= 64 << 10);
        accepted_by_hyper(1).await;
        accepted_by_hyper(65_535).await;
        accepted_by_hyper(1 << 20).await;
    });
}

/// R118: a server that does not understand extended CONNECT can be told from one that does, which `http2::connect`
/// waits for: a client must not ask it.
#[test]
fn r118_a_server_that_does_not_allow_it_is_known_by_its_settings() {
    run(async {
        let (address, _) = serve(Serving::WithoutConnect).await;
        let stream = TokioIo::new(tokio::net::TcpStream::connect(address).await.unwrap());
        let (mut sender, mut connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
        let page = Request::get("http://localhost/page").body(()).unwrap();
        let page = tokio::select! {
            page = http2::send(&mut sender, page) => page,
            ended = &mut connection => panic!("{ended:?}"),
        };
        assert_eq!(page.status(), StatusCode::OK);
        // So the server's settings have come.
        assert!(!connection.is_extended_connect_protocol_enabled());
    });
}

/// R113, R116, R118: what is refused on a stream, and by which status. R115 is checked by hyper itself.
#[test]
fn r118_a_stream_is_refused_by_its_status() {
    let ask = |change: fn(&mut Request<()>)| {
        run(async move {
            let (address, _) = serve(Serving::Both).await;
            let mut sender = http2::connect(address).await;
            let ask = client::Request::new("localhost", "/").secure(false);
            let (_, mut request) = sansock::adapter::hyper::extended_connect(&ask, &config()).unwrap();
            change(&mut request);
            http2::send(&mut sender, request).await
        })
    };
    let answer = ask(|_| ());
    assert_eq!((answer.status(), answer.headers().contains_key("upgrade")), (StatusCode::OK, false));
    let answer = ask(|request| {
        request.extensions_mut().insert(hyper::ext::Protocol::from_static("connect-udp"));
    });
    assert_eq!(answer.status(), StatusCode::NOT_IMPLEMENTED);
    let answer = ask(|request| {
        request.headers_mut().insert("sec-websocket-version", "8".parse().unwrap());
    });
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    assert_eq!(answer.headers()["sec-websocket-version"], "13");
    let answer = ask(|request| {
        request.headers_mut().insert("origin", "https://evil.example".parse().unwrap());
    });
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    let answer = ask(|request| {
        *request.method_mut() = http::Method::GET;
        request.extensions_mut().clear();
    });
    assert_eq!(
        (answer.status(), &answer.headers()["allow"]),
        (StatusCode::METHOD_NOT_ALLOWED, &"CONNECT".parse().unwrap())
    );
}

/// A client that was told 200, and then the connection ends below its stream.
#[test]
fn a_stream_of_a_dead_connection_is_an_error() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (opened, is_open) = tokio::sync::oneshot::channel::<()>();
        let server = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let service = service_fn(|mut request: Request<Incoming>| async move {
                let upgrade = Upgrade::new(&mut request, &config()).unwrap();
                let (answer, _) = upgrade.accept(&server::Response::new()).unwrap();
                Ok::<_, Infallible>(answer.map(|()| Empty::<Bytes>::new()))
            });
            let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            let serving = builder.enable_connect_protocol().serve_connection(TokioIo::new(stream), service);
            tokio::select! {
                ended = serving => panic!("{ended:?}"),
                opened = is_open => opened.unwrap(),
            }
        });
        let mut sender = http2::connect(address).await;
        let ask = client::Request::new("localhost", "/").secure(false);
        let (mut websocket, _) = http2::open(&mut sender, &ask, &config()).await.unwrap();
        opened.send(()).unwrap();
        let outcome = websocket.recv().await;
        assert!(matches!(outcome, Err(Error::Connection(Failure::ConnectionLost) | Error::Io(_))), "{outcome:?}");
        server.await.unwrap();
    });
}
