//! A client of tokio that comes back, on a simulated clock.
#![cfg(feature = "tokio")]

#[path = "support/watchdog.rs"]
mod watchdog;

use std::{cell::RefCell, io, time::Duration};

use futures_lite::{FutureExt, StreamExt};
use sansock::{
    Backoff, HandshakeError,
    adapter::tokio::{Error, Reconnect},
};
use tokio::time::{Instant, sleep, timeout};
use watchdog::watchdog;

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// Waits of up to a second first, then of 5 to 10 s, 8 to 16 s, and so on to 60 s.
fn backoff() -> Backoff {
    Backoff::new([3; 32]).first(seconds(1)).then(seconds(10), seconds(60))
}

fn refused() -> Error {
    io::Error::from(io::ErrorKind::ConnectionRefused).into()
}

/// When the attempts of a client were made, and what each is to come to.
#[derive(Default)]
struct Server {
    attempts: RefCell<Vec<Instant>>,
    results: RefCell<Vec<Result<&'static str, Error>>>,
}

impl Server {
    fn with(results: impl IntoIterator<Item = Result<&'static str, Error>>) -> Self {
        let mut results: Vec<_> = results.into_iter().collect();
        results.reverse();
        Self { results: results.into(), ..Self::default() }
    }

    async fn connect(&self) -> Result<&'static str, Error> {
        self.attempts.borrow_mut().push(Instant::now());
        let result = self.results.borrow_mut().pop();
        match result {
            Some(result) => result,
            None => std::future::pending().await,
        }
    }

    /// The time between each two attempts.
    fn waits(&self) -> Vec<Duration> {
        self.attempts.borrow().windows(2).map(|pair| pair[1] - pair[0]).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn what_passes_is_tried_again_with_longer_and_longer_waits() {
    let _watchdog = watchdog();
    let server = Server::with([
        Err(refused()),
        Err(HandshakeError::Timeout.into()),
        Err(HandshakeError::ConnectionLost.into()),
        Err(refused()),
        Ok("at last"),
    ]);
    let mut connections = Reconnect::new(backoff(), || server.connect());
    assert_eq!(connections.next().await.unwrap(), "at last");
    let waits = server.waits();
    assert!(waits[0] <= seconds(1) + Duration::from_millis(1), "{waits:?}");
    for (wait, most) in waits[1..].iter().zip([10.0, 16.0, 25.6]) {
        assert!((most / 2.0..=most + 0.001).contains(&wait.as_secs_f64()), "{waits:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_does_not_pass_is_returned_and_tried_again_only_after_a_wait() {
    let _watchdog = watchdog();
    let server = Server::with([Err(HandshakeError::Accept.into()), Err(HandshakeError::Upgrade.into()), Ok("ok")]);
    let mut connections =
        Reconnect::new(Backoff::new([3; 32]).first(seconds(0)).then(seconds(10), seconds(60)), || server.connect());
    let start = Instant::now();
    let error = connections.next().await.unwrap_err();
    assert!(matches!(error, Error::Handshake(HandshakeError::Accept)));
    assert_eq!(start.elapsed(), seconds(0));
    assert!(connections.next().await.is_err());
    assert_eq!(connections.next().await.unwrap(), "ok");
    assert!(server.waits()[1] >= seconds(5));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_accepts_and_fails_at_once_is_not_stormed() {
    let _watchdog = watchdog();
    let server = Server::with((0..6).map(|_| Ok("for a moment")));
    let mut connections = Reconnect::new(backoff(), || server.connect());
    for _ in 0..6 {
        connections.next().await.unwrap();
    }
    let waits = server.waits();
    for (wait, least) in waits[1..].iter().zip([5, 8, 12, 20]) {
        assert!(*wait >= seconds(least), "{waits:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_waits_begin_anew_after_a_connection_that_held() {
    let _watchdog = watchdog();
    let server = Server::with([Err(refused()), Err(refused()), Ok("one"), Ok("two")]);
    let mut connections = Reconnect::new(backoff(), || server.connect());
    connections.next().await.unwrap();
    sleep(seconds(60)).await;
    let ended = Instant::now();
    connections.next().await.unwrap();
    assert!(ended.elapsed() <= seconds(1) + Duration::from_millis(1), "{:?}", ended.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_call_does_not_shorten_a_wait() {
    let _watchdog = watchdog();
    let server = Server::with([Err(refused()), Err(refused()), Ok("ok")]);
    let mut connections = Reconnect::new(backoff(), || server.connect());
    let connected = loop {
        match timeout(Duration::from_millis(100), connections.next()).await {
            Ok(connected) => break connected.unwrap(),
            Err(_) => assert!(server.attempts.borrow().len() <= 3),
        }
    };
    assert_eq!(connected, "ok");
    let waits = server.waits();
    assert!(waits[1] >= seconds(5), "{waits:?}");
    assert_eq!(waits.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_call_goes_on_with_its_attempt() {
    let _watchdog = watchdog();
    let attempts = RefCell::new(0);
    let mut connections = Reconnect::new(backoff(), || {
        *attempts.borrow_mut() += 1;
        async {
            sleep(seconds(1)).await;
            Ok("after a second")
        }
    });
    let connected = loop {
        if let Ok(connected) = timeout(Duration::from_millis(100), connections.next()).await {
            break connected.unwrap();
        }
    };
    assert_eq!((connected, *attempts.borrow()), ("after a second", 1));
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_panicked_is_not_polled_again() {
    let _watchdog = watchdog();
    let attempts = RefCell::new(0);
    let mut connections = Reconnect::new(backoff(), || {
        let attempt = attempts.replace_with(|count| *count + 1);
        async move {
            sleep(seconds(1)).await;
            assert!(attempt > 0, "the first one panics");
            Ok(attempt)
        }
    });
    let first = std::panic::AssertUnwindSafe(connections.next());
    assert!(first.catch_unwind().await.is_err());
    assert_eq!(connections.next().await.unwrap(), 1);
}

/// Between two calls nothing belongs to a runtime.
#[test]
fn each_call_may_have_a_runtime_of_its_own() {
    let _watchdog = watchdog();
    let server = Server::with([Err(HandshakeError::Accept.into()), Ok("one"), Ok("two")]);
    let none = Backoff::new([3; 32]).first(Duration::ZERO).then(Duration::from_millis(1), Duration::from_millis(1));
    let mut connections = Reconnect::new(none, || server.connect());
    for expected in [None, Some("one"), Some("two")] {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        assert_eq!(runtime.block_on(connections.next()).ok(), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn as_a_stream_it_goes_on_after_errors() {
    let _watchdog = watchdog();
    let server = Server::with([Err(refused()), Ok("one"), Err(HandshakeError::Accept.into()), Ok("two")]);
    let connections = Reconnect::new(backoff(), || server.connect());
    let items: Vec<_> = connections.map(Result::ok).take(3).collect().await;
    assert_eq!(items, [Some("one"), None, Some("two")]);
    assert!(server.waits()[1..].iter().all(|wait| *wait >= seconds(5)), "{:?}", server.waits());
}

#[tokio::test(start_paused = true)]
async fn a_wait_without_end_is_a_long_one() {
    let _watchdog = watchdog();
    let server = Server::with([Err(refused()), Err(refused()), Ok("ok")]);
    let forever = Backoff::new([3; 32]).first(Duration::MAX).then(Duration::MAX, Duration::MAX);
    let mut connections = Reconnect::new(forever, || server.connect());
    assert!(timeout(seconds(3600), connections.next()).await.is_err());
    assert_eq!(server.attempts.borrow().len(), 1);
}

/// The whole of it may run in a task of its own.
#[cfg(feature = "tokio-net")]
#[test]
fn a_task_may_reconnect() {
    fn is_send<T: Send>(_: &T) {}

    async fn run(uri: String) -> Result<(), Error> {
        let config = sansock::Config::default();
        let mut connections = Reconnect::new(backoff(), || sansock::adapter::tokio::connect(&uri, &config));
        loop {
            let mut websocket = connections.next().await?;
            while let Ok(Some(_)) = websocket.recv().await {}
        }
    }
    is_send(&run(String::new()));
    let config = sansock::Config::default();
    let ask = |route: sansock::route::Route<'static>| route.max_redirects(0);
    is_send(&sansock::adapter::tokio::connect_with("ws://h", &config, ask));
    #[cfg(feature = "tls")]
    is_send(&sansock::adapter::tokio::tls::connect("wss://h", &config));
}

/// Real connections: a server that goes down, and comes back.
#[cfg(feature = "tokio-net")]
#[tokio::test]
async fn a_client_comes_back_to_a_server_that_was_away() {
    use sansock::{CloseCode, Config, adapter::tokio as adapter};
    use tokio::net::TcpListener;

    let _watchdog = watchdog();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (uri, config) = (format!("ws://{address}/"), Config::default());
    let millis = Duration::from_millis;
    let backoff = Backoff::new([3; 32]).first(millis(1)).then(millis(1), millis(10));
    let mut connections = Reconnect::new(backoff, || adapter::connect(&uri, &config));
    let (websocket, server) = tokio::join!(connections.next(), async {
        adapter::accept(listener.accept().await.unwrap().0, &config).await.unwrap()
    });
    // It vanishes, and answers with 503 until it is up again.
    drop((server, listener));
    assert!(websocket.unwrap().recv().await.is_err());
    let server = async {
        sleep(millis(30)).await;
        let listener = TcpListener::bind(address).await.unwrap();
        for _ in 0..2 {
            let upgrade = adapter::receive_request(listener.accept().await.unwrap().0, &config).await.unwrap();
            upgrade.reject(503, &[], b"").await.unwrap();
        }
        let mut websocket = adapter::accept(listener.accept().await.unwrap().0, &config).await.unwrap();
        websocket.close(CloseCode::NORMAL, "").await.unwrap();
    };
    let client = async { assert_eq!(connections.next().await.unwrap().recv().await.unwrap(), None) };
    tokio::join!(server, client);
}
