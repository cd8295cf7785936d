//! A client through a proxy, over a stream that the program connected.

use std::net::TcpStream;

use sansock::{
    CloseCode, Config,
    adapter::{Error, poll},
    route::proxy::Proxy,
};

use crate::{
    proxies::{greeting, http_proxy},
    support::*,
};

/// `open` is `tunnel` and `client` of the adapter.
pub(crate) fn a_tunnel_leads_to_a_name_that_only_the_proxy_knows<A: Adapter, I: poll::Io>(
    open: impl AsyncFnOnce(TcpStream, &Proxy, &str, &Config) -> Result<poll::WebSocket<I>, Error> + Send + 'static,
) {
    let (address, server) = greeting();
    let (proxy, asked) = http_proxy(address, 1);
    let client = A::run(async move || {
        let stream = TcpStream::connect(proxy).unwrap();
        let proxy = Proxy::parse("http://proxy").unwrap();
        let mut websocket = open(stream, &proxy, "server.invalid", &patient()).await.unwrap();
        websocket.send("hello").await.unwrap();
        assert_eq!(websocket.recv().await.unwrap(), Some("hi".into()));
        websocket.close(CloseCode::NORMAL, "").await.unwrap();
    });
    client.join().unwrap();
    assert!(asked.join().unwrap()[0].starts_with("CONNECT server.invalid:80 "));
    server.join().unwrap();
}
