//! Whatever a client asks or a server answers: what is handed out, accepted and refused is what a second parser finds
//! valid or not; how the bytes are cut changes nothing; what the crate writes is valid itself.
//!
//! Input: a byte of flags (1: client; 2: tight limits), two of [`Cuts`], then the peer's bytes. In an answer the
//! Sec-WebSocket-Accept of RFC 6455 §1.3 stands for the right one.

#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use sansock::{
    Config, Connection, HandshakeError, HeadError, OriginPolicy, Refused, State, Transport, client,
    handshake::ResponseError, server,
};
use sansock_fuzz::{
    cuts::Cuts,
    http::{Front, Head, Limits, base64, head, is_hopeless, status_line},
};
use sha1::{Digest, Sha1};

const SUBPROTOCOLS: [&str; 2] = ["chat", "superchat"];
const EXAMPLE_ACCEPT: &[u8] = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
const MAX_BODY: usize = 50;

fuzz_target!(|data: &[u8]| {
    let [flags, a, b, stream @ ..] = data else { return };
    let limits = if flags & 2 == 0 {
        Limits { head: 16 << 10, line: 8 << 10, fields: 100 }
    } else {
        Limits { head: 400, line: 100, fields: 8 }
    };
    let config = Config::default()
        .origin(OriginPolicy::any())
        .max_head_len(limits.head)
        .max_line_len(limits.line)
        .max_headers(limits.fields)
        .max_body_len(MAX_BODY);
    if flags & 1 == 0 {
        let (one, other) = (serve(&config, Cuts::new(*a), stream), serve(&config, Cuts::new(*b), stream));
        assert_eq!(one, other);
        judge_server(&one, stream, limits);
    } else {
        let mut out = BytesMut::new();
        let handshake = connect(&config, &mut out);
        let accept = accept(handshake.key().as_bytes());
        let stream = &replace(stream, EXAMPLE_ACCEPT, accept.as_bytes());
        let Front::Head(request) = head(&out, true, Limits { head: 1000, line: 500, fields: 10 }) else {
            panic!("the request is well-formed")
        };
        assert!(request.asks_for_websocket() && request.len == out.len());
        let (one, other) = (ask(&config, Cuts::new(*a), stream), ask(&config, Cuts::new(*b), stream));
        assert_eq!(one, other);
        judge_client(&one, stream, limits, &accept);
    }
});

/// How a handshake ended, in either role.
#[derive(Debug, PartialEq)]
struct Outcome {
    result: Option<Result<Answer, HandshakeError>>,
    /// What a server wrote.
    out: BytesMut,
    /// What was left for the connection.
    rest: Vec<u8>,
    eof: Result<(), HandshakeError>,
}

/// What a successful one says of the peer's head.
#[derive(Debug, PartialEq)]
struct Answer {
    fields: Vec<(String, Vec<u8>)>,
    subprotocols: Vec<String>,
    /// Whether there is a connection.
    connected: bool,
    /// Everything else, for comparison only.
    more: String,
}

fn serve(config: &Config, mut cuts: Cuts, mut stream: &[u8]) -> Outcome {
    let mut handshake = server::Handshake::new(config);
    let (mut out, mut result, mut rest) = (BytesMut::new(), None, Vec::new());
    while result.is_none() && !stream.is_empty() {
        let mut buffer = cuts.next_piece(&mut stream).to_vec();
        let mut input = &mut buffer[..];
        match handshake.receive(&mut input, &mut out) {
            Ok(None) => {
                assert!(input.is_empty(), "nothing is left when more is asked for");
                assert!(out.is_empty(), "no answer before the request is complete");
            }
            Ok(Some(request)) => {
                assert!(out.is_empty(), "it is the application that answers");
                rest = [&*input, stream].concat();
                result = Some(Ok(answer(&request, &handshake, &mut out, &rest)));
            }
            Err(error) => {
                assert!(input.is_empty(), "the rest is discarded");
                assert_eq!(handshake.transport(), Transport::ShutdownWrite);
                result = Some(Err(error));
            }
        }
    }
    if matches!(result, Some(Err(_))) {
        let before = out.clone();
        for _ in 0..1000 {
            let mut buffer = *b"GET / HTTP/1.1\r\n\r\n";
            let mut input = &mut buffer[..];
            assert!(matches!(handshake.receive(&mut input, &mut out), Ok(None)) && input.is_empty());
        }
        assert_eq!(out, before, "after the end there is nothing to say");
    }
    let eof = handshake.receive_eof();
    if handshake.transport() == Transport::Close {
        assert!(handshake.poll_timeout().is_some(), "the end of the input does not end time");
    }
    Outcome { result, out, rest, eof }
}

/// The application's part: it accepts what it can, with a subprotocol and a field of its own.
fn answer(request: &server::Request, handshake: &server::Handshake, out: &mut BytesMut, rest: &[u8]) -> Answer {
    if request.verdict().is_ok() {
        for field in [("Upgrade", &b"x"[..]), ("X", b"a\r\nb"), ("X: y\r\nZ", b"")] {
            let fields = [field];
            let response = server::Response::new().headers(&fields);
            assert!(matches!(request.accept(&response, out), Err(Refused::Response(_))) && out.is_empty());
        }
    }
    let chosen = request.preferred(&SUBPROTOCOLS);
    let fields = [("Set-Cookie", &b"a=b"[..])];
    let accepted = request.accept(&server::Response::new().subprotocol(chosen).headers(&fields), out);
    match (&accepted, request.verdict()) {
        (Ok(_), Ok(())) => {}
        (Err(Refused::Request(error)), Err(verdict)) => assert_eq!(*error, verdict),
        (accepted, verdict) => panic!("{verdict:?}, and then {accepted:?}"),
    }
    let written = out.len();
    let again = request.accept(&server::Response::new(), out);
    assert!(matches!(again, Err(Refused::Response(ResponseError::Answered))) && out.len() == written);

    let connected = accepted.is_ok();
    if let Ok(connection) = accepted {
        talk(connection, rest);
        assert_eq!(handshake.transport(), Transport::KeepOpen);
    } else {
        assert_eq!(handshake.transport(), Transport::ShutdownWrite);
    }
    let extensions: Vec<_> = request
        .extensions()
        .map(|extension| (extension.name.to_owned(), format!("{:?}", extension.params().collect::<Vec<_>>())))
        .collect();
    Answer {
        fields: request.headers().map(|(name, value)| (name.to_ascii_lowercase(), value.to_vec())).collect(),
        subprotocols: request.subprotocols().map(str::to_owned).collect(),
        connected,
        more: format!("{request:?} {:?} {:?} {extensions:?}", request.host(), request.content_length()),
    }
}

/// The first frames may be there already.
fn talk(mut connection: Connection, rest: &[u8]) {
    assert_eq!(connection.state(), State::Open);
    let mut buffer = rest.to_vec();
    let (mut input, mut out) = (&mut buffer[..], BytesMut::new());
    while let Ok(Some(_)) = connection.receive(&mut input, &mut out) {}
}

fn judge_server(outcome: &Outcome, stream: &[u8], limits: Limits) {
    match (&outcome.result, &head(stream, true, limits)) {
        (None, Front::Head(_)) => panic!("a whole request was not seen"),
        (None, _) => {
            assert_eq!(outcome.eof, Err(HandshakeError::ConnectionLost));
            assert!(outcome.out.is_empty());
            assert!(!is_hopeless(stream, true) || !stream.is_ascii(), "a line that no request has did not fail");
        }
        (Some(Ok(answer)), Front::Head(head)) => {
            assert_eq!(answer.fields, head.fields);
            assert_eq!(outcome.rest, stream[head.len..], "what follows the head is left");
            let asks = head.asks_for_websocket();
            assert!(asks || !answer.connected, "accepted what is no opening handshake");
            assert!(!asks || answer.connected || !head.is_plain(), "refused a plain opening handshake");
            if let (true, Some(offered)) = (answer.connected, head.subprotocols()) {
                assert!(answer.subprotocols.iter().map(String::as_bytes).eq(offered));
            }
            judge_reply(outcome, Some(head));
        }
        // A target in UTF-8 is shown to the application, but never accepted.
        (Some(Ok(answer)), _) => assert!(!answer.connected && !stream.is_ascii(), "handed out what is no request"),
        (Some(Err(error)), front) => {
            if let Front::Head(head) = front {
                let of_the_body = match error {
                    HandshakeError::TransferEncoding => !head.all("transfer-encoding").is_empty(),
                    HandshakeError::Head(HeadError::Malformed(_)) => !head.all("content-length").is_empty(),
                    _ => false,
                };
                assert!(of_the_body, "{error} in a valid request");
            }
            assert_eq!(outcome.eof, Ok(()));
            judge_reply(outcome, None);
        }
    }
}

/// Whatever a server wrote is one whole valid answer.
fn judge_reply(outcome: &Outcome, request: Option<&Head>) {
    let Front::Head(reply) = head(&outcome.out, false, Limits { head: 1000, line: 500, fields: 10 }) else {
        panic!("the answer is well-formed")
    };
    let body = &outcome.out[reply.len..];
    let status = status_line(&reply.start).expect("it is well-formed").1;
    match &outcome.result {
        Some(Ok(answer)) if answer.connected => {
            let key = request.and_then(|head| head.once("sec-websocket-key")).expect("it was accepted");
            let offered: Vec<_> = answer.subprotocols.iter().map(String::as_str).collect();
            assert!(reply.opens_websocket(&accept(key), &offered) && body.is_empty());
            assert_eq!(reply.once("set-cookie"), Some(&b"a=b"[..]));
        }
        result => {
            let expected = match result {
                Some(Err(error)) => error.status(),
                _ => None,
            };
            assert!(status >= 400 && expected.is_none_or(|expected| expected == status));
            let len = reply.once("content-length").and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
            let to_head = request.is_some_and(|head| head.start.starts_with(b"HEAD "));
            assert!(len == Some(body.len()) || to_head && body.is_empty());
            assert_eq!(reply.all("upgrade").is_empty(), status != 426);
            assert_eq!(reply.all("sec-websocket-version").is_empty(), status != 426);
            assert_eq!(reply.all("allow").is_empty(), status != 405);
        }
    }
}

fn connect(config: &Config, out: &mut BytesMut) -> client::Handshake {
    let request = client::Request::new("example.com", "/chat?a=b").subprotocols(&SUBPROTOCOLS);
    client::connect(&request, config, [3; 32], out).expect("the request is valid")
}

fn ask(config: &Config, mut cuts: Cuts, mut stream: &[u8]) -> Outcome {
    let mut handshake = connect(config, &mut BytesMut::new());
    let (mut result, mut rest) = (None, Vec::new());
    while result.is_none() && !stream.is_empty() {
        let mut buffer = cuts.next_piece(&mut stream).to_vec();
        let mut input = &mut buffer[..];
        match handshake.receive(&mut input) {
            Ok(None) => assert!(input.is_empty(), "nothing is left when more is asked for"),
            Ok(Some((connection, response))) => {
                rest = [&*input, stream].concat();
                talk(connection, &rest);
                let fields = response.headers().map(|(name, value)| (name.to_ascii_lowercase(), value.to_vec()));
                result = Some(Ok(Answer {
                    fields: fields.collect(),
                    subprotocols: response.subprotocol().map(str::to_owned).into_iter().collect(),
                    connected: true,
                    more: format!("{response:?}"),
                }));
            }
            Err(error) => {
                assert!(input.is_empty(), "the rest is discarded");
                assert_eq!(handshake.transport(), Transport::Close);
                result = Some(Err(error));
            }
        }
    }
    if matches!(result, Some(Err(_))) {
        for _ in 0..1000 {
            let mut buffer = *b"HTTP/1.1 200 OK\r\n\r\n";
            let mut input = &mut buffer[..];
            assert!(matches!(handshake.receive(&mut input), Ok(None)) && input.is_empty());
        }
    }
    let eof = handshake.receive_eof();
    if handshake.transport() == Transport::Close {
        assert!(handshake.poll_timeout().is_some(), "the end of the input does not end time");
    }
    Outcome { result, out: BytesMut::new(), rest, eof }
}

fn judge_client(outcome: &Outcome, stream: &[u8], limits: Limits, accept: &str) {
    let mut at = 0;
    // Interim answers go before the one that counts.
    let front = loop {
        match head(&stream[at..], false, limits) {
            Front::Head(head) if matches!(status_line(&head.start), Some((_, 100 | 102..=199))) => at += head.len,
            other => break other,
        }
    };
    match (&outcome.result, &front) {
        (None, Front::Head(head)) => {
            assert_ne!(status_line(&head.start).map(|line| line.1), Some(101), "a whole 101 was not seen");
            assert!(matches!(outcome.eof, Err(HandshakeError::Rejected(_))), "{:?}", outcome.eof);
        }
        (None, Front::Incomplete) => {
            assert_eq!(outcome.eof, Err(HandshakeError::ConnectionLost));
            assert!(!is_hopeless(&stream[at..], false), "a line that no answer has did not fail");
        }
        (None, Front::Malformed) => assert_eq!(outcome.eof, Err(HandshakeError::ConnectionLost)),
        (Some(Ok(answer)), Front::Head(head)) => {
            assert!(head.opens_websocket(accept, &SUBPROTOCOLS), "accepted what opens no connection");
            assert_eq!(answer.fields, head.fields);
            assert_eq!(outcome.rest, stream[at + head.len..]);
        }
        (Some(Ok(_)), _) => panic!("accepted what is no answer"),
        (Some(Err(HandshakeError::Rejected(response))), Front::Head(head)) => {
            assert_eq!(status_line(&head.start).map(|line| line.1), Some(response.status()));
            assert!(response.status() != 101 && response.body().len() <= MAX_BODY);
        }
        (Some(Err(HandshakeError::Rejected(_))), _) => panic!("handed out what is no answer"),
        (Some(Err(error)), Front::Head(head)) => {
            let too_many = matches!(error, HandshakeError::TooManyInterim { .. });
            assert!(too_many || !head.opens_websocket(accept, &SUBPROTOCOLS), "{error} in a valid answer");
        }
        (Some(Err(_)), _) => assert_eq!(outcome.eof, Ok(())),
    }
}

/// §4.2.2, item 5.4.
fn accept(key: &[u8]) -> String {
    base64(&Sha1::digest([key, b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"].concat()))
}

fn replace(text: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    let Some(at) = text.windows(old.len()).position(|window| window == old) else { return text.to_vec() };
    [&text[..at], new, &text[at + old.len()..]].concat()
}
