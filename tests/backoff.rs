//! When a client tries again, and whether: RFC 6455 §7.2.3.

use std::time::Duration;

use sansock::{Backoff, CloseCode, CloseInfo, Config, Connection, Error, Violation};

fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

#[test]
fn waits_begin_anywhere_and_grow_to_the_longest() {
    for seed in 0..200 {
        let mut backoff = Backoff::new([seed; 32]);
        assert!(backoff.next().unwrap() <= millis(5000));
        let mut most = 3.1;
        for _ in 0..20 {
            let wait = backoff.next().unwrap().as_secs_f64();
            assert!((most / 2.0 - 1e-6..=most + 1e-6).contains(&wait), "{wait} s of {most} s");
            most = f64::min(most * 1.6, 90.0);
        }
        assert!((most - 90.0).abs() < 1e-9);
    }
}

#[test]
fn clients_do_not_come_back_together_and_a_seed_gives_the_same_waits() {
    let first = |seed| Backoff::new([seed; 32]).next().unwrap();
    let mut quarters = [0; 4];
    for seed in 0..200 {
        quarters[(first(seed).as_millis() * 4 / 5001) as usize] += 1;
    }
    assert!(quarters.iter().all(|&count| count > 25), "{quarters:?}");
    let some = |seed| Backoff::new([seed; 32]).take(10).collect::<Vec<_>>();
    assert_eq!(some(1), some(1));
    assert_ne!(some(1), some(2));
}

#[test]
fn a_reset_begins_anew() {
    let mut backoff = Backoff::new([7; 32]).first(millis(10)).then(millis(1000), millis(5000));
    assert_eq!(backoff.most(), millis(5000));
    assert!(backoff.next().unwrap() <= millis(10));
    assert!((millis(500)..=millis(1000)).contains(&backoff.next().unwrap()));
    backoff.reset();
    assert!(backoff.next().unwrap() <= millis(10));
}

#[test]
fn extreme_times_are_taken_for_what_they_can_mean() {
    let mut backoff = Backoff::new([0; 32]).first(Duration::ZERO).then(Duration::ZERO, Duration::ZERO);
    assert_eq!(backoff.next(), Some(Duration::ZERO));
    // It never becomes a loop without a wait.
    assert!(backoff.by_ref().take(100).all(|wait| (Duration::from_micros(500)..=millis(1)).contains(&wait)));
    let mut backoff = Backoff::new([0; 32]).first(Duration::MAX).then(Duration::MAX, millis(1));
    assert!(backoff.by_ref().take(100).all(|wait| wait > Duration::ZERO));
    assert_eq!(backoff.most(), Duration::MAX);
}

#[test]
fn an_error_is_transient_when_nobody_broke_a_rule() {
    for error in [Error::ConnectionLost, Error::KeepaliveTimeout, Error::IdleTimeout, Error::CloseTimeout] {
        assert!(error.is_transient(), "{error:?}");
    }
    for error in [
        Error::Protocol(Violation::ReservedBit),
        Error::InvalidUtf8,
        Error::InvalidDeflate,
        Error::TooBig,
        Error::TooManyFragments,
        Error::Failed(CloseCode::GOING_AWAY),
    ] {
        assert!(!error.is_transient(), "{error:?}");
    }
}

/// What a client knows after a server sent these bytes, and the transport ended.
fn ended(bytes: &[u8]) -> CloseInfo {
    let mut connection = Connection::client(&Config::default(), [0; 32]);
    let mut out = bytes::BytesMut::new();
    let mut bytes = bytes.to_vec();
    let _ = connection.receive(&mut &mut bytes[..], &mut out).map(drop);
    let _ = connection.receive_eof();
    connection.close_info().unwrap().clone()
}

#[test]
fn an_end_is_transient_by_its_cause_or_its_code() {
    for code in (1000..=1003_u16).chain(1007..=1014).chain([3000, 4001]) {
        let [high, low] = code.to_be_bytes();
        let info = ended(&[0x88, 2, high, low]);
        assert_eq!(info.code(), code);
        assert_eq!(info.is_transient(), matches!(code, 1001 | 1011 | 1012 | 1013 | 1014), "{code}");
    }
    assert!(!ended(b"\x88\0").is_transient());
    assert!(ended(b"").is_transient());
    assert!(ended(b"\x81\x05he").is_transient());
    assert!(!ended(b"\xf1").is_transient());
    assert!(!CloseInfo::default().is_transient());
}

#[cfg(feature = "handshake")]
mod opening {
    use bytes::BytesMut;
    use sansock::{
        Config, HandshakeError, HeadError, Malformed,
        client::{self, Request},
        route::proxy::{Proxy, ProxyError, SocksReply},
    };

    #[test]
    fn a_server_that_is_down_may_come_back_and_one_that_refuses_does_not() {
        for status in 200..=599_u16 {
            let answer = format!("HTTP/1.1 {status} x\r\nContent-Length: 0\r\n\r\n");
            let (config, mut out) = (Config::default(), BytesMut::new());
            let mut handshake = client::connect(&Request::new("h", "/"), &config, [0; 32], &mut out).unwrap();
            let error = handshake.receive(&mut &mut answer.clone().into_bytes()[..]).unwrap_err();
            let is_down = [500, 502, 503, 504].contains(&status);
            assert_eq!(error.is_transient(), is_down, "{status}");

            let mut tunnel = Proxy::parse("http://p").unwrap().connect("h", 80, &config, &mut out).unwrap();
            match tunnel.receive(&mut &mut answer.into_bytes()[..], &mut out) {
                Ok(opened) => assert!(opened && status < 300),
                Err(error) => assert_eq!(error.is_transient(), is_down, "{status}"),
            }
        }
        assert!(HandshakeError::Timeout.is_transient() && HandshakeError::ConnectionLost.is_transient());
        assert!(!HandshakeError::Accept.is_transient());
        assert!(!HandshakeError::Head(HeadError::Malformed(Malformed::StartLine)).is_transient());
    }

    #[test]
    fn a_proxy_that_cannot_reach_the_server_may_do_so_later() {
        assert!(ProxyError::Timeout.is_transient() && ProxyError::ConnectionLost.is_transient());
        for reply in [
            SocksReply::General,
            SocksReply::NetworkUnreachable,
            SocksReply::HostUnreachable,
            SocksReply::ConnectionRefused,
            SocksReply::TtlExpired,
        ] {
            assert!(ProxyError::Reply(reply).is_transient(), "{reply:?}");
        }
        for error in [
            ProxyError::Reply(SocksReply::NotAllowed),
            ProxyError::Reply(SocksReply::Command),
            ProxyError::Reply(SocksReply::AddressType),
            ProxyError::Reply(SocksReply::Other(9)),
            ProxyError::Malformed,
            ProxyError::NoMethod,
            ProxyError::Credentials,
            ProxyError::Surplus,
        ] {
            assert!(!error.is_transient(), "{error:?}");
        }
    }
}
