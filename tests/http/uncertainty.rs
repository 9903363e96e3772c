//! Ranges, sensitivity and comparisons as their users see them.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use crate::support::Server;
use serde_json::{Value, json};

const FLAGSHIP: &str = "/v1/graphs/critical-minerals/impacts";

fn seeded() -> (tempfile::TempDir, Server) {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data"), &[]);
    (dir, server)
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

#[test]
fn the_flagship_has_ranges_only_if_asked_for() {
    let (_dir, server) = seeded();
    let plain = server.post(FLAGSHIP, &json!({"scenario": "china-refining-stops"})).ok(200);
    assert!(plain["range"].is_null() && plain["results"][0]["loss"]["low"].is_null());
    // A seed or no draws do not make it another question.
    for same in [json!({"draws": 0}), json!({"seed": 9})] {
        let mut body = json!({"scenario": "china-refining-stops"});
        body.as_object_mut().unwrap().extend(same.as_object().unwrap().clone());
        assert_eq!(server.post(FLAGSHIP, &body).ok(200)["id"], plain["id"]);
    }

    let body = json!({"scenario": "china-refining-stops", "draws": 100});
    let ranged = server.post(FLAGSHIP, &body).ok(200);
    assert_ne!(ranged["id"], plain["id"]);
    assert_eq!((&ranged["range"]["draws"], &ranged["range"]["seed"]), (&json!(100), &json!(1)));
    assert!(ranged["range"]["figures"].as_u64().unwrap() > 1000);
    assert_eq!(ranged["range"]["default_ranges"]["estimate"], 0.3);
    for (a, b) in
        ranged["results"].as_array().unwrap().iter().zip(plain["results"].as_array().unwrap())
    {
        let loss = &a["loss"];
        assert_eq!(loss["value"], b["loss"]["value"]);
        let (low, median, high) =
            (number(&loss["low"]), number(&loss["median"]), number(&loss["high"]));
        assert!(0.0 <= low && low <= median && median <= high && high <= 1.0, "{loss}");
        assert!(low < high, "{loss}");
    }
    let headline = ranged["headline"].as_str().unwrap();
    assert!(headline.contains("semiconductors by 64 % ("), "{headline}");
    assert!(!plain["headline"].as_str().unwrap().contains("semiconductors by 64 % ("));

    // The same range by include, by the link, and again by its id.
    let named =
        json!({"scenario": "china-refining-stops", "draws": 100, "include": ["range"], "seed": 1});
    assert_eq!(server.post(FLAGSHIP, &named).ok(200), ranged);
    let again = server.get(&format!("/v1/impacts/{}", ranged["id"].as_str().unwrap()));
    assert_eq!(again.ok(200), ranged);
    let linked = server.get(plain["links"]["range"].as_str().unwrap()).ok(200);
    assert_eq!(linked["range"]["draws"], 1000);
    let other = json!({"scenario": "china-refining-stops", "draws": 100, "seed": 2});
    let other = server.post(FLAGSHIP, &other).ok(200);
    assert_ne!(other["results"][0]["loss"]["low"], ranged["results"][0]["loss"]["low"]);
    let table = server.get(&format!("/v1/impacts/{}/table.csv", ranged["id"].as_str().unwrap()));
    let row = table.text.lines().nth(1).unwrap().to_owned();
    assert!(row.split(',').nth(2).unwrap().parse::<f64>().unwrap() > 0.0, "{row}");
}

#[test]
fn sensitivity_says_what_to_check_first() {
    let (_dir, server) = seeded();
    let body =
        json!({"scenario": "china-refining-stops", "draws": 200, "include": ["sensitivity"]});
    let answer = server.post(FLAGSHIP, &body).ok(200);
    let id = answer["id"].as_str().unwrap();
    let got = server.get(&format!("/v1/impacts/{id}/sensitivity")).ok(200);
    for field in ["id", "graph", "version", "engine", "headline", "range", "elapsed_ms"] {
        assert!(!got[field].is_null(), "{field}");
    }
    assert_eq!(got["targets"], answer["sensitivity"]["targets"]);
    let first = &got["targets"][0];
    assert_eq!(first["target"], "semiconductors");
    let drivers = first["drivers"].as_array().unwrap();
    assert!(!drivers.is_empty() && drivers.len() <= 20);
    let mut last = 1.0;
    for driver in drivers {
        let strength = number(&driver["correlation"]).abs();
        assert!(strength <= last, "{driver}");
        last = strength;
        let figure = &driver["figure"];
        assert!(number(&figure["low"]) <= number(&figure["value"]));
        assert!(figure["class"].is_string() && figure["source"].is_string(), "{figure}");
        assert_eq!(server.get(figure["link"].as_str().unwrap()).status, 200, "{figure}");
    }
    let explained: f64 = drivers.iter().map(|d| number(&d["variance_share"])).sum();
    assert!((0.0..=1.0 + 1e-9).contains(&(explained + number(&first["unexplained"]))));
    let bars = first["tornado"].as_array().unwrap();
    assert!(!bars.is_empty() && bars.len() <= 10);
    for bar in bars {
        let swing = (number(&bar["loss_at_high"]) - number(&bar["loss_at_low"])).abs();
        assert!((swing - number(&bar["swing"])).abs() < 1e-12);
    }
    let check = got["check_first"].as_array().unwrap();
    assert!(!check.is_empty() && check[0]["score"].as_f64().unwrap() > 0.0);
    assert!(check.iter().any(|c| c["figure"]["class"] == "estimate"));

    let one = server.get(&format!("/v1/impacts/{id}/sensitivity?target=defence")).ok(200);
    assert_eq!(one["targets"].as_array().unwrap().len(), 1);
    let none = server.get(&format!("/v1/impacts/{id}/sensitivity?target=x"));
    assert!(none.problem(404, "not_found")["hint"].as_str().unwrap().contains("defence"));
    server.get("/v1/impacts/imp_none/sensitivity").problem(404, "not_found");
}

#[test]
fn scenarios_are_compared_on_the_same_draws() {
    let (_dir, server) = seeded();
    let url = "/v1/graphs/critical-minerals/comparisons";
    let targets = json!([{"name": "semiconductors",
        "select": {"product": "semiconductors", "stage": "industry"}}]);
    let gallium = |pass: f64| {
        json!([{"select": {"country": "CHN", "product": "gallium"},
        "restrict": {"pass": pass}}])
    };
    let body = json!({"draws": 100, "targets": targets, "scenarios": [
        {"id": "ban", "shocks": gallium(0.0)},
        {"name": "licences", "shocks": gallium(0.3)},
        {"id": "ban", "shocks": gallium(0.0)},
        {"id": "nothing", "shocks": []},
        {"id": "china-refining-stops"}]});
    let reply = server.post(url, &body);
    let location = reply.header("content-location").to_owned();
    let answer = reply.ok(200);
    assert!(answer["id"].as_str().unwrap().starts_with("cmp_"));
    assert_eq!(answer["links"]["self"], location);
    let names: Vec<&str> =
        answer["scenarios"].as_array().unwrap().iter().map(|s| s["id"].as_str().unwrap()).collect();
    assert_eq!(names, ["ban", "licences", "ban #2", "nothing", "china-refining-stops"]);
    let result = &answer["results"][0];
    assert_eq!(result["losses"].as_array().unwrap().len(), 5);
    assert_eq!(result["losses"][3]["loss"]["high"], 0.0);
    let pair = |a: &str, b: &str| {
        let all = result["differences"].as_array().unwrap();
        all.iter().find(|d| d["a"] == a && d["b"] == b).unwrap().clone()
    };
    assert_eq!(result["differences"].as_array().unwrap().len(), 10);
    let same = pair("ban", "ban #2");
    assert_eq!(same["verdict"], "equal");
    assert_eq!(same["probability"], json!({"a_worse": 0.0, "b_worse": 0.0, "equal": 1.0}));
    for part in ["value", "low", "median", "high"] {
        assert_eq!(same["difference"][part], 0.0, "{same}");
    }
    let less = pair("ban", "licences");
    assert_eq!(less["verdict"], "a_worse", "{less}");
    assert!(number(&less["difference"]["low"]) >= 0.0);
    assert_eq!(pair("nothing", "china-refining-stops")["verdict"], "b_worse");

    // The draws are those of each scenario alone, and of the same comparison by its id.
    let alone = json!({"shocks": gallium(0.0), "targets": targets, "draws": 100});
    let alone = server.post(FLAGSHIP, &alone).ok(200);
    assert_eq!(alone["results"][0]["loss"], result["losses"][0]["loss"]);
    assert_eq!(server.get(&location).ok(200), answer);
    server.get("/v1/comparisons/cmp_none").problem(404, "not_found");
}

#[test]
fn what_cannot_be_drawn_or_compared_is_refused() {
    let (_dir, server) = seeded();
    let flagship = |more: Value| {
        let mut body = json!({"scenario": "china-refining-stops"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        server.post(FLAGSHIP, &body)
    };
    let many = flagship(json!({"draws": 10_000_000})).problem(422, "impossible");
    assert_eq!(many["param"], "draws");
    flagship(json!({"draws": -1})).problem(400, "invalid_body");
    flagship(json!({"draws": 1e10})).problem(400, "invalid_body");
    flagship(json!({"include": ["ranges"]})).problem(400, "invalid_body");
    let none = flagship(json!({"draws": 0, "include": ["sensitivity"]})).problem(422, "impossible");
    assert_eq!(none["param"], "draws");
    // A million draws of the bundled graph take minutes: a job.
    let long = flagship(json!({"draws": 1_000_000}));
    let job = long.ok(202);
    assert!(job["estimate"]["seconds"].as_f64().unwrap() > 30.0, "{job}");
    let job = format!("/v1/jobs/{}", job["id"].as_str().unwrap());
    assert!(server.delete(&job).status < 300);
    let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while server.get(&job).ok(200)["state"] != "cancelled" {
        assert!(std::time::Instant::now() < end, "the job does not stop");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }

    let compare = |body: Value| server.post("/v1/graphs/critical-minerals/comparisons", &body);
    let preset = json!({"id": "china-refining-stops"});
    let one = compare(json!({"scenarios": [preset]})).problem(422, "impossible");
    assert_eq!(one["param"], "scenarios");
    let typo = compare(json!({"scenarios": [preset, {"id": "china-refining-stop"}]}));
    let typo = typo.problem(422, "impossible");
    assert_eq!(typo["param"], "scenarios[1].id");
    assert!(typo["hint"].as_str().unwrap().contains("china-refining-stops"));
    let empty = compare(json!({"scenarios": [preset, {"name": "b"}]})).problem(422, "impossible");
    assert_eq!(empty["param"], "scenarios[1]");
    let shock = json!([{"select": {"country": "CHN", "product": "galium"}}]);
    let bad = compare(json!({"scenarios": [preset, {"shocks": shock}], "draws": 5}));
    let bad = bad.problem(422, "impossible");
    assert_eq!(bad["param"], "scenarios[1].shocks[0].select", "{bad}");
    let loss = json!([{"select": {"country": "CHN"}, "loss": 2}]);
    let bad = compare(json!({"scenarios": [preset, {"shocks": loss}]})).problem(422, "impossible");
    assert_eq!(bad["param"], "scenarios[1].shocks[0].loss");
    let bad = compare(json!({"scenarios": [preset, preset], "draws": 10_000_000}));
    assert_eq!(bad.problem(422, "impossible")["param"], "draws");
    compare(json!({"scenario": [preset]})).problem(400, "invalid_body");
    let target = compare(json!({"scenarios": [preset, preset], "draws": 5,
        "targets": [{"name": "x", "select": {"product": "nothing_like_this"}}]}));
    assert_eq!(target.problem(422, "impossible")["param"], "targets[0].select");
    let none = json!([{"select": {"country": "CHN"}}]);
    let none = compare(json!({"scenarios": [{"shocks": none}, {"shocks": []}]}));
    assert_eq!(none.problem(422, "impossible")["param"], "targets");
}

#[test]
fn ranges_that_cannot_be_are_refused_and_half_ranges_are_drawn() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data"), &["--no-seed"]);
    server.put("/v1/graphs/g", &json!({})).ok(201);
    let node = |output: Value| json!({"changes": [{"op": "put", "type": "node", "id": "a", "output": output}]});
    for (bad, word) in [
        (json!({"value": 5, "low": 7}), "low"),
        (json!({"value": 5, "high": 3}), "high"),
        (json!({"value": 5, "low": -1}), "negative"),
        (json!({"value": -5}), "negative"),
    ] {
        let problem =
            server.post("/v1/graphs/g/changes", &node(bad)).problem(422, "invalid_change");
        assert!(problem["detail"].as_str().unwrap().contains(word), "{problem}");
    }
    server.post("/v1/graphs/g/changes", &node(json!({"value": 60, "low": 30}))).ok(200);
    let rest = json!({"changes": [
        {"op": "put", "type": "node", "id": "b", "output": 40},
        {"op": "put", "type": "node", "id": "c", "product": "q", "output": 1},
        {"op": "put", "type": "flow", "from": "a", "to": "c", "product": "p", "quantity": 60},
        {"op": "put", "type": "flow", "from": "b", "to": "c", "product": "p", "quantity": 40}]});
    server.post("/v1/graphs/g/changes", &rest).ok(200);
    let body = json!({"shocks": [{"select": {"node": "a"}}], "draws": 1000,
        "targets": [{"name": "c", "select": {"node": "c"}}], "include": ["sensitivity"]});
    let answer = server.post("/v1/graphs/g/impacts", &body).ok(200);
    let loss = &answer["results"][0]["loss"];
    // c loses a / (a + 40), with a at most its value and its 5th percentile at 30.
    assert!((number(&loss["low"]) - 30.0 / 70.0).abs() < 0.02, "{loss}");
    assert_eq!((&loss["high"], &loss["value"]), (&json!(0.6), &json!(0.6)));
    let driver = &answer["sensitivity"]["targets"][0]["drivers"][0];
    assert_eq!(driver["figure"]["id"], "nodes/a/output");
    assert_eq!(driver["figure"]["range"], "stated");
    assert!(number(&driver["correlation"]) > 0.99, "{driver}");
    let bar = &answer["sensitivity"]["targets"][0]["tornado"][0];
    assert!((number(&bar["loss_at_low"]) - 30.0 / 70.0).abs() < 1e-9, "{bar}");
}

#[test]
fn a_graph_without_ranges_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data"), &["--no-seed"]);
    server.put("/v1/graphs/g", &json!({})).ok(201);
    let lines = concat!(
        "{\"type\":\"node\",\"id\":\"a\"}\n{\"type\":\"node\",\"id\":\"b\"}\n{\"type\":\"node\",\"id\":\"c\"}\n",
        "{\"type\":\"flow\",\"from\":\"a\",\"to\":\"c\",\"quantity\":3}\n",
    );
    assert_eq!(server.import("g", "", lines).status, 200);
    let body = json!({"shocks": [{"select": {"node": "a"}, "loss": 0.3}], "include": ["sensitivity"],
        "targets": [{"name": "c", "select": {"node": "c"}}], "draws": 50});
    let answer = server.post("/v1/graphs/g/impacts", &body).ok(200);
    let loss = &answer["results"][0]["loss"];
    assert_eq!((&loss["low"], &loss["high"]), (&loss["value"], &loss["value"]));
    assert_eq!(answer["sensitivity"]["targets"][0]["drivers"], json!([]));
    let warnings = answer["quality"]["warnings"].to_string();
    assert!(warnings.contains("no figure of this graph states a range"), "{warnings}");
}
