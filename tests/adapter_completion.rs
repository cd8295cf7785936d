//! `poll::Completion` over a stream in memory whose operations complete later, without a runtime.
#![cfg(feature = "poll")]

#[path = "support/frames.rs"]
mod frames;
#[path = "support/watchdog.rs"]
mod watchdog;

use std::{
    cell::RefCell,
    collections::VecDeque,
    future::{Pending, pending},
    io::{self, Read},
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll, Waker},
    time::Instant,
};

use bytes::Bytes;
use frames::{client_frame, frame};
use sansock::{
    CloseCode, Config, Connection, Message,
    adapter::poll::{self, Completion, OwnedRead, OwnedWrite, Sleep},
};
use watchdog::watchdog;

/// The stream: what the peer has sent and has received, and what was asked of the operating system.
#[derive(Default)]
struct Peer {
    sent: VecDeque<u8>,
    has_ended: bool,
    received: Vec<u8>,
    has_seen_the_end: bool,
    /// How long the buffer of each read was.
    reads: Vec<usize>,
    /// How many operations were dropped before they were complete.
    cancelled: usize,
}

type Shared = Rc<RefCell<Peer>>;

struct Half(Shared);

/// Completes when it is polled for the third time.
struct Operation<A> {
    polls: u32,
    of: Option<(Half, A)>,
}

impl<A> Operation<A> {
    fn new(half: Half, argument: A) -> Self {
        Self { polls: 0, of: Some((half, argument)) }
    }

    fn poll(&mut self) -> Poll<(Half, A)> {
        self.polls += 1;
        if self.polls < 3 { Poll::Pending } else { Poll::Ready(self.of.take().expect("complete once")) }
    }
}

impl<A> Drop for Operation<A> {
    fn drop(&mut self) {
        if let Some((Half(peer), _)) = &self.of {
            peer.borrow_mut().cancelled += 1;
        }
    }
}

impl Future for Operation<Box<[u8]>> {
    type Output = (Half, io::Result<usize>, Box<[u8]>);

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        let (Half(peer), _) = self.of.as_ref().expect("complete once");
        if peer.borrow().sent.is_empty() && !peer.borrow().has_ended {
            return Poll::Pending;
        }
        Operation::poll(&mut self).map(|(Half(peer), mut buffer)| {
            let count = peer.borrow_mut().sent.read(&mut buffer);
            (Half(peer), count, buffer)
        })
    }
}

impl Future for Operation<Vec<Bytes>> {
    type Output = (Half, io::Result<usize>);

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        Operation::poll(&mut self).map(|(Half(peer), parts)| {
            // Of a long write only a part is accepted.
            let data = parts.concat();
            let count = data.len().min(10_000);
            peer.borrow_mut().received.extend_from_slice(&data[..count]);
            (Half(peer), Ok(count))
        })
    }
}

impl Future for Operation<()> {
    type Output = (Half, io::Result<()>);

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        Operation::poll(&mut self).map(|(Half(peer), ())| {
            peer.borrow_mut().has_seen_the_end = true;
            (Half(peer), Ok(()))
        })
    }
}

impl OwnedRead for Half {
    type Read = Operation<Box<[u8]>>;

    fn read(self, buffer: Box<[u8]>) -> Self::Read {
        self.0.borrow_mut().reads.push(buffer.len());
        Operation::new(self, buffer)
    }
}

impl OwnedWrite for Half {
    type Write = Operation<Vec<Bytes>>;
    type Shutdown = Operation<()>;

    fn write(self, parts: Vec<Bytes>) -> Self::Write {
        assert!(!parts.is_empty() && parts.len() <= 64 && parts.iter().all(|part| !part.is_empty()));
        Operation::new(self, parts)
    }

    fn shutdown(self) -> Self::Shutdown {
        Operation::new(self, ())
    }
}

type Io = Completion<Half, Half, Sleep<fn(Instant) -> Pending<()>, Pending<()>>>;

fn websocket() -> (poll::WebSocket<Io>, Shared) {
    let peer = Shared::default();
    let sleep: fn(Instant) -> Pending<()> = |_| pending();
    let io = Completion::new(Half(peer.clone()), Half(peer.clone()), Sleep::new(sleep));
    (poll::WebSocket::new(io, Connection::server(&Config::default()), Vec::new()), peer)
}

/// Makes the call, and gives it up when it has to wait.
fn poll_once<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

/// Makes the call again and again, and gives it up each time.
fn retry<T>(mut call: impl AsyncFnMut() -> T) -> T {
    (0..10_000).find_map(|_| poll_once(call())).expect("it ends at some time")
}

fn message(index: usize) -> Vec<u8> {
    vec![index as u8; index * index % 9_000]
}

#[test]
fn calls_that_are_given_up_lose_no_byte_in_either_direction() {
    let _watchdog = watchdog();
    let (mut websocket, peer) = websocket();
    let (mut expected, mut sent) = (Vec::new(), VecDeque::new());
    for index in 0..200 {
        expected.extend(frame(0x82, &message(index)));
        sent.extend(client_frame(0x82, &message(index)));
    }
    sent.extend(client_frame(0x88, &1000_u16.to_be_bytes()));
    expected.extend(frame(0x88, &1000_u16.to_be_bytes()));

    let mut index = 0;
    loop {
        // The peer sends a few bytes at a time, now and then a lot.
        let count = sent.len().min(if index % 50 == 49 { 100_000 } else { 777 });
        peer.borrow_mut().sent.extend(sent.drain(..count));
        let has_seen_the_end = peer.borrow().has_seen_the_end;
        peer.borrow_mut().has_ended = has_seen_the_end;
        let Some(received) = poll_once(websocket.recv()) else { continue };
        let Some(received) = received.unwrap() else { break };
        assert_eq!(received, Message::from(message(index)));
        index += 1;
        // Half of the echoes wait until they are written; the others are written by `recv`.
        if index % 2 == 0 {
            poll_once(websocket.send(received));
            retry(async || websocket.flush().await).unwrap();
        } else {
            poll_once(websocket.feed(received)).expect("there is room").unwrap();
        }
    }
    assert_eq!(index, 200);
    assert!(peer.borrow().received == expected, "every byte once and in order");
    assert!(peer.borrow().has_seen_the_end);
    assert_eq!(peer.borrow().cancelled, 0);
}

#[test]
fn a_read_takes_more_after_one_that_filled_its_buffer() {
    let _watchdog = watchdog();
    let (mut websocket, peer) = websocket();
    peer.borrow_mut().sent.extend(client_frame(0x82, &[7; 5_000]));
    assert_eq!(retry(async || websocket.recv().await).unwrap(), Some(vec![7; 5_000].into()));
    peer.borrow_mut().sent.extend(client_frame(0x82, b"short"));
    assert_eq!(retry(async || websocket.recv().await).unwrap(), Some(b"short".to_vec().into()));
    assert_eq!(poll_once(websocket.recv()).map(|_| ()), None);
    assert_eq!(peer.borrow().reads, [4 << 10, 64 << 10, 4 << 10, 4 << 10]);
}

#[test]
fn a_close_that_is_given_up_is_resumed() {
    let _watchdog = watchdog();
    let (mut websocket, peer) = websocket();
    assert_eq!(poll_once(websocket.recv()).map(|_| ()), None);
    assert_eq!(poll_once(websocket.close(CloseCode::NORMAL, "")).map(|_| ()), None);
    peer.borrow_mut().sent.extend(client_frame(0x88, &1000_u16.to_be_bytes()));
    peer.borrow_mut().has_ended = true;
    assert_eq!(retry(async || websocket.recv().await).unwrap(), None);
    assert!(peer.borrow().has_seen_the_end);
    assert_eq!(peer.borrow().received, frame(0x88, &1000_u16.to_be_bytes()));
}

#[test]
fn dropping_the_websocket_drops_its_operations() {
    let _watchdog = watchdog();
    let (mut websocket, peer) = websocket();
    assert_eq!(poll_once(websocket.recv()).map(|_| ()), None);
    assert_eq!(poll_once(websocket.send("hello")).map(|_| ()), None);
    assert_eq!(peer.borrow().cancelled, 0);
    drop(websocket);
    assert_eq!(peer.borrow().cancelled, 2);
    assert!(peer.borrow().received.is_empty());
}

#[test]
fn a_websocket_over_operations_that_are_send_is_send() {
    fn is_send<T: Send>() {}
    struct Thread;
    type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;
    impl OwnedRead for Thread {
        type Read = Boxed<(Self, io::Result<usize>, Box<[u8]>)>;
        fn read(self, buffer: Box<[u8]>) -> Self::Read {
            Box::pin(async { (self, Ok(0), buffer) })
        }
    }
    impl OwnedWrite for Thread {
        type Write = Boxed<(Self, io::Result<usize>)>;
        type Shutdown = Boxed<(Self, io::Result<()>)>;
        fn write(self, _: Vec<Bytes>) -> Self::Write {
            Box::pin(async { (self, Ok(0)) })
        }
        fn shutdown(self) -> Self::Shutdown {
            Box::pin(async { (self, Ok(())) })
        }
    }
    let _watchdog = watchdog();
    is_send::<poll::WebSocket<Completion<Thread, Thread, Sleep<fn(Instant) -> Pending<()>, Pending<()>>>>>();
}
