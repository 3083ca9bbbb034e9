//! What connections over HTTP have of their own in their settings: a description, copied from a ready dialect or one's own.

use connectors::http::{Auth, Description, check, dialects};
use runtime::Runtime;
use serde_json::{Map, Value};
use types::{Code, Error, Result};

use super::{ConnectionSettings, LongMessages, Protocol};
use crate::settings::Patch;

/// Members that are objects of fields with names of their own, or of settings: a patch reaches into them. All others are
/// replaced.
const WITHIN: [&str; 8] =
    ["parameters", "request", "query", "headers", "receipts", "states", "inbound", "reply"];

/// Puts a patch's description into the whole that it means: what it does not name stays, null brings the ready dialect's
/// value back, and naming another dialect takes that over.
///
/// # Errors
/// A dialect that is not there; [`Code::InvalidBody`] for a description that is none.
pub(super) fn whole(before: &ConnectionSettings, patch: &mut Patch) -> Result<()> {
    let Some(Value::Object(wanted)) = patch.get("http").cloned() else { return Ok(()) };
    let present = before.http.as_deref().cloned().unwrap_or_default();
    let asked = wanted.get("dialect").and_then(Value::as_str).unwrap_or(&present.dialect).to_owned();
    let ready = match asked.as_str() {
        "" => Description::default(),
        name => dialects::named(name).ok_or_else(|| {
            let known: Vec<_> = dialects::names().map(|(name, _)| name).collect();
            Error::invalid("settings.http.dialect", format!("{name:?} is none of {}", known.join(", ")))
        })?,
    };
    let begins = if asked == present.dialect && before.http.is_some() {
        present
    } else {
        // The way in which the provider wants long texts comes with its dialect.
        if !asked.is_empty() && !patch.contains_key("long_messages") {
            let whole = if dialects::splits(&asked) { "payload" } else { "udh8" };
            patch.insert("long_messages".to_owned(), whole.into());
        }
        ready.clone()
    };
    let (mut members, defaults) = (object(&begins)?, object(&ready)?);
    merge(&mut members, &defaults, wanted);
    let members = Value::Object(members);
    if before.http.is_none() && asked.is_empty() && !patch.contains_key("long_messages") {
        // What is none is refused behind, at its place.
        let described: Option<Description> = serde_json::from_value(members.clone()).ok();
        if described.is_some_and(|described| !connectors::http::carries_headers(&described)) {
            patch.insert("long_messages".to_owned(), "payload".into());
        }
    }
    patch.insert("http".to_owned(), members);
    Ok(())
}

fn object(description: &Description) -> Result<Map<String, Value>> {
    match serde_json::to_value(description).map_err(Error::internal)? {
        Value::Object(members) => Ok(members),
        _ => Err(Error::internal("a description is an object")),
    }
}

fn merge(members: &mut Map<String, Value>, defaults: &Map<String, Value>, wanted: Map<String, Value>) {
    for (name, value) in wanted {
        let default = defaults.get(&name);
        if value.is_null() {
            match default {
                Some(default) => members.insert(name, default.clone()),
                None => members.remove(&name),
            };
            continue;
        }
        let reaches_in = WITHIN.contains(&name.as_str())
            && value.is_object()
            && members.get(&name).is_some_and(Value::is_object);
        if !reaches_in {
            members.insert(name, value);
        } else if let (Value::Object(wanted), Some(Value::Object(within))) = (value, members.get_mut(&name)) {
            merge(within, default.and_then(Value::as_object).unwrap_or(&Map::new()), wanted);
        }
    }
}

/// Judges the description, and takes host and port from it.
///
/// # Errors
/// What is wrong with it, at its place; [`Code::InvalidUrl`].
pub(super) fn checked(runtime: &Runtime, mut settings: ConnectionSettings) -> Result<ConnectionSettings> {
    if settings.protocol != Protocol::Http {
        settings.http = None;
        return Ok(settings);
    }
    let Some(description) = settings.http.as_deref_mut() else {
        let why =
            "a connection over HTTP needs a description: name a dialect, such as {\"dialect\": \"twilio\"}";
        return Err(Error::invalid("settings.http", why));
    };
    description.url = description.url.trim().trim_end_matches('/').to_owned();
    check(description).map_err(|flaw| Error::invalid(&format!("settings.http.{}", flaw.at), flaw.why))?;
    let judged = |at: &str, url: &str| {
        let refused = |why: String| Error::new(Code::InvalidUrl, why).at(format!("settings.http.{at}"));
        runtime.outbound.check_url(url).map_err(|error| refused(error.to_string()))
    };
    judged("url", &description.url)?;
    if let Auth::OAuth2 { token_url, .. } = &description.auth {
        judged("auth.token_url", token_url)?;
    }
    if settings.long_messages != LongMessages::Payload && !connectors::http::carries_headers(description) {
        let why = "the description carries no user data header, so long texts go whole: payload";
        return Err(Error::invalid("settings.long_messages", why));
    }
    let (encrypted, behind) = match description.url.split_once("://") {
        Some((scheme, behind)) => (scheme == "https", behind),
        None => (false, description.url.as_str()),
    };
    let authority = behind.split(['/', '?', '#']).next().unwrap_or_default();
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|octet| octet.is_ascii_digit()) => (host, port.parse().ok()),
        _ => (authority, None),
    };
    settings.host = host.to_owned();
    settings.port = port.unwrap_or(if encrypted { 443 } else { 80 });
    Ok(settings)
}
