//! Reads and converts OpenAPI documents, and says how long that takes and which share of the operations became tools.
//! `cargo bench --bench openapi -- FILE...`; without files a document of 3 MB is made up.
#![allow(clippy::print_stdout, reason = "a benchmark reports on standard output")]

use serde_json::{Value, json};
use std::time::Instant;
use umcp::apps::openapi::{Options, convert};
use umcp::documents::large::{parse_large, read_large};

/// Each document is read and converted so often; the median counts.
const ROUNDS: usize = 5;

fn main() {
    let files: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let documents: Vec<(String, String)> = match files.is_empty() {
        true => vec![("made-up.json".into(), made_up().to_string())],
        false => {
            files.iter().filter_map(|file| Some((file.clone(), read_large(file.as_ref()).ok()?))).collect()
        }
    };
    let (mut operations, mut tools, mut failed) = (0, 0, 0);
    for (name, text) in &documents {
        let options = Options { name: "bench".into(), base: None, ..Options::default() };
        let mut rounds: Vec<(f64, f64)> = Vec::new();
        let mut outcome = None;
        for _ in 0..ROUNDS {
            let begun = Instant::now();
            let parsed = parse_large(name, text);
            let read = begun.elapsed().as_secs_f64() * 1000.0;
            let converted = parsed.and_then(|document| convert(&document, &options));
            rounds.push((read, begun.elapsed().as_secs_f64() * 1000.0));
            outcome = Some(converted);
        }
        rounds.sort_by(|a, b| a.1.total_cmp(&b.1));
        let (read, whole) = rounds[ROUNDS / 2];
        let kb = text.len() / 1024;
        match outcome {
            Some(Ok(converted)) => {
                operations += converted.operations;
                tools += converted.definition.tools.len();
                let out = serde_json::to_string(&converted.definition).map_or(0, |text| text.len() / 1024);
                let (all, made) = (converted.operations, converted.definition.tools.len());
                println!(
                    "{kb:>7} kB {read:>7.1} ms read {whole:>7.1} ms whole {made:>6}/{all:<6} {out:>6} kB out  {name}"
                );
            }
            Some(Err(error)) => {
                failed += 1;
                println!("{kb:>7} kB failed: {error} {:?}  {name}", error.span);
            }
            None => {}
        }
    }
    println!(
        "{} documents, {failed} failed; {tools} of {operations} operations became tools",
        documents.len()
    );
}

/// A document of about 3 MB: schemas that refer to each other, operations with parameters and bodies.
fn made_up() -> Value {
    let schema = |n: usize| {
        let field = |m: usize| json!({"type": "string", "description": format!("Field {m} of the schema {n}, as the service keeps it"), "maxLength": 200});
        let mut properties: serde_json::Map<String, Value> =
            (0..12).map(|m| (format!("field_{m}"), field(m))).collect();
        properties.insert("next".into(), json!({"$ref": format!("#/components/schemas/S{}", (n + 1) % 900)}));
        json!({"type": "object", "required": ["field_0"], "properties": properties})
    };
    let operation = |n: usize, verb: &str| {
        json!({
            "operationId": format!("{verb}Thing{n}"), "tags": ["things"], "summary": format!("The thing number {n}"),
            "parameters": [{"name": "id", "in": "path", "required": true, "schema": {"type": "integer"}},
                {"name": "page", "in": "query", "schema": {"type": "integer", "minimum": 1}}],
            "requestBody": {"content": {"application/json": {"schema": {"$ref": format!("#/components/schemas/S{}", n % 900)}}}},
            "responses": {"200": {"description": "It went well", "content": {"application/json": {"schema": {"$ref": format!("#/components/schemas/S{}", n % 900)}}}}}
        })
    };
    let path = |n: usize| {
        (format!("/things/{n}/{{id}}"), json!({"get": operation(n, "get"), "put": operation(n, "put")}))
    };
    let paths: serde_json::Map<String, Value> = (0..1200).map(path).collect();
    let schemas: serde_json::Map<String, Value> = (0..900).map(|n| (format!("S{n}"), schema(n))).collect();
    json!({"openapi": "3.0.3", "info": {"title": "Things"}, "servers": [{"url": "https://api.test"}],
        "paths": paths, "components": {"schemas": schemas}})
}
