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

/// Two types with one name would share a schema, and one of them would be described wrongly.
#[test]
fn schema_names_are_unique() {
    fn visit(dir: &std::path::Path, names: &mut std::collections::BTreeMap<String, String>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                visit(&path, names);
            }
            if path.extension().is_none_or(|e| e != "rs") {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let mut lines = text.lines();
            while let Some(line) = lines.next() {
                if !(line.starts_with("#[derive(") && line.contains("ToSchema")) {
                    continue;
                }
                let mut renamed = None;
                let declared = lines.by_ref().find_map(|line| {
                    if let Some(name) = line.strip_prefix("#[schema(as = ") {
                        renamed = Some(name.trim_end_matches(")]").to_owned());
                    }
                    let mut words =
                        line.split([' ', '<', '{']).skip_while(|w| w.starts_with("pub"));
                    let is_type = matches!(words.next(), Some("struct" | "enum"));
                    is_type.then(|| words.next().unwrap_or_default().to_owned())
                });
                let name = renamed.or(declared).unwrap();
                let here = path.display().to_string();
                if let Some(there) = names.insert(name.clone(), here.clone()) {
                    panic!("{name} is in {here} and {there}: add #[schema(as = …)] to one");
                }
            }
        }
    }
    let mut names = std::collections::BTreeMap::new();
    visit(std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")), &mut names);
    assert!(names.len() > 200, "{}", names.len());
}

#[test]
fn every_reference_leads_somewhere() {
    fn check(value: &serde_json::Value, document: &serde_json::Value) {
        match value {
            serde_json::Value::Object(object) => {
                if let Some(reference) = object.get("$ref").and_then(|r| r.as_str()) {
                    let pointer = reference.trim_start_matches('#');
                    assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
                }
                object.values().for_each(|child| check(child, document));
            }
            serde_json::Value::Array(items) => items.iter().for_each(|i| check(i, document)),
            _ => {}
        }
    }
    for document in [
        chokepoint::http::openapi::document_json(),
        chokepoint::http::openapi_30::document_json_30(),
    ] {
        check(&document, &document);
    }
}
