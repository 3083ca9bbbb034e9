//! What the console says about itself: done, failed, empty, waiting.

use crate::ui::{
    icon::{Icon, icon},
    tone::Tone,
};
use maud::{Markup, html};

/// A sentence for the top of the next page, such as `Route saved.`
#[derive(Debug, Clone, Copy)]
pub struct Flash<'a> {
    /// How it went.
    pub tone: Tone,
    /// What happened.
    pub text: &'a str,
}

fn picture(tone: Tone) -> Icon {
    match tone {
        Tone::Good => Icon::Check,
        Tone::Warn | Tone::Bad => Icon::Warning,
        Tone::Neutral | Tone::Info | Tone::Accent => Icon::Info,
    }
}

/// A note in the flow of a page.
#[must_use]
pub fn notice(tone: Tone, title: &str, body: &Markup) -> Markup {
    html! {
        div class="notice" data-tone=(tone.name()) {
            (icon(picture(tone)))
            div { strong { (title) } div { (body) } }
        }
    }
}

/// For an htmx answer: shows a toast, and has it read out by the page's `role="status"` region.
/// Put it beside the fragment in the same answer.
#[must_use]
pub fn toast(tone: Tone, text: &str) -> Markup {
    html! { hx-partial hx-target="#status" hx-swap="beforeend" { (toast_item(tone, text)) } }
}

pub(crate) fn toast_item(tone: Tone, text: &str) -> Markup {
    html! { div class="toast" data-tone=(tone.name()) { (icon(picture(tone))) span { (text) } } }
}

/// Nothing here yet: why, and what to do next (`action` is a button, or `html! {}`).
#[must_use]
pub fn empty(picture: Icon, title: &str, text: &str, action: &Markup) -> Markup {
    html! {
        div class="empty" {
            span class="empty-icon" { (icon(picture)) }
            h2 { (title) }
            p { (text) }
            (action)
        }
    }
}

/// A part of a page that could not be made; the rest of the page stands. `retry` is an address.
#[must_use]
pub fn failed(title: &str, text: &str, retry: Option<(&str, &str)>) -> Markup {
    html! {
        div class="empty" data-tone="bad" role="alert" {
            span class="empty-icon" { (icon(Icon::Warning)) }
            h2 { (title) }
            p { (text) }
            @if let Some((label, href)) = retry { a class="button" href=(href) { (icon(Icon::Refresh)) span { (label) } } }
        }
    }
}

/// An explanation that opens on demand.
#[must_use]
pub fn help(question: &str, answer: &Markup) -> Markup {
    html! { details class="help" { summary { (icon(Icon::Info)) span { (question) } } div { (answer) } } }
}

/// How far something is: `done` of `total`; without a total it is under way. `shown` says it in words.
#[must_use]
pub fn progress(label: &str, done: u64, total: Option<u64>, shown: &str) -> Markup {
    html! {
        div class="progress" {
            span class="progress-label" aria-hidden="true" { (label) }
            span class="progress-shown" { (shown) }
            progress aria-label=(label) value=[total.map(|total| done.min(total))] max=[total.map(|total| total.max(1))] {
                (shown)
            }
        }
    }
}
