//! What is printed parses to what was printed, whatever it is.

use std::mem;

use prometheus_model::METRIC_NAME;
use prometheus_promql::{
    AggregateExpr, AggregateOp, AtModifier, BinaryExpr, BinaryOp, Boundaries, Call, Cardinality, DurationExpr,
    DurationOp, DurationValue, Expr, FUNCTIONS, FunctionId, MatrixSelector, NumberLiteral, ParenExpr, Parser,
    ParserOptions, Sign, Span, StringLiteral, SubqueryExpr, UnaryExpr, ValueType, Variadic, VectorMatching,
    VectorSelector,
};
use prometheus_queryable::{MatchOp, Matcher};
use proptest::prelude::*;

const SPAN: Span = Span { start: 0, end: 0 };

/// Makes trees out of a seed: those that the parser can make.
struct Gen(u64);

impl Gen {
    fn next(&mut self) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    fn odds(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())]
    }

    fn text(&mut self) -> String {
        const CHARS: &[char] = &[
            'a', 'Z', '_', '0', '.', ' ', '"', '\'', '`', '\\', '\n', '\t', '\0', '\u{7f}', 'é', '\u{ad}', '\u{fffd}',
            '😀', '#', '{',
        ];
        (0..self.below(5)).map(|_| self.pick(CHARS)).collect()
    }

    fn label(&mut self) -> String {
        const NAMES: &[&str] =
            &["a", "job", "without", "NaN", "inf", "bool", "sum", "fill", "on", "a.b", "1", "é", "start"];
        if self.odds(4) { format!("{}x", self.text()) } else { self.pick(NAMES).to_owned() }
    }

    fn labels(&mut self) -> Vec<String> {
        (0..self.below(4)).map(|_| self.label()).collect()
    }

    fn float(&mut self) -> f64 {
        const FLOATS: &[f64] = &[
            0.0,
            -0.0,
            1.0,
            -1.0,
            0.1,
            1e21,
            1e-7,
            123_456_789.0,
            f64::MAX,
            5e-324,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::NAN,
        ];
        let float = if self.odds(4) { f64::from_bits(self.next()) } else { self.pick(FLOATS) };
        if float.is_nan() { f64::NAN } else { float }
    }

    fn number(&mut self) -> NumberLiteral {
        if self.odds(2) {
            return NumberLiteral { value: self.float(), is_duration: false, span: SPAN };
        }
        let ms = if self.odds(4) { self.below(9_000_000_000_000) } else { self.below(100_000) } as u64;
        let value = (ms / 1000) as f64 + (ms % 1000 * 1_000_000) as f64 / 1e9;
        NumberLiteral { value: if self.odds(4) { -value } else { value }, is_duration: true, span: SPAN }
    }

    /// A number as durations have it: not beyond 64 bits.
    fn duration_number(&mut self) -> DurationExpr {
        loop {
            let number = self.number();
            if number.value.abs() < 9e9 {
                return DurationExpr::Number(number);
            }
        }
    }

    fn duration(&mut self, depth: usize) -> DurationExpr {
        let paren = |expr| DurationExpr::Paren { expr: Box::new(expr), span: SPAN };
        if depth == 0 {
            return match self.below(3) {
                0 => DurationExpr::Step(SPAN),
                1 => DurationExpr::Range(SPAN),
                _ => self.duration_number(),
            };
        }
        match self.below(6) {
            0 => match self.duration(depth - 1) {
                already @ DurationExpr::Paren { .. } => already,
                inner => paren(inner),
            },
            1 => {
                let inner = match self.duration(depth - 1) {
                    // Signs of numbers are theirs; products are looser than signs.
                    inner @ DurationExpr::Number(_) => paren(inner),
                    inner @ DurationExpr::Binary { op, .. } if duration_level(op) < 3 => paren(inner),
                    inner => inner,
                };
                DurationExpr::Negate { expr: Box::new(inner), span: SPAN }
            }
            2..5 => {
                let op = self.pick(&[
                    DurationOp::Add,
                    DurationOp::Sub,
                    DurationOp::Mul,
                    DurationOp::Div,
                    DurationOp::Mod,
                    DurationOp::Pow,
                    DurationOp::MaxOf,
                    DurationOp::MinOf,
                ]);
                let (lhs, rhs) = (self.duration(depth - 1), self.duration(depth - 1));
                let level = duration_level(op);
                let is_function = level == 4;
                let loose = |e: &DurationExpr, right: bool| match e {
                    _ if is_function => false,
                    DurationExpr::Binary { op: other, .. } => {
                        let other = duration_level(*other);
                        other < level || other == level && (right != (level == 3))
                    }
                    DurationExpr::Negate { .. } => level == 3 && !right,
                    DurationExpr::Number(number) => {
                        level == 3 && !right && number.value.is_sign_negative()
                            || right && number.value == 0.0 && matches!(op, DurationOp::Div | DurationOp::Mod)
                    }
                    _ => false,
                };
                let lhs = if loose(&lhs, false) { paren(lhs) } else { lhs };
                let rhs = if loose(&rhs, true) { paren(rhs) } else { rhs };
                DurationExpr::Binary { op, lhs: Box::new(lhs), rhs: Box::new(rhs), span: SPAN }
            }
            _ => self.duration(0),
        }
    }

    /// A range or step, above zero if fixed.
    fn range(&mut self) -> DurationValue {
        if self.odds(2) {
            return match self.duration(3) {
                DurationExpr::Number(_) => DurationValue::Nanos(300_000_000_000),
                e => DurationValue::Expr(Box::new(e)),
            };
        }
        let nanos = match self.below(3) {
            0 => 1 + self.below(1 << 40) as i64,
            1 => 1_000_000 * (1 + self.below(1 << 40) as i64),
            _ => (1_000_000 + self.below(1 << 20) as i64) * 3_600_000_000_000,
        };
        // What the parser makes of seconds: not all integers.
        DurationValue::Nanos((nanos as f64 / 1e9 * 1e9).round() as i64)
    }

    fn offset(&mut self) -> DurationValue {
        match self.below(4) {
            0 | 1 => DurationValue::Nanos(0),
            _ => match self.range() {
                DurationValue::Nanos(nanos) if self.odds(2) => DurationValue::Nanos(-nanos),
                value => value,
            },
        }
    }

    fn at(&mut self) -> Option<AtModifier> {
        match self.below(8) {
            0 => Some(AtModifier::Start),
            1 => Some(AtModifier::End),
            2 => Some(AtModifier::Timestamp(self.below(1 << 45) as i64 - (1 << 44))),
            _ => None,
        }
    }

    fn selector(&mut self) -> VectorSelector {
        const NAMES: &[&str] =
            &["foo", "a:b", "sum", "by", "offset", "start", "step", "fill", "anchored", "without", "and", "_"];
        let name = if self.odds(4) { None } else { Some(self.pick(NAMES).to_owned()) };
        let mut matchers = Vec::new();
        for _ in 0..self.below(4) {
            let op = self.pick(&[MatchOp::Equal, MatchOp::NotEqual, MatchOp::Regex, MatchOp::NotRegex]);
            let value =
                if matches!(op, MatchOp::Equal | MatchOp::NotEqual) { self.text() } else { "a.*|é".to_owned() };
            matchers.push(Matcher::new(self.label(), op, value).expect("a matcher"));
        }
        if let Some(name) = &name {
            matchers.push(Matcher::equal(METRIC_NAME, name));
        } else {
            matchers.push(Matcher::equal(METRIC_NAME, self.text() + "x"));
        }
        let boundaries = self.pick(&[Boundaries::Plain, Boundaries::Plain, Boundaries::Anchored, Boundaries::Smoothed]);
        VectorSelector {
            name,
            matchers,
            offset: self.offset(),
            at: self.at(),
            boundaries,
            may_select_all: false,
            span: SPAN,
        }
    }

    fn expr(&mut self, wanted: ValueType, depth: usize) -> Expr {
        if self.odds(12) && depth > 0 {
            return Expr::Paren(ParenExpr { expr: Box::new(self.expr(wanted, depth - 1)), span: SPAN });
        }
        match wanted {
            ValueType::String => Expr::String(StringLiteral { value: self.text(), span: SPAN }),
            ValueType::Matrix if depth == 0 || self.odds(2) => {
                Expr::Matrix(MatrixSelector { selector: self.selector(), range: self.range(), span: SPAN })
            }
            ValueType::Matrix => {
                let expr = self.expr(ValueType::Vector, depth - 1);
                let expr = if matches!(expr, Expr::Binary(_) | Expr::Unary(_)) { paren(expr) } else { expr };
                let step = if self.odds(2) { Some(self.range()) } else { None };
                let (mut range, offset, at) = (self.range(), self.offset(), self.at());
                // Prometheus' lexer wants a number in front of the colon.
                if matches!(&range, DurationValue::Expr(e) if !has_number(e)) {
                    range = DurationValue::Nanos(300_000_000_000);
                }
                Expr::Subquery(SubqueryExpr { expr: Box::new(expr), range, step, offset, at, span: SPAN })
            }
            ValueType::Scalar if depth == 0 => Expr::Number(self.number()),
            ValueType::Vector if depth == 0 => Expr::Vector(self.selector()),
            _ => match self.below(5) {
                0 => self.call(wanted, depth),
                1 if wanted == ValueType::Vector => self.aggregation(depth),
                2 => self.unary(wanted, depth),
                _ => self.binary(wanted, depth),
            },
        }
    }

    fn unary(&mut self, wanted: ValueType, depth: usize) -> Expr {
        let expr = self.expr(wanted, depth - 1);
        let expr = match expr {
            Expr::Binary(ref e) if e.op != BinaryOp::Pow => paren(expr),
            Expr::Number(_) => paren(expr),
            expr => expr,
        };
        Expr::Unary(UnaryExpr { op: self.pick(&[Sign::Plus, Sign::Minus]), expr: Box::new(expr), span: SPAN })
    }

    fn aggregation(&mut self, depth: usize) -> Expr {
        let op = self.pick(&[AggregateOp::Sum, AggregateOp::Topk, AggregateOp::CountValues, AggregateOp::LimitRatio]);
        let param_type = if op == AggregateOp::CountValues { ValueType::String } else { ValueType::Scalar };
        let param = if op.has_param() { Some(Box::new(self.expr(param_type, depth - 1))) } else { None };
        let expr = Box::new(self.expr(ValueType::Vector, depth - 1));
        Expr::Aggregate(AggregateExpr { op, expr, param, grouping: self.labels(), without: self.odds(2), span: SPAN })
    }

    fn call(&mut self, wanted: ValueType, depth: usize) -> Expr {
        let fitting: Vec<_> = FUNCTIONS.iter().filter(|f| f.return_type == wanted).collect();
        let function = self.pick(&fitting);
        let mut types = function.arg_types.to_vec();
        if function.variadic != Variadic::No {
            let last = types.pop().expect("a type");
            let more = function.max_args().unwrap_or(5) - types.len();
            types.extend(std::iter::repeat_n(last, self.below(more + 1)));
        }
        let mut args: Vec<Expr> = types.into_iter().map(|wanted| self.expr(wanted, depth - 1)).collect();
        if function.id == FunctionId::Info
            && let Some(second) = args.get_mut(1)
        {
            let mut selector = self.selector();
            if mem::take(&mut selector.name).is_some() {
                selector.matchers.pop();
            }
            if self.odds(3) {
                selector.matchers.clear();
            }
            selector.may_select_all = true;
            *second = Expr::Vector(selector);
        }
        Expr::Call(Call { function, args, span: SPAN })
    }

    fn binary(&mut self, wanted: ValueType, depth: usize) -> Expr {
        const ARITHMETIC: &[BinaryOp] = &[
            BinaryOp::Add,
            BinaryOp::Sub,
            BinaryOp::Mul,
            BinaryOp::Div,
            BinaryOp::Mod,
            BinaryOp::Pow,
            BinaryOp::Atan2,
        ];
        const COMPARISONS: &[BinaryOp] =
            &[BinaryOp::Eql, BinaryOp::Neq, BinaryOp::Lss, BinaryOp::Lte, BinaryOp::Gtr, BinaryOp::Gte];
        const OTHERS: &[BinaryOp] =
            &[BinaryOp::And, BinaryOp::Or, BinaryOp::Unless, BinaryOp::TrimUpper, BinaryOp::TrimLower];
        let (mut left, mut right) = (wanted, wanted);
        if wanted == ValueType::Vector {
            match self.below(4) {
                0 => left = ValueType::Scalar,
                1 => right = ValueType::Scalar,
                _ => {}
            }
        }
        let vectors = left == ValueType::Vector && right == ValueType::Vector;
        let op = match self.below(4) {
            0 => self.pick(COMPARISONS),
            1 if vectors => self.pick(OTHERS),
            _ => self.pick(ARITHMETIC),
        };
        let scalars = left == ValueType::Scalar && right == ValueType::Scalar;
        let return_bool = op.is_comparison() && (scalars || self.odds(3));
        let level = level(op);
        let (lhs, rhs) = (self.expr(left, depth - 1), self.expr(right, depth - 1));
        let lhs = match &lhs {
            Expr::Binary(e) if self::level(e.op) < level || op == BinaryOp::Pow => paren(lhs),
            Expr::Unary(_) if op == BinaryOp::Pow => paren(lhs),
            Expr::Number(e) if op == BinaryOp::Pow && e.value.is_sign_negative() => paren(lhs),
            _ => lhs,
        };
        // Such an offset would take in the operator.
        let lhs = if level >= 3 && ends_in_open_offset(&lhs) { paren(lhs) } else { lhs };
        let rhs = match &rhs {
            Expr::Binary(e) if self::level(e.op) < level => paren(rhs),
            Expr::Binary(e) if self::level(e.op) == level && op != BinaryOp::Pow => paren(rhs),
            _ => rhs,
        };
        let matching = vectors.then(|| self.matching(op));
        Expr::Binary(BinaryExpr { op, lhs: Box::new(lhs), rhs: Box::new(rhs), matching, return_bool, span: SPAN })
    }

    fn matching(&mut self, op: BinaryOp) -> VectorMatching {
        let mut matching = VectorMatching {
            cardinality: Cardinality::ManyToMany,
            labels: self.labels(),
            on: self.odds(2),
            include: Vec::new(),
            fill_left: None,
            fill_right: None,
        };
        if !op.is_set() {
            matching.cardinality = self.pick(&[Cardinality::OneToOne, Cardinality::ManyToOne, Cardinality::OneToMany]);
            if matching.cardinality != Cardinality::OneToOne {
                matching.include = self.labels();
                matching.include.retain(|label| !matching.labels.contains(label));
            }
            matching.fill_left = if self.odds(3) { Some(self.float()) } else { None };
            matching.fill_right = if self.odds(3) { Some(self.float()) } else { None };
            if self.odds(4) {
                matching.fill_right = matching.fill_left;
            }
        }
        matching
    }
}

fn ends_in_open_offset(e: &Expr) -> bool {
    match e {
        Expr::Vector(e) => {
            let is_open = matches!(&e.offset, DurationValue::Expr(e) if !matches!(**e, DurationExpr::Paren { .. }));
            is_open && e.at.is_none() && e.boundaries == Boundaries::Plain
        }
        Expr::Unary(e) => ends_in_open_offset(&e.expr),
        Expr::Binary(e) => ends_in_open_offset(&e.rhs),
        _ => false,
    }
}

fn has_number(e: &DurationExpr) -> bool {
    match e {
        DurationExpr::Number(_) => true,
        DurationExpr::Step(_) | DurationExpr::Range(_) => false,
        DurationExpr::Negate { expr, .. } | DurationExpr::Paren { expr, .. } => has_number(expr),
        DurationExpr::Binary { lhs, rhs, .. } => has_number(lhs) || has_number(rhs),
    }
}

fn paren(expr: Expr) -> Expr {
    Expr::Paren(ParenExpr { expr: Box::new(expr), span: SPAN })
}

fn level(op: BinaryOp) -> usize {
    match op {
        BinaryOp::Or => 0,
        BinaryOp::And | BinaryOp::Unless => 1,
        BinaryOp::Add | BinaryOp::Sub => 3,
        BinaryOp::Mul | BinaryOp::Div | BinaryOp::Mod | BinaryOp::Atan2 => 4,
        BinaryOp::Pow => 5,
        _ => 2,
    }
}

fn duration_level(op: DurationOp) -> usize {
    match op {
        DurationOp::Add | DurationOp::Sub => 1,
        DurationOp::Mul | DurationOp::Div | DurationOp::Mod => 2,
        DurationOp::Pow => 3,
        DurationOp::MaxOf | DurationOp::MinOf => 4,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn generated_trees_survive(seed: u64) {
        let mut random = Gen(seed);
        let wanted = random.pick(&[ValueType::Vector, ValueType::Vector, ValueType::Matrix, ValueType::Scalar, ValueType::String]);
        let depth = random.below(6);
        let expr = random.expr(wanted, depth);
        prop_assert_eq!(expr.value_type(), wanted);
        let parser = Parser::new(ParserOptions::all_features());
        let (printed, pretty) = (expr.to_string(), expr.pretty());
        let expected = expr.normalized();
        for text in [printed, pretty] {
            match parser.parse(&text) {
                Ok(again) => prop_assert_eq!(&again.normalized(), &expected, "{}", text),
                Err(error) => prop_assert!(false, "{text}\n{error}"),
            }
        }
    }
}
