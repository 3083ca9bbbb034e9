//! Applications in the console.

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

use super::{Client, ClientPatch, CreatedClient, Kind, NewClient};
use crate::key::Rotation;
use crate::key::pages::{listed, scope_fields};
use crate::user::pages::secret_page;

/// What a form for an application says; several permissions come under one name.
#[derive(Debug, Default)]
struct ClientForm {
    name: String,
    kind: String,
    redirect_uris: String,
    networks: String,
    scopes: Vec<Permission>,
}

impl From<Vec<(String, String)>> for ClientForm {
    fn from(pairs: Vec<(String, String)>) -> Self {
        let mut given = Self::default();
        for (field, value) in pairs {
            match field.as_str() {
                "name" => given.name = value,
                "kind" => given.kind = value,
                "redirect_uris" => given.redirect_uris = value,
                "networks" => given.networks = value,
                "scopes" => given.scopes.extend(Permission::named(&value)),
                _ => {}
            }
        }
        given
    }
}

const FIELDS: &[&str] = &["name", "kind", "redirect_uris", "networks", "scopes"];

impl ClientForm {
    fn of(client: &Client) -> Self {
        Self {
            name: client.name.clone(),
            kind: client.kind.as_str().to_owned(),
            redirect_uris: client.redirect_uris.join("\n"),
            networks: client.networks.join("\n"),
            scopes: client.scopes.iter().filter_map(|name| Permission::named(name)).collect(),
        }
    }

    fn fields(&self, visitor: &Visitor, refused: &Refused) -> Markup {
        html! {
            (field::text("name", "Name").hint("People read it when they are asked to let the application in").value(&self.name).max_chars(100).error(refused.at("name")).required())
            (field::textarea("redirect_uris", "Addresses that people are led back to").rows(3).mono().hint("One a line, such as https://app.example/back or com.example.app:/back; none for a program that acts in its own name").value(&self.redirect_uris).error(refused.at("redirect_uris")))
            (field::textarea("networks", "Networks").rows(3).mono().hint("One a line, such as 192.0.2.0/24 or 2001:db8::/32; from everywhere when left empty").value(&self.networks).error(refused.at("networks")))
            h2 id="f-scopes" { "Permissions" }
            @if let Some(error) = refused.at("scopes") { (feedback::notice(Tone::Bad, error, &html! {})) }
            (scope_fields(visitor, &self.scopes))
        }
    }
}

fn when(at: Option<Timestamp>, otherwise: &str) -> Markup {
    at.map_or_else(|| html! { (otherwise) }, |at| relative_time(&at.to_string(), &at.to_minute()))
}

async fn list(visitor: Visitor, Query(paging): Query<Paging>) -> Result<Response, PageProblem> {
    let page = super::list(&visitor.scope, &paging).await?;
    let words = Words::for_lang(&visitor.person.language);
    let may_create = visitor.scope.permissions().contains(Permission::ClientCreate);
    let create = html! {
        @if may_create { (form::link("New application", "/oauth-clients/new").icon(Icon::Plus).weight(form::Weight::Primary)) }
    };
    let rows = page.items.iter().map(|client| {
        row(vec![
            html! { (client.name) },
            html! { code dir="ltr" { (client.id) } },
            badge::badge(Tone::Neutral, client.kind.as_str()),
            html! { (client.scopes.len()) },
            when(Some(client.created_at), ""),
            when(client.last_used_at, "never"),
        ])
        .link(format!("/oauth-clients/{}", client.id))
    });
    let columns = vec![
        column("Name"),
        column("Client id"),
        column("Kind"),
        column("Permissions").number(),
        column("Created").detail(),
        column("Last used"),
    ];
    let text = "An application asks for short-lived tokens, in its own name or for people who let it in.";
    let empty = feedback::empty(Icon::Plug, "No applications yet", text, &create);
    let older = page.next.as_ref().map(|next| format!("/oauth-clients?after={next}"));
    let body = html! {
        (table("Applications", columns, rows.collect()).empty(empty))
        (browse::pager(words, None, older.as_deref(), ""))
    };
    Ok(visitor.page(Content { actions: create.clone(), ..Content::new("Applications", body) }))
}

fn new_form(visitor: &Visitor, given: &ClientForm, refused: &Refused) -> Content<'static> {
    let words = Words::for_lang(&visitor.person.language);
    let kinds = [
        Choice::new("confidential", "Confidential: a server's program, which keeps a secret"),
        Choice::new("public", "Public: a program on people's own machines, which cannot"),
    ];
    let kind = if given.kind.is_empty() { "confidential" } else { &given.kind };
    let fields = html! {
        (field::radios("kind", "Kind", &kinds).value(kind).error(refused.at("kind")))
        (given.fields(visitor, refused))
        (form::actions(&html! { (form::submit("Register application")) (form::link("Cancel", "/oauth-clients")) }))
    };
    let body = html! {
        (refused.summary(words, FIELDS))
        (form::post("/oauth-clients", "", &fields))
    };
    let breadcrumbs = browse::breadcrumbs(words, &[("Applications", "/oauth-clients")], "New application");
    Content { breadcrumbs, ..Content::new("New application", body) }
}

async fn show_new(visitor: Visitor) -> Result<Response, PageProblem> {
    visitor.scope.require(Permission::ClientCreate)?;
    Ok(visitor.page(new_form(&visitor, &ClientForm::default(), &Refused::NONE)))
}

async fn create(visitor: Visitor, Form(pairs): Form<Vec<(String, String)>>) -> Result<Response, PageProblem> {
    let given = ClientForm::from(pairs);
    let new = NewClient {
        name: given.name.clone(),
        kind: if given.kind == Kind::Public.as_str() { Kind::Public } else { Kind::Confidential },
        scopes: given.scopes.clone(),
        redirect_uris: listed(&given.redirect_uris),
        networks: listed(&given.networks),
    };
    match super::create(&visitor.scope, new).await {
        Ok(CreatedClient { client, secret: None }) => {
            let to = format!("/oauth-clients/{}", client.id);
            Ok(console::done(&to, &format!("The application {} is registered.", client.name)))
        }
        Ok(created) => Ok(secret_shown(&visitor, "Application registered", &created)),
        Err(error) => Ok(visitor.page_again(new_form(&visitor, &given, &Refused::by(error)?))),
    }
}

fn secret_shown(visitor: &Visitor, title: &str, created: &CreatedClient) -> Response {
    let words = Words::for_lang(&visitor.person.language);
    let base = visitor.scope.runtime().config.public_url();
    let (id, secret) = (&created.client.id, created.secret.as_deref().unwrap_or_default());
    let example = format!("curl {base}/oauth/token -u '{id}:{secret}' -d grant_type=client_credentials");
    let body = html! {
        (card::panel(&card::facts(&[("Client id", html! { code dir="ltr" { (id) } })])))
        (code::secret_once(words, "secret", &created.client.name, secret))
        @if let Some(former) = &created.client.former {
            p { "The former secret, " code dir="ltr" { (former.shown) "…" } ", is let in until " (when(Some(former.until), "")) "." }
        }
        (code::block(words, "example", "Try it", &example))
        (form::actions(&html! { (form::link("Done", &format!("/oauth-clients/{id}")).weight(form::Weight::Primary)) }))
    };
    secret_page(visitor, Content::new(title, body))
}

fn facts(client: &Client) -> Markup {
    card::panel(&card::facts(&[
        ("Client id", html! { code dir="ltr" { (client.id) } }),
        ("Kind", badge::badge(Tone::Neutral, client.kind.as_str())),
        (
            "Secret",
            html! { @if let Some(shown) = &client.shown { code dir="ltr" { (shown) "…" } } @else { "none" } },
        ),
        (
            "Former secret",
            html! {
                @if let Some(former) = &client.former {
                    code dir="ltr" { (former.shown) "…" } " until " (when(Some(former.until), "")) ", last used " (when(former.last_used_at, "never"))
                } @else { "none" }
            },
        ),
        ("Registered", html! { (when(Some(client.created_at), "")) " by " code { (client.created_by) } }),
        (
            "Last used",
            html! {
                (when(client.last_used_at, "never"))
                @if let Some(from) = &client.last_used_from { " from " code dir="ltr" { (from) } }
                @if let Some(agent) = &client.last_used_agent { " by " (agent) }
            },
        ),
    ]))
}

fn shown(visitor: &Visitor, client: &Client, given: &ClientForm, refused: &Refused) -> Content<'static> {
    let words = Words::for_lang(&visitor.person.language);
    let may_change = visitor.scope.permissions().contains(Permission::ClientChange);
    let path = format!("/oauth-clients/{}", client.id);
    let overlaps = [
        Choice::new("86400", "one day more"),
        Choice::new("604800", "seven days more"),
        Choice::new("2592000", "thirty days more"),
        Choice::new("0", "no longer: it leaked"),
    ];
    let body = html! {
        (refused.summary(words, FIELDS))
        (facts(client))
        @if may_change && client.kind == Kind::Confidential {
            (card::card("New secret", &html! {}, &form::post(&format!("{path}/rotate"), "", &html! {
                (field::select("overlap_s", "The present secret is let in for", &overlaps).hint("The new one is let in at once; a former one from before ends"))
                (form::actions(&html! { (form::submit("New secret").icon(Icon::Refresh)) }))
            })))
        }
        @if may_change {
            (card::card("Settings", &html! {}, &form::post(&path, "", &html! {
                (given.fields(visitor, refused))
                (form::actions(&html! { (form::submit("Save")) }))
            })))
        } @else {
            (card::card("Permissions", &html! {}, &html! { ul { @for scope in &client.scopes { li { code { (scope) } } } } }))
        }
    };
    let action = format!("{path}/delete");
    let ask = Confirm {
        id: "delete",
        button: "Remove…",
        title: "Remove this application?",
        text: "Its tokens are refused from the next request on, and what people let it do ends. This cannot be undone.",
        confirm: "Remove application",
        action: &action,
        csrf: "",
        danger: true,
    };
    let may_delete = visitor.scope.permissions().contains(Permission::ClientDelete);
    let actions = html! { @if may_delete { (dialog::confirm(words, &ask)) } };
    let breadcrumbs = browse::breadcrumbs(words, &[("Applications", "/oauth-clients")], &client.name);
    Content { actions, breadcrumbs, ..Content::new("Application", body) }
}

async fn show(visitor: Visitor, Path(id): Path<String>) -> Result<Response, PageProblem> {
    let client = super::get(&visitor.scope, id.parse()?).await?;
    let content = shown(&visitor, &client, &ClientForm::of(&client), &Refused::NONE);
    Ok(visitor.page(Content { title: &client.name, ..content }))
}

async fn update(
    visitor: Visitor,
    Path(id): Path<String>,
    Form(pairs): Form<Vec<(String, String)>>,
) -> Result<Response, PageProblem> {
    let (id, given) = (id.parse()?, ClientForm::from(pairs));
    let wanted = ClientPatch {
        name: Some(given.name.clone()),
        scopes: Some(given.scopes.clone()),
        redirect_uris: Some(listed(&given.redirect_uris)),
        networks: Some(listed(&given.networks)),
    };
    match super::update(&visitor.scope, id, wanted).await {
        Ok(client) => {
            let sentence = format!("The application {} is changed.", client.name);
            Ok(console::done(&format!("/oauth-clients/{id}"), &sentence))
        }
        Err(error) => {
            let refused = Refused::by(error)?;
            let client = super::get(&visitor.scope, id).await?;
            Ok(visitor.page_again(shown(&visitor, &client, &given, &refused)))
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
    Ok(secret_shown(&visitor, "New secret", &created))
}

async fn delete(visitor: Visitor, Path(id): Path<String>) -> Result<Response, PageProblem> {
    super::delete(&visitor.scope, id.parse()?).await?;
    Ok(console::done("/oauth-clients", "The application is removed."))
}

/// The routes.
pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/oauth-clients", get(list).post(create))
        .route("/oauth-clients/new", get(show_new))
        .route("/oauth-clients/{id}", get(show).post(update))
        .route("/oauth-clients/{id}/rotate", post(rotate))
        .route("/oauth-clients/{id}/delete", post(delete))
}
