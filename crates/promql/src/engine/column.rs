//! Values of a series, one for each step.

use std::sync::Arc;

use prometheus_model::{FloatHistogram, Labels, STALE_NAN_BITS, is_stale_nan, stale_nan};

/// What stands where a series has no float. No evaluation makes a staleness marker: those of samples are left out, and
/// arithmetic makes other NaNs of it.
pub(crate) const fn absent() -> f64 {
    stale_nan()
}

/// Whether there is a float.
pub(crate) const fn is_present(value: f64) -> bool {
    !is_stale_nan(value)
}

/// A float or a histogram.
#[derive(Clone, Debug)]
pub(crate) enum Point {
    Float(f64),
    Histogram(Arc<FloatHistogram>),
}

/// Values of a series. No step has both a float and a histogram.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    /// One for each step; [`absent`] where there is none.
    pub(crate) floats: Vec<f64>,
    /// Empty, or one for each step.
    pub(crate) histograms: Vec<Option<Arc<FloatHistogram>>>,
}

impl Column {
    pub(crate) fn absent(steps: usize) -> Self {
        Self { floats: vec![absent(); steps], histograms: Vec::new() }
    }

    pub(crate) const fn of_floats(floats: Vec<f64>) -> Self {
        Self { floats, histograms: Vec::new() }
    }

    pub(crate) const fn len(&self) -> usize {
        self.floats.len()
    }

    pub(crate) fn float(&self, step: usize) -> Option<f64> {
        self.floats.get(step).copied().filter(|value| is_present(*value))
    }

    pub(crate) fn histogram(&self, step: usize) -> Option<&Arc<FloatHistogram>> {
        self.histograms.get(step).and_then(Option::as_ref)
    }

    pub(crate) fn has_histograms(&self) -> bool {
        !self.histograms.is_empty()
    }

    pub(crate) fn get(&self, step: usize) -> Option<Point> {
        match self.float(step) {
            Some(value) => Some(Point::Float(value)),
            None => self.histogram(step).map(|histogram| Point::Histogram(Arc::clone(histogram))),
        }
    }

    pub(crate) fn is_present(&self, step: usize) -> bool {
        self.float(step).is_some() || self.histogram(step).is_some()
    }

    /// Puts a value where there is none, or takes it away.
    pub(crate) fn set(&mut self, step: usize, point: Option<Point>) {
        let (float, histogram) = match point {
            Some(Point::Float(value)) => (value, None),
            Some(Point::Histogram(histogram)) => (absent(), Some(histogram)),
            None => (absent(), None),
        };
        if let Some(place) = self.floats.get_mut(step) {
            *place = float;
        }
        if histogram.is_some() && self.histograms.is_empty() {
            self.histograms = vec![None; self.floats.len()];
        }
        if let Some(place) = self.histograms.get_mut(step) {
            *place = histogram;
        }
    }

    /// Whether there is no value at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.floats.iter().all(|value| value.to_bits() == STALE_NAN_BITS) && self.histograms.iter().all(Option::is_none)
    }

    /// The value of one step, for all of `steps`.
    pub(crate) fn repeated(&self, steps: usize) -> Self {
        Self {
            floats: vec![self.floats.first().copied().unwrap_or(absent()); steps],
            histograms: match self.histograms.first() {
                Some(histogram @ Some(_)) => vec![histogram.clone(); steps],
                _ => Vec::new(),
            },
        }
    }

    /// Takes over the values of `other` where this has none; `false` if both have one at a step.
    pub(crate) fn absorb(&mut self, other: &Self) -> bool {
        (0..self.len()).all(|step| match other.get(step) {
            Some(_) if self.is_present(step) => false,
            Some(point) => {
                self.set(step, Some(point));
                true
            }
            None => true,
        })
    }

    /// Bytes in memory: histograms count wholly, although steps may share them.
    pub(crate) fn bytes(&self) -> u64 {
        8 * self.floats.len() as u64 + self.histogram_bytes()
    }

    /// Bytes of the histograms.
    pub(crate) fn histogram_bytes(&self) -> u64 {
        let histograms: usize = self.histograms.iter().map(|h| 8 + h.as_ref().map_or(0, |h| h.size())).sum();
        histograms as u64
    }

    /// Steps that have a float.
    pub(crate) fn floats_present(&self) -> usize {
        self.floats.iter().filter(|value| is_present(**value)).count()
    }

    /// Samples as Prometheus counts them: a float is one, a histogram as many as it takes the memory of.
    pub(crate) fn samples(&self) -> u64 {
        self.floats_present() as u64 + self.histograms.iter().flatten().map(|h| histogram_samples(h)).sum::<u64>()
    }
}

/// How many floats take the memory of a histogram with its timestamp.
pub(crate) fn histogram_samples(histogram: &FloatHistogram) -> u64 {
    ((histogram.size() + 8) / 16) as u64
}

/// A series of a result.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    pub(crate) labels: Labels,
    /// Whether the name is to be removed when the query is done.
    pub(crate) drop_name: bool,
    pub(crate) column: Column,
}
