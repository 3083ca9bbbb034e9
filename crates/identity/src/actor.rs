//! What people call who acted: records keep an actor's id, which outlives every change of name.

use std::collections::{BTreeSet, HashMap};

use db::{Arg, record, sql};
use runtime::Scope;
use serde::Serialize;
use types::{ClientId, KeyId, Result, UserId};

record! { struct Named { id: i64, name: String } }

#[derive(Serialize, PartialEq, Eq, PartialOrd, Ord)]
struct Asked {
    id: i64,
}

/// A kind of actor: how its ids are read and written, and where the names are.
struct Kind {
    read: fn(&str) -> Option<i64>,
    write: fn(i64) -> String,
    names: &'static str,
}

const KINDS: [Kind; 3] = [
    Kind {
        read: |text| text.parse::<UserId>().ok().map(UserId::raw),
        write: |id| UserId::from_raw(id).to_string(),
        names: sql!(
            "select id, name from users where tenant_id = $1 \
             and id in (select cast(r.value ->> 'id' as bigint) from json_rows($2) r)"
        ),
    },
    Kind {
        read: |text| text.parse::<KeyId>().ok().map(KeyId::raw),
        write: |id| KeyId::from_raw(id).to_string(),
        names: sql!(
            "select id, name from api_key where tenant_id = $1 \
             and id in (select cast(r.value ->> 'id' as bigint) from json_rows($2) r)"
        ),
    },
    Kind {
        read: |text| text.parse::<ClientId>().ok().map(ClientId::raw),
        write: |id| ClientId::from_raw(id).to_string(),
        names: sql!(
            "select id, name from oauth_client where tenant_id = $1 \
             and id in (select cast(r.value ->> 'id' as bigint) from json_rows($2) r)"
        ),
    },
];

/// The names of the tenant's users, keys and applications among some actors, by the actor's text, such as `usr_…`, or
/// `app_… for usr_…` where one acts for another. Whoever may see a record may see the name of who made it.
///
/// # Errors
/// When the database does not answer.
pub async fn names<'a>(
    scope: &Scope,
    actors: impl Iterator<Item = &'a str> + Clone,
) -> Result<HashMap<String, String>> {
    let words = || actors.clone().flat_map(|actor| actor.split(' '));
    let mut tx = scope.read().await?;
    let mut names: HashMap<String, String> = HashMap::new();
    for kind in &KINDS {
        let asked: BTreeSet<Asked> = words().filter_map(kind.read).map(|id| Asked { id }).collect();
        if asked.is_empty() {
            continue;
        }
        let rows: Vec<Named> = tx.all(kind.names, vec![scope.tenant().into(), Arg::json(&asked)?]).await?;
        names.extend(rows.into_iter().map(|row| ((kind.write)(row.id), row.name)));
    }
    for actor in actors.clone().filter(|actor| actor.contains(' ')) {
        if actor.split(' ').any(|word| names.contains_key(word)) {
            let named = actor.split(' ').map(|word| names.get(word).map_or(word, String::as_str));
            names.insert(actor.to_owned(), named.collect::<Vec<_>>().join(" "));
        }
    }
    Ok(names)
}
