//! Redirects of a client: RFC 9110 §10.2.2, §15.4; RFC 3986 §5.
#![cfg(feature = "route")]

use bytes::BytesMut;
use sansock::{
    Config, HandshakeError,
    client::{self, Request, Response},
    handshake::{Uri, UriError},
    route::{
        Route,
        redirect::{Redirect, RedirectError, location},
    },
};

/// What a client makes of this answer to its request.
fn refusal(answer: impl AsRef<[u8]>) -> HandshakeError {
    let request = Request::new("h", "/");
    let mut handshake = client::connect(&request, &Config::default(), [0; 32], &mut BytesMut::new()).unwrap();
    let mut answer = answer.as_ref().to_vec();
    let mut input = &mut answer[..];
    match handshake.receive(&mut input) {
        Ok(_) => handshake.receive_eof().unwrap_err(),
        Err(error) => error,
    }
}

fn redirect_to(location: &str) -> HandshakeError {
    refusal(format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"))
}

fn response(refusal: HandshakeError) -> Response {
    let HandshakeError::Rejected(response) = refusal else { panic!("{refusal:?}") };
    *response
}

fn decide(uri: &str, answer: HandshakeError) -> Result<Option<String>, RedirectError> {
    let redirect = location(&Uri::parse(uri).unwrap(), &response(answer))?;
    Ok(redirect.as_ref().map(Redirect::uri).map(String::from))
}

fn leads(from: &str, location: &str, to: &str) {
    assert_eq!(decide(from, redirect_to(location)), Ok(Some(to.into())), "{location:?}");
}

/// The request that a route sends.
fn sent(route: &Route<'_>) -> String {
    let mut out = BytesMut::new();
    client::connect(route.request(), &Config::default(), [0; 32], &mut out).unwrap();
    String::from_utf8(out.to_vec()).unwrap()
}

#[test]
fn five_statuses_with_one_location_are_redirects() {
    for status in 200..=599 {
        let answer = format!("HTTP/1.1 {status} x\r\nlocation: /there\r\nContent-Length: 0\r\n\r\n");
        let expected = [301, 302, 303, 307, 308].contains(&status).then(|| "ws://h/there".to_owned());
        assert_eq!(decide("ws://h/here", refusal(&answer)), Ok(expected), "{status}");
    }
    for fields in ["", "Location: /a\r\nLocation: /b\r\n", "Location: /a\r\nlocation: /a\r\n"] {
        let answer = format!("HTTP/1.1 302 x\r\n{fields}Content-Length: 0\r\n\r\n");
        assert_eq!(decide("ws://h/here", refusal(&answer)), Ok(None), "{fields:?}");
    }
}

#[test]
fn a_location_is_relative_or_absolute_and_web_schemes_stand_for_ours() {
    let from = "ws://h:8080/a/b?c";
    leads(from, "/there", "ws://h:8080/there");
    leads(from, "there?x", "ws://h:8080/a/there?x");
    leads(from, "../there", "ws://h:8080/there");
    leads(from, "?d", "ws://h:8080/a/b?d");
    leads(from, "", "ws://h:8080/a/b?c");
    leads(from, "//i/there", "ws://i/there");
    leads(from, "ws://i", "ws://i/");
    leads(from, "wss://i:1/x/../y?z#fragment", "wss://i:1/y?z");
    leads(from, "http://i/", "ws://i/");
    leads(from, "HTTPS://i/", "wss://i/");
    leads("wss://h/", "//i/", "wss://i/");
    leads("wss://h/", "https://i/", "wss://i/");
}

#[test]
fn tls_is_never_given_up() {
    for location in ["ws://h/", "http://h/", "WS://h:443/", "http://elsewhere"] {
        assert_eq!(decide("wss://h/", redirect_to(location)), Err(RedirectError::Insecure), "{location}");
    }
}

#[test]
fn what_cannot_be_connected_to_is_an_error() {
    for (location, error) in [
        ("ftp://h/", UriError::Scheme),
        ("javascript:alert(1)", UriError::Scheme),
        ("ws:/h", UriError::Scheme),
        ("http:there", UriError::Scheme),
        ("a:b", UriError::Scheme),
        ("//", UriError::Host),
        ("http://", UriError::Host),
        ("//h:0/", UriError::Port),
        ("//h:70000/", UriError::Port),
        ("/a b", UriError::Character),
        ("/\\there", UriError::Character),
        ("/%zz", UriError::Character),
        ("/\u{e9}", UriError::Character),
        ("//a@b@c/", UriError::Character),
    ] {
        assert_eq!(decide("ws://h/", redirect_to(location)), Err(RedirectError::Location(error)), "{location:?}");
    }
    let not_utf8 = refusal(b"HTTP/1.1 302 x\r\nLocation: /\xe9\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(decide("ws://h/", not_utf8), Err(RedirectError::Location(UriError::Character)));
}

#[test]
fn credentials_in_a_location_are_not_used_and_ours_stay_at_their_origin() {
    leads("ws://me:secret@h/", "/there", "ws://me:secret@h/there");
    leads("ws://me:secret@h/", "http://H:80/there", "ws://me:secret@H:80/there");
    leads("ws://me:secret@h/", "ws://you:known@h/there", "ws://me:secret@h/there");
    leads("ws://h/", "ws://you:known@h/there", "ws://h/there");
    for elsewhere in ["ws://i/", "ws://h:81/", "wss://h/"] {
        leads("ws://me:secret@h/", elsewhere, elsewhere);
    }
    let redirect = location(&Uri::parse("ws://me:secret@h/").unwrap(), &response(redirect_to("/there")));
    assert!(!format!("{redirect:?}").contains("secret"));
}

#[test]
fn a_route_asks_the_same_at_the_same_origin() {
    let headers: [(&str, &[u8]); 3] = [("Cookie", b"c"), ("X-Key", b"k"), ("X-Plain", b"p")];
    let mut route = Route::new("ws://me:secret@h:81/here")
        .unwrap()
        .headers(&headers)
        .secret_headers(&["x-key"])
        .subprotocols(&["chat"])
        .origin("http://o");
    assert_eq!(route.next_hop(), ("h", 81));
    let first = sent(&route);
    assert_eq!(route.follow(&redirect_to("/there")), Ok(true));
    assert_eq!(route.next_hop(), ("h", 81));
    assert_eq!(sent(&route), first.replace("/here", "/there"));
    assert!(first.contains("Authorization: Basic bWU6c2VjcmV0\r\n") && first.contains("Cookie: c\r\nX-Key: k\r\n"));
    assert!(!format!("{route:?}").contains("secret"));
}

#[test]
fn a_route_leaves_what_is_secret_at_its_origin_and_does_not_take_it_up_again() {
    let headers: [(&str, &[u8]); 5] =
        [("COOKIE", b"c"), ("Proxy-Authorization", b"a"), ("X-Key", b"k"), ("X-Plain", b"p"), ("Cookie2", b"d")];
    let mut route = Route::new("ws://me:secret@h/")
        .unwrap()
        .headers(&headers)
        .secret_headers(&["x-key"])
        .subprotocols(&["chat"])
        .origin("http://o");
    for back in ["ws://elsewhere/a", "ws://h/", "/"] {
        assert_eq!(route.follow(&redirect_to(back)), Ok(true));
        let request = sent(&route).to_lowercase();
        for secret in ["authorization", "cookie:", "x-key"] {
            assert!(!request.contains(secret), "{request}");
        }
        for kept in ["x-plain: p", "cookie2: d", "sec-websocket-protocol: chat", "origin: http://o"] {
            assert!(request.contains(kept), "{request}");
        }
    }
    // Also an Authorization of the caller's own, and without any of ours in its place.
    let bearer: [(&str, &[u8]); 1] = [("Authorization", b"Bearer t")];
    let mut route = Route::new("ws://me:secret@h/").unwrap().headers(&bearer);
    assert!(sent(&route).contains("Authorization: Bearer t") && !sent(&route).contains("Basic"));
    assert_eq!(route.follow(&redirect_to("wss://h/")), Ok(true));
    assert!(!sent(&route).contains("Authorization") && route.uri().is_secure());
}

#[test]
fn a_route_counts() {
    let mut route = Route::new("ws://h/").unwrap().max_redirects(2);
    assert_eq!(route.follow(&redirect_to("/1")), Ok(true));
    assert_eq!(route.follow(&redirect_to("/2")), Ok(true));
    assert_eq!(route.follow(&redirect_to("/3")), Err(RedirectError::TooMany));
    assert_eq!(route.uri().target(), "/2");
    // The limit of those who say nothing.
    let mut route = Route::new("ws://h/").unwrap();
    assert_eq!((0..99).take_while(|_| route.follow(&redirect_to("/")) == Ok(true)).count(), 10);
    // Who follows none gets the answer.
    let mut route = Route::new("ws://h/").unwrap().max_redirects(0);
    assert_eq!(route.follow(&redirect_to("/")), Ok(false));
    assert_eq!(route.follow(&redirect_to("ftp://h/")), Ok(false));
}

#[test]
fn a_route_ends_at_what_is_no_redirect_and_stays_where_it_is_on_an_error() {
    let mut route = Route::new("wss://h/a").unwrap();
    assert_eq!(route.follow(&HandshakeError::Timeout), Ok(false));
    assert_eq!(route.follow(&refusal("HTTP/1.1 404 x\r\nLocation: /\r\nContent-Length: 0\r\n\r\n")), Ok(false));
    assert_eq!(route.follow(&redirect_to("ws://h/")), Err(RedirectError::Insecure));
    assert_eq!(route.follow(&redirect_to("a b")), Err(RedirectError::Location(UriError::Character)));
    assert_eq!((route.uri().target().as_ref(), route.uri().is_secure()), ("/a", true));
    assert_eq!(Route::new("http://h/").err(), Some(UriError::Scheme));
}
