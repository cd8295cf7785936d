//! What the echo servers have in common: their options, and how they answer a request.

use std::{
    io::{self, Write},
    net::TcpListener,
    process::ExitCode,
    time::Duration,
};

use bytes::BytesMut;
use clap::Args;
use sansock::{Config, Connection, Keepalive, Refused, deflate::Deflate, server};

use crate::shutdown::Shutdown;

#[derive(Args)]
pub(crate) struct Options {
    /// The address and port to listen on
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9001")]
    listen: String,
    /// Ping a client after so many seconds of silence, and give it up after as many more
    #[arg(long, value_name = "SECONDS", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    keepalive: u32,
    /// Give a client up that takes nothing of its answers for so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    stall_timeout: u32,
    /// Compress messages, where the client offers it: fast and small, or with little memory
    #[arg(long, value_name = "PRESET", num_args = 0..=1, default_missing_value = "default")]
    deflate: Option<Preset>,
}

/// How to compress.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Preset {
    /// Windows of 32 KiB that last from message to message
    Default,
    /// A window of 4 KiB, and nothing kept between messages, on either side
    LowMemory,
}

impl Options {
    /// Listens, says where, and serves by `run`.
    pub(crate) fn serve(
        &self,
        program: &str,
        run: impl FnOnce(TcpListener, &Config, &Shutdown) -> io::Result<()>,
    ) -> ExitCode {
        match self.listen().and_then(|listener| run(listener, &self.config(), &Shutdown::on_signal())) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{program}: cannot listen on {}: {error}", self.listen);
                ExitCode::from(2)
            }
        }
    }

    fn listen(&self) -> io::Result<TcpListener> {
        let listener = TcpListener::bind(&self.listen)?;
        let address = listener.local_addr()?;
        println!("a page to try it:  http://{address}/");
        println!("the WebSocket:     ws://{address}/");
        io::stdout().flush()?;
        Ok(listener)
    }

    fn config(&self) -> Config {
        let (silence, stall) = (self.keepalive.into(), self.stall_timeout.into());
        Config::default()
            .max_message_len(64 << 20)
            .keepalive(Keepalive::new(Duration::from_secs(silence), Duration::from_secs(silence)))
            .stall_timeout(Duration::from_secs(stall))
            .deflate(self.deflate.map(|preset| match preset {
                Preset::Default => Deflate::default(),
                Preset::LowMemory => Deflate::low_memory(),
            }))
    }
}

/// The page for a request of it, a WebSocket for a request to upgrade.
pub(crate) fn answer(request: &server::Request, out: &mut BytesMut) -> Result<Option<Connection>, Refused> {
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
