//! Whether a request has its one answer, shared by the request and the handshake that handed it out.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU8, Ordering};

use crate::handshake::error::ResponseError;

/// The state of the answer. A clone refers to the same answer.
#[derive(Clone, Debug)]
pub(super) struct Answer(Arc<AtomicU8>);

const PENDING: u8 = 0;
/// Given: an accepted request stays here, and a refused one until its answer is written.
const GIVEN: u8 = 1;
const REFUSED: u8 = 2;

impl Answer {
    pub(super) fn pending() -> Self {
        Self(Arc::new(AtomicU8::new(PENDING)))
    }

    /// Gives the one answer.
    pub(super) fn give(&self) -> Result<(), ResponseError> {
        let given = self.0.compare_exchange(PENDING, GIVEN, Ordering::Relaxed, Ordering::Relaxed);
        given.map(drop).map_err(|_| ResponseError::Answered)
    }

    /// Says that the answer was given without a connection, and that it is written.
    pub(super) fn refuse(&self) {
        self.0.store(REFUSED, Ordering::Release);
    }

    pub(super) fn is_given(&self) -> bool {
        self.0.load(Ordering::Relaxed) != PENDING
    }

    pub(super) fn is_refused(&self) -> bool {
        self.0.load(Ordering::Acquire) == REFUSED
    }
}
