//! Connections that share `Buffers`: in which order they borrow and return them does not matter.
#![cfg(feature = "std")]

use std::io::{self, Cursor, Read, Write};

use sansock::{Buffers, Config, Connection, Driver, Event, Timestamp};

/// A socket that has these bytes to read, and accepts nothing.
struct Input(Cursor<Vec<u8>>);

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer)? {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            count => Ok(count),
        }
    }
}

impl Write for Input {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn driver() -> Driver<Connection> {
    Driver::new(Connection::server(&Config::default().delivery(sansock::Delivery::InPlace)))
}

fn turn(driver: &mut Driver<Connection>, input: Vec<u8>, shared: &mut Buffers) -> usize {
    let mut messages = 0;
    driver.attach(shared);
    driver.readable(false);
    driver.turn(
        &mut Input(Cursor::new(input)),
        |_| Ok(()),
        || Timestamp::ZERO,
        |event, _, _| {
            messages += usize::from(matches!(event, Event::Binary(_)));
        },
    );
    driver.detach(shared);
    messages
}

fn queue(driver: &mut Driver<Connection>, shared: &mut Buffers) {
    driver.attach(shared);
    let (connection, out) = driver.parts();
    connection.send_binary(b"queued", out.tail()).unwrap();
    driver.detach(shared);
}

/// A masked message of this length.
fn message(len: u16) -> Vec<u8> {
    [&[0x82, 0xFE][..], &len.to_be_bytes(), &[0; 4], &vec![0; len.into()]].concat()
}

/// The second connection keeps the buffer that the first one has used; the third one gets what is left of that.
#[test]
fn a_connection_that_keeps_the_shared_buffer_leaves_a_sound_one_behind() {
    let mut shared = Buffers::new();
    let (mut first, mut second, mut third) = (driver(), driver(), driver());
    assert_eq!(turn(&mut first, message(16_000), &mut shared), 1);
    queue(&mut second, &mut Buffers::new());
    assert_eq!(turn(&mut second, message(60_000)[..50_000].to_vec(), &mut shared), 0);
    queue(&mut third, &mut shared);
    queue(&mut third, &mut shared);
    assert_eq!(turn(&mut third, message(16_000), &mut shared), 1);
    assert_eq!(turn(&mut second, vec![0; 10_008], &mut shared), 1);
}
