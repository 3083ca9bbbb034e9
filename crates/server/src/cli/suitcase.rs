//! `switchboard tenant export`, `import` and `hash`: all of a tenant in one file. With `--offline` the database itself is opened,
//! and no server is asked.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use identity::suitcase::{self, Hashes, Manifest};
use runtime::config::Secret;
use runtime::{Clock, Runtime};
use serde_json::{Value, json};
use types::TenantId;

use super::ConfigFlags;
use super::client::Client;
use super::config;
use super::failure::Failure;
use super::show::{self, Out};
use crate::serve;

/// Where the passphrase is read.
#[derive(Debug, clap::Args)]
pub(super) struct PassphraseFlags {
    /// A file whose first line is the passphrase; - for standard input. Without it SWITCHBOARD_PASSPHRASE is read
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// The passphrase, from the environment alone
    #[arg(long, env = "SWITCHBOARD_PASSPHRASE", hide = true, hide_env_values = true)]
    passphrase: Option<String>,
}

impl PassphraseFlags {
    /// The passphrase.
    ///
    /// # Errors
    /// When there is none, or its file cannot be read.
    pub(super) fn read(&self) -> Result<Secret, Failure> {
        let unreadable = |error: std::io::Error| {
            Failure::usage(format!("the passphrase cannot be read: {error}"), "check the file's path.")
        };
        let text = match &self.passphrase_file {
            Some(path) if path == Path::new("-") => {
                let mut line = String::new();
                std::io::stdin().read_line(&mut line).map_err(unreadable)?;
                line
            }
            Some(path) => std::fs::read_to_string(path).map_err(unreadable)?,
            None => match &self.passphrase {
                Some(passphrase) => passphrase.clone(),
                None => {
                    return Err(Failure::usage(
                        "there is no passphrase",
                        "name a file with it by --passphrase-file, or set SWITCHBOARD_PASSPHRASE.",
                    ));
                }
            },
        };
        Ok(Secret::new(text.lines().next().unwrap_or_default().to_owned()))
    }
}

/// The database that the flags name, with what a suitcase needs.
async fn beside(flags: &ConfigFlags) -> Result<Runtime, Failure> {
    let runtime = serve::runtime(config::usable(flags)?, Clock::system()).await?;
    suitcase::name_luggage(&runtime, serve::luggage());
    Ok(runtime)
}

/// Runs what waits for the disk on a thread of its own.
async fn apart<T: Send + 'static>(
    work: impl Future<Output = types::Result<T>> + Send + 'static,
) -> Result<T, Failure> {
    let handle = tokio::runtime::Handle::current();
    let done = tokio::task::spawn_blocking(move || handle.block_on(work)).await;
    Ok(done.map_err(types::Error::internal)??)
}

/// Packs a tenant beside the database.
///
/// # Errors
/// What refuses it.
pub(super) async fn export_offline(
    (tenant, to): (&str, &Path),
    suspend: bool,
    passphrase: Secret,
    (flags, out): (&ConfigFlags, &Out),
) -> Result<(), Failure> {
    let runtime = beside(flags).await?;
    let (path, given, own) = (to.to_owned(), tenant.to_owned(), runtime.clone());
    let packed = apart(async move {
        let tenant = suitcase::named(&own, &given).await?;
        suitcase::export_offline(&own, tenant, suspend, (&path, passphrase.expose())).await
    })
    .await;
    runtime.db.close().await;
    tell_manifest(&packed?, out);
    if !out.json() {
        out.note(&format!("Packed into {}. Whoever restores it needs the passphrase too.", to.display()));
    }
    Ok(())
}

/// Restores a tenant beside the database.
///
/// # Errors
/// What refuses it; nothing happened then.
pub(super) async fn import_offline(
    file: &Path,
    (open, public_key): (bool, Option<String>),
    passphrase: Secret,
    (flags, out): (&ConfigFlags, &Out),
) -> Result<(), Failure> {
    let runtime = beside(flags).await?;
    let (path, own) = (file.to_owned(), runtime.clone());
    let restored = apart(async move {
        // In a fresh folder there is no tenant yet, and the platform's trail tells of the restoring.
        serve::first_start(&own).await?;
        suitcase::import_offline(&own, (&path, passphrase.expose()), open, public_key.as_deref()).await
    })
    .await;
    runtime.db.close().await;
    let manifest = restored?;
    tell_manifest(&manifest, out);
    if !out.json() {
        out.note("Restored, and each table has the hash that it had at the source.");
        if !open {
            out.note(&format!(
                "The tenant is shut. Open it with: switchboard tenant change {} --status active",
                manifest.tenant
            ));
        }
    }
    Ok(())
}

/// Prints the hashes of a tenant's tables, read beside the database.
///
/// # Errors
/// When there is no such tenant.
pub(super) async fn hash_offline(tenant: &str, flags: &ConfigFlags, out: &Out) -> Result<(), Failure> {
    let runtime = beside(flags).await?;
    let (given, own) = (tenant.to_owned(), runtime.clone());
    let hashes = apart(async move {
        let tenant: TenantId = suitcase::named(&own, &given).await?;
        suitcase::hashes(&own, tenant).await
    })
    .await;
    runtime.db.close().await;
    let hashes: Hashes = hashes?;
    tell_hashes(&json!(hashes), out);
    Ok(())
}

/// Shows hashes, table by table.
pub(super) fn tell_hashes(hashes: &Value, out: &Out) {
    if out.json() {
        out.value(hashes);
        return;
    }
    if let Some(tables) = hashes["tables"].as_array() {
        out.table(tables, &[("TABLE", "/table"), ("ROWS", "/rows"), ("SHA-256", "/sha256")]);
    }
    out.line("");
    out.line(&format!("{}  {} rows", show::words(&hashes["tenant"]), show::words(&hashes["rows"])));
    out.line(&format!("digest  {}", show::words(&hashes["digest"])));
}

fn tell_manifest(manifest: &Manifest, out: &Out) {
    tell_hashes(&json!(manifest), out);
    if out.json() {
        return;
    }
    if !manifest.files.is_empty() {
        out.line("");
        let files: Vec<Value> = manifest.files.iter().map(|file| json!(file)).collect();
        out.table(&files, &[("FILE", "/name"), ("OCTETS", "/bytes"), ("SHA-256", "/sha256")]);
    }
    if manifest.in_flight > 0 {
        out.note(&format!(
            "{} messages were with a carrier and not answered: at the new place marketing among them counts as sent, and \
             the others may be sent twice.",
            manifest.in_flight
        ));
    }
}

/// How often the server is asked how far it is.
const ASKED_EVERY: Duration = Duration::from_secs(1);
/// Octets that are uploaded at once.
const PIECE_BYTES: usize = 4 << 20;

/// What the server packs, waited for and saved.
///
/// # Errors
/// What the server refuses; a file that cannot be written.
pub(super) async fn export(
    client: &Client,
    (tenant, to): (&str, &Path),
    (suspend, passphrase): (bool, &Secret),
    out: &Out,
) -> Result<(), Failure> {
    let asked = json!({ "passphrase": passphrase.expose(), "suspend": suspend });
    let asked = client.post(&["tenants", tenant, "suitcases"], &asked).await?.value;
    let done = until_done(client, &show::words(&asked["id"]), out).await?;
    let id = show::words(&done["id"]);
    let mut response = client.download(&["suitcases", &id, "file"], &[]).await?;
    let broken =
        |error: String| Failure::failed(format!("the file could not be saved: {error}"), "try again.");
    let mut file = create(to).map_err(|error| broken(error.to_string()))?;
    while let Some(piece) = response.chunk().await.map_err(|error| broken(error.to_string()))? {
        file.write_all(&piece).map_err(|error| broken(error.to_string()))?;
    }
    file.sync_all().map_err(|error| broken(error.to_string()))?;
    if out.json() {
        out.value(&done);
        return Ok(());
    }
    tell_hashes(&done["manifest"], out);
    out.note(&format!("Packed into {}. Whoever restores it needs the passphrase too.", to.display()));
    if done["manifest"]["in_flight"].as_u64() > Some(0) {
        out.note(&format!(
            "{} messages were with a carrier and not answered.",
            done["manifest"]["in_flight"]
        ));
    }
    Ok(())
}

fn create(to: &Path) -> std::io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(to)
}

/// Uploads a suitcase, lets the server restore it, and waits for what comes of it.
///
/// # Errors
/// What the server refuses; a file that cannot be read.
pub(super) async fn import(
    client: &Client,
    (file, open): (&Path, bool),
    (passphrase, public_key): (&Secret, Option<&str>),
    out: &Out,
) -> Result<(), Failure> {
    let unreadable = |error: std::io::Error| {
        Failure::failed(format!("{} cannot be read: {error}", file.display()), "check the path.")
    };
    let mut from = File::open(file).map_err(unreadable)?;
    let total = from.metadata().map_err(unreadable)?.len();
    let id = show::words(&client.act(&["suitcases"]).await?.value["id"]);
    let mut offset = 0;
    loop {
        let mut piece = Vec::with_capacity(PIECE_BYTES);
        (&mut from).take(PIECE_BYTES as u64).read_to_end(&mut piece).map_err(unreadable)?;
        if piece.is_empty() {
            break;
        }
        let at = [("offset", Some(offset.to_string())), ("total", Some(total.to_string()))];
        offset += piece.len();
        client.put_octets(&["suitcases", &id, "file"], &at, piece).await?;
    }
    let asked = json!({ "passphrase": passphrase.expose(), "open": open, "public_key": public_key });
    client.post(&["suitcases", &id, "restore"], &asked).await?;
    let done = until_done(client, &id, out).await?;
    if out.json() {
        out.value(&done);
        return Ok(());
    }
    tell_hashes(&done["manifest"], out);
    out.note("Restored, and each table has the hash that it had at the source.");
    if !open {
        let tenant = show::words(&done["tenant"]);
        out.note(&format!(
            "The tenant is shut. Open it with: switchboard tenant change {tenant} --status active"
        ));
    }
    Ok(())
}

/// Waits until a suitcase is ready or done, and says meanwhile how far it is.
async fn until_done(client: &Client, id: &str, out: &Out) -> Result<Value, Failure> {
    let mut told = [String::new(), String::new()];
    loop {
        let one = client.get(&["suitcases", id], &[]).await?.value;
        match one["state"].as_str().unwrap_or_default() {
            "ready" | "done" => return Ok(one),
            "failed" | "gone" => {
                let why = one["problem"].as_str().unwrap_or("its file was removed").to_owned();
                return Err(Failure::failed(
                    why,
                    "nothing of it happened; see the code in the documentation.",
                ));
            }
            _ => {}
        }
        let now = [&one["step"], &one["at_table"]].map(show::words);
        if one["step"].is_string() && now != told {
            if !out.json() {
                let [step, table] = &now;
                out.note(&format!("{step}: {} rows, {} %, at {table}", one["rows_done"], one["share"]));
            }
            told = now;
        }
        tokio::time::sleep(ASKED_EVERY).await;
    }
}
