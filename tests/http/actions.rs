//! What could be done, how concentrated, how exposed, what it is worth: over the API.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use crate::support::Server;
use serde_json::{Value, json};

fn seeded() -> (tempfile::TempDir, Server) {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data"), &[]);
    (dir, server)
}

const G: &str = "/v1/graphs/critical-minerals";

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("no number: {value}"))
}

fn list(value: &Value) -> &Vec<Value> {
    value.as_array().unwrap_or_else(|| panic!("no list: {value}"))
}

/// Gallium and germanium of China kept from everyone, and tungsten squeezed.
fn scenario() -> Value {
    let industry = |name: &str, country: &str| {
        json!({"name": format!("{name}/{country}"),
            "select": {"product": name, "stage": "industry", "country": country}})
    };
    json!({
        "shocks": [
            {"name": "gallium", "select": {"country": "CHN", "product": "gallium"}},
            {"name": "germanium", "select": {"country": "CHN", "product": "germanium"}},
            {"name": "tungsten licences", "select": {"country": "CHN", "product": "tungsten"},
             "restrict": {"pass": 0.2}}],
        "targets": [industry("semiconductors", "USA"), industry("defence", "USA"),
                    {"name": "semiconductors", "select": {"product": "semiconductors", "stage": "industry"}}],
    })
}

#[test]
fn shocks_share_the_loss_by_shapley_only_when_asked() {
    let (_dir, server) = seeded();
    let mut plain = scenario();
    plain["draws"] = json!(0);
    let plain = server.post(&format!("{G}/impacts"), &plain).ok(200);
    assert!(plain.get("explanation").is_none());
    let mut body = scenario();
    body["include"] = json!(["explanation"]);
    body["draws"] = json!(0);
    let answer = server.post(&format!("{G}/impacts"), &body).ok(200);
    assert_eq!(answer["results"], plain["results"]);
    for (target, result) in list(&answer["explanation"]).iter().zip(list(&answer["results"])) {
        let loss = number(&result["loss"]["value"]);
        let shocks = list(&target["by_shock"]);
        assert_eq!(shocks.len(), 3);
        let sum: f64 = shocks.iter().map(|s| number(&s["shapley"])).sum();
        assert!((sum - loss).abs() < 1e-9, "{target}");
        assert!(shocks.iter().all(|s| s.get("error").is_none()));
        assert_eq!(target["attribution"]["method"], "exact");
        assert_eq!(target["attribution"]["evaluations"], 7);
    }
    // One shock: nothing to share.
    let one = json!({"scenario": "china-refining-stops", "include": ["explanation"], "draws": 0});
    let one = server.post(&format!("{G}/impacts"), &one).ok(200);
    let target = &one["explanation"][0];
    assert!(target.get("attribution").is_none() && target["by_shock"][0].get("shapley").is_none());
    // Thirteen shocks: sampled, with errors, and still adding up. Losses of inputs that act alone
    // (the worst one binds) share the loss of a made good.
    server.put("/v1/graphs/g", &json!({})).ok(201);
    let mut changes = vec![json!({"op": "put", "type": "node", "id": "good"})];
    let mut shocks = Vec::new();
    for k in 0..13 {
        let ore = format!("ore{k}");
        changes.push(json!({"op": "put", "type": "node", "id": ore}));
        changes
            .push(json!({"op": "put", "type": "flow", "from": ore, "to": "good", "quantity": 1}));
        shocks.push(json!({"name": ore, "select": {"node": ore}, "loss": 0.05 * f64::from(k + 1)}));
    }
    server.post("/v1/graphs/g/changes", &json!({"changes": changes})).ok(200);
    let many = json!({"shocks": shocks, "include": ["explanation"], "draws": 0,
        "targets": [{"name": "good", "select": {"node": "good"}}]});
    let many = server.post("/v1/graphs/g/impacts", &many).ok(200);
    let target = &many["explanation"][0];
    assert_eq!(target["attribution"]["method"], "sampled");
    let by_shock = list(&target["by_shock"]);
    let sum: f64 = by_shock.iter().map(|s| number(&s["shapley"])).sum();
    assert!((sum - 0.65).abs() < 1e-9, "{target}");
    // Of a maximum the values are known: each step of 0.05 is shared by those who reach it
    // (the airport game, Littlechild and Owen 1973).
    let mut exact = 0.0;
    for (k, shock) in by_shock.iter().enumerate() {
        exact += 0.05 / (13 - k) as f64;
        let (value, error) = (number(&shock["shapley"]), number(&shock["error"]));
        assert!((value - exact).abs() <= 1e-9 + 5.0 * error, "{shock} {exact}");
    }
}

#[test]
fn mitigations_are_evaluated_ranked_and_combined() {
    let (dir, server) = seeded();
    let impact = server.post(&format!("{G}/impacts"), &scenario()).ok(200);
    let link = impact["links"]["mitigations"].as_str().unwrap().to_owned();
    let reply = server.get(&format!("{link}?target=semiconductors&months=6"));
    let text = reply.text.clone();
    let answer = reply.ok(200);
    for field in ["id", "graph", "version", "engine", "elapsed_ms", "permalink", "impact", "months"]
    {
        assert!(!answer[field].is_null(), "{field}");
    }
    let name = "semiconductors";
    let base = number(&answer["losses"][name]);
    let result = list(&impact["results"]).iter().find(|r| r["target"] == name).unwrap();
    assert!((base - number(&result["loss"]["value"])).abs() < 1e-12);
    let measures = list(&answer["mitigations"]);
    assert!(!measures.is_empty());
    let mut last = f64::INFINITY;
    for m in measures {
        let avoided = number(&m["loss_avoided"][name]);
        assert!(avoided <= last + 1e-12, "ranked");
        last = avoided;
        assert!((number(&m["loss_after"][name]) - (base - avoided)).abs() < 1e-9);
        assert!(m["limits"].is_array() && m["what"].is_string());
        if let Some(per) = m["avoided_per_billion"].as_f64() {
            let cost = number(&m["cost"]["value"]);
            assert!((per - avoided / cost * 1e9).abs() <= 1e-6 * per.abs().max(1.0));
        }
    }
    for kind in ["project", "stockpile", "second_source", "substitute", "policy"] {
        assert!(measures.iter().any(|m| m["kind"] == kind), "{kind}");
    }
    assert!(number(&measures[0]["loss_avoided"][name]) > 0.0, "{}", measures[0]);
    let stock = measures.iter().find(|m| m["kind"] == "stockpile").unwrap();
    assert!(number(&stock["quantity"]) > 0.0 && stock["basis"] == "first_year");
    assert!(number(&stock["quantity_low"]) <= number(&stock["quantity"]));
    // Together: losses only fall, and nothing counts twice.
    let mut left = base;
    let combined = list(&answer["combined"]);
    assert!(!combined.is_empty());
    for step in combined {
        let after = number(&step["loss_after"][name]);
        assert!(after < left, "{step}");
        assert!((number(&step["step_avoided"][name]) - (left - after)).abs() < 1e-9);
        assert!((number(&step["loss_avoided"][name]) - (base - after)).abs() < 1e-9);
        left = after;
    }
    // A stock of twice the months is twice as large.
    let months = |n: u32| {
        let path = format!("{link}?kind=stockpile&target=semiconductors&months={n}");
        let answer = server.get(&path).ok(200);
        let list = list(&answer["mitigations"]).clone();
        assert!(list.iter().all(|m| m["kind"] == "stockpile"));
        let m =
            list.iter().find(|m| m["name"].as_str().unwrap().starts_with("stock of tungsten for"));
        number(&m.unwrap()["quantity"])
    };
    assert!((months(12) / months(6) - 2.0).abs() < 1e-9);
    // The permalink gives the same bytes, also after a restart.
    let permalink = answer["permalink"].as_str().unwrap().to_owned();
    assert_eq!(server.get(&permalink).text, text);
    assert_eq!(server.terminate(), Some(0));
    let server = Server::start(&dir.path().join("data"), &[]);
    assert_eq!(server.get(&permalink).text, text);

    server.get(&format!("{link}?kind=projects")).problem(400, "invalid_parameter");
    server.get(&format!("{link}?months=0")).problem(400, "invalid_parameter");
    server.get(&format!("{link}?target=semiconductor")).problem(404, "not_found");
    server.get(&format!("{link}?month=6")).problem(400, "invalid_parameter");
    server.get("/v1/impacts/imp_000/mitigations").problem(404, "not_found");
}

#[test]
fn concentration_stands_beside_the_share_lost() {
    let (_dir, server) = seeded();
    let body = json!({"group_by": ["product", "stage"], "select": {"product": ["tungsten", "gallium"]},
        "scenario": {"shocks": [{"select": {"country": "CHN", "stage": "refine"}}]}, "scores": ["eu_2023"]});
    let reply = server.post(&format!("{G}/concentration"), &body);
    let text = reply.text.clone();
    let answer = reply.ok(200);
    let nodes =
        server.get(&format!("{G}/nodes?limit=1000&filter=product:gallium,stage:refine")).ok(200);
    let outputs: Vec<(String, f64)> = list(&nodes["results"])
        .iter()
        .map(|n| (n["country"].as_str().unwrap().to_owned(), number(&n["output"]["value"])))
        .collect();
    let total: f64 = outputs.iter().map(|o| o.1).sum();
    let hhi: f64 = outputs.iter().map(|o| (o.1 / total).powi(2)).sum();
    let results = list(&answer["results"]);
    let gallium = results
        .iter()
        .find(|g| g["group"] == json!({"product": "gallium", "stage": "refine"}))
        .unwrap();
    assert!((number(&gallium["hhi"]) - hhi).abs() < 1e-12);
    assert!((number(&gallium["hhi_points"]) - hhi * 1e4).abs() < 1e-6);
    assert!((number(&gallium["effective_suppliers"]) - 1.0 / hhi).abs() < 1e-9);
    assert_eq!(gallium["country"]["shares"][0]["id"], "CHN");
    let china = outputs.iter().find(|o| o.0 == "CHN").unwrap().1 / total;
    let after = &gallium["scenario"];
    assert!((number(&after["share_lost"]) - china).abs() < 1e-9);
    let left: f64 = outputs
        .iter()
        .filter(|o| o.0 != "CHN")
        .map(|o| (o.1 / total / (1.0 - china)).powi(2))
        .sum();
    assert!((number(&after["hhi"]) - left).abs() < 1e-6);
    assert!(number(&after["cascade"]["share_lost"]) >= number(&after["share_lost"]) - 1e-12);
    let index = |g: &Value| g["hhi"].as_f64().unwrap_or(-1.0);
    assert!(results.windows(2).all(|w| index(&w[0]) >= index(&w[1])));
    let lump = results.iter().find(|g| g["group"]["stage"] == "other_uses").unwrap();
    assert!(lump["hhi"].is_null() && lump["country"]["others"] == 1.0, "{lump}");
    let held = &gallium["country"];
    assert!(number(&held["hhi_low"]) <= hhi && hhi <= number(&held["hhi_high"]) + 1e-12);
    assert!(gallium["owner"].is_null());
    let governance = &gallium["governance"];
    assert!(
        number(&governance["weighted_hhi"]["low"]) <= number(&governance["weighted_hhi"]["high"])
    );
    assert!(number(&governance["coverage"]) > 0.9);

    let score = &answer["scores"][0];
    assert_eq!((&score["score"], &score["class"]), (&json!("eu_2023"), &json!("recalled")));
    let gallium = list(&score["materials"]).iter().find(|m| m["material"] == "gallium").unwrap();
    let risk = &gallium["processing"];
    assert!(risk["value"].is_null() && !list(&risk["missing"]).is_empty());
    assert!(number(&risk["low"]) <= number(&risk["without_substitution"]));
    assert!(number(&risk["without_substitution"]) <= number(&risk["high"]));
    assert_eq!(gallium["published"]["class"], "recalled");

    let id = answer["id"].as_str().unwrap();
    assert_eq!(server.get(&format!("/v1/concentrations/{id}")).text, text);
    server.get("/v1/concentrations/con_000").problem(404, "not_found");
    let bad = json!({"group_by": ["colour"]});
    server.post(&format!("{G}/concentration"), &bad).problem(422, "impossible");
    let bad = json!({"groupby": ["stage"]});
    server.post(&format!("{G}/concentration"), &bad).problem(400, "invalid_body");
    let bad = json!({"scores": ["eu_2024"]});
    server.post(&format!("{G}/concentration"), &bad).problem(400, "invalid_body");
}

#[test]
fn exposure_counts_direct_and_indirect_supply() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data"), &["--no-seed"]);
    server.put("/v1/graphs/g", &json!({})).ok(201);
    let node = |id: &str, product: &str, country: &str| {
        json!({"op": "put", "type": "node", "id": id, "product": product, "country": country, "stage": "x",
            "attributes": {"owner": if id == "wafer2" { "CHN" } else { country }}})
    };
    let flow = |from: &str, to: &str, quantity: f64| json!({"op": "put", "type": "flow", "from": from, "to": to, "quantity": quantity});
    let changes = json!({"changes": [
        node("ga1", "gallium", "CHN"), node("ga2", "gallium", "DEU"),
        node("wafer1", "wafer", "JPN"), node("wafer2", "wafer", "USA"),
        node("gas", "gas", "CHN"), node("chip", "chip", "USA"),
        flow("ga1", "wafer1", 9.0), flow("ga2", "wafer1", 1.0), flow("ga2", "wafer2", 2.0),
        flow("wafer1", "chip", 3.0), flow("wafer2", "chip", 1.0), flow("gas", "chip", 100.0)]});
    server.post("/v1/graphs/g/changes", &changes).ok(200);
    let ask = |on: Value| {
        let body = json!({"target": {"node": "chip"}, "on": on});
        server.post("/v1/graphs/g/exposure", &body)
    };
    let reply = ask(json!({"country": "CHN"}));
    let text = reply.text.clone();
    let answer = reply.ok(200);
    // Half of the inputs is gas, all Chinese; half is wafers, 3/4 of them with 9/10 Chinese gallium.
    assert!((number(&answer["direct"]) - 0.5).abs() < 1e-9, "{answer}");
    assert!((number(&answer["indirect"]) - 0.5 * 0.75 * 0.9).abs() < 1e-9);
    assert!((number(&answer["total"]) + number(&answer["elsewhere"]) - 1.0).abs() < 1e-9);
    assert_eq!(number(&answer["loss_without"]), 1.0);
    let materials = list(&answer["by_material"]);
    assert_eq!(materials.len(), 2);
    assert_eq!(materials[0]["product"], "gas");
    assert!((number(&materials[1]["share_of_material"]) - 0.675).abs() < 1e-9);
    let wafer = list(&answer["by_input"]).iter().find(|i| i["product"] == "wafer").unwrap();
    assert!((number(&wafer["indirect"]) - 0.675).abs() < 1e-9);
    assert_eq!(wafer["suppliers"][0]["id"], "wafer1");
    let id = answer["id"].as_str().unwrap();
    assert_eq!(server.get(&format!("/v1/exposures/{id}")).text, text);
    // Owned by China, wherever it stands.
    let owned = ask(json!({"attributes": {"owner": "CHN"}})).ok(200);
    assert!((number(&owned["direct"]) - 0.625).abs() < 1e-9);
    assert_eq!(list(&owned["nodes"]).len(), 3);
    ask(json!({"country": "CHM"})).problem(422, "impossible");
    server.post("/v1/graphs/g/exposure", &json!({"target": {}})).problem(400, "invalid_body");
}

#[test]
fn value_added_at_risk_stands_beside_the_published_estimate() {
    let (_dir, server) = seeded();
    let ban = |products: Value| {
        let body = json!({"shocks": [{"select": {"country": "CHN", "product": products}}],
            "targets": [{"name": "semiconductors/USA", "select": {"product": "semiconductors", "stage": "industry", "country": "USA"}}]});
        let impact = server.post(&format!("{G}/impacts"), &body).ok(200);
        server.get(impact["links"]["economic"].as_str().unwrap()).ok(200)
    };
    let (gallium, germanium) = (ban(json!("gallium")), ban(json!("germanium")));
    let both = ban(json!(["gallium", "germanium"]));
    for answer in [&gallium, &germanium, &both] {
        let parts: f64 =
            list(&answer["industries"]).iter().map(|i| number(&i["at_risk"]["value"])).sum();
        let sum = number(&answer["at_risk"]["value"]);
        assert!((parts - sum).abs() < 1e-9);
        let same: Vec<&Value> =
            list(&answer["benchmarks"]).iter().filter(|b| b["same_scenario"] == true).collect();
        assert_eq!(same.len(), 1, "{answer}");
        println!(
            "{}: ours {sum:.2}, published {}, orders {}, semiconductors' part {}",
            same[0]["benchmark"],
            same[0]["published"]["value"],
            same[0]["orders_of_magnitude"],
            list(&answer["industries"])
                .iter()
                .find(|i| i["industry"] == "semiconductors")
                .map_or(0.0, |i| number(&i["share"])),
        );
        assert!(!list(&answer["left_out"]).is_empty());
        assert!(list(&answer["industries"]).iter().all(|i| i["source"].is_string()));
    }
    // A wider ban puts no less at risk.
    let value = |a: &Value| number(&a["at_risk"]["value"]);
    assert!(value(&both) >= value(&gallium).max(value(&germanium)) - 1e-9);
    assert_eq!(both["benchmarks"][0]["published"]["unit"], "bn USD");
    // As published, gallium puts more at risk than germanium; and being value at risk without
    // prices or substitution, both lie above the published losses, by one to two powers of ten.
    assert!(value(&gallium) > value(&germanium));
    for answer in [&gallium, &germanium, &both] {
        let same = list(&answer["benchmarks"]).iter().find(|b| b["same_scenario"] == true).unwrap();
        let orders = number(&same["orders_of_magnitude"]);
        assert!((0.5..2.5).contains(&orders), "{same}");
    }
    // The page shows what the server answers.
    let page = std::fs::read_to_string("src/http/page/methods/validation.md").unwrap();
    let exports = |products: Value, to: Value| {
        let body = json!({"shocks": [{"select": {"country": "CHN", "product": products, "stage": "refine"},
                "restrict": {"to": to, "pass": 0}}],
            "targets": [{"name": "chips", "select": {"product": "semiconductors", "stage": "industry", "country": "USA"}}]});
        let impact = server.post(&format!("{G}/impacts"), &body).ok(200);
        server.get(impact["links"]["economic"].as_str().unwrap()).ok(200)
    };
    let abroad = json!({"not": {"country": "CHN"}});
    for (name, products) in [
        ("gallium", json!("gallium")),
        ("germanium", json!("germanium")),
        ("both", json!(["gallium", "germanium"])),
    ] {
        let answer = exports(products, abroad.clone());
        let same = list(&answer["benchmarks"]).iter().find(|b| b["same_scenario"] == true).unwrap();
        let (p, o) = (&same["published"], &answer["at_risk"]);
        let of = |r: &Value, end: &str| number(&r[end]);
        let low = if of(p, "low") < 0.1 { "0.01".into() } else { format!("{:.1}", of(p, "low")) };
        let row = format!(
            "| {name} | {:.1} ({low} to {:.1}) | {:.1} ({:.1} to {:.1}) | 10^{:.1} |",
            of(p, "value"),
            of(p, "high"),
            of(o, "value"),
            of(o, "low"),
            of(o, "high"),
            number(&same["orders_of_magnitude"]),
        );
        assert!(page.contains(&row), "{row}");
    }
    // A ban on one country is another scenario than the published one.
    let narrow = exports(json!("gallium"), json!({"country": "USA"}));
    assert!(list(&narrow["benchmarks"]).iter().all(|b| b["same_scenario"] == false));
    let impact = server.post(&format!("{G}/impacts"), &scenario()).ok(200);
    let link = impact["links"]["economic"].as_str().unwrap();
    let other = server.get(link).ok(200);
    assert!(list(&other["benchmarks"]).iter().all(|b| b["same_scenario"] == false));
    server.get(&format!("{link}?country=FRA")).problem(422, "impossible");
    server.get(&format!("{link}?country=Atlantis")).problem(400, "invalid_parameter");
}
