//! `$(NAME)` in the text of a configuration.
//!
//! ```text
//! reference = "$(" name ")"     name = ( letter | "_" ) { letter | digit | "_" }
//! ```
//! Anything else with a dollar sign stays as it is. Values are put in as text, before YAML is read, and are not searched
//! again.

use crate::error::{Detail, Result, Subject};

/// An environment.
pub(crate) type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Size of a configuration, before and after expansion.
const MAX_BYTES: usize = 1 << 20;

/// The environment of this process. A variable that is not Unicode counts as unset.
#[must_use]
pub fn process_environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

pub(crate) fn expand(text: &str, environment: Lookup<'_>) -> Result<String> {
    let check = |found: usize| match found {
        ..=MAX_BYTES => Ok(()),
        _ => Err(Detail::ConfigSize { subject: Subject::default(), found, limit: MAX_BYTES }),
    };
    check(text.len())?;
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("$(") {
        expanded.push_str(before);
        let name = after.split_once(')').map(|(name, _)| name).filter(|name| is_name(name));
        let Some(name) = name else {
            expanded.push_str("$(");
            rest = after;
            continue;
        };
        let Some(value) = environment(name) else {
            let line = text[..text.len() - rest.len() + before.len()].lines().count().max(1);
            return Err(Detail::Environment { subject: Subject::default(), name: name.to_owned(), line }.into());
        };
        check(expanded.len().saturating_add(value.len()))?;
        expanded.push_str(&value);
        rest = &after[name.len() + 1..];
    }
    expanded.push_str(rest);
    check(expanded.len())?;
    Ok(expanded)
}

fn is_name(name: &str) -> bool {
    let is_start = |b: u8| b.is_ascii_alphabetic() || b == b'_';
    name.bytes().next().is_some_and(is_start) && name.bytes().all(|b| is_start(b) || b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(name: &str) -> Option<String> {
        let values = [("A", "1"), ("_b2", "two"), ("NESTED", "$(A)"), ("EMPTY", "")];
        values.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned())
    }

    #[test]
    fn expands_only_names_in_parentheses() {
        for (text, expected) in [
            ("", ""),
            ("$(A)", "1"),
            ("x$(A)y$(_b2)z", "x1ytwoz"),
            ("$(NESTED)", "$(A)"),
            ("$(EMPTY)|", "|"),
            ("$A ${A} $ $( $() $(1A) $(A $(A-B) $$(A)", "$A ${A} $ $( $() $(1A) $(A $(A-B) $1"),
            ("$($(A))", "$(1)"),
            ("é$(A)é", "é1é"),
        ] {
            assert_eq!(expand(text, &environment).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn unset_is_an_error_with_name_and_line() {
        let error = expand("a: $(A)\nb:\n  c: $(NOPE)\n", &environment).unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::Invalid);
        assert!(error.to_string().contains("NOPE") && error.to_string().contains("line 3"), "{error}");
    }

    #[test]
    fn bounded() {
        let large = "x".repeat(MAX_BYTES + 1);
        assert_eq!(expand(&large, &environment).unwrap_err().kind(), crate::ErrorKind::LimitExceeded);
        let half = |_: &str| Some("x".repeat(MAX_BYTES / 2));
        assert_eq!(expand("$(A)$(A)", &half).unwrap().len(), MAX_BYTES);
        assert_eq!(expand("$(A)$(A).", &half).unwrap_err().kind(), crate::ErrorKind::LimitExceeded);
    }
}
