//! From where a key or an application may be used.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use runtime::config::Network;
use runtime::{Runtime, Scope};
use types::event::Access;
use types::{Error, Event, Result, Timestamp};

/// Networks that one list takes.
const NETWORKS_MAX: usize = 50;

/// Checks a list of networks and brings it into its normal form: `192.0.2.0/24`, `2001:db8::/32`; a single address is a
/// network of its own.
///
/// # Errors
/// `invalid_value` at `networks`.
pub(crate) fn checked(networks: &[String]) -> Result<Vec<String>> {
    if networks.len() > NETWORKS_MAX {
        return Err(Error::invalid("networks", format!("a list has at most {NETWORKS_MAX} networks")));
    }
    let read = |text: &String| text.trim().parse::<Network>().map(|network| network.to_string());
    let mut known = Vec::with_capacity(networks.len());
    for network in networks {
        let network = read(network).map_err(|why| {
            Error::invalid("networks", why).hint("give networks such as 192.0.2.0/24 or 2001:db8::/32.")
        })?;
        if !known.contains(&network) {
            known.push(network);
        }
    }
    Ok(known)
}

/// Whether an address lies in one of the networks; every address does where there are none. One that is not known lies in
/// none.
pub(crate) fn lets_in(networks: &[Network], from: Option<&str>) -> bool {
    let address = || from.and_then(|from| from.parse().ok());
    networks.is_empty()
        || address().is_some_and(|address| networks.iter().any(|network| network.contains(address)))
}

/// The networks of a stored list. What cannot be read lets nobody in: a list that is damaged is no open door.
pub(crate) fn stored(text: &str) -> Option<Vec<Network>> {
    serde_json::from_str(text).ok()
}

/// How often one program's refusals are told, so that nobody can fill the trail with them.
const TOLD_EVERY_MS: i64 = 60_000;
/// Programs whose last refusal is remembered.
const TOLD_MAX: usize = 20_000;

#[derive(Default)]
struct Told(Mutex<HashMap<String, Timestamp>>);

/// Writes down that a program was refused because of its address, beside the answer: whoever has its secret is not where
/// they should be. Once a minute for each program.
pub(crate) fn tell_refused(scope: Scope, name: &str, by: &str) {
    let runtime: Runtime = scope.runtime().clone();
    let now = scope.now();
    {
        let told = runtime.kept(|_| Told::default());
        let mut told = told.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.retain(|_, at| now.since_ms(*at) < TOLD_EVERY_MS);
        let who = scope.actor().to_string();
        if told.contains_key(&who) || told.len() >= TOLD_MAX {
            return;
        }
        told.insert(who, now);
    }
    let event = Access {
        who: name.to_owned(),
        by: by.to_owned(),
        reason: Some("the address is not on its list".to_owned()),
    };
    runtime.tasks.spawn("tell of a refused program", async move {
        let written = async {
            let mut write = scope.write().await?;
            write.happened(Event::KeyRefused(event));
            write.commit(()).await
        };
        if let Err(error) = written.await {
            tracing::error!(?error, "a refused program could not be told of");
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn lists_come_into_their_normal_form() {
        let given = list(&[" 192.0.2.0/24", "192.0.2.0/24", "2001:db8::/32", "198.51.100.7"]);
        assert_eq!(checked(&given).unwrap(), ["192.0.2.0/24", "2001:db8::/32", "198.51.100.7/32"]);
        for wrong in ["10.0.0.1/8", "example.com", "10.0.0.0/33", ""] {
            let refused = checked(&list(&[wrong])).unwrap_err();
            assert_eq!(refused.place(), Some("networks"), "{wrong}");
        }
        assert!(checked(&vec!["192.0.2.1".to_owned(); NETWORKS_MAX + 1]).is_err());
    }

    #[test]
    fn who_is_in_the_networks_is_let_in() {
        let networks = stored(r#"["192.0.2.0/24","2001:db8::/32"]"#).unwrap();
        for inside in ["192.0.2.200", "2001:db8:9::1", "::ffff:192.0.2.1"] {
            assert!(lets_in(&networks, Some(inside)), "{inside}");
        }
        for outside in [Some("192.0.3.1"), Some("2001:db9::1"), Some("nonsense"), None] {
            assert!(!lets_in(&networks, outside), "{outside:?}");
        }
        assert!(lets_in(&[], None));
        assert!(stored("nonsense").is_none());
    }
}
