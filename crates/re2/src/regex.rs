//! A compiled label matcher.

use std::sync::Arc;

use memchr::memmem::Finder;
use regex_automata::{meta::Regex as Automaton, nfa::thompson::WhichCaptures};
use regex_syntax::hir::{Hir, Look};

use crate::{
    ast::{Node, Parsed},
    error::{Repr, Result},
    glob::{self, Budget, Glob, Part},
    parser::{self, Flags, MAX_HEIGHT},
    shape::{self, End},
    translate,
    unicode::Names,
};

/// The most strings that [`Regex::set`] tells of; Prometheus' limit, too.
pub(crate) const MAX_SET: usize = 256;
/// The most alternatives that are tried one after the other; an automaton does as well with more.
const MAX_GLOBS: usize = 16;
/// A pattern that matches whole strings: `^(?s:pattern)$` in Go's syntax.
///
/// Cloning is cheap. Memory and the time to compile are bounded whatever the pattern, so some that Go takes are refused: those
/// of more than 262,144 items (characters count if case is ignored) or a million character ranges, and those whose automaton
/// needs more than 10 MiB, or 128 bytes for each byte of the pattern if that is more, in either direction. What lists
/// strings needs no automaton. Matching takes time in proportion to the value's length, times at worst the automaton's states.
///
/// ```
/// # fn main() -> Result<(), prometheus_re2::Error> {
/// let regex = prometheus_re2::Regex::new("web-(1|2).*")?;
/// assert!(regex.is_match("web-2\n"));
/// assert!(!regex.is_match("a web-2"));
/// assert_eq!(regex.prefix(), Some("web-"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Regex(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    pattern: String,
    plan: Plan,
    prefix: String,
    suffix: String,
    contains: Vec<String>,
}

/// How to match.
#[derive(Debug)]
enum Plan {
    Everything,
    NonEmpty,
    Strings(Strings),
    /// Any of these.
    Globs(Vec<Glob>),
    /// The literals that must be there in this order are looked for first: that is faster where they are not.
    Automaton(Automaton, Vec<Finder<'static>>),
}

impl Regex {
    /// Compiles `pattern`.
    ///
    /// # Errors
    /// If the pattern is malformed or too large; the text is Go's.
    pub fn new(pattern: &str) -> Result<Self> {
        let node = parse(pattern)?;
        let plain = shape::plain(&node);
        let (prefix, _) = shape::affix(&plain, End::Start);
        let (suffix, _) = shape::affix(&plain, End::End);
        let contains = shape::inner_literals(&plain);
        let plan = match shortcut(&plain, pattern.len()) {
            Some(plan) => plan,
            None => {
                let finders = contains.iter().map(|text| Finder::new(text).into_owned()).collect();
                Plan::Automaton(automaton(pattern, &plain)?, finders)
            }
        };
        Ok(Self(Arc::new(Inner { pattern: pattern.to_owned(), plan, prefix, suffix, contains })))
    }

    /// Compiles `pattern` without looking for anything faster than the automaton: for tests and benchmarks, which compare
    /// the two. Nothing is known of its matches.
    ///
    /// # Errors
    /// As [`Regex::new`].
    pub fn without_shortcuts(pattern: &str) -> Result<Self> {
        let plan = Plan::Automaton(automaton(pattern, &parse(pattern)?)?, Vec::new());
        let (prefix, suffix, contains) = (String::new(), String::new(), Vec::new());
        Ok(Self(Arc::new(Inner { pattern: pattern.to_owned(), plan, prefix, suffix, contains })))
    }

    /// The pattern as it was given.
    #[must_use]
    pub fn pattern(&self) -> &str {
        &self.0.pattern
    }

    /// Whether the whole of `value` matches.
    #[must_use]
    pub fn is_match(&self, value: &str) -> bool {
        let inner = &*self.0;
        match &inner.plan {
            Plan::Everything => true,
            Plan::NonEmpty => !value.is_empty(),
            Plan::Strings(strings) => strings.contains(value),
            Plan::Globs(globs) => globs.iter().any(|glob| glob.is_match(value)),
            Plan::Automaton(automaton, contains) => {
                value.starts_with(&*inner.prefix)
                    && value.ends_with(&*inner.suffix)
                    && contains_in_order(value, contains)
                    && automaton.is_match(value)
            }
        }
    }

    /// The strings that it matches, if it is known to match just these: at most 256, ascending, without duplicates, case
    /// as it must be. None at all if nothing matches.
    #[must_use]
    pub fn set(&self) -> Option<&[String]> {
        match &self.0.plan {
            Plan::Strings(strings) if strings.sorted.len() <= MAX_SET => Some(&strings.sorted),
            _ => None,
        }
    }

    /// What every match begins with, case as it must be.
    #[must_use]
    pub fn prefix(&self) -> Option<&str> {
        Some(&*self.0.prefix).filter(|prefix| !prefix.is_empty())
    }

    /// What every match ends with, case as it must be. It may overlap with the prefix.
    #[must_use]
    pub fn suffix(&self) -> Option<&str> {
        Some(&*self.0.suffix).filter(|suffix| !suffix.is_empty())
    }

    /// What every match contains, case as it must be: in this order, one behind the other.
    #[must_use]
    pub fn contains(&self) -> &[String] {
        &self.0.contains
    }

    /// Whether it is known to match every string, as `.*` does.
    #[must_use]
    pub fn matches_everything(&self) -> bool {
        matches!(self.0.plan, Plan::Everything)
    }

    /// Whether it is known to match every string but the empty one, as `.+` does.
    #[must_use]
    pub fn matches_any_non_empty(&self) -> bool {
        matches!(self.0.plan, Plan::NonEmpty)
    }
}

fn parse(pattern: &str) -> Result<Node> {
    let flags = Flags { dot_newline: true, ..Flags::default() };
    let Parsed { node, height, .. } = parser::parse(pattern, flags, Names::Exact)?;
    // The anchors around it make it higher. Go then quotes them, and the pattern in other words.
    if height >= MAX_HEIGHT && !matches!(node, Node::Concat(_)) {
        return Err(Repr::TooDeep { pattern: pattern.to_owned() }.into());
    }
    Ok(node)
}

/// A plan without an automaton for the plain `node`, if there is one.
fn shortcut(node: &Node, pattern_len: usize) -> Option<Plan> {
    // Lists of names as long as the pattern are fine, but no more than a few that are not spelled out.
    let bytes = pattern_len.saturating_mul(16).saturating_add(1 << 20);
    let strings = Budget { count: MAX_SET.max(pattern_len), bytes, gaps: false };
    if let Some(strings) = glob::expand(node, strings) {
        return Some(Plan::Strings(Strings::new(strings)));
    }
    let globs = glob::expand(node, Budget { count: MAX_GLOBS, bytes, gaps: true })?;
    let has = |wanted: &[Part]| globs.iter().any(|glob| glob == wanted);
    let everything = has(&[Part::Gap(0)]) || has(&[Part::Gap(1)]) && has(&[]);
    Some(if everything {
        Plan::Everything
    } else if has(&[Part::Gap(1)]) {
        Plan::NonEmpty
    } else {
        Plan::Globs(globs.iter().map(|parts| Glob::new(parts)).collect())
    })
}

fn automaton(pattern: &str, node: &Node) -> Result<Automaton> {
    let whole = Hir::concat(vec![Hir::look(Look::Start), translate::hir(node, false), Hir::look(Look::End)]);
    translate::compile(pattern, &whole, WhichCaptures::None)
}

fn contains_in_order(value: &str, literals: &[Finder<'_>]) -> bool {
    let mut rest = value.as_bytes();
    literals.iter().all(|literal| {
        let after = literal.find(rest).and_then(|at| rest.get(at + literal.needle().len()..));
        rest = after.unwrap_or_default();
        after.is_some()
    })
}

/// Strings to compare with.
#[derive(Debug)]
struct Strings {
    /// Ascending, without duplicates.
    sorted: Vec<String>,
    /// Bit i is set if there is one of i bytes; the highest bit is for all that are longer.
    lengths: u64,
}

impl Strings {
    fn new(alternatives: Vec<Vec<Part>>) -> Self {
        let text = |parts: Vec<Part>| match parts.into_iter().next() {
            Some(Part::Text(text)) => text,
            Some(Part::Gap(_)) | None => String::new(),
        };
        let sorted: Vec<String> = alternatives.into_iter().map(text).collect();
        let lengths = sorted.iter().fold(0, |lengths, text| lengths | length_bit(text));
        Self { sorted, lengths }
    }

    fn contains(&self, value: &str) -> bool {
        if self.lengths & length_bit(value) == 0 {
            return false;
        }
        match self.sorted.len() {
            0..=8 => self.sorted.iter().any(|text| text == value),
            // Not hashed: who writes the pattern could choose strings of the same hash.
            _ => self.sorted.binary_search_by(|text| (**text).cmp(value)).is_ok(),
        }
    }
}

fn length_bit(text: &str) -> u64 {
    1 << text.len().min(63)
}
