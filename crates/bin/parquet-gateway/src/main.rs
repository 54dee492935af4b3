//! `parquet-gateway`: Prometheus TSDB blocks become Parquet shards, which answer queries.

mod bucket;
mod console;
mod convert;
mod engine;
mod error;
#[cfg(test)]
mod examples;
mod explain;
mod export;
mod format;
mod inspect;
mod labels;
mod logging;
mod number;
mod query;
mod quickstart;
mod select;
mod serve;
mod shards;
mod trace_export;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Turns Prometheus TSDB blocks into Parquet shards and back, and answers queries from shards.
#[derive(Parser, Debug)]
#[command(version, propagate_version = true, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Convert TSDB blocks of a directory or bucket to Parquet shards in another.
    Convert(Box<convert::Args>),
    /// Turn Parquet shards into something else
    #[command(subcommand)]
    Export(export::Command),
    /// Evaluate PromQL over Parquet shards, without a server
    Query(Box<query::Args>),
    /// Print the series of Parquet shards that a selector fits, with their samples
    Select(Box<select::Args>),
    /// Show what a select does: pages spared, requests, bytes, times
    Explain(Box<explain::Args>),
    /// Print names or values of labels
    Labels(Box<labels::Args>),
    /// Show what is in a TSDB block or in Parquet shards
    Inspect(inspect::Args),
    /// Serve PromQL over the Parquet shards of a bucket: Prometheus' HTTP API
    Serve(Box<serve::Args>),
    /// Try it: make a realistic block, or take a Prometheus data directory, convert it into .data/ and look at the result
    Quickstart(quickstart::Args),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            console::error(&error);
            return ExitCode::FAILURE;
        }
    };
    let result = runtime.block_on(async {
        match cli.command {
            Command::Convert(args) => convert::run(*args).await,
            Command::Export(command) => export::run(command).await,
            Command::Query(args) => query::run(*args).await,
            Command::Select(args) => select::run(*args).await,
            Command::Explain(args) => explain::run(*args).await,
            Command::Labels(args) => labels::run(*args).await,
            Command::Inspect(args) => inspect::run(args).await,
            Command::Serve(args) => serve::run(*args).await,
            Command::Quickstart(args) => quickstart::run(args).await,
        }
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is_broken_pipe() => ExitCode::SUCCESS,
        Err(error) => {
            console::error(&error);
            ExitCode::FAILURE
        }
    }
}
