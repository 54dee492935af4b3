//! Places within buckets, as Prometheus interpolates them: linearly, or on a logarithmic scale.
//!
//! Logarithm and power are computed step by step as Go does, so that results have the same bits.

use crate::Bucket;

impl<C> Bucket<C> {
    /// Which share of the bucket's width, in `[0, 1]`, is at or below `value`: on a logarithmic scale unless `linear`.
    ///
    /// Only meaningful for a `value` strictly within finite bounds; anything else gives a number that means nothing.
    #[must_use]
    pub fn fraction_below(&self, value: f64, linear: bool) -> f64 {
        if linear {
            return (value - self.lower) / (self.upper - self.lower);
        }
        let (lower, upper) = (log2(self.lower.abs()), log2(self.upper.abs()));
        let place = log2(value.abs());
        if value > 0.0 { (place - lower) / (upper - lower) } else { 1.0 - ((place - upper) / (lower - upper)) }
    }

    /// The value at `fraction` of the bucket's width, from its lower bound: on a logarithmic scale unless `linear`.
    #[must_use]
    pub fn value_at(&self, fraction: f64, linear: bool) -> f64 {
        if linear {
            return self.lower + (self.upper - self.lower) * fraction;
        }
        let (lower, upper) = (log2(self.lower.abs()), log2(self.upper.abs()));
        if self.lower > 0.0 {
            exp2(lower + (upper - lower) * fraction)
        } else {
            -exp2(upper + (lower - upper) * (1.0 - fraction))
        }
    }
}

/// Splits into a fraction in `[0.5, 1)` and an exponent of two. Finite and not zero.
fn split(x: f64) -> (f64, i32) {
    // Subnormal numbers are made normal first.
    let (x, shift) = if x.abs() < f64::MIN_POSITIVE { (x * (1_u64 << 52) as f64, 52) } else { (x, 0) };
    let bits = x.to_bits();
    let exponent = ((bits >> 52) & 0x7FF) as i32;
    (f64::from_bits((bits & !(0x7FF << 52)) | (1022 << 52)), exponent - 1022 - shift)
}

/// Binary logarithm; exact for powers of two.
fn log2(x: f64) -> f64 {
    if x.is_nan() || x == f64::INFINITY {
        // Go adds the exponent, which is none.
        return x;
    }
    if x <= 0.0 {
        return if x == 0.0 { f64::NEG_INFINITY } else { f64::NAN };
    }
    let (fraction, exponent) = split(x);
    if fraction == 0.5 {
        return f64::from(exponent - 1);
    }
    ln_of_fraction(fraction) * std::f64::consts::LOG2_E + f64::from(exponent)
}

/// Natural logarithm of a number in `(0.5, 1)`: FreeBSD's `e_log.c`.
fn ln_of_fraction(x: f64) -> f64 {
    const LN2_HIGH: f64 = f64::from_bits(0x3fe6_2e42_fee0_0000);
    const LN2_LOW: f64 = f64::from_bits(0x3dea_39ef_3579_3c76);
    const L1: f64 = f64::from_bits(0x3FE5_5555_5555_5593);
    const L2: f64 = f64::from_bits(0x3FD9_9999_9997_FA04);
    const L3: f64 = f64::from_bits(0x3FD2_4924_9422_9359);
    const L4: f64 = f64::from_bits(0x3FCC_71C5_1D8E_78AF);
    const L5: f64 = f64::from_bits(0x3FC7_4664_96CB_03DE);
    const L6: f64 = f64::from_bits(0x3FC3_9A09_D078_C69F);
    const L7: f64 = f64::from_bits(0x3FC2_F112_DF3E_5244);

    let (x, k) = if x < std::f64::consts::FRAC_1_SQRT_2 { (x * 2.0, -1.0) } else { (x, 0.0) };
    let f = x - 1.0;
    let s = f / (2.0 + f);
    let s2 = s * s;
    let s4 = s2 * s2;
    let t1 = s2 * (L1 + s4 * (L3 + s4 * (L5 + s4 * L7)));
    let t2 = s4 * (L2 + s4 * (L4 + s4 * L6));
    let r = t1 + t2;
    let half_square = 0.5 * f * f;
    k * LN2_HIGH - ((half_square - (s * (half_square + r) + k * LN2_LOW)) - f)
}

/// Two to the power of `x`: FreeBSD's `e_exp.c`, reduced by powers of two.
fn exp2(x: f64) -> f64 {
    const LN2_HIGH: f64 = f64::from_bits(0x3fe6_2e42_fee0_0000);
    const LN2_LOW: f64 = f64::from_bits(0x3dea_39ef_3579_3c76);
    const P1: f64 = 1.666_666_666_666_666_6e-1;
    const P2: f64 = -2.777_777_777_701_559_3e-3;
    const P3: f64 = 6.613_756_321_437_934e-5;
    const P4: f64 = -1.653_390_220_546_525_2e-6;
    const P5: f64 = 4.138_136_797_057_238_5e-8;

    if x.is_nan() {
        return x;
    }
    if x > 1.023_999_999_999_999_9e3 {
        return f64::INFINITY;
    }
    if x < -1074.0 {
        return 0.0;
    }
    let k = if x > 0.0 {
        (x + 0.5).trunc()
    } else if x < 0.0 {
        (x - 0.5).trunc()
    } else {
        0.0
    };
    let t = x - k;
    let (high, low) = (t * LN2_HIGH, -t * LN2_LOW);
    let r = high - low;
    let t = r * r;
    let c = r - t * (P1 + t * (P2 + t * (P3 + t * (P4 + t * P5))));
    let y = 1.0 - ((low - (r * c) / (2.0 - c)) - high);
    crate::bucket::times_power_of_two(y, k as i64)
}
