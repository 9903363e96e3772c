//! The process: restarts, signals, exit codes, backup, the command line beside the server.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;
use std::process::{Command, Output};

use crate::support::Server;
use serde_json::json;

fn run(data: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_chokepoint"))
        .args(arguments)
        .arg("--data-dir")
        .arg(data)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_restart_keeps_the_data_and_imports_nothing_again() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let server = Server::start(&data, &[]);
    server.put("/v1/graphs/mine", &json!({"title": "Mine"})).ok(201);
    server.put("/v1/graphs/mine/nodes/a", &json!({"country": "PER"})).ok(201);
    server.delete("/v1/graphs/critical-minerals/nodes/gallium.refine.CHN?detach=true").ok(200);
    assert_eq!(server.terminate(), Some(0));

    let server = Server::start(&data, &[]);
    assert_eq!(server.get("/v1/graphs/mine/nodes/a").ok(200)["country"], "PER");
    assert_eq!(server.get("/v1/graphs/critical-minerals").ok(200)["version"], 2);
    server.get("/v1/graphs/critical-minerals/nodes/gallium.refine.CHN").problem(404, "not_found");
    server.get("/v1/graphs/critical-minerals/nodes/gallium.refine.CHN?at=1").ok(200);
    // What was acknowledged survives a kill.
    server.put("/v1/graphs/mine/nodes/b", &json!({})).ok(201);
    server.kill();
    let server = Server::start(&data, &[]);
    server.get("/v1/graphs/mine/nodes/b").ok(200);
}

#[test]
fn files_go_in_and_out_by_the_command_line() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let file = dir.path().join("g.ndjson");
    let lines = "{\"type\":\"node\",\"id\":\"a\"}\n{\"type\":\"node\",\"id\":\"b\"}\n{\"type\":\"flow\",\"from\":\"a\",\"to\":\"b\",\"quantity\":2.5}\n";
    std::fs::write(&file, lines).unwrap();
    let done = run(&data, &["import", "g", file.to_str().unwrap()]);
    assert!(done.status.success(), "{}", text(&done.stderr));
    assert!(text(&done.stdout).contains("2 nodes, 1 flows"), "{}", text(&done.stdout));
    let out = dir.path().join("out.ndjson");
    assert!(run(&data, &["export", "g", out.to_str().unwrap()]).status.success());
    assert_eq!(std::fs::read_to_string(&out).unwrap(), lines);
    assert!(text(&run(&data, &["check"]).stdout).contains("sound"));

    let backup = dir.path().join("b.bin");
    assert!(run(&data, &["backup", backup.to_str().unwrap()]).status.success());
    let copy = dir.path().join("copy");
    let restored = run(&copy, &["restore", backup.to_str().unwrap()]);
    assert!(restored.status.success(), "{}", text(&restored.stderr));
    assert_eq!(text(&run(&copy, &["export", "g", "-"]).stdout), lines);

    // Exit codes as documented, one sentence each.
    std::fs::write(&file, "{\"type\":\"node\"}\n").unwrap();
    let exits = |data: &Path, arguments: &[&str], code| {
        let done = run(data, arguments);
        assert_eq!(done.status.code(), Some(code), "{arguments:?}: {}", text(&done.stderr));
        assert!(!done.stderr.is_empty());
        assert!(!text(&done.stderr).contains("panicked"), "{}", text(&done.stderr));
    };
    exits(&data, &["import", "new", file.to_str().unwrap()], 3);
    exits(&data, &["export", "new", "-"], 4);
    exits(&data, &["import", "g", "absent.ndjson"], 4);
    exits(&data, &["import", "g", "Cargo.lock"], 3);
    exits(&copy, &["restore", backup.to_str().unwrap()], 5);
    exits(&data, &["serve", "--bind", "nowhere"], 2);
    exits(&data, &["serve", "--nonsense"], 2);
    exits(&data, &["serve", "--set", "wokers=1"], 2);
}

#[test]
fn a_store_in_use_or_a_port_in_use_is_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let server = Server::start(&data, &["--no-seed"]);
    let locked = run(&data, &["export", "g", "-"]);
    assert_eq!(locked.status.code(), Some(5));
    assert!(text(&locked.stderr).contains("in use"), "{}", text(&locked.stderr));
    let address = server.base.strip_prefix("http://").unwrap();
    let taken = run(&dir.path().join("other"), &["serve", "--bind", address]);
    assert_eq!(taken.status.code(), Some(6), "{}", text(&taken.stderr));
    assert!(text(&taken.stderr).contains("--bind"));
}

#[test]
fn a_backup_is_taken_while_the_server_runs() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let server = Server::start(&data, &["--no-seed"]);
    server.put("/v1/graphs/g", &json!({})).ok(201);
    server.put("/v1/graphs/g/nodes/a", &json!({})).ok(201);
    let url = format!("{}/v1/admin/backup", server.base);
    let mut response = ureq::post(&url).send_empty().unwrap();
    let bytes = response.body_mut().read_to_vec().unwrap();
    let file = dir.path().join("b.bin");
    std::fs::write(&file, bytes).unwrap();
    let copy = dir.path().join("copy");
    let restored = run(&copy, &["restore", file.to_str().unwrap()]);
    assert!(restored.status.success(), "{}", text(&restored.stderr));
    assert!(text(&run(&copy, &["export", "g", "-"]).stdout).contains("\"id\":\"a\""));
}
