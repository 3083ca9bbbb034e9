//! Alert rules in the console.

use axum::Router;
use axum::extract::Path;
use axum::response::Response;
use axum::routing::{get, post};
use maud::{Markup, html};
use types::{Permission, UserId};
use web::console::Content;
use web::ui::dialog::{self, Confirm};
use web::ui::field::{self, Choice};
use web::ui::form::Weight;
use web::ui::icon::Icon;
use web::ui::table::{column, row, table};
use web::ui::tone::Tone;
use web::ui::words::Words;
use web::ui::{badge, browse, card, code, feedback, form};
use web::{App, Form, PageProblem, Refused, Visitor, console};

use super::{AlertRule, AlertRulePatch, AlertRuleShown, NewAlertRule};
use crate::security_event::{Kind, Severity};

/// A form as it was sent: pairs, with one box for each kind and each person.
#[derive(Debug, Default)]
struct Given(Vec<(String, String)>);

impl Given {
    fn of(rule: &AlertRule) -> Self {
        let mut pairs = vec![
            ("name".to_owned(), rule.name.clone()),
            ("severity".to_owned(), rule.severity.as_str().to_owned()),
            ("url".to_owned(), rule.url.clone()),
            ("revision".to_owned(), rule.revision.to_string()),
        ];
        let ticked = |name: String| (name, "true".to_owned());
        pairs.extend(rule.active.then(|| ticked("active".to_owned())));
        pairs.extend(rule.platform.then(|| ticked("platform".to_owned())));
        pairs.extend(rule.kinds.iter().map(|kind| ticked(format!("kind_{}", kind.as_str()))));
        pairs.extend(rule.people.iter().map(|id| ticked(format!("person_{id}"))));
        Self(pairs)
    }

    fn text(&self, name: &str) -> &str {
        self.0.iter().find(|(found, _)| found == name).map_or("", |(_, value)| value)
    }

    fn is_ticked(&self, name: &str) -> bool {
        self.text(name) == "true"
    }

    fn ticked<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a str> {
        let ticked = self.0.iter().filter(|(_, value)| value == "true");
        ticked.filter_map(move |(name, _)| name.strip_prefix(prefix))
    }

    fn kinds(&self) -> Vec<Kind> {
        self.ticked("kind_").filter_map(Kind::named).collect()
    }

    fn people(&self) -> Vec<UserId> {
        self.ticked("person_").filter_map(|id| id.parse().ok()).collect()
    }
}

async fn list(visitor: Visitor) -> Result<Response, PageProblem> {
    let rules = super::list(&visitor.scope).await?.items;
    let rows = rules.iter().map(|rule| {
        let kinds: Vec<_> = rule.kinds.iter().map(|kind| kind.title()).collect();
        row(vec![
            html! { (rule.name) },
            html! { @if rule.platform { "Platform: " } @if kinds.is_empty() { "everything" } @else { (kinds.join(", ")) } },
            html! { (rule.severity.as_str()) },
            html! { (rule.people.len()) @if !rule.url.is_empty() { " and a webhook" } },
            if rule.active {
                badge::badge_icon(Tone::Good, Icon::Check, "on")
            } else {
                badge::badge_icon(Tone::Neutral, Icon::Pause, "off")
            },
        ])
        .link(format!("/alert-rules/{}", rule.id))
    });
    let columns =
        vec![column("Name"), column("About").detail(), column("From"), column("People"), column("State")];
    let add = html! {
        @if visitor.scope.permissions().contains(Permission::AlertRuleChange) {
            (form::link("New alert", "/alert-rules/new").icon(Icon::Plus).weight(Weight::Primary))
        }
    };
    let empty = feedback::empty(
        Icon::Bell,
        "Nobody is told",
        "An alert tells people by mail, or a program, when something looks like an attack.",
        &html! {},
    );
    let body = html! { (table("Alerts", columns, rows.collect()).empty(empty)) };
    Ok(visitor.page(Content { actions: add, ..Content::new("Alerts", body) }))
}

async fn fields(
    visitor: &Visitor,
    given: &Given,
    refused: &Refused,
    new: bool,
) -> Result<Markup, PageProblem> {
    let people = super::people(&visitor.scope).await?;
    let severities = Severity::ALL.map(Severity::as_str).map(|name| Choice::new(name, name));
    let mailing = crate::mail::is_on(visitor.scope.runtime());
    let over = visitor.scope.permissions().contains(Permission::SystemView);
    let kinds: Vec<_> =
        Kind::ALL.iter().map(|kind| (format!("kind_{}", kind.as_str()), kind.title())).collect();
    let people: Vec<_> = people.into_iter().map(|(id, name)| (format!("person_{id}"), name)).collect();
    Ok(html! {
        input type="hidden" name="revision" value=(given.text("revision"));
        (field::text("name", "Name").value(given.text("name")).max_chars(100).error(refused.at("name")).required())
        (field::checkbox("active", "On").checked(given.is_ticked("active")))
        (field::select("severity", "From this severity on", &severities).value(given.text("severity")).error(refused.at("severity")))
        @if new && over {
            (field::checkbox("platform", "About the platform's own events").hint("Strangers at the doors, who belong to no tenant.").checked(given.is_ticked("platform")))
        }
        fieldset class="section" {
            legend { "What" }
            p class="hint" { "Nothing ticked means everything." }
            @for (name, title) in &kinds { (field::checkbox(name, title).checked(given.is_ticked(name))) }
        }
        fieldset class="section" {
            legend { "Who gets a mail" }
            @if !mailing { p class="hint" { "No mail server is configured, so no mail goes out yet." } }
            @if let Some(wrong) = refused.at("people") { p class="error" role="alert" { (wrong) } }
            @for (name, title) in &people { (field::checkbox(name, title).checked(given.is_ticked(name))) }
        }
        (field::url("url", "Webhook").value(given.text("url")).placeholder("https://siem.example.com/hook")
            .hint("Posted there, signed as Standard Webhooks has it.").error(refused.at("url")))
    })
}

async fn form_page(
    visitor: &Visitor,
    action: &str,
    given: &Given,
    refused: &Refused,
    rule: Option<&AlertRule>,
) -> Result<Content<'static>, PageProblem> {
    let words = Words::for_lang(&visitor.person.language);
    let fields = fields(visitor, given, refused, rule.is_none()).await?;
    let may = visitor.scope.permissions().contains(Permission::AlertRuleChange);
    let buttons = form::actions(&html! { (form::submit("Save")) (form::link("Cancel", "/alert-rules")) });
    let body = html! {
        (refused.summary(words, &["name", "url"]))
        (card::panel(&form::post(action, "", &html! { (fields) @if may { (buttons) } })))
        @if let Some(rule) = rule.filter(|_| may) { (around(words, rule)) }
    };
    let title = if rule.is_some() { "Alert" } else { "New alert" };
    Ok(Content {
        breadcrumbs: browse::breadcrumbs(words, &[("Alerts", "/alert-rules")], title),
        ..Content::new(title, body)
    })
}

fn around(words: &Words, rule: &AlertRule) -> Markup {
    let own = format!("/alert-rules/{}", rule.id);
    let delete = format!("{own}/delete");
    let ask = Confirm {
        id: "delete-alert",
        button: "Delete alert…",
        title: "Delete this alert?",
        text: "Nobody is told by it any more.",
        confirm: "Delete alert",
        action: &delete,
        csrf: "",
        danger: true,
    };
    html! {
        (card::card("Does it arrive?", &html! {}, &html! {
            p { "Tells everybody above of an event that did not happen." }
            (form::post(&format!("{own}/test"), "", &html! { (form::submit("Send a trial").weight(Weight::Plain)) }))
            @if !rule.url.is_empty() {
                p { "A new secret counts at once; the receiver needs it, too." }
                (form::post(&format!("{own}/secret"), "", &html! { (form::submit("Make a new secret").weight(Weight::Plain)) }))
            }
        }))
        (dialog::confirm(words, &ask))
    }
}

async fn show_new(visitor: Visitor) -> Result<Response, PageProblem> {
    visitor.scope.require(Permission::AlertRuleChange)?;
    let given = Given(
        [("active", "true"), ("severity", "medium")].map(|(n, v)| (n.to_owned(), v.to_owned())).to_vec(),
    );
    Ok(visitor.page(form_page(&visitor, "/alert-rules/new", &given, &Refused::NONE, None).await?))
}

/// After a change: the rule's page, or first the secret where there is a new one.
fn changed(visitor: &Visitor, shown: &AlertRuleShown) -> Response {
    let href = format!("/alert-rules/{}", shown.rule.id);
    let Some(secret) = &shown.secret else { return console::done(&href, "Saved.") };
    let words = Words::for_lang(&visitor.person.language);
    let body = html! {
        (code::secret_once(words, "secret", "Secret of the webhook", secret))
        p { "Give it to the receiver: it verifies with it that what arrives is from here. It is not shown again." }
        (form::actions(&html! { (form::link("Back to the alert", &href)) }))
    };
    crate::user::pages::secret_page(visitor, Content::new("Secret", body))
}

async fn create(visitor: Visitor, Form(pairs): Form<Vec<(String, String)>>) -> Result<Response, PageProblem> {
    let given = Given(pairs);
    let new = NewAlertRule {
        name: given.text("name").to_owned(),
        active: Some(given.is_ticked("active")),
        platform: Some(given.is_ticked("platform")),
        kinds: given.kinds(),
        severity: Some(Severity::named(given.text("severity"))),
        people: given.people(),
        url: Some(given.text("url").to_owned()),
    };
    match super::create(&visitor.scope, new).await {
        Ok(shown) => Ok(changed(&visitor, &shown)),
        Err(error) => {
            let refused = Refused::by(error)?;
            Ok(visitor.page_again(form_page(&visitor, "/alert-rules/new", &given, &refused, None).await?))
        }
    }
}

async fn show(visitor: Visitor, Path(id): Path<String>) -> Result<Response, PageProblem> {
    let rule = super::get(&visitor.scope, id.parse()?).await?;
    let action = format!("/alert-rules/{}", rule.id);
    let page = form_page(&visitor, &action, &Given::of(&rule), &Refused::NONE, Some(&rule)).await?;
    Ok(visitor.page(page))
}

async fn update(
    visitor: Visitor,
    Path(id): Path<String>,
    Form(pairs): Form<Vec<(String, String)>>,
) -> Result<Response, PageProblem> {
    let (id, given) = (id.parse()?, Given(pairs));
    let patch = AlertRulePatch {
        name: Some(given.text("name").to_owned()),
        active: Some(given.is_ticked("active")),
        kinds: Some(given.kinds()),
        severity: Some(Severity::named(given.text("severity"))),
        people: Some(given.people()),
        url: Some(given.text("url").to_owned()),
        new_secret: None,
        revision: given.text("revision").parse().ok(),
    };
    match super::update(&visitor.scope, id, patch).await {
        Ok(shown) => Ok(changed(&visitor, &shown)),
        Err(error) => {
            let rule = super::get(&visitor.scope, id).await?;
            let refused = Refused::by(error)?;
            let action = format!("/alert-rules/{id}");
            Ok(visitor.page_again(form_page(&visitor, &action, &given, &refused, Some(&rule)).await?))
        }
    }
}

async fn new_secret(visitor: Visitor, Path(id): Path<String>) -> Result<Response, PageProblem> {
    let patch = AlertRulePatch { new_secret: Some(true), ..AlertRulePatch::default() };
    let shown = super::update(&visitor.scope, id.parse()?, patch).await?;
    Ok(changed(&visitor, &shown))
}

async fn test(visitor: Visitor, Path(id): Path<String>) -> Result<Response, PageProblem> {
    let id = id.parse()?;
    let trial = super::test(&visitor.scope, id).await?;
    let hook = trial.webhook.map_or(String::new(), |said| format!(" Webhook: {said}."));
    let sentence = format!("{} mails are on their way.{hook}", trial.mails);
    Ok(console::done(&format!("/alert-rules/{id}"), &sentence))
}

async fn delete(visitor: Visitor, Path(id): Path<String>) -> Result<Response, PageProblem> {
    super::delete(&visitor.scope, id.parse()?).await?;
    Ok(console::done("/alert-rules", "Alert deleted."))
}

/// The routes.
pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/alert-rules", get(list))
        .route("/alert-rules/new", get(show_new).post(create))
        .route("/alert-rules/{id}", get(show).post(update))
        .route("/alert-rules/{id}/secret", post(new_secret))
        .route("/alert-rules/{id}/test", post(test))
        .route("/alert-rules/{id}/delete", post(delete))
}
