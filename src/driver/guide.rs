//! A guide: build an event loop of your own, step by step.
//!
//! Read this if none of the adapters fits your program: because it has an event loop already, uses `io_uring` directly,
//! or serves very many connections per thread. The examples `mio_server` and `epoll_server` are complete servers built
//! this way; the second one has 120 lines.
//!
//! # 1. One connection
//!
//! A [`Driver`] holds a [`Connection`] and its input and output. [`Driver::turn`] performs system calls on a
//! non-blocking socket until each would block. It returns when to call it again at the latest, or `None` when the
//! connection is over:
//!
//! ```
//! use std::{io, net::{Shutdown, TcpStream}, thread, time::Duration};
//! use sansock::{Clock, Config, Connection, Driver, Event};
//!
//! /// Echoes until the connection is over. The opening handshake was done before.
//! fn echo(mut socket: TcpStream) -> io::Result<()> {
//!     socket.set_nonblocking(true)?;
//!     let mut driver = Driver::new(Connection::server(&Config::default()));
//!     let clock = Clock::start();
//!     loop {
//!         driver.wake(); // both directions may be ready
//!         let next = driver.turn(
//!             &mut socket,
//!             |socket| socket.shutdown(Shutdown::Write),
//!             || clock.now(),
//!             |event, connection, out| {
//!                 if let Event::Text(text) = event {
//!                     let _ = connection.send_text(&text, out); // refused after a Close only
//!                 }
//!             },
//!         );
//!         let Some(at) = next else { break };
//!         // Here your poller waits until the socket is ready, at most this long:
//!         thread::sleep((at - clock.now()).min(Duration::from_millis(1)));
//!     }
//!     match driver.take_error() {
//!         Some(error) => Err(io::Error::other(error)),
//!         None => Ok(()), // closed properly
//!     }
//! }
//! # use std::io::{Read, Write};
//! # let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
//! # let mut peer = TcpStream::connect(listener.local_addr()?)?;
//! # let server = thread::spawn(move || echo(listener.accept()?.0));
//! # peer.write_all(b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58\x88\x80\0\0\0\0")?;
//! # let mut received = Vec::new();
//! # peer.read_to_end(&mut received)?;
//! # assert_eq!(received, b"\x81\x05Hello\x88\0");
//! # drop(peer);
//! # server.join().unwrap()?;
//! # Ok::<(), io::Error>(())
//! ```
//!
//! This loop is complete. It answers Pings, sends keepalive Pings, closes properly, and ends when a deadline passes.
//! All that is missing is a real wait in place of the sleep.
//!
//! The third argument reads the clock, the last one is your application: it gets each event, the connection, and the
//! output for its answers. A driver flushes what it has written; for a plain socket, which holds nothing back,
//! [`unbuffered`](Driver::unbuffered) saves these calls. If your transport is not `Read + Write`, write the loop
//! yourself: ask [`Driver::step`] for the next [`Step`], do what it names, and report the result. The [parent
//! module](super) shows it.
//!
//! # 2. The opening handshake
//!
//! A [`Session`] is a handshake first and then a connection, so one driver serves the whole life of a socket. The
//! handler of the request puts the connection in its place:
//!
//! ```
//! use bytes::BytesMut;
//! use sansock::{Config, Driver, Event, driver::{Session, SessionEvent}, server};
//!
//! fn handle(
//!     event: SessionEvent<'_, server::Request>,
//!     session: &mut Session<server::Handshake>,
//!     out: &mut BytesMut,
//! ) {
//!     match (event, session.connection_mut()) {
//!         (SessionEvent::Handshake(request), _) => {
//!             // Where this fails, the HTTP response that says why is in `out`, and the driver ends the connection.
//!             if let Ok(connection) = request.accept(&server::Response::new(), out) {
//!                 *session = connection.into();
//!             }
//!         }
//!         (SessionEvent::Event(Event::Text(text)), Some(connection)) => _ = connection.send_text(&text, out),
//!         _ => {}
//!     }
//! }
//!
//! let driver = Driver::new(Session::new(server::Handshake::new(&Config::default())));
//! # let mut driver = driver;
//! # let request = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
//! #     Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n\x88\x80\0\0\0\0";
//! # let mut wire = std::io::Cursor::new(request.to_vec());
//! # driver.wake();
//! # let mut end = 0;
//! # while driver.turn(&mut wire, |_| Ok(()), || sansock::Timestamp::from_duration(std::time::Duration::from_secs(1)), handle).is_some() {
//! #     end += 1;
//! #     assert!(end < 10);
//! # }
//! # assert!(wire.into_inner().windows(19).any(|part| part == b"HTTP/1.1 101 Switch"));
//! ```
//!
//! # 3. Time
//!
//! [`Driver::turn`] returns a [`Timestamp`]:
//!
//! | returned | do this |
//! |---|---|
//! | `Some(Timestamp::ZERO)` | the peer has more to read: give other connections their turn, then call `turn` again without waiting |
//! | `Some(Timestamp::MAX)` | wait for readiness only; there is no deadline |
//! | `Some(at)` | wait for readiness, at most until `at` |
//! | `None` | the connection is over: close the socket |
//!
//! Deadlines move with almost every message, mostly to later. A turn that comes too early does nothing but return the
//! new deadline, so you need not move timers that are too early. [`Deadlines`] does this for you.
//!
//! A deadline of a connection is a statement about its peer: it was silent for 20 seconds, it accepted nothing for a
//! minute. An event loop that waits in one place may use a [`Clock`] that always runs. If your program stops for
//! seconds, to compute or because it is suspended, use a clock that stands still meanwhile: otherwise every peer looks
//! silent afterwards. The async adapters do so.
//!
//! # 4. Readiness
//!
//! Report to the driver what your poller reports:
//!
//! | your poller says | call |
//! |---|---|
//! | readable | [`readable(false)`](Driver::readable): reading stops after a read that leaves room |
//! | readable, and the peer has ended its half (`EPOLLRDHUP`, `EV_EOF`), or it cannot tell | [`readable(true)`](Driver::readable): reading stops when it blocks |
//! | writable | [`writable`](Driver::writable) |
//! | nothing, you just try | [`wake`](Driver::wake) |
//!
//! With edge-triggered readiness (epoll with `EPOLLET`, mio) register a socket once, for both directions: the driver
//! remembers what was reported. With level-triggered or one-shot readiness register it again after each turn, for what
//! [`wants_read`](Driver::wants_read) and [`wants_write`](Driver::wants_write) say. Without that a socket whose reading
//! is paused would wake your loop all the time.
//!
//! # 5. Many connections
//!
//! Keep a table of connections, one set of [`Buffers`], and a queue of [`Deadlines`]:
//!
//! ```
//! use std::io::{Read, Write};
//! use sansock::{Buffers, Clock, Connection, Driver, Event, driver::Deadlines};
//!
//! struct Server<T> {
//!     connections: Vec<Option<(T, Driver<Connection>)>>, // or a slab
//!     deadlines: Deadlines,
//!     buffers: Buffers,
//!     clock: Clock,
//! }
//!
//! impl<T: Read + Write> Server<T> {
//!     /// One round of the event loop, after the poller has returned these keys.
//!     fn round(&mut self, ready: &[usize]) {
//!         for &key in ready {
//!             if let Some((_, driver)) = &mut self.connections[key] {
//!                 driver.wake();
//!                 self.turn(key);
//!             }
//!         }
//!         for key in self.deadlines.take_due(self.clock.now()) {
//!             self.turn(key);
//!         }
//!         // Then the poller waits, at most until `self.deadlines.next()`.
//!     }
//!
//!     fn turn(&mut self, key: usize) {
//!         let Some((socket, driver)) = &mut self.connections[key] else { return };
//!         driver.attach(&mut self.buffers);
//!         let next = driver.turn(socket, |_| Ok(()), || self.clock.now(), |event, connection, out| {
//!             if let Event::Binary(data) = event {
//!                 let _ = connection.send_binary(&data, out);
//!             }
//!         });
//!         driver.detach(&mut self.buffers);
//!         match next {
//!             Some(at) => self.deadlines.set(key, at),
//!             None => {
//!                 self.deadlines.remove(key);
//!                 self.connections[key] = None;
//!             }
//!         }
//!     }
//! }
//! # let driver = || Driver::new(Connection::server(&sansock::Config::default()));
//! # let wire = || std::io::Cursor::new(b"\x82\x81\0\0\0\0x\x88\x80\0\0\0\0".to_vec());
//! # let connections = (0..3).map(|_| Some((wire(), driver()))).collect();
//! # let mut server = Server { connections, deadlines: Deadlines::new(), buffers: Buffers::new(), clock: Clock::start() };
//! # for _ in 0..10 { server.round(&[0, 1, 2]) }
//! # assert!(server.connections.iter().all(Option::is_none));
//! ```
//!
//! [`attach`](Driver::attach) lends the buffers to the connection whose turn it is. A connection that has nothing
//! unfinished gives them back in [`detach`](Driver::detach) and then holds nothing. One that has, a part of a message
//! or output that its peer is slow to take, keeps buffers of its own.
//!
//! Fairness: a driver gives up its turn after 8 reads, with the deadline `ZERO`. [`Deadlines::take_due`] returns such a
//! connection in the next round, after the others had their turn.
//!
//! # 6. Sending from outside
//!
//! A chat room sends to connections whose turn it is not. [`parts`](Driver::parts) gives you the connection and its
//! output. What you append is written by the next turn:
//!
//! ```
//! use sansock::{Config, Connection, Driver, SendError};
//!
//! /// What one connection may hold for a slow peer.
//! const MAX_QUEUED: usize = 1 << 20;
//!
//! /// Queues a message. `false`: this peer is too slow.
//! fn send(driver: &mut Driver<Connection>, text: &str) -> Result<bool, SendError> {
//!     if driver.queued() > MAX_QUEUED {
//!         return Ok(false); // skip this message, or close the connection
//!     }
//!     let (connection, out) = driver.parts();
//!     connection.send_text(text, out.tail())?;
//!     Ok(true) // and give it a turn: `deadlines.set(key, Timestamp::ZERO)`
//! }
//!
//! let mut driver = Driver::new(Connection::server(&Config::default()));
//! assert!(send(&mut driver, "hello")?);
//! assert_eq!(driver.queued(), 7);
//! # Ok::<(), SendError>(())
//! ```
//!
//! **This is the only back-pressure that you decide.** The driver pauses reading while more than 128 KiB of answers
//! wait. It cannot know which of your messages may be dropped, so it never refuses one: look at
//! [`queued`](Driver::queued) before you queue more. To send one message to many connections, encode it once with
//! [`PreparedMessage`](crate::PreparedMessage), and push it into each [`Outbox`](crate::Outbox) without a copy.
//!
//! # 7. Closing, half-close and graceful shutdown
//!
//! To close a connection, append a Close and give it a turn. The driver writes everything before it, waits for the
//! peer's Close, at most `close_timeout`, and ends the socket in the order of RFC 6455 §7.1.1. It is over when `turn`
//! returns `None`.
//!
//! ```
//! use sansock::{CloseCode, CloseFrame, Config, Connection, Driver};
//!
//! fn go_away(driver: &mut Driver<Connection>) {
//!     let (connection, out) = driver.parts();
//!     // Refused if a Close was sent before. Then there is nothing to do.
//!     let _ = connection.close(Some(CloseFrame::new(CloseCode::GOING_AWAY, "restarting")), out.tail());
//! }
//! # let mut driver = Driver::new(Connection::server(&Config::default()));
//! # go_away(&mut driver);
//! # go_away(&mut driver);
//! # assert_eq!(driver.queued(), 14);
//! ```
//!
//! A graceful shutdown does this:
//!
//! 1. Close the listener.
//! 2. Send each connection a Close, and set its deadline to `ZERO`. A connection in its handshake has nothing to close:
//!    [`read_failed`](Driver::read_failed) ends its driver.
//! 3. Run the loop until the table is empty, or until a deadline of your own, for instance 10 seconds.
//!
//! A peer may end its half of the TCP connection and still read. The driver delivers everything that arrived before the
//! end, writes the answers, and then ends. You only have to report it: see `readable(true)` above.
//!
//! # 8. Completion I/O
//!
//! With `io_uring` or IOCP an operation owns its buffer until it completes. If your runtime has futures, implement two
//! traits and use `adapter::poll::Completion`. In a loop of callbacks, tell the driver that a direction is blocked
//! while an operation is under way:
//!
//! ```
//! use bytes::Bytes;
//! use sansock::{Connection, Driver, Event, Step, Timestamp};
//!
//! /// What you pass to the operating system. There is at most one operation per direction.
//! #[derive(Default)]
//! struct Submitted {
//!     read: Option<Box<[u8]>>,
//!     write: Option<Vec<Bytes>>,
//!     end: bool,
//! }
//!
//! /// Submits what can be submitted. When to call it again at the latest; `None` when the connection is over.
//! fn submit(driver: &mut Driver<Connection>, ring: &mut Submitted, now: Timestamp) -> Option<Timestamp> {
//!     loop {
//!         match driver.step(|| now) {
//!             Step::Deliver => {
//!                 driver.deliver(|event, connection, out| {
//!                     if let Event::Text(text) = event {
//!                         let _ = connection.send_text(&text, out);
//!                     }
//!                     None::<()>
//!                 });
//!             }
//!             Step::Read => {
//!                 ring.read = Some(vec![0; 4096].into());
//!                 driver.read_blocked(); // until `read_completed`
//!             }
//!             Step::Write => {
//!                 ring.write = Some(driver.output().parts().take(64).collect()); // nothing is copied
//!                 driver.write_blocked(); // until `write_completed`
//!             }
//!             Step::Flush => driver.flushed(),
//!             Step::Shutdown => {
//!                 ring.end = true;
//!                 driver.shut_down();
//!             }
//!             Step::Wait(until) => return Some(until.unwrap_or(Timestamp::MAX)),
//!             Step::Yield => return Some(Timestamp::ZERO),
//!             Step::Done => return None, // cancel the operations, close the socket
//!         }
//!     }
//! }
//!
//! fn read_completed(driver: &mut Driver<Connection>, mut buffer: Box<[u8]>, count: usize) {
//!     let (inbox, missing) = driver.inbox();
//!     inbox.give(&mut buffer, count, missing); // usually an exchange of buffers, without a copy
//!     driver.note_received(count);
//!     driver.readable(true);
//! }
//!
//! fn write_completed(driver: &mut Driver<Connection>, count: usize) {
//!     driver.written(count); // ignored if the output was given up meanwhile
//!     driver.writable();
//! }
//! # let (mut driver, mut ring) = (Driver::new(Connection::server(&sansock::Config::default())), Submitted::default());
//! # driver.wake();
//! # let now = Timestamp::from_duration(std::time::Duration::from_secs(1));
//! # assert!(submit(&mut driver, &mut ring, now).is_some());
//! # let mut buffer = ring.read.take().unwrap();
//! # buffer[..11].copy_from_slice(b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58");
//! # read_completed(&mut driver, buffer, 11);
//! # assert!(submit(&mut driver, &mut ring, now).is_some());
//! # let written = ring.write.take().unwrap().concat();
//! # assert_eq!(written, b"\x81\x05Hello");
//! # write_completed(&mut driver, 3);
//! # submit(&mut driver, &mut ring, now);
//! # assert_eq!(ring.write.take().unwrap().concat(), b"ello");
//! # write_completed(&mut driver, 4);
//! # let mut buffer = ring.read.take().unwrap();
//! # buffer[..6].copy_from_slice(b"\x88\x80\0\0\0\0");
//! # read_completed(&mut driver, buffer, 6);
//! # submit(&mut driver, &mut ring, now);
//! # assert_eq!(ring.write.take().unwrap().concat(), b"\x88\0");
//! # write_completed(&mut driver, 2);
//! # assert!(submit(&mut driver, &mut ring, now).is_some());
//! # assert!(ring.end);
//! # read_completed(&mut driver, ring.read.take().unwrap(), 0);
//! # assert_eq!(submit(&mut driver, &mut ring, now), None);
//! ```
//!
//! Do not call [`wake`](Driver::wake) here: it says that no operation is under way.
//!
//! # 9. Tests with virtual time
//!
//! The driver reads no clock, and [`turn`](Driver::turn) takes any `Read + Write`. So a test needs no sockets and no
//! sleeps:
//!
//! ```
//! use std::{collections::VecDeque, io::{self, Read, Write}, time::Duration};
//! use sansock::{Config, Connection, Driver, Error, Timestamp};
//!
//! /// A socket in memory.
//! #[derive(Default)]
//! struct Wire { input: VecDeque<u8>, output: Vec<u8> }
//!
//! impl Read for Wire {
//!     fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
//!         if self.input.is_empty() { Err(io::ErrorKind::WouldBlock.into()) } else { self.input.read(buffer) }
//!     }
//! }
//!
//! impl Write for Wire {
//!     fn write(&mut self, data: &[u8]) -> io::Result<usize> {
//!         self.output.write(data)
//!     }
//!     fn flush(&mut self) -> io::Result<()> {
//!         Ok(())
//!     }
//! }
//!
//! // The peer says nothing. By default, a Ping breaks 20 seconds of silence, and 20 more end the connection.
//! let (mut wire, mut driver) = (Wire::default(), Driver::new(Connection::server(&Config::default())));
//! let (mut now, mut pinged_at) = (Timestamp::ZERO, None);
//! loop {
//!     driver.wake();
//!     let next = driver.turn(&mut wire, |_| Ok(()), || now, |_, _, _| ());
//!     if !wire.output.is_empty() {
//!         pinged_at.get_or_insert(now);
//!     }
//!     let Some(next) = next else { break };
//!     now = next; // the test goes straight to the next deadline
//! }
//! assert_eq!(pinged_at, Some(Timestamp::from_duration(Duration::from_secs(20))));
//! assert_eq!(now, Timestamp::from_duration(Duration::from_secs(40)));
//! assert_eq!(driver.take_error(), Some(Error::KeepaliveTimeout));
//! ```
//!
//! # 10. Who decides what
//!
//! | question | decided by |
//! |---|---|
//! | when to read, write, flush, and shut down | the driver |
//! | when reading pauses: 128 KiB of answers | the driver |
//! | how much you queue for a slow peer | **you**: look at [`queued`](Driver::queued) |
//! | how long a peer may be silent, stall, or take to close | **you**, in [`Config`](crate::Config); the driver keeps these deadlines |
//! | what time it is, and whether it advances while you are busy | **you** |
//! | in which order connections have their turn | **you**; the driver ends a turn after 8 reads |
//! | how long one read is | **you**: [`read_len`](Driver::read_len) |
//! | which buffers are shared, and when they are returned | the driver, between `attach` and `detach` |
//! | how many connections there are, and what happens when `accept` fails | **you** |
//! | whether an end was clean, and why it was not | the driver: [`take_error`](Driver::take_error), [`CloseInfo`](crate::CloseInfo) |
//! | whether and when to reconnect | **you**; `route::backoff` computes the delays |
//!
//! # 11. The slowest peer that survives
//!
//! While output waits in the driver, each byte that the socket accepts is a sign of life. What the socket has accepted
//! is invisible: it is in the send buffer of your kernel, in the network, or in the receive buffer of the peer. This is
//! the *pipe*. A keepalive Ping is queued behind it, and the peer answers when it has read everything before the Ping.
//! So a peer survives if it reads the content of the pipe within the keepalive interval plus timeout, 40 seconds by
//! default:
//!
//! > slowest rate = pipe / (interval + timeout)
//!
//! | pipe | slowest rate, 20 s + 20 s | 60 s + 60 s |
//! |---|---|---|
//! | 128 KiB | 3.2 KiB/s | 1.1 KiB/s |
//! | 1 MiB | 26 KiB/s | 8.5 KiB/s |
//! | 8 MiB (a send buffer of 4 MiB, a receive buffer of 4 MiB) | 205 KiB/s | 68 KiB/s |
//!
//! `adapter::tcp::tune` sets `TCP_NOTSENT_LOWAT` on Linux: the kernel then accepts at most 128 KiB more than it has
//! sent. This removes your send buffer from the pipe, except for these 128 KiB and what is in flight, and it makes
//! progress visible in steps of about 128 KiB. Call it on each accepted socket. The receive buffer of the peer remains.
//! If you have to serve slower peers, make the interval longer or set a smaller `SO_SNDBUF`.
//!
//! A peer that takes nothing at all while output waits is given up after
//! [`stall_timeout`](crate::Config::stall_timeout), 60 seconds by default, also without keepalive. With keepalive, one
//! that sends nothing either is given up after interval plus timeout.

#[cfg(doc)]
use super::{Buffers, Deadlines, Driver, Session, Step};
#[cfg(doc)]
use crate::{Clock, Connection, Timestamp};
