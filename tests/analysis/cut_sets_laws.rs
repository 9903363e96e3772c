//! Laws of cut sets on random problems, against all subsets of units; and bad input.

#![allow(clippy::unwrap_used)]

use std::sync::atomic::{AtomicU64, Ordering};

use chokepoint::analysis::cut_sets::bounded::{find_cut, minimal_cut_sets};
use chokepoint::analysis::cut_sets::cheapest::cheapest_cuts;
use chokepoint::analysis::cut_sets::hitting_set::HittingSet;
use chokepoint::analysis::cut_sets::levels::Levels;
use chokepoint::analysis::cut_sets::problem::{Group, Offer, Problem, Response, Unit};
use chokepoint::analysis::cut_sets::protection::{InvestmentOracle, invest, protect};
use chokepoint::analysis::cut_sets::worst_case::{loss_curve, worst_case};
use chokepoint::analysis::cut_sets::{
    AtLeast, Budget, CutTest, FailureGraph, Family, Gate, LossOracle, Order, Semantics, SetError,
    Status, check_threshold,
};
use chokepoint::analysis::impact::rationing::Ration;
use chokepoint::analysis::{Cancelled, Progress};
use num_bigint::BigUint;
use proptest::prelude::*;

fn quiet() -> Progress {
    Progress::silent()
}

fn members(mask: u32) -> Vec<u32> {
    (0..32).filter(|u| mask >> u & 1 == 1).collect()
}

fn losses(oracle: &dyn LossOracle) -> Vec<f64> {
    (0..1u32 << oracle.unit_count()).map(|mask| oracle.loss(&members(mask)).unwrap()).collect()
}

/// Minimal sets of a monotone property over masks, in the order of (size, units).
fn minimal(n: usize, holds: impl Fn(u32) -> bool) -> Vec<Vec<u32>> {
    let mut sets: Vec<Vec<u32>> = (0..1u32 << n)
        .filter(|&mask| holds(mask) && members(mask).iter().all(|u| !holds(mask & !(1 << u))))
        .map(members)
        .collect();
    sets.sort_by(|a, b| a.len().cmp(&b.len()).then_with(|| a.cmp(b)));
    sets
}

#[derive(Debug, Clone)]
struct Drawn {
    problem: Problem,
    costs: Vec<f64>,
    p: Vec<f64>,
    loss: f64,
}

/// Random numbers from one seed.
struct Draw(u64);

impl Draw {
    fn below(&mut self, n: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % n
    }
    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

/// A problem with up to `most` units. `kind` 0: up or down only; 1: every rule, bands, stocks,
/// headroom; 2: limiting and additive only (subadditive). `loops`: suppliers may lie downstream.
fn draw(seed: u64, most: usize, kind: usize, loops: bool) -> Drawn {
    let mut d = Draw(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let count = 4 + d.below(12);
    let mut flow = 0;
    let mut nodes: Vec<Vec<Group>> = Vec::new();
    for i in 0..count {
        let mut groups = Vec::new();
        if i >= 3 {
            for _ in 0..1 + d.below(3) {
                let suppliers = 1 + d.below(4);
                let mut weights: Vec<f64> =
                    (0..suppliers).map(|_| 1.0 + d.below(4) as f64).collect();
                let total: f64 = weights.iter().sum();
                let headroom =
                    if kind == 1 && d.chance(40) { 1.0 + d.below(3) as f64 / 2.0 } else { 1.0 };
                let alternatives = kind == 0 && d.chance(40);
                weights
                    .iter_mut()
                    .for_each(|w| *w = if alternatives { 1.0 } else { *w / total * headroom });
                let offers = weights
                    .iter()
                    .map(|&share| {
                        flow += 1;
                        let from = if loops && d.chance(35) { d.below(count) } else { d.below(i) };
                        let behind = kind == 1 && d.chance(20);
                        let ration =
                            if behind { Ration::behind(0.25, 0.5) } else { Ration::PROPORTIONAL };
                        Offer { from: from as u32, share, flow, ration }
                    })
                    .collect();
                let part = [0.25, 0.4, 0.5, 0.75, 1.0][d.below(5)];
                let response = match (kind, d.below(3)) {
                    (0, _) | (1, 0) => Response::Threshold(part),
                    (_, 1) => Response::Additive(part / 2.0),
                    _ => Response::Limiting(part),
                };
                let stock = if kind == 1 && d.chance(15) { 0.25 } else { 0.0 };
                groups.push(Group { stock, offers, response, settled: None });
            }
        }
        nodes.push(groups);
    }
    let n = 1 + d.below(most);
    let units: Vec<Unit> = (0..n)
        .map(|_| {
            if flow > 0 && d.chance(25) {
                Unit { nodes: Vec::new(), flows: vec![1 + d.below(flow as usize) as u32] }
            } else {
                let size = 1 + d.below(2);
                Unit {
                    nodes: (0..size).map(|_| d.below(count) as u32).collect(),
                    flows: Vec::new(),
                }
            }
        })
        .collect();
    let mut targets = vec![(count as u32 - 1, 1.0)];
    if d.chance(40) {
        targets.push((count as u32 - 2, 1.0 + d.below(3) as f64));
    }
    let semantics = if d.chance(50) { Semantics::Collapse } else { Semantics::Bootstrap };
    let problem = Problem::new(nodes, units, targets, semantics).unwrap();
    let costs = (0..n).map(|_| 1.0 + d.below(5) as f64).collect();
    let p = (0..n).map(|_| d.below(11) as f64 / 10.0).collect();
    // Off the grid of the losses that rounding could reach from both sides.
    let loss = [0.1003, 0.2507, 0.3331, 0.5003, 0.7509, 1.0][d.below(6)];
    Drawn { problem, costs, p, loss }
}

fn check_all(drawn: &Drawn) {
    let Drawn { problem, costs, p, loss } = drawn;
    let (budget, quiet, n) = (Budget::default(), quiet(), problem.unit_count());
    let table = losses(problem);
    let is_cut = |mask: u32| table[mask as usize] >= loss - 1e-9;
    let want = minimal(n, is_cut);
    let chance = |mask: u32| -> f64 {
        (0..n).map(|u| if mask >> u & 1 == 1 { p[u] } else { 1.0 - p[u] }).product()
    };
    let all = 0..1u32 << n;
    let probability: f64 = all.clone().filter(|&m| is_cut(m)).map(chance).sum();
    let expected: f64 = all.clone().map(|m| chance(m) * table[m as usize]).sum();

    let levels = Levels::build(problem, &budget, &quiet).unwrap();
    let mut families = vec![levels.family(*loss, &budget, &quiet).unwrap()];
    if let Ok(graph) = problem.failure_graph(*loss) {
        families.push(Family::of_graph(&graph, n, &budget, &quiet).unwrap());
        for mask in all.clone() {
            assert_eq!(graph.is_cut(&members(mask)).unwrap(), is_cut(mask), "gates of {mask:b}");
        }
        let sets = minimal_cut_sets(&graph, n, &budget, &quiet).unwrap().sets;
        assert_eq!(sets, want, "bounded with structure");
        let got = cheapest_cuts(&graph, costs, want.len() + 1, &budget, &quiet).unwrap();
        assert_eq!(got.cuts.len(), want.len(), "cheapest with structure");
    }
    families.push(Family::of_sets(&want, n, &budget, &quiet).unwrap());
    for family in &families {
        let list = |order, skip| -> Vec<Vec<u32>> {
            family.list(order, skip, &budget, &quiet).unwrap().map(|s| s.unwrap()).collect()
        };
        assert_eq!(list(Order::Size, 0), want);
        assert_eq!(list(Order::Size, 2), want.iter().skip(2).cloned().collect::<Vec<_>>());
        assert_eq!(family.count(), BigUint::from(want.len()));
        assert!(all.clone().all(|mask| family.is_cut(&members(mask)) == is_cut(mask)));
        let top = family.top_probability(p).unwrap();
        assert!((top - probability).abs() < 1e-12, "{top} {probability}");
        let price = |set: &Vec<u32>| set.iter().map(|&u| costs[u as usize]).sum::<f64>();
        let mut by_cost = want.clone();
        by_cost.sort_by(|a, b| {
            price(a).total_cmp(&price(b)).then(a.len().cmp(&b.len())).then_with(|| a.cmp(b))
        });
        assert_eq!(list(Order::Cost(costs.clone()), 0), by_cost);
        for importance in family.importance(p, &budget, &quiet).unwrap() {
            let u = importance.unit;
            let given = |lost: bool| -> f64 {
                let q = if lost { p[u as usize] } else { 1.0 - p[u as usize] };
                let held = |m: u32| (m >> u & 1 == 1) == lost;
                if q > 0.0 {
                    all.clone().filter(|&m| held(m) && is_cut(m)).map(chance).sum::<f64>() / q
                } else {
                    f64::NAN
                }
            };
            let birnbaum = given(true) - given(false);
            assert!(birnbaum.is_nan() || (importance.birnbaum - birnbaum).abs() < 1e-12);
            let held: Vec<u32> = want
                .iter()
                .filter(|s| s.contains(&u))
                .map(|s| s.iter().fold(0, |m, v| m | 1 << v))
                .collect();
            let happened: f64 =
                all.clone().filter(|m| held.iter().any(|h| m & h == *h)).map(chance).sum();
            if let Some(fv) = importance.fussell_vesely {
                assert!((fv * probability - happened).abs() < 1e-12);
            }
        }
    }
    let (mean, slopes) = levels.expected_loss(p).unwrap();
    assert!((mean - expected).abs() < 1e-9, "{mean} {expected}");
    for (u, slope) in slopes.iter().enumerate() {
        let mut other = p.clone();
        other[u] = 1.0;
        let lost = levels.expected_loss(&other).unwrap().0;
        other[u] = 0.0;
        let safe = levels.expected_loss(&other).unwrap().0;
        assert!((lost - safe - slope).abs() < 1e-9);
    }

    // With nothing but losses.
    let test = AtLeast::new(problem, *loss);
    for size in [1, 2, n] {
        let bounded = minimal_cut_sets(&test, size, &budget, &quiet).unwrap();
        let small: Vec<Vec<u32>> = want.iter().filter(|s| s.len() <= size).cloned().collect();
        assert_eq!(bounded.sets, small);
        let cut = find_cut(&test, size, &vec![false; n], &budget, &quiet).unwrap();
        assert_eq!(cut.is_some(), want.iter().any(|s| s.len() <= size));
    }
    let cheapest = cheapest_cuts(&test, costs, want.len() + 1, &budget, &quiet).unwrap();
    assert_eq!((cheapest.all, &cheapest.status), (true, &Status::Exact));
    let mut sets: Vec<Vec<u32>> = cheapest.cuts.iter().map(|c| c.units.clone()).collect();
    assert!(cheapest.cuts.is_sorted_by(|a, b| a.cost <= b.cost + 1e-9));
    sets.sort_by(|a, b| a.len().cmp(&b.len()).then_with(|| a.cmp(b)));
    assert_eq!(sets, want);
    for cut in want.iter().filter(|cut| !cut.is_empty()) {
        for unit in cut {
            let rest: Vec<u32> = cut.iter().copied().filter(|u| u != unit).collect();
            assert!(problem.loss(&rest).unwrap() < *loss, "a member that is not needed");
        }
    }

    // Cut sets and path sets are each other's minimal hitting sets.
    let full = (1u32 << n) - 1;
    let paths = minimal(n, |kept| !is_cut(full & !kept));
    let hits = |sets: &[Vec<u32>]| {
        minimal(n, |mask| sets.iter().all(|set| set.iter().any(|u| mask >> u & 1 == 1)))
    };
    if !is_cut(0) && is_cut(full) {
        assert_eq!(hits(&paths), want);
        assert_eq!(hits(&want), paths);
    }

    // The worst k, by number and by cost.
    for (priced, room) in [(false, 1.0), (false, 2.0), (false, 3.0), (true, 4.0), (true, 7.0)] {
        let cost = |m: u32| -> f64 {
            members(m).iter().map(|&u| if priced { costs[u as usize] } else { 1.0 }).sum()
        };
        let most =
            all.clone().filter(|&m| cost(m) <= room).map(|m| table[m as usize]).fold(0.0, f64::max);
        let worst =
            worst_case(problem, priced.then_some(&costs[..]), room, &budget, &quiet).unwrap();
        assert!((worst.loss - most).abs() < 2e-9, "{} {most}", worst.loss);
        assert_eq!(worst.status, Status::Exact);
        assert!(worst.cost <= room + 1e-9 && worst.greedy_loss <= worst.loss + 1e-9);
        assert!((problem.loss(&worst.units).unwrap() - worst.loss).abs() < 1e-12);
    }

    // Protection against cuts of at most two units.
    let small: Vec<Vec<u32>> = want.iter().filter(|s| s.len() <= 2).cloned().collect();
    let by_oracle = protect(&test, 2, costs, &budget, &quiet);
    let by_family = families[0].protect(2, costs, &quiet);
    if is_cut(0) {
        assert!(by_oracle.is_err() && by_family.is_err());
    } else {
        let least = (0..=full)
            .filter(|m| small.iter().all(|s| s.iter().any(|u| m >> u & 1 == 1)))
            .map(|m| members(m).iter().map(|&u| costs[u as usize]).sum::<f64>())
            .fold(f64::INFINITY, f64::min);
        assert_eq!((by_oracle.unwrap().cost, by_family.unwrap().cost), (least, least));
    }
}

proptest! {
    #![proptest_config(crate::laws::cases(60))]

    #[test]
    fn all_methods_agree_with_all_subsets_where_nodes_are_up_or_down(seed: u64, loops: bool) {
        check_all(&draw(seed, 9, 0, loops));
    }

    #[test]
    fn all_methods_agree_with_all_subsets_under_every_rule(seed: u64, loops: bool) {
        check_all(&draw(seed, 9, 1, loops));
    }

    #[test]
    fn all_methods_agree_with_all_subsets_where_losses_are_subadditive(seed: u64, loops: bool) {
        let drawn = draw(seed, 9, 2, loops);
        let table = losses(&drawn.problem);
        if drawn.problem.subadditive() {
            for (a, b) in [(1usize, 2usize), (3, 5), (6, 9), (7, 24)] {
                let (a, b) = (a % table.len(), b % table.len());
                prop_assert!(table[a | b] <= table[a] + table[b] + 1e-9);
            }
        }
        check_all(&drawn);
    }

    #[test]
    fn renaming_changes_nothing(seed: u64, kind in 0usize..3) {
        let drawn = draw(seed, 8, kind, true);
        let n = drawn.problem.unit_count();
        let (budget, quiet) = (Budget::default(), quiet());
        // The same units in the reverse order.
        struct Reversed<'a>(&'a Problem);
        impl LossOracle for Reversed<'_> {
            fn unit_count(&self) -> usize {
                self.0.unit_count()
            }
            fn loss(&self, removed: &[u32]) -> Result<f64, Cancelled> {
                let n = self.0.unit_count() as u32;
                self.0.loss(&removed.iter().rev().map(|u| n - 1 - u).collect::<Vec<_>>())
            }
        }
        let reversed = Reversed(&drawn.problem);
        let ours = minimal_cut_sets(&AtLeast::new(&drawn.problem, drawn.loss), n, &budget, &quiet).unwrap();
        let theirs = minimal_cut_sets(&AtLeast::new(&reversed, drawn.loss), n, &budget, &quiet).unwrap();
        let mut back: Vec<Vec<u32>> = theirs.sets.iter().map(|s| s.iter().rev().map(|u| n as u32 - 1 - u).collect()).collect();
        back.sort_by(|a, b| a.len().cmp(&b.len()).then_with(|| a.cmp(b)));
        prop_assert_eq!(ours.sets, back);
        let (a, b) = (worst_case(&drawn.problem, None, 2.0, &budget, &quiet).unwrap(), worst_case(&reversed, None, 2.0, &budget, &quiet).unwrap());
        prop_assert!((a.loss - b.loss).abs() < 2e-9);
    }

    #[test]
    fn bootstrap_never_loses_less_and_the_warning_is_right(seed: u64, kind in 0usize..2) {
        let drawn = draw(seed, 7, kind, true);
        let collapse = drawn.problem.with_semantics(Semantics::Collapse);
        let bootstrap = drawn.problem.with_semantics(Semantics::Bootstrap);
        let (a, b) = (losses(&collapse), losses(&bootstrap));
        prop_assert!(a.iter().zip(&b).all(|(a, b)| *b >= a - 1e-9));
        let differ = a.iter().zip(&b).any(|(a, b)| (a - b).abs() > 1e-7);
        let levels = Levels::build(&collapse, &Budget::default(), &quiet()).unwrap();
        // The warning is about the nodes; the loss may agree where single targets do not.
        prop_assert!(levels.loops_matter() || !differ);
    }

    #[test]
    fn hitting_sets_are_the_cheapest(seed: u64, n in 1usize..11, m in 0usize..12) {
        let mut d = Draw(seed | 1);
        let costs: Vec<f64> = (0..n).map(|_| 1.0 + d.below(4) as f64).collect();
        let mut sets = |count: usize, most: usize| -> Vec<Vec<u32>> {
            (0..count)
                .map(|_| {
                    let mut set: Vec<u32> = (0..1 + d.below(most)).map(|_| d.below(n) as u32).collect();
                    set.sort_unstable();
                    set.dedup();
                    set
                })
                .collect()
        };
        let (hit, avoid) = (sets(m, 5), sets(m / 4, 3));
        let mask = |set: &Vec<u32>| set.iter().fold(0u32, |m, u| m | 1 << u);
        let best = (0..1u32 << n)
            .filter(|m| hit.iter().all(|s| m & mask(s) != 0) && avoid.iter().all(|s| m & mask(s) != mask(s)))
            .map(|m| members(m).iter().map(|&u| costs[u as usize]).sum::<f64>())
            .fold(f64::INFINITY, f64::min);
        let found = HittingSet { costs: &costs, hit: &hit, avoid: &avoid }.solve(1_000_000, &quiet()).unwrap();
        match found {
            Some(found) => {
                prop_assert_eq!((found.cost, found.lower_bound), (best, best));
                let m = mask(&found.units);
                prop_assert!(hit.iter().all(|s| m & mask(s) != 0) && avoid.iter().all(|s| m & mask(s) != mask(s)));
            }
            None => prop_assert!(best.is_infinite()),
        }
    }
}

proptest! {
    #![proptest_config(crate::laws::cases(6))]

    #[test]
    fn fourteen_units_too(seed: u64, kind in 0usize..3) {
        let drawn = draw(seed, 14, kind, true);
        let (budget, quiet, n) = (Budget::default(), quiet(), drawn.problem.unit_count());
        let table = losses(&drawn.problem);
        let want = minimal(n, |mask| table[mask as usize] >= drawn.loss - 1e-9);
        let family = Levels::build(&drawn.problem, &budget, &quiet).unwrap().family(drawn.loss, &budget, &quiet).unwrap();
        let got: Vec<Vec<u32>> = family.list(Order::Size, 0, &budget, &quiet).unwrap().map(|s| s.unwrap()).collect();
        prop_assert_eq!(&got, &want);
        let bounded = minimal_cut_sets(&AtLeast::new(&drawn.problem, drawn.loss), n, &budget, &quiet).unwrap();
        prop_assert_eq!(&bounded.sets, &want);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Against sums over all states in which the unit decides: of positive terms only, so nothing
    /// cancels however little a unit matters.
    #[test]
    fn importance_is_right_to_the_last_digits_where_it_is_tiny(seed: u64, loops: bool) {
        let Drawn { problem, loss, .. } = draw(seed, 9, 0, loops);
        let (budget, quiet, n) = (Budget::default(), quiet(), problem.unit_count());
        let mut d = Draw(seed | 1);
        let p: Vec<f64> = (0..n).map(|_| [1e-12, 3e-8, 2e-4, 0.3, 0.999_999][d.below(5)]).collect();
        let Ok(graph) = problem.failure_graph(loss) else { return Ok(()) };
        let family = Family::of_graph(&graph, n, &budget, &quiet).unwrap();
        let table = losses(&problem);
        let is_cut = |mask: u32| table[mask as usize] >= loss - 1e-9;
        let chance = |mask: u32, but: usize| -> f64 {
            let of = |u: usize| if mask >> u & 1 == 1 { p[u] } else { 1.0 - p[u] };
            (0..n).filter(|&u| u != but).map(of).product()
        };
        let top: f64 = (0..1u32 << n).filter(|&m| is_cut(m)).map(|m| chance(m, n)).sum();
        let near = |got: f64, want: f64| (got - want).abs() <= 1e-13 * want;
        prop_assert!(near(family.top_probability(&p).unwrap(), top));
        for got in family.importance(&p, &budget, &quiet).unwrap() {
            let u = got.unit as usize;
            let others = || (0..1u32 << n).filter(|m| m >> u & 1 == 0);
            let decides = |m: &u32| is_cut(m | 1 << u) && !is_cut(*m);
            let birnbaum: f64 = others().filter(decides).map(|m| chance(m, u)).sum();
            prop_assert!(near(got.birnbaum, birnbaum), "{} {birnbaum}", got.birnbaum);
            let safe: f64 = others().filter(|&m| is_cut(m)).map(|m| chance(m, u)).sum();
            match got.rrw {
                Some(rrw) => prop_assert!((rrw * safe / top - 1.0).abs() < 1e-3, "{rrw} {safe} {top}"),
                None => prop_assert!(safe <= 1e-26 * top, "{safe} {top}"),
            }
        }
    }
}

/// A walk that takes the gates as they come meets all the a's before any b, which takes 2^n nodes.
#[test]
fn an_order_of_the_variables_that_fits_is_found() {
    let n = 30;
    let mut gates: Vec<Gate> = (0..2 * n).map(Gate::Unit).collect();
    gates.push(Gate::Any((0..n).collect()));
    let mut pairs = Vec::new();
    for i in 0..n {
        gates.push(Gate::All(vec![i, n + i]));
        pairs.push(gates.len() as u32 - 1);
    }
    gates.push(Gate::Any(pairs));
    let inputs = vec![2 * n, gates.len() as u32 - 1];
    gates.push(Gate::All(inputs));
    let top = gates.len() as u32 - 1;
    let units = 2 * n as usize;
    let graph = FailureGraph::new(gates, top, units, Semantics::Collapse).unwrap();
    let budget = Budget { diagram_nodes: 200_000, ..Budget::default() };
    let family = Family::of_graph(&graph, units, &budget, &quiet()).unwrap();
    assert_eq!(family.count_by_size()[1..], [BigUint::ZERO, BigUint::from(n)]);
    let tiny = Budget { diagram_nodes: 50, ..budget };
    let refused = Family::of_graph(&graph, units, &tiny, &quiet());
    assert!(matches!(refused, Err(SetError::TooLarge { nodes: 50, .. })));
}

/// And over `width` blocks, each an or of `depth` alternatives of `size` units: depth^width sets.
fn blocks(width: u32, depth: u32, size: u32) -> (FailureGraph, usize) {
    let (mut gates, mut tops, mut units) = (Vec::new(), Vec::new(), 0);
    for _ in 0..width {
        let mut any = Vec::new();
        for _ in 0..depth {
            let mut all = Vec::new();
            for _ in 0..size {
                gates.push(Gate::Unit(units));
                units += 1;
                all.push(gates.len() as u32 - 1);
            }
            gates.push(Gate::All(all));
            any.push(gates.len() as u32 - 1);
        }
        gates.push(Gate::Any(any));
        tops.push(gates.len() as u32 - 1);
    }
    gates.push(Gate::All(tops));
    let top = gates.len() as u32 - 1;
    (FailureGraph::new(gates, top, units as usize, Semantics::Collapse).unwrap(), units as usize)
}

#[test]
fn families_too_large_to_list_are_counted_and_read_anywhere() {
    let (budget, quiet) = (Budget::default(), quiet());
    // 10^60 sets: beyond 128 bits.
    let (graph, n) = blocks(60, 10, 2);
    let family = Family::of_graph(&graph, n, &budget, &quiet).unwrap();
    assert_eq!(family.count(), BigUint::from(10u8).pow(60));
    assert_eq!(family.count_by_size()[120], BigUint::from(10u8).pow(60));
    let p = vec![0.5; n];
    let block = 1.0 - 0.75f64.powi(10);
    assert!((family.top_probability(&p).unwrap() / block.powi(60) - 1.0).abs() < 1e-9);
    // 10^10 sets, from the start and from the 9,876,543,210th on.
    let (graph, n) = blocks(10, 10, 1);
    let family = Family::of_graph(&graph, n, &budget, &quiet).unwrap();
    let page = |order: Order, skip: u128| -> Vec<Vec<u32>> {
        family.list(order, skip, &budget, &quiet).unwrap().take(3).map(|s| s.unwrap()).collect()
    };
    let digits = |number: u64| -> Vec<u32> {
        (0..10).map(|i| i * 10 + (number / 10u64.pow(9 - i) % 10) as u32).collect()
    };
    assert_eq!(page(Order::Size, 0), [digits(0), digits(1), digits(2)]);
    let at = 9_876_543_210;
    assert_eq!(page(Order::Size, u128::from(at)), [digits(at), digits(at + 1), digits(at + 2)]);
    let costs: Vec<f64> = (0..n).map(|u| 1.0 + (u % 10) as f64).collect();
    // One alternative one dearer, in the last block first.
    assert_eq!(page(Order::Cost(costs), 0), [digits(0), digits(1), digits(10)]);
}

#[test]
fn budgets_end_in_an_honest_status() {
    let quiet = quiet();
    let (graph, n) = blocks(3, 4, 2);
    let small = Budget { diagram_nodes: 20, ..Budget::default() };
    let error = Family::of_graph(&graph, n, &small, &quiet).unwrap_err();
    assert!(matches!(error, SetError::TooLarge { .. }), "{error}");
    let few = Budget { oracle_calls: 40, ..Budget::default() };
    let bounded = minimal_cut_sets(&graph, 6, &few, &quiet).unwrap();
    assert!(matches!(bounded.status, Status::Truncated { .. }), "{:?}", bounded.status);
    let sets = Budget { sets: 5, ..Budget::default() };
    let bounded = minimal_cut_sets(&graph, 6, &sets, &quiet).unwrap();
    assert_eq!(bounded.sets.len(), 5);
    assert!(matches!(bounded.status, Status::Truncated { complete_to_size: 5, .. }));
    let progress = Progress::silent();
    progress.cancel();
    assert!(matches!(
        minimal_cut_sets(&graph, 6, &Budget::default(), &progress),
        Err(SetError::Cancelled(_))
    ));
}

/// A problem whose time is over in the middle of a question.
struct Late<'a> {
    problem: &'a Problem,
    progress: &'a Progress,
    /// Questions that are answered.
    left: AtomicU64,
}

impl LossOracle for Late<'_> {
    fn unit_count(&self) -> usize {
        self.problem.unit_count()
    }
    fn loss(&self, removed: &[u32]) -> Result<f64, Cancelled> {
        let left =
            self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1));
        if left.is_err() {
            self.progress.expire();
        }
        self.problem.watched(self.progress).loss(removed)
    }
}

#[test]
fn time_that_ends_in_the_middle_of_a_question_leaves_what_was_proved() {
    let budget = Budget::default();
    let mut early = 0;
    for seed in 0..40 {
        let drawn = draw(seed, 8, 1, true);
        let (n, loss) = (drawn.problem.unit_count(), drawn.loss);
        let all =
            minimal_cut_sets(&AtLeast::new(&drawn.problem, loss), n, &budget, &quiet()).unwrap();
        let worst = worst_case(&drawn.problem, None, 2.0, &budget, &quiet()).unwrap().loss;
        let least = all.sets.iter().map(Vec::len).min();
        for questions in [0, 1, 2, 5, 12, 40] {
            let context = format!("seed {seed}, {questions} questions");
            let progress = Progress::silent();
            let late =
                Late { problem: &drawn.problem, progress: &progress, left: questions.into() };
            let some = minimal_cut_sets(&AtLeast::new(&late, loss), n, &budget, &progress).unwrap();
            match some.status {
                Status::Truncated { complete_to_size, .. } => {
                    early += 1;
                    let small = |sets: &[Vec<u32>]| -> Vec<Vec<u32>> {
                        let sizes = 1..=complete_to_size;
                        sets.iter().filter(|set| sizes.contains(&set.len())).cloned().collect()
                    };
                    assert_eq!(small(&some.sets), small(&all.sets), "{context}");
                    assert!(some.sets.iter().all(|set| all.sets.contains(set)), "{context}");
                }
                _ => assert_eq!(some.sets, all.sets, "{context}"),
            }
            progress.renew();
            late.left.store(questions, Ordering::Relaxed);
            let test = AtLeast::new(&late, loss);
            let cheapest = cheapest_cuts(&test, &vec![1.0; n], 1, &budget, &progress).unwrap();
            match (&cheapest.status, least) {
                (Status::Bounds { lower, upper, .. }, Some(least)) => {
                    early += 1;
                    let bounds = lower - 1e-9..=upper + 1e-9;
                    assert!(bounds.contains(&(least as f64)), "{context}: {:?}", cheapest.status);
                }
                (Status::Bounds { upper, .. }, None) => assert!(upper.is_infinite(), "{context}"),
                _ => {
                    assert_eq!(cheapest.cuts.first().map(|cut| cut.units.len()), least, "{context}")
                }
            }
            progress.renew();
            late.left.store(questions, Ordering::Relaxed);
            let some = worst_case(&late, None, 2.0, &budget, &progress).unwrap();
            assert!(some.loss <= worst + 1e-9 && worst <= some.upper_bound + 1e-9, "{context}");
            early += u32::from(some.status != Status::Exact);
        }
    }
    assert!(early > 100, "{early} searches ended early");
}

#[test]
fn whoever_cancels_gets_no_answer() {
    let problem = draw(3, 8, 1, true).problem;
    let (budget, progress) = (Budget::default(), Progress::silent());
    progress.cancel();
    let watched = problem.watched(&progress);
    let costs = vec![1.0; problem.unit_count()];
    let cancelled = |error: Option<SetError>| matches!(error, Some(SetError::Cancelled(_)));
    assert!(watched.loss(&[]).is_err());
    assert!(cancelled(worst_case(&watched, None, 2.0, &budget, &progress).err()));
    let test = AtLeast::new(&watched, 0.5);
    assert!(cancelled(minimal_cut_sets(&test, 2, &budget, &progress).err()));
    assert!(cancelled(cheapest_cuts(&test, &costs, 1, &budget, &progress).err()));
}

/// A million units that all have to be lost.
struct Endless;

impl LossOracle for Endless {
    fn unit_count(&self) -> usize {
        1_000_000
    }
    fn loss(&self, removed: &[u32]) -> Result<f64, Cancelled> {
        Ok(removed.len() as f64 / 1e6)
    }
}

#[test]
fn a_million_units_are_budgeted_with_an_estimate() {
    let (budget, quiet) = (Budget { oracle_calls: 200, ..Budget::default() }, quiet());
    let test = AtLeast::new(&Endless, 0.5);
    let bounded = minimal_cut_sets(&test, 6, &budget, &quiet).unwrap();
    match &bounded.status {
        Status::Truncated { limit, .. } => assert!(limit.contains("evaluations"), "{limit}"),
        other => panic!("{other:?}"),
    }
    let cheapest = cheapest_cuts(&test, &vec![1.0; 1_000_000], 1, &budget, &quiet).unwrap();
    assert!(matches!(cheapest.status, Status::Bounds { .. }), "{:?}", cheapest.status);
    let error = worst_case(&Endless, None, 6.0, &budget, &quiet).unwrap_err();
    assert!(matches!(error, SetError::TooMany { .. }), "{error}");
}

#[test]
fn bad_input_is_refused_by_name() {
    let quiet = quiet();
    for loss in [0.0, -0.5, 1.01, f64::NAN] {
        assert!(matches!(check_threshold(loss), Err(SetError::Threshold(_))), "{loss}");
    }
    let unit = || vec![Unit { nodes: vec![0], flows: Vec::new() }];
    let target = || vec![(0, 1.0)];
    let new = Problem::new;
    let mode = Semantics::Collapse;
    assert!(matches!(new(vec![vec![]], Vec::new(), target(), mode), Err(SetError::NoUnits)));
    assert!(matches!(new(vec![vec![]], unit(), Vec::new(), mode), Err(SetError::NoTarget)));
    assert!(matches!(new(vec![vec![]], unit(), vec![(0, 0.0)], mode), Err(SetError::NoTarget)));
    assert!(matches!(new(vec![], unit(), target(), mode), Err(SetError::Malformed(_))));
    // A target that nobody supplies is cut only by removing it.
    let alone = new(vec![vec![]], unit(), target(), mode).unwrap();
    let test = AtLeast::new(&alone, 1.0);
    assert_eq!(minimal_cut_sets(&test, 3, &Budget::default(), &quiet).unwrap().sets, [[0]]);
    let costs = cheapest_cuts(&test, &[0.0], 1, &Budget::default(), &quiet);
    assert!(matches!(costs, Err(SetError::UnitValue { what: "cost", .. })));
    let family =
        Family::of_graph(&alone.failure_graph(1.0).unwrap(), 1, &Budget::default(), &quiet)
            .unwrap();
    assert!(family.top_probability(&[1.5]).is_err() && family.top_probability(&[]).is_err());
    assert!(matches!(alone.failure_graph(0.0), Err(SetError::Threshold(_))));
    let gates = vec![Gate::Unit(7)];
    assert!(matches!(FailureGraph::new(gates, 0, 1, mode), Err(SetError::Malformed(_))));
}

/// Three mines feed a works; options: a second source for each mine, or a stock that covers all.
struct Works;

impl InvestmentOracle for Works {
    fn option_count(&self) -> usize {
        4
    }
    fn unit_count(&self) -> usize {
        3
    }
    fn loss(&self, bought: &[u32], removed: &[u32]) -> Result<f64, Cancelled> {
        let lost = removed.iter().filter(|u| !bought.contains(u)).count() as f64 / 3.0;
        Ok(if bought.contains(&3) { (lost - 0.5).max(0.0) } else { lost })
    }
}

#[test]
fn investments_are_the_cheapest_that_hold() {
    let (budget, quiet) = (Budget::default(), quiet());
    // Two mines lost cost two thirds: either two second sources, or the stock.
    let choose = |costs: &[f64]| invest(&Works, 2, 2, 0.5, costs, &budget, &quiet).unwrap();
    let stock = choose(&[2.0, 2.0, 2.0, 3.0]);
    assert_eq!((stock.choice.chosen.as_slice(), stock.choice.cost), (&[3][..], 3.0));
    let sources = choose(&[2.0, 1.0, 1.0, 3.0]);
    assert_eq!((sources.choice.chosen.as_slice(), sources.choice.cost), (&[1, 2][..], 2.0));
    let curve = |worst: &[chokepoint::analysis::cut_sets::worst_case::WorstCase]| -> Vec<f64> {
        worst.iter().map(|w| (w.loss * 100.0).round()).collect()
    };
    assert_eq!(curve(&stock.before), [0.0, 33.0, 67.0]);
    assert_eq!(curve(&stock.after), [0.0, 0.0, 17.0]);
    let never = invest(&Works, 3, 3, 0.01, &[1.0; 4], &budget, &quiet).unwrap();
    assert_eq!(never.choice.chosen, [0, 1, 2]);
    struct Hopeless;
    impl InvestmentOracle for Hopeless {
        fn option_count(&self) -> usize {
            1
        }
        fn unit_count(&self) -> usize {
            1
        }
        fn loss(&self, _: &[u32], removed: &[u32]) -> Result<f64, Cancelled> {
            Ok(removed.len() as f64)
        }
    }
    let error = invest(&Hopeless, 1, 3, 0.5, &[1.0], &budget, &quiet).unwrap_err();
    assert!(matches!(error, SetError::Infeasible(_)), "{error}");
    let curve = loss_curve(&draw(1, 5, 1, false).problem, 3, &budget, &quiet).unwrap();
    assert!(curve.is_sorted_by(|a, b| a.loss <= b.loss + 1e-9));
}
