//! Our tokio client against the echo of another implementation: `interop_large ws://HOST:PORT/PATH`.
//!
//! It sends 200 messages of 1 MB as fast as they are taken, and receives their echoes meanwhile. Prints an `ok` line,
//! and panics at the first thing that is not as it should be.

use std::time::{Duration, Instant};

use sansock::{
    CloseCode, Config,
    adapter::tokio::{self as adapter, Error},
};
use tokio::time::timeout;

const COUNT: u8 = 200;
const WATCHDOG: Duration = Duration::from_secs(120);

#[tokio::main]
async fn main() {
    let uri = std::env::args().nth(1).expect("usage: interop_large ws://HOST:PORT/PATH");
    let start = Instant::now();
    let talk = timeout(WATCHDOG, talk(&uri)).await.unwrap_or_else(|_| panic!("no end after {WATCHDOG:?}"));
    talk.unwrap_or_else(|error| panic!("{uri}: {error}"));
    println!("ok  {COUNT} messages of 1 MB both ways: {:.1} s", start.elapsed().as_secs_f64());
}

/// A different one for each index.
fn message(index: u8) -> Vec<u8> {
    (0..1_000_000_u32).map(|at| (at ^ at >> 8) as u8 ^ index).collect()
}

async fn talk(uri: &str) -> Result<(), Error> {
    let (mut receiver, mut sender) = adapter::connect(uri, &Config::default()).await?.split();
    let sending = tokio::spawn(async move {
        for index in 0..COUNT {
            sender.send(message(index)).await?;
        }
        Ok::<_, Error>(sender)
    });
    for index in 0..COUNT {
        let echo = receiver.recv().await?.unwrap_or_else(|| panic!("closed after {index} messages"));
        assert!(echo == message(index).into(), "message {index} is another one");
    }
    sending.await.expect("it does not panic")?.close(CloseCode::NORMAL, "").await?;
    assert_eq!(receiver.recv().await?, None);
    assert!(receiver.close_info().is_some_and(|info| info.clean));
    Ok(())
}
