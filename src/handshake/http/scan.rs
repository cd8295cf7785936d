//! The way of a head (RFC 9112 §2 to §5) from the bytes of a transport to a [`Head`]: [`Scanner`].
//!
//! A head that arrives in one piece is parsed in place. Every other head is scanned byte by byte, up to the first byte
//! that no head can have there. Its start line is judged at its CRLF, a field line as it arrives, so that a line that
//! no head can have fails at its CRLF at the latest. The whole is parsed at its end. Both ways find the same (I2), and
//! at most the limit is held (R28, R50).

use alloc::vec::Vec;
use core::marker::PhantomData;

use super::{
    error::{HeadError, Malformed},
    head::{Head, ON_STACK, StartLine},
};
use crate::{config::Config, grammar::is_token_byte};

const DEL: u8 = 0x7F;

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
    /// In the start line or a field's value, or right behind it.
    Line,
    /// After a line's CR.
    LineLf,
    /// In a field's name, or right behind it.
    Name,
    /// After a CR that follows a name without its colon.
    NameLf,
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
    pub(crate) fn receive(&mut self, input: &mut &mut [u8]) -> Result<Option<(Head, S)>, HeadError> {
        if input.is_empty() {
            return Ok(None);
        }
        let room = self.max_head.saturating_sub(self.seen);
        let len = input.len().min(room);
        if self.seen == 0
            && let Some((len, head, start)) = self.in_one_piece(&input[..len])
        {
            *input = core::mem::take(input).split_at_mut(len).1;
            return Ok(Some((head, start)));
        }
        self.scan(input, len)
    }

    /// Scans the first `len` bytes of `input`.
    fn scan(&mut self, input: &mut &mut [u8], len: usize) -> Result<Option<(Head, S)>, HeadError> {
        let window = &input[..len];
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
                    if self.fields == 0 {
                        hold(&mut self.held, &window[start..at], self.max_head);
                        start = at;
                        S::parse(&self.held, 0)?;
                    }
                }
                Place::Name => at += self.name(&window[at..])?,
                Place::NameLf => {
                    expect_lf(byte)?;
                    return Err(Malformed::FieldName.into());
                }
                Place::Fresh => {
                    self.fresh_line(byte)?;
                    at += usize::from(byte == b'\r');
                }
                Place::EndLf => {
                    expect_lf(byte)?;
                    let (piece, rest) = core::mem::take(input).split_at_mut(at + 1);
                    *input = rest;
                    return self.complete(&piece[start..]).map(Some);
                }
            }
        }
        self.seen += window.len();
        if self.seen >= self.max_head {
            return Err(HeadError::TooLong { max: self.max_head });
        }
        if !matches!(self.place, Place::Before | Place::BeforeLf) {
            let unheld = &window[start..];
            hold(&mut self.held, unheld, self.max_head);
        }
        *input = &mut [];
        Ok(None)
    }

    /// Parses the head whose last piece this is.
    fn complete(&mut self, last: &[u8]) -> Result<(Head, S), HeadError> {
        let mut bytes = core::mem::take(&mut self.held);
        bytes.reserve_exact(last.len());
        bytes.extend_from_slice(last);
        let parsed = S::parse(&bytes, self.fields)?.filter(|parsed| parsed.len == bytes.len());
        let parsed = parsed.ok_or(Malformed::StartLine)?;
        Ok((Head::new(bytes, parsed.fields), parsed.start))
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

    fn first_byte(&mut self, byte: u8) -> Result<(), HeadError> {
        // R24, RFC 9112 §2.2: "a server that is expecting to receive and parse a request-line SHOULD ignore at least
        // one empty line (CRLF) received prior to the request-line"
        self.place = match byte {
            _ if S::begins_with(byte) => Place::Line,
            b'\r' if S::AFTER_EMPTY_LINES => Place::BeforeLf,
            b'\n' if S::AFTER_EMPTY_LINES => return Err(Malformed::BareLf.into()),
            _ => return Err(Malformed::FirstByte.into()),
        };
        Ok(())
    }

    /// Continues the start line or a field's value, as far as `window` and the line's limit reach; returns how far it
    /// came.
    fn line(&mut self, window: &[u8]) -> Result<usize, HeadError> {
        let run = self.within_limit(window);
        let len = find_control(run).unwrap_or(run.len());
        // R25, RFC 9110 §5.5: no field value has a DEL. One in the start line is judged with that.
        if self.fields > 0 && run[..len].contains(&DEL) {
            return Err(Malformed::FieldValue.into());
        }
        self.line += len;
        match window.get(len) {
            None => Ok(len),
            Some(b'\r') => {
                self.place = Place::LineLf;
                Ok(len + 1)
            }
            Some(_) if len == run.len() => Err(self.too_long()),
            Some(&byte) => Err(control(byte).into()),
        }
    }

    /// Continues a field's name in the same way, up to its colon (RFC 9112 §5.1).
    fn name(&mut self, window: &[u8]) -> Result<usize, HeadError> {
        let run = self.within_limit(window);
        let len = run.iter().position(|&byte| !is_token_byte(byte)).unwrap_or(run.len());
        self.line += len;
        match window.get(len) {
            None => Ok(len),
            Some(b'\r') => {
                self.place = Place::NameLf;
                Ok(len + 1)
            }
            Some(_) if len == run.len() => Err(self.too_long()),
            Some(b':') if self.line > 0 => {
                self.place = Place::Line;
                Ok(len)
            }
            Some(&byte) if is_control(byte) => Err(control(byte).into()),
            // R22, RFC 9112 §5.1: "A server MUST reject, with a response status code of 400 (Bad Request), any received
            // request message that contains whitespace between a header field name and colon."
            Some(_) => Err(Malformed::FieldName.into()),
        }
    }

    /// As much of `window` as the open line may still have.
    fn within_limit<'w>(&self, window: &'w [u8]) -> &'w [u8] {
        &window[..window.len().min(self.max_line - self.line)]
    }

    fn too_long(&self) -> HeadError {
        let max = self.max_line;
        if self.fields == 0 { HeadError::StartLineTooLong { max } } else { HeadError::FieldTooLong { max } }
    }

    fn fresh_line(&mut self, byte: u8) -> Result<(), HeadError> {
        self.place = match byte {
            b'\r' => Place::EndLf,
            // R21, RFC 9112 §5.2: "A server that receives an obs-fold in a request message … MUST either reject the
            // message by sending a 400 (Bad Request)"
            b' ' | b'\t' => return Err(Malformed::Folding.into()),
            _ if self.fields == self.max_fields => return Err(HeadError::TooManyFields { max: self.max_fields }),
            _ => {
                self.fields += 1;
                self.line = 0;
                Place::Name
            }
        };
        Ok(())
    }
}

/// Why a line does not have this control character.
fn control(byte: u8) -> Malformed {
    // R23 (choice), R25, RFC 9110 §5.5: "a recipient of CR, LF, or NUL within a field value MUST either reject the
    // message"
    if byte == b'\n' { Malformed::BareLf } else { Malformed::ControlCharacter }
}

fn expect_lf(byte: u8) -> Result<(), HeadError> {
    // R23, RFC 9112 §2.2: "A recipient of such a bare CR MUST consider that element to be invalid"
    if byte == b'\n' { Ok(()) } else { Err(Malformed::BareCr.into()) }
}

/// Appends, with room for twice as much, but never for more than the limit (R29, I5).
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
mod tests;
