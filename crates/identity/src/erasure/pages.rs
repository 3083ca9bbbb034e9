//! The end of tenants in the console.

use axum::Router;
use axum::extract::Path;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use maud::{Markup, html};
use serde::Deserialize;
use types::{Code, ErasureId, Permission};
use web::console::Content;
use web::ui::icon::Icon;
use web::ui::table::{column, row, table};
use web::ui::timeline::relative_time;
use web::ui::tone::Tone;
use web::ui::words::Words;
use web::ui::{badge, browse, card, code, feedback, field, form};
use web::{App, Form, PageProblem, Paging, Query, Refused, Visitor, console};

use super::certificate::{self, Signed};
use super::{AskErasure, Erasure};
use crate::tenant::{self, Tenant};

#[derive(Debug, Default, Deserialize)]
struct Given {
    #[serde(default)]
    name: String,
}

/// What is lost and what stays, and the form that asks for it; or until when it can be called off.
fn ask(tenant: &Tenant, at: &str, given: &Given, refused: &Refused) -> Markup {
    if let Some(erase_at) = tenant.erase_at {
        let off = form::post(
            &format!("{at}/call-off"),
            "",
            &form::actions(&html! { (form::submit("Call it off").weight(form::Weight::Plain)) }),
        );
        return feedback::notice(
            Tone::Bad,
            &format!("{} is to be erased", tenant.name),
            &html! {
                p { "At " (erase_at.to_minute()) ", " (relative_time(&erase_at.to_string(), &erase_at.to_minute())) ". Until then everything goes on as before." }
                (off)
            },
        );
    }
    let fields = html! {
        (field::text("name", "The tenant's name").hint(&format!("Type {} to say that you mean it", tenant.name)).autocomplete("off").value(&given.name).max_chars(100).error(refused.at("name")).required())
        (form::actions(&html! { (form::submit("Ask for the erasure").weight(form::Weight::Danger)) }))
    };
    let goes = html! {
        div class="prose" { ul {
            li { "Messages, conversations, contacts' consents and opt-outs." }
            li { "People, roles, keys, applications and the audit trail." }
            li { "Connections, accounts, routes and settings. Binds end at once." }
            li { "Files of call detail records, and the key that seals secrets." }
        } }
        p { "Nobody can bring any of it back." }
    };
    let stays = html! {
        div class="prose" { ul {
            li { "A signed certificate with the number of rows of each table, kept by the platform." }
            li { "What the platform's own audit trail says of who created, changed and erased the tenant." }
        } }
        p { "Nothing happens before the time of grace is over, and until then it can be called off." }
    };
    card::split(
        &html! { (card::card("What goes", &html! {}, &goes)) (card::card("What stays", &html! {}, &stays)) },
        &card::card(&format!("Erase {}", tenant.name), &html! {}, &form::post(at, "", &fields)),
    )
}

async fn own_content(
    visitor: &Visitor,
    tenant: &Tenant,
    given: &Given,
    refused: &Refused,
) -> Result<Content<'static>, PageProblem> {
    let words = Words::for_lang(&visitor.person.language);
    let body = html! {
        @if super::is_platform(&visitor.scope).await? {
            (feedback::empty(
                Icon::Lock,
                "The installation's own tenant cannot be erased",
                "It keeps the certificates of the others. Remove the whole installation instead: its database, its data folder and its root key.",
                &html! {},
            ))
        } @else {
            (refused.summary(words, &["name"]))
            (ask(tenant, "/organisation/erasure", given, refused))
        }
    };
    let breadcrumbs = browse::breadcrumbs(words, &[("Organisation", "/organisation")], "Erasure");
    Ok(Content { breadcrumbs, ..Content::new("Erasure", body) })
}

async fn own(visitor: Visitor) -> Result<Response, PageProblem> {
    visitor.scope.require(Permission::OrganisationErase)?;
    let tenant = tenant::own(&visitor.scope).await?;
    Ok(visitor.page(own_content(&visitor, &tenant, &Given::default(), &Refused::NONE).await?))
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
            Ok(visitor.page_again(own_content(&visitor, &tenant, &given, &Refused::by(error)?).await?))
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
        (ask(tenant, &at, given, refused))
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

fn state(erasure: &Erasure) -> Markup {
    let told = |tone, icon, word, at: types::Timestamp| {
        html! { (badge::badge_icon(tone, icon, word)) " " (relative_time(&at.to_string(), &at.to_minute())) }
    };
    match erasure {
        Erasure { called_off_at: Some(off), .. } => told(Tone::Neutral, Icon::Cross, "called off", *off),
        Erasure { erased_at: Some(erased), .. } => told(Tone::Good, Icon::Check, "erased", *erased),
        Erasure { began_at: Some(began), .. } => told(Tone::Info, Icon::Refresh, "under way", *began),
        _ => told(Tone::Warn, Icon::Clock, "waits", erasure.erase_at),
    }
}

async fn list(visitor: Visitor, Query(paging): Query<Paging>) -> Result<Response, PageProblem> {
    let page = super::list(&visitor.scope, &paging).await?;
    let words = Words::for_lang(&visitor.person.language);
    let rows = page.items.iter().map(|one| {
        row(vec![
            html! { code dir="ltr" { (one.tenant) } },
            state(one),
            html! { @if one.body.is_some() { a href={ "/erasures/" (one.id) } { "Certificate" } } @else { "–" } },
            relative_time(&one.asked_at.to_string(), &one.asked_at.to_minute()),
        ])
    });
    let columns =
        vec![column("Tenant"), column("State"), column("Certificate"), column("Asked for").detail()];
    let older = page.next.as_ref().map(|next| format!("/erasures?after={next}"));
    let empty = feedback::empty(
        Icon::Trash,
        "No tenant was erased",
        "Ask for the erasure of a tenant on its own page. Its certificate is then kept here.",
        &html! { (form::link("Tenants", "/tenants")) },
    );
    let body = html! {
        (table("Erasures", columns, rows.collect()).empty(empty))
        (browse::pager(words, None, older.as_deref(), ""))
    };
    let breadcrumbs = browse::breadcrumbs(words, &[("Tenants", "/tenants")], "Erasures");
    Ok(visitor.under("/tenants").page(Content { breadcrumbs, ..Content::new("Erasures", body) }))
}

fn handed_out(erasure: &Erasure) -> types::Result<Signed> {
    erasure.signed().ok_or_else(|| types::Error::new(Code::NotFound, "this erasure has no certificate yet"))
}

/// What a certificate says, and what proves it.
async fn certificate(visitor: Visitor, Path(id): Path<String>) -> Result<Response, PageProblem> {
    let one = super::get(&visitor.scope, id.parse()?).await?;
    let signed = handed_out(&one)?;
    let told = certificate::verify(&signed, None)?;
    let words = Words::for_lang(&visitor.person.language);
    let when = |at: types::Timestamp| relative_time(&at.to_string(), &at.to_minute());
    let facts = card::facts(&[
        ("Tenant", html! { code dir="ltr" { (told.tenant) } }),
        ("Asked for by", html! { span dir="ltr" { (told.asked_by) } }),
        ("Asked for", when(told.asked_at)),
        ("Began", when(told.began_at)),
        ("Erased", when(told.erased_at)),
        ("Rows", html! { (told.rows) }),
    ]);
    let proof = card::facts(&[
        ("Name (SHA-256)", code::value(words, "name", &told.name_sha256)),
        ("Signature (Ed25519)", code::value(words, "signature", &signed.signature)),
        ("Public key", code::value(words, "public-key", &signed.public_key)),
    ]);
    let tables: Vec<(&str, Markup)> =
        told.tables.iter().map(|(name, rows)| (name.as_str(), html! { (rows) })).collect();
    let shown = html! {
        (card::split(&card::panel(&facts), &card::card("Rows by table", &html! {}, &card::facts(&tables))))
        (card::card("Proof", &html! {}, &html! {
            p { "Signed by the key of the platform's audit trail. Download it, and verify it anywhere without this server:" }
            (code::value(words, "command", &format!("switchboard verify erasure {id}.json")))
            (proof)
        }))
    };
    let breadcrumbs =
        browse::breadcrumbs(words, &[("Tenants", "/tenants"), ("Erasures", "/erasures")], "Certificate");
    let down = format!("/erasures/{id}/certificate");
    let actions = form::link("Download", &down).icon(Icon::ArrowDown);
    let actions = html! { (actions) };
    Ok(visitor.under("/tenants").page(Content {
        breadcrumbs,
        actions,
        ..Content::new("Certificate of an erasure", shown)
    }))
}

async fn download(visitor: Visitor, Path(id): Path<String>) -> Result<Response, PageProblem> {
    let id: ErasureId = id.parse()?;
    let signed = handed_out(&super::get(&visitor.scope, id).await?)?;
    let headers = [
        (header::CONTENT_TYPE, "application/json".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{id}.json\"")),
    ];
    Ok((headers, serde_json::to_string_pretty(&signed).map_err(types::Error::internal)?).into_response())
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
        .route("/erasures/{id}/certificate", get(download))
}
