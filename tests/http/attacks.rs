//! Attacks on a running server that are not about credentials (those stand in `access`): each with
//! the status that it gets.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{Reply, Server};
use serde_json::{Value, json};

const JSON: (&str, &str) = ("content-type", "application/json");

/// Status of the answer to bytes that are sent as they are.
fn status(server: &Server, bytes: &[u8]) -> String {
    server.raw(bytes).split(' ').nth(1).unwrap_or_default().to_owned()
}

#[test]
fn ids_that_climb_out_name_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let secret = dir.path().join("secret.json");
    std::fs::write(&secret, "{\"secret\": 1}").unwrap();
    let server = Server::start(&dir.path().join("data"), &["--no-seed"]);
    server.put("/v1/graphs/g", &json!({})).ok(201);
    let up = "..%2f..%2f..%2fsecret.json";
    for path in [
        format!("/v1/graphs/{up}"),
        format!("/v1/graphs/g/nodes/{up}"),
        format!("/v1/graphs/g/flows/{up}"),
        format!("/v1/graphs/g/requirements/{up}"),
        format!("/v1/scenarios/{up}"),
        format!("/v1/impacts/{up}"),
        format!("/v1/cut-sets/{up}"),
        format!("/v1/structure/{up}"),
        format!("/v1/imports/{up}"),
        format!("/v1/jobs/{up}"),
        format!("/v1/figures/{up}"),
    ] {
        let reply = server.get(&path);
        assert!(!reply.text.contains("\"secret\""), "{path}: {}", reply.text);
        reply.problem(404, "not_found");
    }
    server.put(&format!("/v1/graphs/{up}"), &json!({})).problem(400, "invalid_parameter");
    server.put(&format!("/v1/graphs/g/nodes/{up}"), &json!({})).problem(422, "invalid_change");
    // With single dots a node may be called like a path: it is a key in the store, not a file.
    server.put("/v1/graphs/g/nodes/.%2fsecret.json", &json!({})).ok(201);
    assert_eq!(std::fs::read_to_string(&secret).unwrap(), "{\"secret\": 1}");
}

#[test]
fn an_answer_is_only_at_its_own_address() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &["--no-seed"]);
    server.put("/v1/graphs/g", &json!({})).ok(201);
    server.import("g", "", &large(50)).ok(200);
    let made = server.post("/v1/graphs/g/centrality", &json!({"measure": "degree"})).ok(200);
    let id = made["id"].as_str().unwrap();
    server.get(&format!("/v1/structure/{id}")).ok(200);
    for collection in ["impacts", "batches", "knock-outs", "comparisons", "cut-sets"] {
        server.get(&format!("/v1/{collection}/{id}")).problem(404, "not_found");
    }
}

#[test]
fn what_users_send_does_not_forge_log_lines_or_headers() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let mut child = Command::new(env!("CARGO_BIN_EXE_chokepoint"))
        .args(["serve", "--no-seed", "--log", "json", "--bind", "127.0.0.1:0", "--data-dir"])
        .arg(dir.path().join("data"))
        .env("CHOKEPOINT_LOG_FILTER", "info")
        .stdout(Stdio::piped())
        .stderr(std::fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let mut first = String::new();
    let mut out = std::io::BufReader::new(child.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut out, &mut first).unwrap();
    let address = first.trim().rsplit("//").next().unwrap().to_owned();
    let send = |request: &str| {
        let mut stream = TcpStream::connect(&address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    let forged = "%0d%0a%7B%22level%22:%22FORGED%22%7D";
    let answers = [
        send(&format!("GET /v1/graphs/a{forged} HTTP/1.0\r\nHost: x\r\n\r\n")),
        send(&format!("GET /v1/graphs?limit=a{forged} HTTP/1.0\r\nHost: x\r\n\r\n")),
        send(&format!(
            "GET /v1/absent{forged} HTTP/1.0\r\nHost: x\r\nUser-Agent: a\t{{\"level\":\"FORGED\"}}\r\n\r\n"
        )),
        send("GET /v1/graphs?api_key=cpk_1_VERYSECRET HTTP/1.0\r\nHost: x\r\n\r\n"),
    ];
    let statuses: Vec<&str> = answers.iter().map(|a| a.split(' ').nth(1).unwrap()).collect();
    assert_eq!(statuses, ["404", "400", "404", "400"], "{answers:?}");
    for answer in &answers {
        let head = answer.split("\r\n\r\n").next().unwrap();
        assert!(!head.contains("FORGED"), "{head}");
    }
    assert!(
        Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success()
    );
    child.wait().unwrap();
    let log = std::fs::read_to_string(log).unwrap();
    assert!(!log.contains("VERYSECRET"), "{log}");
    for line in log.lines() {
        let entry: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        assert_ne!(entry["level"], "FORGED", "{line}");
    }
}

#[test]
fn oversized_requests_are_refused_before_they_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let flags = ["--no-seed", "--set", "json_limit_mib=1", "--set", "import_limit_mib=1"];
    let server = Server::start(dir.path(), &flags);
    server.put("/v1/graphs/g", &json!({})).ok(201);
    for (path, media) in [
        ("/v1/graphs/g/impacts", "application/json"),
        ("/v1/graphs/g/changes", "application/json"),
        ("/v1/graphs/g/imports", "application/x-ndjson"),
    ] {
        // Only said to be large: no byte of it has to come.
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {media}\r\nContent-Length: 99999999999\r\n\r\n"
        );
        assert_eq!(status(&server, head.as_bytes()), "413", "{path}");
        // Not said: stopped at the limit.
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {media}\r\nTransfer-Encoding: chunked\r\n\r\n"
        );
        let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
        let mut stream = server.connect();
        stream.write_all(head.as_bytes()).unwrap();
        // The server may answer and close while the rest is under way.
        let sent = (0..64).take_while(|_| stream.write_all(chunk.as_bytes()).is_ok()).count();
        let mut answer = [0; 1024];
        let read = stream.read(&mut answer).unwrap_or(0);
        let answer = String::from_utf8_lossy(&answer[..read]);
        assert!(answer.contains(" 413 ") || sent < 64, "{path}: {answer}");
    }
    // A head beyond what is read at all.
    let head =
        format!("GET /healthz HTTP/1.1\r\nHost: x\r\nX-Long: {}\r\n\r\n", "a".repeat(1 << 20));
    let found = status(&server, head.as_bytes());
    assert!(["431", "400", ""].contains(&&*found), "{found}");
    // JSON that is deep rather than long.
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    server
        .send("POST", "/v1/graphs/g/impacts", &[JSON], deep.as_bytes())
        .problem(400, "invalid_body");
    let deep = format!(
        "{{\"shocks\":[{{\"select\":{}1{}}}]}}",
        "{\"not\":".repeat(9999),
        "}".repeat(9999)
    );
    server
        .send("POST", "/v1/graphs/g/impacts", &[JSON], deep.as_bytes())
        .problem(400, "json_too_deep");
    assert_eq!(server.get("/healthz").status, 200);
}

#[test]
fn a_body_that_stops_coming_is_let_go() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &["--no-seed", "--set", "request_timeout_seconds=1"]);
    server.put("/v1/graphs/g", &json!({})).ok(201);
    for (path, media) in [
        ("/v1/graphs/g/changes", "application/json"),
        ("/v1/graphs/g/imports", "application/x-ndjson"),
    ] {
        let start = Instant::now();
        let part = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {media}\r\nContent-Length: 1000\r\n\r\n{{"
        );
        assert_eq!(status(&server, part.as_bytes()), "408", "{path}");
        assert!(start.elapsed() < Duration::from_secs(15));
    }
    assert_eq!(server.get("/v1/graphs/g").ok(200)["version"], 0);
}

/// A graph on which exact betweenness takes minutes in a debug build.
fn large(nodes: u64) -> String {
    let mut text = String::new();
    for i in 0..nodes {
        let _ = writeln!(text, "{{\"type\":\"node\",\"id\":\"n{i}\"}}");
    }
    for i in 0..nodes {
        for k in [1, 7, 31, 101] {
            let to = (i * 3 + k) % nodes;
            let _ = writeln!(text, "{{\"type\":\"flow\",\"from\":\"n{i}\",\"to\":\"n{to}\"}}");
        }
    }
    text
}

#[test]
fn a_cancelled_request_frees_its_work() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &["--no-seed", "--set", "cpu_threads=1"]);
    server.put("/v1/graphs/g", &json!({})).ok(201);
    server.import("g", "", &large(30_000)).ok(200);
    let body = json!({"measure": "betweenness", "top": 1}).to_string();
    let request = format!(
        "POST /v1/graphs/g/centrality HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
         Prefer: wait\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = server.connect();
    stream.write_all(request.as_bytes()).unwrap();
    // The only thread is busy: a short wait brings no answer.
    stream.set_read_timeout(Some(Duration::from_millis(1500))).unwrap();
    assert!(stream.read(&mut [0; 16]).is_err(), "the work is too small for this test");
    drop(stream);
    let start = Instant::now();
    let degree = json!({"measure": "degree", "top": 1});
    server.post("/v1/graphs/g/centrality", &degree).ok(200);
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    // A job is cancelled by its address, and says so.
    let headers = [JSON, ("prefer", "respond-async")];
    let job = server.send("POST", "/v1/graphs/g/centrality", &headers, body.as_bytes());
    cancelled(&server, &job);
}

/// Cancels the job that a reply names.
fn cancelled(server: &Server, reply: &Reply) {
    assert_eq!(reply.status, 202, "{}", reply.text);
    server.delete(reply.header("location")).ok(200);
    let start = Instant::now();
    assert_eq!(server.end_of_job(&reply.json())["state"], "cancelled");
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}

#[test]
fn a_question_that_takes_longer_than_its_caller_waits_goes_on_as_a_job() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let server = Server::start(&data, &["--no-seed", "--set", "answer_within_seconds=1"]);
    server.put("/v1/graphs/g", &json!({})).ok(201);
    let ask = |top: usize, prefer: &str| {
        let body = json!({"measure": "betweenness", "top": top}).to_string();
        let headers = [JSON, ("prefer", prefer)];
        let start = Instant::now();
        let reply = server.send("POST", "/v1/graphs/g/centrality", &headers, body.as_bytes());
        (reply, start.elapsed())
    };
    // As long as it takes, on a graph for which this is longer than the others wait.
    let (mut nodes, mut whole, mut took) = (6_000, Value::Null, Duration::ZERO);
    while took < Duration::from_secs(2) {
        server.import("g", "?mode=replace", &large(nodes)).ok(200);
        let (reply, time) = ask(1, "wait");
        (whole, took) = (reply.ok(200), time);
        nodes += nodes / 3;
    }
    // Without a wish the estimate decides before anything runs.
    for (top, prefer, within) in [
        (2, "none", 0.0),
        (3, "wait=0", 0.0),
        (4, "wait=1", 1.0),
        (5, "wait=1, respond-async", 1.0),
    ] {
        let (reply, took) = ask(top, prefer);
        assert_eq!(reply.status, 202, "{prefer}: {}", reply.text);
        assert!(
            took.as_secs_f64() >= within && took < Duration::from_secs(15),
            "{prefer}: {took:?}"
        );
        let job = reply.ok(202);
        if within > 0.0 {
            assert_eq!(job["state"], "running", "{job}");
        }
        let job = server.end_of_job(&job);
        assert_eq!(job["state"], "succeeded", "{job}");
        let answer = server.get(job["result"].as_str().unwrap()).ok(200);
        assert_eq!(answer["scores"][0], whole["scores"][0], "{answer}");
    }
    // Such a job can be cancelled, and one too many is refused and does not go on.
    let (reply, _) = ask(6, "wait=1");
    cancelled(&server, &reply);
    server.terminate();

    let server = Server::start(&data, &["--set", "jobs_per_principal=1"]);
    let body = |top: usize| json!({"measure": "betweenness", "top": top}).to_string();
    let headers = [JSON, ("prefer", "wait=1")];
    let post = |top| server.send("POST", "/v1/graphs/g/centrality", &headers, body(top).as_bytes());
    let (first, second) = std::thread::scope(|scope| {
        let first = scope.spawn(|| post(7));
        let second = post(8);
        (first.join().unwrap(), second)
    });
    let refused = [&first, &second].into_iter().filter(|reply| reply.status != 202).count();
    assert_eq!(refused, 1, "{} {}", first.text, second.text);
    let refused = if first.status == 202 { second } else { first };
    assert_eq!(refused.status, 429, "{}", refused.text);
    assert!(!refused.header("retry-after").is_empty());
}
