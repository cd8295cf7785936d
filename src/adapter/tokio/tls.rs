//! `wss://`: the same over TLS, by rustls.

use core::{
    pin::Pin,
    task::{Context, Poll},
};
use std::{
    boxed::Box,
    io::{self, IoSlice},
    string::ToString,
    sync::Arc,
};

use ::tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{ClientConfig, RootCertStore, crypto::ring, pki_types::ServerName},
};

use super::{
    Error, WebSocket, client,
    net::{dial, within},
};
use crate::{Config, client::Response, route::Route};

/// Connects to a `wss://` or `ws://` URI, like [`connect`](super::connect). Certificates are checked against the roots
/// that Mozilla trusts.
///
/// # Errors
///
/// As [`connect`](super::connect), and what TLS fails by.
///
/// ```no_run
/// use sansock::{Config, adapter::tokio::tls};
///
/// # async fn run() -> Result<(), sansock::adapter::tokio::Error> {
/// let mut websocket = tls::connect("wss://echo.example/", &Config::default()).await?;
/// websocket.send("hello").await?;
/// # Ok(()) }
/// ```
pub async fn connect(uri: &str, config: &Config) -> Result<WebSocket<MaybeTls>, Error> {
    let tls = trusting(RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() })?;
    Ok(connect_with(uri, config, tls, |route| route).await?.0)
}

/// A TLS configuration for [`connect_with`] that trusts whom the operating system trusts: also a company's own
/// authority, which Mozilla does not know. Reads files or asks the system's store, so make it once.
///
/// # Errors
///
/// The operating system has no certificates, or none that can be read.
#[cfg(feature = "tls-native-roots")]
pub fn native_roots() -> io::Result<Arc<ClientConfig>> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    if roots.add_parsable_certificates(found.certs).0 == 0 {
        let failure = found.errors.into_iter().next().map(io::Error::other);
        return Err(failure.unwrap_or(io::ErrorKind::NotFound.into()));
    }
    trusting(roots)
}

fn trusting(roots: RootCertStore) -> io::Result<Arc<ClientConfig>> {
    let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(tls))
}

/// The same with a TLS configuration of your own, and more in the request, as
/// [`connect_with`](super::connect_with). Make the configuration once: it remembers sessions.
///
/// # Errors
///
/// As [`connect`].
pub async fn connect_with<'a>(
    uri: &'a str,
    config: &Config,
    tls: Arc<ClientConfig>,
    customize: impl FnOnce(Route<'a>) -> Route<'a>,
) -> Result<(WebSocket<MaybeTls>, Response), Error> {
    let mut route = customize(Route::new(uri)?);
    loop {
        let stream = dial(&route, config).await?;
        let stream = if route.uri().is_secure() {
            let name = ServerName::try_from(route.uri().host().to_string()).map_err(io::Error::other)?;
            let session = TlsConnector::from(tls.clone()).connect(name, stream);
            MaybeTls::Tls(Box::new(within(config.handshake_timeout, session).await?))
        } else {
            MaybeTls::Plain(stream)
        };
        match client(stream, route.request(), config).await {
            Err(Error::Handshake(refusal)) if route.follow(&refusal)? => {}
            result => return result,
        }
    }
}

/// What a URI led to: TCP, with or without TLS.
#[derive(Debug)]
#[non_exhaustive]
pub enum MaybeTls {
    /// `ws://`.
    Plain(TcpStream),
    /// `wss://`.
    Tls(Box<TlsStream<TcpStream>>),
}

macro_rules! either {
    ($self:ident, $stream:ident => $call:expr) => {
        match $self.get_mut() {
            Self::Plain(stream) => {
                let $stream = Pin::new(stream);
                $call
            }
            Self::Tls(stream) => {
                let $stream = Pin::new(stream);
                $call
            }
        }
    };
}

impl AsyncRead for MaybeTls {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => stream.poll_read(cx, buffer))
    }
}

impl AsyncWrite for MaybeTls {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        either!(self, stream => stream.poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        either!(self, stream => stream.poll_write_vectored(cx, slices))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => stream.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => stream.poll_shutdown(cx))
    }
}
