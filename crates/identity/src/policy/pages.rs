//! How people of the tenant sign in, in the console.

use axum::Router;
use axum::response::Response;
use axum::routing::get;
use maud::html;
use serde::Deserialize;
use web::console::Content;
use web::ui::words::Words;
use web::ui::{card, field, form};
use web::{App, Form, PageProblem, Refused, Visitor, console};

use super::SignInPolicy;
use crate::role;

#[derive(Debug, Deserialize)]
struct Given {
    /// One box for each role; the names of those that are ticked, with `true`.
    #[serde(flatten)]
    boxes: std::collections::HashMap<String, String>,
}

impl Given {
    fn policy(&self) -> SignInPolicy {
        let ticked = self.boxes.iter().filter(|(_, value)| *value == "true").map(|(name, _)| name.as_str());
        SignInPolicy {
            second_factor_roles: ticked
                .clone()
                .filter_map(|name| name.strip_prefix("role_").map(str::to_owned))
                .collect(),
            mail_codes: ticked.clone().any(|name| name == "mail_codes"),
            impersonation_mails: ticked.clone().any(|name| name == "impersonation_mails"),
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
        (form::actions(&html! { (form::submit("Save")) }))
    };
    let body = html! {
        (refused.summary(words, &[]))
        (card::panel(&form::post("/sign-in-policy", "", &fields)))
    };
    Ok(Content::new("Sign-in", body))
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
