//! A message as it stands on the wire.

use runtime::Scope;
use serde::Serialize;
use types::{ConnectionId, Error, MessageId, Permission, Result, Timestamp};

use super::{kept, query};
use crate::assemble::Dialect;
use crate::connection;
use crate::journal::{hex, unhex};

/// One submit_sm of a message, or what the connection's protocol has in its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct WirePdu {
    /// Which part, from 1.
    pub part: u8,
    /// The connection in whose dialect it is written.
    pub connection: ConnectionId,
    /// The whole PDU in hex, header included.
    pub hex: String,
    /// The request as text, over HTTP; absent in other protocols.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// When it was answered, of one that was handed over and kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// On which of the connection's binds it left, of one that was kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bind: Option<u64>,
    #[serde(skip)]
    pub(super) octets: Vec<u8>,
}

/// The PDUs of a message that goes out: as they were handed over, where the connection keeps that, else as its dialect writes
/// them now. The sequence number is 0: each session
/// gives its own. A request over HTTP hides its secrets. None for a message from a phone, and for one whose connection is gone.
///
/// # Errors
/// [`types::Code::NotFound`]; [`types::Code::Conflict`] when the dialect cannot carry the message.
pub async fn pdus(scope: &Scope, id: MessageId) -> Result<Vec<WirePdu>> {
    scope.require(Permission::MessagePdu)?;
    // A PDU is the phone and the text as they went over the wire.
    scope.require(Permission::IdentifierView)?;
    scope.require(Permission::ContentView)?;
    let record = query::record(scope, id).await?;
    scope.require_for(Permission::MessagePdu, record.owner_id)?;
    let kept = kept::of(scope, id).await?.into_iter().filter(|kept| kept.kind == "submit");
    let kept: Vec<WirePdu> = kept
        .filter_map(|kept| {
            let bind = kept.bind.and_then(|bind| u64::try_from(bind).ok());
            let octets = unhex(&kept.content);
            let connection = record.connection_id?;
            Some(WirePdu {
                part: kept.part,
                connection,
                hex: kept.content,
                text: None,
                at: Some(kept.at),
                bind,
                octets,
            })
        })
        .collect();
    if !kept.is_empty() {
        return Ok(kept);
    }
    let (Some(connection), "out") = (record.connection_id, record.direction.as_str()) else {
        return Ok(Vec::new());
    };
    let found = connection::load(scope.runtime(), connection).await?;
    let Some(found) = found.filter(|found| found.tenant == scope.tenant()) else { return Ok(Vec::new()) };
    let dialect = Dialect::new(&found.settings);
    let settings = connection::link_settings(scope.runtime(), &found).await?;
    let message = record.outgoing()?;
    let unfit =
        |why: String| Error::new(types::Code::Conflict, format!("the connection cannot carry it: {why}"));
    let assembled = dialect.assemble(&message, scope.now()).map_err(unfit)?;
    let mut pdus = Vec::with_capacity(assembled.len());
    for piece in assembled.pieces() {
        let sm = dialect.sm(&message, &assembled, piece);
        let named = (message.id.bare(), piece.number());
        let octets = settings.written(&scope.runtime().clock, (&named.0, named.1), &sm).map_err(unfit)?;
        let text = matches!(settings, connectors::Settings::Http(_))
            .then(|| String::from_utf8_lossy(&octets).into_owned());
        pdus.push(WirePdu {
            part: piece.number(),
            connection,
            hex: hex(&octets),
            text,
            at: None,
            bind: None,
            octets,
        });
    }
    Ok(pdus)
}

/// The content of a message, whole and in its coding.
///
/// # Errors
/// [`types::Code::NotFound`]; [`types::Code::Forbidden`] without `content.view`.
pub async fn content(scope: &Scope, id: MessageId) -> Result<Vec<u8>> {
    scope.require(Permission::ContentView)?;
    Ok(query::record(scope, id).await?.outgoing()?.body)
}
