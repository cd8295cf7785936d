//! Compressed messages of any bytes, cut anywhere: events, output and error depend on the bytes alone, and they are
//! what an inflater says that knows nothing of cuts.

use flate2::{Compression, FlushCompress};
use proptest::{collection::vec, option, prelude::*};
use sansock::{Config, Delivery, Error, deflate::Deflate};

#[path = "../../tests/support/inflating.rs"]
mod inflating;
#[path = "../../tests/support/rfc1951.rs"]
mod rfc1951;

use inflating::{DELIVERIES, Item, Kind, ROLES, Role, Terms, Trace, connection, feed, frame};
use rfc1951::{Bits, Inflated, Inflater, bomb};

/// Something that can be in a compressed message.
#[derive(Clone, Debug)]
enum Part {
    /// A stored block that says that it is longer by so much than it is.
    Stored {
        last: bool,
        data: Vec<u8>,
        lacks: u16,
    },
    /// A block in the fixed code: some literals, then matches.
    Fixed {
        last: bool,
        literals: Vec<u8>,
        matches: Vec<(usize, usize)>,
        ends: bool,
    },
    /// Text as zlib compresses it.
    Zlib {
        text: String,
        repeat: usize,
        level: u32,
    },
    Bomb(usize),
    Garbage(Vec<u8>),
}

#[derive(Clone, Debug)]
struct Sample {
    kind: Kind,
    parts: Vec<Part>,
    /// As a sender should.
    ends_with_header: bool,
    /// Then one bit is flipped, and the rest cut off.
    flip: Option<prop::sample::Index>,
    truncate: Option<prop::sample::Index>,
    /// Where fragments begin.
    fragments: Vec<prop::sample::Index>,
    /// Fragments that a Ping stands before.
    pings: u8,
    plain: bool,
}

fn part() -> impl Strategy<Value = Part> {
    let text = "[ -~é€😀]{0,60}";
    let literals = || prop_oneof![text.prop_map(String::into_bytes), vec(any::<u8>(), 0..20)];
    prop_oneof![
        3 => (prop::bool::weighted(0.2), literals(), prop_oneof![8 => Just(0), 1 => 1..20_u16])
            .prop_map(|(last, data, lacks)| Part::Stored { last, data, lacks }),
        5 => (
            prop::bool::weighted(0.2),
            literals(),
            vec((3..=258_usize, prop_oneof![9 => 1..40_usize, 1 => 1..=32768_usize]), 0..4),
            prop::bool::weighted(0.9),
        )
            .prop_map(|(last, literals, matches, ends)| Part::Fixed { last, literals, matches, ends }),
        3 => (text, 0..400_usize, 1..=9_u32).prop_map(|(text, repeat, level)| Part::Zlib { text, repeat, level }),
        1 => (0..300_usize).prop_map(Part::Bomb),
        1 => vec(any::<u8>(), 0..12).prop_map(Part::Garbage),
    ]
}

fn sample() -> impl Strategy<Value = Sample> {
    (
        prop_oneof![Just(Kind::Text), Just(Kind::Binary)],
        vec(part(), 0..4),
        prop::bool::weighted(0.9),
        option::weighted(0.15, any::<prop::sample::Index>()),
        option::weighted(0.15, any::<prop::sample::Index>()),
        vec(any::<prop::sample::Index>(), 0..4),
        any::<u8>(),
        prop::bool::weighted(0.1),
    )
        .prop_map(|(kind, parts, ends_with_header, flip, truncate, fragments, pings, plain)| Sample {
            kind,
            parts,
            ends_with_header,
            flip,
            truncate,
            fragments,
            pings,
            plain,
        })
}

impl Sample {
    fn payload(&self) -> Vec<u8> {
        let mut bits = Bits::default();
        for part in &self.parts {
            match part {
                Part::Stored { last, data, lacks } => {
                    let len = data.len() as u16 + lacks;
                    bits.put(usize::from(*last), 3);
                    let [a, b] = len.to_le_bytes();
                    bits.align().put_bytes(&[a, b, !a, !b]).put_bytes(data);
                }
                Part::Fixed { last, literals, matches, ends } => {
                    bits.put(0b010 | usize::from(*last), 3);
                    for literal in literals {
                        bits.put_literal(usize::from(*literal));
                    }
                    for &(len, distance) in matches {
                        bits.put_match(len, distance);
                    }
                    if *ends {
                        bits.put_literal(256);
                    }
                    if *last {
                        bits.align();
                    }
                }
                Part::Zlib { text, repeat, level } => {
                    let mut stream = flate2::Compress::new_with_window_bits(Compression::new(*level), false, 15);
                    let mut bytes = Vec::with_capacity(100_000);
                    let text = text.repeat(*repeat);
                    stream.compress_vec(text.as_bytes(), &mut bytes, FlushCompress::Sync).unwrap();
                    bits.put_bytes(&bytes);
                }
                Part::Bomb(matches) => {
                    let bomb = bomb(*matches);
                    bits.put_bytes(&[&bomb[..], &rfc1951::TAIL].concat());
                }
                Part::Garbage(bytes) => {
                    bits.put_bytes(bytes);
                }
            }
        }
        if self.ends_with_header {
            bits.put(0, 3);
        }
        let mut payload = bits.bytes;
        if let (Some(flip), false) = (self.flip, payload.is_empty()) {
            let bit = flip.index(8 * payload.len());
            payload[bit / 8] ^= 1 << (bit % 8);
        }
        if let Some(truncate) = self.truncate {
            payload.truncate(truncate.index(payload.len() + 1));
        }
        payload
    }

    fn frames(&self, role: Role, payload: &[u8]) -> Vec<u8> {
        let mut cuts: Vec<usize> = self.fragments.iter().map(|cut| cut.index(payload.len() + 1)).collect();
        cuts.extend([0, payload.len()]);
        cuts.sort_unstable();
        let mut bytes = Vec::new();
        let opcode = if self.kind == Kind::Text { 1 } else { 2 } | if self.plain { 0 } else { 0x40 };
        for (n, cut) in cuts.windows(2).enumerate() {
            if self.pings >> n & 1 == 1 {
                bytes.extend(frame(role, 0x89, &[n as u8]));
            }
            let fin = if n + 2 == cuts.len() { 0x80 } else { 0 };
            bytes.extend(frame(role, fin | if n == 0 { opcode } else { 0 }, &payload[cut[0]..cut[1]]));
        }
        bytes
    }
}

/// What is to come of a message: its data or what can be seen of it, and why it fails.
fn expected(kind: Kind, inflated: &Inflated, limit: usize) -> (Vec<u8>, Option<Error>) {
    let over = inflated.data.len() > limit;
    let (visible, error) = if over && inflated.before_tail <= limit {
        // The tail passes for data, and too much of it.
        (inflated.before_tail, Some(Error::InvalidDeflate))
    } else if over {
        (limit, Some(Error::TooBig))
    } else {
        (inflated.data.len(), (!inflated.complete).then_some(Error::InvalidDeflate))
    };
    let visible = &inflated.data[..visible];
    match std::str::from_utf8(visible) {
        Err(invalid) if kind == Kind::Text => {
            let cut_short = invalid.error_len().is_none();
            let error = error.filter(|_| cut_short).unwrap_or(Error::InvalidUtf8);
            (visible[..invalid.valid_up_to()].to_vec(), Some(error))
        }
        _ => (visible.to_vec(), error),
    }
}

/// The whole trace, without its Pings; with chunks, what there is of a message that fails.
fn model(samples: &[Sample], takeover: bool, limit: usize) -> (Vec<Item>, Vec<u8>, Option<Error>) {
    let (mut items, mut inflater) = (Vec::new(), Inflater::default());
    for sample in samples {
        let payload = sample.payload();
        let message = if sample.plain {
            Inflated { before_tail: payload.len(), data: payload, complete: true }
        } else {
            inflater.message(&payload)
        };
        if !takeover {
            inflater.forget();
        }
        match expected(sample.kind, &message, limit) {
            (data, None) => items.push(Item::Message(sample.kind, data)),
            (data, error) => return (items, data, error),
        }
    }
    (items, Vec::new(), None)
}

fn check(samples: &[Sample], takeover: bool, limit: u64, ratio: Option<u32>, sizes: &[usize]) {
    // A frame that is too long by itself ends everything earlier than the model knows.
    let longest = samples.iter().map(|sample| sample.payload().len()).max().unwrap_or(0) as u64;
    let plain = samples.iter().any(|sample| sample.plain && sample.payload().len() as u64 > limit);
    let by_the_model = ratio.is_none() && longest <= 2 * limit + 1024 && !plain;
    let settings = Deflate::default().max_ratio(ratio);
    for role in ROLES {
        let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.frames(role, &sample.payload())).collect();
        let mut outcomes = Vec::new();
        for delivery in DELIVERIES {
            let config = Config::default().max_message_len(limit).delivery(delivery);
            let run = |sizes: &[usize]| -> Trace {
                let mut connection = connection(role, &config, Terms::takeover(true, takeover), &settings);
                feed(&mut connection, &bytes, sizes)
            };
            let whole = run(&[usize::MAX]);
            assert_eq!(whole, run(&[1]), "a byte at a time, {delivery:?}, {role:?}");
            assert_eq!(whole, run(sizes), "cut into {sizes:?}, {delivery:?}, {role:?}");
            let (items, open) = whole.messages();
            if by_the_model {
                let (expected, rest, error) = model(samples, takeover, usize::try_from(limit).unwrap());
                let seen: Vec<Item> = items.iter().filter(|item| matches!(item, Item::Message(..))).cloned().collect();
                assert_eq!(whole.error, error, "{delivery:?}");
                if delivery == Delivery::Chunks {
                    assert_eq!(open, rest, "before the failure");
                }
                assert_eq!(seen, expected, "{delivery:?}");
            }
            outcomes.push((items, whole.error, whole.code, whole.out));
        }
        assert_eq!(outcomes[0], outcomes[1], "both deliveries");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn r110_r111_any_compressed_messages_cut_anywhere(
        samples in vec(sample(), 1..4),
        takeover in any::<bool>(),
        limit in prop_oneof![3 => Just(1 << 20), 1 => 0..2000_u64],
        ratio in option::weighted(0.1, 0..50_u32),
        sizes in vec(1..60_usize, 1..8),
    ) {
        check(&samples, takeover, limit, ratio, &sizes);
    }

    #[test]
    fn r110_any_bytes_as_compressed_payloads(
        payloads in vec((vec(any::<u8>(), 0..40), vec(any::<prop::sample::Index>(), 0..3)), 1..4),
        takeover in any::<bool>(),
        sizes in vec(1..10_usize, 1..5),
    ) {
        let samples: Vec<Sample> = payloads
            .into_iter()
            .map(|(bytes, fragments)| Sample {
                kind: if bytes.len() % 2 == 0 { Kind::Text } else { Kind::Binary },
                parts: vec![Part::Garbage(bytes)],
                ends_with_header: false,
                flip: None,
                truncate: None,
                fragments,
                pings: 0b010,
                plain: false,
            })
            .collect();
        check(&samples, takeover, 1 << 20, None, &sizes);
    }
}

/// Every payload of one and two bytes, and many of three.
#[test]
fn r110_every_short_payload_is_judged_as_by_the_book() {
    let three = (0..1_u32 << 16).map(|n| n.wrapping_mul(2_654_435_761) >> 8).map(|n| n.to_le_bytes()[..3].to_vec());
    let two = (0..=u16::MAX).map(|n| n.to_le_bytes().to_vec());
    let one = (0..=u8::MAX).map(|n| vec![n]);
    let config = Config::default();
    let mut complete = 0;
    for payload in one.chain(two).chain(three) {
        let mut receiver = connection(Role::Client, &config, Terms::takeover(true, false), &Deflate::default());
        let bytes = frame(Role::Client, 0xC2, &payload);
        let inflated = Inflater::default().message(&payload);
        let trace = feed(&mut receiver, &bytes, &[usize::MAX]);
        if inflated.complete {
            complete += 1;
            assert_eq!((trace.data(), trace.error), (inflated.data, None), "{payload:02x?}");
        } else {
            assert_eq!((trace.items.len(), trace.error), (0, Some(Error::InvalidDeflate)), "{payload:02x?}");
        }
    }
    assert!(complete > 200, "{complete}");
}
