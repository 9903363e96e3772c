//! Graphs as a database: versions, retention, merges, concurrent readers and writers, over HTTP.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::support::Server;
use serde_json::{Value, json};

fn empty() -> (tempfile::TempDir, Server) {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data"), &["--no-seed"]);
    (dir, server)
}

fn node(id: &str, output: f64) -> Value {
    json!({"op": "put", "type": "node", "id": id, "output": output})
}

fn flow(from: &str, to: &str, quantity: f64) -> Value {
    json!({"op": "put", "type": "flow", "from": from, "to": to, "quantity": quantity})
}

/// Commits changes and gives the version.
fn commit(server: &Server, graph: &str, changes: &[Value]) -> u64 {
    let body = json!({ "changes": changes });
    server.post(&format!("/v1/graphs/{graph}/changes"), &body).ok(200)["version"].as_u64().unwrap()
}

/// Graph `g` with nodes a, b, c and the flow a..b.
fn small(server: &Server) {
    server.put("/v1/graphs/g", &json!({})).ok(201);
    commit(server, "g", &[node("a", 1.0), node("b", 2.0), node("c", 3.0), flow("a", "b", 5.0)]);
}

fn merge(server: &Server, into: &str, from: &str, on_conflict: &str) -> crate::support::Reply {
    let body = json!({"from": {"graph": from}, "on_conflict": on_conflict, "message": "merge"});
    server.post(&format!("/v1/graphs/{into}/merges"), &body)
}

#[test]
fn versions_that_retention_gives_up_are_gone_and_named_ones_stay() {
    let (_dir, server) = empty();
    small(&server);
    for i in 0..9 {
        commit(&server, "g", &[node("a", 10.0 + f64::from(i))]);
    }
    let all = server.get("/v1/graphs/g/retention").ok(200);
    assert_eq!((&all["keep"], &all["version"]), (&json!("all"), &json!(10)));
    let tagged = server.put("/v1/graphs/g/versions/3/tag", &json!({"tag": "before the ban"}));
    assert_eq!(tagged.ok(200)["tags"], json!(["before the ban"]));
    let kept = server.put("/v1/graphs/g/retention", &json!({"keep": "last", "last": 2})).ok(200);
    assert_eq!(kept["tagged"], json!([{"tag": "before the ban", "version": 3}]));

    let versions = server.get("/v1/graphs/g/versions").ok(200);
    let numbers: Vec<u64> = versions["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v["version"].as_u64().unwrap())
        .collect();
    assert_eq!(numbers, [3, 9, 10]);
    for version in [0, 2, 4, 8] {
        let path = format!("/v1/graphs/g/nodes/a?at={version}");
        let gone = server.get(&path).problem(410, "version_gone");
        assert!(gone["hint"].as_str().unwrap().contains("newest version is 10"));
    }
    assert_eq!(server.get("/v1/graphs/g/nodes/a?at=3").ok(200)["output"]["value"], 11.0);
    assert_eq!(server.get("/v1/graphs/g/nodes/a?at=9").ok(200)["output"]["value"], 17.0);
    server.get("/v1/graphs/g/nodes/a?at=11").problem(404, "not_found");
    server.get("/v1/graphs/g/diff?from=2").problem(410, "version_gone");
    server.get("/v1/graphs/g/export.ndjson?at=2").problem(410, "version_gone");
    server
        .put("/v1/graphs/h", &json!({"forked_from": {"graph": "g", "version": 2}}))
        .problem(410, "version_gone");
    server.put("/v1/graphs/g/versions/2/tag", &json!({"tag": "x"})).problem(410, "version_gone");
    server.put("/v1/graphs/g/versions/99/tag", &json!({"tag": "x"})).problem(404, "not_found");

    // Other settings leave it alone; without its name the version goes.
    server.put("/v1/graphs/g", &json!({"title": "G"})).ok(200);
    assert_eq!(server.get("/v1/graphs/g/nodes/a?at=3").status, 200);
    assert_eq!(server.delete("/v1/graphs/g/versions/3/tag").status, 204);
    server.get("/v1/graphs/g/nodes/a?at=3").problem(410, "version_gone");
    server.delete("/v1/graphs/g/versions/3/tag").problem(404, "not_found");

    for bad in [
        json!({"keep": "last"}),
        json!({"keep": "last", "last": 0}),
        json!({"keep": "all", "last": 3}),
        json!({"keep": "some"}),
        json!({}),
    ] {
        server.put("/v1/graphs/g/retention", &bad).problem(400, "invalid_body");
    }
}

#[test]
fn the_log_is_folded_in_the_background_and_the_space_comes_back() {
    let (dir, server) = empty();
    server.put("/v1/graphs/g", &json!({"retention": {"last": 1}})).ok(201);
    // Each version puts new texts everywhere: nothing of the old ones can be shared.
    let text = |round: u32, i: u32| format!("{round}-{i}-").repeat(40);
    let write = |round: u32| {
        let nodes: Vec<Value> = (0..6000)
            .map(|i| {
                json!({"op": "put", "type": "node", "id": format!("n{i}"),
                       "attributes": {"text": text(round, i)}})
            })
            .collect();
        commit(&server, "g", &nodes);
    };
    let disk = || -> u64 {
        let mut bytes = 0;
        let mut dirs = vec![dir.path().join("data")];
        while let Some(dir) = dirs.pop() {
            for entry in std::fs::read_dir(dir).unwrap().flatten() {
                match entry.metadata() {
                    Ok(meta) if meta.is_dir() => dirs.push(entry.path()),
                    Ok(meta) => bytes += meta.len(),
                    Err(_) => {}
                }
            }
        }
        bytes
    };
    let live = 6000 * 330;
    // The files grow while writes come faster than logs are folded, and do not shrink; but what
    // old versions took is used again. How far folding lags depends on how busy the machine is.
    let rounds = 48;
    for round in 0..rounds {
        write(round);
        std::thread::sleep(Duration::from_millis(100));
    }
    let (after, written) = (disk(), u64::from(rounds) * live);
    assert!(after < written / 2, "{after} bytes on disk after {written} were written");
    assert_eq!(
        server.get("/v1/graphs/g/nodes/n7").ok(200)["attributes"]["text"],
        text(rounds - 1, 7)
    );
}

#[test]
fn a_merge_takes_what_only_one_side_changed() {
    let (_dir, server) = empty();
    small(&server);
    server.put("/v1/graphs/f", &json!({"forked_from": {"graph": "g"}})).ok(201);
    commit(
        &server,
        "f",
        &[
            json!({"op": "put", "type": "node", "id": "a", "output": 1, "stage": "mine"}),
            node("d", 4.0),
            flow("d", "b", 2.0),
            flow("a", "b", 6.0),
        ],
    );
    commit(
        &server,
        "g",
        &[
            json!({"op": "put", "type": "node", "id": "a", "output": 9}),
            json!({"op": "delete", "type": "node", "id": "c"}),
        ],
    );
    let merged = merge(&server, "g", "f", "refuse").ok(200);
    assert_eq!(merged["from"], json!({"graph": "f", "version": 1}));
    assert_eq!(merged["base"], json!({"graph": "g", "version": 1}));
    assert_eq!((&merged["version"], &merged["applied"]), (&json!(3), &json!(4)));
    // The same node from both sides, field by field.
    let a = server.get("/v1/graphs/g/nodes/a").ok(200);
    assert_eq!((&a["output"]["value"], &a["stage"]), (&json!(9.0), &json!("mine")));
    assert_eq!(server.get("/v1/graphs/g/flows/a..b").ok(200)["quantity"], 6.0);
    server.get("/v1/graphs/g/nodes/c").problem(404, "not_found");
    // One version, with the message in the log; merging again takes nothing.
    let log = server.get("/v1/graphs/g/versions").ok(200);
    assert_eq!(log["results"][3]["message"], "merge");
    let again = merge(&server, "g", "f", "refuse").ok(200);
    assert_eq!((&again["version"], &again["applied"]), (&json!(3), &json!(0)));
    assert_eq!(again["base"], json!({"graph": "f", "version": 1}));
    // And the other way round: the fork gets what it lacks.
    let back = merge(&server, "f", "g", "refuse").ok(200);
    assert_eq!(back["version"], 2);
    let lines = |graph: &str| server.get(&format!("/v1/graphs/{graph}/export.ndjson")).text;
    let records = |graph: &str| -> Vec<String> {
        lines(graph).lines().filter(|l| l.contains("\"type\"")).map(str::to_owned).collect()
    };
    assert_eq!(records("f"), records("g"));
}

#[test]
fn conflicts_are_named_and_decided_as_asked() {
    for on_conflict in ["ours", "theirs"] {
        let (_dir, server) = empty();
        small(&server);
        server.put("/v1/graphs/f", &json!({"forked_from": {"graph": "g"}})).ok(201);
        commit(
            &server,
            "f",
            &[
                node("a", 7.0),
                flow("a", "b", 50.0),
                json!({"op": "delete", "type": "node", "id": "c"}),
                node("new", 1.0),
            ],
        );
        commit(&server, "g", &[node("a", 8.0), flow("a", "b", 60.0), flow("a", "c", 1.0)]);
        let refused = merge(&server, "g", "f", "refuse").problem(409, "merge_conflict");
        let conflicts = &refused["conflicts"];
        assert_eq!(conflicts["count"], 3);
        assert_eq!(
            conflicts["records"],
            json!([
                {"type": "node", "id": "a", "fields":
                    [{"field": "output", "base": {"value": 1.0}, "ours": {"value": 8.0}, "theirs": {"value": 7.0}}]},
                {"type": "flow", "id": "a..b", "fields":
                    [{"field": "quantity", "base": {"quantity": 5.0},
                      "ours": {"quantity": 60.0}, "theirs": {"quantity": 50.0}}]},
                {"type": "node", "id": "c", "fields":
                    [{"field": "flows", "base": null, "ours": ["a..c"], "theirs": null}]},
            ])
        );
        assert!(refused["detail"].as_str().unwrap().contains("node a (output)"), "{refused}");
        assert_eq!(server.get("/v1/graphs/g").ok(200)["version"], 2, "nothing was written");

        let merged = merge(&server, "g", "f", on_conflict).ok(200);
        assert_eq!(merged["conflicts_decided"], 3);
        let theirs = on_conflict == "theirs";
        let a = server.get("/v1/graphs/g/nodes/a").ok(200);
        assert_eq!(a["output"]["value"], if theirs { 7.0 } else { 8.0 });
        let ab = server.get("/v1/graphs/g/flows/a..b").ok(200);
        assert_eq!(ab["quantity"], if theirs { 50.0 } else { 60.0 });
        assert_eq!(server.get("/v1/graphs/g/nodes/c").status, if theirs { 404 } else { 200 });
        assert_eq!(server.get("/v1/graphs/g/nodes/new").status, 200);
    }
}

#[test]
fn merges_that_make_no_sense_are_refused() {
    let (_dir, server) = empty();
    small(&server);
    server.put("/v1/graphs/other", &json!({})).ok(201);
    merge(&server, "g", "g", "refuse").problem(400, "invalid_parameter");
    merge(&server, "g", "nothing", "refuse").problem(404, "not_found");
    let unrelated = merge(&server, "g", "other", "refuse").problem(422, "impossible");
    assert!(unrelated["detail"].as_str().unwrap().contains("no version in common"));
    let bad = json!({"from": {"graph": "other"}, "on_conflict": "maybe"});
    server.post("/v1/graphs/g/merges", &bad).problem(400, "invalid_body");
    // Two forks of one graph have its version in common, even after it is gone.
    for fork in ["x", "y"] {
        server.put(&format!("/v1/graphs/{fork}"), &json!({"forked_from": {"graph": "g"}})).ok(201);
        commit(&server, fork, &[node(fork, 1.0)]);
    }
    let stale = [("content-type", "application/json"), ("if-match", "\"0\"")];
    let body = json!({"from": {"graph": "x"}}).to_string();
    server
        .send("POST", "/v1/graphs/y/merges", &stale, body.as_bytes())
        .problem(412, "stale_version");
    assert_eq!(merge(&server, "y", "x", "refuse").ok(200)["applied"], 1);
}

#[test]
fn forks_outlive_their_origin_and_form_no_cycles() {
    let (_dir, server) = empty();
    small(&server);
    server.put("/v1/graphs/f", &json!({"forked_from": {"graph": "g"}})).ok(201);
    commit(&server, "f", &[node("d", 1.0)]);
    server.put("/v1/graphs/ff", &json!({"forked_from": {"graph": "f"}})).ok(201);
    server.put("/v1/graphs/g", &json!({"forked_from": {"graph": "f"}})).problem(409, "name_taken");
    assert_eq!(server.delete("/v1/graphs/g").status, 204);
    assert_eq!(server.get("/v1/graphs/f/flows/a..b").ok(200)["quantity"], 5.0);
    for descendant in ["f", "ff"] {
        let body = json!({"forked_from": {"graph": descendant}});
        let refused = server.put("/v1/graphs/g", &body).problem(422, "impossible");
        assert!(refused["detail"].as_str().unwrap().contains("descends from"), "{refused}");
    }
    // A new graph of the old name is no relative.
    server.put("/v1/graphs/g", &json!({})).ok(201);
    merge(&server, "g", "f", "refuse").problem(422, "impossible");
    assert_eq!(merge(&server, "f", "ff", "refuse").ok(200)["applied"], 0);
}

#[test]
fn a_diff_goes_down_to_single_figures() {
    let (_dir, server) = empty();
    small(&server);
    commit(
        &server,
        "g",
        &[
            json!({"op": "put", "type": "node", "id": "a", "output": {"value": 1, "unit": "t"},
               "attributes": {"owner": "X"}}),
            json!({"op": "put", "type": "flow", "from": "a", "to": "b", "quantity": 5, "year": 2024}),
        ],
    );
    let diff = server.get("/v1/graphs/g/diff?from=1&to=2").ok(200);
    assert_eq!(diff["nodes"], json!({"added": 0, "removed": 0, "changed": 1}));
    let fields = |i: usize| diff["changes"][i]["fields"].clone();
    assert_eq!(
        fields(0),
        json!([
            {"field": "attributes.owner", "before": null, "after": "X"},
            {"field": "output.unit", "before": null, "after": "t"},
        ])
    );
    assert_eq!(fields(1), json!([{"field": "year", "before": null, "after": 2024}]));
}

#[test]
fn a_batch_of_a_hundred_thousand_changes_is_one_version() {
    let (_dir, server) = empty();
    server.put("/v1/graphs/g", &json!({})).ok(201);
    let mut changes: Vec<Value> =
        (0..40_000).map(|i| node(&format!("n{i}"), f64::from(i))).collect();
    changes.extend((0..60_000u32).map(|i| {
        flow(&format!("n{}", i % 40_000), &format!("n{}", (i * 7 + 1 + i / 40_000) % 40_000), 1.0)
    }));
    let applied = server.post("/v1/graphs/g/changes", &json!({ "changes": changes })).ok(200);
    assert_eq!(applied, json!({"version": 1, "applied": 100_000}));
    let graph = server.get("/v1/graphs/g").ok(200);
    assert_eq!((&graph["nodes"], &graph["flows"]), (&json!(40_000), &json!(60_000)));
    // All or nothing: the last of as many fails.
    changes.push(flow("n1", "nowhere", 1.0));
    let refused = server.post("/v1/graphs/g/changes", &json!({ "changes": changes }));
    assert_eq!(refused.problem(422, "invalid_change")["param"], "changes[100000]");
    assert_eq!(server.get("/v1/graphs/g").ok(200)["version"], 1);
}

#[test]
fn a_repeated_key_answers_from_the_version_that_it_made_also_after_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let server = Server::start(&data, &["--no-seed"]);
    small(&server);
    let keyed = [("content-type", "application/json"), ("idempotency-key", "k1")];
    let body = json!({"changes": [node("d", 1.0)]}).to_string();
    let first = server.send("POST", "/v1/graphs/g/changes", &keyed, body.as_bytes());
    assert_eq!((first.status, first.header("etag")), (200, "\"2\""));
    // The answer was durable with the batch, so a crash right after it loses neither.
    server.kill();
    let server = Server::start(&data, &["--no-seed"]);
    let again = server.send("POST", "/v1/graphs/g/changes", &keyed, body.as_bytes());
    assert_eq!((again.status, again.header("etag")), (200, "\"2\""));
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.json(), first.json());
    assert_eq!(server.get("/v1/graphs/g").ok(200)["version"], 2);
    let other = json!({"changes": [node("e", 1.0)]}).to_string();
    server
        .send("POST", "/v1/graphs/g/changes", &keyed, other.as_bytes())
        .problem(422, "key_reused");
    // A refused batch keeps its key free.
    let keyed = [("content-type", "application/json"), ("idempotency-key", "k2")];
    let bad = json!({"changes": [flow("a", "nowhere", 1.0)]}).to_string();
    for _ in 0..2 {
        server
            .send("POST", "/v1/graphs/g/changes", &keyed, bad.as_bytes())
            .problem(422, "invalid_change");
    }
}

/// Every writer adds one to a counter node with If-Match, so the counters of a version tell how
/// many writes it holds: their sum is the version. Readers check that in one answer, that versions
/// never go back, and that what was acknowledged is there.
#[test]
fn each_reader_sees_one_version_and_versions_never_go_back() {
    const WRITERS: usize = 4;
    let (_dir, server) = empty();
    server.put("/v1/graphs/g", &json!({})).ok(201);
    let counters: Vec<Value> = (0..WRITERS).map(|w| node(&format!("w{w}"), 0.0)).collect();
    commit(&server, "g", &counters);
    let (done, acknowledged) = (AtomicBool::new(false), AtomicU64::new(1));
    std::thread::scope(|scope| {
        let (server, done, acknowledged) = (&server, &done, &acknowledged);
        let writers: Vec<_> = (0..WRITERS)
            .map(|w| {
                scope.spawn(move || {
                    let (mut count, mut stale) = (0u64, 0);
                    while count < 25 {
                        // Alone or on the condition that nobody came first.
                        let version = server.get("/v1/graphs/g").ok(200)["version"].clone();
                        let tag = format!("\"{version}\"");
                        let mut headers = vec![("content-type", "application/json")];
                        if count % 2 == 0 {
                            headers.push(("if-match", &tag));
                        }
                        let change = node(&format!("w{w}"), (count + 1) as f64);
                        let body = json!({"changes": [change]}).to_string();
                        let reply =
                            server.send("POST", "/v1/graphs/g/changes", &headers, body.as_bytes());
                        if reply.status == 412 {
                            stale += 1;
                            assert!(stale < 2000);
                            continue;
                        }
                        let version = reply.ok(200)["version"].as_u64().unwrap();
                        acknowledged.fetch_max(version, Ordering::SeqCst);
                        count += 1;
                    }
                })
            })
            .collect();
        for _ in 0..3 {
            scope.spawn(move || {
                let mut last = 0;
                while !done.load(Ordering::SeqCst) {
                    let least = acknowledged.load(Ordering::SeqCst);
                    let reply = server.get("/v1/graphs/g/nodes");
                    let version: u64 = reply.header("etag").trim_matches('"').parse().unwrap();
                    let rows = reply.ok(200);
                    let sum: f64 = rows["results"]
                        .as_array()
                        .unwrap()
                        .iter()
                        .map(|node| node["output"]["value"].as_f64().unwrap())
                        .sum();
                    assert_eq!(sum as u64 + 1, version, "a reader saw parts of two versions");
                    assert!(version >= last, "version {version} after {last}");
                    assert!(version >= least, "an acknowledged version was not visible");
                    last = version;
                }
            });
        }
        for writer in writers {
            writer.join().unwrap();
        }
        done.store(true, Ordering::SeqCst);
    });
    let versions = server.get("/v1/graphs/g/versions?limit=1000").ok(200);
    assert_eq!(versions["meta"]["count"], 2 + 25 * WRITERS);
}

#[test]
fn graphs_beyond_the_memory_budget_are_loaded_when_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let flags = ["--no-seed", "--set", "graph_memory_mib=1"];
    let server = Server::start(&dir.path().join("data"), &flags);
    let lines: String = (0..20_000)
        .map(|i| format!("{{\"type\":\"node\",\"id\":\"node-number-{i}\",\"output\":{i}}}\n"))
        .collect();
    for graph in ["a", "b", "c"] {
        server.put(&format!("/v1/graphs/{graph}"), &json!({})).ok(201);
        server.import(graph, "", &lines).ok(200);
    }
    for round in 0..3 {
        for graph in ["a", "b", "c"] {
            let path = format!("/v1/graphs/{graph}/nodes/node-number-77");
            assert_eq!(server.get(&path).ok(200)["output"]["value"], 77.0);
            commit(&server, graph, &[node("extra", f64::from(round))]);
            let path = format!("/v1/graphs/{graph}/nodes/extra");
            assert_eq!(server.get(&path).ok(200)["output"]["value"], f64::from(round));
        }
    }
    for graph in ["a", "b", "c"] {
        assert_eq!(
            server.get(&format!("/v1/graphs/{graph}/nodes/extra?at=2")).ok(200)["output"]["value"],
            0.0
        );
    }
}

#[test]
fn an_import_can_be_a_job_whose_report_stays() {
    let (_dir, server) = empty();
    server.put("/v1/graphs/g", &json!({})).ok(201);
    let headers = [("content-type", "application/x-ndjson"), ("prefer", "respond-async")];
    let run = |lines: &str| -> Value {
        let started = server.send("POST", "/v1/graphs/g/imports", &headers, lines.as_bytes());
        assert_eq!(started.status, 202, "{}", started.text);
        server.end_of_job(&started.json())
    };
    let done = run("{\"type\":\"node\",\"id\":\"a\"}\n");
    assert_eq!((&done["state"], &done["progress"]), (&json!("succeeded"), &json!(1.0)));
    let report = server.get(done["result"].as_str().unwrap()).ok(200);
    assert_eq!((&report["imported"], &report["version"]), (&json!(true), &json!(1)));
    let refused = run("{\"type\":\"node\"}\n{\"type\":\"flow\",\"from\":\"a\",\"to\":\"b\"}\n");
    assert_eq!(refused["state"], "failed");
    let hint = refused["error"]["hint"].as_str().unwrap();
    let report = server.get(hint.split(' ').next().unwrap()).ok(200);
    assert_eq!(report["imported"], false);
    assert!(!report["problems"].as_array().unwrap().is_empty());
    assert_eq!(server.get("/v1/graphs/g").ok(200)["version"], 1);
    server.get("/v1/imports/import_0").problem(404, "not_found");
}

#[test]
fn tables_are_exported_as_parquet() {
    let (_dir, server) = empty();
    small(&server);
    server.get("/v1/graphs/g/export/things.parquet").problem(404, "not_found");
    for table in ["nodes", "flows", "requirements"] {
        let reply = server.get(&format!("/v1/graphs/g/export/{table}.parquet"));
        assert_eq!((reply.status, reply.header("etag")), (200, "\"1\""));
        assert!(reply.text.starts_with("PAR1") && reply.text.ends_with("PAR1"));
    }
}
