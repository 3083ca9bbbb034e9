//! The formats: how rows are written into an open file.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::sync::Arc;

use parquet::basic::{Compression as Codec, GzipLevel, ZstdLevel};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use serde::{Deserialize, Serialize};
use types::{Error, Result};

use super::row::{COLUMNS, Cell, Kind, Row};

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// RFC 4180, with a header.
    #[default]
    Csv,
    /// One JSON object on each line.
    Jsonl,
    /// Apache Parquet.
    Parquet,
}

/// How a closed file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Not at all.
    None,
    /// RFC 1952.
    #[default]
    Gzip,
    /// RFC 8878.
    Zstd,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Csv, Self::Jsonl, Self::Parquet];

    /// The name in the API, and the end of file names.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Jsonl => "jsonl",
            Self::Parquet => "parquet",
        }
    }

    /// The format of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == name)
    }
}

impl Compression {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::None, Self::Gzip, Self::Zstd];

    /// The name in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }

    /// The compression of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == name)
    }

    /// The further end of a file's name. Parquet compresses its own pages, so that readers can skip them.
    pub const fn ending(self, format: Format) -> &'static str {
        match (self, format) {
            (Self::None, _) | (_, Format::Parquet) => "",
            (Self::Gzip, _) => ".gz",
            (Self::Zstd, _) => ".zst",
        }
    }
}

/// The counts of a file, for its last line where that is wanted.
#[derive(Debug, Clone, Serialize)]
pub struct Trailer {
    /// The file's number.
    pub file: i64,
    /// Its rows.
    pub rows: i64,
    /// The first row's number.
    pub first_seq: i64,
    /// The last row's number.
    pub last_seq: i64,
    /// Why it was closed.
    pub reason: &'static str,
}

/// How a CSV trailer begins; a reader that does not want it skips comment lines.
pub const TRAILER_MARK: &str = "#trailer";

/// Rows of one column chunk of a Parquet file: what is held in memory until they are written.
const ROW_GROUP_ROWS: usize = 8_192;

/// An open file that takes rows.
pub struct Sink {
    kind: SinkKind,
    bytes: u64,
}

enum SinkKind {
    Csv(Box<csv::Writer<BufWriter<File>>>),
    Jsonl(BufWriter<File>),
    Parquet { writer: Box<SerializedFileWriter<File>>, waiting: Vec<Row> },
}

fn io(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::internal(error)
}

impl Sink {
    /// Begins a file.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn begin(file: File, format: Format, compression: Compression) -> Result<Self> {
        let kind = match format {
            Format::Csv => {
                let buffered = BufWriter::with_capacity(1 << 16, file);
                let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(buffered);
                writer.write_record(COLUMNS.iter().map(|column| column.name)).map_err(io)?;
                SinkKind::Csv(Box::new(writer))
            }
            Format::Jsonl => SinkKind::Jsonl(BufWriter::with_capacity(1 << 16, file)),
            Format::Parquet => {
                let schema = Arc::new(parse_message_type(&schema()).map_err(io)?);
                let codec = match compression {
                    Compression::None => Codec::UNCOMPRESSED,
                    Compression::Gzip => Codec::GZIP(GzipLevel::default()),
                    Compression::Zstd => Codec::ZSTD(ZstdLevel::default()),
                };
                let properties = Arc::new(WriterProperties::builder().set_compression(codec).build());
                let writer = SerializedFileWriter::new(file, schema, properties).map_err(io)?;
                SinkKind::Parquet { writer: Box::new(writer), waiting: Vec::new() }
            }
        };
        Ok(Self { kind, bytes: 0 })
    }

    /// Writes rows.
    ///
    /// # Errors
    /// A full disk, most of all.
    pub fn write(&mut self, rows: &[Row]) -> Result<()> {
        match &mut self.kind {
            SinkKind::Csv(writer) => {
                let mut record = csv::ByteRecord::with_capacity(512, COLUMNS.len());
                for row in rows {
                    record.clear();
                    for cell in row.cells() {
                        push(&mut record, &cell);
                    }
                    self.bytes += record.as_slice().len() as u64 + COLUMNS.len() as u64;
                    writer.write_byte_record(&record).map_err(io)?;
                }
            }
            SinkKind::Jsonl(writer) => {
                for row in rows {
                    let mut line = serde_json::to_vec(row).map_err(io)?;
                    line.push(b'\n');
                    self.bytes += line.len() as u64;
                    writer.write_all(&line).map_err(io)?;
                }
            }
            SinkKind::Parquet { writer, waiting } => {
                waiting.extend_from_slice(rows);
                while waiting.len() >= ROW_GROUP_ROWS {
                    let rest = waiting.split_off(ROW_GROUP_ROWS);
                    let group = std::mem::replace(waiting, rest);
                    write_group(writer, &group).map_err(io)?;
                }
                self.bytes = writer.bytes_written() as u64 + waiting.len() as u64 * 256;
            }
        }
        Ok(())
    }

    /// Octets so far, before compression; of Parquet an estimate.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Lets readers of the open file see what has been written.
    ///
    /// # Errors
    /// A full disk, most of all.
    pub fn flush(&mut self) -> Result<()> {
        match &mut self.kind {
            SinkKind::Csv(writer) => writer.flush().map_err(io),
            SinkKind::Jsonl(writer) => writer.flush().map_err(io),
            // Rows of Parquet stand in groups; an open file cannot be read in any case.
            SinkKind::Parquet { .. } => Ok(()),
        }
    }

    /// Ends the file and waits until it is on the disk.
    ///
    /// # Errors
    /// A full disk, most of all.
    pub fn finish(self, trailer: Option<&Trailer>) -> Result<()> {
        let file = match self.kind {
            SinkKind::Csv(mut writer) => {
                if let Some(trailer) = trailer {
                    let Trailer { file, rows, first_seq, last_seq, reason } = trailer;
                    let line = format!(
                        "{TRAILER_MARK};file={file};rows={rows};first_seq={first_seq};last_seq={last_seq};reason={reason}"
                    );
                    writer.write_record([line]).map_err(io)?;
                }
                let buffered = writer.into_inner().map_err(|error| io(error.into_error()))?;
                buffered.into_inner().map_err(|error| io(error.into_error()))?
            }
            SinkKind::Jsonl(mut writer) => {
                if let Some(trailer) = trailer {
                    let line =
                        serde_json::to_string(&serde_json::json!({ "trailer": trailer })).map_err(io)?;
                    writeln!(writer, "{line}").map_err(io)?;
                }
                writer.into_inner().map_err(|error| io(error.into_error()))?
            }
            SinkKind::Parquet { mut writer, waiting } => {
                if !waiting.is_empty() {
                    write_group(&mut writer, &waiting).map_err(io)?;
                }
                writer.into_inner().map_err(io)?
            }
        };
        file.sync_all().map_err(io)
    }
}

/// What makes a spreadsheet take a cell for a formula, and the mark itself, so that it can be taken off again.
const fn is_guarded(first: u8) -> bool {
    matches!(first, b'=' | b'+' | b'-' | b'@' | b'\t' | b'\r' | b'\n' | b'\'')
}

fn push(record: &mut csv::ByteRecord, cell: &Cell<'_>) {
    match cell {
        Cell::None => record.push_field(b""),
        Cell::Number(number) => record.push_field(number.to_string().as_bytes()),
        Cell::Flag(flag) => record.push_field(if *flag { b"true" } else { b"false" }),
        Cell::Instant(at) => record.push_field(at.to_string().as_bytes()),
        Cell::Text(text) if text.bytes().next().is_some_and(is_guarded) => {
            record.push_field(format!("'{text}").as_bytes());
        }
        Cell::Text(text) => record.push_field(text.as_bytes()),
    }
}

/// A CSV field without the guard against spreadsheets.
pub(crate) fn unguarded(field: &str) -> &str {
    match field.strip_prefix('\'') {
        Some(rest) if rest.bytes().next().is_some_and(is_guarded) => rest,
        _ => field,
    }
}

/// The columns as Parquet's message type.
fn schema() -> String {
    let columns = COLUMNS.iter().map(|column| {
        let repetition = if column.required { "required" } else { "optional" };
        let kind = match column.kind {
            Kind::Number => format!("int64 {}", column.name),
            Kind::Flag => format!("boolean {}", column.name),
            Kind::Text => format!("binary {} (UTF8)", column.name),
            Kind::Instant => format!("int64 {} (TIMESTAMP_MILLIS)", column.name),
        };
        format!("{repetition} {kind};")
    });
    format!("message cdr {{ {} }}", columns.collect::<Vec<_>>().join(" "))
}

/// Writes a row group, column by column.
fn write_group(writer: &mut SerializedFileWriter<File>, rows: &[Row]) -> parquet::errors::Result<()> {
    let mut columns: Vec<Vec<Cell<'_>>> = COLUMNS.iter().map(|_| Vec::with_capacity(rows.len())).collect();
    for row in rows {
        for (column, cell) in columns.iter_mut().zip(row.cells()) {
            column.push(cell);
        }
    }
    let mut group = writer.next_row_group()?;
    for (column, cells) in COLUMNS.iter().zip(&columns) {
        let Some(mut into) = group.next_column()? else { break };
        // An optional column's levels say which rows have a value.
        let levels: Option<Vec<i16>> =
            (!column.required).then(|| cells.iter().map(|cell| i16::from(*cell != Cell::None)).collect());
        match column.kind {
            Kind::Number | Kind::Instant => {
                let values: Vec<i64> = cells
                    .iter()
                    .filter_map(|cell| match cell {
                        Cell::Number(number) => Some(*number),
                        Cell::Instant(at) => Some(at.unix_ms()),
                        _ => None,
                    })
                    .collect();
                into.typed::<Int64Type>().write_batch(&values, levels.as_deref(), None)?;
            }
            Kind::Flag => {
                let values: Vec<bool> = cells
                    .iter()
                    .filter_map(|cell| if let Cell::Flag(flag) = cell { Some(*flag) } else { None })
                    .collect();
                into.typed::<BoolType>().write_batch(&values, levels.as_deref(), None)?;
            }
            Kind::Text => {
                let values: Vec<ByteArray> = cells
                    .iter()
                    .filter_map(|cell| {
                        if let Cell::Text(text) = cell { Some(ByteArray::from(text.as_ref())) } else { None }
                    })
                    .collect();
                into.typed::<ByteArrayType>().write_batch(&values, levels.as_deref(), None)?;
            }
        }
        into.close()?;
    }
    group.close()?;
    Ok(())
}

#[cfg(test)]
mod tests;
