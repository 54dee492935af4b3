//! `parquet-gateway query`.

use std::{io::Write as _, time::Duration};

use prometheus_model::{ApiFloatText, FloatHistogram, TimestampMs};
use prometheus_promql::{Answer, Engine, PointValue, QueryRequest, QueryTimes, QueryValue};
use snafu::ResultExt as _;

use crate::{
    console::{line, note},
    engine::EngineArgs,
    error::{Error, PrintSnafu, PromqlSnafu},
    number::{duration, show_bytes, show_count, show_time, time_ms},
    shards,
};

const HELP: &str = "\
All shard sets of the bucket are read that are complete: blocks with a mark (the layout of parquet-common and Cortex) and days with
a meta.pb (that of thanos-parquet-gateway). Series have the external labels of their set.

Formats:
  table  for people: a series a line, of range queries a line for each of its samples
  json   the answer of Prometheus' HTTP API: {\"status\":\"success\",\"data\":{\"resultType\":..,\"result\":..},..}
  csv    labels,timestamp_ms,value; a sample a line
Warnings and infos go to standard error, in json they are part of the answer.";

#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
enum QueryFormat {
    /// For people
    Table,
    /// As the HTTP API answers
    Json,
    /// labels,timestamp_ms,value
    Csv,
}

/// What to evaluate.
#[derive(clap::Args, Debug)]
#[command(after_long_help = HELP)]
pub(crate) struct Args {
    /// The query in PromQL, such as `sum by (job) (rate(http_requests_total[5m]))`
    #[arg(value_name = "PROMQL")]
    query: String,
    /// Evaluate at this time (RFC 3339 or Unix seconds) [default: now, or the end of the data if that is before]
    #[arg(long, value_name = "TIME", value_parser = time_ms, allow_negative_numbers = true,
          conflicts_with_all = ["start", "end", "step"])]
    time: Option<TimestampMs>,
    /// Evaluate from this time on
    #[arg(long, value_name = "TIME", value_parser = time_ms, allow_negative_numbers = true, requires_all = ["end", "step"])]
    start: Option<TimestampMs>,
    /// Evaluate until this time, inclusive
    #[arg(long, value_name = "TIME", value_parser = time_ms, allow_negative_numbers = true, requires = "start")]
    end: Option<TimestampMs>,
    /// Time between evaluations, such as 1m
    #[arg(long, value_name = "DURATION", value_parser = duration, requires = "start")]
    step: Option<Duration>,
    /// How to print
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    format: QueryFormat,
    /// Print the plan with times and counts, too; to standard error
    #[arg(long)]
    explain: bool,

    #[command(flatten)]
    engine: EngineArgs,
    #[command(flatten)]
    shards: shards::ShardSourceArgs,
}

pub(crate) async fn run(args: Args) -> Result<(), Error> {
    let engine = Engine::new(args.engine.options()).context(PromqlSnafu)?;
    let shards = args.shards.queryable().await?;
    let times = match (args.start, args.end, args.step) {
        (Some(start), Some(end), Some(step)) => {
            QueryTimes::Range { start, end, step_ms: i64::try_from(step.as_millis()).unwrap_or(i64::MAX) }
        }
        _ => {
            let now = jiff::Timestamp::now().as_millisecond();
            let end = shards.times().map_or(now, |(_, last)| last);
            QueryTimes::Instant(args.time.unwrap_or(now.min(end)))
        }
    };
    let request = QueryRequest { times, ..QueryRequest::instant(args.query, 0) };
    let answer = engine.query(&*shards, &request).await.context(PromqlSnafu)?;
    let (warnings, infos) = (answer.annotations.warnings(&request.query), answer.annotations.infos(&request.query));
    let mut out = std::io::BufWriter::with_capacity(64 << 10, std::io::stdout());
    match args.format {
        QueryFormat::Table => table(&mut out, &answer),
        QueryFormat::Json => {
            promparquet_gateway::json::answer(&mut out, &answer.value, &warnings, &infos).and_then(|()| writeln!(out))
        }
        QueryFormat::Csv => csv(&mut out, &answer),
    }
    .and_then(|()| out.flush())
    .context(PrintSnafu)?;
    if args.format != QueryFormat::Json {
        warnings.iter().chain(&infos).for_each(|text| note(text));
    }
    if args.explain {
        let stats = &answer.stats;
        answer.explain.to_string().lines().for_each(note);
        note(&format!(
            "{:.2?} in all, {:.2?} of them waiting for the store; {} series and {} samples read; at most {} in memory",
            stats.total,
            stats.waiting,
            show_count(stats.series_read),
            show_count(stats.samples_read),
            show_bytes(stats.peak_bytes),
        ));
    }
    if let (QueryFormat::Table, QueryValue::Vector(series)) = (args.format, &answer.value)
        && series.is_empty()
        && let QueryTimes::Instant(time) = times
    {
        line(&format!("no series at {}", show_time(time)));
    }
    Ok(())
}

/// Calls `write` for every sample: labels, time and value.
fn each_sample(
    value: &QueryValue,
    mut write: impl FnMut(&str, TimestampMs, &str) -> std::io::Result<()>,
) -> std::io::Result<()> {
    let text = |histogram: &FloatHistogram| histogram.to_string();
    match value {
        QueryValue::Scalar { timestamp, value } => write("", *timestamp, &ApiFloatText(*value).to_string()),
        QueryValue::String { timestamp, value } => write("", *timestamp, value),
        QueryValue::Vector(vector) => vector.iter().try_for_each(|series| {
            let value = match &series.value {
                PointValue::Float(value) => ApiFloatText(*value).to_string(),
                PointValue::Histogram(histogram) => text(histogram),
            };
            write(&series.labels.to_string(), series.timestamp, &value)
        }),
        QueryValue::Matrix(matrix) => matrix.iter().try_for_each(|series| {
            let labels = series.labels.to_string();
            let mut histograms = series.histograms.iter().peekable();
            for (time, value) in &series.floats {
                while let Some((time, histogram)) = histograms.next_if(|(t, _)| t < time) {
                    write(&labels, *time, &text(histogram))?;
                }
                write(&labels, *time, &ApiFloatText(*value).to_string())?;
            }
            histograms.try_for_each(|(time, histogram)| write(&labels, *time, &text(histogram)))
        }),
    }
}

fn table(out: &mut impl std::io::Write, answer: &Answer) -> std::io::Result<()> {
    let is_matrix = matches!(answer.value, QueryValue::Matrix(_));
    let mut last = String::new();
    each_sample(&answer.value, |labels, time, value| {
        if is_matrix {
            if last != labels || last.is_empty() {
                writeln!(out, "{labels}")?;
                labels.clone_into(&mut last);
            }
            writeln!(out, "  {}  {value}", show_time(time))
        } else if labels.is_empty() {
            writeln!(out, "{value}")
        } else {
            writeln!(out, "{labels}  {value}")
        }
    })
}

fn csv(out: &mut impl std::io::Write, answer: &Answer) -> std::io::Result<()> {
    writeln!(out, "labels,timestamp_ms,value")?;
    each_sample(&answer.value, |labels, time, value| {
        let quoted = |text: &str| text.replace('"', "\"\"");
        writeln!(out, "\"{}\",{time},\"{}\"", quoted(labels), quoted(value))
    })
}
