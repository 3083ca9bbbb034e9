//! Badges: a shape, a colour and a word.

use crate::ui::{
    icon::{Icon, icon},
    tone::Tone,
};
use maud::{Markup, html};

/// A word with a tone, for states of any kind.
#[must_use]
pub fn badge(tone: Tone, label: &str) -> Markup {
    html! { span class="badge" data-tone=(tone.name()) { (label) } }
}

/// A badge with a picture.
#[must_use]
pub fn badge_icon(tone: Tone, picture: Icon, label: &str) -> Markup {
    html! { span class="badge" data-tone=(tone.name()) { (icon(picture)) (label) } }
}

/// A tag that people gave.
#[must_use]
pub fn tag(label: &str) -> Markup {
    html! { span class="chip" { (label) } }
}

/// The state of a message. `state` is the API's word (`delivered`), `label` the reader's; a state that this
/// version does not know is shown as it is, without a picture.
#[must_use]
pub fn message_state(state: &str, label: &str) -> Markup {
    let (tone, picture) = match state {
        "accepted" => (Tone::Neutral, Icon::Inbox),
        "scheduled" => (Tone::Neutral, Icon::Clock),
        "queued" => (Tone::Info, Icon::List),
        "sent" => (Tone::Info, Icon::Send),
        "delivered" => (Tone::Good, Icon::Check),
        "failed" => (Tone::Bad, Icon::Cross),
        "rejected" => (Tone::Bad, Icon::Shield),
        "expired" => (Tone::Warn, Icon::Clock),
        "cancelled" => (Tone::Neutral, Icon::Cross),
        "indeterminate" => (Tone::Warn, Icon::Warning),
        _ => return badge(Tone::Neutral, label),
    };
    badge_icon(tone, picture, label)
}

/// The states that [`message_state`] knows.
pub const MESSAGE_STATES: [&str; 10] = [
    "accepted",
    "scheduled",
    "queued",
    "sent",
    "delivered",
    "failed",
    "rejected",
    "expired",
    "cancelled",
    "indeterminate",
];

/// The state of a connection: `bound`, `binding`, `stopped`, `draining`, `throttled` or `down`; another one is
/// shown as it is.
#[must_use]
pub fn connection_state(state: &str, label: &str) -> Markup {
    let (tone, picture) = match state {
        "bound" => (Tone::Good, Icon::Plug),
        "binding" => (Tone::Info, Icon::Refresh),
        "stopped" => (Tone::Neutral, Icon::Pause),
        "draining" => (Tone::Info, Icon::ArrowDown),
        "throttled" => (Tone::Warn, Icon::Clock),
        "down" => (Tone::Bad, Icon::Cross),
        _ => return badge(Tone::Neutral, label),
    };
    badge_icon(tone, picture, label)
}

/// The states that [`connection_state`] knows.
pub const CONNECTION_STATES: [&str; 6] = ["bound", "binding", "stopped", "draining", "throttled", "down"];
