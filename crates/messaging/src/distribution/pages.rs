//! Distribution lists in the console.

use axum::Router;
use axum::extract::Path;
use axum::response::Response;
use axum::routing::{get, post};
use maud::{Markup, Render, html};
use types::{DistributionListId, Permission, Result};
use web::console::{Content, NavEntry, done};
use web::ui::dialog::{Confirm, confirm};
use web::ui::figure::count;
use web::ui::form::{self, Weight};
use web::ui::icon::Icon;
use web::ui::table::{column, row, table};
use web::ui::{browse, feedback, field};
use web::{Form, PageProblem, Paging, Query, Visitor};

use super::{DistributionListPatch, NewDistributionList};
use crate::api::Gateway;
use crate::pages::{Fields, Shown, again, list as texts, may, moment, words};
use crate::settings::{self, Patch};

/// Its place in the navigation.
pub(crate) const LISTS: NavEntry = NavEntry {
    group: "Network",
    label: "Distribution lists",
    href: "/distribution-lists",
    icon: Icon::List,
    key: None,
    permission: Permission::DistributionView,
};

fn add_button(visitor: &Visitor) -> Markup {
    html! {
        @if may(visitor, Permission::DistributionCreate) {
            (form::link("Add list", "/distribution-lists/new").weight(Weight::Primary).icon(Icon::Plus))
        }
    }
}

async fn list(visitor: Visitor, Query(paging): Query<Paging>) -> Result<Response, PageProblem> {
    let page = super::list(&visitor.scope, &paging).await?;
    let manage = may(&visitor, Permission::DistributionChange);
    let rows = page.items.iter().map(|list| {
        let cells = vec![
            html! { code { (list.name) } },
            html! { (count(list.rule.members.len() as u64)) },
            html! {
                @if list.rule.accounts.is_empty() { "every account" } @else { (list.rule.accounts.len()) " accounts" }
            },
            moment(list.changed_at),
        ];
        let row = row(cells).key(list.id.to_string());
        if manage { row.link(format!("/distribution-lists/{}", list.id)) } else { row }
    });
    let columns =
        vec![column("Name"), column("Recipients").number(), column("May be used by"), column("Changed")];
    let empty = feedback::empty(
        Icon::List,
        "No distribution lists yet",
        "An SMPP account sends one text to all recipients of a list with submit_multi.",
        &add_button(&visitor),
    );
    let older = page.next.as_deref().map(|next| format!("/distribution-lists?after={next}"));
    let body = html! {
        (table("Distribution lists", columns, rows.collect()).id("lists").empty(empty))
        (browse::pager(words(&visitor), None, older.as_deref(), ""))
    };
    let content = Content { actions: add_button(&visitor), ..Content::new("Distribution lists", body) };
    Ok(visitor.page_or_fragment(content))
}

fn rule(fields: &Fields) -> Patch {
    let named = |name: &str| texts(fields.get(name).unwrap_or_default()).into();
    Patch::from_iter([("members".to_owned(), named("members")), ("accounts".to_owned(), named("accounts"))])
}

fn form_page<'a>(visitor: &Visitor, title: &'a str, action: &str, shown: &Shown<'_>) -> Content<'a> {
    let [name, members, accounts, revision] =
        ["name", "members", "accounts", "revision"].map(|name| shown.value(name));
    let members = members.replace(", ", "\n");
    let delete = action.strip_suffix("/edit").map(|at| format!("{at}/delete"));
    let body = html! {
        (form::post(action, "", &html! {
            (shown.summary(visitor))
            input type="hidden" name="revision" value=(revision);
            (form::section("List", None, &html! {
                (field::text("name", "Name").value(&name).mono().required().max_chars(20).error(shown.error("name"))
                    .hint("dl_name of submit_multi: at most 20 characters without blanks.").render())
                (field::textarea("members", "Recipients").value(&members).rows(12).mono().wide()
                    .error(shown.error("members")).hint("One a line or by commas, with + and country code; at most 1,000.").render())
                (field::tags("accounts", "May be used by", &[]).value(&accounts).wide().error(shown.error("accounts"))
                    .hint("SMPP accounts by their ids, such as acc_…; all when empty.").render())
            }))
            (form::actions(&html! {
                (form::submit("Save")) (form::link("Cancel", "/distribution-lists").weight(Weight::Quiet))
            }))
        }))
        @if let Some(delete) = &delete {
            (confirm(words(visitor), &Confirm {
                id: "delete", button: "Delete list…", title: "Delete this list?",
                text: "Messages that were sent to it stay. This cannot be undone.",
                confirm: "Delete list", action: delete, csrf: "", danger: true,
            }))
        }
    };
    let breadcrumbs =
        browse::breadcrumbs(words(visitor), &[("Distribution lists", "/distribution-lists")], title);
    Content { breadcrumbs, ..Content::new(title, body) }
}

async fn new(visitor: Visitor) -> Result<Response, PageProblem> {
    visitor.scope.require(Permission::DistributionCreate)?;
    let shown = Shown::of(Patch::new());
    Ok(visitor.page(form_page(&visitor, "Add list", "/distribution-lists/new", &shown)))
}

async fn create(
    visitor: Visitor,
    Form(fields): Form<Vec<(String, String)>>,
) -> Result<Response, PageProblem> {
    let fields = Fields(fields);
    let new = NewDistributionList { name: fields.owned("name").unwrap_or_default(), rule: rule(&fields) };
    match super::create(&visitor.scope, new).await {
        Ok(_) => Ok(done("/distribution-lists", "List added.")),
        Err(refused) => {
            let refused = again(refused)?;
            let shown = Shown::again(&fields, &refused);
            Ok(visitor.page_again(form_page(&visitor, "Add list", "/distribution-lists/new", &shown)))
        }
    }
}

async fn edit(visitor: Visitor, Path(id): Path<String>) -> Result<Response, PageProblem> {
    visitor.scope.require(Permission::DistributionChange)?;
    let list = super::get(&visitor.scope, id.parse()?).await?;
    let mut members = settings::members(&list.rule)?;
    members.insert("name".to_owned(), list.name.as_str().into());
    members.insert("revision".to_owned(), list.revision.into());
    let action = format!("/distribution-lists/{}/edit", list.id);
    Ok(visitor.page(form_page(&visitor, "Edit list", &action, &Shown::of(members))))
}

async fn change(
    visitor: Visitor,
    Path(id): Path<String>,
    Form(fields): Form<Vec<(String, String)>>,
) -> Result<Response, PageProblem> {
    let (id, fields): (DistributionListId, _) = (id.parse()?, Fields(fields));
    let wanted = DistributionListPatch {
        name: Some(fields.owned("name").unwrap_or_default()),
        rule: rule(&fields),
        revision: fields.revision(),
    };
    match super::change(&visitor.scope, id, wanted).await {
        Ok(_) => Ok(done("/distribution-lists", "List saved.")),
        Err(refused) => {
            let refused = again(refused)?;
            let shown = Shown::again(&fields, &refused);
            let action = format!("/distribution-lists/{id}/edit");
            Ok(visitor.page_again(form_page(&visitor, "Edit list", &action, &shown)))
        }
    }
}

async fn delete(visitor: Visitor, Path(id): Path<String>) -> Result<Response, PageProblem> {
    super::delete(&visitor.scope, id.parse()?).await?;
    Ok(done("/distribution-lists", "List deleted."))
}

/// The routes.
pub(crate) fn router() -> Router<Gateway> {
    Router::new()
        .route("/distribution-lists", get(list))
        .route("/distribution-lists/new", get(new).post(create))
        .route("/distribution-lists/{id}", get(edit))
        .route("/distribution-lists/{id}/edit", get(edit).post(change))
        .route("/distribution-lists/{id}/delete", post(delete))
}
