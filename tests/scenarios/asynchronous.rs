//! What asynchronous adapters do beside: halves, and messages that are queued and not waited for.

use std::io::Write;

use sansock::{CloseCode, Config, adapter::poll};

use crate::{
    scenarios::{MUCH, NARROW, brisk, long_frame, read_slowly, served, tcp_pair},
    support::{Adapter, CLOSED, client_frame, read_rest},
};

asynchronous_suite! {
    halves_send_and_receive_large_messages_at_once
    one_task_feeds_and_receives_large_messages_in_turn
    closing_loses_nothing_that_was_fed
}

const COUNT: u8 = 200;

fn message(index: u8) -> Vec<u8> {
    vec![index; 1_000_000]
}

/// Runs the same program at both ends of a connection, with the default deadlines.
fn both_ends<A, I>(buffer: Option<usize>, program: impl AsyncFnOnce(poll::WebSocket<I>) + Copy + Send + 'static)
where
    A: Adapter<WebSocket = poll::WebSocket<I>>,
{
    let (ours, theirs) = tcp_pair(buffer);
    let server = A::run(async move || program(A::accept(ours, &Config::default()).await.unwrap()).await);
    let client = A::run(async move || {
        let request = sansock::client::Request::new("localhost", "/");
        program(A::client(theirs, &request, &Config::default()).await.unwrap().0).await;
    });
    server.join().unwrap();
    client.join().unwrap();
}

pub(crate) async fn send_all<I: poll::Io>(sender: &mut poll::Sender<I>) {
    for index in 0..COUNT {
        sender.send(message(index)).await.unwrap();
    }
}

pub(crate) async fn receive_all<I: poll::Io>(receiver: &mut poll::Receiver<I>) {
    for index in 0..COUNT {
        assert!(receiver.recv().await.unwrap() == Some(message(index).into()), "{index}");
    }
}

pub(crate) async fn close<I: poll::Io>(mut receiver: poll::Receiver<I>, mut sender: poll::Sender<I>) {
    // The other end may have been the first.
    let _ = sender.close(CloseCode::NORMAL, "").await;
    assert_eq!(receiver.recv().await.unwrap(), None);
    assert!(receiver.close_info().unwrap().clean);
}

fn halves_send_and_receive_large_messages_at_once<A, I: poll::Io + 'static>()
where
    A: Adapter<WebSocket = poll::WebSocket<I>>,
{
    both_ends::<A, I>(None, async |websocket| {
        let (mut receiver, mut sender) = websocket.split();
        futures_lite::future::zip(send_all(&mut sender), receive_all(&mut receiver)).await;
        close(receiver, sender).await;
    });
}

fn one_task_feeds_and_receives_large_messages_in_turn<A, I: poll::Io + 'static>()
where
    A: Adapter<WebSocket = poll::WebSocket<I>>,
{
    async fn take_turns<I: poll::Io>(mut websocket: poll::WebSocket<I>, count: u8) {
        for index in 0..count {
            websocket.feed(message(index)).await.unwrap();
            assert!(websocket.recv().await.unwrap() == Some(message(index).into()), "{index}");
        }
        websocket.close(CloseCode::NORMAL, "").await.unwrap();
    }
    both_ends::<A, I>(None, async |websocket| take_turns(websocket, COUNT).await);
    // The pipe holds a small part of a message.
    both_ends::<A, I>(Some(NARROW), async |websocket| take_turns(websocket, 5).await);
}

fn closing_loses_nothing_that_was_fed<A, I: poll::Io + 'static>()
where
    A: Adapter<WebSocket = poll::WebSocket<I>>,
{
    let (mut stream, server) = served::<A, _>(Some(NARROW), brisk(), async |mut websocket| {
        websocket.feed(vec![7; MUCH]).await.unwrap();
        websocket.close(CloseCode::NORMAL, "").await
    });
    let expected = [long_frame(&vec![7; MUCH]), CLOSED.to_vec()].concat();
    assert!(read_slowly(&mut stream, expected.len(), 10 << 10) == expected);
    stream.write_all(&client_frame(0x88, b"\x03\xe8")).unwrap();
    assert_eq!(read_rest(&mut stream), b"");
    drop(stream);
    server.join().unwrap().unwrap();
}
