//! Sets that can no longer be read after they were opened, and limits that hold for all parts of an answer.

use super::*;

/// What had to make room is opened again, which may fail as other reads may: then answers fail, or lack that set only and say so.
#[tokio::test]
async fn sets_that_are_lost_while_they_are_known() {
    for (footer_bytes, file) in [(0, "0.labels.parquet"), (256 << 20, "0.chunks.parquet")] {
        let store = FailingStore::new(Arc::new(InMemory::new()), Failures::default());
        let failures = Arc::clone(store.tap());
        let bucket = Bucket::new(Arc::new(store), "memory://failing");
        let good = add(&bucket, spec(1), Ulid(1)).await;
        add(&bucket, spec(2), Ulid(2)).await;
        for options in [CatalogOptions::default(), lenient()] {
            let catalog = Catalog::new(bucket.clone(), CatalogOptions { footer_bytes, ..options.clone() });
            assert_eq!(catalog.sync(0).await.unwrap().open, 2);
            let lost = format!("{}/{file}", Ulid(2));
            failures.set([Rule::new(Fault::NotFound).key(&*lost)]);
            let answer = ask(&catalog, TimeRange::ALL).await;
            failures.set([]);
            if options.partial_response == PartialResponse::Warn {
                let answer = answer.unwrap();
                assert_same(&answer.series, &merged(&[&good]));
                assert!(answer.warnings.iter().any(|warning| warning.contains(&lost)), "{:?}", answer.warnings);
            } else {
                let error = answer.err().unwrap();
                assert!(error.to_string().contains(&lost), "{error}");
            }
            assert!(ask(&catalog, TimeRange::ALL).await.unwrap().warnings.is_empty());
        }
    }
}

/// Sets with external labels of their own are asked apart, and counted together.
#[tokio::test]
async fn limits_hold_for_sets_of_different_labels() {
    let bucket = memory();
    for n in [1, 2] {
        let dir = tempfile::tempdir().unwrap();
        let block = spec(n).external_label("replica", n.to_string()).write(dir.path()).unwrap();
        add_block(&bucket, &block, Ulid(n)).await;
        let meta = std::fs::read(block.join("meta.json")).unwrap();
        bucket.put(&format!("{}/meta.json", Ulid(n)), meta.into()).await.unwrap();
    }
    let catalog = Catalog::new(bucket.clone(), CatalogOptions::default());
    catalog.sync(0).await.unwrap();
    let most = catalog.snapshot().sets().map(|set| set.rows).max().unwrap();
    let mut options = CatalogOptions::default();
    options.query.limits.rows = std::num::NonZeroU64::new(most);
    let catalog = Catalog::new(bucket, options);
    catalog.sync(0).await.unwrap();
    for n in [1, 2] {
        assert!(ask(&catalog, TimeRange::new(n * HOUR, (n + 1) * HOUR).unwrap()).await.is_ok());
    }
    assert_eq!(ask(&catalog, TimeRange::ALL).await.err().unwrap().kind(), ErrorKind::LimitExceeded);
}
