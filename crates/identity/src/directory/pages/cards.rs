//! What a directory's page shows above its form: the trial, the readings, the people.

use axum::Router;
use axum::extract::Path;
use axum::response::Response;
use axum::routing::{get, post};
use maud::{Markup, Render, html};
use serde::Deserialize;
use types::{Error, Permission};
use web::console::Content;
use web::ui::icon::Icon;
use web::ui::table::{column, row, table};
use web::ui::timeline::relative_time;
use web::ui::tone::Tone;
use web::ui::words::Words;
use web::ui::{badge, card, feedback, field, form, live};
use web::{App, Form, PageProblem, Paging, Refused, Visitor, console};

use super::super::run::{self, Action, DirectoryRun, NewRun, RunOutcome};
use super::super::trial::{self, DirectoryTrial, NewTrial};
use super::super::{Directory, UntiedPerson};
use super::{DirectoryForm, shown};

/// Readings and people that the page shows.
const SHOWN: &str = "10";
/// Changes of a reading that the page lists.
const CHANGES_SHOWN: usize = 20;

/// A trial that was made, for the page that shows it.
#[derive(Default)]
pub(super) struct Tried {
    login: String,
    came: Option<DirectoryTrial>,
}

/// The trial: its form, and what came of the last one.
pub(super) fn trial(visitor: &Visitor, directory: &Directory, tried: &Tried) -> Markup {
    let words = Words::for_lang(&visitor.person.language);
    let action = format!("/directories/{}/try", directory.id);
    card::card(
        "Try it",
        &html! {},
        &html! {
            p { "Connects, agrees on TLS, binds and looks for one person. Nothing is changed, and no password of theirs is needed." }
            (form::post(&action, "", &html! {
                (field::email("login", "E-mail address of a person").value(&tried.login).words(words).hint("Only the connection is tried when left empty"))
                (form::actions(&html! { (form::submit("Try").weight(form::Weight::Plain)) }))
            }))
            @if let Some(came) = &tried.came { div role="status" { (result(came)) } }
        },
    )
}

fn result(came: &DirectoryTrial) -> Markup {
    let rows = came.steps.iter().map(|step| {
        row(vec![
            html! { (step_title(&step.step)) @if let Some(server) = &step.server { " " code dir="ltr" { (server) } } },
            match step.done {
                true => badge::badge_icon(Tone::Good, Icon::Check, "done"),
                false => badge::badge_icon(Tone::Bad, Icon::Warning, "failed"),
            },
            html! { bdi { (step.detail) } },
            html! { (step.took_ms) " ms" },
        ])
    });
    let heads = vec![column("Step"), column("Result"), column("Detail"), column("Took").number().detail()];
    html! {
        @match came.done {
            true => (feedback::notice(Tone::Good, "It works.", &html! {})),
            false => (feedback::notice(Tone::Bad, "It does not work yet.", &html! { "The last step below says why." })),
        }
        (table("Steps", heads, rows.collect()))
        @if let Some(person) = &came.person {
            @let groups = html! { @if person.groups.is_empty() { "none" } @for group in &person.groups { code dir="ltr" { (group) } br; } };
            @let role = html! { @match &person.role { Some(role) => (role), None => "none: they are not let in" } };
            (card::facts(&[
                ("Entry", html! { code dir="ltr" { (person.dn) } }),
                ("Name", html! { bdi { (person.name.as_deref().unwrap_or("none")) } }),
                ("E-mail", html! { bdi { (person.email.as_deref().unwrap_or("none")) } }),
                ("Groups", groups),
                ("Role", role),
                ("Let in there", html! { (person.shut.as_deref().unwrap_or("yes")) }),
                ("Tied to a user", html! { (if person.tied { "yes" } else { "not yet" }) }),
            ]))
        }
    }
}

fn step_title(step: &str) -> &str {
    match step {
        "connect" => "Connect",
        "tls" => "TLS",
        "bind" => "Bind",
        "search" => "Find the person",
        "groups" => "Find their groups",
        other => other,
    }
}

fn run_state(run: &DirectoryRun) -> Markup {
    match run.state.as_str() {
        "done" if run.dry => badge::badge_icon(Tone::Good, Icon::Check, "said what it would"),
        "done" => badge::badge_icon(Tone::Good, Icon::Check, "done"),
        "held" => badge::badge_icon(Tone::Warn, Icon::Pause, "held back"),
        "failed" => badge::badge_icon(Tone::Bad, Icon::Warning, "failed"),
        _ => badge::badge_icon(Tone::Info, Icon::Clock, "running"),
    }
}

fn numbers(outcome: &RunOutcome) -> String {
    let counts = [
        (outcome.created, "made"),
        (outcome.tied, "tied"),
        (outcome.roles, "other role"),
        (outcome.renamed, "renamed"),
        (outcome.left, "shut out"),
        (outcome.returned, "back"),
        (outcome.skipped, "no users"),
        (outcome.spared, "spared"),
    ];
    let told: Vec<_> =
        counts.into_iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
    if told.is_empty() { "nothing to change".to_owned() } else { told.join(", ") }
}

fn line(action: &Action) -> Markup {
    let user = |id: &types::UserId| html! { a href=(format!("/users/{id}")) { (id) } };
    match action {
        Action::Create { email, role } => html! { bdi { (email) } " becomes a user as " (role) },
        Action::Tie { user_id } => html! { (user(user_id)) " is tied" },
        Action::Role { user_id, from, to } => html! { (user(user_id)) ": " (from) " → " (to) },
        Action::Rename { user_id } => html! { (user(user_id)) " gets the directory's name" },
        Action::Leave { user_id, why } => html! { (user(user_id)) " is shut out: " (why) },
        Action::Return { user_id } => html! { (user(user_id)) " is let in again" },
    }
}

/// The last readings, what the newest would change, and the buttons that begin one.
pub(super) async fn readings(visitor: &Visitor, directory: &Directory) -> Result<Markup, PageProblem> {
    let few = Paging { limit: Some(SHOWN.to_owned()), after: None };
    let runs = run::list(&visitor.scope, directory.id, &few).await?.items;
    let may = visitor.scope.permissions().contains(Permission::ProviderChange);
    let path = format!("/directories/{}/runs", directory.id);
    let inner = list(&runs, may.then_some(path.as_str()));
    let next = directory.read_next_at.map(|at| relative_time(&at.to_string(), &at.to_minute()));
    Ok(card::card(
        "Readings",
        &html! {},
        &html! {
            p {
                "A reading lets users follow the directory: new people, roles, and who is let in no more. "
                @match next { Some(next) => { "The next one is due " (next) "." }, None => "None comes by itself." }
            }
            @if may {
                (form::post(&path, "", &form::actions(&html! {
                    (form::submit("Say what would change").weight(form::Weight::Plain).sends("dry", "yes"))
                    @if directory.active { (form::submit("Read it now").weight(form::Weight::Plain).sends("dry", "")) }
                })))
            }
            (live::live("readings", &format!("/directories/{}/readings", directory.id), &["directory"], &inner))
        },
    ))
}

fn list(runs: &[DirectoryRun], begin: Option<&str>) -> Markup {
    let rows = runs.iter().map(|run| {
        row(vec![
            relative_time(&run.started_at.to_string(), &run.started_at.to_minute()),
            run_state(run),
            html! { (run.entries) },
            html! {
                @if let Some(reason) = &run.outcome.reason { bdi { (reason) } ". " }
                (numbers(&run.outcome))
            },
        ])
    });
    let heads = vec![column("When"), column("State"), column("People").number(), column("What came of it")];
    let newest = runs.first();
    let held = newest.filter(|run| run.state == "held").and_then(|run| run.outcome.leaving);
    html! {
        @if let (Some(leaving), Some(begin)) = (held, begin) {
            (feedback::notice(Tone::Warn, "The last reading is held back.", &html! {
                p { "It would shut out " (leaving) " users at once, so nothing was changed. Is the directory whole, and asked as it should be?" }
                (form::post(begin, "", &html! {
                    input type="hidden" name="leavers_max" value=(leaving);
                    (form::actions(&html! { (form::submit("They may go: read it again").weight(form::Weight::Danger)) }))
                }))
            }))
        }
        @if runs.is_empty() { p { "It was not read yet." } } @else { (table("Readings", heads, rows.collect()).dense().render()) }
        @if let Some(newest) = newest.filter(|run| !run.outcome.changes.is_empty()) {
            h3 { (if newest.dry || newest.state == "held" { "What the last one would change" } else { "What the last one changed" }) }
            ul {
                @for action in newest.outcome.changes.iter().take(CHANGES_SHOWN) { li { (line(action)) } }
            }
            @if newest.outcome.changes.len() > CHANGES_SHOWN { p { "There are more; the API and the command line show them." } }
        }
    }
}

/// Who is tied to it.
pub(super) async fn people(visitor: &Visitor, directory: &Directory) -> Result<Markup, PageProblem> {
    let few = Paging { limit: Some(SHOWN.to_owned()), after: None };
    let page = super::super::people(&visitor.scope, directory.id, &few).await?;
    let may = visitor.scope.permissions().contains(Permission::ProviderChange);
    let action = format!("/directories/{}/untie", directory.id);
    let rows = page.items.iter().map(|one| {
        row(vec![
            html! { a href=(format!("/users/{}", one.user_id)) { (one.user_name) } },
            html! { code dir="ltr" { (one.dn) } },
            html! { (one.role) },
            html! { (one.status) @if one.left_at.is_some() { ", left" } },
            html! {
                @if may {
                    (form::post(&action, "", &html! {
                        input type="hidden" name="user_id" value=(one.user_id);
                        (form::submit("Untie").weight(form::Weight::Plain))
                    }))
                }
            },
        ])
    });
    let heads = vec![column("User"), column("Entry").detail(), column("Role"), column("State"), column("")];
    Ok(card::card(
        "People",
        &html! {},
        &html! {
            @if page.items.is_empty() { p { "Nobody is tied yet. People are when they sign in, and by readings." } }
            @else { (table("People", heads, rows.collect()).render()) }
            @if page.next.is_some() { p { "There are more; the API and the command line show them all." } }
        },
    ))
}

#[derive(Debug, Default, Deserialize)]
struct TryForm {
    #[serde(default)]
    login: String,
}

async fn attempt(
    visitor: Visitor,
    Path(id): Path<String>,
    Form(given): Form<TryForm>,
) -> Result<Response, PageProblem> {
    let id = id.parse()?;
    let came = trial::attempt(&visitor.scope, id, &NewTrial { login: given.login.clone() }).await?;
    let directory = super::super::get(&visitor.scope, id).await?;
    let tried = Tried { login: given.login, came: Some(came) };
    let form = DirectoryForm::of(&directory);
    let content = shown(&visitor, &directory, &form, (&Refused::NONE, &tried)).await?;
    Ok(visitor.page(Content { title: &directory.name, ..content }))
}

#[derive(Debug, Default, Deserialize)]
struct RunForm {
    dry: Option<String>,
    leavers_max: Option<i64>,
}

async fn start(
    visitor: Visitor,
    Path(id): Path<String>,
    Form(given): Form<RunForm>,
) -> Result<Response, PageProblem> {
    let id = id.parse()?;
    let wanted = NewRun { dry: given.dry.is_some(), leavers_max: given.leavers_max };
    match run::start(&visitor.scope, id, wanted).await {
        Ok(_) => Ok(console::done(&format!("/directories/{id}"), "The directory is being read.")),
        Err(error) => {
            let refused = Refused::by(error)?;
            let directory = super::super::get(&visitor.scope, id).await?;
            let form = DirectoryForm::of(&directory);
            Ok(visitor.page_again(shown(&visitor, &directory, &form, (&refused, &Tried::default())).await?))
        }
    }
}

/// The readings alone, for the page that follows them.
async fn followed(visitor: Visitor, Path(id): Path<String>) -> Result<Response, PageProblem> {
    let id = id.parse()?;
    let few = Paging { limit: Some(SHOWN.to_owned()), after: None };
    let runs = run::list(&visitor.scope, id, &few).await?.items;
    let may = visitor.scope.permissions().contains(Permission::ProviderChange);
    let begin = format!("/directories/{id}/runs");
    Ok(visitor.page_or_fragment(Content::new("Readings", list(&runs, may.then_some(begin.as_str())))))
}

#[derive(Debug, Default, Deserialize)]
struct UntieForm {
    #[serde(default)]
    user_id: String,
}

async fn untie(
    visitor: Visitor,
    Path(id): Path<String>,
    Form(given): Form<UntieForm>,
) -> Result<Response, PageProblem> {
    let id = id.parse()?;
    let user_id = given.user_id.parse().map_err(|error: Error| error.at("user_id"))?;
    super::super::untie(&visitor.scope, id, &UntiedPerson { user_id }).await?;
    Ok(console::done(&format!("/directories/{id}"), "The user follows the directory no longer."))
}

/// The routes.
pub(super) fn router() -> Router<App> {
    Router::new()
        .route("/directories/{id}/try", post(attempt))
        .route("/directories/{id}/runs", post(start))
        .route("/directories/{id}/readings", get(followed))
        .route("/directories/{id}/untie", post(untie))
}
