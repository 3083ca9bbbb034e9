//! Reports to whoever came by `/cgi-bin/sendsms`: a GET of the message's `dlr-url`, its escapes filled in (Kannel 1.4 user
//! guide, "Delivery reports").

use std::sync::Arc;

use runtime::job::{Handler, NewJob, Outcome};
use serde::{Deserialize, Serialize};
use types::{Address, ConnectionId, MessageId, Result, Timestamp};

use crate::journal::{After, Batch, Ending};
use crate::message::{Outgoing, State};

/// The kind of these jobs.
pub const KIND: &str = "messaging.dlr";

/// Where reports go, and which are wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dlr {
    /// The address, with escapes.
    pub url: String,
    /// The sum of the kinds that are wanted: 1 delivered, 2 not delivered, 8 taken over by the carrier, 16 refused by it.
    pub mask: u8,
}

/// The carrier has taken it over.
const TAKEN_OVER: u8 = 8;

/// The kind of report that an end is; none for what is no end.
const fn kind(state: State) -> u8 {
    match state {
        State::Delivered => 1,
        State::Failed | State::Expired | State::Cancelled => 2,
        State::Rejected => 16,
        State::Scheduled | State::Queued | State::Sent | State::Indeterminate | State::Received => 0,
    }
}

/// What is told of a message.
struct Told<'a> {
    kind: u8,
    message: MessageId,
    sender: &'a Address,
    recipient: &'a Address,
    connection: Option<ConnectionId>,
    words: String,
    at: Timestamp,
}

impl Told<'_> {
    /// The address with its escapes filled in; those that mean nothing here are left empty, and what is no escape stays.
    fn filled(&self, url: &str) -> String {
        let mut out = String::with_capacity(url.len() + 32);
        let mut rest = url;
        while let Some(at) = rest.find('%') {
            out.push_str(&rest[..at]);
            let behind = &rest[at + 1..];
            let hex = behind.as_bytes().get(..2).is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit));
            // `%d1` and `%a0` are octets of the address, as it was given percent-encoded.
            let Some(letter) = behind.chars().next().filter(|_| !hex) else {
                out.push('%');
                rest = behind;
                continue;
            };
            let value = match letter {
                'd' => self.kind.to_string(),
                // The report is from the phone, and to whoever wrote to it.
                'p' => self.recipient.to_string(),
                'P' => self.sender.to_string(),
                'q' => plus(self.recipient),
                'Q' => plus(self.sender),
                'i' => self.connection.map(|id| id.to_string()).unwrap_or_default(),
                'I' | 'F' => self.message.to_string(),
                'A' | 'a' | 'b' | 'r' => self.words.clone(),
                'T' => (self.at.unix_ms() / 1_000).to_string(),
                't' => self.at.to_minute(),
                '%' => "%".to_owned(),
                'k' | 's' | 'S' | 'n' | 'R' | 'D' | 'u' | 'U' | 'o' | 'B' | 'm' | 'M' | 'c' | 'C' | 'f'
                | 'x' => String::new(),
                other => {
                    out.push('%');
                    out.push(other);
                    rest = &behind[other.len_utf8()..];
                    continue;
                }
            };
            for octet in value.bytes() {
                if octet.is_ascii_alphanumeric() || b"-._~".contains(&octet) {
                    out.push(char::from(octet));
                } else {
                    out.push_str(&format!("%{octet:02X}"));
                }
            }
            rest = &behind[letter.len_utf8()..];
        }
        out.push_str(rest);
        out
    }
}

fn plus(address: &Address) -> String {
    let text = address.to_string();
    text.strip_prefix("00").map_or_else(|| text.clone(), |rest| format!("+{rest}"))
}

#[derive(Serialize, Deserialize)]
struct Payload {
    url: String,
}

/// Leaves the report of an end, in the transaction that ends the message.
pub(crate) fn end(
    batch: &mut Batch,
    ending: &Ending,
    connection: Option<ConnectionId>,
    dlr: &Dlr,
) -> Result<()> {
    let told = Told {
        kind: kind(ending.to),
        message: ending.message,
        sender: &ending.sender,
        recipient: &ending.recipient,
        connection,
        words: ending.error.clone().unwrap_or_else(|| ending.to.as_str().to_owned()),
        at: batch.now,
    };
    leave(batch, ending.tenant, dlr, &told)
}

/// Leaves the report that a carrier has taken a message over.
pub(crate) fn taken_over(batch: &mut Batch, message: &Outgoing, connection: ConnectionId) -> Result<()> {
    let Some(dlr) = message.options.as_deref().and_then(|options| options.dlr.as_ref()) else {
        return Ok(());
    };
    let told = Told {
        kind: TAKEN_OVER,
        message: message.id,
        sender: &message.sender,
        recipient: &message.recipient,
        connection: Some(connection),
        words: "ACK/".to_owned(),
        at: batch.now,
    };
    leave(batch, message.tenant, dlr, &told)
}

fn leave(batch: &mut Batch, tenant: types::TenantId, dlr: &Dlr, told: &Told<'_>) -> Result<()> {
    if dlr.mask & told.kind != 0 {
        batch.jobs.push(NewJob::new(tenant, KIND, &Payload { url: told.filled(&dlr.url) })?);
        batch.after.push(After::JobsWaiting);
    }
    Ok(())
}

/// Gets the addresses.
pub fn handler() -> Handler {
    Arc::new(|scope, payload, _attempt| {
        Box::pin(async move {
            let payload: Payload = match serde_json::from_str(&payload) {
                Ok(payload) => payload,
                Err(error) => return Outcome::Dead(format!("the payload cannot be read: {error}")),
            };
            crate::callback::outcome(scope.runtime().outbound.get(&payload.url, &[]).await)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::address_of;

    #[test]
    fn escapes_are_filled_and_what_is_none_stays() {
        let told = Told {
            kind: 1,
            message: MessageId::from_raw(7),
            sender: &address_of("ACME & Co".to_owned(), 0),
            recipient: &address_of("33612345678".to_owned(), 0),
            connection: None,
            words: "id:1 stat:DELIVRD".to_owned(),
            at: Timestamp::from_unix_ms(1_700_000_000_000),
        };
        let filled = told.filled("http://h/?k=%d&p=%p&P=%P&i=%i&T=%T&A=%A&raw=%2B%e9&n=%n&odd=%!&end=%");
        assert_eq!(
            filled,
            "http://h/?k=1&p=33612345678&P=ACME%20%26%20Co&i=&T=1700000000&A=id%3A1%20stat%3ADELIVRD&raw=%2B%e9&n=&odd=%!&end=%"
        );
    }

    #[test]
    fn each_end_is_a_kind_of_report() {
        let ends = State::ALL.into_iter().filter(|state| state.is_final() && *state != State::Received);
        for state in ends {
            assert!([1, 2, 16].contains(&kind(state)), "{state:?}");
        }
    }
}
