//! What replaces lost supply: factors on arrivals that depend on the state of their market.
//!
//! * `supplier_share` (Diem et al. 2022, eq. 6): a supplier's loss counts by
//!   `min(1, out_i / sum_q out (1 - l))`, its share of what its market still delivers. Depends on
//!   how a market is split into nodes: members of a set each look replaceable by the rest.
//! * `market_share`: by `min(1, lost_q / left_q)`; equal to the former for one full failure in the
//!   first sweep, and invariant to splitting nodes.
//! * pools: spare capacity of survivors and new projects fill a market's shortfalls, class by
//!   class under priority rationing, in proportion inside a class. Goods are never made from
//!   nothing: what is filled is at most what the pool holds.
//!
//! A market of which nothing is left counts in full (factor 1).

use super::rationing::{Classes, Ration};
use super::rows::Rows;

/// Members and baseline deliveries of each market.
#[derive(Debug, Clone)]
pub struct Markets {
    /// Market of each node.
    pub of: Vec<u32>,
    /// Baseline deliveries (out-strength) of each node.
    pub out: Vec<f64>,
    members: Vec<Vec<u32>>,
}

impl Markets {
    /// Markets from a label per node: `of[v]` in `0..count`.
    pub fn new(of: Vec<u32>, count: usize, out: Vec<f64>) -> Self {
        let mut members = vec![Vec::new(); count];
        for (node, &market) in of.iter().enumerate() {
            members[market as usize].push(node as u32);
        }
        Self { of, out, members }
    }

    /// Number of markets.
    pub fn count(&self) -> usize {
        self.members.len()
    }

    /// Nodes of a market, ascending.
    pub fn members(&self, market: u32) -> &[u32] {
        &self.members[market as usize]
    }
}

/// New supply that does not come from the baseline nodes: a project.
#[derive(Debug, Clone, PartialEq)]
pub struct NewSupply {
    /// Its market.
    pub market: u32,
    /// Quantity per year at full capacity.
    pub quantity: f64,
    /// Node whose inputs limit it (the host of a by-product), if it is modelled.
    pub host: Option<u32>,
}

/// Supply that fills shortfalls, by market.
#[derive(Debug)]
pub struct Pools<'a> {
    /// Markets by (product, stage).
    pub markets: &'a Markets,
    /// What each node can make beyond its baseline, per year.
    pub spare: Vec<f64>,
    /// Projects.
    pub new_supply: Vec<NewSupply>,
    /// Rows, for the shortfalls.
    pub rows: &'a Rows,
    /// Share of each arrival that is cut; empty: none.
    pub shut: Vec<f64>,
    /// Consumer classes in the order of service.
    pub classes: &'a Classes,
    /// Arrivals that pools may fill: (arrival, consumer, market, quantity per year).
    pub arrivals: Vec<(u32, u32, u32, f64)>,
    /// Slot (market x class) of each arrival; `u32::MAX`: not filled by a pool.
    pub slot: Vec<u32>,
}

/// Which factor applies.
#[derive(Debug, Clone, Copy)]
pub enum FactorRule<'a> {
    /// Per supplier.
    SupplierShare(&'a Markets),
    /// Per market.
    MarketShare(&'a Markets),
    /// Spare capacity and projects.
    Pools(&'a Pools<'a>),
}

/// The factors of `L` scenarios in their present state.
#[derive(Debug, Clone)]
pub struct Factors<'a, const L: usize> {
    rule: Option<FactorRule<'a>>,
    /// Factor per supplier (`SupplierShare`), per market (`MarketShare`), or what is left unfilled
    /// per slot (pools).
    state: Vec<[f64; L]>,
    hot: Vec<bool>,
}

impl<'a, const L: usize> Factors<'a, L> {
    /// Factors under a rule; `None`: all 1.
    pub fn new(rule: Option<FactorRule<'a>>) -> Self {
        let slots = match rule {
            None => 0,
            Some(FactorRule::SupplierShare(m)) => m.of.len(),
            Some(FactorRule::MarketShare(m)) => m.count(),
            Some(FactorRule::Pools(p)) => p.markets.count() * p.classes.count as usize,
        };
        Self { rule, state: vec![[0.0; L]; slots], hot: vec![false; slots] }
    }

    /// True if factors depend on the state.
    pub fn moves(&self) -> bool {
        self.rule.is_some()
    }

    /// Sets the factors of the state from which a run starts.
    pub fn start(&mut self, losses: &[[f64; L]], touched: &[u32]) {
        self.hot.fill(false);
        match self.rule {
            None => return,
            // Factors of nodes without a loss do not matter: they scale nothing.
            Some(FactorRule::SupplierShare(_)) => self.state.fill([1.0; L]),
            Some(FactorRule::MarketShare(_)) => self.state.fill([0.0; L]),
            Some(FactorRule::Pools(_)) => self.state.fill([1.0; L]),
        }
        self.refresh(losses, touched);
    }

    /// Sets the factors of the present state; `touched` holds every node with a loss.
    pub fn refresh(&mut self, losses: &[[f64; L]], touched: &[u32]) {
        match self.rule {
            None => {}
            Some(FactorRule::SupplierShare(markets) | FactorRule::MarketShare(markets)) => {
                for &node in touched {
                    self.hot[markets.of[node as usize] as usize] = true;
                }
                let mut left_of = vec![[0.0; L]; markets.count()];
                for market in 0..markets.count() {
                    if self.hot[market] {
                        left_of[market] = left(markets, market as u32, losses);
                    }
                }
                if matches!(self.rule, Some(FactorRule::MarketShare(_))) {
                    for market in (0..markets.count()).filter(|&q| self.hot[q]) {
                        let lost = lost(markets, market as u32, losses);
                        self.state[market] = std::array::from_fn(|lane| {
                            share_of_left(lost[lane], left_of[market][lane])
                        });
                    }
                } else {
                    for &node in touched {
                        let left = &left_of[markets.of[node as usize] as usize];
                        let out = markets.out[node as usize];
                        self.state[node as usize] =
                            std::array::from_fn(|lane| share_of_left(out, left[lane]));
                    }
                }
            }
            Some(FactorRule::Pools(pools)) => self.refresh_pools(pools, losses),
        }
    }

    fn refresh_pools(&mut self, pools: &Pools<'_>, losses: &[[f64; L]]) {
        let classes = pools.classes.count as usize;
        let mut short = vec![[0.0; L]; self.state.len()];
        for &(arrival, consumer, market, quantity) in &pools.arrivals {
            let supplier = pools.rows.source(arrival as usize);
            let ration: Ration = pools.rows.ration(arrival as usize);
            let shut = pools.shut.get(arrival as usize).copied().unwrap_or(0.0);
            let class = pools.classes.of[consumer as usize] as usize;
            let slot = &mut short[market as usize * classes + class];
            for lane in 0..L {
                let loss = ration.loss(losses[supplier as usize][lane]).max(shut);
                slot[lane] += quantity * loss;
            }
        }
        for market in 0..pools.markets.count() {
            let mut supply = [0.0; L];
            for &node in pools.markets.members(market as u32) {
                let spare = pools.spare[node as usize];
                if spare > 0.0 {
                    for lane in 0..L {
                        supply[lane] += spare * (1.0 - losses[node as usize][lane]);
                    }
                }
            }
            for new in pools.new_supply.iter().filter(|s| s.market as usize == market) {
                let limit = new.host.map_or([0.0; L], |host| {
                    pools.rows.node_loss(host, &[0.0; L], losses, &super::rows::Unscaled)
                });
                for lane in 0..L {
                    supply[lane] += new.quantity * (1.0 - limit[lane]);
                }
            }
            for class in 0..classes {
                let slot = market * classes + class;
                for lane in 0..L {
                    let wanted = short[slot][lane];
                    if wanted <= 0.0 {
                        self.state[slot][lane] = 1.0;
                        continue;
                    }
                    let filled = (supply[lane] / wanted).min(1.0);
                    supply[lane] -= filled * wanted;
                    self.state[slot][lane] = 1.0 - filled;
                }
            }
        }
    }

    /// The factors of one lane in the state `losses`.
    pub fn lane(&self, lane: usize, losses: &[[f64; 1]]) -> Factors<'a, 1> {
        let mut one = Factors {
            rule: self.rule,
            state: self.state.iter().map(|s| [s[lane]]).collect(),
            hot: vec![true; self.hot.len()],
        };
        let touched: Vec<u32> =
            (0..losses.len() as u32).filter(|&v| losses[v as usize][0] > 0.0).collect();
        one.refresh(losses, &touched);
        one
    }

    /// Scales the loss of one arrival.
    #[inline(always)]
    pub fn apply(&self, loss: &mut [f64; L], arrival: usize, supplier: u32) {
        match self.rule {
            None => {}
            Some(FactorRule::SupplierShare(_)) => {
                let factor = self.state[supplier as usize];
                for lane in 0..L {
                    loss[lane] *= factor[lane];
                }
            }
            Some(FactorRule::MarketShare(markets)) => {
                let factor = self.state[markets.of[supplier as usize] as usize];
                for lane in 0..L {
                    loss[lane] *= factor[lane];
                }
            }
            Some(FactorRule::Pools(pools)) => {
                if let Some(unfilled) = self.state.get(pools.slot[arrival] as usize) {
                    for lane in 0..L {
                        loss[lane] *= unfilled[lane];
                    }
                }
            }
        }
    }
}

/// `min(1, part / left)`; 1 where nothing is left.
fn share_of_left(part: f64, left: f64) -> f64 {
    if left > 0.0 { (part / left).min(1.0) } else { 1.0 }
}

fn left<const L: usize>(markets: &Markets, market: u32, losses: &[[f64; L]]) -> [f64; L] {
    let mut sum = [0.0; L];
    for &node in markets.members(market) {
        let out = markets.out[node as usize];
        for lane in 0..L {
            sum[lane] += out * (1.0 - losses[node as usize][lane]);
        }
    }
    sum
}

fn lost<const L: usize>(markets: &Markets, market: u32, losses: &[[f64; L]]) -> [f64; L] {
    let mut sum = [0.0; L];
    for &node in markets.members(market) {
        let out = markets.out[node as usize];
        for lane in 0..L {
            sum[lane] += out * losses[node as usize][lane];
        }
    }
    sum
}
