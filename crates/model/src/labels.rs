//! Label sets and their build-independent hash.

use std::{cmp::Ordering, fmt};

use xxhash_rust::xxh64::Xxh64;

use crate::quote::write_quoted;

/// Name of the label that holds the metric's name.
pub const METRIC_NAME: &str = "__name__";

/// Separates names and values in the input of [`stable_hash`]. It cannot occur in UTF-8.
const SEPARATOR: u8 = 0xff;

/// A label set: names in byte order, each once, with values that are not empty.
///
/// Names may be any UTF-8 (`http.status_code`, `café`), as in Prometheus 3. A label with an empty value is the same
/// as no label, hence never stored. All text lives in one allocation.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Labels {
    /// Names and values, in order, without separators.
    text: Box<str>,
    /// For each label the end of its name and the end of its value, in `text`.
    ends: Box<[u32]>,
}

/// Why a set of pairs is no label set.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum LabelsError {
    /// Two labels have this name.
    DuplicateName(String),
    /// A label has no name; this is its value.
    EmptyName(String),
    /// Names and values together have this many bytes, more than 2^32 - 1.
    TooLong(usize),
    /// The first name comes after the second one, though it is less.
    OutOfOrder(String, String),
}

impl fmt::Display for LabelsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DuplicateName(name) => write!(f, "label name {name:?} occurs twice"),
            Self::EmptyName(value) => write!(f, "label with value {value:?} has no name"),
            Self::TooLong(bytes) => write!(f, "labels of {bytes} bytes are longer than 2^32 - 1"),
            Self::OutOfOrder(name, last) => write!(f, "label name {name:?} comes after {last:?}"),
        }
    }
}

impl std::error::Error for LabelsError {}

impl Labels {
    /// Sorts the pairs by name and drops those with an empty value.
    ///
    /// ```
    /// use prometheus_model::Labels;
    /// let labels = Labels::from_pairs([("job", "api"), ("__name__", "up"), ("gone", "")])?;
    /// assert_eq!(labels.to_string(), r#"{__name__="up", job="api"}"#);
    /// # Ok::<(), prometheus_model::LabelsError>(())
    /// ```
    ///
    /// # Errors
    /// If a name is empty or occurs twice, or the text is longer than 2^32 - 1 bytes.
    pub fn from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, LabelsError> {
        let mut pairs: Vec<_> = pairs.into_iter().collect();
        pairs.sort_by(|a, b| a.0.cmp(b.0));
        if let Some(w) = pairs.windows(2).find(|w| w[0].0 == w[1].0) {
            return Err(LabelsError::DuplicateName(w[0].0.to_owned()));
        }
        pairs.retain(|(_, value)| !value.is_empty());
        if let Some((_, value)) = pairs.first().filter(|(name, _)| name.is_empty()) {
            return Err(LabelsError::EmptyName((*value).to_owned()));
        }
        let bytes = pairs.iter().map(|(n, v)| n.len() + v.len()).sum();
        if u32::try_from(bytes).is_err() {
            return Err(LabelsError::TooLong(bytes));
        }
        let mut text = String::with_capacity(bytes);
        let mut ends = Vec::with_capacity(2 * pairs.len());
        for part in pairs.into_iter().flat_map(|(n, v)| [n, v]) {
            text.push_str(part);
            ends.push(text.len() as u32); // checked above
        }
        Ok(Self { text: text.into(), ends: ends.into() })
    }

    /// How many labels there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len() / 2
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// `(name, value)` pairs in byte order of the names.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> + Clone {
        let mut start = 0;
        self.ends.chunks_exact(2).map(move |e| {
            let (name_end, value_end) = (e[0] as usize, e[1] as usize);
            let pair = (&self.text[start..name_end], &self.text[name_end..value_end]);
            start = value_end;
            pair
        })
    }

    /// Value of the label `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().take_while(|(n, _)| *n <= name).find(|(n, _)| *n == name).map(|(_, v)| v)
    }

    /// Prometheus' build-independent hash, see [`stable_hash`].
    #[must_use]
    pub fn stable_hash(&self) -> u64 {
        stable_hash(self.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes())))
    }
}

/// Builds many label sets, one after another, from pairs that are in order already.
#[derive(Clone, Default, Debug)]
pub struct LabelsBuilder {
    text: String,
    ends: Vec<u32>,
    /// Where the last name begins in `text`.
    last_name: usize,
}

impl LabelsBuilder {
    /// Appends a label; one with an empty value is left out.
    ///
    /// # Errors
    /// If the name is not after the last one, is empty, or the text is longer than 2^32 - 1 bytes. The builder is as it was
    /// then.
    pub fn push(&mut self, name: &str, value: &str) -> Result<(), LabelsError> {
        if value.is_empty() {
            return Ok(());
        }
        if name.is_empty() {
            return Err(LabelsError::EmptyName(value.to_owned()));
        }
        let start = self.text.len();
        if let [.., name_end, _] = self.ends[..] {
            let last = &self.text[self.last_name..name_end as usize];
            match last.cmp(name) {
                Ordering::Less => {}
                Ordering::Equal => return Err(LabelsError::DuplicateName(name.to_owned())),
                Ordering::Greater => return Err(LabelsError::OutOfOrder(name.to_owned(), last.to_owned())),
            }
        }
        let (name_end, value_end) = (start + name.len(), start + name.len() + value.len());
        let Ok(end) = u32::try_from(value_end) else { return Err(LabelsError::TooLong(value_end)) };
        self.text.push_str(name);
        self.text.push_str(value);
        self.ends.extend([name_end as u32, end]); // not above `end`
        self.last_name = start;
        Ok(())
    }

    /// The labels pushed so far; the builder is empty again.
    pub fn finish(&mut self) -> Labels {
        let labels = Labels { text: self.text.as_str().into(), ends: self.ends.as_slice().into() };
        self.text.clear();
        self.ends.clear();
        self.last_name = 0;
        labels
    }
}

/// Prometheus' `labels.StableHash`: XXH64 with seed 0 over `name 0xFF value 0xFF` of every label in order of the names.
///
/// Takes pairs so that a caller who holds symbols need not build [`Labels`] first.
#[must_use]
pub fn stable_hash<'a>(pairs: impl IntoIterator<Item = (&'a [u8], &'a [u8])>) -> u64 {
    let mut hash = Xxh64::new(0);
    for (name, value) in pairs {
        hash.update(name);
        hash.update(&[SEPARATOR]);
        hash.update(value);
        hash.update(&[SEPARATOR]);
    }
    hash.digest()
}

/// Prometheus' `labels.Compare`: pair by pair, name before value; a prefix sorts first.
impl Ord for Labels {
    fn cmp(&self, other: &Self) -> Ordering {
        self.iter().cmp(other.iter())
    }
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// `{__name__="up", "http.status"="200"}`: names that are no identifiers are quoted, values escaped as in Go.
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (i, (name, value)) in self.iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            if is_legacy_name(name) {
                f.write_str(name)?;
            } else {
                write_quoted(f, name.as_bytes())?;
            }
            f.write_str("=")?;
            write_quoted(f, value.as_bytes())?;
        }
        f.write_str("}")
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Whether `name` matches `[a-zA-Z_][a-zA-Z0-9_]*`, the names that Prometheus 2 allowed.
fn is_legacy_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        Labels::from_pairs(pairs.iter().copied()).unwrap()
    }

    #[test]
    fn sorted_and_without_empty_values() {
        let l = labels(&[("b", "2"), ("a", "1"), ("c", "")]);
        assert_eq!(l.iter().collect::<Vec<_>>(), [("a", "1"), ("b", "2")]);
        assert_eq!((l.get("a"), l.get("b"), l.get("c")), (Some("1"), Some("2"), None));
    }

    #[test]
    fn builder_gives_the_same_as_pairs() {
        let mut builder = LabelsBuilder::default();
        for pairs in [&[("a", "1"), ("ab", ""), ("b", "2")][..], &[], &[("", ""), ("z", "é")]] {
            pairs.iter().for_each(|(name, value)| builder.push(name, value).unwrap());
            assert_eq!(builder.finish(), labels(pairs));
        }
        builder.push("b", "1").unwrap();
        assert_eq!(builder.push("b", "2"), Err(LabelsError::DuplicateName("b".into())));
        assert_eq!(builder.push("a", "2"), Err(LabelsError::OutOfOrder("a".into(), "b".into())));
        assert_eq!(builder.push("", "2"), Err(LabelsError::EmptyName("2".into())));
        assert_eq!(builder.finish(), labels(&[("b", "1")]));
    }

    #[test]
    fn refuses_what_is_no_label_set() {
        assert_eq!(Labels::from_pairs([("a", "1"), ("a", "")]), Err(LabelsError::DuplicateName("a".into())));
        assert_eq!(Labels::from_pairs([("", "1")]), Err(LabelsError::EmptyName("1".into())));
    }

    #[test]
    fn order_is_by_pairs_not_by_concatenated_text() {
        assert!(labels(&[("a", "b")]) < labels(&[("ab", "x")]));
        assert!(labels(&[("a", "1")]) < labels(&[("a", "1"), ("b", "1")]));
        assert!(labels(&[("a", "z")]) < labels(&[("b", "a")]));
    }

    #[test]
    fn equality_sees_the_borders() {
        assert_ne!(labels(&[("ab", "c")]), labels(&[("a", "bc")]));
    }

    #[test]
    fn display_quotes_as_go_does() {
        let l = labels(&[("http.code", "a\"b\\\n\u{1}é"), ("x", "\u{85}\u{200b}")]);
        assert_eq!(l.to_string(), r#"{"http.code"="a\"b\\\n\x01é", x="\u0085\u200b"}"#);
    }

    #[test]
    fn stable_hash_of_nothing_is_that_of_the_empty_string() {
        assert_eq!(Labels::default().stable_hash(), 0xef46_db37_51d8_e999);
    }
}
