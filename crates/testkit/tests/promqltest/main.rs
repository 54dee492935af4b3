//! The meaning of PromQL: Prometheus' own test scripts, over a store in memory and over Parquet.
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "tests fail by panicking, and say aloud what they skip")]

mod coverage;
mod expected_failures;
mod random;
mod scripts;
mod targets;

use prometheus_promql::{Parser, ParserOptions};
use promparquet_testkit::promqltest::{Command, Report, Script, Target, run};

use expected_failures::ExpectedFailures;
use targets::{InMemory, InParquet};

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

fn run_scripts(scripts: &[(String, Script)], target_name: &str, target: &mut dyn Target) -> Report {
    let report = runtime().block_on(async {
        let mut all = Report::default();
        for (name, script) in scripts {
            all.merge(run(name, script, target).await);
        }
        all
    });
    let (failed, Report { evaluations, queries, .. }) = (report.failures.len(), &report);
    eprintln!("{target_name}: {failed} of {evaluations} evaluations failed, {queries} queries");
    report
}

/// Runs Prometheus' scripts, and holds what fails to the list of what may.
fn run_all(target_name: &str, target: &mut dyn Target) {
    let Some(scripts) = scripts::of_prometheus() else { return };
    let report = run_scripts(&scripts, target_name, target);
    if !scripts::are_chosen() {
        assert_eq!(report.evaluations, scripts::EVALUATIONS);
    }
    ExpectedFailures::read().check(target_name, &report);
}

/// Runs our own scripts, which Prometheus passes; none may fail.
fn run_own(target_name: &str, target: &mut dyn Target) {
    let report = run_scripts(&scripts::own(), target_name, target);
    ExpectedFailures::none().check(target_name, &report);
}

#[test]
fn every_line_is_understood() {
    let Some(scripts) = scripts::of_prometheus() else { return };
    assert_eq!(scripts.len(), scripts::FILES);
    let evaluations: usize = scripts.iter().map(|(_, script)| script.evaluations()).sum();
    assert_eq!(evaluations, scripts::EVALUATIONS);
    let parser = Parser::new(ParserOptions::all_features());
    for (name, script) in &scripts {
        for command in &script.commands {
            let Command::Eval(eval) = command else { continue };
            if let Err(error) = parser.parse(&eval.query) {
                // Text is UTF-8 here.
                assert!(error.to_string().contains("is not valid UTF-8"), "{name}:{}: {error}", eval.line);
            }
        }
    }
}

#[test]
fn in_memory() {
    run_all("memory", &mut InMemory::default());
}

#[test]
fn in_parquet() {
    run_all("parquet", &mut InParquet::default());
}

#[test]
fn own_in_memory() {
    run_own("memory", &mut InMemory::default());
}

#[test]
fn own_in_parquet() {
    run_own("parquet", &mut InParquet::default());
}
