//! A task for each connection, on all cores.

use std::{io, time::Duration};

use sansock::{Config, adapter::tokio as adapter};
use tokio::{
    net::{TcpListener, TcpStream},
    runtime,
};

use crate::answer;

pub(crate) fn run(listener: std::net::TcpListener, config: &Config) -> io::Result<()> {
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
