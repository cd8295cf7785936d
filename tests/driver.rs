//! [`Driver`] as dialogues over a simulated network on a virtual clock: one test for each rule of `sansock::driver`,
//! for each finding that led to it, and for each subtlety that a first version got wrong.

#[path = "support/network.rs"]
mod network;
mod support;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use bytes::BytesMut;
use network::{Dialogue, End, Goal, Net, Outcome, Peer, Pipe, Turn, at, millis, secs};
use sansock::{
    Buffers, CloseInfo, Config, Connection, Driver, Error, Event, Keepalive, Outbox, State, Step, Timestamp, Transport,
    Violation,
};
use support::{App, Client, ROLES, Role, Seen, Server, binary, close_frame, closed, frame, goodbye, masked, text};

const KIB: usize = 1 << 10;

fn config() -> Config {
    Config::default().max_message_len(64 << 20)
}

/// Nothing but the stall timeout and the close timeout.
fn without_keepalive() -> Config {
    config().keepalive(None)
}

fn net(capacity: usize) -> Net {
    Net::new(Pipe::new(capacity), Pipe::new(capacity))
}

fn echo(connection: &mut Connection, event: &Event<'_>, out: &mut BytesMut) {
    let _ = match event {
        Event::Text(text) => connection.send_text(text, out),
        Event::Binary(data) => connection.send_binary(data, out),
        _ => Ok(()),
    };
}

fn say(len: usize) -> impl Fn(&mut Connection, &mut BytesMut) {
    move |connection, out| connection.send_binary(&vec![0xAB; len], out).unwrap()
}

fn say_goodbye(connection: &mut Connection, out: &mut BytesMut) {
    connection.close(goodbye(1000, ""), out).unwrap();
}

/// Writes all of `bytes` as a client that the test itself plays.
#[track_caller]
fn client_writes(dialogue: &mut Dialogue, bytes: &[u8]) {
    let now = dialogue.net.now;
    assert_eq!(dialogue.net.outgoing(Client).write(bytes, now), Outcome::Count(bytes.len()));
    dialogue.net.settle();
}

/// What that client reads, as long as something is there.
fn client_reads(dialogue: &mut Dialogue, most: usize) -> Vec<u8> {
    let mut room = vec![0; most];
    dialogue.net.settle();
    let Outcome::Count(count) = dialogue.net.incoming(Client).read(&mut room) else { return Vec::new() };
    room.truncate(count);
    room
}

fn client_ends(dialogue: &mut Dialogue) {
    let now = dialogue.net.now;
    dialogue.net.outgoing(Client).shut(now);
    dialogue.net.settle();
}

fn info(peer: &Peer) -> &CloseInfo {
    peer.end.driver.machine().close_info().expect("a connection that has ended")
}

#[track_caller]
fn is_clean(peer: &Peer) {
    assert_eq!(peer.verdict(), Some(None), "ended without an error");
    assert!(info(peer).clean, "{:?}", info(peer));
    assert_eq!(info(peer).unwritten, 0);
}

// Rule 1: reading does not wait for what the application sends.

/// loop.md 1: 400,000 bytes each way through 64 KiB, over which both waited for each other until keepalive killed both.
#[test]
fn two_peers_that_queue_large_messages_both_receive_them_at_once() {
    for len in [190_000, 200_000, 400_000] {
        for is_edged in [false, true] {
            let mut dialogue = Dialogue::new(net(64 * KIB), Peer::new(Client, &config()), Peer::new(Server, &config()));
            (dialogue.client().end.edges, dialogue.server().end.edges) = (is_edged, is_edged);
            dialogue.client().says(say(len));
            dialogue.server().says(say(len));
            dialogue.settle();
            assert_eq!((dialogue.client().lens(), dialogue.server().lens()), (vec![len], vec![len]));
        }
    }
}

/// loop.md 2: the write that brings the output below the mark is followed by a read, although no edge tells of that.
#[test]
fn reading_resumes_when_a_write_makes_room_for_answers() {
    for is_edged in [false, true] {
        let mut peer = Peer::new(Server, &without_keepalive()).app(echo);
        peer.end.edges = is_edged;
        let mut dialogue = Dialogue::new(Net::new(Pipe::new(1 << 20), Pipe::new(64 * KIB)), None, peer);
        let question = masked(&frame(0x82, &vec![7; 10_000]));
        for _ in 0..40 {
            client_writes(&mut dialogue, &question);
        }
        dialogue.settle();
        assert!(dialogue.server().lens().len() < 40, "answers wait, so reading does");
        assert!(!dialogue.server().end.driver.wants_read());
        let mut answers = 0;
        for _ in 0..100 {
            answers += client_reads(&mut dialogue, 16 * KIB).len();
            dialogue.quiet();
        }
        assert_eq!(answers, 40 * (10_000 + 4));
    }
}

/// driver.md 1 and 2: handlers answer questions while large messages go both ways; answers are counted by position.
#[test]
fn questions_are_answered_beside_large_messages_in_both_directions() {
    fn answer(connection: &mut Connection, event: &Event<'_>, out: &mut BytesMut) {
        if let Event::Text(question) = event {
            let len: usize = question[..8].trim().parse().unwrap();
            connection.send_binary(&vec![1; len], out).unwrap();
        }
    }
    // How many questions a round, how long, the answer to each, and the large message.
    for (questions, question, answer_len, large) in
        [(4, 4000, 4000, 200_000), (1, 10, 60_000, 300_000), (20, 100, 1000, 100_000), (6, 4000, 40_000, 250_000)]
    {
        for capacity in [4 * KIB, 64 * KIB] {
            let peer = |role| Peer::new(role, &config()).app(answer).edges();
            let mut dialogue = Dialogue::new(net(capacity), peer(Client), peer(Server));
            for _ in 0..20 {
                for _ in 0..questions {
                    let question = format!("{answer_len:<question$}");
                    for peer in dialogue.peers() {
                        peer.says(|connection, out| connection.send_text(&question, out).unwrap());
                    }
                }
                // What `feed` does: a large message waits until there is room.
                for peer in dialogue.peers() {
                    peer.says(say(large));
                }
                dialogue.settle();
            }
            dialogue.run_until(secs(1));
            for peer in dialogue.peers() {
                let lens = peer.lens();
                assert_eq!(lens.iter().filter(|len| **len == large).count(), 20);
                assert_eq!(lens.len(), 20 * (2 * questions + 1), "{questions} questions of {question}");
            }
        }
    }
}

/// driver.md 1: however often answers and sends alternate, no answer counts long after it was written.
#[test]
fn answers_between_many_small_sends_are_counted_by_their_position() {
    let peer = Peer::new(Server, &without_keepalive()).app(echo);
    let mut dialogue = Dialogue::new(Net::new(Pipe::new(4 << 20), Pipe::new(0)), None, peer);
    for _ in 0..300 {
        dialogue.server().says(say(996));
        client_writes(&mut dialogue, &masked(&frame(0x82, &[7; 996])));
        dialogue.settle();
    }
    assert_eq!(dialogue.server().end.driver.queued(), 600_000);
    dialogue.net.incoming(Client).capacity = 600_000;
    for _ in 0..30 {
        assert!(dialogue.server().end.driver.wants_read(), "half of the output was sent");
        dialogue.server().end.driver.written(20_000);
    }
}

/// The bound that rule 1 states: twice what was queued, 128 KiB, one answer.
#[test]
fn answers_to_a_peer_that_reads_nothing_are_bounded() {
    for sends in [0, 1000, 300_000] {
        let peer = Peer::new(Server, &without_keepalive()).app(echo);
        let mut dialogue = Dialogue::new(Net::new(Pipe::new(4 << 20), Pipe::new(0)), None, peer);
        dialogue.server().says(say(sends));
        for _ in 0..300 {
            client_writes(&mut dialogue, &masked(&frame(0x82, &vec![7; 10_000])));
        }
        dialogue.settle();
        let queued = dialogue.server().end.driver.queued();
        assert!(queued <= 2 * (sends + 10) + 128 * KIB + 10_004, "{queued} queued");
        assert!(queued >= 2 * sends + 128 * KIB, "{queued} queued, and reading has stopped");
    }
}

// Rule 3: progress is life, and our own Ping is not.

/// driver.md 3: a peer that vanished is noticed after interval and timeout, whatever the transport still accepts.
#[test]
fn a_peer_that_vanished_is_given_up_after_forty_seconds() {
    for (capacity, queued) in [(1 << 20, 0), (1 << 20, 100_000), (8 * KIB, 100_000), (3, 0), (10_000, 9_995)] {
        let mut dialogue = Dialogue::new(net(capacity), None, Peer::new(Server, &config()));
        if queued > 0 {
            dialogue.server().says(say(queued));
        }
        dialogue.run_until(secs(300));
        assert_eq!(dialogue.server().verdict(), Some(Some(Error::KeepaliveTimeout)), "{capacity} {queued}");
        let done_at = dialogue.server().done_at.unwrap();
        assert!(done_at >= at(secs(40)) && done_at <= at(millis(40_010)), "{done_at:?}");
    }
}

/// driver.md 3: Pings of ours and their answers are no activity.
#[test]
fn keepalive_does_not_defeat_the_idle_timeout() {
    let idle = config().idle_timeout(secs(50));
    let mut dialogue = Dialogue::new(net(KIB), Peer::new(Client, &without_keepalive()), Peer::new(Server, &idle));
    dialogue.run_until(secs(300));
    assert_eq!(dialogue.client().events[..2], [support::ping(&[0, 0, 0, 1]), support::ping(&[0, 0, 0, 2])]);
    assert_eq!(dialogue.server().verdict(), Some(Some(Error::IdleTimeout)));
    assert_eq!(dialogue.server().done_at, Some(at(secs(50))));
    assert_eq!(info(dialogue.client()).code(), 1001);
}

/// The time for the answer to a Ping begins when the transport has accepted all of it.
#[test]
fn a_ping_that_waits_for_room_leaves_the_whole_timeout_for_its_answer() {
    let mut dialogue = Dialogue::new(net(1004), None, Peer::new(Server, &config()));
    dialogue.server().says(say(1000));
    dialogue.run_until(secs(35));
    client_reads(&mut dialogue, 2000);
    dialogue.run_until(secs(50));
    assert_eq!(client_reads(&mut dialogue, 10), b"\x89\x04\0\0\0\x01");
    client_writes(&mut dialogue, &masked(&frame(0x8A, &[0, 0, 0, 1])));
    dialogue.run_until(secs(69));
    assert_eq!(dialogue.server().verdict(), None);
    dialogue.run_until(secs(200));
    assert_eq!(dialogue.server().done_at, Some(at(secs(90))));
}

/// loop.md 3 and 19: what a slow reader takes keeps it alive, although the transport reports room seldom.
#[test]
fn a_slow_but_steady_reader_is_not_given_up() {
    let short = config().keepalive(Keepalive::new(secs(2), secs(2)));
    for (config, rate, queued) in
        [(config(), 30_000, 4_000_000), (config(), 10_000, 1_000_000), (short, 300_000, 4_000_000)]
    {
        let mut from_server = Pipe::new(200 * KIB).rate(rate);
        from_server.low_water = 64 * KIB;
        let net = Net::new(Pipe::new(200 * KIB), from_server);
        let mut dialogue = Dialogue::new(net, Peer::new(Client, &config), Peer::new(Server, &config).edges());
        dialogue.server().says(say(queued));
        let time = secs(queued as u64 / rate);
        dialogue.run_until(time + secs(100));
        assert_eq!(dialogue.client().lens(), [queued]);
        let seen_at = dialogue.client().seen_at;
        assert!(seen_at <= at(time + secs(1)), "{seen_at:?} instead of {time:?}");
        assert_eq!((dialogue.client().verdict(), dialogue.server().verdict()), (None, None), "{rate} a second");
    }
}

/// driver.md 5: what lies in the pipe is invisible. The slowest peer that survives takes it within interval and
/// timeout.
#[test]
fn the_slowest_reader_that_survives_empties_the_pipe_within_interval_and_timeout() {
    for (capacity, survives) in [(4 * KIB, true), (256 * KIB, true), (380_000, true), (420_000, false)] {
        let net = Net::new(Pipe::new(4 * KIB), Pipe::new(capacity).rate(10_000));
        let mut dialogue = Dialogue::new(net, Peer::new(Client, &config()), Peer::new(Server, &config()));
        dialogue.server().says(say(1_000_000));
        dialogue.run_until(secs(200));
        assert_eq!(dialogue.server().verdict().is_none(), survives, "{capacity}");
    }
}

// Rule 4: no write stalls forever, and closing loses nothing that a living peer takes.

/// driver.md 4; loop.md 3 and 19.
#[test]
fn two_megabytes_at_ten_kilobytes_a_second_arrive_before_the_close() {
    for (close_timeout, rate, low_water) in [(10, 10_000, 1), (1, 100_000, 24 * KIB), (10, 10_000, 24 * KIB)] {
        let config = config().close_timeout(secs(close_timeout));
        let mut from_server = Pipe::new(32 * KIB).rate(rate);
        from_server.low_water = low_water;
        // What is in the pipe when the Close is accepted has to leave it in time.
        if close_timeout == 1 {
            from_server.capacity = 64 * KIB;
        }
        let net = Net::new(Pipe::new(32 * KIB), from_server);
        let mut dialogue = Dialogue::new(net, Peer::new(Client, &config), Peer::new(Server, &config));
        dialogue.server().says(say(2_000_000));
        dialogue.server().says(say_goodbye);
        dialogue.run_until(secs(1000));
        assert_eq!(dialogue.client().lens(), [2_000_000]);
        is_clean(dialogue.client());
        is_clean(dialogue.server());
    }
}

/// driver.md 4: Pongs may follow our Close, and it is that which counts.
#[test]
fn close_timeout_runs_from_the_last_byte_of_the_close() {
    let mut dialogue = Dialogue::new(Net::new(Pipe::new(1 << 20), Pipe::new(1000)), None, Peer::new(Server, &config()));
    dialogue.server().says(say(10_000));
    dialogue.server().says(say_goodbye);
    dialogue.run_until(secs(5));
    client_writes(&mut dialogue, &masked(&frame(0x89, b"?")));
    dialogue.run_until(secs(50));
    assert_eq!(dialogue.server().verdict(), None);
    // Data and Close are taken, and the Pong behind them is not.
    for _ in 0..20 {
        client_reads(&mut dialogue, 1000);
        let pipe = dialogue.net.incoming(Client);
        pipe.capacity = pipe.held() + (10_008 - pipe.accepted).min(1000);
        dialogue.settle();
    }
    assert_eq!(dialogue.server().end.driver.queued(), 3);
    dialogue.run_until(millis(59_999));
    assert_eq!(dialogue.server().verdict(), None);
    dialogue.run_until(millis(60_010));
    assert_eq!(dialogue.server().verdict(), Some(Some(Error::CloseTimeout)));
}

/// loop.md 4: a peer that sends without end and never closes.
#[test]
fn close_timeout_is_absolute() {
    let mut dialogue = Dialogue::new(net(1 << 20), None, Peer::new(Server, &config()));
    dialogue.server().says(say_goodbye);
    for round in 1..50 {
        client_writes(&mut dialogue, &masked(&frame(0x82, &[1; 1000])));
        dialogue.run_until(millis(200 * round));
    }
    dialogue.run_until(secs(100));
    assert_eq!(dialogue.server().verdict(), Some(Some(Error::CloseTimeout)));
    assert_eq!(dialogue.server().done_at, Some(at(secs(10))));
}

/// loop.md 18: once the time, not three times.
#[test]
fn a_close_that_a_peer_does_not_take_ends_after_the_stall_timeout() {
    for (stall, keepalive) in [(60, true), (60, false), (2, true)] {
        let config = if keepalive { config() } else { without_keepalive() }.stall_timeout(secs(stall));
        for is_lent in [false, true] {
            let mut peer = Peer::new(Server, &config);
            peer.end.buffers = is_lent.then(Buffers::new);
            let mut dialogue = Dialogue::new(net(1000), None, peer);
            dialogue.server().says(say(100_000));
            dialogue.server().says(say_goodbye);
            dialogue.run_until(secs(1000));
            assert_eq!(dialogue.server().verdict(), Some(Some(Error::StallTimeout)));
            let done_at = dialogue.server().done_at.unwrap();
            assert!(done_at >= at(secs(stall)) && done_at <= at(secs(stall) + millis(10)), "{done_at:?}");
            let info = info(dialogue.server());
            assert!(!info.clean && info.unwritten > 90_000, "{info:?}");
        }
    }
}

#[test]
fn a_write_stalls_no_longer_than_the_stall_timeout_also_without_keepalive() {
    for role in ROLES {
        let mut dialogue = match role {
            Server => Dialogue::new(net(10), None, Peer::new(Server, &without_keepalive())),
            Client => Dialogue::new(net(10), Peer::new(Client, &without_keepalive()), None),
        };
        dialogue.run_until(secs(30));
        let peer = if role == Server { dialogue.server() } else { dialogue.client() };
        peer.says(say(10_000));
        dialogue.run_until(secs(80));
        // Any byte restarts it.
        dialogue.net.incoming(if role == Server { Client } else { Server }).read(&mut [0; 1]);
        dialogue.run_until(millis(139_999));
        let peer = if role == Server { dialogue.server() } else { dialogue.client() };
        assert_eq!(peer.verdict(), None);
        dialogue.run_until(secs(200));
        let peer = if role == Server { dialogue.server() } else { dialogue.client() };
        assert_eq!((peer.verdict(), peer.done_at), (Some(Some(Error::StallTimeout)), Some(at(millis(140_010)))));
    }
}

/// A transport that accepts bytes and passes nothing on.
#[test]
fn a_flush_stalls_no_longer_than_the_stall_timeout() {
    for is_lent in [false, true] {
        let mut peer = Peer::new(Server, &without_keepalive());
        peer.end.buffers = is_lent.then(Buffers::new);
        peer.end.flush_blocked = true;
        let mut dialogue = Dialogue::new(net(KIB), None, peer);
        dialogue.server().says(say(10));
        dialogue.run_until(secs(1000));
        assert_eq!(dialogue.server().verdict(), Some(Some(Error::StallTimeout)), "lent: {is_lent}");
        assert_eq!(dialogue.server().done_at, Some(at(millis(60_010))));
    }
}

/// A transport whose end waits, such as TLS, gets its deadline, too.
#[test]
fn after_an_abort_it_takes_ten_milliseconds_at_most() {
    for is_lent in [false, true] {
        for (flush_blocked, shutdown_blocked, capacity) in [(true, false, KIB), (false, true, KIB), (false, false, 3)] {
            let mut peer = Peer::new(Server, &config().idle_timeout(secs(5)));
            peer.end.buffers = is_lent.then(Buffers::new);
            (peer.end.flush_blocked, peer.end.shutdown_blocked) = (flush_blocked, shutdown_blocked);
            let mut dialogue = Dialogue::new(net(capacity), None, peer);
            dialogue.run_until(secs(30));
            assert_eq!(dialogue.server().verdict(), Some(Some(Error::IdleTimeout)));
            assert_eq!(dialogue.server().done_at, Some(at(millis(5_010))));
        }
    }
}

/// driver.md 8: the clean end of a closing handshake does not hide what was never written.
#[test]
fn output_that_was_never_written_is_an_error() {
    for is_reset in [false, true] {
        let config = without_keepalive();
        let net = Net::new(Pipe::new(10_000), Pipe::new(KIB));
        let mut dialogue = Dialogue::new(net, Peer::new(Client, &config), None);
        dialogue.client().says(say(300_000));
        let now = dialogue.net.now;
        dialogue.net.incoming(Client).write(&close_frame(1000, ""), now);
        dialogue.run_until(secs(5));
        assert_eq!(dialogue.client().events, [closed(1000, "")]);
        if is_reset {
            dialogue.net.reset();
        }
        dialogue.run_until(secs(100));
        let expected = if is_reset { Error::Unwritten } else { Error::StallTimeout };
        assert_eq!(dialogue.client().verdict(), Some(Some(expected)));
        let info = info(dialogue.client());
        assert!(!info.clean && info.unwritten > 280_000, "{info:?}");
    }
}

/// A peer that leaves with its Close answered or not: nothing of worth was lost.
#[test]
fn the_answer_to_a_close_may_go_unwritten() {
    let mut dialogue = Dialogue::new(net(KIB), Peer::new(Client, &config()), None);
    dialogue.client().is_busy = true;
    let now = dialogue.net.now;
    dialogue.net.incoming(Client).write(&close_frame(1000, "bye"), now);
    dialogue.net.outgoing(Client).break_at(now);
    dialogue.net.incoming(Client).shut(now);
    dialogue.client().is_busy = false;
    dialogue.run_until(secs(1));
    assert_eq!(dialogue.client().verdict(), Some(None));
    assert!(info(dialogue.client()).clean);
}

// Rule 5: half-close.

/// loop.md 5, driver.md 6: answers that nobody takes, a FIN, and nothing more.
#[test]
fn a_peer_that_ends_its_half_and_never_reads_is_let_go() {
    for questions in [1, 5, 12, 20] {
        let peer = Peer::new(Server, &without_keepalive()).app(echo).buffers();
        let mut dialogue = Dialogue::new(Net::new(Pipe::new(1 << 20), Pipe::new(KIB)), None, peer);
        for _ in 0..questions {
            client_writes(&mut dialogue, &masked(&frame(0x82, &vec![7; 10_000])));
        }
        client_ends(&mut dialogue);
        dialogue.run_until(secs(1000));
        let server = dialogue.server();
        assert!(matches!(server.verdict(), Some(Some(Error::ConnectionLost | Error::StallTimeout))));
        assert!(server.done_at.unwrap() <= at(millis(60_010)), "{:?}", server.done_at);
        assert!(info(server).unwritten > 0);
    }
}

/// The same without a stall timeout: then the close timeout runs from the end of the input on.
#[test]
fn after_the_end_of_input_there_is_a_deadline_whatever_the_settings() {
    let config = without_keepalive().stall_timeout(None);
    let mut dialogue =
        Dialogue::new(Net::new(Pipe::new(KIB), Pipe::new(0)), None, Peer::new(Server, &config).app(echo));
    client_writes(&mut dialogue, &masked(&frame(0x81, b"Hello")));
    dialogue.run_until(secs(7));
    client_ends(&mut dialogue);
    dialogue.run_until(secs(1000));
    assert_eq!(dialogue.server().verdict(), Some(Some(Error::ConnectionLost)));
    assert_eq!(dialogue.server().done_at, Some(at(millis(17_010))));
}

/// loop.md 6: an end of input that comes with data. Its edge is the only one.
#[test]
fn an_end_of_input_behind_data_is_noticed_at_once() {
    let one = masked(&frame(0x81, b"Hello"));
    let many = [masked(&frame(0x8A, b"")).repeat(200), masked(&close_frame(1000, ""))].concat();
    for (bytes, error) in [(one, Some(Error::ConnectionLost)), (many, None)] {
        for (is_edged, owned_reads) in [(true, 0), (false, 0), (true, 1), (true, 2)] {
            let mut peer = Peer::new(Server, &config()).app(echo).buffers();
            (peer.end.edges, peer.end.owned_reads) = (is_edged, owned_reads);
            let mut dialogue = Dialogue::new(net(10_000), None, peer);
            client_writes(&mut dialogue, &bytes);
            client_ends(&mut dialogue);
            dialogue.settle();
            assert_eq!(dialogue.server().verdict(), Some(error), "at once");
            assert!(dialogue.net.incoming(Client).is_readable(), "the answer");
        }
    }
}

/// A source of readiness that tells of the end first, and of the data in a call of its own.
#[test]
fn an_end_of_input_is_noticed_in_whatever_order_the_edges_are_told() {
    for edges in [[true, false], [false, true]] {
        let mut driver = Driver::new(Connection::server(&config()));
        for is_closed in edges {
            driver.readable(is_closed);
        }
        let mut input = vec![masked(&frame(0x81, b"Hello")), Vec::new()].into_iter();
        while let Step::Deliver | Step::Read = match driver.step(|| Timestamp::ZERO) {
            step @ Step::Deliver => {
                driver.deliver(|_, _, _| None::<()>);
                step
            }
            step @ Step::Read => {
                let read = input.next().expect("two reads");
                driver.room()[..read.len()].copy_from_slice(&read);
                driver.received(read.len());
                step
            }
            step => step,
        } {}
        assert_eq!(driver.machine().state(), State::Closed, "the end was read");
    }
}

/// The end of the input is for the machine when all before it was delivered, even if answers have to be written
/// meanwhile.
#[test]
fn an_end_of_input_does_not_overtake_the_input_before_it() {
    let input = masked(&frame(0x82, &vec![7; 10_000])).repeat(40);
    let mut driver = Driver::from_parts(Connection::server(&config()), input, Outbox::new());
    driver.received(0);
    let (mut messages, mut written) = (0, 0);
    for _ in 0..1000 {
        match driver.step(|| Timestamp::ZERO) {
            Step::Deliver => {
                driver.deliver(|event, connection, out| {
                    messages += 1;
                    echo(connection, &event, out);
                    None::<()>
                });
                assert!(driver.queued() <= 128 * KIB + 10_004);
            }
            Step::Write => {
                written += 1000.min(driver.queued());
                let count = driver.queued().min(1000);
                driver.written(count);
            }
            Step::Flush => driver.flushed(),
            Step::Shutdown => driver.shut_down(),
            Step::Done => break,
            step => panic!("{step:?}"),
        }
    }
    assert_eq!((messages, written, driver.take_error()), (40, 40 * 10_004, Some(Error::ConnectionLost)));
}

/// loop.md 17: the answers that still wait when the peer ends its half arrive, however late it reads them.
#[test]
fn a_peer_that_ended_its_half_gets_all_its_answers() {
    for is_edged in [false, true] {
        let mut peer = Peer::new(Server, &config()).app(echo);
        peer.end.edges = is_edged;
        let net = Net::new(Pipe::new(8 << 20), Pipe::new(64 * KIB));
        let mut dialogue = Dialogue::new(net, None, peer);
        for _ in 0..390 {
            client_writes(&mut dialogue, &masked(&frame(0x82, &vec![7; 10_000])));
        }
        client_ends(&mut dialogue);
        dialogue.run_until(secs(5));
        let mut answers = 0;
        for _ in 0..400 {
            answers += client_reads(&mut dialogue, 16 * KIB).len();
            dialogue.run(millis(30));
        }
        assert_eq!(answers, 390 * 10_004);
        assert_eq!(dialogue.server().verdict(), Some(Some(Error::ConnectionLost)));
        assert_eq!(info(dialogue.server()).unwritten, 0);
    }
}

// Rule 6 and 8: fairness, and no more calls than the work needs.

/// loop.md 12: a connection whose output nobody takes sleeps until its deadline.
#[test]
fn a_peer_that_takes_nothing_wakes_nobody() {
    for is_edged in [false, true] {
        let mut peer = Peer::new(Server, &without_keepalive().stall_timeout(secs(3600)));
        peer.end.edges = is_edged;
        let mut dialogue = Dialogue::new(net(KIB), None, peer);
        dialogue.server().says(say(100_000));
        dialogue.run_until(secs(3000));
        assert_eq!((dialogue.server().end.counts.waits, dialogue.server().verdict()), (2, None));
    }
}

/// An idle connection wakes up for its Pings and their answers.
#[test]
fn an_idle_connection_wakes_up_for_its_keepalive_only() {
    let mut dialogue =
        Dialogue::new(net(KIB), Peer::new(Client, &config()).edges(), Peer::new(Server, &config()).edges());
    dialogue.run_until(secs(2000));
    for peer in dialogue.peers() {
        assert_eq!(peer.verdict(), None);
        assert!(peer.end.counts.waits <= 310, "{} times", peer.end.counts.waits);
    }
}

/// driver.md 12: a read that leaves room took all there was.
#[test]
fn a_message_costs_one_read_and_one_write() {
    let mut dialogue = Dialogue::new(net(100_000), None, Peer::new(Server, &config()).app(echo).edges());
    let before = dialogue.server().end.counts;
    for len in [0, 5, 1000, 40_000] {
        for _ in 0..25 {
            client_writes(&mut dialogue, &masked(&frame(0x82, &vec![1; len])));
            dialogue.quiet();
            client_reads(&mut dialogue, 100_000);
        }
    }
    let counts = dialogue.server().end.counts;
    assert_eq!((counts.reads - before.reads, counts.vain_reads - before.vain_reads), (100, 0));
    assert_eq!((counts.writes - before.writes, counts.vain_writes), (100, 0));
}

/// The buffers of a connection that received a long frame go to another one, whose reads are as long as ever.
#[test]
fn lent_buffers_carry_nothing_over() {
    let config = config().delivery(sansock::Delivery::InPlace);
    let mut shared = Buffers::new();
    for (len, reads) in [(100_000, None), (30_000, Some(1)), (5, Some(1))] {
        let mut end = End::new(Server, Connection::server(&config));
        (end.edges, end.buffers) = (true, Some(shared));
        let mut net = net(1 << 20);
        net.outgoing(Client).write(&masked(&frame(0x82, &vec![1; len])), Timestamp::ZERO);
        assert!(matches!(end.turn(&mut net, Goal::Events, |_, _, _| None::<()>), Turn::Wait(_)));
        assert!(reads.is_none_or(|reads| end.counts.reads == reads), "{} reads", end.counts.reads);
        shared = end.buffers.unwrap();
    }
}

/// SEED=497930: three connections, of which one keeps the buffer that another one left, while the third is not sure
/// that it has delivered everything. That one panicked.
#[test]
fn buffers_that_another_connection_kept_are_not_looked_into() {
    let config = config().delivery(sansock::Delivery::InPlace);
    let mut shared = Buffers::new();
    let mut turn = |end: &mut End<Connection>, bytes: &[u8]| {
        let mut net = net(1 << 20);
        net.outgoing(Client).write(bytes, Timestamp::ZERO);
        end.buffers = Some(std::mem::take(&mut shared));
        let turn = end.turn(&mut net, Goal::Events, |event, _, _| Some(Seen::of(&event)));
        shared = end.buffers.take().unwrap();
        turn
    };
    let end = || End::of(Server, Driver::new(Connection::server(&config)).read_len(4096));
    let (mut first, mut second, mut third) = (end(), end(), end());
    let long = masked(&frame(0x82, &vec![1; 60_000]));
    assert_eq!(turn(&mut third, &masked(&frame(0x81, b"a"))), Turn::Found(text("a")));
    assert!(matches!(turn(&mut second, &long[..100]), Turn::Wait(_)));
    assert_eq!(turn(&mut first, &long), Turn::Found(binary(&vec![1; 60_000])));
    assert!(matches!(turn(&mut second, &long[100..40_000]), Turn::Wait(_)));
    assert!(matches!(turn(&mut third, b""), Turn::Wait(_)));
    assert_eq!(turn(&mut second, &long[40_000..]), Turn::Found(binary(&vec![1; 60_000])));
}

/// What one read brought is answered in one go.
#[test]
fn a_hundred_messages_in_one_read_are_answered_by_one_write() {
    let mut dialogue = Dialogue::new(net(100_000), None, Peer::new(Server, &config()).app(echo).edges());
    client_writes(&mut dialogue, &masked(&frame(0x81, b"Hello")).repeat(100));
    dialogue.quiet();
    let counts = dialogue.server().end.counts;
    assert_eq!((counts.reads, counts.writes, counts.delivers), (1, 1, 1));
}

#[test]
fn others_have_their_turn_after_eight_reads() {
    for is_edged in [false, true] {
        let mut end = End::new(Server, Connection::server(&config()));
        end.edges = is_edged;
        end.driver = Driver::new(Connection::server(&config())).read_len(100);
        let mut net = net(10_000);
        let bytes = masked(&frame(0x81, b"Hello")).repeat(1000);
        net.outgoing(Client).write(&bytes[..10_000], Timestamp::ZERO);
        let mut events = 0;
        for turns in 1..=13 {
            let turn = end.turn(&mut net, Goal::Events, |_, _, _| {
                events += 1;
                None::<()>
            });
            let yields = if turns < 13 { Turn::Yield } else { turn };
            assert_eq!((turn, end.counts.reads.min(100)), (yields, (8 * turns).min(100)));
        }
        assert_eq!(events, 10_000 / 11);
    }
}

// Rule 7: failing.

/// A reset would throw away the Close that says why.
#[test]
fn a_peer_that_breaks_the_protocol_is_told_although_it_keeps_sending() {
    for (more, is_told) in [(500_000, true), (2_000_000, false)] {
        let net = Net::new(Pipe::new(4 << 20), Pipe::new(KIB).delay(millis(50)));
        let mut dialogue = Dialogue::new(net, None, Peer::new(Server, &config()).edges());
        client_writes(&mut dialogue, &masked(&frame(0x83, b"")));
        dialogue.settle();
        client_writes(&mut dialogue, &vec![0; more]);
        dialogue.settle();
        assert_eq!(dialogue.server().verdict().is_none(), is_told, "at most 1 MiB is discarded");
        dialogue.run_until(secs(1));
        let bytes = client_reads(&mut dialogue, KIB);
        assert_eq!(bytes.starts_with(b"\x88\x11\x03\xEA"), is_told, "{bytes:?}");
        dialogue.run_until(secs(100));
        let error = Error::Protocol(Violation::ReservedOpcode);
        assert_eq!(dialogue.server().verdict(), Some(Some(error)));
        assert!(dialogue.server().done_at.unwrap() <= at(secs(10)));
    }
}

/// driver.md 13: the error is for the end, when the peer was told; what preceded it was delivered.
#[test]
fn an_error_is_reported_when_the_peer_was_told() {
    let mut dialogue = Dialogue::new(Net::new(Pipe::new(KIB), Pipe::new(0)), None, Peer::new(Server, &config()));
    client_writes(&mut dialogue, &masked(&[frame(0x81, b"a"), frame(0x83, b""), frame(0x81, b"b")].concat()));
    client_ends(&mut dialogue);
    dialogue.run_until(secs(30));
    assert_eq!((dialogue.server().verdict(), &dialogue.server().events[..]), (None, &[text("a")][..]));
    dialogue.net.incoming(Client).capacity = KIB;
    dialogue.run_until(secs(31));
    dialogue.server().end.driver.writable();
    dialogue.settle();
    assert_eq!(dialogue.server().verdict(), Some(Some(Error::Protocol(Violation::ReservedOpcode))));
}

/// What the peer sent before it went can still be read.
#[test]
fn a_failed_write_loses_nothing_that_was_received() {
    let mut peer = Peer::new(Server, &config()).app(echo);
    peer.end.edges = true;
    let mut dialogue = Dialogue::new(net(10_000), None, peer);
    client_writes(&mut dialogue, &masked(&[frame(0x81, b"a"), frame(0x81, b"b"), close_frame(1001, "")].concat()));
    let now = dialogue.net.now;
    dialogue.net.outgoing(Server).break_at(now);
    dialogue.settle();
    assert_eq!(dialogue.server().events, [text("a"), text("b"), closed(1001, "")]);
    assert_eq!(dialogue.server().verdict(), Some(Some(Error::Unwritten)), "the echoes were not written");
}

/// After a failed write, a peer that cannot be told to end its half is not waited for, whichever comes first.
#[test]
fn nothing_is_waited_for_that_a_failed_write_has_made_impossible() {
    let mut dialogue = Dialogue::new(net(10_000), None, Peer::new(Server, &config()).app(echo).edges());
    let now = dialogue.net.now;
    dialogue.net.outgoing(Server).break_at(now);
    for frames in [frame(0x81, b"a"), close_frame(1000, "")] {
        assert_eq!(dialogue.server().verdict(), None);
        client_writes(&mut dialogue, &masked(&frames));
        dialogue.settle();
    }
    assert_eq!(dialogue.server().verdict(), Some(Some(Error::Unwritten)));
}

// Handlers, callers and phases.

/// loop.md 9: the event that a handler had in its hands when it panicked is not handed out again.
#[test]
fn a_handler_that_panics_leaves_the_driver_usable() {
    let (mut input, mut seen) = (masked(&[frame(0x81, b"a"), frame(0x81, b"b"), frame(0x81, b"c")].concat()), 0);
    input.extend(&masked(&frame(0x81, b"d"))[..4]);
    let rest = masked(&frame(0x81, b"d"))[4..].to_vec();
    for is_lent in [false, true] {
        for is_owned in [false, true] {
            seen += 1;
            let (mut driver, mut shared) = (Driver::new(Connection::server(&config())), Buffers::new());
            let mut events = Vec::new();
            driver.room()[..input.len()].copy_from_slice(&input);
            driver.received(input.len());
            let panic = catch_unwind(AssertUnwindSafe(|| {
                driver.deliver(|event, _, _| {
                    events.push(Seen::of(&event));
                    assert!(events.len() < 2, "on purpose");
                    None::<()>
                })
            }));
            assert!(panic.is_err());
            if is_lent {
                driver.detach(&mut shared);
                driver.attach(&mut shared);
            }
            // A read that was under way meanwhile, as in completion I/O.
            if is_owned {
                let (inbox, missing) = driver.inbox();
                inbox.give(&mut rest.clone().into(), rest.len(), missing);
                driver.note_received(rest.len());
            } else {
                driver.room()[..rest.len()].copy_from_slice(&rest);
                driver.received(rest.len());
            }
            assert_eq!(driver.step(|| Timestamp::ZERO), Step::Deliver);
            driver.deliver(|event, _, _| {
                events.push(Seen::of(&event));
                None::<()>
            });
            assert_eq!(events, [text("a"), text("b"), text("c"), text("d")], "lent: {is_lent}, owned: {is_owned}");
        }
    }
    assert_eq!(seen, 4);
}

#[test]
fn what_a_panicking_handler_had_is_not_handed_to_the_next_owner() {
    let input = masked(&[frame(0x81, b"a"), frame(0x81, b"b")].concat());
    let mut driver = Driver::from_parts(Connection::server(&config()), input.clone(), Outbox::new());
    let panic = catch_unwind(AssertUnwindSafe(|| driver.deliver(|_, _, _| -> Option<()> { panic!("on purpose") })));
    assert!(panic.is_err());
    assert_eq!(driver.into_parts().1, &input[7..]);
}

/// A caller that calls in whatever order: nothing panics but what says so, and the driver still works or has ended.
#[test]
fn a_caller_without_manners_harms_nobody() {
    let mut driver = Driver::new(Connection::server(&config()));
    driver.written(0);
    driver.deliver(|_, _, _| None::<()>);
    driver.note_received(0);
    driver.received(0);
    driver.received(0);
    driver.flushed();
    driver.read_blocked();
    driver.deliver(|_, _, _| None::<()>);
    driver.wake();
    for _ in 0..5 {
        match driver.step(|| at(secs(1))) {
            Step::Shutdown => driver.shut_down(),
            step => assert_eq!(step, Step::Done),
        }
        driver.deliver(|_, _, _| None::<()>);
        driver.write_failed();
        driver.read_failed();
        driver.received(0);
        driver.readable(true);
        driver.writable();
    }
    assert_eq!((driver.take_error(), driver.take_error()), (Some(Error::ConnectionLost), None));

    let mut random = support::Random(7);
    for _ in 0..3000 {
        let mut driver = Driver::new(Connection::server(&config())).read_len(random.below(40));
        let mut shared = Buffers::new();
        let mut now = Timestamp::ZERO;
        let wire = masked(&[frame(0x81, b"Hello"), frame(0x89, b"?"), frame(0x82, &[1; 300])].concat()).repeat(3);
        let mut wire = &wire[..];
        for _ in 0..60 {
            match random.below(17) {
                0 => drop(driver.step(|| now)),
                1 => drop(driver.step_output(|| now)),
                2 => drop(driver.deliver(|_, _, _| None::<()>)),
                3 => drop(driver.deliver(|_, _, out| {
                    out.extend_from_slice(b"answer");
                    Some(())
                })),
                4 => {
                    let room = driver.room();
                    let count = wire.len().min(room.len()).min(random.below(400));
                    room[..count].copy_from_slice(&wire[..count]);
                    wire = &wire[count..];
                    driver.received(count);
                }
                5 if random.below(9) == 0 => driver.received(0),
                6 => {
                    let count = random.below(driver.queued() + 1);
                    driver.written(count);
                }
                7 => driver.write_blocked(),
                8 => driver.flushed(),
                9 if random.below(9) == 0 => driver.shut_down(),
                10 if random.below(9) == 0 => driver.write_failed(),
                11 if random.below(9) == 0 => drop(driver.read_failed()),
                12 => driver.wake(),
                13 => driver.attach(&mut shared),
                14 => driver.detach(&mut shared),
                15 => now = now + millis(random.below(20_000) as u64),
                _ => driver.parts().1.tail().extend_from_slice(b"sent"),
            }
        }
    }
}

/// A socket that says 0 accepted nothing: that is no reason to ask again at once, and no progress.
#[test]
fn a_write_of_nothing_is_no_progress() {
    let mut driver = Driver::new(Connection::server(&without_keepalive()));
    let (connection, out) = driver.parts();
    connection.send_text("Hello", out.tail()).unwrap();
    let mut waits = 0;
    for second in 0..61 {
        driver.writable();
        for _ in 0..10 {
            match driver.step(|| at(secs(second))) {
                Step::Write => driver.written(0),
                Step::Wait(until) => {
                    assert_eq!(until, Some(if second < 60 { at(secs(60)) } else { at(millis(60_010)) }));
                    waits += 1;
                    break;
                }
                step => panic!("{step:?}"),
            }
        }
    }
    assert_eq!((waits, driver.machine().transport()), (61, Transport::Abort));
}

/// A machine that has a stall timeout and does not end after it: its own affair, but the caller does not hang.
#[test]
fn a_machine_that_does_not_mind_a_stall_gets_as_much_time_again() {
    struct Patient;
    impl sansock::driver::Machine for Patient {
        type Event<'a> = ();
        type Error = Error;
        fn receive(&mut self, _: &mut &mut [u8], _: &mut BytesMut) -> Result<Option<()>, Error> {
            Ok(None)
        }
        fn receive_eof(&mut self) -> Result<(), Error> {
            Ok(())
        }
        fn poll_timeout(&self) -> Option<Timestamp> {
            None
        }
        fn handle_timeout(&mut self, _: Timestamp, _: &mut BytesMut) -> Result<(), Error> {
            Ok(())
        }
        fn transport(&self) -> Transport {
            Transport::KeepOpen
        }
        fn stall_timeout(&self) -> Option<Duration> {
            Some(secs(5))
        }
    }
    let mut driver = Driver::new(Patient);
    driver.parts().1.tail().extend_from_slice(b"output");
    driver.write_blocked();
    for second in [0, 5, 10] {
        assert_eq!(driver.step(|| at(secs(second))), Step::Wait(Some(at(secs(second + 5)))));
    }
}

/// A handshake that becomes a connection takes along what was read, what is unwritten, the end of the input and time.
#[test]
fn the_next_machine_gets_input_output_and_end() {
    let mut first = Driver::new(Connection::server(&config()));
    let input = masked(&[frame(0x81, b"a"), frame(0x81, b"b")].concat());
    first.room()[..input.len()].copy_from_slice(&input);
    first.received(input.len());
    first.received(0);
    first.deliver(|_, connection, out| connection.send_text("answer", out).ok());
    assert_eq!(first.queued(), 8);

    let mut next = first.replace(Connection::server(&config()));
    assert_eq!(next.queued(), 8);
    let mut events = Vec::new();
    let mut written = Vec::new();
    for _ in 0..20 {
        match next.step(|| Timestamp::ZERO) {
            Step::Deliver => events.extend(next.deliver(|event, _, _| Some(Seen::of(&event)))),
            Step::Write => {
                written.extend_from_slice(bytes::Buf::chunk(next.output()));
                let count = next.queued();
                next.written(count);
            }
            Step::Flush => next.flushed(),
            Step::Shutdown => next.shut_down(),
            Step::Done => break,
            step => panic!("{step:?}"),
        }
    }
    assert_eq!(events, [text("b")]);
    assert_eq!(written, b"\x81\x06answer");
    assert_eq!(next.take_error(), Some(Error::ConnectionLost), "the end was told");
}

/// Deadlines of a handshake, and then those of the connection, without a gap between them.
#[cfg(feature = "handshake")]
mod handshakes {
    use sansock::{
        HandshakeError, client,
        driver::{Session, SessionError, SessionEvent},
        server,
    };

    use super::*;

    const REQUEST: &[u8] = b"GET /chat HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

    type Accepting = Session<server::Handshake>;

    fn end() -> End<Accepting> {
        End::new(Server, Session::new(server::Handshake::new(&config())))
    }

    /// Lets time pass until the end is done, or that moment; the messages that came.
    fn run(end: &mut End<Accepting>, net: &mut Net, until: Duration) -> Vec<Seen> {
        let mut events = Vec::new();
        for _ in 0..10_000 {
            let turn = end.turn(net, Goal::Events, |event, session, out| {
                match event {
                    SessionEvent::Handshake(request) => {
                        *session = request.accept(&server::Response::new(), out).unwrap().into();
                    }
                    SessionEvent::Event(event) => events.push(Seen::of(&event)),
                }
                None::<()>
            });
            match turn {
                Turn::Wait(deadline) => {
                    let due = deadline.into_iter().chain(net.next()).min().unwrap_or(at(until));
                    if due > at(until) {
                        net.now = at(until);
                        return events;
                    }
                    net.now = net.now.max(due);
                }
                Turn::Yield => {}
                _ => return events,
            }
        }
        panic!("a handshake without an end");
    }

    #[test]
    fn a_client_that_sends_no_request_is_let_go_after_the_handshake_timeout() {
        for bytes in [&b""[..], &REQUEST[..50]] {
            let (mut net, mut end) = (net(KIB), end());
            net.outgoing(Client).write(bytes, Timestamp::ZERO);
            run(&mut end, &mut net, secs(100));
            assert_eq!((end.is_done, net.now), (true, at(secs(10))));
            assert_eq!(end.error, Some(SessionError::Handshake(HandshakeError::Timeout)));
        }
    }

    #[test]
    fn the_connection_has_a_deadline_from_the_end_of_its_handshake_on() {
        for cut in [REQUEST.len(), REQUEST.len() + 3, REQUEST.len() + 11] {
            let (mut net, mut end) = (net(KIB), end());
            end.edges = true;
            end.buffers = Some(Buffers::new());
            let wire = [REQUEST, &masked(&frame(0x81, b"Hello"))].concat();
            net.outgoing(Client).write(&wire[..cut], Timestamp::ZERO);
            assert_eq!(run(&mut end, &mut net, secs(5)).len(), cut / wire.len());
            assert!(end.waits_until.is_some());
            net.outgoing(Client).write(&wire[cut..], at(secs(5)));
            run(&mut end, &mut net, secs(6));
            run(&mut end, &mut net, secs(1000));
            assert_eq!(end.error, Some(SessionError::Connection(Error::KeepaliveTimeout)));
            let since = if cut == wire.len() { secs(40) } else { secs(45) };
            assert_eq!((end.is_done, net.now), (true, at(since)));
        }
    }

    #[test]
    fn the_time_of_a_connection_begins_when_its_handshake_ends() {
        let (mut net, mut end) = (net(KIB), end());
        run(&mut end, &mut net, secs(5));
        net.outgoing(Client).write(REQUEST, at(secs(5)));
        run(&mut end, &mut net, secs(1000));
        assert_eq!((net.now, end.error), (at(secs(45)), Some(SessionError::Connection(Error::KeepaliveTimeout))));
    }

    /// The edge that told of the request is the only one.
    #[test]
    fn the_connection_reads_what_its_handshake_left_in_the_transport() {
        let mut net = net(10_000);
        let driver = Driver::new(server::Handshake::new(&config())).read_len(REQUEST.len());
        let mut end = End::of(Server, driver);
        (end.edges, end.buffers) = (true, Some(Buffers::new()));
        let wire = [REQUEST, &masked(&frame(0x81, b"Hello"))].concat();
        net.outgoing(Client).write(&wire, Timestamp::ZERO);
        let turn = end.turn(&mut net, Goal::Events, |request, _, out| {
            Some(request.accept(&server::Response::new(), out).unwrap())
        });
        let Turn::Found(connection) = turn else { panic!("a request") };
        let mut end = end.replace(connection);
        let turn = end.turn(&mut net, Goal::Events, |event, _, _| Some(Seen::of(&event)));
        assert_eq!(turn, Turn::Found(text("Hello")));
    }

    #[test]
    fn a_client_that_does_not_take_its_refusal_is_let_go() {
        let (mut net, mut end) = (Net::new(Pipe::new(KIB), Pipe::new(0)), end());
        net.outgoing(Client).write(b"nonsense\r\n\r\n", Timestamp::ZERO);
        run(&mut end, &mut net, secs(1000));
        assert_eq!((end.is_done, net.now), (true, at(millis(60_010))));
        assert!(end.error.is_some());
    }

    /// The deadline is the whole handshake's: bytes do not move it.
    #[test]
    fn a_server_that_does_not_answer_is_given_up_after_the_handshake_timeout() {
        let (request, mut out) = (client::Request::new("example.com", "/"), Outbox::new());
        let handshake = client::connect(&request, &config(), support::SEED, out.tail()).unwrap();
        let mut end = End::of(Client, Driver::from_parts(handshake, Vec::new(), out));
        let mut net = net(10_000);
        while !end.is_done && net.now < at(secs(100)) {
            let now = net.now;
            net.incoming(Client).write(b"H"[..usize::from(now == Timestamp::ZERO)].as_ref(), now);
            let Turn::Wait(until) = end.turn(&mut net, Goal::Events, |_, _, _| None::<()>) else { continue };
            net.now = until.expect("a deadline").min(net.now + secs(1));
        }
        assert_eq!((net.now, end.error), (at(secs(10)), Some(HandshakeError::Timeout)));
    }
}

#[test]
fn binary_messages_come_through_in_all_ways_of_reading() {
    for (is_edged, owned_reads, is_lent, hiccup) in
        [(false, 0, false, 0), (true, 1, true, 3), (true, 2, false, 2), (false, 3, true, 5), (true, 0, true, 2)]
    {
        let app: App = echo;
        let peer = |role: Role| {
            let mut peer = Peer::new(role, &config());
            (peer.end.edges, peer.end.owned_reads) = (is_edged, owned_reads);
            peer.end.buffers = is_lent.then(Buffers::new);
            peer
        };
        let mut net = net(20_000);
        net.pipes.iter_mut().for_each(|pipe| pipe.hiccup = hiccup);
        let mut dialogue = Dialogue::new(net, peer(Client), peer(Server).app(app));
        let lens: Vec<_> = (0..30).map(|n| n * n * 70).collect();
        for len in &lens {
            dialogue.client().says(say(*len));
        }
        dialogue.client().says(say_goodbye);
        dialogue.run_until(secs(1));
        assert_eq!(dialogue.server().lens(), lens);
        assert_eq!(dialogue.server().events[1], binary(&[0xAB; 70]));
        is_clean(dialogue.client());
        is_clean(dialogue.server());
    }
}

/// Completion I/O: a write that the operating system owns may complete after the output was given up.
#[test]
fn a_write_that_completes_after_the_output_was_given_up_is_ignored() {
    let mut driver = Driver::new(Connection::server(&Config::default().keepalive(None)));
    let (connection, out) = driver.parts();
    connection.send_text("hello", out.tail()).unwrap();
    let second = |seconds| Timestamp::from_duration(Duration::from_secs(seconds));
    assert_eq!(driver.step(|| second(0)), Step::Write);
    driver.write_blocked();
    for seconds in [0, 60, 61] {
        let _ = driver.step(|| second(seconds));
    }
    driver.written(7);
    assert_eq!(driver.step(|| second(62)), Step::Done);
    assert_eq!(driver.machine().close_info().unwrap().unwritten, 7);
}
