//! Ports, the catalog's upkeep, and an orderly end.

use std::{future::Future, net::SocketAddr, sync::Arc, time::Duration};

use rustls::ServerConfig;
use snafu::ResultExt;
use tokio::{net::TcpListener, sync::watch};

use crate::{
    api::error::chain,
    backfill::{Backfill, BackfillOptions},
    connections::{Port, Protocol},
    error::{Bind, Detail, Result},
    gateway::{Gateway, now},
    grpc::ServerTls,
    web_config::{WebConfig, guarded},
};

/// How Thanos' APIs are served.
#[derive(Clone, Debug)]
pub struct ThanosOptions {
    /// Where.
    pub address: SocketAddr,
    /// How long requests under way may take after the end was asked for.
    pub grace: Duration,
    /// Plain text without.
    pub tls: Option<ServerTls>,
}

/// Where a [`Server`] listens, and how it keeps up.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerOptions {
    /// Of Prometheus' HTTP API.
    pub prometheus_address: SocketAddr,
    /// Thanos' APIs, if they are served.
    pub thanos: Option<ThanosOptions>,
    /// Who may ask the two HTTP ports, and by what TLS; all and none without.
    pub web: Option<WebConfig>,
    /// Of metrics, health and state.
    pub internal_address: SocketAddr,
    /// Connections of each port at a time; more wait until others end.
    pub max_connections: usize,
    /// How long a client may take for TLS, and then for the head of its request; by HTTP/2, for the first bytes.
    pub head_timeout: Duration,
    /// Time between looks whether the web configuration changed.
    pub reload_interval: Duration,
    /// How long requests under way may take after the end was asked for, on each port.
    pub prometheus_grace: Duration,
    /// Likewise.
    pub internal_grace: Duration,
    /// Time between looks at the bucket.
    pub discovery_interval: Duration,
    /// Which Thanos store the newest data are left to, if there is one.
    pub backfill: Option<BackfillOptions>,
}

impl ServerOptions {
    /// Listens on these addresses; ten seconds of grace, a look at the bucket each minute.
    #[must_use]
    pub const fn new(prometheus_address: SocketAddr, internal_address: SocketAddr) -> Self {
        let grace = Duration::from_secs(10);
        Self {
            prometheus_address,
            thanos: None,
            web: None,
            max_connections: 4096,
            head_timeout: Duration::from_secs(15),
            reload_interval: Duration::from_secs(2),
            internal_address,
            prometheus_grace: grace,
            internal_grace: grace,
            discovery_interval: Duration::from_secs(60),
            backfill: None,
        }
    }
}

/// Serves a [`Gateway`].
#[derive(Debug)]
pub struct Server {
    gateway: Gateway,
    options: ServerOptions,
    prometheus: TcpListener,
    internal: TcpListener,
    thanos: Option<ThanosPort>,
    backfill: Option<Backfill>,
}

/// Of Thanos' APIs.
#[derive(Debug)]
pub(crate) struct ThanosPort {
    pub(crate) listener: TcpListener,
    pub(crate) tls: Option<Arc<ServerConfig>>,
    pub(crate) grace: Duration,
}

impl Server {
    /// Binds the ports.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) if one cannot be had; the message names the flag of the binary to change.
    pub async fn bind(gateway: Gateway, options: ServerOptions) -> Result<Self> {
        let backfill = options.backfill.clone().map(Backfill::new).transpose()?;
        let prometheus = listen("Prometheus' HTTP API", "--http.prometheus.port", options.prometheus_address).await?;
        let internal = listen("metrics and health", "--http.internal.port", options.internal_address).await?;
        let thanos = match &options.thanos {
            Some(thanos) => {
                let tls = thanos.tls.as_ref().map(ServerTls::config).transpose();
                let tls = tls.map_err(|message| Detail::Tls { message })?;
                let listener = listen("Thanos' APIs", "--http.thanos.port", thanos.address).await?;
                Some(ThanosPort { listener, tls, grace: thanos.grace })
            }
            None => None,
        };
        Ok(Self { gateway, options, prometheus, internal, thanos, backfill })
    }

    /// Where it listens for Prometheus' HTTP API; tells the port if it was chosen by the system.
    #[must_use]
    pub fn prometheus_address(&self) -> SocketAddr {
        self.prometheus.local_addr().unwrap_or(self.options.prometheus_address)
    }

    /// Where it listens for Thanos' APIs, if it does.
    #[must_use]
    pub fn thanos_address(&self) -> Option<SocketAddr> {
        self.thanos.as_ref().and_then(|port| port.listener.local_addr().ok())
    }

    /// Where it listens for metrics and health.
    #[must_use]
    pub fn internal_address(&self) -> SocketAddr {
        self.internal.local_addr().unwrap_or(self.options.internal_address)
    }

    /// Looks through the bucket and serves, until `stop` is there and requests under way have ended or their time is over.
    pub async fn run(self, stop: impl Future<Output = ()> + Send) {
        let (sender, stopped) = watch::channel(false);
        let gateway = &self.gateway;
        let prometheus = gateway.prometheus_api().merge(gateway.health_api()).merge(gateway.ui());
        let web = self.options.web.clone();
        let guarded = |router| guarded(router, web.clone(), Arc::clone(gateway.metrics()));
        let ServerOptions { max_connections, head_timeout, .. } = self.options;
        let port = |listener, router, grace| Port {
            listener,
            router: guarded(router),
            protocol: Protocol::Http(web.clone()),
            max_connections,
            head_timeout,
            grace,
        };
        let following = web.clone().map(|web| tokio::spawn(web.follow(self.options.reload_interval)));
        let (kept_up, interval, backfill) = (gateway.clone(), self.options.discovery_interval, self.backfill);
        let upkeep = tokio::spawn(async move {
            let Some(backfill) = backfill else { return keep_up(kept_up, interval).await };
            // Asked first, so that there is no time at which everything is queried, if that can be.
            backfill.refresh(&kept_up).await;
            tokio::join!(keep_up(kept_up.clone(), interval), backfill.follow(&kept_up));
        });
        let prometheus = port(self.prometheus, prometheus, self.options.prometheus_grace);
        let serving = tokio::spawn(prometheus.serve(stopped.clone()));
        let thanos = self.thanos.map(|port| {
            let gateway = gateway.clone();
            tokio::spawn(async move { gateway.serve_thanos(port, max_connections, head_timeout, stopped).await })
        });
        // Its end comes last, so that the end of the others can be watched.
        let (internal_sender, internal_stopped) = watch::channel(false);
        let internal = port(self.internal, gateway.internal_api(), self.options.internal_grace);
        let watching = tokio::spawn(internal.serve(internal_stopped));
        stop.await;
        tracing::info!("stopping: no more connections, requests under way may end");
        // Nobody may be left to hear it.
        let _ = sender.send(true);
        let _ = serving.await;
        if let Some(thanos) = thanos {
            let _ = thanos.await;
        }
        upkeep.abort();
        if let Some(following) = following {
            following.abort();
        }
        let _ = internal_sender.send(true);
        let _ = watching.await;
        tracing::info!("stopped");
    }
}

async fn listen(what: &'static str, flag: &'static str, address: SocketAddr) -> Result<TcpListener> {
    let listener = TcpListener::bind(address).await.context(Bind { what, flag, address });
    Ok(listener?)
}

/// Looks at the bucket again and again; sooner while nothing is known of it.
async fn keep_up(gateway: Gateway, interval: Duration) {
    const FIRST_RETRY: Duration = Duration::from_secs(5);
    loop {
        let catalog = &gateway.0.catalog;
        let result = catalog.sync(now()).await;
        gateway.0.metrics.synced(catalog, result.as_ref().map_err(|_| ()), now());
        match &result {
            Ok(report) => {
                let level_worthy = report.opened + report.closed + report.failed > 0;
                if level_worthy {
                    tracing::info!(
                        open = report.open,
                        opened = report.opened,
                        closed = report.closed,
                        failed = report.failed,
                        "looked through the bucket"
                    );
                }
                for set in catalog.snapshot().sets() {
                    if let promparquet_catalog::SetState::Failed(error) = &set.state {
                        tracing::error!(set = set.name, error = chain(error), "a shard set cannot be read");
                    }
                }
            }
            Err(error) => tracing::error!(error = chain(error), "cannot look through the bucket"),
        }
        let known = catalog.snapshot().is_ready();
        tokio::time::sleep(if known { interval } else { interval.min(FIRST_RETRY) }).await;
    }
}
