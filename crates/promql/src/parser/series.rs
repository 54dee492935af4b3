//! Series and their values, in the notation of test scripts.
//!
//! ```text
//! series    = metric { " " [ item ] }
//! item      = "_" [ "x" times ]
//!           | ( number | "stale" ) [ [ ( "+" | "-" ) number ] "x" times ]
//!           | histogram [ [ ( "+" | "-" ) histogram ] "x" times ]
//! histogram = "{{" { key ":" ( number | "[" { number } "]" | hint ) } "}}"
//! ```
//!
//! `_x3` are three values that are left out; `1x3` and `1+2x3` are four values, one at the start and three more.

use super::{
    token::{Kind, Token},
    tokens::{Parsed, Stop, Tokens},
};
use crate::{
    ast::Span,
    error::{Repr, Result},
    quote::quote,
};
use prometheus_model::{CounterResetHint, FloatHistogram, Labels, stale_nan};

/// A series and its values.
#[derive(Clone, PartialEq, Debug)]
pub struct SeriesDescription {
    /// The labels.
    pub labels: Labels,
    /// The values, in order.
    pub items: Vec<SequenceItem>,
}

/// One or several values.
#[derive(Clone, PartialEq, Debug)]
pub enum SequenceItem {
    /// No value, so many times.
    Omitted {
        /// How many.
        times: u64,
    },
    /// A number, and so many more.
    Float {
        /// The first.
        value: f64,
        /// What is added each time. Without it, the bits stay the same: `stalex3`.
        step: Option<f64>,
        /// How many more.
        more: u64,
    },
    /// A histogram, and so many more.
    Histogram {
        /// The first.
        histogram: Box<FloatHistogram>,
        /// What is done each time.
        step: Option<(HistogramStep, Box<FloatHistogram>)>,
        /// How many more.
        more: u64,
        /// Whether a counter-reset hint was given: that of the step's histogram, if there is one.
        has_hint: bool,
    },
}

/// What is done with a histogram to get the next one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HistogramStep {
    /// `+`
    Add,
    /// `-`
    Sub,
}

/// A value of a series, or none.
#[derive(Clone, PartialEq, Debug)]
pub enum SequenceValue {
    /// There is none.
    Omitted,
    /// A number; [`prometheus_model::is_stale_nan`] if the series ends here.
    Float(f64),
    /// A histogram.
    Histogram {
        /// It.
        histogram: FloatHistogram,
        /// Whether a counter-reset hint was given.
        has_hint: bool,
    },
}

/// How [`SeriesDescription::values`] adds histograms and subtracts them.
pub type Combine<'a, E> =
    &'a mut dyn FnMut(FloatHistogram, HistogramStep, &FloatHistogram) -> Result<FloatHistogram, E>;

impl SeriesDescription {
    /// All values, one by one: at most `limit` of them. `combine` computes what follows a histogram; the arithmetic of
    /// histograms is no part of parsing.
    ///
    /// # Errors
    /// That of `combine`; [`LimitExceeded`](crate::ErrorKind::LimitExceeded) if there are more values.
    pub fn values<E: From<crate::Error>>(
        &self,
        limit: usize,
        combine: Combine<'_, E>,
    ) -> Result<Vec<SequenceValue>, E> {
        let total = self.items.iter().fold(0_u64, |total, item| total.saturating_add(item.len()));
        if usize::try_from(total).map_or(true, |total| total > limit) {
            return Err(crate::Error::from(Repr::TooManyValues { limit }).into());
        }
        let mut values = Vec::new();
        for item in &self.items {
            match item {
                SequenceItem::Omitted { times } => values.extend((0..*times).map(|_| SequenceValue::Omitted)),
                SequenceItem::Float { value, step, more } => {
                    let mut value = *value;
                    values.push(SequenceValue::Float(value));
                    for _ in 0..*more {
                        if let Some(step) = step {
                            value += step;
                        }
                        values.push(SequenceValue::Float(value));
                    }
                }
                SequenceItem::Histogram { histogram, step, more, has_hint } => {
                    let (mut histogram, has_hint) = ((**histogram).clone(), *has_hint);
                    for _ in 0..*more {
                        values.push(SequenceValue::Histogram { histogram: histogram.clone(), has_hint });
                        if let Some((step, other)) = step {
                            histogram = combine(histogram, *step, other)?;
                        }
                    }
                    values.push(SequenceValue::Histogram { histogram, has_hint });
                }
            }
        }
        Ok(values)
    }
}

impl SequenceItem {
    /// How many values it stands for.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "none is a number like others here")]
    pub fn len(&self) -> u64 {
        match self {
            Self::Omitted { times } => *times,
            Self::Float { more, .. } | Self::Histogram { more, .. } => more.saturating_add(1),
        }
    }
}

/// Names and values of labels.
type Pairs = Vec<(String, String)>;

/// A histogram, and whether a hint was given.
type Described = (Box<FloatHistogram>, bool);

/// What a histogram's keys say.
#[derive(Debug)]
enum Value {
    Float(f64),
    Int(i64),
    Floats(Vec<f64>),
    Hint(CounterResetHint),
}

impl Tokens<'_> {
    /// A whole series description.
    pub(super) fn series_description(&mut self) -> Parsed<Option<(Pairs, Vec<SequenceItem>)>> {
        let labels = self.metric()?;
        let mut items = Vec::new();
        if !matches!(self.peek(), Kind::Space | Kind::Eof | Kind::End) {
            while !self.reject_here("series values", "")? {
                if matches!(self.peek(), Kind::Space | Kind::Eof | Kind::End) {
                    break;
                }
            }
        }
        while self.peek() == Kind::Space {
            match self.sequence_item() {
                Err(Stop::Syntax) => self.unexpected("series values", ""),
                item => items.extend(item?),
            }
        }
        Ok(Some((labels, items)))
    }

    /// A space, and an item if there is one.
    fn sequence_item(&mut self) -> Parsed<Option<SequenceItem>> {
        self.take();
        Ok(Some(match self.peek() {
            Kind::Blank => {
                self.take();
                SequenceItem::Omitted { times: if self.peek() == Kind::Times { self.times()? } else { 1 } }
            }
            Kind::Identifier => {
                let token = self.take();
                if self.text(token) != "stale" {
                    self.unexpected("series values", "number or \"stale\"");
                }
                self.float_item(stale_nan())?
            }
            Kind::Number | Kind::Duration | Kind::Add | Kind::Sub => {
                let value = self.signed_number()?;
                self.float_item(value)?
            }
            Kind::OpenHist => self.histogram_item()?,
            _ => return Ok(None),
        }))
    }

    fn float_item(&mut self, value: f64) -> Parsed<SequenceItem> {
        let (step, more) = match self.peek() {
            Kind::Times => (None, self.times()?),
            Kind::Add | Kind::Sub => (Some(self.signed_number()?), self.times()?),
            _ => (None, 0),
        };
        Ok(SequenceItem::Float { value, step, more })
    }

    /// `x3`
    fn times(&mut self) -> Parsed<u64> {
        self.expect(Kind::Times)?;
        self.repetition()
    }

    /// An unsigned integer.
    fn repetition(&mut self) -> Parsed<u64> {
        let token = self.expect(Kind::Number)?;
        let text = self.text(token);
        Ok(text.parse().unwrap_or_else(|_| {
            let is_integer = text.bytes().all(|b| b.is_ascii_digit());
            let reason = if is_integer { "value out of range" } else { "invalid syntax" };
            let message = format!("strconv.ParseUint: parsing {}: {reason}", quote(text));
            self.error(Span::new(token.start, token.end), format!("invalid repetition in series values: {message}"));
            0
        }))
    }

    fn histogram_item(&mut self) -> Parsed<SequenceItem> {
        let (histogram, has_hint) = self.histogram()?;
        let operator = self.peek();
        if operator == Kind::Times {
            return Ok(SequenceItem::Histogram { histogram, step: None, more: self.times()?, has_hint });
        }
        let step = match operator {
            Kind::Add => HistogramStep::Add,
            Kind::Sub => HistogramStep::Sub,
            _ => return Ok(SequenceItem::Histogram { histogram, step: None, more: 0, has_hint }),
        };
        self.take();
        let (other, has_hint) = self.histogram()?;
        let more = self.times()?;
        if more > 0 && histogram.schema > other.schema {
            let (from, to) = (other.schema, histogram.schema);
            self.error(
                self.last_span(),
                format!("error combining histograms: cannot merge from schema {from} to {to}"),
            );
        } else if more > 0 && histogram.uses_custom_buckets() != other.uses_custom_buckets() {
            let message =
                "cannot apply this operation on histograms with a mix of exponential and custom bucket schemas";
            self.error(self.last_span(), message.to_owned());
        }
        Ok(SequenceItem::Histogram { histogram, step: Some((step, other)), more, has_hint })
    }

    fn histogram(&mut self) -> Parsed<Described> {
        self.expect(Kind::OpenHist)?;
        let mut pairs: Vec<(Kind, Value)> = Vec::new();
        let next = self.await_where(|kind| matches!(kind, Kind::Space | Kind::CloseHist) || is_key(kind))?;
        match next {
            Kind::CloseHist => {
                self.take();
            }
            Kind::Space => {
                self.take();
                self.expect(Kind::CloseHist)?;
            }
            _ => {
                let first = self.histogram_pair()?;
                pairs.push(first);
                loop {
                    match self.next_histogram_pair() {
                        Ok(None) => break,
                        Ok(Some((key, value))) => {
                            if pairs.iter().any(|&(other, _)| other == key) {
                                let message = format!("duplicate key \"{}\" in histogram", key_name(key));
                                self.error(Span::default(), message);
                            } else {
                                pairs.push((key, value));
                            }
                        }
                        Err(Stop::Syntax) => {
                            self.unexpected(
                                "histogram description",
                                "histogram description key, e.g. buckets:[5 10 7]",
                            );
                        }
                        Err(stop) => return Err(stop),
                    }
                }
            }
        }
        Ok(build_histogram(pairs))
    }

    /// The pair behind a space, or none at the end.
    fn next_histogram_pair(&mut self) -> Parsed<Option<(Kind, Value)>> {
        let token = self.expect_where(|kind| matches!(kind, Kind::Space | Kind::CloseHist))?;
        if token.kind == Kind::CloseHist {
            return Ok(None);
        }
        if self.await_where(|kind| kind == Kind::CloseHist || is_key(kind))? == Kind::CloseHist {
            self.take();
            return Ok(None);
        }
        self.histogram_pair().map(Some)
    }

    /// `key:value`
    fn histogram_pair(&mut self) -> Parsed<(Kind, Value)> {
        let key = self.take().kind;
        self.expect(Kind::Colon)?;
        let value = match key {
            Kind::SchemaDesc | Kind::OffsetDesc | Kind::NegativeOffsetDesc => {
                let negative = self.await_where(|kind| matches!(kind, Kind::Number | Kind::Sub))? == Kind::Sub;
                if negative {
                    self.take();
                }
                // As in Go, where conversions wrap.
                let number = self.repetition()? as i64;
                Value::Int(if negative { number.wrapping_neg() } else { number })
            }
            Kind::ZeroBucketWidthDesc => {
                self.await_where(|kind| matches!(kind, Kind::Number | Kind::Duration))?;
                Value::Float(self.number().value)
            }
            Kind::CustomValuesDesc | Kind::BucketsDesc | Kind::NegativeBucketsDesc => Value::Floats(self.bucket_set()?),
            Kind::CounterResetHintDesc => Value::Hint(self.hint()?),
            _ => Value::Float(self.signed_number()?),
        };
        Ok((key, value))
    }

    fn hint(&mut self) -> Parsed<CounterResetHint> {
        let hint = |kind| match kind {
            Kind::UnknownCounterReset => Some(CounterResetHint::Unknown),
            Kind::CounterReset => Some(CounterResetHint::CounterReset),
            Kind::NotCounterReset => Some(CounterResetHint::NotCounterReset),
            Kind::GaugeType => Some(CounterResetHint::Gauge),
            _ => None,
        };
        let Token { kind, .. } = self.expect_where(|kind| hint(kind).is_some())?;
        Ok(hint(kind).unwrap_or_default())
    }

    /// `[1 2 3]`
    fn bucket_set(&mut self) -> Parsed<Vec<f64>> {
        self.expect(Kind::LeftBracket)?;
        let mut numbers = vec![self.signed_number()?];
        loop {
            match self.next_bucket() {
                Ok(Some(number)) => numbers.push(number),
                Ok(None) => return Ok(numbers),
                // Prometheus says nothing here, but later.
                Err(Stop::Syntax) => {}
                Err(stop) => return Err(stop),
            }
        }
    }

    /// The number behind a space, or none at the end.
    fn next_bucket(&mut self) -> Parsed<Option<f64>> {
        let token = self.expect_where(|kind| matches!(kind, Kind::Space | Kind::RightBracket))?;
        if token.kind == Kind::RightBracket {
            return Ok(None);
        }
        let next = self.await_where(|kind| {
            matches!(kind, Kind::Number | Kind::Duration | Kind::Add | Kind::Sub | Kind::RightBracket)
        })?;
        if next == Kind::RightBracket {
            self.take();
            return Ok(None);
        }
        self.signed_number().map(Some)
    }
}

fn is_key(kind: Kind) -> bool {
    (Kind::SumDesc as u8..=Kind::CounterResetHintDesc as u8).contains(&(kind as u8))
}

fn key_name(kind: Kind) -> &'static str {
    match kind {
        Kind::SumDesc => "sum",
        Kind::CountDesc => "count",
        Kind::SchemaDesc => "schema",
        Kind::OffsetDesc => "offset",
        Kind::NegativeOffsetDesc => "n_offset",
        Kind::BucketsDesc => "buckets",
        Kind::NegativeBucketsDesc => "n_buckets",
        Kind::ZeroBucketDesc => "z_bucket",
        Kind::ZeroBucketWidthDesc => "z_bucket_w",
        Kind::CustomValuesDesc => "custom_values",
        _ => "counter_reset_hint",
    }
}

fn build_histogram(pairs: Vec<(Kind, Value)>) -> Described {
    let mut histogram = Box::new(FloatHistogram::default());
    let mut has_hint = false;
    let (mut offset, mut negative_offset) = (0, 0);
    for (key, value) in pairs {
        match (key, value) {
            // As in Go, where conversions wrap.
            (Kind::SchemaDesc, Value::Int(schema)) => histogram.schema = schema as i32,
            (Kind::OffsetDesc, Value::Int(value)) => offset = value as i32,
            (Kind::NegativeOffsetDesc, Value::Int(value)) => negative_offset = value as i32,
            (Kind::SumDesc, Value::Float(sum)) => histogram.sum = sum,
            (Kind::CountDesc, Value::Float(count)) => histogram.count = count,
            (Kind::ZeroBucketDesc, Value::Float(count)) => histogram.zero_count = count,
            (Kind::ZeroBucketWidthDesc, Value::Float(width)) => histogram.zero_threshold = width,
            (Kind::CustomValuesDesc, Value::Floats(bounds)) => histogram.custom_values = bounds,
            (Kind::BucketsDesc, Value::Floats(buckets)) => histogram.positive_buckets = buckets,
            (Kind::NegativeBucketsDesc, Value::Floats(buckets)) => histogram.negative_buckets = buckets,
            (_, Value::Hint(hint)) => {
                histogram.counter_reset_hint = hint;
                has_hint = true;
            }
            // Keys have values of their own kind.
            _ => {}
        }
    }
    let span = |offset, buckets: &[f64]| {
        let length = u32::try_from(buckets.len()).unwrap_or(u32::MAX);
        (length > 0).then_some(prometheus_model::Span { offset, length })
    };
    histogram.positive_spans.extend(span(offset, &histogram.positive_buckets));
    histogram.negative_spans.extend(span(negative_offset, &histogram.negative_buckets));
    (histogram, has_hint)
}
