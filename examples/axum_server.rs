//! A WebSocket server on axum that sends back what it gets, over HTTP/1.1 and HTTP/2, and a page to try it.
//!
//! `cargo run --release --features axum,http2 --example axum_server`, then open the page that it names.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use axum::{
    Router,
    http::StatusCode,
    response::{Html, IntoResponse, Response},
    routing::any,
};
use clap::Parser;
use sansock::{
    Config, UpgradeError,
    adapter::axum::{Error, Rejection, WebSocket, WebSocketUpgrade},
};
use tokio::net::TcpListener;

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
    let address = listener.local_addr()?;
    println!("a page to try it:  http://{address}/");
    println!("the WebSocket:     ws://{address}/");
    io::stdout().flush()?;
    axum::serve(listener, Router::new().route("/", any(page)).fallback(nothing)).await
}

/// The page for who asks for it, a WebSocket for who asks for an upgrade.
async fn page(upgrade: Result<WebSocketUpgrade, Rejection>) -> Response {
    open_or(upgrade, || Html(include_str!("echo_page.html")))
}

/// No page is on any other path, but a WebSocket is.
async fn nothing(upgrade: Result<WebSocketUpgrade, Rejection>) -> Response {
    open_or(upgrade, || (StatusCode::NOT_FOUND, "Not found\n"))
}

fn open_or<R: IntoResponse>(upgrade: Result<WebSocketUpgrade, Rejection>, page: impl FnOnce() -> R) -> Response {
    match upgrade {
        Ok(upgrade) => open(upgrade),
        Err(Rejection::Request(UpgradeError::Upgrade | UpgradeError::Connect)) => page().into_response(),
        Err(malformed) => malformed.into_response(),
    }
}

fn open(upgrade: WebSocketUpgrade) -> Response {
    let config = Config::default().max_message_len(64 << 20);
    upgrade.config(&config).protocols(["chat", "superchat"]).on_upgrade(async |websocket| {
        if let Err(error) = echo(websocket).await {
            eprintln!("{error}");
        }
    })
}

/// Until the connection ends.
async fn echo(mut websocket: WebSocket) -> Result<(), Error> {
    while let Some(message) = websocket.recv().await? {
        websocket.feed(message).await?;
    }
    Ok(())
}
