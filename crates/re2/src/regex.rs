//! A compiled label matcher.

use std::sync::Arc;

use crate::error::{Repr, Result};

/// A pattern that matches whole strings.
#[derive(Clone, Debug)]
pub struct Regex(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    pattern: String,
    automaton: regex_automata::meta::Regex,
}

impl Regex {
    /// Compiles `pattern`.
    ///
    /// # Errors
    ///
    /// If the pattern is malformed or too large.
    pub fn new(pattern: &str) -> Result<Self> {
        let automaton = regex_automata::meta::Regex::new(&format!("^(?s:{pattern})$"))
            .map_err(|_| Repr::Syntax { reason: "invalid", fragment: pattern.to_owned() })?;
        Ok(Self(Arc::new(Inner { pattern: pattern.to_owned(), automaton })))
    }

    /// The pattern as it was given.
    #[must_use]
    pub fn pattern(&self) -> &str {
        &self.0.pattern
    }

    /// Whether the whole of `value` matches.
    #[must_use]
    pub fn is_match(&self, value: &str) -> bool {
        self.0.automaton.is_match(value)
    }

    /// The strings that it matches, if they are few; sorted, without duplicates.
    #[must_use]
    pub fn set(&self) -> Option<&[String]> {
        None
    }

    /// What every match begins with.
    #[must_use]
    pub fn prefix(&self) -> Option<&str> {
        None
    }

    /// What every match ends with.
    #[must_use]
    pub fn suffix(&self) -> Option<&str> {
        None
    }

    /// What every match contains.
    #[must_use]
    pub fn contains(&self) -> &[String] {
        &[]
    }

    /// Whether it is known to match every string.
    #[must_use]
    pub fn matches_everything(&self) -> bool {
        self.0.pattern == ".*"
    }

    /// Whether it is known to match every string but the empty one, and not that one.
    #[must_use]
    pub fn matches_any_non_empty(&self) -> bool {
        self.0.pattern == ".+"
    }
}
