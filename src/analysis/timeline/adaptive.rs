//! Steps with orders that follow what is wished: stocks are refilled, demand falls and rises.
//!
//! One step (generalised from ARIO, Hallegatte 2014; Inoue and Todo 2019; acclimate, Otto et al.
//! 2017; DisruptSC, Colon et al. 2021), everything as shares of the baseline:
//!
//! ```text
//! cap    = capacity (1 - shock) x overproduction
//! R_k    = sum of deliveries sent one lead time ago, settled by markets and stockpiles
//! z      = min(cap, demand)                                             the wish
//! x      = z up to what S_k + R_k allow, by the production rows
//! S_k    = min(S_k + R_k - use_k, 3 x target)
//! supply = x to the customers by their orders, under the rationing rule
//! O_k    = max(0, z + ((n_k z - S_k) + (P_k0 z - P_k)) / tau)           never the outcome
//! ```
//!
//! `n_k` is the target stock, `P_k` what is on the way. Ordering on the wish lets a node restart
//! whose output was zero; ordering on the outcome would not.

use crate::analysis::Progress;
use crate::analysis::impact::{ImpactError, Shocks};
use crate::graph::Snapshot;
use crate::model::scenario::Response;

use super::ration::{self, Order};
use super::record::{Record, View};
use super::schedule::Schedule;
use super::setting::Setting;
use super::stocks::Stocks;
use super::supply::{Market, Stockpile};

/// Most that is stored, over the target.
const CEILING: f64 = 3.0;
/// Demand this near the baseline is the baseline.
const AT_REST: f64 = 1e-10;

/// What is on the way to consumers, by arrival, as shares of the baseline.
struct Transit {
    /// Deliveries of the last steps, by step modulo the longest lead.
    sent: Vec<Vec<f64>>,
    /// Sum of what was sent and has not arrived.
    under_way: Vec<f64>,
}

impl Transit {
    fn new(setting: &Setting<'_>, arrivals: usize) -> Self {
        Self {
            sent: vec![vec![1.0; arrivals]; setting.longest_lead],
            under_way: (0..arrivals).map(|e| setting.lead(e) as f64).collect(),
        }
    }

    fn arriving(&self, setting: &Setting<'_>, step: usize, arrival: usize) -> f64 {
        let longest = self.sent.len();
        self.sent[(step + longest - setting.lead(arrival)) % longest][arrival]
    }
}

/// What does not change while orders adapt.
struct Structure {
    /// Arrival of each flow.
    arrival: Vec<u32>,
    /// Group of each arrival, and the arrival's share in what the group gets in the baseline.
    group: Vec<u32>,
    share: Vec<f64>,
    /// Consumer of each group.
    consumer: Vec<u32>,
    /// By-products: they follow their host whatever is ordered.
    joint: Vec<bool>,
    /// Deliveries without by-products, and final demand, of each node.
    sold: Vec<f64>,
    /// Capacity over the baseline.
    capacity: Vec<f64>,
}

impl Structure {
    fn new(setting: &Setting<'_>) -> Self {
        let snapshot: &Snapshot = setting.model.snapshot();
        let m = snapshot.flow_count();
        let (mut arrival, mut group, mut share) = (vec![0; m], vec![0; m], vec![0.0; m]);
        let mut consumer = vec![0; snapshot.group_count()];
        for v in snapshot.nodes() {
            for g in snapshot.groups(v) {
                consumer[g] = v;
                let of = |a: usize| snapshot.quantity(snapshot.arrival_flows()[a] as usize);
                let all: f64 = snapshot.group_arrivals(g).map(of).sum();
                for a in snapshot.group_arrivals(g) {
                    arrival[snapshot.arrival_flows()[a] as usize] = a as u32;
                    group[a] = g as u32;
                    share[a] = if all > 0.0 { of(a) / all } else { 0.0 };
                }
            }
        }
        let flows = &snapshot.network().flows;
        let joint: Vec<bool> = (0..m as u32).map(|e| flows.joint.contains(&e)).collect();
        let sold = |v: u32| {
            let flows = snapshot.flows_out(v).filter(|&e| !joint[e]);
            flows.map(|e| snapshot.quantity(e)).sum::<f64>() + setting.final_demand[v as usize]
        };
        let general = 1.0 / setting.options.utilisation.unwrap_or(1.0);
        let capacity = |v: u32| {
            let stated = snapshot.network().nodes.capacity.get(v as usize);
            match (stated, snapshot.output(v)) {
                (Some(capacity), Some(output)) if output > 0.0 => (capacity / output).max(1.0),
                _ => general,
            }
        };
        Self {
            sold: snapshot.nodes().map(sold).collect(),
            capacity: snapshot.nodes().map(capacity).collect(),
            arrival,
            group,
            share,
            consumer,
            joint,
        }
    }
}

/// Runs a timeline with adaptive orders and shows every step to `record`.
///
/// # Errors
/// A response that the graph does not understand; cancellation.
pub fn run(
    setting: &Setting<'_>,
    shocks: &Shocks,
    responses: &[Response],
    record: &mut impl Record,
    progress: &Progress,
) -> Result<(), ImpactError> {
    let model = setting.model;
    let snapshot = model.snapshot();
    let n = snapshot.node_count();
    let structure = Structure::new(setting);
    let mut schedule = Schedule::new(snapshot, shocks, setting.step);
    let mut market = model.pools(shocks, &[]).map(Market::new);
    let mut stockpiles = Stockpile::all(setting, responses)?;
    let mut stocks = Stocks::adaptive(snapshot.group_count(), setting.stock.clone(), CEILING);
    let mut transit = Transit::new(setting, snapshot.flow_count());
    let (most, build_up) = setting.overproduction();
    let mut overproduction = vec![1.0; n];
    // Orders of each flow over the baseline, as its supplier sees them in this step.
    let mut ordered = vec![1.0; snapshot.flow_count()];
    let mut orders = vec![1.0; snapshot.group_count()];
    let mut backlog = vec![0.0; n];
    let mut losses = vec![[0.0]; n];
    let calm = vec![[0.0]; n];
    let mut wish = vec![1.0; n];
    let mut capacity = vec![1.0; n];
    let mut consumed = setting.final_demand.clone();
    let (mut list, mut given) = (Vec::new(), Vec::new());
    let rationing = model.rationing();
    let (rest, floor) = (model.classes().rest(), rationing.floor.unwrap_or(0.0));
    let tau = setting.refill_steps();
    progress.start(setting.steps as u64);
    for step in 0..setting.steps {
        schedule.advance(snapshot, step);
        let Some(rows) = setting.rows(step) else { return Ok(()) };
        let open = |flow: usize| 1.0 - schedule.shut.get(flow).copied().unwrap_or(0.0);
        for v in 0..n {
            let flows = snapshot.flows_out(v as u32).filter(|&e| !structure.joint[e]);
            let wanted: f64 = flows.map(|e| snapshot.quantity(e) * ordered[e]).sum();
            let sold = structure.sold[v];
            let demand = if sold > 0.0 {
                (wanted + setting.final_demand[v] + backlog[v]) / sold
            } else {
                1.0
            };
            // At rest rounding must not grow: orders amplify demand round a loop.
            let demand = if (demand - 1.0).abs() < AT_REST { 1.0 } else { demand };
            capacity[v] = structure.capacity[v] * (1.0 - schedule.down[v]) * overproduction[v];
            wish[v] = capacity[v].min(demand);
            if most > 1.0 {
                let scarce = if demand > 0.0 { 1.0 - (1.0 - losses[v][0]) / demand } else { 0.0 };
                let al = &mut overproduction[v];
                *al += if scarce > 1e-9 { (most - *al) * scarce } else { 1.0 - *al } / build_up;
            }
        }
        // What arrives, over the baseline.
        let arrived = |group: usize, counts: &dyn Fn(u32) -> bool| -> f64 {
            rows.arrivals(group)
                .filter(|&a| counts(rows.source(a)))
                .map(|a| structure.share[a] * transit.arriving(setting, step, a))
                .sum()
        };
        for group in 0..snapshot.group_count() {
            stocks.arrived_short[group] = 1.0 - arrived(group, &|_| true);
        }
        if let Some(market) = &mut market {
            let free = |v: u32| !schedule.restricted.get(v as usize).is_some_and(|r| *r);
            let short = |group: usize| {
                let wish = wish[structure.consumer[group] as usize].min(1.0);
                (stocks.arrived_short[group] - 1.0 + wish).max(0.0)
            };
            let raw = |group: usize| (short(group), arrived(group, &free).min(1.0));
            let spare = |v: u32, _: f64| {
                let unused = capacity[v as usize] - (1.0 - losses[v as usize][0]);
                if free(v) { unused.max(0.0) * structure.sold[v as usize] } else { 0.0 }
            };
            market.settle(setting, step, &losses, raw, spare);
            let change: Vec<f64> = (0..snapshot.group_count())
                .map(|g| market.settled(g).map_or(0.0, |after| after - short(g)))
                .collect();
            for (short, change) in stocks.arrived_short.iter_mut().zip(change) {
                *short += change;
            }
        }
        for group in 0..snapshot.group_count() {
            stocks.arrive(group, stocks.arrived_short[group]);
        }
        if !stockpiles.is_empty() {
            stocks.released.fill(0.0);
            // Only what is wished is asked for.
            let less = |g: usize| 1.0 - wish[structure.consumer[g] as usize].min(1.0);
            let Stocks { short, released, .. } = &mut stocks;
            (0..short.len()).for_each(|g| short[g] -= less(g));
            for stockpile in &mut stockpiles {
                stockpile.release(setting, step, short, released);
            }
            (0..short.len()).for_each(|g| short[g] += less(g));
        }
        for v in 0..n as u32 {
            let output = stocks.output(rows, v, wish[v as usize]);
            losses[v as usize][0] = 1.0 - output;
            stocks.use_up(rows, v, output);
        }
        // Ration what was made among orders and final demand.
        let slot = step % setting.longest_lead;
        for v in 0..n as u32 {
            let i = v as usize;
            list.clear();
            for e in snapshot.flows_out(v).filter(|&e| !structure.joint[e]) {
                list.push(Order {
                    wanted: snapshot.quantity(e) * ordered[e],
                    baseline: snapshot.quantity(e),
                    class: model.classes().of[snapshot.flow_to(e) as usize],
                });
            }
            let wanted = setting.final_demand[i] + backlog[i];
            list.push(Order { wanted, baseline: setting.final_demand[i], class: rest });
            let supply = (1.0 - losses[i][0]) * structure.sold[i];
            ration::give(rationing.rule, floor, supply, &list, &mut given);
            let mut k = 0;
            for e in snapshot.flows_out(v) {
                let sent = if structure.joint[e] {
                    1.0 - losses[i][0]
                } else {
                    k += 1;
                    let quantity = snapshot.quantity(e);
                    if quantity > 0.0 { given[k - 1] / quantity } else { 0.0 }
                };
                let a = structure.arrival[e] as usize;
                transit.under_way[a] += sent - transit.arriving(setting, step, a);
                ordered[e] = sent;
            }
            consumed[i] = given[k];
            backlog[i] = if setting.options.backlog { wanted - given[k] } else { 0.0 };
        }
        // `ordered` holds what was sent until all arrivals of the step are read.
        for e in 0..ordered.len() {
            transit.sent[slot][structure.arrival[e] as usize] = ordered[e];
        }
        // Orders for the next step.
        for (group, order) in orders.iter_mut().enumerate() {
            let z = wish[structure.consumer[group] as usize];
            let held = stocks.held.get(group).copied().unwrap_or(0.0);
            let target = stocks.target.get(group).copied().unwrap_or(0.0);
            let (mut on_way, mut usual) = (0.0, 0.0);
            for a in rows.arrivals(group) {
                on_way += structure.share[a] * transit.under_way[a];
                usual += structure.share[a] * setting.lead(a) as f64;
            }
            let gap = target * z - held + usual * z - on_way;
            *order = (z + gap / tau).max(0.0);
        }
        for (e, ordered) in ordered.iter_mut().enumerate() {
            let order = orders[structure.group[structure.arrival[e] as usize] as usize];
            *ordered = if open(e) < 1.0 { order.min(open(e)) } else { order };
        }
        record.step(&View {
            setting,
            step,
            down: &losses,
            up: &calm,
            shock: &schedule,
            stocks: &stocks,
            consumed: Some(&consumed),
        });
        progress.advance(1)?;
    }
    Ok(())
}
