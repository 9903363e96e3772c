//! What analysts ask, each question as one call. The numbers are those of the list that the service
//! was built for; the missing ones wait for their endpoints.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use crate::support::Server;
use serde_json::{Value, json};

const GRAPH: &str = "/v1/graphs/critical-minerals";

struct Analyst {
    server: Server,
    _data: tempfile::TempDir,
}

impl Analyst {
    fn new() -> Self {
        let data = tempfile::tempdir().unwrap();
        Self { server: Server::start(&data.path().join("data"), &[]), _data: data }
    }

    fn ask(&self, what: &str, body: &Value) -> Value {
        self.server.post(&format!("{GRAPH}/{what}"), body).ok(200)
    }
}

fn industry(product: &str) -> Value {
    json!({"name": product, "select": {"product": product, "stage": "industry"}})
}

fn loss(result: &Value) -> f64 {
    result["loss"]["value"].as_f64().unwrap()
}

fn list(value: &Value) -> &Vec<Value> {
    value.as_array().unwrap()
}

#[test]
fn what_happens_why_and_for_the_minister() {
    let analyst = Analyst::new();

    // 1. China stops refining: what happens to semiconductors, EVs, defence?
    let answer = analyst.ask("impacts", &json!({"scenario": "china-refining-stops", "draws": 20}));
    for target in ["semiconductors", "electric_vehicles", "defence"] {
        let result = list(&answer["results"]).iter().find(|r| r["target"] == target).unwrap();
        assert!(loss(result) > 0.05, "{result}");
        assert!(
            result["loss"]["low"].as_f64().unwrap() <= result["loss"]["high"].as_f64().unwrap()
        );
        assert!(!list(&result["binding"]).is_empty());
        assert!(result["share_of"].as_str().unwrap().contains("output"));
    }
    assert!(answer["headline"].as_str().unwrap().starts_with("Losing China's refining cuts"));
    let id = answer["id"].as_str().unwrap();
    let get = |path: &str| analyst.server.get(&format!("/v1/impacts/{id}/{path}"));

    // 2. Why is semiconductors down?
    let why = get("explanation?target=semiconductors").ok(200);
    let why = &list(&why["explanation"])[0];
    let chains: f64 = list(&why["chains"]).iter().map(|c| c["amount"].as_f64().unwrap()).sum();
    let sum = chains + why["other"].as_f64().unwrap();
    assert!((sum - why["loss"].as_f64().unwrap()).abs() < 1e-9, "the chains add up to the loss");

    // 15. Which figures drive this answer; which are guesses?
    let drivers = get("sensitivity").ok(200);
    assert_eq!(list(&drivers["targets"]).len(), list(&answer["results"]).len());
    let classes =
        ["measured", "recalled", "estimate"].map(|c| answer["quality"][c].as_f64().unwrap());
    assert!((classes.iter().sum::<f64>() - 1.0).abs() < 1e-9);

    // 20. Give me one page for the minister.
    let brief = get("brief.html");
    assert_eq!(brief.status, 200);
    assert!(brief.text.contains("<svg") && brief.text.contains("Read this with it"));
}

#[test]
fn where_it_hurts_most() {
    let analyst = Analyst::new();

    // 3. Which refining step hurts most?
    let ranking = analyst.ask(
        "knock-outs",
        &json!({"units": {"group_by": ["country", "product"]}, "select": {"stage": "refine"},
            "targets": [industry("electric_vehicles")], "top": 10}),
    );
    let losses: Vec<f64> = list(&ranking["results"])
        .iter()
        .map(|r| r["loss"]["electric_vehicles"].as_f64().unwrap())
        .collect();
    assert!(losses[0] > 0.1 && losses.is_sorted_by(|a, b| a >= b), "{losses:?}");

    // 6. Smallest sets of suppliers whose loss halves F-35 output?
    let sets = analyst.ask(
        "cut-sets",
        &json!({"target": {"product": "f35"}, "loss_at_least": 0.5, "max_size": 2,
            "units": {"group_by": ["country", "stage"]}, "limit": 20}),
    );
    for set in list(&sets["cut_sets"]) {
        assert!(set["loss"].as_f64().unwrap() >= 0.5 - 1e-9, "{set}");
        assert!(list(&set["units"]).len() <= 2);
    }
    assert!(sets["headline"].as_str().is_some());

    // 14. If alumina falls, what by-products fall?
    let fallen = analyst.ask(
        "impacts",
        &json!({"shocks": [{"select": {"country": "CHN", "product": "alumina"}, "loss": 0.2}],
            "targets": [{"name": "gallium", "select": {"product": "gallium", "stage": "refine"}}]}),
    );
    let gallium = loss(&fallen["results"][0]);
    assert!(gallium > 0.15 && gallium < 0.21, "gallium is a by-product of alumina: {gallium}");
}

#[test]
fn export_controls_and_what_is_worse() {
    let analyst = Analyst::new();
    let usa = json!({"name": "semiconductors/USA",
        "select": {"product": "semiconductors", "stage": "industry", "country": "USA"}});

    // 4. Gallium to the US at 30 % licence approval and 60 days delay?
    let licences = json!({"name": "gallium licences", "select": {"country": "CHN", "product": "gallium"},
        "restrict": {"to": {"country": "USA"}, "pass": 0.3, "delay_days": 60}});
    let answer = analyst.ask("impacts", &json!({"shocks": [licences], "targets": [usa]}));
    let result = &answer["results"][0];
    assert!(loss(result) > 0.0 || result["zero_explanation"].as_str().is_some(), "{result}");

    // 9. Ban now, or licence squeeze first?
    let gallium = json!({"country": "CHN", "product": "gallium"});
    let comparison = analyst.ask(
        "comparisons",
        &json!({"scenarios": [
            {"id": "ban", "shocks": [{"select": gallium, "restrict": {"pass": 0.0}}]},
            {"id": "licences", "shocks": [{"select": gallium, "restrict": {"pass": 0.3}}]}],
            "targets": [industry("semiconductors")], "draws": 20}),
    );
    let difference = &comparison["results"][0]["differences"][0];
    assert!(difference["difference"]["value"].as_f64().unwrap() >= 0.0, "{difference}");

    // 10. What does the suspension ending change?
    let policy = "2024-12-03-chn-export-ban-gallium";
    let answer = analyst.ask("impacts", &json!({"shocks": [{"policy": policy}], "targets": [usa]}));
    assert!(answer["removed"]["flows"].as_u64().unwrap() > 0);
}

#[test]
fn who_supplies_and_who_says_so() {
    let analyst = Analyst::new();
    let get = |path: &str| analyst.server.get(path).ok(200);

    // 16. Where does "99 % of gallium" come from; who disagrees?
    let figure = get("/v1/figures/production.gallium.refine.CHN");
    assert!(figure.to_string().contains("USGS"), "{figure}");

    // 17. Which inputs does a DDG-51 need, from whom?
    let upstream = get(&format!("{GRAPH}/nodes/ddg51.platform.WLD/upstream?depth=6"));
    assert!(list(&upstream["nodes"]).len() > 10);
    assert!(list(&upstream["flows"]).iter().all(|f| f["share"].as_f64().is_some()));

    // 19. What changed since the last version of the data?
    let change = json!({"message": "less gallium", "changes": [
        {"op": "put", "type": "node", "id": "gallium.refine.JPN", "stage": "refine",
         "product": "gallium", "country": "JPN", "output": {"value": 1, "unit": "kg/a"}}]});
    analyst.server.post(&format!("{GRAPH}/changes"), &change).ok(200);
    let diff = get(&format!("{GRAPH}/diff?from=1&to=2"));
    assert!(diff.to_string().contains("gallium.refine.JPN"));
}
