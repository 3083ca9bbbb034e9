use std::path::Path;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::*;

struct Issuer(CertifiedIssuer<'static, KeyPair>);

impl Issuer {
    fn named(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn pem(&self) -> String {
        self.0.pem()
    }

    /// Writes a certificate for a name, and its key.
    fn issue(&self, folder: &Path, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Files {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let files =
            Files { certificate: folder.join("cert.pem"), key: folder.join("key.pem"), client_ca: None };
        std::fs::write(&files.certificate, certificate.pem()).unwrap();
        std::fs::write(&files.key, key.serialize_pem()).unwrap();
        files
    }
}

/// A server that echoes one octet to each client.
async fn echo(files: Files, every: Duration) -> u16 {
    let (acceptor, keep) = Acceptor::open(files, &[], every, CancellationToken::new()).await.unwrap();
    let tasks = crate::Tasks::new();
    tasks.spawn("keep", keep);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tasks.spawn("echo", async move {
        while let Ok((socket, _)) = listener.accept().await {
            if let Ok(mut stream) = acceptor.accept(socket).await {
                let octet = stream.read_u8().await.unwrap_or_default();
                drop(stream.write_u8(octet).await);
                drop(stream.shutdown().await);
            }
        }
    });
    port
}

async fn asked(port: u16, name: &str, ca: &str) -> Result<u8, Failure> {
    let socket = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let mut stream = connect(socket, name, ca).await?;
    stream.write_u8(7).await.unwrap();
    stream.flush().await.unwrap();
    Ok(stream.read_u8().await.unwrap())
}

#[tokio::test]
async fn a_connection_is_encrypted_or_says_why_not() {
    let (issuer, stranger, namesake) = (Issuer::named("One"), Issuer::named("Two"), Issuer::named("One"));
    let folder = tempfile::tempdir().unwrap();
    let port = echo(issuer.issue(folder.path(), "smsc.example", |_| {}), Duration::from_secs(60)).await;
    assert_eq!(asked(port, "smsc.example", &issuer.pem()).await, Ok(7));
    for other in [stranger, namesake] {
        let unknown = asked(port, "smsc.example", &other.pem()).await.unwrap_err();
        assert!(unknown.lasting && unknown.why.starts_with("unknown issuer"), "{unknown:?}");
    }
    let named = asked(port, "other.example", &issuer.pem()).await.unwrap_err();
    assert!(named.lasting && named.why.starts_with("wrong name"), "{named:?}");
    let unnamed = asked(port, "a b", &issuer.pem()).await.unwrap_err();
    assert!(unnamed.why.contains("server name"), "{unnamed:?}");
}

#[tokio::test]
async fn certificates_out_of_their_time_are_told() {
    let issuer = Issuer::named("One");
    let folder = tempfile::tempdir().unwrap();
    let old = |params: &mut CertificateParams| {
        params.not_before = rcgen::date_time_ymd(2001, 1, 1);
        params.not_after = rcgen::date_time_ymd(2002, 1, 1);
    };
    let port = echo(issuer.issue(folder.path(), "smsc.example", old), Duration::from_secs(60)).await;
    let expired = asked(port, "smsc.example", &issuer.pem()).await.unwrap_err();
    assert!(expired.lasting && expired.why.contains("has expired"), "{expired:?}");
}

#[tokio::test]
async fn changed_files_are_used_when_they_fit() {
    let (first, second) = (Issuer::named("One"), Issuer::named("Two"));
    let folder = tempfile::tempdir().unwrap();
    let files = first.issue(folder.path(), "smsc.example", |_| {});
    let port = echo(files.clone(), Duration::from_millis(10)).await;
    std::fs::write(&files.key, KeyPair::generate().unwrap().serialize_pem()).unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(
        asked(port, "smsc.example", &first.pem()).await,
        Ok(7),
        "a key of another certificate is not used"
    );
    second.issue(folder.path(), "smsc.example", |_| {});
    for _ in 0..200 {
        if asked(port, "smsc.example", &second.pem()).await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the new certificate is not shown");
}

#[tokio::test]
async fn files_that_cannot_be_used_are_named() {
    let issuer = Issuer::named("One");
    let folder = tempfile::tempdir().unwrap();
    let good = issuer.issue(folder.path(), "smsc.example", |_| {});
    let swapped = Files { certificate: good.key.clone(), key: good.certificate.clone(), client_ca: None };
    let absent = Files { key: folder.path().join("nowhere.pem"), ..good.clone() };
    let no_ca = Files { client_ca: Some(good.key.clone()), ..good.clone() };
    for (files, told) in [(swapped, "key.pem"), (absent, "nowhere.pem"), (no_ca, "no certificate")] {
        let opened = Acceptor::open(files, &[], Duration::from_secs(60), CancellationToken::new()).await;
        let error = opened.err().unwrap();
        assert!(error.to_string().contains(told), "{error}");
    }
    assert!(roots(b"no PEM").is_err());
}
