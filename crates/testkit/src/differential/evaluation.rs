//! What is answered.

use prometheus_model::{ApiFloatText, FloatHistogram, Span};
use prometheus_promql::{Answer, Error, ErrorKind, PointValue, QueryRequest, QueryValue};
use serde::Deserialize;

/// An answer of either side. Floats are the integers of their bits.
#[derive(Clone, PartialEq, Eq, Default, Deserialize, Debug)]
#[serde(default)]
pub struct Evaluation {
    /// `parse`, `execution`, `limit`, `timeout`, `storage`, or nothing.
    pub error_class: String,
    /// What the error says.
    pub error: String,
    /// `vector` and the like.
    pub r#type: String,
    /// Of a string.
    pub text: String,
    /// In order.
    #[serde(deserialize_with = "null_is_empty")]
    pub series: Vec<EvaluatedSeries>,
    /// In any order.
    #[serde(deserialize_with = "null_is_empty")]
    pub warnings: Vec<String>,
    /// In any order.
    #[serde(deserialize_with = "null_is_empty")]
    pub infos: Vec<String>,
    /// Samples that were looked at.
    pub samples: u64,
    /// Of these, those of each step.
    #[serde(deserialize_with = "null_is_empty")]
    pub steps: Vec<u64>,
}

/// A series of an answer.
#[derive(Clone, PartialEq, Eq, Default, Deserialize, Debug)]
#[serde(default)]
pub struct EvaluatedSeries {
    /// Names and values, by name.
    #[serde(deserialize_with = "null_is_empty")]
    pub labels: Vec<(String, String)>,
    /// Times and values.
    #[serde(deserialize_with = "null_is_empty")]
    pub floats: Vec<(i64, u64)>,
    /// Native histograms.
    #[serde(deserialize_with = "null_is_empty")]
    pub histograms: Vec<EvaluatedHistogram>,
}

/// A native histogram of an answer.
#[derive(Clone, PartialEq, Eq, Default, Deserialize, Debug)]
#[serde(default)]
pub struct EvaluatedHistogram {
    pub(super) time: i64,
    pub(super) schema: i32,
    pub(super) hint: u8,
    pub(super) count: u64,
    pub(super) sum: u64,
    pub(super) zero_threshold: u64,
    pub(super) zero_count: u64,
    #[serde(deserialize_with = "null_is_empty")]
    pub(super) positive: Vec<EvaluatedBucket>,
    #[serde(deserialize_with = "null_is_empty")]
    pub(super) negative: Vec<EvaluatedBucket>,
    #[serde(deserialize_with = "null_is_empty")]
    pub(super) bounds: Vec<u64>,
}

/// A bucket that is not empty.
#[derive(Clone, PartialEq, Eq, Default, Deserialize, Debug)]
pub struct EvaluatedBucket {
    pub(super) index: i32,
    pub(super) count: u64,
}

/// Go writes no list as `null`.
fn null_is_empty<'de, T: Deserialize<'de>, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<T>, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

impl Evaluation {
    /// Whether our engine did not try, for a limit that Prometheus does not have, or a function that does not take what
    /// may turn out never to be there.
    #[must_use]
    pub fn is_refused(&self, theirs: &Self) -> bool {
        let refusals = ["more than the limit of", "modifier can only be used with"];
        theirs.error_class != self.error_class && refusals.iter().any(|text| self.error.contains(text))
    }

    /// What our engine answers.
    #[must_use]
    pub fn of(request: &QueryRequest, answer: Result<Answer, Error>) -> Self {
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                let class = match error.kind() {
                    ErrorKind::Invalid => "parse",
                    ErrorKind::LimitExceeded => "limit",
                    ErrorKind::Execution => "execution",
                    ErrorKind::Timeout => "timeout",
                    ErrorKind::Storage => "storage",
                    _ => "internal",
                };
                return Self { error_class: class.to_owned(), error: error.to_string(), ..Self::default() };
            }
        };
        let mut this = Self {
            r#type: answer.value.value_type().to_string(),
            warnings: answer.annotations.warnings(&request.query),
            infos: answer.annotations.infos(&request.query),
            samples: answer.stats.samples,
            steps: answer.stats.samples_per_step,
            ..Self::default()
        };
        match answer.value {
            QueryValue::Scalar { timestamp, value } => {
                this.series.push(EvaluatedSeries { floats: vec![(timestamp, value.to_bits())], ..Default::default() });
            }
            QueryValue::String { value, .. } => this.text = value,
            QueryValue::Vector(vector) => this.series.extend(vector.into_iter().map(|series| {
                let labels = pairs(&series.labels);
                match series.value {
                    PointValue::Float(v) => EvaluatedSeries {
                        labels,
                        floats: vec![(series.timestamp, v.to_bits())],
                        histograms: Vec::new(),
                    },
                    PointValue::Histogram(h) => EvaluatedSeries {
                        labels,
                        floats: Vec::new(),
                        histograms: vec![EvaluatedHistogram::of(series.timestamp, &h)],
                    },
                }
            })),
            QueryValue::Matrix(matrix) => this.series.extend(matrix.into_iter().map(|series| EvaluatedSeries {
                labels: pairs(&series.labels),
                floats: series.floats.into_iter().map(|(t, v)| (t, v.to_bits())).collect(),
                histograms: series.histograms.iter().map(|(t, h)| EvaluatedHistogram::of(*t, h)).collect(),
            })),
        }
        this
    }
}

fn pairs(labels: &prometheus_model::Labels) -> Vec<(String, String)> {
    labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

impl EvaluatedSeries {
    /// For people.
    #[must_use]
    pub fn name(&self) -> String {
        let labels: Vec<_> = self.labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
        format!("{{{}}}", labels.join(", "))
    }

    /// For people.
    #[must_use]
    pub fn show(&self) -> String {
        let floats: Vec<_> =
            self.floats.iter().map(|(t, v)| format!("{}@{t}", ApiFloatText(f64::from_bits(*v)))).collect();
        let histograms: Vec<_> = self.histograms.iter().map(|h| format!("{h:?}")).collect();
        format!("{} {} {}", self.name(), floats.join(" "), histograms.join(" "))
    }
}

impl EvaluatedHistogram {
    fn of(time: i64, h: &FloatHistogram) -> Self {
        Self {
            time,
            schema: h.schema,
            hint: h.counter_reset_hint as u8,
            count: h.count.to_bits(),
            sum: h.sum.to_bits(),
            zero_threshold: h.zero_threshold.to_bits(),
            zero_count: h.zero_count.to_bits(),
            positive: buckets(&h.positive_spans, &h.positive_buckets),
            negative: buckets(&h.negative_spans, &h.negative_buckets),
            bounds: h.custom_values.iter().map(|v| v.to_bits()).collect(),
        }
    }
}

fn buckets(spans: &[Span], counts: &[f64]) -> Vec<EvaluatedBucket> {
    let mut next = 0;
    let indexes = spans.iter().flat_map(|span| {
        let first = next + span.offset;
        next = first + span.length as i32;
        first..next
    });
    let all = indexes.zip(counts).filter(|(_, count)| **count != 0.0);
    all.map(|(index, count)| EvaluatedBucket { index, count: count.to_bits() }).collect()
}
