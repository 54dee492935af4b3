//! Spans: which bucket indexes are present.

use std::{cmp::Ordering, fmt};

use prometheus_model::Span;

/// Why spans are malformed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum SpanError {
    /// A span other than the first has a negative offset.
    NegativeOffset { span: usize, offset: i32 },
    /// Buckets lie beyond the largest index.
    IndexOverflow { span: usize },
    /// They cover another number of buckets than are given.
    Mismatch { covered: u64, given: usize },
}

impl fmt::Display for SpanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NegativeOffset { span, offset } => {
                write!(f, "span {span} has the negative offset {offset}, which only span 0 may have")
            }
            Self::IndexOverflow { span } => {
                write!(f, "span {span} ends beyond the largest bucket index, {}", i32::MAX)
            }
            Self::Mismatch { covered, given } => {
                write!(f, "spans cover {covered} buckets, but {given} are given")
            }
        }
    }
}

/// How many buckets the spans cover: at most 2^32, once their indexes are known to ascend and to fit into an `i32`.
pub(crate) fn bucket_count(spans: &[Span]) -> Result<u64, SpanError> {
    let (mut covered, mut end) = (0_u64, 0_i64);
    for (span, &Span { offset, length }) in spans.iter().enumerate() {
        if span > 0 && offset < 0 {
            return Err(SpanError::NegativeOffset { span, offset });
        }
        end = end.saturating_add(offset.into()).saturating_add(length.into());
        // A span without buckets has no last bucket, but its end is where the next span counts from.
        if end > i64::from(i32::MAX).saturating_add(1) {
            return Err(SpanError::IndexOverflow { span });
        }
        covered = covered.saturating_add(length.into());
    }
    Ok(covered)
}

/// Checks that the spans are sound and cover as many buckets as are given.
pub(crate) fn check(spans: &[Span], given: usize) -> Result<(), SpanError> {
    let covered = bucket_count(spans)?;
    if covered == given as u64 { Ok(()) } else { Err(SpanError::Mismatch { covered, given }) }
}

/// The bucket indexes of checked spans, ascending.
pub(crate) fn indexes(spans: &[Span]) -> impl Iterator<Item = i32> + '_ {
    let mut end = 0_i64;
    spans.iter().flat_map(move |span| {
        let start = end.saturating_add(span.offset.into());
        end = start.saturating_add(span.length.into());
        (start..end).filter_map(|index| i32::try_from(index).ok())
    })
}

/// The shortest spans of ascending indexes. None if a gap is too wide for a span's offset.
pub(crate) fn from_indexes(indexes: impl IntoIterator<Item = i32>) -> Option<Vec<Span>> {
    let mut spans: Vec<Span> = Vec::new();
    let mut end = 0_i64;
    for index in indexes {
        let offset = i64::from(index).saturating_sub(end);
        match spans.last_mut() {
            Some(last) if offset == 0 => last.length = last.length.checked_add(1)?,
            _ => spans.push(Span { offset: i32::try_from(offset).ok()?, length: 1 }),
        }
        end = i64::from(index).saturating_add(1);
    }
    Some(spans)
}

/// The shortest spans of all buckets that are in `a` or `b`, both checked. None if a gap is too wide for a span.
pub(crate) fn union(a: &[Span], b: &[Span]) -> Option<Vec<Span>> {
    let (mut a, mut b) = (indexes(a).peekable(), indexes(b).peekable());
    from_indexes(std::iter::from_fn(|| match (a.peek(), b.peek()) {
        (Some(x), Some(y)) => match x.cmp(y) {
            Ordering::Less => a.next(),
            Ordering::Greater => b.next(),
            Ordering::Equal => {
                b.next();
                a.next()
            }
        },
        (Some(_), None) => a.next(),
        _ => b.next(),
    }))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn span(offset: i32, length: u32) -> Span {
        Span { offset, length }
    }

    fn any_spans() -> impl Strategy<Value = Vec<Span>> {
        (-5..5, prop::collection::vec((0..4, 0_u32..4), 0..6)).prop_map(|(first, rest)| {
            rest.into_iter().enumerate().map(|(i, (o, l))| span(if i == 0 { first } else { o }, l)).collect()
        })
    }

    #[test]
    fn malformed_spans() {
        assert_eq!(bucket_count(&[span(-7, 2), span(0, 0), span(3, 1)]), Ok(3));
        assert_eq!(bucket_count(&[span(-7, 2), span(-1, 1)]), Err(SpanError::NegativeOffset { span: 1, offset: -1 }));
        assert_eq!(bucket_count(&[span(i32::MIN, u32::MAX)]), Ok(u32::MAX.into()));
        assert_eq!(bucket_count(&[span(i32::MAX, 1)]), Ok(1));
        assert_eq!(bucket_count(&[span(i32::MAX, 2)]), Err(SpanError::IndexOverflow { span: 0 }));
        assert_eq!(check(&[span(1, 2)], 3), Err(SpanError::Mismatch { covered: 2, given: 3 }));
    }

    #[test]
    fn gaps_too_wide_for_a_span() {
        assert_eq!(union(&[span(i32::MIN, 1)], &[span(i32::MAX, 1)]), None);
        assert_eq!(union(&[span(-1, 1)], &[span(i32::MAX, 1)]), Some(vec![span(-1, 1), span(i32::MAX, 1)]));
    }

    proptest! {
        #[test]
        fn union_is_that_of_sets(a in any_spans(), b in any_spans()) {
            let set: BTreeSet<i32> = indexes(&a).chain(indexes(&b)).collect();
            let spans = union(&a, &b).unwrap();
            prop_assert_eq!(indexes(&spans).collect::<Vec<_>>(), set.iter().copied().collect::<Vec<_>>());
            prop_assert!(spans.iter().all(|s| s.length > 0) && spans.iter().skip(1).all(|s| s.offset > 0));
            prop_assert_eq!(bucket_count(&spans), Ok(set.len() as u64));
        }
    }
}
