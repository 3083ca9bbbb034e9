//! Packing: one consistent look at a tenant, written line by line.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use db::{Tenancy, Tx, args, record, sql};
use runtime::Runtime;
use runtime::secrets::sha256_hex;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use types::{Code, Error, Result, TenantId, Timestamp};

use super::lock::{Lock, Shut, storage};
use super::row::{self, Keys, TableSum};
use super::{At, FORMAT, Luggage, Progress, Step};
use crate::audit::{checkpoint, follow};

/// Octets of a file in one line.
const PIECE_BYTES: usize = 1 << 18;
/// How often the progress is told, in rows.
pub(super) const TOLD_EVERY: u64 = 5_000;

/// A line that is no row and no piece of a file.
#[derive(Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub(super) enum Control {
    Suitcase(Begin),
    Table { table: String, columns: Vec<String> },
    End(TableSum),
    File { name: String },
    FileEnd(FileSum),
    Manifest { body: String, signature: String, public_key: String },
}

/// The first line within.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Begin {
    pub(super) format: String,
    pub(super) product: String,
    /// The steps of the schema: name, and SHA-256 of the text.
    pub(super) schema: BTreeMap<String, String>,
    pub(super) tenant: TenantId,
    pub(super) made_at: Timestamp,
    /// The tenant's data keys by their ids, each wrapped by the suitcase's own key.
    pub(super) keys: BTreeMap<String, String>,
}

/// A file that lies beside the database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct FileSum {
    /// Its folder and its name.
    pub name: String,
    /// Its octets.
    pub bytes: u64,
    /// Their SHA-256.
    pub sha256: String,
}

/// What a suitcase holds; its JSON text is signed by the key of the tenant's audit trail.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Manifest {
    /// The name and version of the format.
    pub format: String,
    /// The version of the product that wrote it.
    pub product: String,
    /// The tenant.
    pub tenant: TenantId,
    /// Its name.
    pub name: String,
    /// When it was looked at.
    pub made_at: Timestamp,
    /// Rows of all tables together.
    pub rows: u64,
    /// Messages that were handed to a carrier and not answered when it was looked at: they may have left.
    pub in_flight: u64,
    /// Each table's rows and hash.
    pub tables: Vec<TableSum>,
    /// The files beside the database.
    pub files: Vec<FileSum>,
    /// SHA-256 over a line `table rows sha256` for each table.
    pub digest: String,
}

/// The steps of the schema with a hash of their texts.
pub(super) fn schema(luggage: &Luggage) -> BTreeMap<String, String> {
    luggage.migrations.iter().map(|step| (step.name.to_owned(), sha256_hex(step.text))).collect()
}

/// What writes the lines.
struct Packing {
    to: zstd::Encoder<'static, Shut<BufWriter<File>>>,
}

impl Packing {
    fn control(&mut self, control: &Control) -> Result<()> {
        self.line(&serde_json::to_string(control).map_err(Error::internal)?)
    }

    fn line(&mut self, line: &str) -> Result<()> {
        self.to.write_all(line.as_bytes()).and_then(|()| self.to.write_all(b"\n")).map_err(storage)
    }

    /// A file's octets, in pieces.
    fn file(&mut self, name: String, path: &Path) -> Result<FileSum> {
        use base64::Engine as _;
        let mut from = File::open(path).map_err(storage)?;
        self.control(&Control::File { name: name.clone() })?;
        let (mut hash, mut bytes, mut piece) = (Sha256::new(), 0, Vec::with_capacity(PIECE_BYTES));
        loop {
            piece.clear();
            (&mut from).take(PIECE_BYTES as u64).read_to_end(&mut piece).map_err(storage)?;
            if piece.is_empty() {
                break;
            }
            hash.update(&piece);
            bytes += piece.len() as u64;
            let text = base64::engine::general_purpose::STANDARD.encode(&piece);
            self.line(&format!("\"{text}\""))?;
        }
        let sum = FileSum { name, bytes, sha256: row::hex(&hash.finalize()) };
        self.control(&Control::FileEnd(sum.clone()))?;
        Ok(sum)
    }

    /// All closed files of some folders.
    fn files(&mut self, folders: &[(&'static str, PathBuf)]) -> Result<Vec<FileSum>> {
        let mut files = Vec::new();
        for (label, folder) in folders {
            for name in super::files_in(folder)? {
                files.push(self.file(format!("{label}/{name}"), &folder.join(&name))?);
            }
        }
        Ok(files)
    }

    /// Ends the file and leaves it whole on the disk.
    fn finish(self) -> Result<()> {
        let shut = self.to.finish().map_err(storage)?;
        let mut file = shut.finish().map_err(storage)?;
        file.flush().and_then(|()| file.get_ref().sync_all()).map_err(storage)
    }
}

record! { struct Standing { name: String } }
record! { struct Claimed { messages: String } }

/// Messages that are with a carrier and not answered.
pub(super) async fn in_flight(tx: &mut Tx, tenant: TenantId) -> Result<u64> {
    let claims: Vec<Claimed> = tx
        .all(
            sql!(
                "select messages from claim where connection_id in (select id from connection where tenant_id = $1) \
                 order by id limit 10000"
            ),
            args![tenant],
        )
        .await?;
    let count =
        |claim: &Claimed| serde_json::from_str::<Vec<i64>>(&claim.messages).map_or(0, |all| all.len() as u64);
    Ok(claims.iter().map(count).sum())
}

/// Packs a tenant into a file that is made, or made anew. It waits for the disk, so it belongs on a thread of its own.
///
/// # Errors
/// `not_found` for a tenant that is not there; when the disk or the database refuses.
pub(super) async fn pack(
    runtime: &Runtime,
    luggage: &Luggage,
    tenant: TenantId,
    (path, lock): (&Path, &Lock),
    progress: &Progress,
) -> Result<Manifest> {
    // The trail leaves signed to its end, so the next installation has nothing to sign for what happened here.
    match follow::sign_now(runtime, tenant).await {
        Err(error) if error.code() != Code::Conflict => return Err(error),
        // A trail that grows this fast is signed where it goes on.
        Ok(_) | Err(_) => {}
    }
    let signer = checkpoint::signer(runtime, tenant).await?;
    let shapes = runtime.db.shapes(&luggage.travels).await?;
    let mut tx = runtime.db.read(Tenancy::Tenant(tenant)).await?;
    let Standing { name } = tx
        .optional(sql!("select name from tenant where id = $1"), args![tenant])
        .await?
        .ok_or_else(|| Error::not_found("tenant"))?;
    let keys = Keys::read(&mut tx, runtime, tenant).await?;
    let made_at = runtime.clock.now();
    let begin = Begin {
        format: FORMAT.to_owned(),
        product: env!("CARGO_PKG_VERSION").to_owned(),
        schema: schema(luggage),
        tenant,
        made_at,
        keys: wrapped_anew(runtime, tenant, &keys, lock)?,
    };
    let in_flight = in_flight(&mut tx, tenant).await?;
    let shut = Shut::begin(BufWriter::new(create(path)?), lock)?;
    let mut packing =
        Packing { to: zstd::Encoder::new(shut, zstd::DEFAULT_COMPRESSION_LEVEL).map_err(storage)? };
    packing.control(&Control::Suitcase(begin))?;
    let all = row::count(&mut tx, &shapes, tenant).await?;
    let (mut tables, mut done) = (Vec::with_capacity(shapes.len()), 0);
    let tell =
        |done: u64, table: &str| progress(At { step: Step::Packs, table, rows: done, share: (done, all) });
    for shape in &shapes {
        let columns = shape.columns.iter().map(|(name, kind)| format!("{name} {}", kind.as_str())).collect();
        packing.control(&Control::Table { table: shape.travel.table.to_owned(), columns })?;
        tell(done, shape.travel.table)?;
        let mut each = |line: &str| {
            done += 1;
            if done % TOLD_EVERY == 0 {
                tell(done, shape.travel.table)?;
            }
            packing.line(line)
        };
        let sum = row::lines(&mut tx, shape, (tenant, &keys), &mut each).await?;
        packing.control(&Control::End(sum.clone()))?;
        tables.push(sum);
    }
    drop(tx);
    let files = packing.files(&(luggage.folders)(&runtime.config, tenant))?;
    let manifest = Manifest {
        format: FORMAT.to_owned(),
        product: env!("CARGO_PKG_VERSION").to_owned(),
        tenant,
        name,
        made_at,
        rows: tables.iter().map(|table| table.rows).sum(),
        in_flight,
        digest: row::digest(&tables),
        tables,
        files,
    };
    let body = serde_json::to_string(&manifest).map_err(Error::internal)?;
    let (signature, public_key) = (signer.signature(&body), signer.public_key().to_owned());
    packing.control(&Control::Manifest { body, signature, public_key })?;
    packing.finish()?;
    tell(done, "")?;
    Ok(manifest)
}

/// The data keys, wrapped by the suitcase's key.
fn wrapped_anew(
    runtime: &Runtime,
    tenant: TenantId,
    keys: &Keys,
    lock: &Lock,
) -> Result<BTreeMap<String, String>> {
    let name = tenant.to_string();
    let anew = |(wrapped, id): (&String, &String)| {
        let key = runtime.vault.unwrap(&name, wrapped).map_err(Error::internal)?;
        Ok((id.clone(), lock.vault().wrap(&name, &key).map_err(Error::internal)?))
    };
    keys.wrapped.iter().map(anew).collect()
}

/// A file for its owner alone.
fn create(path: &Path) -> Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600).open(path).map_err(storage)
}
