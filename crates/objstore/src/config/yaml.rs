//! YAML into structs, with errors that name the place and the field but repeat no value: it could be a secret.

use serde::de::DeserializeOwned;
use serde_saphyr::{Error as Yaml, Options};

use crate::error::{Detail, Error, Place, Result, Subject};

/// Bounds that no honest configuration comes near.
fn options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: 16,
            flow_nesting_limit: 16,
            max_events: 20_000,
            max_nodes: 10_000,
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

pub(crate) fn parse<T: DeserializeOwned>(text: &str) -> Result<T> {
    serde_saphyr::from_str_with_options(text, options()).map_err(|error| describe(&error))
}

fn describe(error: &Yaml) -> Error {
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
    let at = Place(error.location().filter(|l| l.line() > 0).map(|l| (l.line(), l.column())));
    Detail::Yaml { subject: Subject::default(), at, problem }.into()
}

/// A field's name, unless a slip of the pen (`secret_key=abc: x`) made more than a name of it.
fn shown(name: &str) -> String {
    let plain = name.len() <= 64 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
    if plain { name.to_owned() } else { "(not shown, as it is no plain name)".to_owned() }
}
