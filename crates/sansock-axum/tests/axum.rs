//! The extractor for axum, over HTTP/1.1 and HTTP/2, against our own client and plain bytes.

#[path = "../../../tests/support/adapters.rs"]
#[allow(dead_code, reason = "most of it is for the suite of all adapters")]
mod adapters;
#[path = "../../../integration/tests/support/http2.rs"]
mod http2;

use std::{
    io::Write,
    net::{SocketAddr, TcpStream},
};

use adapters::{CLOSE, CLOSED, REQUEST, client_frame, patient, read_head, read_rest};
use axum::{
    Router,
    extract::{FromRequestParts, Path},
    http::{Request, StatusCode},
    response::{IntoResponse, Response},
    routing::any,
};
use http_body_util::BodyExt;
use sansock::{
    CloseCode, Config, HandshakeError, Message, OriginPolicy, UpgradeError,
    adapter::{http::refusal, tokio as adapter},
    client, server,
};
use sansock_axum::{Error, Rejection, WebSocket, WebSocketUpgrade};

fn config() -> Config {
    patient().origin(OriginPolicy::list(["https://page.example"])).max_message_len(4 << 20)
}

async fn echo(mut websocket: WebSocket) {
    while let Ok(Some(message)) = websocket.recv().await {
        if websocket.feed(message).await.is_err() {
            return;
        }
    }
}

/// Echoes; says by a header what it chose.
async fn chosen(Path(room): Path<String>, upgrade: WebSocketUpgrade) -> Response {
    let upgrade = upgrade.config(&config()).protocols(["v2", "v1"]);
    let chosen = format!("{room} {}", upgrade.selected_protocol().unwrap_or("none"));
    let mut response = upgrade.on_upgrade(echo);
    response.headers_mut().insert("x-chosen", chosen.parse().unwrap());
    response
}

/// The same by hand.
async fn by_hand(upgrade: WebSocketUpgrade) -> Response {
    let answered = upgrade.into_upgrade().accept(&server::Response::new().headers(&[("X-By", b"hand")]));
    match answered {
        Ok((answer, websocket)) => {
            tokio::spawn(async { echo(websocket.await.unwrap()).await });
            answer.into_parts().0.into_response()
        }
        Err(refused) => refusal(refused).into_parts().0.into_response(),
    }
}

async fn serve() -> SocketAddr {
    let router = Router::new()
        .route("/rooms/{room}", any(chosen))
        .route("/", any(async |upgrade: WebSocketUpgrade| upgrade.on_upgrade(echo)))
        .route("/hand", any(by_hand));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async { axum::serve(listener, router).await });
    address
}

fn run<T>(program: impl Future<Output = T>) -> T {
    let _watchdog = adapters::watchdog();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(program)
}

/// A client of plain bytes.
fn raw(client: impl FnOnce(TcpStream) + Send + 'static) {
    run(async {
        let address = serve().await;
        tokio::task::spawn_blocking(move || client(TcpStream::connect(address).unwrap())).await.unwrap();
    });
}

async fn check_echo<I: sansock::adapter::poll::Io>(mut websocket: sansock::adapter::poll::WebSocket<I>) {
    for len in [0, 125, 126, 65_536, 3 << 20] {
        websocket.send(vec![7; len]).await.unwrap();
        assert_eq!(websocket.recv().await.unwrap(), Some(Message::Binary(vec![7; len])));
    }
    websocket.close(CloseCode::NORMAL, "bye").await.unwrap();
    assert!(websocket.close_info().unwrap().clean);
}

#[test]
fn a_client_talks_over_http_1() {
    run(async {
        let address = serve().await;
        let (websocket, response) =
            adapter::connect_with(&format!("ws://{address}/rooms/blue"), &config(), |request| {
                request.subprotocols(&["v0", "v1", "v2"]).origin("https://page.example")
            })
            .await
            .unwrap();
        assert_eq!((response.status(), response.subprotocol()), (101, Some("v2")));
        assert_eq!(response.header("x-chosen"), Some(&b"blue v2"[..]));
        check_echo(websocket).await;
    });
}

/// R113, R117: the same handler, on a stream.
#[test]
fn r117_a_client_talks_over_http_2() {
    run(async {
        let address = serve().await;
        let mut sender = http2::connect(address).await;
        let ask = client::Request::new("localhost", "/rooms/red").secure(false).subprotocols(&["v0"]);
        let (websocket, response) = http2::open(&mut sender, &ask, &config()).await.unwrap();
        assert_eq!((response.status(), response.subprotocol()), (200, None));
        assert_eq!(response.header("x-chosen"), Some(&b"red none"[..]));
        check_echo(websocket).await;
        let ask = client::Request::new("localhost", "/hand").secure(false);
        let (websocket, response) = http2::open(&mut sender, &ask, &config()).await.unwrap();
        assert_eq!(response.header("x-by"), Some(&b"hand"[..]));
        check_echo_small(websocket).await;
    });
}

/// Within the default limits.
async fn check_echo_small<I: sansock::adapter::poll::Io>(mut websocket: sansock::adapter::poll::WebSocket<I>) {
    websocket.send("hello").await.unwrap();
    assert_eq!(websocket.recv().await.unwrap(), Some("hello".into()));
    websocket.close(CloseCode::NORMAL, "").await.unwrap();
}

#[test]
fn frames_right_behind_the_request_are_answered() {
    raw(|mut stream| {
        stream.write_all(&[REQUEST.as_bytes(), &client_frame(0x81, b"first"), CLOSE].concat()).unwrap();
        assert!(read_head(&mut stream).starts_with("HTTP/1.1 101 "));
        assert_eq!(read_rest(&mut stream), [b"\x81\x05first", CLOSED].concat());
    });
}

/// What is no opening handshake never comes to the handler.
#[test]
fn a_request_that_is_none_is_refused_before_the_handler() {
    raw(|mut stream| {
        let requests = [
            ("GET / HTTP/1.1\r\nHost: h\r\n\r\n".into(), "HTTP/1.1 426 "),
            (REQUEST.replace("GET", "POST"), "HTTP/1.1 405 "),
            (REQUEST.replace("Version: 13", "Version: 7"), "HTTP/1.1 426 "),
            (REQUEST.replace("Host: localhost", "Host: a, b"), "HTTP/1.1 400 "),
        ];
        for (request, status) in requests {
            stream.write_all(request.as_bytes()).unwrap();
            let head = read_head(&mut stream);
            assert!(head.starts_with(status), "{head}");
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
            for _ in 0..length.parse().unwrap() {
                adapters::read_bytes::<1>(&mut stream);
            }
        }
    });
}

/// R19: by the policy of the configuration, or else by that of the default one: the same origin.
#[test]
fn the_origin_is_judged_by_the_configuration() {
    run(async {
        let address = serve().await;
        let own = format!("http://{address}");
        for (path, origin, status) in [
            ("/rooms/a", "https://page.example", 101),
            ("/rooms/a", &*own, 403),
            ("/", "https://page.example", 403),
            ("/", &*own, 101),
            ("/hand", "https://page.example", 403),
            ("/hand", &*own, 101),
        ] {
            let uri = format!("ws://{address}{path}");
            let opened = adapter::connect_with(&uri, &config(), |request| request.origin(origin)).await;
            let found = match opened {
                Ok((_, response)) => response.status(),
                Err(Error::Handshake(HandshakeError::Rejected(response))) => response.status(),
                Err(error) => panic!("{error}"),
            };
            assert_eq!(found, status, "{path} from {origin}");
        }
    });
}

/// Where no hyper stands behind axum, as in tests of a router, the server says that it is its own fault.
#[test]
fn a_request_that_cannot_be_upgraded_is_the_servers_fault() {
    let request = Request::get("/")
        .header("Host", "h")
        .header("Upgrade", "websocket")
        .header("Connection", "Upgrade")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
        .header("Sec-WebSocket-Version", "13")
        .body(())
        .unwrap();
    let (mut parts, ()) = request.into_parts();
    run(async {
        let rejection = WebSocketUpgrade::from_request_parts(&mut parts, &()).await.unwrap_err();
        assert_eq!(rejection, Rejection::NotUpgradable);
        assert_eq!(rejection.into_response().status(), StatusCode::INTERNAL_SERVER_ERROR);
        parts.headers.remove("upgrade");
        let rejection = WebSocketUpgrade::from_request_parts(&mut parts, &()).await.unwrap_err();
        assert_eq!(rejection, Rejection::Request(UpgradeError::Upgrade));
        let answer = rejection.into_response();
        assert_eq!(
            (answer.status(), &answer.headers()["upgrade"]),
            (StatusCode::UPGRADE_REQUIRED, &"websocket".parse().unwrap())
        );
        assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "Upgrade: websocket is required");
    });
}
