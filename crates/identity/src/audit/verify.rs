//! Whether a trail is whole: the same look at an exported file, where nothing of ours need run, and at the database.
//!
//! A row is right when its text has its hash and names the hash of the row before. So what was done to a trail shows at the
//! first row that it was done to: a changed row by its own hash (or, where that was made anew, by the row behind it), a row
//! that is taken out, put in or moved by its number, a cut end by the signed last line, and rows made anew altogether by the
//! first signed checkpoint behind them.

use std::io::{BufRead, Read as _};

use db::{Db, Tenancy, args, record, sql};
use runtime::secrets::sha256_hex;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use types::{Code, Error, Result, TenantId, Timestamp};

use super::chain::{self, BEGINNING, Bound, Linked};
use super::checkpoint::{self, Checkpoint};

pub(super) mod walk;

use walk::Walk;

/// The longest line that is read; a row is far shorter.
const LINE_BYTES_MAX: u64 = 64 << 20;
/// Rows read from the database at a time.
const ROWS: i64 = 500;
/// What the lines of an export begin with.
const ROW: &str = "{\"row\":";
const CHECKPOINT: &str = "{\"checkpoint\":";
const BEGIN: &str = "{\"begin\":";
const END: &str = "{\"end\":";
/// What stands before their last fields.
const HASH: &str = ",\"hash\":\"";
const SIGNATURE: &str = ",\"signature\":\"";
/// The name and version of the format.
pub(super) const FORMAT: &str = "switchboard audit 1";

/// What was done to a trail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Done {
    /// A row, or a line beside the rows, was changed.
    Changed,
    /// Rows were taken out.
    Deleted,
    /// A row was put in.
    Inserted,
    /// A row stands at another place.
    Reordered,
    /// The end is missing.
    Truncated,
    /// The beginning is missing.
    Beheaded,
    /// A signature is not by the key, or not of this text.
    Forged,
}

/// The first place where a trail is not what it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Damage {
    /// What was done.
    pub what: Done,
    /// The first row it was done to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<i64>,
    /// The last row, where several are missing or one of several was changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<i64>,
    /// The line of the file, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// In words.
    pub detail: String,
}

/// What verifying found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = AuditReport)]
pub struct Report {
    /// Whether everything is as it was written.
    pub whole: bool,
    /// Whose trail.
    pub tenant: String,
    /// Rows that were looked at.
    pub rows: u64,
    /// The first row.
    pub first: i64,
    /// The last row.
    pub last: i64,
    /// The last row's hash.
    pub hash: String,
    /// Checkpoints that were looked at.
    pub checkpoints: u64,
    /// The last row behind which a checkpoint stands.
    pub signed_until: i64,
    /// The key that signed, in base64url.
    pub public_key: String,
    /// Whether that key was given by whoever verifies, and not taken from what is verified.
    pub key_given: bool,
    /// Whether the file holds a selection, of which only what is there can be verified and not what lies between.
    pub selection: bool,
    /// The first place where it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub damage: Option<Damage>,
}

/// The first line of an export.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Begin {
    pub(super) format: String,
    pub(super) tenant: String,
    pub(super) first: i64,
    pub(super) previous: String,
    /// The last checkpoint before what follows.
    pub(super) checkpoint: i64,
    pub(super) key: String,
    pub(super) public_key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) selection: Option<String>,
}

/// The signed last line of an export.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct End {
    /// The first line's hash.
    pub(super) begin: String,
    pub(super) rows: u64,
    pub(super) last: i64,
    pub(super) hash: String,
    pub(super) checkpoint: i64,
    pub(super) at: Timestamp,
    pub(super) by: String,
    /// All hashes of rows: the SHA-256 of what was there before and the next one, from nothing on.
    pub(super) digest: String,
}

/// Verifies an exported file. With a key, only what that key signed counts; without, the file's own does.
///
/// # Errors
/// When the file cannot be read; a key that is none. Damage is no error: it stands in the report.
pub fn file(lines: impl BufRead, key: Option<&str>) -> Result<Report> {
    let key = key.map(checkpoint::read_key).transpose()?;
    let mut reading = Reading { walk: Walk::new(key), begin: String::new(), line: 0, ended: false };
    let mut lines = lines;
    let mut octets = Vec::new();
    loop {
        octets.clear();
        let read = (&mut lines).take(LINE_BYTES_MAX).read_until(b'\n', &mut octets);
        if read.map_err(|error| Error::new(Code::BadRequest, format!("the file cannot be read: {error}")))?
            == 0
        {
            break;
        }
        reading.line += 1;
        reading.take(&octets);
        if reading.walk.decided() {
            break;
        }
    }
    Ok(reading.close())
}

/// A file as it is read.
struct Reading {
    walk: Walk,
    begin: String,
    line: u64,
    ended: bool,
}

/// The text and the last field of a line that is written in the one way it can be.
fn parts<'a>(line: &'a str, prefix: &str, field: &str) -> Option<(&'a str, &'a str)> {
    let (text, last) = line.strip_prefix(prefix)?.strip_suffix("\"}")?.rsplit_once(field)?;
    (!last.contains('"')).then_some((text, last))
}

impl Reading {
    fn take(&mut self, octets: &[u8]) {
        let line = self.line;
        let text = octets.strip_suffix(b"\n").and_then(|line| std::str::from_utf8(line).ok());
        let Some(text) = text else {
            return self.walk.changed_line(line, "the line is cut off, or is no text");
        };
        if self.ended {
            return self.walk.inserted_line(line);
        }
        if line == 1 {
            return self.begin(text);
        }
        if let Some((row, hash)) = parts(text, ROW, HASH) {
            self.walk.row(line, row, hash);
        } else if let Some((body, signature)) = parts(text, CHECKPOINT, SIGNATURE) {
            self.walk.checkpoint(Some(line), body, signature);
        } else if let Some((body, signature)) = parts(text, END, SIGNATURE) {
            self.ended = true;
            self.walk.end(line, body, signature, &self.begin);
        } else {
            self.walk.changed_line(line, "this is none of the lines that an export has");
        }
    }

    fn begin(&mut self, text: &str) {
        let right = parts(text, BEGIN, HASH).filter(|(body, hash)| sha256_hex(body) == *hash);
        let begin: Option<Begin> = right.and_then(|(body, _)| serde_json::from_str(body).ok());
        match (begin.filter(|begin| begin.format == FORMAT), right) {
            (Some(begin), Some((_, hash))) => {
                hash.clone_into(&mut self.begin);
                self.walk.begin(&begin);
            }
            _ => self.walk.changed_line(
                1,
                "the first line does not say what this file is, or does not have the hash beside it",
            ),
        }
    }

    fn close(mut self) -> Report {
        if !self.ended {
            self.walk.truncated(self.line);
        }
        self.walk.report()
    }
}

record! {
    /// A checkpoint as it lies in the table.
    pub(super) struct StoredCheckpoint {
        pub(super) checkpoint: i64,
        pub(super) number: i64,
        pub(super) body: String,
        pub(super) signature: String,
    }
}
record! { struct Cut { data: String } }
record! { struct Trail { tenant_id: TenantId } }

/// Trails that are verified at a time, from one database.
const TRAILS_MAX: i64 = 100_000;

/// Verifies every trail of a database, which a server may use at the same time.
///
/// # Errors
/// When the database does not answer.
pub async fn every(db: &Db) -> Result<Vec<Report>> {
    let trails: Vec<Trail> = db
        .read(Tenancy::Every)
        .await?
        .all(sql!("select tenant_id from audit_chain order by tenant_id limit $1"), args![TRAILS_MAX])
        .await?;
    let mut reports = Vec::with_capacity(trails.len());
    for Trail { tenant_id } in trails {
        reports.push(stored(db, tenant_id).await?);
    }
    Ok(reports)
}

/// Verifies a tenant's trail in the database.
///
/// # Errors
/// When the database does not answer; `not_found` where there is no trail yet. Damage is no error: it stands in the report.
pub async fn stored(db: &Db, tenant: TenantId) -> Result<Report> {
    let mut tx = db.read(Tenancy::Tenant(tenant)).await?;
    let chain = chain::standing(&mut tx, tenant).await?.ok_or_else(|| Error::not_found("audit trail"))?;
    let mut walk = Walk::new(None);
    let checkpoints: Vec<StoredCheckpoint> = tx
        .all(
            sql!(
                "select checkpoint, number, body, signature from audit_checkpoint where tenant_id = $1 and number >= $2 \
                 order by checkpoint limit 1000000"
            ),
            args![tenant, chain.first - 1],
        )
        .await?;
    let mut checkpoints = checkpoints.into_iter().peekable();
    let previous = match chain.first {
        1 => BEGINNING.to_owned(),
        first => checkpoints
            .peek()
            .filter(|one| one.number == first - 1)
            .and_then(|one| serde_json::from_str::<Checkpoint>(&one.body).ok())
            .map_or_else(String::new, |one| one.hash),
    };
    let before = match chain.first {
        1 => 0,
        _ => checkpoints.peek().map_or(0, |one| one.checkpoint - 1),
    };
    walk.begin(&Begin {
        checkpoint: before,
        format: FORMAT.to_owned(),
        tenant: tenant.to_string(),
        first: chain.first,
        previous,
        key: checkpoint::key_id(&chain.public_key),
        public_key: chain.public_key.clone(),
        selection: None,
    });
    if chain.first > 1 && !cut_is_told(&mut tx, tenant, chain.first).await? {
        walk.beheaded(chain.first);
    }
    let mut from = chain.first;
    loop {
        while let Some(one) = checkpoints.next_if(|one| one.number < from) {
            walk.checkpoint(None, &one.body, &one.signature);
        }
        let rows = chain::read(&mut tx, tenant, from, ROWS).await?;
        let Some(last) = rows.last().map(|row| row.row.number) else { break };
        for Linked { row, hash, folded } in rows {
            while let Some(one) = checkpoints.next_if(|one| one.number < row.number) {
                walk.checkpoint(None, &one.body, &one.signature);
            }
            if row.folded() == folded {
                walk.stored(&row.text()?, &hash);
            } else {
                walk.stored(&row.text()?, "its search text is another");
            }
        }
        from = last + 1;
        if walk.decided() {
            return Ok(walk.report());
        }
    }
    for one in checkpoints {
        walk.checkpoint(None, &one.body, &one.signature);
    }
    walk.reaches(chain.number, &chain.hash, chain.checkpoint);
    Ok(walk.report())
}

/// Whether the trail itself says that it was cut before this row.
async fn cut_is_told(tx: &mut db::Tx, tenant: TenantId, first: i64) -> Result<bool> {
    let cuts: Vec<Cut> = tx
        .all(
            sql!(
                "select data from audit_row where tenant_id = $1 and kind = 'audit.cut' order by number desc limit 20"
            ),
            args![tenant],
        )
        .await?;
    Ok(cuts.iter().any(|cut| {
        let data: Value = serde_json::from_str(&cut.data).unwrap_or_default();
        data["after"]["first"] == first
    }))
}
