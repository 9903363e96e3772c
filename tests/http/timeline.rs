//! Timelines as users ask for them: the worked daily case over HTTP, paths, shortages, what stocks
//! and responses buy, bad questions.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::path::Path;

use crate::support::Server;
use serde_json::{Value, json};

fn empty() -> (tempfile::TempDir, Server) {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data"), &["--no-seed"]);
    (dir, server)
}

fn rows(path: &Path) -> Vec<BTreeMap<String, String>> {
    let mut reader = csv::Reader::from_path(path).unwrap();
    reader.deserialize().map(Result::unwrap).collect()
}

fn near(ours: &Value, theirs: f64, what: &str) {
    let ours = ours.as_f64().unwrap_or_else(|| panic!("{what}: {ours}"));
    assert!((ours - theirs).abs() <= 1e-9 * theirs.abs().max(1.0), "{what}: {ours} {theirs}");
}

#[test]
fn the_daily_inventory_model_is_reproduced_over_http() {
    let (_dir, server) = empty();
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/cascade/dyn1_random10");
    let number = |text: &str| text.parse::<f64>().unwrap();
    let mut lines = String::new();
    for row in rows(&dir.join("nodes.csv")) {
        let node = json!({"type": "node", "id": row["node"], "product": format!("p{}", row["product"]),
            "attributes": {"final_demand": number(&row["final_demand"])}});
        lines.push_str(&format!("{node}\n"));
    }
    for row in rows(&dir.join("edges.csv")) {
        let flow = json!({"type": "flow", "from": row["supplier"], "to": row["buyer"],
            "quantity": number(&row["weight"])});
        lines.push_str(&format!("{flow}\n"));
    }
    server.put("/v1/graphs/daily", &json!({})).ok(201);
    let imported = server.import("daily", "", &lines);
    assert!(imported.status < 300, "{}", imported.text);
    let shocks: Vec<Value> = rows(&dir.join("shocks.csv"))
        .iter()
        .map(|r| {
            json!({"select": {"node": r["node"]}, "loss": number(&r["capacity_loss"]),
                "from_day": number(&r["start_day"])})
        })
        .collect();
    let members: Vec<String> =
        rows(&dir.join("groups.csv")).iter().map(|r| r["node"].clone()).collect();
    for (mode, rule) in ["proportional", "priority"].iter().enumerate() {
        let answer = server
            .post(
                "/v1/graphs/daily/impacts",
                &json!({"shocks": shocks, "targets": [{"name": "all", "select": {"node": members}}],
                    "include": ["timeline"],
                    "model": {"mode": "timeline", "compat": "inoue_todo", "rationing": {"rule": rule},
                        "timeline": {"step": "day", "horizon_days": 120, "stock_days": 15, "refill_days": 6}}}),
            )
            .ok(200);
        let timeline = &answer["timeline"];
        assert_eq!(timeline["orders"], "inoue_todo");
        let (totals, target) = (&timeline["totals"], &timeline["targets"][0]);
        for row in rows(&dir.join(format!("expected_daily_rationing{mode}.csv"))) {
            let day: i64 = row["day"].parse().unwrap();
            let what = format!("mode {mode} day {day}");
            for (name, column) in [
                ("production", "total_production"),
                ("value_added", "value_added"),
                ("final_consumption", "final_consumption"),
            ] {
                let ours =
                    if day < 0 { &totals["baseline"][name] } else { &totals[name][day as usize] };
                near(ours, number(&row[column]), &format!("{what} {name}"));
            }
            let made =
                if day < 0 { &target["baseline"] } else { &target["production"][day as usize] };
            near(made, number(&row["all"]), &what);
        }
    }
}

/// ore -> metal -> part, with a stock of four weeks of metal and no other.
fn chain(server: &Server) {
    let lines = [
        json!({"type": "node", "id": "ore", "product": "ore", "country": "CHN", "output": 100}),
        json!({"type": "node", "id": "metal", "product": "metal", "country": "JPN", "stage": "refine", "output": 100}),
        json!({"type": "node", "id": "part", "product": "part", "country": "USA", "output": 10, "stock_days": 28}),
        json!({"type": "flow", "from": "ore", "to": "metal", "quantity": 100}),
        json!({"type": "flow", "from": "metal", "to": "part", "quantity": 100}),
    ];
    let text: String = lines.iter().map(|l| format!("{l}\n")).collect();
    server.put("/v1/graphs/chain", &json!({})).ok(201);
    let imported = server.import("chain", "", &text);
    assert!(imported.status < 300, "{}", imported.text);
}

fn question(model: Value, shock: Value, responses: Value) -> Value {
    json!({"shocks": [shock], "responses": responses, "include": ["timeline", "nodes"], "model": model,
        "targets": [{"name": "part", "select": {"node": "part"}}]})
}

#[test]
fn a_stock_delays_and_the_answer_says_by_how_much() {
    let (_dir, server) = empty();
    chain(&server);
    let model = json!({"mode": "timeline",
        "timeline": {"horizon_days": 364, "start_date": "2026-01-01"}});
    let shock = json!({"select": {"node": "ore"}, "loss": 1.0, "days": 182});
    let stockpile = json!([{"kind": "stockpile", "product": "metal", "quantity": 10.0}]);
    let ask = |responses: &Value| {
        server
            .post(
                "/v1/graphs/chain/impacts",
                &question(model.clone(), shock.clone(), responses.clone()),
            )
            .ok(200)
    };
    let plain = ask(&json!([]));
    let result = &plain["results"][0];
    // Two steps on the way, four weeks in store: the first short week starts on day 42.
    assert_eq!(result["first_shortage_day"], 42.0, "{plain}");
    assert_eq!(result["path"]["first_shortage_date"], "2026-02-12");
    // From then on nothing is made until two weeks after the ore is back.
    assert_eq!(result["path"]["peak"], 1.0);
    assert_eq!(result["path"]["time_to_recover"], 182.0 + 14.0);
    near(&result["path"]["area_days"], 196.0 - 42.0, "area");
    near(&result["loss"]["value"], 154.0 / 364.0, "mean");
    assert_eq!(result["steady"]["value"], 1.0);
    assert_eq!(result["path"]["end"], 0.0);
    let target = &plain["timeline"]["targets"][0];
    assert_eq!(target["stock_days"][0], 28.0);
    assert_eq!(target["stock_days"][6], 0.0);
    assert_eq!(target["binding"][1]["input"], "metal");
    assert_eq!(plain["timeline"]["dates"][1], "2026-01-08");
    let stocks = &plain["timeline"]["bought"][0];
    assert_eq!(stocks["kind"], "stocks");
    assert_eq!(stocks["targets"][0]["delay_days"], 28.0);
    near(&stocks["targets"][0]["avoided_days"], 28.0, "avoided");
    let metal = plain["nodes"].as_array().unwrap().iter().find(|n| n["id"] == "metal").unwrap();
    assert_eq!(metal["time_to_recover"], 189.0);
    let ore = plain["nodes"].as_array().unwrap().iter().find(|n| n["id"] == "ore").unwrap();
    assert_eq!((&ore["loss"], &ore["loss_upstream"]), (&json!(0.5), &json!(0.0)));
    assert_eq!(ore["time_to_recover"], 182.0);
    assert!(metal["time_to_survive"].as_f64().unwrap() <= 7.0);

    // A tenth of a year's use in a stockpile buys 36.5 days.
    let helped = ask(&stockpile);
    let bought = &helped["timeline"]["bought"][1];
    assert_eq!((&bought["kind"], &bought["response"]), (&json!("stockpile"), &json!(0)));
    near(&bought["targets"][0]["avoided_days"], 36.5, "stockpile");
    assert_eq!(bought["targets"][0]["delay_days"], 35.0);

    // The answer can be read again, whole and by its path.
    let id = plain["id"].as_str().unwrap();
    assert_eq!(server.get(&format!("/v1/impacts/{id}")).ok(200), plain);
    let path = server.get(&format!("/v1/impacts/{id}/timeline?target=part")).ok(200);
    assert_eq!(path["timeline"], plain["timeline"]);
    server.get(&format!("/v1/impacts/{id}/timeline?target=whole")).problem(404, "not_found");
}

#[test]
fn a_steady_answer_has_a_clock_too() {
    let (_dir, server) = empty();
    chain(&server);
    let shock = json!({"select": {"node": "ore"}, "loss": 0.5});
    let steady =
        server.post("/v1/graphs/chain/impacts", &question(json!({}), shock, json!([]))).ok(200);
    let result = &steady["results"][0];
    assert_eq!(result["loss"]["value"], 0.5);
    // Half of the need arrives: four weeks last for eight.
    assert_eq!(result["first_shortage_day"], 70.0);
    assert_eq!(result["path"]["end"], 0.5);
    assert_eq!(steady["timeline"]["orders"], "frozen");
}

#[test]
fn licences_come_late_and_a_cut_ends() {
    let (_dir, server) = empty();
    chain(&server);
    let model = json!({"mode": "timeline", "timeline": {"horizon_days": 365, "step": "day", "stock_days": 0}});
    let shock = json!({"select": {"node": "ore"}, "days": 200,
        "restrict": {"to": {"node": "metal"}, "pass": 0.25, "delay_days": 60}});
    let answer =
        server.post("/v1/graphs/chain/impacts", &question(model, shock, json!([]))).ok(200);
    let metal = answer["nodes"].as_array().unwrap().iter().find(|n| n["id"] == "metal").unwrap();
    near(&metal["loss"], (60.0 + 140.0 * 0.75) / 365.0, "licences");
    assert_eq!(metal["time_to_recover"], 201.0);
}

#[test]
fn bad_questions_get_a_clear_problem() {
    let (_dir, server) = empty();
    chain(&server);
    let shock = json!({"select": {"node": "ore"}, "loss": 1.0});
    let ask = |model: Value, responses: Value| {
        server.post("/v1/graphs/chain/impacts", &question(model, shock.clone(), responses))
    };
    for (model, responses, param) in [
        (
            json!({"mode": "timeline", "timeline": {"horizon_days": 1_000_000_000}}),
            json!([]),
            "model.timeline.horizon_days",
        ),
        (
            json!({"mode": "timeline", "timeline": {"start_date": "soon"}}),
            json!([]),
            "model.timeline.start_date",
        ),
        (json!({"compat": "inoue_todo"}), json!([]), "model.compat"),
        (
            json!({"mode": "timeline", "compat": "inoue_todo", "timeline": {"final_demand": {"oar": 1.0}}}),
            json!([]),
            "model.timeline.final_demand.oar",
        ),
        (
            json!({"mode": "timeline", "direction": "both", "timeline": {"orders": "adaptive"}}),
            json!([]),
            "model.direction",
        ),
        (
            json!({"mode": "timeline"}),
            json!([{"kind": "stockpile", "product": "tin", "quantity": 1.0}]),
            "responses[0].product",
        ),
        (
            json!({"mode": "timeline"}),
            json!([{"kind": "project", "project": "Lynas Kalgoorlie / Mt Weld expansion"}]),
            "responses[0].capacity",
        ),
    ] {
        let reply = ask(model.clone(), responses);
        assert!((400..500).contains(&reply.status), "{model}: {}", reply.text);
        let problem = reply.json();
        assert_eq!(problem["param"], param, "{problem}");
    }
    // A long one becomes a job on request, and tells what it takes.
    let long = question(
        json!({"mode": "timeline", "timeline": {"horizon_days": 36500, "step": "day"}}),
        shock.clone(),
        json!([]),
    );
    let headers = [("content-type", "application/json"), ("prefer", "respond-async")];
    let job =
        server.send("POST", "/v1/graphs/chain/impacts", &headers, long.to_string().as_bytes());
    assert_eq!(job.status, 202, "{}", job.text);
}

#[test]
fn a_project_ramps_up_and_a_substitute_comes_in() {
    let (_dir, server) = empty();
    chain(&server);
    let model = json!({"mode": "timeline", "timeline": {"horizon_days": 728, "stock_days": 0}});
    let shock = json!({"select": {"node": "metal"}, "loss": 1.0});
    let responses = json!([
        {"kind": "project", "product": "metal", "country": "AUS", "capacity": 50.0, "from_day": 364, "ramp_days": 0},
        {"kind": "substitute", "output": "part", "input": "metal", "dependence": 0.5, "from_day": 546}]);
    let answer =
        server.post("/v1/graphs/chain/impacts", &question(model, shock, responses)).ok(200);
    let loss = |week: usize| answer["timeline"]["targets"][0]["loss"][week].as_f64().unwrap();
    assert_eq!((loss(30), loss(60), loss(100)), (1.0, 0.5, 0.25));
    let bought = answer["timeline"]["bought"].as_array().unwrap();
    let kinds: Vec<&Value> = bought.iter().map(|b| &b["kind"]).collect();
    assert_eq!(kinds, ["stocks", "project", "substitute"]);
    // Half for half a year, then a quarter beside the substitute.
    near(&bought[1]["targets"][0]["avoided_days"], 182.0 * 0.75, "project");
}

#[test]
fn batches_and_knock_outs_say_how_far_they_are_from_the_limit() {
    let (_dir, server) = empty();
    // A loop of two that feeds on itself slowly: an early stop misses much of the loss.
    let lines = [
        json!({"type": "node", "id": "a", "product": "a"}),
        json!({"type": "node", "id": "b", "product": "b"}),
        json!({"type": "node", "id": "c", "product": "b"}),
        json!({"type": "flow", "from": "a", "to": "b", "quantity": 9.0}),
        json!({"type": "flow", "from": "b", "to": "a", "quantity": 99.0}),
        json!({"type": "flow", "from": "c", "to": "a", "quantity": 1.0}),
    ]
    .map(|line| line.to_string())
    .join("\n");
    server.put("/v1/graphs/loop", &json!({})).ok(201);
    server.import("loop", "", &lines).ok(200);
    let shocks = json!([{"select": {"node": "c"}, "loss": 1.0}]);
    let early = json!({"stop": {"rule": "step", "tolerance": 0.02}});
    let single =
        server.post("/v1/graphs/loop/impacts", &json!({"shocks": shocks, "model": early})).ok(200);
    let expected = single["gap"].as_f64().unwrap();
    assert!(expected > 0.9, "{single}");
    for (model, asked) in [(&early, false), (&early, true), (&json!({}), false)] {
        let batch = json!({"scenarios": [{"shocks": shocks}], "model": model, "gap": asked});
        let line = server.post("/v1/graphs/loop/impacts/batch", &batch);
        let line: Value = serde_json::from_str(line.text.trim()).unwrap();
        let units = json!({"list": [{"name": "c", "select": {"node": "c"}}]});
        let body = json!({"units": units, "model": model, "gap": asked});
        let knocked = server.post("/v1/graphs/loop/knock-outs", &body).ok(200);
        for answer in [&line, &knocked["results"][0]] {
            match (model == &early, asked) {
                (true, false) => assert!(answer["gap"].is_null(), "{answer}"),
                (true, true) => {
                    assert!((answer["gap"].as_f64().unwrap() - expected).abs() < 1e-9, "{answer}");
                }
                _ => assert!(answer["gap"].as_f64().unwrap() <= 1e-12, "{answer}"),
            }
            assert_eq!(answer["converged"], json!(model != &early), "{answer}");
        }
    }
}
