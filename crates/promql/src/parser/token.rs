//! Tokens and what they are called in errors.

use crate::quote::quote;

/// Kind of a token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// Behind [`Kind::Eof`], or where the lexer gave up.
    End,
    Eof,
    Error,
    Comment,
    Identifier,
    MetricIdentifier,
    String,
    Number,
    Duration,
    // Punctuation.
    Eql,
    Blank,
    Colon,
    Comma,
    LeftBrace,
    LeftBracket,
    LeftParen,
    OpenHist,
    CloseHist,
    RightBrace,
    RightBracket,
    RightParen,
    Space,
    Times,
    // Operators.
    Add,
    Div,
    Eqlc,
    EqlRegex,
    Gte,
    Gtr,
    TrimUpper,
    TrimLower,
    And,
    Or,
    Lss,
    Lte,
    Unless,
    Mod,
    Mul,
    Neq,
    NeqRegex,
    Pow,
    Sub,
    At,
    Atan2,
    // Aggregations.
    Avg,
    Bottomk,
    Count,
    CountValues,
    Group,
    Max,
    Min,
    Quantile,
    Stddev,
    Stdvar,
    Sum,
    Topk,
    Limitk,
    LimitRatio,
    // Keywords.
    Bool,
    By,
    GroupLeft,
    GroupRight,
    Fill,
    FillLeft,
    FillRight,
    Ignoring,
    Offset,
    Smoothed,
    Anchored,
    On,
    Without,
    // Keywords that are functions, too.
    Start,
    End_,
    Step,
    Range,
    MaxOf,
    MinOf,
    // Parts of histograms in series descriptions.
    SumDesc,
    CountDesc,
    SchemaDesc,
    OffsetDesc,
    NegativeOffsetDesc,
    BucketsDesc,
    NegativeBucketsDesc,
    ZeroBucketDesc,
    ZeroBucketWidthDesc,
    CustomValuesDesc,
    CounterResetHintDesc,
    UnknownCounterReset,
    CounterReset,
    NotCounterReset,
    GaugeType,
}

/// A token: where it is, `[start, end)`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Kind {
    /// The keyword that `word`, in lower case, is.
    pub(crate) fn keyword(word: &str) -> Option<Self> {
        Some(match word {
            "and" => Self::And,
            "or" => Self::Or,
            "unless" => Self::Unless,
            "atan2" => Self::Atan2,
            "sum" => Self::Sum,
            "avg" => Self::Avg,
            "count" => Self::Count,
            "min" => Self::Min,
            "max" => Self::Max,
            "group" => Self::Group,
            "stddev" => Self::Stddev,
            "stdvar" => Self::Stdvar,
            "topk" => Self::Topk,
            "bottomk" => Self::Bottomk,
            "count_values" => Self::CountValues,
            "quantile" => Self::Quantile,
            "limitk" => Self::Limitk,
            "limit_ratio" => Self::LimitRatio,
            "offset" => Self::Offset,
            "smoothed" => Self::Smoothed,
            "anchored" => Self::Anchored,
            "by" => Self::By,
            "without" => Self::Without,
            "on" => Self::On,
            "ignoring" => Self::Ignoring,
            "group_left" => Self::GroupLeft,
            "group_right" => Self::GroupRight,
            "fill" => Self::Fill,
            "fill_left" => Self::FillLeft,
            "fill_right" => Self::FillRight,
            "bool" => Self::Bool,
            "start" => Self::Start,
            "end" => Self::End_,
            "inf" | "nan" => Self::Number,
            _ => return Self::duration_keyword(word),
        })
    }

    /// The keyword in durations that `word`, in lower case, is.
    pub(crate) fn duration_keyword(word: &str) -> Option<Self> {
        Some(match word {
            "step" => Self::Step,
            "range" => Self::Range,
            "max_of" => Self::MaxOf,
            "min_of" => Self::MinOf,
            _ => return None,
        })
    }

    /// The key of a histogram's description that `word`, in lower case, is.
    pub(crate) fn histogram_key(word: &str) -> Option<Self> {
        Some(match word {
            "sum" => Self::SumDesc,
            "count" => Self::CountDesc,
            "schema" => Self::SchemaDesc,
            "offset" => Self::OffsetDesc,
            "n_offset" => Self::NegativeOffsetDesc,
            "buckets" => Self::BucketsDesc,
            "n_buckets" => Self::NegativeBucketsDesc,
            "z_bucket" => Self::ZeroBucketDesc,
            "z_bucket_w" => Self::ZeroBucketWidthDesc,
            "custom_values" => Self::CustomValuesDesc,
            "counter_reset_hint" => Self::CounterResetHintDesc,
            _ => return None,
        })
    }

    /// The counter-reset hint that `word`, in lower case, is.
    pub(crate) fn counter_reset_hint(word: &str) -> Option<Self> {
        Some(match word {
            "unknown" => Self::UnknownCounterReset,
            "reset" => Self::CounterReset,
            "not_reset" => Self::NotCounterReset,
            "gauge" => Self::GaugeType,
            _ => return None,
        })
    }

    pub(crate) fn is_aggregation(self) -> bool {
        (Self::Avg as u8..=Self::LimitRatio as u8).contains(&(self as u8))
    }

    fn is_operator(self) -> bool {
        (Self::Add as u8..=Self::Atan2 as u8).contains(&(self as u8))
    }

    fn is_keyword(self) -> bool {
        (Self::Bool as u8..=Self::Without as u8).contains(&(self as u8))
    }

    /// Whether the name of a metric may be spelled so, apart from identifiers.
    pub(crate) fn is_metric_keyword(self) -> bool {
        let modifier = matches!(self, Self::Bool | Self::GroupLeft | Self::GroupRight | Self::Ignoring | Self::On);
        self.is_aggregation()
            || self.is_keyword() && !modifier
            || matches!(self, Self::And | Self::Or | Self::Unless)
            || (Self::Start as u8..=Self::MinOf as u8).contains(&(self as u8))
    }

    /// Whether a label in a list of labels may be spelled so.
    pub(crate) fn is_label(self) -> bool {
        self.is_aggregation()
            || self.is_keyword() && self != Self::Without
            || matches!(
                self,
                Self::And | Self::Or | Self::Unless | Self::Atan2 | Self::Identifier | Self::MetricIdentifier
            )
            || (Self::Start as u8..=Self::MinOf as u8).contains(&(self as u8))
    }

    /// Whether an expression may begin so.
    pub(crate) fn starts_expr(self) -> bool {
        self.is_metric_keyword()
            || matches!(
                self,
                Self::Identifier
                    | Self::MetricIdentifier
                    | Self::String
                    | Self::Number
                    | Self::Duration
                    | Self::LeftBrace
                    | Self::LeftParen
                    | Self::Add
                    | Self::Sub
            )
    }

    /// Prometheus' number of tokens that have no better name in its errors.
    fn number(self) -> Option<u32> {
        let first = match self {
            Self::SumDesc
            | Self::CountDesc
            | Self::SchemaDesc
            | Self::OffsetDesc
            | Self::NegativeOffsetDesc
            | Self::BucketsDesc
            | Self::NegativeBucketsDesc
            | Self::ZeroBucketDesc
            | Self::ZeroBucketWidthDesc
            | Self::CustomValuesDesc
            | Self::CounterResetHintDesc => 57_370 - Self::SumDesc as u32,
            Self::UnknownCounterReset | Self::CounterReset | Self::NotCounterReset | Self::GaugeType => {
                57_445 - Self::UnknownCounterReset as u32
            }
            _ => return None,
        };
        Some(first + self as u32)
    }

    /// How errors describe a token of this kind whose text is `text`.
    pub(crate) fn describe(self, text: &str) -> String {
        let shown = if self.is_keyword() {
            format!("<{text}>")
        } else if self.is_operator() {
            format!("<op:{text}>")
        } else if self.is_aggregation() {
            format!("<aggr:{text}>")
        } else if text.len() > 10 && !matches!(self, Self::Identifier | Self::MetricIdentifier) {
            let cut = text.char_indices().nth(10).map_or(text.len(), |(i, _)| i);
            format!("{}...", quote(text.get(..cut).unwrap_or(text)))
        } else {
            quote(text)
        };
        match self {
            Self::Eof | Self::End => "end of input".to_owned(),
            Self::Identifier => format!("identifier {shown}"),
            Self::MetricIdentifier => format!("metric identifier {shown}"),
            Self::String => format!("string {shown}"),
            Self::Number => format!("number {shown}"),
            Self::Duration => format!("duration {shown}"),
            _ => match self.number() {
                Some(number) => format!("\"<Item {number}>\" {shown}"),
                None => shown,
            },
        }
    }
}
