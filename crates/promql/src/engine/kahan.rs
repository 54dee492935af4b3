//! Sums with compensation for rounding, as Prometheus adds.

/// A sum, and what rounding has taken from it.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub(crate) struct Kahan {
    pub(crate) sum: f64,
    pub(crate) compensation: f64,
}

impl Kahan {
    pub(crate) const fn new(sum: f64) -> Self {
        Self { sum, compensation: 0.0 }
    }

    /// With this much more; Neumaier's variant.
    #[inline]
    pub(crate) fn plus(self, value: f64) -> Self {
        let Self { sum, compensation } = self;
        let total = sum + value;
        let lost = if sum.abs() >= value.abs() { (sum - total) + value } else { (value - total) + sum };
        Self { sum: total, compensation: if total.is_infinite() { 0.0 } else { compensation + lost } }
    }

    /// The sum with what was lost.
    #[inline]
    pub(crate) fn total(self) -> f64 {
        self.sum + self.compensation
    }
}

/// A mean: of a sum, as long as that does not overflow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mean {
    /// The sum, or the mean once sums overflow.
    value: Kahan,
    count: f64,
    is_incremental: bool,
}

impl Mean {
    pub(crate) const fn new(first: f64) -> Self {
        Self { value: Kahan::new(first), count: 1.0, is_incremental: false }
    }

    #[inline]
    pub(crate) fn plus(&mut self, value: f64) {
        self.count += 1.0;
        if !self.is_incremental {
            let sum = self.value.plus(value);
            if !sum.sum.is_infinite() {
                self.value = sum;
                return;
            }
            self.is_incremental = true;
            self.value.sum /= self.count - 1.0;
            self.value.compensation /= self.count - 1.0;
        }
        let q = (self.count - 1.0) / self.count;
        let scaled = Kahan { sum: q * self.value.sum, compensation: q * self.value.compensation };
        self.value = scaled.plus(value / self.count);
    }

    pub(crate) fn mean(self) -> f64 {
        if self.is_incremental {
            self.value.total()
        } else {
            self.value.sum / self.count + self.value.compensation / self.count
        }
    }
}
