//! The head of an HTTP/1.1 message (RFC 9112 §2 to §5): [`Scanner`] looks at each byte once, as it comes, and fails at
//! the first that no head can have there; [`Head`] is what the complete one says.
//!
//! What is held is never more than the limit, and nothing is parsed twice, however the bytes are cut.

use alloc::vec::Vec;
use core::{fmt, mem::MaybeUninit};

use super::error::{HandshakeError, Malformed};
use crate::config::Config;

/// The most field lines whose parsed form lies on the stack while a head is parsed.
const ON_STACK: usize = 64;

/// Finds the end of a head.
#[derive(Debug)]
pub(crate) struct Scanner {
    /// What came of it before this call's input.
    held: Vec<u8>,
    /// How much that is, with the empty lines before it, which are not held.
    seen: usize,
    /// Bytes of the line that is open.
    line: usize,
    /// Field lines that have begun.
    fields: usize,
    place: Place,
    kind: Kind,
    max_head: usize,
    max_line: usize,
    max_fields: usize,
}

/// Which of the two heads it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Request,
    Response,
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

/// A complete head, not parsed yet.
#[derive(Debug)]
pub(crate) struct Complete {
    bytes: Vec<u8>,
    fields: usize,
}

impl Scanner {
    pub(crate) fn new(kind: Kind, config: &Config) -> Self {
        Self {
            held: Vec::new(),
            seen: 0,
            line: 0,
            fields: 0,
            place: Place::Before,
            kind,
            // Positions in a head are kept in 32 bits.
            max_head: config.max_head_len.min(u32::MAX as usize),
            max_line: config.max_line_len,
            max_fields: config.max_headers,
        }
    }

    /// Takes the head's bytes from the front of `input`; `None` when it is not complete yet.
    pub(crate) fn receive(&mut self, input: &mut &mut [u8]) -> Result<Option<Complete>, HandshakeError> {
        if input.is_empty() {
            return Ok(None);
        }
        let room = self.max_head.saturating_sub(self.seen);
        let window = &input[..input.len().min(room)];
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
                    return Ok(Some(Complete { bytes, fields: self.fields }));
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

    fn first_byte(&mut self, byte: u8) -> Result<(), HandshakeError> {
        let begins = match self.kind {
            Kind::Request => is_token_byte(byte),
            Kind::Response => byte == b'H',
        };
        self.place = match (self.kind, byte) {
            _ if begins => Place::Line,
            (Kind::Request, b'\r') => Place::BeforeLf,
            (Kind::Request, b'\n') => return Err(Malformed::BareLf.into()),
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

/// What a token consists of (RFC 9110 §5.6.2).
pub(crate) const fn is_token_byte(byte: u8) -> bool {
    const TOKEN: [bool; 256] = alphanumeric_and(b"!#$%&'*+-.^_`|~");
    TOKEN[byte as usize]
}

/// A table of the ASCII letters and digits, and these bytes.
pub(crate) const fn alphanumeric_and(also: &[u8]) -> [bool; 256] {
    let mut table = [false; 256];
    let mut byte: u8 = 0;
    while byte < 0x80 {
        table[byte as usize] = byte.is_ascii_alphanumeric();
        byte += 1;
    }
    let mut i = 0;
    while i < also.len() {
        table[also[i] as usize] = true;
        i += 1;
    }
    table
}

/// A part of a head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    at: u32,
    len: u32,
}

/// A parsed head: its bytes, and where its fields lie in them.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Head {
    bytes: Vec<u8>,
    fields: Vec<(Span, Span)>,
}

/// The status line of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StatusLine {
    pub(crate) minor_version: u8,
    pub(crate) status: u16,
    pub(crate) reason: Span,
}

impl Complete {
    /// The head, its method and its target.
    pub(crate) fn request(self) -> Result<(Head, Span, Span), HandshakeError> {
        let (mut stack, mut heap) = ([const { MaybeUninit::uninit() }; ON_STACK], Vec::new());
        let mut request = httparse::Request::new(&mut []);
        match request.parse_with_uninit_headers(&self.bytes, slots(self.fields, &mut stack, &mut heap)) {
            Ok(httparse::Status::Complete(len)) if len == self.bytes.len() => {}
            Ok(_) => return Err(Malformed::StartLine.into()),
            Err(httparse::Error::Version) if names_a_version(&self.bytes) => return Err(HandshakeError::Version),
            Err(error) => return Err(malformed(error).into()),
        }
        if request.version != Some(1) {
            return Err(HandshakeError::Version);
        }
        let method = span(&self.bytes, request.method.unwrap_or_default().as_bytes());
        let target = span(&self.bytes, request.path.unwrap_or_default().as_bytes());
        let fields = spans(&self.bytes, request.headers);
        Ok((Head { bytes: self.bytes, fields }, method, target))
    }

    /// The head and its status line.
    pub(crate) fn response(self) -> Result<(Head, StatusLine), HandshakeError> {
        let (mut stack, mut heap) = ([const { MaybeUninit::uninit() }; ON_STACK], Vec::new());
        let mut response = httparse::Response::new(&mut []);
        let slots = slots(self.fields, &mut stack, &mut heap);
        let parser = httparse::ParserConfig::default();
        match parser.parse_response_with_uninit_headers(&mut response, &self.bytes, slots) {
            Ok(httparse::Status::Complete(len)) if len == self.bytes.len() => {}
            Ok(_) => return Err(Malformed::StartLine.into()),
            Err(httparse::Error::Version) => return Err(HandshakeError::Version),
            Err(error) => return Err(malformed(error).into()),
        }
        let (Some(minor_version), Some(status @ 100..=599)) = (response.version, response.code) else {
            return Err(Malformed::StartLine.into());
        };
        let reason = span(&self.bytes, response.reason.unwrap_or_default().as_bytes());
        let fields = spans(&self.bytes, response.headers);
        Ok((Head { bytes: self.bytes, fields }, StatusLine { minor_version, status, reason }))
    }
}

/// Room for the parser, not initialised: on the stack, unless there are very many fields.
fn slots<'s, 'b>(
    fields: usize,
    stack: &'s mut [MaybeUninit<httparse::Header<'b>>; ON_STACK],
    heap: &'s mut Vec<MaybeUninit<httparse::Header<'b>>>,
) -> &'s mut [MaybeUninit<httparse::Header<'b>>] {
    if fields <= ON_STACK {
        return stack;
    }
    heap.resize_with(fields, MaybeUninit::uninit);
    heap
}

fn malformed(error: httparse::Error) -> Malformed {
    match error {
        httparse::Error::HeaderName => Malformed::FieldName,
        httparse::Error::HeaderValue => Malformed::FieldValue,
        _ => Malformed::StartLine,
    }
}

/// Whether a request line that is not of HTTP/1.1 is of another version (RFC 9112 §2.3, §3).
fn names_a_version(head: &[u8]) -> bool {
    let line = head.split(|&byte| byte == b'\r').next().unwrap_or_default();
    let mut words = line.split(|&byte| byte == b' ').skip(2);
    matches!((words.next(), words.next()), (Some([b'H', b'T', b'T', b'P', b'/', major, b'.', minor]), None)
        if major.is_ascii_digit() && minor.is_ascii_digit())
}

fn span(whole: &[u8], part: &[u8]) -> Span {
    let at = part.as_ptr().addr().wrapping_sub(whole.as_ptr().addr());
    if part.is_empty() { Span::default() } else { Span { at: at as u32, len: part.len() as u32 } }
}

fn spans(whole: &[u8], fields: &[httparse::Header<'_>]) -> Vec<(Span, Span)> {
    fields.iter().map(|field| (span(whole, field.name.as_bytes()), span(whole, field.value))).collect()
}

impl Head {
    /// A head that somebody else parsed: some parts of the start line, and the fields.
    pub(crate) fn from_parts<'a, const N: usize>(
        parts: [&str; N],
        fields: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    ) -> (Self, [Span; N]) {
        let mut head = Self { bytes: Vec::new(), fields: Vec::new() };
        let parts = parts.map(|part| head.push(part.as_bytes()));
        for (name, value) in fields {
            let field = (head.push(name.as_bytes()), head.push(value));
            head.fields.push(field);
        }
        (head, parts)
    }

    fn push(&mut self, part: &[u8]) -> Span {
        let span = Span { at: self.bytes.len() as u32, len: part.len() as u32 };
        self.bytes.extend_from_slice(part);
        span
    }

    pub(crate) fn bytes(&self, span: Span) -> &[u8] {
        let at = span.at as usize;
        self.bytes.get(at..at + span.len as usize).unwrap_or_default()
    }

    pub(crate) fn str(&self, span: Span) -> &str {
        core::str::from_utf8(self.bytes(span)).unwrap_or_default()
    }

    /// Names and values, in order.
    pub(crate) fn raw_fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> + Clone {
        self.fields.iter().map(|&(name, value)| (self.bytes(name), self.bytes(value)))
    }

    pub(crate) fn fields(&self) -> Fields<'_> {
        Fields { head: self, spans: self.fields.iter() }
    }

    /// The values of the fields of this name.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> + Clone {
        let is_it = move |field: &(&[u8], &[u8])| field.0.eq_ignore_ascii_case(name.as_bytes());
        self.raw_fields().filter(is_it).map(|field| field.1)
    }

    /// Where the first value of this name lies.
    pub(crate) fn first(&self, name: &str) -> Option<Span> {
        let is_it = |field: &&(Span, Span)| self.bytes(field.0).eq_ignore_ascii_case(name.as_bytes());
        self.fields.iter().find(is_it).map(|field| field.1)
    }
}

/// Keeps what authenticates a user out of logs.
impl fmt::Debug for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SECRET: [&str; 4] = ["authorization", "proxy-authorization", "cookie", "set-cookie"];
        f.debug_map()
            .entries(self.fields().map(|(name, value)| {
                let secret = SECRET.iter().any(|secret| name.eq_ignore_ascii_case(secret));
                (
                    name,
                    if secret {
                        alloc::borrow::Cow::Borrowed("..")
                    } else {
                        alloc::string::String::from_utf8_lossy(value)
                    },
                )
            }))
            .finish()
    }
}

/// The fields of a head, in order, as (name, value). Names are as the peer wrote them and compare without regard to
/// case (RFC 9110 §5.1); values are bytes without white space around them, and need not be UTF-8.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    head: &'a Head,
    spans: core::slice::Iter<'a, (Span, Span)>,
}

impl<'a> Iterator for Fields<'a> {
    type Item = (&'a str, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        self.spans.next().map(|&(name, value)| (self.head.str(name), self.head.bytes(value)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.spans.size_hint()
    }
}

impl ExactSizeIterator for Fields<'_> {}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn r29_an_unfinished_head_never_holds_room_for_more_than_its_limit() {
        let config = Config::default().max_head_len(3000);
        let mut scanner = Scanner::new(Kind::Request, &config);
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
