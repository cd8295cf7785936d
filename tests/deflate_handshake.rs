//! permessage-deflate is negotiated in the opening handshake (RFC 7692 §5, §7.1; RFC 6455 §9.1): the same rules as for
//! its values, from the heads of a real request and a real answer.

use bytes::BytesMut;
use sansock::{
    Config, Connection, Error, Event, HandshakeError, Violation, client,
    deflate::{Compress, Declined, Deflate},
    handshake::accept_key,
    server,
};

fn config(deflate: Deflate) -> Config {
    Config::default().deflate(deflate)
}

/// The value of `Sec-WebSocket-Extensions` in the head of an answer.
fn extensions(answer: &[u8]) -> Option<String> {
    let head = std::str::from_utf8(answer).unwrap();
    let mut found = head.lines().filter_map(|line| line.strip_prefix("Sec-WebSocket-Extensions: "));
    let value = found.next().map(String::from);
    assert_eq!(found.next(), None, "one field");
    value
}

fn request(config: &Config, fields: &[&str]) -> server::Request {
    let mut head = String::from(
        "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
    );
    for field in fields {
        head += &["Sec-WebSocket-Extensions: ", field, "\r\n"].concat();
    }
    let mut head = (head + "\r\n").into_bytes();
    server::Handshake::new(config).receive(&mut &mut head[..], &mut BytesMut::new()).unwrap().unwrap()
}

/// What a server answers to a request with these extension fields, and its connection.
fn serve(config: &Config, fields: &[&str]) -> (Option<String>, Connection) {
    let mut out = BytesMut::new();
    let connection = request(config, fields).accept(&server::Response::new(), &mut out).unwrap();
    assert!(out.starts_with(b"HTTP/1.1 101 "));
    (extensions(&out), connection)
}

#[test]
fn r98_r104_the_first_acceptable_offer_is_answered() {
    let good = "permessage-deflate; server_max_window_bits=10";
    let cases: &[(&[&str], Option<&str>)] = &[
        (&["permessage-deflate"], Some("permessage-deflate")),
        (&[good], Some(good)),
        (&["permessage-deflate; foo", good], Some(good)),
        (&["permessage-deflate; foo, permessage-deflate; server_max_window_bits=10, permessage-deflate"], Some(good)),
        (&["foo; bar=1", "x, permessage-deflate; server_max_window_bits=10", "permessage-deflate"], Some(good)),
        (&["permessage-deflate; server_max_window_bits=8", good], Some(good)),
        (&["permessage-deflate; server_max_window_bits", good], Some(good)),
        (&["permessage-deflate; server_max_window_bits=10; server_max_window_bits=10", good], Some(good)),
        (&["permessage-deflate; client_no_context_takeover=1", good], Some(good)),
        (&["permessage-deflate; client_max_window_bits=07", good], Some(good)),
        // R97: quoted, with and without escapes.
        (&["permessage-deflate; server_max_window_bits=\"10\""], Some(good)),
        (&["permessage-deflate ;\tserver_max_window_bits = \"1\\0\""], Some(good)),
        // R100: asked for with a value or without, it limits nobody unless the server wants to.
        (&["permessage-deflate; client_max_window_bits"], Some("permessage-deflate")),
        (&["permessage-deflate; client_max_window_bits=9"], Some("permessage-deflate; client_max_window_bits=9")),
        // R102, R103
        (
            &["permessage-deflate; client_no_context_takeover; server_no_context_takeover"],
            Some("permessage-deflate; server_no_context_takeover; client_no_context_takeover"),
        ),
        // Other extensions, and none.
        (&["x-webkit-deflate-frame, foo"], None),
        (&["permessage-deflate-2, permessage"], None),
        (&[], None),
        (&["permessage-deflate; foo", "permessage-deflate; server_max_window_bits=16"], None),
    ];
    for (fields, expected) in cases {
        let (answer, mut connection) = serve(&config(Deflate::default()), fields);
        assert_eq!(answer.as_deref(), *expected, "{fields:?}");
        assert_eq!(connection.deflate().is_some(), expected.is_some());
        // Where nothing was agreed on, nothing is compressed, and RSV1 means nothing.
        let mut out = BytesMut::new();
        connection.compress(Compress::Always).send_text("Hello", &mut out).unwrap();
        assert_eq!(out[0], if expected.is_some() { 0xC1 } else { 0x81 });
        let mut first = [0xC1];
        let verdict = connection.receive(&mut &mut first[..], &mut out);
        let expected = if expected.is_some() { Ok(None) } else { Err(Error::Protocol(Violation::ReservedBit)) };
        assert_eq!(verdict, expected);
        // Off, there is no answer to any offer.
        assert_eq!(serve(&Config::default(), fields).0, None);
    }
}

#[test]
fn r98_what_was_refused_and_why_can_be_seen() {
    let offers = "permessage-deflate; foo, other, permessage-deflate; server_max_window_bits=8, permessage-deflate, \
                  permessage-deflate; client_max_window_bits=1";
    let request_on = request(&config(Deflate::default()), &[offers]);
    let seen: Vec<_> = request_on.deflate_offers().map(|offer| offer.map(|(answer, _)| answer.to_string())).collect();
    let expected =
        [Err(Declined::Unknown), Err(Declined::Window), Ok("permessage-deflate".into()), Err(Declined::Value)];
    assert_eq!(seen, expected);
    assert_eq!(request(&Config::default(), &[offers]).deflate_offers().count(), 0);
}

/// What a client makes of an answer with this extension field.
fn confirm(deflate: Option<Deflate>, field: &str) -> Result<Connection, HandshakeError> {
    let config = Config::default().deflate(deflate);
    let mut client = client::connect(&client::Request::new("h", "/"), &config, [1; 32], &mut BytesMut::new()).unwrap();
    let accept = accept_key(client.key());
    let mut head = format!(
        "HTTP/1.1 101 \r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\
         Sec-WebSocket-Extensions: {field}\r\n\r\n"
    )
    .into_bytes();
    client.receive(&mut &mut head[..]).map(|done| done.unwrap().0)
}

#[test]
fn r99_a_client_fails_on_an_answer_that_its_offer_does_not_allow() {
    let default = Deflate::default();
    let small = default.peer_window_bits(10).unwrap();
    let reset = default.peer_context_takeover(false);
    for (deflate, params, why) in [
        (default, "; foo", Declined::Unknown),
        (default, "; server_no_context_takeover; server_no_context_takeover", Declined::Repeated),
        (default, "; server_no_context_takeover=\"1\"", Declined::Value),
        (default, "; server_max_window_bits", Declined::Value),
        (default, "; server_max_window_bits=\"010\"", Declined::Value),
        // R100
        (default, "; client_max_window_bits", Declined::Value),
        // R101
        (small, "; server_max_window_bits=11", Declined::Answer),
        (small, "", Declined::Answer),
        // R102
        (reset, "", Declined::Answer),
        (reset, "; client_no_context_takeover", Declined::Answer),
    ] {
        let error = confirm(Some(deflate), &format!("permessage-deflate{params}")).unwrap_err();
        assert_eq!(error, HandshakeError::Deflate(why), "{params}");
    }
    for field in ["foo", "permessage-deflate, foo", "permessage-deflate, permessage-deflate", "Xpermessage-deflate"] {
        assert_eq!(
            confirm(Some(default), field).unwrap_err(),
            HandshakeError::Extension(Some(field.into())),
            "{field}"
        );
        assert_eq!(confirm(None, field).unwrap_err(), HandshakeError::Extension(Some(field.into())), "{field}");
    }
    assert_eq!(
        confirm(None, "permessage-deflate").unwrap_err(),
        HandshakeError::Extension(Some("permessage-deflate".into()))
    );
}

#[test]
fn r101_a_client_takes_what_its_offer_allows() {
    for (params, sending, receiving) in [
        ("", (15, true), (15, true)),
        ("; server_max_window_bits=\"9\"", (15, true), (9, true)),
        ("; client_max_window_bits=9; server_no_context_takeover", (9, true), (15, false)),
        ("; client_no_context_takeover;client_max_window_bits=8", (8, false), (15, true)),
    ] {
        let connection = confirm(Some(Deflate::default()), &format!("permessage-deflate{params}")).unwrap();
        let agreed = connection.deflate().unwrap();
        assert_eq!((agreed.sending().window_bits, agreed.sending().context_takeover), sending, "{params}");
        assert_eq!((agreed.receiving().window_bits, agreed.receiving().context_takeover), receiving, "{params}");
    }
}

/// Both sides' wishes about both contexts, and three messages each way that have everything in common.
#[test]
fn r103_two_ends_negotiate_and_understand_each_other() {
    let text = "Everything that was said is said again. ".repeat(10);
    for wishes in 0..16 {
        let wish = |bit: u32| wishes >> bit & 1 == 1;
        let of_client = Deflate::default().context_takeover(wish(0)).peer_context_takeover(wish(1));
        let of_server = Deflate::default().context_takeover(wish(2)).peer_context_takeover(wish(3));
        let (to_server, to_client) = (wish(0) && wish(3), wish(2) && wish(1));

        let mut wire = BytesMut::new();
        let request = client::Request::new("h", "/");
        let mut client = client::connect(&request, &config(of_client), [1; 32], &mut wire).unwrap();
        let mut handshake = server::Handshake::new(&config(of_server));
        let request = handshake.receive(&mut &mut wire[..], &mut BytesMut::new()).unwrap().unwrap();
        wire.clear();
        let mut server = request.accept(&server::Response::new(), &mut wire).unwrap();
        let (mut client, _) = client.receive(&mut &mut wire[..]).unwrap().unwrap();
        assert_eq!(client.deflate().unwrap().sending(), server.deflate().unwrap().receiving());
        assert_eq!(server.deflate().unwrap().sending().context_takeover, to_client);
        assert_eq!(client.deflate().unwrap().sending().context_takeover, to_server);

        for (from, to, takeover) in [(0, 1, to_server), (1, 0, to_client)] {
            let ends = &mut [&mut client, &mut server];
            let lens = [(); 3].map(|()| {
                let mut wire = BytesMut::new();
                ends[from].send_text(&text, &mut wire).unwrap();
                let received = ends[to].receive(&mut &mut wire[..], &mut BytesMut::new()).unwrap();
                assert_eq!(received, Some(Event::Text(text.as_str().into())));
                wire.len()
            });
            assert_eq!(lens[0] > lens[2], takeover, "only with its window is the third shorter than the first");
        }
    }
}
