//! Several servers in one process, each with a directory of its own: for tests and programs that embed a
//! whole cluster.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use dlm_core::ServerId;
use dlm_core::cluster::Endpoint;
use tokio::net::TcpListener;

use super::Server;
use crate::error::ServeError;
use crate::settings::Settings;

/// Servers 1 to some number on loopback.
#[derive(Debug)]
pub struct Cluster {
    peers: BTreeMap<ServerId, Endpoint>,
    settings: BTreeMap<ServerId, Settings>,
    servers: BTreeMap<ServerId, Server>,
}

impl Cluster {
    /// Starts `count` servers that found a cluster together, with their storages in directories under
    /// `dir`.
    ///
    /// # Errors
    /// As [`Server::start_with`].
    pub async fn start(count: u64, dir: &Path) -> Result<Self, ServeError> {
        Self::start_with(count, dir, |settings| settings).await
    }

    /// The same with other settings than those by default: `change` is given each server's. It leaves alone
    /// where they listen and have their storages.
    ///
    /// # Errors
    /// As [`Server::start_with`].
    pub async fn start_with(
        count: u64,
        dir: &Path,
        change: impl Fn(Settings) -> Settings,
    ) -> Result<Self, ServeError> {
        let mut listeners = Vec::new();
        let mut peers = BTreeMap::new();
        for server in 1..=count {
            let listen = SocketAddr::from(([127, 0, 0, 1], 0));
            let failed = |source| ServeError::listen(listen, source);
            let listener = TcpListener::bind(listen).await.map_err(failed)?;
            let addr = listener.local_addr().map_err(failed)?;
            let at = Endpoint::new(addr.to_string()).expect("an address is an endpoint");
            peers.insert(ServerId(server), at);
            listeners.push((ServerId(server), addr, listener));
        }
        let settings = listeners.iter().map(|&(server, addr, _)| {
            let settings = Settings {
                server,
                peers: peers.clone(),
                data: Some(dir.join(server.0.to_string())),
                ..Settings::alone(addr)
            };
            (server, change(settings))
        });
        let mut cluster = Self {
            settings: settings.collect(),
            peers,
            servers: BTreeMap::new(),
        };
        for (server, _, listener) in listeners {
            let settings = cluster.settings(server);
            let started = Server::start_on(listener, &settings).await?;
            cluster.servers.insert(server, started);
        }
        Ok(cluster)
    }

    /// What a server is started with.
    ///
    /// # Panics
    /// Where there is no such server.
    #[must_use]
    pub fn settings(&self, server: ServerId) -> Settings {
        let settings = self.settings.get(&server);
        settings.expect("a server of this cluster").clone()
    }

    /// Waits until all servers that run are known to the cluster.
    pub async fn ready(&self) {
        for server in self.servers.values() {
            server.announced().await;
        }
    }

    /// Where a server listens, or would.
    ///
    /// # Panics
    /// Where there is no such server.
    #[must_use]
    pub fn addr(&self, server: ServerId) -> SocketAddr {
        let at = self.peers.get(&server).expect("a server of this cluster");
        at.to_string().parse().expect("an address")
    }

    /// Where all servers listen, separated by commas, as clients want it.
    #[must_use]
    pub fn endpoints(&self) -> String {
        let all: Vec<String> = self.peers.values().map(ToString::to_string).collect();
        all.join(",")
    }

    /// Stops a server; what it had in memory is lost.
    pub async fn stop_server(&mut self, server: ServerId) {
        if let Some(server) = self.servers.remove(&server) {
            server.stop().await;
        }
    }

    /// Starts a server again where it was.
    ///
    /// # Errors
    /// As [`Server::start_with`].
    pub async fn start_server(&mut self, server: ServerId) -> Result<(), ServeError> {
        let started = Server::start_with(&self.settings(server)).await?;
        self.servers.insert(server, started);
        Ok(())
    }

    /// Stops all servers.
    pub async fn stop(mut self) {
        let servers: Vec<ServerId> = self.servers.keys().copied().collect();
        for server in servers {
            self.stop_server(server).await;
        }
    }
}
