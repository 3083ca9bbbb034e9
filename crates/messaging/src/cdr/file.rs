//! Files on the disk: names, closing, and what a crash left behind.
//!
//! A file under its own name is closed, complete and registered. Everything else ends in `.open` (rows are being written)
//! or `.tmp` (complete, and not registered yet, or not renamed yet).

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use flate2::write::GzEncoder;
use runtime::Config;
use sha2::{Digest, Sha256};
use types::{TenantId, Timestamp};

use super::format::{Compression, Format};

/// What an open file's name ends in.
pub(crate) const OPEN: &str = ".open";
/// What a complete file's name ends in until its registration is committed.
pub(crate) const TMP: &str = ".tmp";
/// What is put behind the name of a complete file that the database does not know: the database is older than the folder.
pub(crate) const UNREGISTERED: &str = ".unregistered";
/// Octets read at once.
const CHUNK: usize = 1 << 16;

/// The folder of a tenant's closed files.
pub(crate) fn folder(config: &Config, tenant: TenantId) -> PathBuf {
    config.cdr_dir().join(tenant.bare())
}

/// The folder of a tenant's archived files.
pub(crate) fn archive(config: &Config, tenant: TenantId) -> PathBuf {
    config.cdr_archive_dir().join(tenant.bare())
}

/// A file's name: tenant, number, and when it was begun. The number is padded, so that names sort as files were written.
pub(crate) fn name(
    tenant: TenantId,
    number: i64,
    begun: Timestamp,
    format: Format,
    compression: Compression,
) -> String {
    let at: String = begun.to_string().chars().take(19).filter(|ch| !matches!(ch, '-' | ':')).collect();
    format!("cdr_{}_{number:010}_{at}Z.{}{}", tenant.bare(), format.as_str(), compression.ending(format))
}

/// The number in a file's name.
pub(crate) fn number_of(name: &str) -> Option<i64> {
    name.strip_prefix("cdr_")?.split('_').nth(1)?.parse().ok()
}

/// Makes a folder, for its owner alone: numbers of people stand in the files.
pub(crate) fn make_folder(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Creates a file, for its owner alone.
pub(crate) fn create(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    fs::OpenOptions::new().write(true).create(true).truncate(true).read(true).mode(0o600).open(path)
}

/// Waits until a folder's entries are on the disk.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// What was made of a complete file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Compressed {
    /// Its size in octets.
    pub(crate) bytes: i64,
    /// SHA-256 of its octets, in hex.
    pub(crate) sha256: String,
}

/// Counts and hashes what goes through.
struct Hashing<W> {
    inner: W,
    hash: Sha256,
    bytes: i64,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(octets)?;
        self.hash.update(&octets[..written]);
        self.bytes += written as i64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Compresses a complete file into another, which is on the disk when this returns; the first is removed.
pub(crate) fn compress(
    from: &Path,
    to: &Path,
    compression: Compression,
    format: Format,
) -> io::Result<Compressed> {
    if compression.ending(format).is_empty() {
        let compressed = hashed(from)?;
        fs::rename(from, to)?;
        return Ok(compressed);
    }
    let mut source = File::open(from)?;
    let mut target = Hashing { inner: create(to)?, hash: Sha256::new(), bytes: 0 };
    if compression == Compression::Gzip {
        // Records repeat themselves: the fastest level gives most of what the best one would.
        let mut encoder = GzEncoder::new(&mut target, flate2::Compression::fast());
        copy(&mut source, &mut encoder)?;
        encoder.finish()?;
    } else {
        let mut encoder = zstd::Encoder::new(&mut target, zstd::DEFAULT_COMPRESSION_LEVEL)?;
        encoder.include_checksum(true)?;
        copy(&mut source, &mut encoder)?;
        encoder.finish()?;
    }
    target.inner.sync_all()?;
    fs::remove_file(from)?;
    Ok(Compressed { bytes: target.bytes, sha256: hex(&target.hash.finalize()) })
}

/// The size and the hash of a file.
pub(crate) fn hashed(path: &Path) -> io::Result<Compressed> {
    let mut hashing = Hashing { inner: io::sink(), hash: Sha256::new(), bytes: 0 };
    copy(&mut File::open(path)?, &mut hashing)?;
    Ok(Compressed { bytes: hashing.bytes, sha256: hex(&hashing.hash.finalize()) })
}

fn copy(from: &mut impl Read, to: &mut impl Write) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    loop {
        match from.read(&mut chunk)? {
            0 => return Ok(()),
            read => to.write_all(&chunk[..read])?,
        }
    }
}

pub(crate) fn hex(octets: &[u8]) -> String {
    crate::journal::hex(octets)
}

/// A registered file's place: among the closed ones or in the archive; nothing when it is in neither.
pub(crate) fn find(config: &Config, tenant: TenantId, name: &str) -> Option<PathBuf> {
    [folder(config, tenant), archive(config, tenant)]
        .into_iter()
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}

/// Moves a file into another folder, which may be on another disk; the copy is whole before the first goes.
pub(crate) fn move_to(path: &Path, folder: &Path) -> io::Result<()> {
    let Some(name) = path.file_name() else { return Ok(()) };
    make_folder(folder)?;
    let target = folder.join(name);
    if fs::rename(path, &target).is_err() {
        let passing = folder.join(format!("{}{TMP}", name.to_string_lossy()));
        let mut copied = create(&passing)?;
        copy(&mut File::open(path)?, &mut copied)?;
        copied.sync_all()?;
        fs::rename(&passing, &target)?;
        sync_folder(folder)?;
        fs::remove_file(path)?;
    }
    sync_folder(folder)
}

/// What was found and done at the start.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tidied {
    /// Files whose registration was committed and whose renaming was not.
    pub(crate) renamed: usize,
    /// Files of which no closed row speaks: they are written again from the stream.
    pub(crate) thrown_away: usize,
    /// Files under their own name that the database does not know: it was restored from before they were closed.
    pub(crate) set_aside: usize,
}

/// Brings a tenant's folder to what is registered: finishes renamings, throws away what was never complete or never
/// registered, and sets aside what a database that is older than the folder does not know.
/// `registered` are the names of the files that were closed last, with their hashes.
pub(crate) fn tidy(
    folder: &Path,
    registered: &HashMap<String, String>,
    last_number: i64,
) -> io::Result<Tidied> {
    let mut tidied = Tidied::default();
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(tidied),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let path = entry?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        let Some(number) = number_of(name) else { continue };
        let complete = name.strip_suffix(TMP);
        if let Some((complete, sha256)) = complete.and_then(|name| Some((name, registered.get(name)?)))
            && hashed(&path)?.sha256 == *sha256
        {
            fs::rename(&path, folder.join(complete))?;
            tidied.renamed += 1;
        } else if complete.is_some() || name.ends_with(OPEN) {
            fs::remove_file(&path)?;
            tidied.thrown_away += 1;
        } else if number > last_number && !name.ends_with(UNREGISTERED) {
            fs::rename(&path, folder.join(format!("{name}{UNREGISTERED}")))?;
            tidied.set_aside += 1;
        }
    }
    if tidied != Tidied::default() {
        sync_folder(folder)?;
    }
    Ok(tidied)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_their_number_and_sort() {
        let tenant = TenantId::from_raw(77);
        let at = Timestamp::from_unix_ms(1_790_000_000_000);
        let of = |number| name(tenant, number, at, Format::Csv, Compression::Gzip);
        assert_eq!(of(7), "cdr_000000000002d_0000000007_20260921T141320Z.csv.gz");
        assert_eq!(number_of(&of(7)), Some(7));
        assert!(of(9) < of(10));
        assert_eq!(number_of("other.csv"), None);
    }

    #[test]
    fn a_start_finishes_what_is_registered_and_throws_the_rest_away() {
        let folder = tempfile::tempdir().unwrap();
        let tenant = TenantId::from_raw(1);
        let at = Timestamp::from_unix_ms(1_790_000_000_000);
        let path = |number, more: &str| {
            let name = name(tenant, number, at, Format::Csv, Compression::None);
            folder.path().join(format!("{name}{more}"))
        };
        for (number, more) in [(1, ""), (2, TMP), (3, TMP), (3, OPEN), (4, "")] {
            fs::write(path(number, more), "rows").unwrap();
        }
        fs::write(folder.path().join("notes.txt"), "a person's").unwrap();
        let names = |number: i64| path(number, "").file_name().unwrap().to_str().unwrap().to_owned();
        let sha256 = hashed(&path(1, "")).unwrap().sha256;
        let registered = HashMap::from([(names(1), sha256.clone()), (names(2), sha256)]);
        let tidied = tidy(folder.path(), &registered, 2).unwrap();
        assert_eq!(tidied, Tidied { renamed: 1, thrown_away: 2, set_aside: 1 });
        let mut left: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        let aside = format!("{}{UNREGISTERED}", names(4));
        assert_eq!(left, [names(1).as_str(), names(2).as_str(), aside.as_str(), "notes.txt"]);
        assert_eq!(tidy(folder.path(), &registered, 2).unwrap(), Tidied::default(), "once is enough");
    }
}
