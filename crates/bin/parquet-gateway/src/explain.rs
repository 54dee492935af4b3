//! `parquet-gateway explain`.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use prometheus_queryable::SelectHints;
use promparquet_query::{Observation, Observe, Operation, ShardExplain};
use tokio::sync::Notify;

use crate::{
    console::line,
    error::Error,
    number::{show_bytes, show_count},
    shards,
};

const HELP: &str = "\
Runs the whole select, but decodes no sample, and prints what was done for it in each shard: what became of the pages of \
each label that is matched, what was read in which round trip, and how long it took. Shards are those of blocks and of days of
thanos-parquet-gateway.";

/// What to explain.
#[derive(clap::Args, Debug)]
#[command(after_long_help = HELP)]
pub(crate) struct Args {
    /// Selector of series in PromQL
    #[arg(value_name = "SELECTOR")]
    selector: String,
    /// As if only labels were wanted: no chunk is read
    #[arg(long)]
    labels_only: bool,

    #[command(flatten)]
    shards: shards::ShardArgs,
}

pub(crate) async fn run(args: Args) -> Result<(), Error> {
    let matchers = shards::matchers(&args.selector)?;
    let range = args.shards.range()?;
    let hints = if args.labels_only { SelectHints::series_only(range) } else { SelectHints::new(range) };
    let (asked, started) = (Asked::default(), Instant::now());
    let querier = args.shards.querier(None, Some(Arc::new(asked.clone()))).await?;
    let (opened, started) = (started.elapsed(), Instant::now());
    let mut set = querier.select(&matchers, &hints).await?;
    let mut series = 0_u64;
    while let Some(batch) = set.next().await? {
        series += batch.len() as u64;
    }
    let elapsed = started.elapsed();
    shards::show_warnings(set.warnings());
    drop(set);
    let shards = asked.take().await;
    let (mut requests, mut bytes) = (0, 0);
    for shard in &shards {
        line(&shard.to_string());
        requests += shard.requests();
        bytes += shard.bytes();
    }
    line(&format!(
        "{} series of {} shards in {elapsed:.2?}, after {opened:.2?} to open them: {requests} requests, {}",
        show_count(series),
        shards.len(),
        show_bytes(bytes),
    ));
    if shards.is_empty() {
        line("no shard has samples in the time range and external labels that fit");
    }
    Ok(())
}

/// What was done in each shard that was asked.
#[derive(Clone, Default, Debug)]
struct Asked(Arc<Answers>);

#[derive(Default, Debug)]
struct Answers {
    /// In the order of asking; `None` while the question is under way.
    shards: Mutex<Vec<Option<ShardExplain>>>,
    ended: Notify,
}

impl Asked {
    fn shards(&self) -> MutexGuard<'_, Vec<Option<ShardExplain>>> {
        self.0.shards.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What there is once all questions have ended, which follows when nobody takes their answers any more.
    async fn take(&self) -> Vec<ShardExplain> {
        loop {
            let all: Option<Vec<ShardExplain>> = self.shards().iter().cloned().collect();
            match all {
                Some(all) => return all,
                None => self.0.ended.notified().await,
            }
        }
    }
}

impl Observe for Asked {
    fn begin(&self, _: Operation) -> Observation {
        let asked = self.clone();
        let place = {
            let mut shards = self.shards();
            shards.push(None);
            shards.len() - 1
        };
        Box::new(move |explain| {
            if let Some(shard) = asked.shards().get_mut(place) {
                *shard = Some(explain.clone());
            }
            asked.0.ended.notify_one();
        })
    }
}
