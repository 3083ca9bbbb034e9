//! How a directory is asked, and what its people get here.

use ldap3::parse_filter;
use runtime::tls;
use serde::{Deserialize, Serialize};
use types::{Error, Result};

use super::wire;
use crate::provider::{self, GroupRole, fits};

/// Servers of one directory.
const SERVERS_MAX: usize = 5;
/// Groups that are mapped.
const GROUPS_MAX: usize = 100;
/// The longest filter and the longest name of an entry.
const FILTER_CHARS_MAX: usize = 1_000;
/// The longest text of issuers' certificates.
const CA_BYTES_MAX: usize = 64 << 10;
/// The longest pause between two readings, in minutes: a week.
const READ_MINUTES_MAX: u32 = 10_080;
/// The shortest.
const READ_MINUTES_MIN: u32 = 5;
/// What stands in a filter for the address that somebody signs in with.
pub(super) const LOGIN: &str = "{login}";

/// What kind of directory it is: it says what is taken where a filter or an attribute is not given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = DirectoryKind)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// OpenLDAP, and others with people as inetOrgPerson (RFC 2798).
    #[default]
    Openldap,
    /// Active Directory.
    ActiveDirectory,
}

/// How a person's groups are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = DirectoryGroups)]
#[serde(rename_all = "snake_case")]
pub enum Groups {
    /// By the attribute memberOf of the person's entry.
    MemberOf,
    /// By Active Directory's rule for members of members (1.2.840.113556.1.4.1941), so nested groups count.
    Chain,
    /// By searching the groups that name the person.
    Search,
}

/// How a directory is asked, and what its people get here. Texts that are left empty get what is usual for the kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DirectorySettings {
    /// What kind it is: `openldap` or `active_directory`.
    pub kind: Kind,
    /// Its servers, 1 to 5, tried in this order: `ldaps://` encrypts from the start, `ldap://` by StartTLS.
    pub servers: Vec<String>,
    /// Whether `ldap://` goes without TLS; only where the installation's configuration allows it. False when not given.
    pub plain: bool,
    /// Who may have issued the servers' certificates, as PEM; the machine's own roots when empty.
    pub ca: String,
    /// The entry that we ask as; nobody when empty.
    pub bind_dn: String,
    /// The entry below which people stand.
    pub base: String,
    /// Who signs in with an address: `{login}` stands for it.
    pub user_filter: String,
    /// Who is a person, for readings of the whole directory.
    pub people_filter: String,
    /// The attribute with the e-mail address.
    pub mail_attribute: String,
    /// The attribute with the name.
    pub name_attribute: String,
    /// The attribute that stays when the entry is renamed or moved: entryUUID (RFC 4530), objectGUID.
    pub id_attribute: String,
    /// How groups are found: `member_of`, `chain` or `search`; by kind when not given.
    pub groups: Option<Groups>,
    /// The entry below which groups stand; the base when empty.
    pub group_base: String,
    /// Which entries are groups.
    pub group_filter: String,
    /// The attribute by which a group names its members, for `search`: by their entries' names, or with `memberUid` by their uid.
    pub member_attribute: String,
    /// The first group of a person that stands here gives their role. A group is named by its entry's name (DN), or by the
    /// value that this begins with, such as `operators` for `cn=operators,ou=groups,…`.
    pub group_roles: Vec<GroupRole>,
    /// The role of people of none of these groups; without one they are not let in.
    pub default_role: Option<String>,
    /// Whether people who are not known yet become users, at sign-in and by readings; false when not given.
    pub create_users: bool,
    /// Whether a user is tied to the person who has their e-mail address in the directory; false when not given.
    pub link_by_email: bool,
    /// The domains of e-mail addresses whose people sign in with the directory, and may become users.
    pub domains: Vec<String>,
    /// Minutes between two readings of the whole directory, 5 to 10,080; never when 0.
    pub read_minutes: u32,
    /// A reading that would shut out more than so many percent of the directory's users is held back until somebody says yes,
    /// 1 to 100; 20 when 0.
    pub leave_percent_max: u32,
}

struct Usual {
    user_filter: &'static str,
    people_filter: &'static str,
    name: &'static str,
    id: &'static str,
    groups: Groups,
    group_filter: &'static str,
}

const OPENLDAP: Usual = Usual {
    user_filter: "(&(objectClass=inetOrgPerson)(mail={login}))",
    people_filter: "(&(objectClass=inetOrgPerson)(mail=*))",
    name: "cn",
    id: "entryUUID",
    groups: Groups::MemberOf,
    group_filter: "(objectClass=groupOfNames)",
};

const ACTIVE_DIRECTORY: Usual = Usual {
    user_filter: "(&(objectCategory=person)(objectClass=user)(|(mail={login})(userPrincipalName={login})))",
    people_filter: "(&(objectCategory=person)(objectClass=user)(mail=*))",
    name: "displayName",
    id: "objectGUID",
    groups: Groups::Chain,
    group_filter: "(objectClass=group)",
};

impl DirectorySettings {
    /// How groups are found.
    pub(super) fn groups(&self) -> Groups {
        self.groups.unwrap_or(self.usual().groups)
    }

    /// Below which entry groups stand.
    pub(super) fn group_base(&self) -> &str {
        if self.group_base.is_empty() { &self.base } else { &self.group_base }
    }

    const fn usual(&self) -> &'static Usual {
        match self.kind {
            Kind::Openldap => &OPENLDAP,
            Kind::ActiveDirectory => &ACTIVE_DIRECTORY,
        }
    }

    /// Whether both ask the same entries of the same servers in the same way: what decides who somebody is.
    pub(super) fn asks_as(&self, other: &Self) -> bool {
        self.goes_to_as(other)
            && self.base == other.base
            && self.user_filter == other.user_filter
            && self.people_filter == other.people_filter
            && self.mail_attribute == other.mail_attribute
            && self.id_attribute == other.id_attribute
    }

    /// Whether the password that we ask with goes to the same servers in the same way.
    pub(super) fn goes_to_as(&self, other: &Self) -> bool {
        self.servers == other.servers
            && self.plain == other.plain
            && self.ca == other.ca
            && self.bind_dn == other.bind_dn
    }

    /// The settings in their normal form, with what is usual for the kind where nothing is given.
    ///
    /// # Errors
    /// `invalid_value` at its place.
    pub(super) fn checked(self, plain_is_allowed: bool) -> Result<Self> {
        let usual = self.usual();
        let or = |given: String, usual: &str| match given.trim() {
            "" => usual.to_owned(),
            given => given.to_owned(),
        };
        let settings = Self {
            user_filter: or(self.user_filter, usual.user_filter),
            people_filter: or(self.people_filter, usual.people_filter),
            mail_attribute: or(self.mail_attribute, "mail"),
            name_attribute: or(self.name_attribute, usual.name),
            id_attribute: or(self.id_attribute, usual.id),
            group_filter: or(self.group_filter, usual.group_filter),
            member_attribute: or(self.member_attribute, "member"),
            groups: Some(self.groups.unwrap_or(usual.groups)),
            servers: self.servers.iter().map(|server| server.trim().to_owned()).collect(),
            bind_dn: self.bind_dn.trim().to_owned(),
            base: self.base.trim().to_owned(),
            group_base: self.group_base.trim().to_owned(),
            ca: self.ca.trim().to_owned(),
            domains: provider::led::domains(&self.domains)?,
            leave_percent_max: if self.leave_percent_max == 0 { 20 } else { self.leave_percent_max },
            ..self
        };
        settings.check_servers(plain_is_allowed)?;
        settings.check_texts()?;
        Ok(settings)
    }

    fn check_servers(&self, plain_is_allowed: bool) -> Result<()> {
        let refuse = |why: String| Err(Error::invalid("settings.servers", why));
        if self.servers.is_empty() || self.servers.len() > SERVERS_MAX {
            return refuse(format!("give 1 to {SERVERS_MAX} servers, such as ldaps://directory.example.com"));
        }
        for server in &self.servers {
            if let Err(why) = wire::server(server) {
                return refuse(why);
            }
        }
        if self.plain && !plain_is_allowed {
            return Err(Error::invalid("settings.plain", "connections without TLS are not allowed here")
                .hint("use ldaps or StartTLS, or have directory.allow_plain set in the configuration."));
        }
        if self.ca.len() > CA_BYTES_MAX {
            return Err(Error::invalid("settings.ca", format!("it takes at most {CA_BYTES_MAX} octets")));
        }
        if !self.ca.is_empty() {
            tls::roots(self.ca.as_bytes()).map_err(|why| Error::invalid("settings.ca", why))?;
        }
        Ok(())
    }

    fn check_texts(&self) -> Result<()> {
        let long = |text: &str| text.chars().count() > FILTER_CHARS_MAX || text.contains(char::is_control);
        let names = [("bind_dn", &self.bind_dn), ("base", &self.base), ("group_base", &self.group_base)];
        if let Some((field, _)) = names.into_iter().find(|(_, text)| long(text)) {
            let why = format!("give at most {FILTER_CHARS_MAX} plain characters");
            return Err(Error::invalid(&format!("settings.{field}"), why));
        }
        if self.base.is_empty() {
            return Err(Error::invalid(
                "settings.base",
                "say below which entry people stand, such as dc=example,dc=com",
            ));
        }
        let filters = [
            ("user_filter", &self.user_filter),
            ("people_filter", &self.people_filter),
            ("group_filter", &self.group_filter),
        ];
        for (field, text) in filters {
            if long(text) || parse_filter(text.replace(LOGIN, "x")).is_err() {
                let why = format!("{text:?} is no filter of LDAP (RFC 4515)");
                return Err(Error::invalid(&format!("settings.{field}"), why));
            }
        }
        if !self.user_filter.contains(LOGIN) {
            let why = "without {login} in it everybody would be anybody";
            return Err(Error::invalid("settings.user_filter", why));
        }
        let attributes = [
            ("mail_attribute", &self.mail_attribute),
            ("name_attribute", &self.name_attribute),
            ("id_attribute", &self.id_attribute),
            ("member_attribute", &self.member_attribute),
        ];
        let plain = |ch: char| ch.is_ascii_alphanumeric() || matches!(ch, '-' | '.' | ';');
        if let Some((field, _)) =
            attributes.into_iter().find(|(_, text)| !text.chars().all(plain) || !fits(text))
        {
            return Err(Error::invalid(&format!("settings.{field}"), "this is no attribute's name"));
        }
        if self.group_roles.len() > GROUPS_MAX || self.group_roles.iter().any(|one| !fits(&one.group)) {
            let why = format!("give at most {GROUPS_MAX} groups, each with a name");
            return Err(Error::invalid("settings.group_roles", why));
        }
        if self.read_minutes != 0 && !(READ_MINUTES_MIN..=READ_MINUTES_MAX).contains(&self.read_minutes) {
            let why = format!("give {READ_MINUTES_MIN} to {READ_MINUTES_MAX} minutes, or 0 for never");
            return Err(Error::invalid("settings.read_minutes", why));
        }
        if !(1..=100).contains(&self.leave_percent_max) {
            return Err(Error::invalid("settings.leave_percent_max", "give 1 to 100 percent"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn least(kind: Kind) -> DirectorySettings {
        DirectorySettings {
            kind,
            servers: vec!["ldaps://directory.example.com".to_owned()],
            base: "dc=example,dc=com".to_owned(),
            ..DirectorySettings::default()
        }
    }

    #[test]
    fn what_is_left_empty_is_what_is_usual() {
        let usual = least(Kind::Openldap).checked(false).unwrap();
        assert_eq!((usual.id_attribute.as_str(), usual.groups()), ("entryUUID", Groups::MemberOf));
        assert_eq!(usual.clone().checked(false).unwrap(), usual, "the normal form stays");
        let usual = least(Kind::ActiveDirectory).checked(false).unwrap();
        assert_eq!((usual.id_attribute.as_str(), usual.groups()), ("objectGUID", Groups::Chain));
    }

    #[test]
    fn what_is_wrong_is_told_at_its_place() {
        type Change = fn(&mut DirectorySettings);
        let wrong: [(&str, Change); 9] = [
            ("settings.servers", |it| it.servers.clear()),
            ("settings.servers", |it| it.servers = vec!["https://directory.example.com".to_owned()]),
            ("settings.servers", |it| it.servers = vec!["ldap://ana@directory.example.com".to_owned()]),
            ("settings.plain", |it| it.plain = true),
            ("settings.base", |it| it.base.clear()),
            ("settings.user_filter", |it| it.user_filter = "(mail=*)".to_owned()),
            ("settings.user_filter", |it| it.user_filter = "(mail={login}".to_owned()),
            ("settings.read_minutes", |it| it.read_minutes = 1),
            ("settings.ca", |it| it.ca = "no certificate".to_owned()),
        ];
        for (place, change) in wrong {
            let mut settings = least(Kind::Openldap);
            change(&mut settings);
            assert_eq!(settings.checked(false).unwrap_err().place(), Some(place));
        }
        let plain = DirectorySettings { plain: true, ..least(Kind::Openldap) };
        plain.checked(true).unwrap();
    }
}
