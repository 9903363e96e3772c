//! Worked cases of cut sets: every answer that the case files state.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a failed step fails the test")]

use std::path::{Path, PathBuf};
use std::time::Instant;

use chokepoint::analysis::Progress;
use chokepoint::analysis::cut_sets::cheapest::cheapest_cuts;
use chokepoint::analysis::cut_sets::levels::Levels;
use chokepoint::analysis::cut_sets::problem::{Group, Offer, Problem, Response, Unit};
use chokepoint::analysis::cut_sets::worst_case::worst_case;
use chokepoint::analysis::cut_sets::{
    AtLeast, Budget, FailureGraph, Family, Gate, LossOracle, Order, Semantics, Status, bounded,
    protection,
};
use chokepoint::analysis::impact::rationing::Ration;
use num_bigint::BigUint;
use rustc_hash::FxHashMap;
use serde_json::Value;
use sha2::{Digest, Sha256};

fn read(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn cases(directory: &Path, prefix: &str) -> Vec<(String, Value)> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with(prefix))
        .collect();
    files.sort();
    files.into_iter().map(|p| (p.file_stem().unwrap().to_str().unwrap().into(), read(&p))).collect()
}

/// Benchmarks that are not kept in the project.
fn outside_cases(prefix: &str) -> Vec<(String, Value)> {
    match std::env::var_os("CHOKEPOINT_CUTSET_CASES") {
        Some(directory) => cases(Path::new(&directory), prefix),
        None => {
            println!("skipped: CHOKEPOINT_CUTSET_CASES names no directory of {prefix}*.json");
            Vec::new()
        }
    }
}

fn fraction(value: &Value) -> f64 {
    let text = value.as_str().unwrap();
    match text.split_once('/') {
        Some((a, b)) => a.parse::<f64>().unwrap() / b.parse::<f64>().unwrap(),
        None => text.parse().unwrap(),
    }
}

fn near(got: f64, want: f64, relative: f64, what: &str) {
    let allowed = (relative * want.abs()).max(1e-17);
    assert!((got - want).abs() <= allowed, "{what}: {got}, not {want}");
}

/// A supply graph; unit names in order.
fn supply(case: &Value, target: &str, semantics: Semantics) -> (Problem, Vec<String>) {
    let nodes = case["graph"]["nodes"].as_array().unwrap();
    let index: FxHashMap<&str, u32> =
        nodes.iter().enumerate().map(|(i, n)| (n["id"].as_str().unwrap(), i as u32)).collect();
    let mut flow = 0;
    let groups = nodes
        .iter()
        .map(|node| {
            let group = |g: &Value| {
                let demand = g["demand"].as_f64().unwrap();
                let offer = |o: &Value| {
                    flow += 1;
                    Offer {
                        from: index[o["from"].as_str().unwrap()],
                        share: o["cap"].as_f64().unwrap() / demand,
                        flow,
                        ration: Ration::PROPORTIONAL,
                    }
                };
                Group {
                    stock: 0.0,
                    offers: g["offers"].as_array().unwrap().iter().map(offer).collect(),
                    response: match g.get("step") {
                        Some(step) => Response::Threshold(step.as_f64().unwrap() / 100.0),
                        None => Response::Limiting(g["linear"].as_f64().unwrap() / 100.0),
                    },
                    settled: None,
                }
            };
            node["groups"].as_array().unwrap().iter().map(group).collect()
        })
        .collect();
    let names: Vec<String> = case["units"].as_object().unwrap().keys().cloned().collect();
    let mut names = names;
    names.sort();
    let units = names
        .iter()
        .map(|name| Unit {
            nodes: case["units"][name]["nodes"]
                .as_array()
                .unwrap()
                .iter()
                .map(|n| index[n.as_str().unwrap()])
                .collect(),
            flows: Vec::new(),
        })
        .collect();
    let problem = Problem::new(groups, units, vec![(index[target], 1.0)], semantics).unwrap();
    (problem, names)
}

fn strings(value: &Value) -> Vec<String> {
    value.as_array().unwrap().iter().map(|v| v.as_str().unwrap().to_owned()).collect()
}

#[test]
fn supply_graphs_are_answered_exactly() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/cutsets");
    let (budget, quiet) = (Budget::default(), Progress::silent());
    let mut checked = 0;
    for (name, case) in cases(&directory, "supply_") {
        for answer in case["answers"].as_array().unwrap() {
            let semantics = match answer["mode"].as_str().unwrap() {
                "collapse" => Semantics::Collapse,
                _ => Semantics::Bootstrap,
            };
            let loss = fraction(&answer["loss_at_least"]);
            let context = format!("{name} {semantics:?} {loss}");
            let (problem, names) = supply(&case, answer["target"].as_str().unwrap(), semantics);
            let named = |set: &[u32]| -> Vec<String> {
                set.iter().map(|&u| names[u as usize].clone()).collect()
            };
            let want: Vec<Vec<String>> =
                answer["mcs"].as_array().unwrap().iter().map(strings).collect();

            // The complete family, by levels and (where it is all or nothing) by failure gates.
            let levels = Levels::build(&problem, &budget, &quiet).unwrap();
            let mut families = vec![levels.family(loss, &budget, &quiet).unwrap()];
            if let Ok(graph) = problem.failure_graph(loss) {
                families.push(Family::of_graph(&graph, names.len(), &budget, &quiet).unwrap());
            }
            let p: Vec<f64> =
                names.iter().map(|u| fraction(&answer["unit_disruption_probability"][u])).collect();
            for family in &families {
                let got: Vec<Vec<String>> = family
                    .list(Order::Size, 0, &budget, &quiet)
                    .unwrap()
                    .map(|set| named(&set.unwrap()))
                    .collect();
                assert_eq!(got, want, "{context}");
                let counts: Vec<BigUint> = answer["mcs_by_order"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|n| BigUint::from(n.as_u64().unwrap()))
                    .collect();
                assert_eq!(family.count_by_size()[1..], counts, "{context}");
                let top = family.top_probability(&p).unwrap();
                near(top, answer["probability_of_cut"].as_f64().unwrap(), 1e-9, &context);
                let importance = family.importance(&p, &budget, &quiet).unwrap();
                for (u, unit) in names.iter().enumerate() {
                    let found = importance.iter().find(|i| i.unit == u as u32);
                    let birnbaum = found.map_or(0.0, |i| i.birnbaum);
                    let fv = found.map_or(0.0, |i| i.fussell_vesely.unwrap());
                    near(birnbaum, answer["birnbaum"][unit].as_f64().unwrap(), 1e-9, unit);
                    near(fv, answer["fussell_vesely"][unit].as_f64().unwrap(), 1e-9, unit);
                }
            }
            let (expected, _) = levels.expected_loss(&p).unwrap();
            near(expected, answer["expected_loss"].as_f64().unwrap(), 1e-9, &context);

            // With nothing but losses.
            let test = AtLeast::new(&problem, loss);
            let all = bounded::minimal_cut_sets(&test, names.len(), &budget, &quiet).unwrap();
            let got: Vec<Vec<String>> = all.sets.iter().map(|set| named(set)).collect();
            assert_eq!((got, all.status), (want.clone(), Status::Exact), "{context}");

            let costs: Vec<f64> =
                names.iter().map(|u| case["units"][u]["cost"].as_f64().unwrap()).collect();
            let cheapest = cheapest_cuts(&test, &costs, 10, &budget, &quiet).unwrap();
            assert_eq!(cheapest.status, Status::Exact);
            let got: Vec<f64> = cheapest.cuts.iter().map(|c| c.cost).collect();
            let costs_wanted: Vec<f64> = answer["ten_cheapest_mcs_costs"]
                .as_array()
                .unwrap()
                .iter()
                .map(|c| c.as_f64().unwrap())
                .collect();
            assert_eq!(got, costs_wanted, "{context}");
            let least: Vec<Vec<String>> = cheapest
                .cuts
                .iter()
                .filter(|c| c.cost == got[0])
                .map(|c| named(&c.units))
                .collect();
            let stated: Vec<Vec<String>> =
                answer["cheapest_cuts"].as_array().unwrap().iter().map(strings).collect();
            assert_eq!(least, stated, "{context}");
            let listed: Vec<Vec<String>> = families[0]
                .list(Order::Cost(costs.clone()), 0, &budget, &quiet)
                .unwrap()
                .take(10)
                .map(|set| named(&set.unwrap()))
                .collect();
            let same: Vec<Vec<String>> = cheapest.cuts.iter().map(|c| named(&c.units)).collect();
            assert_eq!(listed, same, "{context}");

            for k in 1..=3 {
                let want = fraction(&answer["worst_k"][k.to_string()]["max_loss"]);
                let worst = worst_case(&problem, None, f64::from(k), &budget, &quiet).unwrap();
                near(worst.loss, want, 1e-9, &format!("{context} worst {k}"));
                assert_eq!(worst.status, Status::Exact);
                near(problem.loss(&worst.units).unwrap(), want, 1e-9, &context);
                let greedy = fraction(&answer["greedy_loss_k123"][k as usize - 1]);
                near(worst.greedy_loss, greedy, 1e-9, &format!("{context} greedy {k}"));
            }
            let ones = vec![1.0; names.len()];
            for k in 1..=2usize {
                let key = format!("min_units_to_protect_against_order_{k}");
                let want = answer[&key].as_f64().unwrap();
                let by_family = families[0].protect(k, &ones, &quiet).unwrap();
                let by_oracle = protection::protect(&test, k, &ones, &budget, &quiet).unwrap();
                assert_eq!((by_family.cost, by_oracle.cost), (want, want), "{context} {key}");
            }
            checked += 1;
        }
    }
    assert!(checked >= 6, "only {checked} answers checked");
}

fn tree(case: &Value) -> (FailureGraph, Vec<String>, Vec<f64>) {
    let mut events: Vec<(String, f64)> = case["basic_events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| (e["id"].as_str().unwrap().to_owned(), e["p"].as_f64().unwrap()))
        .collect();
    events.sort_by(|a, b| a.0.cmp(&b.0));
    let mut index: FxHashMap<String, u32> = FxHashMap::default();
    for (u, event) in events.iter().enumerate() {
        index.insert(event.0.clone(), u as u32);
    }
    let list = case["gates"].as_array().unwrap();
    for (g, gate) in list.iter().enumerate() {
        index.insert(gate["id"].as_str().unwrap().to_owned(), (events.len() + g) as u32);
    }
    let mut gates: Vec<Gate> = (0..events.len() as u32).map(Gate::Unit).collect();
    for gate in list {
        let inputs: Vec<u32> = gate["children"]
            .as_array()
            .unwrap()
            .iter()
            .map(|c| index[c.as_str().unwrap()])
            .collect();
        gates.push(match gate["op"].as_str().unwrap() {
            "and" => Gate::All(inputs),
            "or" => Gate::Any(inputs),
            _ => Gate::at_least(gate["k"].as_u64().unwrap() as usize, inputs),
        });
    }
    let top = index[case["top"].as_str().unwrap()];
    let graph = FailureGraph::new(gates, top, events.len(), Semantics::Collapse).unwrap();
    let (names, p) = events.into_iter().unzip();
    (graph, names, p)
}

fn digest(sets: impl Iterator<Item = Vec<u32>>, names: &[String]) -> String {
    let mut lines: Vec<String> = sets
        .map(|set| {
            let mut ids: Vec<&str> = set.iter().map(|&u| names[u as usize].as_str()).collect();
            ids.sort_unstable();
            ids.join(",") + "\n"
        })
        .collect();
    lines.sort_unstable();
    let hash = Sha256::digest(lines.concat().as_bytes());
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn fault_trees_are_answered_exactly() {
    let (budget, quiet) = (Budget::default(), Progress::silent());
    for (name, case) in outside_cases("aralia_") {
        let expected = &case["expected"];
        let (graph, names, p) = tree(&case);
        let start = Instant::now();
        let family = Family::of_graph(&graph, names.len(), &budget, &quiet).unwrap();
        let counts = family.count_by_size();
        let counted = start.elapsed();
        let total = family.count();
        let mut listing = None;
        if total <= BigUint::from(200_000u32) {
            let sets: Vec<Vec<u32>> = family
                .list(Order::Size, 0, &budget, &quiet)
                .unwrap()
                .map(|set| set.unwrap())
                .collect();
            listing = Some((start.elapsed(), sets));
        }
        println!(
            "{name}: {total} sets, {} nodes, counted in {counted:?}, listed in {:?}",
            family.diagram_nodes(),
            listing.as_ref().map(|l| l.0)
        );
        assert_eq!(total, expected["mcs_count"].to_string().parse().unwrap(), "{name}");
        let by_order: Vec<BigUint> = expected["mcs_by_order"]
            .as_array()
            .unwrap()
            .iter()
            .map(|n| n.to_string().parse().unwrap())
            .collect();
        assert_eq!(counts[1..], by_order, "{name}");
        let top = family.top_probability(&p).unwrap();
        near(top, expected["top_probability"].as_f64().unwrap(), 1e-9, &name);
        let small = family
            .list(Order::Size, 0, &budget, &quiet)
            .unwrap()
            .map(|set| set.unwrap())
            .take_while(|set| set.len() <= 3);
        assert_eq!(digest(small, &names), expected["mcs_order_le3_sha256"], "{name} <= 3");
        if let (Some((_, sets)), Some(hash)) = (listing, expected["mcs_sha256"].as_str()) {
            assert!(sets.is_sorted_by_key(|set| (set.len(), set.clone())), "{name}");
            assert_eq!(digest(sets.into_iter(), &names), hash, "{name}");
        }
        let importance = family.importance(&p, &budget, &quiet).unwrap();
        for (id, want) in expected["importance"].as_object().into_iter().flatten() {
            let unit = names.iter().position(|n| n == id).unwrap() as u32;
            let Some(got) = importance.iter().find(|i| i.unit == unit) else {
                // In no minimal cut set.
                near(want["birnbaum"].as_f64().unwrap(), 0.0, 0.0, id);
                continue;
            };
            // The file states nine digits.
            near(got.birnbaum, want["birnbaum"].as_f64().unwrap(), 1e-8, id);
            near(got.criticality.unwrap(), want["criticality"].as_f64().unwrap(), 1e-8, id);
            near(got.raw.unwrap(), want["raw"].as_f64().unwrap(), 1e-8, id);
            let rrw = want["rrw"].as_f64();
            assert_eq!(got.rrw.is_some(), rrw.is_some(), "{name} {id} {:?} {rrw:?}", got.rrw);
            near(got.rrw.unwrap_or(1.0), rrw.unwrap_or(1.0), 1e-8, id);
        }
        let within = bounded::minimal_cut_sets(&graph, 2, &budget, &quiet).unwrap();
        let pairs = family
            .list(Order::Size, 0, &budget, &quiet)
            .unwrap()
            .map(|set| set.unwrap())
            .take_while(|set| set.len() <= 2);
        assert_eq!(within.sets, pairs.collect::<Vec<_>>(), "{name} bounded");
    }
}

#[test]
fn large_and_or_graphs_have_a_proved_optimum() {
    let (budget, quiet) = (Budget::default(), Progress::silent());
    for (name, case) in outside_cases("andor_large_") {
        let nodes = case["nodes"].as_array().unwrap();
        let n = nodes.len() as u32;
        let mut gates: Vec<Gate> = Vec::new();
        let mut costs = Vec::new();
        let mut unit_of = Vec::new();
        for node in nodes {
            let inputs: Vec<u32> =
                node[2].as_array().unwrap().iter().map(|i| i.as_u64().unwrap() as u32).collect();
            unit_of.push(node[1].as_f64().map(|cost| {
                costs.push(cost);
                costs.len() as u32 - 1
            }));
            gates.push(match node[0].as_str().unwrap() {
                "all" => Gate::Any(inputs),
                _ if inputs.is_empty() => Gate::Any(inputs),
                _ => Gate::All(inputs),
            });
        }
        for (node, unit) in unit_of.iter().enumerate() {
            if let Some(unit) = *unit {
                // The node fails if it is removed or what it needs fails.
                let inner = gates[node].clone();
                gates.push(Gate::Unit(unit));
                let removal = gates.len() as u32 - 1;
                gates[node] = match inner {
                    Gate::Any(mut inputs) => {
                        inputs.push(removal);
                        Gate::Any(inputs)
                    }
                    all => {
                        gates.push(all);
                        Gate::Any(vec![removal, gates.len() as u32 - 1])
                    }
                };
            }
        }
        let top = case["target"].to_string().trim_matches('"').parse().unwrap();
        let graph = FailureGraph::new(gates, top, costs.len(), Semantics::Collapse).unwrap();
        let start = Instant::now();
        let cheapest = cheapest_cuts(&graph, &costs, 1, &budget, &quiet).unwrap();
        println!(
            "{name}: {n} nodes, cost {} in {:?}, {} path sets, {} calls",
            cheapest.cuts[0].cost,
            start.elapsed(),
            cheapest.path_sets,
            cheapest.calls
        );
        assert_eq!(cheapest.status, Status::Exact);
        assert_eq!(cheapest.cuts[0].cost, case["expected"]["min_cost_cut"].as_f64().unwrap());
    }
}
