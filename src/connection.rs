//! The machine.

use bytes::BytesMut;

use crate::{
    close::CloseInfo,
    close::{CloseCode, CloseFrame},
    config::Config,
    error::{Error, SendError},
    message::{Chunk, Event},
    timer::Timestamp,
};

/// Where a connection stands in its life (RFC 6455 §4.1, §7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Data flows in both directions.
    Open,
    /// This side sent its Close and waits for the peer's.
    Closing,
    /// Both Closes were exchanged, or the connection failed.
    Closed,
}

/// What to do with the transport once `out` is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Keep reading and writing.
    KeepOpen,
    /// Shut down the writing half at once; go on reading, until EOF or a deadline.
    ShutdownWrite,
    /// Close it: nothing is left to wait for.
    Close,
    /// A deadline passed: write what it takes without waiting, then drop it.
    Abort,
}

/// One connection after the opening handshake.
#[derive(Debug)]
pub struct Connection {}

#[allow(missing_docs, clippy::all, clippy::pedantic, unused)]
impl Connection {
    pub fn server(config: &Config) -> Self {
        todo!()
    }
    pub fn client(config: &Config, seed: [u8; 32]) -> Self {
        todo!()
    }
    pub fn receive<'b>(&mut self, input: &mut &'b mut [u8], out: &mut BytesMut) -> Result<Option<Event<'b>>, Error> {
        todo!()
    }
    pub fn receive_eof(&mut self) -> Result<(), Error> {
        todo!()
    }
    pub fn send_text(&mut self, text: &str, out: &mut BytesMut) -> Result<(), SendError> {
        todo!()
    }
    pub fn send_binary(&mut self, data: &[u8], out: &mut BytesMut) -> Result<(), SendError> {
        todo!()
    }
    pub fn send_chunk(&mut self, chunk: &Chunk<'_>, out: &mut BytesMut) -> Result<(), SendError> {
        todo!()
    }
    pub fn ping(&mut self, payload: &[u8], out: &mut BytesMut) -> Result<(), SendError> {
        todo!()
    }
    pub fn pong(&mut self, payload: &[u8], out: &mut BytesMut) -> Result<(), SendError> {
        todo!()
    }
    pub fn close(&mut self, frame: Option<CloseFrame<'_>>, out: &mut BytesMut) -> Result<(), SendError> {
        todo!()
    }
    pub fn fail(&mut self, code: CloseCode, reason: &str, out: &mut BytesMut) {
        todo!()
    }
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        todo!()
    }
    pub fn handle_timeout(&mut self, now: Timestamp, out: &mut BytesMut) -> Result<(), Error> {
        todo!()
    }
    pub fn state(&self) -> State {
        todo!()
    }
    pub fn transport(&self) -> Transport {
        todo!()
    }
    pub fn close_info(&self) -> Option<&CloseInfo> {
        todo!()
    }
}
