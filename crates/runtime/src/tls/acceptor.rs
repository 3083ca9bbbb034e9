//! A listener's certificate, read anew when its files change.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use types::{Code, Error, Result};

use super::{Failure, PEM_BYTES_MAX, provider, roots, server};

/// Where a listener's certificate is: PEM files.
#[derive(Debug, Clone)]
pub struct Files {
    /// The certificate, and behind it those of its issuers but the root.
    pub certificate: PathBuf,
    /// Its private key: PKCS #8, PKCS #1 or SEC 1.
    pub key: PathBuf,
    /// Who issues the certificates that clients must show; nothing where they need none.
    pub client_ca: Option<PathBuf>,
}

/// What the files held.
#[derive(PartialEq)]
struct Texts {
    certificate: Vec<u8>,
    key: zeroize::Zeroizing<Vec<u8>>,
    client_ca: Option<Vec<u8>>,
}

/// Encrypts accepted connections. Cloning shares it.
#[derive(Clone)]
pub struct Acceptor {
    shared: Arc<Shared>,
}

struct Shared {
    files: Files,
    /// Protocols offered by ALPN (RFC 7301), the preferred first.
    protocols: Vec<Vec<u8>>,
    present: RwLock<Arc<ServerConfig>>,
}

impl Acceptor {
    /// Reads the files, and from then on again every `every` until `stopping`: a certificate that was renewed is shown to the
    /// connections that come after, and those that are open go on. `protocols` are those of ALPN (RFC 7301), the preferred
    /// first. The second value is the task that reads; spawn it.
    ///
    /// # Errors
    /// [`Code::Unavailable`]: a file cannot be read, holds no PEM, or key and certificate are no pair.
    pub async fn open(
        files: Files,
        protocols: &[&str],
        every: Duration,
        stopping: CancellationToken,
    ) -> Result<(Self, impl Future<Output = ()> + Send + 'static)> {
        let protocols: Vec<Vec<u8>> = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        let read = async {
            let texts = files.read().await?;
            let config = texts.config(&protocols, &files)?;
            Ok((texts, config))
        };
        let (texts, config) = read.await.map_err(|why: String| {
            Error::new(Code::Unavailable, format!("no TLS: {why}"))
                .hint("check the files that the tls section names")
        })?;
        let shared = Arc::new(Shared { files, protocols, present: RwLock::new(Arc::new(config)) });
        let acceptor = Self { shared };
        let keep = acceptor.clone().keep(texts, every, stopping);
        Ok((acceptor, keep))
    }

    /// Shakes hands with a client. It takes as long as the client likes: bound it.
    ///
    /// # Errors
    /// [`Failure`]: no TLS was spoken, nothing in common, a missing or wrong certificate.
    pub async fn accept(
        &self,
        socket: TcpStream,
    ) -> std::result::Result<server::TlsStream<TcpStream>, Failure> {
        let config = Arc::clone(&self.shared.present.read().unwrap_or_else(PoisonError::into_inner));
        TlsAcceptor::from(config).accept(socket).await.map_err(|error| Failure::of(&error))
    }

    /// Compares contents, not times: copies, links and mounted secrets change in ways that times do not tell. What cannot be
    /// used is told once, and the certificate of before stays: a renewal writes its files one after the other.
    async fn keep(self, mut present: Texts, every: Duration, stopping: CancellationToken) {
        let Shared { files, protocols, .. } = &*self.shared;
        let mut told = String::new();
        loop {
            tokio::select! {
                () = stopping.cancelled() => return,
                () = tokio::time::sleep(every) => {}
            }
            let read = match files.read().await {
                Ok(texts) if texts == present => {
                    told.clear();
                    continue;
                }
                Ok(texts) => texts.config(protocols, files).map(|config| (texts, config)),
                Err(why) => Err(why),
            };
            match read {
                Ok((texts, config)) => {
                    present = texts;
                    told.clear();
                    *self.shared.present.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
                    metrics::counter!("switchboard_tls_reloads_total", "outcome" => "loaded").increment(1);
                    tracing::info!(certificate = %files.certificate.display(), "a renewed certificate is in use");
                }
                Err(why) if why != told => {
                    metrics::counter!("switchboard_tls_reloads_total", "outcome" => "failed").increment(1);
                    tracing::warn!(%why, "a changed certificate cannot be used; the one of before stays");
                    told = why;
                }
                Err(_) => {}
            }
        }
    }
}

impl Files {
    async fn read(&self) -> std::result::Result<Texts, String> {
        Ok(Texts {
            certificate: read(&self.certificate).await?,
            key: zeroize::Zeroizing::new(read(&self.key).await?),
            client_ca: match &self.client_ca {
                Some(path) => Some(read(path).await?),
                None => None,
            },
        })
    }
}

/// A file, as far as a PEM file can reasonably go.
async fn read(path: &Path) -> std::result::Result<Vec<u8>, String> {
    let mut octets = Vec::new();
    let read = async {
        let file = tokio::fs::File::open(path).await?;
        file.take(PEM_BYTES_MAX as u64).read_to_end(&mut octets).await
    };
    read.await.map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    Ok(octets)
}

impl Texts {
    fn config(&self, protocols: &[Vec<u8>], files: &Files) -> std::result::Result<ServerConfig, String> {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(&self.certificate)
            .collect::<std::result::Result<_, _>>()
            .map_err(|error| format!("{} is no PEM: {error}", files.certificate.display()))?;
        if chain.is_empty() {
            return Err(format!("{} holds no certificate", files.certificate.display()));
        }
        let key = PrivateKeyDer::from_pem_slice(&self.key)
            .map_err(|error| format!("{} holds no private key: {error}", files.key.display()))?;
        let builder = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?;
        let builder = match (&self.client_ca, &files.client_ca) {
            (Some(text), Some(path)) => {
                let roots = roots(text).map_err(|why| format!("{}: {why}", path.display()))?;
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider()).build();
                builder.with_client_cert_verifier(
                    verifier.map_err(|error| format!("{}: {error}", path.display()))?,
                )
            }
            _ => builder.with_no_client_auth(),
        };
        let mut config = builder.with_single_cert(chain, key).map_err(|error| {
            format!("{} and {}: {error}", files.certificate.display(), files.key.display())
        })?;
        config.alpn_protocols = protocols.to_vec();
        Ok(config)
    }
}
