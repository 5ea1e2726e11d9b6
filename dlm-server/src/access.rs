//! Who may do what: from the names in a peer's certificate to what it may ask for.
//!
//! Everybody who can connect shows a certificate of the configured authority, so the names in it are true.
//! Rules give rights to names; whoever is named by several has the rights of all of them, and whoever is
//! named by none may only look. Without TLS nobody is known, and everything is allowed to everybody: that is
//! for loopback, or for networks where an operator says so (`--insecure`).

use std::net::IpAddr;

use dlm_core::call::Call;
use dlm_core::cluster::Text;
use ring::digest::{SHA256, digest};
use thiserror::Error;
use tonic::codegen::http::Extensions;
use tonic::transport::server::{TcpConnectInfo, TlsConnectInfo};
use tonic::{Code, Status};
use wildmatch::WildMatch;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::gate;

/// A pattern for names: `*` stands for any text, the empty one too and dots as well, `?` for one character.
/// Capital letters count.
#[derive(Clone, Debug, PartialEq)]
pub struct Pattern(WildMatch);

impl Pattern {
    /// Any text is a pattern.
    #[must_use]
    pub fn new(pattern: &str) -> Self {
        Self(WildMatch::new(pattern))
    }

    /// Whether the whole of `name` is as the pattern says.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        self.0.matches(name)
    }

    /// As it was written.
    #[must_use]
    pub fn text(&self) -> String {
        self.0.pattern()
    }
}

/// What certificates of a name give.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// The certificates: those with a name like this, be it the common name of their subject or one of
    /// their alternative names.
    pub name: Pattern,
    /// Their holders may lock in these lockspaces.
    pub lockspaces: Vec<Pattern>,
    /// Their holders may do what changes the cluster: evict sessions, add and remove servers, make faults.
    pub admin: bool,
}

/// The rules of a server.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Access {
    /// Nobody is known, and everything is allowed: plain text.
    #[default]
    Everything,
    /// What the certificate gives.
    ByCertificate {
        /// Of clients.
        rules: Vec<Rule>,
        /// The names of the cluster's servers.
        servers: Vec<Pattern>,
    },
}

/// Why something is not allowed. The text is what the caller gets, under `PERMISSION_DENIED`.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AccessError {
    /// It is not for this certificate.
    #[error(
        "the certificate of \"{name}\" gives no access to lockspace \"{lockspace}\"; \
         a rule [[access]] in the servers' files can"
    )]
    Lockspace {
        /// Whose certificate.
        name: String,
        /// Which lockspace.
        lockspace: String,
    },
    /// It is for operators.
    #[error(
        "the certificate of \"{name}\" does not allow to {what}; \
         a rule [[access]] with admin = true in the servers' files can"
    )]
    Operator {
        /// Whose certificate.
        name: String,
        /// To do what.
        what: &'static str,
    },
    /// It is for servers.
    #[error(
        "the certificate of \"{name}\" is not that of a server of the cluster; \
         its name has to be among `servers` in the servers' files"
    )]
    Server {
        /// Whose certificate.
        name: String,
    },
    /// There is none, or it cannot be read.
    #[error(
        "the connection has no certificate that can be read; connect with one of the authority"
    )]
    NoCertificate,
}

impl From<AccessError> for Status {
    fn from(error: AccessError) -> Self {
        Self::new(Code::PermissionDenied, error.to_string())
    }
}

/// Who asks, and what that one may do.
#[derive(Clone, Debug, PartialEq)]
pub struct Caller(Option<Known>);

#[derive(Clone, Debug, PartialEq)]
struct Known {
    name: String,
    lockspaces: Vec<Pattern>,
    admin: bool,
    server: bool,
}

impl Access {
    /// Who is behind a request or a stream; `extensions` are the request's. Those of a request that did not
    /// come over the server's TLS have no certificate in them.
    ///
    /// # Errors
    /// [`AccessError::NoCertificate`].
    pub fn authorized(&self, extensions: &Extensions) -> Result<Caller, AccessError> {
        // Behind a gate, as the server's connections are, or straight from the socket.
        let gated = extensions.get::<TlsConnectInfo<gate::Caller>>();
        let plain = || extensions.get::<TlsConnectInfo<TcpConnectInfo>>();
        let certificates = match gated {
            Some(gated) => gated.peer_certs(),
            None => plain().and_then(TlsConnectInfo::peer_certs),
        };
        // The holder's own comes first.
        let first = certificates.as_deref().and_then(|all| all.first());
        self.holder(first.map(|first| first.as_ref()))
    }

    /// What the holder of this certificate (DER) may do, or whoever shows none.
    ///
    /// # Errors
    /// [`AccessError::NoCertificate`].
    pub fn holder(&self, certificate: Option<&[u8]>) -> Result<Caller, AccessError> {
        if matches!(self, Self::Everything) {
            return Ok(Caller(None));
        }
        let names = certificate.and_then(names);
        Ok(self.caller(&names.ok_or(AccessError::NoCertificate)?))
    }

    /// What the holder of a certificate with these names may do.
    #[must_use]
    pub fn caller(&self, names: &[String]) -> Caller {
        let Self::ByCertificate { rules, servers } = self else {
            return Caller(None);
        };
        let is = |pattern: &Pattern| names.iter().any(|name| pattern.matches(name));
        let of_it = || rules.iter().filter(|rule| is(&rule.name));
        let shown = names.first().map_or("(no name)", String::as_str);
        Caller(Some(Known {
            name: Text::<NAME_SHOWN_BYTES_MAX>::lossy(shown).as_str().into(),
            lockspaces: of_it().flat_map(|rule| rule.lockspaces.clone()).collect(),
            admin: of_it().any(|rule| rule.admin),
            server: servers.iter().any(is),
        }))
    }
}

impl Caller {
    /// Whether it may join, open, lock in and leave this lockspace.
    ///
    /// # Errors
    /// [`AccessError::Lockspace`].
    pub fn lockspace(&self, lockspace: &str) -> Result<(), AccessError> {
        match &self.0 {
            Some(known) if !known.lockspaces.iter().any(|one| one.matches(lockspace)) => {
                Err(AccessError::Lockspace {
                    name: known.name.clone(),
                    lockspace: lockspace.into(),
                })
            }
            _ => Ok(()),
        }
    }

    /// Whether it may do what changes the cluster. `what` says what, as in "evict a session".
    ///
    /// # Errors
    /// [`AccessError::Operator`].
    pub fn operator(&self, what: &'static str) -> Result<(), AccessError> {
        match &self.0 {
            Some(known) if !known.admin => {
                let name = known.name.clone();
                Err(AccessError::Operator { name, what })
            }
            _ => Ok(()),
        }
    }

    /// Whether it may speak as a server of the cluster.
    ///
    /// # Errors
    /// [`AccessError::Server`].
    pub fn server(&self) -> Result<(), AccessError> {
        match &self.0 {
            Some(known) if !known.server => {
                let name = known.name.clone();
                Err(AccessError::Server { name })
            }
            _ => Ok(()),
        }
    }

    /// What the servers know a session's nonce as. With certificates it is a digest of the nonce and of the name
    /// of whoever uses it, so that a session is that name's which joined: in another's hands its nonce is
    /// another one. (Whoever knows the nonce cannot make one up that would do: that is what a digest is for.)
    #[must_use]
    pub fn nonce(&self, nonce: u128) -> u128 {
        let Some(known) = &self.0 else {
            return nonce;
        };
        let mut said = NONCE_OF_NAME.to_vec();
        said.extend(nonce.to_be_bytes());
        said.extend(known.name.as_bytes());
        let digest = digest(&SHA256, &said);
        let bytes = digest.as_ref().iter().take(size_of::<u128>());
        bytes.fold(0, |sum, &byte| sum << 8 | u128::from(byte))
    }

    /// A call with nonces as the servers know them.
    #[must_use]
    pub fn of_its_own(&self, mut call: Call) -> Call {
        match &mut call {
            Call::Join { nonce, attests, .. } => {
                *nonce = self.nonce(*nonce);
                if let Some(attests) = attests {
                    attests.nonce = self.nonce(attests.nonce);
                }
            }
            Call::KeepAlive { nonce, .. }
            | Call::Goodbye { nonce, .. }
            | Call::OpenLockspace { nonce, .. }
            | Call::LeaveLockspace { nonce, .. }
            | Call::Replayed { nonce, .. } => *nonce = self.nonce(*nonce),
            Call::Evict { .. }
            | Call::FenceConfirmed { .. }
            | Call::AddServer { .. }
            | Call::RemoveServer { .. }
            | Call::Map => {}
        }
        call
    }

    /// What it is called, for logs; none without a certificate.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.0.as_ref().map(|known| known.name.as_str())
    }
}

/// What a digest of a nonce and a name begins with, so that it is none of anything else.
const NONCE_OF_NAME: &[u8] = b"glockwork session nonce\0";

/// As much of a name is shown; a domain name has up to 253 bytes.
const NAME_SHOWN_BYTES_MAX: usize = 253;

/// The names in a certificate (DER): the common names of its subject, then its alternative names: of hosts,
/// of people, URIs and addresses. None where it does not parse.
#[must_use]
pub fn names(certificate: &[u8]) -> Option<Vec<String>> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let common = certificate.subject().iter_common_name();
    let mut names: Vec<String> = common
        .filter_map(|one| one.as_str().ok())
        .map(str::to_owned)
        .collect();
    let alternative = certificate.subject_alternative_name().ok()?;
    for name in alternative
        .iter()
        .flat_map(|names| &names.value.general_names)
    {
        match name {
            GeneralName::DNSName(name) | GeneralName::RFC822Name(name) | GeneralName::URI(name) => {
                names.push((*name).into())
            }
            GeneralName::IPAddress(bytes) => names.extend(address(bytes)),
            _ => {}
        }
    }
    Some(names)
}

fn address(bytes: &[u8]) -> Option<String> {
    let address = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    let address = address.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from));
    address.ok().map(|address| address.to_string())
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    use super::*;

    fn rule(name: &str, lockspaces: &[&str], admin: bool) -> Rule {
        Rule {
            name: Pattern::new(name),
            lockspaces: lockspaces.iter().map(|one| Pattern::new(one)).collect(),
            admin,
        }
    }

    fn access() -> Access {
        Access::ByCertificate {
            rules: vec![
                rule("node*.example", &["vol*"], false),
                rule("node1.example", &["scratch"], false),
                rule("operator", &[], true),
            ],
            servers: vec![Pattern::new("dlm?.example")],
        }
    }

    fn caller(name: &str) -> Caller {
        access().caller(&[name.into()])
    }

    #[test]
    fn rights_of_all_rules_add_up() {
        let node1 = caller("node1.example");
        assert_eq!(node1.lockspace("vol7"), Ok(()));
        assert_eq!(node1.lockspace("scratch"), Ok(()));
        let node2 = caller("node2.example");
        assert_eq!(node2.lockspace("vol7"), Ok(()));
        let refused = node2.lockspace("scratch").unwrap_err().to_string();
        assert!(refused.contains("\"node2.example\"") && refused.contains("\"scratch\""));
    }

    #[test]
    fn nobody_is_an_operator_or_a_server_by_chance() {
        assert!(caller("node1.example").operator("evict a session").is_err());
        assert!(caller("node1.example").server().is_err());
        assert!(caller("operator").server().is_err());
        assert!(caller("operator").lockspace("vol1").is_err());
        assert_eq!(caller("operator").operator("evict a session"), Ok(()));
        assert_eq!(caller("dlm3.example").server(), Ok(()));
        assert!(caller("dlm3.example").operator("evict a session").is_err());
    }

    #[test]
    fn a_nonce_is_another_one_in_anothers_hands() {
        let [node1, node2] = ["node1.example", "node2.example"].map(caller);
        assert_eq!(node1.nonce(7), caller("node1.example").nonce(7));
        assert_ne!(node1.nonce(7), node2.nonce(7));
        assert_ne!(node1.nonce(7), node1.nonce(8));
        assert_ne!(node1.nonce(7), 7);
        let plain = Access::Everything.caller(&[]);
        assert_eq!(plain.nonce(7), 7);
    }

    #[test]
    fn a_pattern_is_for_the_whole_name() {
        for stranger in [
            "xnode1.example",
            "node1.example.org",
            "",
            "dlm12.example",
            "Operator",
        ] {
            let stranger = caller(stranger);
            assert!(stranger.lockspace("vol1").is_err(), "{stranger:?}");
            assert!(
                stranger.operator("evict a session").is_err(),
                "{stranger:?}"
            );
            assert!(stranger.server().is_err(), "{stranger:?}");
        }
    }

    #[test]
    fn without_rules_everything_is_allowed_to_nobody_in_particular() {
        let caller = Access::Everything.authorized(&Extensions::new()).unwrap();
        assert_eq!(caller.lockspace("any"), Ok(()));
        assert_eq!(caller.operator("evict a session"), Ok(()));
        assert_eq!(caller.server(), Ok(()));
        assert_eq!(caller.name(), None);
    }

    #[test]
    fn with_rules_a_certificate_is_needed() {
        let error = access().authorized(&Extensions::new()).unwrap_err();
        assert_eq!(error, AccessError::NoCertificate);
        let status = Status::from(error);
        assert_eq!(status.code(), Code::PermissionDenied);
    }

    #[test]
    fn all_names_of_a_certificate_are_found() {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "node 1");
        params
            .distinguished_name
            .push(DnType::OrganizationName, "not a name");
        params.subject_alt_names = vec![
            SanType::DnsName("node1.example".try_into().unwrap()),
            SanType::URI("spiffe://example/node1".try_into().unwrap()),
            SanType::Rfc822Name("node1@example".try_into().unwrap()),
            SanType::IpAddress("10.0.0.1".parse().unwrap()),
            SanType::IpAddress("2001:db8::1".parse().unwrap()),
        ];
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let expected = [
            "node 1",
            "node1.example",
            "spiffe://example/node1",
            "node1@example",
            "10.0.0.1",
            "2001:db8::1",
        ];
        assert_eq!(names(certificate.der()).unwrap(), expected);
        assert_eq!(names(b"no certificate"), None);
    }

    /// An authority may sign what it likes; it still gets no line of its own into a log.
    #[test]
    fn a_name_is_shown_in_one_line() {
        let named = access().caller(&[format!("a\nb{}", "c".repeat(1000))]);
        let name = named.name().unwrap();
        assert!(name.len() <= NAME_SHOWN_BYTES_MAX && name.starts_with("a?b"));
        assert_eq!(access().caller(&[]).name(), Some("(no name)"));
    }
}
