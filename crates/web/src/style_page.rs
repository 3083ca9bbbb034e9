//! The living style page: every component in every state.

use crate::ui::layout::{self, Dir, Page, Theme};
use maud::{Markup, html};

/// The style page.
#[must_use]
pub fn page(dir: Dir, theme: Theme) -> Markup {
    let lang = if dir == Dir::Rtl { "ar" } else { "en" };
    layout::page(&Page { dir, theme, lang, ..Page::new("Style", html! {}) })
}
