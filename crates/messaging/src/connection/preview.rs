//! What a connection would send, without sending it.

use runtime::Scope;
use serde::{Deserialize, Serialize};
use sms::analysis;
use types::{Address, Code, ConnectionId, Error, Result};

use crate::assemble::Dialect;
use crate::intent::Intent;
use crate::journal::hex;
use crate::message::{Outgoing, PartSet};

/// A message to be looked at, not sent.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Sample {
    /// Who would receive it; `+33612345678` when not given.
    pub to: String,
    /// Who would send it; `ACME` when not given.
    pub from: String,
    /// What it would say; at most 2,000 characters.
    pub text: String,
    /// For how many seconds it would be worth something, where its sender says so.
    pub validity_s: Option<u64>,
}

impl Default for Sample {
    fn default() -> Self {
        Self {
            to: "+33612345678".to_owned(),
            from: "ACME".to_owned(),
            text: "Your table is ready. \u{1f35d}".to_owned(),
            validity_s: None,
        }
    }
}

/// One request or PDU, as it would be written. Secrets in it are hidden.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Previewed {
    /// Which part, from 1.
    pub part: u8,
    /// The whole of it in hex.
    pub hex: String,
    /// The request as text, over HTTP; absent in other protocols.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

const TEXT_CHARS_MAX: usize = 2_000;

/// What a connection would send for a message, part by part. Nothing is sent or kept.
///
/// # Errors
/// [`Code::NotFound`]; refusals of the sample's values; [`Code::Conflict`] when the connection cannot carry it.
pub async fn preview(scope: &Scope, id: ConnectionId, sample: &Sample) -> Result<Vec<Previewed>> {
    let connection = super::get(scope, id).await?;
    if sample.text.is_empty() || sample.text.chars().count() > TEXT_CHARS_MAX {
        return Err(Error::invalid("text", format!("it takes 1 to {TEXT_CHARS_MAX} characters")));
    }
    let runtime = scope.runtime();
    let now = scope.now();
    let encoding = sms::count(&sample.text, &analysis::Options::default()).encoding;
    let validity_s =
        i64::try_from(sample.validity_s.unwrap_or(86_400).clamp(1, 31_536_000)).unwrap_or(86_400);
    let message = Outgoing {
        id: runtime.ids.next(),
        tenant: scope.tenant(),
        account: None,
        sender: Address::sender(&sample.from)?,
        recipient: Address::recipient(&sample.to)?,
        body: encoding.encode_lossy(&sample.text),
        encoding,
        data_coding: encoding.data_coding(),
        parts: 1,
        intent: Intent::Transactional,
        registered: 1,
        options: None,
        accepted_at: now,
        expires_at: now.plus_ms(validity_s * 1_000),
        validity_chosen: sample.validity_s.is_some(),
        attempts: 0,
        maybe_twice: false,
        parts_done: PartSet::default(),
    };
    let unfit = |why: String| Error::new(Code::Conflict, format!("the connection cannot carry it: {why}"));
    let dialect = Dialect::new(&connection.settings);
    let settings = super::link_settings(runtime, &connection).await?;
    let assembled = dialect.assemble(&message, now).map_err(unfit)?;
    let mut previews = Vec::with_capacity(assembled.len());
    for piece in assembled.pieces() {
        let sm = dialect.sm(&message, &assembled, piece);
        let named = (message.id.bare(), piece.number());
        let octets = settings.written(&runtime.clock, (&named.0, named.1), &sm).map_err(unfit)?;
        let text = matches!(settings, connectors::Settings::Http(_))
            .then(|| String::from_utf8_lossy(&octets).into_owned());
        previews.push(Previewed { part: piece.number(), hex: hex(&octets), text });
    }
    Ok(previews)
}
