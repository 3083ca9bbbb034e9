//! Restoring: everything is read and checked before the first row is written, and all rows are one transaction. So whatever
//! happens on the way, the tenant is there whole or not at all.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, File};
use std::io::Write as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use db::{Arg, OnConflict as _, Shape, Tenancy, Tx, args, sql};
use runtime::outbox;
use runtime::{Runtime, secrets};
use serde_json::Value;
use types::event::Change;
use types::{Code, Error, Event, Permission, Permissions, Result, SuitcaseId, TenantId};

use super::lock::{Lock, damaged, storage};
use super::pack::{Begin, Manifest};
use super::row::{self, Keys};
use super::unpack::{Piece, Unpacking};
use super::{At, Luggage, Progress, Step, pack};
use crate::{encryption, key, role, tenant};

/// What of a restoring is decided by whoever asks for it.
#[derive(Debug, Clone, Default)]
pub(super) struct Wish {
    /// Whether the tenant is opened at once.
    pub(super) open: bool,
    /// Who asks, for the platform's trail.
    pub(super) by: String,
    /// The record that goes with it.
    pub(super) record: Option<SuitcaseId>,
}

/// Reads a whole suitcase and looks for whatever would refuse it.
///
/// # Errors
/// `suitcase_damaged`, `suitcase_version`, `suitcase_rights`, `tenant_exists`, `suitcase_conflict`; `invalid_value` for another
/// `public_key`.
pub(super) async fn check(
    runtime: &Runtime,
    luggage: &Luggage,
    (path, lock): (&Path, &Lock),
    public_key: Option<&str>,
    progress: &Progress,
) -> Result<Manifest> {
    let mut suitcase = Unpacking::open(runtime, luggage, (path, lock)).await?;
    let octets = std::fs::metadata(path).map_err(storage)?.len();
    let mut done = 0;
    let mut tx = runtime.db.read(Tenancy::Every).await?;
    refuse_present(&mut tx, suitcase.begin.tenant).await?;
    let known = public_key.map(crate::audit::checkpoint::read_key).transpose()?;
    while let Some(piece) = suitcase.next()? {
        match piece {
            Piece::Rows(place, rows) => {
                let shape = &suitcase.shapes[place];
                rows.iter().try_for_each(|row| refuse_rights(shape, row))?;
                refuse_taken(&mut tx, shape, &rows).await?;
                done += rows.len() as u64;
                let (table, share) = (shape.travel.table, (suitcase.reached(), octets));
                progress(At { step: Step::Checks, table, rows: done, share })?;
            }
            Piece::File(name) => {
                place_of(&(luggage.folders)(&runtime.config, suitcase.begin.tenant), &name)?;
            }
            Piece::Octets(_) | Piece::FileEnd => {}
            Piece::Manifest(manifest, own) => {
                if known.is_some_and(|known| known != own) {
                    let why = "the suitcase was signed by another key than the one that was given";
                    return Err(Error::invalid("public_key", why)
                        .hint("compare it with the audit page of the tenant at the source"));
                }
                return Ok(*manifest);
            }
        }
    }
    Err(damaged("its end"))
}

async fn refuse_present(tx: &mut Tx, tenant: TenantId) -> Result<()> {
    match tenant::find(tx, tenant).await {
        Ok(found) => {
            let why = format!("the tenant {tenant} is here already, as {}", found.name);
            Err(Error::new(Code::TenantExists, why).at("tenant"))
        }
        Err(error) if error.code() == Code::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Columns of which a value may be shown, what it is, and what to do where it is taken.
const TOLD: &[(&str, &str, &str, &str)] = &[
    ("tenant", "slug", "short name", "erase the tenant that has it here, or leave the suitcase where it is"),
    ("users", "email_folded", "e-mail address", "change the address of the user on either side"),
    ("identity_domain", "domain", "domain of a sign-in service", "take it off the service on either side"),
    ("directory_domain", "domain", "domain of a directory", "take it off the directory on either side"),
    ("smpp_account", "system_id", "system id", "delete the SMPP account that has it here, or in the source"),
    ("mail_gateway", "subdomain", "subdomain of a mail gateway", "change that of the gateway on either side"),
];

/// Refuses what another tenant has already, where it can be there only once.
async fn refuse_taken(tx: &mut Tx, shape: &Shape, rows: &[Vec<Arg>]) -> Result<()> {
    let table = shape.travel.table;
    for column in &shape.unique {
        let Some(place) = shape.place(column) else { continue };
        let there = |arg: &Arg| !matches!(arg, Arg::Int(None) | Arg::Text(None));
        let values: Vec<Arg> = rows.iter().map(|row| row[place].clone()).filter(there).collect();
        let Some(taken) = tx.taken(table, (column, shape.columns[place].1), values).await? else { continue };
        let told = TOLD.iter().find(|(of, name, ..)| *of == table && name == column);
        let error = match (told, taken) {
            (Some((_, _, what, advice)), Arg::Text(Some(value))) => {
                Error::new(Code::SuitcaseConflict, format!("the {what} {value} is taken here")).hint(*advice)
            }
            _ => Error::new(Code::SuitcaseConflict, format!("a row of the table {table} is here already"))
                .hint("what came here before under the same ids must go first"),
        };
        return Err(error.at(format!("{table}.{column}")));
    }
    Ok(())
}

/// Refuses rights over the platform, which only its own administrators give.
fn refuse_rights(shape: &Shape, row: &[Arg]) -> Result<()> {
    let text = |column: &str| row::text(shape, row, column);
    let table = shape.travel.table;
    let is_role = |column: &str| text(column) == Some(role::PLATFORM_ADMIN);
    let names = |column: &str| -> bool { text(column).is_some_and(reaches_platform) };
    let ownerless = || {
        let owner = shape.place("owner_id").map(|place| &row[place]);
        matches!(owner, Some(Arg::Int(None)))
    };
    let everything =
        || text("scopes").is_some_and(|scopes| scopes.contains(&format!("\"{}\"", key::EVERYTHING)));
    let (who, reaches) = match table {
        "users" => (text("email"), is_role("role")),
        "access_role" => (text("name"), is_role("parent") || is_role("name") || names("permissions")),
        "access_grant" => (text("reason"), is_role("role") || names("permissions")),
        "api_key" => (text("name"), ownerless() && (everything() || names("scopes"))),
        "oauth_client" => (text("name"), ownerless() && (everything() || names("scopes"))),
        // What newcomers and whoever signs in by another service become.
        "registration_policy" => (None, is_role("role")),
        "identity_provider" | "directory" => {
            let role = format!("\"{}\"", role::PLATFORM_ADMIN);
            (text("name"), text("settings").is_some_and(|settings| settings.contains(&role)))
        }
        _ => return Ok(()),
    };
    match reaches {
        true => Err(Error::new(
            Code::SuitcaseRights,
            format!("{} of the table {table} has rights over the platform", who.unwrap_or("a row")),
        )
        .at(table)),
        false => Ok(()),
    }
}

/// Whether a JSON text names a permission over the platform: as a member of an array, or as a key of an object.
fn reaches_platform(text: &str) -> bool {
    let named =
        |name: &str| Permissions::named(name).is_some_and(|set| set.iter().any(Permission::is_platform));
    match serde_json::from_str(text) {
        Ok(Value::Array(names)) => names.iter().filter_map(Value::as_str).any(named),
        Ok(Value::Object(fields)) => fields.keys().any(|name| named(name)),
        _ => false,
    }
}

/// Restores a suitcase that was checked. The tenant is shut when it is there, unless the wish is another.
///
/// # Errors
/// As [`check`], whose look may be older than this; when the database or the disk refuses. Nothing of it happened then.
pub(super) async fn restore(
    runtime: &Runtime,
    luggage: &Luggage,
    (path, lock): (&Path, &Lock),
    (wish, manifest): (&Wish, &Manifest),
    progress: &Progress,
) -> Result<()> {
    let mut suitcase = Unpacking::open(runtime, luggage, (path, lock)).await?;
    let whose = suitcase.begin.tenant;
    let keys = wrapped_here(runtime, &suitcase.begin, lock)?;
    let folders = (luggage.folders)(&runtime.config, whose);
    clear(&folders)?;
    let mut tx = runtime.db.write(Tenancy::Every).await?;
    let (mut file, mut done) = (None, 0);
    let tell = |step: Step, done: u64, table: &str| {
        progress(At { step, table, rows: done, share: (done, manifest.rows) })
    };
    while let Some(piece) = suitcase.next()? {
        match piece {
            Piece::Rows(place, mut rows) => {
                let shape = &suitcase.shapes[place];
                for row in &mut rows {
                    row::swap(shape, row, |id| keys.get(id).cloned());
                }
                done += rows.len() as u64;
                put(&mut tx, shape, rows).await?;
                tell(Step::Restores, done, shape.travel.table)?;
            }
            Piece::File(name) => file = Some(create(&folders, &name)?),
            Piece::Octets(octets) => {
                file.as_mut().map_or(Ok(()), |file: &mut File| file.write_all(&octets)).map_err(storage)?;
            }
            Piece::FileEnd => file.take().map_or(Ok(()), |file| file.sync_all()).map_err(storage)?,
            Piece::Manifest(..) => {}
        }
    }
    // What lies there now, read as an export would read it.
    let keys = Keys::read(&mut tx, runtime, whose).await?;
    let mut compared = 0;
    let mut each = |table: &str| {
        compared += 1;
        if compared % pack::TOLD_EVERY == 1 {
            tell(Step::Compares, compared, table)?;
        }
        Ok(())
    };
    let sums = row::sums(&mut tx, &suitcase.shapes, (whose, &keys), &mut each).await?;
    let other = sums.iter().zip(&manifest.tables).find(|(here, there)| here != there);
    if let Some((here, _)) = other {
        return Err(damaged(&format!("the table {}: what lies in it here", here.table)));
    }
    if let Some(id) = wish.record {
        let manifest_text = serde_json::to_string(manifest).map_err(Error::internal)?;
        tx.execute(
            sql!("update suitcase set state = 'arriving', tenant = $2, manifest = $3, rows_done = $4 where id = $1"),
            args![id, whose, manifest_text, manifest.rows.cast_signed()],
        )
        .await?;
    }
    if wish.open {
        tx.execute(sql!("update tenant set status = 'active' where id = $1"), args![whose]).await?;
    }
    let platform = tenant::platform(&mut tx).await?;
    let after = serde_json::json!({
        "rows": manifest.rows, "digest": manifest.digest, "made_at": manifest.made_at, "open": wish.open,
    });
    let told =
        Change { id: whose.to_string(), name: manifest.name.clone(), before: None, after: Some(after) };
    let happened = super::happened(runtime, platform, &wish.by, vec![Event::TenantRestored(told)]);
    let written = outbox::write(&mut tx, vec![happened]).await?;
    tx.commit().await?;
    written.tell(&runtime.live);
    encryption::forget(runtime, whose);
    Ok(())
}

async fn put(tx: &mut Tx, shape: &Shape, rows: Vec<Vec<Arg>>) -> Result<()> {
    let table = shape.travel.table;
    let refused = || {
        Error::new(Code::SuitcaseConflict, format!("a row of the table {table} is here already")).at(table)
    };
    let refers = || damaged(&format!("what a row of the table {table} refers to"));
    match tx.put(shape, rows).await {
        Err(failure) if failure.is_foreign_key() => Err(refers().because(failure)),
        other => other.on_unique(refused),
    }
}

/// The tenant's data keys by their ids, wrapped by this installation's root key.
fn wrapped_here(runtime: &Runtime, begin: &Begin, lock: &Lock) -> Result<BTreeMap<String, String>> {
    let name = begin.tenant.to_string();
    let anew = |(id, wrapped): (&String, &String)| {
        let opened = lock.vault().unwrap(&name, wrapped);
        let key = opened.map_err(|error: secrets::SecretsError| damaged("a data key").because(error))?;
        Ok((id.clone(), runtime.vault.wrap(&name, &key).map_err(Error::internal)?))
    };
    begin.keys.iter().map(anew).collect()
}

/// Removes what a restoring that did not come to its end has left beside the database.
fn clear(folders: &[(&'static str, PathBuf)]) -> Result<()> {
    for (_, folder) in folders {
        match std::fs::remove_dir_all(folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(storage(error)),
            _ => {}
        }
    }
    Ok(())
}

/// Where a file of the suitcase belongs: in a folder that is named, under a plain name.
fn place_of(folders: &[(&'static str, PathBuf)], name: &str) -> Result<PathBuf> {
    let (label, file) = name.split_once('/').unwrap_or_default();
    let folder = folders.iter().find(|(known, _)| *known == label);
    let plain = !file.is_empty() && !file.starts_with('.') && !file.contains(['/', '\\', '\0']);
    match (folder, plain) {
        (Some((_, folder)), true) => Ok(folder.join(file)),
        _ => Err(damaged(&format!("the name of the file {name}"))),
    }
}

fn create(folders: &[(&'static str, PathBuf)], name: &str) -> Result<File> {
    let path = place_of(folders, name)?;
    if let Some(folder) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(storage)?;
    }
    File::create(path).map_err(storage)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_stays_within_its_folder() {
        let folders = [("cdr", PathBuf::from("/data/cdr/t"))];
        assert_eq!(place_of(&folders, "cdr/a.csv").unwrap(), PathBuf::from("/data/cdr/t/a.csv"));
        for name in ["a.csv", "cdr/", "cdr/../a", "cdr/.hidden", "cdr/a/b", "etc/passwd", "/etc/passwd"] {
            assert_eq!(place_of(&folders, name).unwrap_err().code(), Code::SuitcaseDamaged, "{name}");
        }
    }

    #[test]
    fn rights_over_the_platform_are_seen_in_every_form() {
        for text in
            [r#"["message.send","tenant.view"]"#, r#"{"system.manage":"all"}"#, r#"["tenant.manage"]"#]
        {
            assert!(reaches_platform(text), "{text}");
        }
        for text in [r#"["message.send","*"]"#, r#"{"user.view":"own"}"#, "", "\"tenant.view\""] {
            assert!(!reaches_platform(text), "{text}");
        }
    }
}
