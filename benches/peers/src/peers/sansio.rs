//! websocket-sans-io 0.1: a push parser that unmasks in place and reports events.

use super::*;
use websocket_sans_io::{FrameInfo, Opcode, WebsocketFrameDecoder, WebsocketFrameEncoder, WebsocketFrameEvent as Ev};

pub const PEER: Peer = Peer {
    name: "websocket-sans-io",
    notes: "0.1.0 default features, no unsafe; the caller owns the 64 KiB buffer, assembles messages (a frame whole in the buffer is delivered from it without a copy) and does all checks: UTF-8 by the application (std::str::from_utf8), pings answered by it, no header rules checked but is_reasonable(); no handshake, no deflate",
    make,
    idle: None,
};

struct Rx {
    io: MemIo,
    dec: WebsocketFrameDecoder,
    enc: WebsocketFrameEncoder,
    buf: Vec<u8>,
    at: usize,
    end: usize,
    /// Message under way, when it did not fit in one chunk.
    msg: Vec<u8>,
    ctl: Vec<u8>,
    out: Vec<u8>,
    mask: u32,
}

impl Rx {
    /// Hands whole messages to `f` until `n` were.
    #[inline]
    fn messages(&mut self, mut n: usize, mut f: impl FnMut(&mut WebsocketFrameEncoder, &mut Vec<u8>, &mut [u8], bool)) {
        // A chunk seen but not yet known to be all of the message.
        let mut held: Option<(usize, usize)> = None;
        while n > 0 {
            let r = self.dec.add_data(&mut self.buf[self.at..self.end]).unwrap();
            let from = self.at;
            self.at += r.consumed_bytes;
            match r.event {
                Some(Ev::Start { frame_info, .. }) => assert!(frame_info.is_reasonable()),
                Some(Ev::PayloadChunk { original_opcode }) => {
                    if original_opcode.is_control() {
                        self.ctl.extend_from_slice(&self.buf[from..self.at]);
                    } else if self.msg.is_empty() && held.is_none() {
                        held = Some((from, self.at));
                    } else {
                        if let Some((a, b)) = held.take() {
                            self.msg.extend_from_slice(&self.buf[a..b]);
                        }
                        self.msg.extend_from_slice(&self.buf[from..self.at]);
                    }
                }
                Some(Ev::End { frame_info, original_opcode }) => match frame_info.opcode {
                    Opcode::Ping => {
                        let h = self.enc.start_frame(&FrameInfo {
                            opcode: Opcode::Pong,
                            payload_length: self.ctl.len() as u64,
                            mask: None,
                            fin: true,
                            reserved: 0,
                        });
                        self.out.extend_from_slice(&h);
                        self.out.extend_from_slice(&self.ctl);
                        self.ctl.clear();
                    }
                    o if o.is_data() && frame_info.fin => {
                        let text = original_opcode == Opcode::Text;
                        let p = match held.take() {
                            Some((a, b)) => &mut self.buf[a..b],
                            None => &mut self.msg[..],
                        };
                        if text {
                            std::str::from_utf8(p).unwrap();
                        }
                        f(&mut self.enc, &mut self.out, p, text);
                        self.msg.clear();
                        n -= 1;
                    }
                    _ => {}
                },
                None if r.consumed_bytes == 0 => {
                    if let Some((a, b)) = held.take() {
                        self.msg.extend_from_slice(&self.buf[a..b]);
                    }
                    if !self.out.is_empty() {
                        self.io.put(&self.out);
                        self.out.clear();
                    }
                    self.end = self.io.get(&mut self.buf).unwrap();
                    self.at = 0;
                }
                None => {}
            }
        }
        if let Some((a, b)) = held.take() {
            self.msg.extend_from_slice(&self.buf[a..b]);
        }
        if !self.out.is_empty() {
            self.io.put(&self.out);
            self.out.clear();
        }
    }
}

fn rx(io: MemIo) -> Rx {
    Rx {
        io,
        dec: WebsocketFrameDecoder::new(),
        enc: WebsocketFrameEncoder::new(),
        buf: vec![0; 65536],
        at: 0,
        end: 0,
        msg: vec![],
        ctl: vec![],
        out: vec![],
        mask: 1,
    }
}

#[inline]
fn send(enc: &mut WebsocketFrameEncoder, out: &mut Vec<u8>, p: &[u8], text: bool, mask: Option<[u8; 4]>) {
    let h = enc.start_frame(&FrameInfo {
        opcode: if text { Opcode::Text } else { Opcode::Binary },
        payload_length: p.len() as u64,
        mask,
        fin: true,
        reserved: 0,
    });
    out.extend_from_slice(&h);
    let at = out.len();
    out.extend_from_slice(p);
    if enc.transform_needed() {
        enc.transform_frame_payload(&mut out[at..]);
    }
}

fn make(w: &Arc<Work>) -> Option<Box<dyn Case>> {
    let mut mem = mem_for(w);
    let io = mem.io();
    match w.op {
        Op::RecvServer | Op::RecvClient => case(w, mem, rx(io), |rx, app, w| {
            rx.messages(w.n, |_, _, p, text| app.deliver(p, text));
        }),
        Op::EchoServer => case(w, mem, rx(io), |rx, app, w| {
            rx.messages(w.n, |enc, out, p, text| {
                send(enc, out, p, text, None);
                app.n += 1;
            });
        }),
        Op::SendServer | Op::SendClient => case(w, mem, rx(io), |rx, _, w| {
            let text = w.text();
            for burst in w.payloads.chunks(w.burst) {
                for p in burst {
                    // The caller brings the mask; a cheap generator, as others use.
                    rx.mask = rx.mask.wrapping_mul(0x9E37_79B1).wrapping_add(0x7F4A_7C15);
                    let mask = (w.op == Op::SendClient).then(|| rx.mask.to_le_bytes());
                    send(&mut rx.enc, &mut rx.out, p, text, mask);
                }
                rx.io.put(&rx.out);
                rx.out.clear();
            }
        }),
        _ => None,
    }
}
