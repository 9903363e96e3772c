//! The daily inventory model of Inoue and Todo 2019 (Nature Sustainability 2:841), exactly.
//!
//! Stocks are kept per supplier, orders follow yesterday's realised output (so a node whose output
//! was zero orders nothing and never restarts; the [`super::adaptive`] steps do not have that flaw),
//! every delivery arrives on the next day. With A the baseline deliveries, C final demand and
//! x0 = C + sum of A:
//!
//! ```text
//! S_ij = max(0, S_ij + received_ij - S_ij g_ik),   g_ik = (x_i/x0_i) A_ik / S_ik     (of yesterday)
//! O_ij = max(0, A_ij r_i + (n A_ij r_i - S_ij)/tau),   r_i = x_i/x0_i                (of yesterday)
//! D_i  = C_i + sum_j O_ji
//! x_i  = min(cap_i, D_i, x0_i min_k S_ik/A_ik)
//! ```
//!
//! Proportional rationing gives everyone the share x_i/D_i of its order; with `priority` final
//! demand takes the shortage first, and only then orders are scaled by x_i/(D_i - C_i).

use crate::analysis::Progress;
use crate::analysis::impact::{ImpactError, Shocks};
use crate::model::scenario::{RationingRule, TimeStep};

use super::record::{Record, View};
use super::schedule::Schedule;
use super::setting::Setting;
use super::stocks::Stocks;

/// Days of use held of each input, unless stated (as published).
const COVER_DAYS: f64 = 15.0;
/// Days over which a stock is refilled, unless stated (as published).
const REFILL_DAYS: f64 = 6.0;

/// Runs the model and shows every day to `record`.
///
/// # Errors
/// Cancellation.
pub fn run(
    setting: &Setting<'_>,
    shocks: &Shocks,
    record: &mut impl Record,
    progress: &Progress,
) -> Result<(), ImpactError> {
    debug_assert_eq!(setting.step, TimeStep::Day);
    let snapshot = setting.model.snapshot();
    let (n, m) = (snapshot.node_count(), snapshot.flow_count());
    let Some(rows) = setting.rows(0) else { return Ok(()) };
    let flow = |a: usize| snapshot.arrival_flows()[a] as usize;
    let usual = |a: usize| snapshot.quantity(flow(a));
    let general = setting.options.stock_days.or(snapshot.info().settings.stock_days);
    let cover = |v: u32| {
        let own = snapshot.network().nodes.stock_days.get(v as usize);
        own.or(general).unwrap_or(COVER_DAYS)
    };
    let tau = setting.options.refill_days.unwrap_or(REFILL_DAYS).max(1.0);
    let (whole, finals) = (&setting.output, &setting.final_demand);
    let final_last = setting.model.rationing().rule == RationingRule::Priority;
    let mut schedule = Schedule::new(snapshot, shocks, setting.step);
    // Everything by arrival, so that the inputs of a node lie side by side.
    let mut held: Vec<f64> = vec![0.0; m];
    let mut received: Vec<f64> = (0..m).map(usual).collect();
    let mut ordered = received.clone();
    let mut arrival = vec![0; m];
    for v in snapshot.nodes() {
        for group in rows.groups(v) {
            for a in rows.arrivals(group) {
                held[a] = cover(v) * usual(a);
                arrival[flow(a)] = a;
            }
        }
    }
    let mut output = whole.clone();
    let mut made = vec![0.0; n];
    let (mut losses, calm) = (vec![[0.0]; n], vec![[0.0]; n]);
    let mut consumed = finals.clone();
    // Cover of every input, in days of use, for the record.
    let baseline: Vec<f64> =
        (0..snapshot.group_count()).map(|g| rows.arrivals(g).map(usual).sum()).collect();
    let full: Vec<f64> = (0..snapshot.group_count())
        .map(|g| {
            rows.arrivals(g).map(|a| held[a]).sum::<f64>() / baseline[g].max(f64::MIN_POSITIVE)
        })
        .collect();
    let mut stocks = Stocks::adaptive(snapshot.group_count(), full, 1.0);
    progress.start(setting.steps as u64);
    for step in 0..setting.steps {
        schedule.advance(snapshot, step);
        for v in 0..n as u32 {
            let level =
                if whole[v as usize] > 0.0 { output[v as usize] / whole[v as usize] } else { 0.0 };
            for group in rows.groups(v) {
                let arrivals = rows.arrivals(group);
                let store: f64 = arrivals.clone().map(|a| held[a]).sum();
                let spent = if store > 0.0 { level * baseline[group] / store } else { 0.0 };
                for a in arrivals {
                    held[a] = (held[a] + received[a] - held[a] * spent).max(0.0);
                    let needed = usual(a) * level;
                    ordered[a] = (needed + (cover(v) * needed - held[a]) / tau).max(0.0);
                }
            }
        }
        for v in 0..n as u32 {
            let i = v as usize;
            let orders: f64 = snapshot.flows_out(v).map(|e| ordered[arrival[e]]).sum();
            let demand = finals[i] + orders;
            let mut most = whole[i] * (1.0 - schedule.down[i]);
            for group in rows.groups(v) {
                let store: f64 = rows.arrivals(group).map(|a| held[a]).sum();
                stocks.held[group] = store / baseline[group];
                // What the stock of a day leaves over of a day's need.
                stocks.short[group] = 1.0 - stocks.held[group];
                most = most.min(whole[i] * stocks.held[group]);
            }
            made[i] = most.min(demand);
            let (of_orders, of_final) = if !final_last {
                let share = if demand > 0.0 { made[i] / demand } else { 0.0 };
                (share, share * finals[i])
            } else if orders > 0.0 {
                ((made[i] / orders).min(1.0), (made[i] - orders).max(0.0))
            } else {
                (0.0, made[i])
            };
            for e in snapshot.flows_out(v) {
                received[arrival[e]] = ordered[arrival[e]] * of_orders;
            }
            consumed[i] = of_final;
            losses[i][0] = if whole[i] > 0.0 { 1.0 - made[i] / whole[i] } else { 0.0 };
        }
        std::mem::swap(&mut output, &mut made);
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
