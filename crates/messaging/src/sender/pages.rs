//! Senders, their pools and policies in the console.

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{get, post};
use maud::{Markup, html};
use serde_json::{Value, json};
use types::{AccountId, Error, Permission, Result, SenderId};
use web::console::{Content, done};
use web::ui::dialog::{Confirm, confirm};
use web::ui::field::{self, Choice};
use web::ui::form::{self, Weight};
use web::ui::icon::Icon;
use web::ui::table::{column, row, table};
use web::ui::tone::Tone;
use web::ui::{badge, browse, feedback};
use web::{Form, PageProblem, Query, Visitor};

use super::policy::{self, PolicyRecord, SenderDefault, SenderMode, SenderPolicy, SetPolicy};
use super::pool::{self, Pool};
use super::{NewSender, Registration, RegistrationState, Sender, SenderPatch};
use crate::account;
use crate::api::{Gateway, follow};
use crate::gate::pages::{Tried, try_panel};
use crate::pages::{Fields, Shown, again, list as texts, may, none, words};
use crate::settings::Patch;

mod pools;

fn state_badge(state: RegistrationState) -> Markup {
    match state {
        RegistrationState::Draft => badge::badge(Tone::Neutral, "Draft"),
        RegistrationState::Pending => badge::badge_icon(Tone::Warn, Icon::Clock, "Pending"),
        RegistrationState::Approved => badge::badge_icon(Tone::Good, Icon::Check, "Approved"),
        RegistrationState::Refused => badge::badge_icon(Tone::Bad, Icon::Cross, "Refused"),
        RegistrationState::Expired => badge::badge_icon(Tone::Bad, Icon::Clock, "Expired"),
    }
}

const fn mode_label(mode: SenderMode) -> &'static str {
    match mode {
        SenderMode::Free => "Any sender",
        SenderMode::Listed => "Only allowed senders",
        SenderMode::Registered => "Only registered senders",
    }
}

/// Registrations that a row shows.
const SHOWN: usize = 4;

fn senders_table(visitor: &Visitor, senders: &[Sender]) -> Markup {
    let rows = senders.iter().map(|sender| {
        let registrations = &sender.record.registrations;
        let cells = vec![
            html! { bdi { (sender.name) } },
            html! {
                @for one in registrations.iter().take(SHOWN) {
                    (if one.country == "*" { "everywhere" } else { one.country.as_str() }) " " (state_badge(one.state)) " "
                }
                @if registrations.len() > SHOWN { "and " (registrations.len() - SHOWN) " more" }
                @if registrations.is_empty() { (none()) }
            },
            html! { (sender.record.note.as_deref().unwrap_or_default()) },
        ];
        let row = row(cells).key(sender.id.to_string());
        if may(visitor, Permission::SenderChange) { row.link(format!("/senders/{}", sender.id)) } else { row }
    });
    let columns = vec![column("Sender"), column("Registered in"), column("Note").detail()];
    let empty = feedback::empty(
        Icon::Users,
        "No registered senders yet",
        "Register the names and numbers that your messages come from, country by country.",
        &add_button(visitor),
    );
    html! { (table("Registered senders", columns, rows.collect()).id("senders").empty(empty)) }
}

fn add_button(visitor: &Visitor) -> Markup {
    html! {
        @if may(visitor, Permission::SenderCreate) {
            (form::link("Register sender", "/senders/new").weight(Weight::Primary).icon(Icon::Plus))
        }
    }
}

/// Whose policy, in words.
fn whose(record: &str, accounts: &[account::Named]) -> String {
    match record {
        "everyone" => "Everyone without a policy".to_owned(),
        "api" => "The API".to_owned(),
        id => accounts
            .iter()
            .find(|named| named.id.to_string() == id)
            .map_or_else(|| id.to_owned(), |named| named.name.clone()),
    }
}

fn policies_table(
    visitor: &Visitor,
    policies: &[PolicyRecord],
    accounts: &[account::Named],
    pools: &[Pool],
) -> Markup {
    let rows = policies.iter().map(|record| {
        let policy = &record.policy;
        let cells = vec![
            html! { (whose(&record.whose, accounts)) },
            html! { (mode_label(policy.mode)) },
            html! { @for sender in policy.allowed.iter().take(SHOWN) { (badge::tag(sender)) " " } },
            html! { @for sender in policy.blocked.iter().take(SHOWN) { (badge::tag(sender)) " " } },
            html! {
                @for default in &policy.defaults {
                    (default_text(default, pools)) " "
                }
            },
        ];
        let row = row(cells).key(record.whose.clone());
        let href = format!("/senders/policy?whose={}", record.whose);
        if may(visitor, Permission::SenderPolicyChange) { row.link(href) } else { row }
    });
    let columns = vec![
        column("Who"),
        column("May send as"),
        column("Allowed").detail(),
        column("Blocked").detail(),
        column("Default"),
    ];
    let empty = feedback::empty(
        Icon::Key,
        "Everybody may send as anybody",
        "Set a policy to restrict that.",
        &html! {},
    );
    html! { (table("Who may send as whom", columns, rows.collect()).id("policies").caption_shown().empty(empty)) }
}

/// A default as the form writes it: `ACME`, `FR: ACME`, `pool Name`.
fn default_text(default: &SenderDefault, pools: &[Pool]) -> String {
    let to = match (&default.sender, default.pool) {
        (Some(sender), _) => sender.clone(),
        (None, Some(id)) => {
            let name = pools.iter().find(|pool| pool.id == id).map_or("gone", |pool| pool.name.as_str());
            format!("pool {name}")
        }
        (None, None) => String::new(),
    };
    match default.countries.is_empty() {
        true => to,
        false => format!("{}: {to}", default.countries.join(" ")),
    }
}

/// Reads a default as [`default_text`] writes it.
fn read_default(line: &str, pools: &[Pool]) -> Result<SenderDefault> {
    let (countries, to) = line.split_once(':').unwrap_or(("", line));
    let countries = countries.split_whitespace().map(str::to_owned).collect();
    let to = to.trim();
    let Some(name) = to.strip_prefix("pool ") else {
        return Ok(SenderDefault { countries, sender: Some(to.to_owned()), pool: None });
    };
    let pool = pools.iter().find(|pool| pool.name == name.trim());
    let pool = pool.ok_or_else(|| Error::invalid("defaults", format!("there is no pool {name:?}")))?;
    Ok(SenderDefault { countries, sender: None, pool: Some(pool.id) })
}

async fn accounts(visitor: &Visitor) -> Result<Vec<account::Named>> {
    match may(visitor, Permission::RouteView) {
        true => account::names(&visitor.scope).await,
        false => Ok(Vec::new()),
    }
}

/// The policies, for whoever may see them.
async fn known_policies(visitor: &Visitor) -> Result<Vec<PolicyRecord>> {
    match may(visitor, Permission::SenderPolicyView) {
        true => Ok(policy::list(&visitor.scope).await?.items),
        false => Ok(Vec::new()),
    }
}

/// The pools, for whoever may see them.
async fn known_pools(visitor: &Visitor) -> Result<Vec<Pool>> {
    match may(visitor, Permission::PoolView) {
        true => Ok(pool::list(&visitor.scope).await?.items),
        false => Ok(Vec::new()),
    }
}

async fn list(
    State(gateway): State<Gateway>,
    visitor: Visitor,
    Query(tried): Query<Tried>,
) -> Result<Response, PageProblem> {
    let senders = super::list(&visitor.scope).await?.items;
    let policies = known_policies(&visitor).await?;
    let pools = known_pools(&visitor).await?;
    let accounts = accounts(&visitor).await?;
    let manage = may(&visitor, Permission::SenderPolicyChange);
    let body = html! {
        (senders_table(&visitor, &senders))
        (policies_table(&visitor, &policies, &accounts, &pools))
        @if manage { (form::actions(&html! {
            (form::link("Set a policy", "/senders/policy").icon(Icon::Key))
        })) }
        (pools::pools_table(&visitor, &pools))
        @if may(&visitor, Permission::PoolCreate) { (form::actions(&html! {
            (form::link("Add pool", "/senders/pools/new").icon(Icon::Plus))
        })) }
        (try_panel(&gateway, &visitor, "/senders", &tried).await?)
    };
    let content = Content { actions: add_button(&visitor), ..Content::new("Senders", body) };
    Ok(visitor.page_or_fragment(content))
}

/// A registration as the form writes it: `FR approved 2027-01-01 to 2027-12-31 reference 7`.
fn registration_text(one: &Registration) -> String {
    let mut text = format!("{} {}", one.country, one.state.as_str());
    if one.from.is_some() || one.until.is_some() {
        let day = |day: &Option<String>| day.clone().unwrap_or_else(|| "-".to_owned());
        text = format!("{text} {} to {}", day(&one.from), day(&one.until));
    }
    if let Some(note) = &one.note {
        text = format!("{text} # {}", note.replace('\n', " "));
    }
    text
}

/// Reads a registration as [`registration_text`] writes it.
fn read_registration(line: &str) -> Result<Value> {
    let (rule, note) = line.split_once('#').map_or((line, None), |(rule, note)| (rule, Some(note.trim())));
    let parts: Vec<&str> = rule.split_whitespace().collect();
    let day = |text: &&str| Some((*text).to_owned()).filter(|text| text != "-");
    let (country, state, from, until) = match parts.as_slice() {
        [country, state] => (country, state, None, None),
        [country, state, from, "to", until] => (country, state, day(from), day(until)),
        _ => {
            let why = format!("{line:?} is not a line such as FR approved 2027-01-01 to 2027-12-31 # note");
            return Err(Error::invalid("registrations", why));
        }
    };
    if RegistrationState::ALL.iter().all(|known| known.as_str() != *state) {
        let why = format!("{state:?} is none of draft, pending, approved, refused and expired");
        return Err(Error::invalid("registrations", why));
    }
    Ok(json!({ "country": country, "state": state, "from": from, "until": until, "note": note }))
}

fn record(fields: &Fields) -> Result<Patch> {
    let lines = fields.get("registrations").unwrap_or_default().lines().map(str::trim);
    let read = lines.filter(|line| !line.is_empty()).map(read_registration).collect::<Result<Vec<_>>>()?;
    Ok(Patch::from_iter([
        ("registrations".to_owned(), read.into()),
        ("note".to_owned(), fields.get("note").map_or(Value::Null, Value::from)),
    ]))
}

fn members(sender: &Sender) -> Patch {
    let lines: Vec<_> = sender.record.registrations.iter().map(registration_text).collect();
    Patch::from_iter([
        ("name".to_owned(), sender.name.as_str().into()),
        ("registrations".to_owned(), lines.join("\n").into()),
        ("note".to_owned(), sender.record.note.clone().into()),
        ("revision".to_owned(), sender.revision.into()),
    ])
}

fn form_page<'a>(visitor: &Visitor, title: &'a str, action: &str, shown: &Shown<'_>) -> Content<'a> {
    let [name, registrations, note, revision] =
        ["name", "registrations", "note", "revision"].map(|name| shown.value(name));
    let delete = action.strip_suffix("/edit").map(|at| format!("{at}/delete"));
    let body = html! {
        (form::post(action, "", &html! {
            (shown.summary(visitor))
            input type="hidden" name="revision" value=(revision);
            (form::section("Sender", None, &html! {
                @if delete.is_none() {
                    (field::text("name", "Sender").value(&name).required().error(shown.error("name"))
                        .hint("A name of at most 11 characters, a number or a short code."))
                } @else {
                    (field::text("name", "Sender").value(&name).read_only())
                }
                (field::textarea("registrations", "Registrations").value(&registrations).rows(5).wide().mono().error(shown.error("registrations"))
                    .hint("One a line: country, state, days, note. FR approved 2027-01-01 to 2027-12-31 # reference. The country * is for all others; states are draft, pending, approved, refused, expired."))
                (field::textarea("note", "Note").value(&note).rows(2).wide().error(shown.error("note")))
            }))
            (form::actions(&html! { (form::submit("Save")) (form::link("Cancel", "/senders").weight(Weight::Quiet)) }))
        }))
        @if let Some(delete) = &delete {
            (confirm(words(visitor), &Confirm {
                id: "delete", button: "Delete sender…", title: "Delete this sender?",
                text: "Where only registered senders may be used, messages from it are refused then.",
                confirm: "Delete sender", action: delete, csrf: "", danger: true,
            }))
        }
    };
    let breadcrumbs = browse::breadcrumbs(words(visitor), &[("Senders", "/senders")], title);
    Content { breadcrumbs, ..Content::new(title, body) }
}

async fn new(visitor: Visitor) -> Result<Response, PageProblem> {
    visitor.scope.require(Permission::SenderCreate)?;
    let shown = Shown::of(Patch::new());
    Ok(visitor.page(form_page(&visitor, "Register sender", "/senders/new", &shown)))
}

async fn create(
    State(gateway): State<Gateway>,
    visitor: Visitor,
    Form(fields): Form<Vec<(String, String)>>,
) -> Result<Response, PageProblem> {
    let fields = Fields(fields);
    let asked = async {
        let new = NewSender { name: fields.owned("name").unwrap_or_default(), record: record(&fields)? };
        super::create(&visitor.scope, new).await
    };
    match asked.await {
        Ok(_) => {
            follow(gateway.engine.gates_changed(visitor.scope.tenant())).await;
            Ok(done("/senders", "Sender registered."))
        }
        Err(refused) => {
            let refused = again(refused)?;
            let shown = Shown::again(&fields, &refused);
            Ok(visitor.page_again(form_page(&visitor, "Register sender", "/senders/new", &shown)))
        }
    }
}

async fn edit(visitor: Visitor, Path(id): Path<String>) -> Result<Response, PageProblem> {
    visitor.scope.require(Permission::SenderChange)?;
    let sender = super::get(&visitor.scope, id.parse()?).await?;
    let shown = Shown::of(members(&sender));
    Ok(visitor.page(form_page(&visitor, "Edit sender", &format!("/senders/{}/edit", sender.id), &shown)))
}

async fn change(
    State(gateway): State<Gateway>,
    visitor: Visitor,
    Path(id): Path<String>,
    Form(fields): Form<Vec<(String, String)>>,
) -> Result<Response, PageProblem> {
    let (id, fields): (SenderId, _) = (id.parse()?, Fields(fields));
    let asked = async {
        let wanted = SenderPatch { record: record(&fields)?, revision: fields.revision() };
        super::change(&visitor.scope, id, wanted).await
    };
    match asked.await {
        Ok(_) => {
            follow(gateway.engine.gates_changed(visitor.scope.tenant())).await;
            Ok(done("/senders", "Sender saved."))
        }
        Err(refused) => {
            let refused = again(refused)?;
            let shown = Shown::again(&fields, &refused);
            Ok(visitor.page_again(form_page(&visitor, "Edit sender", &format!("/senders/{id}/edit"), &shown)))
        }
    }
}

async fn delete(
    State(gateway): State<Gateway>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<Response, PageProblem> {
    super::delete(&visitor.scope, id.parse()?).await?;
    follow(gateway.engine.gates_changed(visitor.scope.tenant())).await;
    Ok(done("/senders", "Sender deleted."))
}

/// Whose policy is asked for.
#[derive(Default, serde::Deserialize)]
struct Whose {
    whose: Option<String>,
}

async fn policy_page(visitor: &Visitor, shown: &Shown<'_>) -> Result<Content<'static>> {
    let accounts = accounts(visitor).await?;
    let ids: Vec<_> = accounts.iter().map(|named| (named.id.to_string(), named.name.as_str())).collect();
    let mut choices =
        vec![Choice::new("everyone", "Everyone without a policy"), Choice::new("api", "The API")];
    choices.extend(ids.iter().map(|(id, name)| Choice::new(id, name)));
    let modes = SenderMode::ALL.map(|mode| Choice::new(mode.as_str(), mode_label(mode)));
    let [whose, mode, allowed, blocked, defaults] =
        ["whose", "mode", "allowed", "blocked", "defaults"].map(|name| shown.value(name));
    let body = html! {
        (form::post("/senders/policy", "", &html! {
            (shown.summary(visitor))
            (form::section("Policy", Some("A policy that allows any sender, blocks none and has no default is taken away."), &html! {
                (field::select("whose", "Who", &choices).value(&whose).error(shown.error("whose")))
                (field::select("mode", "May send as", &modes).value(&mode))
                (field::tags("allowed", "Allowed", &[]).value(&allowed).wide().error(shown.error("allowed"))
                    .hint("By commas; with * at the end: those that begin so."))
                (field::tags("blocked", "Blocked", &[]).value(&blocked).wide().error(shown.error("blocked")))
                (field::textarea("defaults", "Default senders").value(&defaults).rows(4).wide().mono().error(shown.error("defaults"))
                    .hint("For messages that name none, one a line: ACME, or FR BE: ACME, or FR: pool Name."))
            }))
            (form::actions(&html! { (form::submit("Save")) (form::link("Cancel", "/senders").weight(Weight::Quiet)) }))
        }))
    };
    let title = "Who may send as whom";
    let breadcrumbs = browse::breadcrumbs(words(visitor), &[("Senders", "/senders")], title);
    Ok(Content { breadcrumbs, ..Content::new(title, body) })
}

async fn show_policy(visitor: Visitor, Query(query): Query<Whose>) -> Result<Response, PageProblem> {
    visitor.scope.require(Permission::SenderPolicyChange)?;
    let whose = query.whose.unwrap_or_else(|| "everyone".to_owned());
    if whose != "everyone" && whose != "api" {
        whose.parse::<AccountId>()?;
    }
    let pools = known_pools(&visitor).await?;
    // Whoever cannot see the policy would replace it unseen.
    let policies = policy::list(&visitor.scope).await?.items;
    let policy = policies.into_iter().find(|record| record.whose == whose).map(|record| record.policy);
    let policy = policy.unwrap_or_default();
    let defaults: Vec<_> = policy.defaults.iter().map(|default| default_text(default, &pools)).collect();
    let members = Patch::from_iter([
        ("whose".to_owned(), whose.into()),
        ("mode".to_owned(), policy.mode.as_str().into()),
        ("allowed".to_owned(), policy.allowed.into()),
        ("blocked".to_owned(), policy.blocked.into()),
        ("defaults".to_owned(), defaults.join("\n").into()),
    ]);
    let shown = Shown::of(members);
    Ok(visitor.page(policy_page(&visitor, &shown).await?))
}

async fn set_policy(
    State(gateway): State<Gateway>,
    visitor: Visitor,
    Form(fields): Form<Vec<(String, String)>>,
) -> Result<Response, PageProblem> {
    let fields = Fields(fields);
    let asked = async {
        let pools = known_pools(&visitor).await?;
        let lines = fields.get("defaults").unwrap_or_default().lines().map(str::trim);
        let defaults = lines.filter(|line| !line.is_empty()).map(|line| read_default(line, &pools));
        let chosen = fields.get("mode").unwrap_or_default();
        let policy = SenderPolicy {
            mode: SenderMode::ALL.into_iter().find(|mode| mode.as_str() == chosen).unwrap_or_default(),
            allowed: texts(fields.get("allowed").unwrap_or_default()),
            blocked: texts(fields.get("blocked").unwrap_or_default()),
            defaults: defaults.collect::<Result<_>>()?,
        };
        let whose = fields.owned("whose").unwrap_or_default();
        policy::set(&visitor.scope, SetPolicy { whose, policy }).await
    };
    match asked.await {
        Ok(_) => {
            follow(gateway.engine.gates_changed(visitor.scope.tenant())).await;
            Ok(done("/senders", "Policy saved."))
        }
        Err(refused) => {
            let refused = again(refused)?;
            let shown = Shown::again(&fields, &refused);
            Ok(visitor.page_again(policy_page(&visitor, &shown).await?))
        }
    }
}

/// The routes.
pub(crate) fn router() -> Router<Gateway> {
    Router::new()
        .route("/senders", get(list))
        .route("/senders/new", get(new).post(create))
        .route("/senders/policy", get(show_policy).post(set_policy))
        .route("/senders/{id}", get(edit))
        .route("/senders/{id}/edit", get(edit).post(change))
        .route("/senders/{id}/delete", post(delete))
        .merge(pools::router())
}
