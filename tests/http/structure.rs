//! Structural questions through the API of the real binary: the worked digraphs exactly, values of
//! NetworkX and igraph on random digraphs, bad input, jobs, permalinks.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::path::Path;

use crate::support::{Reply, Server};
use serde_json::{Value, json};

type Edge = (u32, u32, f64);
type Links = Vec<(u32, u32)>;

struct Api {
    server: Server,
    _dir: tempfile::TempDir,
}

impl Api {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let server = Server::start(&dir.path().join("data"), &["--no-seed"]);
        Self { server, _dir: dir }
    }

    /// Graph `g`: node i is `n` and four digits. A flow's weight is its quantity and its
    /// attribute `distance`.
    fn graph(&self, n: usize, edges: &[Edge], node_capacity: &[f64]) {
        let mut lines = String::new();
        for v in 0..n {
            let capacity = node_capacity.get(v);
            let node = json!({"type": "node", "id": id(v as u32), "capacity": capacity});
            lines.push_str(&format!("{node}\n"));
        }
        for &(u, v, w) in edges {
            let flow = json!({"type": "flow", "from": id(u), "to": id(v), "quantity": w,
                "attributes": {"distance": w}});
            lines.push_str(&format!("{flow}\n"));
        }
        if n == 0 {
            self.server.delete("/v1/graphs/g");
        }
        self.server.put("/v1/graphs/g", &json!({}));
        if n == 0 {
            return;
        }
        let imported = self.server.import("g", "?mode=replace", &lines);
        assert_eq!(imported.status, 200, "{}", imported.text);
    }

    fn post(&self, question: &str, body: Value) -> Reply {
        self.server.post(&format!("/v1/graphs/g/{question}"), &body)
    }

    fn ask(&self, question: &str, body: Value) -> Value {
        let answer = self.post(question, body).ok(200);
        assert_eq!(answer["structural"], true);
        assert_eq!(answer["graph"], "g");
        for field in ["id", "engine", "note", "projection"] {
            assert!(answer[field].is_string(), "{field}: {answer}");
        }
        assert!(answer["version"].is_u64() && answer["elapsed_ms"].is_number(), "{answer}");
        answer
    }

    fn scores(&self, body: Value) -> Vec<f64> {
        let answer = self.ask("centrality", body);
        assert_eq!(answer["converged"], true, "{answer}");
        for text in ["measure", "formula", "normalisation", "weight", "direction_meaning"] {
            assert!(answer[text].as_str().is_some_and(|t| !t.is_empty()), "{text}");
        }
        list(&answer["scores"], |row| row["score"].as_f64().unwrap())
    }

    fn problem(&self, question: &str, body: Value, code: &str, param: &str) -> Value {
        let status = if code == "impossible" { 422 } else { 400 };
        let problem = self.post(question, body.clone()).problem(status, code);
        assert_eq!(problem["param"], param, "{body}: {problem}");
        problem
    }
}

fn id(v: u32) -> String {
    format!("n{v:04}")
}

fn node(v: u32) -> Value {
    json!({"node": id(v)})
}

fn nodes(of: &[u32]) -> Value {
    json!({"node": of.iter().map(|&v| id(v)).collect::<Vec<_>>()})
}

fn number(value: &Value) -> u32 {
    value.as_str().unwrap()[1..].parse().unwrap()
}

fn list<T>(value: &Value, read: impl Fn(&Value) -> T) -> Vec<T> {
    value.as_array().unwrap_or_else(|| panic!("no list: {value}")).iter().map(read).collect()
}

fn numbers(value: &Value) -> Vec<u32> {
    list(value, number)
}

fn flow(value: &Value) -> (u32, u32) {
    let (from, to) = value.as_str().unwrap().split_once("..").unwrap();
    (number(&json!(from)), number(&json!(to)))
}

fn link(value: &Value) -> (u32, u32) {
    (number(&value["from"]), number(&value["to"]))
}

fn sorted<T: Ord>(mut list: Vec<T>) -> Vec<T> {
    list.sort();
    list
}

fn pairs(value: &Value) -> Links {
    serde_json::from_value(value.clone()).unwrap()
}

fn floats(value: &Value) -> Vec<f64> {
    serde_json::from_value(value.clone()).unwrap()
}

fn cut_flows(answer: &Value) -> Vec<Links> {
    sorted(list(&answer["cuts"], |cut| sorted(list(&cut["flows"], flow))))
}

fn cut_nodes(answer: &Value) -> Vec<Vec<u32>> {
    sorted(list(&answer["cuts"], |cut| sorted(numbers(&cut["nodes"]))))
}

fn sets<T: Ord + serde::de::DeserializeOwned>(value: &Value) -> Vec<Vec<T>> {
    let sets: Vec<Vec<T>> = serde_json::from_value(value.clone()).unwrap();
    sorted(sets.into_iter().map(sorted).collect())
}

#[track_caller]
fn close(ours: &[f64], theirs: &Value, what: &str) {
    let theirs = floats(theirs);
    assert_eq!(ours.len(), theirs.len(), "{what}");
    for (v, (a, b)) in ours.iter().zip(&theirs).enumerate() {
        assert!((a - b).abs() <= 1e-7 * (1.0 + b.abs()), "{what}, {v}: {a} is not {b}");
    }
}

fn immediate(answer: &Value) -> Links {
    let rows = answer["nodes"].as_array().unwrap().iter();
    let dominated = rows.filter(|row| row["dominator"].is_string());
    dominated.map(|row| (number(&row["id"]), number(&row["dominator"]))).collect()
}

fn worked_digraph(api: &Api, case: &Value) {
    let name = case["name"].as_str().unwrap();
    let n = case["n"].as_u64().unwrap() as usize;
    let edges: Vec<Edge> = serde_json::from_value(case["edges"].clone()).unwrap();
    api.graph(n, &edges, &floats(&case["node_capacity"]));
    let source = case["source"].as_u64().unwrap() as u32;
    let sink = case["sink"].as_u64().unwrap() as u32;
    let expected = &case["expected"];
    let cut = |more: Value| {
        let mut body = json!({"from": node(source), "to": node(sink), "limit": 100_000});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let question = if more["max_size"].is_u64() { "separators" } else { "cuts" };
        let answer = api.ask(question, body);
        assert_eq!((&answer["complete"], &answer["state"]), (&json!(true), &json!("cuttable")));
        assert_eq!(answer["exactness"]["max_rounding_error"], 0.0);
        answer
    };

    let one = api.ask("cuts", json!({"from": node(source), "to": node(sink)}));
    assert_eq!(one["value"].as_f64(), expected["max_flow_min_edge_cut"].as_f64(), "{name}");
    assert_eq!(one["cuts"][0]["weight"], one["value"], "{name}: the cut weighs what flows");
    let side = |near: &str| numbers(&one[near]["source_side"]);
    let wanted = |key: &str| serde_json::from_value::<Vec<u32>>(expected[key].clone()).unwrap();
    assert_eq!(side("nearest_source"), wanted("source_side_nearest_s"), "{name}");
    assert_eq!(side("nearest_target"), wanted("source_side_nearest_t"), "{name}");
    let all = cut(json!({"list": "all_minimum"}));
    assert_eq!(
        cut_flows(&all),
        sets::<(u32, u32)>(&expected["all_min_edge_cuts"]),
        "{name}: all minimum"
    );

    let cheapest = cut(json!({"list": "cheapest"}));
    let weights = list(&cheapest["cuts"], |c| c["weight"].as_f64().unwrap());
    let count = expected["minimal_edge_cutsets_count"].as_u64().unwrap() as usize;
    assert_eq!(weights.len(), count, "{name}: minimal cuts");
    let twenty = floats(&expected["twenty_cheapest_minimal_edge_cutsets_weights"]);
    assert_eq!(weights[..twenty.len()], twenty, "{name}: cheapest");
    for cheap in expected["five_cheapest_minimal_edge_cutsets"].as_array().unwrap() {
        let edges = sorted(pairs(&cheap["edges"]));
        let cuts = cheapest["cuts"].as_array().unwrap().iter();
        let same = cuts.filter(|c| {
            c["weight"].as_f64() == cheap["weight"].as_f64()
                && sorted(list(&c["flows"], flow)) == edges
        });
        assert_eq!(same.count(), 1, "{name}: {edges:?}");
    }
    // A list that is cut short says so.
    let three = json!({"from": node(source), "to": node(sink), "list": "cheapest", "limit": 1});
    assert_eq!(api.ask("cuts", three)["complete"], json!(count <= 1), "{name}");

    let vertex = &expected["vertex_cut"];
    let fewest = cut(json!({"kind": "vertex", "capacity": "one", "list": "all_minimum"}));
    assert_eq!(fewest["value"].as_f64(), vertex["min_size"].as_f64(), "{name}: fewest nodes");
    assert_eq!(cut_nodes(&fewest), sets::<u32>(&vertex["all_of_min_size"]), "{name}: fewest nodes");
    let toll = "attribute:capacity";
    let lightest = cut(json!({"kind": "vertex", "capacity": toll, "list": "all_minimum"}));
    assert_eq!(lightest["value"].as_f64(), vertex["min_weight"].as_f64(), "{name}: lightest");
    assert_eq!(cut_nodes(&lightest), sets::<u32>(&vertex["all_of_min_weight"]), "{name}: lightest");
    let minimal = cut(json!({"kind": "vertex", "capacity": "one", "list": "cheapest"}));
    let count = vertex["minimal_separators_count"].as_u64().unwrap() as usize;
    assert_eq!(minimal["cuts"].as_array().unwrap().len(), count, "{name}: separators");
    let up_to_3 = cut(json!({"max_size": 3, "capacity": toll}));
    assert_eq!(
        cut_nodes(&up_to_3),
        sets::<u32>(&vertex["minimal_separators_size_le3"]),
        "{name}: <= 3"
    );

    let kinds = json!(["articulation", "bridge", "dominator", "dominator_link"]);
    let body = json!({"from": node(source), "to": node(sink), "kinds": kinds, "list": n});
    let found = api.ask("choke-points", body);
    let of = |kind: &str| {
        let points = found["choke_points"].as_array().unwrap().iter();
        points.filter(|p| p["kind"] == kind).cloned().collect::<Vec<Value>>()
    };
    let points: Vec<u32> = of("articulation").iter().map(|p| number(&p["node"])).collect();
    let wanted_points = wanted("articulation_points_undirected");
    assert_eq!(sorted(points), sorted(wanted_points), "{name}: articulation points");
    let undirected = |(u, v): (u32, u32)| (u.min(v), u.max(v));
    let bridges = of("bridge").iter().map(|p| undirected(link(&p["link"]))).collect();
    let known = pairs(&expected["bridges_undirected"]).into_iter().map(undirected).collect();
    assert_eq!(sorted::<(u32, u32)>(bridges), sorted(known), "{name}: bridges");
    let choke = of("dominator");
    assert!(choke.iter().all(|p| p["cuts_all_targets"] == true), "{name}");
    let inner = choke.iter().map(|p| number(&p["node"])).filter(|&v| v != source).collect();
    assert_eq!(sorted::<u32>(inner), sorted(wanted("st_choke_vertices")), "{name}: choke nodes");
    let links = of("dominator_link").iter().map(|p| link(&p["link"])).collect();
    let known = pairs(&expected["st_choke_edges"]);
    assert_eq!(sorted::<(u32, u32)>(links), sorted(known), "{name}: choke links");

    let tree = |key: &str| {
        let map: BTreeMap<u32, u32> = serde_json::from_value(expected[key].clone()).unwrap();
        map.into_iter().collect::<Links>()
    };
    let forward = api.ask("reachability", json!({"from": node(source)}));
    assert_eq!(immediate(&forward), tree("immediate_dominators_from_source"), "{name}");
    let backward = api.ask("reachability", json!({"direction": "upstream", "to": node(sink)}));
    assert_eq!(immediate(&backward), tree("immediate_postdominators_to_sink"), "{name}");

    let global = api.ask("cuts", json!({"kind": "global"}));
    assert_eq!(global["value"].as_f64(), expected["undirected_global_min_cut"].as_f64(), "{name}");
    assert_eq!(global["projection"], "undirected");
    let tree = api.ask("cut-tree", json!({}));
    let mut up: Vec<(u32, f64)> = vec![(0, 0.0); n];
    for edge in tree["edges"].as_array().unwrap() {
        let weight = edge["weight"].as_f64().unwrap();
        up[number(&edge["id"]) as usize] = (number(&edge["parent"]), weight);
    }
    let chain = |v: u32| {
        let mut chain = vec![v];
        while chain[chain.len() - 1] != 0 {
            chain.push(up[chain[chain.len() - 1] as usize].0);
        }
        chain
    };
    for (pair, value) in expected["undirected_all_pairs_min_cut"].as_object().unwrap() {
        let (a, b) = pair.split_once('-').unwrap();
        let (a, b) = (chain(a.parse().unwrap()), chain(b.parse().unwrap()));
        let way = a.iter().filter(|v| !b.contains(v)).chain(b.iter().filter(|v| !a.contains(v)));
        let least = way.map(|&v| up[v as usize].1).fold(f64::INFINITY, f64::min);
        assert_eq!(Some(least), value.as_f64(), "{name}: pair {pair}");
    }
    let between = json!({"between": [id(source), id(sink)]});
    let (a, b) = (source.min(sink), source.max(sink));
    let pair = &expected["undirected_all_pairs_min_cut"][format!("{a}-{b}")];
    let read = api.ask("cut-tree", between)["between"]["weight"].as_f64();
    assert_eq!(read, pair.as_f64(), "{name}: pair read off");

    let body = json!({"from": nodes(&wanted("source_set")), "to": nodes(&wanted("sink_set"))});
    let value = api.ask("cuts", body)["value"].as_f64();
    assert_eq!(value, expected["set_to_set_min_edge_cut"].as_f64(), "{name}: set to set");
}

#[test]
fn worked_digraphs_are_answered_exactly() {
    let api = Api::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/cutsets");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_string_lossy().starts_with("digraph_") {
            let text = std::fs::read_to_string(path).unwrap();
            worked_digraph(&api, &serde_json::from_str(&text).unwrap());
            count += 1;
        }
    }
    assert!(count >= 3, "{count} worked digraphs");
}

fn unit(mut x: Vec<f64>) -> Vec<f64> {
    let length = x.iter().map(|x| x * x).sum::<f64>().sqrt();
    x.iter_mut().for_each(|x| *x /= length);
    x
}

fn library_values(api: &Api, index: usize, case: &Value) {
    let n = case["n"].as_u64().unwrap() as usize;
    let edges: Vec<Edge> = serde_json::from_value(case["edges"].clone()).unwrap();
    api.graph(n, &edges, &[]);
    let check = |body: Value, key: &str| {
        close(&api.scores(body), &case[key], &format!("graph {index}, {key}"));
    };
    check(json!({"measure": "degree", "normalized": true}), "degree");
    check(json!({"measure": "degree", "normalized": true, "direction": "in"}), "degree_in");
    check(json!({"measure": "strength", "direction": "out"}), "strength_out");
    let rank = json!({"measure": "pagerank", "weight": "quantity", "direction": "in",
        "parameters": {"tolerance": 1e-12}});
    check(rank, "pagerank_in");
    let rank = json!({"measure": "pagerank", "weight": "quantity", "direction": "both",
        "parameters": {"tolerance": 1e-12}});
    check(rank, "pagerank_both");
    let paths = |measure: &str, weight: &str| json!({"measure": measure, "direction": "both", "weight": weight, "normalized": true});
    check(paths("betweenness", "none"), "betweenness_both");
    check(paths("betweenness", "distance"), "betweenness_both_weighted");
    check(paths("closeness", "none"), "closeness_both");
    let out = json!({"measure": "closeness", "direction": "out", "weight": "distance",
        "normalized": true});
    check(out, "closeness_out_weighted");
    let harmonic = json!({"measure": "harmonic", "direction": "both", "weight": "distance"});
    check(harmonic, "harmonic_both_weighted");
    let links = api.ask("centrality", paths("edge_betweenness", "none"));
    let ours: Vec<(u32, u32, f64)> = list(&links["scores"], |row| {
        assert_eq!(
            row["id"],
            format!("{}..{}", row["from"].as_str().unwrap(), row["to"].as_str().unwrap())
        );
        let (u, v) = link(row);
        (u, v, row["score"].as_f64().unwrap())
    });
    let theirs: Vec<(u32, u32, f64)> =
        serde_json::from_value(case["edge_betweenness_both"].clone()).unwrap();
    assert_eq!(ours.len(), theirs.len(), "graph {index}");
    for (a, b) in ours.iter().zip(&theirs) {
        let same = (a.0, a.1) == (b.0, b.1) && (a.2 - b.2).abs() < 1e-7;
        assert!(same, "graph {index}: {a:?} is not {b:?}");
    }
    let stop = json!({"tolerance": 1e-13, "max_iterations": 100_000});
    for (direction, key) in [("out", "eigenvector_weighted"), ("both", "eigenvector_both")] {
        if case[key].is_array() {
            let body = json!({"measure": "eigenvector", "weight": "quantity",
                "direction": direction, "parameters": stop});
            check(body, key);
        }
    }
    if case["authorities_weighted"].is_array() {
        let body = json!({"measure": "hits", "weight": "quantity", "parameters": stop});
        close(&unit(api.scores(body)), &case["authorities_weighted"], "authorities");
    }
    let katz = json!({"measure": "katz", "weight": "quantity",
        "parameters": {"alpha": case["katz_alpha"], "tolerance": 1e-13}});
    check(katz, "katz_weighted");
    let dominance = json!({"measure": "dominance", "weight": "quantity",
        "parameters": {"sigma": case["sigma"], "tolerance": 1e-13, "max_iterations": 100_000}});
    check(dominance, "dominance");
    let influence = json!({"measure": "collective_influence",
        "parameters": {"radius": case["radius"]}});
    check(influence, "influence");

    let group: Vec<u32> = serde_json::from_value(case["group"].clone()).unwrap();
    let of_group = |measure: &str, direction: &str| {
        let body = json!({"measure": measure, "direction": direction,
            "parameters": {"group": nodes(&group)}});
        api.scores(body)
    };
    let single = |key: &str| json!([case[key]]);
    let found = of_group("group_betweenness", "out");
    close(&found, &single("group_betweenness"), "group betweenness");
    close(&of_group("group_degree", "out"), &single("group_degree_out"), "group degree");

    let order: Vec<u32> = serde_json::from_value(case["order"].clone()).unwrap();
    let order: Vec<String> = order.into_iter().map(id).collect();
    let curve = api.ask("attack-curve", json!({"order": "given", "nodes": order}));
    let largest = list(&curve["curve"], |point| point["largest"].clone());
    assert_eq!(json!(largest), case["curve"], "graph {index}: attack");

    let parts = |kind: &str| {
        let answer = api.ask("components", json!({"kind": kind}));
        list(&answer["components"], |part| numbers(&part["nodes"]))
    };
    assert_eq!(json!(parts("strong")), case["strong"], "graph {index}");
    assert_eq!(json!(parts("biconnected")), case["blocks"], "graph {index}");
    let weak: Vec<usize> = parts("weak").iter().map(Vec::len).collect();
    assert_eq!(json!(weak), case["weak"], "graph {index}");

    let (s, t) = serde_json::from_value(case["ends"].clone()).unwrap();
    let flow = api.ask("cuts", json!({"from": node(s), "to": node(t)}));
    assert_eq!(flow["value"].as_f64(), case["max_flow"].as_f64(), "graph {index}");
    if case["all_minimum_cuts"].is_array() {
        let body = json!({"from": node(s), "to": node(t), "list": "all_minimum",
            "limit": 100_000});
        let wanted: Vec<Links> = sets(&case["all_minimum_cuts"]);
        assert_eq!(cut_flows(&api.ask("cuts", body)), wanted, "graph {index}");
        let paths = format!("/v1/graphs/g/paths?from={}&to={}&k=6&weight=distance", id(s), id(t));
        let paths = api.server.get(&paths).ok(200);
        let lengths = list(&paths["paths"], |p| p["value"].as_f64().unwrap());
        close(&lengths, &case["k_shortest"], "k shortest");
    } else {
        assert_eq!(flow["state"], "already_disconnected");
        assert_eq!(flow["cuts"], json!([{"weight": 0.0, "size": 0, "flows": []}]));
    }
    let vertex = json!({"from": node(s), "to": node(t), "kind": "vertex", "capacity": "one"});
    let vertex = api.ask("cuts", vertex);
    match case["fewest_nodes"].as_f64() {
        Some(fewest) => assert_eq!(vertex["value"].as_f64(), Some(fewest), "graph {index}"),
        None if case["all_minimum_cuts"].is_array() => {
            assert_eq!((&vertex["state"], &vertex["value"]), (&json!("adjacent"), &Value::Null));
            let adjacent = list(&vertex["adjacent"], link);
            assert_eq!(adjacent, [(s, t)], "graph {index}");
        }
        None => assert_eq!(vertex["state"], "already_disconnected"),
    }
    let forward = api.ask("reachability", json!({"from": node(s)}));
    assert_eq!(immediate(&forward), pairs(&case["dominators"]), "graph {index}");
    let backward = api.ask("reachability", json!({"direction": "upstream", "to": node(t)}));
    assert_eq!(immediate(&backward), pairs(&case["post_dominators"]), "graph {index}");
}

#[test]
fn values_are_those_of_networkx_and_igraph() {
    let api = Api::new();
    let cases: Vec<Value> =
        serde_json::from_str(include_str!("../fixtures/structure.json")).unwrap();
    assert!(cases.len() >= 60);
    for (index, case) in cases.iter().enumerate() {
        library_values(&api, index, case);
    }
}

#[test]
fn directed_values_are_those_of_networkx_and_igraph() {
    let api = Api::new();
    let cases: Vec<Value> =
        serde_json::from_str(include_str!("../fixtures/centrality.json")).unwrap();
    for (index, case) in cases.iter().enumerate().step_by(6) {
        let n = case["n"].as_u64().unwrap() as usize;
        let edges: Vec<Edge> = serde_json::from_value(case["edges"].clone()).unwrap();
        api.graph(n, &edges, &[]);
        let check = |body: Value, key: &str| {
            close(&api.scores(body), &case[key], &format!("graph {index}, {key}"));
        };
        let exact = json!({"tolerance": 1e-12});
        check(json!({"measure": "pagerank", "parameters": exact}), "pagerank");
        let weighted = json!({"measure": "pagerank", "weight": "quantity", "parameters": exact});
        check(weighted, "pagerank_weighted");
        let preference = floats(&case["preference"]);
        let preference: BTreeMap<String, f64> =
            preference.iter().enumerate().map(|(v, p)| (id(v as u32), *p)).collect();
        let personal = json!({"measure": "personalized_pagerank",
            "parameters": {"personalization": preference, "tolerance": 1e-12}});
        check(personal, "pagerank_personalized");
        check(json!({"measure": "betweenness"}), "betweenness");
        check(json!({"measure": "betweenness", "normalized": true}), "betweenness_normalized");
        check(json!({"measure": "betweenness", "weight": "distance"}), "betweenness_weighted");
        check(json!({"measure": "edge_betweenness"}), "edge_betweenness");
        let weighted = json!({"measure": "edge_betweenness", "weight": "distance"});
        check(weighted, "edge_betweenness_weighted");
        check(json!({"measure": "closeness", "direction": "in"}), "closeness");
        check(json!({"measure": "closeness", "normalized": true}), "closeness_wf");
        let weighted = json!({"measure": "closeness", "normalized": true, "weight": "distance"});
        check(weighted, "closeness_weighted");
        check(json!({"measure": "closeness", "direction": "out"}), "closeness_out");
        check(json!({"measure": "harmonic"}), "harmonic");
        check(json!({"measure": "harmonic", "weight": "distance"}), "harmonic_weighted");
        check(json!({"measure": "harmonic", "direction": "out"}), "harmonic_out");
        check(json!({"measure": "core"}), "core");
        check(json!({"measure": "core", "direction": "in"}), "core_in");
        check(json!({"measure": "core", "direction": "out"}), "core_out");
        let katz = json!({"measure": "katz", "normalized": true,
            "parameters": {"alpha": 0.03, "tolerance": 1e-13}});
        check(katz, "katz");
        let tiers = api.ask("tiers", json!({}));
        assert_eq!(json!(list(&tiers["nodes"], |row| row["tier"].clone())), case["tier"]);
        let chain = api.ask("longest-chain", json!({}));
        assert_eq!(chain["length"].as_f64(), case["longest"].as_f64());
        let cycles = api.ask("cycles", json!({"max_length": 4, "limit": 100_000}));
        assert_eq!(cycles["complete"], true);
        assert_eq!(cycles["count"], case["cycles_4"], "graph {index}");
    }
}

/// Two mines, a refiner that all ore passes, two components, one product; a loop between the
/// component makers; a by-product beside the main flow.
fn supply(api: &Api) {
    api.server.put("/v1/graphs/g", &json!({}));
    let lines = [
        json!({"type": "node", "id": "mine.A", "stage": "mine", "product": "ore", "country": "CHL"}),
        json!({"type": "node", "id": "mine.B", "stage": "mine", "product": "ore", "country": "PER"}),
        json!({"type": "node", "id": "refine.A", "stage": "refine", "product": "metal", "country": "CHN"}),
        json!({"type": "node", "id": "part.A", "stage": "component", "product": "part", "country": "JPN"}),
        json!({"type": "node", "id": "part.B", "stage": "component", "product": "part", "country": "DEU"}),
        json!({"type": "node", "id": "good.A", "stage": "industry", "product": "good", "country": "USA", "output": 100}),
        json!({"type": "flow", "from": "mine.A", "to": "refine.A", "quantity": 6}),
        json!({"type": "flow", "from": "mine.B", "to": "refine.A", "quantity": 4}),
        json!({"type": "flow", "from": "refine.A", "to": "part.A", "quantity": 5}),
        json!({"type": "flow", "from": "refine.A", "to": "part.B", "quantity": 5}),
        json!({"type": "flow", "from": "refine.A", "to": "part.B", "product": "slag", "quantity": 1}),
        json!({"type": "flow", "from": "part.A", "to": "good.A", "quantity": 5}),
        json!({"type": "flow", "from": "part.B", "to": "good.A", "quantity": 5}),
        json!({"type": "flow", "from": "part.B", "to": "part.B", "product": "scrap", "quantity": 2}),
        json!({"type": "flow", "from": "mine.A", "to": "good.A", "quantity": 0}),
        json!({"type": "requirement", "output": "part", "input": "slag", "rule": "none"}),
        json!({"type": "requirement", "output": "part", "input": "scrap", "rule": "none"}),
    ];
    let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
    let imported = api.server.import("g", "?mode=replace", &lines.join("\n"));
    assert_eq!(imported.status, 200, "{}", imported.text);
}

#[test]
fn single_points_of_failure_lose_what_knock_outs_say() {
    let api = Api::new();
    supply(&api);
    let to = json!({"product": "good"});
    let found = api.ask("choke-points", json!({"to": to, "loss_at_least": 0.3}));
    let knocked = json!({"units": {"each": "node"}, "targets": [{"name": "t", "select": to}]});
    let knocked = api.server.post("/v1/graphs/g/knock-outs", &knocked).ok(200);
    let loss: BTreeMap<String, f64> = list(&knocked["results"], |row| {
        (row["unit"].as_str().unwrap().to_owned(), row["loss"]["t"].as_f64().unwrap())
    })
    .into_iter()
    .collect();
    let points = found["choke_points"].as_array().unwrap();
    let single: Vec<&Value> =
        points.iter().filter(|p| p["kind"] == "single_point_of_failure").collect();
    let mut wanted: Vec<(&String, f64)> =
        loss.iter().filter(|(v, l)| **l >= 0.3 && *v != "good.A").map(|(v, l)| (v, *l)).collect();
    wanted.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(b.0)));
    let names: Vec<&str> = single.iter().map(|p| p["node"].as_str().unwrap()).collect();
    assert_eq!(names, wanted.iter().map(|w| w.0.as_str()).collect::<Vec<_>>());
    assert_eq!(names[0], "refine.A");
    assert_eq!(single[0]["separates"], json!(["good.A", "part.A", "part.B"]));
    // The same loss stands beside structural choke points.
    for point in points.iter().filter(|p| p["node"].is_string()) {
        let own = point["loss"].as_f64().unwrap();
        assert!((own - loss[point["node"].as_str().unwrap()]).abs() < 1e-12, "{point}");
    }
    // Without the only refiner nothing is reached but over the flow of 0, which is a path.
    let dominator = points.iter().find(|p| p["kind"] == "dominator");
    assert!(dominator.is_none(), "{dominator:?}");
    assert_eq!(found["production"]["targets"], 1);

    // Final consumers are the targets unless some are named.
    let plain = api.ask("choke-points", json!({"kinds": ["single_point_of_failure"]}));
    assert_eq!(plain["choke_points"][0]["node"], "refine.A");
    assert_eq!(plain["choke_points"][0]["loss"], 1.0);
}

#[test]
fn parallel_flows_self_loops_and_flows_of_zero_count_as_said() {
    let api = Api::new();
    supply(&api);
    let score = |body: Value, id: &str| {
        let answer = api.ask("centrality", body);
        let rows = answer["scores"].as_array().unwrap().iter();
        rows.clone().find(|row| row["id"] == id).map_or(Value::Null, |row| row["score"].clone())
    };
    // Two products between the same nodes are one link and add up.
    assert_eq!(score(json!({"measure": "degree", "direction": "out"}), "refine.A"), 2.0);
    assert_eq!(score(json!({"measure": "strength", "direction": "out"}), "refine.A"), 11.0);
    // A self-loop counts on both sides, a flow of 0 is a link without strength.
    assert_eq!(score(json!({"measure": "degree"}), "part.B"), 4.0);
    assert_eq!(score(json!({"measure": "degree", "direction": "in"}), "good.A"), 3.0);
    assert_eq!(score(json!({"measure": "strength", "direction": "in"}), "good.A"), 10.0);
    // Only listed nodes, by score.
    let top = json!({"measure": "strength", "direction": "out", "top": 2});
    let top = api.ask("centrality", top);
    let ids = list(&top["scores"], |row| row["id"].clone());
    assert_eq!(ids, [json!("refine.A"), json!("part.B")]);
    let some = json!({"measure": "closeness", "select": {"stage": "component"}});
    let some = api.ask("centrality", some);
    assert_eq!(list(&some["scores"], |row| row["id"].clone()), [json!("part.A"), json!("part.B")]);

    // Both flows of a link are cut; nothing passes a flow of 0, and that is said.
    let cut = api.ask("cuts", json!({"from": {"stage": "refine"}, "to": {"node": "part.B"}}));
    let flows = json!(["refine.A..part.B", "refine.A..part.B..slag"]);
    assert_eq!((&cut["value"], &cut["cuts"][0]["flows"]), (&json!(6.0), &flows));
    let cut = api.ask("cuts", json!({"from": {"stage": "mine"}, "to": {"stage": "industry"}}));
    assert_eq!(cut["value"], 10.0);
    assert_eq!(cut["exactness"]["left_out"], json!(["mine.A..good.A"]));
    let overlap = json!({"from": {"stage": ["mine", "refine"]}, "to": {"stage": ["refine"]}});
    let overlap = api.ask("cuts", overlap);
    assert_eq!((&overlap["state"], &overlap["value"]), (&json!("overlapping"), &Value::Null));
    assert_eq!((&overlap["overlap"], &overlap["cuts"]), (&json!(["refine.A"]), &json!([])));

    let cycles = api.ask("cycles", json!({}));
    assert_eq!(cycles["cycles"], json!([{"length": 1, "nodes": ["part.B"], "quantity": 2.0}]));
    let widest =
        json!({"from": {"stage": "mine"}, "to": {"stage": "industry"}, "kind": "widest", "k": 2});
    let widest = api.ask("paths", widest);
    assert_eq!(list(&widest["paths"], |p| p["value"].clone()), [json!(5.0), json!(5.0)]);
    assert_eq!(widest["complete"], false);
    let shortest = json!({"from": {"stage": "mine"}, "to": {"stage": "industry"}, "k": 1});
    assert_eq!(api.ask("paths", shortest)["paths"][0]["nodes"], json!(["mine.A", "good.A"]));
    let similar = api.server.get("/v1/graphs/g/similar?node=part.A&same_product=true").ok(200);
    assert_eq!(similar["results"][0]["id"], "part.B");
    let communities = api.ask("communities", json!({"weight": "quantity"}));
    let sizes = list(&communities["communities"], |c| c["size"].as_u64().unwrap());
    assert_eq!(sizes.iter().sum::<u64>(), 6);
}

#[test]
fn estimates_keep_their_promise_and_threads_change_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let start = |threads: &str| {
        Server::start(&dir.path().join(threads), &["--set", &format!("cpu_threads={threads}")])
    };
    let (one, two) = (start("1"), start("2"));
    let body = |more: Value| {
        let mut body = json!({"measure": "betweenness", "normalized": true});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let path = "/v1/graphs/critical-minerals/centrality";
    let exact = one.post(path, &body(json!({}))).ok(200);
    let approximate = body(json!({"approximate": {"epsilon": 0.01, "delta": 0.1, "seed": 3}}));
    let found = one.post(path, &approximate).ok(200);
    let bound = found["error"].as_f64().unwrap();
    assert!(bound <= 0.01 && found["approximation"]["samples"].as_u64().unwrap() > 100);
    let scores = |answer: &Value| list(&answer["scores"], |row| row["score"].as_f64().unwrap());
    for (a, b) in scores(&found).iter().zip(scores(&exact)) {
        assert!((a - b).abs() <= bound, "{a} is not {b}");
    }
    let questions = [
        ("centrality", body(json!({}))),
        ("centrality", approximate),
        ("centrality", json!({"measure": "pagerank", "weight": "quantity"})),
        ("choke-points", json!({"to": {"product": "semiconductors", "stage": "industry"}})),
        ("cuts", json!({"from": {"stage": "mine"}, "to": {"stage": "industry"}})),
        ("communities", json!({"weight": "quantity"})),
        ("attack-curve", json!({"order": "random", "strong_points": 5, "points": 20})),
    ];
    for (question, body) in questions {
        let path = format!("/v1/graphs/critical-minerals/{question}");
        let (mut a, mut b) = (one.post(&path, &body).ok(200), two.post(&path, &body).ok(200));
        a["elapsed_ms"].take();
        b["elapsed_ms"].take();
        assert_eq!(a, b, "{question}");
    }
}

#[test]
fn answers_are_kept_and_come_back_the_same_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let server = Server::start(&data, &[]);
    let g = "/v1/graphs/critical-minerals";
    let questions = [
        ("centrality", json!({"measure": "harmonic", "weight": "distance", "top": 5})),
        ("choke-points", json!({"kinds": ["articulation", "bridge"]})),
        ("cut-tree", json!({"capacity": "one"})),
        ("tiers", json!({})),
    ];
    let mut kept = Vec::new();
    for (question, body) in &questions {
        let first = server.post(&format!("{g}/{question}"), body);
        let place = first.header("content-location").to_owned();
        assert!(place.starts_with("/v1/structure/"), "{place}");
        let again = server.get(&place);
        assert_eq!(again.text, first.text);
        assert!(again.header("cache-control").contains("immutable"));
        assert_eq!(server.post(&format!("{g}/{question}"), body).text, first.text);
        kept.push((place, first.text));
    }
    // A job: estimate, progress, result.
    let body = json!({"measure": "betweenness", "top": 3}).to_string();
    let wish = [("content-type", "application/json"), ("prefer", "respond-async")];
    let job = server.send("POST", &format!("{g}/centrality"), &wish, body.as_bytes());
    assert_eq!(job.status, 202, "{}", job.text);
    let done = server.end_of_job(&job.json());
    assert_eq!(done["state"], "succeeded", "{done}");
    assert_eq!(done["kind"], "centrality");
    assert!(done["estimate"]["bytes"].as_u64().unwrap() > 0);
    let result = done["result"].as_str().unwrap();
    let answer = server.get(result);
    assert_eq!(answer.json()["scores"].as_array().unwrap().len(), 3);
    kept.push((result.to_owned(), answer.text));

    let estimate = server.post(&format!("{g}/cut-tree?estimate=true"), &json!({})).ok(200);
    assert_eq!(estimate["known"], false);
    assert!(estimate["estimate"]["seconds"].as_f64().unwrap() > 0.0);

    assert_eq!(server.terminate(), Some(0));
    let server = Server::start(&data, &[]);
    for (place, text) in kept {
        assert_eq!(server.get(&place).text, text, "{place}");
    }
    server.get("/v1/structure/cen_none").problem(404, "not_found");
}

#[test]
fn empty_graphs_and_single_nodes_have_answers() {
    let api = Api::new();
    let measures = [
        "degree",
        "strength",
        "pagerank",
        "katz",
        "hits",
        "closeness",
        "harmonic",
        "betweenness",
        "edge_betweenness",
        "core",
        "dominance",
        "collective_influence",
    ];
    for (n, edges) in [(0, vec![]), (1, vec![]), (1, vec![(0, 0, 1.0)])] {
        api.graph(n, &edges, &[]);
        for measure in measures {
            for direction in ["in", "out", "both"] {
                let body = json!({"measure": measure, "direction": direction, "normalized": true});
                let answer = api.ask("centrality", body);
                let expected = if measure == "edge_betweenness" { edges.len() } else { n };
                let rows = answer["scores"].as_array().unwrap();
                assert_eq!(rows.len(), expected, "{measure}");
                assert!(rows.iter().all(|row| row["score"].is_number()), "{measure}: {answer}");
            }
        }
        let approximate = json!({"measure": "betweenness", "approximate": {}});
        assert_eq!(api.scores(approximate).len(), n);
        for question in
            ["cut-tree", "longest-chain", "tiers", "components", "communities", "cycles"]
        {
            api.ask(question, json!({}));
        }
        let curve = api.ask("attack-curve", json!({"strong_points": 2}));
        assert_eq!(curve["curve"].as_array().unwrap().len(), n + 1);
        api.ask("cuts", json!({"kind": "global"}));
    }
    // A node that supplies itself alone has no consumer: it is source and target at once.
    api.ask("choke-points", json!({}));
    api.ask("reachability", json!({}));
    // Where all supply each other there are no sources; the answer says what to do.
    api.graph(2, &[(0, 1, 1.0), (1, 0, 1.0)], &[]);
    api.problem("choke-points", json!({}), "impossible", "from");
    api.problem("reachability", json!({}), "impossible", "from");
    let kinds = json!({"kinds": ["single_point_of_failure"]});
    api.problem("choke-points", kinds, "impossible", "to");
    api.ask("choke-points", json!({"kinds": ["strong_articulation", "strong_bridge"]}));
}

#[test]
fn every_bad_question_says_what_is_wrong() {
    let api = Api::new();
    supply(&api);
    let centrality = |more: Value| {
        let mut body = json!({"measure": "betweenness"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let bad = api.post("centrality", json!({"measure": "betwenness"})).problem(400, "invalid_body");
    assert_eq!(bad["hint"], "did you mean betweenness?");
    api.problem("centrality", centrality(json!({"wait": 1})), "invalid_body", "wait");
    api.problem("centrality", json!({}), "invalid_body", "measure");
    let unknown = centrality(json!({"parameters": {"dampin": 0.5}}));
    api.problem("centrality", unknown, "invalid_body", "parameters.dampin");
    for (epsilon, delta, param) in [
        (0.0, 0.1, "epsilon"),
        (1.0, 0.1, "epsilon"),
        (-1.0, 0.1, "epsilon"),
        (0.1, 0.0, "delta"),
        (0.1, 2.0, "delta"),
    ] {
        let body = centrality(json!({"approximate": {"epsilon": epsilon, "delta": delta}}));
        api.problem("centrality", body, "impossible", param);
    }
    let weighted = centrality(json!({"approximate": {}, "weight": "distance"}));
    api.problem("centrality", weighted, "impossible", "weight");
    for (body, param) in [
        (json!({"measure": "degree", "approximate": {}}), "approximate"),
        (json!({"measure": "degree", "weight": "quantity"}), "weight"),
        (json!({"measure": "pagerank", "weight": "distance"}), "weight"),
        (json!({"measure": "pagerank", "weight": "price"}), "weight"),
        (json!({"measure": "pagerank", "weight": "attribute:price"}), "weight"),
        (json!({"measure": "pagerank", "parameters": {"damping": 1.0}}), "damping"),
        (json!({"measure": "pagerank", "parameters": {"tolerance": 0}}), "tolerance"),
        (json!({"measure": "pagerank", "parameters": {"alpha": 0.1}}), "parameters.alpha"),
        (json!({"measure": "personalized_pagerank"}), "parameters"),
        (
            json!({"measure": "personalized_pagerank", "parameters": {"personalization": {"mine.C": 1}}}),
            "parameters.personalization",
        ),
        (
            json!({"measure": "personalized_pagerank", "parameters": {"personalization": {"mine.A": -1}}}),
            "preference",
        ),
        (json!({"measure": "katz", "parameters": {"alpha": 9}}), "alpha"),
        (json!({"measure": "katz", "parameters": {"alpha": -1}}), "alpha"),
        (json!({"measure": "betweenness", "parameters": {"samples": 7}}), "parameters.samples"),
        (
            json!({"measure": "betweenness", "parameters": {"samples": 1}, "approximate": {}}),
            "parameters",
        ),
        (json!({"measure": "betweenness", "top": 0}), "top"),
        (json!({"measure": "collective_influence", "parameters": {"radius": 0}}), "radius"),
        (json!({"measure": "group_closeness"}), "parameters.group"),
        (json!({"measure": "closeness", "select": {"stage": "refin"}}), "select"),
    ] {
        api.problem("centrality", body, "impossible", param);
    }
    // A length of 0 and a flow without the attribute are named.
    api.graph(2, &[(0, 1, 0.0)], &[]);
    let zero = api.post("centrality", centrality(json!({"weight": "distance"})));
    let zero = zero.problem(422, "impossible");
    assert!(zero["detail"].as_str().unwrap().contains("n0000..n0001"), "{zero}");
    let negative = r#"{"type":"node","id":"a"}
{"type":"node","id":"b"}
{"type":"flow","from":"a","to":"b","quantity":1,"attributes":{"distance":-1}}"#;
    assert_eq!(api.server.import("g", "?mode=replace", negative).status, 200);
    let negative = api.post("centrality", centrality(json!({"weight": "distance"})));
    let negative = negative.problem(422, "impossible");
    assert!(negative["detail"].as_str().unwrap().contains("a..b"), "{negative}");
    supply(&api);

    let refine = json!({"stage": "refine"});
    let goods = json!({"stage": "industry"});
    let nothing = json!({"country": "FRA"});
    for question in ["cuts", "separators"] {
        api.problem(question, json!({"to": goods}), "impossible", "from");
        api.problem(question, json!({"from": refine}), "impossible", "to");
        let none = json!({"from": nothing, "to": goods});
        assert!(api.problem(question, none, "impossible", "from")["hint"].is_string());
        let limit = json!({"from": refine, "to": goods, "limit": 0});
        api.problem(question, limit, "impossible", "limit");
        let toll = json!({"from": refine, "to": goods, "capacity": "attribute:toll"});
        let toll = api.problem(question, toll, "impossible", "capacity");
        assert!(toll["detail"].as_str().unwrap().contains("toll"));
        let cost = json!({"from": refine, "to": goods, "capacity": "cost"});
        api.problem(question, cost, "impossible", "capacity");
    }
    api.problem("cuts", json!({"kind": "global", "from": refine}), "impossible", "from");
    api.problem("cuts", json!({"kind": "global", "list": "cheapest"}), "impossible", "list");
    api.problem("cuts", json!({"kind": "edges"}), "invalid_body", "kind");
    let size = json!({"from": refine, "to": goods, "max_size": 0});
    api.problem("separators", size, "impossible", "max_size");
    api.problem("cut-tree", json!({"between": ["mine.A", "mine.C"]}), "impossible", "between");
    api.problem("cut-tree", json!({"between": ["mine.A", "mine.A"]}), "impossible", "between");
    api.problem("choke-points", json!({"from": nothing}), "impossible", "from");
    api.problem("choke-points", json!({"to": nothing}), "impossible", "to");
    let post = json!({"kinds": ["post_dominator"]});
    api.problem("choke-points", post, "impossible", "to");
    let loss = json!({"loss_at_least": 0});
    api.problem("choke-points", loss, "impossible", "loss_at_least");
    api.problem("reachability", json!({"top": 0}), "impossible", "top");
    api.problem("tiers", json!({"tiers": [9]}), "impossible", "tiers");
    api.problem("communities", json!({"resolution": 0}), "impossible", "resolution");
    api.problem("communities", json!({"weight": "distance"}), "impossible", "weight");
    api.problem("cycles", json!({"limit": 0}), "impossible", "limit");
    api.problem("cycles", json!({"max_length": 0}), "impossible", "max_length");
    let same = json!({"from": refine, "to": refine});
    api.problem("paths", same, "impossible", "to");
    api.problem("paths", json!({"from": refine, "to": goods, "k": 0}), "impossible", "k");
    api.problem("paths", json!({"from": refine}), "invalid_body", "to");
    let widest = json!({"from": refine, "to": goods, "kind": "widest", "weight": "distance"});
    api.problem("paths", widest, "impossible", "weight");
    api.problem("attack-curve", json!({"order": "given"}), "impossible", "nodes");
    let twice = json!({"order": "given", "nodes": ["mine.A", "mine.A"]});
    api.problem("attack-curve", twice, "impossible", "nodes[1]");
    let absent = json!({"order": "given", "nodes": ["mine.C"]});
    api.problem("attack-curve", absent, "impossible", "nodes[0]");
    api.problem("attack-curve", json!({"order": "centrality"}), "impossible", "centrality");
    api.problem("attack-curve", json!({"points": 1}), "impossible", "points");

    let get = |path: &str| api.server.get(&format!("/v1/graphs/g/{path}"));
    get("paths?from=mine.A&to=good.C").problem(404, "not_found");
    get("paths?from=mine.A").problem(400, "invalid_parameter");
    get("paths?from=mine.A&to=good.A&k=0").problem(400, "invalid_parameter");
    get("paths?from=mine.A&to=good.A&kind=long").problem(400, "invalid_parameter");
    get("paths?from=mine.A&to=mine.A").problem(422, "impossible");
    get("similar?node=mine.C").problem(404, "not_found");
    get("similar?node=mine.A&limit=0").problem(400, "invalid_parameter");
    api.server.post("/v1/graphs/none/centrality", &centrality(json!({}))).problem(404, "not_found");
    let version = centrality(json!({"at": 999}));
    api.server.post("/v1/graphs/g/centrality", &version).problem(404, "not_found");
    let query = "/v1/graphs/g/centrality?estimat=true";
    api.server.post(query, &centrality(json!({}))).problem(400, "invalid_parameter");
}

#[test]
fn an_answer_can_be_had_as_a_table() {
    let api = Api::new();
    supply(&api);
    let scores = api.ask("centrality", json!({"measure": "degree", "top": 3}));
    let id = scores["id"].as_str().unwrap();
    let table = api.server.get(&format!("/v1/structure/{id}/table.csv"));
    assert_eq!((table.status, table.header("content-type")), (200, "text/csv; charset=utf-8"));
    let mut lines = table.text.lines();
    assert_eq!(lines.next(), Some("id,score"));
    let row = |row: &Value| format!("{},{}", row["id"].as_str().unwrap(), row["score"]);
    let expected: Vec<String> = scores["scores"].as_array().unwrap().iter().map(row).collect();
    assert_eq!(lines.map(str::to_owned).collect::<Vec<_>>(), expected);
    api.server.get("/v1/structure/cen_0/table.csv").problem(404, "not_found");
}

#[test]
fn defaults_give_sober_numbers_whatever_the_units() {
    let api = Api::new();
    // A chain without cycles, where every eigenvalue is 0 and large quantities would multiply.
    api.graph(5, &[(0, 1, 1e6), (1, 2, 3e7), (2, 3, 2e8), (3, 4, 4e6)], &[]);
    for (measure, most) in [("katz", 2.0), ("dominance", 1.0)] {
        let body = json!({"measure": measure, "weight": "quantity", "normalized": false});
        for row in api.ask("centrality", body)["scores"].as_array().unwrap() {
            assert!(row["score"].as_f64().unwrap().abs() <= most, "{measure}: {row}");
        }
    }
}
