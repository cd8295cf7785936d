//! The opening handshake over an [`Io`], both roles.
//!
//! Its state is larger than that of a connection, and a task is as large as the largest state it ever has. So the
//! futures are boxed: what the handshake needed is given back when it is over.

use core::{fmt, future::poll_fn};
use std::{boxed::Box, vec::Vec};

use bytes::BytesMut;

use super::{Io, WebSocket, wire::Wire};
use crate::{
    Config, Connection, Driver, Outbox, Transport,
    adapter::Error,
    handshake::{Refused, server},
    route::proxy::{Proxy, ProxyError},
};

/// Waits for a request to upgrade, and accepts it, without a subprotocol.
///
/// # Errors
///
/// The request was no valid one, or did not come in [`handshake_timeout`](Config::handshake_timeout), or the transport
/// failed. The client has its answer by then, where there is one, and the transport is closed.
pub async fn accept<I: Io>(io: I, config: &Config) -> Result<WebSocket<I>, Error> {
    Box::pin(async { receive(io, config).await?.accept(&server::Response::new()).await }).await
}

/// Waits for a request, whatever it asks for, and lets `answer` answer it: accept it, with a subprotocol and fields of
/// its own, or reject it, for instance with a page. `None` when it was rejected; then the transport is closed.
///
/// Where the answer has to be waited for, [`receive_request`] goes the same way in two steps.
///
/// # Errors
///
/// As [`accept`]; also when `answer` returns one.
pub async fn accept_with<I: Io>(
    io: I,
    config: &Config,
    answer: impl FnOnce(&server::Request, &mut BytesMut) -> Result<Option<Connection>, Refused>,
) -> Result<Option<WebSocket<I>>, Error> {
    Box::pin(async { receive(io, config).await?.answer(answer).await }).await
}

/// Waits for a request, whatever it asks for. It is answered when the program knows how: after a look into a database,
/// for instance.
///
/// # Errors
///
/// As [`accept`], but for what the request asks.
pub async fn receive_request<I: Io>(io: I, config: &Config) -> Result<Upgrade<I>, Error> {
    Box::pin(receive(io, config)).await
}

async fn receive<I: Io>(io: I, config: &Config) -> Result<Upgrade<I>, Error> {
    let mut wire = Wire::new(io, Driver::new(server::Handshake::new(config)));
    let request = wire.handshake(|request| request).await?;
    Ok(Upgrade { pending: Box::new(Pending { wire, request }) })
}

/// Sends a client's request, with what it asks for, over a transport that is connected already. Returns the server's
/// answer too: its subprotocol is there.
///
/// # Errors
///
/// `request` is malformed, or the operating system has no entropy. The transport failed, or no answer came in
/// [`handshake_timeout`](Config::handshake_timeout). The server refused:
/// [`Rejected`](crate::HandshakeError::Rejected) has its answer.
#[cfg(feature = "getrandom")]
pub async fn client<I: Io>(
    io: I,
    request: &crate::client::Request<'_>,
    config: &Config,
) -> Result<(WebSocket<I>, crate::client::Response), Error> {
    Box::pin(async {
        let seed = crate::seed().map_err(std::io::Error::other)?;
        let mut out = Outbox::new();
        let handshake = crate::client::connect(request, config, seed, out.tail())?;
        let mut wire = Wire::new(io, Driver::from_parts(handshake, Vec::new(), out));
        let (connection, response) = wire.handshake(|opened| opened).await?;
        Ok((WebSocket::over(wire.replace(connection)), response))
    })
    .await
}

/// Lets a proxy open a tunnel to `host`, a name or an address without brackets, and port, over a transport that is
/// connected to the proxy. What comes back leads to the server: TLS, and the opening handshake, go through it.
///
/// # Errors
///
/// No tunnel leads to such a host. The transport failed, or the proxy refused, or did not answer in
/// [`handshake_timeout`](Config::handshake_timeout).
pub async fn tunnel<I: Io>(io: I, proxy: &Proxy, host: &str, port: u16, config: &Config) -> Result<I, Error> {
    Box::pin(async {
        let mut out = Outbox::new();
        let tunnel = proxy.connect(host, port, config, out.tail())?;
        let mut wire = Wire::new(io, Driver::from_parts(tunnel, Vec::new(), out));
        wire.handshake(|()| ()).await?;
        Ok(wire.into_io().ok_or(ProxyError::Surplus)?)
    })
    .await
}

/// A request that waits for its answer, and the transport that it came by.
pub struct Upgrade<I> {
    pending: Box<Pending<I>>,
}

struct Pending<I> {
    wire: Wire<I, server::Handshake>,
    request: server::Request,
}

impl<I: Io> Upgrade<I> {
    /// What the client asks for.
    #[must_use]
    pub fn request(&self) -> &server::Request {
        &self.pending.request
    }

    /// Accepts the request, if it asks for a WebSocket.
    ///
    /// # Errors
    ///
    /// As [`accept`](super::accept); [`Refused::Response`] when `response` is not valid.
    pub async fn accept(self, response: &server::Response<'_>) -> Result<WebSocket<I>, Error> {
        let accepted = self.answer(|request, out| request.accept(response, out).map(Some)).await?;
        accepted.ok_or_else(|| std::io::Error::from(std::io::ErrorKind::InvalidData).into())
    }

    /// Answers without a connection: any status from 200 to 599, with fields and a body. Waits until the client has
    /// seen the answer, at most [`close_timeout`](Config::close_timeout).
    ///
    /// # Errors
    ///
    /// [`Refused::Response`] when the answer is not valid.
    pub async fn reject(self, status: u16, fields: &[(&str, &[u8])], body: &[u8]) -> Result<(), Error> {
        self.answer(|request, out| Ok(request.reject(status, fields, body, out).map(|()| None)?)).await.map(|_| ())
    }

    async fn answer(
        self,
        answer: impl FnOnce(&server::Request, &mut BytesMut) -> Result<Option<Connection>, Refused>,
    ) -> Result<Option<WebSocket<I>>, Error> {
        let Pending { mut wire, request } = *self.pending;
        match wire.command(|_, out| answer(&request, out.tail())) {
            Ok(Some(connection)) => {
                let mut wire = wire.replace(connection);
                poll_fn(|cx| wire.poll_drain(cx, 0)).await?;
                Ok(Some(WebSocket::over(wire)))
            }
            refused => {
                // Until the client has seen the answer, if there is one; what it sends meanwhile is discarded.
                if wire.driver.machine().transport() != Transport::KeepOpen {
                    let _ = wire.handshake(|_| ()).await;
                }
                Ok(refused.map(|_| None)?)
            }
        }
    }
}

impl<I: Io> fmt::Debug for Upgrade<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upgrade").field("request", self.request()).finish_non_exhaustive()
    }
}
