//! Native histograms.

use std::io::{self, Write};

use prometheus_model::FloatHistogram;

use super::{float, list};

/// `{"count":"…","sum":"…","buckets":[[boundaries,"lower","upper","count"],…]}`; buckets without observations are left out.
pub(crate) fn histogram(out: &mut impl Write, histogram: &FloatHistogram) -> io::Result<()> {
    out.write_all(br#"{"count":"#)?;
    float(out, histogram.count)?;
    out.write_all(br#","sum":"#)?;
    float(out, histogram.sum)?;
    // Buckets that reach into the zero bucket are cut.
    let buckets: Vec<_> = histogram.ascending().filter(|bucket| bucket.count != 0.0).collect();
    if !buckets.is_empty() {
        out.write_all(br#","buckets":"#)?;
        list(out, buckets, |out, bucket| {
            let boundaries = match (bucket.lower_inclusive, bucket.upper_inclusive) {
                (false, true) => b"[0,",
                (true, false) => b"[1,",
                (false, false) => b"[2,",
                (true, true) => b"[3,",
            };
            out.write_all(boundaries)?;
            float(out, bucket.lower)?;
            out.write_all(b",")?;
            float(out, bucket.upper)?;
            out.write_all(b",")?;
            float(out, bucket.count)?;
            out.write_all(b"]")
        })?;
    }
    out.write_all(b"}")
}
