//! A WebSocket server that sends back what it gets, and a page to try it, over a runtime that you choose.
//!
//! `cargo run --release --example echo_server`, then open the page that it names. There is also `--runtime mio`, and
//! with `--features tokio-net` `--runtime tokio`: what each of them needs is in its file here. The same server over
//! smol is in `integration/examples`, over compio in `crates/sansock-compio/examples`.

#[path = "../support/accept.rs"]
mod accept;
mod blocking;
#[path = "../support/echo.rs"]
mod echo;
#[path = "../mio_server.rs"]
#[allow(dead_code, reason = "it is a program of its own, too")]
mod mio_server;
#[path = "../support/shutdown.rs"]
mod shutdown;
#[cfg(feature = "tokio-net")]
mod tokio;

use std::process::ExitCode;

use clap::Parser;

/// What drives the connections.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Runtime {
    /// A thread for each connection
    Blocking,
    /// A task for each connection, on all cores
    #[cfg(feature = "tokio-net")]
    Tokio,
    /// An event loop on one thread, without an adapter
    Mio,
}

#[derive(Parser)]
#[command(about = "A WebSocket server that sends back what it gets, and a page to try it")]
struct Arguments {
    /// What drives the connections
    #[arg(long, value_enum, default_value = "blocking")]
    runtime: Runtime,
    #[command(flatten)]
    options: echo::Options,
}

fn main() -> ExitCode {
    let Arguments { runtime, options } = Arguments::parse();
    options.serve("echo_server", |listener, config, shutdown| match runtime {
        Runtime::Blocking => blocking::run(listener, config, shutdown),
        #[cfg(feature = "tokio-net")]
        Runtime::Tokio => tokio::run(listener, config, shutdown),
        Runtime::Mio => mio_server::run(listener, config.clone(), echo::answer, shutdown),
    })
}
