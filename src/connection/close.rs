//! The end of a connection, whoever brings it about (RFC 6455 §7): the closing handshake, and failure.

use bytes::BytesMut;

use super::{Connection, Control, State, Transport};
use crate::{
    close::{CloseCode, CloseFrame, CloseStatus, Initiator, MAX_REASON_LEN},
    error::{Error, SendError},
    frame::Opcode,
    message::Assembly,
};

/// What is read and discarded after the end, so that no reset of the transport overtakes our Close.
const MAX_DISCARD: u32 = 1 << 20;

impl Connection {
    /// Starts the closing handshake (§7.1.2), with a code and a reason or with neither. Nothing can be sent after it;
    /// events keep coming until the peer's Close does.
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`] when a Close was sent or received before, [`SendError::ReasonTooLong`] for a reason over 123
    /// bytes.
    #[allow(clippy::needless_pass_by_value, reason = "a Close is made for this call")]
    pub fn close(&mut self, frame: Option<CloseFrame<'_>>, out: &mut BytesMut) -> Result<(), SendError> {
        if self.state != State::Open {
            return Err(SendError::Closed);
        }
        if frame.as_ref().is_some_and(|frame| frame.reason.len() > MAX_REASON_LEN) {
            return Err(SendError::ReasonTooLong(frame.map_or(0, |frame| frame.reason.len())));
        }
        self.write_owed_pong(out);
        self.write_close(frame.as_ref(), Initiator::Local, out);
        self.state = State::Closing;
        self.timers.closing();
        self.settle();
        Ok(())
    }

    /// Fails the connection (§7.1.7): a Close with this code and reason, then nothing more. For what only the
    /// application can judge, such as [`CloseCode::POLICY_VIOLATION`]; no answer of the peer is waited for.
    ///
    /// The reason is cut to 123 bytes, between characters. Without effect on a connection that is closed already; when a
    /// Close was sent before, no second one is.
    pub fn fail(&mut self, code: CloseCode, reason: &str, out: &mut BytesMut) {
        if self.state == State::Closed {
            return;
        }
        if self.state == State::Open {
            self.write_owed_pong(out);
            let mut end = reason.len().min(MAX_REASON_LEN);
            while !reason.is_char_boundary(end) {
                end -= 1;
            }
            let reason = &reason[..end];
            self.write_close(Some(&CloseFrame::new(code, reason)), Initiator::Local, out);
        }
        self.fail_with(Error::Failed(code), out);
    }

    /// The peer closes (§5.5.1): its Close is answered, if it is not an answer itself, and that is the end.
    pub(super) fn receive_close(&mut self, frame: Option<&CloseFrame<'_>>, out: &mut BytesMut) {
        if self.state == State::Open {
            // "it typically echos the status code it received"
            let echo = frame.map(|frame| CloseFrame::new(frame.code, ""));
            self.write_close(echo.as_ref(), Initiator::Peer, out);
        }
        let incomplete_message = !self.assembly.is_idle();
        let info = self.close.get_or_insert_default();
        info.received = Some(CloseStatus::of(frame));
        info.incomplete_message = incomplete_message;
        info.clean = true;
        // §7.1.1: the server closes the connection first, so that it is the client that waits.
        self.end(if self.server { Transport::ShutdownWrite } else { Transport::KeepOpen });
    }

    /// The one place where a connection fails (§7.1.7): a Close that tells the peer, unless one was sent, and the end.
    #[cold]
    pub(super) fn fail_with(&mut self, error: Error, out: &mut BytesMut) -> Error {
        let info_sent = self.close.as_ref().is_some_and(|info| info.sent.is_some());
        if let Some(code) = error.close_code().filter(|_| !info_sent) {
            self.write_close(Some(&CloseFrame::new(code, error.reason())), Initiator::Local, out);
        }
        self.close.get_or_insert_default().cause = Some(error);
        self.end(match error {
            Error::KeepaliveTimeout | Error::IdleTimeout | Error::CloseTimeout | Error::StallTimeout => {
                Transport::Abort
            }
            Error::ConnectionLost => Transport::Close,
            _ => Transport::ShutdownWrite,
        });
        error
    }

    /// Whether our Close is in `out`, or the connection has failed: no data follows.
    #[inline]
    pub(crate) fn is_closing(&self) -> bool {
        self.state != State::Open
    }

    /// The transport accepts nothing any more. After a Close of both sides, too: ours may be among what waits.
    #[cold]
    pub(crate) fn stalled(&mut self) -> Result<(), Error> {
        self.end_unclean(Error::StallTimeout)
    }

    /// `bytes` of output were never written. That is a failure unless all that was lost is our answer to the peer's Close.
    #[cold]
    pub(crate) fn abandon(&mut self, bytes: u64) -> Result<(), Error> {
        let mask_len = if self.server { 0 } else { 4 };
        let info = self.close.get_or_insert_default();
        info.unwritten = info.unwritten.saturating_add(bytes);
        let answer = info.sent.as_ref().filter(|_| info.initiator == Some(Initiator::Peer));
        let body_len = |close: &CloseStatus| if close.code == 1005 { 0 } else { 2 + close.reason.len() as u64 };
        if answer.is_some_and(|close| bytes <= 2 + mask_len + body_len(close)) {
            return Ok(());
        }
        self.end_unclean(Error::Unwritten)
    }

    /// Ends a connection that may be closed already. The first cause stays.
    fn end_unclean(&mut self, error: Error) -> Result<(), Error> {
        let cause = self.close.as_ref().and_then(|info| info.cause).unwrap_or(error);
        self.fail_with(cause, &mut BytesMut::new());
        self.close.get_or_insert_default().clean = false;
        self.transport = Transport::Abort;
        self.timers.over();
        Err(error)
    }

    /// Both directions are done; nothing is kept that only an open connection needs.
    fn end(&mut self, transport: Transport) {
        self.state = State::Closed;
        self.transport = transport;
        match transport {
            // Until the caller drops the connection: no end of the transport is waited for without a deadline.
            Transport::KeepOpen | Transport::ShutdownWrite | Transport::Close => self.timers.closing(),
            Transport::Abort => self.timers.over(),
        }
        self.assembly = Assembly::default();
        self.control = None;
        self.owed_pong = None;
        if let Some(codec) = &mut self.codec {
            codec.end();
        }
        self.settle();
    }

    fn write_close(&mut self, frame: Option<&CloseFrame<'_>>, initiator: Initiator, out: &mut BytesMut) {
        let mut body = Control::new(&[]);
        if let Some(frame) = frame {
            body.extend(&frame.code.get().to_be_bytes());
            body.extend(frame.reason.as_bytes());
        }
        self.write(Opcode::Close, true, body.as_slice(), out);
        let info = self.close.get_or_insert_default();
        info.sent = Some(CloseStatus::of(frame));
        info.initiator = Some(initiator);
    }

    /// Reading goes on after the end, for nothing but its end.
    pub(super) fn discard(&mut self, input: &mut &mut [u8]) {
        let input = core::mem::take(input);
        self.discarded = self.discarded.saturating_add(u32::try_from(input.len()).unwrap_or(u32::MAX));
        if self.discarded > MAX_DISCARD && self.transport != Transport::Abort {
            self.transport = Transport::Close;
        }
    }
}
