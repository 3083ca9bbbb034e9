//! The firewall in the console.

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{get, post};
use maud::{Markup, Render, html};
use serde_json::{Value, json};
use types::{Error, Permission, Result, RuleId};
use web::console::{Content, done};
use web::ui::dialog::{Confirm, confirm};
use web::ui::field::{self, Choice};
use web::ui::form::{self, Weight};
use web::ui::icon::Icon;
use web::ui::table::{column, row, table};
use web::ui::tone::Tone;
use web::ui::{badge, browse, feedback};
use web::{Form, PageProblem, Query, Visitor};

use super::{Action, Condition, NewRule, Per, Rule, RulePatch};
use crate::Intent;
use crate::api::{Gateway, follow};
use crate::gate::pages::{Tried, day_bars, intent_label, tabs, try_panel};
use crate::gate::refusals::{self, RuleCount};
use crate::pages::{Fields, Shown, again, list as texts, may, words};
use crate::settings::Patch;

/// The kinds of conditions: value and label.
const KINDS: [(&str, &str); 8] = [
    ("url", "The text holds a web address"),
    ("url_not_on_list", "A web address is not on the list of domains"),
    ("words", "The text holds one of the words"),
    ("pattern", "The text matches the pattern"),
    ("impersonates", "The sender looks like one of the names"),
    ("flood", "Too many messages within some seconds"),
    ("duplicate", "The same was sent within some minutes"),
    ("per_day", "Too many messages to a recipient on a day"),
];

const fn action_label(action: Action) -> &'static str {
    match action {
        Action::Refuse => "Refuse",
        Action::Hold => "Hold for a person",
        Action::Mark => "Let through and mark",
        Action::Count => "Count only (dry run)",
    }
}

fn action_badge(action: Action) -> Markup {
    let tone = match action {
        Action::Refuse => Tone::Bad,
        Action::Hold | Action::Mark => Tone::Warn,
        Action::Count => Tone::Neutral,
    };
    badge::badge(tone, action_label(action))
}

/// Entries of a list that a sentence names.
const NAMED: usize = 4;

fn some(list: &[String]) -> Markup {
    let more = list.len().saturating_sub(NAMED);
    html! {
        @for text in list.iter().take(NAMED) { (badge::tag(text)) " " }
        @if more > 0 { "and " (more) " more" }
    }
}

/// A condition in words.
fn condition(when: &Condition) -> Markup {
    html! {
        @match when {
            Condition::Url => "a web address",
            Condition::UrlNotOnList { domains } => { "a web address that is not on " (some(domains)) }
            Condition::Words { words, .. } => { "the words " (some(words)) }
            Condition::Pattern { pattern } => { "the pattern " code { (pattern) } }
            Condition::Impersonates { names, .. } => { "a sender that looks like " (some(names)) }
            Condition::Flood { per, max, seconds } => {
                "more than " (max) " in " (seconds) " s for one " (if *per == Per::Sender { "sender" } else { "recipient" })
            }
            Condition::Duplicate { minutes } => { "the same again within " (minutes) " min" }
            Condition::PerDay { max } => { "more than " (max) " a day for one recipient" }
        }
    }
}

fn rules_table(visitor: &Visitor, rules: &[Rule], counts: &[RuleCount]) -> Markup {
    let rows = rules.iter().map(|rule| {
        let own: Vec<&RuleCount> = counts.iter().filter(|count| count.raw == rule.id.raw()).collect();
        let cells = vec![
            html! { (rule.name) },
            html! { (rule.priority) },
            condition(&rule.rule.when),
            action_badge(rule.rule.action),
            day_bars(&own),
            match rule.active {
                true => badge::badge_icon(Tone::Good, Icon::Check, "On"),
                false => badge::badge(Tone::Neutral, "Off"),
            },
        ];
        let row = row(cells).key(rule.id.to_string());
        if may(visitor, Permission::FirewallChange) {
            row.link(format!("/firewall/rules/{}", rule.id))
        } else {
            row
        }
    });
    let columns = vec![
        column("Rule"),
        column("Priority").number(),
        column("Finds"),
        column("Action"),
        column("Last 24 hours"),
        column("State"),
    ];
    let empty = feedback::empty(
        Icon::Shield,
        "No rules yet",
        "Without a rule the firewall lets everything through. Begin with one that only counts.",
        &add_button(visitor),
    );
    table("Firewall rules in the order in which they are asked", columns, rows.collect())
        .id("rules")
        .empty(empty)
        .render()
}

fn add_button(visitor: &Visitor) -> Markup {
    html! {
        @if may(visitor, Permission::FirewallCreate) {
            (form::link("Add rule", "/firewall/rules/new").weight(Weight::Primary).icon(Icon::Plus))
        }
    }
}

async fn list(
    State(gateway): State<Gateway>,
    visitor: Visitor,
    Query(tried): Query<Tried>,
) -> Result<Response, PageProblem> {
    let rules = super::list(&visitor.scope).await?.items;
    let counts = match may(&visitor, Permission::RefusalView) {
        true => refusals::counts(&visitor.scope).await?,
        false => Vec::new(),
    };
    let body = html! {
        (tabs("/firewall"))
        (rules_table(&visitor, &rules, &counts))
        (try_panel(&gateway, &visitor, "/firewall", &tried).await?)
        (feedback::help("How is a message judged?", &html! {
            p { "The rule with the highest priority is asked first, of equals the oldest. The first that refuses ends it. "
                "A rule that holds, marks or counts lets the others speak." }
        }))
    };
    let content = Content { actions: add_button(&visitor), ..Content::new("Firewall", body) };
    Ok(visitor.page_or_fragment(content))
}

/// A number of a form.
fn number(fields: &Fields, name: &str) -> Result<u32> {
    let text = fields.get(name).unwrap_or_default();
    text.parse().map_err(|_| Error::invalid(name, format!("{text:?} is not a whole number")))
}

/// The rule that a form asks for.
fn rule(fields: &Fields) -> Result<Patch> {
    let entries = || texts(fields.get("entries").unwrap_or_default());
    let on = |name: &str| fields.get(name).is_some();
    let kind = fields.get("kind").unwrap_or("url");
    let when = match kind {
        "url_not_on_list" => json!({ "kind": kind, "domains": entries() }),
        "words" => json!({ "kind": kind, "words": entries(), "whole": on("whole") }),
        "pattern" => json!({ "kind": kind, "pattern": fields.get("pattern").unwrap_or_default() }),
        "impersonates" => json!({ "kind": kind, "names": entries(), "exactly": on("exactly") }),
        "flood" => json!({ "kind": kind, "per": fields.get("per").unwrap_or("recipient"),
            "max": number(fields, "max")?, "seconds": number(fields, "seconds")? }),
        "duplicate" => json!({ "kind": kind, "minutes": number(fields, "minutes")? }),
        "per_day" => json!({ "kind": kind, "max": number(fields, "max")? }),
        _ => json!({ "kind": kind }),
    };
    Ok(Patch::from_iter([
        ("when".to_owned(), when),
        ("reach".to_owned(), reach(fields)),
        ("action".to_owned(), fields.get("action").unwrap_or("count").into()),
    ]))
}

/// Whose messages a form means. Accounts are given by their ids.
pub(crate) fn reach(fields: &Fields) -> Value {
    let intents: Vec<&str> = Intent::ALL
        .into_iter()
        .filter(|intent| fields.get(&format!("intent_{}", intent.as_str())).is_some())
        .map(Intent::as_str)
        .collect();
    json!({
        "accounts": texts(fields.get("accounts").unwrap_or_default()),
        "api": fields.get("api").is_some(),
        "intents": intents,
        "countries": texts(fields.get("countries").unwrap_or_default()),
        "senders": texts(fields.get("senders").unwrap_or_default()),
    })
}

/// The fields that say whose messages a rule is about.
pub(crate) fn reach_fields(shown: &Shown<'_>) -> Markup {
    let value = |name: &str| shown.value(name);
    let (accounts, countries, senders) = (value("accounts"), value("countries"), value("senders"));
    html! {
        (form::section("Whose messages", Some("All that is given must hold; what is empty is about all."), &html! {
            @for intent in Intent::ALL {
                @let name = format!("intent_{}", intent.as_str());
                (field::checkbox(&name, intent_label(intent)).checked(value(&name) == "true"))
            }
            (field::checkbox("api", "Sent over the API").checked(value("api") == "true"))
            (field::tags("countries", "Countries", &[]).value(&countries).hint("ISO 3166 codes such as FR, by commas.").error(shown.error("countries")))
            (field::tags("senders", "Senders", &[]).value(&senders).hint("With * at the end: those that begin so.").error(shown.error("senders")))
            (field::tags("accounts", "SMPP accounts", &[]).value(&accounts).hint("Ids such as acc_…").error(shown.error("accounts")))
        }))
    }
}

/// The fields of whose messages a rule is about, with its values.
pub(crate) fn reach_members(members: &mut Patch, reach: &crate::gate::Reach) {
    for intent in &reach.intents {
        members.insert(format!("intent_{}", intent.as_str()), true.into());
    }
    let accounts: Vec<String> = reach.accounts.iter().map(ToString::to_string).collect();
    members.insert("accounts".to_owned(), accounts.into());
    members.insert("api".to_owned(), reach.api.into());
    members.insert("countries".to_owned(), reach.countries.clone().into());
    members.insert("senders".to_owned(), reach.senders.clone().into());
}

/// The form's fields with a rule's values.
fn members(rule: &Rule) -> Result<Patch> {
    let mut members = crate::settings::members(&rule.rule.when)?;
    for list in ["domains", "words", "names"] {
        if let Some(entries) = members.remove(list) {
            members.insert("entries".to_owned(), entries);
        }
    }
    reach_members(&mut members, &rule.rule.reach);
    members.insert("action".to_owned(), rule.rule.action.as_str().into());
    members.insert("name".to_owned(), rule.name.as_str().into());
    members.insert("priority".to_owned(), rule.priority.into());
    members.insert("active".to_owned(), rule.active.into());
    members.insert("revision".to_owned(), rule.revision.into());
    Ok(members)
}

fn condition_fields(shown: &Shown<'_>) -> Markup {
    let kinds = KINDS.map(|(value, label)| Choice::new(value, label));
    let pers = [Choice::new("recipient", "Each recipient"), Choice::new("sender", "Each sender")];
    let value = |name: &str| shown.value(name);
    let (kind, entries, pattern, per) = (value("kind"), value("entries"), value("pattern"), value("per"));
    let (max, seconds, minutes) = (value("max"), value("seconds"), value("minutes"));
    let entries_error =
        ["entries", "domains", "words", "names"].into_iter().find_map(|name| shown.error(name));
    let per = if per.is_empty() { "recipient".to_owned() } else { per };
    html! {
        (form::section("When it holds", Some("Only the fields of the chosen condition count."), &html! {
            (field::select("kind", "Condition", &kinds).value(&kind).wide())
            (field::textarea("entries", "Domains, words or names").value(&entries).rows(3).wide()
                .hint("One a line, or by commas.").error(entries_error))
            (field::checkbox("whole", "Words stand alone").checked(value("whole") == "true"))
            (field::checkbox("exactly", "The very name counts too").checked(value("exactly") == "true"))
            (field::text("pattern", "Pattern").value(&pattern).mono().wide()
                .hint("A regular expression; (?i) at its beginning ignores case.").error(shown.error("pattern")))
            (field::select("per", "Counted for", &pers).value(&per))
            (field::number("max", "As many pass").value(&max).range("1", "1000000").error(shown.error("max")))
            (field::number("seconds", "Within seconds").value(&seconds).range("1", "86400").error(shown.error("seconds")))
            (field::number("minutes", "Within minutes").value(&minutes).range("1", "10080").error(shown.error("minutes")))
        }))
    }
}

fn form_page<'a>(visitor: &Visitor, title: &'a str, action: &str, shown: &Shown<'_>) -> Content<'a> {
    let actions = Action::ALL.map(|action| Choice::new(action.as_str(), action_label(action)));
    let (name, priority, chosen) = (shown.value("name"), shown.value("priority"), shown.value("action"));
    let chosen = if chosen.is_empty() { "count".to_owned() } else { chosen };
    let revision = shown.value("revision");
    let existing = action.strip_suffix("/edit");
    let body = html! {
        (shown.summary(visitor))
        (form::post(action, "", &html! {
            @if !revision.is_empty() { input type="hidden" name="revision" value=(revision); }
            (form::section("Rule", None, &html! {
                (field::text("name", "Name").value(&name).required().max_chars(100).error(shown.error("name"))
                    .hint("Whoever is refused sees it."))
                (field::number("priority", "Priority").value(&priority).range("-1000000", "1000000")
                    .hint("The highest is asked first; 100 when empty.").error(shown.error("priority")))
                (field::select("action", "What happens", &actions).value(&chosen))
                (field::checkbox("active", "On").checked(shown.value("active") == "true"))
            }))
            (condition_fields(shown))
            (reach_fields(shown))
            (form::actions(&html! {
                (form::submit("Save"))
                (form::link("Cancel", "/firewall").weight(Weight::Quiet))
            }))
        }))
        @if let Some(base) = existing {
            (confirm(words(visitor), &Confirm {
                id: "delete", button: "Delete rule…", title: "Delete this rule?",
                text: "Messages that it holds stay held. This cannot be undone.", confirm: "Delete rule",
                action: &format!("{base}/delete"), csrf: "", danger: true,
            }))
        }
    };
    let breadcrumbs = browse::breadcrumbs(words(visitor), &[("Firewall", "/firewall")], title);
    Content { breadcrumbs, ..Content::new(title, body) }
}

fn priority(fields: &Fields) -> Result<Option<i32>> {
    let read = |text: &str| {
        text.parse().map_err(|_| Error::invalid("priority", format!("{text:?} is not a whole number")))
    };
    fields.get("priority").map(read).transpose()
}

async fn new(visitor: Visitor) -> Result<Response, PageProblem> {
    visitor.scope.require(Permission::FirewallCreate)?;
    let members = Patch::from_iter([("active".to_owned(), true.into())]);
    let shown = Shown::of(members);
    Ok(visitor.page(form_page(&visitor, "Add rule", "/firewall/rules/new", &shown)))
}

async fn create(
    State(gateway): State<Gateway>,
    visitor: Visitor,
    Form(fields): Form<Vec<(String, String)>>,
) -> Result<Response, PageProblem> {
    let fields = Fields(fields);
    let asked = async {
        let new = NewRule {
            name: fields.owned("name").unwrap_or_default(),
            priority: priority(&fields)?,
            active: Some(fields.get("active").is_some()),
            rule: rule(&fields)?,
        };
        super::create(&visitor.scope, new).await
    };
    match asked.await {
        Ok(_) => {
            follow(gateway.engine.gates_changed(visitor.scope.tenant())).await;
            Ok(done("/firewall", "Rule added."))
        }
        Err(refused) => {
            let refused = again(refused)?;
            let shown = Shown::again(&fields, &refused);
            Ok(visitor.page_again(form_page(&visitor, "Add rule", "/firewall/rules/new", &shown)))
        }
    }
}

async fn edit(visitor: Visitor, Path(id): Path<String>) -> Result<Response, PageProblem> {
    visitor.scope.require(Permission::FirewallChange)?;
    let rule = super::get(&visitor.scope, id.parse()?).await?;
    let shown = Shown::of(members(&rule)?);
    Ok(visitor.page(form_page(&visitor, "Edit rule", &format!("/firewall/rules/{}/edit", rule.id), &shown)))
}

async fn change(
    State(gateway): State<Gateway>,
    visitor: Visitor,
    Path(id): Path<String>,
    Form(fields): Form<Vec<(String, String)>>,
) -> Result<Response, PageProblem> {
    let (id, fields): (RuleId, _) = (id.parse()?, Fields(fields));
    let asked = async {
        let wanted = RulePatch {
            name: Some(fields.owned("name").unwrap_or_default()),
            priority: priority(&fields)?,
            active: Some(fields.get("active").is_some()),
            rule: rule(&fields)?,
            revision: fields.revision(),
        };
        super::change(&visitor.scope, id, wanted).await
    };
    match asked.await {
        Ok(_) => {
            follow(gateway.engine.gates_changed(visitor.scope.tenant())).await;
            Ok(done("/firewall", "Rule saved."))
        }
        Err(refused) => {
            let refused = again(refused)?;
            let shown = Shown::again(&fields, &refused);
            Ok(visitor.page_again(form_page(
                &visitor,
                "Edit rule",
                &format!("/firewall/rules/{id}/edit"),
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
    follow(gateway.engine.gates_changed(visitor.scope.tenant())).await;
    Ok(done("/firewall", "Rule deleted."))
}

/// The routes.
pub(crate) fn router() -> Router<Gateway> {
    Router::new()
        .route("/firewall", get(list))
        .route("/firewall/rules/new", get(new).post(create))
        .route("/firewall/rules/{id}", get(edit))
        .route("/firewall/rules/{id}/edit", get(edit).post(change))
        .route("/firewall/rules/{id}/delete", post(delete))
}
