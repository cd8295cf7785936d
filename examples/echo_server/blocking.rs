//! A thread for each connection.

use std::{
    collections::HashMap,
    io,
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread,
    time::Duration,
};

use sansock::{
    CloseCode, Config, Event,
    adapter::blocking::{self, Closer},
};

use crate::{
    accept::pause_after,
    answer,
    shutdown::{self, Shutdown},
};

pub(crate) fn run(listener: &TcpListener, config: &Config, shutdown: &Shutdown) -> io::Result<()> {
    let address = listener.local_addr()?;
    // A client that wants nothing ends the `accept` that waits.
    shutdown.on_request(move || _ = TcpStream::connect(address));
    let connections = Arc::new(Connections::default());
    let mut reported = false;
    loop {
        let accepted = listener.accept();
        if shutdown.is_requested() {
            break;
        }
        let served = accepted.and_then(|(stream, peer)| {
            let (config, shutdown, connections) = (config.clone(), shutdown.clone(), connections.clone());
            thread::Builder::new().name(peer.to_string()).spawn(move || {
                if let Err(error) = serve(stream, peer, &config, &shutdown, &connections) {
                    eprintln!("{peer}: {error}");
                }
                connections.remove(peer);
            })
        });
        match served {
            Ok(_) => reported = false,
            // No more sockets or threads for now: those who are served make room.
            Err(error) => {
                if !reported {
                    eprintln!("cannot accept a connection: {error}");
                    reported = true;
                }
                thread::sleep(pause_after(&error));
            }
        }
    }
    connections.close_all(shutdown::DEADLINE);
    Ok(())
}

/// Echoes until the connection ends. A client that does not read its answers is not read either, and costs no more than
/// its longest message; the default deadlines end it at last.
fn serve(
    stream: TcpStream,
    peer: SocketAddr,
    config: &Config,
    shutdown: &Shutdown,
    connections: &Connections,
) -> Result<(), blocking::Error> {
    let Some(mut websocket) = blocking::accept_with(stream, config, answer)? else { return Ok(()) };
    connections.insert(peer, websocket.closer()?);
    if shutdown.is_requested() {
        return websocket.close(CloseCode::GOING_AWAY, shutdown::REASON);
    }
    let refused = websocket.read_with(|event, connection, out| match event {
        Event::Text(text) => connection.send_text(&text, out).err(),
        Event::Binary(data) => connection.send_binary(&data, out).err(),
        _ => None,
    })?;
    refused.map_or(Ok(()), |error| Err(error.into()))
}

/// The open connections, to close them from outside.
#[derive(Default)]
struct Connections {
    closers: Mutex<HashMap<SocketAddr, Closer>>,
    ended: Condvar,
}

impl Connections {
    fn insert(&self, peer: SocketAddr, closer: Closer) {
        self.closers.lock().unwrap_or_else(PoisonError::into_inner).insert(peer, closer);
    }

    fn remove(&self, peer: SocketAddr) {
        self.closers.lock().unwrap_or_else(PoisonError::into_inner).remove(&peer);
        self.ended.notify_all();
    }

    /// Closes them all, and waits for that at most this long.
    fn close_all(&self, deadline: Duration) {
        let closers = self.closers.lock().unwrap_or_else(PoisonError::into_inner);
        closers.values().for_each(|closer| closer.close(CloseCode::GOING_AWAY, shutdown::REASON));
        let _ = self.ended.wait_timeout_while(closers, deadline, |closers| !closers.is_empty());
    }
}
