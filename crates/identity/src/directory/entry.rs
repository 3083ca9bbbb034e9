//! What a directory's entries say: who somebody is, their groups, whether they are let in there.

use std::collections::HashMap;
use std::fmt::Write as _;

use ldap3::{SearchEntry, ldap_escape};
use types::Timestamp;

use super::run::Progress;
use super::settings::{DirectorySettings, Groups, LOGIN};
use super::wire::{Session, Trouble, Wanted};
use crate::provider::GroupRole;

/// Groups of one person that are looked at.
const GROUPS_MAX: usize = 1_000;
/// People who may answer to one address before that is trouble.
const NAMESAKES_MAX: usize = 10;
/// Active Directory's rule for members of members ([MS-ADTS] §3.1.1.3.4.4.3).
const IN_CHAIN: &str = "1.2.840.113556.1.4.1941";
/// The bit of userAccountControl that switches an account off ([MS-ADTS] §2.2.16).
const ACCOUNT_DISABLED: i64 = 0x2;
/// Between the beginning of 1601, from which Active Directory counts, and that of 1970, in milliseconds.
const SINCE_1601_MS: i64 = 11_644_473_600_000;

/// A person of a directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// The entry's own id, which stays.
    pub(super) entry: String,
    /// Where it stands.
    pub(super) dn: String,
    pub(super) mail: Option<String>,
    pub(super) name: Option<String>,
    /// By which memberUid names them.
    pub(super) uid: Option<String>,
    /// Their groups' names.
    pub(super) groups: Vec<String>,
    /// Why the directory lets them in no more, where it says so in the entry.
    pub(super) shut: Option<&'static str>,
}

/// An entry's attributes, whatever case the server writes their names in.
struct Attributes(HashMap<String, Vec<Vec<u8>>>);

impl Attributes {
    fn of(entry: &mut SearchEntry) -> Self {
        let texts = entry.attrs.drain().map(|(name, values)| {
            (name.to_lowercase(), values.into_iter().map(String::into_bytes).collect::<Vec<_>>())
        });
        let mut all: HashMap<_, _> = texts.collect();
        all.extend(entry.bin_attrs.drain().map(|(name, values)| (name.to_lowercase(), values)));
        Self(all)
    }

    fn octets(&self, name: &str) -> Option<&[u8]> {
        self.0.get(&name.to_lowercase())?.first().map(Vec::as_slice)
    }

    fn text(&self, name: &str) -> Option<String> {
        let text = std::str::from_utf8(self.octets(name)?).ok()?.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }

    fn texts(&self, name: &str) -> Vec<String> {
        let values = self.0.get(&name.to_lowercase()).map(Vec::as_slice).unwrap_or_default();
        values.iter().take(GROUPS_MAX).filter_map(|value| String::from_utf8(value.clone()).ok()).collect()
    }

    fn number(&self, name: &str) -> Option<i64> {
        self.text(name)?.parse().ok()
    }

    /// Why the entry's person is let in there no more.
    fn shut(&self, now: Timestamp) -> Option<&'static str> {
        if self.number("userAccountControl").is_some_and(|bits| bits & ACCOUNT_DISABLED != 0) {
            return Some("the account is disabled in the directory");
        }
        // In units of 100 ns; 0 and the greatest number are never ([MS-ADA1] §2.1).
        let expires = self.number("accountExpires").filter(|at| !matches!(*at, 0 | i64::MAX));
        if expires.is_some_and(|at| at / 10_000 - SINCE_1601_MS <= now.unix_ms()) {
            return Some("the account has expired in the directory");
        }
        // OpenLDAP's password policy: locked until somebody unlocks it; other times pass by themselves.
        if self.text("pwdAccountLockedTime").is_some_and(|at| at.starts_with("000001010000")) {
            return Some("the account is locked in the directory");
        }
        if self.text("nsAccountLock").is_some_and(|locked| locked.eq_ignore_ascii_case("true")) {
            return Some("the account is locked in the directory");
        }
        None
    }
}

/// An id as text: as it is where it is text, a GUID as Active Directory's tools show it, other octets in hexadecimal digits.
fn id(attribute: &str, octets: &[u8]) -> String {
    if attribute.eq_ignore_ascii_case("objectGUID")
        && let Ok(guid) = <[u8; 16]>::try_from(octets)
    {
        // The first three groups are little-endian ([MS-DTYP] §2.3.4.2).
        let [a, b, c, d, e, f, g, h, rest @ ..] = guid;
        let mut text = format!(
            "{:08x}-{:04x}-{:04x}-",
            u32::from_le_bytes([a, b, c, d]),
            u16::from_le_bytes([e, f]),
            u16::from_le_bytes([g, h])
        );
        for (at, octet) in rest.into_iter().enumerate() {
            let dash = if at == 2 { "-" } else { "" };
            let _ = write!(text, "{dash}{octet:02x}");
        }
        return text;
    }
    match std::str::from_utf8(octets) {
        Ok(text) if !text.contains(char::is_control) => text.trim().to_lowercase(),
        _ => octets.iter().fold(String::new(), |mut text, octet| {
            let _ = write!(text, "{octet:02x}");
            text
        }),
    }
}

/// What is asked of each person's entry.
fn attributes(settings: &DirectorySettings) -> Vec<&str> {
    let mut all = vec![
        settings.mail_attribute.as_str(),
        &settings.name_attribute,
        &settings.id_attribute,
        "uid",
        "userAccountControl",
        "accountExpires",
        "pwdAccountLockedTime",
        "nsAccountLock",
    ];
    if settings.groups() == Groups::MemberOf {
        all.push("memberOf");
    }
    all
}

/// A person by their entry; nobody where it has no id.
fn read(settings: &DirectorySettings, mut entry: SearchEntry, now: Timestamp) -> Option<Found> {
    let attributes = Attributes::of(&mut entry);
    let id = id(&settings.id_attribute, attributes.octets(&settings.id_attribute)?);
    (!id.is_empty()).then(|| Found {
        entry: id,
        dn: entry.dn,
        mail: attributes.text(&settings.mail_attribute),
        name: attributes.text(&settings.name_attribute),
        uid: attributes.text("uid"),
        groups: attributes.texts("memberOf"),
        shut: attributes.shut(now),
    })
}

/// The filter for who signs in with an address. What was typed cannot be a part of the filter (RFC 4515 §3).
fn user_filter(settings: &DirectorySettings, login: &str) -> String {
    settings.user_filter.replace(LOGIN, &ldap_escape(login))
}

fn both(filter: &str, attribute: &str, value: &str) -> String {
    ["(&", filter, "(", attribute, "=", value, "))"].concat()
}

/// The one person who signs in with an address; nobody where there is none, or more than one.
///
/// # Errors
/// When the directory refuses, or does not answer.
pub(super) async fn look_up(
    session: &mut Session,
    settings: &DirectorySettings,
    login: &str,
    now: Timestamp,
) -> Result<Option<Found>, Trouble> {
    let filter = user_filter(settings, login);
    let attributes = attributes(settings);
    let wanted =
        Wanted { base: &settings.base, filter: &filter, attributes: &attributes, most: NAMESAKES_MAX };
    let found = session.search(wanted, Progress::Untold).await?;
    let mut people = found.into_iter().filter_map(|entry| read(settings, entry, now));
    Ok(match (people.next(), people.next()) {
        (Some(one), None) => Some(one),
        _ => None,
    })
}

/// A person's groups, where they do not stand in their own entry.
///
/// # Errors
/// When the directory refuses, or does not answer.
pub(super) async fn look_up_groups(
    session: &mut Session,
    settings: &DirectorySettings,
    found: &mut Found,
) -> Result<(), Trouble> {
    let (attribute, value) = match settings.groups() {
        Groups::MemberOf => return Ok(()),
        Groups::Chain => (["member:", IN_CHAIN, ":"].concat(), found.dn.clone()),
        Groups::Search => match named_by(settings, found) {
            Some(value) => (settings.member_attribute.clone(), value),
            None => return Ok(()),
        },
    };
    let filter = both(&settings.group_filter, &attribute, &ldap_escape(value));
    // No attribute at all (RFC 4511 §4.5.1.8): the names are all that is wanted.
    let wanted =
        Wanted { base: settings.group_base(), filter: &filter, attributes: &["1.1"], most: GROUPS_MAX };
    let groups = session.search(wanted, Progress::Untold).await?;
    found.groups = groups.into_iter().map(|group| group.dn).collect();
    Ok(())
}

/// What a group calls a person.
fn named_by(settings: &DirectorySettings, found: &Found) -> Option<String> {
    match settings.member_attribute.eq_ignore_ascii_case("memberUid") {
        true => found.uid.clone(),
        false => Some(found.dn.clone()),
    }
}

/// All people of a directory with their groups.
///
/// # Errors
/// When the directory refuses or does not answer, or there are more than are taken.
pub(super) async fn read_all(
    session: &mut Session,
    settings: &DirectorySettings,
    (now, most): (Timestamp, usize),
    told: Progress<'_>,
) -> Result<Vec<Found>, Trouble> {
    let attributes = attributes(settings);
    let wanted =
        Wanted { base: &settings.base, filter: &settings.people_filter, attributes: &attributes, most };
    let found = session.search(wanted, told).await?;
    let mut people: Vec<Found> = found.into_iter().filter_map(|entry| read(settings, entry, now)).collect();
    let mut groups = HashMap::<String, Vec<String>>::new();
    match settings.groups() {
        Groups::MemberOf => return Ok(people),
        Groups::Chain => by_chain(session, settings, most, &mut groups).await?,
        Groups::Search => by_search(session, settings, most, &mut groups).await?,
    }
    for person in &mut people {
        let known = match settings.groups() {
            Groups::Search => named_by(settings, person),
            _ => Some(person.dn.clone()),
        };
        person.groups = known.and_then(|known| groups.remove(&folded(&known))).unwrap_or_default();
    }
    Ok(people)
}

/// Who is in which of the groups that count, members of members included: a search for each of those groups.
async fn by_chain(
    session: &mut Session,
    settings: &DirectorySettings,
    most: usize,
    groups: &mut HashMap<String, Vec<String>>,
) -> Result<(), Trouble> {
    let wanted =
        Wanted { base: settings.group_base(), filter: &settings.group_filter, attributes: &["1.1"], most };
    let known = session.search(wanted, Progress::Untold).await?;
    let counts = |dn: &str| settings.group_roles.iter().any(|one| is_group(dn, &one.group));
    for group in known.into_iter().map(|group| group.dn).filter(|dn| counts(dn)) {
        let attribute = ["memberOf:", IN_CHAIN, ":"].concat();
        let filter = both(&settings.people_filter, &attribute, &ldap_escape(group.as_str()));
        let wanted = Wanted { base: &settings.base, filter: &filter, attributes: &["1.1"], most };
        for member in session.search(wanted, Progress::Untold).await? {
            groups.entry(folded(&member.dn)).or_default().push(group.clone());
        }
    }
    Ok(())
}

/// Who is named by which of the groups that count.
async fn by_search(
    session: &mut Session,
    settings: &DirectorySettings,
    most: usize,
    groups: &mut HashMap<String, Vec<String>>,
) -> Result<(), Trouble> {
    let filter = both(&settings.group_filter, &settings.member_attribute, "*");
    let attributes = [settings.member_attribute.as_str()];
    let wanted = Wanted { base: settings.group_base(), filter: &filter, attributes: &attributes, most };
    for mut group in session.search(wanted, Progress::Untold).await? {
        if !settings.group_roles.iter().any(|one| is_group(&group.dn, &one.group)) {
            continue;
        }
        let members = Attributes::of(&mut group).0.remove(&settings.member_attribute.to_lowercase());
        for member in members.unwrap_or_default() {
            let member = folded(&String::from_utf8_lossy(&member));
            groups.entry(member).or_default().push(group.dn.clone());
        }
    }
    Ok(())
}

/// An entry's name, so that two spellings of it are the same: letters and blanks around separators do not count.
fn folded(dn: &str) -> String {
    let parts = dn.split(',').map(|part| {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        [name.trim(), value.trim()].join("=")
    });
    parts.collect::<Vec<_>>().join(",").to_lowercase()
}

/// Whether a group's entry is the one that is meant: by its whole name, or by the value that this begins with.
fn is_group(dn: &str, meant: &str) -> bool {
    if meant.contains('=') {
        return folded(dn) == folded(meant);
    }
    let mut value = String::new();
    let mut letters = dn.split_once('=').map_or("", |(_, rest)| rest).chars();
    while let Some(letter) = letters.next() {
        match letter {
            ',' | '+' => break,
            '\\' => value.extend(letters.next()),
            letter => value.push(letter),
        }
    }
    value.trim().to_lowercase() == meant.trim().to_lowercase()
}

/// The role that a person's groups give.
pub(super) fn role_of<'a>(settings: &'a DirectorySettings, groups: &[String]) -> Option<&'a str> {
    let has = |one: &&GroupRole| groups.iter().any(|dn| is_group(dn, &one.group));
    let mapped = settings.group_roles.iter().find(has).map(|one| one.role.as_str());
    mapped.or(settings.default_role.as_deref())
}

/// What a refused bind means, for the security history alone: who signs in is told the same for all of it. Active Directory puts
/// a code of Windows into its words, `… data 52e, v4563` ([MS-ERREF] §2.2).
pub(super) fn why_refused(code: u32, words: &str) -> &'static str {
    let windows = words.split_once("data ").map(|(_, rest)| rest);
    let windows = windows.and_then(|rest| rest.split(|ch: char| !ch.is_ascii_hexdigit()).next());
    match (code, windows) {
        (49, Some("525")) => "the directory does not know the person",
        (49, Some("52e")) => "wrong password in the directory",
        (49, Some("530")) => "the directory does not let the person in at this time",
        (49, Some("531")) => "the directory does not let the person in from here",
        (49, Some("532")) => "the password has expired in the directory",
        (49, Some("533")) => "the account is disabled in the directory",
        (49, Some("701")) => "the account has expired in the directory",
        (49, Some("773")) => "the password must be changed in the directory",
        (49, Some("775")) => "the account is locked in the directory",
        (49, _) => "wrong password in the directory, or the account is locked or expired there",
        _ => "the directory refuses the person",
    }
}

/// Whether a bind's code says something of the person; otherwise the directory itself has a trouble.
pub(super) fn is_of_person(code: u32) -> bool {
    // noSuchObject, invalidDNSyntax, inappropriateAuthentication, invalidCredentials, insufficientAccessRights,
    // unwillingToPerform, constraintViolation.
    matches!(code, 19 | 32 | 34 | 48 | 49 | 50 | 53)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(attributes: &[(&str, &str)]) -> SearchEntry {
        let attrs = attributes.iter().map(|(name, value)| ((*name).to_owned(), vec![(*value).to_owned()]));
        SearchEntry { dn: "cn=Ana,dc=example".to_owned(), attrs: attrs.collect(), bin_attrs: HashMap::new() }
    }

    fn shut(attributes: &[(&str, &str)]) -> Option<&'static str> {
        Attributes::of(&mut entry(attributes)).shut(Timestamp::parse("2026-06-01T00:00:00Z").unwrap())
    }

    #[test]
    fn ids_are_told_as_their_directories_tools_tell_them() {
        let guid =
            [0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff];
        assert_eq!(id("objectGUID", &guid), "00112233-4455-6677-8899-aabbccddeeff");
        assert_eq!(id("objectguid", b"0123456789abcdef"), "33323130-3534-3736-3839-616263646566");
        assert_eq!(
            id("entryUUID", b"F81D4FAE-7dec-11d0-a765-00a0c91e6bf6"),
            "f81d4fae-7dec-11d0-a765-00a0c91e6bf6"
        );
        assert_eq!(id("other", &[0xff, 0x00]), "ff00");
    }

    #[test]
    fn who_is_let_in_no_more_is_seen_in_the_entry() {
        assert_eq!(shut(&[("userAccountControl", "512"), ("accountExpires", "9223372036854775807")]), None);
        assert!(shut(&[("userAccountControl", "514")]).is_some());
        // The first day of 2026, and of 2027.
        assert!(shut(&[("accountExpires", "134116992000000000")]).is_some());
        assert_eq!(shut(&[("accountExpires", "134432352000000000")]), None);
        assert!(shut(&[("pwdAccountLockedTime", "000001010000Z")]).is_some());
        assert_eq!(shut(&[("pwdAccountLockedTime", "20260101000000Z")]), None);
        assert!(shut(&[("nsAccountLock", "TRUE")]).is_some());
    }

    #[test]
    fn what_was_typed_is_no_part_of_a_filter() {
        let settings =
            DirectorySettings { user_filter: "(mail={login})".to_owned(), ..DirectorySettings::default() };
        assert_eq!(user_filter(&settings, "*)(mail=*"), "(mail=\\2a\\29\\28mail=\\2a)");
        assert_eq!(user_filter(&settings, "a\\b\0"), "(mail=a\\5cb\\00)");
    }

    #[test]
    fn groups_are_meant_by_their_name_or_its_first_value() {
        let dn = "CN=Ops\\, night, OU=Groups,DC=example,DC=com";
        assert!(is_group(dn, "ops, night") && is_group(dn, "cn=Ops\\, night,ou=groups,dc=example,dc=com"));
        assert!(!is_group(dn, "ops") && !is_group(dn, "groups") && !is_group(dn, "cn=ops,dc=example,dc=com"));
        let mapped = |group: &str, role: &str| GroupRole { group: group.to_owned(), role: role.to_owned() };
        let mut settings = DirectorySettings {
            group_roles: vec![mapped("admins", "admin"), mapped("cn=staff,dc=x", "viewer")],
            ..DirectorySettings::default()
        };
        let role = |settings: &DirectorySettings, groups: &[&str]| {
            let groups: Vec<_> = groups.iter().map(|group| (*group).to_owned()).collect();
            role_of(settings, &groups).map(str::to_owned)
        };
        assert_eq!(role(&settings, &["cn=staff,dc=x", "cn=admins,dc=x"]).as_deref(), Some("admin"));
        assert_eq!(role(&settings, &["cn=Staff, dc=x"]).as_deref(), Some("viewer"));
        assert_eq!(role(&settings, &["cn=staff,dc=y"]), None);
        settings.default_role = Some("support".to_owned());
        assert_eq!(role(&settings, &[]).as_deref(), Some("support"));
    }

    #[test]
    fn active_directory_says_more_than_its_code() {
        let words = |code: &str| {
            format!(
                "80090308: LdapErr: DSID-0C090449, comment: AcceptSecurityContext error, data {code}, v4563"
            )
        };
        assert_eq!(why_refused(49, &words("52e")), "wrong password in the directory");
        assert_eq!(why_refused(49, &words("532")), "the password has expired in the directory");
        assert_eq!(why_refused(49, &words("533")), "the account is disabled in the directory");
        assert_eq!(why_refused(49, &words("701")), "the account has expired in the directory");
        assert_eq!(why_refused(49, &words("773")), "the password must be changed in the directory");
        assert_eq!(why_refused(49, &words("775")), "the account is locked in the directory");
        assert!(why_refused(49, "").contains("or the account is locked"));
        assert!(is_of_person(49) && !is_of_person(52));
    }
}
