//! Services that people sign in with, in the console.

use axum::Router;
use axum::extract::Path;
use axum::response::Response;
use axum::routing::{get, post};
use maud::{Markup, html};
use serde::Deserialize;
use types::{Error, Permission};
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

use super::subject::{self, NewSubject, UntiedSubject};
use super::{GroupRole, NewProvider, Provider, ProviderPatch, ProviderSettings};
use crate::key::pages::listed;
use crate::role::custom::{self, Offered};

/// What the form says.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ProviderForm {
    name: String,
    issuer: String,
    client_id: String,
    client_secret: String,
    active: Option<String>,
    scopes: String,
    groups_claim: String,
    group_roles: String,
    default_role: String,
    create_users: Option<String>,
    link_by_email: Option<String>,
    domains: String,
    second_step_by: String,
    token_scopes: String,
    revision: Option<i64>,
}

const FIELDS: &[(&str, &str)] = &[
    ("name", "name"),
    ("issuer", "issuer"),
    ("client_id", "client_id"),
    ("client_secret", "client_secret"),
    ("settings.scopes", "scopes"),
    ("settings.groups_claim", "groups_claim"),
    ("settings.group_roles", "group_roles"),
    ("settings.default_role", "default_role"),
    ("settings.domains", "domains"),
    ("settings.link_by_email", "link_by_email"),
    ("settings.second_step_by", "second_step_by"),
    ("settings.token_scopes", "token_scopes"),
];

/// A refusal at the field of the form that it concerns.
fn at_field(error: Error) -> Error {
    let place = error.place().and_then(|place| FIELDS.iter().find(|(known, _)| *known == place));
    match place {
        Some((_, field)) => error.at(*field),
        None => error,
    }
}

impl ProviderForm {
    fn of(provider: &Provider) -> Self {
        let settings = &provider.settings;
        let marked = |set: bool| set.then(|| "on".to_owned());
        let line = |one: &GroupRole| format!("{} = {}", one.group, one.role);
        Self {
            name: provider.name.clone(),
            issuer: provider.issuer.clone(),
            client_id: provider.client_id.clone(),
            client_secret: String::new(),
            active: marked(provider.active),
            scopes: settings.scopes.join(" "),
            groups_claim: settings.groups_claim.clone(),
            group_roles: settings.group_roles.iter().map(line).collect::<Vec<_>>().join("\n"),
            default_role: settings.default_role.clone().unwrap_or_default(),
            create_users: marked(settings.create_users),
            link_by_email: marked(settings.link_by_email),
            domains: settings.domains.join("\n"),
            second_step_by: settings.second_step_by.join(" "),
            token_scopes: settings.token_scopes.iter().map(|one| one.as_str()).collect::<Vec<_>>().join(" "),
            revision: Some(provider.revision),
        }
    }

    fn settings(&self) -> types::Result<ProviderSettings> {
        let usual = ProviderSettings::default();
        let or = |given: &str, usual: String| if given.is_empty() { usual } else { given.to_owned() };
        let lines = self.group_roles.lines().map(str::trim).filter(|line| !line.is_empty());
        let mapped = lines.map(|line| match line.rsplit_once('=') {
            Some((group, role)) => {
                Ok(GroupRole { group: group.trim().to_owned(), role: role.trim().to_owned() })
            }
            None => Err(Error::invalid("group_roles", format!("{line:?} is not a group = a role"))),
        });
        Ok(ProviderSettings {
            scopes: if self.scopes.is_empty() { usual.scopes } else { listed(&self.scopes) },
            groups_claim: or(&self.groups_claim, usual.groups_claim),
            group_roles: mapped.collect::<types::Result<_>>()?,
            default_role: Some(self.default_role.clone()).filter(|role| !role.is_empty()),
            create_users: self.create_users.is_some(),
            link_by_email: self.link_by_email.is_some(),
            domains: listed(&self.domains),
            second_step_by: listed(&self.second_step_by),
            token_scopes: permissions(&self.token_scopes)?,
        })
    }

    fn fields(&self, is_new: bool, offered: &[Offered], refused: &Refused) -> Markup {
        let mut roles = vec![Choice::new("", "None: whoever has no mapped group is not let in")];
        roles.extend(offered.iter().map(|role| Choice::new(&role.name, &role.title)));
        let names: Vec<_> = offered.iter().map(|role| role.name.as_str()).collect();
        let hint =
            format!("One a line: group = role; the first that fits counts. Roles: {}", names.join(", "));
        let secret =
            if is_new { "None for a client without one" } else { "The present one stays when left empty" };
        html! {
            (form::section("The service", None, &html! {
                (field::text("name", "Name").hint("People read it when they sign in").value(&self.name).max_chars(100).error(refused.at("name")).required())
                (field::url("issuer", "Issuer").hint("Its address, such as https://login.example/realms/company").value(&self.issuer).error(refused.at("issuer")).required())
                (field::text("client_id", "Client id").value(&self.client_id).error(refused.at("client_id")).required())
                (field::secret("client_secret", "Client secret").autocomplete("off").hint(secret).error(refused.at("client_secret")))
                (field::text("scopes", "Scopes").value(&self.scopes).hint("openid email profile when left empty").error(refused.at("scopes")))
                (field::checkbox("active", "People can sign in with it").value("on").checked(self.active.is_some()))
            }))
            (form::section("Roles", None, &html! {
                (field::text("groups_claim", "Claim with the groups").value(&self.groups_claim).hint("groups when left empty; realm_access.roles for roles of a Keycloak realm").error(refused.at("groups_claim")))
                (field::textarea("group_roles", "Groups and roles").rows(4).mono().value(&self.group_roles).hint(&hint).error(refused.at("group_roles")))
                (field::select("default_role", "Role of everybody else", &roles).value(&self.default_role).error(refused.at("default_role")))
            }))
            (form::section("Users", None, &html! {
                (field::checkbox("create_users", "People who are not known yet become users").value("on").checked(self.create_users.is_some()))
                (field::checkbox("link_by_email", "Users are tied to it by their verified e-mail address").value("on").checked(self.link_by_email.is_some()).error(refused.at("link_by_email")))
                (field::textarea("domains", "Domains").rows(3).mono().value(&self.domains).hint("Addresses of these domains lead here from the sign-in page, and only their people become users").error(refused.at("domains")))
                (field::text("second_step_by", "Second step at the service").mono().value(&self.second_step_by).hint("Values of amr or acr, such as mfa, by which it says that it asked for one itself; whoever comes without is asked here as the sign-in rules say").error(refused.at("second_step_by")))
            }))
            (form::section("Access tokens", None, &html! {
                (field::textarea("token_scopes", "What its access tokens may do").rows(3).mono().value(&self.token_scopes).hint("Permissions such as message.send: bearers of its tokens may do these, and never more than the user whom the token names. None are taken when left empty").error(refused.at("token_scopes")))
            }))
        }
    }
}

/// Permissions by their names, as they were typed.
fn permissions(text: &str) -> types::Result<Vec<Permission>> {
    let named = |name: &String| {
        Permission::named(name)
            .ok_or_else(|| Error::invalid("token_scopes", format!("{name:?} is no permission")))
    };
    listed(text).iter().map(named).collect()
}

fn names() -> Vec<&'static str> {
    FIELDS.iter().map(|(_, field)| *field).collect()
}

fn state(provider: &Provider) -> Markup {
    match provider.active {
        true => badge::badge_icon(Tone::Good, Icon::Check, "active"),
        false => badge::badge_icon(Tone::Neutral, Icon::Pause, "off"),
    }
}

async fn list(visitor: Visitor, Query(paging): Query<Paging>) -> Result<Response, PageProblem> {
    let page = super::list(&visitor.scope, &paging).await?;
    let words = Words::for_lang(&visitor.person.language);
    let may_create = visitor.scope.permissions().contains(Permission::ProviderCreate);
    let create = html! {
        @if may_create { (form::link("New sign-in service", "/identity-providers/new").icon(Icon::Plus).weight(form::Weight::Primary)) }
    };
    let rows = page.items.iter().map(|provider| {
        let changed = provider.changed_at;
        row(vec![
            html! { (provider.name) },
            html! { code dir="ltr" { (provider.issuer) } },
            state(provider),
            html! { @for domain in &provider.settings.domains { code dir="ltr" { (domain) } " " } },
            relative_time(&changed.to_string(), &changed.to_minute()),
        ])
        .link(format!("/identity-providers/{}", provider.id))
    });
    let columns = vec![
        column("Name"),
        column("Issuer"),
        column("State"),
        column("Domains").detail(),
        column("Changed").detail(),
    ];
    let text = "With OpenID Connect people sign in at your own service, such as Keycloak, and their groups give them roles.";
    let empty = feedback::empty(Icon::Exit, "No sign-in services yet", text, &create);
    let older = page.next.as_ref().map(|next| format!("/identity-providers?after={next}"));
    let body = html! {
        (table("Sign-in services", columns, rows.collect()).empty(empty))
        (browse::pager(words, None, older.as_deref(), ""))
    };
    Ok(visitor.page(Content { actions: create.clone(), ..Content::new("Sign-in services", body) }))
}

/// The addresses that a service must know as ours.
fn leads_back(words: &Words, addresses: &[String]) -> Markup {
    html! {
        @for (n, address) in addresses.iter().enumerate() {
            div { (code::value(words, &format!("redirect-{n}"), address)) }
        }
    }
}

async fn new_form(
    visitor: &Visitor,
    given: &ProviderForm,
    refused: &Refused,
) -> Result<Content<'static>, PageProblem> {
    let offered = custom::givable(&visitor.scope).await?;
    let words = Words::for_lang(&visitor.person.language);
    let back = super::redirect_uris(&visitor.scope).await?;
    let fields = html! {
        p { "Register Switchboard at your service first, with " (if back.len() == 1 { "this address" } else { "these addresses" }) " to lead people back to:" }
        (leads_back(words, &back))
        (given.fields(true, &offered, refused))
        (form::actions(&html! { (form::submit("Add sign-in service")) (form::link("Cancel", "/identity-providers")) }))
    };
    let body = html! {
        (refused.summary(words, &names()))
        (form::post("/identity-providers", "", &fields))
    };
    let breadcrumbs =
        browse::breadcrumbs(words, &[("Sign-in services", "/identity-providers")], "New sign-in service");
    Ok(Content { breadcrumbs, ..Content::new("New sign-in service", body) })
}

async fn show_new(visitor: Visitor) -> Result<Response, PageProblem> {
    visitor.scope.require(Permission::ProviderCreate)?;
    let given = ProviderForm { active: Some("on".to_owned()), ..ProviderForm::default() };
    Ok(visitor.page(new_form(&visitor, &given, &Refused::NONE).await?))
}

async fn create(visitor: Visitor, Form(given): Form<ProviderForm>) -> Result<Response, PageProblem> {
    let created = match given.settings() {
        Ok(settings) => {
            let new = NewProvider {
                name: given.name.clone(),
                issuer: given.issuer.clone(),
                client_id: given.client_id.clone(),
                client_secret: Some(given.client_secret.clone()),
                active: Some(given.active.is_some()),
                settings,
            };
            super::create(&visitor.scope, new).await
        }
        Err(error) => Err(error),
    };
    match created {
        Ok(provider) => {
            let to = format!("/identity-providers/{}", provider.id);
            Ok(console::done(&to, &format!("People can sign in with {}.", provider.name)))
        }
        Err(error) => {
            let refused = Refused::by(at_field(error))?;
            Ok(visitor.page_again(new_form(&visitor, &given, &refused).await?))
        }
    }
}

/// Who of the service is which user here, and the form that ties a program.
async fn subjects(visitor: &Visitor, provider: &Provider, tied: &Tied) -> Result<Markup, PageProblem> {
    let words = Words::for_lang(&visitor.person.language);
    let page = subject::list(&visitor.scope, provider.id, &Paging::default()).await?;
    let may_change = visitor.scope.permissions().contains(Permission::ProviderChange);
    let path = format!("/identity-providers/{}", provider.id);
    let rows = page.items.iter().map(|one| {
        row(vec![
            html! { code dir="ltr" { (one.subject) } },
            html! { a href=(format!("/users/{}", one.user_id)) { (one.user_name) } },
            relative_time(&one.linked_at.to_string(), &one.linked_at.to_minute()),
            html! {
                @if may_change {
                    (form::post(&format!("{path}/untie"), "", &html! {
                        input type="hidden" name="subject" value=(one.subject);
                        (form::submit("Untie").weight(form::Weight::Plain))
                    }))
                }
            },
        ])
    });
    let heads = vec![column("Subject"), column("User"), column("Since"), column("")];
    let rows = table("Subjects", heads, rows.collect());
    let refused = &tied.refused;
    Ok(card::card(
        "Who of the service is whom here",
        &html! {},
        &html! {
            @if page.items.is_empty() { p { "Nobody yet. People are tied when they sign in." } } @else { (rows) }
            @if page.next.is_some() { p { "There are more; the API and the command line show them all." } }
            @if may_change {
                (refused.summary(words, &["subject", "user_id"]))
                (form::post(&format!("{path}/tie"), "", &html! {
                    (field::text("subject", "Subject").mono().value(&tied.subject).hint("What the service calls a program in its tokens: the claim sub").error(refused.at("subject")).required())
                    (field::text("user_id", "User").mono().value(&tied.user_id).hint("The id of the user who it is here, such as usr_…").error(refused.at("user_id")).required())
                    (form::actions(&html! { (form::submit("Tie").weight(form::Weight::Plain)) }))
                }))
            }
        },
    ))
}

/// What was typed to tie a subject, and what is wrong with it.
#[derive(Default)]
struct Tied {
    subject: String,
    user_id: String,
    refused: Refused,
}

#[derive(Debug, Deserialize)]
struct TieForm {
    #[serde(default)]
    subject: String,
    #[serde(default)]
    user_id: String,
}

async fn tie(
    visitor: Visitor,
    Path(id): Path<String>,
    Form(given): Form<TieForm>,
) -> Result<Response, PageProblem> {
    let id = id.parse()?;
    let tied = match given.user_id.trim().parse() {
        Ok(user_id) => {
            let new = NewSubject { subject: given.subject.clone(), user_id };
            subject::tie(&visitor.scope, id, new).await
        }
        Err(error) => Err(Error::at(error, "user_id")),
    };
    match tied {
        Ok(one) => {
            let sentence = format!("{} is {} here.", one.subject, one.user_name);
            Ok(console::done(&format!("/identity-providers/{id}"), &sentence))
        }
        Err(error) => {
            let tied = Tied { subject: given.subject, user_id: given.user_id, refused: Refused::by(error)? };
            let provider = super::get(&visitor.scope, id).await?;
            let form = ProviderForm::of(&provider);
            Ok(visitor.page_again(shown(&visitor, &provider, &form, &Refused::NONE, &tied).await?))
        }
    }
}

async fn untie(
    visitor: Visitor,
    Path(id): Path<String>,
    Form(given): Form<UntiedSubject>,
) -> Result<Response, PageProblem> {
    let id = id.parse()?;
    subject::untie(&visitor.scope, id, &given).await?;
    let sentence = format!("{} is nobody here any more.", given.subject);
    Ok(console::done(&format!("/identity-providers/{id}"), &sentence))
}

async fn shown(
    visitor: &Visitor,
    provider: &Provider,
    given: &ProviderForm,
    refused: &Refused,
    tied: &Tied,
) -> Result<Content<'static>, PageProblem> {
    let offered = custom::givable(&visitor.scope).await?;
    let words = Words::for_lang(&visitor.person.language);
    let may = |permission| visitor.scope.permissions().contains(permission);
    let path = format!("/identity-providers/{}", provider.id);
    let back = super::redirect_uris(&visitor.scope).await?;
    let body = html! {
        (refused.summary(words, &names()))
        (card::panel(&card::facts(&[
            ("State", state(provider)),
            ("Sign in at", code::value(words, "sign-in", &provider.sign_in_url)),
            ("Leads back to", leads_back(words, &back)),
            ("Audience of access tokens", code::value(words, "audience", &provider.token_audience)),
            ("Secret", html! { @if provider.has_secret { "kept, sealed" } @else { "none" } }),
        ])))
        @if may(Permission::ProviderChange) {
            (form::post(&path, "", &html! {
                input type="hidden" name="revision" value=(given.revision.unwrap_or(provider.revision));
                (given.fields(false, &offered, refused))
                (form::actions(&html! { (form::submit("Save")) }))
            }))
        }
        (subjects(visitor, provider, tied).await?)
    };
    let action = format!("{path}/delete");
    let ask = Confirm {
        id: "delete",
        button: "Remove…",
        title: "Remove this sign-in service?",
        text: "Nobody signs in with it any more. Its people stay users, and sign in by a password or a link if they have one.",
        confirm: "Remove sign-in service",
        action: &action,
        csrf: "",
        danger: true,
    };
    let actions = html! { @if may(Permission::ProviderDelete) { (dialog::confirm(words, &ask)) } };
    let breadcrumbs =
        browse::breadcrumbs(words, &[("Sign-in services", "/identity-providers")], &provider.name);
    Ok(Content { actions, breadcrumbs, ..Content::new("Sign-in service", body) })
}

async fn show(visitor: Visitor, Path(id): Path<String>) -> Result<Response, PageProblem> {
    let provider = super::get(&visitor.scope, id.parse()?).await?;
    let form = ProviderForm::of(&provider);
    let content = shown(&visitor, &provider, &form, &Refused::NONE, &Tied::default()).await?;
    Ok(visitor.page(Content { title: &provider.name, ..content }))
}

async fn update(
    visitor: Visitor,
    Path(id): Path<String>,
    Form(given): Form<ProviderForm>,
) -> Result<Response, PageProblem> {
    let id = id.parse()?;
    let saved = match given.settings() {
        Ok(settings) => {
            let wanted = ProviderPatch {
                name: Some(given.name.clone()),
                issuer: Some(given.issuer.clone()),
                client_id: Some(given.client_id.clone()),
                client_secret: Some(given.client_secret.clone()),
                active: Some(given.active.is_some()),
                settings: Some(settings),
                revision: given.revision,
            };
            super::update(&visitor.scope, id, wanted).await
        }
        Err(error) => Err(error),
    };
    match saved {
        Ok(provider) => {
            let sentence = format!("The service {} is changed.", provider.name);
            Ok(console::done(&format!("/identity-providers/{id}"), &sentence))
        }
        Err(error) => {
            let refused = Refused::by(at_field(error))?;
            let provider = super::get(&visitor.scope, id).await?;
            Ok(visitor.page_again(shown(&visitor, &provider, &given, &refused, &Tied::default()).await?))
        }
    }
}

async fn delete(visitor: Visitor, Path(id): Path<String>) -> Result<Response, PageProblem> {
    super::delete(&visitor.scope, id.parse()?).await?;
    Ok(console::done("/identity-providers", "The sign-in service is removed."))
}

/// The routes.
pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/identity-providers", get(list).post(create))
        .route("/identity-providers/new", get(show_new))
        .route("/identity-providers/{id}", get(show).post(update))
        .route("/identity-providers/{id}/delete", post(delete))
        .route("/identity-providers/{id}/tie", post(tie))
        .route("/identity-providers/{id}/untie", post(untie))
}
