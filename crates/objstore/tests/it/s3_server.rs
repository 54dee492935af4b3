//! An S3 server in this process, over a temporary directory.

use std::path::PathBuf;

use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
};
use promparquet_objstore::{Bucket, BucketConfig, OpenFor};
use s3s::{auth::SimpleAuth, service::S3ServiceBuilder};
use s3s_fs::FileSystem;
use tokio::net::TcpListener;

pub(crate) const BUCKET: &str = "blocks";
const SECRET: &str = "hunter2hunter2";

pub(crate) struct S3Server {
    root: tempfile::TempDir,
    address: std::net::SocketAddr,
}

impl S3Server {
    /// Serves until the test's runtime ends.
    pub(crate) async fn start() -> Self {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join(BUCKET)).unwrap();
        let mut service = S3ServiceBuilder::new(FileSystem::new(root.path()).unwrap());
        service.set_auth(SimpleAuth::from_single("key", SECRET));
        let service = service.build();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let http = Builder::new(TokioExecutor::new());
            while let Ok((socket, _)) = listener.accept().await {
                let connection = http.serve_connection(TokioIo::new(socket), service.clone()).into_owned();
                tokio::spawn(async move { drop(connection.await) });
            }
        });
        Self { root, address }
    }

    pub(crate) fn yaml(&self, bucket: &str, secret: &str) -> String {
        format!(
            "type: s3\nconfig:\n  bucket: {bucket}\n  endpoint: {}\n  insecure: true\n  access_key: key\n  secret_key: \
             {secret}\n  part_size: 5242880\n  max_retries: 2\n",
            self.address
        )
    }

    pub(crate) fn bucket(&self) -> Bucket {
        self.open(BUCKET, SECRET)
    }

    pub(crate) fn open(&self, bucket: &str, secret: &str) -> Bucket {
        BucketConfig::from_yaml(&self.yaml(bucket, secret), |_| None).unwrap().open(OpenFor::Writing).unwrap()
    }

    /// Parts of uploads that were neither completed nor aborted.
    pub(crate) fn leftovers(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.root.path()).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.to_str().unwrap().contains(".upload")).collect()
    }
}
