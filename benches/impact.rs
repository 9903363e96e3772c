//! Speed of the impact engine on seeded random networks: `cargo bench --bench impact`.
//!
//! Prints, for each workload, the CPU time on one thread and what it is made of. Networks: random
//! links with log-normal weights, `products` products, rules drawn per pair of products.
//! `--large`: also removals from 1M nodes and 5M flows. `--file F`: removals from the graph in F
//! (little endian: u64 nodes, u64 flows, then u32 from, to and quantity of every flow). `--only
//! TEXT`: only workloads whose name contains it.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a bench reports on the terminal")]

use std::sync::Arc;
use std::time::Instant;

use chokepoint::analysis::Progress;
use chokepoint::analysis::impact::{ImpactModel, Shocks};
use chokepoint::graph::{Snapshot, SnapshotInfo};
use chokepoint::model::scenario::{Direction, ModelOptions, Stop, StopRule, Substitution};
use chokepoint::model::{FlowRecord, NetworkBuilder, NodeRecord, RequirementRecord, Rule};

/// CPU time of this thread in seconds where the system tells it, else wall time.
fn seconds() -> f64 {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    let wall = START.get_or_init(Instant::now).elapsed().as_secs_f64();
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let on_cpu = text.split(' ').next().and_then(|ns| ns.parse::<f64>().ok());
    on_cpu.map_or(wall, |ns| ns / 1e9)
}

/// SplitMix64 (Steele et al. 2014): enough for a test network.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    fn below(&mut self, n: usize) -> usize {
        (self.unit() * n as f64) as usize
    }
}

fn network(n: usize, m: usize, products: usize, seed: u64) -> Arc<Snapshot> {
    let mut random = Random(seed);
    let mut builder = NetworkBuilder::new();
    for i in 0..n {
        let node = NodeRecord {
            product: Some(format!("p{}", random.below(products))),
            ..NodeRecord::new(format!("n{i:07}"))
        };
        builder.add_node(&node, i).unwrap();
    }
    for _ in 0..m {
        let (from, to) = (random.below(n), random.below(n));
        let weight = (-2.0 * random.unit().max(1e-12).ln()).sqrt()
            * (std::f64::consts::TAU * random.unit()).cos();
        let flow =
            FlowRecord::new(format!("n{from:07}"), format!("n{to:07}"), (1.2 * weight).exp());
        builder.add_flow(&flow, 0);
    }
    for input in 0..products {
        for output in 0..products {
            let rule = match random.below(10) {
                0..4 => Rule::Limiting,
                4..7 => Rule::Additive,
                _ => Rule::None,
            };
            builder
                .add_requirement(&RequirementRecord {
                    output: format!("p{output}"),
                    input: format!("p{input}"),
                    rule,
                    ..RequirementRecord::default()
                })
                .unwrap();
        }
    }
    let network = builder.finish().unwrap();
    Arc::new(Snapshot::build(network, SnapshotInfo::default(), Arc::default()))
}

fn options(rule: StopRule, substitution: Substitution, direction: Direction) -> ModelOptions {
    ModelOptions {
        direction,
        substitution,
        stop: Stop { rule, tolerance: None },
        ..ModelOptions::default()
    }
}

fn all_failures(name: &str, snapshot: &Arc<Snapshot>, options: &ModelOptions, count: usize) {
    let mut arguments = std::env::args();
    let only = arguments.find(|a| a == "--only").and_then(|_| arguments.next());
    if only.is_some_and(|only| !name.contains(&only)) {
        return;
    }
    let model = ImpactModel::new(snapshot.clone(), options, &[]).unwrap();
    let shocks: Vec<Shocks> =
        snapshot.nodes().cycle().take(count).map(|v| Shocks::removal(&[v])).collect();
    let start = seconds();
    let endings = model
        .solve_many(&shocks, &Progress::silent(), |_, losses| {
            (losses.ending, losses.nodes.iter().map(|l| l.1.max(l.2)).sum::<f64>())
        })
        .unwrap();
    let time = seconds() - start;
    let sweeps: Vec<u32> = endings.iter().map(|e| e.0.sweeps).collect();
    let mean = sweeps.iter().map(|&s| f64::from(s)).sum::<f64>() / sweeps.len() as f64;
    let accelerated = endings.iter().filter(|e| e.0.accelerated).count();
    let residual = endings.iter().map(|e| e.0.residual).fold(0.0, f64::max);
    let total: f64 = endings.iter().map(|e| e.1).sum();
    println!(
        "{name:44} {time:8.3} s  {:8.1} us each  sweeps mean {mean:.1} max {}  exact limit {accelerated}  \
         residual {residual:.1e}  check {total:.9}",
        time / count as f64 * 1e6,
        sweeps.iter().max().unwrap(),
    );
}

fn main() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    pool.install(|| {
        use Direction::Both;
        let small = network(242, 1980, 60, 1);
        let fix = |s, d| options(StopRule::Fixpoint, s, d);
        let step = |s, d| options(StopRule::Step, s, d);
        all_failures(
            "242/1980: 264 to the fixed point, both",
            &small,
            &fix(Substitution::None, Both),
            264,
        );
        let one = network(1000, 5000, 50, 2);
        all_failures(
            "1000/5000: all, early stop, supplier_share",
            &one,
            &step(Substitution::SupplierShare, Both),
            1000,
        );
        let five = network(5000, 25_000, 50, 3);
        all_failures(
            "5000/25000: all, early stop, supplier_share",
            &five,
            &step(Substitution::SupplierShare, Both),
            5000,
        );
        all_failures(
            "5000/25000: all, fixed point, both",
            &five,
            &fix(Substitution::None, Both),
            5000,
        );
        all_failures(
            "5000/25000: 1000, fixed point, market_share",
            &five,
            &fix(Substitution::MarketShare, Both),
            1000,
        );
        all_failures(
            "5000/25000: 80, fixed point, upstream",
            &five,
            &fix(Substitution::None, Direction::Upstream),
            80,
        );
        all_failures(
            "5000/25000: 80, fixed point, downstream",
            &five,
            &fix(Substitution::None, Direction::Downstream),
            80,
        );
        let tight = network(100, 500, 8, 4);
        all_failures(
            "100/500: 120 to the fixed point, both",
            &tight,
            &fix(Substitution::None, Both),
            120,
        );
        let arguments: Vec<String> = std::env::args().collect();
        if arguments.iter().any(|a| a == "--large") {
            removals(&network(1_000_000, 5_000_000, 50, 5));
        }
        if let Some(k) = arguments.iter().position(|a| a == "--file") {
            removals(&from_file(&arguments[k + 1]));
        }
    });
}

/// A graph in which every node is its own product.
fn from_file(path: &str) -> Arc<Snapshot> {
    let bytes = std::fs::read(path).unwrap();
    let long = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()) as usize;
    let (n, m) = (long(0), long(8));
    let word = |k: usize| {
        let at = 16 + 4 * k;
        u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
    };
    let mut builder = NetworkBuilder::new();
    for i in 0..n {
        builder.add_node(&NodeRecord::new(format!("n{i:07}")), i).unwrap();
    }
    for e in 0..m {
        let (from, to) = (word(e), word(m + e));
        let quantity = f64::from(word(2 * m + e));
        builder.add_flow(&FlowRecord::new(format!("n{from:07}"), format!("n{to:07}"), quantity), 0);
    }
    let network = builder.finish().unwrap();
    Arc::new(Snapshot::build(network, SnapshotInfo::default(), Arc::default()))
}

/// Removals of one node and of a thousand, first with the model to be built.
fn removals(snapshot: &Arc<Snapshot>) {
    let size = format!("{}/{}", snapshot.node_count(), snapshot.flow_count());
    let thousand: Vec<u32> = snapshot.nodes().step_by(snapshot.node_count() / 1000).collect();
    for direction in [Direction::Downstream, Direction::Both] {
        let options = options(StopRule::Fixpoint, Substitution::None, direction);
        let begin = seconds();
        let model = ImpactModel::new(snapshot.clone(), &options, &[]).unwrap();
        println!("{size}: model {direction:?} in {:.3} s", seconds() - begin);
        for nodes in [&thousand[..], &thousand[..1], &thousand[..], &thousand[5..6]] {
            let shocks = Shocks::removal(nodes);
            let start = seconds();
            let prepared = model.prepare(&shocks);
            let solution = model.solve(&prepared, &Progress::silent()).unwrap();
            let lost: f64 = snapshot.nodes().map(|v| solution.loss(v)).sum();
            println!(
                "{size}: removal of {} in {:.3} s  lost {lost:.3} {:?}",
                nodes.len(),
                seconds() - start,
                solution.ending
            );
        }
    }
}
