//! Answers given before the full way are those of the full way: same bodies, headers, refusals.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::io::{Read, Write};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Reply, Server};

const JSON: (&str, &str) = ("content-type", "application/json");
/// A page of another origin is always answered by the full way.
const FULL: (&str, &str) = ("origin", "http://elsewhere.example");
const IMPACTS: &str = "/v1/graphs/g/impacts";

/// A chain a -> b -> c, and `a` and `b` as countries.
fn chain(server: &Server) {
    server.put("/v1/graphs/g", &json!({})).ok(201);
    let changes = json!({"changes": [
        {"op": "put", "type": "node", "id": "a", "country": "CHN", "attributes": {"note": "=\"x\""}},
        {"op": "put", "type": "node", "id": "b", "country": "JPN"},
        {"op": "put", "type": "node", "id": "c"},
        {"op": "put", "type": "flow", "from": "a", "to": "b"},
        {"op": "put", "type": "flow", "from": "b", "to": "c"}]});
    server.post("/v1/graphs/g/changes", &changes).ok(200);
}

fn question(node: &str, loss: f64) -> Value {
    json!({"shocks": [{"select": {"node": node}, "loss": loss}],
           "targets": [{"name": "c", "select": {"node": "c"}}]})
}

/// Everything of an answer but what differs from request to request.
fn essence(reply: &Reply) -> (u16, Vec<(String, String)>, String) {
    let mut headers: Vec<(String, String)> = reply
        .headers
        .iter()
        .filter(|(name, _)| !["date", "x-request-id"].contains(&name.as_str()))
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect();
    headers.sort();
    (reply.status, headers, reply.text.clone())
}

fn asks(server: &Server, headers: &[(&str, &str)], body: &Value) -> Reply {
    let mut all = vec![JSON];
    all.extend(headers);
    server.send("POST", IMPACTS, &all, body.to_string().as_bytes())
}

/// The loss of `c` in an answer.
fn loss(reply: Reply) -> f64 {
    reply.ok(200)["results"][0]["loss"]["value"].as_f64().unwrap()
}

#[test]
fn both_ways_give_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &["--no-seed"]);
    chain(&server);
    for node in ["a", "b", "c"] {
        let path = format!("/v1/graphs/g/nodes/{node}");
        let (plain, full) = (server.get(&path), server.get_with(&path, &[FULL]));
        assert_eq!(essence(&plain), essence(&full));
        assert_eq!(plain.status, 200);
        let id = plain.header("x-request-id");
        assert_eq!(uuid::Uuid::parse_str(id).unwrap().get_version_num(), 4);
        assert_ne!(id, full.header("x-request-id"));
    }
    // Small bodies are not packed, but for those who take nothing else.
    let packing =
        |accepted| server.get_with("/v1/graphs/g/nodes/a", &[("accept-encoding", accepted)]);
    assert_eq!(packing("gzip, br").header("content-encoding"), "");
    assert_eq!(packing("gzip, identity;q=0").header("content-encoding"), "gzip");
    server.get("/v1/graphs/g/nodes/absent").problem(404, "not_found");
    server.get("/v1/graphs/absent/nodes/a").problem(404, "not_found");
    assert_eq!(server.get_with("/v1/graphs/g/nodes/a", &[("if-none-match", "\"1\"")]).status, 304);

    let body = question("a", 0.5);
    let first = asks(&server, &[], &body);
    for again in [asks(&server, &[], &body), asks(&server, &[FULL], &body)] {
        assert_eq!(essence(&first), essence(&again));
    }
    let packed = server.send("POST", IMPACTS, &[JSON, ("content-encoding", "gzip")], b"no gzip");
    packed.problem(400, "malformed_request");
    server
        .send("POST", IMPACTS, &[("content-type", "text/csv")], b"{}")
        .problem(415, "unsupported_media_type");
    // A job is made of what is not known yet.
    let later = [("prefer", "respond-async")];
    assert_eq!(essence(&asks(&server, &later, &body)), essence(&first));
    assert_eq!(asks(&server, &later, &question("b", 0.5)).status, 202);

    // Both are counted under their route.
    let metrics = server.get("/metrics").text;
    let counted = |what: &str| {
        let line = metrics
            .lines()
            .find(|l| l.starts_with("chokepoint_http_requests_total") && l.contains(what));
        line.and_then(|l| l.rsplit(' ').next()?.parse::<u64>().ok())
    };
    let node = r#"method="GET",route="/v1/graphs/{g}/nodes/{id}",status="200""#;
    assert_eq!(counted(node), Some(8), "{metrics}");
    let impact = r#"method="POST",route="/v1/graphs/{g}/impacts",status="200""#;
    assert_eq!(counted(impact), Some(4), "{metrics}");
}

#[test]
fn the_same_words_mean_what_they_say_now() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &["--no-seed"]);
    chain(&server);
    // A stored scenario that changes.
    let named = json!({"scenario": "s"});
    for share in [0.25, 0.75] {
        let stored = server.put("/v1/scenarios/s", &question("a", share));
        assert!(stored.status < 300, "{}", stored.text);
        for _ in 0..3 {
            assert_eq!(loss(asks(&server, &[], &named)), share);
        }
    }
    assert_eq!(server.delete("/v1/scenarios/s").status, 204);
    assert_eq!(asks(&server, &[], &named).status, 404);
    // A graph that changes: c gets a second supplier.
    let body = question("b", 1.0);
    for _ in 0..2 {
        assert_eq!(loss(asks(&server, &[], &body)), 1.0);
    }
    let changes = json!({"changes": [
        {"op": "put", "type": "node", "id": "d", "product": "b"},
        {"op": "put", "type": "flow", "from": "d", "to": "c", "quantity": 1}]});
    let version = server.post("/v1/graphs/g/changes", &changes).ok(200)["version"].clone();
    for _ in 0..2 {
        let now = asks(&server, &[], &body).ok(200);
        assert_eq!(now["version"], version);
        assert_eq!(now["results"][0]["loss"]["value"], 0.5);
    }
    // A graph that was deleted and made again.
    assert!(server.delete("/v1/graphs/g").status < 300);
    assert_eq!(asks(&server, &[], &body).status, 404);
    assert_eq!(server.get("/v1/graphs/g/nodes/a").status, 404);
    chain(&server);
    assert_eq!(loss(asks(&server, &[], &body)), 1.0);
    // An older version by its number, beside the newest in the same words but for it.
    server.post("/v1/graphs/g/changes", &changes).ok(200);
    let mut older = body.clone();
    older["at"] = json!(1);
    for _ in 0..2 {
        assert_eq!(loss(asks(&server, &[], &older)), 1.0);
        assert_eq!(loss(asks(&server, &[], &body)), 0.5);
    }
}

#[test]
fn bodies_in_pieces_and_slow_ones_are_read_as_before() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &["--no-seed", "--set", "request_timeout_seconds=1"]);
    chain(&server);
    let body = question("a", 0.5).to_string();
    let expected = asks(&server, &[], &question("a", 0.5)).text;
    let head = format!(
        "POST {IMPACTS} HTTP/1.1\r\nhost: h\r\ncontent-type: application/json\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    let (begin, end) = body.split_at(body.len() / 2);
    for pieces in [
        vec![head.clone() + &body],
        vec![head.clone() + begin, end.to_owned()],
        vec![head.clone(), begin.to_owned(), end.to_owned()],
    ] {
        let mut stream = server.connect();
        for piece in &pieces {
            stream.write_all(piece.as_bytes()).unwrap();
            std::thread::sleep(Duration::from_millis(50));
        }
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.ends_with(&expected), "{answer}");
    }
    // Two requests in one piece, on one connection.
    let twice = head.replace("connection: close\r\n", "") + &body + &head + &body;
    let mut stream = server.connect();
    stream.write_all(twice.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert_eq!(answer.matches("HTTP/1.1 200 OK\r\n").count(), 2, "{answer}");
    // A body that never comes.
    let mut stream = server.connect();
    stream.write_all((head + begin).as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
}

#[test]
fn keys_and_rates_hold_here_too() {
    let dir = tempfile::tempdir().unwrap();
    let key = |role: &str| {
        let made = Command::new(env!("CARGO_BIN_EXE_chokepoint"))
            .args(["keys", "create", "test", "--role", role, "--data-dir"])
            .arg(dir.path())
            .output()
            .unwrap();
        format!("Bearer {}", String::from_utf8(made.stdout).unwrap().trim())
    };
    let (reader, editor) = (key("reader"), key("editor"));
    let flags =
        ["--no-seed", "--set", "auth=keys", "--set", "rate_limit=1", "--set", "rate_burst=6"];
    let server = Server::start(dir.path(), &flags);
    let with = |key: &str, method: &str, path: &str, body: &Value| {
        let headers = [("authorization", key), JSON];
        match method {
            "GET" => server.get_with(path, &headers[..1]),
            _ => server.send(method, path, &headers, body.to_string().as_bytes()),
        }
    };
    with(&editor, "PUT", "/v1/graphs/g", &json!({})).ok(201);
    let node = json!({"changes": [{"op": "put", "type": "node", "id": "c"}]});
    with(&editor, "POST", "/v1/graphs/g/changes", &node).ok(200);
    let body = question("c", 1.0);
    for _ in 0..2 {
        with(&editor, "POST", IMPACTS, &body).ok(200);
    }
    // Remembered, but not for a reader, and for nobody without a key.
    with(&reader, "POST", IMPACTS, &body).problem(403, "forbidden");
    asks(&server, &[], &body).problem(401, "unauthorized");
    server.get("/v1/graphs/g/nodes/c").problem(401, "unauthorized");
    let mut left = 0;
    let refused = loop {
        let reply = with(&reader, "GET", "/v1/graphs/g/nodes/c", &Value::Null);
        if reply.status != 200 {
            break reply;
        }
        left += 1;
        assert!(left < 50, "no limit");
    };
    assert_eq!(refused.header("retry-after"), "1");
    refused.problem(429, "rate_limited");
    assert!((4..=7).contains(&left), "{left}");
}
