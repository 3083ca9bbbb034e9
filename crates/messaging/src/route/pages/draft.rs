//! The draft of the routes in the console: worked on, compared, replayed, published.

use axum::extract::{Path, State};
use axum::response::Response;
use maud::{Markup, html};
use types::{Code, Permission, RouteId};
use web::console::{Content, done};
use web::ui::dialog::{Confirm, confirm};
use web::ui::figure::count;
use web::ui::form::{self as ui_form, Weight};
use web::ui::icon::Icon;
use web::ui::table::{column, row, table};
use web::ui::tone::Tone;
use web::ui::{badge, browse, card, feedback, field};
use web::{Form, PageProblem, Query, Visitor};

use super::show::{conditions, targets};
use super::{Names, form, form_page, priority, versions};
use crate::api::{Gateway, follow};
use crate::pages::{Fields, Shown, again, may, post_button, words};
use crate::route::draft::{self, Draft, DraftRoute, Publish};
use crate::route::replay::{self, Replay, Replayed};
use crate::settings::Patch;

/// Whether the draft is to be replayed too.
#[derive(Default, serde::Deserialize)]
pub(super) struct Shows {
    replay: Option<String>,
}

fn routes_table(gateway: &Gateway, visitor: &Visitor, draft: &Draft, names: &Names) -> Markup {
    let mut routes: Vec<_> = draft.routes.iter().collect();
    routes.sort_by_key(|route| (std::cmp::Reverse(route.priority), route.id));
    let rows = routes.into_iter().map(|route| {
        let cells = vec![
            html! { (route.name) },
            html! { (route.priority) },
            conditions(&route.rule, names),
            targets(&route.rule, names, |target| gateway.engine.liveness(target.connection)),
            match route.active {
                true => badge::badge_icon(Tone::Good, Icon::Check, "On"),
                false => badge::badge(Tone::Neutral, "Off"),
            },
        ];
        let row = row(cells).key(route.id.to_string());
        if may(visitor, Permission::RouteDraft) {
            row.link(format!("/routes/draft/{}/edit", route.id))
        } else {
            row
        }
    });
    let columns = vec![
        column("Route"),
        column("Priority").number(),
        column("Takes"),
        column("Leads to"),
        column("State"),
    ];
    html! { (table("Routes of the draft", columns, rows.collect()).id("draft")) }
}

fn replayed(replayed: &Replayed) -> Markup {
    let rows = replayed.by_connection.iter().map(|share| {
        row(vec![html! { (share.name) }, html! { (count(share.before)) }, html! { (count(share.after)) }])
    });
    let refused = (replayed.refused_before + replayed.refused_after > 0).then(|| {
        row(vec![
            html! { "Refused" },
            html! { (count(replayed.refused_before)) },
            html! { (count(replayed.refused_after)) },
        ])
    });
    let columns = vec![column("Connection"), column("Routes in use").number(), column("Draft").number()];
    html! {
        p { (count(replayed.moved)) " of the last " (count(replayed.messages)) " messages would go elsewhere." }
        (table("Where they would go", columns, rows.chain(refused).collect()).id("replay"))
    }
}

pub(super) async fn show(
    State(gateway): State<Gateway>,
    visitor: Visitor,
    Query(shows): Query<Shows>,
) -> Result<Response, PageProblem> {
    let breadcrumbs = browse::breadcrumbs(words(&visitor), &[("Routes", "/routes")], "Draft");
    let draft = match draft::get(&visitor.scope).await {
        Err(error) if error.code() == Code::NotFound => {
            let begin = html! {
                @if may(&visitor, Permission::RouteDraft) {
                    (post_button("/routes/draft/begin", "Begin a draft", Icon::Plus))
                }
            };
            let text = "A draft is a copy of the routes that no message follows until you publish it.";
            let body = feedback::empty(Icon::Route, "No draft", text, &begin);
            return Ok(visitor
                .page_or_fragment(Content { breadcrumbs, ..Content::new("Draft of the routes", body) }));
        }
        draft => draft?,
    };
    let names = Names::read(&visitor).await?;
    let diff = draft::compare(&visitor.scope).await?;
    let behind = draft::is_behind(&visitor.scope, &draft).await?;
    let counted = match shows.replay {
        Some(_) => Some(replay::replay(&visitor.scope, &Replay::default(), gateway.engine.queue()).await?),
        None => None,
    };
    let manage = may(&visitor, Permission::RouteDraft);
    let body = html! {
        @if behind {
            (feedback::notice(Tone::Warn, "The routes in use were changed since this draft was begun.",
                &html! { "Publishing it undoes those changes. The differences below are to the routes as they are now." }))
        }
        (routes_table(&gateway, &visitor, &draft, &names))
        (card::card("What it would change", &html! {}, &versions::diff(&diff, &names)))
        (card::card("Where would the last messages have gone?", &html! {}, &html! {
            @match &counted {
                Some(counted) => (replayed(counted)),
                None => (ui_form::link("Replay the last 1,000 messages", "/routes/draft?replay=1").weight(Weight::Plain)),
            }
        }))
        @if manage {
            (card::card("Publish", &html! {}, &ui_form::post("/routes/draft/publish", "", &html! {
                div class="fields" {
                    (field::text("comment", "What the change is").max_chars(500).wide())
                    @if behind { (field::checkbox("anyway", "Undo what was changed meanwhile")) }
                }
                (ui_form::actions(&html! { (ui_form::submit("Publish draft")) }))
            })))
            (confirm(words(&visitor), &Confirm {
                id: "discard", button: "Discard…", title: "Discard the draft?",
                text: "The routes in use stay as they are. The draft cannot be brought back.",
                confirm: "Discard draft", action: "/routes/draft/discard", csrf: "", danger: true,
            }))
        }
    };
    let actions = html! {
        @if manage { (ui_form::link("Add route to the draft", "/routes/draft/new").weight(Weight::Primary).icon(Icon::Plus)) }
    };
    Ok(visitor.page_or_fragment(Content {
        breadcrumbs,
        actions,
        ..Content::new("Draft of the routes", body)
    }))
}

pub(super) async fn begin(visitor: Visitor) -> Result<Response, PageProblem> {
    draft::begin(&visitor.scope).await?;
    Ok(done("/routes/draft", "The draft was begun."))
}

pub(super) async fn new(visitor: Visitor) -> Result<Response, PageProblem> {
    visitor.scope.require(Permission::RouteDraft)?;
    let names = Names::read(&visitor).await?;
    let shown = Shown::of(Patch::from_iter([("active".to_owned(), true.into())]));
    Ok(visitor.page(form_page(&visitor, "Add route to the draft", "/routes/draft/new", &names, &shown)))
}

pub(super) async fn edit(visitor: Visitor, Path(id): Path<String>) -> Result<Response, PageProblem> {
    visitor.scope.require(Permission::RouteDraft)?;
    let id: RouteId = id.parse()?;
    let draft = draft::get(&visitor.scope).await?;
    let staged = draft.routes.into_iter().find(|route| route.id == id);
    let staged = staged.ok_or_else(|| types::Error::not_found("route in the draft"))?;
    let names = Names::read(&visitor).await?;
    let route = staged.route(visitor.scope.tenant(), visitor.scope.now());
    let shown = Shown::of(form::members(&route, &names)?);
    let action = format!("/routes/draft/{id}/edit");
    Ok(visitor.page(form_page(&visitor, "Edit route of the draft", &action, &names, &shown)))
}

async fn put(visitor: &Visitor, id: Option<RouteId>, fields: &Fields) -> Result<Response, PageProblem> {
    let names = Names::read(visitor).await?;
    let asked = async {
        let route = DraftRoute {
            id,
            name: fields.owned("name").unwrap_or_default(),
            priority: priority(fields)?,
            active: Some(fields.get("active").is_some()),
            rule: form::rule(fields, &names)?,
            revision: None,
        };
        draft::put_route(&visitor.scope, route).await
    };
    match asked.await {
        Ok(_) => Ok(done("/routes/draft", "The draft was changed.")),
        Err(refused) => {
            let refused = again(refused)?;
            let shown = Shown::again(fields, &refused);
            let action =
                id.map_or_else(|| "/routes/draft/new".to_owned(), |id| format!("/routes/draft/{id}/edit"));
            Ok(visitor.page_again(form_page(visitor, "Route of the draft", &action, &names, &shown)))
        }
    }
}

pub(super) async fn create(
    visitor: Visitor,
    Form(fields): Form<Vec<(String, String)>>,
) -> Result<Response, PageProblem> {
    put(&visitor, None, &Fields(fields)).await
}

pub(super) async fn change(
    visitor: Visitor,
    Path(id): Path<String>,
    Form(fields): Form<Vec<(String, String)>>,
) -> Result<Response, PageProblem> {
    put(&visitor, Some(id.parse()?), &Fields(fields)).await
}

pub(super) async fn remove(visitor: Visitor, Path(id): Path<String>) -> Result<Response, PageProblem> {
    draft::remove_route(&visitor.scope, id.parse()?).await?;
    Ok(done("/routes/draft", "The route was taken out of the draft."))
}

pub(super) async fn publish(
    State(gateway): State<Gateway>,
    visitor: Visitor,
    Form(fields): Form<Vec<(String, String)>>,
) -> Result<Response, PageProblem> {
    let fields = Fields(fields);
    let how = Publish { comment: fields.owned("comment"), anyway: fields.get("anyway").is_some() };
    draft::publish(&visitor.scope, &how).await?;
    follow(gateway.engine.routes_changed()).await;
    Ok(done("/routes", "The draft was published."))
}

pub(super) async fn discard(visitor: Visitor) -> Result<Response, PageProblem> {
    draft::discard(&visitor.scope).await?;
    Ok(done("/routes", "The draft was discarded."))
}
