//! Random numbers by address: the same (seed, figure, draw) always gives the same number.
//!
//! A counter-based generator (Salmon et al. 2011) needs no state, so draws can be made in any order
//! on any thread, and a figure's draws do not depend on which other figures exist. The mixing
//! function is XXH3, whose 64 bits pass SMHasher.

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// Address of a figure's draws: a hash of its id.
pub fn key(id: &str) -> u64 {
    xxh3_64(id.as_bytes())
}

/// A uniform number strictly between 0 and 1, on a grid of 2^-53.
pub fn uniform(seed: u64, key: u64, draw: u64) -> f64 {
    let mut address = [0; 16];
    address[..8].copy_from_slice(&key.to_le_bytes());
    address[8..].copy_from_slice(&draw.to_le_bytes());
    let bits = xxh3_64_with_seed(&address, seed) >> 11;
    // 2^53 - 1 + 0.5 would round to 2^53 and give 1.
    ((bits as f64) + 0.5).min((1u64 << 53) as f64 - 1.0) / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_uniform_and_uncorrelated() {
        let n = 20_000u64;
        let (a, b) = (key("nodes/a/output"), key("nodes/b/output"));
        let mut bins = [0u32; 20];
        let (mut lag, mut cross, mut seeds) = (0.0, 0.0, 0.0);
        for draw in 0..n {
            let u = uniform(1, a, draw);
            assert!(u > 0.0 && u < 1.0);
            bins[(u * 20.0) as usize] += 1;
            lag += (u - 0.5) * (uniform(1, a, draw + 1) - 0.5);
            cross += (u - 0.5) * (uniform(1, b, draw) - 0.5);
            seeds += (u - 0.5) * (uniform(2, a, draw) - 0.5);
        }
        let expected = n as f64 / 20.0;
        let chi: f64 = bins.iter().map(|&b| (f64::from(b) - expected).powi(2) / expected).sum();
        // 99.9th percentile of chi square with 19 degrees of freedom.
        assert!(chi < 43.8, "{chi}");
        for sum in [lag, cross, seeds] {
            // Five standard errors of a correlation.
            assert!((sum / n as f64 * 12.0).abs() < 5.0 / (n as f64).sqrt(), "{sum}");
        }
    }
}
