//! Answers that are kept for repetitions: what one tells of a person who is erased is overwritten, its ids stay.

use db::{Tx, args, record, sql};
use serde_json::{Map, Value};
use types::{Error, Result, TenantId, Timestamp};

use super::{ERASED, scrub};

record! { struct Kept { key: String, body: String } }

/// Answers that are looked at together.
const PAGE: i64 = 500;

/// Whether one of an object's own texts holds an identifier.
pub fn names(object: &Map<String, Value>, identifier: &str) -> bool {
    let named = |value: &Value| value.as_str().is_some_and(|text| scrub(text, identifier) != text);
    object.values().any(|value| named(value) || value.as_array().is_some_and(|all| all.iter().any(named)))
}

/// Overwrites the texts of a value.
fn blank(value: &mut Value) {
    match value {
        Value::String(text) => ERASED.clone_into(text),
        Value::Array(all) => all.iter_mut().for_each(blank),
        Value::Object(object) => blank_object(object),
        _ => {}
    }
}

fn blank_object(object: &mut Map<String, Value>) {
    object.iter_mut().filter(|(name, _)| *name != "id").for_each(|(_, value)| blank(value));
}

fn clean(value: &mut Value, about: &impl Fn(&Map<String, Value>) -> bool) {
    match value {
        Value::Object(object) if about(object) => blank_object(object),
        Value::Object(object) => object.values_mut().for_each(|value| clean(value, about)),
        Value::Array(all) => all.iter_mut().for_each(|value| clean(value, about)),
        _ => {}
    }
}

/// Overwrites, in the answers between two instants that hold a text, the objects that are about a person, and gives how many
/// answers it changed. The text is in lower case.
///
/// # Errors
/// When the database does not answer.
pub async fn clear_answers(
    tx: &mut Tx,
    tenant: TenantId,
    holds: &str,
    (since, before): (Timestamp, Timestamp),
    about: impl Fn(&Map<String, Value>) -> bool,
) -> Result<u64> {
    let like = format!("%{}%", holds.replace(['%', '\\'], "_"));
    let (mut behind, mut done) = (String::new(), 0);
    loop {
        let page: Vec<Kept> = tx
            .all(
                sql!(
                    "select key, body from idempotency where tenant_id = $1 and key > $2 and lower(body) like $3 \
                     and at >= $4 and at < $5 order by key limit $6"
                ),
                args![tenant, behind.as_str(), like.as_str(), since, before, PAGE],
            )
            .await?;
        let Some(last) = page.last() else { return Ok(done) };
        behind.clone_from(&last.key);
        for Kept { key, body } in page {
            let Ok(was) = serde_json::from_str::<Value>(&body) else { continue };
            let mut value = was.clone();
            clean(&mut value, &about);
            if value == was {
                continue;
            }
            let body = serde_json::to_string(&value).map_err(Error::internal)?;
            done += tx
                .execute(
                    sql!("update idempotency set body = $3 where tenant_id = $1 and key = $2"),
                    args![tenant, key, body],
                )
                .await?;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_about_a_person_is_overwritten_and_its_neighbours_stay() {
        let mut answer = json!({ "items": [
            { "id": "a", "phone": "+33612345678", "source": "form", "n": 1 },
            { "id": "b", "phone": "+133612345678", "source": "form", "n": 2 },
        ] });
        clean(&mut answer, &|object| names(object, "33612345678"));
        assert_eq!(answer["items"][0], json!({ "id": "a", "phone": "erased", "source": "erased", "n": 1 }));
        assert_eq!(answer["items"][1]["source"], "form");
    }
}
