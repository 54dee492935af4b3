use super::*;

fn classic(pairs: &[(f64, f64)]) -> Vec<ClassicBucket> {
    pairs.iter().map(|&(upper_bound, count)| ClassicBucket { upper_bound, count }).collect()
}

#[test]
fn interpolates_in_classic_buckets() {
    let buckets = [(f64::INFINITY, 4.0), (1.0, 1.0), (2.0, 3.0)];
    assert_eq!(classic_quantile(0.5, &mut classic(&buckets)), (1.5, None));
    assert_eq!(classic_quantile(1.0, &mut classic(&buckets)), (2.0, None));
    assert_eq!(classic_fraction(1.0, 2.0, &mut classic(&buckets)), 0.5);
    assert!(classic_quantile(0.5, &mut Vec::new()).0.is_nan());
    let forced = ForcedMonotonic { min_bucket: 2.0, max_bucket: f64::INFINITY, max_diff: 2.0 };
    let falling = [(1.0, 4.0), (2.0, 3.0), (f64::INFINITY, 2.0)];
    assert_eq!(classic_quantile(0.5, &mut classic(&falling)), (0.5, Some(forced)));
}

#[test]
fn counts_values_that_are_no_numbers_as_lowest() {
    assert_eq!(vector_quantile(0.5, &mut [3.0, 1.0, 2.0]), 2.0);
    assert!(vector_quantile(0.0, &mut [3.0, f64::NAN]).is_nan());
    assert_eq!(vector_quantile(1.0, &mut [3.0, f64::NAN]), 3.0);
    assert_eq!(vector_quantile(1.5, &mut [3.0]), f64::INFINITY);
    assert!(vector_quantile(0.5, &mut []).is_nan());
}
