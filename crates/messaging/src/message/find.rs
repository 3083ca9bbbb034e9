//! The newest messages that fit a filter: of everybody, or of some people.

use db::{Arg, Tx, args, sql};
use runtime::{Reached, Scope};
use types::{Permission, Result, UserId};

use super::query::MessageFilter;
use crate::recover::MessageRecord;

/// People whose messages are found one person after the other, each by their own index. Of more people together, everybody's
/// messages are looked through: those of so many are no rarity among them.
pub(super) const ONE_BY_ONE_MAX: usize = 200;

/// Whose messages are looked for.
#[derive(Debug, PartialEq, Eq)]
enum Whose<'a> {
    /// Everybody's, and nobody's.
    Everybody,
    /// Those of these people.
    Only(&'a [UserId]),
}

impl<'a> Whose<'a> {
    /// Those that the filter asks for, of those that somebody may see.
    fn of(reached: Reached<'a>, asked: Option<&'a UserId>) -> Self {
        match (reached, asked) {
            (Reached::All, None) => Self::Everybody,
            (Reached::All, Some(owner)) => Self::Only(std::slice::from_ref(owner)),
            (Reached::Only(people), None) => Self::Only(people),
            (Reached::Only(people), Some(owner)) if people.contains(owner) => {
                Self::Only(std::slice::from_ref(owner))
            }
            (Reached::Only(_), Some(_)) => Self::Only(&[]),
        }
    }
}

/// The newest messages before an id.
///
/// # Errors
/// A filter that is none.
pub(super) async fn newest(
    scope: &Scope,
    filter: &MessageFilter,
    before: i64,
    limit: i64,
) -> Result<Vec<MessageRecord>> {
    let digits =
        |text: &Option<String>| text.as_deref().map(|text| text.trim().trim_start_matches('+').to_owned());
    let mut args = args![
        scope.tenant(),
        before,
        filter.direction.clone(),
        filter.state()?,
        digits(&filter.to),
        digits(&filter.from),
        filter.account,
        filter.connection,
        filter.client_ref.clone(),
        limit
    ];
    let mut tx = scope.read().await?;
    match Whose::of(scope.held().reached(Permission::MessageView), filter.owner.as_ref()) {
        Whose::Everybody => {
            let found = tx.all(
                sql!(
                    "select * from message where tenant_id = $1 and id < $2 \
                     and (cast($3 as text) is null or direction = $3) and (cast($4 as text) is null or state = $4) \
                     and (cast($5 as text) is null or recipient = $5) and (cast($6 as text) is null or sender = $6) \
                     and (cast($7 as bigint) is null or account_id = $7) and (cast($8 as bigint) is null or connection_id = $8) \
                     and (cast($9 as text) is null or client_ref = $9) \
                     order by id desc limit $10"
                ),
                args,
            );
            Ok(found.await?)
        }
        Whose::Only(people) if people.len() <= ONE_BY_ONE_MAX => {
            one_by_one(&mut tx, people, args, limit).await
        }
        Whose::Only(people) => {
            let people: Vec<_> = people.iter().map(|id| serde_json::json!({ "id": id.raw() })).collect();
            args.extend(args![Arg::json(&people)?]);
            let found = tx.all(
                sql!(
                    "select * from message where tenant_id = $1 and id < $2 \
                     and (cast($3 as text) is null or direction = $3) and (cast($4 as text) is null or state = $4) \
                     and (cast($5 as text) is null or recipient = $5) and (cast($6 as text) is null or sender = $6) \
                     and (cast($7 as bigint) is null or account_id = $7) and (cast($8 as bigint) is null or connection_id = $8) \
                     and (cast($9 as text) is null or client_ref = $9) \
                     and owner_id in (select cast(r.value ->> 'id' as bigint) from json_rows($11) r) order by id desc limit $10"
                ),
                args,
            );
            Ok(found.await?)
        }
    }
}

/// The newest messages of a few people. By pairs, so that their own index alone has this order: a planner would rather walk
/// through everybody's messages to those of somebody who has sent a few.
async fn one_by_one(
    tx: &mut Tx,
    people: &[UserId],
    args: Vec<Arg>,
    limit: i64,
) -> Result<Vec<MessageRecord>> {
    let mut found = Vec::new();
    for person in people {
        let mut args = args.clone();
        args.extend(args![*person]);
        let theirs: Vec<MessageRecord> = tx
            .all(
                sql!(
                    "select * from message where tenant_id = $1 and owner_id is not null \
                     and (owner_id, id) < ($11, $2) and (owner_id, id) >= ($11, 0) \
                     and (cast($3 as text) is null or direction = $3) and (cast($4 as text) is null or state = $4) \
                     and (cast($5 as text) is null or recipient = $5) and (cast($6 as text) is null or sender = $6) \
                     and (cast($7 as bigint) is null or account_id = $7) and (cast($8 as bigint) is null or connection_id = $8) \
                     and (cast($9 as text) is null or client_ref = $9) \
                     order by owner_id desc, id desc limit $10"
                ),
                args,
            )
            .await?;
        found.extend(theirs);
    }
    found.sort_unstable_by_key(|record| std::cmp::Reverse(record.id));
    found.truncate(usize::try_from(limit).unwrap_or(0));
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_asks_for_more_than_they_may_see() {
        let [a, b] = [UserId::from_raw(1), UserId::from_raw(2)];
        assert_eq!(Whose::of(Reached::All, None), Whose::Everybody);
        assert_eq!(Whose::of(Reached::All, Some(&b)), Whose::Only(&[b]));
        assert_eq!(Whose::of(Reached::Only(&[a]), None), Whose::Only(&[a]));
        assert_eq!(Whose::of(Reached::Only(&[a]), Some(&b)), Whose::Only(&[]));
        assert_eq!(Whose::of(Reached::Only(&[a, b]), Some(&b)), Whose::Only(&[b]));
    }
}
