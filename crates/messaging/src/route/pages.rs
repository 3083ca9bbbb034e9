//! Routes in the console.

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{get, post};
use maud::{Markup, Render, html};
use serde::Deserialize;
use serde_json::Value;
use types::{ConnectionId, Error, Permission, Result, RouteId};
use web::console::{Content, done};
use web::ui::card;
use web::ui::dialog::{Confirm, confirm};
use web::ui::field::Choice;
use web::ui::form::{self, Weight};
use web::ui::icon::Icon;
use web::ui::table::{column, row, table};
use web::ui::tone::Tone;
use web::ui::{badge, browse, feedback, field};
use web::{Form, PageProblem, Query, Visitor};

use super::{Liveness, NewRoute, Route, RoutePatch, Trial, Tried, Verdict};
use crate::api::{Gateway, follow};
use crate::intent::Intent;
use crate::pages::{Fields, Shown, again, list as texts, may, region, words};
use crate::settings::{self, Patch};
use crate::{account, connection};

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
}

/// The targets that a form offers; a route made over the API may have more, and keeps them by the same form.
const TARGETS_SHOWN: usize = 4;

fn liveness(alive: Liveness) -> Markup {
    match alive {
        Liveness::Up => badge::connection_state("bound", "Up"),
        Liveness::Down => badge::connection_state("down", "Down"),
        Liveness::Stopped => badge::connection_state("stopped", "Stopped"),
        Liveness::Draining => badge::connection_state("draining", "Draining"),
        Liveness::Unknown => badge::badge(Tone::Neutral, "Unknown"),
    }
}

fn intent_label(intent: Intent) -> &'static str {
    match intent {
        Intent::Otp => "One-time codes",
        Intent::Transactional => "Transactional",
        Intent::Marketing => "Marketing",
    }
}

/// The conditions of a rule, in words.
fn conditions(route: &Route, names: &Names) -> Markup {
    let rule = &route.rule;
    let account = rule.account.map(|id| {
        names
            .accounts
            .iter()
            .find(|named| named.id == id)
            .map_or("an account that is gone", |named| named.name.as_str())
    });
    let more = rule.recipient_prefixes.len().saturating_sub(6);
    html! {
        @if let Some(account) = account { "of " (account) " " }
        @if let Some(sender) = &rule.sender { "from " (badge::tag(sender)) " " }
        @if !rule.recipient_prefixes.is_empty() {
            "to " @for prefix in rule.recipient_prefixes.iter().take(6) { (badge::tag(&format!("+{prefix}"))) " " }
            @if more > 0 { "and " (more) " more " }
        }
        @for intent in &rule.intents { (badge::tag(intent_label(*intent))) " " }
        @if rule.account.is_none() && rule.sender.is_none() && rule.recipient_prefixes.is_empty() && rule.intents.is_empty() {
            "every message"
        }
    }
}

fn routes_table(gateway: &Gateway, visitor: &Visitor, routes: &[Route], names: &Names) -> Markup {
    let rows = routes.iter().map(|route| {
        let href = format!("/routes/{}", route.id);
        let cells = vec![
            html! { (route.name) },
            html! { (route.priority) },
            conditions(route, names),
            html! {
                @for (at, target) in route.rule.targets.iter().enumerate() {
                    @if at > 0 { ", then " }
                    (names.connection(*target)) " " (liveness(gateway.engine.liveness(*target)))
                }
            },
            match route.active {
                true => badge::badge_icon(Tone::Good, Icon::Check, "On"),
                false => badge::badge(Tone::Neutral, "Off"),
            },
        ];
        let row = row(cells).key(route.id.to_string());
        if may(visitor, Permission::RouteManage) { row.link(href) } else { row }
    });
    let columns = vec![
        column("Route"),
        column("Priority").number(),
        column("Takes"),
        column("Leads to"),
        column("State"),
    ];
    let empty = feedback::empty(
        Icon::Route,
        "No routes yet",
        "Without a route every message is refused. One without conditions takes all.",
        &add_button(visitor),
    );
    table("Routes in the order in which they are asked", columns, rows.collect())
        .id("routes")
        .empty(empty)
        .render()
}

fn add_button(visitor: &Visitor) -> Markup {
    html! {
        @if may(visitor, Permission::RouteManage) {
            (form::link("Add route", "/routes/new").weight(Weight::Primary).icon(Icon::Plus))
        }
    }
}

/// A trial as its form sends it.
#[derive(Default, Deserialize)]
struct Question {
    to: Option<String>,
    from: Option<String>,
    account: Option<String>,
    intent: Option<String>,
}

async fn tried(gateway: &Gateway, visitor: &Visitor, question: &Question) -> Result<Option<Tried>> {
    let Some(to) = question.to.clone() else { return Ok(None) };
    let trial = Trial {
        account: question.account.as_deref().map(str::parse).transpose()?,
        from: question.from.clone(),
        to,
        intent: question.intent.as_deref().and_then(Intent::named),
    };
    super::try_out(&visitor.scope, &trial, |id| gateway.engine.liveness(id)).await.map(Some)
}

fn verdict(verdict: Verdict) -> Markup {
    match verdict {
        Verdict::Takes => badge::badge_icon(Tone::Good, Icon::Check, "Takes it"),
        Verdict::Waits => badge::badge_icon(Tone::Warn, Icon::Clock, "Waits"),
        Verdict::NoConnection => badge::badge_icon(Tone::Bad, Icon::Cross, "No connection"),
        _ => badge::badge(Tone::Neutral, "Passed over"),
    }
}

fn answer(tried: &Tried) -> Markup {
    let tone = match tried.decision.chosen {
        Some(chosen) if !chosen.waits => Tone::Good,
        Some(_) => Tone::Warn,
        None => Tone::Bad,
    };
    let rows =
        tried.decision.looked_at.iter().map(|looked| {
            row(vec![html! { (looked.name) }, verdict(looked.verdict), html! { (looked.why) }])
        });
    let columns = vec![column("Route"), column("Verdict"), column("Why")];
    html! {
        (feedback::notice(tone, &tried.summary, &html! { "Nothing was sent." }))
        @if !tried.decision.looked_at.is_empty() { (table("Routes asked", columns, rows.collect()).id("asked").caption_shown()) }
    }
}

fn trial_form(question: &Question, names: &Names, refused: Option<&Error>) -> Markup {
    let error = |name: &str| refused.filter(|refused| refused.place() == Some(name)).map(Error::message);
    let accounts: Vec<_> =
        names.accounts.iter().map(|named| (named.id.to_string(), named.name.as_str())).collect();
    let mut account_choices = vec![Choice::new("", "The API")];
    account_choices.extend(accounts.iter().map(|(id, name)| Choice::new(id, name)));
    let intents = Intent::ALL.map(|intent| Choice::new(intent.as_str(), intent_label(intent)));
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let (to, from, account) = (text(&question.to), text(&question.from), text(&question.account));
    let intent = question.intent.clone().unwrap_or_else(|| Intent::Transactional.as_str().to_owned());
    form::get(
        "/routes",
        &html! {
            div class="fields" {
                (field::tel("to", "To").value(&to).required().placeholder("+33612345678").error(error("to")))
                (field::text("from", "From").value(&from).error(error("from")))
                (field::select("account", "Sent by", &account_choices).value(&account))
                (field::select("intent", "Is", &intents).value(&intent))
            }
            (form::actions(&html! { (form::submit("Try").weight(Weight::Plain).icon(Icon::Route)) }))
        },
    )
}

async fn list(
    State(gateway): State<Gateway>,
    visitor: Visitor,
    Query(question): Query<Question>,
) -> Result<Response, PageProblem> {
    let routes = super::list(&visitor.scope).await?.items;
    let names = Names::read(&visitor).await?;
    let inner = routes_table(&gateway, &visitor, &routes, &names);
    let live = region(&visitor, "routes-live", &["route", "connection"], inner);
    if visitor.taste.fragment {
        return Ok(visitor.page_or_fragment(Content::new("Routes", live)));
    }
    let (tried, refused) = match tried(&gateway, &visitor, &question).await {
        Ok(tried) => (tried, None),
        Err(error) => (None, Some(again(error)?)),
    };
    let body = html! {
        (live)
        (card::card("Where would a message go?", &html! {}, &html! {
            (trial_form(&question, &names, refused.as_ref()))
            @if let Some(tried) = &tried { (answer(tried)) }
        }))
        (feedback::help("How is a route chosen?", &html! {
            p { "The route with the highest priority is asked first, of equals the oldest. The first that takes the message "
                "and has a usable connection decides. Of its connections the first that is up takes the message; when all are down "
                "the message waits at the first that is not stopped." }
        }))
    };
    let content = Content { actions: add_button(&visitor), ..Content::new("Routes", body) };
    Ok(if refused.is_some() { visitor.page_again(content) } else { visitor.page_or_fragment(content) })
}

/// The rule that a form asks for. A target beyond those shown stays behind them, in a hidden field.
fn rule(fields: &Fields) -> Patch {
    let targets: Vec<Value> = (1..=TARGETS_SHOWN)
        .filter_map(|at| fields.owned(&format!("target_{at}")))
        .chain(texts(fields.get("targets_more").unwrap_or_default()))
        .map(Value::from)
        .collect();
    let intents: Vec<Value> = Intent::ALL
        .into_iter()
        .filter(|intent| fields.get(&format!("intent_{}", intent.as_str())).is_some())
        .map(|intent| intent.as_str().into())
        .collect();
    let optional = |name: &str| fields.get(name).map_or(Value::Null, Value::from);
    Patch::from_iter([
        ("account".to_owned(), optional("account")),
        ("sender".to_owned(), optional("sender")),
        ("recipient_prefixes".to_owned(), texts(fields.get("recipient_prefixes").unwrap_or_default()).into()),
        ("intents".to_owned(), intents.into()),
        ("targets".to_owned(), targets.into()),
    ])
}

/// The form's fields with a route's values.
fn members(route: &Route) -> Result<Patch> {
    let mut members = settings::members(&route.rule)?;
    for intent in &route.rule.intents {
        members.insert(format!("intent_{}", intent.as_str()), true.into());
    }
    for (at, target) in route.rule.targets.iter().take(TARGETS_SHOWN).enumerate() {
        members.insert(format!("target_{}", at + 1), target.to_string().into());
    }
    let more: Vec<_> = route.rule.targets.iter().skip(TARGETS_SHOWN).map(ToString::to_string).collect();
    members.insert("targets_more".to_owned(), more.into());
    members.insert("name".to_owned(), route.name.as_str().into());
    members.insert("priority".to_owned(), route.priority.into());
    members.insert("active".to_owned(), route.active.into());
    members.insert("revision".to_owned(), route.revision.into());
    Ok(members)
}

fn targets_fields(names: &Names, shown: &Shown<'_>) -> Markup {
    let ids: Vec<_> =
        names.connections.iter().map(|named| (named.id.to_string(), named.name.as_str())).collect();
    let mut choices = vec![Choice::new("", "–")];
    choices.extend(ids.iter().map(|(id, name)| Choice::new(id, name)));
    html! {
        @for at in 1..=TARGETS_SHOWN {
            @let name = format!("target_{at}");
            @let value = shown.value(&name);
            @let error = if at == 1 { shown.error("targets") } else { None };
            (field::select(&name, if at == 1 { "First choice" } else { "Then" }, &choices).value(&value).error(error))
        }
        input type="hidden" name="targets_more" value=(shown.value("targets_more"));
    }
}

fn form_page<'a>(
    visitor: &Visitor,
    title: &'a str,
    action: &str,
    names: &Names,
    shown: &Shown<'_>,
) -> Content<'a> {
    let [name, priority, account, sender, prefixes] =
        ["name", "priority", "account", "sender", "recipient_prefixes"].map(|name| shown.value(name));
    let ids: Vec<_> =
        names.accounts.iter().map(|named| (named.id.to_string(), named.name.as_str())).collect();
    let mut accounts = vec![Choice::new("", "Any, and the API")];
    accounts.extend(ids.iter().map(|(id, name)| Choice::new(id, name)));
    let delete = action.strip_suffix("/edit").map(|at| format!("{at}/delete"));
    let body = html! {
        (form::post(action, "", &html! {
            (shown.summary(visitor))
            input type="hidden" name="revision" value=(shown.value("revision"));
            (form::section("Route", None, &html! {
                (field::text("name", "Name").value(&name).required().max_chars(100).error(shown.error("name")))
                (field::number("priority", "Priority").value(&priority).range("-1000000", "1000000")
                    .hint("The highest is asked first; 100 when left empty.").error(shown.error("priority")))
                (field::checkbox("active", "Ask this route").checked(shown.value("active") == "true"))
            }))
            (form::section("Takes", Some("What is left empty takes everything; all that is given must hold."), &html! {
                (field::select("account", "Messages of", &accounts).value(&account).error(shown.error("account")))
                (field::text("sender", "From").value(&sender).hint("A sender, or its beginning and *.").error(shown.error("sender")))
                (field::tags("recipient_prefixes", "To numbers that begin with", &[]).value(&prefixes).wide()
                    .hint("Digits with the country code, such as 336, 337.").error(shown.error("recipient_prefixes")))
                @for intent in Intent::ALL {
                    @let name = format!("intent_{}", intent.as_str());
                    (field::checkbox(&name, intent_label(intent)).checked(shown.value(&name) == "true"))
                }
            }))
            (form::section("Leads to", Some("The first that is up takes the message; the others stand by."), &targets_fields(names, shown)))
            (form::actions(&html! { (form::submit("Save route")) (form::link("Cancel", "/routes")) }))
        }))
        @if let Some(delete) = &delete {
            (confirm(words(visitor), &Confirm {
                id: "delete", button: "Delete…", title: "Delete this route?",
                text: "Messages that it has routed keep their way. This cannot be undone.",
                confirm: "Delete route", action: delete, csrf: "", danger: true,
            }))
        }
    };
    let breadcrumbs = browse::breadcrumbs(words(visitor), &[("Routes", "/routes")], title);
    Content { title, body, actions: html! {}, breadcrumbs }
}

fn priority(fields: &Fields) -> Result<Option<i32>> {
    let read = |text: &str| {
        text.parse().map_err(|_| Error::invalid("priority", format!("{text:?} is not a whole number")))
    };
    fields.get("priority").map(read).transpose()
}

async fn new(visitor: Visitor) -> Result<Response, PageProblem> {
    visitor.scope.require(Permission::RouteManage)?;
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
    let asked = async {
        let new = NewRoute {
            name: fields.owned("name").unwrap_or_default(),
            priority: priority(&fields)?,
            active: Some(fields.get("active").is_some()),
            rule: rule(&fields),
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
            let names = Names::read(&visitor).await?;
            let shown = Shown::again(&fields, &refused);
            Ok(visitor.page_again(form_page(&visitor, "Add route", "/routes/new", &names, &shown)))
        }
    }
}

async fn edit(visitor: Visitor, Path(id): Path<String>) -> Result<Response, PageProblem> {
    visitor.scope.require(Permission::RouteManage)?;
    let route = super::get(&visitor.scope, id.parse()?).await?;
    let names = Names::read(&visitor).await?;
    let shown = Shown::of(members(&route)?);
    Ok(visitor.page(form_page(&visitor, "Edit route", &format!("/routes/{}/edit", route.id), &names, &shown)))
}

async fn change(
    State(gateway): State<Gateway>,
    visitor: Visitor,
    Path(id): Path<String>,
    Form(fields): Form<Vec<(String, String)>>,
) -> Result<Response, PageProblem> {
    let (id, fields): (RouteId, _) = (id.parse()?, Fields(fields));
    let asked = async {
        let wanted = RoutePatch {
            name: Some(fields.owned("name").unwrap_or_default()),
            priority: priority(&fields)?,
            active: Some(fields.get("active").is_some()),
            rule: rule(&fields),
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
            let names = Names::read(&visitor).await?;
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
        .route("/routes/{id}", get(edit))
        .route("/routes/{id}/edit", get(edit).post(change))
        .route("/routes/{id}/delete", post(delete))
}
