//! The limit of an echo server: frames are unmasked and sent back without one check.

/// One connection's buffers.
pub struct Raw {
    b: Vec<u8>,
    at: usize,
    end: usize,
    /// What is to be written.
    pub out: Vec<u8>,
}

impl Default for Raw {
    fn default() -> Self {
        Self { b: vec![0; 256 * 1024], at: 0, end: 0, out: Vec::with_capacity(256 * 1024) }
    }
}

impl Raw {
    pub fn new() -> Self {
        Self::default()
    }

    /// Where the next bytes go.
    pub fn room(&mut self) -> &mut [u8] {
        &mut self.b[self.end..]
    }

    /// `n` bytes were put at the front of `room`: all whole frames go to `out`. `false` after a Close.
    pub fn filled(&mut self, n: usize) -> bool {
        self.end += n;
        while self.end - self.at >= 6 {
            let f = &mut self.b[self.at..self.end];
            let (ext, len) = match f[1] & 127 {
                126 => (2, u16::from_be_bytes([f[2], f[3]]) as usize),
                127 if f.len() < 14 => break,
                127 => (8, u64::from_be_bytes(f[2..10].try_into().unwrap()) as usize),
                n => (0, n as usize),
            };
            let start = 2 + ext + 4;
            if f.len() < start + len {
                if self.b.len() - self.at < start + len {
                    self.to_front();
                    if self.b.len() < start + len {
                        self.b.resize(start + len, 0);
                    }
                }
                break;
            }
            if f[0] & 15 == 8 {
                return false;
            }
            let k: [u8; 4] = f[start - 4..start].try_into().unwrap();
            crate::limits::xor_ascii(&mut f[start..start + len], k);
            self.out.extend_from_slice(&[f[0], f[1] & 127]);
            self.out.extend_from_slice(&f[2..2 + ext]);
            self.out.extend_from_slice(&f[start..start + len]);
            self.at += start + len;
        }
        if self.at == self.end {
            self.at = 0;
            self.end = 0;
        } else if self.b.len() - self.end < 4096 {
            self.to_front();
        }
        true
    }

    fn to_front(&mut self) {
        self.b.copy_within(self.at..self.end, 0);
        self.end -= self.at;
        self.at = 0;
    }
}
