//! An echo server without a runtime: one thread, epoll, one read buffer and one output for all connections.
//! `epoll_server ours|raw PORT`; listens on 127.0.0.1 only, TCP_NODELAY set.
//!
//! A readable socket is read once, all messages are echoed, and what came of them is written at once. What the socket
//! does not take waits in the connection, which is not read meanwhile.

use bytes::BytesMut;
use harness::{peers::ours, raw::Raw};
use sansock::{Clock, Connection, Inbox};
use std::{
    io::{ErrorKind, IoSlice, Read, Write},
    net::{TcpListener, TcpStream},
    os::fd::AsRawFd,
};

enum Protocol {
    /// The request, as far as it came.
    Handshake(Vec<u8>),
    Ours(Connection, Inbox),
    Raw(Box<Raw>),
}

struct Peer {
    socket: TcpStream,
    protocol: Protocol,
    unsent: Vec<u8>,
    /// Waits for room to write, and for nothing else.
    blocked: bool,
}

struct Closed;

struct Loop {
    is_ours: bool,
    /// Lent to the connection that is read from.
    read: Box<[u8]>,
    out: BytesMut,
    clock: Clock,
}

fn main() {
    let mut args = std::env::args().skip(1);
    let is_ours = match args.next().expect("ours or raw").as_str() {
        "ours" => true,
        "raw" => false,
        other => panic!("no server for {other}"),
    };
    let port: u16 = args.next().expect("port").parse().expect("a port");
    let listener = TcpListener::bind(("127.0.0.1", port)).expect("a free port");
    listener.set_nonblocking(true).expect("fcntl");
    println!("listening");

    // SAFETY: plain epoll.
    let ep = unsafe { libc::epoll_create1(0) };
    let watch = |op, fd, events, token| {
        let mut event = libc::epoll_event { events: events as u32, u64: token };
        // SAFETY: as above.
        unsafe { libc::epoll_ctl(ep, op, fd, &mut event) };
    };
    const LISTENER: u64 = u64::MAX;
    watch(libc::EPOLL_CTL_ADD, listener.as_raw_fd(), libc::EPOLLIN, LISTENER);

    let mut server = Loop { is_ours, read: vec![0; 64 << 10].into(), out: BytesMut::new(), clock: Clock::start() };
    let mut peers: Vec<Option<Peer>> = Vec::new();
    let mut events = vec![libc::epoll_event { events: 0, u64: 0 }; 512];
    loop {
        // SAFETY: as above.
        let n = unsafe { libc::epoll_wait(ep, events.as_mut_ptr(), 512, -1) };
        for event in &events[..n.max(0) as usize] {
            if event.u64 == LISTENER {
                while let Ok((socket, _)) = listener.accept() {
                    socket.set_nodelay(true).expect("setsockopt");
                    socket.set_nonblocking(true).expect("fcntl");
                    let token = peers.iter().position(Option::is_none).unwrap_or_else(|| {
                        peers.push(None);
                        peers.len() - 1
                    });
                    watch(libc::EPOLL_CTL_ADD, socket.as_raw_fd(), libc::EPOLLIN, token as u64);
                    let protocol = Protocol::Handshake(Vec::new());
                    peers[token] = Some(Peer { socket, protocol, unsent: Vec::new(), blocked: false });
                }
                continue;
            }
            let Some(peer) = &mut peers[event.u64 as usize] else { continue };
            let served = if peer.blocked { peer.write(&[]) } else { server.serve(peer) };
            if served.is_err() {
                peers[event.u64 as usize] = None; // which closes the socket, and epoll forgets it
                continue;
            }
            let blocked = !peer.unsent.is_empty();
            if blocked != peer.blocked {
                peer.blocked = blocked;
                let interest = if blocked { libc::EPOLLOUT } else { libc::EPOLLIN };
                watch(libc::EPOLL_CTL_MOD, peer.socket.as_raw_fd(), interest, event.u64);
            }
        }
    }
}

impl Loop {
    fn serve(&mut self, peer: &mut Peer) -> Result<(), Closed> {
        let Self { is_ours, read, out, clock } = self;
        let socket = &mut peer.socket;
        match &mut peer.protocol {
            Protocol::Handshake(request) => {
                let Some(n) = receive(socket, read)? else { return Ok(()) };
                request.extend_from_slice(&read[..n]);
                if request.ends_with(b"\r\n\r\n") {
                    let connection = ours::accept(&ours::config(), request, out);
                    peer.protocol = if *is_ours {
                        Protocol::Ours(connection, Inbox::new())
                    } else {
                        Protocol::Raw(Box::new(Raw::new()))
                    };
                    let result = peer.write(&[out]);
                    out.clear();
                    return result;
                }
                Ok(())
            }
            Protocol::Ours(connection, inbox) => {
                let (unsent, mut written) = (&mut peer.unsent, Ok(()));
                inbox.borrow_buffer(read);
                while written.is_ok() {
                    let room = inbox.room(connection.missing());
                    let asked = room.len();
                    let n = match receive(socket, room) {
                        Ok(Some(n)) => n,
                        Ok(None) => break,
                        Err(closed) => {
                            written = Err(closed);
                            break;
                        }
                    };
                    inbox.filled(n);
                    let mut input = inbox.input();
                    ours::echo(connection, &mut input, out, |parts| {
                        if written.is_ok() {
                            written = write(socket, unsent, parts);
                        }
                    });
                    let left = input.len();
                    inbox.keep(left);
                    // There is more, and it was the end of the room that ended the read.
                    if n < asked || connection.missing() == 0 || !unsent.is_empty() {
                        break;
                    }
                }
                inbox.return_buffer(read);
                written?;
                if connection.poll_timeout().is_some() {
                    connection.handle_timeout(clock.now(), out).map_err(|_| Closed)?;
                }
                let result = if out.is_empty() { Ok(()) } else { write(socket, unsent, &[out]) };
                out.clear();
                result
            }
            Protocol::Raw(raw) => {
                let Some(n) = receive(socket, raw.room())? else { return Ok(()) };
                if !raw.filled(n) {
                    return Err(Closed);
                }
                let result =
                    if raw.out.is_empty() { Ok(()) } else { write(&mut peer.socket, &mut peer.unsent, &[&raw.out]) };
                raw.out.clear();
                result
            }
        }
    }
}

impl Peer {
    fn write(&mut self, parts: &[&[u8]]) -> Result<(), Closed> {
        write(&mut self.socket, &mut self.unsent, parts)
    }
}

fn receive(socket: &mut TcpStream, into: &mut [u8]) -> Result<Option<usize>, Closed> {
    match socket.read(into) {
        Ok(0) => Err(Closed),
        Ok(n) => Ok(Some(n)),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(_) => Err(Closed),
    }
}

/// Writes what waits in `unsent`, then `parts`; what the socket does not take waits in `unsent`.
fn write(socket: &mut TcpStream, unsent: &mut Vec<u8>, parts: &[&[u8]]) -> Result<(), Closed> {
    let taken = |result: std::io::Result<usize>| match result {
        Ok(n) => Ok(n),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
        Err(_) => Err(Closed),
    };
    if !unsent.is_empty() {
        unsent.drain(..taken(socket.write(unsent))?);
    }
    let mut sent = 0;
    if unsent.is_empty() && !parts.is_empty() {
        let mut slices = [IoSlice::new(&[]); 3];
        let n = slices.iter_mut().zip(parts).map(|(slice, part)| *slice = IoSlice::new(part)).count();
        sent = taken(socket.write_vectored(&slices[..n]))?;
    }
    for part in parts {
        let skip = sent.min(part.len());
        sent -= skip;
        unsent.extend_from_slice(&part[skip..]);
    }
    Ok(())
}
