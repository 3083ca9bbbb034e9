//! Persons: a key for each, and the blind index by which one is found.
//!
//! A person is no row of a directory. The key exists as soon as something about them is kept in this crate's tables, seals
//! all of it (AES-256-GCM), and is itself sealed by the tenant's data key. Erasing a person destroys it, so that nothing opens
//! any more, whoever holds the tenant's keys. A phone or an address is not kept: its mark is, the first 16 octets of its
//! HMAC-SHA-256 under a key of the tenant.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use db::{Tx, args, record, sql};
use hmac::{Hmac, Mac as _};
use identity::encryption::{self, Sealed};
use runtime::personal::By;
use runtime::secrets::{DataKey, Place, token};
use runtime::{Runtime, Scope};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use types::{Address, Code, Error, PersonId, Result, TenantId, Timestamp, UserId};

/// Octets of a mark.
pub(crate) const MARK_BYTES: usize = 16;
/// Identifiers of a person.
pub(crate) const IDENTIFIERS_MAX: usize = 20;
const BLIND_TABLE: &str = "privacy_tenant";
const BLIND_COLUMN: &str = "blind_key_sealed";
const BLIND_ROW: &str = "blind";

/// The keys of persons, for a new data key of the tenant to seal anew.
pub const KEYS: Sealed = Sealed {
    title: "The keys of persons",
    table: "person",
    column: "key_sealed",
    row: |id| id.to_string(),
    count: sql!("select count(*) as n from person where tenant_id = $1 and key_sealed like $2"),
    walk: sql!(
        "select id, key_sealed as sealed from person where tenant_id = $1 and id > $2 and key_sealed is not null \
         order by id limit $3"
    ),
    replace: sql!(
        "update person set key_sealed = r.new from rows(id bigint, old text, new text) r \
         where person.tenant_id = $1 and person.id = r.id and person.key_sealed = r.old"
    ),
};

/// The keys of blind indexes.
pub const BLIND: Sealed = Sealed {
    title: "The key of blind indexes",
    table: BLIND_TABLE,
    column: BLIND_COLUMN,
    row: |_| BLIND_ROW.to_owned(),
    count: sql!("select count(*) as n from privacy_tenant where tenant_id = $1 and blind_key_sealed like $2"),
    walk: sql!(
        "select tenant_id as id, blind_key_sealed as sealed from privacy_tenant where tenant_id = $1 and tenant_id > $2 \
         order by tenant_id limit $3"
    ),
    replace: sql!(
        "update privacy_tenant set blind_key_sealed = r.new from rows(id bigint, old text, new text) r \
         where privacy_tenant.tenant_id = $1 and privacy_tenant.tenant_id = r.id and privacy_tenant.blind_key_sealed = r.old"
    ),
};

/// By what a person is known.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Identifier {
    /// `phone`, `mail` or `user`.
    pub(crate) by: String,
    /// In its normal form: digits, lower case, the number of the id.
    pub(crate) value: String,
}

impl Identifier {
    /// Reads what people write: `+33 6 12 34 56 78`, `anna@example.org`, `usr_…`.
    ///
    /// # Errors
    /// [`Code::InvalidValue`] for what is none of them.
    pub(crate) fn read(text: &str) -> Result<Self> {
        let text = text.trim();
        if let Ok(user) = text.parse::<UserId>()
            && text.starts_with("usr_")
        {
            return Ok(Self { by: By::User.as_str().to_owned(), value: user.raw().to_string() });
        }
        if let Some((name, domain)) = text.rsplit_once('@') {
            let plain = |part: &str| !part.is_empty() && !part.contains([' ', '\0', '%', '"', '\\']);
            if text.len() > 254 || !plain(name) || !plain(domain) {
                return Err(Error::invalid("identifiers", format!("{text:?} is no mail address")));
            }
            return Ok(Self { by: By::Mail.as_str().to_owned(), value: text.to_lowercase() });
        }
        let phone = Address::recipient(text).map_err(|error| {
            Error::invalid("identifiers", error.message().to_owned())
                .hint("give phones as +33612345678, mail addresses, or ids of users")
        })?;
        Ok(Self { by: By::Phone.as_str().to_owned(), value: phone.text })
    }

    pub(crate) fn is(&self, by: By) -> bool {
        self.by == by.as_str()
    }

    /// As it is shown.
    pub(crate) fn shown(&self) -> String {
        match self.by.as_str() {
            "phone" => format!("+{}", self.value),
            "user" => self
                .value
                .parse()
                .map_or_else(|_| self.value.clone(), |raw| UserId::from_raw(raw).to_string()),
            _ => self.value.clone(),
        }
    }
}

/// A tenant's key of blind indexes.
#[derive(Clone)]
pub(crate) struct Blind(Vec<u8>);

impl Blind {
    /// The mark of an identifier.
    pub(crate) fn mark(&self, by: By, value: &str) -> [u8; MARK_BYTES] {
        let mut mac = <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(&self.0)
            .unwrap_or_else(|_| unreachable!("HMAC takes keys of any length"));
        mac.update(by.as_str().as_bytes());
        mac.update(b":");
        mac.update(value.as_bytes());
        let mut mark = [0; MARK_BYTES];
        mark.copy_from_slice(&mac.finalize().into_bytes()[..MARK_BYTES]);
        mark
    }

    /// The mark as a column holds it.
    pub(crate) fn text(&self, identifier: &Identifier) -> String {
        let by =
            [By::Phone, By::Mail, By::User].into_iter().find(|by| identifier.is(*by)).unwrap_or(By::Phone);
        BASE64.encode(self.mark(by, &identifier.value))
    }
}

record! { struct BlindRow { blind_key_sealed: String } }

/// The tenant's key of blind indexes, if it has one.
pub(crate) async fn known_blind(runtime: &Runtime, tenant: TenantId) -> Result<Option<Blind>> {
    let mut tx = runtime.db.read(db::Tenancy::Tenant(tenant)).await?;
    let row: Option<BlindRow> = tx
        .optional(sql!("select blind_key_sealed from privacy_tenant where tenant_id = $1"), args![tenant])
        .await?;
    drop(tx);
    let Some(row) = row else { return Ok(None) };
    let text = encryption::open(runtime, tenant, BLIND_TABLE, BLIND_COLUMN, BLIND_ROW, &row.blind_key_sealed)
        .await?;
    Ok(Some(Blind(BASE64.decode(text.expose()).map_err(Error::internal)?)))
}

/// The tenant's key of blind indexes; the first who asks makes it.
pub(crate) async fn blind(scope: &Scope) -> Result<Blind> {
    if let Some(blind) = known_blind(scope.runtime(), scope.tenant()).await? {
        return Ok(blind);
    }
    let key = token(32).map_err(Error::internal)?;
    let sealed = encryption::seal(scope, BLIND_TABLE, BLIND_COLUMN, BLIND_ROW, &key).await?;
    let mut tx = scope.runtime().db.write(db::Tenancy::Tenant(scope.tenant())).await?;
    tx.execute(
        sql!(
            "insert into privacy_tenant (tenant_id, blind_key_sealed, settings, ledger_number, changed_at) \
             values ($1, $2, '{}', 0, $3) on conflict (tenant_id) do nothing"
        ),
        args![scope.tenant(), sealed, scope.now()],
    )
    .await?;
    tx.commit().await?;
    known_blind(scope.runtime(), scope.tenant()).await?.ok_or_else(|| Error::internal("the key was not kept"))
}

/// A person's key.
pub(crate) struct Key {
    pub(crate) person: PersonId,
    tenant: String,
    key: DataKey,
}

impl Key {
    fn new(tenant: TenantId, person: PersonId, text: &str) -> Result<Self> {
        let octets = BASE64.decode(text).map_err(Error::internal)?;
        let octets = octets.try_into().map_err(|_| Error::internal("a person's key has 32 octets"))?;
        Ok(Self { person, tenant: tenant.to_string(), key: DataKey::from_octets(octets) })
    }

    /// Its id: no secret.
    pub(crate) fn id(&self) -> &str {
        self.key.id()
    }

    /// Locks something about the person for its place.
    pub(crate) fn lock(
        &self,
        table: &'static str,
        column: &'static str,
        row: &str,
        plain: &[u8],
    ) -> Result<String> {
        let place = Place { tenant: &self.tenant, table, column, row };
        self.key.seal(place, plain).map_err(Error::internal)
    }

    /// Opens what was locked.
    pub(crate) fn open(
        &self,
        table: &'static str,
        column: &'static str,
        row: &str,
        locked: &str,
    ) -> Result<Vec<u8>> {
        let place = Place { tenant: &self.tenant, table, column, row };
        Ok(self.key.open(place, locked).map_err(Error::internal)?.to_vec())
    }
}

record! { struct KeyRow { id: PersonId, key_sealed: Option<String> } }

async fn opened(runtime: &Runtime, tenant: TenantId, row: KeyRow) -> Result<Option<Key>> {
    let Some(sealed) = row.key_sealed else { return Ok(None) };
    let text =
        encryption::open(runtime, tenant, "person", "key_sealed", &row.id.raw().to_string(), &sealed).await?;
    Ok(Some(Key::new(tenant, row.id, text.expose())?))
}

/// A person's key; nothing once they are erased.
pub(crate) async fn key(runtime: &Runtime, tenant: TenantId, person: PersonId) -> Result<Option<Key>> {
    let mut tx = runtime.db.read(db::Tenancy::Tenant(tenant)).await?;
    let row: Option<KeyRow> = tx
        .optional(
            sql!("select id, key_sealed from person where tenant_id = $1 and id = $2"),
            args![tenant, person],
        )
        .await?;
    drop(tx);
    match row {
        Some(row) => opened(runtime, tenant, row).await,
        None => Err(Error::not_found("person")),
    }
}

/// As [`key`], where the person must not be erased.
pub(crate) async fn living(runtime: &Runtime, tenant: TenantId, person: PersonId) -> Result<Key> {
    key(runtime, tenant, person)
        .await?
        .ok_or_else(|| Error::new(Code::Conflict, "this person is erased, and what was locked with them"))
}

/// A new person's key, and how it is kept.
pub(crate) async fn new_key(scope: &Scope) -> Result<(Key, String)> {
    let person: PersonId = scope.runtime().ids.next();
    let text = token(32).map_err(Error::internal)?;
    let sealed = encryption::seal(scope, "person", "key_sealed", &person.raw().to_string(), &text).await?;
    Ok((Key::new(scope.tenant(), person, &text)?, sealed))
}

record! { struct Marked { person_id: PersonId, mark: String } }

/// The person of some identifiers, made where there is none; the key, and whether the rows are new.
///
/// # Errors
/// [`Code::Conflict`] when the identifiers are of different persons.
pub(crate) async fn of(scope: &Scope, identifiers: &[Identifier]) -> Result<Key> {
    let blind = blind(scope).await?;
    let marks: Vec<String> = identifiers.iter().map(|one| blind.text(one)).collect();
    let (fresh, sealed) = new_key(scope).await?;
    let tenant = scope.tenant();
    let mut tx = scope.runtime().db.write(db::Tenancy::Tenant(tenant)).await?;
    let mut known: Vec<Marked> = Vec::new();
    for mark in &marks {
        let row = tx.optional(
            sql!("select person_id, mark from person_mark where tenant_id = $1 and mark = $2"),
            args![tenant, mark],
        );
        known.extend(row.await?);
    }
    let person = known.first().map_or(fresh.person, |one| one.person_id);
    if known.iter().any(|one| one.person_id != person) {
        return Err(Error::new(Code::Conflict, "these identifiers belong to different persons")
            .at("identifiers")
            .hint("take in one request for each of them"));
    }
    if known.is_empty() {
        tx.execute(
            sql!("insert into person (id, tenant_id, key_sealed, created_at) values ($1, $2, $3, $4)"),
            args![person, tenant, sealed, scope.now()],
        )
        .await?;
    }
    for mark in marks {
        tx.execute(
            sql!(
                "insert into person_mark (tenant_id, mark, person_id) values ($1, $2, $3) \
                 on conflict (tenant_id, mark) do nothing"
            ),
            args![tenant, mark, person],
        )
        .await?;
    }
    tx.commit().await?;
    if person == fresh.person { Ok(fresh) } else { living(scope.runtime(), tenant, person).await }
}

/// The person of an identifier, if there is one.
pub(crate) async fn found(scope: &Scope, identifier: &Identifier) -> Result<Option<PersonId>> {
    let Some(blind) = known_blind(scope.runtime(), scope.tenant()).await? else { return Ok(None) };
    let mut tx = scope.read().await?;
    let row: Option<Marked> = tx
        .optional(
            sql!("select person_id, mark from person_mark where tenant_id = $1 and mark = $2"),
            args![scope.tenant(), blind.text(identifier)],
        )
        .await?;
    Ok(row.map(|row| row.person_id))
}

/// Destroys a person's key and marks.
pub(crate) async fn shred(tx: &mut Tx, tenant: TenantId, person: PersonId, at: Timestamp) -> Result<()> {
    tx.execute(
        sql!(
            "update person set key_sealed = null, erased_at = $3, restricted_at = null, objected_at = null \
             where tenant_id = $1 and id = $2"
        ),
        args![tenant, person, at],
    )
    .await?;
    tx.execute(
        sql!("delete from person_mark where tenant_id = $1 and person_id = $2"),
        args![tenant, person],
    )
    .await?;
    tx.execute(
        sql!(
            "delete from privacy_file where tenant_id = $1 and request_id in \
             (select id from privacy_request where tenant_id = $1 and person_id = $2)"
        ),
        args![tenant, person],
    )
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_come_to_one_form() {
        let read = |text: &str| Identifier::read(text).unwrap();
        assert_eq!(read("+33 6 12 34 56 78"), read("0033612345678"));
        assert_eq!(read("Anna@Example.org").value, "anna@example.org");
        assert_eq!(read("+33612345678").shown(), "+33612345678");
        for bad in ["", "call me", "a b@example.org", "x%@example.org"] {
            assert!(Identifier::read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_mark_tells_kinds_and_tenants_apart() {
        let (one, other) = (Blind(vec![1; 32]), Blind(vec![2; 32]));
        assert_eq!(one.mark(By::Phone, "336"), one.mark(By::Phone, "336"));
        assert_ne!(one.mark(By::Phone, "336"), one.mark(By::User, "336"));
        assert_ne!(one.mark(By::Phone, "336"), other.mark(By::Phone, "336"));
    }
}
