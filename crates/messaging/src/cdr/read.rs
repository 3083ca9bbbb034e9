//! Reading files again: for checking them, for loading them, and for tests.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;
use parquet::file::reader::SerializedFileReader;
use parquet::record::Field;
use parquet::record::reader::RowIter;
use types::Timestamp;

use super::format::{Format, TRAILER_MARK, unguarded};
use super::row::{COLUMNS, Cell, Kind, Row};

/// The longest line of JSON that is read; rows are far shorter.
const LINE_BYTES_MAX: u64 = 1 << 20;

/// The rows of a file, one after the other.
pub struct Rows {
    source: Source,
}

enum Source {
    Csv { records: Box<csv::StringRecordsIntoIter<Box<dyn Read>>>, places: Vec<Option<usize>> },
    Jsonl(Box<dyn BufRead>),
    Parquet(Box<RowIter<'static>>),
}

/// The format of a file by its name; nothing for one that is no file of records.
pub fn format_of(path: &Path) -> Option<Format> {
    let name = path.file_name()?.to_str()?;
    let plain = name.strip_suffix(".gz").or_else(|| name.strip_suffix(".zst")).unwrap_or(name);
    Format::named(plain.rsplit_once('.')?.1)
}

/// Opens a file; its name says what it is.
///
/// # Errors
/// What is wrong with it, in words.
pub fn open(path: &Path) -> Result<Rows, String> {
    let format =
        format_of(path).ok_or("its name does not end in .csv, .jsonl or .parquet, with .gz or .zst")?;
    let file = File::open(path).map_err(|error| error.to_string())?;
    if format == Format::Parquet {
        let reader = SerializedFileReader::new(file).map_err(|error| error.to_string())?;
        return Ok(Rows { source: Source::Parquet(Box::new(RowIter::from_file_into(Box::new(reader)))) });
    }
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    let buffered = BufReader::with_capacity(1 << 16, file);
    let plain: Box<dyn Read> = match ending {
        "gz" => Box::new(MultiGzDecoder::new(buffered)),
        "zst" => Box::new(zstd::Decoder::with_buffer(buffered).map_err(|error| error.to_string())?),
        _ => Box::new(buffered),
    };
    let source = match format {
        Format::Csv => {
            let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(plain);
            let header = reader.headers().map_err(|error| error.to_string())?.clone();
            let places =
                COLUMNS.iter().map(|column| header.iter().position(|name| name == column.name)).collect();
            Source::Csv { records: Box::new(reader.into_records()), places }
        }
        _ => Source::Jsonl(Box::new(BufReader::with_capacity(1 << 16, plain))),
    };
    Ok(Rows { source })
}

impl Iterator for Rows {
    type Item = Result<Row, String>;

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.source {
            Source::Csv { records, places } => loop {
                let record = match records.next()? {
                    Ok(record) => record,
                    Err(error) => return Some(Err(error.to_string())),
                };
                if record.len() == 1 && record.get(0).is_some_and(|field| field.starts_with(TRAILER_MARK)) {
                    continue;
                }
                let row = Row::from_cells(|at, _| {
                    let field = places[at].and_then(|place| record.get(place)).unwrap_or_default();
                    cell(field, COLUMNS[at].kind, COLUMNS[at].required)
                });
                return Some(row.map_err(unreadable));
            },
            Source::Jsonl(lines) => loop {
                let mut line = String::new();
                match lines.by_ref().take(LINE_BYTES_MAX).read_line(&mut line) {
                    Ok(0) => return None,
                    Ok(_) if line.trim().is_empty() || line.starts_with("{\"trailer\":") => {}
                    Ok(_) => return Some(serde_json::from_str(&line).map_err(|error| error.to_string())),
                    Err(error) => return Some(Err(error.to_string())),
                }
            },
            Source::Parquet(rows) => {
                let found = match rows.next()? {
                    Ok(found) => found,
                    Err(error) => return Some(Err(error.to_string())),
                };
                let fields: Vec<(&String, &Field)> = found.get_column_iter().collect();
                // Our own files have the columns in their order; others may have more of them.
                let row = Row::from_cells(|at, name| {
                    let at_its_place = fields.get(at).filter(|(known, _)| *known == name);
                    let field = at_its_place.or_else(|| fields.iter().find(|(known, _)| *known == name));
                    field.map_or(Cell::None, |(_, field)| of_field(field))
                });
                Some(row.map_err(unreadable))
            }
        }
    }
}

fn unreadable(column: &str) -> String {
    format!("the column {column} is missing or cannot be read")
}

fn cell(field: &str, kind: Kind, required: bool) -> Cell<'static> {
    if field.is_empty() && !(required && kind == Kind::Text) {
        return Cell::None;
    }
    match kind {
        Kind::Number => field.parse().map_or(Cell::None, Cell::Number),
        Kind::Text => Cell::Text(unguarded(field).to_owned().into()),
        Kind::Flag => field.parse().map_or(Cell::None, Cell::Flag),
        Kind::Instant => Timestamp::parse(field).map_or(Cell::None, Cell::Instant),
    }
}

fn of_field(field: &Field) -> Cell<'_> {
    match field {
        Field::Long(number) => Cell::Number(*number),
        Field::Bool(flag) => Cell::Flag(*flag),
        Field::Str(text) => Cell::Text(text.as_str().into()),
        Field::TimestampMillis(ms) => Cell::Instant(Timestamp::from_unix_ms(*ms)),
        _ => Cell::None,
    }
}
