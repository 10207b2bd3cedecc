//! The table of all paths: the router and the `OpenAPI` document are both made of it, so neither knows one that the other lacks.

use std::sync::Arc;

use axum::http::Method;
use axum::routing::MethodRouter;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Value, json};

use super::Board;

pub type Handler = MethodRouter<Arc<dyn Board>>;
type Describe = fn(&mut SchemaGenerator) -> Schema;

/// How much a request may bring and how long it may last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A small body at most, answered soon.
    Plain,
    /// A picture comes in, as large as `http.max_frame`.
    Picture,
    /// Goes on for as long as somebody looks: counted apart.
    Stream,
}

/// One method on one path: what it does, and what does it.
pub struct Operation {
    pub method: Method,
    pub path: &'static str,
    pub id: &'static str,
    pub summary: &'static str,
    pub details: &'static str,
    pub tag: &'static str,
    pub kind: Kind,
    pub query: Vec<Param>,
    pub body: Option<Body>,
    pub answers: Vec<Answer>,
    pub handler: Handler,
}

pub struct Param {
    pub name: &'static str,
    pub says: &'static str,
    pub schema: Value,
}

/// What a request brings.
pub struct Body {
    pub required: bool,
    pub says: &'static str,
    pub media: Vec<(&'static str, Content)>,
}

pub struct Answer {
    pub status: u16,
    pub says: &'static str,
    pub media: Option<(&'static str, Content)>,
}

pub enum Content {
    /// One of the program's types.
    Type(Describe),
    /// A schema written out.
    Written(Value),
}

impl Operation {
    pub fn new(method: Method, path: &'static str, id: &'static str, summary: &'static str, handler: Handler) -> Self {
        let (query, answers) = (Vec::new(), Vec::new());
        Self {
            method,
            path,
            id,
            summary,
            details: "",
            tag: "api",
            kind: Kind::Plain,
            query,
            body: None,
            answers,
            handler,
        }
    }

    pub fn get(path: &'static str, id: &'static str, summary: &'static str, handler: Handler) -> Self {
        Self::new(Method::GET, path, id, summary, handler)
    }

    pub fn post(path: &'static str, id: &'static str, summary: &'static str, handler: Handler) -> Self {
        Self::new(Method::POST, path, id, summary, handler)
    }

    pub fn put(path: &'static str, id: &'static str, summary: &'static str, handler: Handler) -> Self {
        Self::new(Method::PUT, path, id, summary, handler)
    }

    pub fn details(self, details: &'static str) -> Self {
        Self { details, ..self }
    }

    pub fn tag(self, tag: &'static str) -> Self {
        Self { tag, ..self }
    }

    pub fn kind(self, kind: Kind) -> Self {
        Self { kind, ..self }
    }

    pub fn query(mut self, name: &'static str, says: &'static str, schema: Value) -> Self {
        self.query.push(Param { name, says, schema });
        self
    }

    pub fn body(self, body: Body) -> Self {
        Self { body: Some(body), ..self }
    }

    pub fn answer(mut self, answer: Answer) -> Self {
        self.answers.push(answer);
        self
    }

    /// An error that is particular to this operation.
    pub fn problem(self, status: u16, says: &'static str) -> Self {
        self.answer(Answer {
            status,
            says,
            media: Some((super::problem::CONTENT_TYPE, Content::of::<super::problem::Problem>())),
        })
    }
}

impl Content {
    pub fn of<T: JsonSchema>() -> Self {
        Self::Type(SchemaGenerator::subschema_for::<T>)
    }

    fn bytes() -> Self {
        Self::Written(json!({}))
    }
}

impl Body {
    pub fn form(fields: &[&str]) -> Self {
        let properties: serde_json::Map<String, Value> =
            fields.iter().map(|field| ((*field).to_owned(), json!({ "type": "string" }))).collect();
        let schema = json!({ "type": "object", "properties": properties });
        Self {
            required: true,
            says: "A form",
            media: vec![("application/x-www-form-urlencoded", Content::Written(schema))],
        }
    }

    pub fn json(required: bool, says: &'static str, content: Content) -> Self {
        Self { required, says, media: vec![("application/json", content)] }
    }

    /// In another form as well.
    pub fn or(mut self, kind: &'static str, content: Content) -> Self {
        self.media.push((kind, content));
        self
    }

    pub fn media(says: &'static str, kinds: &[&'static str]) -> Self {
        Self { required: true, says, media: kinds.iter().map(|kind| (*kind, Content::bytes())).collect() }
    }
}

impl Answer {
    pub fn json<T: JsonSchema>(says: &'static str) -> Self {
        Self { status: 200, says, media: Some(("application/json", Content::of::<T>())) }
    }

    pub fn media(kind: &'static str) -> Self {
        Self { status: 200, says: "It", media: Some((kind, Content::bytes())) }
    }

    pub fn text(says: &'static str) -> Self {
        Self { status: 200, says, media: Some(("text/plain", Content::Written(json!({ "type": "string" })))) }
    }

    pub fn page() -> Self {
        Self {
            status: 200,
            says: "The page",
            media: Some(("text/html", Content::Written(json!({ "type": "string" })))),
        }
    }

    pub fn empty(status: u16, says: &'static str) -> Self {
        Self { status, says, media: None }
    }

    pub fn status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    pub fn says(self, says: &'static str) -> Self {
        Self { says, ..self }
    }
}
