//! How the input is cut changes nothing: the same stream, with the same calls and the same draining of `out` at the same
//! places, in two cuttings gives equal events, output, errors and answers, at the end and at each of those places.
//!
//! Input: a byte of [`Setup`], two of [`Cuts`], two of which each is the distance to a call, two that say which call,
//! then the peer's bytes.

#![no_main]

use std::time::Duration;

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use sansock::{Chunk, CloseCode, CloseFrame, Connection, Error, SendError, Timestamp};
use sansock_fuzz::{
    cuts::Cuts,
    setup::{Judge, Setup, answers, check, left as left_of},
    trace::Trace,
};

fuzz_target!(|data: &[u8]| {
    let [setup, a, b, first, second, call, next_call, stream @ ..] = data else { return };
    let (setup, calls) = (Setup(*setup), [(*first, *call), (*second, *next_call)]);
    assert_eq!(run(setup, Cuts::new(*a), calls, stream), run(setup, Cuts::new(*b), calls, stream));
});

/// All that can be observed of a connection: a part for each stretch of the stream between two calls.
fn run(setup: Setup, mut cuts: Cuts, calls: [(u8, u8); 2], stream: &[u8]) -> Vec<impl PartialEq + std::fmt::Debug> {
    let mut connection = setup.connection();
    let mut judge = Judge::of_compressed(setup.server());
    let mut out = setup.out();
    let (mut now, mut left) = (Timestamp::ZERO, Vec::new());
    let mut parts = Vec::new();
    let mut rest = stream;
    let end = (u8::MAX, 0);
    for (distance, call) in calls.into_iter().chain([end]) {
        let len = if distance == u8::MAX { rest.len() } else { usize::from(distance).min(rest.len()) };
        let (mut stretch, later) = rest.split_at(len);
        rest = later;
        let (mut trace, mut errors) = (Trace::default(), Vec::new());
        let start = out.len();
        // At least one call, so that all that waits for one has it.
        loop {
            let piece = cuts.next_piece(&mut stretch);
            errors.extend(feed(&mut connection, &mut left, piece, &mut out, &mut trace));
            check(&connection, setup.server());
            if stretch.is_empty() {
                break;
            }
        }
        judge.read(&out[start..]);
        let (written, said) = (out.clone(), answers(&connection));
        if !setup.never_drained() {
            out.clear();
        }
        let start = out.len();
        let result = perform(call, &mut now, &mut connection, &mut out);
        judge.read(&out[start..]);
        parts.push((trace, errors, written, said, result, out.clone(), answers(&connection)));
    }
    parts
}

fn feed(
    connection: &mut Connection,
    left: &mut Vec<u8>,
    piece: &[u8],
    out: &mut BytesMut,
    trace: &mut Trace,
) -> Vec<Error> {
    let mut buffer = std::mem::take(left);
    buffer.extend(piece);
    let (mut input, mut errors) = (&mut buffer[..], Vec::new());
    loop {
        match connection.receive(&mut input, out) {
            Ok(Some(event)) => trace.push((&event).into()),
            Ok(None) => {
                *left = left_of(connection, input);
                return errors;
            }
            Err(error) => errors.push(error),
        }
    }
}

/// A call between two stretches; the error of one that the peer is to blame for.
fn perform(
    call: u8,
    now: &mut Timestamp,
    connection: &mut Connection,
    out: &mut BytesMut,
) -> Result<Option<Error>, SendError> {
    match call % 12 {
        1 => connection.send_text("grüß dich", out)?,
        2 => connection.send_binary(&[7; 300], out)?,
        3 => connection.send_chunk(&Chunk::binary(&b"piece"[..], false), out)?,
        4 => connection.ping(b"ping", out)?,
        5 => connection.pong(b"pong", out)?,
        6 => connection.close(None, out)?,
        7 => connection.close(Some(CloseFrame::new(CloseCode::NORMAL, "done")), out)?,
        8 => connection.fail(CloseCode::POLICY_VIOLATION, "no", out),
        9 => {
            // Some find a keepalive Ping due, or that its answer did not come.
            *now = *now + Duration::from_secs(13 + u64::from(call >> 4));
            return Ok(connection.handle_timeout(*now, out).err());
        }
        10 => return Ok(connection.receive_eof().err()),
        _ => {}
    }
    Ok(None)
}
