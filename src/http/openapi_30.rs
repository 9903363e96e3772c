//! The OpenAPI document in version 3.0, for client generators that do not read 3.1.
//!
//! 3.0 is another dialect of JSON Schema: `nullable` instead of the type `null`, `enum` instead of
//! `const`, a `$ref` stands alone. Generators of that age also want one success answer and one kind
//! of error for each operation: the 202 of work that may become a job is left out (such a client
//! sends `Prefer: wait`, or asks for the job by itself), `default` is called `5XX`, and problems
//! stand under `application/json` too, the only media type that they make types of.

use serde_json::{Map, Value, json};

use super::openapi::document_json;

type Object = Map<String, Value>;

/// Keywords of schemas that 3.0 does not know and that say nothing more about an instance there.
const UNKNOWN: &[&str] = &["propertyNames", "$schema", "$comment", "unevaluatedProperties"];

/// The document in version 3.0.
pub fn document_json_30() -> Value {
    let mut document = document_json();
    document["openapi"] = json!("3.0.3");
    if let Some(licence) = document.pointer_mut("/info/license").and_then(Value::as_object_mut) {
        licence.remove("identifier");
    }
    if let Some(schemas) =
        document.pointer_mut("/components/schemas").and_then(Value::as_object_mut)
    {
        schemas.values_mut().for_each(schema);
    }
    let answers = document.pointer_mut("/components/responses").and_then(Value::as_object_mut);
    for (_, answer) in answers.into_iter().flatten() {
        contents(answer);
        twice(answer);
    }
    let items = document.get_mut("paths").and_then(Value::as_object_mut);
    let operations = items.into_iter().flatten().filter_map(|(_, item)| item.as_object_mut());
    for (_, found) in operations.flatten() {
        operation(found);
    }
    document
}

/// The text of the document in version 3.0.
pub fn document_text_30() -> String {
    let mut text = serde_json::to_string_pretty(&document_json_30()).unwrap_or_default();
    text.push('\n');
    text
}

fn operation(operation: &mut Value) {
    for parameter in
        operation.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten()
    {
        if let Some(inner) = parameter.get_mut("schema") {
            schema(inner);
        }
    }
    if let Some(body) = operation.get_mut("requestBody") {
        contents(body);
    }
    let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) else {
        return;
    };
    if responses.contains_key("200") {
        responses.remove("202");
    }
    if let Some(other) = responses.remove("default") {
        responses.insert("5XX".into(), other);
    }
    for response in responses.values_mut() {
        contents(response);
        twice(response);
    }
}

/// Problems under `application/json` too.
fn twice(response: &mut Value) {
    let Some(content) = response.get_mut("content").and_then(Value::as_object_mut) else { return };
    if let Some(problem) = content.get("application/problem+json").cloned() {
        content.insert("application/json".into(), problem);
    }
}

fn contents(holder: &mut Value) {
    let media = holder.get_mut("content").and_then(Value::as_object_mut);
    for (_, media) in media.into_iter().flatten() {
        if let Some(inner) = media.get_mut("schema") {
            schema(inner);
        }
    }
}

/// Translates a schema and all in it.
fn schema(value: &mut Value) {
    let Some(object) = value.as_object_mut() else {
        // `true` and `false` are schemas of 3.1 only.
        *value = json!({});
        return;
    };
    if let Some(reference) = object.get("$ref").cloned() {
        // What stands beside a reference is not read in 3.0.
        *value = json!({ "$ref": reference });
        return;
    }
    UNKNOWN.iter().for_each(|keyword| drop(object.remove(*keyword)));
    if let Some(constant) = object.remove("const") {
        object.insert("enum".into(), json!([constant]));
    }
    if let Some(Value::Array(examples)) = object.remove("examples")
        && let Some(first) = examples.into_iter().next()
    {
        object.entry("example").or_insert(first);
    }
    types(object);
    choices(object, "oneOf");
    choices(object, "anyOf");
    for bound in ["Minimum", "Maximum"] {
        exclusive(object, bound);
    }
    children(object);
    if object.get("type") == Some(&json!("array")) && !object.contains_key("items") {
        object.insert("items".into(), json!({}));
    }
    // A default of null says no more than `nullable`.
    if object.get("default") == Some(&Value::Null) {
        object.remove("default");
    }
}

/// `type: [x, null]` becomes `type: x, nullable: true`; several types become `anyOf`.
fn types(object: &mut Object) {
    let Some(Value::Array(types)) = object.get("type") else { return };
    let mut types = types.clone();
    let all = types.len();
    types.retain(|kind| kind != "null");
    if types.len() < all {
        object.insert("nullable".into(), json!(true));
    }
    object.remove("type");
    match &types[..] {
        [] => {}
        [only] => drop(object.insert("type".into(), only.clone())),
        several => {
            let any: Vec<Value> = several.iter().map(|kind| json!({ "type": kind })).collect();
            object.insert("anyOf".into(), any.into());
        }
    }
}

/// `oneOf: [x, null]` becomes `allOf: [x], nullable: true`.
fn choices(object: &mut Object, keyword: &str) {
    let Some(Value::Array(choices)) = object.get_mut(keyword) else { return };
    let all = choices.len();
    choices.retain(|choice| choice.get("type") != Some(&json!("null")));
    let (nullable, left) = (choices.len() < all, choices.len());
    if nullable {
        object.insert("nullable".into(), json!(true));
    }
    if nullable
        && left == 1
        && let Some(only) = object.remove(keyword)
    {
        object.insert("allOf".into(), only);
    }
}

/// `exclusiveMinimum: 0` becomes `minimum: 0, exclusiveMinimum: true`.
fn exclusive(object: &mut Object, bound: &str) {
    let keyword = format!("exclusive{bound}");
    if let Some(number) = object.get(&keyword).filter(|v| v.is_number()).cloned() {
        object.insert(bound.to_ascii_lowercase(), number);
        object.insert(keyword, json!(true));
    }
}

fn children(object: &mut Object) {
    for keyword in ["items", "additionalProperties", "not"] {
        if let Some(child) = object.get_mut(keyword).filter(|child| child.is_object()) {
            schema(child);
        }
    }
    if let Some(Value::Array(items)) = object.remove("prefixItems") {
        let count = json!(items.len());
        let mut any = Value::Array(items);
        any.as_array_mut().into_iter().flatten().for_each(schema);
        object.insert("items".into(), json!({ "anyOf": any }));
        object.insert("minItems".into(), count.clone());
        object.insert("maxItems".into(), count);
    }
    for keyword in ["oneOf", "anyOf", "allOf"] {
        object
            .get_mut(keyword)
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
            .for_each(schema);
    }
    let properties = object.get_mut("properties").and_then(Value::as_object_mut);
    properties.into_iter().flatten().for_each(|(_, child)| schema(child));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn translated(mut value: Value) -> Value {
        schema(&mut value);
        value
    }

    #[test]
    fn each_keyword_is_translated() {
        let cases = [
            (json!({"type": ["string", "null"]}), json!({"type": "string", "nullable": true})),
            (
                json!({"oneOf": [{"$ref": "#/x", "description": "d"}, {"type": "null"}]}),
                json!({"allOf": [{"$ref": "#/x"}], "nullable": true}),
            ),
            (json!({"const": "a"}), json!({"enum": ["a"]})),
            (
                json!({"type": "number", "exclusiveMinimum": 0}),
                json!({"type": "number", "minimum": 0, "exclusiveMinimum": true}),
            ),
            (
                json!({"type": ["string", "integer"]}),
                json!({"anyOf": [{"type": "string"}, {"type": "integer"}]}),
            ),
            (
                json!({"type": "object", "propertyNames": {"type": "string"},
                       "additionalProperties": {"type": ["number", "null"]}}),
                json!({"type": "object",
                       "additionalProperties": {"type": "number", "nullable": true}}),
            ),
            (
                json!({"examples": [1, 2], "type": "integer"}),
                json!({"example": 1, "type": "integer"}),
            ),
        ];
        for (before, after) in cases {
            assert_eq!(translated(before.clone()), after, "{before}");
        }
    }

    #[test]
    fn nothing_of_the_newer_dialect_is_left() {
        fn check(value: &Value, path: &str) {
            match value {
                Value::Object(_) if path.contains("/example") => {}
                Value::Object(object) => {
                    assert!(!object.get("type").is_some_and(Value::is_array), "{path}");
                    assert!(object.get("type") != Some(&json!("null")), "{path}");
                    for keyword in UNKNOWN.iter().chain(&["const", "prefixItems"]) {
                        let is_property = path.ends_with("/properties");
                        assert!(is_property || !object.contains_key(*keyword), "{path}/{keyword}");
                    }
                    object.iter().for_each(|(name, child)| check(child, &format!("{path}/{name}")));
                }
                Value::Array(items) => items.iter().for_each(|child| check(child, path)),
                _ => {}
            }
        }
        let document = document_json_30();
        assert_eq!(document["openapi"], "3.0.3");
        check(&document, "");
    }
}
