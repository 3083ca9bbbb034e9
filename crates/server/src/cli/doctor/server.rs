//! What the running server tells of itself.

use runtime::Clock;
use serde_json::{Value, json};
use types::Timestamp;

use super::super::client::Client;
use super::super::failure::Failure;
use super::super::show;
use super::super::{ConfigFlags, ReachFlags};
use super::{Check, Outcome};

/// What two clocks may be apart before it is worth a word: a minute.
const CLOCKS_APART_MS: i64 = 60_000;

/// Looks at the server. Where it is not reached, the rest cannot be looked at.
pub(super) async fn checks(flags: &ConfigFlags, reach: &ReachFlags) -> Vec<Check> {
    let client = match Client::new(flags, reach) {
        Ok(client) => client,
        Err(failure) => return vec![refusal("server", &failure)],
    };
    let ready = match client.get_plain(&["ready"], &[]).await {
        Ok(ready) if ready.value.get("ready").is_none() => {
            let found = format!("{} answers, but is no Switchboard", client.address());
            return vec![Check::new(
                "server",
                Outcome::Error,
                found,
                "another program has this port; choose another with --http",
            )];
        }
        Ok(_) => Check::ok("server", format!("{} is ready", client.address())),
        Err(failure) if failure.is_unreachable() => {
            return vec![Check::new("server", Outcome::Warning, failure.what(), failure.hint())];
        }
        Err(failure) => return vec![refusal("server", &failure)],
    };
    let mut checks = vec![ready];
    if client.is_overheard() {
        let found = format!("{} is asked without TLS, so the key can be read on the way", client.address());
        checks.push(Check::new("server", Outcome::Warning, found, "give an https address with --url"));
    }
    if !client.has_key() {
        checks.push(Check::new(
            "key",
            Outcome::Warning,
            "there is no key to ask with",
            "give one with --key or SWITCHBOARD_KEY",
        ));
        return checks;
    }
    match client.get(&["me"], &[]).await {
        Ok(me) => checks.push(Check::ok(
            "key",
            format!(
                "{} of tenant {}",
                show::words(&me.value["actor"]),
                show::words(&me.value["tenant"]["name"])
            ),
        )),
        Err(failure) => {
            checks.push(refusal("key", &failure));
            return checks;
        }
    }
    match client.get(&["connections"], &[("limit", Some("200".to_owned()))]).await {
        Ok(page) => checks.extend(connections(page.items())),
        Err(failure) => checks.push(refusal("connections", &failure)),
    }
    match client.get(&["routes"], &[]).await {
        Ok(page) => checks.push(routes(page.items())),
        Err(failure) => checks.push(refusal("routes", &failure)),
    }
    if let Ok(newest) = client.get(&["messages"], &[("limit", Some("1".to_owned()))]).await {
        checks.extend(newest.items().first().and_then(|newest| clocks(newest, Clock::system().now())));
    }
    match client.get(&["messages", "sums"], &[]).await {
        Ok(sums) => checks.push(balance(&sums.value)),
        Err(failure) => checks.push(refusal("sums", &failure)),
    }
    checks
}

fn refusal(name: &'static str, failure: &Failure) -> Check {
    Check::new(name, Outcome::Error, failure.what(), failure.hint())
}

fn connections(items: &[Value]) -> Vec<Check> {
    let name = "connections";
    if items.is_empty() {
        let advice = "create one: switchboard connection create NAME --host HOST --system-id ID --password -";
        return vec![Check::new(name, Outcome::Warning, "there is none, so nothing can be sent", advice)];
    }
    let checks = items.iter().map(|connection| {
        let label = show::words(&connection["name"]);
        let (wanted, state) =
            (connection["wanted"].as_str().unwrap_or_default(), connection["status"]["state"].as_str());
        match (wanted, state) {
            ("started", Some("bound")) => Check::ok(name, format!("{label} is bound")),
            ("started", Some("throttled")) => {
                let found = format!("{label} is bound, and the carrier says that we are too fast");
                Check::new(name, Outcome::Warning, found, "lower its throughput to what the contract allows")
            }
            ("started", state) => {
                let binds = connection["status"]["binds"].as_array().into_iter().flatten();
                let error = binds
                    .filter_map(|bind| bind["last_error"].as_str())
                    .next()
                    .unwrap_or("no reason is known yet");
                let found = format!("{label} is {}: {error}", state.unwrap_or("not running"));
                Check::new(
                    name,
                    Outcome::Error,
                    found,
                    "check its host, port, system_id and password, and that the carrier lets this address in",
                )
            }
            (wanted, _) => Check::skipped(name, format!("{label} is {wanted}")),
        }
    });
    checks.collect()
}

fn routes(items: &[Value]) -> Check {
    let active = items.iter().filter(|route| route["active"] == json!(true)).count();
    if active == 0 {
        let advice = "create one: switchboard route create NAME --target CONNECTION";
        return Check::new("routes", Outcome::Warning, "none is active, so nothing can be sent", advice);
    }
    Check::ok("routes", format!("{active} active"))
}

/// A message from the future: a clock was set back, or this machine's and the server's differ.
fn clocks(newest: &Value, now: Timestamp) -> Option<Check> {
    let accepted = Timestamp::parse(newest["accepted_at"].as_str()?).ok()?;
    (accepted > now.plus_ms(CLOCKS_APART_MS)).then(|| {
        let found = format!("the newest message was accepted at {accepted}, and here it is {now}");
        Check::new(
            "clocks",
            Outcome::Warning,
            found,
            "set the clocks by NTP: ids, validity and receipts go by them",
        )
    })
}

fn balance(sums: &Value) -> Check {
    let accepted = show::words(&sums["accepted"]);
    if sums["balanced"] == json!(true) {
        return Check::ok("sums", format!("{accepted} accepted, each in exactly one state"));
    }
    let total: i64 =
        sums["states"].as_array().into_iter().flatten().filter_map(|state| state["n"].as_i64()).sum();
    let found = format!("{accepted} accepted, and {total} in the states");
    Check::new("sums", Outcome::Error, found, "this is a fault of ours: keep the data folder and report it")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_should_be_bound_and_is_not_is_an_error() {
        let outcome = |wanted: &str, state: &str| {
            let item = json!({ "name": "c", "wanted": wanted, "status": { "state": state, "binds": [{ "last_error": "refused" }] } });
            connections(&[item])[0].outcome
        };
        assert_eq!(outcome("started", "bound"), Outcome::Ok);
        assert_eq!(outcome("started", "throttled"), Outcome::Warning);
        assert_eq!(outcome("started", "down"), Outcome::Error);
        assert_eq!(outcome("stopped", "stopped"), Outcome::Skipped);
        assert_eq!(connections(&[])[0].outcome, Outcome::Warning);
    }

    #[test]
    fn a_message_from_the_future_is_worth_a_word() {
        let newest = json!({ "accepted_at": "2027-01-31T09:00:00.000Z" });
        let at = |text: &str| clocks(&newest, Timestamp::parse(text).unwrap()).is_some();
        assert!(at("2027-01-31T08:58:00Z"));
        assert!(!at("2027-01-31T08:59:30Z") && !at("2028-01-01T00:00:00Z"));
    }

    #[test]
    fn sums_that_do_not_balance_are_an_error() {
        assert_eq!(balance(&json!({ "accepted": 1, "balanced": true, "states": [] })).outcome, Outcome::Ok);
        let check = balance(&json!({ "accepted": 2, "balanced": false, "states": [{ "n": 1 }] }));
        assert_eq!(
            (check.outcome, check.found.as_str()),
            (Outcome::Error, "2 accepted, and 1 in the states")
        );
    }
}
