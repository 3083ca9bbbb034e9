//! Regions that refresh themselves.
//!
//! One stream per tab: [`layout::Page::live_url`](crate::ui::layout::Page::live_url) names an SSE endpoint, and the
//! layout opens it. The server sends named events and no business data:
//!
//! ```text
//! id: 81726
//! event: messages
//! data:
//! ```
//!
//! The event's name is a topic. Every region on the page that was made with that topic then fetches its own
//! address again and morphs the answer into itself, so that focus, selection and scroll stay. Topics are
//! words of letters, digits, `-`, `_`, `.` and `:` (`messages`, `conversation:42`). A region that asked for
//! `conversation` hears `conversation:42` too, and one that asked for `conversation:42` hears `conversation`, which
//! stands for many at once.
//!
//! - Events are gathered: a region asks at most once a second, and once more after the last event.
//! - The event `reload` refreshes every region; send it when a client's queue overflowed.
//! - `id` comes back as `Last-Event-ID` after a reconnect, so that nothing is missed.
//! - While the stream is down, or where a page has none, every region asks every 15 seconds.
//! - A hidden tab closes its stream and catches up when it is seen again.
//! - An event without a name may carry `<hx-partial>` elements and is swapped in as it is.
//!
//! The region's address answers the same markup as the `inner` that the page was made with: call one function
//! for both.

use maud::{Markup, html};

/// A region that fetches `url` again whenever one of `topics` changes. `id` is unique on the page and the same
/// each time.
#[must_use]
pub fn live(id: &str, url: &str, topics: &[&str], inner: &Markup) -> Markup {
    html! {
        div id=(id) class="live" data-live=(topics.join(" ")) hx-get=(url) hx-trigger="sb:refresh" hx-swap="innerMorph" { (inner) }
    }
}

/// A region that loads its content after the page, such as a slow report. `waiting` stands there until then.
#[must_use]
pub fn lazy(id: &str, url: &str, waiting: &Markup) -> Markup {
    html! { div id=(id) class="lazy" hx-get=(url) hx-trigger="load" hx-swap="innerHTML" { (waiting) } }
}

/// The page's stream, put into each page by the layout.
pub(crate) fn stream(url: &str) -> Markup {
    html! { div id="stream" hidden hx-sse:connect=(url) hx-trigger="load, sb:connect" hx-swap="none" {} }
}
