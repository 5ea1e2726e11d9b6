//! TLS to the servers, where it is asked for: who they are is checked against a certificate authority of
//! one's own, and the client shows a certificate where it has one.

use std::fmt;
use std::fs;
use std::path::Path;

use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity, ServerTlsConfig};

use crate::error::{ConnectError, innermost};

/// What every certificate in PEM begins with.
const PEM_CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----";

/// How servers are spoken to that want TLS.
#[derive(Clone)]
pub struct Tls {
    config: ClientTlsConfig,
    /// For whoever is connected to as well: a node that takes orders.
    server: Option<ServerTlsConfig>,
}

impl Tls {
    /// Servers are believed that show a certificate of `ca`; `identity` is the client's own certificate and
    /// its key. All of it is PEM. The name or address in an endpoint has to be in the server's certificate.
    ///
    /// # Errors
    /// [`ConnectError::Tls`].
    pub fn new(ca: &str, identity: Option<(&str, &str)>) -> Result<Self, ConnectError> {
        let refuse = |why: String| Err(ConnectError::Tls { why });
        if !ca.contains(PEM_CERTIFICATE) {
            return refuse("the authority's file holds no certificate in PEM".to_owned());
        }
        let mut config = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(ca));
        let mut server = None;
        if let Some((certificate, key)) = identity {
            if !certificate.contains(PEM_CERTIFICATE) {
                return refuse("the client's file holds no certificate in PEM".to_owned());
            }
            let identity = Identity::from_pem(certificate, key);
            config = config.identity(identity.clone());
            let listening = ServerTlsConfig::new().identity(identity);
            server = Some(listening.client_ca_root(Certificate::from_pem(ca)));
        }
        // What is in it is read when it is used; a mistake is to be found now.
        let used = Endpoint::from_static("https://localhost:1").tls_config(config.clone());
        match used {
            Ok(_) => Ok(Self { config, server }),
            Err(error) => refuse(innermost(&error)),
        }
    }

    /// The same from files.
    ///
    /// # Errors
    /// [`ConnectError::Tls`].
    pub fn read(ca: &Path, identity: Option<(&Path, &Path)>) -> Result<Self, ConnectError> {
        let ca = text(ca)?;
        match identity {
            None => Self::new(&ca, None),
            Some((certificate, key)) => {
                let (certificate, key) = (text(certificate)?, text(key)?);
                Self::new(&ca, Some((&certificate, &key)))
            }
        }
    }

    pub(crate) fn config(&self) -> ClientTlsConfig {
        self.config.clone()
    }

    /// For the side that listens, where there is a certificate to show: whoever connects has to show one of the same
    /// authority.
    pub(crate) fn server_config(&self) -> Option<ServerTlsConfig> {
        self.server.clone()
    }
}

fn text(path: &Path) -> Result<String, ConnectError> {
    fs::read_to_string(path).map_err(|error| ConnectError::Tls {
        why: format!("cannot read {}: {error}", path.display()),
    })
}

/// The key is nobody's business.
impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_certificate_is_said_in_one_line() {
        let missing = Path::new("/nowhere/ca.pem");
        let read = Tls::read(missing, None);
        for (bad, named) in [
            (Tls::new("", None), "authority"),
            (Tls::new("hello", None), "authority"),
            (Tls::new(PEM_CERTIFICATE, Some(("x", "y"))), "client"),
            (read, "/nowhere/ca.pem"),
        ] {
            let said = bad.unwrap_err().to_string();
            assert!(said.contains(named), "{said}");
            assert_eq!(said.lines().count(), 1, "{said}");
        }
    }
}
