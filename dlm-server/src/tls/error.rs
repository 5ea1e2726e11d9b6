//! What can be wrong with the files of certificates.

use std::path::PathBuf;

use thiserror::Error;

/// Which of the files it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsFile {
    /// The certificate.
    Certificate,
    /// The key.
    Key,
    /// The authorities.
    Authority,
}

/// What is wrong with one of the files.
#[derive(Debug, Error)]
#[error("{}: {why}", path.display())]
pub struct TlsError {
    /// Which one.
    pub file: TlsFile,
    /// Its name.
    pub path: PathBuf,
    /// What is wrong with it, and what to do.
    pub why: TlsWhy,
}

/// What is wrong with a file.
#[derive(Debug, Error)]
pub enum TlsWhy {
    /// It cannot be read.
    #[error("cannot read the file: {0}")]
    Read(std::io::Error),
    /// It is not PEM, or damaged.
    #[error("the file is not PEM: {0}")]
    Pem(rustls::pki_types::pem::Error),
    /// It has none of what it is for.
    #[error("the file has no {0} in PEM (it begins with -----BEGIN)")]
    Nothing(&'static str),
    /// A certificate in it is none.
    #[error("certificate {place} of the file does not parse: {why}")]
    Certificate {
        /// Which, counted from 1.
        place: usize,
        /// Why not.
        why: String,
    },
    /// Its time is over, or has not come.
    #[error("the certificate is valid from {from} to {to}, and not now; make a new one")]
    Time {
        /// From when.
        from: String,
        /// Until when.
        to: String,
    },
    /// The key is of another kind than what TLS uses, or of another certificate.
    #[error("the key cannot be used with the certificate in {}: {why}", certificate.display())]
    Key {
        /// Where the certificate is.
        certificate: PathBuf,
        /// Why not.
        why: rustls::Error,
    },
    /// The other servers will not take it.
    #[error(
        "the other servers would refuse the certificate {as_what}: {why}; it has to come from an \
         authority of the file of authorities, for clients and servers, and name the host that is advertised"
    )]
    Refused {
        /// In which part.
        as_what: String,
        /// Why.
        why: rustls::Error,
    },
}
