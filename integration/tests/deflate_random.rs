//! Random messages, compressed by sansock and inflated by zlib, and the other way round: every window, with and without
//! context takeover, in both roles. zlib knows windows from 512 bytes on; the deflater of 256 bytes is our own.
//!
//! A hundred times as many: `cargo test --release --test deflate_random -- --ignored`

use bytes::BytesMut;
use flate2::{Compression, Decompress, FlushCompress, FlushDecompress, Status};
use sansock::{
    Chunk, Config, Delivery, PreparedMessage,
    deflate::{Compress, Deflate},
};

#[path = "../../tests/support/inflating.rs"]
mod inflating;
#[path = "../../tests/support/rfc1951.rs"]
mod rfc1951;

use inflating::{DELIVERIES, Item, Kind, Random, Role, Terms, compressed, connection, feed, sent};
use rfc1951::TAIL;

const SOME: usize = 1_000;
const MANY: usize = 100_000;

/// Messages that have much in common with each other, near and far.
struct Messages {
    random: Random,
    past: Vec<u8>,
}

impl Messages {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let past = random.bytes(100);
        Self { random, past }
    }

    fn next(&mut self) -> Vec<u8> {
        let len = match self.random.below(100) {
            0..10 => 0,
            10..80 => self.random.below(300),
            80..99 => self.random.below(3000),
            _ => self.random.below(60_000),
        };
        let mut data = Vec::with_capacity(len);
        while data.len() < len {
            let room = len - data.len();
            match self.random.below(4) {
                0 => data.extend(self.random.bytes(room.min(8))),
                1 => data.extend(vec![b' '; room.min(self.random.below(300) + 1)]),
                _ => {
                    // What was said before, most of it a short time ago.
                    let most = if self.random.below(4) > 0 { 1000 } else { 50_000 };
                    let back = self.random.below(self.past.len().min(most)) + 1;
                    let start = self.past.len() - back;
                    let len = room.min(self.random.below(200) + 1).min(back);
                    data.extend_from_slice(&self.past[start..start + len]);
                }
            }
        }
        self.past.extend_from_slice(&data);
        let surplus = self.past.len().saturating_sub(60_000);
        self.past.drain(..surplus);
        data
    }
}

/// Inflates in steps so small that zlib has hardly more than its window to refer to.
fn inflate(stream: &mut Decompress, payload: &[u8]) -> Vec<u8> {
    let input = [payload, &TAIL].concat();
    let (mut used, mut data, mut step) = (0, Vec::new(), [0; 64]);
    loop {
        let (before_in, before_out) = (stream.total_in(), stream.total_out());
        let status = stream.decompress(&input[used..], &mut step, FlushDecompress::None).expect("DEFLATE data");
        used += usize::try_from(stream.total_in() - before_in).unwrap();
        let made = usize::try_from(stream.total_out() - before_out).unwrap();
        data.extend_from_slice(&step[..made]);
        if status == Status::BufError || (used == input.len() && made < step.len()) {
            assert_eq!(used, input.len());
            return data;
        }
    }
}

fn is_text(data: &[u8]) -> Option<&str> {
    std::str::from_utf8(data).ok()
}

/// sansock sends, zlib inflates.
fn send(role: Role, count: usize) {
    for bits in 9..=15 {
        for takeover in [true, false] {
            let mut messages = Messages::new(u64::from(bits) << 8 | u64::from(takeover) << 1 | 1);
            let level = bits % 9 + 1;
            let settings = Deflate::default().level(level).unwrap().mem_level(bits - 6).unwrap();
            let terms = Terms { sending: (bits, takeover), receiving: (15, true) };
            let mut connection = connection(role, &Config::default(), terms, &settings);
            let mut zlib = Decompress::new_with_window_bits(false, bits);
            let mut out = BytesMut::new();
            for n in 0..count {
                let data = messages.next();
                let random = &mut messages.random;
                let choice = [Compress::Auto, Compress::Always, Compress::Always, Compress::Never][random.below(4)];
                connection.compress(choice);
                match random.below(10) {
                    0..3 => {
                        let mut rest = &data[..];
                        loop {
                            let (piece, more) = rest.split_at(random.below(rest.len() + 1));
                            let fin = more.is_empty() && random.below(2) == 0;
                            connection.send_chunk(&Chunk::binary(piece, fin), &mut out).unwrap();
                            rest = more;
                            if fin {
                                break;
                            }
                        }
                    }
                    3 if role == Role::Server => {
                        let settings = settings.window_bits(random.below(7) as u8 + 9).unwrap();
                        let prepared = PreparedMessage::binary(&data).with_deflate(&settings);
                        out.extend_from_slice(&connection.send_prepared(&prepared).unwrap());
                    }
                    _ => match is_text(&data) {
                        Some(text) => connection.send_text(text, &mut out).unwrap(),
                        None => connection.send_binary(&data, &mut out).unwrap(),
                    },
                }
                let frames = sent(role, &out);
                out.clear();
                let payload: Vec<u8> = frames.iter().flat_map(|frame| frame.payload.clone()).collect();
                if frames[0].first & 0x40 == 0 {
                    assert_eq!(payload, data);
                    continue;
                }
                assert!(!payload.is_empty());
                assert!(inflate(&mut zlib, &payload) == data, "message {n}, window {bits}, takeover {takeover}");
                if !takeover {
                    zlib = Decompress::new_with_window_bits(false, bits);
                }
            }
        }
    }
}

/// A peer that compresses in every way that the RFC allows.
struct Peer {
    stream: flate2::Compress,
}

impl Peer {
    fn new(bits: u8, random: &mut Random) -> Self {
        let level = Compression::new(random.below(10) as u32);
        Self { stream: flate2::Compress::new_with_window_bits(level, false, bits) }
    }

    fn compress(&mut self, data: &[u8], flush: FlushCompress) -> Vec<u8> {
        // What was not flushed before comes out, too.
        let mut made = Vec::with_capacity(2 * data.len() + 100_000);
        let before = self.stream.total_in();
        self.stream.compress_vec(data, &mut made, flush).unwrap();
        assert_eq!(self.stream.total_in() - before, data.len() as u64);
        assert!(made.len() < made.capacity());
        made
    }

    /// The payload of a message.
    fn message(&mut self, data: &[u8], random: &mut Random) -> Vec<u8> {
        let mut payload = Vec::new();
        let mut rest = data;
        // Flushes in the middle.
        while random.below(4) == 0 {
            let (piece, more) = rest.split_at(random.below(rest.len() + 1));
            let flush = [FlushCompress::Sync, FlushCompress::Full, FlushCompress::None][random.below(3)];
            payload.extend(self.compress(piece, flush));
            rest = more;
        }
        if random.below(8) == 0 {
            // §7.2.3.4: a final block, then an empty one.
            payload.extend(self.compress(rest, FlushCompress::Finish));
            self.stream.reset();
            payload.extend_from_slice(&[0x00][..random.below(2)]);
            return payload;
        }
        payload.extend(self.compress(rest, [FlushCompress::Sync, FlushCompress::Full][random.below(2)]));
        match payload.strip_suffix(&TAIL) {
            Some(payload) => payload.to_vec(),
            // Nothing new to flush.
            None => [&payload[..], &[0x00]].concat(),
        }
    }
}

/// zlib sends, or for every third message and the window of 256 bytes our own deflater; sansock inflates.
fn receive(role: Role, count: usize) {
    for bits in 8..=15 {
        for takeover in [true, false] {
            let mut messages = Messages::new(u64::from(bits) << 8 | u64::from(takeover) << 1 | 0x1_0001);
            let own = bits == 8;
            let mut peer = Peer::new(bits.max(9), &mut messages.random);
            let mut naive = rfc1951::Deflater::new(bits);
            let terms = Terms { sending: (15, true), receiving: (bits, takeover) };
            let mut connections = DELIVERIES.map(|delivery| {
                let config = Config::default().delivery(delivery);
                connection(role, &config, terms, &Deflate::default())
            });
            for n in 0..count {
                let data = messages.next();
                let random = &mut messages.random;
                let payload = if own { naive.message(&data) } else { peer.message(&data, random) };
                if !takeover {
                    naive.forget();
                    peer = Peer::new(bits.max(9), random);
                }
                let kind = if is_text(&data).is_some() { Kind::Text } else { Kind::Binary };
                let fragments: Vec<&[u8]> = payload.chunks(random.below(payload.len() + 1) + 1).collect();
                let fragments = if fragments.is_empty() { vec![&b""[..]] } else { fragments };
                let bytes = compressed(role, kind, &fragments);
                let sizes = [random.below(50) + 1, random.below(3000) + 1];
                for (delivery, connection) in DELIVERIES.iter().zip(&mut connections) {
                    let trace = feed(connection, &bytes, &sizes);
                    assert_eq!(trace.error, None, "message {n}, window {bits}, takeover {takeover}");
                    assert!(
                        trace.messages() == (vec![Item::Message(kind, data.clone())], vec![]),
                        "message {n}, window {bits}, takeover {takeover}, {delivery:?}"
                    );
                    assert!(*delivery == Delivery::Chunks || trace.items.len() == 1);
                }
            }
        }
    }
}

#[test]
fn r108_zlib_inflates_what_a_server_sends() {
    send(Role::Server, SOME);
}

#[test]
fn r108_zlib_inflates_what_a_client_sends() {
    send(Role::Client, SOME);
}

#[test]
fn r107_a_server_inflates_what_zlib_sends() {
    receive(Role::Server, SOME);
}

#[test]
fn r107_a_client_inflates_what_zlib_sends() {
    receive(Role::Client, SOME);
}

#[test]
#[ignore = "minutes"]
fn r108_zlib_inflates_all_that_a_server_sends() {
    send(Role::Server, MANY);
}

#[test]
#[ignore = "minutes"]
fn r108_zlib_inflates_all_that_a_client_sends() {
    send(Role::Client, MANY);
}

#[test]
#[ignore = "minutes"]
fn r107_a_server_inflates_all_that_zlib_sends() {
    receive(Role::Server, MANY);
}

#[test]
#[ignore = "minutes"]
fn r107_a_client_inflates_all_that_zlib_sends() {
    receive(Role::Client, MANY);
}
