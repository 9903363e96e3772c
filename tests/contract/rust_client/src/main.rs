//! The flagship question through a client that was generated from the OpenAPI document.
//!
//! Usage: chokepoint-client http://127.0.0.1:8080

progenitor::generate_api!(spec = "openapi-3.0.json", interface = Builder);

use serde_json::{Value, json};

const GRAPH: &str = "critical-minerals";

/// A value without what is null: the client does not keep apart null and absent.
fn known(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let known = fields.iter().filter(|(_, v)| !v.is_null());
            Value::Object(known.map(|(name, v)| (name.clone(), self::known(v))).collect())
        }
        Value::Array(items) => items.iter().map(known).collect(),
        other => other.clone(),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let base = std::env::args().nth(1).ok_or("say where the service is")?;
    let client = Client::new(&base);
    let question: types::ScenarioBody =
        serde_json::from_value(json!({"scenario": "china-refining-stops"}))?;
    let answer = client.post_impact().g(GRAPH).body(question).send().await?.into_inner();
    let answer: Value = serde_json::to_value(&answer)?;
    let id = answer["id"].as_str().ok_or("no id")?.to_owned();

    // The same over bare HTTP: the client loses nothing.
    let plain = reqwest::get(format!("{base}/v1/impacts/{id}")).await?.json::<Value>().await?;
    for part in ["headline", "results", "index", "sources"] {
        assert!(known(&answer[part]) == known(&plain[part]), "the client changes {part}");
    }
    let again = client.get_impact().id(&id).send().await?.into_inner();
    assert!(serde_json::to_value(&again)? == answer, "another answer under the same id");

    let node = client.get_node().g(GRAPH).id("gallium.refine.CHN").send().await?.into_inner();
    assert_eq!(serde_json::to_value(&node)?["country"], "CHN");
    let page = client.list_nodes().g(GRAPH).limit(5).send().await?.into_inner();
    assert_eq!(page.results.len(), 5);

    let absent = client.get_node().g(GRAPH).id("galium.refine.CHN").send().await;
    match absent {
        Err(Error::ErrorResponse(problem)) => {
            assert_eq!(problem.status(), 404);
            assert_eq!(serde_json::to_value(problem.into_inner())?["code"], "not_found");
        }
        other => return Err(format!("an absent node: {other:?}").into()),
    }
    println!("generated Rust client: {}", answer["headline"].as_str().ok_or("no headline")?);
    Ok(())
}
