//! What each parser is fed, and what must hold. Shared by the fuzz targets (nightly, open-ended)
//! and by `tests/project/fuzz_parsers.rs` (stable, bounded, with a seed).

use std::sync::OnceLock;

use chokepoint::dataset::formats::{Exporter, Format, ImportOptions, Importer};
use chokepoint::model::Network;
use chokepoint::service::access::tokens::{TokenOptions, Tokens};

fn read(format: Format, data: &[u8]) -> Option<Network> {
    let mut importer =
        Importer::new(format, ImportOptions::new(chokepoint::dataset::countries())).ok()?;
    // Two chunks: a border in the middle must not matter.
    let (a, b) = data.split_at(data.len() / 2);
    importer.feed(a).ok()?;
    importer.feed(b).ok()?;
    importer.finish().ok()?.0
}

fn write(network: &Network) -> Vec<u8> {
    let mut exporter = Exporter::new(Format::Ndjson, network, None);
    let mut text = Vec::new();
    while let Some(chunk) = exporter.next_chunk() {
        text.extend(chunk);
    }
    text
}

/// A file of a format: no panic, and what is accepted comes back the same after an export.
pub fn import(format: Format, data: &[u8]) {
    let Some(network) = read(format, data) else { return };
    let text = write(&network);
    let again = read(Format::Ndjson, &text).map(|again| write(&again));
    assert!(again.is_some_and(|again| again == text), "the round trip changed the graph");
}

/// The parser with this name.
pub fn run(name: &str, data: &[u8]) {
    let text = || String::from_utf8_lossy(data).into_owned();
    match name {
        "ndjson" => import(Format::Ndjson, data),
        "csv" => import(Format::Csv, data),
        "graphml" => import(Format::GraphMl, data),
        "node_link" => import(Format::NodeLink, data),
        "zip" => import(Format::CsvZip, data),
        "filter" => drop(chokepoint::service::filter::parse(&text())),
        "selector" => drop(serde_json::from_slice::<chokepoint::model::Selector>(data)),
        "scenario" => {
            if let Ok(body) =
                serde_json::from_slice::<chokepoint::model::scenario::ScenarioBody>(data)
            {
                drop(body.check());
            }
        }
        "mef" => {
            if let Ok(tree) = chokepoint::dataset::mef::read(&text(), None) {
                let again =
                    chokepoint::dataset::mef::read(&chokepoint::dataset::mef::write(&tree), None);
                assert!(again.is_ok(), "what is written cannot be read");
            }
        }
        "token" => {
            if let Some(tokens) = verifier() {
                assert!(tokens.check(&text()).is_err(), "a token without our signature passed");
            }
        }
        other => panic!("there is no parser {other}"),
    }
}

/// Every parser.
pub const PARSERS: [&str; 10] = [
    "ndjson",
    "csv",
    "graphml",
    "node_link",
    "zip",
    "filter",
    "selector",
    "scenario",
    "mef",
    "token",
];

/// A verifier with a key that nobody signs with.
fn verifier() -> Option<&'static Tokens> {
    static VERIFIER: OnceLock<Option<Tokens>> = OnceLock::new();
    let make = || {
        let file = std::env::temp_dir().join(format!("jwks-{}.json", std::process::id()));
        std::fs::write(
            &file,
            r#"{"keys":[{"kty":"EC","crv":"P-256","kid":"k","use":"sig","alg":"ES256",
                "x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
                "y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#,
        )
        .ok()?;
        let tokens = Tokens::new(TokenOptions {
            issuer: "https://idp.example".into(),
            audience: "chokepoint".into(),
            jwks: file.display().to_string(),
            role_claim: "role".into(),
            graphs_claim: "graphs".into(),
        });
        let _ = std::fs::remove_file(file);
        tokens.ok()
    };
    VERIFIER.get_or_init(make).as_ref()
}
