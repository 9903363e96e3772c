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

use aligned_vec::AVec;

use super::lanes::{differ, lesser};
use super::node_set::NodeSet;
use super::rows::{Rows, Unscaled};
use super::solve::zeros;

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
    /// Node out of whose process it comes, where nobody in the country makes it yet: a by-product
    /// cannot exceed its host.
    pub process: Option<u32>,
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

/// Markets that settle losses, before any shock.
#[derive(Debug)]
pub struct PoolPlan {
    /// The markets.
    pub(crate) markets: Vec<PooledMarket>,
    /// Slot of each group in the state (`u32::MAX`: not settled by a market).
    pub(crate) slot: Vec<u32>,
    /// Market of each slot.
    pub(crate) market_of: Vec<u32>,
    /// Consumer of each slot.
    consumer_of: Vec<u32>,
    /// Number of consumer classes.
    classes: u16,
    /// Pairs (node, market that the node's loss acts on), ascending.
    acts_on: Vec<(u32, u32)>,
}

impl PoolPlan {
    /// Markets with the slot of each group, and the market and the consumer of each slot.
    pub fn new(
        rows: &Rows,
        markets: Vec<PooledMarket>,
        slot: Vec<u32>,
        market_of: Vec<u32>,
        consumer_of: Vec<u32>,
        classes: u16,
    ) -> Self {
        let mut acts_on = Vec::new();
        for (market, pooled) in markets.iter().enumerate() {
            let groups = pooled.groups.iter().map(|g| g.group as usize);
            let hosts = pooled.new_supply.iter().filter_map(|new| new.host);
            let suppliers = groups
                .chain(hosts.flat_map(|host| rows.groups(host)))
                .flat_map(|group| rows.arrivals(group))
                .map(|e| rows.source(e));
            let processes = pooled.new_supply.iter().filter_map(|new| new.process);
            let nodes = suppliers.chain(pooled.spare.iter().map(|s| s.0)).chain(processes);
            acts_on.extend(nodes.map(|node| (node, market as u32)));
        }
        acts_on.sort_unstable();
        acts_on.dedup();
        Self { markets, slot, market_of, consumer_of, classes, acts_on }
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

    /// Markets that a node's loss acts on.
    fn acted_on(&self, node: u32) -> impl Iterator<Item = u32> + '_ {
        let first = self.acts_on.partition_point(|pair| pair.0 < node);
        self.acts_on[first..].iter().take_while(move |pair| pair.0 == node).map(|pair| pair.1)
    }
}

/// Markets that settle losses, under the cuts of one scenario.
#[derive(Debug)]
pub struct Pools<'a> {
    /// The markets.
    pub plan: &'a PoolPlan,
    /// Rows, for the shortfalls.
    pub rows: &'a Rows,
    /// Arrivals that are cut, ascending, with the share that is.
    pub shut: Vec<(usize, f64)>,
    /// Suppliers under an export restriction, ascending: they divert nothing, and what they could
    /// make beyond the baseline serves nobody.
    pub restricted: Vec<u32>,
}

impl Pools<'_> {
    /// What a group is short of before its market acts, and what of its deliveries comes from
    /// suppliers that may divert, as shares of its baseline.
    fn raw<const L: usize>(&self, group: usize, losses: &[[f64; L]]) -> ([f64; L], [f64; L]) {
        let (mut short, mut free) = ([0.0; L], [0.0; L]);
        for e in self.rows.arrivals(group) {
            let supplier = self.rows.source(e);
            let ration = self.rows.ration(e);
            let shut = match self.shut.binary_search_by_key(&e, |cut| cut.0) {
                Ok(k) => self.shut[k].1,
                Err(_) => 0.0,
            };
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

    /// Settles one market in the present state.
    fn settle<const L: usize>(&self, market: u32, losses: &[[f64; L]], state: &mut [[f64; L]]) {
        let market = &self.plan.markets[market as usize];
        let mut supply = [0.0; L];
        for &(node, spare) in &market.spare {
            if self.restricted.binary_search(&node).is_ok() {
                continue;
            }
            for lane in 0..L {
                supply[lane] += spare * (1.0 - losses[node as usize][lane]);
            }
        }
        for new in &market.new_supply {
            let limit = new
                .host
                .map_or([0.0; L], |host| self.rows.node_loss(host, &[0.0; L], losses, &Unscaled));
            let process = new.process.map_or([0.0; L], |v| losses[v as usize]);
            for lane in 0..L {
                supply[lane] += new.quantity * (1.0 - limit[lane].max(process[lane]));
            }
        }
        let raw: Vec<([f64; L], [f64; L])> =
            market.groups.iter().map(|g| self.raw(g.group as usize, losses)).collect();
        for lane in 0..L {
            self.plan.settle_lane(market, &raw, lane, supply[lane], |_| 1.0, state);
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
    /// Factor of each supplier (market rules).
    factor: AVec<[f64; L]>,
    /// Loss of each supplier times its factor (market rules).
    scaled: AVec<[f64; L]>,
    /// Settled loss of each slot (pools).
    settled: Vec<[f64; L]>,
    /// Markets in which a loss has grown since their factors were set.
    stale: NodeSet,
    /// True if arrivals depend on more than `scaled`: on cuts, which count for suppliers without a
    /// loss, too, or on rationing.
    apart: bool,
}

impl<'a, const L: usize> Factors<'a, L> {
    /// Factors under a rule; `None`: all 1.
    pub fn new(rule: Option<FactorRule<'a>>) -> Self {
        let (suppliers, markets, slots) = match rule {
            None => (0, 0, 0),
            Some(FactorRule::SupplierShare(m) | FactorRule::MarketShare(m)) => {
                (m.of.len(), m.count(), 0)
            }
            Some(FactorRule::Pools(p)) => (0, p.plan.markets.len(), p.plan.market_of.len()),
        };
        Self {
            rule,
            factor: zeros(suppliers),
            scaled: zeros(suppliers),
            settled: vec![[0.0; L]; slots],
            stale: NodeSet::new(markets),
            apart: false,
        }
    }

    /// True if factors depend on the state.
    pub fn moves(&self) -> bool {
        self.rule.is_some()
    }

    /// Sets the factors of the state from which a run starts; `apart` tells whether arrivals are
    /// cut or rationed. Shows each node of which a consumer must be looked at (`supplier`), or which must be looked at itself, to the closures.
    pub fn start(
        &mut self,
        losses: &[[f64; L]],
        apart: bool,
        supplier: impl FnMut(u32),
        consumer: impl FnMut(u32),
    ) {
        self.apart = apart;
        self.factor.fill([0.0; L]);
        self.scaled.fill([0.0; L]);
        self.settled.fill([0.0; L]);
        if let Some(FactorRule::SupplierShare(markets) | FactorRule::MarketShare(markets)) =
            self.rule
        {
            // Nodes without a loss, too, need their factor: a cut or the exact limit may use it.
            (0..markets.count() as u32).for_each(|q| self.stale.insert(q));
        }
        if let Some(FactorRule::Pools(pools)) = self.rule {
            (0..pools.plan.markets.len() as u32).for_each(|q| self.stale.insert(q));
        }
        self.refresh(losses, supplier, consumer);
    }

    /// Says that the loss of a node has grown.
    #[inline(always)]
    pub fn grown(&mut self, node: u32) {
        if let Some(FactorRule::SupplierShare(markets) | FactorRule::MarketShare(markets)) =
            self.rule
        {
            self.stale.insert(markets.of[node as usize]);
        }
        if let Some(FactorRule::Pools(pools)) = self.rule {
            pools.plan.acted_on(node).for_each(|q| self.stale.insert(q));
        }
    }

    /// Sets the factors of the present state. Shows every supplier whose deliveries count
    /// differently since, and every consumer whose market settles otherwise, to the closures.
    #[inline(always)]
    pub fn refresh(
        &mut self,
        losses: &[[f64; L]],
        mut supplier: impl FnMut(u32),
        mut consumer: impl FnMut(u32),
    ) {
        match self.rule {
            None => {}
            Some(
                rule @ (FactorRule::SupplierShare(markets) | FactorRule::MarketShare(markets)),
            ) => {
                while let Some(market) = self.stale.take(0, u32::MAX) {
                    let left = left(markets, market, losses);
                    let of_market = match rule {
                        FactorRule::MarketShare(_) => {
                            Some(shares_of_left(&lost(markets, market, losses), &left))
                        }
                        _ => None,
                    };
                    for &node in markets.members(market) {
                        let v = node as usize;
                        let out = [markets.out[v]; L];
                        let factor = of_market.unwrap_or_else(|| shares_of_left(&out, &left));
                        let mut scaled = losses[v];
                        for lane in 0..L {
                            scaled[lane] *= factor[lane];
                        }
                        if differ(&scaled, &self.scaled[v])
                            || self.apart && differ(&factor, &self.factor[v])
                        {
                            supplier(node);
                        }
                        self.factor[v] = factor;
                        self.scaled[v] = scaled;
                    }
                }
            }
            Some(FactorRule::Pools(pools)) => {
                while let Some(market) = self.stale.take(0, u32::MAX) {
                    let groups = &pools.plan.markets[market as usize].groups;
                    let slots =
                        || groups.iter().map(|g| pools.plan.slot[g.group as usize] as usize);
                    let before: Vec<[f64; L]> = slots().map(|slot| self.settled[slot]).collect();
                    pools.settle(market, losses, &mut self.settled);
                    for (slot, before) in slots().zip(before) {
                        if before != self.settled[slot] {
                            consumer(pools.plan.consumer_of[slot]);
                        }
                    }
                }
            }
        }
    }

    /// Losses of suppliers times their factors, if this is all that an arrival depends on.
    pub fn scaled(&self) -> Option<&[[f64; L]]> {
        match self.rule {
            Some(FactorRule::SupplierShare(_) | FactorRule::MarketShare(_)) => Some(&self.scaled),
            _ => None,
        }
    }

    /// Consumers whose inputs markets settle.
    pub fn watch(&self) -> &'a [u32] {
        match self.rule {
            Some(FactorRule::Pools(pools)) => &pools.plan.consumer_of,
            _ => &[],
        }
    }

    /// Loss of a group that its market settles.
    #[inline(always)]
    pub fn settled(&self, group: usize) -> Option<[f64; L]> {
        let Some(FactorRule::Pools(pools)) = self.rule else { return None };
        self.settled.get(pools.plan.slot[group] as usize).copied()
    }

    /// What the market of a settled group lost, by supplier.
    pub fn behind(&self, group: usize, losses: &[[f64; L]]) -> Vec<(u32, f64)> {
        let Some(FactorRule::Pools(pools)) = self.rule else { return Vec::new() };
        let Some(&market) = pools.plan.market_of.get(pools.plan.slot[group] as usize) else {
            return Vec::new();
        };
        pools.plan.markets[market as usize]
            .suppliers
            .iter()
            .map(|&(node, out)| (node, out * losses[node as usize][0]))
            .filter(|(_, lost)| *lost > 0.0)
            .collect()
    }

    /// The factors of one lane.
    pub fn lane(&self, lane: usize) -> Factors<'a, 1> {
        Factors {
            rule: self.rule,
            factor: AVec::from_iter(0, self.factor.iter().map(|f| [f[lane]])),
            scaled: zeros(0),
            settled: self.settled.iter().map(|s| [s[lane]]).collect(),
            stale: NodeSet::default(),
            apart: self.apart,
        }
    }

    /// Scales the loss of one arrival.
    #[inline(always)]
    pub fn apply(&self, loss: &mut [f64; L], supplier: u32) {
        if let Some(factor) = self.factor.get(supplier as usize) {
            for lane in 0..L {
                loss[lane] *= factor[lane];
            }
        }
    }
}

/// `min(1, part / left)`; 1 where nothing is left.
#[inline(always)]
fn shares_of_left<const L: usize>(part: &[f64; L], left: &[f64; L]) -> [f64; L] {
    let mut shares = [1.0; L];
    for lane in 0..L {
        let share = lesser(part[lane] / left[lane], 1.0);
        shares[lane] = if left[lane] > 0.0 { share } else { 1.0 };
    }
    shares
}

#[inline(always)]
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

#[inline(always)]
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
