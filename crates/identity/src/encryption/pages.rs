//! Keys of sealed secrets in the console.

use axum::Router;
use axum::response::Response;
use axum::routing::{get, post};
use maud::{Markup, html};
use types::Permission;
use web::console::Content;
use web::ui::dialog::{self, Confirm};
use web::ui::icon::Icon;
use web::ui::table::{column, row, table};
use web::ui::timeline::relative_time;
use web::ui::tone::Tone;
use web::ui::words::Words;
use web::ui::{badge, card, feedback};
use web::{App, PageProblem, Visitor, console};

use super::root::{self, RootKeys};
use super::signing::{self, SigningKeys};
use super::{Column, Encryption};

const TURN: Confirm<'static> = Confirm {
    id: "turn",
    button: "New data key…",
    title: "Give this tenant a new data key?",
    text: "It seals from now on. What is sealed already is sealed anew beside the traffic; nothing has to be stopped.",
    confirm: "Make a new data key",
    action: "/encryption/turn",
    csrf: "",
    danger: false,
};

const TURN_ROOT: Confirm<'static> = Confirm {
    id: "turn-root",
    button: "New root key…",
    title: "Make a new root key?",
    text: "It wraps the data keys of all tenants from now on. The one before it stays in the key file: copy the file again to where you keep it apart from the database's backups.",
    confirm: "Make a new root key",
    action: "/encryption/turn-root",
    csrf: "",
    danger: false,
};

const FORGET: Confirm<'static> = Confirm {
    id: "forget-root",
    button: "Forget former root keys…",
    title: "Forget the former root keys?",
    text: "Backups of the database that were made under them can no longer be read. This cannot be undone.",
    confirm: "Forget them",
    action: "/encryption/forget-root",
    csrf: "",
    danger: true,
};

const TURN_SIGNING: Confirm<'static> = Confirm {
    id: "turn-signing",
    button: "Next signing key…",
    title: "Make the next signing key now?",
    text: "It is published now and signs from tomorrow, when every reader has seen it. Tokens stay good.",
    confirm: "Make the next key",
    action: "/encryption/turn-signing",
    csrf: "",
    danger: false,
};

const REVOKE_SIGNING: Confirm<'static> = Confirm {
    id: "revoke-signing",
    button: "Revoke signing keys…",
    title: "Revoke all signing keys?",
    text: "For when a key may have been seen. Every access token of every tenant is refused at once; programs get new ones by their secrets and refresh tokens.",
    confirm: "Revoke all of them",
    action: "/encryption/revoke-signing",
    csrf: "",
    danger: true,
};

fn key_id(id: &str) -> Markup {
    html! { code dir="ltr" { (id) } }
}

/// How far a new key has come, for each column.
fn columns(encryption: &Encryption) -> Markup {
    let progress = |one: &Column| {
        let (done, all) = (one.current.max(0) as u64, one.sealed.max(0) as u64);
        match all {
            0 => html! { "none yet" },
            _ => feedback::progress("Sealed", done, Some(all), &format!("{done} of {all}")),
        }
    };
    let rows = encryption.columns.iter().map(|one| {
        row(vec![
            html! { (one.title) " " code dir="ltr" { (one.table) "." (one.column) } },
            html! { (one.sealed) },
            progress(one),
        ])
    });
    let heads = vec![column("What"), column("Secrets").number(), column("By the current key")];
    card::card("Sealed secrets", &html! {}, &html! { (table("Sealed secrets", heads, rows.collect())) })
}

fn data_key(encryption: &Encryption) -> Markup {
    html! {
        (card::facts(&[
            ("Current key", key_id(&encryption.key)),
            ("Cipher", html! { (encryption.cipher) }),
            ("Former keys", html! {
                @if encryption.former.is_empty() { "none" }
                @for former in &encryption.former {
                    div { (key_id(&former.key)) ", replaced " (relative_time(&former.retired_at.to_string(), &former.retired_at.to_minute())) }
                }
            }),
        ]))
    }
}

fn root_keys(words: &Words, keys: &RootKeys, may_turn: bool) -> Markup {
    let wrapped = match keys.to_wrap {
        0 => badge::badge_icon(Tone::Good, Icon::Check, "all data keys"),
        left => badge::badge_icon(Tone::Warn, Icon::Clock, &format!("{left} data keys are left")),
    };
    let lies = match (&keys.service, keys.closed) {
        (Some(service), true) => badge::badge_icon(Tone::Good, Icon::Lock, &format!("closed by {service}")),
        (Some(service), false) => badge::badge_icon(
            Tone::Warn,
            Icon::Warning,
            &format!("in the clear; a new one is closed by {service}"),
        ),
        (None, _) => badge::badge(Tone::Neutral, "in the clear"),
    };
    let facts = card::facts(&[
        ("Current key", key_id(&keys.key)),
        (
            "Kept in",
            html! { @match &keys.file { Some(file) => code dir="ltr" { (file) }, None => "the configuration" } },
        ),
        ("Lies there", lies),
        ("Wraps", wrapped),
        (
            "Former keys",
            html! {
                @if keys.former.is_empty() { "none" }
                @for former in &keys.former { div { (key_id(former)) } }
            },
        ),
    ]);
    let actions = html! {
        @if may_turn && keys.file.is_some() {
            (dialog::confirm(words, &TURN_ROOT))
            @if !keys.former.is_empty() && keys.to_wrap == 0 { (dialog::confirm(words, &FORGET)) }
        }
    };
    card::card("Root key of the installation", &actions, &facts)
}

fn signing_keys(words: &Words, signing: &SigningKeys, may_turn: bool) -> Markup {
    let rows = signing.keys.iter().map(|one| {
        let tone = if one.state == "signing" { Tone::Good } else { Tone::Neutral };
        row(vec![
            key_id(&one.key),
            badge::badge(tone, one.state),
            relative_time(&one.signs_from.to_string(), &one.signs_from.to_minute()),
        ])
    });
    let heads = vec![column("Key"), column("State"), column("Signs from")];
    let waits = signing.keys.iter().any(|one| one.state == "next");
    let actions = html! {
        @if may_turn {
            @if !waits { (dialog::confirm(words, &TURN_SIGNING)) }
            (dialog::confirm(words, &REVOKE_SIGNING))
        }
    };
    let rows = table("Signing keys", heads, rows.collect());
    card::card("Keys that sign access tokens", &actions, &html! { (rows) })
}

async fn show(visitor: Visitor) -> Result<Response, PageProblem> {
    let encryption = super::show(&visitor.scope).await?;
    let may = |permission| visitor.scope.permissions().contains(permission);
    let words = Words::for_lang(&visitor.person.language);
    let roots = match may(Permission::SystemView) {
        true => Some(root::show(&visitor.scope).await?),
        false => None,
    };
    let signing = match may(Permission::SystemView) {
        true => Some(signing::show(&visitor.scope).await?),
        false => None,
    };
    let body = html! {
        p { "Passwords of carriers and other secrets that must be read back are sealed in the database, each for its own place. A copy of the database alone tells none of them." }
        (card::card("Data key of this tenant", &html! {}, &data_key(&encryption)))
        (columns(&encryption))
        @if let Some(keys) = &roots { (root_keys(words, keys, may(Permission::SystemManage))) }
        @if let Some(keys) = &signing { (signing_keys(words, keys, may(Permission::SystemManage))) }
    };
    let actions = html! { @if may(Permission::EncryptionManage) { (dialog::confirm(words, &TURN)) } };
    Ok(visitor.page(Content { actions, ..Content::new("Encryption", body) }))
}

async fn turn(visitor: Visitor) -> Result<Response, PageProblem> {
    let turned = super::turn(&visitor.scope).await?;
    Ok(console::done("/encryption", &format!("The data key {} seals from now on.", turned.key)))
}

async fn turn_root(visitor: Visitor) -> Result<Response, PageProblem> {
    let keys = root::turn(&visitor.scope, None).await?;
    Ok(console::done(
        "/encryption",
        &format!("The root key {} wraps all data keys. Copy the key file.", keys.key),
    ))
}

async fn forget(visitor: Visitor) -> Result<Response, PageProblem> {
    root::forget(&visitor.scope).await?;
    Ok(console::done("/encryption", "The former root keys are forgotten."))
}

async fn turn_signing(visitor: Visitor) -> Result<Response, PageProblem> {
    signing::turn(&visitor.scope).await?;
    Ok(console::done("/encryption", "The next signing key is published, and signs from tomorrow."))
}

async fn revoke_signing(visitor: Visitor) -> Result<Response, PageProblem> {
    signing::revoke(&visitor.scope).await?;
    Ok(console::done("/encryption", "All signing keys are revoked; every access token is refused."))
}

/// The routes.
pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/encryption", get(show))
        .route("/encryption/turn", post(turn))
        .route("/encryption/turn-root", post(turn_root))
        .route("/encryption/forget-root", post(forget))
        .route("/encryption/turn-signing", post(turn_signing))
        .route("/encryption/revoke-signing", post(revoke_signing))
}
