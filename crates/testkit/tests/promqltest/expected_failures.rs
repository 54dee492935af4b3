//! The list of evaluations that fail, and why they may. It can only shrink: an entry that no longer fails is an error.

use std::collections::{BTreeMap, BTreeSet};

use promparquet_testkit::promqltest::Report;

/// Lines of `expected-failures.txt`: target or `*`, script and line of the evaluation, reason.
pub(crate) struct ExpectedFailures(BTreeMap<(String, String), String>);

impl ExpectedFailures {
    pub(crate) fn read() -> Self {
        let entry = |line: &str| {
            let mut words = line.splitn(3, ' ');
            let [target, place, reason] = [(); 3].map(|()| words.next().unwrap_or_default().trim().to_owned());
            assert!(!reason.is_empty(), "expected-failures.txt: {line:?} gives no reason");
            ((target, place), reason)
        };
        let lines = include_str!("expected-failures.txt").lines().map(str::trim);
        Self(lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(entry).collect())
    }

    pub(crate) const fn none() -> Self {
        Self(BTreeMap::new())
    }

    /// # Panics
    /// If something else fails, or something on the list does not.
    pub(crate) fn check(&self, target: &str, report: &Report) {
        let place = |script: &str, line: usize| format!("{script}:{line}");
        let failed: BTreeSet<_> = report.failures.iter().map(|f| place(&f.script, f.line)).collect();
        let listed =
            |place: &String| ["*", target].iter().any(|t| self.0.contains_key(&((*t).to_owned(), place.clone())));
        let unexpected: Vec<_> = report.failures.iter().filter(|f| !listed(&place(&f.script, f.line))).collect();
        let limit = std::env::var("PROMQLTEST_SHOW").ok().and_then(|show| show.parse().ok()).unwrap_or(30);
        let shown: Vec<_> = unexpected.iter().take(limit).map(ToString::to_string).collect();
        assert!(unexpected.is_empty(), "{target}: {} unexpected failures:\n{}", unexpected.len(), shown.join("\n"));
        if std::env::var_os("PROMQLTEST_ONLY").is_none() {
            let stale =
                self.0.keys().find(|(of, place)| [target, "*"].contains(&of.as_str()) && !failed.contains(place));
            assert!(stale.is_none(), "{target}: {stale:?} does not fail any more: remove it from the list");
        }
    }
}
