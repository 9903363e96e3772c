//! From a figure's range to a distribution.
//!
//! The value is the median; low and high are the 5th and 95th percentiles. Between and beyond them
//! a two-piece lognormal is laid: `value * (high / value)^(z / z95)` above the median and
//! `value * (low / value)^(-z / z95)` below, with z standard normal and z95 its 95th percentile.
//!
//! Why: figures are amounts and shares, never negative, whose errors are relative; published ranges
//! are often lopsided (1.7 to 8.2 around 3.1); and they say what is likely, not what is possible,
//! so a tenth of the draws lies beyond them (a triangle ending at the range would make it a hard
//! bound). The median stays the published value, so the central answer is the answer of the central
//! draw. Where the low end or the value is zero no ratio exists: that side is half a normal, cut at
//! zero.

use std::sync::LazyLock;

use statrs::distribution::{ContinuousCDF, Normal};

/// 95th percentile of the standard normal distribution.
pub const Z95: f64 = 1.644_853_626_951_472_2;

static STANDARD: LazyLock<Normal> = LazyLock::new(Normal::standard);

/// Distribution of one figure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Distribution {
    value: f64,
    low: f64,
    high: f64,
    /// Most that the figure can be.
    most: f64,
    /// Per standard deviation: logarithm of the ratio, or the difference where there is no ratio.
    up: f64,
    down: f64,
}

impl Distribution {
    /// A distribution with this median, 5th and 95th percentile. Ends on the wrong side of the
    /// value, negative or not finite, are moved to the value, to zero, or to the value.
    pub fn new(value: f64, low: f64, high: f64) -> Self {
        let value = if value.is_finite() { value.max(0.0) } else { 0.0 };
        let low = if low.is_finite() { low.clamp(0.0, value) } else { value };
        let high = if high.is_finite() { high.max(value) } else { value };
        let up = if value > 0.0 { (high / value).ln() / Z95 } else { high / Z95 };
        let down = if low > 0.0 { (low / value).ln() / Z95 } else { -value / Z95 };
        Self { value, low, high, most: f64::INFINITY, up, down }
    }

    /// The same, cut at a most possible value (a share cannot be above 1).
    pub fn at_most(mut self, most: f64) -> Self {
        self.most = most;
        self.high = self.high.min(most).max(self.value.min(most));
        self.value = self.value.min(most);
        self
    }

    /// The median.
    pub fn value(&self) -> f64 {
        self.value
    }

    /// The 5th percentile.
    pub fn low(&self) -> f64 {
        self.low
    }

    /// The 95th percentile.
    pub fn high(&self) -> f64 {
        self.high
    }

    /// True if it is one number.
    pub fn is_fixed(&self) -> bool {
        self.low == self.value && self.high == self.value
    }

    /// True if greater uniform numbers always give greater values.
    pub fn is_strict(&self) -> bool {
        0.0 < self.low && self.low < self.value && self.value < self.high && self.most.is_infinite()
    }

    /// The value below which a share `u` of the draws lies (0 < u < 1). Exactly the value for a
    /// side without width.
    pub fn quantile(&self, u: f64) -> f64 {
        let z = STANDARD.inverse_cdf(u);
        let drawn = if z > 0.0 {
            if self.value > 0.0 { self.value * (self.up * z).exp() } else { self.up * z }
        } else if self.low > 0.0 {
            self.value * (-self.down * z).exp()
        } else {
            (self.value - self.down * z).max(0.0)
        };
        drawn.min(self.most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(crate::laws::cases(256))]

        #[test]
        fn the_range_is_the_fifth_to_the_ninety_fifth_percentile(
            value in 0.001f64..1e6, below in 0.0f64..0.99, above in 0.0f64..5.0,
        ) {
            let d = Distribution::new(value, value * (1.0 - below), value * (1.0 + above));
            let near = |a: f64, b: f64| (a - b).abs() <= 1e-9 * (1.0 + b.abs());
            prop_assert!(near(d.quantile(0.05), d.low()), "{} {}", d.quantile(0.05), d.low());
            prop_assert!(near(d.quantile(0.5), value));
            prop_assert!(near(d.quantile(0.95), d.high()));
            let mut last = 0.0;
            for k in 1..100 {
                let q = d.quantile(f64::from(k) / 100.0);
                prop_assert!(q >= last);
                last = q;
            }
        }
    }

    #[test]
    fn odd_ranges_are_set_right() {
        let zero_low = Distribution::new(2.0, -1.0, 3.0);
        assert_eq!(zero_low.low(), 0.0);
        assert_eq!(zero_low.quantile(0.01), 0.0);
        assert!(zero_low.quantile(0.05).abs() < 1e-12);
        let zero_value = Distribution::new(0.0, 0.0, 1.0);
        assert_eq!(zero_value.quantile(0.3), 0.0);
        assert!((zero_value.quantile(0.95) - 1.0).abs() < 1e-12);
        let crossed = Distribution::new(2.0, 5.0, 1.0);
        assert!(crossed.is_fixed());
        assert_eq!(crossed.quantile(0.9), 2.0);
        let share = Distribution::new(1.0, 0.7, 1.3).at_most(1.0);
        assert_eq!((share.high(), share.quantile(0.99)), (1.0, 1.0));
        assert!((share.quantile(0.05) - 0.7).abs() < 1e-12);
        assert!(Distribution::new(f64::NAN, 0.0, 1.0).value() == 0.0);
    }

    #[test]
    fn a_side_without_width_stays_exactly_at_the_value() {
        let d = Distribution::new(0.3, 0.3, 0.6);
        for u in [0.001, 0.2, 0.5] {
            assert_eq!(d.quantile(u), 0.3);
        }
        assert!(d.quantile(0.7) > 0.3);
    }
}
