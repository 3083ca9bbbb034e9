//! A conversation as a phone shows it.

use crate::ui::{
    form,
    icon::{Icon, icon},
    words::Words,
};
use maud::{Markup, html};

/// One message on the screen.
#[derive(Debug, Clone)]
pub struct Bubble<'a> {
    /// Whether the phone's owner wrote it.
    pub mine: bool,
    /// What it says; any text, any direction.
    pub text: &'a str,
    /// When: mostly a [`time`](crate::ui::timeline::time).
    pub time: Markup,
    /// What became of it: a badge or a word; `html! {}` for nothing.
    pub state: Markup,
}

/// Messages from oldest to newest.
#[must_use]
pub fn bubbles(words: &Words, messages: &[Bubble<'_>]) -> Markup {
    html! {
        ol class="bubbles" {
            @for message in messages {
                li class=(if message.mine { "mine" } else { "theirs" }) {
                    span class="visually-hidden" { (if message.mine { words.sent } else { words.received }) ": " }
                    p dir="auto" { (message.text) }
                    div class="bubble-foot" { (message.time) (message.state) }
                }
            }
        }
    }
}

/// What a phone shows.
#[derive(Debug, Clone)]
pub struct PhoneScreen<'a> {
    /// Unique on the page.
    pub id: &'a str,
    /// The phone's own number or name.
    pub owner: &'a str,
    /// Who it talks to.
    pub peer: &'a str,
    /// [`bubbles`], or a [`live`](crate::ui::live::live) region around them.
    pub messages: Markup,
    /// Where the reply form posts field `text`; `None` for a phone that only looks.
    pub reply_action: Option<&'a str>,
    /// Label of the reply's text.
    pub reply_label: &'a str,
    /// The session's token.
    pub csrf: &'a str,
}

/// A phone with its conversation and reply form.
#[must_use]
pub fn phone(words: &Words, screen: &PhoneScreen<'_>) -> Markup {
    html! {
        div class="phone" {
            div class="phone-head" {
                span class="phone-owner" { bdi dir="ltr" { (screen.owner) } }
                h2 id={ (screen.id) "-title" } { bdi { (screen.peer) } }
            }
            div class="phone-screen" tabindex="0" role="region" aria-labelledby={ (screen.id) "-title" } data-scroll-end {
                (screen.messages)
            }
            @if let Some(action) = screen.reply_action {
                form method="post" action=(action) {
                    (form::token(screen.csrf))
                    label for={ (screen.id) "-reply" } class="visually-hidden" { (screen.reply_label) }
                    textarea id={ (screen.id) "-reply" } name="text" rows="1" dir="auto" required placeholder=(screen.reply_label) {}
                    button type="submit" class="button primary icon-only" title=(words.send) {
                        (icon(Icon::Send)) span class="visually-hidden" { (words.send) }
                    }
                }
            }
        }
    }
}
