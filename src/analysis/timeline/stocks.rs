//! What a node makes of what arrives and what it holds, and what is left in store.

use crate::analysis::impact::rows::{ArrivalScale, Binding, InputRule, Rows};

/// Losses this near each other bind alike.
const ALIKE: f64 = 1e-12;

/// Stocks and shortages of every input of every node.
#[derive(Debug, Clone)]
pub struct Stocks {
    /// What is in store, in steps of use.
    pub held: Vec<f64>,
    /// What it should be; empty: no node has a stock.
    pub target: Vec<f64>,
    /// Most that is stored, over the target.
    ceiling: f64,
    /// True if deliveries stay at the baseline whatever is used.
    frozen: bool,
    /// What each input is short of in this step before anything from store (negative: more arrived
    /// than usual), as a share of its baseline.
    pub arrived_short: Vec<f64>,
    /// The same with all that is in store.
    pub short: Vec<f64>,
    /// What stockpiles released, in steps of use.
    pub released: Vec<f64>,
}

/// Shortages after stores, as the production rows read them. `wish` scales them where more than
/// the baseline is wished.
#[derive(Debug)]
pub struct Shortages<'a> {
    short: &'a [f64],
    wish: f64,
}

impl ArrivalScale<1> for Shortages<'_> {
    #[inline(always)]
    fn apply(&self, _: &mut [f64; 1], _: usize, _: u32) {}

    #[inline(always)]
    fn settled(&self, group: usize) -> Option<[f64; 1]> {
        let short = self.short[group];
        Some([if self.wish > 1.0 {
            (1.0 - (1.0 - short) / self.wish).max(0.0)
        } else {
            short.max(0.0)
        }])
    }

    fn slope(&self, _: &mut [f64; 1], _: f64, _: usize, _: u32) {}
}

impl Stocks {
    /// Full stocks under orders that are frozen at the baseline: no more is stored than that.
    pub fn frozen(groups: usize, target: Vec<f64>) -> Self {
        Self { frozen: true, ..Self::adaptive(groups, target, 1.0) }
    }

    /// Full stocks under orders that follow what is wished. `ceiling`: most that is stored, over the
    /// target.
    pub fn adaptive(groups: usize, target: Vec<f64>, ceiling: f64) -> Self {
        Self {
            held: target.clone(),
            target,
            ceiling,
            frozen: false,
            arrived_short: vec![0.0; groups],
            short: vec![0.0; groups],
            released: vec![0.0; groups],
        }
    }

    /// Sets what an input is short of in this step.
    #[inline(always)]
    pub fn arrive(&mut self, group: usize, short: f64) {
        self.arrived_short[group] = short;
        self.short[group] = short - self.held.get(group).copied().unwrap_or(0.0);
    }

    /// Output over the baseline of a node that wishes for `wish`, by the production rows.
    ///
    /// Up to the baseline: `min(wish, what the inputs allow)`. Above it inputs are needed in
    /// proportion to the wish, and what is missing is counted against that.
    #[inline(always)]
    pub fn loss(&self, rows: &Rows, node: u32, shock: f64) -> f64 {
        let scale = Shortages { short: &self.short, wish: 1.0 };
        rows.node_loss(node, &[shock], &[], &scale)[0]
    }

    /// The same for any wish, as output over the baseline.
    pub fn output(&self, rows: &Rows, node: u32, wish: f64) -> f64 {
        if wish <= 1.0 {
            return 1.0 - self.loss(rows, node, 1.0 - wish);
        }
        let scale = Shortages { short: &self.short, wish };
        wish * (1.0 - rows.node_loss(node, &[0.0], &[], &scale)[0])
    }

    /// What binds a node in this step.
    pub fn binding(&self, rows: &Rows, node: u32, shock: f64) -> Binding {
        rows.binding(node, shock, &[], &Shortages { short: &self.short, wish: 1.0 }, &[])
    }

    /// Takes what a node used out of its stores. `output`: what it made, over the baseline. Returns
    /// true if a store moved.
    ///
    /// An input of a sum that binds is used up to its full need: what arrives is spent although it
    /// does not help. A threshold input is needed in full whatever the output. (With use in
    /// proportion to output everywhere the limit is not that of the cascade.)
    ///
    /// With frozen orders the sum binds as soon as what *arrives* would make it bind: else a store
    /// that another limit keeps full would stand in for an arrival for ever, and the timeline would
    /// rest above the output of the steady state. Every store of an input that is short in the end
    /// then empties, so stocks change when a loss comes and not where it ends.
    #[inline(always)]
    pub fn use_up(&mut self, rows: &Rows, node: u32, output: f64) -> bool {
        if self.target.is_empty() {
            return false;
        }
        let mut moved = false;
        let mut sum_binds = None;
        for group in rows.groups(node) {
            let target = self.target[group];
            if target <= 0.0 {
                continue;
            }
            let available = 1.0 - self.short[group];
            let need = match rows.rule(group) {
                InputRule::Additive => {
                    let binds = *sum_binds.get_or_insert_with(|| {
                        let lost = self.lost_by_sum(rows, node);
                        lost > 0.0 && lost >= 1.0 - output - ALIKE
                    });
                    if binds { output.max(1.0) } else { output }
                }
                InputRule::Threshold(_) => output.max(1.0),
                _ => output,
            };
            // Kept as differences: at rest nothing is rounded.
            let left =
                (1.0 - need.min(available) - self.short[group]).clamp(0.0, self.ceiling * target);
            if left != self.held[group] {
                moved = true;
                self.held[group] = left;
            }
        }
        moved
    }

    /// What the sum of its additive inputs takes of a node: by what arrives (with what stockpiles
    /// release) where orders are frozen, else after its stores.
    fn lost_by_sum(&self, rows: &Rows, node: u32) -> f64 {
        let short = |g: usize| match self.frozen {
            true => self.arrived_short[g] - self.released[g],
            false => self.short[g],
        };
        rows.groups(node)
            .filter(|&g| rows.rule(g) == InputRule::Additive)
            .map(|g| rows.share(g) * short(g).max(0.0))
            .sum()
    }

    /// Steps of use that a node holds of the input that it holds least of, among inputs that matter
    /// and are kept in store.
    pub fn cover(&self, rows: &Rows, node: u32) -> Option<f64> {
        if self.target.is_empty() {
            return None;
        }
        rows.groups(node)
            .filter(|&g| self.target[g] > 0.0)
            .map(|g| self.held[g])
            .min_by(f64::total_cmp)
    }
}
