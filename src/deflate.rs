//! permessage-deflate (RFC 7692): what both sides agree on, as data. The codec itself is in `deflate/codec.rs`.
//!
//! Off unless [`Config::deflate`](crate::Config::deflate) is set. Compression lets an attacker who can place text
//! beside a secret guess the secret from the length of the result, and every compressed byte of a peer may cost as much
//! work as a thousand plain ones; whoever switches it on should know that neither matters to them.

pub(crate) mod codec;

use alloc::borrow::Cow;
use core::fmt;

use self::codec::Deflater;
use crate::{
    error::OutOfRange,
    frame::{Header, RSV1},
    message::PreparedMessage,
};

/// The name of the extension (§7).
pub const NAME: &str = "permessage-deflate";

/// What this side offers or accepts, and how it compresses. The default asks nothing of the peer.
///
/// ```
/// use sansock::{Config, deflate::Deflate};
///
/// let config = Config::default().deflate(Deflate::default());
/// let frugal = Config::default().deflate(Deflate::low_memory());
/// let custom = Config::default().deflate(Deflate::default().level(6)?.min_len(256));
/// # Ok::<(), sansock::error::OutOfRange>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deflate {
    pub(crate) level: u8,
    pub(crate) mem_level: u8,
    window_bits: u8,
    peer_window_bits: u8,
    context_takeover: bool,
    peer_context_takeover: bool,
    pub(crate) min_len: usize,
    pub(crate) max_ratio: Option<u32>,
}

impl Default for Deflate {
    /// Level 3, windows of 32 KiB, memory level 8, context takeover both ways, messages from 64 bytes on, no bound on
    /// the ratio.
    ///
    /// Level 3, because JSON of 256 bytes to 64 KiB takes it 0.34 to 0.72 of the time of level 6, for a tenth more
    /// bytes; level 1 takes a tenth of its time, for a quarter to a half more. A connection holds 48 bytes for it until
    /// something is compressed, then 380 KiB for its own window, and 55 KiB for its peer's.
    fn default() -> Self {
        Self {
            level: 3,
            mem_level: 8,
            window_bits: 15,
            peer_window_bits: 15,
            context_takeover: true,
            peer_context_takeover: true,
            min_len: 64,
            max_ratio: None,
        }
    }
}

impl Deflate {
    /// Little memory: no context takeover in either direction, so that nothing is kept between messages, and a window
    /// of 4 KiB with memory level 5 while one is compressed, which takes 170 KiB for so long; or 55 KiB to inflate one.
    #[must_use]
    pub fn low_memory() -> Self {
        Self { mem_level: 5, window_bits: 12, context_takeover: false, peer_context_takeover: false, ..Self::default() }
    }

    /// Sets how hard to compress: 1, fastest, to 9, smallest.
    ///
    /// # Errors
    ///
    /// [`OutOfRange`] outside that range.
    pub fn level(mut self, level: u8) -> Result<Self, OutOfRange> {
        self.level = within(level, 1, 9)?;
        Ok(self)
    }

    /// Sets how much memory compressing takes beside the window: 1, least, to 9, most, which is also fastest.
    ///
    /// # Errors
    ///
    /// [`OutOfRange`] outside that range.
    pub fn mem_level(mut self, mem_level: u8) -> Result<Self, OutOfRange> {
        self.mem_level = within(mem_level, 1, 9)?;
        Ok(self)
    }

    /// Sets the window that this side compresses with, as its base-2 logarithm: 9, 512 bytes, to 15, 32 KiB. The peer
    /// may demand a smaller one. 8 cannot be had: no compressor keeps it.
    ///
    /// # Errors
    ///
    /// [`OutOfRange`] outside that range.
    pub fn window_bits(mut self, bits: u8) -> Result<Self, OutOfRange> {
        self.window_bits = within(bits, 9, 15)?;
        Ok(self)
    }

    /// Sets the window that the peer may compress with at most: 8 to 15. A peer that cannot agree is not compressed
    /// with by a client; a server asks only clients that offered it. It saves memory for the peer, none for this side.
    ///
    /// # Errors
    ///
    /// [`OutOfRange`] outside that range.
    pub fn peer_window_bits(mut self, bits: u8) -> Result<Self, OutOfRange> {
        self.peer_window_bits = within(bits, 8, 15)?;
        Ok(self)
    }

    /// Sets whether this side's compressor keeps its window from message to message: smaller messages for 140 KiB, with
    /// the smallest window and memory level, to 490 KiB of memory a connection.
    #[must_use]
    pub fn context_takeover(mut self, on: bool) -> Self {
        self.context_takeover = on;
        self
    }

    /// Sets whether the peer's compressor may keep its window, for which this side holds 55 KiB. Off: the peer is
    /// told not to.
    #[must_use]
    pub fn peer_context_takeover(mut self, on: bool) -> Self {
        self.peer_context_takeover = on;
        self
    }

    /// Sets from how many bytes on [`Compress::Auto`] compresses a message. Shorter ones rarely shrink.
    #[must_use]
    pub fn min_len(mut self, bytes: usize) -> Self {
        self.min_len = bytes;
        self
    }

    /// Bounds how many times its compressed size a message may have; 1009 beyond. Real text stays under 20, and DEFLATE
    /// ends at 1032. `None`, the default, leaves it to the message limit.
    #[must_use]
    pub fn max_ratio(mut self, ratio: impl Into<Option<u32>>) -> Self {
        self.max_ratio = ratio.into();
        self
    }

    /// What a client offers (§7.1).
    #[must_use]
    pub fn offer(&self) -> Params {
        Params {
            server_no_context_takeover: !self.peer_context_takeover,
            client_no_context_takeover: !self.context_takeover,
            server_max_window_bits: (self.peer_window_bits < 15).then_some(self.peer_window_bits),
            // Always there, so that the server may limit a client that could obey (§7.1.2.2).
            client_max_window_bits: Some((self.window_bits < 15).then_some(self.window_bits)),
        }
    }

    /// A server's answer to one offer, and what is agreed with it; a declined offer is passed over for the next one
    /// (§5.1).
    ///
    /// # Errors
    ///
    /// [`Declined::Window`], for a window that this side cannot compress with.
    pub fn answer(&self, offer: &Params) -> Result<(Params, Agreement), Declined> {
        // R101, RFC 7692 §7.1.2.1: "A server accepts an extension negotiation offer with this parameter by including
        // the 'server_max_window_bits' extension parameter … with the same or smaller value as the offer."
        let sending = offer.server_max_window_bits.map_or(self.window_bits, |bits| bits.min(self.window_bits));
        if sending < 9 {
            return Err(Declined::Window);
        }
        // R100, RFC 7692 §7.1.2.2: "If a received extension negotiation offer doesn't have the 'client_max_window_bits'
        // extension parameter, the corresponding extension negotiation response to the offer MUST NOT include the
        // 'client_max_window_bits' extension parameter."
        let receiving = offer.client_max_window_bits.map_or(15, |bits| bits.unwrap_or(15).min(self.peer_window_bits));
        let answer = Params {
            // R102, RFC 7692 §7.1.1.1: "A server accepts an extension negotiation offer that includes the
            // 'server_no_context_takeover' extension parameter by including the 'server_no_context_takeover' extension
            // parameter in the corresponding extension negotiation response"
            server_no_context_takeover: offer.server_no_context_takeover || !self.context_takeover,
            // R103, RFC 7692 §7.1.1.2: "A server MAY include the 'client_no_context_takeover' extension parameter in an
            // extension negotiation response."
            client_no_context_takeover: offer.client_no_context_takeover || !self.peer_context_takeover,
            server_max_window_bits: (offer.server_max_window_bits.is_some() || sending < 15).then_some(sending),
            client_max_window_bits: (receiving < 15).then_some(Some(receiving)),
        };
        let agreement = Agreement {
            sending: Terms { window_bits: sending, context_takeover: !answer.server_no_context_takeover },
            receiving: Terms { window_bits: receiving, context_takeover: !answer.client_no_context_takeover },
        };
        Ok((answer, agreement))
    }

    /// What a client agreed to with the answer that the server gave to [`Deflate::offer`].
    ///
    /// # Errors
    ///
    /// [`Declined::Answer`], when the answer grants less than what was asked: the connection must fail (§5.1, §7.1).
    pub fn confirm(&self, answer: &Params) -> Result<Agreement, Declined> {
        let offer = self.offer();
        // R101 and R102, as the client that asked sees them.
        let window = match (offer.server_max_window_bits, answer.server_max_window_bits) {
            (Some(_), None) => return Err(Declined::Answer),
            (Some(asked), Some(given)) if given > asked => return Err(Declined::Answer),
            (_, given) => given.unwrap_or(15),
        };
        if offer.server_no_context_takeover && !answer.server_no_context_takeover {
            return Err(Declined::Answer);
        }
        let own = answer.client_max_window_bits.flatten().unwrap_or(15).min(self.window_bits);
        Ok(Agreement {
            sending: Terms {
                window_bits: own,
                context_takeover: self.context_takeover && !answer.client_no_context_takeover,
            },
            receiving: Terms { window_bits: window, context_takeover: !answer.server_no_context_takeover },
        })
    }
}

impl PreparedMessage {
    /// The same message, also compressed, once. Connections that agreed on permessage-deflate without context takeover
    /// send that; the others cannot use it and send the message as it is. So do all when it is no shorter compressed.
    #[must_use]
    pub fn with_deflate(self, settings: &Deflate) -> Self {
        let Some((header, payload)) = self.parts() else { return self };
        let mut deflater = Deflater::new(settings.window_bits, settings);
        let compressed = deflater.deflate(payload, true);
        if compressed.len() >= payload.len() {
            return self;
        }
        let header = Header { rsv: RSV1, len: compressed.len() as u64, ..header };
        self.with_compressed(settings.window_bits, &header, compressed)
    }
}

fn within(value: u8, least: u8, most: u8) -> Result<u8, OutOfRange> {
    if (least..=most).contains(&value) { Ok(value) } else { Err(OutOfRange) }
}

/// The parameters of one offer or answer (§7.1). Displayed, it is an element of `Sec-WebSocket-Extensions`.
///
/// ```
/// use sansock::deflate::Deflate;
///
/// assert_eq!(Deflate::default().offer().to_string(), "permessage-deflate; client_max_window_bits");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Params {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: Option<u8>,
    #[allow(clippy::option_option, reason = "absent, without a value, with one: §7.1.2.2 tells them apart")]
    client_max_window_bits: Option<Option<u8>>,
}

impl Params {
    /// Reads the parameters of an offer: names, and values where they have one, unquoted.
    ///
    /// # Errors
    ///
    /// [`Declined`], for parameters that are unknown, repeated or have a value that they must not have (§7.1).
    pub fn of_offer<'a>(params: impl IntoIterator<Item = (&'a str, Option<Cow<'a, str>>)>) -> Result<Self, Declined> {
        // R98, RFC 7692 §7: "A server MUST decline an extension negotiation offer for this extension if any of the
        // following conditions are met"
        let mut read = Self::default();
        for (name, value) in params {
            let repeated = match name {
                "server_no_context_takeover" => flag(&mut read.server_no_context_takeover, value.as_deref())?,
                "client_no_context_takeover" => flag(&mut read.client_no_context_takeover, value.as_deref())?,
                "server_max_window_bits" => {
                    let bits = window_bits(&value.ok_or(Declined::Value)?)?;
                    read.server_max_window_bits.replace(bits).is_some()
                }
                "client_max_window_bits" => {
                    let bits = value.map(|value| window_bits(&value)).transpose()?;
                    read.client_max_window_bits.replace(bits).is_some()
                }
                _ => return Err(Declined::Unknown),
            };
            if repeated {
                return Err(Declined::Repeated);
            }
        }
        Ok(read)
    }

    /// Reads the parameters of an answer, where `client_max_window_bits` must have a value (§7.1.2.2).
    ///
    /// # Errors
    ///
    /// [`Declined`], as for an offer.
    pub fn of_answer<'a>(params: impl IntoIterator<Item = (&'a str, Option<Cow<'a, str>>)>) -> Result<Self, Declined> {
        // R99, RFC 7692 §7: "A client MUST _Fail the WebSocket Connection_ if the peer server accepted an extension
        // negotiation offer for this extension with an extension negotiation response meeting any of the following
        // conditions"
        let read = Self::of_offer(params)?;
        if read.client_max_window_bits == Some(None) { Err(Declined::Value) } else { Ok(read) }
    }
}

/// Sets a parameter without a value; whether it was set before.
fn flag(set: &mut bool, value: Option<&str>) -> Result<bool, Declined> {
    if value.is_some() { Err(Declined::Value) } else { Ok(core::mem::replace(set, true)) }
}

/// The value of a parameter that limits a window.
// R97, RFC 7692 §7.1.2: "a decimal integer value without leading zeroes between 8 to 15"
fn window_bits(value: &str) -> Result<u8, Declined> {
    match *value.as_bytes() {
        [digit @ b'8'..=b'9'] => Ok(digit - b'0'),
        [b'1', digit @ b'0'..=b'5'] => Ok(10 + digit - b'0'),
        _ => Err(Declined::Value),
    }
}

impl fmt::Display for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NAME)?;
        if self.server_no_context_takeover {
            f.write_str("; server_no_context_takeover")?;
        }
        if self.client_no_context_takeover {
            f.write_str("; client_no_context_takeover")?;
        }
        if let Some(bits) = self.server_max_window_bits {
            write!(f, "; server_max_window_bits={bits}")?;
        }
        match self.client_max_window_bits {
            Some(Some(bits)) => write!(f, "; client_max_window_bits={bits}"),
            Some(None) => f.write_str("; client_max_window_bits"),
            None => Ok(()),
        }
    }
}

/// Why an offer was passed over, or an answer is a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Declined {
    /// A parameter that RFC 7692 does not define.
    Unknown,
    /// A parameter twice.
    Repeated,
    /// A value that is no window size, or one where none may be, or none where one must be.
    Value,
    /// A window of 256 bytes, which no compressor keeps.
    Window,
    /// An answer that does not grant what the offer asked.
    Answer,
}

impl fmt::Display for Declined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "unknown permessage-deflate parameter",
            Self::Repeated => "repeated permessage-deflate parameter",
            Self::Value => "invalid value of a permessage-deflate parameter",
            Self::Window => "window too small to compress with",
            Self::Answer => "the answer does not grant what was offered",
        })
    }
}

impl core::error::Error for Declined {}

/// What both sides agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreement {
    sending: Terms,
    receiving: Terms,
}

impl Agreement {
    /// What this side keeps to when it compresses.
    #[must_use]
    pub fn sending(&self) -> Terms {
        self.sending
    }

    /// What the peer keeps to.
    #[must_use]
    pub fn receiving(&self) -> Terms {
        self.receiving
    }
}

/// What one side keeps to when it compresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Terms {
    /// The base-2 logarithm of its window, 8 to 15. With 8 this side does not compress at all.
    pub window_bits: u8,
    /// Whether its window lasts from message to message.
    pub context_takeover: bool,
}

/// Whether to compress a message; see [`Connection::compress`](crate::Connection::compress).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compress {
    /// If it is long enough, and for a message sent in chunks.
    #[default]
    Auto,
    /// Whatever its length.
    Always,
    /// Not at all: for what is compressed already, and for secrets beside what an attacker can choose.
    Never,
}
