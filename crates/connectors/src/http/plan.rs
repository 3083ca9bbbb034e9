//! A description, read once: its templates, sources and rules ready for use.

use std::collections::BTreeMap;

use serde_json::Value;

use super::description::{Auth, Body, Description, Escape, Method, Rule, Signature};
use super::source::{self, Source};
use super::template::Template;
use super::values;
use super::{Flaw, Meaning};

const PARAMETERS_MAX: usize = 20;
const FIELDS_MAX: usize = 50;
const RULES_MAX: usize = 50;
const STATES_MAX: usize = 100;
const NODES_MAX: usize = 200;
const REPLY_CHARS_MAX: usize = 1_000;

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) method: Method,
    /// The address behind `{url}`.
    pub(super) path: Template,
    pub(super) query: Vec<(String, Template)>,
    pub(super) headers: Vec<(String, Template)>,
    pub(super) body: Content,
    pub(super) auth: Proof,
    pub(super) answers: Vec<Reading>,
}

/// How a body is made.
#[derive(Clone, Debug)]
pub(super) enum Content {
    None,
    Form(Vec<(String, Template)>),
    Json(Node),
    Raw { content_type: String, text: Template, escape: Escape },
}

/// JSON whose texts are templates.
#[derive(Clone, Debug)]
pub(super) enum Node {
    Plain(Value),
    Text(Template),
    List(Vec<Node>),
    Object(Vec<(String, Node)>),
}

/// How we prove who we are.
#[derive(Clone, Debug)]
pub(super) enum Proof {
    /// As it is described.
    Plain(Auth),
    Header(String, Template),
    Hmac {
        auth: Auth,
        over: Template,
        value: Option<Template>,
    },
}

/// How some answers are read.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    pub(super) status: std::ops::RangeInclusive<u16>,
    pub(super) at: Source,
    pub(super) is: Vec<String>,
    pub(super) matches: Option<regex::Regex>,
    pub(super) then: Meaning,
    pub(super) id: Source,
    pub(super) error: Source,
}

fn flaw<T>(at: &str, read: Result<T, String>) -> Result<T, Flaw> {
    read.map_err(|why| Flaw { at: at.to_owned(), why })
}

fn few(at: &str, entries: usize, max: usize) -> Result<(), Flaw> {
    let why = || format!("{entries} entries are more than the {max} that it takes");
    if entries > max { Err(Flaw { at: at.to_owned(), why: why() }) } else { Ok(()) }
}

/// Whether a header may be set: those that say where a request ends or where it goes are HTTP's own.
fn header_name(name: &str) -> Result<(), String> {
    let plain = !name.is_empty()
        && name.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-' || octet == b'_');
    let own = ["host", "content-length", "transfer-encoding", "connection"];
    if plain && !own.iter().any(|own| name.eq_ignore_ascii_case(own)) {
        return Ok(());
    }
    Err(format!("{name:?} is no header that can be set"))
}

impl Plan {
    /// Reads a description.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub(super) fn read(described: &Description) -> Result<Self, Flaw> {
        few("parameters", described.parameters.len(), PARAMETERS_MAX)?;
        let template =
            |text: &str| Template::read(text, |name| values::is_known(name, &described.parameters));
        let fields = |at: &str, fields: &BTreeMap<String, String>| {
            few(at, fields.len(), FIELDS_MAX)?;
            let read = |(name, text): (&String, &String)| {
                Ok((name.clone(), flaw(&format!("{at}.{name}"), template(text))?))
            };
            fields.iter().map(read).collect::<Result<Vec<_>, Flaw>>()
        };
        let request = &described.request;
        let address = flaw("request.url", template(&request.url))?;
        if !address.begins_with("url") {
            return flaw("request.url", Err("it does not begin with {url}".to_owned()));
        }
        let headers = fields("request.headers", &request.headers)?;
        for (name, _) in &headers {
            flaw("request.headers", header_name(name))?;
        }
        let body = match &request.body {
            Body::None => Content::None,
            Body::Form(form) => Content::Form(fields("request.body.form", form)?),
            Body::Json(value) => {
                let mut left = NODES_MAX;
                Content::Json(flaw("request.body.json", node(value, &template, &mut left))?)
            }
            Body::Raw { content_type, text, escape } => Content::Raw {
                content_type: content_type.clone(),
                text: flaw("request.body.raw.text", template(text))?,
                escape: *escape,
            },
        };
        if request.method == Method::Get && !matches!(body, Content::None) {
            return flaw("request.body", Err("a GET has no body".to_owned()));
        }
        few("answers", described.answers.len(), RULES_MAX)?;
        let answers = described
            .answers
            .iter()
            .enumerate()
            .map(|(nth, rule)| flaw(&format!("answers[{nth}]"), reading(rule)))
            .collect::<Result<Vec<_>, Flaw>>()?;
        if !answers.iter().any(|rule| rule.then == Meaning::Accepted) {
            return flaw("answers", Err("no answer means that a message was accepted".to_owned()));
        }
        check_reply(described)?;
        Ok(Self {
            method: request.method,
            path: address.behind_first(),
            query: fields("request.query", &request.query)?,
            headers,
            body,
            auth: flaw("auth", proof(&described.auth, &template))?,
            answers,
        })
    }

    /// Whether any part of the request names this value.
    pub(super) fn names(&self, wanted: &str) -> bool {
        let in_fields =
            |fields: &[(String, Template)]| fields.iter().any(|(_, template)| template.names(wanted));
        self.path.names(wanted)
            || in_fields(&self.query)
            || in_fields(&self.headers)
            || match &self.body {
                Content::None => false,
                Content::Form(fields) => in_fields(fields),
                Content::Json(node) => node.names(wanted),
                Content::Raw { text, .. } => text.names(wanted),
            }
    }
}

impl Node {
    /// Whether anything in it depends on the message.
    pub(super) fn varies(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Text(template) => template.varies(),
            Self::List(nodes) => nodes.iter().any(Self::varies),
            Self::Object(members) => members.iter().any(|(_, node)| node.varies()),
        }
    }

    fn names(&self, wanted: &str) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Text(template) => template.names(wanted),
            Self::List(nodes) => nodes.iter().any(|node| node.names(wanted)),
            Self::Object(members) => members.iter().any(|(_, node)| node.names(wanted)),
        }
    }
}

fn node(
    value: &Value,
    template: &impl Fn(&str) -> Result<Template, String>,
    left: &mut usize,
) -> Result<Node, String> {
    *left = left.checked_sub(1).ok_or_else(|| format!("it has more than {NODES_MAX} values"))?;
    Ok(match value {
        Value::String(text) => Node::Text(template(text)?),
        Value::Array(list) => {
            Node::List(list.iter().map(|value| node(value, template, left)).collect::<Result<_, String>>()?)
        }
        Value::Object(members) => {
            let member = |(name, value): (&String, &Value)| Ok((name.clone(), node(value, template, left)?));
            Node::Object(members.iter().map(member).collect::<Result<_, String>>()?)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => Node::Plain(value.clone()),
    })
}

fn proof(auth: &Auth, template: &impl Fn(&str) -> Result<Template, String>) -> Result<Proof, String> {
    match auth {
        Auth::Header { name, value } => {
            header_name(name)?;
            Ok(Proof::Header(name.clone(), template(value)?))
        }
        Auth::Hmac { over, header, value, timestamp_header, .. } => {
            header_name(header)?;
            if !timestamp_header.is_empty() {
                header_name(timestamp_header)?;
            }
            let signed = ["method", "path", "url", "body", "timestamp", "user"];
            let over = Template::read(over, |name| signed.contains(&name))?;
            let written =
                |text| Template::read(text, |name| matches!(name, "signature" | "timestamp" | "user"));
            let value = if value.is_empty() { None } else { Some(written(value)?) };
            Ok(Proof::Hmac { auth: auth.clone(), over, value })
        }
        Auth::None | Auth::Basic | Auth::Bearer | Auth::OAuth2 { .. } => Ok(Proof::Plain(auth.clone())),
    }
}

fn reading(rule: &Rule) -> Result<Reading, String> {
    let status = statuses(&rule.status)?;
    let matches = if rule.matches.is_empty() { None } else { Some(source::regex(&rule.matches)?) };
    let at = match Source::read(&rule.at)? {
        Source::Nowhere if matches.is_some() || !rule.is.is_empty() => Source::Body,
        at => at,
    };
    let within_answers = |source: Source| match source {
        Source::Field(name) => {
            Err(format!("an answer has no field {name:?}: name a /pointer, header: or regex:"))
        }
        source => Ok(source),
    };
    few("is", rule.is.len(), FIELDS_MAX).map_err(|flaw| flaw.why)?;
    Ok(Reading {
        status,
        at: within_answers(at)?,
        is: rule.is.clone(),
        matches,
        then: rule.then,
        id: within_answers(Source::read(&rule.id)?)?,
        error: within_answers(Source::read(&rule.error)?)?,
    })
}

/// `202`, `2xx`, `200-299`, or nothing for any.
fn statuses(text: &str) -> Result<std::ops::RangeInclusive<u16>, String> {
    let wrong = || format!("{text:?} is no status such as 202, 2xx or 200-299");
    let number = |text: &str| {
        text.trim().parse::<u16>().ok().filter(|status| (100..=599).contains(status)).ok_or_else(wrong)
    };
    match text.trim() {
        "" => Ok(100..=599),
        text if text.len() == 3 && text.ends_with("xx") => {
            let hundred = number(&text.replace('x', "0"))?;
            Ok(hundred..=hundred + 99)
        }
        text => match text.split_once('-') {
            Some((from, to)) => Ok(number(from)?..=number(to)?),
            None => number(text).map(|status| status..=status),
        },
    }
}

fn check_reply(described: &Description) -> Result<(), Flaw> {
    let reply = &described.reply;
    few("receipts.states", described.receipts.states.len(), STATES_MAX)?;
    if !(200..=299).contains(&reply.status) {
        return flaw("reply.status", Err(format!("{} is not from 200 to 299", reply.status)));
    }
    if reply.body.chars().count() > REPLY_CHARS_MAX {
        return flaw("reply.body", Err(format!("it takes at most {REPLY_CHARS_MAX} characters")));
    }
    let media =
        |text: &str| text.len() <= 100 && text.bytes().all(|octet| octet.is_ascii_graphic() || octet == b' ');
    if !media(&reply.content_type) {
        return flaw("reply.content_type", Err("it is no media type".to_owned()));
    }
    match &described.signature {
        Signature::Hmac { tolerance_s, .. } if !(1..=86_400).contains(tolerance_s) => {
            flaw("signature.tolerance_s", Err(format!("{tolerance_s} is not from 1 to 86400")))
        }
        Signature::None | Signature::Basic { .. } | Signature::Token { .. } | Signature::Hmac { .. } => {
            Ok(())
        }
    }
}
