//! Patterns with groups, and templates that refer to them.

use regex_automata::{meta, nfa::thompson::WhichCaptures, util::captures::Captures};

use crate::{
    error::Result,
    parser::{self, Flags},
    translate,
    unicode::{self, Names},
};

/// A pattern that matches whole strings and remembers what its groups matched, as `label_replace` needs it.
///
/// ```
/// # fn main() -> Result<(), prometheus_re2::Error> {
/// let regex = prometheus_re2::CaptureRegex::new(r"(.*):(?P<port>\d+)")?;
/// let mut port = String::new();
/// assert!(regex.expand("localhost:9090", "port ${port} of $1", &mut port));
/// assert_eq!(port, "port 9090 of localhost");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct CaptureRegex {
    automaton: meta::Regex,
    /// The names of the groups; the first is the first group's, not the whole match's.
    groups: Vec<Option<String>>,
}

impl CaptureRegex {
    /// Compiles `pattern`. As in `label_replace`, `^(?s:` is put before and `)$` behind it whatever it says: errors may
    /// quote them.
    ///
    /// # Errors
    /// If the pattern is malformed or too large, see [`Regex`](crate::Regex); the text is Go's.
    pub fn new(pattern: &str) -> Result<Self> {
        let whole = format!("^(?s:{pattern})$");
        let parsed = parser::parse(&whole, Flags::default(), Names::Loose)?;
        let hir = translate::hir(&parsed.node, true);
        let automaton = translate::compile(&whole, &hir, WhichCaptures::All)?;
        Ok(Self { automaton, groups: parsed.groups })
    }

    /// How many groups it has, without the whole match.
    #[must_use]
    pub fn capture_count(&self) -> usize {
        self.groups.len()
    }

    /// If `value` matches, appends `template` to `out` with what the groups matched, and returns true. If not, leaves
    /// `out` alone.
    ///
    /// In `template`, `$1` and `${1}` stand for a group by its number (0 is the whole match), `$name` and `${name}` for one
    /// by its name, `$$` for `$`. Names are as long as they can be: `$1x` is `${1x}`. Groups that do not exist or took no
    /// part are empty; any other `$` is taken as it is.
    #[must_use]
    pub fn expand(&self, value: &str, template: &str, out: &mut String) -> bool {
        let mut captures = self.automaton.create_captures();
        self.automaton.captures(value, &mut captures);
        if !captures.is_match() {
            return false;
        }
        let mut rest = template;
        while let Some((before, after)) = rest.split_once('$') {
            out.push_str(before);
            rest = after;
            if let Some(after) = rest.strip_prefix('$') {
                out.push('$');
                rest = after;
            } else if let Some((name, after)) = reference(rest) {
                out.push_str(self.group(name, value, &captures).unwrap_or_default());
                rest = after;
            } else {
                out.push('$');
            }
        }
        out.push_str(rest);
        true
    }

    fn group<'v>(&self, name: &str, value: &'v str, captures: &Captures) -> Option<&'v str> {
        let matched = |index: usize| captures.get_group(index).and_then(|span| value.get(span.range()));
        match number(name) {
            Some(index) => matched(index),
            // The first of that name that took part.
            None => (self.groups.iter().enumerate())
                .filter(|(_, group)| group.as_deref() == Some(name))
                .find_map(|(i, _)| matched(i + 1)),
        }
    }
}

/// The name at the start of what follows a `$`, in braces or not, and what follows it.
fn reference(text: &str) -> Option<(&str, &str)> {
    let (text, braces) = text.strip_prefix('{').map_or((text, false), |text| (text, true));
    let end = text.find(|c| c != '_' && !unicode::is_letter_or_digit(c)).unwrap_or(text.len());
    let (name, after) = text.split_at_checked(end)?;
    if name.is_empty() {
        return None;
    }
    Some((name, if braces { after.strip_prefix('}')? } else { after }))
}

/// `name` as the number of a group, if it is one: up to nine digits without leading zeros.
fn number(name: &str) -> Option<usize> {
    let digits = name.bytes().all(|b| b.is_ascii_digit()) && (name == "0" || !name.starts_with('0'));
    // Longer numbers are names to Go, but no group has either.
    if digits && name.len() <= 9 { name.parse().ok() } else { None }
}

/// `text` as a pattern that matches just it.
#[must_use]
pub fn quote_meta(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len());
    for c in text.chars() {
        if r"\.+*?()|[]{}^$".contains(c) {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted
}
