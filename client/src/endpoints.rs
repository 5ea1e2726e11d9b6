//! Where a server is: what people write, and what the transport takes.

use tonic::transport::Endpoint;

use crate::error::ConnectError;
use crate::limits::{CONNECT_MAX, SIGN_OF_LIFE_MAX, SILENCE_MAX};

/// Parses `127.0.0.1:7170`, `host:7170` or `http://…`.
///
/// # Errors
/// [`ConnectError::Endpoint`].
pub fn parse(endpoint: &str) -> Result<Endpoint, ConnectError> {
    let refuse = |why: &str| {
        let (endpoint, why) = (endpoint.to_owned(), why.to_owned());
        ConnectError::Endpoint { endpoint, why }
    };
    let authority = match endpoint.split_once("://") {
        None => endpoint,
        Some(("http", authority)) => authority,
        Some((scheme, _)) => return Err(refuse(&format!("{scheme} is not spoken here"))),
    };
    let authority = authority.strip_suffix('/').unwrap_or(authority);
    let has_port = authority.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty() && !host.ends_with(':') && port.parse::<u16>().is_ok()
    });
    if !has_port {
        return Err(refuse("a host and a port are needed"));
    }
    let uri = format!("http://{authority}");
    let endpoint = Endpoint::from_shared(uri).map_err(|error| refuse(&error.to_string()))?;
    Ok(endpoint
        .tcp_nodelay(true)
        .connect_timeout(CONNECT_MAX)
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
            let endpoint = parse(good).unwrap();
            assert_eq!(endpoint.uri().scheme_str(), Some("http"), "{good}");
            assert!(endpoint.uri().port_u16().is_some(), "{good}");
        }
        for bad in [
            "",
            "node1",
            "https://node1:7170",
            ":7170",
            "node1:x",
            "no de:7170",
            "::1",
        ] {
            let error = parse(bad).unwrap_err().to_string();
            assert!(error.contains(&format!("\"{bad}\"")) && error.contains("127.0.0.1:7170"));
            assert_eq!(error.lines().count(), 1);
        }
    }
}
