//! Arithmetic of histograms that no writer made: nothing panics, hangs, or grows beyond what goes in.

use prometheus_model::{CounterResetHint, FloatHistogram, Histogram, Span, stale_nan};
use proptest::{collection::vec, prelude::*};

fn schema() -> impl Strategy<Value = i32> {
    prop_oneof![Just(-53), -9..=9, Just(52), Just(i32::MIN), Just(i32::MAX), any::<i32>()]
}

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        Just(0.0),
        Just(1.0),
        Just(f64::NAN),
        Just(stale_nan()),
        Just(f64::INFINITY),
        Just(f64::NEG_INFINITY),
        Just(f64::MAX),
        -9.0..9.0,
        any::<f64>(),
    ]
}

fn spans() -> impl Strategy<Value = Vec<Span>> {
    let offset = prop_oneof![-3..4, Just(i32::MIN), Just(i32::MAX), any::<i32>()];
    let length = prop_oneof![0_u32..5, Just(u32::MAX), any::<u32>()];
    vec((offset, length).prop_map(|(offset, length)| Span { offset, length }), 0..6)
}

prop_compose! {
    fn histogram()(
        (schema, hint) in (schema(), 0_usize..4),
        (zero_threshold, zero_count, count, sum) in (number(), number(), number(), number()),
        (positive_spans, negative_spans) in (spans(), spans()),
        (positive_buckets, negative_buckets) in (vec(number(), 0..9), vec(number(), 0..9)),
        custom_values in vec(number(), 0..6),
    ) -> FloatHistogram {
        use CounterResetHint::{CounterReset, Gauge, NotCounterReset, Unknown};
        FloatHistogram {
            counter_reset_hint: [Unknown, CounterReset, NotCounterReset, Gauge][hint],
            schema, zero_threshold, zero_count, count, sum,
            positive_spans, positive_buckets, negative_spans, negative_buckets, custom_values,
        }
    }
}

fn buckets(histogram: &FloatHistogram) -> usize {
    histogram.positive_buckets.len() + histogram.negative_buckets.len()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn survives_everything(
        (a, b) in (histogram(), histogram()),
        (at, schema, max_empty) in (number(), schema(), prop_oneof![0_usize..5, Just(usize::MAX)]),
        same_schema in any::<bool>(),
    ) {
        let mut b = b;
        if same_schema {
            b.schema = a.schema;
        }
        // One of them adds twice.
        let most = buckets(&a) + 2 * buckets(&b) + a.custom_values.len() + 2;
        let change = |change: &dyn Fn(&mut FloatHistogram)| {
            let mut changed = a.clone();
            change(&mut changed);
            changed
        };
        let changed = [
            change(&|a| _ = a.add(&b)),
            change(&|a| _ = a.sub(&b)),
            change(&|a| {
                let Ok((compensation, _)) = a.kahan_add(&b, None) else { return };
                let Ok((compensation, _)) = a.kahan_add(&b, compensation) else { return };
                assert_eq!(compensation.unwrap().positive_buckets.len(), a.positive_buckets.len());
            }),
            // A compensation that is of another histogram.
            change(&|a| drop(a.kahan_add(&b, Some(b.clone())))),
            change(&|a| a.trim_buckets(at, true)),
            change(&|a| a.trim_buckets(at, false)),
            change(&|a| a.compact(0)),
            change(&|a| a.div(at)),
            change(&|a| a.mul(at)),
            change(&|a| a.reduce_resolution(schema)),
            a.copy_to_schema(schema),
        ];
        for (position, changed) in changed.iter().enumerate() {
            prop_assert!(buckets(changed) <= most, "{position}: {changed:?}");
            changed.validate().ok();
        }
        prop_assert!(changed[6].validate().is_ok() || changed[6].positive_spans.len() + changed[6].negative_spans.len() > 1);
        prop_assert!(buckets(&change(&|a| a.compact(max_empty))) <= 1 << 22);
        let all = buckets(&a) + 1;
        prop_assert!(a.ascending().count() <= all && a.descending().count() <= all);
        prop_assert!(a.positive().count() + a.negative().count() <= all);
        prop_assert!(a.equals(&a) || !a.zero_threshold.eq(&a.zero_threshold) || a.uses_custom_buckets());
        let _ = (a.detect_reset(&b), a.equals(&b), a.size(), a.has_overflow(), a.buckets(), a.to_string());
    }

    /// Both directions are one, for histograms whose spans and buckets agree.
    #[test]
    fn descends_as_it_ascends(mut a in histogram()) {
        a.compact(0);
        prop_assume!(a.validate().is_ok());
        let mut down: Vec<_> = a.descending().map(|bucket| format!("{bucket:?}")).collect();
        down.reverse();
        prop_assert_eq!(a.ascending().map(|bucket| format!("{bucket:?}")).collect::<Vec<_>>(), down);
    }

    #[test]
    fn makes_floats_of_integers(deltas in vec(any::<i64>(), 0..9), spans in spans(), schema in schema()) {
        let histogram = Histogram { schema, positive_buckets: deltas, positive_spans: spans, ..Histogram::default() };
        let float = histogram.to_float();
        prop_assert_eq!(float.positive_buckets.len(), histogram.positive_buckets.len());
        let mut sum = 0.0;
        for (count, delta) in float.positive_buckets.iter().zip(&histogram.positive_buckets) {
            sum += *delta as f64;
            prop_assert_eq!(*count, sum);
        }
    }
}
