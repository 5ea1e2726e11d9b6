//! Settings on the command line.
//!
//! The parser takes values as they are: they are looked at together with those from elsewhere, so that all
//! mistakes are found at once.

use std::path::PathBuf;

use clap::Args;

use super::Key;
use super::layer::{Given, Layer};
use super::mistake::Source;

/// What can be set on the command line.
#[derive(Clone, Debug, Default, Args)]
pub struct Flags {
    /// Read settings from this file (TOML); docs/dlm-server.toml explains each.
    ///
    /// A flag counts more than the environment, that more than the file, and that more than the default. A
    /// setting has the same name in all three: --tls-cert is DLM_SERVER_TLS_CERT and tls-cert.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// The address to listen on; port 0 takes a free one [default: 127.0.0.1:7170].
    ///
    /// One that others can reach wants TLS, or --insecure.
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<String>,

    /// What to log to standard error: error, warn, info, debug, trace, off, or a filter such as
    /// `info,dlm_server=debug` [default: info,raft_engine=warn].
    #[arg(long, value_name = "FILTER")]
    pub log: Option<String>,

    /// How to log: text, or json with one document a line [default: text].
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<String>,

    /// Which server of the cluster this is, from 1 on [default: 1].
    #[arg(long, value_name = "N", help_heading = "Cluster")]
    pub id: Option<String>,

    /// Where clients and servers find this one [default: what --peer says of it, or what it listens on].
    #[arg(long, value_name = "HOST:PORT", help_heading = "Cluster")]
    pub advertise: Option<String>,

    /// A server of the cluster; once for each, the same on all. Without it the server is alone.
    #[arg(long, value_name = "N=HOST:PORT", help_heading = "Cluster")]
    pub peer: Vec<String>,

    /// Come to a cluster that runs already, instead of founding it together with the others: a --peer says
    /// where it is, and `dlm server add` lets this server in.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
        default_missing_value = "true", help_heading = "Cluster")]
    pub join: Option<String>,

    /// The directory for the cluster's state; a server alone can do without, in memory.
    #[arg(long, value_name = "DIR", help_heading = "Cluster")]
    pub data: Option<String>,

    /// How long a session lives without a keepalive [default: 5000].
    #[arg(long, value_name = "MS", help_heading = "Cluster")]
    pub session_lease_ms: Option<String>,

    /// How long a server serves without a renewal [default: 350].
    #[arg(long, value_name = "MS", help_heading = "Cluster")]
    pub server_lease_ms: Option<String>,

    /// What to run when a session is dead, before its locks are given to others: it makes sure that the
    /// session's node writes nothing more.
    #[arg(
        long,
        value_name = "\"PROGRAM ARG...\"",
        help_heading = "Dead sessions"
    )]
    pub fence_command: Option<String>,

    /// How long that may take [default: 60].
    #[arg(long, value_name = "SECONDS", help_heading = "Dead sessions")]
    pub fence_seconds: Option<String>,

    /// This server's certificate, and those between it and the authority (PEM).
    #[arg(long, value_name = "FILE", help_heading = "Security")]
    pub tls_cert: Option<String>,

    /// The private key of that certificate (PEM).
    #[arg(long, value_name = "FILE", help_heading = "Security")]
    pub tls_key: Option<String>,

    /// The authorities whose certificates clients and other servers must show (PEM).
    #[arg(long, value_name = "FILE", help_heading = "Security")]
    pub tls_ca: Option<String>,

    /// Allow plain text on an address that others can reach: whoever reaches it may do everything.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
        default_missing_value = "true", help_heading = "Security")]
    pub insecure: Option<String>,

    /// Allow `dlm fault` to make this server fail; for tests.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
        default_missing_value = "true", help_heading = "Watching")]
    pub allow_faults: Option<String>,

    /// Serve a page with the cluster's status and its lock graph here, over plain HTTP, and the metrics for
    /// Prometheus at /metrics.
    #[arg(long, value_name = "ADDR", help_heading = "Watching")]
    pub http_listen: Option<String>,

    /// Export spans of operations whose clients record a trace to this collector, by OTLP over gRPC, such as
    /// http://127.0.0.1:4317 [default: none].
    #[arg(long, value_name = "URL", help_heading = "Watching")]
    pub otlp_endpoint: Option<String>,

    /// Serve the metrics here and nothing else; the older name of --http-listen, from before there was a page.
    #[arg(long, value_name = "ADDR", help_heading = "Watching")]
    pub metrics_listen: Option<String>,
}

impl Flags {
    pub(crate) fn layer(self) -> Layer {
        let single = [
            (Key::Id, self.id),
            (Key::Listen, self.listen),
            (Key::Advertise, self.advertise),
            (Key::Join, self.join),
            (Key::Data, self.data),
            (Key::FenceCommand, self.fence_command),
            (Key::FenceSeconds, self.fence_seconds),
            (Key::SessionLeaseMs, self.session_lease_ms),
            (Key::ServerLeaseMs, self.server_lease_ms),
            (Key::HttpListen, self.http_listen),
            (Key::MetricsListen, self.metrics_listen),
            (Key::TlsCert, self.tls_cert),
            (Key::TlsKey, self.tls_key),
            (Key::TlsCa, self.tls_ca),
            (Key::Insecure, self.insecure),
            (Key::AllowFaults, self.allow_faults),
            (Key::Log, self.log),
            (Key::LogFormat, self.log_format),
            (Key::OtlpEndpoint, self.otlp_endpoint),
        ];
        let mut layer = Layer::new();
        for (key, value) in single {
            if let Some(value) = value {
                layer.insert(key, Given::one(value, Source::Flag(key)));
            }
        }
        if !self.peer.is_empty() {
            let source = Source::Flag(Key::Peer);
            let values = self.peer;
            layer.insert(Key::Peer, Given { values, source });
        }
        layer
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;

    #[derive(Debug, Parser)]
    struct Program {
        #[command(flatten)]
        flags: Flags,
    }

    #[test]
    fn every_setting_has_a_flag_and_every_flag_but_one_is_a_setting() {
        let command = Program::command();
        command.clone().debug_assert();
        let mut flags: Vec<&str> = command
            .get_arguments()
            .filter_map(|a| a.get_long())
            .collect();
        flags.retain(|flag| *flag != "config");
        flags.sort_unstable();
        let mut keys = Key::ALL.map(Key::name).to_vec();
        keys.sort_unstable();
        assert_eq!(flags, keys);
    }

    #[test]
    fn every_flag_gets_into_the_layer() {
        for key in Key::ALL {
            let argument = format!("--{key}=7");
            let program = Program::try_parse_from(["dlm-server", &argument]).unwrap();
            let layer = program.flags.layer();
            let source = Source::Flag(key);
            assert_eq!(layer, Layer::from([(key, Given::one("7".into(), source))]));
        }
        let program = Program::try_parse_from(["dlm-server", "--join"]).unwrap();
        assert_eq!(program.flags.layer()[&Key::Join].values, ["true"]);
    }
}
