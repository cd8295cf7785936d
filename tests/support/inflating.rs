//! What the tests of permessage-deflate share: connections with any agreement, frames, and what a connection makes of
//! bytes, however they are cut.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::borrow::Cow;

use bytes::BytesMut;
use sansock::{
    Config, Connection, Delivery, Error, Event,
    deflate::{Agreement, Declined, Deflate, Params},
    frame::{Header, Opcode},
};

pub(crate) use sansock::Kind;

/// Which end sansock is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Server,
    Client,
}

pub(crate) const ROLES: [Role; 2] = [Role::Server, Role::Client];
pub(crate) const DELIVERIES: [Delivery; 3] = [Delivery::Messages, Delivery::InPlace, Delivery::Chunks];

/// `"a; b=1"`, as an iterator over parameters would give it.
fn params(text: &str) -> Vec<(&str, Option<Cow<'_, str>>)> {
    text.split(';')
        .map(str::trim)
        .filter(|param| !param.is_empty())
        .map(|param| match param.split_once('=') {
            Some((name, value)) => (name, Some(Cow::Borrowed(value))),
            None => (param, None),
        })
        .collect()
}

/// The parameters of an offer.
pub(crate) fn offer(text: &str) -> Result<Params, Declined> {
    Params::of_offer(params(text))
}

/// The parameters of an answer.
pub(crate) fn answer(text: &str) -> Result<Params, Declined> {
    Params::of_answer(params(text))
}

/// What both ends keep to: bits of the window and context takeover, of what sansock sends and of what it receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) sending: (u8, bool),
    pub(crate) receiving: (u8, bool),
}

impl Terms {
    pub(crate) const FULL: Self = Self { sending: (15, true), receiving: (15, true) };

    /// Windows of 32 KiB.
    pub(crate) const fn takeover(sending: bool, receiving: bool) -> Self {
        Self { sending: (15, sending), receiving: (15, receiving) }
    }

    /// The agreement that says so, by way of a negotiation.
    pub(crate) fn agreement(self, role: Role) -> Agreement {
        let flag = |name: &str, kept: bool| if kept { String::new() } else { format!("; {name}_no_context_takeover") };
        let (server, client) = match role {
            Role::Server => (self.sending, self.receiving),
            Role::Client => (self.receiving, self.sending),
        };
        let said = format!(
            "{}{}; server_max_window_bits={}; client_max_window_bits={}",
            flag("server", server.1),
            flag("client", client.1),
            server.0,
            client.0
        );
        let agreement = match role {
            Role::Server => Deflate::default().answer(&offer(&said).unwrap()).unwrap().1,
            Role::Client => Deflate::default().confirm(&answer(&said).unwrap()).unwrap(),
        };
        assert_eq!((agreement.sending().window_bits, agreement.sending().context_takeover), self.sending);
        assert_eq!((agreement.receiving().window_bits, agreement.receiving().context_takeover), self.receiving);
        agreement
    }
}

/// A connection with permessage-deflate.
pub(crate) fn connection(role: Role, config: &Config, terms: Terms, settings: &Deflate) -> Connection {
    let connection = match role {
        Role::Server => Connection::server(config),
        Role::Client => Connection::client(config, *b"thirty-two bytes that are random"),
    };
    connection.with_deflate(terms.agreement(role), settings)
}

/// One with everything by default.
pub(crate) fn receiver(role: Role, config: &Config) -> Connection {
    connection(role, config, Terms::FULL, &Deflate::default())
}

/// A frame as `to` receives it: masked, if that is the server.
pub(crate) fn frame(to: Role, first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = (to == Role::Server).then_some([0x37, 0xFA, 0x21, 0x3D]);
    let opcode = Opcode::new(first & 0xF).expect("an opcode");
    let len = payload.len() as u64;
    let mut bytes = Header { fin: first & 0x80 != 0, rsv: first >> 4 & 7, opcode, mask, len }.encode().to_vec();
    let key = mask.unwrap_or_default();
    bytes.extend(payload.iter().zip(key.into_iter().cycle()).map(|(byte, key)| byte ^ key));
    bytes
}

/// A compressed message in these fragments.
pub(crate) fn compressed(to: Role, kind: Kind, fragments: &[&[u8]]) -> Vec<u8> {
    let opcode = if kind == Kind::Text { 0x41 } else { 0x42 };
    let mut bytes = Vec::new();
    for (n, payload) in fragments.iter().enumerate() {
        let fin = if n + 1 == fragments.len() { 0x80 } else { 0 };
        bytes.extend(frame(to, fin | if n == 0 { opcode } else { 0 }, payload));
    }
    bytes
}

/// A frame that was sent, unmasked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    /// FIN, the reserved bits and the opcode.
    pub(crate) first: u8,
    pub(crate) payload: Vec<u8>,
}

/// The frames that `from` sent. They must be whole, and masked if it is the client.
pub(crate) fn sent(from: Role, mut bytes: &[u8]) -> Vec<Sent> {
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        let (header, len) = Header::decode(bytes).unwrap().expect("a whole header");
        assert_eq!(header.mask.is_some(), from == Role::Client);
        let end = len + usize::try_from(header.len).unwrap();
        let key = header.mask.unwrap_or_default();
        let payload = bytes[len..end].iter().zip(key.into_iter().cycle()).map(|(byte, key)| byte ^ key).collect();
        frames.push(Sent { first: bytes[0], payload });
        bytes = &bytes[end..];
    }
    frames
}

/// What a connection made of some bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Trace {
    /// Chunks are joined, up to the end of the message or to a control frame in its middle.
    pub(crate) items: Vec<Item>,
    pub(crate) error: Option<Error>,
    /// Of the Close frame that was sent.
    pub(crate) code: Option<u16>,
    pub(crate) out: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    Message(Kind, Vec<u8>),
    /// Of a message in chunks.
    Part(Kind, Vec<u8>),
    /// The end of one.
    Fin(Kind),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close,
}

impl Trace {
    /// The same, as whole messages show it; and what there was of a message without an end.
    pub(crate) fn messages(&self) -> (Vec<Item>, Vec<u8>) {
        let (mut whole, mut open) = (Vec::new(), Vec::new());
        for item in &self.items {
            match item {
                Item::Part(_, data) => open.extend_from_slice(data),
                Item::Fin(kind) => whole.push(Item::Message(*kind, std::mem::take(&mut open))),
                other => whole.push(other.clone()),
            }
        }
        (whole, open)
    }

    /// All data in order, whether its message was completed or not.
    pub(crate) fn data(&self) -> Vec<u8> {
        let data = self.items.iter().filter_map(|item| match item {
            Item::Message(_, data) | Item::Part(_, data) => Some(data),
            _ => None,
        });
        data.flatten().copied().collect()
    }

    fn chunk(&mut self, kind: Kind, bytes: &[u8], fin: bool) {
        assert!(bytes.len() <= 64 << 10, "a chunk of {} bytes", bytes.len());
        assert!(fin || !bytes.is_empty(), "an empty chunk in the middle");
        match self.items.last_mut() {
            _ if bytes.is_empty() => {}
            Some(Item::Part(before, data)) => {
                assert_eq!(*before, kind, "one message is of one kind");
                data.extend(bytes);
            }
            _ => self.items.push(Item::Part(kind, bytes.to_vec())),
        }
        if fin {
            self.items.push(Item::Fin(kind));
        }
    }
}

/// Feeds `bytes`, cut into pieces of these sizes, over and over.
pub(crate) fn feed(connection: &mut Connection, bytes: &[u8], sizes: &[usize]) -> Trace {
    let mut bytes = bytes.to_vec();
    let (mut trace, mut out) = (Trace::default(), BytesMut::new());
    // What is left, as it is in place, lies in front of what is read next.
    let (mut start, mut end) = (0, 0);
    let mut sizes = sizes.iter().cycle();
    while end < bytes.len() {
        end += (*sizes.next().unwrap()).clamp(1, bytes.len() - end);
        let mut input = &mut bytes[start..end];
        loop {
            match connection.receive(&mut input, &mut out) {
                Ok(None) => break,
                Ok(Some(event)) => {
                    assert_eq!(trace.error, None, "nothing comes after the end: {event:?}");
                    match event {
                        Event::Text(text) => trace.items.push(Item::Message(Kind::Text, text.as_bytes().to_vec())),
                        Event::Binary(data) => trace.items.push(Item::Message(Kind::Binary, data.to_vec())),
                        Event::Chunk(chunk) => {
                            trace.chunk(chunk.data.kind(), chunk.data.as_bytes(), chunk.fin);
                        }
                        Event::Ping(payload) => trace.items.push(Item::Ping(payload.to_vec())),
                        Event::Pong(payload) => trace.items.push(Item::Pong(payload.to_vec())),
                        Event::Close(_) => trace.items.push(Item::Close),
                        _ => unreachable!(),
                    }
                }
                Err(error) => {
                    assert_eq!(trace.error, None, "an error is returned once");
                    trace.error = Some(error);
                }
            }
        }
        assert!(input.is_empty() || connection.missing() > 0, "None means that nothing more can be taken");
        start = end - input.len();
    }
    trace.code = connection.close_info().and_then(|info| info.sent.as_ref()).map(|close| close.code);
    trace.out = out.to_vec();
    trace
}

/// A whole text message.
pub(crate) fn text(data: &str) -> Item {
    Item::Message(Kind::Text, data.into())
}

/// Everything else by default.
pub(crate) fn config(delivery: Delivery) -> Config {
    Config::default().delivery(delivery)
}

/// Feeds `bytes` to a connection in either delivery, whole and a byte at a time, which must be the same; `make` makes
/// a fresh connection. The result is as whole messages show it.
#[track_caller]
pub(crate) fn feed_all(make: impl Fn(&Config) -> Connection, bytes: &[u8]) -> Trace {
    let mut first: Option<Trace> = None;
    for delivery in DELIVERIES {
        for size in [usize::MAX, 1] {
            let mut trace = feed(&mut make(&config(delivery)), bytes, &[size]);
            trace.items = trace.messages().0;
            assert_eq!(first.get_or_insert_with(|| trace.clone()), &trace, "{delivery:?}, pieces of {size}");
        }
    }
    first.unwrap()
}

/// Pseudo-random numbers: xorshift, from a seed that is not 0.
#[derive(Clone, Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.next() >> 11) as usize % n
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| (self.next() >> 32) as u8).collect()
    }
}
