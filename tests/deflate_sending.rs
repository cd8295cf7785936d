//! Messages are compressed (RFC 7692 §6, §7.2.1): which ones, to which bytes, and when a prepared one is.

use bytes::{Buf, Bytes, BytesMut};
use sansock::{
    Chunk, Config, Connection, Data, Delivery, Event, Message, Outbox, PreparedMessage, SendError,
    deflate::{Compress, Deflate},
};

#[path = "support/inflating.rs"]
mod inflating;
#[path = "support/rfc1951.rs"]
mod rfc1951;

use inflating::{Kind, ROLES, Random, Role, Sent, Terms, compressed, config, connection, feed, receiver, sent, text};
use rfc1951::Inflater;

const HELLO: &[u8] = &[0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00];

/// What a connection sends, and what a reader that shares nothing with it makes of that.
struct Sender {
    role: Role,
    terms: Terms,
    connection: Connection,
    oracle: Inflater,
    out: BytesMut,
}

impl Sender {
    fn new(role: Role, terms: Terms, settings: &Deflate) -> Self {
        let connection = connection(role, &Config::default(), terms, settings);
        Self { role, terms, connection, oracle: Inflater::default(), out: BytesMut::new() }
    }

    /// The frames of the one message that was sent, its data, and whether it is compressed.
    #[track_caller]
    fn message(&mut self) -> (Vec<Sent>, Vec<u8>, bool) {
        let frames = sent(self.role, &self.out);
        self.out.clear();
        let payload: Vec<u8> = frames.iter().flat_map(|sent| sent.payload.clone()).collect();
        for (n, sent) in frames.iter().enumerate() {
            let (first, last) = (n == 0, n + 1 == frames.len());
            assert_eq!(sent.first & 0x80 != 0, last, "one message");
            assert_eq!(matches!(sent.first & 0xF, 1 | 2), first);
            assert_eq!(sent.first & 0x30, 0);
            assert!(first || sent.first & 0x40 == 0, "RSV1 on the first frame alone");
        }
        if frames[0].first & 0x40 == 0 {
            return (frames, payload, false);
        }
        assert!(!payload.is_empty(), "a compressed message has at least one byte");
        let inflated = self.oracle.message(&payload);
        assert!(inflated.complete, "{payload:02x?}");
        assert!(self.oracle.farthest <= 1 << self.terms.sending.0, "no farther than agreed");
        if !self.terms.sending.1 {
            self.oracle.forget();
        }
        (frames, inflated.data, true)
    }
}

const TAKEOVERS: [Terms; 2] = [Terms::takeover(true, true), Terms::takeover(false, true)];

#[test]
fn r108_an_empty_message_is_one_zero_byte() {
    for role in ROLES {
        for terms in TAKEOVERS {
            let mut sender = Sender::new(role, terms, &Deflate::default());
            for _ in 0..3 {
                sender.connection.compress(Compress::Always).send_text("", &mut sender.out).unwrap();
                assert_eq!(sent(role, &sender.out), [Sent { first: 0xC1, payload: vec![0x00] }]);
                assert_eq!(sender.message().1, b"");
                sender.connection.compress(Compress::Always).send_binary(b"Hello", &mut sender.out).unwrap();
                assert_eq!(sender.message().1, b"Hello");
            }
            // In chunks, all of them empty; or only the last.
            for pieces in [&["", "", ""][..], &[""], &["Hello", ""], &["", "Hello"], &["He", "", "llo", "", ""]] {
                sender.connection.compress(Compress::Always);
                for (n, piece) in pieces.iter().enumerate() {
                    let chunk = Chunk::text(*piece, n + 1 == pieces.len());
                    sender.connection.send_chunk(&chunk, &mut sender.out).unwrap();
                }
                let (frames, data, is_compressed) = sender.message();
                assert!(is_compressed);
                assert_eq!((frames.len(), data), (pieces.len(), pieces.concat().into_bytes()));
                assert!(!frames.last().unwrap().payload.is_empty());
            }
        }
    }
}

#[test]
fn r108_the_tail_is_taken_off_every_message() {
    let mut random = Random(8);
    for role in ROLES {
        for terms in TAKEOVERS {
            let mut sender = Sender::new(role, terms, &Deflate::default());
            // Random bytes are stored: their length decides where the compressed ones end in the buffer.
            let lens = (0..20).chain(8172..8194).chain([16_384, 32_768, 40_000]);
            for len in lens {
                let data = random.bytes(len);
                sender.connection.compress(Compress::Always).send_binary(&data, &mut sender.out).unwrap();
                let (frames, received, is_compressed) = sender.message();
                assert!(is_compressed && received == data, "{len}");
                assert!(!frames[0].payload.ends_with(&rfc1951::TAIL));
                assert!(frames[0].payload.len() <= len + 16 + len / 1000, "{} of {len}", frames[0].payload.len());
            }
        }
    }
}

#[test]
fn r102_r103_a_sender_without_takeover_begins_anew_with_each_message() {
    let data = "Hello, hello, hello".as_bytes();
    for role in ROLES {
        for terms in [(true, true), (true, false), (false, true), (false, false)].map(|(a, b)| Terms::takeover(a, b)) {
            let mut sender = Sender::new(role, terms, &Deflate::default());
            let mut payloads = Vec::new();
            for _ in 0..3 {
                sender.connection.compress(Compress::Always).send_binary(data, &mut sender.out).unwrap();
                let (frames, received, _) = sender.message();
                assert_eq!(received, data);
                payloads.push(frames[0].payload.clone());
            }
            let alone = Inflater::default().message(&payloads[2]).complete;
            if terms.sending.1 {
                assert!(payloads[1].len() < payloads[0].len() && !alone, "it refers to the window");
            } else {
                assert!(payloads[0] == payloads[1] && payloads[1] == payloads[2] && alone);
            }
        }
    }
}

#[test]
fn two_ends_understand_each_other_with_every_takeover() {
    let texts = ["The same text, time and again. ".repeat(20), "another".repeat(30), "The same text. ".repeat(50)];
    for (to_client, to_server) in [(true, true), (true, false), (false, true), (false, false)] {
        let server = &mut receiver_of(Role::Server, Terms::takeover(to_client, to_server));
        let client = &mut receiver_of(Role::Client, Terms::takeover(to_server, to_client));
        for message in texts.iter().cycle().take(9) {
            let mut out = BytesMut::new();
            server.send_text(message, &mut out).unwrap();
            assert_eq!(out[0], 0xC1);
            assert_eq!(feed(client, &out, &[100]).items, [text(message)]);
            out.clear();
            client.send_text(message, &mut out).unwrap();
            assert_eq!(out[0], 0xC1);
            assert_eq!(feed(server, &out, &[100]).items, [text(message)]);
        }
    }
}

fn receiver_of(role: Role, terms: Terms) -> Connection {
    connection(role, &Config::default(), terms, &Deflate::default())
}

/// What is given away could go by reference, from 16 KiB on; compressed, it has to go like what is lent.
#[test]
fn a_message_that_is_given_away_is_compressed_whatever_its_length() {
    type Give = fn(&mut Connection, &str, &mut Outbox) -> Result<(), SendError>;
    let ways: [(u8, Give); 3] = [
        (1, |connection, data, out| connection.send_message(Message::Text(data.into()), out)),
        (2, |connection, data, out| connection.send_message(Message::Binary(data.into()), out)),
        (2, |connection, data, out| connection.send_bytes(Bytes::copy_from_slice(data.as_bytes()), out)),
    ];
    for (role, (opcode, give)) in ROLES.into_iter().flat_map(|role| ways.map(|way| (role, way))) {
        for len in [1000, (16 << 10) - 1, 16 << 10, (16 << 10) + 1, 100_000] {
            let data = "Hello, hello. ".repeat(len / 14 + 1)[..len].to_owned();
            let mut sender = Sender::new(role, Terms::FULL, &Deflate::default());
            let mut out = Outbox::new();
            let mut one = |sender: &mut Sender, is_compressed: bool| {
                give(&mut sender.connection, &data, &mut out).unwrap();
                let len = out.len();
                sender.out.extend_from_slice(&out.copy_to_bytes(len));
                let (frames, received, was_compressed) = sender.message();
                assert_eq!((frames.len(), frames[0].first & 0xF), (1, opcode));
                assert!(received == data.as_bytes() && was_compressed == is_compressed, "{role:?} {opcode} {len}");
                frames[0].payload.len()
            };
            let first = one(&mut sender, true);
            assert!(one(&mut sender, true) <= first && first < len / 10, "it refers to the window");
            sender.connection.compress(Compress::Never);
            one(&mut sender, false);
            one(&mut sender, true);
        }
        // It keeps its place, and what is refused changes nothing.
        let mut connection = receiver_of(role, Terms::FULL);
        let (long, mut out) = ("x".repeat(20_000), Outbox::new());
        connection.ping(b"before", out.tail()).unwrap();
        give(&mut connection, &long, &mut out).unwrap();
        connection.ping(b"behind", out.tail()).unwrap();
        connection.send_chunk(&Chunk::text("open", false), out.tail()).unwrap();
        assert_eq!(give(&mut connection, &long, &mut out), Err(SendError::MessageOpen));
        connection.send_chunk(&Chunk::text("", true), out.tail()).unwrap();
        connection.close(None, out.tail()).unwrap();
        assert_eq!(give(&mut connection, &long, &mut out), Err(SendError::Closed));
        let len = out.len();
        let opcodes: Vec<u8> = sent(role, &out.copy_to_bytes(len)).iter().map(|sent| sent.first & 0xF).collect();
        assert_eq!(opcodes, [9, opcode, 9, 1, 0, 8]);
    }
}

#[test]
fn auto_compresses_from_a_length_on() {
    for role in ROLES {
        for min_len in [0, 1, 64, 125, 126, 127, 1000] {
            let mut sender = Sender::new(role, Terms::FULL, &Deflate::default().min_len(min_len));
            for len in [0, 1, 63, 64, 65, 124, 125, 126, 127, 128, 999, 1000, 1001] {
                let data = vec![b'a'; len];
                sender.connection.send_binary(&data, &mut sender.out).unwrap();
                let (_, received, is_compressed) = sender.message();
                assert_eq!((received, is_compressed), (data, len >= min_len), "{len} from {min_len} on");
            }
        }
    }
}

#[test]
fn auto_compresses_chunks_unless_they_are_one_short_message() {
    let mut sender = Sender::new(Role::Client, Terms::FULL, &Deflate::default());
    for (pieces, expected) in [(&["a"][..], false), (&["a", "b"], true), (&["", ""], true)] {
        for (n, piece) in pieces.iter().enumerate() {
            sender.connection.send_chunk(&Chunk::text(*piece, n + 1 == pieces.len()), &mut sender.out).unwrap();
        }
        assert_eq!(sender.message().2, expected, "{pieces:?}");
    }
}

#[test]
fn compress_decides_about_the_next_message_only() {
    let (short, long) = (&b"short"[..], &[b'a'; 500][..]);
    for role in ROLES {
        let mut sender = Sender::new(role, Terms::FULL, &Deflate::default());
        // For each: what is decided for the first of three messages, and what of them is compressed.
        for (choice, data, expected) in [
            (Compress::Always, short, [true, false, true]),
            (Compress::Never, long, [false, false, true]),
            (Compress::Auto, short, [false, false, true]),
            (Compress::Auto, long, [true, false, true]),
        ] {
            sender.connection.compress(choice);
            let got = [data, short, long].map(|data| {
                sender.connection.send_binary(data, &mut sender.out).unwrap();
                let (_, received, is_compressed) = sender.message();
                assert_eq!(received, data);
                is_compressed
            });
            assert_eq!(got, expected, "{choice:?}");
            // The last word counts.
            sender.connection.compress(choice).compress(Compress::Never).send_binary(long, &mut sender.out).unwrap();
            assert!(!sender.message().2);
        }
    }
}

#[test]
fn compress_survives_what_is_no_message() {
    let mut sender = Sender::new(Role::Server, Terms::FULL, &Deflate::default());
    let long = "a".repeat(500);
    sender.connection.compress(Compress::Never);
    sender.connection.ping(b"", &mut sender.out).unwrap();
    sender.connection.pong(b"", &mut sender.out).unwrap();
    sender.out.clear();
    sender.connection.send_text(&long, &mut sender.out).unwrap();
    assert!(!sender.message().2, "a Ping is no message");

    // Decided in the middle of a message, it is for the next one; also when that one's payload is written by the
    // caller.
    sender.connection.send_chunk(&Chunk::text(&*long, false), &mut sender.out).unwrap();
    sender.connection.compress(Compress::Never);
    sender.connection.send_chunk(&Chunk::text(&*long, true), &mut sender.out).unwrap();
    assert!(sender.message().2);
    sender.connection.send_text(&long, &mut sender.out).unwrap();
    assert!(!sender.message().2, "decided in the middle of the last message");

    let _ = sender.connection.send_header(Kind::Text, 0, false).unwrap();
    sender.connection.compress(Compress::Never);
    let _ = sender.connection.send_header(Kind::Text, 0, true).unwrap();
    sender.connection.send_text(&long, &mut sender.out).unwrap();
    assert!(!sender.message().2, "decided in the middle of a message that the caller writes");

    // Such a message is the next one, like any other.
    for fins in [&[true][..], &[false, true]] {
        sender.connection.compress(Compress::Never);
        for fin in fins {
            let _ = sender.connection.send_header(Kind::Text, 0, *fin).unwrap();
        }
        sender.connection.send_text(&long, &mut sender.out).unwrap();
        assert!(sender.message().2, "decided for the message before");
    }

    // What is refused changes nothing.
    sender.connection.send_chunk(&Chunk::text("open", false), &mut sender.out).unwrap();
    sender.connection.compress(Compress::Never);
    assert_eq!(sender.connection.send_text(&long, &mut sender.out), Err(SendError::MessageOpen));
    let prepared = PreparedMessage::text(&long).with_deflate(&Deflate::default());
    assert_eq!(sender.connection.send_prepared(&prepared), Err(SendError::MessageOpen));
    assert_eq!(sender.connection.send_header(Kind::Binary, 5, true).err(), Some(SendError::MessageOpen));
    sender.connection.send_chunk(&Chunk::text("", true), &mut sender.out).unwrap();
    sender.out.clear();
    sender.connection.send_text(&long, &mut sender.out).unwrap();
    assert_eq!(sender.out[0], 0x81);
}

#[test]
fn a_message_sent_as_it_is_does_not_touch_the_window() {
    for role in ROLES {
        let mut sender = Sender::new(role, Terms::FULL, &Deflate::default());
        let (data, other) = ("Hello, hello. ".repeat(9), "something else; ".repeat(9));
        sender.connection.send_text(&data, &mut sender.out).unwrap();
        let (first, ..) = sender.message();
        for n in 0..5 {
            sender.connection.compress(Compress::Never).send_text(&other, &mut sender.out).unwrap();
            assert!(!sender.message().2);
            let pieces = [(&other[..n], false), (&other[n..], true)];
            sender.connection.compress(Compress::Never);
            for (piece, fin) in pieces {
                sender.connection.send_chunk(&Chunk::text(piece, fin), &mut sender.out).unwrap();
            }
            assert!(!sender.message().2);
            let _ = sender.connection.send_header(Kind::Binary, 0, true).unwrap();
            // The oracle has seen nothing of these.
            sender.connection.send_text(&data, &mut sender.out).unwrap();
            let (frames, received, is_compressed) = sender.message();
            assert!(is_compressed && received == data.as_bytes());
            assert!(frames[0].payload.len() < first[0].payload.len());
        }
    }
}

#[test]
fn a_header_alone_has_no_place_in_a_compressed_message() {
    for role in ROLES {
        let mut sender = Sender::new(role, Terms::FULL, &Deflate::default());
        sender.connection.send_chunk(&Chunk::text("Hello", false), &mut sender.out).unwrap();
        for fin in [false, true] {
            let refused = sender.connection.send_header(Kind::Text, 5, fin).err();
            assert_eq!(refused, Some(SendError::MessageOpen));
        }
        sender.connection.send_chunk(&Chunk::text(", you", true), &mut sender.out).unwrap();
        assert_eq!(sender.message().1, b"Hello, you", "it was refused without a trace");

        // In one that is not, it has, in any order with chunks.
        sender.connection.compress(Compress::Never);
        sender.connection.send_chunk(&Chunk::text("Hello", false), &mut sender.out).unwrap();
        let (head, mut masker) = sender.connection.send_header(Kind::Text, 5, false).unwrap();
        let mut payload = *b", you";
        masker.apply(&mut payload);
        sender.out.extend_from_slice(&head);
        sender.out.extend_from_slice(&payload);
        sender.connection.send_chunk(&Chunk::text("!", true), &mut sender.out).unwrap();
        let (_, received, is_compressed) = sender.message();
        assert_eq!((&received[..], is_compressed), (&b"Hello, you!"[..], false));
        // A message that a header began is not compressed by the chunks that follow.
        let (head, _) = sender.connection.send_header(Kind::Text, 0, false).unwrap();
        assert_eq!(head[0], 0x01);
        sender.out.extend_from_slice(&head);
        sender.connection.send_chunk(&Chunk::text("plain".repeat(100), true), &mut sender.out).unwrap();
        assert!(!sender.message().2);
    }
}

#[test]
fn r97_with_a_window_of_256_bytes_nothing_is_compressed() {
    let terms = Terms { sending: (8, true), receiving: (15, true) };
    let mut sender = Sender::new(Role::Client, terms, &Deflate::default());
    let data = "a".repeat(1000);
    for choice in [Compress::Auto, Compress::Always, Compress::Never] {
        sender.connection.compress(choice).send_text(&data, &mut sender.out).unwrap();
        assert!(!sender.message().2);
        for fin in [false, true] {
            sender.connection.compress(choice).send_chunk(&Chunk::text(&*data, fin), &mut sender.out).unwrap();
        }
        assert!(!sender.message().2);
    }
    // The peer may.
    let bytes = compressed(Role::Client, Kind::Text, &[HELLO]);
    assert_eq!(feed(&mut sender.connection, &bytes, &[1]).items, [text("Hello")]);
}

#[test]
fn chunks_of_a_compressed_message_are_relayed() {
    let data: String = (0..30_000).flat_map(|n| ["{\"né\":".into(), n.to_string(), "}".into()]).collect();
    for (role, other) in [(Role::Server, Role::Client), (Role::Client, Role::Server)] {
        for terms in TAKEOVERS {
            let mut from = connection(role, &config(Delivery::Chunks), Terms::FULL, &Deflate::default());
            let mut to = Sender::new(other, terms, &Deflate::default());
            let payload = rfc1951::Deflater::new(15).message(data.as_bytes());
            let fragments: Vec<&[u8]> = payload.chunks(10_000).collect();
            for _ in 0..2 {
                let mut bytes = compressed(role, Kind::Text, &fragments);
                let mut pieces = 0;
                for part in bytes.chunks_mut(1460) {
                    let mut input = part;
                    while let Some(event) = from.receive(&mut input, &mut BytesMut::new()).unwrap() {
                        let Event::Chunk(chunk) = event else { panic!("{event:?}") };
                        to.connection.send_chunk(&chunk, &mut to.out).unwrap();
                        pieces += 1;
                    }
                }
                let (frames, received, is_compressed) = to.message();
                assert!(is_compressed && frames.len() == pieces && pieces > 1);
                assert_eq!(received, data.as_bytes());
            }
        }
    }
}

#[test]
fn chunks_are_flushed_so_that_each_can_be_read_when_it_arrives() {
    let mut sender = receiver(Role::Server, &Config::default());
    let mut reader = receiver(Role::Client, &config(Delivery::Chunks));
    for (piece, fin) in [("first", false), ("second", false), ("", false), ("third", true)] {
        let mut out = BytesMut::new();
        sender.send_chunk(&Chunk::text(piece, fin), &mut out).unwrap();
        let mut got = String::new();
        let mut input = &mut out[..];
        while let Some(Event::Chunk(Chunk { data: Data::Text(text), .. })) =
            reader.receive(&mut input, &mut BytesMut::new()).unwrap()
        {
            got += &text;
        }
        assert_eq!(got, piece);
    }
}

#[test]
fn a_prepared_message_is_compressed_only_where_it_can_be_inflated() {
    let data = "All that you can say to everybody, you can say to everybody once. ".repeat(40);
    for prepared_bits in 9..=15 {
        let settings = Deflate::default().window_bits(prepared_bits).unwrap();
        for message in [
            (PreparedMessage::text(&data).with_deflate(&settings), 0x81),
            (PreparedMessage::binary(data.as_bytes()).with_deflate(&settings), 0x82),
        ] {
            for agreed_bits in 9..=15 {
                for takeover in [true, false] {
                    let terms = Terms { sending: (agreed_bits, takeover), receiving: (15, true) };
                    let mut sender = Sender::new(Role::Server, terms, &Deflate::default());
                    for _ in 0..3 {
                        let frame = sender.connection.send_prepared(&message.0).unwrap();
                        sender.out.extend_from_slice(&frame);
                        assert_eq!(frame[0] & 0x8F, message.1);
                        let (_, received, is_compressed) = sender.message();
                        assert_eq!(received, data.as_bytes());
                        assert_eq!(is_compressed, !takeover && prepared_bits <= agreed_bits);
                        // Messages before and behind know nothing of it.
                        sender.connection.send_text(&data, &mut sender.out).unwrap();
                        let (_, received, is_compressed) = sender.message();
                        assert!(is_compressed && received == data.as_bytes());
                    }
                }
            }
        }
    }
}

#[test]
fn a_prepared_message_without_compression_or_for_others_goes_as_it_is() {
    let data = "x".repeat(1000);
    let settings = Deflate::low_memory();
    let (plain, deflated) = (PreparedMessage::text(&data), PreparedMessage::text(&data).with_deflate(&settings));
    let no_takeover = Terms::takeover(false, true);
    let mut without = Connection::server(&Config::default());
    assert_eq!(without.send_prepared(&deflated).unwrap()[0], 0x81);
    let mut with = connection(Role::Server, &Config::default(), no_takeover, &Deflate::default());
    assert_eq!(with.send_prepared(&plain).unwrap()[0], 0x81);
    assert_eq!(with.send_prepared(&deflated).unwrap()[0], 0xC1);
    // `compress` is for the next message, whichever it is.
    assert_eq!(with.compress(Compress::Never).send_prepared(&deflated).unwrap()[0], 0x81);
    assert_eq!(with.send_prepared(&deflated).unwrap()[0], 0xC1);
    let mut out = BytesMut::new();
    with.compress(Compress::Never).send_prepared(&deflated).unwrap();
    with.send_text(&data, &mut out).unwrap();
    assert_eq!(out[0], 0xC1);
    let mut client = connection(Role::Client, &Config::default(), no_takeover, &Deflate::default());
    assert_eq!(client.send_prepared(&deflated), Err(SendError::MustMask));
}

#[test]
fn a_prepared_empty_message_is_valid() {
    let empty = PreparedMessage::binary(b"").with_deflate(&Deflate::default());
    let mut sender = Sender::new(Role::Server, Terms::takeover(false, true), &Deflate::default());
    let frame = sender.connection.send_prepared(&empty).unwrap();
    sender.out.extend_from_slice(&frame);
    assert_eq!(sender.message().1, b"");
}
