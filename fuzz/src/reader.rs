//! A second reader of frames, written from RFC 6455 alone: one byte after the other, with no shortcut. It serves as the
//! oracle of what a connection must make of its input, and as the strict peer that judges its output.

use sansock::Kind;

use crate::trace::{Entry, Trace};

/// What a reader demands.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Whether the frames must be masked; otherwise they must not be (§5.1).
    pub masked: bool,
    /// Whether messages are reported part by part.
    pub parts: bool,
    pub max_message: u64,
    pub max_frame: u64,
    pub max_fragments: u64,
    /// Whether reading goes on behind a Close, where only Pongs may follow: how an endpoint's own output is judged.
    /// §5.5.1 forbids data after a Close, and §5.5.2 demands Pongs until the peer's Close came.
    pub pongs_after_close: bool,
}

impl Rules {
    /// The rules for what a server, or else a client, sends, with no limit.
    pub fn for_output_of(server: bool) -> Self {
        let none = u64::MAX;
        Self {
            masked: !server,
            parts: false,
            max_message: none,
            max_frame: none,
            max_fragments: none,
            pongs_after_close: true,
        }
    }
}

/// How far the stream has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stand {
    Reading,
    /// The peer's Close came; the rest means nothing.
    Closed,
    /// A byte broke a rule: the close code that says which.
    Failed(u16),
}

#[derive(Debug)]
pub struct Reader {
    rules: Rules,
    stand: Stand,
    trace: Trace,
    header: Vec<u8>,
    /// Payload bytes that the current frame still lacks; `None` in a header.
    left: Option<u64>,
    taken: usize,
    key: Option<[u8; 4]>,
    keys: Vec<Option<[u8; 4]>>,
    control: Vec<u8>,
    message: Option<Message>,
    closed: bool,
}

#[derive(Debug)]
struct Message {
    kind: Kind,
    data: Vec<u8>,
    /// The bytes of a character that is not complete.
    broken: Vec<u8>,
    announced: u64,
    fragments: u64,
}

impl Reader {
    pub fn new(rules: Rules) -> Self {
        Self {
            rules,
            stand: Stand::Reading,
            trace: Trace::default(),
            header: Vec::new(),
            left: None,
            taken: 0,
            key: None,
            keys: Vec::new(),
            control: Vec::new(),
            message: None,
            closed: false,
        }
    }

    pub fn push_all(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.push(byte);
        }
    }

    /// Takes the next byte of the stream.
    pub fn push(&mut self, byte: u8) {
        if self.stand != Stand::Reading {
            return;
        }
        let verdict = match self.left {
            None => self.push_header(byte),
            Some(_) => self.push_payload(byte),
        };
        if let Err(code) = verdict {
            self.stand = Stand::Failed(code);
        }
    }

    pub fn stand(&self) -> &Stand {
        &self.stand
    }

    pub fn trace(&self) -> &Trace {
        &self.trace
    }

    /// Forgets what was read.
    pub fn take_trace(&mut self) -> Vec<Entry> {
        std::mem::take(&mut self.trace.0)
    }

    /// The masking keys of all frames.
    pub fn keys(&self) -> &[Option<[u8; 4]>] {
        &self.keys
    }

    /// Whether no frame is under way.
    pub fn between_frames(&self) -> bool {
        self.left.is_none() && self.header.is_empty()
    }

    fn opcode(&self) -> u8 {
        self.header[0] & 15
    }

    fn is_control(&self) -> bool {
        self.opcode() >= 8
    }

    fn is_final(&self) -> bool {
        self.header[0] >= 128
    }

    /// §5.2: each rule is judged at the byte that can break it.
    fn push_header(&mut self, byte: u8) -> Result<(), u16> {
        self.header.push(byte);
        let header = &self.header[..];
        let at = header.len();
        if at == 1 {
            let bad = header[0] & 0b0111_0000 != 0
                || matches!(self.opcode(), 3..=7 | 11..=15)
                || (self.is_control() && !self.is_final())
                || (self.opcode() == 0 && self.message.is_none())
                || (matches!(self.opcode(), 1 | 2) && self.message.is_some())
                || (self.closed && self.opcode() != 10);
            return if bad { Err(1002) } else { Ok(()) };
        }
        let short = header[1] & 127;
        if at == 2 && ((header[1] >= 128) != self.rules.masked || (self.is_control() && short > 125)) {
            return Err(1002);
        }
        let len_bytes = match short {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        if len_bytes == 8 && (at == 3 && header[2] >= 128 || at == 8 && header[2..8].iter().all(|&byte| byte == 0)) {
            return Err(1002);
        }
        if at < 2 + len_bytes {
            return Ok(());
        }
        let long = header[2..2 + len_bytes].iter().fold(0, |len, &byte| len << 8 | u64::from(byte));
        let len = if len_bytes == 0 { u64::from(short) } else { long };
        if at == 2 + len_bytes {
            if len_bytes == 2 && len < 126 {
                return Err(1002);
            }
            if !self.is_control() {
                let (announced, fragments) = self.message.as_ref().map_or((0, 0), |m| (m.announced, m.fragments));
                let total = u128::from(announced) + u128::from(len);
                if len > self.rules.max_frame
                    || total > u128::from(self.rules.max_message)
                    || fragments + 1 > self.rules.max_fragments
                {
                    return Err(1009);
                }
            }
        }
        let key_bytes = if self.rules.masked { 4 } else { 0 };
        if at < 2 + len_bytes + key_bytes {
            return Ok(());
        }
        self.key = header[2 + len_bytes..].try_into().ok();
        self.keys.push(self.key);
        self.begin(len);
        if len == 0 { self.end_frame() } else { Ok(()) }
    }

    fn begin(&mut self, len: u64) {
        self.left = Some(len);
        self.taken = 0;
        if self.is_control() {
            return;
        }
        let kind = if self.opcode() == 1 { Kind::Text } else { Kind::Binary };
        let new = || Message { kind, data: Vec::new(), broken: Vec::new(), announced: 0, fragments: 0 };
        let message = self.message.get_or_insert_with(new);
        message.announced += len;
        message.fragments += 1;
    }

    fn push_payload(&mut self, byte: u8) -> Result<(), u16> {
        let byte = byte ^ self.key.map_or(0, |key| key[self.taken % 4]);
        self.taken += 1;
        let left = self.left.as_mut().expect("in a payload");
        *left -= 1;
        let last = *left == 0;
        if self.is_control() {
            self.control.push(byte);
        } else {
            let message = self.message.as_mut().expect("a data frame opened it");
            message.broken.push(byte);
            // §8.1, and no later than at the first byte that no character can have there.
            let whole = match std::str::from_utf8(&message.broken) {
                _ if message.kind == Kind::Binary => true,
                Ok(_) => true,
                Err(error) if error.error_len().is_some() => return Err(1007),
                Err(_) => false,
            };
            if whole && self.rules.parts {
                self.trace.push(Entry::Part(message.kind, std::mem::take(&mut message.broken), false));
            } else if whole {
                message.data.append(&mut message.broken);
            }
        }
        if last { self.end_frame() } else { Ok(()) }
    }

    fn end_frame(&mut self) -> Result<(), u16> {
        self.left = None;
        if self.is_control() {
            self.end_control()?;
        } else if self.is_final() {
            let message = self.message.take().expect("a data frame opened it");
            if !message.broken.is_empty() {
                return Err(1007);
            }
            self.trace.push(if self.rules.parts {
                Entry::Part(message.kind, Vec::new(), true)
            } else {
                Entry::Message(message.kind, message.data)
            });
        }
        self.header.clear();
        Ok(())
    }

    fn end_control(&mut self) -> Result<(), u16> {
        let payload = std::mem::take(&mut self.control);
        match self.opcode() {
            9 => self.trace.push(Entry::Ping(payload)),
            10 => self.trace.push(Entry::Pong(payload)),
            _ => {
                let body = match payload[..] {
                    [] => None,
                    [_] => return Err(1002),
                    [high, low, ref reason @ ..] => {
                        let code = u16::from(high) * 256 + u16::from(low);
                        // §7.4.1, §7.4.2 and the IANA registry
                        if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
                            return Err(1002);
                        }
                        Some((code, String::from_utf8(reason.to_vec()).map_err(|_| 1007_u16)?))
                    }
                };
                self.trace.push(Entry::Close(body));
                self.closed = true;
                if !self.rules.pongs_after_close {
                    self.stand = Stand::Closed;
                }
            }
        }
        Ok(())
    }
}
