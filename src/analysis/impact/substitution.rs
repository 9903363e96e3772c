//! What replaces lost supply: factors on arrivals that depend on the state of their market.
//!
//! * `supplier_share` (Diem et al. 2022, eq. 6): a supplier's loss counts by
//!   `min(1, out_i / sum_q out (1 - l))`, its share of what its market still delivers. Depends on
//!   how a market is split into nodes: members of a set each look replaceable by the rest.
//! * `market_share`: by `min(1, lost_q / left_q)`; equal to the former for one full failure in the
//!   first sweep, and invariant to splitting nodes.
//! * pools: spare capacity of survivors, new projects and deliveries diverted from end uses fill a
//!   market's shortfalls, class by class, in proportion inside a class. Goods are never made from
//!   nothing: what is filled is at most what the pool holds.
//!
//! A market of which nothing is left counts in full (factor 1).

use super::rows::{Rows, Unscaled};

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
    /// Quantity per year at full capacity.
    pub quantity: f64,
    /// Day of the first output (timelines).
    pub from_day: f64,
    /// Days from there to full capacity (timelines).
    pub ramp_days: f64,
    /// Node whose inputs limit it (the host of a by-product), if it is modelled.
    pub host: Option<u32>,
}

/// One input of one consumer whose loss its market settles.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PooledGroup {
    /// The group.
    pub group: u32,
    /// Quantity per year in the baseline.
    pub quantity: f64,
    /// Class of the consumer.
    pub class: u16,
    /// Share of the consumer's output that serves the order of service.
    pub critical: f64,
    /// True for an end use outside the order: its deliveries may be diverted.
    pub end_use: bool,
}

/// A market that settles the losses of its consumers: new supply and spare capacity fill
/// shortfalls class by class; then deliveries to end uses outside the order are diverted to the
/// critical part of what others are short of, best class first. Goods are conserved.
#[derive(Debug, Clone, Default)]
pub struct PooledMarket {
    /// Nodes that can make more, with what they can make beyond the baseline.
    pub spare: Vec<(u32, f64)>,
    /// Projects.
    pub new_supply: Vec<NewSupply>,
    /// Inputs that the market serves, by class.
    pub groups: Vec<PooledGroup>,
    /// Its suppliers with their baseline deliveries.
    pub suppliers: Vec<(u32, f64)>,
}

/// Markets that settle losses.
#[derive(Debug)]
pub struct Pools<'a> {
    /// The markets.
    pub markets: Vec<PooledMarket>,
    /// Slot of each group in the state (`u32::MAX`: not settled by a market).
    pub slot: Vec<u32>,
    /// Market of each slot.
    pub market_of: Vec<u32>,
    /// Rows, for the shortfalls.
    pub rows: &'a Rows,
    /// Share of each arrival that is cut; empty: none.
    pub shut: Vec<f64>,
    /// Suppliers under an export restriction, ascending: they divert nothing.
    pub restricted: Vec<u32>,
    /// Number of consumer classes.
    pub classes: u16,
    /// Consumers of all pooled groups, ascending.
    pub consumers: Vec<u32>,
}

impl Pools<'_> {
    /// What a group is short of before its market acts, and what of its deliveries comes from
    /// suppliers that may divert, as shares of its baseline.
    fn raw<const L: usize>(&self, group: usize, losses: &[[f64; L]]) -> ([f64; L], [f64; L]) {
        let (mut short, mut free) = ([0.0; L], [0.0; L]);
        for e in self.rows.arrivals(group) {
            let supplier = self.rows.source(e);
            let ration = self.rows.ration(e);
            let shut = self.shut.get(e).copied().unwrap_or(0.0);
            let weight = self.rows.weight(e);
            let may = self.restricted.binary_search(&supplier).is_err();
            for lane in 0..L {
                let loss = ration.loss(losses[supplier as usize][lane]).max(shut);
                short[lane] += weight * loss;
                if may {
                    free[lane] += weight * (1.0 - loss);
                }
            }
        }
        (short, free)
    }

    /// Settles every market in the present state.
    fn settle<const L: usize>(&self, losses: &[[f64; L]], state: &mut [[f64; L]]) {
        for market in &self.markets {
            let mut supply = [0.0; L];
            for &(node, spare) in &market.spare {
                for lane in 0..L {
                    supply[lane] += spare * (1.0 - losses[node as usize][lane]);
                }
            }
            for new in &market.new_supply {
                let limit = new.host.map_or([0.0; L], |host| {
                    self.rows.node_loss(host, &[0.0; L], losses, &Unscaled)
                });
                for lane in 0..L {
                    supply[lane] += new.quantity * (1.0 - limit[lane]);
                }
            }
            let raw: Vec<([f64; L], [f64; L])> =
                market.groups.iter().map(|g| self.raw(g.group as usize, losses)).collect();
            for lane in 0..L {
                self.settle_lane(market, &raw, lane, supply[lane], |_| 1.0, state);
            }
        }
    }

    /// Settles one market in one lane: what its inputs are `raw` short of and what of their
    /// deliveries may be diverted (both as shares of the baseline, in the order of its groups), with
    /// `supply` per year to fill from. `reach` is the share of a shortage that a consumer may fill
    /// from it. The losses that are left go to `state`, by slot.
    pub(crate) fn settle_lane<const L: usize>(
        &self,
        market: &PooledMarket,
        raw: &[([f64; L], [f64; L])],
        lane: usize,
        mut supply: f64,
        reach: impl Fn(&PooledGroup) -> f64,
        state: &mut [[f64; L]],
    ) {
        let slot = |g: &PooledGroup| self.slot[g.group as usize] as usize;
        let mut releasable = 0.0;
        for (g, (short, free)) in market.groups.iter().zip(raw) {
            state[slot(g)][lane] = short[lane];
            if g.end_use {
                releasable += g.quantity * free[lane];
            }
        }
        let fill = |class: u16,
                    supply: f64,
                    state: &mut [[f64; L]],
                    need: &dyn Fn(&PooledGroup, f64) -> f64| {
            let members = || market.groups.iter().filter(move |g| g.class == class);
            let wanted: f64 = members().map(|g| g.quantity * need(g, state[slot(g)][lane])).sum();
            if wanted <= 0.0 || supply <= 0.0 {
                return 0.0;
            }
            let filled = (supply / wanted).min(1.0);
            for g in members() {
                let short = &mut state[slot(g)][lane];
                *short = (*short - filled * need(g, *short)).max(0.0);
            }
            filled * wanted
        };
        for class in 0..self.classes {
            supply -= fill(class, supply, state, &|g, short| reach(g) * short);
        }
        let mut left = releasable;
        // The critical part of a need; what still arrives covers that part first.
        let critical = |g: &PooledGroup, short: f64| {
            if g.end_use { 0.0 } else { (g.critical - 1.0 + short).clamp(0.0, short) }
        };
        for class in 0..self.classes {
            left -= fill(class, left, state, &critical);
        }
        if left < releasable {
            let taken = 1.0 - left / releasable;
            for (g, (_, free)) in market.groups.iter().zip(raw) {
                if g.end_use {
                    let short = &mut state[slot(g)][lane];
                    *short = (*short + taken * free[lane]).min(1.0);
                }
            }
        }
    }
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
    /// Factor per supplier (`SupplierShare`), per market (`MarketShare`), or settled loss per group
    /// (pools).
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
            Some(FactorRule::Pools(p)) => p.market_of.len(),
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
            Some(FactorRule::Pools(_)) => {}
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
            Some(FactorRule::Pools(pools)) => pools.settle(losses, &mut self.state),
        }
    }

    /// Nodes to look at from the start.
    pub fn watch(&self) -> &'a [u32] {
        match self.rule {
            Some(FactorRule::Pools(pools)) => &pools.consumers,
            _ => &[],
        }
    }

    /// Loss of a group that its market settles.
    #[inline(always)]
    pub fn settled(&self, group: usize) -> Option<[f64; L]> {
        let Some(FactorRule::Pools(pools)) = self.rule else { return None };
        self.state.get(pools.slot[group] as usize).copied()
    }

    /// What the market of a settled group lost, by supplier.
    pub fn behind(&self, group: usize, losses: &[[f64; L]]) -> Vec<(u32, f64)> {
        let Some(FactorRule::Pools(pools)) = self.rule else { return Vec::new() };
        let Some(&market) = pools.market_of.get(pools.slot[group] as usize) else {
            return Vec::new();
        };
        pools.markets[market as usize]
            .suppliers
            .iter()
            .map(|&(node, out)| (node, out * losses[node as usize][0]))
            .filter(|(_, lost)| *lost > 0.0)
            .collect()
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
    pub fn apply(&self, loss: &mut [f64; L], supplier: u32) {
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
            Some(FactorRule::Pools(_)) => {}
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
