//! Random series of histograms, as maps from bucket index to count.

use std::collections::BTreeMap;

use proptest::prelude::*;

use prometheus_model::{CounterResetHint, FloatHistogram, Histogram, Span, stale_nan};

use crate::Kind;

/// What a histogram says, however its spans are cut and whatever empty buckets it lists.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Model {
    pub(crate) hint: CounterResetHint,
    pub(crate) schema: i32,
    pub(crate) zero_threshold: f64,
    pub(crate) zero: u32,
    pub(crate) sum: f64,
    pub(crate) positive: BTreeMap<i32, u32>,
    pub(crate) negative: BTreeMap<i32, u32>,
    pub(crate) custom: Vec<f64>,
    /// Cut spans in two, with an empty one between.
    pub(crate) ragged: bool,
}

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Cut,
    /// Time to the sample before, start timestamp, histogram.
    Sample(i64, i64, Box<Model>),
}

impl Default for Model {
    fn default() -> Self {
        Self {
            hint: CounterResetHint::Unknown,
            schema: 1,
            zero_threshold: 0.5,
            zero: 3,
            sum: 1.5,
            positive: BTreeMap::from([(-1, 2), (0, 1), (3, 4)]),
            negative: BTreeMap::from([(1, 1)]),
            custom: vec![],
            ragged: false,
        }
    }
}

impl Model {
    /// All observations.
    pub(crate) fn count(&self) -> u32 {
        self.positive.values().sum::<u32>() + self.negative.values().sum::<u32>() + self.zero
    }

    fn turn(&mut self, turn: u8, index: i32, amount: u32) {
        match turn {
            0..=5 => *self.positive.entry(index).or_default() += amount,
            6..=8 => *self.negative.entry(index).or_default() += amount,
            9 => self.zero += amount,
            10 | 11 => {
                self.positive.retain(|_, count| *count > 0);
                self.negative.retain(|_, count| *count > 0);
            }
            12 => self.ragged = !self.ragged,
            13 => drop(self.positive.remove(&index)),
            14 => self.zero = self.zero.saturating_sub(amount),
            15 => self.hint = [CounterResetHint::Unknown, CounterResetHint::Gauge][amount as usize % 2],
            16 => self.hint = [CounterResetHint::CounterReset, CounterResetHint::NotCounterReset][amount as usize % 2],
            17 => self.schema = index.clamp(-4, 8),
            18 => (self.schema, self.custom) = (-53, (0..index.unsigned_abs()).map(|i| f64::from(i) / 8.0).collect()),
            19 => self.zero_threshold = f64::from(amount) / 4.0,
            20 => *self = Self { hint: self.hint, ..Self::default() },
            _ => self.sum = if self.sum == 1.5 { f64::NAN } else { 1.5 },
        }
        if self.schema != -53 {
            self.custom.clear();
        }
    }

    fn stale(&self) -> Self {
        Self { sum: stale_nan(), ..self.clone() }
    }
}

/// A series in which things change now and then.
pub(crate) fn series() -> impl Strategy<Value = Vec<Step>> {
    let step = (0_u8..48, -7_i32..8, 0_u32..6, 1_i64..2000, -3_i64..9);
    prop::collection::vec(step, 1..60).prop_map(|steps| {
        let mut model = Model::default();
        let mut st = 0;
        steps
            .into_iter()
            .map(|(turn, index, amount, delta, start)| {
                if start > 5 {
                    st = start * 100 - delta;
                }
                match turn {
                    23 => return Step::Cut,
                    24 => return Step::Sample(delta, st, Box::new(model.stale())),
                    // What follows turn 24 only lets counters rise.
                    25.. => {
                        let _ = model.positive.range_mut(index..).next().map(|(_, count)| *count += amount);
                    }
                    _ => model.turn(turn, index, amount),
                }
                Step::Sample(delta, st, Box::new(model.clone()))
            })
            .collect()
    })
}

fn spans(buckets: &BTreeMap<i32, u32>, ragged: bool) -> Vec<Span> {
    let mut spans: Vec<Span> = vec![];
    let mut end = 0;
    for &index in buckets.keys() {
        match spans.last_mut() {
            Some(last) if index == end && !ragged => last.length += 1,
            _ => {
                spans.push(Span { offset: index - end, length: 1 });
                if ragged {
                    spans.push(Span { offset: 0, length: 0 });
                }
            }
        }
        end = index + 1;
    }
    spans
}

/// The indexes of spans, one by one.
fn indexes(spans: &[Span]) -> Vec<i32> {
    let (mut indexes, mut next) = (vec![], 0);
    for span in spans {
        next += span.offset;
        for _ in 0..span.length {
            indexes.push(next);
            next += 1;
        }
    }
    indexes
}

/// From and to a [`Model`].
pub(crate) trait Modelled: Kind {
    fn of(model: &Model) -> Self;

    /// The model, without empty buckets.
    fn model(&self) -> Model;
}

fn occupied(spans: &[Span], counts: impl ExactSizeIterator<Item = u32>) -> BTreeMap<i32, u32> {
    let indexes = indexes(spans);
    assert_eq!(indexes.len(), counts.len());
    indexes.into_iter().zip(counts).filter(|&(_, count)| count > 0).collect()
}

impl Modelled for Histogram {
    fn of(m: &Model) -> Self {
        let deltas = |buckets: &BTreeMap<i32, u32>| {
            let counts = buckets.values().map(|&count| i64::from(count));
            counts.scan(0, |before, count| Some(count - std::mem::replace(before, count))).collect()
        };
        Self {
            counter_reset_hint: m.hint,
            schema: m.schema,
            zero_threshold: m.zero_threshold,
            zero_count: m.zero.into(),
            count: m.count().into(),
            sum: m.sum,
            positive_spans: spans(&m.positive, m.ragged),
            negative_spans: spans(&m.negative, m.ragged),
            positive_buckets: deltas(&m.positive),
            negative_buckets: deltas(&m.negative),
            custom_values: m.custom.clone(),
        }
    }

    fn model(&self) -> Model {
        let absolute = |deltas: &[i64]| {
            let counts = deltas.iter().scan(0, |count, delta| Some((*count += delta, *count as u32).1));
            counts.collect::<Vec<_>>().into_iter()
        };
        Model {
            hint: self.counter_reset_hint,
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            zero: self.zero_count as u32,
            sum: self.sum,
            positive: occupied(&self.positive_spans, absolute(&self.positive_buckets)),
            negative: occupied(&self.negative_spans, absolute(&self.negative_buckets)),
            custom: self.custom_values.clone(),
            ragged: false,
        }
    }
}

impl Modelled for FloatHistogram {
    fn of(m: &Model) -> Self {
        let thirds = |buckets: &BTreeMap<i32, u32>| buckets.values().map(|&count| f64::from(count) / 3.0).collect();
        Self {
            counter_reset_hint: m.hint,
            schema: m.schema,
            zero_threshold: m.zero_threshold,
            zero_count: f64::from(m.zero) / 3.0,
            count: f64::from(m.count()) / 3.0,
            sum: m.sum,
            positive_spans: spans(&m.positive, m.ragged),
            negative_spans: spans(&m.negative, m.ragged),
            positive_buckets: thirds(&m.positive),
            negative_buckets: thirds(&m.negative),
            custom_values: m.custom.clone(),
        }
    }

    fn model(&self) -> Model {
        let whole = |count: f64| {
            let whole = (count * 3.0).round();
            assert_eq!(whole / 3.0, count);
            whole as u32
        };
        let counts = |buckets: &[f64]| buckets.iter().map(|&count| whole(count)).collect::<Vec<_>>().into_iter();
        Model {
            hint: self.counter_reset_hint,
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            zero: whole(self.zero_count),
            sum: self.sum,
            positive: occupied(&self.positive_spans, counts(&self.positive_buckets)),
            negative: occupied(&self.negative_spans, counts(&self.negative_buckets)),
            custom: self.custom_values.clone(),
            ragged: false,
        }
    }
}

impl Model {
    /// What is to be read of it: no empty buckets, other hint; nothing but the sum if it is stale.
    pub(crate) fn as_read(&self, hint: CounterResetHint) -> Self {
        if prometheus_model::is_stale_nan(self.sum) {
            return Self {
                sum: self.sum,
                schema: 0,
                zero_threshold: 0.0,
                zero: 0,
                positive: BTreeMap::new(),
                negative: BTreeMap::new(),
                ..Self::default()
            };
        }
        let mut read = Self { hint, ragged: false, ..self.clone() };
        read.positive.retain(|_, count| *count > 0);
        read.negative.retain(|_, count| *count > 0);
        read
    }

    /// Equality with sums by bits.
    pub(crate) fn same(&self, other: &Self) -> bool {
        let but_sum = |m: &Self| Self { sum: 0.0, ..m.clone() };
        self.sum.to_bits() == other.sum.to_bits() && but_sum(self) == but_sum(other)
    }
}
