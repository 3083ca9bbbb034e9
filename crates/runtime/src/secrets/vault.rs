//! The root keys: where they are kept, and how one takes the place of another.
//!
//! A root key file has one key on each line, the current one first. Behind it stand former ones, which open what they have
//! wrapped until everything is wrapped anew, and backups of the database for as long as somebody wants them to.
//! A new root key is on the disk, whole, before anything is wrapped by it: whatever happens in between, each wrapped key
//! opens with one of the file's.
//!
//! A line holds a key in the clear, or closed by a key management service ([`crate::kms`]), which opens it at the start: whoever
//! takes the disk has nothing then.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine as _;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{BASE64, DataKey, KEY_BYTES, Key, SecretsError, VERSION, parts, token};
use crate::kms::{Bound, Keeper};

/// Root keys of a file: the current one and the former ones.
pub const ROOT_KEYS_MAX: usize = 8;
/// A root key file is shorter by far; what is longer is not one.
const KEY_FILE_BYTES_MAX: u64 = 16 * 1024;
/// How a line begins whose key a service has closed.
const CLOSED: &str = "kms";

/// The root keys. They wrap data keys and do nothing else. What is wrapped names its key, so each finds its own.
pub struct Vault {
    /// Where the keys are kept; nowhere when the configuration hands them over.
    file: Option<PathBuf>,
    /// The service that closes them, where one is configured.
    service: Option<Service>,
    /// Whether what lies on the disk is closed.
    closed: AtomicBool,
    /// One turning at a time.
    turning: tokio::sync::Mutex<()>,
    roots: RwLock<Arc<Roots>>,
}

/// A key management service, and the installation that it works for.
#[derive(Clone)]
pub struct Service {
    /// Who closes and opens keys.
    pub keeper: Arc<dyn Keeper>,
    /// The installation's id: what closed keys are bound to.
    pub installation: String,
}

/// Where root keys are kept.
#[derive(Debug, Clone, Copy)]
pub enum Keys<'a> {
    /// In a file, which is made where there is none.
    File(&'a Path),
    /// In the configuration, in the file's form, parted by blanks or line ends.
    Handed(&'a str),
}

/// How keys are to lie on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lying {
    /// Closed by the service.
    Closed,
    /// In the clear.
    Clear,
}

/// The current key and the former ones.
struct Roots {
    current: Key,
    former: Vec<Key>,
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Vault({})", self.key_id())
    }
}

impl Vault {
    /// Reads the root key's file; makes it, with its folder and readable by its owner only, if it is not
    /// there.
    ///
    /// # Errors
    ///
    /// The file cannot be read or made, is open to others, or holds no whole key. It is never overwritten but by
    /// [`Vault::turn`] and [`Vault::forget`].
    pub fn from_file(path: &Path) -> Result<Vault, SecretsError> {
        let roots = match File::open(path) {
            Ok(file) => read_keys(path, file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                create_keys(path)?;
                // Read back: if two processes start together, both take the key of the one that was first.
                let failed = |error| SecretsError::File { path: path.to_owned(), attempt: "read", error };
                read_keys(path, File::open(path).map_err(failed)?)
            }
            Err(error) => Err(SecretsError::File { path: path.to_owned(), attempt: "read", error }),
        }?;
        Ok(Vault::holding(Some(path.to_owned()), roots))
    }

    /// Reads the root keys, and lets the service open those that it has closed. A file that is not there is made: closed,
    /// where there is a service.
    ///
    /// # Errors
    ///
    /// As [`Vault::from_file`] and [`Vault::from_text`]; [`SecretsError::Service`] when the service does not open a key;
    /// [`SecretsError::Closed`] for a closed key where none is configured.
    pub async fn open(keys: Keys<'_>, service: Option<Service>) -> Result<Vault, SecretsError> {
        let Some(service) = service else {
            return match keys {
                Keys::File(path) => Vault::from_file(path),
                Keys::Handed(text) => Vault::from_text(text),
            };
        };
        let (path, text) = match keys {
            Keys::File(path) => (Some(path), read_or_create(path, &service).await?),
            Keys::Handed(text) => (None, Zeroizing::new(text.to_owned())),
        };
        let (roots, closed) = service.opened(&text).await.map_err(|error| match (error, path) {
            (SecretsError::Format(problem), Some(path)) => {
                SecretsError::KeyFile { path: path.to_owned(), problem }
            }
            (error, _) => error,
        })?;
        let vault = Vault::holding(path.map(Path::to_owned), roots);
        Ok(Vault { service: Some(service), closed: AtomicBool::new(closed), ..vault })
    }

    /// A vault over keys that the configuration hands over, in the file's form, parted by blanks or line ends.
    ///
    /// # Errors
    ///
    /// [`SecretsError::Format`] when it holds no key, or not a whole one.
    pub fn from_text(text: &str) -> Result<Vault, SecretsError> {
        Ok(Vault::holding(None, Roots::read(text)?))
    }

    /// A vault over a key that somebody else keeps.
    pub fn from_key(octets: [u8; KEY_BYTES]) -> Vault {
        Vault::holding(None, Roots { current: Key::new(Zeroizing::new(octets)), former: Vec::new() })
    }

    /// A vault over a key that another vault keeps, such as the one of a suitcase.
    pub fn from_data_key(data: &DataKey) -> Vault {
        Vault::holding(None, Roots { current: data.key.copy(), former: Vec::new() })
    }

    fn holding(file: Option<PathBuf>, roots: Roots) -> Vault {
        Vault {
            file,
            service: None,
            closed: AtomicBool::new(false),
            turning: tokio::sync::Mutex::default(),
            roots: RwLock::new(Arc::new(roots)),
        }
    }

    fn roots(&self) -> Arc<Roots> {
        Arc::clone(&self.roots.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// A new root key in the file's form, for whoever keeps the keys elsewhere.
    ///
    /// # Errors
    ///
    /// [`SecretsError::Random`].
    pub fn new_key_text() -> Result<Zeroizing<String>, SecretsError> {
        Ok(Key::random()?.line())
    }

    /// Id of the current root key: 16 hexadecimal digits, no secret. Every text that it has wrapped holds it.
    pub fn key_id(&self) -> String {
        self.roots().current.id.clone()
    }

    /// Ids of the former root keys, the latest first.
    pub fn former_key_ids(&self) -> Vec<String> {
        self.roots().former.iter().map(|key| key.id.clone()).collect()
    }

    /// Where the keys are kept, where that is a file.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// What people call the service that closes the keys, where one is configured.
    pub fn service(&self) -> Option<String> {
        self.service.as_ref().map(|service| service.keeper.title())
    }

    /// Whether what lies on the disk is closed: of no use without the service.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// Keys for one purpose, one from each root key (HMAC-SHA-256 as a pseudorandom function, NIST SP 800-108), the current
    /// one's first: what they sign is read again by whoever has the same root keys, and says nothing about them.
    pub fn derive(&self, purpose: &'static str) -> Vec<Zeroizing<[u8; KEY_BYTES]>> {
        let roots = self.roots();
        let derived = |root: &Key| {
            let mut mac = <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(root.octets.as_slice())
                .unwrap_or_else(|_| unreachable!("HMAC takes keys of any length"));
            mac.update(b"switchboard derive ");
            mac.update(purpose.as_bytes());
            Zeroizing::new(mac.finalize().into_bytes().into())
        };
        std::iter::once(&roots.current).chain(&roots.former).map(derived).collect()
    }

    /// A new data key for a tenant, and its wrapped text to store with the tenant.
    ///
    /// # Errors
    ///
    /// [`SecretsError::Random`].
    pub fn create_data_key(&self, tenant: &str) -> Result<(DataKey, String), SecretsError> {
        let data = DataKey { key: Key::random()? };
        let wrapped = self.wrap(tenant, &data)?;
        Ok((data, wrapped))
    }

    /// The text under which the data key of a tenant is stored.
    ///
    /// # Errors
    ///
    /// [`SecretsError::Random`].
    pub fn wrap(&self, tenant: &str, data: &DataKey) -> Result<String, SecretsError> {
        self.roots().current.seal(&wrapping(tenant), data.key.octets.as_slice())
    }

    /// The data key of a tenant from its stored text.
    ///
    /// # Errors
    ///
    /// [`SecretsError::OtherKey`] if another root key has wrapped it, [`SecretsError::Forged`] if it was
    /// changed or is another tenant's, [`SecretsError::Format`] if it is no wrapped key.
    pub fn unwrap(&self, tenant: &str, wrapped: &str) -> Result<DataKey, SecretsError> {
        let (roots, (id, _)) = (self.roots(), parts(wrapped)?);
        let root = roots.former.iter().find(|key| key.id == id).unwrap_or(&roots.current);
        let plain = root.open(&wrapping(tenant), wrapped)?;
        let octets: [u8; KEY_BYTES] =
            plain.as_slice().try_into().map_err(|_| SecretsError::Format("a key has 32 octets"))?;
        Ok(DataKey { key: Key::new(Zeroizing::new(octets)) })
    }

    /// Wraps a data key anew under the current root key. The fields that it has sealed stay as they are.
    ///
    /// # Errors
    ///
    /// As [`Vault::unwrap`].
    pub fn rewrap(&self, tenant: &str, wrapped: &str) -> Result<String, SecretsError> {
        self.wrap(tenant, &self.unwrap(tenant, wrapped)?)
    }

    /// Makes a new root key the current one, and gives its id. The present one stays as the latest of the former ones. All
    /// lie as they are to from then on; as the configuration says, where nobody says otherwise.
    ///
    /// # Errors
    ///
    /// [`SecretsError::Handed`] when the keys are not in a file, [`SecretsError::TooMany`] former keys,
    /// [`SecretsError::NoService`] and [`SecretsError::Service`] when they cannot be closed, or the file cannot be written;
    /// the current key is the same as before then.
    pub async fn turn(&self, lying: Option<Lying>) -> Result<String, SecretsError> {
        let usual = if self.service.is_some() { Lying::Closed } else { Lying::Clear };
        let next = |roots: &Roots| {
            if roots.former.len() + 1 >= ROOT_KEYS_MAX {
                return Err(SecretsError::TooMany);
            }
            let former = std::iter::once(&roots.current).chain(&roots.former).map(Key::copy).collect();
            Ok(Roots { current: Key::random()?, former })
        };
        self.replace(lying.unwrap_or(usual), next).await?;
        Ok(self.key_id())
    }

    /// Drops the former root keys. What they have wrapped, in backups too, opens never again.
    ///
    /// # Errors
    ///
    /// As [`Vault::turn`]; the keys are the same as before then.
    pub async fn forget(&self) -> Result<(), SecretsError> {
        let lying = if self.is_closed() { Lying::Closed } else { Lying::Clear };
        self.replace(lying, |roots| Ok(Roots { current: roots.current.copy(), former: Vec::new() })).await
    }

    async fn replace(
        &self,
        lying: Lying,
        next: impl FnOnce(&Roots) -> Result<Roots, SecretsError> + Send,
    ) -> Result<(), SecretsError> {
        let _turning = self.turning.lock().await;
        let path = self.file.clone().ok_or(SecretsError::Handed)?;
        let next = next(&self.roots())?;
        let text = match (lying, &self.service) {
            (Lying::Clear, _) => next.text(),
            (Lying::Closed, Some(service)) => service.closed(&next).await?,
            (Lying::Closed, None) => return Err(SecretsError::NoService),
        };
        // On the disk first: nothing is wrapped by a key that a crash could lose. Writing waits for the disk, and must not
        // keep others waiting.
        let written = move || write_keys(&path, &text, |draft| std::fs::rename(draft, &path));
        tokio::task::spawn_blocking(written).await.unwrap_or(Err(SecretsError::Random))?;
        *self.roots.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(next);
        self.closed.store(lying == Lying::Closed, Ordering::Relaxed);
        Ok(())
    }
}

impl Service {
    fn bound<'a>(&'a self, key: &'a str) -> Bound<'a> {
        Bound { installation: &self.installation, key }
    }

    /// The text of a key file whose keys are closed: a line `kms.<protocol>.<key id>.<base64url>` for each.
    async fn closed(&self, roots: &Roots) -> Result<Zeroizing<String>, SecretsError> {
        let mut text = Zeroizing::new(String::new());
        for key in std::iter::once(&roots.current).chain(&roots.former) {
            let closed = self.keeper.close(key.octets.as_slice(), self.bound(&key.id)).await;
            let closed = BASE64.encode(closed.map_err(SecretsError::Service)?);
            text.push_str(&format!("{CLOSED}.{}.{}.{closed}\n", self.keeper.protocol(), key.id));
        }
        Ok(text)
    }

    /// The keys of a text, and whether none of them lies in the clear.
    async fn opened(&self, text: &str) -> Result<(Roots, bool), SecretsError> {
        let (mut keys, mut closed) = (Vec::new(), true);
        for line in text.split_whitespace() {
            let Some(parts) = line.strip_prefix(CLOSED).and_then(|rest| rest.strip_prefix('.')) else {
                closed = false;
                keys.push(Key::of_line(line)?);
                continue;
            };
            let garbled = || {
                SecretsError::Format(
                    "holds a closed key that is not of the form kms.<protocol>.<key id>.<base64url>",
                )
            };
            let mut parts = parts.splitn(3, '.');
            let (protocol, id) = (parts.next().unwrap_or_default(), parts.next().ok_or_else(garbled)?);
            if protocol != self.keeper.protocol() {
                return Err(SecretsError::Format(
                    "holds a key that another kind of service has closed than kms.provider names",
                ));
            }
            let octets = BASE64.decode(parts.next().ok_or_else(garbled)?).map_err(|_| garbled())?;
            let octets = String::from_utf8(octets).map_err(|_| garbled())?;
            let plain = self.keeper.open(&octets, self.bound(id)).await.map_err(SecretsError::Service)?;
            keys.push(Key::read(id, &plain)?);
        }
        Ok((Roots::of(keys)?, closed))
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Service({})", self.keeper.title())
    }
}

impl Key {
    /// `v1.<key id>.<base64url key>`.
    fn line(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("{VERSION}.{}.{}", self.id, BASE64.encode(self.octets.as_slice())))
    }

    /// The key of a line in the clear.
    fn of_line(line: &str) -> Result<Self, SecretsError> {
        if line.starts_with(CLOSED) {
            return Err(SecretsError::Closed);
        }
        let form = |_| SecretsError::Format("is not of the form v1.<key id>.<base64url key>");
        let (id, plain) = parts(line).map_err(form)?;
        Key::read(id, &Zeroizing::new(plain))
    }

    fn read(id: &str, plain: &[u8]) -> Result<Self, SecretsError> {
        let short = |_| SecretsError::Format("holds a key that is not 32 octets long");
        let octets: [u8; KEY_BYTES] = plain.try_into().map_err(short)?;
        let key = Key::new(Zeroizing::new(octets));
        if key.id != id {
            return Err(SecretsError::Format("is damaged: the key does not fit its id"));
        }
        Ok(key)
    }

    fn copy(&self) -> Self {
        Key { octets: self.octets.clone(), id: self.id.clone() }
    }
}

impl Roots {
    fn read(text: &str) -> Result<Self, SecretsError> {
        Roots::of(text.split_whitespace().map(Key::of_line).collect::<Result<_, _>>()?)
    }

    fn of(keys: Vec<Key>) -> Result<Self, SecretsError> {
        if keys.len() > ROOT_KEYS_MAX {
            return Err(SecretsError::Format("holds more than 8 keys"));
        }
        let mut keys = keys.into_iter();
        let current = keys.next().ok_or(SecretsError::Format("is empty"))?;
        Ok(Roots { current, former: keys.collect() })
    }

    /// A key file's text, the keys in the clear.
    fn text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(1024));
        for key in std::iter::once(&self.current).chain(&self.former) {
            text.push_str(&key.line());
            text.push('\n');
        }
        text
    }
}

fn wrapping(tenant: &str) -> Vec<u8> {
    format!("data key of {tenant}").into_bytes()
}

fn read_text(path: &Path, file: File) -> Result<Zeroizing<String>, SecretsError> {
    let failed = |error| SecretsError::File { path: path.to_owned(), attempt: "read", error };
    let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o777;
    // Reading by the group is how orchestrators hand a secret to a process that is not root.
    if mode & 0o037 != 0 {
        return Err(SecretsError::KeyFileOpen { path: path.to_owned(), mode });
    }
    let mut octets = Zeroizing::new(Vec::new());
    file.take(KEY_FILE_BYTES_MAX).read_to_end(&mut octets).map_err(failed)?;
    let garbled = |problem| SecretsError::KeyFile { path: path.to_owned(), problem };
    let text = str::from_utf8(&octets).map_err(|_| garbled("is not a text"))?;
    Ok(Zeroizing::new(text.to_owned()))
}

fn read_keys(path: &Path, file: File) -> Result<Roots, SecretsError> {
    Roots::read(&read_text(path, file)?).map_err(|error| match error {
        SecretsError::Format(problem) => SecretsError::KeyFile { path: path.to_owned(), problem },
        error => error,
    })
}

/// The text of the key file; it is made, with a closed key, where there is none.
async fn read_or_create(path: &Path, service: &Service) -> Result<Zeroizing<String>, SecretsError> {
    let failed = |error| SecretsError::File { path: path.to_owned(), attempt: "read", error };
    match File::open(path) {
        Ok(file) => read_text(path, file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let roots = Roots { current: Key::random()?, former: Vec::new() };
            link_keys(path, &service.closed(&roots).await?)?;
            // Read back: if two processes start together, both take the key of the one that was first.
            read_text(path, File::open(path).map_err(failed)?)
        }
        Err(error) => Err(failed(error)),
    }
}

/// Makes the first key's file, never in place of another.
fn create_keys(path: &Path) -> Result<(), SecretsError> {
    link_keys(path, &Roots { current: Key::random()?, former: Vec::new() }.text())
}

fn link_keys(path: &Path, text: &str) -> Result<(), SecretsError> {
    // A link, unlike a renaming, fails if somebody was faster.
    write_keys(path, text, |draft| match std::fs::hard_link(draft, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => std::fs::remove_file(draft),
        linked => linked.and_then(|()| std::fs::remove_file(draft)),
    })
}

/// Writes a draft beside the file and puts it in its place: whole or not at all, also when the power fails.
fn write_keys(
    path: &Path,
    text: &str,
    place: impl FnOnce(&Path) -> io::Result<()>,
) -> Result<(), SecretsError> {
    let failed = |error| SecretsError::File { path: path.to_owned(), attempt: "written", error };
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    let draft = folder.join(format!(".root-key-{}", token(12)?));
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        place(&draft)?;
        File::open(folder)?.sync_all()
    };
    write().map_err(|error| {
        // Best effort: the draft may be gone, or never have been made.
        let _ = std::fs::remove_file(&draft);
        failed(error)
    })
}
