//! Mail gateways in the console, and a mail to try the settings with.

use axum::Router;
use axum::extract::Path;
use axum::response::Response;
use axum::routing::{get, post};
use maud::{Markup, html};
use serde_json::{Value, json};
use types::{Error, MailGatewayId, Permission, Result};
use web::console::{Content, NavEntry, done};
use web::ui::dialog::{Confirm, confirm};
use web::ui::field::{self, Choice};
use web::ui::form::{self, Weight};
use web::ui::icon::Icon;
use web::ui::table::{column, row, table};
use web::ui::tone::Tone;
use web::ui::{badge, browse, feedback};
use web::{Form, PageProblem, Paging, Visitor};

use super::outgoing::{self, TestMail};
use super::{GatewaySettings, MailGateway, MailGatewayPatch, NewMailGateway, SenderOf};
use crate::account;
use crate::api::Gateway;
use crate::pages::{Fields, Kind, Section, Setting, Shown, again, may, none, patch, words};
use crate::settings::{self, Patch};

/// The gateways' place in the navigation.
pub(crate) const GATEWAYS: NavEntry = NavEntry {
    group: "Network",
    label: "Mail",
    href: "/mail",
    icon: Icon::Inbox,
    key: None,
    permission: Permission::MailView,
};

const fn setting(name: &'static str, label: &'static str, hint: &'static str, kind: Kind) -> Setting {
    Setting { name, label, hint, kind }
}

/// Who may send, and what becomes of the text.
const SECTIONS: &[Section] = &[
    Section {
        title: "Without signing in",
        hint: Some(
            "An account that signs in may send from anywhere, by any address. Without that both of these must fit.",
        ),
        settings: &[
            setting(
                "networks",
                "From these networks",
                "Such as 203.0.113.25/32, your mail server.",
                Kind::List,
            ),
            setting(
                "senders",
                "By these senders",
                "Addresses, or @example.com for a whole domain.",
                Kind::List,
            ),
        ],
    },
    Section {
        title: "Text",
        hint: None,
        settings: &[
            setting(
                "subject",
                "Subject",
                "",
                Kind::Choice(&[("ignore", "Left out"), ("prefix", "Stands before the text")]),
            ),
            setting("cut_signature", "Cut off signatures", "What follows a line of two hyphens.", Kind::Flag),
            setting("cut_quotes", "Cut off quoted mails", "", Kind::Flag),
            setting("cut_at", "The text ends at lines that begin so", "Such as Sent from my.", Kind::List),
            setting(
                "parts_max",
                "Parts at most",
                "As the installation allows when left empty.",
                Kind::Number("1", "255"),
            ),
            setting(
                "too_long",
                "A longer text",
                "",
                Kind::Choice(&[("refuse", "Is refused"), ("shorten", "Is cut")]),
            ),
        ],
    },
    Section {
        title: "Receipts",
        hint: Some("They go to the mail's sender, through the server of the configuration."),
        settings: &[setting(
            "receipts",
            "The sender is told",
            "",
            Kind::Choice(&[
                ("asked", "What its mail asks for, failures where it asks for nothing"),
                ("always", "Of every end"),
                ("never", "Nothing"),
            ]),
        )],
    },
];

/// Accounts to choose from at most.
const CHOICES_MAX: &str = "200";

async fn accounts(visitor: &Visitor) -> Result<Vec<(String, String)>> {
    let all = Paging { limit: Some(CHOICES_MAX.to_owned()), ..Paging::default() };
    let page = account::list(&visitor.scope, &all).await?;
    Ok(page.items.into_iter().map(|one| (one.id.to_string(), one.system_id)).collect())
}

/// Senders of single addresses, one a line.
fn sender_lines(senders: &[SenderOf]) -> String {
    senders.iter().map(|of| format!("{} = {}", of.address, of.sender)).collect::<Vec<_>>().join("\n")
}

fn read_sender_lines(text: &str) -> Result<Vec<SenderOf>> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(at, line)| match line.split_once('=') {
            Some((address, sender)) => {
                Ok(SenderOf { address: address.trim().to_owned(), sender: sender.trim().to_owned() })
            }
            None => {
                let why = format!("line {}: write anna@example.com = ACME", at + 1);
                Err(Error::invalid("sender_of", why))
            }
        })
        .collect()
}

fn settings_of(fields: &Fields) -> Result<Patch> {
    let mut asked = patch(SECTIONS, fields)?;
    let or_null = |name: &str| fields.get(name).map_or(Value::Null, Value::from);
    asked.insert("sender".to_owned(), or_null("sender"));
    asked.insert("intent".to_owned(), or_null("intent"));
    let senders = read_sender_lines(fields.get("sender_of").unwrap_or_default())?;
    asked.insert("sender_of".to_owned(), json!(senders));
    Ok(asked)
}

fn members(settings: &GatewaySettings) -> Result<Patch> {
    let mut members = settings::members(settings)?;
    members.insert("sender_of".to_owned(), sender_lines(&settings.sender_of).into());
    Ok(members)
}

/// The domain that mail for phones is written to; where none is taken, a word that says so.
fn domain(visitor: &Visitor) -> Option<String> {
    let smtp = &visitor.scope.runtime().config.smtp;
    smtp.enabled.then(|| smtp.domain.clone())
}

fn gateways_table(visitor: &Visitor, gateways: &[MailGateway], known: &[(String, String)]) -> Markup {
    let domain = domain(visitor);
    let rows = gateways.iter().map(|gateway| {
        let account = gateway.account.to_string();
        let system_id =
            known.iter().find(|(id, _)| *id == account).map_or(account.as_str(), |(_, name)| name);
        let row = row(vec![
            html! { bdi { (gateway.name) } },
            match &domain {
                Some(domain) => html! { code { "NUMBER@" (gateway.subdomain) "." (domain) } },
                None => html! { code { (gateway.subdomain) } },
            },
            html! { bdi { (system_id) } },
            match gateway.settings.networks.len() {
                0 => none(),
                1 => html! { "1 network" },
                networks => html! { (networks) " networks" },
            },
            match gateway.active {
                true => badge::badge_icon(Tone::Good, Icon::Check, "On"),
                false => badge::badge(Tone::Neutral, "Off"),
            },
        ])
        .key(gateway.id.to_string());
        if may(visitor, Permission::MailChange) { row.link(format!("/mail/{}", gateway.id)) } else { row }
    });
    let columns = vec![
        column("Name"),
        column("Addresses"),
        column("SMPP account"),
        column("Without signing in").detail(),
        column("State"),
    ];
    let empty = feedback::empty(
        Icon::Inbox,
        "No mail gateway yet",
        "An SMPP account that signs in can send by mail as it is. Add a gateway to let a mail server send without signing in, \
         to choose the sender, or to say what becomes of subjects and signatures.",
        &add_button(visitor),
    );
    html! { (table("Mail gateways", columns, rows.collect()).id("gateways").empty(empty)) }
}

fn add_button(visitor: &Visitor) -> Markup {
    html! {
        @if may(visitor, Permission::MailCreate) {
            (form::link("Add a mail gateway", "/mail/new").weight(Weight::Primary).icon(Icon::Plus))
        }
    }
}

/// What is configured, and a mail to try it.
fn standing(visitor: &Visitor, shown: &Shown<'_>) -> Markup {
    let config = &visitor.scope.runtime().config;
    let taken = match domain(visitor) {
        Some(domain) => format!("Mail to NUMBER@{domain} is taken."),
        None => "No mail is taken: the section smtp of the configuration is off.".to_owned(),
    };
    let sent = match config.mail.is_on() {
        true => format!("Mail is sent through {}, port {}.", config.mail.host, config.mail.port),
        false => "No mail is sent: the section mail of the configuration names no server.".to_owned(),
    };
    html! {
        p { (taken) " " (sent) }
        @if config.mail.is_on() && may(visitor, Permission::MailTest) {
            (form::post("/mail/test", "", &html! {
                (shown.summary(visitor))
                (form::section("Test mail", Some("Sent at once; the server's answer is shown."), &html! {
                    (field::email("to", "To").value(&shown.value("to")).required().error(shown.error("to")))
                }))
                (form::actions(&html! { (form::submit("Send a test mail").weight(Weight::Plain)) }))
            }))
        }
    }
}

async fn list_page<'a>(visitor: &Visitor, shown: &Shown<'_>) -> Result<Content<'a>> {
    let gateways = super::list(&visitor.scope).await?.items;
    let body = html! {
        (gateways_table(visitor, &gateways, &accounts(visitor).await?))
        (standing(visitor, shown))
    };
    Ok(Content { actions: add_button(visitor), ..Content::new("Mail", body) })
}

async fn list(visitor: Visitor) -> Result<Response, PageProblem> {
    let content = list_page(&visitor, &Shown::of(Patch::new())).await?;
    Ok(visitor.page_or_fragment(content))
}

async fn test(visitor: Visitor, Form(fields): Form<Vec<(String, String)>>) -> Result<Response, PageProblem> {
    let fields = Fields(fields);
    let test = TestMail { to: fields.owned("to").unwrap_or_default() };
    match outgoing::test(&visitor.scope, &test).await {
        Ok(sent) => Ok(done("/mail", &format!("{} took the mail to {}.", sent.server, sent.to))),
        Err(refused) => {
            // What the mail server said is for the person who asked, not a fault of the page.
            let refused = match refused.code().status() {
                503 => Error::invalid("to", refused.message()),
                _ => again(refused)?,
            };
            let content = list_page(&visitor, &Shown::again(&fields, &refused)).await?;
            Ok(visitor.page_again(content))
        }
    }
}

/// The form's title, where it goes, and the accounts to choose from; none for a gateway that exists.
struct Page<'a> {
    title: &'a str,
    action: &'a str,
    accounts: Option<&'a [(String, String)]>,
}

fn form_page<'a>(visitor: &Visitor, page: &Page<'a>, shown: &Shown<'_>) -> Content<'a> {
    let [name, subdomain, account, sender, sender_of, intent, revision] =
        ["name", "subdomain", "account", "sender", "sender_of", "intent", "revision"]
            .map(|name| shown.value(name));
    let delete = page.action.strip_suffix("/edit").map(|at| format!("{at}/delete"));
    let choices: Vec<_> =
        page.accounts.unwrap_or_default().iter().map(|(id, name)| Choice::new(id, name)).collect();
    let intents = [
        Choice::new("", "As the account says"),
        Choice::new("transactional", "Transactional"),
        Choice::new("otp", "One-time code"),
        Choice::new("marketing", "Marketing"),
    ];
    let on = matches!(shown.value("active").as_str(), "true" | "on");
    let body = html! {
        (form::post(page.action, "", &html! {
            (shown.summary(visitor))
            input type="hidden" name="revision" value=(revision);
            (form::section("Gateway", None, &html! {
                @if page.accounts.is_some() {
                    (field::select("account", "SMPP account", &choices).value(&account).required().error(shown.error("account"))
                        .hint("The mails become its messages, by its senders, rate and routes."))
                }
                (field::text("subdomain", "Name below the domain").value(&subdomain).required().mono().max_chars(63).error(shown.error("subdomain"))
                    .hint("Letters, digits and hyphens; nobody else on this server can have it."))
                (field::text("name", "Name").value(&name).max_chars(100).error(shown.error("name")))
                (field::checkbox("active", "On").checked(on))
            }))
            (form::section("Messages", None, &html! {
                (field::text("sender", "Sender").value(&sender).error(shown.error("sender")).hint("The account's own when left empty."))
                (field::select("intent", "What they are for", &intents).value(&intent).error(shown.error("intent")))
                (field::textarea("sender_of", "Senders of single addresses").value(&sender_of).rows(3).wide().mono()
                    .error(shown.error("sender_of")).placeholder("anna@example.com = ACME").hint("One a line; @example.com stands for a domain."))
            }))
            (shown.sections(SECTIONS))
            (form::actions(&html! { (form::submit("Save")) (form::link("Cancel", "/mail").weight(Weight::Quiet)) }))
        }))
        @if let Some(delete) = &delete {
            (confirm(words(visitor), &Confirm {
                id: "delete", button: "Delete gateway…", title: "Delete this mail gateway?",
                text: "Mail that needs no sign-in is refused from then on. The account may still sign in and send.",
                confirm: "Delete gateway", action: delete, csrf: "", danger: true,
            }))
        }
    };
    let breadcrumbs = browse::breadcrumbs(words(visitor), &[("Mail", "/mail")], page.title);
    Content { breadcrumbs, ..Content::new(page.title, body) }
}

async fn new(visitor: Visitor) -> Result<Response, PageProblem> {
    visitor.scope.require(Permission::MailCreate)?;
    let mut members = members(&GatewaySettings::default())?;
    members.insert("active".to_owned(), true.into());
    let known = accounts(&visitor).await?;
    let page = Page { title: "Add a mail gateway", action: "/mail/new", accounts: Some(&known) };
    Ok(visitor.page(form_page(&visitor, &page, &Shown::of(members))))
}

async fn create(
    visitor: Visitor,
    Form(fields): Form<Vec<(String, String)>>,
) -> Result<Response, PageProblem> {
    let fields = Fields(fields);
    let asked = async {
        let account = fields.get("account").unwrap_or_default();
        let new = NewMailGateway {
            account: account.parse().map_err(|error: Error| error.at("account"))?,
            subdomain: fields.owned("subdomain").unwrap_or_default(),
            name: fields.owned("name"),
            active: Some(fields.get("active").is_some()),
            settings: settings_of(&fields)?,
        };
        super::create(&visitor.scope, new).await
    };
    match asked.await {
        Ok(_) => Ok(done("/mail", "Mail gateway added.")),
        Err(refused) => {
            let refused = again(refused)?;
            let known = accounts(&visitor).await?;
            let page = Page { title: "Add a mail gateway", action: "/mail/new", accounts: Some(&known) };
            Ok(visitor.page_again(form_page(&visitor, &page, &Shown::again(&fields, &refused))))
        }
    }
}

async fn edit(visitor: Visitor, Path(id): Path<String>) -> Result<Response, PageProblem> {
    visitor.scope.require(Permission::MailChange)?;
    let gateway = super::get(&visitor.scope, id.parse()?).await?;
    let mut members = members(&gateway.settings)?;
    let texts = [("name", gateway.name.clone()), ("subdomain", gateway.subdomain.clone())];
    members.extend(texts.map(|(name, text)| (name.to_owned(), text.into())));
    members.insert("active".to_owned(), gateway.active.into());
    members.insert("revision".to_owned(), gateway.revision.into());
    let action = format!("/mail/{}/edit", gateway.id);
    let page = Page { title: &gateway.name, action: &action, accounts: None };
    Ok(visitor.page(form_page(&visitor, &page, &Shown::of(members))))
}

async fn change(
    visitor: Visitor,
    Path(id): Path<String>,
    Form(fields): Form<Vec<(String, String)>>,
) -> Result<Response, PageProblem> {
    let (id, fields): (MailGatewayId, _) = (id.parse()?, Fields(fields));
    let asked = async {
        let wanted = MailGatewayPatch {
            subdomain: fields.owned("subdomain"),
            name: fields.owned("name"),
            active: Some(fields.get("active").is_some()),
            settings: settings_of(&fields)?,
            revision: fields.revision(),
        };
        super::change(&visitor.scope, id, wanted).await
    };
    match asked.await {
        Ok(_) => Ok(done("/mail", "Mail gateway saved.")),
        Err(refused) => {
            let refused = again(refused)?;
            let action = format!("/mail/{id}/edit");
            let page = Page { title: "Edit the mail gateway", action: &action, accounts: None };
            Ok(visitor.page_again(form_page(&visitor, &page, &Shown::again(&fields, &refused))))
        }
    }
}

async fn delete(visitor: Visitor, Path(id): Path<String>) -> Result<Response, PageProblem> {
    super::delete(&visitor.scope, id.parse()?).await?;
    Ok(done("/mail", "Mail gateway deleted."))
}

/// The routes.
pub(crate) fn router() -> Router<Gateway> {
    Router::new()
        .route("/mail", get(list))
        .route("/mail/test", post(test))
        .route("/mail/new", get(new).post(create))
        .route("/mail/{id}", get(edit))
        .route("/mail/{id}/edit", get(edit).post(change))
        .route("/mail/{id}/delete", post(delete))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_is_in_the_form_once() {
        let mut shown: Vec<_> =
            SECTIONS.iter().flat_map(|section| section.settings).map(|setting| setting.name).collect();
        shown.extend(["sender", "sender_of", "intent"]);
        let members = settings::members(&GatewaySettings::default()).unwrap();
        let mut known: Vec<_> = members.keys().map(String::as_str).collect();
        shown.sort_unstable();
        known.sort_unstable();
        assert_eq!(shown, known);
    }

    #[test]
    fn senders_come_back_as_they_were() {
        let text = "anna@example.com = ACME\n@b.example = 10000";
        assert_eq!(sender_lines(&read_sender_lines(text).unwrap()), text);
        assert_eq!(read_sender_lines("\nx").unwrap_err().place(), Some("sender_of"));
    }
}
