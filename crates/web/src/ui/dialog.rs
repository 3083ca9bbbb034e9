//! Modal dialogs, opened by [`form::opens`](crate::ui::form::opens) and closed by Escape, their own button or
//! a click beside them.

use crate::ui::{
    form::{self, Weight},
    icon::{Icon, icon},
    words::Words,
};
use maud::{Markup, html};

/// A dialog of this id. `body` holds its form; a form with `method="dialog"` closes it.
#[must_use]
pub fn dialog(words: &Words, id: &str, title: &str, body: &Markup) -> Markup {
    html! {
        dialog id=(id) aria-labelledby={ (id) "-title" } closedby="any" {
            header {
                h2 id={ (id) "-title" } { (title) }
                button type="button" class="button quiet icon-only" commandfor=(id) command="close" title=(words.close) {
                    (icon(Icon::Cross)) span class="visually-hidden" { (words.close) }
                }
            }
            div class="dialog-body" { (body) }
        }
    }
}

/// What a [`confirm`] asks and does.
#[derive(Debug, Clone, Copy)]
pub struct Confirm<'a> {
    /// Unique on the page.
    pub id: &'a str,
    /// The button on the page: `Delete route…`.
    pub button: &'a str,
    /// The question: `Delete this route?`.
    pub title: &'a str,
    /// What will happen, and whether it can be undone.
    pub text: &'a str,
    /// The button that does it, with the verb: `Delete route`.
    pub confirm: &'a str,
    /// Where it posts.
    pub action: &'a str,
    /// The session's token.
    pub csrf: &'a str,
    /// Whether it destroys something.
    pub danger: bool,
}

/// A button that asks before it posts.
#[must_use]
pub fn confirm(words: &Words, ask: &Confirm<'_>) -> Markup {
    let weight = if ask.danger { Weight::Danger } else { Weight::Primary };
    html! {
        button type="button" class=(if ask.danger { "button danger" } else { "button" }) aria-haspopup="dialog"
            commandfor=(ask.id) command="show-modal" { (ask.button) }
        (dialog(words, ask.id, ask.title, &html! {
            p { (ask.text) }
            form method="post" action=(ask.action) class="actions" {
                (form::token(ask.csrf))
                button type="submit" class=(weight.class()) { (ask.confirm) }
                button type="button" class="button" commandfor=(ask.id) command="close" autofocus { (words.cancel) }
            }
        }))
    }
}
