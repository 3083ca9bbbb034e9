//! Unpacking: the lines again, each checked against the sums that follow it and all against the signed manifest.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use base64::Engine as _;
use db::{Arg, Shape};
use runtime::Runtime;
use sha2::{Digest, Sha256};
use types::{Code, Error, Result};

use super::lock::{Lock, Opened, damaged, storage};
use super::pack::{Begin, Control, FileSum, Manifest, schema};
use super::row::{self, Sum, TableSum};
use super::{FORMAT, Luggage};
use crate::audit::checkpoint;

/// The longest line.
const LINE_BYTES_MAX: u64 = 64 << 20;
/// Rows that are handed on together, and their octets.
const ROWS_MAX: usize = 256;
const ROWS_BYTES_MAX: usize = 4 << 20;

/// What comes out of a suitcase, in its order.
pub(super) enum Piece {
    /// Rows of the table at this place.
    Rows(usize, Vec<Vec<Arg>>),
    /// A file begins.
    File(String),
    /// Some octets of it.
    Octets(Vec<u8>),
    /// A file ends.
    FileEnd,
    /// Everything, as it was signed; the last.
    Manifest(Box<Manifest>, String),
}

/// A suitcase that is being read.
pub(super) struct Unpacking {
    from: BufReader<zstd::Decoder<'static, BufReader<Opened<BufReader<File>>>>>,
    pub(super) begin: Begin,
    pub(super) shapes: Vec<Shape>,
    /// The table under way.
    at: Option<Sum>,
    file: Option<(String, Sha256, u64)>,
    tables: Vec<TableSum>,
    files: Vec<FileSum>,
    /// A line that was read and not looked at.
    held: Option<Vec<u8>>,
    /// The key of the trail within.
    trail_key: Option<String>,
    done: bool,
}

impl Unpacking {
    /// Opens a suitcase and looks whether this version can read it.
    ///
    /// # Errors
    /// `suitcase_locked`, `suitcase_damaged`, `suitcase_version`.
    pub(super) async fn open(
        runtime: &Runtime,
        luggage: &Luggage,
        (path, lock): (&Path, &Lock),
    ) -> Result<Self> {
        let file = BufReader::new(File::open(path).map_err(storage)?);
        let opened = Opened::begin(file, lock)?;
        let mut from = BufReader::new(zstd::Decoder::new(opened).map_err(storage)?);
        let first = line(&mut from)?;
        let Ok(Control::Suitcase(begin)) = serde_json::from_slice(&first) else {
            return Err(damaged("its first line within"));
        };
        refuse_other_version(&begin, luggage)?;
        let shapes = runtime.db.shapes(&luggage.travels).await?;
        Ok(Self {
            from,
            begin,
            shapes,
            at: None,
            file: None,
            tables: Vec::new(),
            files: Vec::new(),
            held: None,
            trail_key: None,
            done: false,
        })
    }

    /// The next piece; nothing behind the manifest.
    pub(super) fn next(&mut self) -> Result<Option<Piece>> {
        let (mut rows, mut bytes) = (Vec::new(), 0);
        while !self.done {
            let line = match self.held.take() {
                Some(line) => line,
                None => line(&mut self.from)?,
            };
            let full = rows.len() >= ROWS_MAX || bytes >= ROWS_BYTES_MAX;
            if !rows.is_empty() && (full || line.first() != Some(&b'[')) {
                self.held = Some(line);
                return Ok(Some(Piece::Rows(self.tables.len(), rows)));
            }
            match line.first() {
                Some(b'[') => {
                    bytes += line.len();
                    rows.push(self.row(&line)?);
                }
                Some(b'"') => return self.octets(&line).map(|octets| Some(Piece::Octets(octets))),
                _ => {
                    if let Some(piece) = self.control(&line)? {
                        return Ok(Some(piece));
                    }
                }
            }
        }
        Ok(None)
    }

    /// Octets of the file that were read.
    pub(super) fn reached(&self) -> u64 {
        self.from.get_ref().get_ref().get_ref().reached()
    }

    fn row(&mut self, line: &[u8]) -> Result<Vec<Arg>> {
        let place = self.tables.len();
        let (Some(sum), Some(shape)) = (&mut self.at, self.shapes.get(place)) else {
            return Err(damaged("a row that belongs to no table"));
        };
        let line = std::str::from_utf8(line).map_err(|_| damaged("a row"))?;
        sum.add(line);
        let row = row::read(shape, line)?;
        // No row of another tenant comes in, whoever wrote the file.
        let whose = match shape.travel.table {
            "tenant" => shape.place("id"),
            _ => shape.place("tenant_id"),
        };
        if let Some(place) = whose
            && !matches!(row[place], Arg::Int(Some(id)) if id == self.begin.tenant.raw())
        {
            return Err(damaged(&format!("the tenant of a row of the table {}", shape.travel.table)));
        }
        if shape.travel.table == "audit_chain" {
            self.trail_key = row::text(shape, &row, "public_key").map(str::to_owned);
        }
        Ok(row)
    }

    fn octets(&mut self, line: &[u8]) -> Result<Vec<u8>> {
        let Some((name, hash, bytes)) = &mut self.file else { return Err(damaged("a piece of no file")) };
        let text = line.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
        let octets = text.and_then(|text| base64::engine::general_purpose::STANDARD.decode(text).ok());
        let octets = octets.ok_or_else(|| damaged(&format!("the file {name}")))?;
        hash.update(&octets);
        *bytes += octets.len() as u64;
        Ok(octets)
    }

    fn control(&mut self, line: &[u8]) -> Result<Option<Piece>> {
        let control: Control = serde_json::from_slice(line).map_err(|_| damaged("a line within"))?;
        let place = self.tables.len();
        match control {
            Control::Suitcase(_) => Err(damaged("its first line within")),
            Control::Table { table, columns } => {
                let wanted = self.shapes.get(place).filter(|shape| shape.travel.table == table);
                let wanted =
                    wanted.filter(|_| self.at.is_none() && self.files.is_empty() && self.file.is_none());
                let shape = wanted.ok_or_else(|| damaged(&format!("the place of the table {table}")))?;
                let ours = shape.columns.iter().map(|(name, kind)| format!("{name} {}", kind.as_str()));
                if !ours.eq(columns) {
                    let why = format!("the table {table} has other columns here");
                    return Err(Error::new(Code::SuitcaseVersion, why).at("file"));
                }
                self.at = Some(Sum::default());
                Ok(None)
            }
            Control::End(sum) => {
                let counted = self.at.take().map(|at| at.end(&sum.table));
                if counted.as_ref() != Some(&sum) {
                    return Err(damaged(&format!("the table {}", sum.table)));
                }
                self.tables.push(sum);
                Ok(None)
            }
            Control::File { name } => {
                if self.file.is_some() || place != self.shapes.len() {
                    return Err(damaged(&format!("the place of the file {name}")));
                }
                self.file = Some((name.clone(), Sha256::new(), 0));
                Ok(Some(Piece::File(name)))
            }
            Control::FileEnd(sum) => {
                let counted = self.file.take().map(|(name, hash, bytes)| {
                    let sha256 = row::hex(&hash.finalize());
                    FileSum { name, bytes, sha256 }
                });
                if counted.as_ref() != Some(&sum) {
                    return Err(damaged(&format!("the file {}", sum.name)));
                }
                self.files.push(sum);
                Ok(Some(Piece::FileEnd))
            }
            Control::Manifest { body, signature, public_key } => {
                let manifest = self.manifest(&body, &signature, &public_key)?;
                self.done = true;
                Ok(Some(Piece::Manifest(Box::new(manifest), public_key)))
            }
        }
    }

    /// The manifest, when it says what was read and the tenant's own trail has signed it.
    fn manifest(&mut self, body: &str, signature: &str, public_key: &str) -> Result<Manifest> {
        if self.trail_key.as_deref() != Some(public_key) || !checkpoint::signed(public_key, body, signature) {
            return Err(damaged("the signature of its manifest"));
        }
        let manifest: Manifest = serde_json::from_str(body).map_err(|_| damaged("its manifest"))?;
        let agrees = manifest.tables == self.tables
            && manifest.files == self.files
            && manifest.tenant == self.begin.tenant
            && manifest.digest == row::digest(&self.tables)
            && self.tables.len() == self.shapes.len()
            && self.at.is_none()
            && self.file.is_none();
        // The last piece is sealed as the last, and nothing may stand behind this line.
        let mut behind = [0];
        if !agrees || self.from.read(&mut behind).map_err(storage)? > 0 {
            return Err(damaged("its manifest"));
        }
        Ok(manifest)
    }
}

/// A line without its end.
fn line(from: &mut impl BufRead) -> Result<Vec<u8>> {
    let mut line = Vec::new();
    from.take(LINE_BYTES_MAX).read_until(b'\n', &mut line).map_err(storage)?;
    match line.pop() {
        Some(b'\n') => Ok(line),
        _ => Err(damaged("its end")),
    }
}

/// Refuses a suitcase of another schema: rows would lose what they have, or lack what they need.
fn refuse_other_version(begin: &Begin, luggage: &Luggage) -> Result<()> {
    let ours = schema(luggage);
    let differ = |one: &std::collections::BTreeMap<String, String>,
                  other: &std::collections::BTreeMap<String, String>| {
        let steps = one.iter().filter(|(name, text)| other.get(*name) != Some(*text));
        steps.map(|(name, _)| name.clone()).take(10).collect::<Vec<_>>().join(", ")
    };
    let (theirs_alone, ours_alone) = (differ(&begin.schema, &ours), differ(&ours, &begin.schema));
    if begin.format == FORMAT && theirs_alone.is_empty() && ours_alone.is_empty() {
        return Ok(());
    }
    let product = &begin.product;
    let why = match (theirs_alone.is_empty(), begin.format == FORMAT) {
        (_, false) => format!("it is of the format {}, and this version reads {FORMAT}", begin.format),
        (true, true) => format!("it was written by version {product}, which does not know {ours_alone}"),
        (false, true) => {
            format!("it was written by version {product}, and this one does not know {theirs_alone}")
        }
    };
    Err(Error::new(Code::SuitcaseVersion, why).at("file"))
}
