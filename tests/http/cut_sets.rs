//! Cut sets as users of the API see them: the worked cases, the bundled graph, pages, bad input.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a failed step fails the test")]

use std::path::Path;

use crate::support::Server;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

fn empty() -> (tempfile::TempDir, Server) {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data"), &["--no-seed"]);
    (dir, server)
}

fn fraction(value: &Value) -> f64 {
    let text = value.as_str().unwrap();
    match text.split_once('/') {
        Some((a, b)) => a.parse::<f64>().unwrap() / b.parse::<f64>().unwrap(),
        None => text.parse().unwrap(),
    }
}

fn near(got: &Value, want: f64, what: &str) {
    let got = got.as_f64().unwrap_or_else(|| panic!("{what}: {got}, not {want}"));
    assert!((got - want).abs() <= 1e-9 * want.abs().max(1e-6), "{what}: {got}, not {want}");
}

fn import(server: &Server, graph: &str, records: &[Value]) {
    server.put(&format!("/v1/graphs/{graph}"), &json!({})).ok(201);
    let lines: Vec<String> = records.iter().map(Value::to_string).collect();
    server.import(graph, "", &lines.join("\n")).ok(200);
}

/// A supply graph as records: demand is the baseline, what offers can give beyond it is headroom.
fn supply(case: &Value) -> Vec<Value> {
    let (mut nodes, mut rest) = (Vec::new(), Vec::new());
    for node in case["graph"]["nodes"].as_array().unwrap() {
        nodes.push(json!({"type": "node", "id": node["id"], "stage": node["stage"]}));
        for group in node["groups"].as_array().unwrap() {
            let offers = group["offers"].as_array().unwrap();
            let total: f64 = offers.iter().map(|o| o["cap"].as_f64().unwrap()).sum();
            let demand = group["demand"].as_f64().unwrap();
            assert!(total >= demand);
            for offer in offers {
                let cap = offer["cap"].as_f64().unwrap();
                rest.push(json!({"type": "flow", "from": offer["from"], "to": node["id"],
                    "product": group["material"], "quantity": demand * cap / total, "capacity": cap}));
            }
            let mut rule =
                json!({"type": "requirement", "output": node["id"], "input": group["material"]});
            match group.get("step") {
                Some(step) => {
                    rule["rule"] = json!("threshold");
                    rule["min_share"] = json!(step.as_f64().unwrap() / 100.0);
                }
                None => {
                    rule["rule"] = json!("limiting");
                    rule["dependence"] = json!(group["linear"].as_f64().unwrap() / 100.0);
                }
            }
            rest.push(rule);
        }
    }
    nodes.append(&mut rest);
    nodes
}

fn cases(directory: &Path, prefix: &str) -> Vec<(String, Value)> {
    let mut files: Vec<_> =
        std::fs::read_dir(directory).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    files
        .into_iter()
        .map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), path))
        .filter(|(name, _)| name.starts_with(prefix))
        .map(|(name, path)| {
            (name, serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap())
        })
        .collect()
}

/// Benchmarks that are not kept in the project.
fn outside_cases(prefix: &str) -> Vec<(String, Value)> {
    match std::env::var_os("CUTSET_CASES") {
        Some(directory) => cases(Path::new(&directory), prefix),
        None => {
            println!("skipped: CUTSET_CASES names no directory of {prefix}*.json");
            Vec::new()
        }
    }
}

/// Every set of an answer, run as an impact, loses what the answer says.
fn runs_as_stated(server: &Server, graph: &str, set: &Value) {
    let path = format!("/v1/graphs/{graph}/impacts");
    let impact = server.post(&path, &set["scenario"]).ok(200);
    let loss = impact["results"][0]["loss"]["value"].as_f64().unwrap();
    near(&set["loss"], loss, &format!("{}", set["sentence"]));
    if let Some(link) = set["link"].as_str() {
        let linked = server.get(link).ok(200);
        assert_eq!(linked["id"], impact["id"], "{link}");
    }
}

#[test]
fn supply_graphs_are_answered_exactly() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/cutsets");
    let (_dir, server) = empty();
    let mut checked = 0;
    for (name, case) in cases(&directory, "supply_") {
        let graph = name.replace('_', "-");
        import(&server, &graph, &supply(&case));
        let units: Vec<Value> = case["units"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, unit)| json!({"name": name, "select": {"node": unit["nodes"]}}))
            .collect();
        let costs: serde_json::Map<String, Value> = case["units"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, unit)| (name.clone(), unit["cost"].clone()))
            .collect();
        for answer in case["answers"].as_array().unwrap() {
            let bootstrap = answer["mode"] == "bootstrap";
            let p: serde_json::Map<String, Value> = answer["unit_disruption_probability"]
                .as_object()
                .unwrap()
                .iter()
                .map(|(unit, p)| (unit.clone(), json!(fraction(p))))
                .collect();
            let context = format!("{name} {} {}", answer["mode"], answer["loss_at_least"]);
            let question = json!({"target": {"node": answer["target"]}, "units": {"list": units},
                "semantics": answer["mode"], "model": {"substitution": "flow_headroom"}});
            let with = |fields: Value| {
                let mut body = question.clone();
                for (key, value) in fields.as_object().unwrap() {
                    body[key] = value.clone();
                }
                body
            };
            let loss = fraction(&answer["loss_at_least"]);
            let ask = |what: &str, fields: Value| {
                server.post(&format!("/v1/graphs/{graph}/{what}"), &with(fields)).ok(200)
            };

            let cuts =
                ask("cut-sets", json!({"loss_at_least": loss, "costs": costs, "probabilities": p}));
            let got: Vec<&Value> =
                cuts["cut_sets"].as_array().unwrap().iter().map(|set| &set["units"]).collect();
            let want: Vec<&Value> = answer["mcs"].as_array().unwrap().iter().collect();
            assert_eq!(got, want, "{context}");
            assert_eq!(cuts["count"], answer["mcs_count"], "{context}");
            assert_eq!(cuts["count_by_size"], answer["mcs_by_order"], "{context}");
            assert_eq!((&cuts["complete"], &cuts["status"]), (&json!(true), &json!("exact")));
            near(
                &cuts["top_probability"],
                answer["probability_of_cut"].as_f64().unwrap(),
                &context,
            );
            near(
                &cuts["expected_loss"]["value"],
                answer["expected_loss"].as_f64().unwrap(),
                &context,
            );
            let importance = cuts["importance"].as_array().unwrap();
            for (measure, field) in [("birnbaum", "birnbaum"), ("fussell_vesely", "fussell_vesely")]
            {
                for (unit, want) in answer[measure].as_object().unwrap() {
                    let got = importance.iter().find(|i| i["unit"] == **unit).unwrap();
                    near(
                        &got[field],
                        want.as_f64().unwrap(),
                        &format!("{context} {measure} {unit}"),
                    );
                }
            }
            for set in cuts["cut_sets"].as_array().unwrap() {
                let cost: f64 = set["units"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|u| costs[u.as_str().unwrap()].as_f64().unwrap())
                    .sum();
                near(&set["cost"], cost, &context);
                if !bootstrap {
                    assert!(set["loss"].as_f64().unwrap() >= loss - 1e-9);
                    assert!(!set["chains"].as_array().unwrap().is_empty(), "{set}");
                    runs_as_stated(&server, &graph, set);
                }
            }
            for k in 1..=3 {
                let want = fraction(&answer["worst_k"][k.to_string()]["max_loss"]);
                let worst = ask("worst-case", json!({"budget": k}));
                near(&worst["loss"], want, &format!("{context} worst {k}"));
                near(&worst["upper_bound"], want, &format!("{context} worst {k}"));
                assert_eq!(worst["proved"], true, "{context}");
                near(&worst["greedy_loss"], fraction(&answer["greedy_loss_k123"][k - 1]), &context);
            }
            let cheapest =
                ask("cheapest-cut", json!({"loss_at_least": loss, "costs": costs, "limit": 10}));
            near(&cheapest["cost"], answer["cheapest_cut_cost"].as_f64().unwrap(), &context);
            assert_eq!(cheapest["proved"], true, "{context}");
            let ten: Vec<f64> = cheapest["cuts"]
                .as_array()
                .unwrap()
                .iter()
                .map(|c| c["cost"].as_f64().unwrap())
                .collect();
            let want: Vec<f64> = answer["ten_cheapest_mcs_costs"]
                .as_array()
                .unwrap()
                .iter()
                .map(|c| c.as_f64().unwrap())
                .collect();
            assert_eq!(ten, want, "{context}");
            for k in 1..=2 {
                let want =
                    answer[format!("min_units_to_protect_against_order_{k}")].as_f64().unwrap();
                let protection = ask("protection", json!({"loss_at_least": loss, "max_size": k}));
                near(&protection["cost"], want, &format!("{context} protection {k}"));
                assert_eq!(protection["proved"], true);
                assert_eq!(protection["protect"].as_array().unwrap().len() as f64, want);
                let after = protection["loss_curve"]["after"].as_array().unwrap();
                assert!(after.iter().take(k + 1).all(|p| p["loss"].as_f64().unwrap() < loss));
                let before = protection["loss_curve"]["before"].as_array().unwrap();
                for (units, point) in before.iter().enumerate().skip(1) {
                    let want = fraction(&answer["worst_k"][units.to_string()]["max_loss"]);
                    near(&point["loss"], want, &format!("{context} W({units})"));
                }
                assert_eq!(before.len(), 4, "{context}");
            }
            checked += 1;
        }
    }
    assert!(checked >= 6, "only {checked} answers checked");
}

/// A fault tree of failure gates as records: what a gate needs to run, as thresholds.
fn tree(case: &Value) -> Vec<Value> {
    let (mut nodes, mut rest) = (Vec::new(), Vec::new());
    for event in case["basic_events"].as_array().unwrap() {
        nodes.push(json!({"type": "node", "id": event["id"], "stage": "leaf", "attributes": {"probability": event["p"]}}));
    }
    for gate in case["gates"].as_array().unwrap() {
        let (id, inputs) = (&gate["id"], gate["children"].as_array().unwrap());
        nodes.push(json!({"type": "node", "id": id, "stage": "gate"}));
        let n = inputs.len() as f64;
        let fail = match gate["op"].as_str().unwrap() {
            "or" => 1.0,
            "and" => n,
            _ => gate["k"].as_f64().unwrap(),
        };
        let common = format!("inputs of {}", id.as_str().unwrap());
        for input in inputs {
            let product = if fail == 1.0 { input.clone() } else { json!(common) };
            rest.push(
                json!({"type": "flow", "from": input, "to": id, "product": product, "quantity": 1}),
            );
        }
        if fail > 1.0 {
            rest.push(
                json!({"type": "requirement", "output": id, "input": common, "rule": "threshold",
                "min_share": (n - fail + 1.0) / n}),
            );
        }
    }
    nodes.append(&mut rest);
    nodes
}

/// The same tree in the exchange format.
fn mef(case: &Value) -> String {
    let mut xml = String::from(
        "<?xml version=\"1.0\"?>\n<!-- a test -->\n<opsa-mef><define-fault-tree name=\"t\">\n",
    );
    let events: Vec<&str> = case["basic_events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["id"].as_str().unwrap())
        .collect();
    let gates = case["gates"].as_array().unwrap();
    let top = gates.iter().find(|g| g["id"] == case["top"]).unwrap();
    for gate in std::iter::once(top).chain(gates.iter().filter(|g| g["id"] != case["top"])) {
        let inputs: String = gate["children"]
            .as_array()
            .unwrap()
            .iter()
            .map(|c| {
                let id = c.as_str().unwrap();
                let kind = if events.contains(&id) { "basic-event" } else { "gate" };
                format!("<{kind} name=\"{id}\"/>")
            })
            .collect();
        let formula = match gate["op"].as_str().unwrap() {
            _ if gate["children"].as_array().unwrap().len() == 1 => inputs,
            "atleast" => format!("<atleast min=\"{}\">{inputs}</atleast>", gate["k"]),
            op => format!("<{op}>{inputs}</{op}>"),
        };
        xml += &format!("<define-gate name={}>{formula}</define-gate>\n", gate["id"]);
    }
    xml += "</define-fault-tree><model-data>\n";
    for event in case["basic_events"].as_array().unwrap() {
        xml += &format!(
            "<define-basic-event name={}><float value=\"{}\"/></define-basic-event>\n",
            event["id"], event["p"]
        );
    }
    xml + "</model-data></opsa-mef>\n"
}

fn digest(sets: &[Value]) -> String {
    let mut lines: Vec<String> = sets
        .iter()
        .map(|set| {
            let mut ids: Vec<&str> =
                set["units"].as_array().unwrap().iter().map(|u| u.as_str().unwrap()).collect();
            ids.sort_unstable();
            ids.join(",") + "\n"
        })
        .collect();
    lines.sort_unstable();
    let hash = Sha256::digest(lines.concat().as_bytes());
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A small tree with shared events, in the form of the benchmark files; its family by hand.
fn small_tree() -> Value {
    json!({"top": "top", "basic_events": [
            {"id": "a", "p": 0.1}, {"id": "b", "p": 0.2}, {"id": "c", "p": 0.3}, {"id": "d", "p": 0.05}],
        "gates": [
            {"id": "top", "op": "or", "children": ["g1", "g2"]},
            {"id": "g1", "op": "atleast", "k": 2, "children": ["a", "b", "c"]},
            {"id": "g2", "op": "and", "children": ["a", "g3"]},
            {"id": "g3", "op": "or", "children": ["d"]}],
        "expected": {"mcs_count": 4, "mcs_by_order": [0, 4],
            "mcs": [["a", "b"], ["a", "c"], ["a", "d"], ["b", "c"]]}})
}

#[test]
fn a_fault_tree_comes_in_is_counted_and_goes_out_again() {
    let (_dir, server) = empty();
    let case = small_tree();
    server.put("/v1/graphs/tree", &json!({})).ok(201);
    let xml = [("content-type", "application/xml")];
    let report =
        server.send("POST", "/v1/graphs/tree/imports", &xml, mef(&case).as_bytes()).ok(200);
    assert_eq!((&report["target"], &report["nodes"]), (&json!("top"), &json!(8)));
    let body = json!({"target": {"node": "top"}, "loss_at_least": 1, "units": {"each": "node"}, "select": {"stage": "basic_event"}});
    let cuts = server.post("/v1/graphs/tree/cut-sets", &body).ok(200);
    assert_eq!(cuts["count_by_size"], case["expected"]["mcs_by_order"]);
    let sets: Vec<&Value> =
        cuts["cut_sets"].as_array().unwrap().iter().map(|s| &s["units"]).collect();
    assert_eq!(sets, case["expected"]["mcs"].as_array().unwrap().iter().collect::<Vec<_>>());
    assert_eq!(cuts["probabilities"], "attributes");
    // Exactly: bc or (a and (b or c or d)).
    let (a, b, c, d) = (0.1, 0.2, 0.3, 0.05);
    let want = b * c
        + (1.0 - b * c) * a * (1.0 - (1.0 - b) * (1.0 - c) * (1.0 - d) - b * c) / (1.0 - b * c);
    near(&cuts["top_probability"], want, "top");
    for set in cuts["cut_sets"].as_array().unwrap() {
        near(&set["loss"], 1.0, "loss");
        runs_as_stated(&server, "tree", set);
    }

    let id = cuts["id"].as_str().unwrap();
    for path in [
        format!("/v1/cut-sets/{id}/fault-tree.xml"),
        "/v1/graphs/tree/fault-tree.xml?target=top".to_owned(),
    ] {
        let out = server.get(&path);
        assert_eq!((out.status, out.header("content-type")), (200, "application/xml"));
        server.put("/v1/graphs/again", &json!({})).ok(201);
        server.send("POST", "/v1/graphs/again/imports", &xml, out.text.as_bytes()).ok(200);
        let body = json!({"target": {"node": "loss_of_top"}, "loss_at_least": 1, "units": {"each": "node"}, "select": {"stage": "basic_event"}});
        let again = server.post("/v1/graphs/again/cut-sets", &body).ok(200);
        assert_eq!(again["count_by_size"], cuts["count_by_size"], "{}", out.text);
        near(&again["top_probability"], want, "top");
        server.delete("/v1/graphs/again");
    }

    let bad = "<opsa-mef><define-fault-tree name=\"t\">\n<define-gate name=\"g\"><xor><basic-event name=\"a\"/><basic-event name=\"b\"/></xor></define-gate></define-fault-tree></opsa-mef>";
    let refused = server.send(
        "POST",
        "/v1/graphs/tree/imports",
        &[("content-type", "text/xml")],
        bad.as_bytes(),
    );
    assert_eq!(refused.status, 422, "{}", refused.text);
    assert!(refused.text.contains("line 2") && refused.text.contains("xor"), "{}", refused.text);
}

#[test]
fn benchmark_trees_have_their_counts_through_the_api() {
    let (_dir, server) = empty();
    for (name, case) in outside_cases("aralia_") {
        let expected = &case["expected"];
        let graph = name.replace('_', "-");
        let as_records = tree(&case);
        import(&server, &graph, &as_records);
        let in_xml = format!("{graph}-mef");
        server.put(&format!("/v1/graphs/{in_xml}"), &json!({})).ok(201);
        let xml = [("content-type", "application/xml")];
        let path = format!("/v1/graphs/{in_xml}/imports");
        server.send("POST", &path, &xml, mef(&case).as_bytes()).ok(200);
        for (graph, stage) in [(&graph, "leaf"), (&in_xml, "basic_event")] {
            let body = json!({"target": {"node": case["top"]}, "loss_at_least": 1,
                "units": {"each": "node"}, "select": {"stage": stage}, "limit": 200_000, "explain": 3});
            let start = std::time::Instant::now();
            let cuts = server.post(&format!("/v1/graphs/{graph}/cut-sets"), &body).ok(200);
            println!(
                "{graph}: {} sets in {:?} ({} ms at the server)",
                cuts["count"],
                start.elapsed(),
                cuts["elapsed_ms"]
            );
            assert_eq!(cuts["count"], expected["mcs_count"], "{name}");
            assert_eq!(cuts["count_by_size"], expected["mcs_by_order"], "{name}");
            near(&cuts["top_probability"], expected["top_probability"].as_f64().unwrap(), &name);
            let sets = cuts["cut_sets"].as_array().unwrap();
            if let Some(hash) = expected["mcs_sha256"].as_str() {
                assert_eq!(digest(sets), hash, "{name}");
            }
            for (id, want) in expected["importance"].as_object().into_iter().flatten() {
                let got = cuts["importance"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .find(|i| i["unit"] == **id)
                    .unwrap();
                for measure in ["birnbaum", "criticality", "raw"] {
                    let (got, want) =
                        (got[measure].as_f64().unwrap(), want[measure].as_f64().unwrap());
                    assert!(
                        (got - want).abs() <= 1e-8 * want.abs(),
                        "{name} {id} {measure} {got} {want}"
                    );
                }
            }
            runs_as_stated(&server, graph, &sets[0]);
        }
    }
}

/// An AND/OR graph: a node fails if it is removed, or if what it needs fails.
#[test]
fn large_and_or_graphs_have_a_proved_optimum_through_the_api() {
    let (_dir, server) = empty();
    for (name, case) in outside_cases("andor_large_") {
        let graph = name.replace('_', "-");
        let (mut nodes, mut rest) = (Vec::new(), Vec::new());
        let mut costs = serde_json::Map::new();
        for (i, node) in case["nodes"].as_array().unwrap().iter().enumerate() {
            let id = format!("n{i}");
            if let Some(cost) = node[1].as_f64() {
                costs.insert(id.clone(), json!(cost));
            }
            nodes.push(json!({"type": "node", "id": id, "stage": if node[1].is_null() { "fixed" } else { "removable" }}));
            let inputs = node[2].as_array().unwrap();
            let any = node[0] == "any";
            for input in inputs {
                let mut flow =
                    json!({"type": "flow", "from": format!("n{input}"), "to": id, "quantity": 1});
                if any {
                    flow["product"] = json!(format!("any of {id}"));
                }
                rest.push(flow);
            }
            if any && !inputs.is_empty() {
                rest.push(
                    json!({"type": "requirement", "output": id, "input": format!("any of {id}"),
                    "rule": "threshold", "min_share": 1.0 / inputs.len() as f64}),
                );
            }
        }
        nodes.append(&mut rest);
        import(&server, &graph, &nodes);
        let target = case["target"].to_string();
        let body = json!({"target": {"node": format!("n{}", target.trim_matches('"'))}, "loss_at_least": 1,
            "units": {"each": "node"}, "select": {"stage": "removable"}, "costs": costs});
        let start = std::time::Instant::now();
        let cut = server.post(&format!("/v1/graphs/{graph}/cheapest-cut"), &body).ok(200);
        println!(
            "{name}: cost {} in {:?} ({} ms at the server)",
            cut["cost"],
            start.elapsed(),
            cut["elapsed_ms"]
        );
        assert_eq!(cut["cost"], case["expected"]["min_cost_cut"].as_f64().unwrap(), "{name}");
        assert_eq!(cut["proved"], true);
    }
}

/// A chain with two sources and a single refiner.
fn chain(server: &Server) {
    import(
        server,
        "g",
        &[
            json!({"type": "node", "id": "ore.mine.AUS", "stage": "mine", "product": "ore", "country": "AUS", "attributes": {"owner": "x"}}),
            json!({"type": "node", "id": "ore.mine.CHN", "stage": "mine", "product": "ore", "country": "CHN", "attributes": {"owner": "y"}}),
            json!({"type": "node", "id": "metal.refine.CHN", "stage": "refine", "product": "metal", "country": "CHN", "attributes": {"owner": "x"}}),
            json!({"type": "node", "id": "metal.refine.JPN", "stage": "refine", "product": "metal", "country": "JPN"}),
            json!({"type": "node", "id": "car.industry.DEU", "stage": "industry", "product": "car", "country": "DEU", "output": 10}),
            json!({"type": "flow", "from": "ore.mine.AUS", "to": "metal.refine.CHN", "quantity": 60}),
            json!({"type": "flow", "from": "ore.mine.CHN", "to": "metal.refine.CHN", "quantity": 40}),
            json!({"type": "flow", "from": "ore.mine.AUS", "to": "metal.refine.JPN", "quantity": 20}),
            json!({"type": "flow", "from": "metal.refine.CHN", "to": "car.industry.DEU", "quantity": 70}),
            json!({"type": "flow", "from": "metal.refine.JPN", "to": "car.industry.DEU", "quantity": 30}),
        ],
    );
}

fn names(answer: &Value) -> Vec<Vec<&str>> {
    fn units(set: &Value) -> Vec<&str> {
        set["units"].as_array().unwrap().iter().map(|u| u.as_str().unwrap()).collect()
    }
    answer["cut_sets"].as_array().unwrap().iter().map(units).collect()
}

#[test]
fn units_can_be_nodes_flows_groups_and_lists() {
    let (_dir, server) = empty();
    chain(&server);
    let ask = |units: Value, select: Value| {
        let mut body = json!({"target": {"product": "car"}, "loss_at_least": 0.65, "units": units});
        if !select.is_null() {
            body["select"] = select;
        }
        let answer = server.post("/v1/graphs/g/cut-sets", &body).ok(200);
        for set in answer["cut_sets"].as_array().unwrap() {
            runs_as_stated(&server, "g", set);
        }
        answer
    };
    let nodes = ask(json!({"each": "node"}), Value::Null);
    assert_eq!(names(&nodes), [vec!["metal.refine.CHN"], vec!["ore.mine.AUS"]]);
    assert_eq!(nodes["units"]["left_out"], json!(["car.industry.DEU"]));
    let with_target = ask(json!({"each": "node"}), json!({"country": ["DEU", "CHN"]}));
    assert_eq!(names(&with_target), [vec!["car.industry.DEU"], vec!["metal.refine.CHN"]]);
    let flows = ask(json!({"each": "flow"}), Value::Null);
    assert_eq!(names(&flows)[0], ["metal.refine.CHN..car.industry.DEU"]);
    assert!(flows["count"].as_u64().unwrap() > 1);
    assert_eq!(names(&ask(json!({"group_by": ["country"]}), Value::Null)), [["AUS"], ["CHN"]]);
    let stages =
        ask(json!({"group_by": ["country", "stage"]}), json!({"stage": ["mine", "refine"]}));
    assert_eq!(names(&stages), [["AUS x mine"], ["CHN x refine"]]);
    assert_eq!(
        stages["cut_sets"][1]["scenario"]["shocks"][0]["select"],
        json!({"country": ["CHN"], "stage": ["refine"]})
    );
    assert_eq!(names(&ask(json!({"group_by": ["owner"]}), Value::Null)), [["x"]]);
    let list = ask(
        json!({"list": [
        {"name": "sea route", "flow": {"from": {"country": "AUS"}, "to": {"stage": "refine"}}},
        {"name": "China's mines", "select": {"country": "CHN", "stage": "mine"}},
        {"name": "Japan", "select": {"country": "JPN"}}]}),
        Value::Null,
    );
    assert_eq!(names(&list), [vec!["sea route"], vec!["China's mines", "Japan"]][..1].to_vec());
}

#[test]
fn answers_have_permalinks_pages_streams_and_jobs() {
    let (dir, server) = empty();
    import(&server, "tree", &tree(&small_tree()));
    let body = json!({"target": {"node": "top"}, "loss_at_least": 1, "units": {"each": "node"}, "select": {"stage": "leaf"},
        "limit": 1, "order": "probability"});
    let first = server.post("/v1/graphs/tree/cut-sets", &body);
    let text = first.text.clone();
    let first = first.ok(200);
    assert_eq!(names(&first), [["b", "c"]]);
    let own = first["links"]["self"].as_str().unwrap().to_owned();
    assert_eq!(server.get(&own).text, text);

    let (mut seen, mut cursor) = (1, first["next_cursor"].as_str().unwrap().to_owned());
    let mut order = names(&first)[0].iter().map(|s| s.to_string()).collect::<Vec<_>>();
    loop {
        let page = server.get(&format!("{own}?cursor={cursor}&limit=2")).ok(200);
        for set in page["cut_sets"].as_array().unwrap() {
            seen += 1;
            assert_eq!(set["rank"], seen);
            order.push(set["units"].to_string());
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(seen, 4);
    let lines = server.get(&format!("{own}.ndjson"));
    assert_eq!(lines.header("content-type"), "application/x-ndjson");
    let lines: Vec<Value> = lines.text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let p: Vec<f64> = lines.iter().map(|l| l["probability"].as_f64().unwrap()).collect();
    assert!(p.is_sorted_by(|a, b| a >= b) && p.len() == 4, "{p:?}");
    assert_eq!(server.get(&format!("{own}.ndjson?limit=2")).text.lines().count(), 2);
    let third = server.get(&format!("{own}/sets/3")).ok(200);
    assert_eq!(third["units"], lines[2]["units"]);
    assert!(third["sentence"].as_str().unwrap().starts_with("Losing a and"), "{third}");
    server.get(&format!("{own}/sets/5")).problem(404, "not_found");
    server.get(&format!("{own}/sets/0")).problem(404, "not_found");
    server.get(&format!("{own}?cursor=c0-1-77")).problem(400, "invalid_parameter");

    let headers = [("content-type", "application/json"), ("prefer", "respond-async")];
    let job = json!({"target": {"node": "top"}, "loss_at_least": 1, "units": {"each": "node"}, "select": {"stage": "leaf"}});
    let job = server.send("POST", "/v1/graphs/tree/cut-sets", &headers, job.to_string().as_bytes());
    let job = server.end_of_job(&job.ok(202));
    assert_eq!(job["state"], "succeeded", "{job}");
    assert_eq!(server.get(job["result"].as_str().unwrap()).ok(200)["count"], 4);

    // The same bytes after a restart.
    server.terminate();
    let server = Server::start(&dir.path().join("data"), &["--no-seed"]);
    assert_eq!(server.get(&own).text, text);
    assert_eq!(server.get(&format!("{own}/sets/3")).ok(200), third);
}

#[test]
fn bad_questions_are_refused_with_reasons() {
    let (_dir, server) = empty();
    chain(&server);
    let refuse = |what: &str, fields: Value, param: &str| {
        let mut body = json!({"target": {"product": "car"}, "units": {"each": "node"}});
        for (key, value) in fields.as_object().unwrap() {
            body[key] = value.clone();
        }
        let problem =
            server.post(&format!("/v1/graphs/g/{what}"), &body).problem(422, "impossible");
        assert_eq!(problem["param"], param, "{problem}");
        problem
    };
    refuse("cut-sets", json!({"loss_at_least": 0}), "loss_at_least");
    refuse("cut-sets", json!({"loss_at_least": 1.5}), "loss_at_least");
    refuse("cut-sets", json!({"loss_at_least": -0.1}), "loss_at_least");
    refuse("cut-sets", json!({"units": {}}), "units");
    refuse("cut-sets", json!({"units": {"list": []}}), "units");
    let problem = refuse(
        "cut-sets",
        json!({"target": {"stage": "mine"}, "select": {"stage": "refine"}}),
        "target",
    );
    assert!(problem["detail"].as_str().unwrap().contains("nobody supplies"), "{problem}");
    refuse("cut-sets", json!({"target": {"product": "cars"}}), "target");
    let problem =
        refuse("cut-sets", json!({"costs": {"metal.refine.CHM": 3}}), "costs.metal.refine.CHM");
    assert_eq!(problem["hint"], "did you mean metal.refine.CHN?");
    refuse("cut-sets", json!({"costs": {"metal.refine.CHN": -3}}), "costs.metal.refine.CHN");
    refuse(
        "cut-sets",
        json!({"probabilities": {"metal.refine.CHN": 1.2}, "default_probability": 0.1}),
        "probabilities.metal.refine.CHN",
    );
    refuse("cut-sets", json!({"probabilities": {"metal.refine.CHN": 0.2}}), "probabilities");
    refuse("cut-sets", json!({"default_probability": -0.1}), "default_probability");
    refuse("cut-sets", json!({"order": "probability"}), "order");
    refuse("cut-sets", json!({"max_size": 0}), "max_size");
    refuse("cut-sets", json!({"model": {"mode": "timeline"}}), "model.mode");
    refuse(
        "cut-sets",
        json!({"semantics": "bootstrap", "model": {"substitution": "market_share"}}),
        "semantics",
    );
    refuse("cut-sets", json!({"limits": {"seconds": 0}}), "limits.seconds");
    refuse("worst-case", json!({}), "budget");
    refuse("worst-case", json!({"budget": -1}), "budget");
    refuse("protection", json!({"loss_at_least": 0.6, "options": [{"name": "x"}]}), "options[0]");
    let link = json!({"name": "x", "link": {"from": "ore.mine.AUS", "to": "car.industry.DEU", "capacity": 5}});
    refuse("protection", json!({"loss_at_least": 0.6, "options": [link]}), "options[0]");
    let body = json!({"target": {"product": "car"}, "units": {"each": "node"}, "colour": "red"});
    server.post("/v1/graphs/g/cut-sets", &body).problem(400, "invalid_body");
    let absent = json!({"target": {"product": "car"}, "units": {"each": "node"}});
    server.post("/v1/graphs/h/cut-sets", &absent).problem(404, "not_found");
    server.get("/v1/cut-sets/cut_none").problem(404, "not_found");

    // Nothing reaches the threshold: an answer, not an error.
    let none = json!({"target": {"product": "car"}, "loss_at_least": 0.9, "units": {"list": [{"name": "Japan", "select": {"country": "JPN"}}]}});
    let none = server.post("/v1/graphs/g/cut-sets", &none).ok(200);
    assert_eq!((&none["count"], &none["complete"]), (&json!(0), &json!(true)));
    near(&none["greatest_loss"], 0.3, "greatest");
    assert!(none["headline"].as_str().unwrap().starts_with("Nothing can"), "{none}");
    assert_eq!(names(&none), Vec::<Vec<&str>>::new());
}

#[test]
fn options_are_bought_only_as_far_as_they_are_needed() {
    let (_dir, server) = empty();
    chain(&server);
    let ask = |loss: f64, size: usize, options: Value| {
        server.post("/v1/graphs/g/protection", &json!({"target": {"product": "car"}, "loss_at_least": loss, "max_size": size,
            "units": {"each": "node"}, "model": {"substitution": "flow_headroom"}, "options": options}))
    };
    let wider = json!({"name": "wider link from Japan", "cost": 2, "link": {"from": "metal.refine.JPN", "to": "car.industry.DEU", "capacity": 60}});
    let stock = json!({"name": "metal for half a year", "cost": 5, "stock": {"at": "car.industry.DEU", "product": "metal", "days": 182.5}});
    // Losing China's refining costs 70 %; the wider link leaves 40 %, the stock 20 %.
    let answer = ask(0.5, 1, json!([wider, stock])).ok(200);
    // Australian ore feeds both refiners, so the link alone does not help against losing it.
    assert_eq!(answer["build"], json!(["metal for half a year"]), "{answer}");
    assert_eq!((&answer["cost"], &answer["proved"]), (&json!(5.0), &json!(true)));
    let (before, after) = (&answer["loss_curve"]["before"], &answer["loss_curve"]["after"]);
    near(&before[1]["loss"], 0.72, "before");
    near(&after[1]["loss"], 0.22, "after");
    let body = ask(0.1, 2, json!([wider])).problem(422, "impossible");
    assert!(body["detail"].as_str().unwrap().contains("whatever is chosen"), "{body}");
    let unknown =
        json!({"name": "x", "link": {"from": "nowhere", "to": "car.industry.DEU", "capacity": 5}});
    let problem = ask(0.5, 1, json!([unknown])).problem(422, "impossible");
    assert_eq!(problem["param"], "options[0]");
}

#[test]
fn the_flagship_question_reads_as_a_sentence() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data"), &[]);
    let body = json!({"target": {"product": "semiconductors", "stage": "industry"}, "loss_at_least": 0.2,
        "units": {"group_by": ["country", "stage"]}, "select": {"stage": ["mine", "refine", "component"]},
        "max_size": 1, "default_probability": 0.05});
    let cuts = server.post("/v1/graphs/critical-minerals/cut-sets", &body).ok(200);
    println!("{}", cuts["headline"]);
    assert_eq!((&cuts["complete"], &cuts["status"]), (&json!(true), &json!("complete_to_order")));
    let sets = cuts["cut_sets"].as_array().unwrap();
    assert!(!sets.is_empty());
    for set in sets {
        println!("{}", set["sentence"]);
        assert!(set["sentence"].as_str().unwrap().contains("semiconductors"));
        assert!(set["loss"].as_f64().unwrap() >= 0.2);
        assert!(!set["chains"].as_array().unwrap().is_empty());
        runs_as_stated(&server, "critical-minerals", set);
    }
    let bounds = cuts["top_probability_bounds"].as_array().unwrap();
    assert!(bounds[0].as_f64() <= bounds[1].as_f64());
}

/// A hundred thousand units and sets of six: an answer within its budget that says what is missing.
#[test]
fn a_question_too_large_is_answered_within_its_budget() {
    let (_dir, server) = empty();
    let n = 20_000;
    let mut records: Vec<Value> = (0..n)
        .map(|i| json!({"type": "node", "id": format!("s{i:06}"), "product": "part"}))
        .collect();
    records.push(json!({"type": "node", "id": "target"}));
    records.extend((0..n).map(|i| json!({"type": "flow", "from": format!("s{i:06}"), "to": "target", "quantity": 1 + i % 7})));
    import(&server, "wide", &records);
    let body = json!({"target": {"node": "target"}, "loss_at_least": 0.5, "units": {"each": "node"}, "max_size": 6,
        "limits": {"evaluations": 30_000}});
    let start = std::time::Instant::now();
    let answer = server.post("/v1/graphs/wide/cut-sets", &body).ok(200);
    println!("{:?}: {} {}", start.elapsed(), answer["status"], answer["limit_hit"]);
    assert_eq!(answer["count"], 0);
    // Losses add up here, so the largest six bound every set: nothing is missing after all.
    assert!(answer["status"] == "complete_to_order" || answer["limit_hit"].is_string());
}

#[test]
fn long_chains_and_rings_are_no_danger() {
    let (_dir, server) = empty();
    // Each node needs the one before it, the first one the last: one component, as deep as it is
    // long.
    let n = 20_000;
    for (graph, rule) in [("limiting", json!({})), ("threshold", json!({"min_share": 0.5}))] {
        let mut ring: Vec<Value> = (0..n)
            .map(|i| json!({"type": "node", "id": format!("n{i}"), "product": "p"}))
            .collect();
        ring.extend((0..n).map(|i| {
            json!({"type": "flow", "from": format!("n{i}"), "to": format!("n{}", (i + 1) % n),
                   "quantity": 1})
        }));
        let mut requirement =
            json!({"type": "requirement", "output": "p", "input": "p", "rule": graph});
        requirement.as_object_mut().unwrap().extend(rule.as_object().unwrap().clone());
        ring.push(requirement);
        import(&server, graph, &ring);
        let units: Vec<Value> = ["n1", "n9", "n13000"]
            .iter()
            .map(|id| json!({"name": id, "select": {"node": id}}))
            .collect();
        let ask = json!({"target": {"node": "n7"}, "loss_at_least": 1, "max_size": 6, "explain": 0,
                         "units": {"list": units}});
        let answer = server.post(&format!("/v1/graphs/{graph}/cut-sets"), &ask).ok(200);
        assert_eq!(names(&answer), [["n1"], ["n13000"], ["n9"]], "{answer}");
        server.get("/healthz").ok(200);
    }
}

#[test]
fn loss_curves_of_a_protection_end_with_its_time() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data"), &[]);
    // Every flow of the bundled graph as a unit: the curves alone take minutes.
    let body = json!({"target": {"stage": "industry"}, "units": {"each": "flow"},
        "limits": {"seconds": 5}});
    let started = std::time::Instant::now();
    let answer = server.post("/v1/graphs/critical-minerals/protection", &body).ok(200);
    assert!(started.elapsed().as_secs() < 60, "{:?}", started.elapsed());
    let warnings = answer["warnings"].to_string();
    assert!(warnings.contains("before the loss curves were complete"), "{warnings}");
    let sizes = |curve: &Value| curve.as_array().unwrap().len();
    let curve = &answer["loss_curve"];
    assert!(sizes(&curve["before"]) <= 4 && sizes(&curve["after"]) <= 4, "{curve}");
    // Nothing need be protected, and that costs 0, not -0.
    assert_eq!((&answer["protect"], answer["cost"].to_string()), (&json!([]), "0.0".to_owned()));
}
