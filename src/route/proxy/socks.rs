//! SOCKS5 (RFC 1928), with no authentication or with user and password (RFC 1929).

use alloc::vec::Vec;
use core::net::IpAddr;

use bytes::{BufMut, BytesMut};

use super::{ProxyError, SocksReply};
use crate::handshake::RequestError;

const VERSION: u8 = 5;
const AUTH_VERSION: u8 = 1;
const NO_AUTHENTICATION: u8 = 0;
const USER_AND_PASSWORD: u8 = 2;
const CONNECT: u8 = 1;
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

/// User and password, of 1 to 255 bytes each.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Credentials {
    pub(super) user: Vec<u8>,
    pub(super) password: Vec<u8>,
}

/// One conversation. It holds at most one answer, of up to 262 bytes.
pub(super) struct Socks {
    /// The request, to be sent once the proxy knows us.
    request: Vec<u8>,
    credentials: Option<Credentials>,
    answer: Answer,
    held: Vec<u8>,
}

/// Which answer is waited for.
#[derive(Clone, Copy)]
enum Answer {
    Method,
    Auth,
    Reply,
}

impl Socks {
    /// Greets the proxy (RFC 1928 §3).
    pub(super) fn new(
        host: &str,
        port: u16,
        credentials: Option<Credentials>,
        out: &mut BytesMut,
    ) -> Result<Self, RequestError> {
        let request = request(host, port)?;
        let methods: &[u8] =
            if credentials.is_some() { &[NO_AUTHENTICATION, USER_AND_PASSWORD] } else { &[NO_AUTHENTICATION] };
        out.put_slice(&[VERSION, methods.len() as u8]);
        out.put_slice(methods);
        Ok(Self { request, credentials, answer: Answer::Method, held: Vec::new() })
    }

    /// Takes answers from the front of `input`; `true` once the tunnel is open.
    pub(super) fn receive(&mut self, input: &mut &mut [u8], out: &mut BytesMut) -> Result<bool, ProxyError> {
        while let Some((byte, rest)) = core::mem::take(input).split_first_mut() {
            *input = rest;
            self.held.push(*byte);
            if self.step(out)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Looks at what is held of an answer, at each of its bytes: what is wrong is found at the first that proves it.
    fn step(&mut self, out: &mut BytesMut) -> Result<bool, ProxyError> {
        let version = if matches!(self.answer, Answer::Auth) { AUTH_VERSION } else { VERSION };
        match (self.answer, &self.held[..]) {
            (_, [first, ..]) if *first != version => return Err(ProxyError::Malformed),
            // RFC 1928 §3.
            (Answer::Method, [_, method]) => match (*method, &self.credentials) {
                (NO_AUTHENTICATION, _) => self.ask(out),
                (USER_AND_PASSWORD, Some(Credentials { user, password })) => {
                    out.put_u8(AUTH_VERSION);
                    for part in [user, password] {
                        out.put_u8(part.len() as u8);
                        out.put_slice(part);
                    }
                    self.expect(Answer::Auth);
                }
                _ => return Err(ProxyError::NoMethod),
            },
            // RFC 1929 §2.
            (Answer::Auth, [_, 0]) => self.ask(out),
            (Answer::Auth, [_, _]) => return Err(ProxyError::Credentials),
            // RFC 1928 §6. The address that the proxy is bound to means nothing to us.
            (Answer::Reply, [_, code, ..]) if *code != 0 => return Err(ProxyError::Reply(SocksReply::new(*code))),
            (Answer::Reply, [_, _, _, kind, address @ ..]) => {
                let len = match (*kind, address) {
                    (IPV4, _) => 4,
                    (IPV6, _) => 16,
                    (NAME, []) => return Ok(false),
                    (NAME, [len, ..]) => 1 + usize::from(*len),
                    _ => return Err(ProxyError::Malformed),
                };
                return Ok(address.len() == len + 2);
            }
            _ => {}
        }
        Ok(false)
    }

    fn ask(&mut self, out: &mut BytesMut) {
        out.put_slice(&self.request);
        self.expect(Answer::Reply);
    }

    fn expect(&mut self, answer: Answer) {
        self.answer = answer;
        self.held.clear();
    }
}

/// RFC 1928 §4. A name goes to the proxy as it is.
fn request(host: &str, port: u16) -> Result<Vec<u8>, RequestError> {
    let mut request = Vec::from([VERSION, CONNECT, 0]);
    match host.parse() {
        Ok(IpAddr::V4(address)) => {
            request.push(IPV4);
            request.extend(address.octets());
        }
        Ok(IpAddr::V6(address)) => {
            request.push(IPV6);
            request.extend(address.octets());
        }
        Err(_) => {
            request.push(NAME);
            request.push(u8::try_from(host.len()).map_err(|_| RequestError::Host(host.into()))?);
            request.extend(host.bytes());
        }
    }
    request.extend(port.to_be_bytes());
    Ok(request)
}
