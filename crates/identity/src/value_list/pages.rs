//! Value lists in the console.

use axum::Router;
use axum::extract::Path;
use axum::response::Response;
use axum::routing::{get, post};
use maud::{Markup, html};
use serde::Deserialize;
use types::Permission;
use web::console::Content;
use web::ui::dialog::{self, Confirm};
use web::ui::form::Weight;
use web::ui::icon::{Icon, icon};
use web::ui::table::{Row, column, row, table};
use web::ui::words::Words;
use web::ui::{badge, browse, card, field, form};
use web::{App, Form, PageProblem, Query, Refused, Visitor, console};

use super::{Item, NewValueList, Titles, ValueList, ValueListPatch, title};
use crate::name;

/// A form as it was sent.
struct Given(Vec<(String, String)>);

impl Given {
    fn text(&self, name: &str) -> &str {
        self.0.iter().find(|(found, _)| found == name).map_or("", |(_, value)| value)
    }

    /// The titles that stand in the fields with this prefix.
    fn titles(&self, prefix: &str) -> Titles {
        let pairs = name::LANGUAGES
            .iter()
            .map(|(tag, _)| ((*tag).to_owned(), self.text(&format!("{prefix}{tag}")).to_owned()));
        pairs.filter(|(_, title)| !title.trim().is_empty()).collect()
    }

    /// The values in the order of their fields, moved as the pressed button says.
    fn values(&self) -> Vec<Item> {
        let codes = self.0.iter().filter(|(name, _)| name == "code");
        let mut values: Vec<Item> = codes
            .map(|(_, code)| Item {
                code: code.clone(),
                titles: self.titles(&format!("{code}-")),
                active: self.text(&format!("{code}-active")) == "true",
                system: false,
            })
            .collect();
        if !self.text("new_code").is_empty() {
            let titles = self.titles("new-");
            values.push(Item { code: self.text("new_code").to_owned(), titles, active: true, system: false });
        }
        let at = |values: &[Item], code: &str| values.iter().position(|item| item.code == code);
        if let Some(at) = at(&values, self.text("up")).filter(|at| *at > 0) {
            values.swap(at, at - 1);
        }
        if let Some(at) = at(&values, self.text("down")).filter(|at| at + 1 < values.len()) {
            values.swap(at, at + 1);
        }
        values.retain(|item| item.code != self.text("remove"));
        values
    }
}

async fn list(visitor: Visitor) -> Result<Response, PageProblem> {
    let lists = super::list(&visitor.scope).await?.items;
    let language = &visitor.person.language;
    let rows = lists.iter().map(|list| {
        let offered = list.values.iter().filter(|item| item.active).count();
        row(vec![
            html! { (title(&list.titles, language)) },
            html! { code { (list.name) } },
            html! { (offered) " of " (list.values.len()) },
        ])
        .link(format!("/value-lists/{}", list.name))
    });
    let columns = vec![column("List"), column("Name").detail(), column("Offered")];
    let body = html! { (table("Value lists", columns, rows.collect())) };
    let actions = html! {
        @if visitor.scope.permissions().contains(Permission::ValueListChange) {
            (form::link("New list", "/value-lists/new").icon(Icon::Plus).weight(Weight::Primary))
        }
    };
    Ok(visitor.page(Content { actions, ..Content::new("Value lists", body) }))
}

/// A button that moves a value; where it was pressed, the focus comes back to it.
fn mover(
    name: &'static str,
    picture: Icon,
    label: &str,
    code: &str,
    (possible, focus): (bool, bool),
) -> Markup {
    html! {
        button type="submit" class="button small quiet" name=(name) value=(code) aria-label=(label) title=(label)
            disabled[!possible] autofocus[possible && focus] { (icon(picture)) }
    }
}

fn line(item: &Item, (at, last): (usize, usize), moved: &Moved, refused: &Refused) -> Row {
    let english = title(&item.titles, "en");
    let cells = name::LANGUAGES.iter().map(|(tag, language)| {
        let name = format!("{}-{tag}", item.code);
        let label = format!("{english}: {language}");
        let wrong = refused.at(&format!("values/{at}/titles/{tag}")).map(str::to_owned);
        let value = item.titles.get(*tag).cloned().unwrap_or_default();
        html! { (field::text(&name, &label).value(&value).max_chars(100).label_hidden().error(wrong.as_deref())) }
    });
    let active = format!("{}-active", item.code);
    let offered = format!("Offer {english}");
    let focus = |way: &str| moved.at == item.code && moved.way == way;
    let mut all = vec![html! { input type="hidden" name="code" value=(item.code); code { (item.code) } }];
    all.extend(cells);
    all.push(html! { (field::checkbox(&active, &offered).checked(item.active).label_hidden()) });
    all.push(html! {
        (mover("up", Icon::ArrowUp, &format!("Move {english} up"), &item.code, (at > 0, focus("up"))))
        (mover("down", Icon::ArrowDown, &format!("Move {english} down"), &item.code, (at + 1 < last, focus("down"))))
        @if item.system { (badge::tag("comes with the product")) } @else {
            (mover("remove", Icon::Trash, &format!("Remove {english}"), &item.code, (true, false)))
        }
    });
    row(all).key(item.code.clone())
}

/// Which value was moved just now, and which way.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Moved {
    #[serde(default)]
    at: String,
    #[serde(default)]
    way: String,
}

fn titles_fields(titles: &Titles, prefix: &str, refused: &Refused) -> Markup {
    html! {
        @for (tag, language) in name::LANGUAGES {
            @let name = format!("{prefix}{tag}");
            @let label = format!("Title, {language}");
            @let value = titles.get(*tag).cloned().unwrap_or_default();
            (field::text(&name, &label).value(&value).max_chars(100).error(refused.at(&format!("titles/{tag}"))))
        }
    }
}

fn content(visitor: &Visitor, list: &ValueList, moved: &Moved, refused: &Refused) -> Content<'static> {
    let words = Words::for_lang(&visitor.person.language);
    let last = list.values.len();
    let rows = list.values.iter().enumerate().map(|(at, item)| line(item, (at, last), moved, refused));
    let mut columns = vec![column("Code")];
    columns.extend(name::LANGUAGES.iter().map(|(_, language)| column(language)));
    columns.extend([column("Offered"), column("Order").actions()]);
    let may = visitor.scope.permissions().contains(Permission::ValueListChange);
    let new = html! {
        fieldset class="section" {
            legend { "Another value" }
            (field::text("new_code", "Code").hint("a to z, 0 to 9 and _; it never changes").max_chars(60).mono())
            @for (tag, language) in name::LANGUAGES {
                (field::text(&format!("new-{tag}"), language).max_chars(100))
            }
        }
    };
    let fields = html! {
        // What the enter key presses: without it that would be the first button that moves something.
        button type="submit" class="visually-hidden" tabindex="-1" aria-hidden="true" { "Save" }
        input type="hidden" name="revision" value=(list.revision);
        (titles_fields(&list.titles, "title-", refused))
        (table("Values in their order", columns, rows.collect()).dense().caption_shown())
        @if may { (new) (form::actions(&html! { (form::submit("Save")) (form::link("Cancel", "/value-lists")) })) }
    };
    let own = format!("/value-lists/{}", list.name);
    let delete = format!("{own}/delete");
    let ask = Confirm {
        id: "delete-list",
        button: "Delete list…",
        title: "Delete this list?",
        text: "Records that hold one of its codes keep the code.",
        confirm: "Delete list",
        action: &delete,
        csrf: "",
        danger: true,
    };
    let body = html! {
        (refused.summary(words, &[]))
        (card::panel(&form::post(&own, "", &fields)))
        @if may && !list.system { (dialog::confirm(words, &ask)) }
    };
    let name = title(&list.titles, &visitor.person.language).to_owned();
    let breadcrumbs = browse::breadcrumbs(words, &[("Value lists", "/value-lists")], &name);
    Content { breadcrumbs, ..Content::new("Value list", body) }
}

async fn show(
    visitor: Visitor,
    Path(name): Path<String>,
    Query(moved): Query<Moved>,
) -> Result<Response, PageProblem> {
    let list = super::get(&visitor.scope, &name).await?;
    Ok(visitor.page(content(&visitor, &list, &moved, &Refused::NONE)))
}

async fn update(
    visitor: Visitor,
    Path(name): Path<String>,
    Form(pairs): Form<Vec<(String, String)>>,
) -> Result<Response, PageProblem> {
    let given = Given(pairs);
    let patch = ValueListPatch {
        titles: Some(given.titles("title-")),
        values: Some(given.values()),
        revision: given.text("revision").parse().ok(),
    };
    match super::update(&visitor.scope, &name, patch.clone()).await {
        Ok(list) => {
            let way = ["up", "down"].into_iter().find(|way| !given.text(way).is_empty());
            let href = way.map_or_else(String::new, |way| {
                web::body::with_query("", &[("at", given.text(way)), ("way", way)])
            });
            Ok(console::done(&format!("/value-lists/{}{href}", list.name), "Saved."))
        }
        Err(error) => {
            let before = super::get(&visitor.scope, &name).await?;
            let system = |code: &str| before.values.iter().any(|item| item.code == code && item.system);
            let mut values = patch.values.unwrap_or_default();
            values.iter_mut().for_each(|item| item.system = system(&item.code));
            let shown = ValueList { titles: patch.titles.unwrap_or_default(), values, ..before };
            let refused = Refused::by(error)?;
            Ok(visitor.page_again(content(&visitor, &shown, &Moved::default(), &refused)))
        }
    }
}

fn new_page(visitor: &Visitor, given: &Given, refused: &Refused) -> Content<'static> {
    let words = Words::for_lang(&visitor.person.language);
    let fields = html! {
        (field::text("name", "Name").value(given.text("name")).hint("a to z, 0 to 9 and _; it never changes").mono()
            .max_chars(60).error(refused.at("name")).required())
        (titles_fields(&given.titles("title-"), "title-", refused))
        (form::actions(&html! { (form::submit("Create list")) (form::link("Cancel", "/value-lists")) }))
    };
    let body = html! {
        (refused.summary(words, &["name"]))
        (card::panel(&form::post("/value-lists/new", "", &fields)))
    };
    let breadcrumbs = browse::breadcrumbs(words, &[("Value lists", "/value-lists")], "New list");
    Content { breadcrumbs, ..Content::new("New list", body) }
}

async fn show_new(visitor: Visitor) -> Result<Response, PageProblem> {
    visitor.scope.require(Permission::ValueListChange)?;
    Ok(visitor.page(new_page(&visitor, &Given(Vec::new()), &Refused::NONE)))
}

async fn create(visitor: Visitor, Form(pairs): Form<Vec<(String, String)>>) -> Result<Response, PageProblem> {
    let given = Given(pairs);
    let new = NewValueList {
        name: given.text("name").to_owned(),
        titles: given.titles("title-"),
        values: Vec::new(),
    };
    match super::create(&visitor.scope, new).await {
        Ok(list) => Ok(console::done(&format!("/value-lists/{}", list.name), "List created.")),
        Err(error) => Ok(visitor.page_again(new_page(&visitor, &given, &Refused::by(error)?))),
    }
}

async fn delete(visitor: Visitor, Path(name): Path<String>) -> Result<Response, PageProblem> {
    super::delete(&visitor.scope, &name).await?;
    Ok(console::done("/value-lists", "List deleted."))
}

/// The routes.
pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/value-lists", get(list))
        .route("/value-lists/new", get(show_new).post(create))
        .route("/value-lists/{id}", get(show).post(update))
        .route("/value-lists/{id}/delete", post(delete))
}
