//! A bucket that fails: whether the answer says so.

use std::sync::Arc;

use bytes::Bytes;
use object_store::{ObjectStore, ObjectStoreExt, memory::InMemory, path::Path};
use prometheus_model::TimeRange;
use prometheus_queryable::{
    ErrorKind, LabelHints, MergedQueryable, PartialResponse, Queryable, Result, SelectHints, Warning,
};
use prometheus_tsdb_query::BlockQueryable;
use promparquet_objstore::{BlockInBucket, Bucket};
use promparquet_testkit::{
    blocks::BlockSpec,
    stores::{Failures, Fault, Rule, Tapped},
};

/// Asks for everything; how many series there are, and what is left out.
async fn ask(store: &dyn Queryable) -> Result<(usize, Vec<Warning>)> {
    let querier = store.querier(TimeRange::ALL).await?;
    let names = querier.label_names(&[], &LabelHints::default()).await?;
    let mut set = querier.select(&[], &SelectHints::new(TimeRange::ALL)).await?;
    let mut series = 0;
    while let Some(batch) = set.next().await? {
        series += batch.len();
    }
    let mut warnings = [&names.warnings, set.warnings()].concat();
    warnings.dedup();
    Ok((series, warnings))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_fails_is_never_passed_over() {
    let parent = tempfile::tempdir().unwrap();
    let specs = [BlockSpec::tiny(), BlockSpec::tiny().start(BlockSpec::tiny().end())];
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let mut names = Vec::new();
    for spec in &specs {
        let block = spec.write(parent.path()).unwrap();
        let name = block.file_name().unwrap().to_str().unwrap().to_owned();
        for file in ["meta.json", "index", "chunks/000001"] {
            let bytes: Bytes = std::fs::read(block.join(file)).unwrap().into();
            store.put(&Path::from(format!("{name}/{file}")), bytes.into()).await.unwrap();
        }
        names.push(name);
    }
    let failing = Tapped::new(store, Failures::default());
    let failures = Arc::clone(failing.tap());
    let bucket = Bucket::new(Arc::new(failing), "memory://bucket");
    let open = async || {
        let mut parts: Vec<Arc<dyn Queryable>> = Vec::new();
        for name in &names {
            let files = BlockInBucket::new(&bucket, name, tokio::runtime::Handle::current()).unwrap();
            parts.push(Arc::new(BlockQueryable::open(Arc::new(files)).await.unwrap()));
        }
        MergedQueryable::new(parts)
    };
    assert_eq!(ask(&open().await).await.unwrap(), (5, vec![]));
    // Of the second block the index fails, or the chunks.
    for (key, names_fail) in [("index", true), ("chunks", false)] {
        let merged = open().await;
        failures.set([Rule::new(Fault::Unavailable).key(format!("{}/{key}", names[1]))]);
        let error = ask(&merged).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.to_string().contains(&names[1]), "{error}");
        let (series, warnings) = ask(&merged.clone().with_partial_response(PartialResponse::Warn)).await.unwrap();
        assert_eq!(series, 5);
        assert!(!warnings.is_empty() && warnings.iter().all(|w| w.message.contains(&names[1])), "{warnings:?}");
        assert_eq!(
            merged.querier(TimeRange::ALL).await.unwrap().label_names(&[], &LabelHints::default()).await.is_err(),
            names_fail
        );
        // What failed is tried again.
        failures.set([]);
        assert_eq!(ask(&merged).await.unwrap(), (5, vec![]));
    }
}
