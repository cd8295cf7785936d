//! A WebSocket server on axum that sends back what it gets, over HTTP/1.1 and HTTP/2, and a page to try it.
//!
//! `cargo run --release -p sansock-axum --features http2 --example axum_server`, then open the page that it names.

#[path = "../../../examples/support/accept.rs"]
mod accept;
#[path = "../../../examples/support/shutdown.rs"]
mod shutdown;

use std::{
    io::{self, Write},
    net::SocketAddr,
    process::ExitCode,
};

use axum::{
    Router,
    extract::State,
    http::StatusCode,
    response::{Html, IntoResponse, Response},
    routing::any,
    serve::Listener,
};
use clap::Parser;
use sansock_axum::{
    Error, Rejection, WebSocket, WebSocketUpgrade,
    sansock::{CloseCode, Config, UpgradeError, adapter::tcp},
};
use tokio::{
    net::{TcpListener, TcpStream},
    time,
};

use crate::{accept::accept, shutdown::Shutdown};

#[derive(Parser)]
#[command(about = "A WebSocket server on axum that sends back what it gets, and a page to try it")]
struct Arguments {
    /// The address and port to listen on
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9001")]
    listen: String,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Arguments { listen } = Arguments::parse();
    match run(&listen).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("axum_server: cannot listen on {listen}: {error}");
            ExitCode::from(2)
        }
    }
}

async fn run(listen: &str) -> io::Result<()> {
    let listener = TcpListener::bind(listen).await?;
    let shutdown = Shutdown::on_signal();
    let address = listener.local_addr()?;
    println!("a page to try it:  http://{address}/");
    println!("the WebSocket:     ws://{address}/");
    io::stdout().flush()?;
    let app = Router::new().route("/", any(page)).fallback(nothing).with_state(shutdown.clone());
    // `axum::serve` leaves the limits of HTTP/2 at hyper's defaults. To set them, serve the router as `hyper_server`
    // does.
    let served = async {
        axum::serve(Accept(listener), app).with_graceful_shutdown(shutdown.requested()).await?;
        shutdown.finished().await;
        Ok(())
    };
    let deadline = async {
        shutdown.requested().await;
        time::sleep(shutdown::DEADLINE).await;
    };
    tokio::select! {
        served = served => served,
        () = deadline => Ok(()),
    }
}

/// Accepts as the other examples do. The listener of axum waits a second after a failure, which it does not report.
struct Accept(TcpListener);

impl Listener for Accept {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        let (stream, peer) = accept(|| self.0.accept(), time::sleep).await;
        let _ = tcp::tune(&stream);
        (stream, peer)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// The page for who asks for it, a WebSocket for who asks for an upgrade.
async fn page(State(shutdown): State<Shutdown>, upgrade: Result<WebSocketUpgrade, Rejection>) -> Response {
    open_or(upgrade, shutdown, || Html(include_str!("../../../examples/echo_page.html")))
}

/// No page is on any other path, but a WebSocket is.
async fn nothing(State(shutdown): State<Shutdown>, upgrade: Result<WebSocketUpgrade, Rejection>) -> Response {
    open_or(upgrade, shutdown, || (StatusCode::NOT_FOUND, "Not found\n"))
}

fn open_or<R: IntoResponse>(
    upgrade: Result<WebSocketUpgrade, Rejection>,
    shutdown: Shutdown,
    page: impl FnOnce() -> R,
) -> Response {
    match upgrade {
        Ok(upgrade) => open(upgrade, shutdown),
        Err(Rejection::Request(UpgradeError::Upgrade | UpgradeError::Connect)) => page().into_response(),
        Err(malformed) => malformed.into_response(),
    }
}

fn open(upgrade: WebSocketUpgrade, shutdown: Shutdown) -> Response {
    let config = Config::default().max_message_len(64 << 20);
    // From here on, because the callback runs in a task of its own, after the answer was sent.
    let open = shutdown.guard();
    upgrade.config(&config).protocols(["chat", "superchat"]).on_upgrade(async move |websocket| {
        if let Err(error) = echo(websocket, &shutdown).await {
            eprintln!("{error}");
        }
        drop(open);
    })
}

/// Until the connection ends.
async fn echo(mut websocket: WebSocket, shutdown: &Shutdown) -> Result<(), Error> {
    while let Some(received) = shutdown.or(websocket.recv()).await {
        let Some(message) = received? else { return Ok(()) };
        websocket.feed(message).await?;
    }
    websocket.close(CloseCode::GOING_AWAY, shutdown::REASON).await
}
