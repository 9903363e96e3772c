//! Structural analyses against petgraph and rustworkx-core: the same graphs, one run, one table.
//!
//! `cargo bench --bench structure -- [S] [M] [L] [--seed N]` (default S M). The graphs are layered
//! supply networks: six tiers, heavy-tailed out-degrees, single-sourced consumers, some recycling,
//! node numbers shuffled. Times are wall time (best run) and CPU time of all threads (mean of the runs,
//! where the system tells it), which other load on the machine disturbs less.
//! Every pair of answers is compared before it is printed.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench prints, and fails by panicking"
)]

use std::time::Instant;

use chokepoint::analysis::Progress;
use chokepoint::analysis::centrality::*;
use chokepoint::analysis::structure::*;
use chokepoint::graph::Csr;
use petgraph::graph::{DiGraph, UnGraph};
use rand::{Rng, SeedableRng, seq::SliceRandom};
use rand_pcg::Pcg64;

/// Share of the nodes in each tier, in percent.
const SHARES: [usize; 6] = [10, 25, 25, 20, 12, 8];

/// Draws a supply network; node numbers say nothing about tiers.
fn generate(n: usize, m: usize, seed: u64) -> Vec<(u32, u32)> {
    let mut rng = Pcg64::seed_from_u64(seed);
    let mut bounds = vec![0usize];
    for share in SHARES {
        bounds.push(bounds[bounds.len() - 1] + n * share / 100);
    }
    bounds[SHARES.len()] = n;
    let tier_of = |v: usize| bounds.iter().skip(1).position(|&b| v < b).unwrap_or(5);
    // Suppliers are drawn by a Pareto(1.5) weight inside their tier: hubs.
    let mut attraction = vec![0.0; n + 1];
    for v in 0..n {
        attraction[v + 1] = attraction[v] + (1.0 - rng.random::<f64>()).powf(-1.0 / 1.5);
    }
    let supplier = |tier: usize, rng: &mut Pcg64| {
        let (low, high) = (bounds[tier], bounds[tier + 1]);
        let at = attraction[low] + rng.random::<f64>() * (attraction[high] - attraction[low]);
        (attraction.partition_point(|&a| a <= at) - 1).clamp(low, high - 1)
    };
    let mut pairs: Vec<(u32, u32)> =
        (bounds[1]..n).map(|v| (supplier(tier_of(v) - 1, &mut rng) as u32, v as u32)).collect();
    // Consumers are drawn by an exponential weight; one in eight keeps its only supplier.
    let mut demand = vec![0.0; n + 1];
    for v in 0..n {
        let want = if v < bounds[1] || rng.random::<f64>() < 0.12 {
            0.0
        } else {
            -(1.0 - rng.random::<f64>()).ln()
        };
        demand[v + 1] = demand[v] + want;
    }
    while pairs.len() < m {
        for _ in pairs.len()..m {
            let at = rng.random::<f64>() * demand[n];
            let v = (demand.partition_point(|&d| d <= at) - 1).min(n - 1);
            let tier = tier_of(v);
            let from = match rng.random::<f64>() {
                r if (0.78..0.92).contains(&r) && tier >= 2 => tier - 2,
                r if (0.92..0.97).contains(&r) => tier,
                r if r >= 0.97 => (tier + 1 + rng.random_range(0..2)).min(5),
                _ => tier - 1,
            };
            let u = supplier(from, &mut rng);
            if u != v {
                pairs.push((u as u32, v as u32));
            }
        }
        pairs.sort_unstable();
        pairs.dedup();
    }
    let mut number: Vec<u32> = (0..n as u32).collect();
    number.shuffle(&mut rng);
    pairs.iter().map(|&(u, v)| (number[u as usize], number[v as usize])).collect()
}

/// CPU seconds of all threads of this process so far, if the system tells.
fn cpu_seconds() -> Option<f64> {
    let mut nanoseconds = 0.0;
    for task in std::fs::read_dir("/proc/self/task").ok()? {
        let text = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        nanoseconds += text.split(' ').next()?.parse::<f64>().ok()?;
    }
    Some(nanoseconds / 1e9)
}

/// Time of one run in milliseconds: the best wall time, and the mean CPU time (which the system
/// counts too coarsely for single runs).
#[derive(Clone, Copy)]
struct Time {
    wall: f64,
    cpu: f64,
}

fn measure<T>(mut work: impl FnMut() -> T) -> (Time, T) {
    let (begin, cpu) = (Instant::now(), cpu_seconds());
    let (mut wall, mut runs) = (f64::INFINITY, 0.0);
    loop {
        let run = Instant::now();
        let answer = work();
        wall = wall.min(run.elapsed().as_secs_f64() * 1e3);
        runs += 1.0;
        if begin.elapsed().as_secs_f64() > 1.0 {
            let used = cpu.and_then(|c| Some((cpu_seconds()? - c) * 1e3 / runs));
            return (Time { wall, cpu: used.unwrap_or(wall) }, answer);
        }
    }
}

fn row(task: &str, ours: Time, peer: Option<(&str, Time)>, check: impl std::fmt::Display) {
    let (name, theirs, ratio) = match peer {
        Some((name, t)) => {
            (name, format!("{:.2}/{:.2}", t.wall, t.cpu), format!("{:.1}", t.cpu / ours.cpu))
        }
        None => ("-", "-".to_owned(), "-".to_owned()),
    };
    let own = format!("{:.2}/{:.2}", ours.wall, ours.cpu);
    println!("| {task} | {own} | {name} | {theirs} | {ratio} | {check} |");
}

fn close(a: f64, b: f64, what: &str) {
    assert!((a - b).abs() <= 1e-6 * (1.0 + b.abs()), "{what}: {a} is not {b}");
}

fn run(size: &str, n: usize, m: usize, seed: u64) {
    let pairs = generate(n, m, seed);
    let quiet = Progress::silent();
    let (built, view) = measure(|| Csr::from_pairs(n, &pairs));
    let undirected = view.undirected(f64::max);
    let megabytes = view.bytes() as f64 / 1e6;
    println!("\n{size}: {n} nodes, {} edges, both directions {megabytes:.0} MB", view.edge_count());
    println!("| task | ours ms wall/CPU | peer | peer ms wall/CPU | ratio CPU | check |");
    println!("|---|---|---|---|---|---|");
    row("build", built, None, view.edge_count());
    let edges = || pairs.iter().map(|&(u, v)| (u, v));
    let directed: DiGraph<(), ()> = DiGraph::from_edges(edges());
    let both: UnGraph<(), ()> = UnGraph::from_edges(
        undirected
            .nodes()
            .flat_map(|u| undirected.consumers(u).iter().map(move |&v| (u, v)))
            .filter(|(u, v)| u < v),
    );
    let start = view
        .nodes()
        .filter(|&v| view.in_degree(v) == 0)
        .max_by_key(|&v| view.out_degree(v))
        .unwrap_or(0);

    let (ours, count) = measure(|| strongly_connected_components(&view).count);
    let (peer, theirs) = measure(|| petgraph::algo::tarjan_scc(&directed).len());
    assert_eq!(count, theirs);
    row("SCC", ours, Some(("petgraph", peer)), count);

    let (ours, count) =
        measure(|| reach(&view, &[start], Direction::Out).map_or(0, |reached| reached.len()));
    let (peer, theirs) = measure(|| {
        let mut search = petgraph::visit::Bfs::new(&directed, start.into());
        let mut count = 0;
        while search.next(&directed).is_some() {
            count += 1;
        }
        count
    });
    assert_eq!(count, theirs);
    row("BFS", ours, Some(("petgraph", peer)), count);

    let (ours, core) = measure(|| core_numbers(&undirected, Direction::Out, &quiet).unwrap());
    let (peer, theirs) = measure(|| rustworkx_core::connectivity::core_number(&both));
    for (v, &k) in &theirs {
        assert_eq!(core[v.index()] as usize, k);
    }
    row("k-core, undirected", ours, Some(("rustworkx", peer)), core.iter().max().unwrap());

    let (ours, rank) = measure(|| pagerank(&view, &PageRankOptions::default(), &quiet).unwrap());
    assert!(rank.converged);
    let check = format!("error <= {:.0e}", rank.error.unwrap_or(0.0));
    if n <= 2_000 {
        // petgraph's definition differs (and takes O(n^2) a step), so only the time is compared.
        let (peer, _) = measure(|| petgraph::algo::page_rank(&directed, 0.85_f64, 30));
        row("PageRank, L1 1e-9", ours, Some(("petgraph, 30 it.", peer)), check);
    } else {
        row("PageRank, L1 1e-9", ours, None, check);
    }

    let exact = BetweennessOptions::default();
    if n <= 2_000 {
        let (ours, all) = measure(|| betweenness(&view, &exact, &quiet).unwrap().scores);
        let (peer, theirs) = measure(|| {
            rustworkx_core::centrality::betweenness_centrality(&directed, false, false, 50)
        });
        for (v, b) in theirs.into_iter().enumerate() {
            close(all[v], b.unwrap_or(0.0), "betweenness");
        }
        let sum: f64 = all.iter().sum();
        row("betweenness, exact", ours, Some(("rustworkx", peer)), format!("sum {sum:.6e}"));
        let mut worst = 0.0f64;
        let options = ApproximateOptions { normalized: false, ..Default::default() };
        let (ours, found) = measure(|| approximate_betweenness(&view, &options, &quiet).unwrap());
        let scale = (n as f64 - 1.0) * (n as f64 - 2.0);
        for (a, b) in found.scores.scores.iter().zip(&all) {
            worst = worst.max((a - b).abs() / scale);
        }
        assert!(worst <= options.epsilon, "{worst}");
        let check = format!("{} samples, worst error {worst:.5}", found.samples);
        row("betweenness (0.01, 0.1)", ours, None, check);
    } else {
        let count = if n > 200_000 { 8 } else { 64 };
        let sources = Sources::Sampled { count, seed: 7 };
        let options = BetweennessOptions { sources, ..exact };
        let (ours, found) = measure(|| betweenness(&view, &options, &quiet).unwrap().scores);
        let check = format!("sum {:.6e}", found.iter().sum::<f64>());
        row(&format!("betweenness, {count} sources"), ours, None, check);
        let options = ApproximateOptions::default();
        let (ours, found) = measure(|| approximate_betweenness(&view, &options, &quiet).unwrap());
        row("betweenness (0.01, 0.1)", ours, None, format!("{} samples", found.samples));
    }

    let of: Vec<u32> = view.nodes().step_by((n / 100).max(1)).collect();
    let options = ClosenessOptions { of: Some(of.clone()), ..Default::default() };
    let (ours, found) = measure(|| harmonic(&view, &options, &quiet).unwrap().scores);
    let sum: f64 = found.iter().sum();
    row(&format!("harmonic, {} sources", of.len()), ours, None, format!("sum {sum:.6e}"));

    if n <= 200_000 {
        let options = CommunityOptions::default();
        let (ours, found) = measure(|| communities(&view, &options, &quiet).unwrap());
        row(
            "Leiden, modularity",
            ours,
            None,
            format!("quality {:.4}, {} rounds", found.quality, found.rounds),
        );
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let seed = arguments
        .iter()
        .position(|a| a == "--seed")
        .and_then(|i| arguments.get(i + 1)?.parse().ok())
        .unwrap_or(20_240_607);
    let named: Vec<&str> =
        arguments.iter().map(String::as_str).filter(|a| matches!(*a, "S" | "M" | "L")).collect();
    let sizes = if named.is_empty() { vec!["S", "M"] } else { named };
    println!("threads: {}", rayon::current_num_threads());
    for size in sizes {
        match size {
            "S" => run(size, 2_000, 10_000, seed),
            "M" => run(size, 100_000, 500_000, seed),
            _ => run(size, 1_000_000, 5_000_000, seed),
        }
    }
}
