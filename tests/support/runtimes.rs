//! The adapters of this crate, threads and tokio, for the scenarios of all adapters.

#[path = "adapters.rs"]
mod adapters;
#[cfg(feature = "poll")]
mod poll;

use std::{
    net::TcpStream,
    thread::{self, JoinHandle},
    time::Duration,
};

use bytes::BytesMut;
use sansock::{
    CloseCode, CloseInfo, Config, Connection, Event, Message,
    adapter::{Error, blocking},
    client,
};

pub(crate) use self::adapters::*;

/// Runs each scenario, which is generic over an [`Adapter`], with each of them. `sansock-compio` and `integration` have
/// a macro of this name for their adapters.
#[allow(unused_macros, reason = "some tests are for one adapter")]
macro_rules! suite {
    ($($(#[$attribute:meta])* $scenario:ident)*) => {
        mod blocking {
            $(#[test] $(#[$attribute])* fn $scenario() { let _watchdog = $crate::support::watchdog(); super::$scenario::<crate::support::Blocking>(); })*
        }
        #[cfg(feature = "tokio")]
        mod tokio {
            $(#[test] $(#[$attribute])* fn $scenario() { let _watchdog = $crate::support::watchdog(); super::$scenario::<crate::support::Tokio>(); })*
        }
    };
}

/// The same for scenarios of asynchronous adapters.
#[allow(unused_macros, reason = "some tests are for one adapter")]
macro_rules! asynchronous_suite {
    ($($scenario:ident)*) => {
        #[cfg(feature = "tokio")]
        mod tokio {
            $(#[test] fn $scenario() { let _watchdog = $crate::support::watchdog(); super::$scenario::<crate::support::Tokio, _>(); })*
        }
    };
}

pub(crate) struct Blocking;

impl WebSocket for blocking::WebSocket<TcpStream> {
    async fn recv(&mut self) -> Result<Option<Message>, Error> {
        self.read()
    }

    async fn recv_with<T>(
        &mut self,
        handler: impl FnMut(Event<'_>, &mut Connection, &mut BytesMut) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        self.read_with(handler)
    }

    async fn send(&mut self, message: Message) -> Result<(), Error> {
        self.send(message)
    }

    async fn ping(&mut self, payload: &[u8]) -> Result<(), Error> {
        self.ping(payload)
    }

    async fn close(&mut self, code: CloseCode, reason: &str) -> Result<(), Error> {
        self.close(code, reason)
    }

    fn close_info(&self) -> Option<&CloseInfo> {
        self.close_info()
    }
}

impl Adapter for Blocking {
    type WebSocket = blocking::WebSocket<TcpStream>;

    fn run<T: Send + 'static>(program: impl AsyncFnOnce() -> T + Send + 'static) -> JoinHandle<T> {
        thread::spawn(move || futures_lite::future::block_on(program()))
    }

    async fn accept_with(
        stream: TcpStream,
        config: &Config,
        answer: impl Answer,
    ) -> Result<Option<Self::WebSocket>, Error> {
        blocking::accept_with(stream, config, answer)
    }

    async fn client(
        stream: TcpStream,
        request: &client::Request<'_>,
        config: &Config,
    ) -> Result<(Self::WebSocket, client::Response), Error> {
        blocking::client(stream, request, config)
    }

    async fn sleep(time: Duration) {
        thread::sleep(time);
    }

    fn serve_all(streams: Vec<TcpStream>) -> usize {
        let serve = |stream| Self::run(async || echo(Self::accept(stream, &patient()).await).await);
        let servers: Vec<_> = streams.into_iter().map(serve).collect();
        servers.into_iter().map(|server| usize::from(server.join().unwrap().unwrap().clean)).sum()
    }
}

#[cfg(feature = "tokio")]
pub(crate) struct Tokio;

#[cfg(feature = "tokio")]
impl Tokio {
    pub(crate) fn stream(stream: TcpStream) -> tokio::net::TcpStream {
        stream.set_nonblocking(true).unwrap();
        tokio::net::TcpStream::from_std(stream).unwrap()
    }
}

#[cfg(feature = "tokio")]
impl Adapter for Tokio {
    type WebSocket = sansock::adapter::tokio::WebSocket<tokio::net::TcpStream>;

    fn run<T: Send + 'static>(program: impl AsyncFnOnce() -> T + Send + 'static) -> JoinHandle<T> {
        thread::spawn(move || {
            tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(program())
        })
    }

    async fn accept_with(
        stream: TcpStream,
        config: &Config,
        answer: impl Answer,
    ) -> Result<Option<Self::WebSocket>, Error> {
        sansock::adapter::tokio::accept_with(Self::stream(stream), config, answer).await
    }

    async fn client(
        stream: TcpStream,
        request: &client::Request<'_>,
        config: &Config,
    ) -> Result<(Self::WebSocket, client::Response), Error> {
        sansock::adapter::tokio::client(Self::stream(stream), request, config).await
    }

    async fn sleep(time: Duration) {
        tokio::time::sleep(time).await;
    }

    fn serve_all(streams: Vec<TcpStream>) -> usize {
        let program = async move || {
            let servers: Vec<_> = streams
                .into_iter()
                .map(|stream| {
                    tokio::spawn(async {
                        let mut websocket = sansock::adapter::tokio::accept(Self::stream(stream), &patient()).await?;
                        while let Some(message) = websocket.recv().await? {
                            websocket.feed(message).await?;
                        }
                        Ok::<_, Error>(websocket.close_info().unwrap().clean)
                    })
                })
                .collect();
            let mut clean = 0;
            for server in servers {
                clean += usize::from(server.await.unwrap().unwrap());
            }
            clean
        };
        Self::run(program).join().unwrap()
    }
}
