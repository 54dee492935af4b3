//! Random queries that are well typed, most of which have an answer.

use std::time::Duration;

use prometheus_promql::{FUNCTIONS, Function, FunctionId, QueryTimes, ValueType, Variadic};

use super::{
    Dialect,
    data::{DATA_LENGTH_MS, DATA_START},
    request::{Request, Settings},
};
use crate::blocks::{Rng, mix2};

/// The query of a seed with this number, and how it is evaluated. It depends on nothing else.
#[must_use]
pub fn request(seed: u64, number: u64, dialect: Dialect) -> Request {
    let mut random = Random { rng: Rng::new(mix2(seed, number)), dialect, in_subquery: false };
    let settings = random.settings();
    let times = random.times();
    let depth = 1 + random.below(3);
    let query = match random.below(20) {
        0 => random.scalar(depth),
        1 if dialect == Dialect::Prometheus3 && matches!(times, QueryTimes::Instant(_)) => random.plain_matrix(),
        2 if matches!(times, QueryTimes::Instant(_)) => "\"text\"".to_owned(),
        _ => random.vector(depth),
    };
    Request { query, times, settings }
}

struct Random {
    rng: Rng,
    dialect: Dialect,
    in_subquery: bool,
}

const FLOATS: &[&str] = &[
    "requests_total",
    "requests_total",
    "requests_total",
    "temperature",
    "temperature",
    "limit",
    "odd",
    "sparse",
    "latency_seconds_bucket",
    "latency_seconds_count",
    "latency_seconds_sum",
    "target_info",
    "nothing",
];
const HISTOGRAMS: &[&str] =
    &["latency_seconds", "latency_seconds", "size_bytes", "spread", "mixed", "mixed", "started_seconds"];
const OTHERS: &[&str] = &["started_total", "typed", "{\"with.dots\"}", "build_info"];
const LABELS: &[&str] = &["job", "instance", "code", "zone", "le", "version", "nothing"];
const MATCHERS: &[&str] = &[
    "job=\"api\"",
    "job!=\"api\"",
    "job=~\"a.*|odd\"",
    "instance=\"0\"",
    "instance!~\"1|2\"",
    "code=~\"4..|5..\"",
    "code=\"\"",
    "zone=\"north\"",
    "le=\"+Inf\"",
    "le!=\"0.5\"",
    "instance=~\".*\"",
    "nothing!=\"\"",
];
const DURATIONS: &[&str] = &["15s", "30s", "1m", "1m", "2m", "5m", "5m", "5m", "10m", "20m", "1h"];
/// Of [`FUNCTIONS`], what Prometheus 2.42 does not have or lets give other answers; experimental ones are not there either.
const NEWER: &[FunctionId] = &[
    FunctionId::FirstOverTime,
    FunctionId::HistogramAvg,
    FunctionId::HistogramStddev,
    FunctionId::HistogramStdvar,
    FunctionId::HistogramCount,
    FunctionId::HistogramSum,
    FunctionId::HistogramFraction,
    // Not so of buckets that shrink, and of infinities.
    FunctionId::HistogramQuantile,
    FunctionId::StddevOverTime,
    FunctionId::StdvarOverTime,
    // Not so of a range that is the same at each step.
    FunctionId::PredictLinear,
];
/// What most takes floats.
const ORDINARY: &[&str] = &["sum", "avg", "count", "min", "max", "group", "stddev", "stdvar"];

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.rng.below(n)
    }

    fn chance(&mut self, one_in: u64) -> bool {
        self.rng.one_in(one_in)
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.rng.below(of.len() as u64) as usize]
    }

    fn is_new(&self) -> bool {
        self.dialect == Dialect::Prometheus3
    }

    fn settings(&mut self) -> Settings {
        if !self.is_new() {
            return Settings::default();
        }
        Settings {
            experimental: !self.chance(20),
            delayed_name_removal: self.chance(2),
            type_and_unit_labels: self.chance(5),
            start_timestamps: self.chance(2),
            lookback: Duration::from_secs(self.pick(&[300, 300, 300, 60, 15])),
            ..Settings::default()
        }
    }

    /// A time of evaluation, on the grid of the samples every other time.
    fn time(&mut self) -> i64 {
        if !self.is_new() {
            let tens = self.below(DATA_LENGTH_MS.unsigned_abs() / 10_000) as i64;
            return DATA_START + 10_000 * tens + 3_000;
        }
        let any = DATA_START - 60_000 + self.below(DATA_LENGTH_MS.unsigned_abs() + 300_000) as i64;
        if self.chance(2) { any - any.rem_euclid(15_000) } else { any }
    }

    fn times(&mut self) -> QueryTimes {
        let start = self.time();
        if self.chance(2) {
            return QueryTimes::Instant(start);
        }
        let steps: &[i64] = if self.is_new() {
            &[15_000, 15_000, 30_000, 60_000, 60_000, 7_000, 300_000, 1, 12_345]
        } else {
            &[10_000, 30_000, 60_000, 300_000]
        };
        let step_ms = self.pick(steps);
        let steps = self.below(50) as i64;
        QueryTimes::Range { start, end: start + steps * step_ms, step_ms }
    }

    fn duration(&mut self) -> String {
        if self.is_new() && self.chance(25) {
            return self
                .pick(&[
                    "(1m * 2)",
                    "step()",
                    "(step() + 1m)",
                    "range()",
                    "max_of(step(), 1m)",
                    "min_of(range(), 5m)",
                    "(5m - 30s) / 2",
                    "1m ^ 1",
                    "90",
                ])
                .to_owned();
        }
        self.pick(DURATIONS).to_owned()
    }

    fn number(&mut self) -> String {
        self.pick(
            &[
                "0", "1", "2", "3", "-1", "0.5", "0.9", "10", "100", "1e3", "Inf", "-Inf", "NaN", "1.5", "7", "0x1f",
                "1_000",
            ][..if self.is_new() { 17 } else { 16 }],
        )
        .to_owned()
    }

    fn quantile(&mut self) -> String {
        self.pick(&["0.5", "0.9", "0.99", "0", "1", "0.25", "1.5", "-0.1", "NaN"]).to_owned()
    }

    fn modifiers(&mut self) -> String {
        let mut text = String::new();
        if self.chance(6) {
            let negative = if self.chance(4) { "-" } else { "" };
            let offset =
                if self.is_new() { self.duration() } else { self.pick(&["30s", "1m", "5m", "10m"]).to_owned() };
            text += &format!(" offset {negative}{offset}");
        }
        if self.chance(10) {
            let at = match self.below(4) {
                0 => "start()".to_owned(),
                1 => "end()".to_owned(),
                _ => format!("{:.3}", self.time() as f64 / 1000.0),
            };
            text += &format!(" @ {at}");
        }
        text
    }

    fn bare_selector(&mut self) -> String {
        let name = match self.below(if self.is_new() { 10 } else { 6 }) {
            0..=5 => self.pick(FLOATS),
            6..=8 => self.pick(HISTOGRAMS),
            _ => self.pick(OTHERS),
        };
        if self.chance(40) {
            let matchers = self.pick(&[
                "__name__=~\".*_total\"",
                "__name__=~\"temp.*|limit\"",
                "__name__!=\"\", job=\"api\", instance=\"1\"",
            ]);
            return format!("{{{matchers}}}");
        }
        let many = self.pick(&[0, 0, 0, 0, 0, 1, 1, 2]);
        let mut matchers: Vec<&str> = (0..many).map(|_| self.pick(MATCHERS)).collect();
        // Prometheus' store reorders matchers under the engine's eyes, which `absent` shows where two are of one label.
        let label = |matcher: &&str| matcher.split(['=', '!']).next().unwrap_or_default().to_owned();
        matchers.sort_by_key(label);
        matchers.dedup_by_key(|matcher| label(matcher));
        if let Some(quoted) = name.strip_prefix('{') {
            matchers.insert(0, quoted.trim_end_matches('}'));
            return format!("{{{}}}", matchers.join(","));
        }
        if matchers.is_empty() { name.to_owned() } else { format!("{name}{{{}}}", matchers.join(",")) }
    }

    fn selector(&mut self) -> String {
        let extended = if self.is_new() && self.chance(40) { " smoothed" } else { "" };
        self.bare_selector() + extended + &self.modifiers()
    }

    fn matrix(&mut self, depth: u64) -> String {
        // Where sub-queries nest, the inner one's left end may lie on a sample in an older Prometheus.
        if depth > 0 && self.chance(4) && (self.is_new() || !self.in_subquery) {
            let outer = std::mem::replace(&mut self.in_subquery, true);
            let inner = self.vector(depth - 1);
            self.in_subquery = outer;
            let inner = if self.chance(2) { format!("({inner})") } else { inner };
            let range = self.duration();
            let steps: &[&str] = if self.is_new() {
                &["", "15s", "30s", "1m", "7s", "2m", "step()"]
            } else {
                &["", "10s", "30s", "1m", "2m"]
            };
            let step = self.pick(steps);
            return format!("{inner}[{range}:{step}]{}", self.modifiers());
        }
        if self.is_new() && self.chance(8) {
            let extended = self.pick(&[" anchored", " smoothed"]);
            return format!("{}{extended}[{}]{}", self.bare_selector(), self.duration(), self.modifiers());
        }
        self.plain_matrix()
    }

    fn plain_matrix(&mut self) -> String {
        format!("{}[{}]{}", self.bare_selector(), self.duration(), self.modifiers())
    }

    fn scalar(&mut self, depth: u64) -> String {
        if depth == 0 {
            return match self.below(8) {
                0 => "time()".to_owned(),
                1 => "pi()".to_owned(),
                2 if self.is_new() => self.pick(&["step()", "range()", "start()", "end()"]).to_owned(),
                _ => self.number(),
            };
        }
        match self.below(6) {
            0 | 1 => format!("scalar({})", self.vector(depth - 1)),
            2 => format!("-{}", self.scalar(depth - 1)),
            3 => {
                let op = self.pick(&["+", "-", "*", "/", "%", "^", "atan2", "== bool", "< bool", ">= bool", "!= bool"]);
                format!("({} {op} {})", self.scalar(depth - 1), self.scalar(depth - 1))
            }
            4 if self.is_new() => {
                format!("{}({}, {})", self.pick(&["max_of", "min_of"]), self.scalar(depth - 1), self.scalar(depth - 1))
            }
            _ => self.scalar(0),
        }
    }

    fn vector(&mut self, depth: u64) -> String {
        if depth == 0 {
            return if self.chance(25) { format!("vector({})", self.number()) } else { self.selector() };
        }
        match self.below(if self.is_new() { 24 } else { 26 }) {
            0..=8 => self.call(depth),
            9..=13 => self.aggregation(depth),
            14..=18 => self.binary(depth),
            19 => format!("-{}", self.vector(depth - 1)),
            20 => format!("({})", self.vector(depth - 1)),
            21 => self.labels_function(depth),
            22 if self.is_new() => self.info(depth),
            22 => format!("absent({})", self.selector()),
            _ if !self.is_new() => self.where_older_agrees(),
            _ => {
                let quantile = self.quantile();
                let buckets = format!("rate(latency_seconds_bucket[{}])", self.duration());
                let buckets = self.pick(&["", "sum by (le) ", "sum by (le, job) "]).to_owned() + "(" + &buckets + ")";
                format!("histogram_quantile({quantile}, {buckets})")
            }
        }
    }

    /// What an older Prometheus computes otherwise in general, where it does not: finite gauges, unreset buckets, values that
    /// are no sums.
    fn where_older_agrees(&mut self) -> String {
        let (gauge, range) = ("temperature", self.duration());
        match self.below(6) {
            0 => {
                // Great powers differ in their last digits.
                let (op, number) = (self.pick(&["%", "^"]), self.pick(&["2", "3", "0.5", "-1", "7", "0", "NaN"]));
                let operands = [gauge.to_owned() + &self.modifiers(), format!("({number})")];
                let turned = usize::from(self.chance(2));
                format!("{} {op} {}", operands[turned], operands[1 - turned])
            }
            1 => format!("{}({gauge}[{range}])", self.pick(&["stddev_over_time", "stdvar_over_time"])),
            2 => format!("predict_linear({gauge}[{range}], {})", self.number()),
            3 => format!("histogram_quantile({}, latency_seconds_bucket)", self.quantile()),
            4 => format!("{} by ({}) ({gauge})", self.pick(&["stddev", "stdvar"]), self.labels_list()),
            _ => {
                let (a, b) = (self.pick(&["max", "min", "count"]), self.pick(&["max", "min", "count"]));
                format!("{a} by (job) ({gauge}) atan2 {b} by (job) ({gauge})")
            }
        }
    }

    fn call(&mut self, depth: u64) -> String {
        use FunctionId::{Cos, Cosh, Exp, Hour, Minute, Sin, Sinh, Tan};
        let function = loop {
            let function: &Function = self.pick(&FUNCTIONS.iter().collect::<Vec<_>>());
            let special = matches!(function.id, FunctionId::Info | FunctionId::LabelJoin | FunctionId::LabelReplace);
            let unknown = !self.is_new() && (function.is_experimental || NEWER.contains(&function.id));
            // Rates are what is asked for most.
            if function.return_type == ValueType::Vector && !special && !unknown {
                let matrix = function.arg_types.contains(&ValueType::Matrix);
                if matrix || self.chance(2) {
                    break function;
                }
            }
        };
        let optional = match function.variadic {
            Variadic::No => 0,
            Variadic::UpTo(n) => self.below(1 + n.min(2) as u64),
            Variadic::Any => self.below(3),
        };
        let mut arguments = Vec::new();
        let given = function.min_args() + optional as usize;
        for i in 0..given {
            let of_type = function.arg_types.get(i).or(function.arg_types.last()).copied();
            arguments.push(match (function.id, of_type) {
                (FunctionId::QuantileOverTime | FunctionId::HistogramQuantile, Some(ValueType::Scalar)) => {
                    self.quantile()
                }
                (FunctionId::HistogramQuantiles, Some(ValueType::String)) => "\"q\"".to_owned(),
                (FunctionId::HistogramQuantiles, Some(ValueType::Scalar)) => {
                    self.pick(&["0.5", "0.9", "1", "0", "0.25"]).to_owned()
                }
                (FunctionId::DoubleExponentialSmoothing, Some(ValueType::Scalar)) => {
                    self.pick(&["0.5", "0.1", "0.9", "1", "0"]).to_owned()
                }
                (_, Some(ValueType::Scalar)) if self.chance(3) => self.scalar(depth - 1),
                (_, Some(ValueType::Scalar)) => self.number(),
                // How far an increase may begin before the range was otherwise once, where values are near zero.
                (FunctionId::Rate | FunctionId::Increase, _) if !self.is_new() => {
                    format!("requests_total[{}]{}", self.duration(), self.modifiers())
                }
                (_, Some(ValueType::Matrix)) => self.matrix(depth - 1),
                // Of great numbers these depend on the last bit, in which libraries differ, or give such numbers.
                (Sin | Cos | Tan | Sinh | Cosh | Exp | Minute | Hour, _) => {
                    format!("clamp({}, -3, 3)", self.bare_selector())
                }
                _ => self.vector(depth - 1),
            });
        }
        format!("{}({})", function.name, arguments.join(", "))
    }

    fn ordinary(&mut self) -> &'static str {
        // Those of infinities were otherwise once.
        self.pick(if self.is_new() { ORDINARY } else { &ORDINARY[..6] })
    }

    fn labels_list(&mut self) -> String {
        let many = self.pick(&[0, 1, 1, 2, 2, 3]);
        let mut all: Vec<_> = (0..many).map(|_| self.pick(LABELS)).collect();
        all.sort_unstable();
        all.dedup();
        all.join(", ")
    }

    fn aggregation(&mut self, depth: u64) -> String {
        let grouping = match self.below(3) {
            0 => String::new(),
            1 => format!(" by ({})", self.labels_list()),
            _ => format!(" without ({})", self.labels_list()),
        };
        let behind = self.chance(4);
        let (op, argument) = match self.below(if self.is_new() { 16 } else { 13 }) {
            0..=7 => (self.ordinary(), String::new()),
            8 | 9 => (self.pick(&["topk", "bottomk"]), self.pick(&["1", "2", "3", "0", "-1", "100"]).to_owned()),
            10 | 11 => ("quantile", self.quantile()),
            // Groups are wrong in an older one if the label is not the last.
            12 if !self.is_new() => ("count_values", "\"zz\"".to_owned()),
            12 => ("count_values", format!("\"{}\"", self.pick(&["value", "job", "code"]))),
            13 | 14 => ("limitk", self.pick(&["1", "2", "5", "0"]).to_owned()),
            _ => ("limit_ratio", self.pick(&["0.5", "-0.5", "1", "0.1", "-1", "2", "0"]).to_owned()),
        };
        // Ties go by the order of series, which is random in Prometheus but for series as they are stored; and as label
        // values, numbers must agree to the last bit.
        let is_stable = matches!(op, "topk" | "bottomk" | "limitk" | "count_values");
        let inner = match self.below(2) {
            _ if !is_stable => self.vector(depth - 1),
            // Of ties, an older one takes others.
            _ if !self.is_new() && op != "count_values" => "temperature".to_owned() + &self.modifiers(),
            0 => self.selector(),
            _ => format!(
                "{}({})",
                self.pick(
                    &["changes", "max_over_time", "count_over_time", "rate"][..if self.is_new() { 4 } else { 3 }]
                ),
                self.plain_matrix()
            ),
        };
        let arguments = if argument.is_empty() { inner } else { format!("{argument}, {inner}") };
        if behind { format!("{op}({arguments}){grouping}") } else { format!("{op}{grouping} ({arguments})") }
    }

    fn binary(&mut self, depth: u64) -> String {
        let set = self.chance(4);
        let comparison = self.chance(3);
        let mut op = match (set, comparison) {
            (true, _) => self.pick(&["and", "or", "unless"]).to_owned(),
            (_, true) => self.pick(&["==", "!=", "<", ">", "<=", ">="]).to_owned(),
            _ => {
                let all: &[&str] = if self.is_new() && self.chance(8) {
                    &["</", ">/"]
                } else {
                    &["+", "-", "*", "/", "%", "^", "atan2"]
                };
                // An older atan2 keeps the name; and it sums less exactly, which the others before make visible.
                self.pick(if self.is_new() { all } else { &all[..4] }).to_owned()
            }
        };
        if comparison && !set && self.chance(3) {
            op += " bool";
        }
        let operand = |random: &mut Self, text: String| if random.chance(3) { format!("({text})") } else { text };
        if !set && self.chance(3) {
            let (vector, scalar) = (self.vector(depth - 1), self.scalar(depth - 1));
            let vector = operand(self, vector);
            return if self.chance(2) { format!("{vector} {op} {scalar}") } else { format!("{scalar} {op} {vector}") };
        }
        let (left, right) = match self.below(6) {
            // Series that match one to one.
            0..=2 => (self.vector(depth - 1), None),
            3 | 4 => {
                let (by, a, b) = (self.labels_list(), self.vector(depth - 1), self.vector(depth - 1));
                let (op_a, op_b) = (self.ordinary(), self.ordinary());
                (format!("{op_a} by ({by}) ({a})"), Some(format!("{op_b} by ({by}) ({b})")))
            }
            _ => (self.vector(depth - 1), Some(self.vector(depth - 1))),
        };
        let right = right.unwrap_or_else(|| left.clone());
        let mut matching = match self.below(3) {
            0 => String::new(),
            1 => format!(
                " on ({})",
                self.pick(&["job, instance", "job", "instance", "job, instance, code", "", "__name__"])
            ),
            _ => format!(" ignoring ({})", self.pick(&["code", "zone", "le", "code, zone", "job", "version, region"])),
        };
        if !set && !matching.is_empty() && self.chance(2) {
            let side = self.pick(&[" group_left", " group_right"]);
            matching += side;
            if self.chance(2) {
                matching +=
                    &format!(" ({})", self.pick(&["version", "region", "zone", "code", "nothing", "version, region"]));
            }
        }
        if !set && self.is_new() && self.chance(8) {
            matching += self.pick(&[
                " fill (0)",
                " fill_left (1)",
                " fill_right (2)",
                " fill_left (0) fill_right (5)",
                " fill (NaN)",
            ]);
        }
        let (left, right) = (operand(self, left), operand(self, right));
        format!("{left} {op}{matching} {right}")
    }

    fn labels_function(&mut self, depth: u64) -> String {
        let inner = self.vector(depth - 1);
        let to = self.pick(&["job", "new", "instance", "__name__", "le"]);
        if self.chance(2) {
            let (separator, a, b) = (self.pick(&["-", "", "/"]), self.pick(LABELS), self.pick(LABELS));
            return format!("label_join({inner}, \"{to}\", \"{separator}\", \"{a}\", \"{b}\")");
        }
        let replacement = self.pick(&["$1", "x", "", "${1}-$1", "$0", "$name"]);
        let pattern = self.pick(&["(.*)", "(.)(.*)", "api|db", "(?P<name>a).*", "", ".+"]);
        format!("label_replace({inner}, \"{to}\", \"{replacement}\", \"{}\", \"{pattern}\")", self.pick(LABELS))
    }

    fn info(&mut self, depth: u64) -> String {
        let inner = self.vector(depth - 1);
        let matchers = self.pick(&[
            "",
            ", {version=~\".+\"}",
            ", {region=\"eu\"}",
            ", {__name__=\"build_info\"}",
            ", {__name__=~\".*_info\"}",
            ", {nothing=~\".*\"}",
        ]);
        format!("info({inner}{matchers})")
    }
}
