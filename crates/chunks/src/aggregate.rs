//! Aggregate chunks, which Thanos' compactor makes when it downsamples a block.
//!
//! ```text
//! chunk = part part part part part          count, sum, min, max, counter
//! part  = length:uvarint [ encoding:u8 data ]
//! ```
//!
//! `length` is that of `data`; 0 means that the part is absent, and neither encoding nor data follow. Each part is a chunk
//! of its own, in one of the other encodings. All have the same timestamps but for `counter` of floats, which begins with
//! the first raw sample and ends with the last raw value, at the last timestamp again: by these two the readers of
//! consecutive chunks find resets. What follows the last part is ignored, as in Thanos.

use crate::{
    Encoding,
    error::{Repr, Result},
};

/// The parts of an aggregate chunk, as slices of it.
///
/// ```
/// use prometheus_chunks::{Encoding, aggregate::{Aggregate, AggregatePart}};
/// let chunk = [0, 2, 1, 0, 0, 0, 0, 0]; // a sum without samples
/// let parts = Aggregate::split(&chunk)?;
/// assert_eq!(parts.sum, Some(AggregatePart { encoding: Encoding::Xor, data: &[0, 0] }));
/// assert!(parts.count.is_none() && parts.min.is_none() && parts.max.is_none() && parts.counter.is_none());
/// # Ok::<(), prometheus_chunks::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Aggregate<'a> {
    /// How many raw samples there were.
    pub count: Option<AggregatePart<'a>>,
    /// Their sum.
    pub sum: Option<AggregatePart<'a>>,
    /// The least of them.
    pub min: Option<AggregatePart<'a>>,
    /// The greatest of them.
    pub max: Option<AggregatePart<'a>>,
    /// The value of a counter, with resets made good.
    pub counter: Option<AggregatePart<'a>>,
}

/// A chunk inside an aggregate chunk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AggregatePart<'a> {
    /// How the data are encoded; never [`Encoding::Aggregate`].
    pub encoding: Encoding,
    /// The data, without the encoding byte; never empty.
    pub data: &'a [u8],
}

impl<'a> Aggregate<'a> {
    /// Finds the parts of an aggregate chunk's data, which come without the encoding byte.
    ///
    /// # Errors
    /// Corrupt if the data end within a part or a length is no varint; Unsupported if a part's encoding is not known, or
    /// is that of aggregates.
    pub fn split(data: &'a [u8]) -> Result<Self> {
        let mut rest = Rest { data, offset: 0 };
        Ok(Self {
            count: rest.part("count")?,
            sum: rest.part("sum")?,
            min: rest.part("min")?,
            max: rest.part("max")?,
            counter: rest.part("counter")?,
        })
    }
}

/// What has not been split yet.
struct Rest<'a> {
    data: &'a [u8],
    /// Where the rest begins; at most the length of `data`.
    offset: usize,
}

impl<'a> Rest<'a> {
    fn part(&mut self, part: &'static str) -> Result<Option<AggregatePart<'a>>> {
        let length = self.length(part)?;
        if length == 0 {
            return Ok(None);
        }
        let encoding = self.take(1, part)?.first().copied().unwrap_or(0);
        let data = self.take(length, part)?;
        match Encoding::try_from(encoding)? {
            Encoding::Aggregate => Err(Repr::UnsuitableEncoding {
                encoding: Encoding::Aggregate.name(),
                expected: "a chunk of samples inside an aggregate",
            }
            .into()),
            encoding => Ok(Some(AggregatePart { encoding, data })),
        }
    }

    fn length(&mut self, part: &'static str) -> Result<u64> {
        let start = self.offset;
        let mut length = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = u64::from(self.take(1, part)?.first().copied().unwrap_or(0));
            if shift == 63 && byte > 1 {
                break;
            }
            length |= (byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(length);
            }
        }
        Err(Repr::AggregateLength { part, offset: start }.into())
    }

    fn take(&mut self, wanted: u64, part: &'static str) -> Result<&'a [u8]> {
        let rest = self.data.get(self.offset..).unwrap_or_default();
        let taken = usize::try_from(wanted).ok().and_then(|wanted| rest.split_at_checked(wanted));
        let Some((taken, behind)) = taken else {
            return Err(Repr::ShortAggregate { part, offset: self.offset, wanted, left: rest.len() }.into());
        };
        self.offset = self.data.len().saturating_sub(behind.len());
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    /// As Thanos' `EncodeAggrChunk` does.
    fn join(parts: [Option<(Encoding, &[u8])>; 5]) -> Vec<u8> {
        let mut chunk = vec![];
        for part in parts {
            let mut length = part.map_or(0, |(_, data)| data.len());
            while length >= 0x80 {
                chunk.push(length as u8 | 0x80);
                length >>= 7;
            }
            chunk.push(length as u8);
            if let Some((encoding, data)) = part {
                chunk.push(encoding.byte());
                chunk.extend_from_slice(data);
            }
        }
        chunk
    }

    #[test]
    fn five_parts() {
        let long: Vec<u8> = (0..300).map(|i| i as u8).collect();
        let parts = [
            Some((Encoding::Xor, &[1, 2, 3][..])),
            None,
            Some((Encoding::Histogram, &long[..])),
            None,
            Some((Encoding::Xor2, &[9][..])),
        ];
        let chunk = join(parts);
        let split = Aggregate::split(&chunk).unwrap();
        let got = [split.count, split.sum, split.min, split.max, split.counter];
        assert_eq!(got.map(|part| part.map(|p| (p.encoding, p.data))), parts);
        // Each cut is an error: every part ends where the next begins.
        for len in 0..chunk.len() {
            let error = Aggregate::split(&chunk[..len]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        }
        let longer = [&chunk[..], &[7; 3]].concat();
        assert_eq!(Aggregate::split(&longer).unwrap(), split);
    }

    #[test]
    fn all_absent() {
        assert_eq!(Aggregate::split(&[0; 5]).unwrap(), Aggregate::default());
    }

    #[test]
    fn damage() {
        let kind = |chunk: &[u8]| Aggregate::split(chunk).unwrap_err().kind();
        assert_eq!(kind(&[1, 77, 0, 0, 0, 0, 0]), ErrorKind::Unsupported);
        assert_eq!(kind(&[1, 0xff, 0, 0, 0, 0, 0]), ErrorKind::Unsupported);
        assert_eq!(kind(&[0xff; 20]), ErrorKind::Corrupt);
        let huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 1, 0];
        let error = Aggregate::split(&huge).unwrap_err();
        assert_eq!(
            error.to_string(),
            "aggregate chunk ends early: expected 18446744073709551615 bytes of count at offset 11, found 1"
        );
    }
}
