//! Choke points and cuts on the worked digraphs, and on random ones with NetworkX and igraph
//! values. Any file of the form described in tests/cases/cutsets can be added there.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::collections::BTreeMap;
use std::path::Path;

use chokepoint::analysis::Progress;
use chokepoint::analysis::choke_points::{
    ChokeKind, ChokeOptions, Dominator, DominatorTree, Place, biconnectivity, choke_points,
};
use chokepoint::analysis::cuts::{
    CapacityRule, CutKind, CutList, CutOptions, Cuts, cut_tree, cuts, global_cut,
};
use chokepoint::analysis::structure::strongly_connected_components;
use chokepoint::graph::{Csr, Snapshot, SnapshotInfo};
use chokepoint::model::{Figure, FlowRecord, NetworkBuilder, NodeRecord};
use serde::Deserialize;

type Edge = (u32, u32, f64);
type Links = Vec<(u32, u32)>;

/// A digraph as a snapshot: node i is `n0i`, so indices are the numbers of the file.
fn snapshot(n: usize, edges: &[Edge], node_capacity: &[f64]) -> Snapshot {
    let mut builder = NetworkBuilder::new();
    for v in 0..n {
        let mut node = NodeRecord::new(format!("n{v:04}"));
        node.capacity = node_capacity.get(v).copied().map(Figure::bare);
        builder.add_node(&node, v).unwrap();
    }
    for &(u, v, w) in edges {
        builder.add_flow(&FlowRecord::new(format!("n{u:04}"), format!("n{v:04}"), w), 0);
    }
    Snapshot::build(builder.finish().unwrap(), SnapshotInfo::default(), Default::default())
}

fn links(snapshot: &Snapshot, flows: &[u32]) -> Links {
    let ends = |&e: &u32| (snapshot.flow_from(e as usize), snapshot.flow_to(e as usize));
    flows.iter().map(ends).collect()
}

fn immediate(csr: &Csr, root: u32, reverse: bool) -> BTreeMap<u32, u32> {
    let (mut out, mut into) = (csr.outgoing(), csr.incoming());
    if reverse {
        std::mem::swap(&mut out, &mut into);
    }
    let tree = DominatorTree::build(out, into, &[root]);
    let of = |v| match tree.immediate(v) {
        Dominator::Node(d) => Some((v, d)),
        Dominator::Root | Dominator::Unreached => None,
    };
    csr.nodes().filter_map(of).collect()
}

struct Asker<'a> {
    snapshot: &'a Snapshot,
    sources: Vec<u32>,
    targets: Vec<u32>,
}

impl Asker<'_> {
    fn ask(&self, kind: CutKind, capacity: CapacityRule, list: CutList) -> Cuts {
        let options = CutOptions {
            sources: self.sources.clone(),
            targets: self.targets.clone(),
            kind,
            capacity,
            list,
            limit: 100_000,
        };
        let answer = cuts(self.snapshot, &options, &Progress::silent()).unwrap();
        assert!(answer.complete);
        assert_eq!(answer.max_rounding_error, 0.0);
        answer
    }

    fn sets(&self, cuts: &Cuts) -> Vec<Links> {
        let mut sets: Vec<Links> =
            cuts.cuts.iter().map(|c| links(self.snapshot, &c.units)).collect();
        sets.sort();
        sets
    }
}

#[derive(Deserialize)]
struct Digraph {
    name: String,
    n: usize,
    source: u32,
    sink: u32,
    edges: Vec<Edge>,
    node_capacity: Vec<f64>,
    expected: Expected,
}

#[derive(Deserialize)]
struct Expected {
    max_flow_min_edge_cut: f64,
    all_min_edge_cuts: Vec<Links>,
    source_side_nearest_s: Vec<u32>,
    source_side_nearest_t: Vec<u32>,
    minimal_edge_cutsets_count: usize,
    twenty_cheapest_minimal_edge_cutsets_weights: Vec<f64>,
    five_cheapest_minimal_edge_cutsets: Vec<WeightedCut>,
    vertex_cut: VertexCut,
    articulation_points_undirected: Vec<u32>,
    bridges_undirected: Links,
    immediate_dominators_from_source: BTreeMap<u32, u32>,
    immediate_postdominators_to_sink: BTreeMap<u32, u32>,
    st_choke_vertices: Vec<u32>,
    st_choke_edges: Links,
    undirected_global_min_cut: f64,
    undirected_all_pairs_min_cut: BTreeMap<String, u64>,
    source_set: Vec<u32>,
    sink_set: Vec<u32>,
    set_to_set_min_edge_cut: f64,
}

#[derive(Deserialize)]
struct WeightedCut {
    weight: f64,
    edges: Links,
}

#[derive(Deserialize)]
struct VertexCut {
    min_size: f64,
    min_weight: f64,
    all_of_min_weight: Vec<Vec<u32>>,
    all_of_min_size: Vec<Vec<u32>>,
    minimal_separators_count: usize,
    minimal_separators_size_le3: Vec<Vec<u32>>,
}

fn sorted<T: Ord>(mut list: Vec<T>) -> Vec<T> {
    list.sort();
    list
}

fn sorted_sets<T: Ord>(list: Vec<Vec<T>>) -> Vec<Vec<T>> {
    sorted(list.into_iter().map(sorted).collect())
}

fn units(cuts: &Cuts) -> Vec<Vec<u32>> {
    sorted(cuts.cuts.iter().map(|c| c.units.clone()).collect())
}

fn run(case: Digraph) {
    let Digraph { name, n, source, sink, edges, node_capacity, expected } = case;
    let snapshot = snapshot(n, &edges, &node_capacity);
    let csr = Csr::links(&snapshot);
    let quiet = Progress::silent();
    let asker = Asker { snapshot: &snapshot, sources: vec![source], targets: vec![sink] };
    let by_quantity = |list| asker.ask(CutKind::Edge, CapacityRule::Quantity, list);

    let one = by_quantity(CutList::One);
    assert_eq!(one.value, Some(expected.max_flow_min_edge_cut), "{name}: max flow");
    let near = one.nearest_source.unwrap();
    assert_eq!(near.source_side, expected.source_side_nearest_s, "{name}: nearest source");
    let far = one.nearest_target.unwrap();
    assert_eq!(far.source_side, expected.source_side_nearest_t, "{name}: nearest target");
    let all = by_quantity(CutList::AllMinimum);
    assert_eq!(asker.sets(&all), sorted_sets(expected.all_min_edge_cuts), "{name}: all minimum");

    let cheapest = by_quantity(CutList::Cheapest);
    assert_eq!(cheapest.cuts.len(), expected.minimal_edge_cutsets_count, "{name}: minimal cuts");
    let weights: Vec<f64> = cheapest.cuts.iter().map(|c| c.weight).collect();
    let wanted = expected.twenty_cheapest_minimal_edge_cutsets_weights;
    assert_eq!(weights[..wanted.len()], wanted, "{name}: cheapest weights");
    let by_edges = |c: &chokepoint::analysis::cuts::Cut| links(&snapshot, &c.units);
    for cut in expected.five_cheapest_minimal_edge_cutsets {
        let edges = sorted(cut.edges);
        let same =
            |c: &&chokepoint::analysis::cuts::Cut| c.weight == cut.weight && by_edges(c) == edges;
        assert_eq!(cheapest.cuts.iter().filter(same).count(), 1, "{name}: {edges:?}");
    }
    let small = asker.ask(CutKind::Edge, CapacityRule::One, CutList::UpToSize(n as u64 * n as u64));
    assert_eq!(small.cuts.len(), expected.minimal_edge_cutsets_count, "{name}: by size");

    let vertex = expected.vertex_cut;
    let toll = CapacityRule::Attribute("capacity".into());
    let fewest = asker.ask(CutKind::Vertex, CapacityRule::One, CutList::AllMinimum);
    assert_eq!(fewest.value, Some(vertex.min_size), "{name}: fewest nodes");
    assert_eq!(units(&fewest), sorted_sets(vertex.all_of_min_size), "{name}: fewest nodes");
    let lightest = asker.ask(CutKind::Vertex, toll.clone(), CutList::AllMinimum);
    assert_eq!(lightest.value, Some(vertex.min_weight), "{name}: lightest nodes");
    assert_eq!(units(&lightest), sorted_sets(vertex.all_of_min_weight), "{name}: lightest");
    let separators = asker.ask(CutKind::Vertex, CapacityRule::One, CutList::Cheapest);
    assert_eq!(separators.cuts.len(), vertex.minimal_separators_count, "{name}: separators");
    let up_to_3 = asker.ask(CutKind::Vertex, toll, CutList::UpToSize(3));
    assert_eq!(
        units(&up_to_3),
        sorted_sets(vertex.minimal_separators_size_le3),
        "{name}: separators up to 3"
    );

    let split = biconnectivity(&csr, false);
    let points: Vec<u32> = split.articulations.iter().map(|a| a.node).collect();
    assert_eq!(points, expected.articulation_points_undirected, "{name}: articulation points");
    let bridges: Links = split.bridges.iter().map(|b| b.ends).collect();
    let wanted = expected.bridges_undirected.iter().map(|&(u, v)| (u.min(v), u.max(v)));
    assert_eq!(bridges, sorted(wanted.collect()), "{name}: bridges");
    assert_eq!(
        immediate(&csr, source, false),
        expected.immediate_dominators_from_source,
        "{name}: dominators"
    );
    assert_eq!(
        immediate(&csr, sink, true),
        expected.immediate_postdominators_to_sink,
        "{name}: post-dominators"
    );
    let answer = choke_points(
        &snapshot,
        &ChokeOptions {
            sources: Some(vec![source]),
            targets: Some(vec![sink]),
            kinds: vec![ChokeKind::Dominator, ChokeKind::DominatorLink],
            ..ChokeOptions::default()
        },
        &quiet,
    )
    .unwrap();
    let (mut nodes, mut edges) = (Vec::new(), Vec::new());
    for point in answer.points {
        assert!(point.cuts_all_targets);
        match point.place {
            Place::Node(v) if v == source => {}
            Place::Node(v) => nodes.push(v),
            Place::Link(u, v) => edges.push((u, v)),
        }
    }
    assert_eq!(sorted(nodes), sorted(expected.st_choke_vertices), "{name}: choke nodes");
    assert_eq!(sorted(edges), sorted(expected.st_choke_edges), "{name}: choke links");

    let global = global_cut(&snapshot, &CapacityRule::Quantity, &quiet).unwrap();
    assert_eq!(global.cut.map(|c| c.weight), Some(expected.undirected_global_min_cut), "{name}");
    let tree = cut_tree(&snapshot, &CapacityRule::Quantity, &quiet).unwrap().tree;
    for (pair, value) in expected.undirected_all_pairs_min_cut {
        let (a, b) = pair.split_once('-').unwrap();
        let found = tree.minimum_cut(a.parse().unwrap(), b.parse().unwrap());
        assert_eq!(found, Some(value), "{name}: pair {pair}");
    }
    let sets =
        Asker { snapshot: &snapshot, sources: expected.source_set, targets: expected.sink_set };
    let value = sets.ask(CutKind::Edge, CapacityRule::Quantity, CutList::One).value;
    assert_eq!(value, Some(expected.set_to_set_min_edge_cut), "{name}: set to set");
}

#[test]
fn worked_digraphs() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/cutsets");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.starts_with("digraph_") && name.ends_with(".json") {
            run(serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap());
            count += 1;
        }
    }
    assert!(count >= 3, "{count} worked digraphs");
}

#[derive(Deserialize)]
struct Library {
    n: usize,
    edges: Vec<Edge>,
    expected: LibraryValues,
}

#[derive(Deserialize)]
struct LibraryValues {
    articulation_points: Vec<u32>,
    bridges: Links,
    biconnected_components: Vec<Vec<u32>>,
    strong_component_sizes: Vec<u32>,
    dominators: Links,
    post_dominators: Links,
    max_flow: f64,
    all_minimum_cuts: Option<Vec<Links>>,
    minimal_cuts: Option<usize>,
    fewest_nodes: Option<f64>,
    global_min_cut: Option<f64>,
    all_pairs: Option<Vec<u64>>,
}

#[test]
fn values_of_networkx_and_igraph() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/cuts.json");
    let graphs: Vec<Library> =
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert!(graphs.len() >= 300);
    for (index, Library { n, edges, expected }) in graphs.into_iter().enumerate() {
        let snapshot = snapshot(n, &edges, &[]);
        let csr = Csr::links(&snapshot);
        let quiet = Progress::silent();
        let (s, t) = (0, n as u32 - 1);

        let split = biconnectivity(&csr, true);
        let points: Vec<u32> = split.articulations.iter().map(|a| a.node).collect();
        assert_eq!(points, expected.articulation_points, "graph {index}");
        let bridges: Links = split.bridges.iter().map(|b| b.ends).collect();
        assert_eq!(bridges, expected.bridges, "graph {index}");
        assert_eq!(split.blocks, expected.biconnected_components, "graph {index}");
        let sizes = sorted(strongly_connected_components(&csr).sizes());
        assert_eq!(sizes, expected.strong_component_sizes, "graph {index}");
        let pairs = |map: BTreeMap<u32, u32>| map.into_iter().collect::<Links>();
        assert_eq!(pairs(immediate(&csr, s, false)), expected.dominators, "graph {index}");
        assert_eq!(pairs(immediate(&csr, t, true)), expected.post_dominators, "graph {index}");

        let asker = Asker { snapshot: &snapshot, sources: vec![s], targets: vec![t] };
        let value = |list| asker.ask(CutKind::Edge, CapacityRule::Quantity, list);
        assert_eq!(value(CutList::One).value, Some(expected.max_flow), "graph {index}");
        if let Some(wanted) = expected.all_minimum_cuts {
            let found = asker.sets(&value(CutList::AllMinimum));
            assert_eq!(found, sorted_sets(wanted), "graph {index}");
        }
        if let Some(wanted) = expected.minimal_cuts {
            assert_eq!(value(CutList::Cheapest).cuts.len(), wanted, "graph {index}");
        }
        if let Some(wanted) = expected.fewest_nodes {
            let fewest = asker.ask(CutKind::Vertex, CapacityRule::One, CutList::One);
            assert_eq!(fewest.value, Some(wanted), "graph {index}");
        }
        let global = global_cut(&snapshot, &CapacityRule::Quantity, &quiet).unwrap();
        let weight = global.cut.map(|c| c.weight);
        assert_eq!(weight, Some(expected.global_min_cut.unwrap_or(0.0)), "graph {index}");
        if let Some(wanted) = expected.all_pairs {
            let tree = cut_tree(&snapshot, &CapacityRule::Quantity, &quiet).unwrap().tree;
            let pairs = (0..n as u32).flat_map(|u| (u + 1..n as u32).map(move |v| (u, v)));
            let found: Vec<u64> = pairs.map(|(u, v)| tree.minimum_cut(u, v).unwrap()).collect();
            assert_eq!(found, wanted, "graph {index}");
        }
    }
}
