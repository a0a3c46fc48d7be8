//! Documents and the tools they become.

use super::{Filter, Options, convert};
use crate::apps::model::{Action, Body, Http, Scheme, Style};
use serde_json::{Value, json};

fn document(paths: Value) -> Value {
    json!({"openapi": "3.0.3", "info": {"title": "Pets"}, "servers": [{"url": "https://api.test/v1"}], "paths": paths})
}

fn options() -> Options {
    Options { name: "pets".into(), ..Options::default() }
}

fn http(tool: &crate::apps::model::Tool) -> &Http {
    match &tool.action {
        Action::Http(http) => http,
        Action::Exec(_) => panic!("no request"),
    }
}

#[test]
fn an_operation_becomes_a_tool() {
    let pets = document(json!({"/pets/{petId}": {
        "parameters": [{"name": "petId", "in": "path", "required": true, "schema": {"type": "integer"}}],
        "get": {"operationId": "getPet", "summary": "One pet", "deprecated": true, "parameters": [
            {"name": "filter[kind]", "in": "query", "schema": {"type": "array", "items": {"type": "string"}}, "explode": false},
            {"name": "where", "in": "query", "style": "deepObject", "schema": {"type": "object"}},
            {"name": "X-Trace", "in": "header", "schema": {"type": "string"}},
            {"name": "Accept", "in": "header", "schema": {"type": "string"}},
            {"name": "sid", "in": "cookie", "schema": {"type": "string"}}]},
        "delete": {"responses": {}}
    }}));
    let converted = convert(&pets, &options()).unwrap();
    let [get, delete] = converted.definition.tools.as_slice() else { panic!("{converted:?}") };
    assert_eq!((get.name.as_str(), get.description.as_str()), ("getPet", "Deprecated. One pet"));
    assert_eq!(
        get.input,
        json!({"type": "object", "properties": {"petId": {"type": "integer"},
            "filter_kind": {"type": "array", "items": {"type": "string"}}, "where": {"type": "object"},
            "X-Trace": {"type": "string"}, "sid": {"type": "string"}},
            "required": ["petId"], "additionalProperties": false})
    );
    let request = http(get);
    assert_eq!((request.method.as_str(), request.url.as_str()), ("GET", "/pets/{{petId}}"));
    let query: Vec<(&str, Style)> =
        request.query.iter().map(|field| (field.name.as_str(), field.style)).collect();
    assert_eq!(query, [("filter[kind]", Style::Comma), ("where", Style::Deep)]);
    assert_eq!(
        (get.hints.read_only, delete.hints.destructive, delete.hints.idempotent),
        (Some(true), Some(true), Some(true))
    );
    assert_eq!(
        (delete.name.as_str(), converted.definition.base.as_deref()),
        ("delete_pets_petId", Some("https://api.test/v1"))
    );
}

#[test]
fn bodies_become_arguments() {
    let body = |content: Value| {
        let document = document(json!({"/x": {"post": {"parameters": [{"name": "id", "in": "query"}],
            "requestBody": {"required": true, "content": content}}}}));
        let tool = convert(&document, &options()).unwrap().definition.tools.remove(0);
        let body = http(&tool).body.clone().unwrap();
        (tool.input, body)
    };
    let object = json!({"type": "object", "required": ["name", "id"], "properties": {"name": {"type": "string"},
        "id": {"type": "integer"}, "made": {"type": "string", "readOnly": true}}});
    let (input, made) = body(json!({"text/plain": {}, "application/json": {"schema": object}}));
    assert_eq!(made, Body::Json(json!({"name": "{{name}}", "id": "{{body_id}}"})));
    assert_eq!(input["required"], json!(["name", "body_id"]));
    let all = json!({"allOf": [object, {"properties": {"more": {"type": "string"}}}]});
    let (_, made) = body(json!({"application/json": {"schema": all}}));
    assert_eq!(made, Body::Json(json!({"name": "{{name}}", "id": "{{body_id}}", "more": "{{more}}"})));
    let (_, made) =
        body(json!({"application/json": {"schema": {"type": "array", "items": {"type": "string"}}}}));
    assert_eq!(made, Body::Json(json!("{{body}}")));
    let form = json!({"type": "object", "properties": {"f": {"type": "string", "format": "binary"}, "t": {"type": "string"}}});
    let (_, made) = body(json!({"multipart/form-data": {"schema": form}}));
    let Body::Multipart(parts) = made else { panic!() };
    assert_eq!(parts.iter().map(|part| part.style).collect::<Vec<_>>(), [Style::File, Style::Repeat]);
    let (_, made) = body(json!({"application/octet-stream": {}}));
    assert_eq!(
        made,
        Body::Binary { argument: "body".into(), content_type: "application/octet-stream".into() }
    );
    let (_, made) = body(json!({"application/xml": {}}));
    assert_eq!(made, Body::Text { text: "{{body}}".into(), content_type: "application/xml".into() });
}

#[test]
fn schemas_are_shortened_and_circles_end() {
    let mut pets = document(json!({"/x": {"post": {"requestBody": {"content": {"application/json": {
        "schema": {"$ref": "#/components/schemas/Node"}}}}}}}));
    pets["components"] = json!({"schemas": {
        "Node": {"type": "object", "properties": {"next": {"$ref": "#/components/schemas/Node"},
            "n": {"type": "integer", "nullable": true, "minimum": 0, "exclusiveMinimum": true, "x-more": 1, "example": 3},
            "odd": {"type": "float", "maxLength": "9"}, "loop": {"$ref": "#/components/schemas/Loop"}}},
        "Loop": {"$ref": "#/components/schemas/Loop"}}});
    let tool = convert(&pets, &options()).unwrap().definition.tools.remove(0);
    let properties = &tool.input["properties"];
    assert_eq!(properties["n"], json!({"type": ["integer", "null"], "exclusiveMinimum": 0}));
    assert_eq!(
        (&properties["odd"], &properties["loop"]),
        (&json!({}), &json!({"description": "the same again"}))
    );
    assert_eq!(properties["next"]["properties"]["next"]["description"], "the same again");
}

#[test]
fn a_small_document_makes_no_large_tool() {
    let level = |n: usize| {
        json!({"type": "object", "properties": {
        "a": {"$ref": format!("#/components/schemas/L{n}")}, "b": {"$ref": format!("#/components/schemas/L{n}")},
        "c": {"$ref": format!("#/components/schemas/L{n}")}, "d": {"$ref": format!("#/components/schemas/L{n}")}}})
    };
    let mut bomb = document(json!({"/x": {"post": {"requestBody": {"content": {"application/json": {
        "schema": {"$ref": "#/components/schemas/L0"}}}}}}}));
    let levels: serde_json::Map<String, Value> = (0..30).map(|n| (format!("L{n}"), level(n + 1))).collect();
    bomb["components"] = json!({"schemas": levels});
    let converted = convert(&bomb, &options()).unwrap();
    let size = serde_json::to_string(&converted.definition).unwrap().len();
    assert!(size < 40_000, "{size}");
}

#[test]
fn signing_becomes_settings() {
    let mut pets = document(json!({
        "/open": {"get": {"security": []}}, "/either": {"get": {"security": [{"key": []}, {"login": []}]}},
        "/default": {"get": {}}, "/strange": {"get": {"security": [{"mtls": []}]}}}));
    pets["security"] = json!([{"token": ["read"]}]);
    pets["components"] = json!({"securitySchemes": {
        "key": {"type": "apiKey", "in": "query", "name": "api_key"}, "login": {"type": "http", "scheme": "Basic"},
        "token": {"type": "oauth2", "flows": {}}, "mtls": {"type": "mutualTLS"}}});
    let converted = convert(&pets, &options()).unwrap();
    let auth: Vec<_> = converted.definition.tools.iter().map(|tool| http(tool).auth.clone()).collect();
    let sets = |sets: &[&str]| sets.iter().map(|name| vec![name.to_string()]).collect::<Vec<_>>();
    assert_eq!(auth, [sets(&[]), sets(&["key", "login"]), sets(&["token"])]);
    assert_eq!(converted.skipped, [("get /strange".to_string(), "umcp cannot sign in by mtls".to_string())]);
    let names: Vec<&str> =
        converted.definition.settings.iter().map(|setting| setting.name.as_str()).collect();
    assert_eq!(names, ["PETS_KEY", "PETS_USER", "PETS_PASSWORD", "PETS_TOKEN"]);
    assert_eq!(
        converted.definition.schemes["token"],
        Scheme::Header { name: "Authorization".into(), value: "Bearer ${PETS_TOKEN}".into() }
    );
}

#[test]
fn filters_choose() {
    let pets = document(json!({
        "/pets": {"get": {"tags": ["Pets"], "operationId": "listPets"}, "post": {"tags": ["Pets"]}},
        "/users": {"get": {"tags": ["Users"]}}, "/users/{id}": {"get": {"tags": ["users", "x"]}}}));
    let count = |filters: &[&str]| {
        let filters = filters.iter().map(|filter| Filter::read(filter).unwrap()).collect();
        convert(&pets, &Options { filters, ..options() })
            .map_or(0, |converted| converted.definition.tools.len())
    };
    for (filters, expected) in [
        (&[][..], 4),
        (&["tag=users"], 2),
        (&["verb=GET", "tag=pets"], 1),
        (&["path=/users*"], 2),
        (&["path=/users", "path=/pets"], 3),
        (&["operation=list*"], 1),
        (&["tag=none"], 0),
    ] {
        assert_eq!(count(filters), expected, "{filters:?}");
    }
    for bad in ["tag", "tag=", "verb=brew", "color=red"] {
        assert!(Filter::read(bad).is_err(), "{bad}");
    }
}

#[test]
fn what_is_no_document_is_refused() {
    for (document, words) in [
        (json!({}), "no field `openapi`"),
        (json!({"swagger": "2.0"}), "Swagger 2.0"),
        (json!({"openapi": "4.0"}), "OpenAPI 4.0"),
        (json!({"openapi": "3.1.0"}), "no operations"),
        (
            json!({"openapi": "3.1.0", "paths": {"/x": {"get": {}}}}),
            "none of the 1 operations can become a tool",
        ),
        (json!([]), "no field `openapi`"),
    ] {
        let error = convert(&document, &options()).unwrap_err();
        assert!(error.message.contains(words), "{error}");
    }
}

#[test]
fn the_server_is_found_or_given() {
    let base = |servers: Value, base: Option<&str>, origin: Option<&str>| {
        let mut pets = document(json!({"/x": {"get": {}}}));
        pets["servers"] = servers;
        let options = Options { base: base.map(Into::into), origin: origin.map(Into::into), ..options() };
        convert(&pets, &options).ok().and_then(|converted| converted.definition.base)
    };
    let given = |text: &str| Some(text.to_string());
    assert_eq!(base(json!([{"url": "https://a.test/"}]), None, None), given("https://a.test"));
    let variables = json!([{"url": "https://{region}.a.test/{v}", "variables": {"region": {"default": "eu"}, "v": {"default": "v2"}}}]);
    assert_eq!(base(variables, None, None), given("https://eu.a.test/v2"));
    assert_eq!(
        base(json!([{"url": "/api"}]), None, Some("https://a.test/openapi.json")),
        given("https://a.test/api")
    );
    assert_eq!(base(json!([{"url": "/api"}]), None, None), None);
    assert_eq!(base(json!([]), Some("http://localhost:1/"), None), given("http://localhost:1"));
    assert_eq!(base(json!([{"url": "javascript:x"}]), None, None), None);
}
