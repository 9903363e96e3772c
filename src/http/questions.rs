//! The twenty questions that analysts ask, as named examples of the operations that answer them.
//!
//! One table, so that the OpenAPI document, and with it Swagger UI, offers each question with no
//! typing. Questions about an earlier answer use a bundled scenario's name in place of its id (see
//! [`super::by_name`]). Tests run every example against the bundled graph.

use serde_json::{Map, Value, json};

/// A question and the one call that answers it.
#[derive(Debug, Clone)]
pub struct Question {
    /// Number, 1 to 20.
    pub number: u8,
    /// The question as an analyst asks it.
    pub asks: &'static str,
    /// Method, lower case.
    pub method: &'static str,
    /// Path as the OpenAPI document writes it.
    pub path: &'static str,
    /// Parameters by name; the graph's is left to its own example.
    pub parameters: Value,
    /// JSON body; null for none.
    pub body: Value,
}

impl Question {
    /// Key of the example, so that examples sort by number.
    pub fn key(&self) -> String {
        format!("{:02}", self.number)
    }
}

fn industry(product: &str) -> Value {
    json!({"name": product, "select": {"product": product, "stage": "industry"}})
}

fn american(product: &str) -> Value {
    json!({"name": format!("{product}/USA"),
        "select": {"product": product, "stage": "industry", "country": "USA"}})
}

/// Pure gallium, which American chips are made of.
fn pure_gallium() -> Value {
    json!({"name": "gallium_high_purity/USA",
        "select": {"product": "gallium_high_purity", "country": "USA"}})
}

/// All twenty, in order.
pub fn questions() -> Vec<Question> {
    let post = |number, asks, path, body| Question {
        number,
        asks,
        method: "post",
        path,
        parameters: json!({}),
        body,
    };
    let get = |number, asks, path, parameters| Question {
        number,
        asks,
        method: "get",
        path,
        parameters,
        body: Value::Null,
    };
    vec![
        post(
            1,
            "China stops refining: what happens to semiconductors, EVs, defence?",
            "/v1/graphs/{g}/impacts",
            json!({"scenario": "china-refining-stops"}),
        ),
        get(
            2,
            "Why is semiconductors down?",
            "/v1/impacts/{id}/explanation",
            json!({"id": "china-refining-stops", "target": "semiconductors"}),
        ),
        post(
            3,
            "Which refining step hurts electric vehicles most?",
            "/v1/graphs/{g}/knock-outs",
            json!({"units": {"group_by": ["country", "product"]}, "select": {"stage": "refine"},
                "targets": [industry("electric_vehicles")], "top": 20}),
        ),
        post(
            4,
            "Gallium to the US at 30 % licence approval and 60 days delay: when, and how sure?",
            "/v1/graphs/{g}/impacts",
            json!({"shocks": [{"name": "gallium licences",
                    "select": {"country": "CHN", "product": ["gallium", "gallium_high_purity"]},
                    "restrict": {"to": {"country": "USA"}, "pass": 0.3, "delay_days": 60}}],
                "targets": [pure_gallium(), american("semiconductors"), american("defence")],
                "model": {"mode": "timeline"}, "include": ["timeline"], "draws": 50}),
        ),
        get(
            5,
            "How long do stocks last?",
            "/v1/impacts/{id}/timeline",
            json!({"id": "china-refining-stops", "target": "defence"}),
        ),
        post(
            6,
            "Which smallest sets of suppliers halve the output of F-35s, if they are lost?",
            "/v1/graphs/{g}/cut-sets",
            json!({"target": {"product": "f35"}, "loss_at_least": 0.5,
                "units": {"group_by": ["country", "stage"]}, "max_size": 3, "limit": 20}),
        ),
        post(
            7,
            "How dependent are the EU's electric vehicles on China, counting indirect paths?",
            "/v1/graphs/{g}/exposure",
            json!({"target": {"product": "electric_vehicles", "stage": "industry", "bloc": "EU"},
                "on": {"country": "CHN"}}),
        ),
        post(
            8,
            "Who mines and who refines tungsten?",
            "/v1/graphs/{g}/concentration",
            json!({"group_by": ["product", "stage"], "select": {"product": "tungsten"}}),
        ),
        post(
            9,
            "Is a ban of gallium exports worse than a licence squeeze?",
            "/v1/graphs/{g}/comparisons",
            json!({"scenarios": [
                    {"id": "ban", "shocks": [{"select": {"country": "CHN", "product": "gallium"},
                        "restrict": {"pass": 0.0}}]},
                    {"id": "licences", "shocks": [{"select": {"country": "CHN", "product": "gallium"},
                        "restrict": {"pass": 0.3}}]}],
                "targets": [industry("electronics"), industry("semiconductors"), industry("defence")],
                "draws": 200}),
        ),
        post(
            10,
            "What changes when the suspension of China's gallium ban ends?",
            "/v1/graphs/{g}/comparisons",
            json!({"scenarios": [
                    {"id": "ban suspended", "scenario": "no-op"},
                    {"id": "ban in force", "shocks": [{"policy": "2024-12-03-chn-export-ban-gallium"}]}],
                "targets": [pure_gallium(), american("semiconductors"), american("defence")],
                "draws": 200}),
        ),
        get(
            11,
            "Which planned projects matter by 2028?",
            "/v1/impacts/{id}/mitigations",
            json!({"id": "china-refining-stops", "kind": "project", "by": 2028}),
        ),
        get(
            12,
            "What stock buys six months for users of gallium?",
            "/v1/impacts/{id}/mitigations",
            json!({"id": "gallium-squeeze-us-japan", "kind": "stockpile", "months": 6}),
        ),
        get(
            13,
            "Where would substitutes help, with which limits?",
            "/v1/impacts/{id}/mitigations",
            json!({"id": "china-refining-stops", "kind": "substitute"}),
        ),
        post(
            14,
            "If Chinese alumina falls by 20 %, which by-products fall?",
            "/v1/graphs/{g}/impacts",
            json!({"shocks": [{"select": {"country": "CHN", "product": "alumina"}, "loss": 0.2}],
                "targets": [{"name": "gallium", "select": {"product": "gallium", "stage": "refine"}},
                            {"name": "aluminium", "select": {"product": "aluminium", "stage": "refine"}}]}),
        ),
        get(
            15,
            "Which figures drive this answer; which are guesses?",
            "/v1/impacts/{id}/sensitivity",
            json!({"id": "china-refining-stops", "target": "defence"}),
        ),
        get(
            16,
            "Where does \"99 % of gallium\" come from; who disagrees?",
            "/v1/figures/{id}",
            json!({"id": "production.gallium.refine.CHN"}),
        ),
        get(
            17,
            "Which inputs does a DDG-51 need, from whom?",
            "/v1/graphs/{g}/nodes/{id}/upstream",
            json!({"id": "ddg51.platform.WLD", "depth": 6}),
        ),
        post(
            18,
            "What in a bill of materials touches plants in China, or Chinese-owned ones elsewhere? \
             (The bundled tables know no owners: import yours with an attribute `owner`.)",
            "/v1/graphs/{g}/exposure",
            json!({"target": {"product": "ddg51"},
                "on": {"any": [{"country": "CHN"}, {"attributes": {"owner": "CHN"}, "allow_empty": true}]}}),
        ),
        get(
            19,
            "What changed since an earlier version of the data?",
            "/v1/graphs/{g}/diff",
            json!({"from": 1}),
        ),
        get(
            20,
            "Give me one page for the minister.",
            "/v1/impacts/{id}/brief.html",
            json!({"id": "china-refining-stops"}),
        ),
    ]
}

/// Writes the questions into an OpenAPI document as named examples, and lets every operation about
/// an answer start from a bundled scenario.
pub fn add_to(document: &mut Value) {
    let Some(paths) = document.get_mut("paths").and_then(Value::as_object_mut) else { return };
    let answers = paths.iter_mut().filter(|(path, _)| path.starts_with("/v1/impacts/{id}"));
    for (_, item) in answers {
        let operations = item.as_object_mut().into_iter().flat_map(|item| item.values_mut());
        for parameter in operations.flat_map(parameters).filter(|p| p["name"] == "id") {
            parameter["example"] = "china-refining-stops".into();
            parameter["description"] =
                "Id of the answer, or name of a bundled scenario: its answer \
                on the newest version of the bundled graph"
                    .into();
        }
    }
    for question in questions() {
        let Some(operation) = paths.get_mut(question.path).and_then(|i| i.get_mut(question.method))
        else {
            continue;
        };
        let example = |value: &Value| json!({"summary": format!("Question {}: {}", question.number, question.asks), "value": value});
        if let Some(media) = operation
            .pointer_mut("/requestBody/content/application~1json")
            .and_then(Value::as_object_mut)
            && !question.body.is_null()
        {
            insert(media, &question.key(), example(&question.body));
        }
        for parameter in parameters(operation) {
            let name = parameter["name"].as_str().unwrap_or_default();
            if let (Some(value), Some(parameter)) =
                (question.parameters.get(name).cloned(), parameter.as_object_mut())
            {
                insert(parameter, &question.key(), example(&value));
            }
        }
    }
}

fn parameters(operation: &mut Value) -> impl Iterator<Item = &mut Value> {
    operation.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten()
}

/// Adds a named example. OpenAPI has either one example or named ones.
fn insert(place: &mut Map<String, Value>, key: &str, example: Value) {
    place.remove("example");
    if let Some(Value::Object(examples)) =
        place.get_mut("examples").filter(|examples| examples.is_object())
    {
        examples.insert(key.to_owned(), example);
    } else {
        place.insert("examples".to_owned(), json!({key: example}));
    }
}
