//! Who is scraped: clusters with nodes, deployments and pods that come and go.

use prometheus_model::{Labels, TimestampMs};

use super::{
    catalog::{self, Axis, Group, Kind},
    clock::Target,
    rng::{Rng, mix_text, mix2},
    spec::BlockSpec,
    values::Shape,
};

/// Label that all entities have. No label of theirs but the metric's name sorts before it: so the series of a metric
/// can be generated in order, cluster by cluster.
pub(crate) const FIRST_LABEL: &str = "cluster";

/// Series of a cluster, about.
const CLUSTER_SERIES: u64 = 100_000;
/// Below this many series, a block has a part of the catalog, so that it has several pods nonetheless.
const SPARSE_BELOW: u64 = 5_000;
/// Pods per node.
const PODS_PER_NODE: u64 = 12;

/// A metric of an entity.
#[derive(Debug)]
pub(crate) struct Metric {
    pub(crate) name: String,
    pub(crate) shape: Shape,
    pub(crate) axes: Vec<(&'static str, Values)>,
    /// Number of the metric's first series among those of the table.
    pub(crate) first: u64,
    /// How many series it has.
    pub(crate) series: u64,
}

/// Values of an axis.
#[derive(Debug)]
pub(crate) enum Values {
    Listed(Vec<&'static str>),
    /// `<prefix>0`, `<prefix>1`, ...
    Numbered(&'static str, u64),
}

impl Values {
    fn len(&self) -> u64 {
        match self {
            Self::Listed(values) => values.len() as u64,
            Self::Numbered(_, n) => *n,
        }
    }

    fn get(&self, i: u64) -> String {
        match self {
            Self::Listed(values) => values[i as usize].to_owned(),
            Self::Numbered(prefix, _) => format!("{prefix}{i}"),
        }
    }
}

impl Metric {
    /// Labels that tell the series `variant < self.series` from the others.
    pub(crate) fn variant(&self, mut variant: u64) -> Vec<(&'static str, String)> {
        let value = |(name, values): &(&'static str, Values)| {
            let value = values.get(variant % values.len());
            variant /= values.len();
            (*name, value)
        };
        self.axes.iter().rev().map(value).collect()
    }

    pub(crate) fn shape(&self, variant: u64) -> Shape {
        match self.shape {
            // The bounds are the last axis.
            Shape::Bucket(_) => Shape::Bucket((variant % catalog::BUCKETS.1.len() as u64) as u8),
            shape => shape,
        }
    }
}

/// Metrics that a kind of entity has.
#[derive(Debug, Default)]
pub(crate) struct Table {
    pub(crate) metrics: Vec<Metric>,
    series: u64,
}

impl Table {
    fn push(&mut self, name: String, shape: Shape, axes: Vec<(&'static str, Values)>) {
        let series = axes.iter().map(|(_, values)| values.len()).product();
        self.metrics.push(Metric { name, shape, axes, first: self.series, series });
        self.series += series;
    }

    /// The metrics of the groups, their names after `prefix`; of a sparse table a quarter, with fewer series each.
    fn new(groups: &[&[Group]], prefix: &str, sparse: bool) -> Self {
        let mut table = Self::default();
        let mut number = 0;
        for group in groups.iter().flat_map(|groups| groups.iter()) {
            for name in group.names {
                number += 1;
                if sparse && number % 4 != 1 {
                    continue;
                }
                let limit = match group.kind {
                    _ if !sparse => usize::MAX,
                    Kind::Plain(_) => 2,
                    Kind::Classic => 1,
                };
                let axes = || -> Vec<_> { group.axes.iter().map(|axis| listed(axis, limit)).collect() };
                match group.kind {
                    Kind::Plain(shape) => table.push(format!("{prefix}{name}"), shape, axes()),
                    Kind::Classic => {
                        let mut with_bounds = axes();
                        with_bounds.push(listed(&catalog::BUCKETS, usize::MAX));
                        table.push(format!("{prefix}{name}_bucket"), Shape::Bucket(0), with_bounds);
                        table.push(format!("{prefix}{name}_count"), Shape::Count, axes());
                        table.push(format!("{prefix}{name}_sum"), Shape::Sum, axes());
                    }
                }
            }
        }
        table
    }

    /// `series` native histograms.
    fn native(series: u64) -> Self {
        let mut table = Self::default();
        let names = catalog::NATIVE.len() as u64;
        for (i, (name, kind)) in (0..).zip(catalog::NATIVE) {
            let count = (series + names - 1 - i) / names;
            if count > 0 {
                let axes = vec![("rpc_method", Values::Numbered("orders.v1.Orders/Method", count))];
                table.push((*name).to_owned(), Shape::Native(*kind), axes);
            }
        }
        table
    }
}

fn listed(axis: &Axis, limit: usize) -> (&'static str, Values) {
    (axis.0, Values::Listed(axis.1.iter().copied().take(limit).collect()))
}

/// A thing that has series: a target, or what a target tells of.
#[derive(Debug)]
pub(crate) struct Entity {
    pub(crate) cluster: u32,
    /// Its tables, by number; the series of one come after those of the one before.
    tables: Vec<u32>,
    pub(crate) labels: Labels,
    pub(crate) target: Target,
    /// Number of its first series, among all of the block.
    pub(crate) first: u64,
    /// How many series it has.
    series: u64,
}

/// All entities and what metrics they have.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) tables: Vec<Table>,
    pub(crate) entities: Vec<Entity>,
    pub(crate) clusters: u32,
}

/// Entities with a table in common: numbers of the entity, of its first series in the table, and how many it has there.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) entity: usize,
    pub(crate) offset: u64,
    pub(crate) limit: u64,
}

impl World {
    /// Entities that have `series` series together. `first` is the number of the first.
    pub(crate) fn new(spec: &BlockSpec, series: u64, first: u64) -> Self {
        Builder::new(spec, series, first).build()
    }

    /// For each cluster and table the entities that have it.
    pub(crate) fn members(&self) -> Vec<Vec<Vec<Member>>> {
        let tables = || self.tables.iter().map(|_| Vec::new()).collect::<Vec<_>>();
        let mut members: Vec<Vec<Vec<Member>>> = (0..self.clusters).map(|_| tables()).collect();
        for (entity, e) in self.entities.iter().enumerate() {
            let mut offset = 0;
            for table in e.tables.iter().map(|table| *table as usize) {
                let limit = e.series.saturating_sub(offset).min(self.tables[table].series);
                members[e.cluster as usize][table].push(Member { entity, offset, limit });
                offset += self.tables[table].series;
            }
        }
        members
    }
}

/// Numbers of the tables that do not depend on the application.
#[derive(Clone, Copy)]
enum Kept {
    App,
    Container,
    PodNetwork,
    KsmPod,
    KsmContainer,
    KsmWorkload,
    KsmNode,
    Node,
    Kubelet,
    ApiServer,
    Native,
}

/// Number of the first application's own table.
const FIRST_OWN: u32 = Kept::Native as u32 + 1;

struct Builder<'a> {
    spec: &'a BlockSpec,
    rng: Rng,
    wanted: u64,
    first: u64,
    count: u64,
    world: World,
    apps: Vec<String>,
    /// Which applications the cluster has a deployment of.
    deployed: Vec<bool>,
    nodes: Vec<Node>,
    /// Decides which replicas are rolled.
    slots: u64,
    ksm: Ksm,
}

#[derive(Clone)]
struct Node {
    name: String,
    ip: String,
    seed: u64,
}

/// The cluster's kube-state-metrics.
#[derive(Default)]
struct Ksm {
    instance: String,
    seed: u64,
}

/// What a pod's series have in common.
struct Pod<'a> {
    app: usize,
    name: String,
    namespace: &'a str,
    uid: String,
    ip: String,
    node: Node,
    from: TimestampMs,
    until: TimestampMs,
}

const CONSONANTS: &str = "bcdfghjklmnpqrstvwxz2456789";

impl<'a> Builder<'a> {
    fn new(spec: &'a BlockSpec, wanted: u64, first: u64) -> Self {
        use catalog::{API_SERVER, APP, CONTAINER, KSM_CONTAINER, KSM_NODE, KSM_POD, KSM_WORKLOAD, KUBELET, NODE, OWN};
        use catalog::{POD_NETWORK, PROCESS, SCRAPE};
        let sparse = wanted < SPARSE_BELOW;
        let kept: [&[&[Group]]; FIRST_OWN as usize - 1] = [
            &[APP, SCRAPE, PROCESS],
            &[CONTAINER],
            &[POD_NETWORK],
            &[KSM_POD],
            &[KSM_CONTAINER],
            &[KSM_WORKLOAD],
            &[KSM_NODE],
            &[NODE, SCRAPE],
            &[KUBELET, SCRAPE, PROCESS],
            &[API_SERVER, SCRAPE, PROCESS],
        ];
        let mut tables: Vec<_> = kept.iter().map(|groups| Table::new(groups, "", sparse)).collect();
        let of_pod = [Kept::App, Kept::Container, Kept::PodNetwork, Kept::KsmPod, Kept::KsmContainer];
        let of_pod: u64 = of_pod.iter().map(|table| tables[*table as usize].series).sum();
        let native = spec.native_histograms.min(0.95);
        tables.push(Table::native((of_pod as f64 * native / (1.0 - native) + 0.5) as u64));
        let apps: Vec<String> = (0..(wanted / 2600).clamp(6, 66) as usize)
            .map(|i| {
                let word = catalog::APP_WORDS[i % catalog::APP_WORDS.len()];
                let suffix = catalog::APP_SUFFIXES[i / catalog::APP_WORDS.len() % catalog::APP_SUFFIXES.len()];
                format!("{word}-{suffix}")
            })
            .collect();
        tables.extend(apps.iter().map(|app| Table::new(&[OWN], &app.replace('-', "_"), sparse)));
        Self {
            spec,
            rng: Rng::new(mix_text(spec.seed, "world")),
            wanted,
            first,
            count: 0,
            world: World { tables, entities: Vec::new(), clusters: 0 },
            deployed: Vec::new(),
            apps,
            nodes: Vec::new(),
            slots: 0,
            ksm: Ksm::default(),
        }
    }

    fn build(mut self) -> World {
        let mut in_cluster = 0;
        while self.count < self.wanted {
            if self.count >= u64::from(self.world.clusters) * CLUSTER_SERIES {
                self.cluster();
                in_cluster = 0;
            }
            self.slot();
            if in_cluster % PODS_PER_NODE == PODS_PER_NODE / 4 {
                self.node_series(in_cluster / PODS_PER_NODE);
            }
            if in_cluster == PODS_PER_NODE || in_cluster == 5 * PODS_PER_NODE {
                self.api_server();
            }
            in_cluster += 1;
        }
        self.world
    }

    fn cluster(&mut self) {
        self.world.clusters += 1;
        self.deployed = vec![false; self.apps.len()];
        self.nodes.clear();
        self.ksm = Ksm { instance: format!("{}:8080", ip(&mut self.rng, 244)), seed: self.rng.next() };
    }

    /// The cluster's node of this number; names before it exist already.
    fn node(&mut self, number: u64) -> Node {
        while self.nodes.len() as u64 <= number {
            let n = self.nodes.len();
            let ip = format!("10.1.{}.{}", n / 250, 1 + n % 250);
            let name = format!("ip-{}.eu-west-1.compute.internal", ip.replace('.', "-"));
            self.nodes.push(Node { name, ip, seed: self.rng.next() });
        }
        self.nodes[number as usize].clone()
    }

    fn cluster_name(&self) -> String {
        // Padded, so that numbers ascend as text.
        format!("prod-eu-{:04}", self.world.clusters)
    }

    fn add(&mut self, tables: &[u32], labels: &[(&str, &str)], target: Target) {
        let tables = tables.to_vec();
        let all: u64 = tables.iter().map(|table| self.world.tables[*table as usize].series).sum();
        let series = all.min(self.wanted - self.count);
        if series == 0 {
            return;
        }
        let cluster = self.cluster_name();
        let pairs = labels.iter().copied().chain([(FIRST_LABEL, cluster.as_str())]);
        let labels = Labels::from_pairs(pairs).expect("each caller gives constant names, none of them twice");
        let first = self.first + self.count;
        let cluster = self.world.clusters - 1;
        self.world.entities.push(Entity { cluster, tables, labels, target, first, series });
        self.count += series;
    }

    /// A replica of a deployment: one pod, or one after the other.
    fn slot(&mut self) {
        let apps = self.apps.len() as u64;
        let app = self.rng.below(apps).min(self.rng.below(apps)) as usize;
        let node = self.rng.below(1 + self.count / 6000);
        let node = self.node(node);
        self.workload(app);
        let mut lives = vec![(TimestampMs::MIN, TimestampMs::MAX)];
        let (start, end, interval) = (self.spec.start, self.spec.end(), self.spec.interval_ms);
        // A life has at least ten scrapes, so that some succeed.
        let (least, length) = (12 * interval, end - start);
        if self.is_rolled() && length > 3 * least {
            let most = (1 + length / 21_600_000).min(length / (3 * least)) as u64;
            let pods = 2 + self.rng.below(most) as i64;
            let part = length / pods;
            let cuts: Vec<_> = (1..pods)
                .map(|i| start + i * part + self.rng.below((part - least).max(1) as u64) as i64 - (part - least) / 2)
                .collect();
            let gap = 1 + self.rng.below(2 * interval as u64) as i64;
            let starts = std::iter::once(TimestampMs::MIN).chain(cuts.iter().map(|cut| cut + gap));
            lives = starts.zip(cuts.iter().copied().chain([TimestampMs::MAX])).collect();
        }
        let namespace = catalog::NAMESPACES[app % catalog::NAMESPACES.len()];
        let mut replica_set = self.rng.text(CONSONANTS, 10);
        for (from, until) in lives {
            if self.rng.one_in(2) {
                replica_set = self.rng.text(CONSONANTS, 10);
            }
            let rng = &mut self.rng;
            let uid = format!("{}-{}-4{}-a{}-{}", rng.hex(8), rng.hex(4), rng.hex(3), rng.hex(3), rng.hex(12));
            let name = format!("{}-{replica_set}-{}", self.apps[app], rng.text(CONSONANTS, 5));
            let ip = ip(rng, 244);
            self.pod(&Pod { app, name, namespace, uid, ip, node: node.clone(), from, until }, &replica_set);
        }
    }

    /// Whether the next replica of a deployment is rolled. Not drawn at random, so that the number of samples hardly
    /// depends on the seed: multiples of the golden ratio fill the unit interval evenly.
    fn is_rolled(&mut self) -> bool {
        self.slots = self.slots.wrapping_add(0x9e37_79b9_7f4a_7c15);
        ((self.slots >> 11) as f64) < self.spec.churn * (1_u64 << 53) as f64
    }

    fn pod(&mut self, pod: &Pod<'_>, replica_set: &str) {
        let Pod { app, name, namespace, uid, ip, node, from, until } = pod;
        let (from, until, namespace) = (*from, *until, *namespace);
        let app_name = self.apps[*app].clone();
        let restart = self.rng.one_in(10).then(|| {
            let (from, until) = (from.max(self.spec.start), until.min(self.spec.end()));
            from + self.rng.below((until - from).max(1) as u64) as i64
        });
        let lived = |seed| Target { seed, from, until, restart: None };
        let sidecar = self.rng.one_in(4);
        let ksm_target = lived(self.ksm.seed);
        let ksm_instance = self.ksm.instance.clone();
        let kubelet = format!("{}:10250", node.ip);
        let (image, image_id) = self.image(&app_name, *app);

        let ksm = [
            ("endpoint", "http"),
            ("instance", &ksm_instance),
            ("job", "kube-state-metrics"),
            ("service", "kube-state-metrics"),
        ];
        let object = [("namespace", namespace), ("pod", name), ("uid", uid)];
        let owner = [("host_ip", node.ip.as_str()), ("node", &node.name), ("owner_name", replica_set), ("pod_ip", ip)];
        self.add(&[Kept::KsmPod as u32], &[&ksm[..], &object, &owner].concat(), ksm_target);

        let job = format!("{namespace}/{app_name}");
        let instance = format!("{ip}:8080");
        let scraped = [
            ("container", "app"),
            ("endpoint", "http-metrics"),
            ("instance", &instance),
            ("job", &job),
            ("namespace", namespace),
            ("node", &node.name),
            ("pod", name),
            ("service", &app_name),
        ];
        let target = Target { restart, ..lived(self.rng.next()) };
        self.add(&[Kept::App as u32, FIRST_OWN + *app as u32, Kept::Native as u32], &scraped, target);

        let slice =
            format!("/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{}.slice", uid.replace('-', "_"));
        let advised = [
            ("endpoint", "https-metrics"),
            ("instance", &kubelet),
            ("job", "kubelet"),
            ("metrics_path", "/metrics/cadvisor"),
            ("namespace", namespace),
            ("node", &node.name),
            ("pod", name),
            ("service", "kubelet"),
        ];
        let advised_target = lived(mix2(node.seed, 1));
        let containers: &[&str] = if sidecar { &["app", "istio-proxy"] } else { &["app"] };
        for container in containers {
            let id = self.rng.hex(64);
            let path = format!("{slice}/cri-containerd-{id}.scope");
            let own = [("container", *container), ("id", &path), ("image", &image), ("name", &id)];
            let target = Target { restart: restart.filter(|_| *container == "app"), ..advised_target };
            self.add(&[Kept::Container as u32], &[&advised[..], &own].concat(), target);
            let container_id = format!("containerd://{id}");
            let own = [("container", *container), ("container_id", &container_id), ("image_id", &image_id)];
            self.add(&[Kept::KsmContainer as u32], &[&ksm[..], &object, &own].concat(), ksm_target);
        }
        let sandbox = self.rng.hex(64);
        let path = format!("{slice}/cri-containerd-{sandbox}.scope");
        let own = [("id", path.as_str()), ("image", "registry.k8s.io/pause:3.10"), ("name", &sandbox)];
        self.add(&[Kept::PodNetwork as u32], &[&advised[..], &own].concat(), advised_target);
    }

    /// Name and digest of an application's image.
    fn image(&self, app: &str, number: usize) -> (String, String) {
        let mut rng = Rng::new(mix_text(self.spec.seed, app));
        let digest = format!("sha256:{}", rng.hex(64));
        let namespace = catalog::NAMESPACES[number % catalog::NAMESPACES.len()];
        (format!("registry.example.com/{namespace}/{app}@{digest}"), digest)
    }

    /// The deployment of an application, once in each cluster.
    fn workload(&mut self, app: usize) {
        if std::mem::replace(&mut self.deployed[app], true) {
            return;
        }
        let (name, instance) = (self.apps[app].clone(), self.ksm.instance.clone());
        let labels = [
            ("deployment", name.as_str()),
            ("endpoint", "http"),
            ("instance", &instance),
            ("job", "kube-state-metrics"),
            ("label_app", &name),
            ("namespace", catalog::NAMESPACES[app % catalog::NAMESPACES.len()]),
            ("service", "kube-state-metrics"),
        ];
        self.add(&[Kept::KsmWorkload as u32], &labels, Target::lasting(self.ksm.seed));
    }

    fn node_series(&mut self, number: u64) {
        let node = self.node(number);
        let exporter = format!("node-exporter-{}", self.rng.text(CONSONANTS, 5));
        let instance = format!("{}:9100", node.ip);
        let labels = [
            ("container", "node-exporter"),
            ("endpoint", "metrics"),
            ("instance", instance.as_str()),
            ("job", "node-exporter"),
            ("namespace", "monitoring"),
            ("node", &node.name),
            ("pod", &exporter),
            ("service", "node-exporter"),
        ];
        self.add(&[Kept::Node as u32], &labels, Target::lasting(mix2(node.seed, 2)));
        let ksm = self.ksm.instance.clone();
        let labels = [
            ("endpoint", "http"),
            ("instance", ksm.as_str()),
            ("job", "kube-state-metrics"),
            ("node", &node.name),
            ("service", "kube-state-metrics"),
        ];
        self.add(&[Kept::KsmNode as u32], &labels, Target::lasting(self.ksm.seed));
        let instance = format!("{}:10250", node.ip);
        let labels = [
            ("endpoint", "https-metrics"),
            ("instance", instance.as_str()),
            ("job", "kubelet"),
            ("metrics_path", "/metrics"),
            ("namespace", "kube-system"),
            ("node", &node.name),
            ("service", "kubelet"),
        ];
        self.add(&[Kept::Kubelet as u32], &labels, Target::lasting(node.seed));
    }

    fn api_server(&mut self) {
        let instance = format!("{}:6443", ip(&mut self.rng, 1));
        let labels = [
            ("component", "apiserver"),
            ("endpoint", "https"),
            ("instance", instance.as_str()),
            ("job", "apiserver"),
            ("namespace", "default"),
            ("service", "kubernetes"),
        ];
        let seed = self.rng.next();
        self.add(&[Kept::ApiServer as u32], &labels, Target::lasting(seed));
    }
}

fn ip(rng: &mut Rng, second: u8) -> String {
    format!("10.{second}.{}.{}", rng.below(256), 1 + rng.below(254))
}
