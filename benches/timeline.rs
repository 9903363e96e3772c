//! Speed of timelines: `cargo bench --bench timeline`. One thread; nothing is skipped: every figure
//! is a whole run with its record of all nodes and targets.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a bench reports on the terminal")]

use std::sync::Arc;
use std::time::Instant;

use chokepoint::analysis::Progress;
use chokepoint::analysis::impact::{ImpactModel, Shocks, TargetNodes};
use chokepoint::analysis::timeline;
use chokepoint::dataset;
use chokepoint::dataset::synthesis::critical_minerals;
use chokepoint::graph::{Snapshot, SnapshotInfo};
use chokepoint::model::scenario::{
    Compatibility, Mode, ModelOptions, Orders, Rationing, Target, TimeStep, TimelineOptions,
};
use chokepoint::model::{FlowRecord, NetworkBuilder, NodeRecord, Selector};
use rand::{Rng, SeedableRng};
use rand_pcg::Pcg64;

/// A random network of products in tiers with some recycling.
fn network(nodes: usize, links: usize) -> Arc<Snapshot> {
    let mut rng = Pcg64::seed_from_u64(1);
    let mut builder = NetworkBuilder::new();
    for v in 0..nodes {
        let product = Some(format!("p{}", v * 40 / nodes));
        builder.add_node(&NodeRecord { product, ..NodeRecord::new(format!("n{v}")) }, v).unwrap();
    }
    for _ in 0..links {
        let (a, b) = (rng.random_range(0..nodes), rng.random_range(0..nodes));
        let (from, to) =
            if rng.random::<f64>() < 0.02 { (a.max(b), a.min(b)) } else { (a.min(b), a.max(b)) };
        builder.add_flow(&FlowRecord::new(format!("n{from}"), format!("n{to}"), rng.random()), 0);
    }
    let network = builder.finish().unwrap();
    Arc::new(Snapshot::build(network, SnapshotInfo::default(), Arc::default()))
}

/// Milliseconds of one run: the best of several.
fn best(mut run: impl FnMut()) -> f64 {
    let once = |run: &mut dyn FnMut()| {
        let start = Instant::now();
        run();
        start.elapsed().as_secs_f64() * 1e3
    };
    (0..9).map(|_| once(&mut run)).fold(f64::INFINITY, f64::min)
}

fn measure(
    name: &str,
    snapshot: &Arc<Snapshot>,
    options: ModelOptions,
    shocks: &Shocks,
    targets: &[TargetNodes],
) {
    let model = ImpactModel::new(snapshot.clone(), &options, &[]).unwrap();
    let silent = Progress::silent();
    let mut steps = 0;
    let took = best(|| {
        let path = timeline::path(&model, shocks, &[], true, targets, &silent).unwrap();
        steps = path.steps;
    });
    println!(
        "{name:48} {:5} nodes {:6} flows {steps:5} steps {took:9.2} ms {:9.0} steps/s",
        snapshot.node_count(),
        snapshot.flow_count(),
        steps as f64 / took * 1e3
    );
}

fn main() {
    let options = |timeline: TimelineOptions| ModelOptions {
        mode: Mode::Timeline,
        rationing: Some(Rationing::default()),
        timeline: Some(timeline),
        ..ModelOptions::default()
    };
    let weeks = |orders| TimelineOptions {
        horizon_days: Some(250 * 7),
        stock_days: Some(30.0),
        orders,
        ..TimelineOptions::default()
    };
    let days =
        |orders| TimelineOptions { step: TimeStep::Day, horizon_days: Some(365), ..weeks(orders) };
    for (nodes, links, daily) in [(242, 1980, false), (1000, 5000, true)] {
        let snapshot = network(nodes, links);
        let shocks = Shocks::removal(&(0..nodes as u32 / 20).collect::<Vec<u32>>());
        let all = Target { name: "all".into(), select: Selector::default() };
        let targets = [TargetNodes::resolve(&snapshot, &all, "").unwrap()];
        for orders in [Orders::Frozen, Orders::Adaptive] {
            let name = format!("{orders:?} orders, {}", if daily { "daily" } else { "weekly" });
            let timeline = if daily { days(orders) } else { weeks(orders) };
            measure(&name, &snapshot, options(timeline), &shocks, &targets);
        }
        let mut compat = options(days(Orders::Frozen));
        compat.compat = Some(Compatibility::InoueTodo);
        measure("Inoue-Todo, daily", &snapshot, compat, &shocks, &targets);
    }
    let (network, settings) = critical_minerals(dataset::tables()).unwrap();
    let info = SnapshotInfo { settings, ..SnapshotInfo::default() };
    let snapshot = Arc::new(Snapshot::build(network, info, dataset::countries()));
    let presets = dataset::presets::embedded().unwrap();
    let body = &presets["china-refining-stops"];
    let shocks = Shocks::compile(&snapshot, &body.shocks).unwrap();
    let targets: Vec<TargetNodes> =
        body.targets.iter().map(|t| TargetNodes::resolve(&snapshot, t, "").unwrap()).collect();
    for orders in [Orders::Frozen, Orders::Adaptive] {
        let timeline =
            TimelineOptions { horizon_days: Some(730), orders, ..TimelineOptions::default() };
        let flagship = ModelOptions { timeline: Some(timeline), ..body.model.clone() };
        measure(
            &format!("flagship, {orders:?} orders, weekly"),
            &snapshot,
            flagship,
            &shocks,
            &targets,
        );
    }
}
