//! What the steps of a [`Driver`] name: delivering, reading, writing, and their results.

use alloc::boxed::Box;

use bytes::BytesMut;

use super::{Driver, Machine, Readable, flow::Flow};
use crate::{connection::Transport, inbox::Inbox, outbox::Outbox};

impl<M: Machine> Driver<M> {
    /// Hands out what was read: `handler` gets each event, the machine and the output, and answers by appending to
    /// that. Stops when it returns `Some`, when nothing complete is left, or when too many answers wait.
    ///
    /// The handler may panic: the event that it had counts as handed out.
    #[inline]
    pub fn deliver<T>(
        &mut self,
        mut handler: impl FnMut(M::Event<'_>, &mut M, &mut BytesMut) -> Option<T>,
    ) -> Option<T> {
        let Some(flow) = &mut self.flow else {
            self.is_fresh = false;
            return None;
        };
        flow.settle();
        let before = flow.out.len();
        // After the end there is nothing but input to discard.
        let high_water = if self.machine.transport() == Transport::KeepOpen { flow.high_water() } else { usize::MAX };
        let mut input = flow.inbox.input();
        let mut found = None;
        while flow.out.len() <= high_water {
            match self.machine.receive(&mut input, flow.out.tail()) {
                Ok(Some(event)) => {
                    flow.rest = Some(input.len());
                    found = handler(event, &mut self.machine, flow.out.tail());
                    if found.is_some() {
                        break;
                    }
                }
                Ok(None) => {
                    self.is_fresh = false;
                    // It may leave input only of a payload that is not whole, or until its request is answered.
                    if !input.is_empty() && self.machine.missing() == 0 {
                        self.is_held = true;
                    }
                    break;
                }
                Err(error) => {
                    self.is_fresh = !input.is_empty();
                    self.error.get_or_insert_with(|| Box::new(error));
                    break;
                }
            }
        }
        let rest = input.len();
        flow.rest = None;
        if flow.out.len() > before {
            flow.note_answers(before);
        }
        #[cfg(feature = "tracing")]
        {
            // Payloads were unmasked; headers are as they came.
            let input = flow.inbox.input();
            self.trace.received(&input[..input.len() - rest]);
        }
        flow.inbox.keep(rest);
        found
    }

    /// Where the next bytes are read to; never empty.
    #[inline]
    pub fn room(&mut self) -> &mut [u8] {
        let missing = self.machine.missing();
        let flow = Self::flow(&mut self.flow, self.read_len);
        flow.settle();
        let room = flow.inbox.room(missing);
        flow.room = room.len();
        room
    }

    /// `count` bytes were read into [`room`](Self::room); 0 at the end of the stream.
    ///
    /// # Panics
    ///
    /// There was not that much room.
    #[inline]
    pub fn received(&mut self, count: usize) {
        let flow = Self::flow(&mut self.flow, self.read_len);
        flow.inbox.filled(count);
        if self.can_read == Readable::UntilShort && count < flow.room {
            self.can_read = Readable::No;
        }
        self.note_received(count);
    }

    /// The inbox, for a transport that owns the buffer that it reads into, and what [`Inbox::give`] and [`Inbox::room`]
    /// want as `missing`. [`note_received`](Self::note_received) is next.
    pub fn inbox(&mut self) -> (&mut Inbox, u64) {
        let missing = self.machine.missing();
        let flow = Self::flow(&mut self.flow, self.read_len);
        flow.settle();
        (&mut flow.inbox, missing)
    }

    /// `count` bytes were read, and are in the [`inbox`](Self::inbox) already; 0 at the end of the stream.
    #[inline]
    pub fn note_received(&mut self, count: usize) {
        if count == 0 {
            self.is_eof = true;
        }
        self.is_fresh |= count > 0;
    }

    /// Nothing can be read now.
    #[inline]
    pub fn read_blocked(&mut self) {
        self.can_read = Readable::No;
    }

    /// Reading failed: no byte will come any more, and none will be taken. Whether that failure is why the connection
    /// ends: after its proper end, or another failure, it is not.
    pub fn read_failed(&mut self) -> bool {
        let was_open = self.machine.transport() == Transport::KeepOpen;
        self.is_eof = true;
        self.write_failed();
        if self.is_fresh {
            return was_open;
        }
        self.tell_eof().is_err() && was_open
    }

    /// What is to be written: the front of it by [`Buf::chunk`](bytes::Buf::chunk), or several parts at once by
    /// `chunks_vectored`. Take nothing out of it: [`written`](Self::written) does.
    #[inline]
    pub fn output(&mut self) -> &mut Outbox {
        &mut Self::flow(&mut self.flow, self.read_len).out
    }

    /// The transport accepted the first `count` bytes of [`output`](Self::output); 0 means that it accepts nothing now,
    /// like [`write_blocked`](Self::write_blocked). Ignored when the output was given up meanwhile, as after a stall: a
    /// write that the operating system still owned may complete late.
    ///
    /// # Panics
    ///
    /// There was not that much output.
    #[inline]
    pub fn written(&mut self, count: usize) {
        if count == 0 || self.is_mute {
            return self.write_blocked();
        }
        let flow = Self::flow(&mut self.flow, self.read_len);
        self.trace.sent(&flow.out, count);
        self.is_unflushed = !self.is_unbuffered;
        if let Some(progress) = flow.advance(count) {
            self.machine.progress(progress);
        }
    }

    /// Nothing can be written, flushed or shut down now.
    #[inline]
    pub fn write_blocked(&mut self) {
        self.can_write = false;
    }

    /// Nothing can be written any more. What the peer sent before can still be read.
    pub fn write_failed(&mut self) {
        self.is_mute = true;
        self.is_unflushed = false;
        self.is_shut = true;
        self.drop_output();
        self.skip_end_of_peer();
    }

    /// Where writing failed the peer does not learn that it may end its half: that is not waited for.
    pub(super) fn skip_end_of_peer(&mut self) {
        self.is_eof |= self.machine.transport() == Transport::ShutdownWrite;
    }

    /// All that was written is on its way.
    #[inline]
    pub fn flushed(&mut self) {
        self.is_unflushed = false;
        if let Some(flow) = &mut self.flow {
            flow.waits_since = None;
        }
    }

    /// The outgoing half is at its end.
    pub fn shut_down(&mut self) {
        self.is_shut = true;
    }

    /// The buffers, allocated if there are none.
    #[inline]
    pub(super) fn flow(flow: &mut Option<Box<Flow>>, read_len: u32) -> &mut Flow {
        flow.get_or_insert_with(|| {
            let mut flow = Box::<Flow>::default();
            flow.inbox.set_read_len(read_len);
            flow
        })
    }
}
