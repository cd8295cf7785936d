//! The conversation with proxies: HTTP CONNECT (RFC 9110 §9.3.6), SOCKS5 (RFC 1928, RFC 1929).
#![cfg(feature = "route")]

use std::{collections::HashMap, time::Duration};

use bytes::BytesMut;
use sansock::{
    Config, HeadError, Malformed, Timestamp, Transport,
    handshake::{RequestError, Uri, UriError},
    route::{
        Route,
        proxy::{Proxies, Proxy, ProxyError, ProxyUriError, SocksReply, Tunnel},
    },
};

fn begin(proxy: &str, host: &str, port: u16) -> (Tunnel, BytesMut) {
    let mut out = BytesMut::new();
    let tunnel = Proxy::parse(proxy).unwrap().connect(host, port, &Config::default(), &mut out).unwrap();
    (tunnel, out)
}

/// A conversation whose answers come in these pieces: the result, all that was sent, and what was left of the last
/// piece.
fn converse(proxy: &str, pieces: &[&[u8]]) -> (Result<bool, ProxyError>, Vec<u8>, Vec<u8>) {
    let (mut tunnel, mut out) = begin(proxy, "server.example", 443);
    let mut left = Vec::new();
    let mut result = Ok(false);
    for piece in pieces {
        if result != Ok(false) {
            if result == Ok(true) {
                left.extend_from_slice(piece);
            }
            continue;
        }
        let mut piece = piece.to_vec();
        let mut input = &mut piece[..];
        result = tunnel.receive(&mut input, &mut out);
        left.extend_from_slice(input);
    }
    assert_eq!(tunnel.transport(), if result.is_err() { Transport::Close } else { Transport::KeepOpen });
    assert!(result.is_ok() || left.is_empty(), "what follows an error is discarded");
    (result, out.to_vec(), left)
}

/// The same however it is cut.
fn every_cut(proxy: &str, answers: &[u8]) -> (Result<bool, ProxyError>, Vec<u8>, Vec<u8>) {
    let whole = converse(proxy, &[answers]);
    assert_eq!(whole, converse(proxy, &answers.chunks(1).collect::<Vec<_>>()));
    for cut in 0..=answers.len() {
        assert_eq!(whole, converse(proxy, &[&answers[..cut], &answers[cut..]]), "cut at {cut}");
    }
    whole
}

#[test]
fn http_asks_with_connect() {
    let sent = |proxy, host, port| String::from_utf8(begin(proxy, host, port).1.to_vec()).unwrap();
    assert_eq!(
        sent("http://proxy", "server.example", 443),
        "CONNECT server.example:443 HTTP/1.1\r\nHost: server.example:443\r\n\r\n"
    );
    assert_eq!(sent("http://proxy:8080/", "::1", 80), "CONNECT [::1]:80 HTTP/1.1\r\nHost: [::1]:80\r\n\r\n");
    assert_eq!(
        sent("http://Aladdin:open%20sesame@proxy", "h", 1),
        "CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\nProxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n"
    );
}

#[test]
fn http_any_2xx_opens_and_what_follows_its_head_is_the_servers() {
    for (status, field) in [
        ("HTTP/1.1 200 Connection established", ""),
        ("HTTP/1.0 200 OK", "Via: x\r\n"),
        ("HTTP/1.1 299", "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n"),
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 x\r\nLink: y\r\n\r\nHTTP/1.1 200 z", ""),
    ] {
        let (result, _, left) = every_cut("http://proxy", format!("{status}\r\n{field}\r\n\x16\x03\x01").as_bytes());
        assert_eq!((result, &left[..]), (Ok(true), &b"\x16\x03\x01"[..]), "{status}");
    }
}

#[test]
fn http_any_other_answer_is_shown_without_its_body() {
    for status in ["101", "301", "403", "407", "502"] {
        let answer = format!("HTTP/1.1 {status} no\r\nProxy-Authenticate: Basic\r\nContent-Length: 4\r\n\r\nbody");
        match every_cut("http://proxy", answer.as_bytes()).0 {
            Err(ProxyError::Rejected(response)) => {
                assert_eq!(response.status().to_string(), status);
                assert_eq!(response.header("proxy-authenticate"), Some(&b"Basic"[..]));
                assert!(response.body().is_empty() && !response.is_whole());
            }
            other => panic!("{status}: {other:?}"),
        }
    }
}

#[test]
fn http_what_is_no_head_or_too_long_fails_at_once() {
    let fails = |answer: &[u8]| match every_cut("http://proxy", answer).0 {
        Err(ProxyError::Head(error)) => error,
        other => panic!("{other:?}"),
    };
    assert_eq!(fails(b"\x05\0"), HeadError::Malformed(Malformed::FirstByte));
    assert_eq!(fails(b"HTTP/1.1 200 OK\n\n"), HeadError::Malformed(Malformed::BareLf));
    assert_eq!(fails(b"HTTP/1.1 200 OK\r\nA : b\r\n\r\n"), HeadError::Malformed(Malformed::FieldName));
    let (mut tunnel, mut out) = begin("http://proxy", "h", 1);
    let mut endless = b"HTTP/1.1 200 OK\r\n".to_vec();
    endless.extend(b"A: b\r\n".repeat(101));
    let result = tunnel.receive(&mut &mut endless[..], &mut out);
    assert_eq!(result, Err(ProxyError::Head(HeadError::TooManyFields { max: 100 })));
    // Interim answers do not go on for ever.
    let interim = b"HTTP/1.1 100 x\r\n\r\n".repeat(9);
    assert!(matches!(every_cut("http://proxy", &interim).0, Err(ProxyError::Rejected(_))));
}

#[test]
fn http_a_line_that_no_answer_has_fails_at_its_crlf() {
    for (bytes, error) in [
        ("Hello!\r\n", HeadError::Version),
        ("HTTP/1.1 600 x\r\n", HeadError::Malformed(Malformed::StartLine)),
        ("HTTP/1.1 200 x\r\nfoo\r\n", HeadError::Malformed(Malformed::FieldName)),
        ("HTTP/1.1 200 x\r\na ", HeadError::Malformed(Malformed::FieldName)),
    ] {
        let before = &bytes.as_bytes()[..bytes.len() - 1];
        assert_eq!(every_cut("http://proxy", before).0, Ok(false), "{bytes:?}");
        assert_eq!(every_cut("http://proxy", bytes.as_bytes()).0, Err(ProxyError::Head(error)), "{bytes:?}");
    }
}

#[test]
fn socks_without_credentials() {
    let (result, sent, left) = every_cut("socks5h://proxy", b"\x05\0\x05\0\0\x01\x7f\0\0\x01\x04\x38more");
    let expected = [b"\x05\x01\0", &b"\x05\x01\0\x03\x0eserver.example\x01\xbb"[..]].concat();
    assert_eq!((result, sent, left), (Ok(true), expected, b"more".to_vec()));
}

#[test]
fn socks_with_credentials() {
    let proxy = "socks5://us%65r:p%3aw@proxy";
    let (result, sent, _) = every_cut(proxy, b"\x05\x02\x01\0\x05\0\0\x01\0\0\0\0\0\0");
    let expected =
        [b"\x05\x02\0\x02", &b"\x01\x04user\x03p:w"[..], b"\x05\x01\0\x03\x0eserver.example\x01\xbb"].concat();
    assert_eq!((result, sent), (Ok(true), expected));
    // A proxy that does not ask for them does not get them.
    let (result, sent, _) = every_cut(proxy, b"\x05\0\x05\0\0\x01\0\0\0\0\0\0");
    assert_eq!(result, Ok(true));
    assert!(!sent.windows(4).any(|window| window == b"user"));
}

#[test]
fn socks_addresses_go_as_addresses_and_names_as_names() {
    let asked = |host: &str, port| {
        let (mut tunnel, mut out) = begin("socks5://proxy", host, port);
        out.clear();
        assert_eq!(tunnel.receive(&mut &mut b"\x05\0".to_vec()[..], &mut out), Ok(false));
        out.to_vec()
    };
    assert_eq!(asked("127.0.0.1", 80), b"\x05\x01\0\x01\x7f\0\0\x01\0\x50");
    assert_eq!(asked("::1", 0x1234), [b"\x05\x01\0\x04", &[0; 15][..], b"\x01\x12\x34"].concat());
    assert_eq!(asked("a.b", 1), b"\x05\x01\0\x03\x03a.b\0\x01");
}

#[test]
fn socks_the_bound_address_has_three_forms() {
    let name = [&[3, 200][..], &[b'x'; 200]].concat();
    let no_name = [3, 0];
    for address in [&[1, 1, 2, 3, 4][..], &[&[4][..], &[7; 16]].concat(), &name, &no_name] {
        let answers = [b"\x05\0\x05\0\0", address, b"\0\x50more"].concat();
        let (result, _, left) = every_cut("socks5://proxy", &answers);
        assert_eq!((result, &left[..]), (Ok(true), &b"more"[..]));
    }
    assert_eq!(every_cut("socks5://proxy", b"\x05\0\x05\0\0\x02").0, Err(ProxyError::Malformed));
}

#[test]
fn socks_each_reply_is_an_error_of_its_own_at_its_byte() {
    let known = [
        SocksReply::General,
        SocksReply::NotAllowed,
        SocksReply::NetworkUnreachable,
        SocksReply::HostUnreachable,
        SocksReply::ConnectionRefused,
        SocksReply::TtlExpired,
        SocksReply::Command,
        SocksReply::AddressType,
    ];
    for code in 1..=255 {
        let expected = known.get(usize::from(code) - 1).copied().unwrap_or(SocksReply::Other(code));
        assert_eq!(every_cut("socks5://proxy", &[5, 0, 5, code]).0, Err(ProxyError::Reply(expected)));
    }
}

#[test]
fn socks_what_breaks_its_rules_fails_at_the_first_byte_that_proves_it() {
    let fails = |proxy: &str, answers: &[u8]| {
        assert_eq!(converse(proxy, &[&answers[..answers.len() - 1]]).0, Ok(false), "{answers:?}");
        every_cut(proxy, answers).0.unwrap_err()
    };
    let (open, known) = ("socks5://proxy", "socks5://u:p@proxy");
    assert_eq!(fails(open, b"\x04"), ProxyError::Malformed);
    assert_eq!(fails(open, b"H"), ProxyError::Malformed);
    assert_eq!(fails(open, b"\x05\0\x04"), ProxyError::Malformed);
    assert_eq!(fails(known, b"\x05\x02\x05"), ProxyError::Malformed);
    assert_eq!(fails(known, b"\x05\x02\x01\x01"), ProxyError::Credentials);
    for method in [1, 2, 3, 0x80, 0xff] {
        assert_eq!(fails(open, &[5, method]), ProxyError::NoMethod);
    }
    for method in [1, 3, 0xff] {
        assert_eq!(fails(known, &[5, method]), ProxyError::NoMethod);
    }
}

#[test]
fn an_end_is_an_error_until_the_tunnel_is_open_wherever_it_comes() {
    for (proxy, answers) in [
        ("http://proxy", &b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n"[..]),
        ("socks5://u:p@proxy", b"\x05\x02\x01\0\x05\0\0\x01\0\0\0\0\0\0"),
    ] {
        for cut in 0..=answers.len() {
            let (mut tunnel, mut out) = begin(proxy, "h", 1);
            let opened = tunnel.receive(&mut &mut answers[..cut].to_vec()[..], &mut out).unwrap();
            assert_eq!(opened, cut == answers.len());
            let expected = if opened { Ok(()) } else { Err(ProxyError::ConnectionLost) };
            assert_eq!(tunnel.receive_eof(), expected, "{proxy}, {cut}");
            // Once is enough, and nothing is taken for an answer after it.
            assert_eq!(tunnel.receive_eof(), Ok(()));
            assert_eq!(tunnel.receive(&mut &mut answers.to_vec()[..], &mut out), Ok(opened));
        }
    }
}

#[test]
fn a_proxy_that_is_too_slow_is_given_up() {
    let at = |seconds| Timestamp::from_duration(Duration::from_secs(seconds));
    for proxy in ["http://proxy", "socks5://proxy"] {
        let (mut tunnel, mut out) = begin(proxy, "h", 1);
        assert_eq!(tunnel.poll_timeout(), Some(Timestamp::ZERO));
        assert_eq!(tunnel.handle_timeout(at(1), &mut out), Ok(()));
        assert_eq!(tunnel.poll_timeout(), Some(at(11)));
        assert_eq!(tunnel.handle_timeout(at(11), &mut out), Err(ProxyError::Timeout));
        assert_eq!((tunnel.transport(), tunnel.poll_timeout()), (Transport::Abort, None));
        assert_eq!(tunnel.receive(&mut &mut b"\x05\0HTTP".to_vec()[..], &mut out), Ok(false));
    }
    let (mut tunnel, mut out) = begin("http://proxy", "h", 1);
    assert_eq!(tunnel.receive(&mut &mut b"HTTP/1.1 200 OK\r\n\r\n".to_vec()[..], &mut out), Ok(true));
    assert_eq!(tunnel.handle_timeout(at(99), &mut out), Ok(()));
}

/// R52: after the end of the input a tunnel that is not dropped has what is left of its deadline, and so it has after
/// an error.
#[test]
fn r52_the_end_of_the_input_does_not_end_time() {
    let at = |seconds| Timestamp::from_duration(Duration::from_secs(seconds));
    let start = |config: &Config, proxy: &str, bytes: &[u8]| {
        let mut out = BytesMut::new();
        let mut tunnel = Proxy::parse(proxy).unwrap().connect("h", 1, config, &mut out).unwrap();
        tunnel.handle_timeout(at(1), &mut out).unwrap();
        let failed = tunnel.receive(&mut &mut bytes.to_vec()[..], &mut out).is_err();
        assert!(tunnel.receive_eof().is_err() != failed);
        assert_eq!(tunnel.transport(), Transport::Close);
        tunnel
    };
    let mut out = BytesMut::new();
    for (proxy, bytes) in [
        ("http://proxy", &b""[..]),
        ("http://proxy", b"HTTP/1.1 200"),
        ("http://proxy", b"HTTP/1.1 403 no\r\n\r\n"),
        ("socks5://proxy", b"\x05"),
        ("socks5://proxy", b"\x04"),
    ] {
        let mut tunnel = start(&Config::default(), proxy, bytes);
        assert_eq!(tunnel.poll_timeout(), Some(at(11)), "{bytes:?}");
        assert_eq!(tunnel.handle_timeout(at(10), &mut out), Ok(()));
        assert_eq!(tunnel.transport(), Transport::Close);
        assert_eq!(tunnel.handle_timeout(at(11), &mut out), Ok(()), "{bytes:?}");
        assert_eq!((tunnel.transport(), tunnel.poll_timeout()), (Transport::Abort, None));
        assert_eq!(start(&Config::default().handshake_timeout(None), proxy, bytes).poll_timeout(), None);
    }
    // An open tunnel has no deadline of its own.
    let (mut tunnel, mut out) = begin("http://proxy", "h", 1);
    assert_eq!(tunnel.receive(&mut &mut b"HTTP/1.1 200 OK\r\n\r\n".to_vec()[..], &mut out), Ok(true));
    assert_eq!((tunnel.receive_eof(), tunnel.poll_timeout()), (Ok(()), None));
}

#[test]
fn where_no_tunnel_can_lead_is_the_callers_error() {
    for proxy in ["http://proxy", "socks5://proxy"] {
        let proxy = Proxy::parse(proxy).unwrap();
        let mut out = BytesMut::new();
        let mut refused = |host: &str, port| {
            let error = proxy.connect(host, port, &Config::default(), &mut out).err();
            assert!(matches!(error, Some(RequestError::Host(text)) if text.contains(host)), "{host}");
            assert!(out.is_empty());
        };
        for host in ["", "a b", "a\r\nX: y", "a/b", "a:b", "[::1]", "a@b", "\u{e9}"] {
            refused(host, 80);
        }
        refused("h", 0);
    }
    let long = "x".repeat(256);
    let mut out = BytesMut::new();
    let result = Proxy::parse("socks5://proxy").unwrap().connect(&long, 1, &Config::default(), &mut out);
    assert_eq!((result.err(), out.len()), (Some(RequestError::Host(long.clone())), 0));
    assert!(Proxy::parse("socks5://proxy").unwrap().connect(&long[1..], 1, &Config::default(), &mut out).is_ok());
}

#[test]
fn a_proxy_has_a_uri() {
    let parts = |uri| {
        let proxy = Proxy::parse(uri).unwrap();
        (proxy.host().to_owned(), proxy.port(), format!("{proxy:?}"))
    };
    assert_eq!(parts("http://p"), ("p".into(), 80, "http://p:80".into()));
    assert_eq!(parts("HTTP://u:secret@[::1]:3128/"), ("::1".into(), 3128, "http://..@::1:3128".into()));
    assert_eq!(parts("socks5://p"), ("p".into(), 1080, "socks5h://p:1080".into()));
    assert_eq!(parts("socks5h://u:secret@p"), ("p".into(), 1080, "socks5h://..@p:1080".into()));
    for (uri, error) in [
        ("p:3128", ProxyUriError::Scheme),
        ("https://p", ProxyUriError::Scheme),
        ("socks4://p", ProxyUriError::Scheme),
        ("http://", ProxyUriError::Authority(UriError::Host)),
        ("http://a b", ProxyUriError::Authority(UriError::Host)),
        ("http://p:0", ProxyUriError::Authority(UriError::Port)),
        ("http://p/x", ProxyUriError::Path),
        ("http://p?x", ProxyUriError::Path),
        ("http://p#x", ProxyUriError::Path),
        ("http://a b@p", ProxyUriError::Credentials),
        ("http://%2@p", ProxyUriError::Credentials),
        ("socks5://u@p", ProxyUriError::Credentials),
        ("socks5://u:@p", ProxyUriError::Credentials),
        ("socks5://:w@p", ProxyUriError::Credentials),
    ] {
        assert_eq!(Proxy::parse(uri).err(), Some(error), "{uri}");
    }
    let user = |len| Proxy::parse(&format!("socks5://{}:w@p", "u".repeat(len)));
    assert!(user(255).is_ok());
    assert_eq!(user(256).err(), Some(ProxyUriError::Credentials));
    let (tunnel, _) = begin("socks5://u:secret@p", "h", 1);
    assert!(!format!("{tunnel:?}").contains("secret"));
}

#[test]
fn exceptions_name_hosts_domains_and_ports() {
    let proxy = Proxy::parse("http://p").unwrap();
    let direct =
        |list: &str, uri: &str| Proxies::all(proxy.clone()).except(list).of(&Uri::parse(uri).unwrap()).is_none();
    for (list, uri) in [
        ("*", "ws://h/"),
        ("a.example", "ws://A.example/"),
        ("a.example", "wss://b.a.example/"),
        (".a.example", "ws://a.example/"),
        ("*.a.example", "ws://b.a.example/"),
        ("x, a.example:81 ,y", "ws://a.example:81/"),
        ("a.example:443", "wss://a.example/"),
        ("127.0.0.1", "ws://127.0.0.1:9/"),
        ("::1", "ws://[::1]/"),
        ("[::1]:80", "ws://[::1]/"),
    ] {
        assert!(direct(list, uri), "{list} {uri}");
    }
    for (list, uri) in [
        ("", "ws://h/"),
        (",,", "ws://h/"),
        (".", "ws://h/"),
        ("*.", "ws://h/"),
        ("a.example", "ws://ba.example/"),
        ("a.example", "ws://example/"),
        ("a.example:81", "ws://a.example/"),
        ("0.0.1", "ws://127.0.0.1/"),
        ("b.a.example", "ws://a.example/"),
        ("a very long entry that is no host", "ws://h/"),
    ] {
        assert!(!direct(list, uri), "{list} {uri}");
    }
}

#[test]
fn variables_are_read_only_by_name_and_in_their_order() {
    let chosen = |variables: &[(&str, &str)], uri: &str| {
        let variables: HashMap<_, _> = variables.iter().copied().collect();
        let proxies = Proxies::from_vars(|name| variables.get(name).map(|&value| value.into()))?;
        Ok::<_, ProxyUriError>(proxies.of(&Uri::parse(uri).unwrap()).map(|proxy| format!("{proxy:?}")))
    };
    let one = |variable: &str, value: &str, uri: &str| chosen(&[(variable, value)], uri).unwrap();
    for (variable, ws, wss) in [
        ("ws_proxy", true, false),
        ("wss_proxy", false, true),
        ("socks_proxy", true, true),
        ("https_proxy", true, true),
        ("http_proxy", true, false),
        ("all_proxy", true, true),
        ("ALL_PROXY", true, true),
        ("HTTPS_PROXY", true, true),
        // A program behind a web server gets it from the field `Proxy` of a request.
        ("HTTP_PROXY", false, false),
        ("ftp_proxy", false, false),
    ] {
        assert_eq!(one(variable, "http://p", "ws://h").is_some(), ws, "{variable}");
        assert_eq!(one(variable, "http://p", "wss://h").is_some(), wss, "{variable}");
    }
    assert_eq!(one("https_proxy", "p:3128", "wss://h").unwrap(), "http://p:3128");
    assert_eq!(one("socks_proxy", "p", "wss://h").unwrap(), "socks5h://p:1080");
    assert_eq!(one("all_proxy", "", "wss://h"), None);
    let both = [("https_proxy", "http://first"), ("HTTPS_PROXY", "http://second"), ("all_proxy", "http://third")];
    assert_eq!(chosen(&both, "wss://h").unwrap().unwrap(), "http://first:80");
    let except = [("all_proxy", "http://p"), ("NO_PROXY", "h, i")];
    assert_eq!(chosen(&except, "ws://h").unwrap(), None);
    assert!(chosen(&except, "ws://j").unwrap().is_some());
    assert_eq!(chosen(&[("https_proxy", "https://p")], "wss://h"), Err(ProxyUriError::Scheme));
}

#[test]
fn a_route_goes_through_the_proxy_of_each_server() {
    let proxies = Proxies::all(Proxy::parse("socks5h://p").unwrap()).except("direct");
    let route = Route::new("wss://[::1]/").unwrap().proxies(&proxies);
    assert_eq!(route.next_hop(), ("p", 1080));
    let route = Route::new("wss://direct/").unwrap().proxies(&proxies);
    assert_eq!(route.next_hop(), ("direct", 443));
    assert!(route.proxy().is_none());
    let route = Route::new("ws://h:9/").unwrap();
    assert_eq!(route.next_hop(), ("h", 9));
}
