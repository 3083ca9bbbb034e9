//! Tenants in the console, for the platform's administrators.

use axum::Router;
use axum::extract::Path;
use axum::response::Response;
use axum::routing::get;
use maud::{Markup, html};
use serde::Deserialize;
use types::Permission;
use web::console::Content;
use web::ui::field::Choice;
use web::ui::icon::Icon;
use web::ui::table::{column, row, table};
use web::ui::timeline::relative_time;
use web::ui::tone::Tone;
use web::ui::words::Words;
use web::ui::{badge, browse, card, field, form};
use web::{App, Form, PageProblem, Paging, Query, Refused, Visitor, console};

use super::{FirstUser, NewTenant, Status, Tenant, TenantChange};
use crate::user::pages::{link_shown, secret_page};

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

async fn list(visitor: Visitor, Query(paging): Query<Paging>) -> Result<Response, PageProblem> {
    let page = super::list(&visitor.scope, &paging).await?;
    let words = Words::for_lang(&visitor.person.language);
    let rows = page.items.iter().map(|tenant| {
        row(vec![
            html! { (tenant.name) },
            html! { code dir="ltr" { (tenant.slug) } },
            state(tenant),
            html! { (tenant.locale) " · " (tenant.time_zone) },
            relative_time(&tenant.created_at.to_string(), &tenant.created_at.to_minute()),
        ])
        .link(format!("/tenants/{}", tenant.id))
    });
    let columns = vec![
        column("Name"),
        column("Slug"),
        column("State"),
        column("Locale").detail(),
        column("Created").detail(),
    ];
    let older = page.next.as_ref().map(|next| format!("/tenants?after={next}"));
    let body = html! {
        (table("Tenants", columns, rows.collect()))
        (browse::pager(words, None, older.as_deref(), ""))
    };
    let actions = html! {
        @if visitor.scope.permissions().contains(Permission::TenantCreate) {
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

fn new_form(visitor: &Visitor, given: &TenantForm, refused: &Refused) -> Content<'static> {
    let words = Words::for_lang(&visitor.person.language);
    let administrator = html! {
        (field::text("person", "Name").value(&given.person).max_chars(100))
        (field::email("email", "E-mail address").autocomplete("off").value(&given.email).error(refused.at("email")))
    };
    let fields = html! {
        (field::text("name", "Name").value(&given.name).max_chars(100).error(refused.at("name")).required().autofocus())
        (field::text("slug", "Slug").hint("Letters, digits and hyphens; made of the name when left empty").value(&given.slug).max_chars(63).error(refused.at("slug")))
        (place_fields(given, refused))
        (form::section("First administrator", Some("Gets a sign-in link. Without one the tenant stays empty."), &administrator))
        (form::actions(&html! { (form::submit("Create tenant")) (form::link("Cancel", "/tenants")) }))
    };
    let body = html! {
        (refused.summary(words, &["name", "slug", "locale", "time_zone", "currency", "email"]))
        (form::post("/tenants", "", &fields))
    };
    let breadcrumbs = browse::breadcrumbs(words, &[("Tenants", "/tenants")], "New tenant");
    Content { breadcrumbs, ..Content::new("New tenant", body) }
}

async fn show_new(visitor: Visitor) -> Result<Response, PageProblem> {
    visitor.scope.require(Permission::TenantCreate)?;
    let given = TenantForm {
        currency: "USD".to_owned(),
        locale: "en".to_owned(),
        time_zone: "UTC".to_owned(),
        ..TenantForm::default()
    };
    Ok(visitor.page(new_form(&visitor, &given, &Refused::NONE)))
}

async fn create(visitor: Visitor, Form(given): Form<TenantForm>) -> Result<Response, PageProblem> {
    let administrator = filled(&given.email).map(|email| FirstUser {
        name: filled(&given.person).unwrap_or_else(|| "Administrator".to_owned()),
        email,
    });
    let new = NewTenant {
        name: given.name.clone(),
        slug: filled(&given.slug),
        locale: filled(&given.locale),
        time_zone: filled(&given.time_zone),
        currency: filled(&given.currency),
        administrator,
    };
    let created = match super::create(&visitor.scope, new).await {
        Ok(created) => created,
        Err(error) => return Ok(visitor.page_again(new_form(&visitor, &given, &Refused::by(error)?))),
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

fn detail<'a>(visitor: &Visitor, tenant: &'a Tenant, given: &TenantForm, refused: &Refused) -> Content<'a> {
    let words = Words::for_lang(&visitor.person.language);
    let states = [
        Choice::new("active", "Active"),
        Choice::new("suspended", "Suspended: its people and programs are not let in; nothing is lost"),
    ];
    let fields = html! {
        (field::text("name", "Name").value(&given.name).max_chars(100).error(refused.at("name")).required())
        (place_fields(given, refused))
        @if tenant.id != visitor.scope.tenant() {
            (field::radios("status", "State", &states).value(&given.status).error(refused.at("status")).required())
        }
        (form::actions(&html! { (form::submit("Save")) }))
    };
    let body = html! {
        (card::panel(&card::facts(&[
            ("Id", html! { code dir="ltr" { (tenant.id) } }),
            ("Slug", html! { code dir="ltr" { (tenant.slug) } }),
            ("State", state(tenant)),
            ("Created", relative_time(&tenant.created_at.to_string(), &tenant.created_at.to_minute())),
        ])))
        @if visitor.scope.permissions().contains(Permission::TenantChange) {
            (refused.summary(words, &["name", "locale", "time_zone", "currency", "status"]))
            (card::card("Change", &html! {}, &form::post(&format!("/tenants/{}", tenant.id), "", &fields)))
        }
    };
    let breadcrumbs = browse::breadcrumbs(words, &[("Tenants", "/tenants")], &tenant.name);
    let actions = html! {
        @if visitor.scope.permissions().contains(Permission::TenantErase) {
            (form::link("Erasure", &format!("/tenants/{}/erasure", tenant.id)))
        }
        @if visitor.scope.permissions().contains(Permission::TenantExport) {
            (form::link("Take it away", &format!("/tenants/{}/suitcases", tenant.id)))
        }
    };
    Content { breadcrumbs, actions, ..Content::new(&tenant.name, body) }
}

async fn show(visitor: Visitor, Path(id): Path<String>) -> Result<Response, PageProblem> {
    let tenant = super::get(&visitor.scope, id.parse()?).await?;
    let given = TenantForm {
        name: tenant.name.clone(),
        locale: tenant.locale.clone(),
        time_zone: tenant.time_zone.clone(),
        currency: tenant.currency.clone(),
        status: tenant.status.clone(),
        ..TenantForm::default()
    };
    Ok(visitor.page(detail(&visitor, &tenant, &given, &Refused::NONE)))
}

async fn update(
    visitor: Visitor,
    Path(id): Path<String>,
    Form(given): Form<TenantForm>,
) -> Result<Response, PageProblem> {
    let id = id.parse()?;
    let before = super::get(&visitor.scope, id).await?;
    let wanted = TenantChange {
        name: Some(given.name.clone()),
        locale: Some(given.locale.clone()),
        time_zone: Some(given.time_zone.clone()),
        currency: Some(given.currency.clone()),
        status: match given.status.as_str() {
            "active" => Some(Status::Active),
            "suspended" => Some(Status::Suspended),
            _ => None,
        },
    };
    match super::update(&visitor.scope, id, wanted).await {
        Ok(_) => Ok(console::done(&format!("/tenants/{id}"), "Tenant saved.")),
        Err(error) => Ok(visitor.page_again(detail(&visitor, &before, &given, &Refused::by(error)?))),
    }
}

/// The routes.
pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/tenants", get(list).post(create))
        .route("/tenants/new", get(show_new))
        .route("/tenants/{id}", get(show).post(update))
}
