//! The API as its users see it: shapes, paging, writes, imports and exports.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use crate::support::Server;
use serde_json::{Value, json};

fn empty() -> (tempfile::TempDir, Server) {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data"), &["--no-seed"]);
    (dir, server)
}

/// A chain mine -> refine -> component and a requirement, in graph `g`.
fn small(server: &Server) {
    server.put("/v1/graphs/g", &json!({"title": "Small"})).ok(201);
    let batch = json!({"message": "start", "changes": [
        {"op": "put", "type": "node", "id": "tin.mine.PER", "stage": "mine", "product": "tin_ore", "country": "Peru", "output": {"value": 40, "unit": "t/a", "class": "measured"}},
        {"op": "put", "type": "node", "id": "tin.refine.CHN", "stage": "refine", "product": "tin", "country": "CHN", "output": 30},
        {"op": "put", "type": "node", "id": "solder.component.JPN", "stage": "component", "product": "solder", "country": "JPN"},
        {"op": "put", "type": "flow", "from": "tin.mine.PER", "to": "tin.refine.CHN", "quantity": 40},
        {"op": "put", "type": "flow", "from": "tin.refine.CHN", "to": "solder.component.JPN", "quantity": 12.5, "unit": "t/a"},
        {"op": "put", "type": "requirement", "output": "solder", "input": "tin", "rule": "limiting", "dependence": 0.9},
    ]});
    let applied = server.post("/v1/graphs/g/changes", &batch).ok(200);
    assert_eq!(applied, json!({"version": 1, "applied": 6}));
}

#[test]
fn the_bundled_graph_is_there_and_can_be_explored() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data"), &[]);
    let graphs = server.get("/v1/graphs").ok(200);
    assert_eq!(graphs["meta"], json!({"count": 1, "next_cursor": null}));
    assert_eq!(graphs["results"][0]["name"], "critical-minerals");

    let graph = server.get("/v1/graphs/critical-minerals");
    assert_eq!(graph.header("etag"), "\"1\"");
    let nodes = graph.ok(200)["nodes"].as_u64().unwrap();
    assert!(nodes > 500);

    let refiners = "/v1/graphs/critical-minerals/nodes?filter=country:CHN,stage:refine,product:!gallium&sort=-output";
    let refiners = server.get(refiners).ok(200);
    for node in refiners["results"].as_array().unwrap() {
        assert_eq!((&node["country"], &node["stage"]), (&json!("CHN"), &json!("refine")));
        assert_ne!(node["product"], "gallium");
    }
    let up = "/v1/graphs/critical-minerals/nodes/gallium.refine.CHN/upstream?depth=2";
    let up = server.get(up).ok(200);
    assert!(!up["nodes"].as_array().unwrap().is_empty());
    for node in up["nodes"].as_array().unwrap() {
        assert!((1..=2).contains(&node["depth"].as_u64().unwrap()));
    }
    let found = server.get("/v1/graphs/critical-minerals/search?q=gallium").ok(200);
    assert!(found["meta"]["count"].as_u64().unwrap() > 1);
    let missed = server.get("/v1/graphs/critical-minerals/search?q=galium").ok(200);
    assert_eq!(missed["suggestions"][0], "gallium");

    for register in
        ["products", "countries", "stages", "policies", "projects", "stockpiles", "sources"]
    {
        let list = server.get(&format!("/v1/{register}?limit=1")).ok(200);
        assert_eq!(list["results"].as_array().unwrap().len(), 1, "{register}");
        assert!(list["meta"]["count"].as_u64().unwrap() > 3, "{register}");
    }
    let figure = server.get("/v1/figures/production.gallium.refine.CHN").ok(200);
    assert_eq!(figure["country"], "CHN");

    let scenarios = server.get("/v1/scenarios").ok(200);
    assert_eq!(scenarios["results"][0]["preset"], true);
    let preset = server.get("/v1/scenarios/china-refining-stops").ok(200);
    assert!(!preset["shocks"].as_array().unwrap().is_empty());
    server.put("/v1/scenarios/china-refining-stops", &json!({})).problem(409, "name_taken");
}

#[test]
fn graphs_are_made_forked_changed_and_deleted() {
    let (_dir, server) = empty();
    small(&server);
    let fork = json!({"title": "Fork", "forked_from": {"graph": "g", "version": 1}});
    let made = server.put("/v1/graphs/fork", &fork);
    assert_eq!(made.header("location"), "/v1/graphs/fork");
    let made = made.ok(201);
    assert_eq!(made["forked_from"], json!({"graph": "g", "version": 1}));
    assert_eq!(made["nodes"], 3);
    server.put("/v1/graphs/fork", &fork).problem(409, "name_taken");
    let absent = json!({"forked_from": {"graph": "h"}});
    server.put("/v1/graphs/x", &absent).problem(404, "not_found");

    // A fork goes its own way.
    assert_eq!(server.delete("/v1/graphs/fork/nodes/tin.mine.PER?detach=true").status, 200);
    assert_eq!(server.get("/v1/graphs/g").ok(200)["nodes"], 3);
    assert_eq!(server.get("/v1/graphs/fork").ok(200)["nodes"], 2);

    let renamed = server.put("/v1/graphs/g", &json!({"title": "Other"})).ok(200);
    assert_eq!((&renamed["title"], &renamed["version"]), (&json!("Other"), &json!(1)));
    assert_eq!(server.get("/v1/graphs/g/nodes").ok(200)["meta"]["count"], 3);

    assert_eq!(server.delete("/v1/graphs/g").status, 204);
    server.get("/v1/graphs/g").problem(404, "not_found");
    assert_eq!(server.get("/v1/graphs/fork/nodes").ok(200)["meta"]["count"], 2);
    let near = server.get("/v1/graphs/fork2").problem(404, "not_found");
    assert_eq!(near["hint"], "did you mean fork?");
    server.put("/v1/graphs/-bad", &json!({})).problem(400, "invalid_parameter");
}

#[test]
fn rows_are_written_read_and_deleted() {
    let (_dir, server) = empty();
    small(&server);
    let node = server.get("/v1/graphs/g/nodes/tin.mine.PER");
    assert_eq!((node.header("etag"), node.header("cache-control")), ("\"1\"", "no-cache"));
    let node = node.ok(200);
    // A country may be written as a name; it is stored as a code.
    assert_eq!((&node["type"], &node["country"]), (&json!("node"), &json!("PER")));
    assert_eq!(node["output"]["value"], 40.0);

    let flow = server.get("/v1/graphs/g/flows/tin.refine.CHN..solder.component.JPN").ok(200);
    assert_eq!((&flow["quantity"], &flow["unit"]), (&json!(12.5), &json!("t/a")));
    let requirement = server.get("/v1/graphs/g/requirements/solder..tin").ok(200);
    assert_eq!(requirement["dependence"]["value"], 0.9);

    // What was read can be written back.
    assert_eq!(server.put("/v1/graphs/g/nodes/tin.mine.PER", &node).ok(200), node);
    assert_eq!(
        server.put("/v1/graphs/g/flows/tin.refine.CHN..solder.component.JPN", &flow).ok(200),
        flow
    );
    assert_eq!(
        server.put("/v1/graphs/g/requirements/solder..tin", &requirement).ok(200),
        requirement
    );
    let new = server.put("/v1/graphs/g/nodes/flux", &json!({"stage": "component"}));
    assert_eq!(new.header("location"), "/v1/graphs/g/nodes/flux");
    new.ok(201);
    let side = json!({"quantity": 2});
    let side = server.put("/v1/graphs/g/flows/flux..solder.component.JPN..rosin", &side).ok(201);
    assert_eq!(side["product"], "rosin");
    server.get("/v1/graphs/g/flows/flux..solder.component.JPN").problem(404, "not_found");
    server.get("/v1/graphs/g/flows/flux..solder.component.JPN..rosin").ok(200);

    let other = server.put("/v1/graphs/g/nodes/flux", &json!({"id": "flax"}));
    assert_eq!(other.problem(400, "invalid_body")["param"], "id");
    let hinted = server.delete("/v1/graphs/g/nodes/flux").problem(422, "invalid_change");
    assert!(hinted["hint"].as_str().unwrap().contains("detach"));
    assert_eq!(server.delete("/v1/graphs/g/flows/flux..solder.component.JPN..rosin").status, 200);
    assert_eq!(server.delete("/v1/graphs/g/nodes/flux").status, 200);
    assert_eq!(server.delete("/v1/graphs/g/requirements/solder..tin").status, 200);
    server.delete("/v1/graphs/g/requirements/solder..tin").problem(404, "not_found");
    server.delete("/v1/graphs/g/nodes/flux").problem(404, "not_found");
}

#[test]
fn old_versions_stay_readable_and_comparable() {
    let (_dir, server) = empty();
    small(&server);
    server
        .put("/v1/graphs/g/nodes/tin.refine.CHN", &json!({"product": "tin", "output": 99}))
        .ok(200);
    let old = server.get("/v1/graphs/g/nodes/tin.refine.CHN?at=1");
    assert!(old.header("cache-control").contains("immutable"));
    assert_eq!(old.ok(200)["output"]["value"], 30.0);
    assert_eq!(server.get("/v1/graphs/g/nodes/tin.refine.CHN").ok(200)["output"]["value"], 99.0);
    assert_eq!(server.get("/v1/graphs/g/nodes?at=0").ok(200)["meta"]["count"], 0);
    server.get("/v1/graphs/g/nodes?at=7").problem(404, "not_found");

    let versions = server.get("/v1/graphs/g/versions").ok(200);
    assert_eq!(versions["meta"]["count"], 3);
    assert_eq!(versions["results"][1]["message"], "start");
    let diff = server.get("/v1/graphs/g/diff?from=1&to=2").ok(200);
    assert_eq!(diff["nodes"], json!({"added": 0, "removed": 0, "changed": 1}));
    assert_eq!(diff["changes"][0]["before"]["output"]["value"], 30.0);
    assert_eq!(diff["changes"][0]["after"]["output"]["value"], 99.0);
}

#[test]
fn paging_gives_each_row_once_even_while_the_graph_changes() {
    let (_dir, server) = empty();
    server.put("/v1/graphs/g", &json!({})).ok(201);
    let lines: String = (0..2345)
        .map(|i| format!("{{\"type\":\"node\",\"id\":\"n{i}\",\"output\":{}}}\n", (i * 7919) % 100))
        .collect();
    server.import("g", "", &lines).ok(200);
    for sort in ["", "&sort=-output", "&filter=id:n1*|n2*&sort=output"] {
        let first = server.get(&format!("/v1/graphs/g/nodes?limit=100{sort}")).ok(200);
        let count = first["meta"]["count"].as_u64().unwrap();
        let mut seen: Vec<String> = Vec::new();
        let mut page = first;
        loop {
            seen.extend(
                page["results"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|r| r["id"].as_str().unwrap().to_owned()),
            );
            let Some(cursor) = page["meta"]["next_cursor"].as_str().map(str::to_owned) else {
                break;
            };
            // Writes in between do not move the pages.
            if seen.len() == 300 {
                server.put(&format!("/v1/graphs/g/nodes/a{}", sort.len()), &json!({})).ok(201);
            }
            page =
                server.get(&format!("/v1/graphs/g/nodes?limit=100&cursor={cursor}{sort}")).ok(200);
        }
        let total = seen.len();
        assert_eq!(total as u64, count);
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), total, "a row came twice with {sort}");
    }
    let cursor = server.get("/v1/graphs/g/nodes?limit=1").ok(200)["meta"]["next_cursor"]
        .as_str()
        .unwrap()
        .to_owned();
    let other = server.get(&format!("/v1/graphs/g/nodes?sort=output&cursor={cursor}"));
    assert_eq!(other.problem(400, "invalid_parameter")["param"], "cursor");
}

#[test]
fn writes_check_the_version_and_keys_make_repeats_safe() {
    let (_dir, server) = empty();
    small(&server);
    let batch = json!({"changes": [{"op": "put", "type": "node", "id": "x"}]}).to_string();
    let send = |headers: &[(&str, &str)], body: &str| {
        let all = [&[("content-type", "application/json")], headers].concat();
        server.send("POST", "/v1/graphs/g/changes", &all, body.as_bytes())
    };
    let stale = send(&[("if-match", "\"0\"")], &batch).problem(412, "stale_version");
    assert_eq!(stale["param"], "If-Match");
    let good = send(&[("if-match", "\"1\"")], &batch);
    assert_eq!(good.header("etag"), "\"2\"");
    good.ok(200);
    send(&[("if-match", "soon")], &batch).problem(400, "invalid_header");

    let first = send(&[("idempotency-key", "k")], &batch).ok(200);
    let again = send(&[("idempotency-key", "k")], &batch);
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.ok(200), first);
    assert_eq!(server.get("/v1/graphs/g").ok(200)["version"], 3);
    send(&[("idempotency-key", "k")], "{\"changes\":[]}").problem(422, "key_reused");

    let same = server.get_with("/v1/graphs/g/nodes/x", &[("if-none-match", "\"3\"")]);
    assert_eq!(same.status, 304);
}

#[test]
fn many_writers_lose_nothing() {
    let (_dir, server) = empty();
    server.put("/v1/graphs/g", &json!({})).ok(201);
    std::thread::scope(|scope| {
        for writer in 0..8 {
            let server = &server;
            scope.spawn(move || {
                for i in 0..20 {
                    server.put(&format!("/v1/graphs/g/nodes/w{writer}-{i}"), &json!({})).ok(201);
                }
            });
        }
    });
    let graph = server.get("/v1/graphs/g").ok(200);
    assert_eq!((&graph["nodes"], &graph["version"]), (&json!(160), &json!(160)));
}

#[test]
fn imports_are_all_or_nothing_and_exports_come_back() {
    let (_dir, server) = empty();
    small(&server);
    let bad = "{\"type\":\"node\",\"id\":\"x\"}\n{\"type\":\"flow\",\"from\":\"x\",\"to\":\"nowhere\"}\n{\"type\":\"node\",\"id\":\"y\",\"output\":-1}\n";
    let refused = server.import("g", "", bad).problem(422, "bad_rows");
    assert_eq!(refused["report"]["problem_count"], 2);
    let lines: Vec<u64> = refused["report"]["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p["line"].as_u64().unwrap())
        .collect();
    assert!(lines.contains(&2) && lines.contains(&3));
    assert_eq!(server.get("/v1/graphs/g").ok(200)["version"], 1);

    let dry = server.import("g", "?dry_run=true&on_error=skip", bad).ok(200);
    assert_eq!(
        (&dry["imported"], &dry["version"], &dry["skipped"]),
        (&json!(false), &json!(1), &json!(2))
    );
    let merged = server.import("g", "?mode=merge", "{\"type\":\"node\",\"id\":\"x\"}\n{\"type\":\"flow\",\"from\":\"x\",\"to\":\"tin.refine.CHN\"}\n").ok(200);
    assert_eq!(merged["version"], 2);
    assert_eq!(server.get("/v1/graphs/g").ok(200)["nodes"], 4);
    server.import("g", "?mode=add", "").problem(400, "invalid_parameter");
    server.import("h", "", "").problem(404, "not_found");
    let plain = [("content-type", "text/plain")];
    server
        .send("POST", "/v1/graphs/g/imports", &plain, b"x")
        .problem(415, "unsupported_media_type");

    let whole = server.get("/v1/graphs/g/export.ndjson");
    assert_eq!(whole.header("content-type"), "application/x-ndjson");
    assert_eq!(whole.header("etag"), "\"2\"");
    server.put("/v1/graphs/copy", &json!({})).ok(201);
    for (extension, content_type) in [
        ("ndjson", "application/x-ndjson"),
        ("graphml", "application/graphml+xml"),
        ("json", "application/json"),
    ] {
        let file = server.get(&format!("/v1/graphs/g/export.{extension}"));
        assert_eq!(file.status, 200);
        let headers = [("content-type", content_type)];
        server.send("POST", "/v1/graphs/copy/imports", &headers, file.text.as_bytes()).ok(200);
        assert_eq!(server.get("/v1/graphs/copy/export.ndjson").text, whole.text, "{extension}");
    }
    server.get("/v1/graphs/g/export.doc").problem(404, "not_found");
}

#[test]
fn lists_come_as_csv_that_spreadsheets_do_not_run() {
    let (_dir, server) = empty();
    small(&server);
    server.put("/v1/graphs/g/nodes/=cmd", &json!({"product": "@x"})).ok(201);
    let csv = server.get("/v1/graphs/g/nodes.csv");
    assert!(csv.header("content-type").starts_with("text/csv"));
    assert!(csv.text.starts_with("type,id,"), "{}", csv.text);
    assert!(csv.text.contains("'=cmd") && csv.text.contains("'@x"), "{}", csv.text);
    assert_eq!(csv.text.lines().count(), 5);
    let by_accept = server.get_with("/v1/graphs/g/nodes", &[("accept", "text/csv")]);
    assert_eq!(by_accept.text, csv.text);
    let limited = server.get("/v1/graphs/g/flows.csv?limit=1");
    assert_eq!(limited.text.lines().count(), 2);
    server
        .get_with("/v1/graphs/g/nodes", &[("accept", "image/png")])
        .problem(406, "not_acceptable");
}

#[test]
fn scenarios_are_stored() {
    let (_dir, server) = empty();
    let body =
        json!({"title": "Tin stops!", "shocks": [{"select": {"product": "tin"}, "loss": 0.5}]});
    let made = server.post("/v1/scenarios", &body);
    assert_eq!(made.header("location"), "/v1/scenarios/tin-stops");
    let made = made.ok(201);
    assert_eq!((&made["id"], &made["preset"]), (&json!("tin-stops"), &json!(false)));
    // What was read can be written back.
    assert_eq!(server.put("/v1/scenarios/tin-stops", &made).ok(200)["shocks"], made["shocks"]);
    let bad = json!({"shocks": [{"select": {}, "loss": 2}]});
    let bad = server.put("/v1/scenarios/bad", &bad).problem(422, "impossible");
    assert_eq!(bad["param"], "shocks[0].loss");
    let typo = server.post("/v1/scenarios", &json!({"shock": []})).problem(400, "invalid_body");
    assert_eq!(typo["hint"], "did you mean shocks?");
    assert_eq!(server.delete("/v1/scenarios/tin-stops").status, 204);
    server.get("/v1/scenarios/tin-stops").problem(404, "not_found");
}

#[test]
fn the_documents_are_served() {
    let (_dir, server) = empty();
    let document = server.get("/openapi.json").ok(200);
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["info"]["title"], "Chokepoint");
    let tags: Vec<&str> =
        document["tags"].as_array().unwrap().iter().map(|t| t["name"].as_str().unwrap()).collect();
    assert_eq!(tags, ["Answer", "Explain", "Explore", "Scenarios", "Data", "Operations"]);
    let operations: Vec<&Value> = document["paths"]
        .as_object()
        .unwrap()
        .values()
        .flat_map(|item| item.as_object().unwrap().values())
        .collect();
    for operation in &operations {
        assert!(operation["operationId"].as_str().unwrap().contains('_'), "{operation}");
        assert!(operation["summary"].is_string() && operation["responses"]["default"].is_object());
    }
    assert_eq!(server.get("/").header("location"), "/docs/");
    let page = server.get("/docs/");
    assert!(page.text.contains("Swagger UI"));
    let setup = server.get("/docs/swagger-initializer.js").text;
    for setting in
        ["tryItOutEnabled", "displayRequestDuration", "deepLinking", "persistAuthorization"]
    {
        assert!(setup.contains(setting), "{setting}: {setup}");
    }
    let version = server.get("/v1/version").ok(200);
    assert_eq!(version["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(server.get("/healthz").ok(200)["status"], "ok");
}
