//! What is to be done: payloads, wire bytes, and the application end that
//! consumes messages.

use bytes::Bytes;
use std::sync::Arc;

#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
pub enum Op {
    RecvServer,
    RecvClient,
    SendServer,
    SendClient,
    EchoServer,
    DeflateRecv,
    DeflateSend,
    HandshakeServer,
    HandshakeClient,
}

impl Op {
    pub const ALL: &'static [Op] = &[
        Op::RecvServer,
        Op::RecvClient,
        Op::SendServer,
        Op::SendClient,
        Op::EchoServer,
        Op::DeflateRecv,
        Op::DeflateSend,
        Op::HandshakeServer,
        Op::HandshakeClient,
    ];
    pub fn name(self) -> &'static str {
        match self {
            Op::RecvServer => "recv-server",
            Op::RecvClient => "recv-client",
            Op::SendServer => "send-server",
            Op::SendClient => "send-client",
            Op::EchoServer => "echo-server",
            Op::DeflateRecv => "deflate-recv",
            Op::DeflateSend => "deflate-send",
            Op::HandshakeServer => "handshake-server",
            Op::HandshakeClient => "handshake-client",
        }
    }
    pub fn receives(self) -> bool {
        matches!(self, Op::RecvServer | Op::RecvClient | Op::EchoServer | Op::DeflateRecv)
    }
    pub fn sends(self) -> bool {
        matches!(self, Op::SendServer | Op::SendClient | Op::EchoServer | Op::DeflateSend)
    }
    pub fn handshake(self) -> bool {
        matches!(self, Op::HandshakeServer | Op::HandshakeClient)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
pub enum Kind {
    Bin,
    /// ASCII, JSON-like text.
    Ascii,
    /// Text of 2-, 3- and 4-byte characters with some ASCII.
    Utf8,
    /// ASCII text, every message cut in 1 KiB fragments, a ping after each 16th.
    AsciiFrag,
    /// Binary, every message cut in 1 KiB fragments, a ping after each 16th.
    BinFrag,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Bin => "binary",
            Kind::Ascii => "text-ascii",
            Kind::Utf8 => "text-utf8",
            Kind::AsciiFrag => "text-frag1K+ping",
            Kind::BinFrag => "binary-frag1K+ping",
        }
    }
    pub fn text(self) -> bool {
        matches!(self, Kind::Ascii | Kind::Utf8 | Kind::AsciiFrag)
    }
    pub fn frag(self) -> bool {
        matches!(self, Kind::AsciiFrag | Kind::BinFrag)
    }
}

pub struct Work {
    pub op: Op,
    pub kind: Kind,
    pub size: usize,
    pub payloads: Vec<Bytes>,
    /// Bytes the peer receives, one batch (repeated for ever by the transport).
    pub wire: Bytes,
    /// Messages in a batch.
    pub n: usize,
    /// Messages an application writes before it flushes.
    pub burst: usize,
    /// Most bytes the transport hands out per read.
    pub chunk: usize,
}

pub struct Rng(pub u64);
impl Rng {
    #[inline]
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }
}

fn payload(kind: Kind, size: usize, seed: u64) -> Vec<u8> {
    let mut r = Rng(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    r.next();
    let mut v = Vec::with_capacity(size + 256);
    match kind {
        Kind::Bin | Kind::BinFrag => {
            while v.len() < size {
                v.extend_from_slice(&r.next().to_le_bytes());
            }
            v.truncate(size);
        }
        Kind::Ascii | Kind::AsciiFrag => {
            // Different from the first byte on, so that a wrong mask shows.
            const WORDS: &[&str] = &["update", "trade", "insert", "order", "quote", "cancel"];
            let mut first = true;
            while v.len() < size {
                let a = r.next();
                if !first {
                    v.push(b',');
                }
                first = false;
                v.extend_from_slice(
                    format!(
                        "{{\"{:x}\":{},\"type\":\"{}\",\"price\":{}.{:02},\"qty\":{},\"user\":\"u{}\",\"ok\":{}}}",
                        a >> 52,
                        r.next() % 100_000,
                        WORDS[(a % 6) as usize],
                        r.next() % 1000,
                        r.next() % 100,
                        r.next() % 50,
                        r.next() % 5000,
                        a & 1 == 0
                    )
                    .as_bytes(),
                );
            }
            v.truncate(size);
        }
        Kind::Utf8 => {
            const PIECES: &[&str] = &[
                "Съешь ещё этих мягких булок ",
                "日本語のテキスト、",
                "naïve café ",
                "🚀🎉 ",
                "한국어 문장 ",
                "plain ascii words ",
                "Ελληνικά ",
                "中文文本内容。",
            ];
            while v.len() < size {
                let p = PIECES[(r.next() % PIECES.len() as u64) as usize];
                if v.len() + p.len() > size {
                    while v.len() < size {
                        v.push(b'.');
                    }
                    break;
                }
                v.extend_from_slice(p.as_bytes());
            }
        }
    }
    assert_eq!(v.len(), size);
    v
}

/// One frame, the slow and plain way.
pub fn put_frame(out: &mut Vec<u8>, fin: bool, rsv1: bool, opcode: u8, mask: Option<[u8; 4]>, p: &[u8]) {
    out.push((fin as u8) << 7 | (rsv1 as u8) << 6 | opcode);
    let m = if mask.is_some() { 0x80 } else { 0 };
    if p.len() < 126 {
        out.push(m | p.len() as u8);
    } else if p.len() < 65536 {
        out.push(m | 126);
        out.extend_from_slice(&(p.len() as u16).to_be_bytes());
    } else {
        out.push(m | 127);
        out.extend_from_slice(&(p.len() as u64).to_be_bytes());
    }
    match mask {
        None => out.extend_from_slice(p),
        Some(k) => {
            out.extend_from_slice(&k);
            out.extend(p.iter().enumerate().map(|(i, b)| b ^ k[i & 3]));
        }
    }
}

pub struct Frame {
    pub fin: bool,
    pub rsv1: bool,
    pub opcode: u8,
    pub mask: Option<[u8; 4]>,
    pub payload: Vec<u8>,
}

/// One frame, the slow and plain way. `None`: incomplete.
pub fn get_frame(b: &[u8]) -> Option<(Frame, usize)> {
    if b.len() < 2 {
        return None;
    }
    let mut at = 2;
    let len = match b[1] & 127 {
        126 => {
            at = 4;
            u16::from_be_bytes(b.get(2..4)?.try_into().ok()?) as usize
        }
        127 => {
            at = 10;
            u64::from_be_bytes(b.get(2..10)?.try_into().ok()?) as usize
        }
        n => n as usize,
    };
    let mask = if b[1] & 128 != 0 {
        at += 4;
        Some(<[u8; 4]>::try_from(b.get(at - 4..at)?).ok()?)
    } else {
        None
    };
    let mut payload = b.get(at..at.checked_add(len)?)?.to_vec();
    if let Some(k) = mask {
        for (i, x) in payload.iter_mut().enumerate() {
            *x ^= k[i & 3];
        }
    }
    Some((Frame { fin: b[0] & 128 != 0, rsv1: b[0] & 64 != 0, opcode: b[0] & 15, mask, payload }, at + len))
}

pub fn deflate_message(c: &mut flate2::Compress, p: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(p.len() + 64);
    let mut done = 0;
    loop {
        let before = c.total_in();
        c.compress_vec(&p[done..], &mut out, flate2::FlushCompress::Sync).unwrap();
        done += (c.total_in() - before) as usize;
        if done == p.len() && out.len() < out.capacity() {
            break;
        }
        out.reserve(out.capacity());
    }
    assert!(out.ends_with(&[0, 0, 255, 255]));
    out.truncate(out.len() - 4);
    out
}

pub fn inflate_message(d: &mut flate2::Decompress, p: &[u8]) -> Vec<u8> {
    let mut input = p.to_vec();
    input.extend_from_slice(&[0, 0, 255, 255]);
    let mut out = Vec::with_capacity(p.len() * 4 + 64);
    let mut done = 0;
    loop {
        let before = d.total_in();
        d.decompress_vec(&input[done..], &mut out, flate2::FlushDecompress::Sync).unwrap();
        done += (d.total_in() - before) as usize;
        if done == input.len() && out.len() < out.capacity() {
            return out;
        }
        out.reserve(out.capacity());
    }
}

/// What Chrome sends.
pub const CHROME_REQUEST: &str = "GET /chat/socket?room=42&v=2 HTTP/1.1\r\n\
Host: app.example.com\r\n\
Connection: Upgrade\r\n\
Pragma: no-cache\r\n\
Cache-Control: no-cache\r\n\
User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36\r\n\
Upgrade: websocket\r\n\
Origin: https://app.example.com\r\n\
Sec-WebSocket-Version: 13\r\n\
Accept-Encoding: gzip, deflate, br, zstd\r\n\
Accept-Language: en-GB,en-US;q=0.9,en;q=0.8\r\n\
Cookie: session=6f1d0a2be34c4d4f9c4f8a1b2c3d4e5f; theme=dark; _ga=GA1.2.1234567890.1700000000\r\n\
Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n";
pub const CHROME_ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

impl Work {
    pub fn new(op: Op, kind: Kind, size: usize, chunk: usize) -> Arc<Work> {
        if op.handshake() {
            let wire = match op {
                Op::HandshakeServer => Bytes::from_static(CHROME_REQUEST.as_bytes()),
                _ => Bytes::new(),
            };
            return Arc::new(Work { op, kind, size: 0, payloads: vec![], wire, n: 1, burst: 1, chunk });
        }
        let n = ((1 << 20) / size).clamp(1, 4096);
        let n = if kind.frag() { n.min(16) } else { n };
        let payloads: Vec<Bytes> = (0..n).map(|i| Bytes::from(payload(kind, size, i as u64 + 1))).collect();
        let masked = matches!(op, Op::RecvServer | Op::EchoServer | Op::DeflateRecv);
        let opc = if kind.text() { 1 } else { 2 };
        let mut wire = Vec::new();
        let mut r = Rng(0x1234_5678_9ABC_DEF1);
        let mut mask = || masked.then(|| (r.next() as u32 | 0x0101_0101).to_le_bytes());
        if op.receives() {
            let mut z = flate2::Compress::new(flate2::Compression::new(6), false);
            for p in &payloads {
                if op == Op::DeflateRecv {
                    put_frame(&mut wire, true, true, opc, mask(), &deflate_message(&mut z, p));
                } else if kind.frag() {
                    let parts: Vec<&[u8]> = p.chunks(1024).collect();
                    for (i, part) in parts.iter().enumerate() {
                        let o = if i == 0 { opc } else { 0 };
                        put_frame(&mut wire, i + 1 == parts.len(), false, o, mask(), part);
                        if i % 16 == 15 && i + 1 != parts.len() {
                            put_frame(&mut wire, true, false, 9, mask(), b"ping");
                        }
                    }
                } else {
                    put_frame(&mut wire, true, false, opc, mask(), p);
                }
            }
        }
        Arc::new(Work { op, kind, size, payloads, wire: wire.into(), n, burst: (65536 / size).clamp(1, 32), chunk })
    }
    pub fn text(&self) -> bool {
        self.kind.text()
    }
    pub fn name(&self) -> String {
        if self.op.handshake() {
            return self.op.name().to_string();
        }
        format!("{}/{}/{}", self.op.name(), self.kind.name(), size_name(self.size))
    }
}

pub fn size_name(n: usize) -> String {
    if n >= 1 << 20 {
        format!("{}MiB", n >> 20)
    } else if n >= 1024 {
        format!("{}KiB", n >> 10)
    } else {
        format!("{n}B")
    }
}

/// The application: takes every message, looks at some bytes of it.
pub struct App {
    pub acc: u64,
    pub n: usize,
    verify: Option<Arc<Work>>,
}

#[inline(always)]
fn look(p: &[u8], text: bool) -> u64 {
    let n = p.len();
    if n < 8 {
        return n as u64;
    }
    // SAFETY: n >= 8.
    let (a, b) =
        unsafe { (p.as_ptr().cast::<u64>().read_unaligned(), p.as_ptr().add(n - 8).cast::<u64>().read_unaligned()) };
    (a ^ b.rotate_left(17)).wrapping_add((n as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15)).wrapping_add(text as u64)
}

impl App {
    pub fn new() -> App {
        App { acc: 0, n: 0, verify: None }
    }
    #[inline(always)]
    pub fn deliver(&mut self, p: &[u8], text: bool) {
        self.acc = self.acc.wrapping_add(look(p, text));
        if self.verify.is_some() {
            self.verify_one(p, text);
        }
        self.n += 1;
    }
    #[cold]
    #[inline(never)]
    fn verify_one(&mut self, p: &[u8], text: bool) {
        let w = self.verify.as_ref().unwrap();
        let want = &w.payloads[self.n % w.payloads.len()];
        assert_eq!(text, w.text(), "{}: text flag of message {}", w.name(), self.n);
        assert!(p == &want[..], "{}: payload of message {} differs", w.name(), self.n);
    }
    pub fn set_verify(&mut self, w: Option<Arc<Work>>) {
        self.verify = w;
    }
    /// What `acc` must grow by in one batch.
    pub fn expect(w: &Work) -> u64 {
        w.payloads.iter().fold(0u64, |a, p| a.wrapping_add(look(p, w.text())))
    }
}

impl Default for App {
    fn default() -> Self {
        Self::new()
    }
}
