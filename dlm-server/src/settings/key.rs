//! What there is to set, and what each setting is called where it is given.

use std::fmt;

/// One setting. Its name is the same everywhere: `--tls-cert` on the command line, `DLM_SERVER_TLS_CERT` in
/// the environment, `tls-cert` in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// Which server of the cluster this is.
    Id,
    /// Where it listens.
    Listen,
    /// Where clients and servers find it.
    Advertise,
    /// The servers of the cluster.
    Peer,
    /// It comes to a cluster that runs already.
    Join,
    /// Where it keeps the cluster's state.
    Data,
    /// What makes sure that a dead session's node writes nothing more.
    FenceCommand,
    /// How long that may take.
    FenceSeconds,
    /// How long a session lives without a keepalive.
    SessionLeaseMs,
    /// How long a server serves without a renewal.
    ServerLeaseMs,
    /// Where the page and the metrics are served.
    HttpListen,
    /// Where metrics alone are served.
    MetricsListen,
    /// The certificate that it shows.
    TlsCert,
    /// That certificate's private key.
    TlsKey,
    /// Who signs the others' certificates.
    TlsCa,
    /// Plain text is allowed where others can reach it.
    Insecure,
    /// Faults may be made on request.
    AllowFaults,
    /// What is logged.
    Log,
    /// How it is logged.
    LogFormat,
    /// Where spans are exported to.
    OtlpEndpoint,
}

/// What a value of a setting looks like in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Number,
    Switch,
    /// Texts; separated by commas in the environment.
    List,
}

impl Kind {
    /// How it is written in the file.
    pub(crate) const fn in_file(self) -> &'static str {
        match self {
            Self::Text => "a text in quotes",
            Self::Number => "a number",
            Self::Switch => "true or false",
            Self::List => "a list of texts, such as [\"a\", \"b\"]",
        }
    }
}

/// What the names of all settings begin with in the environment.
pub(crate) const ENVIRONMENT_PREFIX: &str = "DLM_SERVER_";

impl Key {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 20] = [
        Self::Id,
        Self::Listen,
        Self::Advertise,
        Self::Peer,
        Self::Join,
        Self::Data,
        Self::FenceCommand,
        Self::FenceSeconds,
        Self::SessionLeaseMs,
        Self::ServerLeaseMs,
        Self::HttpListen,
        Self::MetricsListen,
        Self::TlsCert,
        Self::TlsKey,
        Self::TlsCa,
        Self::Insecure,
        Self::AllowFaults,
        Self::Log,
        Self::LogFormat,
        Self::OtlpEndpoint,
    ];

    /// Its name in the file; the flag has `--` before it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Listen => "listen",
            Self::Advertise => "advertise",
            Self::Peer => "peer",
            Self::Join => "join",
            Self::Data => "data",
            Self::FenceCommand => "fence-command",
            Self::FenceSeconds => "fence-seconds",
            Self::SessionLeaseMs => "session-lease-ms",
            Self::ServerLeaseMs => "server-lease-ms",
            Self::HttpListen => "http-listen",
            Self::MetricsListen => "metrics-listen",
            Self::TlsCert => "tls-cert",
            Self::TlsKey => "tls-key",
            Self::TlsCa => "tls-ca",
            Self::Insecure => "insecure",
            Self::AllowFaults => "allow-faults",
            Self::Log => "log",
            Self::LogFormat => "log-format",
            Self::OtlpEndpoint => "otlp-endpoint",
        }
    }

    pub(crate) const fn kind(self) -> Kind {
        match self {
            Self::Id | Self::FenceSeconds | Self::SessionLeaseMs | Self::ServerLeaseMs => {
                Kind::Number
            }
            Self::Join | Self::Insecure | Self::AllowFaults => Kind::Switch,
            Self::Peer => Kind::List,
            Self::Listen
            | Self::Advertise
            | Self::Data
            | Self::FenceCommand
            | Self::HttpListen
            | Self::MetricsListen
            | Self::TlsCert
            | Self::TlsKey
            | Self::TlsCa
            | Self::Log
            | Self::LogFormat
            | Self::OtlpEndpoint => Kind::Text,
        }
    }

    /// Its name in the environment.
    #[must_use]
    pub fn variable(self) -> String {
        let name = self.name().replace('-', "_").to_ascii_uppercase();
        format!("{ENVIRONMENT_PREFIX}{name}")
    }

    /// An older name that the environment may have it under.
    pub(crate) const fn older_variable(self) -> Option<&'static str> {
        match self {
            Self::Listen => Some("GLOCKWORK_LISTEN"),
            Self::Log => Some("GLOCKWORK_LOG"),
            _ => None,
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The one of `known` that is most like `name`, where one is: whoever wrote `name` may have meant it.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let alike = |known: &'a str| (strsim::jaro_winkler(name, known), known);
    let alike = known.into_iter().map(alike).filter(|(how, _)| *how > 0.85);
    let (_, known) = alike.max_by(|(a, _), (b, _)| a.total_cmp(b))?;
    Some(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_there_once_and_in_order() {
        assert!(Key::ALL.is_sorted_by(|a, b| a < b));
        assert_eq!(Key::ALL[Key::ALL.len() - 1], Key::OtlpEndpoint, "the last");
        assert_eq!(Key::TlsCert.variable(), "DLM_SERVER_TLS_CERT");
    }

    #[test]
    fn a_slip_is_recognized_and_another_word_is_not() {
        let names = Key::ALL.map(Key::name);
        assert_eq!(nearest("listn", names), Some("listen"));
        assert_eq!(nearest("tls_cert", names), Some("tls-cert"));
        assert_eq!(nearest("peers", names), Some("peer"));
        assert_eq!(nearest("colour", names), None);
    }
}
