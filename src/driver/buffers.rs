//! [`Buffers`]: memory that connections share while none of them has anything in it.

use alloc::boxed::Box;
use core::mem;

use super::{Driver, Machine, flow::Flow};

/// What drivers read into and write from, for all connections of a thread or of a loop: [`Driver::attach`] lends it to
/// the driver whose turn it is, and [`Driver::detach`] takes it back. Only a connection with unfinished input, or with
/// output that its peer is slow to take, keeps buffers of its own.
#[derive(Debug, Default)]
pub struct Buffers {
    flow: Option<Box<Flow>>,
    /// For when a driver keeps the first one. Its read buffer is the shorter one.
    spare: Option<Box<Flow>>,
}

impl Buffers {
    /// No memory yet. The first driver allocates it.
    #[must_use]
    pub const fn new() -> Self {
        Self { flow: None, spare: None }
    }

    fn put_back(&mut self, flow: Option<Box<Flow>>) {
        let len = |flow: &Option<Box<Flow>>| flow.as_ref().map_or(0, |flow| flow.inbox.capacity());
        let shorter = if len(&flow) >= len(&self.flow) { mem::replace(&mut self.flow, flow) } else { flow };
        if shorter.is_some() {
            self.spare = shorter;
        }
    }
}

impl<M: Machine> Driver<M> {
    /// Whether it has buffers: its own, or those of others.
    #[must_use]
    #[inline]
    pub fn has_buffers(&self) -> bool {
        self.flow.is_some()
    }

    /// Takes the buffers of `shared`, if the driver has none of its own. Call it before a turn, and
    /// [`detach`](Self::detach) after it.
    #[inline]
    pub fn attach(&mut self, shared: &mut Buffers) {
        if let Some(own) = &mut self.flow {
            if let Some(lent) = &mut shared.flow {
                own.inbox.borrow_buffer(lent.inbox.buffer());
            }
        } else if let Some(lent) = shared.flow.take().or_else(|| shared.spare.take()) {
            self.flow.insert(lent).inbox.set_read_len(self.read_len);
        }
    }

    /// Gives the buffers to the next connection, but for those with something in them.
    #[inline]
    pub fn detach(&mut self, shared: &mut Buffers) {
        let Some(flow) = &mut self.flow else { return };
        if flow.is_idle() {
            shared.put_back(self.flow.take().map(Flow::recycle));
        } else {
            let spare = &mut shared.spare;
            let next = shared.flow.get_or_insert_with(|| spare.take().unwrap_or_default());
            flow.inbox.return_buffer(next.inbox.buffer());
        }
    }
}
