//! Fields: the columns of a histogram chunk, each coded against its own value in the sample before.

use std::fmt::Debug;

use crate::{
    bits::{BitReader, BitWriter},
    error::Result,
    varbit::{read_varbit_int, read_varbit_uint, write_varbit_int, write_varbit_uint},
    xor::{Window, read_xor, write_xor},
};

/// The state of one field: its last value, and what the code of the next one depends on.
pub trait Field: Clone + Debug {
    /// What is coded.
    type Value: Copy + Debug + Default + PartialOrd;

    /// Fewest bits that the first value takes.
    const MIN_FIRST_BITS: u64;

    /// Reads the value of the first sample.
    fn read_first(reader: &mut BitReader<'_>) -> Result<Self>;

    /// Reads the value of the next sample.
    fn read_next(&mut self, reader: &mut BitReader<'_>) -> Result<()>;

    /// Writes the value of the first sample.
    fn write_first(writer: &mut BitWriter, value: Self::Value) -> Self;

    /// Writes the value of the next sample.
    fn write_next(&mut self, writer: &mut BitWriter, value: Self::Value);

    /// The last value.
    fn value(&self) -> Self::Value;
}

/// A number of observations that may be missing, as it is in a sample that marks a stale series.
pub trait Total: Field {
    /// Writes the next sample's value, which does not matter as the sample is stale. Only such may follow.
    fn write_stale(&mut self, writer: &mut BitWriter);
}

/// The count of a bucket as it is stored: as such, or as the difference to the bucket before.
pub trait Bucket: Field {
    /// The absolute count of a bucket, given that of the bucket before (0 for the first).
    fn absolute(before: Self::Value, stored: Self::Value) -> Self::Value;

    /// The inverse: what to store.
    fn stored(before: Self::Value, absolute: Self::Value) -> Self::Value;

    /// The sum of two absolute counts.
    fn sum(a: Self::Value, b: Self::Value) -> Self::Value;
}

/// An integer: the value, then the difference of differences. All wraps around at 64 bits.
#[derive(Clone, Copy, Debug, Default)]
pub struct Integer {
    value: i64,
    delta: i64,
}

impl Field for Integer {
    type Value = i64;

    const MIN_FIRST_BITS: u64 = 1;

    #[inline]
    fn read_first(reader: &mut BitReader<'_>) -> Result<Self> {
        Ok(Self { value: read_varbit_int(reader)?, delta: 0 })
    }

    #[inline]
    fn read_next(&mut self, reader: &mut BitReader<'_>) -> Result<()> {
        self.delta = self.delta.wrapping_add(read_varbit_int(reader)?);
        self.value = self.value.wrapping_add(self.delta);
        Ok(())
    }

    fn write_first(writer: &mut BitWriter, value: i64) -> Self {
        write_varbit_int(writer, value);
        Self { value, delta: 0 }
    }

    #[inline]
    fn write_next(&mut self, writer: &mut BitWriter, value: i64) {
        let delta = value.wrapping_sub(self.value);
        write_varbit_int(writer, delta.wrapping_sub(self.delta));
        *self = Self { value, delta };
    }

    fn value(&self) -> i64 {
        self.value
    }
}

impl Bucket for Integer {
    fn absolute(before: i64, stored: i64) -> i64 {
        before.wrapping_add(stored)
    }

    fn stored(before: i64, absolute: i64) -> i64 {
        absolute.wrapping_sub(before)
    }

    fn sum(a: i64, b: i64) -> i64 {
        a.wrapping_add(b)
    }
}

/// Like [`Integer`], but the first value is written as an unsigned one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Natural(Integer);

impl Field for Natural {
    type Value = u64;

    const MIN_FIRST_BITS: u64 = 1;

    fn read_first(reader: &mut BitReader<'_>) -> Result<Self> {
        Ok(Self(Integer { value: read_varbit_uint(reader)?.cast_signed(), delta: 0 }))
    }

    fn read_next(&mut self, reader: &mut BitReader<'_>) -> Result<()> {
        self.0.read_next(reader)
    }

    fn write_first(writer: &mut BitWriter, value: u64) -> Self {
        write_varbit_uint(writer, value);
        Self(Integer { value: value.cast_signed(), delta: 0 })
    }

    fn write_next(&mut self, writer: &mut BitWriter, value: u64) {
        self.0.write_next(writer, value.cast_signed());
    }

    fn value(&self) -> u64 {
        self.0.value.cast_unsigned()
    }
}

impl Total for Natural {
    fn write_stale(&mut self, writer: &mut BitWriter) {
        write_varbit_int(writer, 0);
    }
}

/// A float: its bits, then the xor with the one before.
#[derive(Clone, Copy, Debug)]
pub struct Float {
    bits: u64,
    window: Window,
}

impl Field for Float {
    type Value = f64;

    const MIN_FIRST_BITS: u64 = 64;

    #[inline]
    fn read_first(reader: &mut BitReader<'_>) -> Result<Self> {
        Ok(Self { bits: reader.read_bits(64)?, window: Window::WHOLE })
    }

    #[inline]
    fn read_next(&mut self, reader: &mut BitReader<'_>) -> Result<()> {
        self.bits = read_xor(reader, self.bits, &mut self.window)?;
        Ok(())
    }

    fn write_first(writer: &mut BitWriter, value: f64) -> Self {
        let bits = value.to_bits();
        writer.write_bits(bits, 64);
        Self { bits, window: Window::NONE }
    }

    #[inline]
    fn write_next(&mut self, writer: &mut BitWriter, value: f64) {
        let bits = value.to_bits();
        write_xor(writer, bits, self.bits, &mut self.window);
        self.bits = bits;
    }

    fn value(&self) -> f64 {
        f64::from_bits(self.bits)
    }
}

impl Total for Float {
    fn write_stale(&mut self, writer: &mut BitWriter) {
        self.write_next(writer, 0.0);
    }
}

impl Bucket for Float {
    fn absolute(_before: f64, stored: f64) -> f64 {
        stored
    }

    fn stored(_before: f64, absolute: f64) -> f64 {
        absolute
    }

    fn sum(a: f64, b: f64) -> f64 {
        a + b
    }
}
