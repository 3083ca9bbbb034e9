//! What becomes of a message from a phone: a pure function over a snapshot of all tenants' numbers.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arc_swap::ArcSwap;
use db::{Tenancy, args, record, sql};
use regex::{Regex, RegexBuilder};
use runtime::Runtime;
use serde::{Deserialize, Serialize};
use types::{AccountId, Address, ConnectionId, InboundNumberId, Result, TenantId};

use super::words::{self, Meaning};
use super::{Action, InboundNumber, Keyword, OptOutRule, When, fold};
use crate::opt_out::Extent;

/// A message from a phone, as far as the decision cares.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// Whose connection it came through.
    pub tenant: TenantId,
    /// The connection.
    pub connection: ConnectionId,
    /// The phone.
    pub phone: &'a Address,
    /// The number that it wrote to, its digits without `+`.
    pub number: &'a str,
    /// What it wrote; none for binary content.
    pub text: Option<&'a str>,
    /// The account that owns the number by its own settings.
    pub owner: Option<AccountId>,
}

/// Why a message went where it went; kept with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = InboundDecision)]
pub struct Decision {
    /// The number whose rules were asked.
    pub number: InboundNumberId,
    /// What people called it then.
    pub name: String,
    /// The word for opting out or in that the text was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub word: Option<Word>,
    /// The keyword that fitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keyword: Option<String>,
    /// What was done, in sentences.
    pub done: Vec<String>,
}

/// A word for opting out or in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Word {
    /// What it means.
    pub meaning: Meaning,
    /// Its language by ISO 639-1; absent for a word of the number's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
}

/// What follows from a decision.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Effects {
    /// The accounts that it is given to.
    pub accounts: Vec<AccountId>,
    /// Where it is posted to.
    pub webhooks: Vec<String>,
    /// Where it is sent as mail, each with its subject.
    pub mails: Vec<(String, String)>,
    /// What it is answered.
    pub replies: Vec<Reply>,
    /// What a phone that opts out gets no more of.
    pub opts_out: Option<Extent>,
    /// Whether the phone opts in again.
    pub opts_in: bool,
}

/// An answer by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The keyword, or the word for opting out or in.
    pub rule: String,
    /// The text.
    pub text: String,
    /// For how many minutes one phone is answered once.
    pub every_minutes: u32,
}

/// For how long one phone is answered once about opting out or in.
const WORD_EVERY_MINUTES: u32 = 5;
/// What a regular expression may take once compiled.
const PATTERN_OCTETS_MAX: usize = 256 * 1_024;

/// A keyword's pattern, compiled.
///
/// # Errors
/// What cannot be read, or would be too large.
pub(super) fn pattern(pattern: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(pattern).case_insensitive(true).size_limit(PATTERN_OCTETS_MAX).build()
}

#[derive(Debug)]
enum Fits {
    Words(Vec<String>),
    Beginnings(Vec<String>),
    Pattern(Regex),
    Any,
    /// A pattern that this version cannot read.
    Never,
}

impl Fits {
    fn new(when: &When) -> Self {
        let folded = |words: &[String]| words.iter().map(|word| fold(word)).collect();
        match when {
            When::Word { words } => Self::Words(folded(words)),
            When::Prefix { words } => Self::Beginnings(folded(words)),
            When::Pattern { pattern: text } => pattern(text).map_or(Self::Never, Self::Pattern),
            When::Any => Self::Any,
        }
    }

    fn fits(&self, text: Option<&str>, folded: &str) -> bool {
        match self {
            Self::Words(words) => words.iter().any(|word| {
                folded
                    .strip_prefix(word.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
            }),
            Self::Beginnings(words) => words.iter().any(|word| folded.starts_with(word.as_str())),
            Self::Pattern(regex) => text.is_some_and(|text| regex.is_match(text)),
            Self::Any => true,
            Self::Never => false,
        }
    }
}

/// A number, ready to be asked.
#[derive(Debug)]
struct Ready {
    id: InboundNumberId,
    connection: Option<ConnectionId>,
    name: String,
    keywords: Vec<(Fits, Keyword)>,
    otherwise: Vec<Action>,
    opt_out: OptOutRule,
    /// The tenant's own words, folded, in the order stop, start, help; then those that do not count.
    own: [HashSet<String>; 4],
}

impl Ready {
    fn new(number: InboundNumber) -> Self {
        let rule = number.rule;
        let folded = |words: &[String]| words.iter().map(|word| fold(word)).collect();
        let opt_out = rule.opt_out;
        Self {
            id: number.id,
            connection: number.connection,
            name: number.name,
            keywords: rule.keywords.into_iter().map(|keyword| (Fits::new(&keyword.when), keyword)).collect(),
            otherwise: rule.otherwise,
            own: [
                folded(&opt_out.stop_words),
                folded(&opt_out.start_words),
                folded(&opt_out.help_words),
                folded(&opt_out.except),
            ],
            opt_out,
        }
    }

    /// What a text means, and in which language.
    fn meaning(&self, folded: &str, country: Option<&str>) -> Option<(Meaning, Option<&'static str>)> {
        let [stop, start, help, except] = &self.own;
        for (words, meaning) in [(stop, Meaning::Stop), (start, Meaning::Start), (help, Meaning::Help)] {
            if words.contains(folded) {
                return Some((meaning, None));
            }
        }
        let (meaning, language) = words::meaning(folded, country).filter(|_| !except.contains(folded))?;
        Some((meaning, Some(language)))
    }
}

/// All tenants' numbers.
#[derive(Debug, Default)]
struct Book {
    tenants: HashMap<TenantId, HashMap<String, Vec<Ready>>>,
    /// Every number that is registered, whoever's: none of them is answered by itself.
    registered: HashSet<String>,
}

/// Where messages from phones are decided about.
#[derive(Debug, Default)]
pub(crate) struct Desk {
    book: ArcSwap<Book>,
    /// One snapshot at a time, so that an older one never takes the place of a newer.
    changing: tokio::sync::Mutex<()>,
}

record! { struct Owner { tenant_id: TenantId } }

impl Desk {
    /// Reads all numbers again; call it at the start and after each committed change.
    ///
    /// # Errors
    /// When the database does not answer; the former ones stay in force.
    pub(crate) async fn reload(&self, runtime: &Runtime) -> Result<()> {
        let _changing = self.changing.lock().await;
        let mut tx = runtime.db.read(Tenancy::Every).await?;
        let owners: Vec<Owner> =
            tx.all(sql!("select distinct tenant_id from inbound_number"), args![]).await?;
        let mut numbers = Vec::new();
        for owner in owners {
            numbers.extend(super::of_tenant(&mut tx, owner.tenant_id).await?);
        }
        self.book.store(Arc::new(book(numbers)));
        Ok(())
    }

    /// What becomes of a message; nothing where its number is not registered, or its rules are off.
    pub(crate) fn decide(&self, asked: &Asked<'_>) -> Option<(Decision, Effects)> {
        let book = self.book.load();
        let ready = find(&book, asked)?;
        Some(decide(ready, asked, book.registered.contains(&asked.phone.text)))
    }
}

fn book(numbers: Vec<InboundNumber>) -> Book {
    let mut book = Book::default();
    for number in numbers {
        let digits = number.number.trim_start_matches('+').to_owned();
        book.registered.insert(digits.clone());
        if number.active {
            let of_tenant = book.tenants.entry(number.tenant).or_default();
            of_tenant.entry(digits).or_default().push(Ready::new(number));
        }
    }
    book
}

/// The number of that connection, before the same number of any.
fn find<'a>(book: &'a Book, asked: &Asked<'_>) -> Option<&'a Ready> {
    let same = book.tenants.get(&asked.tenant)?.get(asked.number)?;
    same.iter()
        .find(|ready| ready.connection == Some(asked.connection))
        .or_else(|| same.iter().find(|ready| ready.connection.is_none()))
}

fn decide(ready: &Ready, asked: &Asked<'_>, answers_itself: bool) -> (Decision, Effects) {
    let folded = asked.text.map(fold).unwrap_or_default();
    let country = Some(asked.phone.text.as_str()).filter(|_| is_phone(asked.phone)).and_then(sms::country);
    let fitting = ready.keywords.iter().find(|(fits, _)| fits.fits(asked.text, &folded));
    let word = ready.meaning(&folded, country).filter(|_| ready.opt_out.active);
    // Whoever wants to stop is heard first; a keyword of the tenant's may be called START or INFO.
    let named = fitting.is_some_and(|(fits, _)| matches!(fits, Fits::Words(_)));
    let word = word.filter(|(meaning, _)| *meaning == Meaning::Stop || !named);
    let mut decision = Decision {
        number: ready.id,
        name: ready.name.clone(),
        word: word.map(|(meaning, language)| Word { meaning, language: language.map(str::to_owned) }),
        keyword: None,
        done: Vec::new(),
    };
    let mut effects = Effects::default();
    let actions = match (word, fitting) {
        (Some((meaning, _)), _) => {
            opt(ready, asked, meaning, &mut decision, &mut effects);
            &ready.otherwise
        }
        (None, Some((_, keyword))) => {
            decision.keyword = Some(keyword.name.clone());
            &keyword.actions
        }
        (None, None) => &ready.otherwise,
    };
    for action in actions {
        act(action, &mut decision, &mut effects, word.is_some());
    }
    if actions.is_empty() {
        match asked.owner {
            Some(owner) => {
                effects.accounts.push(owner);
                decision.done.push(format!("Given to the SMPP account {owner}, which owns the number."));
            }
            None => decision.done.push("Kept in the inbox.".to_owned()),
        }
    }
    keep_from_answering(asked, answers_itself, &mut decision, &mut effects);
    (decision, effects)
}

fn opt(ready: &Ready, asked: &Asked<'_>, meaning: Meaning, decision: &mut Decision, effects: &mut Effects) {
    let own = &ready.opt_out;
    let text = match meaning {
        Meaning::Stop => {
            // What is no phone's number cannot be written to either.
            if is_phone(asked.phone) {
                effects.opts_out = Some(own.extent);
                decision.done.push(format!("Opted out of {}.", own.extent.words()));
            }
            &own.stop_text
        }
        Meaning::Start => {
            effects.opts_in = is_phone(asked.phone);
            decision.done.push("Opted in again.".to_owned());
            &own.start_text
        }
        Meaning::Help => &own.help_text,
    };
    if effects.opts_out == Some(Extent::All) && !text.trim().is_empty() {
        decision.done.push("Not answered: it is to get no message at all.".to_owned());
    } else if !text.trim().is_empty() {
        effects.replies.push(Reply {
            rule: meaning.as_str().to_owned(),
            text: text.clone(),
            every_minutes: WORD_EVERY_MINUTES,
        });
        decision.done.push(format!("Answered with the text for {}.", meaning.as_str()));
    }
}

fn act(action: &Action, decision: &mut Decision, effects: &mut Effects, word: bool) {
    let done = match action {
        Action::Account { account } => {
            if !effects.accounts.contains(account) {
                effects.accounts.push(*account);
            }
            format!("Given to the SMPP account {account}.")
        }
        Action::Webhook { url } => {
            effects.webhooks.push(url.clone());
            format!("Posted to {}.", host(url))
        }
        Action::Mail { to, subject } => {
            let subject = subject.clone().unwrap_or_default();
            effects.mails.extend(to.iter().map(|to| (to.clone(), subject.clone())));
            format!("Sent as mail to {}.", to.join(", "))
        }
        // Its own answer was given, or is none by choice.
        Action::Reply { .. } if word => return,
        Action::Reply { text, every_minutes } => {
            let rule = decision.keyword.clone().unwrap_or_else(|| OTHERWISE.to_owned());
            effects.replies.push(Reply { rule, text: text.clone(), every_minutes: *every_minutes });
            format!("Answered, unless the phone was within {every_minutes} minutes.")
        }
        Action::Inbox => "Kept in the inbox.".to_owned(),
    };
    decision.done.push(done);
}

/// What answers are remembered by where no keyword fitted.
const OTHERWISE: &str = "";

/// Takes the answers away where nobody, or a machine, would read them.
fn keep_from_answering(
    asked: &Asked<'_>,
    answers_itself: bool,
    decision: &mut Decision,
    effects: &mut Effects,
) {
    if effects.replies.is_empty() {
        return;
    }
    let why = if !is_phone(asked.phone) {
        "the sender is a short code or a name"
    } else if answers_itself || asked.phone.text == asked.number {
        "the sender is a number that answers by itself"
    } else {
        return;
    };
    effects.replies.clear();
    decision.done.retain(|done| !done.starts_with("Answered"));
    decision.done.push(format!("Not answered: {why}."));
}

/// The fewest digits of a phone's number; anything shorter is a short code.
const PHONE_DIGITS_MIN: usize = 7;

/// Whether an address is a phone's number.
pub(super) fn is_phone(address: &Address) -> bool {
    address.text.len() >= PHONE_DIGITS_MIN && address.text.bytes().all(|octet| octet.is_ascii_digit())
}

/// The host of an address; its path and query may hold secrets.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    host.rsplit_once('@').map_or(host, |(_, host)| host)
}

#[cfg(test)]
mod tests;
