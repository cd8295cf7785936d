//! A tutorial: an echo server on epoll itself, with nothing between sansock and the operating system.
//!
//! `cargo run --release --example epoll_server -- --listen 127.0.0.1:9001` (Linux)
//!
//! Four parts make an event loop: a **poller** that reports which sockets are ready (epoll), a **table** of connections
//! (`Slab`), a queue of **deadlines** ([`Deadlines`]), and for each connection a [`Driver`], which decides when to read,
//! when to write, when to stop, and what counts as silence of the peer. `mio_server` has the same structure with mio.

#[path = "support/accept.rs"]
mod accept;
#[path = "support/shutdown.rs"]
mod shutdown;

fn main() -> std::io::Result<()> {
    #[cfg(target_os = "linux")]
    linux::main()?;
    Ok(())
}

#[cfg(target_os = "linux")]
mod linux {
    use std::{env, io, net, time::Duration};

    use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
    use rustix::{buffer::spare_capacity, fd::OwnedFd, io::Errno, time::Timespec};
    use sansock::driver::{Deadlines, Session, SessionEvent};
    use sansock::server::{Handshake, Request, Response};
    use sansock::{Buffers, Clock, CloseCode, CloseFrame, Config, Driver, Event, Timestamp, adapter::tcp};
    use slab::Slab;

    use crate::{accept::accept_all, shutdown};

    /// Not the key of a connection: the listener, and the pipe that reports a shutdown. Their events end a wait.
    const OTHER: u64 = u64::MAX;

    struct Server {
        epoll: OwnedFd,
        config: Config,
        clock: Clock,
        connections: Slab<(net::TcpStream, Driver<Session<Handshake>>)>,
        deadlines: Deadlines,
        /// Input and output of the connection whose turn it is. An idle connection has no buffers.
        buffers: Buffers,
    }

    pub(super) fn main() -> io::Result<()> {
        // Limits and deadlines are settings. All of them have finite defaults.
        let config = Config::default().max_message_len(1 << 20).stall_timeout(Duration::from_secs(30));
        let listener = net::TcpListener::bind(env::args().nth(2).as_deref().unwrap_or("127.0.0.1:9001"))?;
        listener.set_nonblocking(true)?;
        println!("the WebSocket:     ws://{}/", listener.local_addr()?);

        // Everything is registered once, edge-triggered (ET): epoll reports a change, and the driver remembers it.
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &listener, EventData::new_u64(OTHER), EventFlags::IN | EventFlags::ET)?;
        // SIGINT and SIGTERM close one end of a pipe, which epoll reports for the other end.
        let signals = shutdown::Shutdown::on_signal();
        let (on_shutdown, pipe) = io::pipe()?;
        signals.on_request(move || drop(pipe));
        epoll::add(&epoll, &on_shutdown, EventData::new_u64(OTHER), EventFlags::IN | EventFlags::ET)?;

        let (clock, deadlines, buffers) = (Clock::start(), Deadlines::new(), Buffers::new());
        let mut server = Server { epoll, config, clock, connections: Slab::new(), deadlines, buffers };
        let mut accept_at = Timestamp::MAX;
        while !signals.is_requested() {
            server.wait(accept_at)?;
            accept_at = server.clock.now() + accept_all(|| server.accept(&listener));
        }
        // Graceful shutdown: accept nothing more, send each client a Close, and give it time to answer.
        drop(listener);
        server.close_all();
        let give_up_at = server.clock.now() + shutdown::DEADLINE;
        while !server.connections.is_empty() && server.clock.now() < give_up_at {
            server.wait(give_up_at)?;
        }
        Ok(())
    }

    impl Server {
        /// Waits, at most until this time, and gives each connection that is ready or due its turn.
        fn wait(&mut self, until: Timestamp) -> io::Result<()> {
            let timeout = self.deadlines.next().min(until) - self.clock.now();
            let (timeout, mut events) = (Timespec::try_from(timeout).ok(), Vec::with_capacity(1024));
            match epoll::wait(&self.epoll, spare_capacity(&mut events), timeout.as_ref()) {
                Err(error) if error != Errno::INTR => return Err(error.into()),
                _ => {}
            }
            for event in &events {
                let (key, flags) = (event.data.u64() as usize, event.flags);
                let Some((_, driver)) = self.connections.get_mut(key) else { continue };
                // Where the peer ended its half, perhaps after data, the driver reads until it finds that end.
                driver.readable(flags.intersects(EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR));
                driver.writable();
                self.deadlines.set(key, Timestamp::ZERO);
            }
            for key in self.deadlines.take_due(self.clock.now()) {
                self.turn(key);
            }
            Ok(())
        }

        fn accept(&mut self, listener: &net::TcpListener) -> io::Result<()> {
            let (stream, _) = listener.accept()?;
            stream.set_nonblocking(true)?;
            let _ = tcp::tune(&stream);
            let entry = self.connections.vacant_entry();
            let (key, flags) = (entry.key(), EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET);
            epoll::add(&self.epoll, &stream, EventData::new_u64(key as u64), flags)?;
            entry.insert((stream, Driver::new(Session::new(Handshake::new(&self.config)))));
            self.deadlines.set(key, Timestamp::ZERO); // its first turn, which sets the deadline of the handshake
            Ok(())
        }

        /// Does all that can be done for a connection now. Back-pressure and half-close are decided in here: the driver does
        /// not read while the client takes no answers, and it answers a client that has ended its half.
        fn turn(&mut self, key: usize) {
            let (stream, driver) = &mut self.connections[key];
            driver.attach(&mut self.buffers);
            let next = driver.turn(stream, |stream| stream.shutdown(net::Shutdown::Write), || self.clock.now(), handle);
            driver.detach(&mut self.buffers);
            match next {
                Some(at) => self.deadlines.set(key, at),
                None => _ = self.connections.remove(key), // closes the socket, which removes it from epoll
            }
        }

        /// Sends each client a Close, in the turn that is due now.
        fn close_all(&mut self) {
            for (key, (_, driver)) in &mut self.connections {
                let (session, out) = driver.parts();
                let close = CloseFrame::new(CloseCode::GOING_AWAY, shutdown::REASON);
                match session.connection_mut() {
                    Some(connection) => _ = connection.close(Some(close), out.tail()),
                    None => _ = driver.read_failed(), // a handshake has nothing to close: its driver is done
                }
                self.deadlines.set(key, Timestamp::ZERO);
            }
        }
    }

    /// The application: accepts every WebSocket, and echoes.
    fn handle(event: SessionEvent<'_, Request>, session: &mut Session<Handshake>, out: &mut bytes::BytesMut) {
        match (event, session.connection_mut()) {
            // Refused is what is not a valid request for a WebSocket. The answer that says so is in `out`.
            (SessionEvent::Handshake(request), _) => {
                if let Ok(connection) = request.accept(&Response::new(), out) {
                    *session = connection.into();
                }
            }
            // Sending fails after a Close only: then nobody wants the echo.
            (SessionEvent::Event(Event::Text(text)), Some(connection)) => _ = connection.send_text(&text, out),
            (SessionEvent::Event(Event::Binary(data)), Some(connection)) => _ = connection.send_binary(&data, out),
            _ => {}
        }
    }
}
