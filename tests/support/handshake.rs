//! What both handshake tests share: every case is fed whole, byte by byte, and in every two pieces, and must come out
//! the same; and a strict second opinion on what is a valid opening handshake, which shares no code with the crate.

#![allow(dead_code)]

use std::fmt::Debug;

use bytes::BytesMut;
use sansock::{Config, HandshakeError, Refused, Transport, UpgradeError, client, handshake::ResponseError, server};

/// The request of RFC 6455 §1.2, with an offer of an extension.
pub(crate) const REQUEST: &str = "GET /chat HTTP/1.1\r\n\
    Host: server.example.com\r\n\
    Upgrade: websocket\r\n\
    Connection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Origin: http://example.com\r\n\
    Sec-WebSocket-Protocol: chat, superchat\r\n\
    Sec-WebSocket-Extensions: foo; bar=1\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";

/// The smallest request.
pub(crate) const MINIMAL: &str = "GET / HTTP/1.1\r\n\
    Host: h\r\n\
    Upgrade: websocket\r\n\
    Connection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";

pub(crate) fn config() -> Config {
    Config::default().origin(sansock::OriginPolicy::list(["http://example.com"]))
}

/// Names and values.
pub(crate) type Fields = Vec<(String, Vec<u8>)>;

/// What a server made of some bytes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Served {
    /// Method, target and fields of the request.
    pub(crate) request: Option<(String, String, Fields)>,
    pub(crate) error: Option<HandshakeError>,
    /// What `accept` said.
    pub(crate) refused: Option<Refused>,
    /// What it wrote: in `receive`, and in `accept`.
    pub(crate) out: Vec<u8>,
    /// What was not taken.
    pub(crate) left: Vec<u8>,
    pub(crate) transport: Transport,
}

impl Served {
    pub(crate) fn accepted(&self) -> bool {
        self.request.is_some() && self.refused.is_none()
    }

    pub(crate) fn verdict(&self) -> Option<UpgradeError> {
        match self.refused {
            Some(Refused::Request(error)) => Some(error),
            _ => None,
        }
    }

    pub(crate) fn out(&self) -> &str {
        std::str::from_utf8(&self.out).unwrap()
    }

    /// The status of the answer; 0 when there is none.
    pub(crate) fn status(&self) -> u16 {
        if self.out.is_empty() {
            return 0;
        }
        let status = self.out().strip_prefix("HTTP/1.1 ").unwrap()[..3].parse().unwrap();
        if status != 101 {
            check_answer(self.out());
        }
        status
    }

    pub(crate) fn headers(&self) -> &[(String, Vec<u8>)] {
        &self.request.as_ref().unwrap().2
    }
}

/// Every answer that refuses has its length, says that the connection ends, and is nothing more.
pub(crate) fn check_answer(answer: &str) {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap();
    assert_eq!(length.parse(), Ok(body.len()), "{answer}");
    let connection = head.lines().find_map(|line| line.strip_prefix("Connection: ")).unwrap();
    assert!(connection == "close" || connection == "Upgrade, close", "{answer}");
}

/// Feeds these pieces to a server, which accepts what it can once all are there. A refused request's rest is discarded.
pub(crate) fn serve_pieces(pieces: &[&[u8]], config: &Config) -> Served {
    let mut handshake = server::Handshake::new(config);
    let mut out = BytesMut::new();
    let mut served = Served {
        request: None,
        error: None,
        refused: None,
        out: Vec::new(),
        left: Vec::new(),
        transport: Transport::KeepOpen,
    };
    let mut pending = None;
    for piece in pieces {
        let mut piece = piece.to_vec();
        let mut input = &mut piece[..];
        match handshake.receive(&mut input, &mut out) {
            Ok(None) => {}
            Ok(Some(request)) => {
                assert!(out.is_empty() && pending.is_none());
                pending = Some(request);
            }
            Err(error) => {
                assert!(input.is_empty() && served.error.is_none());
                served.error = Some(error);
            }
        }
        served.left.extend_from_slice(input);
    }
    if let Some(request) = pending {
        let fields = request.headers().map(|(name, value)| (name.to_owned(), value.to_vec())).collect();
        served.request = Some((request.method().to_owned(), request.target().to_owned(), fields));
        served.refused = request.accept(&server::Response::new(), &mut out).err();
        assert_eq!(served.refused, request.verdict().err().map(Refused::Request));
        let again = request.accept(&server::Response::new(), &mut out).err();
        assert_eq!(again, Some(Refused::Response(ResponseError::Answered)));
        let mut rest = served.left.clone();
        let mut input = &mut rest[..];
        let written = out.len();
        assert!(matches!(handshake.receive(&mut input, &mut out), Ok(None)) && out.len() == written);
        assert_eq!(input, if served.refused.is_some() { &[][..] } else { &served.left });
    }
    served.out = out.to_vec();
    served.transport = handshake.transport();
    served
}

/// Whole, byte by byte, and in every two pieces (some, when there are very many).
pub(crate) fn every_cut<T: PartialEq + Debug>(bytes: &[u8], run: impl Fn(&[&[u8]]) -> T) -> T {
    let whole = run(&[bytes]);
    assert_eq!(run(&bytes.chunks(1).collect::<Vec<_>>()), whole, "byte by byte");
    let step = 1 + bytes.len() / 1000;
    for cut in (0..=bytes.len()).step_by(step) {
        assert_eq!(run(&[&bytes[..cut], &bytes[cut..]]), whole, "cut at {cut}");
    }
    whole
}

pub(crate) fn serve_with(bytes: impl AsRef<[u8]>, config: &Config) -> Served {
    every_cut(bytes.as_ref(), |pieces| serve_pieces(pieces, config))
}

pub(crate) fn serve(bytes: impl AsRef<[u8]>) -> Served {
    serve_with(bytes, &config())
}

/// The golden request with one line of it replaced, or taken away, or lines added.
pub(crate) fn with(name: &str, lines: &[&str]) -> String {
    let prefix = format!("{name}:");
    let mut request = String::new();
    for line in REQUEST.trim_end().split("\r\n").filter(|line| !line.starts_with(&prefix)) {
        request = request + line + "\r\n";
    }
    for line in lines {
        request = request + line + "\r\n";
    }
    request + "\r\n"
}

/// The request of this client, and the machine that waits for its answer.
pub(crate) fn connect(request: &client::Request<'_>, config: &Config) -> (client::Handshake, String) {
    let mut out = BytesMut::new();
    let handshake = client::connect(request, config, [7; 32], &mut out).unwrap();
    (handshake, String::from_utf8(out.to_vec()).unwrap())
}

/// What a client made of an answer.
#[derive(Debug, PartialEq)]
pub(crate) struct Answered {
    pub(crate) result: Result<Option<(u16, Option<String>)>, HandshakeError>,
    pub(crate) left: Vec<u8>,
    pub(crate) transport: Transport,
}

/// Feeds these pieces to a client that offered `chat` and `superchat`.
pub(crate) fn answer_pieces(pieces: &[&[u8]], config: &Config) -> Answered {
    let request = client::Request::new("h", "/").subprotocols(&["chat", "superchat"]);
    let mut handshake = connect(&request, config).0;
    let mut answered = Answered { result: Ok(None), left: Vec::new(), transport: Transport::KeepOpen };
    for piece in pieces {
        let mut piece = piece.to_vec();
        let mut input = &mut piece[..];
        match handshake.receive(&mut input) {
            Ok(None) => {}
            Ok(Some((_, response))) => {
                let subprotocol = response.subprotocol().map(str::to_owned);
                answered.result = Ok(Some((response.status(), subprotocol)));
            }
            Err(error) => {
                assert!(input.is_empty() && answered.result == Ok(None));
                answered.result = Err(error);
            }
        }
        answered.left.extend_from_slice(input);
    }
    answered.transport = handshake.transport();
    answered
}

/// The Sec-WebSocket-Accept that answers [`connect`]'s key.
pub(crate) fn accept() -> String {
    let request = client::Request::new("h", "/");
    sansock::handshake::accept_key(connect(&request, &Config::default()).0.key())
}

fn token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b))
}

fn trim(text: &[u8]) -> &[u8] {
    let is_space = |b: &u8| *b == b' ' || *b == b'\t';
    let start = text.iter().position(|b| !is_space(b)).unwrap_or(text.len());
    let end = text.iter().rposition(|b| !is_space(b)).map_or(start, |at| at + 1);
    &text[start..end]
}

/// The lines of a head, and its fields; `None` if it is no complete and valid head.
type Lines = (Vec<u8>, Fields);

fn lines(bytes: &[u8]) -> Option<Lines> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let text: String = bytes[..end].iter().map(|&b| char::from(b)).collect();
    let mut lines = text.split("\r\n");
    let first = lines.next()?;
    let valid = |line: &str| line.chars().all(|c| c == '\t' || !c.is_ascii_control());
    if !valid(first) {
        return None;
    }
    let latin1 = |text: &str| text.chars().map(|c| c as u8).collect::<Vec<u8>>();
    let mut fields = Vec::new();
    for line in lines {
        let (name, value) = line.split_once(':')?;
        if !token(&latin1(name)) || !valid(value) {
            return None;
        }
        fields.push((name.to_ascii_lowercase(), trim(&latin1(value)).to_vec()));
    }
    Some((latin1(first), fields))
}

fn all<'a>(fields: &'a [(String, Vec<u8>)], name: &str) -> Vec<&'a [u8]> {
    fields.iter().filter(|field| field.0 == name).map(|field| &field.1[..]).collect()
}

/// The elements of comma-separated fields; `None` when one is not valid.
fn list<'a>(values: &[&'a [u8]], valid: impl Fn(&[u8]) -> bool) -> Option<Vec<&'a [u8]>> {
    let elements = values.iter().flat_map(|value| value.split(|b| *b == b',')).map(trim).filter(|one| !one.is_empty());
    elements.map(|one| valid(one).then_some(one)).collect()
}

/// The strict second opinion on a request (it knows no quoted values, no port but digits, no absolute target).
pub(crate) fn is_opening_handshake(mut bytes: &[u8]) -> bool {
    while let [b'\r', b'\n', rest @ ..] = bytes {
        bytes = rest;
    }
    opening_handshake(bytes).unwrap_or(false)
}

fn opening_handshake(bytes: &[u8]) -> Option<bool> {
    let (first, fields) = lines(bytes)?;
    let target = first.strip_prefix(b"GET ")?.strip_suffix(b" HTTP/1.1")?;
    let target_ok = target.first() == Some(&b'/') && target.iter().all(|b| b.is_ascii_graphic() && *b != b'#');

    let [host] = all(&fields, "host")[..] else { return None };
    let mut host = host.splitn(2, |b| *b == b':');
    let (name, port) = (host.next()?, host.next().unwrap_or_default());
    let in_name = |b: &u8| b.is_ascii_alphanumeric() || b"-._~!$&'()*+;=".contains(b);
    let host_ok = !name.is_empty() && name.iter().all(in_name) && port.iter().all(u8::is_ascii_digit);

    let protocol = |one: &[u8]| one.splitn(2, |b| *b == b'/').all(token);
    let upgrade = list(&all(&fields, "upgrade"), protocol)?;
    let upgrade_ok = upgrade.iter().any(|one| one.eq_ignore_ascii_case(b"websocket"));
    let connection = list(&all(&fields, "connection"), token)?;
    let connection_ok = connection.iter().any(|one| one.eq_ignore_ascii_case(b"upgrade"));

    let [key] = all(&fields, "sec-websocket-key")[..] else { return None };
    let version_ok = all(&fields, "sec-websocket-version") == [b"13"];
    let body = !all(&fields, "content-length").is_empty() || !all(&fields, "transfer-encoding").is_empty();

    let offered = all(&fields, "sec-websocket-protocol");
    let mut names = list(&offered, token)?;
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    let names_ok = names.len() == count && (offered.is_empty() || count > 0);

    let param = |one: &[u8]| one.splitn(2, |b| *b == b'=').all(|part| token(trim(part)));
    let extension = |one: &[u8]| {
        let mut parts = one.split(|b| *b == b';').map(trim);
        token(parts.next().unwrap_or_default()) && parts.all(param)
    };
    let offered = all(&fields, "sec-websocket-extensions");
    let extensions_ok = !list(&offered, extension)?.is_empty() || offered.is_empty();

    let origin_ok = match all(&fields, "origin")[..] {
        [] => true,
        [origin] => origin.eq_ignore_ascii_case(b"http://example.com"),
        _ => false,
    };
    let all_ok = target_ok && host_ok && upgrade_ok && connection_ok && version_ok && !body;
    Some(all_ok && is_key(key) && names_ok && extensions_ok && origin_ok)
}

/// Whether a text is the one base64 form of 16 bytes, by decoding it.
pub(crate) fn is_key(key: &[u8]) -> bool {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let Some(digits) = key.strip_suffix(b"==") else { return false };
    let values: Option<Vec<usize>> = digits.iter().map(|b| ALPHABET.iter().position(|a| a == b)).collect();
    values.is_some_and(|values| values.len() == 22 && values[21].is_multiple_of(16))
}

/// The strict second opinion on an answer to [`answer_pieces`]'s client.
pub(crate) fn is_switch(bytes: &[u8]) -> bool {
    switch(bytes).unwrap_or(false)
}

fn switch(bytes: &[u8]) -> Option<bool> {
    let (first, fields) = lines(bytes)?;
    let rest = first.strip_prefix(b"HTTP/1.1 101")?;
    let first_ok = rest.is_empty() || rest[0] == b' ';
    let [upgrade] = all(&fields, "upgrade")[..] else { return None };
    let connection = list(&all(&fields, "connection"), token)?;
    let connection_ok = connection.iter().any(|one| one.eq_ignore_ascii_case(b"upgrade"));
    let accept_ok = all(&fields, "sec-websocket-accept") == [accept().as_bytes()];
    let chosen = all(&fields, "sec-websocket-protocol");
    let chosen_ok = chosen.is_empty() || chosen == [b"chat"] || chosen == [&b"superchat"[..]];
    let extended = !all(&fields, "sec-websocket-extensions").is_empty();
    let upgrade_ok = upgrade.eq_ignore_ascii_case(b"websocket");
    Some(first_ok && upgrade_ok && connection_ok && accept_ok && chosen_ok && !extended)
}

/// Every single-byte replacement, deletion and duplication.
pub(crate) fn mutations(golden: &[u8], mut each: impl FnMut(&[u8], usize)) {
    let mut bytes = golden.to_vec();
    for at in 0..golden.len() {
        for byte in 0..=255 {
            bytes[at] = byte;
            each(&bytes, at);
        }
        bytes[at] = golden[at];
        let mut deleted = golden.to_vec();
        deleted.remove(at);
        each(&deleted, at);
        let mut doubled = golden.to_vec();
        doubled.insert(at, golden[at]);
        each(&doubled, at);
    }
}
