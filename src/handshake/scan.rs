//! The way of a head (RFC 9112 §2 to §5) from the bytes of a transport to a [`Head`]: [`Scanner`].
//!
//! A head that comes in one piece is parsed where it lies. Of one that comes in pieces each is looked at as it comes,
//! up to the first byte that no head can have there, and the whole is parsed at its end. Both find the same, and what
//! is held is never more than the limit.

use alloc::vec::Vec;
use core::marker::PhantomData;

use super::{
    error::{HandshakeError, Malformed},
    head::{Head, ON_STACK, StartLine},
};
use crate::config::Config;

/// Reads one head.
#[derive(Debug)]
pub(crate) struct Scanner<S> {
    /// What came of it before this call's input.
    held: Vec<u8>,
    /// How much that is, with the empty lines before it, which are not held.
    seen: usize,
    /// Bytes of the line that is open.
    line: usize,
    /// Field lines that have begun.
    fields: usize,
    place: Place,
    max_head: usize,
    max_line: usize,
    max_fields: usize,
    start: PhantomData<S>,
}

/// Where the next byte stands.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// Before the start line; a server may ignore empty lines there (RFC 9112 §2.2).
    Before,
    /// After the CR of an empty line before the start line.
    BeforeLf,
    /// In a line, or right behind it.
    Line,
    /// After a line's CR.
    LineLf,
    /// At the first byte of a field line, or of the empty line that ends the head.
    Fresh,
    /// After the CR of that empty line.
    EndLf,
}

impl<S: StartLine> Scanner<S> {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            held: Vec::new(),
            seen: 0,
            line: 0,
            fields: 0,
            place: Place::Before,
            // Positions in a head are kept in 32 bits.
            max_head: config.max_head_len.min(u32::MAX as usize),
            max_line: config.max_line_len,
            max_fields: config.max_headers,
            start: PhantomData,
        }
    }

    /// Takes the head's bytes from the front of `input`; `None` when it is not complete yet.
    pub(crate) fn receive(&mut self, input: &mut &mut [u8]) -> Result<Option<(Head, S)>, HandshakeError> {
        if input.is_empty() {
            return Ok(None);
        }
        let room = self.max_head.saturating_sub(self.seen);
        let window = &input[..input.len().min(room)];
        if self.seen == 0
            && let Some((len, head, start)) = self.in_one_piece(window)
        {
            *input = core::mem::take(input).split_at_mut(len).1;
            return Ok(Some((head, start)));
        }
        let mut start = 0;
        let mut at = 0;
        while let Some(&byte) = window.get(at) {
            match self.place {
                Place::Before => {
                    self.first_byte(byte)?;
                    if byte == b'\r' {
                        at += 1;
                    } else {
                        start = at;
                    }
                }
                Place::BeforeLf => {
                    expect_lf(byte)?;
                    self.place = Place::Before;
                    at += 1;
                }
                Place::Line => at += self.line(&window[at..])?,
                Place::LineLf => {
                    expect_lf(byte)?;
                    self.place = Place::Fresh;
                    at += 1;
                }
                Place::Fresh => {
                    self.fresh_line(byte)?;
                    at += usize::from(byte == b'\r');
                }
                Place::EndLf => {
                    expect_lf(byte)?;
                    let (head, rest) = core::mem::take(input).split_at_mut(at + 1);
                    *input = rest;
                    let mut bytes = core::mem::take(&mut self.held);
                    bytes.reserve_exact(head.len() - start);
                    bytes.extend_from_slice(&head[start..]);
                    let parsed = S::parse(&bytes, self.fields)?.filter(|parsed| parsed.len == bytes.len());
                    let parsed = parsed.ok_or(Malformed::StartLine)?;
                    return Ok(Some((Head::new(bytes, parsed.fields), parsed.start)));
                }
            }
        }
        self.seen += window.len();
        if self.seen >= self.max_head {
            return Err(HandshakeError::HeadTooLong);
        }
        if !matches!(self.place, Place::Before | Place::BeforeLf) {
            let unheld = &window[start..];
            hold(&mut self.held, unheld, self.max_head);
        }
        *input = &mut [];
        Ok(None)
    }

    /// The head at the front of the first piece, and its length, if it is whole and nothing in it is out of order: then
    /// the rest of this machine has nothing to say about it.
    fn in_one_piece(&self, piece: &[u8]) -> Option<(usize, Head, S)> {
        if !S::begins_with(*piece.first()?) {
            return None;
        }
        let parsed = S::parse(piece, self.max_fields.min(ON_STACK)).ok()??;
        // The parser refuses control characters. What is left is where the lines end, the empty one too, and how.
        let end = parsed.len - 2;
        let mut line = 0;
        for next in parsed.fields.iter().map(|field| field.0.begin()).chain([end]) {
            let len = next.checked_sub(line + 2)?;
            if len > self.max_line || piece[line + len..next] != *b"\r\n" {
                return None;
            }
            line = next;
        }
        if piece[end..parsed.len] != *b"\r\n" {
            return None;
        }
        Some((parsed.len, Head::new(piece[..parsed.len].to_vec(), parsed.fields), parsed.start))
    }

    fn first_byte(&mut self, byte: u8) -> Result<(), HandshakeError> {
        self.place = match byte {
            _ if S::begins_with(byte) => Place::Line,
            b'\r' if S::AFTER_EMPTY_LINES => Place::BeforeLf,
            b'\n' if S::AFTER_EMPTY_LINES => return Err(Malformed::BareLf.into()),
            _ => return Err(Malformed::FirstByte.into()),
        };
        Ok(())
    }

    /// Goes on in a line, as far as `window` and the line's limit reach; returns how far it came.
    fn line(&mut self, window: &[u8]) -> Result<usize, HandshakeError> {
        let run = &window[..window.len().min(self.max_line - self.line)];
        let len = find_control(run).unwrap_or(run.len());
        self.line += len;
        match window.get(len) {
            None => Ok(len),
            Some(b'\r') if window.get(len + 1) == Some(&b'\n') => {
                self.place = Place::Fresh;
                Ok(len + 2)
            }
            Some(b'\r') => {
                self.place = Place::LineLf;
                Ok(len + 1)
            }
            Some(_) if len == run.len() && self.fields == 0 => Err(HandshakeError::StartLineTooLong),
            Some(_) if len == run.len() => Err(HandshakeError::FieldTooLong),
            Some(b'\n') => Err(Malformed::BareLf.into()),
            Some(_) => Err(Malformed::ControlCharacter.into()),
        }
    }

    fn fresh_line(&mut self, byte: u8) -> Result<(), HandshakeError> {
        self.place = match byte {
            b'\r' => Place::EndLf,
            b' ' | b'\t' => return Err(Malformed::Folding.into()),
            _ if self.fields == self.max_fields => return Err(HandshakeError::TooManyFields),
            _ => {
                self.fields += 1;
                self.line = 0;
                Place::Line
            }
        };
        Ok(())
    }
}

fn expect_lf(byte: u8) -> Result<(), HandshakeError> {
    if byte == b'\n' { Ok(()) } else { Err(Malformed::BareCr.into()) }
}

/// Appends, with room for twice as much, but never for more than the limit.
fn hold(held: &mut Vec<u8>, bytes: &[u8], limit: usize) {
    let len = held.len() + bytes.len();
    if held.capacity() < len {
        let capacity = len.saturating_mul(2).max(1024).min(limit);
        held.reserve_exact(capacity.max(len) - held.len());
    }
    held.extend_from_slice(bytes);
}

/// The position of the first control character other than the tab, eight bytes at a time.
fn find_control(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::from_ne_bytes([0x01; 8]);
    let (words, tail) = bytes.as_chunks::<8>();
    for (i, word) in words.iter().enumerate() {
        // The high bits of the bytes that are less than 0x20. A borrow may set more of them, above such a byte only.
        let eight = u64::from_le_bytes(*word);
        let mut found = eight.wrapping_sub(ONES * 0x20) & !eight & (ONES * 0x80);
        while found != 0 {
            let at = found.trailing_zeros() as usize / 8;
            if is_control(word[at]) {
                return Some(i * 8 + at);
            }
            found &= found - 1;
        }
    }
    tail.iter().position(|&byte| is_control(byte)).map(|at| words.len() * 8 + at)
}

const fn is_control(byte: u8) -> bool {
    byte < 0x20 && byte != b'\t'
}

#[cfg(test)]
mod tests {
    use alloc::{format, string::String};
    use core::fmt::Debug;

    use super::*;
    use crate::handshake::head::{RequestLine, StatusLine};

    #[test]
    fn control_characters_are_found_where_they_are() {
        for len in 0..80 {
            for at in 0..len {
                for byte in 0..=255 {
                    let mut bytes = alloc::vec![b'x'; len];
                    bytes[at] = byte;
                    let expected = (byte < 0x20 && byte != b'\t').then_some(at);
                    assert_eq!(find_control(&bytes), expected, "{byte} at {at} of {len}");
                }
            }
        }
        for tabs in 0..100 {
            assert_eq!(find_control(&alloc::vec![b'\t'; tabs]), None);
            assert_eq!(find_control(&[&alloc::vec![b'\t'; tabs][..], b"\x01x"].concat()), Some(tabs));
        }
    }

    /// What a head that comes in pieces of this length is: how much of it was taken, the head's text and its start line.
    fn scan<S: StartLine + Debug>(bytes: &[u8], len: usize, config: &Config) -> String {
        let mut scanner = Scanner::<S>::new(config);
        let mut taken = 0;
        for piece in bytes.chunks(len) {
            let mut piece = piece.to_vec();
            let mut input = &mut piece[..];
            let result = scanner.receive(&mut input);
            taken += len.min(bytes.len() - taken) - input.len();
            match result {
                Ok(None) => {}
                Ok(Some(head)) => return format!("{taken}: {head:?}"),
                Err(error) => return format!("{error:?}"),
            }
        }
        "unfinished".into()
    }

    /// Every byte of a head is changed into every other, left out, and doubled.
    #[test]
    fn a_head_is_the_same_in_one_piece_and_in_many() {
        fn check<S: StartLine + Debug>(head: &[u8], config: &Config) {
            let same = |bytes: &[u8]| {
                let whole = scan::<S>(bytes, bytes.len(), config);
                assert_eq!(whole, scan::<S>(bytes, 1, config), "{}", bytes.escape_ascii());
            };
            same(head);
            for at in 0..head.len() {
                same(&[&head[..at], &head[at + 1..]].concat());
                same(&[&head[..at], &head[at..=at], &head[at..]].concat());
                for byte in 0..=255 {
                    same(&[&head[..at], &[byte], &head[at + 1..]].concat());
                }
            }
        }
        let request = b"GET /a HTTP/1.1\r\nHost: h\r\nA:\r\nB: \tc d\t \r\nC:d\r\n\r\nrest";
        let response = b"HTTP/1.1 101 Switching\r\nA: b\r\nB: \r\nC: d\r\n\r\nrest";
        let config = Config::default();
        for config in [&config, &config.clone().max_line_len(22), &config.clone().max_line_len(8)] {
            for config in [config, &config.clone().max_headers(3), &config.clone().max_head_len(47)] {
                check::<RequestLine>(request, config);
                check::<StatusLine>(response, config);
            }
        }
        let config = config.max_line_len(15).max_headers(4).max_head_len(48);
        assert!(scan::<RequestLine>(request, request.len(), &config).starts_with("48: "));
    }

    #[test]
    fn r29_an_unfinished_head_never_holds_room_for_more_than_its_limit() {
        let config = Config::default().max_head_len(3000);
        let mut scanner = Scanner::<RequestLine>::new(&config);
        let mut fed = 0;
        loop {
            let mut bytes = *b"GET-GET-";
            fed += bytes.len();
            let result = scanner.receive(&mut &mut bytes[..]);
            assert!(scanner.held.capacity() <= 3000);
            if fed >= 3000 {
                assert_eq!(result.err(), Some(HandshakeError::HeadTooLong));
                break;
            }
            assert!(matches!(result, Ok(None)));
        }
    }
}
