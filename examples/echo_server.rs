//! A WebSocket server that sends back what it gets, and a page to try it: one thread for each connection.
//!
//! `cargo run --release --example echo_server`, then open the page that it names.

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

#[derive(Parser)]
#[command(about = "A WebSocket server that sends back what it gets, and a page to try it")]
struct Arguments {
    /// The address and port to listen on
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9001")]
    listen: String,
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
    match run(listen, &arguments.config()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("echo_server: cannot listen on {listen}: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(listen: &str, config: &Config) -> io::Result<()> {
    let listener = TcpListener::bind(listen)?;
    let address = listener.local_addr()?;
    println!("a page to try it:  http://{address}/");
    println!("the WebSocket:     ws://{address}/");
    io::stdout().flush()?;
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
