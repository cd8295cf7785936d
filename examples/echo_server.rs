//! A WebSocket server that sends back what it gets, and a page to try it: a thread for each connection, or a task.
//!
//! `cargo run --release --example echo_server`, then open the page that it names. With `--all-features` there is also
//! `--runtime tokio` and `--runtime smol`.

use std::{
    io::{self, Write},
    net::{TcpListener, TcpStream},
    process::ExitCode,
    thread,
    time::Duration,
};

use bytes::BytesMut;
use clap::Parser;
#[cfg(feature = "deflate")]
use sansock::deflate::Deflate;
use sansock::{Config, Connection, Event, Refused, adapter::blocking, server};

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
        let config = Config::default().max_message_len(64 << 20);
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
    let address = listener.local_addr()?;
    println!("a page to try it:  http://{address}/");
    println!("the WebSocket:     ws://{address}/");
    io::stdout().flush()?;
    match arguments.runtime {
        Runtime::Blocking => run_blocking(&listener, &config),
        #[cfg(feature = "tokio-net")]
        Runtime::Tokio => with_tokio::run(listener, &config),
        #[cfg(feature = "futures-io")]
        Runtime::Smol => with_smol::run(listener, &config),
    }
}

fn run_blocking(listener: &TcpListener, config: &Config) -> io::Result<()> {
    loop {
        let config = config.clone();
        let served = listener.accept().and_then(|(stream, peer)| {
            thread::Builder::new().name(peer.to_string()).spawn(move || {
                if let Err(error) = serve(stream, &config) {
                    eprintln!("{peer}: {error}");
                }
            })
        });
        if let Err(error) = served {
            // No more sockets or threads for now: those who are served make room.
            eprintln!("echo_server: {error}");
            thread::sleep(Duration::from_millis(100));
        }
    }
}

/// Echoes until the connection ends. A client that does not read its answers is not read either, and costs no more than
/// its longest message; the default deadlines end it at last.
fn serve(stream: TcpStream, config: &Config) -> Result<(), blocking::Error> {
    stream.set_nodelay(true)?;
    let Some(mut websocket) = blocking::accept_with(stream, config, answer)? else { return Ok(()) };
    let refused = websocket.read_with(|event, connection, out| match event {
        Event::Text(text) => connection.send_text(&text, out).err(),
        Event::Binary(data) => connection.send_binary(&data, out).err(),
        _ => None,
    })?;
    refused.map_or(Ok(()), |error| Err(error.into()))
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
            request.reject(200, &html, include_bytes!("echo_page.html"), out)?;
        }
        _ => request.reject(404, &[("Content-Type", b"text/plain")], b"Not found\n", out)?,
    }
    Ok(None)
}

#[cfg(feature = "tokio-net")]
mod with_tokio {
    use sansock::adapter::tokio as adapter;
    use tokio::{
        net::{TcpListener, TcpStream},
        runtime,
    };

    use super::{Config, Duration, answer, io};

    pub(super) fn run(listener: std::net::TcpListener, config: &Config) -> io::Result<()> {
        runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
            listener.set_nonblocking(true)?;
            let listener = TcpListener::from_std(listener)?;
            loop {
                let (stream, peer) = match listener.accept().await {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        eprintln!("echo_server: {error}");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        continue;
                    }
                };
                let config = config.clone();
                tokio::spawn(async move {
                    if let Err(error) = serve(stream, &config).await {
                        eprintln!("{peer}: {error}");
                    }
                });
            }
        })
    }

    async fn serve(stream: TcpStream, config: &Config) -> Result<(), adapter::Error> {
        stream.set_nodelay(true)?;
        let Some(mut websocket) = adapter::accept_with(stream, config, answer).await? else { return Ok(()) };
        while let Some(message) = websocket.recv().await? {
            websocket.feed(message).await?;
        }
        Ok(())
    }
}

#[cfg(feature = "futures-io")]
mod with_smol {
    use std::sync::Arc;

    use sansock::adapter::futures as adapter;
    use smol::{
        LocalExecutor,
        net::{TcpListener, TcpStream},
    };

    use super::{Config, Duration, answer, io};

    pub(super) fn run(listener: std::net::TcpListener, config: &Config) -> io::Result<()> {
        let executor = LocalExecutor::new();
        let config = Arc::new(config.clone());
        smol::block_on(executor.run(async {
            let listener = TcpListener::try_from(listener)?;
            loop {
                let (stream, peer) = match listener.accept().await {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        eprintln!("echo_server: {error}");
                        smol::Timer::after(Duration::from_millis(100)).await;
                        continue;
                    }
                };
                let config = config.clone();
                let serve = async move {
                    if let Err(error) = serve(stream, &config).await {
                        eprintln!("{peer}: {error}");
                    }
                };
                executor.spawn(serve).detach();
            }
        }))
    }

    async fn serve(stream: TcpStream, config: &Config) -> Result<(), adapter::Error> {
        stream.set_nodelay(true)?;
        let timer = adapter::Sleep::new(smol::Timer::at);
        let Some(mut websocket) = adapter::accept_with(stream, timer, config, answer).await? else { return Ok(()) };
        while let Some(message) = websocket.recv().await? {
            websocket.feed(message).await?;
        }
        Ok(())
    }
}
