//! What matchers ask of one label, in the form that pruning needs.

use std::{cmp::Ordering, collections::BTreeMap};

use prometheus_queryable::{MatchOp, Matcher};

/// All matchers of one label together.
#[derive(Clone, Debug)]
pub(crate) struct Constraint {
    label: String,
    /// In a fixed order.
    matchers: Vec<Matcher>,
    domain: Domain,
    matches_absent: bool,
}

/// Values among which those that fit must be.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Domain {
    /// Exactly these, ascending.
    Values(Vec<String>),
    /// Only such as begin with this.
    Prefix(String),
    Any,
}

impl Constraint {
    /// One for each label that the matchers restrict, ascending by label.
    pub(crate) fn of(matchers: &[Matcher]) -> Vec<Self> {
        let mut by_label: BTreeMap<&str, Vec<Matcher>> = BTreeMap::new();
        for matcher in matchers {
            let matches_all = matcher.op() == MatchOp::Regex
                && matcher.regex().is_some_and(prometheus_queryable::Regex::matches_everything);
            let matchers = by_label.entry(matcher.name()).or_default();
            if !matches_all && !matchers.contains(matcher) {
                matchers.push(matcher.clone());
            }
        }
        let restricted = by_label.into_iter().filter(|(_, matchers)| !matchers.is_empty());
        restricted.map(|(label, matchers)| Self::new(label, matchers)).collect()
    }

    fn new(label: &str, mut matchers: Vec<Matcher>) -> Self {
        matchers.sort_by(|a, b| (a.op(), a.value()).cmp(&(b.op(), b.value())));
        let matches = |value: &str| matchers.iter().all(|matcher| matcher.matches(value));
        let sets = matchers.iter().filter_map(|matcher| match matcher.op() {
            MatchOp::Equal => Some(vec![matcher.value().to_owned()]),
            MatchOp::Regex => matcher.regex()?.set().map(<[String]>::to_vec),
            MatchOp::NotEqual | MatchOp::NotRegex => None,
        });
        let positive = matchers.iter().filter(|matcher| matcher.op() == MatchOp::Regex);
        let prefixes = positive.filter_map(|matcher| matcher.regex()?.prefix());
        let domain = match (sets.min_by_key(Vec::len), prefixes.max_by_key(|prefix| prefix.len())) {
            (Some(mut values), _) => {
                values.retain(|value| matches(value));
                values.sort_unstable();
                values.dedup();
                Domain::Values(values)
            }
            (None, Some(prefix)) if !prefix.is_empty() => Domain::Prefix(prefix.to_owned()),
            (None, _) => Domain::Any,
        };
        Self { label: label.to_owned(), matches_absent: matches(""), domain, matchers }
    }

    /// Name of the label.
    pub(crate) fn label(&self) -> &str {
        &self.label
    }

    pub(crate) fn has_regex(&self) -> bool {
        self.matchers.iter().any(|matcher| matcher.regex().is_some())
    }

    /// Whether a value fits.
    pub(crate) fn matches(&self, value: &str) -> bool {
        self.matchers.iter().all(|matcher| matcher.matches(value))
    }

    /// Whether a row without the label fits.
    pub(crate) const fn matches_absent(&self) -> bool {
        self.matches_absent
    }

    /// The values that fit, ascending, if they can be listed.
    pub(crate) fn values(&self) -> Option<&[String]> {
        match &self.domain {
            Domain::Values(values) => Some(values),
            Domain::Prefix(_) | Domain::Any => None,
        }
    }

    /// Whether a value may fit that is neither less than `min` nor greater than `max`.
    pub(crate) fn may_match_within(&self, min: Option<&[u8]>, max: Option<&[u8]>) -> bool {
        let is_below_max = |value: &[u8]| max.is_none_or(|max| value <= max);
        match &self.domain {
            Domain::Values(values) => {
                let first = values.partition_point(|value| min.is_some_and(|min| value.as_bytes() < min));
                values.get(first).is_some_and(|value| is_below_max(value.as_bytes()))
            }
            Domain::Prefix(prefix) => {
                let prefix = prefix.as_bytes();
                // Of the values with the prefix, it is the least, and all are less than anything that is greater than it
                // and does not begin with it.
                let above_min = min.is_none_or(|min| match min.cmp(prefix) {
                    Ordering::Less | Ordering::Equal => true,
                    Ordering::Greater => min.starts_with(prefix),
                });
                above_min && is_below_max(prefix)
            }
            Domain::Any => true,
        }
    }
}

/// As in a selector.
impl std::fmt::Display for Constraint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (i, matcher) in self.matchers.iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            write!(f, "{:?}{}{:?}", matcher.name(), matcher.op(), matcher.value())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn constraint(matchers: &[(MatchOp, &str)]) -> Constraint {
        let matchers: Vec<_> = matchers.iter().map(|(op, value)| Matcher::new("l", *op, *value).unwrap()).collect();
        Constraint::of(&matchers).remove(0)
    }

    #[test]
    fn matchers_of_one_label_are_one_constraint() {
        let c = constraint(&[(MatchOp::Regex, "a|b|c"), (MatchOp::NotEqual, "b"), (MatchOp::Regex, ".*")]);
        assert_eq!(c.values(), Some(&["a".to_owned(), "c".to_owned()][..]));
        assert_eq!(c.to_string(), r#""l"!="b", "l"=~"a|b|c""#);
        assert!(Constraint::of(&[Matcher::new("l", MatchOp::Regex, ".*").unwrap()]).is_empty());
        assert_eq!(constraint(&[(MatchOp::Equal, "a"), (MatchOp::Equal, "b")]).values(), Some(&[][..]));
    }

    #[test]
    fn bounds() {
        let may = |c: &Constraint, min: &str, max: &str| c.may_match_within(Some(min.as_bytes()), Some(max.as_bytes()));
        let c = constraint(&[(MatchOp::Regex, "b|f")]);
        assert!(may(&c, "a", "c") && may(&c, "b", "b") && may(&c, "c", "z"));
        assert!(!may(&c, "c", "e") && !may(&c, "g", "z") && !may(&c, "a", "az"));
        let c = constraint(&[(MatchOp::Regex, "web-.*")]);
        assert!(may(&c, "web", "web-") && may(&c, "web-z", "x") && may(&c, "a", "z") && may(&c, "web-1", "web-2"));
        assert!(!may(&c, "a", "web") && !may(&c, "web.", "z"));
    }

    proptest! {
        #[test]
        fn a_value_that_fits_is_never_out_of_bounds(op in 0_usize..4, pattern in "[ab]{0,2}(\\.\\*|\\|a[ab]?)?", value in "[ab]{0,3}", low in "[ab]{0,3}", high in "[ab]{0,3}") {
            let op = [MatchOp::Equal, MatchOp::NotEqual, MatchOp::Regex, MatchOp::NotRegex][op];
            let matcher = Matcher::new("l", op, &pattern).unwrap();
            let fits = matcher.matches(&value);
            let Some(c) = Constraint::of(&[matcher]).pop() else {
                prop_assert!(fits);
                return Ok(());
            };
            prop_assert_eq!(c.matches(&value), fits);
            if fits && low <= value && value <= high {
                prop_assert!(c.may_match_within(Some(low.as_bytes()), Some(high.as_bytes())));
                prop_assert!(c.values().is_none_or(|values| values.contains(&value)));
            }
        }
    }
}
