//! probe
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a bench reports on the terminal")]
use std::sync::Arc;
use std::time::Instant;
use chokepoint::analysis::Progress;
use chokepoint::analysis::impact::{ImpactModel, Shocks, TargetNodes};
use chokepoint::dataset;
use chokepoint::dataset::synthesis::{synthesize, critical_minerals, Perturbation};
use chokepoint::graph::{Snapshot, SnapshotInfo};
fn main() {
    let t = dataset::tables();
    let start = Instant::now();
    for _ in 0..5 { synthesize(t, &Perturbation::default()).unwrap(); }
    println!("synth {:.3} ms", start.elapsed().as_secs_f64()*200.0);
    let (network, settings) = critical_minerals(t).unwrap();
    let info = SnapshotInfo { settings, ..Default::default() };
    let start = Instant::now();
    for _ in 0..5 { let _ = network.clone(); }
    println!("clone {:.3} ms", start.elapsed().as_secs_f64()*200.0);
    let c = dataset::countries();
    let start = Instant::now();
    let snap = Arc::new(Snapshot::build(network, info, c));
    println!("build {:.3} ms", start.elapsed().as_secs_f64()*1e3);
    println!("nodes {} flows {} groups {} req {}", snap.node_count(), snap.flow_count(), snap.group_count(), snap.network().requirements.len());
    let body = dataset::presets::embedded().unwrap().into_iter().find(|p| p.0 == "china-refining-stops").unwrap().1;
    let start = Instant::now();
    for _ in 0..20 { ImpactModel::new(snap.clone(), &body.model, &[]).unwrap(); }
    println!("model {:.3} ms", start.elapsed().as_secs_f64()*50.0);
    let model = ImpactModel::new(snap.clone(), &body.model, &[]).unwrap();
    let start = Instant::now();
    for _ in 0..20 { model.redrawn(snap.clone(), &[]).unwrap(); }
    println!("redrawn {:.3} ms", start.elapsed().as_secs_f64()*50.0);
    let start = Instant::now();
    for _ in 0..20 { Shocks::compile(&snap, &body.shocks).unwrap(); }
    println!("shocks {:.3} ms", start.elapsed().as_secs_f64()*50.0);
    let shocks = Shocks::compile(&snap, &body.shocks).unwrap();
    let start = Instant::now();
    for _ in 0..20 { model.prepare(&shocks); }
    println!("prepare {:.3} ms", start.elapsed().as_secs_f64()*50.0);
    let prepared = model.prepare(&shocks);
    let start = Instant::now();
    for _ in 0..20 { model.solve(&prepared, &Progress::silent()).unwrap(); }
    println!("solve {:.3} ms", start.elapsed().as_secs_f64()*50.0);
    let s = model.solve(&prepared, &Progress::silent()).unwrap();
    println!("{:?}", s.ending);
    let start = Instant::now();
    for _ in 0..20 { for (i,t) in body.targets.iter().enumerate() { TargetNodes::resolve(&snap, t, &format!("{i}")).unwrap(); } }
    println!("targets {:.3} ms", start.elapsed().as_secs_f64()*50.0);
    for t in &body.targets { let n = TargetNodes::resolve(&snap, t, "").unwrap(); println!("{} {} {:.4}", n.name, n.unit, n.mean(|v| s.loss(v))); }
}
