//! A WebSocket server on smol that sends back what it gets, and a page to try it: a task for each connection, on one
//! core.
//!
//! `cargo run --release -p sansock-integration --example smol_server`, then open the page that it names.

#[path = "../../examples/support/accept.rs"]
mod accept;
#[path = "../../examples/support/echo.rs"]
mod echo;
#[path = "../../examples/support/shutdown.rs"]
mod shutdown;

use std::{io, process::ExitCode, sync::Arc};

use clap::Parser;
use sansock::{
    CloseCode, Config,
    adapter::{futures as adapter, tcp},
};
use smol::{
    LocalExecutor, Timer, future,
    net::{TcpListener, TcpStream},
};

use crate::{accept::accept, echo::answer, shutdown::Shutdown};

#[derive(Parser)]
#[command(about = "A WebSocket server on smol that sends back what it gets, and a page to try it")]
struct Arguments {
    #[command(flatten)]
    options: echo::Options,
}

fn main() -> ExitCode {
    Arguments::parse().options.serve("smol_server", run)
}

fn run(listener: std::net::TcpListener, config: &Config, shutdown: &Shutdown) -> io::Result<()> {
    let executor = LocalExecutor::new();
    let config = Arc::new(config.clone());
    smol::block_on(executor.run(async {
        let listener = TcpListener::try_from(listener)?;
        while let Some((stream, peer)) = shutdown.or(accept(|| listener.accept(), Timer::after)).await {
            let (config, serving) = (config.clone(), shutdown.clone());
            let serve = async move {
                if let Err(error) = serve(stream, &config, &serving).await {
                    eprintln!("{peer}: {error}");
                }
            };
            executor.spawn(shutdown.track(serve)).detach();
        }
        drop(listener);
        let deadline = async {
            Timer::after(shutdown::DEADLINE).await;
        };
        future::or(shutdown.finished(), deadline).await;
        Ok(())
    }))
}

async fn serve(stream: TcpStream, config: &Config, shutdown: &Shutdown) -> Result<(), adapter::Error> {
    let _ = tcp::tune(&stream);
    let timer = adapter::Sleep::new(Timer::at);
    // A client whose handshake is under way has no WebSocket yet, so no Close either.
    let Some(accepted) = shutdown.or(adapter::accept_with(stream, timer, config, answer)).await else { return Ok(()) };
    let Some(mut websocket) = accepted? else { return Ok(()) };
    while let Some(received) = shutdown.or(websocket.recv()).await {
        let Some(message) = received? else { return Ok(()) };
        websocket.feed(message).await?;
    }
    websocket.close(CloseCode::GOING_AWAY, shutdown::REASON).await
}
