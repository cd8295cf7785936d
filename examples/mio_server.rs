//! Drive connections from your own event loop: one thread, one epoll, any number of connections.
//!
//! `cargo run --release --example mio_server -- --listen 127.0.0.1:9001`
//!
//! The decisions of the loop are in sansock's `Driver`. What an event loop adds is in [`Peer::turn`]: a system call for each
//! step. Everything else here is mio's: accepting, deadlines, and shutdown. All connections share one set of buffers. Only a
//! peer that is slow to take its answers keeps buffers of its own, so an idle connection costs its entry in the table.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, BinaryHeap},
    io::{self, ErrorKind, IoSlice, Read, Write},
    mem,
    net::{Shutdown as Half, TcpListener},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use bytes::{Buf, BytesMut};
use clap::Parser;
use mio::{Events, Interest, Poll, Token, Waker, event::Event, net};
use sansock::{
    Buffers, Clock, CloseCode, CloseFrame, Config, Connection, Driver, Refused, Step, Timestamp, adapter::tcp,
    driver::SessionEvent, server,
};
use slab::Slab;

#[path = "support/accept.rs"]
#[allow(clippy::duplicate_mod, reason = "this file is a module of another example, too")]
mod accept;
#[path = "support/shutdown.rs"]
#[allow(clippy::duplicate_mod, reason = "this file is a module of another example, too")]
mod shutdown;

use crate::{
    accept::pause_after,
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
    // A waker that is dropped wakes nobody, so it stays here, too.
    shutdown.on_request({
        let waker = waker.clone();
        move || _ = waker.wake()
    });
    listener.set_nonblocking(true)?;
    let mut listener = net::TcpListener::from_std(listener);
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let server = Server {
        poll,
        listener: Some(listener),
        accept_at: None,
        peers: Slab::new(),
        deadlines: BinaryHeap::new(),
        unfinished: BTreeSet::new(),
        clock: Clock::start(),
        config,
        answer,
        buffers: Buffers::new(),
        _waker: waker,
    };
    server.run(shutdown)
}

struct Server {
    poll: Poll,
    /// Nothing is accepted after a shutdown.
    listener: Option<net::TcpListener>,
    /// Accepting failed: when to try again.
    accept_at: Option<Timestamp>,
    peers: Slab<Box<Peer>>,
    /// When to look at which peer again, at the latest.
    deadlines: BinaryHeap<Reverse<(Timestamp, usize)>>,
    /// Peers that have more to read, which mio does not report again.
    unfinished: BTreeSet<usize>,
    clock: Clock,
    config: Config,
    answer: Answer,
    buffers: Buffers,
    _waker: Arc<Waker>,
}

impl Server {
    fn run(mut self, shutdown: &Shutdown) -> io::Result<()> {
        let mut events = Events::with_capacity(1024);
        let mut give_up_at = Timestamp::MAX;
        while self.listener.is_some() || !self.peers.is_empty() && self.clock.now() < give_up_at {
            match self.poll.poll(&mut events, self.wait(give_up_at)) {
                Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            for key in mem::take(&mut self.unfinished) {
                self.turn(key, None);
            }
            for event in &events {
                match event.token() {
                    LISTENER => self.accept(),
                    WAKER => {}
                    Token(key) => self.turn(key, Some(event)),
                }
            }
            if shutdown.is_requested() && self.listener.take().is_some() {
                give_up_at = self.clock.now() + DEADLINE;
                self.close_all();
            }
            let now = self.clock.now();
            if self.accept_at.is_some_and(|at| at <= now) {
                self.accept();
            }
            while let Some(&Reverse((at, key))) = self.deadlines.peek().filter(|Reverse((at, _))| *at <= now) {
                self.deadlines.pop();
                if let Some(peer) = self.peers.get_mut(key).filter(|peer| peer.looked_at == Some(at)) {
                    peer.looked_at = None;
                    self.turn(key, None);
                }
            }
        }
        Ok(())
    }

    /// How long mio may sleep.
    fn wait(&self, give_up_at: Timestamp) -> Option<Duration> {
        if !self.unfinished.is_empty() {
            return Some(Duration::ZERO);
        }
        let deadline = self.deadlines.peek().map(|Reverse((at, _))| *at);
        let next = [deadline, self.accept_at].into_iter().flatten().chain([give_up_at]).min()?;
        // A millisecond more than none, so that the deadline has passed when we wake up for it.
        (next < Timestamp::MAX).then(|| (next - self.clock.now()) + Duration::from_millis(1))
    }

    /// Takes all new connections, because mio reports them once. After a failure, and while there are too many, it tries
    /// again later.
    fn accept(&mut self) {
        let failed_before = self.accept_at.take().is_some();
        while let Some(listener) = self.listener.as_ref().filter(|_| self.peers.len() < MAX_PEERS) {
            match listener.accept() {
                Ok((stream, _)) => self.insert(stream),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => {
                    if !failed_before {
                        eprintln!("cannot accept a connection: {error}");
                    }
                    return self.accept_at = Some(self.clock.now() + pause_after(&error));
                }
            }
        }
        self.accept_at = self.listener.is_some().then(|| self.clock.now() + Duration::from_millis(100));
    }

    fn insert(&mut self, mut stream: net::TcpStream) {
        let _ = tcp::tune(&stream);
        let entry = self.peers.vacant_entry();
        let key = entry.key();
        if self.poll.registry().register(&mut stream, Token(key), Interest::READABLE | Interest::WRITABLE).is_ok() {
            let session = Session::new(server::Handshake::new(&self.config));
            let driver = Driver::new(session).read_len(READ_LEN);
            entry.insert(Box::new(Peer { stream, driver, looked_at: None }));
            self.turn(key, None);
        }
    }

    /// Something happened to a peer, or its deadline passed.
    fn turn(&mut self, key: usize, event: Option<&Event>) {
        let Some(peer) = self.peers.get_mut(key) else { return };
        if let Some(event) = event {
            if event.is_readable() || event.is_read_closed() {
                peer.driver.readable(event.is_read_closed());
            }
            if event.is_writable() {
                peer.driver.writable();
            }
        }
        peer.driver.attach(&mut self.buffers);
        let step = peer.turn(&self.clock, self.answer);
        peer.driver.detach(&mut self.buffers);
        match step {
            // Deadlines move away with every byte that comes. One that is looked at too early is put in anew, so the heap
            // has one entry a connection and not one a message.
            Step::Wait(Some(at)) if peer.looked_at.is_none_or(|looked_at| at < looked_at) => {
                peer.looked_at = Some(at);
                self.deadlines.push(Reverse((at, key)));
            }
            Step::Wait(_) => {}
            Step::Yield => _ = self.unfinished.insert(key),
            _ => _ = self.peers.remove(key),
        }
    }

    fn close_all(&mut self) {
        for key in self.peers.iter().map(|(key, _)| key).collect::<Vec<_>>() {
            let (session, out) = self.peers[key].driver.parts();
            let close = CloseFrame::new(CloseCode::GOING_AWAY, REASON);
            // Refused where a Close was sent before. A handshake has nothing to close.
            match session.connection_mut().map(|connection| connection.close(Some(close), out.tail())) {
                Some(_) => self.turn(key, None),
                None => _ = self.peers.remove(key),
            }
        }
    }
}

/// A socket and what drives it.
struct Peer {
    stream: net::TcpStream,
    driver: Driver<Session>,
    /// Its entry among the deadlines.
    looked_at: Option<Timestamp>,
}

impl Peer {
    /// Goes as far as the socket allows: `Wait`, `Yield` or `Done`.
    fn turn(&mut self, clock: &Clock, answer: Answer) -> Step {
        let Self { stream, driver, .. } = self;
        loop {
            match driver.step(|| clock.now()) {
                Step::Deliver => _ = driver.deliver(|event, session, out| handle(event, session, out, answer)),
                Step::Read => match stream.read(driver.room()) {
                    Ok(count) => driver.received(count),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => driver.read_blocked(),
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(_) => _ = driver.read_failed(),
                },
                Step::Write => {
                    let (output, mut slices) = (&*driver.output(), [IoSlice::new(&[]); 8]);
                    let filled = output.chunks_vectored(&mut slices);
                    match stream.write_vectored(&slices[..filled]) {
                        Ok(count) => driver.written(count),
                        Err(error) if error.kind() == ErrorKind::WouldBlock => driver.write_blocked(),
                        Err(error) if error.kind() == ErrorKind::Interrupted => {}
                        Err(_) => driver.write_failed(),
                    }
                }
                // A socket holds nothing back.
                Step::Flush => driver.flushed(),
                Step::Shutdown => match stream.shutdown(Half::Write) {
                    Ok(()) => driver.shut_down(),
                    Err(_) => driver.write_failed(),
                },
                step => return step,
            }
        }
    }
}

/// What the server does: answers a request, then echoes.
fn handle(
    event: SessionEvent<'_, server::Request>,
    session: &mut Session,
    out: &mut BytesMut,
    answer: Answer,
) -> Option<()> {
    match event {
        SessionEvent::Handshake(request) => {
            if let Ok(Some(connection)) = answer(&request, out) {
                *session = connection.into();
            }
        }
        SessionEvent::Event(event) => {
            let connection = session.connection_mut()?;
            // Refused after a Close only.
            let _ = match event {
                sansock::Event::Text(text) => connection.send_text(&text, out),
                sansock::Event::Binary(data) => connection.send_binary(&data, out),
                _ => Ok(()),
            };
        }
    }
    None
}

fn answer(request: &server::Request, out: &mut BytesMut) -> Result<Option<Connection>, Refused> {
    if !request.is_upgrade() {
        request.reject(404, &[("Content-Type", b"text/plain")], b"Nothing but a WebSocket here\n", out)?;
        return Ok(None);
    }
    let subprotocol = request.preferred(&["chat", "superchat"]);
    request.accept(&server::Response::new().subprotocol(subprotocol), out).map(Some)
}
