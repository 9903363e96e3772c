//! The engine against a naive second version of the published cascade (Diem et al. 2022, with link
//! cuts) on random networks of 100 to 5,000 nodes: losses of every node, both directions, both
//! stop rules, equal sweep counts, markets finer than products.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::collections::BTreeMap;
use std::sync::Arc;

use chokepoint::analysis::Progress;
use chokepoint::analysis::impact::{ImpactModel, Shocks};
use chokepoint::graph::{Snapshot, SnapshotInfo};
use chokepoint::model::scenario::{
    Direction, FlowSelector, ModelOptions, Shock, Stop, StopRule, Substitution,
};
use chokepoint::model::{
    FlowRecord, NetworkBuilder, NodeRecord, RequirementRecord, Rule, Selector,
};

/// SplitMix64 (Steele et al. 2014).
struct Random(u64);

impl Random {
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    fn below(&mut self, n: usize) -> usize {
        (self.unit() * n as f64) as usize
    }
}

/// A network as the reference sees it.
struct Naive {
    product: Vec<usize>,
    market: Vec<usize>,
    /// (supplier, buyer, weight), no two alike.
    links: Vec<(usize, usize, f64)>,
    /// Level of (supplier product, buyer product): 2 essential, 1 not, 0 negligible.
    level: Vec<Vec<u8>>,
}

/// One scenario: shocks of nodes (down, up) and the share of each link that stays open.
struct Scenario {
    shock: Vec<(f64, f64)>,
    open: Vec<f64>,
}

impl Naive {
    fn random(n: usize, m: usize, products: usize, seed: u64) -> Self {
        let mut r = Random(seed);
        let product: Vec<usize> = (0..n).map(|_| r.below(products)).collect();
        // Markets finer than products.
        let market = product.iter().map(|p| p * 3 + r.below(3)).collect();
        let mut links = BTreeMap::new();
        while links.len() < m {
            links.insert((r.below(n), r.below(n)), (2.0 * r.unit()).exp());
        }
        let level = (0..products)
            .map(|_| (0..products).map(|_| [2, 2, 1, 1, 1, 0, 0, 0][r.below(8)]).collect())
            .collect();
        let links = links.into_iter().map(|((i, j), w)| (i, j, w)).collect();
        Self { product, market, links, level }
    }

    fn build(&self) -> Arc<Snapshot> {
        let mut builder = NetworkBuilder::new();
        for (v, (p, q)) in self.product.iter().zip(&self.market).enumerate() {
            let node = NodeRecord {
                product: Some(format!("p{p:03}")),
                attributes: BTreeMap::from([("market".into(), format!("q{q}").into())]),
                ..NodeRecord::new(format!("n{v:05}"))
            };
            builder.add_node(&node, 0).unwrap();
        }
        for (i, j, w) in &self.links {
            builder.add_flow(&FlowRecord::new(format!("n{i:05}"), format!("n{j:05}"), *w), 0);
        }
        for (k, row) in self.level.iter().enumerate() {
            for (l, level) in row.iter().enumerate() {
                let requirement = RequirementRecord {
                    input: format!("p{k:03}"),
                    output: format!("p{l:03}"),
                    rule: [Rule::None, Rule::Additive, Rule::Limiting][usize::from(*level)],
                    ..RequirementRecord::default()
                };
                builder.add_requirement(&requirement).unwrap();
            }
        }
        let network = builder.finish().unwrap();
        Arc::new(Snapshot::build(network, SnapshotInfo::default(), Arc::default()))
    }

    /// Losses (down, up) of every node and the number of sweeps.
    fn cascade(
        &self,
        scenario: &Scenario,
        substitution: Substitution,
        eps: f64,
    ) -> (Vec<f64>, Vec<f64>, u32) {
        let n = self.product.len();
        let products = self.level.len();
        let (mut out, mut into) = (vec![0.0; n], vec![0.0; n]);
        let mut of_product = vec![0.0; n * products];
        for &(i, j, w) in &self.links {
            out[i] += w;
            into[j] += w;
            of_product[j * products + self.product[i]] += w;
        }
        let markets = self.market.iter().max().unwrap() + 1;
        let mut down: Vec<f64> = scenario.shock.iter().map(|s| 1.0 - s.0).collect();
        let mut up: Vec<f64> = scenario.shock.iter().map(|s| 1.0 - s.1).collect();
        for sweep in 1.. {
            let (mut left, mut lost) = (vec![0.0; markets], vec![0.0; markets]);
            for v in 0..n {
                left[self.market[v]] += down[v] * out[v];
                lost[self.market[v]] += (1.0 - down[v]) * out[v];
            }
            let factor = |i: usize| {
                let part = match substitution {
                    Substitution::SupplierShare => out[i],
                    Substitution::MarketShare => lost[self.market[i]],
                    _ => return 1.0,
                };
                if left[self.market[i]] > 0.0 {
                    (part / left[self.market[i]]).min(1.0)
                } else {
                    1.0
                }
            };
            let mut essential = vec![0.0; n * products];
            let mut additive = vec![0.0; n];
            let mut orders = vec![0.0; n];
            for (&(i, j, w), open) in self.links.iter().zip(&scenario.open) {
                let (k, l) = (self.product[i], self.product[j]);
                let short = factor(i) * (1.0 - open.min(down[i]));
                match self.level[k][l] {
                    2 => essential[j * products + k] += w / of_product[j * products + k] * short,
                    1 => additive[j] += w / into[j] * short,
                    _ => {}
                }
                orders[i] += w / out[i] * (1.0 - open.min(up[j]));
            }
            let mut step = 0.0f64;
            for v in 0..n {
                let worst = essential[v * products..(v + 1) * products].iter().copied();
                let loss = worst.fold(scenario.shock[v].0, f64::max).max(additive[v]).min(1.0);
                let loss_up = orders[v].max(scenario.shock[v].1).min(1.0);
                step = step.max(down[v] - (1.0 - loss)).max(up[v] - (1.0 - loss_up));
                (down[v], up[v]) = (down[v].min(1.0 - loss), up[v].min(1.0 - loss_up));
            }
            if step <= eps {
                let loss = |h: Vec<f64>| h.into_iter().map(|h| 1.0 - h).collect();
                return (loss(down), loss(up), sweep);
            }
        }
        unreachable!("losses grow and are bounded")
    }
}

fn compare(n: usize, m: usize, products: usize, seed: u64, scenarios: usize, limit: bool) {
    let naive = Naive::random(n, m, products, seed);
    let snapshot = naive.build();
    let mut r = Random(seed + 1);
    let mut given = Vec::new();
    let mut asked = Vec::new();
    for k in 0..scenarios {
        let mut scenario =
            Scenario { shock: vec![(0.0, 0.0); n], open: vec![1.0; naive.links.len()] };
        let mut shocks = Vec::new();
        for _ in 0..1 + k % 3 {
            let (v, down, up) = (r.below(n), 0.2 + 0.8 * r.unit(), r.unit());
            if scenario.shock[v] == (0.0, 0.0) {
                scenario.shock[v] = (down, up);
                shocks.push(Shock {
                    select: Some(Selector::node(&format!("n{v:05}"))),
                    loss: Some(down),
                    loss_upstream: Some(up),
                    ..Shock::default()
                });
            }
        }
        // Every other scenario also cuts links.
        for _ in 0..4 * (k % 2) {
            let e = r.below(naive.links.len());
            if scenario.open[e] == 1.0 {
                scenario.open[e] = r.unit();
                let (i, j, _) = naive.links[e];
                shocks.push(Shock {
                    flow: Some(FlowSelector {
                        from: Selector::node(&format!("n{i:05}")),
                        to: Selector::node(&format!("n{j:05}")),
                        ..FlowSelector::default()
                    }),
                    cut: Some(1.0 - scenario.open[e]),
                    ..Shock::default()
                });
            }
        }
        asked.push(Shocks::compile(&snapshot, &shocks).unwrap());
        given.push(scenario);
    }
    let rules = if limit { vec![StopRule::Step, StopRule::Fixpoint] } else { vec![StopRule::Step] };
    for substitution in [Substitution::None, Substitution::SupplierShare, Substitution::MarketShare]
    {
        for &rule in &rules {
            let options = ModelOptions {
                direction: Direction::Both,
                substitution,
                stop: Stop { rule, tolerance: None },
                market_key: Some("market".into()),
                ..ModelOptions::default()
            };
            let model = ImpactModel::new(snapshot.clone(), &options, &[]).unwrap();
            let many = model.solve_many(&asked, &Progress::silent(), |_, l| l).unwrap();
            for (k, (scenario, ours)) in given.iter().zip(&many).enumerate() {
                let at = format!("{n} nodes, scenario {k}, {substitution:?}, {rule:?}");
                let (eps, tolerance) =
                    if rule == StopRule::Step { (0.01, 1e-9) } else { (1e-13, 1e-7) };
                let (down, up, sweeps) = naive.cascade(scenario, substitution, eps);
                let mut losses = vec![(0.0, 0.0); n];
                for &(v, d, u) in &ours.nodes {
                    losses[v as usize] = (d, u);
                }
                for v in 0..n {
                    let (d, u) = losses[v];
                    assert!((d - down[v]).abs() <= tolerance, "{at}: node {v}: {d} {}", down[v]);
                    assert!((u - up[v]).abs() <= tolerance, "{at}: node {v} up: {u} {}", up[v]);
                }
                if rule == StopRule::Step {
                    assert_eq!(ours.ending.sweeps, sweeps, "{at}: sweeps");
                } else {
                    assert!(ours.ending.converged, "{at}: {:?}", ours.ending);
                }
            }
        }
    }
}

#[test]
fn small_networks_agree_at_both_stops() {
    for seed in 0..12 {
        compare(100, 300 + 30 * seed as usize, 8, seed, 8, true);
    }
}

#[test]
fn a_thousand_nodes_agree_at_both_stops() {
    compare(1000, 3000, 40, 77, 6, true);
}

#[test]
fn five_thousand_nodes_agree_at_the_early_stop() {
    compare(5000, 25_000, 60, 78, 4, false);
}

/// Removals, squeezes and cuts on networks whose cycle is large enough for known limits to bound
/// others: alone, side by side and as single questions.
#[test]
fn known_limits_of_large_cycles_do_not_change_results() {
    for seed in 0..40 {
        let naive = Naive::random(400, 1200 + 60 * seed as usize, 12, 500 + seed);
        let snapshot = naive.build();
        let mut r = Random(900 + seed);
        let scenarios: Vec<Shocks> = (0..20)
            .map(|k| {
                let v = r.below(400);
                if k % 4 == 3 {
                    let flow = r.below(snapshot.flow_count()) as u32;
                    return Shocks::cut(&[flow]);
                }
                let select = Some(Selector::node(&format!("n{v:05}")));
                let loss = Some(if k % 2 == 0 { 1.0 } else { r.unit() });
                let shock = Shock { select, loss, ..Shock::default() };
                Shocks::compile(&snapshot, &[shock]).unwrap()
            })
            .collect();
        for rule in [StopRule::Fixpoint, StopRule::Step] {
            let options = ModelOptions {
                direction: Direction::Both,
                stop: Stop { rule, tolerance: None },
                ..ModelOptions::default()
            };
            let model = ImpactModel::new(snapshot.clone(), &options, &[]).unwrap();
            assert!(!model.downstream().unwrap().pivots().is_empty(), "{seed}");
            let solve = |scenarios: &[Shocks]| {
                model.solve_many(scenarios, &Progress::silent(), |_, l| l).unwrap()
            };
            let together = solve(&scenarios);
            // Without the cuts, other lanes take other scenarios.
            let nodes_only: Vec<Shocks> =
                scenarios.iter().filter(|s| !s.has_cuts()).cloned().collect();
            let mut apart = solve(&nodes_only).into_iter();
            for (k, (shocks, losses)) in scenarios.iter().zip(&together).enumerate() {
                let at = format!("seed {seed}, scenario {k}, {rule:?}");
                assert_eq!(&solve(std::slice::from_ref(shocks))[0], losses, "{at}");
                if !shocks.has_cuts() {
                    assert_eq!(&apart.next().unwrap(), losses, "{at}");
                }
                let prepared = model.prepare(shocks);
                let single = model.solve(&prepared, &Progress::silent()).unwrap();
                assert_eq!(single.ending.sweeps, losses.ending.sweeps, "{at}");
                let mut listed = losses.nodes.iter().peekable();
                for v in snapshot.nodes() {
                    let (d, u) = listed.next_if(|l| l.0 == v).map_or((0.0, 0.0), |l| (l.1, l.2));
                    assert!((single.down(v) - d).abs() <= 1e-9, "{at}: {} {d}", single.down(v));
                    assert!((single.up(v) - u).abs() <= 1e-9, "{at}: {} {u}", single.up(v));
                }
            }
        }
    }
}
