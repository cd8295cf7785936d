//! The two halves of a connection: what one does that the other waits for.
#![cfg(all(feature = "tokio", feature = "getrandom"))]

mod support;

use std::time::Duration;

use sansock::{Config, Connection, Event, adapter::tokio as adapter};
use support::masked;
use tokio::{
    io::{AsyncWriteExt, duplex},
    time,
};

/// Rule 1: reading pauses while more answers wait than 128 KiB and the queued sends. So a send lets it go on, and the half that
/// receives has to learn of that.
#[tokio::test(start_paused = true)]
async fn a_send_lets_the_receiver_read_again() {
    let (ours, mut theirs) = duplex(1000);
    let websocket = adapter::from_connection(ours, Connection::server(&Config::default()), Vec::new());
    let (mut receiver, mut sender) = websocket.split();
    tokio::spawn(async move {
        receiver
            .recv_with(|event, connection, out| {
                if let Event::Text(_) = event {
                    connection.send_binary(&vec![7; 200_000], out).unwrap();
                }
                None::<()>
            })
            .await
    });
    theirs.write_all(&masked(b"\x81\x01?")).await.unwrap();
    // More than the pipe holds, so it has to be read; but the answer waits.
    let more = masked(b"\x8A\x01x").repeat(1000);
    let (_reader, mut writer) = tokio::io::split(theirs);
    let writing = tokio::spawn(async move { writer.write_all(&more).await.unwrap() });
    time::sleep(Duration::from_secs(1)).await;
    assert!(!writing.is_finished(), "reading has paused");
    tokio::spawn(async move { sender.send(vec![7; 400_000]).await });
    let start = time::Instant::now();
    writing.await.unwrap();
    assert_eq!(start.elapsed(), Duration::ZERO, "it took no deadline to wake the receiver");
}
