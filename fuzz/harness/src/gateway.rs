//! A gateway over the shards of `fuzz/seeds/shard-none`, for what asks it.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use axum::Router;
use object_store::{ObjectStoreExt, memory::InMemory, path::Path};
use prometheus_promql::{Engine, EngineOptions, ParserOptions};
use promparquet_catalog::{Catalog, CatalogOptions};
use promparquet_gateway::{Gateway, GatewayOptions};
use promparquet_objstore::Bucket;
use tokio::runtime::{Builder, Runtime};

pub(crate) struct Server {
    pub(crate) runtime: Runtime,
    pub(crate) http: Router,
    pub(crate) grpc: Router,
}

/// The one of this process.
pub(crate) fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime");
        let (http, grpc) = runtime.block_on(async {
            let store = InMemory::new();
            let name = "01JGFSEP80VHQAZ8FEAQD9QWMS";
            for (file, content) in [
                ("0.labels.parquet", &include_bytes!("../../seeds/shard-none/0.labels.parquet")[..]),
                ("0.chunks.parquet", include_bytes!("../../seeds/shard-none/0.chunks.parquet")),
                ("parquet-converter-mark.json", br#"{"version":2,"shards":1}"#),
            ] {
                store.put(&Path::from(format!("{name}/{file}")), content.into()).await.expect("a store in memory");
            }
            let catalog = Catalog::new(Bucket::new(Arc::new(store), "memory://fuzz"), CatalogOptions::default());
            let report = catalog.sync(1_735_700_000_000).await.expect("a look at the bucket");
            assert_eq!(report.open, 1, "{report:?}");
            let engine = EngineOptions {
                parser: ParserOptions::all_features(),
                threads: 1,
                max_samples: 100_000,
                max_memory: 8 << 20,
                ..EngineOptions::default()
            };
            let mut options = GatewayOptions::default();
            options.max_timeout = Duration::from_secs(2);
            options.slow_query = None;
            let gateway = Gateway::new(Arc::new(catalog), Engine::new(engine).expect("an engine"), options);
            (gateway.prometheus_api(), gateway.thanos_api().await)
        });
        Server { runtime, http, grpc }
    })
}
