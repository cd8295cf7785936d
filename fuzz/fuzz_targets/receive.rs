//! Whatever a peer sends: the machine says what the reference reader says, at the byte at which it says it, answers as
//! the contract demands, and is silent after its end.
//!
//! Input: a byte of [`Setup`], a byte of [`Cuts`], then the peer's bytes.

#![no_main]

use std::time::Duration;

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use sansock::{Connection, Error, Event, SendError, State, Timestamp, Transport};
use sansock_fuzz::{
    cuts::Cuts,
    reader::{Reader, Stand},
    setup::{Judge, Pongs, Setup, answers, check, left as left_of},
    trace::{Entry, Trace},
};

fuzz_target!(|data: &[u8]| {
    let [setup, cuts, stream @ ..] = data else { return };
    let mut case = Case::new(Setup(*setup).plain());
    let mut cuts = Cuts::new(*cuts);
    let mut rest = stream;
    while !rest.is_empty() {
        case.feed(cuts.next_piece(&mut rest));
    }
    if case.connection.state() == State::Closed {
        case.silence(stream);
    }
    case.eof();
});

/// One connection, what it must do, and what it did.
struct Case {
    setup: Setup,
    connection: Connection,
    left: Vec<u8>,
    out: BytesMut,
    feeds: usize,
    now: Timestamp,
    reference: Reader,
    trace: Trace,
    error: Option<Error>,
    judge: Judge,
    pongs: Pongs,
    close_sent: bool,
}

impl Case {
    fn new(setup: Setup) -> Self {
        let mut case = Self {
            setup,
            connection: setup.connection(),
            left: Vec::new(),
            out: setup.out(),
            feeds: 0,
            now: Timestamp::ZERO,
            reference: Reader::new(setup.rules()),
            trace: Trace::default(),
            error: None,
            judge: Judge::of(setup.server()),
            pongs: Pongs::default(),
            close_sent: setup.closing(),
        };
        if setup.closing() {
            let before = case.out.len();
            case.connection.close(None, &mut case.out).expect("it is open");
            assert_eq!(case.judge.read(&case.out[before..]), [Entry::Close(None)]);
        }
        case
    }

    /// A piece arrives. All that it completes comes out now, and nothing else.
    fn feed(&mut self, piece: &[u8]) {
        let known = self.trace.0.len();
        let mut buffer = std::mem::take(&mut self.left);
        buffer.extend(piece);
        let mut input = &mut buffer[..];
        loop {
            let (left, over) = (input.len(), self.connection.state() == State::Closed);
            let before = self.out.len();
            let mut expected: Vec<_> = if over { None } else { self.pongs.call(&self.out) }.into_iter().collect();
            let owed_len: usize = expected.iter().map(|pong| frame_len(pong, self.setup.server())).sum();
            let outcome = self.connection.receive(&mut input, &mut self.out);

            let mut go_on = true;
            match &outcome {
                Ok(Some(event)) => {
                    assert!(!over, "an event after the end");
                    assert!(input.len() < left, "an event takes at least a byte");
                    if let Event::Ping(payload) = event
                        && self.setup.auto_pong()
                    {
                        expected.extend(self.pongs.ping(payload, before + owed_len));
                    }
                    if let Event::Close(frame) = event {
                        self.pongs.end();
                        if !self.close_sent {
                            let echo = frame.as_ref().map(|frame| (frame.code.get(), String::new()));
                            expected.push(Entry::Close(echo));
                        }
                        self.close_sent = true;
                    }
                    self.trace.push(event.into());
                }
                Ok(None) => {
                    self.left = left_of(&self.connection, input);
                    go_on = false;
                }
                Err(error) => {
                    assert!(!over && self.error.is_none(), "an error comes once");
                    assert!(input.is_empty(), "the rest is discarded");
                    self.error = Some(*error);
                    self.pongs.end();
                }
            }
            let mut said = self.judge.read(&self.out[before..]);
            if let (Err(error), false) = (&outcome, self.close_sent) {
                self.close_sent = true;
                let Some(Entry::Close(Some((code, _)))) = said.pop() else { panic!("no Close that explains {error}") };
                assert_eq!(Some(code), error.close_code().map(sansock::CloseCode::get));
            }
            assert_eq!(said, expected);
            check(&self.connection, self.setup.server());
            if !go_on {
                break;
            }
        }

        self.reference.push_all(piece);
        assert_eq!(self.trace.since(known), self.reference.trace().since(known));
        let (state, code) = (self.connection.state(), self.error.and_then(Error::close_code));
        match self.reference.stand() {
            Stand::Reading if self.setup.closing() => assert_eq!((state, code), (State::Closing, None)),
            Stand::Reading => assert_eq!((state, code), (State::Open, None)),
            Stand::Closed => assert_eq!((state, code), (State::Closed, None)),
            Stand::Failed(expected) => {
                assert_eq!((state, code.map(sansock::CloseCode::get)), (State::Closed, Some(*expected)));
            }
        }
        self.driver();
    }

    /// What a driver does after a batch: it tells the time and writes what there is to write.
    fn driver(&mut self) {
        self.now = self.now + Duration::from_micros(10);
        let (before, owed) = (self.out.len(), self.pongs.call(&self.out));
        self.connection.handle_timeout(self.now, &mut self.out).expect("no deadline is near");
        assert_eq!(self.judge.read(&self.out[before..]), owed.into_iter().collect::<Vec<_>>());
        assert!(self.connection.poll_timeout().is_none_or(|at| at > self.now), "no loop spins");
        if !self.setup.never_drained() {
            // A transport that takes all, or all at every second time.
            self.feeds += 1;
            self.out = if self.feeds.is_multiple_of(2) { self.setup.out() } else { BytesMut::new() };
        }
    }

    /// I8: after the end a thousand feeds change nothing, and nothing can be sent.
    fn silence(&mut self, stream: &[u8]) {
        let frames: [&[u8]; 4] = [b"\x81\x80abcd", b"\x89\x00", b"\x88\x82\0\0\0\0\x03\xE8", b""];
        let pieces = frames.into_iter().chain(stream.chunks(16)).cycle().take(1000);
        let (before, answers_before) = (self.out.clone(), answers(&self.connection));
        let mut buffer = [0; 16];
        for piece in pieces {
            let mut input = &mut buffer[..piece.len()];
            input.copy_from_slice(piece);
            assert_eq!(self.connection.receive(&mut input, &mut self.out), Ok(None));
            assert!(input.is_empty() && self.out.len() == before.len());
        }
        assert_eq!(self.connection.send_text("x", &mut self.out), Err(SendError::Closed));
        assert_eq!(self.connection.ping(b"", &mut self.out), Err(SendError::Closed));
        assert_eq!(self.connection.close(None, &mut self.out), Err(SendError::Closed));
        self.connection.fail(sansock::CloseCode::INTERNAL_ERROR, "", &mut self.out);
        assert_eq!(self.out, before);
        assert_eq!(answers(&self.connection), answers_before);
    }

    fn eof(mut self) {
        let ended = self.connection.state() == State::Closed;
        let outcome = self.connection.receive_eof();
        let expected = if ended { self.error } else { Some(Error::ConnectionLost) };
        assert_eq!(outcome.err(), expected);
        assert_eq!(self.connection.transport(), Transport::Close);
        assert!(self.connection.poll_timeout().is_some(), "the end of the input does not end time");
        assert_eq!(self.connection.receive_eof().err(), expected, "EOF twice is EOF");
        check(&self.connection, self.setup.server());
        let info = self.connection.close_info().expect("it ended");
        assert_eq!(info.cause, expected);
        let received = self.trace.0.iter().rev().find_map(|entry| match entry {
            Entry::Close(body) => Some(body.clone().unwrap_or((1005, String::new()))),
            _ => None,
        });
        assert_eq!(info.received.as_ref().map(|status| (status.code, status.reason.clone())), received);
        self.silence(&[]);
    }
}

/// The length of a small frame.
fn frame_len(entry: &Entry, server: bool) -> usize {
    let Entry::Pong(payload) = entry else { unreachable!("only Pongs are owed") };
    payload.len() + if server { 2 } else { 6 }
}
