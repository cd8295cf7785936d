//! The body of an answer other than 101 (RFC 9112 §6, §7), as far as a client keeps it.

use alloc::vec::Vec;

use super::head::Head;
use crate::grammar::decimal;

/// Collects a body.
#[derive(Debug)]
pub(crate) struct Body {
    framing: Framing,
    kept: Vec<u8>,
    max_len: usize,
    /// Bytes of chunk sizes, extensions and trailers that may still come.
    overhead: usize,
    /// Whether it ended as its framing says, rather than too early or too late.
    complete: bool,
}

/// How its end is known (RFC 9112 §6.3).
#[derive(Clone, Copy, Debug)]
enum Framing {
    /// After so many more bytes.
    Length(u64),
    Chunked(Chunked),
    /// With the connection.
    UntilEof,
    /// It did end.
    Ended,
}

/// Where the next byte of a chunked body stands (RFC 9112 §7.1).
#[derive(Clone, Copy, Debug)]
enum Chunked {
    Size { value: u64, digits: u8 },
    Extension { value: u64 },
    SizeLf { value: u64 },
    Data { left: u64 },
    DataCr,
    DataLf,
    Trailer { line: usize },
    TrailerLf { line: usize },
}

/// A chunk is no longer than its size in this many hexadecimal digits can say; more would be leading zeros.
const MAX_SIZE_DIGITS: u8 = 16;

impl Body {
    /// The body that follows a head with this status. At most `max_len` bytes of it are kept, and at most
    /// `max_overhead` of what a chunked one has besides are read.
    pub(crate) fn new(status: u16, head: &Head, max_len: usize, max_overhead: usize) -> Self {
        let chunked = head.all("transfer-encoding").last().map(|value| value.eq_ignore_ascii_case(b"chunked"));
        let mut lengths = head.all("content-length");
        let framing = match (status, chunked, lengths.next(), lengths.next()) {
            (204 | 304, ..) => Framing::Ended,
            (_, Some(true), ..) => Framing::Chunked(Chunked::Size { value: 0, digits: 0 }),
            (_, None, Some(digits), None) => decimal(digits).map_or(Framing::UntilEof, Framing::Length),
            // Another coding, several lengths, or a length that is none: what comes is shown as it is.
            _ => Framing::UntilEof,
        };
        let framing = if matches!(framing, Framing::Length(0)) { Framing::Ended } else { framing };
        let complete = matches!(framing, Framing::Ended);
        Self { framing, kept: Vec::new(), max_len, overhead: max_overhead, complete }
    }

    /// Takes from the front of `input`; whether the body has ended.
    pub(crate) fn receive(&mut self, input: &mut &mut [u8]) -> bool {
        let mut at = 0;
        while at < input.len() && !self.ended() {
            at += self.step(&input[at..]);
        }
        *input = core::mem::take(input).split_at_mut(at).1;
        self.ended()
    }

    /// The transport ended, and so does a body that has no other end.
    pub(crate) fn receive_eof(&mut self) {
        self.complete |= matches!(self.framing, Framing::UntilEof);
        self.framing = Framing::Ended;
    }

    pub(crate) fn ended(&self) -> bool {
        matches!(self.framing, Framing::Ended)
    }

    /// What was kept, and whether that is the whole body.
    pub(crate) fn finish(self) -> (Vec<u8>, bool) {
        (self.kept, self.complete)
    }

    /// Takes at least one byte, or ends.
    fn step(&mut self, input: &[u8]) -> usize {
        match self.framing {
            Framing::Ended => 0,
            Framing::UntilEof => self.keep(input, u64::MAX),
            Framing::Length(left) => {
                let len = self.keep(input, left);
                if !self.ended() {
                    self.framing = Framing::Length(left - len as u64);
                }
                if left == len as u64 {
                    self.end(true);
                }
                len
            }
            Framing::Chunked(Chunked::Data { left }) => {
                let len = self.keep(input, left);
                if !self.ended() {
                    let left = left - len as u64;
                    self.framing = Framing::Chunked(if left == 0 { Chunked::DataCr } else { Chunked::Data { left } });
                }
                len
            }
            Framing::Chunked(place) => {
                match (self.overhead.checked_sub(1), self.between_data(place, input[0])) {
                    (Some(left), Some(next)) => (self.overhead, self.framing) = (left, next),
                    _ => self.end(false),
                }
                usize::from(self.complete || !self.ended())
            }
        }
    }

    /// Keeps up to `left` bytes, and ends before the first that there is no room for.
    fn keep(&mut self, input: &[u8], left: u64) -> usize {
        let len = usize::try_from(left).unwrap_or(usize::MAX).min(input.len());
        let room = self.max_len - self.kept.len();
        if len > room {
            self.end(false);
        }
        self.kept.extend_from_slice(&input[..len.min(room)]);
        len.min(room)
    }

    fn end(&mut self, complete: bool) {
        self.framing = Framing::Ended;
        self.complete = complete;
    }

    /// One byte that is no data; `None` when it breaks the chunked coding.
    fn between_data(&mut self, place: Chunked, byte: u8) -> Option<Framing> {
        Some(Framing::Chunked(match (place, byte) {
            (Chunked::Size { value, digits }, _) if byte.is_ascii_hexdigit() && digits < MAX_SIZE_DIGITS => {
                let digit = char::from(byte).to_digit(16)?;
                Chunked::Size { value: value << 4 | u64::from(digit), digits: digits + 1 }
            }
            (Chunked::Size { digits: 0, .. }, _) => return None,
            (Chunked::Size { value, .. } | Chunked::Extension { value }, b'\r') => Chunked::SizeLf { value },
            (Chunked::Size { value, .. }, b';' | b' ' | b'\t') => Chunked::Extension { value },
            (Chunked::Extension { value }, _) if byte != b'\n' => Chunked::Extension { value },
            (Chunked::SizeLf { value: 0 }, b'\n') => Chunked::Trailer { line: 0 },
            (Chunked::SizeLf { value }, b'\n') => Chunked::Data { left: value },
            (Chunked::DataCr, b'\r') => Chunked::DataLf,
            (Chunked::DataLf, b'\n') => Chunked::Size { value: 0, digits: 0 },
            (Chunked::Trailer { line }, b'\r') => Chunked::TrailerLf { line },
            (Chunked::Trailer { line }, _) if byte != b'\n' => Chunked::Trailer { line: line + 1 },
            (Chunked::TrailerLf { line: 0 }, b'\n') => {
                self.complete = true;
                return Some(Framing::Ended);
            }
            (Chunked::TrailerLf { .. }, b'\n') => Chunked::Trailer { line: 0 },
            _ => return None,
        }))
    }
}

#[cfg(test)]
mod tests {
    use alloc::{string::String, vec::Vec};

    use super::*;

    /// The body as text and whether it is whole: fed at once, byte by byte, and in every two pieces, ended by EOF.
    fn read(status: u16, fields: &[(&str, &str)], bytes: &str, max_len: usize) -> (String, bool) {
        let run = |cuts: &[&[u8]]| {
            let fields = fields.iter().map(|&(name, value)| (name, value.as_bytes()));
            let mut body = Body::new(status, &Head::from_parts([], fields).0, max_len, 100);
            let mut left = Vec::new();
            for piece in cuts {
                let mut piece = piece.to_vec();
                let mut input = &mut piece[..];
                body.receive(&mut input);
                left.extend_from_slice(input);
            }
            body.receive_eof();
            assert!(body.ended());
            (body.finish(), left)
        };
        let bytes = bytes.as_bytes();
        let whole = run(&[bytes]);
        assert_eq!(whole, run(&bytes.chunks(1).collect::<Vec<_>>()));
        for cut in 0..=bytes.len() {
            assert_eq!(whole, run(&[&bytes[..cut], &bytes[cut..]]));
        }
        (String::from_utf8(whole.0.0).unwrap(), whole.0.1)
    }

    #[test]
    fn a_body_ends_after_its_length_or_with_the_connection() {
        let length = |value| [("Content-Length", value)];
        assert_eq!(read(200, &length("5"), "hello, more", 10), ("hello".into(), true));
        assert_eq!(read(200, &length("5"), "hell", 10), ("hell".into(), false));
        assert_eq!(read(200, &length("5"), "hello", 5), ("hello".into(), true));
        assert_eq!(read(200, &length("5"), "hello", 4), ("hell".into(), false));
        assert_eq!(read(200, &length("0"), "x", 4), (String::new(), true));
        assert_eq!(read(204, &[], "x", 4), (String::new(), true));
        assert_eq!(read(200, &[], "hello", 5), ("hello".into(), true));
        assert_eq!(read(200, &[], "hello", 4), ("hell".into(), false));
        assert_eq!(read(200, &length("five"), "hello", 9), ("hello".into(), true));
        assert_eq!(read(200, &[], "hello", 0), (String::new(), false));
    }

    #[test]
    fn a_chunked_body_is_put_together() {
        let chunked = |bytes| read(200, &[("Transfer-Encoding", "Chunked"), ("Content-Length", "1")], bytes, 8);
        assert_eq!(chunked("5\r\nhello\r\n0\r\n\r\nmore"), ("hello".into(), true));
        assert_eq!(chunked("2;x=y\r\nhe\r\n03 \r\nllo\r\n0\r\nT: v\r\n\r\n"), ("hello".into(), true));
        assert_eq!(chunked("0\r\n\r\n"), (String::new(), true));
        assert_eq!(chunked("9\r\nhello you\r\n0\r\n\r\n"), ("hello yo".into(), false));
        assert_eq!(chunked("5\r\nhel"), ("hel".into(), false));
        for broken in [
            "x",
            "\r\n",
            "5\nhello",
            "5\r\nhello0",
            "5\r\nhello\r0",
            "00000000000000005\r\n",
            "5\rh",
            "0\r\n\n",
            "5;\n",
        ] {
            assert!(!chunked(broken).1, "{broken:?}");
        }
        let endless = String::from("1;") + &"x".repeat(200);
        assert_eq!(chunked(&endless), (String::new(), false));
    }
}
