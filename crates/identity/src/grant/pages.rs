//! Temporary grants in the console: a card on the user's page.

use axum::Router;
use axum::extract::Path;
use axum::response::Response;
use axum::routing::post;
use maud::{Markup, html};
use serde::Deserialize;
use types::{Error, Permission, Reach, Result as Checked, Timestamp};
use web::ui::field::{self, Choice};
use web::ui::table::{column, row, table};
use web::ui::timeline::relative_time;
use web::ui::{card as cards, form};
use web::{App, Form, PageProblem, Visitor, console};

use super::{Grant, GrantFilter, NewGrant};
use crate::role::custom::{self, Grantable};
use crate::user::{self, User};

/// The times that the console offers, in hours.
const HOURS: &[(&str, &str)] =
    &[("1", "An hour"), ("8", "Eight hours"), ("24", "A day"), ("168", "A week"), ("720", "30 days")];

/// The grants of a user, and the form for another; nothing for somebody who may not see them.
pub(crate) async fn card(visitor: &Visitor, user: &User) -> Result<Markup, PageProblem> {
    let scope = &visitor.scope;
    let may = |permission| scope.permissions().contains(permission);
    if !may(Permission::GrantView) {
        return Ok(html! {});
    }
    let filter = GrantFilter { user: Some(user.id), ..GrantFilter::default() };
    let grants = super::list(scope, &filter).await?.items;
    let rows = grants.iter().map(|grant| {
        row(vec![
            html! { (what(grant)) },
            html! { (grant.reason) },
            relative_time(&grant.ends_at.to_string(), &grant.ends_at.to_minute()),
            html! {
                @if grant.active {
                    @if may(Permission::GrantEnd) {
                        (form::post(&format!("/grants/{}/end", grant.id), "", &html! {
                            (form::submit("End now").weight(form::Weight::Quiet).small())
                        }))
                    } @else { "active" }
                } @else { "ended" }
            },
        ])
    });
    let columns = vec![column("What"), column("Why"), column("Until"), column("State")];
    let oneself = user::person(scope).is_ok_and(|id| id == user.id);
    let offered = custom::givable(scope).await?;
    let roles: Vec<Choice<'_>> = std::iter::once(Choice::new("", "None: the permissions below"))
        .chain(offered.iter().map(|one| Choice::new(&one.name, &one.title)))
        .collect();
    let hours: Vec<Choice<'_>> = HOURS.iter().map(|(hours, title)| Choice::new(hours, title)).collect();
    let fields = html! {
        (field::select("role", "Role", &roles))
        (field::text("permissions", "Or permissions").hint("Names with commas between them, such as message.send, trace.start").mono())
        (field::text("reason", "Why").max_chars(500).required())
        (field::select("hours", "For", &hours).value("8"))
        (form::actions(&html! { (form::submit("Give for a time").weight(form::Weight::Plain)) }))
    };
    Ok(cards::card(
        "Given for a time",
        &html! {},
        &html! {
            @if !grants.is_empty() { (table("Temporary grants", columns, rows.collect()).dense()) }
            @if may(Permission::GrantCreate) && !oneself {
                (form::post(&format!("/users/{}/grants", user.id), "", &fields))
            }
        },
    ))
}

fn what(grant: &Grant) -> String {
    match (&grant.role, &grant.permissions) {
        (Some(role), _) => format!("role {role}"),
        (None, Some(given)) => given.0.keys().cloned().collect::<Vec<_>>().join(", "),
        (None, None) => String::new(),
    }
}

#[derive(Debug, Deserialize)]
struct GrantForm {
    #[serde(default)]
    role: String,
    #[serde(default)]
    permissions: String,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    hours: String,
}

impl GrantForm {
    fn ends_at(&self, now: Timestamp) -> Checked<Timestamp> {
        let hours: i64 =
            self.hours.parse().map_err(|_| Error::invalid("hours", "this is no number of hours"))?;
        Ok(now.plus_ms(hours.clamp(1, 8_784) * 3_600_000))
    }

    fn permissions(&self) -> Option<Grantable> {
        let names = self.permissions.split([',', ' ']).map(str::trim).filter(|name| !name.is_empty());
        let given: std::collections::BTreeMap<_, _> =
            names.map(|name| (name.to_owned(), Reach::All)).collect();
        (!given.is_empty()).then_some(Grantable(given))
    }
}

async fn create(
    visitor: Visitor,
    Path(id): Path<String>,
    Form(given): Form<GrantForm>,
) -> Result<Response, PageProblem> {
    let new = NewGrant {
        user: id.parse()?,
        role: Some(given.role.clone()).filter(|role| !role.is_empty()),
        permissions: given.permissions(),
        reason: given.reason.clone(),
        ends_at: given.ends_at(visitor.scope.now())?,
    };
    let grant = super::create(&visitor.scope, new).await?;
    Ok(console::done(&format!("/users/{}", grant.user), "Given, until its time is over."))
}

async fn end(visitor: Visitor, Path(id): Path<String>) -> Result<Response, PageProblem> {
    let grant = super::end(&visitor.scope, id.parse()?).await?;
    Ok(console::done(&format!("/users/{}", grant.user), "Ended."))
}

/// The routes.
pub(crate) fn router() -> Router<App> {
    Router::new().route("/users/{id}/grants", post(create)).route("/grants/{id}/end", post(end))
}
