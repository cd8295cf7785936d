//! Requests and answers as values of the crate `http`, of both roles: what an HTTP library would carry between them.
#![cfg(feature = "http")]

use http::{Method, Request, Response, StatusCode, Version, header::HOST};
use sansock::{
    Config, HandshakeError, OriginPolicy, Refused, UpgradeError,
    adapter::http::{accept, connect, extended_connect, fields, refusal, request, request_from_parts},
    client,
    handshake::FieldError,
    server,
};

fn config() -> Config {
    Config::default().origin(OriginPolicy::any())
}

fn ask() -> client::Request<'static> {
    const FIELDS: [(&str, &[u8]); 2] = [("User-Agent", b"me/1.0"), ("X-Latin", b"\xe9")];
    client::Request::new("example.com:8080", "/chat?x=1")
        .subprotocols(&["chat", "echo"])
        .origin("https://page.example")
        .headers(&FIELDS)
}

/// What both roles agree about, whatever the version.
fn check(request: &server::Request) -> Response<()> {
    assert_eq!(request.verdict(), Ok(()));
    assert_eq!((request.target(), request.host()), ("/chat?x=1", Some("example.com:8080")));
    assert_eq!((request.origin(), request.header("x-latin")), (Some("https://page.example"), Some(&b"\xe9"[..])));
    assert!(request.subprotocols().eq(["chat", "echo"]));
    let cookies = [("Set-Cookie", &b"a=1"[..]), ("Set-Cookie", b"b=2")];
    let (_, answer) = accept(request, &server::Response::new().subprotocol("echo").headers(&cookies)).unwrap();
    assert!(answer.headers().get_all("set-cookie").iter().eq(["a=1", "b=2"]));
    assert_eq!(answer.headers()["sec-websocket-protocol"], "echo");
    answer
}

#[test]
fn both_roles_meet_over_http_1() {
    let (mut handshake, sent) = connect(&ask(), &config(), [7; 32]).unwrap();
    assert_eq!((sent.method(), sent.version()), (&Method::GET, Version::HTTP_11));
    assert_eq!(
        (sent.uri(), &sent.headers()[HOST]),
        (&"/chat?x=1".parse().unwrap(), &"example.com:8080".parse().unwrap())
    );
    let answer = check(&request(&sent, None, &config()).unwrap());
    assert_eq!(answer.status(), StatusCode::SWITCHING_PROTOCOLS);
    let (_, response) = handshake.receive_parts(101, fields(answer.headers())).unwrap();
    assert_eq!(response.subprotocol(), Some("echo"));
}

#[test]
fn both_roles_meet_over_http_2_and_3() {
    for version in [Version::HTTP_2, Version::HTTP_3] {
        let (handshake, mut sent) = extended_connect(&ask(), &config(), [7; 32]).unwrap();
        assert_eq!((sent.method(), sent.version()), (&Method::CONNECT, Version::HTTP_2));
        assert_eq!(sent.uri(), "https://example.com:8080/chat?x=1");
        assert!(sent.headers().keys().all(|name| !name.as_str().starts_with(':')));
        *sent.version_mut() = version;
        let (parts, ()) = sent.into_parts();
        let answer = check(&request_from_parts(&parts, Some("websocket"), &config()).unwrap());
        assert_eq!(answer.status(), StatusCode::OK);
        let (_, response) = handshake.receive_parts(200, fields(answer.headers())).unwrap();
        assert_eq!(response.subprotocol(), Some("echo"));
    }
}

/// A target in absolute form goes before the Host (RFC 9112 §3.2.2), and a proxy's or `OPTIONS *` is none.
#[test]
fn the_form_of_the_target_is_kept() {
    let read = |uri: &str| {
        let (_, mut sent) = connect(&ask(), &config(), [7; 32]).unwrap();
        *sent.uri_mut() = uri.parse().unwrap();
        request(&sent, None, &config()).unwrap()
    };
    let absolute = read("http://other.example/chat");
    assert_eq!((absolute.target(), absolute.host()), ("http://other.example/chat", Some("other.example")));
    assert_eq!(absolute.verdict(), Ok(()));
    assert_eq!(read("example.com:443").verdict(), Err(UpgradeError::Target));
    assert_eq!(read("*").verdict(), Err(UpgradeError::Target));
}

#[test]
fn what_can_be_no_websocket_is_refused() {
    let (_, sent) = connect(&ask(), &config(), [7; 32]).unwrap();
    for version in [Version::HTTP_09, Version::HTTP_10] {
        let mut old = sent.clone();
        *old.version_mut() = version;
        assert_eq!(request(&old, None, &config()).err(), Some(UpgradeError::HttpVersion));
    }
    // The crate `http` lets this pass, where a request of HTTP/1.1 has visible ASCII only.
    let mut foreign = sent.clone();
    *foreign.uri_mut() = "/\u{e9}".parse().unwrap();
    assert_eq!(request(&foreign, None, &config()).err(), Some(UpgradeError::Target));
    let mut foreign = extended_connect(&ask(), &config(), [7; 32]).unwrap().1;
    *foreign.uri_mut() = "https://h/\u{e9}".parse().unwrap();
    assert_eq!(request(&foreign, Some("websocket"), &config()).unwrap().verdict(), Err(UpgradeError::Target));
}

/// Without the library's `:protocol` a CONNECT is one to a proxy.
#[test]
fn the_protocol_comes_from_the_http_library() {
    let (_, sent) = extended_connect(&ask(), &config(), [7; 32]).unwrap();
    let verdict = |protocol| request(&sent, protocol, &config()).unwrap().verdict();
    assert_eq!(verdict(None), Err(UpgradeError::Pseudo));
    assert_eq!(verdict(Some("connect-udp")), Err(UpgradeError::Protocol));
    assert_eq!(verdict(Some("websocket")), Ok(()));
}

#[test]
fn a_refusal_says_why() {
    let answer = refusal(UpgradeError::Version);
    assert_eq!(
        (answer.status(), *answer.body()),
        (StatusCode::UPGRADE_REQUIRED, "Sec-WebSocket-Version: 13 is required")
    );
    assert_eq!(
        (&answer.headers()["upgrade"], &answer.headers()["sec-websocket-version"]),
        (&"websocket".parse().unwrap(), &"13".parse().unwrap())
    );
    let answer = refusal(Refused::Response(FieldError::Value("a".into()).into()));
    assert_eq!((answer.status(), answer.headers().len()), (StatusCode::INTERNAL_SERVER_ERROR, 0));
}

/// What these types have no room for is told before the request is answered, or asked.
#[test]
fn a_name_that_is_too_long_is_the_callers_fault() {
    let long = "x".repeat(1 << 16);
    let fields = [(&*long, &b""[..])];
    let (_, sent) = connect(&ask(), &config(), [7; 32]).unwrap();
    let received = request(&sent, None, &config()).unwrap();
    let refused = accept(&received, &server::Response::new().headers(&fields)).err();
    assert_eq!(refused, Some(Refused::Response(FieldError::Name(long.clone()).into())));
    assert!(accept(&received, &server::Response::new()).is_ok());
    let ask = client::Request::new("h", "/").headers(&fields);
    assert_eq!(connect(&ask, &config(), [7; 32]).err(), Some(FieldError::Name(long.clone()).into()));
    assert_eq!(extended_connect(&ask, &config(), [7; 32]).err(), Some(FieldError::Name(long.clone()).into()));
}

#[test]
fn a_client_reads_an_answer_of_the_library() {
    let (mut handshake, _) = connect(&ask(), &config(), [7; 32]).unwrap();
    let answer = Response::builder().status(302).header("Location", "/there").body(()).unwrap();
    let read = handshake.receive_parts(answer.status().as_u16(), fields(answer.headers()));
    let Err(HandshakeError::Rejected(rejected)) = read else { panic!("{read:?}") };
    assert_eq!((rejected.status(), rejected.header("location")), (302, Some(&b"/there"[..])));
}

#[test]
fn a_request_of_a_page_is_read_too() {
    let page = Request::get("/").header("Host", "h").body("anything").unwrap();
    let read = request(&page, None, &config()).unwrap();
    assert_eq!((read.method(), read.is_upgrade(), read.verdict()), ("GET", false, Err(UpgradeError::Upgrade)));
}
