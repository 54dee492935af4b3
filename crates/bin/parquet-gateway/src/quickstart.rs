//! `parquet-gateway quickstart`.

use std::path::{Path, PathBuf};

use clap::Parser;
use promparquet_testkit::blocks::BlockSpec;
use snafu::ResultExt;

use crate::{
    Cli, Command,
    bucket::DATA_DIR,
    console::line,
    convert,
    error::{Error, GenerateSnafu, OutputSnafu},
    inspect,
};

/// Everything goes into .data/ of the working directory. Nothing outside is written, and no port is opened.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// A Prometheus data directory whose blocks to convert; it is only read. Without it, a block is made: six hours of a
    /// small Kubernetes cluster
    #[arg(value_name = "DIR")]
    prometheus_data: Option<PathBuf>,
}

const SERIES: u64 = 10_000;
const HOURS: i64 = 6;

pub(crate) async fn run(args: Args) -> Result<(), Error> {
    let blocks = match args.prometheus_data {
        Some(dir) => dir,
        None => make_block().await?,
    };
    let blocks = std::path::absolute(&blocks).unwrap_or(blocks);
    let (from, to) = (blocks.display().to_string(), "quickstart-parquet");
    line(&format!("converting {from} into {DATA_DIR}/{to}, and verifying every sample"));
    let command =
        ["parquet-gateway", "convert", "--tsdb.storage.prefix", &from, "--parquet.storage.prefix", to, "--verify"];
    if let Ok(Cli { command: Command::Convert(args) }) = Cli::try_parse_from(command) {
        convert::run(*args).await?;
    }
    let parquet = Path::new(DATA_DIR).join(to);
    let Some(name) = first_shard_set(&parquet)? else { return Ok(()) };
    let target = parquet.join(name);
    let shown = target.display().to_string();
    if let Ok(Cli { command: Command::Inspect(args) }) =
        Cli::try_parse_from(["parquet-gateway", "inspect", "--top", "8", &shown])
    {
        inspect::run(args).await?;
    }
    line(&format!(
        "\nnext:\n  parquet-gateway select --in {shown} '{{job=~\".+\"}}' | head\n  parquet-gateway explain --in {shown} \
         '{{job=~\".+\"}}'\n  parquet-gateway inspect {shown}\n  parquet-gateway export tsdb --parquet.storage.prefix {to} --name {} \
         --output {DATA_DIR}/back",
        target.file_name().unwrap_or_default().display()
    ));
    Ok(())
}

/// Makes the block, unless it is there.
async fn make_block() -> Result<PathBuf, Error> {
    let dir = Path::new(DATA_DIR).join("quickstart-tsdb");
    if dir.is_dir() {
        return Ok(dir);
    }
    line(&format!("making a block of {SERIES} series over {HOURS} hours in {}", dir.display()));
    let (to, made) = (dir.clone(), dir.with_extension("tmp"));
    let work = tokio::task::spawn_blocking(move || {
        let _ = std::fs::remove_dir_all(&made); // what an interrupted run left
        std::fs::create_dir_all(&made).context(OutputSnafu { path: made.display().to_string() })?;
        let spec = BlockSpec::new(SERIES).duration_ms(HOURS * 3_600_000).native_histograms(0.05);
        spec.write(&made).context(GenerateSnafu)?;
        std::fs::rename(&made, &to).context(OutputSnafu { path: to.display().to_string() })
    });
    work.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
    Ok(dir)
}

/// The first directory with a shard.
fn first_shard_set(parquet: &Path) -> Result<Option<String>, Error> {
    let entries = std::fs::read_dir(parquet).context(OutputSnafu { path: parquet.display().to_string() })?;
    let is_set = |name: &String| parquet.join(promparquet_schema::labels_file(name, 0)).is_file();
    Ok(entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).filter(is_set).min())
}
