//! SMPP accounts in the console.

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{get, post};
use maud::{Markup, Render, html};
use types::{AccountId, Permission, Result};
use web::console::{Content, done};
use web::ui::card;
use web::ui::dialog::{Confirm, confirm};
use web::ui::figure::count;
use web::ui::form::{self, Weight};
use web::ui::icon::Icon;
use web::ui::table::{column, row, table};
use web::ui::tone::Tone;
use web::ui::{badge, browse, code, feedback, field};
use web::{Form, PageProblem, Paging, Query, Visitor};

use super::{Account, AccountPatch, AccountSettings, Credentials, NewAccount};
use crate::api::{Gateway, follow};
use crate::engine::Bound;
use crate::pages::{Fields, Kind, Section, Setting, Shown, again, may, moment, none, patch, region, words};
use crate::settings;

const fn setting(name: &'static str, label: &'static str, hint: &'static str, kind: Kind) -> Setting {
    Setting { name, label, hint, kind }
}

const SECTIONS: &[Section] = &[
    Section {
        title: "Limits",
        hint: None,
        settings: &[
            setting("binds_max", "Binds", "Sessions at once.", Kind::Number("1", "1000")),
            setting(
                "window_max",
                "Window",
                "Unanswered requests of each session.",
                Kind::Number("1", "10000"),
            ),
            setting(
                "throughput",
                "Parts a second",
                "Over all sessions; 0 for no limit.",
                Kind::Number("0", "1000000"),
            ),
            setting(
                "allow_from",
                "May bind from",
                "Networks such as 203.0.113.0/24; empty for everywhere.",
                Kind::List,
            ),
            setting("require_tls", "Over TLS only", "Binds on the port without TLS are refused.", Kind::Flag),
            setting(
                "bind_kinds",
                "Kinds of bind",
                "transmitter, receiver, transceiver; empty for all.",
                Kind::List,
            ),
        ],
    },
    Section {
        title: "Messages",
        hint: None,
        settings: &[
            setting("sender_default", "Sender", "Of messages that name none.", Kind::Text),
            setting(
                "intent_default",
                "Messages are",
                "When they do not say.",
                Kind::Choice(&[
                    ("otp", "One-time codes"),
                    ("transactional", "Transactional"),
                    ("marketing", "Marketing"),
                ]),
            ),
            setting("detect_otp", "Send what reads like a code as one", "", Kind::Flag),
            setting("senders", "Allowed senders", "Empty for any.", Kind::List),
            setting(
                "tlv_policy",
                "Optional parameters",
                "Which go on to the carrier.",
                Kind::Choice(&[
                    ("pass", "All"),
                    ("allow", "Those of the list alone"),
                    ("deny", "All but those of the list"),
                ]),
            ),
            setting("tlv_tags", "Listed parameters", "Tags such as 0x1401.", Kind::List),
            setting(
                "service_types",
                "Service types",
                "That its messages may name; empty for any.",
                Kind::List,
            ),
            setting(
                "service_type_default",
                "Service type",
                "Of messages that name none; mostly empty.",
                Kind::Code,
            ),
            setting(
                "id_form",
                "Message ids",
                "In responses, receipts, and what is asked by them.",
                Kind::Choice(&[
                    ("native", "13 letters and digits"),
                    ("decimal", "Decimal"),
                    ("hex", "Hexadecimal"),
                ]),
            ),
        ],
    },
    Section {
        title: "Receipts and inbound messages",
        hint: None,
        settings: &[
            setting(
                "receipts_keep_s",
                "Keep while not bound",
                "Seconds, 60 to 2,592,000.",
                Kind::Number("60", "2592000"),
            ),
            setting(
                "callback_url",
                "Callback URL",
                "Posted there instead of waiting for a bind.",
                Kind::Code,
            ),
            setting("numbers", "Numbers", "Whose inbound messages this account gets.", Kind::List),
            setting(
                "receipt_format",
                "Receipts consist of",
                "",
                Kind::Choice(&[
                    ("both", "Text and parameters"),
                    ("text", "Text alone"),
                    ("tlvs", "Parameters alone"),
                ]),
            ),
            setting(
                "receipt_dates",
                "Their dates",
                "",
                Kind::Choice(&[("minutes", "Ten digits"), ("seconds", "Twelve digits, with seconds")]),
            ),
            setting(
                "receipt_errors",
                "Their err",
                "",
                Kind::Choice(&[
                    ("carrier", "The carrier's code"),
                    ("fault", "Our number, the same for every carrier"),
                ]),
            ),
            setting("receipt_codes", "Codes of its own", "Such as filtered=045.", Kind::List),
            setting(
                "receipts_in",
                "Brought by",
                "",
                Kind::Choice(&[("deliver_sm", "deliver_sm"), ("data_sm", "data_sm")]),
            ),
            setting(
                "outbind",
                "Outbind to",
                "Host and port where its system listens; mostly empty.",
                Kind::Code,
            ),
            setting(
                "alerts",
                "Tell when phones are back",
                "By alert_notification, where the carrier tells us.",
                Kind::Flag,
            ),
        ],
    },
];

fn state(account: &Account, binds: usize) -> Markup {
    match (account.active, binds) {
        (false, _) => badge::badge(Tone::Neutral, "Switched off"),
        (true, 0) => badge::badge(Tone::Neutral, "Not bound"),
        (true, _) => badge::badge_icon(Tone::Good, Icon::Plug, "Bound"),
    }
}

fn bound(account: &Account, binds: usize) -> Markup {
    let most = account.settings.binds_max;
    feedback::progress("Binds", binds as u64, Some(u64::from(most)), &format!("{binds} of {most}"))
}

fn add_button(visitor: &Visitor) -> Markup {
    html! {
        @if may(visitor, Permission::AccountCreate) {
            (form::link("Add account", "/accounts/new").weight(Weight::Primary).icon(Icon::Plus))
        }
    }
}

async fn list(
    State(gateway): State<Gateway>,
    visitor: Visitor,
    Query(paging): Query<Paging>,
) -> Result<Response, PageProblem> {
    let page = super::list(&visitor.scope, &paging).await?;
    let rows = page.items.iter().map(|account| {
        let binds = gateway.engine.account_binds(account.id);
        let submitted = binds.iter().map(|bind| bind.submitted).sum();
        let delivered = binds.iter().map(|bind| bind.delivered).sum();
        row(vec![
            html! { (account.name) },
            html! { code { (account.system_id) } },
            state(account, binds.len()),
            bound(account, binds.len()),
            html! { (count(submitted)) },
            html! { (count(delivered)) },
            match account.settings.throughput {
                0 => html! { "no limit" },
                limit => html! { (count(u64::from(limit))) },
            },
        ])
        .key(account.id.to_string())
        .link(format!("/accounts/{}", account.id))
    });
    let columns = vec![
        column("Account"),
        column("System id"),
        column("State"),
        column("Binds"),
        column("Submitted").number(),
        column("Delivered to it").number(),
        column("Parts/s allowed").number().detail(),
    ];
    let text = "A customer's system binds to this server over SMPP with an account's system id and password.";
    let empty = feedback::empty(Icon::Users, "No SMPP accounts yet", text, &add_button(&visitor));
    let older = page.next.as_deref().map(|next| format!("/accounts?after={next}"));
    let inner = html! {
        (table("SMPP accounts", columns, rows.collect()).id("accounts").empty(empty))
        (browse::pager(words(&visitor), None, older.as_deref(), ""))
    };
    let body = region(&visitor, "accounts-live", &["account"], inner);
    Ok(visitor
        .page_or_fragment(Content { actions: add_button(&visitor), ..Content::new("SMPP accounts", body) }))
}

fn binds_table(visitor: &Visitor, account: &Account, binds: &[Bound]) -> Markup {
    let manage = may(visitor, Permission::AccountEnd);
    let at = format!("/accounts/{}/unbind", account.id);
    let rows = binds.iter().map(|bind| {
        let (used, most) = (u64::from(bind.window_used), u64::from(account.settings.window_max));
        row(vec![
            html! { "#" (bind.number) " " (bind.kind) @if let Some(version) = &bind.version { " " (version) } },
            html! { code { (bind.peer) } @if bind.tls { " " (badge::badge(Tone::Good, "TLS")) } },
            moment(bind.since),
            feedback::progress("Window", used, Some(most), &format!("{used} of {most}")),
            html! { (count(bind.submitted)) },
            html! { (count(bind.delivered)) },
            bind.active_at.map_or_else(none, moment),
            html! { @if manage { (crate::live::pages::bind_button(&at, "End", bind.number)) } },
        ])
    });
    let columns = vec![
        column("Bind"),
        column("From"),
        column("Since"),
        column("Window"),
        column("Submitted").number(),
        column("Delivered").number(),
        column("Last activity").detail(),
        column("Actions").actions(),
    ];
    let empty = html! { p { "Nobody is bound. Receipts and inbound messages wait." } };
    table("Binds", columns, rows.collect()).id("binds").empty(empty).render()
}

async fn detail(
    State(gateway): State<Gateway>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<Response, PageProblem> {
    let account = super::get(&visitor.scope, id.parse()?).await?;
    let metrics = crate::live::of_account(&visitor.scope, &gateway.engine, account.id).await?;
    let binds = &metrics.binds;
    let inner = html! {
        (card::card(
            "Binds",
            &state(&account, binds.len()),
            &html! {
                (bound(&account, binds.len()))
                (binds_table(&visitor, &account, binds))
            },
        ))
        (crate::live::pages::of_account(&metrics))
    };
    let live = region(&visitor, "account-live", &["account", web::stream::PULSE], inner);
    if visitor.taste.fragment {
        return Ok(visitor.page_or_fragment(Content::new(&account.name, live)));
    }
    let shown = Shown::of(settings::members(&account.settings)?);
    let at = format!("/accounts/{}", account.id);
    let manage = may(&visitor, Permission::AccountChange);
    let body = html! {
        (live)
        @for section in SECTIONS {
            @let facts: Vec<(&str, Markup)> = section.settings.iter().map(|setting| (setting.label, match shown.value(setting.name) {
                text if text.is_empty() => none(),
                text => html! { (text) },
            })).collect();
            (card::card(section.title, &html! {}, &card::facts(&facts)))
        }
        (card::panel(&card::facts(&[
            ("System id", html! { code { (account.system_id) } }),
            ("Id", html! { code { (account.id) } }),
            ("Created", moment(account.created_at)),
            ("Changed", moment(account.changed_at)),
        ])))
        @if manage {
            (browse::toolbar(&html! {
                (confirm(words(&visitor), &Confirm {
                    id: "password", button: "New password…", title: "Make a new password?",
                    text: "The present one no longer binds. Sessions that are bound stay.",
                    confirm: "Make a new password", action: &format!("{at}/password"), csrf: "", danger: false,
                }))
                (confirm(words(&visitor), &Confirm {
                    id: "delete", button: "Delete…", title: "Delete this account?",
                    text: "Its sessions end. Its messages stay. This cannot be undone.",
                    confirm: "Delete account", action: &format!("{at}/delete"), csrf: "", danger: true,
                }))
            }))
        }
    };
    let edit = format!("{at}/edit");
    let actions = html! { @if manage { (form::link("Edit", &edit).icon(Icon::Edit)) } };
    let breadcrumbs = browse::breadcrumbs(words(&visitor), &[("SMPP accounts", "/accounts")], &account.name);
    Ok(visitor.page_or_fragment(Content { title: &account.name, body, actions, breadcrumbs }))
}

/// The page after a password was made: the only place where it ever stands. No redirect: it must not travel in a cookie.
fn password_page(visitor: &Visitor, made: &Credentials) -> Response {
    let config = &visitor.scope.runtime().config.smpp;
    let (listen, tls) = (config.listen, config.tls.listen.0);
    let mut facts = vec![("Host and port", html! { code { (listen) } })];
    if let Some(tls) = tls {
        facts.push(("With TLS", html! { code { (tls) } }));
    }
    facts.extend([
        ("System id", html! { code { (made.account.system_id) } }),
        (
            "Binds",
            html! { "up to " (made.account.settings.binds_max) ", transceiver, transmitter or receiver" },
        ),
        ("Window", html! { "up to " (made.account.settings.window_max) }),
    ]);
    let at = format!("/accounts/{}", made.account.id);
    let body = html! {
        (code::secret_once(words(visitor), "password", "Password", &made.password))
        (card::card("For the customer", &html! {}, &card::facts(&facts)))
        (form::actions(&html! { (form::link("To the account", &at).weight(Weight::Primary)) }))
    };
    let breadcrumbs = browse::breadcrumbs(
        words(visitor),
        &[("SMPP accounts", "/accounts"), (&made.account.name, &at)],
        "Password",
    );
    visitor.page(Content { title: "Password", body, actions: html! {}, breadcrumbs })
}

fn form_page<'a>(
    visitor: &Visitor,
    title: &'a str,
    action: &str,
    back: &str,
    shown: &Shown<'_>,
) -> Content<'a> {
    let new = action.ends_with("/new");
    let (name, system_id) = (shown.value("name"), shown.value("system_id"));
    let body = form::post(
        action,
        "",
        &html! {
            (shown.summary(visitor))
            input type="hidden" name="revision" value=(shown.value("revision"));
            (form::section("Name", None, &html! {
                @if new {
                    (field::text("system_id", "System id").mono().value(&system_id).required().max_chars(15)
                        .hint("The customer's system binds with it; 1 to 15 letters, digits and signs.").error(shown.error("system_id")))
                }
                (field::text("name", "Name").value(&name).max_chars(100)
                    .hint("What people call it; the system id when left empty.").error(shown.error("name")))
                @if new {
                    (field::text("password", "Password").mono().max_chars(16).autocomplete("off")
                        .hint("Left empty, one is made and shown once.").error(shown.error("password")))
                }
                (field::checkbox("active", "May bind").checked(shown.value("active") == "true"))
            }))
            (shown.sections(SECTIONS))
            (form::actions(&html! {
                (form::submit(if new { "Add account" } else { "Save account" }))
                (form::link("Cancel", back))
            }))
        },
    );
    let breadcrumbs = browse::breadcrumbs(words(visitor), &[("SMPP accounts", "/accounts")], title);
    Content { title, body, actions: html! {}, breadcrumbs }
}

async fn new(visitor: Visitor) -> Result<Response, PageProblem> {
    visitor.scope.require(Permission::AccountCreate)?;
    let mut members = settings::members(&AccountSettings::defaults(&visitor.scope.runtime().config))?;
    members.insert("active".to_owned(), true.into());
    let shown = Shown::of(members);
    Ok(visitor.page(form_page(&visitor, "Add account", "/accounts/new", "/accounts", &shown)))
}

async fn create(
    State(gateway): State<Gateway>,
    visitor: Visitor,
    Form(fields): Form<Vec<(String, String)>>,
) -> Result<Response, PageProblem> {
    let fields = Fields(fields);
    let asked = async {
        let new = NewAccount {
            system_id: fields.owned("system_id").unwrap_or_default(),
            name: fields.owned("name"),
            password: fields.owned("password"),
            active: Some(fields.get("active").is_some()),
            settings: patch(SECTIONS, &fields)?,
        };
        super::create(&visitor.scope, new).await
    };
    match asked.await {
        Ok(made) => {
            follow(gateway.engine.account_changed(made.account.id)).await;
            Ok(password_page(&visitor, &made))
        }
        Err(refused) => {
            let refused = again(refused)?;
            let shown = Shown::again(&fields, &refused);
            Ok(visitor.page_again(form_page(&visitor, "Add account", "/accounts/new", "/accounts", &shown)))
        }
    }
}

async fn edit(visitor: Visitor, Path(id): Path<String>) -> Result<Response, PageProblem> {
    visitor.scope.require(Permission::AccountChange)?;
    let account = super::get(&visitor.scope, id.parse()?).await?;
    let mut members = settings::members(&account.settings)?;
    members.insert("name".to_owned(), account.name.into());
    members.insert("active".to_owned(), account.active.into());
    members.insert("revision".to_owned(), account.revision.into());
    let shown = Shown::of(members);
    let back = format!("/accounts/{}", account.id);
    Ok(visitor.page(form_page(&visitor, "Edit account", &format!("{back}/edit"), &back, &shown)))
}

async fn change(
    State(gateway): State<Gateway>,
    visitor: Visitor,
    Path(id): Path<String>,
    Form(fields): Form<Vec<(String, String)>>,
) -> Result<Response, PageProblem> {
    let (id, fields): (AccountId, _) = (id.parse()?, Fields(fields));
    let back = format!("/accounts/{id}");
    let asked = async {
        let wanted = AccountPatch {
            name: fields.owned("name"),
            active: Some(fields.get("active").is_some()),
            settings: patch(SECTIONS, &fields)?,
            revision: fields.revision(),
        };
        super::change(&visitor.scope, id, wanted).await
    };
    match asked.await {
        Ok(_) => {
            follow(gateway.engine.account_changed(id)).await;
            Ok(done(&back, "Account saved."))
        }
        Err(refused) => {
            let refused = again(refused)?;
            let shown = Shown::again(&fields, &refused);
            Ok(visitor.page_again(form_page(
                &visitor,
                "Edit account",
                &format!("{back}/edit"),
                &back,
                &shown,
            )))
        }
    }
}

async fn reset_password(visitor: Visitor, Path(id): Path<String>) -> Result<Response, PageProblem> {
    let made = super::reset_password(&visitor.scope, id.parse()?).await?;
    Ok(password_page(&visitor, &made))
}

async fn delete(
    State(gateway): State<Gateway>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<Response, PageProblem> {
    let id: AccountId = id.parse()?;
    super::delete(&visitor.scope, id).await?;
    follow(gateway.engine.account_changed(id)).await;
    Ok(done("/accounts", "Account deleted."))
}

/// The routes.
pub(crate) fn router() -> Router<Gateway> {
    Router::new()
        .route("/accounts", get(list))
        .route("/accounts/new", get(new).post(create))
        .route("/accounts/{id}", get(detail))
        .route("/accounts/{id}/edit", get(edit).post(change))
        .route("/accounts/{id}/password", post(reset_password))
        .route("/accounts/{id}/delete", post(delete))
}
