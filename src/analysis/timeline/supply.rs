//! Supply beyond the usual deliveries: markets that settle shortages, and stockpiles.

use std::sync::Arc;

use crate::analysis::impact::ImpactError;
use crate::analysis::impact::model::last_stage;
use crate::analysis::impact::rows::Unscaled;
use crate::analysis::impact::substitution::{
    NewSupply, PoolPlan, PooledGroup, PooledMarket, Pools,
};
use crate::graph::Snapshot;
use crate::model::scenario::{Response, ScenarioError};

use super::setting::Setting;

/// Shortages up to this are none.
const SHORT: f64 = 1e-9;
/// Days of a year: quantities are per year.
pub const YEAR_DAYS: f64 = 365.0;

/// Share of a project's capacity on a day.
fn ramp(project: &NewSupply, day: f64) -> f64 {
    let since = day - project.from_day;
    if since < 0.0 {
        0.0
    } else if project.ramp_days > 0.0 {
        (since / project.ramp_days).min(1.0)
    } else {
        1.0
    }
}

/// Markets that settle the shortages of their consumers, in time: projects ramp up, and a consumer
/// reaches new suppliers only after its switching time.
pub struct Market<'m> {
    pools: Pools<'m>,
    /// Step since which each slot has been short.
    since: Vec<Option<usize>>,
    /// What each slot is short of after its market acted.
    settled: Vec<[f64; 1]>,
    raw: Vec<([f64; 1], [f64; 1])>,
}

impl<'m> Market<'m> {
    /// Markets over pools.
    pub fn new(pools: Pools<'m>) -> Self {
        let slots = pools.plan.market_of.len();
        Self { pools, since: vec![None; slots], settled: vec![[0.0]; slots], raw: Vec::new() }
    }

    /// Shortage of a group after its market acted, if a market settles it.
    pub fn settled(&self, group: usize) -> Option<f64> {
        self.settled.get(self.pools.plan.slot[group] as usize).map(|s| s[0])
    }

    /// Settles all markets in a step. `losses`: of the nodes as they supply. `raw` gives what a
    /// group is short of and what of its deliveries may be diverted, as shares of its baseline.
    /// `spare` turns a node's stated spare quantity into what it has now.
    pub fn settle(
        &mut self,
        setting: &Setting<'_>,
        step: usize,
        losses: &[[f64; 1]],
        raw: impl Fn(usize) -> (f64, f64),
        spare: impl Fn(u32, f64) -> f64,
    ) {
        let Self { pools, since, settled, raw: list } = self;
        let switching = setting.switching();
        for market in &pools.plan.markets {
            let mut supply = 0.0;
            for &(node, quantity) in &market.spare {
                if pools.restricted.binary_search(&node).is_err() {
                    supply += spare(node, quantity);
                }
            }
            for new in &market.new_supply {
                let limit = new.host.map_or(0.0, |host| {
                    let rows = setting.rows(step).unwrap_or(pools.rows);
                    rows.node_loss(host, &[0.0], losses, &Unscaled)[0]
                });
                supply += new.quantity * ramp(new, setting.day(step)) * (1.0 - limit);
            }
            list.clear();
            for g in &market.groups {
                let (short, free) = raw(g.group as usize);
                list.push(([short], [free]));
                let slot = pools.plan.slot[g.group as usize] as usize;
                since[slot] = (short > SHORT).then(|| since[slot].unwrap_or(step));
            }
            let reach = |g: &PooledGroup| {
                let Some((delay, ramp)) = switching else { return 1.0 };
                let slot = pools.plan.slot[g.group as usize] as usize;
                let Some(start) = since[slot] else { return 0.0 };
                let after = (step - start) as f64 - delay;
                if ramp > 0.0 { (after / ramp).clamp(0.0, 1.0) } else { f64::from(after >= 0.0) }
            };
            pools.settle_lane(market, list, 0, supply, reach, settled);
        }
    }
}

/// A stock that is released to consumers that are short after their own stocks.
pub struct Stockpile<'m> {
    from_day: f64,
    /// Most that leaves in a step.
    most: f64,
    /// What is left.
    pub left: f64,
    pools: Pools<'m>,
}

impl<'m> Stockpile<'m> {
    /// The stockpiles of a scenario, in the order of its responses.
    ///
    /// # Errors
    /// A product that the graph does not know, or a selector that it does not understand.
    pub fn all(setting: &Setting<'m>, responses: &[Response]) -> Result<Vec<Self>, ImpactError> {
        let mut all = Vec::new();
        let snapshot = setting.model.snapshot();
        let Some(rows) = setting.model.downstream() else { return Ok(all) };
        for (i, response) in responses.iter().enumerate() {
            let Response::Stockpile { product, stage, to, quantity, max_per_day, from_day } =
                response
            else {
                continue;
            };
            let at = format!("responses[{i}]");
            let consumers = match to {
                Some(to) => snapshot.select(to).map_err(ImpactError::select(format!("{at}.to")))?,
                None => snapshot.nodes().collect(),
            };
            let groups = groups(setting, &consumers, product, stage.as_deref());
            if groups.is_empty() {
                return Err(ScenarioError::new(
                    format!("{at}.product"),
                    format!("nobody it may go to uses the product \"{product}\""),
                )
                .into());
            }
            let mut slot = vec![u32::MAX; snapshot.group_count()];
            for (k, g) in groups.iter().enumerate() {
                slot[g.group as usize] = k as u32;
            }
            let market_of = vec![0; groups.len()];
            let markets = vec![PooledMarket { groups, ..PooledMarket::default() }];
            let classes = setting.model.classes().count;
            let plan = PoolPlan::new(rows, markets, slot, market_of, Vec::new(), classes);
            let pools =
                Pools { plan: Arc::new(plan), rows, shut: Vec::new(), restricted: Vec::new() };
            all.push(Self {
                from_day: from_day.unwrap_or(0.0),
                most: max_per_day.map_or(f64::INFINITY, |m| m * setting.step.days()),
                left: *quantity,
                pools,
            });
        }
        Ok(all)
    }

    /// Releases what is needed and allowed in a step: `short` holds what each group is short of and
    /// is left with what is still missing, `released` grows by what each group got (both as shares
    /// of its use in a step).
    pub fn release(
        &mut self,
        setting: &Setting<'_>,
        step: usize,
        short: &mut [f64],
        released: &mut [f64],
    ) {
        let out = self.left.min(self.most);
        if out <= 0.0 || setting.day(step) < self.from_day {
            return;
        }
        let market = &self.pools.plan.markets[0];
        let raw: Vec<([f64; 1], [f64; 1])> =
            market.groups.iter().map(|g| ([short[g.group as usize].max(0.0)], [0.0])).collect();
        if raw.iter().all(|(s, _)| s[0] <= 0.0) {
            return;
        }
        let per_step = setting.step.days() / YEAR_DAYS;
        let mut settled = vec![[0.0]; raw.len()];
        self.pools.settle_lane(market, &raw, 0, out / per_step, |_| 1.0, &mut settled);
        for ((g, (before, _)), after) in market.groups.iter().zip(&raw).zip(&settled) {
            let got = before[0] - after[0];
            self.left -= got * g.quantity * per_step;
            short[g.group as usize] -= got;
            released[g.group as usize] += got;
        }
        self.left = self.left.max(0.0);
    }
}

/// Inputs of `consumers` that a stock of a product can fill: those made at its stage, by default
/// the last one that the product has.
fn groups(
    setting: &Setting<'_>,
    consumers: &[u32],
    product: &str,
    stage: Option<&str>,
) -> Vec<PooledGroup> {
    let snapshot: &Snapshot = setting.model.snapshot();
    let last = snapshot
        .nodes()
        .filter(|&v| snapshot.name(snapshot.product(v)) == product)
        .max_by_key(|&v| last_stage(snapshot, v))
        .map(|v| snapshot.name(snapshot.stage(v)));
    let stage = stage.or(last);
    let mut found = Vec::new();
    for &v in consumers {
        for group in snapshot.groups(v) {
            let arrivals = snapshot.group_arrivals(group);
            let supplier = snapshot.arrival_suppliers()[arrivals.start];
            if snapshot.name(snapshot.group_product(group)) != product
                || stage.is_some_and(|s| s != snapshot.name(snapshot.stage(supplier)))
            {
                continue;
            }
            found.push(PooledGroup {
                group: group as u32,
                quantity: arrivals
                    .map(|e| snapshot.quantity(snapshot.arrival_flows()[e] as usize))
                    .sum(),
                class: setting.model.classes().of[v as usize],
                critical: 1.0,
                end_use: false,
            });
        }
    }
    found
}
