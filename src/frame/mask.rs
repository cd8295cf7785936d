//! Masking (RFC 6455 §5.3): XOR with a key of four bytes that repeats.

use bytes::BytesMut;

/// XORs `data` with `key`, in place. Doing it twice restores the data.
///
/// `phase` is how many bytes of the payload came before `data`: a payload may be masked in pieces.
///
/// ```
/// let mut payload = *b"\x7f\x9f\x4d\x51\x58"; // RFC 6455 §5.7
/// sansock::frame::mask::apply([0x37, 0xfa, 0x21, 0x3d], 0, &mut payload);
/// assert_eq!(&payload, b"Hello");
/// ```
#[inline]
pub fn apply(key: [u8; 4], phase: usize, data: &mut [u8]) {
    let key = rotate(key, phase);
    #[cfg(feature = "simd-mask")]
    if data.len() >= WIDE_FROM {
        return apply_wide(key, data);
    }
    apply_words(key, data);
}

/// Appends `data` to `out`, masked: in one pass, so that nothing is written twice.
pub(crate) fn append(key: [u8; 4], data: &[u8], out: &mut BytesMut) {
    out.reserve(data.len());
    #[cfg(feature = "simd-mask")]
    if data.len() >= WIDE_FROM {
        fearless_simd::dispatch!(fearless_simd::Level::new(), _simd => append_blocks(key, data, out));
        return;
    }
    append_blocks(key, data, out);
}

#[inline(always)]
#[allow(clippy::inline_always, reason = "it takes on the vectors of the function that it is in")]
fn append_blocks(key: [u8; 4], data: &[u8], out: &mut BytesMut) {
    let (blocks, tail) = data.as_chunks::<BLOCK>();
    for block in blocks {
        let mut masked = *block;
        apply_words(key, &mut masked);
        out.extend_from_slice(&masked);
    }
    let start = out.len();
    out.extend_from_slice(tail);
    apply_words(key, &mut out[start..]);
}

/// A block is masked on its way, in the first-level cache.
const BLOCK: usize = 512;

/// The key that fits the payload `by` bytes further on: its bytes rotated to the left.
// R69, §5.3: "the XOR of octet i of the original data … with octet at index i modulo 4 of the masking key"
#[inline]
pub(crate) fn rotate(key: [u8; 4], by: usize) -> [u8; 4] {
    u32::from_le_bytes(key).rotate_right(8 * (by % 4) as u32).to_le_bytes()
}

/// From here on wider vectors than the compiler may take for granted gain more than finding out about them costs.
#[cfg(feature = "simd-mask")]
const WIDE_FROM: usize = 512;

/// Vectors that lie across two cache lines cost more; from here on it pays to begin where a line does.
#[cfg(feature = "simd-mask")]
const ALIGN_FROM: usize = 4096;
#[cfg(feature = "simd-mask")]
const CACHE_LINE: usize = 64;

/// The same loop, compiled for each kind of vectors and chosen at run time.
#[cfg(feature = "simd-mask")]
#[inline(never)]
fn apply_wide(mut key: [u8; 4], mut data: &mut [u8]) {
    if data.len() >= ALIGN_FROM {
        let (front, rest) = data.split_at_mut(data.as_ptr().align_offset(CACHE_LINE).min(CACHE_LINE));
        apply_words(key, front);
        (key, data) = (rotate(key, front.len()), rest);
    }
    fearless_simd::dispatch!(fearless_simd::Level::new(), _simd => apply_words(key, data));
}

#[inline(always)]
#[allow(clippy::inline_always, reason = "it takes on the vectors of the function that it is in")]
fn apply_words(key: [u8; 4], data: &mut [u8]) {
    // Words of eight bytes are what the compiler makes vectors of; the tail goes by four and one, because in short
    // payloads it is most of the work.
    let key4 = u32::from_ne_bytes(key);
    let key8 = u64::from(key4) << 32 | u64::from(key4);
    let (words, tail) = data.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ key8).to_ne_bytes();
    }
    let (words, tail) = tail.as_chunks_mut::<4>();
    for word in words {
        *word = (u32::from_ne_bytes(*word) ^ key4).to_ne_bytes();
    }
    for (byte, key) in tail.iter_mut().zip(key) {
        *byte ^= key;
    }
}

/// Masks the payload that the caller writes behind the header from
/// [`Connection::send_header`](crate::Connection::send_header).
///
/// A server's does nothing: check [`Masker::is_identity`] to send the payload as it lies.
#[derive(Debug)]
#[must_use = "a client's payload has to be masked"]
pub struct Masker {
    key: Option<[u8; 4]>,
}

impl Masker {
    pub(crate) fn new(key: Option<[u8; 4]>) -> Self {
        Self { key }
    }

    /// Whether the payload goes out unmasked: on a server.
    #[must_use]
    pub fn is_identity(&self) -> bool {
        self.key.is_none()
    }

    /// Masks the next piece of the payload in place. The pieces of one payload go through one masker, in order.
    pub fn apply(&mut self, piece: &mut [u8]) {
        if let Some(key) = &mut self.key {
            apply(*key, 0, piece);
            *key = rotate(*key, piece.len());
        }
    }

    /// Appends the next piece of the payload to `out`, masked on its way; a server's as it is. A long payload that is
    /// masked and written some 16 KiB at a time never leaves the cache of the processor.
    pub fn append(&mut self, piece: &[u8], out: &mut BytesMut) {
        match &mut self.key {
            None => out.extend_from_slice(piece),
            Some(key) => {
                append(*key, piece, out);
                *key = rotate(*key, piece.len());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn appending_masked_equals_masking_in_place() {
        let key = [0x37, 0xFA, 0x21, 0x3D];
        let source: [u8; 1100] = core::array::from_fn(|i| (i * 7) as u8);
        for len in (0..=300).chain([511, 512, 513, 767, 768, 769, 1099]) {
            let mut masked = source;
            apply(key, 0, &mut masked[..len]);
            let mut out = BytesMut::from(&b"before"[..]);
            append(key, &source[..len], &mut out);
            assert_eq!(out.strip_prefix(b"before"), Some(&masked[..len]), "{len}");
        }
    }

    /// R69: every length, alignment and phase, against the definition; cut anywhere, it is the same.
    #[test]
    fn r69_mask_equals_the_definition_at_every_length_alignment_and_phase() {
        let key = [0x37, 0xFA, 0x21, 0x3D];
        let source: [u8; 620] = core::array::from_fn(|i| (i * 7) as u8);
        for len in (0..=300).chain([511, 512, 513, 601]) {
            for align in 0..16 {
                for phase in 0..4 {
                    let mut masked = source;
                    apply(key, phase, &mut masked[align..align + len]);
                    for (i, (&byte, &plain)) in masked[align..align + len].iter().zip(&source[align..]).enumerate() {
                        assert_eq!(byte, plain ^ key[(phase + i) % 4], "{len} {align} {phase} {i}");
                    }
                }
            }
            for cut in 0..=len {
                let (mut whole, mut pieces) = (source, source);
                apply(key, 0, &mut whole[..len]);
                apply(key, 0, &mut pieces[..cut]);
                apply(key, cut, &mut pieces[cut..len]);
                assert_eq!(whole, pieces, "{len} cut at {cut}");
            }
        }
    }

    #[test]
    fn r69_long_payloads_begin_anywhere_in_a_cache_line() {
        let key = [0x37, 0xFA, 0x21, 0x3D];
        let source: [u8; 4300] = core::array::from_fn(|i| (i * 7) as u8);
        for len in [4095, 4096, 4097, 4200] {
            for (align, phase) in (0..=64).map(|align| (align, align % 4)).chain([(1, 3), (2, 1), (5, 2)]) {
                let mut masked = source;
                apply(key, phase, &mut masked[align..align + len]);
                for (i, (&byte, &plain)) in masked[align..align + len].iter().zip(&source[align..]).enumerate() {
                    assert_eq!(byte, plain ^ key[(phase + i) % 4], "{len} {align} {phase} {i}");
                }
                assert_eq!((&masked[..align], &masked[align + len..]), (&source[..align], &source[align + len..]));
            }
        }
    }
}
