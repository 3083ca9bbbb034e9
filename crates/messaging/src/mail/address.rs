//! What an address of ours means: a phone, an answer to a message from a phone, or what became of a mail.

use connectors::mail::{RETURN_PREFIX, ReturnPath};
use runtime::Runtime;
use runtime::signed::Signer;
use types::{ConnectionId, MessageId, TenantId, Timestamp};

/// What marks the address by which a message from a phone is answered; the signed word follows.
const REPLY_PREFIX: &str = "r.";

/// Signs and reads the words in our addresses. Kept in memory beside the runtime.
pub(crate) struct Words {
    replies: Signer,
    /// For return paths of mail connections.
    pub(crate) receipts: Signer,
}

/// The program's words.
pub(crate) fn words(runtime: &Runtime) -> std::sync::Arc<Words> {
    runtime.kept(|parts| Words {
        replies: Signer::new(&parts.vault, "mail replies"),
        receipts: Signer::new(&parts.vault, "mail receipts"),
    })
}

/// A message from a phone that may be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplyTo {
    /// Whose.
    pub tenant: TenantId,
    /// Which.
    pub message: MessageId,
    /// Until when.
    pub until: Timestamp,
}

const HOUR_MS: i64 = 3_600_000;

impl ReplyTo {
    /// The address, where our SMTP server takes mail for a domain.
    pub(crate) fn address(self, runtime: &Runtime) -> Option<String> {
        let smtp = &runtime.config.smtp;
        if !smtp.enabled {
            return None;
        }
        let hours = u32::try_from(self.until.unix_ms() / HOUR_MS).unwrap_or(u32::MAX);
        let octets = [
            self.tenant.raw().to_be_bytes().as_slice(),
            &self.message.raw().to_be_bytes(),
            &hours.to_be_bytes(),
        ]
        .concat();
        Some(format!("{REPLY_PREFIX}{}@{}", words(runtime).replies.sign(&octets), smtp.domain))
    }

    fn read(signer: &Signer, word: &str) -> Option<Self> {
        let octets: [u8; 20] = signer.read(word)?.try_into().ok()?;
        let number = |at: usize| i64::from_be_bytes(octets[at..at + 8].try_into().unwrap_or_default());
        let hours = u32::from_be_bytes(octets[16..].try_into().unwrap_or_default());
        Some(Self {
            tenant: TenantId::from_raw(number(0)),
            message: MessageId::from_raw(number(8)),
            until: Timestamp::from_unix_ms(i64::from(hours) * HOUR_MS),
        })
    }
}

/// What an address means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meaning {
    /// A phone, and below which name of the domain; none for the domain itself.
    Phone {
        /// What stands before the `@`.
        number: String,
        /// The gateway's name.
        subdomain: Option<String>,
    },
    /// An answer to a message from a phone.
    Reply(ReplyTo),
    /// What became of a mail that was handed over.
    Receipt {
        /// Through which connection.
        connection: ConnectionId,
        /// The name that the message has there.
        provider_id: String,
    },
    /// A word of ours that is not signed by us.
    Forged,
    /// No domain of ours.
    Elsewhere,
}

/// What an address means to a server of this domain.
pub(crate) fn meaning(words: &Words, domain: &str, address: &str) -> Meaning {
    let Some((local, host)) = address.rsplit_once('@') else { return Meaning::Elsewhere };
    let host = host.to_ascii_lowercase();
    let domain = domain.to_ascii_lowercase();
    if host == domain {
        let lower = local.to_ascii_lowercase();
        if let Some(word) = lower.strip_prefix(REPLY_PREFIX) {
            return ReplyTo::read(&words.replies, word).map_or(Meaning::Forged, Meaning::Reply);
        }
        if let Some(word) = lower.strip_prefix(RETURN_PREFIX) {
            return match ReturnPath::read(&words.receipts, word) {
                Some((connection, provider_id)) => {
                    Meaning::Receipt { connection: ConnectionId::from_raw(connection), provider_id }
                }
                None => Meaning::Forged,
            };
        }
        return Meaning::Phone { number: local.to_owned(), subdomain: None };
    }
    match host.strip_suffix(&domain).and_then(|rest| rest.strip_suffix('.')) {
        Some(subdomain) if !subdomain.is_empty() && !domain.is_empty() => {
            Meaning::Phone { number: local.to_owned(), subdomain: Some(subdomain.to_owned()) }
        }
        _ => Meaning::Elsewhere,
    }
}

/// Whether a text is a domain name of plain letters.
pub(crate) fn is_domain(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.chars().all(|ch| ch.is_alphanumeric() || ch == '-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use runtime::secrets::Vault;

    use super::*;

    fn words() -> Words {
        let vault = Vault::from_key([7; 32]);
        Words { replies: Signer::new(&vault, "mail replies"), receipts: Signer::new(&vault, "mail receipts") }
    }

    #[test]
    fn addresses_of_ours_are_told_apart() {
        let words = words();
        let meaning = |address: &str| meaning(&words, "SMS.example", address);
        let phone = |subdomain: Option<&str>| Meaning::Phone {
            number: "+33612345678".to_owned(),
            subdomain: subdomain.map(str::to_owned),
        };
        assert_eq!(meaning("+33612345678@sms.EXAMPLE"), phone(None));
        assert_eq!(meaning("+33612345678@Acme.sms.example"), phone(Some("acme")));
        assert_eq!(meaning("+33612345678@notsms.example"), Meaning::Elsewhere);
        assert_eq!(meaning("+33612345678@sms.example.org"), Meaning::Elsewhere);
        assert_eq!(meaning("r.abcdef@sms.example"), Meaning::Forged);
        assert_eq!(meaning("b.abcdef@sms.example"), Meaning::Forged);
        let word = words.replies.sign(&[1; 20]).to_uppercase();
        assert!(matches!(meaning(&format!("R.{word}@sms.example")), Meaning::Reply(_)));
        assert_eq!(meaning(&format!("b.{word}@sms.example")), Meaning::Forged, "a word has one purpose");
    }
}
