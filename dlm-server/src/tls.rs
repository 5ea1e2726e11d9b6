//! TLS: the server's certificate, its key, and the authority whose certificates everybody else must show.
//!
//! They are read once, at start, and looked at as the others will look at them, so that what is wrong is
//! said there and not at the first connection. A new certificate is taken by starting the server again.

#[cfg(test)]
pub(crate) mod authority;
#[cfg(test)]
mod tests;

mod error;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use dlm_core::cluster::Endpoint;
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::sign::CertifiedKey;
use tonic::transport::{Certificate, ClientTlsConfig, Identity, ServerTlsConfig};
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::time::ASN1Time;

pub use error::{TlsError, TlsFile, TlsWhy};

/// The files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The server's certificate, and those between it and the authority, in this order.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The authorities' certificates.
    pub ca: PathBuf,
}

/// What was read from them, and fits together.
#[derive(Clone)]
pub struct Tls {
    files: TlsFiles,
    certificate_pem: Vec<u8>,
    key_pem: Vec<u8>,
    authority_pem: Vec<u8>,
    chain: Vec<CertificateDer<'static>>,
    roots: Arc<RootCertStore>,
}

impl fmt::Debug for Tls {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tls").field(&self.files).finish()
    }
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// All that is wrong with them.
    pub fn read(files: &TlsFiles) -> Result<Self, Vec<TlsError>> {
        let mut errors = Vec::new();
        let certificate = read(TlsFile::Certificate, &files.cert, certificates, &mut errors);
        let key = read(TlsFile::Key, &files.key, key, &mut errors);
        let authority = read(TlsFile::Authority, &files.ca, roots, &mut errors);
        let (Some((certificate_pem, chain)), Some((key_pem, key)), Some((authority_pem, roots))) =
            (certificate, key, authority)
        else {
            return Err(errors);
        };
        if let Err(why) = valid_now(&chain[0]) {
            errors.push(error(TlsFile::Certificate, &files.cert, why));
        }
        if let Err(why) = CertifiedKey::from_der(chain.clone(), key, &ring::default_provider()) {
            let certificate = files.cert.clone();
            let why = TlsWhy::Key { certificate, why };
            errors.push(error(TlsFile::Key, &files.key, why));
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(Self {
            files: files.clone(),
            certificate_pem,
            key_pem,
            authority_pem,
            chain,
            roots: Arc::new(roots),
        })
    }

    /// Where it was read from.
    #[must_use]
    pub const fn files(&self) -> &TlsFiles {
        &self.files
    }

    /// For the side that listens: whoever connects has to show a certificate of the authority.
    #[must_use]
    pub fn server(&self) -> ServerTlsConfig {
        ServerTlsConfig::new()
            .identity(self.identity())
            .client_ca_root(Certificate::from_pem(&self.authority_pem))
    }

    /// For the side that connects, to another server: that one has to show a certificate of the authority
    /// for the host it was looked for at.
    #[must_use]
    pub fn client(&self) -> ClientTlsConfig {
        ClientTlsConfig::new()
            .identity(self.identity())
            .ca_certificate(Certificate::from_pem(&self.authority_pem))
    }

    fn identity(&self) -> Identity {
        Identity::from_pem(&self.certificate_pem, &self.key_pem)
    }

    /// The names in the server's certificate, as [`access`](crate::access) sees them.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        crate::access::names(&self.chain[0]).unwrap_or_default()
    }

    /// Whether another server with the same authority takes the certificate: from one that connects, and
    /// from one that is found at `endpoint`.
    ///
    /// # Errors
    /// [`TlsWhy::Refused`].
    pub fn check_among_servers(&self, endpoint: &Endpoint) -> Result<(), Box<TlsError>> {
        let (own, between) = self.chain.split_first().expect("read looked for one");
        let now = UnixTime::now();
        let provider: Arc<CryptoProvider> = Arc::new(ring::default_provider());
        let refused = |as_what: String, why: rustls::Error| {
            let why = TlsWhy::Refused { as_what, why };
            Box::new(error(TlsFile::Certificate, &self.files.cert, why))
        };
        let as_client =
            WebPkiClientVerifier::builder_with_provider(Arc::clone(&self.roots), provider.clone())
                .build()
                .expect("read looked for an authority")
                .verify_client_cert(own, between, now);
        as_client.map_err(|why| refused("of a client".into(), why))?;

        let host = host(endpoint);
        let as_what = format!("of a server at {host}");
        let name = ServerName::try_from(host).map_err(|_| {
            let why = rustls::Error::General("that is no name of a host".into());
            refused(as_what.clone(), why)
        })?;
        let as_server =
            WebPkiServerVerifier::builder_with_provider(Arc::clone(&self.roots), provider)
                .build()
                .expect("read looked for an authority")
                .verify_server_cert(own, between, &name, &[], now);
        as_server.map_err(|why| refused(as_what, why))?;
        Ok(())
    }
}

/// How another server is connected to: in TLS where this one has it, in plain text otherwise.
///
/// # Errors
/// Where the endpoint is no address, or TLS cannot be set up.
pub fn to_server(
    endpoint: &Endpoint,
    tls: Option<&Tls>,
) -> Result<tonic::transport::Endpoint, tonic::transport::Error> {
    let scheme = if tls.is_some() { "https" } else { "http" };
    let uri = format!("{scheme}://{}", endpoint.as_str());
    let to = tonic::transport::Endpoint::from_shared(uri)?;
    match tls {
        Some(tls) => to.tls_config(tls.client()),
        None => Ok(to),
    }
}

/// The host of an endpoint, without the brackets that an IPv6 address has there.
fn host(endpoint: &Endpoint) -> String {
    let text = endpoint.as_str();
    let host = text.rsplit_once(':').map_or(text, |(host, _)| host);
    host.trim_start_matches('[').trim_end_matches(']').into()
}

fn error(file: TlsFile, path: &Path, why: TlsWhy) -> TlsError {
    let path = path.to_owned();
    TlsError { file, path, why }
}

/// The bytes of a file and what they are. What is wrong goes to `errors`.
fn read<T>(
    file: TlsFile,
    path: &Path,
    parse: fn(&[u8]) -> Result<T, TlsWhy>,
    errors: &mut Vec<TlsError>,
) -> Option<(Vec<u8>, T)> {
    let bytes = std::fs::read(path).map_err(TlsWhy::Read);
    let parsed = bytes.and_then(|bytes| {
        let parsed = parse(&bytes)?;
        Ok((bytes, parsed))
    });
    match parsed {
        Ok(parsed) => Some(parsed),
        Err(why) => {
            errors.push(error(file, path, why));
            None
        }
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsWhy> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let found = found.map_err(TlsWhy::Pem)?;
    if found.is_empty() {
        return Err(TlsWhy::Nothing("CERTIFICATE"));
    }
    for (place, one) in found.iter().enumerate() {
        if let Err(why) = X509Certificate::from_der(one) {
            let (place, why) = (place + 1, why.to_string());
            return Err(TlsWhy::Certificate { place, why });
        }
    }
    Ok(found)
}

fn key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, TlsWhy> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| match error {
        rustls::pki_types::pem::Error::NoItemsFound => {
            TlsWhy::Nothing("PRIVATE KEY without a password")
        }
        other => TlsWhy::Pem(other),
    })
}

fn roots(pem: &[u8]) -> Result<RootCertStore, TlsWhy> {
    let mut roots = RootCertStore::empty();
    for (place, one) in certificates(pem)?.into_iter().enumerate() {
        roots.add(one).map_err(|why| TlsWhy::Certificate {
            place: place + 1,
            why: why.to_string(),
        })?;
    }
    Ok(roots)
}

fn valid_now(certificate: &CertificateDer<'_>) -> Result<(), TlsWhy> {
    let (_, certificate) = X509Certificate::from_der(certificate).expect("read parsed it");
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = now.map_or(0, |now| i64::try_from(now.as_secs()).unwrap_or(i64::MAX));
    let validity = certificate.validity();
    let valid = ASN1Time::from_timestamp(now).is_ok_and(|now| validity.is_valid_at(now));
    if valid {
        return Ok(());
    }
    Err(TlsWhy::Time {
        from: validity.not_before.to_string(),
        to: validity.not_after.to_string(),
    })
}
