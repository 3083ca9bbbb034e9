//! The program itself in the console.

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};
use maud::{Markup, Render, html};
use messaging::Gateway;
use types::{Permission, Result};
use web::console::{Content, NavEntry, done};
use web::ui::card::{self, Stat};
use web::ui::form::{self, Weight};
use web::ui::icon::Icon;
use web::ui::table::{column, row, table};
use web::ui::tone::Tone;
use web::ui::{badge, feedback, figure, live, timeline};
use web::{PageProblem, Visitor};

use super::{LastReload, Setting, System};

/// Its place in the navigation.
pub const NAV: &[NavEntry] = &[NavEntry {
    group: "Platform",
    label: "System",
    href: "/system",
    icon: Icon::Gear,
    key: None,
    permission: Permission::SystemView,
}];

fn duration(seconds: i64) -> String {
    match seconds {
        ..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// Octets as people compare them; a dash where they are not known.
fn octets(bytes: Option<u64>) -> String {
    bytes.map_or_else(|| "–".to_owned(), figure::octets)
}

fn figures(system: &System) -> Markup {
    let uptime = duration(system.uptime_s);
    let memory = octets(system.process.resident_bytes.map(|bytes| bytes as u64));
    let free = octets(system.disk.free_bytes);
    let jobs = system.database.jobs.to_string();
    let dead = format!("{} set aside", system.database.dead_jobs);
    card::stats(&[
        Stat { label: "Version", value: system.version, ..Stat::default() },
        Stat { label: "Running for", value: &uptime, ..Stat::default() },
        Stat { label: "Memory", value: &memory, ..Stat::default() },
        Stat { label: "Free on the data disk", value: &free, ..Stat::default() },
        Stat {
            label: "Jobs",
            value: &jobs,
            note: Some(&dead),
            tone: if system.database.dead_jobs > 0 { Tone::Warn } else { Tone::Neutral },
            ..Stat::default()
        },
    ])
}

fn listeners(system: &System) -> Markup {
    let rows = system.listeners.iter().map(|listener| {
        row(vec![
            html! { (listener.what) },
            html! { code dir="ltr" { (listener.address) } },
            html! { @if listener.tls { (badge::badge(Tone::Good, "TLS")) } @else { "no" } },
        ])
    });
    let columns = vec![column("Listener"), column("Address"), column("TLS")];
    table("Listeners", columns, rows.collect()).render()
}

fn last_reload(last: &LastReload) -> Markup {
    let at = last.at.to_string();
    html! {
        p { "Read again " (timeline::relative_time(&at, &at)) "." }
        @match &last.taken {
            Some(told) => {
                ul {
                    @for one in &told.applied { li { code { (one.key) } " is now " code { (one.after) } } }
                    @for one in &told.after_restart { li { code { (one.key) } " needs a restart" } }
                }
                @if told.applied.is_empty() && told.after_restart.is_empty() { p class="hint" { "Nothing had changed." } }
            }
            None => {
                (feedback::notice(Tone::Bad, "The configuration was refused; the former one is in force", &html! {
                    ul { @for finding in &last.mistakes { li { (finding) } } }
                }))
            }
        }
    }
}

fn configuration(settings: &[Setting]) -> Markup {
    let rows = settings.iter().map(|setting| {
        row(vec![
            html! { code { (setting.key) } },
            html! { code { (setting.value) } @if setting.changed { " " (badge::badge(Tone::Info, "changed")) } },
            html! { (setting.origin) },
            html! { @if setting.at_once { "at once" } @else { "at the next start" } },
        ])
    });
    let columns =
        vec![column("Setting"), column("Value"), column("From"), column("A new value counts").detail()];
    table("Configuration", columns, rows.collect()).id("configuration").dense().render()
}

async fn page(State(gateway): State<Gateway>, visitor: Visitor) -> Result<Response, PageProblem> {
    let system = super::look(&visitor.scope, &gateway.engine).await?;
    let database = &system.database;
    let moving = html! {
        (figures(&system))
        (card::card("Database", &html! {}, &card::facts(&[
            ("Address", html! { code dir="ltr" { (database.url) } }),
            ("Answers", html! { @if database.answers { (badge::badge(Tone::Good, "Yes")) } @else { (badge::badge(Tone::Bad, "No")) } }),
            ("Data folder", html! { code dir="ltr" { (system.disk.folder) } }),
            ("Messages in memory", html! { (system.messages_in_memory) }),
            ("Writes that wait", html! { (system.writes_waiting) }),
        ])))
    };
    if visitor.taste.fragment {
        return Ok(visitor.page_or_fragment(Content::new("System", moving)));
    }
    let may_reload = visitor.scope.permissions().contains(Permission::SystemManage);
    let actions = html! {
        @if may_reload {
            form method="post" action="/system/reload" {
                (form::submit("Read the configuration again").weight(Weight::Primary).icon(Icon::Refresh))
            }
        }
    };
    let body = html! {
        (live::live("system-live", "/system", &[web::stream::PULSE], &moving))
        @if let Some(last) = &system.last_reload { (card::card("Last reload", &html! {}, &last_reload(last))) }
        (card::card("Listeners", &html! {}, &listeners(&system)))
        (card::card("Configuration", &html! {}, &configuration(&system.configuration)))
    };
    Ok(visitor.page_or_fragment(Content { actions, ..Content::new("System", body) }))
}

async fn reload(visitor: Visitor) -> Result<Response, PageProblem> {
    let sentence = match super::reload(&visitor.scope).await {
        Ok(told) => match (told.applied.len(), told.after_restart.len()) {
            (0, 0) => "Nothing had changed.".to_owned(),
            (applied, 0) => format!("{applied} settings were taken over."),
            (applied, restart) => format!("{applied} settings were taken over; {restart} need a restart."),
        },
        // The page shows every mistake.
        Err(refused) if refused.code() == types::Code::InvalidConfiguration => {
            "The configuration was refused; the former one stays in force.".to_owned()
        }
        Err(other) => return Err(PageProblem(other)),
    };
    Ok(done("/system", &sentence))
}

/// The routes.
pub(crate) fn router() -> Router<Gateway> {
    Router::new().route("/system", get(page)).route("/system/reload", post(reload))
}
