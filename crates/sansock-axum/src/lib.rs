//! WebSocket for axum 0.8, by [`sansock`]: an extractor, [`WebSocketUpgrade`].
//!
//! A [`WebSocket`] is that of [`sansock::adapter::hyper`].
//!
//! ```
//! use axum::{Router, response::Response, routing::any};
//! use sansock_axum::WebSocketUpgrade;
//!
//! async fn echo(upgrade: WebSocketUpgrade) -> Response {
//!     upgrade.protocols(["echo"]).on_upgrade(async |mut websocket| {
//!         while let Ok(Some(message)) = websocket.recv().await {
//!             if websocket.feed(message).await.is_err() {
//!                 break;
//!             }
//!         }
//!     })
//! }
//!
//! // Over HTTP/1.1 a WebSocket is opened by GET, over HTTP/2 (feature `http2`) by CONNECT.
//! let app: Router = Router::new().route("/echo", any(echo));
//! ```
#![forbid(unsafe_code)]

use std::{borrow::Cow, error::Error as StdError, fmt};

use axum_core::{
    body::Body,
    extract::FromRequestParts,
    response::{IntoResponse, Response},
};
use http::{Request, StatusCode, request::Parts};
use hyper::upgrade::OnUpgrade;
pub use sansock;
pub use sansock::adapter::{
    Error,
    hyper::{Upgrade, WebSocket},
};
use sansock::{Config, OriginPolicy, UpgradeError, adapter::http::refusal, handshake::Refused, server};

/// The code in the README, as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// A request for a WebSocket. Every other request is refused before the handler is called.
///
/// Extracts from the request's parts, so it stands before an extractor of the body.
#[must_use = "the client waits for the answer of `on_upgrade`"]
pub struct WebSocketUpgrade {
    upgrade: Upgrade,
    /// The request is read from this once more if it gets a configuration.
    head: Parts,
    config: Config,
    protocol: Option<Cow<'static, str>>,
}

impl WebSocketUpgrade {
    /// Configures the connection, and whom [`Config::origin`] lets in; [`Config::default`] if this is not called.
    pub fn config(mut self, config: &Config) -> Self {
        self.config = config.clone();
        self
    }

    /// Speaks the first of these subprotocols that the client offers, or none (RFC 6455 §4.2.2, item 5.5).
    pub fn protocols(mut self, best_first: impl IntoIterator<Item = impl Into<Cow<'static, str>>>) -> Self {
        let is_offered = |ours: &Cow<'_, str>| self.request().subprotocols().any(|theirs| theirs == ours);
        self.protocol = best_first.into_iter().map(Into::into).find(is_offered);
        self
    }

    /// The subprotocol that [`protocols`](Self::protocols) found.
    #[must_use]
    pub fn selected_protocol(&self) -> Option<&str> {
        self.protocol.as_deref()
    }

    /// What the client asks for.
    #[must_use]
    pub fn request(&self) -> &server::Request {
        self.upgrade.request()
    }

    /// Accepts the request, and runs `callback` with the WebSocket in a task of its own. It is not called when the client
    /// is gone before that.
    ///
    /// The answer is for the handler to return. It is a 403 if the Origin is not allowed.
    pub fn on_upgrade<C, F>(self, callback: C) -> Response
    where
        C: FnOnce(WebSocket) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let protocol = self.protocol.clone();
        let answer = self.into_upgrade().map_err(Refused::from).and_then(|upgrade| {
            let (answer, websocket) = upgrade.accept(&server::Response::new().subprotocol(protocol.as_deref()))?;
            tokio::spawn(async {
                if let Ok(websocket) = websocket.await {
                    callback(websocket).await;
                }
            });
            Ok(answer.map(|()| Body::empty()))
        });
        answer.unwrap_or_else(|refused| refusal(refused).map(Body::from))
    }

    /// To answer by hand: with fields in the answer, for instance, or to learn why there is no WebSocket.
    pub fn into_upgrade(mut self) -> Result<Upgrade, UpgradeError> {
        Upgrade::from_parts(&mut self.head, &self.config)
    }
}

impl<S: Sync> FromRequestParts<S> for WebSocketUpgrade {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Rejection> {
        let head = head(parts);
        // The Origin is judged when the configuration is known.
        let upgrade = Upgrade::from_parts(parts, &Config::default().origin(OriginPolicy::any()))?;
        upgrade.request().verdict()?;
        if head.extensions.get::<OnUpgrade>().is_none() {
            return Err(Rejection::NotUpgradable);
        }
        Ok(Self { upgrade, head, config: Config::default(), protocol: None })
    }
}

/// What a request is read from.
fn head(parts: &Parts) -> Parts {
    let (mut head, ()) = Request::new(()).into_parts();
    (head.method, head.uri, head.version) = (parts.method.clone(), parts.uri.clone(), parts.version);
    head.headers = parts.headers.clone();
    if let Some(pending) = parts.extensions.get::<OnUpgrade>() {
        head.extensions.insert(pending.clone());
    }
    #[cfg(feature = "http2")]
    if let Some(protocol) = parts.extensions.get::<hyper::ext::Protocol>() {
        head.extensions.insert(protocol.clone());
    }
    head
}

impl fmt::Debug for WebSocketUpgrade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocketUpgrade").field("request", self.request()).finish_non_exhaustive()
    }
}

/// Why a request was refused before the handler was called. As an answer it has the status of that, and says it in a line
/// of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rejection {
    /// It does not ask for a WebSocket, or not as it must (RFC 6455 §4.2.1, RFC 8441 §5).
    Request(UpgradeError),
    /// The server's fault: the connection is not one of hyper's that can be upgraded. 500.
    NotUpgradable,
}

impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        match self {
            Self::Request(error) => refusal(error).map(Body::from),
            Self::NotUpgradable => {
                let mut response = Response::new(Body::from(NOT_UPGRADABLE));
                *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                response
            }
        }
    }
}

const NOT_UPGRADABLE: &str = "this connection cannot be upgraded";

impl From<UpgradeError> for Rejection {
    fn from(error: UpgradeError) -> Self {
        Self::Request(error)
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request(error) => error.fmt(f),
            Self::NotUpgradable => f.write_str(NOT_UPGRADABLE),
        }
    }
}

impl StdError for Rejection {}
