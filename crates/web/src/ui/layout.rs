//! The whole document around a page's content.

use crate::{
    accent,
    access::Brand,
    assets,
    ui::{
        badge,
        feedback::{self, Flash},
        form::{CSRF_FIELD, CSRF_HEADER},
        icon::{Icon, icon, logo},
        live,
        tone::Tone,
        words::Words,
    },
};
use maud::{DOCTYPE, Markup, html};
use types::Timestamp;

/// The name that the console goes by.
const PRODUCT: &str = "Switchboard";

/// Which way the page reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Dir {
    /// Left to right.
    #[default]
    Ltr,
    /// Right to left.
    Rtl,
}

impl Dir {
    /// How the page's language reads.
    #[must_use]
    pub fn of_lang(tag: &str) -> Dir {
        match tag.split(['-', '_']).next() {
            Some("ar" | "fa" | "he" | "ur") => Dir::Rtl,
            _ => Dir::Ltr,
        }
    }

    fn attribute(self) -> &'static str {
        match self {
            Dir::Ltr => "ltr",
            Dir::Rtl => "rtl",
        }
    }
}

/// Light or dark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Theme {
    /// As the reader's system says.
    #[default]
    Auto,
    /// Light whatever the system says.
    Light,
    /// Dark whatever the system says.
    Dark,
}

/// The cookie in which script keeps the reader's theme, so that the next page comes in it without a flash.
pub const THEME_COOKIE: &str = "theme";

impl Theme {
    /// The theme of a [`THEME_COOKIE`]'s value; automatic when absent or unknown.
    #[must_use]
    pub fn from_cookie(value: Option<&str>) -> Theme {
        match value {
            Some("light") => Theme::Light,
            Some("dark") => Theme::Dark,
            _ => Theme::Auto,
        }
    }

    fn attribute(self) -> Option<&'static str> {
        match self {
            Theme::Auto => None,
            Theme::Light => Some("light"),
            Theme::Dark => Some("dark"),
        }
    }
}

/// The cookie in which script keeps the groups of the navigation that the reader has open: their [`NavGroup::key`]s, with dots
/// between them.
pub const NAV_COOKIE: &str = "nav";

/// A titled group of the navigation, which folds.
#[derive(Debug, Clone)]
pub struct NavGroup<'a> {
    /// Its title; empty for none.
    pub label: &'a str,
    /// Whether its links are shown.
    pub open: bool,
    /// Its links.
    pub items: Vec<NavItem<'a>>,
}

impl NavGroup<'_> {
    /// What [`NAV_COOKIE`] calls it.
    #[must_use]
    pub fn key(&self) -> String {
        self.label.to_lowercase().replace(|letter: char| !letter.is_alphanumeric(), "-")
    }
}

/// A link of the navigation and the command palette.
#[derive(Debug, Clone, Copy)]
pub struct NavItem<'a> {
    /// What the page is called.
    pub label: &'a str,
    /// Its address; the one equal to [`Page::current`] is marked.
    pub href: &'a str,
    /// Its picture.
    pub icon: Icon,
    /// The letter that goes there after `g`.
    pub key: Option<char>,
    /// How many things wait there.
    pub count: Option<u64>,
}

/// Who is signed in.
#[derive(Debug, Clone, Copy)]
pub struct UserMenu<'a> {
    /// The user's name.
    pub name: &'a str,
    /// What is shown below it: address or role.
    pub detail: &'a str,
    /// Own pages: pairs of label and address.
    pub links: &'a [(&'a str, &'a str)],
    /// Where signing out posts.
    pub sign_out: &'a str,
    /// The session's token, also sent with each htmx request.
    pub csrf: &'a str,
}

/// Somebody acts as the user: a bar on every page says so and ends it.
#[derive(Debug, Clone, Copy)]
pub struct Acting<'a> {
    /// The name of the user as whom they act.
    pub whose: &'a str,
    /// Their own name.
    pub by: &'a str,
    /// Until when.
    pub until: Timestamp,
    /// Where stopping posts.
    pub stop: &'a str,
}

/// A page of the console.
#[derive(Debug, Clone)]
pub struct Page<'a> {
    /// The page's name: its `h1`, and the start of the window's title.
    pub title: &'a str,
    /// BCP 47 tag; it also decides the components' own words.
    pub lang: &'a str,
    /// Mostly [`Dir::of_lang`].
    pub dir: Dir,
    /// Mostly [`Theme::from_cookie`].
    pub theme: Theme,
    /// Whose data these are, shown beside the product's name.
    pub tenant: Option<&'a str>,
    /// How that tenant looks.
    pub brand: Option<&'a Brand>,
    /// The navigation.
    pub nav: &'a [NavGroup<'a>],
    /// The [`NavItem::href`] that this page belongs to.
    pub current: &'a str,
    /// Who is signed in.
    pub user: Option<UserMenu<'a>>,
    /// Who acts as that user, where it is not they themselves.
    pub acting: Option<Acting<'a>>,
    /// Languages to choose from: label, address that switches, whether it is this one.
    pub languages: &'a [(&'a str, &'a str, bool)],
    /// A sentence about what was just done.
    pub flash: Option<Flash<'a>>,
    /// The SSE address for this page's [`live`] regions.
    pub live_url: Option<&'a str>,
    /// Breadcrumbs above the title; `html! {}` for none.
    pub breadcrumbs: Markup,
    /// Buttons beside the title; `html! {}` for none.
    pub actions: Markup,
    /// The content.
    pub body: Markup,
    /// The last line: version, links.
    pub footer: Markup,
}

impl Page<'_> {
    /// A page with nothing but a title and content, in English; fill in the rest with `..`.
    #[must_use]
    pub fn new(title: &str, body: Markup) -> Page<'_> {
        Page {
            title,
            lang: "en",
            dir: Dir::Ltr,
            theme: Theme::Auto,
            tenant: None,
            brand: None,
            nav: &[],
            current: "",
            user: None,
            acting: None,
            languages: &[],
            flash: None,
            live_url: None,
            breadcrumbs: Markup::default(),
            actions: Markup::default(),
            body,
            footer: Markup::default(),
        }
    }
}

/// A whole page with header and navigation.
#[must_use]
pub fn page(page: &Page<'_>) -> Markup {
    let words = Words::for_lang(page.lang);
    document(
        page,
        &html! {
            a class="skip" href="#main" { (words.skip_to_content) }
            (top(page, words))
            @if let Some(acting) = &page.acting { (acting_bar(acting, words)) }
            div class="shell" {
                @if !page.nav.is_empty() { (navigation(page, words)) }
                main id="main" tabindex="-1" {
                    (page.breadcrumbs)
                    div class="page-head" {
                        h1 { (page.title) }
                        div class="toolbar" { (page.actions) }
                    }
                    @if let Some(flash) = page.flash {
                        div class="flash" { (feedback::toast_item(flash.tone, flash.text)) }
                    }
                    (page.body)
                }
            }
                div id="status" role="status" aria-live="polite" data-dismiss=(words.dismiss) {}
            @if let Some(url) = page.live_url {
                p id="stream-down" class="stream-down" hidden { (words.live_paused) }
                (live::stream(url))
            }
            (palette(words))
            (shortcuts(page, words))
        },
    )
}

/// A page without navigation: signing in, choosing a tenant, reading a public notice.
#[must_use]
pub fn bare(page: &Page<'_>) -> Markup {
    let words = Words::for_lang(page.lang);
    document(
        page,
        &html! {
            a class="skip" href="#main" { (words.skip_to_content) }
            div class="bare" {
                header class="bare-head" {
                    (mark(page)) span class="product" { (PRODUCT) }
                    @if let Some(tenant) = page.tenant { span class="tenant" { (tenant) } }
                }
                main id="main" tabindex="-1" class="card" {
                    h1 { (page.title) }
                    @if let Some(flash) = page.flash {
                        div class="flash" { (feedback::toast_item(flash.tone, flash.text)) }
                    }
                    (page.body)
                }
                footer class="foot" { (page.footer) (language_links(page, words)) }
            }
            div id="status" role="status" aria-live="polite" data-dismiss=(words.dismiss) {}
        },
    )
}

/// What went wrong with a request, for people.
#[derive(Debug, Clone, Copy)]
pub struct ErrorPage<'a> {
    /// HTTP status.
    pub status: u16,
    /// What happened: `This page does not exist`.
    pub title: &'a str,
    /// Why.
    pub detail: &'a str,
    /// What to do now.
    pub hint: &'a str,
    /// The id under which the logs know the request.
    pub request_id: &'a str,
    /// The way out: label and address.
    pub way_out: Option<(&'a str, &'a str)>,
    /// BCP 47 tag.
    pub lang: &'a str,
    /// Which way it reads.
    pub dir: Dir,
    /// Light or dark.
    pub theme: Theme,
}

/// A whole page that says what went wrong.
#[must_use]
pub fn error_page(error: &ErrorPage<'_>) -> Markup {
    let words = Words::for_lang(error.lang);
    let tone = if error.status >= 500 { Tone::Bad } else { Tone::Warn };
    let body = html! {
        p class="error-status" { (badge::badge_icon(tone, Icon::Warning, &error.status.to_string())) }
        p { (error.detail) }
        @if !error.hint.is_empty() { p { strong { (error.hint) } } }
        @if let Some((label, href)) = error.way_out {
            div class="actions" { a class="button primary" href=(href) { (label) } }
        }
        p class="hint" { (words.request_id) " " code dir="ltr" { (error.request_id) } }
    };
    bare(&Page { lang: error.lang, dir: error.dir, theme: error.theme, ..Page::new(error.title, body) })
}

/// The tenant's logo, or ours. Its name stands beside it as text.
fn mark(page: &Page<'_>) -> Markup {
    match page.brand.and_then(|brand| brand.logo.as_deref()) {
        Some(address) => html! { img class="brand-logo" src=(address) alt="" height="28"; },
        None => logo(),
    }
}

fn document(page: &Page<'_>, body: &Markup) -> Markup {
    let Page { lang, dir, theme, title, .. } = *page;
    let csrf = page.user.map(|user| user.csrf);
    let accent = page.brand.and_then(|brand| brand.accent.as_deref());
    html! {
        (DOCTYPE)
        html lang=(lang) dir=(dir.attribute()) data-theme=[theme.attribute()] {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content=(theme.attribute().unwrap_or("light dark"));
                meta name="htmx-config" content=(HTMX_CONFIG);
                title { (title) " · " (PRODUCT) }
                link rel="icon" type="image/svg+xml" href=(assets::url("favicon.svg"));
                link rel="stylesheet" href=(assets::url("switchboard.css"));
                @if let Some(accent) = accent { link rel="stylesheet" href=(accent::url(accent)); }
                @for script in SCRIPTS { script src=(assets::url(script)) defer {} }
            }
            // Inherited by every element below: htmx sends the token with each request.
            body hx-headers:inherited=[csrf.map(|token| format!("{{\"{CSRF_HEADER}\":\"{token}\"}}"))] { (body) }
        }
    }
}

const SCRIPTS: [&str; 3] = ["htmx-4.0.1.min.js", "hx-sse-4.0.1.min.js", "switchboard.js"];

/// A morph leaves open what the reader opened.
const HTMX_CONFIG: &str = r#"{"morphIgnore":["data-htmx-powered","open"]}"#;

fn top(page: &Page<'_>, words: &Words) -> Markup {
    html! {
        header class="top" {
            @if !page.nav.is_empty() {
                button type="button" class="button quiet icon-only nav-toggle" popovertarget="nav" title=(words.menu) {
                    (icon(Icon::Menu)) span class="visually-hidden" { (words.menu) }
                }
            }
            a class="brand" href="/" { (mark(page)) span class="product" { (PRODUCT) } }
            @if let Some(tenant) = page.tenant { span class="tenant" { (tenant) } }
            span class="spring" {}
            button type="button" class="button palette-button js-only" commandfor="palette" command="show-modal" aria-haspopup="dialog" {
                (icon(Icon::Search)) span { (words.commands) } kbd aria-hidden="true" { "Ctrl K" }
            }
            @if let Some(user) = &page.user { (account(page, user, words)) }
        }
    }
}

/// A landmark of its own, so that a screen reader finds it too.
fn acting_bar(acting: &Acting<'_>, words: &Words) -> Markup {
    html! {
        section class="acting" aria-label=(words.acting) {
            (icon(Icon::Warning))
            p {
                strong { (words.acting) " " bdi { (acting.whose) } }
                span { " (" bdi { (acting.by) } ") · " (words.acting_until) " " (clock_time(acting.until)) }
            }
            form method="post" action=(acting.stop) {
                button type="submit" class="button" { (icon(Icon::Exit)) span { (words.acting_stop) } }
            }
        }
    }
}

fn clock_time(at: Timestamp) -> Markup {
    html! { time datetime=(at.to_string()) dir="ltr" { (at.to_minute()) } }
}

fn account(page: &Page<'_>, user: &UserMenu<'_>, words: &Words) -> Markup {
    html! {
        details class="menu account" {
            summary class="button quiet" title=(words.account) {
                span class="avatar" aria-hidden="true" { (initials(user.name)) }
                span class="account-name" { (user.name) }
                (icon(Icon::ChevronDown))
            }
            div class="menu-panel" {
                p class="menu-head" { strong { (user.name) } span { (user.detail) } }
                ul {
                    @for (label, href) in user.links { li { a href=(href) { (label) } } }
                }
                (theme_choice(page.theme, words))
                (language_links(page, words))
                button type="button" class="button quiet js-only" commandfor="keys" command="show-modal" aria-haspopup="dialog" {
                    (icon(Icon::Keyboard)) span { (words.shortcuts) } kbd aria-hidden="true" { "?" }
                }
                form method="post" action=(user.sign_out) {
                    input type="hidden" name=(CSRF_FIELD) value=(user.csrf);
                    button type="submit" class="button quiet" { (icon(Icon::Exit)) span { (words.sign_out) } }
                }
            }
        }
    }
}

/// At most two letters, of the first and the last word.
fn initials(name: &str) -> String {
    let mut words =
        name.split_whitespace().filter_map(|word| word.chars().find(|letter| letter.is_alphanumeric()));
    let first = words.next();
    first.into_iter().chain(words.next_back()).flat_map(char::to_uppercase).collect()
}

fn theme_choice(now: Theme, words: &Words) -> Markup {
    let choices =
        [(Theme::Auto, words.theme_auto), (Theme::Light, words.theme_light), (Theme::Dark, words.theme_dark)];
    html! {
        fieldset class="segments js-only" data-theme-choice {
            legend { (words.theme) }
            @for (theme, label) in choices {
                @let value = theme.attribute().unwrap_or("auto");
                input type="radio" name="theme-choice" id={ "theme-" (value) } value=(value) checked[theme == now];
                label for={ "theme-" (value) } { (label) }
            }
        }
    }
}

fn language_links(page: &Page<'_>, words: &Words) -> Markup {
    html! {
        @if !page.languages.is_empty() {
            nav class="languages" aria-label=(words.language) {
                @for (label, href, current) in page.languages {
                    a href=(href) aria-current=[current.then_some("true")] { (label) }
                }
            }
        }
    }
}

// A popover, so that the phone's menu opens and closes without script; on a wide screen the stylesheet lays the
// same element out beside the page.
fn navigation(page: &Page<'_>, words: &Words) -> Markup {
    html! {
        nav id="nav" class="nav" popover aria-label=(words.main_navigation) {
            button type="button" class="button quiet icon-only nav-close" popovertarget="nav" popovertargetaction="hide" title=(words.close) {
                (icon(Icon::Cross)) span class="visually-hidden" { (words.close) }
            }
            @for group in page.nav {
                @if group.label.is_empty() {
                    div class="nav-group" { (links(group, page.current)) }
                } @else {
                    details class="nav-group" data-group=(group.key()) open[group.open] {
                        summary { span { (group.label) } (icon(Icon::ChevronDown)) }
                        (links(group, page.current))
                    }
                }
            }
        }
    }
}

fn links(group: &NavGroup<'_>, current: &str) -> Markup {
    html! {
        ul {
            @for item in &group.items {
                li {
                    a href=(item.href) data-key=[item.key] aria-current=[(item.href == current).then_some("page")] {
                        (icon(item.icon)) span { (item.label) }
                        @if let Some(count) = item.count { span class="count" { (count) } }
                    }
                }
            }
        }
    }
}

// The list is filled by script from the navigation and from every element with `data-command`.
fn palette(words: &Words) -> Markup {
    html! {
        dialog id="palette" class="palette" aria-label=(words.commands) closedby="any" {
            input type="text" role="combobox" aria-expanded="true" aria-controls="palette-list" aria-autocomplete="list"
                aria-label=(words.commands_hint) placeholder=(words.commands_hint) autocomplete="off" spellcheck="false" autofocus;
            ul id="palette-list" role="listbox" aria-label=(words.commands) {}
            p class="palette-none" hidden { (words.no_match) }
        }
    }
}

fn shortcuts(page: &Page<'_>, words: &Words) -> Markup {
    let keys = |keys: &[&str]| {
        html! { @for (at, key) in keys.iter().enumerate() { @if at > 0 { " " } kbd { (key) } } }
    };
    html! {
        dialog id="keys" aria-labelledby="keys-title" closedby="any" {
            header {
                h2 id="keys-title" { (words.shortcuts) }
                button type="button" class="button quiet icon-only" commandfor="keys" command="close" title=(words.close) {
                    (icon(Icon::Cross)) span class="visually-hidden" { (words.close) }
                }
            }
            div class="dialog-body" {
                table class="table dense" {
                    caption class="visually-hidden" { (words.shortcuts) }
                    thead { tr { th scope="col" { (words.shortcut_keys) } th scope="col" { (words.shortcut_action) } } }
                    tbody {
                        tr { td { (keys(&["Ctrl", "K"])) } td { (words.commands) } }
                        tr { td { (keys(&["/"])) } td { (words.focus_search) } }
                        tr { td { (keys(&["?"])) } td { (words.shortcuts) } }
                        @for item in page.nav.iter().flat_map(|group| &group.items) {
                            @if let Some(key) = item.key {
                                tr { td { (keys(&["G", &key.to_uppercase().to_string()])) } td { (item.label) } }
                            }
                        }
                    }
                }
                // WCAG 2.1.4: single-key shortcuts can be switched off.
                div class="field check" {
                    input type="checkbox" id="keys-on" checked aria-describedby="keys-on-hint";
                    label for="keys-on" { (words.shortcuts_on) }
                    p class="hint" id="keys-on-hint" { (words.shortcuts_on_hint) }
                }
            }
        }
    }
}
