//! When keys, applications and grants were last used, from where and by which program: noted in memory, written down together.

use std::collections::HashMap;

use db::{Arg, Tx, sql};
use serde::Serialize;
use types::{ClientId, ConsentId, KeyId, ProviderId, Result, Timestamp};

/// Uses that wait to be written down.
const NOTED_MAX: usize = 20_000;
/// What is kept of a program's description of itself.
const AGENT_CHARS_MAX: usize = 200;

/// What was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Machine {
    /// An API key, by its present secret.
    Key(KeyId),
    /// An API key, by its former secret.
    FormerKey(KeyId),
    /// An application in its own name.
    Client(ClientId),
    /// A token of a tenant's sign-in service, of whose use nothing is kept here.
    Service(ProviderId),
    /// An application for a person.
    Consent(ConsentId, ClientId),
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct Use {
    at: i64,
    from: Option<String>,
    agent: Option<String>,
}

/// Uses that are not written down yet; the last of each.
#[derive(Debug, Clone, Default)]
pub(super) struct Uses(HashMap<Machine, Use>);

#[derive(Serialize)]
struct Row<'a> {
    id: i64,
    #[serde(flatten)]
    used: &'a Use,
}

impl Uses {
    pub(super) fn note(&mut self, machine: Machine, at: Timestamp, from: Option<&str>, agent: Option<&str>) {
        if self.0.len() >= NOTED_MAX && !self.0.contains_key(&machine) {
            return;
        }
        let clipped =
            |agent: &str| agent.char_indices().nth(AGENT_CHARS_MAX).map_or(agent.len(), |(end, _)| end);
        let agent = agent.map(|agent| &agent[..clipped(agent)]);
        let at = at.unix_ms();
        match self.0.get_mut(&machine) {
            // As good as always: the same program, from the same place.
            Some(used) if used.from.as_deref() == from && used.agent.as_deref() == agent => used.at = at,
            _ => {
                let used = Use { at, from: from.map(str::to_owned), agent: agent.map(str::to_owned) };
                self.0.insert(machine, used);
            }
        }
    }

    /// Forgets what is written down, unless it was used again meanwhile.
    pub(super) fn forget(&mut self, written: &Self) {
        self.0.retain(|machine, used| written.0.get(machine) != Some(used));
    }

    fn rows(&self, of: impl Fn(&Machine) -> Option<i64>) -> Vec<Row<'_>> {
        self.0.iter().filter_map(|(machine, used)| Some(Row { id: of(machine)?, used })).collect()
    }

    /// Writes them down, one statement for each kind.
    pub(super) async fn write(&self, tx: &mut Tx) -> Result<()> {
        let keys = self.rows(|machine| match machine {
            Machine::Key(id) | Machine::FormerKey(id) => Some(id.raw()),
            _ => None,
        });
        let former = self.rows(|machine| match machine {
            Machine::FormerKey(id) => Some(id.raw()),
            _ => None,
        });
        let clients = self.rows(|machine| match machine {
            Machine::Client(id) | Machine::Consent(_, id) => Some(id.raw()),
            _ => None,
        });
        let grants = self.rows(|machine| match machine {
            Machine::Consent(id, _) => Some(id.raw()),
            _ => None,
        });
        let statements = [
            (
                keys,
                sql!(
                    "update api_key set last_used_at = cast(r.value ->> 'at' as bigint), last_used_from = r.value ->> 'from', \
                     last_used_agent = r.value ->> 'agent' from json_rows($1) r \
                     where api_key.id = cast(r.value ->> 'id' as bigint) /* every tenant: one batch for all keys in use */"
                ),
            ),
            (
                former,
                sql!(
                    "update api_key set former_used_at = cast(r.value ->> 'at' as bigint) from json_rows($1) r \
                     where api_key.id = cast(r.value ->> 'id' as bigint) and api_key.former_hash is not null \
                     /* every tenant: one batch for all keys in use */"
                ),
            ),
            (
                clients,
                sql!(
                    "update oauth_client set last_used_at = cast(r.value ->> 'at' as bigint), \
                     last_used_from = r.value ->> 'from', last_used_agent = r.value ->> 'agent' from json_rows($1) r \
                     where oauth_client.id = cast(r.value ->> 'id' as bigint) \
                     /* every tenant: one batch for all applications in use */"
                ),
            ),
            (
                grants,
                sql!(
                    "update oauth_grant set last_used_at = cast(r.value ->> 'at' as bigint), \
                     from_address = r.value ->> 'from', user_agent = r.value ->> 'agent' from json_rows($1) r \
                     where oauth_grant.id = cast(r.value ->> 'id' as bigint) /* every tenant: one batch for all grants in use */"
                ),
            ),
        ];
        for (mut rows, statement) in statements {
            if rows.is_empty() {
                continue;
            }
            // Where one was used by two names, the later use counts.
            rows.sort_by_key(|row| (row.id, row.used.at));
            let rows: Vec<_> =
                rows.chunk_by(|one, next| one.id == next.id).filter_map(<[Row<'_>]>::last).collect();
            tx.execute(statement, vec![Arg::json(&rows)?]).await?;
        }
        Ok(())
    }
}
