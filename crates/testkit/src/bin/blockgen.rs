//! Writes TSDB blocks for benchmarks, tests and demos.

use std::{
    error::Error,
    io::{IsTerminal, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Instant,
};

use clap::{Parser, ValueEnum};
use jiff::{SignedDuration, Timestamp};
use promparquet_testkit::blocks::{BlockSpec, FloatEncoding, WrittenBlock};
use ulid::Ulid;

/// Writes a TSDB block such as a Prometheus server in a Kubernetes cluster writes, of any size.
///
/// The same options give the same bytes, on any machine. For each block one line goes to standard output: its directory,
/// series, samples, bytes, and bytes per sample.
#[derive(Parser, Debug)]
#[command(version)]
struct Options {
    /// Directory that gets the blocks; made if it does not exist
    dir: PathBuf,

    /// What to start from; the other options change it
    #[arg(long, value_enum, default_value_t = Preset::Small)]
    preset: Preset,

    /// Number of series
    #[arg(long, value_name = "N")]
    series: Option<u64>,

    /// Start of the block's time range: a time such as 2025-01-01T00:00:00Z, or milliseconds since 1970
    #[arg(long, value_name = "TIME", value_parser = time)]
    start: Option<i64>,

    /// Length of the block's time range
    #[arg(long, value_name = "HOURS")]
    hours: Option<f64>,

    /// Time between scrapes, such as 15s
    #[arg(long, value_name = "DURATION")]
    interval: Option<SignedDuration>,

    /// Number that all random choices follow from
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// Part of the replicas of deployments that are rolled inside the block, between 0 and 1
    #[arg(long, value_name = "PART")]
    churn: Option<f64>,

    /// Part of the pods' series that are native histograms, between 0 and 0.95
    #[arg(long, value_name = "PART")]
    native_histograms: Option<f64>,

    /// Leave out the series with odd labels, floats and histograms
    #[arg(long)]
    no_odd_series: bool,

    /// Number of label names in addition to the usual ones, for wide schemas
    #[arg(long, value_name = "N", default_value_t = 0)]
    labels: u32,

    /// How many of the additional labels each series has
    #[arg(long, value_name = "N", default_value_t = 4)]
    labels_per_series: u32,

    /// External label for the thanos section of meta.json; may be given several times
    #[arg(long = "external-label", value_name = "NAME=VALUE", value_parser = label)]
    external_labels: Vec<(String, String)>,

    /// Compaction level that meta.json claims; above 1 with parents of two hours each
    #[arg(long, value_name = "LEVEL")]
    compacted: Option<u32>,

    /// Write a second block with out-of-order samples of some of the series, which overlaps the first
    #[arg(long)]
    ooo: bool,

    /// Write blocks of this many Prometheus servers with the same configuration, each with the external label
    /// prometheus_replica and scrape times of its own
    #[arg(long, value_name = "N")]
    replicas: Option<u32>,

    /// Encoding of float chunks
    #[arg(long, value_enum, default_value_t = FloatChunks::Xor)]
    encoding: FloatChunks,

    /// ULID of the block; if there are several, of the first, and the others follow it. Else it follows from the seed
    #[arg(long, value_parser = identity)]
    ulid: Option<Ulid>,

    /// Do not report progress on standard error
    #[arg(long, short)]
    quiet: bool,
}

#[derive(Clone, Copy, ValueEnum, Debug)]
enum Preset {
    /// 5 series, 30 minutes every 60 s
    Tiny,
    /// 500 series, 2 hours every 15 s
    Small,
    /// 50,000 series, 2 hours every 15 s: 21.7 million samples
    Medium,
    /// 20,000 series, 24 hours every 30 s: 36 million samples
    Day,
    /// 200,000 series, 24 hours every 60 s: 233 million samples
    Large,
}

#[derive(Clone, Copy, ValueEnum, Debug)]
enum FloatChunks {
    /// What Prometheus 2 and 3 write
    Xor,
    /// Opt-in since Prometheus 3.13
    Xor2,
}

fn time(text: &str) -> Result<i64, String> {
    match text.parse() {
        Ok(ms) => Ok(ms),
        Err(_) => text.parse::<Timestamp>().map(Timestamp::as_millisecond).map_err(|e| e.to_string()),
    }
}

fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.into(), value.into())),
        _ => Err("expected NAME=VALUE".into()),
    }
}

fn identity(text: &str) -> Result<Ulid, String> {
    Ulid::from_string(text).map_err(|e| e.to_string())
}

impl Options {
    fn spec(&self) -> BlockSpec {
        let mut spec = match self.preset {
            Preset::Tiny => BlockSpec::tiny(),
            Preset::Small => BlockSpec::small(),
            Preset::Medium => BlockSpec::medium(),
            Preset::Day => BlockSpec::day(),
            Preset::Large => BlockSpec::large(),
        };
        spec = spec.seed(self.seed).extra_labels(self.labels, self.labels_per_series);
        if self.no_odd_series {
            spec = spec.odd_series(false);
        }
        if let Some(series) = self.series {
            spec = spec.series_count(series);
        }
        if let Some(start) = self.start {
            spec = spec.start(start);
        }
        if let Some(hours) = self.hours {
            spec = spec.duration_ms((hours * 3_600_000.0) as i64);
        }
        if let Some(interval) = self.interval {
            // What does not fit is refused as too long.
            spec = spec.interval_ms(i64::try_from(interval.as_millis()).unwrap_or(i64::MAX));
        }
        if let Some(churn) = self.churn {
            spec = spec.churn(churn);
        }
        if let Some(part) = self.native_histograms {
            spec = spec.native_histograms(part);
        }
        if let Some(level) = self.compacted {
            spec = spec.compaction_level(level);
        }
        for (name, value) in &self.external_labels {
            spec = spec.external_label(name, value);
        }
        spec.float_encoding(match self.encoding {
            FloatChunks::Xor => FloatEncoding::Xor,
            FloatChunks::Xor2 => FloatEncoding::Xor2,
        })
    }

    /// The specifications of all blocks.
    fn specs(&self) -> Vec<BlockSpec> {
        let spec = self.spec();
        let replicas: Vec<_> = match self.replicas {
            None => vec![spec],
            Some(replicas) => (0..replicas).map(|number| spec.clone().replica(number)).collect(),
        };
        let mut specs: Vec<_> = replicas
            .into_iter()
            .flat_map(|spec| {
                let late = self.ooo.then(|| spec.clone().out_of_order());
                std::iter::once(spec).chain(late)
            })
            .collect();
        if let Some(ulid) = self.ulid {
            specs = specs.into_iter().zip(ulid.0..).map(|(spec, ulid)| spec.ulid(Ulid(ulid))).collect();
        }
        specs
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let mut chain = error.to_string();
            let mut source = error.source();
            while let Some(cause) = source {
                chain = format!("{chain}: {cause}");
                source = cause.source();
            }
            // There is nobody else to tell if this fails.
            let _ = writeln!(std::io::stderr(), "blockgen: {chain}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    for spec in options.specs() {
        let mut progress = Progress::new(!options.quiet);
        let WrittenBlock { dir, meta } = spec.write_with(&options.dir, |series| progress.at(series))?;
        progress.done();
        let bytes = size(&dir)?;
        let (series, samples) = (meta.stats.num_series, meta.stats.num_samples);
        let each = bytes as f64 / samples.max(1) as f64;
        let dir = dir.display();
        writeln!(std::io::stdout(), "{dir} series={series} samples={samples} bytes={bytes} bytes/sample={each:.3}")?;
    }
    Ok(())
}

/// Bytes of all files below a directory.
fn size(dir: &Path) -> std::io::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += if metadata.is_dir() { size(&entry.path())? } else { metadata.len() };
    }
    Ok(bytes)
}

/// Tells a terminal how many series are written, twice a second, and anything else every ten seconds.
struct Progress {
    enabled: bool,
    terminal: bool,
    began: Instant,
    told: Instant,
}

impl Progress {
    fn new(enabled: bool) -> Self {
        let now = Instant::now();
        Self { enabled, terminal: std::io::stderr().is_terminal(), began: now, told: now }
    }

    fn at(&mut self, series: u64) {
        let pause = if self.terminal { 500 } else { 10_000 };
        if self.enabled && self.told.elapsed().as_millis() >= pause {
            self.told = Instant::now();
            let seconds = self.began.elapsed().as_secs();
            let (before, after) = if self.terminal { ("\r", "") } else { ("", "\n") };
            // Progress is dispensable.
            let _ = write!(std::io::stderr(), "{before}{series} series in {seconds} s{after}");
        }
    }

    fn done(&self) {
        if self.enabled && self.terminal {
            let _ = write!(std::io::stderr(), "\r{:40}\r", "");
        }
    }
}
