//! What is different between two sets of routes.

use serde::Serialize;
use serde_json::Value;
use types::{Result, RouteId};

use super::version::Staged;
use crate::settings;

/// What is different between two sets of routes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Diff {
    /// Routes that only the later set has.
    pub added: Vec<Staged>,
    /// Routes that only the earlier set has.
    pub removed: Vec<Staged>,
    /// Routes that both have and that are not the same.
    pub changed: Vec<Changed>,
}

/// A route that was changed.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Changed {
    /// Which.
    pub id: RouteId,
    /// What it is called in the later set.
    pub name: String,
    /// What was changed.
    pub fields: Vec<Field>,
}

/// A member that was changed.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
#[schema(as = RouteField)]
pub struct Field {
    /// Which: `priority`, `rule.senders`.
    pub field: String,
    /// Its value in the earlier set.
    pub before: Value,
    /// Its value in the later set.
    pub after: Value,
}

impl Diff {
    /// Whether nothing is different.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }

    /// What leads from one set to another. Routes are the same by their ids.
    ///
    /// # Errors
    /// Never for routes that can be shown.
    pub fn between(before: &[Staged], after: &[Staged]) -> Result<Self> {
        let in_set = |set: &[Staged], id: RouteId| set.iter().position(|route| route.id == id);
        let mut diff = Self::default();
        for route in after {
            match in_set(before, route.id) {
                None => diff.added.push(route.clone()),
                Some(at) => {
                    let fields = fields(&before[at], route)?;
                    if !fields.is_empty() {
                        diff.changed.push(Changed { id: route.id, name: route.name.clone(), fields });
                    }
                }
            }
        }
        diff.removed = before.iter().filter(|route| in_set(after, route.id).is_none()).cloned().collect();
        Ok(diff)
    }
}

fn fields(before: &Staged, after: &Staged) -> Result<Vec<Field>> {
    let mut fields = Vec::new();
    let mut compare = |field: String, before: Value, after: Value| {
        if before != after {
            fields.push(Field { field, before, after });
        }
    };
    compare("name".to_owned(), before.name.as_str().into(), after.name.as_str().into());
    compare("priority".to_owned(), before.priority.into(), after.priority.into());
    compare("active".to_owned(), before.active.into(), after.active.into());
    let (mut old, new) = (settings::members(&before.rule)?, settings::members(&after.rule)?);
    for (name, value) in new {
        let was = old.remove(&name).unwrap_or(Value::Null);
        compare(format!("rule.{name}"), was, value);
    }
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::RouteRule;
    use serde_json::json;

    fn staged(id: i64, priority: i32, senders: &[&str]) -> Staged {
        let senders = senders.iter().map(|sender| (*sender).to_owned()).collect();
        Staged {
            id: RouteId::from_raw(id),
            name: format!("route {id}"),
            priority,
            active: true,
            revision: id,
            rule: RouteRule { senders, ..RouteRule::default() },
        }
    }

    #[test]
    fn what_came_went_and_changed_is_told() {
        let before = [staged(1, 5, &[]), staged(2, 5, &["ACME"]), staged(3, 5, &[])];
        let after = [staged(2, 9, &["ACME", "OTHER"]), staged(3, 5, &[]), staged(4, 5, &[])];
        let diff = Diff::between(&before, &after).unwrap();
        assert_eq!((&diff.added, &diff.removed), (&vec![after[2].clone()], &vec![before[0].clone()]));
        let fields: Vec<_> =
            diff.changed[0].fields.iter().map(|field| (field.field.as_str(), field.before.clone())).collect();
        assert_eq!(fields, [("priority", json!(5)), ("rule.senders", json!(["ACME"]))]);
        assert!(Diff::between(&before, &before).unwrap().is_empty());
        // The revision is bookkeeping, not a difference.
        let mut again = before.clone();
        again[0].revision = 99;
        assert!(Diff::between(&before, &again).unwrap().is_empty());
    }
}
