//! Our side of tests/proxies.sh: goes through real proxies to a real echo server, and prints an `ok` line for each
//! thing it checked.
//!
//! Usage: `interop_proxies SERVER HTTP SOCKS SOCKS_WITH_PASSWORD`, four ports of 127.0.0.1. The HTTP proxy and the
//! second SOCKS proxy know the user `me` with the password `secret`. Behind SERVER echoes; port 1 is closed.

use sansock::{
    CloseCode, Config,
    adapter::{Error, blocking, tokio},
    route::proxy::{Proxies, Proxy, ProxyError, SocksReply},
};

/// What comes back of some messages, by each adapter.
fn echoes(uri: &str, proxies: &Proxies) -> Result<(), Error> {
    let config = Config::default();
    let mut websocket = blocking::connect_with(uri, &config, |route| route.proxies(proxies))?.0;
    for len in [0, 125, 70_000] {
        websocket.send(vec![7; len])?;
        assert_eq!(websocket.read()?, Some(vec![7; len].into()));
    }
    websocket.close(CloseCode::NORMAL, "")?;

    let runtime = ::tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut websocket = tokio::connect_with(uri, &config, |route| route.proxies(proxies)).await?.0;
        for len in [0, 125, 70_000] {
            websocket.send(vec![7; len]).await?;
            assert_eq!(websocket.recv().await?, Some(vec![7; len].into()));
        }
        websocket.close(CloseCode::NORMAL, "").await
    })
}

fn refusal(uri: &str, proxies: &Proxies) -> ProxyError {
    match echoes(uri, proxies) {
        Err(Error::Proxy(error)) => error,
        other => panic!("no refusal by the proxy: {other:?}"),
    }
}

fn status(uri: &str, proxies: &Proxies) -> u16 {
    match refusal(uri, proxies) {
        ProxyError::Rejected(response) => response.status(),
        other => panic!("no answer in HTTP: {other}"),
    }
}

fn main() {
    let ports: Vec<String> = std::env::args().skip(1).collect();
    let [server, http, socks, known_socks] = &ports[..] else { panic!("four ports, please") };
    let proxy = |scheme: &str, port: &str| {
        Proxies::all(Proxy::parse(&format!("{scheme}127.0.0.1:{port}")).expect("the URI of a proxy"))
    };
    let (by_address, by_name) = (format!("ws://127.0.0.1:{server}/"), format!("ws://localhost:{server}/"));
    let closed = "ws://127.0.0.1:1/";

    for (text, proxies) in [
        ("HTTP, with a password", proxy("http://me:secret@", http)),
        ("SOCKS5", proxy("socks5://", socks)),
        ("SOCKS5, with a password that is not asked for", proxy("socks5h://me:secret@", socks)),
        ("SOCKS5, with a password", proxy("socks5h://me:secret@", known_socks)),
    ] {
        for uri in [&by_address, &by_name] {
            echoes(uri, &proxies).expect("echoes");
            println!("ok  {text}: {uri}");
        }
    }
    assert_eq!(status(&by_address, &proxy("http://", http)), 407);
    println!("ok  HTTP, no password: 407");
    assert!(matches!(status(&by_address, &proxy("http://me:wrong@", http)), 401 | 407));
    println!("ok  HTTP, a wrong password: refused");
    let status = status(closed, &proxy("http://me:secret@", http));
    assert!((500..=504).contains(&status), "{status}");
    println!("ok  HTTP, nobody listens: {status}");
    assert_eq!(refusal(&by_address, &proxy("socks5://", known_socks)), ProxyError::NoMethod);
    println!("ok  SOCKS5, no password: no method");
    assert_eq!(refusal(&by_address, &proxy("socks5://me:wrong@", known_socks)), ProxyError::Credentials);
    println!("ok  SOCKS5, a wrong password: refused");
    assert_eq!(refusal(closed, &proxy("socks5://", socks)), ProxyError::Reply(SocksReply::ConnectionRefused));
    println!("ok  SOCKS5, nobody listens: refused");
    // Each takes the other for what it is not.
    assert!(matches!(refusal(&by_address, &proxy("http://", socks)), ProxyError::ConnectionLost | ProxyError::Head(_)));
    assert!(matches!(
        refusal(&by_address, &proxy("socks5://", http)),
        ProxyError::Malformed | ProxyError::ConnectionLost | ProxyError::Timeout
    ));
    println!("ok  a proxy of the other kind: refused");
}
