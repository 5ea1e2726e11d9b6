//! What is in effect, and why: to show (`dlm-server --check`).

use std::fmt;

use serde_json::{Value, json};

use super::layer::Layer;
use super::{Key, Settings, Source};
use crate::access::{Access, Pattern};

/// All settings with where they come from. It prints as a file that says the same.
#[derive(Clone, Debug, PartialEq)]
pub struct Effective {
    settings: Vec<(Key, Option<Value>, Source)>,
    access: Access,
}

impl Effective {
    pub(super) fn new(settings: &Settings, given: &Layer) -> Self {
        let with_source = |key: Key| {
            let given = given.get(&key);
            let source = given.map_or(Source::Default(key), |given| given.source.clone());
            (key, value(settings, key), source)
        };
        Self {
            settings: Key::ALL.map(with_source).to_vec(),
            access: settings.access.clone(),
        }
    }

    /// As one JSON document: `settings` has a value and its source under each name, `access` and `servers`
    /// are as in the file.
    #[must_use]
    pub fn json(&self) -> Value {
        let with_source = |(key, value, source): &(Key, Option<Value>, Source)| {
            let document = json!({ "value": value, "source": source_of(source) });
            (key.name().to_owned(), document)
        };
        let settings: serde_json::Map<String, Value> =
            self.settings.iter().map(with_source).collect();
        let (rules, servers) = match &self.access {
            Access::Everything => (Value::Null, Value::Null),
            Access::ByCertificate { rules, servers } => {
                let rules = rules.iter().map(|rule| {
                    json!({
                        "name": rule.name.text(),
                        "lockspaces": texts(&rule.lockspaces),
                        "admin": rule.admin,
                    })
                });
                (rules.collect(), texts(servers))
            }
        };
        json!({ "settings": settings, "access": rules, "servers": servers })
    }
}

/// JSON's texts, numbers and lists are TOML's as well.
impl fmt::Display for Effective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (key, value, source) in &self.settings {
            match value {
                Some(value) => writeln!(f, "{key} = {value}  # {}", source_of(source))?,
                None => writeln!(f, "# {key} is not set")?,
            }
        }
        let Access::ByCertificate { rules, servers } = &self.access else {
            return Ok(());
        };
        writeln!(f, "servers = {}", texts(servers))?;
        for rule in rules {
            let name = Value::from(rule.name.text());
            writeln!(f, "\n[[access]]\nname = {name}")?;
            writeln!(f, "lockspaces = {}", texts(&rule.lockspaces))?;
            writeln!(f, "admin = {}", rule.admin)?;
        }
        Ok(())
    }
}

fn source_of(source: &Source) -> String {
    match source {
        Source::Default(_) => "default".into(),
        given => given.to_string(),
    }
}

fn texts(patterns: &[Pattern]) -> Value {
    patterns.iter().map(Pattern::text).collect()
}

fn value(settings: &Settings, key: Key) -> Option<Value> {
    let tls = settings.tls.as_ref().map(|tls| tls.files());
    let fence = settings.fence.as_ref();
    let ms = |us: u64| Value::from(us / 1000);
    Some(match key {
        Key::Id => settings.server.0.into(),
        Key::Listen => settings.listen.to_string().into(),
        Key::Advertise => {
            // With a port that is yet to be taken there is none to show.
            let known = settings.listen.port() != 0
                || settings.advertised(([0, 0, 0, 0], 1).into()) == settings.advertise;
            known.then(|| settings.advertise.as_str().into())?
        }
        Key::Peer => {
            let peers = settings.peers.iter();
            peers
                .map(|(server, at)| format!("{}={}", server.0, at.as_str()))
                .collect()
        }
        Key::Join => settings.join.into(),
        Key::Data => settings.data.as_ref()?.display().to_string().into(),
        Key::FenceCommand => {
            let program = fence?.program.to_string_lossy();
            let words = std::iter::once(&*program).chain(fence?.args.iter().map(String::as_str));
            // No byte of it is 0: it came as a text of the environment, the file or the command line.
            shlex::try_join(words).ok()?.into()
        }
        Key::FenceSeconds => fence?.time_limit.as_secs().into(),
        Key::SessionLeaseMs => ms(settings.timing.session_lease_us),
        Key::ServerLeaseMs => ms(settings.timing.server_lease_us),
        Key::HttpListen => settings.http_listen?.to_string().into(),
        Key::MetricsListen => settings.metrics_listen?.to_string().into(),
        Key::TlsCert => tls?.cert.display().to_string().into(),
        Key::TlsKey => tls?.key.display().to_string().into(),
        Key::TlsCa => tls?.ca.display().to_string().into(),
        Key::Insecure => settings.insecure.into(),
        Key::AllowFaults => settings.faults.into(),
        Key::Log => settings.log.clone().into(),
        Key::LogFormat => settings.log_format.name().into(),
        Key::OtlpEndpoint => settings.otlp_endpoint.clone()?.into(),
    })
}
