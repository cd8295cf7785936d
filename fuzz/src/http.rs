//! A second reader of HTTP/1.1 heads and opening handshakes, from RFC 9112, RFC 9110 and RFC 6455 §4: the complete head
//! is taken apart again and again, rule by rule.

/// A well-formed head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The start line.
    pub start: Vec<u8>,
    /// Names in lower case, and values without white space around them.
    pub fields: Vec<(String, Vec<u8>)>,
    /// Its length in the stream, with empty lines before it and the one that ends it.
    pub len: usize,
}

/// What stands at the front of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Front {
    Head(Head),
    /// No blank line came yet: nobody can accept it.
    Incomplete,
    Malformed,
}

/// How much a head may have.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub head: usize,
    pub line: usize,
    pub fields: usize,
}

/// The head at the front of `stream`. Before a request there may be empty lines.
pub fn head(stream: &[u8], is_request: bool, limits: Limits) -> Front {
    let mut skipped = 0;
    while is_request && stream[skipped..].starts_with(b"\r\n") {
        skipped += 2;
    }
    let Some(end) = stream[skipped..].windows(4).position(|four| four == b"\r\n\r\n") else { return Front::Incomplete };
    let len = skipped + end + 4;
    let text = &stream[skipped..skipped + end];
    let mut lines = split(text, b"\r\n").into_iter();
    let start = lines.next().expect("at least one line").to_vec();
    let mut fields = Vec::new();
    for line in lines.clone() {
        let Some(colon) = line.iter().position(|&byte| byte == b':') else { return Front::Malformed };
        let (name, value) = (&line[..colon], trim(&line[colon + 1..]));
        if !is_token(name) || !value.iter().all(|&byte| is_text(byte)) {
            return Front::Malformed;
        }
        fields.push((String::from_utf8_lossy(name).to_ascii_lowercase(), value.to_vec()));
    }
    let well_formed = if is_request { request_line(&start).is_some() } else { status_line(&start).is_some() };
    let within = len <= limits.head
        && start.len() <= limits.line
        && lines.clone().all(|line| line.len() <= limits.line)
        && fields.len() <= limits.fields;
    if well_formed && within { Front::Head(Head { start, fields, len }) } else { Front::Malformed }
}

/// Whether a complete line of an incomplete head is one that no head has.
pub fn is_hopeless(mut stream: &[u8], is_request: bool) -> bool {
    while is_request && let Some(rest) = stream.strip_prefix(b"\r\n") {
        stream = rest;
    }
    let mut lines = split(stream, b"\r\n");
    lines.pop();
    let mut lines = lines.into_iter();
    let is_start = |line: &[u8]| if is_request { request_line(line).is_some() } else { status_line(line).is_some() };
    let is_field = |line: &[u8]| {
        let colon = line.iter().position(|&byte| byte == b':');
        colon.is_some_and(|colon| is_token(&line[..colon]) && line[colon..].iter().all(|&byte| is_text(byte)))
    };
    lines.next().is_some_and(|line| !is_start(line)) || lines.any(|line| !is_field(line))
}

/// Method and target of a request of HTTP/1.1.
pub fn request_line(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let [method, target, b"HTTP/1.1"] = split(line, b" ")[..] else { return None };
    let visible = !target.is_empty() && target.iter().all(|byte| (33..=126).contains(byte));
    (is_token(method) && visible).then_some((method, target))
}

/// The minor version and the status.
pub fn status_line(line: &[u8]) -> Option<(u8, u16)> {
    let rest = line.strip_prefix(b"HTTP/1.")?;
    let [minor @ (b'0' | b'1'), b' ', a @ b'1'..=b'5', b @ b'0'..=b'9', c @ b'0'..=b'9', reason @ ..] = rest else {
        return None;
    };
    let valid = reason.iter().all(|&byte| is_text(byte));
    let digit = |byte: u8| u16::from(byte - b'0');
    let status = digit(*a) * 100 + digit(*b) * 10 + digit(*c);
    (valid && (reason.is_empty() || reason[0] == b' ')).then_some((minor - b'0', status))
}

impl Head {
    /// The values of the fields of this name.
    pub fn all(&self, name: &str) -> Vec<&[u8]> {
        self.fields.iter().filter(|field| field.0 == name).map(|field| &field.1[..]).collect()
    }

    /// The value of a field that is there exactly once.
    pub fn once(&self, name: &str) -> Option<&[u8]> {
        if let [value] = self.all(name)[..] { Some(value) } else { None }
    }

    /// Whether the lists of this name are of tokens, and have this one.
    fn lists(&self, name: &str, wanted: &str, with_versions: bool) -> bool {
        let elements: Vec<_> = self.all(name).into_iter().flat_map(elements).collect();
        let valid = |element: &&[u8]| match split(element, b"/")[..] {
            [token] => is_token(token),
            [token, version] => with_versions && is_token(token) && is_token(version),
            _ => false,
        };
        elements.iter().all(valid) && elements.iter().any(|element| element.eq_ignore_ascii_case(wanted.as_bytes()))
    }

    /// Whether a request is an opening handshake (RFC 6455 §4.2.1), whatever its Origin.
    pub fn asks_for_websocket(&self) -> bool {
        let Some((method, target)) = request_line(&self.start) else { return false };
        method == b"GET"
            && (target[0] == b'/' || is_absolute(target))
            && !target.contains(&b'#')
            && self.once("host").is_some_and(is_authority)
            && self.all("transfer-encoding").is_empty()
            && self.all("content-length").iter().all(|digits| digits.iter().all(|&digit| digit == b'0'))
            && self.lists("upgrade", "websocket", true)
            && self.lists("connection", "upgrade", false)
            && self.once("sec-websocket-key").is_some_and(is_key)
            && self.once("sec-websocket-version") == Some(b"13")
            && self.subprotocols().is_some()
            && self.extensions_are_valid()
    }

    /// Whether nothing about a request is valid but unusual, so that to refuse it would be a matter of taste.
    pub fn is_plain(&self) -> bool {
        let plain_host = |host: &[u8]| host.iter().all(|&byte| byte.is_ascii_alphabetic() || byte == b'.');
        request_line(&self.start).is_some_and(|(_, target)| target[0] == b'/')
            && self.once("host").is_some_and(plain_host)
            && self.all("content-length").is_empty()
            && self.all("origin").is_empty()
    }

    /// The subprotocols that are offered; `None` when the lists break §4.1, item 10.
    pub fn subprotocols(&self) -> Option<Vec<&[u8]>> {
        let lists = self.all("sec-websocket-protocol");
        let names: Vec<_> = lists.iter().flat_map(|list| elements(list)).collect();
        let valid = names.iter().all(|name| is_token(name))
            && (0..names.len()).all(|i| !names[..i].contains(&names[i]))
            && lists.is_empty() == names.is_empty();
        valid.then_some(names)
    }

    /// §9.1: extension-list = 1#extension.
    fn extensions_are_valid(&self) -> bool {
        let lists = self.all("sec-websocket-extensions");
        let counts: Option<usize> = lists.iter().map(|list| extensions(list)).sum();
        counts.is_some_and(|count| lists.is_empty() || count > 0)
    }

    /// Whether an answer with status 101 opens the connection that was asked for (§4.1), without an extension.
    pub fn opens_websocket(&self, accept: &str, offered: &[&str]) -> bool {
        status_line(&self.start) == Some((1, 101))
            && self.once("upgrade").is_some_and(|value| value.eq_ignore_ascii_case(b"websocket"))
            && self.lists("connection", "upgrade", false)
            && self.once("sec-websocket-accept") == Some(accept.as_bytes())
            && self.all("sec-websocket-extensions").is_empty()
            && match self.all("sec-websocket-protocol")[..] {
                [] => true,
                [chosen] => offered.iter().any(|offer| offer.as_bytes() == chosen),
                _ => false,
            }
    }
}

/// The number of extensions in a list: words and separators first, then the grammar.
fn extensions(list: &[u8]) -> Option<usize> {
    let mut words: Vec<String> = Vec::new();
    let mut bytes = list.iter().copied().peekable();
    // Whether white space or a separator keeps the next byte from being part of the last word.
    let mut apart = true;
    while let Some(byte) = bytes.next() {
        match byte {
            b' ' | b'\t' => apart = true,
            b',' | b';' | b'=' => {
                words.push(char::from(byte).into());
                apart = true;
            }
            b'"' => {
                let mut value = String::from("\"");
                loop {
                    match bytes.next()? {
                        b'"' => break,
                        b'\\' => value.push(bytes.next()?.into()),
                        byte => value.push(byte.into()),
                    }
                }
                // "the value after quoted-string unescaping MUST conform to the 'token' ABNF"
                if !is_token(&value.as_bytes()[1..]) || !apart {
                    return None;
                }
                words.push(value);
                apart = false;
            }
            _ if !is_token(&[byte]) => return None,
            _ if apart => {
                words.push(char::from(byte).into());
                apart = false;
            }
            _ => words.last_mut().filter(|word| !word.starts_with('"'))?.push(byte.into()),
        }
    }
    let name = |word: &String| is_token(word.as_bytes());
    let value = |word: &String| name(word) || word.starts_with('"');
    let mut count = 0;
    for extension in words.split(|word| word == ",").filter(|extension| !extension.is_empty()) {
        let mut parts = extension.split(|word| word == ";");
        let valid = matches!(parts.next(), Some([one]) if name(one))
            && parts.all(|param| match param {
                [one] => name(one),
                [one, equals, two] => name(one) && equals == "=" && value(two),
                _ => false,
            });
        if !valid {
            return None;
        }
        count += 1;
    }
    Some(count)
}

/// RFC 3986 §3.2 without userinfo: a name or an address, and perhaps a port.
fn is_authority(text: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(text) else { return false };
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((address, port)) if address.parse::<std::net::Ipv6Addr>().is_ok() => ("address", port),
            _ => return false,
        },
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let port_is_valid = port.is_empty() || port.starts_with(':') && port[1..].bytes().all(|byte| byte.is_ascii_digit());
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+;=%".contains(&byte);
    !host.is_empty() && host.bytes().all(known) && port_is_valid
}

fn is_absolute(target: &[u8]) -> bool {
    let Some(at) = target.windows(3).position(|three| three == b"://") else { return false };
    let authority = target[at + 3..].split(|byte| b"/?#".contains(byte)).next().unwrap_or_default();
    let scheme = target[..at].to_ascii_lowercase();
    [&b"ws"[..], b"wss", b"http", b"https"].contains(&&scheme[..]) && is_authority(authority)
}

/// §4.2.1, item 5: 16 bytes in base64, and in its canonical form.
fn is_key(key: &[u8]) -> bool {
    unbase64(key).is_some_and(|bytes| bytes.len() == 16 && base64(&bytes).as_bytes() == key)
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// RFC 4648 §4.
pub fn base64(bytes: &[u8]) -> String {
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let bits = three.iter().fold(0_u32, |bits, &byte| bits << 8 | u32::from(byte)) << (8 * (3 - three.len()));
        for i in 0..4 {
            let six = (bits >> (18 - 6 * i)) as usize & 63;
            text.push(if i <= three.len() { char::from(BASE64[six]) } else { '=' });
        }
    }
    text
}

fn unbase64(text: &[u8]) -> Option<Vec<u8>> {
    let digits = text.strip_suffix(b"==").or(text.strip_suffix(b"=")).unwrap_or(text);
    let mut bits = Vec::new();
    for digit in digits {
        let six = BASE64.iter().position(|known| known == digit)?;
        bits.extend((0..6).rev().map(|i| six >> i & 1));
    }
    Some(bits.chunks_exact(8).map(|eight| eight.iter().fold(0, |byte, &bit| byte << 1 | bit as u8)).collect())
}

/// RFC 9110 §5.6.2.
pub fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}

/// A tab, a space, a visible character, or obs-text.
fn is_text(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 127)
}

/// The elements of a comma-separated list, but for empty ones (RFC 9110 §5.6.1.2).
fn elements(list: &[u8]) -> Vec<&[u8]> {
    split(list, b",").into_iter().map(trim).filter(|element| !element.is_empty()).collect()
}

fn trim(text: &[u8]) -> &[u8] {
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = text.iter().position(|byte| !is_space(byte)).unwrap_or(text.len());
    let end = text.iter().rposition(|byte| !is_space(byte)).map_or(start, |last| last + 1);
    &text[start..end]
}

fn split<'a>(mut text: &'a [u8], separator: &[u8]) -> Vec<&'a [u8]> {
    let mut parts = Vec::new();
    while let Some(at) = text.windows(separator.len()).position(|window| window == separator) {
        parts.push(&text[..at]);
        text = &text[at + separator.len()..];
    }
    parts.push(text);
    parts
}
