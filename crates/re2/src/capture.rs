//! Patterns with groups, and templates that refer to them.

use crate::error::{Repr, Result};

/// A pattern that matches whole strings and remembers what its groups matched, as `label_replace` needs it.
#[derive(Clone, Debug)]
pub struct CaptureRegex {
    automaton: regex_automata::meta::Regex,
}

impl CaptureRegex {
    /// Compiles `pattern`.
    ///
    /// # Errors
    ///
    /// If the pattern is malformed or too large.
    pub fn new(pattern: &str) -> Result<Self> {
        let automaton = regex_automata::meta::Regex::new(&format!("^(?s:{pattern})$"))
            .map_err(|_| Repr::Syntax { reason: "invalid", fragment: pattern.to_owned() })?;
        Ok(Self { automaton })
    }

    /// How many groups it has, without the whole match.
    #[must_use]
    pub fn capture_count(&self) -> usize {
        self.automaton.captures_len().saturating_sub(1)
    }

    /// Appends `template` to `out`, its references replaced by what the groups matched in `value`; says whether `value`
    /// matches. If not, `out` is left alone.
    #[must_use]
    pub fn expand(&self, value: &str, template: &str, out: &mut String) -> bool {
        let mut captures = self.automaton.create_captures();
        self.automaton.captures(value, &mut captures);
        if !captures.is_match() {
            return false;
        }
        captures.interpolate_string_into(value, template, out);
        true
    }
}

/// `text` as a pattern that matches just it.
#[must_use]
pub fn quote_meta(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '\\' | '.' | '+' | '*' | '?' | '(' | ')' | '|' | '[' | ']' | '{' | '}' | '^' | '$') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted
}
