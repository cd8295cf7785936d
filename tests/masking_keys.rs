//! Where the masking keys of a client come from (RFC 6455 §5.3, §10.3): from its seed, all of it, by `ChaCha12`; and,
//! behind a handshake, from a part of the key stream that the handshake did not publish.

mod support;

use bytes::BytesMut;
use sansock::{Config, Connection};
use support::{SEED, strict};

/// The key stream of `ChaCha12` under this seed, as its authors describe it: no nonce, and blocks that count from 0.
fn key_stream(seed: [u8; 32], len: usize) -> Vec<u8> {
    let words = |bytes: &[u8]| -> Vec<u32> {
        bytes.chunks(4).map(|word| u32::from_le_bytes(word.try_into().unwrap())).collect()
    };
    let mut stream = Vec::new();
    for block in 0.. {
        if stream.len() >= len {
            break;
        }
        let initial = [words(b"expand 32-byte k"), words(&seed), vec![block, 0, 0, 0]].concat();
        let mut state = initial.clone();
        for _ in 0..6 {
            for column in 0..4 {
                quarter_round(&mut state, [column, 4 + column, 8 + column, 12 + column]);
            }
            for diagonal in 0..4 {
                let at = |row: usize| 4 * row + (diagonal + row) % 4;
                quarter_round(&mut state, [at(0), at(1), at(2), at(3)]);
            }
        }
        stream.extend(state.iter().zip(initial).flat_map(|(word, first)| word.wrapping_add(first).to_le_bytes()));
    }
    stream.truncate(len);
    stream
}

fn quarter_round(state: &mut [u32], [a, b, c, d]: [usize; 4]) {
    for (one, other, turned, by) in [(a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)] {
        state[one] = state[one].wrapping_add(state[other]);
        state[turned] = (state[turned] ^ state[one]).rotate_left(by);
    }
}

/// The keys of the next `count` frames of a client.
fn keys(client: &mut Connection, count: usize) -> Vec<[u8; 4]> {
    let mut out = BytesMut::new();
    for number in 0..count {
        client.send_binary(&vec![0; number % 200], &mut out).unwrap();
    }
    strict::frames(true, &out).into_iter().map(|frame| frame.key.unwrap()).collect()
}

/// The reference in this file is the cipher: the first bytes under a seed of zeros.
#[test]
fn the_reference_is_chacha12() {
    let expected = b"\x9b\xf4\x9a\x6a\x07\x55\xf9\x53\x81\x1f\xce\x12\x5f\x26\x83\xd5";
    assert_eq!(key_stream([0; 32], 16), expected);
}

/// R56: every bit of the seed counts, and no frame but the next can be told from those before.
#[test]
fn r56_the_keys_of_a_client_are_the_key_stream_of_its_seed() {
    let mut flipped = SEED;
    flipped[31] ^= 0x80;
    for seed in [[0; 32], SEED, flipped] {
        let mut client = Connection::client(&Config::default(), seed);
        let expected: Vec<[u8; 4]> = key_stream(seed, 4 * 1000).chunks(4).map(|key| key.try_into().unwrap()).collect();
        assert_eq!(keys(&mut client, 1000), expected);
    }
}

#[cfg(feature = "handshake")]
mod after_a_handshake {
    use sansock::client::{self, Handshake, Request};

    use super::*;

    /// The 16 bytes that `Sec-WebSocket-Key` stands for.
    fn nonce(handshake: &Handshake) -> Vec<u8> {
        const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let digits = handshake.key().trim_end_matches('=').bytes();
        let bits: Vec<u8> = digits
            .map(|digit| ALPHABET.iter().position(|&known| known == digit).unwrap())
            .flat_map(|value| (0..6).rev().map(move |bit| (value >> bit & 1) as u8))
            .collect();
        bits.chunks_exact(8).map(|byte| byte.iter().fold(0, |byte, bit| byte << 1 | bit)).collect()
    }

    /// R37, R56: whoever saw the request, which is not masked, can tell no masking key from it.
    #[test]
    fn r37_r56_the_key_of_the_handshake_does_not_tell_the_masking_keys() {
        let seed = SEED;
        let mut handshake =
            client::connect(&Request::new("h", "/"), &Config::default(), seed, &mut BytesMut::new()).unwrap();
        let stream = key_stream(seed, 48);
        assert_eq!(nonce(&handshake), stream[..16], "the first 16 bytes are the nonce");

        let mut answer = format!(
            "HTTP/1.1 101 \r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n\r\n",
            sansock::handshake::accept_key(handshake.key())
        )
        .into_bytes();
        let (mut connection, _) = handshake.receive(&mut &mut answer[..]).unwrap().unwrap();
        let own_seed = stream[16..].try_into().unwrap();
        let expected = key_stream(own_seed, 4 * 100);
        let keys = keys(&mut connection, 100).concat();
        assert_eq!(keys, expected, "the other 32 are the seed of the masking keys");
        assert!(nonce(&handshake).windows(4).all(|published| keys.windows(4).all(|key| key != published)));
    }
}
