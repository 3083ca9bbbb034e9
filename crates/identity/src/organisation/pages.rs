//! The caller's own organisation in the console.

use axum::Router;
use axum::extract::{Multipart, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use maud::{Markup, html};
use serde::Deserialize;
use types::{Code, Error, Permission};
use web::console::Content;
use web::ui::timeline::relative_time;
use web::ui::tone::Tone;
use web::ui::words::Words;
use web::ui::{card, feedback, field, form};
use web::{App, Form, PageProblem, Problem, Refused, Visitor, console};

use super::OrganisationChange;
use crate::tenant::Tenant;

#[derive(Debug, Default, Deserialize)]
struct Given {
    #[serde(default)]
    name: String,
    #[serde(default)]
    locale: String,
    #[serde(default)]
    time_zone: String,
    #[serde(default)]
    currency: String,
    #[serde(default)]
    support_email: String,
    #[serde(default)]
    accent: String,
}

impl Given {
    fn of(tenant: &Tenant) -> Self {
        Self {
            name: tenant.name.clone(),
            locale: tenant.locale.clone(),
            time_zone: tenant.time_zone.clone(),
            currency: tenant.currency.clone(),
            support_email: tenant.support_email.clone().unwrap_or_default(),
            accent: tenant.accent.as_ref().map(|accent| format!("#{accent}")).unwrap_or_default(),
        }
    }
}

const FIELDS: [&str; 6] = ["name", "locale", "time_zone", "currency", "support_email", "accent"];

fn settings(given: &Given, refused: &Refused) -> Markup {
    let fields = html! {
        (field::text("name", "Name").value(&given.name).max_chars(100).error(refused.at("name")).required())
        (field::text("locale", "Locale").hint("Such as en or fr-MA").value(&given.locale).max_chars(35).error(refused.at("locale")).required())
        (field::text("time_zone", "Time zone").hint("Such as Africa/Casablanca").value(&given.time_zone).max_chars(64).error(refused.at("time_zone")).required())
        (field::text("currency", "Currency").hint("ISO 4217, such as MAD").value(&given.currency).max_chars(3).error(refused.at("currency")).required())
        (field::email("support_email", "Where your people ask for help").hint("Stands in everybody's menu, on your sign-in page and in mails").autocomplete("off").value(&given.support_email).error(refused.at("support_email")))
        (field::text("accent", "Colour").hint("Such as #0b625d; a lighter one is made of it for the dark theme. Empty for ours.").mono().value(&given.accent).max_chars(7).error(refused.at("accent")))
        (form::actions(&html! { (form::submit("Save")) }))
    };
    form::post("/organisation", "", &fields)
}

fn logo(tenant: &Tenant, refused: &Refused) -> Markup {
    let upload = html! {
        (field::file("logo", "Picture", Some("image/png,image/jpeg,image/webp"))
            .hint("PNG, JPEG or WebP, at most 2048 pixels each way. It is shown 28 pixels high.")
            .error(refused.at("logo"))
            .required())
        (form::actions(&html! { (form::submit("Upload").weight(form::Weight::Plain)) }))
    };
    html! {
        @if let Some(sha256) = &tenant.logo {
            p { img class="brand-logo" src={ "/brand/logo/" (sha256) } alt={ "The logo of " (tenant.name) } height="28"; }
        }
        (form::upload("/organisation/logo", "", &upload))
        @if tenant.logo.is_some() {
            (form::post("/organisation/logo/remove", "", &form::actions(&html! { (form::submit("Remove the logo").weight(form::Weight::Quiet).small()) })))
        }
    }
}

fn content(visitor: &Visitor, tenant: &Tenant, given: &Given, refused: &Refused) -> Content<'static> {
    let words = Words::for_lang(&visitor.person.language);
    let may = |permission| visitor.scope.permissions().contains(permission);
    let changes = may(Permission::OrganisationChange);
    let facts = card::facts(&[
        ("Id", html! { code dir="ltr" { (tenant.id) } }),
        ("Slug", html! { code dir="ltr" { (tenant.slug) } }),
        ("Since", relative_time(&tenant.created_at.to_string(), &tenant.created_at.to_minute())),
    ]);
    let shown = card::facts(&[
        ("Name", html! { (tenant.name) }),
        ("Locale", html! { span dir="ltr" { (tenant.locale) } }),
        ("Time zone", html! { span dir="ltr" { (tenant.time_zone) } }),
        ("Currency", html! { span dir="ltr" { (tenant.currency) } }),
        (
            "Help",
            html! { @if let Some(support) = &tenant.support_email { a href={ "mailto:" (support) } dir="ltr" { (support) } } @else { "–" } },
        ),
    ]);
    let body = html! {
        (refused.summary(words, &[FIELDS.as_slice(), &["logo"]].concat()))
        @if let Some(erase_at) = tenant.erase_at {
            (feedback::notice(Tone::Bad, &format!("{} is to be erased", tenant.name), &html! {
                p { "At " (erase_at.to_minute()) ". Until then it can be called off: see Erasure." }
            }))
        }
        @if changes {
            (card::split(
                &card::card("Settings", &html! {}, &settings(given, refused)),
                &html! { (card::card("Logo", &html! {}, &logo(tenant, refused))) (card::panel(&facts)) },
            ))
        } @else {
            (card::split(&card::panel(&shown), &card::panel(&facts)))
        }
    };
    let actions = html! {
        (form::link("Domains", "/domains"))
        @if may(Permission::OrganisationExport) { (form::link("Take it away", "/organisation/suitcases")) }
        @if may(Permission::OrganisationErase) { (form::link("Erasure", "/organisation/erasure")) }
    };
    Content { actions, ..Content::new("Organisation", body) }
}

async fn show(visitor: Visitor) -> Result<Response, PageProblem> {
    let tenant = super::get(&visitor.scope).await?;
    Ok(visitor.page(content(&visitor, &tenant, &Given::of(&tenant), &Refused::NONE)))
}

async fn save(visitor: Visitor, Form(given): Form<Given>) -> Result<Response, PageProblem> {
    let tenant = super::get(&visitor.scope).await?;
    let wanted = OrganisationChange {
        name: Some(given.name.clone()),
        locale: Some(given.locale.clone()),
        time_zone: Some(given.time_zone.clone()),
        currency: Some(given.currency.clone()),
        support_email: Some(given.support_email.clone()),
        accent: Some(given.accent.clone()),
    };
    match super::change(&visitor.scope, wanted).await {
        Ok(_) => Ok(console::done("/organisation", "Saved.")),
        Err(error) => Ok(visitor.page_again(content(&visitor, &tenant, &given, &Refused::by(error)?))),
    }
}

/// The octets of the form's file.
async fn file(mut form: Multipart) -> types::Result<Vec<u8>> {
    let broken = |error: axum::extract::multipart::MultipartError| {
        Error::new(Code::BadRequest, "the form cannot be read").because(error)
    };
    while let Some(part) = form.next_field().await.map_err(broken)? {
        if part.name() == Some("logo") {
            return Ok(part.bytes().await.map_err(broken)?.to_vec());
        }
    }
    Err(Error::invalid("logo", "choose a picture"))
}

async fn upload(visitor: Visitor, form: Multipart) -> Result<Response, PageProblem> {
    let tenant = super::get(&visitor.scope).await?;
    let set = match file(form).await {
        Ok(octets) => super::set_logo(&visitor.scope, octets).await,
        Err(error) => Err(error),
    };
    match set {
        Ok(_) => Ok(console::done("/organisation", "The logo is changed.")),
        Err(error) => {
            let given = Given::of(&tenant);
            Ok(visitor.page_again(content(&visitor, &tenant, &given, &Refused::by(error)?)))
        }
    }
}

async fn remove(visitor: Visitor) -> Result<Response, PageProblem> {
    super::remove_logo(&visitor.scope).await?;
    Ok(console::done("/organisation", "The logo is removed."))
}

/// A logo, for whoever knows its hash: the sign-in page names it before anybody is known. The address says what it holds, so
/// it may be kept for ever (RFC 8246).
async fn serve(
    State(app): State<App>,
    Path(sha256): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let etag = format!("\"{sha256}\"");
    let found = super::logo(&app.runtime, &sha256).await?;
    let kept = [
        (header::ETAG, etag.clone()),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable".to_owned()),
    ];
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    if known.is_some_and(|known| known.split(',').any(|one| one.trim() == etag)) {
        return Ok((StatusCode::NOT_MODIFIED, kept).into_response());
    }
    Ok((kept, [(header::CONTENT_TYPE, found.media_type)], found.octets).into_response())
}

/// The routes.
pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/organisation", get(show).post(save))
        .route("/organisation/logo", post(upload))
        .route("/organisation/logo/remove", post(remove))
        .route("/brand/logo/{sha256}", get(serve))
}
