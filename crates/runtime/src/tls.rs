//! TLS on both sides of a connection: [`Acceptor`] for our listeners, [`connect`] towards others.
//!
//! TLS 1.2 (RFC 5246) and 1.3 (RFC 8446), nothing older. Why a handshake failed is told in words that an operator can act on:
//! the library's own errors name alerts and structures.

use std::io;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{CertificateError, ClientConfig, RootCertStore};
use tokio::net::TcpStream;

mod acceptor;

pub use acceptor::{Acceptor, Files};
pub use tokio_rustls::{client, server};

/// Octets of a PEM text that are looked at, in a file or a setting.
pub const PEM_BYTES_MAX: usize = 1 << 20;

/// Why a connection is not encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// In words.
    pub why: String,
    /// The same attempt will fail again until somebody changes a certificate or a setting, here or there.
    pub lasting: bool,
}

impl Failure {
    fn lasting(why: impl Into<String>) -> Self {
        Self { why: why.into(), lasting: true }
    }

    fn of(error: &io::Error) -> Self {
        let cause = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        Self { why: why(error), lasting: matches!(cause, Some(rustls::Error::InvalidCertificate(_))) }
    }
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// The certificates of a PEM text, as whom to trust.
///
/// # Errors
/// In words: no PEM, no certificate in it, or one that cannot be an issuer's.
pub fn roots(pem: &[u8]) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| format!("this is no PEM: {error}"))?;
        roots.add(certificate).map_err(|error| format!("a certificate cannot be read: {error}"))?;
    }
    if roots.is_empty() {
        return Err("there is no certificate (-----BEGIN CERTIFICATE-----) in it".to_owned());
    }
    Ok(roots)
}

/// The roots that this machine trusts. Read at each call, as an administrator changes them beside a running program.
async fn system_roots() -> Result<RootCertStore, String> {
    let load = tokio::task::spawn_blocking(|| {
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        // Stores of systems hold certificates that no library reads; the others count.
        roots.add_parsable_certificates(found.certs);
        roots
    });
    match load.await {
        Ok(roots) if !roots.is_empty() => Ok(roots),
        _ => Err("this machine has no root certificates: give the issuer's certificate".to_owned()),
    }
}

/// Encrypts a connection that we have opened. `name` is the host name or address that the other side's certificate must be
/// for; `ca` is the PEM text of who may have issued it, empty for the roots of this machine.
///
/// # Errors
/// [`Failure`]: why, and whether to try again soon.
pub async fn connect(
    socket: TcpStream,
    name: &str,
    ca: &str,
) -> Result<client::TlsStream<TcpStream>, Failure> {
    let name = ServerName::try_from(name.to_owned()).map_err(|_| {
        Failure::lasting(format!("no certificate can be for {name:?}: give another server name"))
    })?;
    let roots = if ca.is_empty() { system_roots().await } else { roots(ca.as_bytes()) };
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| Failure::lasting(error.to_string()))?
        .with_root_certificates(roots.map_err(Failure::lasting)?)
        .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    connector.connect(name, socket).await.map_err(|error| Failure::of(&error))
}

/// Why TLS failed, in words: from an error of reading, writing or the handshake.
pub fn why(error: &io::Error) -> String {
    use rustls::Error;
    let Some(cause) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) else {
        return match error.kind() {
            io::ErrorKind::UnexpectedEof => "the peer closed the connection without a word".to_owned(),
            _ => error.to_string(),
        };
    };
    match cause {
        Error::InvalidCertificate(fault) => of_certificate(fault),
        Error::InvalidMessage(_) => "the peer does not speak TLS on this port".to_owned(),
        Error::NoCertificatesPresented => "the peer shows no certificate".to_owned(),
        Error::AlertReceived(alert) => format!("the peer refused it: {alert:?}"),
        Error::PeerIncompatible(_) => format!("the two sides have no version or cipher in common: {cause}"),
        other => other.to_string(),
    }
}

fn of_certificate(fault: &CertificateError) -> String {
    match fault {
        CertificateError::UnknownIssuer => {
            "unknown issuer: nobody who is trusted has issued the peer's certificate".to_owned()
        }
        // An issuer made anew under its old name.
        CertificateError::BadSignature => {
            "unknown issuer: the peer's certificate names one that is trusted, but was signed with another key".to_owned()
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            format!("the peer's certificate has expired: {fault}")
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            format!("the peer's certificate is not valid yet: {fault}")
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!("wrong name: {fault}")
        }
        other => format!("the peer's certificate is not accepted: {other}"),
    }
}

#[cfg(test)]
mod tests;
