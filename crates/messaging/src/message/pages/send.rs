//! Sending one message by hand.

use axum::extract::State as Extract;
use axum::response::{Html, IntoResponse, Response};
use maud::{Markup, html};
use serde::Deserialize;
use sms::analysis;
use types::{Code, Error, Permission, Result, Timestamp};
use web::console::{self, Content};
use web::ui::chat::{self, Bubble, PhoneScreen};
use web::ui::compose::{self, PartCount};
use web::ui::field::{self, Choice};
use web::ui::form::{self, Weight};
use web::ui::icon::{Icon, icon};
use web::ui::tone::Tone;
use web::ui::words::Words;
use web::ui::{browse, card, feedback};
use web::{Form, PageProblem, Refused, Visitor};

use super::forecast::forecast;

use crate::api::Gateway;
use crate::intent::Intent;
use crate::message::submit::{self, Alphabet, SendMessage};

/// What the form says; each member is its field's text.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default)]
pub(super) struct SendForm {
    to: String,
    from: String,
    text: String,
    intent: String,
    schedule_at: String,
    validity_s: String,
    callback_url: String,
    client_ref: String,
    encoding: String,
    flash: String,
}

fn given(text: &str) -> Option<&str> {
    Some(text.trim()).filter(|text| !text.is_empty())
}

impl SendForm {
    /// The text as it was typed: browsers send a line break as two characters, and each would be paid for.
    fn text(&self) -> String {
        self.text.replace("\r\n", "\n")
    }

    fn read(&self) -> Result<SendMessage> {
        let schedule_at = given(&self.schedule_at).map(moment).transpose()?;
        let validity_s = given(&self.validity_s).map(|seconds| {
            seconds.parse().map_err(|_| {
                Error::new(Code::InvalidValidity, format!("{seconds:?} is no number of seconds"))
                    .at("validity_s")
            })
        });
        let intent = given(&self.intent).map(|name| {
            Intent::named(name).ok_or_else(|| Error::invalid("intent", format!("{name:?} is no intent")))
        });
        Ok(SendMessage {
            to: self.to.clone(),
            from: given(&self.from).map(str::to_owned),
            text: Some(self.text()),
            intent: intent.transpose()?,
            client_ref: given(&self.client_ref).map(str::to_owned),
            schedule_at,
            validity_s: validity_s.transpose()?,
            callback_url: given(&self.callback_url).map(str::to_owned),
            encoding: match self.encoding.as_str() {
                "gsm7" => Some(Alphabet::Gsm7),
                "ucs2" => Some(Alphabet::Ucs2),
                _ => None,
            },
            flash: (self.flash == "true").then_some(true),
            ..SendMessage::default()
        })
    }
}

/// A local date and time as browsers send it, `2027-01-31T09:30`, read as UTC; or a whole RFC 3339 instant.
fn moment(text: &str) -> Result<Timestamp> {
    let whole = match text.len() {
        16 => format!("{text}:00Z"),
        19 => format!("{text}Z"),
        _ => text.to_owned(),
    };
    Timestamp::parse(&whole).map_err(|_| {
        Error::new(Code::InvalidSchedule, format!("{text:?} is no time such as 2027-01-31T09:30"))
            .at("schedule_at")
    })
}

const FIELDS: [&str; 9] =
    ["to", "from", "text", "intent", "schedule_at", "validity_s", "callback_url", "client_ref", "encoding"];

/// What `encoding` takes, and what people call it.
const ALPHABETS: [(&str, &str); 3] = [
    ("", "The 7-bit alphabet where it suffices"),
    ("gsm7", "The 7-bit alphabet or nothing"),
    ("ucs2", "UCS-2"),
];

/// What the counter says of a text.
fn counted<T>(text: &str, parts_max: u32, then: impl FnOnce(&PartCount<'_>) -> T) -> T {
    let analysis = sms::analyse(text, &analysis::Options::default());
    let forcing: Vec<char> = analysis.forcing.iter().map(|(_, character)| *character).collect();
    let whole = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let parts = if text.is_empty() { 0 } else { whole(analysis.count.parts) };
    then(&PartCount {
        text,
        encoding: super::encoding_name(analysis.count.encoding),
        units: whole(analysis.count.units),
        parts,
        remaining: whole(analysis.count.remaining_in_last),
        forcing: &forcing,
        too_long: parts > parts_max,
    })
}

/// What plain characters would save, with a button that puts them in; nothing where they would save nothing.
fn offer(text: &str) -> Markup {
    let replacing = analysis::Options { replace: true, ..analysis::Options::default() };
    let replaced = sms::analyse(text, &replacing);
    if replaced.replacements.is_empty() {
        return html! {};
    }
    let now = sms::count(text, &analysis::Options::default()).parts;
    let mut changes: Vec<(char, &str)> = replaced.replacements.iter().map(|one| (one.from, one.to)).collect();
    changes.sort_unstable();
    changes.dedup();
    let saved = match now.saturating_sub(replaced.count.parts) {
        0 => "The text would stay in the 7-bit alphabet.".to_owned(),
        1 => "It would take one part less.".to_owned(),
        fewer => format!("It would take {fewer} parts less."),
    };
    feedback::notice(
        Tone::Info,
        "Plain characters would do",
        &html! {
            p { (saved) " "
                @for (from, to) in changes.iter().take(12) {
                    span class="chip" dir="ltr" { (from) " → " @if to.is_empty() { "nothing" } @else { (to) } } " "
                }
            }
            // Without script the same button sends the form and brings it back.
            p { button type="submit" class="button small" formaction="/send/replace" formnovalidate { "Use plain characters" } }
        },
    )
}

/// The counter and its offer: the answer to a count, and a part of the page.
fn counter(words: &Words, text: &str, parts_max: u32) -> Markup {
    html! {
        (counted(text, parts_max, |count| compose::part_counter(words, count)))
        (offer(text))
    }
}

/// The message as a phone will show it.
fn phone(words: &Words, given: &SendForm) -> Markup {
    let text = given.text();
    let bubble = Bubble { mine: false, text: &text, time: html! {}, state: html! {} };
    let or =
        |text: &'_ str, otherwise| if text.trim().is_empty() { otherwise } else { text.trim() }.to_owned();
    chat::phone(
        words,
        &PhoneScreen {
            id: "preview",
            owner: &or(&given.to, "Phone"),
            peer: &or(&given.from, "Sender"),
            messages: if text.is_empty() {
                html! {}
            } else {
                chat::bubbles(words, &[bubble])
            },
            reply_action: None,
            reply_label: "",
            csrf: "",
        },
    )
}

fn parts_max(visitor: &Visitor) -> u32 {
    visitor.scope.runtime().config.messaging.parts_max
}

/// The text's area. The counter below it follows while one types.
fn text_area(words: &'static Words, text: &str, parts_max: u32, error: Option<&str>) -> Markup {
    let hint = format!(
        "At most {parts_max} parts. A character outside the 7-bit alphabet makes each part 70 characters instead of 160."
    );
    let area = compose::text_field("Text", text).hint(&hint).error(error).required().words(words);
    html! {
        div class="compose" {
            (area)
            div class="compose-count" { (counter(words, text, parts_max)) }
        }
    }
}

fn page(visitor: &Visitor, given: &SendForm, refused: &Refused, forecast: &Markup) -> Content<'static> {
    let words = Words::for_lang(&visitor.person.language);
    let choice = |value, label, hint| Choice { value, label, hint: Some(hint) };
    let intents = [
        choice(
            "transactional",
            "Transactional",
            "An answer to what the person did. Sent again when no answer came.",
        ),
        choice("otp", "One-time code", "Goes first. Sent again while it is valid."),
        choice("marketing", "Marketing", "Goes last. Never sent again when it may have left."),
    ];
    let intent = if given.intent.is_empty() { "transactional" } else { &given.intent };
    let alphabets = ALPHABETS.map(|(value, label)| Choice::new(value, label));
    let open = [
        &given.schedule_at,
        &given.validity_s,
        &given.callback_url,
        &given.client_ref,
        &given.encoding,
        &given.flash,
    ];
    let open = open.iter().any(|text| !text.is_empty())
        || FIELDS[4..].iter().any(|field| refused.at(field).is_some());
    let later = html! {
        div class="fields" {
            (field::datetime("schedule_at", "Send at").value(&given.schedule_at).hint("In UTC; now when left empty").error(refused.at("schedule_at")))
            (field::number("validity_s", "Valid for, seconds").value(&given.validity_s).range("1", "31536000").hint("After that it is worth nothing and is given up").error(refused.at("validity_s")))
            (field::url("callback_url", "Callback URL").value(&given.callback_url).placeholder("https://").hint("Its end is posted there").error(refused.at("callback_url")))
            (field::text("client_ref", "Your reference").value(&given.client_ref).max_chars(100).hint("Shown wherever the message is").error(refused.at("client_ref")))
            (field::select("encoding", "Alphabet", &alphabets).value(&given.encoding).error(refused.at("encoding")))
            (field::checkbox("flash", "Show at once, do not keep").checked(given.flash == "true").hint("Message class 0"))
        }
    };
    let to = field::tel("to", "To")
        .value(&given.to)
        .placeholder("+33612345678")
        .hint("A number in international form, or a short code")
        .error(refused.at("to"))
        .required()
        .words(words);
    // A refusal takes the focus to what is wrong.
    let to = if refused.status() == 200 { to.autofocus() } else { to };
    let fields = html! {
        // Whatever is typed in these shows in the counter and on the phone beside the form.
        div class="fields" hx-post="/send/count" hx-trigger="input delay:200ms" hx-target="find .compose-count"
            hx-swap="innerHTML" hx-include="closest form" {
            (to)
            (field::text("from", "From").value(&given.from).placeholder("ACME").hint("A number, a short code, or a name of at most 11 characters").error(refused.at("from")))
            (text_area(words, &given.text(), parts_max(visitor), refused.at("text")))
            (field::radios("intent", "What it is for", &intents).value(intent).error(refused.at("intent")).wide())
        }
        details class="help" open[open] {
            summary { (icon(Icon::ChevronDown)) span { "Time, validity, callback, reference" } }
            div { (later) }
        }
        (form::actions(&html! {
            (form::submit("Send message").icon(Icon::Send))
            (form::link("Cancel", "/messages").weight(Weight::Quiet))
        }))
    };
    let body = html! {
        (refused.summary(words, &FIELDS))
        (card::split(
            &card::panel(&form::post("/send", "", &fields)),
            &html! {
                div id="phone" { (phone(words, given)) }
                div id="forecast" role="status" { (forecast) }
            },
        ))
    };
    let breadcrumbs = browse::breadcrumbs(words, &[("Messages", "/messages")], "Send");
    Content { breadcrumbs, ..Content::new("Send a message", body) }
}

/// The empty form; the address may bring some of it along: `/send?to=%2B33612345678`.
pub(super) async fn show(
    visitor: Visitor,
    Extract(gateway): Extract<Gateway>,
    web::Query(given): web::Query<SendForm>,
) -> Result<Response, PageProblem> {
    visitor.scope.require(Permission::MessageSend)?;
    let forecast = forecast(&visitor, &gateway, &given.read()).await?;
    Ok(visitor.page(page(&visitor, &given, &Refused::NONE, &forecast)))
}

/// Sends, and leads to the message.
pub(super) async fn send(
    visitor: Visitor,
    Extract(gateway): Extract<Gateway>,
    Form(given): Form<SendForm>,
) -> Result<Response, PageProblem> {
    let sent = match given.read() {
        Ok(message) => submit::send(&visitor.scope, &gateway.engine, &message).await,
        Err(error) => Err(error),
    };
    match sent {
        Ok(accepted) => Ok(console::done(&format!("/messages/{}", accepted.id), "The message is accepted.")),
        Err(error) => {
            let refused = Refused::by(error)?;
            let forecast = forecast(&visitor, &gateway, &given.read()).await?;
            Ok(visitor.page_again(page(&visitor, &given, &refused, &forecast)))
        }
    }
}

/// The counter's answer for what is typed so far, and with it the phone's picture and the forecast.
pub(super) async fn count(
    visitor: Visitor,
    Extract(gateway): Extract<Gateway>,
    Form(given): Form<SendForm>,
) -> Result<Response, PageProblem> {
    visitor.scope.require(Permission::MessageSend)?;
    let words = Words::for_lang(&visitor.person.language);
    let forecast = forecast(&visitor, &gateway, &given.read()).await?;
    let answer = html! {
        (counter(words, &given.text(), parts_max(&visitor)))
        hx-partial hx-target="#phone" hx-swap="innerMorph" { (phone(words, &given)) }
        hx-partial hx-target="#forecast" hx-swap="innerMorph" { (forecast) }
    };
    Ok(Html(answer.into_string()).into_response())
}

/// The form again, its typographic characters replaced by plain ones.
pub(super) async fn replace(
    visitor: Visitor,
    Extract(gateway): Extract<Gateway>,
    Form(given): Form<SendForm>,
) -> Result<Response, PageProblem> {
    visitor.scope.require(Permission::MessageSend)?;
    let given = SendForm { text: analysis::replace(&given.text()).into_owned(), ..given };
    let forecast = forecast(&visitor, &gateway, &given.read()).await?;
    Ok(visitor.page(page(&visitor, &given, &Refused::NONE, &forecast)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use web::ui::words::ENGLISH;

    fn counter_of(text: &str) -> String {
        counter(&ENGLISH, text, 10).into_string()
    }

    #[test]
    fn the_counter_says_what_a_text_costs_and_why() {
        let plain = counter_of("Hello");
        assert!(plain.contains("<dd>GSM 7-bit</dd>") && plain.contains("<dd>155</dd>"), "{plain}");
        assert!(!plain.contains("forcing") && !plain.contains("/send/replace"));
        let arabic = counter_of("مرحبا");
        assert!(arabic.contains("<dd>UCS-2</dd>") && arabic.contains("U+0645"), "{arabic}");
        assert!(!arabic.contains("/send/replace"), "no plain character stands for these");
        assert!(counter_of("").contains("<dd>0</dd>"));
        assert!(counter_of(&"x".repeat(153 * 10 + 1)).contains("too-long"));
    }

    #[test]
    fn plain_characters_are_offered_where_they_save() {
        let text = format!("“{}”", "x".repeat(100));
        let offered = counter_of(&text);
        assert!(offered.contains("/send/replace") && offered.contains("one part less"), "{offered}");
        assert!(!analysis::replace(&text).contains('“'));
    }

    #[test]
    fn a_form_is_read_strictly_and_line_breaks_count_once() {
        let form = SendForm {
            to: "+33612345678".to_owned(),
            text: "a\r\nb".to_owned(),
            schedule_at: "2027-01-31T09:30".to_owned(),
            validity_s: "60".to_owned(),
            ..SendForm::default()
        };
        let read = form.read().unwrap();
        assert_eq!(read.text.as_deref(), Some("a\nb"));
        assert_eq!(read.schedule_at, Some(Timestamp::parse("2027-01-31T09:30:00Z").unwrap()));
        assert_eq!((read.validity_s, read.from, read.intent), (Some(60), None, None));
        for (field, wrong) in [
            ("schedule_at", SendForm { schedule_at: "soon".to_owned(), ..form.clone() }),
            ("validity_s", SendForm { validity_s: "-1".to_owned(), ..form.clone() }),
            ("intent", SendForm { intent: "spam".to_owned(), ..form }),
        ] {
            assert_eq!(wrong.read().unwrap_err().place(), Some(field));
        }
    }
}
