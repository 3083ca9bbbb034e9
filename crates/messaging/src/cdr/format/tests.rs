use std::io::Read as _;
use std::path::Path;

use super::*;
use crate::cdr::{file, read, row};

fn written(folder: &Path, format: Format, compression: Compression, rows: &[Row]) -> std::path::PathBuf {
    let open = folder.join(format!("{}-{}.open", format.as_str(), compression.as_str()));
    let mut sink = Sink::begin(File::create(&open).unwrap(), format, compression).unwrap();
    for some in rows.chunks(700) {
        sink.write(some).unwrap();
    }
    sink.flush().unwrap();
    let trailer = Trailer {
        file: 1,
        rows: rows.len() as i64,
        first_seq: 1,
        last_seq: rows.len() as i64,
        reason: "asked",
    };
    sink.finish(Some(&trailer)).unwrap();
    let name = format!("{}.{}{}", compression.as_str(), format.as_str(), compression.ending(format));
    let closed = folder.join(name);
    file::compress(&open, &closed, compression, format).unwrap();
    closed
}

#[test]
fn every_format_and_compression_reads_back() {
    let folder = tempfile::tempdir().unwrap();
    let rows: Vec<Row> = (1..=1_000).map(row::sample).collect();
    for format in Format::ALL {
        for compression in Compression::ALL {
            let path = written(folder.path(), format, compression, &rows);
            let back: Vec<Row> = read::open(&path).unwrap().map(|row| row.unwrap()).collect();
            assert_eq!(back, rows, "{format:?} {compression:?}");
        }
    }
}

#[test]
fn parquet_keeps_rows_over_several_groups() {
    let folder = tempfile::tempdir().unwrap();
    let rows: Vec<Row> = (1..=ROW_GROUP_ROWS as i64 * 2 + 5).map(row::sample).collect();
    let path = written(folder.path(), Format::Parquet, Compression::Zstd, &rows);
    let back = read::open(&path).unwrap().map(|row| row.unwrap().seq);
    assert!(back.eq(1..=rows.len() as i64));
}

#[test]
fn a_spreadsheet_finds_no_formula_and_the_reader_finds_the_value() {
    let folder = tempfile::tempdir().unwrap();
    let path = written(folder.path(), Format::Csv, Compression::None, &[row::sample(1)]);
    let mut text = String::new();
    File::open(path).unwrap().read_to_string(&mut text).unwrap();
    assert!(text.contains(",'=cmd|'/c calc'!A1,") && text.contains(",'+33612345678,"), "{text}");
    assert!(text.contains(",\"a \"\"quoted\"\", reference\nof two lines\","), "RFC 4180 §2: {text}");
    assert!(text.contains(",''-quoted,") && text.ends_with(";reason=asked\n"), "{text}");
    for first in ["=", "+", "-", "@", "\t", "\r", "'"] {
        let value = format!("{first}x");
        let mut record = csv::ByteRecord::new();
        push(&mut record, &Cell::Text(value.as_str().into()));
        let field = std::str::from_utf8(record.get(0).unwrap()).unwrap().to_owned();
        assert!(field.starts_with('\''), "{field}");
        assert_eq!(unguarded(&field), value);
    }
    assert_eq!(unguarded("'tis"), "'tis", "an apostrophe that guards nothing belongs to the text");
}
