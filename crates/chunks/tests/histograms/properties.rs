//! What is read is what was written; and chunks are cut where, and only where, histograms do not go together, as a naive
//! comparison of maps says.

use proptest::prelude::*;

use prometheus_chunks::counter_reset_header;
use prometheus_model::{CounterResetHint, FloatHistogram, Histogram, is_stale_nan};

use crate::{
    decode, encode,
    model::{Model, Modelled, Step, series},
};

/// How a histogram goes with the one before it.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Relation {
    Continues,
    Reset,
    NotComparable,
    OtherType,
}

fn relation(a: &Model, b: &Model) -> Relation {
    let gauge = |m: &Model| m.hint == CounterResetHint::Gauge;
    let fell = |a: &Model, b: &Model| {
        let below = |a: &std::collections::BTreeMap<i32, u32>, b: &std::collections::BTreeMap<i32, u32>| {
            a.iter().any(|(index, count)| b.get(index).copied().unwrap_or(0) < *count)
        };
        b.count() < a.count() || b.zero < a.zero || below(&a.positive, &b.positive) || below(&a.negative, &b.negative)
    };
    if gauge(a) != gauge(b) {
        Relation::OtherType
    } else if b.hint == CounterResetHint::CounterReset {
        Relation::Reset
    } else if is_stale_nan(b.sum) {
        Relation::Continues
    } else if is_stale_nan(a.sum) {
        Relation::NotComparable
    } else if !gauge(a) && b.count() < a.count() {
        Relation::Reset
    } else if a.schema != b.schema || a.zero_threshold != b.zero_threshold {
        Relation::NotComparable
    } else if a.custom != b.custom || !gauge(a) && fell(a, b) {
        Relation::Reset
    } else {
        Relation::Continues
    }
}

fn check<H: Modelled>(steps: &[Step]) -> Result<(), TestCaseError> {
    let mut t = 0;
    let samples: Vec<_> = steps
        .iter()
        .map(|step| match step {
            Step::Cut => None,
            Step::Sample(delta, st, model) => {
                t += delta;
                Some((t, *st, H::of(model)))
            }
        })
        .collect();
    // Each sample with whether there is a cut before it.
    let mut written = vec![];
    let mut cut = false;
    for (step, sample) in steps.iter().zip(&samples) {
        match (step, sample) {
            (Step::Sample(_, _, model), Some((t, st, _))) => {
                written.push((*t, *st, model, std::mem::take(&mut cut)));
            }
            _ => cut = true,
        }
    }
    for encoding in H::ENCODINGS {
        let chunks = encode(encoding, &samples).unwrap();
        let mut at = 0;
        for chunk in chunks {
            let header = counter_reset_header(encoding, &chunk.data).unwrap();
            let read = decode::<H>(encoding, &chunk.data).unwrap();
            prop_assert_eq!(read.len(), usize::from(chunk.samples));
            prop_assert_eq!((chunk.min_time, chunk.max_time), (read[0].0, read[read.len() - 1].0));
            for (i, (t, st, h)) in read.iter().enumerate() {
                let (want_t, want_st, model, cut) = written[at];
                let want_st = if encoding.keeps_start_timestamps() { want_st } else { 0 };
                prop_assert_eq!((*t, *st), (want_t, want_st));
                let hint = match header {
                    CounterResetHint::Gauge => CounterResetHint::Gauge,
                    _ if i > 0 => CounterResetHint::NotCounterReset,
                    _ => CounterResetHint::Unknown,
                };
                let want = model.as_read(hint);
                prop_assert!(h.model().same(&want), "sample {}: read {:?}, wanted {:?}", at, h, want);
                prop_assert_eq!(model.hint == CounterResetHint::Gauge, header == CounterResetHint::Gauge);
                let relation = at.checked_sub(1).map(|before| relation(written[before].2, model));
                if i > 0 {
                    prop_assert!(!cut && relation == Some(Relation::Continues), "{:?}", relation);
                } else if let Some(relation) = relation {
                    prop_assert!(cut || relation != Relation::Continues, "cut without a reason");
                    let says_reset = model.hint == CounterResetHint::CounterReset;
                    let want = match relation {
                        _ if header == CounterResetHint::Gauge => CounterResetHint::Gauge,
                        Relation::Continues => CounterResetHint::NotCounterReset,
                        Relation::Reset => CounterResetHint::CounterReset,
                        Relation::NotComparable => CounterResetHint::Unknown,
                        Relation::OtherType if cut && says_reset => CounterResetHint::CounterReset,
                        Relation::OtherType if cut || H::ENCODINGS[0].byte() == 3 => CounterResetHint::Unknown,
                        // A claim of Prometheus that is not founded on a comparison.
                        Relation::OtherType => CounterResetHint::NotCounterReset,
                    };
                    prop_assert_eq!(header, want);
                }
                at += 1;
            }
        }
        prop_assert_eq!(at, written.len());
    }
    Ok(())
}

proptest! {
    #[test]
    fn histograms(steps in series()) {
        check::<Histogram>(&steps)?;
    }

    #[test]
    fn float_histograms(steps in series()) {
        check::<FloatHistogram>(&steps)?;
    }
}
