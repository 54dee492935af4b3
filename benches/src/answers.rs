//! What a range query answers, summed up so that several engines can be compared.

use prometheus_model::{Labels, TimestampMs};
use prometheus_promql::QueryValue;
use serde::Serialize;

use crate::selects::Result;

/// What an answer holds: exactly but for the finite values. Of these it has weighted sums of inverse hyperbolic sines,
/// which differ a little if values do, and hardly if they are rounded otherwise. The Go side does the same.
#[derive(Clone, Serialize, Default, Debug)]
pub struct AnswerSummary {
    /// How many series.
    pub series: usize,
    /// How many samples.
    pub samples: usize,
    /// Of labels, times and kinds of values, in any order.
    pub checksum: String,
    /// Of the finite values.
    pub sum: f64,
    /// The same of their absolute values: differences are relative to it.
    pub scale: f64,
}

impl AnswerSummary {
    /// Sums up the answer of a range query.
    ///
    /// # Errors
    /// If it is none.
    pub fn of(value: &QueryValue) -> Result<Self> {
        let QueryValue::Matrix(matrix) = value else { return Err("a range query gives a matrix".into()) };
        let mut sum = Self { series: matrix.len(), ..Self::default() };
        let mut checksum = 0_u64;
        for series in matrix {
            let hash = hash(&series.labels);
            sum.samples += series.floats.len() + series.histograms.len();
            let floats = series.floats.iter().copied();
            for (time, value) in floats.chain(series.histograms.iter().map(|(t, h)| (*t, h.count + h.sum))) {
                checksum = checksum.wrapping_add(sum.add(hash, time, value));
            }
        }
        sum.checksum = format!("{checksum:016x}");
        Ok(sum)
    }

    fn add(&mut self, series: u64, time: TimestampMs, value: f64) -> u64 {
        let bits = (series ^ time.cast_unsigned()).wrapping_mul(0xC2B2_AE3D_27D4_EB4F);
        let bits = bits ^ bits >> 29;
        let kind = match value {
            v if v.is_nan() => 1,
            f64::INFINITY => 2,
            f64::NEG_INFINITY => 3,
            _ => {
                let weighted = value.asinh() * (1.0 + (bits >> 40) as f64 / f64::from(1 << 24));
                self.sum += weighted;
                self.scale += weighted.abs();
                0
            }
        };
        (bits ^ kind).wrapping_mul(0x9E37_79B1_85EB_CA87)
    }
}

/// FNV-1a of names and values, each with a byte behind it that no text has.
fn hash(labels: &Labels) -> u64 {
    let texts = labels.iter().flat_map(|(name, value)| [name, value]);
    texts.fold(0xCBF2_9CE4_8422_2325, |hash, text| {
        text.bytes().chain([0xFF]).fold(hash, |h: u64, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01B3))
    })
}
