//! Scripts as data.

use std::{collections::BTreeMap, fmt, sync::LazyLock};

use prometheus_model::{Labels, TimestampMs};
use prometheus_promql::{Parser, ParserOptions, SequenceValue};
use regex_automata::{
    Input,
    meta::{BuildError, Regex},
    util::{captures::Captures, syntax},
};

use super::{
    duration::parse_duration,
    load::{Load, parse_series, parse_starts},
    number::parse_number,
    run::Times,
};

/// A test script.
#[derive(Clone, Debug)]
pub struct Script {
    /// The commands, in order.
    pub commands: Vec<Command>,
}

/// A command of a script.
#[derive(Clone, Debug)]
pub enum Command {
    /// Forgets all series.
    Clear,
    /// Adds series.
    Load {
        /// Line, from 1.
        line: usize,
        /// What is loaded.
        load: Load,
    },
    /// Evaluates a query.
    Eval(Box<Evaluation>),
}

/// A query and what is expected of it.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// Line of the command, from 1.
    pub line: usize,
    /// PromQL.
    pub query: String,
    /// When it is evaluated.
    pub times: Times,
    /// Times of the values of a matrix: start, end and step.
    pub matrix_times: (TimestampMs, TimestampMs, TimestampMs),
    /// Whether a range vector or a string is expected, which a range query does not give.
    pub is_instant_only: bool,
    /// Whether series must come in the order in which they are expected.
    pub ordered: bool,
    /// Expectations of an error: it must match all; none if there must be no error.
    pub fail: Vec<Expectation>,
    /// Expectations of warnings: all must be met, and there must be no others.
    pub warn: Vec<Expectation>,
    /// Whether there must be no warnings.
    pub no_warn: bool,
    /// Expectations of infos, likewise.
    pub info: Vec<Expectation>,
    /// Whether there must be no infos.
    pub no_info: bool,
    /// Whether there must be a warning of any kind, besides others: `eval_warn`.
    pub any_warn: bool,
    /// Whether there must be an info of any kind, besides others: `eval_info`.
    pub any_info: bool,
    /// The expected scalar.
    pub scalar: Option<f64>,
    /// The expected string.
    pub string: String,
    /// The expected series by labels.
    pub series: BTreeMap<Labels, ExpectedSeries>,
}

/// Values that are expected of a series.
#[derive(Clone, PartialEq, Debug)]
pub struct ExpectedSeries {
    /// Its place in the result, from 1.
    pub position: usize,
    /// Its values.
    pub values: Vec<SequenceValue>,
}

/// What a text is expected to be.
#[derive(Clone, Debug)]
pub enum Expectation {
    /// Anything.
    Any,
    /// Just this.
    Message(String),
    /// Something that has a match.
    Pattern(String, Box<Regex>),
}

impl Expectation {
    /// Whether a text is as expected.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Message(message) => message == text,
            Self::Pattern(_, regex) => regex.is_match(text),
        }
    }
}

impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("anything"),
            Self::Message(message) => write!(f, "{message:?}"),
            Self::Pattern(pattern, _) => write!(f, "what matches {pattern:?}"),
        }
    }
}

/// A line that is not understood.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ScriptError {
    /// Line, from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.message)
    }
}

impl std::error::Error for ScriptError {}

/// A regular expression; classes have only characters of ASCII, as in Go.
fn compile(pattern: &str) -> Result<Regex, Box<BuildError>> {
    Regex::builder().syntax(syntax::Config::new().unicode(false).utf8(false)).build(pattern).map_err(Box::new)
}

fn regex(pattern: &str) -> Regex {
    compile(pattern).expect("the pattern is a constant")
}

static LOAD: LazyLock<Regex> = LazyLock::new(|| regex(r"^load(?:_(with_nhcb))?\s+(.+?)$"));
static INSTANT: LazyLock<Regex> =
    LazyLock::new(|| regex(r"^eval(?:_(fail|warn|ordered|info))?\s+instant\s+(?:at\s+(.+?))?\s+(.+)$"));
static RANGE: LazyLock<Regex> =
    LazyLock::new(|| regex(r"^eval(?:_(fail|warn|info))?\s+range\s+from\s+(.+)\s+to\s+(.+)\s+step\s+(.+?)\s+(.+)$"));
static EXPECT: LazyLock<Regex> =
    LazyLock::new(|| regex(r"^expect\s+(ordered|fail|warn|no_warn|info|no_info)(?:\s+(regex|msg):(.+))?$"));
static EXPECT_RANGE: LazyLock<Regex> =
    LazyLock::new(|| regex(r"^expect range vector\s+from\s+(.+)\s+to\s+(.+)\s+step\s+(.+)$"));

/// The groups of a match.
struct Groups<'a> {
    text: &'a str,
    captures: Captures,
}

impl<'a> Groups<'a> {
    fn of(regex: &Regex, text: &'a str) -> Option<Self> {
        let mut captures = regex.create_captures();
        regex.search_captures(&Input::new(text), &mut captures);
        captures.is_match().then_some(Self { text, captures })
    }

    /// Empty if the group is not part of the match.
    fn get(&self, group: usize) -> &'a str {
        self.captures.get_group(group).map_or("", |span| &self.text[span.range()])
    }
}

impl Script {
    /// Reads a script.
    ///
    /// # Errors
    /// The first line that is not understood.
    pub fn parse(text: &str) -> Result<Self, ScriptError> {
        let without_comment = |line: &'_ str| if line.starts_with('#') { String::new() } else { line.to_owned() };
        let lines: Vec<_> = text.split('\n').map(|line| without_comment(line.trim())).collect();
        let parser = Parser::new(ParserOptions::all_features());
        Lines { lines: &lines, at: 0, parser: &parser }.script()
    }

    /// How many evaluations it has.
    #[must_use]
    pub fn evaluations(&self) -> usize {
        self.commands.iter().filter(|command| matches!(command, Command::Eval(_))).count()
    }
}

/// Lines, and which one is read.
struct Lines<'a> {
    lines: &'a [String],
    at: usize,
    parser: &'a Parser,
}

impl<'a> Lines<'a> {
    fn error<T>(&self, message: impl Into<String>) -> Result<T, ScriptError> {
        Err(ScriptError { line: self.at + 1, message: message.into() })
    }

    fn script(mut self) -> Result<Script, ScriptError> {
        let mut commands = Vec::new();
        while let Some(line) = self.lines.get(self.at) {
            let command = line.split([' ', '\t']).next().unwrap_or_default().to_lowercase();
            if command == "clear" {
                commands.push(Command::Clear);
            } else if command.starts_with("load") {
                commands.push(self.load(line)?);
            } else if command.starts_with("eval") {
                commands.push(Command::Eval(Box::new(self.eval(line)?)));
            } else if !command.is_empty() {
                return self.error(format!("invalid command {line:?}"));
            }
            self.at += 1;
        }
        Ok(Script { commands })
    }

    /// The next line of a command, if there is one.
    fn next_line(&mut self) -> Option<&'a str> {
        let line = self.lines.get(self.at + 1).filter(|line| !line.is_empty())?;
        self.at += 1;
        Some(line)
    }

    fn load(&mut self, command: &str) -> Result<Command, ScriptError> {
        let line = self.at + 1;
        let Some(groups) = Groups::of(&LOAD, command) else { return self.error("invalid load command") };
        let Some(step_ms) = parse_duration(groups.get(2)) else { return self.error("invalid step of load command") };
        let mut load = Load { step_ms, with_nhcb: !groups.get(1).is_empty(), series: BTreeMap::new() };
        let mut starts: Option<(Labels, Vec<_>)> = None;
        while let Some(line) = self.next_line() {
            if let Some(parsed) = parse_starts(self.parser, line) {
                if starts.is_some() {
                    return self.error("@st line has no following sample line");
                }
                starts = Some(parsed.or_else(|message| self.error(message))?);
                continue;
            }
            let (labels, values) = parse_series(self.parser, line).or_else(|message| self.error(message))?;
            let starts = starts.take();
            if let Some((of, offsets)) = &starts
                && (*of != labels || offsets.len() != values.len())
            {
                return self.error("@st line does not fit the sample line that follows");
            }
            load.add(labels, values, starts.as_ref().map(|(_, offsets)| offsets.as_slice()));
        }
        if starts.is_some() {
            return self.error("@st line has no following sample line");
        }
        Ok(Command::Load { line, load })
    }

    fn duration(&self, text: &str) -> Result<TimestampMs, ScriptError> {
        parse_duration(text).map_or_else(|| self.error(format!("invalid duration {text:?}")), Ok)
    }

    /// Start, end and step.
    fn range(&self, groups: &Groups<'_>, first: usize) -> Result<(TimestampMs, TimestampMs, TimestampMs), ScriptError> {
        let [start, end, step] = [0, 1, 2].map(|group| self.duration(groups.get(first + group)));
        let (start, end, step) = (start?, end?, step?);
        if end < start { self.error("end timestamp is before start timestamp") } else { Ok((start, end, step)) }
    }

    fn eval(&mut self, command: &str) -> Result<Evaluation, ScriptError> {
        let (query, modifier, times, matrix_times);
        if let Some(groups) = Groups::of(&INSTANT, command) {
            let time = self.duration(groups.get(2))?;
            (modifier, query) = (groups.get(1), groups.get(3));
            (times, matrix_times) = (Times::Instant(time), (time, time, 0));
        } else if let Some(groups) = Groups::of(&RANGE, command) {
            let (start, end, step_ms) = self.range(&groups, 2)?;
            (modifier, query) = (groups.get(1), groups.get(5));
            (times, matrix_times) = (Times::Range { start, end, step_ms }, (start, end, step_ms));
        } else {
            return self.error("invalid evaluation command");
        }
        let any = |is_expected: bool| if is_expected { vec![Expectation::Any] } else { Vec::new() };
        let mut eval = Evaluation {
            line: self.at + 1,
            query: query.to_owned(),
            times,
            matrix_times,
            is_instant_only: false,
            ordered: modifier == "ordered",
            fail: any(modifier == "fail"),
            warn: Vec::new(),
            no_warn: false,
            info: Vec::new(),
            no_info: false,
            any_warn: modifier == "warn",
            any_info: modifier == "info",
            scalar: None,
            string: String::new(),
            series: BTreeMap::new(),
        };
        self.expectations(&mut eval, modifier == "fail")?;
        Ok(eval)
    }

    fn expectations(&mut self, eval: &mut Evaluation, is_old_fail: bool) -> Result<(), ScriptError> {
        let mut position = 0;
        let mut is_range_vector = false;
        while let Some(line) = self.next_line() {
            position += 1;
            if is_old_fail && let Some(message) = line.strip_prefix("expected_fail_message") {
                eval.fail.push(Expectation::Message(message.trim().to_owned()));
                break;
            }
            if is_old_fail && let Some(pattern) = line.strip_prefix("expected_fail_regexp") {
                eval.fail.push(self.pattern(pattern)?);
                break;
            }
            if line.starts_with("expect range vector") {
                let Some(groups) = Groups::of(&EXPECT_RANGE, line) else { return self.error("invalid range vector") };
                eval.matrix_times = self.range(&groups, 1)?;
                // The query is evaluated at the end.
                eval.times = Times::Instant(eval.matrix_times.1);
                eval.is_instant_only = true;
                is_range_vector = true;
            } else if let Some(literal) = line.strip_prefix("expect string") {
                let Some(string) = unquote(literal.trim_start()) else { return self.error("invalid string literal") };
                eval.string = string;
                eval.is_instant_only = true;
            } else if line.split(' ').next() == Some("expect") {
                self.expectation(eval, line)?;
                position -= 1;
            } else if let Some(number) = parse_number(line) {
                eval.scalar = Some(number);
                break;
            } else {
                let (labels, values) = parse_series(self.parser, line).or_else(|message| self.error(message))?;
                let is_instant = matches!(eval.times, Times::Instant(_));
                if values.len() > 1 && is_instant && !is_range_vector {
                    return self.error("several values are expected of an instant evaluation");
                }
                eval.series.insert(labels, ExpectedSeries { position, values });
            }
        }
        Ok(())
    }

    fn expectation(&self, eval: &mut Evaluation, line: &str) -> Result<(), ScriptError> {
        let Some(groups) = Groups::of(&EXPECT, line.trim()) else { return self.error("invalid expect statement") };
        let text = groups.get(3);
        let expectation = match groups.get(2) {
            "msg" => Expectation::Message(text.trim().to_owned()),
            "regex" => self.pattern(text)?,
            _ => Expectation::Any,
        };
        match groups.get(1) {
            "ordered" => eval.ordered = true,
            "fail" => eval.fail.push(expectation),
            "warn" => eval.warn.push(expectation),
            "no_warn" => eval.no_warn = true,
            "info" => eval.info.push(expectation),
            _ => eval.no_info = true,
        }
        let contradicts = (eval.no_warn && !eval.warn.is_empty()) || (eval.no_info && !eval.info.is_empty());
        if contradicts || eval.fail.len() > 1 { self.error("expectations contradict each other") } else { Ok(()) }
    }

    fn pattern(&self, pattern: &str) -> Result<Expectation, ScriptError> {
        let pattern = pattern.trim();
        match compile(pattern) {
            Ok(regex) => Ok(Expectation::Pattern(pattern.to_owned(), Box::new(regex))),
            Err(error) => self.error(format!("invalid pattern {pattern}: {error}")),
        }
    }
}

/// The string that a literal of Go is.
fn unquote(literal: &str) -> Option<String> {
    use prometheus_promql::Expr;
    match Parser::default().parse(literal).ok()? {
        Expr::String(string) => Some(string.value),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_commands() {
        let script = Script::parse(
            "# Comment\nload 5m\n  foo 1 2\n  bar{a=\"b\"} _ {{count:1}}x1\n\nclear\n\
             eval instant at 5m foo\n  expect no_warn\n  expect ordered\n  foo 2\n\
             \neval_fail range from 0 to 1h step 5m sum(foo)\n  expected_fail_message Oh\n\
             \neval instant at 1m 2\n  2\n\
             \neval instant at 1m foo[1m]\n expect range vector from 10s to 1m step 10s\n foo 1 2\n\
             \neval instant at 1m \"a\"\n expect string \"a\\n\"\n",
        )
        .unwrap();
        assert_eq!(script.commands.len(), 7);
        let Command::Load { line: 2, load } = &script.commands[0] else { panic!("{script:?}") };
        assert_eq!((load.step_ms, load.series.len()), (300_000, 2));
        assert!(load.series.values().all(|samples| samples.len() == 2));
        assert!(matches!(script.commands[1], Command::Clear));
        let evals: Vec<_> = script
            .commands
            .iter()
            .filter_map(|c| if let Command::Eval(eval) = c { Some(eval) } else { None })
            .collect();
        assert!(evals[0].no_warn && evals[0].ordered && evals[0].fail.is_empty());
        assert_eq!(evals[0].series.values().next().unwrap().position, 1);
        assert_eq!(evals[1].times, Times::Range { start: 0, end: 3_600_000, step_ms: 300_000 });
        assert!(evals[1].fail.iter().all(|e| e.matches("Oh")) && !evals[1].fail.iter().all(|e| e.matches("no")));
        assert_eq!(evals[2].scalar, Some(2.0));
        assert_eq!((evals[3].times, evals[3].matrix_times), (Times::Instant(60_000), (10_000, 60_000, 10_000)));
        assert_eq!(evals[4].string, "a\n");
    }

    #[test]
    fn says_what_it_does_not_understand() {
        for (script, line) in [
            ("\nlode 5m", 2),
            ("load 5q\n foo 1", 1),
            ("load 5m\n foo 1 +", 2),
            ("load 5m\n foo@st 0s", 2),
            ("eval instant at 1m foo\n expect nothing", 2),
            ("eval instant at 1m foo\n expect warn\n expect no_warn", 3),
            ("eval instant at 1m foo\n foo 1 2", 2),
        ] {
            assert_eq!(Script::parse(script).unwrap_err().line, line, "{script}");
        }
    }
}
