//! The explorer in a real browser. Skipped, with a line that says why, where there is no Chromium,
//! Node or npm, or where the two packages of `tests/browser/package.json` cannot be installed.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test may panic, and says why it is skipped"
)]

#[path = "../support/mod.rs"]
mod support;

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::json;
use support::Server;

fn runs(program: &str, flag: &str) -> bool {
    Command::new(program)
        .arg(flag)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// A directory with the script and its packages, or why there is none.
fn prepare() -> Result<PathBuf, String> {
    let chromium = std::env::var("CHROMIUM").unwrap_or_else(|_| "/usr/bin/chromium".into());
    if !Path::new(&chromium).exists() {
        return Err(format!("there is no {chromium}; name one in CHROMIUM"));
    }
    for program in ["node", "npm"] {
        if !runs(program, "--version") {
            return Err(format!("there is no {program}"));
        }
    }
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser");
    let to = Path::new(env!("CARGO_TARGET_TMPDIR")).join("browser");
    std::fs::create_dir_all(&to).unwrap();
    for file in ["package.json", "package-lock.json", "explorer.mjs"] {
        std::fs::copy(from.join(file), to.join(file)).unwrap();
    }
    let installed = Command::new("npm")
        .args(["ci", "--prefer-offline", "--no-audit", "--no-fund", "--ignore-scripts"])
        .current_dir(&to)
        .output();
    match installed {
        Ok(output) if output.status.success() => Ok(to),
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            Err(format!("npm ci failed: {}", text.lines().next().unwrap_or_default()))
        }
        Err(error) => Err(format!("npm does not run: {error}")),
    }
}

/// Names that must stay text.
fn hostile(server: &Server) {
    server.put("/v1/graphs/hostile", &json!({"title": "<b>Bad</b> names"})).ok(201);
    let names = [
        "<script>alert(1)</script>".to_owned(),
        "\"><img src=x onerror=alert(1)>".to_owned(),
        "=HYPERLINK(\"http://example.org\")".to_owned(),
        "safe\u{202E}gpj.exe".to_owned(),
        format!("long{}", "x".repeat(10_000)),
    ];
    let mut lines = String::new();
    for (i, name) in names.iter().enumerate() {
        // Labels hold 512 bytes, attributes 4 096.
        let label: String = name.chars().take(500).collect();
        let node = json!({"type": "node", "id": format!("n{i}"), "product": label,
            "stage": label, "country": "CHN", "attributes": {"name": &name[..name.len().min(3_000)]}});
        writeln!(lines, "{node}").unwrap();
        if i > 0 {
            let flow = json!({"type": "flow", "from": format!("n{}", i - 1), "to": format!("n{i}"), "quantity": 1});
            writeln!(lines, "{flow}").unwrap();
        }
    }
    let odd = json!({"type": "node", "id": names[0], "stage": "mine", "country": "PER"});
    writeln!(lines, "{odd}").unwrap();
    server.import("hostile", "", &lines).ok(200);
}

/// 1 000 nodes and 4 000 flows in five stages.
fn large(server: &Server) {
    server.put("/v1/graphs/large", &json!({"title": "Five thousand elements"})).ok(201);
    let stages = ["mine", "refine", "component", "platform", "industry"];
    let mut lines = String::new();
    let id = |stage: usize, i: usize| format!("p{i}.{}", stages[stage]);
    for (s, stage) in stages.iter().enumerate() {
        for i in 0..200 {
            let node = json!({"type": "node", "id": id(s, i), "stage": stage, "product": format!("p{i}_{stage}")});
            writeln!(lines, "{node}").unwrap();
        }
    }
    for s in 1..stages.len() {
        for i in 0..200 {
            for k in 0..5 {
                let from = id(s - 1, (i * 7 + k * 31) % 200);
                let flow = json!({"type": "flow", "from": from, "to": id(s, i), "quantity": k + 1});
                writeln!(lines, "{flow}").unwrap();
            }
        }
    }
    server.import("large", "", &lines).ok(200);
}

fn drive(dir: &Path, server: &Server, phase: &str) {
    let output = Command::new("node")
        .arg("explorer.mjs")
        .args([&server.base, phase])
        .arg(dir.join("pictures"))
        .current_dir(dir)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let failed = String::from_utf8_lossy(&output.stderr).into_owned();
    eprintln!("{said}");
    assert!(output.status.success(), "{said}\n{failed}");
}

#[test]
fn analysts_can_work_in_a_browser() {
    let dir = match prepare() {
        Ok(dir) => dir,
        Err(why) => {
            eprintln!("SKIPPED: the browser test did not run: {why}");
            return;
        }
    };
    std::fs::create_dir_all(dir.join("pictures")).unwrap();
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(&data.path().join("data"), &[]);
    hostile(&server);
    large(&server);
    drive(&dir, &server, "first");
    assert_eq!(server.terminate(), Some(0));
    let server = Server::start(&data.path().join("data"), &[]);
    drive(&dir, &server, "again");
}
