//! What a directory changes in users: decided without a database.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};
use types::UserId;

use super::entry::{Found, role_of};
use super::settings::DirectorySettings;
use crate::name;

/// Users of a directory who may go at once, whatever share they are.
const FEW: usize = 3;

/// A user of the tenant, as a plan needs them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) user: UserId,
    pub(super) name: String,
    pub(super) role: String,
    pub(super) active: bool,
    /// Whether a reading has shut them out.
    pub(super) left: bool,
}

/// What happens to one user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = DirectoryAction)]
#[serde(rename_all = "snake_case", tag = "action")]
pub enum Action {
    /// A person becomes a user.
    Create {
        /// Their e-mail address.
        email: String,
        /// Their role.
        role: String,
    },
    /// A user is tied to their entry.
    Tie {
        /// The user.
        user_id: UserId,
    },
    /// A user gets another role.
    Role {
        /// The user.
        user_id: UserId,
        /// The role that they have.
        from: String,
        /// The role that their groups give.
        to: String,
    },
    /// A user gets the name that the directory has.
    Rename {
        /// The user.
        user_id: UserId,
    },
    /// A user is shut out.
    Leave {
        /// The user.
        user_id: UserId,
        /// Why.
        why: String,
    },
    /// A user who was shut out by a reading is let in again.
    Return {
        /// The user.
        user_id: UserId,
    },
}

/// An action, and the entry that it comes from; none for who has no entry any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) action: Action,
    pub(super) found: Option<Found>,
}

/// Why a person of the directory is no user here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Not {
    /// The directory itself lets them in no more.
    Shut(&'static str),
    /// None of their groups has a role.
    Role,
    /// A user has their address, and is not to be tied.
    Namesake,
    /// People do not become users.
    Created,
    /// They have no address, or one of a domain whose people do not become users.
    Address,
}

/// What is to be done about one person: they are the tied user, or may be the one with their address, or nobody yet.
pub(super) fn decide(
    settings: &DirectorySettings,
    found: &Found,
    tied: Option<&Known>,
    namesake: Option<&Known>,
) -> (Vec<Action>, Result<(), Not>) {
    let role = role_of(settings, &found.groups);
    let follows = !settings.group_roles.is_empty();
    let out = match found.shut {
        Some(why) => Some((Not::Shut(why), why)),
        None if role.is_none() && (follows || tied.is_none() && namesake.is_none()) => {
            Some((Not::Role, "none of their groups in the directory has a role here"))
        }
        None => None,
    };
    if let Some((not, why)) = out {
        let leaves = tied.filter(|known| known.active);
        let leave = leaves.map(|known| Action::Leave { user_id: known.user, why: why.to_owned() });
        return (leave.into_iter().collect(), Err(not));
    }
    let mut actions = Vec::new();
    let known = match (tied, namesake) {
        (Some(known), _) => known,
        (None, Some(namesake)) if settings.link_by_email => {
            actions.push(Action::Tie { user_id: namesake.user });
            namesake
        }
        (None, Some(_)) => return (actions, Err(Not::Namesake)),
        (None, None) => {
            return match become_user(settings, found, role) {
                Ok(action) => (vec![action], Ok(())),
                Err(not) => (actions, Err(not)),
            };
        }
    };
    if tied.is_some() && !known.active && known.left {
        actions.push(Action::Return { user_id: known.user });
    }
    if let Some(role) = role.filter(|role| follows && *role != known.role) {
        actions.push(Action::Role { user_id: known.user, from: known.role.clone(), to: role.to_owned() });
    }
    let named = found
        .name
        .as_ref()
        .is_some_and(|name| name::given("name", name).is_ok_and(|name| name != known.name));
    if tied.is_some() && named {
        actions.push(Action::Rename { user_id: known.user });
    }
    (actions, Ok(()))
}

fn become_user(settings: &DirectorySettings, found: &Found, role: Option<&str>) -> Result<Action, Not> {
    if !settings.create_users {
        return Err(Not::Created);
    }
    let email = found.mail.as_deref().and_then(|mail| name::email(mail).ok()).ok_or(Not::Address)?;
    let domain = email.rsplit_once('@').map(|(_, domain)| domain.to_lowercase()).unwrap_or_default();
    if !settings.domains.is_empty() && !settings.domains.contains(&domain) {
        return Err(Not::Address);
    }
    let role = role.ok_or(Not::Role)?.to_owned();
    Ok(Action::Create { email, role })
}

/// The users of a tenant, by what a reading finds them by.
#[derive(Debug, Default)]
pub(super) struct Users {
    /// Those who are tied to this directory, by their entries' ids.
    pub(super) tied: HashMap<String, Known>,
    /// Those who are tied to no directory, by their folded addresses.
    pub(super) free: HashMap<String, Known>,
    /// Addresses that are in use, here or elsewhere.
    pub(super) taken: HashSet<String>,
}

/// What a reading of the whole directory changes.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) steps: Vec<Step>,
    /// People who are no users here, and stay so.
    pub(super) skipped: usize,
    /// Users who go.
    pub(super) leaving: usize,
    /// Users of the directory who are let in now.
    pub(super) present: usize,
}

/// Decides about everybody.
pub(super) fn plan(settings: &DirectorySettings, people: Vec<Found>, users: &Users) -> Plan {
    let mut plan =
        Plan { present: users.tied.values().filter(|known| known.active).count(), ..Plan::default() };
    let mut seen = HashSet::with_capacity(people.len());
    let mut used = HashSet::new();
    for found in people {
        if !seen.insert(found.entry.clone()) {
            continue;
        }
        let folded = found.mail.as_deref().map(name::folded).unwrap_or_default();
        let tied = users.tied.get(&found.entry);
        let namesake = users.free.get(&folded);
        // Of two entries with one address the first counts.
        let again = tied.is_none() && !folded.is_empty() && used.contains(&folded);
        if again || tied.is_none() && namesake.is_none() && users.taken.contains(&folded) {
            plan.skipped += 1;
            continue;
        }
        let (actions, so) = decide(settings, &found, tied, namesake);
        match so {
            Ok(()) => {
                used.insert(folded);
            }
            Err(_) if actions.is_empty() => plan.skipped += 1,
            Err(_) => {}
        }
        let steps = actions.into_iter().map(|action| Step { action, found: Some(found.clone()) });
        plan.steps.extend(steps);
    }
    let mut gone: Vec<&Known> = users
        .tied
        .iter()
        .filter(|(entry, known)| known.active && !seen.contains(*entry))
        .map(|(_, known)| known)
        .collect();
    gone.sort_by_key(|known| known.user);
    let why = "they are in the directory no more";
    plan.steps.extend(gone.into_iter().map(|known| Step {
        action: Action::Leave { user_id: known.user, why: why.to_owned() },
        found: None,
    }));
    plan.leaving = plan.steps.iter().filter(|step| matches!(step.action, Action::Leave { .. })).count();
    plan
}

/// The most users who may go in one reading without somebody's word.
pub(super) fn leavers_max(settings: &DirectorySettings, present: usize, empty: bool) -> usize {
    if empty {
        // A directory without anybody in it is one that was asked wrongly.
        return 0;
    }
    FEW.max(present * settings.leave_percent_max as usize / 100)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::GroupRole;

    fn settings() -> DirectorySettings {
        DirectorySettings {
            group_roles: vec![GroupRole { group: "ops".to_owned(), role: "operator".to_owned() }],
            create_users: true,
            domains: vec!["example.com".to_owned()],
            leave_percent_max: 20,
            ..DirectorySettings::default()
        }
    }

    fn person(n: i64, groups: &[&str]) -> Found {
        Found {
            entry: format!("e{n}"),
            mail: Some(format!("P{n}@example.com")),
            groups: groups.iter().map(|group| format!("cn={group},dc=x")).collect(),
            ..Found::default()
        }
    }

    fn known(n: i64) -> Known {
        Known {
            user: UserId::from_raw(n),
            name: "P".to_owned(),
            role: "operator".to_owned(),
            active: true,
            left: false,
        }
    }

    fn tied(n: std::ops::Range<i64>) -> Users {
        Users { tied: n.map(|n| (format!("e{n}"), known(n))).collect(), ..Users::default() }
    }

    #[test]
    fn a_person_is_tied_or_made_or_left_alone() {
        let (mut settings, found) = (settings(), person(1, &["ops"]));
        let create = Action::Create { email: "P1@example.com".to_owned(), role: "operator".to_owned() };
        assert_eq!(decide(&settings, &found, None, None), (vec![create], Ok(())));
        assert_eq!(decide(&settings, &person(1, &[]), None, None), (vec![], Err(Not::Role)));
        assert_eq!(decide(&settings, &found, None, Some(&known(1))), (vec![], Err(Not::Namesake)));
        settings.link_by_email = true;
        let tie = Action::Tie { user_id: UserId::from_raw(1) };
        assert_eq!(decide(&settings, &found, None, Some(&known(1))), (vec![tie], Ok(())));
        settings.domains = vec!["other.example".to_owned()];
        assert_eq!(decide(&settings, &found, None, None), (vec![], Err(Not::Address)));
        settings.create_users = false;
        assert_eq!(decide(&settings, &found, None, None), (vec![], Err(Not::Created)));
    }

    #[test]
    fn a_tied_user_follows() {
        let settings = settings();
        let user_id = UserId::from_raw(1);
        let viewer = Known { role: "viewer".to_owned(), ..known(1) };
        let role = Action::Role { user_id, from: "viewer".to_owned(), to: "operator".to_owned() };
        assert_eq!(decide(&settings, &person(1, &["ops"]), Some(&viewer), None), (vec![role], Ok(())));
        let shut = Found { shut: Some("disabled"), ..person(1, &["ops"]) };
        let (actions, so) = decide(&settings, &shut, Some(&viewer), None);
        assert!(matches!(actions[..], [Action::Leave { .. }]) && so == Err(Not::Shut("disabled")));
        // Who has no role any more goes; whom an administrator has shut out stays out; whom a reading has, comes back.
        let (actions, so) = decide(&settings, &person(1, &[]), Some(&viewer), None);
        assert!(matches!(actions[..], [Action::Leave { .. }]) && so == Err(Not::Role));
        let out = Known { active: false, ..known(1) };
        assert_eq!(decide(&settings, &person(1, &["ops"]), Some(&out), None), (vec![], Ok(())));
        let left = Known { left: true, ..out };
        assert_eq!(
            decide(&settings, &person(1, &["ops"]), Some(&left), None).0,
            vec![Action::Return { user_id }]
        );
    }

    #[test]
    fn who_has_no_entry_goes_and_many_at_once_need_a_word() {
        let settings = settings();
        let plan_of = |people: Vec<Found>| plan(&settings, people, &tied(0..100));
        let stays = |n: i64| person(n, &["ops"]);
        let made = plan_of((0..85).map(stays).collect());
        assert_eq!((made.leaving, made.present, made.steps.len()), (15, 100, 15));
        assert_eq!(leavers_max(&settings, 100, false), 20);
        assert_eq!(leavers_max(&settings, 4, false), 3, "a few may always go");
        assert_eq!(leavers_max(&settings, 2, true), 0, "but not all, because nobody was found");
    }

    #[test]
    fn one_address_makes_one_user() {
        let settings = settings();
        let twins = vec![person(1, &["ops"]), Found { entry: "other".to_owned(), ..person(1, &["ops"]) }];
        let made = plan(&settings, twins, &Users::default());
        assert_eq!((made.steps.len(), made.skipped), (1, 1));
        let taken = Users { taken: HashSet::from(["p1@example.com".to_owned()]), ..Users::default() };
        let made = plan(&settings, vec![person(1, &["ops"])], &taken);
        assert_eq!((made.steps.len(), made.skipped), (0, 1));
    }
}
