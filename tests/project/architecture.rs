//! The arrows of the data flow: which module may import which. What is not listed is forbidden.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::path::{Path, PathBuf};

/// Each module with the modules of ours that it may import (itself aside).
const ARROWS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("graph", &["model"]),
    ("analysis", &["graph", "model"]),
    ("store", &["model"]),
    ("dataset", &["model"]),
    ("report", &["model"]),
    ("service", &["analysis", "graph", "store", "dataset", "model"]),
    ("http", &["service", "analysis", "graph", "store", "dataset", "model", "config", "report"]),
    ("config", &["model"]),
];

/// Crates that only some modules may name.
const CRATES: &[(&str, &[&str])] = &[
    ("sled", &["store"]),
    ("actix_web", &["http"]),
    ("utoipa_swagger_ui", &["http"]),
    ("indicatif", &[]),
];

fn sources(dir: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|e| e == "rs") {
            into.push(path);
        }
    }
}

fn files_of(module: &str) -> Vec<PathBuf> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    let (dir, file) = (src.join(module), src.join(format!("{module}.rs")));
    if dir.is_dir() {
        sources(&dir, &mut files);
    }
    if file.is_file() {
        files.push(file);
    }
    assert!(!files.is_empty(), "there is no module {module}");
    files
}

/// The code of a file without its tests and comments.
fn code(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap();
    let body = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    body.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

#[test]
fn imports_follow_the_arrows() {
    let mut wrong = Vec::new();
    for (module, allowed) in ARROWS {
        for file in files_of(module) {
            if file.components().any(|c| c.as_os_str() == "tests") {
                continue;
            }
            let code = code(&file);
            for (other, _) in ARROWS {
                let imports = code.contains(&format!("crate::{other}::"))
                    || code.contains(&format!("crate::{other};"));
                if other != module && !allowed.contains(other) && imports {
                    wrong.push(format!("{} imports {other}", file.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn crates_stay_in_their_layer() {
    let mut wrong = Vec::new();
    for (module, _) in ARROWS {
        for file in files_of(module) {
            let code = code(&file);
            for (name, allowed) in CRATES {
                if !allowed.contains(module) && code.contains(&format!("{name}::")) {
                    wrong.push(format!("{} names {name}", file.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_pure_layers_know_no_clock_and_no_files() {
    for module in ["model", "graph", "analysis"] {
        for file in files_of(module) {
            let code = code(&file);
            for forbidden in ["std::fs", "SystemTime", "chrono::Utc", "thread_rng", "rand::rng()"] {
                assert!(!code.contains(forbidden), "{} uses {forbidden}", file.display());
            }
        }
    }
}

#[test]
fn every_file_says_what_it_is() {
    let mut files = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.starts_with("//! "), "{} does not start with //!", file.display());
    }
}
