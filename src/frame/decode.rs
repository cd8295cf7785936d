//! Bytes to frames, however the bytes are cut (I2; RFC 6455 §5.2): a header, then its payload piece by piece, unmasked
//! in the caller's buffer. Keeps at most the 13 bytes of an unfinished header.

use core::mem;

use super::{
    Header, Kind, LEN_16, LEN_64, MAX_HEADER_LEN, Rules, WHOLE_BINARY, WHOLE_TEXT, is_valid_len, len_end, mask,
    short_len,
};
use crate::error::Error;

/// Where in the stream of frames the input stands.
#[derive(Clone, Debug, Default)]
pub(crate) struct Decoder {
    head: [u8; MAX_HEADER_LEN],
    head_len: u8,
    /// The masking key, turned so that it fits the next byte of payload.
    key: [u8; 4],
    /// Bytes of payload that are still to come.
    remaining: u64,
}

impl Decoder {
    /// Takes a header from `input`; `None` when it is used up before the header is complete.
    pub(crate) fn header(&mut self, rules: &Rules, input: &mut &mut [u8]) -> Result<Option<Header>, Error> {
        let kept = usize::from(self.head_len);
        let decoded = if kept == 0 {
            Header::decode_under(Some(rules), input)?
        } else {
            // What an earlier input began, and as much of this one as a header can have.
            let more = input.len().min(MAX_HEADER_LEN - kept);
            self.head[kept..kept + more].copy_from_slice(&input[..more]);
            Header::decode_under(Some(rules), &self.head[..kept + more])?
        };
        let Some((header, len)) = decoded else {
            if kept == 0 {
                self.head[..input.len()].copy_from_slice(input);
            }
            self.head_len += mem::take(input).len() as u8;
            return Ok(None);
        };
        advance(input, len - kept);
        self.head_len = 0;
        self.key = header.mask.unwrap_or_default();
        self.remaining = header.len;
        Ok(Some(header))
    }

    /// Takes at most `max` bytes of the payload from `input` and unmasks them.
    pub(crate) fn payload<'b>(&mut self, max: usize, input: &mut &'b mut [u8]) -> &'b mut [u8] {
        let len = input.len().min(max).min(usize::try_from(self.remaining).unwrap_or(usize::MAX));
        let piece = advance(input, len);
        // R69, §6.2: "A server MUST remove masking for data frames received from a client as described in Section 5.3."
        if self.key != [0; 4] {
            mask::apply(self.key, 0, piece);
            self.key = mask::rotate(self.key, len);
        }
        self.remaining -= len as u64;
        piece
    }

    /// Unmasks what `input` has of the payload behind the `kept` bytes of it that it begins with, and takes nothing:
    /// what is unmasked now.
    pub(crate) fn payload_behind<'a>(&mut self, kept: usize, input: &'a mut [u8]) -> &'a mut [u8] {
        self.payload(usize::MAX, &mut input.get_mut(kept..).unwrap_or_default())
    }

    /// Unmasks at most `max` bytes of the payload at the front of `input` without taking them: how many.
    pub(crate) fn peek(&self, max: usize, input: &mut [u8]) -> usize {
        let len = input.len().min(max).min(usize::try_from(self.remaining).unwrap_or(usize::MAX));
        mask::apply(self.key, 0, &mut input[..len]);
        len
    }

    /// Takes `used` of the `peeked` bytes; the rest of them is masked again, as it came.
    pub(crate) fn take(&mut self, peeked: usize, used: usize, input: &mut &mut [u8]) {
        mask::apply(self.key, used, &mut input[used..peeked]);
        advance(input, used);
        self.key = mask::rotate(self.key, used);
        self.remaining -= used as u64;
    }

    /// Bytes that the payload still lacks.
    pub(crate) fn remaining(&self) -> u64 {
        self.remaining
    }

    /// Whether a header has begun to arrive.
    pub(crate) fn in_header(&self) -> bool {
        self.head_len > 0
    }
}

/// Splits `len` bytes off the front of `input`.
#[inline]
pub(crate) fn advance<'b>(input: &mut &'b mut [u8], len: usize) -> &'b mut [u8] {
    let (front, rest) = mem::take(input).split_at_mut(len);
    *input = rest;
    front
}

/// A message as the fast path takes it: its kind, and its payload unmasked.
type Whole<'b> = Option<(Kind, &'b mut [u8])>;

/// The commonest input, and the one that takes the fast path: at the front of `input` one whole message in one frame
/// whose payload is shorter than `below`, at most 126. It is unmasked and taken; anything else is left as it is.
///
/// The same with a length in 16 or 64 bits is [`long_message`].
#[inline(always)]
#[allow(clippy::inline_always, reason = "half of the cost of a short message is the call")]
pub(crate) fn short_message<'b>(masked: bool, below: u8, input: &mut &'b mut [u8]) -> Whole<'b> {
    // Asked once: what follows is compiled for each role.
    if masked { short(true, below, input) } else { short(false, below, input) }
}

#[inline(always)]
#[allow(clippy::inline_always, reason = "half of the cost of a short message is the call")]
fn short<'b>(masked: bool, below: u8, input: &mut &'b mut [u8]) -> Whole<'b> {
    let &[first, second, ..] = &**input else { return None };
    let len = short_len(second, masked);
    if !matches!(first, WHOLE_TEXT | WHOLE_BINARY) || len >= below {
        return None;
    }
    take_whole(masked, first, 2, len.into(), input)
}

/// At the front of `input` one whole message in one frame of 126 bytes or more, and at most `max_len`: unmasked and
/// taken. Anything else, whatever is wrong with it, is left as it is for [`Decoder`] to judge.
pub(crate) fn long_message<'b>(masked: bool, max_len: u64, input: &mut &'b mut [u8]) -> Whole<'b> {
    let &[first, second, ref rest @ ..] = &**input else { return None };
    let short_len = short_len(second, masked);
    let len = match short_len {
        LEN_16 => u64::from(u16::from_be_bytes(*rest.first_chunk()?)),
        LEN_64 => u64::from_be_bytes(*rest.first_chunk()?),
        _ => return None,
    };
    if !matches!(first, WHOLE_TEXT | WHOLE_BINARY) || !is_valid_len(short_len, len) || len > max_len {
        return None;
    }
    take_whole(masked, first, len_end(short_len), usize::try_from(len).ok()?, input)
}

/// Takes the first frame of the input, if its payload of `len` bytes is whole.
#[inline(always)]
#[allow(clippy::inline_always, reason = "half of the cost of a short message is the call")]
fn take_whole<'b>(masked: bool, first: u8, len_end: usize, len: usize, input: &mut &'b mut [u8]) -> Whole<'b> {
    let head_len = head_len(masked, len_end);
    let end = head_len.checked_add(len)?;
    if input.len() < end {
        return None;
    }
    let (head, payload) = advance(input, end).split_at_mut(head_len);
    if masked {
        mask::apply(*head.last_chunk()?, 0, payload);
    }
    Some((if first == WHOLE_TEXT { Kind::Text } else { Kind::Binary }, payload))
}

/// How long a header is: its masking key follows the length.
const fn head_len(masked: bool, len_end: usize) -> usize {
    if masked { len_end + 4 } else { len_end }
}
