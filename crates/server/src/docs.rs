//! The API reference: the operations' own description (OpenAPI 3.1), read into what a page shows.

use serde_json::{Map, Value, json};

pub mod pages;

/// The whole API, in the order in which it is shown.
#[derive(Debug)]
pub struct Reference {
    /// Operations by capability.
    pub groups: Vec<Group>,
    /// The shapes that operations name.
    pub shapes: Vec<Shape>,
}

/// The operations of one capability.
#[derive(Debug)]
pub struct Group {
    /// Its tag: `messages`.
    pub tag: String,
    /// Its operations, by path.
    pub operations: Vec<Operation>,
}

/// One operation.
#[derive(Debug)]
pub struct Operation {
    /// Unique on the page: `post-messages`.
    pub anchor: String,
    /// `GET`, `POST` …
    pub method: String,
    /// With `{…}` for its variables.
    pub path: String,
    /// What it does, in a line.
    pub summary: String,
    /// What else there is to know.
    pub description: String,
    /// Parameters of the path and the query.
    pub parameters: Vec<Field>,
    /// The body that it takes.
    pub body: Option<Content>,
    /// Its answers, by status.
    pub answers: Vec<Answer>,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: String,
    /// When it comes.
    pub description: String,
    /// What it holds.
    pub body: Option<Content>,
}

/// A body.
#[derive(Debug)]
pub struct Content {
    /// What it is, as a whole.
    pub kind: Kind,
    /// Its members, where it is an object.
    pub fields: Vec<Field>,
    /// A body that might be sent.
    pub example: Value,
}

/// A parameter, or a member of an object.
#[derive(Debug)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// `path` or `query` for parameters, empty for members.
    pub place: String,
    /// What it takes.
    pub kind: Kind,
    /// Whether it must be given, or is always there.
    pub required: bool,
    /// What it means.
    pub description: String,
    /// What it is when it is not given.
    pub default: Option<String>,
}

/// What a value is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kind {
    /// Before the name: `list of `.
    pub before: &'static str,
    /// The name: `string`, or a shape's.
    pub name: String,
    /// Whether the name is that of one of the shapes.
    pub linked: bool,
}

/// A shape that has a name.
#[derive(Debug)]
pub struct Shape {
    /// Its name.
    pub name: String,
    /// What it is.
    pub description: String,
    /// Its members, for objects.
    pub fields: Vec<Field>,
    /// Its values, for closed sets.
    pub values: Vec<String>,
    /// What it is where it is neither: `string`, or the shapes that it can have.
    pub kinds: Vec<Kind>,
}

/// Reads an OpenAPI description.
pub fn read(openapi: &Value) -> Reference {
    let nothing = Map::new();
    let shapes = openapi["components"]["schemas"].as_object().unwrap_or(&nothing);
    let reader = Reader { shapes };
    let mut groups: Vec<Group> = Vec::new();
    for (path, methods) in openapi["paths"].as_object().unwrap_or(&nothing) {
        for (method, operation) in methods.as_object().unwrap_or(&nothing) {
            let tag = operation["tags"][0].as_str().unwrap_or("other");
            let operation = reader.operation(method, path, operation);
            match groups.iter_mut().find(|group| group.tag == tag) {
                Some(group) => group.operations.push(operation),
                None => groups.push(Group { tag: tag.to_owned(), operations: vec![operation] }),
            }
        }
    }
    // What makes a thing stands before what lists it, and messages are what most readers come for.
    for group in &mut groups {
        group.operations.sort_by_key(|one| (one.path.clone(), one.method != "POST"));
    }
    groups.sort_by_key(|group| (group.tag != "messages", group.tag.clone()));
    let named = shapes.iter().filter(|(name, _)| !name.starts_with(PAGE));
    Reference { groups, shapes: named.map(|(name, schema)| reader.shape(name, schema)).collect() }
}

/// Pages of lists all look alike; each is shown where it is answered.
const PAGE: &str = "Page_";
const REFERENCE: &str = "#/components/schemas/";
/// Objects within objects that an example shows.
const EXAMPLE_DEPTH: usize = 4;

struct Reader<'a> {
    shapes: &'a Map<String, Value>,
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

impl Reader<'_> {
    fn operation(&self, method: &str, path: &str, operation: &Value) -> Operation {
        let short = path.trim_start_matches("/api/v1/");
        let slug: String =
            short.chars().map(|ch| if ch.is_ascii_alphanumeric() { ch } else { '-' }).collect();
        let json = |content: &Value| {
            content["content"]["application/json"].get("schema").map(|one| self.content(one))
        };
        let answers = operation["responses"].as_object().into_iter().flatten();
        Operation {
            anchor: format!("{method}-{}", slug.replace("--", "-").trim_end_matches('-')),
            method: method.to_uppercase(),
            path: path.to_owned(),
            summary: text(&operation["summary"]).trim_end_matches('.').to_owned(),
            description: text(&operation["description"]),
            parameters: operation["parameters"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|one| self.parameter(one))
                .collect(),
            body: json(&operation["requestBody"]),
            answers: answers
                .map(|(status, answer)| Answer {
                    status: status.clone(),
                    description: text(&answer["description"]),
                    body: json(answer),
                })
                .collect(),
        }
    }

    fn parameter(&self, parameter: &Value) -> Field {
        Field {
            name: text(&parameter["name"]),
            place: text(&parameter["in"]),
            kind: self.kind(&parameter["schema"]),
            required: parameter["required"] == true,
            description: match (parameter["description"].as_str(), parameter["in"] == "path") {
                (None, true) => "Which one.".to_owned(),
                (said, _) => said.unwrap_or_default().to_owned(),
            },
            default: None,
        }
    }

    fn content(&self, schema: &Value) -> Content {
        Content {
            kind: self.kind(schema),
            fields: self.fields(self.resolved(schema)),
            example: self.example(schema, 0),
        }
    }

    /// The name of the shape that a schema refers to, or repeats word for word.
    fn name_of(&self, schema: &Value) -> Option<String> {
        if let Some(reference) = schema["$ref"].as_str() {
            return reference.strip_prefix(REFERENCE).map(str::to_owned);
        }
        schema.get("properties")?;
        self.shapes.iter().find(|(_, shape)| *shape == schema).map(|(name, _)| name.clone())
    }

    fn resolved<'a>(&'a self, schema: &'a Value) -> &'a Value {
        let name = schema["$ref"].as_str().and_then(|reference| reference.strip_prefix(REFERENCE));
        name.and_then(|name| self.shapes.get(name)).unwrap_or(schema)
    }

    /// A schema without its `null`: what may be left out says so by not being required.
    fn present<'a>(&self, schema: &'a Value) -> &'a Value {
        let either = schema["oneOf"].as_array().map(Vec::as_slice).unwrap_or_default();
        match either.iter().filter(|one| one["type"] != "null").collect::<Vec<_>>()[..] {
            [only] => only,
            _ => schema,
        }
    }

    fn kind(&self, schema: &Value) -> Kind {
        let schema = self.present(schema);
        if schema["type"] == "array" {
            let Kind { before, name, linked } = self.kind(&schema["items"]);
            return Kind {
                before: if before.is_empty() { "list of " } else { "list of lists of " },
                name,
                linked,
            };
        }
        match self.name_of(schema) {
            // A page is not worth a shape of its own: its members are shown in place.
            Some(page) if page.starts_with(PAGE) => {
                Kind { before: "page of ", name: page[PAGE.len()..].to_owned(), linked: false }
            }
            Some(name) => Kind { before: "", name, linked: true },
            None => Kind { before: "", name: plain(schema), linked: false },
        }
    }

    fn fields(&self, schema: &Value) -> Vec<Field> {
        let mut fields = Vec::new();
        for part in schema["allOf"].as_array().into_iter().flatten() {
            fields.extend(self.fields(self.resolved(part)));
        }
        let required = schema["required"].as_array().map(Vec::as_slice).unwrap_or_default();
        for (name, member) in schema["properties"].as_object().into_iter().flatten() {
            let own = text(&member["description"]);
            let inner = text(&self.present(member)["description"]);
            fields.push(Field {
                name: name.clone(),
                place: String::new(),
                kind: self.kind(member),
                required: required.iter().any(|one| one == name.as_str()),
                description: if own.is_empty() { inner } else { own },
                default: member.get("default").filter(|value| !value.is_null()).map(ToString::to_string),
            });
        }
        fields.sort_by_key(|field| !field.required);
        fields
    }

    fn shape(&self, name: &str, schema: &Value) -> Shape {
        let fields = self.fields(schema);
        let values = schema["enum"].as_array().into_iter().flatten().map(text).collect();
        let either = schema["oneOf"].as_array().or(schema["anyOf"].as_array());
        let kinds = match either {
            Some(either) => {
                either.iter().filter(|one| one["type"] != "null").map(|one| self.kind(one)).collect()
            }
            None if fields.is_empty() => vec![Kind { before: "", name: plain(schema), linked: false }],
            None => Vec::new(),
        };
        Shape { name: name.to_owned(), description: text(&schema["description"]), fields, values, kinds }
    }

    /// A value as it might be sent: what must be given, and whatever has an example.
    fn example(&self, schema: &Value, depth: usize) -> Value {
        let schema = self.present(schema);
        if let Some(example) = schema.get("example") {
            return example.clone();
        }
        if let Some(name) = self.name_of(schema).filter(|name| name.ends_with("Id") || name == "Timestamp") {
            return match name.strip_suffix("Id") {
                Some(prefix) => json!(format!("{prefix}_…")),
                None => json!("2027-01-31T09:30:00Z"),
            };
        }
        let schema = self.resolved(schema);
        if let Some(first) = schema["enum"].get(0) {
            return first.clone();
        }
        if let Some(first) = schema["oneOf"].get(0).filter(|_| depth < EXAMPLE_DEPTH) {
            return self.example(first, depth + 1);
        }
        match plain(schema).as_str() {
            "object" if depth < EXAMPLE_DEPTH => self.example_object(schema, depth),
            "object" => json!({}),
            "list" if depth < EXAMPLE_DEPTH => json!([self.example(&schema["items"], depth + 1)]),
            "list" => json!([]),
            "integer" | "number" => schema.get("default").cloned().unwrap_or(json!(1)),
            "boolean" => json!(true),
            _ => json!("…"),
        }
    }

    fn example_object(&self, schema: &Value, depth: usize) -> Value {
        let required = schema["required"].as_array().map(Vec::as_slice).unwrap_or_default();
        let members = schema["properties"].as_object().into_iter().flatten();
        let shown = members.filter(|(name, member)| {
            required.iter().any(|one| one == name.as_str()) || self.present(member).get("example").is_some()
        });
        let shown: Map<_, _> =
            shown.map(|(name, member)| (name.clone(), self.example(member, depth + 1))).collect();
        Value::Object(shown)
    }
}

/// The name of a schema's own type: `string`, `integer`, `list` …
fn plain(schema: &Value) -> String {
    let of = |name: &str| if name == "array" { "list".to_owned() } else { name.to_owned() };
    match &schema["type"] {
        Value::String(name) => of(name),
        Value::Array(names) => names
            .iter()
            .filter_map(Value::as_str)
            .find(|name| *name != "null")
            .map_or_else(|| "any".to_owned(), of),
        _ if schema.get("properties").is_some() || schema.get("allOf").is_some() => "object".to_owned(),
        _ => "any".to_owned(),
    }
}

impl Operation {
    /// A call of it by curl, against this base address.
    pub fn curl(&self, base: &str) -> String {
        let path = self.path.replace('{', "").replace("id}", "ID").replace('}', "");
        let mut call = format!("curl {base}{path}");
        if self.method != "GET" && (self.method != "POST" || self.body.is_none()) {
            call = format!("curl -X {} {base}{path}", self.method);
        }
        call.push_str(" \\\n  -H \"Authorization: Bearer $API_KEY\"");
        if let Some(body) = &self.body {
            // A quote within single quotes ends them in every shell.
            let text = serde_json::to_string_pretty(&body.example).unwrap_or_default().replace('\'', "'\\''");
            call.push_str(" \\\n  --json '");
            call.push_str(&text);
            call.push('\'');
        }
        call
    }

    /// What a search finds it by.
    pub fn searched(&self) -> String {
        format!("{} {} {} {}", self.method, self.path, self.summary, self.description).to_lowercase()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn reference() -> Reference {
        read(&serde_json::to_value(crate::http::openapi()).unwrap())
    }

    #[test]
    fn every_operation_is_read_whole() {
        let reference = reference();
        let operations: Vec<_> = reference.groups.iter().flat_map(|group| &group.operations).collect();
        let anchors: HashSet<_> = operations.iter().map(|one| one.anchor.as_str()).collect();
        assert_eq!(anchors.len(), operations.len(), "anchors are unique");
        for operation in &operations {
            assert!(!operation.summary.is_empty() && !operation.answers.is_empty(), "{operation:?}");
        }
        let send = operations.iter().find(|one| one.anchor == "post-messages").unwrap();
        let body = send.body.as_ref().unwrap();
        assert!(body.fields[0].name == "to" && body.fields[0].required, "what must be given stands first");
        assert_eq!(body.example["to"], "+33612345678");
        assert!(
            send.curl("http://h").starts_with("curl http://h/api/v1/messages \\\n"),
            "{}",
            send.curl("http://h")
        );
        let list = operations.iter().find(|one| one.anchor == "get-messages").unwrap();
        let page = list.answers[0].body.as_ref().unwrap();
        let items = page.fields.iter().find(|field| field.name == "items").unwrap();
        assert_eq!(items.kind, Kind { before: "list of ", name: "Message".to_owned(), linked: true });
    }

    #[test]
    fn every_link_leads_to_a_shape() {
        let reference = reference();
        let shapes: HashSet<_> = reference.shapes.iter().map(|shape| shape.name.as_str()).collect();
        let operations = reference.groups.iter().flat_map(|group| &group.operations);
        let bodies = operations
            .flat_map(|one| one.body.iter().chain(one.answers.iter().filter_map(|one| one.body.as_ref())));
        let of_bodies =
            bodies.flat_map(|body| body.fields.iter().map(|field| &field.kind).chain([&body.kind]));
        let of_shapes = reference
            .shapes
            .iter()
            .flat_map(|shape| shape.fields.iter().map(|field| &field.kind).chain(&shape.kinds));
        for kind in of_bodies.chain(of_shapes).filter(|kind| kind.linked) {
            assert!(shapes.contains(kind.name.as_str()), "{kind:?}");
        }
    }
}
