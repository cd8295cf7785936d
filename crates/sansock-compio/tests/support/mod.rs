//! The scenarios of all adapters, over compio.

#[path = "../../../../tests/support/adapters.rs"]
mod adapters;
#[path = "../../../../tests/support/poll.rs"]
mod poll;

use std::{
    net::TcpStream,
    thread::{self, JoinHandle},
    time::Duration,
};

use sansock_compio::{
    Error,
    sansock::{Config, client},
};

pub(crate) use self::adapters::*;

/// Runs each scenario over compio.
#[allow(unused_macros, reason = "some tests are for one adapter")]
macro_rules! suite {
    ($($(#[$attribute:meta])* $scenario:ident)*) => {
        mod compio {
            $(#[test] $(#[$attribute])* fn $scenario() { let _watchdog = $crate::support::watchdog(); super::$scenario::<crate::support::Compio>(); })*
        }
    };
}

/// The same for scenarios of asynchronous adapters.
#[allow(unused_macros, reason = "some tests are for one adapter")]
macro_rules! asynchronous_suite {
    ($($scenario:ident)*) => {
        mod compio {
            $(#[test] fn $scenario() { let _watchdog = $crate::support::watchdog(); super::$scenario::<crate::support::Compio, _>(); })*
        }
    };
}

pub(crate) struct Compio;

impl Compio {
    pub(crate) fn stream(stream: TcpStream) -> compio::net::TcpStream {
        // What is polled must not block, and what is not polled must not refuse.
        let driver = compio::runtime::Runtime::with_current(compio::runtime::Runtime::driver_type);
        stream.set_nonblocking(driver == compio::driver::DriverType::Poll).unwrap();
        compio::net::TcpStream::from_std(stream).unwrap()
    }
}

impl Adapter for Compio {
    type WebSocket = sansock_compio::WebSocket<compio::net::TcpStream>;

    fn run<T: Send + 'static>(program: impl AsyncFnOnce() -> T + Send + 'static) -> JoinHandle<T> {
        thread::spawn(move || {
            let runtime = compio::runtime::Runtime::new().unwrap();
            let result = runtime.block_on(program());
            // What was cancelled keeps its socket until the runtime has heard of its end.
            runtime.poll_with(Some(millis(10)));
            result
        })
    }

    async fn accept_with(
        stream: TcpStream,
        config: &Config,
        answer: impl Answer,
    ) -> Result<Option<Self::WebSocket>, Error> {
        sansock_compio::accept_with(Self::stream(stream), config, answer).await
    }

    async fn client(
        stream: TcpStream,
        request: &client::Request<'_>,
        config: &Config,
    ) -> Result<(Self::WebSocket, client::Response), Error> {
        sansock_compio::client(Self::stream(stream), request, config).await
    }

    async fn sleep(time: Duration) {
        compio::time::sleep(time).await;
    }

    fn serve_all(streams: Vec<TcpStream>) -> usize {
        let program = async move || {
            let serve = |stream| {
                compio::runtime::spawn(async {
                    let mut websocket = sansock_compio::accept(Self::stream(stream), &patient()).await?;
                    while let Some(message) = websocket.recv().await? {
                        websocket.feed(message).await?;
                    }
                    Ok::<_, Error>(websocket.close_info().unwrap().clean)
                })
            };
            let servers: Vec<_> = streams.into_iter().map(serve).collect();
            let mut clean = 0;
            for server in servers {
                clean += usize::from(server.await.unwrap().unwrap());
            }
            clean
        };
        Self::run(program).join().unwrap()
    }
}
