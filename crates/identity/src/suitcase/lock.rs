//! What shuts a suitcase: a passphrase, and sealed pieces.
//!
//! Argon2id (RFC 9106) makes a key of the passphrase. Of that key one is derived for the file, and it wraps the tenant's data
//! keys, so that they are sealed even within what the file's key opens. The file is sealed piece by piece with AES-256-GCM in
//! the STREAM construction (Hoang, Reyhanitabar, Rogaway, Vizár: Online Authenticated-Encryption, 2015): a piece that is changed,
//! moved or left out does not open, and neither does a file whose end is missing. The file's first two lines are bound to each
//! piece as well.

use std::io::{self, BufRead, Read, Write};

use aead_stream::aead::Payload;
use aead_stream::{DecryptorBE32, EncryptorBE32};
use aes_gcm::Aes256Gcm;
use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use runtime::Runtime;
use runtime::secrets::{self, DataKey, Vault};
use serde::{Deserialize, Serialize};
use types::{Code, Error, Result};
use zeroize::Zeroizing;

/// The first line of a suitcase.
const MAGIC: &str = "switchboard suitcase 1\n";
/// The cipher of the pieces, by name.
const CIPHER: &str = "AES-256-GCM STREAM-BE32";
/// Octets of a piece before it is sealed.
const PIECE_BYTES: usize = 1 << 16;
/// Octets that sealing adds.
const TAG_BYTES: usize = 16;
/// Octets of the nonce that all pieces share; five more count them.
const NONCE_BYTES: usize = 7;
/// Octets of the salt.
const SALT_BYTES: usize = 16;
/// The longest second line.
const HEADER_BYTES_MAX: u64 = 4_096;
/// The shortest passphrase. It guards everything that a tenant has, on whatever way the file goes.
const PASSPHRASE_CHARS_MIN: usize = 12;
/// The longest.
const PASSPHRASE_CHARS_MAX: usize = 1_024;
/// What argon2id costs: memory in KiB, passes, lanes (RFC 9106, section 4, the second recommended option).
const COSTS: (u32, u32, u32) = (64 * 1024, 3, 4);
/// What a file may ask of its reader.
const COSTS_MAX: (u32, u32, u32) = (1024 * 1024, 16, 16);
/// For what the file's key is derived.
const PURPOSE: &str = "suitcase";

/// How the key is made of the passphrase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kdf {
    name: String,
    memory_kib: u32,
    passes: u32,
    lanes: u32,
    salt: String,
}

/// The second line of a suitcase.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    kdf: Kdf,
    /// The id of the key that the passphrase gives, which tells a wrong passphrase from a damaged file.
    key: String,
    cipher: String,
    piece_bytes: u32,
    nonce: String,
}

/// The key of a suitcase.
pub(super) struct Lock {
    key: DataKey,
    vault: Vault,
    kdf: Kdf,
}

/// A lock that a row keeps until its suitcase is done.
#[derive(Serialize, Deserialize)]
struct Kept {
    key: String,
    kdf: Kdf,
}

impl Lock {
    /// A lock for a new suitcase. It takes about a third of a second and 64 MiB.
    ///
    /// # Errors
    /// `invalid_value` for a passphrase that is too short or too long.
    pub(super) fn new(passphrase: &str) -> Result<Self> {
        if !(PASSPHRASE_CHARS_MIN..=PASSPHRASE_CHARS_MAX).contains(&passphrase.chars().count()) {
            let why = format!("give {PASSPHRASE_CHARS_MIN} to {PASSPHRASE_CHARS_MAX} characters");
            return Err(Error::invalid("passphrase", why)
                .hint("six words that nobody would guess are good; whoever restores the tenant needs them"));
        }
        let mut salt = [0; SALT_BYTES];
        secrets::fill(&mut salt).map_err(Error::internal)?;
        let (memory_kib, passes, lanes) = COSTS;
        let salt = BASE64.encode(salt);
        Self::made(passphrase, Kdf { name: "argon2id".to_owned(), memory_kib, passes, lanes, salt })
    }

    /// The lock of a suitcase that is there.
    ///
    /// # Errors
    /// `suitcase_locked` for another passphrase; `suitcase_damaged` for what is no suitcase.
    pub(super) fn of(mut file: impl BufRead, passphrase: &str) -> Result<Self> {
        let (header, _) = Header::read(&mut file)?;
        let lock = Self::made(passphrase, header.kdf)?;
        match lock.key.id() == header.key {
            true => Ok(lock),
            false => Err(locked()),
        }
    }

    fn made(passphrase: &str, kdf: Kdf) -> Result<Self> {
        let unusable = |error: argon2::Error| damaged("its second line").because(error.to_string());
        let most = COSTS_MAX;
        if kdf.name != "argon2id" || kdf.memory_kib > most.0 || kdf.passes > most.1 || kdf.lanes > most.2 {
            return Err(damaged("its second line"));
        }
        let salt = BASE64.decode(&kdf.salt).map_err(|_| damaged("its second line"))?;
        let params = Params::new(kdf.memory_kib, kdf.passes, kdf.lanes, Some(32)).map_err(unusable)?;
        let mut octets = Zeroizing::new([0; 32]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(passphrase.as_bytes(), &salt, octets.as_mut_slice())
            .map_err(unusable)?;
        Ok(Self::holding(DataKey::from_octets(*octets), kdf))
    }

    fn holding(key: DataKey, kdf: Kdf) -> Self {
        Self { vault: Vault::from_data_key(&key), key, kdf }
    }

    /// The lock's text for a row, wrapped by the root key. The passphrase is in it nowhere.
    pub(super) fn keep(&self, runtime: &Runtime, row: &str) -> Result<String> {
        let key = runtime.vault.wrap(row, &self.key).map_err(Error::internal)?;
        serde_json::to_string(&Kept { key, kdf: self.kdf.clone() }).map_err(Error::internal)
    }

    /// A lock from its row.
    pub(super) fn kept(runtime: &Runtime, row: &str, text: &str) -> Result<Self> {
        let kept: Kept = serde_json::from_str(text).map_err(Error::internal)?;
        Ok(Self::holding(runtime.vault.unwrap(row, &kept.key).map_err(Error::internal)?, kept.kdf))
    }

    /// The keeper of the tenant's data keys within the suitcase.
    pub(super) fn vault(&self) -> &Vault {
        &self.vault
    }

    fn file_key(&self) -> Zeroizing<[u8; 32]> {
        self.vault.derive(PURPOSE).swap_remove(0)
    }
}

impl Header {
    /// Reads a file's first two lines, and gives them as they are too.
    fn read(from: &mut impl BufRead) -> Result<(Self, Vec<u8>)> {
        let mut magic = vec![0; MAGIC.len()];
        let read = from.read_exact(&mut magic);
        if read.is_err() || magic != MAGIC.as_bytes() {
            return Err(Error::new(
                Code::SuitcaseDamaged,
                "this is no suitcase, or its first line was changed",
            )
            .at("file"));
        }
        let mut line = Vec::new();
        from.take(HEADER_BYTES_MAX).read_until(b'\n', &mut line).map_err(storage)?;
        let header: Self = serde_json::from_slice(&line).map_err(|_| damaged("its second line"))?;
        if header.cipher != CIPHER || header.piece_bytes as usize != PIECE_BYTES {
            return Err(damaged("its second line"));
        }
        Ok((header, [magic, line].concat()))
    }
}

fn locked() -> Error {
    Error::new(Code::SuitcaseLocked, "this passphrase does not open the suitcase").at("passphrase")
}

/// The refusal of what was changed.
pub(super) fn damaged(what: &str) -> Error {
    Error::new(Code::SuitcaseDamaged, format!("{what} is not as it was written")).at("file")
}

/// Seals what is written into it.
pub(super) struct Shut<W: Write> {
    to: W,
    sealing: EncryptorBE32<Aes256Gcm>,
    bound: Vec<u8>,
    piece: Vec<u8>,
}

impl<W: Write> Shut<W> {
    /// Begins a file.
    pub(super) fn begin(mut to: W, lock: &Lock) -> Result<Self> {
        let mut nonce = [0; NONCE_BYTES];
        secrets::fill(&mut nonce).map_err(Error::internal)?;
        let header = Header {
            kdf: lock.kdf.clone(),
            key: lock.key.id().to_owned(),
            cipher: CIPHER.to_owned(),
            piece_bytes: PIECE_BYTES as u32,
            nonce: BASE64.encode(nonce),
        };
        let bound = format!("{MAGIC}{}\n", serde_json::to_string(&header).map_err(Error::internal)?);
        to.write_all(bound.as_bytes()).map_err(storage)?;
        let key = lock.file_key();
        let sealing = EncryptorBE32::new(&(*key).into(), &nonce.into());
        Ok(Self { to, sealing, bound: bound.into_bytes(), piece: Vec::with_capacity(PIECE_BYTES) })
    }

    /// Seals the last piece.
    pub(super) fn finish(mut self) -> io::Result<W> {
        let payload = Payload { msg: &self.piece, aad: &self.bound };
        let sealed = self.sealing.encrypt_last(payload).map_err(|_| io::Error::other("sealing failed"))?;
        self.to.write_all(&sealed)?;
        Ok(self.to)
    }
}

impl<W: Write> Write for Shut<W> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        // A full piece waits for more: only the last one is sealed as the last.
        if self.piece.len() == PIECE_BYTES {
            let payload = Payload { msg: &self.piece, aad: &self.bound };
            let sealed = self.sealing.encrypt_next(payload);
            let sealed = sealed.map_err(|_| io::Error::other("the file is too long to be sealed"))?;
            self.to.write_all(&sealed)?;
            self.piece.clear();
        }
        let taken = octets.len().min(PIECE_BYTES - self.piece.len());
        self.piece.extend_from_slice(&octets[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// An error of the disk.
#[track_caller]
pub(super) fn storage(error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            Error::new(Code::StorageFull, "the disk is full").because(error)
        }
        // What the pieces say of themselves, through whoever read them.
        io::ErrorKind::InvalidData => Error::new(Code::SuitcaseDamaged, error.to_string()).at("file"),
        io::ErrorKind::UnexpectedEof => damaged("its end"),
        _ => Error::new(Code::Unavailable, format!("the file cannot be read or written: {error}")).at("file"),
    }
}

/// Opens what [`Shut`] sealed.
pub(super) struct Opened<R: BufRead> {
    from: R,
    opening: Option<DecryptorBE32<Aes256Gcm>>,
    bound: Vec<u8>,
    piece: Vec<u8>,
    at: usize,
    /// How many octets of the file lie before the next piece.
    reached: u64,
}

impl<R: BufRead> Opened<R> {
    /// Reads a file's beginning.
    ///
    /// # Errors
    /// `suitcase_locked` for the lock of another file; `suitcase_damaged` for what is no suitcase.
    pub(super) fn begin(mut from: R, lock: &Lock) -> Result<Self> {
        let (header, bound) = Header::read(&mut from)?;
        if lock.key.id() != header.key {
            return Err(locked());
        }
        let nonce =
            BASE64.decode(&header.nonce).ok().and_then(|nonce| <[u8; NONCE_BYTES]>::try_from(nonce).ok());
        let nonce = nonce.ok_or_else(|| damaged("its second line"))?;
        let reached = bound.len() as u64;
        let key = lock.file_key();
        let opening = Some(DecryptorBE32::new(&(*key).into(), &nonce.into()));
        Ok(Self { from, opening, bound, piece: Vec::new(), at: 0, reached })
    }

    /// Octets of the file that were opened.
    pub(super) fn reached(&self) -> u64 {
        self.reached
    }

    /// The next piece; false behind the last one.
    fn next(&mut self) -> io::Result<bool> {
        let Some(mut opening) = self.opening.take() else { return Ok(false) };
        let mut sealed = Vec::with_capacity(PIECE_BYTES + TAG_BYTES);
        (&mut self.from).take((PIECE_BYTES + TAG_BYTES) as u64).read_to_end(&mut sealed)?;
        let last = sealed.len() < PIECE_BYTES + TAG_BYTES || self.from.fill_buf()?.is_empty();
        let payload = Payload { msg: &sealed, aad: &self.bound };
        let until = self.reached + sealed.len() as u64;
        let opened = match last {
            true => opening.decrypt_last(payload),
            false => {
                let opened = opening.decrypt_next(payload);
                self.opening = Some(opening);
                opened
            }
        };
        self.piece = opened.map_err(|_| {
            let what = format!("the file was changed between octets {} and {until}", self.reached);
            let what = if last { format!("{what}, or cut off there") } else { what };
            io::Error::new(io::ErrorKind::InvalidData, what)
        })?;
        self.at = 0;
        self.reached = until;
        Ok(true)
    }
}

impl<R: BufRead> Read for Opened<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.at == self.piece.len() {
            if !self.next()? {
                return Ok(0);
            }
        }
        let given = into.len().min(self.piece.len() - self.at);
        into[..given].copy_from_slice(&self.piece[self.at..self.at + given]);
        self.at += given;
        Ok(given)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSPHRASE: &str = "six words that nobody would guess";

    fn shut(octets: &[u8]) -> Vec<u8> {
        let mut shut = Shut::begin(Vec::new(), &Lock::new(PASSPHRASE).unwrap()).unwrap();
        shut.write_all(octets).unwrap();
        shut.finish().unwrap()
    }

    fn opened(file: &[u8], passphrase: &str) -> Result<Vec<u8>> {
        let mut opened = Opened::begin(file, &Lock::of(file, passphrase)?)?;
        let mut octets = Vec::new();
        opened.read_to_end(&mut octets).map_err(storage)?;
        Ok(octets)
    }

    #[test]
    fn what_is_shut_opens_with_its_passphrase_alone() {
        for length in [0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 2 * PIECE_BYTES] {
            let octets: Vec<u8> = (0..length).map(|at| at as u8).collect();
            let file = shut(&octets);
            assert_eq!(opened(&file, PASSPHRASE).unwrap(), octets, "{length}");
        }
        let file = shut(b"secret words");
        assert!(!file.windows(6).any(|window| window == b"secret"));
        assert_eq!(opened(&file, "another passphrase").unwrap_err().code(), Code::SuitcaseLocked);
        assert_eq!(Lock::new("short").err().unwrap().code(), Code::InvalidValue);
    }

    #[test]
    fn what_was_changed_or_cut_off_is_told_with_its_place() {
        let file = shut(&vec![7; 3 * PIECE_BYTES + 100]);
        let begins = file.len() - (3 * (PIECE_BYTES + TAG_BYTES) + 100 + TAG_BYTES);
        // A bit of the second piece.
        let mut changed = file.clone();
        let place = begins + PIECE_BYTES + TAG_BYTES + 5;
        changed[place] ^= 1;
        let error = opened(&changed, PASSPHRASE).unwrap_err();
        assert_eq!(error.code(), Code::SuitcaseDamaged);
        let told = format!("between octets {} and", begins + PIECE_BYTES + TAG_BYTES);
        assert!(error.to_string().contains(&told), "{error}");
        // A bit of the second line.
        for at in [MAGIC.len() + 3, 3] {
            let mut changed = file.clone();
            changed[at] ^= 1;
            assert!(opened(&changed, PASSPHRASE).is_err());
        }
        // Cut within a piece, between pieces, and behind the first lines; pieces that changed places.
        for length in [file.len() - 1, begins + PIECE_BYTES + TAG_BYTES, begins] {
            assert_eq!(opened(&file[..length], PASSPHRASE).unwrap_err().code(), Code::SuitcaseDamaged);
        }
        let (one, two) = (begins, begins + PIECE_BYTES + TAG_BYTES);
        let swapped = [&file[..one], &file[two..two + two - one], &file[one..two], &file[two + two - one..]];
        assert_eq!(opened(&swapped.concat(), PASSPHRASE).unwrap_err().code(), Code::SuitcaseDamaged);
    }
}
