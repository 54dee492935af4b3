//! Start timestamps, as the histogram encodings append them to each sample. Their grammar is in the module above.

use prometheus_model::TimestampMs;

use crate::{
    bits::{BitReader, BitWriter},
    error::Result,
    varbit::{read_varbit_int, write_varbit_int},
};

const KNOWN: u8 = 0x80;

/// Largest index of a sample that the header can name.
const MAX_FIRST_CHANGE: u8 = 0x7f;

/// The start timestamp of the last sample and what the next one's code depends on.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct StartTimestamp {
    known: bool,
    /// Index of the first sample with a code of its own; 0 as long as there is none.
    first_change: u8,
    value: TimestampMs,
    /// Timestamp of the sample before minus start timestamp.
    distance: i64,
}

impl StartTimestamp {
    pub(super) fn from_header(header: u8) -> Self {
        Self { known: header & KNOWN != 0, first_change: header & !KNOWN, ..Self::default() }
    }

    pub(super) fn header(self) -> u8 {
        if self.known { KNOWN | self.first_change } else { self.first_change }
    }

    pub(super) fn value(self) -> TimestampMs {
        self.value
    }

    /// Reads that of the sample `index`, whose timestamp and predecessor's timestamp are given.
    pub(super) fn read(
        &mut self,
        reader: &mut BitReader<'_>,
        index: u16,
        timestamp: TimestampMs,
        previous: TimestampMs,
    ) -> Result<()> {
        if index == 0 {
            if self.known {
                self.value = timestamp.wrapping_sub(reader.read_varint()?);
            }
        } else if self.first_change > 0 && index >= self.first_change.into() {
            let code = read_varbit_int(reader)?;
            let first = index == self.first_change.into();
            self.distance = if first { code } else { self.distance.wrapping_add(code) };
            self.value = previous.wrapping_sub(self.distance);
        }
        Ok(())
    }

    /// Writes that of the sample `index`. The header changes with it.
    pub(super) fn write(
        &mut self,
        writer: &mut BitWriter,
        index: u16,
        value: TimestampMs,
        timestamp: TimestampMs,
        previous: TimestampMs,
    ) {
        let distance = previous.wrapping_sub(value);
        if index == 0 {
            if value != 0 {
                writer.write_varint(timestamp.wrapping_sub(value));
                self.known = true;
            }
        } else if self.first_change > 0 {
            write_varbit_int(writer, distance.wrapping_sub(self.distance));
            self.distance = distance;
        } else if value != self.value || index == MAX_FIRST_CHANGE.into() {
            // No sample beyond this one could be named as the first with a code.
            self.first_change = u8::try_from(index).unwrap_or(MAX_FIRST_CHANGE);
            write_varbit_int(writer, distance);
            self.distance = distance;
        }
        self.value = value;
    }
}
