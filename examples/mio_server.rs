//! Drive it from your own event loop: one thread, one epoll, any number of connections.
//!
//! `cargo run --release --example mio_server -- --listen 127.0.0.1:9001`
//!
//! What an event loop needs of a connection is in [`Peer::turn`]: take what came, tell the time, write what is to be
//! written, do what `transport()` says. Everything else here is mio's. All connections share one buffer to read into and
//! one to write from; only a peer that is slow to take its answers keeps one of its own. An idle connection costs its
//! entry in the table, and nothing else.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, BinaryHeap},
    io::{self, ErrorKind, Read, Write},
    mem,
    net::{Shutdown, SocketAddr, TcpListener},
    process::ExitCode,
    time::Duration,
};

use bytes::{Buf, BytesMut};
use clap::Parser;
use mio::{Events, Interest, Poll, Token, event::Event, net};
use sansock::{Clock, Config, Connection, Refused, Timestamp, Transport, server};
use slab::Slab;

/// The most that one read takes. All connections share the buffer, so it stays in the cache.
const READ_LEN: usize = 128 << 10;
/// With more than this to write, nothing is read: a peer that does not take its answers gets no further ones.
const HIGH_WATER: usize = 128 << 10;
/// So many reads of one peer, then others have their turn.
const MAX_READS: usize = 8;
const LISTENER: Token = Token(usize::MAX);

#[derive(Parser)]
#[command(about = "A WebSocket echo server on a single thread, over mio")]
struct Arguments {
    /// The address and port to listen on
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9001")]
    listen: SocketAddr,
}

fn main() -> ExitCode {
    let Arguments { listen } = Arguments::parse();
    let config = Config::default().max_message_len(64 << 20);
    let served = TcpListener::bind(listen).and_then(|listener| {
        println!("the WebSocket:     ws://{}/", listener.local_addr()?);
        run(listener, config, answer)
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

/// Serves until the operating system fails.
pub(crate) fn run(listener: TcpListener, config: Config, answer: Answer) -> io::Result<()> {
    Server::new(listener, config, answer)?.run()
}

struct Server {
    poll: Poll,
    listener: net::TcpListener,
    peers: Slab<Peer>,
    /// When to look at which peer again, at the latest.
    deadlines: BinaryHeap<Reverse<(Timestamp, usize)>>,
    /// Peers that may have more to read, of which mio will not tell again.
    unfinished: BTreeSet<usize>,
    clock: Clock,
    config: Config,
    answer: Answer,
    buffer: Vec<u8>,
    /// An empty buffer to write from, lent to whoever has none.
    spare: BytesMut,
}

impl Server {
    fn new(listener: TcpListener, config: Config, answer: Answer) -> io::Result<Self> {
        let poll = Poll::new()?;
        listener.set_nonblocking(true)?;
        let mut listener = net::TcpListener::from_std(listener);
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        Ok(Self {
            poll,
            listener,
            peers: Slab::new(),
            deadlines: BinaryHeap::new(),
            unfinished: BTreeSet::new(),
            clock: Clock::start(),
            config,
            answer,
            buffer: vec![0; READ_LEN],
            spare: BytesMut::new(),
        })
    }

    fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(1024);
        loop {
            let next = self.deadlines.peek().map(|Reverse((at, _))| *at - self.clock.now());
            // A millisecond more than none, so that a deadline has passed when we wake up for it.
            let wait = next.map(|wait| wait + Duration::from_millis(1));
            let wait = if self.unfinished.is_empty() { wait } else { Some(Duration::ZERO) };
            match self.poll.poll(&mut events, wait) {
                Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            for key in mem::take(&mut self.unfinished) {
                self.turn(key, None);
            }
            for event in &events {
                if event.token() == LISTENER {
                    self.accept();
                } else {
                    self.turn(event.token().0, Some(event));
                }
            }
            let now = self.clock.now();
            while let Some(&Reverse((at, key))) = self.deadlines.peek().filter(|Reverse((at, _))| *at <= now) {
                self.deadlines.pop();
                if let Some(peer) = self.peers.get_mut(key).filter(|peer| peer.looked_at == Some(at)) {
                    peer.looked_at = None;
                    self.turn(key, None);
                }
            }
        }
    }

    fn accept(&mut self) {
        // mio tells of new connections once: take them all.
        while let Ok((mut stream, _)) = self.listener.accept() {
            let _ = stream.set_nodelay(true);
            let entry = self.peers.vacant_entry();
            let key = entry.key();
            let interest = Interest::READABLE | Interest::WRITABLE;
            if self.poll.registry().register(&mut stream, Token(key), interest).is_ok() {
                entry.insert(Peer::new(stream, &self.config));
                self.turn(key, None);
            }
        }
    }

    /// Something happened to a peer, or its deadline passed.
    fn turn(&mut self, key: usize, event: Option<&Event>) {
        let Some(peer) = self.peers.get_mut(key) else { return };
        peer.may_read |= event.is_some_and(|event| event.is_readable() || event.is_read_closed());
        if peer.out.is_empty() {
            mem::swap(&mut peer.out, &mut self.spare);
        }
        let verdict = peer.turn(&mut self.buffer, self.clock, self.answer);
        if verdict.is_err() || peer.out.is_empty() {
            mem::swap(&mut peer.out, &mut self.spare);
            self.spare.clear();
        }
        if verdict.is_err() {
            self.peers.remove(key);
            return;
        }
        if peer.may_read && peer.out.len() <= HIGH_WATER {
            self.unfinished.insert(key);
        }
        // Deadlines move away with every byte that comes. One that is looked at too early is put in anew, so the heap has
        // one entry a connection and not one a message.
        let deadline = peer.machine.poll_timeout();
        if let Some(at) = deadline.filter(|at| peer.looked_at.is_none_or(|looked_at| *at < looked_at)) {
            peer.looked_at = Some(at);
            self.deadlines.push(Reverse((at, key)));
        }
    }
}

/// A connection, from the first byte of its handshake on.
struct Peer {
    stream: net::TcpStream,
    machine: Machine,
    /// What the socket has not taken yet.
    out: BytesMut,
    /// Its entry among the deadlines.
    looked_at: Option<Timestamp>,
    /// The socket may have more to read: mio says so once.
    may_read: bool,
}

enum Machine {
    Handshake(Box<server::Handshake>),
    Connection(Box<Connection>),
}

/// The connection is over, one way or another: forget it.
struct Over;

impl Peer {
    fn new(stream: net::TcpStream, config: &Config) -> Self {
        let machine = Machine::Handshake(Box::new(server::Handshake::new(config)));
        Self { stream, machine, out: BytesMut::new(), looked_at: None, may_read: false }
    }

    /// Goes on as far as the socket allows, or until others have their turn.
    fn turn(&mut self, buffer: &mut [u8], clock: Clock, answer: Answer) -> Result<(), Over> {
        for _ in 0..MAX_READS {
            let backed_up = self.out.len() > HIGH_WATER && self.machine.transport() == Transport::KeepOpen;
            if self.may_read && !backed_up {
                self.read(buffer, answer)?;
            }
            // What went wrong is in `out` already, and in `transport()`.
            let _ = self.machine.handle_timeout(clock.now(), &mut self.out);
            self.write()?;
            if !self.may_read || self.out.len() > HIGH_WATER {
                break;
            }
        }
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8], answer: Answer) -> Result<(), Over> {
        match self.stream.read(buffer) {
            Ok(0) => {
                self.may_read = false;
                self.machine.receive_eof();
            }
            // A read that leaves room took all there was; mio tells when there is more.
            Ok(count) => {
                self.may_read = count == buffer.len();
                self.machine.receive(&mut buffer[..count], &mut self.out, answer);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => self.may_read = false,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return Err(Over),
        }
        Ok(())
    }

    fn write(&mut self) -> Result<(), Over> {
        while !self.out.is_empty() {
            match self.stream.write(&self.out) {
                Ok(count) => self.out.advance(count),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Err(Over),
            }
        }
        let transport = self.machine.transport();
        if transport == Transport::Abort {
            return Err(Over);
        }
        if !self.out.is_empty() {
            return Ok(());
        }
        match transport {
            Transport::Close => Err(Over),
            Transport::ShutdownWrite => self.stream.shutdown(Shutdown::Write).or(Err(Over)),
            _ => Ok(()),
        }
    }
}

impl Machine {
    /// The loop that every adapter is a version of; before it the handshake, behind which the first frames may lie.
    fn receive(&mut self, mut input: &mut [u8], out: &mut BytesMut, answer: Answer) {
        if let Self::Handshake(handshake) = self
            && let Ok(Some(request)) = handshake.receive(&mut input, out)
        {
            // A request that was refused leaves the handshake to wait until the client has seen the answer.
            if let Ok(Some(connection)) = answer(&request, out) {
                *self = Self::Connection(Box::new(connection));
            }
        }
        if let Self::Connection(connection) = self {
            while let Ok(Some(event)) = connection.receive(&mut input, out) {
                let _ = match event {
                    sansock::Event::Text(text) => connection.send_text(&text, out),
                    sansock::Event::Binary(data) => connection.send_binary(&data, out),
                    _ => Ok(()),
                };
            }
        }
    }

    fn receive_eof(&mut self) {
        let _ = match self {
            Self::Handshake(handshake) => handshake.receive_eof().is_ok(),
            Self::Connection(connection) => connection.receive_eof().is_ok(),
        };
    }

    fn handle_timeout(&mut self, now: Timestamp, out: &mut BytesMut) -> bool {
        match self {
            Self::Handshake(handshake) => handshake.handle_timeout(now, out).is_ok(),
            Self::Connection(connection) => connection.handle_timeout(now, out).is_ok(),
        }
    }

    fn poll_timeout(&self) -> Option<Timestamp> {
        match self {
            Self::Handshake(handshake) => handshake.poll_timeout(),
            Self::Connection(connection) => connection.poll_timeout(),
        }
    }

    fn transport(&self) -> Transport {
        match self {
            Self::Handshake(handshake) => handshake.transport(),
            Self::Connection(connection) => connection.transport(),
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
