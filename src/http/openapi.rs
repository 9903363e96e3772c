//! The OpenAPI document: what the annotations do not say, and its text.

use actix_web::App as ActixApp;
use serde_json::{Value, json};
use utoipa::OpenApi;
use utoipa::openapi::OpenApi as Document;
use utoipa_actix_web::AppExt;

use super::problem::{Code, Problem};
use super::router::routes;

/// Title, licence and tags.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Chokepoint",
        description = include_str!("page/api.md"),
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
    ),
    tags(
        (name = "Answer", description = "What happens if: losses of targets, with range and binding input.\n\
            Start here: the examples answer real questions with no typing."),
        (name = "Explain", description = "Why an answer is what it is: paths, figures, time line, reports.\n\
            Every answer links to these."),
        (name = "Explore", description = "What the graph holds and how it hangs together: rows, registers, search, structure.\n\
            Structural answers (centrality, cuts, paths) say so; losses under the production rules stand beside choke points."),
        (name = "Scenarios", description = "Presets and stored scenarios.\n\
            A scenario names shocks, targets and the model; impact questions take its id."),
        (name = "Data", description = "Graphs, versions, batches of changes, imports and exports.\n\
            Every write is one atomic, numbered version."),
        (name = "Operations", description = "Jobs, health, readiness, version, problem codes.\n\
            For those who run the server."),
    ),
    components(schemas(Problem))
)]
pub struct ApiDoc;

/// The document of all routes.
pub fn document() -> Document {
    let (_, document) = ActixApp::new()
        .into_utoipa_app()
        .openapi(ApiDoc::openapi())
        .configure(routes)
        .split_for_parts();
    document
}

/// The document as JSON, with what holds for every operation: the error answer, and parameters
/// that are absent rather than null.
pub fn document_json() -> Value {
    let mut document = serde_json::to_value(document()).unwrap_or_default();
    document["components"]["securitySchemes"] = json!({
        "bearer": {"type": "http", "scheme": "bearer",
            "description": "An API key (`cpk_…`) or a token of the configured issuer. Needed only \
                where access control is on."},
        "api_key": {"type": "apiKey", "in": "header", "name": "X-API-Key",
            "description": "An API key, for clients that cannot set Authorization."}
    });
    // The empty requirement: a server without access control takes requests as they are.
    document["security"] = json!([{}, {"bearer": []}, {"api_key": []}]);
    let paths = document.get_mut("paths").and_then(Value::as_object_mut);
    for operation in paths
        .into_iter()
        .flatten()
        .filter_map(|(_, item)| item.as_object_mut())
        .flat_map(|item| item.values_mut())
    {
        if let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) {
            responses.insert("default".into(), problem_response());
            for (_, response) in responses.iter_mut() {
                problem_media_type(response);
            }
        }
        let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
        for parameter in parameters.into_iter().flatten() {
            if let Some(schema) = parameter.get_mut("schema") {
                without_null(schema);
            }
        }
    }
    super::questions::add_to(&mut document);
    document
}

/// The text of `openapi/openapi.json`.
pub fn document_text() -> String {
    let mut text = serde_json::to_string_pretty(&document_json()).unwrap_or_default();
    text.push('\n');
    text
}

fn problem_response() -> Value {
    let example = |summary: &str, problem: Problem| json!({"summary": summary, "value": problem});
    let name =
        Problem::new(Code::Impossible, "no node of critical-minerals has the product \"galium\"");
    let field = Problem::new(
        Code::InvalidBody,
        "unknown field `los`, expected one of `name`, `select`, `loss`, `loss_upstream`, \
         `restrict`, `flow`, `cut`, `policy`, `from_day`, `days`, `recovery`",
    );
    let answer = Problem::new(Code::NotFound, "there is no impact \"imp_0\"");
    json!({
        "description": "A problem: what is wrong, where, and what to do",
        "content": { "application/json": {
            "schema": { "$ref": "#/components/schemas/Problem" },
            "examples": {
                "a name": example("A name that is not known: the hint has the nearest one",
                    name.param("shocks[0].select").hint("did you mean gallium?")),
                "a field": example("A field that is not known: nothing is ignored",
                    field.param("shocks[0].los").hint("did you mean loss?")),
                "an answer": example("An answer that is not known: ask the question first",
                    answer.hint("POST the scenario to /v1/graphs/{g}/impacts")),
            }
        } }
    })
}

/// Problems have a media type of their own.
fn problem_media_type(response: &mut Value) {
    let Some(content) = response.get_mut("content").and_then(Value::as_object_mut) else { return };
    let is_problem = content
        .get("application/json")
        .and_then(|media| media.pointer("/schema/$ref"))
        .is_some_and(|reference| reference == "#/components/schemas/Problem");
    if is_problem && let Some(media) = content.remove("application/json") {
        content.insert("application/problem+json".into(), media);
    }
}

/// Swagger UI shows nullable parameters badly; an optional parameter is absent, never null.
fn without_null(schema: &mut Value) {
    let Some(schema) = schema.as_object_mut() else { return };
    if let Some(Value::Array(types)) = schema.get("type") {
        let mut left: Vec<Value> = types.iter().filter(|t| *t != "null").cloned().collect();
        if left.len() == 1
            && let Some(only) = left.pop()
        {
            schema.insert("type".into(), only);
        }
    }
    if let Some(Value::Array(choices)) = schema.get("oneOf") {
        let mut left: Vec<Value> =
            choices.iter().filter(|c| c.get("type") != Some(&json!("null"))).cloned().collect();
        if left.len() == 1
            && let Some(Value::Object(only)) = left.pop()
        {
            *schema = only;
        }
    }
}
