//! hyper 1: the WebSocket behind a request that hyper parsed, or sent. A [`WebSocket`] is that of
//! [`tokio`].
//!
//! Connections of HTTP/1.1 have to be served `with_upgrades()`. For those of HTTP/2 there is the feature `http2`, and
//! they have to `enable_connect_protocol()`; the same function serves both:
//!
//! ```
//! use http::{Request, Response};
//! use sansock::{Config, adapter::{http::refusal, hyper}, handshake::Refused, server};
//!
//! async fn serve<B>(mut request: Request<B>) -> Result<Response<String>, std::convert::Infallible> {
//!     Ok(open(&mut request).unwrap_or_else(|refused| refusal(refused).map(String::from)))
//! }
//!
//! fn open<B>(request: &mut Request<B>) -> Result<Response<String>, Refused> {
//!     let upgrade = hyper::Upgrade::new(request, &Config::default())?;
//!     let (answer, websocket) = upgrade.accept(&server::Response::new())?;
//!     tokio::spawn(async {
//!         let mut websocket = websocket.await?;
//!         while let Some(message) = websocket.recv().await? {
//!             websocket.feed(message).await?;
//!         }
//!         Ok::<_, hyper::Error>(())
//!     });
//!     Ok(answer.map(|()| String::new()))
//! }
//! ```

#[cfg(feature = "getrandom")]
mod client;
mod stream;

use core::fmt;
use std::{io, vec::Vec};

use ::http::{Extensions, Request, Response, Version, request::Parts};
use ::hyper::upgrade::{OnUpgrade, on};

#[cfg(all(feature = "getrandom", feature = "http2"))]
pub use self::client::extended_connect;
#[cfg(feature = "getrandom")]
pub use self::client::{Connecting, connect};
pub use self::stream::Stream;
pub use super::Error;
use super::{http, tokio};
use crate::{
    Config, Connection,
    handshake::{Refused, UpgradeError},
    server,
};

/// A connection over what hyper leaves: the rest of a connection of HTTP/1.1, or a stream of HTTP/2. What hyper had
/// read of it already comes first.
///
/// On a stream of HTTP/2, hyper accepts up to four writes before the peer's window has room for them. sansock gives it
/// at most 16 KiB per write. When the peer never opens its window, the deadlines end the WebSocket and free its output,
/// but what hyper accepted, `max_send_buf_size` and 64 KiB at most, is held until the stream is reset or the connection
/// of HTTP/2 ends. hyper's `max_concurrent_streams` bounds how many such streams a connection can have.
pub type WebSocket = tokio::WebSocket<Stream>;

/// A request that waits for its answer, and the connection or stream that it came by.
pub struct Upgrade {
    request: server::Request,
    pending: OnUpgrade,
    version: Version,
}

impl Upgrade {
    /// Reads a request, whatever it asks for, and takes from it the means to upgrade.
    ///
    /// The error says that it can be no WebSocket's; what else it lacks is in the verdict of its
    /// [`request`](Self::request).
    pub fn new<B>(request: &mut Request<B>, config: &Config) -> Result<Self, UpgradeError> {
        let version = request.version();
        Ok(Self {
            request: http::request(request, protocol(request.extensions()), config)?,
            pending: on(request),
            version,
        })
    }

    /// The same of a request's parts, from whose extensions it takes the means to upgrade. Without them, the WebSocket
    /// fails when it is awaited.
    pub fn from_parts(parts: &mut Parts, config: &Config) -> Result<Self, UpgradeError> {
        let request = http::request_from_parts(parts, protocol(&parts.extensions), config)?;
        let pending = parts.extensions.remove().unwrap_or_else(|| on(Request::new(())));
        Ok(Self { request, pending, version: parts.version })
    }

    /// Judges the request by this configuration from now on, and makes the connection with it:
    /// [`server::Request::with_config`].
    #[must_use]
    pub fn with_config(mut self, config: &Config) -> Self {
        self.request = self.request.with_config(config);
        self
    }

    /// What the client asks for.
    #[must_use]
    pub fn request(&self) -> &server::Request {
        &self.request
    }

    /// Accepts the request, if it asks for a WebSocket. The answer is for hyper to send, without a body; the WebSocket
    /// is ready when that is done, so it has to be awaited in a task of its own.
    ///
    /// # Errors
    ///
    /// Those of [`http::accept`]; [`http::refusal`] answers them. Of the WebSocket: the client is gone, or the
    /// connection is not served `with_upgrades()`.
    pub fn accept(
        &self,
        response: &server::Response<'_>,
    ) -> Result<(Response<()>, impl Future<Output = Result<WebSocket, Error>> + Send + 'static + use<>), Refused> {
        let (connection, answer) = http::accept(&self.request, response)?;
        Ok((answer, upgraded(self.pending.clone(), self.version, connection)))
    }
}

impl fmt::Debug for Upgrade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upgrade").field("request", &self.request).finish_non_exhaustive()
    }
}

async fn upgraded(on_upgrade: OnUpgrade, version: Version, connection: Connection) -> Result<WebSocket, Error> {
    let upgraded = on_upgrade.await.map_err(io::Error::other)?;
    Ok(tokio::from_connection(Stream::new(upgraded, version), connection, Vec::new()))
}

/// The `:protocol` of an extended CONNECT, where hyper keeps it.
#[cfg(feature = "http2")]
fn protocol(extensions: &Extensions) -> Option<&str> {
    extensions.get().map(::hyper::ext::Protocol::as_str)
}

#[cfg(not(feature = "http2"))]
fn protocol(_: &Extensions) -> Option<&str> {
    None
}
