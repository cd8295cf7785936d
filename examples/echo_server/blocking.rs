//! A thread for each connection.

use std::{
    convert::Infallible,
    io,
    net::{TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread,
};

use sansock::{
    CloseCode, Config, Event,
    adapter::blocking::{self, Closer},
};

use crate::{
    accept::pause_after,
    echo::answer,
    shutdown::{self, Shutdown},
};

pub(crate) fn run(listener: TcpListener, config: &Config, shutdown: &Shutdown) -> io::Result<()> {
    let (address, closer) = (listener.local_addr()?, Closer::new()?);
    shutdown.on_request({
        let closer = closer.clone();
        move || {
            closer.close(CloseCode::GOING_AWAY, shutdown::REASON);
            // A client that wants nothing ends the `accept` that waits.
            let _ = TcpStream::connect(address);
        }
    });
    let open = Arc::new(Open::default());
    let mut reported = false;
    loop {
        let accepted = listener.accept();
        if shutdown.is_requested() {
            break;
        }
        let served = accepted.and_then(|(stream, peer)| {
            let (config, closer, open) = (config.clone(), closer.clone(), open.clone());
            thread::Builder::new().name(peer.to_string()).spawn(move || {
                if let Err(error) = serve(stream, &config, &closer, &open) {
                    eprintln!("{peer}: {error}");
                }
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
    drop(listener);
    let count = open.count.lock().unwrap_or_else(PoisonError::into_inner);
    let _ = open.ended.wait_timeout_while(count, shutdown::DEADLINE, |count| *count > 0);
    Ok(())
}

/// Echoes until the connection ends. A client that does not read its answers is not read either, and costs no more than
/// its longest message; the default deadlines end it at last.
fn serve(stream: TcpStream, config: &Config, closer: &Closer, open: &Arc<Open>) -> Result<(), blocking::Error> {
    let Some(websocket) = blocking::accept_with(stream, config, answer)? else { return Ok(()) };
    let _counted = Counted::new(open);
    websocket.closed_by(closer).read_with(|event, connection, out| {
        // After the Close of a shutdown nothing is echoed.
        let _ = match event {
            Event::Text(text) => connection.send_text(&text, out),
            Event::Binary(data) => connection.send_binary(&data, out),
            _ => Ok(()),
        };
        None::<Infallible>
    })?;
    Ok(())
}

/// How many connections there are.
#[derive(Default)]
struct Open {
    count: Mutex<usize>,
    ended: Condvar,
}

/// One of them, as long as it exists.
struct Counted(Arc<Open>);

impl Counted {
    fn new(open: &Arc<Open>) -> Self {
        *open.count.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        Self(open.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        *self.0.count.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.0.ended.notify_all();
    }
}
