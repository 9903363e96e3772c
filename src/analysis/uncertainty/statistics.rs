//! Percentiles, ranks and rank correlation of draws.

/// What a set of draws says about one number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// 5th percentile.
    pub low: f64,
    /// Median.
    pub median: f64,
    /// 95th percentile.
    pub high: f64,
}

/// The percentile of sorted draws at `p` in 0-1, linear between order statistics (type 7 of Hyndman
/// and Fan 1996). Nothing of no draws.
pub fn percentile(sorted: &[f64], p: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let place = p.clamp(0.0, 1.0) * last as f64;
    let below = (place.floor() as usize).min(last);
    let above = (below + 1).min(last);
    let (a, b) = (sorted[below], sorted[above]);
    // Equal neighbours must give exactly their value.
    Some(if a == b { a } else { a + (b - a) * (place - below as f64) })
}

/// 5th percentile, median and 95th percentile. Nothing of no draws.
pub fn spread(draws: &[f64]) -> Option<Spread> {
    let mut sorted = draws.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    Some(Spread {
        low: percentile(&sorted, 0.05)?,
        median: percentile(&sorted, 0.5)?,
        high: percentile(&sorted, 0.95)?,
    })
}

/// Ranks from 1 of a list; equal values share the mean of their ranks.
pub fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_unstable_by(|&a, &b| values[a].total_cmp(&values[b]).then(a.cmp(&b)));
    let mut ranks = vec![0.0; values.len()];
    let mut start = 0;
    while start < order.len() {
        let value = values[order[start]];
        let mut end = start + 1;
        while end < order.len() && values[order[end]] == value {
            end += 1;
        }
        let mean = (start + 1 + end) as f64 / 2.0;
        for &k in &order[start..end] {
            ranks[k] = mean;
        }
        start = end;
    }
    ranks
}

/// Ranks less their mean, and the root of their sum of squares: what a correlation needs.
#[derive(Debug, Clone, PartialEq)]
pub struct CentredRanks {
    ranks: Vec<f64>,
    norm: f64,
}

impl CentredRanks {
    /// Centred ranks of a list.
    pub fn of(values: &[f64]) -> Self {
        let mut ranks = ranks(values);
        let mean = (values.len() as f64 + 1.0) / 2.0;
        let mut squares = 0.0;
        for rank in &mut ranks {
            *rank -= mean;
            squares += *rank * *rank;
        }
        Self { ranks, norm: squares.sqrt() }
    }

    /// True if all values are the same.
    pub fn is_constant(&self) -> bool {
        self.norm == 0.0
    }

    /// Spearman's rank correlation (Spearman 1904): the correlation of the ranks, ties included. 0
    /// if one of the lists is constant.
    pub fn correlation(&self, other: &Self) -> f64 {
        if self.is_constant() || other.is_constant() {
            return 0.0;
        }
        let product: f64 = self.ranks.iter().zip(&other.ranks).map(|(a, b)| a * b).sum();
        (product / (self.norm * other.norm)).clamp(-1.0, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn percentiles_are_linear_between_draws() {
        let sorted: Vec<f64> = (0..=100).map(f64::from).collect();
        assert_eq!(percentile(&sorted, 0.05), Some(5.0));
        assert_eq!(percentile(&[1.0, 2.0], 0.25), Some(1.25));
        assert_eq!(percentile(&[0.1; 7], 0.05), Some(0.1));
        assert_eq!(percentile(&[], 0.5), None);
        assert_eq!(spread(&[3.0]), Some(Spread { low: 3.0, median: 3.0, high: 3.0 }));
    }

    /// Counting, without sorting: the rank of x is one more than the values below it plus half of
    /// the other equal ones.
    fn brute_ranks(values: &[f64]) -> Vec<f64> {
        values
            .iter()
            .map(|x| {
                let below = values.iter().filter(|y| *y < x).count() as f64;
                let equal = values.iter().filter(|y| *y == x).count() as f64;
                below + (equal + 1.0) / 2.0
            })
            .collect()
    }

    fn pearson(a: &[f64], b: &[f64]) -> f64 {
        let mean = |x: &[f64]| x.iter().sum::<f64>() / x.len() as f64;
        let (ma, mb) = (mean(a), mean(b));
        let cov: f64 = a.iter().zip(b).map(|(x, y)| (x - ma) * (y - mb)).sum();
        let var = |x: &[f64], m: f64| x.iter().map(|v| (v - m).powi(2)).sum::<f64>();
        let (va, vb) = (var(a, ma), var(b, mb));
        if va == 0.0 || vb == 0.0 { 0.0 } else { cov / (va * vb).sqrt() }
    }

    proptest! {
        #![proptest_config(crate::laws::cases(256))]

        #[test]
        fn rank_correlation_is_the_brute_force_one(
            pairs in prop::collection::vec((0u8..12, 0u8..12), 1..60),
        ) {
            let a: Vec<f64> = pairs.iter().map(|p| f64::from(p.0)).collect();
            let b: Vec<f64> = pairs.iter().map(|p| f64::from(p.1) / 7.0).collect();
            prop_assert_eq!(ranks(&a), brute_ranks(&a));
            let ours = CentredRanks::of(&a).correlation(&CentredRanks::of(&b));
            let brute = pearson(&brute_ranks(&a), &brute_ranks(&b));
            prop_assert!((ours - brute).abs() < 1e-12, "{ours} {brute}");
        }
    }
}
