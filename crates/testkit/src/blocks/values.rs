//! Series and their samples.
//!
//! The samples of a series follow from the seed, its labels and its target alone. So a second Prometheus server, an
//! out-of-order block and an oracle see the same values, whatever else they contain.

use prometheus_model::{Labels, METRIC_NAME, NORMAL_NAN_BITS, Sample, TimestampMs, Value, stale_nan};

use super::{
    clock::{Clock, Grid, Target, Tick},
    native::Native,
    rng::{Rng, mix2},
};

/// How the values of a series behave.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Shape {
    Zero,
    One,
    /// A constant integer.
    Fixed,
    /// A constant time in Unix seconds.
    StartTime,
    /// One for one in four series, else zero.
    Phase,
    /// A small integer that changes rarely.
    Steps,
    /// A counter that hardly ever counts.
    Restarts,
    /// An integer that wanders.
    Level,
    /// A size in bytes, of whole pages.
    Bytes,
    /// A number with two decimals that wanders.
    Ratio,
    /// A time in seconds with the digits of a stopwatch.
    Duration,
    /// A duration that stays between collections; NaN before the first.
    Quantile,
    /// A counter of things.
    Events,
    /// A counter of seconds, in hundredths.
    Seconds,
    /// A counter of bytes.
    Traffic,
    /// A bucket of a classic histogram, by number.
    Bucket(u8),
    /// Observations of a classic histogram, and their sum.
    Count,
    Sum,
    Native(NativeKind),
    /// All bits of the mantissa are random.
    Noise,
    /// Infinities, NaNs with payloads, negative zero, subnormals.
    Special,
    /// This many samples, of which a third is a staleness marker.
    Short(u8),
}

impl Shape {
    fn is_counter(self) -> bool {
        matches!(self, Self::Events | Self::Seconds | Self::Traffic | Self::Bucket(_) | Self::Count | Self::Sum)
    }
}

/// Kinds of native histograms.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum NativeKind {
    Integer,
    Float,
    Gauge,
    FloatGauge,
    /// Custom bounds.
    Custom,
    FloatCustom,
    /// The schema alternates between 3 and 2.
    SchemaChange,
    /// Negative buckets, a zero bucket that is widened.
    NegativeZero,
    /// Counter resets and staleness markers on the way.
    StaleReset,
    /// 20 floats, 20 histograms, 20 float histograms, and again.
    Mixed,
}

const SPECIAL: [f64; 16] = [
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::from_bits(NORMAL_NAN_BITS),
    f64::from_bits(0x7ff8_0000_dead_beef),
    f64::from_bits(0xfff0_0000_0000_0001),
    -0.0,
    0.0,
    5e-324,
    -5e-324,
    2.225_073_858_507_201e-308,
    f64::MAX,
    f64::MIN,
    9_007_199_254_740_993.0,
    f64::MIN_POSITIVE,
    1e-300,
    0.1,
];

/// Buckets of a classic histogram, that of +Inf included.
const BUCKET_COUNT: u8 = 12;

/// A series to be generated.
#[derive(Clone, Debug)]
pub struct Series {
    pub(crate) labels: Labels,
    pub(crate) target: Target,
    pub(crate) shape: Shape,
    pub(crate) seed: u64,
    pub(crate) grid: Grid,
    pub(crate) out_of_order: bool,
}

impl Series {
    /// Its labels, without external ones.
    #[must_use]
    pub fn labels(&self) -> &Labels {
        &self.labels
    }

    /// Its samples, ascending by time. Compare them with those of a block by [`canonical`](super::canonical).
    #[must_use]
    pub fn samples(&self) -> Samples {
        let seed = mix2(self.seed, self.labels.stable_hash());
        let mut rng = Rng::new(seed);
        let mut group = Rng::new(match self.shape {
            Shape::Bucket(_) | Shape::Count | Shape::Sum => mix2(self.seed, histogram_hash(&self.labels)),
            _ => seed,
        });
        let pace = Pace::draw(&mut group);
        let speed = group.below(u64::from(BUCKET_COUNT) - 2) as i32 + 1;
        let (share, latency_ms) = (share(self.shape, speed), 1 << speed);
        let level = match self.shape {
            _ if self.shape.is_counter() && self.target.from > self.grid.start => 0,
            Shape::Fixed => [0, 1, 5, 30, 100, 4096, 65_536, 110 << 20, 1 << 33][rng.below(9) as usize],
            Shape::StartTime => self.grid.start / 1000 - 60 - rng.below(40 * 86_400) as i64,
            Shape::Phase => i64::from(rng.one_in(4)),
            Shape::Steps => rng.below(6) as i64,
            Shape::Restarts => rng.below(3) as i64,
            Shape::Level => rng.below(1 << (4 + rng.clone().below(10))) as i64,
            Shape::Bytes => (1 << (8 + rng.below(10))) + rng.below(1 << 10) as i64,
            Shape::Ratio => rng.below(800) as i64,
            Shape::Quantile if rng.one_in(4) => -1,
            Shape::Quantile => 10_000 + rng.below(5_000_000) as i64,
            Shape::Events | Shape::Seconds | Shape::Traffic => pace.past(&mut rng),
            Shape::Bucket(_) | Shape::Count => (pace.past(&mut group) as f64 * share) as i64,
            Shape::Sum => pace.past(&mut group) * latency_ms * 3 / 2,
            _ => 0,
        };
        let native = match self.shape {
            Shape::Native(kind) => Some(Box::new(Native::new(kind, &mut rng))),
            _ => None,
        };
        Samples {
            clock: Clock::new(self.grid, &self.target),
            shape: self.shape,
            share,
            latency_ms,
            pace,
            rng,
            group,
            level,
            native,
            restart: self.target.restart.unwrap_or(TimestampMs::MAX),
            number: 0,
            late: self.out_of_order.then(|| Late::new(self.grid, mix2(seed, 1))),
        }
    }
}

/// Hash of what the series of one classic histogram have in common.
fn histogram_hash(labels: &Labels) -> u64 {
    let common = labels.iter().filter(|(name, _)| *name != "le");
    prometheus_model::stable_hash(common.map(|(name, value)| {
        let base = ["_bucket", "_count", "_sum"].iter().find_map(|suffix| value.strip_suffix(suffix));
        let value = if name == METRIC_NAME { base.unwrap_or(value) } else { value };
        (name.as_bytes(), value.as_bytes())
    }))
}

/// Which part of the observations a bucket counts, if `speed` is the bucket of the median.
fn share(shape: Shape, speed: i32) -> f64 {
    match shape {
        Shape::Bucket(bucket) if bucket + 1 < BUCKET_COUNT => {
            let power = i32::from(bucket) - speed;
            let odds = (1_u64 << (2 * power.unsigned_abs())) as f64;
            let odds = if power < 0 { 1.0 / odds } else { odds };
            odds / (odds + 1.0)
        }
        _ => 1.0,
    }
}

/// How fast a counter counts.
#[derive(Clone, Copy, Debug)]
enum Pace {
    /// Once in this many scrapes.
    Rare(u64),
    /// From half as much to one and a half times as much at every scrape.
    Often(u64),
}

impl Pace {
    fn draw(rng: &mut Rng) -> Self {
        match rng.below(100) {
            0..10 => Self::Rare(2000),
            10..18 => Self::Rare(20),
            18..46 => Self::Often(1 + rng.below(30)),
            _ => Self::Often(30 + rng.below(3000)),
        }
    }

    #[inline]
    fn step(self, rng: &mut Rng) -> i64 {
        let step = match self {
            Self::Rare(scrapes) => u64::from(rng.one_in(scrapes)),
            Self::Often(n) => n / 2 + rng.below(n + 1),
        };
        step as i64
    }

    /// What has been counted before the block.
    fn past(self, rng: &mut Rng) -> i64 {
        let scrapes = rng.below(100_000);
        let past = match self {
            Self::Rare(every) => scrapes / every,
            Self::Often(n) => n * scrapes,
        };
        past as i64
    }
}

/// The samples of a [`Series`].
#[derive(Clone, Debug)]
pub struct Samples {
    clock: Clock,
    shape: Shape,
    /// The series' own numbers.
    rng: Rng,
    /// Numbers that all series of a classic histogram draw alike.
    group: Rng,
    pace: Pace,
    level: i64,
    share: f64,
    latency_ms: i64,
    native: Option<Box<Native>>,
    restart: TimestampMs,
    /// How many samples there have been.
    number: u64,
    late: Option<Late>,
}

impl Iterator for Samples {
    type Item = Sample;

    #[inline]
    fn next(&mut self) -> Option<Sample> {
        let Some(mut late) = self.late.take() else { return self.scrape() };
        let found = std::iter::from_fn(|| self.scrape()).find_map(|sample| late.arrive(sample));
        self.late = Some(late);
        found
    }
}

impl Samples {
    #[inline]
    fn scrape(&mut self) -> Option<Sample> {
        let Tick { timestamp, gone } = self.clock.next()?;
        let value = if gone { self.stale() } else { self.value(timestamp)? };
        self.number += 1;
        Some(Sample { timestamp, start_timestamp: 0, value })
    }

    fn stale(&self) -> Value {
        self.native.as_ref().map_or(Value::Float(stale_nan()), |native| native.stale())
    }

    #[inline]
    fn value(&mut self, now: TimestampMs) -> Option<Value> {
        if now >= self.restart {
            self.restart = TimestampMs::MAX;
            self.restarted();
        }
        let rng = &mut self.rng;
        let value = match self.shape {
            Shape::Zero => 0.0,
            Shape::One => 1.0,
            Shape::Fixed | Shape::StartTime | Shape::Phase => self.level as f64,
            Shape::Steps => {
                if rng.one_in(200) {
                    self.level = rng.below(8) as i64;
                }
                self.level as f64
            }
            Shape::Restarts => {
                self.level += i64::from(rng.one_in(5000));
                self.level as f64
            }
            Shape::Level => {
                if rng.one_in(4) {
                    self.level = (self.level + rng.below(9) as i64 - 4).max(0);
                }
                self.level as f64
            }
            Shape::Bytes => {
                if rng.one_in(3) {
                    let step = (self.level >> 7).max(4);
                    self.level = (self.level + rng.below(2 * step as u64 + 1) as i64 - step).max(1);
                }
                (self.level * 4096) as f64
            }
            Shape::Ratio => {
                self.level = (self.level + rng.below(7) as i64 - 3).max(0);
                self.level as f64 / 100.0
            }
            Shape::Duration => (2_000_000 + rng.below(20_000_000)) as f64 / 1e9,
            Shape::Quantile => {
                if self.level < 0 {
                    f64::from_bits(NORMAL_NAN_BITS)
                } else {
                    if rng.one_in(8) {
                        self.level = 10_000 + rng.below(5_000_000) as i64;
                    }
                    self.level as f64 / 1e9
                }
            }
            Shape::Events => {
                self.level += self.pace.step(rng);
                self.level as f64
            }
            Shape::Seconds => {
                self.level += self.pace.step(rng);
                self.level as f64 / 100.0
            }
            Shape::Traffic => {
                let packets = self.pace.step(rng);
                self.level += packets * (60 + rng.below(1400) as i64);
                self.level as f64
            }
            Shape::Bucket(_) | Shape::Count => {
                // 16 bits: the sum with an integer is exact, so the last bucket counts all, and each no less than the
                // one before.
                let observations = self.pace.step(&mut self.group) as f64;
                let remainder = (self.group.next() >> 48) as f64 / 65_536.0;
                self.level += (observations * self.share + remainder) as i64;
                self.level as f64
            }
            Shape::Sum => {
                let observations = self.pace.step(&mut self.group);
                self.group.next();
                self.level += observations * (self.latency_ms + rng.below(self.latency_ms as u64) as i64);
                self.level as f64 / 1000.0
            }
            Shape::Native(_) => return self.native.as_mut().map(|native| native.scrape(rng)),
            Shape::Noise => 1.0 + (rng.next() >> 11) as f64 / (1_u64 << 53) as f64,
            Shape::Special => SPECIAL[(self.number % SPECIAL.len() as u64) as usize],
            Shape::Short(samples) if self.number >= u64::from(samples) => return None,
            Shape::Short(_) if self.number == 2 => stale_nan(),
            Shape::Short(_) => self.number as f64,
        };
        Some(Value::Float(value))
    }

    /// Counters begin anew.
    #[cold]
    fn restarted(&mut self) {
        if self.shape.is_counter() {
            self.level = 0;
        }
        if let Some(native) = &mut self.native {
            native.reset();
        }
    }
}

/// Makes the samples of an out-of-order block from those of the block that it overlaps: in the middle half of the time,
/// a quarter of them again, and a quarter half an interval later.
#[derive(Clone, Debug)]
struct Late {
    rng: Rng,
    from: TimestampMs,
    until: TimestampMs,
    by_ms: i64,
}

impl Late {
    fn new(grid: Grid, seed: u64) -> Self {
        let quarter = (grid.end - grid.start) / 4;
        Self { rng: Rng::new(seed), from: grid.start + quarter, until: grid.end - quarter, by_ms: grid.interval_ms / 2 }
    }

    fn arrive(&mut self, sample: Sample) -> Option<Sample> {
        let draw = self.rng.below(4);
        if !(self.from..self.until).contains(&sample.timestamp) || draw > 1 {
            return None;
        }
        Some(Sample { timestamp: sample.timestamp + draw as i64 * self.by_ms, ..sample })
    }
}
