//! How people of the tenant sign in, in the console.

use axum::Router;
use axum::response::Response;
use axum::routing::get;
use maud::{Markup, html};
use serde::Deserialize;
use web::console::Content;
use web::ui::words::Words;
use web::ui::{card, field, form};
use web::{App, Form, PageProblem, Refused, Visitor, console};

use super::SignInPolicy;
use crate::role;

#[derive(Debug, Deserialize)]
struct Given {
    /// One box for each role; the names of those that are ticked, with `true`. And the texts, by their names.
    #[serde(flatten)]
    boxes: std::collections::HashMap<String, String>,
}

impl Given {
    fn text(&self, name: &str) -> &str {
        self.boxes.get(name).map_or("", |text| text.trim())
    }

    fn policy(&self) -> SignInPolicy {
        let ticked = self.boxes.iter().filter(|(_, value)| *value == "true").map(|(name, _)| name.as_str());
        SignInPolicy {
            second_factor_roles: ticked
                .clone()
                .filter_map(|name| name.strip_prefix("role_").map(str::to_owned))
                .collect(),
            mail_codes: ticked.clone().any(|name| name == "mail_codes"),
            impersonation_mails: ticked.clone().any(|name| name == "impersonation_mails"),
            sms_codes: ticked.clone().any(|name| name == "sms_codes"),
            sms_alone: ticked.clone().any(|name| name == "sms_alone"),
            sms_sender: Some(self.text("sms_sender").to_owned()).filter(|name| !name.is_empty()),
            sms_prefixes: self
                .text("sms_prefixes")
                .split([',', ';', '\n'])
                .map(|prefix| prefix.trim().to_owned())
                .filter(|prefix| !prefix.is_empty())
                .collect(),
            // What is no number is refused as one that is too small.
            sms_hour_max: self.text("sms_hour_max").parse().unwrap_or(0),
        }
    }
}

async fn content(
    visitor: &Visitor,
    policy: &SignInPolicy,
    refused: &Refused,
) -> Result<Content<'static>, PageProblem> {
    let words = Words::for_lang(&visitor.person.language);
    let roles = role::custom::all(&mut visitor.scope.read().await?, visitor.scope.tenant()).await?;
    let names: Vec<_> = roles.iter().map(|role| (format!("role_{}", role.name), role)).collect();
    let mailing = crate::mail::is_on(visitor.scope.runtime());
    let fields = html! {
        fieldset class="section" {
            legend { "Who needs a second step" }
            p class="hint" { "Who has none is led to adding one at the next sign-in and gets nowhere before. Their sessions end when you save." }
            @for (name, role) in &names {
                (field::checkbox(name, &role.title).hint(&role.about).checked(policy.needs_second(&role.name)))
            }
        }
        (field::checkbox("mail_codes", "Mail a code to who has their second factor not at hand")
            .hint(if mailing { "Weaker than an app or a passkey: whoever reads the mailbox gets the code. The address must be verified." } else { "No mail server is configured, so this does nothing yet." })
            .checked(policy.mail_codes))
        (field::checkbox("impersonation_mails", "Tell people by mail when somebody acts as them")
            .hint("Their security history tells it in any case.")
            .checked(policy.impersonation_mails))
        (by_sms(policy, refused))
        (form::actions(&html! { (form::submit("Save")) }))
    };
    let body = html! {
        (refused.summary(words, SMS_FIELDS))
        (card::panel(&form::post("/sign-in-policy", "", &fields)))
    };
    Ok(Content::new("Sign-in", body))
}

/// The fields of codes by SMS that can be wrong.
const SMS_FIELDS: &[&str] = &["sms_prefixes", "sms_sender", "sms_hour_max"];

fn by_sms(policy: &SignInPolicy, refused: &Refused) -> Markup {
    let (prefixes, hour) = (policy.sms_prefixes.join(", "), policy.sms_hour_max.to_string());
    html! {
        fieldset class="section" {
            legend { "Codes by SMS" }
            p class="hint" { "Weaker than an app or a passkey: numbers can be taken over, so the standards call it a restricted way (NIST SP 800-63B). Codes go out through your own gateway, and each costs a message." }
            (field::checkbox("sms_codes", "Let people add a phone that codes go to")
                .hint("For who has their app or passkey not at hand.")
                .checked(policy.sms_codes))
            (field::checkbox("sms_alone", "A phone is enough as a second step")
                .hint("Otherwise it counts only beside an app or a passkey.")
                .checked(policy.sms_alone))
            (field::text("sms_prefixes", "Countries that codes go to")
                .hint("How their numbers begin, with commas between: +33, +216. Others get none: codes to far countries are how fraud earns.")
                .value(&prefixes).max_chars(600).error(refused.at("sms_prefixes")))
            (field::text("sms_sender", "Sender of the codes")
                .hint("A number, a short code or a name of at most 11 characters. Empty for the connection's own.")
                .value(&policy.sms_sender.clone().unwrap_or_default()).max_chars(20).error(refused.at("sms_sender")))
            (field::number("sms_hour_max", "Codes within an hour, of everybody together")
                .range("1", "100000").value(&hour).error(refused.at("sms_hour_max")).required())
        }
    }
}

async fn show(visitor: Visitor) -> Result<Response, PageProblem> {
    let policy = super::get(&visitor.scope).await?;
    Ok(visitor.page(content(&visitor, &policy, &Refused::NONE).await?))
}

async fn save(visitor: Visitor, Form(given): Form<Given>) -> Result<Response, PageProblem> {
    let wanted = given.policy();
    match super::set(&visitor.scope, wanted.clone()).await {
        Ok(_) => Ok(console::done("/sign-in-policy", "Saved.")),
        Err(error) => Ok(visitor.page_again(content(&visitor, &wanted, &Refused::by(error)?).await?)),
    }
}

/// The routes.
pub(crate) fn router() -> Router<App> {
    Router::new().route("/sign-in-policy", get(show).post(save))
}
