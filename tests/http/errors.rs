//! Bad input: each gets its problem, the process lives, nothing is half-written.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use crate::support::Server;
use serde_json::json;

fn send(server: &Server, body: &str) -> crate::support::Reply {
    let headers = [("content-type", "application/json")];
    server.send("POST", "/v1/graphs/g/changes", &headers, body.as_bytes())
}

#[test]
fn every_bad_request_gets_its_problem() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(
        &dir.path().join("data"),
        &["--no-seed", "--set", "json_limit_mib=1", "--set", "import_limit_mib=1"],
    );
    server.put("/v1/graphs/g", &json!({})).ok(201);

    let place =
        send(&server, "{\"changes\": [\n  {\"op\" \"put\"}]}").problem(400, "malformed_json");
    assert_eq!((&place["line"], place["column"].is_u64()), (&json!(2), true));
    send(&server, "").problem(400, "malformed_json");
    send(&server, "{\"changes\":[]} x").problem(400, "malformed_json");
    let nan = r#"{"changes":[{"op":"put","type":"node","id":"a","output":NaN}]}"#;
    let nan = send(&server, nan).problem(400, "malformed_json");
    assert!(nan["hint"].as_str().unwrap().contains("NaN"));
    let negative = r#"{"changes":[{"op":"put","type":"node","id":"a"},{"op":"put","type":"node","id":"b","output":-1}]}"#;
    assert_eq!(send(&server, negative).problem(422, "invalid_change")["param"], "changes[1]");
    let country = r#"{"changes":[{"op":"put","type":"node","id":"a","country":"Chona"}]}"#;
    assert_eq!(send(&server, country).problem(422, "impossible")["param"], "changes[0].country");
    let field = r#"{"changes":[{"op":"put","type":"node","id":"a","outputt":1}]}"#;
    let field = send(&server, field).problem(400, "invalid_body");
    assert_eq!(
        (&field["param"], &field["hint"]),
        (&json!("changes[0].outputt"), &json!("did you mean output?"))
    );
    let dangling = r#"{"changes":[{"op":"put","type":"flow","from":"a","to":"b"}]}"#;
    let dangling = send(&server, dangling).problem(422, "invalid_change");
    assert!(dangling["detail"].as_str().unwrap().contains("a..b"));
    let kind = r#"{"changes":[{"op":"put","type":"knot","id":"a"}]}"#;
    send(&server, kind).problem(400, "invalid_body");

    let arrays = format!("{{\"changes\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    assert_eq!(send(&server, &arrays).status, 400);
    let objects = format!(
        "{{\"shocks\":[{{\"select\":{}{}}}]}}",
        "{\"not\":".repeat(10_000),
        "}".repeat(10_000)
    );
    let headers = [("content-type", "application/json")];
    server
        .send("POST", "/v1/scenarios", &headers, objects.as_bytes())
        .problem(400, "json_too_deep");

    let large = vec![b' '; 2 << 20];
    server.send("POST", "/v1/graphs/g/changes", &headers, &large).problem(413, "too_large");
    let ndjson = [("content-type", "application/x-ndjson")];
    server.send("POST", "/v1/graphs/g/imports", &ndjson, &large).problem(413, "too_large");
    let text = [("content-type", "text/plain")];
    server
        .send("POST", "/v1/graphs/g/changes", &text, b"{}")
        .problem(415, "unsupported_media_type");

    server.get("/v1/nothing").problem(404, "no_such_path");
    let method = server.delete("/v1/graphs/g/changes");
    assert_eq!(method.header("allow"), "POST");
    method.problem(405, "method_not_allowed");
    for (query, param) in [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=ten", "limit"),
        ("limt=1", "limt"),
        ("filter=country", "filter"),
        ("filter=contry:CHN", "filter"),
        ("filter=country:Chona", "filter"),
        ("sort=weight", "sort"),
        ("cursor=c1", "cursor"),
        ("at=-1", "at"),
    ] {
        let problem = server.get(&format!("/v1/graphs/g/nodes?{query}"));
        assert_eq!(problem.problem(400, "invalid_parameter")["param"], param, "{query}");
    }
    server.get("/v1/jobs/none").problem(404, "not_found");
    server.get("/v1/graphs/g/search?q=%20").problem(400, "invalid_parameter");

    // Nothing of all that was written, and the server still serves.
    let graph = server.get("/v1/graphs/g").ok(200);
    assert_eq!((&graph["version"], &graph["nodes"]), (&json!(0), &json!(0)));
}
