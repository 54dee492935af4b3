//! What string literals say.

use super::{token::Token, tokens::Tokens};
use crate::quote::{quote, quote_bytes};

/// Reads a string literal with its quotes. `None` if it is none. The result need not be UTF-8: `"\xff"` is a byte.
fn unquote(literal: &str) -> Option<Vec<u8>> {
    let mut chars = literal.chars();
    let quote = chars.next()?;
    let body = chars.as_str().strip_suffix(quote)?;
    if quote == '`' {
        return (!body.contains('`')).then(|| body.as_bytes().to_vec());
    }
    if !matches!(quote, '"' | '\'') || body.contains('\n') {
        return None;
    }
    let mut out = Vec::with_capacity(body.len());
    let mut rest = body.chars();
    while let Some(c) = rest.next() {
        if c == quote {
            return None;
        }
        if c != '\\' {
            push(&mut out, c);
            continue;
        }
        let escaped = rest.next()?;
        let (digits, base) = match escaped {
            'x' => (2, 16),
            'u' => (4, 16),
            'U' => (8, 16),
            '0'..='7' => (3, 8),
            _ => {
                out.push(plain_escape(escaped, quote)?);
                continue;
            }
        };
        // The first octal digit was read.
        let mut code = if base == 8 { escaped.to_digit(8)? } else { 0 };
        for _ in u32::from(base == 8)..digits {
            code = code.wrapping_mul(base).wrapping_add(rest.next()?.to_digit(base)?);
        }
        match escaped {
            'u' | 'U' => push(&mut out, char::from_u32(code)?),
            // A byte, which need not be a character.
            _ => out.push(u8::try_from(code).ok()?),
        }
    }
    Some(out)
}

/// What a backslash and one character stand for.
fn plain_escape(c: char, quote: char) -> Option<u8> {
    Some(match c {
        'a' => 0x07,
        'b' => 0x08,
        'f' => 0x0c,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 0x0b,
        '\\' => b'\\',
        c if c == quote => u8::try_from(quote).ok()?,
        _ => return None,
    })
}

fn push(out: &mut Vec<u8>, c: char) {
    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

impl Tokens<'_> {
    /// What the string literal `token` says. It is the last token read.
    pub(super) fn string_bytes(&mut self, token: Token) -> Vec<u8> {
        let literal = self.text(token);
        unquote(literal).unwrap_or_else(|| {
            self.error(self.last_span(), format!("error unquoting string {}: invalid syntax", quote(literal)));
            Vec::new()
        })
    }

    /// What the string literal `token` says, if that is text. It is the last token read.
    pub(super) fn string(&mut self, token: Token) -> String {
        let bytes = self.string_bytes(token);
        String::from_utf8(bytes).unwrap_or_else(|e| {
            // Prometheus goes on with such strings, which no label can have.
            self.error(self.last_span(), format!("string is not valid UTF-8: {}", quote_bytes(e.as_bytes())));
            String::new()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_all_escapes() {
        let said = |literal| unquote(literal).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        assert_eq!(
            said(r#""\a\b\f\n\r\t\v\\\"\x41\101\u00e9\U0001F600""#).as_deref(),
            Some("\x07\x08\x0c\n\r\t\x0b\\\"AAé😀")
        );
        assert_eq!(said(r"'it\'s'").as_deref(), Some("it's"));
        assert_eq!(said(r"`raw\n`").as_deref(), Some(r"raw\n"));
        assert_eq!(unquote(r#""\xff""#), Some(vec![0xff]));
        assert_eq!(unquote(r#""\xc3\xa9""#), Some("é".as_bytes().to_vec()));
        for literal in [r#""\'""#, r#""a"#, r#"""""#, r#""\q""#, r#""\ud800""#, r#""\400""#, "x", "", "\""] {
            assert_eq!(unquote(literal), None, "{literal}");
        }
    }
}
