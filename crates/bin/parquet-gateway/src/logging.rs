//! Logs of long-running commands: a JSON object a line, on standard output.

use clap::ValueEnum;
use tracing::level_filters::LevelFilter;

/// From which level on there are logs.
#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "UPPER")]
pub(crate) enum Level {
    Debug,
    Info,
    Warn,
    Error,
}

/// Starts to log.
pub(crate) fn start(level: Level) {
    let level = match level {
        Level::Debug => LevelFilter::DEBUG,
        Level::Info => LevelFilter::INFO,
        Level::Warn => LevelFilter::WARN,
        Level::Error => LevelFilter::ERROR,
    };
    let logs = tracing_subscriber::fmt().json().flatten_event(true).with_max_level(level).with_target(false);
    // There may be logs already, in tests.
    let _ = logs.try_init();
}
