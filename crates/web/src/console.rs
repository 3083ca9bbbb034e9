//! A page of the console around a capability's own content.

use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use maud::{Markup, html};
use types::Permission;

use crate::access::{Visitor, cookie, is_fragment};
use crate::ui::feedback::Flash;
use crate::ui::icon::Icon;
use crate::ui::layout::{self, Dir, NAV_COOKIE, NavGroup, NavItem, Page, THEME_COOKIE, Theme, UserMenu};
use crate::ui::tone::Tone;

/// A place in the navigation. Each capability declares its own; the program puts them together.
#[derive(Debug, Clone, Copy)]
pub struct NavEntry {
    /// The group's title.
    pub group: &'static str,
    /// The page's name.
    pub label: &'static str,
    /// Its address.
    pub href: &'static str,
    /// Its picture.
    pub icon: Icon,
    /// The letter that goes there after `g`.
    pub key: Option<char>,
    /// Who sees it.
    pub permission: Permission,
}

/// The cookie that carries one sentence over a redirect.
const FLASH_COOKIE: &str = "switchboard_flash";
/// The cookie of a browser whose last page was shown to somebody who acts as another user. It is no secret and opens nothing.
const ACTING_COOKIE: &str = "switchboard_acting";

/// What a person's browser asks for beside the page.
#[derive(Debug, Clone)]
pub struct Taste {
    /// Light or dark.
    pub theme: Theme,
    /// A sentence about what was just done.
    pub flash: Option<String>,
    /// The groups of the navigation that are open, by [`NavGroup::key`]; nothing where nobody has chosen.
    pub groups: Option<Vec<String>>,
    /// Whether the last page was shown to somebody who acts as another user.
    pub acted: bool,
    /// Whether only a part of the page is wanted.
    pub fragment: bool,
}

impl Taste {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        Self {
            theme: Theme::from_cookie(cookie(headers, THEME_COOKIE).as_deref()),
            flash: cookie(headers, FLASH_COOKIE).and_then(|text| {
                let pairs: Vec<(String, String)> = serde_urlencoded::from_str(&text).ok()?;
                pairs.into_iter().find(|(name, _)| name == "f").map(|(_, text)| text)
            }),
            groups: cookie(headers, NAV_COOKIE).map(|keys| keys.split('.').map(str::to_owned).collect()),
            acted: cookie(headers, ACTING_COOKIE).is_some(),
            fragment: is_fragment(headers),
        }
    }
}

/// A page's title and content, and what stands beside the title.
pub struct Content<'a> {
    /// The page's name.
    pub title: &'a str,
    /// The content.
    pub body: Markup,
    /// Buttons beside the title.
    pub actions: Markup,
    /// Breadcrumbs above the title.
    pub breadcrumbs: Markup,
}

impl<'a> Content<'a> {
    /// A page with nothing beside its title.
    pub fn new(title: &'a str, body: Markup) -> Self {
        Self { title, body, actions: html! {}, breadcrumbs: html! {} }
    }
}

impl Visitor {
    /// The same person, on a page that hangs under another one's address in the navigation, because its own does not begin
    /// with that.
    #[must_use]
    pub fn under(self, href: &str) -> Self {
        Self { path: href.to_owned(), ..self }
    }

    /// The whole page for this person, with their navigation, language and theme.
    pub fn page(&self, content: Content<'_>) -> Response {
        let permissions = self.scope.permissions();
        let mut groups: Vec<NavGroup<'_>> = Vec::new();
        for entry in self.nav.iter().filter(|entry| permissions.contains(entry.permission)) {
            let item = NavItem {
                label: entry.label,
                href: entry.href,
                icon: entry.icon,
                key: entry.key,
                count: None,
            };
            match groups.iter_mut().find(|group| group.label == entry.group) {
                Some(group) => group.items.push(item),
                None => groups.push(NavGroup { label: entry.group, open: false, items: vec![item] }),
            }
        }
        let current = self
            .nav
            .iter()
            .map(|entry| entry.href)
            .filter(|href| *href == self.path || (*href != "/" && self.path.starts_with(href)))
            .max_by_key(|href| href.len())
            .unwrap_or_default();
        for (at, group) in groups.iter_mut().enumerate() {
            let key = group.key();
            let chosen = self.taste.groups.as_ref().map_or(at == 0, |open| open.contains(&key));
            group.open = chosen || group.items.iter().any(|item| item.href == current);
        }
        // The stream begins after the page is shown; what happens between the two must not be missed.
        let live_url = format!("/live?since={}", self.scope.now().unix_ms());
        let help = self.person.brand.support.as_ref().map(|support| format!("mailto:{support}"));
        let help = help.as_deref().map(|address| ("Ask for help", address));
        let links: Vec<(&str, &str)> =
            [("Your account", "/account"), ("Security", "/account/security"), ("Style page", "/style")]
                .into_iter()
                .chain(help)
                .collect();
        let marker = crate::marker::now();
        let page = Page {
            lang: &self.person.language,
            dir: Dir::of_lang(&self.person.language),
            theme: self.taste.theme,
            tenant: Some(&self.person.tenant),
            brand: Some(&self.person.brand),
            nav: &groups,
            current,
            user: Some(UserMenu {
                name: &self.person.name,
                detail: &self.person.email,
                links: &links,
                sign_out: "/sign-out",
                csrf: &marker,
            }),
            acting: self.person.acting.as_ref().map(|acting| layout::Acting {
                whose: &self.person.name,
                by: &acting.by,
                until: acting.until,
                stop: "/impersonation/stop",
            }),
            flash: self.taste.flash.as_deref().map(|text| Flash { tone: Tone::Good, text }),
            live_url: Some(&live_url),
            breadcrumbs: content.breadcrumbs,
            actions: content.actions,
            footer: html! { "Switchboard " (env!("CARGO_PKG_VERSION")) " · " a href="/docs" { "API reference" } },
            ..Page::new(content.title, content.body)
        };
        self.with_cookies(Html(layout::page(&page).into_string()).into_response())
    }

    /// What the browser is to know behind a page: its sentence was shown, and whether it was shown to somebody who acts as another.
    fn with_cookies(&self, mut response: Response) -> Response {
        if self.taste.flash.is_some() {
            let gone = HeaderValue::from_static("switchboard_flash=; Path=/; Max-Age=0; SameSite=Lax");
            response.headers_mut().append(header::SET_COOKIE, gone);
        }
        let acting = match (self.person.acting.is_some(), self.taste.acted) {
            (true, false) => Some("switchboard_acting=1; Path=/; HttpOnly; SameSite=Lax"),
            (false, true) => Some("switchboard_acting=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax"),
            _ => None,
        };
        if let Some(cookie) = acting {
            response.headers_mut().append(header::SET_COOKIE, HeaderValue::from_static(cookie));
        }
        response
    }

    /// The content alone when htmx asks for a part of the page, the whole page otherwise. The same address answers
    /// both, so caches must tell them apart.
    pub fn page_or_fragment(&self, content: Content<'_>) -> Response {
        let mut response = if self.taste.fragment {
            Html(content.body.into_string()).into_response()
        } else {
            self.page(content)
        };
        response.headers_mut().insert(header::VARY, HeaderValue::from_static("HX-Request"));
        response
    }

    /// The form again, with what is wrong with it (422).
    pub fn page_again(&self, content: Content<'_>) -> Response {
        let mut response = self.page(content);
        *response.status_mut() = axum::http::StatusCode::UNPROCESSABLE_ENTITY;
        response
    }
}

/// After a change: to another page, with a sentence about what was done.
pub fn done(to: &str, sentence: &str) -> Response {
    let mut response = Redirect::to(to).into_response();
    let text = serde_urlencoded::to_string([("f", sentence)]).unwrap_or_default();
    let flash = format!("{FLASH_COOKIE}={text}; Path=/; Max-Age=30; HttpOnly; SameSite=Lax");
    if let Ok(value) = HeaderValue::from_str(&flash) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
    response
}
