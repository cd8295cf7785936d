//! A WebSocket server on compio that sends back what it gets, and a page to try it: a task for each connection, on one
//! core.
//!
//! `cargo run --release -p sansock-compio --example compio_server`, then open the page that it names.

#[path = "../../../examples/support/accept.rs"]
mod accept;
#[path = "../../../examples/support/echo.rs"]
mod echo;
#[path = "../../../examples/support/shutdown.rs"]
mod shutdown;

use std::{io, process::ExitCode, sync::Arc};

use clap::Parser;
use compio::{
    driver::DriverType,
    net::{TcpListener, TcpStream},
    runtime::Runtime,
    time,
};
use sansock_compio::{
    self as adapter,
    sansock::{CloseCode, Config, adapter::tcp},
};

use crate::{accept::accept, echo::answer, shutdown::Shutdown};

#[derive(Parser)]
#[command(about = "A WebSocket server on compio that sends back what it gets, and a page to try it")]
struct Arguments {
    #[command(flatten)]
    options: echo::Options,
}

fn main() -> ExitCode {
    Arguments::parse().options.serve("compio_server", run)
}

fn run(listener: std::net::TcpListener, config: &Config, shutdown: &Shutdown) -> io::Result<()> {
    let config = Arc::new(config.clone());
    Runtime::new()?.block_on(async {
        // What is polled must not block, and what io_uring waits for must not refuse.
        listener.set_nonblocking(Runtime::with_current(Runtime::driver_type) == DriverType::Poll)?;
        let listener = TcpListener::from_std(listener)?;
        while let Some((stream, peer)) = shutdown.or(accept(|| listener.accept(), time::sleep)).await {
            let (config, serving) = (config.clone(), shutdown.clone());
            let serve = async move {
                if let Err(error) = serve(stream, &config, &serving).await {
                    eprintln!("{peer}: {error}");
                }
            };
            compio::runtime::spawn(shutdown.track(serve)).detach();
        }
        drop(listener);
        let _ = time::timeout(shutdown::DEADLINE, shutdown.finished()).await;
        Ok(())
    })
}

async fn serve(stream: TcpStream, config: &Config, shutdown: &Shutdown) -> Result<(), adapter::Error> {
    let _ = tcp::tune(&stream);
    // A client whose handshake is under way has no WebSocket yet, so no Close either.
    let Some(accepted) = shutdown.or(adapter::accept_with(stream, config, answer)).await else { return Ok(()) };
    let Some(mut websocket) = accepted? else { return Ok(()) };
    while let Some(received) = shutdown.or(websocket.recv()).await {
        let Some(message) = received? else { return Ok(()) };
        websocket.feed(message).await?;
    }
    websocket.close(CloseCode::GOING_AWAY, shutdown::REASON).await
}
