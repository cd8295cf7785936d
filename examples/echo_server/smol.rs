//! A task for each connection, on one core.

use std::{io, sync::Arc, time::Duration};

use sansock::{Config, adapter::futures as adapter};
use smol::{
    LocalExecutor,
    net::{TcpListener, TcpStream},
};

use crate::answer;

pub(crate) fn run(listener: std::net::TcpListener, config: &Config) -> io::Result<()> {
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
