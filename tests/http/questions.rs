//! What analysts ask, each question as one call that reads like the question. The numbers are those
//! of the list that the service was built for; all twenty are here.
//!
//! One has a condition, which its answer cannot lift: 18 (who owns a plant) needs a bill of
//! materials that names owners, because the bundled tables hold none.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use crate::support::{Reply, Server};
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

    /// GET; a bundled scenario's name leads to its answer.
    fn reply(&self, path: &str) -> Reply {
        let reply = self.server.get(path);
        if reply.status != 307 {
            return reply;
        }
        assert_eq!(reply.header("cache-control"), "no-cache", "what a name means may change");
        self.server.get(reply.header("location"))
    }

    fn get(&self, path: &str) -> Value {
        self.reply(path).ok(200)
    }
}

fn industry(product: &str) -> Value {
    json!({"name": product, "select": {"product": product, "stage": "industry"}})
}

fn in_usa(product: &str) -> Value {
    json!({"name": format!("{product}/USA"), "select": {"product": product, "country": "USA"}})
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("no number: {value}"))
}

fn loss(result: &Value) -> f64 {
    number(&result["loss"]["value"])
}

fn list(value: &Value) -> &Vec<Value> {
    value.as_array().unwrap_or_else(|| panic!("no list: {value}"))
}

fn of<'a>(results: &'a Value, target: &str) -> &'a Value {
    list(results).iter().find(|r| r["target"] == target).unwrap()
}

#[test]
fn q01_china_stops_refining_what_happens_to_semiconductors_evs_defence() {
    let answer =
        Analyst::new().ask("impacts", &json!({"scenario": "china-refining-stops", "draws": 20}));
    for target in ["semiconductors", "electric_vehicles", "defence"] {
        let result = of(&answer["results"], target);
        assert!(loss(result) > 0.05, "{result}");
        assert!(number(&result["loss"]["low"]) <= number(&result["loss"]["high"]));
        assert!(!list(&result["binding"]).is_empty());
        assert!(result["share_of"].as_str().unwrap().contains("output"));
    }
    assert!(answer["headline"].as_str().unwrap().starts_with("Losing China's refining cuts"));
}

#[test]
fn q02_why_is_semiconductors_down() {
    let why =
        Analyst::new().get("/v1/impacts/china-refining-stops/explanation?target=semiconductors");
    let why = &list(&why["explanation"])[0];
    let chains: f64 = list(&why["chains"]).iter().map(|c| number(&c["amount"])).sum();
    let sum = chains + number(&why["other"]);
    assert!((sum - number(&why["loss"])).abs() < 1e-9, "the chains add up to the loss");
    assert!(why["chains"][0]["path"].as_array().unwrap().len() >= 2);
}

#[test]
fn q03_which_refining_step_hurts_most() {
    let ranking = Analyst::new().ask(
        "knock-outs",
        &json!({"units": {"group_by": ["country", "product"]}, "select": {"stage": "refine"},
            "targets": [industry("electric_vehicles")], "top": 10}),
    );
    let losses: Vec<f64> =
        list(&ranking["results"]).iter().map(|r| number(&r["loss"]["electric_vehicles"])).collect();
    assert!(losses[0] > 0.1 && losses.is_sorted_by(|a, b| a >= b), "{losses:?}");
}

#[test]
fn q04_gallium_to_the_us_at_30_percent_approval_and_60_days_delay() {
    let licences = json!({"name": "gallium licences",
        "select": {"country": "CHN", "product": ["gallium", "gallium_high_purity"]},
        "restrict": {"to": {"country": "USA"}, "pass": 0.3, "delay_days": 60}});
    let answer = Analyst::new().ask(
        "impacts",
        &json!({"shocks": [licences], "model": {"mode": "timeline"}, "include": ["timeline"], "draws": 20,
            "targets": [in_usa("gallium_high_purity"), in_usa("semiconductors")]}),
    );
    let pure = of(&answer["results"], "gallium_high_purity/USA");
    assert!(loss(pure) > 0.05, "{pure}");
    assert!(number(&pure["loss"]["low"]) < number(&pure["loss"]["high"]), "a range: {pure}");
    assert!(pure["first_shortage_day"].as_f64().is_some(), "{pure}");
    let line = of(&answer["timeline"]["targets"], "gallium_high_purity/USA");
    assert_eq!(list(&line["loss"]).len(), list(&answer["timeline"]["days"]).len());
    // Chips are served first: the zero says so, and the bracket gives the other end.
    let chips = of(&answer["results"], "semiconductors/USA");
    assert!(loss(chips) > 0.0 || chips["zero_explanation"].as_str().is_some(), "{chips}");
    assert!(number(&chips["bracket"]["proportional"]) > 0.0, "{chips}");
}

#[test]
fn q05_how_long_do_stocks_last() {
    let answer = Analyst::new().get("/v1/impacts/china-refining-stops/timeline?target=defence");
    let defence = of(&answer["timeline"]["targets"], "defence");
    let days = &defence["summary"]["days_to"];
    let first = number(&defence["summary"]["first_shortage_day"]);
    assert!(first > 0.0 && number(&days["loss_5"]) >= first, "{}", defence["summary"]);
    assert!(days["loss_50"].is_null(), "defence never loses half");
    let store: Vec<f64> = list(&defence["stock_days"]).iter().map(number).collect();
    assert!(store[0] > store[10], "stocks run down: {store:?}");
}

#[test]
fn q06_smallest_sets_of_suppliers_whose_loss_halves_f35_output() {
    let sets = Analyst::new().ask(
        "cut-sets",
        &json!({"target": {"product": "f35"}, "loss_at_least": 0.5, "max_size": 3,
            "units": {"group_by": ["country", "stage"]}, "limit": 20}),
    );
    let found = list(&sets["cut_sets"]);
    assert!(sets["status"].as_str().unwrap().starts_with("complete"), "{}", sets["status"]);
    let sizes: Vec<u64> = found.iter().map(|set| set["size"].as_u64().unwrap()).collect();
    assert!(sizes[0] == 1 && sizes.is_sorted(), "smallest first: {sizes:?}");
    for set in found {
        assert!(number(&set["loss"]) >= 0.5 - 1e-9, "{set}");
        assert!(!set["sentence"].as_str().unwrap().is_empty());
    }
    assert!(sets["headline"].as_str().unwrap().contains("f35"));
}

#[test]
fn q07_how_dependent_is_the_eu_on_china_counting_indirect_paths() {
    let answer = Analyst::new().ask(
        "exposure",
        &json!({"target": {"product": "electric_vehicles", "stage": "industry", "bloc": "EU"},
            "on": {"country": "CHN"}}),
    );
    let (direct, indirect) = (number(&answer["direct"]), number(&answer["indirect"]));
    assert!(direct > 0.05 && indirect > 0.05, "{direct} {indirect}");
    assert!((direct + indirect + number(&answer["own"]) - number(&answer["total"])).abs() < 1e-9);
    assert!(list(&answer["by_material"]).len() > 5, "by material");
    assert!(number(&answer["loss_without"]) > number(&answer["total"]), "one input can stop all");
}

#[test]
fn q08_who_mines_and_who_refines_tungsten() {
    let answer = Analyst::new().ask(
        "concentration",
        &json!({"group_by": ["product", "stage"], "select": {"product": "tungsten", "stage": ["mine", "refine"]}}),
    );
    assert_eq!(list(&answer["results"]).len(), 2, "two stages side by side");
    for stage in ["mine", "refine"] {
        let group = list(&answer["results"]).iter().find(|g| g["group"]["stage"] == stage).unwrap();
        assert_eq!(group["country"]["shares"][0]["id"], "CHN");
        assert!(number(&group["top3"]) >= number(&group["top1"]));
        assert!(number(&group["hhi"]) > 0.25, "highly concentrated: {}", group["hhi"]);
    }
}

#[test]
fn q09_ban_now_or_licence_squeeze_first() {
    let gallium = json!({"country": "CHN", "product": "gallium"});
    let comparison = Analyst::new().ask(
        "comparisons",
        &json!({"scenarios": [
            {"id": "ban", "shocks": [{"select": gallium, "restrict": {"pass": 0.0}}]},
            {"id": "licences", "shocks": [{"select": gallium, "restrict": {"pass": 0.3}}]}],
            "targets": [industry("electronics"), industry("semiconductors")], "draws": 20}),
    );
    for target in ["electronics", "semiconductors"] {
        let difference = &of(&comparison["results"], target)["differences"][0];
        assert!(number(&difference["difference"]["value"]) > 0.0, "{difference}");
    }
    let chips = &of(&comparison["results"], "semiconductors")["differences"][0];
    assert_eq!(chips["verdict"], "a_worse", "in every shared draw: {chips}");
}

#[test]
fn q10_what_does_the_suspension_ending_change() {
    let comparison = Analyst::new().ask(
        "comparisons",
        &json!({"scenarios": [
            {"id": "suspended", "scenario": "no-op"},
            {"id": "in force", "shocks": [{"policy": "2024-12-03-chn-export-ban-gallium"}]}],
            "targets": [in_usa("gallium_high_purity"), in_usa("semiconductors")], "draws": 20}),
    );
    let pure = of(&comparison["results"], "gallium_high_purity/USA");
    let of_scenario = |id: &str| list(&pure["losses"]).iter().find(|l| l["scenario"] == id);
    let (before, after) = (of_scenario("suspended").unwrap(), of_scenario("in force").unwrap());
    assert!(loss(before) == 0.0 && loss(after) > 0.0, "{pure}");
    let law = comparison["scenarios"][1]["scenario"]["description"].as_str().unwrap();
    assert!(law.contains("MOFCOM Announcement 46/2024"), "the legal source: {law}");
}

#[test]
fn q11_which_planned_projects_matter_by_2028() {
    let answer =
        Analyst::new().get("/v1/impacts/china-refining-stops/mitigations?kind=project&by=2028");
    let projects = list(&answer["mitigations"]);
    assert!(!projects.is_empty());
    let avoided = |m: &Value| -> f64 {
        m["loss_avoided"].as_object().unwrap().values().map(number).sum::<f64>()
    };
    assert!(avoided(&projects[0]) > 0.0, "{}", projects[0]);
    assert!(projects.is_sorted_by(|a, b| avoided(a) >= avoided(b) - 1e-12), "best first");
    for project in projects {
        assert_eq!(project["kind"], "project");
        assert!(project["source"].as_str().is_some(), "{project}");
    }
}

#[test]
fn q12_what_stock_buys_six_months_for_gallium_users() {
    let answer = Analyst::new()
        .get("/v1/impacts/gallium-squeeze-us-japan/mitigations?kind=stockpile&months=6");
    let stock = list(&answer["mitigations"])
        .iter()
        .find(|m| m["name"] == "stock of gallium for 6 months")
        .unwrap();
    let (low, value, high) = (
        number(&stock["quantity_low"]),
        number(&stock["quantity"]),
        number(&stock["quantity_high"]),
    );
    assert!(0.0 < low && low <= value && value <= high && stock["unit"] == "kg", "{stock}");
    assert!(number(&stock["loss_avoided"]["gallium_high_purity/USA"]) > 0.0);
}

#[test]
fn q13_where_would_substitutes_help_at_what_cost_in_performance() {
    let answer = Analyst::new().get("/v1/impacts/china-refining-stops/mitigations?kind=substitute");
    let substitutes = list(&answer["mitigations"]);
    assert!(number(&substitutes[0]["loss_avoided"]["electric_vehicles"]) > 0.1);
    for substitute in substitutes {
        assert!(!list(&substitute["limits"]).is_empty(), "says its limits: {substitute}");
    }
}

#[test]
fn q14_if_alumina_falls_what_by_products_fall() {
    let fallen = Analyst::new().ask(
        "impacts",
        &json!({"shocks": [{"select": {"country": "CHN", "product": "alumina"}, "loss": 0.2}],
            "targets": [{"name": "gallium", "select": {"product": "gallium", "stage": "refine"}}]}),
    );
    let gallium = loss(&fallen["results"][0]);
    assert!(gallium > 0.15 && gallium < 0.21, "gallium is a by-product of alumina: {gallium}");
}

#[test]
fn q15_which_figures_drive_this_answer_which_are_guesses() {
    let analyst = Analyst::new();
    let ranged = analyst.ask("impacts", &json!({"scenario": "china-refining-stops", "draws": 100}));
    let id = ranged["id"].as_str().unwrap();
    let drivers = analyst.get(&format!("/v1/impacts/{id}/sensitivity?target=defence"));
    assert!(!list(&drivers["targets"][0]["tornado"]).is_empty(), "{drivers}");
    let first = &drivers["check_first"][0]["figure"];
    assert!(first["class"].as_str().is_some() && first["id"].as_str().is_some(), "{first}");
    let classes = ["measured", "recalled", "estimate"].map(|c| number(&ranged["quality"][c]));
    assert!((classes.iter().sum::<f64>() - 1.0).abs() < 1e-9);
}

#[test]
fn q16_where_does_99_percent_of_gallium_come_from_who_disagrees() {
    let figure = Analyst::new().get("/v1/figures/production.gallium.refine.CHN");
    assert!(figure.to_string().contains("USGS"), "{figure}");
}

#[test]
fn q17_which_inputs_does_a_ddg51_need_from_whom() {
    let upstream =
        Analyst::new().get(&format!("{GRAPH}/nodes/ddg51.platform.WLD/upstream?depth=6"));
    assert!(list(&upstream["nodes"]).len() > 10);
    assert!(list(&upstream["flows"]).iter().all(|f| f["share"].as_f64().is_some()));
}

#[test]
fn q18_what_in_our_bom_touches_xinjiang_or_china_owned_plants() {
    let analyst = Analyst::new();
    // Our parts, beside the bundled network: who makes them, where, who owns the plant.
    let ours = json!({"title": "Our board", "forked_from": {"graph": "critical-minerals"}});
    analyst.server.put("/v1/graphs/mybom", &ours).ok(201);
    let plant = |id: &str, product: &str, country: &str, attributes: Value| {
        json!({"type": "node", "id": id, "stage": "component", "product": product,
            "country": country, "output": 1, "attributes": attributes})
    };
    let lines: String = [
        plant("anode.urumqi", "anode", "CHN", json!({"province": "Xinjiang", "owner": "CHN"})),
        plant("magnet.rayong", "magnet", "THA", json!({"owner": "CHN"})),
        plant("housing.lyon", "housing", "FRA", json!({"owner": "FRA"})),
        json!({"type": "node", "id": "board", "stage": "platform", "country": "USA"}),
        json!({"type": "flow", "from": "anode.urumqi", "to": "board", "quantity": 1}),
        json!({"type": "flow", "from": "magnet.rayong", "to": "board", "quantity": 1}),
        json!({"type": "flow", "from": "housing.lyon", "to": "board", "quantity": 1}),
    ]
    .iter()
    .map(|row| format!("{row}\n"))
    .collect();
    analyst.server.import("mybom", "?mode=merge", &lines).ok(200);

    let touched = json!({"target": {"node": "board"}, "on": {"any": [
        {"attributes": {"province": "Xinjiang"}}, {"attributes": {"owner": "CHN"}}]}});
    let answer = analyst.server.post("/v1/graphs/mybom/exposure", &touched).ok(200);
    let nodes: Vec<&str> =
        list(&answer["nodes"]).iter().map(|n| n["id"].as_str().unwrap()).collect();
    assert!(nodes.len() == 2 && !nodes.contains(&"housing.lyon"), "{nodes:?}");
    assert!((number(&answer["total"]) - 2.0 / 3.0).abs() < 1e-9, "{answer}");
}

#[test]
fn q19_what_changed_since_last_quarters_data() {
    let analyst = Analyst::new();
    let change = json!({"message": "less gallium", "changes": [
        {"op": "put", "type": "node", "id": "gallium.refine.JPN", "stage": "refine",
         "product": "gallium", "country": "JPN", "output": {"value": 1, "unit": "kg/a"}}]});
    analyst.server.post(&format!("{GRAPH}/changes"), &change).ok(200);
    let diff = analyst.get(&format!("{GRAPH}/diff?from=1"));
    assert_eq!(diff["nodes"]["changed"], 1);
    let changed = &diff["changes"][0];
    assert_eq!(changed["after"]["id"], "gallium.refine.JPN");
    assert!(changed["before"]["output"] != changed["after"]["output"], "before and after");
}

#[test]
fn q20_give_me_one_page_for_the_minister() {
    let brief = Analyst::new().reply("/v1/impacts/no-op/brief.html");
    assert_eq!(brief.status, 200);
    assert!(brief.text.contains("Read this with it"), "{}", brief.text);
}

/// Named examples of the OpenAPI document: name, method, address, body.
fn examples(document: &Value) -> Vec<(String, String, String, Value)> {
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let parameters: Vec<&Value> =
                operation["parameters"].as_array().into_iter().flatten().collect();
            let bodies = operation.pointer("/requestBody/content/application~1json/examples");
            let mut names: Vec<&String> =
                bodies.and_then(Value::as_object).into_iter().flat_map(|e| e.keys()).collect();
            for parameter in &parameters {
                names.extend(parameter["examples"].as_object().into_iter().flat_map(|e| e.keys()));
            }
            names.sort();
            names.dedup();
            for name in names {
                let (mut address, mut query) = (path.clone(), Vec::new());
                for parameter in &parameters {
                    let value = match &parameter["examples"][name]["value"] {
                        Value::Null => &parameter["example"],
                        value => value,
                    };
                    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                    let key = parameter["name"].as_str().unwrap();
                    if parameter["in"] == "path" {
                        address = address.replace(&format!("{{{key}}}"), &text);
                    } else if !parameter["examples"][name].is_null() {
                        query.push(format!("{key}={text}"));
                    }
                }
                if !query.is_empty() {
                    address = format!("{address}?{}", query.join("&"));
                }
                let body = bodies.map_or(Value::Null, |b| b[name]["value"].clone());
                found.push((name.clone(), method.clone(), address, body));
            }
        }
    }
    found
}

#[test]
fn every_named_example_runs_with_execute() {
    let analyst = Analyst::new();
    let document = analyst.get("/openapi.json");
    let mut numbers = Vec::new();
    for (name, method, address, body) in examples(&document) {
        let reply = match method.as_str() {
            "get" => analyst.reply(&address),
            _ => analyst.server.post(&address, &body),
        };
        let asked = format!("{name}: {method} {address} {body}: {}", reply.text);
        match reply.status {
            200 => {}
            // What an engine computes is always a job.
            202 => assert_eq!(
                analyst.server.end_of_job(&reply.json())["state"],
                "succeeded",
                "{asked}"
            ),
            // Engines beside the local one are optional.
            422 => assert_eq!(
                (&body["engine"], &reply.json()["code"]),
                (&json!("spark"), &json!("engine_unavailable")),
                "{asked}"
            ),
            _ => panic!("{asked}"),
        }
        numbers.extend(name.parse::<u32>());
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=20).collect::<Vec<_>>(), "each question has its example");
}

#[test]
fn error_examples_are_what_the_server_says() {
    let analyst = Analyst::new();
    let document = analyst.get("/openapi.json");
    let shared = &document["paths"]["/v1/graphs/{g}/impacts"]["post"]["responses"]["default"];
    assert_eq!(shared["$ref"], "#/components/responses/Problem");
    let shown = &document["components"]["responses"]["Problem"]["content"]["application/problem+json"]
        ["examples"];
    let asked = |shock: Value| {
        analyst.server.post(&format!("{GRAPH}/impacts"), &json!({"shocks": [shock]})).json()
    };
    for (name, said) in [
        ("a name", asked(json!({"select": {"product": "galium"}}))),
        ("a field", asked(json!({"select": {"product": "gallium"}, "los": 1}))),
        ("an answer", analyst.server.get("/v1/impacts/imp_0").json()),
    ] {
        let example = &shown[name]["value"];
        for field in ["type", "title", "status", "detail", "code", "param", "hint"] {
            assert_eq!(example[field], said[field], "{name}: {field}");
        }
    }
}
