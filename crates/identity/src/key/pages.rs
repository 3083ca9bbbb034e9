//! API keys in the console.

use axum::Router;
use axum::extract::Path;
use axum::response::Response;
use axum::routing::{get, post};
use maud::{Markup, html};
use types::{Permission, Timestamp};
use web::console::Content;
use web::ui::dialog::{self, Confirm};
use web::ui::icon::Icon;
use web::ui::table::{column, row, table};
use web::ui::timeline::relative_time;
use web::ui::tone::Tone;
use web::ui::words::Words;
use web::ui::{badge, browse, card, code, feedback, field, form};
use web::{App, Form, PageProblem, Paging, Query, Refused, Visitor, console};

use super::{Key, NewKey};
use crate::user::pages::secret_page;

/// What a form for a new key says; several permissions come under one name.
#[derive(Debug, Default)]
struct KeyForm {
    name: String,
    expires: String,
    scopes: Vec<Permission>,
}

impl From<Vec<(String, String)>> for KeyForm {
    fn from(pairs: Vec<(String, String)>) -> Self {
        let mut given = Self::default();
        for (field, value) in pairs {
            match field.as_str() {
                "name" => given.name = value,
                "expires_at" => given.expires = value,
                "scopes" => given.scopes.extend(Permission::named(&value)),
                _ => {}
            }
        }
        given
    }
}

impl KeyForm {
    fn read(&self) -> types::Result<NewKey> {
        let day = |day: &str| {
            Timestamp::parse(&format!("{day}T00:00:00Z"))
                .map_err(|_| types::Error::invalid("expires_at", "give a date such as 2027-12-31"))
        };
        let expires_at = Some(self.expires.as_str()).filter(|text| !text.is_empty()).map(day).transpose()?;
        Ok(NewKey { name: self.name.clone(), scopes: self.scopes.clone(), expires_at })
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
fn scope_fields(visitor: &Visitor, given: &[Permission]) -> Markup {
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

fn new_form(visitor: &Visitor, given: &KeyForm, refused: &Refused) -> Content<'static> {
    let words = Words::for_lang(&visitor.person.language);
    let fields = html! {
        (field::text("name", "Name").hint("Which program uses it, such as Billing").value(&given.name).max_chars(100).error(refused.at("name")).required().autofocus())
        (field::date("expires_at", "Expires").hint("At the beginning of that day in UTC; never when left empty").value(&given.expires).error(refused.at("expires_at")))
        h2 id="f-scopes" { "Permissions" }
        @if let Some(error) = refused.at("scopes") { (feedback::notice(Tone::Bad, error, &html! {})) }
        (scope_fields(visitor, &given.scopes))
        (form::actions(&html! { (form::submit("Create API key")) (form::link("Cancel", "/api-keys")) }))
    };
    let body = html! {
        (refused.summary(words, &["name", "expires_at", "scopes"]))
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
    let words = Words::for_lang(&visitor.person.language);
    let base = visitor.scope.runtime().config.public_url();
    let secret = created.secret.unwrap_or_default();
    let example = format!("curl {base}/api/v1/me -H 'Authorization: Bearer {secret}'");
    let body = html! {
        (code::secret_once(words, "secret", &created.key.name, &secret))
        (code::block(words, "example", "Try it", &example))
        (form::actions(&html! { (form::link("Done", "/api-keys").weight(form::Weight::Primary)) }))
    };
    Ok(secret_page(&visitor, Content::new("API key created", body)))
}

async fn show(visitor: Visitor, Path(id): Path<String>) -> Result<Response, PageProblem> {
    let key = super::get(&visitor.scope, id.parse()?).await?;
    let words = Words::for_lang(&visitor.person.language);
    let title = |name: &str| match Permission::named(name) {
        Some(known) => known.title().to_owned(),
        None if name == super::EVERYTHING => "Whatever its owner may do".to_owned(),
        None => name.to_owned(),
    };
    let body = html! {
        (card::panel(&card::facts(&[
            ("State", state(&key, visitor.scope.now())),
            ("Begins with", html! { code dir="ltr" { (key.shown) "…" } }),
            ("Created", html! { (moment(Some(key.created_at), "")) " by " code { (key.created_by) } }),
            ("Expires", moment(key.expires_at, "never")),
            ("Revoked", moment(key.revoked_at, "no")),
            ("Last used", moment(key.last_used_at, "never")),
        ])))
        (card::card("Permissions", &html! {}, &html! {
            ul { @for scope in &key.scopes { li { (title(scope)) " " code { (scope) } } } }
        }))
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
    Ok(visitor.page(Content { actions, breadcrumbs, ..Content::new(&key.name, body) }))
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
        .route("/api-keys/{id}", get(show))
        .route("/api-keys/{id}/revoke", post(revoke))
}
