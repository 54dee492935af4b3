//! Two vectors. Which series match is worked out once; then pairs of columns are combined.

use std::{collections::HashMap, sync::Arc};

use prometheus_model::Labels;
use rustc_hash::FxBuildHasher;

use super::element::{Note, changes_metric, element};
use crate::{
    ast::{BinaryOp, Cardinality, Span, VectorMatching},
    engine::{
        annotations::Annotations,
        column::{Column, Point, Series},
        labels::{self, Groups, Key},
        limits::{Budget, Reserved},
        pipeline::Interrupt,
    },
    error::{Error, Result},
};

/// An operation on two vectors.
#[derive(Debug)]
pub(crate) struct VectorTask {
    pub(crate) op: BinaryOp,
    pub(crate) return_bool: bool,
    pub(crate) matching: VectorMatching,
    pub(crate) span: Span,
    pub(crate) steps: usize,
    /// Whether names are removed when the query is done.
    pub(crate) delays_names: bool,
    pub(crate) is_instant: bool,
}

/// Series of one side by the labels that are compared.
struct Side {
    series: Vec<Series>,
    /// For each series, which group it is in.
    groups: Vec<usize>,
}

/// A pair of series, or a series and a value that stands for what the other side lacks.
struct Pair {
    group: usize,
    many: Option<usize>,
    one: Option<usize>,
    /// The number of the result.
    result: usize,
}

impl VectorTask {
    /// Combines the operands.
    ///
    /// # Errors
    /// If series match that must not, or the result takes too much memory.
    pub(crate) fn apply(
        &self,
        lhs: Vec<Series>,
        rhs: Vec<Series>,
        budget: &Arc<Budget>,
        interrupt: &Interrupt,
        notes: &mut Annotations,
    ) -> Result<(Vec<Series>, Reserved)> {
        let mut groups = Groups::new(Key::matching(&self.matching.labels, self.matching.on));
        let mut side = |series: Vec<Series>| {
            let groups = series.iter().map(|series| groups.number(&series.labels)).collect();
            Side { series, groups }
        };
        let (lhs, rhs) = (side(lhs), side(rhs));
        let count = groups.len();
        let mut reserved = budget.reserve();
        let series = if self.op.is_set() {
            self.set(lhs, &rhs, count, interrupt, &mut reserved)?
        } else {
            self.combine(lhs, rhs, count, interrupt, &mut reserved, notes)?
        };
        Ok((series, reserved))
    }

    /// At which steps each group has a series.
    fn presence(&self, side: &Side, groups: usize, reserved: &mut Reserved) -> Result<Vec<Vec<bool>>> {
        let mut presence = vec![Vec::new(); groups];
        for (series, group) in side.series.iter().zip(&side.groups) {
            let Some(present) = presence.get_mut(*group) else { continue };
            if present.is_empty() {
                reserved.grow("matches of an operation", 0, self.steps as u64)?;
                *present = vec![false; self.steps];
            }
            present.iter_mut().enumerate().for_each(|(step, seen)| *seen |= series.column.is_present(step));
        }
        Ok(presence)
    }

    fn set(
        &self,
        lhs: Side,
        rhs: &Side,
        groups: usize,
        interrupt: &Interrupt,
        reserved: &mut Reserved,
    ) -> Result<Vec<Series>> {
        let mut results = Results::new(self);
        let filter = |series: &mut Series, present: &[bool], keep: bool| {
            for step in 0..self.steps {
                if present.get(step).copied().unwrap_or(false) != keep {
                    series.column.set(step, None);
                }
            }
        };
        if self.op == BinaryOp::Or {
            let on_left = self.presence(&lhs, groups, reserved)?;
            for series in lhs.series {
                results.add(series, reserved)?;
            }
            for (series, group) in rhs.series.iter().zip(&rhs.groups) {
                interrupt.check()?;
                let mut series = series.clone();
                filter(&mut series, on_left.get(*group).map_or(&[], Vec::as_slice), false);
                results.add(series, reserved)?;
            }
        } else {
            let on_right = self.presence(rhs, groups, reserved)?;
            for (mut series, group) in lhs.series.into_iter().zip(lhs.groups) {
                interrupt.check()?;
                let present = on_right.get(group).map_or(&[][..], Vec::as_slice);
                filter(&mut series, present, self.op == BinaryOp::And);
                results.add(series, reserved)?;
            }
        }
        Ok(results.series)
    }

    fn combine(
        &self,
        lhs: Side,
        rhs: Side,
        groups: usize,
        interrupt: &Interrupt,
        reserved: &mut Reserved,
        notes: &mut Annotations,
    ) -> Result<Vec<Series>> {
        let is_swapped = self.matching.cardinality == Cardinality::OneToMany;
        let (many, one) = if is_swapped { (rhs, lhs) } else { (lhs, rhs) };
        // As in Prometheus, with group_right the names of the sides are those of many-to-one.
        let (fill_one, fill_many) = (self.matching.fill_right, self.matching.fill_left);
        // Where one side has nothing at all, nothing is compared.
        let evaluated = if self.matching.fill_left.is_none() && self.matching.fill_right.is_none() {
            let (a, b) = (self.any_present(&many), self.any_present(&one));
            a.into_iter().zip(b).map(|(a, b)| a && b).collect()
        } else {
            vec![true; self.steps]
        };
        let one_presence = self.one_presence(&one, groups, &evaluated, reserved)?;

        let mut one_of = vec![Vec::new(); groups];
        for (i, group) in one.groups.iter().enumerate() {
            one_of.get_mut(*group).into_iter().for_each(|ones: &mut Vec<usize>| ones.push(i));
        }
        let mut table = Table::default();
        let mut pairs = Vec::new();
        let nothing = Labels::default();
        let key = Key::matching(&self.matching.labels, self.matching.on);
        for (i, (series, &group)) in many.series.iter().zip(&many.groups).enumerate() {
            let ones = one_of.get(group).map_or(&[][..], Vec::as_slice);
            reserved.grow("matches of an operation", 0, ((ones.len() + 1) * size_of::<Pair>()) as u64)?;
            for &j in ones {
                let other = one.series.get(j).map_or(&nothing, |series| &series.labels);
                let result = table.number(self.result_labels(&series.labels, other), reserved)?;
                pairs.push(Pair { group, many: Some(i), one: Some(j), result });
            }
            if fill_one.is_some() {
                let result = table.number(self.result_labels(&series.labels, &key.labels(&series.labels)), reserved)?;
                pairs.push(Pair { group, many: Some(i), one: None, result });
            }
        }
        if fill_many.is_some() {
            reserved.grow("matches of an operation", 0, (one.series.len() * size_of::<Pair>()) as u64)?;
            for (j, (series, &group)) in one.series.iter().zip(&one.groups).enumerate() {
                let result = table.number(self.result_labels(&key.labels(&series.labels), &series.labels), reserved)?;
                pairs.push(Pair { group, many: None, one: Some(j), result });
            }
        }

        let mut matched = Matched::new(self, &pairs);
        let mut columns: Vec<Option<Column>> = vec![None; table.labels.len()];
        let mut last_notes: Vec<Option<Note>> = Vec::new();
        for pair in &pairs {
            interrupt.check()?;
            let many_column = pair.many.and_then(|i| many.series.get(i)).map(|series| &series.column);
            let one_column = pair.one.and_then(|j| one.series.get(j)).map(|series| &series.column);
            let has_one = one_presence.get(pair.group).map_or(&[][..], Vec::as_slice);
            for step in 0..self.steps {
                if !evaluated.get(step).copied().unwrap_or(false) {
                    continue;
                }
                let value = |column: &Column| column.get(step);
                let (many_value, one_value) = match (many_column, one_column) {
                    (Some(many), Some(one)) => (value(many), value(one)),
                    (Some(many), None) => {
                        let is_missing = !has_one.get(step).copied().unwrap_or(false);
                        (value(many), fill_one.filter(|_| is_missing).map(Point::Float))
                    }
                    (None, Some(one)) => {
                        let is_missing = !matched.is_matched(pair.group, step);
                        (fill_many.filter(|_| is_missing).map(Point::Float), value(one))
                    }
                    (None, None) => (None, None),
                };
                let (Some(many_value), Some(one_value)) = (many_value, one_value) else { continue };
                let (a, b) = if is_swapped { (one_value, many_value) } else { (many_value, one_value) };
                let outcome = element(self.op, &a, &b);
                if let Some(note) = outcome.note {
                    if last_notes.is_empty() {
                        last_notes = vec![None; self.steps];
                    }
                    last_notes.get_mut(step).into_iter().for_each(|last| *last = Some(note));
                    if note.is_failure() || matches!(note, Note::ResetCollision(_)) {
                        continue;
                    }
                }
                matched.mark(pair, step, reserved)?;
                let point = if self.return_bool {
                    Point::Float(f64::from(u8::from(outcome.is_kept)))
                } else if outcome.is_kept {
                    outcome.point
                } else {
                    continue;
                };
                let Some(place) = columns.get_mut(pair.result) else { continue };
                if place.is_none() {
                    reserved.grow("results", 0, 8 * self.steps as u64)?;
                }
                let column = place.get_or_insert_with(|| Column::absent(self.steps));
                if column.is_present(step) {
                    return Err(same_labels());
                }
                match point {
                    Point::Float(value) => column.floats.get_mut(step).into_iter().for_each(|place| *place = value),
                    histogram @ Point::Histogram(_) => column.set(step, Some(histogram)),
                }
            }
        }
        last_notes.into_iter().flatten().for_each(|note| note.say(self.op, self.span, notes));
        let series = table.labels.into_iter().zip(columns).filter_map(|(labels, column)| {
            let column = column.filter(|column| !column.is_empty())?;
            Some(Series { labels, drop_name: self.return_bool, column })
        });
        Ok(series.collect())
    }

    fn any_present(&self, side: &Side) -> Vec<bool> {
        let mut any = vec![false; self.steps];
        for series in &side.series {
            any.iter_mut().enumerate().for_each(|(step, seen)| *seen = *seen || series.column.is_present(step));
        }
        any
    }

    /// As [`presence`](Self::presence).
    ///
    /// # Errors
    /// If a group has two series at a step.
    fn one_presence(
        &self,
        one: &Side,
        groups: usize,
        evaluated: &[bool],
        reserved: &mut Reserved,
    ) -> Result<Vec<Vec<bool>>> {
        let mut sizes = vec![0_usize; groups];
        one.groups.iter().for_each(|group| sizes.get_mut(*group).into_iter().for_each(|size| *size += 1));
        // The first step at which there are two, and which.
        let mut conflict: Option<(usize, usize)> = None;
        let presence = self.presence(one, groups, reserved)?;
        let mut seen: HashMap<usize, Vec<bool>, FxBuildHasher> = HashMap::default();
        for (i, (series, group)) in one.series.iter().zip(&one.groups).enumerate() {
            if sizes.get(*group).is_none_or(|size| *size < 2) {
                continue;
            }
            if !seen.contains_key(group) {
                reserved.grow("matches of an operation", 0, self.steps as u64)?;
            }
            let seen = seen.entry(*group).or_insert_with(|| vec![false; self.steps]);
            for (step, seen) in seen.iter_mut().enumerate() {
                if !series.column.is_present(step) {
                    continue;
                }
                let is_evaluated = evaluated.get(step).copied().unwrap_or(false);
                if std::mem::replace(seen, true) && is_evaluated && conflict.is_none_or(|(at, _)| step < at) {
                    conflict = Some((step, i));
                }
            }
        }
        let Some((step, second)) = conflict else { return Ok(presence) };
        Err(self.duplicate(one, step, second))
    }

    #[cold]
    fn duplicate(&self, one: &Side, step: usize, second: usize) -> Error {
        let group = one.groups.get(second);
        let first = (0..second).find(|i| {
            one.groups.get(*i) == group && one.series.get(*i).is_some_and(|series| series.column.is_present(step))
        });
        let labels = |i: usize| one.series.get(i).map(|series| series.labels.clone()).unwrap_or_default();
        let (first, second) = (labels(first.unwrap_or(second)), labels(second));
        let key = Key::matching(&self.matching.labels, self.matching.on);
        let side = if self.matching.cardinality == Cardinality::OneToMany { "left" } else { "right" };
        let mut texts = [first.to_string(), second.to_string()];
        texts.sort();
        let [a, b] = texts;
        Error::execution(format!(
            "found duplicate series for the match group {} on the {side} hand-side of the operation: [{a}, {b}];\
             many-to-many matching not allowed: matching labels must be unique on one side",
            key.labels(&second)
        ))
    }

    fn result_labels(&self, many: &Labels, one: &Labels) -> Labels {
        let drops_metadata = changes_metric(self.op) || (self.return_bool && !self.delays_names);
        let matching = &self.matching;
        let is_one_to_one = matching.cardinality == Cardinality::OneToOne;
        let kept = labels::filtered(many, |name| {
            (!drops_metadata || !labels::is_metadata(name))
                && (!is_one_to_one || matching.labels.iter().any(|label| label == name) == matching.on)
        });
        if matching.include.is_empty() {
            return kept;
        }
        let included: Vec<_> =
            matching.include.iter().map(|name| (name.as_str(), one.get(name).unwrap_or_default())).collect();
        labels::with_all(&kept, &included)
    }
}

#[cold]
pub(crate) fn same_labels() -> Error {
    Error::execution("vector cannot contain metrics with the same labelset")
}

/// Numbers of results by labels.
#[derive(Default)]
struct Table {
    labels: Vec<Labels>,
    numbers: HashMap<Labels, usize, FxBuildHasher>,
}

impl Table {
    fn number(&mut self, labels: Labels, reserved: &mut Reserved) -> Result<usize> {
        if let Some(number) = self.numbers.get(&labels) {
            return Ok(*number);
        }
        reserved.grow("results", 0, 2 * labels::bytes(&labels))?;
        let next = self.labels.len();
        self.labels.push(labels.clone());
        self.numbers.insert(labels, next);
        Ok(next)
    }
}

/// At which steps what has matched.
struct Matched {
    is_one_to_one: bool,
    steps: usize,
    /// Of groups with more than one pair, or all of them.
    groups: HashMap<usize, Vec<bool>, FxBuildHasher>,
    /// Of results with more than one pair in a group.
    results: HashMap<(usize, usize), Vec<bool>, FxBuildHasher>,
}

impl Matched {
    fn new(task: &VectorTask, pairs: &[Pair]) -> Self {
        let is_one_to_one = task.matching.cardinality == Cardinality::OneToOne;
        let needs_all = task.matching.fill_left.is_some() || task.matching.fill_right.is_some();
        let mut groups: HashMap<usize, usize, FxBuildHasher> = HashMap::default();
        let mut results: HashMap<(usize, usize), usize, FxBuildHasher> = HashMap::default();
        for pair in pairs {
            *groups.entry(pair.group).or_default() += 1;
            *results.entry((pair.group, pair.result)).or_default() += 1;
        }
        Self {
            is_one_to_one,
            steps: task.steps,
            groups: groups
                .into_iter()
                .filter(|(_, n)| needs_all || (is_one_to_one && *n > 1))
                .map(|(group, _)| (group, Vec::new()))
                .collect(),
            results: results
                .into_iter()
                .filter(|(_, n)| !is_one_to_one && *n > 1)
                .map(|(result, _)| (result, Vec::new()))
                .collect(),
        }
    }

    fn is_matched(&self, group: usize, step: usize) -> bool {
        self.groups.get(&group).and_then(|steps| steps.get(step)).copied().unwrap_or(false)
    }

    fn mark(&mut self, pair: &Pair, step: usize, reserved: &mut Reserved) -> Result<()> {
        let steps = self.steps;
        let mut set = |seen: Option<&mut Vec<bool>>| -> Result<bool> {
            let Some(seen) = seen else { return Ok(false) };
            if seen.is_empty() {
                reserved.grow("matches of an operation", 0, steps as u64)?;
                *seen = vec![false; steps];
            }
            Ok(seen.get_mut(step).is_some_and(|seen| std::mem::replace(seen, true)))
        };
        let was_matched = set(self.groups.get_mut(&pair.group))?;
        if self.is_one_to_one {
            if was_matched {
                return Err(Error::execution(
                    "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)",
                ));
            }
        } else if set(self.results.get_mut(&(pair.group, pair.result)))? {
            return Err(Error::execution("multiple matches for labels: grouping labels must ensure unique matches"));
        }
        Ok(())
    }
}

/// Results of a set operation. Those of equal labels become one.
struct Results<'t> {
    task: &'t VectorTask,
    series: Vec<Series>,
    numbers: HashMap<Labels, usize, FxBuildHasher>,
}

impl<'t> Results<'t> {
    fn new(task: &'t VectorTask) -> Self {
        Self { task, series: Vec::new(), numbers: HashMap::default() }
    }

    fn add(&mut self, series: Series, reserved: &mut Reserved) -> Result<()> {
        if series.column.is_empty() {
            return Ok(());
        }
        reserved.grow("results", 0, series.column.bytes())?;
        let next = self.series.len();
        let number = *self.numbers.entry(series.labels.clone()).or_insert(next);
        match self.series.get_mut(number) {
            Some(there) => {
                if !there.column.absorb(&series.column) {
                    if self.task.is_instant && self.task.delays_names {
                        // Whether they are the same is known when names are removed.
                        self.series.push(series);
                        return Ok(());
                    }
                    return Err(same_labels());
                }
            }
            None => self.series.push(series),
        }
        Ok(())
    }
}
