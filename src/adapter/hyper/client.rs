//! Clients: a request for hyper to send, and the WebSocket behind its answer.

use core::fmt;
use std::{boxed::Box, io};

use ::http::{Request, Response};
use ::hyper::upgrade::on;

use super::{Error, WebSocket, http, upgraded};
use crate::{Config, client};

/// A request for a connection of HTTP/1.1, which has to be driven `with_upgrades()`, and what waits for its answer.
///
/// # Errors
///
/// `request` is malformed, or the operating system has no entropy.
///
// Tested by `integration`, which has hyper's client.
#[cfg_attr(not(doctest), doc = include_str!("connect.md"))]
pub fn connect(request: &client::Request<'_>, config: &Config) -> Result<(Connecting, Request<()>), Error> {
    let seed = crate::seed().map_err(io::Error::other)?;
    let (handshake, request) = http::connect(request, config, seed)?;
    Ok((Connecting(Handshake::Http1(Box::new(handshake))), request))
}

/// The same for a connection of HTTP/2, where a WebSocket is one stream of many. The server must have said first that
/// it understands this (RFC 8441 §3), which comes with its settings: wait for them, as long as is reasonable.
///
// Tested by `integration`, which has hyper's client.
#[cfg_attr(not(doctest), doc = include_str!("extended_connect.md"))]
#[cfg(feature = "http2")]
pub fn extended_connect(request: &client::Request<'_>, config: &Config) -> Result<(Connecting, Request<()>), Error> {
    let seed = crate::seed().map_err(io::Error::other)?;
    let (handshake, mut request) = http::extended_connect(request, config, seed)?;
    request.extensions_mut().insert(::hyper::ext::Protocol::from_static("websocket"));
    Ok((Connecting(Handshake::Http2(Box::new(handshake))), request))
}

/// Waits for the answer to a request. It keeps no deadline: put a timeout around the wait for hyper's answer.
pub struct Connecting(Handshake);

enum Handshake {
    Http1(Box<client::Handshake>),
    #[cfg(feature = "http2")]
    Http2(Box<client::ExtendedConnect>),
}

impl Connecting {
    /// The WebSocket behind the answer that hyper received.
    ///
    /// # Errors
    ///
    /// The server refused: [`Rejected`](crate::HandshakeError::Rejected) has its answer without the body, which can
    /// still be read from `answer`. The connection is lost, or not driven `with_upgrades()`.
    pub async fn receive<B>(self, answer: &mut Response<B>) -> Result<(WebSocket, client::Response), Error> {
        let (status, fields) = (answer.status().as_u16(), http::fields(answer.headers()));
        let (connection, response) = match self.0 {
            Handshake::Http1(mut handshake) => handshake.receive_parts(status, fields)?,
            #[cfg(feature = "http2")]
            Handshake::Http2(handshake) => handshake.receive_parts(status, fields)?,
        };
        let version = answer.version();
        Ok((upgraded(on(answer), version, connection).await?, response))
    }
}

impl fmt::Debug for Connecting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connecting").finish_non_exhaustive()
    }
}
