//! Passwords: argon2id (RFC 9106), computed apart from the requests and a few at a time; what a good one looks like.
//!
//! A hash of bcrypt that another system has made is taken too, and replaced at the first sign-in. While any is left, each
//! check does the work of the costliest of them beside its own, so that its time tells nobody whose hash is of which kind.

use std::collections::HashSet;
use std::sync::{Arc, OnceLock};

use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use db::{Tx, args, record, sql};
use runtime::{Parts, Runtime};
use tokio::sync::Semaphore;
use types::{Code, Error, Result, TenantId, UserId};

/// The longest password; more octets would only cost time.
const CHARS_MAX: usize = 256;
/// Fewer different characters than these are a pattern and no password.
const DIFFERENT_MIN: usize = 5;
/// Parts of names and addresses of so many characters may not be in a password.
const PART_CHARS_MIN: usize = 4;
/// The costs of bcrypt that are taken: below nobody hashed, and above a sign-in would take seconds.
const BCRYPT_COSTS: std::ops::RangeInclusive<u32> = 4..=14;
/// The longest hash that is taken from another system.
const HASH_CHARS_MAX: usize = 512;

/// The commonest passwords, one a line, in lower case.
const COMMON: &str = include_str!("../data/common-passwords.txt");

/// The hash function with the configuration's costs, and the slots that bound its memory.
struct Hasher {
    argon2: Argon2<'static>,
    slots: Arc<Semaphore>,
    /// A hash of nothing anybody knows, for those who are not known: it takes the time of a real one.
    decoy: OnceLock<String>,
}

impl Hasher {
    fn new(parts: &Parts) -> Self {
        let security = &parts.config.security;
        let params =
            Params::new(security.argon2_memory_kib, security.argon2_passes, security.argon2_lanes, None);
        let params = params.unwrap_or_else(|error| {
            tracing::warn!(%error, "security.argon2_* do not fit together; the library's own costs are used");
            Params::default()
        });
        Self {
            argon2: Argon2::new(Algorithm::Argon2id, Version::V0x13, params),
            slots: Arc::new(Semaphore::new(security.argon2_concurrency_max)),
            decoy: OnceLock::new(),
        }
    }

    fn hash(&self, password: &str) -> Result<String> {
        let hash = self.argon2.hash_password(password.as_bytes());
        Ok(hash.map_err(|error| Error::internal(error.to_string()))?.to_string())
    }

    /// Always the work of one argon2id and, where hashes of bcrypt are left, of one bcrypt of the costliest.
    fn matches(&self, password: &str, hash: Option<&str>, costliest: Option<u32>) -> Result<bool> {
        let decoy = match self.decoy.get() {
            Some(decoy) => decoy,
            None => {
                let made = self.hash(&runtime::secrets::token(32).map_err(Error::internal)?)?;
                self.decoy.get_or_init(|| made)
            }
        };
        let (modern, imported) = match hash {
            Some(hash) if is_bcrypt(hash) => (None, Some(hash)),
            other => (other, None),
        };
        let mut right = self.argon2.verify_password(password.as_bytes(), modern.unwrap_or(decoy)).is_ok();
        right &= modern.is_some();
        if let Some(costliest) = costliest.max(imported.and_then(bcrypt_cost)) {
            right |= bcrypted(password, imported, costliest);
        }
        Ok(right)
    }
}

/// Checks a hash of bcrypt, and spends what the costliest one takes: 2^c + 2^c + 2^(c+1) + … + 2^(m-1) is 2^m.
fn bcrypted(password: &str, hash: Option<&str>, costliest: u32) -> bool {
    let spend = |cost: u32| {
        let decoy = format!("$2b${cost:02}$abcdefghijklmnopqrstuu5Lo0g67CiD3M4RpN1BmBb4Crp5w7dbK");
        std::hint::black_box(bcrypt::verify(password, &decoy).is_ok())
    };
    match hash.and_then(|hash| Some((hash, bcrypt_cost(hash)?))) {
        None => {
            spend(costliest);
            false
        }
        Some((hash, cost)) => {
            let right = bcrypt::verify(password, hash).unwrap_or(false);
            (cost..costliest).for_each(|cost| {
                spend(cost);
            });
            right
        }
    }
}

fn is_bcrypt(hash: &str) -> bool {
    hash.starts_with("$2")
}

/// The cost of a hash of bcrypt: `$2b$12$…` has 12.
fn bcrypt_cost(hash: &str) -> Option<u32> {
    let mut parts = hash.split('$').skip(1);
    let known = matches!(parts.next(), Some("2a" | "2b" | "2x" | "2y"));
    parts.next().filter(|_| known)?.parse().ok()
}

/// A hash that another system has made, as it is taken over: its cost where it is one of bcrypt.
///
/// # Errors
/// `invalid_value` at `password_hash` for one that cannot be checked.
pub(crate) fn imported(hash: &str) -> Result<Option<u32>> {
    let refused = |why: &str| Error::invalid("password_hash", why).hint("give a hash of bcrypt or argon2id.");
    if hash.len() > HASH_CHARS_MAX {
        return Err(refused("this is too long for a hash"));
    }
    if is_bcrypt(hash) {
        let cost = bcrypt_cost(hash).filter(|_| hash.len() == 60 && hash.is_ascii());
        let cost = cost.ok_or_else(|| refused("this hash of bcrypt is not whole"))?;
        if !BCRYPT_COSTS.contains(&cost) {
            return Err(refused("this cost of bcrypt is not taken: 4 to 14 are"));
        }
        return Ok(Some(cost));
    }
    let read = argon2::PasswordHash::new(hash).map_err(|_| refused("this is no hash that is known"))?;
    if read.algorithm.as_str() != "argon2id" {
        return Err(refused("this is no hash that is known"));
    }
    let costs = Params::try_from(&read).map_err(|_| refused("this hash of argon2id is not whole"))?;
    if costs.m_cost() > 1 << 20 || costs.t_cost() > 100 || costs.p_cost() > 16 {
        return Err(refused("this hash of argon2id costs too much"));
    }
    Ok(None)
}

/// Waits for a slot and computes on a thread of its own; the slot is held until the end, though the request be given up.
async fn apart<T: Send + 'static>(
    runtime: &Runtime,
    work: impl FnOnce(&Hasher) -> Result<T> + Send + 'static,
) -> Result<T> {
    let hasher = runtime.kept(Hasher::new);
    let slot = Arc::clone(&hasher.slots).acquire_owned().await.map_err(Error::internal)?;
    let computed = tokio::task::spawn_blocking(move || {
        let result = work(&hasher);
        drop(slot);
        result
    });
    computed.await.map_err(Error::internal)?
}

/// Whose password it is to be.
#[derive(Debug, Clone, Copy)]
pub struct Owner<'a> {
    /// Their name.
    pub name: &'a str,
    /// Their e-mail address.
    pub email: &'a str,
}

/// Refuses a password that others would guess: too short, too long, one of the commonest (with digits and signs around it
/// too), a pattern, or with a part of its owner's name or address in it.
///
/// # Errors
/// [`Code::WeakPassword`] with what is wrong.
pub fn check(runtime: &Runtime, owner: Owner<'_>, password: &str) -> Result<()> {
    let least = runtime.config.security.password_chars_min;
    weakness(least, owner, password).map_or(Ok(()), |why| {
        Err(Error::new(Code::WeakPassword, why)
            .at("password")
            .hint("Several words that do not belong together are long and easy to remember."))
    })
}

fn weakness(least: usize, owner: Owner<'_>, password: &str) -> Option<String> {
    let chars = password.chars().count();
    if chars < least || chars > CHARS_MAX {
        return Some(format!("a password has {least} to {CHARS_MAX} characters"));
    }
    let folded = password.to_lowercase();
    let different: HashSet<char> = folded.chars().collect();
    if different.len() < DIFFERENT_MIN {
        return Some(format!("a password has at least {DIFFERENT_MIN} different characters"));
    }
    if is_run(&folded) {
        return Some("a row of neighbouring characters is quickly guessed".to_owned());
    }
    if is_common(&folded) {
        return Some("this is one of the commonest passwords, or hardly more".to_owned());
    }
    let parts =
        [owner.name, owner.email].into_iter().flat_map(|text| text.split(|ch: char| !ch.is_alphanumeric()));
    let mut parts = parts.filter(|part| part.chars().count() >= PART_CHARS_MIN).map(str::to_lowercase);
    parts
        .find(|part| folded.contains(part.as_str()))
        .map(|part| format!("{part:?} is a part of your name or address"))
}

/// Whether most characters follow the one before them in the alphabet or the digits, up or down.
fn is_run(folded: &str) -> bool {
    let codes: Vec<u32> = folded.chars().map(u32::from).collect();
    let near = codes.windows(2).filter(|pair| pair[0].abs_diff(pair[1]) <= 1).count();
    near * 4 >= codes.len().saturating_sub(1) * 3
}

/// Whether a password is a common one, with whatever digits and signs around it, or one repeated.
fn is_common(folded: &str) -> bool {
    static SET: OnceLock<HashSet<&str>> = OnceLock::new();
    let set = SET.get_or_init(|| COMMON.lines().collect());
    let core = folded.trim_matches(|ch: char| !ch.is_alphabetic());
    let digits = folded.trim_matches(|ch: char| !ch.is_alphanumeric());
    let repeated = |text: &str| {
        (1..=text.len() / 2).filter(|at| text.is_char_boundary(*at) && text.len().is_multiple_of(*at)).any(
            |at| {
                let unit = &text[..at];
                set.contains(unit) && text.len() == unit.len() * text.matches(unit).count()
            },
        )
    };
    [folded, core, digits].into_iter().any(|text| set.contains(text) || repeated(text))
}

/// A password's hash, with its salt and costs (PHC string format). Whether it is good enough is for the caller to
/// [`check`]: a person's must be, and what a machine binds with has the length that its protocol leaves it.
///
/// # Errors
/// When the system gives no random salt.
pub async fn hash(runtime: &Runtime, password: &str) -> Result<String> {
    let password = password.to_owned();
    apart(runtime, move |hasher| hasher.hash(&password)).await
}

/// Whether the password is the one that was hashed. Without a hash the answer is no, after the same time.
///
/// # Errors
/// When the system gives no random octets.
pub async fn verify(runtime: &Runtime, password: &str, hash: Option<String>) -> Result<bool> {
    verify_beside(runtime, password, hash, None).await
}

/// As [`verify`], where hashes of bcrypt are left, the costliest of this cost.
pub(crate) async fn verify_beside(
    runtime: &Runtime,
    password: &str,
    hash: Option<String>,
    costliest: Option<u32>,
) -> Result<bool> {
    if password.chars().count() > CHARS_MAX {
        return Ok(false);
    }
    let password = password.to_owned();
    apart(runtime, move |hasher| hasher.matches(&password, hash.as_deref(), costliest)).await
}

record! { struct Former { password_hash: String } }

/// Refuses a password that is the present or one of the former ones.
///
/// # Errors
/// [`Code::WeakPassword`].
pub(crate) async fn refuse_former(
    runtime: &Runtime,
    tenant: TenantId,
    user: UserId,
    present: Option<&str>,
    password: &str,
) -> Result<()> {
    let kept = runtime.config.security.password_history;
    let mut tx = runtime.db.read(db::Tenancy::Tenant(tenant)).await?;
    let former: Vec<Former> = tx
        .all(
            sql!(
                "select password_hash from password_history where tenant_id = $1 and user_id = $2 \
                 order by id desc limit $3"
            ),
            args![tenant, user, i64::from(kept)],
        )
        .await?;
    drop(tx);
    let former = former.into_iter().map(|row| row.password_hash);
    for hash in present.filter(|_| kept > 0).map(str::to_owned).into_iter().chain(former) {
        if verify(runtime, password, Some(hash)).await? {
            let why = format!("this is your present password or one of the last {kept}");
            return Err(Error::new(Code::WeakPassword, why).at("password").hint("Choose another."));
        }
    }
    Ok(())
}

/// Puts a new hash in the place of the one that was checked, and keeps that one as a former one.
///
/// # Errors
/// [`Code::Conflict`] when another change was faster.
pub(crate) async fn replace(
    tx: &mut Tx,
    runtime: &Runtime,
    (tenant, user): (TenantId, UserId),
    present: Option<&str>,
    hash: String,
) -> Result<()> {
    let replaced = tx
        .execute(
            sql!(
                "update users set password_hash = $3, password_set_at = $5, imported_cost = null \
                 where tenant_id = $1 and id = $2 and coalesce(password_hash, '') = $4"
            ),
            args![tenant, user, hash, present.unwrap_or_default(), runtime.clock.now()],
        )
        .await?;
    if replaced == 0 {
        return Err(Error::new(Code::Conflict, "the password was changed meanwhile"));
    }
    let kept = i64::from(runtime.config.security.password_history);
    if let Some(present) = present.filter(|_| kept > 0) {
        let id: types::SecurityEntryId = runtime.ids.next();
        tx.execute(
            sql!(
                "insert into password_history (id, tenant_id, user_id, password_hash) values ($1, $2, $3, $4)"
            ),
            args![id, tenant, user, present],
        )
        .await?;
    }
    tx.execute(
        sql!(
            "delete from password_history where tenant_id = $1 and user_id = $2 and id not in \
             (select id from password_history where tenant_id = $1 and user_id = $2 order by id desc limit $3)"
        ),
        args![tenant, user, kept],
    )
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANA: Owner<'_> = Owner { name: "Ana Lightfoot", email: "ana.l@bakery.example" };

    #[test]
    fn what_others_would_guess_is_refused() {
        for weak in [
            "short",
            "aaaaaaaaaaaaaaa",
            "abababababababab",
            "Password1234!",
            "passwordpassword",
            "1234567890123456",
            "!!!qwertyuiop2024",
            "lightfoot-and-more",
            "my old BAKERY shop",
        ] {
            assert!(weakness(12, ANA, weak).is_some(), "{weak}");
        }
        for good in
            ["correct horse battery", "passwords are for people", "köbenhavn i regnvejr", "ana is three"]
        {
            assert_eq!(weakness(12, ANA, good), None, "{good}");
        }
        assert!(weakness(12, ANA, &"ab cd ef gh ".repeat(30)).is_some(), "too long");
    }

    #[test]
    fn a_hash_of_bcrypt_is_read_and_others_are_refused() {
        let hash = bcrypt::hash("correct horse battery", 4).unwrap();
        assert_eq!(imported(&hash).unwrap(), Some(4));
        assert!(bcrypted("correct horse battery", Some(&hash), 6));
        assert!(!bcrypted("wrong", Some(&hash), 6));
        assert!(!bcrypted("correct horse battery", None, 4));
        for bad in ["", "$2b$31$", "plain", "$1$abc$def", &hash.replace("$04$", "$15$")] {
            assert!(imported(bad).is_err(), "{bad}");
        }
        let argon = Argon2::default().hash_password(b"correct horse battery").unwrap().to_string();
        assert_eq!(imported(&argon).unwrap(), None);
        assert!(imported(&argon.replace("argon2id", "argon2i")).is_err());
    }

    #[test]
    fn the_decoy_of_bcrypt_does_the_whole_work() {
        let decoy = "$2b$04$abcdefghijklmnopqrstuu5Lo0g67CiD3M4RpN1BmBb4Crp5w7dbK";
        assert_eq!(
            bcrypt::verify("anything", decoy).ok(),
            Some(false),
            "a malformed one would answer at once"
        );
    }
}
