//! Self-registration in the browser: the newcomer's pages, and the page of who may and who waits.

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::{get, post};
use maud::{Markup, Render, html};
use runtime::config::Secret;
use serde::Deserialize;
use types::{Code, Error, Permission};
use web::access::{Stranger, host};
use web::console::Content;
use web::ui::field::Choice;
use web::ui::icon::Icon;
use web::ui::table::{column, row, table};
use web::ui::timeline::relative_time;
use web::ui::tone::Tone;
use web::ui::words::Words;
use web::ui::{browse, card, feedback, field, form};
use web::{App, Form, PageProblem, Paging, Query, Refused, Visitor, console};

use super::join::{self, Door, Joined, NewRegistration};
use super::{DecideRegistration, RegistrationDecision, RegistrationPolicy};
use crate::role;
use crate::sign_in::pages::{bare, link_of_no_use, refused_by, status, texts};

#[derive(Debug, Default, Deserialize)]
struct Given {
    #[serde(default)]
    email: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    repeated: String,
}

#[derive(Debug, Deserialize)]
struct Token {
    #[serde(default)]
    token: String,
}

/// The form, which posts to the address it stands at.
fn join_form(
    app: &App,
    headers: &HeaderMap,
    (door, at): (&Door, &str),
    given: &Given,
    refused: &Refused,
) -> Response {
    let texts = texts(headers);
    let least = app.runtime.config.security.password_chars_min;
    let hint = texts.password_hint.replace("{n}", &least.to_string());
    let fields = html! {
        (field::text("name", texts.name).autocomplete("name").value(&given.name).max_chars(100).error(refused.at("name")).words(texts.words()).required().autofocus())
        (field::email("email", texts.email).autocomplete("username").value(&given.email).error(refused.at("email")).words(texts.words()).required())
        (field::secret("password", texts.password).autocomplete("new-password").hint(&hint).error(refused.at("password")).words(texts.words()).required())
        (field::secret("repeated", texts.repeated).autocomplete("new-password").error(refused.at("repeated")).words(texts.words()).required())
        (form::actions(&html! { (form::submit(texts.register)) (form::link(texts.sign_in, "/sign-in")) }))
    };
    let body = html! {
        (refused.summary(texts.words(), &["name", "email", "password", "repeated"]))
        p { (texts.register_why) " " strong { bdi { (door.name) } } }
        (form::post(at, "", &fields))
    };
    bare(&app.runtime, status(refused), texts, texts.register, headers, body)
}

fn door_address(slug: Option<&str>) -> String {
    slug.map_or_else(|| "/register".to_owned(), |slug| format!("/register/{slug}"))
}

async fn shown(app: &App, headers: &HeaderMap, slug: Option<&str>) -> Result<Response, PageProblem> {
    let door = join::door(&app.runtime, host(headers).as_deref(), slug).await?;
    Ok(join_form(app, headers, (&door, &door_address(slug)), &Given::default(), &Refused::NONE))
}

async fn asked(
    app: &App,
    origin: runtime::Origin,
    headers: &HeaderMap,
    slug: Option<&str>,
    given: Given,
) -> Result<Response, PageProblem> {
    let door = join::door(&app.runtime, host(headers).as_deref(), slug).await?;
    let texts = texts(headers);
    let done = if given.password == given.repeated {
        let new = NewRegistration {
            email: given.email.clone(),
            name: given.name.clone(),
            password: Secret::new(given.password.clone()),
            language: texts.lang.to_owned(),
        };
        join::ask(&app.runtime, &door, new, &origin).await
    } else {
        Err(Error::invalid("repeated", texts.differs))
    };
    match done {
        Ok(()) => {
            let body = html! {
                p role="status" { (texts.registered_text) }
                div class="actions" { (form::link(texts.sign_in, "/sign-in")) }
            };
            Ok(bare(&app.runtime, StatusCode::OK, texts, texts.asked, headers, body))
        }
        Err(error) => {
            let refused = refused_by(texts, error)?;
            Ok(join_form(app, headers, (&door, &door_address(slug)), &given, &refused))
        }
    }
}

async fn show_own(State(app): State<App>, headers: HeaderMap) -> Result<Response, PageProblem> {
    shown(&app, &headers, None).await
}

async fn show_by_slug(
    State(app): State<App>,
    headers: HeaderMap,
    Path(slug): Path<String>,
) -> Result<Response, PageProblem> {
    shown(&app, &headers, Some(&slug)).await
}

async fn ask_own(
    State(app): State<App>,
    Stranger(origin): Stranger,
    headers: HeaderMap,
    Form(given): Form<Given>,
) -> Result<Response, PageProblem> {
    asked(&app, origin, &headers, None, given).await
}

async fn ask_by_slug(
    State(app): State<App>,
    Stranger(origin): Stranger,
    headers: HeaderMap,
    Path(slug): Path<String>,
    Form(given): Form<Given>,
) -> Result<Response, PageProblem> {
    asked(&app, origin, &headers, Some(&slug), given).await
}

/// As for sign-in links, only the button uses the token up: previews must not.
async fn show_confirm(State(app): State<App>, headers: HeaderMap, Query(given): Query<Token>) -> Response {
    let texts = texts(&headers);
    let fields = html! {
        input type="hidden" name="token" value=(given.token);
        (form::actions(&html! { (form::submit(texts.verify_button)) }))
    };
    let body = html! {
        p { (texts.verify_text) }
        (form::post("/registration", "", &fields))
    };
    bare(&app.runtime, StatusCode::OK, texts, texts.verify, &headers, body)
}

async fn confirm(
    State(app): State<App>,
    Stranger(origin): Stranger,
    headers: HeaderMap,
    Form(given): Form<Token>,
) -> Result<Response, PageProblem> {
    let texts = texts(&headers);
    match join::confirm(&app.runtime, &given.token, &origin).await {
        Ok(joined) => {
            let said = if joined == Joined::In { texts.joined } else { texts.joined_waits };
            let body = html! {
                (feedback::notice(Tone::Good, texts.verified, &html! { (said) }))
                div class="actions" { (form::link(texts.sign_in, "/sign-in")) }
            };
            Ok(bare(&app.runtime, StatusCode::OK, texts, texts.verify, &headers, body))
        }
        Err(error) if error.code() == Code::LinkUsed => Ok(link_of_no_use(&app.runtime, &headers)),
        Err(error) => Err(error.into()),
    }
}

#[derive(Debug, Default, Deserialize)]
struct PolicyForm {
    #[serde(default)]
    open: String,
    #[serde(default)]
    domains: String,
    #[serde(default)]
    role: String,
    #[serde(default)]
    approval: String,
}

impl PolicyForm {
    fn wanted(&self) -> RegistrationPolicy {
        let domains = self.domains.split([',', ' ', '\n', '\r']).map(str::trim);
        RegistrationPolicy {
            open: self.open == "true",
            domains: domains.filter(|domain| !domain.is_empty()).map(str::to_owned).collect(),
            role: self.role.clone(),
            approval: self.approval == "true",
        }
    }
}

async fn rules(
    visitor: &Visitor,
    policy: &RegistrationPolicy,
    refused: &Refused,
) -> Result<Markup, PageProblem> {
    let words = Words::for_lang(&visitor.person.language);
    let offered = role::custom::givable(&visitor.scope).await?;
    let roles: Vec<Choice<'_>> = offered.iter().map(|one| Choice::new(&one.name, &one.title)).collect();
    let slug = crate::tenant::own(&visitor.scope).await?.slug;
    let domains = policy.domains.join(", ");
    let fields = html! {
        (field::checkbox("open", "People may register by themselves").checked(policy.open)
            .hint("They choose a password and show by mail that the address is theirs. A mail server must be configured."))
        (field::text("domains", "Only with addresses of").value(&domains).hint("Domains with commas between them, such as example.com. Empty: any address.").error(refused.at("domains")))
        (field::select("role", "Role they get", &roles).value(&policy.role).error(refused.at("role")).words(words))
        (field::checkbox("approval", "Somebody must let each of them in").checked(policy.approval))
        (form::actions(&html! { (form::submit("Save")) }))
    };
    Ok(card::card(
        "Who may register",
        &html! {},
        &html! {
            (refused.summary(words, &["domains", "role"]))
            @if policy.open { p { "The page: " code dir="ltr" { "/register/" (slug) } ", and " code dir="ltr" { "/register" } " on a domain of your own." } }
            (form::post("/registrations/policy", "", &fields))
        },
    ))
}

async fn content(
    visitor: &Visitor,
    paging: &Paging,
    refused: (&Refused, Option<&RegistrationPolicy>),
) -> Result<Content<'static>, PageProblem> {
    let page = super::list(&visitor.scope, paging).await?;
    let words = Words::for_lang(&visitor.person.language);
    let rows = page.items.iter().map(|one| {
        let button = |value: &str, label: &'static str, weight| {
            form::post(
                "/registrations",
                "",
                &html! {
                    input type="hidden" name="registration" value=(one.id);
                    input type="hidden" name="decision" value=(value);
                    (form::submit(label).weight(weight).small())
                },
            )
        };
        let since = one.verified_at.unwrap_or(one.created_at);
        row(vec![
            html! { bdi { (one.name) } },
            html! { (one.email) },
            relative_time(&since.to_string(), &since.to_minute()),
            html! { (one.from_address.as_deref().unwrap_or("")) },
            html! { div class="toolbar" { (button("approve", "Let in", form::Weight::Plain)) (button("refuse", "Refuse", form::Weight::Quiet)) } },
        ])
    });
    let columns = vec![
        column("Name"),
        column("E-mail address"),
        column("Waits since"),
        column("From").detail(),
        column("Action").actions(),
    ];
    let none = feedback::empty(
        Icon::Users,
        "Nobody waits",
        "Newcomers stand here once they have shown that their address is theirs.",
        &html! {},
    );
    let older = page.next.as_ref().map(|next| format!("/registrations?after={next}"));
    let governs = visitor.scope.permissions().contains(Permission::SecurityManage);
    let policy = match refused.1 {
        Some(policy) => policy.clone(),
        None => super::policy(&mut visitor.scope.read().await?, visitor.scope.tenant()).await?,
    };
    let body = html! {
        (table("Who waits to be let in", columns, rows.collect()).empty(none).render())
        (browse::pager(words, None, older.as_deref(), ""))
        @if governs { (rules(visitor, &policy, refused.0).await?) }
    };
    Ok(Content::new("Registrations", body))
}

async fn show(visitor: Visitor, Query(paging): Query<Paging>) -> Result<Response, PageProblem> {
    Ok(visitor.page(content(&visitor, &paging, (&Refused::NONE, None)).await?))
}

async fn decide(visitor: Visitor, Form(decided): Form<DecideRegistration>) -> Result<Response, PageProblem> {
    let done = super::decide(&visitor.scope, decided.clone()).await?;
    let said = match decided.decision {
        RegistrationDecision::Approve => format!("{} is let in, and told by mail.", done.name),
        RegistrationDecision::Refuse => format!("{} is not let in.", done.name),
    };
    Ok(console::done("/registrations", &said))
}

async fn save(visitor: Visitor, Form(given): Form<PolicyForm>) -> Result<Response, PageProblem> {
    let wanted = given.wanted();
    match super::set_policy(&visitor.scope, wanted.clone()).await {
        Ok(_) => Ok(console::done("/registrations", "Saved.")),
        Err(error) => {
            let refused = Refused::by(error)?;
            let content = content(&visitor, &Paging::default(), (&refused, Some(&wanted))).await?;
            Ok(visitor.page_again(content))
        }
    }
}

/// The routes.
pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/register", get(show_own).post(ask_own))
        .route("/register/{slug}", get(show_by_slug).post(ask_by_slug))
        .route("/registration", get(show_confirm).post(confirm))
        .route("/registrations", get(show).post(decide))
        .route("/registrations/policy", post(save))
}
