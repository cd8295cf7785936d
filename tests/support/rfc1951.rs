//! DEFLATE (RFC 1951) twice more, for the tests to compare with: an inflater and a deflater written from the document
//! alone, bit by bit and slow, that share no line with the ones that the crate uses.
#![allow(dead_code, reason = "each test binary uses its part")]

/// What a receiver appends to a compressed message (RFC 7692 §7.2.2).
pub(crate) const TAIL: [u8; 4] = [0x00, 0x00, 0xFF, 0xFF];
const MAX_DISTANCE: usize = 1 << 15;

const LEN_BASE: [u16; 29] =
    [3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258];
const LEN_EXTRA: [u32; 29] = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];
const DISTANCE_BASE: [u16; 30] = [
    1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145,
    8193, 12289, 16385, 24577,
];
const DISTANCE_EXTRA: [u32; 30] =
    [0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13];

/// Why decoding went no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    /// The bits are used up, in the middle of something.
    Short,
    /// No DEFLATE data.
    Invalid,
}

/// The receiving end of a connection's compressed messages.
#[derive(Clone, Debug, Default)]
pub(crate) struct Inflater {
    history: Vec<u8>,
    /// The greatest distance that was ever used.
    pub(crate) farthest: usize,
}

/// What a compressed message is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Inflated {
    /// Its data; of a broken message what came before.
    pub(crate) data: Vec<u8>,
    pub(crate) complete: bool,
    /// How much of it came before the tail was needed: all, unless the tail passes for data.
    pub(crate) before_tail: usize,
}

impl Inflater {
    /// The payload of the next message. Complete is what ends, with the tail, exactly at the end of a block and of a
    /// byte, or without it at the end of a final block.
    pub(crate) fn message(&mut self, payload: &[u8]) -> Inflated {
        let mut alone = Run::new(payload, &self.history);
        let outcome = if payload.is_empty() { Ok(()) } else { alone.streams() };
        if let (Ok(()), true) = (outcome, payload.is_empty() || alone.fresh) {
            return self.completed(&alone, alone.made().len());
        }
        let before_tail = alone.made().len();
        let broken = Inflated { data: alone.made().to_vec(), complete: false, before_tail };
        if outcome == Err(Stop::Invalid) {
            return broken;
        }
        let with_tail = [payload, &TAIL].concat();
        let mut run = Run::new(&with_tail, &self.history);
        match run.streams() {
            Ok(()) => self.completed(&run, before_tail),
            Err(_) => broken,
        }
    }

    /// The message is over, and nothing of it is kept.
    pub(crate) fn forget(&mut self) {
        self.history.clear();
    }

    fn completed(&mut self, run: &Run<'_>, before_tail: usize) -> Inflated {
        let data = run.made().to_vec();
        self.farthest = self.farthest.max(run.farthest);
        self.history = run.output[run.start..].to_vec();
        let surplus = self.history.len().saturating_sub(MAX_DISTANCE);
        self.history.drain(..surplus);
        Inflated { data, complete: true, before_tail }
    }
}

/// A walk over some bytes.
struct Run<'a> {
    bytes: &'a [u8],
    /// Of the next bit.
    at: usize,
    /// What was there before, then what is made.
    output: Vec<u8>,
    history: usize,
    /// Where the data of the present stream begins: no distance reaches beyond.
    start: usize,
    /// A final block was the last thing.
    fresh: bool,
    farthest: usize,
}

impl<'a> Run<'a> {
    fn new(bytes: &'a [u8], history: &[u8]) -> Self {
        let (output, history) = (history.to_vec(), history.len());
        Self { bytes, at: 0, output, history, start: 0, fresh: false, farthest: 0 }
    }

    fn made(&self) -> &[u8] {
        &self.output[self.history..]
    }

    /// Blocks, up to one that ends with the last byte.
    fn streams(&mut self) -> Result<(), Stop> {
        loop {
            self.fresh = false;
            let last = self.bits(1)? == 1;
            match self.bits(2)? {
                0 => self.stored()?,
                1 => {
                    let lens: Vec<u8> = (0..288).map(fixed_len).collect();
                    self.compressed(&Code::new(&lens), &Code::new(&[5; 30]))?;
                }
                2 => self.dynamic()?,
                _ => return Err(Stop::Invalid),
            }
            if last {
                self.at = self.at.next_multiple_of(8);
                self.start = self.output.len();
                self.fresh = true;
            }
            if self.at == 8 * self.bytes.len() {
                return Ok(());
            }
        }
    }

    fn bits(&mut self, count: u32) -> Result<usize, Stop> {
        let mut value = 0;
        for bit in 0..count {
            let byte = self.bytes.get(self.at / 8).ok_or(Stop::Short)?;
            value |= usize::from(byte >> (self.at % 8) & 1) << bit;
            self.at += 1;
        }
        Ok(value)
    }

    fn stored(&mut self) -> Result<(), Stop> {
        self.at = self.at.next_multiple_of(8);
        let (len, complement) = (self.bits(16)?, self.bits(16)?);
        if len != complement ^ 0xFFFF {
            return Err(Stop::Invalid);
        }
        for _ in 0..len {
            let byte = self.bits(8)?;
            self.output.push(byte as u8);
        }
        Ok(())
    }

    fn dynamic(&mut self) -> Result<(), Stop> {
        let (literals, distances, lens) = (self.bits(5)? + 257, self.bits(5)? + 1, self.bits(4)? + 4);
        if literals > 286 || distances > 30 {
            return Err(Stop::Invalid);
        }
        let mut code_lens = [0; 19];
        for place in &[16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15][..lens] {
            code_lens[*place] = self.bits(3)? as u8;
        }
        let code = Code::new(&code_lens);
        if !code.is_complete() {
            return Err(Stop::Invalid);
        }
        let mut all = Vec::new();
        while all.len() < literals + distances {
            let (value, times) = match self.symbol(&code)? {
                16 => (*all.last().ok_or(Stop::Invalid)?, 3 + self.bits(2)?),
                17 => (0, 3 + self.bits(3)?),
                18 => (0, 11 + self.bits(7)?),
                len => (len as u8, 1),
            };
            all.extend(vec![value; times]);
        }
        if all.len() > literals + distances || all[256] == 0 {
            return Err(Stop::Invalid);
        }
        let (literals, distances) = (Code::new(&all[..literals]), Code::new(&all[literals..]));
        // "If only one distance code is used, it is encoded using one bit"; none is used by literals alone.
        if !literals.is_complete() && !literals.is_one_bit() {
            return Err(Stop::Invalid);
        }
        if !distances.is_complete() && !distances.is_one_bit() && distances.left != 1 << 15 {
            return Err(Stop::Invalid);
        }
        self.compressed(&literals, &distances)
    }

    fn compressed(&mut self, literals: &Code, distances: &Code) -> Result<(), Stop> {
        loop {
            let symbol = self.symbol(literals)?;
            match symbol {
                0..=255 => self.output.push(symbol as u8),
                256 => return Ok(()),
                257..=285 => {
                    let len = usize::from(LEN_BASE[symbol - 257]) + self.bits(LEN_EXTRA[symbol - 257])?;
                    let symbol = self.symbol(distances)?;
                    let distance = usize::from(DISTANCE_BASE[symbol]) + self.bits(DISTANCE_EXTRA[symbol])?;
                    if distance > self.output.len() - self.start {
                        return Err(Stop::Invalid);
                    }
                    self.farthest = self.farthest.max(distance);
                    for _ in 0..len {
                        self.output.push(self.output[self.output.len() - distance]);
                    }
                }
                _ => return Err(Stop::Invalid),
            }
        }
    }

    fn symbol(&mut self, code: &Code) -> Result<usize, Stop> {
        let mut read = 0;
        for len in 1..=15 {
            read = read << 1 | self.bits(1)?;
            if let Some(symbol) = code.find(len, read) {
                return Ok(symbol);
            }
            if code.is_one_bit() || code.left == 1 << 15 {
                return Err(Stop::Invalid);
            }
        }
        Err(Stop::Invalid)
    }
}

/// The code lengths of §3.2.6.
fn fixed_len(symbol: usize) -> u8 {
    match symbol {
        144..=255 => 9,
        256..=279 => 7,
        _ => 8,
    }
}

/// A prefix code, from the lengths of its words (§3.2.2).
struct Code {
    /// By the length of the word: the first one, and the symbols in order.
    words: Vec<(usize, Vec<usize>)>,
    /// What is left of the space of 2^15 words; negative if there are too many.
    left: i64,
}

impl Code {
    fn new(lens: &[u8]) -> Self {
        let (mut words, mut first, mut left) = (vec![(0, Vec::new())], 0, 1 << 15);
        for len in 1..=15 {
            let symbols: Vec<usize> = (0..lens.len()).filter(|&symbol| usize::from(lens[symbol]) == len).collect();
            first <<= 1;
            let next = first + symbols.len();
            left -= i64::try_from(symbols.len() << (15 - len)).unwrap();
            words.push((first, symbols));
            first = next;
        }
        Self { words, left }
    }

    fn is_complete(&self) -> bool {
        self.left == 0
    }

    fn is_one_bit(&self) -> bool {
        self.left == 1 << 14 && self.words[1].1.len() == 1
    }

    fn find(&self, len: usize, word: usize) -> Option<usize> {
        let (first, symbols) = &self.words[len];
        symbols.get(word.checked_sub(*first)?).copied()
    }
}

/// The sending end: fixed codes, and the nearest match for three bytes, found by looking.
#[derive(Clone, Debug)]
pub(crate) struct Deflater {
    history: Vec<u8>,
    window: usize,
}

impl Deflater {
    /// With a window of 2^`bits` bytes, all of which is used, unlike by others.
    pub(crate) fn new(bits: u8) -> Self {
        Self { history: Vec::new(), window: 1 << bits }
    }

    /// The payload of a message (RFC 7692 §7.2.1).
    pub(crate) fn message(&mut self, data: &[u8]) -> Vec<u8> {
        let mut bits = Bits::default();
        bits.put(0b010, 3);
        self.block(data, &mut bits);
        bits.put(0b000, 3);
        bits.bytes
    }

    pub(crate) fn forget(&mut self) {
        self.history.clear();
    }

    fn block(&mut self, data: &[u8], bits: &mut Bits) {
        let start = self.history.len();
        self.history.extend(data);
        let all = &self.history;
        let mut latest = std::collections::HashMap::new();
        for at in 0..start.saturating_sub(2) {
            latest.insert(&all[at..at + 3], at);
        }
        let (mut at, mut known) = (start, start.saturating_sub(2));
        while at < all.len() {
            while known < at {
                if let Some(three) = all.get(known..known + 3) {
                    latest.insert(three, known);
                }
                known += 1;
            }
            let found =
                all.get(at..at + 3).and_then(|three| latest.get(three)).filter(|&&from| at - from <= self.window);
            let Some(&from) = found else {
                bits.put_literal(usize::from(all[at]));
                at += 1;
                continue;
            };
            let most = (all.len() - at).min(258);
            let len = (0..most).take_while(|&n| all[from + n] == all[at + n]).count();
            bits.put_match(len, at - from);
            at += len;
        }
        bits.put_literal(256);
        let surplus = self.history.len().saturating_sub(self.window);
        self.history.drain(..surplus);
    }
}

/// A stream of bits, for handmade messages.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bits {
    pub(crate) bytes: Vec<u8>,
    used: usize,
}

impl Bits {
    /// The lowest `count` bits of `value`, lowest first.
    pub(crate) fn put(&mut self, value: usize, count: u32) -> &mut Self {
        for bit in 0..count {
            if self.used.is_multiple_of(8) {
                self.bytes.push(0);
            }
            *self.bytes.last_mut().expect("pushed") |= ((value >> bit & 1) as u8) << (self.used % 8);
            self.used += 1;
        }
        self
    }

    /// Bytes, behind an empty stored block that ends with a byte.
    pub(crate) fn put_bytes(&mut self, bytes: &[u8]) -> &mut Self {
        if !self.used.is_multiple_of(8) {
            self.put(0, 3).bytes.extend(TAIL);
        }
        self.bytes.extend(bytes);
        self.align()
    }

    /// Zeros up to the next byte.
    pub(crate) fn align(&mut self) -> &mut Self {
        self.used = 8 * self.bytes.len();
        self
    }

    /// A word of a prefix code, highest bit first.
    pub(crate) fn put_word(&mut self, word: usize, len: u32) -> &mut Self {
        for bit in (0..len).rev() {
            self.put(word >> bit & 1, 1);
        }
        self
    }

    /// A symbol in the fixed code of §3.2.6.
    pub(crate) fn put_literal(&mut self, symbol: usize) -> &mut Self {
        match symbol {
            0..=143 => self.put_word(0x30 + symbol, 8),
            144..=255 => self.put_word(0x190 + symbol - 144, 9),
            256..=279 => self.put_word(symbol - 256, 7),
            _ => self.put_word(0xC0 + symbol - 280, 8),
        }
    }

    /// A match in the fixed codes.
    pub(crate) fn put_match(&mut self, len: usize, distance: usize) -> &mut Self {
        let place = LEN_BASE.iter().rposition(|&base| usize::from(base) <= len).expect("3 to 258");
        self.put_literal(257 + place).put(len - usize::from(LEN_BASE[place]), LEN_EXTRA[place]);
        let place = DISTANCE_BASE.iter().rposition(|&base| usize::from(base) <= distance).expect("1 to 32768");
        self.put_word(place, 5).put(distance - usize::from(DISTANCE_BASE[place]), DISTANCE_EXTRA[place])
    }
}

/// A message of 1 + 258 × `matches` zero bytes in two bits for each match, the most that DEFLATE can do: 1032 to 1.
pub(crate) fn bomb(matches: usize) -> Vec<u8> {
    let mut bits = Bits::default();
    // A dynamic block with all 286 literals, one distance, and 18 lengths of lengths: of 18 one bit, of 2 and 1 two.
    bits.put(0b100, 3).put(29, 5).put(0, 5).put(14, 4);
    for place in 0..18 {
        bits.put([0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 2][place], 3);
    }
    // The literal 0 in two bits, 138 + 117 zeros, the end in two bits, 28 zeros, the length 258 and the distance in
    // one.
    bits.put_word(0b11, 2).put(0, 1).put(127, 7).put(0, 1).put(106, 7).put_word(0b11, 2).put(0, 1).put(17, 7);
    bits.put_word(0b10, 2).put_word(0b10, 2);
    bits.put_word(0b10, 2);
    for _ in 0..matches {
        bits.put(0, 2);
    }
    bits.put_word(0b11, 2).put(0, 3);
    bits.bytes
}
