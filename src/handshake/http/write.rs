//! Writing heads: what a caller may put into one, and the answers that refuse (RFC 9110 §15).

use bytes::BytesMut;

use super::error::FieldError;
use crate::grammar::is_token;

/// A header field as callers pass it.
pub(crate) type Field<'a> = (&'a str, &'a [u8]);

/// Refuses a field that would break the head that it is written to, or that the handshake writes itself. So no caller
/// can be made to smuggle a line into a head.
pub(crate) fn check_fields(fields: &[Field<'_>], managed: &[&'static str]) -> Result<(), FieldError> {
    for (name, value) in fields {
        if !is_token(name.as_bytes()) {
            return Err(FieldError::Name((*name).into()));
        }
        if let Some(own) = managed.iter().find(|own| own.eq_ignore_ascii_case(name)) {
            return Err(FieldError::Managed(own));
        }
        check_value(name, value)?;
    }
    Ok(())
}

/// §5.5 of RFC 9110: no control character other than the tab.
pub(crate) fn check_value(name: &str, value: &[u8]) -> Result<(), FieldError> {
    let is_bad = |&byte: &u8| byte.is_ascii_control() && byte != b'\t';
    if value.iter().any(is_bad) { Err(FieldError::Value(name.into())) } else { Ok(()) }
}

pub(crate) fn field(out: &mut BytesMut, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// An answer that ends the connection, with its body. `head_only` leaves the body out, as the answer to HEAD does.
pub(crate) fn answer<'a>(
    out: &mut BytesMut,
    status: u16,
    fields: &(impl Iterator<Item = Field<'a>> + Clone),
    body: &[u8],
    head_only: bool,
) {
    out.reserve(256 + body.len());
    out.extend_from_slice(b"HTTP/1.1 ");
    decimal(out, status.into());
    out.extend_from_slice(b" ");
    out.extend_from_slice(reason_phrase(status).as_bytes());
    out.extend_from_slice(b"\r\n");
    for (name, value) in fields.clone() {
        field(out, name, value);
    }
    // R10, RFC 9110 §7.8: "A sender of Upgrade MUST also send an 'Upgrade' connection option in the Connection header
    // field"
    let upgrade = fields.clone().any(|(name, _)| name.eq_ignore_ascii_case("upgrade"));
    field(out, "Connection", if upgrade { b"Upgrade, close" } else { b"close" });
    // R32, RFC 9110 §8.6: "A server MUST NOT send a Content-Length header field in any response with a status code of
    // 1xx (Informational) or 204 (No Content)." With 304 it would be that of another answer.
    if !matches!(status, 204 | 304) {
        out.extend_from_slice(b"Content-Length: ");
        decimal(out, body.len() as u64);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
    if !head_only {
        out.extend_from_slice(body);
    }
}

/// The answer to what is refused: its status, and a line that says why.
pub(crate) fn refusal(out: &mut BytesMut, status: u16, fields: &[Field<'_>], reason: &str, head_only: bool) {
    let fields = fields.iter().copied().chain([("Content-Type", &b"text/plain"[..])]);
    answer(out, status, &fields, reason.as_bytes(), head_only);
}

fn decimal(out: &mut BytesMut, mut value: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            return out.extend_from_slice(&digits[at..]);
        }
    }
}

/// The registered phrase (RFC 9110 §15); empty for a status without one, which is valid (RFC 9112 §4).
fn reason_phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_its_length_and_closes() {
        let written = |status, fields: &[Field<'_>], body: &[u8], head_only| {
            let mut out = BytesMut::new();
            answer(&mut out, status, &fields.iter().copied(), body, head_only);
            out
        };
        assert_eq!(
            written(200, &[("A", b"b\xe9")], b"hello", false),
            &b"HTTP/1.1 200 OK\r\nA: b\xe9\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello"[..]
        );
        assert_eq!(
            written(299, &[], &[b'x'; 1234], true),
            &b"HTTP/1.1 299 \r\nConnection: close\r\nContent-Length: 1234\r\n\r\n"[..]
        );
        assert_eq!(written(204, &[], b"", false), &b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"[..]);
        assert_eq!(
            written(426, &[("UPGRADE", b"x")], b"", false),
            &b"HTTP/1.1 426 Upgrade Required\r\nUPGRADE: x\r\nConnection: Upgrade, close\r\nContent-Length: 0\r\n\r\n"
                [..]
        );
    }
}
