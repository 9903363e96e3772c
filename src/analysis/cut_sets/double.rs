//! Numbers of twice the precision of `f64`: the unevaluated sum of two (Dekker 1971).
//!
//! How much a unit matters is a difference of two expectations. Where the unit hardly matters both
//! are almost the same, and their difference in `f64` would be rounding alone.

use std::ops::{Add, Mul, Sub};

/// The sum of `high` and a much smaller `low`: about 32 significant digits.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Double {
    high: f64,
    low: f64,
}

impl Double {
    /// The number 1.
    pub(super) const ONE: Self = Self { high: 1.0, low: 0.0 };

    /// The nearest `f64`.
    pub(super) fn value(self) -> f64 {
        self.high
    }

    /// `a + b` without error.
    fn sum(a: f64, b: f64) -> Self {
        let high = a + b;
        let of_b = high - a;
        Self { high, low: (a - (high - of_b)) + (b - of_b) }
    }
}

impl From<f64> for Double {
    fn from(value: f64) -> Self {
        Self { high: value, low: 0.0 }
    }
}

impl Add for Double {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        let high = Self::sum(self.high, other.high);
        let low = Self::sum(self.low, other.low);
        let sum = Self::sum(high.high, high.low + low.high);
        Self::sum(sum.high, sum.low + low.low)
    }
}

impl Sub for Double {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        self + Self { high: -other.high, low: -other.low }
    }
}

impl Mul for Double {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        let high = self.high * other.high;
        let rest = self.high.mul_add(other.high, -high);
        Self::sum(high, rest + (self.high * other.low + self.low * other.high))
    }
}

#[cfg(test)]
mod tests {
    use super::Double;

    #[test]
    fn what_f64_rounds_away_is_kept() {
        let (one, tiny) = (Double::from(1.0), Double::from(1e-25));
        assert_eq!(((one + tiny) - one).value(), 1e-25);
        // (1 + e)(1 - e) = 1 - e^2
        let e = Double::from(f64::EPSILON);
        let product = (one + e) * (one - e);
        assert_eq!((one - product).value(), f64::EPSILON * f64::EPSILON);
        // A third has no end in binary: three of them miss 1 by less than 1e-32.
        let third = Double { high: 1.0 / 3.0, low: 1.850_371_707_708_594e-17 };
        assert!((third * Double::from(3.0) - one).value().abs() < 1e-31);
    }
}
