//! A WebSocket server that sends back what it gets, and a page to try it, over a runtime that you choose.
//!
//! `cargo run --release --example echo_server`, then open the page that it names. There is also `--runtime mio`, and with
//! `--all-features` `tokio`, `smol` and `compio`: what each of them needs is in its file here.

#[path = "../support/accept.rs"]
mod accept;
mod blocking;
#[cfg(feature = "compio")]
mod compio;
#[path = "../mio_server.rs"]
#[allow(dead_code, reason = "it is a program of its own, too")]
mod mio_server;
#[path = "../support/shutdown.rs"]
mod shutdown;
#[cfg(feature = "futures-io")]
mod smol;
#[cfg(feature = "tokio-net")]
mod tokio;

use std::{
    io::{self, Write},
    net::TcpListener,
    process::ExitCode,
    time::Duration,
};

use bytes::BytesMut;
use clap::Parser;
#[cfg(feature = "deflate")]
use sansock::deflate::Deflate;
use sansock::{Config, Connection, Keepalive, Refused, server};

use crate::shutdown::Shutdown;

/// What drives the connections.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Runtime {
    /// A thread for each connection
    Blocking,
    /// A task for each connection, on all cores
    #[cfg(feature = "tokio-net")]
    Tokio,
    /// A task for each connection, on one core
    #[cfg(feature = "futures-io")]
    Smol,
    /// A task for each connection, on one core, with `io_uring` where there is one
    #[cfg(feature = "compio")]
    Compio,
    /// An event loop on one thread, without an adapter
    Mio,
}

#[derive(Parser)]
#[command(about = "A WebSocket server that sends back what it gets, and a page to try it")]
struct Arguments {
    /// The address and port to listen on
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9001")]
    listen: String,
    /// What drives the connections
    #[arg(long, value_enum, default_value = "blocking")]
    runtime: Runtime,
    /// Ping a client after so many seconds of silence, and give it up after as many more
    #[arg(long, value_name = "SECONDS", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    keepalive: u32,
    /// Give a client up that takes nothing of its answers for so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    stall_timeout: u32,
    /// Compress messages, where the client offers it: fast and small, or with little memory
    #[cfg(feature = "deflate")]
    #[arg(long, value_name = "PRESET", num_args = 0..=1, default_missing_value = "default")]
    deflate: Option<Preset>,
}

/// How to compress.
#[cfg(feature = "deflate")]
#[derive(Clone, Copy, clap::ValueEnum)]
enum Preset {
    /// Windows of 32 KiB that last from message to message
    Default,
    /// A window of 4 KiB, and nothing kept between messages, on either side
    LowMemory,
}

impl Arguments {
    fn config(&self) -> Config {
        let (silence, stall) = (self.keepalive.into(), self.stall_timeout.into());
        let config = Config::default()
            .max_message_len(64 << 20)
            .keepalive(Keepalive::new(Duration::from_secs(silence), Duration::from_secs(silence)))
            .stall_timeout(Duration::from_secs(stall));
        #[cfg(feature = "deflate")]
        let config = config.deflate(self.deflate.map(|preset| match preset {
            Preset::Default => Deflate::default(),
            Preset::LowMemory => Deflate::low_memory(),
        }));
        config
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let listen = &arguments.listen;
    match run(listen, &arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("echo_server: cannot listen on {listen}: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(listen: &str, arguments: &Arguments) -> io::Result<()> {
    let (listener, config) = (TcpListener::bind(listen)?, arguments.config());
    let shutdown = Shutdown::on_signal();
    let address = listener.local_addr()?;
    println!("a page to try it:  http://{address}/");
    println!("the WebSocket:     ws://{address}/");
    io::stdout().flush()?;
    match arguments.runtime {
        Runtime::Blocking => blocking::run(listener, &config, &shutdown),
        #[cfg(feature = "tokio-net")]
        Runtime::Tokio => tokio::run(listener, &config, &shutdown),
        #[cfg(feature = "futures-io")]
        Runtime::Smol => smol::run(listener, &config, &shutdown),
        #[cfg(feature = "compio")]
        Runtime::Compio => compio::run(listener, &config, &shutdown),
        Runtime::Mio => mio_server::run(listener, config, answer, &shutdown),
    }
}

/// The page for who asks for it, a WebSocket for who asks for an upgrade.
fn answer(request: &server::Request, out: &mut BytesMut) -> Result<Option<Connection>, Refused> {
    if request.is_upgrade() {
        let subprotocol = request.preferred(&["chat", "superchat"]);
        return request.accept(&server::Response::new().subprotocol(subprotocol), out).map(Some);
    }
    match (request.method(), request.target()) {
        ("GET" | "HEAD", "/") => {
            let html = [("Content-Type", &b"text/html; charset=utf-8"[..])];
            request.reject(200, &html, include_bytes!("../echo_page.html"), out)?;
        }
        _ => request.reject(404, &[("Content-Type", b"text/plain")], b"Not found\n", out)?,
    }
    Ok(None)
}
