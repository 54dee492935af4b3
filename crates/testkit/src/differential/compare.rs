//! When two answers say the same.

use std::collections::BTreeMap;

use super::evaluation::{EvaluatedHistogram, EvaluatedSeries, Evaluation};
use super::known;

/// What must be the same.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Strictness {
    /// Everything: values to 1e-9, messages of errors, warnings, infos, and samples that were looked at.
    All,
    /// Values to 1e-9, and whether there is an error: another version words messages otherwise.
    Values,
}

/// What is different, if anything. Series may be in any order, unless the query sorts.
#[must_use]
pub fn differences(query: &str, ours: &Evaluation, theirs: &Evaluation, strictness: Strictness) -> Option<String> {
    let all = strictness == Strictness::All;
    if ours.is_refused(theirs) || known::is_defect(query, ours, theirs) {
        return None;
    }
    if !all && known::is_older_defect(query, ours, theirs) {
        return None;
    }
    let same_error = plain(&ours.error) == plain(&theirs.error)
        || (known::is_of_data(&ours.error) && known::is_of_data(&theirs.error));
    if ours.error_class != theirs.error_class || (all && !same_error) {
        return Some(format!(
            "errors: {} {:?} and {} {:?}",
            ours.error_class, ours.error, theirs.error_class, theirs.error
        ));
    }
    if !ours.error_class.is_empty() {
        return None;
    }
    if ours.r#type != theirs.r#type || ours.text != theirs.text {
        return Some(format!("{} {:?} and {} {:?}", ours.r#type, ours.text, theirs.r#type, theirs.text));
    }
    if all {
        for (kind, a, b) in [("warnings", &ours.warnings, &theirs.warnings), ("infos", &ours.infos, &theirs.infos)] {
            let (mut a, mut b) = (sorted(a), sorted(b));
            known::drop_annotations(query, &mut a, &mut b);
            if a != b {
                return Some(format!("{kind}: {a:?} and {b:?}"));
            }
        }
    }
    let same_samples = ours.samples == theirs.samples && ours.steps == theirs.steps;
    if all && !same_samples && !known::is_left_unread(query, ours, theirs) {
        return Some(format!(
            "samples looked at: {} {:?} and {} {:?}",
            ours.samples, ours.steps, theirs.samples, theirs.steps
        ));
    }
    let (mut left, mut right) = (by_labels(&ours.series), by_labels(&theirs.series));
    if ours.series.len() != theirs.series.len() || left.keys().ne(right.keys()) {
        let only = |a: &BTreeMap<_, &EvaluatedSeries>, b: &BTreeMap<_, &EvaluatedSeries>| {
            let only: Vec<_> = a.iter().filter(|(l, _)| !b.contains_key(*l)).map(|(_, s)| s.show()).collect();
            only.join("\n    ")
        };
        let (a, b) = (ours.series.len(), theirs.series.len());
        return Some(format!(
            "{a} and {b} series\n  only ours:\n    {}\n  only theirs:\n    {}",
            only(&left, &right),
            only(&right, &left)
        ));
    }
    // Ties may be sorted in any order: values, not labels, are compared.
    if query.trim_start().starts_with("sort") && ours.r#type == "vector" {
        let values = |e: &Evaluation| {
            e.series.iter().flat_map(|s| s.floats.iter().map(|(_, v)| f64::from_bits(*v))).collect::<Vec<_>>()
        };
        let (a, b) = (values(ours), values(theirs));
        if a.len() != b.len() || !a.iter().zip(&b).all(|(a, b)| same(*a, *b)) {
            return Some(format!("order: {a:?} and {b:?}"));
        }
    }
    while let (Some((_, a)), Some((_, b))) = (left.pop_first(), right.pop_first()) {
        if let Some(difference) = of_series(a, b) {
            return Some(format!("{}: {difference}\n  ours:   {}\n  theirs: {}", a.name(), a.show(), b.show()));
        }
    }
    None
}

fn by_labels(series: &[EvaluatedSeries]) -> BTreeMap<&[(String, String)], &EvaluatedSeries> {
    series.iter().map(|series| (series.labels.as_slice(), series)).collect()
}

fn of_series(a: &EvaluatedSeries, b: &EvaluatedSeries) -> Option<String> {
    let times = |s: &EvaluatedSeries| s.floats.iter().map(|(t, _)| *t).collect::<Vec<_>>();
    if times(a) != times(b) {
        return Some("times of floats".to_owned());
    }
    if let Some((x, y)) = a.floats.iter().zip(&b.floats).find(|(x, y)| !same(f64::from_bits(x.1), f64::from_bits(y.1)))
    {
        return Some(format!("at {}: {:?} and {:?}", x.0, f64::from_bits(x.1), f64::from_bits(y.1)));
    }
    if a.histograms.len() != b.histograms.len() {
        return Some("number of histograms".to_owned());
    }
    let pair = a.histograms.iter().zip(&b.histograms).find(|(x, y)| !same_histogram(x, y));
    pair.map(|(x, y)| format!("histogram at {}\n    {}\n    {}", x.time, show(x), show(y)))
}

fn show(h: &EvaluatedHistogram) -> String {
    let buckets = |all: &[super::evaluation::EvaluatedBucket]| {
        all.iter().map(|b| format!("{}:{}", b.index, f64::from_bits(b.count))).collect::<Vec<_>>().join(" ")
    };
    format!(
        "schema {} hint {} count {} sum {} zero {} of {} positive [{}] negative [{}] bounds {:?}",
        h.schema,
        h.hint,
        f64::from_bits(h.count),
        f64::from_bits(h.sum),
        f64::from_bits(h.zero_count),
        f64::from_bits(h.zero_threshold),
        buckets(&h.positive),
        buckets(&h.negative),
        h.bounds.iter().map(|b| f64::from_bits(*b)).collect::<Vec<_>>(),
    )
}

fn same_histogram(a: &EvaluatedHistogram, b: &EvaluatedHistogram) -> bool {
    let bits = |a, b| same(f64::from_bits(a), f64::from_bits(b));
    let buckets = [(&a.positive, &b.positive), (&a.negative, &b.negative)];
    (a.time, a.schema, a.hint, a.zero_threshold) == (b.time, b.schema, b.hint, b.zero_threshold)
        && a.bounds == b.bounds
        && bits(a.count, b.count)
        && bits(a.sum, b.sum)
        && bits(a.zero_count, b.zero_count)
        && buckets.iter().all(|(a, b)| {
            a.len() == b.len() && a.iter().zip(*b).all(|(a, b)| a.index == b.index && bits(a.count, b.count))
        })
}

/// To a billionth. All NaNs but staleness markers are one, and so are both zeros.
fn same(a: f64, b: f64) -> bool {
    let marker = prometheus_model::is_stale_nan;
    (a.is_nan() && b.is_nan() && marker(a) == marker(b)) || a == b || (a - b).abs() <= 1e-9 * a.abs().max(b.abs())
}

fn sorted(texts: &[String]) -> Vec<String> {
    let mut all: Vec<_> = texts.iter().map(|text| plain(text)).collect();
    all.sort_unstable();
    all
}

/// Without what depends on the order in which Prometheus goes through a map: how often something occurred, and which samples
/// are counted; and which series are named that match twice, if several do.
fn plain(text: &str) -> String {
    let text = if text.contains("found duplicate series for the match group") {
        outside_braces(text)
    } else {
        text.to_owned()
    };
    let text = without(&text, ", over ", " samples");
    without(&text, " (", " occurrences)")
}

fn outside_braces(text: &str) -> String {
    let parts = text.split('{').map(|part| part.rsplit_once('}').map_or(part, |(_, behind)| behind));
    parts.collect()
}

/// Without a number between two texts, and these.
fn without(text: &str, before: &str, after: &str) -> String {
    for (start, _) in text.match_indices(before) {
        let Some((head, rest)) = text.split_at_checked(start) else { continue };
        let rest = &rest[before.len()..];
        // Counts may run over.
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '-').len();
        if digits > 0
            && let Some(tail) = rest[digits..].strip_prefix(after)
        {
            return format!("{head}{tail}");
        }
    }
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_random_in_prometheus_does_not_count() {
        assert_eq!(plain("x, over 3 samples from a"), "x from a");
        assert_eq!(plain("overlaps (7 occurrences) (1:4)"), "overlaps (1:4)");
        let twice = "found duplicate series for the match group {a=\"b\"} on the left: [{c=\"d\"}, {}];many";
        assert_eq!(plain(twice), "found duplicate series for the match group  on the left: [, ];many");
        assert_eq!(plain("over samples (1:4)"), "over samples (1:4)");
    }

    #[test]
    fn answers_differ_in_values_times_labels_and_annotations() {
        let series = |value: f64| EvaluatedSeries { floats: vec![(1, value.to_bits())], ..EvaluatedSeries::default() };
        let of = |series: Vec<_>| Evaluation { r#type: "vector".to_owned(), series, ..Evaluation::default() };
        let differ = |a: &_, b: &_| differences("", a, b, Strictness::All).is_some();
        let one = of(vec![series(1.0)]);
        assert!(!differ(&one, &of(vec![series(1.0 + 1e-12)])));
        assert!(differ(&one, &of(vec![series(1.0 + 1e-6)])));
        assert!(differ(&one, &of(vec![])));
        assert!(differ(&of(vec![series(f64::NAN)]), &of(vec![series(prometheus_model::stale_nan())])));
        assert!(differ(&one, &Evaluation { infos: vec!["x".to_owned()], ..one.clone() }));
        assert!(differ(&one, &Evaluation { error_class: "execution".to_owned(), ..Evaluation::default() }));
        let later = EvaluatedSeries { floats: vec![(2, 1.0_f64.to_bits())], ..EvaluatedSeries::default() };
        assert!(differ(&one, &of(vec![later])));
    }
}
