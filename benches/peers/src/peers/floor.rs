//! Not a peer: the least code that does the work at all. No protocol checks
//! beyond what the work needs, one buffer, AVX2 masking, no error handling.
//! What a complete core can hope to come near.

use super::{ours::PIECE, *};
use crate::{limits, memio::accept_of};

pub const PEER: Peer = Peer {
    name: "(floor)",
    notes: "hand-written bare minimum: one reused buffer, read as much at a time as ours, refilled from its start (grown for large messages), in-place AVX2 unmask fused with an ASCII check per arriving chunk, simdutf8 when not ASCII, payload borrowed; small frames batched, large ones written vectored without a copy, a client's masked and written in pieces of 16 KiB; no protocol checks, so unreachable by a correct implementation",
    make,
    idle: None,
};

struct Rx {
    io: MemIo,
    buf: Vec<u8>, // len == capacity, always initialised
    at: usize,
    end: usize,
    /// Bytes from `at` already unmasked (of the frame that starts there, header included).
    seen: usize,
    ascii: bool,
    msg: Vec<u8>,
    text: bool,
    out: Vec<u8>,
    /// Bytes per read: as many as ours.
    read: usize,
}

struct Head {
    fin: bool,
    op: u8,
    len: usize,
    start: usize,
    mask: Option<[u8; 4]>,
}

#[inline(always)]
fn head(b: &[u8]) -> Option<Head> {
    if b.len() < 14 && b.len() < 2 {
        return None;
    }
    let masked = b[1] & 0x80 != 0;
    let (len, ext) = match b[1] & 0x7f {
        126 => (u16::from_be_bytes(b.get(2..4)?.try_into().unwrap()) as usize, 2),
        127 => (u64::from_be_bytes(b.get(2..10)?.try_into().unwrap()) as usize, 8),
        n => (n as usize, 0),
    };
    let mut start = 2 + ext;
    let mask = if masked {
        start += 4;
        Some(b.get(start - 4..start)?.try_into().unwrap())
    } else {
        None
    };
    Some(Head { fin: b[0] & 0x80 != 0, op: b[0] & 15, len, start, mask })
}

impl Rx {
    fn new(io: MemIo) -> Rx {
        Rx {
            io,
            buf: vec![0; 256 * 1024],
            at: 0,
            end: 0,
            seen: 0,
            ascii: true,
            msg: Vec::new(),
            text: false,
            out: Vec::with_capacity(512 * 1024),
            read: ours::read_size(),
        }
    }
    /// Whole data frames: (out, header start, payload, fin, opcode, rsv1).
    #[inline]
    fn frames(&mut self, mut f: impl FnMut(&mut Vec<u8>, &mut MemIo, &mut [u8], usize, &Head, bool) -> bool) {
        loop {
            while let Some(h) = head(&self.buf[self.at..self.end]) {
                let need = h.start + h.len;
                let have = (self.end - self.at).min(need);
                // Unmask what is here and new.
                let from = self.seen.max(h.start);
                if have > from {
                    let part = &mut self.buf[self.at + from..self.at + have];
                    match h.mask {
                        Some(k) => {
                            let mut k = k;
                            k.rotate_left((from - h.start) & 3);
                            self.ascii &= limits::xor_ascii(part, k);
                        }
                        None => {
                            if h.op < 2 {
                                self.ascii &= limits::ascii(part);
                            }
                        }
                    }
                    self.seen = have;
                }
                if have < need {
                    if self.buf.len() - self.at < need {
                        // Move to the front, with room for all of it.
                        self.buf.copy_within(self.at..self.end, 0);
                        self.end -= self.at;
                        self.at = 0;
                        if self.buf.len() < need + 16 {
                            self.buf.resize(need + 16, 0);
                        }
                    }
                    break;
                }
                let ascii = self.ascii;
                let at = self.at;
                self.at += need;
                self.seen = 0;
                self.ascii = true;
                let go = if h.op == 9 {
                    let p = &self.buf[at + h.start..at + need];
                    self.out.extend_from_slice(&[0x8a, p.len() as u8]);
                    self.out.extend_from_slice(p);
                    true
                } else {
                    f(&mut self.out, &mut self.io, &mut self.buf[at..at + need], h.start, &h, ascii)
                };
                if !go {
                    return;
                }
            }
            if !self.out.is_empty() {
                self.io.put(&self.out);
                self.out.clear();
            }
            if self.at == self.end {
                self.at = 0;
                self.end = 0;
            } else if self.at > 0 && (self.end - self.at <= 16384 || self.buf.len() - self.end < 16384) {
                // Keep the working set small: the cache, not the copy, is what costs.
                self.buf.copy_within(self.at..self.end, 0);
                self.end -= self.at;
                self.at = 0;
            }
            let most = self.buf.len().min(self.end + self.read);
            self.end += self.io.get(&mut self.buf[self.end..most]).unwrap();
        }
    }
    #[inline]
    fn messages(&mut self, mut n: usize, app: &mut App) {
        let mut msg = std::mem::take(&mut self.msg);
        let mut text0 = self.text;
        self.frames(|_, _, b, start, h, ascii| {
            let p = &b[start..];
            if h.fin && h.op != 0 {
                if h.op == 1 && !ascii {
                    simdutf8::basic::from_utf8(p).unwrap();
                }
                app.deliver(p, h.op == 1);
                n -= 1;
            } else {
                if h.op != 0 {
                    text0 = h.op == 1;
                }
                msg.extend_from_slice(p);
                if h.fin {
                    if text0 {
                        simdutf8::basic::from_utf8(&msg).unwrap();
                    }
                    app.deliver(&msg, text0);
                    msg.clear();
                    n -= 1;
                }
            }
            n > 0
        });
        self.msg = msg;
        self.text = text0;
    }
}

#[inline(always)]
fn put_head(out: &mut [u8; 14], op: u8, rsv1: bool, len: usize, mask: bool) -> usize {
    out[0] = 0x80 | (rsv1 as u8) << 6 | op;
    let m = (mask as u8) << 7;
    if len < 126 {
        out[1] = m | len as u8;
        2
    } else if len < 65536 {
        out[1] = m | 126;
        out[2..4].copy_from_slice(&(len as u16).to_be_bytes());
        4
    } else {
        out[1] = m | 127;
        out[2..10].copy_from_slice(&(len as u64).to_be_bytes());
        10
    }
}

fn make(w: &Arc<Work>) -> Option<Box<dyn Case>> {
    let mut mem = mem_for(w);
    let io = mem.io();
    match w.op {
        Op::RecvServer | Op::RecvClient => case(w, mem, Rx::new(io), |rx, app, w| rx.messages(w.n, app)),
        Op::EchoServer => case(w, mem, Rx::new(io), |rx, app, w| {
            let mut n = w.n;
            rx.frames(|out, io, b, start, h, ascii| {
                if h.op == 1 && !ascii {
                    simdutf8::basic::from_utf8(&b[start..]).unwrap();
                }
                let mut hd = [0; 14];
                let k = put_head(&mut hd, h.op, false, h.len, false);
                if h.len < 4096 {
                    out.extend_from_slice(&hd[..k]);
                    out.extend_from_slice(&b[start..]);
                } else {
                    // The header goes where the mask was; no copy of the payload.
                    b[start - k..start].copy_from_slice(&hd[..k]);
                    io.put_vectored([&out[..], &b[start - k..]].into_iter());
                    out.clear();
                }
                app.n += 1;
                n -= 1;
                n > 0
            });
            if !rx.out.is_empty() {
                rx.io.put(&rx.out);
                rx.out.clear();
            }
        }),
        Op::SendServer | Op::SendClient => {
            let client = w.op == Op::SendClient;
            let s = (io, Vec::<u8>::with_capacity(w.size.max(65536) * 2), 1u32);
            case(w, mem, s, move |(io, out, seed), _, w| {
                let op = if w.text() { 1 } else { 2 };
                for burst in w.payloads.chunks(w.burst) {
                    out.clear();
                    for p in burst {
                        let mut hd = [0; 14];
                        let mut k = put_head(&mut hd, op, false, p.len(), client);
                        if client {
                            *seed = seed.wrapping_mul(0x9E37_79B1).wrapping_add(0x7F4A_7C15);
                            let m = seed.to_le_bytes();
                            hd[k..k + 4].copy_from_slice(&m);
                            k += 4;
                            out.extend_from_slice(&hd[..k]);
                            // Pieces that stay in the cache; of a multiple of four bytes, so that the mask fits each.
                            for piece in p.chunks(PIECE) {
                                let at = out.len();
                                out.reserve(piece.len());
                                // SAFETY: reserved; copy_xor writes all of it.
                                unsafe {
                                    limits::copy_xor(out.as_mut_ptr().add(at), piece, m);
                                    out.set_len(at + piece.len());
                                }
                                if p.len() >= PIECE {
                                    io.put(out);
                                    out.clear();
                                }
                            }
                        } else if p.len() < 4096 {
                            out.extend_from_slice(&hd[..k]);
                            out.extend_from_slice(p);
                        } else {
                            out.extend_from_slice(&hd[..k]);
                            io.put_vectored([&out[..], &p[..]].into_iter());
                            out.clear();
                        }
                    }
                    if !out.is_empty() {
                        io.put(out);
                    }
                }
            })
        }
        Op::DeflateRecv => {
            // A plain slice: flate2's *_vec calls zero the spare capacity every time.
            let s = (Rx::new(io), flate2::Decompress::new(false), Vec::<u8>::new(), vec![0u8; 2 * w.size + 64]);
            case(w, mem, s, |(rx, z, tmp, plain), app, w| {
                let mut n = w.n;
                rx.frames(|_, _, b, start, h, _| {
                    tmp.clear();
                    tmp.extend_from_slice(&b[start..]);
                    tmp.extend_from_slice(&[0, 0, 255, 255]);
                    let before = (z.total_in(), z.total_out());
                    z.decompress(tmp, plain, flate2::FlushDecompress::Sync).unwrap();
                    assert_eq!((z.total_in() - before.0) as usize, tmp.len());
                    let plain = &plain[..(z.total_out() - before.1) as usize];
                    if h.op == 1 {
                        simdutf8::basic::from_utf8(plain).unwrap();
                    }
                    app.deliver(plain, h.op == 1);
                    n -= 1;
                    n > 0
                });
            })
        }
        Op::DeflateSend => {
            let z = flate2::Compress::new(flate2::Compression::new(6), false);
            let s = (io, z, vec![0u8; 2 * w.size + 64]);
            case(w, mem, s, |(io, z, tmp), _, w| {
                for p in &w.payloads {
                    let before = z.total_out();
                    z.compress(p, tmp, flate2::FlushCompress::Sync).unwrap();
                    let n = (z.total_out() - before) as usize - 4;
                    let mut hd = [0; 14];
                    let k = put_head(&mut hd, 1, true, n, false);
                    io.put_vectored([&hd[..k], &tmp[..n]].into_iter());
                }
            })
        }
        Op::HandshakeServer => case(w, mem, (io, vec![0u8; 4096]), |(io, buf), _, _| {
            rewind(io);
            let n = io.get(buf).unwrap();
            let mut hs = [httparse::EMPTY_HEADER; 32];
            let mut r = httparse::Request::new(&mut hs);
            r.parse(&buf[..n]).unwrap();
            let key = r.headers.iter().find(|h| h.name.eq_ignore_ascii_case("sec-websocket-key")).unwrap().value;
            let acc = accept_of(key);
            let mut o = [0u8; 129];
            const A: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ";
            o[..A.len()].copy_from_slice(A);
            o[A.len()..A.len() + 28].copy_from_slice(acc.as_bytes());
            o[A.len() + 28..A.len() + 32].copy_from_slice(b"\r\n\r\n");
            io.put(&o[..A.len() + 32]);
        }),
        Op::HandshakeClient => case(w, mem, (io, 7u64), |(io, seed), _, _| {
            use base64::Engine;
            rewind(io);
            *seed = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(12345);
            let mut k = [0u8; 16];
            k[..8].copy_from_slice(&seed.to_le_bytes());
            let key = base64::engine::general_purpose::STANDARD.encode(k);
            let req = format!(
                "GET /chat/socket?room=42&v=2 HTTP/1.1\r\nHost: app.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
            );
            io.put(req.as_bytes());
            let mut buf = [0u8; 1024];
            let n = io.get(&mut buf).unwrap();
            let mut hs = [httparse::EMPTY_HEADER; 32];
            let mut r = httparse::Response::new(&mut hs);
            r.parse(&buf[..n]).unwrap();
            let a = r.headers.iter().find(|h| h.name.eq_ignore_ascii_case("sec-websocket-accept")).unwrap().value;
            assert_eq!(a, accept_of(key.as_bytes()).as_bytes());
        }),
    }
}
