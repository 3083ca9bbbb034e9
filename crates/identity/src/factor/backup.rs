//! Backup codes: ten, each good once, for the day when the authenticator is lost. Each has 80 random bits, of which only the
//! SHA-256 is stored.

use db::{Tx, args, sql};
use runtime::Scope;
use runtime::secrets::sha256_hex;
use types::{Code, Error, Result, UserId};

use super::{changed, notice};
use crate::journal::Kind;
use crate::user;

/// Codes that are made at once.
pub const CODES: usize = 10;
/// Letters and digits that nobody takes for one another, 5 bits each.
const ALPHABET: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz123456789";
const LETTERS: usize = 16;
const GROUP: usize = 4;

fn made() -> Result<String> {
    let mut octets = [0_u8; LETTERS];
    runtime::secrets::fill(&mut octets).map_err(Error::internal)?;
    let letters: Vec<char> =
        octets.iter().map(|octet| char::from(ALPHABET[usize::from(octet & 31)])).collect();
    Ok(letters.chunks(GROUP).map(|group| group.iter().collect::<String>()).collect::<Vec<_>>().join("-"))
}

/// As it is compared: without what only helps the eye.
fn hashed(code: &str) -> String {
    let plain: String = code.chars().filter(char::is_ascii_alphanumeric).collect();
    sha256_hex(format!("backup code {}", plain.to_ascii_lowercase()))
}

/// Replaces a user's codes, in the caller's transaction.
///
/// # Errors
/// When the database refuses.
pub(crate) async fn insert(tx: &mut Tx, scope: &Scope, id: UserId) -> Result<Vec<String>> {
    let codes = (0..CODES).map(|_| made()).collect::<Result<Vec<_>>>()?;
    tx.execute(
        sql!("delete from backup_code where tenant_id = $1 and user_id = $2"),
        args![scope.tenant(), id],
    )
    .await?;
    for code in &codes {
        tx.execute(
            sql!(
                "insert into backup_code (code_hash, tenant_id, user_id, created_at) values ($1, $2, $3, $4)"
            ),
            args![hashed(code), scope.tenant(), id, scope.now()],
        )
        .await?;
    }
    Ok(codes)
}

/// Makes one's own codes anew, shown this once; the former ones are of no use any more.
///
/// # Errors
/// `forbidden` for a program; `step_up_required`; `conflict` without a second factor that they could stand in for.
pub async fn renew(scope: &Scope) -> Result<Vec<String>> {
    let id = user::person(scope)?;
    scope.require_fresh()?;
    let user = user::find(&mut scope.read().await?, scope.tenant(), id).await?;
    let notice = notice(scope, &user, "backup codes made anew").await?;
    let mut write = scope.write().await?;
    if !super::has_any(&mut write, scope.tenant(), id).await? {
        return Err(Error::new(
            Code::Conflict,
            "backup codes stand in for a second factor, and you have none",
        ));
    }
    let codes = insert(&mut write, scope, id).await?;
    changed(&mut write, scope, &user, Kind::BackupCodes, "backup codes", notice.as_ref()).await?;
    write.commit(()).await?;
    Ok(codes)
}

/// Uses a code up, in the transaction that it opens the door in; `false` for one that is none of the user's.
///
/// # Errors
/// When the database refuses.
pub(crate) async fn use_code(tx: &mut Tx, scope: &Scope, id: UserId, code: &str) -> Result<bool> {
    let used = tx
        .execute(
            sql!("delete from backup_code where tenant_id = $1 and user_id = $2 and code_hash = $3"),
            args![scope.tenant(), id, hashed(code)],
        )
        .await?;
    Ok(used == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_differ_and_are_read_as_people_write_them() {
        let code = made().unwrap();
        assert_eq!((code.len(), code.matches('-').count()), (19, 3), "{code}");
        assert_ne!(code, made().unwrap());
        assert_eq!(hashed(&code), hashed(&format!(" {} ", code.to_uppercase().replace('-', " "))));
    }
}
