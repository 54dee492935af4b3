//! Series that have everything PromQL can stumble over.

use prometheus_model::{Labels, LabelsError, NORMAL_NAN_BITS, Sample, TimestampMs, Value, stale_nan};

use super::Dialect;
use crate::blocks::{Native, NativeKind, Rng, mix_text, mix2};

/// First time of the data: a full hour.
pub const DATA_START: TimestampMs = 1_699_999_200_000;
/// How long there are data.
pub const DATA_LENGTH_MS: i64 = 3_600_000;

const INTERVAL_MS: i64 = 15_000;

/// What values a series has.
#[derive(Clone, Copy, PartialEq)]
enum Shape {
    Counter,
    Gauge,
    Special,
    Constant,
    Sparse,
    /// Number of the bucket.
    Bucket(u32),
    Native(NativeKind),
    /// A counter with start timestamps.
    Started,
    StartedNative,
}

struct Builder {
    dialect: Dialect,
    seed: u64,
    all: Vec<(Labels, Vec<Sample>)>,
}

/// The series of a seed, each with its samples. In the dialect of Prometheus 2.42 there are floats only, at times that are 1 s
/// after multiples of 5 s.
///
/// # Errors
/// None: the labels are right.
pub fn series(seed: u64, dialect: Dialect) -> Result<Vec<(Labels, Vec<Sample>)>, LabelsError> {
    let mut builder = Builder { dialect, seed, all: Vec::new() };
    builder.floats()?;
    if dialect == Dialect::Prometheus3 {
        builder.histograms()?;
    }
    Ok(builder.all)
}

impl Builder {
    fn floats(&mut self) -> Result<(), LabelsError> {
        for (job, instance) in [("api", "0"), ("api", "1"), ("db", "0"), ("db", "2")] {
            let target = [("job", job), ("instance", instance)];
            for code in ["200", "404", "500"] {
                self.add("requests_total", &target, &[("code", code)], Shape::Counter)?;
            }
            for zone in ["north", "south"] {
                self.add("temperature", &target, &[("zone", zone)], Shape::Gauge)?;
            }
            self.add("limit", &target, &[], Shape::Constant)?;
            self.add("odd", &target, &[], Shape::Special)?;
            self.add("sparse", &target, &[], Shape::Sparse)?;
            for (bucket, le) in (0..).zip(["0.1", "0.5", "1", "+Inf"]) {
                self.add("latency_seconds_bucket", &target, &[("le", le)], Shape::Bucket(bucket))?;
            }
            self.add("latency_seconds_count", &target, &[], Shape::Bucket(3))?;
            self.add("latency_seconds_sum", &target, &[], Shape::Counter)?;
            self.add(
                "target_info",
                &target,
                &[("version", &format!("v{instance}")), ("region", "eu")],
                Shape::Constant,
            )?;
        }
        let target = [("job", "odd"), ("instance", "0")];
        // No bucket without end, a bound that is none, and a bucket that shrinks.
        for (bucket, le) in [(0, "0.1"), (2, "1"), (1, "2"), (3, "much")] {
            self.add("latency_seconds_bucket", &target, &[("le", le)], Shape::Bucket(bucket))?;
        }
        // Of one target, two infos.
        self.add(
            "target_info",
            &[("job", "db"), ("instance", "0")],
            &[("version", "v9"), ("region", "us")],
            Shape::Sparse,
        )?;
        self.add(
            "build_info",
            &[("job", "api"), ("instance", "0")],
            &[("version", "w1"), ("branch", "main")],
            Shape::Constant,
        )?;
        self.add("build_info", &[("job", "db"), ("instance", "0")], &[("branch", "dev")], Shape::Constant)?;
        if self.dialect == Dialect::Prometheus3 {
            self.add("with.dots", &target, &[("label with blanks", "ä\"\n")], Shape::Gauge)?;
            self.add("typed", &target, &[("__type__", "counter"), ("__unit__", "bytes")], Shape::Counter)?;
            self.add("typed", &[("job", "odd")], &[("__type__", "gauge")], Shape::Gauge)?;
            // The same as another without its name.
            self.add("typed", &target, &[("__type__", "gauge"), ("__unit__", "bytes")], Shape::Gauge)?;
            for code in ["200", "500"] {
                self.add("started_total", &target, &[("code", code)], Shape::Started)?;
            }
        }
        Ok(())
    }

    fn histograms(&mut self) -> Result<(), LabelsError> {
        use NativeKind::{
            Custom, Float, FloatCustom, FloatGauge, Gauge, Integer, Mixed, NegativeZero, SchemaChange, StaleReset,
        };
        for (instance, kind) in
            [("0", Integer), ("1", Float), ("2", SchemaChange), ("3", NegativeZero), ("4", StaleReset)]
        {
            self.add("latency_seconds", &[("job", "api"), ("instance", instance)], &[], Shape::Native(kind))?;
        }
        for (instance, kind) in [("0", Custom), ("1", FloatCustom)] {
            self.add("size_bytes", &[("job", "db"), ("instance", instance)], &[], Shape::Native(kind))?;
        }
        for (instance, kind) in [("0", Gauge), ("1", FloatGauge), ("2", Custom), ("3", Integer)] {
            self.add("spread", &[("job", "api"), ("instance", instance)], &[], Shape::Native(kind))?;
        }
        for instance in ["0", "1"] {
            self.add("mixed", &[("job", "db"), ("instance", instance)], &[], Shape::Native(Mixed))?;
        }
        self.add("mixed", &[("job", "db"), ("instance", "2")], &[], Shape::Gauge)?;
        // A native histogram beside the classic buckets of the same target.
        self.add("latency_seconds_bucket", &[("job", "api"), ("instance", "0")], &[], Shape::Native(Integer))?;
        self.add("started_seconds", &[("job", "api"), ("instance", "0")], &[], Shape::StartedNative)
    }

    fn add(
        &mut self,
        name: &str,
        target: &[(&str, &str)],
        more: &[(&str, &str)],
        shape: Shape,
    ) -> Result<(), LabelsError> {
        let pairs = [("__name__", name)].into_iter().chain(target.iter().copied()).chain(more.iter().copied());
        let labels = Labels::from_pairs(pairs)?;
        let rng = Rng::new(mix2(self.seed, mix_text(1, &labels.to_string())));
        let samples = self.samples(shape, rng);
        self.all.push((labels, samples));
        Ok(())
    }

    fn samples(&self, shape: Shape, mut rng: Rng) -> Vec<Sample> {
        let older = self.dialect == Dialect::Prometheus2;
        let jitter = !older && rng.one_in(4);
        let shift = if older { 1_000 } else { 0 };
        let mut native = match shape {
            Shape::Native(kind) => Some(Native::new(kind, &mut rng)),
            Shape::StartedNative => Some(Native::new(NativeKind::Integer, &mut rng)),
            _ => None,
        };
        // No resets, and far from zero: how far an increase may begin before the range was otherwise once.
        let is_steady = older && shape == Shape::Counter;
        let least = if is_steady { 1e6 } else { 0.0 };
        let mut values = Values { shape, least, level: least + rng.below(50) as f64, step: 1 + rng.below(40) };
        let mut samples: Vec<Sample> = Vec::new();
        let (mut start, mut missing, mut last) = (0, 0_u64, TimestampMs::MIN);
        for i in 0..DATA_LENGTH_MS / INTERVAL_MS {
            let late = if jitter { rng.below(6_000) as i64 - 3_000 } else { 0 };
            let timestamp = DATA_START + i * INTERVAL_MS + shift + late;
            if shape == Shape::Sparse && i % 9 != 0 {
                continue;
            }
            if missing > 0 {
                missing -= 1;
                continue;
            }
            let mut reset = rng.one_in(40);
            if rng.one_in(60) && shape != Shape::Constant {
                missing = 1 + rng.below(40);
                if rng.one_in(2) {
                    // Staleness marker.
                    let value = native.as_ref().map_or(Value::Float(stale_nan()), Native::stale);
                    samples.push(Sample { timestamp, start_timestamp: 0, value });
                    reset = true;
                    last = timestamp;
                    continue;
                }
            }
            reset &= !is_steady;
            let value = match &mut native {
                Some(native) => {
                    if reset {
                        native.reset();
                    }
                    native.scrape(&mut rng)
                }
                None => Value::Float(values.next(&mut rng, reset)),
            };
            if matches!(shape, Shape::Started | Shape::StartedNative) {
                // Mostly as it should be; else none, the last sample's time, or before it.
                start = match rng.below(12) {
                    _ if reset => timestamp - 1 - rng.below(12_000) as i64,
                    0 => 0,
                    1 if last > 0 => last,
                    2 if last > 0 => last - 1 - rng.below(5_000) as i64,
                    _ if start == 0 => timestamp - 10_000,
                    _ => start,
                };
            }
            last = timestamp;
            samples.push(Sample { timestamp, start_timestamp: start, value });
        }
        samples
    }
}

struct Values {
    shape: Shape,
    /// What a counter begins with.
    least: f64,
    level: f64,
    step: u64,
}

impl Values {
    fn next(&mut self, rng: &mut Rng, reset: bool) -> f64 {
        match self.shape {
            Shape::Counter | Shape::Started | Shape::Bucket(_) => {
                if reset {
                    self.level = self.least;
                }
                let many = if let Shape::Bucket(number) = self.shape { u64::from(number + 1) * 5 } else { self.step };
                if !rng.one_in(4) {
                    self.level += rng.below(many + 1) as f64;
                }
                if self.shape == Shape::Counter && self.step.is_multiple_of(3) {
                    self.level += 0.1;
                }
                self.level
            }
            Shape::Special => match rng.below(12) {
                0 => f64::INFINITY,
                1 => f64::NEG_INFINITY,
                2 => f64::from_bits(NORMAL_NAN_BITS),
                3 => -0.0,
                4 => 1e300,
                5 => -1e-300,
                6 => 0.0,
                _ => rng.below(9) as f64 - 4.0,
            },
            Shape::Constant => self.step as f64,
            _ => {
                self.level += (rng.below(201) as f64 - 100.0) / if self.step.is_multiple_of(2) { 10.0 } else { 7.0 };
                if rng.one_in(10) {
                    self.level = self.level.round();
                }
                self.level
            }
        }
    }
}
