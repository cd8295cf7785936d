//! Where a connection stands in its life (RFC 6455 §7), as one value: its state, what to do with the transport, which
//! deadline runs and what is known of the end all follow from it.

use alloc::boxed::Box;
use core::mem;

use super::{State, Transport, timer::Phase};
use crate::close::{CloseInfo, CloseStatus, Initiator};

/// What is read and discarded after the end, so that no reset of the transport overtakes our Close.
const MAX_DISCARDED: u32 = 1 << 20;

/// The stages, in their order. [`Stage::close_sent`] and [`Stage::end`] are the only ways forward, and none leads
/// back (I8).
#[derive(Debug)]
pub(super) enum Stage {
    /// Data flows in both directions.
    Open,
    /// Our Close is sent (§7.1.3), and nothing but Pongs may follow it.
    Closing(Box<CloseInfo>),
    /// Nothing is received or sent any more.
    Closed {
        info: Box<CloseInfo>,
        transport: Transport,
        /// Bytes of input that were discarded.
        discarded: u32,
    },
}

impl Stage {
    /// §7.1.3: sending a Close starts the closing handshake; only an open connection may send one.
    pub(super) fn close_sent(&mut self, status: CloseStatus, initiator: Initiator) {
        debug_assert!(self.is_open(), "a second Close is sent");
        let info = CloseInfo { sent: Some(status), initiator: Some(initiator), ..CloseInfo::default() };
        *self = Self::Closing(Box::new(info));
    }

    /// Nothing more is received or sent. The transport is closed at least as firmly as `transport` says; what an
    /// earlier end demanded of it stays.
    pub(super) fn end(&mut self, transport: Transport) -> &mut CloseInfo {
        *self = match mem::replace(self, Self::Open) {
            Self::Open => Self::Closed { info: Box::default(), transport, discarded: 0 },
            Self::Closing(info) => Self::Closed { info, transport, discarded: 0 },
            Self::Closed { info, transport: earlier, discarded } => {
                Self::Closed { info, transport: earlier.max(transport), discarded }
            }
        };
        self.info_mut().expect("the connection is closed")
    }

    /// Input after the end: reading goes on for nothing but the end of the input, and not for ever.
    pub(super) fn discard(&mut self, len: usize) {
        if let Self::Closed { transport, discarded, .. } = self {
            *discarded = discarded.saturating_add(u32::try_from(len).unwrap_or(u32::MAX));
            if *discarded > MAX_DISCARDED {
                *transport = Transport::Close.max(*transport);
            }
        }
    }

    #[inline]
    pub(super) fn is_open(&self) -> bool {
        matches!(self, Self::Open)
    }

    pub(super) fn state(&self) -> State {
        match self {
            Self::Open => State::Open,
            Self::Closing(_) => State::Closing,
            Self::Closed { .. } => State::Closed,
        }
    }

    #[inline]
    pub(super) fn transport(&self) -> Transport {
        match *self {
            Self::Open | Self::Closing(_) => Transport::KeepOpen,
            Self::Closed { transport, .. } => transport,
        }
    }

    /// Which deadlines run: until the caller drops the connection, no end of the transport is waited for without one.
    #[inline]
    pub(super) fn phase(&self) -> Phase {
        match self {
            Self::Open => Phase::Open,
            Self::Closed { transport: Transport::Abort, .. } => Phase::Over,
            Self::Closing(_) | Self::Closed { .. } => Phase::Closing,
        }
    }

    pub(super) fn info(&self) -> Option<&CloseInfo> {
        match self {
            Self::Open => None,
            Self::Closing(info) | Self::Closed { info, .. } => Some(info),
        }
    }

    pub(super) fn info_mut(&mut self) -> Option<&mut CloseInfo> {
        match self {
            Self::Open => None,
            Self::Closing(info) | Self::Closed { info, .. } => Some(info),
        }
    }
}
