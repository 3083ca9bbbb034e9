//! Cards, figures and lists of facts.

use crate::ui::{
    chart,
    icon::{Icon, icon},
    tone::Tone,
};
use maud::{Markup, html};

/// A titled part of a page. `actions` stand beside the title; `html! {}` for none.
#[must_use]
pub fn card(title: &str, actions: &Markup, body: &Markup) -> Markup {
    html! {
        section class="card" {
            header { h2 { (title) } div class="toolbar" { (actions) } }
            div class="card-body" { (body) }
        }
    }
}

/// A card without a title.
#[must_use]
pub fn panel(body: &Markup) -> Markup {
    html! { div class="card" { div class="card-body" { (body) } } }
}

/// Cards side by side where there is room.
#[must_use]
pub fn grid(cards: &Markup) -> Markup {
    html! { div class="grid" { (cards) } }
}

/// A main column and a narrow one beside it, below it on a phone.
#[must_use]
pub fn split(main: &Markup, aside: &Markup) -> Markup {
    html! { div class="split" { div { (main) } div { (aside) } } }
}

/// One figure.
#[derive(Debug, Clone, Copy, Default)]
pub struct Stat<'a> {
    /// What is counted.
    pub label: &'a str,
    /// The figure as people read it: `12 480`, `99.2 %`.
    pub value: &'a str,
    /// What it is a part of or compared with: `of 20 000`, `+4 % since yesterday`.
    pub note: Option<&'a str>,
    /// The mood of the note.
    pub tone: Tone,
    /// Where the figure is explained.
    pub href: Option<&'a str>,
    /// The last values, oldest first; empty for no line.
    pub trend: &'a [f64],
}

/// Figures side by side.
#[must_use]
pub fn stats(stats: &[Stat<'_>]) -> Markup {
    html! {
        dl class="stats" {
            @for stat in stats {
                div class="stat" data-tone=(stat.tone.name()) {
                    dt { @match stat.href {
                        Some(href) => a href=(href) { (stat.label) },
                        None => (stat.label),
                    } }
                    dd {
                        span class="figure" { (stat.value) }
                        @if let Some(note) = stat.note { span class="note" { (note) } }
                        @if stat.trend.len() > 1 { (chart::trend(stat.trend)) }
                    }
                }
            }
        }
    }
}

/// Facts about one thing: pairs of name and value.
#[must_use]
pub fn facts(pairs: &[(&str, Markup)]) -> Markup {
    html! {
        dl class="facts" {
            @for (name, value) in pairs {
                div { dt { (name) } dd { (value) } }
            }
        }
    }
}

/// A large choice among few: a link with a picture, a title and a sentence.
#[must_use]
pub fn choice(href: &str, picture: Icon, title: &str, text: &str) -> Markup {
    html! {
        a class="card choice-card" href=(href) {
            span class="choice-icon" { (icon(picture)) }
            span class="choice-text" { strong { (title) } span { (text) } }
            (icon(Icon::ChevronForward))
        }
    }
}
