//! The scenarios of all adapters, over smol.

#[path = "../../../tests/support/adapters.rs"]
mod adapters;
#[path = "../../../tests/support/poll.rs"]
mod poll;

use std::{
    net::TcpStream,
    thread::{self, JoinHandle},
    time::Duration,
};

use sansock::{Config, adapter::Error, client};

pub(crate) use self::adapters::*;

/// Runs each scenario over smol.
#[allow(unused_macros, reason = "some tests are for one adapter")]
macro_rules! suite {
    ($($(#[$attribute:meta])* $scenario:ident)*) => {
        mod smol {
            $(#[test] $(#[$attribute])* fn $scenario() { let _watchdog = $crate::support::watchdog(); super::$scenario::<crate::support::Smol>(); })*
        }
    };
}

/// The same for scenarios of asynchronous adapters.
#[allow(unused_macros, reason = "some tests are for one adapter")]
macro_rules! asynchronous_suite {
    ($($scenario:ident)*) => {
        mod smol {
            $(#[test] fn $scenario() { let _watchdog = $crate::support::watchdog(); super::$scenario::<crate::support::Smol, _>(); })*
        }
    };
}

pub(crate) struct Smol;

/// What `smol::Timer::at` makes.
type SmolTimer = sansock::adapter::futures::Sleep<fn(std::time::Instant) -> smol::Timer, smol::Timer>;

impl Smol {
    pub(crate) fn stream(stream: TcpStream) -> smol::net::TcpStream {
        smol::net::TcpStream::from(smol::Async::new(stream).unwrap())
    }

    pub(crate) fn timer() -> SmolTimer {
        sansock::adapter::futures::Sleep::new(smol::Timer::at)
    }
}

impl Adapter for Smol {
    type WebSocket = sansock::adapter::futures::WebSocket<smol::net::TcpStream, SmolTimer>;

    fn run<T: Send + 'static>(program: impl AsyncFnOnce() -> T + Send + 'static) -> JoinHandle<T> {
        thread::spawn(move || smol::block_on(program()))
    }

    async fn accept_with(
        stream: TcpStream,
        config: &Config,
        answer: impl Answer,
    ) -> Result<Option<Self::WebSocket>, Error> {
        sansock::adapter::futures::accept_with(Self::stream(stream), Self::timer(), config, answer).await
    }

    async fn client(
        stream: TcpStream,
        request: &client::Request<'_>,
        config: &Config,
    ) -> Result<(Self::WebSocket, client::Response), Error> {
        sansock::adapter::futures::client(Self::stream(stream), Self::timer(), request, config).await
    }

    async fn sleep(time: Duration) {
        smol::Timer::after(time).await;
    }

    fn serve_all(streams: Vec<TcpStream>) -> usize {
        let executor = smol::Executor::new();
        let spawn = |stream| {
            executor.spawn(async {
                let (stream, timer) = (Self::stream(stream), Self::timer());
                let mut websocket = sansock::adapter::futures::accept(stream, timer, &patient()).await?;
                while let Some(message) = websocket.recv().await? {
                    websocket.feed(message).await?;
                }
                Ok::<_, Error>(websocket.close_info().unwrap().clean)
            })
        };
        let servers: Vec<_> = streams.into_iter().map(spawn).collect();
        smol::block_on(executor.run(async {
            let mut clean = 0;
            for server in servers {
                clean += usize::from(server.await.unwrap());
            }
            clean
        }))
    }
}
