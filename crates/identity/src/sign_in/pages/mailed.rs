//! Ways in by mail, in the browser: asking for one, setting a new password, showing that a mailbox is one's own.

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::get;
use maud::html;
use serde::Deserialize;
use types::{Code, Error};
use web::access::Stranger;
use web::ui::tone::Tone;
use web::ui::{feedback, field, form};
use web::{App, Form, PageProblem, Query, Refused};

use super::super::recovery::{self, Wanted};
use super::{bare, browser, link_of_no_use, refused_by, status, texts};
use crate::user::address;

#[derive(Debug, Default, Deserialize)]
struct Asked {
    #[serde(default)]
    wanted: String,
    #[serde(default)]
    email: String,
}

#[derive(Debug, Default, Deserialize)]
struct NewPassword {
    #[serde(default)]
    token: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    repeated: String,
}

impl Asked {
    fn wanted(&self) -> Wanted {
        if self.wanted == "reset" { Wanted::Reset } else { Wanted::Link }
    }
}

fn ask_form(app: &App, headers: &HeaderMap, given: &Asked, refused: &Refused) -> Response {
    let texts = texts(headers);
    let (title, wanted) = match given.wanted() {
        Wanted::Link => (texts.ask_link, "link"),
        Wanted::Reset => (texts.ask_reset, "reset"),
    };
    let fields = html! {
        input type="hidden" name="wanted" value=(wanted);
        (field::email("email", texts.email).autocomplete("username").value(&given.email).error(refused.at("email")).words(texts.words()).required().autofocus())
        (form::actions(&html! { (form::submit(texts.send)) (form::link(texts.sign_in, "/sign-in")) }))
    };
    let body = html! {
        (refused.summary(texts.words(), &["email"]))
        p { (texts.ask_why) }
        (form::post("/sign-in/mail", "", &fields))
    };
    bare(&app.runtime, status(refused), texts, title, headers, body)
}

async fn show_ask(State(app): State<App>, headers: HeaderMap, Query(given): Query<Asked>) -> Response {
    ask_form(&app, &headers, &given, &Refused::NONE)
}

async fn ask(
    State(app): State<App>,
    Stranger(origin): Stranger,
    headers: HeaderMap,
    Form(given): Form<Asked>,
) -> Result<Response, PageProblem> {
    let texts = texts(&headers);
    match recovery::ask(&app.runtime, &given.email, given.wanted(), &origin).await {
        Ok(()) => {
            let body = html! {
                p role="status" { (texts.asked_text) }
                div class="actions" { (form::link(texts.sign_in, "/sign-in")) }
            };
            Ok(bare(&app.runtime, StatusCode::OK, texts, texts.asked, &headers, body))
        }
        Err(error) => Ok(ask_form(&app, &headers, &given, &refused_by(texts, error)?)),
    }
}

fn reset_form(app: &App, headers: &HeaderMap, token: &str, email: &str, refused: &Refused) -> Response {
    let texts = texts(headers);
    let fields = html! {
        input type="hidden" name="token" value=(token);
        // For password managers, which want to know whose password it is.
        input type="hidden" name="username" autocomplete="username" value=(email);
        (field::secret("password", texts.new_password).autocomplete("new-password").error(refused.at("password")).words(texts.words()).required().autofocus())
        (field::secret("repeated", texts.repeated).autocomplete("new-password").error(refused.at("repeated")).words(texts.words()).required())
        (form::actions(&html! { (form::submit(texts.save)) }))
    };
    let body = html! {
        (refused.summary(texts.words(), &["password", "repeated"]))
        p dir="ltr" { (email) }
        (form::post("/sign-in/reset", "", &fields))
    };
    bare(&app.runtime, status(refused), texts, texts.reset, headers, body)
}

async fn show_reset(
    State(app): State<App>,
    headers: HeaderMap,
    Query(given): Query<NewPassword>,
) -> Result<Response, PageProblem> {
    match recovery::reset_of(&app.runtime, &given.token).await {
        Ok(email) => Ok(reset_form(&app, &headers, &given.token, &email, &Refused::NONE)),
        Err(error) if error.code() == Code::LinkUsed => Ok(link_of_no_use(&app.runtime, &headers)),
        Err(error) => Err(error.into()),
    }
}

async fn reset(
    State(app): State<App>,
    Stranger(origin): Stranger,
    headers: HeaderMap,
    Form(given): Form<NewPassword>,
) -> Result<Response, PageProblem> {
    let texts = texts(&headers);
    let done = if given.password == given.repeated {
        recovery::reset(&app.runtime, &given.token, &given.password, &browser(&app.runtime, origin, &headers))
            .await
    } else {
        Err(Error::invalid("repeated", texts.differs))
    };
    match done {
        Ok(()) => {
            let body = html! {
                p role="status" { (texts.reset_done) }
                div class="actions" { (form::link(texts.sign_in, "/sign-in").weight(form::Weight::Primary)) }
            };
            Ok(bare(&app.runtime, StatusCode::OK, texts, texts.reset, &headers, body))
        }
        Err(error) if error.code() == Code::LinkUsed => Ok(link_of_no_use(&app.runtime, &headers)),
        Err(error) => match recovery::reset_of(&app.runtime, &given.token).await {
            Ok(email) => Ok(reset_form(&app, &headers, &given.token, &email, &refused_by(texts, error)?)),
            Err(_) => Ok(link_of_no_use(&app.runtime, &headers)),
        },
    }
}

/// As for sign-in links, only the button uses the token up: previews must not.
async fn show_verify(
    State(app): State<App>,
    headers: HeaderMap,
    Query(given): Query<NewPassword>,
) -> Response {
    let texts = texts(&headers);
    let fields = html! {
        input type="hidden" name="token" value=(given.token);
        (form::actions(&html! { (form::submit(texts.verify_button)) }))
    };
    let body = html! {
        p { (texts.verify_text) }
        (form::post("/sign-in/verify", "", &fields))
    };
    bare(&app.runtime, StatusCode::OK, texts, texts.verify, &headers, body)
}

async fn verify(
    State(app): State<App>,
    Stranger(origin): Stranger,
    headers: HeaderMap,
    Form(given): Form<NewPassword>,
) -> Result<Response, PageProblem> {
    let texts = texts(&headers);
    match recovery::verify(&app.runtime, &given.token, &browser(&app.runtime, origin, &headers)).await {
        Ok(email) => {
            let body = html! {
                (feedback::notice(Tone::Good, texts.verified, &html! { span dir="ltr" { (email) } }))
                div class="actions" { (form::link(texts.go_on, "/")) }
            };
            Ok(bare(&app.runtime, StatusCode::OK, texts, texts.verify, &headers, body))
        }
        Err(error) if error.code() == Code::LinkUsed => Ok(link_of_no_use(&app.runtime, &headers)),
        Err(error) => Err(error.into()),
    }
}

/// As for verifying: only the button uses the token up.
async fn show_address(
    State(app): State<App>,
    headers: HeaderMap,
    Query(given): Query<NewPassword>,
) -> Response {
    let texts = texts(&headers);
    let fields = html! {
        input type="hidden" name="token" value=(given.token);
        (form::actions(&html! { (form::submit(texts.verify_button)) }))
    };
    let body = html! {
        p { (texts.address_text) }
        (form::post("/sign-in/address", "", &fields))
    };
    bare(&app.runtime, StatusCode::OK, texts, texts.address, &headers, body)
}

async fn change_address(
    State(app): State<App>,
    Stranger(origin): Stranger,
    headers: HeaderMap,
    Form(given): Form<NewPassword>,
) -> Result<Response, PageProblem> {
    let texts = texts(&headers);
    match address::confirm(&app.runtime, &given.token, &browser(&app.runtime, origin, &headers)).await {
        Ok(email) => {
            let body = html! {
                (feedback::notice(Tone::Good, texts.address_done, &html! { span dir="ltr" { (email) } }))
                div class="actions" { (form::link(texts.go_on, "/")) }
            };
            Ok(bare(&app.runtime, StatusCode::OK, texts, texts.address, &headers, body))
        }
        Err(error) if error.code() == Code::LinkUsed => Ok(link_of_no_use(&app.runtime, &headers)),
        Err(error) => Err(error.into()),
    }
}

/// The routes.
pub(super) fn router() -> Router<App> {
    Router::new()
        .route("/sign-in/mail", get(show_ask).post(ask))
        .route("/sign-in/reset", get(show_reset).post(reset))
        .route("/sign-in/address", get(show_address).post(change_address))
        .route("/sign-in/verify", get(show_verify).post(verify))
}
