//! What the feature `tracing` tells of a connection, over threads and tokio.
#![cfg(all(feature = "tracing", feature = "blocking", feature = "poll", feature = "getrandom"))]

#[path = "support/runtimes.rs"]
#[macro_use]
#[allow(dead_code, reason = "most of it is for the suite of all adapters")]
mod support;

#[path = "scenarios/tracing.rs"]
mod scenarios;

use std::net::TcpStream;

use sansock::adapter::blocking;

impl scenarios::Traced for blocking::WebSocket<TcpStream> {
    fn trace(self, id: u64) -> Self {
        self.trace(id)
    }
}
