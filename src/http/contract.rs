//! What the OpenAPI document says of every operation: error answers by status, headers of requests
//! and answers, optional parameters. The rules stand here once instead of at each handler.
//! And what types cannot say of their schemas.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value, json};

use super::problem::{Code, Problem};

type Object = Map<String, Value>;

/// Adds it to a document made of the annotations.
pub fn complete(document: &mut Value) {
    document["components"]["responses"] = problem_answers();
    if let Some(schemas) =
        document.pointer_mut("/components/schemas").and_then(Value::as_object_mut)
    {
        complete_schemas(schemas);
    }
    unsigned(document);
    let Some(paths) = document.get_mut("paths").and_then(Value::as_object_mut) else { return };
    for (path, item) in paths.iter_mut() {
        let Some(item) = item.as_object_mut() else { continue };
        for (method, operation) in item.iter_mut() {
            if let Some(operation) = operation.as_object_mut() {
                complete_operation(path, method, operation);
            }
        }
    }
}

/// An integer of 64 bits that is never negative goes up to 2^64 - 1, not 2^63 - 1.
fn unsigned(part: &mut Value) {
    match part {
        Value::Object(fields) => {
            let from_zero = fields.get("minimum").is_some_and(|least| least == 0);
            for (signed, without_sign) in [("int64", "uint64"), ("int32", "uint32")] {
                if from_zero && fields.get("format").is_some_and(|format| format == signed) {
                    fields.insert("format".into(), json!(without_sign));
                }
            }
            fields.values_mut().for_each(unsigned);
        }
        Value::Array(parts) => parts.iter_mut().for_each(unsigned),
        _ => {}
    }
}

fn complete_schemas(schemas: &mut Object) {
    // Generic types come with their parts written out: name those that have a name.
    let names: HashMap<String, String> = schemas
        .iter()
        .filter(|(_, schema)| schema.get("properties").is_some())
        .map(|(name, schema)| (schema.to_string(), format!("#/components/schemas/{name}")))
        .collect();
    for schema in schemas.values_mut() {
        schema.as_object_mut().into_iter().flatten().for_each(|(_, part)| name_parts(part, &names));
    }
    // Rows say what they are; what the path says may be left out of the body.
    for (name, kind) in
        [("NodeRecord", "node"), ("FlowRecord", "flow"), ("RequirementRecord", "requirement")]
    {
        if let Some(record) = schemas.get_mut(name) {
            record["properties"]["type"] =
                json!({"type": "string", "enum": [kind], "description": "What the record is."});
            let mut row = record.clone();
            row.as_object_mut().map(|fields| fields.remove("required"));
            schemas.insert(row_name(name), row);
        }
    }
    if let Some(list) = schemas.get_mut("OneOrMany").and_then(Value::as_object_mut) {
        list.remove("type");
        list.remove("items");
        let many = json!({"type": "array", "items": {"type": "string"}, "minItems": 1});
        list.insert("oneOf".into(), json!([{"type": "string"}, many]));
    }
    let selector = schemas.get_mut("Selector").and_then(|s| s["properties"].as_object_mut());
    for (_, property) in selector.into_iter().flatten() {
        // Left out selects everything; an empty list is refused.
        if property["$ref"] == "#/components/schemas/OneOrMany" {
            property.as_object_mut().map(|p| p.remove("default"));
        }
    }
    let known = schemas.clone();
    schemas.values_mut().for_each(|schema| open_parts(schema, &known));
}

/// The schema of a row that is written at a path of its own.
fn row_name(record: &str) -> String {
    record.replace("Record", "Row")
}

/// A closed schema cannot be part of a larger one: it would refuse what the others add.
fn open_parts(schema: &mut Value, known: &Object) {
    let closed = |schema: &Value| schema["additionalProperties"] == false;
    for part in schema.get_mut("allOf").and_then(Value::as_array_mut).into_iter().flatten() {
        let name = part["$ref"].as_str().and_then(|r| r.rsplit('/').next()).unwrap_or_default();
        if let Some(found) = known.get(name).filter(|found| closed(found)) {
            *part = found.clone();
        }
        if closed(part) {
            part.as_object_mut().map(|p| p.remove("additionalProperties"));
        }
    }
    match schema {
        Value::Object(fields) => fields.values_mut().for_each(|part| open_parts(part, known)),
        Value::Array(parts) => parts.iter_mut().for_each(|part| open_parts(part, known)),
        _ => {}
    }
}

fn name_parts(schema: &mut Value, names: &HashMap<String, String>) {
    match schema {
        Value::Object(object) => {
            if object.contains_key("properties")
                && let Some(name) = names.get(&Value::Object(object.clone()).to_string())
            {
                *schema = json!({ "$ref": name });
                return;
            }
            object.values_mut().for_each(|part| name_parts(part, names));
        }
        Value::Array(parts) => parts.iter_mut().for_each(|part| name_parts(part, names)),
        _ => {}
    }
}

fn complete_operation(path: &str, method: &str, operation: &mut Object) {
    let about = About::of(path, method, operation);
    let record = operation.get_mut("requestBody").filter(|_| method == "put");
    if let Some(Value::String(name)) =
        record.and_then(|body| body.pointer_mut("/content/application~1json/schema/$ref"))
    {
        *name = row_name(name);
    }
    let parameters = operation.entry("parameters").or_insert_with(|| json!([]));
    if let Some(parameters) = parameters.as_array_mut() {
        for parameter in parameters.iter_mut() {
            if let Some(schema) = parameter.get_mut("schema") {
                without_null(schema);
            }
            // Filters share one description; keys differ by table.
            let filter = [("/flows", "to_country:USA"), ("/requirements", "rule:limiting")];
            if let Some((_, example)) = filter.iter().find(|(end, _)| path.ends_with(end)) {
                match parameter["name"].as_str() {
                    Some("filter") => parameter["example"] = json!(example),
                    Some("sort") if path.ends_with("/flows") => {
                        parameter["example"] = json!("-quantity")
                    }
                    _ => {}
                }
            }
        }
        parameters.extend(about.request_headers());
    }
    let estimates = operation["parameters"].as_array().into_iter().flatten();
    let estimates = estimates.into_iter().any(|parameter| parameter["name"] == "estimate");
    let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) else {
        return;
    };
    if estimates
        && let Some(schema) = responses["200"].pointer_mut("/content/application~1json/schema")
    {
        let answer = schema.take();
        *schema = json!({"oneOf": [answer, {"$ref": "#/components/schemas/EstimateAnswer"}]});
    }
    for (status, response) in responses.iter_mut() {
        problem_media_type(response);
        if status == "202" {
            response["content"] = json!({"application/json":
                {"schema": {"$ref": "#/components/schemas/JobAnswer"}}});
        }
        let headers = about.answer_headers(status);
        if let Some(response) = response.as_object_mut() {
            response.insert("headers".into(), Value::Object(headers));
        }
    }
    for status in about.problems() {
        let name = format!("#/components/responses/Problem{status}");
        responses.entry(status.to_string()).or_insert_with(|| json!({"$ref": name}));
    }
    if about.revalidates {
        responses.entry("304").or_insert_with(|| {
            let headers = Value::Object(about.answer_headers("304"));
            json!({"description": "The caller has this version already", "headers": headers})
        });
    }
    responses.insert("default".into(), json!({"$ref": "#/components/responses/Problem"}));
}

/// What the rules need to know of an operation.
struct About {
    /// Anyone may call it, and it names nothing.
    open: bool,
    names_something: bool,
    has_body: bool,
    /// It reads a version of a graph.
    at_version: bool,
    writes_graph: bool,
    takes_key: bool,
    may_be_job: bool,
    /// Its answers can be had as `not modified`.
    revalidates: bool,
    reads_answer: bool,
    negotiates: bool,
}

impl About {
    fn of(path: &str, method: &str, operation: &Object) -> Self {
        let has_response = |status: &str| operation["responses"].get(status).is_some();
        let in_graph = path.starts_with("/v1/graphs/{g}");
        let names_something = path.contains('{');
        let last = path.rsplit('/').next().unwrap_or_default();
        let is_batch = matches!(last, "changes" | "imports" | "merges");
        let is_open = !path.starts_with("/v1") && path != "/metrics"
            || matches!(path, "/v1/version" | "/v1/problems");
        Self {
            open: is_open,
            names_something,
            has_body: operation.contains_key("requestBody"),
            at_version: in_graph && !(path == "/v1/graphs/{g}" && method != "get"),
            writes_graph: in_graph
                && (matches!(method, "put" | "delete") || method == "post" && is_batch),
            takes_key: method == "post" && (is_batch || path == "/v1/scenarios"),
            may_be_job: has_response("202"),
            revalidates: in_graph && method == "get",
            reads_answer: !in_graph && method == "get" && names_something && !is_live(path),
            negotiates: method == "get" && path.starts_with("/v1/") && !names_something
                || matches!(last, "versions" | "nodes" | "flows" | "requirements"),
        }
    }

    /// Statuses of the problems that the operation can have beside a defect of the server.
    fn problems(&self) -> Vec<u16> {
        let rules = [
            (400, true),
            (401, !self.open),
            (403, !self.open),
            (404, self.names_something || self.has_body),
            (406, self.negotiates),
            (408, self.has_body),
            (409, self.writes_graph || self.takes_key || self.may_be_job),
            (410, self.at_version || self.reads_answer),
            (412, self.writes_graph),
            (413, self.has_body),
            (415, self.has_body),
            (422, self.has_body || self.at_version || self.reads_answer),
            (429, !self.open),
            (503, true),
        ];
        rules.iter().filter(|(_, holds)| *holds).map(|(status, _)| *status).collect()
    }

    fn request_headers(&self) -> Vec<Value> {
        let header = |name: &str, description: &str, schema: Value| {
            json!({"name": name, "in": "header", "required": false,
                   "description": description, "schema": schema})
        };
        let mut headers = Vec::new();
        if self.writes_graph {
            headers.push(header(
                "If-Match",
                "Version that the graph must be at: the ETag of an answer. A write to a graph \
                 that has changed since is refused (412).",
                json!({"type": "string", "pattern": "^(\\*|(W/)?\"?[0-9]{1,18}\"?)$",
                       "example": "\"1\""}),
            ));
        }
        if self.takes_key {
            headers.push(header(
                "Idempotency-Key",
                "Makes a repeated request safe: the same key with the same body within a day \
                 gives the first answer.",
                json!({"type": "string", "minLength": 1, "maxLength": 255}),
            ));
        }
        if self.may_be_job {
            headers.push(header(
                "Prefer",
                "`respond-async`: answer 202 with a job at once; `wait=10`: if it takes longer than \
                 10 seconds (without: `answer_within_seconds`, 30); `wait`: never (RFC 7240).",
                json!({"type": "string", "example": "wait=10"}),
            ));
        }
        if self.revalidates {
            headers.push(header(
                "If-None-Match",
                "ETag that the caller has; 304 if it is still the newest.",
                json!({"type": "string", "example": "\"1\""}),
            ));
        }
        headers
    }

    fn answer_headers(&self, status: &str) -> Object {
        let mut headers = Object::new();
        let mut add = |name: &str, required: bool, description: &str| {
            headers.insert(name.into(), answer_header(required, description));
        };
        add("X-Request-Id", true, "The request, as in problems and in the log.");
        match status {
            "202" => {
                add("Location", true, "The job.");
                add("Retry-After", true, "Seconds to wait before asking for the job.");
                add("Preference-Applied", false, "`respond-async`.");
            }
            "201" => add("Location", true, "The new thing."),
            _ => {}
        }
        if matches!(status, "200" | "201" | "304") {
            if self.at_version || self.writes_graph || self.revalidates {
                add("ETag", false, "Version of the graph, in quotes.");
            }
            if self.reads_answer {
                add("ETag", false, "Id of the answer, in quotes.");
            }
            if self.revalidates || self.reads_answer {
                add("Cache-Control", false, "How long the answer holds; `immutable` if for ever.");
            }
            if self.may_be_job {
                add("Content-Location", false, "Where the answer can be read again.");
            }
            if self.takes_key {
                add("Idempotency-Replayed", false, "`true`: the first answer to this key.");
            }
        }
        headers
    }
}

/// Things with an id that change, so that no answer about them holds for ever.
fn is_live(path: &str) -> bool {
    ["/v1/jobs", "/v1/scenarios", "/v1/admin"].iter().any(|prefix| path.starts_with(prefix))
}

fn answer_header(required: bool, description: &str) -> Value {
    json!({"required": required, "description": description, "schema": {"type": "string"}})
}

/// One answer for each status that problems have, and one for all (`Problem`).
fn problem_answers() -> Value {
    let mut by_status: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
    for code in Code::ALL {
        by_status.entry(code.status().as_u16()).or_default().push(*code);
    }
    let mut answers = Object::new();
    let mut any = problem_answer("A problem: what is wrong, where, and what to do", 0, None);
    any["content"]["application/problem+json"]["examples"] = typical_problems();
    answers.insert("Problem".into(), any);
    for (status, codes) in by_status {
        let lines: Vec<String> =
            codes.iter().map(|c| format!("`{}`: {}", c.as_str(), c.title())).collect();
        let example = codes.first().map(|code| {
            let mut problem = Problem::new(*code, code.title());
            problem.request_id = Some("0b1f6a52-6d0c-4d6e-9a37-7a0f6f1f1c55".into());
            problem
        });
        let answer = problem_answer(&lines.join("; "), status, example.as_ref());
        answers.insert(format!("Problem{status}"), answer);
    }
    Value::Object(answers)
}

/// What callers meet first, as the server says it.
fn typical_problems() -> Value {
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
        "a name": example("A name that is not known: the hint has the nearest one",
            name.param("shocks[0].select").hint("did you mean gallium?")),
        "a field": example("A field that is not known: nothing is ignored",
            field.param("shocks[0].los").hint("did you mean loss?")),
        "an answer": example("An answer that is not known: ask the question first",
            answer.hint("POST the scenario to /v1/graphs/{g}/impacts")),
    })
}

fn problem_answer(description: &str, status: u16, example: Option<&Problem>) -> Value {
    let mut media = json!({"schema": {"$ref": "#/components/schemas/Problem"}});
    if let Some(example) = example {
        media["example"] = serde_json::to_value(example).unwrap_or_default();
    }
    let mut headers = Object::new();
    let mut add = |name: &str, required, description: &str| {
        headers.insert(name.into(), answer_header(required, description));
    };
    add("X-Request-Id", true, "The request, as in problems and in the log.");
    match status {
        401 => add("WWW-Authenticate", true, "How to show a key."),
        405 => add("Allow", true, "Methods that the path takes."),
        429 | 503 => add("Retry-After", true, "Seconds to wait."),
        _ => {}
    }
    json!({
        "description": description,
        "headers": headers,
        "content": { "application/problem+json": media }
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

/// An optional parameter is absent, never null.
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
