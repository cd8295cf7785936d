//! The face of every adapter that polls.

use bytes::BytesMut;
use sansock::{
    CloseCode, CloseInfo, Connection, Event, Message,
    adapter::{Error, poll},
};

use super::adapters::WebSocket;

impl<I: poll::Io> WebSocket for poll::WebSocket<I> {
    async fn recv(&mut self) -> Result<Option<Message>, Error> {
        self.recv().await
    }

    async fn recv_with<T>(
        &mut self,
        handler: impl FnMut(Event<'_>, &mut Connection, &mut BytesMut) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        self.recv_with(handler).await
    }

    async fn send(&mut self, message: Message) -> Result<(), Error> {
        self.send(message).await
    }

    async fn ping(&mut self, payload: &[u8]) -> Result<(), Error> {
        self.ping(payload).await
    }

    async fn close(&mut self, code: CloseCode, reason: &str) -> Result<(), Error> {
        self.close(code, reason).await
    }

    fn close_info(&self) -> Option<&CloseInfo> {
        self.close_info()
    }
}
