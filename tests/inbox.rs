//! Messages that are lent where they lie, though they come in pieces, and the buffer that they lie in.

mod support;

use std::{borrow::Cow, time::Duration};

use bytes::BytesMut;
use sansock::{Config, Connection, Delivery, Error, Event, Inbox, Timestamp};
use support::{ROLES, Random, Role, Seen, Session, binary, frame, ping, text};

fn in_place() -> Config {
    Config::default().delivery(Delivery::InPlace)
}

/// What a driver does with an inbox: reads of at most `size` bytes, and no more than there is room for.
struct Driver {
    connection: Connection,
    inbox: Inbox,
    out: BytesMut,
    seen: Vec<Seen>,
}

impl Driver {
    fn new(role: Role, config: &Config) -> Self {
        let (connection, inbox) = (role.connection(config), Inbox::new());
        Self { connection, inbox, out: BytesMut::new(), seen: Vec::new() }
    }

    /// How many of the bytes the read took.
    fn read(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        let room = self.inbox.room(self.connection.missing());
        let count = bytes.len().min(room.len());
        room[..count].copy_from_slice(&bytes[..count]);
        self.inbox.filled(count);
        self.receive().map(|()| count)
    }

    fn receive(&mut self) -> Result<(), Error> {
        let mut input = self.inbox.input();
        while let Some(event) = self.connection.receive(&mut input, &mut self.out)? {
            self.seen.push(Seen::of(&event));
        }
        let left = input.len();
        self.inbox.keep(left);
        Ok(())
    }

    fn read_all(&mut self, mut bytes: &[u8], size: usize) -> Result<(), Error> {
        while !bytes.is_empty() {
            let count = self.read(&bytes[..size.min(bytes.len())])?;
            bytes = &bytes[count..];
        }
        Ok(())
    }
}

/// Messages of all kinds and lengths, with Pings between them and between fragments.
fn conversation() -> (Vec<u8>, Vec<Seen>) {
    let (mut frames, mut seen) = (Vec::new(), Vec::new());
    for len in [0, 1, 125, 126, 4000, 0xFFFF, 0x1_0000, 0x1_0001, 40_000, 200_000, 7] {
        let letters: String = "déjà vu ".chars().cycle().take(len * 4 / 5).collect();
        let data: Vec<u8> = (0..len).map(|n| (n * 7 / 3) as u8).collect();
        frames.extend([frame(0x81, letters.as_bytes()), frame(0x89, b"?"), frame(0x82, &data)].concat());
        let (head, tail) = data.split_at(len / 3);
        frames.extend([frame(0x02, head), frame(0x89, b"!"), frame(0x80, tail)].concat());
        seen.extend([text(&letters), ping(b"?"), binary(&data), ping(b"!"), binary(&data)]);
    }
    (frames, seen)
}

#[test]
fn whatever_the_reads_the_messages_are_the_same() {
    let (frames, expected) = conversation();
    for role in ROLES {
        let bytes = role.as_received(&frames);
        for size in [1, 2, 7, 1000, 4096, 65_536, usize::MAX] {
            let mut driver = Driver::new(role, &in_place());
            driver.read_all(&bytes, size).unwrap();
            assert!(driver.seen == expected, "{role:?}, reads of {size}");
            assert!(driver.inbox.is_empty());
        }
        let mut random = Random(9);
        let (mut driver, mut rest) = (Driver::new(role, &in_place()), &bytes[..]);
        while !rest.is_empty() {
            let size = random.below(100_000) + 1;
            rest = &rest[driver.read(&rest[..size.min(rest.len())]).unwrap()..];
        }
        assert!(driver.seen == expected, "{role:?}, reads of any size");
    }
}

#[test]
fn what_was_read_elsewhere_is_received_like_what_was_read_here() {
    let (frames, expected) = conversation();
    for (role, delivery) in
        ROLES.into_iter().flat_map(|role| [Delivery::InPlace, Delivery::Messages].map(|to| (role, to)))
    {
        let bytes = role.as_received(&frames);
        for size in [13, 1000, 4096, 65_536, usize::MAX] {
            let mut driver = Driver::new(role, &Config::default().delivery(delivery));
            for read in bytes.chunks(size) {
                // A part of the buffer is read into, as ever.
                let mut buffer = [read, &[0xee; 9]].concat().into_boxed_slice();
                let place = buffer.as_ptr();
                let was_empty = driver.inbox.is_empty();
                driver.inbox.give(&mut buffer, read.len(), driver.connection.missing());
                assert_eq!(driver.inbox.input().as_ptr() == place, was_empty, "it is not copied without need");
                driver.receive().unwrap();
            }
            assert!(driver.seen == expected, "{role:?}, {delivery:?}, reads of {size}");
            assert!(driver.inbox.is_empty());
        }
    }
}

#[test]
#[should_panic(expected = "more was read than there was room for")]
fn more_than_the_buffer_cannot_be_given() {
    Inbox::new().give(&mut Box::default(), 1, 0);
}

#[test]
fn a_message_in_pieces_is_lent_from_where_it_lies() {
    for (role, first) in ROLES.into_iter().flat_map(|role| [0x81, 0x82].map(|first| (role, first))) {
        let mut buffer = role.as_received(&frame(first, &vec![b'x'; 60_000]));
        let payload = buffer.len() - 60_000..buffer.len();
        let place = buffer[payload.clone()].as_ptr();
        let (mut connection, mut out) = (role.connection(&in_place()), BytesMut::new());
        let mut kept = 0;
        for end in [1, payload.start, payload.start + 1, 10_000, 10_000, 59_999] {
            let mut input = &mut buffer[kept..end];
            assert_eq!(connection.receive(&mut input, &mut out), Ok(None));
            kept = end - input.len();
            // The header is taken; what came of the payload stays.
            assert_eq!(kept, end.min(payload.start));
            assert_eq!(connection.missing(), if end < payload.start { 0 } else { (payload.end - end) as u64 });
            assert!(buffer[kept..end].iter().all(|&byte| byte == b'x'), "it is unmasked");
        }
        let mut input = &mut buffer[kept..];
        match connection.receive(&mut input, &mut out).unwrap().unwrap() {
            Event::Text(Cow::Borrowed(text)) if first == 0x81 => assert_eq!(text.as_ptr(), place),
            Event::Binary(Cow::Borrowed(data)) if first == 0x82 => assert_eq!(data.as_ptr(), place),
            other => panic!("not lent: {:?}", Seen::of(&other)),
        }
        assert_eq!((input.len(), connection.missing()), (0, 0));
    }
}

#[test]
fn what_cannot_stay_is_stored() {
    // Fragments, and texts that would have to be validated twice: the input is used up.
    let long = vec![b'x'; (64 << 10) + 1];
    for role in ROLES {
        for (frames, stays, messages) in [
            (frame(0x81, &long[1..]), true, 1),
            (frame(0x81, &long), false, 1),
            (frame(0x82, &long), true, 1),
            (frame(0x02, &long), false, 0),
            ([frame(0x02, b"-"), frame(0x80, &long)].concat(), false, 1),
        ] {
            let bytes = role.as_received(&frames);
            let mut session = Session::new(role, &in_place());
            session.feed(&bytes[..bytes.len() - 1]);
            assert_eq!((!session.left.is_empty(), session.connection.missing()), (stays, u64::from(stays)));
            session.feed(&bytes[bytes.len() - 1..]);
            assert_eq!((session.events.len(), session.left.len(), session.error), (messages, 0, None));
        }
    }
}

#[test]
fn text_in_place_fails_at_the_byte_that_shows_it() {
    for role in ROLES {
        let mut session = Session::new(role, &in_place());
        let bytes = role.as_received(&frame(0x81, b"0123456789\xC0..."));
        let shows = bytes.len() - 4;
        session.feed(&bytes[..shows]);
        assert_eq!(session.error, None);
        session.feed(&bytes[shows..=shows]);
        session.fails(Error::InvalidUtf8, 1007);
        assert!(session.left.is_empty(), "after an error the input is discarded");
        // A character that the end of the frame cuts.
        let mut session = Session::new(role, &in_place());
        let bytes = role.as_received(&frame(0x81, "0123456789€".as_bytes().split_last().unwrap().1));
        for byte in bytes {
            session.feed(&[byte]);
        }
        session.fails(Error::InvalidUtf8, 1007);
    }
}

#[test]
fn the_end_in_the_middle_of_what_is_kept() {
    for role in ROLES {
        let mut session = Session::new(role, &in_place());
        let bytes = role.as_received(&frame(0x82, &[b'x'; 100]));
        session.feed(&bytes[..90]);
        assert_eq!(session.connection.receive_eof(), Err(Error::ConnectionLost));
        // What a driver still has is discarded, like everything behind the end.
        session.feed(b"");
        assert!(session.left.is_empty());
    }
}

#[test]
fn what_is_kept_is_no_news() {
    // A driver may offer it again whenever it wakes up: the peer is as silent as it is.
    for role in ROLES {
        let bytes = role.as_received(&frame(0x82, &[b'x'; 100]));
        for (config, error) in [
            (in_place(), Error::KeepaliveTimeout),
            (in_place().keepalive(None).idle_timeout(Some(Duration::from_secs(30))), Error::IdleTimeout),
        ] {
            let (mut connection, mut out) = (role.connection(&config), BytesMut::new());
            let (mut buffer, mut kept) = (bytes.clone(), 0);
            let failed = (0..100).find_map(|second| {
                let now = Timestamp::from_duration(Duration::from_secs(second));
                let mut input = &mut buffer[kept..90];
                assert_eq!(connection.receive(&mut input, &mut out), Ok(None));
                kept = 90 - input.len();
                connection.handle_timeout(now, &mut out).err().map(|error| (second, error))
            });
            assert_eq!(failed.map(|(_, error)| error), Some(error), "{role:?}");
            assert!(failed.is_some_and(|(second, _)| second <= 42), "{failed:?}");
        }
    }
}

#[test]
fn a_caller_who_loses_what_was_left_gets_no_panic() {
    for role in ROLES {
        let bytes = role.as_received(&[frame(0x82, &[b'x'; 1000]), frame(0x81, b"Hello")].concat());
        for lost in [1, 500, 900] {
            let (mut connection, mut out) = (role.connection(&in_place()), BytesMut::new());
            let mut buffer = bytes.clone();
            assert_eq!(connection.receive(&mut &mut buffer[..900], &mut out), Ok(None));
            for end in [900, 950, 999, bytes.len()] {
                let mut input = &mut buffer[lost..end];
                while let Ok(Some(_)) = connection.receive(&mut input, &mut out) {}
            }
            assert!(connection.receive(&mut &mut [][..], &mut out).is_ok_and(|event| event.is_none()));
        }
    }
}

#[test]
fn room_grows_with_what_has_come() {
    for role in ROLES {
        let bytes = role.as_received(&frame(0x82, &vec![b'x'; 60 << 20]));
        let mut driver = Driver::new(role, &in_place().max_message_len(64 << 20));
        assert_eq!(driver.inbox.room(0).len(), 64 << 10);
        let mut came = driver.read(&bytes[..20]).unwrap();
        while came < bytes.len() {
            let missing = driver.connection.missing();
            let room = driver.inbox.room(missing).len();
            assert!(room as u64 <= missing, "beyond the end of the frame");
            assert!(room <= came.max(64 << 10), "{room} bytes on the word of who sent {came}");
            came += driver.read(&bytes[came..]).unwrap();
        }
        assert_eq!((driver.seen.len(), driver.connection.missing(), driver.inbox.len()), (1, 0, 0));
        // A long one is over: the next read is for a header, the one after it for anything.
        assert_eq!([driver.inbox.room(0).len(), driver.inbox.room(0).len()], [4 << 10; 2]);
        driver.inbox.filled(1);
        assert_eq!(driver.inbox.room(0).len(), 64 << 10);
    }
}

/// I4: also of a peer that sends a long frame in many short pieces.
#[test]
fn what_is_kept_is_moved_seldom_however_short_the_reads() {
    for read in [1, 7, 1460, 20_000] {
        let (mut inbox, mut missing, mut moves) = (Inbox::new(), 1_usize << 20, 0);
        let mut place = inbox.input().as_ptr();
        while missing > 0 {
            let room = inbox.room(missing as u64).len();
            let count = room.min(read);
            inbox.filled(count);
            missing -= count;
            let now = inbox.input().as_ptr();
            moves += usize::from(now != place);
            place = now;
        }
        assert!(moves <= 6, "{moves} moves in reads of {read}");
    }
}

#[test]
fn behind_a_small_frame_as_much_is_read_as_there_is_room_for() {
    for role in ROLES {
        let frames = frame(0x82, &[b'x'; 1000]).repeat(200);
        let (bytes, mut driver) = (role.as_received(&frames), Driver::new(role, &in_place()));
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let kept = driver.inbox.len();
            let room = driver.inbox.room(driver.connection.missing());
            assert_eq!(room.len(), (64 << 10) - kept, "one buffer, whatever is kept of it");
            rest = &rest[driver.read(rest).unwrap()..];
        }
        assert_eq!((driver.seen.len(), driver.inbox.len()), (200, 0));
        // From 8 KiB on the next frame has to wait.
        let bytes = role.as_received(&frame(0x82, &[b'x'; 8 << 10]));
        assert_eq!(driver.read(&bytes[..500]), Ok(500));
        assert_eq!(driver.inbox.room(driver.connection.missing()).len(), bytes.len() - 500);
    }
}

#[test]
fn what_was_not_received_stays_in_front() {
    // Back-pressure: a driver that stops in the middle, and reads all the same.
    let mut inbox = Inbox::from(b"abc".to_vec());
    assert_eq!((inbox.len(), &*inbox.input()), (3, &b"abc"[..]));
    inbox.keep(2);
    inbox.room(0)[..2].copy_from_slice(b"de");
    inbox.filled(2);
    assert_eq!(&*inbox.input(), b"bcde");
    inbox.keep(0);
    assert!(inbox.is_empty());
    let mut small = Inbox::new().read_len(0);
    assert_eq!(small.room(0).len(), 1, "never none");
    assert_eq!(small.room(u64::MAX).len(), 1);
}

#[test]
fn a_buffer_goes_round() {
    let mut shared = vec![0; 64 << 10].into_boxed_slice();
    let (mut a, mut b) = (Inbox::new(), Inbox::new());
    a.borrow_buffer(&mut shared);
    assert!(shared.is_empty());
    a.room(0)[..10_000].fill(b'a');
    a.filled(10_000);
    a.keep(100);
    // A few bytes move to a buffer of their own.
    a.return_buffer(&mut shared);
    assert_eq!((shared.len(), &*a.input()), (64 << 10, &[b'a'; 100][..]));

    b.borrow_buffer(&mut shared);
    b.room(0)[..30_000].fill(b'b');
    b.filled(30_000);
    b.keep(20_000);
    // Many stay, so the next one begins without.
    b.return_buffer(&mut shared);
    assert_eq!((shared.len(), b.len()), (0, 20_000));
    a.borrow_buffer(&mut shared);
    a.room(0)[0] = b'c';
    a.filled(1);
    assert_eq!(a.input().split_last(), Some((&b'c', &[b'a'; 100][..])));
    a.keep(0);
    a.return_buffer(&mut shared);
    assert_eq!(shared.len(), 100 + (64 << 10));
    b.keep(0);
    b.return_buffer(&mut shared);
    assert!(shared.len() >= 64 << 10);
    assert!(a.is_empty() && b.is_empty());

    // One that a long frame left is nothing to keep for a short part of the next.
    let mut shared = vec![0; 1 << 20].into_boxed_slice();
    let mut c = Inbox::new();
    c.borrow_buffer(&mut shared);
    c.room(0)[..20_000].fill(b'c');
    c.filled(20_000);
    c.return_buffer(&mut shared);
    assert_eq!((shared.len(), &*c.input()), (1 << 20, &vec![b'c'; 20_000][..]));
    // Nor is it taken again, nor copied again, while the part grows.
    c.borrow_buffer(&mut shared);
    c.room(1 << 20)[0] = b'd';
    c.filled(1);
    c.return_buffer(&mut shared);
    assert_eq!((shared.len(), c.len()), (1 << 20, 20_001));
    assert_eq!(c.input().last(), Some(&b'd'));
    let place = c.input().as_ptr();
    c.room(1 << 20);
    c.filled(1);
    c.return_buffer(&mut shared);
    assert_eq!((c.input().as_ptr(), c.len()), (place, 20_002));

    // One that grew long is not what the next one needs.
    let mut long = Inbox::new();
    long.room(0);
    long.filled(64 << 10);
    while long.len() < 2 << 20 {
        let room = long.room(4 << 20).len();
        long.filled(room);
    }
    long.keep(0);
    let mut none = Box::default();
    long.return_buffer(&mut none);
    assert!(none.is_empty());
}

/// A few bytes pin at most 16 KiB: a buffer that is no longer stays where it is, a longer one goes to the next
/// borrower.
#[test]
fn what_is_left_of_a_read_pins_at_most_16_kib() {
    for (len, stays) in [(500, true), (16 << 10, true), ((16 << 10) + 1, false), (64 << 10, false)] {
        let mut inbox = Inbox::new().read_len(len);
        inbox.room(0)[..400].fill(b'x');
        inbox.filled(400);
        let (place, mut shared) = (inbox.input().as_ptr(), Box::default());
        inbox.return_buffer(&mut shared);
        assert_eq!(&*inbox.input(), [b'x'; 400]);
        assert_eq!((inbox.input().as_ptr() == place, shared.is_empty()), (stays, stays), "{len}");
    }
}

#[test]
#[should_panic(expected = "more was read than there was room for")]
fn more_than_the_room_was_filled() {
    let mut inbox = Inbox::new();
    let room = inbox.room(0).len();
    inbox.filled(room + 1);
}

#[test]
#[should_panic(expected = "more is kept than there was")]
fn more_than_there_was_is_kept() {
    Inbox::from(b"abc".to_vec()).keep(4);
}
