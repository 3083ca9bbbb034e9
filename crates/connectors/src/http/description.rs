//! A connection over HTTP, described in data: what is asked, how answers are read, what comes back by itself.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::sign::{Coding, Hash};

/// What a connection over HTTP says and hears.
///
/// Templates have places for values, such as `{to}`: see the chapter "Write your own" of `docs/http-connections.md`.
/// Sources say where in what comes a value stands: a name is a field of the query or form, `/a/0/b` is a JSON Pointer
/// (RFC 6901), `header:Name` a header; in answers also `regex:…` (its first group, or all of it) over the body, `body`, and
/// `reference` for the name that we gave.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = HttpDescription)]
pub struct Description {
    /// The ready dialect that this was copied from: `twilio`, `infobip`, `vonage`, `kannel` or `jasmin`; empty for one's own.
    /// Naming another one takes all of its description over.
    pub dialect: String,
    /// Where the provider is, without what the request's own address adds: `{url}` in templates.
    pub url: String,
    /// Values of your own that are no secret: `{parameters.NAME}` in templates; at most 20.
    pub parameters: BTreeMap<String, String>,
    /// How we prove who we are. The request's templates can name `{user}` and `{password}` too.
    pub auth: Auth,
    /// What is asked for each message.
    pub request: Request,
    /// How answers are read: the first that fits decides, at most 50. An answer that none fits leaves the message's fate open.
    pub answers: Vec<Rule>,
    /// How what comes to our hooks proves where it is from.
    pub signature: Signature,
    /// How receipts are read.
    pub receipts: Receipts,
    /// How messages from phones are read.
    pub inbound: Inbound,
    /// What our hooks answer when all is kept.
    pub reply: HookReply,
}

/// How we prove who we are.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[schema(as = HttpAuth)]
pub enum Auth {
    /// Not at all, or in the request's own fields.
    #[default]
    None,
    /// System id and password (RFC 7617).
    Basic,
    /// The password as a bearer token (RFC 6750).
    Bearer,
    /// A header with the password.
    Header {
        /// Its name.
        name: String,
        /// A template of its value, such as `App {password}`.
        value: String,
    },
    /// A keyed hash in a header, the password being the key.
    Hmac {
        /// The hash.
        #[serde(default)]
        hash: Hash,
        /// What is signed: a template of `{method}`, `{path}` (with its query), `{url}`, `{body}`, `{timestamp}` and `{user}`.
        over: String,
        /// The header that carries it.
        header: String,
        /// A template of its value with `{signature}`; the signature alone when not given.
        #[serde(default)]
        value: String,
        /// How it is written.
        #[serde(default)]
        coding: Coding,
        /// The header that carries the time in Unix seconds; none when empty.
        #[serde(default)]
        timestamp_header: String,
    },
    /// A token for client credentials (RFC 6749 §4.4), system id and password being the client's.
    #[serde(rename = "oauth2")]
    OAuth2 {
        /// Where tokens are had.
        token_url: String,
        /// The scope that is asked for; mostly empty.
        #[serde(default)]
        scope: String,
        /// Whether the client's credentials are sent in the body and not by basic authentication.
        #[serde(default)]
        in_body: bool,
    },
}

/// What is asked for each message.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = HttpRequest)]
pub struct Request {
    /// How it is asked.
    pub method: Method,
    /// Where it is asked: a template that begins with `{url}`.
    pub url: String,
    /// Templates of the query's fields. A field whose values are all empty is left out.
    pub query: BTreeMap<String, String>,
    /// Templates of the headers.
    pub headers: BTreeMap<String, String>,
    /// What is sent.
    pub body: Body,
}

/// How a request is made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "UPPERCASE")]
#[schema(as = HttpMethod)]
pub enum Method {
    /// By GET.
    Get,
    /// By POST.
    #[default]
    Post,
    /// By PUT.
    Put,
}

impl Method {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
        }
    }
}

/// The body of a request.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = HttpBody)]
pub enum Body {
    /// None.
    #[default]
    None,
    /// A form: templates of its fields. A field whose values are all empty is left out.
    Form(BTreeMap<String, String>),
    /// JSON of any shape whose texts are templates; `{…|int}` alone makes a number. What becomes empty is left out.
    Json(Value),
    /// Anything else.
    Raw {
        /// Its media type.
        content_type: String,
        /// A template.
        text: String,
        /// How values are escaped in it.
        escape: Escape,
    },
}

/// How values are escaped in a body of any form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = HttpEscape)]
pub enum Escape {
    /// For XML.
    Xml,
    /// For the inside of a JSON string.
    Json,
    /// For a form or an address.
    Url,
}

/// How some answers are read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = HttpRule)]
pub struct Rule {
    /// Of this status: `202`, `2xx` or `200-299`; any when not given.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub status: String,
    /// Where something stands (a source); the body when not given and `matches` is.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub at: String,
    /// What stands there: one of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub is: Vec<String>,
    /// What stands there: a regular expression that fits some of it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub matches: String,
    /// What such an answer means.
    pub then: Meaning,
    /// Where the provider's name for the message stands (a source), which its receipts carry.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// Where the reason stands (a source).
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub error: String,
}

/// What an answer means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = HttpMeaning)]
pub enum Meaning {
    /// The provider has taken the message over.
    Accepted,
    /// We are too fast; `Retry-After` (RFC 9110 §10.2.3) is kept.
    Throttled,
    /// The provider's queue is full.
    QueueFull,
    /// The same may be taken later.
    Temporary,
    /// The same will be refused again.
    Permanent,
    /// Our credentials are refused: nothing more is sent for a while.
    Authentication,
    /// It may have been taken, and nobody can know.
    Unknown,
}

/// How what comes to our hooks proves where it is from, beside its address that nobody can guess. The key is the connection's
/// hook secret.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[schema(as = HttpSignature)]
pub enum Signature {
    /// By its address alone.
    #[default]
    None,
    /// By a name and the secret (RFC 7617).
    Basic {
        /// The name.
        user: String,
    },
    /// By the secret itself.
    Token {
        /// Where it stands (a source), such as `header:X-Token`.
        at: String,
        /// What stands before it, such as `Bearer `.
        #[serde(default)]
        prefix: String,
    },
    /// By a keyed hash.
    Hmac {
        /// The hash.
        #[serde(default)]
        hash: Hash,
        /// What is signed: a template of `{url}` (our hook's whole address, with the query), `{body}`, `{timestamp}`,
        /// `{fields}` (each name and value of the form, sorted, nothing between) and `{pairs}` (`&name=value` for each field of
        /// query and form but the signature, sorted, `&` and `=` in values written as `_`).
        over: String,
        /// Where the signature stands (a source).
        at: String,
        /// What stands before it, such as `sha256=`.
        #[serde(default)]
        prefix: String,
        /// How it is written.
        #[serde(default)]
        coding: Coding,
        /// Where the time stands (a source), in Unix seconds; none when empty.
        #[serde(default)]
        timestamp: String,
        /// How far from ours that time may be, 1 to 86,400 s.
        #[serde(default = "tolerance")]
        tolerance_s: u32,
    },
}

fn tolerance() -> u32 {
    300
}

/// How receipts are read. Without `id` there are none.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = HttpReceipts)]
pub struct Receipts {
    /// Where a list of receipts stands (a JSON Pointer); the other sources are then within each. Empty for a single one.
    pub list: String,
    /// Where the message's name stands (a source).
    pub id: String,
    /// Where its state stands (a source).
    pub state: String,
    /// Where a finer word for the state stands (a source). Where `states` names that word, it decides, and `state` does not.
    pub detail: String,
    /// What each state means; one that is not named here is no end. A name that ends in `*` stands for all that begin so:
    /// the whole name decides first, then the longest beginning. What such a beginning finds is the reason too, where there
    /// is no other.
    pub states: BTreeMap<String, Standing>,
    /// Where the reason stands (a source).
    pub error: String,
    /// Where the phone's number stands (a source).
    pub to: String,
    /// Where the sender stands (a source).
    pub from: String,
}

/// What a receipt says (SMPP v5 §4.7.15).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = HttpStanding)]
pub enum Standing {
    /// On its way.
    Enroute,
    /// On the phone.
    Delivered,
    /// Its validity ended first.
    Expired,
    /// Taken back.
    Deleted,
    /// It cannot be delivered.
    Undeliverable,
    /// Refused.
    Rejected,
    /// Nobody knows.
    Unknown,
}

/// How messages from phones are read. Without `from` there are none.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = HttpInbound)]
pub struct Inbound {
    /// Where a list of messages stands (a JSON Pointer); the other sources are then within each. Empty for a single one.
    pub list: String,
    /// Where the phone's number stands (a source).
    pub from: String,
    /// Where our number stands (a source).
    pub to: String,
    /// Where the text stands (a source).
    pub text: String,
    /// Where the text's character set stands (a source): `UTF-8`, or `UTF-16BE` also written `UCS2`, `8` or `2`, or
    /// `8-BIT` also written `binary` or `1` for octets that are no text; UTF-8 when empty.
    pub charset: String,
    /// Where content stands in hexadecimal (a source). It is binary, unless `data_coding` says what it is.
    pub binary: String,
    /// Where the data coding scheme of what stands in `binary` stands (a source), as a number or as the octet itself; 0
    /// when nothing stands there.
    pub data_coding: String,
    /// Where a user data header stands in hexadecimal, with its length octet (a source).
    pub udh: String,
    /// Where the reference of a long message's parts stands (a source).
    pub reference: String,
    /// Where the number of parts stands (a source).
    pub parts: String,
    /// Where the part's number stands (a source).
    pub part: String,
}

/// What our hooks answer when all is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HookReply {
    /// The status, 200 to 299.
    pub status: u16,
    /// The body's media type.
    pub content_type: String,
    /// The body, at most 1,000 characters.
    pub body: String,
}

impl Default for HookReply {
    fn default() -> Self {
        Self { status: 200, content_type: "text/plain".to_owned(), body: String::new() }
    }
}
