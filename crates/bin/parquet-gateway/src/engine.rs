//! Flags of the PromQL engine.

use std::time::Duration;

use prometheus_promql::{EngineOptions, ParserOptions};

use crate::number::{bytes, count, duration};

/// A feature of Prometheus that must be enabled, by the name that Prometheus gives it.
#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
enum Feature {
    /// Experimental functions and aggregations
    PromqlExperimentalFunctions,
    /// Durations that are computed, such as foo[5m * 2]
    PromqlDurationExpr,
    /// anchored and smoothed
    PromqlExtendedRangeSelectors,
    /// fill, fill_left and fill_right
    PromqlBinopFillModifiers,
    /// Names of metrics are removed at the end, not by each operation
    PromqlDelayedNameRemoval,
    /// __type__ and __unit__ go with the name
    TypeAndUnitLabels,
    /// Start timestamps tell counter resets
    UseStartTimestamps,
}

#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Engine")]
pub(crate) struct EngineArgs {
    /// How long a sample counts
    #[arg(long = "query.lookback", visible_alias = "query.lookback-delta", value_name = "DURATION", default_value = "5m",
          value_parser = duration)]
    lookback: Duration,
    /// Samples that a query may hold in memory at once
    #[arg(long = "query.max-samples", value_name = "N", default_value = "50_000_000", value_parser = count)]
    max_samples: u64,
    /// Bytes that a query may hold in memory at once
    #[arg(long = "query.max-memory", value_name = "SIZE", default_value = "2GiB", value_parser = bytes)]
    max_memory: u64,
    /// Features of Prometheus that must be enabled (repeatable, or separated by commas)
    #[arg(long = "enable-feature", value_name = "FEATURE", value_delimiter = ',')]
    features: Vec<Feature>,
}

impl EngineArgs {
    pub(crate) fn options(&self) -> EngineOptions {
        let has = |feature| self.features.contains(&feature);
        EngineOptions {
            parser: ParserOptions {
                experimental_functions: has(Feature::PromqlExperimentalFunctions),
                duration_expressions: has(Feature::PromqlDurationExpr),
                extended_range_selectors: has(Feature::PromqlExtendedRangeSelectors),
                fill_modifiers: has(Feature::PromqlBinopFillModifiers),
                ..ParserOptions::default()
            },
            lookback: self.lookback,
            max_samples: self.max_samples,
            max_memory: self.max_memory,
            delayed_name_removal: has(Feature::PromqlDelayedNameRemoval),
            type_and_unit_labels: has(Feature::TypeAndUnitLabels),
            start_timestamps: has(Feature::UseStartTimestamps),
            ..EngineOptions::default()
        }
    }
}
