//! Tenants in the console, for the platform's administrators and for resellers.

use axum::Router;
use axum::response::Response;
use axum::routing::{get, post};
use maud::{Markup, html};
use serde::Deserialize;
use types::{Page, Permission, TenantId};
use web::console::Content;
use web::ui::icon::Icon;
use web::ui::table::{column, row, table};
use web::ui::timeline::relative_time;
use web::ui::tone::Tone;
use web::ui::words::Words;
use web::ui::{badge, browse, feedback, field, form};
use web::{App, Form, PageProblem, Query, Refused, Visitor, console};

use super::tree::{self, ListedTenant, Listing};
use super::{FirstUser, NewTenant, Status, Tenant};
use crate::user::pages::{link_shown, secret_page};

mod one;

/// What a checkbox sends that is set.
const SET: &str = "yes";

#[derive(Debug, Default, Deserialize)]
struct TenantForm {
    #[serde(default)]
    name: String,
    #[serde(default)]
    slug: String,
    #[serde(default)]
    locale: String,
    #[serde(default)]
    time_zone: String,
    #[serde(default)]
    currency: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    parent: String,
    #[serde(default)]
    reseller: String,
    #[serde(default)]
    email: String,
    #[serde(default)]
    person: String,
}

fn filled(text: &str) -> Option<String> {
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

fn state(tenant: &Tenant) -> Markup {
    if tenant.status == Status::Active.as_str() {
        badge::badge_icon(Tone::Good, Icon::Check, "active")
    } else {
        badge::badge_icon(Tone::Warn, Icon::Pause, &tenant.status)
    }
}

/// Whether the person holds the permission over all tenants, or that over the tenants beneath their own.
fn may(visitor: &Visitor, all: Permission, beneath: Permission) -> bool {
    [all, beneath].into_iter().any(|one| visitor.scope.permissions().contains(one))
}

/// Tenants as a tree: each row as deep as it stands.
fn shown(caption: &str, page: &Page<ListedTenant>) -> Markup {
    let rows = page.items.iter().map(|ListedTenant { tenant, depth, children }| {
        row(vec![
            html! {
                @if *depth > 0 { span class="visually-hidden" { "Level " (depth + 1) ": " } }
                bdi { (tenant.name) }
            },
            html! { code dir="ltr" { (tenant.slug) } },
            state(tenant),
            html! { (children) },
            html! { (tenant.locale) " · " (tenant.time_zone) },
            relative_time(&tenant.created_at.to_string(), &tenant.created_at.to_minute()),
        ])
        .link(format!("/tenants/{}", tenant.id))
        .level(usize::try_from(*depth).unwrap_or_default())
    });
    let columns = vec![
        column("Name"),
        column("Slug"),
        column("State"),
        column("Directly beneath").number(),
        column("Locale").detail(),
        column("Created").detail(),
    ];
    let empty = feedback::empty(
        Icon::Globe,
        "No tenants yet",
        "They are shown here when they are opened.",
        &html! {},
    );
    html! { (table(caption, columns, rows.collect()).empty(empty)) }
}

async fn list(visitor: Visitor, Query(wanted): Query<Listing>) -> Result<Response, PageProblem> {
    let page = tree::list(&visitor.scope, &wanted).await?;
    let words = Words::for_lang(&visitor.person.language);
    let beneath = wanted.beneath.map(|id| format!("&beneath={id}")).unwrap_or_default();
    let older = page.next.as_ref().map(|next| format!("/tenants?after={next}{beneath}"));
    let reseller = !visitor.scope.permissions().contains(Permission::TenantView);
    let body = html! {
        @if reseller { p class="hint" { "The tenants beneath your own. You look after them, and see nothing of what they do." } }
        (shown("Tenants", &page))
        (browse::pager(words, None, older.as_deref(), ""))
    };
    let actions = html! {
        @if may(&visitor, Permission::TenantCreate, Permission::SubtenantCreate) {
            (form::link("New tenant", "/tenants/new").icon(Icon::Plus).weight(form::Weight::Primary))
        }
        @if visitor.scope.permissions().contains(Permission::TenantExport) { (form::link("Suitcases", "/suitcases")) }
        @if visitor.scope.permissions().contains(Permission::TenantErase) { (form::link("Erasures", "/erasures")) }
    };
    Ok(visitor.page(Content { actions, ..Content::new("Tenants", body) }))
}

/// The fields that a new tenant and a change have in common.
fn place_fields(given: &TenantForm, refused: &Refused) -> Markup {
    html! {
        (field::text("locale", "Locale").hint("Such as en or fr-MA").value(&given.locale).max_chars(35).error(refused.at("locale")).required())
        (field::text("currency", "Currency").hint("ISO 4217, such as MAD").value(&given.currency).max_chars(3).error(refused.at("currency")).required())
        (field::text("time_zone", "Time zone").hint("Such as Africa/Casablanca").value(&given.time_zone).max_chars(64).error(refused.at("time_zone")).required())
    }
}

/// Who gets a tenant's first sign-in link.
fn first_fields(given: &TenantForm, refused: &Refused) -> Markup {
    html! {
        (field::text("person", "Name").value(&given.person).max_chars(100))
        (field::email("email", "E-mail address").autocomplete("off").value(&given.email).error(refused.at("email")))
    }
}

fn reseller_field(given: &TenantForm, refused: &Refused) -> Markup {
    html! {
        (field::checkbox("reseller", "It may have tenants beneath it").value(SET)
            .hint("Its administrators and resellers then open and look after tenants of their own customers.")
            .checked(given.reseller == SET).error(refused.at("reseller")))
    }
}

fn first(given: &TenantForm) -> Option<FirstUser> {
    filled(&given.email).map(|email| FirstUser {
        name: filled(&given.person).unwrap_or_else(|| "Administrator".to_owned()),
        email,
    })
}

async fn new_form(
    visitor: &Visitor,
    given: &TenantForm,
    refused: &Refused,
) -> Result<Content<'static>, PageProblem> {
    let words = Words::for_lang(&visitor.person.language);
    let parent = match filled(&given.parent) {
        Some(id) if id != visitor.scope.tenant().to_string() => {
            Some(super::get(&visitor.scope, id.parse()?).await?)
        }
        _ => None,
    };
    let administrator = first_fields(given, refused);
    let fields = html! {
        @if let Some(parent) = &parent {
            input type="hidden" name="parent" value=(parent.id);
            p { "It will stand beneath " a href={ "/tenants/" (parent.id) } { bdi { (parent.name) } } "." }
        }
        (field::text("name", "Name").value(&given.name).max_chars(100).error(refused.at("name")).required().autofocus())
        (field::text("slug", "Slug").hint("Letters, digits and hyphens; made of the name when left empty").value(&given.slug).max_chars(63).error(refused.at("slug")))
        (place_fields(given, refused))
        (reseller_field(given, refused))
        (form::section("First administrator", Some("Gets a sign-in link. Without one the tenant stays empty."), &administrator))
        (form::actions(&html! { (form::submit("Create tenant")) (form::link("Cancel", "/tenants")) }))
    };
    let body = html! {
        (refused.summary(words, &["name", "slug", "locale", "time_zone", "currency", "email"]))
        (form::post("/tenants", "", &fields))
    };
    let breadcrumbs = browse::breadcrumbs(words, &[("Tenants", "/tenants")], "New tenant");
    Ok(Content { breadcrumbs, ..Content::new("New tenant", body) })
}

/// Where a new tenant is asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Beneath {
    beneath: Option<String>,
}

async fn show_new(visitor: Visitor, Query(at): Query<Beneath>) -> Result<Response, PageProblem> {
    tree::sight(&visitor.scope, Permission::TenantCreate, Permission::SubtenantCreate)?;
    let given = TenantForm {
        parent: at.beneath.unwrap_or_default(),
        currency: "USD".to_owned(),
        locale: "en".to_owned(),
        time_zone: "UTC".to_owned(),
        ..TenantForm::default()
    };
    Ok(visitor.page(new_form(&visitor, &given, &Refused::NONE).await?))
}

async fn create(visitor: Visitor, Form(given): Form<TenantForm>) -> Result<Response, PageProblem> {
    let new = NewTenant {
        name: given.name.clone(),
        slug: filled(&given.slug),
        locale: filled(&given.locale),
        time_zone: filled(&given.time_zone),
        currency: filled(&given.currency),
        parent: filled(&given.parent).map(|id| id.parse::<TenantId>()).transpose()?,
        reseller: given.reseller == SET,
        administrator: first(&given),
    };
    let created = match super::create(&visitor.scope, new).await {
        Ok(created) => created,
        Err(error) => {
            return Ok(visitor.page_again(new_form(&visitor, &given, &Refused::by(error)?).await?));
        }
    };
    let Some(link) = created.link else { return Ok(console::done("/tenants", "Tenant created.")) };
    let words = Words::for_lang(&visitor.person.language);
    let body = html! {
        (link_shown(words, &link))
        (form::actions(&html! { (form::link("Done", "/tenants").weight(form::Weight::Primary)) }))
    };
    let title = format!("{} created", created.tenant.name);
    Ok(secret_page(&visitor, Content::new(&title, body)))
}

/// The routes.
pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/tenants", get(list).post(create))
        .route("/tenants/new", get(show_new))
        .route("/tenants/{id}", get(one::show).post(one::update))
        .route("/tenants/{id}/administrator", post(one::invite))
        .route("/tenants/{id}/parent", post(one::move_to))
}
