//! Numbers and keywords in the console.

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{get, post};
use maud::{Markup, html};
use serde_json::{Value, json};
use types::{InboundNumberId, Permission, Result};
use web::console::{Content, NavEntry, done};
use web::ui::dialog::{Confirm, confirm};
use web::ui::field::{self, Choice};
use web::ui::form::{self, Weight};
use web::ui::icon::Icon;
use web::ui::table::{column, row, table};
use web::ui::tone::Tone;
use web::ui::{badge, browse, feedback};
use web::{Form, PageProblem, Paging, Visitor};

use super::{InboundNumber, InboundNumberPatch, NewInboundNumber, NumberRule, line};
use crate::api::{Gateway, follow};
use crate::connection;
use crate::opt_out::Extent;
use crate::pages::{Fields, Shown, again, list as texts, may, none, words};
use crate::settings::{self, Patch};

/// The numbers' place in the navigation.
pub(crate) const NUMBERS: NavEntry = NavEntry {
    group: "Inbound",
    label: "Numbers",
    href: "/inbound",
    icon: Icon::Phone,
    key: None,
    permission: Permission::InboundView,
};

/// Connections to choose from at most.
const CHOICES_MAX: &str = "200";

/// Ids and names of the connections, for those who may see them.
async fn connections(visitor: &Visitor) -> Result<Vec<(String, String)>> {
    if !may(visitor, Permission::ConnectionView) {
        return Ok(Vec::new());
    }
    let all = Paging { limit: Some(CHOICES_MAX.to_owned()), ..Paging::default() };
    let page = connection::list(&visitor.scope, &all).await?;
    Ok(page.items.into_iter().map(|one| (one.id.to_string(), one.name)).collect())
}

fn numbers_table(visitor: &Visitor, numbers: &[InboundNumber], known: &[(String, String)]) -> Markup {
    let rows = numbers.iter().map(|number| {
        let through = number.connection.map(|id| id.to_string());
        let keywords = &number.rule.keywords;
        let row = row(vec![
            html! { bdi dir="ltr" { (number.number) } },
            html! { bdi { (number.name) } },
            match &through {
                None => html! { "any" },
                Some(id) => html! {
                    bdi { (known.iter().find(|(known, _)| known == id).map_or(id.as_str(), |(_, name)| name)) }
                },
            },
            html! {
                @if keywords.is_empty() { (none()) }
                @for keyword in keywords.iter().take(5) { (badge::tag(&keyword.name)) " " }
                @if keywords.len() > 5 { "and " (keywords.len() - 5) " more" }
            },
            match number.rule.opt_out.active {
                true => html! { (number.rule.opt_out.extent.words()) },
                false => none(),
            },
            match number.active {
                true => badge::badge_icon(Tone::Good, Icon::Check, "On"),
                false => badge::badge(Tone::Neutral, "Off"),
            },
        ])
        .key(number.id.to_string());
        if may(visitor, Permission::InboundChange) { row.link(format!("/inbound/{}", number.id)) } else { row }
    });
    let columns = vec![
        column("Number"),
        column("Name"),
        column("Through").detail(),
        column("Keywords"),
        column("STOP ends").detail(),
        column("State"),
    ];
    let empty = feedback::empty(
        Icon::Phone,
        "No number yet",
        "Messages from phones go to the SMPP account that owns the number they were written to. Register a number to give \
         it keywords, answers and the words for opting out.",
        &add_button(visitor),
    );
    html! { (table("Numbers", columns, rows.collect()).id("numbers").empty(empty)) }
}

fn add_button(visitor: &Visitor) -> Markup {
    html! {
        @if may(visitor, Permission::InboundCreate) {
            (form::link("Add a number", "/inbound/new").weight(Weight::Primary).icon(Icon::Plus))
        }
    }
}

async fn list(visitor: Visitor) -> Result<Response, PageProblem> {
    let numbers = super::list(&visitor.scope).await?.items;
    let body = numbers_table(&visitor, &numbers, &connections(&visitor).await?);
    let content = Content { actions: add_button(&visitor), ..Content::new("Numbers", body) };
    Ok(visitor.page_or_fragment(content))
}

/// The members of the rule for opting out that a form shows under names of their own.
const TEXTS: [&str; 3] = ["stop_text", "start_text", "help_text"];
const WORDS: [&str; 4] = ["stop_words", "start_words", "help_words", "except"];

/// The rule that a form asks for.
fn rule(fields: &Fields) -> Result<Patch> {
    let mut opt_out = serde_json::Map::from_iter([
        ("active".to_owned(), fields.get("opt_active").is_some().into()),
        ("extent".to_owned(), fields.get("extent").unwrap_or("marketing").into()),
    ]);
    for name in TEXTS {
        opt_out.insert(name.to_owned(), fields.get(name).unwrap_or_default().into());
    }
    for name in WORDS {
        opt_out.insert(name.to_owned(), texts(fields.get(name).unwrap_or_default()).into());
    }
    let keywords = line::read_keywords(fields.get("keywords").unwrap_or_default())?;
    let otherwise = line::read_actions("otherwise", fields.get("otherwise").unwrap_or_default())?;
    Ok(Patch::from_iter([
        ("keywords".to_owned(), json!(keywords)),
        ("otherwise".to_owned(), json!(otherwise)),
        ("opt_out".to_owned(), Value::Object(opt_out)),
    ]))
}

/// The form's fields with a number's values.
fn members(number: &InboundNumber) -> Result<Patch> {
    let mut members = rule_members(&number.rule)?;
    let texts = [("number", number.number.clone()), ("name", number.name.clone())];
    members.extend(texts.map(|(name, text)| (name.to_owned(), text.into())));
    members.insert("connection".to_owned(), number.connection.map(|id| id.to_string()).into());
    members.insert("active".to_owned(), number.active.into());
    members.insert("revision".to_owned(), number.revision.into());
    Ok(members)
}

fn rule_members(rule: &NumberRule) -> Result<Patch> {
    let mut members = settings::members(&rule.opt_out)?;
    members.insert("opt_active".to_owned(), rule.opt_out.active.into());
    members.insert("keywords".to_owned(), line::keywords(&rule.keywords).into());
    members.insert("otherwise".to_owned(), line::actions(&rule.otherwise).into());
    Ok(members)
}

fn opt_out_fields(shown: &Shown<'_>) -> Markup {
    let extents = [
        Choice::new(Extent::Number.as_str(), "Marketing from this number"),
        Choice::new(Extent::Marketing.as_str(), "All marketing"),
        Choice::new(Extent::All.as_str(), "Every message, passwords and the answer below too"),
    ];
    let value = |name: &str| shown.value(name);
    let [extent, stop, start, help] = ["extent", "stop_text", "start_text", "help_text"].map(value);
    let [stop_words, start_words, help_words, except] = WORDS.map(value);
    let on = matches!(value("opt_active").as_str(), "true" | "on");
    html! {
        (form::section("Opting out", Some("STOP, START, HELP and their like in some twenty languages are known. A word counts when it is the whole text."), &html! {
            (field::checkbox("opt_active", "Hear these words").checked(on))
            (field::select("extent", "A phone that stops gets no more of", &extents).value(&extent))
            (field::textarea("stop_text", "Answer to STOP").value(&stop).rows(2).max_chars(1000).error(shown.error("stop_text")).hint("No answer when empty."))
            (field::textarea("start_text", "Answer to START").value(&start).rows(2).max_chars(1000).error(shown.error("start_text")))
            (field::textarea("help_text", "Answer to HELP").value(&help).rows(2).max_chars(1000).error(shown.error("help_text")))
            (field::tags("stop_words", "Further words for STOP", &[]).value(&stop_words).error(shown.error("stop_words")))
            (field::tags("start_words", "Further words for START", &[]).value(&start_words).error(shown.error("start_words")))
            (field::tags("help_words", "Further words for HELP", &[]).value(&help_words).error(shown.error("help_words")))
            (field::tags("except", "Words that mean something else here", &[]).value(&except).error(shown.error("except"))
                .hint("Such as cancel, for a restaurant."))
        }))
    }
}

/// The form's title, where it goes, and the connections to choose from; none for a number that exists.
struct Page<'a> {
    title: &'a str,
    action: &'a str,
    connections: Option<&'a [(String, String)]>,
}

fn form_page<'a>(visitor: &Visitor, page: &Page<'a>, shown: &Shown<'_>) -> Content<'a> {
    let [number, name, connection, keywords, otherwise, revision] =
        ["number", "name", "connection", "keywords", "otherwise", "revision"].map(|name| shown.value(name));
    let delete = page.action.strip_suffix("/edit").map(|at| format!("{at}/delete"));
    let mut choices = vec![Choice::new("", "Any connection")];
    choices.extend(page.connections.unwrap_or_default().iter().map(|(id, name)| Choice::new(id, name)));
    let on = matches!(shown.value("active").as_str(), "true" | "on");
    let body = html! {
        (form::post(page.action, "", &html! {
            (shown.summary(visitor))
            input type="hidden" name="revision" value=(revision);
            (form::section("Number", None, &html! {
                @if page.connections.is_some() {
                    (field::tel("number", "Number or short code").value(&number).required().placeholder("+33700000000").error(shown.error("number")))
                    (field::select("connection", "Messages through", &choices).value(&connection).error(shown.error("connection")))
                }
                (field::text("name", "Name").value(&name).max_chars(100).error(shown.error("name")))
                (field::checkbox("active", "On").checked(on))
            }))
            (form::section("Keywords", Some("One a line; the first that fits decides. Case and accents do not count."), &html! {
                (field::textarea("keywords", "Keywords").value(&keywords).rows(6).wide().mono()
                    .error(shown.error("keywords").or(shown.error("when")).or(shown.error("actions")).or(shown.error("rule")))
                    .placeholder("VOTE, CAST => reply Thank you | webhook https://example.org/votes")
                    .hint("word, word => actions. With * at its end a word is a beginning, /…/ is a pattern, * alone any text. Actions, by |: account acc_…, webhook https://…, mail anna@example.com (several by commas; then ; and a subject), reply text, reply/60 text (once in 60 minutes), inbox."))
                (field::text("otherwise", "When none fits").value(&otherwise).wide().mono().error(shown.error("otherwise"))
                    .hint("Actions as above. When empty: to the SMPP account that owns the number, or the inbox."))
            }))
            (opt_out_fields(shown))
            (form::actions(&html! { (form::submit("Save")) (form::link("Cancel", "/inbound").weight(Weight::Quiet)) }))
        }))
        @if let Some(delete) = &delete {
            (confirm(words(visitor), &Confirm {
                id: "delete", button: "Delete number…", title: "Delete this number?",
                text: "Its messages stay. Later ones go to the SMPP account that owns the number, and STOP is not heard any more.",
                confirm: "Delete number", action: delete, csrf: "", danger: true,
            }))
        }
    };
    let breadcrumbs = browse::breadcrumbs(words(visitor), &[("Numbers", "/inbound")], page.title);
    Content { breadcrumbs, ..Content::new(page.title, body) }
}

async fn new(visitor: Visitor) -> Result<Response, PageProblem> {
    visitor.scope.require(Permission::InboundCreate)?;
    let mut members = rule_members(&NumberRule::default())?;
    members.insert("active".to_owned(), true.into());
    let known = connections(&visitor).await?;
    let page = Page { title: "Add a number", action: "/inbound/new", connections: Some(&known) };
    Ok(visitor.page(form_page(&visitor, &page, &Shown::of(members))))
}

async fn create(
    State(gateway): State<Gateway>,
    visitor: Visitor,
    Form(fields): Form<Vec<(String, String)>>,
) -> Result<Response, PageProblem> {
    let fields = Fields(fields);
    let asked = async {
        let new = NewInboundNumber {
            number: fields.owned("number").unwrap_or_default(),
            connection: fields.get("connection").map(str::parse).transpose()?,
            name: fields.owned("name"),
            active: Some(fields.get("active").is_some()),
            rule: rule(&fields)?,
        };
        super::create(&visitor.scope, new).await
    };
    match asked.await {
        Ok(_) => {
            follow(gateway.engine.inbound_changed()).await;
            Ok(done("/inbound", "Number added."))
        }
        Err(refused) => {
            let refused = again(refused)?;
            let known = connections(&visitor).await?;
            let page = Page { title: "Add a number", action: "/inbound/new", connections: Some(&known) };
            Ok(visitor.page_again(form_page(&visitor, &page, &Shown::again(&fields, &refused))))
        }
    }
}

async fn edit(visitor: Visitor, Path(id): Path<String>) -> Result<Response, PageProblem> {
    visitor.scope.require(Permission::InboundChange)?;
    let number = super::get(&visitor.scope, id.parse()?).await?;
    let action = format!("/inbound/{}/edit", number.id);
    let page = Page { title: &number.number, action: &action, connections: None };
    Ok(visitor.page(form_page(&visitor, &page, &Shown::of(members(&number)?))))
}

async fn change(
    State(gateway): State<Gateway>,
    visitor: Visitor,
    Path(id): Path<String>,
    Form(fields): Form<Vec<(String, String)>>,
) -> Result<Response, PageProblem> {
    let (id, fields): (InboundNumberId, _) = (id.parse()?, Fields(fields));
    let asked = async {
        let wanted = InboundNumberPatch {
            name: fields.owned("name"),
            active: Some(fields.get("active").is_some()),
            rule: rule(&fields)?,
            revision: fields.revision(),
        };
        super::change(&visitor.scope, id, wanted).await
    };
    match asked.await {
        Ok(_) => {
            follow(gateway.engine.inbound_changed()).await;
            Ok(done("/inbound", "Number saved."))
        }
        Err(refused) => {
            let refused = again(refused)?;
            let action = format!("/inbound/{id}/edit");
            let page = Page { title: "Edit the number", action: &action, connections: None };
            Ok(visitor.page_again(form_page(&visitor, &page, &Shown::again(&fields, &refused))))
        }
    }
}

async fn delete(
    State(gateway): State<Gateway>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<Response, PageProblem> {
    super::delete(&visitor.scope, id.parse()?).await?;
    follow(gateway.engine.inbound_changed()).await;
    Ok(done("/inbound", "Number deleted."))
}

/// The routes.
pub(crate) fn router() -> Router<Gateway> {
    Router::new()
        .route("/inbound", get(list))
        .route("/inbound/new", get(new).post(create))
        .route("/inbound/{id}", get(edit))
        .route("/inbound/{id}/edit", get(edit).post(change))
        .route("/inbound/{id}/delete", post(delete))
}
