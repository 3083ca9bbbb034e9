//! What a provider's answer means.

use std::sync::Arc;

use serde_json::Value;

use super::Meaning;
use super::plan::Plan;
use super::source::Came;
use crate::report::{Answer, Class, HttpRefusal, NoAnswer, Refusal};

/// The longest reason that is kept.
const WORDS_CHARS_MAX: usize = 200;
/// The longest `Retry-After` that is kept.
const RETRY_AFTER_S_MAX: u64 = 600;

/// An answer as it came.
pub(super) struct Heard<'a> {
    pub(super) status: u16,
    pub(super) headers: &'a [(String, String)],
    pub(super) body: &'a [u8],
    /// The name that we gave the message.
    pub(super) reference: &'a str,
}

/// What it means.
pub(super) struct Read {
    pub(super) answer: Answer,
    pub(super) meaning: Meaning,
    /// For how many seconds the provider wants to be left alone.
    pub(super) retry_after_s: Option<u64>,
}

impl Plan {
    /// Reads an answer: the first rule that fits decides.
    pub(super) fn read_answer(&self, heard: &Heard<'_>) -> Read {
        let json: Option<Value> = serde_json::from_slice(heard.body).ok();
        let came = Came {
            fields: &[],
            json: json.as_ref(),
            headers: heard.headers,
            body: heard.body,
            reference: heard.reference,
        };
        let fits = |rule: &&super::plan::Reading| {
            if !rule.status.contains(&heard.status) {
                return false;
            }
            if !rule.at.is_somewhere() {
                return true;
            }
            let Some(found) = rule.at.text(&came) else { return false };
            (rule.is.is_empty() || rule.is.contains(&found))
                && rule.matches.as_ref().is_none_or(|expression| expression.is_match(&found))
        };
        let Some(rule) = self.answers.iter().find(fits) else {
            return Read {
                answer: Answer::NoAnswer(NoAnswer::Unclear),
                meaning: Meaning::Unknown,
                retry_after_s: retry_after(heard.headers),
            };
        };
        let refused = |class| {
            let told = rule.error.text(&came).unwrap_or_default();
            let words: String = told.chars().filter(|ch| !ch.is_control()).take(WORDS_CHARS_MAX).collect();
            let refusal = HttpRefusal { class, status: heard.status, words: Arc::from(words) };
            Answer::refused(Refusal::Http(refusal))
        };
        let answer = match rule.then {
            Meaning::Accepted => Answer::Accepted { message_id: rule.id.text(&came).unwrap_or_default() },
            Meaning::Throttled => refused(Class::Throttled),
            Meaning::QueueFull => refused(Class::QueueFull),
            Meaning::Temporary => refused(Class::Temporary),
            Meaning::Permanent => refused(Class::Permanent),
            Meaning::Authentication => refused(Class::Reconnect),
            Meaning::Unknown => Answer::NoAnswer(NoAnswer::Unclear),
        };
        Read { answer, meaning: rule.then, retry_after_s: retry_after(heard.headers) }
    }
}

/// `Retry-After` in seconds; dates are not used by anybody here.
fn retry_after(headers: &[(String, String)]) -> Option<u64> {
    let (_, value) = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("retry-after"))?;
    value.trim().parse().ok().map(|seconds: u64| seconds.min(RETRY_AFTER_S_MAX))
}
