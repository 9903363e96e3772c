//! Laws of attribution: efficiency, symmetry, dummy, additivity; exact values equal the average
//! over all orders; sampled values agree within their errors; on games and on random networks.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::convert::Infallible;
use std::sync::Arc;

use chokepoint::analysis::Progress;
use chokepoint::analysis::attribution::{Attribution, Coalition, attribute, shapley};
use chokepoint::analysis::impact::{ImpactModel, Shocks, TargetNodes};
use chokepoint::graph::{Snapshot, SnapshotInfo};
use chokepoint::model::scenario::{ModelOptions, Shock, Substitution, Target};
use chokepoint::model::{
    Figure, FlowRecord, NetworkBuilder, NodeRecord, RequirementRecord, Rule, Selector,
};
use proptest::prelude::*;
use rand::SeedableRng;

/// Every order of `0..n`.
fn orders(n: usize) -> Vec<Vec<usize>> {
    if n == 0 {
        return vec![Vec::new()];
    }
    orders(n - 1)
        .into_iter()
        .flat_map(|order| {
            (0..=order.len()).map(move |at| {
                let mut order = order.clone();
                order.insert(at, n - 1);
                order
            })
        })
        .collect()
}

/// Mean marginal contribution over all orders: the definition.
fn brute_force(n: usize, value: impl Fn(u64) -> f64) -> Vec<f64> {
    let all = orders(n);
    let mut sums = vec![0.0; n];
    for order in &all {
        let mut mask = 0;
        for &player in order {
            let before = value(mask);
            mask |= 1 << player;
            sums[player] += value(mask) - before;
        }
    }
    sums.iter().map(|s| s / all.len() as f64).collect()
}

fn mask(coalition: &Coalition) -> u64 {
    coalition.members().map(|p| 1 << p).sum()
}

fn exact(n: usize, value: impl Fn(u64) -> f64) -> Attribution {
    let evaluate = |all: &[Coalition]| -> Result<_, Infallible> {
        Ok(all.iter().map(|c| vec![value(mask(c))]).collect())
    };
    shapley::exact(n, 1, evaluate).unwrap()
}

fn sampled(n: usize, seed: u64, value: impl Fn(&Coalition) -> f64) -> Attribution {
    let mut rng = rand_pcg::Pcg64Mcg::seed_from_u64(seed);
    let evaluate = |all: &[Coalition]| -> Result<_, Infallible> {
        Ok(all.iter().map(|c| vec![value(c)]).collect())
    };
    shapley::sampled(n, 1, &mut rng, evaluate).unwrap()
}

fn game(n: usize) -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec(0.0f64..1.0, 1 << n).prop_map(|mut v| {
        v[0] = 0.0;
        v
    })
}

proptest! {
    #![proptest_config(crate::laws::cases(100))]

    #[test]
    fn exact_values_are_the_mean_over_all_orders(n in 1usize..=6, table in game(6)) {
        let value = |mask: u64| table[mask as usize];
        let ours = exact(n, value).values.remove(0);
        for (a, b) in ours.iter().zip(brute_force(n, value)) {
            prop_assert!((a - b).abs() < 1e-12, "{ours:?}");
        }
        prop_assert!((ours.iter().sum::<f64>() - value((1 << n) - 1)).abs() < 1e-12);
    }

    #[test]
    fn equals_are_treated_equally_and_dummies_get_what_they_add(table in game(5), own in 0.0f64..1.0) {
        // Players 0 and 1 are swapped freely, player 4 adds `own` to everything.
        let value = |mask: u64| {
            let (lo, rest) = (mask & 3, mask & 12);
            table[(lo.count_ones() as u64 | rest) as usize]
                + if mask >> 4 & 1 == 1 { own } else { 0.0 }
                - table[0]
        };
        let ours = exact(5, value).values.remove(0);
        prop_assert!((ours[0] - ours[1]).abs() < 1e-12);
        prop_assert!((ours[4] - own).abs() < 1e-12);
    }

    #[test]
    fn values_of_a_sum_of_games_add_up(a in game(5), b in game(5)) {
        let of = |table: Vec<f64>| exact(5, |mask| table[mask as usize]).values.remove(0);
        let sum = of(a.iter().zip(&b).map(|(a, b)| a + b).collect());
        for ((a, b), sum) in of(a).iter().zip(of(b)).zip(sum) {
            prop_assert!((a + b - sum).abs() < 1e-12);
        }
    }
}

#[test]
fn twelve_players_are_exact_and_sum_to_the_whole() {
    // A threshold game: the whole is lost once seven of twelve are out.
    let value = |mask: u64| f64::from(u8::from(mask.count_ones() >= 7));
    let found = exact(12, value);
    assert_eq!((found.evaluations, found.orders), (4095, None));
    for v in &found.values[0] {
        assert!((v - 1.0 / 12.0).abs() < 1e-12);
    }
}

#[test]
fn sampled_values_add_up_repeat_and_agree_within_their_errors() {
    let n = 40;
    let weight: Vec<f64> = (0..n).map(|i| f64::from(i + 1)).collect();
    let total: f64 = weight.iter().sum();
    // Convex in the weight that is out: marginals depend on the order, values are near weight/total
    // times a known sum for the quadratic game: phi_i = w_i * total / total^2.
    let value = |c: &Coalition| {
        let out: f64 = c.members().map(|p| weight[p]).sum::<f64>() / total;
        out * out
    };
    let found = sampled(n as usize, 7, value);
    assert_eq!(found, sampled(n as usize, 7, value), "the same seed gives the same values");
    let sum: f64 = found.values[0].iter().sum();
    assert!((sum - 1.0).abs() < 1e-9, "{sum}");
    let errors = &found.errors.as_ref().unwrap()[0];
    // The Shapley value of the quadratic game is w_i / total. Antithetic pairs are exact for it.
    for ((value, error), w) in found.values[0].iter().zip(errors).zip(&weight) {
        assert!((value - w / total).abs() <= 1e-9 + 4.0 * error, "{value} {error} {}", w / total);
    }
    // A cubic game has real errors; four of them hold every value of the exact one at n = 8.
    let small = 8;
    let cubic = |c: &Coalition| (c.members().map(|p| weight[p]).sum::<f64>() / 36.0).powi(3);
    let mut rng = rand_pcg::Pcg64Mcg::seed_from_u64(3);
    let found =
        shapley::sampled(small, 1, &mut rng, |all: &[Coalition]| -> Result<_, Infallible> {
            Ok(all.iter().map(|c| vec![cubic(c)]).collect())
        })
        .unwrap();
    let errors = &found.errors.as_ref().unwrap()[0];
    let truth = exact(small, |mask| cubic(&Coalition::of_mask(mask)));
    assert!(errors.iter().any(|e| *e > 0.0));
    for ((value, error), truth) in found.values[0].iter().zip(errors).zip(&truth.values[0]) {
        assert!((value - truth).abs() <= 4.0 * error, "{value} {error} {truth}");
    }
}

#[derive(Debug, Clone)]
struct Raw {
    products: Vec<u8>,
    flows: Vec<(u8, u8, f64)>,
    rules: Vec<(u8, f64)>,
    shocks: Vec<(u8, f64)>,
}

const PRODUCTS: u8 = 4;

fn raw() -> impl Strategy<Value = Raw> {
    (4usize..10).prop_flat_map(|n| {
        let node = 0u8..n as u8;
        (
            prop::collection::vec(0u8..PRODUCTS, n),
            prop::collection::vec((node.clone(), node.clone(), 0.1f64..10.0), 1..30),
            prop::collection::vec((0u8..4, 0.0f64..1.0), (PRODUCTS * PRODUCTS) as usize),
            prop::collection::vec((node, 0.1f64..=1.0), 2..6),
        )
            .prop_map(|(products, flows, rules, shocks)| Raw {
                products,
                flows,
                rules,
                shocks,
            })
    })
}

fn build(raw: &Raw) -> Arc<Snapshot> {
    let mut builder = NetworkBuilder::new();
    for (i, p) in raw.products.iter().enumerate() {
        let node =
            NodeRecord { product: Some(format!("p{p}")), ..NodeRecord::new(format!("n{i}")) };
        builder.add_node(&node, i).unwrap();
    }
    for (from, to, q) in &raw.flows {
        builder.add_flow(&FlowRecord::new(format!("n{from}"), format!("n{to}"), *q), 0);
    }
    for (k, (rule, x)) in raw.rules.iter().enumerate() {
        let (output, input) = (k as u8 / PRODUCTS, k as u8 % PRODUCTS);
        let mut record = RequirementRecord {
            output: format!("p{output}"),
            input: format!("p{input}"),
            ..RequirementRecord::default()
        };
        match rule {
            0 => record.dependence = Some(Figure::bare(*x)),
            1 => record.rule = Rule::Additive,
            2 => record.rule = Rule::None,
            _ => (record.rule, record.min_share) = (Rule::Threshold, Some(*x)),
        }
        builder.add_requirement(&record).unwrap();
    }
    let network = builder.finish().unwrap();
    Arc::new(Snapshot::build(network, SnapshotInfo::default(), Arc::default()))
}

proptest! {
    #![proptest_config(crate::laws::cases(60))]

    #[test]
    fn shocks_of_a_network_share_its_loss(raw in raw(), market in any::<bool>()) {
        let snapshot = build(&raw);
        let shocks: Vec<Shock> = raw
            .shocks
            .iter()
            .enumerate()
            .map(|(i, (node, loss))| Shock {
                name: Some(format!("s{i}")),
                select: Some(Selector::node(&format!("n{node}"))),
                loss: Some(*loss),
                // A different window keeps equal selections from contradicting each other.
                from_day: Some(i as f64),
                days: Some(1.0),
                ..Shock::default()
            })
            .collect();
        let compiled = Shocks::compile(&snapshot, &shocks).unwrap();
        let substitution = if market { Substitution::MarketShare } else { Substitution::None };
        let options = ModelOptions { substitution, ..ModelOptions::default() };
        let model = ImpactModel::new(snapshot.clone(), &options, &[]).unwrap();
        let all = Target { name: "all".into(), select: Selector::default() };
        let one = Target { name: "n0".into(), select: Selector::node("n0") };
        let targets: Vec<TargetNodes> =
            [all, one].iter().map(|t| TargetNodes::resolve(&snapshot, t, "").unwrap()).collect();
        let silent = Progress::silent();
        let found = attribute(&model, &compiled, &targets, 1, &silent).unwrap().unwrap();
        let loss = |all: &[usize], target: &TargetNodes| {
            let subset = Shocks { all: all.iter().map(|&i| compiled.all[i].clone()).collect() };
            let prepared = model.prepare(&subset);
            let solution = model.solve(&prepared, &silent).unwrap();
            target.mean(|v| solution.loss(v))
        };
        let n = shocks.len();
        for (k, target) in targets.iter().enumerate() {
            let table: Vec<f64> = (0..1u64 << n)
                .map(|m| loss(&Coalition::of_mask(m).members().collect::<Vec<_>>(), target))
                .collect();
            let sum: f64 = found.values[k].iter().sum();
            prop_assert!((sum - table[(1 << n) - 1]).abs() < 1e-9);
            let brute = brute_force(n, |m| table[m as usize]);
            for (a, b) in found.values[k].iter().zip(brute) {
                prop_assert!((a - b).abs() < 1e-9, "{:?}", found.values[k]);
            }
        }
    }
}
