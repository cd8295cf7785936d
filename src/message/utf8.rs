//! Text is UTF-8 (RFC 6455 §5.6, §8.1), validated as it arrives: each byte once, each error at the first byte that
//! no valid text can have there.

use crate::error::Error;

/// Bytes that are no UTF-8 (RFC 3629).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Invalid;

impl From<Invalid> for Error {
    // R93, §8.1: "When an endpoint is to interpret a byte stream as UTF-8 but finds that the byte stream is not, in
    // fact, a valid UTF-8 stream, that endpoint MUST _Fail the WebSocket Connection_."
    fn from(_: Invalid) -> Self {
        Self::InvalidUtf8
    }
}

/// The whole of `bytes` as text.
#[inline]
pub(crate) fn from_utf8(bytes: &[u8]) -> Result<&str, Invalid> {
    #[cfg(feature = "simd-utf8")]
    return simdutf8::basic::from_utf8(bytes).map_err(|_| Invalid);
    #[cfg(not(feature = "simd-utf8"))]
    return core::str::from_utf8(bytes).map_err(|_| Invalid);
}

/// The text before the first invalid byte, and before the character that it broke.
pub(crate) fn valid_prefix(bytes: &[u8]) -> &str {
    match core::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => core::str::from_utf8(&bytes[..error.valid_up_to()]).expect("valid up to there"),
    }
}

/// The start of a character whose rest has not arrived: between two calls it is all that is kept of a text.
// R92, §5.6: "a particular text frame might include a partial UTF-8 sequence; however, the whole message MUST contain
// valid UTF-8."
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cut {
    bytes: [u8; 3],
    len: u8,
}

impl Cut {
    /// How many bytes complete the character; 0 when none is cut.
    #[inline]
    pub(crate) fn missing(self) -> usize {
        match self.len {
            0 => 0,
            len => char_len(self.bytes[0]) - usize::from(len),
        }
    }

    /// Takes at most [`Cut::missing`] bytes; the character, once it is whole.
    pub(crate) fn complete(&mut self, more: &[u8]) -> Result<Option<char>, Invalid> {
        if more.is_empty() {
            return Ok(None);
        }
        let (len, total) = (usize::from(self.len), usize::from(self.len) + more.len());
        let mut buffer = [0; 4];
        buffer[..len].copy_from_slice(&self.bytes[..len]);
        buffer[len..total].copy_from_slice(more);
        let bytes = &buffer[..total];
        if total < char_len(bytes[0]) {
            *self = Self::start_of(bytes)?;
            return Ok(None);
        }
        *self = Self::default();
        core::str::from_utf8(bytes).map(|text| text.chars().next()).map_err(|_| Invalid)
    }

    /// Validates a piece that begins with a character, and keeps the start of the one that it is cut in.
    pub(crate) fn validate<'p>(&mut self, piece: &'p [u8]) -> Result<&'p str, Invalid> {
        if piece.is_empty() {
            return Ok("");
        }
        // Only a character that begins in the last three bytes can be cut.
        let tail = piece.len().saturating_sub(3);
        let cut = piece[tail..]
            .iter()
            .rposition(|&byte| byte & 0xC0 != 0x80)
            .map(|lead| tail + lead)
            .filter(|&lead| char_len(piece[lead]) > piece.len() - lead);
        let (whole, start) = piece.split_at(cut.unwrap_or(piece.len()));
        *self = Self::start_of(start)?;
        from_utf8(whole)
    }

    /// `bytes`, if some character can begin so.
    fn start_of(bytes: &[u8]) -> Result<Self, Invalid> {
        // R94: the second byte decides about overlong forms, surrogates and the end of Unicode.
        let second = match bytes.first() {
            Some(0xE0) => 0xA0..=0xBF,
            Some(0xED) => 0x80..=0x9F,
            Some(0xF0) => 0x90..=0xBF,
            Some(0xF4) => 0x80..=0x8F,
            _ => 0x80..=0xBF,
        };
        if bytes.get(1).is_some_and(|byte| !second.contains(byte))
            || bytes.get(2).is_some_and(|byte| byte & 0xC0 != 0x80)
        {
            return Err(Invalid);
        }
        let mut cut = Self::default();
        cut.bytes[..bytes.len()].copy_from_slice(bytes);
        cut.len = bytes.len() as u8;
        Ok(cut)
    }
}

/// How long a character with this first byte is; 1 for a byte that begins none, which validation will refuse.
fn char_len(lead: u8) -> usize {
    match lead {
        0xC2..=0xDF => 2,
        0xE0..=0xEF => 3,
        0xF0..=0xF4 => 4,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use alloc::{string::String, vec::Vec};

    use super::*;

    /// Feeds `pieces`: the text, or how many bytes were fed when the verdict fell.
    fn feed<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<String, usize> {
        let (mut text, mut cut, mut fed) = (String::new(), Cut::default(), 0);
        for mut piece in pieces {
            while !piece.is_empty() {
                let missing = cut.missing().min(piece.len());
                let (now, later) = piece.split_at(if missing > 0 { missing } else { piece.len() });
                fed += now.len();
                if missing > 0 {
                    text.extend(cut.complete(now).map_err(|_| fed)?);
                } else {
                    text.push_str(cut.validate(now).map_err(|_| fed)?);
                }
                piece = later;
            }
        }
        if cut.missing() == 0 { Ok(text) } else { Err(fed) }
    }

    /// The first byte after which no continuation is valid, by trying std on every prefix.
    fn first_bad(bytes: &[u8]) -> Option<usize> {
        (1..=bytes.len()).find(|&n| core::str::from_utf8(&bytes[..n]).is_err_and(|e| e.error_len().is_some()))
    }

    fn check(bytes: &[u8]) {
        let expected = core::str::from_utf8(bytes);
        let fed = feed(bytes.chunks(1));
        match (&expected, first_bad(bytes)) {
            (Ok(text), _) => assert_eq!(fed.as_deref(), Ok(*text), "{bytes:x?}"),
            (Err(_), Some(bad)) => assert_eq!(fed, Err(bad), "{bytes:x?}: verdict at the byte that proves it"),
            (Err(_), None) => assert_eq!(fed, Err(bytes.len()), "{bytes:x?}: ends inside a character"),
        }
        for cut in 0..=bytes.len() {
            let (a, b) = bytes.split_at(cut);
            assert_eq!(feed([a, b]).ok().as_deref(), expected.ok(), "{bytes:x?} cut at {cut}");
        }
    }

    /// R94: all strings of one and two bytes, and those of three and four that begin a long character.
    #[test]
    fn r94_agrees_with_std_on_every_short_string() {
        for a in 0..=255 {
            check(&[a]);
            for b in 0..=255 {
                check(&[a, b]);
            }
        }
        let edges = [0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC2, 0xE0, 0xF0, 0xFF];
        for a in 0xE0..=0xFF {
            for (b, c) in edges.into_iter().flat_map(|b| edges.map(|c| (b, c))) {
                check(&[a, b, c]);
                for d in edges {
                    check(&[a, b, c, d]);
                }
            }
        }
    }

    /// R94: all strings of three bytes, and of four with a lead F0 to F7.
    #[test]
    #[ignore = "half a minute in release"]
    fn r94_agrees_with_std_on_all_strings_of_three_and_four_bytes() {
        for n in 0..=0xFF_FFFF_u32 {
            let [_, a, b, c] = n.to_be_bytes();
            assert_eq!(feed([&[a, b, c][..]]).ok().as_deref(), core::str::from_utf8(&[a, b, c]).ok());
            assert_eq!(feed([a, b, c].chunks(1)).ok().as_deref(), core::str::from_utf8(&[a, b, c]).ok());
        }
        for n in 0xF000_0000..=0xF7FF_FFFF_u32 {
            let bytes = n.to_be_bytes();
            assert_eq!(feed([&bytes[..]]).ok().as_deref(), core::str::from_utf8(&bytes).ok());
        }
    }

    /// R92: every split of a two-, a three- and a four-byte character.
    #[test]
    fn r92_characters_survive_every_split() {
        let text = "aé€😀z";
        for a in 0..=text.len() {
            for b in a..=text.len() {
                let bytes = text.as_bytes();
                assert_eq!(feed([&bytes[..a], &bytes[a..b], &bytes[b..]]).as_deref(), Ok(text), "{a} {b}");
            }
        }
        assert_eq!(feed(text.as_bytes().chunks(1)).as_deref(), Ok(text));
    }

    #[test]
    fn valid_prefix_ends_before_the_broken_character() {
        assert_eq!(valid_prefix(b"a\xC3\xA9\xE2\x82("), "aé");
        assert_eq!(valid_prefix(&[0xFF]), "");
        assert_eq!(Vec::from(valid_prefix(b"ok")), b"ok");
    }
}
