//! Tenants that leave and come, in the console.

use axum::Router;
use axum::extract::{Multipart, Path};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use maud::{Markup, html};
use serde::Deserialize;
use types::{Code, Error, Permission, SuitcaseId, TenantId};
use web::console::Content;
use web::ui::icon::Icon;
use web::ui::table::{column, row, table};
use web::ui::timeline::relative_time;
use web::ui::tone::Tone;
use web::ui::words::Words;
use web::ui::{badge, browse, card, code, feedback, field, figure, form, live};
use web::{App, Form, PageProblem, Paging, Query, Refused, Visitor, console};

use super::{AskRestore, AskSuitcase, Direction, Manifest, Octets, Step, Suitcase};
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

/// Octets of a piece that script sends, where the server takes bodies of that size.
const PIECE_BYTES_MAX: usize = 4 << 20;

fn at_work(one: &Suitcase) -> bool {
    matches!(one.state.as_str(), "waits" | "working" | "arriving")
}

fn step(one: &Suitcase) -> &'static str {
    match one.step {
        None if one.state == "arriving" => "Taking up its work",
        None => "Waiting for its turn",
        Some(Step::Drains) => "Waiting for what carriers have not answered",
        Some(Step::Packs) => "Packing",
        Some(Step::Checks) => "Checking the file; nothing is written yet",
        Some(Step::Restores) => "Restoring",
        Some(Step::Compares) => "Comparing with what the file says",
    }
}

/// How far the work has come: step, share, rows and the table under way.
fn progress(one: &Suitcase) -> Markup {
    let at = one.at_table.as_deref().filter(|at| !at.is_empty());
    let rows = format!("{} rows", figure::count(one.rows_done.unsigned_abs()));
    let table = at.map(|at| format!(", {at}")).unwrap_or_default();
    match one.share {
        Some(share) => {
            feedback::progress(step(one), share.into(), Some(100), &format!("{share} %, {rows}{table}"))
        }
        None => feedback::progress(step(one), 0, None, &rows),
    }
}

/// How far it has come, in a cell.
fn reached(one: &Suitcase) -> Markup {
    let uploaded = |total: i64| {
        let [here, all] = [one.bytes, total].map(|bytes| figure::octets(bytes.unsigned_abs()));
        format!("{here} of {all}")
    };
    match (one.state.as_str(), one.share, one.bytes_total) {
        (_, Some(share), _) => html! { (step(one)) ", " (share) " %" },
        ("uploading", _, Some(total)) => html! { (uploaded(total)) },
        ("uploading", ..) => html! { bdi dir="ltr" { (figure::octets(one.bytes.unsigned_abs())) } },
        _ => html! { bdi dir="ltr" { (figure::count(one.rows_done.unsigned_abs())) " rows" } },
    }
}

fn passphrase<'a>(hint: &'a str, refused: &'a Refused) -> field::Field<'a> {
    field::secret("passphrase", "Passphrase")
        .hint(hint)
        .autocomplete("off")
        .max_chars(1_024)
        .error(refused.at("passphrase"))
        .required()
}

/// The form that asks for a file, with what it means.
fn ask(at: &str, may_suspend: bool, refused: &Refused) -> Markup {
    let fields = html! {
        (passphrase("At least 12 characters; nobody opens the file without it, and it is kept nowhere", refused))
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

/// The list, which looks again by itself while something is under way.
fn listed(words: &'static Words, page: &types::Page<Suitcase>, (at, own): (&str, bool)) -> Markup {
    let shown = page.items.iter().map(|one| {
        let tenant = one.manifest.as_ref().map(|manifest| manifest.name.clone());
        let tenant = tenant.or_else(|| one.tenant.map(|tenant| tenant.to_string()));
        let name = html! {
            @if own { (relative_time(&one.asked_at.to_string(), &one.asked_at.to_minute())) }
            @else { a href={ "/suitcases/" (one.id) } { bdi { (tenant.as_deref().unwrap_or("Not opened yet")) } } }
        };
        let file = html! {
            @if one.state == "ready" {
                a href={ (at) "/" (one.id) "/file" } { "Download" } " " bdi dir="ltr" { "(" (figure::octets(one.bytes.unsigned_abs())) ")" }
            } @else if own && one.problem.is_some() {
                (one.problem.as_deref().unwrap_or_default())
            } @else { "–" }
        };
        row(vec![name, html! { (way(one)) }, state(one), reached(one), file])
    });
    let first = if own { column("Asked for") } else { column("Tenant") };
    let columns = vec![first, column("Way"), column("State"), column("How far"), column("File")];
    let text = match own {
        true => "Choose a passphrase and pack it. The file is offered here when it is ready.",
        false => "A tenant leaves from its own page. One comes here by its file: bring it.",
    };
    let empty = feedback::empty(Icon::ArrowDown, "No tenant has left or come", text, &html! {});
    let older = page.next.as_ref().map(|next| format!("{at}?after={next}"));
    html! {
        (table("Suitcases", columns, shown.collect()).empty(empty))
        (browse::pager(words, None, older.as_deref(), ""))
    }
}

/// The list as a region of its page.
fn region(at: &str, paging: &Paging, page: &types::Page<Suitcase>, inner: &Markup) -> Markup {
    let here = match &paging.after {
        Some(after) => format!("{at}?after={after}"),
        None => at.to_owned(),
    };
    let topics: &[&str] =
        if page.items.iter().any(at_work) { &["tenant", web::stream::PULSE] } else { &["tenant"] };
    live::live("suitcases", &here, topics, inner)
}

async fn own_content(
    visitor: &Visitor,
    paging: &Paging,
    refused: &Refused,
) -> Result<Content<'static>, PageProblem> {
    let words = Words::for_lang(&visitor.person.language);
    let page = super::list_own(&visitor.scope, paging).await?;
    let at = "/organisation/suitcases";
    let shown = listed(words, &page, (at, true));
    if visitor.taste.fragment {
        return Ok(Content::new("Take the organisation away", shown));
    }
    let body = html! {
        @if crate::erasure::is_platform(&visitor.scope).await? {
            (card::panel(&feedback::empty(
                Icon::Lock,
                "The installation's own tenant stays with it",
                "Move the whole installation instead: its database, its data folder and its root key.",
                &html! {},
            )))
        } @else {
            (refused.summary(words, &["passphrase"]))
            (ask(at, false, refused))
            (region(at, paging, &page, &shown))
        }
    };
    let breadcrumbs = browse::breadcrumbs(words, &[("Organisation", "/organisation")], "Take it away");
    Ok(Content { breadcrumbs, ..Content::new("Take the organisation away", body) })
}

async fn own(visitor: Visitor, Query(paging): Query<Paging>) -> Result<Response, PageProblem> {
    Ok(visitor.page_or_fragment(own_content(&visitor, &paging, &Refused::NONE).await?))
}

async fn ask_own(visitor: Visitor, Form(given): Form<Given>) -> Result<Response, PageProblem> {
    let asked = AskSuitcase { passphrase: given.passphrase, suspend: false };
    match super::ask_own(&visitor.scope, asked).await {
        Ok(_) => Ok(console::done(
            "/organisation/suitcases",
            "It is being packed. The file is offered below when it is ready.",
        )),
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
    let shown = listed(words, &page, ("/suitcases", false));
    let visitor = visitor.under("/tenants");
    let body = match visitor.taste.fragment {
        true => shown,
        false => region("/suitcases", &paging, &page, &shown),
    };
    let actions = html! {
        @if visitor.scope.permissions().contains(Permission::TenantRestore) {
            (form::post("/suitcases", "", &html! { (form::submit("Bring a tenant").icon(Icon::Plus)) }))
        }
    };
    Ok(visitor.page_or_fragment(Content { breadcrumbs, actions, ..Content::new("Suitcases", body) }))
}

/// A new suitcase, whose file follows.
async fn begin(visitor: Visitor) -> Result<Response, PageProblem> {
    let one = super::begin_upload(&visitor.scope).await?;
    Ok(console::done(&format!("/suitcases/{}", one.id), "Choose the file now."))
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

fn facts(one: &Suitcase) -> Markup {
    let when = |at: types::Timestamp| relative_time(&at.to_string(), &at.to_minute());
    let tenant = html! {
        @match (&one.manifest, one.tenant) {
            (Some(manifest), Some(id)) if one.state != "failed" => a href={ "/tenants/" (id) } { bdi { (manifest.name) } },
            (_, Some(id)) => code dir="ltr" { (id) },
            (_, None) => "Known when the file is opened",
        }
    };
    card::facts(&[
        ("Tenant", tenant),
        ("Way", html! { (way(one)) }),
        ("State", state(one)),
        ("Rows", html! { (figure::count(one.rows_done.unsigned_abs())) }),
        ("File", html! { bdi dir="ltr" { (figure::octets(one.bytes.unsigned_abs())) } }),
        ("Asked for by", html! { span dir="ltr" { (one.asked_by) } }),
        ("Asked for", when(one.asked_at)),
        ("File kept until", one.file_until.map_or_else(|| html! { "–" }, when)),
    ])
}

/// Whether all of an uploaded file is here, as far as that is known.
fn is_whole(one: &Suitcase) -> bool {
    one.bytes > 0 && one.bytes_total.is_none_or(|total| one.bytes >= total)
}

/// The form that takes the file.
fn upload(visitor: &Visitor, one: &Suitcase, refused: &Refused) -> Markup {
    let words = Words::for_lang(&visitor.person.language);
    let (at, record) = (format!("/suitcases/{}/file", one.id), format!("/api/v1/suitcases/{}", one.id));
    let most = visitor.scope.runtime().config.http.body_bytes_max;
    let hint = match one.bytes_total.filter(|_| one.bytes > 0) {
        Some(total) => format!(
            "{} of {} are here. Choose the same file, and it goes on from there.",
            figure::octets(one.bytes.unsigned_abs()),
            figure::octets(total.unsigned_abs())
        ),
        None => "As it was packed. It goes in pieces: what breaks off goes on where it stood.".to_owned(),
    };
    let fields = html! {
        (field::file("file", "File", None).hint(&hint).error(refused.at("file").or(refused.at("offset"))).required())
        noscript { p class="hint" {
            "Without script in your browser it has at most " (figure::octets(most as u64))
            ". A larger one comes by: switchboard tenant import FILE."
        } }
        (form::actions(&html! { (form::submit("Upload").weight(form::Weight::Primary)) }))
    };
    form::upload_in_pieces(words, (&at, &record), most.min(PIECE_BYTES_MAX), &fields)
}

fn restore_form(one: &Suitcase, refused: &Refused) -> Markup {
    let fields = html! {
        (passphrase("As it was given when the tenant was packed", refused))
        (field::text("public_key", "Public key of its audit trail").hint("As you kept it elsewhere; what another key has signed is refused then").autocomplete("off").mono().error(refused.at("public_key")))
        (field::checkbox("switch", "Open the tenant at once").value("on").hint("Without it the tenant is shut until you have compared its hashes and opened it."))
        (form::actions(&html! { (form::submit("Check and restore").weight(form::Weight::Primary)) }))
    };
    let checked = html! {
        div class="prose" { ul {
            li { "All of the file is read and checked before the first row is written." }
            li { "Then all rows come at once, or none." }
            li { "At the end each table has the hash that it had where it was packed." }
        } }
        p { "Restore only what comes from whom you trust: the file says what the tenant's settings and waiting work are." }
    };
    card::split(
        &card::card(
            "Restore",
            &html! {},
            &form::post(&format!("/suitcases/{}/restore", one.id), "", &fields),
        ),
        &card::card("What happens", &html! {}, &checked),
    )
}

/// What became of it, and what to do next.
fn outcome(one: &Suitcase) -> Markup {
    let told = one.problem.as_deref().unwrap_or_default();
    let (code, why) = told.split_once(": ").unwrap_or(("", told));
    html! {
        @if one.problem.is_some() {
            (feedback::notice(Tone::Bad, "It failed, and nothing of it happened", &html! {
                p { (why) }
                @if !code.is_empty() { p { a href={ "/docs/errors#" (code) } { "About " code dir="ltr" { (code) } } } }
                @if code == Code::SuitcaseDamaged.as_str() { p { "Bring the tenant again, with a file that was copied anew." } }
            }))
        }
        @if let (true, Some(tenant)) = (one.state == "done", one.tenant) {
            (feedback::notice(Tone::Good, "The tenant is here", &html! {
                p {
                    "Each table has the hash that it had where it was packed. "
                    @if one.switched { "It is open." } @else { "It is shut until you open it." }
                }
                p { a href={ "/tenants/" (tenant) } { "To the tenant" } }
            }))
        }
        @if one.state == "ready" {
            (feedback::notice(Tone::Good, "The file is ready", &html! {
                p { "Whoever restores it needs the passphrase too." }
            }))
        }
    }
}

fn one_content(visitor: &Visitor, one: &Suitcase, refused: &Refused) -> Content<'static> {
    let words = Words::for_lang(&visitor.person.language);
    let at = format!("/suitcases/{}", one.id);
    let comes = one.direction == Direction::Import;
    let may_restore = comes && matches!(one.state.as_str(), "uploading" | "failed");
    let inner = html! {
        (refused.summary(words, &["file", "offset", "passphrase", "public_key"]))
        (outcome(one))
        @if at_work(one) { (card::panel(&progress(one))) }
        @if one.state == "uploading" && !is_whole(one) {
            (card::card("Upload the file", &html! {}, &upload(visitor, one, refused)))
        } @else if may_restore {
            (restore_form(one, refused))
        }
        (card::panel(&facts(one)))
        @if let Some(manifest) = &one.manifest { (held(words, manifest)) }
        @if one.file_until.is_some() && !at_work(one) {
            (form::post(&format!("{at}/remove"), "", &form::actions(&html! { (form::submit("Remove the file").weight(form::Weight::Danger)) })))
        }
    };
    let region = |inner| live::live("suitcase", &at, &[web::stream::PULSE, "tenant"], inner);
    let body = if at_work(one) && !visitor.taste.fragment { region(&inner) } else { inner };
    let breadcrumbs =
        browse::breadcrumbs(words, &[("Tenants", "/tenants"), ("Suitcases", "/suitcases")], "Suitcase");
    let actions = html! {
        @if one.state == "ready" { (form::link("Download", &format!("{at}/file")).icon(Icon::ArrowDown)) }
    };
    Content { breadcrumbs, actions, ..Content::new("Suitcase", body) }
}

async fn show(visitor: Visitor, Path(id): Path<String>) -> Result<Response, PageProblem> {
    let visitor = visitor.under("/tenants");
    let one = super::get(&visitor.scope, id.parse()?).await?;
    if visitor.taste.fragment && !at_work(&one) {
        // It is over: the page has other buttons and no region now.
        return Ok([("HX-Refresh", "true")].into_response());
    }
    Ok(visitor.page_or_fragment(one_content(&visitor, &one, &Refused::NONE)))
}

/// The octets of the form's file.
async fn sent(mut given: Multipart) -> types::Result<Octets> {
    let broken = |error: axum::extract::multipart::MultipartError| {
        Error::new(Code::BadRequest, "the form cannot be read").because(error)
    };
    while let Some(part) = given.next_field().await.map_err(broken)? {
        if part.name() == Some("file") {
            let octets = part.bytes().await.map_err(broken)?.to_vec();
            if !octets.is_empty() {
                return Ok(Octets { offset: 0, total: Some(octets.len() as i64), octets });
            }
        }
    }
    Err(Error::invalid("file", "choose a file that has something in it"))
}

/// Takes a file that comes at once, from a browser without script.
async fn receive(
    visitor: Visitor,
    Path(id): Path<String>,
    given: Multipart,
) -> Result<Response, PageProblem> {
    let id: SuitcaseId = id.parse()?;
    let received = match sent(given).await {
        Ok(octets) => super::receive(&visitor.scope, id, octets).await,
        Err(error) => Err(error),
    };
    match received {
        Ok(_) => Ok(console::done(&format!("/suitcases/{id}"), "The file is here.")),
        Err(error) => {
            let visitor = visitor.under("/tenants");
            let one = super::get(&visitor.scope, id).await?;
            Ok(visitor.page_again(one_content(&visitor, &one, &Refused::by(error)?)))
        }
    }
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
            let visitor = visitor.under("/tenants");
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
        .route("/suitcases", get(list).post(begin))
        .route("/suitcases/{id}", get(show))
        .route("/suitcases/{id}/restore", post(restore))
        .route("/suitcases/{id}/remove", post(remove))
        .route("/suitcases/{id}/file", get(file).post(receive))
}
