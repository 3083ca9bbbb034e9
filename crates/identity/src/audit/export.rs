//! The trail as a file: JSON lines that verify by themselves, or CSV for people.

use std::collections::VecDeque;

use db::{Tx, args, sql};
use futures::Stream;
use runtime::Scope;
use runtime::secrets::sha256_hex;
use types::event::Exported;
use types::{Code, Error, Event, Permission, Result};

use super::chain::{self, BEGINNING, Chain, Linked};
use super::checkpoint::{self, Checkpoint, Signing};
use super::verify::walk::digest;
use super::verify::{Begin, End, FORMAT, StoredCheckpoint};
use super::{Filter, Wanted, follow};

/// Rows that are read at a time.
const ROWS: i64 = 500;

/// The form of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A line for each row, with checkpoints and a signed end.
    JsonLines,
    /// A table, which does not verify.
    Csv,
}

impl Form {
    /// The form of this name; JSON lines when none is given.
    ///
    /// # Errors
    /// [`Code::InvalidFilter`] for another name.
    pub fn named(name: Option<&str>) -> Result<Self> {
        match name {
            None | Some("" | "jsonl") => Ok(Self::JsonLines),
            Some("csv") => Ok(Self::Csv),
            Some(other) => Err(Error::new(Code::InvalidFilter, format!("{other:?} is no form of an export"))
                .at("format")
                .hint("the forms are jsonl and csv")),
        }
    }

    /// How a file of it is called, and what HTTP calls it.
    pub const fn as_file(self) -> (&'static str, &'static str) {
        match self {
            Self::JsonLines => ("audit.jsonl", "application/jsonl"),
            Self::Csv => ("audit.csv", "text/csv; charset=utf-8"),
        }
    }
}

struct Exporting {
    scope: Scope,
    form: Form,
    wanted: Wanted,
    selection: Option<String>,
    chain: Chain,
    signing: Signing,
    begin: String,
    next: i64,
    rows: u64,
    hash: String,
    digest: String,
    checkpoints: VecDeque<StoredCheckpoint>,
    checkpoint: i64,
    stage: Stage,
}

#[derive(PartialEq, Eq)]
enum Stage {
    Begin,
    Rows,
    End,
    Over,
}

/// The whole trail, or what fits a filter, a piece at a time. That it was taken away stands in it.
///
/// # Errors
/// Without `audit.export`, and without `identifier.view`, because a masked row verifies no more; a filter that is none.
pub async fn begin(
    scope: &Scope,
    filter: &Filter,
    form: Form,
) -> Result<impl Stream<Item = Result<String>> + Send + 'static> {
    scope.require(Permission::AuditExport)?;
    scope.require(Permission::IdentifierView)?;
    let wanted = filter.wanted()?;
    let selection = filter.in_words();
    let mut write = scope.write().await?;
    let name = selection.clone();
    write.happened(Event::DataExported(Exported { what: "audit".into(), name, records: None }));
    write.commit(()).await?;
    follow::catch_up(scope.runtime(), scope.tenant()).await?;
    let mut tx = scope.read().await?;
    let chain = chain::standing(&mut tx, scope.tenant()).await?;
    let chain = chain.ok_or_else(|| Error::not_found("audit trail"))?;
    let signing = checkpoint::key(scope.runtime(), scope.tenant(), &chain).await?;
    let whole = selection.is_none();
    let checkpoints = match whole {
        true => checkpoints(&mut tx, scope, &chain).await?,
        false => VecDeque::new(),
    };
    let first = checkpoints.front().filter(|one| one.number < chain.first);
    let (checkpoint, previous) = match first {
        Some(one) => (one.checkpoint - 1, hash_of(one)?),
        None => (0, BEGINNING.to_owned()),
    };
    let begin = Begin {
        format: FORMAT.to_owned(),
        tenant: scope.tenant().to_string(),
        first: chain.first,
        previous: previous.clone(),
        checkpoint,
        key: signing.id(),
        public_key: signing.public.clone(),
        selection: selection.clone(),
    };
    let begin = serde_json::to_string(&begin).map_err(Error::internal)?;
    let exporting = Exporting {
        scope: scope.clone(),
        form,
        wanted,
        selection,
        next: chain.first,
        signing,
        begin,
        rows: 0,
        hash: previous,
        digest: String::new(),
        checkpoints,
        checkpoint,
        stage: Stage::Begin,
        chain,
    };
    Ok(futures::stream::try_unfold(exporting, |mut exporting| async move {
        let piece = exporting.piece().await?;
        Ok(piece.map(|piece| (piece, exporting)))
    }))
}

fn hash_of(stored: &StoredCheckpoint) -> Result<String> {
    let told: Checkpoint = serde_json::from_str(&stored.body).map_err(Error::internal)?;
    Ok(told.hash)
}

async fn checkpoints(tx: &mut Tx, scope: &Scope, chain: &Chain) -> Result<VecDeque<StoredCheckpoint>> {
    let rows: Vec<StoredCheckpoint> = tx
        .all(
            sql!(
                "select checkpoint, number, body, signature from audit_checkpoint where tenant_id = $1 and number >= $2 \
                 and number <= $3 order by checkpoint limit 1000000"
            ),
            args![scope.tenant(), chain.first - 1, chain.number],
        )
        .await?;
    Ok(rows.into())
}

impl Exporting {
    async fn piece(&mut self) -> Result<Option<String>> {
        match self.stage {
            Stage::Begin => {
                self.stage = Stage::Rows;
                Ok(Some(match self.form {
                    Form::JsonLines => {
                        let mut piece = format!(
                            "{{\"begin\":{},\"hash\":\"{}\"}}\n",
                            self.begin,
                            sha256_hex(&self.begin)
                        );
                        self.checkpoints_before(self.next, &mut piece);
                        piece
                    }
                    Form::Csv => csv_line(&HEADING.map(str::to_owned))?,
                }))
            }
            Stage::Rows => {
                let piece = self.rows().await?;
                if self.next > self.chain.number {
                    self.stage = Stage::End;
                }
                Ok(Some(piece))
            }
            Stage::End => {
                self.stage = Stage::Over;
                match self.form {
                    Form::JsonLines => Ok(Some(self.end()?)),
                    Form::Csv => Ok(None),
                }
            }
            Stage::Over => Ok(None),
        }
    }

    /// The signed checkpoints that stand before a row.
    fn checkpoints_before(&mut self, number: i64, piece: &mut String) {
        while let Some(one) = self.checkpoints.pop_front_if(|one| one.number < number) {
            self.checkpoint = one.checkpoint;
            let StoredCheckpoint { body, signature, .. } = one;
            piece.push_str(&format!("{{\"checkpoint\":{body},\"signature\":\"{signature}\"}}\n"));
        }
    }

    async fn rows(&mut self) -> Result<String> {
        let mut tx = self.scope.read().await?;
        let rows = chain::read(&mut tx, self.scope.tenant(), self.next, ROWS).await?;
        drop(tx);
        let mut piece = String::new();
        let reached = rows.last().map_or(self.chain.number, |last| last.row.number);
        for linked in rows {
            if linked.row.number > self.chain.number {
                break;
            }
            self.checkpoints_before(linked.row.number, &mut piece);
            if self.wanted.fits(&linked) {
                self.one(&linked, &mut piece)?;
            }
        }
        self.next = reached + 1;
        if self.next > self.chain.number {
            self.checkpoints_before(i64::MAX, &mut piece);
        }
        Ok(piece)
    }

    fn one(&mut self, linked: &Linked, piece: &mut String) -> Result<()> {
        self.rows += 1;
        self.hash.clone_from(&linked.hash);
        self.digest = digest(&self.digest, &linked.hash);
        match self.form {
            Form::JsonLines => {
                piece.push_str(&format!("{{\"row\":{},\"hash\":\"{}\"}}\n", linked.row.text()?, linked.hash));
            }
            Form::Csv => piece.push_str(&csv_line(&cells(linked))?),
        }
        Ok(())
    }

    fn end(&self) -> Result<String> {
        let end = End {
            begin: sha256_hex(&self.begin),
            rows: self.rows,
            last: self.chain.number,
            hash: if self.selection.is_none() { self.chain.hash.clone() } else { self.hash.clone() },
            checkpoint: self.checkpoint,
            at: self.scope.now(),
            by: self.scope.actor().to_string(),
            digest: self.digest.clone(),
        };
        let body = serde_json::to_string(&end).map_err(Error::internal)?;
        Ok(format!("{{\"end\":{body},\"signature\":\"{}\"}}\n", self.signing.sign(&body)))
    }
}

const HEADING: [&str; 10] =
    ["number", "at", "actor", "from", "request_id", "type", "subject", "data", "seq", "hash"];

fn cells(Linked { row, hash, .. }: &Linked) -> [String; 10] {
    [
        row.number.to_string(),
        row.at.to_string(),
        plain_cell(&row.actor),
        row.from.clone().unwrap_or_default(),
        plain_cell(row.request_id.as_deref().unwrap_or_default()),
        row.kind.clone(),
        plain_cell(row.subject.as_deref().unwrap_or_default()),
        row.data.get().to_owned(),
        row.seq.to_string(),
        hash.clone(),
    ]
}

/// A cell that no spreadsheet takes for a formula.
pub(crate) fn plain_cell(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t']) { format!("'{text}") } else { text.to_owned() }
}

/// A line of CSV (RFC 4180).
pub(crate) fn csv_line(cells: &[String]) -> Result<String> {
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    writer.write_record(cells).map_err(Error::internal)?;
    let octets = writer.into_inner().map_err(|error| Error::internal(error.to_string()))?;
    String::from_utf8(octets).map_err(Error::internal)
}
