//! Time-ordered ids with the kind in the type.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Code, Error};

/// What an [`Id`] is the id of.
pub trait IdKind: 'static {
    /// What the text form begins with, without the underscore: `msg`.
    const PREFIX: &'static str;
    /// What a person calls it: `message`.
    const NOUN: &'static str;
}

/// The kinds of ids; each is a name alone, never a value.
pub mod kind {
    use super::IdKind;

    macro_rules! kinds {
        ($($(#[$doc:meta])* $name:ident $prefix:literal $noun:literal;)*) => {$(
            $(#[$doc])*
            #[derive(Debug, Clone, Copy)]
            pub enum $name {}
            impl IdKind for $name {
                const PREFIX: &'static str = $prefix;
                const NOUN: &'static str = $noun;
            }
        )*};
    }

    kinds! {
        /// An organisation.
        Tenant "ten" "tenant";
        /// A host of a tenant's own.
        Domain "dom" "domain";
        /// The erasure of a tenant.
        Erasure "era" "erasure";
        /// A suitcase: all of a tenant in one file.
        Suitcase "sui" "suitcase";
        /// A person who signs in.
        User "usr" "user";
        /// An API key.
        Key "key" "API key";
        /// A passkey of a user.
        Passkey "pky" "passkey";
        /// A browser that a user has signed in with.
        Device "dev" "browser";
        /// An entry of a user's security history.
        SecurityEntry "sec" "entry";
        /// An application that asks for tokens (OAuth 2.0).
        Client "app" "application";
        /// What an application may do for a person.
        Consent "cns" "consent";
        /// A service that people sign in with.
        Provider "idp" "identity provider";
        /// A directory that people sign in with (LDAP).
        Directory "dir" "directory";
        /// A reading of a directory.
        DirectoryRun "drn" "reading of the directory";
        /// A signed-in browser.
        Session "ses" "session";
        /// A message.
        Message "msg" "message";
        /// A customer's SMPP account.
        Account "acc" "SMPP account";
        /// A carrier connection.
        Connection "con" "connection";
        /// A routing rule.
        Route "rte" "route";
        /// A closed file of call detail records.
        CdrFile "cdr" "record file";
        /// A version of a tenant's routes.
        RouteVersion "rtv" "version of the routes";
        /// A look-up service for numbers.
        Lookup "lkp" "look-up service";
        /// A durable job.
        Job "job" "job";
        /// A sender that a tenant has registered.
        Sender "snd" "sender";
        /// A pool of senders.
        Pool "pol" "sender pool";
        /// An entry of the blacklist.
        Blacklisted "blk" "blacklist entry";
        /// A firewall rule.
        Rule "fwr" "firewall rule";
        /// A rule of working hours and throughput.
        Hours "hrs" "hours rule";
        /// A refusal that is kept.
        Refusal "rfs" "refusal";
        /// A number that phones write to.
        InboundNumber "num" "inbound number";
        /// A trace of PDUs.
        Trace "trc" "trace";
        /// Recipients under one name.
        DistributionList "dls" "distribution list";
        /// An entry of the opt-out list.
        OptOut "opt" "opt-out";
        /// A mail gateway of an account.
        MailGateway "mgw" "mail gateway";
        /// Something that is paused.
        Pause "pse" "pause";
        /// Something that a user was given for a time.
        Grant "grt" "grant";
        /// A team of users.
        Team "tea" "team";
        /// A person about whom something is kept.
        Person "per" "person";
        /// What a person has asked for by data protection law.
        PrivacyRequest "prq" "privacy request";
        /// An entry of the consent ledger.
        ConsentEntry "cne" "consent entry";
        /// A breach of personal data.
        Breach "brc" "breach";
        /// Something noticed that looks like an attack or a misuse.
        SecurityEvent "sev" "security event";
        /// A review of who may do what.
        Review "rvw" "review";
        /// A time in which somebody acts as another user.
        Impersonation "imp" "impersonation";
        /// A newcomer who registers by themselves.
        Registration "reg" "registration";
        /// A rule that tells of security events.
        AlertRule "alr" "alert rule";
    }
}

/// A positive 63-bit number that grows with time: 42 bits of milliseconds since 2020, then 21 bits that tell apart
/// what one process makes within the same millisecond. Order by id is order of creation.
///
/// The text form is the kind's prefix, `_`, and 13 characters of Crockford's base 32 in lower case. Parsing takes
/// either case, and also the bare 13 characters, which is how an id travels where prefixes do not fit (SMPP).
pub struct Id<K> {
    raw: i64,
    kind: PhantomData<fn() -> K>,
}

/// Milliseconds from 1970 to 2020: the instant that ids count from.
const EPOCH_MS: i64 = 1_577_836_800_000;
/// Bits below the milliseconds.
const LOW_BITS: u32 = 21;
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const DIGITS: usize = 13;

impl<K> Id<K> {
    /// An id from the number that a database column holds.
    pub const fn from_raw(raw: i64) -> Self {
        Self { raw, kind: PhantomData }
    }

    /// An id from its two parts: an instant and what tells it apart within that millisecond (its low 21 bits count).
    pub const fn from_parts(at: crate::Timestamp, low: u32) -> Self {
        let ms = at.unix_ms() - EPOCH_MS;
        let ms = if ms < 0 { 0 } else { ms };
        Self::from_raw(((ms << LOW_BITS) | (low as i64 & ((1 << LOW_BITS) - 1))) & i64::MAX)
    }

    /// The number, for a database column.
    pub const fn raw(self) -> i64 {
        self.raw
    }

    /// When it was made, to the millisecond.
    pub const fn made_at(self) -> crate::Timestamp {
        crate::Timestamp::from_unix_ms((self.raw >> LOW_BITS) + EPOCH_MS)
    }

    /// The 13 characters without the prefix.
    pub fn bare(self) -> String {
        let mut text = String::with_capacity(DIGITS);
        for place in (0..DIGITS).rev() {
            let digit = (self.raw >> (place * 5)) & 31;
            text.push(char::from(ALPHABET[digit as usize]));
        }
        text
    }
}

fn digit(octet: u8) -> Option<i64> {
    let octet = match octet.to_ascii_lowercase() {
        b'o' => b'0',
        b'i' | b'l' => b'1',
        other => other,
    };
    ALPHABET.iter().position(|known| *known == octet).map(|at| at as i64)
}

impl<K: IdKind> FromStr for Id<K> {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let refuse = || {
            Error::new(
                Code::InvalidId,
                format!(
                    "{text:?} is not the id of a {}; one looks like {}_01h5b2c3d4e5f",
                    K::NOUN,
                    K::PREFIX
                ),
            )
        };
        let bare = match text.split_once('_') {
            Some((prefix, rest)) if prefix.eq_ignore_ascii_case(K::PREFIX) => rest,
            Some(_) => return Err(refuse()),
            None => text,
        };
        if bare.len() != DIGITS {
            return Err(refuse());
        }
        let mut raw: i64 = 0;
        for octet in bare.bytes() {
            let value = digit(octet).ok_or_else(refuse)?;
            // 13 digits hold 65 bits; what does not fit 63 is no id of ours.
            raw = raw.checked_mul(32).and_then(|raw| raw.checked_add(value)).ok_or_else(refuse)?;
        }
        Ok(Self::from_raw(raw))
    }
}

impl<K: IdKind> fmt::Display for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", K::PREFIX, self.bare())
    }
}

impl<K: IdKind> fmt::Debug for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<K> Clone for Id<K> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K> Copy for Id<K> {}
impl<K> PartialEq for Id<K> {
    fn eq(&self, other: &Self) -> bool {
        self.raw == other.raw
    }
}
impl<K> Eq for Id<K> {}
impl<K> PartialOrd for Id<K> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<K> Ord for Id<K> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.raw.cmp(&other.raw)
    }
}
impl<K> Hash for Id<K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.raw.hash(state);
    }
}

impl<K: IdKind> Serialize for Id<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de, K: IdKind> Deserialize<'de> for Id<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(|error: Error| serde::de::Error::custom(error.message()))
    }
}

impl<K: IdKind> utoipa::ToSchema for Id<K> {
    fn name() -> std::borrow::Cow<'static, str> {
        format!("{}Id", K::PREFIX).into()
    }
}

impl<K: IdKind> utoipa::PartialSchema for Id<K> {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .description(Some(format!("The id of a {}.", K::NOUN)))
            .pattern(Some(format!("^{}_[0-9a-z]{{13}}$", K::PREFIX)))
            .into()
    }
}

#[cfg(test)]
mod tests {
    use crate::{MessageId, Timestamp, UserId};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn text_form_comes_back(raw in 0..i64::MAX) {
            let id = MessageId::from_raw(raw);
            prop_assert_eq!(id.to_string().parse::<MessageId>().unwrap(), id);
            prop_assert_eq!(id.bare().to_uppercase().parse::<MessageId>().unwrap(), id);
        }

        #[test]
        fn any_text_is_refused_or_read_without_panic(text in "\\PC*") {
            let _ = text.parse::<MessageId>();
        }
    }

    #[test]
    fn kinds_do_not_mix() {
        let id = MessageId::from_raw(77);
        assert!(id.to_string().parse::<UserId>().is_err());
    }

    #[test]
    fn later_is_greater_and_the_instant_can_be_read_back() {
        let at = Timestamp::from_unix_ms(1_790_000_000_123);
        let first = MessageId::from_parts(at, 5);
        let later = MessageId::from_parts(Timestamp::from_unix_ms(1_790_000_000_124), 0);
        assert!(first < later);
        assert_eq!(first.made_at(), at);
    }
}
