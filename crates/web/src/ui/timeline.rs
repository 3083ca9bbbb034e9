//! What happened, in order, and moments in time.

use crate::ui::tone::Tone;
use maud::{Markup, html};

/// One thing that happened.
#[derive(Debug, Clone)]
pub struct Event<'a> {
    /// When: a [`time`] or a duration.
    pub time: Markup,
    /// What, in a few words.
    pub title: &'a str,
    /// More about it; `html! {}` for nothing.
    pub detail: Markup,
    /// How it went.
    pub tone: Tone,
}

/// What happened, from first to last or the other way round, as the caller orders it.
#[must_use]
pub fn timeline(events: &[Event<'_>]) -> Markup {
    html! {
        ol class="timeline" {
            @for event in events {
                li data-tone=(event.tone.name()) {
                    span class="event-time" { (event.time) }
                    span class="event-title" { (event.title) }
                    div class="event-detail" { (event.detail) }
                }
            }
        }
    }
}

/// A moment. `rfc3339` is for machines, `shown` is how the reader's language and time zone write it.
#[must_use]
pub fn time(rfc3339: &str, shown: &str) -> Markup {
    html! { time datetime=(rfc3339) { (shown) } }
}

/// A moment that script shows as “3 minutes ago” and keeps up to date; `shown` stays as its tooltip.
#[must_use]
pub fn relative_time(rfc3339: &str, shown: &str) -> Markup {
    html! { time datetime=(rfc3339) data-relative title=(shown) { (shown) } }
}
