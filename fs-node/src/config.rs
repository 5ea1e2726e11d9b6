//! From flags to values that fit together.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

pub(crate) use dlm_client::workload::bytes;
use dlm_client::{ConnectError, HoldTime, Tls};
use fs_node::{CACHE_PAGES_DEFAULT, NodeConfig, OnWithdraw, Policy};

use crate::cli::{DemoArgs, RunArgs, TlsArgs};
use crate::service::ServiceConfig;
use crate::workload::layout::{HALF_PAGES_MAX, Layout, PAGE_BYTES};

/// The demo makes no volume larger than this (8 GiB): it is to run on anybody's laptop.
const DEMO_VOLUME_BYTES_MAX: u64 = 8 << 30;
/// Fewer files and a node has too few of the others' for a list over three.
const FILES_DEFAULT_MIN: usize = 6;
/// The lockspace of a node that is given none.
const LOCKSPACE: &str = "glockwork";

/// Flags that do not fit together.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// A node would have nothing to do I/O on.
    #[error(
        "{files} files are too few for {nodes} nodes; give --files {nodes} or more, or fewer --nodes"
    )]
    Files {
        /// How many files.
        files: usize,
        /// How many nodes.
        nodes: usize,
    },
    /// The volume would be huge.
    #[error(
        "the volume would take {mib} MiB, and the demo makes none above {} MiB; give a smaller \
         --io-size, --tasks or --files", DEMO_VOLUME_BYTES_MAX >> 20
    )]
    Volume {
        /// Its size.
        mib: u64,
    },
    /// Others can reach it.
    #[error(
        "--listen: others can reach {listen}, and in plain text whoever does may give orders; set up TLS with --tls-ca, \
         --tls-cert and --tls-key, or allow it with --insecure"
    )]
    Exposed {
        /// Where it was to listen.
        listen: SocketAddr,
    },
    /// Nobody finds a node at every address.
    #[error(
        "--listen: others do not find a node at {listen}; say where they do with --advertise HOST:PORT"
    )]
    Nowhere {
        /// Where it was to listen.
        listen: SocketAddr,
    },
    /// It cannot be asked over TLS.
    #[error(
        "--tls-ca: whoever gives orders over TLS has to be shown a certificate; give --tls-cert and --tls-key"
    )]
    NoCertificate,
    /// The certificates.
    #[error(transparent)]
    Tls(#[from] ConnectError),
}

/// A demo's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DemoConfig {
    /// Nodes, tasks, files, size of an I/O.
    pub(crate) layout: Layout,
    /// How long each policy runs its cross group.
    pub(crate) length: Duration,
    /// The policies, in the order in which they run.
    pub(crate) policies: Vec<Policy>,
    /// The seed of all choices.
    pub(crate) seed: u64,
    /// The volume; a temporary one where there is none.
    pub(crate) volume: Option<PathBuf>,
    /// Where the deadlock is drawn.
    pub(crate) svg: PathBuf,
    /// Whether the result is one JSON document.
    pub(crate) json: bool,
    /// A fixed minimum hold time.
    pub(crate) hold_ms: Option<u64>,
}

impl DemoConfig {
    /// Checks the flags against each other and fills in what was not given.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub(crate) fn new(args: DemoArgs) -> Result<Self, ConfigError> {
        let files = args
            .files
            .unwrap_or_else(|| (2 * args.nodes).max(FILES_DEFAULT_MIN));
        let layout = layout(args.nodes, args.tasks, files, args.io_size)?;
        let bytes = layout.inode_bytes() * layout.files as u64;
        if args.volume.is_none() && bytes > DEMO_VOLUME_BYTES_MAX {
            return Err(ConfigError::Volume { mib: bytes >> 20 });
        }
        let asked = args.policy;
        let policies = Policy::ALL
            .into_iter()
            .filter(|policy| asked.is_empty() || asked.contains(policy));
        Ok(Self {
            layout,
            length: Duration::from_secs(args.seconds),
            policies: policies.collect(),
            seed: args.seed,
            volume: args.volume,
            svg: args.svg,
            json: args.json,
            hold_ms: args.hold_ms,
        })
    }

    /// What is about to run, in one line.
    pub(crate) fn describe(&self) -> String {
        let Layout {
            nodes,
            tasks,
            files,
            io_pages,
            part_ios: _,
        } = self.layout;
        format!(
            "{nodes} nodes with {tasks} tasks each, {files} files, {} KiB in each I/O, {} s for each \
             policy, seed {}",
            io_pages * PAGE_BYTES / 1024,
            self.length.as_secs(),
            self.seed
        )
    }
}

fn layout(
    nodes: usize,
    tasks: usize,
    files: usize,
    io_bytes: usize,
) -> Result<Layout, ConfigError> {
    if files < nodes {
        return Err(ConfigError::Files { files, nodes });
    }
    Ok(Layout {
        nodes,
        tasks,
        files,
        io_pages: io_bytes / PAGE_BYTES,
        part_ios: 2,
    })
}

/// A node's settings.
pub(crate) fn node(args: &RunArgs) -> NodeConfig {
    NodeConfig {
        name: args.name.clone(),
        volume: args.volume.clone(),
        servers: args.endpoints.clone(),
        lockspace: args.lockspace.clone().unwrap_or_else(|| LOCKSPACE.into()),
        policy: args.policy,
        hold: args
            .hold_ms
            .map_or_else(HoldTime::default, |ms| HoldTime::fixed(ms * 1000)),
        cache_pages_max: CACHE_PAGES_DEFAULT,
        allow_faults: args.allow_faults,
        on_withdraw: OnWithdraw::default(),
    }
}

/// The settings of a node that takes orders over gRPC.
///
/// # Errors
/// [`ConfigError::Exposed`], [`ConfigError::Nowhere`], [`ConfigError::NoCertificate`], [`ConfigError::Tls`].
pub(crate) fn service(args: &RunArgs) -> Result<ServiceConfig, ConfigError> {
    let listen = args.listen;
    let tls = tls(&args.tls)?;
    if tls.is_some() && args.tls.tls_cert.is_none() {
        return Err(ConfigError::NoCertificate);
    }
    if tls.is_none() && !args.insecure && !listen.ip().is_loopback() {
        return Err(ConfigError::Exposed { listen });
    }
    if listen.ip().is_unspecified() && args.advertise.is_none() {
        return Err(ConfigError::Nowhere { listen });
    }
    let mut node = node(args);
    if let Some(tls) = &tls {
        node.servers = node.servers.with_tls(tls.clone());
    }
    Ok(ServiceConfig {
        node,
        listen,
        advertise: args.advertise.clone(),
        http_listen: args.http_listen,
        tls,
    })
}

/// How servers are spoken to; `None`: in plain text.
///
/// # Errors
/// [`ConfigError::Tls`].
pub(crate) fn tls(args: &TlsArgs) -> Result<Option<Tls>, ConfigError> {
    let identity = args.tls_cert.as_deref().zip(args.tls_key.as_deref());
    let read = args.tls_ca.as_deref().map(|ca| Tls::read(ca, identity));
    Ok(read.transpose()?)
}

/// The size of an I/O: whole pages, 4 KiB to 4 MiB.
pub(crate) fn io_bytes(text: &str) -> Result<usize, String> {
    let bytes = bytes(text)?;
    let pages = bytes / PAGE_BYTES as u64;
    if !bytes.is_multiple_of(PAGE_BYTES as u64) || !(1..=HALF_PAGES_MAX as u64).contains(&pages) {
        return Err(format!(
            "an I/O is a multiple of {PAGE_BYTES} bytes from 4k to {}m",
            (HALF_PAGES_MAX * PAGE_BYTES) >> 20
        ));
    }
    Ok(bytes as usize)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    fn demo(flags: &[&str]) -> Result<DemoConfig, String> {
        let words = ["fs-node", "demo"].iter().chain(flags);
        match Cli::try_parse_from(words)
            .map_err(|error| error.to_string())?
            .command
        {
            Command::Demo(args) => DemoConfig::new(args).map_err(|error| error.to_string()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_defaults_make_a_ring_of_three() {
        let config = demo(&[]).unwrap();
        assert_eq!(config.layout.nodes, 3);
        assert_eq!(config.layout.files, 6);
        assert_eq!(config.policies, Policy::ALL);
        assert_eq!(demo(&["--nodes", "2"]).unwrap().layout.files, 6);
        assert_eq!(demo(&["--nodes", "5"]).unwrap().layout.files, 10);
    }

    #[test]
    fn policies_are_a_list_and_run_in_their_own_order() {
        let config = demo(&["--policy", "ordered,block", "--policy", "nofault"]).unwrap();
        assert_eq!(
            config.policies,
            [Policy::Block, Policy::Nofault, Policy::Ordered]
        );
    }

    #[test]
    fn bad_flags_say_what_is_right() {
        for (flags, says) in [
            (&["--nodes", "1"][..], "2..=16"),
            (&["--nodes", "17"], "2..=16"),
            (&["--policy", "hope"], "block, nofault, try-cycle, ordered"),
            (&["--io-size", "5000"], "multiple of 4096"),
            (&["--io-size", "8m"], "4k to 4m"),
            (&["--io-size", "32q"], "such as 32k"),
            (&["--files", "2"], "--files 3 or more"),
            (&["--tasks", "0"], "1..=32"),
            (&["--seconds", "0"], "1..="),
            (
                &["--io-size", "4m", "--tasks", "32", "--files", "64"],
                "smaller --io-size",
            ),
        ] {
            let error = demo(flags).unwrap_err();
            assert!(error.contains(says), "{flags:?}: {error}");
        }
    }

    #[test]
    fn sizes_have_suffixes() {
        assert_eq!(bytes("512"), Ok(512));
        assert_eq!(bytes("32k"), Ok(32 << 10));
        assert_eq!(bytes("1MiB"), Ok(1 << 20));
        assert!(bytes("k").is_err() && bytes("-1").is_err() && bytes("").is_err());
        assert!(bytes("99999999999g").is_err());
    }

    #[test]
    fn a_node_that_others_reach_says_how_and_where() {
        let service = |flags: &[&str]| {
            let words = ["fs-node", "run", "--volume", "v"].iter().chain(flags);
            let Command::Run(args) = Cli::try_parse_from(words).unwrap().command else {
                panic!()
            };
            service(&args).map(|config| config.advertise)
        };
        assert_eq!(service(&[]).unwrap(), None);
        for (flags, says) in [
            (&["--listen", "0.0.0.0:1"][..], "--insecure"),
            (&["--listen", "0.0.0.0:1", "--insecure"], "--advertise"),
            (&["--tls-ca", "/nowhere/ca.pem"], "/nowhere/ca.pem"),
        ] {
            let error = service(flags).unwrap_err().to_string();
            assert!(error.contains(says), "{flags:?}: {error}");
        }
        let flags = ["--listen", "0.0.0.0:1", "--insecure", "--advertise", "a:1"];
        assert_eq!(service(&flags).unwrap().as_deref(), Some("a:1"));
    }
}
