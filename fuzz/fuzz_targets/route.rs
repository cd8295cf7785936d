//! Whatever a proxy answers, a tunnel opens exactly where a plain reader of the whole stream finds it open, and how the
//! bytes are cut changes nothing. Wherever a redirect leads, it is a valid URI, without what it must not have.
//!
//! Input: a byte of flags (1: redirect; 2: SOCKS; 4: user and password; 8: tight limits), two of [`Cuts`], then the proxy's
//! bytes; or a URI, a line feed, and a Location.

#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use sansock::{
    Config, HandshakeError, Transport,
    client::{self, Request},
    handshake::Uri,
    route::{
        Route,
        proxy::{Proxies, Proxy, ProxyError},
        redirect::{RedirectError, location},
    },
};
use sansock_fuzz::{
    cuts::Cuts,
    http::{Front, Limits, head, status_line},
};

fuzz_target!(|data: &[u8]| {
    let [flags, a, b, rest @ ..] = data else { return };
    if flags & 1 == 1 {
        let Some(line) = rest.iter().position(|&byte| byte == b'\n') else { return };
        let Ok(base) = str::from_utf8(&rest[..line]) else { return };
        return redirect(base, &rest[line + 1..]);
    }
    let limits = if flags & 8 == 0 {
        Limits { head: 16 << 10, line: 8 << 10, fields: 100 }
    } else {
        Limits { head: 400, line: 100, fields: 8 }
    };
    let config = Config::default().max_head_len(limits.head).max_line_len(limits.line).max_headers(limits.fields);
    let known = flags & 4 != 0;
    let proxy = format!(
        "{}{}proxy",
        if flags & 2 == 0 { "http://" } else { "socks5://" },
        if known { "user:secret@" } else { "" }
    );
    let (one, other) = (talk(&proxy, &config, Cuts::new(*a), rest), talk(&proxy, &config, Cuts::new(*b), rest));
    assert_eq!(one, other);
    let opens = if flags & 2 == 0 { http_opens(rest, limits) } else { socks_opens(rest, known) };
    assert_eq!(one.is_open, opens.is_some(), "{one:?}");
    if let Some(at) = opens {
        assert_eq!(one.rest, &rest[at..]);
    }
});

#[derive(Debug, PartialEq)]
struct Outcome {
    is_open: bool,
    error: Option<ProxyError>,
    sent: BytesMut,
    rest: Vec<u8>,
    eof: Result<(), ProxyError>,
}

fn talk(proxy: &str, config: &Config, mut cuts: Cuts, mut stream: &[u8]) -> Outcome {
    let mut sent = BytesMut::new();
    let proxy = Proxy::parse(proxy).expect("a proxy");
    let mut tunnel = proxy.connect("server.example", 443, config, &mut sent).expect("a host");
    let (mut is_open, mut error, mut rest) = (false, None, Vec::new());
    while !is_open && error.is_none() && !stream.is_empty() {
        let mut buffer = cuts.next_piece(&mut stream).to_vec();
        let mut input = &mut buffer[..];
        match tunnel.receive(&mut input, &mut sent) {
            Ok(open) => {
                assert!(open || input.is_empty(), "nothing is left when more is asked for");
                if open {
                    (is_open, rest) = (true, [&*input, stream].concat());
                }
            }
            Err(failure) => {
                assert!(input.is_empty(), "the rest is discarded");
                error = Some(failure);
            }
        }
    }
    let before = sent.clone();
    if error.is_some() {
        assert_eq!(tunnel.transport(), Transport::Close);
        let mut buffer = *b"\x05\0HTTP/1.1 200 OK\r\n\r\n";
        assert_eq!(tunnel.receive(&mut &mut buffer[..], &mut sent), Ok(false));
    }
    let eof = tunnel.receive_eof();
    assert_eq!(eof.is_err(), !is_open && error.is_none());
    assert_eq!(sent, before, "after the end there is nothing to say");
    Outcome { is_open, error, sent, rest, eof }
}

/// Where the tunnel begins: behind the first head with 2xx, after at most eight interim ones.
fn http_opens(stream: &[u8], limits: Limits) -> Option<usize> {
    let mut at = 0;
    for _ in 0..=8 {
        let Front::Head(head) = head(&stream[at..], false, limits) else { return None };
        at += head.len;
        match status_line(&head.start)?.1 {
            200..=299 => return Some(at),
            100 | 102..=199 => {}
            _ => return None,
        }
    }
    None
}

/// Where the tunnel begins: behind the method, perhaps the answer to user and password, and the reply.
fn socks_opens(stream: &[u8], known: bool) -> Option<usize> {
    let reply = match stream {
        [5, 0, ..] => 2,
        [5, 2, 1, 0, ..] if known => 4,
        _ => return None,
    };
    let [5, 0, _, kind, address @ ..] = stream.get(reply..)? else { return None };
    let len = match kind {
        1 => 4,
        3 => 1 + usize::from(*address.first()?),
        4 => 16,
        _ => return None,
    };
    let end = reply + 4 + len + 2;
    (stream.len() >= end).then_some(end)
}

fn redirect(base: &str, target: &[u8]) {
    let Ok(from) = Uri::parse(base) else { return };
    let answer = [b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: ", target, b"\r\n\r\n"].concat();
    let refusal = refusal(answer);
    let HandshakeError::Rejected(response) = &refusal else { return };
    if response.status() != 302 {
        return;
    }
    let redirect = match location(&from, response) {
        Ok(Some(redirect)) => redirect,
        Ok(None) => {
            return assert_ne!(response.headers().filter(|field| field.0.eq_ignore_ascii_case("location")).count(), 1);
        }
        Err(error) => {
            assert!(from.is_secure() || error != RedirectError::Insecure);
            return;
        }
    };
    let to = Uri::parse(redirect.uri()).expect("a valid URI");
    assert!(to.is_secure() || !from.is_secure(), "TLS is not given up");
    let same =
        from.is_secure() == to.is_secure() && from.host().eq_ignore_ascii_case(to.host()) && from.port() == to.port();
    assert_eq!(redirect.is_same_origin(), same);
    assert_eq!(to.userinfo(), from.userinfo().filter(|_| same), "our own credentials, at their origin");
    let path = to.target();
    let path = path.split('?').next().unwrap_or_default();
    assert!(path.split('/').all(|segment| segment != "." && segment != ".."), "{path}");

    // A route goes the same way, and once there, the same place is no other.
    let mut route = Route::new(base).expect("a valid URI");
    assert_eq!(route.follow(&refusal), Ok(true));
    assert_eq!(route.uri(), to);
    let mut out = BytesMut::new();
    client::connect(route.request(), &Config::default(), [0; 32], &mut out).expect("a valid request");
    let again = b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation:\r\n\r\n".to_vec();
    assert_eq!(route.follow(&self::refusal(again)), Ok(true));
    assert_eq!(route.uri().target(), to.target());

    // Lists of exceptions and URIs of proxies are the user's; they must not panic either.
    let text = String::from_utf8_lossy(target);
    let _ = Proxy::parse(&text);
    let proxies = Proxies::all(Proxy::parse("http://proxy").expect("a proxy"));
    assert!(proxies.clone().except(&format!("{text},*")).of(&to).is_none());
    if !to.host().starts_with(['.', '*']) {
        assert!(proxies.clone().except(to.host()).of(&to).is_none());
    }
    let _ = proxies.except(&text).of(&to);
}

/// What a client makes of this answer.
fn refusal(mut answer: Vec<u8>) -> HandshakeError {
    let config = Config::default();
    let request = Request::new("h", "/");
    let mut handshake = client::connect(&request, &config, [0; 32], &mut BytesMut::new()).expect("a valid request");
    match handshake.receive(&mut &mut answer[..]) {
        Ok(_) => handshake.receive_eof().err().unwrap_or(HandshakeError::ConnectionLost),
        Err(error) => error,
    }
}
