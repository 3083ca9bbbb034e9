//! Directories that people sign in with, in the console: the list, the form, and one directory's page.

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
use web::ui::{badge, browse, feedback, field, form};
use web::{App, Form, PageProblem, Paging, Query, Refused, Visitor, console};

use super::{Directory, DirectoryPatch, DirectorySettings, Groups, Kind, NewDirectory};
use crate::key::pages::listed;
use crate::provider::GroupRole;
use crate::role::custom::{self, Offered};

mod cards;

/// What the form says.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct DirectoryForm {
    name: String,
    active: Option<String>,
    kind: String,
    servers: String,
    plain: Option<String>,
    ca: String,
    bind_dn: String,
    bind_password: String,
    base: String,
    user_filter: String,
    people_filter: String,
    mail_attribute: String,
    name_attribute: String,
    id_attribute: String,
    groups: String,
    group_base: String,
    group_filter: String,
    member_attribute: String,
    group_roles: String,
    default_role: String,
    create_users: Option<String>,
    link_by_email: Option<String>,
    domains: String,
    read_minutes: String,
    leave_percent_max: String,
    revision: Option<i64>,
}

const FIELDS: &[&str] = &[
    "name",
    "bind_password",
    "servers",
    "plain",
    "ca",
    "bind_dn",
    "base",
    "user_filter",
    "people_filter",
    "mail_attribute",
    "name_attribute",
    "id_attribute",
    "group_base",
    "group_filter",
    "member_attribute",
    "group_roles",
    "default_role",
    "link_by_email",
    "domains",
    "read_minutes",
    "leave_percent_max",
];

/// A refusal at the field of the form that it concerns.
fn at_field(error: Error) -> Error {
    let field = error.place().and_then(|place| place.strip_prefix("settings.")).map(str::to_owned);
    match field {
        Some(field) => error.at(field),
        None => error,
    }
}

fn number(field: &str, text: &str) -> types::Result<u32> {
    match text.trim() {
        "" => Ok(0),
        text => text.parse().map_err(|_| Error::invalid(field, "this is no number")),
    }
}

impl DirectoryForm {
    fn of(directory: &Directory) -> Self {
        let settings = &directory.settings;
        let marked = |set: bool| set.then(|| "on".to_owned());
        let line = |one: &GroupRole| format!("{} = {}", one.group, one.role);
        Self {
            name: directory.name.clone(),
            active: marked(directory.active),
            kind: kind_name(settings.kind).to_owned(),
            servers: settings.servers.join("\n"),
            plain: marked(settings.plain),
            ca: settings.ca.clone(),
            bind_dn: settings.bind_dn.clone(),
            bind_password: String::new(),
            base: settings.base.clone(),
            user_filter: settings.user_filter.clone(),
            people_filter: settings.people_filter.clone(),
            mail_attribute: settings.mail_attribute.clone(),
            name_attribute: settings.name_attribute.clone(),
            id_attribute: settings.id_attribute.clone(),
            groups: groups_name(settings.groups()).to_owned(),
            group_base: settings.group_base.clone(),
            group_filter: settings.group_filter.clone(),
            member_attribute: settings.member_attribute.clone(),
            group_roles: settings.group_roles.iter().map(line).collect::<Vec<_>>().join("\n"),
            default_role: settings.default_role.clone().unwrap_or_default(),
            create_users: marked(settings.create_users),
            link_by_email: marked(settings.link_by_email),
            domains: settings.domains.join("\n"),
            read_minutes: settings.read_minutes.to_string(),
            leave_percent_max: settings.leave_percent_max.to_string(),
            revision: Some(directory.revision),
        }
    }

    fn settings(&self) -> types::Result<DirectorySettings> {
        let lines = self.group_roles.lines().map(str::trim).filter(|line| !line.is_empty());
        // A group's whole name has signs of equality in it; a role's name has none.
        let mapped = lines.map(|line| match line.rsplit_once('=') {
            Some((group, role)) => {
                Ok(GroupRole { group: group.trim().to_owned(), role: role.trim().to_owned() })
            }
            None => Err(Error::invalid("group_roles", format!("{line:?} is not a group = a role"))),
        });
        Ok(DirectorySettings {
            kind: if self.kind == kind_name(Kind::ActiveDirectory) {
                Kind::ActiveDirectory
            } else {
                Kind::Openldap
            },
            servers: listed(&self.servers),
            plain: self.plain.is_some(),
            ca: self.ca.clone(),
            bind_dn: self.bind_dn.clone(),
            base: self.base.clone(),
            user_filter: self.user_filter.clone(),
            people_filter: self.people_filter.clone(),
            mail_attribute: self.mail_attribute.clone(),
            name_attribute: self.name_attribute.clone(),
            id_attribute: self.id_attribute.clone(),
            groups: [Groups::MemberOf, Groups::Chain, Groups::Search]
                .into_iter()
                .find(|one| groups_name(*one) == self.groups),
            group_base: self.group_base.clone(),
            group_filter: self.group_filter.clone(),
            member_attribute: self.member_attribute.clone(),
            group_roles: mapped.collect::<types::Result<_>>()?,
            default_role: Some(self.default_role.clone()).filter(|role| !role.is_empty()),
            create_users: self.create_users.is_some(),
            link_by_email: self.link_by_email.is_some(),
            domains: listed(&self.domains),
            read_minutes: number("read_minutes", &self.read_minutes)?,
            leave_percent_max: number("leave_percent_max", &self.leave_percent_max)?,
        })
    }

    fn fields(&self, is_new: bool, offered: &[Offered], refused: &Refused) -> Markup {
        html! {
            (form::section("The directory", None, &self.connection(is_new, refused)))
            (form::section("People", Some("What is left empty gets what is usual for the kind."), &self.people(refused)))
            (form::section("Groups and roles", None, &self.roles(offered, refused)))
            (form::section("Users", None, &self.users(refused)))
        }
    }

    fn connection(&self, is_new: bool, refused: &Refused) -> Markup {
        let kinds = [
            Choice::new(kind_name(Kind::Openldap), "OpenLDAP and others"),
            Choice::new(kind_name(Kind::ActiveDirectory), "Active Directory"),
        ];
        let kind = if self.kind.is_empty() { kind_name(Kind::Openldap) } else { &self.kind };
        let password =
            if is_new { "None where we ask as nobody" } else { "The present one stays when left empty" };
        html! {
            (field::text("name", "Name").hint("What people here call it").value(&self.name).max_chars(100).error(refused.at("name")).required())
            (field::select("kind", "Kind", &kinds).value(kind).error(refused.at("kind")))
            (field::textarea("servers", "Servers").rows(3).mono().value(&self.servers).hint("One a line, tried in this order: ldaps://directory.example.com, or ldap:// with StartTLS").error(refused.at("servers")).required())
            (field::textarea("ca", "Issuer of their certificates").rows(3).mono().value(&self.ca).hint("As PEM; the roots of this machine when left empty").error(refused.at("ca")))
            (field::text("bind_dn", "Ask as").mono().value(&self.bind_dn).hint("The entry that we bind as, such as cn=reader,dc=example,dc=com; nobody when left empty").error(refused.at("bind_dn")))
            (field::secret("bind_password", "Its password").autocomplete("off").hint(password).error(refused.at("bind_password")))
            (field::checkbox("plain", "Without TLS: only where the installation allows it").value("on").checked(self.plain.is_some()).error(refused.at("plain")))
            (field::checkbox("active", "People sign in with it, and users follow it").value("on").checked(self.active.is_some()))
        }
    }

    fn people(&self, refused: &Refused) -> Markup {
        html! {
            (field::text("base", "Base").mono().value(&self.base).hint("The entry below which people stand, such as dc=example,dc=com").error(refused.at("base")).required())
            (field::text("user_filter", "Who signs in").mono().value(&self.user_filter).hint("A filter; {login} stands for the address that is typed").error(refused.at("user_filter")))
            (field::text("people_filter", "Who is a person").mono().value(&self.people_filter).hint("A filter, for readings of the whole directory").error(refused.at("people_filter")))
            (field::text("mail_attribute", "E-mail address").mono().value(&self.mail_attribute).hint("An attribute, such as mail").error(refused.at("mail_attribute")))
            (field::text("name_attribute", "Name of a person").mono().value(&self.name_attribute).hint("An attribute, such as cn or displayName").error(refused.at("name_attribute")))
            (field::text("id_attribute", "Id that stays").mono().value(&self.id_attribute).hint("An attribute, such as entryUUID or objectGUID").error(refused.at("id_attribute")))
        }
    }

    fn roles(&self, offered: &[Offered], refused: &Refused) -> Markup {
        let mut roles = vec![Choice::new("", "None: whoever has no mapped group is not let in")];
        roles.extend(offered.iter().map(|role| Choice::new(&role.name, &role.title)));
        let ways = [
            Choice::new("", "As is usual for the kind"),
            Choice::new(groups_name(Groups::MemberOf), "By memberOf of the person"),
            Choice::new(groups_name(Groups::Chain), "By Active Directory's rule, nested groups too"),
            Choice::new(groups_name(Groups::Search), "By searching groups that name the person"),
        ];
        let names: Vec<_> = offered.iter().map(|role| role.name.as_str()).collect();
        let hint =
            format!("One a line: group = role; the first that fits counts. Roles: {}", names.join(", "));
        html! {
            (field::textarea("group_roles", "Groups and their roles").rows(4).mono().value(&self.group_roles).hint(&hint).error(refused.at("group_roles")))
            (field::select("default_role", "Role of everybody else", &roles).value(&self.default_role).error(refused.at("default_role")))
            (field::select("groups", "How groups are found", &ways).value(&self.groups))
            (field::text("group_base", "Base of groups").mono().value(&self.group_base).hint("That of people when left empty").error(refused.at("group_base")))
            (field::text("group_filter", "Which entries are groups").mono().value(&self.group_filter).error(refused.at("group_filter")))
            (field::text("member_attribute", "Members").mono().value(&self.member_attribute).hint("The attribute by which a group names them: member, uniqueMember or memberUid").error(refused.at("member_attribute")))
        }
    }

    fn users(&self, refused: &Refused) -> Markup {
        html! {
            (field::checkbox("create_users", "People who are not known yet become users").value("on").checked(self.create_users.is_some()))
            (field::checkbox("link_by_email", "Users are tied to who has their e-mail address in it").value("on").checked(self.link_by_email.is_some()).error(refused.at("link_by_email")))
            (field::textarea("domains", "Domains").rows(3).mono().value(&self.domains).hint("People with addresses of these sign in with it, and only they become users").error(refused.at("domains")))
            (field::number("read_minutes", "Read it all every … minutes").range("0", "10080").value(&self.read_minutes).hint("5 to 10080; never by itself when 0").error(refused.at("read_minutes")))
            (field::number("leave_percent_max", "Percent of its users who may go at once").range("0", "100").value(&self.leave_percent_max).hint("A reading that would shut out more waits until somebody says yes; 20 when left empty").error(refused.at("leave_percent_max")))
        }
    }
}

const fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Openldap => "openldap",
        Kind::ActiveDirectory => "active_directory",
    }
}

const fn groups_name(groups: Groups) -> &'static str {
    match groups {
        Groups::MemberOf => "member_of",
        Groups::Chain => "chain",
        Groups::Search => "search",
    }
}

fn state(directory: &Directory) -> Markup {
    match directory.active {
        true => badge::badge_icon(Tone::Good, Icon::Check, "active"),
        false => badge::badge_icon(Tone::Neutral, Icon::Pause, "off"),
    }
}

async fn list(visitor: Visitor, Query(paging): Query<Paging>) -> Result<Response, PageProblem> {
    let page = super::list(&visitor.scope, &paging).await?;
    let words = Words::for_lang(&visitor.person.language);
    let may_create = visitor.scope.permissions().contains(Permission::ProviderCreate);
    let create = html! {
        @if may_create { (form::link("New directory", "/directories/new").icon(Icon::Plus).weight(form::Weight::Primary)) }
    };
    let rows = page.items.iter().map(|directory| {
        row(vec![
            html! { (directory.name) },
            html! { @for server in &directory.settings.servers { code dir="ltr" { (server) } " " } },
            state(directory),
            html! { @for domain in &directory.settings.domains { code dir="ltr" { (domain) } " " } },
            relative_time(&directory.changed_at.to_string(), &directory.changed_at.to_minute()),
        ])
        .link(format!("/directories/{}", directory.id))
    });
    let columns = vec![
        column("Name"),
        column("Servers"),
        column("State"),
        column("Domains").detail(),
        column("Changed").detail(),
    ];
    let text = "With LDAP or Active Directory people sign in with the password that they have there, and their groups give them roles.";
    let empty = feedback::empty(Icon::Book, "No directories yet", text, &create);
    let older = page.next.as_ref().map(|next| format!("/directories?after={next}"));
    let body = html! {
        (table("Directories", columns, rows.collect()).empty(empty))
        (browse::pager(words, None, older.as_deref(), ""))
    };
    Ok(visitor.page(Content { actions: create.clone(), ..Content::new("Directories", body) }))
}

async fn new_form(
    visitor: &Visitor,
    given: &DirectoryForm,
    refused: &Refused,
) -> Result<Content<'static>, PageProblem> {
    let offered = custom::givable(&visitor.scope).await?;
    let words = Words::for_lang(&visitor.person.language);
    let fields = html! {
        p { "Leave it switched off at first: then try it on its page, and see what a reading would change, before anybody signs in with it." }
        (given.fields(true, &offered, refused))
        (form::actions(&html! { (form::submit("Add directory")) (form::link("Cancel", "/directories")) }))
    };
    let body = html! {
        (refused.summary(words, FIELDS))
        (form::post("/directories", "", &fields))
    };
    let breadcrumbs = browse::breadcrumbs(words, &[("Directories", "/directories")], "New directory");
    Ok(Content { breadcrumbs, ..Content::new("New directory", body) })
}

async fn show_new(visitor: Visitor) -> Result<Response, PageProblem> {
    visitor.scope.require(Permission::ProviderCreate)?;
    Ok(visitor.page(new_form(&visitor, &DirectoryForm::default(), &Refused::NONE).await?))
}

async fn create(visitor: Visitor, Form(given): Form<DirectoryForm>) -> Result<Response, PageProblem> {
    let created = match given.settings() {
        Ok(settings) => {
            let new = NewDirectory {
                name: given.name.clone(),
                bind_password: Some(given.bind_password.clone()),
                active: given.active.is_some(),
                settings,
            };
            super::create(&visitor.scope, new).await
        }
        Err(error) => Err(error),
    };
    match created {
        Ok(directory) => {
            let to = format!("/directories/{}", directory.id);
            Ok(console::done(&to, &format!("The directory {} is added. Try it now.", directory.name)))
        }
        Err(error) => {
            let refused = Refused::by(at_field(error))?;
            Ok(visitor.page_again(new_form(&visitor, &given, &refused).await?))
        }
    }
}

/// One directory's page: what it does, then its form.
async fn shown(
    visitor: &Visitor,
    directory: &Directory,
    given: &DirectoryForm,
    (refused, tried): (&Refused, &cards::Tried),
) -> Result<Content<'static>, PageProblem> {
    let words = Words::for_lang(&visitor.person.language);
    let offered = custom::givable(&visitor.scope).await?;
    let may = |permission| visitor.scope.permissions().contains(permission);
    let path = format!("/directories/{}", directory.id);
    let body = html! {
        (refused.summary(words, FIELDS))
        @if may(Permission::ProviderChange) { (cards::trial(visitor, directory, tried)) }
        (cards::readings(visitor, directory).await?)
        (cards::people(visitor, directory).await?)
        @if may(Permission::ProviderChange) {
            (form::post(&path, "", &html! {
                input type="hidden" name="revision" value=[given.revision];
                (given.fields(false, &offered, refused))
                (form::actions(&html! { (form::submit("Save")) }))
            }))
        }
    };
    let action = format!("{path}/delete");
    let ask = Confirm {
        id: "delete",
        button: "Remove…",
        title: "Remove this directory?",
        text: "Nobody signs in with it any more. Its people stay users, and sign in by a password or a link if they have one.",
        confirm: "Remove directory",
        action: &action,
        csrf: "",
        danger: true,
    };
    let actions =
        html! { (state(directory)) @if may(Permission::ProviderDelete) { (dialog::confirm(words, &ask)) } };
    let breadcrumbs = browse::breadcrumbs(words, &[("Directories", "/directories")], &directory.name);
    Ok(Content { actions, breadcrumbs, ..Content::new("Directory", body) })
}

async fn show(visitor: Visitor, Path(id): Path<String>) -> Result<Response, PageProblem> {
    let directory = super::get(&visitor.scope, id.parse()?).await?;
    let form = DirectoryForm::of(&directory);
    let content = shown(&visitor, &directory, &form, (&Refused::NONE, &cards::Tried::default())).await?;
    Ok(visitor.page(Content { title: &directory.name, ..content }))
}

async fn update(
    visitor: Visitor,
    Path(id): Path<String>,
    Form(given): Form<DirectoryForm>,
) -> Result<Response, PageProblem> {
    let id = id.parse()?;
    let saved = match given.settings() {
        Ok(settings) => {
            let wanted = DirectoryPatch {
                name: Some(given.name.clone()),
                bind_password: Some(given.bind_password.clone()),
                active: Some(given.active.is_some()),
                settings: Some(settings),
                revision: given.revision,
            };
            super::update(&visitor.scope, id, wanted).await
        }
        Err(error) => Err(error),
    };
    match saved {
        Ok(directory) => {
            let sentence = format!("The directory {} is changed.", directory.name);
            Ok(console::done(&format!("/directories/{id}"), &sentence))
        }
        Err(error) => {
            let refused = Refused::by(at_field(error))?;
            let directory = super::get(&visitor.scope, id).await?;
            let tried = cards::Tried::default();
            Ok(visitor.page_again(shown(&visitor, &directory, &given, (&refused, &tried)).await?))
        }
    }
}

async fn delete(visitor: Visitor, Path(id): Path<String>) -> Result<Response, PageProblem> {
    super::delete(&visitor.scope, id.parse()?).await?;
    Ok(console::done("/directories", "The directory is removed."))
}

/// The routes.
pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/directories", get(list).post(create))
        .route("/directories/new", get(show_new))
        .route("/directories/{id}", get(show).post(update))
        .route("/directories/{id}/delete", post(delete))
        .merge(cards::router())
}
