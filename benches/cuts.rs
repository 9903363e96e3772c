//! Choke points and cuts against petgraph and rustworkx-core, one thread, on the same graphs in
//! one run: `cargo bench --bench cuts -- [S] [M] [L]` (default S M).
//!
//! S 2k nodes / 10k links, M 100k / 500k, L 1M / 5M. Every pair of answers must have the same
//! check value. Prints CPU seconds and the ratio peer / ours. Peers that would
//! take minutes are run on S only.

#![allow(clippy::print_stdout)]

mod common;

use std::time::{Duration, Instant};

use chokepoint::analysis::Progress;
use chokepoint::analysis::choke_points::{
    DominatorTree, biconnectivity, knock_out, strong_choke_points,
};
use chokepoint::analysis::cuts::{CutKind, CutProblem};
use chokepoint::analysis::structure::strongly_connected_components;
use chokepoint::graph::Csr;
use petgraph::graph::{DiGraph, UnGraph};

/// CPU time of this thread so far, where the system tells it.
fn cpu() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(Duration::from_nanos(text.split(' ').next()?.parse().ok()?))
}

/// Time of one run and the last result, over up to `runs` runs: mean CPU time of this thread, so
/// that other work on the machine does not count; best wall time of what is too short for that.
fn best<T>(runs: usize, mut run: impl FnMut() -> T) -> (Duration, T) {
    let (begin, cpu_begin) = (Instant::now(), cpu());
    let mut least = Duration::MAX;
    for done in 1.. {
        let start = Instant::now();
        let result = run();
        least = least.min(start.elapsed());
        if done < runs && begin.elapsed() < Duration::from_secs(20) {
            continue;
        }
        let spent = cpu().zip(cpu_begin).map(|(now, before)| (now - before) / done as u32);
        let long = begin.elapsed() > Duration::from_millis(60);
        return (spent.filter(|_| long).map_or(least, |cpu| cpu.min(least)), result);
    }
    unreachable!("the loop returns")
}

fn row(task: &str, peer: &str, ours: (Duration, u64), theirs: Option<(Duration, u64)>) {
    let seconds = |d: Duration| format!("{:.5}", d.as_secs_f64());
    match theirs {
        Some((time, value)) => {
            assert_eq!(ours.1, value, "{task}: {peer} has another answer");
            let ratio = time.as_secs_f64() / ours.0.as_secs_f64();
            let (ours_time, check) = (seconds(ours.0), ours.1);
            println!(
                "| {task} | {ours_time} | {peer} | {} | {ratio:.1} | {check} |",
                seconds(time)
            );
        }
        None => println!("| {task} | {} | {peer} | | | {} |", seconds(ours.0), ours.1),
    }
}

fn compare(size: &str, n: usize, m: usize, seed: u64) {
    let supply = common::supply(n, m, seed);
    let pairs: Vec<(u32, u32)> = supply.links.iter().map(|l| (l.0, l.1)).collect();
    let capacity: Vec<u64> = supply.links.iter().map(|l| u64::from(l.2)).collect();
    let (sources, sinks) = (supply.tier(0), supply.tier(5));
    let csr = Csr::from_pairs(n, &pairs);
    let quiet = Progress::silent();
    let runs = if n > 10_000 { 5 } else { 50 };
    println!(
        "\n{size}: {n} nodes, {} links, seed {seed}; view {} MB",
        pairs.len(),
        csr.bytes() >> 20
    );
    println!("\n| task | ours, s | peer | peer, s | ratio | check |\n|---|---|---|---|---|---|");

    let mut digraph = DiGraph::<(), u64>::with_capacity(n + 2, m + n);
    (0..n + 2).for_each(|_| {
        digraph.add_node(());
    });
    let (root, drain) = ((n as u32).into(), (n as u32 + 1).into());
    for &(u, v, w) in &supply.links {
        digraph.add_edge(u.into(), v.into(), u64::from(w));
    }
    let (time, found) = best(runs, || petgraph::algo::tarjan_scc(&digraph).len() as u64 - 2);
    let ours = best(runs, || strongly_connected_components(&csr).count as u64);
    row("strong components", "petgraph tarjan_scc", ours, Some((time, found)));

    for &s in &sources {
        digraph.add_edge(root, s.into(), 1 << 40);
    }
    let ours = best(runs, || {
        DominatorTree::build(csr.outgoing(), csr.incoming(), &sources).reached() as u64
    });
    let theirs = best(runs.min(3), || petgraph::algo::dominators::simple_fast(&digraph, root));
    let reached = (0..n as u32).filter(|&v| theirs.1.immediate_dominator(v.into()).is_some());
    row("dominators", "petgraph simple_fast", ours, Some((theirs.0, reached.count() as u64)));

    let lost = |k: chokepoint::analysis::choke_points::KnockOut| {
        k.lost.iter().map(|&x| u64::from(x)).sum::<u64>()
    };
    let (time, found) = best(runs, || knock_out(&csr, &sources, None, |_| 1.0, &quiet));
    let total = found.map(lost).unwrap_or_default();
    let naive = (n <= 10_000).then(|| best(1, || naive_knock_out(&csr, &sources)));
    row("knock-out of every node", "removal one by one", (time, total), naive);

    let (time, found) = best(runs, || biconnectivity(&csr, false));
    let (points, bridges) = (found.articulations.len() as u64, found.bridges.len() as u64);
    let mut both: Vec<_> = pairs.iter().map(|&(u, v)| (u.min(v), u.max(v))).collect();
    both.sort_unstable();
    both.dedup();
    let flat = UnGraph::<(), ()>::from_edges(both);
    let theirs = best(runs.min(3), || {
        rustworkx_core::connectivity::articulation_points(&flat, None).len() as u64
    });
    row("articulation points (with bridges)", "rustworkx", (time, points), Some(theirs));
    let theirs = best(runs.min(3), || petgraph::algo::bridges::bridges(&flat).count() as u64);
    row("bridges (with articulation points)", "petgraph", (time, bridges), Some(theirs));
    drop(flat);

    let (time, found) = best(runs.min(3), || strong_choke_points(&csr, &quiet));
    let count = found.map(|f| f.articulations.len() as u64).unwrap_or_default();
    row("strong articulation points and bridges", "none has them", (time, count), None);

    for &t in &sinks {
        digraph.add_edge(t.into(), drain, 1 << 40);
    }
    let ours = best(runs.min(5), || {
        let made = CutProblem::new(&csr, CutKind::Edge, &capacity, &sources, &sinks);
        made.and_then(|(mut problem, _)| problem.solve(&quiet)).unwrap_or_default()
    });
    let theirs = (n <= 10_000).then(|| best(3, || petgraph::algo::dinics(&digraph, root, drain).0));
    row("minimum cut, raw to final", "petgraph dinics", ours, theirs);
}

/// Total loss over all nodes, each removed in turn.
fn naive_knock_out(csr: &Csr, sources: &[u32]) -> u64 {
    let reach = |lost: u32| {
        let mut seen = vec![false; csr.node_count()];
        let mut stack: Vec<u32> = sources.iter().copied().filter(|&s| s != lost).collect();
        stack.iter().for_each(|&s| seen[s as usize] = true);
        let mut count = stack.len() as u64;
        while let Some(u) = stack.pop() {
            for &v in csr.consumers(u) {
                if v != lost && !std::mem::replace(&mut seen[v as usize], true) {
                    count += 1;
                    stack.push(v);
                }
            }
        }
        count
    };
    let whole = reach(u32::MAX);
    csr.nodes().map(|v| (whole - reach(v)).saturating_sub(1)).sum()
}

fn main() {
    let asked: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let wanted = |size: &str| {
        if asked.is_empty() { size != "L" } else { asked.iter().any(|a| a == size) }
    };
    for (size, n, m) in [("S", 2_000, 10_000), ("M", 100_000, 500_000), ("L", 1_000_000, 5_000_000)]
    {
        if wanted(size) {
            compare(size, n, m, 20_240_607);
        }
    }
}
