//! Routes in the console.

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{get, post};
use maud::{Markup, html};
use types::{AccountId, ConnectionId, Error, Permission, Result, RouteId};
use web::console::{Content, done};
use web::ui::form::{self as ui_form, Weight};
use web::ui::icon::Icon;
use web::ui::{card, feedback};
use web::{Form, PageProblem, Query, Visitor};

use super::{NewRoute, RoutePatch};
use crate::api::{Gateway, follow};
use crate::pages::{Fields, Shown, again, may, region};
use crate::settings::Patch;
use crate::{account, connection};

mod draft;
mod form;
mod show;
mod trial;
mod versions;

use form::form_page;
use trial::Question;

/// What routes name: the tenant's accounts and connections.
struct Names {
    accounts: Vec<account::Named>,
    connections: Vec<connection::Named>,
}

impl Names {
    async fn read(visitor: &Visitor) -> Result<Self> {
        let (accounts, connections) =
            (account::names(&visitor.scope).await?, connection::names(&visitor.scope).await?);
        Ok(Self { accounts, connections })
    }

    fn connection(&self, id: ConnectionId) -> &str {
        self.connections.iter().find(|named| named.id == id).map_or("gone", |named| &named.name)
    }

    /// An account's name; its id where two have the same name, or none has it any more.
    fn account(&self, id: AccountId) -> String {
        let name = self.accounts.iter().find(|named| named.id == id).map(|named| &named.name);
        let alone = |name: &&String| self.accounts.iter().filter(|named| named.name == **name).count() == 1;
        name.filter(alone).map_or_else(|| id.to_string(), Clone::clone)
    }

    /// The account of a name or id.
    fn account_named(&self, field: &str, text: &str) -> Result<AccountId> {
        match self.accounts.iter().find(|named| named.name == text) {
            Some(named) => Ok(named.id),
            None => {
                text.parse().map_err(|_| Error::invalid(field, format!("there is no SMPP account {text:?}")))
            }
        }
    }
}

fn add_button(visitor: &Visitor) -> Markup {
    html! {
        @if may(visitor, Permission::RouteCreate) {
            (ui_form::link("Add route", "/routes/new").weight(Weight::Primary).icon(Icon::Plus))
        }
    }
}

async fn list(
    State(gateway): State<Gateway>,
    visitor: Visitor,
    Query(question): Query<Question>,
) -> Result<Response, PageProblem> {
    let routes = super::list(&visitor.scope).await?.items;
    let names = Names::read(&visitor).await?;
    let inner = show::routes_table(&gateway, &visitor, &routes, &names);
    let live = region(&visitor, "routes-live", &["route", "connection"], inner);
    if visitor.taste.fragment {
        return Ok(visitor.page_or_fragment(Content::new("Routes", live)));
    }
    let draft = crate::route::draft::get(&visitor.scope).await.is_ok();
    let (tried, refused) = match trial::tried(&gateway, &visitor, &question).await {
        Ok(tried) => (tried, None),
        Err(error) => (None, Some(again(error)?)),
    };
    let body = html! {
        (live)
        (card::card("Try a message", &html! {}, &html! {
            (trial::trial_form(&question, &names, refused.as_ref(), draft))
            @if let Some(tried) = &tried { (trial::answer(tried, &names)) }
        }))
        (feedback::help("How is a route chosen?", &html! {
            p { "The route with the highest priority is asked first, of equals the oldest. The first that takes the message "
                "and has a usable connection decides. Of its connections that are up one takes the message, the first or as the route "
                "chooses; when all are down the message waits at one that is not stopped." }
        }))
    };
    let actions = html! {
        (ui_form::link("Versions", "/routes/versions").weight(Weight::Plain))
        (ui_form::link("Draft", "/routes/draft").weight(Weight::Plain))
        (add_button(&visitor))
    };
    let content = Content { actions, ..Content::new("Routes", body) };
    Ok(if refused.is_some() { visitor.page_again(content) } else { visitor.page_or_fragment(content) })
}

fn priority(fields: &Fields) -> Result<Option<i32>> {
    let read = |text: &str| {
        text.parse().map_err(|_| Error::invalid("priority", format!("{text:?} is not a whole number")))
    };
    fields.get("priority").map(read).transpose()
}

async fn new(visitor: Visitor) -> Result<Response, PageProblem> {
    visitor.scope.require(Permission::RouteCreate)?;
    let names = Names::read(&visitor).await?;
    let members = Patch::from_iter([("active".to_owned(), true.into())]);
    let shown = Shown::of(members);
    Ok(visitor.page(form_page(&visitor, "Add route", "/routes/new", &names, &shown)))
}

async fn create(
    State(gateway): State<Gateway>,
    visitor: Visitor,
    Form(fields): Form<Vec<(String, String)>>,
) -> Result<Response, PageProblem> {
    let fields = Fields(fields);
    let names = Names::read(&visitor).await?;
    let asked = async {
        let new = NewRoute {
            name: fields.owned("name").unwrap_or_default(),
            priority: priority(&fields)?,
            active: Some(fields.get("active").is_some()),
            rule: form::rule(&fields, &names)?,
        };
        super::create(&visitor.scope, new).await
    };
    match asked.await {
        Ok(_) => {
            follow(gateway.engine.routes_changed()).await;
            Ok(done("/routes", "Route added."))
        }
        Err(refused) => {
            let refused = again(refused)?;
            let shown = Shown::again(&fields, &refused);
            Ok(visitor.page_again(form_page(&visitor, "Add route", "/routes/new", &names, &shown)))
        }
    }
}

async fn edit(visitor: Visitor, Path(id): Path<String>) -> Result<Response, PageProblem> {
    visitor.scope.require(Permission::RouteChange)?;
    let route = super::get(&visitor.scope, id.parse()?).await?;
    let names = Names::read(&visitor).await?;
    let shown = Shown::of(form::members(&route, &names)?);
    Ok(visitor.page(form_page(&visitor, "Edit route", &format!("/routes/{}/edit", route.id), &names, &shown)))
}

async fn change(
    State(gateway): State<Gateway>,
    visitor: Visitor,
    Path(id): Path<String>,
    Form(fields): Form<Vec<(String, String)>>,
) -> Result<Response, PageProblem> {
    let (id, fields): (RouteId, _) = (id.parse()?, Fields(fields));
    let names = Names::read(&visitor).await?;
    let asked = async {
        let wanted = RoutePatch {
            name: Some(fields.owned("name").unwrap_or_default()),
            priority: priority(&fields)?,
            active: Some(fields.get("active").is_some()),
            rule: form::rule(&fields, &names)?,
            revision: fields.revision(),
        };
        super::change(&visitor.scope, id, wanted).await
    };
    match asked.await {
        Ok(_) => {
            follow(gateway.engine.routes_changed()).await;
            Ok(done("/routes", "Route saved."))
        }
        Err(refused) => {
            let refused = again(refused)?;
            let shown = Shown::again(&fields, &refused);
            Ok(visitor.page_again(form_page(
                &visitor,
                "Edit route",
                &format!("/routes/{id}/edit"),
                &names,
                &shown,
            )))
        }
    }
}

async fn delete(
    State(gateway): State<Gateway>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<Response, PageProblem> {
    super::delete(&visitor.scope, id.parse()?).await?;
    follow(gateway.engine.routes_changed()).await;
    Ok(done("/routes", "Route deleted."))
}

/// The routes.
pub(crate) fn router() -> Router<Gateway> {
    Router::new()
        .route("/routes", get(list))
        .route("/routes/new", get(new).post(create))
        .route("/routes/versions", get(versions::list))
        .route("/routes/versions/{id}", get(versions::show))
        .route("/routes/versions/{id}/rollback", post(versions::roll_back))
        .route("/routes/draft", get(draft::show))
        .route("/routes/draft/begin", post(draft::begin))
        .route("/routes/draft/publish", post(draft::publish))
        .route("/routes/draft/discard", post(draft::discard))
        .route("/routes/draft/new", get(draft::new).post(draft::create))
        .route("/routes/draft/{id}/edit", get(draft::edit).post(draft::change))
        .route("/routes/draft/{id}/delete", post(draft::remove))
        .route("/routes/{id}", get(edit))
        .route("/routes/{id}/edit", get(edit).post(change))
        .route("/routes/{id}/delete", post(delete))
}
