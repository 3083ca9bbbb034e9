//! What somebody holds at this moment, and what that rests on.
//!
//! Authentication asks here for each request's rights, and the explainer asks here too: [`Facts`] is read from the database
//! by one of two functions, and everything after that is plain functions of it.

use std::collections::{BTreeMap, HashMap};

use db::{Tx, args, record, sql};
use runtime::{Held, Reached};
use types::{
    ClientId, Code, ConsentId, Error, GrantId, KeyId, Permission, Permissions, Reach, Result, TenantId,
    Timestamp, UserId,
};

use super::Role;
use super::custom::{DEPTH_MAX, Grantable};
use crate::{client, key};

/// Grants in force that one user may have.
pub const GRANTS_MAX: i64 = 100;
/// People that somebody shares teams with, at most; beyond them the newest are out of reach.
const MATES_MAX: i64 = 10_000;

/// What a permission rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum By {
    /// A role; the roles on the way to it, the person's own first.
    Role(Vec<String>),
    /// Something given for a time; the roles on the way, where it is a role.
    Grant(Grant, Vec<String>),
}

/// Something given for a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Its id.
    pub id: GrantId,
    /// Why it was given.
    pub reason: String,
    /// When it ends by itself.
    pub ends_at: Timestamp,
    role: Option<String>,
    permissions: Option<String>,
}

/// A source of rights: permissions, about whose records, and by what.
#[derive(Debug, Clone)]
pub struct Source {
    /// The permissions.
    pub permissions: Permissions,
    /// About whose records.
    pub reach: Reach,
    /// By what.
    pub by: By,
}

/// A person, for the decision.
#[derive(Debug, Clone)]
pub struct Person {
    /// Their id.
    pub id: UserId,
    /// What to call them.
    pub name: String,
    /// Whether they are let in.
    pub active: bool,
    /// Their role.
    pub role: String,
    grants: Vec<Grant>,
    mates: Vec<UserId>,
}

/// By what a program is let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Means {
    /// An API key.
    Key(KeyId),
    /// An application's own token.
    Client(ClientId),
    /// What a person lets an application do for them.
    Consent(ConsentId, ClientId),
}

/// A program, for the decision.
#[derive(Debug, Clone)]
pub struct Program {
    /// By what it is let in.
    pub means: Means,
    /// What people call it.
    pub name: String,
    /// What its scopes allow at most.
    pub scopes: Permissions,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// From when it is refused.
    pub expires_at: Option<Timestamp>,
    owned: bool,
}

/// All that a decision rests on.
#[derive(Debug, Clone)]
pub struct Facts {
    /// Whether the tenant's people and programs are let in.
    pub tenant_active: bool,
    /// The person, or the one whose rights bound the program's.
    pub person: Option<Person>,
    /// The program, where it is one that asks.
    pub program: Option<Program>,
    customs: Customs,
}

/// What a tenant makes of roles.
#[derive(Debug, Clone, Default)]
pub struct Customs {
    /// The roles that it has made, by name: parent and permissions.
    pub roles: HashMap<String, Custom>,
    /// Whether it may have tenants beneath it. Where it may not, no role gives rights over any.
    pub reseller: bool,
}

impl Customs {
    /// What of some permissions can be held in this tenant.
    fn bounded(&self, set: Permissions) -> Permissions {
        if self.reseller { set } else { set.without(Permissions::of_a_reseller()) }
    }
}

/// A role that the tenant has made.
#[derive(Debug, Clone)]
pub struct Custom {
    /// The role whose permissions it has too.
    pub parent: Option<String>,
    /// Its own permissions.
    pub own: BTreeMap<String, Reach>,
}

/// Why somebody is not let in at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shut {
    /// The tenant is suspended.
    Tenant,
    /// The user, or the program's owner, is disabled.
    Person,
    /// The key or the consent was revoked.
    Revoked,
    /// The key or the consent has expired.
    Expired,
    /// The program's owner is no more.
    Ownerless,
}

/// What a stored object of permissions allows, by reach; names of a later version allow nothing here.
pub fn read(own: &BTreeMap<String, Reach>) -> impl Iterator<Item = (Permissions, Reach)> {
    own.iter().filter_map(|(name, reach)| Some((Permissions::named(name)?, *reach)))
}

/// The sources of a role: its own permissions, and those of the roles above it. A role that nobody knows has none.
pub fn of_role(customs: &Customs, name: &str) -> Vec<(Permissions, Reach, Vec<String>)> {
    let (mut sources, mut way, mut at) = (Vec::new(), Vec::new(), Some(name.to_owned()));
    // Bounded also where two changes at once have made a circle.
    while let Some(name) = at.take().filter(|name| way.len() <= DEPTH_MAX && !way.contains(name)) {
        way.push(name.clone());
        let held = |(set, reach): (Permissions, Reach)| (customs.bounded(set), reach, way.clone());
        match customs.roles.get(&name) {
            Some(custom) => {
                sources.extend(read(&custom.own).map(held));
                at.clone_from(&custom.parent);
            }
            None => {
                let system = Role::named(&name).map(Role::sources).unwrap_or_default();
                sources.extend(system.into_iter().map(held));
            }
        }
    }
    sources
}

/// What a role allows, held by nobody yet.
pub fn held_by_role(customs: &Customs, name: &str) -> Held {
    of_role(customs, name).into_iter().fold(Held::default(), |held, (set, reach, _)| held.with(set, reach))
}

impl Facts {
    /// Whether who asks is let in at all.
    pub fn shut(&self, now: Timestamp) -> Option<Shut> {
        if !self.tenant_active {
            return Some(Shut::Tenant);
        }
        if let Some(program) = &self.program {
            if program.revoked_at.is_some() {
                return Some(Shut::Revoked);
            }
            if program.expires_at.is_some_and(|at| at <= now) {
                return Some(Shut::Expired);
            }
            if program.owned && self.person.is_none() {
                return Some(Shut::Ownerless);
            }
        }
        self.person.as_ref().is_some_and(|person| !person.active).then_some(Shut::Person)
    }

    /// Everything that the person has rights by.
    pub fn sources(&self, now: Timestamp) -> Vec<Source> {
        let Some(person) = &self.person else { return Vec::new() };
        let role = of_role(&self.customs, &person.role);
        let mut sources: Vec<Source> = role
            .into_iter()
            .map(|(permissions, reach, way)| Source { permissions, reach, by: By::Role(way) })
            .collect();
        for grant in person.grants.iter().filter(|grant| grant.ends_at > now) {
            if let Some(role) = &grant.role {
                sources.extend(of_role(&self.customs, role).into_iter().map(|(permissions, reach, way)| {
                    Source { permissions, reach, by: By::Grant(grant.clone(), way) }
                }));
            }
            let own: BTreeMap<String, Reach> = grant
                .permissions
                .as_deref()
                .and_then(|text| serde_json::from_str(text).ok())
                .unwrap_or_default();
            let single = read(&own).map(|(permissions, reach)| Source {
                permissions: self.customs.bounded(permissions),
                reach,
                by: By::Grant(grant.clone(), Vec::new()),
            });
            sources.extend(single);
        }
        sources
    }

    /// What is held at this moment, by one who is let in. A program has what its scopes and its owner's rights have in common;
    /// a key without an owner, which the first start makes, has its scopes.
    pub fn held(&self, now: Timestamp) -> Held {
        let held = match &self.person {
            Some(person) => self
                .sources(now)
                .into_iter()
                .fold(Held::by(person.id, person.mates.iter().copied()), |held, source| {
                    held.with(source.permissions, source.reach)
                }),
            None => Held::from(self.customs.bounded(Permissions::all())),
        };
        match &self.program {
            Some(program) => held.and(program.scopes),
            None => held,
        }
    }

    /// Whether the tenant may have tenants beneath it.
    pub const fn is_reseller(&self) -> bool {
        self.customs.reseller
    }

    /// The same of the person alone, as if no program stood between.
    #[must_use]
    pub fn of_the_person(&self) -> Self {
        Self { program: None, ..self.clone() }
    }

    /// Until when that stays so, if nothing else changes.
    pub fn until(&self, now: Timestamp) -> Option<Timestamp> {
        let grants = self.person.iter().flat_map(|person| &person.grants).map(|grant| grant.ends_at);
        grants.filter(|ends_at| *ends_at > now).min()
    }

    /// The verdict: let in, and the permission is held for a record of this owner, or for some record where none is named.
    pub fn allows(&self, permission: Permission, record: Option<Option<UserId>>, now: Timestamp) -> bool {
        let held = self.held(now);
        self.shut(now).is_none()
            && match record {
                Some(owner) => held.allows(permission, owner),
                None => held.permissions().contains(permission),
            }
    }
}

/// Whose records a list shows: all, or those of the people of a JSON array.
#[derive(Debug, Clone)]
pub struct Reaching {
    /// Whether it shows everybody's, and nobody's.
    pub all: bool,
    /// Else these people's: `[{"id": 1}]`.
    pub people: String,
}

impl Reaching {
    /// How far a permission of this caller reaches.
    ///
    /// # Errors
    /// None that happens.
    pub fn of(scope: &runtime::Scope, permission: Permission) -> Result<Self> {
        let (all, people) = match scope.held().reached(permission) {
            Reached::All => (true, &[][..]),
            Reached::Only(people) => (false, people),
        };
        let people: Vec<_> = people.iter().map(|id| serde_json::json!({ "id": id.raw() })).collect();
        Ok(Self { all, people: serde_json::to_string(&people).map_err(Error::internal)? })
    }
}

record! {
    struct PersonRow { id: UserId, name: String, role: String, status: String, tenant_status: String, reseller: bool }
}
record! {
    struct GrantRow { id: GrantId, role: Option<String>, permissions: Option<String>, reason: String, ends_at: Timestamp }
}
record! { struct CustomRow { name: String, parent: Option<String>, permissions: String } }
record! { struct Mate { user_id: UserId } }
record! {
    struct KeyRow {
        id: KeyId, name: String, kind: String, scopes: String, owner_id: Option<UserId>, expires_at: Option<Timestamp>,
        revoked_at: Option<Timestamp>, tenant_status: String, reseller: bool,
    }
}
record! {
    struct ClientRow {
        name: String, kind: String, scopes: String, owner_id: Option<UserId>, tenant_status: String, reseller: bool,
    }
}
record! {
    struct ConsentRow {
        client_id: ClientId, name: String, client_scopes: String, scopes: String, user_id: UserId, expires_at: Timestamp,
        ended_at: Option<Timestamp>, tenant_status: String, reseller: bool,
    }
}

record! { struct Reseller { reseller: bool } }

/// The roles that a tenant has made, and what bounds all of its roles.
///
/// # Errors
/// When the database does not answer.
pub async fn customs(tx: &mut Tx, tenant: TenantId) -> Result<Customs> {
    let rows: Vec<CustomRow> = tx
        .all(
            sql!("select name, parent, permissions from access_role where tenant_id = $1 order by name limit 1000"),
            args![tenant],
        )
        .await?;
    let read = |row: CustomRow| {
        let own = serde_json::from_str(&row.permissions).unwrap_or_default();
        (row.name, Custom { parent: row.parent, own })
    };
    let of_tenant = sql!("select reseller from tenant where id = $1");
    let reseller: Option<Reseller> = tx.optional(of_tenant, args![tenant]).await?;
    Ok(Customs {
        roles: rows.into_iter().map(read).collect(),
        reseller: reseller.is_some_and(|one| one.reseller),
    })
}

/// What a user's rights rest on.
///
/// # Errors
/// `not_found`; when the database does not answer.
pub async fn of_user(tx: &mut Tx, tenant: TenantId, user: UserId, now: Timestamp) -> Result<Facts> {
    let row: Option<PersonRow> = tx
        .optional(
            sql!(
                "select u.id, u.name, u.role, u.status, t.status as tenant_status, t.reseller from users u \
                 join tenant t on t.id = u.tenant_id where u.tenant_id = $1 and u.id = $2"
            ),
            args![tenant, user],
        )
        .await?;
    let row = row.ok_or_else(|| Error::not_found("user"))?;
    let grants: Vec<GrantRow> = tx
        .all(
            sql!(
                "select id, role, permissions, reason, ends_at from access_grant where tenant_id = $1 and user_id = $2 \
                 and ends_at > $3 and ended_at is null order by id limit $4"
            ),
            args![tenant, user, now, GRANTS_MAX],
        )
        .await?;
    let mates: Vec<Mate> = tx
        .all(
            sql!(
                "select distinct m.user_id from team_member o join team_member m on m.team_id = o.team_id \
                 and m.tenant_id = o.tenant_id where o.tenant_id = $1 and o.user_id = $2 order by m.user_id limit $3"
            ),
            args![tenant, user, MATES_MAX],
        )
        .await?;
    let of_system = Role::named(&row.role).is_some() && grants.iter().all(|grant| grant.role.is_none());
    let customs = match of_system {
        true => Customs { reseller: row.reseller, ..Customs::default() },
        false => customs(tx, tenant).await?,
    };
    let grants = grants.into_iter().map(|GrantRow { id, role, permissions, reason, ends_at }| Grant {
        id,
        reason,
        ends_at,
        role,
        permissions,
    });
    Ok(Facts {
        tenant_active: row.tenant_status == crate::tenant::Status::Active.as_str(),
        person: Some(Person {
            id: row.id,
            name: row.name,
            active: row.status == crate::user::Status::Active.as_str(),
            role: row.role,
            grants: grants.collect(),
            mates: mates.into_iter().map(|mate| mate.user_id).collect(),
        }),
        program: None,
        customs,
    })
}

/// What a key's rights rest on: itself and its owner.
///
/// # Errors
/// `not_found`; when the database does not answer.
pub async fn of_key(tx: &mut Tx, tenant: TenantId, key: KeyId, now: Timestamp) -> Result<Facts> {
    let row: Option<KeyRow> = tx
        .optional(
            sql!(
                "select k.id, k.name, k.kind, k.scopes, k.owner_id, k.expires_at, k.revoked_at, t.status as tenant_status, \
                 t.reseller \
                 from api_key k join tenant t on t.id = k.tenant_id where k.tenant_id = $1 and k.id = $2"
            ),
            args![tenant, key],
        )
        .await?;
    let row = row.ok_or_else(|| Error::not_found("API key"))?;
    let program = Program {
        means: Means::Key(row.id),
        name: row.name,
        scopes: key::permissions(&row.scopes).and(key::Kind::stored(&row.kind).bounds()),
        revoked_at: row.revoked_at,
        expires_at: row.expires_at,
        owned: row.owner_id.is_some(),
    };
    within(tx, (tenant, &row.tenant_status, row.reseller), row.owner_id, program, now).await
}

/// What the rights of an application's own tokens rest on: itself and its owner. A public one has no token of its own.
///
/// # Errors
/// `not_found`; when the database does not answer.
pub async fn of_client(tx: &mut Tx, tenant: TenantId, client: ClientId, now: Timestamp) -> Result<Facts> {
    let row: Option<ClientRow> = tx
        .optional(
            sql!(
                "select c.name, c.kind, c.scopes, c.owner_id, t.status as tenant_status, t.reseller \
                 from oauth_client c join tenant t on t.id = c.tenant_id where c.tenant_id = $1 and c.id = $2"
            ),
            args![tenant, client],
        )
        .await?;
    let row = row.ok_or_else(|| Error::not_found("application"))?;
    let alone = row.kind == client::Kind::Confidential.as_str();
    let program = Program {
        means: Means::Client(client),
        name: row.name,
        scopes: if alone { key::permissions(&row.scopes) } else { Permissions::NONE },
        revoked_at: None,
        expires_at: None,
        owned: row.owner_id.is_some(),
    };
    within(tx, (tenant, &row.tenant_status, row.reseller), row.owner_id, program, now).await
}

/// What the rights of an application's tokens for a person rest on: what they let it do, what it may be let do, and they.
///
/// # Errors
/// `not_found`; when the database does not answer.
pub async fn of_consent(tx: &mut Tx, tenant: TenantId, consent: ConsentId, now: Timestamp) -> Result<Facts> {
    let row: Option<ConsentRow> = tx
        .optional(
            sql!(
                "select g.client_id, c.name, c.scopes as client_scopes, g.scopes, g.user_id, g.expires_at, g.ended_at, \
                 t.status as tenant_status, t.reseller from oauth_grant g \
                 join oauth_client c on c.id = g.client_id and c.tenant_id = g.tenant_id \
                 join tenant t on t.id = g.tenant_id where g.tenant_id = $1 and g.id = $2"
            ),
            args![tenant, consent],
        )
        .await?;
    let row = row.ok_or_else(|| Error::not_found("consent"))?;
    let program = Program {
        means: Means::Consent(consent, row.client_id),
        name: row.name,
        scopes: key::permissions(&row.scopes).and(key::permissions(&row.client_scopes)),
        revoked_at: row.ended_at,
        expires_at: Some(row.expires_at),
        owned: true,
    };
    within(tx, (tenant, &row.tenant_status, row.reseller), Some(row.user_id), program, now).await
}

/// A program's facts beside those of whoever bounds it.
async fn within(
    tx: &mut Tx,
    (tenant, tenant_status, reseller): (TenantId, &str, bool),
    owner: Option<UserId>,
    program: Program,
    now: Timestamp,
) -> Result<Facts> {
    let owner = match owner {
        Some(owner) => match of_user(tx, tenant, owner, now).await {
            Err(error) if error.code() == Code::NotFound => None,
            facts => Some(facts?),
        },
        None => None,
    };
    let alone = Customs { reseller, ..Customs::default() };
    let (person, customs) = owner.map_or((None, alone), |owner| (owner.person, owner.customs));
    let tenant_active = tenant_status == crate::tenant::Status::Active.as_str();
    Ok(Facts { tenant_active, person, program: Some(program), customs })
}

/// Refuses to give a role that allows more than the giver holds, or that nobody knows.
///
/// # Errors
/// `invalid_value` for an unknown role; `forbidden`.
pub async fn may_give(tx: &mut Tx, giver: &runtime::Scope, role: &str) -> Result<()> {
    let customs = customs(tx, giver.tenant()).await?;
    if Role::named(role).is_none() && !customs.roles.contains_key(role) {
        let mut names: Vec<&str> = super::ROLES.iter().map(|role| role.name).collect();
        names.extend(customs.roles.keys().map(String::as_str));
        return Err(Error::invalid("role", format!("{role:?} is no role"))
            .hint(format!("the roles are {}", names.join(", "))));
    }
    if giver.held().covers(&held_by_role(&customs, role)) {
        return Ok(());
    }
    Err(Error::new(Code::Forbidden, format!("the role {role} allows more than you may")).at("role"))
}

/// Refuses to give permissions that the giver does not hold, or not as widely.
///
/// # Errors
/// `forbidden` naming the first one.
pub fn may_give_all(giver: &Held, given: &Grantable) -> Result<()> {
    for (name, reach) in &given.0 {
        let set = Permissions::named(name).unwrap_or_default();
        if !giver.covers(&Held::default().with(set, *reach)) {
            return Err(Error::new(
                Code::Forbidden,
                format!("you lack {name} for {} records", reach.as_str()),
            )
            .at(format!("permissions/{name}")));
        }
    }
    Ok(())
}
