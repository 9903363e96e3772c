//! Seeded layered supply networks for the benchmarks.
//!
//! Six tiers (10/25/25/20/12/8 % of the nodes; the first has no suppliers), ids shuffled; each
//! later node has one supplier of the tier before, then suppliers are added until there are m
//! links: 78 % from the tier before, 14 % from two before, 5 % from the same, 3 % from a later
//! one (recycling). Suppliers are drawn by a Pareto(1.5) weight, consumers by an exponential one.
//! Quantities are log-normal whole numbers, 1-1000. No self-loops, no parallel links.

#![allow(dead_code, reason = "each benchmark uses a part of it")]

/// SplitMix64 (Steele et al. 2014): enough for a test network.
pub struct Random(pub u64);

impl Random {
    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// 0 up to, not including, 1.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    fn exponential(&mut self) -> f64 {
        -(1.0 - self.unit()).ln()
    }

    fn normal(&mut self) -> f64 {
        (2.0 * self.exponential()).sqrt() * (std::f64::consts::TAU * self.unit()).cos()
    }

    fn shuffled(&mut self, n: usize) -> Vec<u32> {
        let mut order: Vec<u32> = (0..n as u32).collect();
        for i in (1..n).rev() {
            order.swap(i, (self.unit() * (i + 1) as f64) as usize);
        }
        order
    }
}

/// A network: links as (supplier, consumer, quantity) in (supplier, consumer) order, and tiers.
pub struct Supply {
    /// Number of nodes.
    pub n: usize,
    /// Links.
    pub links: Vec<(u32, u32, u32)>,
    /// Tier of each node, 0-5.
    pub tier: Vec<u8>,
}

impl Supply {
    /// Nodes of a tier, ascending.
    pub fn tier(&self, tier: u8) -> Vec<u32> {
        (0..self.n as u32).filter(|&v| self.tier[v as usize] == tier).collect()
    }
}

const TIERS: usize = 6;
const SHARES: [f64; TIERS] = [0.10, 0.25, 0.25, 0.20, 0.12, 0.08];

/// Draws a position by cumulative weights.
fn draw(cumulative: &[f64], random: &mut Random) -> usize {
    let total = cumulative.last().copied().unwrap_or(0.0);
    let x = random.unit() * total;
    cumulative.partition_point(|&c| c <= x).min(cumulative.len() - 1)
}

fn cumulative(weights: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut sum = 0.0;
    weights
        .map(|w| {
            sum += w;
            sum
        })
        .collect()
}

/// A network of `n` nodes and `m` links (at least one for each node beyond the first tier).
pub fn supply(n: usize, m: usize, seed: u64) -> Supply {
    let mut random = Random(seed);
    let mut bounds = vec![0];
    let mut share = 0.0;
    for s in SHARES {
        share += s;
        bounds.push((share * n as f64).round() as usize);
    }
    bounds[TIERS] = n;
    let pull: Vec<f64> = (0..n).map(|_| (1.0 - random.unit()).powf(-1.0 / 1.5)).collect();
    let by_tier: Vec<Vec<f64>> =
        (0..TIERS).map(|t| cumulative(pull[bounds[t]..bounds[t + 1]].iter().copied())).collect();
    let tier_of = |v: usize| (0..TIERS).find(|&t| v < bounds[t + 1]).unwrap_or(TIERS - 1);
    let want = cumulative((0..n).map(|v| {
        let want = random.exponential();
        if v < bounds[1] || random.unit() < 0.12 { 0.0 } else { want }
    }));
    let mut pairs: Vec<(u32, u32)> = (bounds[1]..n)
        .map(|v| {
            let t = tier_of(v) - 1;
            ((bounds[t] + draw(&by_tier[t], &mut random)) as u32, v as u32)
        })
        .collect();
    while pairs.len() < m {
        for _ in 0..m - pairs.len() {
            let v = draw(&want, &mut random);
            let t = tier_of(v);
            let from = match random.unit() {
                r if r < 0.78 => t - 1,
                r if r < 0.92 => t.saturating_sub(2),
                r if r < 0.97 => t,
                _ => (t + 1 + usize::from(random.unit() < 0.5)).min(TIERS - 1),
            };
            let u = bounds[from] + draw(&by_tier[from], &mut random);
            if u != v {
                pairs.push((u as u32, v as u32));
            }
        }
        pairs.sort_unstable();
        pairs.dedup();
    }
    let new = random.shuffled(n);
    let mut tier = vec![0; n];
    for (v, &place) in new.iter().enumerate() {
        tier[place as usize] = tier_of(v) as u8;
    }
    pairs.iter_mut().for_each(|p| *p = (new[p.0 as usize], new[p.1 as usize]));
    pairs.sort_unstable();
    let links = pairs
        .into_iter()
        .map(|(u, v)| (u, v, (3.0 + 1.2 * random.normal()).exp().clamp(1.0, 1000.0) as u32))
        .collect();
    Supply { n, links, tier }
}
