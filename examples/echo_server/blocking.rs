//! A thread for each connection.

use std::{
    io,
    net::{TcpListener, TcpStream},
    thread,
    time::Duration,
};

use sansock::{Config, Event, adapter::blocking};

use crate::answer;

pub(crate) fn run(listener: &TcpListener, config: &Config) -> io::Result<()> {
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
