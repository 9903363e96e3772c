//! Cuts against all subsets, and against petgraph and rustworkx-core on larger graphs.

use petgraph::graph::{DiGraph, UnGraph};
use proptest::prelude::*;

use super::*;
use crate::analysis::choke_points::DominatorTree;
use crate::graph::{Csr, Snapshot, SnapshotInfo};
use crate::model::{FlowRecord, NetworkBuilder, NodeRecord};

type Edge = (u32, u32, u64);

/// A digraph with weights 0-5, self-loops and equal edges, and two sets of terminals.
#[derive(Debug, Clone)]
struct Case {
    n: usize,
    edges: Vec<Edge>,
    sources: Vec<u32>,
    targets: Vec<u32>,
}

fn cases(n: std::ops::RangeInclusive<usize>, degree: usize) -> impl Strategy<Value = Case> {
    n.prop_flat_map(move |n| {
        let node = 0..n as u32;
        let edge = (node.clone(), node.clone(), 0u64..6);
        let edges = prop::collection::vec(edge, 0..=n * degree);
        let few = || prop::collection::vec(node.clone(), 1..3);
        (edges, few(), few()).prop_map(move |(edges, sources, mut targets)| {
            targets.retain(|t| !sources.contains(t));
            if targets.is_empty() {
                targets.extend((0..n as u32).find(|v| !sources.contains(v)));
            }
            Case { n, edges, sources, targets }
        })
    })
    .prop_filter("needs a target", |case| !case.targets.is_empty())
}

impl Case {
    fn csr(&self) -> (Csr, Vec<u64>) {
        let edges: Vec<_> = self.edges.iter().map(|e| (e.0, e.1, e.2 as f64)).collect();
        let csr = Csr::from_edges(self.n, &edges);
        let weights = csr.weights().iter().map(|&w| w as u64).collect();
        (csr, weights)
    }

    fn problem(&self, kind: CutKind, weights: &[u64]) -> (CutProblem, CutState) {
        let (csr, _) = self.csr();
        CutProblem::new(&csr, kind, weights, &self.sources, &self.targets).unwrap()
    }

    /// Whether a path is left over links and nodes that the two tests let through.
    fn connected(&self, link: impl Fn(u32, u32) -> bool, node: impl Fn(u32) -> bool) -> bool {
        let mut seen = vec![false; self.n];
        let mut stack = self.sources.clone();
        while let Some(u) = stack.pop() {
            if self.targets.contains(&u) {
                return true;
            }
            for &(a, b, _) in self.edges.iter().filter(|e| e.0 == u) {
                if link(a, b) && node(b) && !std::mem::replace(&mut seen[b as usize], true) {
                    stack.push(b);
                }
            }
        }
        false
    }

    /// Every inclusion-minimal cut as (weight, units), sorted, by looking at all subsets.
    fn minimal_cuts(&self, kind: CutKind, weights: &[u64]) -> Vec<(u64, Vec<u32>)> {
        let (csr, _) = self.csr();
        let terminal = |v: u32| self.sources.contains(&v) || self.targets.contains(&v);
        let candidates: Vec<u32> = match kind {
            CutKind::Edge => (0..weights.len() as u32).collect(),
            CutKind::Vertex => (0..self.n as u32).filter(|&v| !terminal(v)).collect(),
        };
        let candidates: Vec<u32> =
            candidates.into_iter().filter(|&i| weights[i as usize] > 0).collect();
        let mut found: Vec<u32> = Vec::new();
        let mut masks: Vec<u32> = (0..1u32 << candidates.len()).collect();
        masks.sort_by_key(|m| m.count_ones());
        for mask in masks {
            if found.iter().any(|f| f & mask == *f) {
                continue;
            }
            let cut = |unit: u32| {
                weights[unit as usize] == 0
                    || candidates
                        .iter()
                        .position(|&c| c == unit)
                        .is_some_and(|i| mask >> i & 1 == 1)
            };
            let open = match kind {
                CutKind::Edge => {
                    self.connected(|u, v| !cut(csr.edge(u, v).unwrap() as u32), |_| true)
                }
                CutKind::Vertex => self.connected(|_, _| true, |v| terminal(v) || !cut(v)),
            };
            if !open {
                found.push(mask);
            }
        }
        let mut cuts: Vec<(u64, Vec<u32>)> = found
            .into_iter()
            .map(|mask| {
                let units: Vec<u32> = candidates
                    .iter()
                    .enumerate()
                    .filter(|(i, _)| mask >> i & 1 == 1)
                    .map(|(_, &c)| c)
                    .collect();
                (units.iter().map(|&u| weights[u as usize]).sum(), units)
            })
            .collect();
        cuts.sort();
        cuts
    }
}

/// All that is claimed about one problem, checked against the list of all minimal cuts.
fn check(case: &Case, kind: CutKind, weights: &[u64]) -> Result<(), TestCaseError> {
    let quiet = Progress::silent();
    let all = case.minimal_cuts(kind, weights);
    let (problem, state) = case.problem(kind, weights);
    if all.is_empty() {
        let adjacent = matches!(state, CutState::Adjacent { .. });
        prop_assert!(adjacent);
        prop_assert_eq!(problem.clone().solve(&quiet), Err(CutError::NoCut));
        prop_assert!(matches!(AllMinimum::new(problem, &quiet), Err(CutError::NoCut)));
        return Ok(());
    }
    let disconnected = all == [(0, vec![])];
    prop_assert_eq!(disconnected, state == CutState::AlreadyDisconnected);
    prop_assert!(disconnected || state == CutState::Cuttable);
    let least = all[0].0;
    let mut solved = problem.clone();
    prop_assert_eq!(solved.solve(&quiet), Ok(least));
    let minimum: Vec<Vec<u32>> = all.iter().filter(|c| c.0 == least).map(|c| c.1.clone()).collect();
    let (near, far) = (solved.nearest_source(), solved.nearest_target());
    prop_assert_eq!((near.weight, far.weight), (least, least));
    prop_assert!(minimum.contains(&near.units) && minimum.contains(&far.units));
    prop_assert!(
        near.source_side.iter().all(
            |v| far.source_side.contains(v) || far.units.contains(v) && kind == CutKind::Vertex
        )
    );
    prop_assert!(
        far.target_side
            .iter()
            .all(|v| near.target_side.contains(v)
                || near.units.contains(v) && kind == CutKind::Vertex)
    );
    for side in [&near, &far] {
        prop_assert!(case.sources.iter().all(|s| side.source_side.contains(s)));
        prop_assert!(case.targets.iter().all(|t| side.target_side.contains(t)));
        let cut = if kind == CutKind::Vertex { side.units.len() } else { 0 };
        prop_assert_eq!(side.source_side.len() + side.target_side.len() + cut, case.n);
    }
    let listed: Vec<Vec<u32>> = AllMinimum::new(problem.clone(), &quiet).unwrap().collect();
    let mut sorted = listed.clone();
    sorted.sort();
    prop_assert_eq!(&sorted, &minimum);
    let mut cheapest = Cheapest::new(problem.clone(), None, &quiet).unwrap();
    let mut in_order = Vec::new();
    while let Some(cut) = cheapest.next_cut().unwrap() {
        in_order.push(cut);
    }
    prop_assert!(in_order.windows(2).all(|w| w[0].0 <= w[1].0));
    in_order.sort();
    prop_assert_eq!(&in_order, &all);
    let most = least + 3;
    let mut bounded = Cheapest::new(problem, Some(most), &quiet).unwrap();
    let mut count = 0;
    while bounded.next_cut().unwrap().is_some() {
        count += 1;
    }
    prop_assert_eq!(count, all.iter().filter(|c| c.0 <= most).count());
    Ok(())
}

proptest! {
    #![proptest_config(crate::laws::cases(250))]

    #[test]
    fn edge_cuts_equal_all_subsets(case in cases(2..=6, 2)) {
        let (_, weights) = case.csr();
        prop_assume!(weights.iter().filter(|&&w| w > 0).count() <= 11);
        check(&case, CutKind::Edge, &weights)?;
    }

    #[test]
    fn vertex_cuts_equal_all_subsets(
        case in cases(2..=10, 2), weights in prop::collection::vec(0u64..5, 10),
    ) {
        check(&case, CutKind::Vertex, &weights[..case.n])?;
    }

    #[test]
    fn flow_value_agrees_with_petgraph(case in cases(2..=60, 4)) {
        let (csr, weights) = case.csr();
        let (mut problem, _) =
            CutProblem::new(&csr, CutKind::Edge, &weights, &case.sources, &case.targets).unwrap();
        let mut graph = DiGraph::<(), u64>::new();
        for _ in 0..case.n + 2 {
            graph.add_node(());
        }
        let (s, t) = (case.n as u32, case.n as u32 + 1);
        for &(u, v, w) in &case.edges {
            graph.add_edge(u.into(), v.into(), w);
        }
        for &v in &case.sources {
            graph.add_edge(s.into(), v.into(), 1_000_000);
        }
        for &v in &case.targets {
            graph.add_edge(v.into(), t.into(), 1_000_000);
        }
        let (value, _) = petgraph::algo::ford_fulkerson(&graph, s.into(), t.into());
        prop_assert_eq!(problem.solve(&Progress::silent()), Ok(value));
        // Flow in cycles can be taken out without a change of value or cut.
        let before = problem.nearest_source();
        problem.network_mut().cancel_cycles();
        prop_assert_eq!(problem.network().net_outflow(problem.sources()), i128::from(value));
        prop_assert_eq!(&problem.nearest_source(), &before);
        prop_assert_eq!(flow_cycles(&problem), 0);
    }

    #[test]
    fn one_node_cuts_are_the_common_dominators(case in cases(3..=20, 3)) {
        let (csr, _) = case.csr();
        let case = Case { targets: case.targets[..1].to_vec(), ..case };
        let target = case.targets[0];
        let (problem, state) = case.problem(CutKind::Vertex, &vec![1; case.n]);
        if state != CutState::Cuttable {
            return Ok(());
        }
        let tree = DominatorTree::build(csr.outgoing(), csr.incoming(), &case.sources);
        let mut chain: Vec<u32> =
            tree.chain(target).filter(|v| !case.sources.contains(v)).collect();
        chain.sort_unstable();
        let mut cuts = Vec::new();
        let quiet = Progress::silent();
        let mut all = Cheapest::new(problem, Some(1), &quiet).unwrap();
        while let Some((_, units)) = all.next_cut().unwrap() {
            cuts.extend(units);
        }
        cuts.sort_unstable();
        prop_assert_eq!(cuts, chain);
    }

    #[test]
    fn global_cut_and_cut_tree_equal_all_bipartitions(case in cases(2..=9, 2)) {
        let quiet = Progress::silent();
        let weight = |mask: u32| -> u64 {
            let crosses = |e: &&Edge| (mask >> e.0 & 1) != (mask >> e.1 & 1);
            case.edges.iter().filter(crosses).map(|e| e.2).sum()
        };
        let masks = 1..(1u32 << case.n) - 1;
        let least = masks.clone().map(weight).min().unwrap();
        let found = global_minimum_cut(case.n, &case.edges, &quiet).unwrap().unwrap();
        prop_assert_eq!(found.weight, least);
        let mask: u32 = found.side.iter().map(|&v| 1 << v).sum();
        prop_assert_eq!(weight(mask), least);
        let tree = gomory_hu_tree(case.n, &case.edges, &quiet).unwrap();
        for a in 0..case.n as u32 {
            for b in 0..case.n as u32 {
                let parts = |m: &u32| (m >> a & 1) != (m >> b & 1);
                let expected = masks.clone().filter(parts).map(weight).min();
                prop_assert_eq!(tree.minimum_cut(a, b), expected);
            }
            if a > 0 {
                // A cut tree, not only a tree of values: its sides are cuts of these weights.
                let mask: u32 = tree.side(a).iter().map(|&v| 1 << v).sum();
                prop_assert_eq!(weight(mask), tree.weight[a as usize]);
            }
        }
    }

    #[test]
    fn global_cut_agrees_with_rustworkx_and_the_cut_tree(case in cases(2..=40, 3)) {
        let quiet = Progress::silent();
        let graph = UnGraph::<(), u64>::from_edges(case.edges.iter().filter(|e| e.0 != e.1));
        prop_assume!(graph.node_count() == case.n);
        let found = global_minimum_cut(case.n, &case.edges, &quiet).unwrap().unwrap();
        let tree = gomory_hu_tree(case.n, &case.edges, &quiet).unwrap();
        prop_assert_eq!(tree.weight[1..].iter().min(), Some(&found.weight));
        if petgraph::algo::connected_components(&graph) == 1 {
            let oracle: Result<_, std::convert::Infallible> =
                rustworkx_core::connectivity::stoer_wagner_min_cut(&graph, |e| Ok(*e.weight()));
            prop_assert_eq!(oracle.unwrap().map(|c| c.0), Some(found.weight));
        }
    }

    #[test]
    fn new_names_and_another_order_change_nothing(case in cases(2..=8, 2), turn in 1usize..8) {
        let rename = |v: u32| ((v as usize + turn) % case.n) as u32;
        let other = Case {
            n: case.n,
            edges: case.edges.iter().rev().map(|&(u, v, w)| (rename(u), rename(v), w)).collect(),
            sources: case.sources.iter().rev().map(|&v| rename(v)).collect(),
            targets: case.targets.iter().rev().map(|&v| rename(v)).collect(),
        };
        let list = |case: &Case, name: &dyn Fn(u32) -> u32| {
            let (csr, weights) = case.csr();
            let links: Vec<(u32, u32)> =
                csr.nodes().flat_map(|u| csr.consumers(u).iter().map(move |&v| (u, v))).collect();
            let (problem, _) = case.problem(CutKind::Edge, &weights);
            let quiet = Progress::silent();
            let mut all = Cheapest::new(problem, None, &quiet).unwrap();
            let mut cuts = Vec::new();
            while let Some((weight, units)) = all.next_cut().unwrap() {
                let mut cut: Vec<(u32, u32)> = units.iter().map(|&e| links[e as usize])
                    .map(|(u, v)| (name(u), name(v))).collect();
                cut.sort_unstable();
                cuts.push((weight, cut));
            }
            cuts.sort();
            cuts
        };
        prop_assert_eq!(list(&case, &rename), list(&other, &|v| v));
    }
}

/// Number of nodes on cycles of positive flow.
fn flow_cycles(problem: &CutProblem) -> usize {
    let network = problem.network();
    let mut graph = DiGraph::<(), ()>::new();
    for _ in 0..network.node_count() {
        graph.add_node(());
    }
    for u in 0..network.node_count() as u32 {
        for (_, position) in network.edges(u) {
            if network.flow(position) > 0 {
                graph.add_edge(u.into(), network.arc(position).head.into(), ());
            }
        }
    }
    let components = petgraph::algo::tarjan_scc(&graph);
    components.iter().filter(|c| c.len() > 1).map(Vec::len).sum()
}

fn snapshot(n: usize, flows: &[(u32, u32, f64)]) -> Snapshot {
    let mut builder = NetworkBuilder::new();
    for v in 0..n {
        builder.add_node(&NodeRecord::new(format!("n{v:02}")), v).unwrap();
    }
    for &(u, v, quantity) in flows {
        builder.add_flow(&FlowRecord::new(format!("n{u:02}"), format!("n{v:02}"), quantity), 0);
    }
    Snapshot::build(builder.finish().unwrap(), SnapshotInfo::default(), Default::default())
}

fn options(sources: &[u32], targets: &[u32]) -> CutOptions {
    CutOptions {
        sources: sources.to_vec(),
        targets: targets.to_vec(),
        kind: CutKind::Edge,
        capacity: CapacityRule::Quantity,
        list: CutList::One,
        limit: 100,
    }
}

fn ask(snapshot: &Snapshot, options: &CutOptions) -> Result<Cuts, CutError> {
    cuts(snapshot, options, &Progress::silent())
}

#[test]
fn states_without_a_cut_are_said_and_no_cut_is_made_up() {
    let s = snapshot(4, &[(0, 1, 2.0), (1, 2, 3.0)]);
    for list in [CutList::One, CutList::AllMinimum, CutList::Cheapest, CutList::UpToSize(2)] {
        for kind in [CutKind::Edge, CutKind::Vertex] {
            let o = |from: &[u32], to: &[u32]| CutOptions { kind, list, ..options(from, to) };
            // igraph has answered this in different ways: here the empty cut, of weight 0.
            let apart = ask(&s, &o(&[0], &[3])).unwrap();
            assert_eq!(apart.state, CutState::AlreadyDisconnected);
            assert_eq!(apart.value, Some(0.0));
            assert_eq!(apart.cuts, [Cut { weight: 0.0, units: vec![] }]);
            let both = ask(&s, &o(&[0, 1], &[1, 2])).unwrap();
            assert_eq!(both.state, CutState::Overlapping { nodes: vec![1] });
            assert_eq!((both.value, both.cuts.len()), (None, 0));
        }
        let o = CutOptions { kind: CutKind::Vertex, list, ..options(&[0, 1], &[2]) };
        let adjacent = ask(&s, &o).unwrap();
        assert_eq!(adjacent.state, CutState::Adjacent { links: vec![(1, 2)] });
        assert_eq!((adjacent.value, adjacent.cuts.len()), (None, 0));
    }
}

#[test]
fn a_flow_of_nothing_is_left_out_and_named() {
    // igraph has dropped zeros silently and returned sets that are no cuts.
    let s = snapshot(3, &[(0, 1, 2.0), (1, 2, 1.0), (0, 2, 0.0)]);
    let answer = ask(&s, &options(&[0], &[2])).unwrap();
    assert_eq!((answer.value, answer.left_out.clone()), (Some(1.0), vec![1]));
    assert_eq!(answer.cuts[0].units, [2]);
    let one = CutOptions { capacity: CapacityRule::One, ..options(&[0], &[2]) };
    let counted = ask(&s, &one).unwrap();
    assert_eq!((counted.value, counted.left_out), (Some(2.0), vec![]));
    let only = ask(&snapshot(2, &[(0, 1, 0.0)]), &options(&[0], &[1])).unwrap();
    assert_eq!(only.state, CutState::AlreadyDisconnected);
    assert_eq!(only.left_out, [0]);
}

#[test]
fn closures_that_cut_the_same_edges_are_one_cut() {
    // Two closed source sides, one cut.
    let flows = [(0, 1, 10.0), (1, 4, 1.0), (0, 2, 1.0), (2, 4, 5.0), (2, 3, 5.0), (3, 1, 5.0)];
    let all = CutOptions { list: CutList::AllMinimum, ..options(&[0], &[4]) };
    let answer = ask(&snapshot(5, &flows), &all).unwrap();
    assert_eq!(answer.cuts.len(), 1);
    assert!(answer.complete);
    let one = ask(&snapshot(5, &flows), &options(&[0], &[4])).unwrap();
    assert_eq!(one.nearest_source.unwrap().source_side, [0, 1]);
    assert_eq!(one.nearest_target.unwrap().source_side, [0, 1, 3]);
}

#[test]
fn many_free_nodes_do_not_slow_the_list_of_minimum_cuts() {
    // 40 nodes that may be on either side without a change of cut: 2^40 closures, 2 cuts.
    let mut flows = vec![(0, 1, 1.0), (1, 2, 1.0)];
    for v in 3..43 {
        flows.push((2, v, 1.0));
        flows.push((v, 1, 1.0));
    }
    let all = CutOptions { list: CutList::AllMinimum, ..options(&[0], &[2]) };
    let answer = ask(&snapshot(43, &flows), &all).unwrap();
    assert_eq!(answer.cuts.len(), 2);
    assert!(answer.complete);
}

#[test]
fn the_list_stops_at_its_limit_without_building_the_rest() {
    // A ladder of 40 steps with 2^40 minimum cuts.
    let mut flows = Vec::new();
    for lane in 0..40u32 {
        let middle = 2 + lane;
        flows.push((0, middle, 1.0));
        flows.push((middle, 1, 1.0));
    }
    let s = snapshot(42, &flows);
    for list in [CutList::AllMinimum, CutList::Cheapest] {
        let o = CutOptions { list, limit: 25, ..options(&[0], &[1]) };
        let answer = ask(&s, &o).unwrap();
        assert_eq!((answer.cuts.len(), answer.complete, answer.value), (25, false, Some(40.0)));
    }
    let single = snapshot(2, &[(0, 1, 1.0)]);
    let exact = CutOptions { list: CutList::Cheapest, limit: 1, ..options(&[0], &[1]) };
    assert!(ask(&single, &exact).unwrap().complete);
}

#[test]
fn node_cuts_heed_capacities() {
    // networkx node cuts ignore them: the fewest nodes are not the cheapest.
    let s = snapshot(5, &[(0, 1, 9.0), (1, 2, 1.0), (1, 3, 1.0), (2, 4, 1.0), (3, 4, 1.0)]);
    let o = CutOptions { kind: CutKind::Vertex, ..options(&[0], &[4]) };
    let cheapest = ask(&s, &o).unwrap();
    assert_eq!((cheapest.value, cheapest.cuts[0].units.clone()), (Some(2.0), vec![2, 3]));
    let fewest = ask(&s, &CutOptions { capacity: CapacityRule::One, ..o.clone() }).unwrap();
    assert_eq!((fewest.value, fewest.cuts[0].units.clone()), (Some(1.0), vec![1]));
    let small = ask(&s, &CutOptions { list: CutList::UpToSize(1), ..o }).unwrap();
    assert_eq!(small.cuts, [Cut { weight: 9.0, units: vec![1] }]);
    assert_eq!(small.value, Some(2.0));
}

#[test]
fn a_complete_graph_has_no_node_cut() {
    // networkx quarrels about it: every pair is adjacent, so nothing separates them.
    let mut flows = Vec::new();
    for u in 0..4 {
        flows.extend((0..4).filter(|&v| v != u).map(|v| (u, v, 1.0)));
    }
    let o = CutOptions { kind: CutKind::Vertex, ..options(&[0], &[3]) };
    let answer = ask(&snapshot(4, &flows), &o).unwrap();
    assert_eq!(answer.state, CutState::Adjacent { links: vec![(0, 3)] });
}

#[test]
fn parallel_flows_are_cut_together_and_counted_each() {
    let mut builder = NetworkBuilder::new();
    for id in ["a", "b"] {
        builder.add_node(&NodeRecord::new(id), 0).unwrap();
    }
    for (product, quantity) in [("x", 3.0), ("y", 4.0)] {
        let product = Some(product.to_owned());
        builder.add_flow(&FlowRecord { product, ..FlowRecord::new("a", "b", quantity) }, 0);
    }
    let s = Snapshot::build(builder.finish().unwrap(), SnapshotInfo::default(), Default::default());
    let answer = ask(&s, &options(&[0], &[1])).unwrap();
    assert_eq!(answer.cuts, [Cut { weight: 7.0, units: vec![0, 1] }]);
    let one = CutOptions { capacity: CapacityRule::One, ..options(&[0], &[1]) };
    assert_eq!(ask(&s, &one).unwrap().value, Some(2.0));
    let size = CutOptions { list: CutList::UpToSize(1), ..options(&[0], &[1]) };
    assert!(ask(&s, &size).unwrap().cuts.is_empty());
}

#[test]
fn decimals_are_scaled_and_ties_are_kept() {
    // In floating point 0.1 + 0.2 is not 0.3; in fixed point the two cuts tie.
    let s = snapshot(4, &[(0, 1, 0.1), (0, 2, 0.2), (1, 3, 9.0), (2, 3, 9.0)]);
    let mut flows = vec![(0, 1, 0.1), (0, 2, 0.2), (1, 3, 9.0), (2, 3, 9.0)];
    let answer = ask(&s, &options(&[0], &[3])).unwrap();
    assert_eq!((answer.value, answer.scale, answer.max_rounding_error), (Some(0.3), 10, 0.0));
    flows.push((3, 4, 0.3));
    let all = CutOptions { list: CutList::AllMinimum, ..options(&[0], &[4]) };
    assert_eq!(ask(&snapshot(5, &flows), &all).unwrap().cuts.len(), 2);
    let third = ask(&snapshot(2, &[(0, 1, 1.0 / 3.0)]), &options(&[0], &[1])).unwrap();
    assert_eq!(third.scale, 1_000_000_000);
    assert!(third.max_rounding_error > 0.0);
}

#[test]
fn capacities_that_cannot_be_used_are_named() {
    let mut builder = NetworkBuilder::new();
    for id in ["a", "b", "c"] {
        builder.add_node(&NodeRecord::new(id), 0).unwrap();
    }
    let mut flow = FlowRecord::new("a", "b", 1.0);
    flow.attributes.insert("cost".into(), 5.into());
    flow.attributes.insert("note".into(), "x".into());
    flow.attributes.insert("debt".into(), (-1).into());
    flow.capacity = Some(8.0);
    builder.add_flow(&flow, 0);
    builder.add_flow(&FlowRecord::new("b", "c", 2.0), 0);
    let s = Snapshot::build(builder.finish().unwrap(), SnapshotInfo::default(), Default::default());
    let by = |name: &str| {
        let capacity = CapacityRule::Attribute(name.into());
        ask(&s, &CutOptions { capacity, ..options(&[0], &[2]) })
    };
    let message = by("cost").unwrap_err().to_string();
    assert!(message.contains("b..c") && message.contains("cost"), "{message}");
    assert!(matches!(by("note"), Err(CutError::NotANumber { .. })));
    assert!(matches!(by("debt"), Err(CutError::MissingAttribute { .. })));
    // The column counts where no attribute has the name: 8 and 2 (its quantity).
    assert_eq!(by("capacity").unwrap().value, Some(2.0));
    let node = CutOptions {
        kind: CutKind::Vertex,
        capacity: CapacityRule::Attribute("toll".into()),
        ..options(&[0], &[2])
    };
    let message = ask(&s, &node).unwrap_err().to_string();
    assert!(message.contains("node b"), "terminals need none: {message}");
}

#[test]
fn bad_terminals_are_refused() {
    let s = snapshot(2, &[(0, 1, 1.0)]);
    assert_eq!(ask(&s, &options(&[], &[1])), Err(CutError::NoTerminals));
    assert_eq!(ask(&s, &options(&[0], &[])), Err(CutError::NoTerminals));
    assert_eq!(ask(&s, &options(&[0], &[7])), Err(CutError::UnknownNode(7)));
    assert_eq!(ask(&snapshot(0, &[]), &options(&[0], &[0])), Err(CutError::UnknownNode(0)));
    let stopped = Progress::silent();
    stopped.cancel();
    let answer = cuts(&s, &options(&[0], &[1]), &stopped);
    assert!(matches!(answer, Err(CutError::Cancelled(_))));
}

#[test]
fn undirected_analyses_of_small_graphs() {
    let quiet = Progress::silent();
    for n in [0, 1] {
        let s = snapshot(n, &[]);
        assert_eq!(global_cut(&s, &CapacityRule::Quantity, &quiet).unwrap().cut, None);
        assert_eq!(cut_tree(&s, &CapacityRule::One, &quiet).unwrap().tree.parent.len(), n);
    }
    let s = snapshot(4, &[(0, 1, 5.0), (1, 0, 2.0), (1, 2, 3.0), (2, 2, 9.0), (2, 3, 4.0)]);
    let answer = global_cut(&s, &CapacityRule::Quantity, &quiet).unwrap();
    assert_eq!(answer.cut, Some(Cut { weight: 3.0, units: vec![2] }));
    assert_eq!(answer.side.len(), 2);
    let tree = cut_tree(&s, &CapacityRule::Quantity, &quiet).unwrap().tree;
    assert_eq!(tree.minimum_cut(0, 1), Some(7));
    assert_eq!(tree.minimum_cut(3, 0), Some(3));
    assert_eq!(tree.minimum_cut(2, 3), Some(4));
    let apart = snapshot(3, &[(0, 1, 5.0)]);
    let answer = global_cut(&apart, &CapacityRule::Quantity, &quiet).unwrap();
    assert_eq!(answer.cut.map(|c| c.weight), Some(0.0));
    assert_eq!(answer.side, [2]);
}
