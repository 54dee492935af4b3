//! The suite finds stores that keep their promises not.

use std::sync::Arc;

use async_trait::async_trait;
use futures::executor::block_on;
use prometheus_model::{CounterResetHint, TimeRange, Value};

use super::{Options, SeriesList, check};
use crate::{
    LabelHints, LabelStrings, Matcher, MemoryQueryable, Querier, Queryable, Result, SelectHints, Series, SeriesData,
    SeriesSet, Warning, memory::tests::chunked,
};

/// What a store does wrong.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Fault {
    None,
    BackwardSeries,
    EmptyBatch,
    LosesTheLastSeries,
    GivesASeriesTwice,
    LosesTheLastSample,
    SamplesOutOfRange,
    ClosedRange,
    RangeOfTheQuerierOnly,
    OtherFloat,
    NoStartTimestamps,
    NoGauges,
    NoNegativeZero,
    OverlappingChunks,
    WrongBounds,
    SamplesForLabelsOnly,
    LabelsOnlyForSamples,
    LabelsOfOtherTimes,
    NoShards,
    OneMatcherIgnored,
    AbsentIsNotEmpty,
    HashWithoutProjection,
    ClaimsToProject,
    ProjectsWithoutHash,
    LimitLosesTheFirst,
    LimitLosesTooMany,
    Warns,
    NamesBackward,
    NamesOfAll,
    NoNames,
    NamesWithoutLimit,
    EmptyValue,
    ValuesOfRange,
}

const FAULTS: &[Fault] = {
    use Fault::*;
    &[
        BackwardSeries,
        EmptyBatch,
        LosesTheLastSeries,
        GivesASeriesTwice,
        LosesTheLastSample,
        SamplesOutOfRange,
        ClosedRange,
        RangeOfTheQuerierOnly,
        OtherFloat,
        NoStartTimestamps,
        NoGauges,
        NoNegativeZero,
        OverlappingChunks,
        WrongBounds,
        SamplesForLabelsOnly,
        LabelsOnlyForSamples,
        LabelsOfOtherTimes,
        NoShards,
        OneMatcherIgnored,
        AbsentIsNotEmpty,
        HashWithoutProjection,
        ClaimsToProject,
        ProjectsWithoutHash,
        LimitLosesTheFirst,
        LimitLosesTooMany,
        Warns,
        NamesBackward,
        NamesOfAll,
        NoNames,
        NamesWithoutLimit,
        EmptyValue,
        ValuesOfRange,
    ]
};

#[derive(Clone, Debug)]
struct Faulty {
    inner: Arc<MemoryQueryable>,
    fault: Fault,
}

#[async_trait]
impl Queryable for Faulty {
    async fn querier(&self, range: TimeRange) -> Result<Box<dyn Querier>> {
        let whole = matches!(self.fault, Fault::SamplesOutOfRange | Fault::ClosedRange | Fault::LabelsOfOtherTimes);
        let inner = self.inner.querier(if whole { TimeRange::ALL } else { range }).await?;
        Ok(Box::new(FaultyQuerier { fault: self.fault, inner, range }))
    }
}

#[derive(Debug)]
struct FaultyQuerier {
    fault: Fault,
    inner: Box<dyn Querier>,
    range: TimeRange,
}

#[async_trait]
impl Querier for FaultyQuerier {
    fn honours_projection(&self) -> bool {
        matches!(self.fault, Fault::ClaimsToProject | Fault::ProjectsWithoutHash)
    }

    async fn select(&self, matchers: &[Matcher], hints: &SelectHints) -> Result<Box<dyn SeriesSet>> {
        let mut matchers = matchers.to_vec();
        let mut hints = hints.clone();
        match self.fault {
            Fault::SamplesOutOfRange | Fault::RangeOfTheQuerierOnly => hints.range = TimeRange::ALL,
            Fault::LabelsOfOtherTimes if hints.series_only => hints.range = TimeRange::ALL,
            Fault::ClosedRange => {
                let range = self.range.intersect(hints.range);
                let closed = range.and_then(|range| TimeRange::new(range.start(), range.end().saturating_add(1)).ok());
                hints.range = closed.unwrap_or(hints.range);
            }
            Fault::SamplesForLabelsOnly => hints.series_only = false,
            Fault::LabelsOnlyForSamples => hints.series_only = true,
            Fault::NoShards => hints.sharding = None,
            Fault::OneMatcherIgnored => drop(matchers.pop()),
            _ => {}
        }
        let absent: Vec<_> = matchers.iter().filter(|matcher| matcher.matches_absent()).cloned().collect();
        let mut set = self.inner.select(&matchers, &hints).await?;
        let mut all = Vec::new();
        while let Some(batch) = set.next().await? {
            all.extend(batch);
        }
        let limit = hints.limit.map(std::num::NonZeroUsize::get);
        spoil(self.fault, &mut all, &hints, limit, &absent);
        let warning = Warning { message: "none of your business".into() };
        let warnings = if self.fault == Fault::Warns { vec![warning] } else { Vec::new() };
        let batch = if self.fault == Fault::EmptyBatch { Some(all) } else { Some(all).filter(|all| !all.is_empty()) };
        Ok(Box::new(Once(batch, warnings)))
    }

    async fn label_names(&self, matchers: &[Matcher], hints: &LabelHints) -> Result<LabelStrings> {
        let matchers = if self.fault == Fault::NamesOfAll { &[] } else { matchers };
        let hints = if self.fault == Fault::NamesWithoutLimit { &LabelHints::default() } else { hints };
        let mut names = self.inner.label_names(matchers, hints).await?;
        match self.fault {
            Fault::NamesBackward => names.strings.reverse(),
            Fault::NoNames => names.strings.clear(),
            _ => {}
        }
        Ok(names)
    }

    async fn label_values(&self, name: &str, matchers: &[Matcher], hints: &LabelHints) -> Result<LabelStrings> {
        let mut values = self.inner.label_values(name, matchers, hints).await?;
        match self.fault {
            Fault::EmptyValue => values.strings.insert(0, String::new()),
            Fault::ValuesOfRange if self.range.start() > 0 => values.strings.clear(),
            _ => {}
        }
        Ok(values)
    }
}

fn spoil(fault: Fault, all: &mut Vec<Series>, hints: &SelectHints, limit: Option<usize>, absent: &[Matcher]) {
    let edit = |all: &mut Vec<Series>, edit: &mut dyn FnMut(&mut Vec<prometheus_model::Sample>)| {
        for series in all {
            if !matches!(series.data, SeriesData::Labels) {
                let mut samples = series.samples().unwrap();
                edit(&mut samples);
                series.data = SeriesData::Samples(samples);
            }
        }
    };
    match fault {
        Fault::BackwardSeries => all.reverse(),
        Fault::LosesTheLastSeries => drop(all.pop()),
        Fault::GivesASeriesTwice => all.extend(all.last().cloned()),
        Fault::LosesTheLastSample => edit(all, &mut |samples| drop(samples.pop())),
        Fault::OtherFloat => edit(all, &mut |samples| {
            if let Some(Value::Float(value)) = samples.last_mut().map(|sample| &mut sample.value) {
                *value += 1.0;
            }
        }),
        Fault::NoStartTimestamps => edit(all, &mut |samples| samples.iter_mut().for_each(|s| s.start_timestamp = 0)),
        Fault::NoGauges => edit(all, &mut |samples| {
            for sample in samples {
                if let Value::Histogram(histogram) = &mut sample.value {
                    histogram.counter_reset_hint = CounterResetHint::Unknown;
                }
            }
        }),
        Fault::NoNegativeZero => edit(all, &mut |samples| {
            for sample in samples {
                if let Value::Float(value) = &mut sample.value
                    && *value == 0.0
                {
                    *value = 0.0;
                }
            }
        }),
        Fault::OverlappingChunks | Fault::WrongBounds => {
            for series in all {
                if matches!(series.data, SeriesData::Labels) {
                    continue;
                }
                let mut chunks = chunked(&series.samples().unwrap());
                if fault == Fault::OverlappingChunks {
                    chunks.extend(chunks.last().cloned());
                } else if let Some(last) = chunks.last_mut() {
                    last.max_time += 1;
                }
                series.data = SeriesData::Chunks(chunks);
            }
        }
        Fault::AbsentIsNotEmpty => {
            all.retain(|series| absent.iter().all(|matcher| series.labels.get(matcher.name()).is_some()));
        }
        Fault::HashWithoutProjection => all.iter_mut().for_each(|s| s.hash = Some(s.labels.stable_hash())),
        Fault::ProjectsWithoutHash => {
            if let Some(projection) = &hints.projection {
                all.retain(|series| series.labels.iter().all(|(name, _)| projection.keeps(name)));
            }
        }
        Fault::LimitLosesTheFirst if limit.is_some() && all.len() > 1 => drop(all.remove(0)),
        Fault::LimitLosesTooMany => all.truncate(limit.map_or(usize::MAX, |limit| limit - 1)),
        _ => {}
    }
}

#[derive(Debug)]
struct Once(Option<Vec<Series>>, Vec<Warning>);

#[async_trait]
impl SeriesSet for Once {
    async fn next(&mut self) -> Result<Option<Vec<Series>>> {
        Ok(self.0.take())
    }

    fn warnings(&self) -> &[Warning] {
        &self.1
    }
}

fn verdict(fault: Fault, options: &Options) -> Result<(), super::Failure> {
    let build = async |series: SeriesList| {
        let inner = Arc::new(MemoryQueryable::new(series).unwrap());
        Box::new(Faulty { inner, fault }) as Box<dyn Queryable>
    };
    block_on(check(options, build))
}

#[test]
fn every_fault_is_found() {
    let options = Options { stores: 0, ..Options::default() };
    verdict(Fault::None, &options).unwrap();
    for fault in FAULTS {
        assert!(verdict(*fault, &options).is_err(), "{fault:?} is not found");
    }
}

/// What a store need not do is not looked at.
#[test]
fn options_leave_out_what_they_say() {
    let options = Options { start_timestamps: false, stores: 2, ..Options::default() };
    verdict(Fault::NoStartTimestamps, &options).unwrap();
    let options = Options { native_histograms: false, stores: 2, ..Options::default() };
    verdict(Fault::NoGauges, &options).unwrap();
}

/// Random questions alone find much, and say how to ask them again.
#[test]
fn random_questions_find_faults() {
    let build = |fault| {
        async move |series: SeriesList| {
            let inner = Arc::new(MemoryQueryable::new(series).unwrap());
            Box::new(Faulty { inner, fault }) as Box<dyn Queryable>
        }
    };
    for fault in [Fault::LosesTheLastSeries, Fault::ClosedRange, Fault::AbsentIsNotEmpty, Fault::NoShards] {
        let failure = block_on(super::random::check(&Options::default(), build(fault))).unwrap_err();
        assert!(failure.question.contains("seed "), "{failure}");
    }
}
