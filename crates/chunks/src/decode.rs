//! Decodes a chunk of any encoding.

use prometheus_model::{FloatHistogram, Histogram, Sample, Value};

use crate::{
    Encoding, HistogramDecoder, Xor2Decoder, XorDecoder,
    error::{Repr, Result},
};

/// Appends all samples of a chunk to `samples`, in their order.
///
/// For floats in bulk use [`XorDecoder`], which makes no [`Sample`] of each.
///
/// ```
/// use prometheus_chunks::{Encoding, XorEncoder, decode};
/// let mut encoder = XorEncoder::new();
/// encoder.push(1_000, 2.5)?;
/// let mut samples = Vec::new();
/// decode(Encoding::Xor, encoder.bytes(), &mut samples)?;
/// assert_eq!((samples.len(), samples[0].timestamp), (1, 1_000));
/// # Ok::<(), prometheus_chunks::Error>(())
/// ```
///
/// # Errors
/// Corrupt if the data are no such chunk; Unsupported for [`Encoding::Aggregate`], whose parts are chunks of their own.
/// `samples` then holds those that came before.
pub fn decode(encoding: Encoding, data: &[u8], samples: &mut Vec<Sample>) -> Result<()> {
    match encoding {
        Encoding::Xor => {
            let mut decoder = XorDecoder::new(data)?;
            while let Some((timestamp, value)) = decoder.next_sample()? {
                samples.push(Sample { timestamp, start_timestamp: 0, value: Value::Float(value) });
            }
        }
        Encoding::Xor2 => {
            let mut decoder = Xor2Decoder::new(data)?;
            while let Some(s) = decoder.next_sample()? {
                let (timestamp, start_timestamp, value) = (s.timestamp, s.start_timestamp, Value::Float(s.value));
                samples.push(Sample { timestamp, start_timestamp, value });
            }
        }
        Encoding::Histogram | Encoding::HistogramSt => {
            let mut decoder = HistogramDecoder::<Histogram>::new(encoding, data)?;
            while let Some(sample) = decoder.next_sample()? {
                samples.push(sample);
            }
        }
        Encoding::FloatHistogram | Encoding::FloatHistogramSt => {
            let mut decoder = HistogramDecoder::<FloatHistogram>::new(encoding, data)?;
            while let Some(sample) = decoder.next_sample()? {
                samples.push(sample);
            }
        }
        Encoding::Aggregate => {
            let (encoding, expected) = (encoding.name(), "a chunk of samples, such as a part of the aggregate");
            return Err(Repr::UnsuitableEncoding { encoding, expected }.into());
        }
    }
    Ok(())
}
