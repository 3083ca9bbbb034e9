//! Messages whose text is for their recipient alone: codes by which people sign in here.
//!
//! Their row says what everybody may read, with zeros for the code; what goes out lies beside it, sealed, and in memory while
//! it is on its way. Traces and kept PDUs have it covered.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use identity::encryption;
use identity::factor::phone::{CodeMessage, Courier};
use runtime::{Runtime, Scope};
use serde::{Deserialize, Serialize};
use sms::Encoding;
use types::{Error, Result, TenantId, Timestamp};

use super::submit::{By, SendMessage, prepare};
use crate::engine::Engine;
use crate::intent::Intent;
use crate::journal::Accept;

/// A text that only the engine opens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedText {
    /// The name that it was sealed for.
    name: String,
    /// The text, sealed with the tenant's key.
    text: String,
}

impl SealedText {
    async fn of(scope: &Scope, text: &str) -> Result<Self> {
        let name = scope.runtime().ids.next::<types::kind::Job>().bare();
        let text = encryption::seal(scope, "message", "options", &name, text).await?;
        Ok(Self { name, text })
    }

    /// The octets that go out.
    ///
    /// # Errors
    /// When the key that has sealed it is gone.
    pub(crate) async fn body(
        &self,
        runtime: &Runtime,
        tenant: TenantId,
        encoding: Encoding,
    ) -> Result<Vec<u8>> {
        let text = encryption::open(runtime, tenant, "message", "options", &self.name, &self.text).await?;
        Ok(encoding.encode_lossy(text.expose()))
    }
}

/// The gateway, as codes go through it.
pub struct Codes(pub Engine);

impl Courier for Codes {
    fn accept<'a>(&'a self, scope: &'a Scope, code: &'a CodeMessage) -> BoxFuture<'a, Result<()>> {
        accept(scope, &self.0, code).boxed()
    }
}

/// Accepts a code as any other message of its tenant: the gates judge it, the routes lead it, and it is durable when this
/// returns. Gates and routes see what everybody may read.
async fn accept(scope: &Scope, engine: &Engine, code: &CodeMessage) -> Result<()> {
    let message = SendMessage {
        to: format!("+{}", code.to),
        from: code.from.clone(),
        text: Some(code.shown.clone()),
        intent: Some(Intent::Otp),
        validity_s: Some(code.validity_s),
        ..SendMessage::default()
    };
    let sealed = SealedText::of(scope, &code.text).await?;
    engine.lookups().before_routing(scope.tenant(), std::iter::once(message.to.as_str())).await;
    let by = By { tenant: scope.tenant(), owner: None, key: None, from: None, test: false };
    // Nothing waits from here to the journal: what has a place in memory is not left behind by somebody who goes away.
    let (mut new, _, counted) = prepare(&by, engine, &message)?;
    let outgoing =
        Arc::get_mut(&mut new.message).ok_or_else(|| Error::internal("a new message is shared"))?;
    outgoing.body = outgoing.encoding.encode_lossy(&code.text);
    outgoing.options.get_or_insert_default().sealed = Some(Box::new(sealed));
    Hushed::of(scope.runtime()).add(&outgoing.recipient.text, outgoing.expires_at, scope.now());
    engine.accept_all(Accept { messages: vec![new], answer: None, redrive_of: None }, &[counted]).await
}

/// Phones whose texts are covered in traces; beyond them the one that ends first is forgotten.
const HUSHED_MAX: usize = 10_000;
/// For how long after a message's validity: receipts repeat the beginnings of texts.
const AFTER_MS: i64 = 600_000;

/// The phones that confidential messages are on their way to, or have just come to.
#[derive(Default)]
pub(crate) struct Hushed(Mutex<HashMap<String, Timestamp>>);

impl Hushed {
    pub(crate) fn of(runtime: &Runtime) -> Arc<Self> {
        runtime.kept(|_| Self::default())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Timestamp>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds the phone of a message that is worth something until then.
    pub(crate) fn add(&self, phone: &str, expires_at: Timestamp, now: Timestamp) {
        let mut phones = self.lock();
        if phones.len() >= HUSHED_MAX {
            phones.retain(|_, until| *until > now);
        }
        if phones.len() >= HUSHED_MAX
            && let Some(first) =
                phones.iter().min_by_key(|(_, until)| **until).map(|(phone, _)| phone.clone())
        {
            phones.remove(&first);
        }
        let until = phones.entry(phone.to_owned()).or_insert(expires_at);
        *until = (*until).max(expires_at.plus_ms(AFTER_MS));
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Whether an address, as a PDU has it, is one of them.
    pub(crate) fn has(&self, address: &str, now: Timestamp) -> bool {
        let digits: String = address.chars().filter(char::is_ascii_digit).collect();
        let digits = digits.strip_prefix("00").unwrap_or(&digits);
        self.lock().get(digits).is_some_and(|until| *until > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: i64) -> Timestamp {
        Timestamp::from_unix_ms(s * 1_000)
    }

    #[test]
    fn a_phone_is_hushed_for_a_while_in_whatever_form_it_stands() {
        let hushed = Hushed::default();
        assert!(hushed.is_empty());
        hushed.add("33612345678", at(300), at(0));
        for form in ["33612345678", "+33612345678", "0033612345678", "33612345678 (1/1)"] {
            assert_eq!(hushed.has(form, at(1)), !form.contains('('), "{form}");
        }
        assert!(!hushed.has("33612345679", at(1)));
        assert!(hushed.has("33612345678", at(899)) && !hushed.has("33612345678", at(901)));
    }

    #[test]
    fn the_memory_has_a_bound() {
        let hushed = Hushed::default();
        for n in 0..HUSHED_MAX + 10 {
            hushed.add(&n.to_string(), at(300 + n as i64), at(0));
        }
        assert_eq!(hushed.lock().len(), HUSHED_MAX);
        assert!(!hushed.has("0", at(1)) && hushed.has(&(HUSHED_MAX + 9).to_string(), at(1)));
    }
}
