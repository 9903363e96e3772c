//! Centralities and structure against NetworkX, igraph, petgraph, rustworkx-core and brute force.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use chokepoint::analysis::Progress;
use chokepoint::analysis::centrality::*;
use chokepoint::analysis::paths::*;
use chokepoint::analysis::structure::*;
use chokepoint::graph::Csr;

use serde::Deserialize;

/// One graph of tests/fixtures/centrality.json and what the peers say of it.
#[derive(Deserialize)]
struct Case {
    n: usize,
    edges: Vec<(u32, u32, f64)>,
    preference: Vec<f64>,
    pagerank: Vec<f64>,
    pagerank_weighted: Vec<f64>,
    pagerank_personalized: Vec<f64>,
    betweenness: Vec<f64>,
    betweenness_normalized: Vec<f64>,
    betweenness_weighted: Vec<f64>,
    edge_betweenness: Vec<f64>,
    edge_betweenness_weighted: Vec<f64>,
    closeness: Vec<f64>,
    closeness_wf: Vec<f64>,
    closeness_weighted: Vec<f64>,
    closeness_out: Vec<f64>,
    harmonic: Vec<f64>,
    harmonic_weighted: Vec<f64>,
    harmonic_out: Vec<f64>,
    katz: Vec<f64>,
    eigenvector: Option<Vec<f64>>,
    authorities: Option<Vec<f64>>,
    hubs: Option<Vec<f64>>,
    core: Vec<u32>,
    core_in: Vec<u32>,
    core_out: Vec<u32>,
    scc: usize,
    wcc: usize,
    tier: Vec<u32>,
    longest: f64,
    cycles: Option<usize>,
    cycles_4: usize,
    ends: Option<(u32, u32)>,
    k_shortest: Option<Vec<f64>>,
    group: Option<Vec<u32>>,
    group_closeness: Option<f64>,
    modularity: Option<f64>,
}

impl Case {
    fn weighted(&self) -> Csr {
        Csr::from_edges(self.n, &self.edges)
    }

    fn plain(&self) -> Csr {
        self.weighted().unweighted()
    }
}

fn cases() -> Vec<Case> {
    let cases: Vec<Case> =
        serde_json::from_str(include_str!("../fixtures/centrality.json")).unwrap();
    assert!(cases.len() >= 200);
    cases
}

#[track_caller]
fn assert_close(ours: &[f64], theirs: &[f64], tolerance: f64, what: &str) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    for (v, (a, b)) in ours.iter().zip(theirs).enumerate() {
        assert!((a - b).abs() <= tolerance * (1.0 + b.abs()), "{what}, {v}: {a} is not {b}");
    }
}

fn unit(mut x: Vec<f64>) -> Vec<f64> {
    let length = x.iter().map(|x| x * x).sum::<f64>().sqrt();
    x.iter_mut().for_each(|x| *x /= length);
    x
}

fn quiet() -> Progress {
    Progress::silent()
}

#[test]
fn pagerank_is_that_of_networkx() {
    for (i, case) in cases().iter().enumerate() {
        let options = PageRankOptions { tolerance: 1e-12, ..Default::default() };
        let plain = pagerank(&case.plain(), &options, &quiet()).unwrap();
        assert_close(&plain.scores, &case.pagerank, 1e-9, &format!("pagerank of {i}"));
        assert!(plain.converged && plain.error.unwrap() <= 1e-12);
        let weighted = pagerank(&case.weighted(), &options, &quiet()).unwrap();
        assert_close(&weighted.scores, &case.pagerank_weighted, 1e-9, &format!("weighted, {i}"));
        let options = PageRankOptions { preference: Some(case.preference.clone()), ..options };
        let personal = pagerank(&case.plain(), &options, &quiet()).unwrap();
        assert_close(
            &personal.scores,
            &case.pagerank_personalized,
            1e-9,
            &format!("personal, {i}"),
        );
    }
}

#[test]
fn pagerank_keeps_its_error_bound() {
    for case in cases() {
        let exact = PageRankOptions { tolerance: 1e-14, ..Default::default() };
        let exact = pagerank(&case.weighted(), &exact, &quiet()).unwrap().scores;
        for tolerance in [1e-1, 1e-3, 1e-6] {
            let options = PageRankOptions { tolerance, ..Default::default() };
            let rough = pagerank(&case.weighted(), &options, &quiet()).unwrap();
            let off: f64 = rough.scores.iter().zip(&exact).map(|(a, b)| (a - b).abs()).sum();
            assert!(off <= rough.error.unwrap() + 1e-12 && rough.error.unwrap() <= tolerance);
        }
    }
}

#[test]
fn betweenness_is_that_of_networkx_and_igraph() {
    for (i, case) in cases().iter().enumerate() {
        let (plain, weighted) = (case.plain(), case.weighted());
        let raw = BetweennessOptions::default();
        let ours = betweenness(&plain, &raw, &quiet()).unwrap().scores;
        assert_close(&ours, &case.betweenness, 1e-9, &format!("betweenness of {i}"));
        let ours = betweenness(&weighted, &raw, &quiet()).unwrap().scores;
        assert_close(&ours, &case.betweenness_weighted, 1e-9, &format!("weighted, {i}"));
        let ours = edge_betweenness(&plain, &raw, &quiet()).unwrap().scores;
        assert_close(&ours, &case.edge_betweenness, 1e-9, &format!("edges, {i}"));
        let ours = edge_betweenness(&weighted, &raw, &quiet()).unwrap().scores;
        assert_close(&ours, &case.edge_betweenness_weighted, 1e-9, &format!("weighted edges, {i}"));
        let normalized = BetweennessOptions { normalized: true, ..raw };
        let ours = betweenness(&plain, &normalized, &quiet()).unwrap().scores;
        assert_close(&ours, &case.betweenness_normalized, 1e-9, &format!("normalized, {i}"));
    }
}

#[test]
fn sampling_every_source_is_exact() {
    for case in cases() {
        let (plain, weighted) = (case.plain(), case.weighted());
        for view in [plain, weighted] {
            let exact = betweenness(&view, &BetweennessOptions::default(), &quiet()).unwrap();
            let sources = Sources::Sampled { count: case.n, seed: 5 };
            let options = BetweennessOptions { sources, normalized: false };
            let sampled = betweenness(&view, &options, &quiet()).unwrap();
            assert_close(&sampled.scores, &exact.scores, 1e-12, "all sources");
        }
    }
}

#[test]
fn closeness_and_harmonic_are_those_of_networkx_and_igraph() {
    let incoming = ClosenessOptions { direction: Direction::In, ..Default::default() };
    let faust = ClosenessOptions { normalized: true, ..incoming.clone() };
    let outgoing = ClosenessOptions::default();
    for (i, case) in cases().iter().enumerate() {
        let (plain, weighted) = (case.plain(), case.weighted());
        let check = |ours: Result<Scores, StructureError>, theirs: &[f64], what: &str| {
            assert_close(&ours.unwrap().scores, theirs, 1e-9, &format!("{what}, {i}"));
        };
        check(closeness(&plain, &incoming, &quiet()), &case.closeness, "closeness");
        check(closeness(&plain, &faust, &quiet()), &case.closeness_wf, "Wasserman-Faust");
        check(closeness(&weighted, &faust, &quiet()), &case.closeness_weighted, "weighted");
        check(closeness(&plain, &outgoing, &quiet()), &case.closeness_out, "outgoing");
        check(harmonic(&plain, &incoming, &quiet()), &case.harmonic, "harmonic");
        check(harmonic(&weighted, &incoming, &quiet()), &case.harmonic_weighted, "harmonic w");
        check(harmonic(&plain, &outgoing, &quiet()), &case.harmonic_out, "harmonic out");
    }
}

#[test]
fn spectral_measures_are_those_of_numpy() {
    let stop = Stop { tolerance: 1e-13, max_iterations: 100_000 };
    let (mut eigen, mut hubs) = (0, 0);
    for (i, case) in cases().iter().enumerate() {
        let plain = case.plain();
        let options = KatzOptions { alpha: Some(0.03), stop, ..Default::default() };
        let ours = katz(&plain, &options, &quiet()).unwrap();
        assert_close(&ours.scores, &case.katz, 1e-9, &format!("katz of {i}"));
        if let Some(theirs) = &case.eigenvector {
            let ours = eigenvector(&plain, stop, &quiet()).unwrap();
            assert_close(&ours.scores, theirs, 1e-6, &format!("eigenvector of {i}"));
            eigen += 1;
        }
        if let (Some(h), Some(a)) = (&case.hubs, &case.authorities) {
            let ours = hits(&plain, stop, &quiet()).unwrap();
            assert_close(&unit(ours.hubs.scores), h, 1e-6, &format!("hubs of {i}"));
            assert_close(&unit(ours.authorities.scores), a, 1e-6, &format!("authorities of {i}"));
            hubs += 1;
        }
    }
    assert!(eigen > 30 && hubs > 50, "{eigen} {hubs}");
}

/// Solves a small dense system by Gauss elimination with pivots.
fn solve(mut a: Vec<Vec<f64>>, mut b: Vec<f64>) -> Vec<f64> {
    let n = b.len();
    for c in 0..n {
        let pivot = (c..n).max_by(|&i, &j| a[i][c].abs().total_cmp(&a[j][c].abs())).unwrap();
        a.swap(c, pivot);
        b.swap(c, pivot);
        for r in 0..n {
            if r != c {
                let f = a[r][c] / a[c][c];
                let pivot = a[c].clone();
                a[r].iter_mut().zip(&pivot).skip(c).for_each(|(x, p)| *x -= f * p);
                b[r] -= f * b[c];
            }
        }
    }
    (0..n).map(|i| b[i] / a[i][i]).collect()
}

#[test]
fn domirank_solves_its_equation() {
    for case in cases() {
        let view = case.weighted();
        let sigma = 0.3 / spectral_radius_bound(&view).max(1.0);
        let stop = Stop { tolerance: 1e-13, max_iterations: 100_000 };
        let options = DomiRankOptions { sigma: Some(sigma), theta: 1.0, stop };
        let ours = domirank(&view, &options, &quiet()).unwrap();
        let mut a = vec![vec![0.0; case.n]; case.n];
        let mut b = vec![0.0; case.n];
        for &(u, v, w) in &case.edges {
            a[u as usize][v as usize] += sigma * w;
            b[u as usize] += sigma * w;
        }
        (0..case.n).for_each(|i| a[i][i] += 1.0);
        assert_close(&ours.scores, &solve(a, b), 1e-9, "DomiRank");
    }
}

#[test]
fn cores_are_those_of_networkx_and_igraph() {
    for (i, case) in cases().iter().enumerate() {
        let view = case.plain();
        let core = |direction| core_numbers(&view, direction, &quiet()).unwrap();
        assert_eq!(core(Direction::Both), case.core, "core of {i}");
        assert_eq!(core(Direction::In), case.core_in, "in-core of {i}");
        assert_eq!(core(Direction::Out), case.core_out, "out-core of {i}");
    }
}

#[test]
fn cores_of_many_graphs_side_by_side_are_those_of_each() {
    // Together they are large enough for the way that several threads share.
    let cases = cases();
    let (mut edges, mut n) = (Vec::new(), 0);
    let (mut both, mut into, mut out) = (Vec::new(), Vec::new(), Vec::new());
    for case in cases.iter().cycle() {
        if n > 50_000 {
            break;
        }
        edges.extend(case.edges.iter().map(|&(u, v, _)| (u + n as u32, v + n as u32)));
        both.extend_from_slice(&case.core);
        into.extend_from_slice(&case.core_in);
        out.extend_from_slice(&case.core_out);
        n += case.n;
    }
    let view = Csr::from_pairs(n, &edges);
    for (direction, expected) in
        [(Direction::Both, both), (Direction::In, into), (Direction::Out, out)]
    {
        assert_eq!(core_numbers(&view, direction, &quiet()).unwrap(), expected, "{direction:?}");
    }
}

#[test]
fn components_tiers_and_chains_are_those_of_networkx() {
    for (i, case) in cases().iter().enumerate() {
        let view = case.plain();
        let strong = strongly_connected_components(&view);
        assert_eq!(strong.count, case.scc, "{i}");
        let oracle = petgraph_of(&view);
        let theirs = petgraph::algo::tarjan_scc(&oracle);
        for (u, v) in (0..case.n).flat_map(|u| (0..case.n).map(move |v| (u, v))) {
            let together = theirs
                .iter()
                .any(|c| c.contains(&(u as u32).into()) && c.contains(&(v as u32).into()));
            assert_eq!(strong.component[u] == strong.component[v], together);
        }
        for &(u, v, _) in &case.edges {
            assert!(strong.component[u as usize] <= strong.component[v as usize], "{i}: order");
        }
        assert_eq!(weakly_connected_components(&view).count, case.wcc, "{i}");
        let tiers = tiers(&view);
        assert_eq!(tiers.tier, case.tier, "{i}");
        assert_eq!(f64::from(tiers.count - 1), case.longest, "{i}");
        let chain = longest_chain(&view, ChainLength::Steps).unwrap();
        assert_eq!(chain.length, case.longest, "{i}");
        assert_eq!(chain.flows.len() + 1, chain.links.len());
        for (k, &(u, v)) in chain.flows.iter().enumerate() {
            assert!(view.edge(u, v).is_some());
            assert!(chain.links[k].contains(&u) && chain.links[k + 1].contains(&v));
        }
    }
}

fn petgraph_of(view: &Csr) -> petgraph::graph::DiGraph<(), f64> {
    let mut graph = petgraph::graph::DiGraph::new();
    view.nodes().for_each(|_| {
        graph.add_node(());
    });
    for v in view.nodes() {
        for e in view.edges_out(v) {
            graph.add_edge(v.into(), view.target(e).into(), view.weight(e));
        }
    }
    graph
}

#[test]
fn cycles_are_those_of_networkx() {
    let mut long = 0;
    for (i, case) in cases().iter().enumerate() {
        let view = case.plain();
        let all = |max_length| {
            let options = CycleOptions { max_length, limit: 1_000_000 };
            cycles(&view, &options, &quiet()).unwrap()
        };
        let short = all(4);
        assert!(short.complete);
        assert_eq!(short.cycles.len(), case.cycles_4, "cycles of {i} up to 4");
        if let Some(count) = case.cycles {
            let found = all(u32::MAX);
            assert_eq!(found.cycles.len(), count, "cycles of {i}");
            long += usize::from(count > short.cycles.len());
            for bound in 1..=case.n as u32 {
                let bounded = all(bound).cycles;
                let expected: Vec<_> =
                    found.cycles.iter().filter(|c| c.len() <= bound as usize).collect();
                let mut sorted: Vec<_> = bounded.iter().collect();
                sorted.sort();
                let mut expected_sorted = expected.clone();
                expected_sorted.sort();
                assert_eq!(sorted, expected_sorted, "cycles of {i} up to {bound}");
            }
            let mut unique = found.cycles.clone();
            unique.sort();
            unique.dedup();
            assert_eq!(unique.len(), count);
            for cycle in &found.cycles {
                assert_eq!(cycle.iter().min(), cycle.first());
                for (k, &v) in cycle.iter().enumerate() {
                    assert!(view.edge(v, cycle[(k + 1) % cycle.len()]).is_some());
                }
            }
            if count > 1 {
                let options = CycleOptions { max_length: u32::MAX, limit: count - 1 };
                let cut = cycles(&view, &options, &quiet()).unwrap();
                assert_eq!((cut.cycles.len(), cut.complete), (count - 1, false));
                assert_eq!(cut.cycles[..], found.cycles[..count - 1]);
            }
        }
    }
    assert!(long > 20);
}

/// Every loopless path between two nodes.
fn all_paths(view: &Csr, from: u32, to: u32) -> Vec<Vec<u32>> {
    let mut found = Vec::new();
    let mut stack = vec![vec![from]];
    while let Some(path) = stack.pop() {
        let v = path[path.len() - 1];
        if v == to {
            found.push(path);
            continue;
        }
        for &w in view.consumers(v) {
            if !path.contains(&w) {
                stack.push([path.as_slice(), &[w]].concat());
            }
        }
    }
    found
}

#[test]
fn ranked_paths_are_those_of_networkx_and_brute_force() {
    let mut many = 0;
    for (i, case) in cases().iter().enumerate() {
        let view = case.weighted();
        if let (Some((from, to)), Some(theirs)) = (case.ends, &case.k_shortest) {
            let ours = k_shortest_paths(&view, from, to, 8, &quiet()).unwrap();
            let values: Vec<f64> = ours.iter().map(|p| p.value).collect();
            assert_close(&values, theirs, 1e-9, &format!("shortest paths of {i}"));
        }
        if case.n > 8 {
            continue;
        }
        let weight = |a: u32, b: u32| view.weight(view.edge(a, b).unwrap());
        for (from, to) in (0..case.n as u32).flat_map(|u| (0..case.n as u32).map(move |v| (u, v))) {
            if from == to {
                continue;
            }
            let all = all_paths(&view, from, to);
            let ranked = |value: &dyn Fn(&Vec<u32>) -> f64| {
                let mut values: Vec<f64> = all.iter().map(value).collect();
                values.sort_by(f64::total_cmp);
                values
            };
            let lengths = ranked(&|p| p.windows(2).map(|e| weight(e[0], e[1])).sum());
            let mut widths =
                ranked(&|p| p.windows(2).map(|e| weight(e[0], e[1])).fold(f64::INFINITY, f64::min));
            widths.reverse();
            let k = all.len() + 1;
            let shortest = k_shortest_paths(&view, from, to, k, &quiet()).unwrap();
            let widest = k_widest_paths(&view, from, to, k, &quiet()).unwrap();
            for (ours, theirs) in [(&shortest, &lengths), (&widest, &widths)] {
                let values: Vec<f64> = ours.iter().map(|p| p.value).collect();
                assert_close(&values, theirs, 1e-12, &format!("{from} to {to} of {i}"));
                let mut nodes: Vec<_> = ours.iter().map(|p| p.nodes.clone()).collect();
                nodes.sort();
                let mut expected = all.clone();
                expected.sort();
                assert_eq!(nodes, expected);
            }
            let first = k_widest_paths(&view, from, to, 2, &quiet()).unwrap();
            assert_eq!(first[..], widest[..first.len()]);
            many += usize::from(all.len() > 3);
        }
    }
    assert!(many > 100, "{many}");
}

#[test]
fn groups_are_those_of_networkx_and_brute_force() {
    for (i, case) in cases().iter().enumerate() {
        let Some(group) = &case.group else { continue };
        let view = case.plain();
        let ours = group_centrality(&view, group, Direction::In, &quiet()).unwrap();
        // NetworkX divides all outside nodes, connected or not, by the sum of distances.
        let outside = (case.n - group.len()) as f64;
        let theirs = case.group_closeness.unwrap();
        let as_networkx = if ours.distance > 0.0 { outside / ours.distance } else { 0.0 };
        assert!((as_networkx - theirs).abs() < 1e-9, "closeness of {i}: {as_networkx} {theirs}");
        let mut through = 0.0;
        for (s, t) in view.nodes().flat_map(|s| view.nodes().map(move |t| (s, t))) {
            if s == t || group.contains(&s) || group.contains(&t) || case.n > 9 {
                continue;
            }
            let paths = all_paths(&view, s, t);
            let Some(least) = paths.iter().map(Vec::len).min() else { continue };
            let shortest: Vec<_> = paths.iter().filter(|p| p.len() == least).collect();
            let hit = shortest.iter().filter(|p| p.iter().any(|v| group.contains(v))).count();
            through += hit as f64 / shortest.len() as f64;
        }
        if case.n <= 9 {
            assert!((ours.betweenness - through).abs() < 1e-9, "betweenness of {i}");
        }
        if let [v] = group[..] {
            assert_close(&[ours.betweenness], &[case.betweenness[v as usize]], 1e-9, "one node");
        }
    }
}

/// Modularity of a partition of the undirected projection, from the definition.
fn modularity(n: usize, edges: &[(u32, u32, f64)], community: &[u32]) -> f64 {
    let total: f64 = edges.iter().map(|e| e.2).sum();
    let mut strength = vec![0.0; n];
    let mut inside = 0.0;
    for &(u, v, w) in edges {
        strength[u as usize] += w;
        strength[v as usize] += w;
        if community[u as usize] == community[v as usize] {
            inside += w;
        }
    }
    let mut expected = 0.0;
    for u in 0..n {
        for v in 0..n {
            if community[u] == community[v] {
                expected += strength[u] * strength[v];
            }
        }
    }
    inside / total - expected / (4.0 * total * total)
}

#[test]
fn communities_are_as_good_as_those_of_igraph() {
    let (mut worse, mut all) = (0, 0);
    for (i, case) in cases().iter().enumerate() {
        let Some(theirs) = case.modularity else { continue };
        let view = case.weighted();
        let run = |seed| {
            let options = CommunityOptions { seed, ..Default::default() };
            let found = communities(&view, &options, &quiet()).unwrap();
            assert!(found.converged);
            let own = modularity(case.n, &case.edges, &found.community);
            assert!((own - found.quality).abs() < 1e-9, "quality of {i}: {own} {}", found.quality);
            found
        };
        // The peer's value is the best of ten runs too.
        let runs: Vec<Communities> = (0..10).map(run).collect();
        let best = runs.iter().map(|r| r.quality).fold(f64::MIN, f64::max);
        assert!(best > theirs - 0.02, "{i}: {best} against {theirs}");
        worse += usize::from(best < theirs - 1e-6);
        all += 1;
        let found = &runs[0];
        // Connected inside.
        let both = view.undirected(f64::max);
        for c in 0..found.sizes.len() as u32 {
            let pairs: Vec<(u32, u32)> = both
                .nodes()
                .flat_map(|u| both.consumers(u).iter().map(move |&v| (u, v)))
                .filter(|&(u, v)| {
                    found.community[u as usize] == c && found.community[v as usize] == c
                })
                .collect();
            let start = found.community.iter().position(|&x| x == c).unwrap() as u32;
            let inside = Csr::from_pairs(case.n, &pairs);
            let reached = reach(&inside, &[start], Direction::Out).unwrap().len();
            assert_eq!(reached as u32, found.sizes[c as usize], "{i}: a split community");
        }
    }
    assert!(worse * 50 <= all, "{worse} of {all} worse");
}

#[test]
fn weak_attack_curve_is_that_of_recounting() {
    for (i, case) in cases().iter().enumerate() {
        let view = case.plain();
        for order in [AttackOrder::Degree, AttackOrder::Random { seed: i as u64 }] {
            let points = case.n as u32 + 1;
            let curve = attack_curve(&view, &order, points, &quiet()).unwrap();
            assert_eq!(curve.largest.len(), case.n + 1);
            for lost in 0..=case.n {
                let gone = &curve.order[..lost];
                let pairs: Vec<(u32, u32)> = case
                    .edges
                    .iter()
                    .map(|e| (e.0, e.1))
                    .filter(|e| !gone.contains(&e.0) && !gone.contains(&e.1))
                    .collect();
                let rest = Csr::from_pairs(case.n, &pairs);
                let most = |components: Components| {
                    let mut sizes = vec![0u32; components.count];
                    for v in (0..case.n as u32).filter(|v| !gone.contains(v)) {
                        sizes[components.component[v as usize] as usize] += 1;
                    }
                    sizes.into_iter().max().unwrap_or(0)
                };
                assert_eq!(curve.largest[lost], most(weakly_connected_components(&rest)));
                let strong = most(strongly_connected_components(&rest));
                assert_eq!(curve.strong[lost], (lost as u32, strong));
            }
        }
    }
}

#[test]
fn rustworkx_agrees_where_it_is_right() {
    for case in cases() {
        let view = case.plain();
        let graph = petgraph_of(&view);
        let theirs = rustworkx_core::centrality::betweenness_centrality(&graph, false, false, 1000);
        let theirs: Vec<f64> = theirs.into_iter().map(|x| x.unwrap_or(0.0)).collect();
        let ours = betweenness(&view, &BetweennessOptions::default(), &quiet()).unwrap().scores;
        assert_close(&ours, &theirs, 1e-9, "betweenness");
    }
}

#[test]
fn degree_and_strength_add_up() {
    for case in cases() {
        let view = case.weighted();
        let edges = view.edge_count() as f64;
        for direction in [Direction::In, Direction::Out] {
            assert_eq!(degree(&view, direction, false).scores.iter().sum::<f64>(), edges);
            let shares = strength(&view, direction, true).unwrap().scores;
            if edges > 0.0 {
                assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            }
        }
        let both = degree(&view, Direction::Both, false).scores;
        assert_eq!(both.iter().sum::<f64>(), 2.0 * edges);
    }
}

#[test]
fn collective_influence_follows_its_formula() {
    for case in cases() {
        let view = case.plain();
        for radius in [1, 2] {
            let ours = collective_influence(&view, Direction::Out, radius, &quiet()).unwrap();
            for v in view.nodes() {
                let excess = |u: u32| f64::from(view.out_degree(u)) - 1.0;
                let from = distances(&view, &[v], Direction::Out).unwrap();
                let rim: f64 = view
                    .nodes()
                    .filter(|&u| from[u as usize] == f64::from(radius))
                    .map(|u| excess(u).max(0.0))
                    .sum();
                assert_eq!(ours.scores[v as usize], excess(v).max(0.0) * rim);
            }
        }
    }
}

/// A layered supply graph with hubs and some recycling, ids shuffled.
fn layered(n: u32, edges: usize, seed: u64) -> Vec<(u32, u32)> {
    use rand::{Rng, SeedableRng};
    let mut rng = rand_pcg::Pcg64::seed_from_u64(seed);
    let multiplier = (0..).map(|k| 2 * (k + n / 3) + 1).find(|m| gcd(*m, n) == 1).unwrap();
    let shuffled = |v: u32| (u64::from(v) * u64::from(multiplier) % u64::from(n)) as u32;
    let layer = n / 6;
    (0..edges)
        .map(|_| {
            let tier = if rng.random::<f64>() < 0.04 { 5 } else { rng.random_range(0..5) };
            let next = if tier == 5 { 1 } else { tier + 1 };
            // Squaring a uniform number makes hubs.
            let u = tier * layer + (rng.random::<f64>().powi(3) * f64::from(layer)) as u32;
            let v = next * layer + rng.random_range(0..layer);
            (shuffled(u), shuffled(v))
        })
        .collect()
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[test]
fn approximate_betweenness_keeps_its_promise() {
    let (epsilon, delta) = (0.02, 0.1);
    let (mut broken, mut runs) = (0, 0);
    for graph in 0..4 {
        let view = Csr::from_pairs(600, &layered(600, 2400, graph));
        let exact = BetweennessOptions { normalized: true, ..Default::default() };
        let exact = betweenness(&view, &exact, &quiet()).unwrap().scores;
        for seed in 0..10 {
            let options = ApproximateOptions { epsilon, delta, seed, normalized: true };
            let ours = approximate_betweenness(&view, &options, &quiet()).unwrap();
            let worst = ours
                .scores
                .scores
                .iter()
                .zip(&exact)
                .map(|(a, b)| (a - b).abs())
                .fold(0.0, f64::max);
            assert!(ours.scores.error.unwrap() <= epsilon);
            assert!(ours.samples <= ours.most_samples);
            runs += 1;
            broken += u32::from(worst > ours.scores.error.unwrap());
        }
    }
    // A tenth may break it; a union bound is far on the safe side.
    assert!(broken * 10 <= runs, "{broken} of {runs}");
}

#[test]
fn approximate_betweenness_is_unbiased() {
    // Many samples on small graphs with cycles, several paths and unreachable pairs.
    for (i, case) in cases().iter().enumerate().filter(|(_, c)| c.n > 4).step_by(12) {
        let options =
            ApproximateOptions { epsilon: 0.01, delta: 0.01, seed: i as u64, normalized: false };
        let ours = approximate_betweenness(&case.plain(), &options, &quiet()).unwrap();
        let bound = ours.scores.error.unwrap_or(0.0);
        for (a, b) in ours.scores.scores.iter().zip(&case.betweenness) {
            assert!((a - b).abs() <= bound, "{i}: {a} is not {b}");
        }
    }
}

#[test]
fn threads_do_not_change_a_byte() {
    let pairs = layered(3000, 12_000, 3);
    let edges: Vec<(u32, u32, f64)> = pairs
        .iter()
        .enumerate()
        .map(|(i, &(u, v))| (u, v, 1.0 + (i * 37 % 100) as f64 / 7.0))
        .collect();
    let weighted = Csr::from_edges(3000, &edges);
    let view = weighted.unweighted();
    let sources = Sources::Sampled { count: 200, seed: 3 };
    let sampled = BetweennessOptions { sources, normalized: true };
    let run = || {
        let mut all: Vec<Vec<f64>> = vec![
            betweenness(&view, &sampled, &quiet()).unwrap().scores,
            betweenness(&weighted, &sampled, &quiet()).unwrap().scores,
            edge_betweenness(&view, &sampled, &quiet()).unwrap().scores,
            approximate_betweenness(&view, &ApproximateOptions::default(), &quiet())
                .unwrap()
                .scores
                .scores,
            pagerank(&weighted, &PageRankOptions::default(), &quiet()).unwrap().scores,
            katz(&weighted, &KatzOptions::default(), &quiet()).unwrap().scores,
            domirank(&weighted, &DomiRankOptions::default(), &quiet()).unwrap().scores,
            hits(&weighted, Stop::default(), &quiet()).unwrap().hubs.scores,
            harmonic(&view, &ClosenessOptions::default(), &quiet()).unwrap().scores,
            collective_influence(&view, Direction::Out, 2, &quiet()).unwrap().scores,
        ];
        let group = group_centrality(&view, &[1, 2, 3], Direction::Out, &quiet()).unwrap();
        all.push(vec![group.betweenness]);
        let core = core_numbers(&view, Direction::Both, &quiet()).unwrap();
        all.push(core.into_iter().map(f64::from).collect());
        let found = communities(&weighted, &CommunityOptions::default(), &quiet()).unwrap();
        all.push(found.community.into_iter().map(f64::from).collect());
        all.into_iter()
            .map(|s| s.into_iter().map(f64::to_bits).collect::<Vec<_>>())
            .collect::<Vec<_>>()
    };
    let with = |threads| {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(run)
    };
    let one = with(1);
    assert_eq!(one, with(2));
    assert_eq!(one, with(4));
}

fn parameter<T: std::fmt::Debug>(result: Result<T, StructureError>) -> &'static str {
    match result {
        Err(StructureError::Parameter { name, .. }) => name,
        other => panic!("no parameter error: {other:?}"),
    }
}

#[test]
fn bad_parameters_are_named() {
    let view = Csr::from_edges(3, &[(0, 1, 1.0), (1, 2, 2.0), (2, 0, 1.0)]);
    let plain = view.unweighted();
    for bad in [0.0, 1.0, -0.1, f64::NAN, f64::INFINITY] {
        let options = ApproximateOptions { epsilon: bad, ..Default::default() };
        assert_eq!(parameter(approximate_betweenness(&plain, &options, &quiet())), "epsilon");
        let options = ApproximateOptions { delta: bad, ..Default::default() };
        assert_eq!(parameter(approximate_betweenness(&plain, &options, &quiet())), "delta");
    }
    let options = ApproximateOptions::default();
    assert_eq!(parameter(approximate_betweenness(&view, &options, &quiet())), "weight");
    for bad in [1.0, -0.5, f64::NAN] {
        let options = PageRankOptions { damping: bad, ..Default::default() };
        assert_eq!(parameter(pagerank(&view, &options, &quiet())), "damping");
    }
    for bad in [vec![1.0], vec![0.0; 3], vec![1.0, -1.0, 1.0], vec![f64::NAN, 1.0, 1.0]] {
        let options = PageRankOptions { preference: Some(bad), ..Default::default() };
        assert_eq!(parameter(pagerank(&view, &options, &quiet())), "preference");
    }
    for count in [0, 4] {
        let sources = Sources::Sampled { count, seed: 1 };
        let options = BetweennessOptions { sources, normalized: false };
        assert_eq!(parameter(betweenness(&view, &options, &quiet())), "count");
    }
    let options = BetweennessOptions { sources: Sources::Given(vec![3]), normalized: false };
    assert_eq!(parameter(betweenness(&view, &options, &quiet())), "sources");
    for bad in [0.0, -1.0, f64::INFINITY] {
        let view = Csr::from_edges(2, &[(0, 1, bad)]);
        let lengths = betweenness(&view, &BetweennessOptions::default(), &quiet());
        assert_eq!(parameter(lengths), "a length");
        assert_eq!(parameter(k_shortest_paths(&view, 0, 1, 1, &quiet())), "a length");
        assert_eq!(parameter(harmonic(&view, &ClosenessOptions::default(), &quiet())), "a length");
    }
    let negative = Csr::from_edges(2, &[(0, 1, -1.0)]);
    assert_eq!(parameter(pagerank(&negative, &PageRankOptions::default(), &quiet())), "a weight");
    assert_eq!(parameter(strength(&negative, Direction::Out, false)), "a weight");
    assert_eq!(parameter(k_widest_paths(&negative, 0, 1, 1, &quiet())), "a weight");
    let options = KatzOptions { alpha: Some(5.0), ..Default::default() };
    assert_eq!(parameter(katz(&view, &options, &quiet())), "alpha");
    let options = DomiRankOptions { sigma: Some(50.0), ..Default::default() };
    assert_eq!(parameter(domirank(&view, &options, &quiet())), "sigma");
    assert_eq!(parameter(k_shortest_paths(&view, 0, 0, 1, &quiet())), "to");
    assert_eq!(parameter(k_shortest_paths(&view, 0, 9, 1, &quiet())), "to");
    assert_eq!(parameter(k_shortest_paths(&view, 0, 1, 0, &quiet())), "k");
    assert_eq!(parameter(group_centrality(&view, &[], Direction::Out, &quiet())), "group");
    let order = AttackOrder::Given(vec![1, 1]);
    assert_eq!(parameter(attack_curve(&view, &order, 0, &quiet())), "order");
    let options = CommunityOptions { resolution: 0.0, ..Default::default() };
    assert_eq!(parameter(communities(&view, &options, &quiet())), "resolution");
    assert_eq!(parameter(collective_influence(&view, Direction::Out, 0, &quiet())), "radius");
    let chain = Csr::from_pairs(3, &[(0, 1), (1, 2)]);
    assert!(matches!(
        eigenvector(&chain, Stop::default(), &quiet()),
        Err(StructureError::Undefined { .. })
    ));
}

#[test]
fn tiny_and_empty_graphs_have_answers() {
    let loop_only = Csr::from_pairs(1, &[(0, 0)]);
    for view in
        [Csr::from_pairs(0, &[]), Csr::from_pairs(1, &[]), loop_only, Csr::from_pairs(2, &[])]
    {
        let n = view.node_count();
        let p = quiet();
        let zero = vec![0.0; n];
        for normalized in [false, true] {
            let options = BetweennessOptions { normalized, ..Default::default() };
            assert_eq!(betweenness(&view, &options, &p).unwrap().scores, zero);
            let edges = edge_betweenness(&view, &options, &p).unwrap().scores;
            assert_eq!(edges, vec![0.0; view.edge_count()]);
            let options = ClosenessOptions { normalized, ..Default::default() };
            assert_eq!(closeness(&view, &options, &p).unwrap().scores, zero);
            assert_eq!(harmonic(&view, &options, &p).unwrap().scores, zero);
        }
        let approximate = approximate_betweenness(&view, &ApproximateOptions::default(), &p);
        assert_eq!(approximate.unwrap().scores.scores, zero);
        let rank = pagerank(&view, &PageRankOptions::default(), &p).unwrap().scores;
        assert_close(&rank, &vec![1.0 / n.max(1) as f64; n], 1e-12, "rank");
        assert_eq!(katz(&view, &KatzOptions::default(), &p).unwrap().scores.len(), n);
        assert_eq!(hits(&view, Stop::default(), &p).unwrap().hubs.scores.len(), n);
        assert_eq!(domirank(&view, &DomiRankOptions::default(), &p).unwrap().scores.len(), n);
        assert_eq!(core_numbers(&view, Direction::Both, &p).unwrap(), vec![0; n]);
        assert_eq!(strongly_connected_components(&view).count, n);
        assert_eq!(weakly_connected_components(&view).count, n);
        assert_eq!(tiers(&view).count, n.min(1) as u32);
        assert_eq!(longest_chain(&view, ChainLength::Weights).unwrap().links.len(), n.min(1));
        let found = communities(&view, &CommunityOptions::default(), &p).unwrap();
        assert_eq!(found.sizes, vec![1; n]);
        let curve = attack_curve(&view, &AttackOrder::Degree, 2, &p).unwrap();
        assert_eq!(curve.largest.last(), Some(&0));
        assert_eq!(
            cycles(&view, &CycleOptions::default(), &p).unwrap().cycles.len(),
            view.edge_count()
        );
    }
}

#[test]
fn a_cancelled_analysis_says_so() {
    let view = Csr::from_pairs(600, &layered(600, 2400, 1));
    let progress = quiet();
    progress.cancel();
    let cancelled =
        |error: Option<StructureError>| matches!(error, Some(StructureError::Cancelled(_)));
    assert!(cancelled(betweenness(&view, &Default::default(), &progress).err()));
    assert!(cancelled(approximate_betweenness(&view, &Default::default(), &progress).err()));
    assert!(cancelled(pagerank(&view, &Default::default(), &progress).err()));
    assert!(cancelled(harmonic(&view, &Default::default(), &progress).err()));
    assert!(cancelled(core_numbers(&view, Direction::Out, &progress).err()));
    assert!(cancelled(communities(&view, &Default::default(), &progress).err()));
    assert!(cancelled(cycles(&view, &Default::default(), &progress).err()));
    assert!(cancelled(katz(&view, &Default::default(), &progress).err()));
}

/// A snapshot with two products on one link, an attribute, and three suppliers of one product.
fn snapshot() -> chokepoint::graph::Snapshot {
    use chokepoint::graph::{Snapshot, SnapshotInfo};
    use chokepoint::model::{FlowRecord, NetworkBuilder, NodeRecord};
    let mut builder = NetworkBuilder::new();
    for id in ["ga.CHN", "ga.JPN", "ga.DEU"] {
        let mut node = NodeRecord::new(id);
        node.product = Some("gallium".into());
        builder.add_node(&node, 0).unwrap();
    }
    for id in ["bauxite", "chips", "leds"] {
        builder.add_node(&NodeRecord::new(id), 0).unwrap();
    }
    for (from, to, product, quantity, days) in [
        ("bauxite", "ga.CHN", None, 10.0, 3.0),
        ("bauxite", "ga.JPN", None, 5.0, 5.0),
        ("ga.CHN", "chips", None, 8.0, 30.0),
        ("ga.CHN", "chips", Some("arsenide"), 2.0, 20.0),
        ("ga.CHN", "leds", None, 4.0, 30.0),
        ("ga.JPN", "chips", None, 4.0, 2.0),
        ("ga.DEU", "leds", None, 0.0, 2.0),
    ] {
        let mut flow = FlowRecord::new(from, to, quantity);
        flow.product = product.map(Into::into);
        flow.attributes.insert("days".into(), days.into());
        if to == "leds" {
            flow.attributes.insert("mode".into(), "sea".into());
        }
        builder.add_flow(&flow, 0);
    }
    let network = builder.finish().unwrap();
    Snapshot::build(network, SnapshotInfo::default(), Default::default())
}

#[test]
fn the_view_merges_parallel_flows_and_reads_weights() {
    use chokepoint::graph::{WeightError, Weighting};
    let snapshot = snapshot();
    let index = |id: &str| snapshot.index(id).unwrap();
    let (china, chips) = (index("ga.CHN"), index("chips"));
    let weight = |weighting: Weighting| {
        let view = Csr::from_snapshot(&snapshot, &weighting).unwrap();
        let arrival = view.suppliers(chips).iter().position(|&u| u == china).unwrap();
        let edge = view.edge(china, chips).unwrap();
        assert_eq!(view.source(edge), china);
        let w = view.weight(edge);
        assert_eq!(view.arrival_weight(view.arrivals(chips).start + arrival), w);
        assert_eq!(view.reversed().reversed(), view);
        (w, view.edge_count())
    };
    assert_eq!(weight(Weighting::One), (1.0, 6));
    // The German flow of 0 is left out.
    assert_eq!(weight(Weighting::Quantity), (10.0, 5));
    assert_eq!(weight(Weighting::InverseQuantity), (0.1, 5));
    assert_eq!(weight(Weighting::Strength("days".into())), (50.0, 6));
    assert_eq!(weight(Weighting::Length("days".into())), (20.0, 6));
    let missing = Csr::from_snapshot(&snapshot, &Weighting::Length("mode".into())).unwrap_err();
    assert!(matches!(missing, WeightError::Missing { .. }), "{missing}");
    assert!(missing.to_string().contains("bauxite..ga.CHN"), "{missing}");
    let text = Csr::from_snapshot(&snapshot, &Weighting::Strength("capacity".into()));
    assert!(text.is_ok());
    let absent = Csr::from_snapshot(&snapshot, &Weighting::Length("lead_days".into()));
    assert!(absent.is_err());
}

#[test]
fn the_other_supplier_of_the_same_customers_comes_first() {
    let snapshot = snapshot();
    let node = snapshot.index("ga.CHN").unwrap();
    let similar = similar_suppliers(&snapshot, node, &SimilarityOptions::default()).unwrap();
    let ids: Vec<&str> = similar.iter().map(|s| snapshot.id(s.node)).collect();
    assert_eq!(ids, ["ga.JPN", "ga.DEU"]);
    let japan = &similar[0];
    assert_eq!((japan.consumers, japan.inputs, japan.shared_consumers), (0.5, 1.0, 1));
    // min 4 of gallium to chips; max 8 + 2 + 4.
    assert!((japan.volume - 4.0 / 14.0).abs() < 1e-12);
    assert!(japan.same_product);
    let none = SimilarityOptions { limit: 0, ..Default::default() };
    assert_eq!(parameter(similar_suppliers(&snapshot, node, &none)), "limit");
    assert_eq!(parameter(similar_suppliers(&snapshot, 99, &Default::default())), "node");
}

#[test]
fn many_sources_give_what_few_at_a_time_give() {
    // From 128 sources on 20 000 nodes on, nodes are numbered anew inside.
    let n = 21_000;
    let view = Csr::from_pairs(n as usize, &layered(n, 60_000, 9));
    let from = |sources: Vec<u32>| {
        let options = BetweennessOptions { sources: Sources::Given(sources), normalized: false };
        betweenness(&view, &options, &quiet()).unwrap().scores
    };
    let all: Vec<u32> = (0..150).map(|i| i * 131).collect();
    let at_once = from(all.clone());
    let mut added = vec![0.0; n as usize];
    for few in all.chunks(50) {
        added.iter_mut().zip(from(few.to_vec())).for_each(|(a, b)| *a += b);
    }
    assert!(added.iter().any(|&b| b > 10.0));
    assert_close(&at_once, &added, 1e-9, "many sources");
}

#[test]
fn views_keep_their_edges() {
    for case in cases() {
        let view = case.weighted();
        let order: Vec<u32> = (0..case.n as u32).rev().collect();
        let renumbered = view.renumbered(&order);
        let last = case.n as u32 - 1;
        let both = view.undirected(f64::max);
        assert_eq!(renumbered.edge_count(), view.edge_count());
        for &(u, v, w) in &case.edges {
            let e = renumbered.edge(last - u, last - v).unwrap();
            assert_eq!(renumbered.weight(e), w);
            let back = view.edge(v, u).map_or(w, |e| view.weight(e).max(w));
            for (a, b) in [(u, v), (v, u)] {
                assert_eq!(both.weight(both.edge(a, b).unwrap()), back);
            }
            let arrival = renumbered.arrivals(last - v).find(|&k| {
                renumbered.suppliers(last - v)[k - renumbered.arrivals(last - v).start] == last - u
            });
            assert_eq!(renumbered.arrival_weight(arrival.unwrap()), w);
        }
        assert_eq!(renumbered.renumbered(&order), view);
    }
}
