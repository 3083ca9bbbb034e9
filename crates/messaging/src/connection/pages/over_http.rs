//! Connections over HTTP in the console: the dialect is chosen, its description can be changed, and a request can be looked at
//! before anything is sent.

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{get, post};
use connectors::http::{Description, dialects};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Map, Value};
use types::{ConnectionId, Error, Permission, Result};
use web::console::{Content, done};
use web::ui::icon::Icon;
use web::ui::tone::Tone;
use web::ui::{browse, card, code, feedback, field, form};
use web::{Form, PageProblem, Query, Visitor};

use super::form_sections::HTTP_SECTIONS;
use crate::api::{Gateway, follow};
use crate::connection::hook::{self, HookAddresses};
use crate::connection::preview::{self, Previewed, Sample};
use crate::connection::{
    Connection, ConnectionPatch, ConnectionSettings, LongMessages, NewConnection, Protocol,
};
use crate::pages::{Fields, Shown, again, may, patch, post_button, words};
use crate::settings::{self, Patch};

/// Fields of the form that hold a part of the description as JSON.
const PARTS: [&str; 8] =
    ["parameters", "auth", "request", "answers", "signature", "receipts", "inbound", "reply"];

/// Which dialect a new connection begins with.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Begin {
    dialect: Option<String>,
}

/// What stands beside the list's other button.
pub(super) fn add_button(visitor: &Visitor) -> Markup {
    html! {
        @if may(visitor, Permission::ConnectionCreate) { (form::link("Add HTTP connection", "/connections/http/new").icon(Icon::Plus)) }
    }
}

/// The settings as the form shows them: a part of the description is its JSON.
fn shown(settings: &ConnectionSettings) -> Result<Patch> {
    let mut members = settings::members(settings)?;
    let described = settings::members(settings.http.as_deref().unwrap_or(&Description::default()))?;
    for (name, value) in described {
        let value = if PARTS.contains(&name.as_str()) {
            Value::from(serde_json::to_string_pretty(&value).map_err(Error::internal)?)
        } else {
            value
        };
        members.insert(name, value);
    }
    Ok(members)
}

/// The settings that the form asks for.
fn asked(fields: &Fields) -> Result<Patch> {
    let mut members = patch(HTTP_SECTIONS, fields)?;
    let mut described = Map::new();
    for name in PARTS {
        let text = members.remove(name).and_then(|text| text.as_str().map(str::to_owned)).unwrap_or_default();
        if !text.is_empty() {
            let value: Value = serde_json::from_str(&text)
                .map_err(|error| Error::invalid(name, format!("it cannot be read as JSON: {error}")))?;
            described.insert(name.to_owned(), value);
        }
    }
    described.insert("url".to_owned(), members.remove("url").unwrap_or_default());
    let dialect = fields.get("dialect").unwrap_or_default();
    if !dialect.is_empty() {
        described.insert("dialect".to_owned(), dialect.into());
    }
    members.insert("protocol".to_owned(), "http".into());
    members.insert("http".to_owned(), Value::Object(described));
    Ok(members)
}

/// The refusal at the field that holds its place.
fn at_field(refused: Error) -> Error {
    let within = refused.place().and_then(|place| place.strip_prefix("settings.http."));
    match within.map(|within| within.split(['.', '[']).next().unwrap_or_default().to_owned()) {
        Some(field) => refused.at(field),
        None => refused,
    }
}

fn page<'a>(visitor: &Visitor, title: &'a str, action: &str, back: &str, shown: &Shown<'_>) -> Content<'a> {
    let new = action.ends_with("/new");
    let kept = if new { "" } else { "Left empty, the present one stays." };
    let (name, dialect) = (shown.value("name"), shown.value("dialect"));
    let body = form::post(
        action,
        "",
        &html! {
            (shown.summary(visitor))
            input type="hidden" name="revision" value=(shown.value("revision"));
            input type="hidden" name="dialect" value=(dialect);
            (form::section("Name", None, &html! {
                (field::text("name", "Name").value(&name).required().max_chars(100).error(shown.error("name")).hint("What people call this provider."))
                (field::secret("password", "Password, key or token").hint(kept).error(shown.error("password")))
                (field::secret("hook_secret", "Secret of the hooks").error(shown.error("hook_secret"))
                    .hint("What proves who posts receipts; the password above when left empty."))
            }))
            (shown.sections(HTTP_SECTIONS))
            (form::actions(&html! {
                (form::submit(if new { "Add connection" } else { "Save connection" }))
                (form::link("Cancel", back))
            }))
        },
    );
    let breadcrumbs = browse::breadcrumbs(words(visitor), &[("Connections", "/connections")], title);
    Content { title, body, actions: html! {}, breadcrumbs }
}

const ADD: &str = "Add HTTP connection";

/// The choice of a dialect, or the form that begins with one.
async fn new(visitor: Visitor, Query(begin): Query<Begin>) -> Result<Response, PageProblem> {
    visitor.scope.require(Permission::ConnectionCreate)?;
    let described = match begin.dialect.as_deref() {
        Some("own") => Some(Description::default()),
        Some(name) => dialects::named(name),
        None => None,
    };
    let Some(described) = described else {
        let at = |name: &str| format!("/connections/http/new?dialect={name}");
        let body = html! {
            p class="hint" { "Who carries the messages? The description of a well-known provider is copied, and can be changed." }
            (card::grid(&html! {
                @for (name, label) in dialects::names() { (card::choice(&at(name), Icon::Plug, label, "A ready description.")) }
                (card::choice(&at("own"), Icon::Edit, "Another provider", "Write the description yourself."))
            }))
        };
        let breadcrumbs = browse::breadcrumbs(words(&visitor), &[("Connections", "/connections")], ADD);
        return Ok(visitor.page(Content { title: ADD, body, actions: html! {}, breadcrumbs }));
    };
    let splits = dialects::splits(&described.dialect);
    let defaults = ConnectionSettings {
        protocol: Protocol::Http,
        long_messages: if splits { LongMessages::Payload } else { LongMessages::Udh8 },
        http: Some(Box::new(described)),
        ..ConnectionSettings::defaults(&visitor.scope.runtime().config)
    };
    let shown = Shown::of(shown(&defaults)?);
    Ok(visitor.page(page(&visitor, ADD, "/connections/http/new", "/connections", &shown)))
}

async fn create(
    State(gateway): State<Gateway>,
    visitor: Visitor,
    Form(fields): Form<Vec<(String, String)>>,
) -> Result<Response, PageProblem> {
    let fields = Fields(fields);
    let made = async {
        let new = NewConnection {
            name: fields.owned("name").unwrap_or_default(),
            password: fields.owned("password"),
            hook_secret: fields.owned("hook_secret"),
            wanted: None,
            settings: asked(&fields)?,
        };
        crate::connection::create(&visitor.scope, new).await
    };
    match made.await {
        Ok(made) => {
            follow(gateway.engine.connection_changed(made.id)).await;
            let said = "Connection added. Give the provider the addresses of its hooks.";
            Ok(done(&format!("/connections/{}", made.id), said))
        }
        Err(refused) => {
            let refused = at_field(again(refused)?);
            let shown = Shown::again(&fields, &refused);
            Ok(visitor.page_again(page(&visitor, ADD, "/connections/http/new", "/connections", &shown)))
        }
    }
}

/// The form of a connection that is there.
pub(super) fn edit_page<'a>(visitor: &Visitor, connection: &Connection) -> Result<Content<'a>> {
    let mut members = shown(&connection.settings)?;
    members.insert("name".to_owned(), connection.name.clone().into());
    members.insert("revision".to_owned(), connection.revision.into());
    let back = format!("/connections/{}", connection.id);
    Ok(page(visitor, "Edit connection", &format!("{back}/http"), &back, &Shown::of(members)))
}

async fn change(
    State(gateway): State<Gateway>,
    visitor: Visitor,
    Path(id): Path<String>,
    Form(fields): Form<Vec<(String, String)>>,
) -> Result<Response, PageProblem> {
    let (id, fields): (ConnectionId, _) = (id.parse()?, Fields(fields));
    let back = format!("/connections/{id}");
    let changed = async {
        let wanted = ConnectionPatch {
            name: Some(fields.owned("name").unwrap_or_default()),
            password: fields.owned("password"),
            hook_secret: fields.owned("hook_secret"),
            settings: asked(&fields)?,
            revision: fields.revision(),
        };
        crate::connection::change(&visitor.scope, id, wanted).await
    };
    match changed.await {
        Ok(_) => {
            follow(gateway.engine.connection_changed(id)).await;
            Ok(done(&back, "Connection saved."))
        }
        Err(refused) => {
            let refused = at_field(again(refused)?);
            let shown = Shown::again(&fields, &refused);
            Ok(visitor.page_again(page(&visitor, "Edit connection", &format!("{back}/http"), &back, &shown)))
        }
    }
}

async fn renew(
    State(gateway): State<Gateway>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<Response, PageProblem> {
    let id: ConnectionId = id.parse()?;
    hook::renew(&visitor.scope, id).await?;
    follow(gateway.engine.connection_changed(id)).await;
    Ok(done(&format!("/connections/{id}"), "The hooks have new addresses. Give them to the provider."))
}

/// What a message would be asked with.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    to: Option<String>,
    from: Option<String>,
    text: Option<String>,
}

async fn try_it(
    visitor: Visitor,
    Path(id): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<Response, PageProblem> {
    let connection = crate::connection::get(&visitor.scope, id.parse()?).await?;
    let usual = Sample::default();
    let sample = Sample {
        to: asked.to.unwrap_or(usual.to),
        from: asked.from.unwrap_or(usual.from),
        text: asked.text.unwrap_or(usual.text),
        validity_s: None,
    };
    let previewed = preview::preview(&visitor.scope, connection.id, &sample).await;
    let (parts, refused) = match previewed {
        Ok(parts) => (parts, None),
        Err(refused) => (Vec::new(), Some(again(refused)?)),
    };
    let at = format!("/connections/{}", connection.id);
    let error =
        |field: &str| refused.as_ref().filter(|refused| refused.place() == Some(field)).map(Error::message);
    let body = html! {
        (form::get(&format!("{at}/preview"), &html! {
            (form::section("Message", Some("Nothing is sent. Secrets are hidden."), &html! {
                (field::tel("to", "To").value(&sample.to).error(error("to")))
                (field::text("from", "From").value(&sample.from).error(error("from")))
                (field::textarea("text", "Text").value(&sample.text).wide().error(error("text")))
            }))
            (form::actions(&html! { (form::submit("Show the request")) (form::link("Back", &at)) }))
        }))
        @if let Some(refused) = &refused { (feedback::notice(Tone::Warn, "It cannot be sent like this", &html! { (refused.message()) })) }
        (requests(&visitor, &parts))
    };
    let title = "Try a request";
    let above = [("Connections", "/connections"), (connection.name.as_str(), at.as_str())];
    let breadcrumbs = browse::breadcrumbs(words(&visitor), &above, title);
    Ok(visitor.page(Content { title, body, actions: html! {}, breadcrumbs }))
}

/// What would be written, part by part.
fn requests(visitor: &Visitor, parts: &[Previewed]) -> Markup {
    html! {
        @for part in parts {
            @let label = format!("Part {} of {}", part.part, parts.len());
            @let text = part.text.as_deref().unwrap_or(&part.hex);
            (card::panel(&code::block(words(visitor), &format!("part-{}", part.part), &label, text)))
        }
    }
}

/// The addresses to give to the provider, for those who may know them.
pub(super) async fn hooks_card(visitor: &Visitor, connection: &Connection) -> Result<Markup> {
    if connection.settings.protocol != Protocol::Http || !may(visitor, Permission::ConnectionHook) {
        return Ok(html! {});
    }
    let HookAddresses { receipts, inbound } = hook::addresses(&visitor.scope, connection.id).await?;
    let address = |id: &str, url: &str| code::value(words(visitor), id, url);
    let facts = card::facts(&[
        ("Receipts", address("hook-receipts", &receipts)),
        ("Messages from phones", address("hook-inbound", &inbound)),
    ]);
    let renew =
        post_button(&format!("/connections/{}/hooks/renew", connection.id), "Make new ones", Icon::Refresh);
    let body = html! {
        (facts)
        p class="hint" { "Give these addresses to the provider. Who knows them can post there, so they are secret." }
    };
    Ok(card::card("Hooks", &renew, &body))
}

/// What can be done about a connection over HTTP beside the rest.
pub(super) fn try_button(connection: &Connection) -> Markup {
    let at = format!("/connections/{}/preview", connection.id);
    html! { (form::link("Try a request", &at).icon(Icon::Search)) }
}

/// The facts of a connection over HTTP, section by section.
pub(super) fn facts(connection: &Connection) -> Result<Markup> {
    let shown = Shown::of(shown(&connection.settings)?);
    Ok(html! {
        @for section in HTTP_SECTIONS {
            @let facts: Vec<(&str, Markup)> = section.settings.iter().filter(|setting| !shown.value(setting.name).is_empty())
                .map(|setting| (setting.label, html! { code class="clip" { (shown.value(setting.name)) } })).collect();
            @if !facts.is_empty() && section.title != "Description" { (card::card(section.title, &html! {}, &card::facts(&facts))) }
        }
    })
}

/// The routes.
pub(super) fn router() -> Router<Gateway> {
    Router::new()
        .route("/connections/http/new", get(new).post(create))
        .route("/connections/{id}/http", post(change))
        .route("/connections/{id}/hooks/renew", post(renew))
        .route("/connections/{id}/preview", get(try_it))
}
