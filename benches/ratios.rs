//! Structural analyses against the libraries that people use today, on the same graphs in one run.
//!
//! `cargo bench --bench ratios -- DIR [S] [M] [L] [--runner "python3 PATH"] [--systems a,b] [--threads N]`
//!
//! DIR holds `S.bin` and so on (little endian: u64 nodes, u64 links, u32 from[], u32 to[],
//! u32 capacity[], u8 tier[]) and what the runner reads. The runner is called as
//! `RUNNER SYSTEM SIZE TASK DIR --threads N --reps R --budget SECONDS` for each peer and task and
//! prints one line of JSON with `cpu_min`, `min_s` and the check value `chk` (or `na`). Without a
//! runner only our own times are printed. Numbers that are drawn at random are drawn by the
//! runner's interpreter, so that all systems work on the same nodes.
//!
//! Times are CPU seconds (best run), so that other work on the machine hardly counts; wall time
//! stands beside them where several threads work. Ratio: best peer / ours. Answers must be equal.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a bench prints, and fails by panicking"
)]

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use chokepoint::analysis::Progress;
use chokepoint::analysis::centrality::*;
use chokepoint::analysis::choke_points::{DominatorTree, biconnectivity, knock_out};
use chokepoint::analysis::cuts::{CutKind, CutProblem};
use chokepoint::analysis::structure::*;
use chokepoint::graph::Csr;
use serde_json::Value;

/// A graph as the generator wrote it.
struct Graph {
    n: usize,
    links: Vec<(u32, u32, u32)>,
    tier: Vec<u8>,
}

fn read(path: &Path) -> Graph {
    let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let word = |i: usize| u64::from_le_bytes(bytes[8 * i..8 * i + 8].try_into().unwrap()) as usize;
    let (n, m) = (word(0), word(1));
    let column = |c: usize, i: usize| {
        let at = 16 + 4 * (c * m + i);
        u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
    };
    let mut links: Vec<(u32, u32, u32)> =
        (0..m).map(|i| (column(0, i), column(1, i), column(2, i))).collect();
    links.sort_unstable();
    Graph { n, links, tier: bytes[16 + 12 * m..16 + 12 * m + n].to_vec() }
}

/// CPU seconds of all threads of this process, those that have ended included.
fn cpu_seconds() -> f64 {
    let of = |path: &Path| {
        let text = std::fs::read_to_string(path.join("schedstat")).unwrap_or_default();
        text.split(' ').next().and_then(|t| t.parse::<f64>().ok()).unwrap_or(0.0)
    };
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    tasks.map(|task| of(&task.unwrap().path())).sum::<f64>() / 1e9
}

#[derive(Clone, Copy)]
struct Time {
    wall: f64,
    cpu: f64,
}

/// Best of some runs. Very short work is repeated inside a run, since the system counts CPU time
/// coarsely.
fn measure<T>(mut work: impl FnMut() -> T) -> (Time, T) {
    let begin = Instant::now();
    let mut answer = work();
    let once = begin.elapsed().as_secs_f64();
    let inner = (0.1 / once.max(1e-7)).ceil().clamp(1.0, 10_000.0) as usize;
    let mut best = Time { wall: f64::INFINITY, cpu: f64::INFINITY };
    let runs = if once > 20.0 { 1 } else { 5 };
    for _ in 0..runs {
        let (start, cpu) = (Instant::now(), cpu_seconds());
        for _ in 0..inner {
            answer = work();
        }
        best.cpu = best.cpu.min((cpu_seconds() - cpu) / inner as f64);
        best.wall = best.wall.min(start.elapsed().as_secs_f64() / inner as f64);
    }
    (best, answer)
}

/// What the peers say and how long it takes them.
struct Runner {
    command: Vec<String>,
    systems: Vec<String>,
    threads: usize,
}

impl Runner {
    /// Node numbers from numpy's generator: `count` of `n` with a seed.
    fn drawn(&self, seed: u32, n: usize, count: usize) -> Option<Vec<u32>> {
        let code = format!(
            "import numpy as np; print(*np.random.default_rng({seed}).choice({n}, min({count}, {n}), replace=False))"
        );
        let run = Command::new(self.command.first()?).args(["-c", &code]).output().ok()?;
        let text = String::from_utf8(run.stdout).ok()?;
        Some(text.split_whitespace().map(|word| word.parse().unwrap()).collect())
    }

    fn ask(&self, system: &str, size: &str, task: &str, dir: &Path) -> Option<(Time, String)> {
        let (program, arguments) = self.command.split_first()?;
        let threads = self.threads.to_string();
        let run = Command::new(program)
            .args(arguments)
            .args([system, size, task])
            .arg(dir)
            .args(["--threads", &threads, "--reps", "5", "--budget", "20"])
            .output()
            .ok()?;
        let text = String::from_utf8_lossy(&run.stdout).into_owned();
        let line: Value = serde_json::from_str(text.lines().last()?).ok()?;
        let time = Time { wall: line["min_s"].as_f64()?, cpu: line["cpu_min"].as_f64()? };
        Some((time, line["chk"].as_str()?.to_owned()))
    }
}

/// One line of the table.
struct Row<'a> {
    task: &'a str,
    /// Name of the task at the runner, and the peers that can do it at this size.
    peer_task: &'a str,
    peers: &'a [&'a str],
    goal: f64,
    ours: Time,
    check: String,
    /// Compare wall times (several threads) instead of CPU times.
    by_wall: bool,
}

impl Row<'_> {
    fn print(&self, runner: &Runner, size: &str, dir: &Path) {
        let mut best: Option<(Time, &str)> = None;
        let time = |t: Time| if self.by_wall { t.wall } else { t.cpu };
        let wanted = |s: &&&str| runner.systems.iter().any(|known| known == **s);
        let mut others = Vec::new();
        for system in self.peers.iter().filter(wanted) {
            let Some((theirs, check)) = runner.ask(system, size, self.peer_task, dir) else {
                eprintln!("{system} has no {} on {size}", self.peer_task);
                continue;
            };
            same(&self.check, &check, system, self.task);
            others.push(format!("{system} {:.4}", time(theirs)));
            if best.is_none_or(|(t, _)| time(theirs) < time(t)) {
                best = Some((theirs, system));
            }
        }
        let ours = format!("{:.5}/{:.5}", self.ours.wall, self.ours.cpu);
        let unit = if self.by_wall { "wall" } else { "CPU" };
        match best {
            Some((theirs, name)) => {
                let ratio = time(theirs) / time(self.ours);
                let verdict = if ratio >= self.goal { "met" } else { "MISSED" };
                println!(
                    "| {} | {ours} | {name} | {} | {ratio:.2} {unit} | {} | {verdict} | {} |",
                    self.task,
                    others.join(", "),
                    self.goal,
                    self.check
                );
            }
            None => println!(
                "| {} | {ours} | - | - | - | {} | - | {} |",
                self.task, self.goal, self.check
            ),
        }
    }
}

/// Equal check values: words are equal, numbers to five digits. Whole parts only where both sides
/// print them (peers add their iterations).
fn same(ours: &str, theirs: &str, system: &str, task: &str) {
    let words =
        |text: &str| text.split([' ', '=', '@']).map(str::to_owned).collect::<Vec<String>>();
    for (a, b) in words(ours).iter().zip(words(theirs)) {
        let equal = match (a.parse::<f64>(), b.parse::<f64>()) {
            (Ok(x), Ok(y)) => (x - y).abs() <= 2e-5 * y.abs().max(1e-12),
            _ => *a == b,
        };
        assert!(equal, "{task}: {system} says {theirs}, we say {ours}");
    }
}

/// Six significant digits, as the runner prints them.
fn top(scores: &[f64]) -> String {
    let (mut at, mut most) = (0, f64::NEG_INFINITY);
    for (i, &s) in scores.iter().enumerate() {
        if s > most {
            (at, most) = (i, s);
        }
    }
    format!("sum={:e} max={most:e}@{at}", scores.iter().sum::<f64>())
}

fn run(size: &str, dir: &Path, runner: &Runner) {
    let graph = read(&dir.join(format!("{size}.bin")));
    let Graph { n, links, tier } = &graph;
    let n = *n;
    let pairs: Vec<(u32, u32)> = links.iter().map(|l| (l.0, l.1)).collect();
    let capacity: Vec<u64> = links.iter().map(|l| u64::from(l.2)).collect();
    let view = Csr::from_pairs(n, &pairs);
    let undirected = view.undirected(f64::max);
    let quiet = Progress::silent();
    let of_tier =
        |t: u8| -> Vec<u32> { (0..n as u32).filter(|&v| tier[v as usize] == t).collect() };
    let (sources, sinks) = (of_tier(0), of_tier(5));
    println!(
        "\n{size}: {n} nodes, {} links, {} threads; both directions {:.0} MB (goal on L: 200)",
        links.len(),
        runner.threads,
        view.bytes() as f64 / 1e6
    );
    println!("| task | ours s wall/CPU | best peer | peers s | ratio | goal | | check |");
    println!("|---|---|---|---|---|---|---|---|");
    let large = n > 200_000;
    let print = |task, peer_task, peers: &[&str], goal, (ours, check): (Time, String), by_wall| {
        Row { task, peer_task, peers, goal, ours, check, by_wall }.print(runner, size, dir);
    };

    let count = match size {
        "S" => n,
        "M" => 64,
        _ => 8,
    };
    if let Some(pivots) = runner.drawn(7, n, count) {
        let exact = count == n;
        let chosen = if exact { Sources::All } else { Sources::Given(pivots) };
        let options = BetweennessOptions { sources: chosen, normalized: false };
        let (time, scores) = measure(|| betweenness(&view, &options, &quiet).unwrap().scores);
        let peers = if exact { &["igraph", "networkit"][..] } else { &["igraph"] };
        let goal = if exact { 2.0 } else { 3.0 };
        let name = if exact { "betweenness, exact" } else { "betweenness, given sources" };
        let by_wall = exact && runner.threads > 1;
        print(name, "betw", peers, goal, (time, top(&scores)), by_wall);
    }
    let options = ApproximateOptions::default();
    let (time, found) = measure(|| approximate_betweenness(&view, &options, &quiet).unwrap());
    let check = format!("{} samples", found.samples);
    // No peer: the goal is 10 s on M.
    print("betweenness (0.01, 0.1)", "", &[], 0.0, (time, check), false);
    if size == "S" {
        let all = betweenness(
            &view,
            &BetweennessOptions { normalized: true, ..Default::default() },
            &quiet,
        );
        let all = all.unwrap().scores;
        let worst = found.scores.scores.iter().zip(&all).map(|(a, b)| (a - b).abs());
        let worst = worst.fold(0.0, f64::max);
        let bound = found.scores.error.unwrap();
        assert!(worst <= bound && bound <= 0.01, "{worst} {bound}");
        println!("| its worst error {worst:.5}, promised {bound:.5} | | | | | | | |");
    }
    let options = PageRankOptions::default();
    let (time, found) = measure(|| pagerank(&view, &options, &quiet).unwrap());
    assert!(found.error.unwrap() <= 1e-9);
    let peers = ["igraph", "scipy", "graphblas", "networkit"];
    let goal = if large { 1.5 } else { 2.0 };
    let by_wall = large && runner.threads > 1;
    print("PageRank, L1 error 1e-9", "pagerank", &peers, goal, (time, top(&found.scores)), by_wall);

    let (time, found) = measure(|| strongly_connected_components(&view).count);
    let peers = ["scipy", "igraph", "networkit"];
    print("strong components", "scc", &peers, 1.0, (time, found.to_string()), false);
    let start = *sources.iter().rev().max_by_key(|&&v| view.out_degree(v)).unwrap();
    let (time, found) = measure(|| reach(&view, &[start], Direction::Out).unwrap().len());
    print(
        "search from the largest source",
        "bfs",
        &["scipy", "igraph"],
        1.0,
        (time, found.to_string()),
        false,
    );
    let (time, found) = measure(|| core_numbers(&undirected, Direction::Out, &quiet).unwrap());
    let most = found.iter().max().unwrap().to_string();
    print("k-core, undirected", "kcore", &["igraph", "networkit"], 1.0, (time, most), false);

    let (time, found) = measure(|| biconnectivity(&view, false));
    let points = found.articulations.len().to_string();
    print(
        "articulation points (bridges too)",
        "artpoints",
        &["igraph"],
        2.0,
        (time, points),
        false,
    );
    let bridges = found.bridges.len().to_string();
    print("bridges (articulation points too)", "bridges", &["igraph"], 2.0, (time, bridges), false);

    let (time, found) =
        measure(|| DominatorTree::build(view.outgoing(), view.incoming(), &sources).reached());
    // The peer's graph has the super source, counted apart, and a sink behind the last tier.
    let check = (found + 1).to_string();
    let goal = if large { 1.5 } else { 3.0 };
    print("dominators", "dominators", &["igraph"], goal, (time, check), false);
    if !large {
        let (time, found) =
            measure(|| knock_out(&view, &sources, None, |_| 1.0, &quiet).unwrap().lost);
        let sum: u64 = found.iter().map(|&l| u64::from(l)).sum();
        let check = format!("sum={sum} max={}", found.iter().max().unwrap());
        print("knock-out of every node", "knockout_dom", &["igraph"], 10.0, (time, check), false);
    }
    let (time, found) = measure(|| {
        let made = CutProblem::new(&view, CutKind::Edge, &capacity, &sources, &sinks);
        made.unwrap().0.solve(&quiet).unwrap()
    });
    let goal = if large { 1.75 } else { 2.0 };
    let peers = ["igraph", "scipy"];
    print("minimum cut", "maxflow", &peers, goal, (time, found.to_string()), false);

    if size == "M"
        && let Some(of) = runner.drawn(9, n, 500)
    {
        let options = ClosenessOptions { of: Some(of), ..Default::default() };
        let (time, found) = measure(|| harmonic(&view, &options, &quiet).unwrap().scores);
        let check = top(&found);
        print("harmonic, 500 sources", "harmonic_sub", &["igraph"], 2.5, (time, check), false);
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let option = |name: &str| {
        let at = arguments.iter().position(|a| a == name)?;
        arguments.get(at + 1).cloned()
    };
    let Some(dir) = arguments.first().filter(|a| !a.starts_with('-') && Path::new(a).is_dir())
    else {
        println!("no directory of graphs given; see the top of benches/ratios.rs");
        return;
    };
    let command = option("--runner").unwrap_or_default();
    let systems = option("--systems").unwrap_or("igraph,scipy,networkit,graphblas".into());
    let threads = option("--threads").and_then(|t| t.parse().ok()).unwrap_or(1);
    let runner = Runner {
        command: command.split_whitespace().map(str::to_owned).collect(),
        systems: systems.split(',').map(str::to_owned).collect(),
        threads,
    };
    let sizes: Vec<&str> =
        arguments.iter().map(String::as_str).filter(|a| matches!(*a, "S" | "M" | "L")).collect();
    let sizes = if sizes.is_empty() { vec!["S", "M"] } else { sizes };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    for size in sizes {
        pool.install(|| run(size, Path::new(dir), &runner));
    }
}
