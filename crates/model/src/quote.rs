//! Strings in quotes, as Go writes them.

use std::fmt::{self, Write};

use printable::PRINTABLE;

mod printable;

/// Whether Go prints `c` as it is, as `strconv.IsPrint` says.
#[must_use]
pub fn is_printable(c: char) -> bool {
    let c = u32::from(c);
    let after = PRINTABLE.partition_point(|&(first, _)| first <= c);
    after.checked_sub(1).and_then(|i| PRINTABLE.get(i)).is_some_and(|&(_, last)| c <= last)
}

/// `text` in double quotes, escaped as Go's `strconv.Quote` does it, by which Prometheus prints label values.
///
/// ```
/// assert_eq!(prometheus_model::quote("a\"\u{ad}é"), r#""a\"\u00adé""#);
/// ```
#[must_use]
pub fn quote(text: &str) -> String {
    quote_bytes(text.as_bytes())
}

/// `bytes` in double quotes, as [`quote`]; those that are not UTF-8 are written as numbers.
#[must_use]
pub fn quote_bytes(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().saturating_add(2));
    // A String takes all that is written.
    let _ = write_quoted(&mut out, bytes);
    out
}

/// `c` in single quotes, as Go's `strconv.QuoteRune`.
#[must_use]
pub fn quote_char(c: char) -> String {
    let mut out = String::from("'");
    let _ = write_escaped(&mut out, c, '\'');
    out.push('\'');
    out
}

pub(crate) fn write_quoted(out: &mut impl Write, bytes: &[u8]) -> fmt::Result {
    out.write_char('"')?;
    for chunk in bytes.utf8_chunks() {
        let mut rest = chunk.valid();
        while let Some(at) = rest.find(|c: char| matches!(c, '"' | '\\') || !matches!(c, ' '..='~')) {
            let (plain, after) = rest.split_at(at);
            out.write_str(plain)?;
            let mut chars = after.chars();
            chars.next().map_or(Ok(()), |c| write_escaped(out, c, '"'))?;
            rest = chars.as_str();
        }
        out.write_str(rest)?;
        for byte in chunk.invalid() {
            write!(out, "\\x{byte:02x}")?;
        }
    }
    out.write_char('"')
}

fn write_escaped(out: &mut impl Write, c: char, quote: char) -> fmt::Result {
    match c {
        '\\' => out.write_str("\\\\"),
        c if c == quote => write!(out, "\\{c}"),
        c if is_printable(c) => out.write_char(c),
        '\x07' => out.write_str("\\a"),
        '\x08' => out.write_str("\\b"),
        '\x0c' => out.write_str("\\f"),
        '\n' => out.write_str("\\n"),
        '\r' => out.write_str("\\r"),
        '\t' => out.write_str("\\t"),
        '\x0b' => out.write_str("\\v"),
        c => match u32::from(c) {
            code @ (0..0x20 | 0x7f) => write!(out, "\\x{code:02x}"),
            code @ 0x20..0x1_0000 => write!(out, "\\u{code:04x}"),
            code => write!(out, "\\U{code:08x}"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_like_go() {
        assert_eq!(
            quote("a\"\\\n\u{ad}\u{7f}\u{0}é\u{10ffff}\u{fffd}z"),
            "\"a\\\"\\\\\\n\\u00ad\\x7f\\x00é\\U0010ffff\u{fffd}z\""
        );
        assert_eq!(quote("\x07\x08\x0c\r\t\x0b'"), r#""\a\b\f\r\t\v'""#);
        assert_eq!(quote_bytes(b"a\xff\xfeb"), r#""a\xff\xfeb""#);
        assert_eq!((quote_char('\''), quote_char('"')), (r"'\''".to_owned(), "'\"'".to_owned()));
    }
}
