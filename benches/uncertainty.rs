//! Speed of draws: `cargo bench --bench uncertainty`.
//!
//! Draws of the flagship on the bundled graph: wall time on the threads asked for (`--threads N`,
//! default 2), with the CPU time of the whole process beside it where other work shares the machine,
//! and what one draw is made of on one thread.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a bench reports on the terminal")]

use std::sync::Arc;
use std::time::Instant;

use chokepoint::analysis::Progress;
use chokepoint::analysis::impact::{ImpactModel, Shocks, TargetNodes};
use chokepoint::analysis::uncertainty::{
    Kinds, Ranges, ScenarioLosses, sample, sensitivity, spread,
};
use chokepoint::dataset;
use chokepoint::dataset::synthesis::critical_minerals;
use chokepoint::graph::{Snapshot, SnapshotInfo};

/// CPU time of this process in seconds, all threads.
fn cpu() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // User and system ticks, of which there are a hundred a second.
    let fields = text.rsplit(") ").next().unwrap_or_default().split(' ');
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// Mean milliseconds of `rounds` runs.
fn mean(rounds: u32, mut run: impl FnMut(u32)) -> f64 {
    let start = Instant::now();
    for round in 0..rounds {
        run(round);
    }
    start.elapsed().as_secs_f64() * 1e3 / f64::from(rounds)
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let number = |flag: &str, default: u32| {
        let place = arguments.iter().position(|a| a == flag);
        place.and_then(|k| arguments.get(k + 1)?.parse().ok()).unwrap_or(default)
    };
    let (draws, threads) = (number("--draws", 1000), number("--threads", 2));
    let silent = Progress::silent();

    let (network, settings) = critical_minerals(dataset::tables()).unwrap();
    let info = SnapshotInfo { settings, ..SnapshotInfo::default() };
    let snapshot = Arc::new(Snapshot::build(network, info, dataset::countries()));
    let presets = dataset::presets::embedded().unwrap();
    let body = &presets.iter().find(|p| p.0 == "china-refining-stops").unwrap().1;
    let model = Arc::new(ImpactModel::new(snapshot.clone(), &body.model, &[]).unwrap());
    let shocks = Shocks::compile(&snapshot, &body.shocks).unwrap();
    let targets: Vec<TargetNodes> =
        body.targets.iter().map(|t| TargetNodes::resolve(&snapshot, t, "").unwrap()).collect();
    let ranges = Ranges::of(&snapshot, Kinds::default());
    println!(
        "{} nodes, {} flows, {} uncertain figures, {} uses",
        snapshot.node_count(),
        snapshot.flow_count(),
        ranges.figures().len(),
        ranges.uses().all.len(),
    );

    println!(
        "preparing the ranges  {:8.3} ms",
        mean(5, |_| drop(Ranges::of(&snapshot, Kinds::default())))
    );
    let mut room = ranges.room();
    println!(
        "values of one draw    {:8.3} ms",
        mean(100, |d| {
            let sum: f64 = ranges.figures().iter().map(|f| ranges.value(f, 1, u64::from(d))).sum();
            assert!(sum.is_finite());
        })
    );
    println!(
        "drawing a graph       {:8.3} ms",
        mean(100, |d| {
            ranges.draw(1, u64::from(d), &mut room);
        })
    );
    let drawn = ranges.draw(1, 0, &mut room).clone();
    println!(
        "its model             {:8.3} ms",
        mean(100, |_| drop(model.redrawn(drawn.clone(), &[]).unwrap()))
    );
    let redrawn = model.redrawn(drawn, &[]).unwrap();
    println!(
        "its solution          {:8.3} ms",
        mean(100, |_| {
            let prepared = redrawn.prepare(&shocks);
            assert!(redrawn.solve(&prepared, &silent).unwrap().ending.converged);
        })
    );

    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads as usize).build().unwrap();
    pool.install(|| {
        let names: Vec<String> = targets.iter().map(|t| t.name.clone()).collect();
        let central = {
            let prepared = model.prepare(&shocks);
            let solution = model.solve(&prepared, &silent).unwrap();
            targets.iter().map(|t| t.mean(|v| solution.loss(v))).collect::<Vec<f64>>()
        };
        let mut losses = ScenarioLosses::new(targets);
        losses.add(&model, &[], shocks);
        let (start, busy) = (Instant::now(), cpu());
        let samples = sample(&ranges, &losses, draws, 1, &silent).unwrap();
        println!(
            "{draws} draws, {threads} threads {:8.3} s, CPU {:.2} s",
            start.elapsed().as_secs_f64(),
            cpu() - busy
        );
        let start = Instant::now();
        let drivers = sensitivity::drivers(&ranges, &samples, 1, &silent).unwrap();
        println!("who drives the spread {:8.3} s", start.elapsed().as_secs_f64());
        for (k, name) in names.iter().enumerate().take(3) {
            let s = spread(&samples.by_quantity[k]).unwrap();
            println!(
                "{name}: {:.4} ({:.4} - {:.4}, median {:.4}), unexplained {:.2}",
                central[k], s.low, s.high, s.median, drivers[k].unexplained
            );
            for driver in drivers[k].list.iter().take(8) {
                let figure = &ranges.figures()[driver.figure];
                println!(
                    "    {:6.3} {:5.3} {}",
                    driver.correlation,
                    driver.variance_share,
                    ranges.id(figure)
                );
            }
        }
    });
}
