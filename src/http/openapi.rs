//! The `OpenAPI` document, made of the table and the types.

use std::collections::BTreeMap;

use axum::Json;
use axum::routing::get;
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::problem::{CONTENT_TYPE, Problem};
use super::routes;
use super::table::{Answer, Body, Content, Kind, Operation};
use crate::envelope::Verb;

const TAGS: [(&str, &str); 6] = [
    ("api", "State of the node and its cameras"),
    ("commands", "The stop button and everything else that can be asked of a camera, a group or the node"),
    ("pictures", "Pictures out and in"),
    ("live", "What happens now, as it happens"),
    ("health", "For supervisors and Prometheus"),
    ("login", "For browsers; programs send the token with each request"),
];

pub fn operations() -> Vec<Operation> {
    let schema = json!({ "type": "object" });
    vec![Operation::get("/api/openapi.json", "openapi", "This document", get(|| async { Json(document()) })).answer(
        Answer { status: 200, says: "OpenAPI 3.1", media: Some(("application/json", Content::Written(schema))) },
    )]
}

/// The whole document.
#[must_use]
pub fn document() -> Value {
    // What is said, not what could be read: a field that is left out when empty is optional.
    let settings = SchemaSettings::draft2020_12().for_serialize().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut schemas = settings.into_generator();
    let problem = schemas.subschema_for::<Problem>();
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for operation in routes::operations() {
        let method = operation.method.as_str().to_ascii_lowercase();
        paths.entry(operation.path).or_default().insert(method, described(&operation, &mut schemas));
    }
    let tags: Vec<Value> = TAGS.iter().map(|(name, says)| json!({ "name": name, "description": says })).collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Sightwire",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Cameras as message streams: look at them, command them, hand them pictures. Errors are problem details (RFC 9457) \
                with a `code` for programs. With `http.token_file` set every path but `/healthz`, `/readyz` and the login form needs the token.",
            "license": { "name": "Apache-2.0 OR MIT", "identifier": "Apache-2.0 OR MIT" },
        },
        "servers": [{ "url": "/" }],
        "tags": tags,
        "security": [{}, { "token": [] }, { "password": [] }, { "session": [] }],
        "paths": paths,
        "components": {
            "schemas": schemas.take_definitions(true),
            "responses": {
                "Problem": {
                    "description": "Refused or failed: `code` says why for programs, `detail` for people",
                    "content": { CONTENT_TYPE: { "schema": problem } },
                },
            },
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer", "description": "The first line of `http.token_file`" },
                "password": { "type": "http", "scheme": "basic", "description": "Any user; the password is the token" },
                "session": { "type": "apiKey", "in": "cookie", "name": "sightwire_session", "description": "What the login form gives a browser" },
            },
        },
    })
}

fn described(operation: &Operation, schemas: &mut SchemaGenerator) -> Value {
    let mut said = json!({
        "operationId": operation.id,
        "summary": operation.summary,
        "tags": [operation.tag],
        "responses": answers(operation, schemas),
    });
    let mut add = |key: &str, value: Value| said[key] = value;
    if !operation.details.is_empty() {
        add("description", operation.details.into());
    }
    let parameters = parameters(operation);
    if !parameters.is_empty() {
        add("parameters", parameters.into());
    }
    if let Some(Body { required, says, media }) = &operation.body {
        let content: Map<String, Value> =
            media.iter().map(|(kind, content)| one_media(kind, content, schemas)).collect();
        add("requestBody", json!({ "required": required, "description": says, "content": content }));
    }
    if matches!(operation.path, "/healthz" | "/readyz") || operation.tag == "login" {
        add("security", json!([{}]));
    }
    said
}

fn parameters(operation: &Operation) -> Vec<Value> {
    let names = operation.path.split('{').skip(1).filter_map(|rest| rest.split('}').next());
    let in_path = names.map(|name| {
        let schema = match name.trim_start_matches('*') {
            "camera" | "group" => json!({ "type": "string", "pattern": "^[a-z0-9][a-z0-9_-]{0,63}$" }),
            "command" => json!({ "type": "string", "enum": Verb::ALL.map(Verb::as_str) }),
            _ => json!({ "type": "string" }),
        };
        json!({ "name": name, "in": "path", "required": true, "schema": schema })
    });
    let in_query = operation.query.iter().map(|query| {
        json!({ "name": query.name, "in": "query", "required": false, "description": query.says, "schema": query.schema })
    });
    in_path.chain(in_query).collect()
}

fn answers(operation: &Operation, schemas: &mut SchemaGenerator) -> Value {
    let mut said = Map::new();
    for answer in &operation.answers {
        let mut one = json!({ "description": answer.says });
        if let Some((kind, content)) = &answer.media {
            one["content"] = [one_media(kind, content, schemas)].into_iter().collect();
        }
        said.insert(answer.status.to_string(), one);
    }
    let problem = json!({ "$ref": "#/components/responses/Problem" });
    let usual: &[u16] = match operation.kind {
        Kind::Plain => &[400, 401, 403, 421, 429],
        Kind::Picture => &[400, 401, 403, 408, 413, 421, 429, 503],
        Kind::Stream => &[400, 401, 403, 421, 429, 503],
    };
    let with_body: &[u16] = if operation.body.is_some() { &[408, 413, 415] } else { &[] };
    let usual = usual.iter().chain(with_body).filter(|_| operation.path != "/healthz");
    for status in usual {
        said.entry(status.to_string()).or_insert_with(|| problem.clone());
    }
    said.into()
}

fn one_media(kind: &str, content: &Content, schemas: &mut SchemaGenerator) -> (String, Value) {
    let schema = match content {
        Content::Type(describe) => describe(schemas).into(),
        Content::Written(schema) => schema.clone(),
    };
    (kind.to_owned(), json!({ "schema": schema }))
}
