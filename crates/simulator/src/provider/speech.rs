//! What each provider says and hears, in its own words.

use hyper::http::request::Parts;
use ring::hmac;
use serde_json::{Value, json};
use url::form_urlencoded;

/// Whose interface it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Twilio's Messages resource.
    Twilio,
    /// Infobip's SMS API, version 3.
    Infobip,
    /// Vonage's SMS API.
    Vonage,
    /// Kannel's smsbox.
    Kannel,
}

impl Style {
    /// Whose path it is.
    pub(super) fn of(path: &str) -> Option<Self> {
        match path {
            "/sms/3/messages" => Some(Self::Infobip),
            "/sms/json" => Some(Self::Vonage),
            "/cgi-bin/sendsms" => Some(Self::Kannel),
            _ if path.starts_with("/2010-04-01/Accounts/") && path.ends_with("/Messages.json") => {
                Some(Self::Twilio)
            }
            _ => None,
        }
    }
}

/// A request to send.
#[derive(Debug, Default)]
pub(super) struct Asked {
    pub(super) to: String,
    pub(super) from: String,
    pub(super) text: String,
    /// The customer's own name for it.
    reference: String,
    /// Where receipts are wanted.
    callback: String,
    /// Who asks: a user where there is one, and what proves it.
    user: String,
    proof: String,
}

impl Asked {
    pub(super) fn read(style: Style, parts: &Parts, body: &[u8]) -> Self {
        let query = parts.uri.query().unwrap_or_default();
        let source: &[u8] = if style == Style::Kannel { query.as_bytes() } else { body };
        let fields: Vec<(String, String)> = form_urlencoded::parse(source).into_owned().collect();
        let field = |name: &str| {
            fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone()).unwrap_or_default()
        };
        let authorization = parts.headers.get("authorization").and_then(|value| value.to_str().ok());
        let authorization = authorization.unwrap_or_default().to_owned();
        match style {
            Style::Twilio => Self {
                to: field("To"),
                from: field("From"),
                text: field("Body"),
                callback: field("StatusCallback"),
                user: parts.uri.path().split('/').nth(3).unwrap_or_default().to_owned(),
                proof: authorization,
                ..Self::default()
            },
            Style::Infobip => {
                let said: Value = serde_json::from_slice(body).unwrap_or_default();
                let at = |pointer: &str| {
                    said.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
                };
                Self {
                    to: at("/messages/0/destinations/0/to"),
                    from: at("/messages/0/sender"),
                    text: at("/messages/0/content/text"),
                    reference: at("/messages/0/destinations/0/messageId"),
                    callback: at("/messages/0/webhooks/delivery/url"),
                    user: String::new(),
                    proof: authorization,
                }
            }
            Style::Vonage => Self {
                to: field("to"),
                from: field("from"),
                text: field("text"),
                reference: field("client-ref"),
                callback: field("callback"),
                user: field("api_key"),
                proof: field("api_secret"),
            },
            Style::Kannel => Self {
                to: field("to"),
                from: field("from"),
                text: field("text"),
                callback: if field("dlr-mask").is_empty() { String::new() } else { field("dlr-url") },
                user: field("username"),
                proof: field("password"),
                ..Self::default()
            },
        }
    }

    /// Whether it comes from this account.
    pub(super) fn is_by(&self, style: Style, user: &str, password: &str) -> bool {
        match style {
            Style::Twilio => {
                let pair = base64(format!("{user}:{password}").as_bytes());
                self.user == user && self.proof == format!("Basic {pair}")
            }
            Style::Infobip => self.proof == format!("App {password}"),
            Style::Vonage | Style::Kannel => self.user == user && self.proof == password,
        }
    }
}

/// A status and a body.
pub(super) struct Reply(u16, String);

impl Reply {
    pub(super) fn with(self, silent: bool) -> (u16, String, bool) {
        (self.0, self.1, silent)
    }
}

fn of_vonage(status: &str, more: &Value) -> Reply {
    let mut message = json!({ "status": status });
    if let (Some(message), Some(more)) = (message.as_object_mut(), more.as_object()) {
        message.extend(more.clone());
    }
    Reply(200, json!({ "message-count": "1", "messages": [message] }).to_string())
}

pub(super) fn unauthorised(style: Style) -> Reply {
    match style {
        Style::Twilio => {
            Reply(401, json!({ "code": 20003, "message": "Authenticate", "status": 401 }).to_string())
        }
        Style::Infobip => {
            Reply(401, json!({ "errorCode": "E401", "description": "Invalid credentials." }).to_string())
        }
        Style::Vonage => of_vonage("4", &json!({ "error-text": "Bad Credentials" })),
        Style::Kannel => Reply(403, "Authorization failed for sendsms".to_owned()),
    }
}

pub(super) fn too_fast(style: Style) -> Reply {
    match style {
        Style::Twilio => {
            Reply(429, json!({ "code": 20429, "message": "Too Many Requests", "status": 429 }).to_string())
        }
        Style::Infobip => {
            Reply(429, json!({ "errorCode": "E429", "description": "Too many requests." }).to_string())
        }
        Style::Vonage => of_vonage("1", &json!({ "error-text": "Throughput Rate Exceeded" })),
        Style::Kannel => Reply(503, "Temporal failure, try again later.".to_owned()),
    }
}

pub(super) fn refused(style: Style) -> Reply {
    match style {
        Style::Twilio => {
            let message = "Invalid 'To' Phone Number";
            Reply(
                400,
                json!({ "code": 21211, "message": message, "more_info": "", "status": 400 }).to_string(),
            )
        }
        Style::Infobip => {
            let status = json!({ "groupId": 5, "groupName": "REJECTED", "id": 51, "name": "MISSING_TO" });
            Reply(200, json!({ "messages": [{ "messageId": "x", "status": status }] }).to_string())
        }
        Style::Vonage => of_vonage("3", &json!({ "error-text": "Invalid to address" })),
        Style::Kannel => Reply(403, "Not routable. Do not try again.".to_owned()),
    }
}

/// A name as this provider gives it.
pub(super) fn id(style: Style, serial: u64, now_ms: i64) -> String {
    match style {
        Style::Twilio => format!("SM{:016x}{serial:016x}", now_ms),
        Style::Infobip | Style::Kannel => format!("{now_ms}-{serial}"),
        Style::Vonage => format!("{:08X}{serial:08X}", now_ms % 0xFFFF_FFFF),
    }
}

pub(super) fn taken(style: Style, asked: &Asked, id: &str) -> Reply {
    match style {
        Style::Twilio => Reply(
            201,
            json!({ "sid": id, "status": "queued", "to": asked.to, "from": asked.from, "error_code": null })
                .to_string(),
        ),
        Style::Infobip => {
            let id = if asked.reference.is_empty() { id } else { &asked.reference };
            let status =
                json!({ "groupId": 1, "groupName": "PENDING", "id": 26, "name": "PENDING_ACCEPTED" });
            Reply(
                200,
                json!({ "messages": [{ "messageId": id, "destination": asked.to, "status": status }] })
                    .to_string(),
            )
        }
        Style::Vonage => of_vonage(
            "0",
            &json!({ "to": asked.to, "message-id": id, "remaining-balance": "1.0", "message-price": "0.1", "network": "20801" }),
        ),
        Style::Kannel => Reply(202, "0: Accepted for delivery".to_owned()),
    }
}

/// A request to a hook.
#[derive(Debug, Clone)]
pub(super) struct Post {
    pub(super) url: String,
    pub(super) get: bool,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

fn header(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

/// A form, signed as Twilio does: HMAC-SHA1 over the address and each sorted field.
fn twilio(url: &str, fields: &[(&str, &str)], token: &str) -> Post {
    let mut sorted = fields.to_vec();
    sorted.sort_unstable();
    let over: String = sorted.iter().map(|(name, value)| format!("{name}{value}")).collect();
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, token.as_bytes());
    let signature = base64(hmac::sign(&key, format!("{url}{over}").as_bytes()).as_ref());
    Post {
        headers: vec![header("content-type", FORM), header("x-twilio-signature", &signature)],
        ..form(url, fields)
    }
}

const FORM: &str = "application/x-www-form-urlencoded";

fn form(url: &str, fields: &[(&str, &str)]) -> Post {
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    Post {
        url: url.to_owned(),
        get: false,
        headers: vec![header("content-type", FORM)],
        body: body.into_bytes(),
    }
}

/// A form, signed as Vonage does where a secret is set: HMAC-SHA256 over each sorted field.
fn vonage(url: &str, fields: &[(&str, &str)], secret: &str, now_s: i64) -> Post {
    let now = now_s.to_string();
    let mut fields = fields.to_vec();
    if secret.is_empty() {
        return form(url, &fields);
    }
    fields.push(("timestamp", now.as_str()));
    fields.sort_unstable();
    let plain = |value: &str| value.replace(['&', '='], "_");
    let over: String = fields.iter().map(|(name, value)| format!("&{name}={}", plain(value))).collect();
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let tag = hmac::sign(&key, over.as_bytes());
    let signature: String = tag.as_ref().iter().map(|octet| format!("{octet:02X}")).collect();
    fields.push(("sig", signature.as_str()));
    form(url, &fields)
}

fn json_post(url: &str, body: &Value) -> Post {
    let headers = vec![header("content-type", "application/json")];
    Post { url: url.to_owned(), get: false, headers, body: body.to_string().into_bytes() }
}

/// The receipt that was asked for; none where none was.
pub(super) fn receipt(
    style: Style,
    asked: &Asked,
    (id, delivered): (&str, bool),
    (secret, now_s): (&str, i64),
) -> Option<Post> {
    let url = asked.callback.as_str();
    if url.is_empty() {
        return None;
    }
    Some(match style {
        Style::Twilio => {
            let (status, error) = if delivered { ("delivered", "") } else { ("undelivered", "30003") };
            // What Twilio signs with is the token that we authenticate with.
            let token = unbase64_password(&asked.proof);
            let mut fields = vec![
                ("MessageSid", id),
                ("SmsSid", id),
                ("MessageStatus", status),
                ("SmsStatus", status),
                ("To", asked.to.as_str()),
                ("From", asked.from.as_str()),
                ("ApiVersion", "2010-04-01"),
            ];
            if !delivered {
                fields.push(("ErrorCode", error));
            }
            twilio(url, &fields, &token)
        }
        Style::Infobip => {
            let (group, error) =
                if delivered { ("DELIVERED", "NO_ERROR") } else { ("UNDELIVERABLE", "EC_ABSENT_SUBSCRIBER") };
            let id = if asked.reference.is_empty() { id } else { &asked.reference };
            let one = json!({ "messageId": id, "to": asked.to, "sender": asked.from, "status": { "groupName": group },
                "error": { "name": error, "permanent": false } });
            json_post(url, &json!({ "results": [one] }))
        }
        Style::Vonage => {
            let (status, error) = if delivered { ("delivered", "0") } else { ("failed", "1") };
            let fields = [
                ("msisdn", asked.to.as_str()),
                ("to", asked.from.as_str()),
                ("messageId", id),
                ("status", status),
                ("err-code", error),
                ("client-ref", asked.reference.as_str()),
                ("network-code", "20801"),
            ];
            vonage(url, &fields, secret, now_s)
        }
        Style::Kannel => {
            let url = url
                .replace("%d", if delivered { "1" } else { "2" })
                .replace("%A", "")
                .replace("%p", &asked.to)
                .replace("%P", &form_urlencoded::byte_serialize(asked.from.as_bytes()).collect::<String>());
            Post { url, get: true, headers: Vec::new(), body: Vec::new() }
        }
    })
}

/// A message from a phone.
pub(super) fn inbound(
    style: Style,
    hook: &str,
    (from, to, text): (&str, &str, &str),
    (password, secret): (&str, &str),
    (id, now_s): (u64, i64),
) -> Post {
    let id = format!("mo-{id}");
    match style {
        Style::Twilio => {
            let fields =
                [("MessageSid", id.as_str()), ("From", from), ("To", to), ("Body", text), ("NumMedia", "0")];
            twilio(hook, &fields, password)
        }
        Style::Infobip => {
            let one = json!({ "messageId": id, "from": from, "to": to, "text": text, "cleanText": text, "smsCount": 1 });
            json_post(hook, &json!({ "results": [one], "messageCount": 1, "pendingMessageCount": 0 }))
        }
        Style::Vonage => {
            let fields =
                [("msisdn", from), ("to", to), ("messageId", id.as_str()), ("text", text), ("type", "text")];
            vonage(hook, &fields, secret, now_s)
        }
        Style::Kannel => {
            let fields = [("from", from), ("to", to), ("text", text), ("charset", "UTF-8")];
            let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
            Post { url: format!("{hook}?{query}"), get: true, headers: Vec::new(), body: Vec::new() }
        }
    }
}

fn base64(octets: &[u8]) -> String {
    use ::base64::Engine as _;
    ::base64::engine::general_purpose::STANDARD.encode(octets)
}

/// The password of a basic authentication.
fn unbase64_password(authorization: &str) -> String {
    use ::base64::Engine as _;
    let pair = authorization.strip_prefix("Basic ").unwrap_or_default();
    let pair = ::base64::engine::general_purpose::STANDARD.decode(pair).unwrap_or_default();
    let pair = String::from_utf8_lossy(&pair).into_owned();
    pair.split_once(':').map(|(_, password)| password.to_owned()).unwrap_or_default()
}
