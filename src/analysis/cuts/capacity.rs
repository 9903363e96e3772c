//! Capacities as exact integers: whole numbers as they are, decimals in fixed point, said so.

/// What cutting a link or node costs, or how much it carries.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum CapacityRule {
    /// Links: the quantity of their flows. Nodes: the greater of what enters and what leaves.
    #[default]
    Quantity,
    /// 1 for each flow (a link of two products counts 2), 1 for each node: the fewest.
    One,
    /// A numeric attribute of the flows or nodes. Where no attribute has the name, the columns
    /// count: `capacity` and `lead_days` of flows, `output`, `capacity` and `stock_days` of nodes.
    Attribute(String),
}

/// Capacities as multiples of `1 / scale`.
#[derive(Debug, Clone, PartialEq)]
pub struct Scaled {
    /// Units of `1 / scale`.
    pub units: Vec<u64>,
    /// Units in 1: 1 for whole numbers, a power of ten for decimals.
    pub scale: u64,
    /// Greatest difference between a capacity and its scaled form; 0 if all are exact.
    pub max_rounding_error: f64,
}

/// A capacity that no cut can be weighed with.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum ScaleError {
    /// Below zero, infinite or not a number.
    #[error("capacity {value} is not a number of 0 or more")]
    Unusable {
        /// Position in the list.
        index: usize,
        /// The capacity.
        value: f64,
    },
    /// The sum does not fit.
    #[error("the capacities add up to {0:e}; exact cuts need a sum below 4.6e18")]
    TooLarge(f64),
}

/// Room for the sum of all capacities: an infinite capacity (one more than the sum) and the sum of
/// two must still fit in u64.
const MOST: f64 = (1u64 << 62) as f64;
const MOST_DECIMALS: u32 = 9;

/// Scales capacities by the smallest power of ten up to 10^9 that makes all of them whole, or the
/// largest that fits. A capacity above 0 never becomes 0.
///
/// # Errors
/// [`ScaleError`].
pub fn scale_capacities(values: &[f64]) -> Result<Scaled, ScaleError> {
    let mut sum = 0.0;
    for (index, &value) in values.iter().enumerate() {
        if !(value.is_finite() && value >= 0.0) {
            return Err(ScaleError::Unusable { index, value });
        }
        sum += value;
    }
    // Each value may be rounded up by one unit.
    let fits = |scale: f64| sum * scale + (values.len() as f64) < MOST;
    if !fits(1.0) {
        return Err(ScaleError::TooLarge(sum));
    }
    let mut scale = 1u64;
    for decimals in 0..=MOST_DECIMALS {
        let next = 10u64.pow(decimals);
        if !fits(next as f64) {
            break;
        }
        scale = next;
        // Decimal input such as 0.1 has no exact binary form: it counts as 1 / 10 exactly if the
        // decimal is what it reads back as.
        if values.iter().all(|&v| (v * next as f64).round() / next as f64 == v) {
            break;
        }
    }
    let units: Vec<u64> = values
        .iter()
        .map(|&v| ((v * scale as f64).round() as u64).max(u64::from(v > 0.0)))
        .collect();
    let max_rounding_error = values
        .iter()
        .zip(&units)
        .map(|(&v, &u)| (v - u as f64 / scale as f64).abs())
        .fold(0.0, f64::max);
    Ok(Scaled { units, scale, max_rounding_error })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_stay_and_decimals_are_scaled() {
        let whole = scale_capacities(&[3.0, 0.0, 7.0]).unwrap();
        assert_eq!((whole.units, whole.scale, whole.max_rounding_error), (vec![3, 0, 7], 1, 0.0));
        let decimal = scale_capacities(&[0.1, 2.25]).unwrap();
        assert_eq!((decimal.units, decimal.scale), (vec![10, 225], 100));
        assert_eq!(decimal.max_rounding_error, 0.0);
        let third = scale_capacities(&[1.0 / 3.0]).unwrap();
        assert_eq!((third.units, third.scale), (vec![333_333_333], 1_000_000_000));
        assert!(third.max_rounding_error > 3e-10 && third.max_rounding_error < 4e-10);
    }

    #[test]
    fn a_small_capacity_never_becomes_zero_and_bad_ones_are_named() {
        assert_eq!(scale_capacities(&[1e-30]).unwrap().units, [1]);
        assert!(matches!(
            scale_capacities(&[1.0, -2.0]),
            Err(ScaleError::Unusable { index: 1, .. })
        ));
        assert!(matches!(scale_capacities(&[f64::NAN]), Err(ScaleError::Unusable { .. })));
        assert!(matches!(scale_capacities(&[1e19]), Err(ScaleError::TooLarge(_))));
        let large = scale_capacities(&[1e17, 0.5]).unwrap();
        assert_eq!(large.scale, 10);
        assert_eq!(large.units[1], 5);
    }
}
