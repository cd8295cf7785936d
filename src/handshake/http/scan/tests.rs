use alloc::{format, string::String};
use core::{
    fmt::Debug,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use super::*;
use crate::handshake::http::head::{Parsed, RequestLine, StatusLine};

#[test]
fn control_characters_are_found_where_they_are() {
    for len in 0..80 {
        for at in 0..len {
            for byte in 0..=255 {
                let mut bytes = alloc::vec![b'x'; len];
                bytes[at] = byte;
                let expected = (byte < 0x20 && byte != b'\t').then_some(at);
                assert_eq!(find_control(&bytes), expected, "{byte} at {at} of {len}");
            }
        }
    }
    for tabs in 0..100 {
        assert_eq!(find_control(&alloc::vec![b'\t'; tabs]), None);
        assert_eq!(find_control(&[&alloc::vec![b'\t'; tabs][..], b"\x01x"].concat()), Some(tabs));
    }
}

/// The result for a head that arrives in these pieces: how much of it was taken, the head's text and its start line.
fn scan<'a, S: StartLine + Debug>(pieces: impl IntoIterator<Item = &'a [u8]>, config: &Config) -> String {
    let mut scanner = Scanner::<S>::new(config);
    let mut taken = 0;
    for piece in pieces {
        let mut piece = piece.to_vec();
        let len = piece.len();
        let mut input = &mut piece[..];
        let result = scanner.receive(&mut input);
        taken += len - input.len();
        match result {
            Ok(None) => {}
            Ok(Some(head)) => return format!("{taken}: {head:?}"),
            Err(error) => return format!("{error:?}"),
        }
    }
    "unfinished".into()
}

/// Every byte of a head is changed into every other, left out, and doubled; every line of it is cut short.
#[test]
fn a_head_is_the_same_in_one_piece_and_in_many() {
    fn check<S: StartLine + Debug>(head: &[u8], config: &Config) {
        let same = |bytes: &[u8], cuts: &mut dyn Iterator<Item = usize>| {
            let whole = scan::<S>([bytes], config);
            assert_eq!(whole, scan::<S>(bytes.chunks(1), config), "{}", bytes.escape_ascii());
            for cut in cuts {
                let (one, other) = bytes.split_at(cut.min(bytes.len()));
                assert_eq!(whole, scan::<S>([one, other], config), "{} at {cut}", bytes.escape_ascii());
            }
        };
        same(head, &mut (0..head.len()));
        for at in 0..head.len() {
            same(&[&head[..at], &head[at + 1..]].concat(), &mut (0..head.len()));
            same(&[&head[..at], &head[at..=at], &head[at..]].concat(), &mut (0..head.len()));
            same(&[&head[..at], b"\r\n", &head[at..]].concat(), &mut (0..head.len() + 2));
            for byte in 0..=255 {
                let mutated = [&head[..at], &[byte], &head[at + 1..]].concat();
                same(&mutated, &mut [at, at + 1, at + 2, head.len() / 2].into_iter());
            }
        }
    }
    let request = b"GET /a HTTP/1.1\r\nHost: h\r\nA:\r\nB: \tc d\t \r\nC:d\r\n\r\nrest";
    let response = b"HTTP/1.1 101 Switching\r\nA: b\r\nB: \r\nC: d\r\n\r\nrest";
    let config = Config::default();
    for config in [&config, &config.clone().max_line_len(22), &config.clone().max_line_len(8)] {
        for config in [config, &config.clone().max_headers(3), &config.clone().max_head_len(47)] {
            check::<RequestLine>(request, config);
            check::<StatusLine>(response, config);
        }
    }
    let config = config.max_line_len(15).max_headers(4).max_head_len(48);
    assert!(scan::<RequestLine>([&request[..]], &config).starts_with("48: "));
}

/// The verdict on a start line is the one that the parser has for a whole head with it.
#[test]
fn a_start_line_is_judged_at_its_crlf_as_in_a_whole_head() {
    fn check<S: StartLine + Debug>(line: &[u8]) {
        let config = Config::default();
        let judge = |line: &[u8]| {
            let whole = S::parse(&[line, b"\r\nHost: h\r\n\r\n"].concat(), 1);
            let at_crlf = scan::<S>([&[line, b"\r\n"].concat()[..]], &config);
            let expected = whole.map_or_else(|error| format!("{error:?}"), |_| "unfinished".into());
            assert_eq!(at_crlf, expected, "{}", line.escape_ascii());
        };
        for at in 0..line.len() {
            if at > 0 {
                judge(&line[..at]);
                judge(&[&line[..at], &line[at + 1..]].concat());
            }
            judge(&[&line[..at], &line[at..=at], &line[at..]].concat());
            for byte in (0x20..=255).filter(|&byte| at > 0 || S::begins_with(byte)) {
                judge(&[&line[..at], &[byte], &line[at + 1..]].concat());
            }
        }
    }
    check::<RequestLine>(b"GET /a HTTP/1.1");
    check::<RequestLine>(b"GET /a HTTP/1.0");
    check::<StatusLine>(b"HTTP/1.1 101 Switching");
    check::<StatusLine>(b"HTTP/1.0 101");
}

/// A start line whose parser counts the bytes that it is given.
#[derive(Debug)]
struct Counted(#[allow(dead_code, reason = "a start line is something")] RequestLine);

static PARSED: AtomicUsize = AtomicUsize::new(0);

impl StartLine for Counted {
    const AFTER_EMPTY_LINES: bool = RequestLine::AFTER_EMPTY_LINES;

    fn begins_with(byte: u8) -> bool {
        RequestLine::begins_with(byte)
    }

    fn parse(bytes: &[u8], max_fields: usize) -> Result<Option<Parsed<Self>>, HeadError> {
        PARSED.fetch_add(bytes.len(), Relaxed);
        let parsed = RequestLine::parse(bytes, max_fields)?;
        Ok(parsed.map(|Parsed { len, start, fields }| Parsed { len, start: Self(start), fields }))
    }
}

/// I4: the parser sees each byte a bounded number of times, however the head is cut.
#[test]
fn i4_a_head_is_not_parsed_again_for_each_piece_of_it() {
    let head = [&b"GET /a HTTP/1.1\r\n"[..], &b"Name: value\r\n".repeat(1000), b"\r\n"].concat();
    let config = Config::default().max_head_len(head.len()).max_headers(1000);
    for size in [1, 2, 7, 100, 1460, head.len() - 1, head.len()] {
        PARSED.store(0, Relaxed);
        assert!(scan::<Counted>(head.chunks(size), &config).starts_with(&format!("{}: ", head.len())));
        let parsed = PARSED.load(Relaxed);
        assert!(parsed <= 3 * head.len(), "{parsed} of {} bytes in pieces of {size}", head.len());
    }
}

#[test]
fn r29_an_unfinished_head_never_holds_room_for_more_than_its_limit() {
    let config = Config::default().max_head_len(3000);
    let mut scanner = Scanner::<RequestLine>::new(&config);
    let mut fed = 0;
    loop {
        let mut bytes = *b"GET-GET-";
        fed += bytes.len();
        let result = scanner.receive(&mut &mut bytes[..]);
        assert!(scanner.held.capacity() <= 3000);
        if fed >= 3000 {
            assert_eq!(result.err(), Some(HeadError::TooLong { max: 3000 }));
            break;
        }
        assert!(matches!(result, Ok(None)));
    }
}
