//! The least possible echo server: `Raw` without a runtime, on one thread and epoll.
//! `epoll_server PORT`; listens on 127.0.0.1 only, TCP_NODELAY set.
//!
//! A readable socket is read once, all messages are echoed, and what came of them is written at once. What the socket
//! does not take waits in the connection, which is not read meanwhile.

use bytes::BytesMut;
use harness::{peers::ours, raw::Raw};
use std::{
    io::{ErrorKind, Read, Write},
    net::{TcpListener, TcpStream},
    os::fd::AsRawFd,
};

enum Protocol {
    /// The request, as far as it came.
    Handshake(Vec<u8>),
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

fn main() {
    let mut args = std::env::args().skip(1);
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
            let served = if peer.blocked { peer.write(&[]) } else { peer.serve() };
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

impl Peer {
    fn serve(&mut self) -> Result<(), Closed> {
        match &mut self.protocol {
            Protocol::Handshake(request) => {
                let mut read = [0; 4096];
                let Some(n) = receive(&mut self.socket, &mut read)? else { return Ok(()) };
                request.extend_from_slice(&read[..n]);
                if !request.ends_with(b"\r\n\r\n") {
                    return Ok(());
                }
                let mut out = BytesMut::new();
                ours::accept(&ours::config(), request, &mut out);
                self.protocol = Protocol::Raw(Box::new(Raw::new()));
                self.write(&out)
            }
            Protocol::Raw(raw) => {
                let Some(n) = receive(&mut self.socket, raw.room())? else { return Ok(()) };
                if !raw.filled(n) {
                    return Err(Closed);
                }
                let result = write(&mut self.socket, &mut self.unsent, &raw.out);
                raw.out.clear();
                result
            }
        }
    }

    fn write(&mut self, out: &[u8]) -> Result<(), Closed> {
        write(&mut self.socket, &mut self.unsent, out)
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

/// Writes what waits in `unsent`, then `out`; what the socket does not take waits in `unsent`.
fn write(socket: &mut TcpStream, unsent: &mut Vec<u8>, out: &[u8]) -> Result<(), Closed> {
    let mut taken = |bytes: &[u8]| match socket.write(bytes) {
        Ok(n) => Ok(n),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
        Err(_) => Err(Closed),
    };
    if !unsent.is_empty() {
        let n = taken(unsent)?;
        unsent.drain(..n);
    }
    let n = if unsent.is_empty() && !out.is_empty() { taken(out)? } else { 0 };
    unsent.extend_from_slice(&out[n..]);
    Ok(())
}
