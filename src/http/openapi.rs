//! The OpenAPI document: what the annotations do not say, and its text.

use actix_web::App as ActixApp;
use serde_json::{Value, json};
use utoipa::OpenApi;
use utoipa::openapi::OpenApi as Document;
use utoipa_actix_web::AppExt;

use super::contract;
use super::jobs::JobAnswer;
use super::problem::Problem;
use super::reports::Colours;
use super::router::routes;
use super::structure::EstimateAnswer;

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
    components(schemas(Problem, Colours, EstimateAnswer, JobAnswer))
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

/// The document as JSON, with what holds for every operation ([`contract`]).
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
    contract::complete(&mut document);
    super::questions::add_to(&mut document);
    document
}

/// The text of `openapi/openapi.json`.
pub fn document_text() -> String {
    let mut text = serde_json::to_string_pretty(&document_json()).unwrap_or_default();
    text.push('\n');
    text
}
