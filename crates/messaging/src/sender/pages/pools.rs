//! Sender pools in the console.

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{get, post};
use maud::{Markup, html};
use serde_json::{Value, json};
use types::{Permission, PoolId, Result};
use web::console::{Content, done};
use web::ui::dialog::{Confirm, confirm};
use web::ui::field::{self, Choice as Offered};
use web::ui::form::{self, Weight};
use web::ui::icon::Icon;
use web::ui::table::{column, row, table};
use web::ui::{badge, browse, feedback};
use web::{Form, PageProblem, Visitor};

use crate::api::{Gateway, follow};
use crate::pages::{Fields, Shown, again, may, words};
use crate::sender::pool::{self, Choice, Member, NewPool, Pool, PoolPatch};
use crate::settings::Patch;

const fn choice_label(choice: Choice) -> &'static str {
    match choice {
        Choice::Sticky => "The same for a recipient each time",
        Choice::Country => "By the recipient's country",
        Choice::RoundRobin => "One after the other",
    }
}

/// Members that a row shows.
const SHOWN: usize = 6;

pub(super) fn pools_table(visitor: &Visitor, pools: &[Pool]) -> Markup {
    let rows = pools.iter().map(|pool| {
        let members = &pool.rule.members;
        let cells = vec![
            html! { (pool.name) },
            html! { (choice_label(pool.rule.choice)) },
            html! {
                @for member in members.iter().take(SHOWN) { (badge::tag(&member.sender)) " " }
                @if members.len() > SHOWN { "and " (members.len() - SHOWN) " more" }
            },
        ];
        let row = row(cells).key(pool.id.to_string());
        if may(visitor, Permission::PoolChange) {
            row.link(format!("/senders/pools/{}", pool.id))
        } else {
            row
        }
    });
    let columns = vec![column("Pool"), column("Chosen"), column("Members")];
    let text = "A pool lets several senders stand in for each other as a default.";
    let empty = feedback::empty(Icon::List, "No pools yet", text, &html! {});
    html! { (table("Sender pools", columns, rows.collect()).id("pools").caption_shown().empty(empty)) }
}

/// A member as the form writes it: `ACME`, or `FR BE: ACME`.
fn member_text(member: &Member) -> String {
    match member.countries.is_empty() {
        true => member.sender.clone(),
        false => format!("{}: {}", member.countries.join(" "), member.sender),
    }
}

fn rule(fields: &Fields) -> Patch {
    let lines = fields.get("members").unwrap_or_default().lines().map(str::trim);
    let members = lines.filter(|line| !line.is_empty()).map(|line| {
        let (countries, sender) = line.split_once(':').unwrap_or(("", line));
        let countries: Vec<&str> = countries.split_whitespace().collect();
        json!({ "sender": sender.trim(), "countries": countries })
    });
    Patch::from_iter([
        ("choice".to_owned(), fields.get("choice").unwrap_or("sticky").into()),
        ("members".to_owned(), members.collect::<Vec<Value>>().into()),
    ])
}

fn members(pool: &Pool) -> Patch {
    let lines: Vec<_> = pool.rule.members.iter().map(member_text).collect();
    Patch::from_iter([
        ("name".to_owned(), pool.name.as_str().into()),
        ("choice".to_owned(), pool.rule.choice.as_str().into()),
        ("members".to_owned(), lines.join("\n").into()),
        ("revision".to_owned(), pool.revision.into()),
    ])
}

fn form_page<'a>(visitor: &Visitor, title: &'a str, action: &str, shown: &Shown<'_>) -> Content<'a> {
    let choices = Choice::ALL.map(|choice| Offered::new(choice.as_str(), choice_label(choice)));
    let [name, choice, members, revision] =
        ["name", "choice", "members", "revision"].map(|name| shown.value(name));
    let delete = action.strip_suffix("/edit").map(|at| format!("{at}/delete"));
    let body = html! {
        (form::post(action, "", &html! {
            (shown.summary(visitor))
            input type="hidden" name="revision" value=(revision);
            (form::section("Pool", None, &html! {
                (field::text("name", "Name").value(&name).required().max_chars(100).error(shown.error("name")))
                (field::select("choice", "A member is chosen", &choices).value(&choice))
                (field::textarea("members", "Members").value(&members).rows(5).wide().mono().required().error(shown.error("members"))
                    .hint("One a line: ACME, or FR BE: ACME for some countries only."))
            }))
            (form::actions(&html! { (form::submit("Save")) (form::link("Cancel", "/senders").weight(Weight::Quiet)) }))
        }))
        @if let Some(delete) = &delete {
            (confirm(words(visitor), &Confirm {
                id: "delete", button: "Delete pool…", title: "Delete this pool?",
                text: "A pool that a policy chooses from cannot be deleted.",
                confirm: "Delete pool", action: delete, csrf: "", danger: true,
            }))
        }
    };
    let breadcrumbs = browse::breadcrumbs(words(visitor), &[("Senders", "/senders")], title);
    Content { breadcrumbs, ..Content::new(title, body) }
}

async fn new(visitor: Visitor) -> Result<Response, PageProblem> {
    visitor.scope.require(Permission::PoolCreate)?;
    let shown = Shown::of(Patch::new());
    Ok(visitor.page(form_page(&visitor, "Add pool", "/senders/pools/new", &shown)))
}

async fn create(
    State(gateway): State<Gateway>,
    visitor: Visitor,
    Form(fields): Form<Vec<(String, String)>>,
) -> Result<Response, PageProblem> {
    let fields = Fields(fields);
    let new = NewPool { name: fields.owned("name").unwrap_or_default(), rule: rule(&fields) };
    match pool::create(&visitor.scope, new).await {
        Ok(_) => {
            follow(gateway.engine.gates_changed(visitor.scope.tenant())).await;
            Ok(done("/senders", "Pool added."))
        }
        Err(refused) => {
            let refused = again(refused)?;
            let shown = Shown::again(&fields, &refused);
            Ok(visitor.page_again(form_page(&visitor, "Add pool", "/senders/pools/new", &shown)))
        }
    }
}

async fn edit(visitor: Visitor, Path(id): Path<String>) -> Result<Response, PageProblem> {
    visitor.scope.require(Permission::PoolChange)?;
    let pool = pool::get(&visitor.scope, id.parse()?).await?;
    let shown = Shown::of(members(&pool));
    Ok(visitor.page(form_page(&visitor, "Edit pool", &format!("/senders/pools/{}/edit", pool.id), &shown)))
}

async fn change(
    State(gateway): State<Gateway>,
    visitor: Visitor,
    Path(id): Path<String>,
    Form(fields): Form<Vec<(String, String)>>,
) -> Result<Response, PageProblem> {
    let (id, fields): (PoolId, _) = (id.parse()?, Fields(fields));
    let wanted = PoolPatch {
        name: Some(fields.owned("name").unwrap_or_default()),
        rule: rule(&fields),
        revision: fields.revision(),
    };
    match pool::change(&visitor.scope, id, wanted).await {
        Ok(_) => {
            follow(gateway.engine.gates_changed(visitor.scope.tenant())).await;
            Ok(done("/senders", "Pool saved."))
        }
        Err(refused) => {
            let refused = again(refused)?;
            let shown = Shown::again(&fields, &refused);
            let action = format!("/senders/pools/{id}/edit");
            Ok(visitor.page_again(form_page(&visitor, "Edit pool", &action, &shown)))
        }
    }
}

async fn delete(
    State(gateway): State<Gateway>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<Response, PageProblem> {
    pool::delete(&visitor.scope, id.parse()?).await?;
    follow(gateway.engine.gates_changed(visitor.scope.tenant())).await;
    Ok(done("/senders", "Pool deleted."))
}

/// The routes.
pub(super) fn router() -> Router<Gateway> {
    Router::new()
        .route("/senders/pools/new", get(new).post(create))
        .route("/senders/pools/{id}", get(edit))
        .route("/senders/pools/{id}/edit", get(edit).post(change))
        .route("/senders/pools/{id}/delete", post(delete))
}
