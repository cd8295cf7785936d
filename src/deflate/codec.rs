//! Compressing and decompressing messages (RFC 7692 §7.2), each in a stream of its own that is made when it is first
//! needed, and kept only with context takeover.

use alloc::{boxed::Box, vec, vec::Vec};
use core::{fmt, ops::Range};

use zlib_rs::{DeflateConfig, DeflateFlush, InflateFlush, Status};

use super::{Agreement, Compress, Deflate};

/// What a sender takes off the end of a message, and a receiver appends (§7.2.1, §7.2.2).
const TAIL: [u8; 4] = [0x00, 0x00, 0xFF, 0xFF];

/// The tail, an empty stored block, and a byte that must not be touched. Only a stream that stands at a block boundary,
/// on a whole byte, behind the tail takes the next five bytes for a block and stops in front of the last: a truncated
/// stream eats on, or fails.
const PROBE: [u8; 10] = [0x00, 0x00, 0xFF, 0xFF, 0x00, 0x00, 0x00, 0xFF, 0xFF, 0x00];

/// A buffer between a stream and where its output goes: from this size it grows to that. Twice the window, because at
/// its end the stream copies what it may come back to.
const MIN_BUFFER: usize = 8 << 10;
const MAX_BUFFER: usize = 64 << 10;
/// What is kept of it between two messages, unless they are long ones.
const RETAINED: usize = 32 << 10;
/// A truncated stream could make of the probe at most so much before it is refused.
const MAX_PROBED: usize = 4 << 10;

/// Both streams of a connection, and what was agreed about them.
pub(crate) struct Codec {
    agreement: Agreement,
    settings: Deflate,
    inflater: Option<Box<Inflater>>,
    deflater: Option<Box<Deflater>>,
    /// What the application wants of its next message.
    next: Compress,
    /// Whether the message that is being sent is compressed.
    sending: bool,
}

impl Codec {
    pub(crate) fn new(agreement: Agreement, settings: Deflate) -> Self {
        Self { agreement, settings, inflater: None, deflater: None, next: Compress::Auto, sending: false }
    }

    pub(crate) fn agreement(&self) -> &Agreement {
        &self.agreement
    }

    /// Messages shorter than this need no decision: they are sent as they are.
    pub(crate) fn plain_below(&self) -> usize {
        if self.next == Compress::Auto { self.settings.min_len } else { 0 }
    }

    /// What the application wants of its next message.
    pub(crate) fn compress_next(&mut self, next: Compress) {
        self.next = next;
    }

    /// Decides whether to compress the message that begins with `len` bytes, which are all of it or not.
    pub(crate) fn decide(&mut self, len: usize, whole: bool) -> bool {
        self.sending = match core::mem::take(&mut self.next) {
            Compress::Auto => len >= self.settings.min_len || !whole,
            Compress::Always => true,
            Compress::Never => false,
        } && self.can_compress();
        self.sending
    }

    /// The message that begins is not compressed.
    pub(crate) fn send_plain(&mut self) {
        self.next = Compress::Auto;
        self.sending = false;
    }

    /// The window that a message compressed elsewhere may have been compressed with; `None` when it must not be used:
    /// with context takeover it would be missing from this side's window, but not from the peer's.
    pub(crate) fn prepared_window(&mut self) -> Option<u8> {
        let wanted = core::mem::take(&mut self.next) != Compress::Never;
        let terms = self.agreement.sending;
        (wanted && !terms.context_takeover && self.can_compress()).then_some(terms.window_bits)
    }

    fn can_compress(&self) -> bool {
        self.agreement.sending.window_bits > 8
    }

    /// Whether the message that is being sent is compressed.
    pub(crate) fn is_sending(&self) -> bool {
        self.sending
    }

    /// The most that a message of so many compressed bytes may inflate to.
    pub(crate) fn max_inflated(&self, compressed: u64) -> u64 {
        self.settings.max_ratio.map_or(u64::MAX, |ratio| compressed.saturating_mul(ratio.into()))
    }

    /// The stream of the message that is being received.
    pub(crate) fn inflater(&mut self) -> &mut Inflater {
        self.inflater.get_or_insert_with(|| Box::new(Inflater::new()))
    }

    /// The message that was being received is complete.
    pub(crate) fn received(&mut self) {
        match &mut self.inflater {
            Some(inflater) if self.agreement.receiving.context_takeover => inflater.next_message(),
            _ => self.inflater = None,
        }
    }

    /// Compresses a piece of a message; with `last` its end.
    pub(crate) fn deflate(&mut self, piece: &[u8], last: bool) -> &[u8] {
        self.deflater
            .get_or_insert_with(|| Box::new(Deflater::new(self.agreement.sending.window_bits, &self.settings)))
            .deflate(piece, last)
    }

    /// The message that was being compressed is sent.
    pub(crate) fn sent(&mut self) {
        self.sending = false;
        match &mut self.deflater {
            Some(deflater) if self.agreement.sending.context_takeover => {
                deflater.buffer.truncate(RETAINED);
                deflater.buffer.shrink_to_fit();
            }
            _ => self.deflater = None,
        }
    }

    /// Nothing follows, in either direction.
    pub(crate) fn end(&mut self) {
        self.inflater = None;
        self.deflater = None;
    }
}

impl fmt::Debug for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Codec").field("agreement", &self.agreement).finish_non_exhaustive()
    }
}

/// The receiving stream. Always with a window of 32 KiB: a smaller one would save nothing, and a peer that overstates
/// its distances is understood (§7.2.2 binds the sender).
pub(crate) struct Inflater {
    stream: zlib_rs::Inflate,
    buffer: Vec<u8>,
    /// The stream has seen nothing of this message, or nothing since a final block: an empty rest is complete.
    fresh: bool,
    /// The last step filled its room, so that the stream may hold more back.
    full: bool,
    /// What the message has inflated to, so far.
    inflated: u64,
}

/// What came of some compressed bytes.
pub(crate) struct Inflated<'a> {
    /// How many of them the stream took.
    pub(crate) used: usize,
    /// What it made of them.
    pub(crate) output: &'a [u8],
    /// Why it went no further. What it made before is good even then.
    pub(crate) stop: Stop,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The buffer is full: ask again, with the bytes that are left.
    Full,
    /// All bytes are used up.
    Hungry,
    /// The message is complete.
    Done,
    /// No sender makes such bytes.
    Broken,
}

impl Inflater {
    fn new() -> Self {
        Self {
            stream: zlib_rs::Inflate::new(false, 15),
            buffer: vec![0; MIN_BUFFER],
            fresh: true,
            full: false,
            inflated: 0,
        }
    }

    /// What the message has inflated to, so far.
    pub(crate) fn inflated(&self) -> u64 {
        self.inflated
    }

    fn next_message(&mut self) {
        if self.inflated <= RETAINED as u64 {
            self.buffer.truncate(RETAINED);
            self.buffer.shrink_to_fit();
        }
        self.fresh = true;
        self.inflated = 0;
    }

    /// Inflates the next bytes of a message, to at most `max` bytes; `last` says that no more follow.
    pub(crate) fn inflate(&mut self, input: &[u8], last: bool, max: u64) -> Inflated<'_> {
        let max = usize::try_from(max).unwrap_or(usize::MAX);
        let end = self.buffer.len().min(max);
        let (mut used, mut made) = (0, 0);
        let stop = loop {
            if made == end {
                break Stop::Full;
            }
            if used < input.len() || self.full {
                let (took, gave, status) = self.step(&input[used..], made..end, InflateFlush::NoFlush);
                used += took;
                made += gave;
                self.full = made == end;
                self.fresh &= took == 0;
                match status {
                    Some(Status::StreamEnd) => {
                        // A final block ends a stream. What follows in the message is a new one.
                        self.stream.reset(false);
                        self.fresh = true;
                    }
                    Some(_) if took + gave > 0 => {}
                    // Nothing was held back.
                    Some(Status::BufError) if used == input.len() => {}
                    _ => break Stop::Broken,
                }
            } else if !last {
                break Stop::Hungry;
            } else if self.fresh {
                break Stop::Done;
            } else {
                // The verdict must not depend on how full the buffer happens to be.
                let room = MAX_PROBED.min(max - made);
                if end - made < room {
                    break Stop::Full;
                }
                let (gave, stop) = self.probe(made..made + room);
                made += gave;
                break stop;
            }
        };
        if stop == Stop::Full && made == self.buffer.len() && made < MAX_BUFFER {
            self.buffer.resize(2 * made, 0);
        }
        self.inflated += made as u64;
        Inflated { used, output: &self.buffer[..made], stop }
    }

    /// Appends the tail, and finds out whether the stream is complete with it. What a broken one makes of it is
    /// nothing.
    fn probe(&mut self, output: Range<usize>) -> (usize, Stop) {
        let (mut probed, mut made, mut behind_tail) = (0, output.start, false);
        loop {
            let (took, gave, status) = self.step(&PROBE[probed..], made..output.end, InflateFlush::Block);
            probed += took;
            made += gave;
            match status {
                Some(Status::Ok) if made == output.end => return (0, Stop::Broken),
                Some(Status::Ok) if probed == PROBE.len() - 1 && behind_tail => {
                    return (made - output.start, Stop::Done);
                }
                // The end of a block: the one before the last has to end with the tail.
                Some(Status::Ok) if took > 0 && probed < PROBE.len() => behind_tail = probed == TAIL.len(),
                // The tail completed a final block, so that it ends the stream like any other.
                Some(Status::StreamEnd) if probed == TAIL.len() => {
                    self.stream.reset(false);
                    return (made - output.start, Stop::Done);
                }
                _ => return (0, Stop::Broken),
            }
        }
    }

    /// One call of the stream: how much it took, how much it gave, and its word, unless it found the bytes wrong.
    fn step(&mut self, input: &[u8], output: Range<usize>, flush: InflateFlush) -> (usize, usize, Option<Status>) {
        let before = (self.stream.total_in(), self.stream.total_out());
        let status = self.stream.decompress(input, &mut self.buffer[output], flush).ok();
        let (took, gave) = (self.stream.total_in() - before.0, self.stream.total_out() - before.1);
        (took as usize, gave as usize, status)
    }
}

/// The sending stream.
pub(crate) struct Deflater {
    stream: zlib_rs::Deflate,
    buffer: Vec<u8>,
}

impl Deflater {
    pub(crate) fn new(window_bits: u8, settings: &Deflate) -> Self {
        let config = DeflateConfig {
            level: settings.level.into(),
            window_bits: -i32::from(window_bits),
            mem_level: settings.mem_level.into(),
            ..DeflateConfig::default()
        };
        Self { stream: zlib_rs::Deflate::new_with_config(config), buffer: Vec::new() }
    }

    /// Compresses a piece to whole bytes; the last one of a message without its tail.
    pub(crate) fn deflate(&mut self, piece: &[u8], last: bool) -> &[u8] {
        if piece.is_empty() {
            // §7.2.3.6: the first byte of an empty stored block, whose rest is the tail. A message is never empty.
            return if last { &[0x00] } else { &[] };
        }
        let expected = piece.len().clamp(MIN_BUFFER, RETAINED);
        if self.buffer.len() < expected {
            self.buffer.resize(expected, 0);
        }
        let (mut used, mut made) = (0, 0);
        loop {
            let before = (self.stream.total_in(), self.stream.total_out());
            let (input, output) = (&piece[used..], &mut self.buffer[made..]);
            self.stream.compress(input, output, DeflateFlush::SyncFlush).expect("the configuration is valid");
            used += (self.stream.total_in() - before.0) as usize;
            made += (self.stream.total_out() - before.1) as usize;
            // Room that is left means that all is flushed.
            if made < self.buffer.len() {
                break;
            }
            self.buffer.resize(2 * made, 0);
        }
        let made = &self.buffer[..made];
        if last { made.strip_suffix(&TAIL).expect("a flush ends with the tail") } else { made }
    }
}
