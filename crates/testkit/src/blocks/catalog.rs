//! Which metrics there are: those that a Kubernetes cluster exposes, and who exposes them.

use super::values::{NativeKind, Shape};

/// A label whose values tell the series of one metric and one target apart.
pub(crate) type Axis = (&'static str, &'static [&'static str]);

/// Metrics that differ by name only.
pub(crate) struct Group {
    pub(crate) kind: Kind,
    pub(crate) axes: &'static [Axis],
    pub(crate) names: &'static [&'static str],
}

/// What series a metric has beside those of its axes.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// None.
    Plain(Shape),
    /// A classic histogram: `_bucket` with [`BUCKETS`], `_sum` and `_count`.
    Classic,
}

const fn group(shape: Shape, axes: &'static [Axis], names: &'static [&'static str]) -> Group {
    Group { kind: Kind::Plain(shape), axes, names }
}

const fn classic(axes: &'static [Axis], names: &'static [&'static str]) -> Group {
    Group { kind: Kind::Classic, axes, names }
}

/// Label of a classic histogram's buckets.
pub(crate) const BUCKETS: Axis =
    ("le", &["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf"]);
pub(crate) const QUANTILES: Axis = ("quantile", &["0", "0.25", "0.5", "0.75", "1"]);

const MODES: Axis = ("mode", &["idle", "iowait", "irq", "nice", "softirq", "steal", "system", "user"]);
const CPUS: Axis = ("cpu", &["0", "1", "2", "3"]);
const TOTAL_CPU: Axis = ("cpu", &["total"]);
const DISKS: Axis = ("device", &["nvme0n1", "nvme1n1"]);
const INTERFACES: Axis = ("device", &["cali1f3d5e7a9b1", "ens5", "lo"]);
const FILESYSTEMS: Axis = ("mountpoint", &["/", "/boot/efi", "/run", "/var/lib/kubelet"]);
const FS_TYPE: Axis = ("fstype", &["ext4"]);
const POD_INTERFACE: Axis = ("interface", &["eth0"]);
const CONTAINER_DEVICE: Axis = ("device", &["/dev/nvme0n1"]);
const FAILURES: Axis = ("failure_type", &["pgfault", "pgmajfault"]);
const FAILURE_SCOPES: Axis = ("scope", &["container", "hierarchy"]);
const PHASES: Axis = ("phase", &["Failed", "Pending", "Running", "Succeeded", "Unknown"]);
const CONDITIONS: Axis = ("condition", &["false", "true", "unknown"]);
const NODE_CONDITIONS: Axis =
    ("condition", &["DiskPressure", "MemoryPressure", "NetworkUnavailable", "PIDPressure", "Ready"]);
const STATUSES: Axis = ("status", &["false", "true", "unknown"]);
const RESOURCES: Axis = ("resource", &["cpu", "memory"]);
const NODE_RESOURCES: Axis = ("resource", &["cpu", "ephemeral_storage", "memory", "pods"]);
const UNITS: Axis = ("unit", &["core"]);
const WAIT_REASONS: Axis = ("reason", &["ContainerCreating", "CrashLoopBackOff", "ImagePullBackOff"]);
const TERMINATED_REASONS: Axis = ("reason", &["Completed", "Error", "OOMKilled"]);
const QOS: Axis = ("qos_class", &["BestEffort", "Burstable", "Guaranteed"]);
const OWNER: Axis = ("owner_kind", &["ReplicaSet"]);
const CREATED_BY: Axis = ("created_by_kind", &["ReplicaSet"]);
const TEAM: Axis = ("label_team", &["platform"]);
const METHODS: Axis = ("method", &["GET", "POST"]);
const HANDLERS: Axis = ("handler", &["/api/v1/orders", "/api/v1/orders/{id}", "/healthz"]);
const CODES: Axis = ("code", &["200", "500"]);
const ALL_CODES: Axis = ("code", &["200", "201", "400", "404", "500", "503"]);
const VERSIONS: Axis = ("version", &["go1.26.4"]);
const OPERATIONS: Axis = ("operation", &["delete", "insert", "select", "update"]);
const TABLES: Axis = ("table", &["accounts", "orders"]);
const TOPICS: Axis = ("topic", &["audit.events.v1", "orders.created.v2"]);
const PARTITIONS: Axis = ("partition", &["0", "1", "2"]);
const GRPC: Axis = ("grpc_method", &["Check", "GetOrder", "ListOrders"]);
const GRPC_CODES: Axis = ("code", &["OK", "Unavailable"]);
const VERBS: Axis = ("verb", &["DELETE", "GET", "LIST", "PATCH", "POST", "PUT", "WATCH"]);
const API_RESOURCES: Axis =
    ("resource", &["configmaps", "deployments", "endpoints", "events", "leases", "nodes", "pods", "secrets"]);
const API_SCOPES: Axis = ("scope", &["cluster", "namespace"]);
const QUEUES: Axis =
    ("name", &["AvailableConditionController", "autoregister", "crd_finalizer", "non_structural_schema"]);
const FLOWS: Axis = ("priority_level", &["catch-all", "global-default", "leader-election", "system", "workload-high"]);
const STATES: Axis = ("state", &["active", "idle"]);
const RESULTS: Axis = ("result", &["error", "success"]);
const HALVES: Axis = ("type", &["in", "out"]);

/// Of every target.
pub(crate) const SCRAPE: &[Group] = &[
    group(Shape::One, &[], &["up"]),
    group(
        Shape::Level,
        &[],
        &["scrape_samples_scraped", "scrape_samples_post_metric_relabeling", "scrape_series_added"],
    ),
    group(Shape::Duration, &[], &["scrape_duration_seconds"]),
];

/// Of every process written in Go.
pub(crate) const PROCESS: &[Group] = &[
    group(Shape::Seconds, &[], &["process_cpu_seconds_total"]),
    group(Shape::Bytes, &[], &["process_resident_memory_bytes"]),
    group(Shape::Level, &[], &["process_open_fds"]),
    group(Shape::Fixed, &[], &["process_max_fds", "process_virtual_memory_max_bytes", "go_gc_gogc_percent"]),
    group(Shape::StartTime, &[], &["process_start_time_seconds"]),
    group(Shape::Bytes, &[], &["process_virtual_memory_bytes"]),
    group(Shape::Level, &[], &["go_goroutines", "go_threads"]),
    group(Shape::Fixed, &[], &["go_sched_gomaxprocs_threads", "go_gc_gomemlimit_bytes"]),
    group(Shape::One, &[VERSIONS], &["go_info"]),
    group(Shape::Quantile, &[QUANTILES], &["go_gc_duration_seconds"]),
    group(
        Shape::Events,
        &[],
        &["go_gc_duration_seconds_count", "go_memstats_frees_total", "go_memstats_mallocs_total"],
    ),
    group(Shape::Seconds, &[], &["go_gc_duration_seconds_sum"]),
    group(
        Shape::Bytes,
        &[],
        &[
            "go_memstats_alloc_bytes",
            "go_memstats_heap_idle_bytes",
            "go_memstats_heap_inuse_bytes",
            "go_memstats_next_gc_bytes",
        ],
    ),
    group(
        Shape::Fixed,
        &[],
        &[
            "go_memstats_buck_hash_sys_bytes",
            "go_memstats_gc_sys_bytes",
            "go_memstats_heap_sys_bytes",
            "go_memstats_mcache_inuse_bytes",
            "go_memstats_mcache_sys_bytes",
            "go_memstats_mspan_sys_bytes",
            "go_memstats_other_sys_bytes",
            "go_memstats_stack_sys_bytes",
            "go_memstats_sys_bytes",
        ],
    ),
    group(Shape::Level, &[], &["go_memstats_heap_objects"]),
    group(Shape::StartTime, &[], &["go_memstats_last_gc_time_seconds"]),
    group(Shape::Traffic, &[], &["go_memstats_alloc_bytes_total"]),
];

/// Of the pods of an application, beside [`PROCESS`] and [`SCRAPE`].
pub(crate) const APP: &[Group] = &[
    classic(&[HANDLERS, METHODS, CODES], &["http_request_duration_seconds"]),
    group(Shape::Events, &[HANDLERS, METHODS, ALL_CODES], &["http_requests_total"]),
    group(Shape::Steps, &[METHODS], &["http_requests_in_flight"]),
    group(Shape::Events, &[GRPC, GRPC_CODES], &["grpc_server_handled_total"]),
    group(
        Shape::Events,
        &[GRPC],
        &["grpc_server_started_total", "grpc_server_msg_received_total", "grpc_server_msg_sent_total"],
    ),
    group(Shape::Events, &[TABLES, OPERATIONS], &["db_queries_total"]),
    group(Shape::Steps, &[STATES], &["db_pool_connections"]),
    group(Shape::Fixed, &[], &["db_pool_max_connections"]),
    group(Shape::Level, &[TOPICS, PARTITIONS], &["kafka_consumer_lag"]),
    group(Shape::Events, &[TOPICS, PARTITIONS], &["kafka_consumer_records_consumed_total"]),
    group(Shape::Events, &[RESULTS], &["cache_requests_total", "client_retries_total"]),
    group(Shape::One, &[VERSIONS], &["app_build_info"]),
];

/// Of the pods of one application; the names follow its own name.
pub(crate) const OWN: &[Group] = &[
    group(Shape::Events, &[RESULTS], &["_jobs_processed_total", "_lookups_total"]),
    group(Shape::Level, &[], &["_queue_depth", "_cache_entries"]),
    group(Shape::Steps, &[], &["_workers_busy"]),
    group(Shape::Ratio, &[], &["_pool_usage_ratio"]),
    group(Shape::StartTime, &[], &["_last_success_timestamp_seconds"]),
    group(Shape::Fixed, &[], &["_config_hash"]),
    classic(&[], &["_job_duration_seconds"]),
];

/// Of cAdvisor, for a container.
pub(crate) const CONTAINER: &[Group] = &[
    group(Shape::Seconds, &[TOTAL_CPU], &["container_cpu_usage_seconds_total"]),
    group(
        Shape::Bytes,
        &[],
        &["container_memory_working_set_bytes", "container_memory_rss", "container_memory_usage_bytes"],
    ),
    group(Shape::Seconds, &[], &["container_cpu_system_seconds_total", "container_cpu_user_seconds_total"]),
    group(Shape::Bytes, &[], &["container_memory_cache", "container_memory_total_active_file_bytes"]),
    group(Shape::Steps, &[], &["container_memory_failcnt"]),
    group(
        Shape::Fixed,
        &[],
        &[
            "container_memory_mapped_file",
            "container_memory_max_usage_bytes",
            "container_memory_swap",
            "container_memory_kernel_usage",
            "container_spec_memory_limit_bytes",
            "container_spec_memory_reservation_limit_bytes",
            "container_spec_memory_swap_limit_bytes",
            "container_spec_cpu_period",
            "container_spec_cpu_shares",
            "container_spec_cpu_quota",
            "container_threads_max",
            "container_oom_events_total",
        ],
    ),
    group(Shape::Events, &[], &["container_cpu_cfs_periods_total", "container_cpu_cfs_throttled_periods_total"]),
    group(Shape::Seconds, &[], &["container_cpu_cfs_throttled_seconds_total"]),
    group(Shape::Events, &[FAILURES, FAILURE_SCOPES], &["container_memory_failures_total"]),
    group(
        Shape::Level,
        &[],
        &["container_threads", "container_processes", "container_file_descriptors", "container_sockets"],
    ),
    group(Shape::StartTime, &[], &["container_start_time_seconds", "container_last_seen"]),
    group(Shape::Fixed, &[], &["container_ulimits_soft"]),
    group(Shape::Traffic, &[CONTAINER_DEVICE], &["container_fs_reads_bytes_total", "container_fs_writes_bytes_total"]),
    group(Shape::Events, &[CONTAINER_DEVICE], &["container_fs_reads_total", "container_fs_writes_total"]),
    group(Shape::Bytes, &[CONTAINER_DEVICE], &["container_fs_usage_bytes"]),
    group(Shape::Fixed, &[CONTAINER_DEVICE], &["container_fs_limit_bytes"]),
];

/// Of cAdvisor, for a pod's network.
pub(crate) const POD_NETWORK: &[Group] = &[
    group(
        Shape::Traffic,
        &[POD_INTERFACE],
        &["container_network_receive_bytes_total", "container_network_transmit_bytes_total"],
    ),
    group(
        Shape::Events,
        &[POD_INTERFACE],
        &["container_network_receive_packets_total", "container_network_transmit_packets_total"],
    ),
    group(
        Shape::Fixed,
        &[POD_INTERFACE],
        &[
            "container_network_receive_errors_total",
            "container_network_receive_packets_dropped_total",
            "container_network_transmit_errors_total",
            "container_network_transmit_packets_dropped_total",
        ],
    ),
];

/// Of kube-state-metrics, for a pod.
pub(crate) const KSM_POD: &[Group] = &[
    group(Shape::Phase, &[PHASES], &["kube_pod_status_phase"]),
    group(Shape::Phase, &[CONDITIONS], &["kube_pod_status_ready", "kube_pod_status_scheduled"]),
    group(Shape::One, &[CREATED_BY], &["kube_pod_info"]),
    group(Shape::One, &[OWNER], &["kube_pod_owner"]),
    group(Shape::One, &[TEAM], &["kube_pod_labels"]),
    group(Shape::StartTime, &[], &["kube_pod_created", "kube_pod_start_time", "kube_pod_status_ready_time"]),
    group(Shape::Phase, &[QOS], &["kube_pod_status_qos_class"]),
    group(Shape::One, &[("type", &["Always"])], &["kube_pod_restart_policy"]),
    group(Shape::One, &[], &["kube_pod_ips"]),
    group(Shape::One, &[], &["kube_pod_tolerations"]),
    group(Shape::Fixed, &[], &["kube_pod_spec_priority"]),
    group(Shape::One, &[], &["kube_pod_spec_volumes_configmaps_info"]),
];

/// Of kube-state-metrics, for a container.
pub(crate) const KSM_CONTAINER: &[Group] = &[
    group(
        Shape::Fixed,
        &[RESOURCES, UNITS],
        &["kube_pod_container_resource_requests", "kube_pod_container_resource_limits"],
    ),
    group(Shape::Restarts, &[], &["kube_pod_container_status_restarts_total"]),
    group(Shape::One, &[], &["kube_pod_container_status_running", "kube_pod_container_status_ready"]),
    group(Shape::Zero, &[], &["kube_pod_container_status_waiting", "kube_pod_container_status_terminated"]),
    group(Shape::Zero, &[WAIT_REASONS], &["kube_pod_container_status_waiting_reason"]),
    group(Shape::Zero, &[TERMINATED_REASONS], &["kube_pod_container_status_last_terminated_reason"]),
    group(Shape::StartTime, &[], &["kube_pod_container_state_started"]),
];

/// Of kube-state-metrics, for a deployment and what belongs to it.
pub(crate) const KSM_WORKLOAD: &[Group] = &[
    group(
        Shape::Steps,
        &[],
        &[
            "kube_deployment_status_replicas_available",
            "kube_deployment_status_replicas",
            "kube_deployment_status_replicas_ready",
            "kube_deployment_status_replicas_unavailable",
            "kube_deployment_status_replicas_updated",
            "kube_horizontalpodautoscaler_status_current_replicas",
            "kube_horizontalpodautoscaler_status_desired_replicas",
            "kube_endpoint_address_available",
        ],
    ),
    group(
        Shape::Fixed,
        &[],
        &[
            "kube_deployment_spec_replicas",
            "kube_deployment_metadata_generation",
            "kube_deployment_status_observed_generation",
            "kube_deployment_spec_strategy_rollingupdate_max_surge",
            "kube_deployment_spec_strategy_rollingupdate_max_unavailable",
            "kube_horizontalpodautoscaler_spec_max_replicas",
            "kube_horizontalpodautoscaler_spec_min_replicas",
            "kube_poddisruptionbudget_status_pod_disruptions_allowed",
        ],
    ),
    group(
        Shape::Phase,
        &[STATUSES, ("condition", &["Available", "Progressing"])],
        &["kube_deployment_status_condition"],
    ),
    group(Shape::StartTime, &[], &["kube_deployment_created", "kube_service_created", "kube_secret_created"]),
    group(Shape::One, &[TEAM], &["kube_deployment_labels", "kube_service_labels"]),
    group(Shape::One, &[("type", &["ClusterIP"])], &["kube_service_spec_type"]),
    group(Shape::One, &[("storageclass", &["gp3"])], &["kube_persistentvolumeclaim_info"]),
];

/// Of kube-state-metrics, for a node.
pub(crate) const KSM_NODE: &[Group] = &[
    group(Shape::Phase, &[NODE_CONDITIONS, STATUSES], &["kube_node_status_condition"]),
    group(Shape::Fixed, &[NODE_RESOURCES], &["kube_node_status_allocatable", "kube_node_status_capacity"]),
    group(Shape::StartTime, &[], &["kube_node_created"]),
    group(Shape::One, &[], &["kube_node_info"]),
    group(Shape::One, &[], &["kube_node_role"]),
    group(Shape::Zero, &[], &["kube_node_spec_unschedulable"]),
];

/// Of node_exporter.
pub(crate) const NODE: &[Group] = &[
    group(Shape::Seconds, &[CPUS, MODES], &["node_cpu_seconds_total"]),
    group(Shape::Ratio, &[], &["node_load1", "node_load15", "node_load5"]),
    group(
        Shape::Bytes,
        &[],
        &[
            "node_memory_MemAvailable_bytes",
            "node_memory_Active_bytes",
            "node_memory_AnonPages_bytes",
            "node_memory_Buffers_bytes",
            "node_memory_Cached_bytes",
            "node_memory_Committed_AS_bytes",
            "node_memory_Dirty_bytes",
            "node_memory_Inactive_bytes",
            "node_memory_MemFree_bytes",
            "node_memory_Slab_bytes",
        ],
    ),
    group(
        Shape::Fixed,
        &[],
        &[
            "node_memory_MemTotal_bytes",
            "node_memory_CommitLimit_bytes",
            "node_memory_HardwareCorrupted_bytes",
            "node_memory_HugePages_Free",
            "node_memory_HugePages_Total",
            "node_memory_Hugepagesize_bytes",
            "node_memory_SwapCached_bytes",
            "node_memory_SwapFree_bytes",
            "node_memory_SwapTotal_bytes",
            "node_memory_VmallocTotal_bytes",
            "node_filefd_maximum",
            "node_nf_conntrack_entries_limit",
            "node_timex_tick_seconds",
            "node_timex_sync_status",
        ],
    ),
    group(Shape::Bytes, &[FILESYSTEMS, FS_TYPE], &["node_filesystem_avail_bytes", "node_filesystem_free_bytes"]),
    group(
        Shape::Fixed,
        &[FILESYSTEMS, FS_TYPE],
        &["node_filesystem_size_bytes", "node_filesystem_files", "node_filesystem_readonly"],
    ),
    group(Shape::Level, &[FILESYSTEMS, FS_TYPE], &["node_filesystem_files_free"]),
    group(Shape::Traffic, &[DISKS], &["node_disk_read_bytes_total", "node_disk_written_bytes_total"]),
    group(
        Shape::Events,
        &[DISKS],
        &["node_disk_reads_completed_total", "node_disk_writes_completed_total", "node_disk_reads_merged_total"],
    ),
    group(Shape::Seconds, &[DISKS], &["node_disk_io_time_seconds_total", "node_disk_read_time_seconds_total"]),
    group(Shape::Steps, &[DISKS], &["node_disk_io_now"]),
    group(Shape::Traffic, &[INTERFACES], &["node_network_receive_bytes_total", "node_network_transmit_bytes_total"]),
    group(Shape::Events, &[INTERFACES], &["node_network_receive_packets_total", "node_network_transmit_packets_total"]),
    group(
        Shape::Fixed,
        &[INTERFACES],
        &[
            "node_network_mtu_bytes",
            "node_network_receive_drop_total",
            "node_network_receive_errs_total",
            "node_network_transmit_drop_total",
            "node_network_transmit_errs_total",
            "node_network_speed_bytes",
        ],
    ),
    group(Shape::One, &[INTERFACES, ("operstate", &["up"])], &["node_network_info"]),
    group(
        Shape::Level,
        &[],
        &[
            "node_sockstat_TCP_alloc",
            "node_sockstat_TCP_inuse",
            "node_sockstat_TCP_tw",
            "node_sockstat_sockets_used",
            "node_filefd_allocated",
            "node_nf_conntrack_entries",
            "node_procs_running",
            "node_entropy_available_bits",
        ],
    ),
    group(
        Shape::Events,
        &[],
        &[
            "node_context_switches_total",
            "node_forks_total",
            "node_intr_total",
            "node_netstat_Tcp_ActiveOpens",
            "node_netstat_Tcp_InSegs",
            "node_netstat_Tcp_OutSegs",
            "node_netstat_Tcp_RetransSegs",
            "node_netstat_Udp_InDatagrams",
            "node_vmstat_pgfault",
            "node_vmstat_pgmajfault",
            "node_vmstat_pgpgin",
            "node_vmstat_pgpgout",
        ],
    ),
    group(Shape::Steps, &[], &["node_procs_blocked"]),
    group(Shape::StartTime, &[], &["node_boot_time_seconds"]),
    group(Shape::Duration, &[], &["node_timex_offset_seconds"]),
    group(Shape::One, &[("machine", &["x86_64"])], &["node_uname_info"]),
    group(
        Shape::One,
        &[("collector", &["cpu", "diskstats", "filesystem", "meminfo", "netdev"])],
        &["node_scrape_collector_success"],
    ),
    group(
        Shape::Duration,
        &[("collector", &["cpu", "diskstats", "filesystem", "meminfo", "netdev"])],
        &["node_scrape_collector_duration_seconds"],
    ),
    group(Shape::Seconds, &[CPUS, ("mode", &["nice", "user"])], &["node_cpu_guest_seconds_total"]),
    group(Shape::Seconds, &[("resource", &["cpu", "io", "memory"])], &["node_pressure_waiting_seconds_total"]),
];

/// Of the kubelet itself.
pub(crate) const KUBELET: &[Group] = &[
    classic(
        &[("operation", &["create_container", "list_images", "pod_status", "stop_container"])],
        &["kubelet_runtime_operations_duration_seconds"],
    ),
    group(Shape::Level, &[], &["kubelet_running_pods", "kubelet_desired_pods"]),
    group(Shape::Events, &[], &["kubelet_http_requests_total", "kubelet_runtime_operations_errors_total"]),
    group(Shape::Fixed, &[], &["kubelet_certificate_manager_client_ttl_seconds"]),
    classic(&[], &["kubelet_pleg_relist_duration_seconds"]),
];

/// Of the API server.
pub(crate) const API_SERVER: &[Group] = &[
    classic(&[API_RESOURCES, VERBS, API_SCOPES], &["apiserver_request_duration_seconds"]),
    group(Shape::Events, &[API_RESOURCES, VERBS, ALL_CODES], &["apiserver_request_total"]),
    group(
        Shape::Steps,
        &[FLOWS],
        &["apiserver_flowcontrol_current_inqueue_requests", "apiserver_flowcontrol_current_executing_requests"],
    ),
    group(
        Shape::Events,
        &[FLOWS],
        &["apiserver_flowcontrol_dispatched_requests_total", "apiserver_flowcontrol_rejected_requests_total"],
    ),
    group(Shape::Level, &[API_RESOURCES], &["apiserver_storage_objects"]),
    group(
        Shape::Level,
        &[("kind", &["ConfigMap", "Endpoints", "Node", "Pod", "Secret"])],
        &["apiserver_registered_watchers"],
    ),
    classic(&[VERBS], &["etcd_request_duration_seconds"]),
    group(Shape::Events, &[QUEUES], &["workqueue_adds_total", "workqueue_retries_total"]),
    group(Shape::Steps, &[QUEUES], &["workqueue_depth", "workqueue_unfinished_work_seconds"]),
    classic(&[QUEUES], &["workqueue_queue_duration_seconds"]),
    group(Shape::Events, &[HALVES], &["apiserver_audit_event_total", "apiserver_webhooks_x509_missing_san_total"]),
];

/// Native histograms of the pods of applications, in the order in which a small fraction takes them.
pub(crate) const NATIVE: &[(&str, NativeKind)] = &[
    ("rpc_server_duration_seconds", NativeKind::Integer),
    ("rpc_server_request_size_bytes", NativeKind::Custom),
    ("rpc_client_duration_seconds", NativeKind::Float),
    ("queue_wait_seconds", NativeKind::NegativeZero),
    ("batch_size_items", NativeKind::FloatCustom),
    ("inflight_age_seconds", NativeKind::Gauge),
];

/// First words of the names of applications.
pub(crate) const APP_WORDS: &[&str] = &[
    "checkout",
    "billing",
    "search",
    "payments",
    "inventory",
    "shipping",
    "catalog",
    "session",
    "pricing",
    "ledger",
    "fraud",
    "notify",
    "media",
    "profile",
    "report",
    "quota",
    "audit",
    "geo",
    "import",
    "recommend",
    "reward",
    "tax",
    "returns",
    "warehouse",
];
/// Second words.
pub(crate) const APP_SUFFIXES: &[&str] = &["api", "worker", "gateway", "scheduler"];
/// Namespaces.
pub(crate) const NAMESPACES: &[&str] = &[
    "commerce",
    "core-services",
    "data-platform",
    "finance",
    "growth",
    "identity",
    "logistics",
    "ml-serving",
    "payments",
];
