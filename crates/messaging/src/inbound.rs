//! Numbers and short codes that phones write to: which keywords they know, and what becomes of a message.
//!
//! The decision is pure ([`decide`]), over a snapshot that is made after each change. It is made in the journal's batch, and
//! what follows from it is left there in the same transaction: pushes to SMPP accounts, jobs that call webhooks or answer,
//! and entries of the opt-out list. A message to a number that is not registered here goes to the account that owns the
//! number, as if there were no capability.

use db::{OnConflict, args, record, sql};
use runtime::Scope;
use serde::{Deserialize, Serialize};
use types::event::Change;
use types::{
    AccountId, Address, Code, ConnectionId, Error, Event, InboundNumberId, Page, Permission, Result,
    TenantId, Timestamp,
};

use crate::mail;
use crate::opt_out::Extent;
use crate::settings::{self, Patch};

pub mod api;
pub(crate) mod carry;
pub mod decide;
mod fold;
pub mod job;
mod line;
pub mod pages;
pub mod words;

pub(crate) use decide::Desk;
pub(crate) use fold::fold;

/// A number or short code of the tenant's.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct InboundNumber {
    /// Its id.
    pub id: InboundNumberId,
    /// Whose it is.
    #[serde(skip)]
    pub tenant: TenantId,
    /// The number, as phones dial it.
    #[schema(example = "+33700000000")]
    pub number: String,
    /// Only messages that come through this connection; through any when absent. The same short code of two carriers is
    /// two numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection: Option<ConnectionId>,
    /// What people call it.
    pub name: String,
    /// Whether its rules are asked at all.
    pub active: bool,
    /// Keywords and what becomes of messages.
    pub rule: NumberRule,
    /// 1, 2, 3 … with each change.
    pub revision: i64,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub changed_at: Timestamp,
}

/// Keywords and what becomes of messages.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NumberRule {
    /// Asked in this order; the first that fits decides. At most 100.
    pub keywords: Vec<Keyword>,
    /// What becomes of a message that no keyword fits. When empty it goes to the SMPP account that owns the number, if one
    /// does.
    pub otherwise: Vec<Action>,
    /// The words for opting out and in.
    pub opt_out: OptOutRule,
}

/// A keyword, and what becomes of a message that it fits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Keyword {
    /// What people call it; unique within the number.
    pub name: String,
    /// Which messages it fits.
    pub when: When,
    /// What becomes of them. When empty as with `otherwise`.
    #[serde(default)]
    pub actions: Vec<Action>,
}

/// Which messages a keyword fits. Case, accents and punctuation do not count, except for a pattern.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum When {
    /// The first word, or words, are exactly one of these.
    Word {
        /// The words, at most 50.
        words: Vec<String>,
    },
    /// The text begins with one of these.
    Prefix {
        /// The beginnings, at most 50.
        words: Vec<String>,
    },
    /// The text as it was written has a place that this regular expression fits, in either case.
    Pattern {
        /// The expression, at most 500 characters (syntax of the crate `regex`).
        pattern: String,
    },
    /// Every message, one without a text too.
    Any,
}

/// What becomes of a message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = InboundAction)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Action {
    /// It is given to this SMPP account, at its bind.
    Account {
        /// The account.
        account: AccountId,
    },
    /// It is posted to this address as JSON, until that answers 2xx.
    Webhook {
        /// The address, http or https.
        url: String,
    },
    /// It is answered with a text. Never to a short code or a name, to a number that is registered here, or to the same
    /// phone by the same keyword within `every_minutes`.
    Reply {
        /// The text.
        text: String,
        /// For how many minutes one phone is answered once, 1 to 10,080.
        #[serde(default = "every_minutes")]
        every_minutes: u32,
    },
    /// It is sent as mail, through the server of the configuration. Whoever answers the mail answers the phone.
    Mail {
        /// Where it goes: 1 to 20 addresses.
        to: Vec<String>,
        /// The subject, in which `{from}`, `{to}` and `{text}` are filled; at most 200 characters.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(example = "Message from {from}")]
        subject: Option<String>,
    },
    /// It is kept for people to read, and goes nowhere else.
    Inbox,
}

const fn every_minutes() -> u32 {
    10
}

/// The words for opting out and in. STOP, START, HELP and their like in some twenty languages are known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OptOutRule {
    /// Whether the words are looked for at all.
    pub active: bool,
    /// What a phone that stops gets no more of.
    pub extent: Extent,
    /// Further words that stop, at most 50.
    pub stop_words: Vec<String>,
    /// Further words that start again.
    pub start_words: Vec<String>,
    /// Further words that ask for help.
    pub help_words: Vec<String>,
    /// Known words that mean something else here, such as `cancel` for a restaurant.
    pub except: Vec<String>,
    /// What a phone that stops is answered; no answer when empty. With the extent `all` nothing can be answered.
    pub stop_text: String,
    /// What a phone that starts again is answered.
    pub start_text: String,
    /// What a phone that asks for help is answered.
    pub help_text: String,
}

impl Default for OptOutRule {
    fn default() -> Self {
        Self {
            active: true,
            extent: Extent::Marketing,
            stop_words: Vec::new(),
            start_words: Vec::new(),
            help_words: Vec::new(),
            except: Vec::new(),
            stop_text: String::new(),
            start_text: String::new(),
            help_text: String::new(),
        }
    }
}

/// Numbers of a tenant.
const NUMBERS_MAX: i64 = 1_000;
const KEYWORDS_MAX: usize = 100;
const WORDS_MAX: usize = 50;
const WORD_CHARS_MAX: usize = 60;
const ACTIONS_MAX: usize = 10;
const PATTERN_CHARS_MAX: usize = 500;
const REPLY_CHARS_MAX: usize = 1_000;
const EVERY_MINUTES_MAX: u32 = 10_080;

fn checked_words(field: &str, words: &mut Vec<String>) -> Result<()> {
    settings::at_most(field, words, WORDS_MAX)?;
    for word in words.iter_mut() {
        *word = word.trim().to_owned();
        if fold(word).is_empty() || word.chars().count() > WORD_CHARS_MAX {
            return Err(Error::invalid(
                field,
                format!("{word:?} is no word of 1 to {WORD_CHARS_MAX} characters"),
            ));
        }
    }
    words.dedup();
    Ok(())
}

fn checked_text(field: &str, text: &str) -> Result<()> {
    if text.chars().count() > REPLY_CHARS_MAX || text.contains('\0') {
        return Err(Error::invalid(field, format!("an answer has at most {REPLY_CHARS_MAX} characters")));
    }
    Ok(())
}

fn checked_actions(scope: &Scope, field: &str, actions: &[Action]) -> Result<()> {
    settings::at_most(field, actions, ACTIONS_MAX)?;
    for action in actions {
        match action {
            Action::Account { .. } | Action::Inbox => {}
            Action::Webhook { url } => {
                let refuse = |why: String| Error::new(Code::InvalidUrl, why).at(field);
                scope.runtime().outbound.check_url(url).map_err(|error| refuse(error.to_string()))?;
            }
            Action::Mail { to, subject } => {
                mail::job::check(scope.runtime(), field, to, subject.as_deref())?;
            }
            Action::Reply { text, every_minutes } => {
                if text.trim().is_empty() {
                    return Err(Error::new(Code::EmptyText, "an answer has a text").at(field));
                }
                checked_text(field, text)?;
                settings::within(field, every_minutes, &(1..=EVERY_MINUTES_MAX))?;
            }
        }
    }
    if actions.len() > 1 && actions.contains(&Action::Inbox) {
        return Err(Error::invalid(field, "what stays in the inbox goes nowhere else"));
    }
    Ok(())
}

impl NumberRule {
    fn checked(mut self, scope: &Scope) -> Result<Self> {
        settings::at_most("rule.keywords", &self.keywords, KEYWORDS_MAX)?;
        let mut names = std::collections::HashSet::new();
        for (at, keyword) in self.keywords.iter_mut().enumerate() {
            let place = |member: &str| format!("rule.keywords[{at}].{member}");
            keyword.name = identity::name::given(&place("name"), &keyword.name)?;
            if !names.insert(keyword.name.clone()) {
                let why = format!("there are two keywords named {:?}", keyword.name);
                return Err(Error::invalid(&place("name"), why));
            }
            match &mut keyword.when {
                When::Word { words } | When::Prefix { words } => {
                    checked_words(&place("when"), words)?;
                    if words.is_empty() {
                        return Err(Error::invalid(&place("when"), "a keyword has at least one word"));
                    }
                }
                When::Pattern { pattern } => {
                    if pattern.chars().count() > PATTERN_CHARS_MAX {
                        let why = format!("a pattern has at most {PATTERN_CHARS_MAX} characters");
                        return Err(Error::invalid(&place("when"), why));
                    }
                    decide::pattern(pattern)
                        .map_err(|error| Error::invalid(&place("when"), error.to_string()))?;
                }
                When::Any => {}
            }
            checked_actions(scope, &place("actions"), &keyword.actions)?;
        }
        checked_actions(scope, "rule.otherwise", &self.otherwise)?;
        let own = &mut self.opt_out;
        checked_words("rule.opt_out.stop_words", &mut own.stop_words)?;
        checked_words("rule.opt_out.start_words", &mut own.start_words)?;
        checked_words("rule.opt_out.help_words", &mut own.help_words)?;
        checked_words("rule.opt_out.except", &mut own.except)?;
        checked_text("rule.opt_out.stop_text", &own.stop_text)?;
        checked_text("rule.opt_out.start_text", &own.start_text)?;
        checked_text("rule.opt_out.help_text", &own.help_text)?;
        Ok(self)
    }

    fn accounts(&self) -> impl Iterator<Item = AccountId> {
        let actions = self.keywords.iter().flat_map(|keyword| &keyword.actions).chain(&self.otherwise);
        actions.filter_map(|action| match action {
            Action::Account { account } => Some(*account),
            _ => None,
        })
    }
}

/// A number to be registered.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewInboundNumber {
    /// The number in international form, or a short code.
    #[schema(example = "+33700000000")]
    pub number: String,
    /// Only messages that come through this connection; through any when not given.
    pub connection: Option<ConnectionId>,
    /// What people call it; the number itself when not given.
    pub name: Option<String>,
    /// Whether its rules are asked at all; true when not given.
    pub active: Option<bool>,
    /// Keywords and what becomes of messages.
    #[serde(default)]
    #[schema(value_type = NumberRule)]
    pub rule: Patch,
}

/// A change to a number. What is not named stays; the number itself and its connection never change.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InboundNumberPatch {
    /// What people call it.
    pub name: Option<String>,
    /// Whether its rules are asked at all.
    pub active: Option<bool>,
    /// Keywords and what becomes of messages; each member as a whole.
    #[serde(default)]
    #[schema(value_type = NumberRule)]
    pub rule: Patch,
    /// The revision that the change was decided on; when it is not the present one the change is refused.
    pub revision: Option<i64>,
}

record! {
    struct Stored {
        id: InboundNumberId, tenant_id: TenantId, number: String, connection_id: i64, name: String, active: bool,
        rule: String, revision: i64, created_at: Timestamp, changed_at: Timestamp,
    }
}

impl Stored {
    fn number(self) -> Result<InboundNumber> {
        Ok(InboundNumber {
            id: self.id,
            tenant: self.tenant_id,
            number: shown_number(&self.number),
            connection: (self.connection_id != 0).then(|| ConnectionId::from_raw(self.connection_id)),
            name: self.name,
            active: self.active,
            rule: settings::stored(&self.rule)?,
            revision: self.revision,
            created_at: self.created_at,
            changed_at: self.changed_at,
        })
    }
}

/// A number's digits as people write it.
pub(crate) fn shown_number(digits: &str) -> String {
    Address::recipient(digits).map_or_else(|_| digits.to_owned(), |address| address.to_string())
}

/// A tenant's numbers, the oldest first.
async fn of_tenant(tx: &mut db::Tx, tenant: TenantId) -> Result<Vec<InboundNumber>> {
    let stored: Vec<Stored> = tx
        .all(
            sql!(
                "select id, tenant_id, number, connection_id, name, active, rule, revision, created_at, changed_at
                 from inbound_number where tenant_id = $1 order by id limit $2"
            ),
            args![tenant, NUMBERS_MAX],
        )
        .await?;
    stored.into_iter().map(Stored::number).collect()
}

record! { struct Found { id: i64 } }

/// Refuses accounts that are not the tenant's.
async fn refuse_strangers(tx: &mut db::Tx, tenant: TenantId, rule: &NumberRule) -> Result<()> {
    let ids: Vec<_> = rule.accounts().map(|id| serde_json::json!({ "id": id.raw() })).collect();
    let known: Vec<Found> = tx
        .all(
            sql!(
                "select id from smpp_account where tenant_id = $1
                 and id in (select cast(r.value ->> 'id' as bigint) from json_rows($2) r)"
            ),
            args![tenant, db::Arg::json(&ids)?],
        )
        .await?;
    match rule.accounts().find(|id| known.iter().all(|known| known.id != id.raw())) {
        Some(stranger) => Err(Error::invalid("rule", format!("there is no SMPP account {stranger}"))),
        None => Ok(()),
    }
}

async fn refuse_strange_connection(tx: &mut db::Tx, number: &InboundNumber) -> Result<()> {
    let Some(connection) = number.connection else { return Ok(()) };
    let found: Option<Found> = tx
        .optional(
            sql!("select id from connection where tenant_id = $1 and id = $2"),
            args![number.tenant, connection],
        )
        .await?;
    found
        .map(|_| ())
        .ok_or_else(|| Error::invalid("connection", format!("there is no connection {connection}")))
}

fn taken(number: &str) -> Error {
    Error::new(Code::AlreadyExists, format!("{number} is registered for these messages already")).at("number")
}

/// Registers a number. Tell the engine after it.
///
/// # Errors
/// [`Code::AlreadyExists`]; [`Code::Conflict`] when the tenant has as many as it may; refusals of its values.
pub async fn create(scope: &Scope, new: NewInboundNumber) -> Result<InboundNumber> {
    scope.require(Permission::InboundManage)?;
    let now = scope.now();
    let address = Address::recipient(&new.number).map_err(|error| error.at("number"))?;
    let nothing = NumberRule::default();
    let number = InboundNumber {
        id: scope.runtime().ids.next(),
        tenant: scope.tenant(),
        number: address.to_string(),
        connection: new.connection,
        name: identity::name::given("name", new.name.as_deref().unwrap_or(&address.to_string()))?,
        active: new.active.unwrap_or(true),
        rule: settings::changed("rule", &nothing, &nothing, &new.rule)?.checked(scope)?,
        revision: 1,
        created_at: now,
        changed_at: now,
    };
    let mut write = scope.write().await?;
    if of_tenant(&mut write, number.tenant).await?.len() as i64 >= NUMBERS_MAX {
        return Err(Error::new(Code::Conflict, format!("there are {NUMBERS_MAX} numbers already")));
    }
    refuse_strange_connection(&mut write, &number).await?;
    refuse_strangers(&mut write, number.tenant, &number.rule).await?;
    let inserted = write.execute(
        sql!(
            "insert into inbound_number (id, tenant_id, number, connection_id, name, active, rule, revision, created_at, \
             changed_at) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)"
        ),
        args![
            number.id,
            number.tenant,
            &address.text,
            number.connection.map_or(0, ConnectionId::raw),
            &number.name,
            number.active,
            settings::to_store(&number.rule)?,
            number.revision,
            now
        ],
    );
    inserted.await.on_unique(|| taken(&number.number))?;
    write.happened(Event::InboundNumberCreated(audited(&number, None, Some(&number))?));
    write.commit(number).await
}

/// All numbers, the oldest first; there is one page, because a tenant has 1,000 at most.
///
/// # Errors
/// [`Code::Forbidden`].
pub async fn list(scope: &Scope) -> Result<Page<InboundNumber>> {
    scope.require(Permission::InboundView)?;
    Ok(Page { items: of_tenant(&mut scope.read().await?, scope.tenant()).await?, next: None })
}

/// One number.
///
/// # Errors
/// [`Code::NotFound`], also for another tenant's.
pub async fn get(scope: &Scope, id: InboundNumberId) -> Result<InboundNumber> {
    scope.require(Permission::InboundView)?;
    present(&mut scope.read().await?, scope.tenant(), id).await
}

async fn present(tx: &mut db::Tx, tenant: TenantId, id: InboundNumberId) -> Result<InboundNumber> {
    let found: Option<Stored> = tx
        .optional(
            sql!(
                "select id, tenant_id, number, connection_id, name, active, rule, revision, created_at, changed_at
                 from inbound_number where tenant_id = $1 and id = $2"
            ),
            args![tenant, id],
        )
        .await?;
    found.ok_or_else(|| Error::not_found("inbound number"))?.number()
}

/// Changes a number. Tell the engine after it.
///
/// # Errors
/// [`Code::Conflict`] when it is no longer at the patch's revision; [`Code::NotFound`]; refusals of its values.
pub async fn change(scope: &Scope, id: InboundNumberId, patch: InboundNumberPatch) -> Result<InboundNumber> {
    scope.require(Permission::InboundManage)?;
    let mut write = scope.write().await?;
    let before = present(&mut write, scope.tenant(), id).await?;
    if patch.revision.is_some_and(|revision| revision != before.revision) {
        return Err(settings::outdated("inbound number", before.revision));
    }
    let mut after = before.clone();
    if let Some(name) = patch.name {
        after.name = identity::name::given("name", &name)?;
    }
    after.active = patch.active.unwrap_or(before.active);
    let nothing = NumberRule::default();
    after.rule = settings::changed("rule", &before.rule, &nothing, &patch.rule)?.checked(scope)?;
    after.revision += 1;
    after.changed_at = scope.now();
    refuse_strangers(&mut write, after.tenant, &after.rule).await?;
    let changed = write
        .execute(
            sql!(
                "update inbound_number set name = $3, active = $4, rule = $5, revision = $6, changed_at = $7
                 where tenant_id = $1 and id = $2 and revision = $8"
            ),
            args![
                after.tenant,
                id,
                &after.name,
                after.active,
                settings::to_store(&after.rule)?,
                after.revision,
                after.changed_at,
                before.revision
            ],
        )
        .await?;
    if changed == 0 {
        return Err(settings::outdated("inbound number", after.revision));
    }
    write.happened(Event::InboundNumberChanged(audited(&after, Some(&before), Some(&after))?));
    write.commit(after).await
}

/// Deletes a number. Its messages stay; later ones go to the account that owns the number. Tell the engine after it.
///
/// # Errors
/// [`Code::NotFound`].
pub async fn delete(scope: &Scope, id: InboundNumberId) -> Result<()> {
    scope.require(Permission::InboundManage)?;
    let mut write = scope.write().await?;
    let number = present(&mut write, scope.tenant(), id).await?;
    write
        .execute(
            sql!("delete from inbound_number where tenant_id = $1 and id = $2"),
            args![scope.tenant(), id],
        )
        .await?;
    write
        .execute(
            sql!("delete from inbound_reply where tenant_id = $1 and number_id = $2"),
            args![scope.tenant(), id],
        )
        .await?;
    write.happened(Event::InboundNumberDeleted(audited(&number, Some(&number), None)?));
    write.commit(()).await
}

fn audited(
    number: &InboundNumber,
    before: Option<&InboundNumber>,
    after: Option<&InboundNumber>,
) -> Result<Change> {
    Ok(Change {
        id: number.id.to_string(),
        name: number.name.clone(),
        before: before.map(settings::shown).transpose()?,
        after: after.map(settings::shown).transpose()?,
    })
}
