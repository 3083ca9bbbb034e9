//! API keys in the console.

use axum::Router;
use axum::extract::Path;
use axum::response::Response;
use axum::routing::{get, post};
use maud::{Markup, html};
use serde::Deserialize;
use types::{Permission, Timestamp};
use web::console::Content;
use web::ui::dialog::{self, Confirm};
use web::ui::field::Choice;
use web::ui::icon::Icon;
use web::ui::table::{column, row, table};
use web::ui::timeline::relative_time;
use web::ui::tone::Tone;
use web::ui::words::Words;
use web::ui::{badge, browse, card, code, feedback, field, form};
use web::{App, Form, PageProblem, Paging, Query, Refused, Visitor, console};

use super::{CreatedKey, Key, KeyPatch, Kind, NewKey, Rotation};
use crate::user::pages::secret_page;

/// What a form for a key says; several permissions come under one name.
#[derive(Debug, Default)]
struct KeyForm {
    name: String,
    kind: String,
    expires: String,
    networks: String,
    rate_per_second: String,
    rate_burst: String,
    scopes: Vec<Permission>,
}

impl From<Vec<(String, String)>> for KeyForm {
    fn from(pairs: Vec<(String, String)>) -> Self {
        let mut given = Self::default();
        for (field, value) in pairs {
            match field.as_str() {
                "name" => given.name = value,
                "kind" => given.kind = value,
                "expires_at" => given.expires = value,
                "networks" => given.networks = value,
                "rate_per_second" => given.rate_per_second = value,
                "rate_burst" => given.rate_burst = value,
                "scopes" => given.scopes.extend(Permission::named(&value)),
                _ => {}
            }
        }
        given
    }
}

/// A list as people write it: separated by lines, commas or blanks.
pub(crate) fn listed(text: &str) -> Vec<String> {
    let separates = |character: char| character == ',' || character.is_whitespace();
    text.split(separates).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

fn number(field: &str, text: &str) -> types::Result<Option<u32>> {
    match text.trim() {
        "" => Ok(None),
        digits => digits.parse().map(Some).map_err(|_| types::Error::invalid(field, "give a whole number")),
    }
}

impl KeyForm {
    fn read(&self) -> types::Result<NewKey> {
        let day = |day: &str| {
            Timestamp::parse(&format!("{day}T00:00:00Z"))
                .map_err(|_| types::Error::invalid("expires_at", "give a date such as 2027-12-31"))
        };
        let expires_at = Some(self.expires.as_str()).filter(|text| !text.is_empty()).map(day).transpose()?;
        Ok(NewKey {
            name: self.name.clone(),
            kind: if self.kind == Kind::Test.as_str() { Kind::Test } else { Kind::Live },
            scopes: self.scopes.clone(),
            networks: listed(&self.networks),
            rate_per_second: number("rate_per_second", &self.rate_per_second)?,
            rate_burst: number("rate_burst", &self.rate_burst)?,
            expires_at,
        })
    }

    fn patch(&self) -> types::Result<KeyPatch> {
        Ok(KeyPatch {
            name: Some(self.name.clone()),
            networks: Some(listed(&self.networks)),
            rate_per_second: number("rate_per_second", &self.rate_per_second)?.or(Some(0)),
            rate_burst: number("rate_burst", &self.rate_burst)?,
        })
    }

    /// The fields that can be changed later.
    fn guards(&self, refused: &Refused) -> Markup {
        html! {
            (field::textarea("networks", "Networks").rows(3).mono().hint("One a line, such as 192.0.2.0/24 or 2001:db8::/32; from everywhere when left empty").value(&self.networks).error(refused.at("networks")))
            (field::number("rate_per_second", "Requests a second").range("1", "100000").hint("The installation's rate when left empty").value(&self.rate_per_second).error(refused.at("rate_per_second")))
            (field::number("rate_burst", "Requests at once").range("1", "100000").hint("As many as a second when left empty").value(&self.rate_burst).error(refused.at("rate_burst")))
        }
    }
}

fn state(key: &Key, now: Timestamp) -> Markup {
    if key.revoked_at.is_some() {
        badge::badge_icon(Tone::Neutral, Icon::Cross, "revoked")
    } else if key.expires_at.is_some_and(|at| at <= now) {
        badge::badge_icon(Tone::Warn, Icon::Clock, "expired")
    } else {
        badge::badge_icon(Tone::Good, Icon::Check, "active")
    }
}

fn kind(key: &Key) -> Markup {
    match key.kind {
        Kind::Live => badge::badge(Tone::Neutral, "live"),
        Kind::Test => badge::badge_icon(Tone::Info, Icon::Flask, "test"),
    }
}

fn moment(at: Option<Timestamp>, otherwise: &str) -> Markup {
    at.map_or_else(|| html! { (otherwise) }, |at| relative_time(&at.to_string(), &at.to_minute()))
}

async fn list(visitor: Visitor, Query(paging): Query<Paging>) -> Result<Response, PageProblem> {
    let page = super::list(&visitor.scope, &paging).await?;
    let words = Words::for_lang(&visitor.person.language);
    let may_create = visitor.scope.permissions().contains(Permission::KeyCreate);
    let create = html! {
        @if may_create { (form::link("New API key", "/api-keys/new").icon(Icon::Plus).weight(form::Weight::Primary)) }
    };
    let rows = page.items.iter().map(|key| {
        row(vec![
            html! { (key.name) },
            html! { code dir="ltr" { (key.shown) "…" } },
            kind(key),
            state(key, visitor.scope.now()),
            html! { @if key.scopes.iter().any(|scope| scope == super::EVERYTHING) { "all" } @else { (key.scopes.len()) } },
            moment(Some(key.created_at), ""),
            moment(key.last_used_at, "never"),
        ])
        .link(format!("/api-keys/{}", key.id))
    });
    let columns = vec![
        column("Name"),
        column("Begins with"),
        column("Kind"),
        column("State"),
        column("Permissions").number(),
        column("Created").detail(),
        column("Last used"),
    ];
    let empty = feedback::empty(
        Icon::Key,
        "No API keys yet",
        "A key lets a program use the API in this tenant's name.",
        &create,
    );
    let older = page.next.as_ref().map(|next| format!("/api-keys?after={next}"));
    let body = html! {
        (table("API keys", columns, rows.collect()).empty(empty))
        (browse::pager(words, None, older.as_deref(), ""))
    };
    Ok(visitor.page(Content { actions: create.clone(), ..Content::new("API keys", body) }))
}

/// A group of checkboxes for each capability, with the permissions that this person holds.
pub(crate) fn scope_fields(visitor: &Visitor, given: &[Permission]) -> Markup {
    let held: Vec<Permission> = visitor.scope.permissions().iter().collect();
    let mut groups: Vec<&str> = held.iter().map(|permission| permission.group()).collect();
    groups.dedup();
    html! {
        @for group in groups {
            (form::section(group, None, &html! {
                @for permission in held.iter().filter(|permission| permission.group() == group) {
                    (field::checkbox("scopes", permission.title())
                        .id(&format!("f-{}", permission.as_str()))
                        .value(permission.as_str())
                        .checked(given.contains(permission)))
                }
            }))
        }
    }
}

const FIELDS: &[&str] =
    &["name", "kind", "expires_at", "networks", "rate_per_second", "rate_burst", "scopes"];

fn new_form(visitor: &Visitor, given: &KeyForm, refused: &Refused) -> Content<'static> {
    let words = Words::for_lang(&visitor.person.language);
    let kinds = [
        Choice::new("live", "Live: for real traffic"),
        Choice::new("test", "Test: reads and sends, to the simulator alone"),
    ];
    let kind = if given.kind.is_empty() { "live" } else { &given.kind };
    let fields = html! {
        (field::text("name", "Name").hint("Which program uses it, such as Billing").value(&given.name).max_chars(100).error(refused.at("name")).required().autofocus())
        (field::radios("kind", "Kind", &kinds).value(kind).error(refused.at("kind")))
        (field::date("expires_at", "Expires").hint("At the beginning of that day in UTC; never when left empty").value(&given.expires).error(refused.at("expires_at")))
        (given.guards(refused))
        h2 id="f-scopes" { "Permissions" }
        @if let Some(error) = refused.at("scopes") { (feedback::notice(Tone::Bad, error, &html! {})) }
        (scope_fields(visitor, &given.scopes))
        (form::actions(&html! { (form::submit("Create API key")) (form::link("Cancel", "/api-keys")) }))
    };
    let body = html! {
        (refused.summary(words, FIELDS))
        (form::post("/api-keys", "", &fields))
    };
    let breadcrumbs = browse::breadcrumbs(words, &[("API keys", "/api-keys")], "New API key");
    Content { breadcrumbs, ..Content::new("New API key", body) }
}

async fn show_new(visitor: Visitor) -> Result<Response, PageProblem> {
    visitor.scope.require(Permission::KeyCreate)?;
    let given =
        KeyForm { scopes: vec![Permission::MessageSend, Permission::MessageView], ..KeyForm::default() };
    Ok(visitor.page(new_form(&visitor, &given, &Refused::NONE)))
}

async fn create(visitor: Visitor, Form(pairs): Form<Vec<(String, String)>>) -> Result<Response, PageProblem> {
    let given = KeyForm::from(pairs);
    let created = match given.read() {
        Ok(new) => super::create(&visitor.scope, new).await,
        Err(error) => Err(error),
    };
    let created = match created {
        Ok(created) => created,
        Err(error) => return Ok(visitor.page_again(new_form(&visitor, &given, &Refused::by(error)?))),
    };
    Ok(secret_shown(&visitor, "API key created", &created, "/api-keys"))
}

fn secret_shown(visitor: &Visitor, title: &str, created: &CreatedKey, back: &str) -> Response {
    let words = Words::for_lang(&visitor.person.language);
    let base = visitor.scope.runtime().config.public_url();
    let secret = created.secret.as_deref().unwrap_or_default();
    let example = format!("curl {base}/api/v1/me -H 'Authorization: Bearer {secret}'");
    let body = html! {
        (code::secret_once(words, "secret", &created.key.name, secret))
        @if let Some(former) = &created.key.former {
            p { "The former secret, " code dir="ltr" { (former.shown) "…" } ", is let in until " (moment(Some(former.until), "")) "." }
        }
        (code::block(words, "example", "Try it", &example))
        (form::actions(&html! { (form::link("Done", back).weight(form::Weight::Primary)) }))
    };
    secret_page(visitor, Content::new(title, body))
}

fn permissions_card(key: &Key) -> Markup {
    let title = |name: &str| match Permission::named(name) {
        Some(known) => known.title().to_owned(),
        None if name == super::EVERYTHING => "Whatever its owner may do".to_owned(),
        None => name.to_owned(),
    };
    card::card(
        "Permissions",
        &html! {},
        &html! { ul { @for scope in &key.scopes { li { (title(scope)) " " code { (scope) } } } } },
    )
}

fn facts(key: &Key, now: Timestamp) -> Markup {
    let rate = match (key.rate_per_second, key.rate_burst) {
        (Some(per_second), burst) => {
            format!("{per_second} a second, {} at once", burst.unwrap_or(per_second))
        }
        (None, _) => "the installation's".to_owned(),
    };
    card::panel(&card::facts(&[
        ("State", html! { (state(key, now)) " " (kind(key)) }),
        ("Begins with", html! { code dir="ltr" { (key.shown) "…" } }),
        ("Created", html! { (moment(Some(key.created_at), "")) " by " code { (key.created_by) } }),
        ("Expires", moment(key.expires_at, "never")),
        ("Revoked", moment(key.revoked_at, "no")),
        (
            "Networks",
            html! {
                @if key.networks.is_empty() { "everywhere" }
                @for network in &key.networks { code dir="ltr" { (network) } " " }
            },
        ),
        ("Rate", html! { (rate) }),
        (
            "Last used",
            html! {
                (moment(key.last_used_at, "never"))
                @if let Some(from) = &key.last_used_from { " from " code dir="ltr" { (from) } }
                @if let Some(agent) = &key.last_used_agent { " by " (agent) }
            },
        ),
    ]))
}

/// Both secrets, and the form that makes another.
fn secrets_card(key: &Key, refused: &Refused) -> Markup {
    let overlaps = [
        Choice::new("86400", "one day more"),
        Choice::new("604800", "seven days more"),
        Choice::new("2592000", "thirty days more"),
        Choice::new("0", "no longer: it leaked"),
    ];
    let end = format!("/api-keys/{}/end-former", key.id);
    let rotate = format!("/api-keys/{}/rotate", key.id);
    card::card(
        "Secrets",
        &html! {},
        &html! {
            @if let Some(former) = &key.former {
                (card::facts(&[
                    ("Present", html! { code dir="ltr" { (key.shown) "…" } " since " (moment(key.rotated_at, "")) }),
                    ("Former", html! { code dir="ltr" { (former.shown) "…" } " until " (moment(Some(former.until), "")) }),
                    ("Former last used", moment(former.last_used_at, "never")),
                ]))
                (form::post(&end, "", &html! { (form::submit("End the former secret now").weight(form::Weight::Quiet).small()) }))
            }
            (form::post(&rotate, "", &html! {
                (field::select("overlap_s", "The present secret is let in for", &overlaps).hint("The new one is let in at once; a former one from before ends").error(refused.at("overlap_s")))
                (form::actions(&html! { (form::submit("New secret").icon(Icon::Refresh)) }))
            }))
        },
    )
}

fn shown(visitor: &Visitor, key: &Key, given: Option<&KeyForm>, refused: &Refused) -> Content<'static> {
    let words = Words::for_lang(&visitor.person.language);
    let now = visitor.scope.now();
    let text = |number: Option<u32>| number.map(|number| number.to_string()).unwrap_or_default();
    let present = KeyForm {
        name: key.name.clone(),
        networks: key.networks.join("\n"),
        rate_per_second: text(key.rate_per_second),
        rate_burst: text(key.rate_burst),
        ..KeyForm::default()
    };
    let given = given.unwrap_or(&present);
    let in_use = key.revoked_at.is_none() && key.expires_at.is_none_or(|at| at > now);
    let may_change = in_use && visitor.scope.permissions().contains(Permission::KeyChange);
    let body = html! {
        (refused.summary(words, FIELDS))
        (facts(key, now))
        @if may_change {
            (secrets_card(key, refused))
            (card::card("Settings", &html! {}, &form::post(&format!("/api-keys/{}", key.id), "", &html! {
                (field::text("name", "Name").value(&given.name).max_chars(100).error(refused.at("name")).required())
                (given.guards(refused))
                (form::actions(&html! { (form::submit("Save")) }))
            })))
        }
        (permissions_card(key))
    };
    let action = format!("/api-keys/{}/revoke", key.id);
    let ask = Confirm {
        id: "revoke",
        button: "Revoke…",
        title: "Revoke this API key?",
        text: "The next request with it is refused. This cannot be undone.",
        confirm: "Revoke API key",
        action: &action,
        csrf: "",
        danger: true,
    };
    let may_revoke = key.revoked_at.is_none() && visitor.scope.permissions().contains(Permission::KeyRevoke);
    let actions = html! { @if may_revoke { (dialog::confirm(words, &ask)) } };
    let breadcrumbs = browse::breadcrumbs(words, &[("API keys", "/api-keys")], &key.name);
    Content { actions, breadcrumbs, ..Content::new("API key", body) }
}

async fn show(visitor: Visitor, Path(id): Path<String>) -> Result<Response, PageProblem> {
    let key = super::get(&visitor.scope, id.parse()?).await?;
    Ok(visitor.page(Content { title: &key.name, ..shown(&visitor, &key, None, &Refused::NONE) }))
}

async fn update(
    visitor: Visitor,
    Path(id): Path<String>,
    Form(pairs): Form<Vec<(String, String)>>,
) -> Result<Response, PageProblem> {
    let (id, given) = (id.parse()?, KeyForm::from(pairs));
    let saved = match given.patch() {
        Ok(wanted) => super::update(&visitor.scope, id, wanted).await,
        Err(error) => Err(error),
    };
    match saved {
        Ok(key) => {
            Ok(console::done(&format!("/api-keys/{id}"), &format!("The key {} is changed.", key.name)))
        }
        Err(error) => {
            let refused = Refused::by(error)?;
            let key = super::get(&visitor.scope, id).await?;
            Ok(visitor.page_again(shown(&visitor, &key, Some(&given), &refused)))
        }
    }
}

#[derive(Debug, Deserialize)]
struct RotateForm {
    overlap_s: Option<u64>,
}

async fn rotate(
    visitor: Visitor,
    Path(id): Path<String>,
    Form(given): Form<RotateForm>,
) -> Result<Response, PageProblem> {
    let rotation = Rotation { overlap_s: given.overlap_s };
    let created = super::rotate(&visitor.scope, id.parse()?, &rotation).await?;
    let back = format!("/api-keys/{}", created.key.id);
    Ok(secret_shown(&visitor, "New secret", &created, &back))
}

async fn end_former(visitor: Visitor, Path(id): Path<String>) -> Result<Response, PageProblem> {
    let key = super::end_former(&visitor.scope, id.parse()?).await?;
    Ok(console::done(&format!("/api-keys/{}", key.id), "The former secret has ended."))
}

async fn revoke(visitor: Visitor, Path(id): Path<String>) -> Result<Response, PageProblem> {
    let key = super::revoke(&visitor.scope, id.parse()?).await?;
    Ok(console::done("/api-keys", &format!("The key {} is revoked.", key.name)))
}

/// The routes.
pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/api-keys", get(list).post(create))
        .route("/api-keys/new", get(show_new))
        .route("/api-keys/{id}", get(show).post(update))
        .route("/api-keys/{id}/rotate", post(rotate))
        .route("/api-keys/{id}/end-former", post(end_former))
        .route("/api-keys/{id}/revoke", post(revoke))
}
