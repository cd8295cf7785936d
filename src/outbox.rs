//! [`Outbox`]: output in order, when a part of it is not copied.
//!
//! Most connections need no more than a `BytesMut`. As soon as payloads go out by reference, what the machine appends
//! afterwards must stay behind them; that order is kept here.

use alloc::collections::VecDeque;
use core::mem;
#[cfg(feature = "std")]
use std::io::IoSlice;

use bytes::{Buf, Bytes, BytesMut};

/// What is pushed and no longer than this is copied: cheaper than one more part of a vectored write.
const COPIED: usize = 256;

/// The largest block that an empty outbox keeps for what comes next.
const RETAINED: usize = 64 << 10;

/// Bytes to write, in order: small frames copied into its tail, large and shared ones by reference.
///
/// The calls of a [`Connection`](crate::Connection) append to [`tail`](Self::tail); what has a buffer of its own is
/// [`push`](Self::push)ed behind it. It is a [`Buf`], so that a socket writes it part by part or vectored, and
/// [`advance`](Buf::advance) removes what the socket took. When it is empty it keeps at most 64 KiB of memory.
///
/// ```
/// use bytes::{Buf, Bytes};
/// use sansock::Outbox;
///
/// let shared = Bytes::from(vec![b'x'; 1000]);
/// let mut outbox = Outbox::new();
/// outbox.tail().extend_from_slice(b"before");
/// outbox.push(shared.clone());
/// outbox.tail().extend_from_slice(b"after");
/// assert_eq!(outbox.len(), 1011);
/// assert_eq!(outbox.chunk(), b"before");
/// outbox.advance(6);
/// assert_eq!(outbox.chunk().as_ptr(), shared.as_ptr());
/// ```
#[derive(Debug, Default)]
pub struct Outbox {
    /// The parts that nothing is appended to any more; none is empty.
    frozen: VecDeque<Bytes>,
    /// The bytes of `frozen`.
    frozen_len: usize,
    /// What is behind them.
    tail: BytesMut,
    /// How much was taken from the front of `tail` since it was empty: its block is longer by so much.
    taken: usize,
}

impl Outbox {
    /// An empty outbox. It allocates when something is put into it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Where the next bytes are appended: the `out` of every call of a connection.
    ///
    /// It holds the bytes that were appended since the last [`push`](Self::push) and that are not yet written. Append
    /// only: what is taken out of it is not sent.
    #[inline]
    pub fn tail(&mut self) -> &mut BytesMut {
        &mut self.tail
    }

    /// Puts `part` behind all that is held, and before all that is appended later.
    ///
    /// It is kept by reference, except for a few hundred bytes, which are copied.
    pub fn push(&mut self, part: Bytes) {
        if part.len() <= COPIED {
            self.tail.extend_from_slice(&part);
            return;
        }
        // Taken whole, not split: a frozen header must not pin the block of a tail that grew long.
        let tail = mem::take(&mut self.tail).freeze();
        self.taken = 0;
        for part in [tail, part] {
            if !part.is_empty() {
                self.frozen_len += part.len();
                self.frozen.push_back(part);
            }
        }
    }

    /// All that it holds, part by part in order, as shared bytes: for whoever has to own what it writes, as completion
    /// I/O does. Nothing is copied, and nothing is removed; that is for [`advance`](Buf::advance), when it was written.
    ///
    /// More may be appended meanwhile.
    pub fn parts(&mut self) -> impl Iterator<Item = Bytes> {
        if !self.tail.is_empty() {
            // Split, not taken: when it was written, the tail has its block again.
            self.taken += self.tail.len();
            self.frozen_len += self.tail.len();
            self.frozen.push_back(self.tail.split().freeze());
        }
        self.frozen.iter().cloned()
    }

    /// Passes the first few parts to `write` as slices, for a vectored write.
    #[cfg(feature = "std")]
    pub fn with_slices<T>(&self, write: impl FnOnce(&[IoSlice<'_>]) -> T) -> T {
        let mut slices = [IoSlice::new(&[]); 8];
        let filled = self.chunks_vectored(&mut slices);
        write(&slices[..filled])
    }

    /// The bytes that it holds; what [`Buf::remaining`] says.
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        self.frozen_len + self.tail.len()
    }

    /// Whether all is written.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All that it holds, part by part in order, as slices; none is empty. [`parts`](Self::parts) are the same, to own.
    pub fn slices(&self) -> impl Iterator<Item = &[u8]> {
        self.frozen.iter().map(|part| &part[..]).chain([&self.tail[..]]).filter(|part| !part.is_empty())
    }

    /// Removes from the front of the tail, where nothing is in front of it.
    #[inline]
    fn advance_tail(&mut self, count: usize) {
        if count < self.tail.len() {
            self.taken += count;
            return self.tail.advance(count);
        }
        assert!(count == self.tail.len(), "cannot advance past the end of the outbox");
        if self.tail.capacity() + self.taken > RETAINED {
            self.tail = BytesMut::new();
        } else {
            self.tail.clear();
        }
        self.taken = 0;
    }
}

/// In the order in which it was put in. [`Buf::advance`] panics beyond the end, like that of every other `Buf`.
impl Buf for Outbox {
    #[inline]
    fn remaining(&self) -> usize {
        self.len()
    }

    #[inline]
    fn chunk(&self) -> &[u8] {
        self.frozen.front().map_or(&self.tail[..], |part| part)
    }

    #[inline]
    fn advance(&mut self, mut count: usize) {
        while let Some(part) = self.frozen.front_mut() {
            let taken = count.min(part.len());
            self.frozen_len -= taken;
            count -= taken;
            if taken < part.len() {
                return part.advance(taken);
            }
            self.frozen.pop_front();
        }
        self.advance_tail(count);
    }

    #[cfg(feature = "std")]
    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        slices.iter_mut().zip(self.slices()).map(|(slice, part)| *slice = IoSlice::new(part)).count()
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use proptest::{collection::vec, prelude::*};

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Append(Vec<u8>),
        Push(Vec<u8>),
        /// Writes up to so many of the first parts, of which the socket takes so many bytes.
        Write(usize, usize),
        /// The same with parts of one's own, behind which more is put while they are being written.
        WriteOwned(usize, usize),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let bytes = || prop_oneof![vec(any::<u8>(), 0..20), vec(any::<u8>(), COPIED - 2..COPIED + 200)];
        let step = prop_oneof![
            bytes().prop_map(Step::Append),
            bytes().prop_map(Step::Push),
            (1..4usize, 0..800usize).prop_map(|(parts, bytes)| Step::Write(parts, bytes)),
            (1..4usize, 0..800usize).prop_map(|(parts, bytes)| Step::WriteOwned(parts, bytes)),
        ];
        vec(step, 0..60)
    }

    proptest! {
        #[test]
        fn what_goes_in_comes_out_in_order_however_it_is_written(steps in steps()) {
            let (mut outbox, mut put, mut written) = (Outbox::new(), Vec::new(), Vec::new());
            for step in steps {
                match step {
                    Step::Append(bytes) => {
                        put.extend_from_slice(&bytes);
                        outbox.tail().extend_from_slice(&bytes);
                    }
                    Step::Push(bytes) => {
                        put.extend_from_slice(&bytes);
                        outbox.push(bytes.into());
                    }
                    Step::Write(parts, most) => {
                        let before = written.len();
                        write(&mut outbox, parts, most, &mut written);
                        prop_assert!(outbox.is_empty() || most == 0 || written.len() > before);
                    }
                    Step::WriteOwned(parts, most) => {
                        let parts: Vec<_> = outbox.parts().take(parts).collect();
                        put.extend_from_slice(b"meanwhile");
                        outbox.tail().extend_from_slice(b"meanwhile");
                        let taken: Vec<u8> = parts.iter().flatten().copied().take(most).collect();
                        outbox.advance(taken.len());
                        written.extend_from_slice(&taken);
                    }
                }
                prop_assert_eq!(outbox.len(), put.len() - written.len());
                prop_assert_eq!(outbox.remaining(), outbox.len());
                prop_assert_eq!(outbox.chunk().is_empty(), outbox.is_empty());
            }
            while outbox.has_remaining() {
                write(&mut outbox, 2, 300, &mut written);
            }
            prop_assert!(written == put);
        }
    }

    /// A socket that takes at most `most` bytes of the first `parts`.
    #[cfg(feature = "std")]
    fn write(outbox: &mut Outbox, parts: usize, most: usize, written: &mut Vec<u8>) {
        let mut slices = [IoSlice::new(&[]); 4];
        let filled = outbox.chunks_vectored(&mut slices[..parts]);
        assert!(slices[..filled].iter().all(|slice| !slice.is_empty()));
        let taken: Vec<u8> = slices[..filled].iter().flat_map(|slice| slice.iter().copied()).take(most).collect();
        outbox.advance(taken.len());
        written.extend_from_slice(&taken);
    }

    /// The same without vectored output: part by part.
    #[cfg(not(feature = "std"))]
    fn write(outbox: &mut Outbox, parts: usize, most: usize, written: &mut Vec<u8>) {
        for _ in 0..parts {
            let taken = outbox.chunk().len().min(most);
            written.extend_from_slice(&outbox.chunk()[..taken]);
            outbox.advance(taken);
        }
    }

    #[test]
    fn a_long_part_is_not_copied() {
        let part = Bytes::copy_from_slice(&[7; COPIED + 1]);
        let mut outbox = Outbox::new();
        outbox.push(part.clone());
        assert_eq!(outbox.chunk().as_ptr(), part.as_ptr());
    }

    #[test]
    fn a_short_part_joins_the_tail() {
        let mut outbox = Outbox::new();
        outbox.tail().extend_from_slice(b"ab");
        outbox.push(Bytes::from_static(b"cd"));
        outbox.push(Bytes::new());
        outbox.tail().extend_from_slice(b"ef");
        assert_eq!(outbox.chunk(), b"abcdef");
    }

    #[test]
    fn the_block_of_the_tail_is_used_again_after_its_parts_are_written() {
        let mut outbox = Outbox::new();
        outbox.tail().reserve(4096);
        let block = outbox.tail().as_ptr() as usize;
        for _ in 0..100 {
            outbox.tail().extend_from_slice(&[1; 1000]);
            let parts: Vec<_> = outbox.parts().collect();
            assert!((block..block + 4096).contains(&(parts[0].as_ptr() as usize)), "neither copied nor elsewhere");
            assert_eq!((parts.len(), parts[0].len(), outbox.len()), (1, 1000, 1000));
            drop(parts);
            outbox.advance(1000);
        }
    }

    #[test]
    fn a_long_block_is_given_back_after_its_parts_are_written() {
        let mut outbox = Outbox::new();
        outbox.tail().extend_from_slice(&alloc::vec![3; RETAINED + 1]);
        assert_eq!(outbox.parts().count(), 1);
        outbox.advance(RETAINED + 1);
        assert_eq!(outbox.tail().capacity(), 0);
    }

    #[test]
    fn an_empty_outbox_keeps_a_short_block_and_gives_a_long_one_back() {
        let mut outbox = Outbox::new();
        outbox.tail().extend_from_slice(&[1; 1000]);
        let block = outbox.chunk().as_ptr();
        outbox.advance(1000);
        outbox.tail().extend_from_slice(&[2; 1000]);
        assert_eq!(outbox.chunk().as_ptr(), block, "the block of a short frame is used again");

        outbox.tail().extend_from_slice(&alloc::vec![3; RETAINED]);
        for taken in [RETAINED, 999, 1] {
            outbox.advance(taken);
        }
        assert_eq!(outbox.tail().capacity(), 0, "also when the last bytes of it leave one by one");
    }

    #[test]
    #[should_panic(expected = "past the end")]
    fn advancing_past_the_end_panics() {
        let mut outbox = Outbox::new();
        outbox.tail().extend_from_slice(b"abc");
        outbox.advance(4);
    }
}
