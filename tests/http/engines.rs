//! Engines: one port, the same rows everywhere; what a run that fails, hangs or lies leaves behind.
//!
//! What needs no Spark runs with a program that stands in for it. The comparison with Spark runs
//! where `TEST_SPARK_PYTHON` names a Python with pyspark (see `.ci/spark`), on the cluster
//! of `TEST_SPARK_MASTER` (default `local[2]`). `TEST_SPARK_WORKER` is the
//! process of a worker that may be killed.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test may panic, and says what it skips"
)]

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::support::Server;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

const PRODUCTS: usize = 40;

/// A random graph with every rule, as NDJSON.
fn random_graph(nodes: usize, flows: usize) -> String {
    let mut random = rand_pcg::Pcg64::seed_from_u64(7);
    let mut lines = Vec::new();
    for v in 0..nodes {
        let mut node = json!({"type": "node", "id": format!("n{v:06}"), "product": format!("p{}", v % PRODUCTS),
            "stage": format!("s{}", v % 3), "country": (["CHN", "USA", "DEU", "JPN"][v % 4])});
        if v % 7 != 0 {
            node["output"] = json!(1 + v % 9);
        }
        lines.push(node.to_string());
    }
    for _ in 0..flows {
        let (from, to) = (random.random_range(0..nodes), random.random_range(0..nodes));
        let quantity: f64 = random.random_range(0.1..1.0);
        let ends = json!({"type": "flow", "from": format!("n{from:06}"), "to": format!("n{to:06}"),
            "quantity": quantity});
        lines.push(ends.to_string());
    }
    for output in 0..PRODUCTS {
        for input in 0..PRODUCTS {
            let mut record = json!({"type": "requirement", "output": format!("p{output}"), "input": format!("p{input}")});
            match random.random_range(0..5) {
                0 => record["rule"] = json!("additive"),
                1 => {
                    record["rule"] = json!("threshold");
                    record["min_share"] = json!(0.3);
                }
                2 => record["rule"] = json!("none"),
                _ => {
                    record["rule"] = json!("limiting");
                    record["dependence"] = json!(random.random_range(0.1..0.6));
                }
            }
            lines.push(record.to_string());
        }
    }
    lines.join("\n")
}

fn server(data: &Path, settings: &[String]) -> Server {
    let mut flags = vec!["--no-seed"];
    for setting in settings {
        flags.extend(["--set", setting]);
    }
    Server::start(data, &flags)
}

fn with_graph(data: &Path, settings: &[String], nodes: usize, flows: usize) -> Server {
    let server = server(data, settings);
    server.put("/v1/graphs/g", &json!({})).ok(201);
    server.import("g", "", &random_graph(nodes, flows)).ok(200);
    server
}

fn ask(server: &Server, engine: &str, analysis: &Value) -> Value {
    let body = json!({"engine": engine, "analysis": analysis});
    server.post("/v1/graphs/g/analyses", &body).ok(202)
}

/// Runs an analysis to its end: the answer and all its rows.
fn run(server: &Server, engine: &str, analysis: &Value) -> (Value, Vec<Value>) {
    let job = server.end_of_job(&ask(server, engine, analysis));
    let answer = server.get(job["result"].as_str().unwrap()).ok(200);
    let rows = rows_of(server, &job);
    assert_eq!(answer["count"], rows.len());
    (answer, rows)
}

/// A program that says it is a Python with pyspark, and then does something else with its folder.
fn stand_in(dir: &Path, body: &str) -> String {
    let path = dir.join("python");
    let text = format!("#!/bin/sh\nif [ \"$1\" = -c ]; then echo 0.0 0.0; exit; fi\n{body}\n");
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    format!("spark_python={}", path.display())
}

/// Processes whose command line holds a text.
fn processes(text: &str) -> usize {
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = all.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    lines.filter(|line| String::from_utf8_lossy(line).contains(text)).count()
}

fn gone(text: &str) {
    let late = Instant::now() + Duration::from_secs(10);
    while processes(text) > 0 {
        assert!(Instant::now() < late, "a process of {text} is left");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn left_behind(data: &Path) -> usize {
    std::fs::read_dir(data.join("exchange/running")).map_or(0, |entries| entries.count())
}

#[test]
fn without_spark_a_request_for_it_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let server = with_graph(&dir.path().join("data"), &[], 20, 40);
    let engines = server.get("/v1/engines").ok(200);
    assert_eq!(engines["results"][0]["name"], "local");
    assert_eq!(engines["results"][0]["available"], true);
    assert_eq!(engines["results"][1]["name"], "spark");
    assert_eq!(engines["results"][1]["available"], false);
    assert!(engines["results"][1]["reason"].as_str().unwrap().contains("spark_python"));
    let stays = engines["stays_local"].to_string();
    assert!(stays.contains("betweenness") && stays.contains("cut sets"));

    let body = json!({"engine": "spark", "analysis": {"name": "degree"}});
    let problem = server.post("/v1/graphs/g/analyses", &body).problem(422, "engine_unavailable");
    assert_eq!(problem["param"], "engine");
    for bad in [
        json!({"engine": "flink", "analysis": {"name": "degree"}}),
        json!({"analysis": {"name": "degree", "top": 1}}),
        json!({"analysis": {"name": "betweenness"}}),
        json!({"analysis": {"name": "degree"}, "seed": 1}),
    ] {
        server.post("/v1/graphs/g/analyses", &bad).problem(400, "invalid_body");
    }
    let damping = json!({"analysis": {"name": "pagerank", "damping": 1.5}});
    let problem = server.post("/v1/graphs/g/analyses", &damping);
    assert_eq!(problem.problem(400, "invalid_parameter")["param"], "analysis.damping");
    server.get("/v1/analyses/ana_000000000000000000000000").problem(404, "not_found");
    server.get("/v1/analyses/ana_..%2F..").problem(404, "not_found");
}

#[test]
fn a_program_that_is_no_spark_is_reported_at_start() {
    let dir = tempfile::tempdir().unwrap();
    let server = server(&dir.path().join("data"), &["spark_python=/nowhere/python".into()]);
    let spark = server.get("/v1/engines").ok(200)["results"][1].clone();
    assert!(spark["reason"].as_str().unwrap().contains("/nowhere/python cannot be run"));
}

#[test]
fn the_local_engine_agrees_with_the_questions_that_answer_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let server = with_graph(&data, &[], 300, 1200);

    let (answer, rows) = run(&server, "local", &json!({"name": "pagerank", "weight": "quantity"}));
    assert_eq!((&answer["graph"], &answer["version"]), (&json!("g"), &json!(1)));
    assert_eq!(answer["analysis"]["damping"], 0.85);
    assert!(answer["seed"].is_null() && answer["versions"]["chokepoint"].is_string());
    let body = json!({"measure": "pagerank", "weight": "quantity"});
    let scores = server.post("/v1/graphs/g/centrality", &body).ok(200);
    let scores = scores["scores"].as_array().unwrap();
    for (row, score) in rows.iter().zip(scores) {
        assert_eq!(row["id"], score["id"]);
        let (a, b) = (row["score"].as_f64().unwrap(), score["score"].as_f64().unwrap());
        assert!((a - b).abs() < 1e-8);
    }

    let scenarios = json!([{"id": "one", "shocks": [{"select": {"node": "n000003"}}]},
                           {"shocks": [{"select": {"country": "CHN", "product": "p4"}, "loss": 0.5}]}]);
    let targets = json!([{"name": "t", "select": {"product": "p5"}}]);
    let question = json!({"name": "impacts", "scenarios": scenarios, "targets": targets,
                          "model": {"direction": "both"}});
    let (answer, rows) = run(&server, "local", &question);
    let batch = json!({"scenarios": scenarios, "targets": targets, "losses": "sparse",
                       "model": {"direction": "both"}});
    let lines = server.post("/v1/graphs/g/impacts/batch", &batch).text;
    for (k, line) in lines.lines().enumerate() {
        let line: Value = serde_json::from_str(line).unwrap();
        for field in ["id", "index", "results", "sweeps", "converged"] {
            assert_eq!(answer["scenarios"][k][field], line[field], "{field}");
        }
        let mine = rows
            .iter()
            .filter(|row| row["scenario"] == line["id"] && row["loss"].as_f64().unwrap() > 1e-12);
        let mut mine: Vec<(String, Value)> =
            mine.map(|row| (row["id"].to_string(), row["loss"].clone())).collect();
        let theirs = line["nodes"].as_array().unwrap();
        let mut theirs: Vec<(String, Value)> =
            theirs.iter().map(|node| (node["id"].to_string(), node["loss"].clone())).collect();
        mine.sort_by(|a, b| a.0.cmp(&b.0));
        theirs.sort_by(|a, b| a.0.cmp(&b.0));
        assert_eq!(mine, theirs);
    }

    // Asked again: the same answer at once, also after a restart; then forgotten.
    let body = json!({"engine": "local", "analysis": question});
    let again = server.post("/v1/graphs/g/analyses", &body).ok(200);
    assert_eq!(again, answer);
    server.kill();
    let server = self::server(&data, &[]);
    let path = format!("/v1/analyses/{}", answer["id"].as_str().unwrap());
    assert_eq!(server.get(&path).ok(200), answer);
    assert_eq!(server.get(&format!("{path}/rows?limit=1")).ok(200)["results"][0], rows[0]);
    server.get(&format!("{path}/rows?cursor=c0-1-0")).problem(400, "invalid_parameter");
    assert_eq!(server.delete(&path).status, 204);
    server.get(&path).problem(404, "not_found");
    assert_eq!(left_behind(&data), 0);
}

#[test]
fn what_spark_does_not_do_is_refused_before_it_starts() {
    let dir = tempfile::tempdir().unwrap();
    let spark = stand_in(dir.path(), "exit 1");
    let server = with_graph(&dir.path().join("data"), &[spark], 20, 40);
    for (model, param) in [
        (json!({"rationing": {"rule": "priority"}}), "analysis.model.rationing"),
        (json!({"substitution": "flow_headroom"}), "analysis.model.substitution"),
        (json!({"mode": "timeline"}), "analysis.model.mode"),
        (json!({"stop": {"rule": "step"}}), "analysis.model.stop"),
    ] {
        let analysis = json!({"name": "impacts", "model": model,
            "scenarios": [{"shocks": [{"select": {"node": "n000001"}}]}]});
        let body = json!({"engine": "spark", "analysis": analysis});
        let problem = server.post("/v1/graphs/g/analyses", &body).problem(422, "impossible");
        assert_eq!(problem["param"], param);
        assert!(problem["hint"].as_str().unwrap().contains("local"));
    }
}

#[test]
fn a_failed_run_shows_the_end_of_its_log() {
    let dir = tempfile::tempdir().unwrap();
    let body =
        "echo first >&2; echo the reason >&2; echo '{\"error\": \"no memory left\"}'; exit 3";
    let spark = stand_in(dir.path(), body);
    let data = dir.path().join("data");
    let server = with_graph(&data, &[spark], 20, 40);
    let job = server.end_of_job(&ask(&server, "spark", &json!({"name": "degree"})));
    assert_eq!((&job["state"], &job["kind"]), (&json!("failed"), &json!("analysis on spark")));
    assert_eq!(job["error"]["code"], "engine_failed");
    assert!(job["error"]["detail"].as_str().unwrap().contains("no memory left"));
    assert_eq!(job["error"]["report"]["log"], json!(["first", "the reason"]));
    assert_eq!(left_behind(&data), 0);
}

#[test]
fn a_run_that_is_cancelled_or_too_slow_leaves_no_process() {
    let dir = tempfile::tempdir().unwrap();
    // Children that ignore a polite request, as a busy machine may.
    let mark = "314.159265";
    let body = format!("trap '' TERM; sleep {mark} & echo '{{\"progress\": 0.5}}'; sleep {mark}");
    let spark = stand_in(dir.path(), &body);
    let data = dir.path().join("data");
    let server = with_graph(&data, &[spark], 20, 40);
    let job = ask(&server, "spark", &json!({"name": "degree"}));
    let path = format!("/v1/jobs/{}", job["id"].as_str().unwrap());
    let late = Instant::now() + Duration::from_secs(20);
    while server.get(&path).ok(200)["progress"].as_f64().unwrap() < 0.4 {
        assert!(Instant::now() < late);
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(processes(mark), 2);
    server.delete(&path).ok(200);
    assert_eq!(server.end_of_job(&job)["state"], "cancelled");
    gone(mark);

    let body = json!({"engine": "spark", "analysis": {"name": "strength"}, "timeout_seconds": 1});
    let job = server.post("/v1/graphs/g/analyses", &body).ok(202);
    let job = server.end_of_job(&job);
    assert_eq!((&job["state"], &job["error"]["code"]), (&json!("failed"), &json!("deadline")));
    gone(mark);
    assert_eq!(left_behind(&data), 0);

    // A server that stops takes its runs with it.
    let job = ask(&server, "spark", &json!({"name": "concentration"}));
    let path = format!("/v1/jobs/{}", job["id"].as_str().unwrap());
    while server.get(&path).ok(200)["progress"].as_f64().unwrap() < 0.4 {
        assert!(Instant::now() < late + Duration::from_secs(40));
        std::thread::sleep(Duration::from_millis(20));
    }
    server.terminate();
    gone(mark);
}

#[test]
fn a_result_that_is_not_what_its_manifest_says_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    // A result made of the hand-over itself, with a manifest that lies in one place.
    let manifest = |id: &str, hash: &str, rows: usize| {
        format!(
            "mkdir -p result/rows && cp input/sources/part-00000.parquet result/rows/p.parquet\n\
             sum=$(sha256sum result/rows/p.parquet | cut -d' ' -f1)\n\
             bytes=$(wc -c < result/rows/p.parquet)\n\
             id=$(sed 's/.*\"id\":\"\\([^\"]*\\)\".*/\\1/' arguments.json)\n\
             cat > result/manifest.json <<END\n\
             {{\"schema\":1,\"id\":\"{id}\",\"graph\":\"g\",\"version\":1,\"counts\":{{\"rows\":{rows}}},\
             \"files\":[{{\"table\":\"rows\",\"path\":\"rows/p.parquet\",\"bytes\":$bytes,\"sha256\":\"{hash}\"}}]}}\n\
             END\n"
        )
    };
    let data = dir.path().join("data");
    let spark = stand_in(dir.path(), "exit 1");
    let server = with_graph(&data, &[spark], 20, 40);
    let analysis = json!({"name": "reachability", "from": {"node": "n000001"}});
    let wrong = "0".repeat(64);
    for (body, says) in [
        (manifest("$id", &wrong, 1), "SHA-256"),
        (manifest("$id", "$sum", 2), "2 rows"),
        (manifest("ana_1", "$sum", 1), "is the result of ana_1"),
    ] {
        stand_in(dir.path(), &body);
        let job = server.end_of_job(&ask(&server, "spark", &analysis));
        assert_eq!(job["state"], "failed", "{job}");
        assert_eq!(job["error"]["code"], "engine_failed");
        assert!(job["error"]["detail"].as_str().unwrap().contains(says), "{job}");
    }
    // The same without a lie is served, so the lies were what was refused.
    stand_in(dir.path(), &manifest("$id", "$sum", 1));
    let (answer, rows) = run(&server, "spark", &analysis);
    assert_eq!(answer["engine"], "spark-0.0");
    assert_eq!(rows, [json!({"id": "n000001"})]);
}

#[test]
fn an_import_that_does_not_fit_the_budget_is_refused_with_the_figures() {
    let dir = tempfile::tempdir().unwrap();
    // The budget leaves too little for 400,000 flows, whatever the process itself takes.
    let server = server(&dir.path().join("data"), &["memory_budget_mib=60".into()]);
    server.put("/v1/graphs/g", &json!({})).ok(201);
    let small: String =
        (0..1000).map(|i| format!("{{\"type\":\"node\",\"id\":\"{i}\"}}\n")).collect();
    server.import("g", "", &small).ok(200);
    let mut large = small;
    for i in 0..400_000 {
        let (from, to) = (i % 1000, i / 1000);
        large.push_str(&format!("{{\"type\":\"flow\",\"from\":\"{from}\",\"to\":\"{to}\"}}\n"));
    }
    let problem = server.import("g", "", &large).problem(503, "over_budget");
    assert!(problem["detail"].as_str().unwrap().contains("MiB"), "{problem}");
    assert_eq!(server.get("/v1/graphs/g").ok(200)["version"], 1);
}

/// Rows by what names them.
fn by_key(rows: &[Value]) -> BTreeMap<String, &Value> {
    let key =
        |row: &Value| ["scenario", "id", "product", "stage"].map(|k| row[k].to_string()).join(" ");
    rows.iter().map(|row| (key(row), row)).collect()
}

/// Checks that two results have the same rows; doubles may differ by `tolerance`.
fn same(local: &[Value], spark: &[Value], tolerance: f64) {
    let (local, spark) = (by_key(local), by_key(spark));
    assert_eq!(local.keys().collect::<Vec<_>>(), spark.keys().collect::<Vec<_>>());
    for (key, row) in &local {
        for (field, value) in row.as_object().unwrap() {
            let other = &spark[key][field];
            match (value.as_f64(), other.as_f64()) {
                (Some(a), Some(b)) => {
                    assert!((a - b).abs() <= tolerance, "{key} {field}: {a}, {b}");
                }
                _ => assert_eq!(value, other, "{key} {field}"),
            }
        }
    }
}

/// The Python with pyspark and the master of the cluster, if they are set.
fn spark() -> Option<(String, String)> {
    let Ok(python) = std::env::var("TEST_SPARK_PYTHON") else {
        println!("skipped: TEST_SPARK_PYTHON names no Python with pyspark");
        return None;
    };
    let master = std::env::var("TEST_SPARK_MASTER").unwrap_or("local[2]".into());
    Some((python, master))
}

#[test]
fn spark_gives_the_rows_of_the_local_engine() {
    let Some((python, master)) = spark() else { return };
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let settings =
        [format!("spark_python={python}"), format!("spark_master={master}"), "job_slots=2".into()];
    let server = with_graph(&data, &settings, 10_000, 40_000);
    let impacts = json!({"name": "impacts", "scenarios": [
        {"id": "nodes", "shocks": [{"select": {"node": ["n000003", "n000004"]}, "loss": 0.9}]},
        {"id": "flows", "shocks": [{"flow": {"from": {"country": "CHN"}, "to": {"product": "p3"}}, "cut": 0.8}]}],
        "targets": [{"name": "t", "select": {"product": "p5"}}]});
    let questions = [
        (impacts, 1e-9),
        (json!({"name": "pagerank", "weight": "quantity"}), 1e-6),
        (json!({"name": "components", "kind": "weak"}), 0.0),
        (json!({"name": "components", "kind": "strong"}), 0.0),
    ];
    // Side by side: most of a small run is waiting.
    std::thread::scope(|threads| {
        for (question, tolerance) in &questions {
            let server = &server;
            threads.spawn(move || {
                let (local, spark) =
                    (run(server, "local", question), run(server, "spark", question));
                same(&local.1, &spark.1, *tolerance);
                assert!(spark.0["versions"]["spark"].is_string());
                for (a, b) in local.0["scenarios"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .zip(spark.0["scenarios"].as_array().into_iter().flatten())
                {
                    let value = |line: &Value| line["index"]["value"].as_f64().unwrap();
                    assert!((value(a) - value(b)).abs() < 1e-9);
                    assert!(value(a) > 0.0 && b["converged"] == true);
                }
            });
        }
    });
    assert_eq!(left_behind(&data), 0);
}

#[test]
fn spark_refuses_a_changed_hand_over_and_survives_a_lost_worker() {
    let Some((python, master)) = spark() else { return };
    let dir = tempfile::tempdir().unwrap();
    // The real Python, after somebody changed a file of the hand-over.
    let real = format!(
        "if [ -e ../../tamper ]; then printf x >> input/flows/part-00000.parquet; fi\nexec {python} \"$@\""
    );
    let program = stand_in(dir.path(), &real);
    let data = dir.path().join("data");
    let settings = [program, format!("spark_master={master}")];
    let server = with_graph(&data, &settings, 2000, 8000);
    let mark = data.join("exchange/tamper");
    std::fs::create_dir_all(data.join("exchange")).unwrap();
    std::fs::write(&mark, "").unwrap();
    let job = server.end_of_job(&ask(&server, "spark", &json!({"name": "degree"})));
    assert_eq!(job["state"], "failed");
    assert!(job["error"]["detail"].as_str().unwrap().contains("SHA-256"), "{job}");
    std::fs::remove_file(&mark).unwrap();

    // Cancelled in the middle: driver and its JVM go.
    let question = json!({"name": "pagerank", "tolerance": 1e-14});
    let job = ask(&server, "spark", &question);
    let path = format!("/v1/jobs/{}", job["id"].as_str().unwrap());
    let wait = |path: &str| {
        let late = Instant::now() + Duration::from_secs(120);
        while server.get(path).ok(200)["progress"].as_f64().unwrap() < 0.2 {
            assert!(Instant::now() < late);
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    wait(&path);
    let folder = data.join("exchange/running").display().to_string();
    assert!(processes(&folder) > 0 || processes("job.py") > 0);
    server.delete(&path).ok(200);
    assert_eq!(server.end_of_job(&job)["state"], "cancelled");
    gone(&folder);
    assert_eq!(left_behind(&data), 0);

    let Ok(worker) = std::env::var("TEST_SPARK_WORKER") else {
        println!("skipped: TEST_SPARK_WORKER names no worker to kill");
        return;
    };
    // Killed in the middle: the other worker ends the run, or it fails with a reason.
    let question = json!({"name": "pagerank"});
    let job = ask(&server, "spark", &question);
    wait(&format!("/v1/jobs/{}", job["id"].as_str().unwrap()));
    let killed = std::process::Command::new("kill").args(["-KILL", &worker]).status().unwrap();
    assert!(killed.success());
    let job = server.end_of_job(&job);
    println!("after the loss of a worker: {}", job["state"]);
    if job["state"] == "failed" {
        assert_eq!(job["error"]["code"], "engine_failed", "{job}");
        assert!(!job["error"]["report"]["log"].as_array().unwrap().is_empty());
        return;
    }
    let spark = rows_of(&server, &job);
    same(&run(&server, "local", &question).1, &spark, 1e-6);
}

/// The rows of a finished job.
fn rows_of(server: &Server, job: &Value) -> Vec<Value> {
    assert_eq!(job["state"], "succeeded", "{job}");
    let mut rows: Vec<Value> = Vec::new();
    let mut cursor = String::new();
    loop {
        let path = format!("{}/rows?limit=1000{cursor}", job["result"].as_str().unwrap());
        let page = server.get(&path).ok(200);
        rows.extend(page["results"].as_array().unwrap().iter().cloned());
        match page["meta"]["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return rows,
        }
    }
}
