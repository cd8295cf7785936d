//! What the head of an HTTP/1.1 message says (RFC 9112 §2 to §5): a [`StartLine`], and the fields of a [`Head`].

use alloc::vec::Vec;
use core::{fmt, mem::MaybeUninit};

use super::error::{HeadError, Malformed};
use crate::grammar::is_token_byte;

/// The most field lines whose parsed form lies on the stack while a head is parsed.
pub(crate) const ON_STACK: usize = 64;

/// A part of a head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    at: u32,
    len: u32,
}

impl Span {
    pub(crate) fn begin(self) -> usize {
        self.at as usize
    }
}

/// A parsed head: its bytes, and where its fields lie in them.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Head {
    bytes: Vec<u8>,
    fields: Vec<Field>,
}

/// The first line of a head: what kind of head that is.
pub(crate) trait StartLine: Sized {
    /// Whether a recipient ignores empty lines before it, as a server may (RFC 9112 §2.2).
    const AFTER_EMPTY_LINES: bool;

    /// Whether it may begin with this byte.
    fn begins_with(byte: u8) -> bool;

    /// Parses the head at the front of `bytes`, which has at most this many fields; `None` when it is not complete.
    /// A start line whose end is there is judged even if no field line follows yet.
    ///
    /// Lets pass two things that no head has: empty lines before it, and lines that end in LF alone.
    fn parse(bytes: &[u8], max_fields: usize) -> Result<Option<Parsed<Self>>, HeadError>;
}

/// What the parser finds.
pub(crate) struct Parsed<S> {
    pub(crate) len: usize,
    pub(crate) start: S,
    pub(crate) fields: Vec<Field>,
}

/// Where a field's name and its value lie.
pub(crate) type Field = (Span, Span);

/// The request line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestLine {
    pub(crate) method: Span,
    pub(crate) target: Span,
}

/// The status line of a response.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StatusLine {
    pub(crate) minor_version: u8,
    pub(crate) status: u16,
    pub(crate) reason: Span,
}

impl StartLine for RequestLine {
    const AFTER_EMPTY_LINES: bool = true;

    fn begins_with(byte: u8) -> bool {
        is_token_byte(byte)
    }

    fn parse(bytes: &[u8], max_fields: usize) -> Result<Option<Parsed<Self>>, HeadError> {
        let (mut stack, mut heap) = ([const { MaybeUninit::uninit() }; ON_STACK], Vec::new());
        let slots = slots(max_fields, &mut stack, &mut heap);
        let mut request = httparse::Request::new(&mut []);
        let status = match request.parse_with_uninit_headers(bytes, slots) {
            Ok(status) => status,
            Err(httparse::Error::Version) if names_a_version(bytes) => return Err(HeadError::Version),
            Err(error) => return Err(malformed(error).into()),
        };
        // R2: HTTP/1.1, and no other version.
        if request.version == Some(0) {
            return Err(HeadError::Version);
        }
        let httparse::Status::Complete(len) = status else { return Ok(None) };
        let method = span(bytes, request.method.unwrap_or_default().as_bytes());
        let target = span(bytes, request.path.unwrap_or_default().as_bytes());
        Ok(Some(Parsed { len, start: Self { method, target }, fields: spans(bytes, request.headers) }))
    }
}

impl StartLine for StatusLine {
    const AFTER_EMPTY_LINES: bool = false;

    fn begins_with(byte: u8) -> bool {
        byte == b'H'
    }

    fn parse(bytes: &[u8], max_fields: usize) -> Result<Option<Parsed<Self>>, HeadError> {
        let (mut stack, mut heap) = ([const { MaybeUninit::uninit() }; ON_STACK], Vec::new());
        let slots = slots(max_fields, &mut stack, &mut heap);
        let mut response = httparse::Response::new(&mut []);
        let parser = httparse::ParserConfig::default();
        let parsed = match parser.parse_response_with_uninit_headers(&mut response, bytes, slots) {
            Ok(parsed) => parsed,
            Err(httparse::Error::Version) => return Err(HeadError::Version),
            Err(error) => return Err(malformed(error).into()),
        };
        if response.code.is_some_and(|status| !matches!(status, 100..=599)) {
            return Err(Malformed::StartLine.into());
        }
        // R48: with or without a reason phrase.
        let (httparse::Status::Complete(len), Some(minor_version), Some(status)) =
            (parsed, response.version, response.code)
        else {
            return Ok(None);
        };
        let reason = span(bytes, response.reason.unwrap_or_default().as_bytes());
        Ok(Some(Parsed { len, start: Self { minor_version, status, reason }, fields: spans(bytes, response.headers) }))
    }
}

/// Room for the parser, not initialised: on the stack, unless there may be very many fields.
fn slots<'s, 'b>(
    max_fields: usize,
    stack: &'s mut [MaybeUninit<httparse::Header<'b>>; ON_STACK],
    heap: &'s mut Vec<MaybeUninit<httparse::Header<'b>>>,
) -> &'s mut [MaybeUninit<httparse::Header<'b>>] {
    if max_fields <= ON_STACK {
        return &mut stack[..max_fields];
    }
    heap.resize_with(max_fields, MaybeUninit::uninit);
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

fn spans(whole: &[u8], fields: &[httparse::Header<'_>]) -> Vec<Field> {
    fields.iter().map(|field| (span(whole, field.name.as_bytes()), span(whole, field.value))).collect()
}

impl Head {
    pub(crate) fn new(bytes: Vec<u8>, fields: Vec<Field>) -> Self {
        Self { bytes, fields }
    }

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

    /// Where `part`, a slice of this head, lies.
    pub(crate) fn span_of(&self, part: &[u8]) -> Span {
        span(&self.bytes, part)
    }

    /// Where the first value of this name lies.
    pub(crate) fn first(&self, name: &str) -> Option<Span> {
        let is_it = |field: &&Field| self.bytes(field.0).eq_ignore_ascii_case(name.as_bytes());
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
    spans: core::slice::Iter<'a, Field>,
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
