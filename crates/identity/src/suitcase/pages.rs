//! Tenants that leave and come, in the console.

use axum::Router;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use maud::{Markup, html};
use serde::Deserialize;
use types::{Permission, SuitcaseId, TenantId};
use web::console::Content;
use web::ui::icon::Icon;
use web::ui::table::{column, row, table};
use web::ui::timeline::relative_time;
use web::ui::tone::Tone;
use web::ui::words::Words;
use web::ui::{badge, browse, card, code, feedback, field, form};
use web::{App, Form, PageProblem, Paging, Query, Refused, Visitor, console};

use super::{AskRestore, AskSuitcase, Direction, Manifest, Suitcase};
use crate::tenant;

#[derive(Default, Deserialize)]
struct Given {
    #[serde(default)]
    passphrase: String,
    #[serde(default)]
    public_key: String,
    switch: Option<String>,
}

fn state(one: &Suitcase) -> Markup {
    let (tone, icon) = match one.state.as_str() {
        "ready" | "done" => (Tone::Good, Icon::Check),
        "failed" => (Tone::Bad, Icon::Cross),
        "gone" => (Tone::Neutral, Icon::Trash),
        "uploading" | "waits" => (Tone::Warn, Icon::Clock),
        _ => (Tone::Info, Icon::Refresh),
    };
    badge::badge_icon(tone, icon, &one.state)
}

const fn way(one: &Suitcase) -> &'static str {
    match one.direction {
        Direction::Export => "leaves",
        Direction::Import => "comes",
    }
}

fn rows(one: &Suitcase) -> Markup {
    let at = one.at_table.as_deref().filter(|at| !at.is_empty());
    html! { (one.rows_done) @if let Some(at) = at { " (" (at) ")" } }
}

fn passphrase<'a>(refused: &'a Refused) -> field::Field<'a> {
    field::secret("passphrase", "Passphrase")
        .hint("At least 12 characters; nobody opens the file without it, and it is kept nowhere")
        .autocomplete("off")
        .max_chars(1_024)
        .error(refused.at("passphrase"))
        .required()
}

/// The form that asks for a file, with what it means.
fn ask(at: &str, may_suspend: bool, refused: &Refused) -> Markup {
    let fields = html! {
        (passphrase(refused))
        @if may_suspend {
            (field::checkbox("switch", "Shut the tenant first").value("on")
                .hint("So that it never lives twice. Its people, programs and binds are refused from then on; messages that a carrier has not answered are told."))
        }
        (form::actions(&html! { (form::submit("Pack").weight(form::Weight::Primary)) }))
    };
    let goes = html! {
        div class="prose" { ul {
            li { "Every row of the tenant, with the hash of each table, signed by the key of its audit trail." }
            li { "Passwords, keys and second factors as they are: people and programs come in at the new place as before." }
            li { "Files of call detail records." }
        } }
        p { "Sessions, sign-in links and codes stay. Domains are proved anew. Passkeys need the same host name." }
    };
    card::split(
        &card::card("Take it away", &html! {}, &form::post(at, "", &fields)),
        &card::card("What goes", &html! {}, &goes),
    )
}

fn listed(words: &'static Words, page: &types::Page<Suitcase>, (at, own): (&str, bool)) -> Markup {
    let shown = page.items.iter().map(|one| {
        let tenant = one.tenant.map_or_else(|| "–".to_owned(), |tenant| tenant.to_string());
        let name = html! { @if own { (relative_time(&one.asked_at.to_string(), &one.asked_at.to_minute())) } @else { a href={ "/suitcases/" (one.id) } { code dir="ltr" { (tenant) } } } };
        let file = html! {
            @if one.state == "ready" { a href={ (at) "/" (one.id) "/file" } { "Download" } } @else { "–" }
        };
        row(vec![name, html! { (way(one)) }, state(one), rows(one), file])
    });
    let first = if own { column("Asked for") } else { column("Tenant") };
    let columns = vec![first, column("Way"), column("State"), column("Rows").detail(), column("File")];
    let empty = feedback::empty(
        Icon::ArrowDown,
        "No tenant has left or come",
        "A tenant leaves from its own page. One comes by: switchboard tenant import FILE.",
        &html! {},
    );
    let older = page.next.as_ref().map(|next| format!("{at}?after={next}"));
    html! {
        (table("Suitcases", columns, shown.collect()).empty(empty))
        (browse::pager(words, None, older.as_deref(), ""))
    }
}

async fn own_content(
    visitor: &Visitor,
    paging: &Paging,
    refused: &Refused,
) -> Result<Content<'static>, PageProblem> {
    let words = Words::for_lang(&visitor.person.language);
    let page = super::list_own(&visitor.scope, paging).await?;
    let at = "/organisation/suitcases";
    let body = html! {
        @if crate::erasure::is_platform(&visitor.scope).await? {
            (feedback::empty(
                Icon::Lock,
                "The installation's own tenant stays with it",
                "Move the whole installation instead: its database, its data folder and its root key.",
                &html! {},
            ))
        } @else {
            (refused.summary(words, &["passphrase"]))
            (ask(at, false, refused))
            (listed(words, &page, (at, true)))
        }
    };
    let breadcrumbs = browse::breadcrumbs(words, &[("Organisation", "/organisation")], "Take it away");
    Ok(Content { breadcrumbs, ..Content::new("Take the organisation away", body) })
}

async fn own(visitor: Visitor, Query(paging): Query<Paging>) -> Result<Response, PageProblem> {
    Ok(visitor.page(own_content(&visitor, &paging, &Refused::NONE).await?))
}

async fn ask_own(visitor: Visitor, Form(given): Form<Given>) -> Result<Response, PageProblem> {
    let asked = AskSuitcase { passphrase: given.passphrase, suspend: false };
    match super::ask_own(&visitor.scope, asked).await {
        Ok(_) => Ok(console::done("/organisation/suitcases", "It is being packed. Come back for the file.")),
        Err(error) => {
            let refused = Refused::by(error)?;
            Ok(visitor.page_again(own_content(&visitor, &Paging::default(), &refused).await?))
        }
    }
}

async fn of_content(
    visitor: &Visitor,
    id: TenantId,
    refused: &Refused,
) -> Result<Content<'static>, PageProblem> {
    visitor.scope.require(Permission::TenantExport)?;
    let tenant = tenant::get(&visitor.scope, id).await?;
    let words = Words::for_lang(&visitor.person.language);
    let here = format!("/tenants/{id}");
    let body = html! {
        (refused.summary(words, &["passphrase"]))
        (ask(&format!("{here}/suitcases"), true, refused))
    };
    let breadcrumbs =
        browse::breadcrumbs(words, &[("Tenants", "/tenants"), (&tenant.name, &here)], "Take it away");
    Ok(Content { breadcrumbs, ..Content::new("Take the tenant away", body) })
}

async fn of(visitor: Visitor, Path(id): Path<String>) -> Result<Response, PageProblem> {
    Ok(visitor.page(of_content(&visitor, id.parse()?, &Refused::NONE).await?))
}

async fn ask_any(
    visitor: Visitor,
    Path(id): Path<String>,
    Form(given): Form<Given>,
) -> Result<Response, PageProblem> {
    let id: TenantId = id.parse()?;
    let asked = AskSuitcase { passphrase: given.passphrase, suspend: given.switch.is_some() };
    match super::ask_any(&visitor.scope, id, asked).await {
        Ok(one) => Ok(console::done(&format!("/suitcases/{}", one.id), "It is being packed.")),
        Err(error) => Ok(visitor.page_again(of_content(&visitor, id, &Refused::by(error)?).await?)),
    }
}

async fn list(visitor: Visitor, Query(paging): Query<Paging>) -> Result<Response, PageProblem> {
    let page = super::list(&visitor.scope, &paging).await?;
    let words = Words::for_lang(&visitor.person.language);
    let breadcrumbs = browse::breadcrumbs(words, &[("Tenants", "/tenants")], "Suitcases");
    let body = listed(words, &page, ("/suitcases", false));
    Ok(visitor.page(Content { breadcrumbs, ..Content::new("Suitcases", body) }))
}

fn held(words: &'static Words, manifest: &Manifest) -> Markup {
    let shown = manifest.tables.iter().filter(|table| table.rows > 0).map(|one| {
        row(vec![
            html! { code dir="ltr" { (one.table) } },
            html! { (one.rows) },
            html! { code dir="ltr" { (one.sha256) } },
        ])
    });
    let columns = vec![column("Table"), column("Rows"), column("SHA-256").detail()];
    html! {
        (card::card("Digest of all tables", &html! {}, &code::value(words, "digest", &manifest.digest)))
        @if manifest.in_flight > 0 {
            (feedback::notice(Tone::Warn, "Messages were on their way", &html! {
                p { (manifest.in_flight) " messages were with a carrier and not answered. At the new place marketing among them counts as sent, and the others may be sent twice." }
            }))
        }
        (table("Tables", columns, shown.collect()))
    }
}

fn one_content(visitor: &Visitor, one: &Suitcase, refused: &Refused) -> Content<'static> {
    let words = Words::for_lang(&visitor.person.language);
    let at = format!("/suitcases/{}", one.id);
    let when = |at: types::Timestamp| relative_time(&at.to_string(), &at.to_minute());
    let tenant = one.tenant.map_or_else(|| "–".to_owned(), |tenant| tenant.to_string());
    let facts = card::facts(&[
        ("Tenant", html! { code dir="ltr" { (tenant) } }),
        ("Way", html! { (way(one)) }),
        ("State", state(one)),
        ("Rows", rows(one)),
        ("Octets", html! { (one.bytes) }),
        ("Asked for by", html! { span dir="ltr" { (one.asked_by) } }),
        ("Asked for", when(one.asked_at)),
        ("File kept until", one.file_until.map_or_else(|| html! { "–" }, when)),
    ]);
    let restore = html! {
        (passphrase(refused))
        (field::text("public_key", "Public key of its audit trail").hint("As you kept it elsewhere; what another key has signed is refused then").autocomplete("off").error(refused.at("public_key")))
        (field::checkbox("switch", "Open the tenant at once").value("on").hint("Without it the tenant is shut until you have compared its hashes and opened it."))
        (form::actions(&html! { (form::submit("Restore").weight(form::Weight::Primary)) }))
    };
    let may_restore =
        matches!(one.state.as_str(), "uploading" | "failed") && one.direction == Direction::Import;
    let at_work = matches!(one.state.as_str(), "waits" | "working" | "arriving");
    let body = html! {
        (refused.summary(words, &["passphrase", "public_key"]))
        @if let Some(problem) = &one.problem {
            (feedback::notice(Tone::Bad, "It failed, and nothing of it happened", &html! { p { (problem) } }))
        }
        @if at_work { (feedback::progress("Rows", one.rows_done.unsigned_abs(), None, &one.rows_done.to_string())) }
        (card::panel(&facts))
        @if may_restore { (card::card("Restore", &html! {}, &form::post(&format!("{at}/restore"), "", &restore))) }
        @if let Some(manifest) = &one.manifest { (held(words, manifest)) }
        @if one.file_until.is_some() && !at_work {
            (form::post(&format!("{at}/remove"), "", &form::actions(&html! { (form::submit("Remove the file").weight(form::Weight::Danger)) })))
        }
    };
    let breadcrumbs =
        browse::breadcrumbs(words, &[("Tenants", "/tenants"), ("Suitcases", "/suitcases")], "Suitcase");
    let actions = html! {
        @if at_work { (form::link("Look again", &at).icon(Icon::Refresh)) }
        @if one.state == "ready" { (form::link("Download", &format!("{at}/file")).icon(Icon::ArrowDown)) }
    };
    Content { breadcrumbs, actions, ..Content::new("Suitcase", body) }
}

async fn show(visitor: Visitor, Path(id): Path<String>) -> Result<Response, PageProblem> {
    let one = super::get(&visitor.scope, id.parse()?).await?;
    Ok(visitor.page(one_content(&visitor, &one, &Refused::NONE)))
}

async fn restore(
    visitor: Visitor,
    Path(id): Path<String>,
    Form(given): Form<Given>,
) -> Result<Response, PageProblem> {
    let id: SuitcaseId = id.parse()?;
    let key = Some(given.public_key.trim().to_owned()).filter(|key| !key.is_empty());
    let asked = AskRestore { passphrase: given.passphrase, open: given.switch.is_some(), public_key: key };
    match super::ask_restore(&visitor.scope, id, asked).await {
        Ok(_) => Ok(console::done(&format!("/suitcases/{id}"), "It is being checked, and restored then.")),
        Err(error) => {
            let one = super::get(&visitor.scope, id).await?;
            Ok(visitor.page_again(one_content(&visitor, &one, &Refused::by(error)?)))
        }
    }
}

async fn remove(visitor: Visitor, Path(id): Path<String>) -> Result<Response, PageProblem> {
    let id: SuitcaseId = id.parse()?;
    super::remove(&visitor.scope, id).await?;
    Ok(console::done(&format!("/suitcases/{id}"), "The file is removed."))
}

async fn file(visitor: Visitor, Path(id): Path<String>) -> Result<Response, PageProblem> {
    Ok(super::api::download(&visitor.scope, id.parse()?, false).await?.into_response())
}

async fn file_own(visitor: Visitor, Path(id): Path<String>) -> Result<Response, PageProblem> {
    Ok(super::api::download(&visitor.scope, id.parse()?, true).await?.into_response())
}

/// The routes.
pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/organisation/suitcases", get(own).post(ask_own))
        .route("/organisation/suitcases/{id}/file", get(file_own))
        .route("/tenants/{id}/suitcases", get(of).post(ask_any))
        .route("/suitcases", get(list))
        .route("/suitcases/{id}", get(show))
        .route("/suitcases/{id}/restore", post(restore))
        .route("/suitcases/{id}/remove", post(remove))
        .route("/suitcases/{id}/file", get(file))
}
