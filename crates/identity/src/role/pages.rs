//! Roles in the console: the matrix, a role's own page, and the explainer.

use axum::Router;
use axum::extract::Path;
use axum::response::Response;
use axum::routing::{get, post};
use maud::{Markup, html};
use serde::Deserialize;
use types::{Permission, Reach, UserId};
use web::console::Content;
use web::ui::dialog::{self};
use web::ui::field::{self, Choice};
use web::ui::icon::Icon;
use web::ui::table::{Column, Row, column, row, table};
use web::ui::timeline::relative_time;
use web::ui::tone::Tone;
use web::ui::words::Words;
use web::ui::{badge, browse, card, feedback, form};
use web::{App, Form, PageProblem, Paging, Query, Refused, Visitor, console};

use super::custom::{self, Grantable, NewRole, RolePatch, RoleShown};
use super::explain::{self, Explanation, Ground, Question};
use crate::user;

/// The catalogue's capabilities, in its order.
fn groups() -> Vec<&'static str> {
    let mut groups: Vec<&str> = Permission::ALL.iter().map(|permission| permission.group()).collect();
    groups.dedup();
    groups
}

fn may(visitor: &Visitor, permission: Permission) -> bool {
    visitor.scope.permissions().contains(permission)
}

/// A mark for how far a role holds a permission.
fn mark(role: &RoleShown, permission: Permission) -> Markup {
    match role.allows.0.get(permission.as_str()) {
        None => html! { span class="visually-hidden" { "no" } },
        Some(Reach::All) => html! { span title="all records" { "✓" } span class="visually-hidden" { "yes" } },
        Some(reach) => html! { (reach.as_str()) },
    }
}

/// Permissions down, roles across: what each role allows, the inherited too.
fn matrix(roles: &[RoleShown], group: &str) -> Markup {
    let mut columns: Vec<Column<'_>> = vec![column(group)];
    columns.extend(roles.iter().map(|role| column(&role.title)));
    let rows: Vec<Row> = Permission::ALL
        .iter()
        .filter(|permission| permission.group() == group)
        .map(|permission| {
            let mut cells = vec![html! { span title=(permission.as_str()) { (permission.title()) } }];
            cells.extend(roles.iter().map(|role| mark(role, *permission)));
            row(cells)
        })
        .collect();
    html! { (table(group, columns, rows).dense()) }
}

async fn list(visitor: Visitor) -> Result<Response, PageProblem> {
    let roles = custom::list(&visitor.scope).await?;
    let rows = roles.iter().map(|role| {
        row(vec![
            html! { (role.title) },
            html! { code { (role.name) } },
            html! { @if role.system { (badge::tag("system")) } @else { (badge::tag("own")) } },
            html! { (role.parent.as_deref().unwrap_or("")) },
            html! { (role.allows.0.len()) },
            html! { (role.users) },
        ])
        .link(format!("/roles/{}", role.name))
    });
    let columns = vec![
        column("Role"),
        column("Name"),
        column("Kind"),
        column("Parent").detail(),
        column("Permissions").number(),
        column("Users").number(),
    ];
    let body = html! {
        (table("Roles", columns, rows.collect()))
        (card::card("Who may do what", &html! {}, &html! {
            p { "Each role with all that it allows, what it has from the roles above it too. " code { "own" } " and " code { "team" } " say about whose records." }
            @for group in groups() { (feedback::help(group, &matrix(&roles, group))) }
        }))
    };
    let actions = html! {
        @if may(&visitor, Permission::RoleCreate) {
            (form::link("New role", "/roles/new").icon(Icon::Plus).weight(form::Weight::Primary))
        }
    };
    Ok(visitor.page(Content { actions, ..Content::new("Roles", body) }))
}

/// A role as a form has it: its words, and a choice for each permission.
#[derive(Debug, Default)]
struct RoleForm {
    name: String,
    title: String,
    about: String,
    parent: String,
    permissions: Grantable,
}

impl From<Vec<(String, String)>> for RoleForm {
    fn from(pairs: Vec<(String, String)>) -> Self {
        let mut given = Self::default();
        for (field, value) in pairs {
            match field.as_str() {
                "name" => given.name = value,
                "title" => given.title = value,
                "about" => given.about = value,
                "parent" => given.parent = value,
                "all" => drop(given.permissions.0.insert(value, Reach::All)),
                other => {
                    let reach = match value.as_str() {
                        "own" => Some(Reach::Own),
                        "team" => Some(Reach::Team),
                        "all" => Some(Reach::All),
                        _ => None,
                    };
                    if let (Some(permission), Some(reach)) = (Permission::named(other), reach) {
                        given.permissions.0.insert(permission.as_str().to_owned(), reach);
                    }
                }
            }
        }
        given
    }
}

/// A choice for each permission that the person holds themselves.
fn permission_fields(visitor: &Visitor, given: &Grantable) -> Markup {
    let held = visitor.scope.permissions();
    let reaches = [
        Choice::new("", "No"),
        Choice::new("own", "Own"),
        Choice::new("team", "Team"),
        Choice::new("all", "All"),
    ];
    let offered = |group: &str| -> Vec<Permission> {
        let of = Permission::ALL.iter().copied().filter(|one| one.group() == group && !one.is_platform());
        of.filter(|one| held.contains(*one)).collect()
    };
    html! {
        @for group in groups() {
            @let offered = offered(group);
            @if !offered.is_empty() {
                (form::section(group, None, &html! {
                    @for permission in &offered {
                        @let name = permission.as_str();
                        @let id = format!("f-{name}");
                        @if permission.has_owner() {
                            (field::select(name, permission.title(), &reaches).id(&id)
                                .value(given.0.get(name).map_or("", |reach| reach.as_str())))
                        } @else {
                            (field::checkbox("all", permission.title()).id(&id).value(name)
                                .checked(given.0.contains_key(name)))
                        }
                    }
                }))
            }
        }
    }
}

async fn form_fields(
    visitor: &Visitor,
    given: &RoleForm,
    own_name: Option<&str>,
    refused: &Refused,
) -> Result<Markup, PageProblem> {
    let offered = custom::givable(&visitor.scope).await?;
    let parents: Vec<Choice<'_>> = std::iter::once(Choice::new("", "None"))
        .chain(
            offered
                .iter()
                .filter(|one| Some(one.name.as_str()) != own_name && one.name != super::PLATFORM_ADMIN)
                .map(|one| Choice::new(&one.name, &one.title)),
        )
        .collect();
    Ok(html! {
        @if own_name.is_none() {
            (field::text("name", "Name").hint("Lower-case letters, digits and dashes; it stays").value(&given.name).max_chars(40).error(refused.at("name")).required().autofocus())
        }
        (field::text("title", "Title").value(&given.title).max_chars(100).error(refused.at("title")))
        (field::text("about", "For whom").value(&given.about).max_chars(300).error(refused.at("about")))
        (field::select("parent", "Parent", &parents).hint("It has the parent's permissions too").value(&given.parent).error(refused.at("parent")))
        h2 { "Permissions" }
        (permission_fields(visitor, &given.permissions))
    })
}

async fn new_page<'a>(
    visitor: &Visitor,
    given: &RoleForm,
    refused: &Refused,
) -> Result<Content<'a>, PageProblem> {
    let words = Words::for_lang(&visitor.person.language);
    let fields = form_fields(visitor, given, None, refused).await?;
    let body = html! {
        (refused.summary(words, &["name", "title", "about", "parent"]))
        (form::post("/roles", "", &html! {
            (fields)
            (form::actions(&html! { (form::submit("Create role")) (form::link("Cancel", "/roles")) }))
        }))
    };
    let breadcrumbs = browse::breadcrumbs(words, &[("Roles", "/roles")], "New role");
    Ok(Content { breadcrumbs, ..Content::new("New role", body) })
}

async fn show_new(visitor: Visitor) -> Result<Response, PageProblem> {
    visitor.scope.require(Permission::RoleCreate)?;
    Ok(visitor.page(new_page(&visitor, &RoleForm::default(), &Refused::NONE).await?))
}

async fn create(visitor: Visitor, Form(pairs): Form<Vec<(String, String)>>) -> Result<Response, PageProblem> {
    let given = RoleForm::from(pairs);
    let new = NewRole {
        name: given.name.clone(),
        title: Some(given.title.clone()).filter(|title| !title.is_empty()),
        about: Some(given.about.clone()),
        parent: Some(given.parent.clone()),
        permissions: given.permissions.clone(),
    };
    match custom::create(&visitor.scope, new).await {
        Ok(role) => Ok(console::done(&format!("/roles/{}", role.name), "Role created.")),
        Err(error) => Ok(visitor.page_again(new_page(&visitor, &given, &Refused::by(error)?).await?)),
    }
}

/// What a role allows, by capability.
fn allowed(role: &RoleShown) -> Markup {
    let of = |group: &str| -> Vec<(Permission, Reach)> {
        let held = Permission::ALL.iter().filter(|one| one.group() == group);
        held.filter_map(|one| Some((*one, *role.allows.0.get(one.as_str())?))).collect()
    };
    html! {
        @for group in groups() {
            @let held = of(group);
            @if !held.is_empty() {
                h3 { (group) }
                ul {
                    @for (permission, reach) in &held {
                        li {
                            (permission.title()) " " code { (permission.as_str()) }
                            @if *reach != Reach::All { " " (badge::tag(reach.as_str())) }
                            @if !role.own.0.contains_key(permission.as_str()) { " " (badge::tag("inherited")) }
                        }
                    }
                }
            }
        }
    }
}

async fn detail<'a>(
    visitor: &Visitor,
    role: &'a RoleShown,
    given: &RoleForm,
    refused: &Refused,
) -> Result<Content<'a>, PageProblem> {
    let words = Words::for_lang(&visitor.person.language);
    let action = format!("/roles/{}", role.name);
    let change = !role.system && may(visitor, Permission::RoleChange);
    let fields = match change {
        true => form_fields(visitor, given, Some(&role.name), refused).await?,
        false => html! {},
    };
    let body = html! {
        (card::panel(&card::facts(&[
            ("Name", html! { code { (role.name) } }),
            ("For whom", html! { (role.about) }),
            ("Parent", html! { @match &role.parent { Some(parent) => a href={ "/roles/" (parent) } { (parent) }, None => "none" } }),
            ("Users", html! { (role.users) }),
        ])))
        (refused.summary(words, &["title", "about", "parent", "permissions", "successor"]))
        (card::card("What it allows", &html! {}, &allowed(role)))
        @if change {
            (card::card("Change", &html! {}, &form::post(&action, "", &html! {
                (fields)
                (form::actions(&html! { (form::submit("Save")) }))
            })))
        }
    };
    let actions = delete_button(visitor, role, words).await?;
    let breadcrumbs = browse::breadcrumbs(words, &[("Roles", "/roles")], &role.title);
    Ok(Content { actions, breadcrumbs, ..Content::new(&role.title, body) })
}

async fn delete_button(visitor: &Visitor, role: &RoleShown, words: &Words) -> Result<Markup, PageProblem> {
    if role.system || !may(visitor, Permission::RoleDelete) {
        return Ok(html! {});
    }
    let offered = custom::givable(&visitor.scope).await?;
    let successors: Vec<Choice<'_>> = std::iter::once(Choice::new("", "Nobody has it"))
        .chain(
            offered.iter().filter(|one| one.name != role.name).map(|one| Choice::new(&one.name, &one.title)),
        )
        .collect();
    let ask = html! {
        p { "Its users get the successor at once. This cannot be undone." }
        (form::post(&format!("/roles/{}/delete", role.name), "", &html! {
            (field::select("successor", "Successor", &successors))
            (form::actions(&html! { (form::submit("Delete role").weight(form::Weight::Danger)) }))
        }))
    };
    Ok(html! {
        (form::opens("Delete…", "delete"))
        (dialog::dialog(words, "delete", "Delete this role?", &ask))
    })
}

fn as_form(role: &RoleShown) -> RoleForm {
    RoleForm {
        name: role.name.clone(),
        title: role.title.clone(),
        about: role.about.clone(),
        parent: role.parent.clone().unwrap_or_default(),
        permissions: role.own.clone(),
    }
}

async fn show(visitor: Visitor, Path(name): Path<String>) -> Result<Response, PageProblem> {
    let role = custom::get(&visitor.scope, &name).await?;
    Ok(visitor.page(detail(&visitor, &role, &as_form(&role), &Refused::NONE).await?))
}

async fn update(
    visitor: Visitor,
    Path(name): Path<String>,
    Form(pairs): Form<Vec<(String, String)>>,
) -> Result<Response, PageProblem> {
    let role = custom::get(&visitor.scope, &name).await?;
    let mut given = RoleForm::from(pairs);
    // What the person does not hold is not on the form, and stays.
    let held = visitor.scope.permissions();
    let unseen =
        role.own.0.iter().filter(|(name, _)| Permission::named(name).is_none_or(|one| !held.contains(one)));
    given.permissions.0.extend(unseen.map(|(name, reach)| (name.clone(), *reach)));
    let patch = RolePatch {
        title: Some(given.title.clone()),
        about: Some(given.about.clone()),
        parent: Some(given.parent.clone()),
        permissions: Some(given.permissions.clone()),
        revision: role.revision,
    };
    match custom::update(&visitor.scope, &name, patch).await {
        Ok(_) => Ok(console::done(&format!("/roles/{name}"), "Role saved.")),
        Err(error) => Ok(visitor.page_again(detail(&visitor, &role, &given, &Refused::by(error)?).await?)),
    }
}

#[derive(Debug, Deserialize)]
struct Successor {
    #[serde(default)]
    successor: String,
}

async fn delete(
    visitor: Visitor,
    Path(name): Path<String>,
    Form(given): Form<Successor>,
) -> Result<Response, PageProblem> {
    match custom::delete(&visitor.scope, &name, Some(&given.successor)).await {
        Ok(()) => Ok(console::done("/roles", "Role deleted.")),
        Err(error) => {
            let role = custom::get(&visitor.scope, &name).await?;
            Ok(visitor.page_again(detail(&visitor, &role, &as_form(&role), &Refused::by(error)?).await?))
        }
    }
}

/// The question as the page's form has it: everything may be missing.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    #[serde(default)]
    who: String,
    #[serde(default)]
    permission: String,
    #[serde(default)]
    record: String,
}

fn grounds(title: &str, grounds: &[Ground]) -> Markup {
    html! {
        @if !grounds.is_empty() {
            p { strong { (title) } }
            ul {
                @for ground in grounds {
                    li {
                        @match &ground.href { Some(href) => a href=(href) { (ground.detail) }, None => (ground.detail) }
                        @if let Some(reach) = ground.reach { " " (badge::tag(reach.as_str())) }
                        @if let Some(until) = ground.until { " until " (relative_time(&until.to_string(), &until.to_minute())) }
                    }
                }
            }
        }
    }
}

fn answer(told: &Explanation) -> Markup {
    let (tone, verdict) = if told.allowed { (Tone::Good, "Allowed") } else { (Tone::Bad, "Not allowed") };
    let about = told.record.as_ref().map(|record| format!(" about {record}")).unwrap_or_default();
    feedback::notice(
        tone,
        &format!("{verdict}: {}", told.name),
        &html! {
            p { (told.title) (about) " " code { (told.permission.as_str()) } }
            (grounds("Given by", &told.given_by))
            (grounds("Barred by", &told.barred_by))
        },
    )
}

async fn explainer(visitor: Visitor, Query(asked): Query<Asked>) -> Result<Response, PageProblem> {
    let words = Words::for_lang(&visitor.person.language);
    let question = Question {
        who: Some(asked.who.clone()).filter(|who| !who.is_empty()),
        permission: asked.permission.clone(),
        record: Some(asked.record.clone()).filter(|record| !record.is_empty()),
    };
    let (told, refused) = match asked.permission.is_empty() {
        true => (None, Refused::NONE),
        false => match explain::explain(&visitor.scope, &question).await {
            Ok(told) => (Some(told), Refused::NONE),
            Err(error) => (None, Refused::by(error)?),
        },
    };
    let users = match may(&visitor, Permission::UserView) {
        true => {
            user::list(&visitor.scope, &Paging { limit: Some("200".to_owned()), after: None }).await?.items
        }
        false => Vec::new(),
    };
    let known: Vec<String> = users.iter().map(|user| user.id.to_string()).collect();
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    let permissions: Vec<Choice<'_>> = std::iter::once(Choice::new("", "Choose…"))
        .chain(Permission::ALL.iter().map(|one| Choice::new(one.as_str(), one.title())))
        .collect();
    let named = asked.who.parse::<UserId>().ok().and_then(|id| users.iter().find(|user| user.id == id));
    let hint = named.map_or_else(
        || "A user, an API key, an application or what a person lets one do: usr_…, key_…, app_…, cns_…; yourself when left empty".to_owned(),
        |user| format!("{}, {}", user.name, user.email),
    );
    let fields = html! {
        (field::text("who", "Who").value(&asked.who).hint(&hint).suggestions(&known).error(refused.at("who")).mono())
        (field::select("permission", "May they", &permissions).value(&asked.permission).error(refused.at("permission")))
        (field::text("record", "About").hint("A record's id, where it matters whose it is").value(&asked.record).error(refused.at("record")).mono())
        (form::actions(&html! { (form::submit("Explain")) }))
    };
    let body = html! {
        (refused.summary(words, &["who", "permission", "record"]))
        (form::get("/explain", &fields))
        @if let Some(told) = &told { (answer(told)) }
    };
    Ok(visitor.page(Content::new("Explain access", body)))
}

/// The routes.
pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/roles", get(list).post(create))
        .route("/roles/new", get(show_new))
        .route("/roles/{name}", get(show).post(update))
        .route("/roles/{name}/delete", post(delete))
        .route("/explain", get(explainer))
}
