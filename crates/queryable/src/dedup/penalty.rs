//! Selects samples of replicas as Thanos does.
//!
//! Two replicas at a time: the one with the earlier sample is taken, and the other one gets a penalty of twice the time
//! between the last two samples taken; it may give no sample before the last one taken and the penalty are over. So
//! another replica takes over only where the one that is followed has a gap. Three replicas are two, of which the first
//! is made of two.

use prometheus_model::{Sample, TimeRange, TimestampMs, Value};

use crate::{
    error::Result,
    merge::forget_counter_reset,
    series::{Series, SeriesData},
};

/// The penalty before the time between two samples is known, in milliseconds.
const INITIAL_PENALTY_MS: TimestampMs = 5000;

/// Makes one series of replicas, of which there is one at least. A single replica stays as it is.
pub(super) fn select(mut replicas: Vec<Series>, adjusts_counters: bool) -> Result<Option<Series>> {
    let samples = match replicas.as_slice() {
        [] | [_] => return Ok(replicas.pop()),
        [first, ..] if matches!(first.data, SeriesData::Labels) => {
            replicas.truncate(1);
            return Ok(replicas.pop());
        }
        replicas => replicas.iter().map(Series::samples).collect::<Result<Vec<_>>>()?,
    };
    let with_samples = samples.iter().filter(|samples| !samples.is_empty()).count();
    if with_samples < 2 {
        let only = samples.iter().position(|samples| !samples.is_empty()).unwrap_or(0);
        return Ok(replicas.into_iter().nth(only));
    }
    let data = SeriesData::Samples(dedup(samples, adjusts_counters));
    let start = replicas.iter().map(|series| series.range.start()).min();
    let end = replicas.iter().map(|series| series.range.end()).max();
    let range = start.zip(end).and_then(|(start, end)| TimeRange::new(start, end).ok());
    Ok(replicas.pop().map(|series| Series { range: range.unwrap_or(series.range), data, ..series }))
}

/// Selects among samples of replicas, each ascending in time.
pub(super) fn dedup(replicas: Vec<Vec<Sample>>, adjusts_counters: bool) -> Vec<Sample> {
    let mut leaves = replicas.into_iter().enumerate().map(|(number, samples)| {
        let samples = if adjusts_counters { without_resets(samples) } else { samples };
        Source::Replica(Replica { number, samples, at: 0, lifted: 0.0, adjusts: adjusts_counters })
    });
    let Some(first) = leaves.next() else { return Vec::new() };
    let mut all = leaves.fold(first, |a, b| Source::Pair(Box::new(Pair::new(a, b))));
    if let Source::Pair(pair) = &mut all {
        pair.advance();
    }
    let mut selected: Vec<Sample> = Vec::new();
    let mut previous = None;
    while let Some(current) = all.current() {
        let place = (current.number, current.at);
        let mut sample = current.sample();
        if previous.is_none() || previous != place.1.checked_sub(1).map(|before| (place.0, before)) {
            forget_counter_reset(&mut sample.value);
        }
        previous = Some(place);
        selected.push(sample);
        all.step();
    }
    selected
}

/// What a counter counted in all, without its resets. Other NaNs than staleness markers go, too, as in Thanos.
fn without_resets(mut samples: Vec<Sample>) -> Vec<Sample> {
    samples.retain(|sample| !matches!(sample.value, Value::Float(v) if v.is_nan()));
    let mut last: Option<(f64, f64)> = None;
    for sample in &mut samples {
        let Value::Float(value) = &mut sample.value else { continue };
        let total = match last {
            None => *value,
            Some((last, total)) if *value >= last => total + (*value - last),
            Some((_, total)) => total + *value,
        };
        last = Some((*value, total));
        *value = total;
    }
    samples
}

/// Samples of one replica, or those selected of several; at one of them, until there are none.
#[derive(Debug)]
enum Source {
    Replica(Replica),
    Pair(Box<Pair>),
}

#[derive(Debug)]
struct Replica {
    number: usize,
    samples: Vec<Sample>,
    /// The current sample.
    at: usize,
    /// By how much floats are lifted, because another replica had counted further.
    lifted: f64,
    adjusts: bool,
}

impl Replica {
    fn sample(&self) -> Sample {
        let mut sample = self.samples[self.at].clone();
        if let Value::Float(value) = &mut sample.value
            && self.adjusts
        {
            *value += self.lifted;
        }
        sample
    }

    fn float(&self) -> Option<f64> {
        match self.samples.get(self.at)?.value {
            Value::Float(value) => Some(if self.adjusts { value + self.lifted } else { value }),
            _ => None,
        }
    }
}

/// Two sources, of which one is followed.
#[derive(Debug)]
struct Pair {
    a: Source,
    b: Source,
    /// Which one is followed.
    follows_a: bool,
    /// When the last sample was, if one has been taken.
    last: Option<TimestampMs>,
    penalty_a: TimestampMs,
    penalty_b: TimestampMs,
}

impl Source {
    /// The replica whose sample is the current one; none at the end.
    fn current(&self) -> Option<&Replica> {
        match self {
            Self::Replica(replica) => (replica.at < replica.samples.len()).then_some(replica),
            Self::Pair(pair) if pair.follows_a => pair.a.current(),
            Self::Pair(pair) => pair.b.current(),
        }
    }

    fn timestamp(&self) -> Option<TimestampMs> {
        self.current().and_then(|replica| replica.samples.get(replica.at)).map(|sample| sample.timestamp)
    }

    fn float(&self) -> Option<f64> {
        self.current().and_then(Replica::float)
    }

    /// Goes to the next sample.
    fn step(&mut self) {
        match self {
            Self::Replica(replica) => replica.at += 1,
            Self::Pair(pair) => pair.advance(),
        }
    }

    /// Goes on to the first sample at `t` or later; stays if it is there.
    fn seek(&mut self, t: TimestampMs) {
        match self {
            Self::Replica(replica) => {
                let rest = replica.samples.get(replica.at..).unwrap_or_default();
                replica.at += rest.partition_point(|sample| sample.timestamp < t);
            }
            // What is selected depends on all that came before.
            Self::Pair(pair) => {
                while pair.timestamp().is_some_and(|at| at < t) {
                    pair.advance();
                }
            }
        }
    }

    /// Sees to it that the current float is not less than `last`.
    fn lift(&mut self, last: f64) {
        match self {
            Self::Replica(replica) => {
                if let Some(value) = replica.float()
                    && replica.adjusts
                    && last > value
                {
                    replica.lifted += last - value;
                }
            }
            Self::Pair(pair) => pair.lift(last),
        }
    }
}

impl Pair {
    /// A pair that follows the first source; [`advance`](Self::advance) leads to its first sample.
    fn new(mut a: Source, mut b: Source) -> Self {
        for source in [&mut a, &mut b] {
            if let Source::Pair(pair) = source {
                pair.advance();
            }
        }
        Self { a, b, follows_a: true, last: None, penalty_a: 0, penalty_b: 0 }
    }

    fn timestamp(&self) -> Option<TimestampMs> {
        if self.follows_a { self.a.timestamp() } else { self.b.timestamp() }
    }

    fn lift(&mut self, last: f64) {
        self.a.lift(last);
        self.b.lift(last);
    }

    fn advance(&mut self) {
        let (followed_a, float) = (self.follows_a, if self.follows_a { self.a.float() } else { self.b.float() });
        self.take_next();
        if let Some(float) = float
            && self.follows_a != followed_a
        {
            self.lift(float);
        }
    }

    fn take_next(&mut self) {
        // Ends, since no sample is in the last millisecond that there is.
        let after = self.last.map_or(TimestampMs::MIN, |last| last.saturating_add(1));
        self.a.seek(after.saturating_add(self.penalty_a));
        self.b.seek(after.saturating_add(self.penalty_b));
        match (self.a.timestamp(), self.b.timestamp()) {
            (Some(a), None) => {
                (self.follows_a, self.last, self.penalty_a) = (true, Some(a), 0);
            }
            (None, b) => {
                self.follows_a = false;
                if b.is_some() {
                    (self.last, self.penalty_b) = (b, 0);
                }
            }
            (Some(a), Some(b)) => {
                self.follows_a = a <= b;
                let taken = a.min(b);
                let penalty = match self.last {
                    Some(last) => taken.saturating_sub(last).saturating_mul(2),
                    None => INITIAL_PENALTY_MS,
                };
                (self.penalty_a, self.penalty_b) = if self.follows_a { (0, penalty) } else { (penalty, 0) };
                self.last = Some(taken);
            }
        }
    }
}
