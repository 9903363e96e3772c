//! Choke points against removal one by one and against petgraph and rustworkx-core.

use petgraph::graph::{DiGraph, UnGraph};
use petgraph::visit::EdgeRef;
use proptest::prelude::*;

use super::*;
use crate::analysis::Progress;
use crate::analysis::structure::strongly_connected_components;
use crate::graph::{Csr, Snapshot, SnapshotInfo};
use crate::model::{FlowRecord, NetworkBuilder, NodeRecord};

/// A digraph of up to `most` nodes with self-loops and equal edges.
fn digraphs(most: usize, degree: usize) -> impl Strategy<Value = (usize, Vec<(u32, u32)>)> {
    (1..=most).prop_flat_map(move |n| {
        let pair = (0..n as u32, 0..n as u32);
        (Just(n), prop::collection::vec(pair, 0..=n * degree))
    })
}

fn without(n: usize, pairs: &[(u32, u32)], keep: impl Fn(u32, u32) -> bool) -> Csr {
    let kept: Vec<_> = pairs.iter().copied().filter(|&(u, v)| keep(u, v)).collect();
    Csr::from_pairs(n, &kept)
}

fn reached(csr: &Csr, sources: &[u32], lost: Option<u32>) -> Vec<bool> {
    let mut seen = vec![false; csr.node_count()];
    let mut stack: Vec<u32> = sources.iter().copied().filter(|&s| Some(s) != lost).collect();
    for &s in &stack {
        seen[s as usize] = true;
    }
    while let Some(u) = stack.pop() {
        for &v in csr.consumers(u) {
            if Some(v) != lost && !std::mem::replace(&mut seen[v as usize], true) {
                stack.push(v);
            }
        }
    }
    seen
}

/// Connected components of the undirected projection without a node, as sorted lists.
fn parts(n: usize, pairs: &[(u32, u32)], lost: Option<u32>) -> Vec<Vec<u32>> {
    let mut both: Vec<(u32, u32)> = Vec::new();
    for &(u, v) in pairs.iter().filter(|e| Some(e.0) != lost && Some(e.1) != lost) {
        both.extend([(u, v), (v, u)]);
    }
    let csr = Csr::from_pairs(n, &both);
    let mut known = vec![false; n];
    let mut all = Vec::new();
    for start in 0..n as u32 {
        if Some(start) == lost || known[start as usize] {
            continue;
        }
        let seen = reached(&csr, &[start], lost);
        let part: Vec<u32> = (0..n as u32).filter(|&v| seen[v as usize]).collect();
        part.iter().for_each(|&v| known[v as usize] = true);
        all.push(part);
    }
    all
}

fn undirected_links(pairs: &[(u32, u32)]) -> Vec<(u32, u32)> {
    let mut links: Vec<_> =
        pairs.iter().filter(|e| e.0 != e.1).map(|&(u, v)| (u.min(v), u.max(v))).collect();
    links.sort_unstable();
    links.dedup();
    links
}

/// Sizes of the strongly connected components of some nodes, largest first (petgraph).
fn strong_parts(n: usize, pairs: &[(u32, u32)], members: &[u32]) -> Vec<usize> {
    let edges = pairs.iter().filter(|e| members.contains(&e.0) && members.contains(&e.1));
    let mut graph = DiGraph::<(), ()>::from_edges(edges.copied());
    while graph.node_count() < n {
        graph.add_node(());
    }
    let mut sizes: Vec<usize> = petgraph::algo::tarjan_scc(&graph)
        .into_iter()
        .filter(|c| members.contains(&(c[0].index() as u32)))
        .map(|c| c.len())
        .collect();
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    sizes
}

proptest! {
    #![proptest_config(crate::laws::cases(300))]

    #[test]
    fn articulation_points_are_the_nodes_whose_removal_splits((n, pairs) in digraphs(12, 2)) {
        let csr = Csr::from_pairs(n, &pairs);
        let found = biconnectivity(&csr, true);
        let whole = parts(n, &pairs, None);
        prop_assert_eq!(found.components as usize, whole.len());
        let mut expected = Vec::new();
        for v in 0..n as u32 {
            let own = whole.iter().find(|p| p.contains(&v)).unwrap();
            let mut left: Vec<Vec<u32>> = parts(n, &pairs, Some(v))
                .into_iter().filter(|p| own.contains(&p[0])).collect();
            if left.len() > 1 {
                left.sort_by_key(|p| std::cmp::Reverse(p.len()));
                expected.push((v, left));
            }
        }
        prop_assert_eq!(found.articulations.len(), expected.len());
        for (index, (a, (v, left))) in found.articulations.iter().zip(&expected).enumerate() {
            prop_assert_eq!(a.node, *v);
            let sizes: Vec<u32> = left.iter().map(|p| p.len() as u32).collect();
            prop_assert_eq!(&a.parts, &sizes);
            let separated = found.separated_by_articulation(index, usize::MAX);
            prop_assert_eq!(separated.len() as u32, sizes[1..].iter().sum::<u32>());
            // All of the parts but one of the largest.
            let kept: Vec<&Vec<u32>> =
                left.iter().filter(|p| !separated.contains(&p[0])).collect();
            prop_assert_eq!(kept.len(), 1);
            prop_assert!(kept[0].iter().all(|v| !separated.contains(v)));
            let short = found.separated_by_articulation(index, 2);
            prop_assert_eq!(&short[..], &separated[..separated.len().min(2)]);
        }
        // Every link is in exactly one block, and blocks meet in articulation points only.
        for (u, v) in undirected_links(&pairs) {
            let holding = found.blocks.iter().filter(|b| b.contains(&u) && b.contains(&v)).count();
            prop_assert_eq!(holding, 1);
        }
        for v in 0..n as u32 {
            let times = found.blocks.iter().filter(|b| b.contains(&v)).count();
            prop_assert_eq!(times > 1, found.articulations.iter().any(|a| a.node == v));
        }
    }

    #[test]
    fn bridges_are_the_links_whose_removal_splits((n, pairs) in digraphs(12, 2)) {
        let csr = Csr::from_pairs(n, &pairs);
        let found = biconnectivity(&csr, false);
        let whole = parts(n, &pairs, None).len();
        let mut expected = Vec::new();
        for (u, v) in undirected_links(&pairs) {
            let rest: Vec<_> = pairs.iter().copied()
                .filter(|&e| e != (u, v) && e != (v, u)).collect();
            let left = parts(n, &rest, None);
            if left.len() > whole {
                let size = |x: u32| left.iter().find(|p| p.contains(&x)).unwrap().len() as u32;
                expected.push(Bridge {
                    ends: (u, v),
                    parts: (size(u).max(size(v)), size(u).min(size(v))),
                });
            }
        }
        prop_assert_eq!(&found.bridges, &expected);
        for (index, bridge) in expected.iter().enumerate() {
            let separated = found.separated_by_bridge(index, usize::MAX);
            prop_assert_eq!(separated.len() as u32, bridge.parts.1);
            prop_assert_eq!(
                separated.contains(&bridge.ends.0),
                !separated.contains(&bridge.ends.1)
            );
        }
    }

    #[test]
    fn dominators_agree_with_petgraph((n, pairs) in digraphs(60, 3), count in 1usize..4) {
        let csr = Csr::from_pairs(n, &pairs);
        let sources: Vec<u32> = (0..n.min(count) as u32).collect();
        let tree = DominatorTree::build(csr.outgoing(), csr.incoming(), &sources);
        let mut graph = DiGraph::<(), ()>::from_edges(pairs.iter().copied());
        while graph.node_count() < n {
            graph.add_node(());
        }
        let root = graph.add_node(());
        for &s in &sources {
            graph.add_edge(root, s.into(), ());
        }
        let oracle = petgraph::algo::dominators::simple_fast(&graph, root);
        let subtrees = tree.subtrees();
        for v in 0..n as u32 {
            let expected = match oracle.immediate_dominator(v.into()) {
                None => Dominator::Unreached,
                Some(d) if d == root => Dominator::Root,
                Some(d) => Dominator::Node(d.index() as u32),
            };
            prop_assert_eq!(tree.immediate(v), expected);
            let chain: Vec<u32> = tree.chain(v).collect();
            for d in 0..n as u32 {
                let dominates = tree.is_reached(v) && (d == v || chain.contains(&d));
                prop_assert_eq!(subtrees.dominates(d, v), dominates);
            }
            prop_assert!(subtrees.below(v).iter().all(|&w| subtrees.dominates(v, w)));
            let count = (0..n as u32).filter(|&w| subtrees.dominates(v, w)).count();
            prop_assert_eq!(subtrees.size(v) as usize, count);
        }
    }

    #[test]
    fn knock_out_equals_removing_each_node((n, pairs) in digraphs(40, 2), count in 1usize..5) {
        let csr = Csr::from_pairs(n, &pairs);
        let sources: Vec<u32> = (0..n.min(count) as u32).collect();
        let targets: Vec<u32> = (0..n as u32).filter(|v| v % 3 == 0).collect();
        let weight = |v: u32| f64::from(v) + 0.5;
        let found = knock_out(&csr, &sources, Some(&targets), weight, &Progress::silent()).unwrap();
        let base = reached(&csr, &sources, None);
        prop_assert_eq!(&found.reached, &base);
        prop_assert_eq!(found.reached_count as usize, base.iter().filter(|&&r| r).count());
        for v in 0..n as u32 {
            let left = reached(&csr, &sources, Some(v));
            let lost: Vec<u32> = (0..n as u32)
                .filter(|&w| w != v && base[w as usize] && !left[w as usize]).collect();
            prop_assert_eq!(found.lost[v as usize] as usize, lost.len());
            let hit = lost.iter().filter(|w| targets.contains(w)).count();
            prop_assert_eq!(found.lost_targets[v as usize] as usize, hit);
            let sum: f64 = lost.iter().map(|&w| weight(w)).sum();
            prop_assert!((found.lost_weight[v as usize] - sum).abs() < 1e-9);
        }
    }

    #[test]
    fn strong_choke_points_are_what_breaks_a_component((n, pairs) in digraphs(12, 3)) {
        let csr = Csr::from_pairs(n, &pairs);
        let scc = strongly_connected_components(&csr);
        let found = strong_choke_points(&csr, &Progress::silent()).unwrap();
        let members = |v: u32| -> Vec<u32> {
            (0..n as u32)
                .filter(|&w| scc.component[w as usize] == scc.component[v as usize]).collect()
        };
        let mut nodes = Vec::new();
        for v in 0..n as u32 {
            let rest: Vec<u32> = members(v).into_iter().filter(|&w| w != v).collect();
            let left = strong_parts(n, &pairs, &rest);
            if left.len() > 1 {
                nodes.push(v);
                let parts = found.parts_without_node(v);
                prop_assert_eq!(parts.iter().map(Vec::len).collect::<Vec<_>>(), left);
            }
        }
        let articulations: Vec<u32> = found.articulations.iter().map(|a| a.node).collect();
        prop_assert_eq!(articulations, nodes);
        let mut links = pairs.clone();
        links.sort_unstable();
        links.dedup();
        let mut bridges = Vec::new();
        for &(u, v) in links.iter().filter(|e| e.0 != e.1) {
            let own = members(u);
            if own.contains(&v) {
                let rest: Vec<_> = links.iter().copied().filter(|&e| e != (u, v)).collect();
                let left = strong_parts(n, &rest, &own);
                if left.len() > 1 {
                    bridges.push((u, v));
                    let parts = found.parts_without_link(u, v);
                    prop_assert_eq!(parts.iter().map(Vec::len).collect::<Vec<_>>(), left);
                }
            }
        }
        let links: Vec<_> = found.bridges.iter().map(|b| (b.from, b.to)).collect();
        prop_assert_eq!(links, bridges);
    }

    #[test]
    fn strong_components_agree_with_petgraph((n, pairs) in digraphs(50, 2)) {
        let csr = Csr::from_pairs(n, &pairs);
        let found = strongly_connected_components(&csr);
        for component in petgraph::algo::tarjan_scc(&{
            let mut graph = DiGraph::<(), ()>::from_edges(pairs.iter().copied());
            while graph.node_count() < n {
                graph.add_node(());
            }
            graph
        }) {
            let number = found.component[component[0].index()];
            prop_assert!(component.iter().all(|v| found.component[v.index()] == number));
            prop_assert_eq!(found.sizes()[number as usize] as usize, component.len());
        }
        for &(u, v) in &pairs {
            prop_assert!(found.component[u as usize] <= found.component[v as usize]);
        }
    }

    #[test]
    fn articulation_points_and_bridges_agree_with_the_libraries((n, pairs) in digraphs(60, 2)) {
        let csr = Csr::from_pairs(n, &pairs);
        let found = biconnectivity(&csr, false);
        let mut graph = UnGraph::<(), ()>::from_edges(undirected_links(&pairs));
        while graph.node_count() < n {
            graph.add_node(());
        }
        let mut nodes: Vec<u32> = rustworkx_core::connectivity::articulation_points(&graph, None)
            .into_iter().map(|v| v.index() as u32).collect();
        nodes.sort_unstable();
        prop_assert_eq!(found.articulations.iter().map(|a| a.node).collect::<Vec<_>>(), nodes);
        // rustworkx-core 0.17.1 misses bridges next to the root of its search.
        let mut links: Vec<(u32, u32)> = petgraph::algo::bridges::bridges(&graph)
            .map(|e| (e.source().index() as u32, e.target().index() as u32))
            .map(|(u, v)| (u.min(v), u.max(v)))
            .collect();
        links.sort_unstable();
        prop_assert_eq!(found.bridges.iter().map(|b| b.ends).collect::<Vec<_>>(), links);
    }

    #[test]
    fn what_a_dominator_link_separates_is_lost_without_it(
        (n, pairs) in digraphs(15, 2), count in 1usize..4,
    ) {
        let snapshot = snapshot(n, &pairs);
        let sources: Vec<u32> = (0..n.min(count) as u32).collect();
        let targets: Vec<u32> = (0..n as u32).filter(|v| v % 2 == 1).collect();
        let csr = Csr::links(&snapshot);
        let base = reached(&csr, &sources, None);
        for targets in [None, Some(targets)] {
            let answer = choke_points(&snapshot, &ChokeOptions {
                sources: Some(sources.clone()),
                targets: targets.clone(),
                kinds: vec![ChokeKind::Dominator, ChokeKind::DominatorLink],
                limit: usize::MAX,
                list: usize::MAX,
            }, &Progress::silent()).unwrap();
            let counts = |v: &u32| targets.as_ref().is_none_or(|t| t.contains(v));
            let mut expected = Vec::new();
            let lost = |left: &[bool], but: Option<u32>| -> Vec<u32> {
                (0..n as u32)
                    .filter(|&w| Some(w) != but && base[w as usize] && !left[w as usize]).collect()
            };
            for v in 0..n as u32 {
                let nodes = lost(&reached(&csr, &sources, Some(v)), Some(v));
                if nodes.iter().any(counts) {
                    expected.push((Place::Node(v), nodes));
                }
            }
            let mut links = pairs.clone();
            links.sort_unstable();
            links.dedup();
            for &(u, v) in &links {
                let rest = without(n, &pairs, |a, b| (a, b) != (u, v));
                let nodes = lost(&reached(&rest, &sources, None), None);
                if nodes.iter().any(counts) {
                    expected.push((Place::Link(u, v), nodes));
                }
            }
            let mut found: Vec<_> =
                answer.points.iter().map(|p| (p.place, p.nodes.clone())).collect();
            found.sort();
            prop_assert_eq!(found, expected);
            let reached_targets =
                (0..n as u32).filter(|v| base[*v as usize] && counts(v)).count();
            for point in &answer.points {
                prop_assert_eq!(point.separated as usize, point.nodes.len());
                let hit = point.nodes.iter().filter(|&v| counts(v)).count();
                prop_assert_eq!(
                    point.separated_targets,
                    targets.is_some().then_some(hit as u32)
                );
                let own = match point.place {
                    Place::Node(v) => usize::from(base[v as usize] && counts(&v)),
                    Place::Link(..) => 0,
                };
                prop_assert_eq!(
                    point.cuts_all_targets,
                    targets.is_some() && hit + own == reached_targets
                );
                let flow: f64 = point.nodes.iter().map(|&v| snapshot.out_strength(v)).sum();
                prop_assert!((point.separated_flow - flow).abs() < 1e-9);
            }
        }
    }
}

fn snapshot(n: usize, pairs: &[(u32, u32)]) -> Snapshot {
    let mut builder = NetworkBuilder::new();
    for v in 0..n {
        builder.add_node(&NodeRecord::new(format!("n{v:03}")), v).unwrap();
    }
    for &(u, v) in pairs {
        let (u, v) = (format!("n{u:03}"), format!("n{v:03}"));
        builder.add_flow(&FlowRecord::new(u, v, 2.0), 0);
    }
    Snapshot::build(builder.finish().unwrap(), SnapshotInfo::default(), Default::default())
}

fn ask(snapshot: &Snapshot, options: ChokeOptions) -> Result<ChokePoints, ChokeError> {
    choke_points(snapshot, &options, &Progress::silent())
}

#[test]
fn a_chain_through_one_refinery_names_it() {
    // Two mines, one refinery, two makers, one industry; a loop back from maker to refinery.
    let s = snapshot(6, &[(0, 2), (1, 2), (2, 3), (2, 4), (3, 5), (4, 5), (4, 2)]);
    let answer = ask(&s, ChokeOptions { targets: Some(vec![5]), ..Default::default() }).unwrap();
    let of = |kind| answer.points.iter().filter(move |p: &&ChokePoint| p.kind == kind);
    let refinery = of(ChokeKind::Dominator).next().unwrap();
    assert_eq!(refinery.place, Place::Node(2));
    assert_eq!((refinery.separated, &refinery.nodes), (3, &vec![3, 4, 5]));
    assert_eq!((refinery.separated_targets, refinery.cuts_all_targets), (Some(1), true));
    // Enters 6, leaves 4; what it cuts off ships 6; all flows together 14.
    assert_eq!((refinery.flow, refinery.separated_flow), (6.0, 6.0));
    assert!((refinery.flow_share - 12.0 / 14.0).abs() < 1e-12);
    assert_eq!(
        of(ChokeKind::PostDominator).map(|p| p.place).collect::<Vec<_>>(),
        [Place::Node(5), Place::Node(2),]
    );
    assert_eq!(answer.sources, 2);
    assert_eq!(of(ChokeKind::StrongBridge).count(), 2);
    assert_eq!(of(ChokeKind::StrongArticulation).count(), 0);
    assert_eq!(of(ChokeKind::Articulation).map(|p| p.place).collect::<Vec<_>>(), [Place::Node(2)]);
    assert_eq!(of(ChokeKind::Bridge).count(), 2);
    assert!(answer.nodes().contains(&2));
}

#[test]
fn petgraph_counts_too_many_articulation_points_on_digraphs() {
    // A diamond: no node splits it, but following out-edges only, three seem to.
    let pairs = [(0, 1), (0, 2), (1, 3), (2, 3)];
    let digraph = DiGraph::<(), ()>::from_edges(pairs);
    assert!(!petgraph::algo::articulation_points::articulation_points(&digraph).is_empty());
    assert!(biconnectivity(&Csr::from_pairs(4, &pairs), false).articulations.is_empty());
}

#[test]
fn parallel_flows_and_loops_change_nothing() {
    let plain = Csr::from_pairs(3, &[(0, 1), (1, 2)]);
    let busy = Csr::from_pairs(3, &[(0, 1), (0, 1), (1, 0), (1, 2), (2, 2), (1, 1)]);
    let (a, b) = (biconnectivity(&plain, false), biconnectivity(&busy, false));
    assert_eq!(a.articulations, b.articulations);
    assert_eq!(a.bridges, b.bridges);
    let mut flows = NetworkBuilder::new();
    for id in ["a", "b"] {
        flows.add_node(&NodeRecord::new(id), 0).unwrap();
    }
    for product in ["x", "y"] {
        let flow = FlowRecord { product: Some(product.into()), ..FlowRecord::new("a", "b", 3.0) };
        flows.add_flow(&flow, 0);
    }
    let s = Snapshot::build(flows.finish().unwrap(), SnapshotInfo::default(), Default::default());
    let kinds = vec![ChokeKind::DominatorLink, ChokeKind::Bridge];
    let answer = ask(&s, ChokeOptions { kinds, ..Default::default() }).unwrap();
    assert_eq!(answer.points.len(), 2);
    assert!(answer.points.iter().all(|p| p.flow == 6.0));
}

#[test]
fn empty_and_lonely_graphs_have_no_choke_points() {
    for n in [0, 1, 3] {
        let targets = (n > 0).then(|| vec![0]);
        let answer = ask(&snapshot(n, &[]), ChokeOptions { targets, ..Default::default() });
        assert!(answer.unwrap().points.is_empty());
    }
    let loops = snapshot(1, &[(0, 0)]);
    let answer = ask(&loops, ChokeOptions { targets: Some(vec![0]), ..Default::default() });
    assert!(answer.unwrap().points.is_empty());
    let empty = knock_out(&Csr::from_pairs(0, &[]), &[], None, |_| 1.0, &Progress::silent());
    assert!(empty.unwrap().lost.is_empty());
}

#[test]
fn questions_without_an_answer_say_what_to_do() {
    let cycle = snapshot(3, &[(0, 1), (1, 2), (2, 0)]);
    let plain = ChokeOptions { kinds: vec![ChokeKind::Dominator], ..Default::default() };
    assert_eq!(ask(&cycle, plain.clone()), Err(ChokeError::NoSources));
    let named = ChokeOptions { sources: Some(vec![0]), ..plain.clone() };
    assert_eq!(ask(&cycle, named).unwrap().points.len(), 2);
    let outside = ChokeOptions { sources: Some(vec![9]), ..plain };
    assert_eq!(ask(&cycle, outside), Err(ChokeError::UnknownNode(9)));
    let post = ChokeOptions { kinds: vec![ChokeKind::PostDominator], ..Default::default() };
    assert_eq!(ask(&cycle, post), Err(ChokeError::NoTargets));
    let stopped = Progress::silent();
    stopped.cancel();
    let answer = choke_points(&snapshot(2, &[(0, 1)]), &ChokeOptions::default(), &stopped);
    assert!(matches!(answer, Err(ChokeError::Cancelled(_) | ChokeError::NoTargets)));
}

#[test]
fn a_target_out_of_reach_is_reported() {
    let s = snapshot(4, &[(0, 1), (2, 3), (3, 2)]);
    let kinds = vec![ChokeKind::Dominator];
    let options = ChokeOptions { targets: Some(vec![1, 3]), kinds, ..Default::default() };
    let answer = ask(&s, options).unwrap();
    assert_eq!(answer.unreached_targets, [3]);
    assert_eq!(answer.reached, 2);
    assert!(answer.points[0].cuts_all_targets);
}

#[test]
fn the_limit_keeps_the_worst_and_the_total_tells_the_rest() {
    let chain: Vec<(u32, u32)> = (0..20).map(|v| (v, v + 1)).collect();
    let kinds = vec![ChokeKind::Articulation, ChokeKind::Dominator];
    let options = ChokeOptions { kinds, limit: 3, list: 2, ..Default::default() };
    let answer = ask(&snapshot(21, &chain), options).unwrap();
    assert_eq!(answer.totals, [(ChokeKind::Articulation, 19), (ChokeKind::Dominator, 20)]);
    assert_eq!(answer.points.len(), 6);
    assert_eq!(answer.points[0].place, Place::Node(10));
    assert_eq!(answer.points[3].separated, 20);
    assert_eq!(answer.points[3].nodes, [1, 2]);
}
