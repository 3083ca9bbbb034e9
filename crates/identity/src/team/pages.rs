//! Teams in the console.

use axum::Router;
use axum::extract::Path;
use axum::response::Response;
use axum::routing::{get, post};
use maud::{Markup, html};
use types::{Permission, Result as Checked, UserId};
use web::console::Content;
use web::ui::dialog::{self, Confirm};
use web::ui::icon::Icon;
use web::ui::table::{column, row, table};
use web::ui::words::Words;
use web::ui::{browse, card, feedback, field, form};
use web::{App, Form, PageProblem, Paging, Refused, Visitor, console};

use super::{NewTeam, Team, TeamPatch};
use crate::user::{self, User};

#[derive(Debug, Default)]
struct TeamForm {
    name: String,
    about: String,
    members: Vec<String>,
}

impl From<Vec<(String, String)>> for TeamForm {
    fn from(pairs: Vec<(String, String)>) -> Self {
        let mut given = Self::default();
        for (field, value) in pairs {
            match field.as_str() {
                "name" => given.name = value,
                "about" => given.about = value,
                "members" => given.members.push(value),
                _ => {}
            }
        }
        given
    }
}

impl TeamForm {
    fn members(&self) -> Checked<Vec<UserId>> {
        self.members.iter().map(|id| id.parse::<UserId>().map_err(|error| error.at("members"))).collect()
    }
}

fn may(visitor: &Visitor, permission: Permission) -> bool {
    visitor.scope.permissions().contains(permission)
}

async fn list(visitor: Visitor) -> Result<Response, PageProblem> {
    let teams = super::list(&visitor.scope).await?.items;
    let rows = teams.iter().map(|team| {
        let names: Vec<&str> = team.members.iter().map(|member| member.name.as_str()).collect();
        row(vec![html! { (team.name) }, html! { (team.about) }, html! { (names.join(", ")) }])
            .link(format!("/teams/{}", team.id))
    });
    let create = html! {
        @if may(&visitor, Permission::TeamCreate) {
            (form::link("New team", "/teams/new").icon(Icon::Plus).weight(form::Weight::Primary))
        }
    };
    let text = "A permission that is held for one's team reaches the records of everybody in it.";
    let empty = feedback::empty(Icon::Users, "No teams yet", text, &create);
    let columns = vec![column("Name"), column("For what"), column("Members").detail()];
    let body = html! { (table("Teams", columns, rows.collect()).empty(empty)) };
    Ok(visitor.page(Content { actions: create.clone(), ..Content::new("Teams", body) }))
}

/// The users that can be put into a team. The first 200, as elsewhere in the console; more over the API.
async fn people(visitor: &Visitor) -> Result<Vec<User>, PageProblem> {
    match may(visitor, Permission::UserView) {
        true => {
            let paging = Paging { limit: Some("200".to_owned()), after: None };
            Ok(user::list(&visitor.scope, &paging).await?.items)
        }
        false => Ok(Vec::new()),
    }
}

async fn fields(visitor: &Visitor, given: &TeamForm, refused: &Refused) -> Result<Markup, PageProblem> {
    let people = people(visitor).await?;
    let unseen = given.members.iter().filter(|id| people.iter().all(|user| user.id.to_string() != **id));
    Ok(html! {
        (field::text("name", "Name").value(&given.name).max_chars(100).error(refused.at("name")).required())
        (field::text("about", "For what").value(&given.about).max_chars(300).error(refused.at("about")))
        (form::section("Members", None, &html! {
            @for user in &people {
                @let id = user.id.to_string();
                (field::checkbox("members", &user.name).id(&format!("f-{id}")).value(&id).checked(given.members.contains(&id)))
            }
        }))
        @for id in unseen { input type="hidden" name="members" value=(id); }
        @if let Some(error) = refused.at("members") { p class="error" { (error) } }
    })
}

async fn new_page<'a>(
    visitor: &Visitor,
    given: &TeamForm,
    refused: &Refused,
) -> Result<Content<'a>, PageProblem> {
    let words = Words::for_lang(&visitor.person.language);
    let fields = fields(visitor, given, refused).await?;
    let body = html! {
        (refused.summary(words, &["name", "about"]))
        (form::post("/teams", "", &html! {
            (fields)
            (form::actions(&html! { (form::submit("Create team")) (form::link("Cancel", "/teams")) }))
        }))
    };
    let breadcrumbs = browse::breadcrumbs(words, &[("Teams", "/teams")], "New team");
    Ok(Content { breadcrumbs, ..Content::new("New team", body) })
}

async fn show_new(visitor: Visitor) -> Result<Response, PageProblem> {
    visitor.scope.require(Permission::TeamCreate)?;
    Ok(visitor.page(new_page(&visitor, &TeamForm::default(), &Refused::NONE).await?))
}

async fn create(visitor: Visitor, Form(pairs): Form<Vec<(String, String)>>) -> Result<Response, PageProblem> {
    let given = TeamForm::from(pairs);
    let created = match given.members() {
        Ok(members) => {
            let new = NewTeam { name: given.name.clone(), about: Some(given.about.clone()), members };
            super::create(&visitor.scope, new).await
        }
        Err(error) => Err(error),
    };
    match created {
        Ok(team) => Ok(console::done(&format!("/teams/{}", team.id), "Team created.")),
        Err(error) => Ok(visitor.page_again(new_page(&visitor, &given, &Refused::by(error)?).await?)),
    }
}

async fn detail<'a>(
    visitor: &Visitor,
    team: &'a Team,
    given: &TeamForm,
    refused: &Refused,
) -> Result<Content<'a>, PageProblem> {
    let words = Words::for_lang(&visitor.person.language);
    let fields = fields(visitor, given, refused).await?;
    let body = html! {
        (card::panel(&html! {
            p { (team.about) }
            ul { @for member in &team.members { li { a href={ "/users/" (member.id) } { (member.name) } } } }
        }))
        @if may(visitor, Permission::TeamChange) {
            (refused.summary(words, &["name", "about"]))
            (card::card("Change", &html! {}, &form::post(&format!("/teams/{}", team.id), "", &html! {
                (fields)
                (form::actions(&html! { (form::submit("Save")) }))
            })))
        }
    };
    let action = format!("/teams/{}/delete", team.id);
    let ask = Confirm {
        id: "delete",
        button: "Delete…",
        title: "Delete this team?",
        text: "Its members stay; what they hold for their team reaches fewer records.",
        confirm: "Delete team",
        action: &action,
        csrf: "",
        danger: true,
    };
    let actions = html! { @if may(visitor, Permission::TeamDelete) { (dialog::confirm(words, &ask)) } };
    let breadcrumbs = browse::breadcrumbs(words, &[("Teams", "/teams")], &team.name);
    Ok(Content { actions, breadcrumbs, ..Content::new(&team.name, body) })
}

async fn show(visitor: Visitor, Path(id): Path<String>) -> Result<Response, PageProblem> {
    let team = super::get(&visitor.scope, id.parse()?).await?;
    let members = team.members.iter().map(|member| member.id.to_string()).collect();
    let given = TeamForm { name: team.name.clone(), about: team.about.clone(), members };
    Ok(visitor.page(detail(&visitor, &team, &given, &Refused::NONE).await?))
}

async fn update(
    visitor: Visitor,
    Path(id): Path<String>,
    Form(pairs): Form<Vec<(String, String)>>,
) -> Result<Response, PageProblem> {
    let id = id.parse()?;
    let given = TeamForm::from(pairs);
    let changed = match given.members() {
        Ok(members) => {
            let patch = TeamPatch {
                name: Some(given.name.clone()),
                about: Some(given.about.clone()),
                members: Some(members),
            };
            super::update(&visitor.scope, id, patch).await
        }
        Err(error) => Err(error),
    };
    match changed {
        Ok(_) => Ok(console::done(&format!("/teams/{id}"), "Team saved.")),
        Err(error) => {
            let team = super::get(&visitor.scope, id).await?;
            Ok(visitor.page_again(detail(&visitor, &team, &given, &Refused::by(error)?).await?))
        }
    }
}

async fn delete(visitor: Visitor, Path(id): Path<String>) -> Result<Response, PageProblem> {
    super::delete(&visitor.scope, id.parse()?).await?;
    Ok(console::done("/teams", "Team deleted."))
}

/// The routes.
pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/teams", get(list).post(create))
        .route("/teams/new", get(show_new))
        .route("/teams/{id}", get(show).post(update))
        .route("/teams/{id}/delete", post(delete))
}
