//! `connect` over real sockets: redirects between servers, and proxies that do what they should or whatever they like.
#![cfg(all(feature = "blocking", feature = "getrandom"))]

#[path = "support/proxies.rs"]
mod proxies;
#[path = "support/adapters.rs"]
#[allow(dead_code, reason = "half of it is for the suite of all adapters")]
mod support;
#[cfg(target_os = "linux")]
#[path = "support/swallowing.rs"]
#[allow(dead_code, reason = "the rest is for the tests of the adapters themselves")]
mod swallowing;
#[cfg(feature = "tls")]
#[path = "support/tls.rs"]
mod tls;

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    thread::{self, JoinHandle},
};

use proxies::{greeting, http_proxy, listen, relay};
use sansock::{
    CloseCode, Config, HandshakeError, HeadError, Message,
    adapter::{Error, blocking},
    handshake::{RequestError, UriError},
    route::{
        Route,
        proxy::{Proxies, Proxy, ProxyError, SocksReply},
        redirect::RedirectError,
    },
};
use support::{millis, patient, read_bytes, read_head, watchdog};

/// Whoever connects by URI: says hello, and returns what it hears.
trait Client {
    fn hello(uri: &str, config: &Config, ask: impl Ask) -> Result<Option<Message>, Error>;
}

trait Ask: for<'a> FnOnce(Route<'a>) -> Route<'a> {}
impl<F: for<'a> FnOnce(Route<'a>) -> Route<'a>> Ask for F {}

struct Blocking;

impl Client for Blocking {
    fn hello(uri: &str, config: &Config, ask: impl Ask) -> Result<Option<Message>, Error> {
        let mut websocket = blocking::connect_with(uri, config, ask)?.0;
        websocket.send("hello")?;
        let heard = websocket.read()?;
        websocket.close(CloseCode::NORMAL, "")?;
        Ok(heard)
    }
}

#[cfg(feature = "tokio-net")]
macro_rules! tokio_client {
    ($client:ident: $connect:expr) => {
        struct $client;

        impl Client for $client {
            fn hello(uri: &str, config: &Config, ask: impl Ask) -> Result<Option<Message>, Error> {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async {
                    let mut websocket = $connect(uri, config, ask).await?.0;
                    websocket.send("hello").await?;
                    let heard = websocket.recv().await?;
                    websocket.close(CloseCode::NORMAL, "").await?;
                    Ok(heard)
                })
            }
        }
    };
}

#[cfg(feature = "tokio-net")]
tokio_client!(Tokio: sansock::adapter::tokio::connect_with);
#[cfg(feature = "tls")]
tokio_client!(Tls: async |uri, config, ask| sansock::adapter::tokio::tls::connect_with(uri, config, tls::trusting_nobody(), ask).await);

macro_rules! suite {
    ($($scenario:ident)*) => {
        mod blocking_adapter {
            $(#[test] fn $scenario() { let _watchdog = $crate::support::watchdog(); super::$scenario::<super::Blocking>(); })*
        }
        #[cfg(feature = "tokio-net")]
        mod tokio_adapter {
            $(#[test] fn $scenario() { let _watchdog = $crate::support::watchdog(); super::$scenario::<super::Tokio>(); })*
        }
        #[cfg(feature = "tls")]
        mod tls_adapter {
            $(#[test] fn $scenario() { let _watchdog = $crate::support::watchdog(); super::$scenario::<super::Tls>(); })*
        }
    };
}

suite! {
    a_name_leads_to_the_one_of_its_addresses_that_answers
    userinfo_becomes_basic_authentication_unless_the_caller_has_its_own
    a_redirect_leads_to_another_server_without_what_is_secret
    redirects_end
    a_redirect_to_nowhere_is_an_error
    a_redirect_whose_body_never_comes_is_followed_at_last
    an_http_proxy_leads_to_a_name_that_only_it_knows
    a_socks_proxy_leads_to_a_name_that_only_it_knows
    each_hop_of_a_redirect_goes_through_its_proxy
    a_proxy_that_refuses_says_why
    a_proxy_that_breaks_the_rules_is_an_error
    a_proxy_that_says_nothing_is_given_up
    a_proxy_that_never_stops_is_given_up
}

#[cfg(target_os = "linux")]
mod swallowed {
    use super::{swallowing::Swallowing, *};

    suite! {
        a_host_that_swallows_is_given_up
        a_proxy_that_swallows_is_given_up
    }

    fn a_host_that_swallows_is_given_up<C: Client>() {
        let host = Swallowing::new();
        let config = patient().handshake_timeout(millis(50));
        let result = C::hello(&format!("ws://{}/", host.address), &config, |route| route);
        assert!(matches!(&result, Err(Error::Io(error)) if error.kind() == ErrorKind::TimedOut), "{result:?}");
    }

    fn a_proxy_that_swallows_is_given_up<C: Client>() {
        let proxy = Swallowing::new();
        let proxies = through("http://", proxy.address);
        let config = patient().handshake_timeout(millis(50));
        let result = C::hello("ws://server.invalid/", &config, |route| route.proxies(proxies));
        assert!(matches!(&result, Err(Error::Io(error)) if error.kind() == ErrorKind::TimedOut), "{result:?}");
    }
}

/// A server that answers each request in turn, and then ends; the requests.
fn answering(answers: Vec<Vec<u8>>) -> (SocketAddr, JoinHandle<Vec<String>>) {
    let (listener, address) = listen();
    let server = thread::spawn(move || {
        let serve = |answer: Vec<u8>| {
            let (mut stream, _) = listener.accept().unwrap();
            let request = read_head(&mut stream);
            stream.write_all(&answer).unwrap();
            request
        };
        answers.into_iter().map(serve).collect()
    });
    (address, server)
}

fn redirect_to(location: &str) -> Vec<u8> {
    format!("HTTP/1.1 307 There\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n").into_bytes()
}

fn hi(result: Result<Option<Message>, Error>) {
    assert_eq!(result.unwrap(), Some("hi".into()));
}

/// The proxies for a request, whose lifetime the closures of these tests cannot name.
fn through(scheme: &str, address: SocketAddr) -> &'static Proxies {
    Box::leak(Box::new(Proxies::all(Proxy::parse(&format!("{scheme}{address}")).unwrap())))
}

/// What a client makes of a proxy that sends this after it has heard that many bytes.
fn against<C: Client>(scheme: &str, heard: usize, answer: &[u8]) -> ProxyError {
    let (listener, address) = listen();
    let answer = answer.to_vec();
    let proxy = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.read_exact(&mut vec![0; heard]).unwrap();
        stream.write_all(&answer).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        // What nobody reads would become a reset.
        let _ = io::copy(&mut stream, &mut io::sink());
    });
    let proxies = through(scheme, address);
    let result = C::hello("ws://server.invalid/", &patient(), |route| route.proxies(proxies));
    proxy.join().unwrap();
    match result {
        Err(Error::Proxy(error)) => error,
        other => panic!("{other:?}"),
    }
}

/// How many bytes CONNECT to the server of [`against`] has.
const CONNECT_LEN: usize = "CONNECT server.invalid:80 HTTP/1.1\r\nHost: server.invalid:80\r\n\r\n".len();

/// Where `localhost` is `::1` first, that address refuses.
fn a_name_leads_to_the_one_of_its_addresses_that_answers<C: Client>() {
    let (address, server) = greeting();
    hi(C::hello(&format!("ws://localhost:{}/", address.port()), &patient(), |route| route));
    server.join().unwrap();
}

fn userinfo_becomes_basic_authentication_unless_the_caller_has_its_own<C: Client>() {
    let (address, server) = greeting();
    hi(C::hello(&format!("ws://Aladdin:open%20sesame@{address}/"), &patient(), |route| route));
    assert!(server.join().unwrap().contains("\r\nAuthorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n"));

    let (address, server) = greeting();
    let uri = format!("ws://Aladdin:open%20sesame@{address}/");
    hi(C::hello(&uri, &patient(), |route| route.headers(&[("authorization", b"Bearer t")])));
    let request = server.join().unwrap();
    assert!(request.contains("\r\nauthorization: Bearer t\r\n") && !request.contains("Basic"), "{request}");
}

fn a_redirect_leads_to_another_server_without_what_is_secret<C: Client>() {
    let (there, server) = greeting();
    let (here, redirects) = answering(vec![redirect_to("/second"), redirect_to(&format!("http://{there}/third?x"))]);
    hi(C::hello(&format!("ws://u:p@{here}/first"), &patient(), |request| {
        request.headers(&[("Cookie", b"id=7")]).subprotocols(&["chat"])
    }));
    let (asked, last) = (redirects.join().unwrap(), server.join().unwrap());
    for (request, target) in asked.iter().zip(["/first", "/second"]) {
        assert!(request.starts_with(&format!("GET {target} HTTP/1.1\r\nHost: {here}\r\n")), "{request}");
        assert!(request.contains("\r\nAuthorization: Basic") && request.contains("\r\nCookie: id=7\r\n"), "{request}");
    }
    assert!(last.starts_with(&format!("GET /third?x HTTP/1.1\r\nHost: {there}\r\n")), "{last}");
    assert!(!last.contains("Authorization") && !last.contains("Cookie"), "{last}");
    assert!(last.contains("\r\nSec-WebSocket-Protocol: chat\r\n"), "{last}");
}

fn redirects_end<C: Client>() {
    let (address, server) = answering(vec![redirect_to("/again"); 11]);
    let result = C::hello(&format!("ws://{address}/"), &patient(), |route| route);
    assert!(matches!(result, Err(Error::Redirect(RedirectError::TooMany))), "{result:?}");
    assert_eq!(server.join().unwrap().len(), 11);

    let (address, server) = answering(vec![redirect_to("/there")]);
    let result = C::hello(&format!("ws://{address}/"), &patient(), |route| route.max_redirects(0));
    match result {
        Err(Error::Handshake(HandshakeError::Rejected(response))) => assert_eq!(response.status(), 307),
        other => panic!("{other:?}"),
    }
    server.join().unwrap();
}

fn a_redirect_to_nowhere_is_an_error<C: Client>() {
    let (address, server) = answering(vec![redirect_to("//127.0.0.1:1/"), redirect_to("ftp://x/")]);
    let result = C::hello(&format!("ws://{address}/"), &patient(), |route| route);
    assert!(matches!(&result, Err(Error::Io(error)) if error.kind() == ErrorKind::ConnectionRefused), "{result:?}");
    let result = C::hello(&format!("ws://{address}/"), &patient(), |route| route);
    let scheme = RedirectError::Location(UriError::Scheme);
    assert!(matches!(&result, Err(Error::Redirect(error)) if *error == scheme), "{result:?}");
    server.join().unwrap();
}

fn a_redirect_whose_body_never_comes_is_followed_at_last<C: Client>() {
    let (there, server) = greeting();
    let (listener, here) = listen();
    let redirect = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        read_head(&mut stream);
        let answer = format!("HTTP/1.1 302 There\r\nLocation: //{there}/\r\nContent-Length: 9\r\n\r\nbo");
        stream.write_all(answer.as_bytes()).unwrap();
        // The client goes away by itself.
        let _ = stream.read(&mut [0]);
    });
    hi(C::hello(&format!("ws://{here}/"), &patient().handshake_timeout(millis(500)), |route| route));
    redirect.join().unwrap();
    server.join().unwrap();
}

fn an_http_proxy_leads_to_a_name_that_only_it_knows<C: Client>() {
    let (address, server) = greeting();
    let (proxy, asked) = http_proxy(address, 1);
    let proxies = through("http://me:secret@", proxy);
    hi(C::hello("ws://u:p@server.invalid:81/chat", &patient(), |route| route.proxies(proxies)));
    let asked = asked.join().unwrap().remove(0);
    let expected = "CONNECT server.invalid:81 HTTP/1.1\r\nHost: server.invalid:81\r\nProxy-Authorization: Basic ";
    assert!(asked.starts_with(expected) && !asked.contains("\r\nAuthorization"), "{asked}");
    let request = server.join().unwrap();
    assert!(request.starts_with("GET /chat HTTP/1.1\r\nHost: server.invalid:81\r\n"), "{request}");
    assert!(!request.contains("Proxy-Authorization"), "{request}");
}

fn a_socks_proxy_leads_to_a_name_that_only_it_knows<C: Client>() {
    let (address, server) = greeting();
    let (listener, proxy) = listen();
    let asked = thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        assert_eq!(read_bytes(&mut client), *b"\x05\x02\0\x02");
        client.write_all(b"\x05\x02").unwrap();
        assert_eq!(read_bytes(&mut client), *b"\x01\x02me\x06secret");
        client.write_all(b"\x01\0").unwrap();
        assert_eq!(read_bytes(&mut client), *b"\x05\x01\0\x03\x0eserver.invalid\0\x50");
        let server = TcpStream::connect(address).unwrap();
        client.write_all(b"\x05\0\0\x01\0\0\0\0\0\0").unwrap();
        relay(&client, &server);
    });
    let proxies = through("socks5h://me:secret@", proxy);
    hi(C::hello("ws://server.invalid/", &patient(), |route| route.proxies(proxies)));
    asked.join().unwrap();
    assert!(server.join().unwrap().starts_with("GET / HTTP/1.1\r\nHost: server.invalid\r\n"));
}

fn each_hop_of_a_redirect_goes_through_its_proxy<C: Client>() {
    let (there, server) = greeting();
    let (here, redirects) = answering(vec![redirect_to(&format!("ws://{there}/"))]);
    let (proxy, asked) = http_proxy(here, 1);
    // The second server is reached without it.
    let proxies = Box::leak(Box::new(through("http://", proxy).clone().except("127.0.0.1")));
    hi(C::hello("ws://server.invalid/", &patient(), |route| route.proxies(proxies)));
    assert!(asked.join().unwrap()[0].starts_with("CONNECT server.invalid:80 "));
    assert_eq!(redirects.join().unwrap().len(), 1);
    server.join().unwrap();
}

fn a_proxy_that_refuses_says_why<C: Client>() {
    let answer = b"HTTP/1.1 407 no\r\nProxy-Authenticate: Basic\r\nContent-Length: 5\r\n\r\nhello";
    match against::<C>("http://", CONNECT_LEN, answer) {
        ProxyError::Rejected(response) => assert_eq!(response.status(), 407),
        other => panic!("{other:?}"),
    }
    assert_eq!(against::<C>("socks5://", 3, b"\x05\xff"), ProxyError::NoMethod);
    let refused = ProxyError::Reply(SocksReply::ConnectionRefused);
    assert_eq!(against::<C>("socks5://", 3, b"\x05\0\x05\x05\0\x01\0\0\0\0\0\0"), refused);
}

fn a_proxy_that_breaks_the_rules_is_an_error<C: Client>() {
    assert_eq!(against::<C>("http://", CONNECT_LEN, b"HTTP/1.1 200 OK\r\n\r\nmore"), ProxyError::Surplus);
    assert!(matches!(against::<C>("http://", CONNECT_LEN, b"\x05\0"), ProxyError::Head(HeadError::Malformed(_))));
    assert_eq!(against::<C>("http://", CONNECT_LEN, b"HTTP/1.1 200 OK\r\n"), ProxyError::ConnectionLost);
    assert_eq!(against::<C>("socks5://", 3, b"HTTP/1.1 400 what\r\n\r\n"), ProxyError::Malformed);
    assert_eq!(against::<C>("socks5://", 3, b"\x05\0\x05\0\0\x01\0\0\0\0\0\0\x81\x02hi"), ProxyError::Surplus);
    assert_eq!(against::<C>("socks5://", 3, b"\x05\0\x05\0"), ProxyError::ConnectionLost);
}

fn a_proxy_that_says_nothing_is_given_up<C: Client>() {
    for scheme in ["http://", "socks5://"] {
        let (_listener, address) = listen();
        let proxies = through(scheme, address);
        let config = patient().handshake_timeout(millis(50));
        let result = C::hello("ws://server.invalid/", &config, |route| route.proxies(proxies));
        assert!(matches!(result, Err(Error::Proxy(ProxyError::Timeout))), "{result:?}");
    }
}

fn a_proxy_that_never_stops_is_given_up<C: Client>() {
    let (listener, address) = listen();
    let proxy = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        read_head(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n");
        while stream.write_all(b"A: b\r\n").is_ok() {}
    });
    let proxies = through("http://", address);
    let result = C::hello("ws://server.invalid/", &patient(), |route| route.proxies(proxies));
    let expected = ProxyError::Head(HeadError::TooManyFields { max: 100 });
    assert!(matches!(&result, Err(Error::Proxy(error)) if *error == expected), "{result:?}");
    proxy.join().unwrap();
}

#[test]
fn what_needs_tls_is_refused_before_anything_is_sent() {
    let _watchdog = watchdog();
    let (listener, address) = listen();
    listener.set_nonblocking(true).unwrap();
    let error = Blocking::hello(&format!("wss://{address}/"), &patient(), |route| route).unwrap_err();
    assert!(matches!(&error, Error::Io(error) if error.kind() == ErrorKind::Unsupported) && !error.is_transient());
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    // A redirect may turn out to need it, too.
    let (address, server) = answering(vec![redirect_to(&format!("wss://{address}/"))]);
    let error = Blocking::hello(&format!("ws://{address}/"), &patient(), |route| route).unwrap_err();
    assert!(matches!(&error, Error::Io(error) if error.kind() == ErrorKind::Unsupported), "{error:?}");
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    server.join().unwrap();
}

#[test]
fn an_adapters_error_is_transient_when_trying_again_may_help() {
    for kind in [ErrorKind::ConnectionRefused, ErrorKind::TimedOut, ErrorKind::ConnectionReset, ErrorKind::NotFound] {
        assert!(Error::from(io::Error::from(kind)).is_transient(), "{kind:?}");
    }
    for kind in [ErrorKind::Unsupported, ErrorKind::InvalidData, ErrorKind::InvalidInput, ErrorKind::PermissionDenied] {
        assert!(!Error::from(io::Error::from(kind)).is_transient(), "{kind:?}");
    }
    assert!(Error::from(HandshakeError::Timeout).is_transient());
    assert!(Error::from(ProxyError::Timeout).is_transient());
    assert!(Error::from(sansock::Error::ConnectionLost).is_transient());
    assert!(!Error::from(RedirectError::TooMany).is_transient());
    assert!(!Error::from(UriError::Host).is_transient());
    assert!(!Error::from(sansock::SendError::Closed).is_transient());
    assert!(!Error::from(RequestError::Host(String::new())).is_transient());
}

#[cfg(feature = "tls")]
mod over_tls {
    use sansock::adapter::tokio::tls::connect_with;
    use tokio_rustls::TlsAcceptor;

    use super::*;

    /// A server of one connection over TLS: what it makes of the first WebSocket there.
    fn secure(acceptor: TlsAcceptor) -> (SocketAddr, JoinHandle<io::Result<String>>) {
        let (listener, address) = listen();
        let server = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let (stream, _) = listener.accept().unwrap();
                stream.set_nonblocking(true).unwrap();
                let stream = acceptor.accept(tokio::net::TcpStream::from_std(stream).unwrap()).await?;
                let upgrade = sansock::adapter::tokio::receive_request(stream, &patient()).await.unwrap();
                let request = format!("{:?}", upgrade.request());
                let mut websocket = upgrade.accept(&sansock::server::Response::new()).await.unwrap();
                while let Some(message) = websocket.recv().await.unwrap() {
                    websocket.send(message).await.unwrap();
                }
                Ok(request)
            })
        });
        (address, server)
    }

    #[tokio::test]
    async fn tls_and_the_name_of_its_certificate_go_through_a_proxy() {
        let _watchdog = watchdog();
        let (address, server) = secure(tls::acceptor());
        let (proxy, asked) = http_proxy(address, 1);
        let proxies = through("http://", proxy);
        let ask = |route: Route<'static>| route.proxies(proxies);
        let connected = connect_with("wss://server.invalid/", &patient(), tls::trusting(), ask).await;
        let mut websocket = connected.unwrap().0;
        websocket.send("hello").await.unwrap();
        assert_eq!(websocket.recv().await.unwrap(), Some("hello".into()));
        websocket.close(CloseCode::NORMAL, "").await.unwrap();
        server.join().unwrap().unwrap();
        assert!(asked.join().unwrap()[0].starts_with("CONNECT server.invalid:443 "));
    }

    #[tokio::test]
    async fn a_proxy_cannot_pose_as_the_server() {
        let _watchdog = watchdog();
        let (address, server) = secure(tls::acceptor());
        let (proxy, asked) = http_proxy(address, 1);
        let proxies = through("http://", proxy);
        let ask = |route: Route<'static>| route.proxies(proxies);
        let result = connect_with("wss://server.invalid/", &patient(), tls::trusting_nobody(), ask).await.map(drop);
        let error = result.unwrap_err();
        assert!(matches!(&error, Error::Io(error) if error.kind() == ErrorKind::InvalidData), "{error:?}");
        assert!(!error.is_transient());
        assert!(server.join().unwrap().is_err());
        asked.join().unwrap();
    }

    #[tokio::test]
    async fn a_redirect_may_lead_to_tls() {
        let _watchdog = watchdog();
        let (address, server) = secure(tls::acceptor());
        let (proxy, asked) = http_proxy(address, 1);
        let proxies: &Proxies = Box::leak(Box::new(through("http://", proxy).clone().except("127.0.0.1")));
        let (here, redirects) = answering(vec![redirect_to("https://server.invalid/there")]);
        let uri: &'static str = format!("ws://u:p@{here}/").leak();
        let ask = |route: Route<'static>| route.proxies(proxies).headers(&[("Cookie", b"id=7")]);
        let mut websocket = connect_with(uri, &patient(), tls::trusting(), ask).await.unwrap().0;
        websocket.close(CloseCode::NORMAL, "").await.unwrap();
        assert!(redirects.join().unwrap()[0].contains("Cookie"));
        let request = server.join().unwrap().unwrap();
        assert!(request.contains("/there") && !request.contains("ookie"), "{request}");
        asked.join().unwrap();
    }

    /// Who the system trusts does not matter here, only that it trusts somebody, and not our server.
    #[cfg(feature = "tls-native-roots")]
    #[tokio::test]
    async fn the_roots_of_the_system_do_not_trust_just_anybody() {
        let _watchdog = watchdog();
        let Ok(config) = sansock::adapter::tokio::tls::native_roots() else {
            panic!("this system has no certificates to trust");
        };
        let (address, server) = secure(tls::acceptor());
        let (proxy, asked) = http_proxy(address, 1);
        let proxies = through("http://", proxy);
        let ask = |route: Route<'static>| route.proxies(proxies);
        let result = connect_with("wss://server.invalid/", &patient(), config, ask).await.map(drop);
        assert!(matches!(&result, Err(Error::Io(error)) if error.kind() == ErrorKind::InvalidData), "{result:?}");
        assert!(server.join().unwrap().is_err());
        asked.join().unwrap();
    }
}
