//! The caller's errors and those of the handshake name the values that are wrong. An error that adds words to another
//! has it as its source; one that only wraps another is shown as that one.

use std::error::Error;

use sansock::SendError;

/// The text of an error, and of its source.
fn says(error: &dyn Error, text: &str, source: Option<&str>) {
    assert_eq!(error.to_string(), text);
    assert_eq!(error.source().map(ToString::to_string).as_deref(), source);
}

#[test]
fn a_refused_send_names_the_length_and_its_limit() {
    let closed = "the connection is closing or closed";
    says(&SendError::Closed, closed, None);
    let control = "the payload of a control frame is 126 bytes long: at most 125 are possible";
    says(&SendError::ControlTooLong(126), control, None);
    let reason = "the reason of a Close is 124 bytes long: at most 123 are possible";
    says(&SendError::ReasonTooLong(124), reason, None);
    let frame = "the payload of a frame is 9223372036854775808 bytes long: at most 2^63 - 1 are possible";
    says(&SendError::FrameTooLong(1 << 63), frame, None);
    let open = "a fragmented message is open: finish it first, with the same kind";
    says(&SendError::MessageOpen, open, None);
    let mask = "a client must mask each frame with a new key: send the message itself";
    says(&SendError::MustMask, mask, None);
}

#[cfg(feature = "handshake")]
mod handshake {
    use sansock::{
        HandshakeError, HeadError, Malformed, Refused, UpgradeError,
        handshake::{FieldError, RequestError, ResponseError, Uri, UriError},
    };

    use super::says;

    #[test]
    fn a_head_that_exceeds_a_limit_names_the_limit_and_the_setting() {
        for (error, text, status) in [
            (HeadError::Malformed(Malformed::BareLf), "LF without CR", 400),
            (HeadError::Version, "only HTTP/1.1 is supported", 505),
            (
                HeadError::StartLineTooLong { max: 80 },
                "request line or status line too long: at most 80 bytes are allowed (`Config::max_line_len`)",
                414,
            ),
            (
                HeadError::FieldTooLong { max: 80 },
                "header field too long: at most 80 bytes are allowed (`Config::max_line_len`)",
                431,
            ),
            (
                HeadError::TooLong { max: 90 },
                "header section too long: at most 90 bytes are allowed (`Config::max_head_len`)",
                431,
            ),
            (
                HeadError::TooManyFields { max: 9 },
                "too many header fields: at most 9 are allowed (`Config::max_headers`)",
                431,
            ),
        ] {
            says(&error, text, None);
            says(&HandshakeError::Head(error), text, None);
            assert_eq!((error.status(), HandshakeError::Head(error).status()), (status, Some(status)));
        }
    }

    #[test]
    fn a_failed_handshake_names_what_the_peer_chose() {
        for (error, text) in [
            (HandshakeError::TransferEncoding, "Transfer-Encoding is not supported"),
            (HandshakeError::Timeout, "handshake timeout"),
            (HandshakeError::ConnectionLost, "connection lost in the handshake"),
            (HandshakeError::TooManyInterim { max: 8 }, "too many interim answers: at most 8 are read"),
            (HandshakeError::Upgrade, "the answer's Upgrade is not websocket"),
            (HandshakeError::Connection, "the answer's Connection lacks upgrade"),
            (HandshakeError::Accept, "the answer's Sec-WebSocket-Accept is missing or wrong"),
            (
                HandshakeError::Extension(Some("foo; a".into())),
                "the answer has an extension that was not offered: \"foo; a\"",
            ),
            (HandshakeError::Extension(None), "the answer has an extension that was not offered"),
            (HandshakeError::Subprotocol(Some("b".into())), "the answer has a subprotocol that was not offered: \"b\""),
            (HandshakeError::Subprotocol(None), "the answer has a subprotocol that was not offered"),
        ] {
            says(&error, text, None);
        }
    }

    #[cfg(feature = "deflate")]
    #[test]
    fn a_wrong_agreement_on_compression_has_its_reason_as_source() {
        let declined = sansock::deflate::Declined::Unknown;
        let text = format!("the answer does not fit the offer of permessage-deflate: {declined}");
        says(&HandshakeError::Deflate(declined), &text, Some(&declined.to_string()));
    }

    #[test]
    fn a_malformed_field_is_named_but_not_its_value() {
        for (error, text) in [
            (FieldError::Name("a b".into()), "\"a b\" is not a valid header field name"),
            (FieldError::Value("Cookie".into()), "the value of the header field \"Cookie\" has a control character"),
            (FieldError::Managed("host"), "the handshake writes the header field \"host\" itself: leave it out"),
            (
                FieldError::ConnectionSpecific("upgrade".into()),
                "HTTP/2 and HTTP/3 do not have the header field \"upgrade\": leave it out",
            ),
        ] {
            says(&error, text, None);
            says(&RequestError::from(error.clone()), text, None);
            says(&ResponseError::from(error.clone()), text, None);
            says(&Refused::from(ResponseError::from(error)), text, None);
        }
    }

    #[test]
    fn a_malformed_request_or_response_names_its_part() {
        for (error, text) in [
            (RequestError::Method("G T".into()), "\"G T\" is not a valid method"),
            (RequestError::Host("a b".into()), "\"a b\" is not a valid host with an optional port"),
            (
                RequestError::Target("chat\r\n".into()),
                "\"chat\\r\\n\" is not a valid request target: pass a path with an optional query, percent-encoded",
            ),
            (RequestError::Subprotocol("a".into()), "the subprotocol \"a\" is not a token, or appears twice"),
        ] {
            says(&error, text, None);
        }
        for (error, text) in [
            (ResponseError::Answered, "the request is answered already"),
            (
                ResponseError::Status(101),
                "101 is not a status for this answer: it is outside of 200 to 599, or has no body",
            ),
            (
                ResponseError::Subprotocol("x".into()),
                "the client did not offer the subprotocol \"x\": choose one of `Request::subprotocols`",
            ),
            (ResponseError::Stream, "a request on a stream of HTTP/2 or HTTP/3 is answered by `accept_parts`"),
        ] {
            says(&error, text, None);
            says(&Refused::Response(error), text, None);
        }
        let upgrade = "Sec-WebSocket-Version: 13 is required";
        says(&Refused::Request(UpgradeError::Version), upgrade, None);
        says(&Uri::parse("ws://h:0/").unwrap_err(), "the URI's port is no number from 1 to 65535", None);
        says(&UriError::Fragment, "a WebSocket URI has no fragment", None);
    }
}

#[cfg(feature = "route")]
mod route {
    use sansock::{
        HeadError,
        handshake::UriError,
        route::{
            proxy::{ProxyError, ProxyUriError, SocksReply},
            redirect::RedirectError,
        },
    };

    use super::says;

    #[test]
    fn the_error_of_a_redirect_or_a_proxy_has_the_one_below_it_as_source() {
        let host = "the URI's host is missing or malformed";
        let location = format!("a redirect's Location cannot be connected to: {host}");
        says(&RedirectError::Location(UriError::Host), &location, Some(host));
        says(&RedirectError::TooMany, "too many redirects", None);
        let authority = format!("the proxy's host or port is missing or malformed: {host}");
        says(&ProxyUriError::Authority(UriError::Host), &authority, Some(host));
        says(&ProxyUriError::Path, "a proxy's URI has no path, query or fragment", None);
        let version = HeadError::Version.to_string();
        says(&ProxyError::Head(HeadError::Version), &format!("the proxy's answer: {version}"), Some(&version));
        let failed = "the server refused the proxy's connection";
        says(&ProxyError::Reply(SocksReply::ConnectionRefused), failed, None);
        says(&ProxyError::Timeout, "the proxy did not answer in time", None);
    }
}
