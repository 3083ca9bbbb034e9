//! Root keys that a key management service closes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use zeroize::Zeroizing;

use super::*;
use crate::kms::{Bound, Keeper, KmsError};

/// A service that seals with a key of its own, while it answers.
struct Safe {
    key: DataKey,
    answers: AtomicBool,
}

impl Safe {
    fn new() -> Arc<Self> {
        Arc::new(Self { key: DataKey::from_octets([5; 32]), answers: AtomicBool::new(true) })
    }

    fn place(bound: Bound<'_>) -> Place<'_> {
        Place { tenant: bound.installation, table: "root", column: "key", row: bound.key }
    }

    fn answering(&self) -> Result<(), KmsError> {
        let silent = || KmsError::Silent { host: "safe".to_owned(), problem: "nobody is there".to_owned() };
        self.answers.load(Ordering::Relaxed).then_some(()).ok_or_else(silent)
    }
}

impl Keeper for Safe {
    fn protocol(&self) -> &'static str {
        "safe"
    }

    fn title(&self) -> String {
        "the safe".to_owned()
    }

    fn close<'a>(&'a self, plain: &'a [u8], bound: Bound<'a>) -> BoxFuture<'a, Result<String, KmsError>> {
        async move { self.answering().map(|()| self.key.seal(Self::place(bound), plain).unwrap()) }.boxed()
    }

    fn open<'a>(
        &'a self,
        closed: &'a str,
        bound: Bound<'a>,
    ) -> BoxFuture<'a, Result<Zeroizing<Vec<u8>>, KmsError>> {
        async move {
            self.answering()?;
            let refused = |_| KmsError::Refused { host: "safe".to_owned(), said: "no".to_owned() };
            self.key.open(Self::place(bound), closed).map_err(refused)
        }
        .boxed()
    }

    fn check(&self) -> BoxFuture<'_, Result<(), KmsError>> {
        async move { self.answering() }.boxed()
    }
}

fn at(safe: &Arc<Safe>, installation: &str) -> Option<Service> {
    Some(Service { keeper: safe.clone(), installation: installation.to_owned() })
}

#[tokio::test]
async fn whoever_takes_the_disk_has_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("root.key");
    let safe = Safe::new();
    let vault = Vault::open(Keys::File(&path), at(&safe, "here")).await.unwrap();
    let (data, wrapped) = vault.create_data_key("ten_1").unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(vault.is_closed() && text.starts_with("kms.safe."), "{text}");
    assert!(matches!(Vault::from_file(&path), Err(SecretsError::Closed)));
    assert!(matches!(Vault::open(Keys::File(&path), None).await, Err(SecretsError::Closed)));
    let again = Vault::open(Keys::File(&path), at(&safe, "here")).await.unwrap();
    assert_eq!(again.unwrap("ten_1", &wrapped).unwrap().id(), data.id());
    let elsewhere = Vault::open(Keys::File(&path), at(&safe, "elsewhere")).await;
    assert!(matches!(elsewhere, Err(SecretsError::Service(KmsError::Refused { .. }))));
    // Handed over by the configuration the same line opens too, and cannot be turned here.
    let handed = Vault::open(Keys::Handed(&text), at(&safe, "here")).await.unwrap();
    assert!(handed.is_closed() && handed.unwrap("ten_1", &wrapped).is_ok());
    assert!(matches!(handed.turn(None).await, Err(SecretsError::Handed)));
    for bad in ["kms", "kms.safe", "kms.safe.0011223344556677.%", "kms.other.0011223344556677.aaaa"] {
        let refused = Vault::open(Keys::Handed(bad), at(&safe, "here")).await;
        assert!(matches!(refused, Err(SecretsError::Format(_) | SecretsError::Closed)), "{bad}");
    }
    // Another key's name does not fit: the service is not believed.
    let other = text.replace(&vault.key_id(), "0011223344556677");
    assert!(Vault::open(Keys::Handed(&other), at(&safe, "here")).await.is_err());
}

#[tokio::test]
async fn root_keys_move_between_the_clear_and_the_service_and_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("root.key");
    let first = Vault::from_file(&path).unwrap();
    let (data, wrapped) = first.create_data_key("ten_1").unwrap();
    assert!(matches!(first.turn(Some(Lying::Closed)).await, Err(SecretsError::NoService)));
    let safe = Safe::new();
    let vault = Vault::open(Keys::File(&path), at(&safe, "here")).await.unwrap();
    assert!(!vault.is_closed());
    vault.turn(None).await.unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(
        vault.is_closed() && text.lines().all(|line| line.starts_with("kms.safe.")),
        "the former one too"
    );
    assert_eq!(text.lines().count(), 2);
    // A service that is gone keeps nobody from working, and nothing is turned half.
    safe.answers.store(false, Ordering::Relaxed);
    assert_eq!(vault.unwrap("ten_1", &wrapped).unwrap().id(), data.id());
    let before = vault.key_id();
    assert!(matches!(vault.turn(None).await, Err(SecretsError::Service(KmsError::Silent { .. }))));
    assert!(matches!(vault.forget().await, Err(SecretsError::Service(_))));
    assert_eq!((vault.key_id(), std::fs::read_to_string(&path).unwrap()), (before, text));
    let start = Vault::open(Keys::File(&path), at(&safe, "here")).await;
    assert!(start.unwrap_err().to_string().contains("see that it runs"));
    safe.answers.store(true, Ordering::Relaxed);
    vault.turn(Some(Lying::Clear)).await.unwrap();
    assert!(!vault.is_closed());
    let clear = Vault::from_file(&path).unwrap();
    assert_eq!((clear.key_id(), clear.former_key_ids().len()), (vault.key_id(), 2));
    assert_eq!(clear.unwrap("ten_1", &wrapped).unwrap().id(), data.id());
    vault.forget().await.unwrap();
    assert!(std::fs::read_to_string(&path).unwrap().starts_with("v1."), "it stays as it lay");
}
