//! Where servers are: what people write, and what the transport takes.

use std::fmt;
use std::str::FromStr;

use dlm_core::cluster::Endpoint;
use glock_core::session::ENDPOINTS_MAX;
use glockwork_proto::DEFAULT_ENDPOINT;
use tonic::transport;

use crate::error::ConnectError;
use crate::limits::{CONNECT_ATTEMPT_MAX, SIGN_OF_LIFE_MAX, SILENCE_MAX};
use crate::tls::Tls;

/// The servers of a cluster: where they are found, and how they are spoken to. Those that are named need
/// not be all of them, and not all need be up: whoever answers tells of the others.
#[derive(Clone, Debug)]
pub struct Servers {
    endpoints: Vec<Endpoint>,
    tls: Option<Tls>,
}

impl Servers {
    /// Parses `127.0.0.1:7170`, or several with commas between them: `a:7170,b:7170,c:7170`.
    ///
    /// # Errors
    /// [`ConnectError::Endpoint`] or [`ConnectError::Endpoints`].
    ///
    /// # Example
    /// ```
    /// use dlm_client::Servers;
    ///
    /// let servers = Servers::parse("node1:7170, node2:7170,node3:7170")?;
    /// assert_eq!(servers.to_string(), "node1:7170,node2:7170,node3:7170");
    /// assert!(Servers::parse("node1").is_err());
    /// # Ok::<_, dlm_client::ConnectError>(())
    /// ```
    pub fn parse(list: &str) -> Result<Self, ConnectError> {
        let mut endpoints = Vec::new();
        for text in list.split(',').map(str::trim) {
            let endpoint = parse(text)?;
            if !endpoints.contains(&endpoint) {
                endpoints.push(endpoint);
            }
        }
        if endpoints.len() > ENDPOINTS_MAX {
            let count = endpoints.len();
            return Err(ConnectError::Endpoints { count });
        }
        let tls = None;
        Ok(Self { endpoints, tls })
    }

    /// They are spoken to over TLS.
    #[must_use]
    pub fn with_tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    pub(crate) fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// How they are spoken to, where that is not in plain text.
    #[must_use]
    pub const fn tls(&self) -> Option<&Tls> {
        self.tls.as_ref()
    }
}

/// The server of this machine, at the port where it listens without being told.
impl Default for Servers {
    fn default() -> Self {
        Self {
            endpoints: vec![Endpoint::lossy(DEFAULT_ENDPOINT)],
            tls: None,
        }
    }
}

impl FromStr for Servers {
    type Err = ConnectError;

    fn from_str(list: &str) -> Result<Self, ConnectError> {
        Self::parse(list)
    }
}

impl fmt::Display for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, endpoint) in self.endpoints.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            write!(f, "{comma}{endpoint}")?;
        }
        Ok(())
    }
}

fn refuse(endpoint: &str, why: impl Into<String>) -> ConnectError {
    ConnectError::Endpoint {
        endpoint: endpoint.to_owned(),
        why: why.into(),
    }
}

/// A host and a port.
fn parse(endpoint: &str) -> Result<Endpoint, ConnectError> {
    let authority = match endpoint.split_once("://") {
        None => endpoint,
        Some(("http", authority)) => authority,
        Some(("https", _)) => {
            return Err(refuse(
                endpoint,
                "TLS comes with an authority's certificate, not with https",
            ));
        }
        Some((scheme, _)) => return Err(refuse(endpoint, format!("{scheme} is not spoken here"))),
    };
    let authority = authority.strip_suffix('/').unwrap_or(authority);
    let has_port = authority.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty() && !host.ends_with(':') && port.parse::<u16>().is_ok()
    });
    if !has_port {
        return Err(refuse(endpoint, "a host and a port are needed"));
    }
    let uri = transport::Endpoint::from_shared(format!("http://{authority}"));
    uri.map_err(|error| refuse(endpoint, error.to_string()))?;
    Endpoint::new(authority).map_err(|error| refuse(endpoint, error.to_string()))
}

/// What the transport takes: for one that people wrote, or that a server named.
///
/// # Errors
/// [`ConnectError::Endpoint`].
pub(crate) fn transport(
    endpoint: &Endpoint,
    tls: Option<&Tls>,
) -> Result<transport::Endpoint, ConnectError> {
    let text = endpoint.as_str();
    let authority = parse(text)?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    let transport = transport::Endpoint::from_shared(format!("{scheme}://{authority}"));
    let mut transport = transport.map_err(|error| refuse(text, error.to_string()))?;
    if let Some(tls) = tls {
        let with_tls = transport.tls_config(tls.config());
        transport = with_tls.map_err(|error| refuse(text, error.to_string()))?;
    }
    Ok(transport
        .tcp_nodelay(true)
        .connect_timeout(CONNECT_ATTEMPT_MAX)
        .http2_keep_alive_interval(SILENCE_MAX)
        .keep_alive_timeout(SIGN_OF_LIFE_MAX)
        .keep_alive_while_idle(true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write() {
        for good in [
            "127.0.0.1:7170",
            "http://127.0.0.1:7170",
            "http://node1:7170/",
            "[::1]:7170",
        ] {
            let servers = Servers::parse(good).unwrap();
            let [endpoint] = servers.endpoints() else {
                panic!("{servers:?}");
            };
            let transport = transport(endpoint, None).unwrap();
            assert_eq!(transport.uri().scheme_str(), Some("http"), "{good}");
            assert!(transport.uri().port_u16().is_some(), "{good}");
        }
        for bad in [
            "",
            "node1",
            "https://node1:7170",
            "ftp://node1:7170",
            ":7170",
            "node1:x",
            "no de:7170",
            "::1",
        ] {
            let error = Servers::parse(bad).unwrap_err().to_string();
            assert!(error.contains(&format!("\"{bad}\"")) && error.contains("127.0.0.1:7170"));
            assert_eq!(error.lines().count(), 1);
        }
    }

    #[test]
    fn several_have_commas_between_them_and_a_limit() {
        let servers = Servers::parse("a:1, b:2,a:1").unwrap();
        assert_eq!(servers.to_string(), "a:1,b:2");
        for bad in ["a:1,", ",a:1", "a:1 b:2"] {
            assert!(Servers::parse(bad).is_err(), "{bad}");
        }
        let many = |count| -> String {
            let all: Vec<_> = (1..=count).map(|port| format!("a:{port}")).collect();
            all.join(",")
        };
        assert!(Servers::parse(&many(ENDPOINTS_MAX)).is_ok());
        let error = Servers::parse(&many(ENDPOINTS_MAX + 1)).unwrap_err();
        assert!(error.to_string().contains("64"), "{error}");
        assert_eq!(Servers::default().to_string(), DEFAULT_ENDPOINT);
    }
}
