//! The opening handshake over HTTP/2 and HTTP/3: RFC 8441, RFC 9220. What R118 and R119 say of streams is in
//! `hyper.rs`.
#![cfg(feature = "handshake")]

use bytes::BytesMut;
use proptest::{collection::vec, prelude::*, sample::select};
use sansock::{
    Config, Connection, Error, Event, HandshakeError, Malformed, OriginPolicy, Refused, Transport, UpgradeError,
    Violation,
    client::{self, Request},
    handshake::{FieldError, RequestError, ResponseError},
    server::{self, Response},
};

type Field<'a> = (&'a str, &'a [u8]);

/// RFC 8441 §5.1's own example.
const REQUEST: [Field<'_>; 9] = [
    (":method", b"CONNECT"),
    (":protocol", b"websocket"),
    (":scheme", b"https"),
    (":path", b"/chat"),
    (":authority", b"server.example.com"),
    ("sec-websocket-protocol", b"chat, superchat"),
    ("sec-websocket-extensions", b"permessage-deflate"),
    ("sec-websocket-version", b"13"),
    ("origin", b"http://www.example.com"),
];

fn config() -> Config {
    Config::default().origin(OriginPolicy::any())
}

fn parse(fields: &[Field<'_>]) -> server::Request {
    server::Request::from_fields(fields.iter().copied(), &config()).unwrap()
}

/// The example with one field in place of another of that name.
fn with(name: &'static str, value: &'static [u8]) -> Vec<Field<'static>> {
    REQUEST.map(|field| if field.0 == name { (name, value) } else { field }).into()
}

/// The example with one field more, at its end.
fn and(name: &'static str, value: &'static [u8]) -> Vec<Field<'static>> {
    let mut fields = REQUEST.to_vec();
    fields.push((name, value));
    fields
}

fn without(name: &str) -> Vec<Field<'static>> {
    REQUEST.into_iter().filter(|field| field.0 != name).collect()
}

/// The verdict, which is what an answer is refused for.
#[track_caller]
fn refused(fields: &[Field<'_>], why: UpgradeError, status: u16) {
    let request = parse(fields);
    assert_eq!(request.verdict(), Err(why), "{fields:?}");
    assert_eq!(request.accept_parts(&Response::new()).err(), Some(Refused::Request(why)));
    assert_eq!(why.status(), status);
    assert!(why.fields().iter().all(|(name, _)| name.bytes().all(|byte| !byte.is_ascii_uppercase())));
}

#[track_caller]
fn accepted(fields: &[Field<'_>]) -> (Connection, Vec<(String, String)>) {
    let request = parse(fields);
    let (connection, accepted) =
        request.accept_parts(&Response::new()).unwrap_or_else(|why| panic!("{why}: {fields:?}"));
    assert_eq!(accepted.status(), 200);
    (connection, text(accepted.fields()))
}

fn text<'a>(fields: impl Iterator<Item = Field<'a>>) -> Vec<(String, String)> {
    fields.map(|(name, value)| (name.into(), String::from_utf8(value.to_vec()).unwrap())).collect()
}

fn pairs(fields: &[(&str, &str)]) -> Vec<(String, String)> {
    fields.iter().map(|&(name, value)| (name.into(), value.into())).collect()
}

/// R113, R116, R117: the example of RFC 8441 is answered as there.
#[test]
fn r113_an_extended_connect_opens_a_websocket() {
    let request = parse(&REQUEST);
    assert_eq!((request.verdict(), request.is_upgrade()), (Ok(()), true));
    assert_eq!((request.method(), request.target(), request.host()), ("CONNECT", "/chat", Some("server.example.com")));
    assert_eq!((request.origin(), request.headers().len()), (Some("http://www.example.com"), 4));
    let chosen = Response::new().subprotocol(request.preferred(&["superchat"]));
    let (_, accepted) = request.accept_parts(&chosen).unwrap();
    assert_eq!((accepted.status(), text(accepted.fields())), (200, pairs(&[("sec-websocket-protocol", "superchat")])));
    assert_eq!(request.accept_parts(&chosen).err(), Some(ResponseError::Answered.into()));
}

#[test]
fn r113_each_pseudo_header_field_is_there_once() {
    for name in [":method", ":protocol", ":scheme", ":path", ":authority"] {
        refused(&without(name), UpgradeError::Pseudo, 400);
        let mut twice = vec![*REQUEST.iter().find(|field| field.0 == name).unwrap()];
        twice.extend(REQUEST);
        refused(&twice, UpgradeError::Pseudo, 400);
    }
    // RFC 9113 §8.3: none that is unknown, and none behind the other fields.
    refused(&[&[(":status", &b"200"[..])], &REQUEST[..]].concat(), UpgradeError::Pseudo, 400);
    refused(&[&[(":Path", &b"/"[..])], &REQUEST[..]].concat(), UpgradeError::Pseudo, 400);
    let mut behind = without(":path");
    behind.push((":path", b"/chat"));
    refused(&behind, UpgradeError::Pseudo, 400);
    // The order among them is free.
    let mut turned = REQUEST;
    turned[..5].reverse();
    accepted(&turned);
}

#[test]
fn r113_what_the_pseudo_header_fields_say_is_checked() {
    refused(&with(":method", b"GET"), UpgradeError::Connect, 405);
    refused(&with(":method", b"connect"), UpgradeError::Connect, 405);
    assert_eq!(UpgradeError::Connect.fields(), [("allow", &b"CONNECT"[..])]);
    accepted(&with(":scheme", b"http"));
    for scheme in [&b"wss"[..], b"ws", b"ftp", b""] {
        refused(&with(":scheme", scheme.to_vec().leak()), UpgradeError::Pseudo, 400);
    }
    accepted(&with(":path", b"/?a=b"));
    for path in [&b""[..], b"*", b"chat", b"/a b", b"/#", b"/\xff", b"https://server.example.com/chat"] {
        refused(&with(":path", path.to_vec().leak()), UpgradeError::Target, 400);
    }
    accepted(&with(":authority", b"[::1]:443"));
    for authority in [&b""[..], b"user@server.example.com", b"a, b", b":80", b"h:0", b"\xff"] {
        refused(&with(":authority", authority.to_vec().leak()), UpgradeError::Host, 400);
    }
}

/// R113: RFC 9113 §8.3.1 lets a Host come along.
#[test]
fn r113_a_host_names_the_same_as_the_authority() {
    for host in [&b"server.example.com"[..], b"Server.Example.com", b"server.example.com:443"] {
        accepted(&and("host", host.to_vec().leak()));
    }
    for host in [&b"other.example.com"[..], b"server.example.com:80", b""] {
        refused(&and("host", host.to_vec().leak()), UpgradeError::Host, 400);
    }
    let mut twice = and("host", b"server.example.com");
    twice.push(("host", b"server.example.com"));
    refused(&twice, UpgradeError::Host, 400);
}

#[test]
fn r113_a_page_comes_by_the_same_way() {
    let request = parse(&[(":method", b"GET"), (":scheme", b"https"), (":path", b"/"), (":authority", b"h")]);
    assert_eq!((request.verdict(), request.is_upgrade()), (Err(UpgradeError::Connect), false));
    assert_eq!((request.method(), request.target(), request.host()), ("GET", "/", Some("h")));
    // A tunnel: CONNECT without :protocol, :scheme and :path.
    refused(&[(":method", b"CONNECT"), (":authority", b"h:443")], UpgradeError::Pseudo, 400);
}

/// R113, R115, R116: all combinations of good fields, bad ones and none, against the rule in one line.
#[test]
fn r113_a_request_opens_a_websocket_when_all_of_it_is_right() {
    const FIELDS: [(&str, &[&str], &[&str]); 7] = [
        (":method", &["CONNECT"], &["GET"]),
        (":protocol", &["websocket", "WEBSOCKET"], &["h2c"]),
        (":scheme", &["https", "HTTP"], &["ws"]),
        (":authority", &["h", "h:1"], &["a b"]),
        (":path", &["/", "/?q"], &["", "q"]),
        ("sec-websocket-version", &["13"], &["12"]),
        ("sec-websocket-protocol", &["", "a", "a,b"], &["a a"]),
    ];
    let choices = FIELDS.map(|(_, good, bad)| good.len() + bad.len() + 1);
    let total: usize = choices.iter().product();
    for mut number in 0..total {
        let (mut fields, mut expected) = (Vec::<Field<'_>>::new(), true);
        for ((name, good, bad), choices) in FIELDS.into_iter().zip(choices) {
            let choice = number % choices;
            number /= choices;
            let value = good.iter().chain(bad).nth(choice);
            // Only subprotocols may be left out, or be a list of nothing: then they are left out here.
            expected &= choice < good.len() || value.is_none() && name == "sec-websocket-protocol";
            fields
                .extend(value.filter(|value| name.starts_with(':') || !value.is_empty()).map(|v| (name, v.as_bytes())));
        }
        assert_eq!(parse(&fields).verdict().is_ok(), expected, "{fields:?}");
    }
}

#[test]
fn r114_there_is_no_key_and_no_accept() {
    let plain = accepted(&REQUEST).1;
    assert_eq!(plain, []);
    for key in [&b"dGhlIHNhbXBsZSBub25jZQ=="[..], b"none", b""] {
        assert_eq!(accepted(&and("sec-websocket-key", key.to_vec().leak())).1, plain);
    }
    let (handshake, parts) = ask(&Request::new("h", "/"));
    assert!(parts.fields().all(|(name, _)| name != "sec-websocket-key"));
    handshake.receive_parts(200, [("sec-websocket-accept", &b"wrong"[..])]).unwrap();
}

#[test]
fn r115_connection_specific_fields_are_refused() {
    const SPECIFIC: [Field<'_>; 6] = [
        ("connection", b"Upgrade"),
        ("upgrade", b"websocket"),
        ("keep-alive", b"timeout=5"),
        ("proxy-connection", b"keep-alive"),
        ("transfer-encoding", b"chunked"),
        ("te", b"gzip"),
    ];
    for (name, value) in SPECIFIC {
        refused(&and(name, value), UpgradeError::ConnectionSpecific, 400);
        let (handshake, _) = ask(&Request::new("h", "/"));
        let answer = handshake.receive_parts(200, [(name, value)]);
        assert_eq!(answer.err(), Some(Malformed::ConnectionSpecific.into()), "{name}");

        // Nor may the caller add one.
        let fields = [(name, value)];
        let refusal = parse(&REQUEST).accept_parts(&Response::new().headers(&fields)).err();
        let is_named = |error: &FieldError| match error {
            FieldError::Managed(own) => *own == name,
            error => *error == FieldError::ConnectionSpecific(name.into()),
        };
        assert!(
            matches!(&refusal, Some(Refused::Response(ResponseError::Field(error))) if is_named(error)),
            "{refusal:?}"
        );
        let asked = client::extended_connect(&Request::new("h", "/").headers(&fields), &config(), [1; 32]).err();
        assert!(matches!(&asked, Some(RequestError::Field(error)) if is_named(error)), "{asked:?}");
    }
    accepted(&and("te", b"trailers"));
}

/// R116, R8: one version, 13; a 426 would need an Upgrade, so it is a 400.
#[test]
fn r116_the_version_is_13() {
    for version in [&b"12"[..], b"013", b"+13", b"13, 13", b""] {
        refused(&with("sec-websocket-version", version.to_vec().leak()), UpgradeError::ConnectVersion, 400);
    }
    refused(&without("sec-websocket-version"), UpgradeError::ConnectVersion, 400);
    refused(&and("sec-websocket-version", b"13"), UpgradeError::ConnectVersion, 400);
    assert_eq!(UpgradeError::ConnectVersion.fields(), [("sec-websocket-version", &b"13"[..])]);
}

/// R116: subprotocols, extensions and a body are judged as over HTTP/1.1 (R13 to R18).
#[test]
fn r116_the_offer_is_judged_as_over_http_1() {
    refused(&with("sec-websocket-protocol", b"chat, chat"), UpgradeError::Subprotocols, 400);
    refused(&with("sec-websocket-protocol", b""), UpgradeError::Subprotocols, 400);
    refused(&with("sec-websocket-extensions", b"a;;"), UpgradeError::Extensions, 400);
    refused(&and("content-length", b"5"), UpgradeError::Body, 400);
    accepted(&and("content-length", b"0"));
    let (request, other) = (parse(&REQUEST), Response::new().subprotocol("other"));
    assert_eq!(request.accept_parts(&other).err(), Some(ResponseError::Subprotocol("other".into()).into()));
    assert!(request.accept_parts(&Response::new().subprotocol("chat")).is_ok(), "the caller's fault may be mended");
}

/// R116, R19: here the scheme is known, so a page must have come by the same.
#[test]
fn r116_the_origin_is_the_own_one_or_allowed() {
    let judge = |origin: &'static [u8], policy: OriginPolicy| {
        let fields = with("origin", origin);
        server::Request::from_fields(fields, &Config::default().origin(policy)).unwrap().verdict()
    };
    let same = |origin| judge(origin, OriginPolicy::same());
    assert_eq!(same(b"https://server.example.com"), Ok(()));
    assert_eq!(same(b"https://server.example.com:443"), Ok(()));
    for foreign in [&b"http://server.example.com"[..], b"https://www.example.com", b"null", b""] {
        assert_eq!(same(foreign.to_vec().leak()), Err(UpgradeError::Origin));
    }
    assert_eq!(UpgradeError::Origin.status(), 403);
}

/// R116: field names are in lower case, and values without control characters: else it is no request of HTTP/2.
#[test]
fn r116_names_are_in_lower_case() {
    let from = |name, value| server::Request::from_fields(and(name, value), &config()).err();
    assert_eq!(from("Origin", b"x"), Some(FieldError::Name("Origin".into()).into()));
    assert_eq!(from("a b", b"x"), Some(FieldError::Name("a b".into()).into()));
    assert_eq!(from("", b"x"), Some(FieldError::Name(String::new()).into()));
    assert_eq!(from("a", b"x\r\ny: z"), Some(FieldError::Value("a".into()).into()));
    assert_eq!(from(":path", b"/\r\n"), Some(FieldError::Value(":path".into()).into()));

    let fields = [("User-Agent", &b"me/1.0"[..])];
    let (_, parts) = ask(&Request::new("h", "/").subprotocols(&["Chat"]).origin("https://h").headers(&fields));
    assert_eq!(
        text(parts.fields()),
        pairs(&[
            (":method", "CONNECT"),
            (":protocol", "websocket"),
            (":scheme", "https"),
            (":authority", "h"),
            (":path", "/"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-protocol", "Chat"),
            ("origin", "https://h"),
            ("user-agent", "me/1.0"),
        ])
    );
    assert_eq!((parts.method(), parts.target()), ("CONNECT", "/"));
}

fn ask(request: &Request<'_>) -> (client::ExtendedConnect, client::Parts) {
    client::extended_connect(request, &config(), [1; 32]).unwrap()
}

/// A field that both ways of asking judge, right or wrong.
fn judged_field() -> impl Strategy<Value = (&'static str, Vec<u8>)> {
    let name = select(vec![
        "sec-websocket-version",
        "sec-websocket-protocol",
        "sec-websocket-extensions",
        "origin",
        "content-length",
        "cookie",
    ]);
    let known = select(vec![
        &b"13"[..],
        b"8",
        b"chat",
        b"a, b",
        b"a; b=1",
        b"https://h",
        b"http://h",
        b"null",
        b"0",
        b"1",
        b"",
    ]);
    let any = vec(prop_oneof![0x20..0x7f_u8, 0x80..=0xff_u8, Just(b'\t')], 0..8);
    (name, prop_oneof![3 => known.prop_map(<[u8]>::to_vec), 1 => any])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    /// I1: whatever a library hands over is judged, or refused as no request of HTTP/2; what is accepted has what it
    /// needs.
    #[test]
    fn i1_any_fields_are_judged(changes in vec((0..12_usize, "[:a-zA-Z -]{0,9}", vec(any::<u8>(), 0..9)), 0..6)) {
        let mut fields: Vec<(&str, &[u8])> = REQUEST.into();
        for (at, name, value) in &changes {
            match fields.get_mut(*at) {
                Some(field) if name.len() > 4 => field.1 = value,
                _ => fields.insert((*at).min(fields.len()), (name, value)),
            }
        }
        let Ok(request) = server::Request::from_fields(fields.iter().copied(), &config()) else { return Ok(()) };
        let accepted = request.accept_parts(&Response::new().subprotocol(request.subprotocols().next()));
        prop_assert_eq!(accepted.is_ok(), request.verdict().is_ok());
        if accepted.is_ok() {
            prop_assert_eq!(request.method(), "CONNECT");
            prop_assert!(request.target().starts_with('/') && request.host().is_some());
            prop_assert!(fields.iter().filter(|(name, _)| name.starts_with(':')).count() == 5);
        }
    }

    /// R116: whatever the other fields are, the verdict is that of HTTP/1.1.
    #[test]
    fn r116_the_verdict_is_that_of_http_1(mut others in vec(judged_field(), 0..5), version in any::<bool>()) {
        if version {
            others.push(("sec-websocket-version", b"13".to_vec()));
        }
        let judge = |own: &[Field<'_>], from: fn(&[Field<'_>], &Config) -> server::Request| {
            let others = others.iter().map(|(name, value)| (*name, &value[..]));
            let fields: Vec<_> = own.iter().copied().chain(others).collect();
            from(&fields, &Config::default()).verdict()
        };
        let stream = judge(&[&with(":authority", b"h")[..5]].concat(), |fields, config| {
            server::Request::from_fields(fields.iter().copied(), config).unwrap()
        });
        let upgrade: [Field<'_>; 4] = [
            ("host", b"h"),
            ("upgrade", b"websocket"),
            ("connection", b"upgrade"),
            ("sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        let http_1 = judge(&upgrade, |fields, config| {
            server::Request::from_parts("GET", "https://h/chat", fields.iter().copied(), config).unwrap()
        });
        let expected = http_1.map_err(|error| match error {
            UpgradeError::Version => UpgradeError::ConnectVersion,
            same => same,
        });
        prop_assert_eq!(stream, expected);
    }
}

#[test]
fn r117_a_client_opens_with_2xx_and_fails_with_101() {
    let answer = |status| ask(&Request::new("h", "/")).0.receive_parts(status, [("server", &b"x"[..])]);
    for status in [200, 204, 299] {
        let (_, response) = answer(status).unwrap();
        assert_eq!((response.status(), response.header("Server")), (status, Some(&b"x"[..])));
    }
    for status in [100, 101, 300, 400, 403, 501, 0] {
        let Err(HandshakeError::Rejected(response)) = answer(status) else { panic!("{status}") };
        assert_eq!((response.status(), response.body(), response.is_whole()), (status, &b""[..], false));
    }
}

/// R117: R43, R44: what the server chose was offered, once.
#[test]
fn r117_a_client_checks_what_was_chosen() {
    let answer = |name: &'static str, values: &[&'static str]| {
        let (handshake, _) = ask(&Request::new("h", "/").subprotocols(&["a", "b"]));
        let fields = values.iter().map(|value| (name, value.as_bytes()));
        handshake.receive_parts(200, fields).map(|(_, response)| response.subprotocol().map(String::from))
    };
    assert_eq!(answer("sec-websocket-protocol", &["b"]), Ok(Some("b".into())));
    assert_eq!(answer("sec-websocket-protocol", &[]), Ok(None));
    for wrong in ["c", "a, b", "B"] {
        let error = HandshakeError::Subprotocol(Some(wrong.into()));
        assert_eq!(answer("sec-websocket-protocol", &[wrong]), Err(error));
    }
    assert_eq!(answer("sec-websocket-protocol", &["a", "a"]), Err(HandshakeError::Subprotocol(None)));
    let unoffered = HandshakeError::Extension(Some("permessage-deflate".into()));
    assert_eq!(answer("sec-websocket-extensions", &["permessage-deflate"]), Err(unoffered));
}

#[test]
fn r118_another_protocol_is_not_implemented() {
    accepted(&with(":protocol", b"WebSocket"));
    for protocol in [&b"connect-udp"[..], b"webtransport", b"websocket2", b"web socket", b""] {
        refused(&with(":protocol", protocol.to_vec().leak()), UpgradeError::Protocol, 501);
    }
}

/// R119: a client and a server, joined by a stream.
#[test]
fn r119_frames_are_those_of_any_websocket() {
    let (handshake, parts) = ask(&Request::new("server.example.com", "/chat"));
    let request = server::Request::from_fields(parts.fields(), &config()).unwrap();
    let (mut server, accepted) = request.accept_parts(&Response::new()).unwrap();
    let (mut client, _) = handshake.receive_parts(accepted.status(), accepted.fields()).unwrap();

    let (mut up, mut down) = (BytesMut::new(), BytesMut::new());
    client.send_text("Hello", &mut up).unwrap();
    assert_eq!((up[0], up[1]), (0x81, 0x85), "masked");
    assert_eq!(server.receive(&mut &mut up[..], &mut down).unwrap(), Some(Event::Text("Hello".into())));
    server.close(None, &mut down).unwrap();
    assert_eq!(down[..], *b"\x88\x00");
    up.clear();
    assert_eq!(client.receive(&mut &mut down[..], &mut up).unwrap(), Some(Event::Close(None)));
    down.clear();
    assert_eq!(server.receive(&mut &mut up[..], &mut down).unwrap(), Some(Event::Close(None)));
    // The end of the stream's halves.
    assert_eq!(server.transport(), Transport::ShutdownWrite);
    assert_eq!((client.receive_eof(), client.transport()), (Ok(()), Transport::Close));
    assert_eq!((server.receive_eof(), server.transport()), (Ok(()), Transport::Close));
}

#[test]
fn r119_frames_without_a_mask_fail() {
    let (mut server, _) = accepted(&REQUEST);
    let mut out = BytesMut::new();
    let mut hello = *b"\x81\x05Hello";
    assert_eq!(server.receive(&mut &mut hello[..], &mut out), Err(Error::Protocol(Violation::Unmasked)));
    assert_eq!(out[..4], *b"\x88\x19\x03\xea");
}

/// R119: a stream that ends without a Close is a lost connection, whoever reads it.
#[test]
fn r119_a_stream_that_ends_early_is_a_lost_connection() {
    let (mut client, _) = ask(&Request::new("h", "/")).0.receive_parts(200, []).unwrap();
    let (mut server, _) = accepted(&REQUEST);
    assert_eq!(client.receive_eof(), Err(Error::ConnectionLost));
    assert_eq!(server.receive_eof(), Err(Error::ConnectionLost));
}

#[test]
fn a_request_on_a_stream_has_no_answer_in_bytes() {
    let (request, mut out) = (parse(&REQUEST), BytesMut::new());
    assert_eq!(request.accept(&Response::new(), &mut out).err(), Some(ResponseError::Stream.into()));
    assert_eq!(request.reject(404, &[], b"", &mut out), Err(ResponseError::Stream));
    assert!(out.is_empty());
    assert!(request.accept_parts(&Response::new()).is_ok(), "it is not answered yet");
}

/// R115, R116: bad arguments of the caller are told before anything is made.
#[test]
fn a_client_that_asks_for_nonsense_is_told() {
    let ask = |request: Request<'_>| client::extended_connect(&request, &config(), [1; 32]).err();
    assert_eq!(ask(Request::new("a b", "/")), Some(RequestError::Host("a b".into())));
    assert_eq!(ask(Request::new("h", "chat")), Some(RequestError::Target("chat".into())));
    assert_eq!(ask(Request::new("h", "/").subprotocols(&["a", "a"])), Some(RequestError::Subprotocol("a".into())));
    assert_eq!(ask(Request::new("h", "/").headers(&[(":path", b"/")])), Some(FieldError::Name(":path".into()).into()));
    assert_eq!(ask(Request::new("h", "/").headers(&[("a", b"\n")])), Some(FieldError::Value("a".into()).into()));
}

#[test]
fn a_uri_tells_the_scheme_and_the_credentials() {
    for (uri, scheme) in [("wss://u:p@h/", "https"), ("ws://u:p@h/", "http")] {
        let uri = sansock::handshake::Uri::parse(uri).unwrap();
        let (_, parts) = ask(&Request::from_uri(&uri));
        let fields = text(parts.fields());
        assert!(fields.contains(&(":scheme".into(), scheme.into())), "{fields:?}");
        assert!(fields.contains(&("authorization".into(), "Basic dTpw".into())), "{fields:?}");
        assert!(!format!("{parts:?}").contains("dTpw"));
    }
}

/// R116, R99: the same offer and the same answer as over HTTP/1.1.
#[cfg(feature = "deflate")]
#[test]
fn r116_permessage_deflate_is_agreed_on() {
    use sansock::deflate::Deflate;

    let config = config().deflate(Deflate::default());
    let (handshake, parts) = client::extended_connect(&Request::new("h", "/"), &config, [1; 32]).unwrap();
    let request = server::Request::from_fields(parts.fields(), &config).unwrap();
    let (server, accepted) = request.accept_parts(&Response::new()).unwrap();
    assert_eq!(text(accepted.fields()), pairs(&[("sec-websocket-extensions", "permessage-deflate")]));
    let (client, _) = handshake.receive_parts(200, accepted.fields()).unwrap();
    let (ours, theirs) = (client.deflate().unwrap(), server.deflate().unwrap());
    assert_eq!((ours.sending(), ours.receiving()), (theirs.receiving(), theirs.sending()));
}
