//! Conditions on labels.

use std::fmt;

use prometheus_model::Labels;
use prometheus_re2::Regex;

use crate::error::{Error, ErrorKind, Result};

/// How a [`Matcher`] compares.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum MatchOp {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`
    Regex,
    /// `!~`
    NotRegex,
}

impl fmt::Display for MatchOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Regex => "=~",
            Self::NotRegex => "!~",
        })
    }
}

/// A condition on the value of one label. A label that a series does not have has the value `""`.
#[derive(Clone, Debug)]
pub struct Matcher {
    name: String,
    op: MatchOp,
    value: String,
    regex: Option<Regex>,
}

impl Matcher {
    /// Makes a matcher.
    ///
    /// ```
    /// use prometheus_queryable::{MatchOp, Matcher};
    /// let matcher = Matcher::new("pod", MatchOp::Regex, "api-.*|web")?;
    /// assert!(matcher.matches("web") && !matcher.matches("web-1"));
    /// assert_eq!(matcher.to_string(), r#"pod=~"api-.*|web""#);
    /// # Ok::<(), prometheus_queryable::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) if the value is to be a regular expression and is none.
    pub fn new(name: impl Into<String>, op: MatchOp, value: impl Into<String>) -> Result<Self> {
        let value = value.into();
        let regex = match op {
            MatchOp::Equal | MatchOp::NotEqual => None,
            MatchOp::Regex | MatchOp::NotRegex => {
                Some(Regex::new(&value).map_err(|e| Error::new(ErrorKind::Invalid, e))?)
            }
        };
        Ok(Self { name: name.into(), op, value, regex })
    }

    /// `name="value"`.
    pub fn equal(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), op: MatchOp::Equal, value: value.into(), regex: None }
    }

    /// Name of the label.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How it compares.
    #[must_use]
    pub const fn op(&self) -> MatchOp {
        self.op
    }

    /// The value or regular expression, as it was given.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }

    /// The regular expression, if it has one; for [`NotRegex`](MatchOp::NotRegex), values that match it do not fit.
    #[must_use]
    pub const fn regex(&self) -> Option<&Regex> {
        self.regex.as_ref()
    }

    /// Whether a label of this value fits.
    #[must_use]
    pub fn matches(&self, value: &str) -> bool {
        let is_match = self.regex.as_ref().map_or_else(|| self.value == value, |regex| regex.is_match(value));
        match self.op {
            MatchOp::Equal | MatchOp::Regex => is_match,
            MatchOp::NotEqual | MatchOp::NotRegex => !is_match,
        }
    }

    /// Whether a series fits that does not have the label.
    #[must_use]
    pub fn matches_absent(&self) -> bool {
        self.matches("")
    }

    /// Whether a series fits.
    #[must_use]
    pub fn matches_labels(&self, labels: &Labels) -> bool {
        self.matches(labels.get(&self.name).unwrap_or_default())
    }
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, self.op, &self.value) == (&other.name, other.op, &other.value)
    }
}

impl Eq for Matcher {}

/// As in a PromQL selector: `pod=~"api-.*"`.
impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{:?}", self.name, self.op, self.value)
    }
}
