//! All messages, filtered.

use axum::http::Uri;
use axum::response::Response;
use identity::user;
use maud::{Markup, html};
use types::{Permission, Result};
use web::body::Query;
use web::console::Content;
use web::ui::browse::{self, ActiveFilter, Tab};
use web::ui::feedback;
use web::ui::field::{self, Choice};
use web::ui::form::{self, Weight};
use web::ui::icon::Icon;
use web::ui::words::Words;
use web::{PageProblem, Paging, Problem, Visitor};

use super::{LivePage, live_page, messages_table, seen_alone, sees_others, state_name};
use crate::message::State;
use crate::message::query::{self, MessageFilter};
use crate::pages::may;
use crate::{account, connection};

/// The list's address.
const HERE: &str = "/messages";
/// Choices of a filter at most.
const CHOICES_MAX: &str = "200";

/// Names and values of the filters that are set.
fn pairs(filter: &MessageFilter) -> Vec<(&'static str, String)> {
    let text = |value: &Option<String>| value.clone();
    [
        ("direction", text(&filter.direction)),
        ("state", text(&filter.state)),
        ("to", text(&filter.to)),
        ("from", text(&filter.from)),
        ("account", filter.account.map(|id| id.to_string())),
        ("connection", filter.connection.map(|id| id.to_string())),
        ("client_ref", text(&filter.client_ref)),
        ("owner", filter.owner.map(|id| id.to_string())),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?)))
    .collect()
}

fn address(pairs: &[(&str, String)]) -> String {
    web::body::with_query(HERE, pairs)
}

/// The same filters with one of them changed or, without a value, taken away.
fn with(pairs: &[(&'static str, String)], name: &'static str, value: Option<&str>) -> String {
    let mut others: Vec<_> = pairs.iter().filter(|(other, _)| *other != name).cloned().collect();
    others.extend(value.map(|value| (name, value.to_owned())));
    address(&others)
}

/// What people, accounts and connections there are to filter by: pairs of id and name, for those who may see them.
struct Known {
    people: Vec<(String, String)>,
    accounts: Vec<(String, String)>,
    connections: Vec<(String, String)>,
}

impl Known {
    async fn to(visitor: &Visitor) -> Result<Self> {
        let all = Paging { limit: Some(CHOICES_MAX.to_owned()), ..Paging::default() };
        let mut known = Self { people: Vec::new(), accounts: Vec::new(), connections: Vec::new() };
        known.people.extend(visitor.scope.held().myself().map(|id| (id.to_string(), "Me".to_owned())));
        if may(visitor, Permission::UserView) {
            let page = user::list(&visitor.scope, &all).await?;
            let others = page.items.into_iter().filter(|one| visitor.scope.held().myself() != Some(one.id));
            known.people.extend(others.map(|one| (one.id.to_string(), one.name)));
        }
        if may(visitor, Permission::AccountView) {
            let page = account::list(&visitor.scope, &all).await?;
            known.accounts = page.items.into_iter().map(|one| (one.id.to_string(), one.system_id)).collect();
        }
        if may(visitor, Permission::ConnectionView) {
            let page = connection::list(&visitor.scope, &all).await?;
            known.connections = page.items.into_iter().map(|one| (one.id.to_string(), one.name)).collect();
        }
        Ok(known)
    }

    fn name<'a>(&'a self, field: &str, value: &'a str) -> &'a str {
        let known = match field {
            "owner" => &self.people,
            "account" => &self.accounts,
            "connection" => &self.connections,
            _ => return value,
        };
        known.iter().find(|(id, _)| id == value).map_or(value, |(_, name)| name)
    }
}

fn filters(words: &Words, filter: &MessageFilter, known: &Known, others: bool) -> Markup {
    let set = pairs(filter);
    let value = |name: &str| set.iter().find(|(set, _)| *set == name).map_or("", |(_, value)| value.as_str());
    let mut states = vec![Choice::new("", "Any state")];
    states.extend(State::ALL.map(|state| Choice::new(state.as_str(), state_name(state))));
    let choices = |any, known: &'_ [(String, String)]| {
        let mut choices = vec![(String::new(), any)];
        choices.extend(known.iter().cloned());
        choices
    };
    let accounts = choices("Any account".to_owned(), &known.accounts);
    let connections = choices("Any connection".to_owned(), &known.connections);
    let people = choices("Anybody".to_owned(), &known.people);
    let people: Vec<_> = people.iter().map(|(id, name)| Choice::new(id, name)).collect();
    let accounts: Vec<_> = accounts.iter().map(|(id, name)| Choice::new(id, name)).collect();
    let connections: Vec<_> = connections.iter().map(|(id, name)| Choice::new(id, name)).collect();
    let fields = html! {
        @if let Some(direction) = &filter.direction { input type="hidden" name="direction" value=(direction); }
        (field::search("to", "To").value(value("to")).placeholder("+33612345678"))
        (field::text("from", "From").value(value("from")).placeholder("ACME"))
        (field::select("state", "State", &states).value(value("state")))
        @if others { (field::select("owner", "Sent by", &people).value(value("owner"))) }
        @if !known.accounts.is_empty() { (field::select("account", "Account", &accounts).value(value("account"))) }
        @if !known.connections.is_empty() { (field::select("connection", "Connection", &connections).value(value("connection"))) }
        (field::text("client_ref", "Your reference").value(value("client_ref")))
    };
    let label = |name: &str| match name {
        "to" => "To",
        "from" => "From",
        "state" => "State",
        "account" => "Account",
        "connection" => "Connection",
        "client_ref" => "Reference",
        "owner" => "Sent by",
        _ => "Direction",
    };
    let active: Vec<_> = set
        .iter()
        .filter(|(name, _)| *name != "direction")
        .map(|(name, value)| ActiveFilter {
            label: format!("{}: {}", label(name), known.name(name, value)),
            remove_href: with(&set, name, None),
        })
        .collect();
    browse::filter_bar(words, HERE, &fields, &active)
}

/// The ways of messages. What phones write belongs to nobody, so whoever sees some people's alone has no use for them.
fn views(filter: &MessageFilter) -> Markup {
    let set = pairs(filter);
    let direction = filter.direction.as_deref();
    let (all, out, inbound) = (
        with(&set, "direction", None),
        with(&set, "direction", Some("out")),
        with(&set, "direction", Some("in")),
    );
    let tab = |label, href, current| Tab { label, href, count: None, current };
    browse::tabs(
        "Direction",
        &[
            tab("All", &all, direction.is_none()),
            tab("To phones", &out, direction == Some("out")),
            tab("From phones", &inbound, direction == Some("in")),
        ],
    )
}

fn nothing(visitor: &Visitor, filtered: bool) -> Markup {
    if filtered {
        let all = html! { (form::link("All messages", HERE)) };
        return feedback::empty(
            Icon::Search,
            "No message like this",
            "No message has all of what is asked for.",
            &all,
        );
    }
    let send = html! {
        @if may(visitor, Permission::MessageSend) {
            (form::link("Send your first message", "/send").icon(Icon::Send).weight(Weight::Primary))
        }
    };
    feedback::empty(
        Icon::Message,
        "No message yet",
        "What is sent, and what comes in from phones, stands here.",
        &send,
    )
}

/// The list.
pub(super) async fn list(
    visitor: Visitor,
    uri: Uri,
    filter: Result<Query<MessageFilter>, Problem>,
) -> Result<Response, PageProblem> {
    let Query(mut filter) = filter.map_err(|Problem(error)| PageProblem(error))?;
    // People write numbers in groups.
    if let Some(to) = &mut filter.to {
        to.retain(|character| !character.is_whitespace());
    }
    let found = query::list(&visitor.scope, &filter).await?;
    let words = Words::for_lang(&visitor.person.language);
    let set = pairs(&filter);
    let mut older = set.clone();
    older.extend(found.next.clone().map(|next| ("after", next)));
    let older = found.next.is_some().then(|| address(&older));
    let newest = filter.after.is_some().then(|| address(&set));
    let body = html! {
        (messages_table("messages", &found.items, nothing(&visitor, !set.is_empty() || filter.after.is_some())))
        (browse::pager(words, newest.as_deref(), older.as_deref(), ""))
    };
    // The filters need not be made for a refresh of the rows.
    let above = match visitor.taste.fragment {
        true => html! {},
        false => {
            let known = Known::to(&visitor).await?;
            html! { (seen_alone(&visitor)) @if query::sees_all(&visitor.scope) { (views(&filter)) } (filters(words, &filter, &known, sees_others(&visitor))) }
        }
    };
    let actions = html! {
        @if may(&visitor, Permission::MessageSend) {
            (form::link("Send a message", "/send").icon(Icon::Send).weight(Weight::Primary))
        }
    };
    let content = Content { actions, ..Content::new("Messages", body) };
    let url = uri.path_and_query().map_or(HERE, |path| path.as_str());
    // What an older page shows no new message changes but by its state; it stands still for its reader.
    let topics: &[&str] = if filter.after.is_some() { &[] } else { &["message"] };
    Ok(live_page(&visitor, LivePage { content, region: "message-list", url, topics, above }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_filter_can_be_taken_away_and_the_others_stay() {
        let filter = MessageFilter {
            to: Some("+336 1".to_owned()),
            state: Some("sent".to_owned()),
            ..MessageFilter::default()
        };
        let set = pairs(&filter);
        assert_eq!(address(&set), "/messages?state=sent&to=%2B336+1");
        assert_eq!(with(&set, "state", None), "/messages?to=%2B336+1");
        assert_eq!(with(&set, "direction", Some("in")), "/messages?state=sent&to=%2B336+1&direction=in");
        assert_eq!(address(&[]), "/messages");
    }
}
