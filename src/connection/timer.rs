//! The deadlines of a connection: keepalive, idle, close.

use core::{num::NonZeroU32, time::Duration};

use crate::{config::Config, error::Error, time::Timestamp};

/// What happened since the last [`Timers::handle`], which will date it. Flags, because the hot path sets them.
pub(crate) mod news {
    /// A byte came from the peer.
    pub(crate) const HEARD: u8 = 1;
    /// A data frame was received or sent.
    pub(crate) const ACTIVE: u8 = 2;
    /// The answer to the latest keepalive Ping came.
    pub(crate) const PONG: u8 = 4;
    /// The connection opened, or the closing handshake began.
    pub(crate) const BEGAN: u8 = 8;
    /// The transport took the last byte of the latest keepalive Ping.
    pub(crate) const PINGED: u8 = 16;
}

/// What bears on whether the peer is alive.
const ALIVE: u8 = news::HEARD | news::PONG | news::BEGAN | news::PINGED;

/// What a deadline demands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// Send a keepalive Ping with this payload.
    Ping([u8; 4]),
    /// Fail the connection.
    Fail(Error),
    /// The end did not come in time.
    Abort,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Open,
    Closing,
    Over,
}

/// The deadlines of one connection. They know no clock: what happens is noted, and dated at the next [`Timers::handle`].
#[derive(Debug)]
pub(crate) struct Timers {
    news: u8,
    phase: Phase,
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
    /// In nanoseconds.
    latency: Option<NonZeroU32>,
}

impl Timers {
    pub(crate) fn new(config: &Config) -> Self {
        let millis = |time: Duration| u32::try_from(time.as_millis()).unwrap_or(u32::MAX).max(1);
        Self {
            news: news::BEGAN,
            phase: Phase::Open,
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

    /// Notes what happened; see [`news`].
    #[inline]
    pub(crate) fn note(&mut self, news: u8) {
        self.news |= news;
    }

    /// Notes a Pong: whether it answers the latest keepalive Ping decides its payload. Only the first one does.
    pub(crate) fn note_pong(&mut self, payload: &[u8]) {
        if self.awaited && self.phase == Phase::Open && *payload == self.ping.to_be_bytes() {
            self.awaited = false;
            self.note(news::PONG);
        }
    }

    /// The closing handshake begins: from the next date on `close_timeout` runs, for all of it and for the peer's end.
    pub(crate) fn closing(&mut self) {
        if self.phase == Phase::Open {
            self.phase = Phase::Closing;
            self.news = news::BEGAN;
        }
    }

    /// Nothing is waited for any more.
    pub(crate) fn over(&mut self) {
        self.phase = Phase::Over;
    }

    /// When [`Timers::handle`] has to be called next.
    pub(crate) fn poll(&self) -> Option<Timestamp> {
        let dated = match self.phase {
            Phase::Open if self.interval > 0 && self.idle > 0 => ALIVE | news::ACTIVE,
            Phase::Open if self.interval > 0 => ALIVE,
            Phase::Open if self.idle > 0 => news::ACTIVE | news::BEGAN,
            Phase::Closing if self.close > 0 => news::BEGAN,
            _ => 0,
        };
        if self.news & dated != 0 { Some(Timestamp::ZERO) } else { self.deadline() }
    }

    /// Dates the news at `now`; then what is due, if anything is.
    pub(crate) fn handle(&mut self, now: Timestamp) -> Option<Due> {
        self.date(now);
        if self.deadline()? > now {
            return None;
        }
        match self.phase {
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
    pub(crate) fn latency(&self) -> Option<Duration> {
        self.latency.map(|micros| Duration::from_micros(micros.get().into()))
    }

    /// How long a driver waits for a transport that takes nothing; `None` for ever.
    pub(crate) fn stall_timeout(&self) -> Option<Duration> {
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

    fn deadline(&self) -> Option<Timestamp> {
        match self.phase {
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
    (millis > 0).then(|| start + Duration::from_millis(millis.into()))
}
