//! The layout: what all histograms of a chunk have in common. It stands in front of the first sample.

use prometheus_model::{CUSTOM_BUCKETS_SCHEMA, Span};

use super::spans;
use crate::{
    bits::{BitReader, BitWriter},
    error::{Repr, Result},
    varbit::{read_varbit_int, read_varbit_uint, write_varbit_int, write_varbit_uint},
};

/// Finest resolution that histograms have in memory; chunks with finer ones are reduced to it on reading.
pub(super) const MAX_SCHEMA: i32 = 8;

/// Schemas of exponential buckets that a reader accepts.
const READABLE_SCHEMAS: std::ops::RangeInclusive<i32> = -9..=52;

/// A zero threshold that does not fit into one byte.
const WIDE_ZERO_THRESHOLD: u8 = 0xff;

/// Largest custom bound times 1000 that is written as an integer: one less than what 25 bits hold.
const MAX_SHORT_BOUND: f64 = 33_554_430.0;

/// What all histograms of a chunk have in common.
#[derive(Clone, Debug, Default)]
pub(super) struct Layout {
    pub(super) schema: i32,
    pub(super) zero_threshold: f64,
    pub(super) positive_spans: Vec<Span>,
    pub(super) negative_spans: Vec<Span>,
    /// Empty unless the schema is that of custom buckets.
    pub(super) custom_values: Vec<f64>,
}

/// Whether Prometheus writes histograms of this schema, or can do so again after having read them.
pub(super) fn is_writable(schema: i32) -> bool {
    schema == CUSTOM_BUCKETS_SCHEMA || (schema <= MAX_SCHEMA && READABLE_SCHEMAS.contains(&schema))
}

impl Layout {
    /// How many values every sample repeats although the chunk has them once.
    pub(super) fn shared_values(&self) -> usize {
        let spans = self.positive_spans.len().saturating_add(self.negative_spans.len());
        spans.saturating_add(self.custom_values.len())
    }

    /// Reads a layout. Its spans are sound.
    ///
    /// # Errors
    /// Corrupt if the data end within it or spans are malformed; Unsupported if the schema is unknown.
    pub(super) fn read(reader: &mut BitReader<'_>) -> Result<Self> {
        let zero_threshold = read_zero_threshold(reader)?;
        let bit = reader.position();
        let schema = read_i32(reader, "schema")?;
        if schema != CUSTOM_BUCKETS_SCHEMA && !READABLE_SCHEMAS.contains(&schema) {
            return Err(Repr::UnsupportedSchema { bit, schema }.into());
        }
        let positive_spans = read_spans(reader)?;
        let negative_spans = read_spans(reader)?;
        let custom_values = if schema == CUSTOM_BUCKETS_SCHEMA { read_custom_values(reader)? } else { Vec::new() };
        Ok(Self { schema, zero_threshold, positive_spans, negative_spans, custom_values })
    }

    pub(super) fn write(&self, writer: &mut BitWriter) {
        write_zero_threshold(writer, self.zero_threshold);
        write_varbit_int(writer, self.schema.into());
        for spans in [&self.positive_spans, &self.negative_spans] {
            write_varbit_uint(writer, spans.len() as u64);
            for span in spans {
                write_varbit_uint(writer, span.length.into());
                write_varbit_int(writer, span.offset.into());
            }
        }
        if self.schema == CUSTOM_BUCKETS_SCHEMA {
            write_varbit_uint(writer, self.custom_values.len() as u64);
            for &bound in &self.custom_values {
                write_custom_bound(writer, bound);
            }
        }
    }
}

fn read_i32(reader: &mut BitReader<'_>, what: &'static str) -> Result<i32> {
    let bit = reader.position();
    let found = read_varbit_int(reader)?;
    i32::try_from(found).map_err(|_| Repr::OutOfRange { what, bit, found: found.into() }.into())
}

fn read_u32(reader: &mut BitReader<'_>, what: &'static str) -> Result<u32> {
    let bit = reader.position();
    let found = read_varbit_uint(reader)?;
    u32::try_from(found).map_err(|_| Repr::OutOfRange { what, bit, found: found.into() }.into())
}

/// Reads a number of things that take `min_bits` bits each, at least; there are enough bits left for as many.
fn read_length(reader: &mut BitReader<'_>, what: &'static str, min_bits: u64) -> Result<u64> {
    let bit = reader.position();
    let found = read_varbit_uint(reader)?;
    ensure_room(reader, what, bit, found, min_bits)?;
    Ok(found)
}

/// Refuses a number of things for which there are not enough bits left.
pub(super) fn ensure_room(
    reader: &BitReader<'_>,
    what: &'static str,
    bit: u64,
    found: u64,
    min_bits: u64,
) -> Result<()> {
    let left = reader.remaining();
    if found.checked_mul(min_bits).is_none_or(|wanted| wanted > left) {
        return Err(Repr::NoRoom { what, bit, found, min_bits, left }.into());
    }
    Ok(())
}

fn read_spans(reader: &mut BitReader<'_>) -> Result<Vec<Span>> {
    let bit = reader.position();
    let spans = (0..read_length(reader, "spans", 2)?)
        .map(|_| Ok(Span { length: read_u32(reader, "span length")?, offset: read_i32(reader, "span offset")? }))
        .collect::<Result<Vec<_>>>()?;
    match spans::bucket_count(&spans) {
        Ok(_) => Ok(spans),
        Err(reason) => Err(Repr::Spans { bit, reason }.into()),
    }
}

fn read_custom_values(reader: &mut BitReader<'_>) -> Result<Vec<f64>> {
    (0..read_length(reader, "custom bounds", 5)?).map(|_| read_custom_bound(reader)).collect()
}

fn read_zero_threshold(reader: &mut BitReader<'_>) -> Result<f64> {
    Ok(match reader.read_bits(8)? {
        0 => 0.0,
        0xff => f64::from_bits(reader.read_bits(64)?),
        exponent => f64::from_bits(exponent.saturating_add(779) << 52),
    })
}

/// Writes 0 in a byte; so it does a power of two from 2^-243 to 2^10: its exponent plus 244.
fn write_zero_threshold(writer: &mut BitWriter, threshold: f64) {
    let bits = threshold.to_bits();
    // The biased exponent of 2^-243 is 780; a sign would make it larger than 2^10's 1033.
    let short = match (bits << 12, (bits >> 52).checked_sub(779)) {
        (0, Some(exponent @ 1..=254)) => u8::try_from(exponent).ok(),
        _ if threshold == 0.0 => Some(0),
        _ => None,
    };
    match short {
        Some(byte) => writer.write_byte(byte),
        None => {
            writer.write_byte(WIDE_ZERO_THRESHOLD);
            writer.write_bits(bits, 64);
        }
    }
}

fn read_custom_bound(reader: &mut BitReader<'_>) -> Result<f64> {
    match read_varbit_uint(reader)?.checked_sub(1) {
        None => Ok(f64::from_bits(reader.read_bits(64)?)),
        Some(thousandths) => Ok(thousandths as f64 / 1000.0),
    }
}

/// Writes a small multiple of 0.001 as an integer. Negative zero is one, and loses its sign.
fn write_custom_bound(writer: &mut BitWriter, bound: f64) {
    let thousandths = (bound * 1000.0).round();
    let short = (0.0..=MAX_SHORT_BOUND).contains(&(bound * 1000.0)) && thousandths / 1000.0 == bound;
    if short {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::arithmetic_side_effects,
            reason = "a whole number of at most 25 bits"
        )]
        write_varbit_uint(writer, thousandths as u64 + 1);
    } else {
        writer.write_bit(false);
        writer.write_bits(bound.to_bits(), 64);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ErrorKind;

    fn written(write: impl FnOnce(&mut BitWriter)) -> Vec<u8> {
        let mut writer = BitWriter::default();
        write(&mut writer);
        writer.into_bytes()
    }

    #[test]
    fn zero_thresholds() {
        for (threshold, bytes) in [
            (0.0, &[0][..]),
            (-0.0, &[0]),
            (2_f64.powi(-128), &[116]),
            (2_f64.powi(-243), &[1]),
            (2_f64.powi(10), &[254]),
            (2_f64.powi(11), &[255, 0x40, 0xa0, 0, 0, 0, 0, 0, 0]),
            (2_f64.powi(-244), &[255, 0x30, 0xb0, 0, 0, 0, 0, 0, 0]),
            (-0.5, &[255, 0xbf, 0xe0, 0, 0, 0, 0, 0, 0]),
            (f64::INFINITY, &[255, 0x7f, 0xf0, 0, 0, 0, 0, 0, 0]),
        ] {
            assert_eq!(written(|w| write_zero_threshold(w, threshold)), bytes, "{threshold}");
            let read = read_zero_threshold(&mut BitReader::new(bytes)).unwrap();
            assert!(read == threshold, "{read} {threshold}");
        }
    }

    #[test]
    fn every_short_zero_threshold() {
        for byte in 1..=254_u8 {
            let threshold = read_zero_threshold(&mut BitReader::new(&[byte])).unwrap();
            assert_eq!(threshold, 2_f64.powi(i32::from(byte) - 244));
            assert_eq!(written(|w| write_zero_threshold(w, threshold)), [byte]);
        }
    }

    proptest! {
        #[test]
        fn custom_bounds_come_back(bits in any::<u64>(), thousandths in 0_u64..40_000_000) {
            for bound in [f64::from_bits(bits), thousandths as f64 / 1000.0, thousandths as f64 / 999.0] {
                let bytes = written(|w| write_custom_bound(w, bound));
                let read = read_custom_bound(&mut BitReader::new(&bytes)).unwrap();
                prop_assert!(read.to_bits() == bound.to_bits() || read == 0.0 && bound == 0.0);
            }
        }
    }

    #[test]
    fn hostile_lengths_are_refused_before_memory_is_taken() {
        let layout = |spans: u64, length: u64| {
            written(|w| {
                w.write_byte(0);
                write_varbit_int(w, 0);
                write_varbit_uint(w, spans);
                write_varbit_uint(w, length);
                w.write_bits(0, 64);
            })
        };
        for (spans, length, text) in [
            (u64::MAX, 0, "found 18446744073709551615 spans"),
            (100, 0, "found 100 spans"),
            (1, 1 << 32, "span length"),
        ] {
            let error = Layout::read(&mut BitReader::new(&layout(spans, length))).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt);
            assert!(error.to_string().contains(text), "{error}");
        }
    }
}
