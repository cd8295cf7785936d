//! Clients: from a URI or a socket to a [`WebSocket`].

use std::{
    io::{self, ErrorKind},
    net::{SocketAddr, TcpStream, ToSocketAddrs},
    string::String,
    sync::mpsc,
    thread,
    time::Duration,
    vec::Vec,
};

use super::{Error, Socket, WebSocket, tunnel, wire::Wire};
use crate::{
    Clock, Config, Driver, Outbox,
    adapter::dial::{Dial, Step},
    client,
    route::Route,
};

/// Connects to a `ws://` URI over TCP, without Nagle's delay, and opens a WebSocket there. Follows up to 10 redirects,
/// and sends the URI's userinfo as Basic authentication.
///
/// **Addresses.** If the host or its proxy has several addresses, `connect` uses Happy Eyeballs (RFC 8305 §4, §5). It
/// alternates between IPv6 and IPv4, starting with the first address of the resolver. The next attempt starts 250 ms
/// after the previous one, or at once when an attempt fails. The first connection wins. Each attempt runs on its own
/// thread. The threads of the other attempts close their sockets and end at the deadline at the latest, which may be
/// after `connect` has returned. If there is only one address, no thread is started.
///
/// **Time.** [`handshake_timeout`](Config::handshake_timeout) limits each step: connecting to all addresses together,
/// the tunnel through a proxy, and the opening handshake. A redirect starts these steps again. Name resolution is not
/// limited, because `std` cannot interrupt it. Without a timeout, the operating system limits each attempt to connect.
///
/// # Errors
///
/// The URI is malformed, or `wss://`, also after a redirect: then bring the TLS stream, and [`client()`] goes on from
/// there. Every attempt to connect failed, and the error is that of the last one to fail. The deadline passed first:
/// [`TimedOut`](ErrorKind::TimedOut). The server refused: [`Rejected`](crate::HandshakeError::Rejected) has its answer.
///
/// ```no_run
/// use sansock::{CloseCode, Config, adapter::blocking};
///
/// let mut websocket = blocking::connect("ws://127.0.0.1:9001/chat", &Config::default())?;
/// websocket.send("hello")?;
/// println!("{:?}", websocket.read()?);
/// websocket.close(CloseCode::NORMAL, "")?;
/// # Ok::<(), blocking::Error>(())
/// ```
pub fn connect(uri: &str, config: &Config) -> Result<WebSocket<TcpStream>, Error> {
    Ok(connect_with(uri, config, |route| route)?.0)
}

/// Connects like [`connect`]. `customize` adds subprotocols, header fields, an origin, proxies, or another number of
/// redirects. Returns the server's answer too.
///
/// # Errors
///
/// As [`connect`]; also when the request is malformed, the proxy refuses, or a redirect cannot be followed.
///
/// ```no_run
/// use sansock::{Config, adapter::blocking, route::proxy::{Proxies, Proxy}};
///
/// let proxies = Proxies::all(Proxy::parse("socks5h://127.0.0.1:9050")?);
/// let (mut websocket, response) = blocking::connect_with("ws://server.example/", &Config::default(), |route| {
///     route.subprotocols(&["chat"]).proxies(&proxies).max_redirects(0)
/// })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn connect_with<'a>(
    uri: &'a str,
    config: &Config,
    customize: impl FnOnce(Route<'a>) -> Route<'a>,
) -> Result<(WebSocket<TcpStream>, client::Response), Error> {
    let mut route = customize(Route::new(uri)?);
    loop {
        if route.uri().is_secure() {
            return Err(io::Error::new(ErrorKind::Unsupported, "wss needs a TLS stream: use `client`").into());
        }
        match client(dial(&route, config)?, route.request(), config) {
            Err(Error::Handshake(refusal)) if route.follow(&refusal)? => {}
            result => return result,
        }
    }
}

/// Opens a WebSocket over a socket that is connected already, with what `request` asks for. Returns the server's answer
/// too: its subprotocol is there.
///
/// # Errors
///
/// As [`connect`]; also when `request` is malformed.
pub fn client<S: Socket>(
    mut socket: S,
    request: &client::Request<'_>,
    config: &Config,
) -> Result<(WebSocket<S>, client::Response), Error> {
    socket.prepare();
    let seed = crate::seed().map_err(io::Error::other)?;
    let mut out = Outbox::new();
    let handshake = client::connect(request, config, seed, out.tail())?;
    let mut wire = Wire::new(socket, Driver::from_parts(handshake, Vec::new(), out));
    let (connection, response) = wire.handshake(|opened| opened)?;
    Ok((WebSocket { wire: wire.replace(connection) }, response))
}

/// A stream to the server of a route, perhaps through a proxy.
fn dial(route: &Route<'_>, config: &Config) -> Result<TcpStream, Error> {
    let stream = connect_tcp(route.next_hop(), config.handshake_timeout)?;
    match route.proxy() {
        Some(proxy) => tunnel(stream, proxy, route.uri().host(), route.uri().port(), config),
        None => Ok(stream),
    }
}

fn connect_tcp(host: (&str, u16), timeout: Option<Duration>) -> io::Result<TcpStream> {
    connect_any(host.to_socket_addrs()?, timeout, |address, timeout| match timeout {
        Some(timeout) => TcpStream::connect_timeout(&address, timeout),
        None => TcpStream::connect(address),
    })
}

/// Returns the connection of the first attempt that succeeds. `connect` makes an attempt, with a timeout above zero.
fn connect_any<T: Send + 'static>(
    addresses: impl IntoIterator<Item = SocketAddr>,
    timeout: Option<Duration>,
    connect: impl Fn(SocketAddr, Option<Duration>) -> io::Result<T> + Clone + Send + 'static,
) -> io::Result<T> {
    let addresses: Vec<_> = addresses.into_iter().collect();
    let is_alone = addresses.len() == 1;
    let mut dial = Dial::new(addresses, timeout);
    let clock = Clock::start();
    let (report, reports) = mpsc::channel();
    loop {
        let now = clock.now();
        match dial.next(now) {
            Step::Start(address) => {
                let (connect, report, timeout) = (connect.clone(), report.clone(), dial.time_left(now));
                // If another attempt has won, the channel is closed, and `drop` closes the socket in the report.
                let attempt = move || drop(report.send(connect(address, timeout)));
                // If no thread can be started, the attempts run here, one after the other.
                let name = String::from("sansock connect");
                if is_alone || thread::Builder::new().name(name).spawn(attempt.clone()).is_err() {
                    attempt();
                }
            }
            // An error is a timeout: `report` keeps the channel open.
            Step::Wait(time) => match reports.recv_timeout(time.unwrap_or(Duration::MAX)) {
                Ok(Ok(connected)) => return Ok(connected),
                Ok(Err(error)) => dial.failed(error),
                Err(_) => {}
            },
            Step::Fail(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::Read,
        net::TcpListener,
        sync::{Arc, Mutex},
        thread::{JoinHandle, ThreadId},
        time::Instant,
    };

    use super::*;
    #[cfg(target_os = "linux")]
    use crate::adapter::dial::swallowing::Swallowing;

    const PATIENCE: Duration = Duration::from_secs(30);

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn listen() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    /// Addresses that nothing listens to, for attempts that are made up.
    fn addresses(count: u16) -> impl Iterator<Item = SocketAddr> {
        (1..=count).map(|port| SocketAddr::from(([127, 0, 0, 1], port)))
    }

    /// Runs a test that may hang.
    fn watched(test: impl FnOnce() + Send + 'static) {
        let (done, ended) = mpsc::channel();
        let test: JoinHandle<()> = thread::spawn(move || {
            test();
            done.send(()).unwrap();
        });
        match ended.recv_timeout(2 * PATIENCE) {
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("it hangs"),
            _ => test.join().unwrap(),
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_swallowed_address_does_not_hold_up_the_next() {
        watched(|| {
            let swallowing = Swallowing::new();
            let (_listener, address) = listen();
            let start = Instant::now();
            let connect = |address, timeout: Option<Duration>| TcpStream::connect_timeout(&address, timeout.unwrap());
            let stream = connect_any([swallowing.address, address], Some(PATIENCE), connect).unwrap();
            assert_eq!(stream.peer_addr().unwrap(), address);
            // It takes 250 ms.
            assert!(start.elapsed() < PATIENCE / 2);
        });
    }

    #[test]
    fn a_socket_that_connects_too_late_is_closed() {
        watched(|| {
            let ((late, late_address), (_listener, address)) = (listen(), listen());
            let (release, released) = mpsc::channel::<()>();
            let released = Arc::new(Mutex::new(released));
            let stream = connect_any([late_address, address], Some(PATIENCE), move |address, timeout| {
                if address == late_address {
                    let _ = released.lock().unwrap().recv();
                }
                TcpStream::connect_timeout(&address, timeout.unwrap())
            });
            assert_eq!(stream.unwrap().peer_addr().unwrap(), address);
            drop(release);
            let (mut stream, _) = late.accept().unwrap();
            assert_eq!(stream.read(&mut [0]).unwrap(), 0);
        });
    }

    #[test]
    fn an_address_that_fails_costs_no_time() {
        watched(|| {
            let start = Instant::now();
            let connect = |address: SocketAddr, _| match address.port() {
                100 => Ok("connected"),
                _ => Err(ErrorKind::ConnectionRefused.into()),
            };
            assert_eq!(connect_any(addresses(100), Some(PATIENCE), connect).unwrap(), "connected");
            // Some milliseconds; with 250 of them after each attempt it would be 25 s.
            assert!(start.elapsed() < Duration::from_secs(12));
        });
    }

    #[test]
    fn one_deadline_covers_all_addresses() {
        watched(|| {
            let (given, times) = mpsc::channel();
            let connect = move |_, timeout: Option<Duration>| -> io::Result<()> {
                given.send(timeout.unwrap()).unwrap();
                thread::sleep(timeout.unwrap());
                Err(ErrorKind::TimedOut.into())
            };
            let result = connect_any(addresses(3), Some(millis(600)), connect);
            assert_eq!(result.unwrap_err().kind(), ErrorKind::TimedOut);
            // Each attempt has what is left when it starts; on a slow machine the last ones do not start any more.
            for (time, most) in times.iter().zip([600, 350, 100]) {
                assert!(time <= millis(most), "{time:?}");
            }
        });
    }

    #[test]
    fn without_a_timeout_the_attempts_decide() {
        watched(|| {
            let refuse = |_, timeout| -> io::Result<()> {
                assert_eq!(timeout, None);
                Err(ErrorKind::ConnectionRefused.into())
            };
            assert_eq!(connect_any(addresses(2), None, refuse).unwrap_err().kind(), ErrorKind::ConnectionRefused);
            assert_eq!(connect_any(addresses(0), None, refuse).unwrap_err().kind(), ErrorKind::NotFound);
        });
    }

    #[test]
    fn a_single_address_needs_no_thread() {
        let here = |_, _| -> io::Result<ThreadId> { Ok(thread::current().id()) };
        assert_eq!(connect_any(addresses(1), Some(PATIENCE), here).unwrap(), thread::current().id());
        assert_ne!(connect_any(addresses(2), Some(PATIENCE), here).unwrap(), thread::current().id());
    }
}
