//! The living style page: every component in every state, for people who write pages and for tests that look.

use crate::ui::{
    badge, browse, card, chart, chat, code, compose, dialog,
    feedback::{self, Flash},
    field::{self, Choice},
    form::{self, Weight},
    icon::{Icon, icon},
    layout::{self, Dir, NavGroup, NavItem, Page, Theme, UserMenu},
    live,
    table::{self, Order},
    timeline::{self, Event},
    tone::Tone,
    words::Words,
};
use maud::{Markup, html};

/// The style page. Right to left it comes with Arabic words.
#[must_use]
pub fn page(dir: Dir, theme: Theme) -> Markup {
    let lang = if dir == Dir::Rtl { "ar" } else { "en" };
    let words = Words::for_lang(lang);
    let nav = navigation();
    layout::page(&Page {
        lang,
        dir,
        theme,
        tenant: Some("Atlas Wholesale"),
        nav: &nav,
        current: "/messages",
        user: Some(UserMenu {
            name: "Amel Ben Salah",
            detail: "amel@example.net · Operator",
            links: &[("Profile", "#profile"), ("Access keys", "#keys")],
            sign_out: "#sign-out",
            csrf: "token",
        }),
        languages: &[
            ("English", "?lang=en", lang == "en"),
            ("Français", "?lang=fr", false),
            ("العربية", "?lang=ar", lang == "ar"),
        ],
        flash: Some(Flash { tone: Tone::Good, text: "Route “Tunisia, direct” saved." }),
        breadcrumbs: browse::breadcrumbs(words, &[("Console", "#"), ("Design", "#")], "Style"),
        actions: html! {
            (form::link("Export", "#export").icon(Icon::ArrowDown))
            (form::link("New message", "#new").weight(Weight::Primary).icon(Icon::Plus))
        },
        footer: html! { span { "Switchboard 0.1.0" } a href="#docs" { "Documentation" } a href="#status-page" { "Status" } },
        ..Page::new("Style", body(words))
    })
}

/// Pages without navigation: sign-in, and each error.
#[must_use]
pub fn bare_page(theme: Theme) -> Markup {
    let body = html! {
        (form::post("/sign-in", "token", &html! {
            (field::email("email", "E-mail").autocomplete("username").required().autofocus())
            (field::secret("password", "Password").autocomplete("current-password").required())
            (field::checkbox("stay", "Stay signed in on this device").hint("Not on a shared computer."))
            (form::actions(&html! { (form::submit("Sign in")) (form::link("Use a passkey", "/sign-in/passkey").icon(Icon::Key)) }))
        }))
    };
    layout::bare(&Page { theme, tenant: Some("Atlas Wholesale"), ..Page::new("Sign in", body) })
}

fn navigation() -> Vec<NavGroup<'static>> {
    let item = |label, href, icon, key, count| NavItem { label, href, icon, key, count };
    vec![
        NavGroup {
            label: "Traffic",
            open: true,
            items: vec![
                item("Overview", "/", Icon::Home, Some('h'), None),
                item("Messages", "/messages", Icon::Message, Some('m'), None),
                item("Campaigns", "/campaigns", Icon::Send, Some('c'), Some(3)),
                item("Simulator", "/simulator", Icon::Flask, None, None),
            ],
        },
        NavGroup {
            label: "Network",
            open: true,
            items: vec![
                item("Connections", "/connections", Icon::Plug, Some('n'), Some(1)),
                item("Routes", "/routes", Icon::Route, Some('r'), None),
                item("Rates", "/rates", Icon::Coins, None, None),
            ],
        },
        NavGroup {
            label: "Administration",
            open: true,
            items: vec![
                item("People", "/people", Icon::Users, Some('p'), None),
                item("Audit trail", "/audit", Icon::Shield, None, None),
                item("Settings", "/settings", Icon::Gear, Some('s'), None),
            ],
        },
    ]
}

fn body(words: &'static Words) -> Markup {
    html! {
        (figures())
        (browsing(words))
        (forms(words))
        (card::split(&html! { (states(words)) (facts(words)) }, &happened()))
        (conversation(words))
        (bytes(words))
        (answers(words))
        (dialogs(words))
        (pictures())
    }
}

fn figures() -> Markup {
    let trend = [12.0, 14.0, 11.0, 18.0, 22.0, 21.0, 27.0, 25.0, 31.0, 30.0, 36.0, 41.0];
    let down = [9.0, 9.0, 8.0, 8.5, 7.0, 7.5, 6.0, 4.0, 3.0, 3.5, 2.0, 2.0];
    let hours: Vec<(String, f64)> =
        (0..24).map(|hour| (format!("{hour:02}:00"), f64::from((hour * 37) % 23 + 4) * 100.0)).collect();
    let stats = card::stats(&[
        card::Stat {
            label: "Accepted today",
            value: "128 430",
            note: Some("+4.1 % on last week"),
            tone: Tone::Good,
            href: Some("#accepted"),
            trend: &trend,
        },
        card::Stat {
            label: "Delivered",
            value: "98.7 %",
            note: Some("of 126 902 final"),
            trend: &trend,
            ..Default::default()
        },
        card::Stat {
            label: "Waiting",
            value: "1 204",
            note: Some("oldest 14 s"),
            tone: Tone::Warn,
            trend: &down,
            ..Default::default()
        },
        card::Stat {
            label: "Connections",
            value: "7 / 8",
            note: Some("1 down"),
            tone: Tone::Bad,
            href: Some("#connections"),
            trend: &[],
        },
    ]);
    let series =
        chart::Series { caption: "Messages by hour", axis: "Hour", measure: "Messages", points: &hours };
    html! {
        (stats)
        (card::grid(&html! {
            (card::card("Messages by hour", &html! {}, &chart::bars(&series)))
            (card::card("The same as a line", &html! {}, &chart::sparkline(&series)))
        }))
        (card::grid(&html! {
            (card::choice("#simulate", Icon::Flask, "Try it on the simulator", "Send to virtual phones, with no operator and no cost."))
            (card::choice("#connect", Icon::Plug, "Connect an operator", "SMPP, with the details that your operator gave you."))
        }))
    }
}

fn browsing(words: &'static Words) -> Markup {
    let state = [
        Choice::new("", "Any state"),
        Choice::new("failed", "Failed"),
        Choice::new("delivered", "Delivered"),
    ];
    html! {
        (browse::tabs("Views", &[
            browse::Tab { label: "All", href: "#all", count: None, current: true },
            browse::Tab { label: "Failed today", href: "#failed", count: Some(42), current: false },
            browse::Tab { label: "Scheduled", href: "#scheduled", count: Some(1204), current: false },
        ]))
        (browse::filter_bar(words, "#messages", &html! {
            (field::search("q", "Search").placeholder("Number, sender, text"))
            (field::select("state", "State", &state).value("failed"))
            (field::date("from-day", "Since").value("2026-08-28"))
        }, &[browse::ActiveFilter { label: "State: failed".into(), remove_href: "#all".into() }]))
        (form::post("#bulk", "token", &html! {
            (browse::bulk_bar(words, &html! {
                (form::submit("Send again").weight(Weight::Plain).small().sends("do", "resend"))
                (form::submit("Cancel").weight(Weight::Danger).small().sends("do", "cancel"))
            }))
            (live::live("messages", "#fragment", &["messages"], &messages(words)))
        }))
        (browse::pager(words, Some("#newer"), Some("#older"), "50 of about 128 000"))
        (tree())
        (table::table("Routes", vec![table::column("Name")], vec![]).empty(feedback::empty(
            Icon::Route,
            "No routes yet",
            "A route says which connection carries a message. Until there is one, messages wait.",
            &html! { (form::link("Add a route", "#add").weight(Weight::Primary).icon(Icon::Plus)) },
        )))
    }
}

fn messages(words: &'static Words) -> Markup {
    let sample = [
        ("+216 20 123 456", "ACME", "delivered", "Delivered", "1", "0.021"),
        ("+216 98 765 432", "ACME", "failed", "Failed", "2", "0.042"),
        ("+33 6 12 34 56 78", "Bank", "queued", "Queued", "1", "0.038"),
        ("+964 770 000 0000", "بنك", "indeterminate", "Unknown", "3", "0.120"),
    ];
    let rows = sample.iter().enumerate().map(|(at, (to, from, state, label, parts, price))| {
        table::row(vec![
            html! { bdi dir="ltr" { (to) } },
            html! { bdi { (from) } },
            badge::message_state(state, label),
            html! { (parts) },
            html! { (price) },
            timeline::time("2026-08-28T14:30:00Z", "28 Aug 14:30:07"),
        ])
        .link(format!("#message-{at}"))
        .key(format!("m{at}"))
        .current(at == 2)
    });
    let columns = vec![
        table::column("To"),
        table::column("From").detail(),
        table::column("State"),
        table::column("Parts").number(),
        table::column("Price, EUR").number().sort("#by-price", None),
        table::column("Accepted").sort("#by-time", Some(Order::Descending)),
    ];
    html! { (table::table("Messages", columns, rows.collect()).id("message-list").dense().selectable("id", words)) }
}

fn tree() -> Markup {
    let rows = [("Resellers United", 0), ("Corner Shop", 1), ("Corner Shop, old town", 2), ("Bakery", 1)];
    let rows = rows.iter().map(|(name, depth)| {
        let name = html! {
            @if *depth > 0 { span class="visually-hidden" { "Level " (depth + 1) ": " } }
            bdi { (name) }
        };
        table::row(vec![name, badge::badge_icon(Tone::Good, Icon::Check, "active")])
            .link(format!("#tenant-{depth}"))
            .level(*depth)
    });
    let columns = vec![table::column("Name"), table::column("State")];
    html! { (table::table("Tenants", columns, rows.collect()).id("tenant-tree")) }
}

fn forms(words: &'static Words) -> Markup {
    let binds = [
        Choice {
            value: "transceiver",
            label: "Transceiver",
            hint: Some("Sends and receives on one session."),
        },
        Choice { value: "transmitter", label: "Transmitter", hint: None },
    ];
    let count = compose::PartCount {
        text: "Votre code est 4821 – valable 10 min 🎉",
        encoding: "UCS-2",
        units: 39,
        parts: 1,
        remaining: 31,
        forcing: &['–', '🎉'],
        too_long: false,
    };
    let plain = compose::PartCount {
        text: "Hi",
        encoding: "GSM 7-bit",
        units: 320,
        parts: 3,
        remaining: 139,
        forcing: &[],
        too_long: true,
    };
    card::card(
        "Connection",
        &html! { (form::link("Help", "#help").weight(Weight::Quiet).small()) },
        &form::post(
            "#save",
            "token",
            &html! {
                (form::error_summary(words, &[("port", "Port 2775 is taken by “Carrier A”")]))
                (form::section("Where", Some("As your operator gave it to you."), &html! {
                    (field::text("host", "Host").value("smsc.example.net").hint("Name or address").mono().required())
                    (field::number("port", "Port").value("2775").range("1", "65535").error("Port 2775 is taken by “Carrier A”").required())
                    (field::text("system-id", "System id").value("switchboard").mono().read_only())
                    (field::secret("password", "Password").hint("At most 8 characters in SMPP 3.4").max_chars(8))
                    (field::select("ton", "Type of number", &[Choice::new("1", "International"), Choice::new("5", "Alphanumeric")]))
                    (field::datetime("since", "In force from").value("2026-08-28T14:30").hint("Africa/Tunis"))
                    (field::tags("labels", "Labels", &["direct", "otp", "night"]).value("direct,otp").hint("Separated by commas"))
                    (field::tel("test", "Test number").placeholder("+21620123456").disabled(true))
                    (field::radios("bind", "Bind as", &binds).value("transceiver"))
                    (field::checkbox("tls", "Encrypt with TLS").hint("The operator must offer it.").checked(true))
                }))
                (form::section("A message", None, &html! {
                    (compose::message_text(words, compose::text_field("Text", count.text), "#count", &count))
                    (compose::message_text(words, field::textarea("long", "Too long").value("Hi").rows(2).error("More than 2 parts").wide(), "#count", &plain))
                }))
                (form::actions(&html! {
                    (form::submit("Save connection")) (form::submit("Save and bind").weight(Weight::Plain).sends("then", "bind"))
                    (form::link("Cancel", "#cancel").weight(Weight::Quiet)) (form::submit("Not now").disabled(true))
                }))
            },
        ),
    )
}

fn states(words: &Words) -> Markup {
    card::card(
        "States",
        &html! {},
        &html! {
            div class="toolbar" { @for state in badge::MESSAGE_STATES { (badge::message_state(state, state)) } }
            div class="toolbar" { @for state in badge::CONNECTION_STATES { (badge::connection_state(state, state)) } }
            div class="toolbar" { @for tone in Tone::ALL { (badge::badge(tone, tone.name())) } (badge::tag("vip")) (badge::tag("night")) }
            (feedback::progress("Campaign “August”", 6200, Some(10_000), "6 200 of 10 000"))
            (feedback::progress("Importing contacts", 0, None, "under way"))
            (form::upload_in_pieces(words, ("#send", "#record"), 1 << 20, &html! {
                (field::file("file", "A long file", None).hint("It goes in pieces, and goes on where it broke off."))
                (form::actions(&html! { (form::submit("Upload").weight(Weight::Plain)) }))
            }))
        },
    )
}

fn facts(words: &'static Words) -> Markup {
    card::card(
        "Message",
        &html! { (form::opens("Resend", "sample-dialog").small().icon(Icon::Refresh)) },
        &card::facts(&[
            ("Id", code::value(words, "message-id", "01K3V8T2D5XN9W4J")),
            ("To", html! { bdi dir="ltr" { "+216 20 123 456" } }),
            ("State", badge::message_state("delivered", "Delivered")),
            ("Accepted", timeline::relative_time("2026-08-28T14:30:00Z", "28 August 2026, 14:30")),
        ]),
    )
}

fn happened() -> Markup {
    let event = |time, title, detail, tone| Event {
        time: timeline::time("2026-08-28T14:30:00Z", time),
        title,
        detail: html! { (detail) },
        tone,
    };
    card::card(
        "What happened",
        &html! {},
        &timeline::timeline(&[
            event("14:30:07.120", "Accepted", "By the REST API, key “billing”", Tone::Neutral),
            event("14:30:07.131", "Routed", "Rule 4: Tunisia, direct", Tone::Neutral),
            event("14:30:08.002", "Refused", "ESME_RTHROTTLED; tried again after 2 s", Tone::Warn),
            event("14:30:10.240", "Failed", "Connection lost", Tone::Bad),
            event("14:30:13.871", "Delivered", "Receipt: stat:DELIVRD err:000", Tone::Good),
        ]),
    )
}

fn conversation(words: &'static Words) -> Markup {
    let bubble = |mine, text, state| chat::Bubble {
        mine,
        text,
        time: timeline::time("2026-08-28T14:30:00Z", "14:30"),
        state,
    };
    let messages = chat::bubbles(
        words,
        &[
            bubble(false, "Your code is 4821. It is valid for 10 minutes.", html! {}),
            bubble(true, "STOP", badge::message_state("delivered", "Delivered")),
            bubble(false, "تم إلغاء اشتراكك. لن تتلقى رسائل أخرى.", html! {}),
            bubble(true, "Merci 🎉", html! { "Sent" }),
        ],
    );
    let phone = chat::phone(
        words,
        &chat::PhoneScreen {
            id: "phone-1",
            owner: "+216 20 000 001",
            peer: "ACME",
            messages,
            reply_action: Some("#reply"),
            reply_label: "Reply",
            csrf: "token",
        },
    );
    card::split(
        &html! {
            (card::card("Explained", &html! {}, &html! {
                (feedback::notice(Tone::Info, "Quiet hours", &html! { "Messages of campaigns wait until 08:00." }))
                (feedback::notice(Tone::Good, "Verified", &html! { "The sender is registered in Tunisia." }))
                (feedback::notice(Tone::Warn, "Certificate ends in 6 days", &html! { a href="#renew" { "Renew it" } }))
                (feedback::notice(Tone::Bad, "Connection lost", &html! { "Nothing leaves through “Carrier A”." }))
                (feedback::help("What is an indeterminate message?", &html! { "The operator never said what became of it." }))
                (feedback::failed("The report could not be made", "The database did not answer within 5 s.", Some(("Try again", "#again"))))
            }))
        },
        &phone,
    )
}

fn bytes(words: &'static Words) -> Markup {
    let pdu: Vec<u8> = b"\x00\x00\x00\x3b\x00\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00\x05\x00\x05\x00ACME\x00\x01\x0121620123456\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x0bHello world".to_vec();
    html! {
        (code::hex(words, "pdu", "submit_sm, 59 octets", &pdu))
        (code::block(words, "curl", "With curl", "curl -H 'Authorization: Bearer …' \\\n  --json '{\"to\": \"+21620123456\", \"text\": \"Hi\"}' \\\n  https://sms.example/api/v1/messages"))
        (code::secret_once(words, "new-key", "Access key “billing”", "sb_live_9f2c47d0b1e84a7f"))
    }
}

fn answers(words: &'static Words) -> Markup {
    card::card(
        "Search and buttons",
        &html! {},
        &html! {
            (browse::search_form("#search", "Search people", ""))
            (browse::toolbar(&html! {
                (form::link("Primary", "#").weight(Weight::Primary)) (form::link("Plain", "#")) (form::link("Quiet", "#").weight(Weight::Quiet))
                (form::link("Danger", "#").weight(Weight::Danger)) (form::link("Small", "#").small())
                (form::link("Refresh", "#").icon_only(Icon::Refresh)) (form::link("Edit", "#").icon_only(Icon::Edit).small())
            }))
            p { "A " a href="#link" { "link in text" } ", a " kbd { "key" } ", some " code { "code" } " and " (code::value(words, "inline-id", "01K3V8")) "." }
        },
    )
}

fn dialogs(words: &'static Words) -> Markup {
    html! {
        (browse::toolbar(&html! {
            (form::opens("Open a dialog", "sample-dialog"))
            (dialog::confirm(words, &dialog::Confirm {
                id: "sample-confirm",
                button: "Delete route…",
                title: "Delete this route?",
                text: "Messages to Tunisia will wait until another route takes them. This cannot be undone.",
                confirm: "Delete route",
                action: "#delete",
                csrf: "token",
                danger: true,
            }))
        }))
        (dialog::dialog(words, "sample-dialog", "Send again", &html! {
            (form::post("#resend", "token", &html! {
                (field::checkbox("now", "Now, whatever the quiet hours"))
                (form::actions(&html! { (form::submit("Send again")) }))
            }))
        }))
    }
}

fn pictures() -> Markup {
    card::card(
        "Icons",
        &html! {},
        &html! { div class="toolbar" { @for picture in Icon::ALL { span title=(format!("{picture:?}")) { (icon(picture)) } } } },
    )
}
