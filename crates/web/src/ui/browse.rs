//! What stands around a list: filters, pages, tabs, breadcrumbs, actions on many rows.

use crate::ui::{
    field,
    icon::{Icon, icon},
    words::Words,
};
use maud::{Markup, html};

/// A filter in force: what it says, and the address of the page without it.
#[derive(Debug, Clone)]
pub struct ActiveFilter {
    /// `Status: failed`.
    pub label: String,
    /// The page without this filter.
    pub remove_href: String,
}

/// Filters above a list: a GET form to the list's own address. `fields` are mostly with
/// [`field::Field::label_hidden`] off and short; the active ones stand below as pills that take them away.
#[must_use]
pub fn filter_bar(words: &Words, action: &str, fields: &Markup, active: &[ActiveFilter]) -> Markup {
    html! {
        search class="filters" {
            form method="get" action=(action) {
                (fields)
                button type="submit" class="button" { (icon(Icon::Filter)) span { (words.filter) } }
            }
            @if !active.is_empty() {
                ul class="active-filters" {
                    @for filter in active {
                        li {
                            a class="chip" href=(filter.remove_href) {
                                span class="visually-hidden" { (words.remove_filter) " " }
                                (filter.label) (icon(Icon::Cross))
                            }
                        }
                    }
                    li { a href=(action) { (words.clear_filters) } }
                }
            }
        }
    }
}

/// A search box that stands alone above a list.
#[must_use]
pub fn search_form(action: &str, label: &str, value: &str) -> Markup {
    html! {
        search {
            form class="search" method="get" action=(action) {
                (icon(Icon::Search))
                (field::search("q", label).id("search").value(value).placeholder(label).label_hidden())
            }
        }
    }
}

/// Links to the pages beside this one, by cursor; nothing when there are none. `summary` says what is shown,
/// such as `50 of about 12 000`.
#[must_use]
pub fn pager(words: &Words, newer: Option<&str>, older: Option<&str>, summary: &str) -> Markup {
    html! {
        @if newer.is_some() || older.is_some() || !summary.is_empty() {
            nav class="pager" aria-label=(words.pages) {
                span class="summary" { (summary) }
                @if let Some(href) = newer {
                    a class="button small" rel="prev" href=(href) { span class="back" { (icon(Icon::ChevronForward)) } (words.newer) }
                }
                @if let Some(href) = older {
                    a class="button small" rel="next" href=(href) { (words.older) (icon(Icon::ChevronForward)) }
                }
            }
        }
    }
}

/// One of several views of the same thing.
#[derive(Debug, Clone, Copy)]
pub struct Tab<'a> {
    /// What it shows.
    pub label: &'a str,
    /// Its address.
    pub href: &'a str,
    /// How many things are in it.
    pub count: Option<u64>,
    /// Whether the page shows it.
    pub current: bool,
}

/// Views of the same thing, each with an address of its own. Saved views of a list are tabs too.
#[must_use]
pub fn tabs(label: &str, tabs: &[Tab<'_>]) -> Markup {
    html! {
        nav class="tabs" aria-label=(label) {
            ul {
                @for tab in tabs {
                    li {
                        a href=(tab.href) aria-current=[tab.current.then_some("page")] {
                            (tab.label)
                            @if let Some(count) = tab.count { " " span class="count" { (count) } }
                        }
                    }
                }
            }
        }
    }
}

/// The way down to this page: pairs of label and address; the last, this page, is not a link.
#[must_use]
pub fn breadcrumbs(words: &Words, above: &[(&str, &str)], here: &str) -> Markup {
    html! {
        nav class="breadcrumbs" aria-label=(words.breadcrumbs) {
            ol {
                @for (label, href) in above {
                    li { a href=(href) { (label) } (icon(Icon::ChevronForward)) }
                }
                li { span aria-current="page" { (here) } }
            }
        }
    }
}

/// Buttons that act on the selected rows. Without a selection script hides it; without script it stays.
#[must_use]
pub fn bulk_bar(words: &Words, buttons: &Markup) -> Markup {
    html! {
        div class="bulk" data-bulk role="group" aria-label=(words.selected) {
            span class="js-only" { output data-bulk-count { "0" } " " (words.selected) }
            (buttons)
        }
    }
}

/// A row of buttons and small forms beside a heading or above a list.
#[must_use]
pub fn toolbar(inner: &Markup) -> Markup {
    html! { div class="toolbar" { (inner) } }
}
