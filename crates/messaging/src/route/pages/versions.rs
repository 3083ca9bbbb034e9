//! The versions of the routes in the console.

use axum::extract::{Path, State};
use axum::response::Response;
use maud::{Markup, Render, html};
use serde_json::Value;
use types::Permission;
use web::console::{Content, done};
use web::ui::dialog::{Confirm, confirm};
use web::ui::icon::Icon;
use web::ui::table::{column, row, table};
use web::ui::tone::Tone;
use web::ui::{badge, browse, card, feedback};
use web::{PageProblem, Paging, Query, Visitor};

use super::Names;
use super::show::conditions;
use crate::api::{Gateway, follow};
use crate::pages::{may, moment, words};
use crate::route::diff::Diff;
use crate::route::version::{self, Staged, Version};

fn versions_table(versions: &[Version]) -> Markup {
    let rows = versions.iter().map(|version| {
        let cells = vec![
            html! { (version.number) },
            moment(version.at),
            html! { (version.comment) },
            html! { (version.actor) },
            html! { (version.n) },
        ];
        row(cells).key(version.id.to_string()).link(format!("/routes/versions/{}", version.id))
    });
    let columns = vec![
        column("Version").number(),
        column("When"),
        column("What"),
        column("By"),
        column("Routes").number(),
    ];
    let empty =
        feedback::empty(Icon::Route, "No versions yet", "Each change of a route makes one.", &html! {});
    table("Versions of the routes, newest first", columns, rows.collect())
        .id("versions")
        .empty(empty)
        .render()
}

pub(super) async fn list(visitor: Visitor, Query(paging): Query<Paging>) -> Result<Response, PageProblem> {
    let page = version::list(&visitor.scope, &paging).await?;
    let older = page.next.map(|next| format!("/routes/versions?after={next}"));
    let body = html! {
        (versions_table(&page.items))
        (browse::pager(words(&visitor), None, older.as_deref(), ""))
    };
    let breadcrumbs = browse::breadcrumbs(words(&visitor), &[("Routes", "/routes")], "Versions");
    Ok(visitor.page_or_fragment(Content { breadcrumbs, ..Content::new("Versions of the routes", body) }))
}

/// A value of a rule as people read it.
fn value(value: &Value) -> String {
    match value {
        Value::Null => "–".to_owned(),
        Value::Array(list) if list.is_empty() => "–".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// What is different between two sets of routes.
pub(super) fn diff(diff: &Diff, names: &Names) -> Markup {
    let whole = |tone: Tone, label: &str, route: &Staged| {
        row(vec![
            html! { (route.name) },
            badge::badge(tone, label),
            conditions(&route.rule, names),
            html! {},
            html! {},
        ])
    };
    let mut rows: Vec<_> = diff.added.iter().map(|route| whole(Tone::Good, "Added", route)).collect();
    rows.extend(diff.removed.iter().map(|route| whole(Tone::Bad, "Removed", route)));
    for changed in &diff.changed {
        rows.extend(changed.fields.iter().map(|field| {
            row(vec![
                html! { (changed.name) },
                badge::badge(Tone::Warn, "Changed"),
                html! { (field.field.trim_start_matches("rule.").replace('_', " ")) },
                html! { (value(&field.before)) },
                html! { (value(&field.after)) },
            ])
        }));
    }
    let columns = vec![column("Route"), column("Change"), column("What"), column("Before"), column("After")];
    html! {
        @if diff.is_empty() { p { "Nothing is different." } } @else { (table("Differences", columns, rows).id("diff")) }
    }
}

pub(super) async fn show(visitor: Visitor, Path(id): Path<String>) -> Result<Response, PageProblem> {
    let version = version::get(&visitor.scope, &id).await?;
    let names = Names::read(&visitor).await?;
    let before = version::compare(&visitor.scope, &id, None).await?;
    let since = version::compare(&visitor.scope, &id, Some("live")).await?;
    let title = format!("Version {}", version.version.number);
    let mut routes = version.routes;
    routes.sort_by_key(|route| (std::cmp::Reverse(route.priority), route.id));
    let rows = routes.iter().map(|route| {
        row(vec![html! { (route.name) }, html! { (route.priority) }, conditions(&route.rule, &names)])
    });
    let columns = vec![column("Route"), column("Priority").number(), column("Takes")];
    let facts = [
        ("When", moment(version.version.at)),
        ("By", html! { (version.version.actor) }),
        ("What", html! { (version.version.comment) }),
    ];
    let body = html! {
        (card::facts(&facts))
        (card::card("What this change was", &html! {}, &diff(&before, &names)))
        (card::card("What has been changed since", &html! {}, &diff(&since, &names)))
        (card::card("Its routes", &html! {}, &html! { (table("Routes of this version", columns, rows.collect()).id("its")) }))
        @if may(&visitor, Permission::RouteRollBack) && !since.is_empty() {
            (confirm(words(&visitor), &Confirm {
                id: "rollback", button: "Bring back…", title: "Bring these routes back?",
                text: "All routes in use are replaced by those of this version. That makes a new version, so it can be undone.",
                confirm: "Bring back", action: &format!("/routes/versions/{id}/rollback"), csrf: "", danger: true,
            }))
        }
    };
    let above = [("Routes", "/routes"), ("Versions", "/routes/versions")];
    let breadcrumbs = browse::breadcrumbs(words(&visitor), &above, &title);
    Ok(visitor.page_or_fragment(Content { breadcrumbs, ..Content::new(&title, body) }))
}

pub(super) async fn roll_back(
    State(gateway): State<Gateway>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<Response, PageProblem> {
    version::roll_back(&visitor.scope, &id).await?;
    follow(gateway.engine.routes_changed()).await;
    Ok(done("/routes", "The routes were brought back."))
}
