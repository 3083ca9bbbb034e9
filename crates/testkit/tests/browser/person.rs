//! Somebody at a browser.

use std::ops::{Deref, DerefMut};

use identity::first_start;
use testkit::House;
use testkit::browser::{self, PATIENCE, Page};

/// Presses of Tab after which something counts as out of the keyboard's reach.
const TABS_MAX: usize = 40;

/// Somebody of the first tenant, signed in at a browser of their own.
pub(crate) struct Person {
    page: Page,
    base: String,
    axe: String,
}

impl Deref for Person {
    type Target = Page;

    fn deref(&self) -> &Page {
        &self.page
    }
}

impl DerefMut for Person {
    fn deref_mut(&mut self) -> &mut Page {
        &mut self.page
    }
}

impl Person {
    /// Signs in by a one-time link and stands on the home page.
    pub(crate) async fn sign_in(house: &House) -> Self {
        Self::sign_in_at(house, format!("http://{}", house.server.http), "admin@localhost").await
    }

    /// As [`Person::sign_in`], at a console that has a name, which passkeys need.
    pub(crate) async fn sign_in_by_name(house: &House) -> Self {
        let base = format!("http://localhost:{}", house.server.http.port());
        Self::sign_in_at(house, base, "admin@localhost").await
    }

    /// As [`Person::sign_in`], as the user of this address.
    pub(crate) async fn sign_in_as(house: &House, email: &str) -> Self {
        Self::sign_in_at(house, format!("http://{}", house.server.http), email).await
    }

    async fn sign_in_at(house: &House, base: String, email: &str) -> Self {
        let link = first_start::new_link(&house.server.runtime, email).await.unwrap();
        Self::follow(base, &link.path).await
    }

    /// As [`Person::sign_in`], for whoever a sign-in link is for.
    pub(crate) async fn enter(house: &House, link: &str) -> Self {
        let (_, token) = link.split_once("/sign-in/link").expect("a sign-in link");
        Self::follow(format!("http://{}", house.server.http), &format!("/sign-in/link{token}")).await
    }

    async fn follow(base: String, link: &str) -> Self {
        let axe = browser::axe_source().expect("axe-core is not installed: cargo xtask install");
        let page = browser::start().page().await.unwrap();
        let mut person = Self { page, base, axe };
        person.open(link).await;
        person.judge().await;
        person.click("main button[type=submit]").await.unwrap();
        person.sees("You are signed in").await;
        person
    }

    /// Opens a page of the console.
    pub(crate) async fn open(&mut self, path: &str) {
        let url = format!("{}{path}", self.base);
        self.page.goto(&url).await.unwrap();
    }

    /// Waits until the text is shown.
    #[track_caller]
    pub(crate) fn sees(&mut self, text: &str) -> impl Future<Output = ()> {
        let from = std::panic::Location::caller();
        async move {
            if let Err(error) = self.page.wait_for_text(text, PATIENCE).await {
                panic!("{from}: {error:#}");
            }
        }
    }

    /// Whether a JavaScript expression holds now.
    pub(crate) async fn holds(&mut self, js: &str) -> bool {
        self.page.eval(js).await.unwrap() == true
    }

    /// Waits until a JavaScript expression holds.
    pub(crate) async fn until(&mut self, js: &str) {
        self.page.wait_until(js, PATIENCE).await.unwrap();
    }

    /// The path that the browser shows.
    pub(crate) async fn path(&mut self) -> String {
        self.page.eval("location.pathname").await.unwrap().as_str().unwrap_or_default().to_owned()
    }

    /// The status that the page came with.
    pub(crate) async fn status(&mut self) -> Option<u64> {
        self.page.eval("performance.getEntriesByType('navigation')[0].responseStatus").await.unwrap().as_u64()
    }

    /// Types into whatever has the focus.
    pub(crate) async fn keys(&mut self, text: &str) {
        for character in text.chars() {
            self.page.press(character.encode_utf8(&mut [0; 4])).await.unwrap();
        }
    }

    /// Goes by Tab to an element.
    pub(crate) async fn tab_to(&mut self, selector: &str) {
        let there = format!("document.activeElement.matches({selector:?})");
        for _ in 0..TABS_MAX {
            if self.holds(&there).await {
                return;
            }
            self.page.press("Tab").await.unwrap();
        }
        panic!("{selector} is out of the keyboard's reach");
    }

    /// Marks the page, so that [`Person::has_stayed`] tells whether it was loaded again since.
    pub(crate) async fn stay(&mut self) {
        self.page.eval("window.stayed = true").await.unwrap();
    }

    /// Asserts that the page has not been loaded again since [`Person::stay`].
    pub(crate) async fn has_stayed(&mut self) {
        assert!(self.holds("window.stayed === true").await, "the page was loaded again");
    }

    /// Has axe-core judge the page as it is.
    #[track_caller]
    pub(crate) fn judge(&mut self) -> impl Future<Output = ()> {
        let from = std::panic::Location::caller();
        async move {
            let at = self.page.eval("location.pathname + location.search").await.unwrap();
            let found = self.page.axe(&self.axe).await;
            let found = found.unwrap_or_else(|error| panic!("{from}: axe-core on {at}: {error:#}"));
            assert!(found.is_empty(), "{from}: axe-core on {at}: {found:#?}");
        }
    }

    /// Has axe-core judge the page light and dark, on a screen and on a phone, where nothing may be wider than the phone.
    pub(crate) async fn judge_everywhere(&mut self) {
        self.judge().await;
        self.page.set_dark(true).await.unwrap();
        self.judge().await;
        self.page.set_viewport(390, 844).await.unwrap();
        self.judge().await;
        self.page.set_dark(false).await.unwrap();
        let path = self.path().await;
        assert!(
            self.holds("document.documentElement.scrollWidth <= innerWidth").await,
            "{path} is wider than a phone"
        );
        self.page.set_viewport(1280, 800).await.unwrap();
    }

    /// Ends, with whatever the page complained about.
    pub(crate) async fn leave(self) {
        self.page.close().await.unwrap();
    }
}
