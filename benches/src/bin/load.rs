//! Asks a gateway as many dashboards would, for as long as is said, and prints what became of it. See load.sh.
//!
//! A dashboard is refreshed as soon as it is complete: all of its panels are asked for, six at a time as browsers do, each over
//! another hour and with another step than the last time; and the values of a label, for its menu.

#![expect(clippy::print_stdout, reason = "it prints a table")]

use std::{
    collections::BTreeMap,
    error::Error,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use clap::Parser;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde::Deserialize;

type Result<T, E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

/// Requests of one dashboard at a time.
const OF_A_BROWSER: usize = 6;
const HOUR: i64 = 3_600;

/// Load on a gateway.
#[derive(Parser, Debug)]
struct Args {
    /// Prometheus' port of the gateway
    #[arg(long)]
    url: String,
    /// Process of the gateway, whose memory is watched
    #[arg(long)]
    pid: u32,
    /// File of the queries
    #[arg(long, default_value = "benches/promql.json")]
    queries: PathBuf,
    /// First second that has data
    #[arg(long, allow_negative_numbers = true)]
    start: i64,
    /// First second that has none
    #[arg(long, allow_negative_numbers = true)]
    end: i64,
    /// How many dashboards are open
    #[arg(long, default_value_t = 50)]
    dashboards: u64,
    /// How long
    #[arg(long, default_value_t = 600)]
    seconds: u64,
}

#[derive(Deserialize, Debug)]
struct Queries {
    queries: Vec<Query>,
}

#[derive(Deserialize, Clone, Debug)]
struct Query {
    query: String,
}

/// What became of requests.
#[derive(Default, Debug)]
struct Answers {
    /// Seconds of those that were answered, by status.
    seconds: BTreeMap<u16, Vec<f32>>,
    bytes: u64,
    /// Those without an answer.
    broken: BTreeMap<String, u64>,
    /// Some that were refused, by status.
    refusals: BTreeMap<u16, String>,
}

struct Load {
    args: Args,
    client: reqwest::Client,
    queries: Vec<Query>,
    answers: Mutex<Answers>,
    random: AtomicU64,
}

impl Load {
    /// Anything below `n`.
    fn below(&self, n: i64) -> i64 {
        // SplitMix64.
        let mut x = self.random.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((x ^ (x >> 31)) % n.max(1).unsigned_abs()).cast_signed()
    }

    async fn ask(&self, path: &str, form: &[(&str, String)]) {
        let begin = Instant::now();
        let text = form.iter().map(|(name, value)| format!("{name}={}", percent_encoded(value))).collect::<Vec<_>>();
        let request = self
            .client
            .post(format!("{}/api/v1/{path}", self.args.url))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(text.join("&"));
        let answer = async {
            let response = request.send().await?;
            let status = response.status().as_u16();
            Ok::<_, reqwest::Error>((status, response.bytes().await?))
        };
        let answer = answer.await;
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        match answer {
            Ok((status, body)) => {
                answers.seconds.entry(status).or_default().push(begin.elapsed().as_secs_f32());
                answers.bytes += body.len() as u64;
                if status != 200 {
                    let text = String::from_utf8_lossy(&body).chars().take(300).collect();
                    answers.refusals.entry(status).or_insert(text);
                }
            }
            Err(error) => *answers.broken.entry(error.to_string()).or_default() += 1,
        }
    }

    async fn panel(&self, number: usize, start: i64, step: i64) {
        let query = self.queries.get(number).map(|panel| panel.query.clone()).unwrap_or_default();
        let times = [("start", start), ("end", start + HOUR), ("step", step)].map(|(name, n)| (name, n.to_string()));
        let form: Vec<_> = times.into_iter().chain([("query", query)]).collect();
        self.ask("query_range", &form).await;
    }

    /// Refreshes a dashboard until the time is over.
    async fn dashboard(&self, until: Instant) {
        while Instant::now() < until {
            let last = (self.args.end - self.args.start - HOUR).max(0);
            let start = self.args.start + self.below(last + 1);
            let step = [15, 30, 60].get(self.below(3).unsigned_abs() as usize).copied().unwrap_or(60);
            let panels = (0..self.queries.len()).map(|panel| self.panel(panel, start, step));
            stream::iter(panels).buffer_unordered(OF_A_BROWSER).collect::<()>().await;
            let form = [
                ("match[]", "{namespace!=\"\"}".into()),
                ("start", start.to_string()),
                ("end", (start + HOUR).to_string()),
            ];
            self.ask("labels", &form).await;
        }
    }
}

/// As forms have it.
fn percent_encoded(text: &str) -> String {
    text.bytes()
        .map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect()
}

/// Memory of the process that is resident now, in MiB.
fn resident_mib(pid: u32) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS in /proc")?;
    let kib: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib / 1024.0)
}

#[tokio::main]
async fn main() -> Result<()> {
    // There may be one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let args = Args::parse();
    let Queries { queries } = serde_json::from_slice(&std::fs::read(&args.queries)?)?;
    let client = reqwest::Client::builder().pool_max_idle_per_host(1000).build()?;
    let (begin, seconds, dashboards) = (Instant::now(), args.seconds, args.dashboards);
    let until = begin + Duration::from_secs(seconds);
    let load = Arc::new(Load { args, client, queries, answers: Mutex::default(), random: AtomicU64::new(1) });

    let open: Vec<_> = (0..dashboards)
        .map(|_| {
            let load = Arc::clone(&load);
            tokio::spawn(async move { load.dashboard(until).await })
        })
        .collect();
    let mut memory = Vec::new();
    for tenth in 1..=10 {
        tokio::time::sleep_until((begin + Duration::from_secs_f64(seconds as f64 * f64::from(tenth) / 10.0)).into())
            .await;
        memory.push(format!("{:.0}", resident_mib(load.args.pid)?));
    }
    stream::iter(open).then(|open| open).try_collect::<()>().await?;

    let elapsed = begin.elapsed().as_secs_f64();
    let mut answers = load.answers.lock().unwrap_or_else(PoisonError::into_inner);
    println!(
        "{dashboards} dashboards for {elapsed:.0} s; answers of {:.0} MiB",
        answers.bytes as f64 / f64::from(1 << 20)
    );
    println!("memory of the gateway at each tenth, MiB: {}\n", memory.join(" "));
    println!("| Status | Requests | per s | median ms | p90 ms | p99 ms | longest ms |");
    println!("|---|---|---|---|---|---|---|");
    for (status, seconds) in &mut answers.seconds {
        seconds.sort_unstable_by(f32::total_cmp);
        let at = |share: f64| {
            let place = (share * seconds.len() as f64) as usize;
            seconds.get(place.min(seconds.len() - 1)).copied().unwrap_or_default() * 1e3
        };
        let (count, rate) = (seconds.len(), seconds.len() as f64 / elapsed);
        println!(
            "| {status} | {count} | {rate:.1} | {:.0} | {:.0} | {:.0} | {:.0} |",
            at(0.5),
            at(0.9),
            at(0.99),
            at(1.0)
        );
    }
    for (status, text) in &answers.refusals {
        println!("\n{status}: {text}");
    }
    for (error, count) in &answers.broken {
        println!("\nwithout an answer, {count} times: {error}");
    }
    // What is documented for a gateway that has too much to do.
    let documented = [200, 422, 503];
    if !answers.broken.is_empty() || answers.seconds.keys().any(|status| !documented.contains(status)) {
        return Err("there were answers of other kinds than 200, 422 and 503".into());
    }
    Ok(())
}
