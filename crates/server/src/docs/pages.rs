//! The API reference and the list of refusals, for people; open to everybody.

use std::sync::LazyLock;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::get;
use maud::{Markup, html};
use serde::Deserialize;
use types::Code;
use web::access::cookie;
use web::ui::icon::{Icon, icon};
use web::ui::layout::{self, Dir, NavGroup, NavItem, Page, THEME_COOKIE, Theme};
use web::ui::table::{column, row, table};
use web::ui::tone::Tone;
use web::ui::words::ENGLISH;
use web::ui::{badge, browse, card, code, feedback, form};
use web::{App, Query, console};

use super::{Content, Field, Group, Kind, Operation, Reference, Shape};

/// The description never changes while the program runs.
static REFERENCE: LazyLock<Reference> =
    LazyLock::new(|| super::read(&serde_json::to_value(crate::http::openapi()).unwrap_or_default()));

/// Text with `code` between backticks.
fn prose(text: &str) -> Markup {
    html! {
        @for (at, piece) in text.split('`').enumerate() {
            @if at % 2 == 1 { code dir="ltr" { (piece) } } @else { (piece) }
        }
    }
}

fn kind(kind: &Kind) -> Markup {
    html! {
        (kind.before)
        @if kind.linked { a href={ "/docs/shapes#shape-" (kind.name) } { (kind.name) } } @else { (kind.name) }
    }
}

fn fields(caption: &str, fields: &[Field]) -> Markup {
    let rows = fields.iter().map(|field| {
        row(vec![
            html! {
                code dir="ltr" { (field.name) }
                @if field.required { " " span class="required" title="required" { "*" } span class="visually-hidden" { "required" } }
            },
            html! { (kind(&field.kind)) @if field.place == "path" { span class="hint" { " in the path" } } },
            html! {
                (prose(&field.description))
                @if let Some(default) = &field.default { span class="hint" { " Default: " code dir="ltr" { (default) } } }
            },
        ])
    });
    html! {
        (table(caption, vec![column("Name"), column("Type"), column("Meaning")], rows.collect()).dense().caption_shown())
    }
}

fn method_badge(method: &str) -> Markup {
    let tone = match method {
        "GET" => Tone::Info,
        "POST" => Tone::Good,
        "DELETE" => Tone::Bad,
        _ => Tone::Warn,
    };
    badge::badge(tone, method)
}

fn content(caption: &str, body: &Content) -> Markup {
    html! {
        @if body.fields.is_empty() { p { (caption) ": " (kind(&body.kind)) } }
        @else { (fields(caption, &body.fields)) }
    }
}

/// A link to a place on this page, which also the command palette finds.
fn anchor(id: &str, name: &str) -> Markup {
    html! {
        a class="button quiet small" href={ "#" (id) } data-command=(name) title="Link to this" {
            span aria-hidden="true" { "#" } span class="visually-hidden" { "Link to " (name) }
        }
    }
}

fn operation(operation: &Operation, base: &str) -> Markup {
    let address = html! { (method_badge(&operation.method)) code dir="ltr" { (operation.path) } };
    let body = html! {
        @if !operation.description.is_empty() { p { (prose(&operation.description)) } }
        @if !operation.parameters.is_empty() { (fields("Parameters", &operation.parameters)) }
        @if let Some(body) = &operation.body { (content("Body", body)) }
        @for answer in &operation.answers {
            @let question = match answer.description.as_str() {
                "" => format!("Answer {}", answer.status),
                said => format!("Answer {}: {said}", answer.status),
            };
            (feedback::help(&question, &html! {
                @match &answer.body {
                    Some(body) => (content(&format!("Answer {}", answer.status), body)),
                    None => p { "No body." },
                }
            }))
        }
        // Each a region of its own, so each has a name of its own.
        (code::block(&ENGLISH, &format!("curl-{}", operation.anchor), &format!("{} {} with curl", operation.method, operation.path), &operation.curl(base)))
    };
    html! {
        div id=(operation.anchor) {
            (card::card(&operation.summary, &html! {
                (address)
                (anchor(&operation.anchor, &operation.summary))
            }, &body))
        }
    }
}

fn shape(shape: &Shape) -> Markup {
    let body = html! {
        @if !shape.description.is_empty() { p { (prose(&shape.description)) } }
        @if !shape.fields.is_empty() { (fields("Members", &shape.fields)) }
        @else if !shape.values.is_empty() { p { "One of " @for value in &shape.values { code dir="ltr" { (value) } " " } } }
        @else { p { @for (at, one) in shape.kinds.iter().enumerate() { @if at > 0 { " or " } (kind(one)) } } }
    };
    html! { div id={ "shape-" (shape.name) } { (card::card(&shape.name, &html! {}, &body)) } }
}

/// A capability's name as a heading.
fn heading(tag: &str) -> String {
    let words = tag.split(['-', ' ']).enumerate().map(|(at, word)| match word {
        "api" | "smpp" => word.to_uppercase(),
        _ if at > 0 => word.to_owned(),
        _ => word.chars().take(1).flat_map(char::to_uppercase).chain(word.chars().skip(1)).collect(),
    });
    words.collect::<Vec<_>>().join(" ")
}

fn slug(tag: &str) -> String {
    tag.replace(' ', "-")
}

fn introduction(base: &str) -> Markup {
    let example = format!("curl {base}/api/v1/me \\\n  -H \"Authorization: Bearer $API_KEY\"");
    let token = format!(
        "curl {base}/oauth/token \\\n  -u \"$CLIENT_ID:$CLIENT_SECRET\" \\\n  -d grant_type=client_credentials"
    );
    card::panel(&html! {
        (card::facts(&[
            ("Address", code::value(&ENGLISH, "base", &format!("{base}/api/v1"))),
            ("Who asks", html! { "Each request carries an API key: " code dir="ltr" { "Authorization: Bearer <API key>" } ". " a href="/api-keys" { "Make one" } " in the console." }),
            ("Applications", html! { "Or an access token in its place: a server gets one at " code dir="ltr" { "/oauth/token" } " by its client id and secret, an application for a person at " code dir="ltr" { "/oauth/authorize" } ". " a href="/oauth-clients" { "Register one" } "; scopes are permissions. " a href="/.well-known/oauth-authorization-server" { "Metadata" } "." }),
            ("Repeating", html! { "A request that changes something may carry an " code dir="ltr" { "Idempotency-Key" } ". Sent again with the same key it changes nothing and gets the first answer." }),
            ("Lists", html! { "Newest first. Pass " code dir="ltr" { "next" } " of one page as " code dir="ltr" { "after" } " to get the one behind it." }),
            ("Refusals", html! { code dir="ltr" { "application/problem+json" } " with a stable code. " a href="/docs/errors" { "All codes" } "." }),
            ("Strictness", html! { "Unknown fields are refused, so that a typing error cannot pass in silence." }),
        ]))
        (code::block(&ENGLISH, "curl-me", "A first request", &example))
        (code::block(&ENGLISH, "curl-token", "An access token for a server", &token))
    })
}

fn search(query: &str) -> Markup {
    html! {
        search {
            form class="search" method="get" action="/docs" {
                (icon(Icon::Search))
                input type="search" id="search" name="q" value=(query) aria-label="Search operations" placeholder="Search operations"
                    data-filter="operations" autocomplete="off";
            }
        }
    }
}

/// All operations in a line each, by capability; what a search does not mean is left out.
fn index(groups: &[Group], query: &str) -> Markup {
    let query = query.to_lowercase();
    let words: Vec<_> = query.split_whitespace().collect();
    let matches = |operation: &&Operation| words.iter().all(|word| operation.searched().contains(word));
    let found = groups.iter().any(|group| group.operations.iter().any(|one| matches(&one)));
    html! {
        div id="operations" class="docs-group" {
            div data-filter-none hidden[found] {
                (card::panel(&feedback::empty(Icon::Search, "No operation like this", "Search by a path, a method or a word of what it does.", &html! {
                    (form::link("All operations", "/docs"))
                })))
            }
            @for group in groups {
                @let operations: Vec<_> = group.operations.iter().filter(matches).collect();
                @if !operations.is_empty() {
                    section class="docs-group" data-filter-group {
                        h2 { a href={ "/docs/" (slug(&group.tag)) } { (heading(&group.tag)) } }
                        (card::panel(&html! {
                            ul class="facts" {
                                @for one in operations { (line(&group.tag, one)) }
                            }
                        }))
                    }
                }
            }
        }
    }
}

fn line(tag: &str, operation: &Operation) -> Markup {
    html! {
        li class="toolbar" data-filter-item=(operation.searched()) {
            (method_badge(&operation.method))
            a href={ "/docs/" (slug(tag)) "#" (operation.anchor) } { code dir="ltr" { (operation.path) } }
            span class="hint" { (operation.summary) }
        }
    }
}

fn navigation(reference: &Reference) -> Vec<(String, String)> {
    reference
        .groups
        .iter()
        .map(|group| (heading(&group.tag), format!("/docs/{}", slug(&group.tag))))
        .collect()
}

/// A page within the reference's own navigation.
fn page(headers: &HeaderMap, content: console::Content<'_>, current: &str) -> Html<String> {
    let groups = navigation(&REFERENCE);
    let item = |label, href, icon| NavItem { label, href, icon, key: None, count: None };
    let mut capabilities: Vec<_> =
        groups.iter().map(|(label, href)| item(label, href, Icon::ChevronForward)).collect();
    capabilities.push(item("Shapes", "/docs/shapes", Icon::ChevronForward));
    let nav = [
        NavGroup {
            label: "API",
            open: true,
            items: vec![
                item("Reference", "/docs", Icon::Book),
                item("Refusals", "/docs/errors", Icon::Warning),
                item("Console", "/", Icon::Home),
            ],
        },
        NavGroup { label: "Operations", open: true, items: capabilities },
    ];
    let page = Page {
        theme: Theme::from_cookie(cookie(headers, THEME_COOKIE).as_deref()),
        nav: &nav,
        current,
        actions: content.actions,
        breadcrumbs: content.breadcrumbs,
        footer: html! { "Switchboard " (env!("CARGO_PKG_VERSION")) },
        ..Page::new(content.title, content.body)
    };
    Html(layout::page(&page).into_string())
}

#[derive(Debug, Deserialize)]
struct Asked {
    q: Option<String>,
}

async fn show(State(app): State<App>, headers: HeaderMap, Query(Asked { q }): Query<Asked>) -> Html<String> {
    let base = app.runtime.config.public_url();
    let query = q.unwrap_or_default();
    let body = html! {
        (introduction(&base))
        (search(&query))
        (index(&REFERENCE.groups, &query))
    };
    let actions = html! { (form::link("openapi.json", "/openapi.json").icon(Icon::ArrowDown)) };
    page(&headers, console::Content { actions, ..console::Content::new("API reference", body) }, "/docs")
}

/// A page below the reference.
fn below(headers: &HeaderMap, title: &str, path: &str, body: Markup) -> Html<String> {
    let breadcrumbs = browse::breadcrumbs(&ENGLISH, &[("API reference", "/docs")], title);
    page(headers, console::Content { breadcrumbs, ..console::Content::new(title, body) }, path)
}

/// One capability's operations. What none is called is looked for.
async fn group(State(app): State<App>, headers: HeaderMap, Path(tag): Path<String>) -> Response {
    let Some(group) = REFERENCE.groups.iter().find(|group| slug(&group.tag) == tag) else {
        return Redirect::to("/docs").into_response();
    };
    let base = app.runtime.config.public_url();
    let body = html! { div class="docs-group" { @for one in &group.operations { (operation(one, &base)) } } };
    below(&headers, &heading(&group.tag), &format!("/docs/{tag}"), body).into_response()
}

async fn shapes(headers: HeaderMap) -> Html<String> {
    let body = html! { div class="docs-group" { @for one in &REFERENCE.shapes { (shape(one)) } } };
    below(&headers, "Shapes", "/docs/shapes", body)
}

async fn errors(headers: HeaderMap) -> Html<String> {
    let rows = Code::ALL.iter().map(|code| {
        let tone = if code.status() >= 500 { Tone::Bad } else { Tone::Warn };
        row(vec![
            html! { span { code dir="ltr" id=(code.as_str()) { (code.as_str()) } (anchor(code.as_str(), code.as_str())) } },
            badge::badge(tone, &code.status().to_string()),
            html! { (prose(code.title())) },
            html! { (prose(code.help())) },
        ])
    });
    let columns = vec![column("Code"), column("Status"), column("What it means"), column("What to do")];
    let body = html! {
        p { "Every refusal of the API is " code dir="ltr" { "application/problem+json" } " (RFC 9457). Decide by "
            code dir="ltr" { "code" } ", which is never renamed; " code dir="ltr" { "detail" } " says what was wrong this time, "
            code dir="ltr" { "at" } " where, and " code dir="ltr" { "hint" } " what to do." }
        (table("Codes of refusals", columns, rows.collect()))
    };
    below(&headers, "Refusals", "/docs/errors", body)
}

#[derive(Debug, Deserialize)]
struct Looks {
    dir: Option<String>,
}

/// The design system, for those who write pages.
async fn style(headers: HeaderMap, Query(Looks { dir }): Query<Looks>) -> Html<String> {
    let dir = if dir.as_deref() == Some("rtl") { Dir::Rtl } else { Dir::Ltr };
    let theme = Theme::from_cookie(cookie(&headers, THEME_COOKIE).as_deref());
    Html(web::style_page::page(dir, theme).into_string())
}

/// The routes.
pub fn router() -> Router<App> {
    Router::new()
        .route("/docs", get(show))
        .route("/docs/errors", get(errors))
        .route("/docs/shapes", get(shapes))
        .route("/docs/{group}", get(group))
        .route("/style", get(style))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_leaves_what_has_all_its_words() {
        let all = index(&REFERENCE.groups, "").into_string();
        let some = index(&REFERENCE.groups, "Post MESSAGES/batch").into_string();
        let (send, batch) = ("/docs/messages#post-messages\"", "/docs/messages#post-messages-batch\"");
        assert!(all.contains(send) && all.contains("/docs/routes#get-routes\""));
        assert!(some.contains(batch) && !some.contains("#get-routes\""));
        let none = index(&REFERENCE.groups, "no such thing").into_string();
        assert!(none.contains("<div data-filter-none>") && all.contains("<div data-filter-none hidden>"));
    }

    #[tokio::test]
    async fn every_code_has_its_anchor() {
        let Html(page) = errors(HeaderMap::new()).await;
        for code in Code::ALL {
            assert!(page.contains(&format!("id=\"{}\"", code.as_str())), "{}", code.as_str());
        }
        assert!(!page.contains(" style=") && !page.contains(" onclick="));
    }
}
