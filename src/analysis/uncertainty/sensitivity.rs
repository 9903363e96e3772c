//! Sensitivity: which figures drive the spread of a quantity.
//!
//! Rank correlation between a figure's draws and the quantity's (Spearman 1904) finds monotone
//! influence of any shape. Draws of figures are independent, so the squared correlation is about
//! the part of the quantity's rank variance that the figure alone brings (Saltelli et al. 2008,
//! sect. 1.2); what chance alone would give, 1 / (draws - 1), is taken off. Among thousands of
//! figures some correlate by chance: a figure counts only if its correlation is beyond what the
//! luckiest of all figures would show in 95 of 100 cases (Bonferroni).

use rayon::prelude::*;
use statrs::distribution::{ContinuousCDF, Normal};

use super::draw::Ranges;
use super::ensemble::{Quantities, Samples};
use super::statistics::CentredRanks;
use super::stream;
use crate::analysis::{Cancelled, Progress};

/// Figures of one unit of work.
const CHUNK: usize = 64;
/// Chance that any figure without influence is taken for one with it.
const FALSE_ALARM: f64 = 0.05;

/// One figure behind a spread.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Driver {
    /// Position among the figures of the ranges.
    pub figure: usize,
    /// Rank correlation with the quantity, -1 to 1.
    pub correlation: f64,
    /// Part of the rank variance of the quantity that it brings, 0-1.
    pub variance_share: f64,
}

/// The figures behind the spread of one quantity.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Drivers {
    /// Those that can be told from chance, most influence first.
    pub list: Vec<Driver>,
    /// Part of the rank variance that they leave: figures of little influence each, figures that
    /// act together, influence that is not monotone.
    pub unexplained: f64,
}

/// Units of progress that [`drivers`] advances by.
pub fn units(ranges: &Ranges) -> u64 {
    ranges.figures().len().div_ceil(CHUNK) as u64
}

/// The figures behind the spread of each of the `samples`, which were drawn with `seed`.
///
/// # Errors
/// Cancellation.
pub fn drivers(
    ranges: &Ranges,
    samples: &Samples,
    seed: u64,
    progress: &Progress,
) -> Result<Vec<Drivers>, Cancelled> {
    let quantities: Vec<CentredRanks> =
        samples.by_quantity.iter().map(|draws| CentredRanks::of(draws)).collect();
    let figures = ranges.figures();
    let n = samples.draws;
    let chance = if n > 1 { 1.0 / (n as f64 - 1.0) } else { 1.0 };
    let tail = FALSE_ALARM / 2.0 / figures.len().max(1) as f64;
    let least = Normal::standard().inverse_cdf(1.0 - tail) * chance.sqrt();
    let positions: Vec<usize> = (0..figures.len()).collect();
    let found: Vec<Vec<(usize, Driver)>> = positions
        .par_chunks(CHUNK)
        .map(|chunk| {
            progress.advance(1)?;
            let mut found = Vec::new();
            let mut draws = Vec::with_capacity(n);
            for &k in chunk {
                let figure = &figures[k];
                draws.clear();
                draws.extend((0..n as u64).map(|draw| {
                    let u = stream::uniform(seed, figure.key, draw);
                    // Ranks of a strictly increasing function are those of its argument.
                    if figure.distribution.is_strict() {
                        u
                    } else {
                        figure.distribution.quantile(u)
                    }
                }));
                let own = CentredRanks::of(&draws);
                for (q, quantity) in quantities.iter().enumerate() {
                    let correlation = own.correlation(quantity);
                    if correlation.abs() > least {
                        let squared = correlation * correlation;
                        let variance_share = (squared - chance) / (1.0 - chance);
                        found.push((q, Driver { figure: k, correlation, variance_share }));
                    }
                }
            }
            Ok(found)
        })
        .collect::<Result<_, Cancelled>>()?;
    let mut all = vec![Drivers::default(); quantities.len()];
    for (q, driver) in found.into_iter().flatten() {
        all[q].list.push(driver);
    }
    for (drivers, quantity) in all.iter_mut().zip(&quantities) {
        drivers.list.sort_by(|a, b| {
            b.correlation.abs().total_cmp(&a.correlation.abs()).then(a.figure.cmp(&b.figure))
        });
        let sum: f64 = drivers.list.iter().map(|d| d.variance_share).sum();
        if sum > 1.0 {
            for driver in &mut drivers.list {
                driver.variance_share /= sum;
            }
        }
        drivers.unexplained = if quantity.is_constant() { 0.0 } else { (1.0 - sum).max(0.0) };
    }
    Ok(all)
}

/// Quantities with one figure at the ends of its range and all others at their values.
#[derive(Debug, Clone, PartialEq)]
pub struct Bar {
    /// Position of the figure.
    pub figure: usize,
    /// Every quantity with the figure at its low.
    pub at_low: Vec<f64>,
    /// Every quantity with the figure at its high.
    pub at_high: Vec<f64>,
}

/// Bars of a tornado diagram for these figures, in the order given. Advances `progress` by one for
/// each.
///
/// # Errors
/// The first evaluation that fails; cancellation.
pub fn tornado<Q: Quantities>(
    ranges: &Ranges,
    quantities: &Q,
    figures: &[usize],
    progress: &Progress,
) -> Result<Vec<Bar>, Q::Error> {
    figures
        .par_iter()
        .map_init(
            || ranges.room(),
            |room, &figure| {
                let distribution = &ranges.figures()[figure].distribution;
                let mut at = |value: f64| -> Result<Vec<f64>, Q::Error> {
                    let mut row = vec![0.0; quantities.width()];
                    let graph = ranges.with(figure, value, room);
                    quantities.evaluate(graph, &mut row, progress)?;
                    Ok(row)
                };
                let bar = Bar {
                    figure,
                    at_low: at(distribution.low())?,
                    at_high: at(distribution.high())?,
                };
                progress.advance(1)?;
                Ok(bar)
            },
        )
        .collect()
}
