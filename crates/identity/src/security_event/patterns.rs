//! What is suspicious: plain functions of what happened, and counts over a window of time in bounded memory.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use runtime::config::Watch;
use runtime::sighting::{Door, Sighting};
use serde_json::Value;
use types::event::{Change, Recorded};
use types::{Event, Permissions, TenantId, Timestamp, UserId};

use super::{Finding, Kind, PLATFORM, Severity};
use crate::role;

/// Counts that are held; beyond them the one that began first is dropped.
const COUNTS_MAX: usize = 50_000;
/// Users that one network's count tells apart.
const USERS_MAX: usize = 1_000;

/// The network that an address counts for: of IPv4 the address, of IPv6 its /64, which one subscriber has.
pub(super) fn network(from: IpAddr) -> String {
    match from.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{}/64", std::net::Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

/// The wider network by which a person's places are told apart: of IPv4 a /16, of IPv6 a /32, which one provider has.
pub(super) fn neighbourhood(from: &str) -> Option<String> {
    match from.parse::<IpAddr>().ok()?.to_canonical() {
        IpAddr::V4(address) => {
            let [a, b, ..] = address.octets();
            Some(format!("{a}.{b}.0.0/16"))
        }
        IpAddr::V6(address) => {
            let [a, b, ..] = address.segments();
            Some(format!("{a:x}:{b:x}::/32"))
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum What {
    User(UserId),
    Account(String),
    Network(String),
    Scan(Door, String),
    Reader(String, &'static str),
}

#[derive(Debug)]
struct Count {
    since: Timestamp,
    n: u64,
    /// What of it was told already; nothing before the bound is reached.
    told: u64,
    users: HashSet<u64>,
}

/// Counts over a window.
#[derive(Debug, Default)]
pub(super) struct Counts {
    counts: HashMap<(TenantId, What), Count>,
}

impl Counts {
    /// Counts, and gives how much is to be told: all of it when the bound is reached, later what is new.
    fn hit(
        &mut self,
        (key, n): ((TenantId, What), u64),
        now: Timestamp,
        window_ms: i64,
        bound: impl Fn(&Count) -> bool,
        user: Option<u64>,
    ) -> Option<(u64, usize)> {
        if self.counts.len() >= COUNTS_MAX && !self.counts.contains_key(&key) {
            self.make_room(now, window_ms);
        }
        let new = || Count { since: now, n: 0, told: 0, users: HashSet::new() };
        let count = self.counts.entry(key).or_insert_with(new);
        if now.since_ms(count.since) > window_ms {
            *count = new();
        }
        count.n = count.n.saturating_add(n);
        if let Some(user) = user
            && count.users.len() < USERS_MAX
        {
            count.users.insert(user);
        }
        if !bound(count) {
            return None;
        }
        let fresh = count.n - count.told;
        count.told = count.n;
        Some((fresh, count.users.len()))
    }

    fn make_room(&mut self, now: Timestamp, window_ms: i64) {
        self.counts.retain(|_, count| now.since_ms(count.since) <= window_ms);
        if self.counts.len() >= COUNTS_MAX {
            let oldest = self.counts.iter().min_by_key(|(_, count)| count.since).map(|(key, _)| key.clone());
            if let Some(oldest) = oldest {
                self.counts.remove(&oldest);
            }
        }
    }

    /// What a tenant's audited event means.
    pub(super) fn heard(&mut self, watch: &Watch, tenant: TenantId, recorded: &Recorded) -> Vec<Finding> {
        let now = recorded.at;
        let from = recorded.from.as_deref().map_or_else(String::new, |from| format!(" from {from}"));
        let person = recorded.actor.parse::<UserId>().ok();
        let finding = |kind, severity, subject: &str, user, detail: String| Finding {
            tenant,
            kind,
            severity,
            subject: subject.to_owned(),
            user,
            detail,
            count: 1,
            at: now,
        };
        if let Some((kind, severity, subject, detail)) = misused(recorded) {
            return vec![finding(kind, severity, subject, subject.parse().ok(), format!("{detail}{from}"))];
        }
        match &recorded.event {
            Event::UserRefused(access) => {
                let Some(user) = person else { return Vec::new() };
                let bound = |count: &Count| count.n >= watch.failures_max;
                let hit = self.hit(((tenant, What::User(user)), 1), now, window_ms(watch), bound, None);
                let Some((count, _)) = hit else { return Vec::new() };
                let detail =
                    format!("sign-ins failed, the last{from}: {}", access.reason.as_deref().unwrap_or(""));
                let found = finding(Kind::BruteForce, Severity::Medium, &access.who, Some(user), detail);
                vec![Finding { count: count.cast_signed(), ..found }]
            }
            Event::UserLockedOut(access) => {
                let detail = access.reason.clone().unwrap_or_default();
                vec![finding(Kind::BruteForce, Severity::Medium, &access.who, person, detail)]
            }
            Event::UserNewDevice(access) => {
                let agent = access.reason.as_deref().unwrap_or("a browser that does not say what it is");
                let detail = format!("first sign-in{from} with {agent}");
                vec![finding(Kind::NewDevice, Severity::Low, &access.who, person, detail)]
            }
            Event::UserImpersonated(change) => {
                let (by, why) =
                    (text(change.after.as_ref(), "by_name"), text(change.after.as_ref(), "reason"));
                let user = change.id.parse().ok();
                let detail = format!("{by} acts as this user{from}: {why}");
                vec![finding(Kind::Impersonation, Severity::Low, &change.name, user, detail)]
            }
            Event::DataExported(exported) => {
                let bound = i64::try_from(watch.rows_read_max).unwrap_or(i64::MAX);
                let many = exported.records.is_some_and(|records| records >= bound);
                let severity = if many { Severity::Medium } else { Severity::Low };
                let records =
                    exported.records.map_or(String::new(), |records| format!("{records} records of "));
                let detail = format!("{} took {records}{} away{from}", recorded.actor, exported.what);
                vec![finding(Kind::MassExport, severity, &recorded.actor, person, detail)]
            }
            event => {
                // What the program gives to whom at its first start is nobody's doing.
                if recorded.actor.starts_with("system") {
                    return Vec::new();
                }
                let widened = widened(event, &recorded.actor);
                let user = |subject: &str| subject.parse::<UserId>().ok();
                let found = |(severity, id, name, what): (Severity, String, String, String)| {
                    let detail = format!("{} {what}{from}", recorded.actor);
                    finding(Kind::PrivilegeChange, severity, &name, user(&id), detail)
                };
                widened.map(found).into_iter().collect()
            }
        }
    }

    /// What was seen so often at the doors means.
    pub(super) fn seen(
        &mut self,
        watch: &Watch,
        sighting: &Sighting,
        n: u64,
        now: Timestamp,
    ) -> Vec<Finding> {
        let window = window_ms(watch);
        let finding = |tenant, kind, severity, subject: String, count: u64, detail: String| Finding {
            tenant,
            kind,
            severity,
            subject,
            user: None,
            detail,
            count: i64::try_from(count).unwrap_or(i64::MAX),
            at: now,
        };
        match sighting {
            Sighting::TurnedAway { door, from } => {
                let most = if *door == Door::Http { watch.turned_away_max } else { watch.strangers_max };
                let from = network(*from);
                let key = (PLATFORM, What::Scan(*door, from.clone()));
                let Some((count, _)) = self.hit((key, n), now, window, |count| count.n >= most, None) else {
                    return Vec::new();
                };
                let what = match door {
                    Door::Http => "requests were answered with 401, 403 or 404",
                    Door::Smpp | Door::Ucp | Door::Smtp => "unknown names or garbage",
                };
                let detail = format!("{}: {what}", door.as_str());
                vec![finding(PLATFORM, Kind::Scanning, Severity::Medium, from, count, detail)]
            }
            Sighting::Guessed { door, tenant, account, from } => {
                let key = (*tenant, What::Account(account.clone()));
                let bound = |count: &Count| count.n >= watch.failures_max;
                let Some((count, _)) = self.hit((key, n), now, window, bound, None) else {
                    return Vec::new();
                };
                let detail = format!("wrong passwords over {}, the last from {from}", door.as_str());
                vec![finding(*tenant, Kind::BruteForce, Severity::Medium, account.clone(), count, detail)]
            }
            Sighting::SignInRefused { tenant, who, from } => {
                self.refused(watch, (*tenant, *who, *from), n, now)
            }
            Sighting::Read { tenant, actor, what } => {
                let key = (*tenant, What::Reader(actor.clone(), what));
                let bound = |count: &Count| count.n >= watch.rows_read_max;
                let Some((count, _)) = self.hit((key, n), now, window, bound, None) else {
                    return Vec::new();
                };
                let detail = format!("{actor} read {what}, so many rows");
                let found =
                    finding(*tenant, Kind::MassExport, Severity::Medium, actor.clone(), count, detail);
                vec![Finding { user: actor.parse().ok(), ..found }]
            }
        }
    }

    /// Refused sign-ins from one network: guessing at one user, or few passwords tried on many. They count for the tenant of
    /// the user who was tried, and for the platform.
    fn refused(
        &mut self,
        watch: &Watch,
        (tenant, who, from): (Option<TenantId>, u64, IpAddr),
        n: u64,
        now: Timestamp,
    ) -> Vec<Finding> {
        let from = network(from);
        let mut found = Vec::new();
        for whose in std::iter::once(PLATFORM).chain(tenant) {
            let key = (whose, What::Network(from.clone()));
            let sprayed = |count: &Count| count.users.len() >= watch.sprayed_users_max;
            let bound = |count: &Count| sprayed(count) || count.n >= watch.network_failures_max;
            let Some((count, users)) = self.hit((key, n), now, window_ms(watch), bound, Some(who)) else {
                continue;
            };
            let (kind, severity) = if users >= watch.sprayed_users_max {
                (Kind::PasswordSpraying, Severity::High)
            } else {
                (Kind::BruteForce, Severity::Medium)
            };
            found.push(Finding {
                tenant: whose,
                kind,
                severity,
                subject: from.clone(),
                user: None,
                detail: format!("sign-ins failed for {users} different addresses"),
                count: i64::try_from(count).unwrap_or(i64::MAX),
                at: now,
            });
        }
        found
    }
}

fn window_ms(watch: &Watch) -> i64 {
    i64::from(watch.window_m) * 60_000
}

/// How bad it is to have all that a role of this name allows.
fn weight(role: &str) -> Severity {
    match role {
        role::PLATFORM_ADMIN | role::TENANT_ADMIN | role::RESELLER => Severity::High,
        _ => Severity::Medium,
    }
}

/// Secrets in hands that should not have them, and a trail that somebody has written in: how bad that is, whose it is, and what
/// was seen, in words.
fn misused(recorded: &Recorded) -> Option<(Kind, Severity, &str, String)> {
    match &recorded.event {
        Event::RefreshReused(access) => {
            let detail = format!("{} {}", access.by, access.reason.as_deref().unwrap_or("shown again"));
            Some((Kind::StolenToken, Severity::High, &access.who, detail))
        }
        Event::KeyRefused(access) => {
            let why = access.reason.as_deref().unwrap_or("not allowed");
            let detail = format!("{} of {} came and was refused: {why}", access.by, recorded.actor);
            Some((Kind::KeyMisuse, Severity::Medium, &access.who, detail))
        }
        Event::AuditDamaged(change) => {
            let detail = format!("a verification found: {}", change.name);
            Some((Kind::AuditDamaged, Severity::High, &change.id, detail))
        }
        _ => None,
    }
}

/// Rights that a change has widened: how bad that is, whose they are, and what was done, in words.
fn widened(event: &Event, actor: &str) -> Option<(Severity, String, String, String)> {
    let told = |severity, change: &Change, what: String| {
        Some((severity, change.id.clone(), change.name.clone(), what))
    };
    match event {
        Event::UserCreated(change) => {
            let role = text(change.after.as_ref(), "role");
            let severity = weight(role);
            // What a role of the tenant's own allows is not known here.
            let unknown = role::permissions(role) == Permissions::NONE;
            if severity < Severity::High && !unknown {
                return None;
            }
            told(severity, change, format!("created a user with the role {role}"))
        }
        Event::UserChanged(change) => {
            let (before, after) = (text(change.before.as_ref(), "role"), text(change.after.as_ref(), "role"));
            let wider = before != after && !role::permissions(before).covers(role::permissions(after));
            // What a role of the tenant's own allows is not known here.
            let unknown = before != after && role::permissions(after) == Permissions::NONE;
            if !wider && !unknown {
                return None;
            }
            told(weight(after), change, format!("gave the role {after} in place of {before}"))
        }
        Event::GrantCreated(change) => {
            let role = text(change.after.as_ref(), "role");
            let severity = weight(role);
            let what = if role.is_empty() { "permissions".to_owned() } else { format!("the role {role}") };
            told(severity, change, format!("gave {what} for a time"))
        }
        Event::RoleChanged(change) => {
            let held = |side: Option<&Value>| -> HashMap<String, String> {
                let members = side.and_then(|side| side["permissions"].as_object());
                let pairs = members.into_iter().flatten();
                pairs.map(|(name, reach)| (name.clone(), reach.to_string())).collect()
            };
            let (before, after) = (held(change.before.as_ref()), held(change.after.as_ref()));
            let more: Vec<_> =
                after.iter().filter(|(name, reach)| before.get(*name) != Some(reach)).collect();
            let parent = |side: Option<&Value>| text(side, "parent").to_owned();
            let raised = parent(change.before.as_ref()) != parent(change.after.as_ref());
            if more.is_empty() && !raised {
                return None;
            }
            told(Severity::Medium, change, format!("gave the role {} permissions", more.len()))
        }
        Event::UserFactorChanged(change) if change.id != actor => {
            told(Severity::Medium, change, "changed how another user proves who they are".to_owned())
        }
        Event::KeyCreated(change) => {
            let scopes = change.after.as_ref().and_then(|after| after["scopes"].as_array());
            let names = scopes.into_iter().flatten().filter_map(Value::as_str);
            let wide =
                names.filter(|name| name.starts_with("user.") || name.starts_with("key.") || *name == "*");
            let severity = if wide.count() > 0 { Severity::Medium } else { Severity::Low };
            told(severity, change, "made an API key".to_owned())
        }
        Event::ClientCreated(change) => told(Severity::Medium, change, "made an application".to_owned()),
        Event::ProviderCreated(change) | Event::DirectoryCreated(change) => {
            told(Severity::Medium, change, "let another service say who people are".to_owned())
        }
        Event::ProviderChanged(change) | Event::DirectoryChanged(change) => {
            told(Severity::Low, change, "changed a service that says who people are".to_owned())
        }
        Event::SignInPolicyChanged(change) => {
            weakened(change).and_then(|(severity, what)| told(severity, change, what))
        }
        _ => None,
    }
}

/// What a new policy takes from how people prove who they are: how bad that is, and in words.
fn weakened(change: &Change) -> Option<(Severity, String)> {
    let roles = |side: Option<&Value>| -> HashSet<String> {
        let list = side.and_then(|side| side["second_factor_roles"].as_array());
        list.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let lost = roles(change.before.as_ref()).difference(&roles(change.after.as_ref())).count();
    // A phone beside another factor weakens it, and alone it is the weakest that there is.
    let on = |member: &str| {
        let is = |side: Option<&Value>| side.is_some_and(|side| side[member] == true);
        !is(change.before.as_ref()) && is(change.after.as_ref())
    };
    match (lost, on("sms_alone"), on("sms_codes")) {
        (0, false, false) => None,
        (0, true, _) => Some((Severity::Medium, "let a phone be enough as a second step".to_owned())),
        (0, false, true) => Some((Severity::Low, "let codes go to phones".to_owned())),
        _ => Some((Severity::Medium, format!("took the second step from {lost} roles"))),
    }
}

fn text<'a>(side: Option<&'a Value>, member: &str) -> &'a str {
    side.and_then(|side| side[member].as_str()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use types::event::{Access, Exported};

    use super::*;

    const US: TenantId = TenantId::from_raw(7);
    const ANA: &str = "usr_0000000000001";

    fn watch() -> Watch {
        Watch {
            failures_max: 3,
            network_failures_max: 6,
            sprayed_users_max: 4,
            turned_away_max: 10,
            strangers_max: 5,
            rows_read_max: 100,
            ..runtime::Config::for_tests("/tmp/x").watch
        }
    }

    fn at(s: i64) -> Timestamp {
        Timestamp::from_unix_ms(s * 1_000)
    }

    fn recorded(actor: &str, s: i64, event: Event) -> Recorded {
        let from = Some("192.0.2.1".to_owned());
        Recorded { seq: 1, at: at(s), actor: actor.to_owned(), request_id: None, from, event }
    }

    fn refused(s: i64) -> Recorded {
        let access = Access { who: "ana@example.com".to_owned(), by: "password".to_owned(), reason: None };
        recorded(ANA, s, Event::UserRefused(access))
    }

    fn kinds(found: &[Finding]) -> Vec<(Kind, Severity, i64)> {
        found.iter().map(|one| (one.kind, one.severity, one.count)).collect()
    }

    #[test]
    fn failures_of_a_user_are_told_from_the_bound_on_and_not_over_windows() {
        let (mut counts, watch) = (Counts::default(), watch());
        assert!(counts.heard(&watch, US, &refused(0)).is_empty());
        assert!(counts.heard(&watch, US, &refused(1)).is_empty());
        let found = counts.heard(&watch, US, &refused(2));
        assert_eq!(kinds(&found), [(Kind::BruteForce, Severity::Medium, 3)]);
        assert_eq!((found[0].subject.as_str(), found[0].user), ("ana@example.com", ANA.parse().ok()));
        assert_eq!(kinds(&counts.heard(&watch, US, &refused(3))), [(Kind::BruteForce, Severity::Medium, 1)]);
        assert!(counts.heard(&watch, US, &refused(10_000)).is_empty(), "another window");
        assert!(counts.heard(&watch, TenantId::from_raw(8), &refused(10_001)).is_empty(), "another tenant");
    }

    #[test]
    fn few_passwords_on_many_users_are_told_from_guessing_at_one() {
        let (mut counts, watch) = (Counts::default(), watch());
        let from: IpAddr = "198.51.100.9".parse().unwrap();
        let tried = |who, tenant| Sighting::SignInRefused { tenant, who, from };
        for who in 0..3 {
            assert!(counts.seen(&watch, &tried(who, Some(US)), 1, at(0)).is_empty());
        }
        // A stranger's address that nobody has counts for the platform alone.
        let found = counts.seen(&watch, &tried(3, None), 1, at(1));
        assert_eq!(kinds(&found), [(Kind::PasswordSpraying, Severity::High, 4)]);
        assert_eq!((found[0].tenant, found[0].subject.as_str()), (PLATFORM, "198.51.100.9"));
        let found = counts.seen(&watch, &tried(4, Some(US)), 1, at(2));
        assert_eq!(found.iter().map(|one| one.tenant).collect::<Vec<_>>(), [PLATFORM, US]);
        let mut counts = Counts::default();
        assert!(counts.seen(&watch, &tried(1, Some(US)), 5, at(0)).is_empty());
        let found = counts.seen(&watch, &tried(1, Some(US)), 1, at(0));
        assert_eq!(kinds(&found), [(Kind::BruteForce, Severity::Medium, 6); 2]);
    }

    #[test]
    fn strangers_belong_to_the_platform_and_a_subscribers_network_is_one() {
        let (mut counts, watch) = (Counts::default(), watch());
        let away = |from: &str, door| Sighting::TurnedAway { door, from: from.parse().unwrap() };
        assert!(counts.seen(&watch, &away("2001:db8:1:2::3", Door::Http), 9, at(0)).is_empty());
        let found = counts.seen(&watch, &away("2001:db8:1:2::4", Door::Http), 1, at(1));
        assert_eq!(kinds(&found), [(Kind::Scanning, Severity::Medium, 10)]);
        assert_eq!((found[0].tenant, found[0].subject.as_str()), (PLATFORM, "2001:db8:1:2::/64"));
        assert!(counts.seen(&watch, &away("192.0.2.1", Door::Smpp), 4, at(1)).is_empty());
        assert_eq!(counts.seen(&watch, &away("192.0.2.1", Door::Smpp), 1, at(1)).len(), 1);
    }

    #[test]
    fn rows_that_are_read_and_files_that_are_taken_are_told() {
        let (mut counts, watch) = (Counts::default(), watch());
        let read = Sighting::Read { tenant: US, actor: ANA.to_owned(), what: "messages" };
        assert!(counts.seen(&watch, &read, 99, at(0)).is_empty());
        let found = counts.seen(&watch, &read, 50, at(0));
        assert_eq!(kinds(&found), [(Kind::MassExport, Severity::Medium, 149)]);
        assert!(found[0].user.is_some());
        let taken = |records| Event::DataExported(Exported { what: "audit".into(), name: None, records });
        let told = |records| kinds(&Counts::default().heard(&watch, US, &recorded(ANA, 0, taken(records))));
        assert_eq!(told(None), [(Kind::MassExport, Severity::Low, 1)]);
        assert_eq!(told(Some(100)), [(Kind::MassExport, Severity::Medium, 1)]);
    }

    #[test]
    fn rights_that_are_widened_are_told_and_others_not() {
        let role = |role: &str| Some(json!({ "role": role }));
        let change = |before, after| Change { id: ANA.to_owned(), name: "Ana".to_owned(), before, after };
        let told = |event| {
            let found = Counts::default().heard(&watch(), US, &recorded("usr_0000000000002", 0, event));
            found.first().map(|one| one.severity)
        };
        let changed = |before, after| told(Event::UserChanged(change(role(before), role(after))));
        assert_eq!(changed("viewer", "tenant_admin"), Some(Severity::High));
        assert_eq!(changed("viewer", "operator"), Some(Severity::Medium));
        assert_eq!(changed("viewer", "a-role-of-our-own"), Some(Severity::Medium));
        assert_eq!(changed("tenant_admin", "viewer"), None);
        assert_eq!(changed("viewer", "viewer"), None);
        assert_eq!(told(Event::UserCreated(change(None, role("viewer")))), None);
        assert_eq!(told(Event::UserFactorChanged(change(None, None))), Some(Severity::Medium));
        let key = |scope: &str| told(Event::KeyCreated(change(None, Some(json!({ "scopes": [scope] })))));
        assert_eq!((key("message.send"), key("user.role")), (Some(Severity::Low), Some(Severity::Medium)));
        let policy = |roles: &[&str]| Some(json!({ "second_factor_roles": roles }));
        let policies = |before, after| told(Event::SignInPolicyChanged(change(before, after)));
        assert_eq!(policies(policy(&["viewer"]), policy(&[])), Some(Severity::Medium));
        assert_eq!(policies(policy(&[]), policy(&["viewer"])), None);
        let phones = |codes: bool, alone: bool| Some(json!({ "sms_codes": codes, "sms_alone": alone }));
        assert_eq!(policies(phones(false, false), phones(true, false)), Some(Severity::Low));
        assert_eq!(policies(phones(true, false), phones(true, true)), Some(Severity::Medium));
        assert_eq!(policies(phones(true, true), phones(false, false)), None);
        let permissions = |names: &[&str]| {
            let map: serde_json::Map<_, _> =
                names.iter().map(|name| ((*name).to_owned(), json!("all"))).collect();
            Some(json!({ "permissions": map }))
        };
        let roles = |before, after| told(Event::RoleChanged(change(before, after)));
        assert_eq!(roles(permissions(&["a"]), permissions(&["a", "b"])), Some(Severity::Medium));
        assert_eq!(roles(permissions(&["a", "b"]), permissions(&["a"])), None);
        let by_us = recorded("system first start", 0, Event::KeyCreated(change(None, None)));
        assert!(Counts::default().heard(&watch(), US, &by_us).is_empty());
    }

    #[test]
    fn secrets_in_other_hands_and_a_damaged_trail_are_told() {
        let told = |event| kinds(&Counts::default().heard(&watch(), US, &recorded("key key_1", 0, event)));
        let access = || Access { who: ANA.to_owned(), by: "refresh token".to_owned(), reason: None };
        assert_eq!(told(Event::RefreshReused(access())), [(Kind::StolenToken, Severity::High, 1)]);
        assert_eq!(told(Event::KeyRefused(access())), [(Kind::KeyMisuse, Severity::Medium, 1)]);
        let change = || Change { id: US.to_string(), name: "row 7".to_owned(), before: None, after: None };
        assert_eq!(told(Event::AuditDamaged(change())), [(Kind::AuditDamaged, Severity::High, 1)]);
        for event in [Event::ClientCreated(change()), Event::ProviderCreated(change())] {
            assert_eq!(told(event), [(Kind::PrivilegeChange, Severity::Medium, 1)]);
        }
        let reused = recorded(ANA, 0, Event::RefreshReused(access()));
        assert_eq!(Counts::default().heard(&watch(), US, &reused)[0].user, ANA.parse().ok());
    }

    #[test]
    fn the_memory_has_a_bound() {
        let (mut counts, watch) = (Counts::default(), watch());
        for n in 0..COUNTS_MAX + 3 {
            let from = IpAddr::from(u32::try_from(n).unwrap().to_be_bytes());
            counts.seen(&watch, &Sighting::TurnedAway { door: Door::Http, from }, 1, at(0));
        }
        assert_eq!(counts.counts.len(), COUNTS_MAX);
    }
}
