//! The end of tenants in the console.

use axum::Router;
use axum::extract::Path;
use axum::response::Response;
use axum::routing::{get, post};
use maud::{Markup, html};
use serde::Deserialize;
use types::{Code, Permission};
use web::console::Content;
use web::ui::table::{column, row, table};
use web::ui::timeline::relative_time;
use web::ui::tone::Tone;
use web::ui::words::Words;
use web::ui::{browse, card, feedback, field, form};
use web::{App, Form, PageProblem, Paging, Query, Refused, Visitor, console};

use super::{AskErasure, Erasure};
use crate::tenant::{self, Tenant};

#[derive(Debug, Default, Deserialize)]
struct Given {
    #[serde(default)]
    name: String,
}

/// What is lost, and the form that asks for it; or until when it can be called off.
fn ask(tenant: &Tenant, at: &str, given: &Given, refused: &Refused) -> Markup {
    if let Some(erase_at) = tenant.erase_at {
        let off = form::post(&format!("{at}/call-off"), "", &html! { (form::submit("Call it off")) });
        return feedback::notice(
            Tone::Bad,
            &format!("{} is to be erased", tenant.name),
            &html! { p { "At " (erase_at.to_minute()) ". Until then everything goes on as before." } (off) },
        );
    }
    let fields = html! {
        (field::text("name", "The tenant's name").hint(&format!("Type {} to say that you mean it", tenant.name)).autocomplete("off").value(&given.name).max_chars(100).error(refused.at("name")).required())
        (form::actions(&html! { (form::submit("Ask for the erasure").weight(form::Weight::Danger)) }))
    };
    html! {
        p { "Everything of this tenant goes for ever: messages, people, keys, settings, its audit trail and its files of records. Binds and connections end. A signed certificate with the number of rows stays with the platform. Nothing happens before the time of grace is over, and until then it can be called off." }
        (form::post(at, "", &fields))
    }
}

fn own_content(visitor: &Visitor, tenant: &Tenant, given: &Given, refused: &Refused) -> Content<'static> {
    let words = Words::for_lang(&visitor.person.language);
    let body = html! {
        (refused.summary(words, &["name"]))
        (card::panel(&ask(tenant, "/organisation/erasure", given, refused)))
    };
    let breadcrumbs = browse::breadcrumbs(words, &[("Organisation", "/organisation")], "Erasure");
    Content { breadcrumbs, ..Content::new("Erasure", body) }
}

async fn own(visitor: Visitor) -> Result<Response, PageProblem> {
    visitor.scope.require(Permission::OrganisationErase)?;
    let tenant = tenant::own(&visitor.scope).await?;
    Ok(visitor.page(own_content(&visitor, &tenant, &Given::default(), &Refused::NONE)))
}

async fn ask_own(visitor: Visitor, Form(given): Form<Given>) -> Result<Response, PageProblem> {
    let asked = AskErasure { name: given.name.clone(), grace_h: None };
    match super::ask_own(&visitor.scope, asked).await {
        Ok(erasure) => Ok(console::done(
            "/organisation/erasure",
            &format!(
                "The erasure is asked for. It can be called off until {}.",
                erasure.erase_at.to_minute()
            ),
        )),
        Err(error) => {
            let tenant = tenant::own(&visitor.scope).await?;
            Ok(visitor.page_again(own_content(&visitor, &tenant, &given, &Refused::by(error)?)))
        }
    }
}

async fn call_off_own(visitor: Visitor) -> Result<Response, PageProblem> {
    super::call_off_own(&visitor.scope).await?;
    Ok(console::done("/organisation/erasure", "The erasure is called off."))
}

fn any_content(visitor: &Visitor, tenant: &Tenant, given: &Given, refused: &Refused) -> Content<'static> {
    let words = Words::for_lang(&visitor.person.language);
    let at = format!("/tenants/{}/erasure", tenant.id);
    let body = html! {
        (refused.summary(words, &["name"]))
        (card::panel(&ask(tenant, &at, given, refused)))
    };
    let here = format!("/tenants/{}", tenant.id);
    let breadcrumbs =
        browse::breadcrumbs(words, &[("Tenants", "/tenants"), (&tenant.name, &here)], "Erasure");
    Content { breadcrumbs, ..Content::new("Erasure", body) }
}

async fn any(visitor: Visitor, Path(id): Path<String>) -> Result<Response, PageProblem> {
    visitor.scope.require(Permission::TenantErase)?;
    let tenant = tenant::get(&visitor.scope, id.parse()?).await?;
    Ok(visitor.page(any_content(&visitor, &tenant, &Given::default(), &Refused::NONE)))
}

async fn ask_any(
    visitor: Visitor,
    Path(id): Path<String>,
    Form(given): Form<Given>,
) -> Result<Response, PageProblem> {
    let id = id.parse()?;
    let asked = AskErasure { name: given.name.clone(), grace_h: None };
    match super::ask_any(&visitor.scope, id, asked).await {
        Ok(_) => Ok(console::done(&format!("/tenants/{id}/erasure"), "The erasure is asked for.")),
        Err(error) => {
            let tenant = tenant::get(&visitor.scope, id).await?;
            Ok(visitor.page_again(any_content(&visitor, &tenant, &given, &Refused::by(error)?)))
        }
    }
}

async fn call_off_any(visitor: Visitor, Path(id): Path<String>) -> Result<Response, PageProblem> {
    let id = id.parse()?;
    super::call_off_any(&visitor.scope, id).await?;
    Ok(console::done(&format!("/tenants/{id}/erasure"), "The erasure is called off."))
}

fn state(erasure: &Erasure) -> String {
    let at = |word: &str, at: types::Timestamp| format!("{word} {}", at.to_minute());
    match erasure {
        Erasure { called_off_at: Some(off), .. } => at("called off", *off),
        Erasure { erased_at: Some(erased), .. } => at("erased", *erased),
        Erasure { began_at: Some(began), .. } => at("under way since", *began),
        _ => at("waits until", erasure.erase_at),
    }
}

async fn list(visitor: Visitor, Query(paging): Query<Paging>) -> Result<Response, PageProblem> {
    let page = super::list(&visitor.scope, &paging).await?;
    let words = Words::for_lang(&visitor.person.language);
    let rows = page.items.iter().map(|one| {
        row(vec![
            html! { code dir="ltr" { (one.tenant) } },
            html! { (state(one)) },
            html! { @if one.body.is_some() { a href={ "/erasures/" (one.id) } { "Certificate" } } },
            relative_time(&one.asked_at.to_string(), &one.asked_at.to_minute()),
        ])
    });
    let columns = vec![column("Tenant"), column("State"), column("Certificate"), column("Asked")];
    let older = page.next.as_ref().map(|next| format!("/erasures?after={next}"));
    let body = html! {
        (table("Erasures", columns, rows.collect()))
        (browse::pager(words, None, older.as_deref(), ""))
    };
    let breadcrumbs = browse::breadcrumbs(words, &[("Tenants", "/tenants")], "Erasures");
    Ok(visitor.page(Content { breadcrumbs, ..Content::new("Erasures", body) }))
}

/// A certificate as its three texts.
async fn certificate(visitor: Visitor, Path(id): Path<String>) -> Result<Response, PageProblem> {
    let one = super::get(&visitor.scope, id.parse()?).await?;
    let words = Words::for_lang(&visitor.person.language);
    let (Some(body), Some(signature), Some(key)) = (&one.body, &one.signature, &one.public_key) else {
        return Err(types::Error::new(Code::NotFound, "this erasure has no certificate yet").into());
    };
    let facts = card::facts(&[
        ("Signature", html! { code dir="ltr" { (signature) } }),
        ("Public key", html! { code dir="ltr" { (key) } }),
    ]);
    let shown = html! {
        p { "Signed with Ed25519 by the key of the platform's audit trail, over these octets." }
        (web::ui::code::block(words, "certificate", "Certificate", body))
        (card::panel(&facts))
    };
    let breadcrumbs = browse::breadcrumbs(words, &[("Erasures", "/erasures")], "Certificate");
    Ok(visitor.page(Content { breadcrumbs, ..Content::new("Certificate", shown) }))
}

/// The routes.
pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/organisation/erasure", get(own).post(ask_own))
        .route("/organisation/erasure/call-off", post(call_off_own))
        .route("/tenants/{id}/erasure", get(any).post(ask_any))
        .route("/tenants/{id}/erasure/call-off", post(call_off_any))
        .route("/erasures", get(list))
        .route("/erasures/{id}", get(certificate))
}
