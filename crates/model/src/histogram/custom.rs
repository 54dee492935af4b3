//! Custom buckets whose bounds differ: both are brought to the bounds that they have in common.

use super::{
    compensated::Compensated,
    layout::{Indexed, Layout},
    side::Side,
};

/// The bounds that both have; both ascend.
pub(super) fn common_bounds(a: &[f64], b: &[f64]) -> Vec<f64> {
    let mut common = Vec::new();
    let (mut a, mut b) = (a.iter().peekable(), b.iter().peekable());
    while let (Some(&&left), Some(&&right)) = (a.peek(), b.peek()) {
        if left == right {
            common.push(left);
            a.next();
            b.next();
        } else if left < right {
            a.next();
        } else {
            b.next();
        }
    }
    common
}

/// Sums of buckets by the common bounds, and one for what is above all.
#[derive(Debug)]
pub(super) struct Target<'a> {
    bounds: &'a [f64],
    counts: Vec<Compensated>,
}

impl<'a> Target<'a> {
    pub(super) fn new(bounds: &'a [f64]) -> Self {
        Self { bounds, counts: vec![Compensated::default(); bounds.len().saturating_add(1)] }
    }

    /// Adds buckets whose upper bounds are `bounds`.
    pub(super) fn add(&mut self, side: Side<'_>, bounds: &[f64], negated: bool) {
        let mut position = 0_usize;
        let mut compensations = side.compensations.iter();
        for place in Indexed::new(side.spans, side.counts) {
            let source = usize::try_from(place.index).ok().and_then(|index| bounds.get(index));
            let target = source.and_then(|source| {
                while !self.bounds.get(position).is_none_or(|bound| bound >= source) {
                    position = position.saturating_add(1);
                }
                (position < self.bounds.len()).then_some(position)
            });
            let compensation = compensations.next();
            if let Some(count) = self.counts.get_mut(target.unwrap_or(self.bounds.len())) {
                count.add(if negated { -place.count } else { place.count });
                if let Some(&compensation) = compensation {
                    count.add(compensation);
                }
            }
        }
    }

    /// The buckets that are not zero.
    pub(super) fn into_layout(self) -> Layout<Compensated> {
        let mut layout = Layout::with_capacity(self.counts.len());
        for (index, count) in (0_i64..).zip(self.counts).filter(|(_, count)| !count.is_zero()) {
            layout.push(index, count);
        }
        layout
    }
}
