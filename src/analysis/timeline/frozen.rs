//! Steps with orders frozen at the baseline: the cascade, with stocks, lead times and dates.
//!
//! Step t evaluates the production rows on what suppliers made in step t - lead, as sweep t of the
//! steady cascade does with the state of sweep t - 1. Without stocks and with permanent shocks the
//! two are the same numbers. Only nodes near a change are evaluated.

use std::collections::VecDeque;
use std::rc::Rc;

use crate::analysis::Progress;
use crate::analysis::impact::rows::{ArrivalScale, Rows};
use crate::analysis::impact::substitution::Factors;
use crate::analysis::impact::{ImpactError, Shocks};
use crate::model::scenario::Response;

use super::record::{Record, View};
use super::schedule::Schedule;
use super::setting::Setting;
use super::stocks::Stocks;
use super::supply::{Market, Stockpile};

/// What suppliers sent in the last steps, newest first.
struct Past {
    losses: VecDeque<Rc<Vec<[f64; 1]>>>,
    shut: VecDeque<Rc<Vec<f64>>>,
}

impl Past {
    fn new(nodes: usize, shut: &Rc<Vec<f64>>, longest: usize) -> Self {
        let calm = Rc::new(vec![[0.0]; nodes]);
        Self {
            losses: (0..longest).map(|_| calm.clone()).collect(),
            shut: (0..longest).map(|_| shut.clone()).collect(),
        }
    }

    /// Adds what was sent in a step. Returns losses that are no longer needed, to write over.
    fn push(&mut self, losses: Vec<[f64; 1]>, shut: Rc<Vec<f64>>) -> Option<Vec<[f64; 1]>> {
        self.losses.push_front(Rc::new(losses));
        self.shut.push_front(shut);
        self.shut.pop_back();
        self.losses.pop_back().and_then(|old| Rc::try_unwrap(old).ok())
    }
}

/// Loss of an arrival as it was sent: rationing and cuts of that time, and replaceability now.
struct Sent<'a> {
    rows: &'a Rows,
    lead: &'a [u32],
    past: &'a Past,
    /// Flow of each arrival; empty: arrivals are in the order of the flows.
    flow: &'a [u32],
    factors: Option<&'a Factors<'a, 1>>,
}

impl Sent<'_> {
    #[inline(always)]
    fn shut(&self, arrival: usize) -> f64 {
        let lead = self.lead.get(arrival).map_or(1, |&l| l as usize);
        let shut = &self.past.shut[lead - 1];
        if shut.is_empty() {
            return 0.0;
        }
        shut[self.flow.get(arrival).map_or(arrival, |&e| e as usize)]
    }

    /// Loss of an arrival, before it is scaled.
    #[inline(always)]
    fn loss(&self, arrival: usize) -> f64 {
        let lead = self.lead.get(arrival).map_or(1, |&l| l as usize);
        let supplier = self.rows.source(arrival) as usize;
        let loss = self.rows.ration(arrival).loss(self.past.losses[lead - 1][supplier][0]);
        loss.max(self.shut(arrival))
    }
}

impl ArrivalScale<1> for Sent<'_> {
    #[inline(always)]
    fn apply(&self, loss: &mut [f64; 1], arrival: usize, supplier: u32) {
        if self.lead.is_empty() {
            loss[0] = loss[0].max(self.shut(arrival));
        } else {
            loss[0] = self.loss(arrival);
        }
        if let Some(factors) = self.factors {
            factors.apply(loss, supplier);
        }
    }

    fn slope(&self, _: &mut [f64; 1], _: f64, _: usize, _: u32) {}
}

/// Runs a timeline with frozen orders and shows every step to `record`.
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
    let mut schedule = Schedule::new(snapshot, shocks, setting.step);
    let utilisation = setting.options.utilisation.unwrap_or(1.0);
    // With capacity to spare a shock has to take that first.
    let shocked = |loss: f64| {
        if utilisation < 1.0 { (1.0 - (1.0 - loss) / utilisation).max(0.0) } else { loss }
    };
    let mut market = model.pools(shocks, &[]).map(Market::new);
    let mut stockpiles = Stockpile::all(setting, responses)?;
    let factor_rule = if market.is_some() { None } else { model.factor_rule(None) };
    let mut factors = factor_rule.map(|rule| Factors::new(Some(rule)));
    let mut stocks = Stocks::frozen(snapshot.group_count(), setting.stock.clone());
    let mut past = Past::new(n, &schedule.shut, setting.longest_lead);
    let mut past_up = Past::new(n, &schedule.shut, 1);
    let (mut now, mut now_up) = (vec![[0.0]; n], vec![[0.0]; n]);
    // Step until which a node is to be looked at.
    let always = market.is_some() || factors.is_some() || !stockpiles.is_empty();
    let mut hot = vec![if always { usize::MAX } else { 0 }; n];
    let mut hot_up = vec![0usize; n];
    let longest = setting.longest_lead;
    progress.start(setting.steps as u64);
    for step in 0..setting.steps {
        schedule.advance(snapshot, step);
        for &v in &schedule.moved {
            hot[v as usize] = hot[v as usize].max(step + longest);
            hot_up[v as usize] = step + 1;
        }
        if let Some(rows) = model.upstream().filter(|_| !schedule.moved.is_empty()) {
            // A cut flow is a missing order for its supplier.
            for &v in &schedule.moved {
                for supplier in rows.dependents(v) {
                    hot_up[*supplier as usize] = step + 1;
                }
            }
        }
        if step == 0 {
            for v in 0..n {
                now[v][0] = shocked(schedule.down[v]);
                if model.upstream().is_some() {
                    now_up[v][0] = schedule.up[v];
                }
            }
        } else {
            if let Some(rows) = setting.rows(step) {
                if setting.rows_change(step) {
                    hot.fill(usize::MAX);
                }
                if let Some(factors) = &mut factors {
                    let losses = &past.losses[0];
                    factors.start(losses, shocks.has_cuts(), |_| {}, |_| {});
                }
                let sent = Sent {
                    rows,
                    lead: &setting.lead,
                    past: &past,
                    flow: snapshot.arrival_flows(),
                    factors: factors.as_ref(),
                };
                let losses = &past.losses[0];
                if let Some(market) = &mut market {
                    let free = |supplier: u32| {
                        !schedule.restricted.get(supplier as usize).is_some_and(|r| *r)
                    };
                    let raw = |group: usize| {
                        let (mut short, mut divertible) = (0.0, 0.0);
                        for e in rows.arrivals(group) {
                            let (weight, loss) = (rows.weight(e), sent.loss(e));
                            short += weight * loss;
                            if free(rows.source(e)) {
                                divertible += weight * (1.0 - loss);
                            }
                        }
                        (short, divertible)
                    };
                    let spare = |v: u32, quantity: f64| {
                        if free(v) { quantity * (1.0 - losses[v as usize][0]) } else { 0.0 }
                    };
                    market.settle(setting, step, losses, raw, spare);
                }
                for v in 0..n as u32 {
                    if hot[v as usize] < step {
                        continue;
                    }
                    for group in rows.groups(v) {
                        let settled = market.as_ref().and_then(|m| m.settled(group));
                        let short =
                            settled.unwrap_or_else(|| rows.group_loss(group, losses, &sent)[0]);
                        stocks.arrive(group, short);
                    }
                }
                if !stockpiles.is_empty() {
                    stocks.released.fill(0.0);
                    for stockpile in &mut stockpiles {
                        let Stocks { short, released, .. } = &mut stocks;
                        stockpile.release(setting, step, short, released);
                    }
                }
                for v in 0..n as u32 {
                    let i = v as usize;
                    if hot[i] < step {
                        now[i] = losses[i];
                        continue;
                    }
                    now[i][0] = stocks.loss(rows, v, shocked(schedule.down[i]));
                    if stocks.use_up(rows, v, 1.0 - now[i][0]) {
                        hot[i] = hot[i].max(step + 1);
                    }
                }
            }
            if let Some(rows) = model.upstream() {
                let losses = &past_up.losses[0];
                let sent = Sent { rows, lead: &[], past: &past_up, flow: &[], factors: None };
                for v in 0..n as u32 {
                    let i = v as usize;
                    now_up[i] = if hot_up[i] < step {
                        losses[i]
                    } else {
                        rows.node_loss(v, &[schedule.up[i]], losses, &sent)
                    };
                }
            }
        }
        if let Some(rows) = setting.rows(step).filter(|_| !always) {
            for i in 0..n {
                if now[i] != past.losses[0][i] {
                    for &w in rows.dependents(i as u32) {
                        hot[w as usize] = hot[w as usize].max(step + longest);
                    }
                }
            }
        }
        if let Some(rows) = model.upstream() {
            for i in 0..n {
                if now_up[i] != past_up.losses[0][i] {
                    for &w in rows.dependents(i as u32) {
                        hot_up[w as usize] = step + 1;
                    }
                }
            }
        }
        record.step(&View {
            setting,
            step,
            down: &now,
            up: &now_up,
            shock: &schedule,
            stocks: &stocks,
            consumed: None,
        });
        now = past.push(now, schedule.shut.clone()).unwrap_or_else(|| vec![[0.0]; n]);
        now_up = past_up.push(now_up, schedule.shut.clone()).unwrap_or_else(|| vec![[0.0]; n]);
        progress.advance(1)?;
    }
    Ok(())
}
