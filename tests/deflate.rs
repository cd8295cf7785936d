//! permessage-deflate (RFC 7692).

use bytes::BytesMut;
use sansock::{
    Config, Connection, Event,
    deflate::{Compress, Deflate, Params},
};

fn pair(server: Deflate, client: Deflate) -> (Connection, Connection) {
    let (answer, agreed) = server.answer(&client.offer()).unwrap();
    let config = Config::default().max_message_len(64 << 20);
    println!("{} | {answer}", client.offer());
    (
        Connection::server(&config).with_deflate(agreed, &server),
        Connection::client(&config, [1; 32]).with_deflate(client.confirm(&answer).unwrap(), &client),
    )
}

#[test]
fn round_trip() {
    for (s, c) in [
        (Deflate::default(), Deflate::default()),
        (Deflate::low_memory(), Deflate::default()),
        (Deflate::default(), Deflate::low_memory()),
        (Deflate::default().window_bits(9).unwrap(), Deflate::default().peer_window_bits(9).unwrap()),
    ] {
        let (mut s, mut c) = pair(s, c);
        let text: String = (0..20000).map(|i| format!("{{\"id\":{i},\"né\":\"v{}\"}}", i % 17)).collect();
        let (mut a, mut b) = (BytesMut::new(), BytesMut::new());
        for n in [0, 1, 63, 64, 100, 1000, 30000, text.len()] {
            let n = (0..=n).rev().find(|&n| text.is_char_boundary(n)).unwrap();
            for step in [1, 7, 4096, 1 << 20] {
                c.compress(Compress::Always).send_text(&text[..n], &mut a).unwrap();
                let mut got = None;
                for piece in a.chunks_mut(step) {
                    let mut input = piece;
                    while let Some(e) = s.receive(&mut input, &mut b).unwrap() {
                        assert!(got.is_none());
                        let Event::Text(t) = e else { panic!() };
                        got = Some(t.into_owned());
                    }
                }
                assert_eq!(got.as_deref(), Some(&text[..n]));
                a.clear();
                s.send_text(&text[..n], &mut b).unwrap();
                let mut input = &mut b[..];
                let Ok(Some(Event::Text(t))) = c.receive(&mut input, &mut a) else { panic!() };
                assert_eq!(t, &text[..n]);
                assert!(c.receive(&mut input, &mut a).unwrap().is_none());
                b.clear();
            }
        }
    }
}

fn inflate(payloads: &[&[u8]]) -> Vec<Result<String, sansock::Error>> {
    let (_, agreed) = Deflate::default().answer(&Params::default()).unwrap();
    let mut c = Connection::client(&Config::default(), [0; 32]).with_deflate(agreed, &Deflate::default());
    let mut out = BytesMut::new();
    payloads
        .iter()
        .map(|p| {
            let mut bytes = vec![0xC2, p.len() as u8];
            bytes.extend_from_slice(p);
            let mut input = &mut bytes[..];
            match c.receive(&mut input, &mut out)? {
                Some(Event::Binary(t)) => Ok(String::from_utf8_lossy(&t).into_owned()),
                e => panic!("{e:?}"),
            }
        })
        .collect()
}

#[test]
fn vectors() {
    let hello = Ok("Hello".to_string());
    let first: &[u8] = &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    assert_eq!(inflate(&[first, &[0xf2, 0x00, 0x11, 0x00, 0x00]]), [hello.clone(), hello.clone()]);
    assert_eq!(inflate(&[&[0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00]]), [hello.clone()]);
    assert_eq!(inflate(&[&[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00]]), [hello.clone()]);
    assert_eq!(inflate(&[&[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]]), [hello.clone()]);
    assert_eq!(
        inflate(&[&[0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00]]),
        [hello.clone()]
    );
    assert_eq!(inflate(&[&[], &[0x00]]), [Ok(String::new()), Ok(String::new())]);
    for bad in [&[0xf2, 0x00, 0x11, 0x00, 0x00][..], &[0x06], &[0x07], &[0xff], &[0xf2, 0x48, 0xcd]] {
        assert_eq!(inflate(&[bad]), [Err(sansock::Error::InvalidDeflate)], "{bad:x?}");
    }
    // every truncation
    for n in 1..first.len() {
        println!("{n} {:?}", inflate(&[&first[..n]]));
    }
}
