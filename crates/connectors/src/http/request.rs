//! One request, made of a plan and a message.

use std::borrow::Cow;

use serde_json::Value;

use super::description::{Auth, Escape};
use super::plan::{Content, Node, Plan, Proof};
use super::template::{self, Template, Values};
use super::values::{Fixed, MASK};

/// A request as it leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepared {
    /// `GET`, `POST` or `PUT`.
    pub method: &'static str,
    /// The whole address.
    pub url: String,
    /// Its headers.
    pub headers: Vec<(String, String)>,
    /// What is sent.
    pub body: Vec<u8>,
}

impl Prepared {
    /// As it goes over the wire in HTTP/1.1 (RFC 9112 §3), without what the client adds by itself.
    pub fn written(&self) -> Vec<u8> {
        let behind = self.url.split_once("://").map_or(self.url.as_str(), |(_, rest)| rest);
        let (host, path) = behind.find(['/', '?']).map_or((behind, "/"), |at| behind.split_at(at));
        let path = if path.starts_with('?') { format!("/{path}") } else { path.to_owned() };
        let mut out = format!("{} {path} HTTP/1.1\r\nHost: {host}\r\n", self.method);
        for (name, value) in &self.headers {
            out.push_str(&format!("{name}: {value}\r\n"));
        }
        if !self.body.is_empty() {
            out.push_str(&format!("Content-Length: {}\r\n", self.body.len()));
        }
        out.push_str("\r\n");
        let mut out = out.into_bytes();
        out.extend_from_slice(&self.body);
        out
    }

    fn path(&self) -> &str {
        let behind = self.url.split_once("://").map_or(self.url.as_str(), |(_, rest)| rest);
        behind.find('/').map_or("/", |at| &behind[at..])
    }
}

/// The longest address and the largest body that a message makes.
const URL_BYTES_MAX: usize = 8_000;
const BODY_BYTES_MAX: usize = 256 * 1024;

impl Plan {
    /// The request for a message, but for a token that must be had first.
    ///
    /// # Errors
    /// What the description cannot carry, in words.
    pub(super) fn request(&self, fixed: &Fixed, message: &dyn Values) -> Result<Prepared, String> {
        self.check_carries(message)?;
        let path = self.path.render(message, template::percent).unwrap_or_default();
        let mut url = format!("{}{}", fixed.url, String::from_utf8_lossy(&path));
        let query = encoded(&self.query, message);
        if !query.is_empty() {
            url.push(if url.contains('?') { '&' } else { '?' });
            url.push_str(&query);
        }
        let (content_type, body) = self.content(message)?;
        if url.len() > URL_BYTES_MAX || body.len() > BODY_BYTES_MAX {
            return Err("the request is too long".to_owned());
        }
        let mut headers = Vec::with_capacity(self.headers.len() + 2);
        if let Some(content_type) = content_type {
            headers.push(("Content-Type".to_owned(), content_type));
        }
        for (name, template) in &self.headers {
            if let Some(value) = template.text(message) {
                if value.chars().any(char::is_control) {
                    return Err(format!("the header {name} cannot hold a control character"));
                }
                headers.push((name.clone(), value));
            }
        }
        Ok(Prepared { method: self.method.name(), url, headers, body })
    }

    /// Refuses what a provider would get mutilated.
    fn check_carries(&self, message: &dyn Values) -> Result<(), String> {
        let has = |name: &str| message.value(name).is_some_and(|value| !value.is_empty());
        let binary = message.value("encoding").is_some_and(|encoding| &*encoding == b"binary");
        if binary && !["body", "octets", "binary"].iter().any(|name| self.names(name)) {
            return Err("the connection's description carries no binary content".to_owned());
        }
        if !binary && !["text", "gsm_text", "octets", "body"].iter().any(|name| self.names(name)) {
            return Err("the connection's description carries no text".to_owned());
        }
        // A header that goes with binary content only is none for texts.
        if has("udh") && !self.names("udh") && !(binary && self.names("binary_udh")) {
            return Err("the connection's description carries no user data header".to_owned());
        }
        Ok(())
    }

    fn content(&self, message: &dyn Values) -> Result<(Option<String>, Vec<u8>), String> {
        Ok(match &self.body {
            Content::None => (None, Vec::new()),
            Content::Form(fields) => {
                (Some("application/x-www-form-urlencoded".to_owned()), encoded(fields, message).into_bytes())
            }
            Content::Json(node) => {
                let value = json(node, message)?.unwrap_or(Value::Null);
                (Some("application/json".to_owned()), value.to_string().into_bytes())
            }
            Content::Raw { content_type, text, escape } => {
                let escaped = match escape {
                    Escape::Xml => text.render(message, template::xml),
                    Escape::Json => text.render(message, template::json),
                    Escape::Url => text.render(message, template::percent),
                };
                (Some(content_type.clone()), escaped.unwrap_or_default())
            }
        })
    }

    /// Adds what proves who we are, at this time. A token is given where the plan needs one.
    pub(super) fn prove(
        &self,
        prepared: &mut Prepared,
        fixed: &Fixed,
        token: &str,
        now_s: i64,
    ) -> Result<(), String> {
        let masked = fixed.password == MASK;
        let header = |name: &str, value: String| (name.to_owned(), value);
        let proved = match &self.auth {
            Proof::Plain(Auth::Basic) if masked => header("Authorization", format!("Basic {MASK}")),
            Proof::Plain(Auth::Basic) => {
                let pair = format!("{}:{}", fixed.user, fixed.password);
                header("Authorization", format!("Basic {}", super::sign::base64(pair.as_bytes())))
            }
            Proof::Plain(Auth::Bearer) => header("Authorization", format!("Bearer {}", fixed.password)),
            Proof::Plain(Auth::OAuth2 { .. }) => header("Authorization", format!("Bearer {token}")),
            Proof::Plain(Auth::None | Auth::Header { .. } | Auth::Hmac { .. }) => return Ok(()),
            Proof::Header(name, template) => {
                header(name, template.text(&OnlyFixed(fixed)).unwrap_or_default())
            }
            Proof::Hmac { auth, over, value } => {
                let Auth::Hmac { hash, header, coding, timestamp_header, .. } = auth else { return Ok(()) };
                let timestamp = now_s.to_string();
                let signing =
                    Signing { prepared: &*prepared, user: &fixed.user, timestamp: &timestamp, signature: "" };
                let message =
                    over.render(&signing, |value, out| out.extend_from_slice(value)).unwrap_or_default();
                let signature =
                    if masked { MASK.to_owned() } else { hash.signed(&fixed.password, &message, *coding) };
                let signing = Signing { signature: &signature, ..signing };
                let written = value.as_ref().and_then(|value: &Template| value.text(&signing));
                let written = written.unwrap_or_else(|| signature.clone());
                if !timestamp_header.is_empty() {
                    prepared.headers.push((timestamp_header.clone(), timestamp.clone()));
                }
                (header.clone(), written)
            }
        };
        if proved.1.chars().any(char::is_control) {
            return Err(format!("the header {} cannot hold a control character", proved.0));
        }
        prepared.headers.push(proved);
        Ok(())
    }
}

struct OnlyFixed<'a>(&'a Fixed);

impl Values for OnlyFixed<'_> {
    fn value(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        let text = match name {
            "user" => &self.0.user,
            "password" => &self.0.password,
            _ => self.0.parameters.get(name.strip_prefix("parameters.")?)?,
        };
        Some(Cow::Borrowed(text.as_bytes()))
    }
}

/// What a signature can be over.
#[derive(Clone, Copy)]
struct Signing<'a> {
    prepared: &'a Prepared,
    user: &'a str,
    timestamp: &'a str,
    signature: &'a str,
}

impl Values for Signing<'_> {
    fn value(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        let octets = match name {
            "method" => self.prepared.method.as_bytes(),
            "path" => self.prepared.path().as_bytes(),
            "url" => self.prepared.url.as_bytes(),
            "body" => self.prepared.body.as_slice(),
            "timestamp" => self.timestamp.as_bytes(),
            "user" => self.user.as_bytes(),
            "signature" => self.signature.as_bytes(),
            _ => return None,
        };
        Some(Cow::Borrowed(octets))
    }
}

/// Fields of a query or a form; those that are empty are left out.
fn encoded(fields: &[(String, Template)], message: &dyn Values) -> String {
    let mut out = Vec::new();
    for (name, template) in fields {
        let Some(value) = template.render(message, |value, out| out.extend_from_slice(value)) else {
            continue;
        };
        if !out.is_empty() {
            out.push(b'&');
        }
        template::percent(name.as_bytes(), &mut out);
        out.push(b'=');
        template::percent(&value, &mut out);
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// A value of JSON; nothing for what is empty.
fn json(node: &Node, message: &dyn Values) -> Result<Option<Value>, String> {
    Ok(match node {
        Node::Plain(value) => Some(value.clone()),
        Node::Text(template) => match template.text(message) {
            Some(text) if template.is_number() => {
                Some(text.parse::<i64>().map_err(|_| format!("{text:?} is no number"))?.into())
            }
            text => text.map(Value::from),
        },
        Node::List(nodes) => {
            let mut list = Vec::with_capacity(nodes.len());
            for node in nodes {
                list.extend(json(node, message)?);
            }
            (!list.is_empty()).then_some(Value::Array(list))
        }
        Node::Object(members) => {
            let mut object = serde_json::Map::new();
            let mut told = false;
            for (name, node) in members {
                if let Some(value) = json(node, message)? {
                    told |= node.varies();
                    object.insert(name.clone(), value);
                }
            }
            // Where all that depends on the message is empty, the rest has lost what it was for.
            (told || !node.varies()).then_some(Value::Object(object))
        }
    })
}
