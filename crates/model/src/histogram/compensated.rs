//! Sums that carry what rounding lost, by Kahan's algorithm as Neumaier improved it.

/// A sum and what is to be added to it in the end.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub(super) struct Compensated {
    pub(super) sum: f64,
    pub(super) compensation: f64,
}

impl Compensated {
    pub(super) const fn new(sum: f64, compensation: f64) -> Self {
        Self { sum, compensation }
    }

    pub(super) fn add(&mut self, increment: f64) {
        let total = self.sum + increment;
        if total.is_infinite() {
            self.compensation = 0.0;
        } else if self.sum.abs() >= increment.abs() {
            self.compensation += (self.sum - total) + increment;
        } else {
            self.compensation += (increment - total) + self.sum;
        }
        self.sum = total;
    }

    /// Both are zero.
    pub(super) fn is_zero(self) -> bool {
        self.sum == 0.0 && self.compensation == 0.0
    }
}
