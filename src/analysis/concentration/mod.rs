//! Concentration: how much of a supply few parties hold, before and after a loss.
//!
//! The Herfindahl-Hirschman index is the sum of squared shares, 0-1 (times 10^4 in merger
//! guidelines); its inverse is the number of equal suppliers that would be as concentrated. What is
//! not known is kept as a range: a lump of "others" may be many parties or one, an amount without
//! a party may belong to anyone.

/// Who holds an amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Party {
    /// A known party, by a number that the caller gives.
    Known(u32),
    /// Others: several parties or one, but none of the known.
    Others,
    /// Nobody knows: it may be a known party's.
    Unknown,
}

/// A number with the range that what is not known leaves.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Bounded {
    /// With every lump as one party of its own.
    pub value: f64,
    /// Least.
    pub low: f64,
    /// Most.
    pub high: f64,
}

/// How a supply is held.
#[derive(Debug, Clone, PartialEq)]
pub struct Concentration {
    /// Sum of the amounts.
    pub total: f64,
    /// Shares of the known parties, largest first.
    pub shares: Vec<(u32, f64)>,
    /// Share of others.
    pub others: f64,
    /// Share of which nobody knows whose it is.
    pub unknown: f64,
    /// Herfindahl-Hirschman index, 0-1.
    pub hhi: Bounded,
}

/// Worst governance score of the scale 0 (best) to 10 (worst).
pub const WORST_SCORE: f64 = 10.0;

impl Concentration {
    /// Concentration of amounts (not negative); `None` if they add up to nothing. Amounts of one
    /// party are added.
    pub fn of(holdings: impl IntoIterator<Item = (Party, f64)>) -> Option<Self> {
        let mut by: std::collections::BTreeMap<Party, f64> = std::collections::BTreeMap::new();
        for (party, amount) in holdings {
            *by.entry(party).or_default() += amount;
        }
        let total: f64 = by.values().sum();
        if !(total > 0.0 && total.is_finite()) {
            return None;
        }
        let share = |party| by.get(&party).copied().unwrap_or(0.0) / total;
        let (others, unknown) = (share(Party::Others), share(Party::Unknown));
        let mut shares: Vec<(u32, f64)> = by
            .iter()
            .filter_map(|(party, amount)| match party {
                Party::Known(k) if *amount > 0.0 => Some((*k, amount / total)),
                _ => None,
            })
            .collect();
        shares.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        // An empty sum is -0.0; it should print as 0.
        let known = shares.iter().map(|s| s.1 * s.1).sum::<f64>() + 0.0;
        // What nobody knows adds most to the square of the largest.
        let largest = shares.first().map_or(0.0, |s| s.1).max(others);
        let hhi = Bounded {
            value: known + others * others + unknown * unknown,
            low: known,
            high: known + others * others - largest * largest + (largest + unknown).powi(2),
        };
        Some(Self { total, shares, others, unknown, hhi })
    }

    /// Share of the `n` largest known parties together.
    pub fn top(&self, n: usize) -> f64 {
        self.shares.iter().take(n).map(|s| s.1).sum()
    }

    /// Number of equal suppliers that would be as concentrated: 1 / HHI, with the range that the
    /// index leaves (`None` above: any number).
    pub fn effective(&self) -> (f64, f64, Option<f64>) {
        let most = (self.hhi.low > 0.0).then(|| 1.0 / self.hhi.low);
        (1.0 / self.hhi.value, 1.0 / self.hhi.high, most)
    }

    /// Index if the parties that `joins` names acted as one: their shares are added before they
    /// are squared.
    pub fn as_one(&self, joins: impl Fn(u32) -> bool) -> (f64, f64) {
        let (mut joint, mut rest) = (0.0, 0.0);
        for &(party, share) in &self.shares {
            if joins(party) {
                joint += share;
            } else {
                rest += share * share;
            }
        }
        (joint, rest + joint * joint + self.others.powi(2) + self.unknown.powi(2))
    }

    /// Governance-weighted index: sum of squared shares times the score of their party, 0 (best) to
    /// 10 (worst), as in the supply risk of the EU (impact design 3.3). Parties without a score
    /// count nothing in the value and 0 to 10 in the range. Also the share with a score.
    pub fn weighted(&self, score: impl Fn(u32) -> Option<f64>) -> (Bounded, f64) {
        let (mut value, mut coverage, mut missing) = (0.0, 0.0, 0.0);
        for &(party, share) in &self.shares {
            match score(party) {
                Some(score) => {
                    value += share * share * score;
                    coverage += share;
                }
                None => missing += share * share,
            }
        }
        // Squares are convex: the unknown part weighs most in the hands of one party.
        let joined =
            |share: f64, score: f64| score * ((share + self.unknown).powi(2) - share * share);
        let worst = self
            .shares
            .iter()
            .map(|&(party, share)| joined(share, score(party).unwrap_or(WORST_SCORE)))
            .fold(joined(self.others, WORST_SCORE), f64::max);
        let high = value + WORST_SCORE * (missing + self.others * self.others) + worst;
        (Bounded { value, low: value, high }, coverage)
    }
}

/// What is left of a supply after part of it is lost.
#[derive(Debug, Clone, PartialEq)]
pub struct Survivors {
    /// Share of the supply that is lost.
    pub share_lost: f64,
    /// Concentration among what is left; `None` if nothing is.
    pub left: Option<Concentration>,
}

/// Concentration among survivors, always with the share that is lost: removing one of many
/// suppliers can lower the index while supply falls.
///
/// `holdings`: party, amount and the share of it that is lost.
pub fn survivors(holdings: &[(Party, f64, f64)]) -> Survivors {
    let total: f64 = holdings.iter().map(|h| h.1).sum();
    let left: Vec<(Party, f64)> =
        holdings.iter().map(|&(p, amount, lost)| (p, amount * (1.0 - lost))).collect();
    let kept: f64 = left.iter().map(|h| h.1).sum();
    Survivors {
        share_lost: if total > 0.0 { (1.0 - kept / total).clamp(0.0, 1.0) } else { 0.0 },
        left: Concentration::of(left),
    }
}
