//! Two peers on a virtual wire and a virtual clock: hours pass in microseconds, and every run is the same.

use std::{collections::VecDeque, time::Duration};

use sansock::{Config, Error, State, Timestamp, Transport};

use super::{Client, Server, Session};

/// What is under way to an end.
#[derive(Debug)]
enum Packet {
    Bytes(Vec<u8>),
    /// The other end shut down its writing half.
    Fin,
    /// The other end dropped the connection.
    Reset,
}

/// One end: a session, and what its driver did with the transport.
#[derive(Debug)]
pub struct End {
    pub session: Session,
    inbox: VecDeque<(Timestamp, Packet)>,
    pub shut_at: Option<Timestamp>,
    pub gone_at: Option<Timestamp>,
    /// What `receive_eof` said, and when.
    pub eof: Option<(Timestamp, Result<(), Error>)>,
    /// When the connection failed.
    pub failed_at: Option<Timestamp>,
    /// A reset came before the end was reached.
    pub reset: bool,
}

/// The wire between a client and a server, and the clock of both.
#[derive(Debug)]
pub struct Link {
    pub client: End,
    pub server: End,
    pub now: Timestamp,
    pub delay: Duration,
    /// Bytes get lost: neither end hears of it.
    pub cut: bool,
    /// How often a driver was woken.
    pub turns: u64,
}

pub fn at(seconds: f64) -> Timestamp {
    Timestamp::from_duration(Duration::from_secs_f64(seconds))
}

impl End {
    fn new(session: Session) -> Self {
        Self { session, inbox: VecDeque::new(), shut_at: None, gone_at: None, eof: None, failed_at: None, reset: false }
    }

    /// Takes what has arrived; then the turn of a driver: time, output, transport.
    fn turn(&mut self, now: Timestamp) -> Vec<Packet> {
        if self.gone_at.is_some() {
            self.inbox.clear();
            return Vec::new();
        }
        while self.inbox.front().is_some_and(|(due, _)| *due <= now) {
            match self.inbox.pop_front().unwrap().1 {
                Packet::Bytes(bytes) => self.session.feed(&bytes),
                Packet::Fin => self.eof = Some((now, self.session.connection.receive_eof())),
                Packet::Reset => {
                    self.reset = self.session.connection.state() != State::Closed;
                    self.eof = Some((now, self.session.connection.receive_eof()));
                }
            }
        }
        if let Err(error) = self.session.connection.handle_timeout(now, &mut self.session.out) {
            assert_eq!(self.session.error, None, "a connection fails once");
            self.session.error = Some(error);
        }
        if self.session.error.is_some() {
            self.failed_at.get_or_insert(now);
        }
        let due = self.session.connection.poll_timeout();
        assert!(due.is_none_or(|due| due > now), "due at {due:?}, already handled at {now:?}");

        let mut sent = Vec::new();
        if !self.session.out.is_empty() {
            assert_eq!(self.shut_at, None, "output after the writing half was shut down");
            sent.push(Packet::Bytes(self.session.out.split().to_vec()));
        }
        match self.session.connection.transport() {
            Transport::KeepOpen => {}
            Transport::ShutdownWrite => {
                if self.shut_at.is_none() {
                    self.shut_at = Some(now);
                    sent.push(Packet::Fin);
                }
            }
            Transport::Close => {
                self.gone_at = Some(now);
                if self.shut_at.is_none() {
                    self.shut_at = Some(now);
                    sent.push(Packet::Fin);
                }
            }
            Transport::Abort => {
                self.gone_at = Some(now);
                sent.push(Packet::Reset);
            }
        }
        sent
    }

    fn due(&self) -> Option<Timestamp> {
        if self.gone_at.is_some() {
            return None;
        }
        let packet = self.inbox.front().map(|(due, _)| *due);
        [packet, self.session.connection.poll_timeout()].into_iter().flatten().min()
    }
}

impl Link {
    /// Both ends open at time 0, with 50 ms each way between them.
    pub fn new(client: &Config, server: &Config) -> Self {
        let mut link = Self {
            client: End::new(Session::new(Client, client)),
            server: End::new(Session::new(Server, server)),
            now: Timestamp::ZERO,
            delay: Duration::from_millis(50),
            cut: false,
            turns: 0,
        };
        link.turn();
        link
    }

    /// Lets time pass until then.
    pub fn run_until(&mut self, end: Timestamp) -> &mut Self {
        // What the test did with the ends since.
        self.turn();
        while let Some(due) = [self.client.due(), self.server.due()].into_iter().flatten().min()
            && due <= end
        {
            assert!(due > self.now, "a driver that spins");
            self.now = due;
            self.turn();
        }
        self.now = end;
        self.turn();
        self
    }

    fn turn(&mut self) {
        self.turns += 1;
        let arrival = self.now + self.delay;
        let (from_client, from_server) = (self.client.turn(self.now), self.server.turn(self.now));
        if !self.cut {
            self.server.inbox.extend(from_client.into_iter().map(|packet| (arrival, packet)));
            self.client.inbox.extend(from_server.into_iter().map(|packet| (arrival, packet)));
        }
    }
}
