//! Whether something is on the blacklist: the decision.

use std::collections::HashMap;

use aho_corasick::{AhoCorasick, MatchKind};
use runtime::config::Network;
use types::{Code, Error, KeyId, Result, Timestamp};

use super::{Entry, Kind};
use crate::gate::{Gate, Judging, Refusal, Verdict, matches};

/// A tenant's blacklist, ready to be asked.
#[derive(Debug, Default)]
pub(crate) struct Lists {
    entries: Vec<Listed>,
    numbers: HashMap<Box<str>, u32>,
    prefixes: HashMap<Box<str>, u32>,
    senders: HashMap<Box<str>, u32>,
    sender_patterns: Vec<(Box<str>, u32)>,
    keys: HashMap<KeyId, u32>,
    networks: Vec<(Network, u32)>,
    phrases: Option<(AhoCorasick, Vec<u32>)>,
}

/// An entry, as far as a decision and its words need it.
#[derive(Debug)]
struct Listed {
    id: i64,
    kind: Kind,
    reason: Box<str>,
    expires_at: Option<Timestamp>,
}

/// What the blacklist is called in refusals.
const NAME: &str = "blacklist";
/// The most digits of a prefix (E.164).
pub(super) const PREFIX_DIGITS_MAX: usize = 15;

impl Lists {
    /// Makes the entries ready.
    ///
    /// # Errors
    /// When the phrases are more than can be looked for at once.
    pub(crate) fn new(entries: Vec<Entry>) -> Result<Self> {
        let mut lists = Self::default();
        let (mut phrases, mut phrase_at) = (Vec::new(), Vec::new());
        for entry in entries {
            let at = u32::try_from(lists.entries.len()).map_err(Error::internal)?;
            let value = entry.value.into_boxed_str();
            match entry.kind {
                Kind::Number => drop(lists.numbers.insert(value, at)),
                Kind::Prefix => drop(lists.prefixes.insert(value, at)),
                Kind::Sender if value.ends_with('*') => lists.sender_patterns.push((value, at)),
                Kind::Sender => drop(lists.senders.insert(value, at)),
                Kind::Key => {
                    if let Ok(key) = value.parse() {
                        lists.keys.insert(key, at);
                    }
                }
                Kind::Ip => {
                    if let Ok(network) = value.parse() {
                        lists.networks.push((network, at));
                    }
                }
                Kind::Content => {
                    phrases.push(value);
                    phrase_at.push(at);
                }
            }
            lists.entries.push(Listed {
                id: entry.id.raw(),
                kind: entry.kind,
                reason: entry.reason.into_boxed_str(),
                expires_at: entry.expires_at,
            });
        }
        if !phrases.is_empty() {
            let found = AhoCorasick::builder()
                .match_kind(MatchKind::Standard)
                .build(phrases.iter().map(|one| &**one));
            lists.phrases = Some((found.map_err(Error::internal)?, phrase_at));
        }
        Ok(lists)
    }

    /// Whether nothing is on it.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether whoever sends is on it: by network address or API key.
    pub(crate) fn judge_caller(&self, judging: &mut Judging<'_>) -> Result<(), Refusal> {
        if self.is_empty() {
            return Ok(());
        }
        let (now, ask) = (judging.now, judging.ask);
        let by_key = ask.key.and_then(|key| self.alive(self.keys.get(&key).copied(), now));
        let by_address = || {
            ask.from.and_then(|address| {
                let found = self.networks.iter().filter(|(network, _)| network.contains(address));
                found.copied().find_map(|(_, at)| self.alive(Some(at), now))
            })
        };
        match by_key.or_else(by_address) {
            Some(listed) => Err(self.refuse(judging, listed)),
            None => Ok(()),
        }
    }

    /// Whether sender, recipient or content is on it.
    pub(crate) fn judge_message(&self, judging: &mut Judging<'_>) -> Result<(), Refusal> {
        if self.is_empty() {
            return Ok(());
        }
        let now = judging.now;
        let found = self
            .recipient(judging.ask.recipient, now)
            .or_else(|| self.sender(&judging.sender, now))
            .or_else(|| self.phrase(judging.text()?, now));
        match found {
            Some(listed) => Err(self.refuse(judging, listed)),
            None => {
                judging.looked(
                    Gate::Blacklist,
                    || None,
                    NAME,
                    Verdict::Passes,
                    || format!("None of its {} entries is about this message.", self.entries.len()),
                );
                Ok(())
            }
        }
    }

    /// Whether the text alone is on it.
    pub(crate) fn judge_text(&self, judging: &mut Judging<'_>) -> Result<(), Refusal> {
        match judging.text().and_then(|text| self.phrase(text, judging.now)) {
            Some(listed) => Err(self.refuse(judging, listed)),
            None => Ok(()),
        }
    }

    fn alive(&self, at: Option<u32>, now: Timestamp) -> Option<&Listed> {
        let listed = self.entries.get(usize::try_from(at?).ok()?)?;
        listed.expires_at.is_none_or(|until| until > now).then_some(listed)
    }

    /// The entry that a number is on: its own, or its longest beginning's.
    fn recipient(&self, digits: &str, now: Timestamp) -> Option<&Listed> {
        let own = self.alive(self.numbers.get(digits).copied(), now);
        own.or_else(|| {
            if self.prefixes.is_empty() {
                return None;
            }
            let longest = digits.len().min(PREFIX_DIGITS_MAX);
            (1..=longest)
                .rev()
                .find_map(|length| self.alive(self.prefixes.get(digits.get(..length)?).copied(), now))
        })
    }

    fn sender(&self, folded: &str, now: Timestamp) -> Option<&Listed> {
        self.alive(self.senders.get(folded).copied(), now).or_else(|| {
            let patterns = self.sender_patterns.iter().filter(|(pattern, _)| matches(pattern, folded));
            patterns.map(|(_, at)| *at).find_map(|at| self.alive(Some(at), now))
        })
    }

    fn phrase(&self, text: &str, now: Timestamp) -> Option<&Listed> {
        let (found, at) = self.phrases.as_ref()?;
        let hits = found.find_overlapping_iter(text);
        hits.filter_map(|hit| at.get(hit.pattern().as_usize())).find_map(|at| self.alive(Some(*at), now))
    }

    /// The ids of the entries that catch a value now: as a number, a sender, a network address, a key or a text.
    pub(crate) fn catching(&self, value: &str, now: Timestamp) -> Vec<i64> {
        let digits = value.trim_start_matches('+');
        let network = value.parse().ok().and_then(|address| {
            self.networks
                .iter()
                .find(|(network, _)| network.contains(address))
                .and_then(|(_, at)| self.alive(Some(*at), now))
        });
        let key = value.parse().ok().and_then(|key: KeyId| self.alive(self.keys.get(&key).copied(), now));
        let caught = [
            self.recipient(digits, now),
            self.sender(&crate::gate::fold(value), now),
            self.phrase(&crate::gate::plain(value), now),
            network,
            key,
        ];
        let mut ids: Vec<i64> = caught.into_iter().flatten().map(|listed| listed.id).collect();
        ids.dedup();
        ids
    }

    fn refuse(&self, judging: &mut Judging<'_>, listed: &Listed) -> Refusal {
        let (code, what) = match listed.kind {
            Kind::Number => (Code::RecipientBlacklisted, "the recipient is on the blacklist"),
            Kind::Prefix => (Code::RecipientBlacklisted, "the recipient's prefix is on the blacklist"),
            Kind::Sender => (Code::SenderBlacklisted, "the sender is on the blacklist"),
            Kind::Content => (Code::ContentBlocked, "the text holds a phrase that is on the blacklist"),
            Kind::Ip => (Code::CallerBlacklisted, "the network address is on the blacklist"),
            Kind::Key => (Code::CallerBlacklisted, "the API key is on the blacklist"),
        };
        let reason = match &*listed.reason {
            "" => what.to_owned(),
            reason => format!("{what}: {reason}"),
        };
        let id = types::BlacklistedId::from_raw(listed.id).to_string();
        let why = reason.clone();
        judging.looked(Gate::Blacklist, || Some(id), NAME, Verdict::Refuses, || why);
        Refusal::new(code, listed.id, NAME, reason)
    }
}
