//! A tenant's own page: what it is, what can be changed, who stands above and beneath it.

use axum::extract::Path;
use axum::response::Response;
use maud::{Markup, html};
use types::{Error, Page, Permission, TenantId};
use web::console::Content;
use web::ui::field::Choice;
use web::ui::icon::Icon;
use web::ui::timeline::relative_time;
use web::ui::words::Words;
use web::ui::{browse, card, field, form};
use web::{Form, PageProblem, Refused, Visitor, console};

use super::{SET, TenantForm, filled, first, first_fields, may, place_fields, reseller_field, shown, state};
use crate::tenant::tree::{self, Above, ListedTenant, Listing, NewParent};
use crate::tenant::{self, Status, Tenant, TenantChange};
use crate::user::pages::{link_shown, secret_page};

/// Tenants beneath one that its page shows; the list shows all.
const BENEATH_SHOWN: &str = "20";

/// A tenant and what stands around it.
struct Around {
    tenant: Tenant,
    above: Vec<Above>,
    beneath: Page<ListedTenant>,
    /// Whether its first administrator may be invited.
    awaits: bool,
    /// Whether the person may move it.
    moves: bool,
    /// Short names that it can be moved beneath.
    parents: Vec<String>,
}

async fn around(visitor: &Visitor, id: TenantId) -> Result<Around, PageProblem> {
    let scope = &visitor.scope;
    let tenant = tenant::get(scope, id).await?;
    let sight = tree::sight(scope, Permission::TenantView, Permission::SubtenantView)?;
    let listing = Listing {
        beneath: Some(id.to_string()),
        limit: Some(BENEATH_SHOWN.to_owned()),
        ..Listing::default()
    };
    let own = id == scope.tenant();
    let moves = scope.permissions().contains(Permission::TenantChange) && !own;
    let invites = may(visitor, Permission::TenantCreate, Permission::SubtenantCreate) && !own;
    Ok(Around {
        above: tree::above(&mut scope.read().await?, sight, id).await?,
        beneath: match own {
            true => Page { items: Vec::new(), next: None },
            false => tree::list(scope, &listing).await?,
        },
        awaits: invites && tenant::awaits(scope, id).await?,
        parents: if moves { tree::parents(scope).await? } else { Vec::new() },
        moves,
        tenant,
    })
}

fn as_it_is(tenant: &Tenant) -> TenantForm {
    TenantForm {
        name: tenant.name.clone(),
        locale: tenant.locale.clone(),
        time_zone: tenant.time_zone.clone(),
        currency: tenant.currency.clone(),
        status: tenant.status.clone(),
        reseller: if tenant.reseller { SET.to_owned() } else { String::new() },
        ..TenantForm::default()
    }
}

fn change_card(visitor: &Visitor, tenant: &Tenant, given: &TenantForm, refused: &Refused) -> Markup {
    let states = [
        Choice::new("active", "Active"),
        Choice::new(
            "suspended",
            "Suspended: its people and programs are not let in; nothing is lost, and tenants beneath it go on",
        ),
    ];
    let fields = html! {
        (field::text("name", "Name").value(&given.name).max_chars(100).error(refused.at("name")).required())
        (place_fields(given, refused))
        @if tenant.id != visitor.scope.tenant() {
            (field::radios("status", "State", &states).value(&given.status).error(refused.at("status")).required())
            (reseller_field(given, refused))
        }
        (form::actions(&html! { (form::submit("Save")) }))
    };
    card::card("Change", &html! {}, &form::post(&format!("/tenants/{}", tenant.id), "", &fields))
}

fn beneath_card(visitor: &Visitor, around: &Around) -> Markup {
    let (id, opens) = (around.tenant.id, may(visitor, Permission::TenantCreate, Permission::SubtenantCreate));
    let (new, all) = (format!("/tenants/new?beneath={id}"), format!("/tenants?beneath={id}"));
    let actions = html! {
        @if opens && around.tenant.reseller { (form::link("New tenant beneath it", &new).icon(Icon::Plus).small()) }
        @if around.beneath.next.is_some() { (form::link("Show all", &all).small()) }
    };
    card::card("Beneath it", &actions, &shown("Tenants beneath it", &around.beneath))
}

fn invite_card(tenant: &Tenant, given: &TenantForm, refused: &Refused) -> Markup {
    let fields = html! {
        p { "Nobody of this tenant was let in yet. Its first administrator gets a sign-in link, which is shown to you once." }
        (first_fields(given, refused))
        (form::actions(&html! { (form::submit("Invite")) }))
    };
    let at = format!("/tenants/{}/administrator", tenant.id);
    card::card("First administrator", &html! {}, &form::post(&at, "", &fields))
}

fn move_card(around: &Around, given: &TenantForm, refused: &Refused) -> Markup {
    let known: Vec<&str> = around.parents.iter().map(String::as_str).collect();
    let fields = html! {
        p { "It moves with all that stand beneath it. Whoever stood above it looks after it no more." }
        (field::text("parent", "Beneath").hint("The short name of a tenant that may have others beneath it; empty for the root")
            .suggestions(&known).autocomplete("off").value(&given.parent).max_chars(63).error(refused.at("parent")))
        (form::actions(&html! { (form::submit("Move")) }))
    };
    card::card("Move", &html! {}, &form::post(&format!("/tenants/{}/parent", around.tenant.id), "", &fields))
}

fn facts(around: &Around) -> Markup {
    let tenant = &around.tenant;
    let mut facts = vec![
        ("Id", html! { code dir="ltr" { (tenant.id) } }),
        ("Slug", html! { code dir="ltr" { (tenant.slug) } }),
        ("State", state(tenant)),
        ("May have tenants beneath it", html! { (if tenant.reseller { "yes" } else { "no" }) }),
        ("Created", relative_time(&tenant.created_at.to_string(), &tenant.created_at.to_minute())),
    ];
    if let Some(Above { id, name }) = around.above.last() {
        facts.insert(3, ("Beneath", html! { a href={ "/tenants/" (id) } { bdi { (name) } } }));
    }
    card::panel(&card::facts(&facts))
}

fn detail<'a>(visitor: &Visitor, around: &'a Around, given: &TenantForm, refused: &Refused) -> Content<'a> {
    let words = Words::for_lang(&visitor.person.language);
    let (tenant, own) = (&around.tenant, around.tenant.id == visitor.scope.tenant());
    let fields = ["name", "locale", "time_zone", "currency", "status", "reseller", "email", "parent"];
    let body = html! {
        (refused.summary(words, &fields))
        (facts(around))
        @if around.awaits { (invite_card(tenant, given, refused)) }
        @if !own && (tenant.reseller || !around.beneath.items.is_empty()) { (beneath_card(visitor, around)) }
        @if may(visitor, Permission::TenantChange, Permission::SubtenantChange) {
            (change_card(visitor, tenant, given, refused))
        }
        @if around.moves { (move_card(around, given, refused)) }
    };
    let hrefs: Vec<String> = around.above.iter().map(|one| format!("/tenants/{}", one.id)).collect();
    let way = around.above.iter().zip(&hrefs).map(|(one, href)| (one.name.as_str(), href.as_str()));
    let way: Vec<(&str, &str)> = std::iter::once(("Tenants", "/tenants")).chain(way).collect();
    let breadcrumbs = browse::breadcrumbs(words, &way, &tenant.name);
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

pub(super) async fn show(visitor: Visitor, Path(id): Path<String>) -> Result<Response, PageProblem> {
    let around = around(&visitor, id.parse()?).await?;
    let given = as_it_is(&around.tenant);
    Ok(visitor.page(detail(&visitor, &around, &given, &Refused::NONE)))
}

/// The page once more, with what was sent and what is wrong with it.
async fn again(
    visitor: &Visitor,
    id: TenantId,
    sent: impl FnOnce(TenantForm) -> TenantForm,
    error: Error,
) -> Result<Response, PageProblem> {
    let refused = Refused::by(error)?;
    let around = around(visitor, id).await?;
    let given = sent(as_it_is(&around.tenant));
    Ok(visitor.page_again(detail(visitor, &around, &given, &refused)))
}

pub(super) async fn update(
    visitor: Visitor,
    Path(id): Path<String>,
    Form(given): Form<TenantForm>,
) -> Result<Response, PageProblem> {
    let id: TenantId = id.parse()?;
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
        reseller: (id != visitor.scope.tenant()).then_some(given.reseller == SET),
    };
    match tenant::update(&visitor.scope, id, wanted).await {
        Ok(_) => Ok(console::done(&format!("/tenants/{id}"), "Tenant saved.")),
        Err(error) => again(&visitor, id, |_| given, error).await,
    }
}

pub(super) async fn invite(
    visitor: Visitor,
    Path(id): Path<String>,
    Form(given): Form<TenantForm>,
) -> Result<Response, PageProblem> {
    let id: TenantId = id.parse()?;
    let sent = match first(&given) {
        Some(first) => tenant::invite(&visitor.scope, id, first).await,
        None => Err(Error::invalid("email", "give an e-mail address")),
    };
    let invited = match sent {
        Ok(invited) => invited,
        Err(error) => {
            let TenantForm { email, person, .. } = given;
            return again(&visitor, id, |now| TenantForm { email, person, ..now }, error).await;
        }
    };
    let back = format!("/tenants/{id}");
    let words = Words::for_lang(&visitor.person.language);
    let body = html! {
        @if let Some(link) = &invited.link { (link_shown(words, link)) }
        (form::actions(&html! { (form::link("Done", &back).weight(form::Weight::Primary)) }))
    };
    let title = format!("{} is invited", invited.administrator.name);
    Ok(secret_page(&visitor, Content::new(&title, body)))
}

pub(super) async fn move_to(
    visitor: Visitor,
    Path(id): Path<String>,
    Form(given): Form<TenantForm>,
) -> Result<Response, PageProblem> {
    let id: TenantId = id.parse()?;
    let parent = match filled(&given.parent) {
        Some(slug) => tree::named(&visitor.scope, &slug).await.map(Some),
        None => Ok(None),
    };
    let moved = match parent {
        Ok(parent) => tree::move_to(&visitor.scope, id, NewParent { parent }).await,
        Err(error) => Err(error),
    };
    match moved {
        Ok(_) => Ok(console::done(&format!("/tenants/{id}"), "Tenant moved.")),
        Err(error) => again(&visitor, id, |now| TenantForm { parent: given.parent, ..now }, error).await,
    }
}
