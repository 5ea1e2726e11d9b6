//! What a single value has to be. Each error says what to write, in one line without the setting's name.

use std::env;
use std::fmt::Display;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use dlm_core::ServerId;
use dlm_core::cluster::Endpoint;
use tracing_subscriber::EnvFilter;

use super::LogFormat;
use super::durations::LEASE_MS_MAX;

/// What is logged where nothing else is said.
pub(super) const LOG_DEFAULT: &str = "info,raft_engine=warn";

/// The longest that a fence command may take: a day, in which somebody goes there and pulls the plug.
pub(super) const FENCE_SECONDS_MAX: u64 = 86_400;

pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        format!("\"{text}\" is not an address; write IP:PORT, such as 127.0.0.1:7170 or [::1]:7170")
    })
}

pub(super) fn server(text: &str) -> Result<ServerId, String> {
    match text.parse() {
        Ok(number @ 1..) => Ok(ServerId(number)),
        _ => Err(format!(
            "\"{text}\" is not a server's number; they begin with 1"
        )),
    }
}

/// A host and a port, which others can connect to.
pub(super) fn endpoint(text: &str) -> Result<Endpoint, String> {
    let wrong = |why: &dyn Display| {
        format!(
            "\"{text}\" is not HOST:PORT ({why}); write it as in dlm1.example:7170 or [::1]:7170"
        )
    };
    let (host, port) = text
        .rsplit_once(':')
        .ok_or_else(|| wrong(&"there is no port"))?;
    let digits = port.bytes().all(|each| each.is_ascii_digit());
    if !digits || !matches!(port.parse::<u16>(), Ok(1..)) {
        return Err(wrong(&"a port is a number from 1 to 65535"));
    }
    let address = match host.strip_prefix('[') {
        Some(rest) => {
            let inner = rest.strip_suffix(']').and_then(|inner| inner.parse().ok());
            let inner: Ipv6Addr =
                inner.ok_or_else(|| wrong(&"there is no IPv6 address in the brackets"))?;
            Some(IpAddr::V6(inner))
        }
        None if host.contains(':') => {
            return Err(wrong(&"an IPv6 address stands in brackets"));
        }
        None => host.parse().ok(),
    };
    let is_of_name = |each: char| each.is_ascii_alphanumeric() || "-._".contains(each);
    if address.is_none() && (host.is_empty() || !host.chars().all(is_of_name)) {
        return Err(wrong(&"a host has letters, digits, dots and hyphens"));
    }
    if address.is_some_and(|address| address.is_unspecified()) {
        return Err(format!(
            "nobody can connect to {text}; write the address that others see"
        ));
    }
    Endpoint::new(text).map_err(|why| wrong(&why))
}

/// An address as an endpoint.
pub(super) fn endpoint_of(address: SocketAddr) -> Endpoint {
    Endpoint::lossy(&address.to_string())
}

pub(super) fn peer(text: &str) -> Result<(ServerId, Endpoint), String> {
    let (number, at) = text
        .split_once('=')
        .ok_or_else(|| format!("\"{text}\" is not N=HOST:PORT, such as 2=dlm2.example:7170"))?;
    Ok((server(number.trim())?, endpoint(at.trim())?))
}

pub(super) fn switch(text: &str) -> Result<bool, String> {
    text.parse()
        .map_err(|_| format!("\"{text}\" is neither true nor false"))
}

pub(super) fn fence_seconds(text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(seconds @ 1..=FENCE_SECONDS_MAX) => Ok(seconds),
        _ => Err(format!(
            "\"{text}\" is not a number of seconds from 1 to {FENCE_SECONDS_MAX}"
        )),
    }
}

pub(super) fn lease_ms(text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(ms @ 1..=LEASE_MS_MAX) => Ok(ms),
        _ => Err(format!(
            "\"{text}\" is not a number of milliseconds from 1 to {LEASE_MS_MAX}"
        )),
    }
}

pub(super) fn log_filter(text: &str) -> Result<String, String> {
    match EnvFilter::try_new(text) {
        Ok(_) => Ok(text.into()),
        Err(error) => Err(format!(
            "\"{text}\" is not a filter: {error}; write a level such as info, or info,dlm_server=debug"
        )),
    }
}

pub(super) fn log_format(text: &str) -> Result<LogFormat, String> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err(format!("\"{text}\" is neither text nor json")),
    }
}

/// Where a collector is, over plain HTTP/2.
pub(super) fn collector(text: &str) -> Result<String, String> {
    let rest = text.strip_prefix("http://").ok_or_else(|| {
        format!("\"{text}\" is no collector's address; write http://HOST:PORT, such as http://127.0.0.1:4317")
    })?;
    endpoint(rest.strip_suffix('/').unwrap_or(rest))?;
    Ok(text.into())
}

pub(super) fn path(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() {
        return Err("no file has an empty name".into());
    }
    Ok(text.into())
}

/// A directory, or one that is to be made.
pub(super) fn directory(text: &str) -> Result<PathBuf, String> {
    let path = path(text)?;
    if path.exists() && !path.is_dir() {
        return Err(format!(
            "{text} is not a directory; name one, or one that is to be made"
        ));
    }
    Ok(path)
}

/// A program and its arguments, in words as a shell has them. That the program is there is looked at now:
/// it is first needed when a node is dead.
pub(super) fn command(text: &str) -> Result<(PathBuf, Vec<String>), String> {
    let words = shlex::split(text)
        .ok_or_else(|| format!("`{text}` does not end: a quote or a backslash is left open"))?;
    let mut words = words.into_iter();
    let program = words.next().map(PathBuf::from);
    let program = program.ok_or("there is no program in it; write PROGRAM ARG...")?;
    let found = if program.components().count() > 1 {
        is_program(&program)
    } else {
        let paths = env::var_os("PATH").unwrap_or_default();
        env::split_paths(&paths).any(|directory| is_program(&directory.join(&program)))
    };
    if !found {
        return Err(format!(
            "there is no program {} that may be executed; write its path",
            program.display()
        ));
    }
    Ok((program, words.collect()))
}

fn is_program(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints() {
        for good in [
            "dlm1.example:7170",
            "dlm_1:1",
            "10.0.0.1:65535",
            "[2001:db8::1]:7170",
            "localhost:7170",
        ] {
            assert_eq!(endpoint(good).unwrap().as_str(), good);
        }
        let long = format!("{}:7170", "a".repeat(300));
        for bad in [
            "dlm1.example",
            "dlm1.example:",
            "dlm1.example:0",
            "dlm1.example:70000",
            ":7170",
            "http://dlm1:7170",
            "::1:7170",
            "[dlm1]:7170",
            "[::1:7170",
            "0.0.0.0:7170",
            "[::]:7170",
            "dlm 1:7170",
            "dlm1:+70",
            "",
            &long,
        ] {
            let error = endpoint(bad).unwrap_err();
            assert!(!error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn servers_begin_with_one() {
        assert_eq!(server("1"), Ok(ServerId(1)));
        for bad in ["0", "-1", "", "one", "99999999999999999999"] {
            assert!(server(bad).is_err(), "{bad}");
        }
        assert!(peer("2=a:1").is_ok() && peer("0=a:1").is_err() && peer("a:1").is_err());
    }

    #[test]
    fn commands_are_taken_apart_and_looked_for() {
        let (program, args) = command("sh -c 'fence \"$1\"' --").unwrap();
        assert_eq!(program, Path::new("sh"));
        assert_eq!(args, ["-c", "fence \"$1\"", "--"]);
        assert!(command("/bin/sh").is_ok());
        for bad in [
            "",
            "  ",
            "sh 'open",
            "no-such-program-anywhere",
            "/",
            "/etc/passwd",
        ] {
            assert!(command(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn collectors_are_found_over_plain_http() {
        for good in ["http://127.0.0.1:4317", "http://otel.example:4317/"] {
            assert_eq!(collector(good).unwrap(), good);
        }
        for bad in [
            "127.0.0.1:4317",
            "https://a:4317",
            "http://a",
            "http://a:1/v1",
            "",
        ] {
            assert!(collector(bad).is_err(), "{bad}");
        }
        assert_eq!(log_format("json"), Ok(LogFormat::Json));
        assert!(log_format("JSON").is_err());
    }

    #[test]
    fn numbers_have_bounds() {
        for bad in ["0", "-5", "1.5", "86401", "99999999999999999999", "5s", ""] {
            assert!(fence_seconds(bad).is_err(), "{bad}");
        }
        assert!(lease_ms("0").is_err() && lease_ms("3600001").is_err());
        assert_eq!(lease_ms("3600000"), Ok(3_600_000));
        assert!(switch("yes").is_err());
    }
}
