//! Strings in quotes, as Prometheus' lexer needs and writes them.

pub use prometheus_model::quote;
use prometheus_model::{is_printable, quote_char as quote_one};

pub(crate) use prometheus_model::quote_bytes;

/// `text` in double quotes such that the lexer reads it again: it refuses U+FFFD, which Go prints as it is.
pub(crate) fn quote_for_lexer(text: &str) -> String {
    let quoted = quote(text);
    if quoted.contains('\u{fffd}') { quoted.replace('\u{fffd}', "\\ufffd") } else { quoted }
}

/// A character in single quotes. `None`, the end of the input, looks as in Go.
pub(crate) fn quote_char(c: Option<char>) -> String {
    quote_one(c.unwrap_or('\u{fffd}'))
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
    fn for_the_lexer() {
        assert_eq!(quote_for_lexer("\u{fffd}\n"), r#""\ufffd\n""#);
        assert_eq!(quote_char(None), "'\u{fffd}'");
        assert_eq!((name_char('q'), name_char('\n')), ("U+0071 'q'".to_owned(), "U+000A".to_owned()));
    }
}
