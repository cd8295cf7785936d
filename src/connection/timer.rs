//! The deadlines of a connection: keepalive, idle, close.

use core::{num::NonZeroU32, time::Duration};

use crate::{config::Config, error::Error, time::Timestamp};

/// What happened since the last [`Timers::handle`], which will date it. Flags, because the hot path sets them.
mod news {
    /// A byte came from the peer.
    pub(super) const HEARD: u8 = 1;
    /// A data frame was received or sent.
    pub(super) const ACTIVE: u8 = 2;
    /// The answer to the latest keepalive Ping came.
    pub(super) const PONG: u8 = 4;
    /// The connection opened, or the closing handshake began.
    pub(super) const BEGAN: u8 = 8;
    /// The transport took the last byte of the latest keepalive Ping.
    pub(super) const PINGED: u8 = 16;
}

/// What bears on whether the peer is alive.
const ALIVE: u8 = news::HEARD | news::PONG | news::BEGAN | news::PINGED;

/// What a deadline demands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Send a keepalive Ping with this payload.
    Ping([u8; 4]),
    /// Fail the connection.
    Fail(Error),
    /// The end did not come in time.
    Abort,
}

/// Which deadlines run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Keepalive and idle.
    Open,
    /// Close.
    Closing,
    /// None: nothing is waited for any more.
    Over,
}

/// The deadlines of one connection. They know no clock (R91, I12): what happens is noted, and dated at the next
/// [`Timers::handle`].
#[derive(Debug)]
pub(super) struct Timers {
    news: u8,
    /// A Ping is out, and not a byte came since.
    pinged: bool,
    /// The answer to the latest keepalive Ping has not come yet.
    awaited: bool,
    /// The number of the latest keepalive Ping: its payload.
    ping: u32,
    // The configured times in milliseconds; 0 is off.
    interval: u32,
    timeout: u32,
    idle: u32,
    close: u32,
    stall: u32,
    /// When the last byte came.
    heard_at: Timestamp,
    /// When the last data frame came or went.
    active_at: Timestamp,
    /// When the latest Ping was written, or the closing handshake began.
    began_at: Timestamp,
    /// In microseconds.
    latency: Option<NonZeroU32>,
}

impl Timers {
    pub(super) fn new(config: &Config) -> Self {
        let millis = |time: Duration| u32::try_from(time.as_millis()).unwrap_or(u32::MAX).max(1);
        Self {
            news: news::BEGAN,
            pinged: false,
            awaited: false,
            ping: 0,
            interval: config.keepalive.map_or(0, |keepalive| millis(keepalive.interval)),
            timeout: config.keepalive.map_or(0, |keepalive| millis(keepalive.timeout)),
            idle: config.idle_timeout.map_or(0, millis),
            close: config.close_timeout.map_or(0, millis),
            stall: config.stall_timeout.map_or(0, millis),
            heard_at: Timestamp::ZERO,
            active_at: Timestamp::ZERO,
            began_at: Timestamp::ZERO,
            latency: None,
        }
    }

    /// A byte came.
    #[inline]
    pub(super) fn heard(&mut self) {
        self.news |= news::HEARD;
    }

    /// A part of a data frame came, or one was sent.
    #[inline]
    pub(super) fn active(&mut self) {
        self.news |= news::ACTIVE;
    }

    /// The transport accepted the last byte of a keepalive Ping, which is no sign of life.
    pub(super) fn ping_written(&mut self) {
        self.news |= news::PINGED;
    }

    /// A Pong came: whether it answers the latest keepalive Ping decides its payload. Only the first one does.
    pub(super) fn pong_received(&mut self, payload: &[u8]) {
        if self.awaited && *payload == self.ping.to_be_bytes() {
            self.awaited = false;
            self.news |= news::PONG;
        }
    }

    /// The connection is no longer open: from the next date on `close_timeout` runs, for all of the closing handshake
    /// and for the peer's end.
    pub(super) fn closing_began(&mut self) {
        self.awaited = false;
        self.news = news::BEGAN;
    }

    /// When [`Timers::handle`] has to be called next.
    pub(super) fn poll(&self, phase: Phase) -> Option<Timestamp> {
        let dated = match phase {
            Phase::Open if self.interval > 0 && self.idle > 0 => ALIVE | news::ACTIVE,
            Phase::Open if self.interval > 0 => ALIVE,
            Phase::Open if self.idle > 0 => news::ACTIVE | news::BEGAN,
            Phase::Closing if self.close > 0 => news::BEGAN,
            _ => 0,
        };
        if self.news & dated != 0 { Some(Timestamp::ZERO) } else { self.deadline(phase) }
    }

    /// Dates the news at `now`; then what is due, if anything is.
    pub(super) fn handle(&mut self, phase: Phase, now: Timestamp) -> Option<Due> {
        self.date(now);
        if self.deadline(phase)? > now {
            return None;
        }
        match phase {
            Phase::Over => None,
            Phase::Closing => Some(Due::Abort),
            Phase::Open if self.idle_deadline().is_some_and(|at| at <= now) => Some(Due::Fail(Error::IdleTimeout)),
            Phase::Open if self.pinged => Some(Due::Fail(Error::KeepaliveTimeout)),
            Phase::Open => {
                self.pinged = true;
                self.awaited = true;
                self.began_at = now;
                self.ping = self.ping.wrapping_add(1).max(1);
                Some(Due::Ping(self.ping.to_be_bytes()))
            }
        }
    }

    /// How long the latest answered keepalive Ping took.
    pub(super) fn latency(&self) -> Option<Duration> {
        self.latency.map(|micros| Duration::from_micros(micros.get().into()))
    }

    /// How long a driver waits for a transport that takes nothing; `None` for ever.
    pub(super) fn stall_timeout(&self) -> Option<Duration> {
        (self.stall > 0).then(|| Duration::from_millis(self.stall.into()))
    }

    fn date(&mut self, now: Timestamp) {
        let news = core::mem::take(&mut self.news);
        if news & news::PINGED != 0 && self.pinged {
            self.began_at = now;
        }
        if news & news::PONG != 0 {
            let micros = (now - self.began_at).as_micros();
            self.latency = NonZeroU32::new(u32::try_from(micros).unwrap_or(u32::MAX).max(1));
        }
        if news & (news::HEARD | news::BEGAN) != 0 {
            self.heard_at = now;
            self.pinged = false;
        }
        if news & (news::ACTIVE | news::BEGAN) != 0 {
            self.active_at = now;
        }
        if news & news::BEGAN != 0 {
            self.began_at = now;
        }
    }

    fn deadline(&self, phase: Phase) -> Option<Timestamp> {
        match phase {
            Phase::Over => None,
            Phase::Closing => after(self.began_at, self.close),
            Phase::Open => {
                let alive =
                    if self.pinged { after(self.began_at, self.timeout) } else { after(self.heard_at, self.interval) };
                match (alive, self.idle_deadline()) {
                    (Some(alive), Some(idle)) => Some(alive.min(idle)),
                    (alive, idle) => alive.or(idle),
                }
            }
        }
    }

    fn idle_deadline(&self) -> Option<Timestamp> {
        after(self.active_at, self.idle)
    }
}

fn after(start: Timestamp, millis: u32) -> Option<Timestamp> {
    (millis > 0).then(|| start.after_millis(millis))
}
