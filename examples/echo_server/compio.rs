//! A task for each connection, on one core; with `io_uring`, where there is one.

use std::{io, sync::Arc, time::Duration};

use compio::{
    net::{TcpListener, TcpOpts, TcpStream},
    runtime::Runtime,
};
use sansock::{Config, adapter::compio as adapter};

use crate::answer;

pub(crate) fn run(listener: std::net::TcpListener, config: &Config) -> io::Result<()> {
    let config = Arc::new(config.clone());
    let address = listener.local_addr()?;
    drop(listener);
    Runtime::new()?.block_on(async {
        // compio's own one: what it accepts goes without Nagle's delay, as it does.
        let listener =
            TcpListener::bind_with_options(address, TcpOpts::new().reuse_address(true).nodelay(true)).await?;
        loop {
            let (stream, peer) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    eprintln!("echo_server: {error}");
                    compio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let config = config.clone();
            let serve = async move {
                if let Err(error) = serve(stream, &config).await {
                    eprintln!("{peer}: {error}");
                }
            };
            compio::runtime::spawn(serve).detach();
        }
    })
}

async fn serve(stream: TcpStream, config: &Config) -> Result<(), adapter::Error> {
    let Some(mut websocket) = adapter::accept_with(stream, config, answer).await? else { return Ok(()) };
    while let Some(message) = websocket.recv().await? {
        websocket.feed(message).await?;
    }
    Ok(())
}
