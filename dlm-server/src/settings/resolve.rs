//! Which of what was given counts, and whether it fits together.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use dlm_core::ServerId;
use dlm_core::cluster::limits::SERVERS_MAX;
use dlm_core::cluster::{Endpoint, Timing};

use super::durations::{checked, with_server_lease, with_session_lease};
use super::file::{self, FileSays};
use super::layer::{self, CONFIG_VARIABLE, Environment, Layer};
use super::mistake::{Mistake, Mistakes, Source};
use super::{Effective, Flags, Key, Loaded, Settings, value};
use crate::fence::FenceCommand;

pub(super) fn load(flags: Flags, environment: &Environment) -> Result<Loaded, Mistakes> {
    let in_environment = environment.get(CONFIG_VARIABLE);
    let in_environment = in_environment.filter(|name| !name.is_empty());
    let config = flags
        .config
        .clone()
        .or_else(|| in_environment.map(PathBuf::from));
    let mut says = config.as_deref().map_or_else(FileSays::default, file::read);
    let mut given = std::mem::take(&mut says.layer);
    given.extend(layer::from_environment(environment));
    given.extend(flags.layer());
    let (settings, given) = resolve(given, says)?;
    Ok(Loaded {
        effective: Effective::new(&settings, &given),
        settings,
        notes: layer::misspelt(environment),
    })
}

/// The settings, and what was given of them.
pub(super) fn resolve(given: Layer, mut says: FileSays) -> Result<(Settings, Layer), Mistakes> {
    let mistakes = std::mem::take(&mut says.mistakes);
    let mut resolver = Resolver { given, mistakes };
    let settings = resolver.settings(says);
    match settings {
        Some(settings) if resolver.mistakes.is_empty() => Ok((settings, resolver.given)),
        _ => Err(Mistakes(resolver.mistakes)),
    }
}

pub(super) struct Resolver {
    pub(super) given: Layer,
    pub(super) mistakes: Vec<Mistake>,
}

/// This server among the others.
pub(super) struct Place {
    server: ServerId,
    pub(super) advertise: Endpoint,
    pub(super) peers: BTreeMap<ServerId, Endpoint>,
    join: bool,
    data: Option<PathBuf>,
}

impl Resolver {
    fn settings(&mut self, says: FileSays) -> Option<Settings> {
        let alone = Settings::alone(default_listen());
        let listen = match self.is_given(Key::Listen) {
            true => self.take(Key::Listen, value::address),
            false => Some(alone.listen),
        };
        let http_listen = self.take(Key::HttpListen, value::address);
        let metrics_listen = self.take(Key::MetricsListen, value::address);
        let insecure = self.switch(Key::Insecure);
        let faults = self.switch(Key::AllowFaults);
        let log = self.take(Key::Log, value::log_filter);
        let log_format = self.take(Key::LogFormat, value::log_format);
        let otlp_endpoint = self.take(Key::OtlpEndpoint, value::collector);
        let place = self.place(listen);
        let fence = self.fence();
        let timing = self.timing(fence.as_ref());
        let tls = self.tls(place.as_ref(), &says);
        self.plain_text(listen, insecure);
        let access = self.access(says);
        let (listen, place) = (listen?, place?);
        Some(Settings {
            server: place.server,
            listen,
            advertise: place.advertise,
            peers: place.peers,
            join: place.join,
            data: place.data,
            fence,
            timing,
            limits: alone.limits,
            http_listen,
            metrics_listen,
            tls,
            insecure,
            access,
            faults,
            log: log.unwrap_or(alone.log),
            log_format: log_format.unwrap_or_default(),
            otlp_endpoint,
        })
    }

    /// A list of nothing says that there is nothing.
    pub(super) fn is_given(&self, key: Key) -> bool {
        let given = self.given.get(&key);
        given.is_some_and(|given| !given.values.is_empty())
    }

    pub(super) fn wrong(&mut self, key: Key, text: impl Into<String>) {
        let given = self.given.get(&key);
        let source = given.map_or(Source::Default(key), |given| given.source.clone());
        self.wrong_at(source, text);
    }

    pub(super) fn wrong_at(&mut self, source: Source, text: impl Into<String>) {
        let text = text.into();
        self.mistakes.push(Mistake { source, text });
    }

    /// The setting's value, where it was given and is one.
    pub(super) fn take<T>(&mut self, key: Key, parse: fn(&str) -> Result<T, String>) -> Option<T> {
        let text = self.given.get(&key)?.values.first()?;
        match parse(text) {
            Ok(value) => Some(value),
            Err(why) => {
                self.wrong(key, why);
                None
            }
        }
    }

    fn switch(&mut self, key: Key) -> bool {
        self.take(key, value::switch).unwrap_or(false)
    }

    fn place(&mut self, listen: Option<SocketAddr>) -> Option<Place> {
        let server = match self.is_given(Key::Id) {
            true => self.take(Key::Id, value::server),
            false => Some(ServerId(1)),
        };
        let peers = self.peers();
        let join = self.switch(Key::Join);
        let data = self.take(Key::Data, value::directory);
        let advertise = self.take(Key::Advertise, value::endpoint);
        if self.is_given(Key::Peer) && !self.is_given(Key::Data) {
            let text = "servers of a cluster keep its state on disk; name a directory with --data";
            self.wrong(Key::Peer, text);
        }
        let (server, mut peers) = (server?, peers?);
        if join && peers.keys().all(|peer| *peer == server) {
            let text =
                "to join a cluster is to know a server of it; name one with --peer N=HOST:PORT";
            self.wrong(Key::Join, text);
        }
        if self.is_given(Key::Advertise) && advertise.is_none() {
            return None;
        }
        let advertise = self.advertise(server, listen?, advertise, &peers)?;
        if !peers.is_empty() {
            peers.insert(server, advertise.clone());
            self.peers_fit(&peers);
        }
        Some(Place {
            server,
            advertise,
            peers,
            join,
            data,
        })
    }

    /// The peers as they were given; none where one of them is not one.
    fn peers(&mut self) -> Option<BTreeMap<ServerId, Endpoint>> {
        let given = self.given.get(&Key::Peer);
        let texts = given.map_or_else(Vec::new, |given| given.values.clone());
        let mut peers = BTreeMap::new();
        let mut all_good = true;
        for text in texts {
            match value::peer(&text) {
                Ok((server, at)) => {
                    let before = peers.insert(server, at.clone());
                    if let Some(before) = before.filter(|before| *before != at) {
                        let (number, before, at) = (server.0, before.as_str(), at.as_str());
                        let text =
                            format!("server {number} is at {before} and at {at}; leave one out");
                        self.wrong(Key::Peer, text);
                    }
                }
                Err(why) => {
                    self.wrong(Key::Peer, why);
                    all_good = false;
                }
            }
        }
        all_good.then_some(peers)
    }

    fn peers_fit(&mut self, peers: &BTreeMap<ServerId, Endpoint>) {
        if peers.len() > SERVERS_MAX {
            let text = format!("a cluster has at most {SERVERS_MAX} servers; name fewer");
            self.wrong(Key::Peer, text);
        }
        let different: BTreeSet<&Endpoint> = peers.values().collect();
        if different.len() < peers.len() {
            let text = "two servers are at the same address (this one is where --advertise or --listen \
                        says); each has one of its own";
            self.wrong(Key::Peer, text);
        }
    }

    fn advertise(
        &mut self,
        server: ServerId,
        listen: SocketAddr,
        given: Option<Endpoint>,
        peers: &BTreeMap<ServerId, Endpoint>,
    ) -> Option<Endpoint> {
        let among_peers = peers.get(&server);
        if let (Some(given), Some(peer)) = (&given, among_peers)
            && given != peer
        {
            let (number, given, peer) = (server.0, given.as_str(), peer.as_str());
            let text = format!(
                "this is server {number}, at {given} here and at {peer} in --peer; make them the same"
            );
            self.wrong(Key::Advertise, text);
            return None;
        }
        if let Some(known) = given.or_else(|| among_peers.cloned()) {
            return Some(known);
        }
        if listen.ip().to_canonical().is_unspecified() {
            let text = format!(
                "{listen} stands for all addresses of this machine, and others need one; say with \
                 --advertise HOST:PORT where they find it"
            );
            self.wrong(Key::Listen, text);
            return None;
        }
        if listen.port() == 0 && !peers.is_empty() {
            let text = "the others cannot know which port is free; name one, or say --advertise";
            self.wrong(Key::Listen, text);
            return None;
        }
        Some(value::endpoint_of(listen))
    }

    fn fence(&mut self) -> Option<FenceCommand> {
        let seconds = self.take(Key::FenceSeconds, value::fence_seconds);
        if self.is_given(Key::FenceSeconds) && !self.is_given(Key::FenceCommand) {
            let text = "there is no command that could take so long; give one with --fence-command";
            self.wrong(Key::FenceSeconds, text);
        }
        let (program, args) = self.take(Key::FenceCommand, value::command)?;
        let default_us = Timing::DEFAULT.fence_us_max;
        let time_limit =
            seconds.map_or_else(|| Duration::from_micros(default_us), Duration::from_secs);
        Some(FenceCommand {
            program,
            args,
            time_limit,
        })
    }

    fn timing(&mut self, fence: Option<&FenceCommand>) -> Timing {
        type With = fn(Timing, u64) -> Timing;
        let mut timing = Timing::DEFAULT;
        let leases: [(Key, With); 2] = [
            (Key::SessionLeaseMs, with_session_lease),
            (Key::ServerLeaseMs, with_server_lease),
        ];
        for (key, with) in leases {
            let Some(lease_ms) = self.take(key, value::lease_ms) else {
                continue;
            };
            match checked(timing, with, lease_ms) {
                Ok(fits) => timing = fits,
                Err((rule, longer_ms)) => {
                    let remedy = longer_ms.map_or_else(
                        || "shorten it, or lengthen the other lease".into(),
                        |longer_ms| format!("{longer_ms} is the shortest that does"),
                    );
                    let text = format!("{lease_ms} ms does not fit, since {rule}; {remedy}");
                    self.wrong(key, text);
                }
            }
        }
        if let Some(fence) = fence {
            // A day in microseconds is far from the end of a number.
            timing.fence_us_max = fence.time_limit.as_secs() * 1_000_000;
        }
        timing
    }
}

fn default_listen() -> SocketAddr {
    crate::DEFAULT_ENDPOINT
        .parse()
        .expect("a constant, and tested")
}
