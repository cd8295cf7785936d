//! Clients: from a URI to a [`WebSocket`].

use core::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use std::{
    boxed::Box,
    io::{self, ErrorKind},
    net::SocketAddr,
    vec::Vec,
};

use ::tokio::{
    net::{TcpStream, lookup_host},
    time::{Instant, timeout},
};

use super::{Error, WebSocket, client, tunnel};
use crate::{
    Config, Timestamp,
    adapter::{
        dial::{Dial, Step},
        tcp,
    },
    client::Response,
    route::Route,
};

/// Connects to a `ws://` URI over TCP, without Nagle's delay, and opens a WebSocket there. Follows up to 10 redirects,
/// and sends the URI's userinfo as Basic authentication.
///
/// **Addresses.** If the host or its proxy has several addresses, `connect` uses Happy Eyeballs (RFC 8305 §4, §5). It
/// alternates between IPv6 and IPv4, starting with the first address of the resolver. The next attempt starts 250 ms
/// after the previous one, or at once when an attempt fails. The first connection wins, and the other sockets are
/// closed. This uses the timer of the runtime, even without a timeout.
///
/// **Time.** [`handshake_timeout`](Config::handshake_timeout) limits each step: resolving the name and connecting to
/// all addresses together, the tunnel through a proxy, TLS, and the opening handshake. A redirect starts these steps
/// again.
///
/// **Cancel safety.** Dropping the future ends all attempts and closes their sockets.
///
/// # Errors
///
/// The URI is malformed, or `wss://`, also after a redirect, which is for `tls::connect`. Every attempt
/// to connect failed, and the error is that of the last one to fail. The deadline passed first:
/// [`TimedOut`](ErrorKind::TimedOut). The server refused: [`Rejected`](crate::HandshakeError::Rejected) has its answer.
///
/// ```no_run
/// use sansock::{CloseCode, Config, adapter::tokio};
///
/// # async fn run() -> Result<(), tokio::Error> {
/// let mut websocket = tokio::connect("ws://127.0.0.1:9001/chat", &Config::default()).await?;
/// websocket.send("hello").await?;
/// println!("{:?}", websocket.recv().await?);
/// websocket.close(CloseCode::NORMAL, "").await?;
/// # Ok(()) }
/// ```
pub async fn connect(uri: &str, config: &Config) -> Result<WebSocket<TcpStream>, Error> {
    Ok(connect_with(uri, config, |route| route).await?.0)
}

/// Connects like [`connect`]. `customize` adds subprotocols, header fields, an origin, proxies, or another number of
/// redirects. Returns the server's answer too.
///
/// # Errors
///
/// As [`connect`]; also when the request is malformed, the proxy refuses, or a redirect cannot be followed.
///
/// ```no_run
/// # use sansock::{Config, adapter::tokio};
/// # async fn run(token: &[u8]) -> Result<(), tokio::Error> {
/// let (config, fields) = (Config::default(), [("Authorization", token)]);
/// let (mut websocket, response) = tokio::connect_with("ws://localhost/", &config, |route| {
///     route.subprotocols(&["chat.v2", "chat"]).headers(&fields)
/// })
/// .await?;
/// println!("{:?}", response.subprotocol());
/// # Ok(()) }
/// ```
pub async fn connect_with<'a>(
    uri: &'a str,
    config: &Config,
    customize: impl FnOnce(Route<'a>) -> Route<'a>,
) -> Result<(WebSocket<TcpStream>, Response), Error> {
    let mut route = customize(Route::new(uri)?);
    loop {
        if route.uri().is_secure() {
            return Err(io::Error::new(ErrorKind::Unsupported, "wss needs a TLS stream: use tls::connect").into());
        }
        let stream = dial(&route, config).await?;
        match client(stream, route.request(), config).await {
            Err(Error::Handshake(refusal)) if route.follow(&refusal)? => {}
            result => return result,
        }
    }
}

/// A stream to the server of a route, perhaps through a proxy.
pub(super) async fn dial(route: &Route<'_>, config: &Config) -> Result<TcpStream, Error> {
    let stream = connect_tcp(route.next_hop(), config.handshake_timeout).await?;
    match route.proxy() {
        Some(proxy) => tunnel(stream, proxy, route.uri().host(), route.uri().port(), config).await,
        None => Ok(stream),
    }
}

async fn connect_tcp(host: (&str, u16), limit: Option<Duration>) -> io::Result<TcpStream> {
    let stream = connect_any(lookup_host(host), limit, TcpStream::connect).await?;
    let _ = tcp::tune(&stream);
    Ok(stream)
}

/// Returns the connection of the first attempt that succeeds. `limit` includes the time of `resolve`.
async fn connect_any<T, F: Future<Output = io::Result<T>>>(
    resolve: impl Future<Output = io::Result<impl Iterator<Item = SocketAddr>>>,
    limit: Option<Duration>,
    mut connect: impl FnMut(SocketAddr) -> F,
) -> io::Result<T> {
    let start = Instant::now();
    let mut dial = Dial::new(within(limit, resolve).await?, limit);
    let mut attempts = Vec::new();
    loop {
        match dial.next(Timestamp::from_duration(start.elapsed())) {
            Step::Start(address) => attempts.push(Box::pin(connect(address))),
            Step::Wait(time) => {
                let ended = poll_fn(|cx| poll_any(&mut attempts, cx));
                let ended = match time {
                    Some(time) => timeout(time, ended).await,
                    None => Ok(ended.await),
                };
                match ended {
                    Ok(Ok(connected)) => return Ok(connected),
                    Ok(Err(error)) => dial.failed(error),
                    Err(_) => {}
                }
            }
            Step::Fail(error) => return Err(error),
        }
    }
}

/// Waits until one of the attempts ends, removes it, and returns its result.
fn poll_any<F: Future>(attempts: &mut Vec<Pin<Box<F>>>, cx: &mut Context<'_>) -> Poll<F::Output> {
    for index in 0..attempts.len() {
        if let Poll::Ready(output) = attempts[index].as_mut().poll(cx) {
            attempts.remove(index);
            return Poll::Ready(output);
        }
    }
    Poll::Pending
}

pub(super) async fn within<T>(limit: Option<Duration>, attempt: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    match limit {
        Some(limit) => timeout(limit, attempt).await.map_err(|_| ErrorKind::TimedOut)?,
        None => attempt.await,
    }
}

#[cfg(test)]
mod tests {
    use core::future::{Ready, pending, ready};
    use std::sync::Arc;

    use ::tokio::time::sleep;

    use super::*;

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// A resolver that knows this many addresses, whose ports count from 1.
    fn resolve(count: u16) -> Ready<io::Result<impl Iterator<Item = SocketAddr>>> {
        ready(Ok((1..=count).map(|port| SocketAddr::from(([127, 0, 0, 1], port)))))
    }

    /// What a future that may hang returns.
    async fn watched<T>(future: impl Future<Output = T>) -> T {
        timeout(millis(60_000), future).await.expect("it hangs")
    }

    /// Whether this took so many milliseconds of the paused clock, but for the granularity of the timer.
    #[track_caller]
    fn took(start: Instant, time: u64) {
        let elapsed = start.elapsed();
        assert!(elapsed >= millis(time) && elapsed <= millis(time + 5), "{elapsed:?}");
    }

    #[::tokio::test(start_paused = true)]
    async fn a_swallowed_address_costs_250_ms() {
        let start = Instant::now();
        let connected = connect_any(resolve(3), Some(millis(4000)), async |address| match address.port() {
            1 => pending().await,
            port => Ok(port),
        });
        assert_eq!(watched(connected).await.unwrap(), 2);
        took(start, 250);
    }

    #[::tokio::test(start_paused = true)]
    async fn an_attempt_that_is_under_way_may_still_win() {
        let start = Instant::now();
        let connected = connect_any(resolve(2), None, async |address| {
            sleep(millis(300) * u32::from(address.port())).await;
            Ok(address.port())
        });
        assert_eq!(watched(connected).await.unwrap(), 1);
        took(start, 300);
    }

    #[::tokio::test(start_paused = true)]
    async fn an_address_that_fails_costs_no_time() {
        let start = Instant::now();
        let connected = connect_any(resolve(100), None, async |address| match address.port() {
            100 => Ok("connected"),
            _ => Err(ErrorKind::ConnectionRefused.into()),
        });
        assert_eq!(watched(connected).await.unwrap(), "connected");
        took(start, 0);
    }

    #[::tokio::test(start_paused = true)]
    async fn when_all_fail_the_last_error_is_returned() {
        let start = Instant::now();
        let failed = connect_any(resolve(2), Some(millis(4000)), async |address| -> io::Result<()> {
            if address.port() == 1 {
                sleep(millis(1000)).await;
                return Err(ErrorKind::NetworkUnreachable.into());
            }
            Err(ErrorKind::ConnectionRefused.into())
        });
        assert_eq!(watched(failed).await.unwrap_err().kind(), ErrorKind::NetworkUnreachable);
        took(start, 1000);
        let nowhere = connect_any(resolve(0), None, |_| ready(Ok(())));
        assert_eq!(watched(nowhere).await.unwrap_err().kind(), ErrorKind::NotFound);
    }

    #[::tokio::test(start_paused = true)]
    async fn one_deadline_covers_the_resolver_and_all_addresses() {
        let start = Instant::now();
        let slow = async {
            sleep(millis(3000)).await;
            resolve(9).await
        };
        let failed = connect_any(slow, Some(millis(4000)), |_| pending::<io::Result<()>>());
        assert_eq!(watched(failed).await.unwrap_err().kind(), ErrorKind::TimedOut);
        took(start, 4000);

        let start = Instant::now();
        let hanging = async {
            pending::<()>().await;
            resolve(1).await
        };
        let failed = connect_any(hanging, Some(millis(4000)), |_| ready(Ok(())));
        assert_eq!(watched(failed).await.unwrap_err().kind(), ErrorKind::TimedOut);
        took(start, 4000);
    }

    #[::tokio::test(start_paused = true)]
    async fn all_attempts_are_dropped_with_the_future() {
        let attempts = Arc::new(());
        let connect = |_| {
            let attempt = attempts.clone();
            async {
                pending::<()>().await;
                drop(attempt);
                Ok(())
            }
        };
        let connecting = connect_any(resolve(9), None, connect);
        timeout(millis(600), connecting).await.unwrap_err();
        assert_eq!(Arc::strong_count(&attempts), 1);
    }

    #[cfg(target_os = "linux")]
    #[::tokio::test]
    async fn a_swallowed_address_does_not_hold_up_the_next_and_its_socket_is_closed() {
        use crate::adapter::dial::swallowing::Swallowing;

        const PATIENCE: Duration = Duration::from_secs(30);
        let swallowing = Swallowing::new();
        let listener = ::tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let resolve = ready(Ok([swallowing.address, address].into_iter()));
        let mut trying = 0;
        let start = Instant::now();
        let connecting = connect_any(resolve, Some(PATIENCE), |address| {
            trying += swallowing.attempts();
            TcpStream::connect(address)
        });
        let stream = watched(connecting).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), address);
        assert_eq!((trying, swallowing.attempts()), (1, 0));
        // It takes 250 ms.
        assert!(start.elapsed() < PATIENCE / 2);
    }
}
