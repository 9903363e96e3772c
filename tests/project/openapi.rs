//! The committed OpenAPI document is the one that the code makes.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use chokepoint::http::openapi::document_text;

#[test]
fn the_committed_document_has_not_drifted() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi/openapi.json");
    let now = document_text();
    if std::env::var_os("CHOKEPOINT_WRITE_OPENAPI").is_some() {
        std::fs::write(path, &now).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed == now,
        "openapi/openapi.json has drifted; run: cargo run -- openapi > openapi/openapi.json"
    );
}
