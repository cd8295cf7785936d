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
use http::{StatusCode, request::Parts};
use hyper::upgrade::OnUpgrade;
pub use sansock;
pub use sansock::adapter::{
    Error,
    hyper::{Upgrade, WebSocket},
};
use sansock::{Config, OriginPolicy, UpgradeError, adapter::http::refusal, server};

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
    protocol: Option<Cow<'static, str>>,
}

impl WebSocketUpgrade {
    /// Configures the connection, and which web pages may connect ([`Config::origin`]); [`Config::default`] if this is
    /// not called.
    pub fn config(mut self, config: &Config) -> Self {
        self.upgrade = self.upgrade.with_config(config);
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

    /// Accepts the request, and runs `callback` with the WebSocket in a task of its own. It is not called when the
    /// client is gone before that.
    ///
    /// The answer is for the handler to return. It is a 403 if the Origin is not allowed.
    pub fn on_upgrade<C, F>(self, callback: C) -> Response
    where
        C: FnOnce(WebSocket) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let answer = self.upgrade.accept(&server::Response::new().subprotocol(self.protocol.as_deref()));
        let answer = answer.map(|(answer, websocket)| {
            tokio::spawn(async {
                if let Ok(websocket) = websocket.await {
                    callback(websocket).await;
                }
            });
            answer.map(|()| Body::empty())
        });
        answer.unwrap_or_else(|refused| refusal(refused).map(Body::from))
    }

    /// To answer by hand: with fields in the answer, for instance, or to learn why there is no WebSocket.
    #[must_use]
    pub fn into_upgrade(self) -> Upgrade {
        self.upgrade
    }
}

impl<S: Sync> FromRequestParts<S> for WebSocketUpgrade {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Rejection> {
        // The Origin is judged when the configuration is known.
        let lenient = Config::default().origin(OriginPolicy::any());
        let is_upgradable = parts.extensions.get::<OnUpgrade>().is_some();
        let upgrade = Upgrade::from_parts(parts, &lenient)?;
        upgrade.request().verdict()?;
        if !is_upgradable {
            return Err(Rejection::NotUpgradable);
        }
        Ok(Self { upgrade: upgrade.with_config(&Config::default()), protocol: None })
    }
}

impl fmt::Debug for WebSocketUpgrade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocketUpgrade").field("request", self.request()).finish_non_exhaustive()
    }
}

/// Why a request was refused before the handler was called. As an answer it has the status of that, and says it in a
/// line of text.
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
