//! What is remembered of who asks, and what makes it be forgotten: the event stream tells of every change that concerns somebody.

use runtime::Actor;
use runtime::live::Heard;
use types::{Event, TenantId, Timestamp};
use web::access::Credentials;

use super::{Known, Memory, Program, REMEMBERED_MAX};

impl Memory {
    /// Reads the news and forgets whom they concern.
    pub(super) fn listen(&mut self) {
        while let Some(heard) = self.heard.heard() {
            match heard {
                Heard::News(news) => news.events.iter().for_each(|event| self.hear(news.tenant, event)),
                Heard::Missed => self.forget(|_| true),
                Heard::Over => return,
            }
        }
    }

    fn hear(&mut self, tenant: TenantId, event: &Event) {
        match event {
            Event::KeyRevoked(change) | Event::KeyChanged(change) => {
                self.forget(|known| matches!(known.actor, Actor::Key(id) if id.to_string() == change.id));
            }
            Event::ClientChanged(change) | Event::ClientDeleted(change) => {
                self.forget(|known| match known.actor {
                    Actor::Client(client) | Actor::App { client, .. } => client.to_string() == change.id,
                    _ => false,
                });
            }
            Event::ConsentEnded(change) => {
                let ended = |program: &Program| program.grant.is_some_and(|id| id.to_string() == change.id);
                self.forget(|known| known.program.as_deref().is_some_and(ended));
            }
            Event::SigningKeysRevoked(_) => {
                let by_token = |program: &Program| program.token.is_some();
                self.forget(|known| known.program.as_deref().is_some_and(by_token));
            }
            Event::ProviderChanged(_) | Event::ProviderDeleted(_) | Event::UserUnlinked(_) => {
                let foreign = |known: &Known| matches!(known.actor, Actor::Foreign { .. });
                self.forget(|known| known.tenant == tenant && foreign(known));
            }
            Event::TokenRevoked(change) => {
                let revoked = |program: &Program| program.token.as_ref() == Some(&change.id);
                self.forget(|known| known.program.as_deref().is_some_and(revoked));
            }
            Event::UserChanged(change) | Event::UserPasswordChanged(change) => {
                let theirs =
                    |known: &Known| known.owner.into_iter().chain(known.behind.as_ref().map(|by| by.id));
                self.forget(|known| theirs(known).any(|id| id.to_string() == change.id));
            }
            Event::UserSignedOut(access) | Event::UserProved(access) => {
                let person = |known: &Known| known.person.as_ref().is_some_and(|one| one.email == access.who);
                let behind = |known: &Known| known.behind.as_ref().is_some_and(|one| one.email == access.who);
                self.forget(|known| person(known) || behind(known));
            }
            Event::TenantChanged(change)
            | Event::BrandChanged(change)
            | Event::TenantErased(change)
            | Event::SignInPolicyChanged(change) => {
                self.forget(|known| known.tenant.to_string() == change.id);
            }
            Event::UserImpersonated(_)
            | Event::ImpersonationEnded(_)
            | Event::UserEmailChanged(_)
            | Event::RoleChanged(_)
            | Event::RoleDeleted(_)
            | Event::GrantCreated(_)
            | Event::GrantEnded(_)
            | Event::TeamChanged(_)
            | Event::TeamDeleted(_)
            | Event::TeamCreated(_) => self.forget(|known| known.tenant == tenant),
            _ => {}
        }
    }

    fn forget(&mut self, concerned: impl Fn(&Known) -> bool) {
        self.generation += 1;
        self.known.retain(|_, known| !concerned(known));
    }

    pub(super) fn remember(&mut self, hash: String, known: &Known, generation: u64, now: Timestamp) {
        self.listen();
        if self.generation != generation {
            return;
        }
        if self.known.len() >= REMEMBERED_MAX {
            self.known.retain(|_, known| known.remembered_until > now);
        }
        if self.known.len() < REMEMBERED_MAX {
            self.known.insert(hash, known.clone());
        }
    }

    pub(super) fn note_use(&mut self, known: &Known, credentials: &Credentials, now: Timestamp) {
        if let Some(program) = &known.program {
            let (from, agent) = (credentials.origin.from.as_deref(), credentials.agent.as_deref());
            self.used.note(program.machine, now, from, agent);
        }
        if let Some(id) = known.session.map(|seat| seat.session)
            && (self.sessions_seen.len() < REMEMBERED_MAX || self.sessions_seen.contains_key(&id))
        {
            self.sessions_seen.insert(id, now);
        }
    }
}
