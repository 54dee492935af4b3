//! YAML into structs, with errors that name the place and the field but repeat no value: it could be a secret.

use std::fmt;

use serde::de::DeserializeOwned;
use serde_saphyr::{Error as Yaml, Options};

/// What is wrong with a text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct YamlError {
    /// Line and column, from 1, if they are known.
    pub position: Option<(u64, u64)>,
    /// Says nothing of values.
    pub problem: String,
}

impl fmt::Display for YamlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.position {
            Some((line, column)) => write!(f, "line {line}, column {column}: {}", self.problem),
            None => f.write_str(&self.problem),
        }
    }
}

impl std::error::Error for YamlError {}

/// Bounds that no honest configuration comes near.
fn options(max_nodes: usize) -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: 16,
            flow_nesting_limit: 16,
            max_events: max_nodes.saturating_mul(2),
            max_nodes: max_nodes,
            max_aliases: 100,
            max_anchors: 100,
            max_merge_keys: 100,
            // One more than allowed, to be told that from other excess.
            max_documents: 2,
        },
        // A snippet would show the values around the error.
        with_snippet: false,
    }
}

/// Reads one document of at most so many nodes.
///
/// # Errors
/// If it is no YAML, does not fit the type, or is too large or too deeply nested.
pub fn parse<T: DeserializeOwned>(text: &str, max_nodes: usize) -> Result<T, YamlError> {
    serde_saphyr::from_str_with_options(text, options(max_nodes)).map_err(|error| describe(&error))
}

fn describe(error: &Yaml) -> YamlError {
    let error = error.without_snippet();
    let problem = match error {
        Yaml::SerdeUnknownField { field, expected, .. } => {
            format!("unknown field {}; expected one of {}", shown(field), expected.join(", "))
        }
        Yaml::DuplicateMappingKey { key, .. } => match key {
            Some(key) => format!("field {} is given twice", shown(key)),
            None => "a field is given twice".to_owned(),
        },
        Yaml::SerdeInvalidType { expected, .. } | Yaml::SerdeInvalidValue { expected, .. } => {
            format!("value of the wrong kind: expected {expected}")
        }
        Yaml::InvalidScalar { ty, .. } => format!("value of the wrong kind: expected {ty}"),
        Yaml::Unexpected { expected, .. } => format!("expected {expected}"),
        Yaml::Eof { .. } => "the text is empty or ends early".to_owned(),
        Yaml::MultipleDocuments { .. } => "more than one document".to_owned(),
        Yaml::Budget { .. }
        | Yaml::AliasReplayLimitExceeded { .. }
        | Yaml::AliasExpansionLimitExceeded { .. }
        | Yaml::AliasReplayStackDepthExceeded { .. } => "too large or too deeply nested".to_owned(),
        Yaml::UnknownAnchor { .. } => "alias without an anchor".to_owned(),
        _ => "malformed YAML, or a value of the wrong kind".to_owned(),
    };
    let position = error.location().filter(|l| l.line() > 0).map(|l| (l.line(), l.column()));
    YamlError { position, problem }
}

/// A field's name, unless a slip of the pen (`secret_key=abc: x`) made more than a name of it.
#[must_use]
pub fn shown(name: &str) -> String {
    let plain = name.len() <= 64 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
    if plain { name.to_owned() } else { "(not shown, as it is no plain name)".to_owned() }
}
