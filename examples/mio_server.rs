//! Drive connections from your own event loop: one thread, one epoll, any number of connections.
//!
//! `cargo run --release --example mio_server -- --listen 127.0.0.1:9001`
//!
//! sansock's `Driver` makes the decisions of the loop, and [`Driver::turn`] performs the system calls. Everything here
//! is mio's: accepting, readiness, deadlines, and shutdown. All connections share one set of buffers. Only a peer that
//! is slow to take its answers keeps buffers of its own, so an idle connection costs its entry in the table.

use std::{
    io::{self, ErrorKind},
    net::{Shutdown as Half, TcpListener},
    process::ExitCode,
    sync::Arc,
};

use bytes::BytesMut;
use clap::Parser;
use mio::{Events, Interest, Poll, Token, Waker, event::Event, net};
use sansock::{
    Buffers, Clock, CloseCode, CloseFrame, Config, Connection, Driver, Refused, Timestamp,
    adapter::tcp,
    driver::{Deadlines, SessionEvent},
    server,
};
use slab::Slab;

#[path = "support/accept.rs"]
#[allow(clippy::duplicate_mod, reason = "this file is a module of another example, too")]
mod accept;
#[path = "support/shutdown.rs"]
#[allow(clippy::duplicate_mod, reason = "this file is a module of another example, too")]
mod shutdown;

use crate::{
    accept::accept_all,
    shutdown::{DEADLINE, REASON, Shutdown},
};

/// The most that one read takes. All connections share the buffer, so it stays in the cache.
const READ_LEN: usize = 128 << 10;
/// More connections than this wait in the backlog until others have ended.
const MAX_PEERS: usize = 1 << 20;
const LISTENER: Token = Token(usize::MAX);
const WAKER: Token = Token(usize::MAX - 1);

#[derive(Parser)]
#[command(about = "A WebSocket echo server on a single thread, over mio")]
struct Arguments {
    /// The address and port to listen on
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9001")]
    listen: String,
}

fn main() -> ExitCode {
    let Arguments { listen } = Arguments::parse();
    let config = Config::default().max_message_len(64 << 20);
    let served = TcpListener::bind(&listen).and_then(|listener| {
        println!("the WebSocket:     ws://{}/", listener.local_addr()?);
        run(listener, config, answer, &Shutdown::on_signal())
    });
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mio_server: cannot listen on {listen}: {error}");
            ExitCode::from(2)
        }
    }
}

/// How a request is answered: with a connection, or without one.
type Answer = fn(&server::Request, &mut BytesMut) -> Result<Option<Connection>, Refused>;

/// A connection from the first byte of its handshake on.
type Session = sansock::driver::Session<server::Handshake>;

/// Serves until a shutdown is requested and all connections have ended.
pub(crate) fn run(listener: TcpListener, config: Config, answer: Answer, shutdown: &Shutdown) -> io::Result<()> {
    let poll = Poll::new()?;
    let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
    let wake = waker.clone(); // two of them, because one that was dropped wakes nobody
    shutdown.on_request(move || _ = wake.wake());
    listener.set_nonblocking(true)?;
    let mut listener = net::TcpListener::from_std(listener);
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let (peers, deadlines, buffers, clock) = (Slab::new(), Deadlines::new(), Buffers::new(), Clock::start());
    let mut server = Server { poll, peers, deadlines, buffers, clock, config, answer };

    let mut events = Events::with_capacity(1024);
    let mut accept_at = Timestamp::MAX;
    while !shutdown.is_requested() {
        if server.wait(&mut events, accept_at)? || accept_at <= server.clock.now() {
            accept_at = server.clock.now() + accept_all(|| server.accept(&listener));
        }
    }
    drop(listener);
    server.close_all();
    let give_up_at = server.clock.now() + DEADLINE;
    while !server.peers.is_empty() && server.clock.now() < give_up_at {
        server.wait(&mut events, give_up_at)?;
    }
    Ok(())
}

struct Server {
    poll: Poll,
    peers: Slab<Peer>,
    deadlines: Deadlines,
    buffers: Buffers,
    clock: Clock,
    config: Config,
    answer: Answer,
}

/// A socket and what drives it.
struct Peer {
    stream: net::TcpStream,
    driver: Driver<Session>,
}

impl Server {
    /// Waits, at most until this time, and gives each connection that is ready or due its turn. Whether the listener is
    /// ready.
    fn wait(&mut self, events: &mut Events, until: Timestamp) -> io::Result<bool> {
        let until = self.deadlines.next().min(until);
        let timeout = (until < Timestamp::MAX).then(|| until - self.clock.now());
        match self.poll.poll(events, timeout) {
            Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        for event in &*events {
            self.turn(event.token().0, Some(event));
        }
        for key in self.deadlines.take_due(self.clock.now()) {
            self.turn(key, None);
        }
        Ok(events.iter().any(|event| event.token() == LISTENER))
    }

    /// Accepts one connection, if there are not too many.
    fn accept(&mut self, listener: &net::TcpListener) -> io::Result<()> {
        if self.peers.len() == MAX_PEERS {
            return Err(io::Error::other("too many connections"));
        }
        let (mut stream, _) = listener.accept()?;
        let _ = tcp::tune(&stream);
        let entry = self.peers.vacant_entry();
        let key = entry.key();
        self.poll.registry().register(&mut stream, Token(key), Interest::READABLE | Interest::WRITABLE)?;
        let session = Session::new(server::Handshake::new(&self.config));
        entry.insert(Peer { stream, driver: Driver::new(session).read_len(READ_LEN).unbuffered() });
        self.turn(key, None);
        Ok(())
    }

    /// Something happened to a peer, or its deadline passed.
    fn turn(&mut self, key: usize, event: Option<&Event>) {
        let Some(Peer { stream, driver }) = self.peers.get_mut(key) else { return };
        if let Some(event) = event {
            if event.is_readable() || event.is_read_closed() {
                driver.readable(event.is_read_closed());
            }
            if event.is_writable() {
                driver.writable();
            }
        }
        driver.attach(&mut self.buffers);
        let next = driver.turn(
            stream,
            |stream| stream.shutdown(Half::Write),
            || self.clock.now(),
            |event, session, out| handle(event, session, out, self.answer),
        );
        driver.detach(&mut self.buffers);
        if let Some(at) = next {
            self.deadlines.set(key, at);
        } else {
            self.deadlines.remove(key);
            self.peers.remove(key);
        }
    }

    /// Sends everyone a Close, in the turn that is due now.
    fn close_all(&mut self) {
        for (key, peer) in &mut self.peers {
            let (session, out) = peer.driver.parts();
            let close = CloseFrame::new(CloseCode::GOING_AWAY, REASON);
            match session.connection_mut() {
                // Refused where a Close was sent before.
                Some(connection) => _ = connection.close(Some(close), out.tail()),
                // A handshake has nothing to close: its driver is done.
                None => _ = peer.driver.read_failed(),
            }
            self.deadlines.set(key, Timestamp::ZERO);
        }
    }
}

/// What the server does: answers a request, then echoes.
fn handle(event: SessionEvent<'_, server::Request>, session: &mut Session, out: &mut BytesMut, answer: Answer) {
    match event {
        SessionEvent::Handshake(request) => {
            if let Ok(Some(connection)) = answer(&request, out) {
                *session = connection.into();
            }
        }
        SessionEvent::Event(event) => {
            let Some(connection) = session.connection_mut() else { return };
            // Refused after a Close only.
            let _ = match event {
                sansock::Event::Text(text) => connection.send_text(&text, out),
                sansock::Event::Binary(data) => connection.send_binary(&data, out),
                _ => Ok(()),
            };
        }
    }
}

fn answer(request: &server::Request, out: &mut BytesMut) -> Result<Option<Connection>, Refused> {
    if !request.is_upgrade() {
        request.reject(404, &[("Content-Type", b"text/plain")], b"Nothing but a WebSocket here\n", out)?;
        return Ok(None);
    }
    let subprotocol = request.preferred(&["chat", "superchat"]);
    request.accept(&server::Response::new().subprotocol(subprotocol), out).map(Some)
}
