//! Shapley values of a game that is given by a batch evaluator: exact over all coalitions, or by
//! permutation sampling with antithetic pairs.
//!
//! Exact: `phi_i = sum_S |S|! (n-|S|-1)! / n! (v(S + i) - v(S))` (Shapley 1953). Sampled: the mean
//! marginal contribution over random orders (Castro, Gomez, Tejada 2009), every order used forwards
//! and backwards (antithetic: the two are negatively correlated in most games); the standard error
//! is that of the mean over pairs. Both add up to `v(all)`, the sampled one because the marginals
//! of each order telescope.

use std::collections::BTreeMap;

use rand::Rng;
use rand::seq::SliceRandom;

/// Most players whose coalitions are all evaluated.
pub const EXACT_PLAYERS: usize = 12;
/// Most players that are attributed at all.
pub const MOST_PLAYERS: usize = 2_000;
/// Evaluations that sampling may take, about.
const SAMPLED_EVALUATIONS: usize = 4_096;

/// Shapley values of every player in several games with the same coalitions (one a target).
#[derive(Debug, Clone, PartialEq)]
pub struct Attribution {
    /// Value of each player, by game.
    pub values: Vec<Vec<f64>>,
    /// Standard error of each value, by game, if sampled.
    pub errors: Option<Vec<Vec<f64>>>,
    /// Coalitions that were evaluated.
    pub evaluations: usize,
    /// Orders that were sampled; `None`: exact.
    pub orders: Option<usize>,
}

/// A set of players.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Coalition(Vec<u64>);

impl Coalition {
    /// Nobody, of `players`.
    pub fn empty(players: usize) -> Self {
        Self(vec![0; players.div_ceil(64)])
    }

    /// The players whose bits are set in `mask` (at most 64 players).
    pub fn of_mask(mask: u64) -> Self {
        Self(vec![mask])
    }

    /// Adds a player.
    pub fn insert(&mut self, player: usize) {
        self.0[player / 64] |= 1 << (player % 64);
    }

    /// The players, ascending.
    pub fn members(&self) -> impl Iterator<Item = usize> + '_ {
        self.0.iter().enumerate().flat_map(|(w, &word)| {
            (0..64).filter(move |b| word >> b & 1 == 1).map(move |b| w * 64 + b)
        })
    }
}

/// Pairs of orders that are sampled for `players`.
pub fn pairs(players: usize) -> usize {
    (SAMPLED_EVALUATIONS / (2 * players)).clamp(4, 256)
}

/// Exact values: `evaluate` is asked once for all coalitions but the empty one, whose value is 0,
/// and gives for each coalition its value in each of `games`.
///
/// # Errors
/// What `evaluate` returns.
pub fn exact<E>(
    players: usize,
    games: usize,
    evaluate: impl FnOnce(&[Coalition]) -> Result<Vec<Vec<f64>>, E>,
) -> Result<Attribution, E> {
    let all: Vec<Coalition> = (1..1u64 << players).map(Coalition::of_mask).collect();
    let values = evaluate(&all)?;
    let value = |mask: usize, game: usize| if mask == 0 { 0.0 } else { values[mask - 1][game] };
    // |S|! (n-|S|-1)! / n! = 1 / (n * C(n-1, |S|)).
    let mut weight = vec![1.0 / players as f64; players];
    for size in 1..players {
        weight[size] = weight[size - 1] * size as f64 / (players - size) as f64;
    }
    let shapley = |game: usize, player: usize| -> f64 {
        (0..1usize << players)
            .filter(|mask| mask >> player & 1 == 0)
            .map(|mask| {
                let gain = value(mask | 1 << player, game) - value(mask, game);
                weight[mask.count_ones() as usize] * gain
            })
            .sum()
    };
    Ok(Attribution {
        values: (0..games).map(|g| (0..players).map(|p| shapley(g, p)).collect()).collect(),
        errors: None,
        evaluations: all.len(),
        orders: None,
    })
}

/// Values by sampling orders of the players; `evaluate` as in [`exact`].
///
/// # Errors
/// What `evaluate` returns.
pub fn sampled<E>(
    players: usize,
    games: usize,
    rng: &mut impl Rng,
    evaluate: impl FnOnce(&[Coalition]) -> Result<Vec<Vec<f64>>, E>,
) -> Result<Attribution, E> {
    let pairs = pairs(players);
    let mut orders: Vec<Vec<usize>> = Vec::with_capacity(2 * pairs);
    for _ in 0..pairs {
        let mut order: Vec<usize> = (0..players).collect();
        order.shuffle(rng);
        let back = order.iter().rev().copied().collect();
        orders.extend([order, back]);
    }
    let mut index: BTreeMap<Coalition, usize> = BTreeMap::new();
    for order in &orders {
        let mut coalition = Coalition::empty(players);
        for &player in order {
            coalition.insert(player);
            index.entry(coalition.clone()).or_insert(0);
        }
    }
    for (position, slot) in index.values_mut().enumerate() {
        *slot = position;
    }
    let coalitions: Vec<Coalition> = index.keys().cloned().collect();
    let values = evaluate(&coalitions)?;

    let mut sums = vec![vec![0.0; players]; games];
    let mut squares = vec![vec![0.0; players]; games];
    for pair in orders.chunks(2) {
        // Mean marginal of each player over the pair.
        let mut marginal = vec![vec![0.0; players]; games];
        for order in pair {
            let mut coalition = Coalition::empty(players);
            let mut before = vec![0.0; games];
            for &player in order {
                coalition.insert(player);
                let after = &values[index[&coalition]];
                for game in 0..games {
                    marginal[game][player] += (after[game] - before[game]) / 2.0;
                }
                before.clone_from(after);
            }
        }
        for game in 0..games {
            for player in 0..players {
                sums[game][player] += marginal[game][player];
                squares[game][player] += marginal[game][player] * marginal[game][player];
            }
        }
    }
    let n = pairs as f64;
    let errors = sums
        .iter()
        .zip(&squares)
        .map(|(sums, squares)| {
            sums.iter()
                .zip(squares)
                .map(|(s, q)| ((q - s * s / n).max(0.0) / (n - 1.0) / n).sqrt())
                .collect()
        })
        .collect();
    for sums in &mut sums {
        for sum in sums {
            *sum /= n;
        }
    }
    Ok(Attribution {
        values: sums,
        errors: Some(errors),
        evaluations: coalitions.len(),
        orders: Some(2 * pairs),
    })
}
