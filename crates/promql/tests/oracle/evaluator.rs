//! Evaluates PromQL the slow and obvious way: one time after another, each from all samples, floats only.

use std::collections::{BTreeMap, BTreeSet};

use prometheus_promql::{
    AggregateExpr, AggregateOp, AtModifier, BinaryExpr, BinaryOp, Call, Cardinality, DurationValue, Expr, FunctionId,
    MatrixSelector, Sign, SubqueryExpr, ValueType, VectorMatching, VectorSelector,
};
use prometheus_queryable::MatchOp;

pub type Labels = BTreeMap<String, String>;
pub type Vector = Vec<(Labels, f64)>;

/// All samples of all series, by time; `None` is a staleness marker.
pub type Data = Vec<(Labels, Vec<(i64, Option<f64>)>)>;

/// Series with the samples of a range.
type Ranges = Vec<(Labels, Vec<(i64, f64)>)>;

pub enum Value {
    Scalar(f64),
    Vector(Vector),
}

pub struct Oracle<'d> {
    pub data: &'d Data,
    pub lookback: i64,
    /// Times of the query, for `@ start()` and `@ end()`.
    pub start: i64,
    pub end: i64,
}

/// Why there is no answer.
pub type Refused = &'static str;

fn ms(duration: &DurationValue) -> i64 {
    match duration {
        DurationValue::Nanos(nanos) => nanos / 1_000_000,
        DurationValue::Expr(_) => unreachable!("the generator writes plain durations"),
    }
}

fn without_name(labels: &Labels) -> Labels {
    labels.iter().filter(|(name, _)| *name != "__name__").map(|(n, v)| (n.clone(), v.clone())).collect()
}

/// No label set twice.
fn unique(vector: Vector) -> Result<Vector, Refused> {
    let names: BTreeSet<_> = vector.iter().map(|(labels, _)| labels).collect();
    if names.len() == vector.len() { Ok(vector) } else { Err("same labelset") }
}

impl Oracle<'_> {
    pub fn eval(&self, expr: &Expr, t: i64) -> Result<Value, Refused> {
        Ok(match expr {
            Expr::Number(number) => Value::Scalar(number.value),
            Expr::Paren(paren) => self.eval(&paren.expr, t)?,
            Expr::Unary(unary) => match (self.eval(&unary.expr, t)?, unary.op) {
                (value, Sign::Plus) => value,
                (Value::Scalar(value), Sign::Minus) => Value::Scalar(-value),
                (Value::Vector(vector), Sign::Minus) => {
                    Value::Vector(unique(vector.iter().map(|(l, v)| (without_name(l), -v)).collect())?)
                }
            },
            Expr::Vector(selector) => Value::Vector(self.instant(selector, t)),
            Expr::Aggregate(aggregate) => Value::Vector(self.aggregate(aggregate, t)?),
            Expr::Binary(binary) => self.binary(binary, t)?,
            Expr::Call(call) => self.call(call, t)?,
            Expr::Matrix(_) | Expr::Subquery(_) | Expr::String(_) => unreachable!("only as an argument"),
        })
    }

    fn vector(&self, expr: &Expr, t: i64) -> Result<Vector, Refused> {
        match self.eval(expr, t)? {
            Value::Vector(vector) => Ok(vector),
            Value::Scalar(_) => unreachable!("types are checked"),
        }
    }

    fn scalar(&self, expr: &Expr, t: i64) -> Result<f64, Refused> {
        match self.eval(expr, t)? {
            Value::Scalar(value) => Ok(value),
            Value::Vector(_) => unreachable!("types are checked"),
        }
    }

    fn at(&self, at: Option<AtModifier>, t: i64) -> i64 {
        match at {
            None => t,
            Some(AtModifier::Timestamp(time)) => time,
            Some(AtModifier::Start) => self.start,
            Some(AtModifier::End) => self.end,
        }
    }

    fn selected(&self, selector: &VectorSelector) -> impl Iterator<Item = &(Labels, Vec<(i64, Option<f64>)>)> {
        self.data.iter().filter(|(labels, _)| {
            selector.matchers.iter().all(|matcher| {
                let value = labels.get(matcher.name()).map_or("", String::as_str);
                match matcher.op() {
                    MatchOp::Equal => value == matcher.value(),
                    MatchOp::NotEqual => value != matcher.value(),
                    MatchOp::Regex | MatchOp::NotRegex => matcher.matches(value),
                }
            })
        })
    }

    fn instant(&self, selector: &VectorSelector, t: i64) -> Vector {
        let t = self.at(selector.at, t) - ms(&selector.offset);
        self.selected(selector)
            .filter_map(|(labels, samples)| {
                let (_, value) = samples.iter().rfind(|(time, _)| *time <= t && *time > t - self.lookback)?;
                Some((labels.clone(), (*value)?))
            })
            .collect()
    }

    /// Series with the samples of a range, and where the range begins and ends.
    fn range(&self, expr: &Expr, t: i64) -> Result<(Ranges, i64, i64), Refused> {
        match expr.without_parens() {
            Expr::Matrix(MatrixSelector { selector, range, .. }) => {
                let end = self.at(selector.at, t) - ms(&selector.offset);
                let start = end - ms(range);
                let series = self.selected(selector).map(|(labels, samples)| {
                    let inside = samples.iter().filter(|(time, _)| start < *time && *time <= end);
                    (labels.clone(), inside.filter_map(|(time, value)| Some((*time, (*value)?))).collect())
                });
                Ok((series.collect(), start, end))
            }
            Expr::Subquery(SubqueryExpr { expr, range, step, offset, at, .. }) => {
                let end = self.at(*at, t) - ms(offset);
                let start = end - ms(range);
                let step = step.as_ref().map_or(60_000, ms);
                let mut series: BTreeMap<Labels, Vec<(i64, f64)>> = BTreeMap::new();
                let mut time = (start.div_euclid(step) + 1) * step;
                while time <= end {
                    let inner = Oracle { start: self.start, ..*self };
                    for (labels, value) in inner.vector(expr, time)? {
                        series.entry(labels).or_default().push((time, value));
                    }
                    time += step;
                }
                Ok((series.into_iter().collect(), start, end))
            }
            _ => unreachable!("types are checked"),
        }
    }

    fn aggregate(&self, aggregate: &AggregateExpr, t: i64) -> Result<Vector, Refused> {
        let param = match &aggregate.param {
            Some(param) if aggregate.op != AggregateOp::CountValues => self.scalar(param, t)?,
            _ => 0.0,
        };
        let mut groups: BTreeMap<Labels, Vec<(Labels, f64)>> = BTreeMap::new();
        let mut grouping = aggregate.grouping.clone();
        let mut vector = self.vector(&aggregate.expr, t)?;
        if let (AggregateOp::CountValues, Some(Expr::String(label))) = (aggregate.op, aggregate.param.as_deref()) {
            for (labels, value) in &mut vector {
                let text = match *value {
                    v if v.is_infinite() => if v > 0.0 { "+Inf" } else { "-Inf" }.to_owned(),
                    v => v.to_string(),
                };
                labels.insert(label.value.clone(), text);
            }
            if !aggregate.without {
                grouping.push(label.value.clone());
            }
        }
        for (labels, value) in vector {
            let key = labels.iter().filter(|(name, _)| {
                let is_listed = grouping.contains(name);
                if aggregate.without { !is_listed && *name != "__name__" } else { is_listed }
            });
            let key = key.map(|(name, value)| (name.clone(), value.clone())).collect();
            groups.entry(key).or_default().push((labels, value));
        }
        let mut result = Vec::new();
        for (key, members) in groups {
            let values: Vec<f64> = members.iter().map(|(_, value)| *value).collect();
            let n = values.len() as f64;
            let sum: f64 = values.iter().sum();
            let mean = sum / n;
            let variance = values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / n;
            let best = |worse: fn(&f64, &f64) -> bool| {
                values.iter().copied().reduce(|a, b| if a.is_nan() || worse(&a, &b) { b } else { a }).unwrap()
            };
            let value = match aggregate.op {
                AggregateOp::Sum => sum,
                AggregateOp::Avg => mean,
                AggregateOp::Count => n,
                AggregateOp::Group => 1.0,
                AggregateOp::Min => best(|a, b| b < a),
                AggregateOp::Max => best(|a, b| b > a),
                AggregateOp::Stddev => variance.sqrt(),
                AggregateOp::Stdvar => variance,
                AggregateOp::Quantile => quantile(param, values),
                AggregateOp::Topk | AggregateOp::Bottomk => {
                    let mut members = members;
                    members.sort_by(|a, b| a.1.total_cmp(&b.1));
                    if aggregate.op == AggregateOp::Topk {
                        members.reverse();
                    }
                    members.truncate(if param < 1.0 { 0 } else { param as usize });
                    result.extend(members);
                    continue;
                }
                AggregateOp::CountValues => n,
                AggregateOp::Limitk | AggregateOp::LimitRatio => unreachable!("not generated"),
            };
            result.push((key, value));
        }
        Ok(result)
    }

    fn binary(&self, binary: &BinaryExpr, t: i64) -> Result<Value, Refused> {
        let op = binary.op;
        Ok(match (self.eval(&binary.lhs, t)?, self.eval(&binary.rhs, t)?) {
            (Value::Scalar(a), Value::Scalar(b)) => {
                Value::Scalar(if op.is_comparison() { f64::from(holds(op, a, b)) } else { arithmetic(op, a, b) })
            }
            (Value::Vector(vector), Value::Scalar(b)) => Value::Vector(with_scalar(binary, vector, |v| (v, b))?),
            (Value::Scalar(a), Value::Vector(vector)) => Value::Vector(with_scalar(binary, vector, |v| (a, v))?),
            (Value::Vector(lhs), Value::Vector(rhs)) => {
                let matching = binary.matching.as_ref().unwrap();
                Value::Vector(if op.is_set() {
                    unique(set(op, matching, lhs, rhs))?
                } else {
                    unique(combined(binary, matching, lhs, rhs)?)?
                })
            }
        })
    }

    fn call(&self, call: &Call, t: i64) -> Result<Value, Refused> {
        use FunctionId as F;
        let arg = |i: usize| call.args.get(i).unwrap();
        if let Some(place) = call.args.iter().position(|arg| arg.value_type() == ValueType::Matrix) {
            let (series, start, end) = self.range(arg(place), t)?;
            let param = call.args.iter().enumerate().find(|(i, _)| *i != place).map(|(_, param)| self.scalar(param, t));
            let param = param.transpose()?.unwrap_or(f64::NAN);
            let keeps_name = matches!(call.function.id, F::LastOverTime | F::FirstOverTime);
            let vector = series.iter().filter(|(_, samples)| !samples.is_empty()).filter_map(|(labels, samples)| {
                let value = over_range(call.function.id, samples, (start, end), t, param)?;
                Some((if keeps_name { labels.clone() } else { without_name(labels) }, value))
            });
            return Ok(Value::Vector(unique(vector.collect())?));
        }
        Ok(match call.function.id {
            F::Time => Value::Scalar(t as f64 / 1000.0),
            F::Pi => Value::Scalar(std::f64::consts::PI),
            F::Vector => Value::Vector(vec![(Labels::new(), self.scalar(arg(0), t)?)]),
            F::Scalar => match &*self.vector(arg(0), t)? {
                [(_, value)] => Value::Scalar(*value),
                _ => Value::Scalar(f64::NAN),
            },
            F::Absent => {
                let is_absent = self.vector(arg(0), t)?.is_empty();
                // The generator's selectors say nothing exactly but names.
                Value::Vector(if is_absent { vec![(Labels::new(), 1.0)] } else { Vec::new() })
            }
            F::Sort | F::SortDesc => Value::Vector(self.vector(arg(0), t)?),
            F::LabelReplace => {
                let text = |i: usize| match arg(i) {
                    Expr::String(text) => text.value.clone(),
                    _ => unreachable!("types are checked"),
                };
                // The generator copies a label, or nothing.
                let (to, from) = (text(1), text(3));
                let vector = self.vector(arg(0), t)?.into_iter().map(|(mut labels, value)| {
                    match labels.get(&from).cloned() {
                        Some(text) => labels.insert(to.clone(), text),
                        None => labels.remove(&to),
                    };
                    (labels, value)
                });
                Value::Vector(unique(vector.collect())?)
            }
            id => {
                let params =
                    call.args.iter().skip(1).map(|param| self.scalar(param, t)).collect::<Result<Vec<_>, _>>()?;
                let param = |i: usize| params.get(i).copied().unwrap();
                let function = |v: f64| match id {
                    F::Abs => v.abs(),
                    F::Ceil => v.ceil(),
                    F::Floor => v.floor(),
                    F::Sgn => {
                        if v == 0.0 || v.is_nan() {
                            v
                        } else {
                            v.signum()
                        }
                    }
                    F::Sqrt => v.sqrt(),
                    F::ClampMin => {
                        if v < param(0) {
                            param(0)
                        } else {
                            v
                        }
                    }
                    F::ClampMax => {
                        if v > param(0) {
                            param(0)
                        } else {
                            v
                        }
                    }
                    F::Timestamp => f64::NAN,
                    _ => unreachable!("not generated"),
                };
                let vector = self.vector(arg(0), t)?;
                Value::Vector(unique(vector.iter().map(|(l, v)| (without_name(l), function(*v))).collect())?)
            }
        })
    }
}

fn quantile(q: f64, mut values: Vec<f64>) -> f64 {
    if q.is_nan() || values.is_empty() {
        return f64::NAN;
    }
    if !(0.0..=1.0).contains(&q) {
        return if q < 0.0 { f64::NEG_INFINITY } else { f64::INFINITY };
    }
    // NaN is less than anything.
    values.sort_by(|a, b| b.is_nan().cmp(&a.is_nan()).then(a.total_cmp(b)));
    let rank = q * (values.len() - 1) as f64;
    let (low, high) = (rank.floor() as usize, (rank.floor() as usize + 1).min(values.len() - 1));
    let weight = rank - rank.floor();
    values[low] * (1.0 - weight) + values[high] * weight
}

fn holds(op: BinaryOp, a: f64, b: f64) -> bool {
    match op {
        BinaryOp::Eql => a == b,
        BinaryOp::Neq => a != b,
        BinaryOp::Lss => a < b,
        BinaryOp::Lte => a <= b,
        BinaryOp::Gtr => a > b,
        BinaryOp::Gte => a >= b,
        _ => unreachable!("no comparison"),
    }
}

fn arithmetic(op: BinaryOp, a: f64, b: f64) -> f64 {
    match op {
        BinaryOp::Add => a + b,
        BinaryOp::Sub => a - b,
        BinaryOp::Mul => a * b,
        BinaryOp::Div => a / b,
        BinaryOp::Mod => a % b,
        BinaryOp::Pow => a.powf(b),
        BinaryOp::Atan2 => a.atan2(b),
        _ => unreachable!("no arithmetic"),
    }
}

fn with_scalar(binary: &BinaryExpr, vector: Vector, order: impl Fn(f64) -> (f64, f64)) -> Result<Vector, Refused> {
    let op = binary.op;
    let results = vector.into_iter().filter_map(|(labels, value)| {
        let (a, b) = order(value);
        if !op.is_comparison() {
            Some((without_name(&labels), arithmetic(op, a, b)))
        } else if binary.return_bool {
            Some((without_name(&labels), f64::from(holds(op, a, b))))
        } else {
            holds(op, a, b).then_some((labels, value))
        }
    });
    unique(results.collect())
}

fn signature(matching: &VectorMatching, labels: &Labels) -> Labels {
    let counts = |name: &String| {
        let is_listed = matching.labels.contains(name);
        if matching.on { is_listed } else { !is_listed && name != "__name__" }
    };
    labels.iter().filter(|(name, _)| counts(name)).map(|(n, v)| (n.clone(), v.clone())).collect()
}

fn set(op: BinaryOp, matching: &VectorMatching, lhs: Vector, rhs: Vector) -> Vector {
    let of = |vector: &Vector| vector.iter().map(|(labels, _)| signature(matching, labels)).collect::<BTreeSet<_>>();
    let (left, right) = (of(&lhs), of(&rhs));
    let is_right = |labels: &Labels| right.contains(&signature(matching, labels));
    match op {
        BinaryOp::And => lhs.into_iter().filter(|(labels, _)| is_right(labels)).collect(),
        BinaryOp::Unless => lhs.into_iter().filter(|(labels, _)| !is_right(labels)).collect(),
        _ => {
            let rest = rhs.into_iter().filter(|(labels, _)| !left.contains(&signature(matching, labels)));
            lhs.into_iter().chain(rest).collect()
        }
    }
}

fn combined(binary: &BinaryExpr, matching: &VectorMatching, lhs: Vector, rhs: Vector) -> Result<Vector, Refused> {
    let op = binary.op;
    if lhs.is_empty() || rhs.is_empty() {
        return Ok(Vec::new());
    }
    let is_swapped = matching.cardinality == Cardinality::OneToMany;
    let (many, one) = if is_swapped { (rhs, lhs) } else { (lhs, rhs) };
    let mut by_signature = BTreeMap::new();
    for (labels, value) in one {
        if by_signature.insert(signature(matching, &labels), (labels, value)).is_some() {
            return Err("duplicate series");
        }
    }
    let mut matched = BTreeSet::new();
    let mut result = Vec::new();
    for (labels, value) in many {
        let key = signature(matching, &labels);
        let Some((other, other_value)) = by_signature.get(&key) else { continue };
        let mut result_labels = labels.clone();
        if !op.is_comparison() || binary.return_bool {
            result_labels.remove("__name__");
        }
        if matching.cardinality == Cardinality::OneToOne {
            result_labels.retain(|name, _| matching.labels.contains(name) == matching.on);
        }
        for name in &matching.include {
            match other.get(name) {
                Some(value) => result_labels.insert(name.clone(), value.clone()),
                None => result_labels.remove(name),
            };
        }
        let unique_key =
            if matching.cardinality == Cardinality::OneToOne { Labels::new() } else { result_labels.clone() };
        if !matched.insert((key, unique_key)) {
            return Err("multiple matches");
        }
        let (a, b) = if is_swapped { (*other_value, value) } else { (value, *other_value) };
        if !op.is_comparison() {
            result.push((result_labels, arithmetic(op, a, b)));
        } else if binary.return_bool {
            result.push((result_labels, f64::from(holds(op, a, b))));
        } else if holds(op, a, b) {
            result.push((result_labels, a));
        }
    }
    Ok(result)
}

fn over_range(id: FunctionId, samples: &[(i64, f64)], (start, end): (i64, i64), t: i64, param: f64) -> Option<f64> {
    use FunctionId as F;
    let values: Vec<f64> = samples.iter().map(|(_, value)| *value).collect();
    let n = values.len() as f64;
    let sum: f64 = values.iter().sum();
    let mean = sum / n;
    let variance = values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / n;
    let (first, last) = (samples.first()?, samples.last()?);
    let pairs = || samples.windows(2).map(|pair| (pair[0].1, pair[1].1));
    let seconds = |from: i64, to: i64| (to - from) as f64 / 1000.0;
    Some(match id {
        F::SumOverTime => sum,
        F::AvgOverTime => mean,
        F::CountOverTime => n,
        F::PresentOverTime => 1.0,
        F::MinOverTime => values.iter().copied().fold(f64::NAN, f64::min),
        F::MaxOverTime => values.iter().copied().fold(f64::NAN, f64::max),
        F::LastOverTime => last.1,
        F::FirstOverTime => first.1,
        F::StdvarOverTime => variance,
        F::StddevOverTime => variance.sqrt(),
        F::QuantileOverTime => quantile(param, values),
        F::Changes => pairs().filter(|(a, b)| a != b && !(a.is_nan() && b.is_nan())).count() as f64,
        F::Resets => pairs().filter(|(a, b)| b < a).count() as f64,
        F::Irate | F::Idelta => {
            let [.., a, b] = samples else { return None };
            let change = if id == F::Irate && b.1 < a.1 { b.1 } else { b.1 - a.1 };
            if id == F::Irate { change / seconds(a.0, b.0) } else { change }
        }
        F::Deriv | F::PredictLinear => {
            if samples.len() < 2 {
                return None;
            }
            let origin = if id == F::Deriv { first.0 } else { t };
            let xs: Vec<f64> = samples.iter().map(|(time, _)| seconds(origin, *time)).collect();
            let mean_x = xs.iter().sum::<f64>() / n;
            let slope = xs.iter().zip(&values).map(|(x, y)| (x - mean_x) * (y - mean)).sum::<f64>()
                / xs.iter().map(|x| (x - mean_x) * (x - mean_x)).sum::<f64>();
            if id == F::Deriv { slope } else { mean - slope * mean_x + slope * param }
        }
        F::Rate | F::Increase | F::Delta => {
            if samples.len() < 2 {
                return None;
            }
            let is_counter = id != F::Delta;
            let mut result = last.1 - first.1;
            if is_counter {
                result += pairs().filter(|(a, b)| b < a).map(|(a, _)| a).sum::<f64>();
            }
            let sampled = seconds(first.0, last.0);
            let between = sampled / (n - 1.0);
            let reach = |gap: f64| if gap < between * 1.1 { gap } else { between / 2.0 };
            let mut before = reach(seconds(start, first.0));
            if is_counter && result > 0.0 && first.1 >= 0.0 {
                before = before.min(sampled * first.1 / result);
            }
            let after = reach(seconds(last.0, end));
            let result = result * ((sampled + before + after) / sampled);
            if id == F::Rate { result / seconds(start, end) } else { result }
        }
        _ => unreachable!("not generated"),
    })
}
