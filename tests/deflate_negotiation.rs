//! permessage-deflate is negotiated (RFC 7692 §5, §7.1): offers, answers and what follows from them, as values.

use sansock::deflate::{Agreement, Declined, Deflate, Params};

#[path = "support/inflating.rs"]
mod inflating;

use inflating::{answer, offer};

#[test]
fn r97_window_bits_are_8_to_15_without_leading_zero() {
    let valid = ["8", "9", "10", "11", "12", "13", "14", "15"];
    for bits in valid {
        assert!(offer(&format!("server_max_window_bits={bits}")).is_ok());
        assert!(offer(&format!("client_max_window_bits={bits}")).is_ok());
        assert!(answer(&format!("server_max_window_bits={bits}; client_max_window_bits={bits}")).is_ok());
    }
    // Every string of at most three bytes of ASCII.
    for n in 0..1 << 21 {
        let bytes = [n >> 14, n >> 7 & 0x7F, n & 0x7F].map(|byte: u32| byte as u8);
        let value = std::str::from_utf8(&bytes).unwrap().trim_start_matches('\0');
        let read = Params::of_offer([("server_max_window_bits", Some(value.into()))]);
        assert_eq!(read.is_ok(), valid.contains(&value), "{value:?}");
    }
    for value in ["0015", "15 ", "1\u{665}", "\u{FF18}", "256", "264", "0x9", "9.0", "1e1", "18446744073709551624"] {
        for name in ["server_max_window_bits", "client_max_window_bits"] {
            assert_eq!(offer(&format!("{name}={value}")).is_ok(), value == "15 ", "trimmed: {value:?}");
            let read = Params::of_offer([(name, Some(value.into()))]);
            assert_eq!(read, Err(Declined::Value), "{value:?}");
            let read = Params::of_answer([(name, Some(value.into()))]);
            assert_eq!(read, Err(Declined::Value), "{value:?}");
        }
    }
}

/// Parameters that neither an offer nor an answer may have.
const INVALID: [(&str, Declined); 15] = [
    ("foo", Declined::Unknown),
    ("foo=1", Declined::Unknown),
    ("server_max_window_bits=10; foo", Declined::Unknown),
    ("max_window_bits=10", Declined::Unknown),
    ("server_no_context_takeover; server_no_context_takeover", Declined::Repeated),
    ("client_no_context_takeover; client_no_context_takeover", Declined::Repeated),
    ("server_max_window_bits=10; server_max_window_bits=10", Declined::Repeated),
    ("client_max_window_bits=9; client_max_window_bits=10", Declined::Repeated),
    ("server_no_context_takeover=1", Declined::Value),
    ("server_no_context_takeover=", Declined::Value),
    ("client_no_context_takeover=true", Declined::Value),
    ("server_max_window_bits", Declined::Value),
    ("server_max_window_bits=7", Declined::Value),
    ("client_max_window_bits=", Declined::Value),
    ("client_max_window_bits=16", Declined::Value),
];

#[test]
fn r98_an_offer_with_a_wrong_parameter_is_declined() {
    for (params, why) in INVALID {
        assert_eq!(offer(params), Err(why), "{params}");
    }
    assert_eq!(offer("client_max_window_bits; client_max_window_bits=10"), Err(Declined::Repeated));
}

#[test]
fn r99_an_answer_with_a_wrong_parameter_is_a_failure() {
    for (params, why) in INVALID {
        assert_eq!(answer(params), Err(why), "{params}");
    }
    assert!(answer("").is_ok());
}

#[test]
fn r100_client_max_window_bits_has_a_value_in_an_answer() {
    assert_eq!(answer("client_max_window_bits"), Err(Declined::Value));
    assert!(offer("client_max_window_bits").is_ok());
}

#[test]
fn r100_r101_r102_a_server_answers_every_offer_as_the_rfc_says() {
    let bits = || (8..=15).map(Some).chain([None]);
    let mut settings = Vec::new();
    for (window, peer) in [(9, 8), (9, 15), (12, 12), (15, 8), (15, 15)] {
        for takeover in [[true, true], [true, false], [false, true], [false, false]] {
            let deflate = Deflate::default().window_bits(window).unwrap().peer_window_bits(peer).unwrap();
            let deflate = deflate.context_takeover(takeover[0]).peer_context_takeover(takeover[1]);
            settings.push((window, peer, takeover, deflate));
        }
    }
    for (server_none, client_none) in [(false, false), (true, false), (false, true), (true, true)] {
        for server_bits in bits() {
            // Absent, without a value, with one.
            for client_bits in bits().map(Some).chain([None]) {
                let said = [
                    server_none.then(|| "; server_no_context_takeover".into()),
                    client_none.then(|| "; client_no_context_takeover".into()),
                    server_bits.map(|bits| format!("; server_max_window_bits={bits}")),
                    client_bits.map(|bits| match bits {
                        None => "; client_max_window_bits".into(),
                        Some(bits) => format!("; client_max_window_bits={bits}"),
                    }),
                ];
                let said: String = said.into_iter().flatten().collect();
                let offered = offer(&said).unwrap();
                assert_eq!(offered.to_string(), format!("permessage-deflate{said}"));
                for &(window, peer, [keeps, lets_keep], deflate) in &settings {
                    let answered = deflate.answer(&offered);
                    if server_bits == Some(8) {
                        assert_eq!(answered, Err(Declined::Window), "no compressor keeps 256 bytes");
                        continue;
                    }
                    let (answered, agreed) = answered.unwrap();
                    let sending = server_bits.unwrap_or(15).min(window);
                    let receiving = match client_bits {
                        None => 15,
                        Some(hint) => hint.unwrap_or(15).min(peer),
                    };
                    assert_terms(agreed, (sending, keeps && !server_none), (receiving, lets_keep && !client_none));

                    let wire = answered.to_string();
                    let params = wire.strip_prefix("permessage-deflate").unwrap();
                    assert_eq!(answer(params), Ok(answered), "{wire}");
                    let answer_has = |param: &str| params.split("; ").any(|has| has == param);
                    // R102, R103
                    assert_eq!(answer_has("server_no_context_takeover"), server_none || !keeps, "{said} → {wire}");
                    assert_eq!(answer_has("client_no_context_takeover"), client_none || !lets_keep);
                    // R101: always an answer to an offer; unasked only what differs from the default.
                    let named = server_bits.is_some() || sending < 15;
                    assert_eq!(answer_has(&format!("server_max_window_bits={sending}")), named, "{said} → {wire}");
                    assert_eq!(params.contains("server_max_window_bits"), named);
                    // R100: never unasked.
                    assert_eq!(answer_has(&format!("client_max_window_bits={receiving}")), receiving < 15);
                    assert_eq!(params.contains("client_max_window_bits"), receiving < 15);
                }
            }
        }
    }
}

#[track_caller]
fn assert_terms(agreed: Agreement, sending: (u8, bool), receiving: (u8, bool)) {
    assert_eq!((agreed.sending().window_bits, agreed.sending().context_takeover), sending);
    assert_eq!((agreed.receiving().window_bits, agreed.receiving().context_takeover), receiving);
}

#[test]
fn r101_a_client_takes_a_server_window_up_to_what_it_asked_for() {
    let asks = Deflate::default().peer_window_bits(10).unwrap();
    for bits in 8..=15 {
        let confirmed = asks.confirm(&answer(&format!("server_max_window_bits={bits}")).unwrap());
        if bits <= 10 {
            assert_terms(confirmed.unwrap(), (15, true), (bits, true));
        } else {
            assert_eq!(confirmed, Err(Declined::Answer), "{bits}");
        }
        // Not asked for, it may appear all the same.
        let confirmed = Deflate::default().confirm(&answer(&format!("server_max_window_bits={bits}")).unwrap());
        assert_terms(confirmed.unwrap(), (15, true), (bits, true));
    }
    assert_eq!(asks.confirm(&answer("").unwrap()), Err(Declined::Answer), "it must be granted");
}

#[test]
fn r102_a_server_must_grant_no_context_takeover() {
    let asks = Deflate::default().peer_context_takeover(false);
    assert_eq!(asks.offer().to_string(), "permessage-deflate; server_no_context_takeover; client_max_window_bits");
    assert_eq!(asks.confirm(&answer("").unwrap()), Err(Declined::Answer));
    assert_eq!(asks.confirm(&answer("client_no_context_takeover").unwrap()), Err(Declined::Answer));
    assert_terms(asks.confirm(&answer("server_no_context_takeover").unwrap()).unwrap(), (15, true), (15, false));
}

/// R100: the value is what this side would compress with, and it is there only when it says something.
#[test]
fn r100_a_client_offers_the_window_that_it_compresses_with() {
    for bits in 9..=15 {
        let offered = Deflate::default().window_bits(bits).unwrap().offer().to_string();
        let value = if bits < 15 { format!("={bits}") } else { String::new() };
        assert_eq!(offered, format!("permessage-deflate; client_max_window_bits{value}"));
        // A server that knows no more obeys it.
        let (answered, agreed) =
            Deflate::default().answer(&Deflate::default().window_bits(bits).unwrap().offer()).unwrap();
        assert_terms(agreed, (15, true), (bits, true));
        assert_eq!(answered.to_string().contains(&format!("client_max_window_bits={bits}")), bits < 15);
    }
    for bits in 8..=15 {
        let offered = Deflate::default().peer_window_bits(bits).unwrap().offer().to_string();
        let asked = if bits < 15 { format!("; server_max_window_bits={bits}") } else { String::new() };
        assert_eq!(offered, format!("permessage-deflate{asked}; client_max_window_bits"));
    }
    let both = Deflate::default().context_takeover(false).window_bits(11).unwrap().offer().to_string();
    assert_eq!(both, "permessage-deflate; client_no_context_takeover; client_max_window_bits=11");
}

#[test]
fn r103_what_a_server_imposes_on_a_client_is_obeyed() {
    let confirm = |deflate: Deflate, said: &str| deflate.confirm(&answer(said).unwrap()).unwrap();
    let default = Deflate::default();
    assert_terms(confirm(default, ""), (15, true), (15, true));
    assert_terms(confirm(default, "client_no_context_takeover"), (15, false), (15, true));
    assert_terms(confirm(default, "server_no_context_takeover"), (15, true), (15, false));
    for bits in 8..=15 {
        let said = format!("client_max_window_bits={bits}");
        assert_terms(confirm(default, &said), (bits, true), (15, true));
        // What this side wants anyway holds beside what it is told.
        assert_terms(confirm(default.window_bits(12).unwrap(), &said), (bits.min(12), true), (15, true));
    }
    // Its own hints need no echo.
    assert_terms(confirm(default.context_takeover(false), ""), (15, false), (15, true));
    assert_terms(confirm(default.window_bits(9).unwrap(), ""), (9, true), (15, true));
}

#[test]
fn r104_whatever_two_ends_want_their_agreements_fit() {
    let mut wishes = Vec::new();
    for window in 9..=15 {
        for peer in [8, 9, 11, 15] {
            for takeover in [[true, true], [true, false], [false, true], [false, false]] {
                let deflate = Deflate::default().window_bits(window).unwrap().peer_window_bits(peer).unwrap();
                wishes.push(deflate.context_takeover(takeover[0]).peer_context_takeover(takeover[1]));
            }
        }
    }
    for client in &wishes {
        for server in &wishes {
            let Ok((answered, of_server)) = server.answer(&client.offer()) else {
                assert!(client.offer().to_string().contains("server_max_window_bits=8"));
                continue;
            };
            let of_client = client.confirm(&answered).unwrap();
            for (sender, receiver) in
                [(of_server.sending(), of_client.receiving()), (of_client.sending(), of_server.receiving())]
            {
                assert!(sender.window_bits <= receiver.window_bits);
                assert!(receiver.context_takeover || !sender.context_takeover);
            }
        }
    }
}

#[test]
fn settings_outside_of_their_range_are_refused() {
    for bits in 0..=255 {
        assert_eq!(Deflate::default().window_bits(bits).is_ok(), (9..=15).contains(&bits));
        assert_eq!(Deflate::default().peer_window_bits(bits).is_ok(), (8..=15).contains(&bits));
        assert_eq!(Deflate::default().level(bits).is_ok(), (1..=9).contains(&bits));
        assert_eq!(Deflate::default().mem_level(bits).is_ok(), (1..=9).contains(&bits));
    }
}
