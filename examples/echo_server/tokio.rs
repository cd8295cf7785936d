//! A task for each connection, on all cores.

use std::io;

use sansock::{
    CloseCode, Config,
    adapter::{tcp, tokio as adapter},
};
use tokio::{
    net::{TcpListener, TcpStream},
    runtime, time,
};

use crate::{
    accept::accept,
    echo::answer,
    shutdown::{self, Shutdown},
};

pub(crate) fn run(listener: std::net::TcpListener, config: &Config, shutdown: &Shutdown) -> io::Result<()> {
    runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        while let Some((stream, peer)) = shutdown.or(accept(|| listener.accept(), time::sleep)).await {
            let (config, serving) = (config.clone(), shutdown.clone());
            tokio::spawn(shutdown.track(async move {
                if let Err(error) = serve(stream, &config, &serving).await {
                    eprintln!("{peer}: {error}");
                }
            }));
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
