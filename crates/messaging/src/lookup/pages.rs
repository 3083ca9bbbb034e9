//! Look-up services and the numbering plan in the console.

use std::collections::BTreeMap;

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{get, post};
use maud::{Markup, Render, html};
use serde::Deserialize;
use types::{Error, LookupId, Permission, Result};
use web::console::{Content, done};
use web::ui::dialog::{Confirm, confirm};
use web::ui::form::{self, Weight};
use web::ui::icon::Icon;
use web::ui::table::{column, row, table};
use web::ui::tone::Tone;
use web::ui::{badge, browse, card, feedback, field};
use web::{Form, PageProblem, Paging, Query, Visitor};

use super::asking::{Looked, Question};
use super::plan::{self, Import};
use super::provider::{self, NewProvider, Provider, ProviderPatch};
use crate::api::{Gateway, follow};
use crate::pages::{Fields, Kind, Section, Setting, Shown, again, may, patch, words};
use crate::settings::{self, Patch};

const fn pointer(name: &'static str, label: &'static str, hint: &'static str) -> Setting {
    Setting { name, label, hint, kind: Kind::Code }
}

const SECTIONS: &[Section] = &[
    Section {
        title: "Question",
        hint: Some("Where {number} stands the number's digits are put, country code first."),
        settings: &[
            pointer("url", "URL", "https://lookup.example/v1/{number}"),
            Setting {
                name: "method",
                label: "Method",
                hint: "",
                kind: Kind::Choice(&[("GET", "GET"), ("POST", "POST")]),
            },
            pointer("body", "Body", "What is posted, e.g. {\"msisdn\":\"{number}\"}."),
            Setting {
                name: "timeout_ms",
                label: "Wait at most",
                hint: "50 to 5,000 ms; then the plan decides.",
                kind: Kind::Number("50", "5000"),
            },
        ],
    },
    Section {
        title: "Answer",
        hint: Some(
            "Each is the place in the JSON that it answers, such as /result/mcc. Left empty, it is not read.",
        ),
        settings: &[
            pointer("mcc", "Mobile country code", ""),
            pointer("mnc", "Network code", ""),
            pointer("mccmnc", "Both at once", "20801 or 208-01; instead of the two."),
            pointer("network", "Network's name", ""),
            pointer("ported", "Ported", ""),
            pointer("roaming", "Roaming", ""),
            pointer("reachable", "Reachable", ""),
            pointer("imsi", "IMSI", "Only the network's digits are kept."),
        ],
    },
    Section {
        title: "Use",
        hint: None,
        settings: &[
            Setting {
                name: "prefixes",
                label: "Look up before routing",
                hint: "Beginnings of numbers, or * for all; empty for none.",
                kind: Kind::List,
            },
            Setting {
                name: "ttl_s",
                label: "An answer counts",
                hint: "60 to 2,592,000 s.",
                kind: Kind::Number("60", "2592000"),
            },
            Setting {
                name: "negative_ttl_s",
                label: "No answer counts",
                hint: "1 to 86,400 s.",
                kind: Kind::Number("1", "86400"),
            },
        ],
    },
];

/// A number that the page is asked about.
#[derive(Default, Deserialize)]
struct Asked {
    number: Option<String>,
    ask: Option<String>,
}

fn providers_table(visitor: &Visitor, providers: &[Provider]) -> Markup {
    let rows = providers.iter().map(|provider| {
        let cells = vec![
            html! { (provider.name) },
            html! { @for prefix in &provider.settings.prefixes { (badge::tag(prefix)) " " } },
            html! { (provider.settings.timeout_ms) " ms" },
            match provider.active {
                true => badge::badge_icon(Tone::Good, Icon::Check, "On"),
                false => badge::badge(Tone::Neutral, "Off"),
            },
        ];
        let row = row(cells).key(provider.id.to_string());
        if may(visitor, Permission::LookupChange) {
            row.link(format!("/lookups/{}/edit", provider.id))
        } else {
            row
        }
    });
    let columns = vec![column("Service"), column("Before routing to"), column("Waits"), column("State")];
    let text = "Numbers are told by the plan below, or at least by their country.";
    let empty = feedback::empty(Icon::Search, "No look-up services", text, &html! {});
    table("Look-up services, in the order in which they are asked", columns, rows.collect())
        .id("providers")
        .empty(empty)
        .render()
}

fn looked(looked: &Looked) -> Markup {
    let network = &looked.network;
    let yes = |value: Option<bool>| match value {
        Some(true) => "yes",
        Some(false) => "no",
        None => "not known",
    };
    let facts = [
        ("Network", html! { (network) }),
        ("Ported", html! { (yes(network.ported)) }),
        ("Roaming", html! { (yes(network.roaming)) }),
        ("Reachable", html! { (yes(network.reachable)) }),
    ];
    html! {
        (card::facts(&facts))
        @for told in &looked.asked {
            p { (told.name) ", " (told.took_ms) " ms: " (told.error.as_deref().unwrap_or("it knew")) }
        }
    }
}

async fn list(
    State(gateway): State<Gateway>,
    visitor: Visitor,
    Query(asked): Query<Asked>,
) -> Result<Response, PageProblem> {
    let providers = provider::list(&visitor.scope).await?.items;
    let paging = Paging { limit: Some("20".to_owned()), after: None };
    let lines = match may(&visitor, Permission::NumberPlanView) {
        true => plan::list(&visitor.scope, &paging).await?.items,
        false => Vec::new(),
    };
    let may_ask = may(&visitor, Permission::LookupAsk);
    let answer = match &asked.number {
        None => None,
        Some(number) => {
            let question = Question { number: number.clone(), ask: asked.ask.is_some() && may_ask };
            Some(gateway.engine.lookups().look(&visitor.scope, &question).await)
        }
    };
    let (answer, refused) = match answer {
        Some(Err(error)) => (None, Some(again(error)?)),
        Some(Ok(answer)) => (Some(answer), None),
        None => (None, None),
    };
    let number = asked.number.clone().unwrap_or_default();
    let rows = lines.iter().map(|line| {
        row(vec![
            html! { "+" (line.prefix) },
            html! { (line.mcc) @if !line.mnc.is_empty() { "-" (line.mnc) } },
            html! { (line.name) },
            html! { (line.country) },
        ])
    });
    let columns = vec![column("Prefix"), column("Network"), column("Name"), column("Country")];
    let body = html! {
        (providers_table(&visitor, &providers))
        (card::card("Look a number up", &html! {}, &html! {
            (form::get("/lookups", &html! {
                div class="fields" {
                    (field::tel("number", "Number").value(&number).required().placeholder("+33612345678")
                        .error(refused.as_ref().map(Error::message)))
                    @if may_ask { (field::checkbox("ask", "Ask the services now, which may cost").checked(asked.ask.is_some())) }
                }
                (form::actions(&html! { (form::submit("Look up").weight(Weight::Plain).icon(Icon::Search)) }))
            }))
            @if let Some(answer) = &answer { (looked(answer)) }
        }))
        (card::card("Numbering plan", &html! {}, &html! {
            @if lines.is_empty() { p { "No plan was imported: numbers are told by their country." } }
            @else { (table("Beginning of the plan", columns, rows.collect()).id("plan").dense()) }
            @if may(&visitor, Permission::NumberPlanImport) {
                (form::post("/lookups/plan", "", &html! {
                    (field::textarea("csv", "Import a plan").rows(6).mono().wide().placeholder("33612,208,01,Orange,FR")
                        .hint("Lines of prefix, MCC, MNC, name and country. It takes the place of the whole plan."))
                    (form::actions(&html! { (form::submit("Import plan").weight(Weight::Plain)) }))
                }))
            }
        }))
    };
    let actions = html! {
        @if may(&visitor, Permission::LookupCreate) { (form::link("Add service", "/lookups/new").weight(Weight::Primary).icon(Icon::Plus)) }
    };
    let content = Content { actions, ..Content::new("Look-ups", body) };
    Ok(if refused.is_some() { visitor.page_again(content) } else { visitor.page_or_fragment(content) })
}

fn form_page<'a>(visitor: &Visitor, title: &'a str, action: &str, shown: &Shown<'_>) -> Content<'a> {
    let [name, headers] = ["name", "secret_headers"].map(|name| shown.value(name));
    let delete = action.strip_suffix("/edit").map(|at| format!("{at}/delete"));
    let body = html! {
        (form::post(action, "", &html! {
            (shown.summary(visitor))
            input type="hidden" name="revision" value=(shown.value("revision"));
            (form::section("Service", None, &html! {
                (field::text("name", "Name").value(&name).required().max_chars(100).error(shown.error("name")))
                (field::checkbox("active", "Ask this service").checked(shown.value("active") == "true"))
                (field::textarea("secret_headers", "Secret headers").value(&headers).rows(2).mono()
                    .hint("One on each line, as Authorization: Bearer …. Kept sealed and never shown; empty keeps those of before.")
                    .error(shown.error("secret_headers")))
            }))
            (shown.sections(SECTIONS))
            (form::actions(&html! { (form::submit("Save service")) (form::link("Cancel", "/lookups")) }))
        }))
        @if let Some(delete) = &delete {
            (confirm(words(visitor), &Confirm {
                id: "delete", button: "Delete…", title: "Delete this look-up service?",
                text: "What it has answered counts until its time. This cannot be undone.",
                confirm: "Delete service", action: delete, csrf: "", danger: true,
            }))
        }
    };
    let breadcrumbs = browse::breadcrumbs(words(visitor), &[("Look-ups", "/lookups")], title);
    Content { title, body, actions: html! {}, breadcrumbs }
}

fn secret_headers(fields: &Fields) -> Result<BTreeMap<String, String>> {
    let lines =
        fields.get("secret_headers").unwrap_or_default().lines().filter(|line| !line.trim().is_empty());
    let split = |line: &str| {
        let (name, value) = line
            .split_once(':')
            .ok_or_else(|| Error::invalid("secret_headers", "each line is a name, a colon and a value"))?;
        Ok((name.trim().to_owned(), value.trim().to_owned()))
    };
    lines.map(split).collect()
}

async fn new(visitor: Visitor) -> Result<Response, PageProblem> {
    visitor.scope.require(Permission::LookupCreate)?;
    let mut members = settings::members(&provider::LookupSettings::default())?;
    members.insert("active".to_owned(), true.into());
    Ok(visitor.page(form_page(&visitor, "Add look-up service", "/lookups/new", &Shown::of(members))))
}

async fn create(
    State(gateway): State<Gateway>,
    visitor: Visitor,
    Form(fields): Form<Vec<(String, String)>>,
) -> Result<Response, PageProblem> {
    let fields = Fields(fields);
    let asked = async {
        let new = NewProvider {
            name: fields.owned("name").unwrap_or_default(),
            active: Some(fields.get("active").is_some()),
            settings: patch(SECTIONS, &fields)?,
            secret_headers: secret_headers(&fields)?,
        };
        provider::create(&visitor.scope, new).await
    };
    match asked.await {
        Ok(_) => {
            follow(gateway.engine.lookups().reload()).await;
            Ok(done("/lookups", "Look-up service added."))
        }
        Err(refused) => {
            let refused = again(refused)?;
            let shown = Shown::again(&fields, &refused);
            Ok(visitor.page_again(form_page(&visitor, "Add look-up service", "/lookups/new", &shown)))
        }
    }
}

fn members(provider: &Provider) -> Result<Patch> {
    let mut members = settings::members(&provider.settings)?;
    members.insert("name".to_owned(), provider.name.as_str().into());
    members.insert("active".to_owned(), provider.active.into());
    members.insert("revision".to_owned(), provider.revision.into());
    Ok(members)
}

async fn edit(visitor: Visitor, Path(id): Path<String>) -> Result<Response, PageProblem> {
    visitor.scope.require(Permission::LookupChange)?;
    let provider = provider::get(&visitor.scope, id.parse()?).await?;
    let shown = Shown::of(members(&provider)?);
    let action = format!("/lookups/{}/edit", provider.id);
    Ok(visitor.page(form_page(&visitor, "Edit look-up service", &action, &shown)))
}

async fn change(
    State(gateway): State<Gateway>,
    visitor: Visitor,
    Path(id): Path<String>,
    Form(fields): Form<Vec<(String, String)>>,
) -> Result<Response, PageProblem> {
    let (id, fields): (LookupId, _) = (id.parse()?, Fields(fields));
    let asked = async {
        let secret = secret_headers(&fields)?;
        let wanted = ProviderPatch {
            name: Some(fields.owned("name").unwrap_or_default()),
            active: Some(fields.get("active").is_some()),
            settings: patch(SECTIONS, &fields)?,
            secret_headers: Some(secret).filter(|secret| !secret.is_empty()),
            revision: fields.revision(),
        };
        provider::change(&visitor.scope, id, wanted).await
    };
    match asked.await {
        Ok(_) => {
            follow(gateway.engine.lookups().reload()).await;
            Ok(done("/lookups", "Look-up service saved."))
        }
        Err(refused) => {
            let refused = again(refused)?;
            let shown = Shown::again(&fields, &refused);
            let action = format!("/lookups/{id}/edit");
            Ok(visitor.page_again(form_page(&visitor, "Edit look-up service", &action, &shown)))
        }
    }
}

async fn delete(
    State(gateway): State<Gateway>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<Response, PageProblem> {
    provider::delete(&visitor.scope, id.parse()?).await?;
    follow(gateway.engine.lookups().reload()).await;
    Ok(done("/lookups", "Look-up service deleted."))
}

async fn import(
    State(gateway): State<Gateway>,
    visitor: Visitor,
    Form(fields): Form<Vec<(String, String)>>,
) -> Result<Response, PageProblem> {
    let csv = Fields(fields).owned("csv").unwrap_or_default();
    let imported = plan::import(&visitor.scope, &Import { csv }).await?;
    follow(gateway.engine.lookups().reload()).await;
    Ok(done("/lookups", &format!("Lines that the plan has now: {}.", imported.lines)))
}

/// Look-ups and the plan.
pub(crate) fn router() -> Router<Gateway> {
    Router::new()
        .route("/lookups", get(list))
        .route("/lookups/new", get(new).post(create))
        .route("/lookups/{id}/edit", get(edit).post(change))
        .route("/lookups/{id}/delete", post(delete))
        .route("/lookups/plan", post(import))
}
