//! Working hours and limits in the console.

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{get, post};
use maud::{Markup, html};
use serde_json::{Value, json};
use types::{Error, HoursId, Permission, Result};
use web::console::{Content, done};
use web::ui::dialog::{Confirm, confirm};
use web::ui::field::{self, Choice};
use web::ui::form::{self, Weight};
use web::ui::icon::Icon;
use web::ui::table::{column, row, table};
use web::ui::tone::Tone;
use web::ui::{badge, browse, card, feedback};
use web::{Form, PageProblem, Query, Visitor};

use super::{Day, Hours, HoursPatch, HoursRule, NewHours, Outside, Window};
use crate::api::{Gateway, follow};
use crate::firewall::pages::{reach, reach_fields, reach_members};
use crate::gate::pages::{Tried, day_bars, intent_label, try_panel};
use crate::gate::refusals::{self, RuleCount};
use crate::pages::{Fields, Shown, again, list as texts, may, none, words};
use crate::settings::{self, Patch};

/// The windows of a day as a form shows them: `08:00-12:00, 14:00-20:00`.
fn of_day(windows: &[Window], day: Day) -> String {
    let mut own: Vec<_> = windows
        .iter()
        .filter(|window| window.days.contains(&day))
        .map(|window| format!("{}-{}", window.from, window.to))
        .collect();
    own.sort();
    own.join(", ")
}

/// Width of an hour in the drawing of a day.
const HOUR: u32 = 6;
const DAY_HEIGHT: u32 = 14;

/// The minutes of the day that the windows of a day cover, from this day's own and the one before.
fn stretches(windows: &[Window], day: usize) -> Vec<(u32, u32)> {
    let minutes = |text: &str| {
        let (hours, minutes) = text.split_once(':').unwrap_or(("0", "0"));
        hours.parse::<u32>().unwrap_or_default() * 60 + minutes.parse::<u32>().unwrap_or_default()
    };
    let before = Day::ALL[(day + 6) % 7];
    let mut stretches = Vec::new();
    for window in windows {
        let (from, to) = (minutes(&window.from), minutes(&window.to));
        let over = to <= from;
        if window.days.contains(&Day::ALL[day]) {
            stretches.push((from, if over { 1_440 } else { to }));
        }
        if over && window.days.contains(&before) {
            stretches.push((0, to));
        }
    }
    stretches
}

/// The week as a table: each day's hours in words, and drawn for those who see.
fn week_grid(rule: &HoursRule) -> Markup {
    let width = 24 * HOUR;
    let rows = Day::ALL.into_iter().enumerate().map(|(at, day)| {
        let own = of_day(&rule.windows, day).replace('-', " to ");
        row(vec![
            html! { (day.name()) },
            html! { (if own.is_empty() { "closed" } else { own.as_str() }) },
            html! {
                svg width=(width) height=(DAY_HEIGHT) viewBox={ "0 0 " (width) " " (DAY_HEIGHT) } aria-hidden="true" focusable="false" {
                    rect x="0" y="6" width=(width) height="2" fill="currentColor" opacity="0.3" {}
                    @for (from, to) in stretches(&rule.windows, at) {
                        rect x=(from * HOUR / 60) y="2" width=(to.saturating_sub(from) * HOUR / 60) height="10" fill="currentColor" {}
                    }
                }
            },
        ])
    });
    let columns = vec![column("Day"), column("Open"), column("Midnight to midnight").detail()];
    html! { (table("Open hours by weekday", columns, rows.collect()).dense()) }
}

fn about(hours: &Hours) -> Markup {
    let rule = &hours.rule;
    let reach = &rule.reach;
    html! {
        @for intent in &reach.intents { (badge::tag(intent_label(*intent))) " " }
        @for country in &reach.countries { (badge::tag(country)) " " }
        @for sender in &reach.senders { (badge::tag(sender)) " " }
        @if !reach.accounts.is_empty() { (reach.accounts.len()) " accounts " }
        @if reach.api { "the API " }
        @if !rule.routes.is_empty() { (rule.routes.len()) " routes " }
        @if !rule.keys.is_empty() { (rule.keys.len()) " API keys " }
        @if *reach == crate::gate::Reach::default() && rule.routes.is_empty() && rule.keys.is_empty() { "every message" }
    }
}

fn hours_table(visitor: &Visitor, all: &[Hours], counts: &[RuleCount]) -> Markup {
    let rows = all.iter().map(|hours| {
        let own: Vec<&RuleCount> = counts.iter().filter(|count| count.raw == hours.id.raw()).collect();
        let cells = vec![
            html! { (hours.name) },
            about(hours),
            html! {
                @if hours.rule.windows.is_empty() { "at any time" } @else {
                    (match hours.rule.outside { Outside::Postpone => "postponed outside", Outside::Refuse => "refused outside" })
                }
            },
            match hours.rule.parts_per_second {
                Some(rate) => html! { (rate) " /s" },
                None => none(),
            },
            day_bars(&own),
            match hours.active {
                true => badge::badge_icon(Tone::Good, Icon::Check, "On"),
                false => badge::badge(Tone::Neutral, "Off"),
            },
        ];
        let row = row(cells).key(hours.id.to_string());
        if may(visitor, Permission::HoursChange) { row.link(format!("/hours/{}", hours.id)) } else { row }
    });
    let columns = vec![
        column("Rule"),
        column("About"),
        column("Hours"),
        column("Rate").number(),
        column("Last 24 hours"),
        column("State"),
    ];
    let empty = feedback::empty(
        Icon::Clock,
        "No hours yet",
        "Without a rule messages go at any time, as fast as they come.",
        &add_button(visitor),
    );
    html! { (table("Working hours and limits", columns, rows.collect()).id("hours").empty(empty)) }
}

fn add_button(visitor: &Visitor) -> Markup {
    html! {
        @if may(visitor, Permission::HoursCreate) {
            (form::link("Add hours", "/hours/new").weight(Weight::Primary).icon(Icon::Plus))
        }
    }
}

async fn list(
    State(gateway): State<Gateway>,
    visitor: Visitor,
    Query(tried): Query<Tried>,
) -> Result<Response, PageProblem> {
    let all = super::list(&visitor.scope).await?.items;
    let counts = match may(&visitor, Permission::RefusalView) {
        true => refusals::counts(&visitor.scope).await?,
        false => Vec::new(),
    };
    let body = html! {
        (hours_table(&visitor, &all, &counts))
        @for hours in all.iter().filter(|hours| !hours.rule.windows.is_empty()) {
            (card::card(&hours.name, &html! {}, &html! {
                (week_grid(&hours.rule))
                p class="hint" {
                    "Zone: " (hours.rule.time_zone.as_deref().unwrap_or("the tenant's own"))
                    @if !hours.rule.holidays.is_empty() { ". Holidays: " (hours.rule.holidays.join(", ")) }
                }
            }))
        }
        (try_panel(&gateway, &visitor, "/hours", &tried).await?)
    };
    let content = Content { actions: add_button(&visitor), ..Content::new("Hours", body) };
    Ok(visitor.page_or_fragment(content))
}

/// The field of a day.
fn field_of(day: Day) -> String {
    format!("on_{}", day.name().to_lowercase())
}

/// The windows that a form asks for.
fn windows(fields: &Fields) -> Result<Vec<Value>> {
    let mut windows = Vec::new();
    for day in Day::ALL {
        let name = field_of(day);
        for text in texts(fields.get(&name).unwrap_or_default()) {
            let (from, to) = text.split_once(['-', '–']).ok_or_else(|| {
                Error::invalid(&name, format!("{text:?} is not a stretch such as 08:00-20:00"))
            })?;
            windows.push(json!({ "days": [day], "from": from.trim(), "to": to.trim() }));
        }
    }
    Ok(windows)
}

/// The rule that a form asks for.
fn rule(fields: &Fields) -> Result<Patch> {
    let optional = |name: &str| fields.get(name).map_or(Value::Null, Value::from);
    let rate = fields.get("parts_per_second").map(|text| {
        text.parse::<u32>()
            .map_err(|_| Error::invalid("parts_per_second", format!("{text:?} is not a whole number")))
    });
    Ok(Patch::from_iter([
        ("reach".to_owned(), reach(fields)),
        ("routes".to_owned(), texts(fields.get("routes").unwrap_or_default()).into()),
        ("keys".to_owned(), texts(fields.get("keys").unwrap_or_default()).into()),
        ("windows".to_owned(), windows(fields)?.into()),
        ("holidays".to_owned(), texts(fields.get("holidays").unwrap_or_default()).into()),
        ("time_zone".to_owned(), optional("time_zone")),
        ("outside".to_owned(), fields.get("outside").unwrap_or("postpone").into()),
        ("parts_per_second".to_owned(), rate.transpose()?.map_or(Value::Null, Value::from)),
    ]))
}

/// The form's fields with a rule's values.
fn members(hours: &Hours) -> Result<Patch> {
    let mut members = settings::members(&hours.rule)?;
    reach_members(&mut members, &hours.rule.reach);
    for day in Day::ALL {
        members.insert(field_of(day), of_day(&hours.rule.windows, day).into());
    }
    members.insert("name".to_owned(), hours.name.as_str().into());
    members.insert("active".to_owned(), hours.active.into());
    members.insert("revision".to_owned(), hours.revision.into());
    Ok(members)
}

fn when_fields(shown: &Shown<'_>) -> Markup {
    let outsides =
        [Choice::new("postpone", "Postponed to the next opening"), Choice::new("refuse", "Refused")];
    let value = |name: &str| shown.value(name);
    let (zone, holidays, outside) = (value("time_zone"), value("holidays"), value("outside"));
    let outside = if outside.is_empty() { "postpone".to_owned() } else { outside };
    html! {
        (form::section("When messages may go", Some("Stretches such as 08:00-12:00, 14:00-20:00. One that ends before it begins goes on over midnight. Days left empty are closed; when all are, it is always open."), &html! {
            @for (at, day) in Day::ALL.into_iter().enumerate() {
                @let name = field_of(day);
                @let error = shown.error(&name).or(shown.error("windows").filter(|_| at == 0));
                (field::text(&name, day.name()).value(&value(&name)).placeholder("08:00-20:00").error(error))
            }
            (field::text("time_zone", "Time zone").value(&zone).placeholder("Africa/Casablanca").error(shown.error("time_zone"))
                .hint("The tenant's own when empty."))
            (field::textarea("holidays", "Holidays").value(&holidays).rows(2).wide().error(shown.error("holidays"))
                .hint("Days on which no window begins: 2027-01-01, by commas or one a line."))
            (field::select("outside", "Outside of the hours a message is", &outsides).value(&outside))
        }))
    }
}

fn form_page<'a>(visitor: &Visitor, title: &'a str, action: &str, shown: &Shown<'_>) -> Content<'a> {
    let [name, rate, routes, keys, revision] =
        ["name", "parts_per_second", "routes", "keys", "revision"].map(|name| shown.value(name));
    let delete = action.strip_suffix("/edit").map(|at| format!("{at}/delete"));
    let body = html! {
        (form::post(action, "", &html! {
            (shown.summary(visitor))
            input type="hidden" name="revision" value=(revision);
            (form::section("Rule", None, &html! {
                (field::text("name", "Name").value(&name).required().max_chars(100).error(shown.error("name"))
                    .hint("Whoever is refused sees it."))
                (field::number("parts_per_second", "Message parts a second").value(&rate).range("1", "1000000")
                    .hint("Over all that the rule is about; no limit when empty.").error(shown.error("parts_per_second")))
                (field::checkbox("active", "On").checked(shown.value("active") == "true"))
            }))
            (when_fields(shown))
            (reach_fields(shown))
            (form::section("Further limits", None, &html! {
                (field::tags("routes", "Routes", &[]).value(&routes).hint("Ids such as rte_…").error(shown.error("routes")))
                (field::tags("keys", "API keys", &[]).value(&keys).hint("Ids such as key_…").error(shown.error("keys")))
            }))
            (form::actions(&html! { (form::submit("Save")) (form::link("Cancel", "/hours").weight(Weight::Quiet)) }))
        }))
        @if let Some(delete) = &delete {
            (confirm(words(visitor), &Confirm {
                id: "delete", button: "Delete hours…", title: "Delete these hours?",
                text: "Messages that they postponed keep their time. This cannot be undone.",
                confirm: "Delete hours", action: delete, csrf: "", danger: true,
            }))
        }
    };
    let breadcrumbs = browse::breadcrumbs(words(visitor), &[("Hours", "/hours")], title);
    Content { breadcrumbs, ..Content::new(title, body) }
}

async fn new(visitor: Visitor) -> Result<Response, PageProblem> {
    visitor.scope.require(Permission::HoursCreate)?;
    let members =
        Patch::from_iter([("active".to_owned(), true.into()), ("intent_marketing".to_owned(), true.into())]);
    let shown = Shown::of(members);
    Ok(visitor.page(form_page(&visitor, "Add hours", "/hours/new", &shown)))
}

async fn create(
    State(gateway): State<Gateway>,
    visitor: Visitor,
    Form(fields): Form<Vec<(String, String)>>,
) -> Result<Response, PageProblem> {
    let fields = Fields(fields);
    let asked = async {
        let new = NewHours {
            name: fields.owned("name").unwrap_or_default(),
            active: Some(fields.get("active").is_some()),
            rule: rule(&fields)?,
        };
        super::create(&visitor.scope, new).await
    };
    match asked.await {
        Ok(_) => {
            follow(gateway.engine.gates_changed(visitor.scope.tenant())).await;
            Ok(done("/hours", "Hours added."))
        }
        Err(refused) => {
            let refused = again(refused)?;
            let shown = Shown::again(&fields, &refused);
            Ok(visitor.page_again(form_page(&visitor, "Add hours", "/hours/new", &shown)))
        }
    }
}

async fn edit(visitor: Visitor, Path(id): Path<String>) -> Result<Response, PageProblem> {
    visitor.scope.require(Permission::HoursChange)?;
    let hours = super::get(&visitor.scope, id.parse()?).await?;
    let shown = Shown::of(members(&hours)?);
    Ok(visitor.page(form_page(&visitor, "Edit hours", &format!("/hours/{}/edit", hours.id), &shown)))
}

async fn change(
    State(gateway): State<Gateway>,
    visitor: Visitor,
    Path(id): Path<String>,
    Form(fields): Form<Vec<(String, String)>>,
) -> Result<Response, PageProblem> {
    let (id, fields): (HoursId, _) = (id.parse()?, Fields(fields));
    let asked = async {
        let wanted = HoursPatch {
            name: Some(fields.owned("name").unwrap_or_default()),
            active: Some(fields.get("active").is_some()),
            rule: rule(&fields)?,
            revision: fields.revision(),
        };
        super::change(&visitor.scope, id, wanted).await
    };
    match asked.await {
        Ok(_) => {
            follow(gateway.engine.gates_changed(visitor.scope.tenant())).await;
            Ok(done("/hours", "Hours saved."))
        }
        Err(refused) => {
            let refused = again(refused)?;
            let shown = Shown::again(&fields, &refused);
            Ok(visitor.page_again(form_page(&visitor, "Edit hours", &format!("/hours/{id}/edit"), &shown)))
        }
    }
}

async fn delete(
    State(gateway): State<Gateway>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<Response, PageProblem> {
    super::delete(&visitor.scope, id.parse()?).await?;
    follow(gateway.engine.gates_changed(visitor.scope.tenant())).await;
    Ok(done("/hours", "Hours deleted."))
}

/// The routes.
pub(crate) fn router() -> Router<Gateway> {
    Router::new()
        .route("/hours", get(list))
        .route("/hours/new", get(new).post(create))
        .route("/hours/{id}", get(edit))
        .route("/hours/{id}/edit", get(edit).post(change))
        .route("/hours/{id}/delete", post(delete))
}
