//! Strings in quotes, as Go writes them.

use std::fmt::Write as _;

use crate::printable::PRINTABLE;

/// Whether Go prints `c` as it is.
pub(crate) fn is_printable(c: char) -> bool {
    let c = u32::from(c);
    let after = PRINTABLE.partition_point(|&(first, _)| first <= c);
    after.checked_sub(1).and_then(|i| PRINTABLE.get(i)).is_some_and(|&(_, last)| c <= last)
}

fn push_escaped(out: &mut String, c: char, quote: char) {
    match c {
        '\\' => out.push_str("\\\\"),
        c if c == quote => {
            out.push('\\');
            out.push(c);
        }
        c if is_printable(c) => out.push(c),
        '\x07' => out.push_str("\\a"),
        '\x08' => out.push_str("\\b"),
        '\x0c' => out.push_str("\\f"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\x0b' => out.push_str("\\v"),
        c => {
            let code = u32::from(c);
            // A String takes all that is written.
            let _ = match code {
                0..0x20 | 0x7f => write!(out, "\\x{code:02x}"),
                0x20..0x1_0000 => write!(out, "\\u{code:04x}"),
                _ => write!(out, "\\U{code:08x}"),
            };
        }
    }
}

/// `text` in double quotes, escaped as Go's `strconv.Quote` does it, by which Prometheus prints label values.
///
/// ```
/// assert_eq!(prometheus_promql::quote("a\"\u{ad}é"), r#""a\"\u00adé""#);
/// ```
#[must_use]
pub fn quote(text: &str) -> String {
    quote_bytes(text.as_bytes())
}

/// `bytes` in double quotes; those that are not UTF-8 are written as numbers.
pub(crate) fn quote_bytes(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().saturating_add(2));
    out.push('"');
    for chunk in bytes.utf8_chunks() {
        chunk.valid().chars().for_each(|c| push_escaped(&mut out, c, '"'));
        for byte in chunk.invalid() {
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out.push('"');
    out
}

/// `text` in double quotes such that the lexer reads it again: it refuses U+FFFD, which Go prints as it is.
pub(crate) fn quote_for_lexer(text: &str) -> String {
    let quoted = quote(text);
    if quoted.contains('\u{fffd}') { quoted.replace('\u{fffd}', "\\ufffd") } else { quoted }
}

/// A character in single quotes. `None`, the end of the input, looks as in Go.
pub(crate) fn quote_char(c: Option<char>) -> String {
    let mut out = String::from("'");
    push_escaped(&mut out, c.unwrap_or('\u{fffd}'), '\'');
    out.push('\'');
    out
}

/// A character with its number: `U+0041 'A'`.
pub(crate) fn name_char(c: char) -> String {
    let code = u32::from(c);
    if is_printable(c) { format!("U+{code:04X} '{c}'") } else { format!("U+{code:04X}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_like_go() {
        assert_eq!(
            quote("a\"\\\n\u{ad}\u{7f}\u{0}é\u{10ffff}\u{fffd}"),
            "\"a\\\"\\\\\\n\\u00ad\\x7f\\x00é\\U0010ffff\u{fffd}\""
        );
        assert_eq!(quote_bytes(b"a\xff"), r#""a\xff""#);
        assert_eq!(quote_for_lexer("\u{fffd}"), r#""\ufffd""#);
        assert_eq!(quote_char(Some('\'')), r"'\''");
        assert_eq!(quote_char(Some('"')), "'\"'");
        assert_eq!(quote_char(None), "'\u{fffd}'");
        assert_eq!((name_char('q'), name_char('\n')), ("U+0071 'q'".to_owned(), "U+000A".to_owned()));
    }
}
