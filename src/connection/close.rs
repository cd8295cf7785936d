//! The end of a connection, whoever brings it about (RFC 6455 §7): the closing handshake, and failure.

use bytes::BytesMut;

use super::{Connection, Control, State, Transport};
use crate::{
    close::{CloseCode, CloseFrame, CloseInfo, CloseStatus, Initiator, MAX_REASON_LEN},
    error::{Error, SendError},
    frame::Opcode,
    message::Assembly,
};

impl Connection {
    /// Starts the closing handshake (§7.1.2), with a code and a reason or with neither. Nothing can be sent after it;
    /// events keep coming until the peer's Close does.
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`] when a Close was sent or received before, [`SendError::ReasonTooLong`] for a reason over
    /// 123 bytes.
    #[allow(clippy::needless_pass_by_value, reason = "a Close is made for this call")]
    pub fn close(&mut self, frame: Option<CloseFrame<'_>>, out: &mut BytesMut) -> Result<(), SendError> {
        self.may_send(Opcode::Close)?;
        if frame.as_ref().is_some_and(|frame| frame.reason.len() > MAX_REASON_LEN) {
            return Err(SendError::ReasonTooLong(frame.map_or(0, |frame| frame.reason.len())));
        }
        self.slow(|this| {
            this.write_owed_pong(out);
            this.write_close(frame.as_ref(), Initiator::Local, out);
        });
        Ok(())
    }

    /// Fails the connection (§7.1.7): a Close with this code and reason, then nothing more. For what only the
    /// application can judge, such as [`CloseCode::POLICY_VIOLATION`]; no answer of the peer is waited for.
    ///
    /// The reason is cut to 123 bytes, between characters. Without effect on a connection that is closed already; when
    /// a Close was sent before, no second one is.
    pub fn fail(&mut self, code: CloseCode, reason: &str, out: &mut BytesMut) {
        if self.state() == State::Closed {
            return;
        }
        self.slow(|this| {
            if this.stage.is_open() {
                this.write_owed_pong(out);
                let mut end = reason.len().min(MAX_REASON_LEN);
                while !reason.is_char_boundary(end) {
                    end -= 1;
                }
                this.write_close(Some(&CloseFrame::new(code, &reason[..end])), Initiator::Local, out);
            }
            this.fail_with(Error::Failed(code), out);
        });
    }

    /// The peer closes (§5.5.1): its Close is answered, if it is not an answer itself, and that is the end.
    pub(super) fn receive_close(&mut self, frame: Option<&CloseFrame<'_>>, out: &mut BytesMut) {
        // R82, §5.5.1: "If a client and server both send a Close message at the same time, both endpoints will have
        // sent and received a Close message and should consider the WebSocket connection closed"
        if self.stage.is_open() {
            // R78, §5.5.1: "If an endpoint receives a Close frame and did not previously send a Close frame, the
            // endpoint MUST send a Close frame in response. (When sending a Close frame in response, the endpoint
            // typically echos the status code it received.)"
            let echo = frame.map(|frame| CloseFrame::new(frame.code, ""));
            self.write_close(echo.as_ref(), Initiator::Peer, out);
        }
        let incomplete_message = !self.assembly.is_idle();
        // R83, §5.5.1: "The server MUST close the underlying TCP connection immediately; the client SHOULD wait for the
        // server to close the connection"
        let info = self.end(if self.is_server() { Transport::ShutdownWrite } else { Transport::KeepOpen });
        info.received = Some(CloseStatus::of(frame));
        info.incomplete_message = incomplete_message;
        info.clean = true;
    }

    /// The one place where a connection fails (§7.1.7): a Close that tells the peer, unless one was sent, and the end.
    #[cold]
    pub(super) fn fail_with(&mut self, error: Error, out: &mut BytesMut) -> Error {
        // R84, R85, §7.1.7: "the endpoint SHOULD send a Close frame with an appropriate status code (Section 7.4)
        // before proceeding to _Close the WebSocket Connection_"
        if let Some(code) = error.close_code().filter(|_| self.stage.is_open()) {
            self.write_close(Some(&CloseFrame::new(code, error.reason())), Initiator::Local, out);
        }
        let info = self.end(match error {
            Error::KeepaliveTimeout | Error::IdleTimeout | Error::CloseTimeout | Error::StallTimeout => {
                Transport::Abort
            }
            Error::ConnectionLost => Transport::Close,
            _ => Transport::ShutdownWrite,
        });
        info.cause = Some(error);
        error
    }

    /// Whether our Close is in `out`, or the connection has failed: no data follows.
    #[inline]
    pub(crate) fn is_closing(&self) -> bool {
        !self.stage.is_open()
    }

    /// The transport accepts nothing any more. After a Close of both sides, too: ours may be among what waits.
    #[cold]
    pub(crate) fn stalled(&mut self) -> Result<(), Error> {
        self.slow(|this| Err(this.end_unclean(Error::StallTimeout)))
    }

    /// `bytes` of output were never written. That is a failure unless all that was lost is our answer to the peer's
    /// Close.
    #[cold]
    pub(crate) fn abandon(&mut self, bytes: u64) -> Result<(), Error> {
        self.slow(|this| {
            let is_answer = this.close_answer_len().is_some_and(|len| bytes <= len);
            let verdict = if is_answer { Ok(()) } else { Err(this.end_unclean(Error::Unwritten)) };
            if let Some(info) = this.stage.info_mut() {
                info.unwritten = info.unwritten.saturating_add(bytes);
            }
            verdict
        })
    }

    /// How long the frame is that answered the peer's Close.
    fn close_answer_len(&self) -> Option<u64> {
        let info = self.close_info().filter(|info| info.initiator == Some(Initiator::Peer))?;
        let sent = info.sent.as_ref()?;
        let body_len = if sent.code == 1005 { 0 } else { 2 + sent.reason.len() as u64 };
        Some(2 + if self.is_server() { 0 } else { 4 } + body_len)
    }

    /// Ends a connection that may be closed already. The first cause stays.
    fn end_unclean(&mut self, error: Error) -> Error {
        let info = self.end(Transport::Abort);
        info.cause.get_or_insert(error);
        info.clean = false;
        error
    }

    /// Both directions are done; nothing is kept that only an open connection needs.
    pub(super) fn end(&mut self, transport: Transport) -> &mut CloseInfo {
        if self.stage.is_open() {
            self.timers.closing_began();
        }
        self.assembly = Assembly::default();
        self.control = None;
        self.owed_pong = None;
        if let Some(codec) = &mut self.codec {
            codec.end();
        }
        self.stage.end(transport)
    }

    /// The one Close that this side sends; with it the closing handshake begins.
    fn write_close(&mut self, frame: Option<&CloseFrame<'_>>, initiator: Initiator, out: &mut BytesMut) {
        let mut body = Control::new(&[]);
        if let Some(frame) = frame {
            body.extend(&frame.code.get().to_be_bytes());
            body.extend(frame.reason.as_bytes());
        }
        self.write(Opcode::Close, true, body.as_slice(), out);
        self.timers.closing_began();
        self.stage.close_sent(CloseStatus::of(frame), initiator);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    /// What a driver reports ends the connection for its fast paths, too.
    #[test]
    fn nothing_is_sent_or_received_after_output_was_lost() {
        for error in [Error::StallTimeout, Error::Unwritten] {
            let (mut connection, mut out) = (Connection::client(&Config::default(), [7; 32]), BytesMut::new());
            let end = if error == Error::StallTimeout { connection.stalled() } else { connection.abandon(1) };
            assert_eq!(end, Err(error));
            assert_eq!(connection.send_text("x", &mut out), Err(SendError::Closed));
            assert_eq!(connection.receive(&mut &mut { *b"\x81\x01a" }[..], &mut out), Ok(None));
            assert_eq!((connection.state(), connection.transport()), (State::Closed, Transport::Abort));
        }
    }
}
