//! The values of the header fields of a handshake: subprotocols (RFC 6455 §11.3.4) and extensions (§9.1). One pass over
//! the bytes each, and no allocation that a peer can make grow.

use alloc::{borrow::Cow, vec::Vec};

use super::http::head::Fields;
use crate::grammar::{Invalid, elements, is_token, is_token_byte, token, trim};

/// Whether lists of subprotocols are, together, at least one token and no token twice (§4.1, tenth item).
pub(crate) fn check_subprotocols<'a>(values: impl Iterator<Item = &'a [u8]> + Clone) -> Result<(), Invalid> {
    // R14, §4.1: "The elements that comprise this value MUST be non-empty strings with characters in the range U+0021
    // to U+007E not including separator characters … and MUST all be unique strings."
    let all = values.flat_map(elements);
    let mut count = 0;
    for element in all.clone() {
        if !is_token(element) {
            return Err(Invalid);
        }
        count += 1;
    }
    match count {
        0 => Err(Invalid),
        1 => Ok(()),
        2..=8 => {
            let twice = all.clone().enumerate().any(|(i, one)| all.clone().skip(i + 1).any(|other| one == other));
            if twice { Err(Invalid) } else { Ok(()) }
        }
        _ => {
            let mut sorted = Vec::with_capacity(count);
            sorted.extend(all);
            sorted.sort_unstable();
            if sorted.is_sorted_by(|one, next| one < next) { Ok(()) } else { Err(Invalid) }
        }
    }
}

/// The subprotocols that a client offers, in its order of preference.
#[derive(Clone, Debug)]
pub struct Subprotocols<'a> {
    fields: Fields<'a>,
    rest: &'a [u8],
}

impl<'a> Subprotocols<'a> {
    pub(crate) fn new(fields: Fields<'a>) -> Self {
        Self { fields, rest: &[] }
    }
}

impl<'a> Iterator for Subprotocols<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        loop {
            while !self.rest.is_empty() {
                let end = self.rest.iter().position(|&byte| byte == b',');
                let element = &self.rest[..end.unwrap_or(self.rest.len())];
                self.rest = end.map_or(&[], |end| &self.rest[end + 1..]);
                if let Some(name) = token(trim(element)) {
                    return Some(name);
                }
            }
            self.rest = self.fields.find(|field| field.0.eq_ignore_ascii_case("sec-websocket-protocol"))?.1;
        }
    }
}

/// The extensions that a peer lists, in its order of preference; several fields are one list.
// R16, §11.3.2: "MAY appear multiple times in an HTTP request (which is logically the same as a single
// |Sec-WebSocket-Extensions| header field that contains all values."
#[derive(Clone, Debug)]
pub struct Extensions<'a> {
    fields: Fields<'a>,
    rest: Cursor<'a>,
}

/// One extension of the list, with its parameters (§9.1).
#[derive(Clone, Debug)]
pub struct Extension<'a> {
    /// Its name, such as `permessage-deflate`.
    pub name: &'a str,
    params: Cursor<'a>,
}

/// The same before it is text.
type RawParam<'a> = (&'a [u8], Option<Cow<'a, [u8]>>);

/// The name of a parameter, and its value if it has one.
type Param<'a> = (&'a str, Option<Cow<'a, str>>);

/// The parameters of an extension, in order: a name, and a value if it has one. A quoted value comes without its
/// quotes.
#[derive(Clone, Debug)]
pub struct Params<'a>(Cursor<'a>);

impl<'a> Extensions<'a> {
    pub(crate) fn new(fields: Fields<'a>) -> Self {
        Self { fields, rest: Cursor(&[]) }
    }
}

impl<'a> Extension<'a> {
    /// Its parameters.
    #[must_use]
    pub fn params(&self) -> Params<'a> {
        Params(self.params.clone())
    }
}

/// The only extension of a field value; of a list that is malformed, or has none or several, there is none.
#[cfg(feature = "deflate")]
pub(crate) fn sole_extension(value: &[u8]) -> Option<Extension<'_>> {
    let mut rest = Cursor(value);
    let (name, params) = rest.extension().ok()??;
    if rest.extension().ok()?.is_some() { None } else { Some(Extension { name: text(name), params }) }
}

/// Whether one field value is a list of extensions, if only with empty elements; how many it has.
pub(crate) fn check_extensions(value: &[u8]) -> Result<usize, Invalid> {
    let mut rest = Cursor(value);
    let mut count = 0;
    while rest.extension()?.is_some() {
        count += 1;
    }
    Ok(count)
}

impl<'a> Iterator for Extensions<'a> {
    type Item = Extension<'a>;

    fn next(&mut self) -> Option<Extension<'a>> {
        loop {
            // Of a malformed list, which is refused, the rest is nobody's.
            if let Ok(Some((name, params))) = self.rest.extension() {
                return Some(Extension { name: text(name), params });
            }
            let field = self.fields.find(|field| field.0.eq_ignore_ascii_case("sec-websocket-extensions"))?;
            self.rest = Cursor(field.1);
        }
    }
}

impl<'a> Iterator for Params<'a> {
    type Item = Param<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let (name, value) = self.0.param().ok().flatten()?;
        let value = value.map(|value| match value {
            Cow::Borrowed(value) => Cow::Borrowed(text(value)),
            Cow::Owned(value) => Cow::Owned(text(&value).into()),
        });
        Some((text(name), value))
    }
}

/// A token as text, which it always is.
fn text(token: &[u8]) -> &str {
    core::str::from_utf8(token).unwrap_or_default()
}

/// What is left of a field value.
#[derive(Clone, Debug)]
struct Cursor<'a>(&'a [u8]);

/// extension = token *( ";" param ), param = token [ "=" ( token / quoted-string ) ]; white space may stand between.
impl<'a> Cursor<'a> {
    /// The next extension of the list; its parameters are checked.
    fn extension(&mut self) -> Result<Option<(&'a [u8], Self)>, Invalid> {
        while self.take(b',') {}
        if self.0.is_empty() {
            return Ok(None);
        }
        let name = self.token()?;
        let params = self.clone();
        while self.param()?.is_some() {}
        if !self.0.is_empty() && !self.take(b',') {
            return Err(Invalid);
        }
        Ok(Some((name, params)))
    }

    /// The next parameter of an extension.
    fn param(&mut self) -> Result<Option<RawParam<'a>>, Invalid> {
        if !self.take(b';') {
            return Ok(None);
        }
        let name = self.token()?;
        let value = if self.take(b'=') { Some(self.value()?) } else { None };
        Ok(Some((name, value)))
    }

    fn token(&mut self) -> Result<&'a [u8], Invalid> {
        self.skip_space();
        let len = self.0.iter().position(|&byte| !is_token_byte(byte)).unwrap_or(self.0.len());
        let (name, rest) = self.0.split_at(len);
        self.0 = rest;
        self.skip_space();
        if name.is_empty() { Err(Invalid) } else { Ok(name) }
    }

    /// A token, or a quoted string that is one once it is unquoted.
    fn value(&mut self) -> Result<Cow<'a, [u8]>, Invalid> {
        self.skip_space();
        // R17, §9.1: "When using the quoted-string syntax variant, the value after quoted-string unescaping MUST
        // conform to the 'token' ABNF."
        let [b'"', quoted @ ..] = self.0 else { return self.token().map(Cow::Borrowed) };
        let mut unescaped = Vec::new();
        let mut at = 0;
        loop {
            match quoted.get(at).ok_or(Invalid)? {
                b'"' => break,
                b'\\' => {
                    let escaped = *quoted.get(at + 1).ok_or(Invalid)?;
                    if unescaped.is_empty() {
                        unescaped.extend_from_slice(&quoted[..at]);
                    }
                    if !is_token_byte(escaped) {
                        return Err(Invalid);
                    }
                    unescaped.push(escaped);
                    at += 2;
                }
                &byte if is_token_byte(byte) => {
                    if !unescaped.is_empty() {
                        unescaped.push(byte);
                    }
                    at += 1;
                }
                _ => return Err(Invalid),
            }
        }
        self.0 = &quoted[at + 1..];
        self.skip_space();
        match (unescaped.is_empty(), at) {
            (true, 0) => Err(Invalid),
            (true, _) => Ok(Cow::Borrowed(&quoted[..at])),
            (false, _) => Ok(unescaped.into()),
        }
    }

    /// Goes over this byte and the space around it, if it comes next.
    fn take(&mut self, byte: u8) -> bool {
        self.skip_space();
        let [next, rest @ ..] = self.0 else { return false };
        if *next != byte {
            return false;
        }
        self.0 = rest;
        self.skip_space();
        true
    }

    fn skip_space(&mut self) {
        while let [b' ' | b'\t', rest @ ..] = self.0 {
            self.0 = rest;
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::{format, string::String, vec};

    use super::*;

    /// All extensions of a value, as `name;param=value`.
    fn parse(value: &str) -> Result<Vec<String>, Invalid> {
        let mut rest = Cursor(value.as_bytes());
        let mut all = vec![];
        while let Some((name, params)) = rest.extension()? {
            let mut one = String::from(text(name));
            for (name, value) in Params(params) {
                one += &value.map_or(format!(";{name}"), |value| format!(";{name}={value}"));
            }
            all.push(one);
        }
        assert_eq!(check_extensions(value.as_bytes()), Ok(all.len()));
        Ok(all)
    }

    /// R17: parameters are tokens with or without a value, which may be quoted; white space is free.
    #[test]
    fn r17_parameters_may_be_quoted_and_spaced() {
        assert_eq!(parse("foo").unwrap(), ["foo"]);
        assert_eq!(parse("foo; bar=1, baz").unwrap(), ["foo;bar=1", "baz"]);
        assert_eq!(parse("\t foo\t;  bar\t= 1 ;x ,\t,,baz ;\ty , ").unwrap(), ["foo;bar=1;x", "baz;y"]);
        assert_eq!(parse(r#"a;b="12""#).unwrap(), ["a;b=12"]);
        assert_eq!(parse(r#"a;b="1\2""#).unwrap(), ["a;b=12"]);
        assert_eq!(parse(r#"a;b="\1\2" , c"#).unwrap(), ["a;b=12", "c"]);
        assert_eq!(parse("").unwrap(), [""; 0]);
        for malformed in [r#"a;b="""#, r#"a;b="a b""#, r#"a;b="1,2""#, r#"a;b="\"""#, r#"a;b="1"2"#] {
            assert_eq!(parse(malformed), Err(Invalid), "{malformed}");
        }
    }

    /// R18: what breaks the grammar is refused.
    #[test]
    fn r18_a_list_of_extensions_that_breaks_the_grammar_is_refused() {
        for malformed in [
            ";",
            "a;;b",
            "a=",
            "=a",
            "a=b",
            "a;",
            "a;=b",
            "a;b=",
            "a;b=,c",
            "a b",
            "a;b c",
            "a;b=c d",
            "a,;",
            "a;b==c",
            "\"a\"",
            "a;\"b\"",
            "a/b",
            "a;b=c/d",
            "a;b=\"",
            "a;b=\"c",
            "a;b=\"c\\",
            "a; b=\"\\c\\c",
            "a;b='c d'",
            "a, b;",
            "\u{e9}",
        ] {
            assert_eq!(parse(malformed), Err(Invalid), "{malformed}");
        }
    }

    /// R14: the number of names makes no difference.
    #[test]
    fn r14_subprotocols_are_different_tokens_however_many() {
        for count in [1, 2, 8, 9, 30] {
            let list = (0..count).map(|i| format!("p{i}")).collect::<Vec<_>>().join(", ");
            assert_eq!(check_subprotocols([list.as_bytes()].into_iter()), Ok(()));
            assert_eq!(check_subprotocols([list.as_bytes(), b"q"].into_iter()), Ok(()));
            assert_eq!(check_subprotocols([list.as_bytes(), b"p0"].into_iter()), Err(Invalid));
            assert_eq!(check_subprotocols([list.as_bytes(), b"a b"].into_iter()), Err(Invalid));
        }
        assert_eq!(check_subprotocols([&b", ,"[..]].into_iter()), Err(Invalid));
    }

    /// I4: many names are not compared in pairs. Counted are the names that it looks at, in one value each.
    #[test]
    fn i4_subprotocols_are_looked_at_a_bounded_number_of_times_each() {
        for count in [2, 8, 9, 1000, 10_000] {
            let names: Vec<String> = (0..count).map(|i| format!("p{i}")).collect();
            let looks = core::cell::Cell::new(0);
            let values = names.iter().map(|name| {
                looks.set(looks.get() + 1);
                name.as_bytes()
            });
            assert_eq!(check_subprotocols(values), Ok(()));
            assert!(looks.get() <= 16 * count, "{} looks at {count} names", looks.get());
        }
    }
}
