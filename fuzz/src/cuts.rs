//! Ways to cut a stream of bytes into the pieces in which it arrives.

/// An endless list of piece lengths, of which the last is cut short by the end of the stream.
#[derive(Clone, Debug)]
pub struct Cuts {
    state: u64,
    longest: usize,
}

impl Cuts {
    /// The cutting number `n`: 0 is the whole, 1 a byte at a time, the others random with a growing longest piece.
    pub fn new(n: u8) -> Self {
        let longest = match n {
            0 => usize::MAX,
            n => 1 << (n % 13),
        };
        let longest = if n == 1 { 1 } else { longest };
        Self { state: (u64::from(n) + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15), longest }
    }

    /// The length of the next piece, at least 1.
    fn next_len(&mut self) -> usize {
        match self.longest {
            1 | usize::MAX => self.longest,
            longest => {
                self.state ^= self.state << 13;
                self.state ^= self.state >> 7;
                self.state ^= self.state << 17;
                1 + (self.state >> 20) as usize % longest
            }
        }
    }

    /// Cuts the next piece off `bytes`. Of an empty stream it is the empty piece.
    pub fn next_piece<'b>(&mut self, bytes: &mut &'b [u8]) -> &'b [u8] {
        let (piece, rest) = bytes.split_at(self.next_len().min(bytes.len()));
        *bytes = rest;
        piece
    }
}
