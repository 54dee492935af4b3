//! Asks our engine and a Prometheus the same random queries on the same data, and says where they differ.

use std::{
    collections::HashMap,
    error::Error,
    fs::File,
    io::{BufRead, BufReader, BufWriter, Write},
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
};

use clap::{Parser, Subcommand};
use futures::executor::block_on;
use prometheus_model::{Labels, Sample};
use prometheus_promql::Engine;
use prometheus_tsdb_block::write_block;
use promparquet_testkit::{
    differential::{Dialect, Evaluation, Request, Settings, Strictness, ask_server, differences, request, series},
    memory::in_chunks,
};
use ulid::Ulid;

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

/// Asks our PromQL engine and a Prometheus the same random queries.
#[derive(Parser, Debug)]
struct Options {
    #[command(subcommand)]
    command: Whom,
}

#[derive(Subcommand, Debug)]
enum Whom {
    /// Prometheus 3.15's engine, in the interop program
    Engine {
        /// The program: testdata/interop/promql, built
        #[arg(long)]
        program: PathBuf,
        #[command(flatten)]
        what: What,
    },
    /// A running Prometheus 2.42 on the block that `data` wrote
    Server {
        /// Host and port
        #[arg(long)]
        address: String,
        #[command(flatten)]
        what: What,
    },
    /// Write the block of a seed that a server is to be asked about
    Data {
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Directory for the block
        dir: PathBuf,
    },
}

#[derive(clap::Args, Debug)]
struct What {
    /// All data and queries follow from it
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many queries
    #[arg(long, default_value_t = 1000)]
    count: u64,
    /// Only the query of this number, and print both answers
    #[arg(long)]
    only: Option<u64>,
    /// Only this query, with the times and settings of `--only`
    #[arg(long, requires = "only", allow_hyphen_values = true)]
    query: Option<String>,
    /// Stop printing after so many differences
    #[arg(long, default_value_t = 20)]
    show: usize,
}

impl What {
    fn requests(&self, dialect: Dialect) -> Vec<(u64, Request)> {
        let numbers = self.only.map_or(0..self.count, |only| only..only + 1);
        let one = |number| {
            let mut one = request(self.seed, number, dialect);
            if let Some(query) = &self.query {
                one.query.clone_from(query);
            }
            (number, one)
        };
        numbers.map(one).collect()
    }
}

/// How often a query is asked again that was answered otherwise.
const REPEATS: usize = 10;

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // There is nobody else to tell if this fails.
            let _ = writeln!(std::io::stderr(), "promql_judge: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<bool> {
    match &options.command {
        Whom::Data { seed, dir } => {
            std::fs::create_dir_all(dir)?;
            write_block(
                dir,
                Ulid::from_parts(1_700_003_000_000, u128::from(*seed)),
                &series(*seed, Dialect::Prometheus2)?,
            )?;
            Ok(true)
        }
        Whom::Server { address, what } => {
            let requests = what.requests(Dialect::Prometheus2);
            let theirs = requests.iter().map(|(_, request)| Ok(ask_server(address, request)?));
            let ask_again = |request: &Request| (0..REPEATS).map(|_| Ok(ask_server(address, request)?)).collect();
            judge(what, &requests, theirs, &series(what.seed, Dialect::Prometheus2)?, Strictness::Values, ask_again)
        }
        Whom::Engine { program, what } => {
            let data = series(what.seed, Dialect::Prometheus3)?;
            let requests = what.requests(Dialect::Prometheus3);
            let work = std::env::temp_dir().join(format!("promql-judge-{}", std::process::id()));
            std::fs::create_dir_all(&work)?;
            let asked: Vec<_> = requests.iter().map(|(_, request)| request).collect();
            let theirs = ask_program(program, &work, &data, &asked);
            // Where Prometheus goes through a map, it may answer otherwise when asked again.
            let ask_again = |request: &Request| ask_program(program, &work, &data, &[request; REPEATS])?.collect();
            let verdict = theirs.and_then(|theirs| judge(what, &requests, theirs, &data, Strictness::All, ask_again));
            std::fs::remove_dir_all(&work)?;
            verdict
        }
    }
}

/// Runs the program on a block of the data, and gives its answers.
fn ask_program(
    program: &Path,
    work: &Path,
    data: &[(Labels, Vec<Sample>)],
    requests: &[&Request],
) -> Result<impl Iterator<Item = Result<Evaluation>> + use<>> {
    let ulid = Ulid::from_parts(1, 1);
    let block = work.join(ulid.to_string());
    if !block.exists() {
        write_block(work, ulid, data)?;
    }
    // Answers are still being read when some are asked for again.
    let [questions, answers] = ["requests", "answers"].map(|name| work.join(format!("{name}-{}", requests.len())));
    let mut file = BufWriter::new(File::create(&questions)?);
    for request in requests {
        writeln!(file, "{}", request.to_json())?;
    }
    file.flush()?;
    let status = Command::new(program)
        .args(["evaluate", "-block"])
        .arg(&block)
        .stdin(File::open(&questions)?)
        .stdout(File::create(&answers)?)
        .stderr(Stdio::inherit())
        .status()?;
    if !status.success() {
        return Err(format!("{} failed: {status}", program.display()).into());
    }
    let file = File::open(&answers)?;
    std::fs::remove_file(&answers)?;
    Ok(BufReader::new(file).lines().map(|line| Ok(serde_json::from_str(&line?)?)))
}

/// Evaluates all requests and compares the answers. Returns whether all are the same.
fn judge(
    what: &What,
    requests: &[(u64, Request)],
    theirs: impl Iterator<Item = Result<Evaluation>>,
    data: &[(Labels, Vec<Sample>)],
    strictness: Strictness,
    ask_again: impl Fn(&Request) -> Result<Vec<Evaluation>>,
) -> Result<bool> {
    let store = in_chunks(data)?;
    let mut engines: HashMap<Settings, Engine> = HashMap::new();
    let mut out = std::io::stdout();
    let (mut judged, mut different, mut random, mut refused) = (0, 0, 0, 0);
    let (mut errors, mut empty, mut annotated) = (0, 0, 0);
    for ((number, request), theirs) in requests.iter().zip(theirs) {
        let theirs = theirs?;
        let engine = match engines.get(&request.settings) {
            Some(engine) => engine,
            None => engines.entry(request.settings).or_insert(Engine::new(request.settings.engine_options())?),
        };
        let asked = request.query_request();
        let ours = Evaluation::of(&asked, block_on(engine.query(&store, &asked)));
        judged += 1;
        refused += usize::from(ours.is_refused(&theirs));
        errors += usize::from(!theirs.error_class.is_empty());
        empty += usize::from(theirs.error_class.is_empty() && theirs.series.is_empty());
        annotated += usize::from(!theirs.warnings.is_empty() || !theirs.infos.is_empty());
        if let Some(difference) = differences(&request.query, &ours, &theirs, strictness) {
            let is_same = |a: &Evaluation, b: &Evaluation| differences(&request.query, a, b, strictness).is_none();
            if ask_again(request)?.iter().any(|other| !is_same(&theirs, other) || is_same(&ours, other)) {
                random += 1;
                continue;
            }
            different += 1;
            if different <= what.show {
                let (query, times, settings) = (&request.query, request.times, request.settings);
                writeln!(
                    out,
                    "DIFFERENT --seed {} --only {number}: {query}\n  {times:?} {settings:?}\n  {difference}",
                    what.seed
                )?;
            }
        }
        if what.only.is_some() {
            writeln!(out, "{request:?}\nours:   {ours:?}\ntheirs: {theirs:?}")?;
        }
    }
    // What is refused is not compared.
    let verdict = if different == 0 && judged == requests.len() && (random + refused) * 50 <= judged.max(50) {
        "PASS"
    } else {
        "FAIL"
    };
    writeln!(
        out,
        "{verdict} promql, seed {}: {different} of {judged} queries answered differently, {random} at random by Prometheus, {refused} not compared; {errors} errors, \
         {empty} empty, {annotated} with annotations",
        what.seed
    )?;
    Ok(verdict == "PASS")
}
