//! An authority for tests, and the certificates that it issues.

use std::fs;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use tempfile::TempDir;

use super::{Tls, TlsFiles};

/// What a server's certificate is for.
pub(crate) const BOTH: [ExtendedKeyUsagePurpose; 2] = [
    ExtendedKeyUsagePurpose::ServerAuth,
    ExtendedKeyUsagePurpose::ClientAuth,
];

/// It has its files in a directory that goes with it.
pub(crate) struct Authority {
    directory: TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let authority = Self {
            directory: TempDir::new().unwrap(),
            issuer: CertifiedIssuer::self_signed(params, key).unwrap(),
        };
        authority.write("ca.pem", &authority.issuer.pem());
        authority
    }

    /// A file in the directory.
    pub(crate) fn write(&self, name: &str, text: &str) -> String {
        let path = self.directory.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// The file with its own certificate.
    pub(crate) fn ca(&self) -> String {
        self.directory.path().join("ca.pem").display().to_string()
    }

    /// Files with a new certificate of this host and its key, for these purposes, and the authority's.
    pub(crate) fn issue(&self, host: &str, purposes: &[ExtendedKeyUsagePurpose]) -> [String; 3] {
        let mut params = CertificateParams::new([host.to_owned()]).unwrap();
        params.extended_key_usages = purposes.to_vec();
        self.issue_with(params)
    }

    pub(crate) fn issue_with(&self, params: CertificateParams) -> [String; 3] {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let cert = self.write("server.pem", &certificate.pem());
        let key = self.write("server.key", &key.serialize_pem());
        [cert, key, self.ca()]
    }

    /// The same, read.
    pub(crate) fn tls(&self, host: &str) -> Tls {
        let [cert, key, ca] = self.issue(host, &BOTH).map(Into::into);
        Tls::read(&TlsFiles { cert, key, ca }).unwrap()
    }
}
